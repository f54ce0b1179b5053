//! One listening socket: accepts each connection, or rejects it if there are too many.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{ConnectionContext, linger};
use super::limits::{ConnectionLimits, RateLimitedLog};
use super::proxies::{NearEnd, TrustedProxies};
use super::socket::UnixListenSocket;
use super::ssh_line::{ConnectionStart, read_start};
use super::tls::TlsState;
use super::write_timeout::WriteTimeout;

/// Timeout of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A peer that is behind and reads less than [`LEAST`] within this time is
/// disconnected.
const STALL: Duration = Duration::from_secs(60);
/// Bytes that must be read within [`STALL`]: half a kilobyte a second. Without it, a peer could read one
/// byte a second and keep the connection open forever.
const LEAST: usize = 32 * 1024;
/// Pauses after a failed accept, from the first to the last: if all open files are in use, the next
/// accept would fail immediately.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Maximum number of parallel rejections with a response; further connections are closed.
const TOLD_AT_ONCE: usize = 32;

/// The response if there are too many connections.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 46\r\n\
    Retry-After: 5\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
    Too many connections at once. Try again later.";
/// The response to plain HTTP on a TLS port.
const ENCRYPT: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 37\r\n\
    Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
    This port speaks TLS. Use https://...";

/// The response to a first line of `dial-stdio` that is invalid or of another version.
const UNKNOWN_LINE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 90\r\n\
    Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
    jd-manager dial-stdio has another version than the running jd-manager. Restart jd-manager.";

/// The kind of listening socket.
pub(super) enum IncomingStream {
    Tcp(TcpListener, Option<Arc<TlsState>>),
    Unix(UnixListenSocket),
}

/// An accepted connection.
enum Incoming {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

/// A listening socket.
pub(super) struct Acceptor {
    pub(super) way: IncomingStream,
    pub(super) seats: ConnectionLimits,
    pub(super) proxies: Arc<RwLock<TrustedProxies>>,
}

impl Acceptor {
    /// Runs until `stop`, and then until all connections have closed.
    pub(super) async fn serve(self, router: axum::Router, stop: CancellationToken) {
        let talk = ConnectionContext {
            router,
            proxies: self.proxies.clone(),
            stop: stop.clone(),
            ssh: None,
        };
        let tell = Arc::new(Semaphore::new(TOLD_AT_ONCE));
        let mut talks = JoinSet::new();
        let (mut pause, complaint) = (PAUSES.0, RateLimitedLog::default());
        loop {
            let come = tokio::select! {
                () = stop.cancelled() => break,
                come = self.way.next() => come,
                Some(_) = talks.join_next() => continue,
            };
            match come {
                Ok(come) => {
                    pause = PAUSES.0;
                    self.admit(come, &talk, &tell, &mut talks);
                }
                Err(e) if is_theirs(&e) => {}
                Err(error) => {
                    if let Some(times) = complaint.is_due() {
                        tracing::error!(%error, times, "cannot accept connections");
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep(pause) => {}
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
        // After the stop, the socket is closed, so that no connection waits.
        drop(self.way);
        while talks.join_next().await.is_some() {}
    }

    fn admit(
        &self,
        come: Incoming,
        talk: &ConnectionContext,
        tell: &Arc<Semaphore>,
        talks: &mut JoinSet<()>,
    ) {
        match (come, &self.way) {
            (Incoming::Tcp(stream, address), way) => {
                let tls = if let IncomingStream::Tcp(_, tls) = way {
                    tls.clone()
                } else {
                    None
                };
                let address = address.to_canonical();
                // A trusted proxy has many clients, and local programs need no
                // limit.
                let counted = !address.is_loopback() && !talk.trusts(address);
                // Small responses and events are sent immediately; connections with unread data are closed.
                let _ = stream.set_nodelay(true);
                let _ = rustix::net::sockopt::set_tcp_user_timeout(
                    &stream,
                    u32::try_from(STALL.as_millis()).unwrap_or(u32::MAX),
                );
                let Some(seat) = self.seats.take(Some(address), counted) else {
                    // With TLS, a response would need a handshake, for which there is no
                    // capacity.
                    return if tls.is_none() {
                        say(FULL, stream, tell, talks)
                    };
                };
                let talk = talk.clone();
                talks.spawn(async move {
                    let _seat = seat;
                    let side = NearEnd {
                        address: Some(address),
                        tls: tls.is_some(),
                    };
                    match tls {
                        None => {
                            talk.hold(WriteTimeout::new(stream, STALL, LEAST), side)
                                .await
                        }
                        Some(tls) => tls_handshake(stream, &tls, side, talk).await,
                    }
                });
            }
            (Incoming::Unix(stream), _) => {
                let Some(seat) = self.seats.take(None, false) else {
                    return say(FULL, stream, tell, talks);
                };
                let talk = talk.clone();
                talks.spawn(async move {
                    let _seat = seat;
                    hold_local(stream, talk).await;
                });
            }
        }
    }
}

impl IncomingStream {
    async fn next(&self) -> io::Result<Incoming> {
        match self {
            Self::Tcp(listener, _) => listener
                .accept()
                .await
                .map(|(stream, from)| Incoming::Tcp(stream, from.ip())),
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                // The file's mode enforces the same; this also works if the mode was changed.
                let (them, we) = (
                    stream.peer_cred()?.uid(),
                    rustix::process::geteuid().as_raw(),
                );
                if them == 0 || them == we {
                    Ok(Incoming::Unix(stream))
                } else {
                    tracing::warn!(
                        uid = them,
                        "rejected a connection from another system user on the Unix socket"
                    );
                    Err(io::ErrorKind::ConnectionAborted.into())
                }
            }
        }
    }
}

/// An error of this connection only.
fn is_theirs(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected
    )
}

async fn tls_handshake(stream: TcpStream, tls: &TlsState, side: NearEnd, talk: ConnectionContext) {
    let handshake = async {
        let mut first = [0];
        let count = stream.peek(&mut first).await?;
        // Every TLS connection starts with a record of the kind "handshake".
        if count == 1 && first[0] != 22 {
            return Ok(Err(stream));
        }
        tls.acceptor()
            .accept(WriteTimeout::new(stream, STALL, LEAST))
            .await
            .map(Ok)
    };
    let shaken = tokio::select! {
        () = talk.stop.cancelled() => return,
        shaken = timeout(HANDSHAKE, handshake) => shaken,
    };
    match shaken {
        Ok(Ok(Ok(stream))) => talk.hold(stream, side).await,
        Ok(Ok(Err(mut plain))) => {
            if plain.write_all(ENCRYPT).await.is_ok() {
                linger(plain).await;
            }
        }
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Serves a connection on the Unix socket. If `dial-stdio` opened it, its first line says what it may
/// do.
async fn hold_local(mut stream: UnixStream, mut talk: ConnectionContext) {
    let start = tokio::select! {
        () = talk.stop.cancelled() => return,
        start = timeout(HANDSHAKE, read_start(&mut stream)) => start,
    };
    match start {
        Ok(Ok(ConnectionStart::Request)) => {}
        Ok(Ok(ConnectionStart::Ssh(ssh))) => talk.ssh = Some(ssh),
        Ok(Ok(ConnectionStart::Unknown)) => {
            if stream.write_all(UNKNOWN_LINE).await.is_ok() {
                linger(stream).await;
            }
            return;
        }
        Ok(Err(error)) => return tracing::debug!(%error, "a local connection failed"),
        Err(_) => return tracing::debug!("a local connection sent no request in time"),
    }
    let side = NearEnd {
        address: None,
        tls: false,
    };
    talk.hold(WriteTimeout::new(stream, STALL, LEAST), side)
        .await;
}

/// Sends a response to a rejected connection, if there are not too many such responses already.
fn say<S>(what: &'static [u8], mut stream: S, tell: &Arc<Semaphore>, talks: &mut JoinSet<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(permit) = tell.clone().try_acquire_owned() else {
        return;
    };
    talks.spawn(async move {
        let _permit = permit;
        let said = async {
            // Reads the request first: closing with unread data would discard the response.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            if stream.write_all(what).await.is_ok() {
                linger(stream).await;
            }
        };
        let _ = timeout(Duration::from_millis(500), said).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_without_a_router_is_as_long_as_it_says() {
        for said in [FULL, ENCRYPT, UNKNOWN_LINE] {
            let text = std::str::from_utf8(said).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(
                head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
                "{text}"
            );
            assert!(head.lines().all(|line| !line.starts_with(' ')), "{text}");
        }
    }
}
