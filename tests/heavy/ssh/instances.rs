//! The instances of a host in lists, on pages and in actions, over a real sshd.

use super::forced;
use super::hosts::{add, hub, until_status};
use super::sshd::Sshd;
use crate::harness::answer::{Answer, EventStream};
use crate::harness::{Manager, until_within};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use std::time::Duration;

/// A host with one running and one stopped instance: the host, their ids.
async fn barn() -> (Manager, [String; 2]) {
    let barn = Manager::start().await;
    let ids = [
        barn.instance("alice-1").await,
        barn.instance("alice-2").await,
    ];
    barn.act(&format!("/api/instances/{}/start", ids[0])).await;
    barn.until_state(&ids[0], "running").await;
    (barn, ids)
}

async fn page(hub: &Manager, path: &str) -> String {
    let request = hub.request("GET", path).header("accept", "text/html");
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{path}: {text}");
    text
}

/// The texts of the elements that match, without line breaks.
fn texts(html: &str, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let text = |element: scraper::ElementRef<'_>| {
        let text: String = element.text().collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    Html::parse_document(html)
        .select(&selector)
        .map(text)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_of_a_host_are_listed_and_have_pages() {
    let (barn, [running, stopped]) = barn().await;
    let sshd = Sshd::start(&forced(&barn, "operator"), "").await;
    let hub = hub(&sshd).await;
    let own = hub.instance("zoe").await;
    add(&hub, "barn").await;
    let list = hub.json("/api/instances?sort=name").await;
    let names = |list: &Value| -> Vec<(String, Value)> {
        let all = list["instances"].as_array().unwrap().iter();
        all.map(|one| {
            (
                one["name"].as_str().unwrap().to_owned(),
                one["host"].clone(),
            )
        })
        .collect()
    };
    assert_eq!(
        names(&list),
        [
            ("alice-1".into(), json!("barn")),
            ("alice-2".into(), json!("barn")),
            ("zoe".into(), Value::Null)
        ],
        "{list}"
    );
    for (query, wanted) in [
        ("host=barn", vec!["alice-1", "alice-2"]),
        ("host=-", vec!["zoe"]),
        ("host=BARN&state=running", vec!["alice-1"]),
        ("q=barn/alice-2", vec!["alice-2"]),
        ("host=attic", vec![]),
    ] {
        let list = hub.json(&format!("/api/instances?sort=name&{query}")).await;
        let found: Vec<String> = names(&list).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, wanted, "{query}");
    }
    let html = page(&hub, "/instances?sort=name").await;
    let listed = texts(&html, "#table tbody tr td:first-child strong");
    assert_eq!(listed, ["barn/alice-1", "barn/alice-2", "zoe"]);
    assert!(html.contains(&format!("/hosts/barn/instances/{running}")));
    let path = format!("/hosts/barn/instances/{running}");
    for (rest, wanted) in [
        ("", "Recent events"),
        ("/logs", "Contains"),
        ("/miners", "Miners"),
        ("/metrics", "24 hours"),
        ("/health", "Process"),
        ("/events", "running"),
        ("/configuration", "revision 1"),
    ] {
        let html = page(&hub, &format!("{path}{rest}")).await;
        assert!(html.contains(wanted), "{rest}: {html}");
        let title = texts(&html, "h1");
        assert!(title[0].starts_with("barn/alice-1"), "{title:?}");
        // Every tab leads to a page of this host.
        let tabs = texts(&html, "nav.tabs a");
        assert_eq!(tabs.len(), 7, "{tabs:?}");
        let json = hub.json(&format!("/api{path}{rest}")).await;
        assert!(json.is_object(), "{json}");
    }
    let instance = hub.json(&format!("/api{path}")).await;
    assert_eq!(instance["name"], "alice-1", "{instance}");
    // An id of another host, of this machine and of nothing.
    for id in [own.as_str(), "00000000-0000-4000-8000-000000000000"] {
        let path = format!("/api/hosts/barn/instances/{id}");
        Answer::to(hub.request("GET", &path)).await.problem(404);
    }
    let path = format!("/api/hosts/attic/instances/{stopped}");
    Answer::to(hub.request("GET", &path)).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_on_a_host_return_its_response() {
    let (barn, [running, stopped]) = barn().await;
    let sshd = Sshd::start(&forced(&barn, "operator"), "MaxSessions 1").await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    let path = |id: &str, rest: &str| format!("/api/hosts/barn/instances/{id}{rest}");
    let started = Answer::to(hub.request("POST", &path(&stopped, "/start"))).await;
    assert_eq!(started.json(200)["success"], true);
    barn.until_state(&stopped, "running").await;
    // The answer of the host, with its status.
    let again = Answer::to(hub.request("POST", &path(&stopped, "/start"))).await;
    again.problem(409);
    // The key is that of an operator: the host refuses what only an administrator may do.
    let body = json!({ "autostart": true });
    let refused = hub.request("PATCH", &path(&stopped, "")).json(&body);
    Answer::to(refused).await.problem(403);
    // A form returns to its page, which shows the new state.
    let form = hub
        .request("POST", &format!("/hosts/barn/instances/{stopped}/stop"))
        .header("accept", "text/html")
        .form(&[("next", "/instances?host=barn")]);
    let response = form.send().await.unwrap();
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/instances?host=barn");
    barn.until_state(&stopped, "stopped").await;
    let list = hub.json("/api/instances?state=stopped").await;
    assert_eq!(list["total"], 1, "{list}");
    // Several at once: each is asked once.
    let starts = |events: &Value| {
        let events = events["events"].as_array().unwrap().iter();
        events.filter(|event| event["to"] == "starting").count()
    };
    let events = barn.json(&format!("/api/instances/{running}/events")).await;
    let before = starts(&events);
    let body = json!({ "action": "restart", "filter": { "host": "barn" } });
    let request = hub.request("POST", "/api/instances/actions").json(&body);
    let response = request.send().await.unwrap();
    let job: Value = response.json().await.unwrap();
    let job = match job["job"].as_str() {
        Some(id) => format!("/api/jobs/{id}"),
        None => format!("/api/jobs/{}", job["id"].as_str().unwrap()),
    };
    let job = until_within(Duration::from_secs(30), "the job", &mut || async {
        let job = hub.json(&job).await;
        (job["stage"] != "running").then_some(job)
    })
    .await;
    assert_eq!(job["message"], "1 done, 1 skipped.", "{job}");
    let name = |at: usize| job["results"][at]["name"].as_str().unwrap().to_owned();
    assert_eq!(
        [name(0), name(1)],
        ["barn/alice-1", "barn/alice-2"],
        "{job}"
    );
    barn.until_state(&running, "running").await;
    let events = barn.json(&format!("/api/instances/{running}/events")).await;
    assert_eq!(starts(&events), before + 1, "{events}");
    // What belongs to this machine is skipped with a reason.
    let body = json!({ "action": "mute", "minutes": 5, "ids": [running] });
    let request = hub.request("POST", "/api/instances/actions").json(&body);
    let job: Value = request.send().await.unwrap().json().await.unwrap();
    let message = job["results"][0]["message"].as_str().unwrap();
    assert!(message.contains("Do this on barn"), "{job}");
    // The audit log of the host has the name of the key.
    let audit = barn.json("/api/audit").await.to_string();
    assert!(audit.contains("restarted an instance"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_a_host_is_followed() {
    let (barn, [running, _]) = barn().await;
    let sshd = Sshd::start(&forced(&barn, "viewer"), "").await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    let path = format!("/api/hosts/barn/instances/{running}/logs");
    let mut stream = EventStream::open(hub.request("GET", &path)).await;
    let event = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
    assert!(event.unwrap().is_some(), "the log is a stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_of_a_lost_host_are_unreachable_and_never_stopped() {
    let (barn, [running, _]) = barn().await;
    let mut sshd = Sshd::start(&forced(&barn, "operator"), "").await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    sshd.end();
    until_status(&hub, "unreachable").await;
    let list = hub.json("/api/instances?host=barn&sort=name").await;
    let first = &list["instances"][0];
    assert_eq!(
        (&first["status"], &first["running"]),
        (&json!("running"), &json!(false)),
        "{first}"
    );
    assert!(first["unreachable_since"].is_string(), "{first}");
    // It counts neither as running nor as stopped nor as failed.
    for state in ["running", "stopped", "failed"] {
        let list = hub.json(&format!("/api/instances?state={state}")).await;
        assert_eq!(list["total"], 0, "{state}: {list}");
    }
    let html = page(&hub, "/instances").await;
    assert!(html.contains("last known: 1 running."), "{html}");
    let states = texts(&html, "#table tbody tr td:nth-child(2)");
    assert!(
        states[0].contains("unreachable") && states[0].contains("last known: running"),
        "{states:?}"
    );
    // Nothing is sent to it.
    let path = format!("/api/hosts/barn/instances/{running}/restart");
    let problem = Answer::to(hub.request("POST", &path)).await.problem(503);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("Nothing was sent to it"), "{detail}");
    page(&hub, &format!("/hosts/barn/instances/{running}")).await;
    let body = json!({ "action": "restart", "ids": [running] });
    let request = hub.request("POST", "/api/instances/actions").json(&body);
    let job: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(job["results"][0]["state"], "skipped", "{job}");
    sshd.begin().await;
    until_status(&hub, "ok").await;
    let list = hub.json("/api/instances?host=barn&state=running").await;
    assert_eq!(list["total"], 1, "{list}");
    // A removed host takes its instances with it.
    Answer::to(hub.request("DELETE", "/api/hosts/barn"))
        .await
        .json(200);
    assert_eq!(hub.json("/api/instances").await["total"], 0);
    barn.until_state(&running, "running").await;
}
