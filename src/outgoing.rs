//! HTTP to this machine's own addresses: no TLS, no proxy, no look at the machine's certificates (which may be missing, and take 20 ms to read).

use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A client in the making that speaks plain HTTP without a proxy. It trusts nobody by certificate, so it reaches nothing by TLS.
///
/// # Panics
/// Never: the provider of cryptography that is compiled in has the protocol versions that are asked of it.
pub fn plain() -> reqwest::ClientBuilder {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions of TLS")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls)
}
