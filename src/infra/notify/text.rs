//! Text made to fit: on one line, within so many characters or bytes.
//!
//! Knows nothing of what the text says.

/// The text on one line: whatever breaks lines or controls a terminal becomes a space, and of
/// spaces one is left.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
    });
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// At most `most` characters of the text, the last of them `…` if some are missing.
pub(super) fn clipped(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// As many whole characters of the text as fit into `most` bytes, with `…` for those that do not.
pub(super) fn within(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let end = (0..=room)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or_default();
    format!("{}…", &text[..end])
}
