//! Settings of access: the password, the host names of the manager, and the host name for miners.

use std::net::IpAddr;
use std::path::Path;

use super::SettingsError;
use crate::domain::configs::host_without_port;

/// A password from the settings; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct InitialPassword(String);

impl InitialPassword {
    /// The password, to be hashed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for InitialPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// A host name as in the header `Host`, without a port.
pub(super) fn host(name: &str) -> Result<String, SettingsError> {
    let plain = name.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_name = !plain.is_empty()
        && plain.len() <= 253
        && plain.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if is_name {
        Ok(plain)
    } else {
        Err(SettingsError(format!(
            "allow_hosts: \"{name}\" is not a host name like miner.example.org"
        )))
    }
}

/// The host that miners connect to: a name, or an IP address without brackets.
pub(super) fn advertised_host(text: &str) -> Result<String, SettingsError> {
    let wrong = |detail: String| SettingsError(format!("advertised_host: {detail}"));
    let host = host_without_port(text).map_err(|_| {
        wrong(format!(
            "\"{text}\" is not a host name or an IP address. Enter one without scheme and port, such as umbrel.local"
        ))
    })?;
    let host = host.trim_matches(['[', ']', '.']).to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_loopback() => Err(wrong(format!(
            "miners cannot connect to {ip}. Enter this machine's host name or IP address on your network."
        ))),
        _ => Ok(host),
    }
}

/// The URL that users open, without a slash at its end, and its host name.
pub(super) fn public_url(text: &str) -> Result<(String, String), SettingsError> {
    // A username and password would be in the log.
    let shown = if text.contains('@') {
        "the value"
    } else {
        &format!("\"{text}\"")
    };
    let wrong = || {
        SettingsError(format!(
            "public_url: {shown} is not an address like https://miner.example.org, without path, username and ?"
        ))
    };
    let url = reqwest::Url::parse(text.trim()).map_err(|_| wrong())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match url.host_str() {
        Some(host) if is_plain => Ok((
            url.as_str().trim_end_matches('/').to_owned(),
            host.trim_matches(['[', ']']).to_owned(),
        )),
        _ => Err(wrong()),
    }
}

/// Reads the password from a file or the environment, without the line end.
pub(super) fn password(file: Option<&Path>) -> Result<Option<InitialPassword>, SettingsError> {
    let text = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                SettingsError(format!(
                    "password_file: {} cannot be read: {e}",
                    path.display()
                ))
            })?;
            if text.trim_end_matches(['\r', '\n']).is_empty() {
                return Err(SettingsError(format!(
                    "password_file: {} is empty",
                    path.display()
                )));
            }
            Some(text)
        }
        None => std::env::var("JD_MANAGER_PASSWORD")
            .ok()
            .filter(|text| !text.is_empty()),
    };
    Ok(text.map(|text| InitialPassword(text.trim_end_matches(['\r', '\n']).to_owned())))
}
