//! A loopback server for tests with given answers, valid or not. It knows no bodies.

use crate::programs::jd_client::monitoring::{
    MonitoringClient, MonitoringError, MonitoringReading,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a server treats one request.
pub(in crate::programs) enum Answer {
    /// 200 with this body; the connection stays.
    Body(String),
    /// These bytes, then the end.
    Bytes(String),
    /// These bytes, then this text again and again, each time after a wait, until the other side is
    /// gone.
    Forever(String, &'static str, Duration),
}

/// A server under test, and what it saw.
pub(in crate::programs) struct Server {
    pub(in crate::programs) address: SocketAddr,
    pub(in crate::programs) seen: Arc<Seen>,
}

#[derive(Default)]
pub(in crate::programs) struct Seen {
    /// Paths below `/api/v1`, in the order asked.
    paths: Mutex<Vec<String>>,
    /// The head of the newest request.
    pub(in crate::programs) head: Mutex<String>,
    pub(in crate::programs) connections: AtomicUsize,
    pub(in crate::programs) sent: AtomicUsize,
    open: AtomicUsize,
    pub(in crate::programs) most_open: AtomicUsize,
}

impl Server {
    /// Answers each request as `answer` says of its path below `/api/v1`.
    pub(in crate::programs) async fn new(
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::at(IpAddr::from([127, 0, 0, 1]), answer).await
    }

    pub(in crate::programs) async fn at(
        ip: IpAddr,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let (address, seen, answer) = (
            listener.local_addr().unwrap(),
            Arc::new(Seen::default()),
            Arc::new(answer),
        );
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                seen.connections.fetch_add(1, Ordering::Relaxed);
                // A disconnect of the other side is not a failure of the server.
                tokio::spawn(async move { serve(stream, &seen, &*answer).await.ok() });
            }
        });
        Self { address, seen }
    }

    pub(in crate::programs) async fn read(&self) -> Result<MonitoringReading, MonitoringError> {
        MonitoringClient::with_patience(Duration::from_secs(20))
            .read(self.address)
            .await
    }

    pub(in crate::programs) fn asked(&self) -> Vec<String> {
        self.seen.paths.lock().unwrap().clone()
    }
}

/// Serves one connection to its end.
pub(in crate::programs) async fn serve(
    mut stream: TcpStream,
    seen: &Seen,
    answer: &(dyn Fn(&str) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let path = path.strip_prefix("/api/v1").unwrap_or(&path);
        *seen.head.lock().unwrap() = head.clone();
        seen.paths.lock().unwrap().push(path.to_owned());
        seen.most_open.fetch_max(
            seen.open.fetch_add(1, Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        let whole = |body: &str| {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        match answer(path) {
            Answer::Body(body) => {
                // Other requests may arrive in the meantime.
                tokio::task::yield_now().await;
                seen.open.fetch_sub(1, Ordering::Relaxed);
                stream.write_all(whole(&body).as_bytes()).await?;
            }
            Answer::Bytes(bytes) => return stream.write_all(bytes.as_bytes()).await,
            Answer::Forever(first, again, wait) => {
                stream.write_all(first.as_bytes()).await?;
                loop {
                    tokio::time::sleep(wait).await;
                    stream.write_all(again.as_bytes()).await?;
                    seen.sent.fetch_add(again.len(), Ordering::Relaxed);
                }
            }
        }
    }
}
