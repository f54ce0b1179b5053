//! Stratum V1 miners with the real client and the real translator: they mine, and they mine again
//! within seconds after everything that ends the translator.

use super::Peer;
use crate::harness::{
    Manager, Plan, free_port, is_alive, pool_config, signal, told, until, until_within,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A miner that connects again every 0.2 s has a job this long after the client is ready. The
/// translator itself waits 1 s before it connects to its client.
const JOB: f64 = 2.5;
/// And an accepted share, at 60 shares per minute. Shares are random: on average a miner finds one
/// after 1 s, and the slowest of ten takes longer than 5 s in one of sixteen runs. The test prints the
/// time.
const SHARE: f64 = 15.0;

struct Farm {
    manager: Manager,
    id: String,
    _provider: Peer,
    pool: Option<Peer>,
    pool_ports: [u16; 2],
    miners: Vec<Peer>,
}

impl Farm {
    /// An instance with a pool and a port for Stratum V1 miners, and so many miners.
    async fn with_miners(count: usize) -> Self {
        let (provider, provider_port) = Peer::template_provider(&["--interval", "20"]);
        let pool_ports = [free_port(), free_port()];
        let manager = Manager::launch(Plan {
            simulate: Vec::new(),
            client: Some(told("JD_MANAGER_TEST_CLIENT").into()),
            flags: vec!["--translator".into(), told("JD_MANAGER_TEST_TRANSLATOR")],
        })
        .await;
        let [pool, jds] = pool_ports;
        let mut config = pool_config(free_port(), free_port(), provider_port, pool, jds);
        let v1 = free_port();
        config["shares_per_minute"] = json!(60);
        config["translator"] = json!({
            "listening_address": format!("127.0.0.1:{v1}"),
            "min_miner_hashrate": "50 kH/s",
            "shares_per_minute": 60,
        });
        let saved = manager.save_config("home", &config).await;
        let id = manager.instance_of("barn", &saved).await;
        let mut farm = Self {
            manager,
            id,
            _provider: provider,
            pool: None,
            pool_ports,
            miners: Vec::new(),
        };
        farm.start_pool();
        farm.act("start").await;
        farm.until_translator("running").await;
        for number in 1..=count {
            let (user, port) = (format!("alice.bitaxe{number}"), v1.to_string());
            let args = ["--port", &port, "--user", &user, "--seconds", "900"];
            farm.miners
                .push(Peer::start("stratum_v1_miner.py", &args).0);
        }
        farm.until_all("share ok", 0.0).await;
        farm
    }

    fn start_pool(&mut self) {
        let [pool, jds] = self.pool_ports.map(|port| port.to_string());
        self.pool = Some(Peer::listening("pool.py", &["--port", &pool, "--jds-port", &jds]).0);
    }

    async fn act(&self, verb: &str) {
        let path = format!("/api/instances/{}/{verb}", self.id);
        let (status, body) = self.manager.act(&path).await;
        assert_eq!(status, 200, "{verb}: {body}");
    }

    async fn instance(&self) -> Value {
        self.manager
            .json(&format!("/api/instances/{}", self.id))
            .await
    }

    async fn translator(&self) -> Value {
        self.instance().await["programs"][1].clone()
    }

    async fn until_translator(&self, state: &str) -> Value {
        until(&format!("the translator is {state}"), || async {
            let translator = self.translator().await;
            (translator["status"] == state).then_some(translator)
        })
        .await
    }

    /// The client's process, other than `before`, once it is ready for miners; and when it was, in
    /// seconds since 1970.
    async fn until_ready(&self, before: &Value) -> (Value, f64) {
        until("the client is ready again", || async {
            let instance = self.instance().await;
            let is_new = instance["status"] == "running" && instance["pid"] != *before;
            is_new.then(|| (instance["pid"].clone(), seconds(&instance["since"])))
        })
        .await
    }

    /// Waits until each miner has had such an event after this time; returns when the last had it.
    async fn until_all(&self, event: &str, after: f64) -> f64 {
        let first = |miner: &Peer| {
            let said = miner.said.lock().unwrap();
            said.iter().find_map(|line| {
                let (time, words) = line.split_once(' ')?;
                let time: f64 = time.parse().ok()?;
                (time > after && words.starts_with(event)).then_some(time)
            })
        };
        until(&format!("each miner has: {event}"), || async {
            let times: Option<Vec<f64>> = self.miners.iter().map(first).collect();
            times.map(|times| times.into_iter().fold(0.0, f64::max))
        })
        .await
    }

    /// After an interruption, the miners have a job and an accepted share in time. `ready`: when the
    /// client was ready again.
    async fn check_recovery(&self, what: &str, ready: f64) {
        let job = self.until_all("job", ready).await - ready;
        let share = self.until_all("share ok", ready + job).await - ready;
        println!(
            "{what}: all miners have a job {job:.2} s and a share {share:.2} s after the client is ready"
        );
        assert!(job < JOB, "{what}: {job}");
        assert!(share < SHARE, "{what}: {share}");
        let translator = self.until_translator("running").await;
        assert_eq!(translator["failures"], 0, "{what}: {translator}");
    }
}

fn seconds(time: &Value) -> f64 {
    let time: jd_manager::base::clock::Timestamp = serde_json::from_value(time.clone()).unwrap();
    time.0 as f64 / 1000.0
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

fn pid(program: &Value) -> u32 {
    u32::try_from(program["pid"].as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stratum_v1_miners_mine_again_after_everything_that_ends_the_translator() {
    let mut farm = Farm::with_miners(10).await;
    let instance = farm.instance().await;
    let addresses = instance["addresses"].as_array().unwrap();
    let url = addresses
        .iter()
        .find(|one| one["protocol"] == "v1")
        .unwrap()["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = farm.manager.page(&format!("/instances/{}", farm.id)).await;
    assert!(
        page.contains(&url) && page.contains("translator running"),
        "{page}"
    );

    // The client is killed.
    let client = instance["pid"].clone();
    signal(pid(&instance), Signal::KILL);
    let (client, ready) = farm.until_ready(&client).await;
    farm.check_recovery("client killed", ready).await;

    // The client is restarted by its user.
    farm.act("restart").await;
    let (client, ready) = farm.until_ready(&client).await;
    farm.check_recovery("restart", ready).await;

    // The pool is lost. The client goes on alone, without a new process.
    let lost = now();
    farm.pool = None;
    let closed = farm.until_all("closed", lost).await;
    let job = farm.until_all("job", closed).await - closed;
    println!("pool lost: all miners have a job {job:.2} s after the translator exited");
    assert!(job < 2.0 * JOB, "{job}");
    farm.until_all("share ok", closed + job).await;
    assert_eq!(farm.instance().await["pid"], client);
    assert_eq!(farm.until_translator("running").await["failures"], 0);

    // The pool is back, and jd-manager restarts the client.
    farm.start_pool();
    let (_, ready) = until_within(
        Duration::from_secs(60),
        "the client is restarted",
        &mut || async {
            let instance = farm.instance().await;
            (instance["status"] == "running" && instance["pid"] != client)
                .then(|| (instance["pid"].clone(), seconds(&instance["since"])))
        },
    )
    .await;
    farm.check_recovery("pool back", ready).await;

    // A stop closes the connections of the miners first; both programs are gone within a second.
    let (client, translator) = (farm.instance().await, farm.translator().await);
    let begun = Instant::now();
    farm.act("stop").await;
    println!(
        "both programs stopped after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(!is_alive(pid(&client)) && !is_alive(pid(&translator)));
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(farm.instance().await["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_translator_that_dies_beside_a_working_client_is_a_failure_of_its_own() {
    let mut farm = Farm::with_miners(1).await;
    let before = farm.instance().await;
    signal(pid(&before["programs"][1]), Signal::KILL);
    let died = now();
    until("another translator runs", || async {
        let translator = farm.translator().await;
        (translator["status"] == "running" && translator["pid"] != before["programs"][1]["pid"])
            .then_some(())
    })
    .await;
    farm.until_all("share ok", died).await;
    let after = farm.instance().await;
    assert_eq!(
        (&after["pid"], &after["failures"]),
        (&before["pid"], &json!(0)),
        "{after}"
    );
    assert_eq!(after["programs"][1]["restarts"], 1, "{after}");

    // The keeper is killed: both programs die with it, and there is one of each again.
    let keeper_file = farm
        .manager
        .data_dir()
        .join("instances")
        .join(&farm.id)
        .join("keeper.lock");
    let keeper: u32 = std::fs::read_to_string(keeper_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    signal(keeper, Signal::KILL);
    let (_, ready) = farm.until_ready(&after["pid"]).await;
    farm.until_all("share ok", ready).await;
    assert!(!is_alive(pid(&after)) && !is_alive(pid(&after["programs"][1])));

    // The manager is killed: nothing happens to the programs.
    let before = farm.instance().await;
    farm.manager.kill();
    farm.manager.begin();
    farm.manager.until_state(&farm.id, "running").await;
    let after = farm.instance().await;
    assert_eq!(
        (&after["pid"], &after["programs"][1]["pid"]),
        (&before["pid"], &before["programs"][1]["pid"])
    );
}
