//! What every URL has in common: which representation is wanted, how a page, a fragment or JSON leaves, how an error looks,
//! who may change things from where.
//!
//! Layer 1: knows no domain and no database. The order of the layers is put together in `router.rs`.

pub mod assets;
pub mod caller;
pub mod csp;
pub mod error_pages;
pub mod extract;
pub mod negotiation;
pub mod openapi;
pub mod origin;
pub mod problem;
pub mod rate_limit;
pub mod respond;
pub mod sse;

pub use caller::{Caller, Peer, Role};
pub use extract::{Id, Input, Params};
pub use negotiation::{Form, LogForms, PageForms, PageOrStream, TextForms, Want};
pub use problem::{Problem, Reply};
pub use respond::{Done, Frame, Told, View, html};
