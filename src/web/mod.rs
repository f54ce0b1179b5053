//! Shared by all HTTP routes. Independent of domains and the database.
//!
//! * [`negotiation`]: which representation a request gets. [`extract`]: ids, parameters and bodies.
//! * [`respond`]: pages as HTML, fragment or JSON. [`page_frame`]: the frame around pages. [`problem`]: error responses.
//! * [`caller`]: who sent the request. [`origin`]: which hosts and sites may send one.
//! * [`rate_limit`]: requests per address. [`csp`]: security headers. [`sse`]: event streams.
//! * [`shared_streams`]: streams whose items many readers share.
//! * [`assets`]: static files. [`glossary`]: terms that pages link to. [`openapi`]: descriptions of operations, and the OpenAPI document.
//!
//! `server/router.rs` puts the middleware in order.

mod actor;
pub mod assets;
pub mod caller;
pub mod confirm;
pub mod csp;
pub mod error_pages;
pub mod extract;
pub mod glossary;
pub mod negotiation;
pub mod openapi;
pub mod origin;
pub mod page_frame;
pub mod problem;
pub mod rate_limit;
pub mod respond;
pub mod shared_streams;
pub mod sse;

pub use actor::AuditText;
pub use caller::{Caller, PeerAddress, Role};
pub use confirm::{ConfirmPage, ConfirmQuestion};
pub use extract::{PathId, QueryParams, RequestInput};
pub use negotiation::{
    LogForms, PageForms, PageOrStream, Representation, RequestContext, TextForms,
};
pub use page_frame::PageFrame;
pub use problem::{ProblemResponse, Reply};
pub use respond::{ChangeResponse, MessageResponse, PageView, html, html_with};
