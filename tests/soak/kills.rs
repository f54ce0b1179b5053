//! The long form of the supervision tests: many kills at random moments under load.

use crate::harness::{self, Manager, is_alive, signal};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LOAD: [&str; 2] = ["--lines-per-second", "1000"];
/// What stands before the number of a simulated client's line.
pub const LINE: &str = "line n=";

/// A random number below `below`.
pub fn chance(below: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % below
}

pub async fn pause(from_ms: u64, to_ms: u64) {
    tokio::time::sleep(Duration::from_millis(from_ms + chance(to_ms - from_ms))).await;
}

/// Instances that run, with the process id of each.
async fn running(manager: &Manager, count: usize) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for n in 0..count {
        let id = manager.instance(&format!("soak {n}")).await;
        let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
        assert_eq!(status, 200, "{body}");
        let pid = pid_of(&manager.until_state(&id, "running").await);
        found.push((id, pid));
    }
    found
}

pub fn pid_of(instance: &Value) -> u32 {
    u32::try_from(instance["pid"].as_u64().unwrap()).unwrap()
}

/// How many numbered lines each process wrote into a log, checked to have neither gap nor
/// repetition. `mark`: what stands before the number.
pub fn numbered_lines(text: &str, mark: &str) -> Vec<usize> {
    let mut counts = Vec::new();
    let mut next = 1_u64;
    for line in text.lines() {
        if line.contains("jd_manager::keeper: started") {
            counts.push(0);
            next = 1;
        } else if let Some(number) = line
            .split_once(mark)
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok())
        {
            assert_eq!(number, next, "a line is missing or doubled: {line}");
            next += 1;
            *counts.last_mut().unwrap() += 1;
        }
    }
    counts
}

/// Counts processes all the time.
pub struct Watch {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// Counts the clients of the instance that has the most.
    fn over(ids: &[String]) -> Self {
        let ids = ids.to_vec();
        Self::of(move || {
            let clients = |id: &String| {
                let marked = harness::marked(&format!("JD_MANAGER_INSTANCE={id}"));
                marked.into_iter().filter(|pid| is_alive(*pid)).count()
            };
            ids.iter().map(clients).max().unwrap_or(0)
        })
    }

    /// Counts in this way.
    pub fn of(count: impl Fn() -> usize + Send + 'static) -> Self {
        let (stop, most) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (stopped, worst) = (stop.clone(), most.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                worst.fetch_max(count(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self {
            stop,
            most,
            thread: Some(thread),
        }
    }

    /// The largest number so far.
    pub fn most(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.most.load(Ordering::Relaxed)
    }
}

pub async fn fifty_kills_of_the_manager() -> String {
    let mut manager = Manager::with_simulated(&LOAD).await;
    let instances = running(&manager, 3).await;
    let ids: Vec<String> = instances.iter().map(|(id, _)| id.clone()).collect();
    let watch = Watch::over(&ids);
    let mut pids: BTreeMap<String, u32> = instances.into_iter().collect();
    let mut deaths: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..50 {
        pause(20, 500).await;
        manager.kill();
        // Now and then a client dies while nobody looks.
        if round % 10 == 9 {
            let id = &ids[usize::try_from(chance(3)).unwrap()];
            signal(pids[id], Signal::ABORT);
            *deaths.entry(id.clone()).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(if chance(2) == 0 {
                100
            } else {
                2500
            }))
            .await;
        } else {
            pause(0, 200).await;
        }
        manager.begin();
        for id in &ids {
            let now = pid_of(&manager.until_state(id, "running").await);
            if !deaths.contains_key(id) {
                assert_eq!(now, pids[id], "round {round}: another client");
            }
            pids.insert(id.clone(), now);
        }
    }
    let mut lines = 0;
    for id in &ids {
        let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
        assert_eq!(status, 200, "{body}");
        let counts = numbered_lines(&manager.log_text(id), LINE);
        lines += counts.iter().sum::<usize>();
        let died = deaths.get(id).copied().unwrap_or(0);
        assert_eq!(counts.len(), died + 1, "clients started");
        let events = manager.events(id).await;
        assert_eq!(
            events
                .iter()
                .filter(|e| e["exit_signal"] == json!(6))
                .count(),
            died,
            "deaths in the history: {events:?}"
        );
        assert_eq!(
            events.iter().filter(|e| e["to"] == "starting").count(),
            died + 1,
            "starts in the history"
        );
    }
    assert_eq!(watch.most(), 1, "two clients at once");
    format!(
        "{lines} lines, none lost or repeated; {} clients died meanwhile, all in the history",
        deaths.values().sum::<usize>()
    )
}

pub async fn twenty_kills_of_keepers() -> String {
    let manager = Manager::with_simulated(&LOAD).await;
    let instances = running(&manager, 10).await;
    let ids: Vec<String> = instances.iter().map(|(id, _)| id.clone()).collect();
    let watch = Watch::over(&ids);
    let mut slowest_death = Duration::ZERO;
    let mut slowest_return = Duration::ZERO;
    for round in 0..2 {
        for id in &ids {
            let before = pid_of(&manager.until_state(id, "running").await);
            pause(0, 150).await;
            signal(manager.keeper_pid(id).unwrap(), Signal::KILL);
            let begun = Instant::now();
            while is_alive(before) {
                assert!(
                    begun.elapsed() < Duration::from_secs(1),
                    "its client outlived its keeper by a second"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            slowest_death = slowest_death.max(begun.elapsed());
            let after = loop {
                let now = manager.until_state(id, "running").await;
                if pid_of(&now) != before {
                    break now;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            if round == 0 {
                slowest_return = slowest_return.max(begun.elapsed());
            }
            assert!(is_alive(pid_of(&after)));
        }
    }
    for id in &ids {
        manager.act(&format!("/api/instances/{id}/stop")).await;
        assert_eq!(numbered_lines(&manager.log_text(id), LINE).len(), 3);
        let losses = manager
            .events(id)
            .await
            .iter()
            .filter(|e| e["reason"] == "its keeper was killed, and the client with it")
            .count();
        assert_eq!(losses, 2);
    }
    assert_eq!(watch.most(), 1, "two clients at once");
    format!(
        "clients gone within {} ms, the first replacement serving within {} ms",
        slowest_death.as_millis(),
        slowest_return.as_millis()
    )
}

pub async fn a_minute_of_everything_at_once() -> String {
    let mut manager = Manager::with_simulated(&["--lines-per-second", "100"]).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(manager.instance(&format!("soak {n}")).await);
    }
    let watch = Watch::over(&ids);
    let end = Instant::now() + Duration::from_secs(60);
    let mut asked = 0_usize;
    while Instant::now() < end {
        let batch = (0..8).map(|_| {
            let id = &ids[usize::try_from(chance(5)).unwrap()];
            let verb = ["start", "stop", "restart"][usize::try_from(chance(3)).unwrap()];
            let request = manager
                .request("POST", &format!("/api/instances/{id}/{verb}"))
                .header("accept", "application/json");
            async move {
                let response = request.send().await?;
                let status = response.status().as_u16();
                Ok::<_, reqwest::Error>((status, response.text().await?))
            }
        });
        let results = futures_util::future::join_all(batch);
        match chance(12) {
            0 => {
                let _ = tokio::time::timeout(Duration::from_millis(chance(100)), results).await;
                manager.kill();
                pause(0, 100).await;
                manager.begin();
            }
            _ => {
                for (status, body) in results.await.into_iter().map(Result::unwrap) {
                    assert!(matches!(status, 200 | 409), "{status} {body}");
                }
            }
        }
        asked += 8;
    }
    // What was asked for last is what is.
    for id in &ids {
        manager.act(&format!("/api/instances/{id}/start")).await;
        let pid = pid_of(&manager.until_state(id, "running").await);
        assert_eq!(manager.clients(id), [pid]);
        let (status, body) = manager.act(&format!("/api/instances/{id}/stop")).await;
        assert_eq!(status, 200, "{body}");
        assert!(manager.clients(id).is_empty());
        numbered_lines(&manager.log_text(id), LINE);
    }
    assert_eq!(watch.most(), 1, "two clients at once");
    format!("{asked} orders")
}

pub async fn twenty_instances_three_of_them_stubborn() -> String {
    let mut manager = Manager::with_simulated(&["--no-sockets"]).await;
    let instances = running(&manager, 17).await;
    manager.steer(&["--no-sockets", "--ignore-sigint", "--ignore-sigterm"]);
    let mut pids: Vec<u32> = instances.iter().map(|(_, pid)| *pid).collect();
    for n in 17..20 {
        let id = manager.instance(&format!("stubborn {n}")).await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        pids.push(pid_of(&manager.until_state(&id, "running").await));
    }
    let begun = Instant::now();
    let status = manager.terminate();
    let took = begun.elapsed();
    assert!(
        status.success() && took < Duration::from_secs(30),
        "{status} after {took:?}"
    );
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "a client is left");
    format!("done in {:.1} s", took.as_secs_f64())
}
