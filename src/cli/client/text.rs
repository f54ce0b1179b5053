//! Foreign text for a terminal. It comes from other users and from clients, so it may be hostile:
//! [`plain`] removes everything that moves a cursor.

use std::borrow::Cow;

use crate::infra::log_store::ansi;

/// Foreign text without control sequences of terminals. Line breaks stay.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    ansi::plain(text)
}

/// The same in a single line.
pub(super) fn in_line(text: &str) -> String {
    let kept: String = plain(text)
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile =
            "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2Jb\r\n\u{202e}c\u{8}\u{200b}d\u{2061}";
        let line = in_line(hostile);
        assert!(
            line.starts_with("ared") && line.contains("[U+202E]c[U+200B]d[U+2061]"),
            "{line:?}"
        );
        assert!(
            !line.chars().any(char::is_control) && !crate::base::visible::has_hidden(&line),
            "{line:?}"
        );
        assert!(
            !plain(hostile)
                .chars()
                .any(|c| c.is_control() && c != '\n' && c != '\t')
        );
    }
}
