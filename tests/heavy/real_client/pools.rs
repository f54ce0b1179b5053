//! Pools and job declaration servers that a real client cannot use: each problem is named, and the
//! client is restarted only when both accept it.

use super::health::{check, cures, health, until_place};
use super::{Peer, manager};
use crate::harness::{Manager, free_port, pool_config, until, until_within};
use serde_json::{Value, json};
use std::time::Duration;

/// Of nobody here.
const OTHER_KEY: &str = "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan";
/// A silent server is given up by the client after three handshakes of 10 s each.
const GIVEN_UP: Duration = Duration::from_secs(90);
/// Longer than two rounds of probes.
const A_WHILE: Duration = Duration::from_secs(15);

/// An instance whose pool does not work, and what is to be said of it.
struct BrokenPool {
    name: &'static str,
    /// How the mock pool is started; none: not at all.
    peer: Option<&'static [&'static str]>,
    change: fn(&mut Value),
    /// The server that is named: `pool` or `jds`.
    named: &'static str,
    words: &'static str,
}

const BROKEN: [BrokenPool; 7] = [
    BrokenPool {
        name: "jds refused",
        // The port of the configuration is another one, which nobody listens on.
        peer: Some(&[]),
        change: |config| config["upstreams"][0]["jds_port"] = json!(free_port()),
        named: "jds",
        words: "refused the connection",
    },
    BrokenPool {
        name: "jds silent",
        peer: Some(&["--jds", "silent"]),
        change: |_| {},
        named: "jds",
        words: "accepts the connection but does not respond to the handshake",
    },
    BrokenPool {
        name: "jds closing",
        peer: Some(&["--jds", "close"]),
        change: |_| {},
        named: "jds",
        words: "accepts the connection and closes it immediately",
    },
    BrokenPool {
        name: "pool silent",
        peer: Some(&["--pool", "silent"]),
        change: |_| {},
        named: "pool",
        words: "accepts the connection but does not respond to the handshake",
    },
    BrokenPool {
        name: "pool closing",
        peer: Some(&["--pool", "close"]),
        change: |_| {},
        named: "pool",
        words: "accepts the connection and closes it immediately",
    },
    BrokenPool {
        name: "wrong key",
        peer: Some(&[]),
        change: |config| config["upstreams"][0]["authority_pubkey"] = json!(OTHER_KEY),
        named: "pool",
        words: "presents a different key",
    },
    BrokenPool {
        name: "unknown host",
        peer: None,
        change: |config| {
            config["upstreams"][0]["pool_address"] = json!("no-such-host.invalid");
        },
        named: "pool",
        words: "its host name cannot be resolved",
    },
];

fn pool_on(ports: &[u16], args: &[&str]) -> Peer {
    let (pool, jds) = (ports[0].to_string(), ports[1].to_string());
    let args = [&["--port", &pool, "--jds-port", &jds], args].concat();
    Peer::listening("pool.py", &args).0
}

async fn message(manager: &Manager, id: &str) -> String {
    check(manager, id, "upstream").await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_that_fails_is_named_and_nothing_is_restarted_until_both_answer() {
    let (_provider, provider) = Peer::template_provider(&["--interval", "5"]);
    let manager = manager().await;
    let mut started = Vec::new();
    for broken in BROKEN {
        let ports = [free_port(), free_port()];
        let peer = broken.peer.map(|args| pool_on(&ports, args));
        let mut config = pool_config(free_port(), free_port(), provider, ports[0], ports[1]);
        (broken.change)(&mut config);
        let saved = manager.save_config(broken.name, &config).await;
        let id = manager.instance_of(broken.name, &saved).await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        started.push((broken, ports, peer, id, saved, config));
    }
    for (broken, _, _, id, _, config) in &started {
        let upstream = &config["upstreams"][0];
        let who = match broken.named {
            "jds" => format!(
                "The job declaration server of pool 1 (127.0.0.1:{})",
                upstream["jds_port"]
            ),
            _ => format!(
                "Pool 1 ({}:{})",
                upstream["pool_address"].as_str().unwrap(),
                upstream["pool_port"]
            ),
        };
        until_within(GIVEN_UP, broken.name, &mut || async {
            let said = message(&manager, id).await;
            (said.contains(&format!("{who} {}", broken.words))
                || said.contains(&format!("{who} cannot be found because {}", broken.words)))
            .then_some(())
        })
        .await;
        let said = message(&manager, id).await;
        println!("{}: {said}", broken.name);
        // The other one of the two is not blamed, where it works.
        let other = match broken.named {
            "jds" => "Pool 1 (",
            _ => "The job declaration server of pool 1 (",
        };
        let is_other_fine = matches!(
            broken.name,
            "jds refused" | "jds silent" | "jds closing" | "pool silent" | "pool closing"
        );
        assert!(!is_other_fine || !said.contains(other), "{said}");
        // Nor does the client's own reason, which gives the pool's address for either.
        assert!(!said.contains("could not be used: "), "{said}");
    }
    for (broken, _, _, id, _, _) in &started {
        until_within(GIVEN_UP, broken.name, &mut || async {
            (health(&manager, id).await["place"] == "solo").then_some(())
        })
        .await;
    }
    tokio::time::sleep(A_WHILE).await;
    for (broken, _, _, id, _, _) in &started {
        assert!(
            cures(&manager, id).await.is_empty(),
            "{}: {:?}",
            broken.name,
            cures(&manager, id).await
        );
        assert_eq!(
            health(&manager, id).await["place"],
            "solo",
            "{}",
            broken.name
        );
    }

    // Servers that work again: one restart each. A setting that is corrected: the same.
    for (broken, ports, peer, id, saved, config) in &mut started {
        match broken.name {
            "jds silent" | "pool closing" => {
                drop(peer.take());
                *peer = Some(pool_on(ports, &[]));
            }
            "wrong key" => {
                let report = health(&manager, id).await;
                assert_eq!(
                    report["setting"],
                    json!({
                        "label": "Pool public key", "pool": 1,
                        "path": format!("/saved-configs/{saved}/edit#upstreams-0-authority_pubkey"),
                    })
                );
                let page = manager.page(&format!("/health/{id}")).await;
                assert!(
                    page.contains(&format!(
                        "href=\"/saved-configs/{saved}/edit#upstreams-0-authority_pubkey\""
                    )),
                    "{page}"
                );
                config["upstreams"][0]["authority_pubkey"] = json!(crate::harness::PUBLIC_KEY);
                let answer = manager
                    .request("PUT", &format!("/api/saved-configs/{saved}"))
                    .json(&json!({ "name": "wrong key", "config": config }))
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            }
            _ => continue,
        }
        until_place(&manager, id, "pool 1 of 1").await;
        let cures = cures(&manager, id).await;
        assert_eq!(cures.len(), 1, "{cures:?}");
        println!("{}: {}", broken.name, cures[0]["reason"]);
        until("no setting is to be changed any more", || async {
            health(&manager, id).await["setting"]
                .is_null()
                .then_some(())
        })
        .await;
    }
}
