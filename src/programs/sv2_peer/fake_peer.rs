//! Servers for tests, each with one behavior, good or bad, on any free loopback port.

use key_utils::{Secp256k1PublicKey, Secp256k1SecretKey};
use noise_sv2::{ELLSWIFT_ENCODING_SIZE, NoiseEngine, Responder};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The published example pair, as in `tests/peers`.
pub(crate) const PUBLIC_KEY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
const SECRET_KEY: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
/// A key that no server here uses.
pub(crate) const OTHER_KEY: &str = "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan";
const CERTIFICATE: Duration = Duration::from_secs(3600);

/// What a server does with each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FakePeer {
    /// Accepts the connection and sends nothing.
    Silent,
    /// Accepts and closes the connection.
    Closing,
    /// Sends these bytes after it has received some, then nothing.
    Saying(&'static [u8]),
    /// Sends a byte every 20 ms.
    Dripping,
    /// Completes the handshake and sends nothing more.
    SilentAfterHandshake,
    /// Completes the handshake and closes the connection.
    ClosingAfterHandshake,
    /// Completes the handshake, reads the setup, and answers with a message of this type and
    /// content.
    Replying(u8, &'static [u8]),
    /// Would accept the client.
    Answering,
}

impl FakePeer {
    /// Serves until the test ends; the port, and how many connections there were.
    pub(crate) async fn serve(self) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(self.treat(stream));
            }
        });
        (port, connections)
    }

    /// An unused port.
    pub(crate) async fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    }

    /// The connection ends with this function.
    async fn treat(self, mut stream: TcpStream) {
        let reply: (u8, &[u8]) = match self {
            Self::Closing => return,
            Self::Silent => return std::future::pending().await,
            Self::Saying(bytes) => {
                stream.read_u8().await.unwrap();
                stream.write_all(bytes).await.unwrap();
                return std::future::pending().await;
            }
            Self::Dripping => {
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            Self::SilentAfterHandshake | Self::ClosingAfterHandshake => (0, b""),
            Self::Replying(kind, content) => (kind, content),
            // Version 2, no flags.
            Self::Answering => (1, &[2, 0, 0, 0, 0, 0]),
        };
        // A peer with the wrong key disconnects after the handshake.
        let Some(mut engine) = accept_handshake(&mut stream).await else {
            return;
        };
        match self {
            Self::SilentAfterHandshake => return std::future::pending().await,
            Self::ClosingAfterHandshake => return,
            _ => {}
        }
        let mut header = vec![0; 6 + 16];
        if stream.read_exact(&mut header).await.is_err() {
            return;
        }
        engine.decrypt(&mut header).unwrap();
        assert_eq!(&header[..3], [0, 0, 0], "SetupConnection");
        let length = usize::from(u16::from_le_bytes([header[3], header[4]]));
        let mut request = vec![0; length + 16];
        stream.read_exact(&mut request).await.unwrap();
        engine.decrypt(&mut request).unwrap();
        let (kind, content) = reply;
        let length = u16::try_from(content.len()).unwrap().to_le_bytes();
        let (mut header, mut content) =
            (vec![0, 0, kind, length[0], length[1], 0], content.to_vec());
        engine.encrypt(&mut header).unwrap();
        engine.encrypt(&mut content).unwrap();
        header.append(&mut content);
        stream.write_all(&header).await.unwrap();
        // Until the other side disconnects.
        let _ = stream.read_u8().await;
    }
}

async fn accept_handshake(stream: &mut TcpStream) -> Option<NoiseEngine> {
    let public: Secp256k1PublicKey = PUBLIC_KEY.parse().unwrap();
    let secret: Secp256k1SecretKey = SECRET_KEY.parse().unwrap();
    let mut responder =
        Responder::from_authority_kp(&public.into_bytes(), &secret.into_bytes(), CERTIFICATE)
            .unwrap();
    let mut hello = [0; ELLSWIFT_ENCODING_SIZE];
    stream.read_exact(&mut hello).await.ok()?;
    let (answer, engine) = responder.step_1(hello).unwrap();
    stream.write_all(&answer).await.ok()?;
    Some(engine)
}
