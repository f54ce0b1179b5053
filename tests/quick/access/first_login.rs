//! Initial setup with the code from the terminal, and the allowed listen addresses.

use super::{PASSWORD, Visitor};
use crate::harness::{PROGRAM, free_port};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A manager that listens to other computers, or tries to.
struct Open {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl Open {
    fn start(dir: &Path, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut child = Command::new(PROGRAM)
            .args([
                "--release-api",
                "http://127.0.0.1:9",
                "--listen",
                &format!("0.0.0.0:{port}"),
                "--data-dir",
            ])
            .arg(dir)
            .args(flags)
            .env_remove("RUST_LOG")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, port }
    }

    /// Its error output if it does not listen.
    fn refuses(mut self) -> String {
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(1), "{said}");
        said
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_a_password_other_machines_are_not_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let said = Open::start(dir.path(), &[], &[]).refuses();
    for part in [
        "has no users yet",
        "set-password",
        "--setup",
        "JD_MANAGER_PASSWORD",
        "ssh -L",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = Open::start(dir.path(), &[], &[("JD_MANAGER_PASSWORD", "short")]).refuses();
    assert!(
        said.contains("at least 10 characters") && !said.contains("short "),
        "{said}"
    );
    let said = Open::start(dir.path(), &["--password-file", "/nowhere"], &[]);
    let mut said = said;
    let mut text = String::new();
    said.child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.contains("password_file: /nowhere cannot be read"),
        "{text}"
    );
}

#[tokio::test]
async fn a_password_of_the_environment_is_the_admins() {
    let dir = tempfile::tempdir().unwrap();
    let http = crate::harness::connections();
    let log_in = async |at: &Open, password: &str| {
        let body = json!({ "name": "admin", "password": password });
        http.post(at.url("/api/login"))
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let mut open = Open::start(dir.path(), &[], &[("JD_MANAGER_PASSWORD", PASSWORD)]);
    assert!(open.line().contains("ready"));
    assert_eq!(log_in(&open, PASSWORD).await, 200);
    assert_eq!(
        http.get(open.url("/api/instances"))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    drop(open);
    let file = dir.path().join("password");
    std::fs::write(&file, "a newer password\n").unwrap();
    let mut open = Open::start(
        dir.path(),
        &["--password-file", file.to_str().unwrap()],
        &[],
    );
    assert!(open.line().contains("ready"));
    assert_eq!(
        (
            log_in(&open, PASSWORD).await,
            log_in(&open, "a newer password").await
        ),
        (401, 200)
    );
    drop(open);
    // It stays when the variable is removed.
    let mut open = Open::start(dir.path(), &[], &[]);
    assert!(open.line().contains("ready"));
    assert_eq!(log_in(&open, "a newer password").await, 200);
}

#[tokio::test]
async fn the_first_login_needs_the_code_of_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = Open::start(
        dir.path(),
        &["--setup", "--trusted-proxies", "127.0.0.1"],
        &[],
    );
    let line = open.line();
    let code = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(line.contains("/login/first") && code.len() == 19, "{line}");
    assert!(open.line().contains("ready"));
    let http = crate::harness::connections();
    let visit = async |code: &str, password: &str| {
        let body = json!({ "code": code, "name": "ada", "password": password });
        http.post(open.url("/api/login/first"))
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    // From another computer, behind a trusted proxy, only this is accessible.
    let elsewhere = |path: &str| {
        http.get(open.url(path))
            .header("x-forwarded-for", "192.0.2.7")
    };
    assert_eq!(
        elsewhere("/api/instances").send().await.unwrap().status(),
        401
    );
    let led = elsewhere("/instances")
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            led.status().as_u16(),
            led.headers()["location"].to_str().unwrap()
        ),
        (303, "/login/first")
    );
    let page = http
        .get(open.url("/login/first"))
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(visit("AAAA-AAAA-AAAA-AAAA", PASSWORD).await.status(), 422);
    assert_eq!(visit(&code, "short").await.status(), 422);
    let typed = code.to_lowercase().replace('-', "");
    let welcome = visit(&typed, PASSWORD).await;
    assert_eq!(welcome.status(), 200);
    assert!(
        welcome.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .starts_with("jd-manager=")
    );
    // It works only once.
    assert_eq!(visit(&code, "another password").await.status(), 404);
    assert_eq!(
        http.get(open.url("/login/first"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert_eq!(
        http.get(open.url("/api/instances"))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    drop(open);
    let mut again = Open::start(dir.path(), &["--setup"], &[]);
    assert!(
        again.line().contains("ready"),
        "there is nothing to set up any more"
    );
}

#[tokio::test]
async fn what_came_through_something_unknown_is_not_this_machine() {
    let manager = crate::harness::Manager::start().await;
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
        let request = manager
            .request("GET", "/api/instances")
            .header(header, "192.0.2.7")
            .header("accept", "application/json");
        let said = crate::harness::answer::Answer::to(request)
            .await
            .problem(403);
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("came through a proxy"),
            "{said}"
        );
    }
    Visitor::stranger()
        .get(&manager, "/api/instances")
        .await
        .json(200);
}
