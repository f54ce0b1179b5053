//! Protection against other sites, foreign host names, malicious names and unusual addresses,
//! and against leaking secrets.

use crate::harness::answer::{Answer, Dom};
use crate::harness::{self, Manager, free_port, pool_config, routes, solo_config};
use diesel::RunQueryDsl;
use jd_manager::infra::db::Db;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Headers of every response, with the required parts of their values.
const GUARDS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // Not `no-referrer`: browsers without `Sec-Fetch-Site` would send `Origin: null` with the
    // page's own forms.
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

fn is_guarded(answer: &Answer) {
    for (name, value) in GUARDS {
        assert_eq!(
            answer.headers.get_all(name).iter().collect::<Vec<_>>(),
            [value],
            "{name}: {answer:?}"
        );
    }
    assert!(
        answer.header("server").is_none() && answer.header("x-powered-by").is_none(),
        "{answer:?}"
    );
    assert!(
        answer.header("access-control-allow-origin").is_none(),
        "{answer:?}"
    );
    if answer.status != 304 && !answer.asked.contains("/static/") {
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_is_guarded() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let ask = |method: &str, path: &str, accept: &str| {
        Answer::to(manager.request(method, path).header("accept", accept))
    };
    let css = manager
        .ask("/", "text/html")
        .await
        .page(200)
        .attr("link[rel=stylesheet]", "href");
    let etag = ask("GET", &css, "*/*")
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    let mut answers = vec![
        (ask("GET", "/", "text/html").await, 200),
        (ask("GET", "/api/instances", "*/*").await, 200),
        (ask("HEAD", "/instances", "*/*").await, 200),
        (
            ask("GET", &format!("/instances/{id}/logs"), "text/plain").await,
            200,
        ),
        (ask("GET", &css, "*/*").await, 200),
        (
            Answer::to(manager.request("GET", &css).header("if-none-match", etag)).await,
            304,
        ),
        (
            ask("POST", &format!("/instances/{id}/stop"), "text/html").await,
            409,
        ),
        (ask("GET", "/nothing", "text/html").await, 404),
        (ask("GET", "/nothing", "application/json").await, 404),
        (ask("PUT", "/instances", "*/*").await, 405),
        (ask("GET", "/instances", "image/png").await, 406),
        (ask("POST", "/instances", "*/*").await, 415),
        (ask("GET", "/events?limit=x", "*/*").await, 422),
        (
            Answer::to(
                manager
                    .request("POST", "/instances")
                    .header("origin", "http://evil.example"),
            )
            .await,
            403,
        ),
        (
            Answer::to(manager.request("GET", "/").header("host", "evil.example")).await,
            421,
        ),
        (
            Answer::to(
                manager
                    .request("POST", "/instances")
                    .header("content-type", "application/json")
                    .body("x".repeat(2 << 20)),
            )
            .await,
            413,
        ),
        (manager.fragment("/instances", "div#table").await, 200),
        (
            Answer::to(
                manager
                    .request("POST", &format!("/instances/{id}/delete"))
                    .header("accept", "text/html"),
            )
            .await,
            303,
        ),
    ];
    std::fs::remove_file(manager.scratch().join("client")).unwrap();
    let other = manager.instance("garage").await;
    answers.push((
        ask("POST", &format!("/api/instances/{other}/start"), "*/*").await,
        503,
    ));
    for (answer, status) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        is_guarded(&answer);
    }
    let stream = manager
        .request("GET", "/instances")
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    for (name, value) in GUARDS {
        assert_eq!(
            stream.headers().get(name).unwrap(),
            value,
            "{name} of a stream"
        );
    }
}

#[tokio::test]
async fn pages_need_nothing_that_the_policy_forbids() {
    let manager = Manager::start().await;
    let config = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let id = manager.instance_of("barn", &config).await;
    for path in all_pages(&config, &id) {
        let answer = manager.ask(&path, "text/html").await;
        assert!(answer.status < 500, "{answer:?}");
        let page = answer.page(answer.status);
        for (element, name, value) in page.attributes() {
            assert!(
                name != "style" && !name.starts_with("on"),
                "{path}: <{element} {name}={value:?}>"
            );
            if [
                "src",
                "href",
                "action",
                "hx-post",
                "hx-get",
                "hx-sse:connect",
                "formaction",
            ]
            .contains(&name.as_str())
            {
                let is_own = value.is_empty()
                    || value.starts_with('#')
                    || (value.starts_with('/') && !value.starts_with("//"));
                assert!(
                    is_own,
                    "{path}: <{element} {name}={value:?}> leads elsewhere"
                );
            }
        }
        assert_eq!(page.count("style"), 0, "{path}");
        assert!(
            page.texts("script").iter().all(String::is_empty),
            "{path} has an inline script"
        );
        assert_eq!(
            page.count("script"),
            page.count("script[src^='/static/']"),
            "{path}"
        );
    }
}

/// Every page there is of a configuration and an instance.
fn all_pages(config: &str, id: &str) -> Vec<String> {
    let mut all: Vec<String> = [
        "/",
        "/instances",
        "/instances/new",
        "/events",
        "/saved-configs",
        "/saved-configs/new",
        "/saved-configs/import",
        "/alerts",
        "/alerts/channels/new",
        "/alerts/channels/new?kind=email",
        "/alerts/rules/new",
        "/alerts/rules/new?kind=metric",
        "/alerts/deliveries",
        "/alerts/mutes",
        "/openapi",
        "/glossary",
        "/backups",
        "/hosts",
        "/login",
        "/account",
        "/users",
        "/tokens",
        "/audit",
        "/updates",
        "/updates/history",
        "/setup",
        "/nothing",
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend(
        ["", "/settings", "/delete", "/events", "/logs"]
            .map(|rest| format!("/instances/{id}{rest}")),
    );
    all.push(format!("/setup/watch/{id}"));
    all.extend(
        [
            "",
            "/edit",
            "/delete",
            "/secret",
            "/toml",
            "/toml?client_version=0.1.0",
            "/revisions",
        ]
        .map(|rest| format!("/saved-configs/{config}{rest}")),
    );
    all
}

#[tokio::test]
async fn another_sites_page_cannot_change_anything() {
    let manager = Manager::start().await;
    let config = manager
        .save_config("home", &solo_config(free_port(), free_port(), 1))
        .await;
    let id = manager.instance_of("barn", &config).await;
    let host = manager.url("").trim_start_matches("http://").to_owned();
    let own = manager.url("");
    let all = async || {
        let mut instances = manager.json("/api/instances").await;
        // Its health is known a moment after it was made.
        instances["instances"][0]
            .as_object_mut()
            .unwrap()
            .remove("health");
        (instances, manager.json("/api/saved-configs").await)
    };
    let before = all().await;
    let foreign: &[&[(&str, &str)]] = &[
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", "")],
    ];
    for headers in foreign {
        for (method, path) in [
            ("POST", format!("/instances/{id}/start")),
            ("POST", format!("/api/instances/{id}/delete")),
            ("DELETE", format!("/instances/{id}")),
            ("PATCH", format!("/instances/{id}")),
            ("POST", format!("/instances/{id}")),
            ("PUT", format!("/saved-configs/{config}")),
            ("POST", "/saved-configs".to_owned()),
            ("POST", "/api/saved-configs/import".to_owned()),
            ("POST", "/keys/generate".to_owned()),
            ("POST", "/config".to_owned()),
            ("POST", "/api/jdc/start".to_owned()),
            ("POST", "/alerts/channels".to_owned()),
            ("POST", "/alerts/mutes".to_owned()),
            ("POST", "/updates/install".to_owned()),
            ("POST", "/updates/skip".to_owned()),
            ("POST", "/updates/upload".to_owned()),
            ("POST", "/updates/rollback".to_owned()),
            ("DELETE", "/updates/installed/0.6.0".to_owned()),
            ("PATCH", "/updates/settings".to_owned()),
        ] {
            for accept in ["text/html", "application/json"] {
                let mut request = manager.request(method, &path).header("accept", accept);
                for (name, value) in *headers {
                    request = request.header(*name, *value);
                }
                let body = [
                    ("name", "stolen"),
                    (
                        "coinbase_reward_script",
                        "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
                    ),
                ];
                let answer = Answer::to(request.form(&body)).await;
                assert_eq!(answer.status, 403, "{headers:?} {answer:?}");
                is_guarded(&answer);
            }
        }
        // Looking is no change.
        let mut request = manager.request("GET", "/instances");
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        assert_eq!(Answer::to(request).await.status, 200, "{headers:?}");
    }
    assert_eq!(all().await, before);
    assert!(manager.clients(&id).is_empty());
    for headers in [
        vec![("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "none")],
        vec![("origin", own.as_str())],
        vec![("host", host.as_str())],
    ] {
        let mut request = manager.request("POST", "/keys/generate");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        assert_eq!(Answer::to(request).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_this_machines_is_not_answered() {
    let manager = Manager::start().await;
    for host in [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[2001:db8::1]:80",
        "0.0.0.0",
        "127.0.0.1@evil.example",
        "[::1].evil.example",
        "[::1]evil.example:80",
        "localhost:evil.example",
        "localhost:80:80",
        "localhost..",
        ".localhost",
        "::1",
    ] {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/api/instances"),
            ("GET", "/health"),
            ("GET", "/static/app.css"),
            ("POST", "/keys/generate"),
        ] {
            let text = manager
                .raw(
                    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                        .as_bytes(),
                )
                .await;
            assert!(text.starts_with("HTTP/1.1 421 "), "{host} {path}: {text}");
        }
    }
    for host in [
        "localhost",
        "localhost:3000",
        "localhost.",
        "LOCALHOST",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]:3000",
        "barn.localhost",
    ] {
        let text = manager
            .raw(
                format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .await;
        assert!(text.starts_with("HTTP/1.1 200 "), "{host}: {text}");
    }
    for request in [
        "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /health HTTP/1.0\r\n\r\n",
        "GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ] {
        let text = manager.raw(request.as_bytes()).await;
        assert!(
            text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4"),
            "{request:?}: {text}"
        );
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_is_not_answered() {
    let manager = Manager::start().await;
    // Two hosts, of which the first is ours and the second is the one a proxy would have gone by.
    let text =
        manager.raw(b"GET /api/instances HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert!(!text.starts_with("HTTP/1.1 200 "), "two hosts: {text}");
    let text =
        manager.raw(b"GET http://evil.example/api/instances HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(
        !text.starts_with("HTTP/1.1 200 "),
        "a foreign address with a host of ours: {text}"
    );
    let text = manager
        .raw(b"GET http://localhost/api/instances HTTP/1.1\r\nHost: [::1].evil.example\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        text.starts_with("HTTP/1.1 421 "),
        "an address of ours with a foreign host: {text}"
    );
}

/// Every address that pages and JSON lead to, from the root on, as paths with their queries.
fn links(page: &Dom) -> Vec<String> {
    let mut all = page.attrs("a[href]", "href");
    all.extend(page.attrs("form[method=get]", "action"));
    all.into_iter()
        .filter(|to| to.starts_with('/'))
        .map(|to| to.split('#').next().unwrap().to_owned())
        .collect()
}

/// The addresses to look at. Of each route as many as are worth it: its first few, and whatever has
/// a parameter or a value of one that none before it had. Charts can be chosen in thousands of
/// combinations, which would say nothing new.
#[derive(Default)]
struct Crawl {
    todo: VecDeque<String>,
    known: BTreeSet<String>,
    /// How many are looked at, by route.
    routes: BTreeMap<String, usize>,
    /// Values by route and parameter.
    values: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Crawl {
    /// Of the same route, whatever their parameters.
    const FEW: usize = 4;
    /// Of the same parameter of a route.
    const VALUES: usize = 12;

    fn add(&mut self, link: String) {
        if !self.known.insert(link.clone()) {
            return;
        }
        let (path, query) = link.split_once('?').unwrap_or((&link, ""));
        let route = routes::pattern_of(path, "get").unwrap_or_else(|| path.to_owned());
        let mut is_new = false;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            // A time, an id or a place in a list is as good as another.
            let digits = value.bytes().filter(u8::is_ascii_digit).count();
            let value = if digits >= 4 || digits == value.len() {
                "a number".into()
            } else {
                value
            };
            let values = self
                .values
                .entry((route.clone(), key.into_owned()))
                .or_default();
            is_new |= values.len() < Self::VALUES && values.insert(value.into_owned());
        }
        let seen = self.routes.entry(route).or_default();
        if is_new || *seen < Self::FEW {
            *seen += 1;
            self.todo.push_back(link);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_the_clients_file_and_nowhere_else_to_be_seen() {
    use std::os::unix::fs::PermissionsExt;
    let mut manager = Manager::start().await;
    let pair = || async {
        let (_, body) = manager.act("/api/keys/generate").await;
        let key = |name: &str| body["keys"][name].as_str().unwrap().to_owned();
        (key("public_key"), key("secret_key"))
    };
    let (first, second, third, foreign) = (pair().await, pair().await, pair().await, pair().await);
    let secrets = [
        first.1.clone(),
        second.1.clone(),
        third.1.clone(),
        foreign.1.clone(),
    ];
    let mut seen = Vec::new();
    let mut check = |what: String, text: &str| {
        for secret in &secrets {
            // Nor a good part of one.
            assert!(
                !text.contains(secret.as_str()) && !text.contains(&secret[..16]),
                "{what} shows a secret: {text}"
            );
        }
        seen.push(what);
    };

    let mut config = pool_config(free_port(), free_port(), 1, 2, 3);
    let set = |config: &mut Value, pair: &(String, String)| {
        config["authority_public_key"] = json!(pair.0);
        config["authority_secret_key"] = json!(pair.1);
    };
    set(&mut config, &first);
    let id = manager.save_config("home", &config).await;
    let path = format!("/api/saved-configs/{id}");
    let json_of = |method: &str, path: &str, body: &Value| {
        Answer::to(
            manager
                .request(method, path)
                .header("accept", "application/json")
                .json(body),
        )
    };
    set(&mut config, &second);
    let saved = json_of("PUT", &path, &json!({ "name": "home", "config": config })).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    check("PUT".into(), &saved.text);
    // What is refused holds secrets too: pairs that do not match, keys in the wrong place, a
    // mistyped one.
    let mut wrong = config.clone();
    set(&mut wrong, &(first.0.clone(), third.1.clone()));
    for (what, change) in [
        ("not a pair", json!({ "name": "x", "config": wrong })),
        (
            "mistyped",
            json!({ "name": "x", "config": { "authority_secret_key": format!("{}x", third.1) } }),
        ),
        (
            "no text",
            json!({ "name": "x", "config": { "authority_secret_key": [third.1] } }),
        ),
        (
            "as a name too long",
            json!({ "name": format!("{}{}", third.1, third.1), "config": {} }),
        ),
    ] {
        for (method, path) in [("POST", "/api/saved-configs"), ("PUT", path.as_str())] {
            let refused = json_of(method, path, &change).await;
            assert_eq!(refused.status, 422, "{what}: {refused:?}");
            check(format!("{what} by {method}"), &refused.text);
        }
    }
    let broken = format!(
        "{{\"name\": \"x\", \"config\": {{\"authority_secret_key\": \"{}\"",
        third.1
    );
    let request = manager
        .request("POST", "/api/saved-configs")
        .header("content-type", "application/json")
        .body(broken);
    check("broken JSON".into(), &Answer::to(request).await.text);
    for accept in ["text/html", "application/json"] {
        let form = [
            ("name", "form"),
            ("mode", "SOLOMINING"),
            ("authority_secret_key", third.1.as_str()),
            ("share_batch_size", "x"),
        ];
        let answer = Answer::to(
            manager
                .request("POST", "/saved-configs")
                .header("accept", accept)
                .form(&form),
        )
        .await;
        assert_eq!(answer.status, 422);
        check(format!("a form as {accept}"), &answer.text);
    }
    for toml in [
        format!("authority_secret_key = \"{}\"\n", third.1),
        format!("authority_secret_key = {}\n", third.1),
        format!(
            "authority_secret_key = \"\"\"\n{}\"\"\"\nmode = 3\n",
            third.1
        ),
        format!("authority_secret_key = \"{}\n", third.1),
    ] {
        let request = manager
            .request("POST", "/api/saved-configs/import")
            .header("content-type", "text/plain")
            .body(toml.clone());
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        check(
            format!("import of {}", toml.split('=').next().unwrap().len()),
            &answer.text,
        );
        let form = [("name", "form"), ("toml", toml.as_str())];
        let answer = Answer::to(
            manager
                .request("POST", "/saved-configs/import")
                .header("accept", "text/html")
                .form(&form),
        )
        .await;
        check("import by form".into(), &answer.text);
    }
    let old = |public: &str, secret: &str| {
        json!({ "mode": "SOLOMINING", "authority_secret_key": secret, "authority_public_key": public }).to_string()
    };
    let (whole, mistyped) = (
        old(&third.1, &third.1),
        old(&first.0, &format!("{}x", third.1)),
    );
    for text in [
        whole.clone(),
        whole.replace('}', ""),
        mistyped.clone(),
        mistyped.replace('}', ""),
    ] {
        let form = [("name", "form"), ("toml", text.as_str())];
        let answer = Answer::to(
            manager
                .request("POST", "/saved-configs/import")
                .header("accept", "text/html")
                .form(&form),
        )
        .await;
        assert_eq!(answer.status, 422);
        check("import of JSON".into(), &answer.text);
    }
    // Checks, and the addresses of the original API, right and wrong.
    for config in [&config, &wrong] {
        for path in [
            "/api/saved-configs/check",
            "/api/config/validate",
            "/api/config",
        ] {
            let answer = json_of("POST", path, &json!({ "name": "x", "config": config })).await;
            assert!([200, 422].contains(&answer.status), "{answer:?}");
            check(format!("{path} {}", answer.status), &answer.text);
        }
    }
    for target in ["main#main", "div"] {
        let form = [
            ("authority_secret_key", third.1.as_str()),
            ("authority_public_key", third.1.as_str()),
            ("jdc_signature", third.1.as_str()),
        ];
        let request = manager
            .request("POST", "/saved-configs/check")
            .header("accept", "text/html");
        let request = if target == "div" {
            request
                .header("hx-request", "true")
                .header("hx-target", target)
        } else {
            request
        };
        let answer = Answer::to(request.form(&form)).await;
        assert_eq!(answer.status, 200);
        check(format!("a check in {target}"), &answer.text);
    }
    // Setup: a key pasted into every field of every step, and into every member of a program's
    // body.
    let as_page = async |path: String, form: &[(&str, &str)]| {
        Answer::to(
            manager
                .request("POST", &path)
                .header("accept", "text/html")
                .form(form),
        )
        .await
    };
    let begun = as_page(
        "/setup".into(),
        &[("mode", "FULLTEMPLATE"), ("name", third.1.as_str())],
    )
    .await;
    let setup = begun
        .header("location")
        .unwrap()
        .trim_end_matches("/provider")
        .to_owned();
    for (step, fields) in [
        ("mode", &["mode"][..]),
        (
            "provider",
            &[
                "template_provider",
                "template_provider_type.Sv2Tp.address",
                "template_provider_type.Sv2Tp.public_key",
            ],
        ),
        (
            "pools",
            &[
                "upstreams.0.pool_address",
                "upstreams.0.pool_port",
                "upstreams.0.authority_pubkey",
                "upstreams.0.user_identity",
            ],
        ),
        (
            "payout",
            &["coinbase_reward_script", "network", "jdc_signature"],
        ),
        (
            "name",
            &[
                "name",
                "reach",
                "listening_port",
                "monitoring_port",
                "authority_secret_key",
            ],
        ),
        ("review", &["authority_secret_key"]),
    ] {
        let form: Vec<(&str, &str)> = fields
            .iter()
            .map(|field| (*field, third.1.as_str()))
            .collect();
        let answer = as_page(format!("{setup}/{step}"), &form).await;
        check(format!("setup, {step}: {}", answer.status), &answer.text);
    }
    for member in [
        "name",
        "mode",
        "template_provider",
        "pools",
        "payout",
        "network",
        "jdc_signature",
        "authority_secret_key",
        &third.1,
    ] {
        for value in [
            json!(third.1),
            json!([third.1]),
            json!({ &third.1: third.1 }),
        ] {
            let answer = json_of("POST", "/api/setup", &json!({ member: value })).await;
            check(
                format!("setup with {} characters", member.len()),
                &answer.text,
            );
            assert_eq!(answer.status, 422, "{answer:?}");
        }
    }
    json_of("POST", &format!("{path}/revisions/1/restore"), &json!({}))
        .await
        .json(200);
    json_of("POST", &format!("{path}/duplicate"), &json!({}))
        .await
        .json(201);
    json_of("POST", &format!("{path}/set-active"), &json!({}))
        .await
        .json(200);
    let tried = json_of("POST", &format!("{path}/trial"), &json!({})).await;
    assert_eq!(tried.json(200)["accepted"], true);
    check("a trial".into(), &tried.text);

    let instance = manager.instance_of("barn", &id).await;
    manager
        .act(&format!("/api/instances/{instance}/start"))
        .await;
    manager.until_state(&instance, "running").await;
    let file = manager.instance_dir(&instance).join("config.toml");
    assert!(
        std::fs::read_to_string(&file).unwrap().contains(&first.1),
        "the client is told the restored one"
    );
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    // Everything that can be reached, as a page, as JSON, as text and as a fragment.
    let mut start = all_pages(&id, &instance);
    start.extend([
        format!("/instances/{instance}/log.txt"),
        "/saved-configs/active".into(),
        "/config".into(),
        "/jdc/status".into(),
        "/health".into(),
        "/api".into(),
    ]);
    start.extend(
        ["mode", "provider", "pools", "payout", "name", "review"]
            .map(|step| format!("{setup}/{step}")),
    );
    // These all, and where they lead.
    let mut crawl = Crawl {
        todo: start.iter().cloned().collect(),
        known: start.into_iter().collect(),
        ..Crawl::default()
    };
    while let Some(path) = crawl.todo.pop_front() {
        for accept in ["text/html", "application/json", "text/plain"] {
            for prefix in ["", "/api"] {
                let answer = manager.ask(&format!("{prefix}{path}"), accept).await;
                assert!(answer.status < 500, "{answer:?}");
                check(format!("{prefix}{path} as {accept}"), &answer.text);
                check("headers".into(), &format!("{:?}", answer.headers));
                if answer.media_type() == "text/html" && answer.status == 200 && prefix.is_empty() {
                    for link in links(&answer.page(200)) {
                        crawl.add(link);
                    }
                }
            }
        }
        check(
            format!("{path} as fragment"),
            &manager.fragment(&path, "main#main").await.text,
        );
    }
    let known = &crawl.known;
    assert!(
        known.len() > 25,
        "the way through the pages was lost: {known:?}"
    );
    assert!(
        known.iter().any(|path| path.ends_with("/revisions"))
            && known.iter().any(|path| path.contains("/toml")),
        "{known:?}"
    );
    eprintln!(
        "{} links found; followed of each route: {:?}",
        known.len(),
        crawl.routes
    );

    manager
        .act(&format!("/api/instances/{instance}/stop"))
        .await;
    assert!(manager.terminate().success());
    let log = manager.log();
    assert!(log.contains("serving"), "the log was not written: {log}");
    for secret in &secrets {
        assert!(
            !log.contains(secret.as_str()),
            "the manager's log shows a secret"
        );
    }
    only_the_clients_file_holds(&manager, &instance, &secrets);

    // A database of an earlier version, with plain-text secrets in rows, in free pages and in a copy
    // from an upgrade, is encrypted at the next start.
    let db = Db::open(&manager.data_dir()).unwrap();
    let (clear, channel) = (first.1.clone(), first.1.clone());
    db.write(move |c| {
        for text in [
            format!("UPDATE configurations SET config_json = json_set(config_json, '$.authority_secret_key', '{clear}')"),
            format!("UPDATE configuration_revisions SET config_json = json_set(config_json, '$.authority_secret_key', '{clear}')"),
            format!(
                "INSERT INTO alert_channels (id, name, target, created_at) VALUES ('a1e70000-0000-4000-8000-00000000000c', 'hook', \
                 '{{\"kind\":\"webhook\",\"url\":\"http://127.0.0.1:9/\",\"secret\":\"{channel}\"}}', 0)"
            ),
            "DELETE FROM vault".into(),
        ] {
            diesel::sql_query(text).execute(c)?;
        }
        Ok(())
    })
    .await
    .unwrap();
    use std::os::unix::fs::DirBuilderExt;
    let backups = manager.data_dir().join("backups");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&backups)
        .unwrap();
    db.copy_to(backups.join("before-upgrade-1.sqlite3"))
        .await
        .unwrap();
    drop(db);
    assert!(
        holders(&manager.data_dir(), &secrets).len() > 2,
        "the test has something to find"
    );
    manager.begin();
    only_the_clients_file_holds(&manager, &instance, &secrets);
    let keys = manager
        .act(&format!("/api/saved-configs/{id}/secret"))
        .await
        .1;
    assert_eq!(keys["keys"]["secret_key"], json!(first.1));
    manager
        .act(&format!("/api/instances/{instance}/start"))
        .await;
    manager.until_state(&instance, "running").await;
    let alerts = manager.json("/api/alerts").await;
    assert_eq!(
        (&alerts["unreadable"], &alerts["channels"][0]["secret"]),
        (&json!([]), &json!("********")),
        "{alerts}"
    );

    // The database alone, or with another key, gives an error with the reason.
    manager
        .act(&format!("/api/instances/{instance}/stop"))
        .await;
    assert!(manager.terminate().success());
    let key = manager.data_dir().join("secrets.key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::rename(&key, manager.scratch().join("kept.key")).unwrap();
    let start = || {
        let serve = std::process::Command::new(harness::PROGRAM)
            .arg("--data-dir")
            .arg(manager.data_dir())
            .args(["--listen", "127.0.0.1:0"])
            .output()
            .unwrap();
        assert!(!serve.status.success());
        String::from_utf8(serve.stderr).unwrap()
    };
    let said = start();
    assert!(
        said.contains("secrets.key") && said.contains("missing") && !key.exists(),
        "{said}"
    );
    std::fs::write(
        &key,
        "jd-manager-secrets-key-1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    )
    .unwrap();
    let said = start();
    assert!(said.contains("does not match the secrets"), "{said}");
}

/// The files below a directory that hold one of these texts; and that nobody else can read any.
fn holders(dir: &Path, secrets: &[String]) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            if entry.file_type().unwrap().is_dir() {
                assert_eq!(mode, 0o700, "{path:?}");
                dirs.push(path);
                continue;
            }
            assert_eq!(mode & 0o077, 0, "{path:?} can be read by others");
            let content = std::fs::read(&path).unwrap_or_default();
            if secrets.iter().any(|secret| {
                content
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes())
            }) {
                found.push(path);
            }
        }
    }
    found
}

/// On disk a secret is in the client's own file, which needs it, and in nothing else.
fn only_the_clients_file_holds(manager: &Manager, instance: &str, secrets: &[String]) {
    assert_eq!(
        holders(&manager.data_dir(), secrets),
        [manager.instance_dir(instance).join("config.toml")]
    );
}

#[tokio::test]
async fn a_secret_in_the_wrong_place_is_not_sent_back_either() {
    let manager = Manager::start().await;
    let (_, made) = manager.act("/api/keys/generate").await;
    let secret = made["keys"]["secret_key"].as_str().unwrap();
    let mut shown = Vec::new();
    for field in [
        "authority_public_key",
        "listening_address",
        "coinbase_reward_script",
        "mode",
        "user_identity",
        "unheard_of",
    ] {
        let config = json!({ "name": "x", "config": { field: secret } });
        let request = manager.request("POST", "/api/saved-configs").json(&config);
        let mut answers = vec![("JSON", Answer::to(request).await)];
        let form = [("name", "x"), (field, secret)];
        for accept in ["text/html", "application/json"] {
            answers.push((
                "form",
                Answer::to(
                    manager
                        .request("POST", "/saved-configs")
                        .header("accept", accept)
                        .form(&form),
                )
                .await,
            ));
        }
        let toml = format!("{field} = \"{secret}\"\n");
        answers.push((
            "form with a file",
            Answer::to(
                manager
                    .request("POST", "/saved-configs/import")
                    .header("accept", "text/html")
                    .form(&[("toml", &toml)]),
            )
            .await,
        ));
        answers.push((
            "file",
            Answer::to(
                manager
                    .request("POST", "/api/saved-configs/import")
                    .header("content-type", "text/plain")
                    .body(toml),
            )
            .await,
        ));
        for (what, answer) in answers {
            assert_eq!(answer.status, 422, "{answer:?}");
            if answer.text.contains(secret) {
                shown.push(format!(
                    "{what} with the secret in {field}, answered as {}",
                    answer.media_type()
                ));
            }
        }
    }
    assert_eq!(shown, Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_whose_body_was_refused_is_said_to_be_closed_or_goes_on() {
    let manager = Manager::start().await;
    for (kind, length, status) in [
        ("application/json", 2 << 20, "413"),
        ("text/plain", 900_000, "415"),
        ("text/plain", 2 << 20, "415"),
    ] {
        let mut bytes = format!(
            "POST /api/instances HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend(std::iter::repeat_n(b' ', length));
        bytes.extend(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = manager.raw(&bytes).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{kind} {length}: the answer is lost: {answer:?}"
        );
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let is_said = head.to_ascii_lowercase().contains("connection: close");
        assert!(
            is_said || answer.contains("\"status\":\"ok\""),
            "{kind} {length}: the next request is lost: {answer}"
        );
    }
}

/// Names that mean something to HTML, attributes, scripts, URLs, headers, SQL, logs, or to people's
/// eyes.
const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></textarea></select><h1>x",
    "<!-- --><![CDATA[ x ]]>",
    "&lt;b&gt; &amp; &#60;",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "javascript:alert(1)",
    "../../etc/passwd %2e%2e%2f",
    "'; DROP TABLE instances; --",
    "🦀 Ziegenstall № 5 — größer",
    "عقرب שלום",
    "c e\u{301} 👩\u{200d}🌾",
    "\\u003cscript\\u003e \\\" \\",
];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_shown_as_the_text_they_are() {
    let manager = Manager::start().await;
    for (at, name) in HOSTILE.iter().enumerate() {
        let mut config = pool_config(free_port(), free_port(), 1, 2, 3);
        config["upstreams"][0]["user_identity"] = json!(name);
        config["jdc_signature"] = json!(name.chars().take(20).collect::<String>());
        let body = json!({ "name": name, "description": name, "config": config });
        let made = manager.post_json("/api/saved-configs", &body).await;
        let (status, made): (u16, Value) = (made.status().as_u16(), made.json().await.unwrap());
        // A field may have rules of its own; then it is refused in words, and the name is tried
        // without it.
        let made = if status == 422 {
            let body = json!({ "name": name, "description": name, "config": solo_config(free_port(), free_port(), 1) });
            let made = manager.post_json("/api/saved-configs", &body).await;
            assert_eq!(made.status(), 201, "{name}");
            made.json::<Value>().await.unwrap()
        } else {
            assert_eq!(status, 201, "{name}: {made}");
            made
        };
        let config = made["config_id"].as_str().unwrap().to_owned();
        let id = manager.instance_of(name, &config).await;
        if at == 0 {
            manager.act(&format!("/api/instances/{id}/start")).await;
            manager.until_state(&id, "running").await;
        }
        assert_eq!(
            manager.json(&format!("/api/instances/{id}")).await["name"],
            *name
        );
        assert_eq!(
            manager.json(&format!("/api/saved-configs/{config}")).await["description"],
            *name
        );
        let collapsed = name.split_whitespace().collect::<Vec<_>>().join(" ");
        for path in all_pages(&config, &id) {
            let page = manager.ask(&path, "text/html").await;
            let page = page.page(page.status);
            for (element, attribute, value) in page.attributes() {
                assert!(
                    !attribute.starts_with("on") && attribute != "style",
                    "{path}: <{element} {attribute}={value:?}>"
                );
            }
            assert_eq!(
                page.count("img:not([src^='/instances/'])")
                    + page.count("script:not([src])")
                    + page.count("h1 h1"),
                0,
                "{path} with {name}"
            );
            assert_eq!(page.count("h1"), 1, "{path} with {name}");
        }
        let page = manager
            .ask(&format!("/instances/{id}"), "text/html")
            .await
            .page(200);
        assert_eq!(page.one("#status h1"), collapsed);
        assert!(page.one("title").contains(&collapsed), "{name}");
        let page = manager
            .ask(&format!("/saved-configs/{config}/edit"), "text/html")
            .await
            .page(200);
        assert_eq!(page.attr("form#form [name=name]", "value"), *name);
        assert!(page.one("textarea#description").contains(&collapsed));
        // Back in what a form and an error say.
        for accept in ["text/html", "application/json"] {
            let request = manager
                .request("POST", "/instances")
                .header("accept", accept)
                .form(&[("name", *name), ("config_id", &config)]);
            let taken = Answer::to(request).await;
            assert_eq!(taken.status, 409, "{taken:?}");
            if accept == "text/html" {
                let page = taken.page(409);
                assert_eq!(page.attr("input#name", "value"), *name);
                assert_eq!(
                    page.count("img") + page.count("script:not([src])"),
                    0,
                    "{name}"
                );
            }
        }
    }
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        HOSTILE.len()
    );
    for bad in [
        "a\u{202e}txt.exe",
        "a\u{2066}b",
        "a\u{200b}b",
        "a\u{feff}b",
        "a\u{ad}b",
        "a\u{200d}b",
        "a\u{7}b",
        "a\u{85}b",
        "\u{0}",
        "\r\nX-Evil: 1",
        "\u{1b}[31m",
    ] {
        let body = json!({ "name": format!("x{bad}y"), "config_id": "x" });
        let refused = manager.post_json("/api/instances", &body).await;
        assert_eq!(refused.status(), 422, "{bad:?}");
        assert!(
            refused.text().await.unwrap().contains("\"/name\""),
            "{bad:?}"
        );
    }
    // What a log line of the manager says of a request is one line, whatever was asked.
    manager.raw(b"GET /instances/%0a%1b[31mERROR%20x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(!manager.log().contains("\u{1b}[31mERROR x"));
}

#[tokio::test]
async fn odd_addresses_are_refused_and_nothing_breaks() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let long = "x".repeat(60_000);
    let many = "a=b&".repeat(10_000);
    let paths = [
        "/instances/..".into(),
        "/instances/../../etc/passwd".into(),
        "/instances/..%2f..%2f..%2fetc%2fpasswd".into(),
        "/instances/%2e%2e%2f%2e%2e".into(),
        "/static/..%2f..%2fCargo.toml".into(),
        "/static/%2e%2e/Cargo.toml".into(),
        "/static/../Cargo.toml".into(),
        "/static//etc/passwd".into(),
        "/static/app.css%00".into(),
        format!("/instances/{id}%00"),
        format!("/instances/{id}/..%2flogs"),
        format!("/instances/{id}/logs/..%2f..%2fconfig.toml"),
        format!("/instances/{id}/config.toml"),
        "/instances/%".into(),
        "/instances/%zz".into(),
        "/instances/%ff%fe".into(),
        "/instances/%c0%ae%c0%ae".into(),
        "/saved-configs/%00".into(),
        "/saved-configs/%ff/revisions/%ff/restore".into(),
        "//evil.example/x".into(),
        "///".into(),
        "/./instances".into(),
        "/api//instances".into(),
        "/api/../instances".into(),
        "/instances;jsessionid=1".into(),
        "/?%ff=%00&=&&&=".into(),
        format!("/instances/{id}/logs?q=%00%ff&level=%00"),
        format!("/instances/{id}/logs?count=1&count=x"),
        "/events?limit=1%00".into(),
        format!("/{long}"),
        format!("/instances/{long}"),
        format!("/events?x={long}"),
        format!("/events?{many}"),
        "*".into(),
        "instances".into(),
        "/a b".into(),
        "/\u{fc}".into(),
        "/\\..\\..".into(),
    ];
    for path in &paths {
        for method in ["GET", "POST", "DELETE"] {
            for accept in ["text/html", "application/json"] {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let answer = manager.raw(request.as_bytes()).await;
                let shown: String = path.chars().take(80).collect();
                assert!(
                    answer.starts_with("HTTP/1.1 2") || answer.starts_with("HTTP/1.1 4"),
                    "{method} {shown}: {}",
                    answer.chars().take(300).collect::<String>()
                );
                assert!(
                    !answer.contains("root:") && !answer.contains("[package]"),
                    "{method} {shown} leads out"
                );
            }
        }
    }
    for (at, rubbish) in [
        &b"\x16\x03\x01\x02\x00\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ]
    .iter()
    .enumerate()
    {
        let answer = manager.raw(rubbish).await;
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 4")
                || answer.starts_with("HTTP/1.0 4"),
            "{at}: {answer}"
        );
    }
    let many_headers: String = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let answer = manager
        .raw(
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many_headers}Connection: close\r\n\r\n")
                .as_bytes(),
        )
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 4"),
        "{}",
        answer.chars().take(200).collect::<String>()
    );
    let smuggled = b"POST /keys/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n";
    let answer = manager.raw(smuggled).await;
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    assert_eq!(
        manager.json("/api/instances").await["instances"][0]["name"],
        "barn"
    );
    let log = manager.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn deeply_nested_and_wide_bodies_are_refused_and_nothing_breaks() {
    let manager = Manager::start().await;
    let nested =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let wide: String = format!(
        "{{{}\"z\":1}}",
        (0..60_000)
            .map(|n| format!("\"k{n}\":1,"))
            .collect::<String>()
    );
    let pools: String = format!(
        "{{\"name\":\"x\",\"config\":{{\"upstreams\":[{}{{}}]}}}}",
        "{},".repeat(200_000)
    );
    for (kind, body) in [
        ("application/json", nested("[", "]")),
        ("application/json", nested("{\"a\":", "}")),
        ("application/json", wide),
        ("application/json", pools),
        ("application/json", "1e999999".into()),
        ("application/json", "\"\\ud800\"".into()),
        ("application/x-www-form-urlencoded", "a=b&".repeat(200_000)),
        (
            "application/x-www-form-urlencoded",
            "upstreams.4294967295.pool_port=1&upstreams.99999999999.pool_port=1".into(),
        ),
        ("application/x-www-form-urlencoded", "%ff%fe=%00".into()),
        ("text/plain", "a.".repeat(100_000) + "b = 1"),
        ("text/plain", "a = ".to_owned() + &"[".repeat(100_000)),
        ("text/plain", "[[upstreams]]\n".repeat(50_000)),
    ] {
        for path in [
            "/api/saved-configs",
            "/api/instances",
            "/api/saved-configs/import",
            "/saved-configs",
        ] {
            let shown: String = body.chars().take(30).collect();
            let request = manager
                .request("POST", path)
                .header("accept", "application/json")
                .header("content-type", kind)
                .body(body.clone());
            let answer = Answer::to(request).await;
            assert!(
                (400..500).contains(&answer.status),
                "{path} {kind} {shown}: {}",
                answer.status
            );
            assert!(
                answer.text.len() < 1 << 20,
                "{path} {kind} {shown}: an answer of {} bytes",
                answer.text.len()
            );
        }
    }
    assert_eq!(
        manager.json("/api/saved-configs").await["configurations"],
        json!([])
    );
    assert!(!manager.log().contains("panicked"));
}
