//! API tokens.

use super::{PASSWORD, Visitor, ada, printed, run, user, with_admin};
use crate::harness::answer::Answer;
use serde_json::json;

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let made = admin
        .send(
            &manager,
            "POST",
            "/api/tokens",
            &json!({ "name": "grafana", "role": "viewer", "days": 30 }),
        )
        .await
        .json(201);
    let secret = made["token"].as_str().unwrap();
    assert!(secret.starts_with("jdm_") && secret.len() == 47, "{secret}");
    let token = Visitor::with_token(secret);
    token.get(&manager, "/api/instances").await.json(200);
    let scrape = Answer::to(
        token
            .request(&manager, "GET", "/metrics")
            .header("accept", "text/plain;version=0.0.4"),
    )
    .await;
    assert_eq!(scrape.status, 200);
    // A program without a token gets an error, not the sign-in page, even if it names no format.
    Answer::to(Visitor::stranger().request(&manager, "GET", "/openapi.json"))
        .await
        .problem(401);
    let list = admin.get(&manager, "/api/tokens").await;
    assert!(
        !list.text.contains(secret) && !list.text.contains("hash"),
        "{list:?}"
    );
    let listed = &list.json(200)["tokens"][0];
    assert_eq!(
        (&listed["name"], &listed["user"], &listed["expired"]),
        (&json!("grafana"), &json!("ada"), &json!(false))
    );
    assert!(listed["used_at"].is_string(), "{listed}");
    let path = format!("/api/tokens/{}", listed["id"].as_str().unwrap());
    admin
        .page(&manager, &format!("{}/delete", &path[4..]))
        .await
        .page(200);
    admin
        .get(&manager, &format!("{path}/delete"))
        .await
        .json(200);
    admin
        .send(&manager, "DELETE", &path, &json!({}))
        .await
        .json(200);
    token.get(&manager, "/api/instances").await.problem(401);
}

#[tokio::test]
async fn a_token_gives_no_more_than_its_maker_has_and_makes_no_others() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let wish = |name: &str, role: &str| json!({ "name": name, "role": role });
    assert_eq!(
        viewer
            .send(&manager, "POST", "/api/tokens", &wish("a", "operator"))
            .await
            .pointers(),
        ["/role"]
    );
    let own = viewer
        .send(&manager, "POST", "/api/tokens", &wish("a", "viewer"))
        .await
        .json(201);
    viewer
        .send(&manager, "POST", "/api/tokens", &wish("A", "viewer"))
        .await
        .problem(409);
    let strong = admin
        .send(&manager, "POST", "/api/tokens", &wish("b", "admin"))
        .await
        .json(201);
    let strong = Visitor::with_token(strong["token"].as_str().unwrap());
    // A stolen token can create neither tokens nor users, nor change a password.
    let change = json!({ "current": "x", "password": "y" });
    for (path, body) in [
        ("/api/tokens", wish("c", "admin")),
        ("/api/users", wish("c", "admin")),
        ("/api/account/password", change),
    ] {
        let said = strong
            .send(&manager, "POST", path, &body)
            .await
            .problem(403);
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("is not allowed with a token"),
            "{said}"
        );
    }
    // Users see their own tokens, an admin sees all.
    assert_eq!(
        viewer.get(&manager, "/api/tokens").await.json(200)["tokens"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let all = admin.get(&manager, "/api/tokens").await.json(200);
    assert_eq!(all["tokens"].as_array().unwrap().len(), 2);
    let of_admin = all["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "b")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    viewer
        .send(
            &manager,
            "DELETE",
            &format!("/api/tokens/{of_admin}"),
            &json!({}),
        )
        .await
        .problem(404);
    let id = own["token_info"]["id"].as_str().unwrap();
    admin
        .send(&manager, "DELETE", &format!("/api/tokens/{id}"), &json!({}))
        .await
        .json(200);
    for body in [
        json!({ "name": "", "role": "viewer" }),
        json!({ "name": "x" }),
        json!({ "name": "x", "role": "viewer", "days": 0 }),
        json!([]),
    ] {
        assert_eq!(
            admin
                .send(&manager, "POST", "/api/tokens", &body)
                .await
                .status,
            422,
            "{body}"
        );
    }
}

#[tokio::test]
async fn tokens_of_the_command_line_work_at_once() {
    let manager = with_admin().await;
    let secret = printed(run(
        &manager,
        &[
            "token", "create", "cron", "--role", "operator", "--days", "1",
        ],
        "",
    ));
    let token = Visitor::with_token(secret.trim());
    token.get(&manager, "/api/instances").await.json(200);
    assert_eq!(
        token
            .send(&manager, "POST", "/api/jdc/stop", &json!({}))
            .await
            .status,
        409
    );
    let list = printed(run(&manager, &["token", "list"], ""));
    assert!(
        list.contains("operator  cron  expires 20") && !list.contains(secret.trim()),
        "{list}"
    );
    printed(run(&manager, &["token", "revoke", "cron"], ""));
    token.get(&manager, "/api/instances").await.problem(401);
    let refused = run(&manager, &["token", "revoke", "cron"], "");
    assert!(
        !refused.status.success()
            && String::from_utf8_lossy(&refused.stderr).contains("there is no token \"cron\""),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_token_revokes_only_itself_and_changes_nothing_of_its_owners_account() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let other = ada(&manager).await;
    let create = async |name: &str, role: &str| {
        let made = admin
            .send(
                &manager,
                "POST",
                "/api/tokens",
                &json!({ "name": name, "role": role }),
            )
            .await
            .json(201);
        let id = made["token_info"]["id"].as_str().unwrap().to_owned();
        (Visitor::with_token(made["token"].as_str().unwrap()), id)
    };
    let (viewer, viewer_id) = create("viewer-token", "viewer").await;
    let (strong, strong_id) = create("admin-token", "admin").await;
    let secret = printed(run(
        &manager,
        &["token", "create", "of-machine", "--role", "operator"],
        "",
    ));
    let machine = Visitor::with_token(secret.trim());
    let account = admin.get(&manager, "/api/account").await.json(200);
    let sessions = account["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let session = sessions.iter().find(|one| one["current"] == false).unwrap()["id"]
        .as_str()
        .unwrap();

    let fresh = admin
        .get(&manager, "/account/second-factor")
        .await
        .json(200);
    let own_account = [
        ("DELETE", format!("/api/tokens/{viewer_id}"), json!({})),
        ("DELETE", format!("/api/tokens/{strong_id}"), json!({})),
        ("POST", format!("/api/tokens/{viewer_id}/delete"), json!({})),
        ("POST", format!("/api/tokens/{strong_id}/delete"), json!({})),
        (
            "DELETE",
            format!("/api/account/sessions/{session}"),
            json!({}),
        ),
        (
            "POST",
            format!("/api/account/sessions/{session}/delete"),
            json!({}),
        ),
        ("POST", "/api/account/sessions/end".into(), json!({})),
        (
            "POST",
            "/api/account/password".into(),
            json!({ "current": PASSWORD, "password": "another long password" }),
        ),
        (
            "POST",
            "/api/account/second-factor".into(),
            json!({ "current": PASSWORD, "secret": fresh["secret"], "code": "000000" }),
        ),
        (
            "POST",
            "/api/account/second-factor/remove".into(),
            json!({ "current": PASSWORD }),
        ),
        (
            "POST",
            "/api/tokens".into(),
            json!({ "name": "more", "role": "viewer" }),
        ),
        ("GET", "/api/account/second-factor".into(), json!({})),
    ];
    for (who, token, own) in [
        ("viewer", &viewer, viewer_id.as_str()),
        ("admin", &strong, strong_id.as_str()),
        ("machine", &machine, ""),
    ] {
        for (method, path, body) in &own_account {
            if own.is_empty() || !path.contains(own) {
                let problem = token.send(&manager, method, path, body).await.problem(403);
                assert!(
                    problem["detail"]
                        .as_str()
                        .unwrap()
                        .contains("is not allowed with a token"),
                    "{who} {path}: {problem}"
                );
            }
        }
    }
    // Both sessions and all tokens still exist; a token sees no sessions, and without the role admin only
    // itself.
    assert_eq!(
        viewer.get(&manager, "/api/account").await.json(200)["sessions"],
        json!([])
    );
    assert_eq!(
        strong.get(&manager, "/api/account").await.json(200)["sessions"],
        json!([])
    );
    other.get(&manager, "/api/instances").await.json(200);
    let names = async |visitor: &Visitor| {
        let list = visitor.get(&manager, "/api/tokens").await.json(200);
        let name = |token: &serde_json::Value| token["name"].as_str().unwrap().to_owned();
        list["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&viewer).await, ["viewer-token"]);
    assert_eq!(names(&machine).await, ["of-machine"]);
    assert_eq!(
        names(&strong).await,
        ["admin-token", "of-machine", "viewer-token"]
    );
    // Each token may revoke itself.
    let list = admin.get(&manager, "/api/tokens").await.json(200);
    let of_machine = list["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .find(|token| token["name"] == "of-machine")
        .unwrap();
    for (token, id) in [
        (&viewer, viewer_id.as_str()),
        (&strong, &strong_id),
        (&machine, of_machine["id"].as_str().unwrap()),
    ] {
        token
            .send(&manager, "DELETE", &format!("/api/tokens/{id}"), &json!({}))
            .await
            .json(200);
        token.get(&manager, "/api/instances").await.problem(401);
    }
    // A person ends sessions and revokes tokens as before.
    admin
        .send(
            &manager,
            "DELETE",
            &format!("/api/account/sessions/{session}"),
            &json!({}),
        )
        .await
        .json(200);
    other.get(&manager, "/api/instances").await.problem(401);
}
