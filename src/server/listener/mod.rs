//! Where requests come in: the doors (TCP, TCP with TLS, a Unix socket), how many may stand in
//! them, how long they may take, and who they are.
//!
//! An accept loop of our own on hyper. What it bounds: the time and the size of a request's head,
//! silence in its body, a reader that takes nothing, idle connections, handshakes, connections in
//! all and from one address. It puts the peer's address (`web::caller`) into each request. Knows no
//! domain and no address of a page.

mod accept;
mod connection;
mod limits;
mod proxies;
mod socket;
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

/// Connections that the Unix socket takes at once, besides those over TCP: whoever fills these does
/// not lock out the machine's own user.
const SOCKET_CONNECTIONS: usize = 64;
/// Connections from one address, unless it is this machine's or a trusted proxy's.
const FROM_ONE_ADDRESS: usize = 64;

/// What to open.
#[derive(Debug)]
pub struct ListenConfig {
    /// The address for TCP; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The certificate, if TCP connections are TLS.
    pub tls: Option<Arc<TlsState>>,
    /// Where the Unix socket lies, and whether to go on without it if it cannot be had.
    pub socket: Option<(PathBuf, SocketRequirement)>,
    /// Whose word about the other end counts.
    pub proxies: Vec<IpNet>,
    /// TCP connections at once.
    pub max_connections: usize,
}

/// What it means that the Unix socket cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRequirement {
    /// Nobody named it: it is said in the log.
    No,
    /// It was asked for: it is an error.
    Yes,
}

/// Open doors through which nobody has come yet.
#[derive(Debug)]
pub struct BoundListener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<TlsState>>,
    socket: Option<UnixListenSocket>,
    proxies: Arc<RwLock<TrustedProxies>>,
    max_connections: usize,
}

/// What can be changed while the doors are open.
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

    /// From the next request on the word of these counts.
    pub fn trust(&self, proxies: Vec<IpNet>) {
        *self
            .proxies
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = TrustedProxies::new(proxies);
    }
}

impl BoundListener {
    /// Opens what the plan says.
    ///
    /// # Errors
    /// Which door cannot be opened and why, for the person at the terminal.
    pub async fn open(plan: ListenConfig) -> Result<Self, String> {
        let tcp = TcpListener::bind(plan.listen).await.map_err(|e| {
            let advice = if e.kind() == std::io::ErrorKind::AddrInUse {
                " Another program is using this address. Choose another one with --listen."
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

    /// The address and port that TCP connections come to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first page's address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// The Unix socket's file, if there is one.
    pub fn socket(&self) -> Option<&std::path::Path> {
        self.socket.as_ref().map(UnixListenSocket::path)
    }

    /// What can be changed later.
    pub fn control(&self) -> ListenerControl {
        ListenerControl {
            tls: self.tls.clone(),
            proxies: self.proxies.clone(),
        }
    }

    /// Answers requests by `router` until `stop`; then takes no new ones and returns when those on
    /// their way have their answers. Dropped before, it cuts them off.
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
