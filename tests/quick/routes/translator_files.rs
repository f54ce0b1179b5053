//! The translator's file of a saved configuration: shown, exported, imported, and tried with the
//! translator.

use super::{NOBODY, bare, form, send};
use crate::harness::answer::Answer;
use crate::harness::{Manager, Plan, free_port, pool_config, solo_config};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A configuration with a port for Stratum V1 miners.
fn with_translator(port: u16) -> Value {
    let mut config = pool_config(free_port(), free_port(), 1, 2, 3);
    config["translator"] = json!({
        "enabled": true, "listening_address": format!("127.0.0.1:{port}"), "min_miner_hashrate": 5e11,
        "shares_per_minute": 6.0, "aggregate_channels": true,
    });
    config
}

/// A translator's file that a person wrote.
const FILE: &str = r#"downstream_address = "0.0.0.0"
downstream_port = 34300
max_supported_version = 2
min_supported_version = 2
downstream_extranonce2_size = 6
user_identity = "barn"
aggregate_channels = false
[downstream_difficulty_config]
min_individual_miner_hashrate = 10000000000000.0
shares_per_minute = 12.0
enable_vardiff = true
job_keepalive_interval_secs = 60
[[upstreams]]
address = "10.0.0.7"
port = 34265
authority_pubkey = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
user_identity = "barn"
"#;

async fn post_file(manager: &Manager, path: &str, file: &str) -> Answer {
    Answer::to(
        manager
            .request("POST", path)
            .header("accept", "application/json")
            .header("content-type", "application/toml")
            .body(file.to_owned()),
    )
    .await
}

#[tokio::test]
async fn the_translators_file_is_shown_and_exported() {
    let manager = Manager::start().await;
    let port = free_port();
    let id = manager
        .save_config("farm, V1", &with_translator(port))
        .await;
    let path = format!("/saved-configs/{id}/toml?program=translator");
    let text = manager.ask(&path, "text/plain").await;
    assert_eq!((text.status, text.media_type()), (200, "text/plain"));
    let file: toml::Table = text.text.parse().unwrap();
    assert_eq!(
        file["downstream_port"].as_integer(),
        Some(i64::from(port)),
        "{file}"
    );
    let body = bare(&manager, "GET", &path).await.json(200);
    assert_eq!(
        (body["toml"].as_str(), &body["program"], &body["name"]),
        (
            Some(text.text.as_str()),
            &json!("translator"),
            &json!("farm, V1")
        )
    );
    let page = manager.ask(&path, "text/html").await.page(200);
    assert!(page.one("h1").contains("Translator configuration file"));
    assert!(page.one("pre").contains("downstream_port"));
    let export = format!("/saved-configs/{id}/export?program=translator");
    let download = bare(&manager, "GET", &export).await;
    assert_eq!(
        (
            download.status,
            download.text.as_str(),
            download.header("content-disposition")
        ),
        (
            200,
            text.text.as_str(),
            Some("attachment; filename=\"farm--V1-translator.toml\"")
        )
    );
    // The client's file stays the default, and `client` names it.
    let client = manager
        .ask(
            &format!("/saved-configs/{id}/toml?program=client"),
            "text/plain",
        )
        .await;
    assert!(client.text.contains("listening_address"), "{client:?}");
    let shown = manager
        .ask(&format!("/saved-configs/{id}"), "text/html")
        .await
        .page(200);
    for link in [&path, &export] {
        assert_eq!(shown.count(&format!("a[href='{link}']")), 1, "{link}");
    }

    // Other programs, and settings that do not apply.
    for (query, pointer) in [
        ("program=pool", "/program"),
        ("program=translator&client_version=0.6.0", "/client_version"),
        ("program=translator&against=0.5.0", "/against"),
    ] {
        let path = format!("/saved-configs/{id}/toml?{query}");
        assert_eq!(bare(&manager, "GET", &path).await.pointers(), [pointer]);
    }
    let unknown = format!("/saved-configs/{id}/export?program=pool");
    assert_eq!(
        bare(&manager, "GET", &unknown).await.pointers(),
        ["/program"]
    );
    let unknown = format!("/saved-configs/{NOBODY}/toml?program=translator");
    bare(&manager, "GET", &unknown).await.problem(404);

    let solo = manager
        .save_config("solo", &solo_config(free_port(), free_port(), 1))
        .await;
    for part in ["toml", "export"] {
        let path = format!("/saved-configs/{solo}/{part}?program=translator");
        let problem = bare(&manager, "GET", &path).await.problem(409);
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("has no port for Stratum V1 miners"),
            "{problem}"
        );
    }
    let shown = manager
        .ask(&format!("/saved-configs/{solo}"), "text/html")
        .await;
    assert!(!shown.text.contains("program=translator"));
}

#[tokio::test]
async fn a_translators_file_becomes_a_section_of_the_chosen_configuration() {
    let manager = Manager::start().await;
    let id = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let import = "/api/saved-configs/import";
    let refused = post_file(&manager, import, FILE).await.problem(422);
    assert_eq!(refused["code"], "translator-file", "{refused}");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("POST /saved-configs/import/translator"),
        "{refused}"
    );
    let add = format!("{import}/translator?config_id={id}");
    let added = post_file(&manager, &add, FILE).await.json(200);
    assert_eq!(
        (&added["config_id"], &added["revision"]),
        (&json!(id), &json!(2)),
        "{added}"
    );
    let reasons: Vec<(&str, &str)> = added["not_imported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["pointer"].as_str().unwrap(),
                one["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        reasons.contains(&(
            "/downstream_extranonce2_size",
            "Line 5, downstream_extranonce2_size: jd-manager always uses 4 bytes, which every miner supports."
        )),
        "{reasons:?}"
    );
    assert!(
        reasons
            .iter()
            .any(|(pointer, _)| *pointer == "/upstreams/0/address"),
        "{reasons:?}"
    );
    let saved = manager.json(&format!("/api/saved-configs/{id}")).await;
    assert_eq!(
        saved["config"]["translator"],
        json!({
            "enabled": true, "listening_address": "0.0.0.0:34300", "min_miner_hashrate": 1e13,
            "shares_per_minute": 12.0, "aggregate_channels": false,
        })
    );
    // The same file again changes nothing.
    let body = json!({ "config_id": id, "toml": FILE });
    let again = send(&manager, "POST", &format!("{import}/translator"), &body)
        .await
        .json(200);
    assert_eq!(again["revision"], 2, "{again}");

    let path = format!("{import}/translator");
    for (body, pointers) in [
        (json!({}), vec!["/config_id", "/toml"]),
        (
            json!({ "config_id": "home", "toml": FILE }),
            vec!["/config_id"],
        ),
        (
            json!({ "config_id": id, "toml": FILE, "name": "x" }),
            vec!["/name"],
        ),
        (
            json!({ "config_id": id, "toml": FILE.replace("12.0", "nan") }),
            vec!["/downstream_difficulty_config/shares_per_minute"],
        ),
        (
            json!({ "config_id": id, "toml": FILE.replace("10000000000000.0", "-1") }),
            vec!["/downstream_difficulty_config/min_individual_miner_hashrate"],
        ),
        (
            json!({ "config_id": id, "toml": FILE.replace("34300", "80") }),
            vec!["/downstream_port"],
        ),
        (json!({ "config_id": id, "toml": "x = = 1" }), vec![""]),
        (
            json!({ "config_id": id, "toml": format!("#{}\n{FILE}", "x".repeat(300_000)) }),
            vec![""],
        ),
    ] {
        let refused = send(&manager, "POST", &path, &body).await;
        assert_eq!(refused.pointers(), pointers, "{body:.200}");
    }
    send(
        &manager,
        "POST",
        &path,
        &json!({ "config_id": NOBODY, "toml": FILE }),
    )
    .await
    .problem(404);
    assert_eq!(
        post_file(&manager, &path, FILE).await.pointers(),
        ["/config_id"]
    );
    let revisions = manager
        .json(&format!("/api/saved-configs/{id}/revisions"))
        .await;
    assert_eq!(
        revisions["revisions"].as_array().unwrap().len(),
        2,
        "{revisions}"
    );
}

#[tokio::test]
async fn the_import_page_offers_to_add_a_translators_file() {
    let manager = Manager::start().await;
    let page = form(&manager, "/saved-configs/import", &[("toml", FILE)])
        .await
        .page(422);
    assert!(page.one("#offer").contains("translator configuration file"));
    assert_eq!(page.count("select#config_id"), 0, "there is none to choose");
    for name in ["one", "two"] {
        let config = pool_config(free_port(), free_port(), 1, 2, 3);
        manager.save_config(name, &config).await;
    }
    let page = form(&manager, "/saved-configs/import", &[("toml", FILE)])
        .await
        .page(422);
    assert_eq!(page.count("select#config_id option"), 2);
    assert_eq!(page.count("#errors"), 0);
    let text = page.one("section[aria-labelledby='offer']");
    for part in [
        "0.0.0.0:34300",
        "10 TH/s",
        "Not imported",
        "always uses 4 bytes",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let id = page.attrs("select#config_id option", "value").remove(0);
    let add = "/saved-configs/import/translator";
    let markup = FILE.replace("\"0.0.0.0\"", "\"<script>alert(1)</script>\"");
    let refused = form(
        &manager,
        add,
        &[("config_id", &id), ("toml", &markup), ("name", "")],
    )
    .await;
    let page = refused.page(422);
    assert_eq!(page.count("#errors ~ ul li"), 1, "{refused:?}");
    assert!(!refused.text.contains("<script>alert"), "{refused:?}");
    // The file is fine, but not for this configuration.
    let taken = manager.json(&format!("/api/saved-configs/{id}")).await;
    let listening = taken["config"]["listening_address"].as_str().unwrap();
    let port = listening.rsplit(':').next().unwrap();
    let taken = FILE.replace("34300", port);
    let page = form(&manager, add, &[("config_id", &id), ("toml", &taken)])
        .await
        .page(422);
    assert!(
        page.one("section[aria-labelledby='errors']")
            .contains("Line 2, downstream_port")
    );
    assert_eq!(page.attr("select#config_id option[selected]", "value"), id);
    let added = form(&manager, add, &[("config_id", &id), ("toml", FILE)]).await;
    assert_eq!(
        (added.status, added.header("location")),
        (303, Some(format!("/saved-configs/{id}").as_str()))
    );
    let shown = manager
        .ask(&format!("/saved-configs/{id}"), "text/html")
        .await;
    assert!(shown.text.contains("10 TH/s"), "{shown:?}");
}

/// A manager with a translator that is this shell script.
async fn with_script(script: &str) -> Manager {
    let scratch = tempfile::tempdir().unwrap().keep();
    let translator = scratch.join("translator_sv2");
    fs::write(&translator, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&translator, fs::Permissions::from_mode(0o755)).unwrap();
    Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec!["--translator".into(), translator.display().to_string()],
    })
    .await
}

#[tokio::test]
async fn a_trial_reports_client_translator_and_servers() {
    let simulate = format!(
        "exec {} simulate translator \"$@\"",
        env!("CARGO_BIN_EXE_jd-manager")
    );
    let manager = with_script(&simulate).await;
    let id = manager
        .save_config("farm", &with_translator(free_port()))
        .await;
    let path = format!("/saved-configs/{id}/trial");
    let tried = bare(&manager, "POST", &path).await.json(200);
    assert_eq!(
        (
            &tried["accepted"],
            &tried["translator"]["accepted"],
            &tried["translator"]["version"]
        ),
        (&json!(true), &json!(true), &json!("0.6.0")),
        "{tried}"
    );
    let peers: Vec<(&str, bool, &str)> = tried["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| {
            (
                peer["what"].as_str().unwrap(),
                peer["listens"].as_bool().unwrap(),
                peer["detail"].as_str().unwrap(),
            )
        })
        .collect();
    let start = |what: &str| {
        let (.., detail) = peers.iter().find(|(name, ..)| *name == what).unwrap();
        (*detail).to_owned()
    };
    assert!(peers.iter().all(|(_, listens, _)| !listens), "{peers:?}");
    for (what, words) in [
        (
            "Template provider",
            "The template provider (127.0.0.1:1) refused",
        ),
        ("Pool 1", "Pool 1 (127.0.0.1:2) refused"),
        (
            "Job declaration server 1",
            "The job declaration server of pool 1 (127.0.0.1:3) refused",
        ),
    ] {
        assert!(start(what).starts_with(words), "{peers:?}");
    }
    let page = form(&manager, &path, &[]).await.page(200);
    assert!(
        page.one("h1")
            .contains("Accepted by the client and the translator")
    );
    assert!(
        page.one("section[aria-labelledby='peers']")
            .contains("Pool 1")
    );
    assert!(!manager.data_dir().join("trials").exists());

    // A configuration without a port for Stratum V1 miners needs no translator.
    let config = pool_config(free_port(), free_port(), 1, 2, 3);
    let plain = manager.save_config("plain", &config).await;
    let tried = bare(&manager, "POST", &format!("/saved-configs/{plain}/trial"))
        .await
        .json(200);
    assert_eq!(
        (&tried["accepted"], tried.get("translator")),
        (&json!(true), None),
        "{tried}"
    );
}

#[tokio::test]
async fn a_translator_that_does_not_accept_its_file_is_reported_beside_the_client() {
    for (script, words, has_version) in [
        (
            "[ \"$1\" = --version ] && exec echo translator_sv2 0.6.0\necho 'Translator proxy config error: Bad `config` TOML deserialize: `missing field `upstreams``' >&2; exit 1",
            "Translator 0.6.0 rejects this configuration: ",
            true,
        ),
        (
            "exec echo jd_client_sv2 0.6.0",
            "is a different program",
            false,
        ),
        ("exit 3", "exited with code 3", false),
    ] {
        let manager = with_script(script).await;
        let id = manager
            .save_config("farm", &with_translator(free_port()))
            .await;
        let path = format!("/saved-configs/{id}/trial");
        let tried = bare(&manager, "POST", &path).await.json(200);
        let translator = &tried["translator"];
        assert_eq!(
            (
                &tried["accepted"],
                &translator["accepted"],
                translator["version"].is_string()
            ),
            (&json!(true), &json!(false), has_version),
            "{tried}"
        );
        assert!(
            translator["message"].as_str().unwrap().contains(words),
            "{tried}"
        );
        let page = form(&manager, &path, &[]).await.page(200);
        assert!(page.one("h1").contains("Not accepted by the translator"));
    }
    // No translator beside the client.
    let manager = Manager::start().await;
    let id = manager
        .save_config("farm", &with_translator(free_port()))
        .await;
    let tried = bare(&manager, "POST", &format!("/saved-configs/{id}/trial"))
        .await
        .json(200);
    assert!(
        tried["translator"]["message"]
            .as_str()
            .unwrap()
            .contains("has no translator"),
        "{tried}"
    );
}
