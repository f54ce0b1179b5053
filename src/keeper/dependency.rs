//! Waits for what a process needs before it can work: a client its template provider or its node's
//! socket, a translator its client.
//!
//! A client exits when either is gone. Its keeper then waits longer before each retry, and would keep
//! waiting after the node is back. So the keeper checks every two seconds while it waits, without the
//! manager's help.

use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The interval between two checks.
const PERIOD: Duration = Duration::from_secs(2);
/// The same for a port that is expected to open at any moment, at first.
const SHORT_PERIOD: Duration = Duration::from_millis(100);
/// So many short ones come first.
const SHORT_PERIODS: u32 = 600;
/// Timeout of a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// A connection that a program cannot use is closed within this time.
const HOLD: Duration = Duration::from_millis(500);
/// Minimum time from a start of a client to the next one that is early because its dependency is
/// back. If the dependency comes and goes, 45 s have at most ten starts.
const EARLY_START: Duration = Duration::from_secs(6);
/// A dependency may accept connections before it can be used. So if it was away since the client was
/// last ready, this many early starts may fail, which takes two minutes. After that, it has to be
/// away again.
const MOST_EARLY_STARTS: u32 = 20;
/// A stack size that is enough for the name resolver; the default is eight times as large.
const STACK_BYTES: usize = 256 * 1024;

/// What a client connects to first and cannot run without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependency {
    /// A node's Unix socket.
    Socket(PathBuf),
    /// A template provider's host and port, `host:port`.
    Address(String),
}

impl Dependency {
    /// Whether it accepts a connection now and keeps it open. Blocks for at most a few seconds per
    /// address of its host name.
    fn accepts(&self) -> bool {
        match self {
            Self::Socket(path) => UnixStream::connect(path)
                .and_then(|stream| {
                    stream.set_read_timeout(Some(HOLD))?;
                    Ok(stays_open(stream))
                })
                .unwrap_or(false),
            Self::Address(address) => address.to_socket_addrs().is_ok_and(|mut addresses| {
                addresses.any(|address| {
                    TcpStream::connect_timeout(&address, PATIENCE)
                        .and_then(|stream| {
                            stream.set_read_timeout(Some(HOLD))?;
                            Ok(stays_open(stream))
                        })
                        .unwrap_or(false)
                })
            }),
        }
    }
}

/// Whether a connection is still open after its read timeout. A program that is starting, or whose
/// own dependency is missing, may accept connections and close them. Both a node and a template
/// provider wait for the first message of a client.
fn stays_open(mut stream: impl Read) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count > 0,
        Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// What the early starts of a client depend on.
#[derive(Debug)]
pub(super) struct EarlyStarts {
    /// The dependency was away since the client was last ready.
    was_away: Arc<AtomicBool>,
    /// Early starts since then.
    count: u32,
    /// When the client was last started.
    last: Instant,
}

impl EarlyStarts {
    /// A client that has not been started yet.
    pub(super) fn new() -> Self {
        Self {
            was_away: Arc::default(),
            count: 0,
            last: Instant::now(),
        }
    }

    /// The client is being started.
    pub(super) fn note_start(&mut self) {
        self.last = Instant::now();
    }

    /// The next start is early.
    pub(super) fn note_early(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// The client is ready.
    pub(super) fn reset(&mut self) {
        // A thread that is still ending keeps the old one.
        self.was_away = Arc::default();
        self.count = 0;
    }

    fn was_away(&self) -> Arc<AtomicBool> {
        if self.count < MOST_EARLY_STARTS {
            Arc::clone(&self.was_away)
        } else {
            Arc::default()
        }
    }
}

/// Checks a dependency on a separate thread until it is dropped.
#[must_use = "the thread stops when this value is dropped"]
pub(super) struct DependencyWatch(Arc<AtomicBool>);

impl DependencyWatch {
    /// Writes a byte to `signal` when the dependency accepts connections after it was away, but not
    /// before an early start is allowed. A dependency that always accepts is never reported. None if
    /// the thread cannot be started.
    pub(super) fn begin(
        dependency: Dependency,
        starts: &EarlyStarts,
        signal: UnixStream,
    ) -> Option<Self> {
        let is_up = move || dependency.accepts();
        let condition = (starts.was_away(), starts.last + EARLY_START);
        Self::spawn(is_up, condition, |_| PERIOD, signal)
    }

    /// Writes a byte to `signal` as soon as a program is listening on the local `address`
    /// (`host:port`), now or later. None if no thread can be started.
    pub(super) fn begin_listening(address: &str, signal: UnixStream) -> Option<Self> {
        let dependency = Dependency::Address(address.to_owned());
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let listens = move || {
            port.and_then(is_listening)
                .unwrap_or_else(|| dependency.accepts())
        };
        let period = |looks| {
            if looks < SHORT_PERIODS {
                SHORT_PERIOD
            } else {
                PERIOD
            }
        };
        let condition = (Arc::new(AtomicBool::new(true)), Instant::now());
        Self::spawn(listens, condition, period, signal)
    }

    fn spawn(
        is_up: impl Fn() -> bool + Send + 'static,
        (was_away, earliest): (Arc<AtomicBool>, Instant),
        period: impl Fn(u32) -> Duration + Send + 'static,
        mut signal: UnixStream,
    ) -> Option<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let look = move || {
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                if !is_up() {
                    was_away.store(true, Ordering::Relaxed);
                } else if was_away.load(Ordering::Relaxed) && Instant::now() >= earliest {
                    if !is_over.load(Ordering::Relaxed) {
                        let _ = signal.write_all(&[1]);
                    }
                    return;
                }
                std::thread::sleep(period(looks));
                looks = looks.saturating_add(1);
            }
        };
        std::thread::Builder::new()
            .name("dependency".into())
            .stack_size(STACK_BYTES)
            .spawn(look)
            .ok()?;
        Some(Self(over))
    }
}

/// Whether a program is listening on a TCP port of this machine; none if the kernel does not report
/// it. This opens no connection: the client logs an ERROR line for each connection that closes without
/// a handshake, and that line would become its last error (0.6.0, measured).
fn is_listening(port: u16) -> Option<bool> {
    // proc_net(5): number, local address and port in hexadecimal, remote ones, state. 0A: LISTEN.
    let local = format!(":{port:04X}");
    let listens = |table: &str| {
        table.lines().any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let is_port = fields.next().is_some_and(|field| field.ends_with(&local));
            is_port && fields.nth(1) == Some("0A")
        })
    };
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let mut tables = tables.into_iter().flatten().peekable();
    tables.peek()?;
    Some(tables.any(|table| listens(&table)))
}

impl Drop for DependencyWatch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    /// A client that was started long ago.
    fn early() -> EarlyStarts {
        EarlyStarts {
            last: Instant::now().checked_sub(EARLY_START).unwrap(),
            ..EarlyStarts::new()
        }
    }

    /// Whether a byte arrives within this time.
    fn is_reported(signal: &mut UnixStream, within: Duration) -> bool {
        signal.set_read_timeout(Some(within)).unwrap();
        match signal.read(&mut [0]) {
            Ok(count) => count == 1,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(e) => panic!("{e}"),
        }
    }

    #[test]
    fn a_socket_that_comes_back_is_reported_once_and_one_that_was_never_away_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.sock");
        // A killed node leaves its socket file.
        drop(UnixListener::bind(&path).unwrap());
        let (mut signal, end) = UnixStream::pair().unwrap();
        let watch =
            DependencyWatch::begin(Dependency::Socket(path.clone()), &early(), end).unwrap();
        assert!(!is_reported(
            &mut signal,
            PERIOD + Duration::from_millis(500)
        ));
        std::fs::remove_file(&path).unwrap();
        let node = UnixListener::bind(&path).unwrap();
        assert!(is_reported(&mut signal, 2 * PERIOD));
        drop(watch);

        let (mut signal, end) = UnixStream::pair().unwrap();
        let _watch = DependencyWatch::begin(Dependency::Socket(path), &early(), end).unwrap();
        assert!(!is_reported(&mut signal, 2 * PERIOD));
        drop(node);
    }

    #[test]
    fn a_client_is_reported_as_soon_as_it_listens_and_gets_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (mut signal, end) = UnixStream::pair().unwrap();
        let watch = DependencyWatch::begin_listening(&address.to_string(), end).unwrap();
        assert!(is_reported(&mut signal, PERIOD));
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop((watch, listener));

        let (mut signal, end) = UnixStream::pair().unwrap();
        let _watch = DependencyWatch::begin_listening(&address.to_string(), end).unwrap();
        assert!(!is_reported(&mut signal, Duration::from_millis(300)));
        let _listener = TcpListener::bind(address).unwrap();
        assert!(is_reported(&mut signal, PERIOD));
    }

    #[test]
    fn a_template_providers_address_is_watched_until_nobody_needs_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let (mut signal, end) = UnixStream::pair().unwrap();
        let watch = DependencyWatch::begin(Dependency::Address(address.to_string()), &early(), end)
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let _listener = TcpListener::bind(address).unwrap();
        assert!(is_reported(&mut signal, 2 * PERIOD));
        drop(watch);

        let (mut signal, end) = UnixStream::pair().unwrap();
        let nowhere = Dependency::Address("name.invalid:1".into());
        drop(DependencyWatch::begin(nowhere, &early(), end).unwrap());
        // When the thread exits, its end of the connection is closed.
        signal
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(signal.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn one_that_closes_its_connections_is_not_back_until_it_keeps_one_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Dependency::Address(listener.local_addr().unwrap().to_string());
        let (mut signal, end) = UnixStream::pair().unwrap();
        let _watch = DependencyWatch::begin(address, &early(), end).unwrap();
        let begun = Instant::now();
        let mut closed = 0;
        while begun.elapsed() < 2 * PERIOD {
            drop(listener.accept().unwrap());
            closed += 1;
        }
        assert!(closed > 1);
        assert!(!is_reported(&mut signal, Duration::from_millis(100)));
        // From now on nothing is accepted and nothing is closed: the system keeps them open.
        assert!(is_reported(&mut signal, PERIOD + 2 * HOLD));
    }

    #[test]
    fn one_that_was_away_is_reported_again_until_the_client_is_ready_but_not_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let dependency = Dependency::Address(address.to_string());
        let mut starts = early();
        let (mut signal, end) = UnixStream::pair().unwrap();
        let watch = DependencyWatch::begin(dependency.clone(), &starts, end).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        // It accepts connections before it can be used.
        let _listener = TcpListener::bind(address).unwrap();
        assert!(is_reported(&mut signal, 3 * PERIOD));
        drop(watch);
        starts.note_early();
        starts.note_start();
        let (mut signal, end) = UnixStream::pair().unwrap();
        let watch = DependencyWatch::begin(dependency.clone(), &starts, end).unwrap();
        assert!(!is_reported(&mut signal, EARLY_START - PERIOD));
        assert!(is_reported(&mut signal, 3 * PERIOD));
        drop(watch);
        // Too many early starts failed, or the client was ready meanwhile.
        for is_ready in [false, true] {
            if is_ready {
                starts.reset();
            } else {
                starts.count = MOST_EARLY_STARTS;
            }
            starts.last = early().last;
            let (mut signal, end) = UnixStream::pair().unwrap();
            let _watch = DependencyWatch::begin(dependency.clone(), &starts, end).unwrap();
            assert!(!is_reported(&mut signal, 2 * PERIOD));
        }
    }
}
