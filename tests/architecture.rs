//! The house's rules that a compiler does not enforce: who may import whom, what a template may hold, what a file must say.
//!
//! Reads the sources as text. The rules are data; an exception stands beside its reason, and one that is no longer needed fails
//! as well, so that the list says what is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Every module at the top of `src`, lowest layer first. A module may import those of lower layers; within the domains' layers
/// the number says who comes first. A new module has to be put in its place here.
const LAYERS: &[(u8, &[&str])] = &[
    // Vocabulary.
    (0, &["clock", "error", "failpoint", "files", "ids", "outgoing", "role", "visible"]),
    // Tools that know no domain.
    (
        1,
        &[
            "archive",
            "chart",
            "db",
            "diagnosis",
            "executable",
            "fetch",
            "http",
            "keeper",
            "listener",
            "logbuf",
            "notices",
            "notify",
            "openapi",
            "sampling",
            "schedule",
            "simulate",
            "systemd",
            "verify",
        ],
    ),
    // Domains.
    (2, &["keys", "vault"]),
    (3, &["access", "backups", "configs"]),
    (4, &["instances"]),
    (5, &["logs", "setup"]),
    (6, &["first_generation", "metrics"]),
    (7, &["health"]),
    (8, &["updates"]),
    (9, &["alerts"]),
    // The house around them.
    (
        10,
        &[
            "app",
            "cli",
            "database_checks",
            "demo",
            "documentation",
            "doors",
            "locks",
            "logging",
            "reload",
            "remote",
            "router",
            "settings",
            "state",
        ],
    ),
];

/// Domains, whose files have the parts that the rules below speak of.
const DOMAINS: [&str; 13] = [
    "access",
    "vault",
    "backups",
    "keys",
    "configs",
    "instances",
    "setup",
    "logs",
    "first_generation",
    "metrics",
    "health",
    "updates",
    "alerts",
];

/// Imports that break a rule for a reason: file or folder, what it may import all the same, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("keeper/", "logbuf::segment", "the format of a log file on disk, written by the one and read by the other"),
    ("keeper/", "logbuf::level", "the format of a line's header, judged alike where it is written and where it is read"),
    ("listener/", "http::Peer", "what requests carry about their connection, written by the one and read through the other"),
    ("instances/model.rs", "db::schema", "derive(Insertable, Queryable) names the table of a row"),
    ("instances/history.rs", "db::schema", "derive(Insertable, Queryable) names the table of a row"),
];

/// Files above the limit of lines, tests in them not counted, each with what holds it together.
const LONG: &[(&str, &str)] = &[
    ("instances/minder.rs", "one conversation with one keeper; its states are told apart in one loop"),
    ("keeper/keep.rs", "one process from its first descriptor to its last, without a runtime to hide the order of things"),
    ("keeper/machine.rs", "one state machine, whose transitions are only to be judged together"),
    ("logbuf/hub.rs", "one owner of the followers' places and the rules of who falls behind"),
    ("logbuf/tail.rs", "reading both ways over the same files, which must agree on every byte"),
    ("simulate/client.rs", "the life of the client in one place, as its log tells it"),
    ("simulate/monitoring.rs", "the client's whole API, word for word"),
];
const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A source file as the rules see it.
struct Source {
    /// Below `src`, with slashes.
    name: String,
    text: String,
    /// The text without comments, strings and tests.
    code: String,
}

impl Source {
    /// The module at the top of `src` it belongs to.
    fn top(&self) -> &str {
        let first = self.name.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The module's path: `configs::views::form`.
    fn module(&self) -> Vec<String> {
        let path = self.name.strip_suffix(".rs").unwrap();
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').map(str::to_owned).collect()
    }

    fn file(&self) -> &str {
        self.name.rsplit('/').next().unwrap()
    }

    /// In the part of a domain called so: `views.rs` or anything below `views/`.
    fn is_part(&self, part: &str) -> bool {
        DOMAINS.contains(&self.top())
            && self.name.split('/').skip(1).any(|piece| piece.strip_suffix(".rs").unwrap_or(piece) == part)
    }
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name();
        // In a second working tree it is a file that says where the first one is.
        if name == ".git" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && name != "node_modules" {
                files_below(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// All files of the project that are text, with their names below its root.
fn texts() -> Vec<(String, String)> {
    let mut files = Vec::new();
    files_below(root(), &mut files);
    files.sort();
    let named = files.into_iter().map(|path| (path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), path));
    named.filter_map(|(name, path)| Some((name, fs::read_to_string(path).ok()?))).collect()
}

/// The product's sources. Files that are only compiled for tests (`#[cfg(test)] mod x;`) are left out.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    files_below(&root().join("src"), &mut files);
    files.sort();
    let mut all: Vec<Source> = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
            Source { name, code: without_tests(&blanked(&text)).0, text }
        })
        .collect();
    let mut only_tests = BTreeSet::new();
    for source in &all {
        let below = match source.name.strip_suffix("/mod.rs") {
            Some(dir) => format!("{dir}/"),
            None if ["lib.rs", "main.rs"].contains(&source.name.as_str()) => String::new(),
            None => format!("{}/", source.name.strip_suffix(".rs").unwrap()),
        };
        for module in without_tests(&blanked(&source.text)).1 {
            only_tests.insert(format!("{below}{module}"));
        }
        // `#[path = "…"]` leaves the usual place.
        for (at, _) in source.text.match_indices("#[path = \"") {
            let name = source.text[at..].split('"').nth(1).unwrap();
            let before = &source.text[..at];
            if before.trim_end().ends_with("#[cfg(test)]") {
                let dir = source.name.rsplit_once('/').map_or(String::new(), |(dir, _)| format!("{dir}/"));
                only_tests.insert(format!("{dir}{}", name.strip_suffix(".rs").unwrap()));
            }
        }
    }
    assert!(all.len() > 40, "the sources are somewhere else");
    all.retain(|source| {
        let module = source.name.strip_suffix(".rs").unwrap();
        let module = module.strip_suffix("/mod").unwrap_or(module);
        !only_tests.iter().any(|test| module == test || module.starts_with(&format!("{test}/")))
    });
    all
}

/// The code with every comment, string and character replaced by spaces, so that positions and lines stay.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let blank = |out: &mut Vec<u8>, from: usize, to: usize| {
        for byte in &mut out[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let is_word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if rest.starts_with(b"//") {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            blank(&mut out, at, at + end);
            at += end;
        } else if rest.starts_with(b"/*") {
            let (mut depth, mut end) = (0, 0);
            while end < rest.len() {
                if rest[end..].starts_with(b"/*") {
                    (depth, end) = (depth + 1, end + 2);
                } else if rest[end..].starts_with(b"*/") {
                    (depth, end) = (depth - 1, end + 2);
                } else {
                    end += 1;
                }
                if depth == 0 {
                    break;
                }
            }
            blank(&mut out, at, at + end);
            at += end;
        } else if let Some(hashes) = raw_string(rest).filter(|_| !is_word_before) {
            let begin = rest.iter().position(|b| *b == b'"').unwrap() + 1;
            let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
            let end = rest[begin..].windows(close.len()).position(|w| w == close).unwrap() + begin + close.len();
            blank(&mut out, at, at + end);
            at += end;
        } else if rest[0] == b'"' {
            let mut end = 1;
            while rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            blank(&mut out, at, at + end + 1);
            at += end + 1;
        } else if rest[0] == b'\'' {
            // A character, or the tick of a lifetime.
            let end = if rest.get(1) == Some(&b'\\') {
                rest[3..].iter().position(|b| *b == b'\'').map(|end| end + 4)
            } else {
                let width = text[at + 1..].chars().next().map_or(1, char::len_utf8);
                (rest.get(1 + width) == Some(&b'\'')).then_some(2 + width)
            };
            if let Some(end) = end {
                blank(&mut out, at, at + end);
            }
            at += end.unwrap_or(1);
        } else {
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

/// The number of hashes if a raw string (of bytes, or of C) begins here.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let start = [&b"r"[..], b"br", b"cr"].into_iter().find(|start| rest.starts_with(start))?.len();
    let hashes = rest[start..].iter().take_while(|b| **b == b'#').count();
    (rest.get(start + hashes) == Some(&b'"')).then_some(hashes)
}

/// The blanked code without what stands under `#[cfg(test)]`, and the modules that are files of their own for tests only.
fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.as_bytes().to_vec();
    let mut modules = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find(MARK).map(|at| at + from) {
        let rest = &code[at + MARK.len()..];
        let (mut depth, mut end) = (0_i32, rest.len());
        for (i, c) in rest.char_indices() {
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => {
                    depth -= 1;
                    if depth == 0 && c == '}' {
                        end = i + 1;
                        break;
                    }
                }
                ';' if depth == 0 => {
                    end = i + 1;
                    break;
                }
                _ => {}
            }
        }
        if let Some((_, name)) = rest[..end].strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
            modules.push(name.trim().to_owned());
        }
        let end = at + MARK.len() + end;
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end;
    }
    (String::from_utf8(out).unwrap(), modules)
}

/// Words and signs of the code.
fn tokens(code: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        all.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    all
}

/// Everything of ours that a file names by `crate::…` or `super::…`, as paths from the top, `db::schema::events`.
fn imports(source: &Source) -> BTreeSet<String> {
    let all = tokens(&source.code);
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < all.len() {
        let begins = matches!(all[at], "crate" | "super") && all.get(at + 1) == Some(&"::") && (at == 0 || all[at - 1] != "::");
        if !begins {
            at += 1;
            continue;
        }
        let mut path = if all[at] == "crate" { Vec::new() } else { source.module() };
        while all[at] == "super" && all.get(at + 1) == Some(&"::") {
            path.pop();
            at += 2;
        }
        if all[at] == "crate" {
            at += 2;
        }
        tree(&all, &mut at, &path, &mut found);
    }
    found
}

/// What a path or a tree of a `use` names, below `prefix`.
fn tree(all: &[&str], at: &mut usize, prefix: &[String], found: &mut BTreeSet<String>) {
    let mut path = prefix.to_vec();
    loop {
        match all.get(*at) {
            Some(&"{") => {
                *at += 1;
                while all.get(*at).is_some_and(|token| *token != "}") {
                    tree(all, at, &path, found);
                    while all.get(*at).is_some_and(|token| *token != "}" && *token != ",") {
                        *at += 1; // `as name`
                    }
                    if all.get(*at) == Some(&",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            Some(&"self") => *at += 1,
            Some(name) if name.starts_with(|c: char| c.is_alphanumeric() || c == '_') => {
                path.push((*name).to_owned());
                *at += 1;
            }
            _ => {}
        }
        if all.get(*at) != Some(&"::") {
            found.insert(path.join("::"));
            return;
        }
        *at += 1;
    }
}

fn layer(top: &str) -> u8 {
    let found = LAYERS.iter().find(|(_, modules)| modules.contains(&top));
    found.unwrap_or_else(|| panic!("the module {top} has no place in LAYERS of this test")).0
}

/// The exception that allows a file to import a path, by its place in the list.
fn exception(file: &str, path: &str) -> Option<usize> {
    EXCEPTIONS.iter().position(|(whose, what, _)| {
        let is_file = file == *whose || (whose.ends_with('/') && file.starts_with(whose));
        is_file && (path == *what || path.starts_with(&format!("{what}::")))
    })
}

/// What breaks a rule unless the list of exceptions allows it.
struct Breaches {
    list: Vec<String>,
    used: BTreeSet<usize>,
}

impl Breaches {
    fn unless_allowed(&mut self, source: &Source, path: &str, rule: &str) {
        match exception(&source.name, path) {
            Some(at) => drop(self.used.insert(at)),
            None => self.list.push(format!("{} imports {path}: {rule}", source.name)),
        }
    }
}

#[test]
fn imports_go_one_way() {
    let mut breaches = Breaches { list: Vec::new(), used: BTreeSet::new() };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !["lib.rs", "main.rs"].contains(&source.name.as_str())) {
        let own = source.top();
        let own_layer = layer(own);
        for path in imports(source) {
            // The macro that every page uses is at the top by Rust's rules; it is a part of `http`.
            let top = match path.split("::").next().unwrap() {
                "view" => "http",
                top => top,
            };
            if top == own {
                continue;
            }
            let other_layer = layer(top);
            match (own_layer, other_layer) {
                (0, _) => breaches.unless_allowed(source, &path, "the vocabulary imports nothing of ours"),
                (1, 1..) => breaches.unless_allowed(source, &path, "a tool imports the vocabulary only"),
                (2..=9, 10) => breaches.unless_allowed(source, &path, "a domain does not know the house around it"),
                (_, 2..=9) if own == "remote" => breaches.unless_allowed(source, &path, "it knows the API alone"),
                _ if own == "remote" && top == "db" => breaches.unless_allowed(source, &path, "it knows the API alone"),
                (own, other) if own < 10 && other >= own => {
                    breaches.unless_allowed(source, &path, "domains import those before them")
                }
                _ => {}
            }
            if exception(&source.name, &path).is_none() {
                edges.entry(own.to_owned()).or_default().insert(top.to_owned());
            }
            if path.starts_with("db::schema") {
                if source.file() != "queries.rs" {
                    breaches.unless_allowed(source, &path, "tables are for a domain's queries");
                }
            } else if top == "db" && source.is_part("views") {
                breaches.unless_allowed(source, &path, "pages do no I/O");
            } else if top == "db" && source.is_part("routes") {
                breaches.unless_allowed(source, &path, "handlers go through the service");
            }
            if path.split("::").nth(1) == Some("queries") {
                breaches.unless_allowed(source, &path, "a domain's queries are its own");
            }
        }
    }
    assert_eq!(breaches.list, Vec::<String>::new());
    let unused: Vec<_> = (0..EXCEPTIONS.len()).filter(|at| !breaches.used.contains(at)).map(|at| EXCEPTIONS[at]).collect();
    assert_eq!(unused, [], "exceptions that nothing needs");
    // The house's own modules have no order, but no circle either.
    let mut left: BTreeSet<String> = edges.keys().cloned().collect();
    while let Some(free) = left.iter().find(|one| edges[*one].iter().all(|other| !left.contains(other))).cloned() {
        left.remove(&free);
    }
    assert_eq!(left, BTreeSet::new(), "these import each other in a circle: {edges:?}");
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    let mut breaches = Vec::new();
    for source in sources() {
        let all = tokens(&source.code);
        let uses = |path: &[&str]| {
            let wanted: Vec<&str> = path.iter().flat_map(|name| [*name, "::"]).collect();
            let wanted = &wanted[..wanted.len() - usize::from(path.len() > 1)];
            all.windows(wanted.len()).enumerate().any(|(at, window)| window == wanted && (at == 0 || all[at - 1] != "::"))
                // Inside `use std::{fs, …}`.
                || (path.len() == 2 && all.windows(3).enumerate().any(|(at, window)| {
                    window == [path[0], "::", "{"] && all[at + 3..].iter().take_while(|token| **token != ";").any(|token| *token == path[1])
                }))
        };
        let mut forbid = |path: &[&str], rule: &str| {
            if uses(path) {
                breaches.push(format!("{} uses {}: {rule}", source.name, path.join("::")));
            }
        };
        let (crates, rule): (&[&str], &str) = match source.top() {
            "keeper" => (&["axum", "tokio", "diesel", "hyper", "reqwest"], "a keeper is small and blocks"),
            "http" => (&["diesel", "r2d2", "rustix"], "HTTP knows no storage"),
            "logbuf" => (&["axum", "diesel", "askama"], "logs are files"),
            "db" => (&["axum", "askama"], "the database knows no page"),
            _ => (&[], ""),
        };
        for name in crates {
            forbid(&[name], rule);
        }
        if source.is_part("views") {
            for path in [
                &["diesel"][..],
                &["tokio"],
                &["std", "fs"],
                &["std", "net"],
                &["std", "process"],
                &["std", "env"],
                &["rustix"],
                &["reqwest"],
                &["axum"],
            ] {
                forbid(path, "pages do no I/O");
            }
        }
        if source.is_part("routes") {
            for path in
                [&["diesel"][..], &["std", "fs"], &["std", "process"], &["tokio", "fs"], &["tokio", "process"], &["rustix"]]
            {
                forbid(path, "handlers go through the service");
            }
        }
        if source.is_part("queries") {
            for path in [&["axum"][..], &["tokio"], &["askama"]] {
                forbid(path, "queries are statements");
            }
        }
    }
    assert_eq!(breaches, Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources().into_iter().filter(|s| !s.text.starts_with("//!")).map(|s| s.name).collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn a_long_file_has_a_reason() {
    let long = |source: &Source| {
        let all = blanked(&source.text);
        all.lines().zip(source.code.lines()).filter(|(all, without_tests)| all == without_tests).count()
    };
    let found: BTreeMap<String, usize> =
        sources().iter().map(|s| (s.name.clone(), long(s))).filter(|(_, lines)| *lines > LONGEST).collect();
    let without: Vec<_> = found.iter().filter(|(name, _)| !LONG.iter().any(|(long, _)| long == name)).collect();
    assert_eq!(without, Vec::<(&String, &usize)>::new(), "above {LONGEST} lines without a reason in this test");
    let stale: Vec<_> = LONG.iter().filter(|(name, _)| !found.contains_key(*name)).collect();
    assert_eq!(stale, Vec::<&(&str, &str)>::new(), "reasons that nothing needs");
}

#[test]
fn nothing_is_unwrapped_or_left_undone_outside_tests() {
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.code.lines().enumerate() {
            for bad in [".unwrap()", ".unwrap_err()", "todo!", "unimplemented!", "dbg!", "unsafe ", "#[ignore"] {
                if line.contains(bad) {
                    found.push(format!("{}:{}: {bad}", source.name, number + 1));
                }
            }
        }
        // An invariant is stated in words.
        for (at, _) in source.code.match_indices(".expect(") {
            let said = source.text[at + ".expect(".len()..].trim_start();
            let words = said.strip_prefix('"').and_then(|said| said.split('"').next()).unwrap_or_default();
            if words.split(' ').count() < 2 {
                found.push(format!("{}: expect({words:?}) states no invariant", source.name));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_text_speaks_of_what_is_not_done_or_of_the_machine_it_was_written_on() {
    // Put together here, so that this file does not find itself.
    let undone = ["TO DO", "FIX ME", "X XX", "place holder", "Place holder", "PLACE HOLDER", "not yet imple mented"]
        .map(|word| word.replace(' ', ""));
    let places = ["/ro ot/", "/wo rk/", "/t mp/"].map(|place| place.replace(' ', ""));
    // An attribute of HTML, and what the client's example files hold where the user's own account belongs.
    let meant = [
        "placeholder=\"",
        "secret_placeholder",
        "::placeholder",
        "PLACEHOLDER_IDENTITIES",
        "the placeholder of an example",
        "fn placeholders_and",
    ];
    let mut found = Vec::new();
    for (name, text) in texts() {
        // Those are other people's.
        if name == "Cargo.lock" || name.ends_with(".min.js") || name.starts_with("LICENSE") {
            continue;
        }
        let is_product = ["src/", "templates/", "static/", "migrations/"].iter().any(|dir| name.starts_with(dir));
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", number + 1);
            let meant = meant.iter().fold(line.to_owned(), |line, meant| line.replace(meant, ""));
            found.extend(
                undone.iter().filter(|word| is_product && meant.contains(word.as_str())).map(|word| format!("{at}: {word}")),
            );
            for place in &places {
                // The tail of another path is no place of a machine.
                let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}>.*-_)".contains(c));
                if line.match_indices(place.as_str()).any(|(at, _)| begins(at)) {
                    found.push(format!("{at}: {place}"));
                }
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn templates_hold_nothing_that_the_policy_forbids() {
    let mut found = Vec::new();
    let mut count = 0;
    for (name, text) in texts().into_iter().filter(|(name, _)| name.starts_with("templates/")) {
        count += 1;
        let lower = text.to_lowercase();
        for bad in [
            "<style",
            " style=",
            "javascript:",
            "<iframe",
            "<object",
            "<embed",
            "<base",
            "http://",
            "|safe",
            "| safe",
            "escape none",
        ] {
            if lower.contains(bad) {
                found.push(format!("{name}: {bad}"));
            }
        }
        for (at, _) in lower.match_indices("<script") {
            let tag = &lower[at..at + lower[at..].find("</script>").unwrap_or(lower.len() - at)];
            if !tag.contains(" src=") || !tag.trim_end().ends_with('>') {
                found.push(format!("{name}: an inline script"));
            }
        }
        for (at, _) in lower.match_indices(" on") {
            let word: String = lower[at + 1..].chars().take_while(char::is_ascii_alphabetic).collect();
            if word.len() > 2 && lower[at + 1 + word.len()..].trim_start().starts_with('=') {
                found.push(format!("{name}: {word}="));
            }
        }
    }
    assert!(count > 10, "the templates are somewhere else");
    assert_eq!(found, Vec::<String>::new());
    let configured = fs::read_to_string(root().join("askama.toml")).unwrap_or_default();
    assert!(!configured.contains("none"), "escaping is switched off: {configured}");
}

#[test]
fn html_leaves_by_one_way() {
    let others: Vec<_> =
        sources().into_iter().filter(|source| source.code.contains(".render()")).map(|source| source.name).collect();
    assert_eq!(others, ["http/respond.rs"], "http::html renders, and shows what hides in texts of others");
}

#[test]
fn vendored_files_are_the_ones_that_are_listed() {
    use miniscript::bitcoin::hashes::{Hash, sha256};
    let list = fs::read_to_string(root().join("static/VENDORED.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in list.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (name, version, licence, hash) = (cells[1], cells[3], cells[4], cells[5]);
        assert!(!version.is_empty() && !licence.is_empty(), "{row}");
        let content = fs::read(root().join("static").join(name)).unwrap();
        assert_eq!(sha256::Hash::hash(&content).to_string(), hash, "{name} is not what the list says");
        listed.insert(name.to_owned());
    }
    let names = fs::read_dir(root().join("static")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let foreign: BTreeSet<String> = names.filter(|name| name.contains(".min.")).collect();
    assert_eq!(listed, foreign);
}

#[test]
fn our_own_style_sheet_and_script_stay_small() {
    for (name, most) in [("app.css", 18_432), ("app.js", 10_240), ("connection.js", 10_240)] {
        let bytes = fs::metadata(root().join("static").join(name)).unwrap().len();
        assert!(bytes <= most, "{name} has {bytes} bytes, more than {most}");
    }
    let css = fs::read_to_string(root().join("static/app.css")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(css.as_bytes()).unwrap();
    let packed = packed.finish().unwrap().len();
    assert!(packed <= 5_120, "app.css has {packed} bytes compressed");
    assert!(!css.contains("@import") && !css.contains("http"), "everything comes from this host");
}

mod the_reader {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into(), code: without_tests(&blanked(text)).0 }
    }

    #[test]
    fn finds_what_is_imported_and_nothing_in_comments_strings_or_tests() {
        let text = r##"//! crate::no1
use crate::db::{Db, schema::{events as e, self}};
use super::model::{Row, unknown};
/* crate::no2 /* nested */ crate::no3 */
fn f<'a>(x: &'a str) -> char { let _ = ("crate::no4 \" ", r#"crate::no5 "x"#, '"', '\'', b'\\'); crate::error::Error::new(super::super::ids::A); 'x' }
pub(crate) fn g() -> $crate::http::View { super::views::row_id() }
#[cfg(test)]
mod tests { use crate::no6; fn h() { "}" ; crate::no7::x() } }
use crate::clock as time;
#[cfg(test)]
mod samples;
"##;
        let source = source("instances/routes.rs", text);
        let found: Vec<String> = imports(&source).into_iter().collect();
        assert_eq!(
            found,
            [
                "clock",
                "db::Db",
                "db::schema",
                "db::schema::events",
                "error::Error::new",
                "http::View",
                "ids::A",
                "instances::model::Row",
                "instances::model::unknown",
                "instances::views::row_id"
            ]
        );
        assert_eq!(without_tests(&blanked(text)).1, ["samples"]);
        assert_eq!(source.code.lines().count(), text.lines().count());
        assert!(source.is_part("routes") && !source.is_part("views"));
    }

    #[test]
    fn reads_the_real_sources() {
        let all = sources();
        let of = |name: &str| imports(all.iter().find(|source| source.name == name).unwrap());
        assert!(of("instances/queries.rs").contains("db::schema::events"));
        assert!(of("router.rs").contains("instances"));
        assert!(of("instances/views.rs").contains("instances::model::Instance"));
        assert!(!all.iter().any(|source| source.name == "configs/samples.rs"), "a file for tests only");
    }
}
