//! Downloads documents and files from the configured server, following redirects.
//!
//! Servers are not trusted: time and size are limited, redirects must use HTTPS (or stay on the same
//! host), interrupted downloads are resumed, and a token is sent only to the configured server.
//! Independent of releases.

mod transfer;

pub use transfer::{DownloadRequest, DownloadResult};

use reqwest::header::{
    ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, Url};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::infra::http_client;

/// The time limit without data from a server.
const IDLE: Duration = Duration::from_secs(20);
/// The time limit for a document.
const WHOLE: Duration = Duration::from_secs(30);
/// The maximum size of a document, in bytes. Thirty releases with notes have about 300 KiB.
const DOCUMENT: u64 = 8 * 1024 * 1024;
/// Redirects followed. GitHub needs one.
const REDIRECTS: usize = 5;
/// The default wait after a rate limit without a given duration.
const LIMITED: Duration = Duration::from_secs(15 * 60);

/// Why a download failed. The texts are for people and name the host, never a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The URL is not allowed.
    #[error("{0} is not allowed: the address must use https")]
    Refused(String),
    /// No response, or repeated interruptions.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// The cause, if known.
        why: String,
    },
    /// Not found (404).
    #[error("{0} responded: not found (404)")]
    Absent(String),
    /// Rate limit; retry after this time.
    #[error("{host} limits the number of requests; retry after {}", until.local_minute())]
    Limited {
        /// The host.
        host: String,
        /// When requests are allowed again.
        until: Timestamp,
    },
    /// An unexpected status.
    #[error("{host} responded with status {status}")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// An invalid response.
    #[error("invalid response from {host}: {why}")]
    Wrong {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// The file cannot be written.
    #[error("cannot write the file: {0}")]
    Disk(String),
    /// The download was canceled.
    #[error("canceled")]
    Cancelled,
}

/// A document, or the information that it has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchedDocument {
    /// A new document.
    New {
        /// The text.
        text: String,
        /// The ETag for the next request.
        etag: Option<String>,
    },
    /// The document has not changed.
    Unchanged,
}

/// Downloads from one server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    base: Url,
    client: Arc<OnceLock<Result<Client, String>>>,
}

impl Fetcher {
    /// A downloader for the server at `base`. Certificate authorities are read with the first request.
    ///
    /// # Errors
    /// `base` is not a valid URL.
    pub fn new(base: &str) -> Result<Self, String> {
        let base =
            Url::parse(base).map_err(|e| format!("\"{base}\" is not a valid address: {e}"))?;
        Ok(Self {
            base,
            client: Arc::default(),
        })
    }

    async fn client(&self) -> Result<&Client, DownloadError> {
        if self.client.get().is_none() {
            let this = self.clone();
            // The thread is gone only if the program is stopping.
            let _ = tokio::task::spawn_blocking(move || {
                this.client.get_or_init(|| this.build()).is_ok()
            })
            .await;
        }
        let built = self.client.get_or_init(|| self.build());
        built.as_ref().map_err(|why| DownloadError::Unreachable {
            host: host(&self.base),
            why: why.clone(),
        })
    }

    fn build(&self) -> Result<Client, String> {
        let is_here = self.base.host_str().is_some_and(|host| {
            let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
        });
        let builder = if is_here {
            http_client::plain()
        } else {
            let tls = http_client::tls(http_client::authorities())
                .map_err(|e| format!("cannot set up TLS: {e}"))?;
            Client::builder().tls_backend_preconfigured(tls)
        };
        let base = self.base.clone();
        let follow = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                attempt.error("too many redirects")
            } else if is_allowed(&base, attempt.url()) {
                attempt.follow()
            } else {
                attempt.error("redirect to an address without https")
            }
        });
        let builder = builder
            .user_agent(http_client::USER_AGENT)
            .redirect(follow)
            .connect_timeout(IDLE)
            .read_timeout(IDLE);
        // Requests are rare; the server would close an idle connection anyway.
        builder
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| e.without_url().to_string())
    }

    /// A text document below the base URL; `path` starts with a slash. With the `etag` of a known
    /// document, the server sends only a new one. `token`: authorizes the request.
    ///
    /// # Errors
    /// The download failed.
    pub async fn document(
        &self,
        path: &str,
        etag: Option<&str>,
        token: Option<&str>,
    ) -> Result<FetchedDocument, DownloadError> {
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let host = host(&self.base);
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/vnd.github+json"),
        );
        headers.insert(
            HeaderName::from_static("x-github-api-version"),
            HeaderValue::from_static("2022-11-28"),
        );
        if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            headers.insert(IF_NONE_MATCH, etag);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                DownloadError::Wrong {
                    host: host.clone(),
                    why: "the token contains invalid characters".into(),
                }
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let ask = async {
            let client = self.client().await?;
            let mut response = client
                .get(&url)
                .headers(headers)
                .send()
                .await
                .map_err(|e| unreachable(&host, &e))?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(FetchedDocument::Unchanged);
            }
            judge(&host, &response)?;
            let etag = response
                .headers()
                .get(ETAG)
                .and_then(|tag| tag.to_str().ok())
                .map(str::to_owned);
            let mut text = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|e| unreachable(&host, &e))? {
                if (text.len() + piece.len()) as u64 > DOCUMENT {
                    return Err(DownloadError::Wrong {
                        host: host.clone(),
                        why: format!("the document is longer than {DOCUMENT} bytes"),
                    });
                }
                text.extend_from_slice(&piece);
            }
            let text = String::from_utf8(text).map_err(|_| DownloadError::Wrong {
                host: host.clone(),
                why: "the document is not UTF-8".into(),
            })?;
            Ok(FetchedDocument::New { text, etag })
        };
        let late = || DownloadError::Unreachable {
            host: host.clone(),
            why: format!("no complete response within {} s", WHOLE.as_secs()),
        };
        tokio::time::timeout(WHOLE, ask).await.map_err(|_| late())?
    }
}

/// HTTPS to any host; HTTP only to the host configured with HTTP.
fn is_allowed(base: &Url, url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => base.scheme() == "http" && url.host().is_some() && url.host() == base.host(),
        _ => false,
    }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the server");
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The innermost cause is the most useful: "connection refused", not "error sending request".
fn unreachable(host: &str, error: &reqwest::Error) -> DownloadError {
    let why = if error.is_timeout() {
        "no response in time".to_owned()
    } else {
        let chain = std::iter::successors(std::error::Error::source(error), |e| e.source());
        chain
            .last()
            .map_or_else(|| "connection interrupted".to_owned(), ToString::to_string)
    };
    DownloadError::Unreachable {
        host: host.to_owned(),
        why,
    }
}

/// Detects a rate limit as GitHub documents it: 403 or 429 with `retry-after`, or with no requests left
/// until `x-ratelimit-reset`.
fn judge(host: &str, response: &Response) -> Result<(), DownloadError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let host = host.to_owned();
    let number = |name: &HeaderName| {
        response
            .headers()
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse::<i64>()
            .ok()
    };
    let now = Timestamp::now();
    let wait = number(&RETRY_AFTER)
        .map(|seconds| now.after(Duration::from_secs(seconds.clamp(1, 86_400).unsigned_abs())));
    let is_used_up = number(&HeaderName::from_static("x-ratelimit-remaining")) == Some(0);
    let reset = number(&HeaderName::from_static("x-ratelimit-reset"))
        .filter(|_| is_used_up)
        .map(|at| {
            Timestamp(
                at.saturating_mul(1000)
                    .clamp(now.0 + 1000, now.0 + 86_400_000),
            )
        });
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(DownloadError::Absent(host)),
        StatusCode::TOO_MANY_REQUESTS => Err(DownloadError::Limited {
            host,
            until: wait.or(reset).unwrap_or(now.after(LIMITED)),
        }),
        StatusCode::FORBIDDEN => match wait.or(reset) {
            Some(until) => Err(DownloadError::Limited { host, until }),
            None => Err(DownloadError::Status { host, status: 403 }),
        },
        other => Err(DownloadError::Status {
            host,
            status: other.as_u16(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn only_https_and_the_configured_host_are_fetched_from() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (github, local) = (
            url("https://api.github.com/repos/x"),
            url("http://127.0.0.1:5/api"),
        );
        assert!(is_allowed(&github, &url("https://objects.example/file")));
        assert!(!is_allowed(&github, &url("http://api.github.com/file")));
        assert!(
            !is_allowed(&github, &url("http://127.0.0.1/file"))
                && !is_allowed(&github, &url("file:///etc/passwd"))
        );
        assert!(
            is_allowed(&local, &url("http://127.0.0.1:6/file"))
                && !is_allowed(&local, &url("http://127.0.0.2/file"))
        );
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_named_with_the_reason() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let fetcher = Fetcher::new(&format!("http://{free}")).unwrap();
        let failed = fetcher
            .document("/releases", None, Some("secret-token"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            failed.contains(&free.to_string()) && failed.contains("refused"),
            "{failed}"
        );
        assert!(!failed.contains("secret-token"));
        let ftp = Fetcher::new("http://127.0.0.1:1").unwrap();
        let cancel = CancellationToken::new();
        let wanted = DownloadRequest {
            url: "ftp://127.0.0.1/x",
            size: None,
            most: 1,
            told: &|_, _| {},
            cancel: &cancel,
        };
        assert!(matches!(
            ftp.download(&wanted, Path::new("/nowhere/x")).await,
            Err(DownloadError::Refused(_))
        ));
    }
}
