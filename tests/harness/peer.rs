//! Mock peers that speak the real protocols.

use crate::harness::told;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A mock peer as a process of its own, ended with the test. What it says is collected.
pub struct Peer {
    pub child: Child,
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Starts a peer and waits for its first line.
    pub fn start(script: &str, args: &[&str]) -> (Self, String) {
        Self::spawn(Command::new(told("JD_MANAGER_TEST_PYTHON")), script, args)
    }

    /// Starts a peer in a network namespace of its own, which is that of its process.
    pub fn start_in_network(script: &str, args: &[&str]) -> (Self, String) {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--"])
            .arg(told("JD_MANAGER_TEST_PYTHON"));
        Self::spawn(command, script, args)
    }

    fn spawn(mut python: Command, script: &str, args: &[&str]) -> (Self, String) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/peers")
            .join(script);
        let mut child = python
            .arg("-u")
            .arg(path)
            .args(args)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines
            .next()
            .unwrap_or_else(|| panic!("{script} said nothing"))
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let collected = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                collected.lock().unwrap().push(line);
            }
        });
        (Self { child, said }, first)
    }

    /// A peer that listens, with its ports.
    pub fn listening(script: &str, args: &[&str]) -> (Self, Vec<u16>) {
        let (peer, first) = Self::start(script, args);
        (peer, ports_of(&first))
    }

    pub fn template_provider(args: &[&str]) -> (Self, u16) {
        let (peer, ports) = Self::listening("template_provider.py", args);
        (peer, ports[0])
    }

    pub fn has_said(&self, start: &str) -> bool {
        self.said
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.starts_with(start))
    }
}

/// The ports in the first line of a peer that listens.
pub fn ports_of(first: &str) -> Vec<u16> {
    let ports = first
        .strip_prefix("listening ")
        .unwrap_or_else(|| panic!("{first} has no ports"));
    ports.split(' ').map(|port| port.parse().unwrap()).collect()
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
