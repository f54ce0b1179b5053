//! Readings of a server on loopback that answers as a translator of some version, or not honestly.

use super::*;
use crate::programs::jd_client::monitoring::tests::server::{Answer, Server};
use std::ops::Range;

const GLOBAL: &str = r#"{"server":{"total_channels":2,"extended_channels":2,"standard_channels":0,"total_hashrate":100000.0},
    "sv2_clients":null,"sv1_clients":{"total_clients":2,"total_hashrate":99000.0},"uptime_secs":61}"#;

fn channels(body: &str) -> String {
    format!(
        r#"{{"offset":0,"limit":100,"total_extended":2,"total_standard":0,"extended_channels":[{body}],"standard_channels":[]}}"#
    )
}

fn miners(items: &str, total: usize) -> String {
    format!(r#"{{"offset":0,"limit":100,"total":{total},"items":[{items}]}}"#)
}

async fn server(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Server {
    Server::new(move |path| match answer(path) {
        Some(body) => Answer::Body(body),
        None if path == "/global" => Answer::Body(GLOBAL.into()),
        None => Answer::Bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()),
    })
    .await
}

async fn read_from(server: &Server) -> Result<TranslatorReading, TranslatorMonitoringError> {
    read(&MonitoringClient::new(), server.address, false).await
}

const TWO_CHANNELS: &str = r#"{"channel_id":2,"user_identity":"acct.miner1","nominal_hashrate":50000.0,"shares_acknowledged":7,
    "shares_submitted":9,"shares_rejected":1,"shares_rejected_by_reason":{"stale-share":1},"acknowledged_work_sum":7,"best_diff":3.5},
    {"channel_id":3,"user_identity":"acct.miner2","shares_acknowledged":0}"#;

/// One miner with a channel, one without.
const OF_0_6: &str = r#"{"client_id":2,"channel_id":null,"connection_ip":"10.0.0.8","management_ip":null,"sv1_username":"",
    "sv1_worker_name":"","target_hex":"00","hashrate":null,"stable_hashrate":false,"extranonce1_hex":"","extranonce2_len":4,
    "version_rolling_mask":null,"version_rolling_min_bit":null,"miner_telemetry":null,"miner_telemetry_status":null},
    {"client_id":1,"channel_id":2,"connection_ip":"10.0.0.7","sv1_username":"alice.rig1","sv1_worker_name":"rig1","hashrate":52000.5,
    "stable_hashrate":true,"miner_telemetry":{"make":"Bitaxe","model":"Gamma","firmware_version":null}}"#;

#[tokio::test]
async fn miners_are_joined_with_the_shares_of_their_channels() {
    let server = server(|path| match path.split('?').next()? {
        "/sv1/clients" => Some(miners(OF_0_6, 2)),
        "/server/channels" => Some(channels(TWO_CHANNELS)),
        _ => None,
    })
    .await;
    let reading = read_from(&server).await.unwrap();
    assert_eq!(
        (
            reading.uptime_secs,
            reading.miners_hashrate,
            reading.channels_hashrate
        ),
        (Some(61), Some(99_000.0), Some(100_000.0))
    );
    let [with, without] = &reading.miners[..] else {
        panic!("{reading:?}")
    };
    assert_eq!(
        (with.client_id, with.channel_id, with.address),
        (1, Some(2), Some(IpAddr::from([10, 0, 0, 7])))
    );
    assert_eq!(
        (with.username.as_str(), with.worker.as_str()),
        ("alice.rig1", "rig1")
    );
    assert_eq!(
        (with.device.as_deref(), with.user_agent.as_deref()),
        (Some("Bitaxe Gamma"), None)
    );
    assert_eq!(
        (with.hashrate, with.is_unsettled()),
        (Some(52_000.5), false)
    );
    let shares = with.shares.as_ref().unwrap();
    assert_eq!(
        (shares.submitted, shares.accepted, shares.rejected),
        (Some(9), Some(7), Some(1))
    );
    assert_eq!(shares.rejected_by_reason["stale-share"], 1);
    assert_eq!(
        (
            without.channel_id,
            without.is_unsettled(),
            without.shares.is_none()
        ),
        (None, true, true)
    );
    assert_eq!((reading.truncated, reading.odd_fields), (false, 0));
}

#[tokio::test]
async fn an_aggregated_channel_gives_no_shares_of_single_miners() {
    let server = server(|path| match path.split('?').next()? {
        "/sv1/clients" => Some(miners(OF_0_6, 2)),
        "/server/channels" => Some(channels(TWO_CHANNELS)),
        _ => None,
    })
    .await;
    let reading = read(&MonitoringClient::new(), server.address, true)
        .await
        .unwrap();
    assert_eq!(reading.channels.len(), 2);
    assert!(reading.miners.iter().all(|miner| miner.shares.is_none()));
}

#[tokio::test]
async fn names_of_fields_of_older_translators_are_read() {
    // stratum-apps 0.3 to 0.6. The names of two solo miners differ only after the first 32 bytes, and
    // the third has not sent one.
    let old = r#"{"client_id":1,"channel_id":2,"authorized_worker_name":"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq.rig1",
        "user_identity":"bc1qar0srrr7xfkvy5l643lydnw9re59","target_hex":"00","hashrate":1.0,"extranonce1_hex":"",
        "extranonce2_len":4,"version_rolling_mask":"1fffe000","version_rolling_min_bit":null},
        {"client_id":2,"channel_id":3,"authorized_worker_name":"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq.rig2",
        "user_identity":"bc1qar0srrr7xfkvy5l643lydnw9re59"},
        {"client_id":3,"channel_id":4,"authorized_worker_name":"","user_identity":"acct.miner3"}"#;
    let server = server(move |path| match path.split('?').next()? {
        "/sv1/clients" => Some(miners(old, 3)),
        _ => None,
    })
    .await;
    let reading = read_from(&server).await.unwrap();
    let names: Vec<_> = reading
        .miners
        .iter()
        .map(|miner| (miner.username.as_str(), miner.worker.as_str()))
        .collect();
    let solo = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
    let [first, second] = [1, 2].map(|number| format!("{solo}.rig{number}"));
    assert_eq!(
        names,
        [
            (first.as_str(), "rig1"),
            (second.as_str(), "rig2"),
            ("", "")
        ]
    );
    let miner = &reading.miners[0];
    assert_eq!((miner.stable_hashrate, miner.address), (None, None));
    assert_eq!((reading.odd_fields, miner.shares.is_none()), (0, true));
}

fn numbered(numbers: Range<usize>) -> String {
    numbers
        .map(|n| format!(r#"{{"client_id":{n},"channel_id":{n}}}"#))
        .collect::<Vec<_>>()
        .join(",")
}

#[tokio::test]
async fn all_pages_are_read() {
    let server = server(|path| {
        let (path, query) = path.split_once('?')?;
        let offset: usize = query.split(['=', '&']).nth(1)?.parse().ok()?;
        match path {
            "/sv1/clients" => Some(miners(&numbered(offset..(offset + 100).min(250)), 250)),
            _ => None,
        }
    })
    .await;
    let reading = read_from(&server).await.unwrap();
    assert!(
        reading
            .miners
            .iter()
            .map(|miner| miner.client_id)
            .eq(0..250)
    );
    assert!(!reading.truncated);
}

#[tokio::test]
async fn a_translator_without_miners_is_not_asked_for_them() {
    let none = GLOBAL.replace("\"total_clients\":2", "\"total_clients\":0");
    let server = server(move |path| (path == "/global").then(|| none.clone())).await;
    let reading = read_from(&server).await.unwrap();
    assert_eq!(reading.miners, []);
    assert!(!server.asked().iter().any(|path| path.contains("sv1")));
}

#[tokio::test]
async fn hostile_answers_cost_themselves_only() {
    let long = "x".repeat(100_000);
    let odd = format!(
        r#"{{"client_id":1,"channel_id":-1,"sv1_username":"{long}","sv1_worker_name":["a"],"hashrate":1e999,"connection_ip":"nowhere",
        "stable_hashrate":"yes","miner_telemetry":[],"user_agent":"a\u0007b"}},{{"channel_id":5}},7"#
    );
    let server = server(move |path| match path.split('?').next()? {
        "/sv1/clients" => Some(miners(&odd, 1_000_000_000)),
        _ => None,
    })
    .await;
    let reading = read_from(&server).await.unwrap();
    let [miner] = &reading.miners[..] else {
        panic!("{reading:?}")
    };
    assert_eq!(miner.username.len(), 128);
    assert_eq!(
        (
            miner.channel_id,
            miner.hashrate,
            miner.address,
            miner.stable_hashrate
        ),
        (None, None, None, None)
    );
    assert_eq!(miner.user_agent.as_deref(), Some("ab"));
    assert!(reading.truncated && reading.odd_fields >= 8, "{reading:?}");
}

#[tokio::test]
async fn a_clients_api_and_other_servers_are_refused_in_words_about_the_translator() {
    let of_client = r#"{"server":{},"sv2_clients":{},"sv1_clients":null,"uptime_secs":1}"#;
    for (body, expected) in [
        (of_client, MonitoringError::NotTheApi),
        ("{}", MonitoringError::NotTheApi),
        ("[]", MonitoringError::NotTheApi),
        ("<html>", MonitoringError::NotJson),
    ] {
        let server = server(move |_| Some(body.into())).await;
        assert_eq!(
            read_from(&server).await,
            Err(TranslatorMonitoringError(expected)),
            "{body}"
        );
    }
    for error in [
        MonitoringError::Refused,
        MonitoringError::TimedOut,
        MonitoringError::TooLarge,
        MonitoringError::Status(500),
        MonitoringError::NotJson,
        MonitoringError::NotTheApi,
        MonitoringError::Connection("x".into()),
    ] {
        let text = TranslatorMonitoringError(error).to_string();
        assert!(text.contains("translator") && text.ends_with('.'), "{text}");
    }
}
