//! Route tables, and the OpenAPI 3.1 document built from them.
//!
//! Does not depend on any domain. The serialized type describes a response (`schemars`);
//! [`RequestField`]s describe a request, and the readers of queries and bodies use the same fields.
//! The document is built on request and not cached.

mod curl;
mod document;
mod field;
mod operation;
mod route;
#[cfg(test)]
mod tests;

pub use curl::curl;
pub use document::{ApiDocument, OperationGroup, short_type};
pub(crate) use field::any_of;
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
/// For programs only.
pub const PROGRAMS: &[&str] = &[JSON];
/// A page and its JSON.
pub const PAGE: &[&str] = &[JSON, HTML];
/// A page, JSON, and a stream of changes.
pub const PAGE_OR_STREAM: &[&str] = &[JSON, HTML, STREAM];
/// The media types of a log.
pub const LOG: &[&str] = &[JSON, HTML, STREAM, TEXT];
