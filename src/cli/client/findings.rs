//! What the manager finds in a file or a configuration: errors, warnings, the results of a trial.

use serde::Deserialize;

use super::error::{ApiFieldRemark, CommandError, complain};
use super::output::TerminalOutput;
use super::text::in_line;

/// Errors, warnings and hints about a file or a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiFindings {
    pub(super) message: String,
    pub(super) toml: Option<String>,
    pub(super) valid: Option<bool>,
    accepted: Option<bool>,
    advice: Option<String>,
    /// The translator in a trial.
    translator: Option<Box<ApiFindings>>,
    /// The servers in a trial.
    peers: Vec<ApiPeer>,
    pub(super) not_imported: Vec<ApiFieldRemark>,
    pub(super) errors: Vec<ApiFieldRemark>,
    pub(super) warnings: Vec<ApiFieldRemark>,
    pub(super) hints: Vec<ApiFieldRemark>,
}

/// A server and whether it would accept the client.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiPeer {
    what: String,
    place: String,
    detail: String,
}

impl ApiFindings {
    /// Prints the result of a trial: a line for each program and each server.
    pub(super) fn print_trial(&self, paper: &mut TerminalOutput) -> Result<(), CommandError> {
        for tried in std::iter::once(self).chain(self.translator.as_deref()) {
            paper.line(&in_line(&tried.message))?;
            if let Some(advice) = &tried.advice {
                paper.line(&in_line(advice))?;
            }
        }
        self.peers.iter().try_for_each(|peer| {
            let line = format!("{} ({}): {}", peer.what, peer.place, peer.detail);
            paper.line(&in_line(&line))
        })
    }

    /// Whether every program accepts the configuration.
    pub(super) fn is_accepted(&self) -> bool {
        let translator = self.translator.as_ref();
        self.accepted == Some(true) && translator.is_none_or(|tried| tried.is_accepted())
    }

    /// Prints errors and warnings on standard error, one per line.
    pub(super) fn complain(&self) {
        for (kind, remarks) in [("error", &self.errors), ("warning", &self.warnings)] {
            for remark in remarks {
                complain(&remark.line(kind));
            }
        }
    }
}

impl ApiFieldRemark {
    pub(super) fn line(&self, kind: &str) -> String {
        let key = in_line(
            self.pointer
                .strip_prefix("/config")
                .unwrap_or(&self.pointer),
        )
        .trim_start_matches('/')
        .replace('/', ".");
        let detail = in_line(&self.detail);
        // Messages about a file already contain the line and the key, alone or after its label.
        let head = detail.split(": ").next().unwrap_or_default();
        let says_it = head == key
            || head.ends_with(&format!("({key})"))
            || (head.starts_with("Line ") && head.ends_with(&format!(", {key}")));
        if key.is_empty() || says_it {
            format!("{kind}: {detail}")
        } else {
            format!("{kind}: {key}: {detail}")
        }
    }
}
