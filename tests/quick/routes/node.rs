//! `/node/check`: can a client use Bitcoin Core on this machine?

use super::bare;
use crate::harness::node::{FakeNode, NodeBehavior};
use crate::harness::{Manager, PROGRAM, connections, free_port};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The address of a check.
fn address(path: &Path, more: &str) -> String {
    let path = path.to_str().unwrap();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("path", path)
        .finish();
    format!("/node/check?{query}{more}")
}

async fn check(manager: &Manager, path: &Path, more: &str) -> Value {
    manager.json(&format!("/api{}", address(path, more))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_is_tried_with_the_client_in_use() {
    let manager = Manager::with_simulated(&["--lines-per-second", "50"]).await;
    let core = manager.scratch().join("core");
    fs::create_dir_all(core.join("regtest")).unwrap();
    let _node = FakeNode::start(&core.join("node.sock"), NodeBehavior::Answers);
    let found = check(&manager, &core, "").await;
    assert_eq!(
        (&found["status"], &found["version"], &found["network"]),
        (&json!("connected"), &json!(31), &json!("mainnet")),
        "{found}"
    );
    assert_eq!(found["path"], core.join("node.sock").to_str().unwrap());
    assert_eq!(found["data_dir"], core.to_str().unwrap());
    assert!(
        found["detail"]
            .as_str()
            .unwrap()
            .contains("received a block template"),
        "{found}"
    );
    assert!(
        !manager.data_dir().join("trials").exists(),
        "the keys of the trial were in there"
    );
    let page = manager
        .ask(&address(&core, "&network=mainnet&version=30"), "text/html")
        .await
        .page(200);
    assert!(page.one("h2#result").contains("Connected"));
    assert_eq!(page.attr("#path", "value"), core.to_str().unwrap());
    assert_eq!(page.attr("#network option[selected]", "value"), "mainnet");

    // The blocks are those of mainnet (the simulated client), the socket is that of another chain.
    let _other = FakeNode::start(&core.join("regtest/node.sock"), NodeBehavior::Answers);
    let found = check(&manager, &core.join("regtest/node.sock"), "").await;
    assert_eq!(found["status"], "wrong-network", "{found}");
    assert!(
        found["detail"].as_str().unwrap().contains("mainnet"),
        "{found}"
    );
    // A socket that the client cannot open under its name.
    let named = core.join("bitcoin-core.sock");
    let _named = FakeNode::start(&named, NodeBehavior::Answers);
    let found = check(&manager, &named, "").await;
    assert_eq!(found["status"], "connected", "{found}");
    assert_eq!(found["data_dir"], Value::Null);
    assert!(
        found["advice"].as_str().unwrap().contains("ln -s"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_obstacle_has_a_word_of_its_own_and_advice() {
    let manager = Manager::with_store("http://127.0.0.1:9", &[]).await;
    let core = manager.scratch().join("core");
    let at = |name: &str| {
        let dir = core.join(name);
        fs::create_dir_all(&dir).unwrap();
        dir.join("node.sock")
    };
    fs::create_dir_all(at("directory")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    drop(UnixListener::bind(at("stale")).unwrap());
    symlink(at("loop"), core.join("loop/other")).unwrap();
    symlink(core.join("loop/other"), at("loop")).unwrap();
    let _silent = FakeNode::start(&at("silent"), NodeBehavior::IsSilent);
    let _closes = FakeNode::start(&at("closes"), NodeBehavior::Closes);
    for (name, status, advice) in [
        ("missing", "no-socket", "StartOS"),
        ("loop", "no-socket", "ipcbind=unix"),
        ("directory", "not-a-socket", "mount the directory"),
        ("pipe", "not-a-socket", "sudo mv"),
        ("stale", "stale", "Start the node"),
        ("silent", "silent", "sudo ss"),
        ("closes", "silent", "sudo ss"),
    ] {
        let begun = Instant::now();
        let found = check(&manager, &at(name), "").await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}");
        assert_eq!(found["status"], status, "{found}");
        assert!(
            found["advice"].as_str().unwrap().contains(advice),
            "{found}"
        );
        let page = manager
            .ask(&address(&core.join(name), ""), "text/html")
            .await
            .page(200);
        assert_eq!(page.count("section.attention"), 1, "{name}");
        assert!(page.one("section[aria-labelledby=advice]").contains(advice));
    }
    // No client is installed here, so no more than the answer is known.
    fs::remove_file(at("stale")).unwrap();
    let _node = FakeNode::start(&at("stale"), NodeBehavior::Answers);
    let found = check(&manager, &at("stale"), "&network=mainnet").await;
    assert_eq!(found["status"], "connected", "{found}");
    assert!(
        found["detail"].as_str().unwrap().contains("not checked"),
        "{found}"
    );
    let found = check(&manager, &at("stale"), "&network=signet").await;
    assert_eq!(found["status"], "wrong-network", "{found}");
}

#[tokio::test]
async fn hostile_parameters_are_refused_and_large_directories_cost_nothing() {
    let manager = Manager::start().await;
    for (query, parameter) in [
        ("path=node.sock", "path"),
        ("path=../../etc", "path"),
        ("path=%2Fa%00b", "path"),
        (&*format!("path=%2F{}", "x".repeat(5000)), "path"),
        ("network=testnet3", "network"),
        ("version=29", "version"),
        ("version=x", "version"),
        ("depth=1", "depth"),
    ] {
        let refused = bare(&manager, "GET", &format!("/api/node/check?{query}")).await;
        let problem = refused.problem(422);
        assert_eq!(
            problem["errors"][0]["pointer"],
            format!("/{parameter}"),
            "{problem}"
        );
    }
    let many = manager.scratch().join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..3000 {
        fs::write(many.join(format!("{number}.sock")), "").unwrap();
    }
    let begun = Instant::now();
    assert_eq!(check(&manager, &many, "").await["status"], "no-socket");
    assert!(begun.elapsed() < Duration::from_secs(2));
    for path in ["/", "/dev/null", "/proc/self/mem", "/proc/1/cwd/x"] {
        let found = check(&manager, Path::new(path), "").await;
        let status = found["status"].as_str().unwrap();
        assert!(
            ["no-socket", "not-a-socket", "forbidden"].contains(&status),
            "{found}"
        );
    }
}

/// A manager as another user, ended with the test.
struct OtherManager {
    child: Child,
    port: u16,
    /// Kept open: the manager may print more.
    _out: BufReader<ChildStdout>,
}

impl Drop for OtherManager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OtherManager {
    /// As the user 65534 if the test is run by root, else as the own user.
    fn start(dir: &Path) -> Self {
        let (data, program) = (dir.join("data"), dir.join("program"));
        fs::create_dir(&data).unwrap();
        // The program lies where that user may not look.
        fs::copy(PROGRAM, &program).unwrap();
        for (path, mode) in [(dir, 0o755), (&*program, 0o755), (&*data, 0o700)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut command = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&data, Some(65534), Some(65534)).unwrap();
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
                .arg(&program);
            command
        } else {
            Command::new(&program)
        };
        let port = free_port();
        let mut child = command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(&data)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let started = Self {
            child,
            port,
            _out: out,
        };
        assert!(line.contains("ready"), "{line}");
        started
    }

    async fn check(&self, path: &Path) -> Value {
        let url = format!("http://127.0.0.1:{}/api{}", self.port, address(path, ""));
        let answer = connections().get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_socket_names_what_denies_it_and_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let manager = OtherManager::start(dir.path());
    let core = dir.path().join("core");
    fs::create_dir(&core).unwrap();
    let socket = core.join("node.sock");
    let _node = FakeNode::start(&socket, NodeBehavior::Answers);
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let expect = async |path: &Path, words: &[&str]| {
        let found = manager.check(path).await;
        assert_eq!(found["status"], "forbidden", "{found}");
        let text = format!("{} {}", found["detail"], found["advice"]);
        for word in words {
            assert!(text.contains(word), "{word}: {found}");
        }
    };
    mode(&core, 0o755);
    mode(&socket, 0o000);
    let name = socket.to_str().unwrap();
    expect(
        socket.as_path(),
        &["is not allowed to write to the socket", name, "mode 0000"],
    )
    .await;
    mode(&socket, 0o777);
    mode(&core, 0o600);
    let denied = format!("is not allowed to enter the directory {}", core.display());
    expect(socket.as_path(), &[denied.as_str(), "mode 0600", "User="]).await;
    // By a link the directory that denies it is that of its target.
    let link = dir.path().join("link.sock");
    symlink(&socket, &link).unwrap();
    expect(link.as_path(), &[denied.as_str()]).await;
    let directory = dir.path().join("linked");
    symlink(&core, &directory).unwrap();
    expect(directory.as_path(), &[denied.as_str()]).await;
    mode(&core, 0o755);
    assert_eq!(manager.check(&socket).await["status"], "connected");
}
