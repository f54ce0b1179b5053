//! `/health`: the manager's own.

use super::{bare, form, send, swap};
use crate::harness::Manager;
use serde_json::json;

#[tokio::test]
async fn it_says_that_the_manager_is_well_and_since_when() {
    let manager = Manager::start().await;
    // Asked by tools of all kinds, which send whatever they send: always the same JSON.
    for (path, accept) in [
        ("/health", "*/*"),
        ("/api/health", "*/*"),
        ("/health", "application/json"),
        ("/health", "text/html"),
        ("/health", "text/plain"),
    ] {
        let body = manager.ask(path, accept).await.json(200);
        assert_eq!(body["status"], json!("ok"), "{path} {accept}");
        assert!(
            body["uptime"].as_u64().is_some_and(|seconds| seconds < 600),
            "whole seconds: {body}"
        );
        assert_eq!(body["notices"], json!([]), "{path} {accept}");
        let now: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(
            (jiff::Timestamp::now().as_second() - now.as_second()).abs() < 60,
            "{body}"
        );
    }
    let head = bare(&manager, "HEAD", "/health").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let refused = bare(&manager, "POST", "/health").await;
    refused.problem(405);
    assert_eq!(refused.allow(), ["GET", "HEAD"]);
}

const CHECKS: [&str; 10] = [
    "process",
    "template",
    "upstream",
    "shares",
    "monitoring",
    "clock",
    "memory",
    "disk",
    "logs",
    "version",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_checked_on_demand_and_its_results_are_kept() {
    let (manager, id) = Manager::measured().await;
    let checked = bare(&manager, "POST", &format!("/api/health/{id}/check"))
        .await
        .json(200);
    let results = checked["results"].as_array().unwrap().clone();
    let types: Vec<&str> = results
        .iter()
        .map(|r| r["check_type"].as_str().unwrap())
        .collect();
    assert_eq!(types, CHECKS);
    for result in &results {
        let status = result["status"].as_str().unwrap();
        assert!(
            ["healthy", "warning", "unhealthy", "unknown"].contains(&status),
            "{result}"
        );
        assert!(
            !result["message"].as_str().unwrap().is_empty()
                && result["timestamp"].as_str().unwrap().ends_with('Z'),
            "{result}"
        );
    }
    let status = manager.json(&format!("/api/health/{id}/status")).await;
    assert_eq!(status["status"].as_object().unwrap().len(), CHECKS.len());
    assert_eq!(status["status"]["process"]["status"], "healthy", "{status}");
    let history = manager
        .json(&format!("/api/health/{id}/history?limit=10"))
        .await;
    let rows = history["history"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    assert!(
        rows.windows(2)
            .all(|pair| pair[0]["id"].as_i64() > pair[1]["id"].as_i64()),
        "newest first: {history}"
    );
    let oldest = rows[9]["id"].as_i64().unwrap();
    let older = manager
        .json(&format!(
            "/api/health/{id}/history?limit=1000&before={oldest}"
        ))
        .await;
    assert!(
        older["history"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["id"].as_i64().unwrap() < oldest)
    );
    let score = manager.json(&format!("/api/health/{id}/score")).await;
    assert!(
        (1..=100).contains(&score["score"].as_u64().unwrap()),
        "{score}"
    );
    // They are series, too.
    let types = manager
        .json(&format!("/api/metrics/{id}/types"))
        .await
        .to_string();
    assert!(
        types.contains("health_score") && types.contains("health:process"),
        "{types}"
    );
    // The same for a person, with and without JavaScript.
    let page = manager
        .ask(&format!("/health/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(
        page.count("#checks table:first-of-type tbody tr"),
        CHECKS.len() + page.count("#facts ~ table tr")
    );
    assert_eq!(
        page.count("#checks svg[aria-hidden=true] ~ p"),
        2,
        "the strip stands in words, too"
    );
    let pressed = form(&manager, &format!("/health/{id}/check"), &[]).await;
    assert_eq!(
        (pressed.status, pressed.header("location")),
        (303, Some(format!("/health/{id}").as_str()))
    );
    let swapped = swap(&manager, &format!("/health/{id}/check"), "div#checks", &[]).await;
    assert!(
        swapped.text.trim_start().starts_with("<div id=\"checks\">"),
        "{}",
        swapped.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_instance_is_neither_well_nor_down_and_an_unknown_one_is_not_there() {
    let manager = Manager::start().await;
    let id = manager.instance("attic").await;
    let report = manager.json(&format!("/api/health/{id}")).await;
    assert_eq!(
        (&report["status"], &report["score"]),
        (&json!("unknown"), &json!(0)),
        "{report}"
    );
    assert_eq!(report["results"][0]["status"], "unknown", "{report}");
    assert!(
        manager
            .page(&format!("/health/{id}"))
            .await
            .contains("not rated")
    );
    assert!(!manager.page("/").await.contains("Needs attention"));
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (method, path) in [
        ("GET", format!("/api/health/{nobody}")),
        ("GET", format!("/api/health/{nobody}/status")),
        ("GET", format!("/api/health/{nobody}/score")),
        ("GET", format!("/api/health/{nobody}/history")),
        ("POST", format!("/api/health/{nobody}/check")),
    ] {
        bare(&manager, method, &path).await.problem(404);
    }
    for query in ["limit=0", "limit=1001", "limit=x", "before=x"] {
        bare(
            &manager,
            "GET",
            &format!("/api/health/{id}/history?{query}"),
        )
        .await
        .problem(422);
    }
    let wrong = send(
        &manager,
        "PATCH",
        &format!("/api/health/{id}/cures"),
        &json!({ "solo": "perhaps" }),
    )
    .await;
    assert_eq!(wrong.pointers(), ["/solo"]);
    // Boxes that are not ticked are not sent.
    form(
        &manager,
        &format!("/health/{id}/cures"),
        &[("memory", "on")],
    )
    .await;
    let report = manager.json(&format!("/api/health/{id}")).await;
    assert_eq!(
        report["cures"],
        json!({ "frozen": false, "hung": false, "memory": true, "preferred": false, "silent": false, "solo": false, "translator": false })
    );
    let page = manager
        .ask(&format!("/health/{id}"), "text/html")
        .await
        .page(200);
    assert_eq!(page.count("form fieldset input[checked]"), 1);
    // A program that sends a form changes what it mentions, to what it says.
    let patched = manager
        .request("PATCH", &format!("/api/health/{id}/cures"))
        .form(&[("solo", "false"), ("frozen", "true")])
        .send();
    assert_eq!(patched.await.unwrap().status(), 200);
    let report = manager.json(&format!("/api/health/{id}")).await;
    assert_eq!(
        report["cures"],
        json!({ "frozen": true, "hung": false, "memory": true, "preferred": false, "silent": false, "solo": false, "translator": false })
    );
    // With the instance goes all that was kept of its health.
    manager.delete(&format!("/api/instances/{id}")).await;
    bare(&manager, "GET", &format!("/api/health/{id}"))
        .await
        .problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_followed_as_it_changes() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let mut stream = manager
        .request("GET", &format!("/api/health/{id}"))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    manager.act(&format!("/api/instances/{id}/start")).await;
    let mut text = String::new();
    let heard = async {
        while !(text.contains("\"score\":0") && text.contains("\"place\":\"solo\"")) {
            text.push_str(&String::from_utf8_lossy(
                &stream.chunk().await.unwrap().unwrap(),
            ));
        }
    };
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(20), heard)
            .await
            .is_ok(),
        "{text}"
    );
    assert!(text.starts_with("event: health\n"), "{text}");
}

/// A script in a loop must not fill the database.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_check_again_and_again_gets_the_same_for_a_second() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let path = format!("/api/health/{id}/check");
    let when = |checked: &serde_json::Value| {
        checked["results"][0]["timestamp"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let begun = std::time::Instant::now();
    let asked =
        futures_util::future::join_all((0..40).map(|_| bare(&manager, "POST", &path))).await;
    let times: std::collections::BTreeSet<String> = asked
        .into_iter()
        .map(|answer| when(&answer.json(200)))
        .collect();
    let most = 1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!(times.len() <= most, "{times:?} in {:?}", begun.elapsed());
    let rows = manager
        .json(&format!("/api/health/{id}/history?limit=1000"))
        .await["history"]
        .as_array()
        .unwrap()
        .len();
    assert!(rows <= CHECKS.len() * (most + 1), "{rows}");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let later = when(&bare(&manager, "POST", &path).await.json(200));
    assert!(
        !times.contains(&later),
        "after a second it is looked at anew"
    );
    // Another state is another question.
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let running = bare(&manager, "POST", &path).await.json(200);
    assert_eq!(running["results"][0]["status"], "healthy", "{running}");
    manager.act(&format!("/api/instances/{id}/stop")).await;
    manager.until_state(&id, "stopped").await;
    let stopped = bare(&manager, "POST", &path).await.json(200);
    assert_eq!(stopped["results"][0]["status"], "unknown", "{stopped}");
}
