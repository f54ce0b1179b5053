//! Asking the person at the terminal whether something is meant.

use clap::Args;
use std::io::{BufRead, IsTerminal, Write};

use super::error::CommandError;

/// Whether a deletion is meant without being asked for.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeletionConsent {
    /// Do not ask. Without a terminal to ask at, nothing is deleted unless this is given.
    #[arg(long, short)]
    yes: bool,
}

impl DeletionConsent {
    /// Goes on if it is meant: `--yes` was given, or somebody at a terminal says so. What cannot be
    /// asked is refused.
    pub(super) fn to(self, question: &str) -> Result<(), CommandError> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(CommandError::Misused(
                "there is no terminal to ask at whether that is meant; say so with --yes. Nothing was deleted.".into(),
            ));
        }
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        match read {
            Ok(_) if ["y", "yes"].contains(&line.trim().to_lowercase().as_str()) => Ok(()),
            Ok(_) => Err(CommandError::Failed("nothing was deleted".into())),
            Err(e) => Err(CommandError::Failed(format!(
                "the answer cannot be read, nothing was deleted: {e}"
            ))),
        }
    }
}

/// What is to be deleted.
#[derive(Args, Clone, Debug)]
pub struct DeletionTarget {
    /// Their names, ids, or the beginnings of their ids.
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) consent: DeletionConsent,
}
