//! The login page, and the page that hands back a form that was sent without a valid session.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::access::pending_form::KeptForm;
use crate::view;

/// `GET /login` and a login that was refused.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/login.html", blocks = ["main"])]
#[schemars(rename = "Login")]
pub struct LoginPage {
    /// Where one goes then.
    next: String,
    #[serde(skip)]
    name: String,
    /// Why nobody was let in.
    refused: Option<String>,
    /// Somebody has a password.
    has_users: bool,
    /// Nobody has, and one can be set at `/login/first`.
    first_visit: bool,
    /// Another site led here, and then browsers leave the session out: the page asks once more by
    /// itself.
    #[serde(skip)]
    ask_again: bool,
    /// A form that was sent without a valid session.
    #[serde(skip)]
    kept: Option<KeptForm>,
}
view!(LoginPage { "main" => as_main });

impl LoginPage {
    /// The empty login.
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

    /// The login once more, with why it was refused.
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

    /// The login for somebody whose form was sent without a valid session.
    pub fn keeping(kept: KeptForm) -> Self {
        Self {
            kept: Some(kept),
            ..Self::new("/".into(), (true, false), false)
        }
    }
}

/// After signing in with a form that was kept: it can be submitted again.
#[derive(Debug, Template, Serialize)]
#[template(path = "access/kept.html", blocks = ["main"])]
pub struct KeptPage {
    #[serde(skip)]
    kept: KeptForm,
}
view!(KeptPage { "main" => as_main });

impl KeptPage {
    /// The page that hands a form back.
    pub fn new(kept: KeptForm) -> Self {
        Self { kept }
    }
}
