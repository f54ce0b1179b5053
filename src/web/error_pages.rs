//! Renders all errors: RFC 9457 problem details for programs, a page for
//! people, a notice for htmx.
//!
//! [`render`] writes each [`ProblemResponse`] in the requested representation. Errors of the framework
//! itself (404, 405, 413, timeouts, panics) take the same path.

use askama::Template;
use axum::Json;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_RANGES, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::negotiation::{Representation, RequestedFormat};
use super::page_frame::PageFrame;
use super::problem::ProblemResponse;
use super::respond::{FormattedError, html, html_with};
use crate::base::error::FieldError;

/// Fields of RFC 9457, plus `success` and `error` for clients of the original API.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Problem")]
pub struct ProblemDetails<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    request_id: &'a str,
    success: bool,
    error: &'a str,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

#[derive(Template)]
#[template(path = "error.html", blocks = ["notice"])]
struct ErrorPage<'a> {
    title: &'a str,
    detail: &'a str,
    errors: &'a [FieldError],
    request_id: &'a str,
    /// No one is signed in: the page links to the sign-in page.
    needs_login: bool,
}

/// The title of an error page. It never shows the HTTP name of a status.
fn page_title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "Check your input",
        StatusCode::UNAUTHORIZED => "Sign in first",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_ACCEPTABLE => {
            "This address does not work in a browser"
        }
        StatusCode::CONFLICT => "Not possible right now",
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::URI_TOO_LONG => "Too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "File type not supported",
        StatusCode::MISDIRECTED_REQUEST => "Unknown host name",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "Something went wrong",
    }
}

/// The text for a page, if the detail for programs is about HTTP.
fn page_detail(status: StatusCode) -> Option<&'static str> {
    let is_of_http = [
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_ACCEPTABLE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
    ]
    .contains(&status);
    is_of_http.then_some("Go back and use the buttons and links on the page.")
}

/// An id that finds the log lines of a request: unlike others, but not secret. A text only where it
/// is shown.
#[derive(Clone, Copy, Debug)]
struct RequestId(u64);

impl RequestId {
    /// The keys of a `RandomState` are random once per thread and then counted, so this needs no
    /// system call.
    fn random() -> Self {
        Self(RandomState::new().hash_one(()) >> 16)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

/// Runs the request and writes every error, of a handler or of the framework, in the requested
/// representation.
pub async fn render<F>(
    frame: &PageFrame,
    mut request: Request,
    run: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let asked = RequestedFormat::read(request.uri().path(), request.headers());
    let request_id = RequestId::random();
    let has_body = request.headers().contains_key(TRANSFER_ENCODING)
        || request
            .headers()
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0");
    request.extensions_mut().insert(frame.clone());
    request.extensions_mut().insert(asked.clone());
    let span = tracing::info_span!("request", id = %request_id, method = %request.method(), path = %request.uri().path());
    let response = tracing::Instrument::instrument(run(request), span).await;

    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<FormattedError>().is_some() {
        return response;
    }
    let request_id = request_id.to_string();
    let (parts, body) = response.into_parts();
    let ProblemResponse(problem) = match parts.extensions.get::<ProblemResponse>() {
        Some(problem) => problem.clone(),
        None => {
            // Rejections of the framework contain their reason as short text.
            let text = axum::body::to_bytes(body, 4096)
                .await
                .ok()
                .and_then(|b| String::from_utf8(b.to_vec()).ok());
            ProblemResponse::from_status(status, text.filter(|t| !t.is_empty()))
        }
    };
    let detail = if problem.detail.is_empty() {
        format!("jd-manager had an internal error. Search its log for request {request_id}.")
    } else {
        problem.detail.clone()
    };
    let title = problem.status.canonical_reason().unwrap_or("Error");
    // The access check has set the caller.
    let frame = parts.extensions.get::<PageFrame>().unwrap_or(frame);
    // The detail is the text of the first error; with one error, a list would repeat it.
    let text = problem.errors.first().map_or(
        Cow::Borrowed(page_detail(problem.status).unwrap_or(&detail)),
        FieldError::page_text,
    );
    let errors = if problem.errors.len() > 1 {
        problem.errors.as_slice()
    } else {
        &[]
    };
    let needs_login = problem.status == StatusCode::UNAUTHORIZED;
    let page = ErrorPage {
        title: page_title(problem.status),
        detail: &text,
        errors,
        request_id: &request_id,
        needs_login,
    };
    let mut response = match asked.for_errors() {
        Representation::Html if asked.fragment => {
            let mut response = Html(html(&page.as_notice()).unwrap_or_default()).into_response();
            response
                .headers_mut()
                .insert("HX-Retarget", HeaderValue::from_static("#notices"));
            response
                .headers_mut()
                .insert("HX-Reswap", HeaderValue::from_static("innerHTML show:top"));
            response
        }
        Representation::Html => Html(html_with(&page, frame).unwrap_or_default()).into_response(),
        _ => {
            let details = ProblemDetails {
                r#type: "about:blank",
                title,
                status: problem.status.as_u16(),
                detail: &detail,
                errors: &problem.errors,
                request_id: &request_id,
                success: false,
                error: &detail,
                members: &problem.members,
            };
            let mut response = Json(details).into_response();
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            );
            response
        }
    };
    *response.status_mut() = problem.status;
    if has_body {
        // The body may not have been read completely; then the connection cannot be reused,
        // and clients must be informed.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in parts.headers.iter().chain(problem.headers.iter()) {
        if ![
            CONTENT_TYPE,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            ACCEPT_RANGES,
        ]
        .contains(name)
        {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
