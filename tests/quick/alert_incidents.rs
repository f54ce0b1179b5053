//! One incident is one message with its cause, and one when it is resolved: fifty simulated clients
//! lose their template provider, with the rules of a new database.

use crate::harness::{Manager, Plan, free_port, solo_config, until_within};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const MANY: usize = 50;
/// The rules of a new database that notice an outage.
const RULES: [&str; 2] = [
    "a1e70000-0000-4000-8000-000000000001",
    "a1e70000-0000-4000-8000-000000000002",
];
/// What they wait before they notify and resolve, instead of a minute.
const WAIT: u32 = 20;

/// A template provider that accepts connections until it is dropped, which closes them.
struct Provider(#[expect(dead_code, reason = "held, not read")] JoinSet<()>);

impl Provider {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        Self(tasks)
    }
}

/// A webhook receiver that accepts everything and keeps the bodies.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = bodies.clone();
    let take = move |axum::Json(body): axum::Json<Value>| async move {
        kept.lock().unwrap().push(body);
    };
    let app = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, bodies)
}

async fn until_all(manager: &Manager, state: &str, seconds: u64) {
    let is_so = || async {
        let all = manager.json("/api/instances").await;
        let instances = all["instances"].as_array().unwrap().iter();
        let count = instances
            .filter(|instance| instance["status"] == state)
            .count();
        (count == MANY).then_some(())
    };
    until_within(Duration::from_secs(seconds), state, &mut || is_so()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_that_lose_their_template_provider_send_one_message_and_one_when_it_is_back() {
    let simulate = ["--connect", "--retry-pause", "200ms", "--miners", "1"];
    let manager = Manager::launch(Plan {
        simulate: simulate.map(str::to_owned).into(),
        client: None,
        flags: Vec::new(),
    })
    .await;
    for rule in RULES {
        let body = json!({ "for_s": WAIT, "clear_s": WAIT });
        let path = format!("/api/alerts/rules/{rule}");
        assert_eq!(manager.put_json(&path, &body).await.status(), 200);
    }
    let port = free_port();
    let provider = Provider::start(port).await;
    let mut ids = Vec::new();
    for number in 0..MANY {
        let config = solo_config(free_port(), free_port(), port);
        let config = manager.save_config(&format!("c{number}"), &config).await;
        ids.push(manager.instance_of(&format!("i{number}"), &config).await);
    }
    let start = |id: &String| {
        let path = format!("/api/instances/{id}/start");
        let manager = &manager;
        async move { assert_eq!(manager.act(&path).await.0, 200) }
    };
    for some in ids.chunks(5) {
        join_all(some.iter().map(start)).await;
    }
    until_all(&manager, "running", 120).await;
    // The receiver comes now, so that a slow start of so many clients is not reported.
    let (url, bodies) = receiver().await;
    let channel = json!({ "name": "hook", "kind": "webhook", "url": url });
    assert_eq!(
        manager
            .post_json("/api/alerts/channels", &channel)
            .await
            .status(),
        201
    );
    let titles = || -> Vec<String> {
        let bodies = bodies.lock().unwrap();
        let title = |body: &Value| body["title"].as_str().unwrap().to_owned();
        bodies.iter().map(title).collect()
    };
    drop(provider);
    until_all(&manager, "backing-off", 60).await;
    until_within(Duration::from_secs(120), "the message", &mut || async {
        (!titles().is_empty()).then_some(())
    })
    .await;
    // Longer than every hold: nothing follows.
    tokio::time::sleep(Duration::from_secs(75)).await;
    let cause = "not running because the template provider refused the connection";
    assert_eq!(titles(), [format!("{MANY} instances: {cause}")]);
    let text = bodies.lock().unwrap()[0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains("Start the template provider"), "{text}");
    let _provider = Provider::start(port).await;
    until_all(&manager, "running", 120).await;
    until_within(Duration::from_secs(150), "the second one", &mut || async {
        (titles().len() > 1).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(75)).await;
    let resolved = format!("{MANY} instances: resolved (was: {cause})");
    assert_eq!(titles()[1..], [resolved]);
}
