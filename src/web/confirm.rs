//! The page that asks before something is deleted. One page for all domains; they say what it is
//! about.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::page_frame::PageFrame;
use super::respond::{PageView, html_with};

/// What is asked.
#[derive(Debug, Default)]
pub struct ConfirmQuestion {
    /// The heading, such as `Delete barn?`.
    pub title: String,
    /// The entry of the navigation that it belongs to.
    pub nav: &'static str,
    /// What will be lost, or why it cannot be done: a paragraph each.
    pub texts: Vec<String>,
    /// Pages that the texts speak of: address and name.
    pub links: Vec<(String, String)>,
    /// Where the form is sent and what its button says; none: it cannot be done.
    pub action: Option<(String, String)>,
    /// Where the way back leads.
    pub back: String,
}

/// A question; its JSON is what would be deleted.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "confirm.html", blocks = ["main"])]
#[schemars(rename = "{T}Question")]
pub struct ConfirmPage<T> {
    #[serde(flatten)]
    subject: T,
    #[serde(skip)]
    question: ConfirmQuestion,
}

impl<T> ConfirmPage<T> {
    /// The question about a thing.
    pub fn new(subject: T, question: ConfirmQuestion) -> Self {
        Self { subject, question }
    }
}

impl<T: Serialize> PageView for ConfirmPage<T> {
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>> {
        (name == "main").then(|| html_with(&self.as_main(), frame))
    }
}
