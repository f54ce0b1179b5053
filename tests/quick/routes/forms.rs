//! Every form with nothing in it and with nonsense in it: what people are told is a sentence, never
//! a status, a JSON pointer or an API name.

use super::form;
use crate::harness::answer::{Answer, Form};
use crate::harness::{Manager, free_port, solo_config};
use serde_json::json;

/// What no page says.
const STATUS_NAMES: [&str; 8] = [
    "Unprocessable",
    "Bad Request",
    "Method Not Allowed",
    "Not Acceptable",
    "Unsupported Media Type",
    "Payload Too Large",
    "Status 4",
    "Status 5",
];
/// Words of the API.
const API_WORDS: [&str; 7] = [
    "JSON",
    "all: true",
    "true or false",
    " null",
    "{\"",
    "pointer",
    "must be an object",
];

/// A manager with one of everything that has a form.
async fn world() -> (Manager, Vec<String>) {
    let manager = Manager::start().await;
    let config = manager
        .save_config("barn", &solo_config(free_port(), free_port(), 1))
        .await;
    let id = manager.instance_of("barn", &config).await;
    let begun = form(&manager, "/setup", &[("mode", "FULLTEMPLATE")]).await;
    let setup = begun
        .header("location")
        .unwrap()
        .trim_end_matches("/provider")
        .to_owned();
    let rule = "a1e70000-0000-4000-8000-000000000002";
    let mut pages: Vec<String> = [
        "/",
        "/instances",
        "/instances/new",
        "/saved-configs",
        "/saved-configs/new",
        "/saved-configs/import",
    ]
    .into_iter()
    .chain([
        "/alerts",
        "/alerts/rules/new",
        "/setup",
        "/account",
        "/users",
        "/tokens",
        "/updates",
        "/backups",
        "/hosts",
        "/login",
    ])
    .map(str::to_owned)
    .collect();
    pages.extend(super::alerts::KINDS.map(|kind| format!("/alerts/channels/new?kind={kind}")));
    pages.extend(["state", "check", "metric"].map(|kind| format!("/alerts/rules/new?kind={kind}")));
    pages.extend(["", "/settings"].map(|page| format!("/instances/{id}{page}")));
    pages.extend(["", "/edit"].map(|page| format!("/saved-configs/{config}{page}")));
    pages.extend(
        ["provider", "pools", "payout", "name", "review"].map(|step| format!("{setup}/{step}")),
    );
    pages.extend([format!("/alerts/rules/{rule}"), format!("/health/{id}")]);
    (manager, pages)
}

/// What is wrong with what an answer tells people about the form.
fn faults(answer: &Answer, of: &Form) -> Vec<String> {
    let dom = answer.page(answer.status);
    let told = dom
        .texts("title, h1, .attention, .error, .notice, .warning")
        .join("\n");
    let words = STATUS_NAMES
        .iter()
        .chain(&API_WORDS)
        .filter(|word| told.contains(**word))
        .map(|word| (*word).to_owned());
    let names = of
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.contains(['_', '.']) && told.contains(*name));
    let pointers = of
        .fields
        .iter()
        .map(|(name, _)| format!("/{}", name.replace('.', "/")))
        .filter(|pointer| told.contains(pointer));
    words
        .chain(names.map(str::to_owned))
        .chain(pointers)
        .map(|word| format!("{word:?} in {told:?}"))
        .collect()
}

#[tokio::test]
async fn no_form_answers_in_the_words_of_the_api() {
    let (manager, pages) = world().await;
    let mut found = Vec::new();
    let mut refused = 0;
    for page in pages {
        let dom = manager.ask(&page, "text/html").await.page(200);
        for one in dom.post_forms() {
            // What needs no input is not refused for its input.
            if one.action.ends_with("/delete")
                || one.fields.iter().all(|(_, kind)| kind == "hidden")
                    && !one.action.starts_with("/setup")
            {
                continue;
            }
            for text in ["", "-1", "no\u{1}nsense \"x\""] {
                let fields: Vec<(&str, &str)> = one
                    .fields
                    .iter()
                    .map(|(name, _)| (name.as_str(), text))
                    .collect();
                let mut answer = form(&manager, &one.action, &fields).await;
                if answer.status == 303 {
                    answer = manager
                        .ask(answer.header("location").unwrap(), "text/html")
                        .await;
                }
                assert!(answer.status < 500, "{}: {answer:?}", one.action);
                if answer.media_type() != "text/html" {
                    continue; // a file
                }
                refused += usize::from(answer.page(answer.status).count(".attention, .error") > 0);
                found.extend(
                    faults(&answer, &one)
                        .into_iter()
                        .map(|fault| format!("{page}, {} with {text:?}: {fault}", one.action)),
                );
            }
        }
    }
    assert!(refused > 25, "only {refused} forms were refused");
    found.sort();
    found.dedup();
    assert!(
        found.is_empty(),
        "{} faults:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[tokio::test]
async fn errors_that_no_form_can_cause_are_told_plainly_too() {
    let manager = Manager::start().await;
    for (method, path) in [
        ("GET", "/nothing"),
        ("GET", "/instances?limit=many"),
        ("PUT", "/instances"),
        ("GET", "/events?before=x"),
        ("GET", "/metrics?ids=x"),
        ("GET", "/updates/switch?version=.."),
        ("POST", "/instances/actions"),
        ("POST", "/updates/switch"),
        ("POST", "/alerts/mutes"),
        ("POST", "/keys/generate"),
        ("POST", "/updates/upload"),
        ("POST", "/saved-configs"),
    ] {
        for is_fragment in [false, true] {
            let mut request = manager.request(method, path).header("accept", "text/html");
            if is_fragment {
                request = request.header("hx-request", "true");
            }
            let answer = Answer::to(request.header("content-type", "text/plain").body("x")).await;
            let dom = if is_fragment {
                answer.fragment(answer.status)
            } else {
                answer.page(answer.status)
            };
            if answer.status < 400 {
                continue;
            }
            let told = dom.texts("title, h1, .attention").join("\n");
            for word in STATUS_NAMES.iter().chain(&[
                " /",
                "application/",
                "Allow header",
                "Not Found",
                "Conflict",
            ]) {
                assert!(
                    !told.contains(word),
                    "{method} {path}: {word:?} in {told:?}"
                );
            }
            assert_eq!(dom.count(".attention code"), 0, "{told}");
        }
    }
}

#[tokio::test]
async fn an_action_without_a_selection_leads_back_to_its_page() {
    let (manager, _) = world().await;
    for page in ["/", "/instances"] {
        let answer = form(
            &manager,
            "/instances/actions",
            &[("action", "restart"), ("next", page)],
        )
        .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (
                303,
                Some(format!("{page}?notice=nothing-selected").as_str())
            )
        );
        let dom = manager
            .ask(answer.header("location").unwrap(), "text/html")
            .await
            .page(200);
        assert_eq!(
            dom.one("#bulk [role=status]"),
            "Select at least one instance first."
        );
        assert!(dom.one("h1").starts_with("1 instance"));
    }
    assert_eq!(
        manager
            .ask("/instances", "text/html")
            .await
            .page(200)
            .count("#bulk [role=status]"),
        0
    );
    let answer = form(
        &manager,
        "/updates/switch",
        &[("version", "0.6.0"), ("whom", "chosen")],
    )
    .await;
    assert_eq!(
        answer.page(422).texts("p[role=alert]"),
        ["Select at least one instance."]
    );
    let body = super::send(
        &manager,
        "POST",
        "/api/instances/actions",
        &json!({ "action": "restart", "ids": [] }),
    )
    .await;
    assert_eq!(body.pointers(), ["/ids"]);
}
