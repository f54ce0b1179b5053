//! The texts in the string literals of the sources.

use std::collections::BTreeMap;

use crate::architecture::source::{SOURCES, Source};

/// Sources whose literals are texts of other programs, or patterns that find them.
const FOREIGN: [&str; 4] = [
    // The client's and the translator's own log lines and messages.
    "programs/jd_client/simulator/",
    "programs/translator/simulator/",
    "programs/jd_client/diagnosis/facts",
    "programs/translator/diagnosis/facts",
];

/// Of these only the literals of the fields that people read are texts; the others are patterns of
/// log lines.
const CAUSES: [&str; 2] = [
    "programs/jd_client/diagnosis/causes",
    "programs/translator/diagnosis/causes",
];

/// The texts of each source file.
pub fn texts() -> BTreeMap<String, Vec<String>> {
    SOURCES
        .iter()
        .filter(|source| !FOREIGN.iter().any(|name| source.name.starts_with(name)))
        .map(|source| (format!("src/{}", source.name), source_texts(source)))
        .collect()
}

fn source_texts(source: &Source) -> Vec<String> {
    let is_cause = CAUSES.iter().any(|name| source.name.starts_with(name));
    let token = |at: usize| {
        source
            .tokens
            .get(at)
            .map_or("", |token| token.text.as_str())
    };
    let mut texts = Vec::new();
    for at in 2..source.tokens.len() {
        if !token(at).starts_with(['"', 'r']) || !token(at).ends_with(['"', '#']) {
            continue;
        }
        let Ok(literal) = syn::parse_str::<syn::LitStr>(token(at)) else {
            continue;
        };
        let text = literal.value();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let before = (token(at - 2), token(at - 1));
        let is_code = match before {
            // Documentation is not a text of the program; the help of commands is read separately.
            ("doc" | "reason", "=") => true,
            // The message of a panic.
            ("expect", "(") => true,
            _ => is_cause && !matches!(before, ("what" | "advice", ":")),
        };
        if !is_code && is_text(&text) {
            texts.push(text);
        }
    }
    texts
}

/// A sentence or a label, and not a name, a query or a format of numbers.
pub fn is_text(text: &str) -> bool {
    const SQL: [&str; 14] = [
        "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "PRAGMA ", "BEGIN ", "WITH ",
        "VACUUM ", "ATTACH ", "DETACH ", "ALTER ", "DROP ", "REPLACE ",
    ];
    let is_word = |word: &&str| {
        if word.contains('{') {
            return false;
        }
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        word.len() > 1
            && word
                .chars()
                .all(|c| c.is_alphabetic() || "'’-/".contains(c))
    };
    let words = text.split_whitespace().filter(is_word).count();
    let is_label = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(char::is_uppercase)
            && text.len() > 2
            && letters.all(|c| c.is_ascii_lowercase())
    };
    !SQL.iter().any(|verb| text.starts_with(verb)) && (words > 1 || is_label(text))
}

#[test]
fn sentences_and_labels_are_texts() {
    for text in ["Remove", "The port is {port}.", "in use"] {
        assert!(is_text(text), "{text}");
    }
    for text in [
        "SELECT id FROM x",
        "{a} {b}",
        "text/html",
        "listening_address",
        "HTTP",
        "%Y-%m-%d %H",
    ] {
        assert!(!is_text(text), "{text}");
    }
}
