//! `/keys/generate`.

use super::bare;
use crate::harness::answer::Answer;
use crate::harness::{Manager, free_port, solo_config};
use serde_json::json;

#[tokio::test]
async fn a_fresh_pair_is_usable_and_each_is_another() {
    let manager = Manager::start().await;
    let mut made = Vec::new();
    for path in ["/keys/generate", "/api/keys/generate"] {
        let answer = bare(&manager, "POST", path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json(200);
        assert_eq!(body["success"], true);
        let pair = |which: &str| body["keys"][which].as_str().unwrap().to_owned();
        let (public, secret) = (pair("public_key"), pair("secret_key"));
        let mut config = solo_config(free_port(), free_port(), 1);
        config["authority_public_key"] = json!(public);
        config["authority_secret_key"] = json!(secret);
        manager.save_config(path, &config).await;
        made.extend([public, secret]);
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 4);
    assert!(
        made.iter().all(|key| !manager.log().contains(key)),
        "a key is in the manager's log"
    );
}

#[tokio::test]
async fn a_person_sees_it_once_on_a_page() {
    let manager = Manager::start().await;
    let shown =
        |request: reqwest::RequestBuilder| Answer::to(request.header("accept", "text/html"));
    let page = shown(manager.request("POST", "/keys/generate"))
        .await
        .page(200);
    let keys = page.texts("dl.facts code");
    assert_eq!(
        (keys.len(), page.attrs("button[data-copy]", "data-copy")),
        (2, keys.clone())
    );
    let request = manager
        .request("POST", "/keys/generate")
        .header("hx-request", "true")
        .header("hx-target", "main#main");
    let part = shown(request).await.fragment(200);
    assert_eq!(part.count("dl.facts code"), 2);
    assert_ne!(part.texts("dl.facts code"), keys);
}

#[tokio::test]
async fn it_is_made_on_purpose_only() {
    let manager = Manager::start().await;
    for method in ["GET", "PUT", "DELETE"] {
        let refused = bare(&manager, method, "/api/keys/generate").await;
        refused.problem(405);
        assert_eq!(refused.allow(), ["POST"]);
    }
    let foreign = manager
        .request("POST", "/keys/generate")
        .header("origin", "http://evil.example");
    assert_eq!(Answer::to(foreign).await.status, 403);
    Answer::to(
        manager
            .request("POST", "/keys/generate")
            .header("accept", "image/png"),
    )
    .await
    .problem(406);
}
