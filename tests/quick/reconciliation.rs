//! A manager that finds instances in an unexpected state: keepers of another version, stale files,
//! slow starts, and its own leftovers.

use crate::harness::{self, Manager, Plan, until};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// A keeper as the first version of the protocol had it: it says the least that a status may say,
/// counts nothing, and writes the least into its journal. No such program exists any more, so its
/// side is played here; lock, socket and journal are real.
struct OldKeeper {
    dir: PathBuf,
    lock: File,
    listener: UnixListener,
}

impl OldKeeper {
    fn take(dir: &Path) -> Self {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("keeper.lock"))
            .unwrap();
        lock.lock().unwrap();
        let _ = fs::remove_file(dir.join("control.sock"));
        let listener = UnixListener::bind(dir.join("control.sock")).unwrap();
        Self {
            dir: dir.into(),
            lock,
            listener,
        }
    }

    fn journal(&self, line: &str) -> u64 {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("events.jsonl"))
            .unwrap();
        writeln!(file, "{line}").unwrap();
        file.metadata().unwrap().len()
    }

    /// Serves one manager until it asks for a stop; returns what was asked.
    fn serve(self) -> JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            let mut journal =
                self.journal(r#"{"at":1700000000000,"from":"stopped","to":"starting","reason":"asked","pid":1,"failures":0}"#);
            self.journal("{\"at\":17000000"); // cut off by a crash
            journal = self
                .journal(
                    r#"{"at":1700000001000,"from":"starting","to":"running","reason":"ready"}"#,
                )
                .max(journal);
            let (stream, _) = self.listener.accept().unwrap();
            let mut write = stream.try_clone().unwrap();
            let mut asked = Vec::new();
            for line in BufReader::new(stream).lines() {
                let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
                let command = request["command"].as_str().unwrap().to_owned();
                let state = if command == "stop" {
                    "stopped"
                } else {
                    "running"
                };
                if command == "stop" {
                    let entry = r#"{"at":1700000002000,"from":"running","to":"stopped","reason":"ended-as-asked","exit":{"code":0}}"#;
                    journal = self.journal(entry);
                }
                let status = json!({ "v": 0, "keeper_pid": 1, "state": state, "since": 1_700_000_001_000_u64, "pid": 1, "journal": journal,
                                     "re": request["id"], "of a version yet to come": { "any": "thing" } });
                writeln!(write, "{status}").unwrap();
                asked.push(command);
                if state == "stopped" {
                    break;
                }
            }
            fs::remove_file(self.dir.join("control.sock")).unwrap();
            drop(self.lock);
            asked
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_of_an_older_version_is_shown_counted_and_stopped() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.kill();
    let dir = manager.instance_dir(&id);
    fs::create_dir_all(&dir).unwrap();
    let keeper = OldKeeper::take(&dir).serve();
    manager.begin();
    let running = manager.until_state(&id, "running").await;
    assert_eq!(running["pid"], 1, "{running}");
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (409, Some("barn is already running."))
    );
    let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("stopped")),
        "{body}"
    );
    let asked = keeper.join().unwrap();
    assert_eq!(
        (asked[0].as_str(), asked.last().map(String::as_str)),
        ("watch", Some("stop")),
        "{asked:?}"
    );
    // The whole lines of its journal are in the history, with their own times; the one cut off
    // costs only itself.
    assert_eq!(
        manager.states(&id).await,
        ["starting", "running", "stopped"]
    );
    assert_eq!(
        manager.events(&id).await[1]["timestamp"],
        "2023-11-14T22:13:21.000Z"
    );
    // And a keeper of today takes its place.
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_in_a_directory_is_no_hindrance() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let dir = manager.instance_dir(&id);
    // As after a power cut in the middle of everything: a lock file nobody holds, a socket nobody
    // listens at, drafts, half a line.
    fs::create_dir_all(dir.join("logs")).unwrap();
    fs::create_dir_all(dir.join("work")).unwrap();
    fs::write(dir.join("keeper.lock"), "4194304").unwrap();
    drop(UnixListener::bind(dir.join("control.sock")).unwrap());
    fs::write(dir.join("config.toml.new"), "half").unwrap();
    fs::write(dir.join("keeper.json"), "{").unwrap();
    fs::write(dir.join("events.jsonl"), "{\"at\":1,\"fr").unwrap();
    fs::write(
        dir.join("logs/00000000000000000000.log"),
        "2026-11-22T21:28:39.731870Z  INFO jd_client_sv2: half a li",
    )
    .unwrap();
    let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(status, 200, "{body}");
    manager.until_state(&id, "running").await;
    assert_eq!(manager.states(&id).await, ["starting", "running"]);
    assert!(
        manager.log_text(&id).contains("half a li\n"),
        "the unfinished line is closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_nobody_knows_is_left_alone() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.kill();
    let stray = manager.data_dir().join("instances").join("not-an-instance");
    fs::create_dir_all(&stray).unwrap();
    fs::write(stray.join("keepsake"), "mine").unwrap();
    manager.begin();
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    assert_eq!(fs::read_to_string(stray.join("keepsake")).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_too_long_is_warned_of_until_it_is_over() {
    let simulate = vec!["--startup-delay".into(), "6s".into()];
    let manager = Manager::launch(Plan {
        simulate,
        client: None,
        flags: vec!["--slow-start".into(), "1s".into()],
    })
    .await;
    let id = manager.instance("barn").await;
    let mut stream = manager
        .request("GET", "/api/instances")
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    manager.act(&format!("/api/instances/{id}/start")).await;
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["warning"],
        Value::Null
    );
    // Whoever watches is told without asking.
    let told = async {
        let mut text = String::new();
        while !text.contains("is not ready for miners yet") {
            text.push_str(&String::from_utf8_lossy(
                &stream.chunk().await.unwrap().unwrap(),
            ));
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .expect("told while it still starts");
    let starting = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(
        (&starting["status"], starting["warning"].is_string()),
        (&json!("starting"), true),
        "{starting}"
    );
    let page = manager.page("/").await;
    assert!(
        page.contains("Needs attention") && page.contains("has a warning. The client was started"),
        "{page}"
    );
    assert!(
        manager
            .page(&format!("/instances/{id}"))
            .await
            .contains("is not ready for miners yet")
    );
    let running = manager.until_state(&id, "running").await;
    assert_eq!(running["warning"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_clients_to_their_keepers_is_an_event() {
    let flags = vec!["--on-shutdown".into(), "leave".into()];
    let mut manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags,
    })
    .await;
    let (left, idle) = (
        manager.instance("left").await,
        manager.instance("idle").await,
    );
    manager.act(&format!("/api/instances/{left}/start")).await;
    let pid = manager.until_state(&left, "running").await["pid"].clone();
    assert!(manager.terminate().success());
    assert!(
        manager
            .log()
            .contains("leaving all instances running under their keepers"),
        "{}",
        manager.log()
    );
    manager.begin();
    let running = manager.until_state(&left, "running").await;
    assert_eq!(running["pid"], pid);
    let last = manager.events(&left).await.pop().unwrap();
    assert_eq!(
        (&last["from"], &last["to"], &last["actor"], &last["reason"]),
        (
            &json!("running"),
            &json!("running"),
            &json!("shutdown"),
            &json!("jd-manager stopped; the keeper keeps the client running")
        )
    );
    assert!(manager.events(&idle).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_old_log_is_gone_is_said() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let logs = manager.instance_dir(&id).join("logs");
    fs::create_dir_all(&logs).unwrap();
    // The files before this one have been dropped.
    fs::write(
        logs.join("00000000000012300000.log"),
        "2026-11-22T21:28:39.731870Z  INFO jd_client_sv2: still here\n",
    )
    .unwrap();
    let body = manager.json(&format!("/api/instances/{id}/logs")).await;
    assert_eq!(
        (
            &body["dropped_bytes"],
            body["logs"].as_array().unwrap().len()
        ),
        (&json!(12_300_000), 1),
        "{body}"
    );
    let page = manager.page(&format!("/instances/{id}/logs")).await;
    assert!(
        page.contains("jd-manager deleted 12.3 MB of older log lines to limit disk use."),
        "{page}"
    );
    until(
        "an instance without a log says nothing of the kind",
        || async {
            let other = manager.instance("new").await;
            (!manager
                .page(&format!("/instances/{other}/logs"))
                .await
                .contains("older log"))
            .then_some(())
        },
    )
    .await;
}

/// The sum of a counter since the instance was made.
async fn sum(manager: &Manager, id: &str, name: &str) -> f64 {
    manager
        .json(&format!("/api/metrics/{id}/{name}/summary"))
        .await["sum"]
        .as_f64()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_counted_exactly_whoever_is_killed() {
    let simulate = vec!["--lines-per-second".into(), "300".into()];
    let mut manager = Manager::launch(Plan {
        simulate,
        client: None,
        flags: vec!["--sample-interval".into(), "1s".into()],
    })
    .await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(1300)).await;
        if round == 1 {
            // The keeper and its client, while the manager is away: the lines nobody was told of
            // are in the files.
            let keeper = manager.keeper_pid(&id).unwrap();
            manager.kill();
            harness::signal(keeper, rustix::process::Signal::KILL);
        } else {
            manager.kill();
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        manager.begin();
        manager.until_state(&id, "running").await;
    }
    tokio::time::sleep(Duration::from_millis(1300)).await;
    manager.act(&format!("/api/instances/{id}/stop")).await;
    let text = manager.log_text(&id);
    let of_client = |level: &str| {
        text.lines()
            .filter(|l| l.contains(level) && !l.contains("jd_manager::keeper"))
            .count()
    };
    let (infos, warnings) = (of_client(" INFO "), of_client(" WARN "));
    assert!(infos > 1000, "{infos}");
    until("all lines are counted, once", || async {
        let counted = (
            sum(&manager, &id, "log_infos").await,
            sum(&manager, &id, "log_warnings").await,
        );
        (counted == (infos as f64, warnings as f64)).then_some(())
    })
    .await;
}

/// What a monitoring API that answers nonsense does to the manager: nothing but one line in its log
/// for each change.
#[tokio::test(flavor = "multi_thread")]
async fn a_monitoring_that_answers_nonsense_costs_one_warning() {
    let simulate = vec!["--monitoring-garbage".into()];
    let manager = Manager::launch(Plan {
        simulate,
        client: None,
        flags: vec!["--sample-interval".into(), "1s".into()],
    })
    .await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("several rounds", || async {
        let rows = manager
            .json(&format!("/api/metrics/{id}?metric_type=monitoring_up"))
            .await;
        (rows["metrics"].as_array().unwrap().len() >= 4).then_some(())
    })
    .await;
    let rows = manager
        .json(&format!("/api/metrics/{id}?metric_type=monitoring_up"))
        .await;
    assert!(
        rows["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["value"] == 0.0),
        "{rows}"
    );
    let latest = manager.json(&format!("/api/metrics/{id}/latest")).await;
    assert!(
        latest["metrics"]["memory_bytes"].is_number(),
        "what the process itself shows goes on: {latest}"
    );
    assert_eq!(latest["metrics"]["hashrate_miners"], Value::Null);
    let said = manager
        .log()
        .matches("client monitoring API could not be read")
        .count();
    assert_eq!(said, 1, "{}", manager.log());
    // Another client that tells the truth: one line again.
    manager.steer::<&str>(&[]);
    manager.act(&format!("/api/instances/{id}/restart")).await;
    until("it answers again", || async {
        manager
            .log()
            .contains("client monitoring API is available again")
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_does_not_answer_delays_nobody_and_is_shown() {
    let mut manager = Manager::start().await;
    let (barn, garage) = (
        manager.instance("barn").await,
        manager.instance("garage").await,
    );
    manager.act(&format!("/api/instances/{barn}/start")).await;
    let pid = manager.until_state(&barn, "running").await["pid"].clone();
    let keeper = manager.keeper_pid(&barn).unwrap();
    manager.kill();
    harness::signal(keeper, rustix::process::Signal::STOP);
    // A keeper has 10 s to answer.
    let begun = std::time::Instant::now();
    manager.begin();
    let instance = manager.json(&format!("/api/instances/{barn}")).await;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (&instance["status"], &instance["pid"]),
        (&json!("running"), &pid),
        "{instance}"
    );
    assert!(
        instance["warning"]
            .as_str()
            .unwrap()
            .starts_with("The keeper is not responding."),
        "{instance}"
    );
    assert!(
        manager
            .page(&format!("/instances/{barn}"))
            .await
            .contains("The keeper is not responding.")
    );
    // The others are there for orders meanwhile.
    let (status, body) = manager.act(&format!("/api/instances/{garage}/start")).await;
    assert_eq!(status, 200, "{body}");
    manager.until_state(&garage, "running").await;

    harness::signal(keeper, rustix::process::Signal::CONT);
    until("it answers again", || async {
        let instance = manager.json(&format!("/api/instances/{barn}")).await;
        (instance["status"] == "running" && instance["warning"].is_null()).then_some(())
    })
    .await;
    assert_eq!(manager.states(&barn).await, ["starting", "running"]);
    let (status, body) = manager.act(&format!("/api/instances/{barn}/stop")).await;
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("stopped")),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_when_asked_for_their_version_do_not_delay_the_manager() {
    use std::os::unix::fs::PermissionsExt;
    let mut manager = Manager::with_store("http://127.0.0.1:9", &[]).await;
    assert!(manager.terminate().success());
    // None of them is in use, so the next manager asks one after the other, 5 s each.
    for name in ["0.4.0", "0.5.0", "0.6.0", "0.7.0"] {
        let dir = manager.data_dir().join("clients").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("jd_client_sv2"), "#!/bin/sh\nexec sleep 60\n").unwrap();
        fs::set_permissions(dir.join("jd_client_sv2"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let begun = std::time::Instant::now();
    manager.begin();
    manager.page("/").await;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

/// Migrations that commit 7922236 knew.
const MIGRATIONS_OF_7922236: usize = 12;
/// A token in the data directory of that commit, a viewer's.
const TOKEN_OF_7922236: &str = "jdm_DjiEugiWadxWgTlHQUitbyw2qeUYX_7XPOxss46WQoU";

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_an_earlier_version_is_taken_over_whole() {
    use std::os::unix::fs::PermissionsExt;
    let mut manager = Manager::start().await;
    assert!(manager.terminate().success());
    fs::remove_dir_all(manager.data_dir()).unwrap();
    fs::create_dir(manager.data_dir()).unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/data-dir-7922236.tar.gz");
    let unpacked = std::process::Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(manager.data_dir())
        .status()
        .unwrap();
    assert!(unpacked.success());
    manager.begin();

    // A copy of the database as it was, if something had to be changed in it.
    let migrations = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations"))
        .unwrap()
        .count();
    let mode = fs::metadata(manager.data_dir().join("backups"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else reads the copy");
    let entries = fs::read_dir(manager.data_dir().join("backups"))
        .into_iter()
        .flatten();
    let copies: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("before-upgrade-")
        })
        .collect();
    assert_eq!(
        copies.len(),
        usize::from(migrations > MIGRATIONS_OF_7922236),
        "{copies:?}"
    );
    assert!(
        copies
            .iter()
            .all(|copy| fs::read(copy).unwrap().starts_with(b"SQLite format 3\0"))
    );

    // Its token and its users get in.
    let with_token = |path: &str| {
        manager
            .request("GET", path)
            .bearer_auth(TOKEN_OF_7922236)
            .header("accept", "application/json")
    };
    let read = async |path: &str| -> Value {
        let response = with_token(path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    };
    assert_eq!(manager.get("/api/instances").await.status(), 401);
    let bob = json!({ "name": "bob", "password": "four words that rhyme" });
    assert_eq!(manager.post_json("/api/login", &bob).await.status(), 200);
    let login = manager
        .post_json(
            "/api/login",
            &json!({ "name": "ada", "password": "correct horse battery" }),
        )
        .await;
    assert_eq!(login.status(), 200);
    let cookie = login.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let ask = |method: &str, path: &str| {
        manager
            .request(method, path)
            .header("cookie", &cookie)
            .header("accept", "application/json")
    };
    let admin = async |path: &str| -> Value {
        let response = ask("GET", path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    };
    let users = admin("/api/users").await;
    let listed: Vec<(&str, &str)> = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| {
            (
                user["name"].as_str().unwrap(),
                user["role"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(listed, [("ada", "admin"), ("bob", "viewer")]);
    let tokens = admin("/api/tokens").await;
    let token = &tokens["tokens"][0];
    assert_eq!(
        (&token["name"], &token["user"], &token["role"]),
        (&json!("grafana"), &json!("ada"), &json!("viewer"))
    );
    let audit = admin("/api/audit?limit=1000").await;
    let deeds: Vec<&str> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["path"].as_str())
        .collect();
    for path in [
        "/api/users",
        "/api/tokens",
        "/api/saved-configs/import",
        "/api/backups/settings",
        "/api/alerts/rules",
        "/api/updates/upload",
    ] {
        assert!(deeds.contains(&path), "{path}: {audit}");
    }
    assert!(deeds.len() >= 18, "{deeds:?}");

    // Configurations, their revisions, the imported file, the sealed key.
    let configs = read("/api/saved-configs").await;
    let named = |name: &str| {
        configs["configurations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name)
            .unwrap()
            .clone()
    };
    let (barn, garage, imported) = (named("barn"), named("garage"), named("imported"));
    assert_eq!(configs["configurations"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&barn["revision"], &barn["description"]),
        (&json!(2), &json!("the first"))
    );
    let path = |config: &Value, rest: &str| {
        format!(
            "/api/saved-configs/{}{rest}",
            config["id"].as_str().unwrap()
        )
    };
    let whole = read(&path(&barn, "")).await;
    assert_eq!(
        (
            &whole["config"]["share_batch_size"],
            &whole["config"]["jdc_signature"]
        ),
        (&json!(7), &json!("fixture"))
    );
    assert_eq!(
        read(&path(&barn, "/revisions")).await["revisions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        read(&path(&garage, "")).await["config"]["listening_address"],
        "127.0.0.1:34911"
    );
    let exported = with_token(&path(&imported, "/export"))
        .header("accept", "*/*")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        exported.contains("monitoring_address = \"127.0.0.1:25091\""),
        "{exported}"
    );
    let secret = ask("POST", &path(&barn, "/secret")).send().await.unwrap();
    let secret: Value = secret.json().await.unwrap();
    assert!(
        secret.to_string().contains(harness::SECRET_KEY),
        "the key opens what it sealed"
    );

    // Instances, with what was recorded of them.
    let instances = read("/api/instances").await;
    let named = |name: &str| {
        instances["instances"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name)
            .unwrap()
            .clone()
    };
    let (ran, idle) = (named("barn"), named("garage"));
    assert_eq!(
        (
            &ran["status"],
            &ran["memory_limit_mib"],
            &ran["restart_policy"],
            &ran["exit"]
        ),
        (
            &json!("stopped"),
            &json!(512),
            &json!("always"),
            &json!({ "code": 0 })
        )
    );
    assert_eq!(
        (&idle["status"], &idle["nice"], &idle["config_id"]),
        (&json!("stopped"), &json!(5), &garage["id"])
    );
    let id = ran["id"].as_str().unwrap();
    let events = read(&format!("/api/instances/{id}/events?limit=1000")).await;
    let states: Vec<&str> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| event["to"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["starting", "running", "stopping", "stopped"]);
    let samples = read(&format!(
        "/api/metrics/{id}?metric_type=hashrate_miners&limit=1000"
    ))
    .await;
    let values: Vec<f64> = samples["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values.len(), 21, "{samples}");
    assert!(
        values.iter().any(|value| (value - 5e14).abs() < 1e9),
        "{values:?}"
    );
    let checks = read(&format!("/api/health/{id}/history?limit=1000")).await;
    assert!(
        checks["history"].as_array().unwrap().len() >= 31,
        "{checks}"
    );

    // The rest of what a user has set up.
    let alerts = admin("/api/alerts").await;
    assert_eq!(
        (
            &alerts["channels"][0]["name"],
            &alerts["channels"][0]["kind"]
        ),
        (&json!("hook"), &json!("webhook")),
        "{alerts}"
    );
    let rule = alerts["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["name"] == "low")
        .unwrap();
    assert_eq!(
        (
            &rule["instance_id"],
            &rule["for_s"],
            &rule["condition"]["threshold"]
        ),
        (&ran["id"], &json!(300), &json!(1e12))
    );
    assert_eq!(
        admin("/api/backups").await["settings"],
        json!({ "nightly": true, "hour": 5, "keep": 9 })
    );
    let setup = admin("/api/setup").await;
    let setup = setup["unfinished"][0]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{setup}"))
        .to_owned();
    let answers = admin(&format!("/api/setup/{setup}/provider")).await["answers"].clone();
    assert_eq!(
        answers["template_provider_type.Sv2Tp.address"], "127.0.0.1:8442",
        "{answers}"
    );
    let history = admin("/api/updates/history").await;
    assert!(
        history
            .to_string()
            .contains("Nothing was installed: it is a script"),
        "{history}"
    );

    // And it runs, on ports that are free here.
    let mut config = whole["config"].clone();
    config["listening_address"] = json!(format!("127.0.0.1:{}", harness::free_port()));
    config["monitoring_address"] = json!(format!("127.0.0.1:{}", harness::free_port()));
    let changed = ask("PUT", &path(&barn, ""))
        .json(&json!({ "config": config }))
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), 200);
    let start = ask("POST", &format!("/api/instances/{id}/start"))
        .send()
        .await
        .unwrap();
    assert_eq!(start.status(), 200, "{}", start.text().await.unwrap());
    until("it serves miners", || async {
        (read(&format!("/api/instances/{id}")).await["status"] == "running").then_some(())
    })
    .await;
}
