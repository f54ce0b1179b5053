//! The words and phrases of `tests/data/wording.tsv`, which no text for users contains, and the text
//! that a reader of a page sees.

use std::sync::LazyLock;

/// A forbidden word or phrase.
pub struct WordingRule {
    /// In lower case. It stands for whole words only.
    pub phrase: &'static str,
    /// What to write instead.
    pub instead: &'static str,
    /// Texts that may contain it, in lower case.
    pub allowed: Vec<String>,
}

/// All of them.
pub static WORDING_RULES: LazyLock<Vec<WordingRule>> = LazyLock::new(|| {
    include_str!("../data/wording.tsv")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut cells = line.split('\t');
            WordingRule {
                phrase: cells.next().unwrap(),
                instead: cells
                    .next()
                    .unwrap_or_else(|| panic!("no second cell: {line}")),
                allowed: cells
                    .next()
                    .unwrap_or_default()
                    .split(" | ")
                    .filter(|text| !text.is_empty())
                    .map(str::to_lowercase)
                    .collect(),
            }
        })
        .collect()
});

/// The forbidden phrases that `text` contains, each with what to write instead.
pub fn forbidden_phrases(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    WORDING_RULES
        .iter()
        .filter(|rule| {
            let text = rule
                .allowed
                .iter()
                .fold(text.clone(), |text, allowed| text.replace(allowed, " "));
            contains_words(&text, rule.phrase)
        })
        .map(|rule| format!("\"{}\" (write: {}) in: {text}", rule.phrase, rule.instead))
        .collect()
}

fn contains_words(text: &str, phrase: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "-_".contains(c));
    text.match_indices(phrase).any(|(at, _)| {
        !is_part(text[..at].chars().next_back())
            && !is_part(text[at + phrase.len()..].chars().next())
    })
}

/// Elements that do not end a sentence.
const INLINE: [&str; 14] = [
    "a", "abbr", "b", "code", "em", "i", "kbd", "samp", "small", "span", "strong", "sub", "sup",
    "time",
];
/// Elements whose content a user or another program wrote.
const QUOTING: [&str; 7] = ["code", "kbd", "pre", "samp", "script", "style", "textarea"];
/// Attributes that are read out or shown.
const SHOWN: [&str; 5] = ["alt", "aria-label", "data-title", "placeholder", "title"];

/// The texts of a page or a template that a reader sees or hears, in order. Where `with_quotes` is
/// false, the content of elements that quote a user or a program is left out.
pub fn visible_texts(html: &str, with_quotes: bool) -> Vec<String> {
    let mut texts = Vec::new();
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let tag_end = rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
        let tag = &rest[at..tag_end];
        rest = &rest[tag_end..];
        let name: String = tag
            .trim_start_matches(['<', '/'])
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        for attribute in SHOWN {
            if let Some((_, value)) = tag.split_once(&format!(" {attribute}=\""))
                && let Some((value, _)) = value.split_once('"')
            {
                texts.push(value.to_owned());
            }
        }
        let is_code = ["script", "style"].contains(&name.as_str());
        if !tag.starts_with("</")
            && QUOTING.contains(&name.as_str())
            && (is_code || !with_quotes)
            && let Some(end) = rest.find(&format!("</{name}"))
        {
            text.push('…');
            rest = &rest[end..];
        }
        if !INLINE.contains(&name.as_str()) {
            texts.push(std::mem::take(&mut text));
        }
    }
    text.push_str(rest);
    texts.push(text);
    texts
        .iter()
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| text.contains(char::is_alphabetic))
        .collect()
}
