//! Users: created, changed and deleted by an admin; there is always one admin left.

use super::{PASSWORD, Visitor, ada, log_in, user, with_admin};
use crate::harness::Manager;
use crate::harness::answer::Answer;
use serde_json::json;

#[tokio::test]
async fn the_first_user_is_an_admin_and_from_then_on_everybody_logs_in() {
    let manager = Manager::start().await;
    let machine = Visitor::stranger();
    machine.get(&manager, "/api/instances").await.json(200);
    let page = machine.page(&manager, "/account").await.page(200);
    assert!(
        page.one("main").contains("No users yet"),
        "{}",
        page.one("main")
    );
    assert!(
        machine
            .page(&manager, "/login")
            .await
            .page(200)
            .one("main")
            .contains("There are no users yet, so everyone on this machine has full access")
    );
    let wish =
        |role: &str, password: &str| json!({ "name": "ada", "role": role, "password": password });
    assert_eq!(
        machine
            .send(&manager, "POST", "/api/users", &wish("viewer", PASSWORD))
            .await
            .pointers(),
        ["/role"]
    );
    assert_eq!(
        machine
            .send(&manager, "POST", "/api/users", &wish("admin", "short"))
            .await
            .pointers(),
        ["/password"]
    );
    assert_eq!(
        machine
            .send(&manager, "POST", "/api/users", &wish("emperor", PASSWORD))
            .await
            .pointers(),
        ["/role"]
    );
    let made = machine
        .send(&manager, "POST", "/api/users", &wish("admin", PASSWORD))
        .await;
    assert!(made.header("location").unwrap().starts_with("/api/users/"));
    assert_eq!(made.json(201)["user"]["role"], "admin");
    machine.get(&manager, "/api/instances").await.problem(401);
    ada(&manager)
        .await
        .get(&manager, "/api/instances")
        .await
        .json(200);
    // It is still so after a restart.
    let mut manager = manager;
    manager.terminate();
    manager.begin();
    machine.get(&manager, "/api/instances").await.problem(401);
}

#[tokio::test]
async fn a_user_is_changed_and_deleted_with_what_is_theirs() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let users = admin.get(&manager, "/api/users").await.json(200);
    let id_of = |name: &str| {
        let all = users["users"].as_array().unwrap();
        all.iter().find(|user| user["name"] == name).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (own, other) = (
        format!("/api/users/{}", id_of("ada")),
        format!("/api/users/{}", id_of("viewer")),
    );
    assert!(!users.to_string().contains("argon2"), "{users}");
    // In each representation.
    for path in [&own[4..], &format!("{}/delete", &other[4..])] {
        admin.page(&manager, path).await.page(200);
        admin.get(&manager, path).await.json(200);
    }
    // A new role applies from the next request on.
    let body = json!({ "name": "bob", "password": PASSWORD, "config": {} });
    viewer
        .send(&manager, "POST", "/api/saved-configs", &body)
        .await
        .problem(403);
    admin
        .send(
            &manager,
            "PATCH",
            &other,
            &json!({ "role": "admin", "name": "bob" }),
        )
        .await
        .json(200);
    assert_eq!(
        viewer
            .send(&manager, "POST", "/api/saved-configs", &body)
            .await
            .status,
        422
    );
    assert_eq!(
        viewer.get(&manager, "/api/account").await.json(200)["name"],
        "bob"
    );
    admin
        .send(&manager, "PATCH", &other, &json!({ "name": "ADA" }))
        .await
        .problem(409);
    // A new password ends the sessions.
    admin
        .send(
            &manager,
            "PATCH",
            &other,
            &json!({ "password": "another password" }),
        )
        .await
        .json(200);
    viewer.get(&manager, "/api/account").await.problem(401);
    let viewer = log_in(&manager, "bob", "another password").await.unwrap();
    let token = viewer
        .send(
            &manager,
            "POST",
            "/api/tokens",
            &json!({ "name": "t", "role": "operator" }),
        )
        .await
        .json(201);
    let token = Visitor::with_token(token["token"].as_str().unwrap());
    token.get(&manager, "/api/instances").await.json(200);
    // A token never has a higher role than its user.
    admin
        .send(&manager, "PATCH", &other, &json!({ "role": "viewer" }))
        .await
        .json(200);
    token
        .send(&manager, "POST", "/api/jdc/start", &json!({}))
        .await
        .problem(403);
    admin
        .send(&manager, "DELETE", &other, &json!({}))
        .await
        .json(200);
    viewer.get(&manager, "/api/account").await.problem(401);
    token.get(&manager, "/api/instances").await.problem(401);
    // The last admin stays.
    let kept = admin
        .send(&manager, "DELETE", &own, &json!({}))
        .await
        .problem(409);
    assert!(
        kept["detail"]
            .as_str()
            .unwrap()
            .contains("is the only admin"),
        "{kept}"
    );
    admin
        .send(&manager, "PATCH", &own, &json!({ "role": "viewer" }))
        .await
        .problem(409);
    admin.get(&manager, "/api/users").await.json(200);
}

#[tokio::test]
async fn a_form_with_a_mistake_comes_back_without_the_password() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let form = [
        ("name", "bob"),
        ("role", "operator"),
        ("password", "tooshort1"),
    ];
    let answer = Answer::to(
        admin
            .request(&manager, "POST", "/users")
            .header("accept", "text/html")
            .form(&form),
    )
    .await;
    let page = answer.page(422);
    assert_eq!(page.attr("input#name", "value"), "bob");
    assert_eq!(
        page.one("option[selected]").split(':').next(),
        Some("operator")
    );
    assert!(
        page.one("section.attention")
            .contains("at least 10 characters")
    );
    assert!(!answer.text.contains("tooshort1"));
    let form = [
        ("name", "<script>bob</script>"),
        ("role", "operator"),
        ("password", PASSWORD),
    ];
    let answer = Answer::to(
        admin
            .request(&manager, "POST", "/users")
            .header("accept", "text/html")
            .form(&form),
    )
    .await;
    assert_eq!(
        answer.page(422).attr("input#name", "value"),
        "<script>bob</script>"
    );
    assert!(!answer.text.contains("<script>bob"));
}

#[tokio::test]
async fn a_viewer_is_told_what_is_missing() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let said = viewer
        .send(&manager, "POST", "/api/keys/generate", &json!({}))
        .await
        .problem(403);
    assert_eq!(
        said["detail"],
        "This requires the admin role; viewer has the viewer role. An admin can change roles. The admin is ada."
    );
    viewer.page(&manager, "/users").await.page(403);
    assert_eq!(
        viewer
            .page(&manager, "/account")
            .await
            .page(200)
            .count("a[href='/users']"),
        0
    );
}

#[tokio::test]
async fn a_new_name_looks_like_no_other_and_an_old_one_still_works() {
    use diesel::RunQueryDsl;
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    for name in [
        "ada (token deploy)",
        "ada\u{a0}",
        "\u{430}da",
        "a\u{200b}da",
        "ad\u{202e}a",
        "a da",
        "unknown name",
        "automatic",
        "ａｄａ",
    ] {
        let body = json!({ "name": name, "role": "viewer", "password": PASSWORD });
        let trimmed = name.trim();
        let answer = admin.send(&manager, "POST", "/api/users", &body).await;
        // Leading and trailing spaces from copying are removed, which leaves a name that is already
        // in use.
        if trimmed == "ada" {
            answer.problem(409);
        } else {
            assert_eq!(answer.pointers(), ["/name"], "{name:?}");
        }
        let body = json!({ "name": format!("x{name}y"), "role": "viewer" });
        let answer = viewer.send(&manager, "POST", "/api/tokens", &body).await;
        assert!(
            answer.status == 422 || ["a da", "unknown name", "automatic"].contains(&name),
            "{name:?}: {answer:?}"
        );
    }
    // A name from before these rules.
    let db = jd_manager::infra::db::Db::open(&manager.data_dir()).unwrap();
    let rename = |c: &mut diesel::SqliteConnection| {
        Ok(
            diesel::sql_query("UPDATE users SET name = 'Böse <i> (token x)' WHERE name = 'viewer'")
                .execute(c)?,
        )
    };
    assert_eq!(db.write(rename).await.unwrap(), 1);
    let users = admin.get(&manager, "/api/users").await.json(200);
    let old = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["name"] == "Böse <i> (token x)")
        .unwrap();
    assert!(
        !admin
            .page(&manager, "/users")
            .await
            .text
            .contains("Böse <i>")
    );
    let path = format!("/api/users/{}", old["id"].as_str().unwrap());
    log_in(&manager, "Böse <i> (token x)", PASSWORD)
        .await
        .unwrap();
    admin
        .send(&manager, "PATCH", &path, &json!({ "role": "operator" }))
        .await
        .json(200);
    admin
        .send(
            &manager,
            "PATCH",
            &path,
            &json!({ "name": "Böse <i> (token x)", "role": "viewer" }),
        )
        .await
        .json(200);
    assert_eq!(
        admin
            .send(
                &manager,
                "PATCH",
                &path,
                &json!({ "name": "Böse <i> (token y)" })
            )
            .await
            .pointers(),
        ["/name"]
    );
    admin
        .send(&manager, "PATCH", &path, &json!({ "name": "boese" }))
        .await
        .json(200);
}
