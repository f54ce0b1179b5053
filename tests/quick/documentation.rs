//! The documentation of the API: its document, its page, and docs/API.md, which has to know the
//! same operations.

mod monitoring_systems;
mod pages;

use crate::harness::answer::Answer;
use crate::harness::{Manager, PROGRAM};
use jd_manager::web::openapi::short_type;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn document() -> Value {
    serde_json::from_str(&jd_manager::server::api_docs::text(
        jd_manager::server::route_table::operation_groups(),
    ))
    .unwrap()
}

/// Method, path and what is said of each operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push((method.to_ascii_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

/// The methods and addresses of all lines for a shell in docs/API.md.
fn lines_for_the_shell() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for block in include_str!("../../docs/API.md").split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap().replace("\\\n", " ");
        for line in block.lines().filter(|line| line.starts_with("curl ")) {
            let mut words = line
                .split_whitespace()
                .map(|word| word.trim_matches(['"', '\'']));
            let (mut method, mut address) = (None, None);
            while let Some(word) = words.next() {
                match word {
                    "-X" => method = words.next(),
                    "--json" | "-d" | "-F" | "--data-binary" => method = method.or(Some("POST")),
                    _ => {
                        let path = word
                            .strip_prefix("$API")
                            .or_else(|| word.strip_prefix("http://127.0.0.1:3000"));
                        address = address.or(path);
                    }
                }
            }
            let address = address
                .unwrap_or_else(|| panic!("no address: {line}"))
                .split('?')
                .next()
                .unwrap();
            found.push((method.unwrap_or("GET").to_owned(), address.to_owned()));
        }
    }
    found
}

/// The path of the document that an address is one of; a literal one before one with names.
fn path_of<'p>(address: &str, paths: impl Iterator<Item = &'p str>) -> Option<&'p str> {
    let pieces: Vec<&str> = address.split('/').collect();
    let fits = |path: &str| {
        let names: Vec<&str> = path.split('/').collect();
        names.len() == pieces.len()
            && names
                .iter()
                .zip(&pieces)
                .all(|(name, piece)| name == piece || name.starts_with('{'))
    };
    paths
        .filter(|path| fits(path))
        .min_by_key(|path| path.matches('{').count())
}

#[test]
fn the_page_for_readers_knows_every_operation_and_shows_how_to_send_it() {
    let document = document();
    let operations = operations(&document);
    let paths = || operations.iter().map(|(_, path, _)| path.as_str());
    let mut shown = BTreeSet::new();
    for (method, address) in lines_for_the_shell() {
        let path = path_of(&address, paths())
            .unwrap_or_else(|| panic!("docs/API.md shows {address}, which there is not"));
        assert!(
            operations.iter().any(|(m, p, _)| *m == method && p == path),
            "docs/API.md shows {method} {address}"
        );
        shown.insert((method, path));
    }
    // Pages and what forms send in place of another method are for no shell.
    let is_for_programs = |operation: &Value| {
        let summary = operation["summary"].as_str().unwrap();
        !summary.ends_with("for browsers.") && !summary.contains(", for forms")
    };
    let missing: Vec<String> = operations
        .iter()
        .filter(|(method, path, operation)| {
            is_for_programs(operation) && !shown.contains(&(method.clone(), path.as_str()))
        })
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "docs/API.md shows no curl for these"
    );
}

/// The fields of a schema of an object: name and type, `?` for what may be missing.
fn fields_text(schema: &Value) -> String {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema["properties"].as_object().into_iter().flatten();
    let field = |(name, kind): (&String, &Value)| {
        let mark = if required.contains(&Value::from(name.as_str())) {
            ""
        } else {
            "?"
        };
        format!("{name}{mark}: {}", short_type(kind))
    };
    fields.map(field).collect::<Vec<_>>().join("; ")
}

/// What programs rely on, without the prose: operations with role, parameters, body and answers, and
/// the shapes of what is answered.
fn outline(document: &Value) -> String {
    let mut text = String::new();
    for (method, path, operation) in operations(document) {
        let role = operation["x-role"].as_str().unwrap_or("anybody");
        text.push_str(&format!("{method} {path} ({role})\n"));
        for one in operation["parameters"].as_array().into_iter().flatten() {
            let (place, name) = (one["in"].as_str().unwrap(), one["name"].as_str().unwrap());
            text.push_str(&format!(
                "  {place} {name}: {}\n",
                short_type(&one["schema"])
            ));
        }
        let body = operation["requestBody"]["content"].as_object();
        for (media_type, content) in body.into_iter().flatten() {
            let fields = fields_text(&content["schema"]);
            text.push_str(&format!("  takes {media_type} {{{fields}}}\n"));
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let content = answer["content"].as_object();
            let forms = content.into_iter().flatten().map(|(media_type, content)| {
                format!("{media_type} {}", short_type(&content["schema"]))
            });
            let forms: Vec<String> = forms.collect();
            text.push_str(&format!("  {status} {}\n", forms.join(", ")));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let shape = match schema["properties"].is_object() {
            true => format!("{{{}}}", fields_text(schema)),
            false => short_type(schema),
        };
        text.push_str(&format!("{name} = {shape}\n"));
    }
    text
}

#[test]
fn what_programs_rely_on_changes_only_on_purpose() {
    insta::assert_snapshot!(outline(&document()));
}

/// The table of all operations, as docs/API.md has it.
fn reference() -> String {
    let mut text = String::new();
    for group in jd_manager::server::route_table::operation_groups() {
        text.push_str(&format!("\n### {}\n\n", group.tag));
        text.push_str("| Operation | Role | What it does |\n|---|---|---|\n");
        for operation in group.operations {
            let role = operation.role.map_or("anybody", |role| role.name());
            text.push_str(&format!(
                "| `{} {}` | {role} | {} |\n",
                operation.method.to_uppercase(),
                operation.path,
                operation.summary,
            ));
        }
    }
    text.push('\n');
    text
}

#[test]
fn the_table_of_all_operations_is_that_of_the_program() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/API.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (before, rest) = text.split_once("<!-- operations: ").unwrap();
    let (comment, rest) = rest.split_once("-->\n").unwrap();
    let (table, after) = rest.split_once("<!-- end of operations -->").unwrap();
    if std::env::var_os("UPDATE_API_REFERENCE").is_some() {
        let new = format!(
            "{before}<!-- operations: {comment}-->\n{}<!-- end of operations -->{after}",
            reference()
        );
        return std::fs::write(file, new).unwrap();
    }
    assert!(
        table == reference(),
        "run this test with UPDATE_API_REFERENCE=1 and look at the change of docs/API.md"
    );
}

#[test]
fn every_schema_has_a_name_of_its_own() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    // The generator numbers types that share a name.
    let numbered: Vec<&String> = schemas
        .keys()
        .filter(|name| name.ends_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(numbered, Vec::<&String>::new());
    // Two types of one module that share a name would be one schema.
    let result = &schemas["CheckResult"];
    assert_eq!(
        result["properties"]["check_type"]["$ref"],
        "#/components/schemas/HealthCheck"
    );
    assert_eq!(schemas["HealthCheck"]["properties"], Value::Null);
}

#[test]
fn every_operation_says_what_it_does_and_who_may() {
    let document = document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(
            names.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{at}: its name is another's, too"
        );
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            summary.ends_with('.') && summary.len() > 5,
            "{at}: {summary}"
        );
        let role = operation["x-role"].as_str();
        let said = operation["description"].as_str().unwrap();
        match role {
            Some(role) => {
                assert!(
                    ["viewer", "operator", "admin"].contains(&role)
                        && said.contains(&format!("the {role} role")),
                    "{at}"
                )
            }
            None => assert_eq!(operation["security"], serde_json::json!([]), "{at}"),
        }
        let asked: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "path")
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        let named: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(asked, named, "{at}");
        let succeeds = operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .any(|status| status.starts_with('2'));
        assert!(succeeds, "{at}: what is answered when it works?");
    }
}

#[test]
fn every_shape_has_a_name_of_its_own() {
    let document = document();
    let numbered: Vec<&String> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| name.ends_with(char::is_numeric))
        .collect();
    assert_eq!(
        numbered,
        Vec::<&String>::new(),
        "types of one name: give one another name with #[schemars(rename)]"
    );
}

#[test]
fn it_is_printed_without_a_manager_and_without_a_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .arg("openapi")
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        document()
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn people_get_a_page_and_programs_the_document() {
    let manager = Manager::start().await;
    let document = document();
    for path in ["/api/openapi.json", "/openapi.json", "/api/openapi"] {
        assert_eq!(
            Answer::to(manager.request("GET", path)).await.json(200),
            document,
            "{path}"
        );
    }
    let page = manager.ask("/openapi", "text/html").await.page(200);
    let operations = operations(&document);
    assert_eq!(
        page.count("details:has(> summary > code) > pre"),
        operations.len()
    );
    let ids = page.attrs("details:has(> pre)", "id");
    let lines = ids
        .into_iter()
        .zip(page.texts("details:has(> pre) > summary"))
        .zip(page.texts("details > pre"));
    let shown: BTreeMap<String, (String, String)> = lines
        .map(|((id, summary), line)| (id, (summary, line)))
        .collect();
    for (method, path, operation) in &operations {
        let (summary, line) = &shown[operation["operationId"].as_str().unwrap()];
        assert_eq!(
            *summary,
            format!("{method} {path} {}", operation["summary"].as_str().unwrap())
        );
        assert!(line.starts_with("curl "), "{line}");
    }
    // Every link within the page leads somewhere.
    let ids = page.attrs("[id]", "id");
    let targets: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(targets.len(), ids.len(), "an id is there twice");
    for target in page.attrs("main a[href^='#']", "href") {
        assert!(targets.contains(&target[1..].to_owned()), "{target}");
    }
    // From every page there is a way here.
    assert_eq!(
        manager
            .ask("/", "text/html")
            .await
            .page(200)
            .count("footer a[href='/openapi']"),
        1
    );
}

/// A request of an operation, with something in each place of its path.
async fn asked(
    manager: &Manager,
    method: &str,
    path: &str,
    query: &str,
    body: Option<&Value>,
) -> Answer {
    let path = path
        .replace("{step}", "name")
        .replace("{n}", "1")
        .replace("{type}", "miners");
    let path = path
        .replace("{id}", "00000000-0000-4000-8000-000000000000")
        .replace("{name}", "0.6.0");
    let request = manager
        .request(method, &format!("/api{path}{query}"))
        .header("accept", "*/*");
    Answer::to(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

#[tokio::test]
async fn unknown_query_parameters_and_fields_are_named_by_every_operation() {
    let manager = Manager::start().await;
    let mut bodies = 0;
    for (method, path, operation) in operations(&document()) {
        let answer = asked(&manager, &method, &path, "?surprise=1&surprise=2", None).await;
        assert_eq!(
            answer.pointers(),
            ["/surprise"],
            "{method} {path}: {answer:?}"
        );
        let problem = answer.problem(422);
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("Unknown query parameter \"surprise\"."),
            "{method} {path}: {detail}"
        );
        let known = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "query");
        for parameter in known {
            assert!(
                detail.contains(parameter["name"].as_str().unwrap()),
                "{method} {path}: {detail}"
            );
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema["additionalProperties"] == false {
            bodies += 1;
            let answer = asked(
                &manager,
                &method,
                &path,
                "",
                Some(&serde_json::json!({ "surprise": 1 })),
            )
            .await;
            assert_eq!(
                answer.pointers(),
                ["/surprise"],
                "{method} {path}: {answer:?}"
            );
            let problem = answer.problem(422);
            for name in schema["properties"].as_object().unwrap().keys() {
                assert!(
                    problem["errors"][0]["detail"]
                        .as_str()
                        .unwrap()
                        .contains(name.as_str()),
                    "{method} {path}: {problem}"
                );
            }
        }
    }
    assert!(bodies >= 25, "{bodies}");
    // A form may have more fields, such as the button that sent it; files of the pages have
    // versions.
    assert_eq!(manager.ask("/static/app.css?v=1", "*/*").await.status, 200);
    // What is nested or leads to a warning only is named, too.
    let id = manager.instance("barn").await;
    let change =
        serde_json::json!({ "restart_limit": { "failures": 5, "within_s": 600, "surprise": 1 } });
    let request = manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&change);
    assert_eq!(
        Answer::to(request).await.pointers(),
        ["/restart_limit/surprise"]
    );
    let rule =
        serde_json::json!({ "condition": { "kind": "state", "is": "failed", "surprise": 1 } });
    assert_eq!(
        Answer::to(manager.request("POST", "/api/alerts/rules").json(&rule))
            .await
            .pointers(),
        ["/condition/surprise"]
    );
    let config = manager.json("/api/saved-configs").await["configurations"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut saved = manager.json(&format!("/api/saved-configs/{config}")).await;
    saved = serde_json::json!({ "config": saved["config"].take(), "nmae": "typo" });
    let request = manager
        .request("PUT", &format!("/api/saved-configs/{config}"))
        .json(&saved);
    let told = Answer::to(request).await.json(200);
    let warnings = told["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|one| one["pointer"] == "/nmae"),
        "{told}"
    );
}
