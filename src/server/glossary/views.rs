//! The page of the glossary, which is also its JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::{GlossaryTerm, TERMS};

/// `GET /glossary`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "glossary/show.html", blocks = ["main"])]
#[schemars(rename = "Glossary")]
pub struct GlossaryPage {
    /// All terms, in alphabetical order.
    terms: &'static [GlossaryTerm],
}

crate::view!(GlossaryPage { "main" => as_main });

impl GlossaryPage {
    /// The page with all terms.
    pub fn new() -> Self {
        Self { terms: TERMS }
    }
}

impl Default for GlossaryPage {
    fn default() -> Self {
        Self::new()
    }
}
