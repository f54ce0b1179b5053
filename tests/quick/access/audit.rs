//! The audit log: actor, address and result of every change.

use super::{Visitor, ada, printed, run, user, with_admin};
use serde_json::json;

#[tokio::test]
async fn every_change_is_written_down_and_no_look() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let token = printed(run(
        &manager,
        &["token", "create", "cron", "--role", "operator"],
        "",
    ));
    let token = Visitor::with_token(token.trim());
    admin
        .send(&manager, "POST", "/api/keys/generate", &json!({}))
        .await
        .json(200);
    viewer
        .send(&manager, "POST", "/api/keys/generate", &json!({}))
        .await
        .problem(403);
    token
        .send(&manager, "POST", "/api/jdc/stop", &json!({}))
        .await
        .problem(409);
    viewer.get(&manager, "/api/instances").await.json(200);
    viewer
        .send(
            &manager,
            "POST",
            "/saved-configs/check",
            &json!({ "config": {} }),
        )
        .await;
    let log = admin.get(&manager, "/api/audit").await.json(200);
    let line = |line: &serde_json::Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (
            text("actor"),
            text("role"),
            text("address"),
            text("deed"),
            text("path"),
            line["status"].as_u64().unwrap(),
        )
    };
    let lines: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect();
    let wanted = [
        (
            "this machine (token cron)",
            "operator",
            "127.0.0.1",
            "stopped the default instance",
            "/api/jdc/stop",
            409,
        ),
        (
            "viewer",
            "viewer",
            "127.0.0.1",
            "created a key pair",
            "/api/keys/generate",
            403,
        ),
        (
            "ada",
            "admin",
            "127.0.0.1",
            "created a key pair",
            "/api/keys/generate",
            200,
        ),
        (
            "this machine",
            "admin",
            "",
            "created the token cron on the command line",
            "",
            200,
        ),
        ("viewer", "viewer", "127.0.0.1", "signed in", "/login", 200),
        (
            "ada",
            "admin",
            "127.0.0.1",
            "created a user",
            "/api/users",
            201,
        ),
        ("ada", "admin", "127.0.0.1", "signed in", "/login", 200),
        (
            "this machine",
            "admin",
            "",
            "set the password for ada on the command line",
            "",
            200,
        ),
    ]
    .map(|(a, b, c, d, e, f)| {
        (
            a.to_owned(),
            b.to_owned(),
            c.to_owned(),
            d.to_owned(),
            e.to_owned(),
            f,
        )
    });
    assert_eq!(lines, wanted);
    let page = admin.page(&manager, "/audit?actor=viewer").await.page(200);
    assert_eq!(page.count("tbody tr"), 2);
    let older = admin.get(&manager, "/api/audit?limit=2").await.json(200);
    let last = older["entries"][1]["id"].as_i64().unwrap();
    assert_eq!(
        admin
            .page(&manager, "/audit?limit=2")
            .await
            .page(200)
            .attr("main p a[href*='before=']", "href"),
        format!("/audit?before={last}&limit=2&actor=")
    );
    let next = admin
        .get(&manager, &format!("/api/audit?limit=2&before={last}"))
        .await
        .json(200);
    assert_eq!(next["entries"][0]["deed"], "created a key pair", "{next}");
    assert_eq!(
        admin
            .get(&manager, "/api/audit?limit=0&before=x")
            .await
            .pointers(),
        ["/limit", "/before"]
    );
}

#[tokio::test]
async fn a_password_typed_as_a_name_is_not_in_the_log() {
    let manager = with_admin().await;
    super::log_in(&manager, "my secret password", "x")
        .await
        .unwrap_err()
        .problem(401);
    let admin = ada(&manager).await;
    let log = admin.get(&manager, "/api/audit").await;
    assert!(
        !log.text.contains("my secret") && log.text.contains("unknown name"),
        "{log:?}"
    );
    assert!(!manager.log().contains("my secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_cannot_fill_the_log_with_what_was_refused() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let before = admin.get(&manager, "/api/audit").await.json(200)["entries"]
        .as_array()
        .unwrap()
        .len();
    // The same one, one of varied ids, one of long names.
    for n in 0..60 {
        viewer
            .send(&manager, "POST", "/api/keys/generate", &json!({}))
            .await
            .problem(403);
        let id = format!("00000000-0000-4000-8000-{n:012}");
        viewer
            .send(
                &manager,
                "POST",
                &format!("/api/instances/{id}/start"),
                &json!({}),
            )
            .await
            .problem(403);
        let name = format!("{n}{}", "x".repeat(3000));
        viewer
            .send(
                &manager,
                "DELETE",
                &format!("/api/backups/{name}"),
                &json!({}),
            )
            .await
            .problem(403);
        viewer
            .send(
                &manager,
                "POST",
                "/api/tokens",
                &json!({ "name": "", "role": "viewer" }),
            )
            .await
            .problem(422);
    }
    let log = admin.get(&manager, "/api/audit").await.json(200);
    let entries = log["entries"].as_array().unwrap();
    assert_eq!(entries.len() - before, 4, "{log}");
    let entry = |n: usize| {
        let entry = &entries[n];
        assert!(
            entry["first_at"].as_str().unwrap() < entry["at"].as_str().unwrap(),
            "{entry}"
        );
        (
            entry["deed"].as_str().unwrap(),
            entry["path"].as_str().unwrap(),
            &entry["status"],
            &entry["times"],
        )
    };
    assert_eq!(
        entry(0),
        ("created a token", "/api/tokens", &json!(422), &json!(60))
    );
    assert_eq!(
        entry(1),
        (
            "deleted a backup",
            "/api/backups/…",
            &json!(403),
            &json!(60)
        )
    );
    assert_eq!(
        entry(2),
        (
            "started an instance",
            "/api/instances/…",
            &json!(403),
            &json!(60)
        )
    );
    assert_eq!(
        entry(3),
        (
            "created a key pair",
            "/api/keys/generate",
            &json!(403),
            &json!(60)
        )
    );
    let page = admin.page(&manager, "/audit?actor=viewer").await.page(200);
    assert!(
        page.one("tbody tr:first-child").contains("× 60")
            && page.one("tbody tr:first-child").contains("since")
    );
}

#[tokio::test]
async fn guesses_at_two_names_by_turns_are_two_entries() {
    let manager = with_admin().await;
    for name in ["ada", "eve", "ada", "eve"] {
        super::log_in(&manager, name, "wrong")
            .await
            .unwrap_err()
            .problem(401);
    }
    let log = ada(&manager)
        .await
        .get(&manager, "/api/audit")
        .await
        .json(200);
    let refused = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["status"] == 401);
    let counted: Vec<_> = refused
        .map(|entry| {
            (
                entry["actor"].as_str().unwrap(),
                entry["times"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counted, [("unknown name", 2), ("ada", 2)]);
}
