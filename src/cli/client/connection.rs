//! How a running manager is reached: by its Unix socket, by the port it listens on, or by an
//! address elsewhere.

use reqwest::redirect::Policy;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::infra::http_client;
use crate::server::listener::{TlsFiles, reach};

/// A manager that can be asked.
#[derive(Debug)]
pub(super) struct ApiConnection {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    /// How people call it in messages.
    pub(super) shown: String,
    /// Whoever is on the way can read what is said: another machine, without TLS.
    pub(super) is_open: bool,
    /// The socket's path leads through it.
    _dir: Option<File>,
}

/// Time to get through to a manager.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is read into memory, bytes: no manager's JSON is near that.
const LARGEST: usize = 128 << 20;

impl ApiConnection {
    /// By the Unix socket. `None` if nobody listens there.
    pub(super) fn by_socket(path: &Path) -> Result<Option<Self>, String> {
        let Ok((dir, short)) = reach(path) else {
            return Ok(None);
        };
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
            _dir: Some(dir),
        }))
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
            None => ("http", http_client::plain()),
            // Its certificate is for the name that others know it by.
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
        // What goes to an address of one's own stays in the machine.
        Ok(Self {
            http,
            shown: base.clone(),
            base,
            is_open: false,
            _dir: None,
        })
    }

    /// By an address anywhere. Over HTTPS the machine's authorities are trusted, and what is in the
    /// file `trusted`.
    pub(super) fn by_url(url: &str, trusted: Option<&Path>) -> Result<Self, String> {
        let wrong = |why: &str| format!("--url: {why}, such as https://miner.example.org:3000/");
        let url = reqwest::Url::parse(url)
            .map_err(|e| wrong(&format!("that is no address ({e}); one is wanted")))?;
        let Some(host) = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"))
        else {
            return Err(wrong("an address of http or https is wanted"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                "a name or a password in it would be seen by everybody on this machine; use a token and an address without them",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("an address without “?” and “#” is wanted"));
        }
        // As in the examples of the API's documentation.
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
        // A proxy of the environment has nothing to do with this machine.
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
            _dir: None,
        })
    }

    /// A request for a path.
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

/// The text of an answer; none if it is larger than any that a manager gives.
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
        Ok(_) => Err(told("holds no certificate in PEM")),
        Err(e) => Err(told(&format!("holds no certificate in PEM: {e}"))),
    }
}

/// The error with what it came from: the outermost says little.
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
