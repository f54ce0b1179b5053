//! Tests `jd-manager logs`.

use super::{ask, at};
use crate::harness::{Manager, until};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

/// A following command, read line by line; stopped at the end of the test.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn begin(manager: &Manager, arguments: &[&str]) -> Self {
        let mut child = at(manager, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Reads until a line matches; returns all lines up to it.
    fn until(&mut self, fits: impl Fn(&str) -> bool) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "it ended after {heard:?}"
            );
            heard.push(line.trim_end().to_owned());
            if fits(heard.last().unwrap()) {
                return heard;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_log_is_read_by_its_end_its_level_and_its_words() {
    let manager =
        Manager::with_simulated(&["--lines-total", "1500", "--lines-per-second", "max"]).await;
    let id = manager.instance("barn").await;
    assert_eq!(ask(&manager, &["logs", "barn"]).well(), "");
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("1500 lines", || async {
        (manager.log_text(&id).lines().count() > 1500).then_some(())
    })
    .await;
    assert_eq!(ask(&manager, &["logs", "barn"]).well().lines().count(), 100);
    assert_eq!(
        ask(&manager, &["logs", "barn", "-n", "7"])
            .well()
            .lines()
            .count(),
        7
    );
    // More than one request returns, in order and without a gap.
    let many = ask(&manager, &["logs", "barn", "-n", "1200", "--json"]).well();
    let seqs: Vec<u64> = many
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(seqs.len(), 1200);
    assert!(seqs.windows(2).all(|two| two[0] < two[1]));
    let newest = manager
        .json(&format!("/api/instances/{id}/logs?count=1000"))
        .await;
    let of_api: Vec<u64> = newest["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert!(
        seqs.ends_with(&of_api[..900])
            || of_api.iter().filter(|seq| seqs.contains(seq)).count() > 900
    );
    let warnings = ask(&manager, &["logs", "barn", "--level", "warn", "-n", "1000"]).well();
    assert!(
        warnings.lines().all(|line| !line.contains(" INFO ")),
        "{warnings}"
    );
    let found = ask(&manager, &["logs", "barn", "--grep", "READY TO ACCEPT"]).well();
    assert!(
        found.lines().count() >= 1 && found.lines().all(|line| line.contains("ready to accept")),
        "{found}"
    );
    assert_eq!(ask(&manager, &["logs", "barn", "--level", "loud"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_over_the_end_of_a_manager() {
    let mut manager = Manager::with_simulated(&["--template-interval", "200ms"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let mut following = Following::begin(&manager, &["logs", "barn", "--follow", "-n", "3"]);
    let mut raw = Following::begin(&manager, &["logs", "barn", "-f", "--json", "-n", "1"]);
    // The later records arrived through the stream.
    (0..4).for_each(|_| drop(following.until(|_| true)));
    let first = raw.until(|_| true).remove(0);
    raw.until(|_| true);
    // The records are the same as those of the keeper.
    manager.kill();
    manager.begin();
    let templates = |text: &str| text.matches("Received: NewTemplate").count();
    let before = templates(&manager.log_text(&id));
    until("templates that came later", || async {
        (templates(&manager.log_text(&id)) > before + 3).then_some(())
    })
    .await;
    manager.act(&format!("/api/instances/{id}/stop")).await;
    following.until(|line| line == "-- barn is stopped --");
    // Every record once and in order, although the connection was lost.
    let all = ask(&manager, &["logs", "barn", "-n", "100000", "--json"]).well();
    let (all, last): (Vec<&str>, _) = (
        all.lines()
            .skip_while(|line| *line != first)
            .skip(2)
            .collect(),
        all.lines().last().unwrap(),
    );
    assert_eq!(raw.until(|line| line == last), all);
    // A deleted instance is not followed.
    assert_eq!(ask(&manager, &["instances", "rm", "barn", "--yes"]).code, 0);
    let end = following.child.wait().unwrap();
    assert_eq!(end.code(), Some(1));
}

#[tokio::test]
async fn output_that_nobody_reads_ends_the_command_quietly() {
    let manager =
        Manager::with_simulated(&["--lines-total", "3000", "--lines-per-second", "max"]).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("3000 lines", || async {
        (manager.log_text(&id).lines().count() > 3000).then_some(())
    })
    .await;
    for arguments in [
        &["logs", "barn", "-n", "3000"][..],
        &["logs", "barn", "-f", "-n", "3000"],
    ] {
        let mut child = at(&manager, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Like `head -1`.
        let mut line = String::new();
        BufReader::with_capacity(64, child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stderr).as_ref()
            ),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_logs_are_merged_and_a_time_is_found() {
    let manager = Manager::start().await;
    for (name, first) in [("barn", 0), ("attic", 1)] {
        let id = manager.instance(name).await;
        let dir = manager.instance_dir(&id).join("logs");
        std::fs::create_dir_all(&dir).unwrap();
        let second = |n: u64| format!("2026-11-29T09:00:{n:02}.000000Z  INFO a: at {n}\n");
        let text: String = (first..60).step_by(2).map(second).collect();
        std::fs::write(dir.join("00000000000000000000.log"), text).unwrap();
    }
    let lines = |arguments: &[&str]| -> Vec<String> {
        let text = ask(&manager, &[&["logs"], arguments].concat()).well();
        let word = |line: &str| line.split_once(" INFO  ").unwrap().1.to_owned();
        text.lines().map(word).collect()
    };
    let last = ["attic a: at 57", "barn a: at 58", "attic a: at 59"];
    assert_eq!(lines(&["barn", "attic", "-n", "3"]), last);
    assert_eq!(lines(&["barn", "attic"]).len(), 60);
    let found = ["barn a: at 4", "attic a: at 5"];
    assert_eq!(
        lines(&["barn", "attic", "--grep", "at [45]$", "--regex"]),
        found
    );
    let around = ["a: at 28", "a: at 30"];
    assert_eq!(
        lines(&["barn", "--at", "2026-11-29T09:00:30Z", "-n", "2"]),
        around
    );
    let wrong = ask(&manager, &["logs", "barn", "--grep", "(", "--regex"]);
    assert!(
        wrong.code != 0 && wrong.err.contains("unclosed group"),
        "{wrong:?}"
    );
    assert_eq!(ask(&manager, &["logs"]).code, 2);
}
