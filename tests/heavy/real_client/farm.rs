//! An instance with Stratum V1 miners: the real client and the real translator, a mock pool and
//! template provider, and miners that hash.

use super::Peer;
use crate::harness::measurement::report;
use crate::harness::{Manager, Plan, free_port, pool_config, told, until, until_within};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from the client's ready line until each miner has a job. The miners connect again every
/// 0.2 s; the translator itself waits 1 s before it connects to its client.
pub const JOB: f64 = 2.5;
/// Seconds from the client's ready line until the median miner has an accepted share, at 60 shares
/// per minute. Shares are random: after the job, a miner needs 1 s on average.
pub const SHARE: f64 = 5.0;
/// The same for the slowest of ten miners, which needs more than [`SHARE`] in one of sixteen runs.
const SLOWEST_SHARE: f64 = 15.0;
/// `share_batch_size` of the client, which acknowledges this many shares at a time.
pub const BATCH: u64 = 3;

/// The instance and its surroundings. All end with it.
pub struct Farm {
    pub manager: Manager,
    pub id: String,
    pub miners: Vec<Peer>,
    provider: Option<Peer>,
    provider_port: u16,
    pool: Option<Peer>,
    pool_ports: [u16; 2],
    v1_port: u16,
}

impl Farm {
    /// A farm with so many miners, which have accepted shares.
    pub async fn with_miners(count: usize) -> Self {
        let mut farm = Self::in_manager(Self::manager().await).await;
        farm.add_miners(count).await;
        farm
    }

    /// A manager with the real programs.
    pub async fn manager() -> Manager {
        Manager::launch(Plan {
            simulate: Vec::new(),
            client: Some(told("JD_MANAGER_TEST_CLIENT").into()),
            flags: vec!["--translator".into(), told("JD_MANAGER_TEST_TRANSLATOR")],
        })
        .await
    }

    /// A running instance with a pool and a port for Stratum V1 miners, without miners.
    pub async fn in_manager(manager: Manager) -> Self {
        let (provider, provider_port) = Peer::template_provider(&["--interval", "20"]);
        let (pool_ports, v1_port) = ([free_port(), free_port()], free_port());
        let [pool, jds] = pool_ports;
        let mut config = pool_config(free_port(), free_port(), provider_port, pool, jds);
        config["shares_per_minute"] = json!(60);
        config["share_batch_size"] = json!(BATCH);
        config["translator"] = json!({
            "listening_address": format!("127.0.0.1:{v1_port}"),
            "min_miner_hashrate": "50 kH/s",
            "shares_per_minute": 60,
        });
        let saved = manager.save_config("home", &config).await;
        let id = manager.instance_of("barn", &saved).await;
        let mut farm = Self {
            manager,
            id,
            miners: Vec::new(),
            provider: Some(provider),
            provider_port,
            pool: None,
            pool_ports,
            v1_port,
        };
        farm.start_pool();
        farm.act("start").await;
        farm.until_translator("running").await;
        farm
    }

    /// Adds so many miners, and waits until each has an accepted share.
    pub async fn add_miners(&mut self, count: usize) {
        for number in 1..=count {
            self.add_miner(&format!("alice.bitaxe{number}"), &[]);
        }
        self.until_all("share ok", 0.0).await;
    }

    /// Adds a miner with this user name and further arguments.
    pub fn add_miner(&mut self, user: &str, further: &[&str]) {
        let port = self.v1_port.to_string();
        let mut args = vec!["--port", &port, "--user", user, "--seconds", "900"];
        args.extend(further);
        self.miners
            .push(Peer::start("stratum_v1_miner.py", &args).0);
    }

    pub fn start_pool(&mut self) {
        let [pool, jds] = self.pool_ports.map(|port| port.to_string());
        self.pool = Some(Peer::listening("pool.py", &["--port", &pool, "--jds-port", &jds]).0);
    }

    pub fn stop_pool(&mut self) {
        self.pool = None;
    }

    pub fn start_provider(&mut self) {
        let port = self.provider_port.to_string();
        let args = ["--port", &port, "--interval", "20"];
        self.provider = Some(Peer::template_provider(&args).0);
    }

    pub fn stop_provider(&mut self) {
        self.provider = None;
    }

    pub async fn act(&self, verb: &str) {
        let path = format!("/api/instances/{}/{verb}", self.id);
        let (status, body) = self.manager.act(&path).await;
        assert_eq!(status, 200, "{verb}: {body}");
    }

    pub async fn instance(&self) -> Value {
        self.manager
            .json(&format!("/api/instances/{}", self.id))
            .await
    }

    pub async fn translator(&self) -> Value {
        self.instance().await["programs"][1].clone()
    }

    pub async fn until_translator(&self, state: &str) -> Value {
        until(&format!("the translator is {state}"), || async {
            let translator = self.translator().await;
            (translator["status"] == state).then_some(translator)
        })
        .await
    }

    /// The client's process, other than `before`, once it is ready for miners; and when it was, in
    /// seconds since 1970.
    pub async fn until_ready(&self, before: &Value) -> (Value, f64) {
        let limit = Duration::from_secs(60);
        until_within(limit, "the client is ready again", &mut || async {
            let instance = self.instance().await;
            let is_new = instance["status"] == "running" && instance["pid"] != *before;
            is_new.then(|| (instance["pid"].clone(), seconds(&instance["since"])))
        })
        .await
    }

    /// When the client wrote its ready line after this time without a new process: after the loss
    /// of its pool.
    pub async fn until_ready_line(&self, after: f64) -> f64 {
        until("the client is ready without its pool", || async {
            let text = self.manager.log_text(&self.id);
            let mut lines = text
                .lines()
                .filter(|line| line.contains("Required template data received"));
            lines.find_map(|line| {
                let time: jiff::Timestamp = line.split(' ').next()?.parse().ok()?;
                let time = time.as_millisecond() as f64 / 1000.0;
                (time > after).then_some(time)
            })
        })
        .await
    }

    /// Waits until each miner has had such an event after this time; returns when each first had
    /// it, the earliest time first.
    pub async fn until_all(&self, event: &str, after: f64) -> Vec<f64> {
        let first = |miner: &Peer| {
            let said = miner.said.lock().unwrap();
            said.iter().find_map(|line| {
                let (time, words) = line.split_once(' ')?;
                let time: f64 = time.parse().ok()?;
                (time > after && words.starts_with(event)).then_some(time)
            })
        };
        until(&format!("each miner has: {event}"), || async {
            let mut times: Vec<f64> = self.miners.iter().map(first).collect::<Option<_>>()?;
            times.sort_by(f64::total_cmp);
            Some(times)
        })
        .await
    }

    /// After an interruption, the miners have a job and an accepted share in time, and the
    /// translator has no failure. `ready`: when the client was ready again.
    pub async fn check_recovery(&self, what: &str, ready: f64) {
        let jobs = self.until_all("job", ready).await;
        let shares = self.until_all("share ok", ready).await;
        let last = |times: &[f64]| times.last().unwrap() - ready;
        let (job, slowest) = (last(&jobs), last(&shares));
        let median = shares[shares.len() / 2] - ready;
        report(&format!("{what}-job"), job, "s", JOB);
        report(&format!("{what}-share"), median, "s", SHARE);
        println!(
            "{what}: from the client's ready line, the first share after {:.2} s, the last after {slowest:.2} s",
            shares[0] - ready
        );
        assert!(job < JOB, "{what}: {job}");
        assert!(median < SHARE, "{what}: {median}");
        assert!(slowest < SLOWEST_SHARE, "{what}: {slowest}");
        let translator = self.until_translator("running").await;
        assert_eq!(translator["failures"], 0, "{what}: {translator}");
    }

    /// Since `after`, the history has one exit of the translator, which is no failure, and gives a
    /// reason with one of these words.
    pub async fn check_translator_exit(&self, what: &str, after: f64, words: &[&str]) {
        let exits = self.exits("translator", after).await;
        assert_eq!(exits.len(), 1, "{what}: {exits:#?}");
        assert_ne!(exits[0]["to"], "backing-off", "{what}: {exits:#?}");
        let events = self.events("translator", after).await;
        let has_words = |event: &Value| {
            let reason = event["reason"].as_str().unwrap();
            words.iter().any(|words| reason.contains(words))
        };
        let count = events.iter().filter(|event| has_words(event)).count();
        assert_eq!(count, 1, "{what}: {words:?}: {events:#?}");
    }

    /// Since `after`, the history has one exit of the client, with a reason that contains these
    /// words.
    pub async fn check_client_exit(&self, what: &str, after: f64, words: &str) {
        let exits = self.exits("client", after).await;
        assert_eq!(exits.len(), 1, "{what}: {exits:#?}");
        let reason = exits[0]["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{what}: {reason}");
    }

    /// The exits of a program in the history after a time, oldest first: the program had a process
    /// before them, and has none afterwards.
    pub async fn exits(&self, program: &str, after: f64) -> Vec<Value> {
        let has_process =
            |state: &Value| ["starting", "running", "stopping"].contains(&state.as_str().unwrap());
        let mut events = self.events(program, after).await;
        events.retain(|event| has_process(&event["from"]) && !has_process(&event["to"]));
        events
    }

    /// The history of a program after a time, oldest first.
    pub async fn events(&self, program: &str, after: f64) -> Vec<Value> {
        let mut events = self.manager.events(&self.id).await;
        events.retain(|event| event["program"] == program && seconds(&event["timestamp"]) >= after);
        events
    }
}

/// A time of the API in seconds since 1970.
pub fn seconds(time: &Value) -> f64 {
    let time: jd_manager::base::clock::Timestamp = serde_json::from_value(time.clone()).unwrap();
    time.0 as f64 / 1000.0
}

/// The present time in seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// The process id of an instance's client, or of one of its programs.
pub fn pid(program: &Value) -> u32 {
    u32::try_from(program["pid"].as_u64().unwrap()).unwrap()
}
