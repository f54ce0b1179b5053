//! The second factor: set up, required, usable once, removed.

use super::{PASSWORD, Visitor, ada, printed, run, user, with_admin};
use crate::harness::Manager;
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The code of a secret in the step that is `later` from now.
fn code(secret: &str, later: i64) -> String {
    let bytes = totp_rs::Secret::Encoded(secret.to_owned())
        .to_bytes()
        .unwrap();
    let totp = totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 1, 30, bytes).unwrap();
    let now = i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
    .unwrap();
    totp.generate(u64::try_from(now + later * 30).unwrap())
}

async fn log_in(manager: &Manager, name: &str, code: &str) -> u16 {
    let body = json!({ "name": name, "password": PASSWORD, "code": code });
    Visitor::stranger()
        .send(manager, "POST", "/login", &body)
        .await
        .status
}

#[tokio::test]
async fn a_login_needs_the_code_from_then_on_and_takes_each_once() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let offered = admin
        .get(&manager, "/account/second-factor")
        .await
        .json(200);
    let secret = offered["secret"].as_str().unwrap();
    let page = admin
        .page(&manager, "/account/second-factor")
        .await
        .page(200);
    assert_eq!(page.count("main svg"), 1);
    assert_ne!(
        page.attr("input[name=secret]", "value"),
        secret,
        "each is fresh"
    );
    let set =
        |current: &str, code: &str| json!({ "secret": secret, "current": current, "code": code });
    let path = "/account/second-factor";
    assert_eq!(
        admin
            .send(&manager, "POST", path, &set("not it", &code(secret, 0)))
            .await
            .pointers(),
        ["/current"]
    );
    assert_eq!(
        admin
            .send(&manager, "POST", path, &set(PASSWORD, &code(secret, 40)))
            .await
            .pointers(),
        ["/code"]
    );
    assert_eq!(log_in(&manager, "ada", "").await, 200, "not in force yet");
    admin
        .send(&manager, "POST", path, &set(PASSWORD, &code(secret, -1)))
        .await
        .json(200);
    assert_eq!(log_in(&manager, "ada", "").await, 401);
    assert_eq!(log_in(&manager, "ada", &code(secret, 40)).await, 401);
    let now = code(secret, 0);
    assert_eq!(log_in(&manager, "ada", &now).await, 200);
    assert_eq!(log_in(&manager, "ada", &now).await, 401, "used");
    assert_eq!(
        admin.get(&manager, "/api/account").await.json(200)["user"]["second_factor"],
        true
    );
    // The owner of the server can remove it.
    printed(run(
        &manager,
        &["set-password", "ada", "--without-second-factor"],
        "",
    ));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(log_in(&manager, "ada", "").await, 200);
}

#[tokio::test]
async fn it_is_taken_away_with_the_password_or_by_an_admin() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let path = "/account/second-factor";
    let set_up = async || {
        let secret = viewer.get(&manager, path).await.json(200)["secret"]
            .as_str()
            .unwrap()
            .to_owned();
        let body = json!({ "secret": secret, "current": PASSWORD, "code": code(&secret, 0) });
        viewer.send(&manager, "POST", path, &body).await.json(200);
    };
    set_up().await;
    let remove = format!("{path}/remove");
    assert_eq!(
        viewer
            .send(&manager, "POST", &remove, &json!({ "current": "wrong" }))
            .await
            .pointers(),
        ["/current"]
    );
    viewer
        .send(&manager, "POST", &remove, &json!({ "current": PASSWORD }))
        .await
        .json(200);
    assert_eq!(log_in(&manager, "viewer", "").await, 200);
    set_up().await;
    assert_eq!(log_in(&manager, "viewer", "").await, 401);
    let id = viewer.get(&manager, "/api/account").await.json(200)["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .send(
            &manager,
            "PATCH",
            &format!("/api/users/{id}"),
            &json!({ "without_second_factor": true }),
        )
        .await
        .json(200);
    assert_eq!(log_in(&manager, "viewer", "").await, 200);
}
