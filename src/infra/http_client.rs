//! HTTP clients: plain HTTP for addresses of this machine, TLS with the certificate authorities of
//! this machine for everything else.
//!
//! Independent of the servers.

use std::sync::Arc;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

/// The `User-Agent`.
pub const USER_AGENT: &str = concat!("jd-manager/", env!("CARGO_PKG_VERSION"));

/// A builder for a client that uses plain HTTP without a proxy. It trusts no certificates, so TLS
/// connections fail. (The certificate authorities may be missing and take 20 ms to read.)
///
/// # Panics
/// Never: the built-in cryptography provider supports the requested protocol versions.
pub fn plain() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(no_trusted_roots())
}

/// A TLS configuration without trusted certificates, for clients that use plain HTTP.
///
/// # Panics
/// Never, like [`plain`].
pub fn no_trusted_roots() -> ClientConfig {
    tls(RootCertStore::empty()).expect("ring knows the default versions of TLS")
}

/// A TLS configuration that trusts these authorities.
pub fn tls(authorities: RootCertStore) -> Result<ClientConfig, tokio_rustls::rustls::Error> {
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities)
            .with_no_client_auth(),
    )
}

/// A TLS configuration that trusts these authorities and these certificates: everything they sign, and
/// the certificates themselves under any name. A self-signed certificate rarely meets the rules for
/// server certificates.
pub fn tls_also_to(
    mut authorities: RootCertStore,
    known: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, TlsError> {
    authorities.add_parsable_certificates(known.iter().cloned());
    if known.is_empty() {
        return tls(authorities);
    }
    let provider = Arc::new(ring::default_provider());
    let others =
        WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
            .build()
            .map_err(|e| TlsError::General(e.to_string()))?;
    Ok(ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedCertificates {
            known,
            others: Some(others),
            provider,
        }))
        .with_no_client_auth())
}

/// A TLS configuration that trusts only one certificate under any name: the one of the manager, for
/// requests from this program on the same machine.
pub fn tls_to(certificate: CertificateDer<'static>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(PinnedCertificates {
        known: vec![certificate],
        others: None,
        provider: provider.clone(),
    });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Accepts one of these certificates, or one signed by a trusted authority. The signature of the
/// handshake proves that the server has the key.
#[derive(Debug)]
struct PinnedCertificates {
    known: Vec<CertificateDer<'static>>,
    others: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificates {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match &self.others {
            _ if self.known.contains(shown) => Ok(ServerCertVerified::assertion()),
            Some(others) => others.verify_server_cert(shown, between, name, ocsp, now),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificate authorities of this machine. Reading them takes about 20 ms. Unreadable files are
/// logged and ignored.
pub fn authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "could not read a file with certificate authorities");
    }
    authorities.add_parsable_certificates(found.certs);
    authorities
}
