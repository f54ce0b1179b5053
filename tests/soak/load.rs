//! A mixed load on fifty running instances: pages, API requests, event streams that come and go, starts,
//! stops, renames and backups. Memory stays, every request is quick, and nothing acknowledged is lost.

use crate::harness::Manager;
use crate::harness::answer::EventStream;
use crate::harness::measurement::report;
use crate::kills::{LINE, chance, numbered_lines, pause};
use jd_manager::infra::procfs;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const INSTANCES: usize = 50;
/// Those that are started, stopped and restarted; the others run all the time.
const ACTED_ON: usize = 10;
/// Numbered lines in each log, besides the usual ones.
const FLAGS: [&str; 4] = ["--miners", "2", "--lines-per-second", "2"];
/// Event streams that are open at the same time.
const STREAMS: usize = 40;
/// Pages and programs that read without pause between two requests other than this, ms.
const READERS: [(&str, u64, u64); 3] = [
    ("text/html", 100, 400),
    ("application/json", 50, 200),
    ("text/html", 300, 900),
];
/// The memory of this time counts, because jd-manager returns free memory every 30 s.
const WINDOW: Duration = Duration::from_secs(60);
/// Before it, caches and connections still grow.
const FIRST: Duration = Duration::from_secs(300);
/// Of a request, ms.
const LONGEST: f64 = 250.0;
/// Memory at the end, % of that after five minutes.
const MEMORY: f64 = 110.0;

/// What the requests of one kind needed, ms.
type Durations = BTreeMap<&'static str, Vec<f64>>;

/// The manager under load and what was measured.
struct LoadTarget {
    manager: Manager,
    ids: Vec<String>,
    ends: Instant,
    durations: Mutex<Durations>,
}

impl LoadTarget {
    fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }

    /// Sends a request, reads the whole response, and returns its status and body.
    async fn send(&self, kind: &'static str, request: RequestBuilder) -> (u16, Vec<u8>) {
        let begun = Instant::now();
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap().to_vec();
        self.note(kind, begun);
        (status, body)
    }

    fn note(&self, kind: &'static str, begun: Instant) {
        let ms = begun.elapsed().as_secs_f64() * 1000.0;
        if ms > LONGEST {
            println!("{kind}: {ms:.0} ms");
        }
        self.durations
            .lock()
            .unwrap()
            .entry(kind)
            .or_default()
            .push(ms);
    }

    async fn change(&self, kind: &'static str, method: &str, path: &str, body: &Value) -> Value {
        let request = self.manager.request(method, path).json(body);
        let (status, body) = self.send(kind, request).await;
        let text = String::from_utf8_lossy(&body);
        assert!((200..300).contains(&status), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn any(&self) -> &String {
        &self.ids[usize::try_from(chance(self.ids.len() as u64)).unwrap()]
    }

    /// Something that people and programs read.
    fn any_path(&self) -> String {
        let id = self.any();
        match chance(16) {
            0 | 1 => "/instances".to_owned(),
            2 => "/instances?q=load&sort=-hashrate".to_owned(),
            3 => "/instances?state=running&limit=10".to_owned(),
            4 | 5 => format!("/instances/{id}"),
            6 => format!("/instances/{id}/logs"),
            7 => format!("/instances/{id}/logs?q=share"),
            8 => format!("/instances/{id}/events"),
            9 => format!("/instances/{id}/miners"),
            10 => format!("/metrics/{id}"),
            11 => format!("/health/{id}"),
            12 => "/alerts".to_owned(),
            13 => "/events".to_owned(),
            14 => "/saved-configs".to_owned(),
            _ => "/backups".to_owned(),
        }
    }
}

/// Reads pages or JSON until the end.
async fn read(load: Arc<LoadTarget>, accept: &'static str, from_ms: u64, to_ms: u64) {
    while !load.is_over() {
        let path = load.any_path();
        let request = load.manager.request("GET", &path).header("accept", accept);
        let (status, _) = load.send("read", request).await;
        assert_eq!(status, 200, "{path} as {accept}");
        pause(from_ms, to_ms).await;
    }
}

/// Opens streams and leaves them after some seconds. A stream of a log that runs all the time has no gap.
async fn follow(load: Arc<LoadTarget>) -> usize {
    let mut lines = 0;
    while !load.is_over() {
        let steady = &load.ids[ACTED_ON + usize::try_from(chance(40)).unwrap()];
        let log = format!("/api/instances/{steady}/logs");
        let path = match chance(4) {
            0 => "/api/instances".to_owned(),
            1 => "/api/events".to_owned(),
            2 => format!("/api/health/{steady}"),
            _ => log.clone(),
        };
        let begun = Instant::now();
        let mut stream = EventStream::open(load.manager.request("GET", &path)).await;
        load.note("open a stream", begun);
        let leaves = begun + Duration::from_millis(1000 + chance(19_000));
        let mut last: Option<u64> = None;
        while let Ok(event) = tokio::time::timeout_at(leaves.into(), stream.next()).await {
            let Some(event) = event else { break };
            if path != log {
                continue;
            }
            for rest in event.data.split(LINE).skip(1) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let number: u64 = digits.parse().unwrap();
                if let Some(last) = last {
                    assert_eq!(number, last + 1, "a stream of {steady} has a gap");
                }
                last = Some(number);
                lines += 1;
            }
        }
    }
    lines
}

/// Starts, stops, restarts and renames; the starts that were acknowledged, and the last names.
async fn act(load: Arc<LoadTarget>) -> (HashMap<String, usize>, HashMap<String, String>) {
    let (mut starts, mut names) = (HashMap::new(), HashMap::new());
    let mut stopped: Vec<String> = Vec::new();
    for number in 0.. {
        if load.is_over() {
            break;
        }
        let id = load.ids[usize::try_from(chance(ACTED_ON as u64)).unwrap()].clone();
        let path = format!("/api/instances/{id}");
        let at = stopped.iter().position(|one| *one == id);
        match (chance(3), at) {
            (0, _) => {
                let id = load.any().clone();
                let name = format!("load {id} {number}");
                let path = format!("/api/instances/{id}");
                load.change("rename", "PATCH", &path, &json!({ "name": name }))
                    .await;
                names.insert(id, name);
            }
            (_, Some(at)) => {
                load.change("start", "POST", &format!("{path}/start"), &json!({}))
                    .await;
                *starts.entry(id.clone()).or_default() += 1;
                stopped.remove(at);
                load.manager.until_state(&id, "running").await;
            }
            (1, None) => {
                load.change("stop", "POST", &format!("{path}/stop"), &json!({}))
                    .await;
                stopped.push(id);
            }
            (_, None) => {
                load.change("restart", "POST", &format!("{path}/restart"), &json!({}))
                    .await;
                *starts.entry(id.clone()).or_default() += 1;
                load.manager.until_state(&id, "running").await;
            }
        }
        pause(500, 3000).await;
    }
    (starts, names)
}

/// Creates a backup every minute and keeps three; the number of those that were completed.
async fn back_up(load: Arc<LoadTarget>) -> usize {
    let mut completed = 0;
    let mut known: Vec<String> = Vec::new();
    while !load.is_over() {
        load.change("start a backup", "POST", "/api/backups", &json!({}))
            .await;
        let begun = Instant::now();
        loop {
            let list = load.manager.json("/api/backups").await;
            let listed = list["backups"].as_array().unwrap();
            let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
            if let Some(new) = listed.iter().map(name).find(|name| !known.contains(name)) {
                known.push(new);
                completed += 1;
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{list}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if known.len() > 3 {
            let oldest = known.remove(0);
            let path = format!("/api/backups/{oldest}");
            load.change("delete a backup", "DELETE", &path, &json!({}))
                .await;
        }
        pause(30_000, 90_000).await;
    }
    completed
}

/// Resident memory every second, MB: the least of a window that ends after `FIRST`, and of the last one.
async fn weigh(load: Arc<LoadTarget>, time: Duration) -> [f64; 2] {
    let first = FIRST.min(time / 4);
    let window = WINDOW.min(first / 2);
    let begun = Instant::now();
    let mut least = [f64::MAX; 2];
    while !load.is_over() {
        let rss = procfs::process(load.manager.pid()).unwrap().rss_bytes;
        let mb = rss as f64 / 1e6;
        let at = begun.elapsed();
        if at + window >= first && at < first {
            least[0] = least[0].min(mb);
        }
        if at + window >= time {
            least[1] = least[1].min(mb);
        }
        if at.as_secs() % 300 == 0 {
            println!("after {} min: {mb:.1} MB", at.as_secs() / 60);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    least
}

/// Prints and compares what the requests needed.
fn report_durations(durations: &Durations) -> (usize, f64) {
    let mut longest = 0.0_f64;
    for (kind, all) in durations {
        let mut all = all.clone();
        all.sort_by(f64::total_cmp);
        let (median, last) = (all[all.len() / 2], all[all.len() - 1]);
        let p99 = all[all.len() * 99 / 100];
        let count = all.len();
        println!("{kind}: {count}, median {median:.1}, p99 {p99:.1}, longest {last:.1} ms");
        longest = longest.max(last);
    }
    report("load-longest-request", longest, "ms", LONGEST);
    (durations.values().map(Vec::len).sum(), longest)
}

/// What was acknowledged is there: names, starts in the history, and every line of every log.
async fn check(
    load: &LoadTarget,
    starts: &HashMap<String, usize>,
    names: &HashMap<String, String>,
) -> usize {
    let mut lines = 0;
    for (at, id) in load.ids.iter().enumerate() {
        let instance = load.manager.json(&format!("/api/instances/{id}")).await;
        if let Some(name) = names.get(id) {
            assert_eq!(instance["name"], json!(name));
        }
        let wanted = 1 + starts.get(id).copied().unwrap_or(0);
        let mut started = 0;
        let mut path = format!("/api/instances/{id}/events?limit=1000");
        loop {
            let events = load.manager.json(&path).await["events"].clone();
            let events = events.as_array().unwrap();
            let is_start = |event: &&Value| event["to"] == "starting";
            started += events.iter().filter(is_start).count();
            let Some(oldest) = events.last().filter(|_| events.len() == 1000) else {
                break;
            };
            let oldest = &oldest["id"];
            path = format!("/api/instances/{id}/events?limit=1000&before={oldest}");
        }
        assert_eq!(started, wanted, "starts of {at} in its history");
        if instance["running"] == json!(true) {
            let (status, body) = load.manager.act(&format!("/api/instances/{id}/stop")).await;
            assert_eq!(status, 200, "{body}");
        }
        let counts = numbered_lines(&load.manager.log_text(id), LINE);
        assert_eq!(counts.len(), wanted, "clients in the log of {at}");
        lines += counts.iter().sum::<usize>();
    }
    lines
}

pub async fn mixed_load_on_fifty_instances(time: Duration) -> String {
    let manager = Manager::with_simulated(&FLAGS).await;
    let mut ids = Vec::new();
    for number in 0..INSTANCES {
        let id = manager.instance(&format!("load {number}")).await;
        let (status, body) = manager.act(&format!("/api/instances/{id}/start")).await;
        assert_eq!(status, 200, "{body}");
        ids.push(id);
    }
    for id in &ids {
        manager.until_state(id, "running").await;
    }
    let load = Arc::new(LoadTarget {
        manager,
        ids,
        ends: Instant::now() + time,
        durations: Mutex::default(),
    });
    let readers =
        READERS.map(|(accept, from, to)| tokio::spawn(read(load.clone(), accept, from, to)));
    let followers: Vec<_> = (0..STREAMS)
        .map(|_| tokio::spawn(follow(load.clone())))
        .collect();
    let acts = tokio::spawn(act(load.clone()));
    let backups = tokio::spawn(back_up(load.clone()));
    let memory = tokio::spawn(weigh(load.clone(), time));
    for reader in readers {
        reader.await.unwrap();
    }
    let mut followed = 0;
    for follower in followers {
        followed += follower.await.unwrap();
    }
    let (starts, names) = acts.await.unwrap();
    let backups = backups.await.unwrap();
    let [before, after] = memory.await.unwrap();
    let (requests, longest) = report_durations(&load.durations.lock().unwrap());
    let growth = after / before * 100.0;
    report("load-memory", growth, "%", MEMORY);
    let lines = check(&load, &starts, &names).await;
    let log = load.manager.log();
    assert!(!log.contains("ERROR"), "{log}");
    assert!(longest <= LONGEST, "a request took {longest:.0} ms");
    assert!(growth <= MEMORY, "memory {before:.1} to {after:.1} MB");
    format!(
        "{requests} requests, the longest {longest:.0} ms; {} starts, {} renames, {backups} backups; \
         {lines} lines in the logs and {followed} in streams, none lost or repeated; \
         resident memory {before:.1} to {after:.1} MB",
        starts.values().sum::<usize>(),
        names.len()
    )
}
