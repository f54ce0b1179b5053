//! Who may import whom. The rules are tables; an exception has a reason, and one that nothing needs
//! fails as well.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{SOURCES, Source};

/// Each folder of `src` and the folders it may import.
const FOLDERS: [(&str, &[&str]); 8] = [
    ("base", &[]),
    ("keeper", &["base"]),
    ("web", &["base"]),
    ("infra", &["base", "keeper", "web"]),
    ("programs", &["base", "keeper", "web", "infra"]),
    ("domain", &["base", "keeper", "web", "infra", "programs"]),
    (
        "server",
        &["base", "keeper", "web", "infra", "programs", "domain"],
    ),
    (
        "cli",
        &[
            "base", "keeper", "web", "infra", "programs", "domain", "server",
        ],
    ),
];

/// A domain imports those before it.
const DOMAINS: [&str; 20] = [
    "vault",
    "keys",
    "access",
    "backups",
    "configs",
    "mutes",
    "instances",
    "logs",
    "node",
    "setup",
    "metrics",
    "miners",
    "overview",
    "health",
    "hosts",
    "updates",
    "rollouts",
    "alerts",
    "bulk",
    "legacy_api",
];

/// Imports that break a rule for a reason: the file, what it may import all the same, why.
const EXCEPTIONS: [(&str, &str, &str); 2] = [
    (
        "domain/instances/model.rs",
        "infra::db::schema",
        "derive(Insertable, Queryable) names the table of a row",
    ),
    (
        "domain/instances/history.rs",
        "infra::db::schema",
        "derive(Insertable, Queryable) names the table of a row",
    ),
];

fn place_of(domain: &str) -> usize {
    let place = DOMAINS.iter().position(|name| *name == domain);
    place.unwrap_or_else(|| panic!("the domain {domain} has no place in DOMAINS of this test"))
}

/// The rules that a file breaks by importing a path.
fn broken_rules(source: &Source, path: &[String]) -> Vec<&'static str> {
    let segment = |at: usize| path.get(at).map_or("", String::as_str);
    let (folder, entry) = (segment(0), segment(1));
    let allowed = FOLDERS.iter().find(|(name, _)| *name == source.folder());
    let (_, allowed) =
        allowed.unwrap_or_else(|| panic!("{} is in no folder of FOLDERS", source.name));
    let is_other_domain =
        folder == "domain" && !(source.folder() == folder && [source.entry(), ""].contains(&entry));
    let is_client = source.folder() == "cli" && source.entry() == "client";
    let is_table = path.starts_with(&["infra", "db", "schema"].map(str::to_owned));
    let is_database = folder == "infra"
        && entry == "db"
        && !(source.folder() == folder && source.entry() == entry);

    let rules = [
        (
            folder != source.folder() && !allowed.contains(&folder),
            "FOLDERS does not allow it",
        ),
        (
            is_other_domain
                && source.folder() == folder
                && place_of(entry) > place_of(source.entry()),
            "it comes later in DOMAINS",
        ),
        (
            is_client && (folder == "domain" || is_database),
            "the command line's client knows the API only",
        ),
        (
            is_database && is_table && source.file() != "queries.rs",
            "tables are for a domain's queries",
        ),
        (
            is_database && !is_table && source.is_part("views"),
            "pages do no I/O",
        ),
        (
            is_database && !is_table && source.is_part("routes"),
            "handlers go through the service",
        ),
        (
            is_other_domain && segment(2) == "queries",
            "a domain's queries are its own",
        ),
    ];
    rules
        .into_iter()
        .filter(|(is_broken, _)| *is_broken)
        .map(|(_, rule)| rule)
        .collect()
}

#[test]
fn imports_go_one_way() {
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for source in SOURCES.iter().filter(|source| !source.module.is_empty()) {
        for path in &source.imports {
            let shown = path.join("::");
            // The macro that every page uses is at the top by Rust's rules; it is a part of `web`.
            let path = if shown == "view" {
                &vec!["web".to_owned()]
            } else {
                path
            };
            for rule in broken_rules(source, path) {
                let exception = EXCEPTIONS.iter().position(|(file, allowed, _)| {
                    source.name == *file
                        && (shown == *allowed || shown.starts_with(&format!("{allowed}::")))
                });
                match exception {
                    Some(at) => drop(used.insert(at)),
                    None => violations.push(format!("{} imports {shown}: {rule}", source.name)),
                }
            }
        }
    }
    let unused = EXCEPTIONS
        .iter()
        .enumerate()
        .filter(|(at, _)| !used.contains(at));
    violations.extend(
        unused.map(|(_, (file, path, _))| {
            format!("the exception of {file} for {path} is not needed")
        }),
    );
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// Which file imports what of which other files.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The imports between files, followed through `pub use` to where a thing is defined.
fn imports_between_files() -> Imports {
    let by_module: BTreeMap<&[String], &Source> = SOURCES
        .iter()
        .map(|source| (source.module.as_slice(), source))
        .collect();
    let mut all = Imports::new();
    for source in SOURCES.iter().filter(|source| !source.module.is_empty()) {
        let imports = all.entry(source.name.clone()).or_default();
        for path in &source.imports {
            let (file, item) = definition(&by_module, path.clone());
            if !item.is_empty() && !file.module.is_empty() && file.name != source.name {
                imports.entry(file.name.clone()).or_default().insert(item);
            }
        }
    }
    all
}

/// The file that a path leads to, and the rest of the path there.
fn definition<'a>(
    by_module: &BTreeMap<&[String], &'a Source>,
    path: Vec<String>,
) -> (&'a Source, String) {
    let depth = (0..=path.len())
        .rev()
        .find(|depth| by_module.contains_key(&path[..*depth]))
        .unwrap();
    let source = by_module[&path[..depth]];
    let alias = path
        .get(depth)
        .and_then(|name| source.aliases.get(name))
        .filter(|target| target[0] == "crate");
    match alias.map(|target| [&target[1..], &path[depth + 1..]].concat()) {
        Some(target) if target != path => definition(by_module, target),
        _ => (source, path[depth..].join("::")),
    }
}

/// The nodes that lead to each other, in groups of two or more.
fn cycles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reachable = |from: &String| {
        let (mut found, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(to) = left.pop().and_then(|node| edges.get(node)) {
            left.extend(to.iter().filter(|node| found.insert((*node).clone())));
        }
        found
    };
    let reachable: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|node| (node, reachable(node))).collect();
    let groups: BTreeSet<BTreeSet<String>> = reachable
        .iter()
        .filter(|(node, found)| found.contains(**node))
        .map(|(node, found)| {
            found
                .iter()
                .filter(|other| reachable.get(other).is_some_and(|r| r.contains(*node)))
                .cloned()
                .collect()
        })
        .collect();
    groups
        .into_iter()
        .filter(|group: &BTreeSet<String>| group.len() > 1)
        .collect()
}

/// What stands in a folder has no order, but no cycle either.
#[test]
fn entries_of_a_folder_import_each_other_in_no_cycle() {
    let entry: BTreeMap<&str, String> = SOURCES
        .iter()
        .filter(|source| source.module.len() > 1)
        .map(|source| (source.name.as_str(), source.module[..2].join("/")))
        .collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, imports) in imports_between_files()
        .iter()
        .filter(|(file, _)| entry.contains_key(file.as_str()))
    {
        let others = imports
            .keys()
            .filter_map(|other| entry.get(other.as_str()).cloned());
        edges
            .entry(entry[file.as_str()].clone())
            .or_default()
            .extend(others);
    }
    assert_eq!(cycles(&edges), Vec::<BTreeSet<String>>::new());
}

/// A module and those inside it may use each other, other files may not.
#[test]
fn files_import_each_other_in_no_cycle() {
    let imports = imports_between_files();
    let module: BTreeMap<&str, &[String]> = SOURCES
        .iter()
        .map(|source| (source.name.as_str(), source.module.as_slice()))
        .collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, others) in &imports {
        let is_inside = |other: &str| {
            module[other].starts_with(module[file.as_str()])
                || module[file.as_str()].starts_with(module[other])
        };
        edges.insert(
            file.clone(),
            others
                .keys()
                .filter(|other| !is_inside(other))
                .cloned()
                .collect(),
        );
    }
    let mut found = String::new();
    for group in cycles(&edges) {
        for file in &group {
            for other in edges[file].intersection(&group) {
                let items: Vec<&str> = imports[file][other].iter().map(String::as_str).collect();
                found += &format!("{file} imports {} of {other}\n", items.join(", "));
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}
