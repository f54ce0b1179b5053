//! What SIGHUP does: the settings are read again, and what can be changed while the program runs is
//! changed.
//!
//! All or nothing: with a mistake anywhere everything stays as it is, and the log says what is
//! wrong.

use crate::server::listener::ListenerControl;
use crate::server::logging;
use crate::server::settings::Settings;

/// What came of it, by the names of settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReloadResult {
    /// In force from now on.
    pub changed: Vec<&'static str>,
    /// Different in the file, and in force after a restart only.
    pub later: Vec<&'static str>,
}

/// Reads them and applies what can be; `current` are then those in force.
///
/// # Errors
/// What is wrong; nothing was changed.
pub fn reload(
    current: &mut Settings,
    listener_control: &ListenerControl,
) -> Result<ReloadResult, String> {
    let new = current.read_again().map_err(|e| e.to_string())?;
    let mut reloaded = ReloadResult::default();
    // First of all, since it is the one that can fail. Files may be others under the same name.
    if let (Some(tls), Some(files)) = (listener_control.tls(), &new.tls)
        && tls.reload(files.clone())?
    {
        reloaded.changed.push("tls_cert");
    }
    for name in current.differences(&new) {
        match name {
            "log" => logging::change(&new.log)?,
            "trusted_proxies" => listener_control.trust(new.trusted_proxies.clone()),
            "on_shutdown" => {}
            // Read above; from none to one, or back, is another listener.
            "tls_cert" if new.tls.is_some() && listener_control.tls().is_some() => continue,
            _ => {
                reloaded.later.push(name);
                continue;
            }
        }
        reloaded.changed.push(name);
    }
    current.log = new.log;
    current.trusted_proxies = new.trusted_proxies;
    current.on_shutdown = new.on_shutdown;
    if listener_control.tls().is_some() && new.tls.is_some() {
        current.tls = new.tls;
    }
    Ok(reloaded)
}

/// The same with what is said of it in the log; the words for the service manager.
pub fn reload_and_tell(current: &mut Settings, listener_control: &ListenerControl) -> String {
    match reload(current, listener_control) {
        Err(reason) => {
            tracing::error!("SIGHUP: settings not changed: {reason}");
            "settings not reloaded because of an error, see the log".into()
        }
        Ok(ReloadResult { changed, later }) => {
            let list = |names: &[&str]| {
                if names.is_empty() {
                    "nothing".to_owned()
                } else {
                    names.join(", ")
                }
            };
            tracing::info!("SIGHUP: settings reloaded; changed: {}", list(&changed));
            if later.is_empty() {
                return format!("settings reloaded; changed: {}", list(&changed));
            }
            tracing::warn!(
                "SIGHUP: these changed settings need a restart: {}",
                list(&later)
            );
            format!("settings reloaded; restart needed for: {}", list(&later))
        }
    }
}
