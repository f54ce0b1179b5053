//! Regular expressions in filters: limited in size, and linear in the length of the log.

use regex::bytes::{Regex, RegexBuilder};
use std::ops::Range;

/// The longest expression in characters.
const LONGEST_PATTERN: usize = 500;
/// The largest compiled expression in bytes; the cache of a search may be as large.
const MOST_BYTES: usize = 1024 * 1024;
/// The most nested groups.
const DEEPEST: u32 = 50;

/// A regular expression that ignores case. `^` and `$` match at each line of a record.
#[derive(Clone, Debug)]
pub struct LogPattern(Regex);

impl PartialEq for LogPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for LogPattern {}

impl LogPattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong, where, and what to do, as sentences.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.chars().count() > LONGEST_PATTERN {
            return Err(format!(
                "The regular expression can be at most {LONGEST_PATTERN} characters long. Shorten it."
            ));
        }
        Self::build(text)
    }

    /// Finds a text word for word.
    ///
    /// # Errors
    /// The text is far too long.
    pub fn literal(text: &str) -> Result<Self, String> {
        Self::build(&regex::escape(text))
    }

    fn build(pattern: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern)
            .case_insensitive(true)
            .multi_line(true)
            .size_limit(MOST_BYTES)
            .dfa_size_limit(MOST_BYTES)
            .nest_limit(DEEPEST)
            .build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "The regular expression is too complex. Use fewer or smaller repetitions.".into()
            }
            _ => syntax_error(pattern),
        })?;
        Ok(Self(regex))
    }

    /// Whether it is found in a text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// Where it is found in a text, at most `most` times, without empty matches.
    pub fn matches(&self, text: &str, most: usize) -> Vec<Range<usize>> {
        let found = self.0.find_iter(text.as_bytes());
        // A match of bytes may begin or end inside a character.
        let is_shown = |range: &Range<usize>| {
            !range.is_empty()
                && text.is_char_boundary(range.start)
                && text.is_char_boundary(range.end)
        };
        found
            .map(|one| one.range())
            .filter(is_shown)
            .take(most)
            .collect()
    }
}

/// What is wrong with an expression, and where.
fn syntax_error(pattern: &str) -> String {
    let mut parser = regex_syntax::ParserBuilder::new()
        .nest_limit(DEEPEST)
        .build();
    let (what, place) = match parser.parse(pattern) {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), error.span().start),
        Err(regex_syntax::Error::Translate(error)) => {
            (error.kind().to_string(), error.span().start)
        }
        _ => return "The regular expression is invalid. Search for text instead.".into(),
    };
    // All expressions are one line, so the column is the number of the character.
    format!(
        "The regular expression is invalid at character {}: {what}. Correct it, or put \\ before a character that should be found as it is.",
        place.column
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn an_expression_ignores_case_and_finds_each_place() {
        let pattern = LogPattern::new(r"share.*\d+").unwrap();
        assert!(pattern.is_in(b"SHARE 12 accepted"));
        assert!(!pattern.is_in(b"share accepted"));
        let found = LogPattern::new("a+|x*").unwrap().matches("aa b A", 9);
        assert_eq!(found, [0..2, 5..6]);
        assert_eq!(LogPattern::new("a").unwrap().matches("aaaa", 2).len(), 2);
        let lines = LogPattern::new("^two$").unwrap();
        assert!(lines.is_in(b"one\ntwo\nthree") && !lines.is_in(b"one two"));
        assert_ne!(
            LogPattern::literal("a.").unwrap(),
            LogPattern::new("a.").unwrap()
        );
        let literal = LogPattern::literal("a.(b").unwrap();
        assert!(literal.is_in(b"A.(B") && !literal.is_in(b"aX(b"));
        // Not in the middle of a character.
        let byte = LogPattern::new(r"(?-u:\xc3)").unwrap();
        assert!(byte.matches("\u{e9}", 9).is_empty());
    }

    #[test]
    fn an_invalid_expression_is_explained_with_its_place() {
        for (text, place) in [
            ("a(b", "character 2"),
            ("ab[z-a]", "character 4"),
            ("x{2,1}", "character 2"),
            ("*", "character 1"),
        ] {
            let error = LogPattern::new(text).unwrap_err();
            assert!(error.contains(place), "{text}: {error}");
        }
        for text in [
            r"(?:a{1000}){1000}",
            r"\pL{2000}",
            &"(".repeat(60),
            &"a".repeat(501),
        ] {
            let error = LogPattern::new(text).unwrap_err();
            assert!(error.ends_with('.'), "{error}");
        }
    }

    #[test]
    fn no_expression_takes_long() {
        let text = "a".repeat(60_000);
        for pattern in ["(a+)+$", "(a|a)*b", "(a*)*c", r"(\w+\s?)+!"] {
            let pattern = LogPattern::new(pattern).unwrap();
            let began = Instant::now();
            pattern.is_in(text.as_bytes());
            assert!(began.elapsed().as_secs() < 5, "{pattern:?}");
        }
    }
}
