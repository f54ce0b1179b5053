//! A server that accepts every Stratum V2 connection: what a pool or a job declaration server says to
//! somebody who asks whether it would take a client. It does not mine.

use super::{PUBLIC_KEY, SECRET_KEY};
use key_utils::{Secp256k1PublicKey, Secp256k1SecretKey};
use noise_sv2::{ELLSWIFT_ENCODING_SIZE, Responder};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves on a port of loopback until the test ends, and counts the connections.
pub async fn accept_setups(port: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let counted: Arc<AtomicUsize> = Arc::default();
    let counter = Arc::clone(&counted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(accept_setup(stream));
        }
    });
    counted
}

async fn accept_setup(mut stream: TcpStream) -> std::io::Result<()> {
    let public: Secp256k1PublicKey = PUBLIC_KEY.parse().unwrap();
    let secret: Secp256k1SecretKey = SECRET_KEY.parse().unwrap();
    let keys = (public.into_bytes(), secret.into_bytes());
    let mut responder =
        Responder::from_authority_kp(&keys.0, &keys.1, Duration::from_secs(3600)).unwrap();
    let mut hello = [0; ELLSWIFT_ENCODING_SIZE];
    stream.read_exact(&mut hello).await?;
    let (answer, mut engine) = responder.step_1(hello).unwrap();
    stream.write_all(&answer).await?;
    // A header of 6 bytes and its tag, then what it says is to come.
    let mut header = vec![0; 22];
    stream.read_exact(&mut header).await?;
    engine.decrypt(&mut header).unwrap();
    let length = usize::from(u16::from_le_bytes([header[3], header[4]]));
    stream.read_exact(&mut vec![0; length + 16]).await?;
    // SetupConnectionSuccess: version 2, no flags.
    let (mut header, mut success) = (vec![0, 0, 1, 6, 0, 0], vec![2, 0, 0, 0, 0, 0]);
    engine.encrypt(&mut header).unwrap();
    engine.encrypt(&mut success).unwrap();
    header.append(&mut success);
    stream.write_all(&header).await?;
    // Until the other side hangs up.
    stream.read_u8().await?;
    Ok(())
}
