//! `/health`: the manager's own.

use super::bare;
use super::harness::Manager;
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
        assert!(body["uptime"].as_u64().is_some_and(|seconds| seconds < 600), "whole seconds: {body}");
        let now: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - now.as_second()).abs() < 60, "{body}");
    }
    let head = bare(&manager, "HEAD", "/health").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let refused = bare(&manager, "POST", "/health").await;
    refused.problem(405);
    assert_eq!(refused.allow(), ["GET", "HEAD"]);
}
