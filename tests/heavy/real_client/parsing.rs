//! Tests that the real client can read every configuration that passes our rules, with random
//! configurations.
//!
//! The client cannot check a file without starting. It logs its first line right after it has read
//! the file, and is killed then. If it rejects the file, it exits at once with the reason on
//! standard error.

use crate::harness::{configurations, told};
use jd_manager::domain::configs::{ClientVersion, read, render};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many are tried; each takes some hundredths of a second.
const CASES: u32 = 300;
/// No more of them are begun after this time, on however slow a machine.
const ENOUGH: Duration = Duration::from_secs(90);

#[test]
fn any_configuration_that_we_accept_is_one_that_the_client_parses() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.toml");
    let begun = Instant::now();
    let tried = std::cell::Cell::new(0);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&configurations::any(), |value| {
        if begun.elapsed() > ENOUGH {
            return Ok(());
        }
        let accepted = read(&at_home(value), None)
            .map_err(|found| TestCaseError::fail(format!("we refuse it: {:?}", found.errors)))?;
        let text = render(&accepted.config, &ClientVersion::NEWEST_KNOWN)
            .map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        std::fs::write(&file, &text).unwrap();
        tried.set(tried.get() + 1);
        parses(dir.path(), &file).map_err(|reason| {
            TestCaseError::fail(format!("the client refuses it: {reason}\n{text}"))
        })
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    println!(
        "the real client parsed {} random configurations in {:?}",
        tried.get(),
        begun.elapsed()
    );
    assert!(
        tried.get() >= 100,
        "only {} were tried in {:?}",
        tried.get(),
        begun.elapsed()
    );
}

#[test]
fn what_the_client_does_not_parse_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.toml");
    std::fs::write(&file, "mode = \"SOLOMINING\"\n").unwrap();
    let reason = parses(dir.path(), &file).unwrap_err();
    assert!(
        reason.contains("missing field `listening_address`"),
        "{reason}"
    );
}

/// With Bitcoin Core the client goes on to the pools at once; those are on this machine then, and
/// no network is searched.
fn at_home(mut config: Value) -> Value {
    if config["template_provider_type"]["BitcoinCoreIpc"].is_object() {
        config.as_object_mut().unwrap().remove("miner_telemetry");
        for pool in config["upstreams"].as_array_mut().unwrap() {
            pool["pool_address"] = json!("127.0.0.1");
            pool["jds_address"] = json!("[::1]");
        }
    }
    config
}

/// Starts the client with a file and ends it as soon as it has read it; the reason if it did not
/// take it.
fn parses(dir: &Path, file: &Path) -> Result<(), String> {
    let mut client = Command::new(told("JD_MANAGER_TEST_CLIENT"))
        .arg("-c")
        .arg(file)
        .current_dir(dir)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    client.kill().unwrap();
    let mut said = String::new();
    client
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    client.wait().unwrap();
    if line.contains("jd_client_sv2") && said.is_empty() {
        Ok(())
    } else {
        Err(format!("{line}{said}"))
    }
}
