//! Tests `/node/check` with the real client and fake Bitcoin Core nodes.

use super::manager;
use crate::harness::node::{FakeNode, NodeBehavior};
use serde_json::json;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn the_client_finds_out_which_version_the_node_has() {
    let manager = manager().await;
    let core = manager.scratch().join("core");
    let old = "std::exception: Old mining interface (@2) not supported. Please update your client!";
    for (name, behavior, version, advice) in [
        (
            "newer",
            NodeBehavior::Refuses(old, 0),
            30,
            "to 31 in the configuration",
        ),
        (
            "older",
            NodeBehavior::Refuses("Method not implemented.", 3),
            31,
            "to 30 in the configuration",
        ),
    ] {
        let dir = core.join(name).join("regtest");
        fs::create_dir_all(&dir).unwrap();
        let _node = FakeNode::start(&dir.join("node.sock"), behavior);
        let address = format!(
            "/api/node/check?path={}&version={version}",
            dir.join("node.sock").display()
        );
        let found = manager.json(&address).await;
        assert_eq!(found["status"], "wrong-version", "{found}");
        assert_eq!(found["network"], json!("regtest"));
        assert!(
            found["advice"].as_str().unwrap().contains(advice),
            "{found}"
        );
        // Each version is tried; none fits.
        let address = format!("/api/node/check?path={}", dir.join("node.sock").display());
        let found = manager.json(&address).await;
        assert_eq!(found["status"], "wrong-version", "{found}");
    }
    // It answers the first message and no call.
    let dir = core.join("hangs");
    fs::create_dir_all(&dir).unwrap();
    let _node = FakeNode::start(&dir.join("node.sock"), NodeBehavior::Answers);
    let found = manager
        .json(&format!("/api/node/check?path={}", dir.display()))
        .await;
    assert_eq!(found["status"], "silent", "{found}");
    assert!(!manager.data_dir().join("trials").exists());
}
