//! Asking the person at the terminal whether something is meant.

use std::io::{BufRead, IsTerminal, Write};

use super::trouble::Trouble;

/// Goes on if it is meant: `yes` was given, or somebody at a terminal says so. What cannot be asked is refused.
pub(super) fn sure(question: &str, yes: bool) -> Result<(), Trouble> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Trouble::Misused(
            "there is no terminal to ask at whether that is meant; say so with --yes. Nothing was deleted.".into(),
        ));
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(_) if ["y", "yes"].contains(&line.trim().to_lowercase().as_str()) => Ok(()),
        Ok(_) => Err(Trouble::Failed("nothing was deleted".into())),
        Err(e) => Err(Trouble::Failed(format!("the answer cannot be read, nothing was deleted: {e}"))),
    }
}
