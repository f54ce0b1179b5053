//! What types and files may be called: a name says what a thing is, without its path.

use std::collections::{BTreeMap, BTreeSet};

use super::source::SOURCES;

/// Names that several types may have, each inside its own module.
const SHARED: [&str; 3] = ["Row", "Error", "Event"];

/// How past participles end.
const PARTICIPLE_ENDINGS: [&str; 8] = [
    "ed", "wn", "aken", "itten", "iven", "osen", "aught", "ought",
];

/// Past participles that end otherwise.
const PARTICIPLES: [&str; 22] = [
    "begun", "bound", "built", "done", "fallen", "felt", "found", "gone", "heard", "held", "kept",
    "left", "lost", "made", "met", "paid", "said", "seen", "sent", "spent", "told", "won",
];

/// Words that look like participles and are none, each with the reason.
const NOUNS: [(&str, &str); 3] = [
    ("feed", "a list of news, as in Atom feed"),
    ("shutdown", "the noun to the verb shut down"),
    ("spawn", "a verb, as in posix_spawn"),
];

#[test]
fn no_two_types_share_a_name() {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in SOURCES.iter() {
        for found in source
            .types
            .iter()
            .filter(|found| !SHARED.contains(&found.name.as_str()))
        {
            places
                .entry(&found.name)
                .or_default()
                .push(format!("{}:{}", source.name, found.line));
        }
    }
    let shared = places.iter().filter(|(_, places)| places.len() > 1);
    let shared: Vec<String> = shared
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert!(
        shared.is_empty(),
        "{} names that several types have\n{}",
        shared.len(),
        shared.join("\n")
    );
}

#[test]
fn no_type_and_no_file_is_called_by_a_past_participle() {
    let mut names: BTreeSet<(String, String)> = BTreeSet::new();
    for source in SOURCES.iter() {
        let types = source.types.iter().map(|found| {
            (
                last_word(&found.name),
                format!("{} in {}", found.name, source.name),
            )
        });
        names.extend(types);
        for depth in 1..=source.module.len() {
            names.insert((
                last_word(&source.module[depth - 1]),
                format!("src/{}", source.module[..depth].join("/")),
            ));
        }
    }
    let mut used = BTreeSet::new();
    let mut violations = Vec::new();
    for (word, place) in names.iter().filter(|(word, _)| is_participle(word)) {
        match NOUNS.iter().find(|(noun, _)| noun == word) {
            Some((noun, _)) => drop(used.insert(noun)),
            None => violations.push(place.clone()),
        }
    }
    violations.extend(
        NOUNS
            .iter()
            .filter(|(noun, _)| !used.contains(noun))
            .map(|(noun, _)| format!("the exception {noun} is not needed")),
    );
    assert!(
        violations.is_empty(),
        "{} past participles\n{}",
        violations.len(),
        violations.join("\n")
    );
}

fn is_participle(word: &str) -> bool {
    PARTICIPLES.contains(&word)
        || PARTICIPLE_ENDINGS
            .iter()
            .any(|ending| word.ends_with(ending))
}

/// In lower case: `response` of `LoginResponse`, `check` of `release_check`.
fn last_word(name: &str) -> String {
    let start = name
        .rfind(|c: char| c.is_uppercase() || c == '_')
        .unwrap_or(0);
    name[start..].trim_start_matches('_').to_lowercase()
}

#[test]
fn the_last_word_of_a_name_decides() {
    for (name, word) in [
        ("Told", "told"),
        ("UserChanged", "changed"),
        ("last_used", "used"),
        ("Feed", "feed"),
        ("jobs", "jobs"),
    ] {
        assert_eq!(last_word(name), word);
    }
    assert!(
        is_participle("changed")
            && is_participle("told")
            && is_participle("shown")
            && !is_participle("response")
    );
}
