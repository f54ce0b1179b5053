//! What kept a command from doing what it was told to: how it is said, and with which exit code the
//! program ends.

use serde::Deserialize;
use std::io::Write;
use std::process::ExitCode;

use super::text::plain;

/// It was not done.
pub(super) const FAILED: u8 = 1;
/// It was asked for in a way that makes no sense.
pub(super) const MISUSED: u8 = 2;
/// It was done, and what was looked at is unhealthy.
pub(super) const UNHEALTHY: u8 = 3;

/// What kept a command from doing what it was told to.
#[derive(Debug)]
pub(super) enum CommandError {
    /// The manager said no.
    Refused(Box<ApiRefusal>),
    /// Anything else, in a sentence.
    Failed(String),
    /// The command line makes no sense, in a sentence.
    Misused(String),
    /// Whoever read the output has gone; nothing is to be said.
    Unread,
    /// The output has said it already; this is the exit code.
    Reported(u8),
}

/// A refusal of the manager: problem details, or what something in between said instead.
#[derive(Debug)]
pub(super) struct ApiRefusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The whole answer, as it came.
    pub(super) body: String,
    /// What to do about it, where the manager itself cannot know.
    pub(super) advice: Option<String>,
}

/// Of problem details what people are told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiProblem {
    detail: Option<String>,
    /// A test message that was not taken, for one, is no problem detail.
    message: Option<String>,
    errors: Vec<ApiFieldRemark>,
}

/// Something to be said of a field: what is wrong, doubtful, or good to know.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiFieldRemark {
    /// Where, as a JSON pointer.
    pub(super) pointer: String,
    /// What, in a sentence.
    pub(super) detail: String,
}

impl ApiRefusal {
    /// All that is to be said, one thing a line.
    pub(super) fn text(&self) -> Vec<String> {
        let problem: ApiProblem = serde_json::from_str(&self.body).unwrap_or_default();
        let mut lines = match problem.detail.or(problem.message) {
            Some(detail) => vec![detail],
            None => vec![format!(
                "the manager answered {} and did not say why",
                self.status
            )],
        };
        // The sentence about the whole names the first field already, if there is but one.
        if problem.errors.len() > 1 {
            lines.extend(
                problem
                    .errors
                    .into_iter()
                    .map(|error| format!("  {}", error.detail)),
            );
        }
        lines.extend(self.advice.clone());
        lines
    }
}

impl CommandError {
    /// Says it on standard error: to people in sentences, to programs as problem details, those of
    /// the manager unchanged.
    pub(super) fn message(&self, as_json: bool) -> ExitCode {
        let (code, title) = match self {
            Self::Refused(_) | Self::Failed(_) => (FAILED, "Not done"),
            Self::Misused(_) => (MISUSED, "Misused"),
            Self::Unread => (0, ""),
            Self::Reported(code) => (*code, ""),
        };
        let lines = match self {
            Self::Refused(refusal) => refusal.text(),
            Self::Failed(sentence) | Self::Misused(sentence) => vec![sentence.clone()],
            Self::Unread | Self::Reported(_) => Vec::new(),
        };
        if as_json
            && let Self::Refused(refusal) = self
            && serde_json::from_str::<serde::de::IgnoredAny>(&refusal.body).is_ok()
        {
            complain(refusal.body.trim_end());
        } else if as_json && !lines.is_empty() {
            let detail = lines.join(" ");
            let problem = serde_json::json!({
                "type": "about:blank", "title": title, "detail": detail, "success": false, "error": detail,
            });
            complain(&problem.to_string());
        } else {
            for (at, line) in lines.iter().enumerate() {
                let before = if at == 0 { "jd-manager: " } else { "" };
                complain(&format!("{before}{}", plain(line)));
            }
        }
        ExitCode::from(code)
    }
}

/// A line on standard error, which may be closed.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
