//! Standard output: the width of the terminal, colors, and a silent end if the reader closes it.

use std::io::{BufWriter, IsTerminal, Stdout, Write};

use super::error::CommandError;

/// Standard output.
#[derive(Debug)]
pub(super) struct TerminalOutput {
    to: BufWriter<Stdout>,
    /// Print the API's JSON, for programs.
    pub(super) json: bool,
    /// The width in columns; none: no limit.
    pub(super) width: Option<u16>,
    /// Print colors.
    pub(super) is_coloured: bool,
}

impl TerminalOutput {
    /// Standard output with the settings of the environment.
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

    /// Prints a line for people. Text from the manager must be [`plain`](super::text::plain).
    pub(super) fn line(&mut self, text: &str) -> Result<(), CommandError> {
        writeln!(self.to, "{text}").map_err(|e| lost(&e))
    }

    /// Prints an unchanged response for programs.
    pub(super) fn answer(&mut self, json: &str) -> Result<(), CommandError> {
        self.line(json.trim_end())
    }

    /// Prints text without adding a line break.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.to.write_all(text.as_bytes()).map_err(|e| lost(&e))
    }

    /// Shows everything written so far.
    pub(super) fn flush(&mut self) -> Result<(), CommandError> {
        self.to.flush().map_err(|e| lost(&e))
    }
}

fn lost(error: &std::io::Error) -> CommandError {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => CommandError::Unread,
        _ => CommandError::Failed(format!("cannot write to standard output: {error}")),
    }
}
