//! What was confirmed lasts: a power cut right afterwards takes nothing of it.

use super::{PASSWORD, Visitor, log_in, timed};
use crate::harness::Manager;
use crate::harness::{free_port, solo_config};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The system calls by which a manager writes, as strace sees them.
struct Trace(PathBuf);

/// One of them, with its time in seconds since 1970.
#[derive(Debug)]
struct Call {
    at: f64,
    name: String,
    file: PathBuf,
    arguments: String,
}

impl Trace {
    /// Starts the manager anew under strace, which stays beside it and not above it.
    fn begin(manager: &mut Manager) -> Self {
        manager.terminate();
        let path = manager.scratch().join("trace");
        let strace = [
            "strace",
            "-D",
            "-f",
            "-ttt",
            "-y",
            "-s",
            "0",
            "-e",
            "trace=pwrite64,fsync,fdatasync,ftruncate",
            "-o",
        ];
        manager.wrapper = strace
            .map(str::to_owned)
            .into_iter()
            .chain([path.to_str().unwrap().to_owned()])
            .collect();
        manager.begin();
        manager.wrapper.clear();
        Self(path)
    }

    /// What was called so far, in order.
    fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(&self.0).unwrap();
        text.lines().filter_map(call).collect()
    }

    /// The same of a manager that was killed.
    async fn all_calls(&self) -> Vec<Call> {
        crate::harness::until("the trace is complete", || async {
            let text = fs::read_to_string(&self.0).unwrap();
            text.lines()
                .last()
                .is_some_and(|line| line.contains("+++ killed by SIGKILL"))
                .then_some(())
        })
        .await;
        self.calls()
    }
}

/// `1234 1795382999.204000 fdatasync(12</data/jd-manager.sqlite3-wal>) = 0`
fn call(line: &str) -> Option<Call> {
    let (_, rest) = line.split_once(' ')?;
    let (at, rest) = rest.trim_start().split_once(' ')?;
    let (name, rest) = rest.split_once('(')?;
    let (_, rest) = rest.split_once('<')?;
    let (file, arguments) = rest.split_once('>')?;
    Some(Call {
        at: at.parse().ok()?,
        name: name.to_owned(),
        file: file.into(),
        arguments: arguments.to_owned(),
    })
}

/// A file as far as the disk surely has it.
#[derive(Default)]
struct OnDisk {
    /// Written since the last sync: offset and length.
    unsynced: Vec<(u64, u64)>,
}

impl OnDisk {
    fn take(&mut self, call: &Call) {
        let numbers: Vec<u64> = call
            .arguments
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        match (call.name.as_str(), numbers.as_slice()) {
            ("pwrite64", [length, offset, ..]) => self.unsynced.push((*offset, *length)),
            ("fsync" | "fdatasync", _) => self.unsynced.clear(),
            ("ftruncate", [length, ..]) => self.unsynced.retain(|(offset, _)| offset < length),
            _ => {}
        }
    }

    /// Takes from the file what the disk may not have; at its end it is cut off.
    fn cut(mut self, path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        let mut length = file.metadata().unwrap().len();
        self.unsynced.sort_unstable();
        for (offset, written) in self.unsynced.into_iter().rev() {
            if offset + written >= length {
                length = length.min(offset);
                file.set_len(length).unwrap();
            } else {
                file.write_all_at(&vec![0; usize::try_from(written).unwrap()], offset)
                    .unwrap();
            }
        }
    }
}

/// Kills the manager and leaves of its database what a disk without power has.
async fn cut_power(manager: &mut Manager, trace: &Trace) {
    manager.kill();
    let mut files: BTreeMap<PathBuf, OnDisk> = BTreeMap::new();
    for call in trace.all_calls().await {
        files.entry(call.file.clone()).or_default().take(&call);
    }
    let database = manager.data_dir().join("jd-manager.sqlite3");
    let log = manager.data_dir().join("jd-manager.sqlite3-wal");
    assert!(
        files.contains_key(&log),
        "the trace misses the log: {:?}",
        files.keys()
    );
    for path in [&database, &log] {
        if let Some(on_disk) = files.remove(path).filter(|_| path.exists()) {
            on_disk.cut(path);
        }
    }
    let _ = fs::remove_file(manager.data_dir().join("jd-manager.sqlite3-shm"));
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test]
async fn a_change_is_synced_before_it_is_confirmed_and_survives_a_power_cut() {
    let mut manager = Manager::start().await;
    let ada = Visitor::ada(&manager).await;
    let bob = json!({ "name": "bob", "role": "admin", "password": PASSWORD });
    let bob = ada
        .send(&manager, "POST", "/api/users", &bob)
        .await
        .json(201)["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (token, token_id) = ada.token(&manager, "grafana").await;
    let config = json!({ "name": "old", "config": solo_config(free_port(), free_port(), 1) });
    let old = ada
        .send(&manager, "POST", "/api/saved-configs", &config)
        .await
        .json(201)["config_id"]
        .as_str()
        .unwrap()
        .to_owned();

    let new_password = "another horse entirely";
    let change = json!({ "current": PASSWORD, "password": new_password });
    let config = json!({ "name": "new", "config": solo_config(free_port(), free_port(), 1) });
    let changes = [
        ("DELETE", format!("/api/tokens/{token_id}"), json!({})),
        ("DELETE", format!("/api/users/{bob}"), json!({})),
        ("DELETE", format!("/api/saved-configs/{old}"), json!({})),
        ("POST", "/api/saved-configs".into(), config),
        ("POST", "/api/account/password".into(), change),
    ];
    let log = manager.data_dir().join("jd-manager.sqlite3-wal");
    for (at, (method, path, body)) in changes.iter().enumerate() {
        let trace = Trace::begin(&mut manager);
        let begun = now();
        let (answer, took) = timed(ada.send(&manager, method, path, body)).await;
        let confirmed = now();
        assert!(answer.status < 300, "{answer:?}");
        eprintln!("{method} {path}: {took:?} under strace");
        // At once, before anything else can bring it to the disk.
        cut_power(&mut manager, &trace).await;
        let syncs = trace.calls();
        let syncs = syncs
            .iter()
            .filter(|call| call.name.ends_with("sync") && call.file == log);
        let before = syncs
            .filter(|call| (begun..=confirmed).contains(&call.at))
            .count();
        assert!(
            before >= 1,
            "{method} {path} is confirmed before the log is synced"
        );
        manager.begin();
        match at {
            0 => assert_eq!(
                token.get(&manager, "/api/instances").await.status,
                401,
                "revoked stays revoked"
            ),
            1 => assert!(
                log_in(&manager, "bob", PASSWORD).await.is_none(),
                "deleted stays deleted"
            ),
            2 => assert_eq!(
                ada.get(&manager, &format!("/api/saved-configs/{old}"))
                    .await
                    .status,
                404
            ),
            3 => {
                let all = ada.get(&manager, "/api/saved-configs").await;
                assert!(all.text.contains("\"new\""), "saved stays saved: {all:?}");
            }
            _ => {
                assert!(
                    log_in(&manager, "ada", PASSWORD).await.is_none(),
                    "the old password is gone"
                );
                assert!(log_in(&manager, "ada", new_password).await.is_some());
            }
        }
        let audit = ada.get(&manager, "/api/audit?limit=1000").await;
        assert!(
            audit.text.contains(path.as_str()),
            "what was confirmed is in the audit log: {path}"
        );
        assert_eq!(super::notices(&manager).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn samples_are_not_synced_one_by_one_and_a_deleted_backup_is_gone_for_good() {
    let (mut manager, id) = Manager::measured().await;
    let trace = Trace::begin(&mut manager);
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let response = manager.post_json("/api/backups", &json!({})).await;
    assert_eq!(response.status(), 202);
    let name = crate::harness::until("a backup", || async {
        let all = manager.json("/api/backups").await;
        all["backups"][0]["name"]
            .as_str()
            .filter(|_| all["making"].is_null())
            .map(str::to_owned)
    })
    .await;
    let begun = now();
    assert!(
        manager
            .delete(&format!("/api/backups/{name}"))
            .await
            .status()
            .is_success()
    );
    let confirmed = now();
    let backups = manager.data_dir().join("backups");
    crate::harness::until("the deletion is synced", || async {
        let calls = trace.calls();
        let is_it = |call: &&Call| call.file == backups && (begun..=confirmed).contains(&call.at);
        calls.iter().any(|call| is_it(&call)).then_some(())
    })
    .await;
    // In a quiet time there are only samples.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = now();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let ended = now();
    let calls = trace.calls();
    let of_database = calls
        .iter()
        .filter(|call| call.file.to_string_lossy().contains("jd-manager.sqlite3"));
    let (syncs, writes): (Vec<&Call>, Vec<&Call>) = of_database
        .filter(|call| (begun..=ended).contains(&call.at))
        .partition(|call| call.name.ends_with("sync"));
    assert!(writes.len() >= 4, "samples are written: {writes:?}");
    assert!(syncs.len() <= 4, "samples are not synced: {syncs:?}");
}
