//! What can go wrong in the product's own terms, for every domain.
//!
//! Vocabulary: knows no HTTP status and no page. `http::problem` maps it once to what a client of the API or a person sees.

use std::borrow::Cow;
use std::time::Duration;

/// One thing wrong with one field of what was sent.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct FieldError {
    /// RFC 6901 JSON pointer into the body that was sent, e.g. `/config/upstreams/0/pool_port`; for a query parameter its
    /// name behind a slash. Empty: the body as a whole.
    pub pointer: String,
    /// What is wrong and what would be right, in a sentence for people.
    pub detail: String,
}

impl FieldError {
    /// A complaint about the field at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The same complaint seen from one level further out: `prefix` (with its leading slash) before the pointer.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }

    /// The detail for a page: a field's API name at its beginning reads as words, and its API values as what a person sees.
    #[must_use]
    pub fn page_text(&self) -> Cow<'_, str> {
        let name = self.pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        match self.detail.strip_prefix(name) {
            Some(rest) if !name.is_empty() && rest.starts_with([' ', ':']) => {
                Cow::Owned(format!("{}{}", name_as_words(name), rest.replace("true or false", "on or off")))
            }
            _ => Cow::Borrowed(&self.detail),
        }
    }
}

/// `memory_limit_mib` as `Memory limit (MiB)`.
fn name_as_words(name: &str) -> String {
    let units = [("_mib", "MiB"), ("_ms", "ms"), ("_s", "seconds"), ("_id", "")];
    let found = units.iter().find_map(|(end, unit)| name.strip_suffix(end).map(|rest| (rest, *unit)));
    let (stem, unit) = found.unwrap_or((name, ""));
    let mut letters = stem.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase()).into_iter();
    let words: String = first.chain(letters).map(|c| if c == '_' { ' ' } else { c }).collect();
    if unit.is_empty() { words } else { format!("{words} ({unit})") }
}

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The kind of thing: `instance`, `saved configuration`, …
        what: &'static str,
        /// The id or name that was asked for.
        id: String,
    },
    /// The request contradicts the state of things: already running, name taken, still in use.
    #[error("{0}")]
    Conflict(String),
    /// What was sent breaks a rule; one entry per field.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// It cannot be done at the moment, through no fault of the request.
    #[error("{detail}")]
    Unavailable {
        /// What is missing and what to do about it.
        detail: String,
        /// When trying again may help.
        retry_after: Option<Duration>,
    },
    /// A fault of ours or of the machine. The cause is for the log, never for the page.
    #[error("internal error: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn summary(errors: &[FieldError]) -> String {
    match errors {
        [] => "The request is not valid.".into(),
        [one] => one.detail.clone(),
        [first, rest @ ..] => format!("{} And {} more.", first.detail, rest.len()),
    }
}

impl Error {
    /// Wraps a cause that is nobody's fault but ours or the machine's.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// One field is wrong.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }

    /// There is no `what` called `id`.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(cause: diesel::result::Error) -> Self {
        Self::internal(cause)
    }
}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        Self::internal(cause)
    }
}

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::FieldError;

    #[test]
    fn a_page_shows_no_api_name() {
        for (pointer, detail, text) in [
            ("/memory_limit_mib", "memory_limit_mib must be 16.", "Memory limit (MiB) must be 16."),
            ("/restart_limit_within_s", "restart_limit_within_s must be 1.", "Restart limit within (seconds) must be 1."),
            ("/config_id", "config_id must be text.", "Config must be text."),
            ("/signed_by", "signed_by: not a key.", "Signed by: not a key."),
            ("/condition/after_s", "after_s must be 1.", "After (seconds) must be 1."),
            ("/ids/0", "ids must be a list.", "Ids must be a list."),
            ("/nightly", "nightly must be true or false.", "Nightly must be on or off."),
            ("/name", "Give it a name.", "Give it a name."),
            ("/name", "names are long.", "names are long."),
            ("", "All of it is wrong.", "All of it is wrong."),
        ] {
            assert_eq!(FieldError::new(pointer, detail).page_text(), text);
        }
    }
}
