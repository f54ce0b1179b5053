//! The page `/glossary`. The terms are in `web/glossary.rs`, because other pages link to them.

pub mod routes;
mod views;

pub use crate::web::glossary::{GlossaryTerm, TERMS};
pub use views::GlossaryPage;
