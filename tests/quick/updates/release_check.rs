//! Release checks: results, request rate, and stored state.

use crate::harness::Manager;
use crate::harness::clients::version;
use crate::harness::releases::{Offered, Releases};
use crate::harness::update_jobs::install;
use serde_json::json;

#[tokio::test]
async fn releases_are_looked_for_and_what_is_new_is_said() {
    let releases = Releases::serve(vec![
        Offered::new("v0.8.0", &version("0.6.0")),
        Offered::new("v0.7.0", &version("0.5.0")),
    ])
    .await;
    let manager = Manager::with_store(&releases.base(), &[]).await;

    // Before anything is known.
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert_eq!(page.one("h1"), "No client installed");
    assert_eq!(
        page.attr("#first ~ p a.primary", "href"),
        "/updates/install"
    );
    let overview = manager.ask("/", "text/html").await.page(200);
    assert_eq!(overview.attr("#noclient ~ p a", "href"), "/updates");

    let news = manager.json("/api/updates/check").await;
    assert_eq!(
        (&news["available"], &news["latest"], &news["current"]),
        (&json!(true), &json!("v0.8.0"), &json!(null))
    );
    assert_eq!(news["latest_client"], "0.6.0");
    assert_eq!(news["releases"][1]["asset"]["state"], "ready");
    // An answer that is fresh is not asked for again; an older one with what is known of it.
    manager.json("/api/updates/check").await;
    assert_eq!(releases.count("/releases"), 1);

    install(&manager, "v0.7.0").await;
    let news = manager.json("/api/updates").await;
    assert_eq!(
        (&news["available"], &news["current"], &news["current_tag"]),
        (&json!(true), &json!("0.5.0"), &json!("v0.7.0"))
    );
    let overview = manager.ask("/", "text/html").await.page(200);
    assert!(
        overview
            .one("p.notice")
            .contains("v0.8.0 with client 0.6.0"),
        "{}",
        overview.one("p.notice")
    );
    let all = manager.json("/api/updates/all").await;
    let rows = all["updates"].as_array().unwrap();
    let row = rows.iter().find(|row| row["version"] == "v0.7.0").unwrap();
    assert!(row["installed"] == true && row["installed_at"].is_string() && row["id"].is_i64());
    assert!(
        row["download_url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1")
            && row["changelog"].as_str().unwrap().contains("Notes")
    );

    // Notes are not trusted.
    let page = manager.page("/updates").await;
    assert!(
        page.contains("&#60;script&#62;") && !page.contains("<script>alert"),
        "notes are escaped"
    );
    install(&manager, "v0.8.0").await;
    let version = manager.json("/api/updates/version").await;
    assert_eq!(
        (&version["version"], &version["name"], &version["source"]),
        (&json!("0.5.0"), &json!("0.5.0"), &json!("release"))
    );
    assert_eq!(version["sha256"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again_and_a_token_goes_to_the_api_alone() {
    let releases = Releases::serve(vec![Offered::new("v0.8.0", &version("0.6.0"))]).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "ghp_secret\n").unwrap();
    let mut manager = Manager::with_store(
        &releases.base(),
        &["--release-token-file", token.path().to_str().unwrap()],
    )
    .await;
    manager.json("/api/updates/check").await;
    // What is remembered outlives the manager; that the answer is fresh is remembered, too, so it
    // is made older.
    manager.kill();
    age_answer(&manager);
    manager.begin();
    assert_eq!(
        manager.json("/api/updates").await["releases"][0]["tag"],
        "v0.8.0"
    );
    manager.json("/api/updates/check").await;
    assert_eq!((releases.count("/releases"), releases.unchanged()), (2, 1));
    assert_eq!(
        manager.json("/api/updates").await["releases"][0]["tag"],
        "v0.8.0"
    );

    install(&manager, "v0.8.0").await;
    assert!(
        releases
            .authorisations("/releases")
            .iter()
            .all(|with| with.as_deref() == Some("Bearer ghp_secret"))
    );
    assert_eq!(releases.authorisations("/files"), [None]);
    assert!(
        !manager.log().contains("ghp_secret")
            && !manager.page("/updates").await.contains("ghp_secret")
    );
}

pub(super) fn age_answer(manager: &Manager) {
    use diesel::prelude::*;
    let path = manager.data_dir().join("jd-manager.sqlite3");
    let mut db = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    // The manager may be writing.
    diesel::sql_query("PRAGMA busy_timeout = 10000")
        .execute(&mut db)
        .unwrap();
    let changed = diesel::sql_query(
        "UPDATE update_state SET checked = json_set(checked, '$.at', '2026-01-01T00:00:00Z', '$.asked_at', '2026-01-01T00:00:00Z')",
    );
    assert_eq!(changed.execute(&mut db).unwrap(), 1);
}

#[tokio::test]
async fn a_refusal_for_asking_too_often_is_heeded() {
    let releases = Releases::serve(Vec::new()).await;
    let reset = (std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 600)
        .to_string();
    releases.instead(Some((
        403,
        vec![
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset", reset),
        ],
    )));
    let manager = Manager::with_store(&releases.base(), &[]).await;
    for _ in 0..3 {
        let answer = manager.ask("/api/updates/check", "application/json").await;
        let problem = answer.problem(503);
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((500..=600).contains(&wait), "{wait} {problem}");
    }
    assert_eq!(
        releases.count("/releases"),
        1,
        "it was asked again before it allowed that"
    );
    assert!(
        manager
            .ask("/updates", "text/html")
            .await
            .page(200)
            .one("p.notice")
            .contains("limits the number of requests")
    );

    releases.instead(Some((429, vec![("retry-after", "30".into())])));
    let other = Manager::with_store(&releases.base(), &[]).await;
    let answer = other.ask("/api/updates/check", "application/json").await;
    answer.problem(503);
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            <= 30
    );
}

#[tokio::test]
async fn a_source_that_fails_is_named_and_loses_nothing() {
    let releases = Releases::serve(vec![Offered::new("v0.8.0", &version("0.6.0"))]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let form = manager.post_form("/updates/check", &[]).await;
    assert_eq!(
        (
            form.status().as_u16(),
            form.headers()["location"].to_str().unwrap()
        ),
        (303, "/updates")
    );
    for status in [500, 403, 404] {
        releases.instead(Some((status, Vec::new())));
        age_answer(&manager);
        let detail = manager
            .ask("/api/updates/check", "application/json")
            .await
            .problem(503)["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            detail.contains("127.0.0.1") && detail.contains(&status.to_string()),
            "{detail}"
        );
        assert_eq!(manager.json("/api/updates").await["latest"], "v0.8.0");
    }
    // A failure, too, is not asked about again at once, nor is a tag that nobody knows by merely
    // looking.
    let asked = releases.count("/releases");
    for _ in 0..3 {
        manager
            .ask("/api/updates/check", "application/json")
            .await
            .problem(503);
        manager
            .ask("/api/updates/install?version=v9.9.9", "application/json")
            .await
            .problem(404);
    }
    assert_eq!(releases.count("/releases"), asked);
    // A person sees why on the page.
    let form = manager.post_form("/updates/check", &[]).await;
    assert_eq!(form.status(), 303);
    assert!(
        manager
            .page("/updates")
            .await
            .contains("Cannot check for releases")
    );
}

#[tokio::test]
async fn with_a_client_of_ones_own_nothing_is_managed() {
    let manager = Manager::start().await;
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert!(page.one("#fixed ~ p").contains("--client"));
    for (path, body) in [
        ("/api/updates/install", json!({"version": "v0.8.0"})),
        ("/api/updates/switch", json!({"version": "0.6.0"})),
        ("/api/updates/rollback", json!({})),
    ] {
        let response = manager.post_json(path, &body).await;
        assert_eq!(response.status(), 409, "{path}");
        assert!(response.text().await.unwrap().contains("--client"));
    }
    let version = manager.json("/api/updates/version").await;
    assert_eq!(
        (&version["version"], &version["source"]),
        (&json!("0.6.0"), &json!("setting"))
    );
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_named() {
    let releases = Releases::serve(vec![Offered::new("v0.8.0", &version("0.6.0"))]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let refused = async |path: &str, body: serde_json::Value| {
        let response = manager.post_json(path, &body).await;
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for (path, body, status, says) in [
        (
            "/api/updates/install",
            json!({"version": "../../etc"}),
            422,
            "/version",
        ),
        (
            "/api/updates/install",
            json!({"version": "v9.9.9"}),
            404,
            "v9.9.9",
        ),
        (
            "/api/updates/install",
            json!({"version": "0.4.0"}),
            404,
            "0.4.0",
        ),
        (
            "/api/updates/install",
            json!({"source": "magic"}),
            422,
            "/source",
        ),
        (
            "/api/updates/install",
            json!({"source": "build"}),
            422,
            "/version",
        ),
        (
            "/api/updates/install",
            json!({"source": "build", "version": "v0.8.0"}),
            422,
            "/version",
        ),
        (
            "/api/updates/install",
            json!({"path": "relative"}),
            422,
            "/path",
        ),
        ("/api/updates/install", json!([]), 422, ""),
        ("/api/updates/switch", json!({}), 422, "/version"),
        (
            "/api/updates/switch",
            json!({"version": "0.6.0"}),
            404,
            "0.6.0",
        ),
        (
            "/api/updates/switch",
            json!({"version": "current"}),
            404,
            "current",
        ),
        (
            "/api/updates/switch",
            json!({"version": "0.6.0", "instances": []}),
            422,
            "/instances",
        ),
        (
            "/api/updates/switch",
            json!({"version": "0.6.0", "watch_s": -1, "ready_within_s": "x"}),
            422,
            "/watch_s",
        ),
        ("/api/updates/rollback", json!({}), 409, "no other client"),
        (
            "/api/updates/settings",
            json!({"window_from": "late"}),
            422,
            "/window_from",
        ),
        (
            "/api/updates/jobs/00000000-0000-4000-8000-000000000000/cancel",
            json!({}),
            404,
            "update job",
        ),
    ] {
        let (got, text) = refused(path, body.clone()).await;
        assert_eq!(got, status, "{path} {body}: {text}");
        assert!(text.contains(says), "{path} {body}: {text}");
    }
    assert_eq!(
        manager
            .delete("/api/updates/installed/0.6.0")
            .await
            .status(),
        404
    );
    assert_eq!(
        manager
            .delete("/api/updates/installed/..%2F..%2Finstances")
            .await
            .status(),
        404
    );
    assert_eq!(
        manager
            .ask("/api/updates/version", "application/json")
            .await
            .problem(503)["status"],
        503
    );
    assert_eq!(
        manager.get("/api/updates/jobs/nonsense").await.status(),
        404
    );
}
