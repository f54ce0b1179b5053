//! The confirmation page before deleting something. One page for all domains, which provide the
//! texts.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::page_frame::PageFrame;
use super::respond::{PageView, html_with};

/// The texts of a confirmation.
#[derive(Debug, Default)]
pub struct ConfirmQuestion {
    /// The heading, such as `Delete barn?`.
    pub title: String,
    /// The navigation entry.
    pub nav: &'static str,
    /// What will be deleted, or why it cannot be deleted: a paragraph each.
    pub texts: Vec<String>,
    /// Related pages: address and name.
    pub links: Vec<(String, String)>,
    /// The form's address and the text of its button; none: not allowed.
    pub action: Option<(String, String)>,
    /// The address of the link back.
    pub back: String,
}

/// A confirmation page; its JSON is the object that would be deleted.
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
    /// The confirmation page for an object.
    pub fn new(subject: T, question: ConfirmQuestion) -> Self {
        Self { subject, question }
    }
}

impl<T: Serialize> PageView for ConfirmPage<T> {
    fn block(&self, name: &str, frame: &PageFrame) -> Option<askama::Result<String>> {
        (name == "main").then(|| html_with(&self.as_main(), frame))
    }
}
