//! Tests readings from loopback servers with valid and invalid answers.

pub(in crate::programs) mod server;

use super::*;
use serde_json::json;
use server::Answer::{self, Body, Bytes, Forever};
use server::{Seen, Server, serve};
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::net::TcpListener;

/// A server that answers as a client with the summary [`GLOBAL`], no channels and no miners, but
/// for what `answer` says.
async fn client(answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Server {
    Server::new(move |path| answer(path).unwrap_or_else(|| Body(quiet(path)))).await
}

const GLOBAL: &str = r#"{"server":{"total_channels":1,"total_hashrate":3.5e14},
    "sv2_clients":{"total_clients":1,"total_hashrate":1e14},"sv1_clients":null,"uptime_secs":61}"#;

fn quiet(path: &str) -> String {
    let body = match path.split('?').next().unwrap() {
        "/global" => GLOBAL,
        "/clients" => r#"{"offset":0,"limit":100,"total":0,"items":[]}"#,
        _ => {
            r#"{"offset":0,"limit":100,"total_extended":0,"total_standard":0,"extended_channels":[],"standard_channels":[]}"#
        }
    };
    body.to_owned()
}

fn channels(ids: impl Iterator<Item = u64>, total: u64) -> Answer {
    let listed: Vec<_> = ids
        .map(
            |id| json!({ "channel_id": id, "user_identity": format!("w{id}"), "blocks_found": id }),
        )
        .collect();
    Body(
        json!({ "total_extended": total, "total_standard": 0, "extended_channels": listed, "standard_channels": [] }).to_string(),
    )
}

fn clients(ids: impl Iterator<Item = u64>, total: u64, channels: u64) -> Answer {
    let item = |id| json!({ "client_id": id, "extended_channels_count": channels, "standard_channels_count": 0 });
    Body(json!({ "total": total, "items": ids.map(item).collect::<Vec<_>>() }).to_string())
}

/// The page of `0..total` that `path` asks for.
fn page(path: &str, total: u64) -> std::ops::Range<u64> {
    let (_, query) = path.split_once("?offset=").unwrap();
    let (offset, limit) = query.split_once("&limit=").unwrap();
    let offset: u64 = offset.parse().unwrap();
    offset.min(total)..(offset + limit.parse::<u64>().unwrap().min(100)).min(total)
}

fn chunked() -> String {
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into()
}

#[tokio::test]
async fn a_client_is_read_over_all_its_pages_on_few_connections() {
    let server = client(|path| match path.split('?').next().unwrap() {
        "/server/channels" => Some(channels(page(path, 250), 250)),
        "/clients" => Some(clients(page(path, 120), 120, 1)),
        "/clients/7/channels" => Some(channels(page(path, 130), 130)),
        path if path.ends_with("/channels") => Some(channels(2..3, 1)),
        _ => None,
    })
    .await;
    let reader = MonitoringClient::new();
    let reading = reader.read(server.address).await.unwrap();
    assert_eq!(
        (
            reading.uptime_secs,
            reading.server_hashrate,
            reading.clients_hashrate
        ),
        (Some(61), Some(3.5e14), Some(1e14))
    );
    assert!(
        reading
            .server_channels
            .iter()
            .map(|channel| u64::from(channel.channel_id))
            .eq(0..250)
    );
    assert!(
        reading
            .clients
            .iter()
            .map(|client| client.client_id)
            .eq(0..120)
    );
    assert_eq!(
        (
            reading.clients[7].channels.len(),
            reading.clients[8].channels.len()
        ),
        (130, 1)
    );
    assert_eq!(
        (
            reading.clients[7].channels[129].user_identity.as_str(),
            reading.clients[8].channels[0].channel_id
        ),
        ("w129", 2)
    );
    assert_eq!(
        (reading.truncated, reading.odd_fields, server.asked().len()),
        (false, 0, 1 + 3 + 2 + 120 + 1)
    );
    assert_eq!(reader.clone().read(server.address).await.unwrap(), reading);
    assert!(server.seen.connections.load(Ordering::Relaxed) <= KEPT);
    assert!(server.seen.most_open.load(Ordering::Relaxed) <= AT_A_TIME);
    let head = server.seen.head.lock().unwrap().to_lowercase();
    assert!(head.contains("\r\nuser-agent: jd-manager\r\n"), "{head}");
}

#[tokio::test]
async fn what_the_summary_says_is_empty_is_not_asked_for() {
    let idle = r#"{"server":{"total_channels":0,"total_hashrate":-0.0},"sv2_clients":{"total_clients":0,"total_hashrate":-0.0}}"#;
    let server = Server::new(move |_| Body(idle.into())).await;
    let reading = server.read().await.unwrap();
    assert_eq!(
        (
            reading.server_hashrate.map(f64::to_bits),
            reading.clients_hashrate.map(f64::to_bits)
        ),
        (Some(0), Some(0))
    );
    assert_eq!(server.asked(), ["/global"]);
}

#[tokio::test]
async fn a_summary_of_wrong_types_costs_its_figures_only() {
    let odd = r#"{"server":[1],"sv2_clients":{"total_hashrate":"NaN","total_clients":-1},"uptime_secs":1e999}"#;
    let server = client(move |path| match path {
        "/global" => Some(Body(odd.into())),
        path if path.starts_with("/server/channels") => Some(channels(4..5, 1)),
        _ => None,
    })
    .await;
    let reading = server.read().await.unwrap();
    assert_eq!(
        (
            reading.uptime_secs,
            reading.server_hashrate,
            reading.clients_hashrate
        ),
        (None, None, None)
    );
    assert_eq!(
        (reading.server_channels[0].channel_id, reading.odd_fields),
        (4, 4)
    );
}

#[tokio::test]
async fn a_miner_that_leaves_while_it_is_read_is_left_out() {
    let server = client(|path| match path.split('?').next().unwrap() {
        "/clients" => Some(clients((0..3).rev(), 3, 1)),
        "/clients/1/channels" => {
            Some(Bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 36\r\n\r\n{\"error\":\"Sv2 client 1 not found\"}  ".into()))
        }
        path if path.starts_with("/clients/") => Some(channels(2..3, 1)),
        _ => None,
    })
    .await;
    let reading = server.read().await.unwrap();
    assert_eq!(
        reading
            .clients
            .iter()
            .map(|client| client.client_id)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!((reading.truncated, reading.odd_fields), (false, 0));
}

#[tokio::test]
async fn lists_that_the_api_does_not_have_are_empty() {
    let none = |path: &str| {
        (path != "/global")
            .then(|| Bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()))
    };
    let reading = client(none).await.read().await.unwrap();
    assert_eq!(
        (
            reading.uptime_secs,
            reading.server_channels.len(),
            reading.clients.len()
        ),
        (Some(61), 0, 0)
    );
}

#[tokio::test]
async fn lying_totals_end_the_walk() {
    type Lie = (&'static str, fn(&str) -> Answer, usize, bool, usize);
    let lies: [Lie; 6] = [
        (
            "always the first page",
            |_| channels(0..100, 1_000_000_000),
            100,
            true,
            2,
        ),
        (
            "empty pages of a long list",
            |_| channels(0..0, 1_000_000_000),
            0,
            true,
            1,
        ),
        (
            "one id again and again",
            |_| channels(std::iter::repeat_n(5, 100), u64::MAX),
            1,
            true,
            2,
        ),
        ("more than it says", |_| channels(0..100, 3), 100, false, 1),
        (
            "no total",
            |_| Body(r#"{"extended_channels":[{"channel_id":1}]}"#.into()),
            1,
            false,
            2,
        ),
        (
            "a list that never ends",
            |path| channels(page(path, u64::MAX), u64::MAX),
            MAX_CHANNELS,
            true,
            100,
        ),
    ];
    for (lie, answer, listed, truncated, requests) in lies {
        let server =
            client(move |path| path.starts_with("/server/channels").then(|| answer(path))).await;
        let reading = server.read().await.unwrap();
        assert_eq!(
            (reading.server_channels.len(), reading.truncated),
            (listed, truncated),
            "{lie}"
        );
        assert_eq!(server.asked().len(), requests + 2, "{lie}");
    }
}

#[tokio::test]
async fn of_channels_with_one_number_the_first_counts() {
    let body = r#"{"total_extended":2,"extended_channels":[{"channel_id":1,"blocks_found":1},{"channel_id":1,"blocks_found":2}],
        "standard_channels":[{"channel_id":1,"blocks_found":3},{"channel_id":2}]}"#;
    let server = client(move |path| {
        path.starts_with("/server/channels")
            .then(|| Body(body.into()))
    })
    .await;
    let read = server.read().await.unwrap().server_channels;
    assert_eq!(
        read.iter()
            .map(|channel| (channel.channel_id, channel.blocks_found))
            .collect::<Vec<_>>(),
        [(1, Some(1)), (2, None)]
    );
}

#[tokio::test]
async fn more_miners_and_channels_than_allowed_are_cut_off() {
    let server = client(|path| {
        path.starts_with("/clients?")
            .then(|| clients(page(path, 2_500), 2_500, 0))
    })
    .await;
    let reading = server.read().await.unwrap();
    assert_eq!(
        (reading.clients.len(), reading.truncated),
        (MAX_CLIENTS, true)
    );
    let server = client(|path| match path {
        path if path.starts_with("/clients?") => Some(clients(page(path, 200), 200, 100)),
        path if path.starts_with("/clients/") => Some(channels(0..100, 100)),
        _ => None,
    })
    .await;
    let reading = server.read().await.unwrap();
    let listed: usize = reading
        .clients
        .iter()
        .map(|client| client.channels.len())
        .sum();
    assert_eq!(
        (reading.clients.len(), listed, reading.truncated),
        (200, MAX_CHANNELS, true)
    );
    assert!(server.asked().len() <= 110, "{}", server.asked().len());
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let wait = Duration::ZERO;
    let spaces: &'static str = Box::leak(" ".repeat(1 << 16).into_boxed_str());
    let chunk: &'static str = Box::leak(format!("10000\r\n{spaces}\r\n").into_boxed_str());
    let heads = [
        (chunked(), chunk),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), spaces),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n".to_owned(),
            spaces,
        ),
    ];
    for (head, again) in heads {
        let server = Server::new(move |_| Forever(head.clone(), again, wait)).await;
        assert_eq!(server.read().await, Err(MonitoringError::TooLarge));
        // What was sent and not read is in the buffers of the two sockets.
        assert!(server.seen.sent.load(Ordering::Relaxed) < MAX_BODY + (16 << 20));
    }
}

#[tokio::test]
async fn a_body_may_be_as_large_as_allowed_and_no_larger() {
    let global = |length: usize| {
        format!(
            r#"{{"sv2_clients":{{"total_clients":0}},"x":"{}"}}"#,
            "x".repeat(length - 42)
        )
    };
    for (length, told) in [
        (MAX_BODY, Ok(())),
        (MAX_BODY + 1, Err(MonitoringError::TooLarge)),
    ] {
        let body = global(length);
        assert_eq!(body.len(), length);
        let server = client(move |path| (path == "/global").then(|| Body(body.clone()))).await;
        assert_eq!(server.read().await.map(|_| ()), told);
    }
}

#[tokio::test]
async fn many_large_bodies_are_cut_off_together() {
    let server = client(|path| {
        let large = |id| {
            format!(
                r#"{{"total_extended":1000,"extended_channels":[{{"channel_id":{id}}}],"x":"{}"}}"#,
                "x".repeat(MAX_BODY - 200)
            )
        };
        path.starts_with("/server/channels")
            .then(|| Body(large(page(path, 1000).start)))
    })
    .await;
    assert_eq!(server.read().await, Err(MonitoringError::TooLarge));
    assert_eq!(server.asked().len(), 1 + MAX_READING / MAX_BODY + 1);
}

#[tokio::test]
async fn what_comes_too_slowly_is_given_up_on() {
    let slow = [
        (chunked(), "1\r\n{\r\n"),
        (String::new(), "H"),
        ("HTTP/1.1 200 OK\r\nx: ".to_owned(), "y"),
        (String::new(), ""),
    ];
    for (head, again) in slow {
        let server =
            Server::new(move |_| Forever(head.clone(), again, Duration::from_millis(20))).await;
        let began = Instant::now();
        assert_eq!(
            MonitoringClient::with_patience(Duration::from_millis(200))
                .read(server.address)
                .await,
            Err(MonitoringError::TimedOut)
        );
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(200) && took < Duration::from_secs(10),
            "{took:?}"
        );
    }
    // Each answer in time, but too many of them.
    let server = client(|path| {
        path.starts_with("/server/")
            .then(|| channels(page(path, u64::MAX).take(1), u64::MAX))
    })
    .await;
    assert_eq!(
        MonitoringClient::with_patience(Duration::from_millis(200))
            .read(server.address)
            .await,
        Err(MonitoringError::TimedOut)
    );
}

#[tokio::test]
async fn answers_of_something_else_say_so() {
    let status = |line: &str| format!("HTTP/1.1 {line}\r\ncontent-length: 2\r\n\r\n{{}}");
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answers = [
        (
            status("500 Internal Server Error"),
            MonitoringError::Status(500),
        ),
        (status("404 Not Found"), MonitoringError::Status(404)),
        (status("401 Unauthorized"), MonitoringError::Status(401)),
        (
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            MonitoringError::Status(204),
        ),
        (
            ok("<!DOCTYPE html><html><body>hello</body></html>"),
            MonitoringError::NotJson,
        ),
        (ok(""), MonitoringError::NotJson),
        (ok(r#"{"uptime_secs":NaN}"#), MonitoringError::NotJson),
        (ok("[1,2]"), MonitoringError::NotTheApi),
        (ok("\"ok\""), MonitoringError::NotTheApi),
        (ok("{}"), MonitoringError::NotTheApi),
        (
            ok(r#"{"status":"ok","timestamp":1}"#),
            MonitoringError::NotTheApi,
        ),
    ];
    for (bytes, fault) in answers {
        let text = bytes.clone();
        let server = Server::new(move |_| Bytes(bytes.clone())).await;
        assert_eq!(server.read().await, Err(fault), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_says_how() {
    let ends = [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"uptime_secs\":1".to_owned(),
        chunked() + "5\r\n{\"upt",
        "HTTP/1.1 200 OK\r\ncont".to_owned(),
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        String::new(),
    ];
    for bytes in ends {
        let text = bytes.clone();
        let server = Server::new(move |_| Bytes(bytes.clone())).await;
        let fault = server.read().await.unwrap_err();
        assert!(
            matches!(&fault, MonitoringError::Connection(why) if !why.is_empty()),
            "{text}: {fault:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = client(|_| None).await;
    let elsewhere = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/api/v1/global\r\ncontent-length: 0\r\n\r\n",
        other.address
    );
    let server = Server::new(move |_| Bytes(elsewhere.clone())).await;
    assert_eq!(server.read().await, Err(MonitoringError::Status(302)));
    assert_eq!(other.seen.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_address_that_stands_for_all_is_reached_by_loopback() {
    for (home, all) in [
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "::ffff:0.0.0.0"),
        ("::1", "::"),
    ] {
        let server = Server::at(home.parse().unwrap(), |path| Body(quiet(path))).await;
        let address = SocketAddr::new(all.parse().unwrap(), server.address.port());
        assert_eq!(
            MonitoringClient::new()
                .read(address)
                .await
                .unwrap()
                .uptime_secs,
            Some(61),
            "{address}"
        );
        let head = server.seen.head.lock().unwrap().to_lowercase();
        assert!(
            head.contains(&format!("\r\nhost: {}\r\n", server.address)),
            "{head}"
        );
    }
}

#[tokio::test]
async fn where_nobody_listens_the_connection_is_refused() {
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        MonitoringClient::new().read(address).await,
        Err(MonitoringError::Refused)
    );
}

#[tokio::test]
async fn a_client_that_was_restarted_is_read_again_after_one_failure_at_most() {
    let reader = MonitoringClient::new();
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..5 {
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = serve(stream, &Seen::default(), &|path| Body(quiet(path))).await;
        });
        let read = match reader.read(address).await {
            Ok(reading) => reading,
            Err(_) => reader.read(address).await.unwrap(),
        };
        assert_eq!(read.uptime_secs, Some(61));
        served.abort();
        let _ = served.await;
        listener = TcpListener::bind(address).await.unwrap();
    }
}
