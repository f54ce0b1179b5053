//! Every URL in every representation: the table below lists them all, and a test compares it
//! with the router.

use crate::harness::answer::{Answer, EventStream};
use crate::harness::{
    self, Manager, clients, free_port, releases, routes, solo_config, update_jobs,
};
use diesel::RunQueryDsl;
use jd_manager::infra::db::Db;
use serde_json::json;
use std::collections::BTreeSet;

/// What a URL is offered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offered {
    /// HTML and JSON.
    Page,
    /// These and a stream of changes.
    Stream,
    /// These and plain text.
    Log,
    /// Plain text first, then HTML and JSON.
    Text,
    /// HTML, JSON and CSV.
    Table,
    /// These and a stream of changes.
    StreamAndTable,
    /// HTML, JSON and what Prometheus reads.
    Scrape,
    /// One form, whatever is accepted.
    Only(&'static str),
}

/// Every URL of the router: methods, path, and what its GET is offered in (for those without, what
/// a POST answers).
const URLS: &[(&str, &str, Offered)] = &[
    ("get", "/", Offered::Stream),
    ("get post", "/instances", Offered::Stream),
    ("get", "/instances/new", Offered::Page),
    ("post", "/instances/actions", Offered::Page),
    ("get", "/jobs", Offered::Page),
    ("get", "/jobs/{id}", Offered::Stream),
    ("post", "/jobs/{id}/cancel", Offered::Page),
    ("post", "/jobs/{id}/dismiss", Offered::Page),
    ("get patch post delete", "/instances/{id}", Offered::Page),
    ("get", "/instances/{id}/configuration", Offered::Page),
    ("get", "/instances/{id}/settings", Offered::Page),
    ("post", "/instances/{id}/start", Offered::Page),
    ("post", "/instances/{id}/stop", Offered::Page),
    ("post", "/instances/{id}/restart", Offered::Page),
    ("get post", "/instances/{id}/delete", Offered::Page),
    ("get", "/instances/{id}/events", Offered::Stream),
    ("get", "/instances/{id}/logs", Offered::Log),
    ("get", "/logs", Offered::Log),
    // An address of its own for what a browser's link cannot say in `Accept`.
    (
        "get",
        "/instances/{id}/log.txt",
        Offered::Only("text/plain"),
    ),
    ("get", "/log.txt", Offered::Only("text/plain")),
    (
        "get",
        "/instances/{id}/address.svg",
        Offered::Only("image/svg+xml"),
    ),
    ("get post", "/saved-configs", Offered::Page),
    ("get", "/saved-configs/new", Offered::Page),
    ("get", "/saved-configs/active", Offered::Page),
    ("post", "/saved-configs/check", Offered::Page),
    ("get post", "/saved-configs/import", Offered::Page),
    ("post", "/saved-configs/import/translator", Offered::Page),
    ("get put post delete", "/saved-configs/{id}", Offered::Page),
    ("post", "/saved-configs/{id}/check", Offered::Page),
    ("post", "/saved-configs/{id}/trial", Offered::Page),
    ("get", "/saved-configs/{id}/edit", Offered::Page),
    ("get post", "/saved-configs/{id}/delete", Offered::Page),
    ("post", "/saved-configs/{id}/duplicate", Offered::Page),
    ("post", "/saved-configs/{id}/set-active", Offered::Page),
    ("get", "/saved-configs/{id}/toml", Offered::Text),
    // A file to be kept, for browsers that send whatever they send.
    (
        "get post",
        "/saved-configs/{id}/export",
        Offered::Only("application/toml"),
    ),
    ("get post", "/saved-configs/{id}/secret", Offered::Page),
    ("get", "/saved-configs/{id}/compare", Offered::Page),
    ("get", "/saved-configs/{id}/revisions", Offered::Page),
    (
        "post",
        "/saved-configs/{id}/revisions/{n}/restore",
        Offered::Page,
    ),
    ("get post", "/backups", Offered::Page),
    ("post patch", "/backups/settings", Offered::Page),
    (
        "get delete",
        "/backups/{id}",
        Offered::Only("application/gzip"),
    ),
    ("get post", "/backups/{id}/delete", Offered::Page),
    ("get post", "/hosts", Offered::Page),
    ("get delete", "/hosts/{name}", Offered::Page),
    ("get post", "/hosts/{name}/delete", Offered::Page),
    ("get patch", "/hosts/{name}/instances/{id}", Offered::Page),
    ("get", "/hosts/{name}/instances/{id}/logs", Offered::Stream),
    ("get", "/hosts/{name}/instances/{id}/miners", Offered::Page),
    (
        "get",
        "/hosts/{name}/instances/{id}/metrics",
        Offered::Stream,
    ),
    (
        "get",
        "/hosts/{name}/instances/{id}/health",
        Offered::Stream,
    ),
    (
        "get",
        "/hosts/{name}/instances/{id}/events",
        Offered::Stream,
    ),
    (
        "get",
        "/hosts/{name}/instances/{id}/configuration",
        Offered::Page,
    ),
    ("post", "/hosts/{name}/instances/{id}/start", Offered::Page),
    ("post", "/hosts/{name}/instances/{id}/stop", Offered::Page),
    (
        "post",
        "/hosts/{name}/instances/{id}/restart",
        Offered::Page,
    ),
    ("get post", "/rollouts", Offered::Page),
    ("get", "/rollouts/{id}", Offered::Page),
    ("post", "/rollouts/{id}/resume", Offered::Page),
    ("post", "/rollouts/{id}/cancel", Offered::Page),
    ("get", "/metrics", Offered::Scrape),
    ("get", "/metrics/{id}", Offered::StreamAndTable),
    // For programs alone: small objects.
    (
        "get",
        "/metrics/{id}/latest",
        Offered::Only("application/json"),
    ),
    (
        "get",
        "/metrics/{id}/types",
        Offered::Only("application/json"),
    ),
    (
        "get",
        "/metrics/{id}/uptime",
        Offered::Only("application/json"),
    ),
    (
        "get",
        "/metrics/{id}/{type}/summary",
        Offered::Only("application/json"),
    ),
    ("get", "/metrics/{id}/{type}/timeseries", Offered::Table),
    (
        "get",
        "/metrics/{id}/{type}/timeseries.csv",
        Offered::Only("text/csv"),
    ),
    (
        "get",
        "/metrics/{id}/{type}/chart",
        Offered::Only("image/svg+xml"),
    ),
    ("post", "/keys/generate", Offered::Page),
    ("post", "/jdc/start", Offered::Page),
    ("post", "/jdc/stop", Offered::Page),
    ("post", "/jdc/restart", Offered::Page),
    // The first generation's programs send whatever they send.
    ("get", "/jdc/status", Offered::Only("application/json")),
    ("get", "/jdc/logs", Offered::Log),
    ("get post", "/config", Offered::Only("application/json")),
    ("post", "/config/validate", Offered::Page),
    ("get", "/events", Offered::Stream),
    ("get", "/alerts", Offered::Page),
    ("get", "/node/check", Offered::Page),
    ("get post", "/setup", Offered::Page),
    ("get", "/setup/watch/{id}", Offered::Stream),
    ("post", "/setup/{id}/delete", Offered::Page),
    ("post", "/setup/{id}/{step}/check", Offered::Page),
    ("get post", "/setup/{id}/{step}", Offered::Page),
    ("post", "/alerts/channels", Offered::Page),
    ("get", "/alerts/channels/new", Offered::Page),
    (
        "get put post delete",
        "/alerts/channels/{id}",
        Offered::Page,
    ),
    ("get post", "/alerts/channels/{id}/delete", Offered::Page),
    ("post", "/alerts/channels/{id}/test", Offered::Page),
    ("post", "/alerts/rules", Offered::Page),
    ("get", "/alerts/rules/new", Offered::Page),
    ("get put post delete", "/alerts/rules/{id}", Offered::Page),
    ("get post", "/alerts/rules/{id}/delete", Offered::Page),
    ("delete", "/alerts/unreadable/{id}", Offered::Page),
    ("get post", "/alerts/unreadable/{id}/delete", Offered::Page),
    ("get post", "/alerts/mutes", Offered::Page),
    ("delete", "/alerts/mutes/{id}", Offered::Page),
    ("post", "/alerts/mutes/{id}/delete", Offered::Page),
    ("get", "/alerts/deliveries", Offered::Page),
    ("post", "/alerts/deliveries/{id}/again", Offered::Page),
    ("get", "/updates", Offered::Page),
    // For programs alone; the page of updates shows the same.
    (
        "get post",
        "/updates/check",
        Offered::Only("application/json"),
    ),
    ("get", "/updates/all", Offered::Only("application/json")),
    ("get", "/updates/version", Offered::Only("application/json")),
    ("get", "/updates/history", Offered::Page),
    ("get", "/updates/releases/{name}", Offered::Page),
    ("post", "/updates/skip", Offered::Page),
    ("post", "/updates/unskip", Offered::Page),
    ("get post", "/updates/install", Offered::Page),
    ("post", "/updates/upload", Offered::Page),
    ("get post", "/updates/switch", Offered::Page),
    ("post", "/updates/rollback", Offered::Page),
    ("get", "/updates/jobs/{id}", Offered::Stream),
    ("post", "/updates/jobs/{id}/cancel", Offered::Page),
    ("delete", "/updates/installed/{name}", Offered::Page),
    (
        "get post",
        "/updates/installed/{name}/delete",
        Offered::Page,
    ),
    ("post patch", "/updates/settings", Offered::Page),
    ("get", "/openapi", Offered::Page),
    ("get", "/openapi.json", Offered::Only("application/json")),
    ("get", "/glossary", Offered::Page),
    ("get post", "/login", Offered::Page),
    ("post", "/logout", Offered::Page),
    ("get", "/account", Offered::Page),
    ("post", "/account/password", Offered::Page),
    ("post", "/account/second-factor/remove", Offered::Page),
    ("post", "/account/sessions/end", Offered::Page),
    ("delete", "/account/sessions/{id}", Offered::Page),
    ("post", "/account/sessions/{id}/delete", Offered::Page),
    ("get post", "/users", Offered::Page),
    ("get post", "/tokens", Offered::Page),
    ("delete", "/tokens/{id}", Offered::Page),
    ("get", "/audit", Offered::Page),
    ("get", "/miners", Offered::Page),
    ("get", "/instances/{id}/miners", Offered::Page),
    // Asked by tools that send whatever they send.
    ("get", "/health", Offered::Only("application/json")),
    ("get", "/health/{id}", Offered::Stream),
    ("post", "/health/{id}/check", Offered::Page),
    (
        "get",
        "/health/{id}/history",
        Offered::Only("application/json"),
    ),
    (
        "get",
        "/health/{id}/status",
        Offered::Only("application/json"),
    ),
    (
        "get",
        "/health/{id}/score",
        Offered::Only("application/json"),
    ),
    ("post patch", "/health/{id}/cures", Offered::Page),
];

/// Routes with tests of their own: what is no resource of the product is in `routes/statics.rs`;
/// what there is only once somebody has a password, or before anybody has one, in `access/`.
const OTHERS: &[(&str, &str)] = &[
    ("get", "/static/{name}"),
    // Off by default: `routes/widget.rs`.
    ("get", "/widget"),
    // Another address of the list.
    ("get", "/api/"),
    ("get post", "/login/first"),
    ("get post", "/account/second-factor"),
    ("get patch post delete", "/users/{id}"),
    ("get post", "/users/{id}/delete"),
    ("get post", "/tokens/{id}/delete"),
];

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const STREAM: &str = "text/event-stream";
const OPENMETRICS: &str = "application/openmetrics-text";
/// What Prometheus 3 sends.
const SCRAPER: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// `Accept`, and what it gets where HTML and JSON are offered: on the plain URL, and below `/api`.
/// None: 406.
const ACCEPTS: &[(Option<&str>, Option<&str>, Option<&str>)] = &[
    (None, Some(HTML), Some(JSON)),
    (Some("*/*"), Some(HTML), Some(JSON)),
    (Some(""), Some(HTML), Some(JSON)),
    (Some("certainly not a media type"), Some(HTML), Some(JSON)),
    (Some("text/html"), Some(HTML), Some(HTML)),
    (Some("application/json"), Some(JSON), Some(JSON)),
    (Some("APPLICATION/JSON"), Some(JSON), Some(JSON)),
    (
        Some(
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        ),
        Some(HTML),
        Some(HTML),
    ),
    (
        Some("text/html;q=0.5, application/json"),
        Some(JSON),
        Some(JSON),
    ),
    (
        Some("text/html, application/json;q=0.9"),
        Some(HTML),
        Some(HTML),
    ),
    (
        Some("application/json;q=0.2, text/html;q=0.1"),
        Some(JSON),
        Some(JSON),
    ),
    (Some("application/json, text/html"), Some(JSON), Some(JSON)),
    (Some("text/html, application/json"), Some(HTML), Some(HTML)),
    (Some("application/json;q=0, */*"), Some(HTML), Some(HTML)),
    (Some("text/html;q=0, */*"), Some(JSON), Some(JSON)),
    (Some("application/*"), Some(JSON), Some(JSON)),
    (Some("image/png, */*;q=0.1"), Some(HTML), Some(JSON)),
    (Some("image/png"), None, None),
    (Some("application/problem+json"), None, None),
    (Some("text/html;q=0"), None, None),
    (
        Some("application/json;charset=utf-8"),
        Some(JSON),
        Some(JSON),
    ),
    (Some(SCRAPER), Some(HTML), Some(JSON)),
];

/// What a URL answers to an `Accept`, by the table above and what else it is offered in. None: 406.
fn expected(offered: Offered, accept: Option<&str>, api: bool) -> Option<&'static str> {
    let row = ACCEPTS.iter().find(|row| row.0 == accept).unwrap();
    let among_two = if api { row.2 } else { row.1 };
    match (offered, accept) {
        (Offered::Only(kind), _) => Some(kind),
        (Offered::Scrape, Some(SCRAPER)) => Some(OPENMETRICS),
        (Offered::Log | Offered::Text, Some(SCRAPER)) => Some(TEXT),
        // The first choice of a text file is the file; HTML is its second.
        (
            Offered::Text,
            None
            | Some(
                "*/*"
                | ""
                | "certainly not a media type"
                | "image/png, */*;q=0.1"
                | "application/json;q=0, */*",
            ),
        ) if !api => Some(TEXT),
        (Offered::Text, Some("text/html;q=0, */*")) => Some(if api { JSON } else { TEXT }),
        (Offered::Text, Some("application/json;q=0, */*")) => Some(TEXT),
        _ => among_two,
    }
}

struct World {
    manager: Manager,
    config: String,
    instance: String,
    channel: String,
    mute: String,
    rule: String,
    job: String,
    bulk_job: String,
    unreadable: String,
    setup: String,
    backup: String,
    rollout: String,
}

/// Another machine responds to these; the tests with a real sshd ask it.
const ON_HOSTS: &str = "/hosts/{name}/instances";

impl World {
    async fn new() -> Self {
        let offered = releases::Offered::new("v0.8.0", &clients::version("0.6.0"));
        let releases = releases::Releases::serve(vec![offered]).await;
        let mut manager = Manager::with_store(&releases.base(), &[]).await;
        let job = update_jobs::install(&manager, "v0.8.0").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let config = manager
            .save_config("solo", &solo_config(free_port(), free_port(), 1))
            .await;
        manager
            .act(&format!("/api/saved-configs/{config}/set-active"))
            .await;
        let instance = manager.instance_of("barn", &config).await;
        manager.instance_of("default", &config).await;
        let channel = json!({ "name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/" });
        let channel: serde_json::Value = manager
            .post_json("/api/alerts/channels", &channel)
            .await
            .json()
            .await
            .unwrap();
        let mute = json!({ "target": "all", "minutes": 30 });
        let mute = Answer::to(manager.request("POST", "/api/alerts/mutes").json(&mute));
        let mute = mute.await.json(200)["mute"]["id"].clone();
        // A rule as a newer version may have written it.
        manager.terminate();
        let db = Db::open(&manager.data_dir()).unwrap();
        let spoil = "UPDATE alert_rules SET condition = '{}' WHERE name = 'Block found'";
        db.write(move |c| Ok(diesel::sql_query(spoil).execute(c)?))
            .await
            .unwrap();
        drop(db);
        manager.begin();
        let alerts = manager.json("/api/alerts").await;
        let told = |name: &str, field: &str| alerts[name][0][field].as_str().unwrap().to_owned();
        let setup = Answer::to(
            manager
                .request("POST", "/api/setup")
                .form(&[("mode", "SOLOMINING")]),
        )
        .await
        .json(201);
        let setup = setup["setup_id"].as_str().unwrap().to_owned();
        let backup = Answer::to(manager.request("POST", "/api/backups"))
            .await
            .json(202)["name"]
            .as_str()
            .unwrap()
            .to_owned();
        harness::until("the backup", || async {
            let all = manager.json("/api/backups").await;
            (all["making"].is_null() && all["backups"][0]["name"] == json!(backup)).then_some(())
        })
        .await;
        // No server listens there, but it is listed.
        let host = json!({ "name": "0.6.0", "address": "ssh://127.0.0.1:1" });
        manager.post_json("/api/hosts", &host).await;
        // It waits for the host.
        let rollout = json!({ "version": "0.6.0" });
        let rollout = Answer::to(manager.request("POST", "/api/rollouts").json(&rollout));
        let rollout = rollout.await.json(202)["rollout"]
            .as_str()
            .unwrap()
            .to_owned();
        // Nothing is running, so it is over at once.
        let body = json!({ "action": "stop", "all": true });
        let bulk_job: serde_json::Value = manager
            .post_json("/api/instances/actions", &body)
            .await
            .json()
            .await
            .unwrap();
        let (rule, unreadable) = (told("rules", "id"), told("unreadable", "place"));
        Self {
            manager,
            config,
            instance,
            channel: channel["channel_id"].as_str().unwrap().to_owned(),
            mute: mute.as_str().unwrap().to_owned(),
            rule,
            job,
            bulk_job: bulk_job["id"].as_str().unwrap().to_owned(),
            unreadable,
            setup,
            backup,
            rollout,
        }
    }

    fn path(&self, pattern: &str) -> String {
        let owners = [
            ("/instances", &self.instance),
            ("/metrics", &self.instance),
            ("/health", &self.instance),
            ("/alerts/channels", &self.channel),
            ("/alerts/rules", &self.rule),
            ("/alerts/mutes", &self.mute),
            ("/updates/jobs", &self.job),
            ("/jobs", &self.bulk_job),
            ("/alerts/unreadable", &self.unreadable),
            ("/setup/watch", &self.instance),
            ("/setup", &self.setup),
            ("/backups", &self.backup),
            ("/rollouts", &self.rollout),
        ];
        let id = owners
            .iter()
            .find(|(begin, _)| pattern.starts_with(begin))
            .map_or(&self.config, |(_, id)| id);
        pattern
            .replace("{id}", id)
            .replace("{n}", "1")
            .replace("{name}", "0.6.0")
            .replace("{type}", "cpu_percent")
            .replace("{step}", "review")
    }
}

/// Below `/api` the root is `/api` itself.
fn below_api(path: &str) -> String {
    if path == "/" {
        "/api".to_owned()
    } else {
        format!("/api{path}")
    }
}

#[test]
fn the_table_lists_every_route() {
    let sorted = |methods: &str| {
        let mut methods: Vec<&str> = methods.split(' ').collect();
        methods.sort_unstable();
        methods.join(" ")
    };
    let listed = URLS
        .iter()
        .map(|(methods, path, _)| (*path, *methods))
        .chain(OTHERS.iter().map(|(methods, path)| (*path, *methods)));
    assert_eq!(
        routes::all(),
        listed
            .map(|(path, methods)| (path.to_owned(), sorted(methods)))
            .collect::<BTreeSet<_>>()
    );
}

/// What is said of each operation: method, path, and the operation itself.
fn documented() -> Vec<(String, String, serde_json::Value)> {
    let document: serde_json::Value = serde_json::from_str(&jd_manager::server::api_docs::text(
        jd_manager::server::route_table::operation_groups(),
    ))
    .unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let operations = |(path, methods): (String, serde_json::Value)| {
        let methods = methods.as_object().unwrap().clone();
        methods
            .into_iter()
            .map(move |(method, operation)| (method, path.clone(), operation))
    };
    paths.into_iter().flat_map(operations).collect()
}

#[test]
fn what_a_get_is_offered_in_is_documented() {
    for (method, path, operation) in documented() {
        // The others have tests of their own.
        let Some((_, _, offered)) = URLS.iter().find(|(_, known, _)| *known == path) else {
            continue;
        };
        let said: BTreeSet<&str> = operation["responses"]["200"]["content"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| &**name)
            .collect();
        let expected: &[&str] = match (method.as_str(), offered) {
            ("get", Offered::Page) => &[HTML, JSON],
            ("get", Offered::Stream) => &[HTML, JSON, STREAM],
            ("get", Offered::Log) => &[HTML, JSON, STREAM, TEXT],
            ("get", Offered::Text) => &[HTML, JSON, TEXT],
            ("get", Offered::Table) => &[HTML, JSON, "text/csv"],
            ("get", Offered::StreamAndTable) => &[HTML, JSON, STREAM, "text/csv"],
            ("get", Offered::Scrape) => &[HTML, JSON, OPENMETRICS, TEXT],
            ("get", Offered::Only(kind)) => {
                // A backup that is encrypted is of another type.
                assert!(said.contains(kind), "{path}");
                continue;
            }
            _ => continue,
        };
        assert_eq!(said, expected.iter().copied().collect(), "{method} {path}");
    }
}

#[tokio::test]
async fn every_get_answers_in_the_form_that_is_accepted() {
    let world = World::new().await;
    for (methods, pattern, offered) in URLS {
        if !methods.contains("get") || pattern.starts_with(ON_HOSTS) {
            continue;
        }
        for (accept, ..) in ACCEPTS {
            for api in [false, true] {
                let path = world.path(pattern);
                let path = if api { below_api(&path) } else { path };
                let ask = |method: &str| {
                    let request = world.manager.request(method, &path);
                    Answer::to(match accept {
                        Some(accept) => request.header("accept", *accept),
                        None => request,
                    })
                };
                let answer = if accept.is_none() {
                    without_accept(&world.manager, &path).await
                } else {
                    ask("GET").await
                };
                let case = format!("{path} {accept:?}");
                match expected(*offered, *accept, api) {
                    Some(kind) => {
                        assert_eq!((answer.status, answer.media_type()), (200, kind), "{case}");
                        match kind {
                            HTML => drop(answer.page(200)),
                            JSON => drop(answer.json(200)),
                            _ => {}
                        }
                    }
                    None => assert_eq!(answer.status, 406, "{case}: {answer:?}"),
                }
                vary_is_right(&answer, &case);
                if accept.is_some() {
                    let head = ask("HEAD").await;
                    assert_eq!(
                        (head.status, head.media_type(), head.text.as_str()),
                        (answer.status, answer.media_type(), ""),
                        "HEAD {case}"
                    );
                    vary_is_right(&head, &case);
                }
            }
        }
    }
}

/// A request without any `Accept`, which the client library cannot send.
async fn without_accept(manager: &Manager, path: &str) -> Answer {
    let text = manager
        .raw(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{path}: {text:?}"));
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let mut headers = reqwest::header::HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.append(
            reqwest::header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let is_chunked = headers
        .get("transfer-encoding")
        .is_some_and(|v| v == "chunked");
    let text = if is_chunked {
        joined(body)
    } else {
        body.to_owned()
    };
    Answer {
        asked: format!("GET {path} without Accept"),
        status,
        headers,
        text,
    }
}

/// A body in chunks as one text.
fn joined(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        text.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap_or_default();
    }
    text
}

/// Caches are told on what the answer depends.
fn vary_is_right(answer: &Answer, case: &str) {
    let vary = answer.vary();
    for name in [
        "accept",
        "hx-request",
        "hx-target",
        "hx-boosted",
        "hx-request-type",
    ] {
        assert!(
            vary.contains(&name.to_owned()),
            "{case}: Vary lacks {name}: {vary:?}"
        );
    }
}

#[tokio::test]
async fn whatever_changes_something_is_refused_before_it_does_where_nothing_is_acceptable() {
    let world = World::new().await;
    let all = async || {
        let manager = &world.manager;
        let mut instances = manager.json("/api/instances").await;
        // Its health is known a moment after it was made.
        for instance in instances["instances"].as_array_mut().unwrap() {
            instance.as_object_mut().unwrap().remove("health");
        }
        [
            instances,
            manager.json("/api/saved-configs").await,
            manager.json("/api/alerts").await,
        ]
    };
    let before = all().await;
    for (methods, pattern, _) in URLS {
        // Gives a file as its GET does, whatever is accepted, and changes nothing.
        if *pattern == "/saved-configs/{id}/export" {
            continue;
        }
        for method in methods.split(' ').filter(|method| *method != "get") {
            for prefix in ["", "/api"] {
                for accept in [
                    "image/png",
                    "application/problem+json",
                    "text/event-stream",
                    "text/plain",
                ] {
                    let path = format!("{prefix}{}", world.path(pattern));
                    let request = world
                        .manager
                        .request(&method.to_uppercase(), &path)
                        .header("accept", accept);
                    // A body that would be taken.
                    let config = solo_config(free_port(), free_port(), 1);
                    let body =
                        json!({ "name": "other", "config_id": world.config, "config": config });
                    let answer = Answer::to(request.json(&body)).await;
                    let said = answer.problem(406);
                    assert!(
                        said["detail"]
                            .as_str()
                            .unwrap()
                            .contains("text/html, application/json"),
                        "{said}"
                    );
                }
            }
        }
    }
    assert_eq!(all().await, before);
    assert_eq!(
        world.manager.events(&world.instance).await,
        Vec::<serde_json::Value>::new()
    );
}

#[tokio::test]
async fn streams_and_texts_are_for_those_who_accept_them() {
    let world = World::new().await;
    for (methods, pattern, offered) in URLS {
        if !methods.contains("get") || pattern.starts_with(ON_HOSTS) {
            continue;
        }
        let plain = world.path(pattern);
        for path in [plain.clone(), below_api(&plain)] {
            if matches!(
                offered,
                Offered::Stream | Offered::StreamAndTable | Offered::Log
            ) {
                EventStream::open(world.manager.request("GET", &path)).await;
                let both = world
                    .manager
                    .ask(&path, "text/event-stream;q=0.5, application/json")
                    .await;
                both.json(200);
            } else if !matches!(offered, Offered::Only(_)) {
                assert_eq!(world.manager.ask(&path, STREAM).await.status, 406, "{path}");
            }
            let text = world.manager.ask(&path, TEXT).await;
            match offered {
                Offered::Log | Offered::Text | Offered::Scrape | Offered::Only(TEXT) => {
                    assert_eq!((text.status, text.media_type()), (200, TEXT), "{path}")
                }
                Offered::Only(_) => assert_eq!(text.status, 200),
                _ => assert_eq!(text.status, 406, "{path}"),
            }
        }
    }
}

#[tokio::test]
async fn errors_come_in_the_form_of_those_who_asked() {
    let world = World::new().await;
    for (path, status) in [
        ("/nothing", 404),
        ("/instances/x", 404),
        ("/events?limit=0", 422),
        ("/saved-configs/x/toml", 404),
    ] {
        for (accept, on_plain, on_api) in ACCEPTS {
            let Some(accept) = accept else { continue };
            for (path, form) in [(path.to_owned(), on_plain), (format!("/api{path}"), on_api)] {
                let answer = world.manager.ask(&path, accept).await;
                // What is not acceptable is said before anything is looked for, except where there
                // is no resource at all.
                if form.is_none() && status != 404 {
                    assert_eq!(answer.status, 406, "{path} {accept}");
                } else if *form == Some(HTML) {
                    drop(answer.page(status));
                } else if *form == Some(JSON) {
                    drop(answer.problem(status));
                }
                vary_is_right(&answer, &path);
            }
        }
    }
    let below_api = world.manager.ask("/api/nothing", "*/*").await.problem(404);
    assert_eq!(below_api["detail"], "There is nothing at this address.");
    for path in [
        "/api/",
        "/instances/",
        "/Instances",
        "//instances",
        "/apiary",
        "/api/api/instances",
    ] {
        assert!(
            [200, 404].contains(&world.manager.ask(path, "*/*").await.status),
            "{path}"
        );
    }
}

#[tokio::test]
async fn who_accepts_only_problem_details_or_no_page_gets_no_page() {
    let world = World::new().await;
    for accept in [
        "application/problem+json",
        "image/png",
        "text/html;q=0",
        "text/html;q=0, application/json;q=0",
    ] {
        for path in ["/nothing", "/api/nothing", "/instances", "/api/instances"] {
            let answer = world.manager.ask(path, accept).await;
            assert_eq!(
                answer.media_type(),
                "application/problem+json",
                "{path} {accept}"
            );
        }
    }
}

#[tokio::test]
async fn caches_are_told_of_every_header_that_makes_a_difference() {
    let world = World::new().await;
    let asked = |headers: &[(&'static str, &'static str)]| {
        let mut request = world
            .manager
            .request("GET", "/instances")
            .header("accept", "text/html");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::to(request)
    };
    let table = [("hx-request", "true"), ("hx-target", "div#table")];
    let plain = asked(&table).await;
    for (name, value) in [
        ("hx-request", "false"),
        ("hx-target", "main#main"),
        ("hx-boosted", "true"),
        ("hx-request-type", "full"),
        ("hx-history-restore-request", "true"),
    ] {
        let mut headers: Vec<_> = table
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        headers.push((name, value));
        let other = asked(&headers).await;
        assert_ne!(other.text, plain.text, "{name} makes no difference");
        assert!(
            plain.vary().contains(&name.to_owned()) && other.vary().contains(&name.to_owned()),
            "Vary lacks {name}"
        );
    }
}

#[tokio::test]
async fn several_accept_headers_are_one_list() {
    let world = World::new().await;
    let request = world
        .manager
        .request("GET", "/instances")
        .header("accept", "image/png")
        .header("accept", "application/json");
    Answer::to(request).await.json(200);
    let request = world
        .manager
        .request("GET", "/api/instances")
        .header("accept", "text/html;q=0.4")
        .header("accept", "application/json;q=0.3");
    Answer::to(request).await.page(200);
}
