//! `/saved-configs` and everything below it.

use super::{NOBODY, TOO_LARGE, bare, form, send, swap};
use crate::harness::answer::Answer;
use crate::harness::{Manager, PUBLIC_KEY, SECRET_KEY, free_port, pool_config, solo_config};
use serde_json::{Value, json};

const MASK: &str = "********";

fn solo() -> Value {
    solo_config(free_port(), free_port(), 1)
}

/// The fields of the page's form for a solo configuration.
fn fields(name: &str) -> Vec<(String, String)> {
    let fields = [
        ("name", name),
        ("description", "two\r\nlines"),
        ("mode", "SOLOMINING"),
        ("listening_address", "127.0.0.1:34265"),
        ("max_supported_version", "2"),
        ("min_supported_version", "2"),
        ("authority_public_key", PUBLIC_KEY),
        ("authority_secret_key", SECRET_KEY),
        ("cert_validity_sec", "3600"),
        ("shares_per_minute", "6"),
        ("share_batch_size", "10"),
        ("jdc_signature", "barn"),
        (
            "coinbase_reward_script",
            "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft",
        ),
        ("template_provider", "sv2tp"),
        ("template_provider_type.Sv2Tp.address", "127.0.0.1:8442"),
        ("action", "save"),
    ];
    fields
        .map(|(field, text)| (field.to_owned(), text.to_owned()))
        .to_vec()
}

fn with<'f>(
    fields: &'f [(String, String)],
    changes: &[(&'f str, &'f str)],
) -> Vec<(&'f str, &'f str)> {
    let kept = fields
        .iter()
        .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.map(|(name, text)| (name.as_str(), text.as_str()))
        .chain(changes.iter().copied())
        .collect()
}

async fn names(manager: &Manager) -> Vec<String> {
    let list = manager.json("/api/saved-configs").await;
    list["configurations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn saving_one_answers_with_its_id_and_place() {
    let manager = Manager::start().await;
    assert_eq!(
        bare(&manager, "GET", "/api/saved-configs").await.json(200)["configurations"],
        json!([])
    );
    for (path, prefix, name) in [
        ("/api/saved-configs", "/api", "one"),
        ("/saved-configs", "", "two"),
    ] {
        let made = send(
            &manager,
            "POST",
            path,
            &json!({ "name": name, "description": "d", "config": solo() }),
        )
        .await;
        let body = made.json(201);
        let id = body["config_id"].as_str().unwrap();
        assert_eq!(
            (&body["success"], body["message"].is_string()),
            (&json!(true), true)
        );
        assert_eq!(
            made.header("location"),
            Some(format!("{prefix}/saved-configs/{id}").as_str())
        );
    }
    let list = bare(&manager, "GET", "/api/saved-configs").await.json(200);
    assert_eq!(names(&manager).await, ["two", "one"], "newest first");
    for one in list["configurations"].as_array().unwrap() {
        let config: Value = serde_json::from_str(one["config_json"].as_str().unwrap()).unwrap();
        assert_eq!(
            (
                &config["authority_secret_key"],
                &config["authority_public_key"]
            ),
            (&json!(MASK), &json!(PUBLIC_KEY))
        );
        assert_eq!(
            (&one["description"], &one["is_active"]),
            (&json!("d"), &json!(false))
        );
        for time in ["created_at", "updated_at"] {
            one[time]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap();
        }
    }
    let path = format!(
        "/api/saved-configs/{}",
        list["configurations"][0]["id"].as_str().unwrap()
    );
    let one = bare(&manager, "GET", &path).await.json(200);
    for member in [
        "id",
        "name",
        "description",
        "config_json",
        "is_active",
        "created_at",
        "updated_at",
    ] {
        assert_eq!(one[member], list["configurations"][0][member], "{member}");
    }
    assert_eq!(
        (
            &one["config"]["mode"],
            &one["config"]["authority_secret_key"]
        ),
        (&json!("SOLOMINING"), &json!(MASK))
    );
}

#[tokio::test]
async fn a_collection_takes_limit_and_offset() {
    let manager = Manager::start().await;
    for name in ["a", "b", "c", "d"] {
        manager.save_config(name, &solo()).await;
    }
    let part = bare(&manager, "GET", "/api/saved-configs?limit=2&offset=1")
        .await
        .json(200);
    let found: Vec<&Value> = part["configurations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(
        (found, &part["total"]),
        (vec![&json!("c"), &json!("b")], &json!(4))
    );
    let page = manager
        .ask("/saved-configs?limit=3", "text/html")
        .await
        .page(200);
    assert_eq!(page.count("tbody tr"), 3);
    let next = page
        .attrs("main a.button", "href")
        .into_iter()
        .find(|to| to.contains("offset=3"))
        .unwrap();
    assert_eq!(
        manager
            .ask(&next, "text/html")
            .await
            .page(200)
            .count("tbody tr"),
        1
    );
    for (query, pointers) in [
        ("limit=0", vec!["/limit"]),
        ("limit=1001", vec!["/limit"]),
        ("limit=some", vec!["/limit"]),
        ("offset=-1", vec!["/offset"]),
        ("offset=99999999999999999999", vec!["/offset"]),
        ("limit=x&offset=y", vec!["/limit", "/offset"]),
    ] {
        assert_eq!(
            bare(&manager, "GET", &format!("/api/saved-configs?{query}"))
                .await
                .pointers(),
            pointers,
            "{query}"
        );
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_saved() {
    let manager = Manager::start().await;
    for (change, pointers) in [
        (
            json!({ "/listening_address": "nowhere" }),
            vec!["/config/listening_address"],
        ),
        (
            json!({ "/listening_address": "127.0.0.1:70000", "/shares_per_minute": -1 }),
            vec!["/config/listening_address", "/config/shares_per_minute"],
        ),
        (json!({ "/mode": "GUESSWORK" }), vec!["/config/mode"]),
        (
            json!({ "/authority_secret_key": "short" }),
            vec!["/config/authority_secret_key"],
        ),
        (
            json!({ "/authority_public_key": "x" }),
            vec!["/config/authority_public_key"],
        ),
        (
            json!({ "/coinbase_reward_script": "addr(nobody)" }),
            vec!["/config/coinbase_reward_script"],
        ),
        (
            json!({ "/jdc_signature": "x".repeat(65) }),
            vec!["/config/jdc_signature"],
        ),
        (
            json!({ "/template_provider_type": {} }),
            vec!["/config/template_provider_type"],
        ),
        (
            json!({ "/cert_validity_sec": "soon" }),
            vec!["/config/cert_validity_sec"],
        ),
        (
            json!({ "/monitoring_address": 7 }),
            vec!["/config/monitoring_address"],
        ),
    ] {
        let mut config = solo();
        for (pointer, value) in change.as_object().unwrap() {
            *config.pointer_mut(pointer).unwrap() = value.clone();
        }
        let refused = send(
            &manager,
            "POST",
            "/api/saved-configs",
            &json!({ "name": "one", "config": config }),
        )
        .await;
        let mut found = refused.pointers();
        found.sort();
        assert_eq!(found, pointers, "{change}");
        assert!(!refused.text.contains(SECRET_KEY));
    }
    let mut pool = pool_config(free_port(), free_port(), 1, 2, 3);
    pool["upstreams"][0]["pool_port"] = json!(0);
    let refused = send(
        &manager,
        "POST",
        "/api/saved-configs",
        &json!({ "name": "one", "config": pool }),
    )
    .await;
    assert_eq!(refused.pointers(), ["/config/upstreams/0/pool_port"]);
    for (body, pointers) in [
        (json!({}), vec!["/config", "/name"]),
        (
            json!({ "name": 7, "description": [], "config": solo() }),
            vec!["/description", "/name"],
        ),
        (
            json!({ "name": "x".repeat(65), "config": solo() }),
            vec!["/name"],
        ),
        (
            json!({ "name": "a\u{202e}b", "config": solo() }),
            vec!["/name"],
        ),
        (
            json!({ "name": "a", "description": "x".repeat(1001), "config": solo() }),
            vec!["/description"],
        ),
        (json!({ "name": "a", "config": "text" }), vec!["/config"]),
        (
            json!({ "name": "a", "config": solo(), "revision": "new" }),
            vec!["/revision"],
        ),
        (json!([]), vec![""]),
    ] {
        let refused = send(&manager, "POST", "/api/saved-configs", &body).await;
        let mut found = refused.pointers();
        found.sort();
        assert_eq!(found, pointers, "{body}");
    }
    assert_eq!(names(&manager).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_read_or_is_not_wanted_is_refused_by_its_kind() {
    let manager = Manager::start().await;
    let good = json!({ "name": "one", "config": solo() });
    let post = |kind: &'static str, body: String| {
        Answer::to(
            manager
                .request("POST", "/api/saved-configs")
                .header("content-type", kind)
                .body(body),
        )
    };
    post("application/json", "{\"name\":".into())
        .await
        .problem(400);
    post("text/plain", good.to_string()).await.problem(415);
    post("application/toml", good.to_string())
        .await
        .problem(415);
    post("application/json", " ".repeat(TOO_LARGE))
        .await
        .problem(413);
    let request = manager
        .request("POST", "/api/saved-configs")
        .header("accept", "image/png")
        .json(&good);
    Answer::to(request).await.problem(406);
    assert_eq!(names(&manager).await, Vec::<String>::new());
    manager.save_config("One", &solo()).await;
    let taken = send(
        &manager,
        "POST",
        "/api/saved-configs",
        &json!({ "name": "ONE", "config": solo() }),
    )
    .await
    .problem(409);
    assert!(taken["detail"].as_str().unwrap().contains("ONE"));
}

#[tokio::test]
async fn unknown_ids_are_not_found_and_other_methods_refused() {
    let manager = Manager::start().await;
    let id = manager.save_config("one", &solo()).await;
    for (method, rest, allow) in [
        ("GET", "", "DELETE GET HEAD POST PUT"),
        ("PUT", "", "DELETE GET HEAD POST PUT"),
        ("POST", "", "DELETE GET HEAD POST PUT"),
        ("DELETE", "", "DELETE GET HEAD POST PUT"),
        ("GET", "/edit", "GET HEAD"),
        ("GET", "/delete", "GET HEAD POST"),
        ("POST", "/delete", "GET HEAD POST"),
        ("POST", "/duplicate", "POST"),
        ("POST", "/set-active", "POST"),
        ("GET", "/toml", "GET HEAD"),
        ("GET", "/revisions", "GET HEAD"),
        ("POST", "/revisions/1/restore", "POST"),
    ] {
        for unknown in [NOBODY, "x", "%00"] {
            let request = |prefix: &str| {
                let request =
                    manager.request(method, &format!("{prefix}/saved-configs/{unknown}{rest}"));
                if rest.is_empty() && method != "GET" {
                    request.json(&json!({ "name": "x", "config": solo() }))
                } else {
                    request
                }
            };
            Answer::to(request("/api")).await.problem(404);
            Answer::to(request("").header("accept", "text/html"))
                .await
                .page(404);
        }
        let refused = bare(&manager, "PATCH", &format!("/api/saved-configs/{id}{rest}")).await;
        refused.problem(405);
        assert_eq!(refused.allow().join(" "), allow, "{rest}");
    }
    for revision in ["0", "2", "-1", "x", "99999999999"] {
        bare(
            &manager,
            "POST",
            &format!("/api/saved-configs/{id}/revisions/{revision}/restore"),
        )
        .await
        .problem(404);
    }
    bare(&manager, "GET", "/api/saved-configs/active")
        .await
        .problem(404);
    assert_eq!(
        bare(&manager, "GET", &format!("/api/saved-configs/{id}"))
            .await
            .json(200)["revision"],
        1
    );
}

#[tokio::test]
async fn a_change_is_a_revision_that_can_be_taken_back() {
    let manager = Manager::start().await;
    let mut config = solo();
    let id = manager.save_config("one", &config).await;
    let path = format!("/api/saved-configs/{id}");
    config["shares_per_minute"] = json!(12.0);
    config["authority_secret_key"] = json!(MASK);
    let body = send(
        &manager,
        "PUT",
        &path,
        &json!({ "name": "two", "config": config }),
    )
    .await
    .json(200);
    assert_eq!(
        (&body["success"], body["message"].is_string()),
        (&json!(true), true)
    );
    let saved = bare(&manager, "GET", &path).await.json(200);
    assert_eq!(
        (
            &saved["name"],
            &saved["revision"],
            &saved["config"]["shares_per_minute"]
        ),
        (&json!("two"), &json!(2), &json!(12.0))
    );

    config["shares_per_minute"] = json!(0);
    assert_eq!(
        send(&manager, "PUT", &path, &json!({ "config": config }))
            .await
            .pointers(),
        ["/config/shares_per_minute"]
    );
    send(
        &manager,
        "PUT",
        &path,
        &json!({ "name": "three", "config": solo(), "revision": 1 }),
    )
    .await
    .problem(409);

    let history = bare(&manager, "GET", &format!("{path}/revisions"))
        .await
        .json(200);
    let numbers: Vec<&Value> = history["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["revision"])
        .collect();
    assert_eq!(numbers, [2, 1]);
    let changes: Vec<&Value> = history["revisions"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["path"])
        .collect();
    assert_eq!(changes, ["/name", "/shares_per_minute"]);
    assert_eq!(
        bare(
            &manager,
            "GET",
            &format!("{path}/revisions?limit=0&before=x")
        )
        .await
        .pointers(),
        ["/limit", "/before"]
    );
    let older = bare(
        &manager,
        "GET",
        &format!("{path}/revisions?limit=1&before=2"),
    )
    .await
    .json(200);
    assert_eq!(
        (
            &older["revisions"][0]["revision"],
            older["revisions"].as_array().unwrap().len()
        ),
        (&json!(1), 1)
    );

    let page = manager
        .ask(&format!("/saved-configs/{id}/revisions"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.one("section#r1 del, section[aria-labelledby=r1] .sub:not(span)"),
        "First revision."
    );
    assert_eq!(
        page.attr("section[aria-labelledby=r1] form", "action"),
        format!("/saved-configs/{id}/revisions/1/restore")
    );
    bare(&manager, "POST", &format!("{path}/revisions/1/restore"))
        .await
        .json(200);
    let saved = bare(&manager, "GET", &path).await.json(200);
    assert_eq!(
        (&saved["revision"], &saved["config"]["shares_per_minute"]),
        (&json!(3), &json!(6.0))
    );
}

#[tokio::test]
async fn one_in_use_is_not_deleted_and_names_its_instances() {
    let manager = Manager::start().await;
    let id = manager.save_config("one", &solo()).await;
    let instance = manager.instance_of("barn", &id).await;
    manager.instance_of("garage", &id).await;
    let path = format!("/api/saved-configs/{id}");
    let detail = bare(&manager, "DELETE", &path).await.problem(409)["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        detail.contains("barn") && detail.contains("garage"),
        "{detail}"
    );
    let page = manager
        .ask(&format!("/saved-configs/{id}/delete"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("main form"), 0);
    assert!(
        page.attrs("main a", "href")
            .contains(&format!("/instances/{instance}"))
    );
    form(&manager, &format!("/saved-configs/{id}/delete"), &[])
        .await
        .page(409);
    for one in manager.json("/api/instances").await["instances"]
        .as_array()
        .unwrap()
    {
        manager
            .delete(&format!("/api/instances/{}", one["id"].as_str().unwrap()))
            .await;
    }
    assert_eq!(
        bare(&manager, "DELETE", &path).await.json(200)["success"],
        true
    );
    bare(&manager, "DELETE", &path).await.problem(404);
}

#[tokio::test]
async fn there_is_one_active_one_and_an_unknown_id_does_not_change_that() {
    let manager = Manager::start().await;
    let (one, two) = (
        manager.save_config("one", &solo()).await,
        manager.save_config("two", &solo()).await,
    );
    for id in [&one, &two] {
        assert_eq!(
            bare(
                &manager,
                "POST",
                &format!("/api/saved-configs/{id}/set-active")
            )
            .await
            .json(200)["success"],
            true
        );
        let active = bare(&manager, "GET", "/api/saved-configs/active")
            .await
            .json(200);
        assert_eq!(
            (
                active["id"].as_str(),
                &active["is_active"],
                active["config"].is_object()
            ),
            (Some(id.as_str()), &json!(true), true)
        );
    }
    bare(
        &manager,
        "POST",
        &format!("/api/saved-configs/{NOBODY}/set-active"),
    )
    .await
    .problem(404);
    let list = manager.json("/api/saved-configs").await;
    let active: Vec<&Value> = list["configurations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["is_active"] == true)
        .map(|c| &c["name"])
        .collect();
    assert_eq!(active, ["two"]);
    let back = form(
        &manager,
        &format!("/saved-configs/{one}/set-active"),
        &[("next", "/saved-configs")],
    )
    .await;
    assert_eq!(
        (back.status, back.header("location")),
        (303, Some("/saved-configs"))
    );
    let away = form(
        &manager,
        &format!("/saved-configs/{one}/set-active"),
        &[("next", "//evil.example")],
    )
    .await;
    assert_eq!(
        away.header("location"),
        Some(format!("/saved-configs/{one}").as_str())
    );
}

#[tokio::test]
async fn the_clients_file_is_shown_with_its_secret_masked() {
    let manager = Manager::start().await;
    let id = manager.save_config("one", &solo()).await;
    let path = format!("/saved-configs/{id}/toml");
    let text = manager.ask(&path, "*/*").await;
    assert_eq!((text.status, text.media_type()), (200, "text/plain"));
    let file: toml::Table = text.text.parse().unwrap();
    assert_eq!(
        (
            file["authority_secret_key"].as_str(),
            file["authority_public_key"].as_str()
        ),
        (Some(MASK), Some(PUBLIC_KEY))
    );
    let body = bare(&manager, "GET", &path).await.json(200);
    assert_eq!(body["toml"].as_str(), Some(text.text.as_str()));
    assert_eq!(
        manager.ask(&format!("/api{path}"), "*/*").await.json(200),
        body
    );
    let page = manager
        .ask(&format!("{path}?client_version=0.4.0"), "text/html")
        .await
        .page(200);
    assert_eq!(page.one("select#client_version option[selected]"), "0.4.0");
    let bad = bare(
        &manager,
        "GET",
        &format!("{path}?client_version=newest&against=v0.8.0"),
    )
    .await;
    assert_eq!(bad.pointers(), ["/client_version", "/against"]);
}

#[tokio::test]
async fn what_each_client_makes_of_it_is_told() {
    let manager = Manager::start().await;
    let id = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let support = manager.json(&format!("/api/saved-configs/{id}")).await["support"].clone();
    let of = |version: &str| {
        support
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["client_version"] == version)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (
            of("0.6.0")["runs"].clone(),
            of("0.6.0")["keys_added"].clone()
        ),
        (json!(true), json!([]))
    );
    assert_eq!(of("0.2.0")["keys_added"], json!(["user_identity"]));
    let solo = manager.save_config("alone", &solo()).await;
    let support = manager.json(&format!("/api/saved-configs/{solo}")).await["support"].clone();
    assert_eq!(
        (&support[0]["runs"], &support[0]["errors"][0]["pointer"]),
        (&json!(false), &json!("/config/mode"))
    );

    let path = format!("/saved-configs/{id}/toml?client_version=0.2.0&against=0.6.0");
    let lines = bare(&manager, "GET", &format!("/api{path}"))
        .await
        .json(200)["difference"]
        .clone();
    let told: Vec<String> = lines
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["mark"] != " ")
        .map(|line| format!("{}{}", line["mark"], line["text"]))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let page = manager.ask(&path, "text/html").await.page(200);
    assert_eq!(
        (
            page.count("pre ins"),
            page.count("pre del"),
            page.one("#against option[selected]")
        ),
        (1, 1, "0.6.0".to_owned())
    );
    let none = bare(
        &manager,
        "GET",
        &format!("/api/saved-configs/{solo}/toml?against=0.1.0"),
    )
    .await
    .json(200);
    assert_eq!(
        (&none["difference"], none["toml"].is_string()),
        (&Value::Null, true)
    );
    let page = manager
        .ask(&format!("/saved-configs/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("section[aria-labelledby=clients] tbody tr"), 2);
}

#[tokio::test]
async fn a_copy_has_a_name_of_its_own() {
    let manager = Manager::start().await;
    let id = manager.save_config("one", &solo()).await;
    let made = bare(
        &manager,
        "POST",
        &format!("/api/saved-configs/{id}/duplicate"),
    )
    .await;
    let copy = made.json(201)["config_id"].as_str().unwrap().to_owned();
    assert_eq!(
        made.header("location"),
        Some(format!("/api/saved-configs/{copy}").as_str())
    );
    let next = form(&manager, &format!("/saved-configs/{id}/duplicate"), &[]).await;
    assert!(
        next.status == 303
            && next
                .header("location")
                .is_some_and(|to| to.ends_with("/edit")),
        "{next:?}"
    );
    assert_eq!(names(&manager).await, ["one copy 2", "one copy", "one"]);
}

#[tokio::test]
async fn a_clients_file_is_imported_or_refused_by_key_and_line() {
    let manager = Manager::start().await;
    let id = manager.save_config("one", &solo()).await;
    let file = manager
        .ask(&format!("/saved-configs/{id}/toml"), "text/plain")
        .await
        .text
        .replace(MASK, SECRET_KEY);
    let post = |path: &str, kind: &'static str, body: String| {
        Answer::to(
            manager
                .request("POST", path)
                .header("accept", "application/json")
                .header("content-type", kind)
                .body(body),
        )
    };
    for (path, kind, body, name) in [
        (
            "/api/saved-configs/import?name=plain",
            "text/plain",
            file.clone(),
            "plain",
        ),
        (
            "/api/saved-configs/import?name=toml",
            "application/toml",
            file.clone(),
            "toml",
        ),
        (
            "/api/saved-configs/import",
            "text/plain; charset=utf-8",
            file.clone(),
            "Imported configuration",
        ),
        (
            "/api/saved-configs/import",
            "application/json",
            json!({ "name": "json", "toml": file }).to_string(),
            "json",
        ),
    ] {
        let made = post(path, kind, body).await;
        let id = made.json(201)["config_id"].as_str().unwrap().to_owned();
        assert_eq!(
            made.header("location"),
            Some(format!("/api/saved-configs/{id}").as_str())
        );
        assert_eq!(
            manager.json(&format!("/api/saved-configs/{id}")).await["name"],
            name
        );
    }
    let wrong = file.replace(
        "cert_validity_sec = 3600",
        "cert_validity_sec = -1\nunheard_of = 3",
    );
    let refused = post("/api/saved-configs/import", "text/plain", wrong.clone()).await;
    let line = wrong
        .lines()
        .position(|line| line.starts_with("cert_validity_sec"))
        .unwrap()
        + 1;
    let problem = refused.problem(422);
    let complaint = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["pointer"] == "/cert_validity_sec")
        .unwrap();
    assert!(
        complaint["detail"].as_str().unwrap().starts_with(&format!(
            "Line {line}, Certificate validity (s) (cert_validity_sec)"
        )),
        "{complaint}"
    );
    assert!(!refused.text.contains(SECRET_KEY));
    let broken = post("/api/saved-configs/import", "text/plain", "a = \n".into())
        .await
        .problem(422);
    assert!(
        broken["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .starts_with("Line 1"),
        "{broken}"
    );
    post(
        "/api/saved-configs/import?name=toml",
        "text/plain",
        file.clone(),
    )
    .await
    .problem(409);
    post("/api/saved-configs/import", "application/xml", file.clone())
        .await
        .problem(415);
    post(
        "/api/saved-configs/import",
        "text/plain",
        "#".repeat(TOO_LARGE),
    )
    .await
    .problem(413);
    assert_eq!(
        post("/api/saved-configs/import", "application/json", "{}".into())
            .await
            .pointers(),
        ["/toml"]
    );
    let binary = manager
        .request("POST", "/api/saved-configs/import")
        .header("content-type", "text/plain")
        .body(vec![0xff, 0xfe]);
    Answer::to(binary).await.problem(400);

    let page = form(
        &manager,
        "/saved-configs/import",
        &[("name", "again"), ("toml", &wrong)],
    )
    .await
    .page(422);
    assert!(
        page.one("textarea#toml").contains(MASK) && !page.one("textarea#toml").contains(SECRET_KEY)
    );
    assert_eq!(page.attr("input#name", "value"), "again");
    let made = form(
        &manager,
        "/saved-configs/import",
        &[("name", "by form"), ("toml", &file)],
    )
    .await;
    assert!(
        made.status == 303
            && made
                .header("location")
                .is_some_and(|to| to.starts_with("/saved-configs/")),
        "{made:?}"
    );
}

#[tokio::test]
async fn the_form_saves_or_comes_back_with_every_message_at_its_field() {
    let manager = Manager::start().await;
    let page = manager
        .ask("/saved-configs/new", "text/html")
        .await
        .page(200);
    assert_eq!(page.attr("form#form", "action"), "/saved-configs");
    assert!(
        page.attrs("input[type=password]", "value").is_empty(),
        "a secret is never in a field"
    );
    let all = fields("home");
    let made = form(&manager, "/saved-configs", &with(&all, &[])).await;
    assert_eq!(made.status, 303, "{made:?}");
    let path = made.header("location").unwrap().to_owned();
    let saved = manager.json(&format!("/api{path}")).await;
    assert_eq!(
        (&saved["name"], &saved["description"]),
        (&json!("home"), &json!("two\nlines"))
    );
    assert_eq!(
        saved["config"]["coinbase_reward_script"],
        "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
        "an address will do"
    );

    let wrong = [
        ("name", "home"),
        ("listening_address", "here"),
        ("share_batch_size", "-3"),
        ("jdc_signature", "kept \"<i>\""),
    ];
    let page = form(&manager, "/saved-configs", &with(&all, &wrong))
        .await
        .page(422);
    for (name, value) in &wrong[1..] {
        assert_eq!(
            &page.attr(&format!("form#form [name='{name}']"), "value"),
            value
        );
    }
    for name in ["listening_address", "share_batch_size"] {
        let field = format!("form#form [name='{name}']");
        assert_eq!(page.attr(&field, "aria-invalid"), "true", "{name}");
        let help = page.attr(&field, "aria-describedby");
        assert_eq!(page.count(&format!("#{help} .error")), 1, "{name}");
    }
    assert_eq!(
        page.texts("section.attention ul li a").len(),
        3,
        "two fields, and the secret to be typed again"
    );

    let taken = form(&manager, "/saved-configs", &with(&all, &[]))
        .await
        .page(409);
    assert_eq!(taken.attr("form#form [name=name]", "aria-invalid"), "true");
    let fragment = swap(&manager, "/saved-configs", "main#main", &with(&all, &[])).await;
    assert!(fragment.header("hx-retarget").is_none());
    assert_eq!(
        fragment
            .fragment(409)
            .attr("form#form [name=name]", "value"),
        "home"
    );

    let edit = manager
        .ask(&format!("{path}/edit"), "text/html")
        .await
        .page(200);
    assert_eq!(edit.attr("form#form", "action"), path);
    assert_eq!(edit.attr("form#form [name=revision]", "value"), "1");
    let changed = [
        ("name", "home 2"),
        ("authority_secret_key", ""),
        ("revision", "1"),
    ];
    let saved = form(&manager, &path, &with(&all, &changed)).await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (303, Some(path.as_str())),
        "{saved:?}"
    );
    let stale = form(
        &manager,
        &path,
        &with(
            &all,
            &[
                ("name", "home 3"),
                ("authority_secret_key", ""),
                ("revision", "1"),
            ],
        ),
    )
    .await;
    stale.page(409);
    assert_eq!(manager.json(&format!("/api{path}")).await["name"], "home 2");
}

#[tokio::test]
async fn pools_are_added_and_removed_without_saving() {
    let manager = Manager::start().await;
    let all = fields("home");
    let pool = [
        ("mode", "FULLTEMPLATE"),
        ("upstreams.0.pool_address", "pool.example"),
        ("upstreams.0.pool_port", "3333"),
    ];
    let page = form(
        &manager,
        "/saved-configs",
        &with(&all, &[&pool[..], &[("action", "add-upstream")]].concat()),
    )
    .await
    .page(200);
    assert_eq!(
        page.attr("[name='upstreams.0.pool_address']", "value"),
        "pool.example"
    );
    assert_eq!(page.count("[name='upstreams.1.pool_address']"), 1);
    let page = form(
        &manager,
        "/saved-configs",
        &with(
            &all,
            &[&pool[..], &[("action", "remove-upstream.0")]].concat(),
        ),
    )
    .await
    .page(200);
    assert!(
        !page
            .attrs("input", "value")
            .contains(&"pool.example".to_owned())
    );
    for odd in [
        "remove-upstream.99",
        "raise-upstream.0",
        "remove-upstream.x",
        "explode",
    ] {
        let answer = form(
            &manager,
            "/saved-configs",
            &with(&all, &[("name", odd), ("action", odd)]),
        )
        .await;
        assert!(answer.status < 500, "{odd}: {answer:?}");
    }
}

#[tokio::test]
async fn the_pages_show_what_is_saved() {
    let manager = Manager::start().await;
    let id = manager
        .save_config(
            "home",
            &pool_config(free_port(), free_port(), 1, 3333, 3334),
        )
        .await;
    let list = manager.ask("/saved-configs", "text/html").await.page(200);
    assert_eq!(
        (
            list.one("nav a[aria-current=page]"),
            list.one("tbody tr td:first-child a")
        ),
        ("Configurations".into(), "home".into())
    );
    assert_eq!(
        list.attr("tbody tr td:first-child a", "href"),
        format!("/saved-configs/{id}")
    );
    let show = manager
        .ask(&format!("/saved-configs/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(show.one("h1"), "home");
    assert!(
        show.texts("dl.facts dd code")
            .contains(&"127.0.0.1:3333".to_owned())
    );
    for path in [
        format!("/saved-configs/{id}"),
        "/saved-configs".into(),
        format!("/saved-configs/{id}/edit"),
        "/saved-configs/import".into(),
    ] {
        let part = manager.fragment(&path, "main#main").await.fragment(200);
        assert_eq!((part.count("h1"), part.count("nav")), (1, 0), "{path}");
    }
}

#[tokio::test]
async fn one_is_checked_without_being_saved() {
    let manager = Manager::start().await;
    let id = manager.save_config("home", &solo()).await;
    let check = async |path: &str, body: &Value| send(&manager, "POST", path, body).await.json(200);
    let pointers = |verdict: &Value, kind: &str| -> Vec<String> {
        verdict[kind]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["pointer"].as_str().unwrap().to_owned())
            .collect()
    };
    let verdict = check(
        "/api/saved-configs/check",
        &json!({ "name": "other", "config": solo() }),
    )
    .await;
    assert_eq!(
        (&verdict["valid"], pointers(&verdict, "errors").len()),
        (&json!(true), 0)
    );
    assert_eq!(
        pointers(&verdict, "warnings"),
        [
            "/config/authority_public_key",
            "/config/coinbase_reward_script"
        ]
    );
    assert_eq!(
        pointers(&verdict, "hints"),
        ["/config/coinbase_reward_script", "/config/jdc_signature"]
    );
    let mut wrong = solo();
    wrong["mode"] = json!("SOLO");
    wrong["authority_secret_key"] = json!(MASK);
    let verdict = check(
        "/api/saved-configs/check",
        &json!({ "name": "HOME", "config": wrong }),
    )
    .await;
    assert_eq!(verdict["valid"], false);
    let mut found = pointers(&verdict, "errors");
    found.sort();
    assert_eq!(
        found,
        ["/config/authority_secret_key", "/config/mode", "/name"]
    );
    // In its own place the name is free and the secret is known.
    let verdict = check(
        &format!("/api/saved-configs/{id}/check"),
        &json!({ "name": "HOME", "config": wrong }),
    )
    .await;
    assert_eq!(pointers(&verdict, "errors"), ["/config/mode"]);
    send(
        &manager,
        "POST",
        &format!("/api/saved-configs/{NOBODY}/check"),
        &json!({ "config": wrong }),
    )
    .await
    .problem(404);
    assert_eq!(
        bare(&manager, "GET", &format!("/api/saved-configs/{id}"))
            .await
            .json(200)["revision"],
        1
    );
    assert_eq!(names(&manager).await, ["home"]);

    // A person without JavaScript presses a button; with it, each change is told at its field.
    let all = fields("");
    let sent = with(&all, &[("name", "two"), ("jdc_signature", "kept")]);
    let page = form(&manager, "/saved-configs/check", &sent)
        .await
        .page(200);
    assert_eq!(
        (
            page.attr("#jdc_signature", "value"),
            page.count("section.attention")
        ),
        ("kept".into(), 0)
    );
    assert!(
        page.one("p.notice[data-focus]")
            .starts_with("Check passed: ")
    );
    assert_eq!(
        page.attr("button[formaction]", "formaction"),
        "/saved-configs/check"
    );
    assert!(
        page.one("#coinbase_reward_script-notes .hint")
            .contains("testnet or signet address")
    );
    let wrong = with(&all, &[("name", ""), ("listening_address", "here")]);
    let page = form(&manager, &format!("/saved-configs/{id}/check"), &wrong)
        .await
        .page(200);
    assert_eq!(
        page.attr("form#form [hx-post]", "hx-post"),
        format!("/saved-configs/{id}/check")
    );
    assert!(
        page.texts("section.attention li a")
            .contains(&"Name".to_owned())
    );
    let part = swap(&manager, "/saved-configs/check", "div", &wrong).await;
    assert_eq!((part.status, part.header("hx-retarget")), (200, None));
    assert!(
        part.text
            .contains("<hx-partial hx-target=\"#listening_address-notes\"")
            && !part.text.contains(SECRET_KEY)
    );
    assert_eq!(
        part.text.matches("class=\"error\"").count(),
        1,
        "{}",
        part.text
    );
}

#[tokio::test]
async fn doubts_stay_visible_where_the_configuration_is_used() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let body = manager.json(&format!("/api/instances/{id}")).await;
    let at: Vec<&Value> = body["config_doubts"]["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["pointer"])
        .collect();
    assert_eq!(
        at,
        [
            "/config/authority_public_key",
            "/config/coinbase_reward_script"
        ]
    );
    let page = manager
        .ask(&format!("/instances/{id}/configuration"), "text/html")
        .await
        .page(200);
    let told = page.texts("aside li");
    assert!(
        told.len() == 2
            && told[0]
                .starts_with("Public key: This key pair is from the client's published examples"),
        "{told:?}"
    );
}

#[tokio::test]
async fn one_goes_out_as_a_file_and_comes_back() {
    let manager = Manager::start().await;
    let id = manager.save_config("home, <solo>", &solo()).await;
    let file = manager
        .ask(&format!("/saved-configs/{id}/toml"), "text/plain")
        .await
        .text
        .replace(MASK, SECRET_KEY);
    let file = format!("# from the attic\n{file}\n[mine]\nunheard_of = true\n");
    let post = async |body: &str| {
        let request = manager
            .request("POST", "/api/saved-configs/import")
            .header("content-type", "application/toml");
        Answer::to(request.body(body.to_owned())).await
    };
    let made = post(&file).await.json(201)["config_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let out = manager
        .ask(&format!("/saved-configs/{made}/export"), "text/html")
        .await;
    assert_eq!((out.status, out.media_type()), (200, "application/toml"));
    assert_eq!(
        out.header("content-disposition"),
        Some("attachment; filename=\"Imported-configuration.toml\"")
    );
    assert!(
        out.text.starts_with("# from the attic\n")
            && out.text.contains("[mine]\nunheard_of = true\n"),
        "{}",
        out.text
    );
    assert!(out.text.contains(MASK) && !out.text.contains(SECRET_KEY));
    let remarks =
        manager.json(&format!("/api/saved-configs/{made}")).await["import_remarks"].clone();
    assert!(
        remarks[0]["detail"]
            .as_str()
            .unwrap()
            .contains("The client does not know mine"),
        "{remarks}"
    );
    assert_eq!(
        manager
            .ask(&format!("/saved-configs/{made}"), "text/html")
            .await
            .page(200)
            .count("details.panel li"),
        1
    );
    let back = post(&out.text).await.json(201)["config_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let config =
        async |id: &str| manager.json(&format!("/api/saved-configs/{id}")).await["config"].clone();
    assert_eq!(config(&back).await, config(&made).await);

    let json = Answer::to(
        manager
            .request("POST", "/api/saved-configs/import")
            .json(&json!({ "name": "old", "config": solo() })),
    )
    .await;
    json.json(201);
    let page = form(
        &manager,
        "/saved-configs/import",
        &[(
            "toml",
            &format!("{{\"authority_secret_key\": \"{SECRET_KEY}\", \"x\": "),
        )],
    )
    .await;
    assert!(!page.page(422).one("textarea#toml").contains(SECRET_KEY));
    let other = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrnXX";
    let page = form(
        &manager,
        "/saved-configs/import",
        &[(
            "toml",
            &format!("{{\"authority_secret_key\" : \"{other}\", \"mode\": 1}}"),
        )],
    )
    .await;
    assert!(
        !page.page(422).one("textarea#toml").contains(other),
        "also one that was mistyped"
    );
}

#[tokio::test]
async fn the_list_is_looked_through() {
    let manager = Manager::start().await;
    for name in ["barn", "attic", "barn 2"] {
        manager.save_config(name, &solo()).await;
    }
    let found = manager.json("/api/saved-configs?q=BARN&limit=1").await;
    assert_eq!(
        (&found["total"], &found["configurations"][0]["name"]),
        (&json!(2), &json!("barn 2"))
    );
    let page = manager
        .ask("/saved-configs?q=barn&limit=1", "text/html")
        .await
        .page(200);
    assert_eq!(
        (page.attr("input#q", "value"), page.count("tbody tr")),
        ("barn".into(), 1)
    );
    let next = page
        .attrs("main a.button", "href")
        .into_iter()
        .find(|to| to.contains("offset=1"))
        .unwrap();
    assert_eq!(
        manager
            .ask(&next, "text/html")
            .await
            .page(200)
            .texts("tbody strong"),
        ["barn"]
    );
    let none = manager
        .ask("/saved-configs?q=%3Cb%3Egoat", "text/html")
        .await
        .page(200);
    assert!(none.one("p.panel").contains("“<b>goat”") && none.count("main b") == 0);
    assert_eq!(
        manager
            .json(&format!("/api/saved-configs?q={SECRET_KEY}"))
            .await["total"],
        0
    );
    assert_eq!(manager.json("/api/saved-configs?q=").await["total"], 3);
}

#[tokio::test]
async fn a_secret_key_is_shown_and_exported_only_when_it_is_asked_for_by_post() {
    let manager = Manager::start().await;
    let id = manager.save_config("one", &solo()).await;
    let path = format!("/saved-configs/{id}");
    let question = manager.ask(&format!("{path}/secret"), "text/html").await;
    assert!(!question.text.contains(SECRET_KEY) && question.text.contains(PUBLIC_KEY));
    assert_eq!(
        question.page(200).attrs("main form", "action"),
        [
            format!("{path}/secret"),
            format!("{path}/export?secret=include")
        ]
    );
    assert!(
        manager
            .ask(&path, "text/html")
            .await
            .page(200)
            .attrs("main dd a", "href")
            .contains(&format!("{path}/secret"))
    );
    let body = bare(&manager, "GET", &format!("{path}/secret"))
        .await
        .json(200);
    assert_eq!(
        body,
        json!({ "id": id, "name": "one", "public_key": PUBLIC_KEY })
    );

    let shown = form(&manager, &format!("{path}/secret"), &[]).await;
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert!(
        shown
            .page(200)
            .texts("main dd code")
            .contains(&SECRET_KEY.to_owned())
    );
    let body = bare(&manager, "POST", &format!("{path}/secret")).await;
    assert_eq!(body.header("cache-control"), Some("no-store"));
    let keys = json!({ "public_key": PUBLIC_KEY, "secret_key": SECRET_KEY });
    assert_eq!(
        body.json(200),
        json!({ "success": true, "config_id": id, "name": "one", "keys": keys })
    );
    bare(&manager, "POST", &format!("/saved-configs/{NOBODY}/secret"))
        .await
        .problem(404);

    // As a file: masked unless the secret is asked for, and never by GET.
    let export = format!("{path}/export");
    let secret_of = |file: &Answer| {
        assert_eq!(
            (file.status, file.media_type(), file.header("cache-control")),
            (200, "application/toml", Some("no-store"))
        );
        assert!(
            file.header("content-disposition")
                .unwrap()
                .contains("one.toml")
        );
        file.text.parse::<toml::Table>().unwrap()["authority_secret_key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        manager
            .ask(&format!("/api{export}?secret=include"), "*/*")
            .await
            .pointers(),
        ["/secret"]
    );
    assert_eq!(secret_of(&manager.ask(&export, "*/*").await), MASK);
    assert_eq!(secret_of(&form(&manager, &export, &[]).await), MASK);
    for asked in [
        form(&manager, &format!("{export}?secret=include"), &[]).await,
        form(&manager, &export, &[("secret", "include")]).await,
        bare(&manager, "POST", &format!("/api{export}?secret=include")).await,
    ] {
        assert_eq!(secret_of(&asked), SECRET_KEY);
    }
    assert_eq!(
        bare(&manager, "POST", &format!("{export}?secret=please"))
            .await
            .pointers(),
        ["/secret"]
    );
    // Taken in again it is the same configuration.
    let file = form(&manager, &format!("{export}?secret=include"), &[])
        .await
        .text;
    let again = form(
        &manager,
        "/saved-configs/import",
        &[("name", "two"), ("toml", &file)],
    )
    .await;
    let two = again.header("location").unwrap().to_owned();
    let keys = bare(&manager, "POST", &format!("{two}/secret"))
        .await
        .json(200)["keys"]
        .clone();
    assert_eq!(keys["secret_key"], SECRET_KEY);
    // Who did it is in the log, and what it was is not.
    let log = manager.log();
    for words in [
        "the secret key of a configuration was shown",
        "the secret key of a configuration was exported",
    ] {
        assert!(
            log.lines().any(|line| line.contains(words)
                && line.contains("this machine")
                && line.contains(&id)),
            "{log}"
        );
    }
    assert!(!log.contains(SECRET_KEY));
}

#[tokio::test]
async fn every_revision_has_an_author_and_two_can_be_compared() {
    let manager = Manager::start().await;
    let mut config = solo();
    let id = manager.save_config("one", &config).await;
    let path = format!("/api/saved-configs/{id}");
    config["share_batch_size"] = json!(7);
    send(&manager, "PUT", &path, &json!({ "config": config }))
        .await
        .json(200);
    form(
        &manager,
        &format!("/saved-configs/{id}/revisions/1/restore"),
        &[],
    )
    .await;
    let authors: Vec<Value> = bare(&manager, "GET", &format!("{path}/revisions"))
        .await
        .json(200)["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["author"].clone())
        .collect();
    assert_eq!(
        authors,
        [
            "this machine (page)",
            "this machine (api)",
            "this machine (api)"
        ]
    );
    let page = manager
        .ask(&format!("/saved-configs/{id}/revisions"), "text/html")
        .await
        .page(200);
    assert!(
        page.one("section[aria-labelledby=r3] .sub")
            .starts_with("saved on this machine (web page)")
    );
    assert!(
        page.one("section[aria-labelledby=r1] span.sub")
            .starts_with("saved on this machine (API)")
    );
    let links = page.attrs("section[aria-labelledby=r2] a", "href");
    assert_eq!(links, [format!("/saved-configs/{id}/compare?from=3&to=2")]);
    let compared = manager.json(&format!("/api{}", links[0])).await;
    assert_eq!(
        (&compared["changes"][0]["to"], &compared["restart_needed"]),
        (&json!("7"), &json!(true))
    );
    assert_eq!(manager.json(&format!("{path}/compare")).await["from"], 2);
    let same = manager.json(&format!("{path}/compare?from=1&to=3")).await;
    assert_eq!(
        (&same["changes"], &same["restart_needed"]),
        (&json!([]), &json!(false))
    );
    for (query, pointers) in [
        ("from=x", vec!["/from"]),
        ("to=y&client_version=z", vec!["/to", "/client_version"]),
    ] {
        assert_eq!(
            bare(&manager, "GET", &format!("{path}/compare?{query}"))
                .await
                .pointers(),
            pointers
        );
    }
    for query in ["from=0", "to=4", "from=-1&to=1"] {
        bare(&manager, "GET", &format!("{path}/compare?{query}"))
            .await
            .problem(404);
    }
}

#[tokio::test]
async fn an_instance_tells_what_is_saved_and_not_running() {
    let manager = Manager::start().await;
    let mut config = solo();
    let saved = manager.save_config("home", &config).await;
    let id = manager.instance_of("barn", &saved).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let pending = async || manager.json(&format!("/api/instances/{id}")).await["pending"].clone();
    assert_eq!(pending().await, Value::Null);
    let put = async |body: Value| {
        send(
            &manager,
            "PUT",
            &format!("/api/saved-configs/{saved}"),
            &body,
        )
        .await
        .json(200)
    };
    put(json!({ "description": "in words only", "config": config })).await;
    let told = pending().await;
    assert_eq!(
        (&told["from"], &told["to"], &told["restart_needed"]),
        (&json!(1), &json!(2), &json!(false)),
        "{told}"
    );
    config["share_batch_size"] = json!(9);
    put(json!({ "config": config })).await;
    let told = pending().await;
    assert_eq!(
        (&told["to"], &told["restart_needed"]),
        (&json!(3), &json!(true)),
        "{told}"
    );
    let page = manager
        .ask(&format!("/instances/{id}/configuration"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.one("#pending h2"),
        "Running revision 1, saved revision 3"
    );
    assert!(
        page.texts("#pending dt")
            .contains(&"Shares per acknowledgment".to_owned())
    );
    let link = format!("/saved-configs/{saved}/compare?from=1&to=3");
    assert!(page.attrs("#status .outdated a", "href").contains(&link));
    assert_eq!(
        manager
            .ask(&link, "text/html")
            .await
            .page(200)
            .count("pre ins"),
        1
    );
    manager.act(&format!("/api/instances/{id}/restart")).await;
    assert_eq!(pending().await, Value::Null);
    let page = manager
        .ask(&format!("/instances/{id}/configuration"), "text/html")
        .await
        .page(200);
    assert_eq!(
        (page.count("#pending"), page.count("#status .outdated")),
        (0, 0)
    );
}
