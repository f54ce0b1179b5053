//! One connection: HTTP/1.1 with limits, and a close that lets the last response arrive.

use axum::body::Body;
use axum::http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::timeout::TimeoutBody;

use super::proxies::{NearEnd, TrustedProxies};
use crate::base::ssh_access::SshAccess;

/// Timeout for the headers of a request, from the end of the previous request: it also closes idle
/// connections.
const HEAD: Duration = Duration::from_secs(10);
/// Maximum bytes of the headers; more are rejected with 431. Browsers send less than 2 kB. The maximum
/// number of header lines is the default of the library, 100: to set it, even to the same number, allocates memory
/// for each request.
const HEAD_SIZE: usize = 32 * 1024;
/// Buffer size per connection, for reading and for writing.
const BUFFER: usize = 64 * 1024;
/// Timeout for the next piece of a body. The router limits the total
/// time.
const BODY: Duration = Duration::from_secs(30);
/// After closing our side: time for the peer to read the rest and close its side.
const LINGER: Duration = Duration::from_secs(2);

/// The shared state of a listener's connections.
#[derive(Clone)]
pub(super) struct ConnectionContext {
    pub(super) router: axum::Router,
    pub(super) proxies: Arc<RwLock<TrustedProxies>>,
    pub(super) stop: CancellationToken,
    /// What a connection through SSH may do.
    pub(super) ssh: Option<SshAccess>,
}

impl ConnectionContext {
    /// Whether this address is a trusted proxy.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.proxies
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .include(address)
    }

    /// Serves all requests on the stream.
    pub(super) async fn hold<S>(self, stream: S, side: NearEnd)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            router,
            proxies,
            stop,
            ssh,
        } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let peer = proxies
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .peer(side, request.headers());
            let mut request = request.map(|body| {
                if body.is_end_stream() {
                    Body::empty()
                } else {
                    Body::new(TimeoutBody::new(BODY, body))
                }
            });
            request.extensions_mut().insert(peer);
            if let Some(ssh) = &ssh {
                request.extensions_mut().insert(ssh.clone());
            }
            // Boxed, so that it can be moved and the stream returned at the end.
            Box::pin(router.clone().oneshot(request))
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_header_size(HEAD_SIZE)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let mut is_ending = false;
        let outcome = loop {
            tokio::select! {
                outcome = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break outcome,
                () = stop.cancelled(), if !is_ending => {
                    is_ending = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        match outcome {
            Err(error) if error.is_timeout() => {
                tracing::debug!("timed out waiting for a request's headers")
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was closed early");
                linger(connection.into_parts().io.into_inner()).await;
            }
            Ok(()) => linger(connection.into_parts().io.into_inner()).await,
        }
    }
}

/// Closes our side and continues reading for a moment: a stream that is closed with unread data is
/// reset, and the peer might not receive the last response.
pub(super) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let end = async {
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(LINGER, end).await;
}
