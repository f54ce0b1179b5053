//! How a page struct leaves: as a page, as the block of it that htmx asked for, or as JSON. One
//! struct, one template, one way out.
//!
//! Knows nothing of what is in a page.

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

/// Marks an error response whose body a handler has already written in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct FormattedError;

/// Renders a part of a page that does not need the frame.
pub fn html(template: &impl askama::Template) -> askama::Result<String> {
    html_with(template, askama::NO_VALUES)
}

/// Renders a template for a browser, with the frame of the page as its values. The only way out for
/// HTML: whatever text of others is in it, characters that hide something are shown.
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

/// A page: a template and, serialised, the JSON of the same resource.
pub trait PageView: askama::Template + Serialize {
    /// The named block alone (an htmx target's id); `None` when the page has no such block.
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>>;
}

/// Implements [`PageView`] for a page struct: which block answers for which target id. `main` is
/// the whole of the page's content and answers for every other id.
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

/// Bytes of text in the entries of one page of a list.
pub const LIST_BYTES: usize = 256 * 1024;
/// The same of a list that is mostly wanted as a whole, and whose entries are mostly small.
pub const WHOLE_LIST_BYTES: usize = 1024 * 1024;

/// How many of these entries fit on one page, at least one. `size` is about the bytes of text in an
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
    /// The page in the form that was asked for.
    pub fn respond(&self, view: &impl PageView) -> Reply {
        self.respond_with(StatusCode::OK, view)
    }

    /// As [`respond`](Self::respond), for a page that may be large: it is rendered on a thread for
    /// blocking work, so that it delays no other response.
    pub async fn respond_blocking(self, view: impl PageView + Send + 'static) -> Reply
    where
        O: Send + 'static,
    {
        tokio::task::spawn_blocking(move || self.respond(&view))
            .await
            .map_err(Error::internal)?
    }

    /// Where a browser goes next: 303 for a plain form, for htmx the order to go there.
    ///
    /// # Errors
    /// A path that no header can hold is a fault of ours.
    pub fn redirect(&self, next: &str) -> Reply {
        if !self.asked.fragment {
            return Ok(Redirect::to(next).into_response());
        }
        let to = HeaderValue::try_from(next).map_err(Error::internal)?;
        Ok([(HeaderName::from_static("hx-redirect"), to)].into_response())
    }

    /// The page with a status of its own, e.g. 422 for a form shown again with its errors.
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

/// A change that was made: what programs are told and where people are sent.
#[derive(Debug)]
pub struct ChangeResponse<J> {
    json: J,
    status: StatusCode,
    /// The URL of what was made or has begun.
    location: Option<String>,
    /// Where a browser goes next (303).
    next: String,
}

/// What programs are told of a change: that it was made, and its details.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "{T}Body")]
pub(crate) struct SuccessResponse<T> {
    /// Always true; an error is a problem.
    success: bool,
    #[serde(flatten)]
    details: T,
}

impl<J: Serialize> ChangeResponse<J> {
    /// Programs get the details with 200, browsers go to `next`.
    pub fn new(json: J, next: impl Into<String>) -> Self {
        Self {
            json,
            status: StatusCode::OK,
            location: None,
            next: next.into(),
        }
    }

    /// Something was made, with this URL: 201.
    pub fn created(self, location: impl Into<String>) -> Self {
        Self {
            status: StatusCode::CREATED,
            location: Some(location.into()),
            ..self
        }
    }

    /// As [`created`](Self::created) if it is new.
    pub fn created_if(self, is_new: bool, location: impl Into<String>) -> Self {
        if is_new { self.created(location) } else { self }
    }

    /// Work has begun and can be followed at this URL: 202.
    pub fn accepted(self, location: impl Into<String>) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            ..self.created(location)
        }
    }

    /// For programs the JSON, for a plain form a 303 to the next page, for htmx the order to go
    /// there.
    pub fn respond<O: Offers>(self, want: &RequestContext<O>) -> Reply {
        if want.form == Representation::Html {
            return want.redirect(&self.next);
        }
        let json = Json(SuccessResponse {
            success: true,
            details: self.json,
        });
        // Below `/api` the new thing's address is below `/api` as well.
        let prefix = if want.asked.api { "/api" } else { "" };
        let location = self
            .location
            .map(|at| [(LOCATION, format!("{prefix}{at}"))]);
        Ok((self.status, location, json).into_response())
    }
}

/// What a program is told of a change that has nothing else to say.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Done")]
pub struct MessageResponse {
    /// What was done, for people.
    message: String,
}

impl MessageResponse {
    /// It was done.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Middleware: every answer depends on these request headers, so caches must be told.
pub async fn vary(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let is_asset = request.uri().path().starts_with("/static/");
    let mut response = next.run(request).await;
    if !is_asset || !matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED) {
        let read = "accept, authorization, cookie, hx-request, hx-request-type, hx-boosted, hx-history-restore-request, hx-target";
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_static(read));
    }
    response
}

/// The next page a form names in its hidden field `next`, if it is a path on this site; else
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
