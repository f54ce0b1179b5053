//! `/alerts` and everything below it.

use super::{NOBODY, bare, form, send, swap};
use crate::harness::answer::Answer;
use crate::harness::{Manager, Plan, until};
use jd_manager::base::clock::{SystemClock, Timestamp};
use jd_manager::domain::alerts::{Alerts, InstanceObservation};
use jd_manager::domain::instances::InstanceTags;
use jd_manager::infra::db::Db;
use jd_manager::infra::notify::NotifySender;
use jd_manager::keeper::machine::InstanceState;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// All channel types.
pub const KINDS: [&str; 9] = [
    "ntfy", "telegram", "email", "discord", "slack", "matrix", "gotify", "pushover", "webhook",
];
const MASK: &str = "********";
const SECRET: &str = "correct-horse-battery-staple";
const DOWN: &str = "a1e70000-0000-4000-8000-000000000001";

/// A webhook receiver that always answers with one status and keeps the bodies.
pub struct Receiver {
    pub url: String,
    pub bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    pub async fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = bodies.clone();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut text = Vec::new();
                let body = loop {
                    let mut part = [0; 4096];
                    let count = connection.read(&mut part).await.unwrap();
                    assert_ne!(count, 0, "a request without its body");
                    text.extend_from_slice(&part[..count]);
                    let end = text.windows(4).position(|window| window == b"\r\n\r\n");
                    if let Some(body) =
                        end.and_then(|end| serde_json::from_slice(&text[end + 4..]).ok())
                    {
                        break body;
                    }
                };
                kept.lock().unwrap().push(body);
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, bodies }
    }

    pub fn titles(&self) -> Vec<String> {
        self.bodies
            .lock()
            .unwrap()
            .iter()
            .map(|body| body["title"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn webhook(manager: &Manager, name: &str, url: &str) -> String {
    let body = json!({ "name": name, "kind": "webhook", "url": url, "secret": SECRET });
    let made = send(manager, "POST", "/api/alerts/channels", &body)
        .await
        .json(201);
    made["channel_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn before_there_is_a_channel_the_page_says_what_to_do_first() {
    let manager = Manager::start().await;
    let page = manager.ask("/alerts", "text/html").await.page(200);
    assert_eq!(page.one("h1"), "Alerts");
    assert_eq!(page.one("nav a[aria-current=page]"), "Alerts");
    assert_eq!(page.one("#first"), "Create a channel first");
    assert_eq!(
        page.count("a[href^='/alerts/channels/new?kind=']"),
        KINDS.len()
    );
    assert_eq!(
        page.texts("a[href^='/alerts/rules/'] strong"),
        [
            "Instance is down",
            "Instance unhealthy",
            "Block found",
            "Host unreachable"
        ]
    );
    let all = manager.json("/api/alerts").await;
    let down = json!({
        "id": DOWN, "name": "Instance is down", "condition": { "kind": "state", "is": "not-running" }, "for_s": 60, "clear_s": 60,
        "tell_cleared": true, "channels": [], "enabled": true,
    });
    assert_eq!(all["rules"][0], down);
    for empty in ["channels", "mutes", "deliveries", "standing", "unreadable"] {
        assert_eq!(all[empty], json!([]), "{empty}");
    }
    let part = manager.fragment("/alerts", "main#main").await.fragment(200);
    assert_eq!(part.one("h1"), "Alerts");
}

#[tokio::test]
async fn messages_link_to_the_public_url() {
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec!["--public-url".into(), "https://farm.example.org/".into()],
    })
    .await;
    let receiver = Receiver::start("204 No Content").await;
    let id = webhook(&manager, "hook", &receiver.url).await;
    let path = format!("/api/alerts/channels/{id}/test");
    bare(&manager, "POST", &path).await.json(200);
    let body = receiver.bodies.lock().unwrap()[0].clone();
    assert_eq!(body["link"], "https://farm.example.org/alerts");
    // The link arrives with this host.
    let page = manager
        .request("GET", "/alerts")
        .header("host", "farm.example.org");
    assert_eq!(Answer::to(page).await.status, 200);
}

#[tokio::test]
async fn a_channel_is_made_changed_and_deleted_by_programs() {
    let manager = Manager::start().await;
    let body = json!({ "name": "phone", "kind": "ntfy", "topic": "barn-7f3a", "token": SECRET });
    let made = send(
        &manager,
        "POST",
        "/api/alerts/channels",
        &json!({ "name": "x", "kind": "ntfy" }),
    )
    .await;
    assert_eq!(made.pointers(), ["/topic"]);
    let made = send(&manager, "POST", "/api/alerts/channels", &body).await;
    let id = made.json(201)["channel_id"].as_str().unwrap().to_owned();
    let at = format!("/api/alerts/channels/{id}");
    assert_eq!(made.header("location"), Some(at.as_str()));
    assert!(!made.text.contains(SECRET));
    let got = bare(&manager, "GET", &at).await.json(200);
    assert_eq!(
        (&got["kind"], &got["topic"], &got["server"]),
        (
            &json!("ntfy"),
            &json!("barn-7f3a"),
            &json!("https://ntfy.sh")
        )
    );
    assert_eq!(
        (&got["token"], &got["name"], &got["id"]),
        (&json!(MASK), &json!("phone"), &json!(id))
    );
    // A response can be sent back without changes.
    assert_eq!(
        send(&manager, "PUT", &at, &got).await.json(200)["channel"],
        got
    );
    let changed = send(&manager, "PUT", &at, &json!({ "name": "my phone" }))
        .await
        .json(200);
    assert_eq!(
        (&changed["success"], &changed["channel"]["name"]),
        (&json!(true), &json!("my phone"))
    );
    assert_eq!(
        manager.json("/api/alerts").await["channels"],
        json!([changed["channel"]])
    );
    let taken = send(
        &manager,
        "POST",
        "/api/alerts/channels",
        &json!({ "name": "MY PHONE", "kind": "ntfy", "topic": "b" }),
    )
    .await;
    assert!(
        taken.problem(409)["detail"]
            .as_str()
            .unwrap()
            .contains("MY PHONE")
    );
    assert_eq!(
        bare(&manager, "DELETE", &at).await.json(200)["success"],
        true
    );
    for (method, path) in [
        ("GET", at.clone()),
        ("DELETE", at.clone()),
        ("POST", format!("{at}/test")),
    ] {
        bare(&manager, method, &path).await.problem(404);
    }
    send(&manager, "PUT", &at, &json!({})).await.problem(404);
    assert_eq!(
        send(&manager, "POST", "/api/alerts/channels", &json!([]))
            .await
            .pointers(),
        [""]
    );
}

#[tokio::test]
async fn a_form_comes_back_with_what_was_typed_and_without_secrets() {
    let manager = Manager::start().await;
    for kind in KINDS {
        let page = manager
            .ask(&format!("/alerts/channels/new?kind={kind}"), "text/html")
            .await
            .page(200);
        assert_eq!(page.attrs("form input[type=hidden]", "value"), [kind]);
        let fields = page.count("form#form label");
        assert_eq!(
            page.count("form#form .help[class]") - page.count("form#form > p.help"),
            fields,
            "help beside each field of {kind}"
        );
    }
    assert_eq!(
        manager
            .ask("/api/alerts/channels/new?kind=pigeon", "*/*")
            .await
            .pointers(),
        ["/kind"]
    );
    let page = manager
        .ask("/alerts/channels/new", "text/html")
        .await
        .page(200);
    assert_eq!(
        page.count("a[href^='/alerts/channels/new?kind=']"),
        KINDS.len()
    );

    let typed = [
        ("kind", "email"),
        ("name", "office <b>"),
        ("to", "a@example.org"),
        ("host", "two words"),
        ("port", "0"),
        ("password", SECRET),
    ];
    for answer in [
        form(&manager, "/alerts/channels", &typed).await,
        swap(&manager, "/alerts/channels", "main#main", &typed).await,
    ] {
        assert_eq!(answer.status, 422);
        assert!(!answer.text.contains(SECRET), "{}", answer.text);
    }
    let page = form(&manager, "/alerts/channels", &typed).await.page(422);
    assert_eq!(page.attr("#name", "value"), "office <b>");
    assert_eq!(
        (page.attr("#to", "value"), page.attr("#host", "value")),
        ("a@example.org".into(), "two words".into())
    );
    assert_eq!(page.attr("#port", "aria-invalid"), "true");
    assert!(page.attrs(".attention a", "href").contains(&"#port".into()));
    assert!(page.one(".attention").contains("Enter the secret again"));
    assert_eq!(manager.json("/api/alerts").await["channels"], json!([]));

    let saved = form(
        &manager,
        "/alerts/channels",
        &[
            ("kind", "webhook"),
            ("name", "hook"),
            ("url", "http://127.0.0.1:9/x"),
            ("secret", SECRET),
        ],
    );
    let saved = saved.await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (303, Some("/alerts"))
    );
    let id = manager.json("/api/alerts").await["channels"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/alerts/channels/{id}");
    let page = manager.ask(&path, "text/html").await.page(200);
    assert_eq!(
        (
            page.attr("#secret", "placeholder"),
            page.attr("#secret", "value")
        ),
        (MASK.to_owned(), String::new())
    );
    assert_eq!(page.attr("#url", "value"), "http://127.0.0.1:9/x");
    let taken = form(
        &manager,
        "/alerts/channels",
        &[
            ("kind", "webhook"),
            ("name", "Hook"),
            ("url", "http://127.0.0.1:9/y"),
        ],
    )
    .await;
    assert_eq!(taken.page(409).attr("#name", "aria-invalid"), "true");
    // An empty secret keeps the saved one.
    let changed = form(
        &manager,
        &path,
        &[
            ("kind", "webhook"),
            ("name", "hook"),
            ("url", "http://127.0.0.1:9/z"),
            ("secret", ""),
        ],
    )
    .await;
    assert_eq!(changed.status, 303);
    let got = bare(&manager, "GET", &path).await.json(200);
    assert_eq!(
        (&got["url"], &got["secret"]),
        (&json!("http://127.0.0.1:9/z"), &json!(MASK))
    );
    assert!(
        !manager.log().contains(SECRET),
        "a secret is in the manager's log"
    );
}

#[tokio::test]
async fn a_test_says_what_became_of_it() {
    let manager = Manager::start().await;
    let (good, bad) = (
        Receiver::start("204 No Content").await,
        Receiver::start("404 Not Found").await,
    );
    let (good_id, bad_id) = (
        webhook(&manager, "good", &good.url).await,
        webhook(&manager, "bad", &bad.url).await,
    );
    let taken = bare(
        &manager,
        "POST",
        &format!("/api/alerts/channels/{good_id}/test"),
    )
    .await
    .json(200);
    assert_eq!(taken["success"], true);
    assert!(
        taken["message"].as_str().unwrap().contains("webhook to"),
        "{taken}"
    );
    let refused = bare(
        &manager,
        "POST",
        &format!("/api/alerts/channels/{bad_id}/test"),
    )
    .await
    .json(502);
    assert_eq!(refused["success"], false);
    assert!(
        refused["message"].as_str().unwrap().contains("404"),
        "{refused}"
    );
    let page = form(&manager, &format!("/alerts/channels/{bad_id}/test"), &[])
        .await
        .page(502);
    assert_eq!(page.one("h1"), "Test failed");
    let page = form(&manager, &format!("/alerts/channels/{good_id}/test"), &[])
        .await
        .page(200);
    assert_eq!(page.one("h1"), "Test sent");
    assert_eq!(good.titles(), ["Test from jd-manager"; 2]);
    assert_eq!(
        manager.json("/api/alerts/deliveries").await,
        json!({ "deliveries": [] })
    );
}

#[tokio::test]
async fn a_rule_is_made_changed_and_deleted_by_programs() {
    let manager = Manager::start().await;
    let instance = manager.instance("barn").await;
    let phone = webhook(&manager, "phone", "http://127.0.0.1:9/").await;
    let body = json!({
        "name": "Weak", "condition": { "kind": "metric", "metric": "hashrate_miners", "side": "below", "threshold": 1e12 },
        "instance_id": instance, "for_s": 300, "clear_s": 120, "repeat_s": 3600, "quiet": { "from": 1320, "to": 420 }, "channels": [phone],
    });
    let made = send(&manager, "POST", "/api/alerts/rules", &body).await;
    let id = made.json(201)["rule_id"].as_str().unwrap().to_owned();
    let at = format!("/api/alerts/rules/{id}");
    assert_eq!(made.header("location"), Some(at.as_str()));
    let got = bare(&manager, "GET", &at).await.json(200);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(got[name], *value, "{name}");
    }
    assert_eq!(
        send(&manager, "PUT", &at, &got).await.json(200)["rule"],
        got,
        "what was got can be sent back"
    );
    let off = send(
        &manager,
        "PUT",
        &at,
        &json!({ "enabled": false, "instance_id": null }),
    )
    .await
    .json(200);
    assert_eq!(
        (&off["rule"]["enabled"], off["rule"].get("instance_id")),
        (&json!(false), None)
    );
    let wrong = json!({ "condition": { "kind": "check", "at_least": "bad" }, "for_s": "soon", "instance_id": NOBODY, "channels": [NOBODY] });
    assert_eq!(
        send(&manager, "POST", "/api/alerts/rules", &wrong)
            .await
            .pointers(),
        ["/condition/at_least", "/for_s", "/instance_id", "/channels"]
    );
    // The only channel of a rule cannot be deleted.
    let kept = bare(&manager, "DELETE", &format!("/api/alerts/channels/{phone}"))
        .await
        .problem(409);
    assert!(
        kept["detail"].as_str().unwrap().contains("\"Weak\""),
        "{kept}"
    );
    let page = manager
        .ask(&format!("/alerts/channels/{phone}/delete"), "text/html")
        .await
        .page(200);
    assert_eq!(page.one("h1"), "phone cannot be deleted");
    assert_eq!(page.count("main form"), 0);
    assert_eq!(
        bare(&manager, "DELETE", &at).await.json(200)["success"],
        true
    );
    bare(&manager, "GET", &at).await.problem(404);
    bare(&manager, "DELETE", &format!("/api/alerts/channels/{phone}"))
        .await
        .json(200);
    // A rule for one instance is deleted with the instance.
    send(
        &manager,
        "POST",
        "/api/alerts/rules",
        &json!({ "condition": { "kind": "block-found" }, "instance_id": instance }),
    )
    .await
    .json(201);
    assert_eq!(
        manager
            .delete(&format!("/api/instances/{instance}"))
            .await
            .status(),
        200
    );
    assert_eq!(
        manager.json("/api/alerts").await["rules"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[tokio::test]
async fn a_rule_is_made_and_changed_in_forms() {
    let manager = Manager::start().await;
    let instance = manager.instance("barn").await;
    let phone = webhook(&manager, "phone", "http://127.0.0.1:9/").await;
    let page = manager
        .ask("/alerts/rules/new", "text/html")
        .await
        .page(200);
    assert_eq!(page.count("a[href^='/alerts/rules/new?kind=']"), 8);
    for kind in [
        "state",
        "check",
        "metric",
        "block-found",
        "best-difficulty",
        "update-available",
    ] {
        let page = manager
            .ask(&format!("/alerts/rules/new?kind={kind}"), "text/html")
            .await
            .page(200);
        assert_eq!(
            page.count("#for_s"),
            usize::from(!["block-found", "best-difficulty"].contains(&kind)),
            "{kind}"
        );
        assert_eq!(page.count("#instance_id option"), 2);
        // The form can be submitted without changes.
        let values: Vec<(String, String)> = ["is", "at_least", "metric", "side"]
            .iter()
            .filter(|name| page.count(&format!("#{name}")) > 0)
            .map(|name| {
                (
                    (*name).to_owned(),
                    page.attr(&format!("#{name} option[selected]"), "value"),
                )
            })
            .collect();
        let mut fields: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        fields.extend([
            ("kind", kind),
            ("name", ""),
            ("enabled", "on"),
            ("quiet_from", ""),
            ("quiet_to", ""),
        ]);
        if kind == "metric" {
            let refused = form(&manager, "/alerts/rules", &fields).await.page(422);
            assert_eq!(refused.attr("#threshold", "aria-invalid"), "true");
            assert_eq!(refused.attrs(".attention a", "href"), ["#threshold"]);
            fields.push(("threshold", "1.5 T"));
        }
        let saved = form(&manager, "/alerts/rules", &fields).await;
        assert_eq!(
            (saved.status, saved.header("location")),
            (303, Some("/alerts")),
            "{kind}: {}",
            saved.text
        );
    }
    let all = manager.json("/api/alerts").await;
    let metric = all["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["condition"]["kind"] == "metric")
        .unwrap();
    assert_eq!(metric["condition"]["threshold"], 1.5e12);
    assert_eq!(metric["name"], "Expected hashrate below 1.5 TH/s");
    let at = format!("/alerts/rules/{}", metric["id"].as_str().unwrap());
    let page = manager.ask(&at, "text/html").await.page(200);
    assert_eq!(
        (
            page.attr("#threshold", "value"),
            page.count("#enabled[checked]")
        ),
        ("1.5 TH/s".into(), 1)
    );
    let fields = [
        ("kind", "metric"),
        ("metric", "miners"),
        ("side", "below"),
        ("threshold", "2"),
        ("name", "Few"),
        ("instance_id", instance.as_str()),
        ("for_s", "90"),
        ("clear_s", "0"),
        ("repeat_s", "600"),
        ("quiet_from", "22:30"),
        ("quiet_to", "07:00"),
        ("channels", phone.as_str()),
    ];
    assert_eq!(form(&manager, &at, &fields).await.status, 303);
    let changed = bare(&manager, "GET", &at).await.json(200);
    assert_eq!(
        (
            &changed["enabled"],
            &changed["tell_cleared"],
            &changed["channels"]
        ),
        (&json!(false), &json!(false), &json!([phone]))
    );
    assert_eq!(changed["quiet"], json!({ "from": 1350, "to": 420 }));
    let page = manager.ask(&at, "text/html").await.page(200);
    assert_eq!(
        (
            page.attr("#quiet_from", "value"),
            page.count("input[name=channels][checked]")
        ),
        ("22:30".into(), 1)
    );
    let list = manager.ask("/alerts", "text/html").await.page(200);
    let row = [
        "Miners below 2",
        "barn",
        "after 1 min, every 10 min, quiet from 22:30 to 07:00",
        "phone",
    ];
    assert!(
        list.texts("td")
            .windows(5)
            .any(|cells| cells[0] == "Few ○ disabled" && cells[1..] == row),
        "{:?}",
        list.texts("td")
    );
    let asked = manager
        .ask(&format!("{at}/delete"), "text/html")
        .await
        .page(200);
    assert_eq!(asked.attr("main form", "action"), format!("{at}/delete"));
    assert_eq!(
        form(&manager, &format!("{at}/delete"), &[])
            .await
            .header("location"),
        Some("/alerts")
    );
    bare(&manager, "GET", &at).await.problem(404);
}

/// Simulates that an instance was down for over a minute while the manager was not running.
async fn seen_down(manager: &Manager, id: &str) {
    let db = Db::open(&manager.data_dir()).unwrap();
    let vault = jd_manager::server::app::open_vault(&manager.data_dir(), &db)
        .await
        .unwrap();
    let alerts = Alerts::new(db, vault, NotifySender::new(), SystemClock);
    for seconds in [70, 30, 0] {
        let seen = InstanceObservation {
            instance: id.parse().unwrap(),
            name: "barn".into(),
            tags: InstanceTags::default(),
            at: Timestamp(Timestamp::now().0 - seconds * 1000),
            is_wanted: true,
            is_at_rest: false,
            state: InstanceState::Failed,
            cause: None,
            checks: Vec::new(),
            figures: BTreeMap::new(),
            blocks: 0,
            best_difficulty: None,
            miners: None,
            available_update: None,
        };
        alerts.observe(vec![seen]).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_noticed_before_a_restart_is_sent_after_it_and_listed() {
    // The instance is really down, so that it is still down for the next manager.
    let mut manager = Manager::with_simulated(&["--die-after", "200ms"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "backing-off").await;
    let (good, bad) = (
        Receiver::start("200 OK").await,
        Receiver::start("410 Gone").await,
    );
    webhook(&manager, "good", &good.url).await;
    webhook(&manager, "bad", &bad.url).await;
    manager.kill();
    seen_down(&manager, &id).await;
    manager.begin();
    let all = until("both deliveries to be done", || async {
        let all = manager.json("/api/alerts/deliveries").await["deliveries"]
            .as_array()
            .unwrap()
            .clone();
        (all.len() == 2 && all.iter().all(|one| one["state"] != "waiting")).then_some(all)
    })
    .await;
    assert_eq!(good.titles(), ["barn: not running"]);
    let of = |name: &str| {
        all.iter()
            .find(|one| one["channel"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (
            &of("good")["state"],
            &of("good")["tries"],
            of("good").get("last_error")
        ),
        (&json!("sent"), &json!(1), None)
    );
    let failed = of("bad");
    assert_eq!(
        (&failed["state"], &failed["data"]["event"]),
        (&json!("failed"), &json!("raised"))
    );
    assert!(
        failed["last_error"].as_str().unwrap().contains("410"),
        "{failed}"
    );
    let standing = manager.json("/api/alerts").await["standing"].clone();
    assert_eq!(
        (&standing[0]["instance_id"], &standing[0]["rule_id"]),
        (&json!(id), &json!(DOWN))
    );

    let page = manager.ask("/alerts", "text/html").await.page(200);
    assert_eq!(page.one("#now ~ ul strong"), "barn");
    assert_eq!(page.count("form[action$='/again']"), 1);
    let again = page.attr("form[action$='/again']", "action");
    let asked = form(&manager, &again, &[("next", "/alerts/deliveries")]).await;
    assert_eq!(
        (asked.status, asked.header("location")),
        (303, Some("/alerts/deliveries"))
    );
    until("it to be sent again", || async {
        (bad.titles().len() == 2).then_some(())
    })
    .await;
    let sent = of("good")["id"].as_i64().unwrap();
    bare(
        &manager,
        "POST",
        &format!("/api/alerts/deliveries/{sent}/again"),
    )
    .await
    .problem(409);
    for nothing in ["999", "x", NOBODY] {
        bare(
            &manager,
            "POST",
            &format!("/api/alerts/deliveries/{nothing}/again"),
        )
        .await
        .problem(404);
    }
    assert_eq!(good.titles().len(), 1, "nothing is sent twice");
}

#[tokio::test]
async fn deliveries_come_in_parts() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let receiver = Receiver::start("200 OK").await;
    for name in ["one", "two", "three"] {
        webhook(&manager, name, &receiver.url).await;
    }
    manager.terminate();
    seen_down(&manager, &id).await;
    manager.begin();
    let first = manager.json("/api/alerts/deliveries?limit=2").await;
    let ids = |part: &Value| {
        part["deliveries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&first).len(), &first["next"]),
        (2, &json!(ids(&first)[1]))
    );
    let rest = manager
        .json(&format!(
            "/api/alerts/deliveries?limit=2&before={}",
            first["next"]
        ))
        .await;
    assert_eq!((ids(&rest).len(), rest.get("next")), (1, None));
    assert!(ids(&rest)[0] < ids(&first)[1]);
    let page = manager
        .ask("/alerts/deliveries?limit=2", "text/html")
        .await
        .page(200);
    assert_eq!(page.count("tbody tr"), 2);
    assert!(
        page.attrs("a.button", "href")
            .iter()
            .any(|href| href.starts_with("/alerts/deliveries?before="))
    );
    for (query, named) in [
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("before=x", "/before"),
    ] {
        assert_eq!(
            manager
                .ask(&format!("/api/alerts/deliveries?{query}"), "*/*")
                .await
                .pointers(),
            [named]
        );
    }
}

#[tokio::test]
async fn each_address_takes_its_methods_only() {
    let manager = Manager::start().await;
    for (path, allowed) in [
        ("/api/alerts", vec!["GET", "HEAD"]),
        ("/api/alerts/channels", vec!["POST"]),
        ("/api/alerts/rules", vec!["POST"]),
        ("/api/alerts/mutes", vec!["GET", "HEAD", "POST"]),
        ("/api/alerts/deliveries", vec!["GET", "HEAD"]),
    ] {
        let refused = bare(&manager, "PATCH", path).await;
        refused.problem(405);
        assert_eq!(refused.allow(), allowed, "{path}");
    }
    let text = manager
        .request("POST", "/api/alerts/channels")
        .header("content-type", "text/plain")
        .body("x");
    Answer::to(text).await.problem(415);
}

/// A user who may change the destination of a channel must not be able to send its secret there,
/// whether the secret is masked or omitted.
#[tokio::test]
async fn a_secret_does_not_follow_a_channel_to_another_server() {
    let manager = Manager::start().await;
    let ntfy = json!({ "name": "phone", "kind": "ntfy", "server": "https://ntfy.example.org", "topic": "mining", "token": SECRET });
    let mail = json!({ "name": "mail", "kind": "email", "host": "mail.example.org", "port": 465, "security": "tls", "username": "me",
        "password": SECRET, "from": "a@example.org", "to": "b@example.org" });
    let chat = json!({ "name": "chat", "kind": "telegram", "token": format!("1:{SECRET}"), "chat_id": "5" });
    for (body, place, elsewhere, secret) in [
        (ntfy, "server", "http://127.0.0.1:9", "token"),
        (mail, "host", "127.0.0.1", "password"),
        (chat, "server", "http://127.0.0.1:9", "token"),
    ] {
        let made = send(&manager, "POST", "/api/alerts/channels", &body)
            .await
            .json(201);
        let path = format!(
            "/api/alerts/channels/{}",
            made["channel_id"].as_str().unwrap()
        );
        for given in [
            json!({ place: elsewhere }),
            json!({ place: elsewhere, secret: MASK }),
            json!({ place: elsewhere, secret: "" }),
        ] {
            let refused = send(&manager, "PUT", &path, &given).await;
            assert_eq!(refused.pointers(), [format!("/{secret}")], "{given}");
        }
        // A change that keeps the destination keeps the secret.
        send(&manager, "PUT", &path, &json!({ "name": "renamed" }))
            .await
            .json(200);
        assert_eq!(manager.json(&path).await[secret], MASK);
        send(&manager, "PUT", &path, &json!({ "name": body["name"] }))
            .await
            .json(200);
    }
}

#[tokio::test]
async fn a_rule_for_one_instance_is_begun_on_its_page() {
    let manager = Manager::start().await;
    let (barn, shed) = (
        manager.instance("barn").await,
        manager.instance("shed").await,
    );
    let health = manager
        .ask(&format!("/health/{shed}"), "text/html")
        .await
        .page(200);
    let link = health
        .attrs("a.button", "href")
        .into_iter()
        .find(|href| href.starts_with("/alerts/rules/new"))
        .unwrap();
    assert_eq!(link, format!("/alerts/rules/new?instance={shed}"));
    let kinds = manager.ask(&link, "text/html").await.page(200);
    assert_eq!(kinds.one("h2"), "Choose a condition for shed");
    let links = kinds.attrs("main a[href^='/alerts/rules/new?kind=']", "href");
    assert_eq!(links.len(), 7);
    let page = manager.ask(&links[0], "text/html").await.page(200);
    assert_eq!(
        page.attrs("#instance_id option[selected]", "value"),
        std::slice::from_ref(&shed)
    );
    // Without an instance, or for an unknown one, the rule applies to all instances.
    for path in [
        "/alerts/rules/new?kind=state".to_owned(),
        format!("/alerts/rules/new?kind=state&instance={NOBODY}"),
    ] {
        let page = manager.ask(&path, "text/html").await.page(200);
        assert_eq!(
            (
                page.attrs("#instance_id option[selected]", "value"),
                page.count("#instance_id option")
            ),
            (vec![String::new()], 3)
        );
        assert!(!page.one("h1").contains(&barn));
    }
    assert_eq!(
        manager
            .ask("/api/alerts/rules/new?kind=state&instance=barn", "*/*")
            .await
            .pointers(),
        ["/instance"]
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_and_can_be_deleted() {
    let mut manager = Manager::start().await;
    let id = webhook(&manager, "pigeon <b>", "http://127.0.0.1:9/").await;
    manager.kill();
    let db = Db::open(&manager.data_dir()).unwrap();
    let spoil = |c: &mut diesel::SqliteConnection| {
        use diesel::RunQueryDsl;
        for text in [
            format!(
                "UPDATE alert_channels SET target = '{{\"kind\":\"pigeon\",\"secret\":\"{SECRET}\"}}'"
            ),
            format!(
                "UPDATE alert_rules SET condition = '{{\"kind\":\"mood\"}}' WHERE id = '{DOWN}'"
            ),
        ] {
            diesel::sql_query(text).execute(c)?;
        }
        Ok(())
    };
    db.write(spoil).await.unwrap();
    drop(db);
    manager.begin();
    let all = manager.json("/api/alerts").await;
    assert_eq!(
        (all["rules"].as_array().unwrap().len(), &all["channels"]),
        (3, &json!([]))
    );
    let rows = all["unreadable"].as_array().unwrap();
    assert_eq!(
        (&rows[0]["id"], &rows[0]["name"]),
        (&json!(DOWN), &json!("Instance is down"))
    );
    assert_eq!(
        (&rows[1]["id"], &rows[1]["name"]),
        (&json!(id), &json!("pigeon <b>"))
    );
    let page = manager.ask("/alerts", "text/html").await.page(200);
    assert_eq!(
        page.texts("#unreadable ~ ul strong"),
        ["Instance is down", "pigeon <b>"]
    );
    assert!(!manager.page("/alerts").await.contains(SECRET));
    for (method, path) in [
        ("GET", format!("/api/alerts/rules/{DOWN}")),
        ("POST", format!("/api/alerts/channels/{id}/test")),
    ] {
        let refused = bare(&manager, method, &path).await.problem(409);
        assert!(
            refused["detail"]
                .as_str()
                .unwrap()
                .contains("is unreadable"),
            "{refused}"
        );
    }
    let asked = page.attrs("#unreadable ~ ul a.danger", "href");
    let question = manager.ask(&asked[1], "text/html").await.page(200);
    assert_eq!(
        (question.one("h1"), question.attr("main form", "action")),
        ("Delete pigeon <b>?".into(), asked[1].clone())
    );
    assert_eq!(
        form(&manager, &asked[1], &[]).await.header("location"),
        Some("/alerts")
    );
    let place = rows[0]["place"].as_str().unwrap();
    let gone = bare(
        &manager,
        "DELETE",
        &format!("/api/alerts/unreadable/{place}"),
    )
    .await
    .json(200);
    assert_eq!(gone["success"], true);
    assert_eq!(manager.json("/api/alerts").await["unreadable"], json!([]));
    for nothing in [place, "rule-x", "rule", "instance-1"] {
        bare(
            &manager,
            "DELETE",
            &format!("/api/alerts/unreadable/{nothing}"),
        )
        .await
        .problem(404);
    }
    let said = manager
        .log()
        .lines()
        .filter(|line| line.contains("ignoring an unreadable alert"))
        .count();
    assert_eq!(said, 2, "once for each");
    assert!(!manager.log().contains(SECRET));
}

/// Every metric in the form must be observed, or a rule would never notify.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_be_about_health_and_about_every_figure_that_is_offered() {
    let (manager, id) = Manager::measured().await;
    let page = manager
        .ask("/alerts/rules/new?kind=metric", "text/html")
        .await
        .page(200);
    let offered = page.attrs("#metric option", "value");
    assert!(
        offered.contains(&"health_score".to_owned())
            && !offered.contains(&"miner_hashrate".to_owned()),
        "{offered:?}"
    );
    for metric in offered {
        let condition =
            json!({ "kind": "metric", "metric": metric, "side": "above", "threshold": -1 });
        send(
            &manager,
            "POST",
            "/api/alerts/rules",
            &json!({ "name": metric, "condition": condition, "for_s": 0 }),
        )
        .await
        .json(201);
    }
    let wanted = [
        "health_score",
        "hashrate_miners",
        "memory_bytes",
        "cpu_percent",
        "uptime_seconds",
        "miners",
        "log_infos",
        "monitoring_up",
    ];
    until("these are seen", || async {
        let all = manager.json("/api/alerts").await;
        let standing: Vec<String> = all["standing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["rule"].as_str().unwrap().to_owned())
            .collect();
        let missing: Vec<&str> = wanted
            .into_iter()
            .filter(|name| !standing.iter().any(|known| known == name))
            .collect();
        (missing.is_empty()).then_some(())
    })
    .await;
    let checks = manager
        .ask("/alerts/rules/new?kind=check", "text/html")
        .await
        .page(200);
    assert_eq!(checks.texts("#check option").len(), 12);
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["status"],
        "running"
    );
}

#[tokio::test]
async fn a_rule_may_be_about_miners() {
    let manager = Manager::start().await;
    let post = |body: Value| {
        let manager = &manager;
        async move { send(manager, "POST", "/api/alerts/rules", &body).await }
    };
    let any = post(json!({ "condition": { "kind": "miner-offline" } })).await;
    let any = any.json(201)["rule"].clone();
    assert_eq!(
        (&any["name"], &any["for_s"], &any["condition"]),
        (
            &json!("A miner is offline"),
            &json!(600),
            &json!({ "kind": "miner-offline" })
        )
    );
    // The form offers the same delay, and shows a name as text.
    let new = manager
        .ask("/alerts/rules/new?kind=miner-offline", "text/html")
        .await
        .page(200);
    assert_eq!(new.attr("#for_s", "value"), "600");
    let name = "<b>rig</b>@192.0.2.7";
    let fields = [
        ("kind", "miner-offline"),
        ("miner", name),
        ("name", "Rig"),
        ("for_s", "600"),
        ("clear_s", "60"),
        ("enabled", "on"),
    ];
    assert_eq!(form(&manager, "/alerts/rules", &fields).await.status, 303);
    let list = manager.ask("/alerts", "text/html").await.page(200);
    assert_eq!(list.count("main b"), 0);
    assert!(
        list.texts("td")
            .iter()
            .any(|text| text.contains("the miner <b>rig</b>@192.0.2.7 is offline")),
        "{:?}",
        list.texts("td")
    );
    for condition in [
        json!({ "kind": "miner-offline", "miner": "x".repeat(10_000) }),
        json!({ "kind": "miner-offline", "miner": 7 }),
        json!({ "kind": "miner-offline", "rig": "barn" }),
    ] {
        let answer = post(json!({ "condition": condition })).await;
        assert_eq!(answer.status, 422, "{condition}");
    }
}

#[tokio::test]
async fn a_rule_may_be_about_hosts() {
    let manager = Manager::start().await;
    let body = json!({ "condition": { "kind": "host-unreachable" } });
    let rule = send(&manager, "POST", "/api/alerts/rules", &body).await;
    let rule = rule.json(201)["rule"].clone();
    assert_eq!(
        (&rule["name"], &rule["for_s"], rule.get("instance_id")),
        (&json!("A host is unreachable"), &json!(60), None)
    );
    let id = manager.instance("barn").await;
    let wrong = json!({ "condition": { "kind": "host-unreachable" }, "instance_id": id });
    let wrong = send(&manager, "POST", "/api/alerts/rules", &wrong).await;
    assert_eq!(wrong.pointers(), ["/instance_id"]);
    // The form has no choice of instances, and is not offered for an instance.
    let kinds = |path: String| {
        let manager = &manager;
        async move {
            manager
                .ask(&path, "text/html")
                .await
                .page(200)
                .texts("h2 + ul a")
        }
    };
    let (all, of_barn) = (
        kinds("/alerts/rules/new".into()).await,
        kinds(format!("/alerts/rules/new?instance={id}")).await,
    );
    assert_eq!(all[..all.len() - 1], of_barn[..]);
    assert_eq!(all.last().unwrap(), "Host unreachable");
    let new = manager
        .ask("/alerts/rules/new?kind=host-unreachable", "text/html")
        .await
        .page(200);
    assert_eq!(
        (
            new.one("h1"),
            new.count("#instance_id"),
            new.count("#for_s")
        ),
        ("New rule: Host unreachable".into(), 0, 1)
    );
    let fields = [
        ("kind", "host-unreachable"),
        ("name", "Lost"),
        ("for_s", "5"),
        ("clear_s", "5"),
        ("enabled", "on"),
    ];
    assert_eq!(form(&manager, "/alerts/rules", &fields).await.status, 303);
    let list = manager.ask("/alerts", "text/html").await.page(200);
    let cells = list.texts("td[data-label='Applies to']");
    assert_eq!(
        cells[2..],
        ["all instances", "all hosts", "all hosts", "all hosts"]
    );
}
