//! A connection of a simulated client to its template provider: nothing is sent, but the client
//! notices that the provider refuses the connection, and that it is gone.

use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub(super) struct ProviderLink(TcpStream);

impl ProviderLink {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// The provider cannot be reached.
    pub(super) async fn open(address: &str) -> io::Result<Self> {
        TcpStream::connect(address).await.map(Self)
    }

    /// Waits until the provider closes the connection. What it sends is ignored.
    pub(super) async fn closed(&mut self) {
        let mut ignored = [0; 1024];
        while matches!(self.0.read(&mut ignored).await, Ok(1..)) {}
    }
}
