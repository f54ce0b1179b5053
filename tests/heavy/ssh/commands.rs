//! `jd-manager --host`: commands for jd-manager on another machine, and what they say if it cannot be
//! reached.

use super::forced;
use super::sshd::Sshd;
use crate::harness::{Manager, free_port, solo_config};
use std::process::{Command, Output};

fn out(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // An import warns about the example's keys.
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.lines().all(|line| line.starts_with("warning: ")),
        "{command:?}: {output:?}"
    );
    text(&output.stdout)
}

/// The error output of a command that fails with exit code 1, and quickly.
fn failed(mut command: Command) -> String {
    let begun = std::time::Instant::now();
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_over_one_connection() {
    let manager = Manager::start().await;
    let sshd = Sshd::start(&forced(&manager, "admin"), "").await;
    let run = |arguments: &[&str]| out(sshd.program(arguments));
    let config = manager.scratch().join("client.toml");
    let text = toml::to_string(&solo_config(free_port(), free_port(), 1)).unwrap();
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    run(&[
        "--host", "barn", "configs", "import", config, "--name", "Home",
    ]);
    run(&[
        "--host=barn",
        "instances",
        "create",
        "alice-1",
        "--config",
        "Home",
    ]);
    assert_eq!(
        run(&["--host", "barn", "instances", "start", "alice-1"]),
        "alice-1 is running.\n"
    );
    for command in [
        &["--host", "barn", "instances"][..],
        &["instances", "--host", "barn"],
        &["instances", "list", "--host", "barn"],
        &["--host", "barn", "health"],
        &["--host", "barn", "logs", "alice-1"],
        &["--host", "barn", "miners"],
        &["--host", "barn", "configs"],
        &["--host", "barn", "updates"],
        &["--host", "barn", "alerts"],
        &["--host", "barn", "alerts", "--json"],
    ] {
        let printed = run(command);
        assert!(!printed.is_empty(), "{command:?}");
        if command.contains(&"instances") {
            assert!(
                printed.contains("alice-1") && printed.contains("running"),
                "{printed}"
            );
        }
    }
    assert_eq!(
        run(&["--host", "barn", "instances", "restart", "alice-1"]),
        "alice-1 is running.\n"
    );
    assert_eq!(
        run(&["--host", "barn", "instances", "stop", "alice-1"]),
        "alice-1 is stopped.\n"
    );
    assert_eq!(sshd.connections(), 1, "not one connection for all");
    let log = manager.json("/api/audit").await;
    let newest = &log["entries"][0];
    assert_eq!(
        (newest["actor"].as_str(), newest["deed"].as_str()),
        (
            Some("this machine (SSH key laptop)"),
            Some("stopped several instances")
        ),
        "{log}"
    );
    let left = std::fs::read_dir(format!("{}/jd-manager", sshd.env()[1].1)).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "only the shared connection stays: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_do_what_its_line_allows() {
    let manager = Manager::start().await;
    manager.instance("alice-1").await;
    let sshd = Sshd::start(&forced(&manager, "viewer"), "").await;
    let listed = out(sshd.program(&["--host", "barn", "instances"]));
    assert!(listed.contains("alice-1"), "{listed}");
    let said = failed(sshd.program(&["--host", "barn", "instances", "start", "alice-1"]));
    assert!(
        said.contains("this machine (SSH key laptop) has the viewer role")
            && said.contains("authorized_keys"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_per_connection_is_enough() {
    let manager = Manager::start().await;
    manager.instance("alice-1").await;
    let sshd = Sshd::start(&forced(&manager, "operator"), "MaxSessions 1").await;
    // They read a stream and send requests at the same time.
    for (action, state) in [
        ("start", "running"),
        ("restart", "running"),
        ("stop", "stopped"),
    ] {
        assert_eq!(
            out(sshd.program(&["--host", "barn", "instances", action, "alice-1"])),
            format!("alice-1 is {state}.\n")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_the_words_of_ssh_and_a_fix() {
    let mut manager = Manager::start().await;
    let mut sshd = Sshd::start(&forced(&manager, "viewer"), "").await;
    let list = |sshd: &Sshd| {
        sshd.disconnect();
        failed(sshd.program(&["--host", "barn", "instances"]))
    };
    let says = |said: String, parts: &[&str]| {
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing: {said}");
        }
    };
    // There is no manager.
    manager.terminate();
    says(
        list(&sshd),
        &[
            "no jd-manager is running with the data directory",
            "Start it there",
        ],
    );
    manager.begin();
    // The command is another.
    for command in ["echo Welcome", "true", "cat"] {
        sshd.force(command);
        says(
            list(&sshd),
            &["is not jd-manager dial-stdio", "authorized_keys"],
        );
    }
    sshd.force("jd-manager-that-is-not-there dial-stdio");
    says(list(&sshd), &["not found", "Install the package there"]);
    // The key is not accepted.
    sshd.refuse_all();
    says(
        list(&sshd),
        &["Permission denied (publickey)", "Add the public key"],
    );
    sshd.force(&forced(&manager, "viewer"));
    // The key of the machine is unknown, and then another one.
    sshd.forget_host_key();
    says(
        list(&sshd),
        &["Host key verification failed", "Sign in once"],
    );
    sshd.trust_host_key();
    sshd.end();
    sshd.change_host_key();
    sshd.begin().await;
    says(
        list(&sshd),
        &["REMOTE HOST IDENTIFICATION HAS CHANGED", "ssh-keygen -R"],
    );
    let as_json = failed(sshd.program(&["--host", "barn", "instances", "--json"]));
    let problem: serde_json::Value = serde_json::from_str(&as_json).unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("has changed"),
        "{problem}"
    );
    sshd.trust_host_key();
    assert!(out(sshd.program(&["--host", "barn", "instances"])).contains("no instances yet"));
    // No server.
    sshd.end();
    says(
        list(&sshd),
        &["Connection refused", "No SSH server listens"],
    );
    let unknown = failed(sshd.program(&["--host", "nowhere.invalid", "instances"]));
    says(
        unknown,
        &["Could not resolve hostname", "cannot be reached"],
    );
    // No ssh.
    let mut without = sshd.program(&["--host", "barn", "instances"]);
    without.env("PATH", "/nonexistent");
    says(failed(without), &["openssh-client"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_becomes_an_option_of_ssh() {
    let sshd = Sshd::start("true", "").await;
    let trace = sshd.env()[1].1.clone() + "/trace";
    let trick = format!("-oProxyCommand=touch {trace}");
    for host in [trick.as_str(), "a b", "$(x)", ""] {
        let mut command = sshd.program(&["instances"]);
        command.arg(format!("--host={host}"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{host}: {output:?}");
    }
    assert!(!std::path::Path::new(&trace).exists());
    for both in [["--url", "http://127.0.0.1:1"], ["--data-dir", "/x"]] {
        let mut command = sshd.program(&["--host", "barn", "instances"]);
        let output = command.args(both).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{both:?}: {output:?}");
    }
}
