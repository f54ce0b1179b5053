//! The manager's connection to a keeper: reads and writes whole lines without blocking.

use std::io;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::keeper::client;
use crate::keeper::protocol::{self, KeeperRequest, KeeperStatus};

/// The two halves of the connection.
pub(super) struct KeeperStream {
    lines: BufReader<OwnedReadHalf>,
    partial: Vec<u8>,
    write: OwnedWriteHalf,
}

impl KeeperStream {
    /// Connects to the keeper of the instance in `dir`.
    pub(super) async fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.to_owned();
        let stream = tokio::task::spawn_blocking(move || client::connect(&dir))
            .await
            .map_err(io::Error::other)??;
        stream.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        Ok(Self {
            lines: BufReader::new(read),
            partial: Vec::new(),
            write,
        })
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: &KeeperRequest) -> io::Result<()> {
        self.write.write_all(&protocol::line(request)).await
    }

    /// The next line; `None` at the end. Cancel-safe: an incomplete line stays in `partial`.
    pub(super) async fn next(&mut self) -> io::Result<Option<KeeperStatus>> {
        if self.lines.read_until(b'\n', &mut self.partial).await? == 0
            || !self.partial.ends_with(b"\n")
        {
            return Ok(None);
        }
        let status = serde_json::from_slice(&self.partial)?;
        self.partial.clear();
        Ok(Some(status))
    }
}
