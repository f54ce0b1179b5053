//! The cost of supervision: log intake compared with `cat`, a keeper's memory, and the delay before a
//! replacement.

use jd_manager::keeper::journal;
use jd_manager::keeper::machine::{InstanceState, RestartPolicy};
use jd_manager::keeper::protocol::{
    KeeperCommand as Order, KeeperRequest, KeeperSpec, VERSION, line,
};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PROGRAM, proportional_mb, report_at_least, report_at_most, report_info};

/// 149 bytes and a line feed.
const LINE_BYTES: usize = 150;
const LINES: usize = 4_000_000;

fn spec(script: &str) -> KeeperSpec {
    let env = vec![("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())];
    KeeperSpec {
        policy: RestartPolicy::Never,
        ..KeeperSpec::new("/bin/sh".into(), vec!["-c".into(), script.into()], env)
    }
}

/// A keeper in its own directory, told to start.
fn keep(dir: &Path, spec: &KeeperSpec) -> Child {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("keeper.json"), serde_json::to_vec(spec).unwrap()).unwrap();
    let mut child = Command::new(PROGRAM)
        .arg("keep")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    assert_eq!(ready.trim(), "ready");
    let mut control = jd_manager::keeper::client::connect(dir).unwrap();
    control
        .write_all(&line(&KeeperRequest {
            v: VERSION,
            command: Order::Start,
            id: None,
            actor: None,
            ingested: None,
        }))
        .unwrap();
    child
}

/// Lines a second through the keeper and through `cat`, from the same producer to the same disk.
fn intake(root: &Path) {
    let producer = format!("yes {} | head -n {LINES}", "x".repeat(LINE_BYTES - 1));
    let mut best = [f64::MAX; 2];
    for round in 0..3 {
        let begun = Instant::now();
        let file = root.join("cat.log");
        let script = format!("{producer} | cat > '{0}' && sync -d '{0}'", file.display());
        assert!(
            Command::new("/bin/sh")
                .args(["-c", &script])
                .status()
                .unwrap()
                .success()
        );
        best[0] = best[0].min(begun.elapsed().as_secs_f64());
        fs::remove_file(file).unwrap();

        let dir = root.join(format!("intake{round}"));
        let begun = Instant::now();
        let mut keeper = keep(&dir, &spec(&producer));
        keeper.wait().unwrap();
        best[1] = best[1].min(begun.elapsed().as_secs_f64());
        let (entries, _) = journal::read_from(&dir, 0).unwrap();
        assert_eq!(entries.last().unwrap().to, InstanceState::Failed);
        fs::remove_dir_all(dir).unwrap();
    }
    let rate = |seconds: f64| LINES as f64 / seconds;
    let what = format!("log intake of a keeper, {LINE_BYTES}-byte lines");
    let ratio = 100.0 * best[0] / best[1];
    report_at_least(&what, ratio, "% of cat", 50.0);
    report_info(&what, rate(best[1]), "lines/s");
    report_info("cat to a file, then fdatasync", rate(best[0]), "lines/s");
}

/// From the moment the backoff ends to the moment the new client is there.
fn respawn(root: &Path) {
    let dir = root.join("respawn");
    let mut keeper = keep(
        &dir,
        &KeeperSpec {
            policy: RestartPolicy::Always,
            ..spec("exit 1")
        },
    );
    std::thread::sleep(Duration::from_secs(9));
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    let (entries, _) = journal::read_from(&dir, 0).unwrap();
    let mut delays = Vec::new();
    for pair in entries.windows(2) {
        if let (Some(due), InstanceState::Starting) = (pair[0].retry_at, pair[1].to) {
            delays.push(pair[1].at - due);
        }
    }
    let longest = delays.into_iter().max().unwrap();
    report_at_most(
        "start of a replacement after its wait, the longest",
        longest as f64,
        "ms",
        20.0,
    );
}

fn memory(root: &Path) {
    let mut keepers: Vec<Child> = (0..10)
        .map(|n| keep(&root.join(format!("memory{n}")), &spec("exec sleep 1000")))
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let sizes = keepers.iter().map(|keeper| proportional_mb(keeper.id()));
    let largest = sizes.fold(0.0, f64::max);
    report_at_most(
        "largest of ten keepers, proportional set size",
        largest,
        "MB",
        2.0,
    );
    for keeper in &mut keepers {
        keeper.kill().unwrap();
        keeper.wait().unwrap();
    }
}

pub fn run(root: &Path) {
    intake(root);
    memory(root);
    respawn(root);
}
