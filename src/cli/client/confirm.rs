//! Confirmation of deletions at the terminal.

use clap::Args;
use std::io::{BufRead, IsTerminal, Write};

use super::error::CommandError;

/// Whether to delete without confirmation.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeletionConsent {
    /// Delete without asking. Required if there is no terminal, for example in scripts.
    #[arg(long, short)]
    yes: bool,
}

impl DeletionConsent {
    /// Succeeds if the deletion is confirmed with `--yes` or at the terminal. Fails if there is no
    /// terminal to ask at.
    pub(super) fn to(self, question: &str) -> Result<(), CommandError> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(CommandError::Misused(
                "cannot ask for confirmation because there is no terminal. Nothing was deleted. To delete without asking, use --yes.".into(),
            ));
        }
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        match read {
            Ok(_) if ["y", "yes"].contains(&line.trim().to_lowercase().as_str()) => Ok(()),
            Ok(_) => Err(CommandError::Failed("canceled; nothing was deleted".into())),
            Err(e) => Err(CommandError::Failed(format!(
                "cannot read the answer: {e}. Nothing was deleted."
            ))),
        }
    }
}

/// What to delete.
#[derive(Args, Clone, Debug)]
pub struct DeletionTarget {
    /// Names or ids (the first characters of an id are enough).
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) consent: DeletionConsent,
}
