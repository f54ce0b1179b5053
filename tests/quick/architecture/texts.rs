//! Rules for templates, for the style sheet and the scripts, and for every text of the project.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use sha2::{Digest, Sha256};

use super::{files_below, root};

/// All files of the project that are text, with their names below its root.
fn texts() -> Vec<(String, String)> {
    files_below("")
        .into_iter()
        .filter_map(|name| Some((name.clone(), fs::read_to_string(root().join(name)).ok()?)))
        .collect()
}

#[test]
fn no_text_speaks_of_what_is_not_done_or_of_the_machine_it_was_written_on() {
    // Put together here, so that this file does not find itself.
    let undone = [
        "TO DO",
        "FIX ME",
        "X XX",
        "place holder",
        "Place holder",
        "PLACE HOLDER",
        "not yet imple mented",
    ]
    .map(|word| word.replace(' ', ""));
    let places = ["/ro ot/", "/wo rk/", "/t mp/"].map(|place| place.replace(' ', ""));
    // An attribute of HTML, and what the client's example files hold where the user's own account
    // belongs.
    let meant = [
        "placeholder=\"",
        "secret_placeholder",
        "::placeholder",
        "PLACEHOLDER_IDENTITIES",
        "fn placeholders_and",
    ];
    let mut found = Vec::new();
    for (name, text) in texts() {
        // Those are other people's.
        if name == "Cargo.lock" || name.ends_with(".min.js") || name.starts_with("LICENSE") {
            continue;
        }
        let is_product = ["src/", "templates/", "static/", "migrations/"]
            .iter()
            .any(|dir| name.starts_with(dir));
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", number + 1);
            let meant = meant
                .iter()
                .fold(line.to_owned(), |line, meant| line.replace(meant, ""));
            found.extend(
                undone
                    .iter()
                    .filter(|word| is_product && meant.contains(word.as_str()))
                    .map(|word| format!("{at}: {word}")),
            );
            for place in &places {
                // The tail of another path is no place of a machine.
                let begins = |at: usize| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}>.*-_)".contains(c))
                };
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
    for (name, text) in texts()
        .into_iter()
        .filter(|(name, _)| name.starts_with("templates/"))
    {
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
            let word: String = lower[at + 1..]
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            if word.len() > 2 && lower[at + 1 + word.len()..].trim_start().starts_with('=') {
                found.push(format!("{name}: {word}="));
            }
        }
    }
    assert!(count > 10, "the templates are somewhere else");
    assert_eq!(found, Vec::<String>::new());
    let configured = fs::read_to_string(root().join("askama.toml")).unwrap_or_default();
    assert!(
        !configured.contains("none"),
        "escaping is switched off: {configured}"
    );
}

#[test]
fn vendored_files_are_the_ones_that_are_listed() {
    let list = fs::read_to_string(root().join("static/VENDORED.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in list.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        let (name, version, licence, hash) = (cells[1], cells[3], cells[4], cells[5]);
        assert!(!version.is_empty() && !licence.is_empty(), "{row}");
        let content = fs::read(root().join("static").join(name)).unwrap();
        assert_eq!(
            format!("{:x}", Sha256::digest(&content)),
            hash,
            "{name} is not what the list says"
        );
        listed.insert(name.to_owned());
    }
    let names = fs::read_dir(root().join("static"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let foreign: BTreeSet<String> = names.filter(|name| name.contains(".min.")).collect();
    assert_eq!(listed, foreign);
}

#[test]
fn our_own_style_sheet_and_script_stay_small() {
    for (name, most) in [
        ("app.css", 18_432),
        ("app.js", 10_240),
        ("connection.js", 10_240),
        ("list.js", 2_048),
        ("log.js", 4_096),
        ("log-copy.js", 2_048),
        ("shortcuts.js", 2_048),
        ("chart.css", 4_096),
        ("chart.js", 6_144),
    ] {
        let bytes = fs::metadata(root().join("static").join(name))
            .unwrap()
            .len();
        assert!(bytes <= most, "{name} has {bytes} bytes, more than {most}");
    }
    let css = fs::read_to_string(root().join("static/app.css")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(css.as_bytes()).unwrap();
    let packed = packed.finish().unwrap().len();
    assert!(packed <= 5_120, "app.css has {packed} bytes compressed");
    assert!(
        !css.contains("@import") && !css.contains("http"),
        "everything comes from this host"
    );
}
