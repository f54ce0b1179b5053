//! Rules for the code of single files: which crates it uses, how long it is, what it must and must
//! not say.

use std::collections::BTreeMap;

use super::source::{SOURCES, Source};

/// Files above the limit of lines, tests in them not counted, each with what holds it together.
const LONG: [(&str, &str); 3] = [
    (
        "domain/instances/task.rs",
        "one conversation with one keeper; its states are told apart in one loop",
    ),
    (
        "programs/jd_client/config_fields.rs",
        "one table of all fields of a configuration",
    ),
    (
        "programs/jd_client/simulator/client.rs",
        "the life of the client in one place, as its log tells it",
    ),
];
/// Of at most 100 columns.
const LONGEST: usize = 600;

/// What may not be used, and where: in a folder, or in a part of a domain such as `views`.
const FORBIDDEN: [(&str, &[&str], &str); 7] = [
    (
        "keeper",
        &["axum", "tokio", "diesel", "hyper", "reqwest"],
        "a keeper is small and blocks",
    ),
    (
        "web",
        &["diesel", "r2d2", "rustix"],
        "HTTP knows no storage",
    ),
    (
        "infra/log_store",
        &["axum", "diesel", "askama"],
        "logs are files",
    ),
    (
        "infra/db",
        &["axum", "askama"],
        "the database knows no page",
    ),
    (
        "views",
        &[
            "diesel",
            "tokio",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "rustix",
            "reqwest",
            "axum",
        ],
        "pages do no I/O",
    ),
    (
        "routes",
        &[
            "diesel",
            "std::fs",
            "std::process",
            "tokio::fs",
            "tokio::process",
            "rustix",
        ],
        "handlers go through the service",
    ),
    (
        "queries",
        &["axum", "tokio", "askama"],
        "queries are statements",
    ),
];

#[test]
fn foreign_crates_stay_where_they_belong() {
    let mut violations = Vec::new();
    for source in SOURCES.iter() {
        let is_in =
            |place: &str| source.is_part(place) || source.module.join("/").starts_with(place);
        for (_, crates, rule) in FORBIDDEN.iter().filter(|(place, ..)| is_in(place)) {
            for path in &source.foreign {
                let uses = |used: &&&str| {
                    used.split("::").zip(path).filter(|(a, b)| a == b).count()
                        == used.split("::").count()
                };
                let used = crates.iter().find(uses);
                violations.extend(used.map(|used| format!("{} uses {used}: {rule}", source.name)));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = SOURCES
        .iter()
        .filter(|source| !source.text.starts_with("//!"));
    assert_eq!(
        silent.map(|source| &source.name).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[test]
fn a_long_file_has_a_reason() {
    let lines = |source: &Source| source.text.lines().count() - source.test_lines.len();
    let found: BTreeMap<&str, usize> = SOURCES
        .iter()
        .map(|source| (source.name.as_str(), lines(source)))
        .filter(|(_, lines)| *lines > LONGEST)
        .collect();
    let without: Vec<_> = found
        .iter()
        .filter(|(name, _)| !LONG.iter().any(|(long, _)| long == *name))
        .collect();
    let unused: Vec<_> = LONG
        .iter()
        .filter(|(name, _)| !found.contains_key(name))
        .collect();
    assert!(
        without.is_empty() && unused.is_empty(),
        "above {LONGEST} lines without a reason: {without:?}; not needed: {unused:?}"
    );
}

#[test]
fn nothing_is_unwrapped_or_left_undone_outside_tests() {
    let bad: [&[&str]; 7] = [
        &[".", "unwrap", "(", ")"],
        &[".", "unwrap_err", "(", ")"],
        &["todo", "!"],
        &["unimplemented", "!"],
        &["dbg", "!"],
        &["unsafe"],
        &["#", "[", "ignore"],
    ];
    let mut found = Vec::new();
    for source in SOURCES.iter() {
        for bad in bad {
            let places = source.positions(bad).map(|at| {
                format!(
                    "{}:{}: {}",
                    source.name,
                    source.tokens[at].line,
                    bad.concat()
                )
            });
            found.extend(places);
        }
        // An invariant is stated in words.
        for at in source.positions(&[".", "expect", "("]) {
            let invariant = &source.tokens[at + 3];
            if !invariant.text.starts_with('"') || invariant.text.split(' ').count() < 2 {
                found.push(format!(
                    "{}:{}: expect({}) states no invariant",
                    source.name, invariant.line, invariant.text
                ));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn html_leaves_by_one_way() {
    let places: Vec<&str> = SOURCES
        .iter()
        .filter(|source| {
            let renders = |method| source.positions(&[".", method, "("]).next().is_some();
            renders("render") || renders("render_with_values")
        })
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(
        places,
        ["web/respond.rs"],
        "web::html renders, and shows what hides in texts of others"
    );
}
