//! The commands that ask a running manager: `jd-manager instances`, `configs`, `health`, `node`, `logs`,
//! `updates` and `alerts`, run as people and scripts run them against a real manager.

mod configs;
mod connection;
mod health;
mod help;
mod hostile_server;
mod instances;
mod logs;
mod node;
mod updates;

use crate::harness::{Manager, PROGRAM};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// What it said on standard output.
    pub out: String,
    /// What it said on standard error.
    pub err: String,
}

impl Run {
    /// The output of a run that went well and complained of nothing.
    pub fn well(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }

    /// The same as JSON.
    pub fn json(self) -> Value {
        let out = self.well();
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    /// What a run said that went wrong with this exit code.
    pub fn wrong(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.err.is_empty(), "it does not say why: {self:?}");
        self.err
    }
}

/// The program without anything of the user's, and nothing at its standard input.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    let home = std::env::temp_dir().join("jd-manager-test-nowhere");
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Run {
    ended(command.output().unwrap())
}

fn ended(
    Output {
        status,
        stdout,
        stderr,
    }: Output,
) -> Run {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run {
        code: status.code().expect("it ended by itself"),
        out: text(stdout),
        err: text(stderr),
    }
}

/// The same with something at its standard input.
pub fn run_with(mut command: Command, input: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    ended(child.wait_with_output().unwrap())
}

/// The command on a manager's data directory, by its socket.
pub fn at(manager: &Manager, arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.arg("--data-dir").arg(manager.data_dir());
    command
}

/// Runs such a command.
pub fn ask(manager: &Manager, arguments: &[&str]) -> Run {
    run(at(manager, arguments))
}

/// The lines of a table with this name at their beginning, cut at every gap.
pub fn row(table: &str, name: &str) -> Vec<String> {
    let line = table
        .lines()
        .find(|line| line.split("  ").next().unwrap().trim_end() == name);
    let line = line.unwrap_or_else(|| panic!("no row {name:?} in\n{table}"));
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .map(str::to_owned)
        .collect()
}
