//! Tables of routes, and the OpenAPI 3.1 document that is made of them.
//!
//! Knows no domain and no router. What an answer holds is told by the type that is
//! serialised (`schemars`); what is asked for is told by [`RequestField`]s, since bodies are read
//! member by member and by hand. Nothing is kept: a document is made when one is asked for.

mod curl;
mod document;
mod field;
mod operation;
mod route;
#[cfg(test)]
mod tests;

pub use curl::curl;
pub use document::{ApiDocument, OperationGroup, short_type};
pub use field::{
    RequestField, flag, id, list, member, moment, number, object, one_of, text, whole,
};
pub use operation::{
    ApiOperation, RequestBody, ResponseSpec, Shape, delete, get, patch, post, put, shape,
};
pub use route::{Route, RouteTable, RouterState};

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of pages.
pub const HTML: &str = "text/html";
/// The media type of streams.
pub const STREAM: &str = "text/event-stream";
/// The media type of plain text.
pub const TEXT: &str = "text/plain";
/// The media type of tables.
pub const CSV: &str = "text/csv";
/// The media type of forms.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// The media type of problem details.
pub const PROBLEM: &str = "application/problem+json";
/// Only for programs.
pub const PROGRAMS: &[&str] = &[JSON];
/// A page and its JSON.
pub const PAGE: &[&str] = &[JSON, HTML];
/// These and a stream of changes.
pub const PAGE_OR_STREAM: &[&str] = &[JSON, HTML, STREAM];
/// What a log is offered in.
pub const LOG: &[&str] = &[JSON, HTML, STREAM, TEXT];
