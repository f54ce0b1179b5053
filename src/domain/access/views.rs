//! Pages of access and their JSON. No I/O. A secret is only on the one page that shows it
//! once.

mod login;

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use strum::IntoEnumIterator;

use super::model::{ApiToken, AuditRow, LoginSession, UserAccount};
use super::{password, second_factor};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::FieldError;
use crate::infra::qr_code::qr_code_svg;
use crate::view;
use crate::web::{ConfirmPage, ConfirmQuestion};
use crate::web::{PageFrame, Role};

pub use login::{KeptPage, LoginPage};

/// The input of a form that is shown again, without passwords, and its errors.
#[derive(Clone, Debug, Default)]
pub struct FormInput {
    /// The submitted fields.
    pub given: Vec<(String, String)>,
    /// The errors.
    pub errors: Vec<FieldError>,
}

impl FormInput {
    /// The text of a field, except for secrets.
    pub fn text(&self, name: &str) -> &str {
        self.given
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, text)| text)
    }

    /// The error of a field.
    pub fn wrong(&self, name: &str) -> Option<Cow<'_, str>> {
        self.errors
            .iter()
            .find(|e| e.pointer.strip_prefix('/') == Some(name))
            .map(FieldError::page_text)
    }
}

/// `GET /login/first`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/first.html", blocks = ["main"])]
#[schemars(rename = "FirstVisit")]
pub struct FirstPage {
    /// Minimum length of a password.
    shortest_password: usize,
    #[serde(skip)]
    again: FormInput,
}
view!(FirstPage { "main" => as_main });

impl FirstPage {
    /// The form, empty or with earlier input.
    pub fn new(again: FormInput) -> Self {
        Self {
            shortest_password: password::SHORTEST,
            again,
        }
    }
}

/// `GET /account`: your account.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/account.html", blocks = ["main"])]
#[schemars(rename = "Account")]
pub struct AccountPage {
    #[serde(skip)]
    now: Timestamp,
    /// The name; "this machine" for the local account.
    name: String,
    /// The role.
    role: Role,
    /// The user; `null` for the local account.
    user: Option<UserAccount>,
    /// The user's sessions, last used first.
    sessions: Vec<LoginSession>,
    /// Whether there is a user.
    has_users: bool,
    #[serde(skip)]
    again: FormInput,
    #[serde(skip)]
    shortest_password: usize,
}
view!(AccountPage { "main" => as_main });

impl AccountPage {
    /// The page for a caller.
    pub fn new(
        caller: (String, Role),
        user: Option<(UserAccount, Vec<LoginSession>)>,
        has_users: bool,
        now: Timestamp,
    ) -> Self {
        let (user, sessions) = user.map_or((None, Vec::new()), |(user, sessions)| {
            (Some(user), sessions)
        });
        let shortest_password = password::SHORTEST;
        Self {
            now,
            name: caller.0,
            role: caller.1,
            user,
            sessions,
            has_users,
            again: FormInput::default(),
            shortest_password,
        }
    }

    /// The page with the errors of a form.
    pub fn again(self, again: FormInput) -> Self {
        Self { again, ..self }
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }
}

/// An SVG image created here from squares only, so it needs no escaping.
#[derive(Debug)]
struct QrImage(String);

impl std::fmt::Display for QrImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for QrImage {}

/// `GET /account/second-factor`: a new secret that takes effect after confirmation with a code.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/second_factor.html", blocks = ["main"])]
#[schemars(rename = "SecondFactor")]
pub struct SecondFactorPage {
    /// The secret in base32.
    secret: String,
    /// The `otpauth` address for an authenticator app.
    address: String,
    #[serde(skip)]
    picture: QrImage,
    #[serde(skip)]
    again: FormInput,
}
view!(SecondFactorPage { "main" => as_main });

impl SecondFactorPage {
    /// For the user `name`.
    ///
    /// # Errors
    /// The QR code cannot be created.
    pub fn new(secret: String, name: &str, again: FormInput) -> crate::base::error::Result<Self> {
        let address = second_factor::address(&secret, name);
        let picture = QrImage(qr_code_svg(&address)?);
        Ok(Self {
            secret,
            address,
            picture,
            again,
        })
    }

    /// The secret in groups of four, for typing.
    fn spaced(&self) -> String {
        self.secret
            .as_bytes()
            .chunks(4)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// `GET /users`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/users.html", blocks = ["main"])]
#[schemars(rename = "Users")]
pub struct UsersPage {
    /// All users, by name.
    users: Vec<UserAccount>,
    #[serde(skip)]
    again: FormInput,
    #[serde(skip)]
    shortest_password: usize,
}
view!(UsersPage { "main" => as_main });

impl UsersPage {
    /// The users and the form for a new one.
    pub fn new(users: Vec<UserAccount>, again: FormInput) -> Self {
        Self {
            users,
            again,
            shortest_password: password::SHORTEST,
        }
    }

    fn roles(&self) -> impl Iterator<Item = Role> {
        Role::iter()
    }

    /// The preselected role: the first user must be an admin.
    fn is_proposed(&self, role: &Role) -> bool {
        let given = self.again.text("role");
        let proposed = if self.users.is_empty() {
            "admin"
        } else {
            "viewer"
        };
        role.name() == if given.is_empty() { proposed } else { given }
    }
}

/// `GET /users/{id}`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/user.html", blocks = ["main"])]
#[schemars(rename = "UserInFull")]
pub struct UserPage {
    #[serde(flatten)]
    user: UserAccount,
    #[serde(skip)]
    again: FormInput,
    #[serde(skip)]
    shortest_password: usize,
}
view!(UserPage { "main" => as_main });

impl UserPage {
    /// The user and the form to edit it.
    pub fn new(user: UserAccount, again: FormInput) -> Self {
        Self {
            user,
            again,
            shortest_password: password::SHORTEST,
        }
    }

    fn is_role(&self, role: &Role) -> bool {
        self.user.role == *role
    }

    fn roles(&self) -> impl Iterator<Item = Role> {
        Role::iter()
    }
}

/// A user or token to be deleted.
#[derive(Debug, JsonSchema, Serialize)]
pub struct AccessRemoval {
    /// The name.
    name: String,
    /// The consequences.
    lost: &'static str,
}

/// The confirmation page for deleting a user.
pub(super) fn delete_page(user: UserAccount) -> ConfirmPage<AccessRemoval> {
    let lost = "The user's sessions and tokens will stop working immediately. The user's audit log entries are kept.";
    ask(
        "Delete",
        user.name,
        lost,
        format!("/users/{}/delete", user.id),
        "/users",
    )
}

/// The confirmation page for revoking a token.
pub(super) fn revoke_page(token: ApiToken) -> ConfirmPage<AccessRemoval> {
    let lost = "Programs that use this token will lose access immediately. A revoked token cannot be restored.";
    ask(
        "Revoke",
        token.name,
        lost,
        format!("/tokens/{}/delete", token.id),
        "/tokens",
    )
}

fn ask(
    word: &str,
    name: String,
    lost: &'static str,
    address: String,
    back: &str,
) -> ConfirmPage<AccessRemoval> {
    let question = ConfirmQuestion {
        title: format!("{word} {name}?"),
        nav: "account",
        texts: vec![lost.into()],
        action: Some((address, format!("{word} {name}"))),
        back: back.into(),
        ..ConfirmQuestion::default()
    };
    ConfirmPage::new(AccessRemoval { name, lost }, question)
}

/// `GET /tokens`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/tokens.html", blocks = ["main"])]
#[schemars(rename = "Tokens")]
pub struct TokensPage {
    #[serde(skip)]
    now: Timestamp,
    /// The tokens that you can see, by name.
    tokens: Vec<ApiToken>,
    #[serde(skip)]
    again: FormInput,
}
view!(TokensPage { "main" => as_main });

impl TokensPage {
    /// The tokens and the form for a new one.
    pub fn new(tokens: Vec<ApiToken>, again: FormInput, now: Timestamp) -> Self {
        Self { now, tokens, again }
    }

    /// The roles that the caller can give to a token.
    fn roles(&self, frame: &PageFrame) -> Vec<Role> {
        Role::iter().filter(|role| *role <= frame.role()).collect()
    }

    fn is_chosen(&self, role: &Role) -> bool {
        self.again.text("role") == role.name()
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    /// The choices of validity in days; empty: unlimited.
    fn times(&self) -> [(&'static str, &'static str); 5] {
        [
            ("30", "in 30 days"),
            ("90", "in 90 days"),
            ("365", "in 1 year"),
            ("1", "in 1 day"),
            ("", "never"),
        ]
    }
}

/// A new token: the only page that shows it.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/token.html", blocks = ["main"])]
#[schemars(rename = "TokenMade")]
pub struct TokenPage {
    success: bool,
    message: String,
    /// The stored data of the token.
    token_info: ApiToken,
    /// The token itself.
    token: String,
}
view!(TokenPage { "main" => as_main });

impl TokenPage {
    /// The page with the token `secret`.
    pub fn new(token_info: ApiToken, secret: String) -> Self {
        let message = format!(
            "Token \"{}\" created. Copy it now. It will not be shown again.",
            token_info.name
        );
        Self {
            success: true,
            message,
            token_info,
            token: secret,
        }
    }
}

/// `GET /audit`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "access/audit.html", blocks = ["main"])]
#[schemars(rename = "Audit")]
pub struct AuditPage {
    /// The entries, newest first.
    entries: Vec<AuditRow>,
    /// All actors in the log.
    actors: Vec<String>,
    #[serde(skip)]
    actor: String,
    #[serde(skip)]
    limit: u64,
}
view!(AuditPage { "main" => as_main });

impl AuditPage {
    /// The entries; `actor`: only those of one actor.
    pub fn new(
        entries: Vec<AuditRow>,
        actors: Vec<String>,
        actor: Option<String>,
        limit: u64,
    ) -> Self {
        Self {
            entries,
            actors,
            actor: actor.unwrap_or_default(),
            limit,
        }
    }

    /// The address of the older entries, if there may be any.
    fn older(&self) -> Option<String> {
        let last = self
            .entries
            .last()
            .filter(|_| self.entries.len() as u64 == self.limit)?;
        let actor: String = form_urlencoded::byte_serialize(self.actor.as_bytes()).collect();
        Some(format!(
            "/audit?before={}&limit={}&actor={actor}",
            last.id, self.limit
        ))
    }
}
