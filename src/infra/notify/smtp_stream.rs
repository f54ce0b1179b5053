//! The connection to a mail server: name resolution, TCP, TLS and STARTTLS, with limited input.
//!
//! Handles the part of SMTP before TLS, because plain text received after the reply to STARTTLS must be
//! discarded together with the connection (RFC 3207, section 6; the attack is CVE-2011-0411).

use super::channel::MailSecurity;
use super::error::{self, SendError};
use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::extension::ClientId;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// The maximum number of bytes a mail server may send in total. A session has about one KiB.
const MAX_INCOMING: usize = 64 << 10;
/// The greeting of a server. Servers do not repeat it after STARTTLS, but the following dialog
/// expects it.
const GREETING: &[u8] = b"220 secured\r\n";

/// The address of a mail server.
pub(super) struct MailServer<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) security: MailSecurity,
}

impl MailServer<'_> {
    /// Host and port for messages: `mail.example.org:465`.
    pub(super) fn place(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }

    /// Connects to the server. The greeting is not read yet.
    pub(super) async fn connect(
        &self,
        tls: &Arc<ClientConfig>,
        has_authorities: bool,
    ) -> Result<SmtpStream, SendError> {
        let unconnected = |error: io::Error| {
            error::unconnected(
                &self.place(),
                &error as &(dyn Error + 'static),
                has_authorities,
                &[],
            )
        };
        let tcp = TcpStream::connect((self.host, self.port))
            .await
            .map_err(unconnected)?;
        let (peer, local) = (
            tcp.peer_addr().map_err(unconnected)?,
            tcp.local_addr().map_err(unconnected)?,
        );
        let mut wire = SmtpStream {
            line: SmtpLine::Plain(tcp),
            said: &[],
            left: MAX_INCOMING,
            peer,
            local,
        };
        if self.security == MailSecurity::Starttls {
            wire.ask_for_tls(&self.place()).await?;
            wire.said = GREETING;
        }
        if self.security != MailSecurity::None {
            let name = ServerName::try_from(self.host.to_owned()).map_err(|_| {
                SendError::for_good(
                    "Enter the mail server's name as it appears in its certificate.",
                )
            })?;
            let SmtpLine::Plain(tcp) = wire.line else {
                return Ok(wire);
            };
            let secured = TlsConnector::from(Arc::clone(tls))
                .connect(name, tcp)
                .await
                .map_err(unconnected)?;
            wire.line = SmtpLine::Secured(Box::new(secured));
        }
        Ok(wire)
    }
}

/// The name of this machine in the dialog: its address, because its name is unknown to others.
pub(super) fn client_id(local: SocketAddr) -> ClientId {
    match local.ip().to_canonical() {
        IpAddr::V4(ip) => ClientId::Ipv4(ip),
        IpAddr::V6(ip) => ClientId::Ipv6(ip),
    }
}

/// A connection that fails after more than 64 KiB of input.
#[derive(Debug)]
pub(super) struct SmtpStream {
    line: SmtpLine,
    /// Input to return first.
    said: &'static [u8],
    left: usize,
    peer: SocketAddr,
    /// The local address of the connection.
    pub(super) local: SocketAddr,
}

#[derive(Debug)]
enum SmtpLine {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl SmtpStream {
    /// Reads the greeting and requests TLS. With `Ok` the server expects the TLS handshake.
    async fn ask_for_tls(&mut self, place: &str) -> Result<(), SendError> {
        let broken = |error: io::Error| {
            error::unconnected(place, &error as &(dyn Error + 'static), true, &[])
        };
        let unusable = |said: &str| {
            SendError::for_now(format!(
                "The mail server {place} is not accepting messages right now{}.",
                error::quote(said, &[])
            ))
        };
        let greeting = self.reply().await.map_err(broken)?;
        if !greeting.starts_with("220") {
            return Err(unusable(&greeting));
        }
        let hello = lettre::transport::smtp::commands::Ehlo::new(client_id(self.local)).to_string();
        self.write_all(hello.as_bytes()).await.map_err(broken)?;
        let abilities = self.reply().await.map_err(broken)?;
        if !abilities.starts_with("250") {
            return Err(unusable(&abilities));
        }
        // Capabilities are ignored, because an attacker could have changed them. The reply counts,
        // and then the certificate.
        self.write_all(b"STARTTLS\r\n").await.map_err(broken)?;
        let consent = self.reply().await.map_err(broken)?;
        if !consent.starts_with("220") {
            let words = format!(
                "The mail server {place} does not offer STARTTLS on this port{}. Choose TLS and its port, usually 465.",
                error::quote(&consent, &[])
            );
            return Err(if consent.starts_with('4') {
                SendError::for_now(words)
            } else {
                SendError::for_good(words)
            });
        }
        Ok(())
    }

    /// Reads one reply with all its lines, byte by byte, so that bytes after it are not consumed. The
    /// TLS handshake then rejects them and the connection fails.
    async fn reply(&mut self) -> io::Result<String> {
        let mut reply = Vec::new();
        loop {
            let start = reply.len();
            while reply.last() != Some(&b'\n') || reply.len() == start {
                reply.push(self.read_u8().await?);
            }
            // `250-` means that another line follows; `250 ` is the last line.
            if reply.get(start + 3) != Some(&b'-') {
                return Ok(String::from_utf8_lossy(&reply).into_owned());
            }
        }
    }
}

impl AsyncRead for SmtpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if !wire.said.is_empty() {
            let (now, later) = wire.said.split_at(wire.said.len().min(buf.remaining()));
            buf.put_slice(now);
            wire.said = later;
            return Poll::Ready(Ok(()));
        }
        if wire.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server sent too much data")));
        }
        // The last chunk may exceed the limit by at most the size of the buffer.
        let before = buf.filled().len();
        let polled = match &mut wire.line {
            SmtpLine::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            SmtpLine::Secured(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        wire.left = wire.left.saturating_sub(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for SmtpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.line {
            SmtpLine::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            SmtpLine::Secured(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.line {
            SmtpLine::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            SmtpLine::Secured(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.line {
            SmtpLine::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            SmtpLine::Secured(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl AsyncTokioStream for SmtpStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
