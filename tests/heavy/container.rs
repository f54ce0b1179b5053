//! The image of the Containerfile, without a container engine: `scripts/container-root` assembles its root,
//! which runs in namespaces like a container: as another user than the image's, read-only, and without
//! capabilities.

use crate::harness::{PROGRAM, connections, free_port, signal, solo_config, until};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Not the user of the image.
const USER: u32 = 1000;
/// The time to stop that the documentation gives.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);
const DATA: &str = "/var/lib/jd-manager";
const MINER_PORTS: &str = "34200-34299";

/// What a container engine does: mounts the volume, makes the root read-only, changes it, drops all
/// privileges and becomes the entry point.
const ENTER: &str = r#"set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --bind "$VOLUME" "$ROOT$DATA"
mount -t proc proc "$ROOT/proc"
mount -o remount,bind,ro "$ROOT"
exec chroot "$ROOT" setpriv --reuid="$USER" --regid="$USER" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
    env -i PATH=/usr/local/bin:/usr/bin:/bin JD_MANAGER_DATA_DIR="$DATA" tini -- jd-manager "$@""#;

struct Container {
    unshare: Child,
    /// The first process in it, outside its namespace.
    init: u32,
    url: String,
}

impl Container {
    fn start(root: &Path, volume: &Path, arguments: &[&str]) -> Self {
        let mut unshare = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--ipc",
                "--uts",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .args(arguments)
            .env("ROOT", root)
            .env("VOLUME", volume)
            .env("DATA", DATA)
            .env("USER", USER.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(unshare.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("jd-manager is ready: ");
        let url = url
            .unwrap_or_else(|| panic!("{line:?}"))
            .trim_end_matches('/')
            .to_owned();
        let init = children(unshare.id())[0];
        Self { unshare, init, url }
    }

    /// The manager's process, outside its namespace.
    fn manager(&self) -> u32 {
        children(self.init)[0]
    }

    /// A program in the container, with all privileges of the test.
    fn inside(&self, program: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.init.to_string(),
                "--mount",
                "--pid",
                "--root",
                "--",
            ])
            .args(program)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("JD_MANAGER_DATA_DIR", DATA);
        command
    }

    /// The HEALTHCHECK of the image.
    fn is_healthy(&self) -> bool {
        let user = USER.to_string();
        let ids = [format!("--reuid={user}"), format!("--regid={user}")];
        let line = [
            "setpriv",
            &ids[0],
            &ids[1],
            "--clear-groups",
            "jd-manager",
            "healthcheck",
        ];
        self.inside(&line).status().unwrap().success()
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let method = method.parse().unwrap();
        let mut request = connections()
            .request(method, format!("{}{path}", self.url))
            .header("accept", "application/json");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Stops it like a container engine. Panics if it does not stop in time.
    fn stop(mut self) -> Duration {
        let begun = Instant::now();
        signal(self.init, rustix::process::Signal::TERM);
        while begun.elapsed() < STOP_TIMEOUT {
            if let Some(status) = self.unshare.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return begun.elapsed();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it did not stop within {STOP_TIMEOUT:?}");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// The value of a line in `/proc/PID/status`.
fn status_of(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap().split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_runs_as_any_user_read_only_and_without_capabilities() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let root = dir.path().join("root");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/container-root");
    let assembled = Command::new(script)
        .arg(&root)
        .arg(PROGRAM)
        .status()
        .unwrap();
    assert!(assembled.success());
    // A new volume has the mode of the directory in the image, and may belong to anybody.
    let volume = dir.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let mode = fs::metadata(root.join(&DATA[1..])).unwrap().permissions();
    fs::set_permissions(&volume, mode).unwrap();
    let client = volume.join("client");
    fs::write(
        &client,
        "#!/bin/sh\nexec /usr/local/bin/jd-manager simulate \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&client, Some(USER), Some(USER)).unwrap();

    let listen = format!("127.0.0.1:{}", free_port());
    let client = format!("{DATA}/client");
    let arguments = [
        "serve",
        "--listen",
        &listen,
        "--client",
        &client,
        "--miner-ports",
        MINER_PORTS,
        "--release-api",
        "http://127.0.0.1:9",
    ];
    let container = Container::start(&root, &volume, &arguments);
    let manager = container.manager();
    assert_eq!(status_of(manager, "Uid"), USER.to_string());
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status_of(manager, set).trim_matches('0'), "", "{set}");
    }
    assert_eq!(status_of(manager, "NoNewPrivs"), "1");
    for place in ["", "/tmp", "/run", "/usr/local/bin"] {
        let place = format!("{place}/probe");
        let wrote = container
            .inside(&["touch", &place])
            .stderr(Stdio::null())
            .status();
        assert!(!wrote.unwrap().success(), "{place} is writable");
    }
    assert!(container.is_healthy());
    let mut doctor = container.inside(&[
        "setpriv",
        "--reuid=1000",
        "--regid=1000",
        "--clear-groups",
        "jd-manager",
        "doctor",
        "--client",
        &client,
        "--json",
    ]);
    let report: Value = serde_json::from_slice(&doctor.output().unwrap().stdout).unwrap();
    assert_ne!(report["status"], "error", "{report}");

    // The configuration has a port that is not forwarded.
    let config = solo_config(free_port(), free_port(), 1);
    let saved = container
        .send(
            "POST",
            "/api/saved-configs",
            Some(json!({"name": "barn", "config": config})),
        )
        .await;
    let new = json!({"name": "barn", "config_id": saved["config_id"]});
    let instance = container.send("POST", "/api/instances", Some(new)).await;
    let path = format!(
        "/api/instances/{}",
        instance["instance_id"].as_str().unwrap()
    );
    container.send("POST", &format!("{path}/start"), None).await;
    let running = until("the instance is running", || async {
        let instance = container.send("GET", &path, None).await;
        (instance["status"] == "running").then_some(instance)
    })
    .await;
    let port = running["port"].as_u64().unwrap();
    assert!((34200..=34299).contains(&port), "{running}");
    std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).unwrap();
    let pid = u32::try_from(running["pid"].as_u64().unwrap()).unwrap();
    assert!(pid > 0);

    let took = container.stop();
    println!("stopped after {took:?}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).is_err());

    // The same volume again: the data is there.
    let again = Container::start(&root, &volume, &arguments);
    let list = again.send("GET", "/api/instances", None).await;
    assert_eq!(list["instances"][0]["name"], "barn");
    again.stop();
}
