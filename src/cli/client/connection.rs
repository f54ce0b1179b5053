//! Connects to a running manager: through its Unix socket, the port it listens on, a URL, or SSH.

use reqwest::redirect::Policy;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::ssh_bridge::SshBridge;
use crate::infra::http_client;
use crate::programs::openssh::SshDestination;
use crate::server::listener::{TlsFiles, reach};

/// A connection to a manager.
#[derive(Debug)]
pub(super) struct ApiConnection {
    http: reqwest::Client,
    /// The base URL without a trailing slash.
    base: String,
    /// The name of the manager in messages.
    pub(super) shown: String,
    /// The traffic can be read on the network: another machine, without TLS.
    pub(super) is_open: bool,
    /// The connection to another machine through SSH.
    pub(super) bridge: Option<SshBridge>,
    /// The socket's path refers to this open directory.
    _dir: Option<File>,
}

/// Timeout for connecting to a manager.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest response that is read into memory, in bytes. A manager's JSON is never close to that.
const LARGEST: usize = 128 << 20;

impl ApiConnection {
    /// Connects through the Unix socket. `None` if no program listens there.
    pub(super) fn by_socket(path: &Path) -> Result<Option<Self>, String> {
        let Ok((dir, short)) = reach(path) else {
            return Ok(None);
        };
        match std::os::unix::net::UnixStream::connect(&short) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(format!(
                    "cannot open {}: {e}. Run this command as the user that runs jd-manager.",
                    path.display()
                ));
            }
            Err(_) => return Ok(None),
        }
        let http = http_client::plain()
            .redirect(Policy::none())
            .unix_socket(short)
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Some(Self {
            http,
            base: "http://localhost".into(),
            shown: path.display().to_string(),
            is_open: false,
            bridge: None,
            _dir: Some(dir),
        }))
    }

    /// Connects to the address that a manager on this machine listens on.
    pub(super) fn by_port(listen: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, String> {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let address = SocketAddr::new(ip, listen.port());
        let (scheme, http) = match tls {
            None => ("http", http_client::plain()),
            // The certificate is for the name that other machines use.
            Some(files) => {
                let tls = http_client::tls_to(files.leaf()?).map_err(|e| e.to_string())?;
                (
                    "https",
                    reqwest::Client::builder()
                        .no_proxy()
                        .tls_backend_preconfigured(tls),
                )
            }
        };
        let http = http
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .build()
            .map_err(|e| e.to_string())?;
        let base = format!("{scheme}://{address}");
        // Traffic to an own address stays on this machine.
        Ok(Self {
            http,
            shown: base.clone(),
            base,
            is_open: false,
            bridge: None,
            _dir: None,
        })
    }

    /// Connects to a URL. HTTPS trusts the system's certificate authorities and the certificates in
    /// the file `trusted`.
    pub(super) fn by_url(url: &str, trusted: Option<&Path>) -> Result<Self, String> {
        let wrong = |why: &str| format!("--url: {why}. Example: https://miner.example.org:3000/");
        let url = reqwest::Url::parse(url)
            .map_err(|e| wrong(&format!("this is not a valid URL ({e})")))?;
        let Some(host) = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"))
        else {
            return Err(wrong("the URL must start with http:// or https://"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "the URL must not contain a name or password, because any user on this machine could see them. Use a token",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("the URL must not contain “?” or “#”"));
        }
        // The examples in the API documentation include /api.
        let base = url.as_str().trim_end_matches('/');
        let base = base.strip_suffix("/api").unwrap_or(base).to_owned();
        let http = if url.scheme() == "https" {
            let certificates = trusted.map(certificates).transpose()?.unwrap_or_default();
            let tls = http_client::tls_also_to(http_client::authorities(), certificates)
                .map_err(|e| e.to_string())?;
            reqwest::Client::builder().tls_backend_preconfigured(tls)
        } else {
            reqwest::Client::builder().tls_backend_preconfigured(http_client::no_trusted_roots())
        };
        let is_here = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|ip: IpAddr| ip.is_loopback());
        // Proxies from the environment do not apply to this machine.
        let http = if is_here { http.no_proxy() } else { http };
        let http = http
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .build()
            .map_err(|e| e.to_string())?;
        let is_open = url.scheme() == "http" && !is_here;
        Ok(Self {
            http,
            shown: base.clone(),
            base,
            is_open,
            bridge: None,
            _dir: None,
        })
    }

    /// Connects to the manager on another machine through SSH. Needs the async runtime.
    pub(super) fn by_host(host: &SshDestination) -> Result<Self, String> {
        let bridge = SshBridge::open(host.clone())?;
        let http = http_client::plain()
            .redirect(Policy::none())
            .unix_socket(bridge.socket().to_owned())
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self {
            http,
            base: "http://localhost".into(),
            shown: host.to_string(),
            is_open: false,
            bridge: Some(bridge),
            _dir: None,
        })
    }

    /// A request to a path.
    pub(super) fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        accept: &str,
    ) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .header("accept", accept)
    }
}

/// The text of a response; none if it is larger than any response from a manager.
pub(super) async fn read_text(mut response: reqwest::Response) -> reqwest::Result<Option<String>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > LARGEST {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |why: &str| format!("--tls-ca: {} {why}", file.display());
    let text = std::fs::read(file).map_err(|e| told(&format!("cannot be read: {e}")))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(told("contains no PEM certificate")),
        Err(e) => Err(told(&format!("contains no PEM certificate: {e}"))),
    }
}

/// The error with its causes: the outermost error says little.
pub(super) fn because(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |e| e.source());
    let mut said: Vec<String> = Vec::new();
    for part in chain.map(ToString::to_string) {
        if !said.iter().any(|before| before.contains(&part)) {
            said.push(part);
        }
    }
    said.join(": ")
}
