//! The cost of event streams: 2,000 streams of the list under a storm of changes, 200 viewers of a log with
//! 1,000 lines per second, and the manager's memory before, during and after them.

use futures_util::StreamExt;
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::harness::{
    ManagerApi, Server, cpu_time, free_port, http_client, report_at_least, report_at_most,
    report_info, resident_mb, simulated_client, solo_config,
};

const STREAMS: usize = 2_000;
const INSTANCES: usize = 8;
const VIEWERS: usize = 200;
/// The duration of the storm, and of viewing the log.
const TIME: Duration = Duration::from_secs(20);
/// The most time for the last events to arrive.
const LONGEST_DELIVERY: Duration = Duration::from_secs(30);
/// Until all streams are open.
const SETTLE: Duration = Duration::from_secs(3);
/// The time in which memory must be returned.
const AFTER: Duration = Duration::from_secs(60);
/// Of a core, %.
const LOG_LIMIT: f64 = 40.0;
/// Resident memory after the streams, % of that before.
const MEMORY_LIMIT: f64 = 110.0;

/// Opens a stream and passes each complete line that contains `mark` on, until the stream ends.
fn read_lines(
    http: &reqwest::Client,
    url: String,
    is_page: bool,
    mark: &'static str,
    mut take: impl FnMut(&str) + 'static,
) -> tokio::task::JoinHandle<()> {
    let mut request = http.get(url).header("accept", "text/event-stream");
    if is_page {
        request = request.header("hx-request", "true");
    }
    tokio::task::spawn_local(async move {
        let response = request.send().await.unwrap().error_for_status().unwrap();
        let mut body = response.bytes_stream();
        let mut unread = Vec::new();
        while let Some(Ok(bytes)) = body.next().await {
            unread.extend_from_slice(&bytes);
            let Some(end) = unread.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let text = String::from_utf8_lossy(&unread[..end]);
            text.lines()
                .filter(|line| line.contains(mark))
                .for_each(&mut take);
            unread.drain(..=end);
        }
    })
}

/// What a stream of the list has shown.
#[derive(Debug, Default)]
struct SeenList {
    events: u64,
    /// The last name of each instance.
    names: HashMap<String, String>,
}

impl SeenList {
    fn take(&mut self, line: &str) {
        // Without a whole JSON parser, which would make this program slower than the manager.
        let text = |field: &str| {
            let (_, rest) = line.split_once(field).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        self.events += 1;
        self.names.insert(text("\"id\":\""), text("\"name\":\""));
    }
}

/// Renames all instances again and again; returns the number of changes and the last names.
async fn rename(api: &ManagerApi, ids: &[String]) -> (u64, HashMap<String, String>) {
    let begun = Instant::now();
    let each = ids.iter().map(async |id| {
        let (mut count, mut name) = (0_u64, String::new());
        while begun.elapsed() < TIME {
            count += 1;
            name = format!("{id} {count}");
            let path = format!("/instances/{id}");
            let body = json!({ "name": name });
            api.send(reqwest::Method::PATCH, &path, body).await;
        }
        (count, (id.clone(), name))
    });
    let all = futures_util::future::join_all(each).await;
    let changes = all.iter().map(|(count, _)| count).sum();
    (changes, all.into_iter().map(|(_, last)| last).collect())
}

/// A storm of changes with this number of streams.
async fn storm(manager: &Server, api: &ManagerApi, ids: &[String], count: usize) {
    let http = http_client();
    let seen: Vec<_> = (0..count)
        .map(|_| Rc::<RefCell<SeenList>>::default())
        .collect();
    let url = format!("http://{}/api/instances", manager.address);
    let mut readers = Vec::new();
    for one in &seen {
        let one = one.clone();
        let take = move |line: &str| one.borrow_mut().take(line);
        readers.push(read_lines(&http, url.clone(), false, "\"id\"", take));
        // Not faster than connections are accepted.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(SETTLE).await;
    let before = cpu_time(manager.pid());
    let (changes, names) = rename(api, ids).await;
    let current = || {
        let is_current = |one: &&Rc<RefCell<SeenList>>| one.borrow().names == names;
        seen.iter().filter(is_current).count()
    };
    let ended = Instant::now();
    while current() < count && ended.elapsed() < LONGEST_DELIVERY {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let delivery = ended.elapsed();
    let current = current();
    let spent = (cpu_time(manager.pid()) - before).as_secs_f64();
    let events: u64 = seen.iter().map(|one| one.borrow().events).sum();
    let name = |what: &str| format!("{count} streams of the list, {what}");
    report_at_least(
        &name("those that showed the last state of every instance"),
        current as f64,
        "streams",
        count as f64,
    );
    let changes = changes as f64;
    report_info(&name("changes"), changes, "changes");
    let per_change = events as f64 / changes / count as f64;
    report_info(
        &name("events for each change and stream"),
        per_change,
        "events",
    );
    let delivery = delivery.as_secs_f64();
    report_info(&name("last event after the last change"), delivery, "s");
    let share = spent / TIME.as_secs_f64() * 100.0;
    report_info(&name("CPU time"), share, "% of a core");
    let each = spent * 1000.0 / changes;
    report_info(&name("CPU time for a change"), each, "ms");
    let each = spent * 1_000_000.0 / events as f64;
    report_info(&name("CPU time for 1,000 events"), each, "ms");
    let memory = resident_mb(manager.pid());
    report_info(&name("resident memory"), memory, "MB");
    readers.iter().for_each(tokio::task::JoinHandle::abort);
}

/// What a viewer of the log has seen.
#[derive(Debug, Default)]
struct SeenLines {
    last: Option<u64>,
    lines: u64,
    lost: u64,
}

const NUMBER: &str = "line n=";

impl SeenLines {
    fn take(&mut self, line: &str) {
        for rest in line.split(NUMBER).skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let number: u64 = digits.parse().unwrap();
            let expected = self.last.map_or(number, |last| last + 1);
            self.lost += u64::from(number != expected);
            self.lines += 1;
            self.last = Some(number);
        }
    }
}

/// Viewers of a log, half of them pages and half programs.
async fn view_log(manager: &Server, api: &ManagerApi, id: &str) {
    let http = http_client();
    api.post(&format!("/instances/{id}/start"), json!({})).await;
    tokio::time::sleep(SETTLE).await;
    let url = format!("http://{}/instances/{id}/logs", manager.address);
    let seen: Vec<_> = (0..VIEWERS)
        .map(|_| Rc::<RefCell<SeenLines>>::default())
        .collect();
    let mut readers = Vec::new();
    for (number, one) in seen.iter().enumerate() {
        let one = one.clone();
        let take = move |line: &str| one.borrow_mut().take(line);
        readers.push(read_lines(
            &http,
            url.clone(),
            number % 2 == 0,
            NUMBER,
            take,
        ));
    }
    tokio::time::sleep(SETTLE).await;
    let (begun, before) = (Instant::now(), cpu_time(manager.pid()));
    tokio::time::sleep(TIME).await;
    let spent = (cpu_time(manager.pid()) - before).as_secs_f64();
    let share = spent / begun.elapsed().as_secs_f64() * 100.0;
    let memory = resident_mb(manager.pid());
    let lost: u64 = seen.iter().map(|one| one.borrow().lost).sum();
    let least = seen.iter().map(|one| one.borrow().lines).min().unwrap();
    let name = |what: &str| format!("{VIEWERS} viewers of a log with 1,000 lines/s, {what}");
    report_at_most(&name("CPU time"), share, "% of a core", LOG_LIMIT);
    report_at_most(&name("gaps in their lines"), lost as f64, "gaps", 0.0);
    report_at_least(
        &name("lines of the viewer with the fewest"),
        least as f64,
        "lines",
        TIME.as_secs_f64() * 900.0,
    );
    report_info(&name("resident memory"), memory, "MB");
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    api.post(&format!("/instances/{id}/stop"), json!({})).await;
}

pub async fn run(root: &std::path::Path) {
    let client = simulated_client(
        root,
        "--no-sockets --miners 0 --line-bytes 150 --lines-per-second 1000",
    );
    let settings = [
        "--client",
        client.to_str().unwrap(),
        "--max-connections",
        "4096",
    ];
    let manager = Server::manager(&root.join("data"), &settings);
    let api = ManagerApi::new(&manager);
    let config = api
        .save_config("solo", solo_config(free_port(), None))
        .await;
    let mut ids = Vec::new();
    for number in 0..INSTANCES {
        ids.push(api.create_instance(&format!("rig {number}"), &config).await);
    }
    // Once before, so that the memory before contains what is needed only once.
    storm(&manager, &api, &ids, 1).await;
    let memory = || resident_mb(manager.pid());
    let before = memory();
    report_info("resident memory before the streams", before, "MB");
    storm(&manager, &api, &ids, STREAMS).await;
    tokio::time::sleep(AFTER).await;
    let report_after = |what: &str| {
        let what = format!(
            "resident memory {} s after {what}, of that before",
            AFTER.as_secs()
        );
        report_at_most(&what, memory() / before * 100.0, "%", MEMORY_LIMIT);
    };
    report_after(&format!("{STREAMS} streams"));
    view_log(&manager, &api, &ids[0]).await;
    tokio::time::sleep(AFTER).await;
    report_after(&format!("{VIEWERS} viewers of a log"));
}
