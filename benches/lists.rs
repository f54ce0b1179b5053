//! How many requests for lists, a page and the manager's health are answered per second, as ratios to a
//! bare axum handler that is measured beside them and sends the same bytes.
//!
//! Run by `scripts/bench`; `docs/PERFORMANCE.md` has earlier results. Prints `ok` or `MISSED` for each
//! ratio and never fails.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jd-manager");
const INSTANCES: usize = 100;
const CONNECTIONS: usize = 16;
/// Each measurement takes this time, and is repeated: the median counts.
const TIME: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

/// A program that responds to requests.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a program that prints its address, and waits for that.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .trim_end_matches('/')
            .rsplit("//")
            .next()
            .unwrap();
        Self {
            address: address.parse().unwrap(),
            child,
        }
    }

    fn manager(data_dir: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"]);
        Self::start(command.arg(data_dir))
    }

    /// This program again, as a bare axum handler for the content of a file.
    fn bare(body: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::start(Command::new(program).arg("bare").arg(body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bare handler: one route, nothing else.
async fn serve_bare(body: Bytes) {
    let handler = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route("/api/instances", get(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// A connection that repeats one request.
struct Requester {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Requester {
    async fn new(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
        Self {
            stream,
            request,
            buffer: vec![0; 256 * 1024],
        }
    }

    /// Sends the request and reads the response; returns the length of its body.
    async fn ask(&mut self) -> usize {
        self.stream.write_all(&self.request).await.unwrap();
        let mut filled = 0;
        let (head, body) = loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(count > 0, "the connection was closed");
            filled += count;
            let read = &self.buffer[..filled];
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = std::str::from_utf8(&read[..end]).unwrap();
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    let is_length = name.eq_ignore_ascii_case("content-length");
                    is_length.then(|| value.trim().parse::<usize>().unwrap())
                });
                break (end + 4, length.unwrap());
            }
        };
        let mut left = (head + body).checked_sub(filled).unwrap();
        while left > 0 {
            let room = left.min(self.buffer.len());
            let count = self.stream.read(&mut self.buffer[..room]).await.unwrap();
            assert!(count > 0, "the connection was closed");
            left -= count;
        }
        body
    }
}

/// Requests per second with this number of connections. One thread sends all of them, so that most of
/// the processors' time is left for the server.
async fn measure(address: SocketAddr, path: &str, connections: usize) -> f64 {
    let begun = Instant::now();
    let each = (0..connections).map(async |_| {
        let mut requester = Requester::new(address, path).await;
        let mut count = 0_u32;
        while begun.elapsed() < TIME {
            requester.ask().await;
            count += 1;
        }
        count
    });
    let counts = futures_util::future::join_all(each).await;
    f64::from(counts.into_iter().sum::<u32>()) / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn create_instances(manager: SocketAddr) {
    let http = jd_manager::infra::http_client::plain().build().unwrap();
    let post = async |path: &str, body: Value| -> Value {
        let request = http.post(format!("http://{manager}/api{path}")).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    };
    let config = json!({ "name": "solo", "config": {
        "listening_address": "127.0.0.1:34265", "max_supported_version": 2, "min_supported_version": 2,
        "authority_public_key": "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
        "authority_secret_key": "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
        "cert_validity_sec": 3600, "shares_per_minute": 6.0, "share_batch_size": 10, "mode": "SOLOMINING", "jdc_signature": "x",
        "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)", "upstreams": [],
        "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
    }});
    let saved = post("/saved-configs", config).await;
    for number in 0..INSTANCES {
        let name = format!("hall-{}-rack-{:02}", number / 20 + 1, number % 20 + 1);
        let wishes = json!({ "name": name, "config_id": saved["config_id"] });
        assert!(post("/instances", wishes).await["instance_id"].is_string());
    }
}

/// A check: its name, the path, the connections, and the least ratio.
type Check = (&'static str, &'static str, usize, f64);

const CHECKS: [Check; 5] = [
    (
        "GET /api/instances, 16 connections",
        "/api/instances",
        CONNECTIONS,
        0.6,
    ),
    (
        "GET /api/instances, one connection",
        "/api/instances",
        1,
        0.6,
    ),
    ("GET /instances as HTML", "/instances", CONNECTIONS, 0.3),
    (
        "GET /api/instances?limit=1",
        "/api/instances?limit=1",
        CONNECTIONS,
        0.6,
    ),
    ("GET /api/health", "/api/health", CONNECTIONS, 0.6),
];

async fn compare(manager: SocketAddr, bare: &[SocketAddr]) {
    let mut results = vec![(Vec::new(), Vec::new()); CHECKS.len()];
    for _ in 0..ROUNDS {
        for ((_, path, connections, _), (own, other)) in CHECKS.iter().zip(&mut results) {
            let beside = bare[usize::from(!path.ends_with("instances"))];
            other.push(measure(beside, "/api/instances", *connections).await);
            own.push(measure(manager, path, *connections).await);
        }
    }
    for ((name, _, _, least), (own, other)) in CHECKS.into_iter().zip(results) {
        let (own, other) = (median(own), median(other));
        let ratio = own / other;
        let word = if ratio >= least { "ok    " } else { "MISSED" };
        println!(
            "{word}  {name}: {own:.0}/s, bare axum {other:.0}/s: {:.0}% (limit {:.0}%)",
            ratio * 100.0,
            least * 100.0
        );
    }
}

async fn run(dir: &Path) {
    let manager = Server::manager(&dir.join("data"));
    create_instances(manager.address).await;
    let mut servers = Vec::new();
    // The same number of bytes as the list, and as one instance.
    for path in ["/api/instances", "/api/instances?limit=1"] {
        let body = dir.join("body");
        let length = Requester::new(manager.address, path).await.ask().await;
        std::fs::write(&body, vec![b' '; length]).unwrap();
        println!("{path}: {length} bytes");
        servers.push(Server::bare(&body));
    }
    let bare: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    compare(manager.address, &bare).await;
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("bare") {
        let body = std::fs::read(arguments.next().unwrap()).unwrap();
        return Runtime::new().unwrap().block_on(serve_bare(body.into()));
    }
    let dir = tempfile::tempdir().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(dir.path()));
}
