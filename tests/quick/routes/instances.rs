//! `/`, `/instances` and `/instances/new`.

use super::{NOBODY, TOO_LARGE, act_on_many, bare, form, form_on_many, send, swap};
use crate::harness::answer::{Answer, EventStream};
use crate::harness::{Manager, free_port, solo_config};
use serde_json::{Value, json};

async fn with_config() -> (Manager, String) {
    let manager = Manager::start().await;
    let config = manager
        .save_config("solo", &solo_config(free_port(), free_port(), 1))
        .await;
    (manager, config)
}

async fn names(manager: &Manager) -> Vec<String> {
    let list = manager.json("/api/instances").await;
    list["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn making_one_answers_with_its_id_and_place() {
    let (manager, config) = with_config().await;
    assert_eq!(
        bare(&manager, "GET", "/api/instances").await.json(200),
        json!({ "instances": [], "total": 0 })
    );
    for (path, prefix, name) in [
        ("/api/instances", "/api", "barn"),
        ("/instances", "", "garage"),
    ] {
        let made = send(
            &manager,
            "POST",
            path,
            &json!({ "name": name, "config_id": config }),
        )
        .await;
        let body = made.json(201);
        let id = body["instance_id"].as_str().unwrap();
        assert_eq!(
            (id.len(), id.as_bytes()[14]),
            (36, b'4'),
            "a random UUID: {id}"
        );
        assert_eq!(
            made.header("location"),
            Some(format!("{prefix}/instances/{id}").as_str())
        );
        assert_eq!(
            (&body["success"], &body["message"]),
            (&json!(true), &json!(format!("{name} was saved.")))
        );
        let there = bare(&manager, "GET", made.header("location").unwrap())
            .await
            .json(200);
        assert_eq!((&there["id"], &there["name"]), (&json!(id), &json!(name)));
    }
    assert_eq!(names(&manager).await, ["barn", "garage"], "oldest first");
}

#[tokio::test]
async fn one_at_rest_says_what_it_is_and_nothing_of_a_process() {
    let (manager, config) = with_config().await;
    let wishes = json!({
        "name": "barn", "config_id": config, "autostart": true, "restart_policy": "always", "client_version": "0.6.0",
    });
    send(&manager, "POST", "/api/instances", &wishes)
        .await
        .json(201);
    let list = bare(&manager, "GET", "/api/instances").await.json(200);
    let one = &list["instances"][0];
    for (member, value) in [
        ("name", json!("barn")),
        ("status", json!("stopped")),
        ("running", json!(false)),
        ("config_id", json!(config)),
        ("restarts", json!(0)),
        ("autostart", json!(true)),
        ("restart_policy", json!("always")),
        ("client_version", json!("0.6.0")),
    ] {
        assert_eq!(one[member], value, "{member} of {one}");
    }
    let made: jiff::Timestamp = one["created_at"].as_str().unwrap().parse().unwrap();
    assert!(
        (jiff::Timestamp::now().as_second() - made.as_second()).abs() < 60,
        "{one}"
    );
    for absent in ["pid", "uptime", "startTime", "started_at", "exit"] {
        assert!(one.get(absent).is_none(), "{absent} of {one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_runs_shows_its_process() {
    let (manager, config) = with_config().await;
    let id = manager.instance_of("barn", &config).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let list = bare(&manager, "GET", "/api/instances").await.json(200);
    let one = &list["instances"][0];
    assert_eq!(
        (&one["status"], &one["running"]),
        (&json!("running"), &json!(true))
    );
    assert_eq!(
        one["pid"]
            .as_u64()
            .map(|pid| vec![u32::try_from(pid).unwrap()]),
        Some(manager.clients(&id))
    );
    let saved = manager.json(&format!("/api/saved-configs/{config}")).await;
    assert_eq!(
        one["port"].as_u64().unwrap().to_string(),
        saved["config"]["listening_address"]
            .as_str()
            .unwrap()
            .rsplit_once(':')
            .unwrap()
            .1
    );
    assert!(
        one["uptime"].as_u64().is_some_and(|seconds| seconds < 60),
        "whole seconds: {one}"
    );
    let started: jiff::Timestamp = one["started_at"].as_str().unwrap().parse().unwrap();
    assert!(
        (one["startTime"].as_i64().unwrap() - started.as_millisecond()).abs() < 2000,
        "milliseconds since 1970: {one}"
    );
}

#[tokio::test]
async fn a_name_can_be_had_once_whatever_its_case() {
    let (manager, config) = with_config().await;
    manager.instance_of("Barn", &config).await;
    for name in ["Barn", "barn", " BARN "] {
        let refused = send(
            &manager,
            "POST",
            "/api/instances",
            &json!({ "name": name, "config_id": config }),
        )
        .await;
        assert!(
            refused.problem(409)["detail"]
                .as_str()
                .unwrap()
                .contains("already exists. Choose another name."),
            "{name}"
        );
    }
    let page = form(
        &manager,
        "/instances",
        &[("name", "barn"), ("config_id", &config)],
    )
    .await
    .page(409);
    assert_eq!(page.attr("input#name", "value"), "barn");
    assert!(page.one("p#name-error").contains("already"));
    assert_eq!(names(&manager).await, ["Barn"]);
}

#[tokio::test]
async fn every_wrong_member_is_named_and_nothing_is_saved() {
    let (manager, config) = with_config().await;
    for (body, pointers) in [
        (json!({}), vec!["/name", "/config_id"]),
        (
            json!({ "name": null, "config_id": null }),
            vec!["/name", "/config_id"],
        ),
        (json!({ "name": 7, "config_id": config }), vec!["/name"]),
        (json!({ "name": " ", "config_id": config }), vec!["/name"]),
        (
            json!({ "name": "x".repeat(65), "config_id": config }),
            vec!["/name"],
        ),
        (
            json!({ "name": "a\u{0}b", "config_id": config }),
            vec!["/name"],
        ),
        (
            json!({ "name": "a\u{202e}b", "config_id": config }),
            vec!["/name"],
        ),
        (
            json!({ "name": ["barn"], "config_id": { "id": config } }),
            vec!["/name", "/config_id"],
        ),
        (
            json!({ "name": "barn", "config_id": "no id" }),
            vec!["/config_id"],
        ),
        (
            json!({ "name": "barn", "config_id": NOBODY }),
            vec!["/config_id"],
        ),
        (
            json!({ "name": "barn", "config_id": config, "autostart": "perhaps" }),
            vec!["/autostart"],
        ),
        (
            json!({ "name": "barn", "config_id": config, "autostart": 1 }),
            vec!["/autostart"],
        ),
        (
            json!({ "name": "barn", "config_id": config, "restart_policy": "sometimes" }),
            vec!["/restart_policy"],
        ),
        (
            json!({ "name": "barn", "config_id": config, "client_version": "../../x" }),
            vec!["/client_version"],
        ),
        (
            json!({ "name": "barn", "config_id": config, "client_version": ".." }),
            vec!["/client_version"],
        ),
        (json!(["barn"]), vec![""]),
        (json!("barn"), vec![""]),
        (json!(null), vec![""]),
    ] {
        let refused = send(&manager, "POST", "/api/instances", &body).await;
        assert_eq!(refused.pointers(), pointers, "{body}");
    }
    assert_eq!(names(&manager).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_by_what_is_wrong_with_it() {
    let (manager, config) = with_config().await;
    let good = json!({ "name": "barn", "config_id": config }).to_string();
    let post = |kind: Option<&str>, body: String| {
        let request = manager.request("POST", "/api/instances").body(body);
        Answer::to(match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        })
    };
    for broken in [
        "",
        "{",
        "{\"name\": \"barn\"",
        "name=barn",
        "\u{feff}{}",
        "[1,]",
    ] {
        post(Some("application/json"), broken.into())
            .await
            .problem(400);
    }
    // Nested deeper than any reader should follow.
    post(Some("application/json"), "[".repeat(100_000))
        .await
        .problem(400);
    for kind in [
        None,
        Some("text/plain"),
        Some("application/xml"),
        Some("multipart/form-data; boundary=x"),
        Some("json"),
        Some("application/jsonx"),
    ] {
        let said = post(kind, good.clone()).await.problem(415);
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("application/json"),
            "{kind:?}: {said}"
        );
    }
    let invalid = manager
        .request("POST", "/api/instances")
        .header("content-type", "application/json")
        .body(b"{\"name\": \"\xff\"}".to_vec());
    Answer::to(invalid).await.problem(400);
    assert_eq!(names(&manager).await, Vec::<String>::new());
    post(Some("Application/JSON; charset=utf-8"), good)
        .await
        .json(201);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_however_it_is_sent() {
    let (manager, config) = with_config().await;
    let at_limit = |bytes: usize| {
        let mut body = json!({ "name": "barn", "config_id": config }).to_string();
        body.push_str(&" ".repeat(bytes - body.len()));
        body
    };
    let post = || {
        manager
            .request("POST", "/api/instances")
            .header("content-type", "application/json")
    };
    Answer::to(post().body(at_limit(TOO_LARGE)))
        .await
        .problem(413);
    // Without a length beforehand.
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = at_limit(TOO_LARGE)
        .into_bytes()
        .chunks(65_536)
        .map(|piece| Ok(piece.to_vec()))
        .collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    Answer::to(post().body(body)).await.problem(413);
    let form = manager
        .request("POST", "/instances")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html");
    let page = Answer::to(form.body(format!("name={}", "x".repeat(TOO_LARGE))))
        .await
        .page(413);
    assert!(
        page.one("main section.attention p:first-child")
            .contains("1 MiB")
    );
    assert_eq!(names(&manager).await, Vec::<String>::new());
    Answer::to(post().body(at_limit(TOO_LARGE - 1)))
        .await
        .json(201);
}

#[tokio::test]
async fn what_nobody_accepts_is_refused_before_anything_is_done() {
    let (manager, config) = with_config().await;
    for accept in [
        "image/png",
        "application/xml, text/css",
        "application/json;q=0",
        "application/problem+json",
        "text/event-stream",
    ] {
        let request = manager
            .request("POST", "/api/instances")
            .header("accept", accept);
        Answer::to(request.json(&json!({ "name": "barn", "config_id": config })))
            .await
            .problem(406);
        // The media type of the body does not come first either.
        let request = manager
            .request("POST", "/api/instances")
            .header("accept", accept)
            .header("content-type", "text/plain");
        Answer::to(request.body("x")).await.problem(406);
    }
    assert_eq!(names(&manager).await, Vec::<String>::new());
}

#[tokio::test]
async fn other_methods_are_refused_with_those_it_takes() {
    let manager = Manager::start().await;
    for (path, methods) in [
        ("/", vec!["GET", "HEAD"]),
        ("/api", vec!["GET", "HEAD"]),
        ("/instances", vec!["GET", "HEAD", "POST"]),
        ("/api/instances", vec!["GET", "HEAD", "POST"]),
        ("/instances/new", vec!["GET", "HEAD"]),
    ] {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let refused = bare(&manager, method, path).await;
            refused.problem(405);
            assert_eq!(refused.allow(), methods, "{method} {path}");
        }
    }
    let page = Answer::to(
        manager
            .request("DELETE", "/instances")
            .header("accept", "text/html"),
    )
    .await;
    assert_eq!(
        page.page(405).one("h1"),
        "This address does not work in a browser"
    );
}

#[tokio::test]
async fn a_collection_takes_limit_and_offset() {
    let (manager, config) = with_config().await;
    for name in ["a", "b", "c", "d"] {
        manager.instance_of(name, &config).await;
    }
    let part = bare(&manager, "GET", "/api/instances?limit=2&offset=1")
        .await
        .json(200);
    let names: Vec<&Value> = part["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["name"])
        .collect();
    assert_eq!(names, ["b", "c"]);
    for (query, pointers) in [
        ("limit=0", vec!["/limit"]),
        ("limit=1001", vec!["/limit"]),
        ("limit=all", vec!["/limit"]),
        ("offset=-1", vec!["/offset"]),
        ("limit=x&offset=y", vec!["/limit", "/offset"]),
    ] {
        assert_eq!(
            bare(&manager, "GET", &format!("/api/instances?{query}"))
                .await
                .pointers(),
            pointers,
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_page_lists_them_with_what_can_be_done() {
    let (manager, config) = with_config().await;
    let empty = manager.ask("/", "text/html").await.page(200);
    assert_eq!(empty.one("h1"), "No instances yet");
    assert!(
        empty
            .attrs("main a", "href")
            .contains(&"/instances/new".to_owned())
    );
    let id = manager.instance_of("barn", &config).await;
    for path in ["/", "/instances"] {
        let page = manager.ask(path, "text/html").await.page(200);
        assert_eq!(page.one("nav a[aria-current=page]"), "Instances");
        let row = format!("tr[id='i-{id}']");
        assert_eq!(page.one(&format!("{row} td:first-child a")), "barn");
        assert_eq!(
            page.attr(&format!("{row} td:first-child a"), "href"),
            format!("/instances/{id}")
        );
        assert_eq!(page.one(&format!("{row} .state.stopped")), "stopped");
        assert_eq!(
            page.attr(&format!("{row} form"), "action"),
            format!("/instances/{id}/start")
        );
        assert_eq!(
            page.attr(&format!("{row} form input[name=next]"), "value"),
            "/instances"
        );
        assert_eq!(page.one(&format!("{row} form button")), "Start");
        assert_eq!(
            page.attr("[hx-sse\\:connect]", "hx-sse:connect"),
            "/instances"
        );
    }
}

#[tokio::test]
async fn htmx_gets_the_part_it_asks_for_and_a_whole_page_where_it_wants_one() {
    let (manager, config) = with_config().await;
    let id = manager.instance_of("barn", &config).await;
    let table = manager
        .fragment("/instances", "div#table")
        .await
        .fragment(200);
    assert_eq!(
        (
            table.count("div#table"),
            table.count("nav"),
            table.count(&format!("tr[id='i-{id}']"))
        ),
        (1, 0, 1)
    );
    let main = manager
        .fragment("/instances", "main#main")
        .await
        .fragment(200);
    assert_eq!((main.count("div#table"), main.count("nav")), (1, 0));
    for header in [
        ("hx-boosted", "true"),
        ("hx-history-restore-request", "true"),
        ("hx-request-type", "full"),
    ] {
        let request = manager
            .request("GET", "/instances")
            .header("accept", "text/html")
            .header("hx-request", "true");
        Answer::to(request.header(header.0, header.1))
            .await
            .page(200);
    }
}

#[tokio::test]
async fn the_form_offers_the_saved_configurations() {
    let (manager, config) = with_config().await;
    let other = manager
        .save_config("other", &solo_config(free_port(), free_port(), 1))
        .await;
    let page = manager.ask("/instances/new", "text/html").await.page(200);
    assert_eq!(page.attr("main form", "action"), "/instances");
    assert_eq!(page.texts("select#config_id option"), ["other", "solo"]);
    assert_eq!(page.texts("select#restart_policy option").len(), 3);
    for chosen in [&config, &other] {
        let page = manager
            .ask(&format!("/instances/new?config={chosen}"), "text/html")
            .await
            .page(200);
        assert_eq!(
            &page.attr("select#config_id option[selected]", "value"),
            chosen
        );
    }
    let without = Manager::start().await;
    assert!(
        without
            .ask("/instances/new", "text/html")
            .await
            .page(200)
            .attrs("main a", "href")
            .contains(&"/saved-configs/new".to_owned())
    );
}

#[tokio::test]
async fn a_plain_form_goes_on_to_the_new_instance_or_comes_back_with_what_was_typed() {
    let (manager, config) = with_config().await;
    let made = form(
        &manager,
        "/instances",
        &[
            ("name", "barn"),
            ("config_id", &config),
            ("autostart", "on"),
            ("restart_policy", "never"),
        ],
    )
    .await;
    assert_eq!(made.status, 303);
    let id = made
        .header("location")
        .unwrap()
        .strip_prefix("/instances/")
        .unwrap();
    let saved = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(
        (&saved["autostart"], &saved["restart_policy"]),
        (&json!(true), &json!("never"))
    );

    let fields = [
        ("name", "x\u{7f}y<b>"),
        ("config_id", config.as_str()),
        ("autostart", "on"),
        ("restart_policy", "always"),
    ];
    let page = form(&manager, "/instances", &fields).await.page(422);
    // A character that nobody sees is shown by its number.
    assert_eq!(page.attr("input#name", "value"), "x[U+007F]y<b>");
    assert_eq!(page.attr("input#name", "aria-invalid"), "true");
    assert_eq!(page.attr("input#name", "aria-describedby"), "name-error");
    assert!(page.one("p#name-error").contains("control characters"));
    assert_eq!(
        page.attr("select#restart_policy option[selected]", "value"),
        "always"
    );
    assert_eq!(page.count("input#autostart[checked]"), 1);
    assert_eq!(page.attr("section.attention a", "href"), "#name");

    let page = form(
        &manager,
        "/instances",
        &[
            ("name", "garage"),
            ("config_id", NOBODY),
            ("restart_policy", "on-failure"),
        ],
    )
    .await
    .page(422);
    assert_eq!(page.count("select#config_id[aria-invalid=true]"), 1);
    assert_eq!(names(&manager).await, ["barn"]);
}

#[tokio::test]
async fn htmx_is_sent_to_the_new_instance_or_gets_the_form_back() {
    let (manager, config) = with_config().await;
    let made = swap(
        &manager,
        "/instances",
        "main#main",
        &[("name", "barn"), ("config_id", &config)],
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    assert!(
        made.header("hx-redirect")
            .is_some_and(|to| to.starts_with("/instances/")),
        "{made:?}"
    );
    let again = swap(
        &manager,
        "/instances",
        "main#main",
        &[("name", "barn"), ("config_id", &config)],
    )
    .await;
    assert!(
        again.header("hx-retarget").is_none(),
        "the form itself says it"
    );
    assert_eq!(again.fragment(409).attr("input#name", "value"), "barn");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_changes_as_json_and_pages_the_parts_that_changed() {
    let (manager, config) = with_config().await;
    let id = manager.instance_of("barn", &config).await;
    let mut program = EventStream::open(manager.request("GET", "/api/instances")).await;
    let mut page = EventStream::open(
        manager
            .request("GET", "/instances")
            .header("hx-request", "true"),
    )
    .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let heard = program
        .until(|heard| heard.event == "instance" && heard.json()["status"] == "running")
        .await
        .json();
    assert_eq!((&heard["id"], heard["pid"].is_u64()), (&json!(id), true));
    let heard = page
        .until(|heard| heard.data.contains("state running"))
        .await;
    assert!(
        heard.event.is_empty(),
        "htmx swaps unnamed events: {heard:?}"
    );
    assert!(
        heard.data.starts_with("<hx-partial hx-target=\"#summary\"")
            && [format!("#i-{id}"), "#table".to_owned()]
                .iter()
                .any(|part| heard.data.contains(&format!("hx-target=\"{part}\""))),
        "{heard:?}"
    );
    assert_eq!(
        manager
            .delete(&format!("/api/instances/{id}"))
            .await
            .status(),
        200
    );
    program.until(|heard| heard.event == "list").await;
    page.until(|heard| heard.data.contains("No instances yet"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_action_on_many_has_a_result_for_each() {
    let (manager, config) = with_config().await;
    let other = manager
        .save_config("other", &solo_config(free_port(), free_port(), 1))
        .await;
    let (barn, shed) = (
        manager.instance_of("barn", &config).await,
        manager.instance_of("shed", &other).await,
    );
    let act = async |body: Value| act_on_many(&manager, &body).await;
    for (body, pointers) in [
        (json!({}), vec!["/action", "/ids"]),
        (json!({ "action": "explode", "all": true }), vec!["/action"]),
        (json!({ "action": "start" }), vec!["/ids"]),
        (json!({ "action": "start", "ids": [] }), vec!["/ids"]),
        (json!({ "action": "start", "ids": "all" }), vec!["/ids/0"]),
        (
            json!({ "action": "start", "ids": [barn, 7, "x"] }),
            vec!["/ids/1", "/ids/2"],
        ),
        (json!({ "action": "start", "all": "perhaps" }), vec!["/ids"]),
        (json!([]), vec!["/action", "/ids"]),
    ] {
        assert_eq!(act(body.clone()).await.pointers(), pointers, "{body}");
    }
    let refused = bare(&manager, "GET", "/api/instances/actions").await;
    assert!([404, 405].contains(&refused.status), "{refused:?}");
    let unread = manager
        .request("POST", "/api/instances/actions")
        .header("content-type", "text/plain")
        .body("start");
    Answer::to(unread).await.problem(415);
    assert!(manager.clients(&barn).is_empty() && manager.clients(&shed).is_empty());

    let started = act(json!({ "action": "start", "ids": [barn, NOBODY, shed] }))
        .await
        .json(200);
    assert_eq!(started["success"], false, "{started}");
    let results = started["results"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> = results
        .iter()
        .map(|one| (&one["id"], &one["success"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!(barn), &json!(true)),
            (&json!(NOBODY), &json!(false)),
            (&json!(shed), &json!(true))
        ]
    );
    assert!(
        results[1]["message"]
            .as_str()
            .unwrap()
            .contains("there is no instance"),
        "{started}"
    );
    manager.until_state(&barn, "running").await;
    manager.until_state(&shed, "running").await;

    let page = form_on_many(&manager, &[("action", "start"), ("ids", &barn)]).await;
    assert!(
        page.page(page.status)
            .one("main")
            .contains("already running"),
        "{page:?}"
    );
    // A restart starts nothing that is stopped, and says so.
    act(json!({ "action": "stop", "ids": [shed] }))
        .await
        .json(200);
    let before = manager.json(&format!("/api/instances/{barn}")).await["pid"].clone();
    for body in [
        json!({ "action": "restart", "all": true }),
        json!({ "action": "restart", "ids": [barn, shed] }),
    ] {
        let restarted = act(body).await.json(200);
        assert_eq!(restarted["success"], true, "{restarted}");
        let of = |id: &str| {
            restarted["results"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["id"] == id)
                .unwrap()
                .clone()
        };
        assert_eq!(
            (of(&barn)["success"].clone(), of(&barn).get("skipped")),
            (json!(true), None),
            "{restarted}"
        );
        let skipped = of(&shed);
        assert_eq!(
            (&skipped["success"], &skipped["skipped"], &skipped["status"]),
            (&json!(true), &json!(true), &json!("stopped"))
        );
        assert_eq!(skipped["message"], "shed is stopped and was not restarted.");
        manager.until_state(&barn, "running").await;
        assert!(manager.clients(&shed).is_empty());
    }
    assert_ne!(
        manager.json(&format!("/api/instances/{barn}")).await["pid"],
        before
    );
    let page = form_on_many(
        &manager,
        &[("action", "restart"), ("ids", &barn), ("ids", &shed)],
    )
    .await
    .page(200);
    assert_eq!(page.one("h1"), "Restart: 1 of 2 done");
    assert_eq!(page.one(".head .sub"), "Skipped: 1.");
    manager.until_state(&barn, "running").await;
    // Asked for one alone, a restart starts it.
    assert_eq!(
        bare(&manager, "POST", &format!("/api/instances/{shed}/restart"))
            .await
            .json(200)["success"],
        true
    );
    manager.until_state(&shed, "running").await;

    let stopped = act(json!({ "action": "stop", "all": true }))
        .await
        .json(200);
    assert_eq!(
        (
            &stopped["success"],
            stopped["results"].as_array().unwrap().len()
        ),
        (&json!(true), 2)
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{barn}")).await["status"],
        "stopped"
    );
}
