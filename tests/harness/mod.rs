//! A real manager with real keepers on loopback, for tests that use it as people and programs do.
//!
//! Every manager has a directory and a port of its own; when the test ends, however it ends, its
//! processes are ended by their ids and its files removed.

pub mod answer;
pub mod clients;
pub mod configurations;
pub mod disk;
pub mod measurement;
pub mod node;
pub mod peer;
pub mod releases;
pub mod routes;
pub mod sv2_server;
pub mod update_jobs;
pub mod wording;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");

/// What `scripts/test` tells the tests about this machine.
pub fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests through scripts/test, which provides what they need"))
}

/// A port nobody listens on, handed out once, so that tests running at the same time do not take
/// each other's. Not one that the system hands out: those it may give to the next connection of
/// another test. A random one, because another test program may run beside this one.
pub fn free_port() -> u16 {
    use std::collections::HashSet;
    use std::sync::Mutex;
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap();
    let given = given.get_or_insert_default();
    loop {
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        let port = 10_000 + u16::from_le_bytes(random) % 20_000;
        if given.insert(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Held by tests that open hundreds of connections, so that no two of them reach this process's
/// limit of open files (often 1,024) together.
pub async fn many_connections() -> tokio::sync::MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ONE_AT_A_TIME.lock().await
}

/// Waits until `is_so` gives something, at most 30 s; `what` is said when it does not come.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut is_so: impl FnMut() -> F,
) -> T {
    until_within(Duration::from_secs(30), what, &mut is_so).await
}

/// As [`until`], with another limit.
pub async fn until_within<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    what: &str,
    is_so: &mut impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = is_so().await {
            return value;
        }
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A client that follows no redirection and goes through no proxy.
pub fn connections() -> reqwest::Client {
    jd_manager::infra::http_client::plain()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// How a manager is started.
pub struct Plan {
    /// Flags of the simulated client.
    pub simulate: Vec<String>,
    /// Another client than the simulated one; an empty path: none, so that the manager keeps
    /// clients of its own.
    pub client: Option<PathBuf>,
    /// Further flags of the manager.
    pub flags: Vec<String>,
}

/// A manager of this test.
pub struct Manager {
    dir: tempfile::TempDir,
    plan: Plan,
    child: Option<Child>,
    address: SocketAddr,
    /// `http` or `https`, as the manager says.
    scheme: String,
    http: reqwest::Client,
    /// Further variables in the manager's environment from its next start on.
    pub env: Vec<(String, String)>,
    /// A program and its arguments that run the manager from its next start on, such as a tracer.
    /// It has to become the manager.
    pub wrapper: Vec<String>,
    /// File systems that are mounted for this test.
    mounts: Vec<PathBuf>,
}

impl Manager {
    /// A manager with simulated clients.
    pub async fn start() -> Self {
        Self::with_simulated(&[]).await
    }

    /// A manager whose simulated clients get these flags.
    pub async fn with_simulated(flags: &[&str]) -> Self {
        Self::launch(Plan {
            simulate: flags.iter().map(ToString::to_string).collect(),
            client: None,
            flags: Vec::new(),
        })
        .await
    }

    /// A manager with a client program of the test's choice.
    pub async fn with_client(client: impl Into<PathBuf>) -> Self {
        Self::launch(Plan {
            simulate: Vec::new(),
            client: Some(client.into()),
            flags: Vec::new(),
        })
        .await
    }

    /// A manager that keeps clients of its own, which it gets from the release API at this address.
    pub async fn with_store(releases: &str, flags: &[&str]) -> Self {
        let mut flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        flags.extend(["--release-api".into(), releases.into()]);
        Self::launch(Plan {
            simulate: Vec::new(),
            client: Some(PathBuf::new()),
            flags,
        })
        .await
    }

    /// A manager started by a plan.
    pub async fn launch(plan: Plan) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("jd-manager-test")
            .tempdir()
            .unwrap();
        let http = connections();
        let mut manager = Self {
            dir,
            plan,
            child: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            scheme: String::new(),
            http,
            env: Vec::new(),
            wrapper: Vec::new(),
            mounts: Vec::new(),
        };
        manager.steer(&manager.plan.simulate.clone());
        manager.begin();
        manager
    }

    /// Gives simulated clients that start from now on other flags.
    pub fn steer<S: AsRef<str>>(&self, flags: &[S]) {
        let flags: Vec<&str> = flags.iter().map(AsRef::as_ref).collect();
        self.write_client(&format!(
            "exec '{PROGRAM}' simulate {} \"$@\"",
            flags.join(" ")
        ));
    }

    /// Makes this shell script the client that is started from now on.
    pub fn write_client(&self, script: &str) {
        let script = format!("#!/bin/sh\n{script}\n");
        let draft = self.dir.path().join("client.new");
        fs::write(&draft, script).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(draft, self.simulated()).unwrap();
    }

    fn simulated(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// Starts the manager (again) on its data directory.
    pub fn begin(&mut self) {
        assert!(self.child.is_none(), "the manager runs already");
        // No connection to the one before is used again.
        self.http = connections();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("manager.log"))
            .unwrap();
        let client = self.plan.client.clone().unwrap_or_else(|| self.simulated());
        let client: Vec<PathBuf> = if client.as_os_str().is_empty() {
            Vec::new()
        } else {
            vec!["--client".into(), client]
        };
        let program: Vec<&str> = self
            .wrapper
            .iter()
            .map(String::as_str)
            .chain([PROGRAM])
            .collect();
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--listen", &self.address.to_string()])
            // A settings file of the test's own says itself what is logged.
            .args(
                self.plan
                    .flags
                    .iter()
                    .all(|flag| flag != "--settings")
                    .then_some("--log=info,jd_manager=debug"),
            )
            .args(
                self.plan
                    .flags
                    .iter()
                    .all(|flag| flag != "--release-api")
                    .then_some("--release-api=http://127.0.0.1:9"),
            )
            .args(client)
            .args(&self.plan.flags)
            .env_remove("RUST_LOG")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let Some((said, rest)) = line.split_once("://") else {
            let _ = child.kill();
            panic!("the manager did not come up: {line:?}\n{}", self.log());
        };
        self.scheme = said.rsplit(' ').next().unwrap().to_owned();
        self.address = rest.trim().trim_end_matches('/').parse().unwrap();
        self.child = Some(child);
    }

    /// `kill -9` of the manager alone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Puts the data directory on an empty file system of this size and starts the manager anew on
    /// it.
    pub fn mount_data_dir(&mut self, size: &str) {
        self.terminate();
        let dir = self.data_dir();
        let mut mount = Command::new("mount");
        mount
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=700"),
                "tmpfs",
            ])
            .arg(&dir);
        assert!(
            mount.status().unwrap().success(),
            "a small file system is mounted for this test, for which it has to run as root"
        );
        self.mounts.push(dir);
        self.begin();
    }

    /// Waits for the manager to end by itself, at most 30 s; returns how it did.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > Duration::from_secs(30) {
                let _ = child.kill();
                panic!("the manager does not end\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM to the manager; returns how it ended.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        signal(child.id(), rustix::process::Signal::TERM);
        child.wait().unwrap()
    }

    /// A manager that samples every second, with an instance that has run for a few samples, and
    /// that instance's id.
    pub async fn measured() -> (Self, String) {
        let flags = vec!["--sample-interval".into(), "1s".into()];
        let manager = Self::launch(Plan {
            simulate: Vec::new(),
            client: None,
            flags,
        })
        .await;
        let id = manager.instance("barn").await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        manager.until_state(&id, "running").await;
        // A hashrate is known once a share was found.
        let limit = Duration::from_secs(90);
        until_within(limit, "a few samples", &mut || async {
            let rows = manager
                .json(&format!("/api/metrics/{id}?metric_type=hashrate_miners"))
                .await;
            (rows["metrics"].as_array().unwrap().len() >= 3).then_some(())
        })
        .await;
        (manager, id)
    }

    /// The manager's own log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("manager.log")).unwrap_or_default()
    }

    /// The manager's process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory of the test's own, removed with it.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of an instance.
    pub fn instance_dir(&self, id: &str) -> PathBuf {
        self.data_dir().join("instances").join(id)
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A request with any method and headers.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), self.url(path))
    }

    /// GET with an `Accept` header, the answer read whole.
    pub async fn ask(&self, path: &str, accept: &str) -> answer::Answer {
        answer::Answer::to(self.request("GET", path).header("accept", accept)).await
    }

    /// What htmx gets when it wants to fill the element `target` (`div#status`).
    pub async fn fragment(&self, path: &str, target: &str) -> answer::Answer {
        let request = self
            .request("GET", path)
            .header("accept", "text/html")
            .header("hx-request", "true");
        answer::Answer::to(request.header("hx-target", target)).await
    }

    /// Bytes sent as they are on a connection of their own, and what comes back until it is closed.
    /// For what no client library sends.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let talk = async {
            let mut connection = tokio::net::TcpStream::connect(self.address).await.unwrap();
            // The manager may refuse before it has read everything.
            let _ = connection.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = connection.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::time::timeout(Duration::from_secs(30), talk)
            .await
            .expect("a connection hangs")
    }

    /// GET without an `Accept` header of note.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.request("GET", path).send().await.unwrap()
    }

    /// GET as JSON.
    pub async fn json(&self, path: &str) -> Value {
        let response = self
            .request("GET", path)
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// GET as a page.
    pub async fn page(&self, path: &str) -> String {
        let response = self
            .request("GET", path)
            .header("accept", "text/html")
            .send()
            .await
            .unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        text
    }

    /// POST of JSON.
    pub async fn post_json(&self, path: &str, body: &Value) -> reqwest::Response {
        self.request("POST", path)
            .header("accept", "application/json")
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// PUT of JSON.
    pub async fn put_json(&self, path: &str, body: &Value) -> reqwest::Response {
        self.request("PUT", path)
            .header("accept", "application/json")
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// POST as a plain form of a browser does it.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        self.request("POST", path)
            .header("accept", "text/html")
            .form(fields)
            .send()
            .await
            .unwrap()
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> reqwest::Response {
        self.request("DELETE", path)
            .header("accept", "application/json")
            .send()
            .await
            .unwrap()
    }

    /// POST without a body, as a program does it; the answer's status and JSON.
    pub async fn act(&self, path: &str) -> (u16, Value) {
        let response = self
            .request("POST", path)
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    /// Saves a configuration; returns its id.
    pub async fn save_config(&self, name: &str, config: &Value) -> String {
        let response = self
            .post_json(
                "/api/saved-configs",
                &json!({ "name": name, "config": config }),
            )
            .await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        body["config_id"].as_str().unwrap().to_owned()
    }

    /// Saves a solo configuration on free ports and an instance of it; returns the instance's id.
    pub async fn instance(&self, name: &str) -> String {
        let config = self
            .save_config(name, &solo_config(free_port(), free_port(), 1))
            .await;
        self.instance_of(name, &config).await
    }

    /// Saves an instance of a configuration; returns its id.
    pub async fn instance_of(&self, name: &str, config: &str) -> String {
        let response = self
            .post_json(
                "/api/instances",
                &json!({ "name": name, "config_id": config }),
            )
            .await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        body["instance_id"].as_str().unwrap().to_owned()
    }

    /// Waits until an instance is in a state; returns it.
    pub async fn until_state(&self, id: &str, state: &str) -> Value {
        let path = format!("/api/instances/{id}");
        let mut last = Value::Null;
        let begun = Instant::now();
        loop {
            if let Ok(response) = self.request("GET", &path).send().await
                && let Ok(instance) = response.json::<Value>().await
            {
                if instance["status"] == state {
                    return instance;
                }
                last = instance;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(40),
                "never {state}: {last}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The history of an instance, oldest first.
    pub async fn events(&self, id: &str) -> Vec<Value> {
        let mut events = self
            .json(&format!("/api/instances/{id}/events?limit=1000"))
            .await["events"]
            .as_array()
            .unwrap()
            .clone();
        events.reverse();
        events
    }

    /// The states an instance went through, oldest first.
    pub async fn states(&self, id: &str) -> Vec<String> {
        self.events(id)
            .await
            .iter()
            .map(|e| e["to"].as_str().unwrap().to_owned())
            .collect()
    }

    /// All the text an instance's log files hold, in order.
    pub fn log_text(&self, id: &str) -> String {
        let mut files: Vec<PathBuf> = fs::read_dir(self.instance_dir(id).join("logs"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect()
    }

    /// The same where the client may have written what is no text; nothing before it has written
    /// anything.
    pub fn log_text_lossy(&self, id: &str) -> String {
        let Ok(files) = fs::read_dir(self.instance_dir(id).join("logs")) else {
            return String::new();
        };
        let mut files: Vec<PathBuf> = files.map(|e| e.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned())
            .collect()
    }

    /// The keeper's process id of an instance, if its lock names one.
    pub fn keeper_pid(&self, id: &str) -> Option<u32> {
        fs::read_to_string(self.instance_dir(id).join("keeper.lock"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The processes that run an instance's client: those its keeper marked.
    pub fn clients(&self, id: &str) -> Vec<u32> {
        marked(&format!("JD_MANAGER_INSTANCE={id}"))
    }
}

/// The processes with this variable in their environment, except those that are only about to
/// become a client.
pub fn marked(mark: &str) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| env.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
        })
        .collect()
}

impl Drop for Manager {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the manager's log ---\n{}", self.log());
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Keepers outlive a killed manager, as they should; they end their clients when they are
        // ended.
        let instances = fs::read_dir(self.data_dir().join("instances"))
            .into_iter()
            .flatten();
        for instance in instances.flatten() {
            let id = instance.file_name().to_string_lossy().into_owned();
            if let Some(pid) = self.keeper_pid(&id)
                && fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.contains("keep") && line.contains(&id))
            {
                signal(pid, rustix::process::Signal::KILL);
            }
            // And what such a client left behind.
            for pid in self.clients(&id) {
                signal(pid, rustix::process::Signal::KILL);
            }
        }
        for mount in &self.mounts {
            let _ = Command::new("umount").arg("--lazy").arg(mount).status();
        }
    }
}

/// The processes whose working directory is this one; zombies have none.
pub fn processes_in(dir: &Path) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
        .collect()
}

/// Sends a signal to one process.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
}

/// The published example pair of keys, which the mock peers use too.
pub const PUBLIC_KEY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
/// The secret half of the published example pair.
pub const SECRET_KEY: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";

/// A solo configuration for a client on these ports.
pub fn solo_config(listening: u16, monitoring: u16, template_provider: u16) -> Value {
    json!({
        "listening_address": format!("127.0.0.1:{listening}"),
        "max_supported_version": 2, "min_supported_version": 2,
        "authority_public_key": PUBLIC_KEY, "authority_secret_key": SECRET_KEY,
        "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 3,
        "mode": "SOLOMINING", "jdc_signature": "Sv2MinerSignature",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
        "upstreams": [],
        "template_provider_type": { "Sv2Tp": { "address": format!("127.0.0.1:{template_provider}") } },
        "monitoring_address": format!("127.0.0.1:{monitoring}"), "monitoring_cache_refresh_secs": 1,
    })
}

/// The same with one pool.
pub fn pool_config(
    listening: u16,
    monitoring: u16,
    template_provider: u16,
    pool: u16,
    jds: u16,
) -> Value {
    let mut config = solo_config(listening, monitoring, template_provider);
    config["mode"] = json!("FULLTEMPLATE");
    config["upstreams"] = json!([{
        "authority_pubkey": PUBLIC_KEY, "pool_address": "127.0.0.1", "pool_port": pool,
        "jds_address": "127.0.0.1", "jds_port": jds, "user_identity": "acct.worker",
    }]);
    config
}
