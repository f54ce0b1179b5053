//! README.md and docs/: links and lengths of lines, and that they name all settings and commands.

use crate::harness::PROGRAM;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Columns of a line of prose.
const LONGEST_LINE: usize = 120;
/// Lines of README.md.
const LONGEST_README: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The documents by their names below the project's root, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let mut names: Vec<PathBuf> = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .map(PathBuf::from)
    .into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            names.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    names
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(root().join(&name)).unwrap();
            (name, text)
        })
        .collect()
}

/// The lines outside blocks of code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push((at + 1, line));
        }
    }
    lines
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        if line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || ['-', '_', ' '].contains(c));
            found.insert(kept.collect::<String>().replace(' ', "-"));
        }
    }
    found
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for (name, text) in documents() {
        for (number, line) in prose(&text) {
            for rest in line.split("](").skip(1) {
                let target = rest.split(')').next().unwrap();
                if target.starts_with("http") {
                    continue;
                }
                count += 1;
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = match path {
                    "" => root().join(&name),
                    _ => root().join(name.parent().unwrap()).join(path),
                };
                let has_anchor = || {
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    anchors(&text).contains(anchor)
                };
                if !path.exists() || !(anchor.is_empty() || has_anchor()) {
                    broken.push(format!("{}:{number}: {target}", name.display()));
                }
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(count > 100, "{count}");
}

#[test]
fn lines_of_prose_are_short_and_so_is_the_readme() {
    let mut long = Vec::new();
    for (name, text) in documents() {
        for (number, line) in prose(&text) {
            let is_table = line.trim_start().starts_with('|');
            if !is_table && line.chars().count() > LONGEST_LINE {
                long.push(format!("{}:{number}", name.display()));
            }
        }
    }
    assert_eq!(long, Vec::<String>::new());
    let lines = file("README.md").lines().count();
    assert!(lines <= LONGEST_README, "README.md has {lines} lines");
}

/// The help of the program.
fn help(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a document has this word as the first one of a piece of code.
fn has_code(text: &str, word: &str) -> bool {
    text.contains(&format!("`{word}`")) || text.contains(&format!("`{word} "))
}

#[test]
fn every_setting_is_documented() {
    let (help, docs) = (help(&["serve", "--help"]), file("docs/settings.md"));
    let mut names = BTreeSet::new();
    for line in help.lines() {
        if let Some(rest) = line.trim_start().strip_prefix("--") {
            names.insert(format!("--{}", rest.split([' ', ',', '.']).next().unwrap()));
        }
    }
    for rest in help.split("[env: ").skip(1) {
        names.insert(rest.split(['=', ']']).next().unwrap().to_owned());
    }
    assert!(names.len() > 40, "{names:?}");
    let missing: Vec<&String> = names.iter().filter(|name| !has_code(&docs, name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

#[test]
fn every_command_is_documented() {
    let (help, docs) = (help(&["--help"]), file("docs/cli.md"));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help");
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 12, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !has_code(&docs, name)).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

#[test]
fn performance_results_have_a_place_for_every_bench() {
    let script = file("scripts/bench");
    let names = script.split_once("\nnames=(").unwrap().1;
    let names = names.split_once(')').unwrap().0;
    let document = file("docs/PERFORMANCE.md");
    let mut expected = 0;
    for name in names.split_whitespace() {
        let begin = format!("<!-- results: {name} -->\n");
        let (_, rest) = document
            .split_once(&begin)
            .unwrap_or_else(|| panic!("docs/PERFORMANCE.md has no {begin}"));
        let results = rest.split_once("<!-- end -->").unwrap().0;
        assert!(
            results.contains("| Result | What | Value | Limit |"),
            "{name}"
        );
        expected += 1;
    }
    assert!(expected > 8);
    assert_eq!(document.matches("<!-- results: ").count(), expected);
}
