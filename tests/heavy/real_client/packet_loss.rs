//! A network that drops packets without a reset, with the real client: as behind a router that has
//! forgotten the connection.
//!
//! The test runs a second time in a user and network namespace of its own, where it is root and may
//! have network interfaces. The pool is in another network namespace, at the end of a pair of
//! virtual interfaces.

use super::Peer;
use super::silence::pool_is_silent;
use crate::harness::peer::ports_of;
use crate::harness::{free_port, pool_config};
use serde_json::json;
use std::process::Command;

/// Set in the second run.
const INSIDE: &str = "JD_MANAGER_TEST_OWN_NETWORK";
const CLIENT_ADDRESS: &str = "10.99.0.1";
const POOL_ADDRESS: &str = "10.99.0.2";
/// A hardware address that no interface has.
const NO_INTERFACE: &str = "02:00:00:00:00:99";

fn run(program: &str, arguments: &str) {
    let status = Command::new(program)
        .args(arguments.split(' '))
        .status()
        .unwrap();
    assert!(status.success(), "{program} {arguments}: {status}");
}

/// Sends the packets of both directions to a hardware address that no interface has.
fn drop_packets(pool: u32) {
    let to = format!("lladdr {NO_INTERFACE} nud permanent dev");
    run("ip", &format!("neigh replace {POOL_ADDRESS} {to} client"));
    let inside = format!("-t {pool} -n ip neigh replace {CLIENT_ADDRESS} {to} pool");
    run("nsenter", &inside);
}

fn deliver_packets(pool: u32) {
    run("ip", &format!("neigh del {POOL_ADDRESS} dev client"));
    run(
        "nsenter",
        &format!("-t {pool} -n ip neigh del {CLIENT_ADDRESS} dev pool"),
    );
}

async fn lost_packets() {
    run("ip", "link set lo up");
    run("ip", "link add client type veth peer name pool");
    run("ip", &format!("addr add {CLIENT_ADDRESS}/24 dev client"));
    run("ip", "link set client up");
    let (pool, first) = Peer::start_in_network("pool.py", &["--host", "0.0.0.0"]);
    let ports = ports_of(&first);
    let pid = pool.child.id();
    run("ip", &format!("link set pool netns {pid}"));
    run(
        "nsenter",
        &format!("-t {pid} -n ip addr add {POOL_ADDRESS}/24 dev pool"),
    );
    run("nsenter", &format!("-t {pid} -n ip link set pool up"));

    let (_provider, provider) = Peer::template_provider(&["--interval", "10"]);
    let mut config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
    config["upstreams"][0]["pool_address"] = json!(POOL_ADDRESS);
    config["upstreams"][0]["jds_address"] = json!(POOL_ADDRESS);
    pool_is_silent(
        &config,
        || drop_packets(pid),
        || deliver_packets(pid),
        "lost-packets-unhealthy",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_packets_are_lost_is_reported_within_three_minutes() {
    if std::env::var_os(INSIDE).is_some() {
        return lost_packets().await;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let mut command = tokio::process::Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(format!(
            "{module}::a_pool_whose_packets_are_lost_is_reported_within_three_minutes"
        ))
        .env(INSIDE, "1")
        .kill_on_drop(true);
    let status = command.status().await.unwrap();
    assert!(status.success(), "{status}");
}
