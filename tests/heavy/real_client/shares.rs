//! jd-manager counts the shares of Stratum V1 miners as the miners do, across exits of the client.

use super::farm::{BATCH, Farm, pid};
use crate::harness::peer::Peer;
use crate::harness::{signal, until};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

const USERS: [&str; 3] = ["alice.rig1", "alice.rig2", "alice.spoiler"];

/// Accepted and rejected shares.
type ShareCounts = (u64, u64);

/// The counts of a miner so far, from its output.
fn counts_of(miner: &Peer) -> ShareCounts {
    let said = miner.said.lock().unwrap();
    let count = |words: &str| said.iter().filter(|line| line.contains(words)).count() as u64;
    (count(" share ok "), count(" share refused "))
}

/// The counts of all time that jd-manager has for a user name.
async fn counts_of_manager(farm: &Farm, user: &str) -> ShareCounts {
    let path = format!("/api/instances/{}/miners", farm.id);
    let list = farm.manager.json(&path).await;
    let mut miners = list["miners"].as_array().unwrap().iter();
    let miner = miners.find(|miner| miner["name"] == user);
    let count = |field: &str| miner.map_or(0, |miner| miner[field].as_u64().unwrap());
    (
        count("shares_accepted_total"),
        count("shares_rejected_total"),
    )
}

/// What each miner counted, and what jd-manager did.
async fn comparison(farm: &Farm) -> Vec<(ShareCounts, ShareCounts)> {
    let mut all = Vec::new();
    for (miner, user) in farm.miners.iter().zip(USERS) {
        all.push((counts_of(miner), counts_of_manager(farm, user).await));
    }
    all
}

fn are_close((of_miner, of_manager): &(ShareCounts, ShareCounts)) -> bool {
    of_miner.0.abs_diff(of_manager.0) <= BATCH && of_miner.1.abs_diff(of_manager.1) <= BATCH
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_counted_as_the_miners_count_them_across_three_restarts_of_the_client() {
    let mut farm = Farm::in_manager(Farm::manager().await).await;
    for user in USERS {
        let spoil: &[&str] = if user == USERS[2] {
            &["--spoil", "5"]
        } else {
            &[]
        };
        farm.add_miner(user, spoil);
    }
    farm.until_all("share ok", 0.0).await;
    let mut client = farm.instance().await;
    for ending in ["restarted", "restarted", "killed"] {
        // Not a multiple of the sampling interval, so that shares are on their way. Long enough that
        // the monitoring API has shown the channels: it is 5 s late, and read every 10 s.
        tokio::time::sleep(Duration::from_secs(33)).await;
        if ending == "killed" {
            signal(pid(&client), Signal::KILL);
        } else {
            farm.act("restart").await;
        }
        let (_, ready) = farm.until_ready(&client["pid"]).await;
        client = farm.instance().await;
        farm.until_all("share ok", ready).await;
        println!("{ending}: {:?}", comparison(&farm).await);
    }
    tokio::time::sleep(Duration::from_secs(13)).await;
    for miner in &farm.miners {
        signal(miner.child.id(), Signal::TERM);
    }
    until("the miners have stopped", || async {
        let have_stopped = farm.miners.iter().all(|miner| miner.has_said("done "));
        have_stopped.then_some(())
    })
    .await;

    let begun = Instant::now();
    let all = loop {
        let all = comparison(&farm).await;
        // Two samples after the last share.
        if all.iter().all(are_close) || begun.elapsed() > Duration::from_secs(25) {
            break all;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    println!("at the end: {all:?}");
    for ((of_miner, of_manager), user) in all.iter().zip(USERS) {
        assert!(of_miner.0 > 20, "{user} has mined: {of_miner:?}");
        assert!(
            are_close(&(*of_miner, *of_manager)),
            "{user}: accepted and rejected: the miner counted {of_miner:?}, jd-manager {of_manager:?}"
        );
    }
    assert!(all[2].0.1 > 3, "some shares were spoiled: {all:?}");
    // No miner is counted twice, and the translator is none.
    let list = farm
        .manager
        .json(&format!("/api/instances/{}/miners", farm.id))
        .await;
    let mut names: Vec<&str> = list["miners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|miner: &Value| miner["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, USERS);
}
