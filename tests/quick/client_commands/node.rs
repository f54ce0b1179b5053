//! `jd-manager node check`.

use super::{ask, at, run};
use crate::harness::node::{FakeNode, NodeBehavior};
use crate::harness::{Manager, PROGRAM};
use std::fs;
use std::os::unix::net::UnixListener;

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_is_zero_only_for_a_node_that_can_be_used() {
    let manager = Manager::with_simulated(&["--lines-per-second", "50"]).await;
    let core = manager.scratch().join("core");
    fs::create_dir_all(core.join("signet")).unwrap();
    let path = core.to_str().unwrap();
    let _node = FakeNode::start(&core.join("node.sock"), NodeBehavior::Answers);
    let text = ask(&manager, &["node", "check", path]).well();
    assert!(
        text.starts_with("connected: Client 0.6.0 connected") && text.contains("data directory"),
        "{text}"
    );
    let json = ask(&manager, &["node", "check", path, "--json"]).json();
    assert_eq!(json["status"], "connected", "{json}");

    // On a busy machine a client starts late, for its version as well. The time for the reply begins then.
    manager.write_client(&format!("sleep 5; exec '{PROGRAM}' simulate \"$@\""));
    let late = ask(&manager, &["node", "check", path]).well();
    assert!(
        late.starts_with("connected: Client 0.6.0 connected"),
        "{late}"
    );

    drop(UnixListener::bind(core.join("signet/node.sock")).unwrap());
    let signet = ["node", "check", path, "--network", "signet"];
    let stale = ask(&manager, &signet);
    assert_eq!((stale.code, stale.err.as_str()), (3, ""), "{stale:?}");
    assert!(
        stale.out.starts_with("stale: ") && stale.out.contains("\nStart the node."),
        "{stale:?}"
    );
    let json = ask(&manager, &[&signet[..], &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json.code, 3);
    assert_eq!(found["status"], "stale");
    // A relative path is relative to the shell's directory.
    let mut relative = at(&manager, &["node", "check", "core/signet/node.sock"]);
    relative.current_dir(manager.scratch());
    assert_eq!(run(relative).code, 3);
    let unknown = ask(&manager, &["node", "check", path, "--network", "testnet3"]);
    assert!(unknown.wrong(1).contains("network must be"));
}
