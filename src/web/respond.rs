//! Renders a page struct: as a page, as the block that htmx requested, or as JSON. One
//! struct, one template, one output function.
//!
//! Independent of the content of pages.

use axum::Json;
use axum::http::header::{LOCATION, VARY};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

use super::negotiation::{Offers, Representation, RequestContext};
use super::page_frame::PageFrame;
use super::problem::{ProblemResponse, Reply};
use crate::base::error::Error;

/// Marks an error response whose body a handler has already written in the requested representation.
#[derive(Clone, Copy, Debug)]
pub struct FormattedError;

/// Renders a part of a page that does not need the frame.
pub fn html(template: &impl askama::Template) -> askama::Result<String> {
    html_with(template, askama::NO_VALUES)
}

/// Renders a template for a browser, with the frame of the page as its values. The only function that
/// outputs HTML; it makes invisible characters visible.
pub fn html_with(
    template: &impl askama::Template,
    values: &dyn askama::Values,
) -> askama::Result<String> {
    let rendered = template.render_with_values(values)?;
    Ok(match crate::base::visible::on_page(&rendered) {
        Cow::Borrowed(_) => rendered,
        Cow::Owned(shown) => shown,
    })
}

/// A page: a template and, serialized, the JSON of the same resource.
pub trait PageView: askama::Template + Serialize {
    /// Only the named block (an htmx target's id); `None` if the page has no such block.
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>>;
}

/// Implements [`PageView`] for a page struct: which block belongs to which target id. `main` is
/// the whole content of the page and is used for every other id.
#[macro_export]
macro_rules! view {
    ($page:ty { $($id:literal => $block:ident),+ $(,)? }) => {
        impl $crate::web::PageView for $page {
            fn block(
                &self,
                name: &str,
                frame: &$crate::web::PageFrame,
            ) -> Option<askama::Result<String>> {
                match name {
                    $($id => Some($crate::web::html_with(&self.$block(), frame)),)+
                    _ => None,
                }
            }
        }
    };
}

/// Maximum bytes of text on one page of a list.
pub const LIST_BYTES: usize = 256 * 1024;
/// The same for a list that is usually needed as a whole and has small entries.
pub const WHOLE_LIST_BYTES: usize = 1024 * 1024;

/// The number of entries that fit on one page, at least one. `size`: approximate bytes of text in an
/// entry.
pub fn count_fitting<T>(entries: &[T], size: impl Fn(&T) -> usize) -> usize {
    count_fitting_in(LIST_BYTES, entries, size)
}

/// The same with `room` bytes.
pub fn count_fitting_in<T>(mut room: usize, entries: &[T], size: impl Fn(&T) -> usize) -> usize {
    let fits = |entry: &&T| {
        let left = room.checked_sub(size(entry));
        room = left.unwrap_or(0);
        left.is_some()
    };
    entries.iter().take_while(fits).count().max(1)
}

impl<O: Offers> RequestContext<O> {
    /// The page in the requested representation.
    pub fn respond(&self, view: &impl PageView) -> Reply {
        self.respond_with(StatusCode::OK, view)
    }

    /// Like [`respond`](Self::respond), for a page that may be large: it is rendered on a thread for
    /// blocking work, so that it delays no other response.
    pub async fn respond_blocking(self, view: impl PageView + Send + 'static) -> Reply
    where
        O: Send + 'static,
    {
        self.respond_blocking_with(StatusCode::OK, view).await
    }

    /// The same with another status.
    pub async fn respond_blocking_with(
        self,
        status: StatusCode,
        view: impl PageView + Send + 'static,
    ) -> Reply
    where
        O: Send + 'static,
    {
        tokio::task::spawn_blocking(move || self.respond_with(status, &view))
            .await
            .map_err(Error::internal)?
    }

    /// Sends a browser to the next page: 303 for a plain form, a redirect header for htmx.
    ///
    /// # Errors
    /// A path that is not a valid header value is an internal error.
    pub fn redirect(&self, next: &str) -> Reply {
        if !self.asked.fragment {
            return Ok(Redirect::to(next).into_response());
        }
        let to = HeaderValue::try_from(next).map_err(Error::internal)?;
        Ok([(HeaderName::from_static("hx-redirect"), to)].into_response())
    }

    /// The page with another status, for example 422 for a form with errors.
    pub fn respond_with(&self, status: StatusCode, view: &impl PageView) -> Reply {
        let mut response = match self.form {
            Representation::Html => {
                let page = if self.asked.fragment {
                    let target = self.asked.target.as_deref().unwrap_or("main");
                    view.block(target, &self.frame)
                        .or_else(|| view.block("main", &self.frame))
                        .unwrap_or_else(|| html_with(view, &self.frame))
                } else {
                    html_with(view, &self.frame)
                };
                Html(page.map_err(Error::internal)?).into_response()
            }
            Representation::Json
            | Representation::EventStream
            | Representation::Text
            | Representation::Csv
            | Representation::OpenMetrics
            | Representation::Prometheus => Json(view).into_response(),
        };
        *response.status_mut() = status;
        response.extensions_mut().insert(FormattedError);
        Ok(response)
    }
}

/// A completed change: JSON for programs, the next page for browsers.
#[derive(Debug)]
pub struct ChangeResponse<J> {
    json: J,
    status: StatusCode,
    /// The URL of the new object or job.
    location: Option<String>,
    /// The next page for browsers (303).
    next: String,
}

/// The JSON of a completed change, with its details.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "{T}Body")]
pub(crate) struct SuccessResponse<T> {
    /// Always true; errors are problem details.
    success: bool,
    #[serde(flatten)]
    details: T,
}

impl<J: Serialize> ChangeResponse<J> {
    /// 200 with details for programs; browsers go to `next`.
    pub fn new(json: J, next: impl Into<String>) -> Self {
        Self {
            json,
            status: StatusCode::OK,
            location: None,
            next: next.into(),
        }
    }

    /// Something was created, with this URL: 201.
    pub fn created(self, location: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CREATED,
            location: Some(location.into()),
            ..self
        }
    }

    /// Like [`created`](Self::created) if it is new.
    pub fn created_if(self, is_new: bool, location: impl Into<String>) -> Self {
        if is_new { self.created(location) } else { self }
    }

    /// A job was started; its progress is at this URL: 202.
    pub fn accepted(self, location: impl Into<String>) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            ..self.created(location)
        }
    }

    /// JSON for programs, 303 to the next page for a plain form, a redirect header for
    /// htmx.
    pub fn respond<O: Offers>(self, want: &RequestContext<O>) -> Reply {
        if want.form == Representation::Html {
            return want.redirect(&self.next);
        }
        let json = Json(SuccessResponse {
            success: true,
            details: self.json,
        });
        // Under `/api`, the new object's address is also under `/api`.
        let prefix = if want.asked.api { "/api" } else { "" };
        let location = self
            .location
            .map(|at| [(LOCATION, format!("{prefix}{at}"))]);
        Ok((self.status, location, json).into_response())
    }
}

/// The JSON of a change without further details.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Done")]
pub struct MessageResponse {
    /// A message for people.
    message: String,
}

impl MessageResponse {
    /// The response to a completed change.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Adds `Vary`, because every response except a static file depends on these request headers.
pub fn add_vary(response: &mut Response, is_asset: bool) {
    if !is_asset || !matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED) {
        let read = "accept, authorization, cookie, hx-request, hx-request-type, hx-boosted, hx-history-restore-request, hx-target";
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_static(read));
    }
}

/// The next page from a form's hidden field `next`, if it is a path on this site; otherwise
/// `otherwise`.
pub fn next_page(given: Option<&str>, otherwise: &str) -> String {
    match given {
        // `//host` and `/\host` would lead elsewhere, control characters would break the header.
        Some(path)
            if path.starts_with('/')
                && !path[1..].starts_with(['/', '\\'])
                && path.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            path.to_owned()
        }
        _ => otherwise.to_owned(),
    }
}

impl From<askama::Error> for ProblemResponse {
    fn from(error: askama::Error) -> Self {
        Error::internal(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn the_next_page_is_on_this_site() {
        assert_eq!(next_page(Some("/instances?x=1"), "/"), "/instances?x=1");
        for bad in [
            "//evil",
            "/\\evil",
            "https://evil",
            "",
            "/a b",
            "/a\r\nX: y",
            "x",
        ] {
            assert_eq!(next_page(Some(bad), "/"), "/", "{bad:?}");
        }
        assert_eq!(next_page(None, "/instances"), "/instances");
    }
}
