//! `/glossary`: the terms, and the links of other pages to them.

use crate::harness::Manager;
use jd_manager::server::glossary::TERMS;
use serde_json::json;
use std::fs;
use std::path::Path;

#[tokio::test]
async fn the_page_and_the_json_have_every_term() {
    let manager = Manager::start().await;
    let listed: Vec<_> = TERMS
        .iter()
        .map(|one| json!({ "term": one.term, "id": one.id, "sentence": one.sentence }))
        .collect();
    assert!(listed.len() >= 20, "{}", listed.len());
    assert_eq!(
        manager.json("/api/glossary").await,
        json!({ "terms": listed })
    );

    let page = manager.ask("/glossary", "text/html").await.page(200);
    assert_eq!(page.one("h1"), "Glossary");
    for one in TERMS {
        assert_eq!(page.one(&format!("dt#{}", one.id)), one.term);
        assert_eq!(page.one(&format!("dt#{} + dd", one.id)), one.sentence);
    }
    assert_eq!(page.count("main dt"), TERMS.len());
    let part = manager.fragment("/glossary", "main").await.fragment(200);
    assert_eq!(part.count("dt"), TERMS.len());
}

/// The texts of all files in a folder and its folders, with their names.
fn texts(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            texts(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path.display().to_string(), text));
        }
    }
}

#[test]
fn every_link_to_a_term_leads_to_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["templates", "src", "static"] {
        texts(&root.join(folder), &mut found);
    }
    let mut unknown = Vec::new();
    for (name, text) in &found {
        for link in text.split("\"/glossary#").skip(1) {
            let id = link.split(['"', '{']).next().unwrap();
            // A template that inserts the id. The fields with a term have their own test.
            if id.is_empty() {
                continue;
            }
            if !TERMS.iter().any(|one| one.id == id) {
                unknown.push(format!("{name}: {id}"));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}
