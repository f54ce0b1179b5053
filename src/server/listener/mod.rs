//! The listener: its sockets (TCP, TCP with TLS, a Unix socket), limits on connections and time, and
//! the identity of peers.
//!
//! Its own accept loop on hyper limits the time and size of request headers,
//! pauses in bodies, slow readers, idle connections, handshakes, and connections in
//! total and per address. It puts the peer's address (`web::caller`) into each request. Independent of
//! domains and routes.

mod accept;
mod connection;
mod limits;
mod proxies;
mod socket;
mod ssh_line;
mod tls;
mod write_timeout;

use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use proxies::TrustedProxies;
pub use socket::reach;
pub use tls::{TlsFiles, TlsState};

use accept::{Acceptor, IncomingStream};
use limits::ConnectionLimits;
use socket::UnixListenSocket;

/// Maximum connections on the Unix socket, in addition to TCP: a flood over TCP does
/// not lock out local commands.
const SOCKET_CONNECTIONS: usize = 64;
/// Maximum connections from one address, except local addresses and trusted proxies.
const FROM_ONE_ADDRESS: usize = 64;

/// The sockets to open.
#[derive(Debug)]
pub struct ListenConfig {
    /// The address for TCP; port 0 selects a free port.
    pub listen: SocketAddr,
    /// The certificate, if TCP connections are TLS.
    pub tls: Option<Arc<TlsState>>,
    /// The path of the Unix socket, and whether to continue without it if it cannot be opened.
    pub socket: Option<(PathBuf, SocketRequirement)>,
    /// Trusted proxies.
    pub proxies: Vec<IpNet>,
    /// Maximum number of TCP connections.
    pub max_connections: usize,
}

/// The reaction if the Unix socket cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRequirement {
    /// The default path: log a warning.
    No,
    /// A configured path: an error.
    Yes,
}

/// Open sockets before the first connection is accepted.
#[derive(Debug)]
pub struct BoundListener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<TlsState>>,
    socket: Option<UnixListenSocket>,
    proxies: Arc<RwLock<TrustedProxies>>,
    max_connections: usize,
}

/// Settings that can be changed while listening.
#[derive(Clone, Debug)]
pub struct ListenerControl {
    tls: Option<Arc<TlsState>>,
    proxies: Arc<RwLock<TrustedProxies>>,
}

impl ListenerControl {
    /// The certificate in use, if there is one.
    pub fn tls(&self) -> Option<&Arc<TlsState>> {
        self.tls.as_ref()
    }

    /// Sets the trusted proxies, from the next request on.
    pub fn trust(&self, proxies: Vec<IpNet>) {
        *self
            .proxies
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = TrustedProxies::new(proxies);
    }
}

impl BoundListener {
    /// Opens the configured sockets.
    ///
    /// # Errors
    /// Which socket cannot be opened and why, for the person at the terminal.
    pub async fn open(plan: ListenConfig) -> Result<Self, String> {
        let tcp = TcpListener::bind(plan.listen).await.map_err(|e| {
            let advice = if e.kind() == std::io::ErrorKind::AddrInUse {
                " Another program is using this address. Choose another address with --listen."
            } else {
                ""
            };
            format!("cannot listen on {}: {e}.{advice}", plan.listen)
        })?;
        let address = tcp.local_addr().map_err(|e| e.to_string())?;
        let socket = match plan.socket {
            None => None,
            Some((path, needed)) => match UnixListenSocket::open(&path) {
                Ok(socket) => Some(socket),
                Err(reason) if needed == SocketRequirement::Yes => {
                    return Err(format!("socket: {reason}"));
                }
                Err(reason) => {
                    tracing::warn!("no Unix socket; use --url on the command line: {reason}");
                    None
                }
            },
        };
        let max_connections = limits::connection_limit(plan.max_connections);
        let proxies = Arc::new(RwLock::new(TrustedProxies::new(plan.proxies)));
        Ok(Self {
            tcp,
            address,
            tls: plan.tls,
            socket,
            proxies,
            max_connections,
        })
    }

    /// The address and port for TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the first page.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// The Unix socket's file, if there is one.
    pub fn socket(&self) -> Option<&std::path::Path> {
        self.socket.as_ref().map(UnixListenSocket::path)
    }

    /// The handle for later changes.
    pub fn control(&self) -> ListenerControl {
        ListenerControl {
            tls: self.tls.clone(),
            proxies: self.proxies.clone(),
        }
    }

    /// Serves requests with `router` until `stop`; then accepts no new ones and returns when open requests
    /// are completed. If it is dropped before, they are aborted.
    pub async fn serve(self, router: axum::Router, stop: CancellationToken) {
        // Once for all connections, as `axum::serve` does.
        let router = router.with_state(());
        let tcp = Acceptor {
            way: IncomingStream::Tcp(self.tcp, self.tls),
            seats: ConnectionLimits::new("connections", self.max_connections, FROM_ONE_ADDRESS),
            proxies: self.proxies.clone(),
        };
        let tcp = tcp.serve(router.clone(), stop.clone());
        match self.socket {
            None => tcp.await,
            Some(socket) => {
                let socket = Acceptor {
                    way: IncomingStream::Unix(socket),
                    seats: ConnectionLimits::new(
                        "connections on the Unix socket",
                        SOCKET_CONNECTIONS,
                        SOCKET_CONNECTIONS,
                    ),
                    proxies: self.proxies,
                };
                tokio::join!(tcp, socket.serve(router, stop));
            }
        }
    }
}
