//! Colors in log messages: terminal escapes become classes for HTML or are removed.
//!
//! Messages are untrusted output of a process: they must not move a cursor, hide text, reverse its
//! direction or reach the page as markup. Classes are used instead of inline styles, because the
//! content security policy of the pages forbids styles. Templates do the escaping for HTML. Must not
//! know: records, levels, templates.
//!
//! Classes: `ansi-<color>` and `ansi-bg-<color>` with the colors `black red green yellow blue
//! magenta cyan white`, each also as `bright-…`; `ansi-bold`, `ansi-dim`, `ansi-italic`,
//! `ansi-underline`.

use std::borrow::Cow;
use std::fmt::Write;

use crate::base::visible;

/// A span of text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyleSpan {
    /// Class names separated by spaces, for a `class` attribute; empty for plain text.
    pub class: String,
    /// The text, never empty, not escaped for HTML. The only control characters are newline and tab.
    pub text: String,
}

/// Splits a message into spans of one style. Colors and the four attributes above are kept (256 and
/// true colors become the nearest of the sixteen). All other escapes and control characters are
/// removed. Characters that hide text or change its direction are shown as `[U+202E]`. An unfinished
/// escape sequence hides only its own line.
pub fn spans(text: &str) -> Vec<StyleSpan> {
    if is_clean(text) {
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![StyleSpan {
                class: String::new(),
                text: text.to_owned(),
            }]
        };
    }
    let mut painter = AnsiPainter::default();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            painter.text.push('\n');
        }
        vte::Parser::new().advance(&mut painter, line.as_bytes());
    }
    painter.end_run();
    painter.spans
}

/// The plain text of a message, for JSON and text: the same as [`spans`] without styles.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_clean(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(spans(text).into_iter().map(|span| span.text).collect())
    }
}

/// Whether there is nothing to remove, replace or color, which is the usual case.
fn is_clean(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t'))
        || !(visible::has_hidden(text)
            || text
                .chars()
                .any(|c| c.is_control() && !matches!(c, '\n' | '\t')))
}

/// The sixteen colors of xterm, in the order of their codes.
const PALETTE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

const NAMES: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];

/// The nearest of the sixteen colors to `rgb`.
fn nearest(rgb: [u8; 3]) -> u8 {
    let distance = |colour: [u8; 3]| -> u32 {
        (0..3)
            .map(|i| u32::from(colour[i].abs_diff(rgb[i])).pow(2))
            .sum()
    };
    (0..16)
        .min_by_key(|code| distance(PALETTE[usize::from(*code)]))
        .unwrap_or(0)
}

/// The nearest of the sixteen colors to number `index` of the 256: the sixteen, a 6×6×6 cube, 24
/// grays.
fn of_256(index: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match index {
        0..16 => index,
        16..232 => {
            let step = |n: u8| STEPS[usize::from(n % 6)];
            let n = index - 16;
            nearest([step(n / 36), step(n / 6), step(n)])
        }
        232.. => nearest([8 + (index - 232) * 10; 3]),
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AnsiStyle {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl AnsiStyle {
    fn class(self) -> String {
        let mut class = String::new();
        let mut add = |part: std::fmt::Arguments<'_>| {
            let gap = if class.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(class, "{gap}ansi-{part}");
        };
        if let Some(code) = self.foreground {
            add(format_args!("{}", NAMES[usize::from(code)]));
        }
        // Text in the color of its background would be hidden.
        if let Some(code) = self
            .background
            .filter(|code| Some(*code) != self.foreground)
        {
            add(format_args!("bg-{}", NAMES[usize::from(code)]));
        }
        for (on, name) in [
            (self.bold, "bold"),
            (self.dim, "dim"),
            (self.italic, "italic"),
            (self.underline, "underline"),
        ] {
            if on {
                add(format_args!("{name}"));
            }
        }
        class
    }

    /// Applies the parameters of one SGR sequence (ECMA-48 8.3.117; colors in the notations of ITU-T
    /// T.416 and xterm).
    fn apply(&mut self, params: &vte::Params) {
        let mut params = params.iter();
        while let Some(param) = params.next() {
            let code = param.first().copied().unwrap_or(0);
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underline = param.get(1) != Some(&0),
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                30..=37 => self.foreground = low(code - 30),
                39 => self.foreground = None,
                40..=47 => self.background = low(code - 40),
                49 => self.background = None,
                90..=97 => self.foreground = low(code - 82),
                100..=107 => self.background = low(code - 92),
                38 | 48 => {
                    let colour = match *param {
                        [_, 5, index] => colour(&mut [5, index].into_iter()),
                        [_, 2, r, g, b] | [_, 2, _, r, g, b, ..] => {
                            colour(&mut [2, r, g, b].into_iter())
                        }
                        [_] => {
                            colour(&mut params.by_ref().map(|p| p.first().copied().unwrap_or(0)))
                        }
                        _ => None,
                    };
                    // An invalid color does not change the style.
                    match code {
                        _ if colour.is_none() => {}
                        38 => self.foreground = colour,
                        _ => self.background = colour,
                    }
                }
                _ => {}
            }
        }
    }
}

/// A color code below sixteen; the ranges of the callers ensure this.
fn low(code: u16) -> Option<u8> {
    u8::try_from(code).ok().filter(|code| *code < 16)
}

/// The parameters after 38 or 48: `5, index` or `2, red, green, blue`.
fn colour(numbers: &mut dyn Iterator<Item = u16>) -> Option<u8> {
    let mut byte = || u8::try_from(numbers.next()?).ok();
    match byte()? {
        5 => byte().map(of_256),
        2 => Some(nearest([byte()?, byte()?, byte()?])),
        _ => None,
    }
}

/// Collects spans while `vte` parses the escapes.
#[derive(Default)]
struct AnsiPainter {
    style: AnsiStyle,
    text: String,
    spans: Vec<StyleSpan>,
}

impl AnsiPainter {
    fn end_run(&mut self) {
        if !self.text.is_empty() {
            self.spans.push(StyleSpan {
                class: self.style.class(),
                text: std::mem::take(&mut self.text),
            });
        }
    }
}

impl vte::Perform for AnsiPainter {
    fn print(&mut self, c: char) {
        if visible::is_hidden(c, self.text.chars().next_back()) {
            visible::push_code(&mut self.text, c);
        } else if !c.is_control() {
            self.text.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.text.push('\t');
        }
    }

    fn csi_dispatch(
        &mut self,
        params: &vte::Params,
        intermediates: &[u8],
        ignore: bool,
        action: char,
    ) {
        if action == 'm' && intermediates.is_empty() && !ignore {
            let mut style = self.style;
            style.apply(params);
            if style != self.style {
                self.end_run();
                self.style = style;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<(String, String)> {
        spans(text).into_iter().map(|s| (s.class, s.text)).collect()
    }

    fn of(parts: &[(&str, &str)]) -> Vec<(String, String)> {
        parts
            .iter()
            .map(|(class, text)| ((*class).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn ordinary_text_is_one_run_and_borrowed() {
        for text in [
            "Received: SubmitSharesSuccess ✅ — 💰",
            "two\n\tlines",
            "naïve",
        ] {
            assert_eq!(shown(text), of(&[("", text)]));
            assert!(matches!(plain(text), Cow::Borrowed(t) if t == text));
        }
        assert_eq!(shown(""), []);
    }

    #[test]
    fn colours_and_attributes_become_classes() {
        assert_eq!(
            shown("a\x1b[32mb\x1b[1;3;4mc\x1b[22;23;24;39md\x1b[2;91;44me\x1b[mf"),
            of(&[
                ("", "a"),
                ("ansi-green", "b"),
                ("ansi-green ansi-bold ansi-italic ansi-underline", "c"),
                ("", "d"),
                ("ansi-bright-red ansi-bg-blue ansi-dim", "e"),
                ("", "f")
            ])
        );
        // A field colored by tracing-subscriber.
        assert_eq!(
            shown("up \x1b[3mn\x1b[0m\x1b[2m=\x1b[0m1"),
            of(&[
                ("", "up "),
                ("ansi-italic", "n"),
                ("ansi-dim", "="),
                ("", "1")
            ])
        );
        assert_eq!(plain("up \x1b[3mn\x1b[0m\x1b[2m=\x1b[0m1"), "up n=1");
    }

    #[test]
    fn a_style_goes_on_over_newlines_and_equal_styles_are_one_run() {
        assert_eq!(shown("\x1b[31ma\nb\x1b[31mc"), of(&[("ansi-red", "a\nbc")]));
    }

    #[test]
    fn other_colours_become_the_nearest_of_the_sixteen() {
        for (sgr, class) in [
            ("38;5;9", "ansi-bright-red"),
            ("38;5;196", "ansi-bright-red"),
            ("38;5;22", "ansi-black"),
            ("38;5;244", "ansi-bright-black"),
            ("38;5;255", "ansi-white"),
            ("38;2;250;250;250", "ansi-bright-white"),
            ("38:2:200:10:10", "ansi-red"),
            ("38:2::200:10:10", "ansi-red"),
            ("38:2:1:200:10:10", "ansi-red"),
            ("38:5:2", "ansi-green"),
            ("48;5;4", "ansi-bg-blue"),
            ("38;5;1;1", "ansi-red ansi-bold"),
            ("38;2;0;205;0;4", "ansi-green ansi-underline"),
            ("31;4:0", "ansi-red"),
            ("4:3", "ansi-underline"),
            ("31;38;5;999", "ansi-red"),
        ] {
            assert_eq!(
                shown(&format!("\x1b[{sgr}mx")),
                of(&[(class, "x")]),
                "{sgr}"
            );
        }
    }

    #[test]
    fn text_in_the_colour_of_its_background_stays_readable() {
        assert_eq!(shown("\x1b[31;41mx"), of(&[("ansi-red", "x")]));
    }

    #[test]
    fn everything_else_is_removed_and_direction_is_shown() {
        for (text, left) in [
            ("a\x1b[2Jb\x1b[10;10Hc\x1b[?25ld", "abcd"),
            ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
            ("a\x1bP1;2qdata\x1b\\b\x1bcc", "abc"),
            ("a\r\x08\x00\x0b\x0c\x7fb", "ab"),
            ("a\u{9b}31mb\u{85}c", "a31mbc"),
            (
                "never ended \x1b]0;hides\nonly its line",
                "never ended \nonly its line",
            ),
            ("never ended \x1b[31", "never ended "),
            (
                "pay \u{202e}me\u{202c} \u{2066}x\u{2069}\u{200f}",
                "pay [U+202E]me[U+202C] [U+2066]x[U+2069][U+200F]",
            ),
            ("tab\tstays\x1b[0m", "tab\tstays"),
        ] {
            assert_eq!(plain(text), left, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_control_character_survives(text in r#"([\PC\n\t]|\x1b\[|\x1b|[0-9;:]{1,6}m|[\x00-\x1f\x7f-\u{9f}\u{2028}-\u{202f}\u{2066}]){0,40}"#) {
            let left = plain(&text);
            prop_assert!(left.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()) && !visible::has_hidden(&left), "{left:?}");
            prop_assert_eq!(left.matches('\n').count(), text.matches('\n').count());
            prop_assert_eq!(plain(&left), left.as_ref());
            let runs = spans(&text);
            prop_assert!(runs.iter().all(|run| !run.text.is_empty()));
            prop_assert_eq!(runs.into_iter().map(|run| run.text).collect::<String>(), left.as_ref());
        }
    }
}
