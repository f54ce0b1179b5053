//! Every sentence that a user can read, in one snapshot, so that a change of wording is seen in the
//! diff; and the words and phrases that none of them contains (`tests/data/wording.tsv`).
//!
//! Sentences come from the templates, from the string literals of the sources, and from the help of
//! every command. Pages as they are rendered are checked for forbidden phrases where the tests ask
//! for them (`tests/harness/answer.rs`).
//!
//! After a change of wording: `INSTA_UPDATE=always cargo test --test quick wording::`, then read the
//! diff of the snapshot.

mod literals;
mod templates;

use std::collections::BTreeMap;

use crate::client_commands::{program, run};
use crate::harness::wording::{WORDING_RULES, forbidden_phrases};

/// The texts of each file or command, sorted by its name, without repetitions.
fn all_texts() -> BTreeMap<String, Vec<String>> {
    let mut all = templates::texts();
    all.extend(literals::texts());
    all.extend(help_texts());
    for texts in all.values_mut() {
        let mut seen = std::collections::BTreeSet::new();
        texts.retain(|text| seen.insert(text.clone()));
    }
    all.retain(|_, texts| !texts.is_empty());
    all
}

/// The help of every command.
fn help_texts() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(command) = open.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = run(program(&arguments)).well();
        let list = help.split("\nCommands:\n").nth(1).unwrap_or_default();
        for line in list.lines().take_while(|line| line.starts_with("  ")) {
            // Longer descriptions continue on lines that are indented further.
            let Some(name) = line
                .strip_prefix("  ")
                .filter(|name| !name.starts_with(' '))
            else {
                continue;
            };
            let name = name.split_whitespace().next().unwrap();
            if name != "help" {
                open.push([command.as_slice(), &[name.to_owned()]].concat());
            }
        }
        let name = format!("jd-manager {}", arguments.join(" "));
        let lines = help.lines().map(|line| line.trim().to_owned());
        all.insert(name, lines.filter(|line| !line.is_empty()).collect());
    }
    assert!(
        all.len() > 20,
        "the commands are listed in another form: {:?}",
        all.keys()
    );
    all
}

#[test]
fn no_text_contains_a_forbidden_phrase() {
    let mut found = Vec::new();
    for (name, texts) in all_texts() {
        for text in texts {
            found.extend(
                forbidden_phrases(&text)
                    .iter()
                    .map(|fault| format!("{name}: {fault}")),
            );
        }
    }
    assert!(
        found.is_empty(),
        "{} texts:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn wording_changes_only_on_purpose() {
    let mut snapshot = String::new();
    for (name, texts) in all_texts() {
        snapshot.push_str(&format!("{name}\n"));
        for text in texts {
            snapshot.push_str(&format!("    {text}\n"));
        }
    }
    insta::assert_snapshot!(snapshot);
}

#[test]
fn forbidden_phrases_are_whole_words_in_any_case() {
    assert_eq!(forbidden_phrases("Is TOLD to nobody.").len(), 1);
    assert_eq!(forbidden_phrases("The amended file"), Vec::<String>::new());
    assert!(WORDING_RULES.len() > 50);
    for rule in WORDING_RULES.iter() {
        assert_eq!(
            rule.phrase,
            rule.phrase.to_lowercase(),
            "write it in lower case"
        );
        assert!(
            !rule.instead.is_empty(),
            "{}: what to write instead?",
            rule.phrase
        );
        assert_eq!(
            forbidden_phrases(&format!("({}).", rule.phrase)).is_empty(),
            rule.allowed.iter().any(|allowed| *allowed == rule.phrase),
            "{}",
            rule.phrase
        );
    }
}
