//! A bad connection between ssh and its server: late, lossy, cut and restored.

use super::forced;
use super::hosts::{add, hub, until_status};
use super::sshd::Sshd;
use crate::harness::{Manager, until_within};
use serde_json::{Value, json};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// How late TCP sends a lost packet again, at least.
const AGAIN: Duration = Duration::from_millis(200);

/// A link to a server. There is no packet loss on loopback without privileges, so lost packets are what they
/// are for programs: later by the time until they are sent again.
struct Link {
    port: u16,
    state: Arc<LinkState>,
}

#[derive(Default)]
struct LinkState {
    is_cut: AtomicBool,
    /// One way, ms.
    delay: AtomicU64,
    /// Of a hundred pieces.
    lost: AtomicU64,
}

impl Link {
    async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<LinkState> = Arc::default();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(
                        carry(from_client, to_server, state.clone()),
                        carry(from_server, to_client, state)
                    );
                });
            }
        });
        Self { port, state }
    }

    fn cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, Ordering::Relaxed);
    }

    fn delay(&self, one_way_ms: u64, lost_percent: u64) {
        self.state.delay.store(one_way_ms, Ordering::Relaxed);
        self.state.lost.store(lost_percent, Ordering::Relaxed);
    }
}

/// Carries bytes in one direction. While the link is cut, nothing arrives.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: Arc<LinkState>) {
    let (sender, mut pieces) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let arrivals = state.clone();
    let reading = async move {
        let mut piece = vec![0; 1400];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            let mut delay = Duration::from_millis(arrivals.delay.load(Ordering::Relaxed));
            let chance = RandomState::new().hash_one(0) % 100;
            if chance < arrivals.lost.load(Ordering::Relaxed) {
                delay = AGAIN + 2 * delay;
            }
            if sender
                .send((Instant::now() + delay, piece[..count].to_vec()))
                .is_err()
            {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, piece)) = pieces.recv().await {
            sleep_until(at).await;
            while state.is_cut.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(20)).await;
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

/// A host behind a link, with so many running instances.
async fn barn(count: usize) -> (Manager, Vec<String>, Sshd, Link) {
    let barn = Manager::start().await;
    let mut ids = Vec::new();
    for number in 0..count {
        let id = barn.instance(&format!("alice-{number}")).await;
        barn.act(&format!("/api/instances/{id}/start")).await;
        barn.until_state(&id, "running").await;
        ids.push(id);
    }
    let mut sshd = Sshd::start(&forced(&barn, "operator"), "").await;
    let link = Link::to(sshd.port()).await;
    sshd.connect_through(link.port);
    (barn, ids, sshd, link)
}

async fn starts(barn: &Manager, id: &str) -> usize {
    let events = barn.json(&format!("/api/instances/{id}/events")).await;
    let events = events["events"].as_array().unwrap().iter();
    events.filter(|event| event["to"] == "starting").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_ms_and_two_percent_loss_are_only_slower() {
    let (barn, ids, sshd, link) = barn(1).await;
    link.delay(150, 2);
    let hub = hub(&sshd).await;
    let added = add(&hub, "barn").await;
    assert_eq!(added["host"]["status"], "ok", "{added}");
    let clock = added["host"]["clock_offset_ms"].as_i64().unwrap();
    assert_eq!(clock, 0, "a slow response is no difference between clocks");
    let path = format!("/hosts/barn/instances/{}", ids[0]);
    for rest in ["", "/logs", "/events", "/health"] {
        let request = hub.request("GET", &format!("{path}{rest}"));
        let response = request.header("accept", "text/html").send().await.unwrap();
        assert_eq!(response.status(), 200, "{rest}");
    }
    let request = hub.request("POST", &format!("/api{path}/restart"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(starts(&barn, &ids[0]).await, 2);
    // It stays reachable.
    for _ in 0..10 {
        sleep(Duration::from_secs(1)).await;
        let host = hub.json("/api/hosts/barn").await;
        assert_eq!(host["status"], "ok", "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_is_shown_and_recovers_without_help() {
    let (_barn, _, sshd, link) = barn(1).await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    link.cut(true);
    let host = until_status(&hub, "unreachable").await;
    assert_eq!(host["running"], 1, "{host}");
    link.cut(false);
    until_status(&hub, "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_restart_over_a_flapping_link_restarts_each_client_at_most_once() {
    let (barn, ids, sshd, link) = barn(6).await;
    let hub = hub(&sshd).await;
    add(&hub, "barn").await;
    link.delay(40, 0);
    let flaps = tokio::spawn(async move {
        for _ in 0..12 {
            sleep(Duration::from_millis(350)).await;
            link.cut(true);
            sleep(Duration::from_millis(900)).await;
            link.cut(false);
        }
    });
    let body = json!({ "action": "restart", "filter": { "host": "barn" } });
    let request = hub.request("POST", "/api/instances/actions").json(&body);
    let begun: Value = request.send().await.unwrap().json().await.unwrap();
    let id = begun["job"].as_str().or(begun["id"].as_str()).unwrap();
    let path = format!("/api/jobs/{id}");
    let limit = Duration::from_secs(120);
    let job = until_within(limit, "the job", &mut || async {
        let job = hub.json(&path).await;
        (job["stage"] != "running").then_some(job)
    })
    .await;
    flaps.await.unwrap();
    until_status(&hub, "ok").await;
    let results = job["results"].as_array().unwrap();
    assert_eq!(results.len(), ids.len());
    for result in results {
        let id = result["id"].as_str().unwrap();
        let restarts = starts(&barn, id).await - 1;
        let message = result["message"].as_str().unwrap();
        match result["state"].as_str().unwrap() {
            "done" => assert_eq!(restarts, 1, "{result}"),
            // It says whether the request may have been carried out.
            _ if message.contains("may have been carried out") => {
                assert!(restarts <= 1, "{result}")
            }
            _ => assert_eq!(restarts, 0, "{result}"),
        }
    }
}
