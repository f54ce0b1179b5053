//! The output of a client is unlimited. Viewers get a limited part of it without secrets, and do not
//! slow down others.

use super::bare;
use crate::harness::answer::EventStream;
use crate::harness::{Manager, PROGRAM, until};
use serde_json::Value;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A client program made of these shell lines. `$CONFIG` is its configuration file.
fn script(dir: &Path, lines: &str) -> std::path::PathBuf {
    let client = dir.join("client");
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'jd_client_sv2 0.6.0'; exit; fi\nCONFIG=$2\nT=2026-01-01T00:00:00.000000Z\n{lines}\n"
    );
    std::fs::write(&client, text).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    client
}

/// A stopped instance whose client wrote `lines` lines of 60 kB.
async fn wide(lines: u64) -> (Manager, String) {
    let total = lines.to_string();
    let flags = [
        "--lines-per-second",
        "max",
        "--line-bytes",
        "60000",
        "--lines-total",
        &total,
    ];
    let manager = Manager::with_simulated(&flags).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let last = format!("line n={lines} ");
    until("the last line", || async {
        manager.log_text(&id).contains(&last).then_some(())
    })
    .await;
    manager.until_state(&id, "running").await;
    manager.act(&format!("/api/instances/{id}/stop")).await;
    manager.until_state(&id, "stopped").await;
    (manager, id)
}

/// The numbers of the long lines in a part of a log.
fn numbers(part: &Value) -> Vec<u64> {
    let number = |record: &Value| {
        record["message"]
            .as_str()?
            .split_once("line n=")?
            .1
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    part["logs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(number)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_are_shown_in_part_and_paged_through() {
    let (manager, id) = wide(150).await;
    let path = format!("/api/instances/{id}/logs");
    let (mut back, mut query, mut pages) = (Vec::new(), "count=1000".to_owned(), 0);
    loop {
        let text = bare(&manager, "GET", &format!("{path}?{query}")).await.text;
        assert!(text.len() < 400_000, "{} bytes", text.len());
        let part: Value = serde_json::from_str(&text).unwrap();
        for record in part["logs"].as_array().unwrap() {
            let shown = record["message"].as_str().unwrap().len() as u64;
            assert!(shown <= 4096);
            if let Some(omitted) = record["omitted_bytes"].as_u64() {
                assert!(
                    (59_900..=60_000).contains(&(shown + omitted)),
                    "{shown} and {omitted}"
                );
            }
        }
        back.splice(0..0, numbers(&part));
        pages += 1;
        if part["more"] == false {
            break;
        }
        query = format!("count=1000&before={}", part["first"]);
    }
    assert_eq!(back, (1..=150).collect::<Vec<_>>());
    assert!(pages > 2, "{pages}");
    let mut forth = Vec::new();
    let mut after = 0;
    loop {
        let part = manager
            .json(&format!("{path}?count=1000&after={after}"))
            .await;
        forth.extend(numbers(&part));
        after = part["last"].as_u64().unwrap();
        if part["more"] == false {
            break;
        }
    }
    assert_eq!(forth, back);

    // The page shows how much is missing, with links to the whole line and to the whole log.
    let page = manager
        .ask(&format!("/instances/{id}/logs?q=line+n%3D70+"), "text/html")
        .await
        .page(200);
    let whole = page.attr("#log .line em a", "href");
    assert!(
        page.texts("#log .line em")[0].contains("more: show full line"),
        "{:?}",
        page.texts("#log .line em")
    );
    let whole = manager.ask(&whole, "text/html").await.page(200);
    assert_eq!(
        (whole.count("#log .line"), whole.count("#log .line em")),
        (1, 0)
    );
    assert!(whole.texts("#log .line")[0].len() > 59_900);
    let page = manager
        .ask(&format!("/instances/{id}/logs"), "text/html")
        .await;
    assert!(page.text.len() < 1_000_000, "{} bytes", page.text.len());
    let page = page.page(200);
    assert!(
        page.texts("p")
            .iter()
            .any(|text| text.starts_with("The lines are long, so this page shows fewer of them.")),
        "{:?}",
        page.texts("p")
    );
    assert!(
        page.attrs("main p.sub a", "href")
            .iter()
            .any(|to| to.contains("before="))
    );
    let text = manager
        .ask(&format!("/instances/{id}/log.txt"), "*/*")
        .await
        .text;
    assert!(text == manager.log_text(&id));

    // The same in the live stream.
    let mut stream =
        EventStream::open(manager.request("GET", &format!("{path}?after=0&q=line+n%3D"))).await;
    let heard = stream.until(|heard| heard.event.is_empty()).await.json();
    assert!(
        heard["message"].as_str().unwrap().len() <= 4096
            && heard["omitted_bytes"].as_u64().unwrap() > 55_000,
        "{heard}"
    );
}

/// A value of `/proc/PID/status` in kB.
fn status(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')
                .map(str::to_owned)
        })
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_viewers_of_long_lines_take_little_memory_and_delay_nobody() {
    let (manager, id) = wide(300).await;
    let before = status(manager.pid(), "VmRSS");
    let is_over = Arc::new(AtomicBool::new(false));
    // Other requests do not wait for log pages. The machine may be busy with other tests, so the
    // median counts.
    let mut waits = Vec::new();
    let mut highest = 0;
    let viewers = async {
        for path in [
            "",
            "/logs?count=1000",
            "/logs?count=1000&q=n%3D",
            "/logs?q=not+to+be+found",
        ] {
            let asked = (0..20).map(|n| {
                let accept = if n % 2 == 0 {
                    "text/html"
                } else {
                    "application/json"
                };
                let (manager, address) = (&manager, format!("/instances/{id}{path}"));
                async move { manager.ask(&address, accept).await }
            });
            for answer in futures_util::future::join_all(asked).await {
                assert_eq!(answer.status, 200);
                assert!(
                    answer.text.len() < 1_500_000,
                    "{path}: {} bytes",
                    answer.text.len()
                );
            }
        }
        is_over.store(true, Ordering::Release);
    };
    let others = async {
        while !is_over.load(Ordering::Acquire) {
            let begun = Instant::now();
            assert_eq!(manager.get("/health").await.status(), 200);
            waits.push(begun.elapsed());
            highest = highest.max(status(manager.pid(), "VmRSS"));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::join!(viewers, others);
    waits.sort();
    let (middle, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!(
        "RSS {before} kB before, {highest} kB at most; health: middle {middle:?}, longest {longest:?} of {}",
        waits.len()
    );
    // A debug build is larger; `benches/reference/logs.rs` limits a release build to 60 MB.
    assert!(
        highest < before + 30_000,
        "{before} kB before, {highest} kB at most"
    );
    assert!(
        middle < Duration::from_millis(100),
        "{middle:?}, at most {longest:?}"
    );
}

/// The client writes as fast as it can without newlines, so that files are deleted while they are
/// read.
#[tokio::test(flavor = "multi_thread")]
async fn output_without_newlines_breaks_no_page_and_stays_within_its_files() {
    let scratch = tempfile::tempdir().unwrap();
    let lines = "trap 'kill $!; exit 0' INT TERM\ntr '\\0' x </dev/zero &\nwait";
    let manager = Manager::with_client(script(scratch.path(), lines)).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    let path = format!("/instances/{id}");
    let dir = manager.instance_dir(&id).join("logs");
    let written = || {
        std::fs::read_dir(&dir)
            .unwrap()
            .filter_map(|e| {
                e.unwrap()
                    .file_name()
                    .into_string()
                    .unwrap()
                    .get(..20)?
                    .parse::<u64>()
                    .ok()
            })
            .max()
    };
    until("the first file was dropped", || async {
        (written() > Some(60_000_000)).then_some(())
    })
    .await;
    for round in 0..15 {
        for (path, accept) in [
            (path.clone(), "text/html"),
            (format!("{path}/logs?count=1000"), "application/json"),
            (format!("{path}/logs?level=error&q=xx"), "text/html"),
            (format!("{path}/logs?after=5"), "application/json"),
            (format!("/health/{id}"), "text/html"),
            (format!("/instances/{id}/events"), "text/html"),
        ] {
            let answer = manager.ask(&path, accept).await;
            assert_eq!(answer.status, 200, "round {round}, {path}: {}", answer.text);
            assert!(
                answer.text.len() < 1_500_000,
                "{path}: {} bytes",
                answer.text.len()
            );
        }
        let files: Vec<u64> = std::fs::read_dir(&dir)
            .unwrap()
            .filter_map(|e| Some(e.unwrap().metadata().ok()?.len()))
            .collect();
        assert!(
            files.iter().sum::<u64>() <= 6 * 11_200_000
                && files.iter().all(|length| *length <= 11_200_000),
            "{files:?}"
        );
    }
    // All files may have been deleted while they were read; new ones appear soon.
    let newest = until("what is left is shown", || async {
        let path = format!("/api/instances/{id}/logs?count=1000");
        let page = manager.json(&path).await;
        page["logs"].as_array().unwrap().last().cloned()
    })
    .await;
    assert!(
        newest["message"].as_str().unwrap().contains("xxxx")
            && newest["omitted_bytes"].as_u64() > Some(1_000_000),
        "{newest}"
    );
    manager.act(&format!("/api/instances/{id}/stop")).await;
    manager.until_state(&id, "stopped").await;
}

/// All bytes in the files of an archive.
fn unpacked(archive: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(archive).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_key_that_the_client_prints_is_shown_nowhere() {
    let scratch = tempfile::tempdir().unwrap();
    let lines = "KEY=$(sed -n 's/.*authority_secret_key *= *\"\\(.*\\)\"/\\1/p' \"$CONFIG\")\n\
        echo \"$T  INFO jd_client_sv2: begin $KEY end\"\n\
        printf \"$T  INFO jd_client_sv2: \\033[3mkey\\033[0m\\033[2m=\\033[0m${KEY}x\\n\"\n\
        printf \"$T  WARN jd_client_sv2: in two \"; printf %s \"$KEY\" | head -c 20; sleep 0.2; printf %s \"$KEY\" | tail -c +21; echo\n\
        PAD=$(printf %0340d 0)\n\
        echo \"$T ERROR jd_client_sv2: $PAD $KEY\"\n\
        echo \"$T ERROR jd_client_sv2: config error: $KEY\"\n\
        sleep 0.3\nexit 1";
    let manager = Manager::with_client(script(scratch.path(), lines)).await;
    let id = manager.instance("barn").await;
    let set = manager
        .request("PATCH", &format!("/api/instances/{id}"))
        .json(&serde_json::json!({ "restart_policy": "never" }));
    assert_eq!(set.send().await.unwrap().status(), 200);
    let path = format!("/instances/{id}");
    let mut live = EventStream::open(manager.request("GET", &format!("/api{path}/logs"))).await;
    manager.act(&format!("/api{path}/start")).await;
    manager.until_state(&id, "failed").await;
    let file = std::fs::read_to_string(manager.instance_dir(&id).join("config.toml")).unwrap();
    let key = file
        .lines()
        .find_map(|line| {
            line.strip_prefix("authority_secret_key = \"")?
                .strip_suffix('"')
        })
        .unwrap()
        .to_owned();
    assert_eq!(
        manager.log_text(&id).matches(&key).count(),
        5,
        "the client has printed it: {}",
        manager.log_text(&id)
    );
    // Neither completely nor in part.
    let is_clean = |text: &str| (0..key.len() - 8).all(|at| !text.contains(&key[at..at + 8]));
    for (path, accept) in [
        (path.clone(), "text/html"),
        (path.clone(), "application/json"),
        (format!("{path}/configuration"), "text/html"),
        (format!("{path}/configuration"), "application/json"),
        (format!("{path}/logs?count=1000"), "text/html"),
        (format!("{path}/logs?count=1000"), "application/json"),
        (format!("{path}/logs"), "text/plain"),
        (format!("{path}/log.txt?level=error"), "*/*"),
        (format!("{path}/events"), "text/html"),
        (format!("{path}/events"), "application/json"),
        (format!("/health/{id}"), "text/html"),
        (format!("/health/{id}"), "application/json"),
        ("/".into(), "text/html"),
        ("/instances".into(), "application/json"),
        ("/alerts".into(), "text/html"),
    ] {
        let answer = manager.ask(&path, accept).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            is_clean(&answer.text),
            "{path} as {accept}: {}",
            answer.text
        );
    }
    let page = manager
        .ask(&format!("{path}/logs?count=1000"), "application/json")
        .await;
    assert_eq!(
        page.text.matches(&"*".repeat(key.len())).count(),
        5,
        "{}",
        page.text
    );
    for part in [key.as_str(), &key[..6], &key[10..30], &key[40..]] {
        let found = manager.json(&format!("/api{path}/logs?q={part}")).await;
        assert_eq!(
            found["logs"],
            serde_json::json!([]),
            "a search for it tells that it is there"
        );
    }
    let last = live.until(|heard| {
        assert!(is_clean(&heard.data), "{heard:?}");
        heard.data.contains("config error")
    });
    assert!(last.await.data.contains("****"));
    let shown = Command::new(PROGRAM)
        .args(["logs", "barn", "--data-dir"])
        .arg(manager.data_dir())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("config error: ****") && is_clean(&shown),
        "{shown}"
    );

    // A backup contains them only together with the encryption key.
    for (flags, is_in_it) in [
        (&["--with-logs"][..], true),
        (&["--with-logs", "--without-key"], false),
        (&["--without-key"], false),
    ] {
        let archive = scratch
            .path()
            .join(format!("{}{is_in_it}.tar.gz", flags.len()));
        let made = Command::new(PROGRAM)
            .arg("backup")
            .arg(&archive)
            .args(flags)
            .arg("--data-dir")
            .arg(manager.data_dir())
            .output();
        assert!(made.unwrap().status.success());
        let bytes = unpacked(&archive);
        let parts = (0..key.len() - 8)
            .filter(|at| memchr::memmem::find(&bytes, &key.as_bytes()[*at..at + 8]).is_some())
            .count();
        assert_eq!(parts > 0, is_in_it, "{flags:?}");
    }
    let order = serde_json::json!({ "with_key": false, "with_logs": true });
    let begun: Value = manager
        .post_json("/api/backups", &order)
        .await
        .json()
        .await
        .unwrap();
    let name = begun["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{begun}"))
        .to_owned();
    let archive = manager.data_dir().join("backups").join(name);
    until("the backup", || async { archive.exists().then_some(()) }).await;
    assert!(memchr::memmem::find(&unpacked(&archive), &key.as_bytes()[..8]).is_none());
    // The log of the manager does not contain it either.
    assert!(is_clean(&manager.log()));
}
