//! Error responses. Handlers and middleware return a [`ProblemResponse`]; it
//! is stored in the response's extensions, and [`error_pages`](super::error_pages) writes it in
//! the requested representation. The cause of a 500 is only in the log.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::base::error::{Error, FieldError};

/// The result of a handler.
pub type Reply = Result<Response, ProblemResponse>;

/// An error response. Boxed, because every handler's result has space for one.
#[derive(Clone, Debug)]
pub struct ProblemResponse(pub(super) Box<ProblemParts>);

#[derive(Clone, Debug)]
pub(super) struct ProblemParts {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    pub(super) errors: Vec<FieldError>,
    pub(super) headers: HeaderMap,
    pub(super) members: Map<String, Value>,
}

impl ProblemResponse {
    /// A problem with a status and a message with the problem and the fix.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemParts {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            headers: HeaderMap::new(),
            members: Map::new(),
        }))
    }

    /// Adds sentences to the detail.
    pub fn with_detail(mut self, text: &str) -> Self {
        self.0.detail.push_str(text);
        self
    }

    /// Adds a header that belongs to the status (`Allow`, `Retry-After`).
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Adds a field to the JSON, for programs.
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// One entry per wrong field.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// From a response of the framework that has only a status.
    pub(super) fn from_status(status: StatusCode, text: Option<String>) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "There is nothing at this address.".into(),
            StatusCode::METHOD_NOT_ALLOWED => {
                "This address does not support this method. The Allow header lists the supported methods."
                    .into()
            }
            StatusCode::PAYLOAD_TOO_LARGE => "The body is too large. The limit is 1 MiB.".into(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                "Send application/json or application/x-www-form-urlencoded.".into()
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
                "The request timed out.".into()
            }
            s if s.is_server_error() => String::new(),
            _ => text.unwrap_or_else(|| "The request is not valid.".into()),
        };
        Self::new(status, detail)
    }
}

impl From<Error> for ProblemResponse {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => {
                Self::new(StatusCode::NOT_FOUND, sentence(&error.to_string()))
            }
            Error::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Error::Invalid(errors) => {
                let detail = Error::Invalid(errors.clone()).to_string();
                let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
                problem.0.errors = errors;
                problem
            }
            Error::Unavailable {
                detail,
                retry_after,
            } => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
                match retry_after {
                    Some(wait) => {
                        problem.with_header(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))
                    }
                    None => problem,
                }
            }
            Error::Internal(cause) => {
                tracing::error!(cause = %chain(cause.as_ref()), "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }
}

fn chain(cause: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(cause), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Capitalizes the first letter and adds a period.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|c| c.to_uppercase().to_string())
        .unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?', ')']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", letters.as_str())
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
