//! Tokens of programs.

use crate::harness::answer::Answer;
use crate::{Visitor, ada, printed, run, user, with_admin};
use serde_json::json;

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let made =
        admin.send(&manager, "POST", "/api/tokens", &json!({ "name": "grafana", "role": "viewer", "days": 30 })).await.json(201);
    let secret = made["token"].as_str().unwrap();
    assert!(secret.starts_with("jdm_") && secret.len() == 47, "{secret}");
    let token = Visitor::with_token(secret);
    token.get(&manager, "/api/instances").await.json(200);
    let scrape = Answer::to(token.request(&manager, "GET", "/metrics").header("accept", "text/plain;version=0.0.4")).await;
    assert_eq!(scrape.status, 200);
    let list = admin.get(&manager, "/api/tokens").await;
    assert!(!list.text.contains(secret) && !list.text.contains("hash"), "{list:?}");
    let listed = &list.json(200)["tokens"][0];
    assert_eq!((&listed["name"], &listed["user"], &listed["expired"]), (&json!("grafana"), &json!("ada"), &json!(false)));
    assert!(listed["used_at"].is_string(), "{listed}");
    let path = format!("/api/tokens/{}", listed["id"].as_str().unwrap());
    admin.page(&manager, &format!("{}/delete", &path[4..])).await.page(200);
    admin.get(&manager, &format!("{path}/delete")).await.json(200);
    admin.send(&manager, "DELETE", &path, &json!({})).await.json(200);
    token.get(&manager, "/api/instances").await.problem(401);
}

#[tokio::test]
async fn a_token_gives_no_more_than_its_maker_has_and_makes_no_others() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let wish = |name: &str, role: &str| json!({ "name": name, "role": role });
    assert_eq!(viewer.send(&manager, "POST", "/api/tokens", &wish("a", "operator")).await.pointers(), ["/role"]);
    let own = viewer.send(&manager, "POST", "/api/tokens", &wish("a", "viewer")).await.json(201);
    viewer.send(&manager, "POST", "/api/tokens", &wish("A", "viewer")).await.problem(409);
    let strong = admin.send(&manager, "POST", "/api/tokens", &wish("b", "admin")).await.json(201);
    let strong = Visitor::with_token(strong["token"].as_str().unwrap());
    // A stolen token makes neither tokens nor users, and no password is changed with it.
    for (method, path) in [("POST", "/api/tokens"), ("POST", "/api/users"), ("POST", "/api/account/password")] {
        let said = strong.send(&manager, method, path, &wish("c", "admin")).await.problem(403);
        assert!(said["detail"].as_str().unwrap().contains("cannot be done with a token"), "{said}");
    }
    // Everybody sees their own, an admin all.
    assert_eq!(viewer.get(&manager, "/api/tokens").await.json(200)["tokens"].as_array().unwrap().len(), 1);
    let all = admin.get(&manager, "/api/tokens").await.json(200);
    assert_eq!(all["tokens"].as_array().unwrap().len(), 2);
    let of_admin =
        all["tokens"].as_array().unwrap().iter().find(|t| t["name"] == "b").unwrap()["id"].as_str().unwrap().to_owned();
    viewer.send(&manager, "DELETE", &format!("/api/tokens/{of_admin}"), &json!({})).await.problem(404);
    let id = own["token_info"]["id"].as_str().unwrap();
    admin.send(&manager, "DELETE", &format!("/api/tokens/{id}"), &json!({})).await.json(200);
    for body in [
        json!({ "name": "", "role": "viewer" }),
        json!({ "name": "x" }),
        json!({ "name": "x", "role": "viewer", "days": 0 }),
        json!([]),
    ] {
        assert_eq!(admin.send(&manager, "POST", "/api/tokens", &body).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn tokens_of_the_command_line_work_at_once() {
    let manager = with_admin().await;
    let secret = printed(run(&manager, &["token", "create", "cron", "--role", "operator", "--days", "1"], ""));
    let token = Visitor::with_token(secret.trim());
    token.get(&manager, "/api/instances").await.json(200);
    assert_eq!(token.send(&manager, "POST", "/api/jdc/stop", &json!({})).await.status, 409);
    let list = printed(run(&manager, &["token", "list"], ""));
    assert!(list.contains("operator  cron  until 20") && !list.contains(secret.trim()), "{list}");
    printed(run(&manager, &["token", "revoke", "cron"], ""));
    token.get(&manager, "/api/instances").await.problem(401);
    let refused = run(&manager, &["token", "revoke", "cron"], "");
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("no token called \"cron\""),
        "{refused:?}"
    );
}
