//! Where answers are written: standard output, as wide as the terminal is, coloured where that is
//! wanted, and closed without a word if its reader goes.

use std::io::{BufWriter, IsTerminal, Stdout, Write};

use super::error::CommandError;

/// Standard output.
#[derive(Debug)]
pub(super) struct TerminalOutput {
    to: BufWriter<Stdout>,
    /// What programs read is wanted: the API's JSON.
    pub(super) json: bool,
    /// Columns; none: lines may be as long as they like.
    pub(super) width: Option<u16>,
    /// Colours are wanted and can be shown.
    pub(super) is_coloured: bool,
}

impl TerminalOutput {
    /// Standard output as it is.
    pub(super) fn new(json: bool) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let told = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok())
            .filter(|columns| *columns > 0);
        let seen = || {
            rustix::termios::tcgetwinsize(&stdout)
                .ok()
                .map(|size| size.ws_col)
                .filter(|columns| *columns > 0)
        };
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        Self {
            width: told.or_else(|| seen().filter(|_| is_terminal)),
            is_coloured: is_terminal && !is_set("NO_COLOR") && !is_dumb,
            to: BufWriter::new(stdout),
            json,
        }
    }

    /// A line for people. What came from the manager has to be [`plain`](super::text::plain).
    pub(super) fn line(&mut self, text: &str) -> Result<(), CommandError> {
        writeln!(self.to, "{text}").map_err(|e| lost(&e))
    }

    /// An answer for programs, as it came.
    pub(super) fn answer(&mut self, json: &str) -> Result<(), CommandError> {
        self.line(json.trim_end())
    }

    /// Text as it is, without a line's end of ours.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.to.write_all(text.as_bytes()).map_err(|e| lost(&e))
    }

    /// Everything written so far is to be seen now.
    pub(super) fn flush(&mut self) -> Result<(), CommandError> {
        self.to.flush().map_err(|e| lost(&e))
    }
}

fn lost(error: &std::io::Error) -> CommandError {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => CommandError::Unread,
        _ => CommandError::Failed(format!("standard output: {error}")),
    }
}
