//! The database through the real program: what lasts, what is noticed, and what goes on while it
//! cannot be written.

mod durability;
mod outages;
mod startup;

use crate::harness::Manager;
use crate::harness::answer::Answer;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The password of everybody here.
pub const PASSWORD: &str = "correct horse battery";

/// Another connection to the manager's database.
pub fn connect(manager: &Manager) -> SqliteConnection {
    let path = manager.data_dir().join("jd-manager.sqlite3");
    SqliteConnection::establish(path.to_str().unwrap()).unwrap()
}

/// Changes the manager's database from outside.
pub fn execute(manager: &Manager, statements: &str) {
    let mut connection = connect(manager);
    connection
        .batch_execute("PRAGMA busy_timeout = 10000")
        .unwrap();
    connection.batch_execute(statements).unwrap();
}

/// Requests with a token or a session of the admin "ada".
#[derive(Clone)]
pub struct Visitor(pub &'static str, pub String);

impl Visitor {
    /// Makes the admin "ada" and logs in.
    pub async fn ada(manager: &Manager) -> Self {
        let body = json!({ "name": "ada", "role": "admin", "password": PASSWORD });
        Answer::to(manager.request("POST", "/api/users").json(&body))
            .await
            .json(201);
        log_in(manager, "ada", PASSWORD).await.unwrap()
    }

    /// Makes a token that may do everything; and its id.
    pub async fn token(&self, manager: &Manager, name: &str) -> (Self, String) {
        let made = self
            .send(
                manager,
                "POST",
                "/api/tokens",
                &json!({ "name": name, "role": "admin" }),
            )
            .await
            .json(201);
        let secret = made["token"].as_str().unwrap();
        (
            Self("authorization", format!("Bearer {secret}")),
            made["token_info"]["id"].as_str().unwrap().to_owned(),
        )
    }

    /// A request of theirs.
    pub fn request(&self, manager: &Manager, method: &str, path: &str) -> reqwest::RequestBuilder {
        manager.request(method, path).header(self.0, &self.1)
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
    pub async fn send(&self, manager: &Manager, method: &str, path: &str, body: &Value) -> Answer {
        Answer::to(
            self.request(manager, method, path)
                .header("accept", "application/json")
                .json(body),
        )
        .await
    }
}

/// Logs in; none: the password is refused.
pub async fn log_in(manager: &Manager, name: &str, password: &str) -> Option<Visitor> {
    let body = json!({ "name": name, "password": password });
    let answer = Answer::to(
        manager
            .request("POST", "/login")
            .header("accept", "application/json")
            .json(&body),
    )
    .await;
    let cookie = answer.header("set-cookie")?.split(';').next()?.to_owned();
    Some(Visitor("cookie", cookie))
}

/// How long something takes.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let value = work.await;
    (value, begun.elapsed())
}

/// The ids of the notices on the overview.
pub async fn notices(manager: &Manager) -> Vec<String> {
    let all = manager.json("/health").await["notices"]
        .as_array()
        .unwrap()
        .clone();
    all.iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect()
}
