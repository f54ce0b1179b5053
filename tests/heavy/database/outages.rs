//! With users configured, while the disk is full or another process holds the database: pages,
//! stopping an instance, deleting a backup and live streams go on. `JD_MANAGER_TEST_OUTAGE=300`
//! makes each outage five minutes long.

use super::{Visitor, connect, execute, timed};
use crate::harness::answer::EventStream;
use crate::harness::{Manager, Plan, until};
use diesel::connection::SimpleConnection;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// Less than SQLite waits for a lock (5 s), so nothing here waited for it; and enough for a page
/// with charts on a busy machine.
const SOON: Duration = Duration::from_secs(4);

/// How long an outage lasts.
fn outage() -> Duration {
    let seconds = std::env::var("JD_MANAGER_TEST_OUTAGE").map_or(6, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

const PAGES: [&str; 15] = [
    "/",
    "/instances",
    "/saved-configs",
    "/metrics",
    "/events",
    "/alerts",
    "/alerts/deliveries",
    "/alerts/mutes",
    "/backups",
    "/updates",
    "/account",
    "/users",
    "/tokens",
    "/audit",
    "/setup",
];

struct World {
    manager: Manager,
    session: Visitor,
    token: Visitor,
    running: Vec<String>,
    backups: Vec<String>,
}

impl World {
    async fn begin(size: Option<&str>) -> Self {
        let flags = vec!["--sample-interval".into(), "1s".into()];
        let mut manager = Manager::launch(Plan {
            simulate: Vec::new(),
            client: None,
            flags,
        })
        .await;
        if let Some(size) = size {
            manager.mount_data_dir(size);
        }
        let mut running = Vec::new();
        for name in ["barn", "garage"] {
            let id = manager.instance(name).await;
            manager.act(&format!("/api/instances/{id}/start")).await;
            manager.until_state(&id, "running").await;
            running.push(id);
        }
        let session = Visitor::ada(&manager).await;
        let (token, _) = session.token(&manager, "watcher").await;
        let mut backups = Vec::new();
        for _ in 0..2 {
            session
                .send(&manager, "POST", "/api/backups", &json!({}))
                .await
                .json(202);
            let name = until("a backup", || async {
                let all = session.get(&manager, "/api/backups").await.json(200);
                let names = all["backups"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["name"].as_str().unwrap().to_owned());
                let mut new = names.filter(|name| !backups.contains(name));
                new.next().filter(|_| all["making"].is_null())
            });
            let name = name.await;
            backups.push(name);
            // Backups are called after the second they were made in.
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        // Both were last used longer ago than the minute to which that is remembered.
        execute(
            &manager,
            "UPDATE sessions SET used_at = used_at - 120000; UPDATE tokens SET used_at = 1",
        );
        Self {
            manager,
            session,
            token,
            running,
            backups,
        }
    }

    /// Everything that has to go on; `refill` makes the outage complete again, `recover` ends it.
    async fn endures(&self, mut refill: impl FnMut(), recover: impl FnOnce()) {
        let (manager, mut slowest) = (&self.manager, (Duration::ZERO, String::new()));
        let mut note = |what: String, took: Duration| {
            assert!(took < SOON, "{what} took {took:?}\n{}", manager.log());
            if took > slowest.0 {
                slowest = (took, what);
            }
        };
        let mut stream =
            EventStream::open(self.session.request(manager, "GET", "/api/instances")).await;
        let begun = Instant::now();
        let mut round = 0;
        while round < 2 || begun.elapsed() < outage() {
            for page in PAGES {
                refill();
                for visitor in [&self.session, &self.token] {
                    let (answer, took) = timed(visitor.page(manager, page)).await;
                    // A token has no account.
                    assert!(
                        answer.status == 200
                            || (answer.status == 403 && visitor.0 == "authorization"),
                        "{answer:?}"
                    );
                    note(format!("GET {page}"), took);
                }
            }
            for id in &self.running {
                for path in [
                    format!("/instances/{id}"),
                    format!("/metrics/{id}"),
                    format!("/health/{id}"),
                ] {
                    let (answer, took) = timed(self.session.page(manager, &path)).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    note(format!("GET {path}"), took);
                }
            }
            // Once as a session, once with a token; in a long outage one at its beginning and one
            // after a while.
            if let Some(id) = self.running.get(round) {
                let visitor = if round == 0 {
                    &self.session
                } else {
                    &self.token
                };
                refill();
                let path = format!("/api/instances/{id}/stop");
                let (answer, took) = timed(visitor.send(manager, "POST", &path, &json!({}))).await;
                answer.json(200);
                note("stop".into(), took);
                assert!(manager.clients(id).is_empty(), "its client runs on");
                stream
                    .until(|heard| {
                        heard.event == "instance"
                            && heard.data.contains(id)
                            && heard.data.contains("\"running\":false")
                    })
                    .await;
                refill();
                let path = format!("/api/backups/{}", self.backups[round]);
                let (answer, took) =
                    timed(visitor.send(manager, "DELETE", &path, &json!({}))).await;
                answer.json(200);
                note("delete a backup".into(), took);
            }
            round += 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        eprintln!(
            "{round} rounds in {:?}, slowest: {} in {:?}",
            begun.elapsed(),
            slowest.1,
            slowest.0
        );
        recover();
        // The stream is the same one all the time.
        self.recovers(stream).await;
    }

    /// What could not be written is written once it can be.
    async fn recovers(&self, mut stream: EventStream) {
        let manager = &self.manager;
        for id in &self.running {
            let path = format!("/api/instances/{id}");
            until("the wish is saved", || async {
                (self.session.get(manager, &path).await.json(200)["desired"] == "stopped")
                    .then_some(())
            })
            .await;
        }
        until("the audit log is complete", || async {
            let text = self
                .session
                .get(manager, "/api/audit?limit=1000")
                .await
                .text;
            let stops = self
                .running
                .iter()
                .all(|id| text.contains(&format!("/api/instances/{id}/stop")));
            (stops && self.backups.iter().all(|name| text.contains(name.as_str()))).then_some(())
        })
        .await;
        // They are written with the next use of anything.
        let (other, _) = self.session.token(manager, "zebra").await;
        other.page(manager, "/").await;
        until("the last uses are written", || async {
            let tokens = self.session.get(manager, "/api/tokens").await.json(200);
            let watcher = tokens["tokens"]
                .as_array()
                .unwrap()
                .iter()
                .find(|token| token["name"] == "watcher")
                .unwrap();
            let used = watcher["used_at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap();
            (used.as_second() > 1_000_000).then_some(())
        })
        .await;
        let id = &self.running[0];
        self.session
            .send(
                manager,
                "POST",
                &format!("/api/instances/{id}/start"),
                &json!({}),
            )
            .await
            .json(200);
        stream
            .until(|heard| {
                heard.event == "instance"
                    && heard.data.contains(id)
                    && heard.data.contains("\"status\":\"running\"")
            })
            .await;
        let counted = self
            .session
            .get(manager, "/api/audit?limit=1000")
            .await
            .json(200);
        for id in &self.running {
            let stops = counted["entries"].as_array().unwrap().iter();
            let stops = stops
                .filter(|entry| entry["path"] == format!("/api/instances/{id}/stop"))
                .count();
            assert_eq!(stops, 1, "each entry is written once");
        }
    }
}

#[tokio::test]
async fn while_another_process_holds_the_database_everything_but_saving_goes_on() {
    let world = World::begin(None).await;
    let mut other = connect(&world.manager);
    other
        .batch_execute("PRAGMA busy_timeout = 10000; BEGIN EXCLUSIVE")
        .unwrap();
    world
        .endures(|| {}, move || other.batch_execute("ROLLBACK").unwrap())
        .await;
}

#[tokio::test]
async fn while_the_disk_is_full_everything_but_saving_goes_on() {
    let world = World::begin(Some("24m")).await;
    let path = world.manager.data_dir().join("filler");
    let mut filler = File::create(&path).unwrap();
    let refill = move || {
        for size in [65_536, 4096, 1] {
            while filler
                .write(&vec![1; size])
                .is_ok_and(|written| written > 0)
            {}
        }
    };
    // It is still open, so removing it would free nothing.
    world
        .endures(refill, || std::fs::write(&path, "").unwrap())
        .await;
}
