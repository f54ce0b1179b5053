//! How this program speaks HTTP to others: to this machine's own addresses plainly, to the world by TLS with the certificate authorities that
//! this machine trusts.
//!
//! Vocabulary: knows nobody who is spoken to.

use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// What others are told who asks.
pub const USER_AGENT: &str = concat!("jd-manager/", env!("CARGO_PKG_VERSION"));

/// A client in the making that speaks plain HTTP without a proxy. It trusts nobody by certificate, so it reaches nothing by TLS. (The machine's
/// authorities may be missing, and take 20 ms to read.)
///
/// # Panics
/// Never: the provider of cryptography that is compiled in has the protocol versions that are asked of it.
pub fn plain() -> reqwest::ClientBuilder {
    let tls = tls(RootCertStore::empty()).expect("ring knows the default versions of TLS");
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls)
}

/// TLS that trusts these authorities.
///
/// # Errors
/// The library refuses it.
pub fn tls(authorities: RootCertStore) -> Result<ClientConfig, tokio_rustls::rustls::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth())
}

/// The certificate authorities of this machine. Reads the disk for about 20 ms; files that cannot be read are told of in the log and left out.
#[must_use]
pub fn authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a file with certificate authorities cannot be read");
    }
    authorities.add_parsable_certificates(found.certs);
    authorities
}
