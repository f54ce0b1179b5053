//! How a running manager is reached: by its Unix socket, by the port it listens on, or by an address elsewhere.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::listener::{TlsFiles, reach};
use crate::outgoing;

/// A manager that can be asked.
#[derive(Debug)]
pub(super) struct Connection {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    /// How people call it in messages.
    pub(super) shown: String,
    /// The socket's path leads through it.
    _dir: Option<File>,
}

/// Time to get through to a manager.
const CONNECT: Duration = Duration::from_secs(5);

impl Connection {
    /// By the Unix socket. `None` if nobody listens there.
    pub(super) fn by_socket(path: &Path) -> Result<Option<Self>, String> {
        let Ok((dir, short)) = reach(path) else { return Ok(None) };
        match std::os::unix::net::UnixStream::connect(&short) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(format!(
                    "{} belongs to another user: {e}. Run this as the user whom jd-manager runs as.",
                    path.display()
                ));
            }
            Err(_) => return Ok(None),
        }
        let http = outgoing::plain().unix_socket(short).build().map_err(|e| e.to_string())?;
        Ok(Some(Self { http, base: "http://localhost".into(), shown: path.display().to_string(), _dir: Some(dir) }))
    }

    /// By the address that a manager on this machine listens on.
    pub(super) fn by_port(listen: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, String> {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let address = SocketAddr::new(ip, listen.port());
        let (scheme, http) = match tls {
            None => ("http", outgoing::plain()),
            // Its certificate is for the name that others know it by.
            Some(files) => {
                let tls = outgoing::tls_to(files.leaf()?).map_err(|e| e.to_string())?;
                ("https", reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls))
            }
        };
        let http = http.connect_timeout(CONNECT).build().map_err(|e| e.to_string())?;
        let base = format!("{scheme}://{address}");
        Ok(Self { http, shown: base.clone(), base, _dir: None })
    }

    /// A request for a path.
    pub(super) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("accept", "application/json")
    }
}
