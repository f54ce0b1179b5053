//! The line with which `jd-manager dial-stdio` begins its connections: what they may do.

use std::os::fd::AsFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;

use rustix::net::{RecvFlags, recv};

use crate::base::ssh_access::SshAccess;

/// The beginning of a connection on the Unix socket.
pub(super) enum ConnectionStart {
    /// A request.
    Request,
    /// The line of `dial-stdio`; requests follow.
    Ssh(SshAccess),
    /// A line that cannot be read.
    Unknown,
}

/// Waits for the first byte and reads the line, if there is one. A request is left unread.
pub(super) async fn read_start(stream: &mut UnixStream) -> std::io::Result<ConnectionStart> {
    let first = stream
        .async_io(Interest::READABLE, || {
            let mut byte = [0];
            let (_, count) = recv(stream.as_fd(), &mut byte[..], RecvFlags::PEEK)?;
            Ok((count == 1).then_some(byte[0]))
        })
        .await?;
    if first != Some(SshAccess::FIRST_BYTE) {
        return Ok(ConnectionStart::Request);
    }
    // Byte by byte, because what follows belongs to the requests.
    let mut line = Vec::with_capacity(SshAccess::LONGEST_LINE);
    while line.len() < SshAccess::LONGEST_LINE {
        match stream.read_u8().await? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    let access = std::str::from_utf8(&line).ok().and_then(SshAccess::parse);
    Ok(access.map_or(ConnectionStart::Unknown, ConnectionStart::Ssh))
}
