//! `/instances/{id}` and the paths below it: settings, start, stop, restart and delete.

use super::{NOBODY, TOO_LARGE, bare, form, send, swap};
use crate::harness::answer::Answer;
use crate::harness::{Manager, PUBLIC_KEY, Plan, free_port, solo_config};
use serde_json::json;

/// What can be asked of one instance: method and the rest of the path.
const ASKED: [(&str, &str); 17] = [
    ("GET", ""),
    ("PATCH", ""),
    ("POST", ""),
    ("DELETE", ""),
    ("GET", "/settings"),
    ("POST", "/start"),
    ("POST", "/stop"),
    ("POST", "/restart"),
    ("GET", "/delete"),
    ("POST", "/delete"),
    ("GET", "/events"),
    ("GET", "/logs"),
    ("GET", "/logs?count=5"),
    ("GET", "/log.txt"),
    ("GET", "/address.svg"),
    ("HEAD", ""),
    ("HEAD", "/logs"),
];

async fn one() -> (Manager, String, String) {
    let manager = Manager::start().await;
    let config = manager
        .save_config("solo", &solo_config(free_port(), free_port(), 1))
        .await;
    let id = manager.instance_of("barn", &config).await;
    (manager, config, id)
}

#[tokio::test]
async fn an_unknown_id_is_not_found_in_every_form() {
    let manager = Manager::start().await;
    for (method, rest) in ASKED {
        for id in [NOBODY, "7", "barn", "%00", "x%2Fy"] {
            let path = format!("/instances/{id}{rest}");
            let asked = |prefix: &str, accept: &str| {
                let request = manager
                    .request(method, &format!("{prefix}{path}"))
                    .header("accept", accept);
                Answer::to(if method == "PATCH" || (method, rest) == ("POST", "") {
                    request.json(&json!({ "name": "x" }))
                } else {
                    request
                })
            };
            if method == "HEAD" {
                let head = asked("/api", "*/*").await;
                assert_eq!((head.status, head.text.as_str()), (404, ""), "{path}");
                continue;
            }
            asked("/api", "*/*").await.problem(404);
            asked("", "application/json").await.problem(404);
            asked("", "text/html").await.page(404);
            // Only its own words, never those of a database or framework.
            assert!(!asked("/api", "*/*").await.text.contains("Invalid URL"));
        }
    }
    let request = manager
        .request("POST", &format!("/instances/{NOBODY}/start"))
        .header("hx-request", "true")
        .header("accept", "text/html");
    assert!(
        Answer::to(request)
            .await
            .notice(404)
            .one("p:first-child")
            .contains(NOBODY)
    );
    // A stream is refused as well, not opened and left silent.
    manager
        .ask(
            &format!("/api/instances/{NOBODY}/logs"),
            "text/event-stream",
        )
        .await
        .problem(404);
}

#[tokio::test]
async fn it_is_the_same_as_in_the_list() {
    let (manager, _, id) = one().await;
    let list = manager.json("/api/instances").await;
    let mut one = bare(&manager, "GET", &format!("/api/instances/{id}"))
        .await
        .json(200);
    for only_here in ["config_doubts", "addresses"] {
        assert!(
            one.as_object_mut().unwrap().remove(only_here).is_some(),
            "the list has no {only_here}"
        );
    }
    assert_eq!(one, list["instances"][0]);
    // Ids are taken in either case.
    assert_eq!(
        bare(
            &manager,
            "GET",
            &format!("/api/instances/{}", id.to_uppercase())
        )
        .await
        .json(200)["id"],
        json!(id)
    );
}

#[tokio::test]
async fn its_page_opens_on_an_overview_and_has_a_tab_for_everything_else() {
    let (manager, _, id) = one().await;
    let page = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(page.one("#status h1"), "barn");
    assert_eq!(page.one("#status .state.stopped"), "stopped");
    assert_eq!(page.one("nav.tabs a[aria-current=page]"), "Overview");
    let tabs = page.texts("nav.tabs a");
    let expected = [
        "Overview",
        "Log",
        "Miners",
        "Metrics",
        "Health",
        "Events",
        "Configuration",
        "Settings",
    ];
    assert_eq!(tabs, expected);
    for (address, tab) in page.attrs("nav.tabs a", "href").iter().zip(expected) {
        let other = manager.ask(address, "text/html").await.page(200);
        assert_eq!(other.one("nav.tabs a[aria-current=page]"), tab, "{address}");
    }
    assert_eq!(
        page.texts(".numbers dt"),
        [
            "Hashrate (10 min)",
            "Accepted shares (24 h)",
            "Miners",
            "Uptime"
        ]
    );
    assert!(page.one("#hashrate").contains("No data."));
    assert!(page.one("#miners").contains("No miners yet."));
    let here = format!("/instances/{id}");
    for target in ["div#numbers", "section#hashrate", "section#miners"] {
        let block = target.split_once('#').unwrap().1;
        let part = manager.fragment(&here, target).await.fragment(200);
        assert_eq!((part.count(&format!("#{block}")), part.count("h1")), (1, 0));
    }
    assert_eq!(
        page.attr("#status form", "action"),
        format!("/instances/{id}/start")
    );
    let log = manager
        .ask(&format!("/instances/{id}/logs"), "text/html")
        .await
        .page(200);
    assert!(
        log.attr("#log-stream", "hx-sse:connect")
            .starts_with(&format!("/instances/{id}/logs?after="))
    );
    assert!(
        page.one("#miner-address-v2 .miner-url")
            .starts_with("stratum2+tcp://127.0.0.1:")
    );
    let first = page
        .texts("main > *")
        .into_iter()
        .take(3)
        .collect::<Vec<_>>();
    assert!(
        first[2].starts_with("Stratum V2 miners:"),
        "it is at the top of the page: {first:?}"
    );
    let fragment = manager
        .fragment(&format!("/instances/{id}"), "main#main")
        .await
        .fragment(200);
    assert_eq!(
        (
            fragment.one("#status h1"),
            fragment.count("nav[aria-label=Main]")
        ),
        ("barn".to_owned(), 0)
    );
}

#[tokio::test]
async fn what_to_enter_in_miners_is_the_same_on_every_page_and_in_the_api() {
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec!["--advertised-host".into(), "farm.example.org".into()],
    })
    .await;
    let (v2_port, v1_port) = (free_port(), free_port());
    let mut config = solo_config(v2_port, free_port(), 1);
    config["listening_address"] = json!(format!("0.0.0.0:{v2_port}"));
    config["translator"] =
        json!({ "enabled": true, "listening_address": format!("127.0.0.1:{v1_port}") });
    let config = manager.save_config("farm", &config).await;
    let id = manager.instance_of("farm", &config).await;
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    let addresses = instance["addresses"].as_array().unwrap();
    let (first, last) = (&addresses[0], addresses.last().unwrap());
    let v2 = format!("stratum2+tcp://farm.example.org:{v2_port}/{PUBLIC_KEY}");
    let v1 = format!("stratum+tcp://127.0.0.1:{v1_port}");
    assert_eq!(
        *first,
        json!({ "protocol": "v2", "url": v2, "host": "farm.example.org", "port": v2_port, "key": PUBLIC_KEY, "user": "miner1" })
    );
    assert_eq!(
        *last,
        json!({ "protocol": "v1", "url": v1, "host": "127.0.0.1", "port": v1_port, "user": "miner1" })
    );

    let page = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    let list = manager.ask("/", "text/html").await.page(200);
    for (protocol, url) in [("v2", &v2), ("v1", &v1)] {
        let section = format!("#miner-address-{protocol}");
        assert_eq!(&page.one(&format!("{section} .miner-url")), url);
        assert!(list.texts("#addresses .miner-url").contains(url), "{url}");
        assert_eq!(
            page.attr(&format!("{section} details details img"), "src"),
            format!("/instances/{id}/address.svg?protocol={protocol}")
        );
        let image = manager
            .get(&format!("/instances/{id}/address.svg?protocol={protocol}"))
            .await;
        assert_eq!(
            (image.status().as_u16(), &image.headers()["content-type"]),
            (200, &"image/svg+xml".parse().unwrap())
        );
        assert!(image.text().await.unwrap().starts_with("<svg"));
    }
    assert_eq!(
        page.one("#miner-address-v2 .miner-host"),
        "farm.example.org"
    );
    assert_eq!(page.one("#miner-address-v2 .miner-key"), PUBLIC_KEY);
    assert_eq!(
        page.one("#miner-address-v1 .miner-port"),
        v1_port.to_string()
    );
    assert_eq!(page.one("#miner-address-v1 .miner-password"), "x");
    assert!(
        page.one("#miner-address-v1")
            .contains("Only miners on this machine can connect.")
    );
    manager
        .ask(
            &format!("/api/instances/{id}/address.svg?protocol=v3"),
            "*/*",
        )
        .await
        .problem(422);
}

#[tokio::test]
async fn the_port_of_stratum_v1_is_shown_with_its_risk_and_only_if_there_is_one() {
    let (manager, config, id) = one().await;
    let page = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("#miner-address-v1"), 0);
    let missing = manager
        .ask(
            &format!("/api/instances/{id}/address.svg?protocol=v1"),
            "*/*",
        )
        .await
        .problem(404);
    assert!(
        missing["detail"]
            .as_str()
            .unwrap()
            .contains("port for Stratum V1 miners of barn"),
        "{missing}"
    );
    let mut settings = solo_config(free_port(), free_port(), 1);
    settings["translator"] =
        json!({ "enabled": true, "listening_address": format!("0.0.0.0:{}", free_port()) });
    manager
        .put_json(
            &format!("/api/saved-configs/{config}"),
            &json!({ "name": "solo", "config": settings }),
        )
        .await;
    let page = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    let said = page.one("#miner-address-v1");
    for words in ["no password and no encryption", "Any name", "Anything."] {
        // Without a network, only this machine can connect, so there is no risk.
        assert!(
            said.contains(words) || said.contains("Only miners on this machine"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_mentions_and_nothing_else() {
    let (manager, _, id) = one().await;
    let path = format!("/api/instances/{id}");
    let other = manager
        .save_config("other", &solo_config(free_port(), free_port(), 1))
        .await;
    for (change, member, value) in [
        (json!({ "name": "shed" }), "name", json!("shed")),
        (json!({ "config_id": other }), "config_id", json!(other)),
        (
            json!({ "restart_policy": "never" }),
            "restart_policy",
            json!("never"),
        ),
        (json!({ "autostart": true }), "autostart", json!(true)),
        (
            json!({ "client_version": "0.5.0" }),
            "client_version",
            json!("0.5.0"),
        ),
        (
            json!({ "client_version": null }),
            "client_version",
            json!(null),
        ),
        (json!({}), "name", json!("shed")),
    ] {
        let mut before = manager.json(&path).await;
        let body = send(&manager, "PATCH", &path, &change).await.json(200);
        assert_eq!(
            (&body["success"], &body["message"]),
            (&json!(true), &json!("shed was saved.")),
            "{change}"
        );
        let after = manager.json(&path).await;
        assert_eq!(after[member], value, "{change}");
        before[member] = value;
        if member == "config_id" {
            before["config_name"] = json!("other");
            // The other configuration has another port.
            before["addresses"] = after["addresses"].clone();
        }
        let mut after = after;
        after
            .as_object_mut()
            .unwrap()
            .entry("client_version")
            .or_insert(json!(null));
        before
            .as_object_mut()
            .unwrap()
            .entry("client_version")
            .or_insert(json!(null));
        // It is looked at meanwhile, whatever is changed.
        for one in [&mut after, &mut before] {
            one.as_object_mut().unwrap().remove("health");
        }
        assert_eq!(after, before, "{change}");
    }
    // A form's POST to the same place says the same in JSON.
    send(&manager, "POST", &path, &json!({ "name": "hut" }))
        .await
        .json(200);
    assert_eq!(manager.json(&path).await["name"], "hut");
}

#[tokio::test]
async fn a_patch_with_anything_wrong_changes_nothing() {
    let (manager, config, id) = one().await;
    manager.instance_of("garage", &config).await;
    let path = format!("/api/instances/{id}");
    let mut before = manager.json(&path).await;
    for (change, pointers) in [
        (
            json!({ "name": "shed", "restart_policy": "sometimes", "autostart": 3 }),
            vec!["/autostart", "/restart_policy"],
        ),
        (json!({ "name": "a\nb" }), vec!["/name"]),
        (json!({ "name": "" }), vec!["/name"]),
        (
            json!({ "config_id": NOBODY, "name": "shed" }),
            vec!["/config_id"],
        ),
        (json!({ "config_id": "" }), vec!["/config_id"]),
        (json!({ "restart_policy": "" }), vec!["/restart_policy"]),
        (
            json!({ "client_version": "0.6.0/../../x" }),
            vec!["/client_version"],
        ),
        (json!([]), vec![""]),
    ] {
        let refused = send(&manager, "PATCH", &path, &change).await;
        let mut found = refused.pointers();
        found.sort();
        assert_eq!(found, pointers, "{change}");
    }
    send(
        &manager,
        "PATCH",
        &path,
        &json!({ "name": "GARAGE", "autostart": true }),
    )
    .await
    .problem(409);
    let patch = |kind: &'static str, body: &'static str| {
        Answer::to(
            manager
                .request("PATCH", &path)
                .header("content-type", kind)
                .body(body),
        )
    };
    patch("application/json", "{").await.problem(400);
    patch("text/plain", "{\"name\": \"shed\"}")
        .await
        .problem(415);
    let request = manager
        .request("PATCH", &path)
        .header("accept", "image/png")
        .json(&json!({ "name": "shed" }));
    Answer::to(request).await.problem(406);
    let request = manager
        .request("PATCH", &path)
        .header("content-type", "application/json")
        .body(" ".repeat(TOO_LARGE));
    Answer::to(request).await.problem(413);
    // Its health is checked meanwhile, whatever is sent.
    let mut after = manager.json(&path).await;
    for one in [&mut after, &mut before] {
        one.as_object_mut().unwrap().remove("health");
    }
    assert_eq!(after, before);
    // Its own name in another case is no other's.
    send(&manager, "PATCH", &path, &json!({ "name": "BARN" }))
        .await
        .json(200);
}

#[tokio::test]
async fn the_settings_page_changes_it_and_comes_back_when_something_is_wrong() {
    let (manager, config, id) = one().await;
    manager.instance_of("garage", &config).await;
    let path = format!("/instances/{id}");
    let page = manager
        .ask(&format!("{path}/settings"), "text/html")
        .await
        .page(200);
    assert_eq!(page.attr("input#name", "value"), "barn");
    assert_eq!(page.attr("main form", "action"), path);
    assert_eq!(
        page.attr("select#restart_policy option[selected]", "value"),
        "on-failure"
    );
    assert_eq!(page.one("nav.tabs a[aria-current=page]"), "Settings");
    assert!(
        page.attrs("main a", "href")
            .contains(&format!("{path}/delete"))
    );

    let saved = form(
        &manager,
        &path,
        &[
            ("name", "shed"),
            ("config_id", &config),
            ("restart_policy", "always"),
            ("autostart", "on"),
        ],
    )
    .await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (303, Some(path.as_str()))
    );
    assert_eq!(
        manager.json(&format!("/api{path}")).await["autostart"],
        true
    );
    // An unticked box is not sent.
    form(
        &manager,
        &path,
        &[
            ("name", "shed"),
            ("config_id", &config),
            ("restart_policy", "always"),
        ],
    )
    .await;
    assert_eq!(
        manager.json(&format!("/api{path}")).await["autostart"],
        false
    );

    let taken = form(
        &manager,
        &path,
        &[
            ("name", "Garage"),
            ("config_id", &config),
            ("restart_policy", "never"),
        ],
    )
    .await
    .page(409);
    assert_eq!(taken.attr("input#name", "value"), "Garage");
    assert_eq!(taken.one("h1"), "shed");
    let wrong = form(
        &manager,
        &path,
        &[
            ("name", ""),
            ("config_id", &config),
            ("restart_policy", "never"),
        ],
    )
    .await
    .page(422);
    assert_eq!(wrong.attr("input#name", "aria-invalid"), "true");
    assert_eq!(manager.json(&format!("/api{path}")).await["name"], "shed");
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_answer_programs_browsers_and_htmx_in_their_own_ways() {
    let (manager, _, id) = one().await;
    let path = format!("/instances/{id}");
    let started = bare(&manager, "POST", &format!("{path}/start"))
        .await
        .json(200);
    assert_eq!(
        (
            &started["success"],
            started["pid"].is_u64(),
            started["message"].is_string()
        ),
        (&json!(true), true, true)
    );
    manager.until_state(&id, "running").await;

    let again = form(&manager, &format!("{path}/start"), &[])
        .await
        .page(409);
    assert!(
        again
            .one("main section.attention p:first-child")
            .contains("barn is already running")
    );
    assert_eq!(
        swap(&manager, &format!("{path}/start"), "div#status", &[])
            .await
            .notice(409)
            .one("p:first-child"),
        "barn is already running."
    );

    let stopped = form(&manager, &format!("{path}/stop"), &[("next", "/instances")]).await;
    assert_eq!(
        (stopped.status, stopped.header("location")),
        (303, Some("/instances"))
    );
    manager.until_state(&id, "stopped").await;
    bare(&manager, "POST", &format!("{path}/stop"))
        .await
        .problem(409);
    for elsewhere in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\r\nX-Evil: 1",
    ] {
        let restarted = form(&manager, &format!("{path}/restart"), &[("next", elsewhere)]).await;
        assert_eq!(
            (restarted.status, restarted.header("location")),
            (303, Some(path.as_str())),
            "{elsewhere:?}"
        );
        assert!(restarted.header("x-evil").is_none());
    }
    manager.until_state(&id, "running").await;

    let head = swap(&manager, &format!("{path}/restart"), "div#status", &[])
        .await
        .fragment(200);
    assert_eq!(
        (head.count("div#status"), head.one("h1")),
        (1, "barn".to_owned())
    );
    manager.until_state(&id, "running").await;
    let row = swap(
        &manager,
        &format!("{path}/stop"),
        &format!("tr#i-{id}"),
        &[],
    )
    .await
    .fragment(200);
    assert_eq!(row.count(&format!("tr[id='i-{id}']")), 1);
    manager.until_state(&id, "stopped").await;
}

#[tokio::test]
async fn an_action_that_is_refused_has_done_nothing() {
    let (manager, _, id) = one().await;
    let path = format!("/api/instances/{id}");
    for verb in ["start", "restart", "stop"] {
        let unacceptable = manager
            .request("POST", &format!("{path}/{verb}"))
            .header("accept", "image/png");
        Answer::to(unacceptable).await.problem(406);
        let huge = manager
            .request("POST", &format!("{path}/{verb}"))
            .body("x".repeat(TOO_LARGE));
        Answer::to(huge).await.problem(413);
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let refused = bare(&manager, method, &format!("{path}/{verb}")).await;
            refused.problem(405);
            assert_eq!(refused.allow(), ["POST"], "{method} {verb}");
        }
    }
    Answer::to(
        manager
            .request("DELETE", &path)
            .header("accept", "image/png"),
    )
    .await
    .problem(406);
    for (rest, methods) in [
        ("", vec!["DELETE", "GET", "HEAD", "PATCH", "POST"]),
        ("/delete", vec!["GET", "HEAD", "POST"]),
        ("/settings", vec!["GET", "HEAD"]),
        ("/events", vec!["GET", "HEAD"]),
        ("/logs", vec!["GET", "HEAD"]),
        ("/log.txt", vec!["GET", "HEAD"]),
    ] {
        let refused = bare(&manager, "PUT", &format!("{path}{rest}")).await;
        refused.problem(405);
        assert_eq!(refused.allow(), methods, "{rest}");
    }
    assert_eq!(manager.json(&path).await["status"], "stopped");
    assert_eq!(manager.events(&id).await, Vec::<serde_json::Value>::new());
    assert!(manager.clients(&id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_work_says_so_in_each_form() {
    let (manager, _, id) = one().await;
    std::fs::remove_file(manager.scratch().join("client")).unwrap();
    let path = format!("/instances/{id}/start");
    assert!(
        bare(&manager, "POST", &path).await.problem(503)["detail"]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
    assert!(
        form(&manager, &path, &[])
            .await
            .page(503)
            .one("main section.attention p:first-child")
            .contains("does not exist")
    );
    assert!(
        swap(&manager, &path, "div#status", &[])
            .await
            .notice(503)
            .one("p:first-child")
            .contains("does not exist")
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["status"],
        "stopped"
    );
}

#[tokio::test]
async fn deleting_asks_first_where_people_do_it() {
    let (manager, config, id) = one().await;
    let path = format!("/instances/{id}");
    let page = manager
        .ask(&format!("{path}/delete"), "text/html")
        .await
        .page(200);
    assert_eq!(page.one("h1"), "Delete barn?");
    assert_eq!(page.attr("main form", "action"), format!("{path}/delete"));
    assert_eq!(
        manager.json(&format!("/api{path}")).await["id"],
        json!(id),
        "asking deletes nothing"
    );

    let gone = form(&manager, &format!("{path}/delete"), &[]).await;
    assert_eq!(
        (gone.status, gone.header("location")),
        (303, Some("/instances"))
    );
    form(&manager, &format!("{path}/delete"), &[])
        .await
        .page(404);

    let id = manager.instance_of("barn", &config).await;
    let gone = swap(
        &manager,
        &format!("/instances/{id}/delete"),
        "main#main",
        &[],
    )
    .await;
    assert_eq!(
        (gone.status, gone.header("hx-redirect")),
        (200, Some("/instances"))
    );
    let id = manager.instance_of("barn", &config).await;
    let gone = bare(&manager, "DELETE", &format!("/api/instances/{id}"))
        .await
        .json(200);
    assert_eq!(
        (
            &gone["success"],
            gone["message"].as_str().is_some_and(|m| m.contains("barn"))
        ),
        (&json!(true), true)
    );
    assert_eq!(
        manager.json("/api/instances").await,
        json!({ "instances": [], "total": 0 })
    );
}
