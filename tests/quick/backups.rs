//! Backups over HTTP and from the command line: created while the manager runs, restored after data loss,
//! interrupted, and on the page.

use crate::harness::answer::Answer;
use crate::harness::disk::SmallDisk;
use crate::harness::{Manager, PROGRAM, Plan, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PASSPHRASE: &str = "four words that rhyme";

/// The program with these arguments on a data directory.
fn run(data_dir: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .env_remove("RUST_LOG")
        .envs(env.iter().copied());
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    said(output)
}

/// All data of a user as JSON: a restored manager must return the same.
async fn everything(manager: &Manager, id: &str) -> Vec<(String, Value)> {
    let configs = manager.json("/api/saved-configs").await;
    let mut paths: Vec<String> = configs["configurations"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| {
            let path = format!("/api/saved-configs/{}", one["id"].as_str().unwrap());
            [path.clone(), format!("{path}/revisions")]
        })
        .collect();
    paths.extend([
        "/api/saved-configs".into(),
        format!("/api/metrics/{id}?limit=1000"),
        format!("/api/metrics/{id}/types"),
    ]);
    paths.extend([
        format!("/api/health/{id}/history"),
        "/api/alerts/deliveries".into(),
    ]);
    let mut all = Vec::new();
    for path in paths {
        all.push((path.clone(), manager.json(&path).await));
    }
    let alerts = manager.json("/api/alerts").await;
    all.push(("rules".into(), alerts["rules"].clone()));
    all.push(("channels".into(), alerts["channels"].clone()));
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    let kept = [
        "id",
        "name",
        "config_id",
        "created_at",
        "restart_policy",
        "autostart",
        "restarts",
    ];
    all.push((
        "instance".into(),
        kept.iter()
            .map(|field| ((*field).to_owned(), instance[*field].clone()))
            .collect(),
    ));
    all
}

/// A receiver of webhooks; the signatures of what came.
async fn receiver() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use axum::http::HeaderMap;
    let heard = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let kept = heard.clone();
    let app = axum::Router::new().fallback(move |headers: HeaderMap| async move {
        let signed = headers
            .iter()
            .find(|(name, _)| name.as_str().contains("signature"))
            .map(|(_, value)| value.to_str().unwrap());
        kept.lock()
            .unwrap()
            .push(signed.unwrap_or_default().to_owned());
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_after_a_backup_of_a_running_manager_and_a_wipe() {
    let (mut manager, id) = Manager::measured().await;
    let (url, heard) = receiver().await;
    let channel = json!({ "name": "hook", "kind": "webhook", "url": url, "secret": "for signing" });
    let channel: Value = manager
        .post_json("/api/alerts/channels", &channel)
        .await
        .json()
        .await
        .unwrap();
    let channel = channel["channel_id"].as_str().unwrap().to_owned();
    let config = manager.json(&format!("/api/instances/{id}")).await["config_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut changed = manager.json(&format!("/api/saved-configs/{config}")).await["config"].clone();
    changed["share_batch_size"] = json!(7);
    manager
        .put_json(
            &format!("/api/saved-configs/{config}"),
            &json!({ "config": changed }),
        )
        .await;
    manager.act(&format!("/api/health/{id}/check")).await;
    manager
        .act(&format!("/api/saved-configs/{config}/duplicate"))
        .await;
    let keys = manager
        .act(&format!("/api/saved-configs/{config}/secret"))
        .await
        .1["keys"]
        .clone();

    // While the client runs and is measured, encrypted and not.
    let file = |name: &str| manager.scratch().join(name).to_str().unwrap().to_owned();
    let while_running = file("running.tar.gz");
    let words = done(&run(&manager.data_dir(), &["backup", &while_running], &[]));
    assert!(
        words.contains("2 configurations, 1 instances, with the encryption key")
            && words.contains("can read its secrets"),
        "{words}"
    );
    assert!(
        refused(&run(&manager.data_dir(), &["backup", &while_running], &[]))
            .contains("already exists")
    );
    assert!(
        refused(&run(
            &manager.data_dir(),
            &["restore", &while_running, "--force"],
            &[]
        ))
        .contains("jd-manager is running")
    );

    // And of one that is stopped, so that nothing changes between the two looks.
    manager.act(&format!("/api/instances/{id}/stop")).await;
    manager.until_state(&id, "stopped").await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let before = everything(&manager, &id).await;
    assert!(before.iter().any(|(path, rows)| path.contains("limit=1000")
        && rows["metrics"].as_array().unwrap().len() > 20));
    let sealed = file("sealed.tar.gz.age");
    let words = done(&run(
        &manager.data_dir(),
        &["backup", &sealed, "--with-logs"],
        &[("JD_MANAGER_BACKUP_PASSPHRASE", PASSPHRASE)],
    ));
    assert!(
        words.contains("encrypted") && !words.contains("its secrets"),
        "{words}"
    );
    let events = manager.events(&id).await;
    assert!(manager.terminate().success());
    let log = std::fs::read(
        manager
            .instance_dir(&id)
            .join("logs/00000000000000000000.log"),
    )
    .unwrap();

    // The data is lost.
    std::fs::remove_dir_all(manager.data_dir()).unwrap();
    let restore =
        |arguments: &[&str], env: &[(&str, &str)]| run(&manager.data_dir(), arguments, env);
    assert!(refused(&restore(&["restore", &sealed], &[])).contains("passphrase"));
    let wrong = [("JD_MANAGER_BACKUP_PASSPHRASE", "another one entirely")];
    assert!(refused(&restore(&["restore", &sealed], &wrong)).contains("Wrong passphrase"));
    assert!(!manager.data_dir().exists());
    let secret = manager.scratch().join("passphrase");
    std::fs::write(&secret, format!("{PASSPHRASE}\n")).unwrap();
    done(&restore(
        &[
            "restore",
            &sealed,
            "--passphrase-file",
            secret.to_str().unwrap(),
        ],
        &[],
    ));
    assert_eq!(
        std::fs::read(
            manager
                .instance_dir(&id)
                .join("logs/00000000000000000000.log")
        )
        .unwrap(),
        log
    );
    manager.begin();
    for ((path, was), (_, is)) in before.iter().zip(everything(&manager, &id).await) {
        if path.contains("/health/") {
            // The new manager looks at it for itself, too; what was found before is all there.
            let list = |body: &Value| body["history"].as_array().unwrap().clone();
            assert!(
                list(was).len() > 20 && list(&is).ends_with(&list(was)),
                "{path}: {is}"
            );
            continue;
        }
        assert_eq!(*was, is, "{path}");
    }
    assert_eq!(manager.events(&id).await, events);
    assert_eq!(
        manager
            .act(&format!("/api/saved-configs/{config}/secret"))
            .await
            .1["keys"],
        keys
    );
    // Its secrets can still be decrypted.
    manager
        .act(&format!("/api/alerts/channels/{channel}/test"))
        .await;
    assert!(
        heard
            .lock()
            .unwrap()
            .last()
            .is_some_and(|signature| !signature.is_empty()),
        "{heard:?}"
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;

    // The one that was made while its client ran, over what is there: that is moved aside, and the
    // client stays stopped.
    assert!(manager.terminate().success());
    let words = refused(&run(&manager.data_dir(), &["restore", &while_running], &[]));
    assert!(
        words.contains("not empty") && words.contains("--force"),
        "{words}"
    );
    let words = done(&run(
        &manager.data_dir(),
        &["restore", &while_running, "--force"],
        &[],
    ));
    assert!(
        words.contains("The previous data is in")
            && words.contains("Instances that were running: 1."),
        "{words}"
    );
    let aside: Vec<PathBuf> = std::fs::read_dir(manager.scratch())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("data.before-restore-")
        })
        .collect();
    assert!(
        aside.len() == 1 && aside[0].join("jd-manager.sqlite3").exists(),
        "{aside:?}"
    );
    manager.begin();
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert!(
        instance["running"] == false && instance["name"] == "barn",
        "{instance}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(manager.clients(&id).is_empty(), "nobody started it");
    assert_eq!(
        manager
            .act(&format!("/api/saved-configs/{config}/secret"))
            .await
            .1["keys"],
        keys
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    // The log goes on where it was, though its lines were not in the backup.
    let logs = manager.json(&format!("/api/instances/{id}/logs")).await;
    assert!(
        logs["logs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|line| line["seq"].as_u64() > Some(100)),
        "{logs}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_a_backup_waits_for_it() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let config = manager.json(&format!("/api/instances/{id}")).await["config_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let token = manager
        .post_json(
            "/api/tokens",
            &json!({ "name": "grafana", "role": "viewer", "days": 30 }),
        )
        .await;
    assert_eq!(token.status(), 201);
    let backup = manager
        .scratch()
        .join("nokey.tar.gz")
        .to_str()
        .unwrap()
        .to_owned();
    let words = done(&run(
        &manager.data_dir(),
        &["backup", &backup, "--without-key"],
        &[],
    ));
    assert!(words.contains("without the encryption key"), "{words}");
    manager.kill();
    let key = manager.scratch().join("kept.key");
    std::fs::copy(manager.data_dir().join("secrets.key"), &key).unwrap();
    std::fs::remove_dir_all(manager.data_dir()).unwrap();
    let words = done(&run(&manager.data_dir(), &["restore", &backup], &[]));
    assert!(
        words.contains("Copy the matching secrets.key") && words.contains("number of tokens: 1"),
        "{words}"
    );
    assert!(
        refused(&run(
            &manager.data_dir(),
            &["serve", "--listen", "127.0.0.1:0"],
            &[]
        ))
        .contains("is missing")
    );
    std::fs::copy(&key, manager.data_dir().join("secrets.key")).unwrap();
    manager.begin();
    assert_eq!(
        manager
            .act(&format!("/api/saved-configs/{config}/secret"))
            .await
            .0,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_no_half_file_counts_as_a_backup() {
    let mut manager = Manager::start().await;
    manager.instance("barn").await;
    for place in ["backup.snapshot", "backup.database", "backup.written"] {
        let backup = manager.scratch().join("half.tar.gz");
        let output = run(
            &manager.data_dir(),
            &["backup", backup.to_str().unwrap()],
            &[("JD_MANAGER_FAIL_POINT", place)],
        );
        assert!(!output.status.success() && !backup.exists(), "{place}");
        // The next one cleans up.
        done(&run(
            &manager.data_dir(),
            &["backup", backup.to_str().unwrap()],
            &[],
        ));
        let left: Vec<_> = std::fs::read_dir(manager.scratch())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".half"))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{place}");
        std::fs::remove_file(&backup).unwrap();
    }
    // The manager itself, too.
    for place in ["backup.database", "backup.written"] {
        manager.terminate();
        manager.env = vec![("JD_MANAGER_FAIL_POINT".into(), place.into())];
        manager.begin();
        let _ = manager.request("POST", "/api/backups").send().await;
        manager.ended().await;
        manager.env.clear();
        manager.begin();
        let all = manager.json("/api/backups").await;
        assert_eq!(
            (&all["backups"], &all["making"]),
            (&json!([]), &Value::Null),
            "{place}"
        );
    }
    let (status, made) = manager.act("/api/backups").await;
    assert_eq!(status, 202, "{made}");
    until("the backup", || async {
        (manager.json("/api/backups").await["backups"]
            .as_array()
            .unwrap()
            .len()
            == 1)
            .then_some(())
    })
    .await;
    assert_eq!(
        std::fs::read_dir(manager.data_dir().join("backups"))
            .unwrap()
            .count(),
        1,
        "what was half made is gone"
    );
    // A restore that was killed before it changed anything changed nothing; after it had moved the
    // old one aside, both are there.
    let name = made["name"].as_str().unwrap().to_owned();
    let backup = manager.scratch().join("kept.tar.gz");
    std::fs::copy(manager.data_dir().join("backups").join(name), &backup).unwrap();
    manager.terminate();
    let fail = [("JD_MANAGER_FAIL_POINT", "restore.moved-aside")];
    assert!(
        !run(
            &manager.data_dir(),
            &["restore", backup.to_str().unwrap(), "--force"],
            &fail
        )
        .status
        .success()
    );
    assert!(!manager.data_dir().exists());
    done(&run(
        &manager.data_dir(),
        &["restore", backup.to_str().unwrap()],
        &[],
    ));
    manager.begin();
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_made_listed_downloaded_and_deleted_on_their_page() {
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: Vec::new(),
    })
    .await;
    manager.instance("barn").await;
    let send = |path: &str, fields: &[(&str, &str)]| {
        Answer::to(
            manager
                .request("POST", path)
                .header("accept", "text/html")
                .form(fields),
        )
    };
    let empty = manager.ask("/backups", "text/html").await.page(200);
    assert!(
        empty.one("#list + p").contains("No backups yet")
            || empty.one("#backups").contains("No backups yet")
    );
    assert!(
        empty
            .attrs("nav a[aria-current]", "href")
            .contains(&"/backups".to_owned())
    );
    for (fields, wrong) in [
        (
            vec![("passphrase", "short"), ("repeat", "short")],
            "passphrase",
        ),
        (
            vec![("passphrase", PASSPHRASE), ("repeat", "another")],
            "repeat",
        ),
        (vec![("passphrase", ""), ("repeat", "another")], "repeat"),
    ] {
        let answer = send("/backups", &fields).await;
        assert!(!answer.text.contains(PASSPHRASE));
        assert_eq!(answer.page(422).attrs("input[aria-invalid]", "id"), [wrong]);
    }
    let asked = Answer::to(
        manager
            .request("POST", "/api/backups")
            .json(&json!({ "passphrase": "short", "with_logs": 3 })),
    )
    .await;
    assert_eq!(asked.pointers(), ["/with_logs", "/passphrase"]);
    assert_eq!(manager.json("/api/backups").await["backups"], json!([]));

    let made = send(
        "/backups",
        &[
            ("with_key", "on"),
            ("passphrase", PASSPHRASE),
            ("repeat", PASSPHRASE),
        ],
    )
    .await;
    assert_eq!(
        (made.status, made.header("location")),
        (303, Some("/backups"))
    );
    let one = until("the backup", || async {
        manager.json("/api/backups").await["backups"]
            .get(0)
            .cloned()
    })
    .await;
    let told = (
        &one["kind"],
        &one["holds_key"],
        &one["encrypted"],
        &one["with_logs"],
    );
    assert_eq!(
        told,
        (&json!("manual"), &json!(true), &json!(true), &json!(false))
    );
    let name = one["name"].as_str().unwrap();
    let page = manager.ask("/backups", "text/html").await.page(200);
    assert_eq!(
        page.attrs("#backups a[download]", "href"),
        [format!("/backups/{name}")]
    );
    let part = manager.fragment("/backups", "div#backups").await;
    assert!(part.text.contains(name) && !part.text.contains("<form"));

    // As a file, which is what it says it is.
    let response = manager
        .request("GET", &format!("/backups/{name}"))
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(
        header("content-disposition"),
        format!("attachment; filename=\"jd-manager-{name}\"")
    );
    assert_eq!(header("content-length"), one["size"].to_string());
    assert!(response.headers().get("content-encoding").is_none());
    let content = response.bytes().await.unwrap();
    let file = manager.scratch().join("downloaded");
    std::fs::write(&file, &content).unwrap();
    let elsewhere = manager.scratch().join("elsewhere");
    done(&run(
        &elsewhere,
        &["restore", file.to_str().unwrap()],
        &[("JD_MANAGER_BACKUP_PASSPHRASE", PASSPHRASE)],
    ));
    assert!(
        elsewhere.join("jd-manager.sqlite3").exists() && elsewhere.join("secrets.key").exists()
    );

    // Others are not found, whatever they are called.
    for bad in [
        "nothing",
        "..%2fsecrets.key",
        "manual-20261128T031000123Z-with-key.tar.gz",
    ] {
        assert_eq!(
            manager.ask(&format!("/backups/{bad}"), "*/*").await.status,
            404,
            "{bad}"
        );
        assert_eq!(
            manager.delete(&format!("/backups/{bad}")).await.status(),
            404,
            "{bad}"
        );
    }
    // Nightly backups.
    let saved = send("/backups/settings", &[("hour", "5"), ("keep", "2")]).await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (303, Some("/backups"))
    );
    assert_eq!(
        manager.json("/api/backups").await["settings"],
        json!({ "nightly": false, "hour": 5, "keep": 2 })
    );
    let wrong = send("/backups/settings", &[("hour", "5"), ("keep", "0")]).await;
    assert_eq!(wrong.page(422).attrs("input[aria-invalid]", "id"), ["keep"]);
    let patched = Answer::to(
        manager
            .request("PATCH", "/api/backups/settings")
            .json(&json!({ "nightly": true })),
    )
    .await;
    assert_eq!(
        patched.json(200)["settings"],
        json!({ "nightly": true, "hour": 5, "keep": 2 })
    );
    // Deleted after confirmation.
    let question = manager
        .ask(&format!("/backups/{name}/delete"), "text/html")
        .await
        .page(200);
    assert_eq!(
        question.attrs("main form", "action"),
        [format!("/backups/{name}/delete")]
    );
    assert_eq!(
        send(&format!("/backups/{name}/delete"), &[])
            .await
            .header("location"),
        Some("/backups")
    );
    assert_eq!(manager.json("/api/backups").await["backups"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_failed_on_a_full_disk_is_shown_until_one_succeeds() {
    let mut manager = Manager::start().await;
    manager.terminate();
    std::fs::remove_dir_all(manager.data_dir()).unwrap();
    std::fs::create_dir(manager.data_dir()).unwrap();
    let disk = SmallDisk::mount_at(&manager.data_dir(), "24m");
    manager.begin();
    manager.instance("barn").await;
    let ended = async |failed: bool| {
        until("the backup ended", || async {
            let backups = manager.json("/api/backups").await;
            let is_so = backups["making"].is_null()
                && backups["last"]["manual"]["error"].is_string() == failed;
            (is_so && backups["last"]["manual"].is_object()).then_some(backups)
        })
        .await
    };
    let attention = async || {
        manager
            .ask("/", "text/html")
            .await
            .page(200)
            .texts("section.attention li")
            .join(" ")
    };
    assert!(!attention().await.contains("backup"));

    let ballast = disk.fill();
    let begun = manager.post_json("/api/backups", &json!({})).await;
    assert_eq!(begun.status(), 202);
    let backups = ended(true).await;
    let error = backups["last"]["manual"]["error"].as_str().unwrap();
    assert!(
        error.contains("disk is full") && error.contains("Free up some space"),
        "{error}"
    );
    assert_eq!(backups["backups"], json!([]));
    let page = manager.ask("/backups", "text/html").await.page(200);
    assert!(
        page.one("section.attention").contains("disk is full"),
        "{}",
        page.one("section.attention")
    );
    let shown = until("the overview shows it", || async {
        Some(attention().await).filter(|text| text.contains("backup"))
    })
    .await;
    assert!(
        shown.contains("The manual backup failed") && shown.contains("Free up some space"),
        "{shown}"
    );

    // The next manager still shows it, once there is space to store it.
    drop(ballast);
    let stored = || {
        use diesel::prelude::*;
        let path = manager.data_dir().join("jd-manager.sqlite3");
        let mut db = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        diesel::dsl::sql::<diesel::sql_types::Text>("SELECT ended FROM backup_state")
            .get_result::<String>(&mut db)
            .unwrap()
    };
    until("it is written down", || async {
        stored().contains("disk is full").then_some(())
    })
    .await;

    assert_eq!(
        manager.post_json("/api/backups", &json!({})).await.status(),
        202
    );
    ended(false).await;
    until("the overview does not show it any more", || async {
        (!attention().await.contains("backup")).then_some(())
    })
    .await;
    assert_eq!(
        manager
            .ask("/backups", "text/html")
            .await
            .page(200)
            .count("section.attention"),
        0
    );
}

/// Files of restores next to this data directory.
fn left_beside(data_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data_dir.parent().unwrap()).unwrap();
    let all = entries.map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().contains(".restoring-"))
        .collect()
}

/// An archive of these files and sizes, filled with zeros; it has no manifest, so it never becomes
/// a data directory.
fn archive_of(to: &Path, members: &[(&str, u64)]) {
    use std::io::Read;
    let gz = flate2::write::GzEncoder::new(
        std::fs::File::create(to).unwrap(),
        flate2::Compression::fast(),
    );
    let mut tar = tar::Builder::new(gz);
    for (name, size) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(*size);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append(&header, std::io::repeat(0).take(*size)).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// A secret key must not stay next to the data directory.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_restore_leaves_nothing_and_a_killed_one_is_swept_up() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backup) = (dir.path().join("data"), dir.path().join("slow.tar.gz"));
    let log = "instances/a1e70000-0000-4000-8000-00000000000a/logs/00000000000000000000.log";
    archive_of(&backup, &[("secrets.key", 64), (log, 1 << 30)]);
    for signal in [
        rustix::process::Signal::TERM,
        rustix::process::Signal::INT,
        rustix::process::Signal::HUP,
    ] {
        let mut command = Command::new(PROGRAM);
        command
            .args(["restore", backup.to_str().unwrap(), "--data-dir"])
            .arg(&data)
            .stderr(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        until("the key to be unpacked", || async {
            left_beside(&data)
                .iter()
                .any(|path| path.join("secrets.key").exists())
                .then_some(())
        })
        .await;
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let output = child.wait_with_output().unwrap();
        let words = refused(&output);
        assert!(
            words.contains("The restore was interrupted. Nothing was changed."),
            "{words}"
        );
        assert!(
            left_beside(&data).is_empty() && !data.exists(),
            "{signal:?}"
        );
    }
    // Killed: the next start finds it.
    let mut manager = Manager::start().await;
    manager.instance("barn").await;
    let backup = manager.scratch().join("kept.tar.gz");
    done(&run(
        &manager.data_dir(),
        &["backup", backup.to_str().unwrap()],
        &[],
    ));
    manager.terminate();
    let kill = [("JD_MANAGER_FAIL_POINT", "restore.unpacked")];
    let killed = run(
        &manager.data_dir(),
        &["restore", backup.to_str().unwrap(), "--force"],
        &kill,
    );
    assert_eq!(killed.status.code(), None, "{}", said(&killed));
    let left = left_beside(&manager.data_dir());
    assert!(
        left.len() == 1 && left[0].join("secrets.key").exists(),
        "{left:?}"
    );
    // A running restore holds a lock and is not changed.
    let lock = std::fs::File::options()
        .write(true)
        .open(left[0].join(".restore.lock"))
        .unwrap();
    lock.lock().unwrap();
    manager.begin();
    assert!(left[0].exists());
    manager.terminate();
    drop(lock);
    manager.begin();
    assert_eq!(left_beside(&manager.data_dir()), Vec::<PathBuf>::new());
    assert_eq!(
        manager.json("/api/instances").await["instances"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn what_an_archive_says_does_not_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("hostile.tar.gz");
    for name in [
        "evil\u{1b}[2J\u{1b}]0;title\u{7}",
        "evil\u{202e}gpj.exe",
        "../evil\u{9b}2J\u{200b}",
    ] {
        archive_of(&backup, &[(name, 0)]);
        let words = refused(&run(
            &dir.path().join("data"),
            &["restore", backup.to_str().unwrap()],
            &[],
        ));
        assert!(words.contains("evil"), "{words}");
        assert!(
            !words.chars().any(|c| c.is_control() && c != '\n')
                && !words.contains(['\u{202e}', '\u{200b}']),
            "{words:?}"
        );
    }
}
