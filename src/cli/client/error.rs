//! Why a command failed: the message and the exit code.

use serde::Deserialize;
use std::io::Write;
use std::process::ExitCode;

use super::text::plain;

/// The command failed.
pub(super) const FAILED: u8 = 1;
/// Usage error.
pub(super) const MISUSED: u8 = 2;
/// The check worked, and its result is unhealthy.
pub(super) const UNHEALTHY: u8 = 3;

/// `dial-stdio`: no jd-manager is running.
pub(super) const NO_MANAGER: u8 = 4;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum CommandError {
    /// The manager rejected the request.
    Refused(Box<ApiRefusal>),
    /// The other machine cannot be reached: messages and the fix, line by line.
    Unreached(Vec<String>),
    /// Anything else, in a sentence.
    Failed(String),
    /// A usage error, in a sentence.
    Misused(String),
    /// The reader of the output is gone. Prints nothing.
    Unread,
    /// The output already shows the problem; this is the exit code.
    Reported(u8),
}

/// An error response: problem details from the manager, or the response of a proxy.
#[derive(Debug)]
pub(super) struct ApiRefusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The whole response, unchanged.
    pub(super) body: String,
    /// A fix that the manager itself cannot suggest.
    pub(super) advice: Option<String>,
}

/// The parts of problem details that people see.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiProblem {
    detail: Option<String>,
    /// Some responses are not problem details, for example a test message that was not accepted.
    message: Option<String>,
    errors: Vec<ApiFieldRemark>,
}

/// An error, warning or hint about a field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiFieldRemark {
    /// The field, as a JSON pointer.
    pub(super) pointer: String,
    /// The text, a sentence.
    pub(super) detail: String,
}

impl ApiRefusal {
    /// The message, line by line.
    pub(super) fn text(&self) -> Vec<String> {
        let problem: ApiProblem = serde_json::from_str(&self.body).unwrap_or_default();
        let mut lines = match problem.detail.or(problem.message) {
            Some(detail) => vec![detail],
            None => vec![format!(
                "jd-manager responded with HTTP status {} and gave no reason",
                self.status
            )],
        };
        // If there is only one field, the first sentence already names it.
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
    /// Prints the error on standard error: as sentences for people, or as problem details for
    /// programs. Problem details from the manager stay unchanged.
    pub(super) fn message(&self, as_json: bool) -> ExitCode {
        let (code, title) = match self {
            Self::Refused(_) | Self::Unreached(_) | Self::Failed(_) => (FAILED, "Failed"),
            Self::Misused(_) => (MISUSED, "Usage error"),
            Self::Unread => (0, ""),
            Self::Reported(code) => (*code, ""),
        };
        let lines = match self {
            Self::Refused(refusal) => refusal.text(),
            Self::Unreached(lines) => lines.clone(),
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
