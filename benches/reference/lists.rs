//! How many requests for lists, a page and the manager's health are answered per second, as ratios to a
//! bare axum handler that is measured beside them and sends the same bytes.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{ManagerApi, Server, median, report_at_least, report_at_most, report_info};

const INSTANCES: usize = 100;
const CONNECTIONS: usize = 16;
/// The limit of a request over one connection, ms.
const ONE_REQUEST: f64 = 0.1;
/// Each measurement takes this time, and is repeated: the median counts.
const TIME: Duration = Duration::from_secs(1);

/// This program again, as a bare axum handler for the content of a file.
fn bare(body: &Path) -> Server {
    let program = std::env::current_exe().unwrap();
    Server::start(Command::new(program).arg("bare").arg(body))
}

/// The bare handler: one route, nothing else.
pub async fn serve_bare(body: Bytes) {
    let handler = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route(WHOLE, get(handler));
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

/// The list of all instances, and of one.
const WHOLE: &str = "/api/instances";
const PART: &str = "/api/instances?limit=1";

/// What is measured beside bare axum.
struct RatioCheck {
    name: &'static str,
    path: &'static str,
    connections: usize,
    /// The least ratio in a release build.
    limit: f64,
    /// The lower ratio of two runs of a debug build on a busy machine (2026-11-30): the short form fails
    /// below half of it.
    recorded: f64,
}

const CHECKS: [RatioCheck; 5] = [
    RatioCheck {
        name: "GET /api/instances, 16 connections",
        path: WHOLE,
        connections: CONNECTIONS,
        limit: 0.6,
        recorded: 0.21,
    },
    RatioCheck {
        name: "GET /api/instances, one connection",
        path: WHOLE,
        connections: 1,
        limit: 0.6,
        recorded: 0.14,
    },
    RatioCheck {
        name: "GET /instances as HTML",
        path: "/instances",
        connections: CONNECTIONS,
        limit: 0.3,
        recorded: 0.16,
    },
    RatioCheck {
        name: "GET /api/instances?limit=1",
        path: PART,
        connections: CONNECTIONS,
        limit: 0.6,
        recorded: 0.2,
    },
    RatioCheck {
        name: "GET /api/health",
        path: "/api/health",
        connections: CONNECTIONS,
        limit: 0.6,
        recorded: 0.27,
    },
];

/// Returns whether each ratio is at least its limit.
async fn compare(manager: SocketAddr, bare: &[SocketAddr], form: BenchForm) -> bool {
    let mut results = vec![(Vec::new(), Vec::new()); CHECKS.len()];
    for _ in 0..form.rounds() {
        for (check, (own, other)) in CHECKS.iter().zip(&mut results) {
            let beside = bare[usize::from(!check.path.ends_with("instances"))];
            other.push(measure(beside, WHOLE, check.connections).await);
            own.push(measure(manager, check.path, check.connections).await);
        }
    }
    let (mut is_ok, mut whole) = (true, None);
    for (check, (own, other)) in CHECKS.into_iter().zip(results) {
        let (own, other) = (median(own), median(other));
        let (name, ratio, limit) = (check.name, own / other, form.limit(&check));
        is_ok &= ratio >= limit;
        report_at_least(name, ratio * 100.0, "% of bare axum", limit * 100.0);
        report_info(&format!("{name}, jd-manager"), own, "requests/s");
        report_info(&format!("{name}, bare axum"), other, "requests/s");
        if check.path == PART {
            // A part must not cost more than the whole list.
            let of_whole = own / whole.unwrap_or(own) * 100.0;
            report_at_least(
                &format!("{name}, jd-manager"),
                of_whole,
                "% of the whole list",
                95.0,
            );
        } else if check.path == WHOLE && whole.is_none() {
            whole = Some(own);
        }
        if check.connections == 1 && form == BenchForm::Full {
            report_at_most(&format!("{name}, each"), 1000.0 / own, "ms", ONE_REQUEST);
        }
    }
    is_ok
}

/// How much is measured, and compared with what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BenchForm {
    /// For `scripts/bench`: with the limits.
    Full,
    /// For `scripts/test`, which has only a debug build: with the recorded ratios.
    Short,
}

impl BenchForm {
    fn rounds(self) -> usize {
        match self {
            Self::Full => 5,
            Self::Short => 3,
        }
    }

    fn limit(self, check: &RatioCheck) -> f64 {
        match self {
            Self::Full => check.limit,
            Self::Short => check.recorded / 2.0,
        }
    }
}

/// Returns whether each ratio is at least its limit.
pub async fn run(root: &Path, form: BenchForm) -> bool {
    let manager = Server::manager(&root.join("data"), &[]);
    ManagerApi::new(&manager).create_instances(INSTANCES).await;
    let mut servers = Vec::new();
    // The same number of bytes as the list, and as one instance.
    for path in [WHOLE, PART] {
        let body = root.join("body");
        let length = Requester::new(manager.address, path).await.ask().await;
        std::fs::write(&body, vec![b' '; length]).unwrap();
        report_info(&format!("GET {path}, length"), length as f64, "bytes");
        servers.push(bare(&body));
    }
    let bare: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    compare(manager.address, &bare, form).await
}
