//! Characters that are invisible or change how the surrounding text reads. In text from others
//! they are shown as codes: `[U+202E]`.
//!
//! Vocabulary: independent of pages and terminals. Their output functions call it, so no text is
//! forgotten.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character hides something: marks, embeddings, overrides and isolates of the Unicode
/// bidirectional algorithm (UAX #9), and characters without width. Joiners (U+200C, U+200D) shape scripts
/// and emoji; they are hidden only if they join nothing, which depends on the character `before`.
pub fn is_hidden(c: char, before: Option<char>) -> bool {
    match c {
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{180b}'..='\u{180f}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' => true,
        '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}'
        | '\u{e0100}'..='\u{e01ef}'
        | '\u{200b}' => true,
        '\u{200c}' | '\u{200d}' => before
            .is_none_or(|before| before.is_ascii() || matches!(before, '\u{200c}' | '\u{200d}')),
        _ => false,
    }
}

/// Whether any character hides something.
pub fn has_hidden(text: &str) -> bool {
    !text.is_ascii() && hidden(text, |_| false).next().is_some()
}

/// For text whose control characters must stay or are already removed.
pub fn in_log(text: &str) -> Cow<'_, str> {
    show(text, |_| false)
}

/// For a page: also shows control characters, except white space.
pub fn on_page(text: &str) -> Cow<'_, str> {
    show(text, |c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// For a terminal: shows all control sequences instead of executing them.
pub fn on_terminal(text: &str) -> Cow<'_, str> {
    show(text, |c| c.is_control() && !matches!(c, '\t' | '\n'))
}

/// The visible code of a character.
pub fn push_code(out: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = write!(out, "[U+{:04X}]", u32::from(c));
}

fn hidden(text: &str, more: impl Fn(char) -> bool) -> impl Iterator<Item = (usize, char)> {
    let mut before = None;
    text.char_indices().filter(move |(_, c)| {
        let is = is_hidden(*c, before) || more(*c);
        before = Some(*c);
        is
    })
}

fn show(text: &str, more: impl Fn(char) -> bool) -> Cow<'_, str> {
    let mut out = String::new();
    let mut shown = 0;
    for (at, c) in hidden(text, more) {
        out.push_str(&text[shown..at]);
        push_code(&mut out, c);
        shown = at + c.len_utf8();
    }
    if shown == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[shown..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown_by_its_code() {
        for (text, shown) in [
            (
                "pay \u{202e}me\u{202c} \u{2066}x\u{2069}\u{200f}",
                "pay [U+202E]me[U+202C] [U+2066]x[U+2069][U+200F]",
            ),
            (
                "a\u{200b}b\u{ad}c\u{feff}d\u{2060}e\u{3164}f\u{e0041}",
                "a[U+200B]b[U+00AD]c[U+FEFF]d[U+2060]e[U+3164]f[U+E0041]",
            ),
            ("ad\u{200d}a a\u{200c}b", "ad[U+200D]a a[U+200C]b"),
            ("line\u{2028}line", "line[U+2028]line"),
        ] {
            assert_eq!(in_log(text), shown);
            assert_eq!(on_page(text), shown);
            assert_eq!(on_terminal(text), shown);
            assert!(has_hidden(text) && !has_hidden(shown), "{text:?}");
        }
        assert_eq!(
            on_page("a\u{1b}[31m\u{0}\u{85}\r\n\t"),
            "a[U+001B][31m[U+0000][U+0085]\r\n\t"
        );
        assert_eq!(
            on_terminal("a\u{1b}]0;\u{9b}\r\n\t"),
            "a[U+001B]]0;[U+009B][U+000D]\n\t"
        );
        assert_eq!(in_log("a\u{1b}[31m"), "a\u{1b}[31m");
    }

    #[test]
    fn what_people_write_stays() {
        for text in [
            "",
            "barn 7",
            "naïve — ✅ ❤\u{fe0f} …",
            "שלום عقرب",
            "👩\u{200d}🌾 نمی\u{200c}خواهم",
            "e\u{301} 日本\u{a0}語",
        ] {
            assert!(
                matches!(on_page(text), Cow::Borrowed(same) if same == text),
                "{text:?}"
            );
            assert!(!has_hidden(text), "{text:?}");
        }
    }
}
