//! Whether *Updates* shows a newer jd-manager: only if a release API is configured, and only final
//! versions.

use crate::harness::clients::version;
use crate::harness::releases::{Offered, Releases};
use crate::harness::{Manager, until};
use serde_json::json;

#[tokio::test]
async fn a_newer_jd_manager_is_shown_if_its_release_api_is_set() {
    let clients = Releases::serve(vec![Offered::new("v0.8.0", &version("0.6.0"))]).await;
    let own = Releases::serve(vec![
        Offered {
            prerelease: true,
            ..Offered::new("v98.0.0", b"x")
        },
        Offered::new("v97.0.0", b"x"),
        Offered::new(concat!("v", env!("CARGO_PKG_VERSION")), b"x"),
    ])
    .await;
    let without = Manager::with_store(&clients.base(), &[]).await;
    without.json("/api/updates/check").await;
    assert!(without.json("/api/updates").await.get("manager").is_none());
    assert!(!without.page("/updates").await.contains("id=\"manager\""));

    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "ghp_secret\n").unwrap();
    let manager = Manager::with_store(
        &clients.base(),
        &[
            "--manager-release-api",
            &format!("{}/", own.base()),
            "--release-token-file",
            token.path().to_str().unwrap(),
        ],
    )
    .await;
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert!(page.one("#manager + p").contains("Not yet checked"));
    manager.json("/api/updates/check").await;
    manager.json("/api/updates/check").await;
    assert_eq!(own.count("/releases"), 1);
    // The token is for the other server.
    assert_eq!(own.authorisations("/releases"), [None]);
    let found = manager.json("/api/updates").await["manager"].clone();
    assert_eq!(
        (&found["latest"], &found["available"], &found["current"]),
        (
            &json!("v97.0.0"),
            &json!(true),
            &json!(env!("CARGO_PKG_VERSION"))
        )
    );
    let page = manager.ask("/updates", "text/html").await.page(200);
    assert!(
        page.one("#manager + p")
            .contains("jd-manager v97.0.0 is available.")
    );
    // It is no client.
    assert!(!page.one("h1").contains("97"));
}

#[tokio::test]
async fn a_server_that_fails_lies_or_is_too_large_changes_nothing_else() {
    let clients = Releases::serve(vec![Offered::new("v0.8.0", &version("0.6.0"))]).await;
    for (own, says) in [
        (
            Releases::serve(vec![Offered {
                // More than a document may have.
                notes: Some("x".repeat(9 << 20)),
                ..Offered::new("v97.0.0", b"x")
            }])
            .await,
            "127.0.0.1",
        ),
        (
            {
                let own = Releases::serve(Vec::new()).await;
                own.instead(Some((503, Vec::new())));
                own
            },
            "503",
        ),
    ] {
        let base = own.base();
        let manager = Manager::with_store(&clients.base(), &["--manager-release-api", &base]).await;
        let news = manager.json("/api/updates/check").await;
        assert_eq!(news["latest"], "v0.8.0");
        let found = until("the check failed", || async {
            let found = manager.json("/api/updates").await["manager"].clone();
            found["problem"].is_string().then_some(found)
        })
        .await;
        assert!(found["problem"].as_str().unwrap().contains(says), "{found}");
        assert_eq!(found["available"], false);
        assert!(
            manager
                .page("/updates")
                .await
                .contains("Cannot check for a newer jd-manager")
        );
    }
}
