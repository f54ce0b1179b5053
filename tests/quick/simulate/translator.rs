//! The stand-in for the translator, from outside, and what the product's readers of configuration,
//! log and monitoring say about it.

use super::{PATIENCE, PROGRAM, Setup, json};
use crate::harness::free_port;
use jd_manager::base::clock::Timestamp;
use jd_manager::programs::jd_client::diagnosis::ClientEnd;
use jd_manager::programs::jd_client::monitoring::MonitoringClient;
use jd_manager::programs::translator::config::TranslatorConfig;
use jd_manager::programs::translator::diagnosis::{
    READY, TranslatorLogStatus, TranslatorPhase, cause,
};
use jd_manager::programs::translator::monitoring;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

const KEY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

/// A translator's directory with a configuration file.
struct Place {
    dir: TempDir,
    config: TranslatorConfig,
}

impl Place {
    fn beside(client: SocketAddr) -> Self {
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut config = TranslatorConfig::beside_client(
            client.ip().to_string(),
            client.port(),
            KEY.into(),
            "acct".into(),
        );
        config.listening = local(free_port());
        config.monitoring = Some(local(free_port()));
        config.shares_per_minute = 600.0;
        Self {
            dir: TempDir::new().unwrap(),
            config,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, flags: &[&str]) -> Translator {
        std::fs::write(self.path("config.toml"), self.config.to_toml(8).unwrap()).unwrap();
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = Command::new(PROGRAM)
            .args(["simulate", "translator", "--retry-pause", "20ms", "-c"])
            .arg(self.path("config.toml"))
            .args(flags)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Translator {
            child,
            log: self.path("log"),
        }
    }

    fn monitoring(&self) -> SocketAddr {
        self.config.monitoring.unwrap()
    }
}

struct Translator {
    child: Child,
    log: PathBuf,
}

impl Translator {
    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in\n{}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits for its exit: the code, the status after its log, and the code of the cause.
    fn end(mut self) -> (Option<i32>, TranslatorLogStatus, Option<String>) {
        let deadline = Instant::now() + PATIENCE;
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None => assert!(Instant::now() < deadline, "it does not exit"),
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        let text = self.text();
        let mut status = TranslatorLogStatus::default();
        for line in text.lines() {
            status.apply_line(line.as_bytes());
        }
        let problems: Vec<String> = text
            .lines()
            .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
            .map(str::to_owned)
            .collect();
        let ended_at = status.heard.unwrap_or(Timestamp(0));
        let found = cause(&problems, ended_at, code.map(ClientEnd::Code));
        (code, status, found.map(|cause| cause.code))
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        // Both fail if it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that accepts one connection and keeps it.
fn client() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn reading(place: &Place) -> monitoring::TranslatorReading {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let reader = MonitoringClient::new();
    let read = monitoring::read(&reader, place.monitoring(), place.config.aggregate);
    runtime.block_on(read).unwrap()
}

#[test]
fn its_miners_are_served_until_the_client_is_gone() {
    let (listener, address) = client();
    let place = Place::beside(address);
    let translator = place.start(&["--miners", "3", "--miners-without-channel", "1"]);
    let (connection, _) = listener.accept().unwrap();
    translator.wait_for(READY);
    translator.wait_for("Received: SubmitSharesSuccess(");
    let reading = reading(&place);
    assert_eq!((reading.miners.len(), reading.channels.len()), (3, 2));
    assert_eq!((reading.odd_fields, reading.truncated), (0, false));
    let [first, second, third] = &reading.miners[..] else {
        panic!("{reading:?}")
    };
    assert_eq!(
        (first.username.as_str(), first.worker.as_str()),
        ("simulated.rig1", "rig1")
    );
    assert!(first.shares.is_some() && second.shares.is_some());
    assert_eq!((third.channel_id, &third.shares), (None, &None));
    let none = json(place.monitoring(), "/api/v1/sv1/clients?offset=2&limit=1");
    assert_eq!(none["items"][0]["client_id"], 3);

    drop(connection);
    drop(listener);
    let (code, status, cause) = translator.end();
    assert_eq!((code, cause.as_deref()), (Some(1), Some("client-lost")));
    assert_eq!(status.state, TranslatorPhase::ClientLost);
    assert_eq!(status.opened_channels, 2);
    let shares = &status.shares;
    assert!(shares.accepted > 0 && shares.accepted == shares.submitted);
    assert_eq!(status.connected_miners(), 0);
}

#[test]
fn without_a_client_it_tries_three_times_and_fails() {
    let (listener, address) = client();
    drop(listener);
    let place = Place::beside(address);
    let translator = place.start(&[]);
    let log = translator.log.clone();
    let (code, status, cause) = translator.end();
    assert_eq!((code, cause.as_deref()), (Some(1), Some("client-refused")));
    assert_eq!(status.state, TranslatorPhase::Failed);
    assert_eq!(status.failure.unwrap().code, "client-refused");
    let text = std::fs::read_to_string(log).unwrap();
    assert_eq!(text.matches("Connection attempt ").count(), 3);
}

#[test]
fn sigint_stops_it_in_good_order() {
    let (_listener, address) = client();
    let place = Place::beside(address);
    let translator = place.start(&["--miners", "1"]);
    translator.wait_for("Received mining.authorize");
    translator.interrupt();
    let (code, status, cause) = translator.end();
    assert_eq!((code, cause), (Some(0), None));
    assert_eq!(status.state, TranslatorPhase::Stopped);
}

#[test]
fn ports_that_are_taken_end_it_with_the_codes_of_the_real_one() {
    let (_listener, address) = client();
    for (is_monitoring, expected) in [
        (false, (Some(1), "port-in-use")),
        (true, (Some(0), "monitoring-port-in-use")),
    ] {
        let place = Place::beside(address);
        let taken = if is_monitoring {
            place.monitoring()
        } else {
            place.config.listening
        };
        let _other = TcpListener::bind(taken).unwrap();
        let (code, status, cause) = place.start(&[]).end();
        assert_eq!((code, cause.as_deref()), (expected.0, Some(expected.1)));
        assert_eq!(status.state, TranslatorPhase::Failed);
    }
}

#[test]
fn it_stays_beside_a_simulated_client_until_that_stops() {
    let setup = Setup::solo();
    let client = setup.start(&["--template-interval", "1s"]);
    client.line_with(super::READY);
    let place = Place::beside(setup.listening);
    let translator = place.start(&[]);
    translator.wait_for("Received: SubmitSharesSuccess(");
    let stranger = TcpStream::connect(place.config.listening).unwrap();
    translator.wait_for("Downstream 3 registered successfully");
    drop(stranger);
    translator.wait_for("Downstream: 3 disconnected");
    client.signal(Signal::INT);
    let (status, _) = client.end();
    assert_eq!(status.code(), Some(0));
    let (code, _, cause) = translator.end();
    assert_eq!((code, cause.as_deref()), (Some(1), Some("client-lost")));
}

#[test]
fn a_bad_file_and_a_version_are_answered_as_by_the_real_one() {
    let run = |args: &[&str]| {
        Command::new(PROGRAM)
            .args(["simulate", "translator"])
            .args(args)
            .output()
            .unwrap()
    };
    assert_eq!(run(&["--version"]).stdout, b"translator_sv2 0.6.0\n");
    let missing = run(&["-c", "/nowhere/at/all.toml"]);
    let text = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text.starts_with("Translator proxy config error: Bad `config` TOML deserialize: `no configuration found: `"),
        "{text}"
    );
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "downstream_port = 1\n").unwrap();
    let incomplete = run(&["-c", path.to_str().unwrap()]);
    let text = String::from_utf8(incomplete.stderr).unwrap();
    let lines = [text.trim_end().to_owned()];
    let found = cause(&lines, Timestamp(0), Some(ClientEnd::Code(1))).unwrap();
    assert_eq!(found.code, "config-field-missing", "{text}");
}
