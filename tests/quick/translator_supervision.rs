//! A keeper that runs a translator beside its client: real processes and real signals. Both are
//! shell scripts; the port that the client would listen on is the test's own.

use crate::harness::{self, Manager, is_alive, signal, until};
use jd_manager::keeper::journal::{self, JournalEntry, ManagedProgram};
use jd_manager::keeper::machine::{ChangeReason, InstanceState, ProcessExit};
use jd_manager::keeper::protocol::{
    self, KeeperCommand, KeeperRequest, KeeperSpec, KeeperStatus, TranslatorSpec, TranslatorStatus,
};
use jd_manager::keeper::translator_machine::TranslatorState;
use jd_manager::keeper::{client, names};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY: &str = "ready to accept connections";
const LISTENING: &str = "Translator Proxy: listening on";

/// Serves once the file `go` lies in the instance's directory.
const CLIENT: &str = r#"
trap 'echo client >> order; exit 0' INT
while [ ! -e ../go ]; do sleep 0.02; done
echo "2026-11-22T21:28:39.731870Z  INFO fake: ready to accept connections"
while :; do sleep 0.02; done
"#;

/// Ends as one whose client dropped it when the file `drop` lies there.
const TRANSLATOR: &str = r#"
trap 'echo translator >> order; exit 0' INT
echo "2026-11-22T21:28:39.731870Z  INFO fake: Translator Proxy: listening on 127.0.0.1:1"
while :; do
    sleep 0.02
    if rm ../drop 2>/dev/null; then
        echo "2026-11-22T21:28:39.731870Z  WARN fake: requested fallback error_kind=x"
        exit 1
    fi
done
"#;

/// Does not react to SIGINT.
const STUBBORN: &str = r#"
trap '' INT
echo "2026-11-22T21:28:39.731870Z  INFO fake: Translator Proxy: listening on 127.0.0.1:1"
while :; do sleep 0.02; done
"#;

/// A keeper of this test; it ends with it.
struct TestKeeper {
    dir: tempfile::TempDir,
    spec: KeeperSpec,
    child: Child,
    /// Where the client would listen.
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl TestKeeper {
    /// A keeper whose client serves at once, without a translator.
    fn without_translator() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("jd-manager-keeper")
            .tempdir()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mark = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let env = vec![
            ("PATH".into(), std::env::var("PATH").unwrap()),
            (names::MARK.into(), mark),
        ];
        let program = write_script(dir.path(), "client", CLIENT);
        let spec = KeeperSpec {
            ready_when: vec![READY.into()],
            ..KeeperSpec::new(program, Vec::new(), env)
        };
        write_spec(dir.path(), &spec);
        fs::write(dir.path().join("go"), "").unwrap();
        Self {
            child: start_keeper(dir.path()),
            dir,
            spec,
            address: listener.local_addr().unwrap(),
            listener: Some(listener),
        }
    }

    /// The same with a translator that has this script. Both are running.
    fn running(script: &str) -> Self {
        let mut keeper = Self::without_translator();
        keeper.set_translator(Some(script));
        keeper.ask(KeeperCommand::Start);
        keeper.until_running();
        keeper
    }

    /// Writes the specification with such a translator, or without one.
    fn set_translator(&mut self, script: Option<&str>) {
        let dir = self.dir.path();
        self.spec.translator = script.map(|script| {
            let program = write_script(dir, "translator", script);
            let env = vec![("PATH".into(), std::env::var("PATH").unwrap())];
            TranslatorSpec {
                ready_when: vec![LISTENING.into()],
                ..TranslatorSpec::new(program, Vec::new(), env, self.address.to_string())
            }
        });
        write_spec(dir, &self.spec);
    }

    fn ask(&self, command: KeeperCommand) -> KeeperStatus {
        let mut stream = client::connect(self.dir.path()).unwrap();
        let request = KeeperRequest {
            v: protocol::VERSION,
            command,
            id: Some(7),
            actor: Some("test".into()),
            ingested: None,
        };
        stream.write_all(&protocol::line(&request)).unwrap();
        let mut answers = BufReader::new(stream).lines().map(Result::unwrap);
        let mut answers = answers
            .by_ref()
            .map(|line| serde_json::from_str::<KeeperStatus>(&line).unwrap());
        answers.find(|status| status.re == Some(7)).unwrap()
    }

    fn status(&self) -> KeeperStatus {
        self.ask(KeeperCommand::Watch)
    }

    fn translator(&self) -> TranslatorStatus {
        self.status().translator.unwrap()
    }

    fn until(&self, what: &str, is_so: impl Fn(&KeeperStatus) -> bool) -> KeeperStatus {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{what}: {status:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn until_running(&self) -> KeeperStatus {
        self.until("both serve", |status| {
            status.state == InstanceState::Running
                && is_translator(status, TranslatorState::Running)
        })
    }

    /// Waits for the keeper's own end.
    fn until_gone(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// The processes that the keeper started itself, once there are so many.
    fn until_children(&self, count: usize) -> Vec<u32> {
        let begun = Instant::now();
        let keeper = self.child.id();
        let path = format!("/proc/{keeper}/task/{keeper}/children");
        loop {
            let children: Vec<u32> = fs::read_to_string(&path)
                .unwrap()
                .split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .filter(|pid| is_alive(*pid))
                .collect();
            if children.len() == count {
                return children;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{children:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What is left of all that was started.
    fn leftovers(&self) -> Vec<u32> {
        harness::processes_in(&fs::canonicalize(self.dir.path().join(names::WORK)).unwrap())
    }

    fn journal(&self, program: ManagedProgram) -> Vec<JournalEntry> {
        let (entries, _) = journal::read_from(self.dir.path(), 0).unwrap();
        entries
            .into_iter()
            .filter(|entry| entry.program == program)
            .collect()
    }

    fn states(&self, program: ManagedProgram) -> Vec<InstanceState> {
        self.journal(program).iter().map(|entry| entry.to).collect()
    }

    /// Who got SIGINT, in this order.
    fn order(&self) -> String {
        fs::read_to_string(self.dir.path().join("work/order")).unwrap_or_default()
    }
}

impl Drop for TestKeeper {
    fn drop(&mut self) {
        // Its processes die with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_translator(status: &KeeperStatus, state: TranslatorState) -> bool {
    status
        .translator
        .as_ref()
        .is_some_and(|translator| translator.state == state)
}

fn start_keeper(dir: &Path) -> Child {
    let mut child = Command::new(harness::PROGRAM)
        .arg0("jd-manager")
        .arg("keep")
        .arg(dir)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "ready\n");
    child
}

fn write_script(dir: &Path, name: &str, script: &str) -> PathBuf {
    let draft = dir.join(format!("{name}.new"));
    fs::write(&draft, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.join(name);
    fs::rename(draft, &path).unwrap();
    path
}

fn write_spec(dir: &Path, spec: &KeeperSpec) {
    let draft = dir.join("keeper.json.new");
    fs::write(&draft, serde_json::to_vec(spec).unwrap()).unwrap();
    fs::rename(draft, dir.join(names::SPEC)).unwrap();
}

#[test]
fn a_requested_restart_replaces_the_translator_and_not_the_client() {
    let keeper = TestKeeper::running(TRANSLATOR);
    let before = keeper.status();
    let translator = before.translator.unwrap();
    assert!(translator.can_restart);
    keeper.ask(KeeperCommand::RestartTranslator);
    let after = keeper.until("a new translator", |status| {
        is_translator(status, TranslatorState::Running)
            && status.translator.as_ref().unwrap().pid != translator.pid
    });
    assert_eq!(after.pid, before.pid);
    let now = after.translator.unwrap();
    assert_eq!((now.restarts, now.failures), (1, 0));
    let stop = &keeper.journal(ManagedProgram::Translator)[2];
    assert_eq!(
        (stop.to, &stop.reason, stop.actor.as_deref()),
        (InstanceState::Stopping, &ChangeReason::Asked, Some("test"))
    );
    keeper.ask(KeeperCommand::Stop);
}

#[test]
fn it_starts_after_the_clients_ready_line_and_once_its_port_is_open() {
    let mut keeper = TestKeeper::without_translator();
    keeper.set_translator(Some(TRANSLATOR));
    fs::remove_file(keeper.dir.path().join("go")).unwrap();
    keeper.ask(KeeperCommand::Start);
    std::thread::sleep(Duration::from_millis(300));
    let status = keeper.status();
    assert_eq!(status.state, InstanceState::Starting);
    assert!(
        is_translator(&status, TranslatorState::Waiting),
        "{status:?}"
    );

    // The client says that it serves, but its port is closed.
    keeper.listener = None;
    fs::write(keeper.dir.path().join("go"), "").unwrap();
    keeper.until("the client serves", |s| s.state == InstanceState::Running);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(keeper.translator().state, TranslatorState::Waiting);
    keeper.until_children(1);

    keeper.listener = Some(TcpListener::bind(keeper.address).unwrap());
    let status = keeper.until_running();
    let translator = status.translator.unwrap();
    assert_eq!((translator.restarts, translator.failures), (0, 0));
    assert!(is_alive(translator.pid.unwrap()));
    // A log of its own, and lines of its own.
    assert_eq!(translator.lines.unwrap().error, 0);
    assert_eq!(translator.lines.unwrap().info, 1);
    let log = fs::read_to_string(
        keeper
            .dir
            .path()
            .join("logs-translator/00000000000000000000.log"),
    )
    .unwrap();
    assert!(log.contains(LISTENING) && !log.contains(READY), "{log}");
    assert_eq!(
        keeper.states(ManagedProgram::Translator),
        [InstanceState::Starting, InstanceState::Running]
    );
}

#[test]
fn a_killed_client_takes_it_along_and_both_come_back_without_a_failure_of_it() {
    let keeper = TestKeeper::running(TRANSLATOR);
    let before = keeper.status();
    signal(before.pid.unwrap(), Signal::KILL);
    let after = keeper.until("both are new", |status| {
        status.pid != before.pid
            && status.state == InstanceState::Running
            && is_translator(status, TranslatorState::Running)
    });
    let (old, new) = (before.translator.unwrap(), after.translator.unwrap());
    assert_ne!(old.pid, new.pid);
    assert!(!is_alive(old.pid.unwrap()));
    assert_eq!((new.failures, new.restarts), (0, 1));
    assert_eq!(after.failures, 1);
    keeper.until_children(2);
}

#[test]
fn a_crash_beside_a_healthy_client_backs_off_and_leaves_the_client_alone() {
    let keeper = TestKeeper::running(TRANSLATOR);
    let before = keeper.status();
    let killed = before.translator.unwrap().pid.unwrap();
    signal(killed, Signal::KILL);
    let waiting = keeper.until("it waits", |s| {
        is_translator(s, TranslatorState::BackingOff)
    });
    let waiting = waiting.translator.unwrap();
    assert_eq!(
        (waiting.failures, waiting.exit),
        (1, Some(ProcessExit::Signal(9)))
    );
    assert!(waiting.retry_at.unwrap() - waiting.since >= 900);
    let after = keeper.until_running();
    assert_eq!(
        (after.pid, after.started_at, after.failures),
        (before.pid, before.started_at, 0)
    );
    assert_eq!(
        keeper.states(ManagedProgram::Client),
        [InstanceState::Starting, InstanceState::Running]
    );
    let crash = &keeper.journal(ManagedProgram::Translator)[2];
    assert_eq!(
        (crash.from, crash.to, &crash.reason, crash.pid),
        (
            InstanceState::Running,
            InstanceState::BackingOff,
            &ChangeReason::EndedUnasked,
            Some(killed)
        )
    );
}

#[test]
fn dropped_by_a_client_that_goes_on_it_is_back_at_once_but_not_for_ever() {
    let keeper = TestKeeper::running(TRANSLATOR);
    let client = keeper.status().pid;
    for restarts in 1..=3 {
        let dropped = Instant::now();
        fs::write(keeper.dir.path().join("drop"), "").unwrap();
        let status = keeper.until("it is back", |status| {
            status.translator.as_ref().unwrap().restarts == restarts
                && is_translator(status, TranslatorState::Running)
        });
        assert_eq!(status.translator.unwrap().failures, 0);
        assert!(dropped.elapsed() < Duration::from_millis(900));
    }
    fs::write(keeper.dir.path().join("drop"), "").unwrap();
    let status = keeper.until("it waits", |s| {
        is_translator(s, TranslatorState::BackingOff)
    });
    assert_eq!(status.translator.unwrap().failures, 1);
    assert_eq!(keeper.until_running().pid, client);
}

#[test]
fn a_stop_and_a_restart_end_it_before_the_client() {
    let mut keeper = TestKeeper::running(TRANSLATOR);
    let before = keeper.status();
    keeper.ask(KeeperCommand::Restart);
    let after = keeper.until("both are new", |status| {
        status.pid != before.pid && is_translator(status, TranslatorState::Running)
    });
    assert_eq!(keeper.order(), "translator\nclient\n");
    assert_eq!(after.translator.unwrap().failures, 0);
    keeper.until_children(2);

    let begun = Instant::now();
    keeper.ask(KeeperCommand::Stop);
    keeper.until_gone();
    assert!(begun.elapsed() < Duration::from_secs(1), "{begun:?}");
    assert_eq!(keeper.order(), "translator\nclient\n".repeat(2));
    assert_eq!(keeper.leftovers(), Vec::<u32>::new());
    let stops: Vec<_> = keeper
        .journal(ManagedProgram::Translator)
        .into_iter()
        .filter(|entry| entry.to == InstanceState::Stopped)
        .map(|entry| (entry.exit, entry.reason))
        .collect();
    let asked = (Some(ProcessExit::Code(0)), ChangeReason::EndedAsAsked);
    assert_eq!(stops, [asked.clone(), asked]);
}

#[test]
fn one_that_ignores_sigint_holds_the_clients_stop_up_for_two_seconds_at_most() {
    let mut keeper = TestKeeper::running(STUBBORN);
    let begun = Instant::now();
    keeper.ask(KeeperCommand::Stop);
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(keeper.order(), "", "the client goes on meanwhile");
    keeper.until_gone();
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(1900)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
    assert_eq!(keeper.order(), "client\n");
    let end = keeper.journal(ManagedProgram::Translator).pop().unwrap();
    assert_eq!(
        (end.reason, end.exit),
        (ChangeReason::Killed, Some(ProcessExit::Signal(9)))
    );
}

#[test]
fn a_killed_keeper_takes_both_along_and_its_successor_starts_one_of_each() {
    let mut keeper = TestKeeper::running(TRANSLATOR);
    let before = keeper.until_children(2);
    keeper.child.kill().unwrap();
    keeper.child.wait().unwrap();
    keeper.child = start_keeper(keeper.dir.path());
    for pid in before {
        assert!(!is_alive(pid), "{pid} was left behind");
    }
    keeper.ask(KeeperCommand::Start);
    keeper.until_running();
    keeper.until_children(2);
}

#[test]
fn a_signal_to_the_keeper_stops_both() {
    let mut keeper = TestKeeper::running(TRANSLATOR);
    signal(keeper.child.id(), Signal::TERM);
    keeper.until_gone();
    assert_eq!(keeper.order(), "translator\nclient\n");
    assert_eq!(keeper.leftovers(), Vec::<u32>::new());
}

#[test]
fn a_reload_adds_replaces_and_removes_it_and_leaves_the_client_alone() {
    let mut keeper = TestKeeper::without_translator();
    keeper.ask(KeeperCommand::Start);
    let alone = keeper.until("it serves", |s| s.state == InstanceState::Running);
    assert_eq!(alone.translator, None);
    assert!(!keeper.dir.path().join("logs-translator").exists());

    keeper.set_translator(Some(TRANSLATOR));
    keeper.ask(KeeperCommand::Reload);
    let first = keeper.until_running().translator.unwrap().pid;
    // The same specification again changes nothing.
    keeper.ask(KeeperCommand::Reload);
    assert_eq!(keeper.translator().pid, first);

    let translator = keeper.spec.translator.as_mut().unwrap();
    translator.args.push("--other".into());
    write_spec(keeper.dir.path(), &keeper.spec);
    keeper.ask(KeeperCommand::Reload);
    let second = keeper.until("another runs", |status| {
        is_translator(status, TranslatorState::Running)
            && status.translator.as_ref().unwrap().pid != first
    });
    assert_eq!(second.translator.unwrap().failures, 0);

    keeper.set_translator(None);
    keeper.ask(KeeperCommand::Reload);
    let end = keeper.until("it is gone", |status| status.translator.is_none());
    assert_eq!(
        (end.pid, end.started_at, end.state),
        (alone.pid, alone.started_at, InstanceState::Running)
    );
    assert_eq!(keeper.until_children(1), [alone.pid.unwrap()]);
}

/// The manager stores what a translator did beside what its client did, and takes neither for the
/// other.
#[tokio::test(flavor = "multi_thread")]
async fn the_history_tells_the_translator_from_its_client() {
    let manager = Manager::start().await;
    let port = harness::free_port();
    let config = manager
        .save_config("barn", &harness::solo_config(port, harness::free_port(), 1))
        .await;
    let id = manager.instance_of("barn", &config).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let before = manager.until_state(&id, "running").await;

    let dir = manager.instance_dir(&id);
    let mut spec = KeeperSpec::read(&dir).unwrap();
    spec.translator = Some(TranslatorSpec {
        ready_when: vec![LISTENING.into()],
        ..TranslatorSpec::new(
            write_script(&dir, "translator", TRANSLATOR),
            Vec::new(),
            vec![("PATH".into(), std::env::var("PATH").unwrap())],
            format!("127.0.0.1:{port}"),
        )
    });
    write_spec(&dir, &spec);
    // A changed policy makes the keeper read its specification again.
    let patch = manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&json!({ "restart_policy": "always" }))
        .send()
        .await
        .unwrap();
    assert_eq!(patch.status(), 200);
    let of_translator = || async {
        let events = manager.events(&id).await;
        let of_it = events.into_iter().filter(|e| e["program"] == "translator");
        of_it.collect::<Vec<_>>()
    };
    let events = until("the translator serves", || async {
        let events = of_translator().await;
        (events.last()?["to"] == "running").then_some(events)
    })
    .await;
    let pid = u32::try_from(events[0]["pid"].as_u64().unwrap()).unwrap();
    signal(pid, Signal::KILL);
    until("it is back", || async {
        let events = of_translator().await;
        (events.len() == 5 && events[4]["to"] == "running").then_some(())
    })
    .await;
    let crash = &of_translator().await[2];
    assert_eq!(
        (&crash["to"], &crash["exit_signal"], &crash["cause"]["code"]),
        (&json!("backing-off"), &json!(9), &json!("killed")),
        "{crash}"
    );
    let reason = crash["reason"].as_str().unwrap();
    assert_eq!(reason, "translator: was killed by signal 9 (SIGKILL)");

    let after = manager.json(&format!("/api/instances/{id}")).await;
    for member in [
        "status",
        "pid",
        "started_at",
        "restarts",
        "failures",
        "exit",
    ] {
        assert_eq!(before[member], after[member], "{member}");
    }
    let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(
        (status, body["status"].as_str()),
        (200, Some("stopped")),
        "{body}"
    );
    let events = manager.events(&id).await;
    let of_client: Vec<_> = events
        .iter()
        // A changed health check is an event without a change of state.
        .filter(|event| event["program"] == "client" && event["from"] != event["to"])
        .map(|event| event["to"].as_str().unwrap())
        .collect();
    assert_eq!(
        of_client,
        ["starting", "running", "stopping", "stopped"],
        "{events:?}"
    );
    assert!(!is_alive(pid));
}
