//! Users, tokens and roles, with the real program on loopback.

mod audit;
mod dial_stdio;
mod first_login;
mod lists;
mod logins;
mod offered_controls;
mod permissions;
mod second_factor;
mod set_password;
mod tokens;
mod users;

use crate::harness::answer::Answer;
use crate::harness::{Manager, PROGRAM};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The password of all users here.
pub const PASSWORD: &str = "correct horse battery";

/// Runs the program on the manager's data, with `input` at its standard input.
pub fn run(manager: &Manager, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .arg("--data-dir")
        .arg(manager.data_dir())
        .env_remove("RUST_LOG")
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
    child.wait_with_output().unwrap()
}

/// The output of such a run, which must succeed.
pub fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A client with credentials, sent with each request.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Header and value; none for an unknown client.
    pub shows: Option<(&'static str, String)>,
}

impl Visitor {
    /// An unknown client.
    pub fn stranger() -> Self {
        Self { shows: None }
    }

    /// A program with a token.
    pub fn with_token(token: &str) -> Self {
        Self {
            shows: Some(("authorization", format!("Bearer {token}"))),
        }
    }

    /// A browser with this cookie.
    pub fn with_cookie(cookie: &str) -> Self {
        Self {
            shows: Some(("cookie", cookie.to_owned())),
        }
    }

    /// A request with the credentials.
    pub fn request(&self, manager: &Manager, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = manager.request(method, path);
        match &self.shows {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    /// GET as JSON.
    pub async fn get(&self, manager: &Manager, path: &str) -> Answer {
        Answer::to(
            self.request(manager, "GET", path)
                .header("accept", "application/json"),
        )
        .await
    }

    /// GET as a page.
    pub async fn page(&self, manager: &Manager, path: &str) -> Answer {
        Answer::to(
            self.request(manager, "GET", path)
                .header("accept", "text/html"),
        )
        .await
    }

    /// A request with a body of JSON.
    pub async fn send(
        &self,
        manager: &Manager,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Answer {
        Answer::to(
            self.request(manager, method, path)
                .header("accept", "application/json")
                .json(body),
        )
        .await
    }
}

/// A manager with an admin "ada" whose password is [`PASSWORD`].
pub async fn with_admin() -> Manager {
    let manager = Manager::start().await;
    printed(run(&manager, &["set-password", "ada", "--stdin"], PASSWORD));
    manager
}

/// Signs in; returns the cookie.
pub async fn log_in(manager: &Manager, name: &str, password: &str) -> Result<Visitor, Answer> {
    let body = json!({ "name": name, "password": password });
    let answer = Visitor::stranger()
        .send(manager, "POST", "/login", &body)
        .await;
    if answer.status != 200 {
        return Err(answer);
    }
    Ok(Visitor::with_cookie(&cookie_of(&answer)))
}

/// The cookie that a response sets.
pub fn cookie_of(answer: &Answer) -> String {
    let cookie = answer
        .header("set-cookie")
        .unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    cookie.split(';').next().unwrap().to_owned()
}

/// Ada, signed in.
pub async fn ada(manager: &Manager) -> Visitor {
    log_in(manager, "ada", PASSWORD).await.unwrap()
}

/// A user with a role, created by `admin` and signed in. The name is the role.
pub async fn user(manager: &Manager, admin: &Visitor, role: &str) -> Visitor {
    let body = json!({ "name": role, "role": role, "password": PASSWORD });
    admin
        .send(manager, "POST", "/api/users", &body)
        .await
        .json(201);
    log_in(manager, role, PASSWORD).await.unwrap()
}
