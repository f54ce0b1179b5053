//! Tests the commands for a running manager: `jd-manager instances`, `configs`, `health`, `miners`,
//! `node`, `logs`, `updates` and `alerts`, run like people and scripts do, against a real manager.

mod configs;
mod connection;
mod doctor;
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

/// The result of a run.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// The output of a successful run without any error message.
    pub fn well(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }

    /// The same as JSON.
    pub fn json(self) -> Value {
        let out = self.well();
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }

    /// The error output of a run that failed with this exit code.
    pub fn wrong(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(!self.err.is_empty(), "it does not say why: {self:?}");
        self.err
    }
}

/// The program without the user's environment and with empty standard input.
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

/// Runs a command until it exits.
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

/// The same with this standard input.
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

/// The command for a manager's data directory, through its socket.
pub fn at(manager: &Manager, arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.arg("--data-dir").arg(manager.data_dir());
    command
}

/// Runs such a command.
pub fn ask(manager: &Manager, arguments: &[&str]) -> Run {
    run(at(manager, arguments))
}

/// The cells of the table row that begins with this name.
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
