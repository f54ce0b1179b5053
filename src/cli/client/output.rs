//! Where answers are written: standard output, as wide as the terminal is, coloured where that is wanted, and closed without a word if its reader goes.
//!
//! What the manager tells was typed by others and printed by clients, so it is hostile: [`plain`] takes everything out of it that moves a cursor.

use std::borrow::Cow;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

use super::error::Trouble;
use crate::infra::log_store::ansi;

/// Standard output.
#[derive(Debug)]
pub(super) struct Paper {
    to: BufWriter<Stdout>,
    /// What programs read is wanted: the API's JSON.
    pub(super) json: bool,
    /// Columns; none: lines may be as long as they like.
    pub(super) width: Option<u16>,
    /// Colours are wanted and can be shown.
    pub(super) is_coloured: bool,
}

impl Paper {
    /// Standard output as it is.
    pub(super) fn new(json: bool) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
        let seen = || rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|columns| *columns > 0);
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        Self {
            width: told.or_else(|| seen().filter(|_| is_terminal)),
            is_coloured: is_terminal && !is_set("NO_COLOR") && !is_dumb,
            to: BufWriter::new(stdout),
            json,
        }
    }

    /// A line for people. What came from the manager has to be [`plain`].
    pub(super) fn line(&mut self, text: &str) -> Result<(), Trouble> {
        writeln!(self.to, "{text}").map_err(|e| lost(&e))
    }

    /// An answer for programs, as it came.
    pub(super) fn answer(&mut self, json: &str) -> Result<(), Trouble> {
        self.line(json.trim_end())
    }

    /// Text as it is, without a line's end of ours.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Trouble> {
        self.to.write_all(text.as_bytes()).map_err(|e| lost(&e))
    }

    /// Everything written so far is to be seen now.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        self.to.flush().map_err(|e| lost(&e))
    }
}

fn lost(error: &std::io::Error) -> Trouble {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Trouble::Unread,
        _ => Trouble::Failed(format!("standard output: {error}")),
    }
}

/// Text of others without anything that a terminal would obey; its line breaks stay.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    ansi::plain(text)
}

/// The same in one line.
pub(super) fn in_line(text: &str) -> String {
    let kept: String = plain(text).chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2Jb\r\n\u{202e}c\u{8}\u{200b}d\u{2061}";
        let line = in_line(hostile);
        assert!(line.starts_with("ared") && line.contains("[U+202E]c[U+200B]d[U+2061]"), "{line:?}");
        assert!(!line.chars().any(char::is_control) && !crate::base::visible::has_hidden(&line), "{line:?}");
        assert!(!plain(hostile).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    }
}
