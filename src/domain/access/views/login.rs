//! The sign-in page, and the page that returns a form that was sent without a valid session.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::access::pending_form::KeptForm;
use crate::view;

/// `GET /login`, also after a failed sign-in.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/login.html", blocks = ["main"])]
#[schemars(rename = "Login")]
pub struct LoginPage {
    /// The page to open after signing in.
    next: String,
    #[serde(skip)]
    name: String,
    /// The reason for a failed sign-in.
    refused: Option<String>,
    /// Whether there is a user.
    has_users: bool,
    /// There are no users, and the first one can be created at `/login/first`.
    first_visit: bool,
    /// A link on another site led here, and browsers then do not send the session cookie: the page reloads
    /// automatically.
    #[serde(skip)]
    ask_again: bool,
    /// A form that was sent without a valid session.
    #[serde(skip)]
    kept: Option<KeptForm>,
}
view!(LoginPage { "main" => as_main });

impl LoginPage {
    /// The empty form.
    pub fn new(next: String, (has_users, first_visit): (bool, bool), ask_again: bool) -> Self {
        Self {
            next,
            name: String::new(),
            refused: None,
            has_users,
            first_visit,
            ask_again,
            kept: None,
        }
    }

    /// The form after a failed sign-in, with the reason.
    pub fn refused(next: String, name: String, why: String, kept: Option<KeptForm>) -> Self {
        Self {
            next,
            name,
            refused: Some(why),
            has_users: true,
            first_visit: false,
            ask_again: false,
            kept,
        }
    }

    /// The sign-in page after a form that was sent without a valid session.
    pub fn keeping(kept: KeptForm) -> Self {
        Self {
            kept: Some(kept),
            ..Self::new("/".into(), (true, false), false)
        }
    }
}

/// Shown after signing in with a kept form, which can be submitted again.
#[derive(Debug, Template, Serialize)]
#[template(path = "access/kept.html", blocks = ["main"])]
pub struct KeptPage {
    #[serde(skip)]
    kept: KeptForm,
}
view!(KeptPage { "main" => as_main });

impl KeptPage {
    /// The page with the kept form.
    pub fn new(kept: KeptForm) -> Self {
        Self { kept }
    }
}
