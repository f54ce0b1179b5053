//! What a manager finds when it starts: a log that is gone or damaged, directories without a row, a
//! damaged file, files that are none.

use super::{connect, execute, notices};
use crate::harness::answer::Answer;
use crate::harness::{Manager, PROGRAM, free_port, solo_config, until};
use diesel::connection::SimpleConnection;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn log_of(manager: &Manager) -> PathBuf {
    manager.data_dir().join("jd-manager.sqlite3-wal")
}

async fn save_ten(manager: &Manager) {
    for n in 0..10 {
        manager
            .save_config(
                &format!("config {n}"),
                &solo_config(free_port(), free_port(), 1),
            )
            .await;
    }
}

async fn count(manager: &Manager) -> usize {
    manager.json("/api/saved-configs").await["configurations"]
        .as_array()
        .unwrap()
        .len()
}

/// Does harm to the file at a path.
type Harm = fn(&Path);

/// What can happen to the log of a manager that was killed.
const HARMS: [(&str, Harm); 3] = [
    ("removed", |log| fs::remove_file(log).unwrap()),
    ("zeroed", |log| {
        let length = usize::try_from(fs::metadata(log).unwrap().len()).unwrap();
        fs::write(log, vec![0; length]).unwrap();
    }),
    ("one bit flipped", |log| {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(log)
            .unwrap();
        // In the first frame, behind its header.
        let mut byte = [0];
        if file.metadata().unwrap().len() > 32 + 24 + 100 {
            file.read_exact_at(&mut byte, 32 + 24 + 100).unwrap();
            file.write_all_at(&[byte[0] ^ 1], 32 + 24 + 100).unwrap();
        }
    }),
];

#[tokio::test]
async fn soon_after_a_change_nothing_is_lost_with_the_log() {
    for (harm, damage) in HARMS {
        let mut manager = Manager::start().await;
        save_ten(&manager).await;
        let log = log_of(&manager);
        until("the changes are in the file itself", || async {
            fs::metadata(&log)
                .is_ok_and(|meta| meta.len() == 0)
                .then_some(())
        })
        .await;
        manager.kill();
        damage(&log);
        manager.begin();
        assert_eq!(count(&manager).await, 10, "{harm}");
        assert_eq!(notices(&manager).await, Vec::<String>::new(), "{harm}");
    }
}

#[tokio::test]
async fn changes_that_went_with_the_log_are_missed() {
    for (harm, damage) in HARMS {
        let mut manager = Manager::start().await;
        let id = manager.instance("barn").await;
        let log = log_of(&manager);
        until("a checkpoint", || async {
            fs::metadata(&log)
                .is_ok_and(|meta| meta.len() == 0)
                .then_some(())
        })
        .await;
        // Somebody who reads for long keeps changes in the log. Read-only, so that closing it
        // writes nothing.
        let path = manager.data_dir().join("jd-manager.sqlite3");
        let mut reader =
            SqliteConnection::establish(&format!("file:{}?mode=ro", path.display())).unwrap();
        reader
            .batch_execute("BEGIN; SELECT count(*) FROM instances;")
            .unwrap();
        save_ten(&manager).await;
        let other = manager.instance("garage").await;
        fs::create_dir_all(manager.instance_dir(&other)).unwrap();
        fs::create_dir_all(manager.instance_dir(&id)).unwrap();
        manager.kill();
        drop(reader);
        damage(&log);
        let _ = fs::remove_file(manager.data_dir().join("jd-manager.sqlite3-shm"));
        manager.begin();
        assert_eq!(count(&manager).await, 1, "{harm}");
        let mut found = notices(&manager).await;
        found.sort();
        assert_eq!(
            found,
            ["database-changes-lost", "instance-directories-unknown"],
            "{harm}"
        );
        let page = Answer::to(manager.request("GET", "/").header("accept", "text/html"))
            .await
            .page(200);
        let text = page.one("main#main");
        assert!(
            text.contains("Recently saved changes are missing"),
            "{harm}: {text}"
        );
        assert!(
            text.contains(&other) && !text.contains(&format!("still run: {id}")),
            "{harm}: {text}"
        );
        // It is still said after another start, and not of what is saved from then on.
        manager
            .save_config("new", &solo_config(free_port(), free_port(), 1))
            .await;
        fs::remove_dir_all(manager.instance_dir(&other)).unwrap();
        manager.terminate();
        manager.begin();
        assert_eq!(notices(&manager).await, ["database-changes-lost"], "{harm}");
        assert_eq!(count(&manager).await, 2, "{harm}");
    }
}

#[derive(QueryableByName)]
struct Page {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    rootpage: i32,
}

#[tokio::test]
async fn a_zeroed_page_is_said_on_the_overview() {
    let mut manager = Manager::start().await;
    let page: Page = diesel::sql_query("SELECT rootpage FROM sqlite_master WHERE name = 'audit'")
        .get_result(&mut connect(&manager))
        .unwrap();
    manager.terminate();
    let file = fs::File::options()
        .write(true)
        .open(manager.data_dir().join("jd-manager.sqlite3"))
        .unwrap();
    file.write_all_at(
        &[0; 4096],
        (u64::try_from(page.rootpage).unwrap() - 1) * 4096,
    )
    .unwrap();
    manager.begin();
    assert_eq!(notices(&manager).await, Vec::<String>::new());
    // Whoever needs the page finds it first.
    Answer::to(manager.request("GET", "/api/audit"))
        .await
        .problem(503);
    until("the notice", || async {
        (notices(&manager).await == ["database-damaged"]).then_some(())
    })
    .await;
    let overview = Answer::to(manager.request("GET", "/").header("accept", "text/html"))
        .await
        .page(200);
    let text = overview.one("main#main");
    assert!(
        text.contains("The database is damaged") && text.contains("jd-manager restore"),
        "{text}"
    );
}

#[tokio::test]
async fn a_named_pipe_in_place_of_a_file_keeps_nobody_waiting() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.terminate();
    let data = manager.data_dir();
    let make_pipe = |path: &Path| {
        let _ = fs::remove_file(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    for name in ["secrets.key", "manager.lock", "jd-manager.sqlite3"] {
        let (path, aside) = (data.join(name), data.join("aside"));
        fs::rename(&path, &aside).unwrap();
        make_pipe(&path);
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > Duration::from_secs(20) {
                child.kill().unwrap();
                panic!("{name} as a named pipe hangs the start");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(!status.success(), "{name}");
        let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        assert!(said.contains(data.to_str().unwrap()), "{name}: {said}");
        fs::rename(&aside, &path).unwrap();
    }
    // What belongs to one instance or to one page alone stops nothing else.
    for path in [
        data.join("jd-manager.changes"),
        data.join("pools.toml"),
        manager.instance_dir(&id).join("events.jsonl"),
    ] {
        make_pipe(&path);
    }
    manager.begin();
    let answer = Answer::to(
        manager
            .request("POST", "/setup")
            .header("accept", "text/html")
            .form(&[("mode", "FULLTEMPLATE")]),
    )
    .await;
    assert!(answer.status < 500, "{answer:?}");
    make_pipe(&manager.instance_dir(&id).join("keeper.lock"));
    manager.terminate();
    manager.begin();
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["name"],
        "barn"
    );
    // Whoever ends this test reads it.
    fs::remove_file(manager.instance_dir(&id).join("keeper.lock")).unwrap();
}

#[tokio::test]
async fn a_copy_from_before_an_upgrade_has_its_name_only_when_it_is_whole() {
    let mut manager = Manager::start().await;
    save_ten(&manager).await;
    manager.terminate();
    // The database of the version before.
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut all: Vec<PathBuf> = fs::read_dir(migrations)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    let last = all.pop().unwrap();
    let version: String = last
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .chars()
        .take_while(|c| *c != '_')
        .filter(char::is_ascii_digit)
        .collect();
    execute(
        &manager,
        &fs::read_to_string(last.join("down.sql")).unwrap(),
    );
    execute(
        &manager,
        &format!("DELETE FROM __diesel_schema_migrations WHERE version = '{version}'"),
    );
    let backups = manager.data_dir().join("backups");
    let names = || -> Vec<String> {
        let Ok(entries) = fs::read_dir(&backups) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };

    let mut killed = Command::new(PROGRAM);
    killed
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(manager.data_dir())
        .env("JD_MANAGER_FAIL_POINT", "upgrade.copied");
    assert!(
        !killed
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    assert!(
        matches!(names().as_slice(), [only] if only.starts_with(".before-upgrade-")),
        "{:?}",
        names()
    );
    fs::write(backups.join(names()[0].as_str()), "half of it").unwrap();
    manager.begin();
    let found = names();
    assert!(
        matches!(found.as_slice(), [only] if only.starts_with("before-upgrade-")),
        "{found:?}"
    );
    assert_eq!(count(&manager).await, 10);
    let copy = backups.join(&found[0]);
    assert!(
        !jd_manager::infra::db::check_copy(&copy)
            .unwrap()
            .contains(&version)
    );
}
