//! Sends a request to the jd-manager on a host, once, and returns its response.

use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::remote::RemoteSession;
use crate::base::error::Error;
use crate::programs::openssh::{OpenSsh, SshDestination, SshFailure};

/// The largest response that is read as a whole, in bytes.
const LARGEST: usize = 4 << 20;
/// Headers of a request that the host needs.
const SENT: [HeaderName; 3] = [
    ACCEPT,
    CONTENT_TYPE,
    HeaderName::from_static("last-event-id"),
];
/// Headers of a response that belong to its body.
const RETURNED: [HeaderName; 2] = [CONTENT_TYPE, RETRY_AFTER];

/// A request for a host.
#[derive(Clone, Debug)]
pub struct RemoteRequest {
    /// GET reads, everything else changes.
    pub method: Method,
    /// The path in the API there, with the query.
    pub path: String,
    /// The headers of the request that is passed on; others than those of its body and its response are
    /// left out.
    pub headers: HeaderMap,
    /// JSON; may be empty.
    pub body: Bytes,
}

impl RemoteRequest {
    /// A request for JSON.
    pub fn json(method: Method, path: impl Into<String>, body: Bytes) -> Self {
        let json = hyper::header::HeaderValue::from_static("application/json");
        let headers = [(ACCEPT, json.clone()), (CONTENT_TYPE, json)];
        Self {
            method,
            path: path.into(),
            headers: headers.into_iter().collect(),
            body,
        }
    }

    fn build(self) -> Result<Request<Body>, Error> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, "localhost");
        for name in SENT {
            if let Some(value) = self.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        request.body(self.body.into()).map_err(Error::internal)
    }
}

/// Why a host did not respond to a request.
#[derive(Debug)]
pub enum ForwardError {
    /// The request was not sent.
    NotSent(SshFailure),
    /// The connection was lost after the request: it may have been carried out.
    NoResponse(SshFailure),
    /// The request cannot be sent to any host.
    Invalid(Error),
}

/// Sends a request. Its response may be a stream that never ends. A change is sent only after the host
/// has responded to another request, so that a lost connection leaves no doubt in most cases.
///
/// # Errors
/// See [`ForwardError`].
pub async fn forward(
    ssh: &OpenSsh,
    to: &SshDestination,
    request: RemoteRequest,
) -> Result<Response, ForwardError> {
    let changes = request.method != Method::GET;
    let request = request.build().map_err(ForwardError::Invalid)?;
    let opened = RemoteSession::open(ssh, to).await;
    let mut session = opened.map_err(ForwardError::NotSent)?;
    if changes {
        let responds = session.get("/api/hosts").await;
        responds.map_err(ForwardError::NotSent)?;
    }
    let sent = session.send(request).await;
    let (parts, body) = sent.map_err(ForwardError::NoResponse)?.into_parts();
    let mut response = Response::new(session.into_body(body));
    *response.status_mut() = parts.status;
    for name in RETURNED {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

/// An error response of a host, or one that cannot be read.
#[derive(Debug)]
pub struct RemoteProblem {
    /// Its HTTP status.
    pub status: StatusCode,
    /// What the host says about it.
    pub detail: String,
}

/// Reads the JSON of a response.
///
/// # Errors
/// It is an error, too large, has another shape, or ended early.
pub async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, RemoteProblem> {
    let status = response.status();
    let problem = |detail: String| RemoteProblem { status, detail };
    let body = to_bytes(response.into_body(), LARGEST).await;
    let body =
        body.map_err(|e| problem(format!("The response ended early or is too large: {e}")))?;
    if status.is_success() {
        let read = serde_json::from_slice(&body);
        return read.map_err(|e| problem(format!("The response cannot be read: {e}")));
    }
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = said["detail"].as_str().map(str::to_owned);
    let detail = detail.unwrap_or_else(|| format!("The response has HTTP status {status}."));
    Err(problem(detail))
}
