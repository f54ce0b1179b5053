//! Health of the real client: problems are detected, named and, where a restart helps, fixed.

use super::{Peer, manager};
use crate::harness::measurement::report;
use crate::harness::{
    Manager, PUBLIC_KEY, Plan, free_port, pool_config, signal, solo_config, told, until,
    until_within,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// The client mines solo for ever after one loss of its pool, says so in its log alone, and answers
/// "ok".
const SOLO: &str = "Mining solo even though a pool is configured";
/// Seconds until the cause of a client's exit is named.
const NAMED: f64 = 5.0;

pub async fn health(manager: &Manager, id: &str) -> Value {
    manager.json(&format!("/api/health/{id}")).await
}

pub async fn check(manager: &Manager, id: &str, name: &str) -> (String, String) {
    let status = manager.json(&format!("/api/health/{id}/status")).await;
    let told = |field: &str| {
        status["status"][name][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (told("status"), told("message"))
}

pub async fn until_place(manager: &Manager, id: &str, place: &str) {
    until(&format!("its work goes to {place}"), || async {
        (health(manager, id).await["place"] == place).then_some(())
    })
    .await;
}

fn pool_on(ports: &[u16]) -> Peer {
    let (pool, jds) = (ports[0].to_string(), ports[1].to_string());
    Peer::listening("pool.py", &["--port", &pool, "--jds-port", &jds]).0
}

/// The automatic fixes in the timeline, oldest first.
pub async fn cures(manager: &Manager, id: &str) -> Vec<Value> {
    manager
        .events(id)
        .await
        .into_iter()
        .filter(|event| event["actor"] == "self-healing" && event["from"] == event["to"])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn solo_though_a_pool_is_configured_is_said_and_mended_by_one_restart() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "5"]);
    let ports = [free_port(), free_port()];
    let pool = pool_on(&ports);
    let mut manager = manager().await;
    let config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
    let id = manager
        .instance_of("barn", &manager.save_config("home pool", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until_place(&manager, &id, "pool 1 of 1").await;
    assert_eq!(check(&manager, &id, "upstream").await.0, "healthy");

    // The pool is gone: the client goes on alone, and the page says so within seconds.
    drop(pool);
    let gone = Instant::now();
    until("it is noticed", || async {
        (check(&manager, &id, "upstream").await.0 == "unhealthy").then_some(())
    })
    .await;
    println!(
        "solo mining was noticed {:.1} s after the pool had gone",
        gone.elapsed().as_secs_f64()
    );
    let told = check(&manager, &id, "upstream").await.1;
    assert!(
        told.starts_with(SOLO) && told.contains("pool 1 of 1 (127.0.0.1:"),
        "{told}"
    );
    for page in [
        "/".to_owned(),
        format!("/instances/{id}"),
        format!("/health/{id}"),
        format!("/instances/{id}/events"),
    ] {
        let page = manager.page(&page).await;
        assert!(page.contains(SOLO), "{page}");
    }
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(
        (&instance["status"], &instance["health"]["status"]),
        (&json!("running"), &json!("unhealthy")),
        "{instance}"
    );
    assert_eq!(instance["health"]["place"], "solo");
    // While there is nothing to go back to, nothing is restarted; and a new manager knows what the
    // log said to the one before.
    manager.kill();
    manager.begin();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(health(&manager, &id).await["place"], "solo");
    assert!(cures(&manager, &id).await.is_empty());

    let pool = pool_on(&ports);
    let back = Instant::now();
    until_within(Duration::from_secs(30), "it is restarted", &mut || async {
        cures(&manager, &id).await.pop()
    })
    .await;
    println!(
        "restarted {:.1} s after the pool was back",
        back.elapsed().as_secs_f64()
    );
    until_place(&manager, &id, "pool 1 of 1").await;
    println!(
        "working for the pool again {:.1} s after the pool was back",
        back.elapsed().as_secs_f64()
    );
    let timeline = manager.events(&id).await;
    let reasons: Vec<&str> = timeline
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    let at = |words: &str| {
        reasons
            .iter()
            .position(|reason| reason.contains(words))
            .unwrap_or_else(|| panic!("{words}: {reasons:?}"))
    };
    assert!(
        at(SOLO) < at("are accepting connections again"),
        "{reasons:?}"
    );
    until("it is said to be well again", || async {
        let timeline = manager.events(&id).await;
        timeline
            .iter()
            .any(|event| {
                event["reason"]
                    .as_str()
                    .unwrap()
                    .starts_with("Pool: healthy again")
            })
            .then_some(())
    })
    .await;
    assert_eq!(cures(&manager, &id).await.len(), 1);

    // The same once more at once: what did not last is not tried again at once.
    drop(pool);
    until_place(&manager, &id, "solo").await;
    let _pool = pool_on(&ports);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(
        cures(&manager, &id).await.len(),
        1,
        "a pool that comes and goes does not make the client come and go with it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn self_healing_that_is_switched_off_leaves_the_client_alone() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "5"]);
    let ports = [free_port(), free_port()];
    let manager = manager().await;
    let config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
    let id = manager
        .instance_of("barn", &manager.save_config("home pool", &config).await)
        .await;
    let answer = manager
        .request("PATCH", &format!("/api/health/{id}/cures"))
        .json(&json!({ "solo": false }))
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        answer["cures"],
        json!({ "solo": false, "hung": true, "frozen": true, "memory": true, "preferred": false, "silent": true, "translator": true })
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    until_place(&manager, &id, "solo").await;
    // Where it mines is known a moment before the check says what that means.
    until("the check says why", || async {
        check(&manager, &id, "upstream")
            .await
            .1
            .contains("could not be used")
            .then_some(())
    })
    .await;
    let _pool = pool_on(&ports);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(cures(&manager, &id).await.is_empty());
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["restarts"],
        0
    );
    // Switched on by its page, it helps at once.
    manager
        .post_form(
            &format!("/health/{id}/cures"),
            &[("solo", "on"), ("memory", "on")],
        )
        .await;
    assert_eq!(
        health(&manager, &id).await["cures"],
        json!({ "solo": true, "hung": false, "frozen": false, "memory": true, "preferred": false, "silent": false, "translator": false })
    );
    until_place(&manager, &id, "pool 1 of 1").await;
    assert_eq!(cures(&manager, &id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_template_provider_is_named_within_seconds() {
    let (mut peer, provider) = Peer::template_provider(&["--interval", "5"]);
    let manager = manager().await;
    let config = solo_config(free_port(), free_port(), provider);
    let id = manager
        .instance_of("barn", &manager.save_config("sovereign", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("it is judged well", || async {
        (check(&manager, &id, "template").await.0 == "healthy").then_some(())
    })
    .await;
    signal(peer.child.id(), rustix::process::Signal::KILL);
    peer.child.wait().unwrap();
    let begun = Instant::now();
    until("the cause is named", || async {
        let (status, message) = check(&manager, &id, "process").await;
        (status == "unhealthy" && message.contains("emplate provider")).then_some(())
    })
    .await;
    let took = begun.elapsed().as_secs_f64();
    report("cause-named", took, "s", NAMED);
    assert!(took < NAMED, "{took}");
    assert_eq!(
        manager.json(&format!("/api/health/{id}/score")).await["score"],
        0
    );
    until("the overview says so", || async {
        manager
            .page("/")
            .await
            .contains("emplate provider")
            .then_some(())
    })
    .await;
}

/// The client under another clock than that of its template provider (`faketime`, from Debian).
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_gives_the_advice_for_certificates() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "5"]);
    let scratch = tempfile::tempdir().unwrap();
    for (shift, words) in [("+2h", "clock is 2 h"), ("-1h", "behind")] {
        let script = scratch.path().join(format!("client{shift}"));
        let text = format!(
            "#!/bin/sh\ncase \"$1\" in --version|-V) exec {client} \"$@\";; esac\nexec {faketime} -f '{shift}' {client} \"$@\"\n",
            client = told("JD_MANAGER_TEST_CLIENT"),
            faketime = told("JD_MANAGER_TEST_FAKETIME"),
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let manager = Manager::launch(Plan {
            simulate: Vec::new(),
            client: Some(script),
            flags: Vec::new(),
        })
        .await;
        let mut config = solo_config(free_port(), free_port(), provider);
        // Only a provider whose key is known is asked for its certificate.
        config["template_provider_type"]["Sv2Tp"]["public_key"] = json!(PUBLIC_KEY);
        let id = manager
            .instance_of("barn", &manager.save_config("sovereign", &config).await)
            .await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        let failed = manager.until_state(&id, "backing-off").await;
        assert_eq!(
            failed["cause"]["code"], "provider-clock",
            "{shift}: {failed}"
        );
        assert!(
            failed["cause"]["what"].as_str().unwrap().contains(words),
            "{shift}: {failed}"
        );
        assert!(
            failed["cause"]["advice"]
                .as_str()
                .unwrap()
                .contains("time server"),
            "{failed}"
        );
        until("its health says so", || async {
            let (status, message) = check(&manager, &id, "process").await;
            (status == "unhealthy" && message.contains("time server")).then_some(())
        })
        .await;
        assert!(
            manager
                .page(&format!("/instances/{id}"))
                .await
                .contains("time server")
        );
    }
}

/// A receiver of webhooks that keeps what it gets: title, delivery id, and whether the signature is
/// right.
async fn receiver(
    secret: &'static str,
) -> (
    String,
    std::sync::Arc<std::sync::Mutex<Vec<(String, String)>>>,
) {
    use hmac::Mac;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = got.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut part = [0; 4096];
                let count = connection.read(&mut part).await.unwrap();
                bytes.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && serde_json::from_str::<Value>(body).is_ok()
                {
                    break (head.to_ascii_lowercase(), body.to_owned());
                }
            };
            let header = |name: &str| {
                head.lines()
                    .find_map(|line| line.strip_prefix(&format!("{name}: ")))
                    .unwrap_or_else(|| panic!("{name}: {head}"))
                    .to_owned()
            };
            let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(format!("{}.{body}", header("x-jd-manager-timestamp")).as_bytes());
            let signature: String = mac
                .finalize()
                .into_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(
                header("x-jd-manager-signature"),
                format!("sha256={signature}")
            );
            let body: Value = serde_json::from_str(&body).unwrap();
            kept.lock().unwrap().push((
                body["title"].as_str().unwrap().to_owned(),
                header("x-jd-manager-delivery"),
            ));
            connection
                .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
        }
    });
    (url, got)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_each_trouble_once_and_its_end_once() {
    let (mut peer, provider) = Peer::template_provider(&["--interval", "5"]);
    let provider_port = provider.to_string();
    let ports = [free_port(), free_port()];
    let pool = pool_on(&ports);
    let mut manager = manager().await;
    let (url, got) = receiver("s3cret").await;
    let channel = json!({ "name": "hook", "kind": "webhook", "url": url, "secret": "s3cret" });
    assert_eq!(
        manager
            .post_json("/api/alerts/channels", &channel)
            .await
            .status(),
        201
    );
    for (name, condition) in [
        (
            "no pool",
            json!({ "kind": "check", "check": "upstream", "at_least": "unhealthy" }),
        ),
        ("ended", json!({ "kind": "state", "is": "backing-off" })),
    ] {
        let rule = json!({ "name": name, "condition": condition, "for_s": 0, "clear_s": 0, "tell_cleared": true });
        let answer = manager.post_json("/api/alerts/rules", &rule).await;
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
    let titles = || -> Vec<String> {
        got.lock()
            .unwrap()
            .iter()
            .map(|(title, _)| title.clone())
            .collect()
    };
    let config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
    let id = manager
        .instance_of("barn", &manager.save_config("home pool", &config).await)
        .await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    until_place(&manager, &id, "pool 1 of 1").await;
    assert!(titles().is_empty(), "{:?}", titles());

    drop(pool);
    until("solo mining is told", || async {
        titles()
            .iter()
            .any(|title| title.contains("olo"))
            .then_some(())
    })
    .await;
    // Killed before it has written down that a message was taken, it would send that one again: as
    // documented.
    until("that to be written down", || async {
        let all = manager.json("/api/alerts/deliveries").await;
        all["deliveries"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["state"] == "sent")
            .then_some(())
    })
    .await;
    // A new manager neither repeats nor forgets.
    manager.kill();
    manager.begin();
    let _pool = pool_on(&ports);
    until_place(&manager, &id, "pool 1 of 1").await;
    until("its end is told", || async {
        (titles().len() >= 2).then_some(())
    })
    .await;

    signal(peer.child.id(), rustix::process::Signal::KILL);
    peer.child.wait().unwrap();
    until("the lost template provider is told", || async {
        (titles().len() >= 3).then_some(())
    })
    .await;
    let (_peer, _) = Peer::template_provider(&["--port", &provider_port, "--interval", "5"]);
    until("its end is told", || async {
        (titles().len() >= 4).then_some(())
    })
    .await;
    manager.until_state(&id, "running").await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let told = titles();
    println!("the webhook got: {told:#?}");
    assert_eq!(told.len(), 4, "each once: {told:?}");
    let ids: std::collections::BTreeSet<String> = got
        .lock()
        .unwrap()
        .iter()
        .map(|(_, id)| id.clone())
        .collect();
    assert_eq!(ids.len(), 4);
    let listed = manager.json("/api/alerts/deliveries").await;
    let sent = listed["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|delivery| delivery["state"] == "sent")
        .count();
    assert_eq!(sent, 4, "{listed}");
}
