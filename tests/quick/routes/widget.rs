//! `/widget`: for everybody, but only if it is turned on, and nothing but three values.

use crate::harness::{Manager, Plan, connections, free_port, solo_config, until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_widget_is_off_by_default_and_shows_only_sums() {
    let without = Manager::start().await;
    assert_eq!(without.get("/widget").await.status(), 404);

    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec!["--public-widget".into(), "--sample-interval=1s".into()],
    })
    .await;
    let empty = manager.json("/widget").await;
    assert_eq!(
        empty,
        json!({"type": "three-stats", "refresh": "30s", "link": "", "items": [
            {"title": "Hashrate", "text": "–", "subtext": ""},
            {"title": "Miners", "text": "–", "subtext": "connected"},
            {"title": "Health", "text": "Stopped", "subtext": ""},
        ]})
    );
    let config = solo_config(free_port(), free_port(), free_port());
    let config = manager.save_config("secretname", &config).await;
    let id = manager.instance_of("secretname", &config).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;

    // With a user, everything else needs a sign-in.
    let user = json!({"name": "ada", "password": "a long enough password", "role": "admin"});
    assert!(
        manager
            .post_json("/users", &user)
            .await
            .status()
            .is_success()
    );
    let anonymous = connections();
    let list = anonymous
        .get(manager.url("/api/instances"))
        .send()
        .await
        .unwrap();
    assert_eq!(list.status(), 401);
    let found = until("the widget shows miners", || async {
        let response = anonymous.get(manager.url("/widget")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let found: Value = response.json().await.unwrap();
        (found["items"][1]["text"] != "–" && found["items"][0]["subtext"] != "").then_some(found)
    })
    .await;
    assert!(!found.to_string().contains("secretname"), "{found}");
    assert_ne!(found["items"][2]["text"], "Stopped");
    assert_eq!(found["items"].as_array().map(Vec::len), Some(3));
}
