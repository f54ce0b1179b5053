//! Clients with translators under load, while translators, keepers and the manager are killed at
//! random moments.

use crate::harness::{self, Manager, Plan, free_port, is_alive, signal, solo_config};
use crate::kills::{Watch, chance, numbered_lines, pause, pid_of};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const INSTANCES: u64 = 4;
const ROUNDS: usize = 50;
/// The longest wait after several failures in a row, and the start after it.
const BACK: Duration = Duration::from_secs(120);

/// What is killed in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Translator,
    Keeper,
    Manager,
}

const VICTIMS: [&[Victim]; 6] = [
    &[Victim::Translator],
    &[Victim::Keeper],
    &[Victim::Manager],
    &[Victim::Translator, Victim::Keeper],
    &[Victim::Translator, Victim::Manager],
    &[Victim::Keeper, Victim::Manager],
];

/// A simulated translator that starts with the flags in the file `flags` beside it.
pub fn write_translator(dir: &Path, flags: &str) -> PathBuf {
    let (path, list) = (dir.join("translator_sv2"), dir.join("flags"));
    fs::write(&list, format!("{flags}\n")).unwrap();
    let script = format!(
        "#!/bin/sh\nread -r flags < '{}'\nexec '{}' simulate translator $flags \"$@\"\n",
        list.display(),
        harness::PROGRAM
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A manager with simulated clients and this translator.
pub async fn manager_with(translator: &Path, simulate: &[&str], flags: &[&str]) -> Manager {
    let translator = ["--translator", translator.to_str().unwrap()];
    Manager::launch(Plan {
        simulate: simulate.iter().map(ToString::to_string).collect(),
        client: None,
        flags: translator
            .iter()
            .chain(flags)
            .map(ToString::to_string)
            .collect(),
    })
    .await
}

/// Starts an instance with a port for Stratum V1 miners; returns its id once both programs run.
pub async fn start_instance(manager: &Manager, name: &str) -> String {
    let mut config = solo_config(free_port(), free_port(), 1);
    config["translator"] = json!({
        "enabled": true, "listening_address": format!("127.0.0.1:{}", free_port()),
        "min_miner_hashrate": 5e11, "shares_per_minute": 60.0,
    });
    let config = manager.save_config(name, &config).await;
    let id = manager.instance_of(name, &config).await;
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(status, 200, "{body}");
    until_both(manager, &id, &[]).await;
    id
}

/// Waits until both programs of an instance run, in processes other than `gone`; returns their ids:
/// the client's and the translator's.
async fn until_both(manager: &Manager, id: &str, gone: &[u32]) -> [u32; 2] {
    let begun = Instant::now();
    loop {
        let now: Value = manager.json(&format!("/api/instances/{id}")).await;
        let programs = [&now["programs"][0], &now["programs"][1]];
        if programs
            .iter()
            .all(|program| program["status"] == "running")
        {
            let pids = programs.map(pid_of);
            if pids.iter().all(|pid| !gone.contains(pid) && is_alive(*pid)) {
                return pids;
            }
        }
        assert!(begun.elapsed() < BACK, "not back: {now}\n{}", manager.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The largest number of processes that any program of these instances has.
fn most_processes(ids: &[String]) -> usize {
    let mut counts = BTreeMap::<(&String, bool), usize>::new();
    for id in ids {
        for pid in harness::marked(&format!("JD_MANAGER_INSTANCE={id}")) {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if is_alive(pid) && !command.is_empty() {
                *counts
                    .entry((id, command.contains("translator")))
                    .or_default() += 1;
            }
        }
    }
    counts.into_values().max().unwrap_or(0)
}

/// The text of the log files of an instance's translator, in order.
fn translator_log(manager: &Manager, id: &str) -> String {
    let files = fs::read_dir(manager.instance_dir(id).join("logs-translator")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let text = files.iter().map(|file| fs::read_to_string(file).unwrap());
    text.collect()
}

/// Checks that the history has exactly one exit for each start of a program. Returns the number of
/// exits, or what is wrong.
fn check_history(events: &[Value], program: &str) -> Result<usize, String> {
    let has_process =
        |state: &Value| ["starting", "running", "stopping"].contains(&state.as_str().unwrap());
    let mut exits = BTreeMap::<u64, usize>::new();
    let mut count = 0;
    for event in events.iter().filter(|event| event["program"] == program) {
        let pid = event["pid"].as_u64();
        if event["to"] == "starting" {
            exits.entry(pid.unwrap()).or_default();
        } else if has_process(&event["from"]) && !has_process(&event["to"]) {
            let pid = pid.ok_or_else(|| format!("an exit without a process id: {event}"))?;
            *exits.entry(pid).or_default() += 1;
            count += 1;
        }
    }
    let wrong: Vec<_> = exits.iter().filter(|(_, count)| **count != 1).collect();
    if wrong.is_empty() {
        Ok(count)
    } else {
        Err(format!(
            "{program}: exits in the history for each process that was started, other than one: {wrong:?}"
        ))
    }
}

pub async fn fifty_kills_of_translators_keepers_and_the_manager() -> String {
    let dir = tempfile::tempdir().unwrap();
    let translator = write_translator(dir.path(), "--miners 50");
    let mut manager = manager_with(&translator, &["--lines-per-second", "300"], &[]).await;
    let mut ids = Vec::new();
    for number in 0..INSTANCES {
        ids.push(start_instance(&manager, &format!("soak {number}")).await);
    }
    let watched = ids.clone();
    let watch = Watch::of(move || most_processes(&watched));
    let mut killed = BTreeMap::<String, usize>::new();
    for round in 0..ROUNDS {
        pause(20, 700).await;
        let at = |below| usize::try_from(chance(below)).unwrap();
        let (id, victims) = (&ids[at(INSTANCES)], VICTIMS[at(6)]);
        *killed.entry(format!("{victims:?}")).or_default() += 1;
        let before = until_both(&manager, id, &[]).await;
        let keeper = manager.keeper_pid(id).unwrap();
        let mut gone = Vec::new();
        // Either of a pair may be the first.
        let turn = at(2);
        for place in 0..victims.len() {
            match victims[(place + turn) % victims.len()] {
                Victim::Translator => {
                    signal(before[1], Signal::KILL);
                    gone.push(before[1]);
                }
                Victim::Keeper => {
                    signal(keeper, Signal::KILL);
                    gone.extend(before);
                }
                Victim::Manager => manager.kill(),
            }
            pause(0, 30).await;
        }
        if victims.contains(&Victim::Manager) {
            pause(0, 500).await;
            manager.begin();
        }
        for other in &ids {
            let gone: &[u32] = if other == id { &gone } else { &[] };
            until_both(&manager, other, gone).await;
        }
        for pid in &gone {
            assert!(!is_alive(*pid), "round {round}: {pid} is left over");
        }
    }

    let (mut lines, mut exits, mut wrong) = (0, 0, Vec::new());
    for id in &ids {
        let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
        assert_eq!(status, 200, "{body}");
        let left = manager.clients(id);
        assert!(left.is_empty(), "left over: {left:?}");
        let events = manager.events(id).await;
        for program in ["client", "translator"] {
            match check_history(&events, program) {
                Ok(count) => exits += count,
                Err(error) => wrong.push(error),
            }
        }
        lines += numbered_lines(&manager.log_text(id), "line n=")
            .iter()
            .sum::<usize>();
        let shares = numbered_lines(&translator_log(&manager, id), "sequence_number: ");
        lines += shares.iter().sum::<usize>();
    }
    let most = watch.most();
    println!("       {killed:?}; {lines} lines without a gap; at most {most} of a program at once");
    assert_eq!(most, 1, "two processes of a program at once");
    assert!(wrong.is_empty(), "{wrong:#?}");
    format!("{lines} lines, none lost or repeated; {exits} exits, each in the history once")
}
