//! Instances under keepers, with real processes and real signals. Tests that need a client with
//! faults use the simulated one.

use crate::harness::disk::SmallDisk;
use crate::harness::{self, Manager, Plan, clients, is_alive, signal, until};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_started_shown_stopped_and_started_again() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(status, 200, "{body}");
    let pid = body["pid"].as_u64().unwrap();
    let running = manager.until_state(&id, "running").await;
    assert_eq!(
        (running["pid"].as_u64(), &running["running"]),
        (Some(pid), &json!(true))
    );
    assert_eq!(manager.clients(&id), [u32::try_from(pid).unwrap()]);

    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (409, Some("barn is already running."))
    );

    let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(
        (status, body["status"].as_str()),
        (200, Some("stopped")),
        "{body}"
    );
    assert!(manager.clients(&id).is_empty());
    let (status, _) = manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(status, 409);
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["exit"],
        json!({ "code": 0 })
    );

    let (status, body) = manager.act(&format!("/api/instances/{id}/restart")).await;
    assert_eq!(status, 200, "a restart starts a stopped one: {body}");
    manager.until_state(&id, "running").await;
    assert_eq!(
        manager.states(&id).await,
        [
            "starting", "running", "stopping", "stopped", "starting", "running"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_starts_at_once_make_one_client() {
    let _alone = harness::many_connections().await;
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let path = format!("/api/instances/{id}/start");
    let answers = futures_util::future::join_all((0..1000).map(|_| manager.act(&path))).await;
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 200).count(),
        1
    );
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 409).count(),
        999
    );
    manager.until_state(&id, "running").await;
    assert_eq!(manager.clients(&id).len(), 1);
    assert_eq!(
        manager
            .states(&id)
            .await
            .iter()
            .filter(|s| *s == "starting")
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_manager_finds_its_client_again_and_the_log_has_no_gap() {
    let mut manager = Manager::with_simulated(&["--lines-per-second", "1000"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let before = manager.until_state(&id, "running").await;
    for _ in 0..3 {
        manager.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        manager.begin();
        let after = manager.until_state(&id, "running").await;
        assert_eq!(after["pid"], before["pid"]);
        assert_eq!(after["startTime"], before["startTime"]);
    }
    assert_eq!(manager.clients(&id).len(), 1);
    manager.act(&format!("/api/instances/{id}/stop")).await;
    let text = manager.log_text(&id);
    let numbers: Vec<u64> = text
        .lines()
        .filter_map(|line| {
            line.split_once("line n=")?
                .1
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert!(numbers.len() > 500, "{}", numbers.len());
    assert!(
        numbers.iter().copied().eq(1..=numbers.len() as u64),
        "a line is missing or doubled"
    );
    assert_eq!(
        manager.states(&id).await,
        ["starting", "running", "stopping", "stopped"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_the_manager_is_away_is_in_the_history() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = manager.until_state(&id, "running").await["pid"]
        .as_u64()
        .unwrap();
    manager.kill();
    signal(u32::try_from(pid).unwrap(), Signal::ABORT);
    until("the keeper starts it again", || async {
        manager.log_text(&id).contains("signal 6").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    manager.begin();
    let again = manager.until_state(&id, "running").await;
    assert_ne!(again["pid"].as_u64(), Some(pid));
    assert_eq!(again["restarts"], 1);
    let events = manager.events(&id).await;
    let death = events.iter().find(|e| e["to"] == "backing-off").unwrap();
    assert_eq!(
        (&death["exit_signal"], death["pid"].as_u64()),
        (&json!(6), Some(pid))
    );
    assert_eq!(
        manager.states(&id).await,
        ["starting", "running", "backing-off", "starting", "running"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_keeper_takes_its_client_along_and_is_replaced() {
    let manager = Manager::with_simulated(&["--fork-grandchild"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = manager.until_state(&id, "running").await["pid"]
        .as_u64()
        .unwrap();
    let before: BTreeSet<u32> = manager.clients(&id).into_iter().collect();
    assert_eq!(before.len(), 2, "a client and its grandchild");
    signal(manager.keeper_pid(&id).unwrap(), Signal::KILL);
    until("another client runs", || async {
        let now = manager.json(&format!("/api/instances/{id}")).await;
        (now["status"] == "running" && now["pid"].as_u64() != Some(pid)).then_some(())
    })
    .await;
    for old in &before {
        assert!(!is_alive(*old), "{old} was left behind");
    }
    assert_eq!(manager.clients(&id).len(), 2);
    let events = manager.events(&id).await;
    assert!(
        events
            .iter()
            .any(|e| e["reason"] == "its keeper was killed, and the client with it"),
        "{events:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_nobody_asked_for_is_a_failure_even_with_code_0() {
    let manager = Manager::with_simulated(&["--lose-template-provider-after", "300ms"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let waiting = manager.until_state(&id, "backing-off").await;
    assert_eq!(waiting["exit"], json!({ "code": 0 }));
    assert!(
        waiting["last_error"]
            .as_str()
            .is_some_and(|line| line.contains("ERROR")),
        "{waiting}"
    );
    assert!(waiting["retry_at"].is_string());

    // Waits are ended by hand, and a stop ends the tries.
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "backing-off").await;
    let (status, _) = manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(status, 200);
    manager.until_state(&id, "stopped").await;
    assert!(manager.clients(&id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_error_is_told_in_the_clients_words() {
    let manager = Manager::with_simulated(&["--fail-with", "config"]).await;
    let id = manager.instance("barn").await;
    let policy = manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "restart_policy": "never" }))
        .send()
        .await
        .unwrap();
    assert_eq!(policy.status(), 200);
    manager.act(&format!("/api/instances/{id}/start")).await;
    let failed = manager.until_state(&id, "failed").await;
    assert_eq!(failed["exit"], json!({ "code": 1 }));
    assert!(
        failed["last_error"]
            .as_str()
            .unwrap()
            .contains("Job Declarator Client config error"),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stubborn_client_never_blocks_a_page_and_is_killed_in_the_end() {
    let manager =
        Manager::with_simulated(&["--ignore-sigint", "--ignore-sigterm", "--fork-grandchild"])
            .await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let before = manager.clients(&id);
    let begun = std::time::Instant::now();
    let response = manager
        .post_form(&format!("/instances/{id}/stop"), &[])
        .await;
    assert_eq!(response.status(), 303);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "the page waited {:?}",
        begun.elapsed()
    );
    assert_eq!(
        manager.until_state(&id, "stopping").await["running"],
        json!(false)
    );
    let stopped = manager.until_state(&id, "stopped").await;
    assert_eq!(stopped["exit"], json!({ "signal": 9 }));
    for pid in before {
        assert!(!is_alive(pid), "{pid} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_stops_first_and_leaves_neither_rows_nor_files() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let response = manager.delete(&format!("/api/instances/{id}")).await;
    assert_eq!(response.status(), 200);
    assert!(manager.clients(&id).is_empty());
    assert!(!manager.instance_dir(&id).exists());
    assert_eq!(
        manager.get(&format!("/api/instances/{id}")).await.status(),
        404
    );
    assert_eq!(
        manager
            .get(&format!("/api/instances/{id}/events"))
            .await
            .status(),
        404
    );
    assert_eq!(
        manager.json("/api/instances").await,
        json!({ "instances": [], "total": 0 })
    );
    assert_eq!(
        manager
            .delete(&format!("/api/instances/{id}"))
            .await
            .status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_run_is_a_clear_refusal() {
    let scratch = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8], mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let mut foreign = b"\x7fELF\x02\x01\x01".to_vec();
    foreign.resize(64, 0);
    foreign[18..20].copy_from_slice(
        &if cfg!(target_arch = "x86_64") {
            0xb7_u16
        } else {
            0x3e
        }
        .to_le_bytes(),
    );
    for (client, says) in [
        (scratch.path().join("missing"), "does not exist"),
        (write("plain", b"#!/bin/sh\n", 0o644), "is not executable"),
        (write("foreign", &foreign, 0o755), "this machine is"),
        (
            write("other", b"#!/bin/sh\necho something else\n", 0o755),
            "version",
        ),
        (write("silent", b"#!/bin/sh\nexit 3\n", 0o755), "version"),
    ] {
        let manager = Manager::with_client(&client).await;
        let id = manager.instance("barn").await;
        let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
        assert_eq!(status, 503, "{client:?}: {body}");
        assert!(
            body["detail"].as_str().unwrap().contains(says),
            "{client:?}: {body}"
        );
        assert!(
            manager
                .page("/instances")
                .await
                .contains("No client can be started")
        );
        assert_eq!(
            manager.json(&format!("/api/instances/{id}")).await["status"],
            "stopped"
        );
        let page = manager
            .post_form(&format!("/instances/{id}/start"), &[])
            .await;
        assert_eq!(page.status(), 503);
        assert!(page.text().await.unwrap().contains(says));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_the_manager_stops_its_clients_or_leaves_them() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = u32::try_from(
        manager.until_state(&id, "running").await["pid"]
            .as_u64()
            .unwrap(),
    )
    .unwrap();
    assert!(manager.terminate().success());
    assert!(!is_alive(pid));
    manager.begin();
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["status"],
        "stopped"
    );
    assert_eq!(manager.events(&id).await.last().unwrap()["exit_code"], 0);
    drop(manager);

    let plan = Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec!["--on-shutdown".into(), "leave".into()],
    };
    let mut manager = Manager::launch(plan).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = u32::try_from(
        manager.until_state(&id, "running").await["pid"]
            .as_u64()
            .unwrap(),
    )
    .unwrap();
    assert!(manager.terminate().success());
    assert!(is_alive(pid));
    manager.begin();
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["pid"].as_u64(),
        Some(u64::from(pid))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn those_with_autostart_come_up_with_the_manager() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let other = manager.instance("garage").await;
    let patch = manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "autostart": true }))
        .send()
        .await
        .unwrap();
    assert_eq!(patch.status(), 200);
    assert!(manager.terminate().success());
    manager.begin();
    manager.until_state(&id, "running").await;
    assert_eq!(
        manager.json(&format!("/api/instances/{other}")).await["status"],
        "stopped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_nothing_of_the_managers_environment_and_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = manager.until_state(&id, "running").await["pid"]
        .as_u64()
        .unwrap();
    let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let names: BTreeSet<String> = env
        .split(|b| *b == 0)
        .filter(|v| !v.is_empty())
        .map(|v| {
            String::from_utf8_lossy(v)
                .split('=')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    // A shell that runs the simulated client's script adds PWD, and some shells more.
    let allowed = [
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "RUST_LOG",
        "JD_MANAGER_INSTANCE",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    ];
    assert!(
        names.iter().all(|name| allowed.contains(&name.as_str())),
        "{names:?}"
    );
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(manager.data_dir()), 0o700);
    assert_eq!(mode(manager.data_dir().join("jd-manager.sqlite3")), 0o600);
    assert_eq!(mode(manager.instance_dir(&id)), 0o700);
    assert_eq!(mode(manager.instance_dir(&id).join("config.toml")), 0o600);
    assert_eq!(mode(manager.instance_dir(&id).join("logs")), 0o700);
    // A group and session of its own, and it dies with its keeper.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(
        (
            fields[2].parse::<u64>().unwrap(),
            fields[3].parse::<u64>().unwrap()
        ),
        (pid, pid),
        "group and session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_manager_on_one_data_directory_is_refused() {
    let manager = Manager::start().await;
    let output = std::process::Command::new(harness::PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(manager.data_dir())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("another jd-manager is already using"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_refused_with_its_holder_and_a_free_one() {
    let manager = Manager::start().await;
    let (listening, monitoring) = (harness::free_port(), harness::free_port());
    let config = harness::solo_config(listening, monitoring, 1);
    let one = manager.save_config("one", &config).await;
    let barn = manager.instance_of("barn", &one).await;
    let other = manager.save_config("other", &config).await;
    let garage = manager.instance_of("garage", &other).await;
    manager.act(&format!("/api/instances/{barn}/start")).await;
    manager.until_state(&barn, "running").await;
    let (status, body) = manager.act(&format!("/api/instances/{garage}/start")).await;
    let detail = body["detail"].as_str().unwrap();
    assert_eq!(status, 409, "{body}");
    assert!(
        detail.starts_with(&format!("garage cannot start: port {listening} for miners is already in use by the instance \"barn\".")),
        "{detail}"
    );
    assert!(detail.contains("is free."), "{detail}");
    assert!(manager.clients(&garage).is_empty());
    // Its own ports are in nobody's way.
    let (status, body) = manager.act(&format!("/api/instances/{barn}/restart")).await;
    assert_eq!(status, 200, "{body}");
    manager.until_state(&barn, "running").await;
    manager.act(&format!("/api/instances/{barn}/stop")).await;

    let other = std::net::TcpListener::bind(("127.0.0.1", monitoring)).unwrap();
    let (status, body) = manager.act(&format!("/api/instances/{barn}/start")).await;
    assert_eq!(status, 409);
    assert!(
        body["detail"].as_str().unwrap().contains(&format!(
            "{monitoring} for monitoring is already in use by quick"
        )),
        "{body}"
    );
    drop(other);
    let (status, _) = manager.act(&format!("/api/instances/{barn}/start")).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_of_a_configuration_gets_other_ports_and_pages_show_them() {
    let scratch = tempfile::tempdir().unwrap();
    let translator = clients::idle_translator(scratch.path());
    let mut manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec!["--translator".into(), translator],
    })
    .await;
    let (listening, monitoring, v1) = (
        harness::free_port(),
        harness::free_port(),
        harness::free_port(),
    );
    let mut config = harness::solo_config(listening, monitoring, 1);
    config["translator"] =
        json!({ "enabled": true, "listening_address": format!("127.0.0.1:{v1}") });
    let config = manager.save_config("shared", &config).await;
    let barn = manager.instance_of("barn", &config).await;
    let garage = manager.instance_of("garage", &config).await;
    // At the same time, so that neither listens yet when the other chooses.
    let (one, other) = (
        format!("/api/instances/{barn}/start"),
        format!("/api/instances/{garage}/start"),
    );
    let ((one, _), (other, _)) = tokio::join!(manager.act(&one), manager.act(&other));
    assert_eq!((one, other), (200, 200));
    let ports = async |manager: &Manager, id: &str| {
        let instance = manager.until_state(id, "running").await;
        let port = |at: usize| instance["addresses"][at]["port"].as_u64().unwrap();
        assert_eq!(instance["port"].as_u64(), Some(port(0)));
        let file = |name: &str| {
            let text = std::fs::read_to_string(manager.instance_dir(id).join(name)).unwrap();
            text.parse::<toml::Table>().unwrap()
        };
        let (client, translator) = (file("config.toml"), file("translator.toml"));
        assert_eq!(
            translator["downstream_port"].as_integer(),
            i64::try_from(port(1)).ok()
        );
        assert_eq!(
            translator["upstreams"][0]["port"].as_integer(),
            i64::try_from(port(0)).ok()
        );
        let monitoring =
            |file: &toml::Table| file["monitoring_address"].as_str().unwrap().to_owned();
        (
            port(0),
            port(1),
            monitoring(&client),
            monitoring(&translator),
        )
    };
    let (first, second) = (ports(&manager, &barn).await, ports(&manager, &garage).await);
    assert!(
        first.0 != second.0 && first.1 != second.1 && first.2 != second.2 && first.3 != second.3,
        "{first:?} {second:?}"
    );
    let configured = |ports: &(u64, u64, String, String)| {
        (ports.0, ports.1) == (u64::from(listening), u64::from(v1))
    };
    assert!(
        configured(&first) != configured(&second),
        "{first:?} {second:?}"
    );
    let moved = if configured(&first) { &garage } else { &barn };
    let page = manager
        .ask(&format!("/instances/{moved}"), "text/html")
        .await
        .page(200);
    assert!(
        page.one("#miner-address-v1 .warning")
            .contains(&format!("The configured port {v1} was in use")),
    );

    // Neither a restart nor a restart of the manager with both swaps their ports.
    let (status, body) = manager
        .act(&format!("/api/instances/{moved}/restart"))
        .await;
    assert_eq!(status, 200, "{body}");
    for id in [&barn, &garage] {
        manager
            .request("PATCH", &format!("/api/instances/{id}"))
            .json(&json!({ "autostart": true }))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(ports(&manager, &barn).await, first);
    assert_eq!(ports(&manager, &garage).await, second);
    assert!(manager.terminate().success());
    manager.begin();
    assert_eq!(ports(&manager, &barn).await, first);
    assert_eq!(ports(&manager, &garage).await, second);

    // Alone, it has the ports of the configuration; V1 gives way to another program.
    for id in [&barn, &garage] {
        manager.act(&format!("/api/instances/{id}/stop")).await;
        manager.until_state(id, "stopped").await;
        // An instance that starts with jd-manager keeps its ports.
        manager
            .request("PATCH", &format!("/api/instances/{id}"))
            .json(&json!({ "autostart": false }))
            .send()
            .await
            .unwrap();
    }
    let other = std::net::TcpListener::bind(("127.0.0.1", v1)).unwrap();
    let (status, body) = manager.act(&format!("/api/instances/{moved}/start")).await;
    assert_eq!(status, 200, "{body}");
    let alone = ports(&manager, moved).await;
    assert_eq!(alone.0, u64::from(listening));
    assert!(alone.1 > u64::from(v1), "{alone:?}");
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autostart_that_cannot_be_is_said_and_tried_again() {
    let mut manager = Manager::start().await;
    let (listening, monitoring) = (harness::free_port(), harness::free_port());
    let config = manager
        .save_config("solo", &harness::solo_config(listening, monitoring, 1))
        .await;
    let id = manager.instance_of("barn", &config).await;
    manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "autostart": true }))
        .send()
        .await
        .unwrap();
    assert!(manager.terminate().success());
    let other = std::net::TcpListener::bind(("127.0.0.1", listening)).unwrap();
    manager.begin();
    let waiting = manager.until_state(&id, "backing-off").await;
    assert!(
        waiting["last_error"]
            .as_str()
            .unwrap()
            .contains("for miners is already in use by quick"),
        "{waiting}"
    );
    assert!(waiting["retry_at"].is_string());
    drop(other);
    manager.until_state(&id, "running").await;
    assert_eq!(
        manager.states(&id).await,
        ["backing-off", "starting", "running"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_failures_are_given_up_on_with_the_reason() {
    let manager = Manager::with_simulated(&["--fail-with", "config"]).await;
    let id = manager.instance("barn").await;
    let limit = json!({ "restart_limit": { "failures": 2, "within_s": 600 } });
    assert_eq!(
        manager
            .request("PATCH", &format!("/api/instances/{id}"))
            .json(&limit)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "failed").await;
    assert_eq!(
        manager.states(&id).await,
        ["starting", "backing-off", "starting", "failed"]
    );
    let reason = manager.events(&id).await.last().unwrap()["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        reason,
        "the client exited unexpectedly (exit code 1), failure 2 within 10 min: giving up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_over_its_limits_ends_and_the_reason_is_recorded() {
    let manager = Manager::with_simulated(&["--grow-memory", "400"]).await;
    let id = manager.instance("barn").await;
    let limits = json!({ "memory_limit_mib": 128, "open_files_limit": 200, "nice": 7, "restart_policy": "never" });
    assert_eq!(
        manager
            .request("PATCH", &format!("/api/instances/{id}"))
            .json(&limits)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let (_, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = body["pid"].as_u64().unwrap();
    let set = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = |name: &str| {
        set.lines()
            .find(|l| l.starts_with(name))
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line("Max open files")[3..5], ["200", "200"]);
    assert_eq!(line("Max data size")[3..5], ["134217728", "134217728"]);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert_eq!(
        stat.rsplit(") ").next().unwrap().split(' ').nth(16),
        Some("7"),
        "{stat}"
    );
    let failed = manager.until_state(&id, "failed").await;
    assert_eq!(failed["exit"], json!({ "signal": 6 }));
    assert!(
        failed["last_error"]
            .as_str()
            .unwrap()
            .contains("memory allocation"),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_acts_on_many_with_a_result_for_each() {
    let manager = Manager::start().await;
    let ids = [
        manager.instance("barn").await,
        manager.instance("garage").await,
        manager.instance("attic").await,
    ];
    let unknown = "00000000-0000-4000-8000-000000000000";
    let response = manager
        .post_json(
            "/api/instances/actions",
            &json!({ "action": "start", "ids": [&ids[0], &ids[1], unknown] }),
        )
        .await;
    assert_eq!(response.status(), 200);
    let body: serde_json::Value = response.json().await.unwrap();
    let done: Vec<bool> = body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["success"].as_bool().unwrap())
        .collect();
    assert_eq!(
        (done, &body["success"]),
        (vec![true, true, false], &json!(false)),
        "{body}"
    );
    manager.until_state(&ids[0], "running").await;
    manager.until_state(&ids[1], "running").await;
    assert_eq!(
        manager.json(&format!("/api/instances/{}", ids[2])).await["status"],
        "stopped"
    );

    let page = manager
        .post_form(
            "/instances/actions",
            &[("action", "stop"), ("ids", &ids[0]), ("ids", &ids[1])],
        )
        .await;
    // The result has an address, so that loading it again does not repeat the action.
    assert_eq!(page.status(), 303);
    let result = page.headers()["location"].to_str().unwrap().to_owned();
    until("the result", || async {
        let page = manager.page(&result).await;
        page.contains("Stop: 2 of 2 done").then_some(())
    })
    .await;
    let response = manager
        .post_json(
            "/api/instances/actions",
            &json!({ "action": "start", "all": true }),
        )
        .await;
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["results"].as_array().unwrap().len(), 3, "{body}");
    let refused = manager
        .post_json("/api/instances/actions", &json!({ "action": "start" }))
        .await;
    assert_eq!(refused.status(), 422);
}

/// Last words of several kilobytes, again and again, under kills of managers and keepers: the
/// journal stays short, and the history whole.
#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_a_client_that_fails_again_and_again_stays_short() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = tempfile::tempdir().unwrap();
    let client = scratch.path().join("client");
    let script = "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'jd_client_sv2 0.6.0'; exit; fi\n\
        for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do\n\
        printf '2026-01-01T00:00:00.000000Z ERROR jd_client_sv2: %02000d\\n' $n\ndone\nexit 1\n";
    std::fs::write(&client, script).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut manager = Manager::with_client(&client).await;
    let id = manager.instance("barn").await;
    manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "restart_policy": "always" }))
        .send()
        .await
        .unwrap();
    let journal = manager.instance_dir(&id).join("events.jsonl");
    let starts = |events: Vec<serde_json::Value>| {
        events
            .iter()
            .filter(|event| event["to"] == "starting")
            .count()
    };
    let mut longest = 0;
    for round in 0..60 {
        let before = starts(manager.events(&id).await);
        // It waits for its next try, of which this is one. That try may begin by itself at this
        // moment.
        let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
        assert!(
            matches!(status, 200 | 409),
            "round {round}: {status} {body}"
        );
        until("it has failed", || async {
            let now = manager.json(&format!("/api/instances/{id}")).await;
            (now["status"] == "backing-off" && starts(manager.events(&id).await) > before)
                .then_some(())
        })
        .await;
        longest = longest.max(std::fs::metadata(&journal).unwrap().len());
        if round % 20 == 7 {
            manager.kill();
            manager.begin();
        }
        if round % 20 == 17 {
            signal(manager.keeper_pid(&id).unwrap(), Signal::KILL);
        }
    }
    let written: u64 = manager
        .events(&id)
        .await
        .iter()
        .filter(|event| event["last_error"].is_string())
        .count() as u64
        * 5_000;
    assert!(written > 250_000, "{written}");
    assert!(longest < 64 * 1024 + 12 * 1024, "{longest}");
    // Each change once and in order: what one leads to is where the next begins, but for keepers
    // that were killed.
    let events = manager.events(&id).await;
    let breaks = events
        .windows(2)
        .filter(|pair| pair[0]["to"] != pair[1]["from"])
        .count();
    assert!(breaks <= 6, "{breaks} of {}", events.len());
    let mut times: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["timestamp"].clone(),
                event["to"].clone(),
                event["pid"].clone(),
            )
        })
        .collect();
    let all = times.len();
    times.dedup();
    assert_eq!(times.len(), all, "an entry was read twice");
}

/// A client that leaves processes behind as daemons do: one holds the miners' port in a session of
/// its own, one has cleared its environment and ignores SIGTERM, one starts others all the time,
/// and one never stays in one process for long.
fn write_messy_client(manager: &Manager, flags: &str) {
    let program = harness::PROGRAM;
    let hop = manager.scratch().join("hop");
    std::fs::write(&hop, "setsid sh \"$0\" >/dev/null 2>&1 &\n").unwrap();
    manager.write_client(&format!(
        "case \"$*\" in *--version*) exec '{program}' simulate \"$@\" ;; esac\n\
         setsid '{program}' simulate \"$@\" >/dev/null 2>&1 &\n\
         (setsid env -i '{program}' simulate --sleep-for-ever >/dev/null 2>&1 &)\n\
         (setsid env -i sh -c 'for i in $(seq 300); do sleep 300 & sleep 0.05; done' >/dev/null 2>&1 &)\n\
         sh '{}' &\n\
         exec '{program}' simulate --no-sockets {flags} \"$@\"",
        hop.display()
    ));
}

/// A configuration on ports of its own and an instance of it; returns the instance's id and the
/// miners' port.
async fn instance_with_port(manager: &Manager, name: &str) -> (String, u16) {
    let port = harness::free_port();
    let config = manager
        .save_config(name, &harness::solo_config(port, harness::free_port(), 1))
        .await;
    (manager.instance_of(name, &config).await, port)
}

/// Starts an instance of the messy client and waits until all its processes are there; returns
/// those that stay.
async fn start_messy(manager: &Manager, id: &str, port: u16) -> BTreeSet<u32> {
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(status, 200, "{body}");
    let work = manager.instance_dir(id).join("work");
    let stay = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(8).any(|w| w == b"simulate"))
    };
    until("the client has left processes behind", || async {
        let found: BTreeSet<u32> = harness::processes_in(&work)
            .into_iter()
            .filter(stay)
            .collect();
        (found.len() == 3 && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
            .then_some(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_instance_has_no_process_left_and_others_keep_theirs() {
    let manager = Manager::start().await;
    write_messy_client(&manager, "");
    let ((barn, barn_port), (garage, garage_port)) = (
        instance_with_port(&manager, "barn").await,
        instance_with_port(&manager, "garage").await,
    );
    start_messy(&manager, &barn, barn_port).await;
    let others = start_messy(&manager, &garage, garage_port).await;
    let work = manager.instance_dir(&barn).join("work");
    assert!(
        harness::processes_in(&work).len() > manager.clients(&barn).len(),
        "some bear no mark"
    );

    // With the next client none of those of the one before is left.
    let before = manager.until_state(&barn, "running").await["pid"].clone();
    let (status, body) = manager.act(&format!("/api/instances/{barn}/restart")).await;
    assert_eq!(status, 200, "{body}");
    let after = until("a new client", || async {
        let instance = manager.json(&format!("/api/instances/{barn}")).await;
        (instance["status"] == "running" && instance["pid"] != before)
            .then_some(instance["pid"].clone())
    })
    .await;
    assert_ne!(before, after);

    let (status, body) = manager.act(&format!("/api/instances/{barn}/stop")).await;
    assert_eq!(
        (status, body["status"].as_str()),
        (200, Some("stopped")),
        "{body}"
    );
    assert_eq!(harness::processes_in(&work), Vec::<u32>::new());
    std::net::TcpListener::bind(("127.0.0.1", barn_port)).expect("its port is free");
    assert!(
        manager
            .log_text(&barn)
            .contains("processes left by the client"),
        "{}",
        manager.log_text(&barn)
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{barn}")).await["exit"],
        json!({ "code": 0 })
    );

    for pid in &others {
        assert!(is_alive(*pid), "{pid} is another instance's");
    }
    std::net::TcpStream::connect(("127.0.0.1", garage_port)).expect("the other one serves miners");
    manager.act(&format!("/api/instances/{garage}/stop")).await;
    manager.until_state(&garage, "stopped").await;
    assert_eq!(
        harness::processes_in(&manager.instance_dir(&garage).join("work")),
        Vec::<u32>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_by_itself_leaves_nothing_behind_either() {
    let manager = Manager::start().await;
    write_messy_client(&manager, "--die-after 2s");
    let (id, port) = instance_with_port(&manager, "barn").await;
    let policy = json!({ "restart_policy": "never" });
    assert_eq!(
        manager
            .request("PATCH", &format!("/api/instances/{id}"))
            .json(&policy)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "failed").await;
    assert_eq!(
        harness::processes_in(&manager.instance_dir(&id).join("work")),
        Vec::<u32>::new()
    );
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("its port is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_the_client_runs_is_reaped_by_the_keeper() {
    let manager = Manager::start().await;
    manager.write_client(&format!(
        "for i in $(seq 30); do (setsid sleep 0.$((i % 9 + 1)) &); done\nexec '{}' simulate \"$@\"",
        harness::PROGRAM
    ));
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let keeper = manager.keeper_pid(&id).unwrap();
    let children =
        || std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    until("the client alone is left", || async {
        (children().split_whitespace().count() == 1).then_some(())
    })
    .await;
    assert_eq!(
        children().trim(),
        manager.json(&format!("/api/instances/{id}")).await["pid"].to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_data_directory_does_not_end_the_clients_of_the_original() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let pid = manager.until_state(&id, "running").await["pid"]
        .as_u64()
        .unwrap();
    let mut copy = Manager::start().await;
    assert!(copy.terminate().success());
    std::fs::remove_dir_all(copy.data_dir()).unwrap();
    manager.kill();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(manager.data_dir())
        .arg(copy.data_dir())
        .status()
        .unwrap();
    assert!(copied.success());
    manager.begin();
    let starts = |manager: &Manager| {
        manager
            .log_text(&id)
            .matches("jd_manager::keeper: started")
            .count()
    };
    // It was to run, so the manager of the copy starts it; a keeper that starts looks for what an
    // earlier one left.
    copy.begin();
    until("the copy's keeper starts its client", || async {
        (starts(&copy) > starts(&manager)).then_some(())
    })
    .await;
    assert!(is_alive(u32::try_from(pid).unwrap()));
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["pid"].as_u64(),
        Some(pid)
    );
    copy.act(&format!("/api/instances/{id}/stop")).await;
    copy.until_state(&id, "stopped").await;
    assert!(is_alive(u32::try_from(pid).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_start_says_why_and_a_stop_works() {
    let mut manager = Manager::start().await;
    let (barn, attic, garage) = (
        manager.instance("barn").await,
        manager.instance("attic").await,
        manager.instance("garage").await,
    );
    // The whole data directory on a file system of 16 MiB.
    assert!(manager.terminate().success());
    let aside = manager.scratch().join("aside");
    std::fs::rename(manager.data_dir(), &aside).unwrap();
    std::fs::create_dir(manager.data_dir()).unwrap();
    let disk = SmallDisk::mount_at(&manager.data_dir(), "16m");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(aside.join("."))
        .arg(disk.path())
        .status()
        .unwrap();
    assert!(copied.success());
    manager.begin();
    for id in [&barn, &attic] {
        manager.act(&format!("/api/instances/{id}/start")).await;
        manager.until_state(id, "running").await;
    }

    let mut ballast = vec![disk.fill()];
    let start = format!("/api/instances/{garage}/start");
    let (mut status, mut body) = manager.act(&start).await;
    // The database may have returned room after the disk was filled.
    for _ in 0..5 {
        if status != 200 {
            break;
        }
        let (stopped, _) = manager.act(&format!("/api/instances/{garage}/stop")).await;
        assert_eq!(stopped, 200);
        ballast.push(disk.fill());
        (status, body) = manager.act(&start).await;
    }
    let detail = body["detail"].as_str().unwrap();
    assert_eq!(status, 503, "{body}");
    // A file of the instance is named if it is the first that finds no room; it may also be the
    // database.
    assert!(detail.starts_with("The disk is full"), "{detail}");
    assert!(detail.contains("Free up some space"), "{detail}");
    let page = manager
        .post_form(&format!("/instances/{garage}/start"), &[])
        .await;
    assert_eq!(page.status(), 503);
    let many = manager
        .post_json(
            "/api/instances/actions",
            &json!({ "action": "start", "ids": [&garage] }),
        )
        .await;
    let many: serde_json::Value = many.json().await.unwrap();
    assert!(
        many["results"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("The disk is full"),
        "{many}"
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{garage}")).await["status"],
        "stopped"
    );

    let (status, body) = manager.act(&format!("/api/instances/{barn}/stop")).await;
    assert_eq!(
        (status, body["message"].as_str()),
        (200, Some("barn has stopped: exit code 0.")),
        "{body}"
    );
    assert!(manager.clients(&barn).is_empty());
    assert_eq!(
        manager.json(&format!("/api/instances/{barn}")).await["status"],
        "stopped"
    );
    let (status, body) = manager.act(&format!("/api/instances/{barn}/stop")).await;
    assert_eq!(
        (status, body["detail"].as_str()),
        (409, Some("barn is already stopped."))
    );
    drop(ballast);
    let whole = ["starting", "running", "stopping", "stopped"];
    until("its history is whole", || async {
        (manager.states(&barn).await == whole).then_some(())
    })
    .await;
    until("what is wanted is saved", || async {
        (manager.json(&format!("/api/instances/{barn}")).await["desired"] == "stopped")
            .then_some(())
    })
    .await;

    // The same when the manager is killed before it could write anything: the keeper has written it
    // down.
    let ballast = disk.fill();
    let (status, body) = manager.act(&format!("/api/instances/{attic}/stop")).await;
    assert_eq!(
        (status, body["status"].as_str()),
        (200, Some("stopped")),
        "{body}"
    );
    manager.kill();
    drop(ballast);
    manager.begin();
    assert_eq!(manager.states(&attic).await, whole);
    assert_eq!(manager.events(&attic).await.last().unwrap()["exit_code"], 0);
    let (status, body) = manager.act(&format!("/api/instances/{garage}/start")).await;
    assert_eq!(status, 200, "{body}");
    manager.act(&format!("/api/instances/{garage}/stop")).await;
    assert!(manager.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_said() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let dir = manager.instance_dir(&id);
    std::fs::create_dir_all(&dir).unwrap();
    let disk = SmallDisk::mount_at(&dir, "1m");
    disk.make_read_only();
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    let says = format!("The disk is read-only ({}", dir.display());
    assert!(
        status == 503 && body["detail"].as_str().unwrap().starts_with(&says),
        "{status} {body}"
    );
    drop(disk);
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(status, 200, "{body}");
}
