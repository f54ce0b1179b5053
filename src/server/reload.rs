//! SIGHUP: reloads the settings and applies those that can change at run
//! time.
//!
//! All or nothing: after an error, all settings stay as they are, and the log shows the
//! error.

use crate::server::listener::ListenerControl;
use crate::server::logging;
use crate::server::settings::Settings;

/// The result, with names of settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReloadResult {
    /// Applied now.
    pub changed: Vec<&'static str>,
    /// Changed in the file, but applied only after a restart.
    pub later: Vec<&'static str>,
}

/// Reads the settings and applies those that can change; updates `current`.
///
/// # Errors
/// The error; nothing was changed.
pub fn reload(
    current: &mut Settings,
    listener_control: &ListenerControl,
) -> Result<ReloadResult, String> {
    let new = current.read_again().map_err(|e| e.to_string())?;
    let mut reloaded = ReloadResult::default();
    // First, because it can fail. Files with the same name may have new content.
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
            // Done above; adding or removing TLS needs another listener.
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

/// The same with log lines; returns the text for the service manager.
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
