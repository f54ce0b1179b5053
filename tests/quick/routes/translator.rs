//! What an instance shows about its translator: state and causes, its own restart, its health check,
//! and its log beside that of the client.

use super::bare;
use crate::harness::answer::{Answer, EventStream};
use crate::harness::{Manager, Plan, free_port, solo_config, until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A translator that exits with the reason in the file `fail` when that file exists. Nothing listens
/// on its ports.
const TRANSLATOR: &str = "#!/bin/sh
trap 'exit 0' INT
echo '2026-11-29T09:01:36.577512Z  INFO translator_sv2: Translator Proxy: listening on 127.0.0.1:1'
while :; do
    sleep 0.05
    if [ -e ../fail ]; then cat ../fail; rm ../fail; exit 1; fi
done
";

/// A running instance with such a translator.
async fn farm(scratch: &Path) -> (Manager, String) {
    let translator = scratch.join("translator_sv2");
    fs::write(&translator, TRANSLATOR).unwrap();
    fs::set_permissions(&translator, fs::Permissions::from_mode(0o755)).unwrap();
    let manager = Manager::launch(Plan {
        simulate: vec!["--miners".into(), "0".into()],
        client: None,
        flags: [
            "--sample-interval",
            "1s",
            "--translator",
            translator.to_str().unwrap(),
        ]
        .map(str::to_owned)
        .to_vec(),
    })
    .await;
    let mut config = solo_config(free_port(), free_port(), 1);
    config["translator"] = json!({
        "enabled": true, "listening_address": format!("127.0.0.1:{}", free_port()),
        "min_miner_hashrate": 5e11, "shares_per_minute": 6.0,
    });
    let config = manager.save_config("farm", &config).await;
    let id = manager.instance_of("farm", &config).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until_translator(&manager, &id, "running", |_| true).await;
    (manager, id)
}

async fn until_translator(
    manager: &Manager,
    id: &str,
    state: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    until(state, &mut || async {
        let instance = manager.json(&format!("/api/instances/{id}")).await;
        let translator = instance["programs"][1].clone();
        (translator["status"] == state && is_so(&translator)).then_some(translator)
    })
    .await
}

fn check(report: &Value) -> Option<&Value> {
    let results = report["results"].as_array().unwrap();
    results
        .iter()
        .find(|result| result["check_type"] == "translator")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_has_its_cause_in_events_instance_and_health() {
    let scratch = tempfile::tempdir().unwrap();
    let (manager, id) = farm(scratch.path()).await;
    let line =
        "ERROR translator_sv2::sv2::upstream: Failed to resolve upstream address jdc.example:1: x";
    let fail = manager.instance_dir(&id).join("fail");
    let exit = || async {
        fs::write(&fail, format!("{} {line}\n", jiff::Timestamp::now())).unwrap();
        until("another exit", &mut || async {
            (!fail.exists()).then_some(())
        })
        .await;
    };
    // The second wait is long enough to look at the instance.
    for failures in 1..=3 {
        exit().await;
        until_translator(&manager, &id, "backing-off", |told| {
            told["failures"] == failures
        })
        .await;
        if failures < 3 {
            until_translator(&manager, &id, "running", |_| true).await;
        }
    }
    let translator = until_translator(&manager, &id, "backing-off", |_| true).await;
    let cause = &translator["cause"];
    assert_eq!(cause["code"], "client-unknown-name", "{translator}");
    assert!(cause["advice"].as_str().unwrap().contains("IP address"));
    assert_eq!(translator["exit"], json!({ "code": 1 }));
    assert!(
        translator["last_error"]
            .as_str()
            .unwrap()
            .contains("jdc.example")
    );

    let events = manager.events(&id).await;
    let exits: Vec<&Value> = events
        .iter()
        .filter(|event| event["program"] == "translator" && event["to"] == "backing-off")
        .collect();
    assert_eq!(exits.len(), 3);
    for event in exits {
        assert_eq!(event["cause"], *cause, "{event}");
    }
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(instance["status"], "running");
    assert!(instance.get("cause").is_none(), "{instance}");

    let report = Answer::to(manager.request("POST", &format!("/api/health/{id}/check")))
        .await
        .json(200);
    let found = check(&report).unwrap();
    assert_eq!(found["status"], "unhealthy", "{found}");
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("cannot be resolved. Enter"), "{message}");

    let page = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    assert!(
        page.one("#status section.attention strong")
            .starts_with("Translator: The client's host name")
    );
    let events = manager
        .ask(&format!("/instances/{id}/events"), "text/html")
        .await
        .page(200);
    assert!(
        events
            .texts("#timeline strong")
            .iter()
            .any(|text| text.contains("cannot be resolved"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_translator_is_restarted_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (manager, id) = farm(scratch.path()).await;
    let before = manager.json(&format!("/api/instances/{id}")).await;
    let path = format!("/api/instances/{id}/restart?program=translator");
    let (status, answer) = manager.act(&path).await;
    assert_eq!(status, 200, "{answer}");
    let pid = &before["programs"][1]["pid"];
    let after = until_translator(&manager, &id, "running", |told| told["pid"] != *pid).await;
    assert_eq!(
        (&after["restarts"], &after["failures"]),
        (&json!(1), &json!(0))
    );
    let now = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(now["pid"], before["pid"]);
    let reasons: Vec<String> = manager
        .events(&id)
        .await
        .iter()
        .filter(|event| event["program"] == "translator")
        .map(|event| event["reason"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason == "translator: stop requested"),
        "{reasons:?}"
    );
    let page = manager
        .ask(&format!("/instances/{id}"), "text/html")
        .await
        .page(200);
    let forms = page.attrs("#status .actions form", "action");
    assert!(
        forms.contains(&format!("/instances/{id}/restart?program=translator")),
        "{forms:?}"
    );

    for wrong in ["program=both", "program="] {
        let answer = bare(
            &manager,
            "POST",
            &format!("/api/instances/{id}/restart?{wrong}"),
        )
        .await;
        if wrong.ends_with("both") {
            assert_eq!(answer.pointers(), ["/program"]);
        } else {
            assert_eq!(answer.status, 200);
        }
    }
    manager.act(&format!("/api/instances/{id}/stop")).await;
    manager.until_state(&id, "stopped").await;
    bare(&manager, "POST", &path).await.problem(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_instance_with_a_translator_has_its_check() {
    let scratch = tempfile::tempdir().unwrap();
    let (manager, id) = farm(scratch.path()).await;
    let report = manager.json(&format!("/api/health/{id}")).await;
    assert!(check(&report).is_some(), "{report}");
    // Nothing answers on its monitoring port.
    let page = manager
        .ask(&format!("/health/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.count("#checks table[aria-labelledby=score] tbody tr"),
        11
    );
    let other = manager.instance("barn").await;
    let report = manager.json(&format!("/api/health/{other}")).await;
    assert_eq!(
        (check(&report), report["results"].as_array().unwrap().len()),
        (None, 10)
    );
}

/// Writes both logs of a stopped instance: five lines of the client at even seconds and five of the
/// translator at odd ones.
async fn with_logs(manager: &Manager) -> String {
    let id = manager.instance("barn").await;
    let dir = manager.instance_dir(&id);
    for (name, target, first) in [
        ("logs", "jd_client_sv2::a", 0),
        ("logs-translator", "translator_sv2::b", 1),
    ] {
        let lines: String = (0..5)
            .map(|n| {
                let second = 2 * n + first;
                format!("2026-11-29T09:00:{second:02}.000000Z  INFO {target}: at {second}\n")
            })
            .collect();
        fs::create_dir_all(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("00000000000000000000.log"), lines).unwrap();
    }
    id
}

fn seconds(part: &Value) -> Vec<u64> {
    let second = |record: &Value| {
        let message = record["message"].as_str().unwrap();
        message.strip_prefix("at ").unwrap().parse().unwrap()
    };
    part["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(second)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_logs_are_read_alone_and_merged() {
    let manager = Manager::start().await;
    let id = with_logs(&manager).await;
    let path = format!("/api/instances/{id}/logs");
    for (query, expected) in [
        ("", vec![0, 2, 4, 6, 8]),
        ("?program=client", vec![0, 2, 4, 6, 8]),
        ("?program=translator", vec![1, 3, 5, 7, 9]),
        ("?program=all", (0..10).collect()),
        ("?program=all&count=3", vec![7, 8, 9]),
        ("?program=all&q=at%204", vec![4]),
    ] {
        let part = manager.json(&format!("{path}{query}")).await;
        assert_eq!(seconds(&part), expected, "{query}");
        for record in part["logs"].as_array().unwrap() {
            let is_even = seconds(&json!({ "logs": [record] }))[0].is_multiple_of(2);
            let program = if is_even { "client" } else { "translator" };
            assert_eq!(record["program"], program);
        }
    }
    // Both directions, without a gap and without a repetition.
    let (mut back, mut query) = (Vec::new(), String::new());
    loop {
        let part = manager
            .json(&format!("{path}?program=all&count=3{query}"))
            .await;
        back.splice(0..0, seconds(&part));
        if part["more"] == false {
            break;
        }
        query = format!("&before={}", part["first"].as_str().unwrap());
    }
    assert_eq!(back, (0..10).collect::<Vec<_>>());
    let (mut forth, mut after) = (Vec::new(), "0-0".to_owned());
    loop {
        let part = manager
            .json(&format!("{path}?program=all&count=3&after={after}"))
            .await;
        forth.extend(seconds(&part));
        after = part["last"].as_str().unwrap().to_owned();
        if part["more"] == false {
            break;
        }
    }
    assert_eq!(forth, back);

    for (query, pointer) in [
        ("program=pool", "/program"),
        ("program=all&after=5", "/after"),
        ("program=all&before=5-x", "/before"),
        ("after=5-5", "/after"),
    ] {
        let answer = bare(&manager, "GET", &format!("{path}?{query}")).await;
        assert_eq!(answer.pointers(), [pointer], "{query}");
    }
    let refused = bare(&manager, "GET", &format!("{path}?program=pool"))
        .await
        .problem(422);
    assert!(refused.to_string().contains("pool"), "{refused}");

    let text = manager
        .ask(
            &format!("/instances/{id}/log.txt?program=all"),
            "text/plain",
        )
        .await
        .text;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(
        lines[0].starts_with("client     2026-11-29T09:00:00"),
        "{text}"
    );
    assert!(
        lines[9].starts_with("translator 2026-11-29T09:00:09"),
        "{text}"
    );
    let text = manager
        .ask(&format!("{path}?program=translator"), "text/plain")
        .await
        .text;
    assert_eq!(text.lines().count(), 5);
    assert!(!text.contains("jd_client_sv2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_selects_a_program_only_if_there_is_a_translator() {
    let manager = Manager::start().await;
    let other = manager.instance("other").await;
    let page = manager
        .ask(&format!("/instances/{other}/logs"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("select#program"), 0);
    let id = with_logs(&manager).await;
    let page = manager
        .ask(&format!("/instances/{id}/logs"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.attrs("select#program option", "value"),
        ["client", "translator", "all"]
    );
    let page = manager
        .ask(
            &format!("/instances/{id}/logs?program=all&count=4"),
            "text/html",
        )
        .await
        .page(200);
    assert_eq!(page.attr("select#program option[selected]", "value"), "all");
    assert_eq!(page.count("#log .line"), 4);
    let stream = page.attr("#log-stream", "hx-sse:connect");
    assert!(
        stream.contains("after=") && stream.contains("program=all"),
        "{stream}"
    );
    let older = page
        .attrs("main p.sub a", "href")
        .into_iter()
        .find(|to| to.contains("before="))
        .unwrap();
    let page = manager.ask(&older, "text/html").await.page(200);
    assert_eq!(page.count("#log .line"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_both_logs_continues_at_the_last_event() {
    let manager = Manager::start().await;
    let id = with_logs(&manager).await;
    let path = format!("/api/instances/{id}/logs?program=all");
    let open = |last: Option<String>| {
        let request = manager
            .request("GET", &format!("{path}&count=4"))
            .header("accept", "text/event-stream");
        EventStream::open(match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        })
    };
    let mut stream = open(None).await;
    let mut seen = Vec::new();
    let mut last = String::new();
    while seen.len() < 2 {
        let event = stream.until(|heard| heard.event.is_empty()).await;
        seen.extend(seconds(&json!({ "logs": [event.json()] })));
        last = event.id.clone();
    }
    assert_eq!(seen, [6, 7]);
    assert!(last.contains('-'), "{last}");
    drop(stream);
    // A line of each program is written meanwhile.
    for (name, target, second) in [
        ("logs", "jd_client_sv2::a", 10),
        ("logs-translator", "translator_sv2::b", 11),
    ] {
        let file = manager
            .instance_dir(&id)
            .join(name)
            .join("00000000000000000000.log");
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str(&format!(
            "2026-11-29T09:00:{second}.000000Z  INFO {target}: at {second}\n"
        ));
        fs::write(&file, text).unwrap();
    }
    let mut stream = open(Some(last)).await;
    while seen.len() < 6 {
        let event = stream.until(|heard| heard.event.is_empty()).await;
        seen.extend(seconds(&json!({ "logs": [event.json()] })));
    }
    // Each exactly once; those of one program in their order.
    let of = |rest: u64| -> Vec<u64> { seen.iter().copied().filter(|n| n % 2 == rest).collect() };
    assert_eq!((of(0), of(1)), (vec![6, 8, 10], vec![7, 9, 11]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_before_a_deletion_includes_the_translators_log() {
    let manager = Manager::start().await;
    let id = with_logs(&manager).await;
    let question = manager.json(&format!("/api/instances/{id}/delete")).await;
    let dir = manager.instance_dir(&id);
    let size = |name: &str| {
        let file = dir.join(name).join("00000000000000000000.log");
        fs::metadata(file).unwrap().len()
    };
    assert_eq!(
        question["log_bytes"],
        size("logs") + size("logs-translator"),
        "{question}"
    );
}
