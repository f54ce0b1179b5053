//! The certificate and key for TLS: read from files, checked, and reloaded on
//! request.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as TlsError, ServerConfig};

/// The PEM files of certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by the rest of its chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The first certificate, which is the server's.
    ///
    /// # Errors
    /// The file cannot be read, or contains no certificate.
    pub fn leaf(&self) -> Result<CertificateDer<'static>, String> {
        certificates(&self.certificate).map(|mut all| all.swap_remove(0))
    }
}

/// The current certificate and key.
#[derive(Debug)]
pub struct TlsState(RwLock<InForce>);

#[derive(Debug)]
struct InForce {
    files: TlsFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    config: Arc<ServerConfig>,
}

impl TlsState {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// Which file is wrong and why.
    pub fn load(files: TlsFiles) -> Result<Self, String> {
        InForce::load(files).map(|loaded| Self(RwLock::new(loaded)))
    }

    /// Reloads the files and uses them from the next connection on; returns whether anything
    /// changed. Nothing changes after an error.
    ///
    /// # Errors
    /// Which file is wrong and why.
    pub fn reload(&self, files: TlsFiles) -> Result<bool, String> {
        let loaded = InForce::load(files)?;
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = current.chain != loaded.chain || current.key != loaded.key;
        *current = loaded;
        Ok(is_other)
    }

    /// Performs the handshake of a connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .config
                .clone(),
        )
    }
}

impl InForce {
    fn load(files: TlsFiles) -> Result<Self, String> {
        let chain = certificates(&files.certificate)?;
        let key = key(&files.key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("cannot set up TLS: {e}"))?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|e| match e {
                TlsError::InconsistentKeys(_) => format!(
                    "tls_key: the key in {} does not match the first certificate in {}",
                    files.key.display(),
                    files.certificate.display()
                ),
                TlsError::InvalidCertificate(e) => {
                    format!(
                        "tls_cert: the first certificate in {} cannot be used: {e:?}",
                        files.certificate.display()
                    )
                }
                e => format!(
                    "tls_key: the key in {} with the certificate in {}: {e}",
                    files.key.display(),
                    files.certificate.display()
                ),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            files,
            chain,
            key,
            config: Arc::new(config),
        })
    }
}

impl std::fmt::Display for TlsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            &self
                .0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .files
                .certificate
                .to_string_lossy(),
        )
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |e: &PemError| said("tls_cert", path, "certificate", e);
    let all = CertificateDer::pem_file_iter(path).map_err(|e| told(&e))?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(|e| told(&e))?;
    if all.is_empty() {
        return Err(told(&PemError::NoItemsFound));
    }
    Ok(all)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|e| said("tls_key", path, "private key without a password", &e))
}

/// The error of a file; never its content.
fn said(setting: &str, path: &Path, wanted: &str, error: &PemError) -> String {
    let path = path.display();
    match error {
        PemError::Io(e) => format!("{setting}: {path} cannot be read: {e}"),
        PemError::NoItemsFound => {
            format!("{setting}: {path} contains no {wanted} in PEM format (\"-----BEGIN …\")")
        }
        _ => format!("{setting}: {path} is damaged: a PEM block in it is incomplete or not Base64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(what: &str, der: &[u8]) -> String {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
    }

    struct Made {
        dir: tempfile::TempDir,
    }

    impl Made {
        fn new() -> Self {
            let made = Self {
                dir: tempfile::tempdir().unwrap(),
            };
            for name in ["one", "two"] {
                let pair =
                    rcgen::generate_simple_self_signed(vec![format!("{name}.example")]).unwrap();
                made.write(&format!("{name}.crt"), &pem("CERTIFICATE", pair.cert.der()));
                made.write(
                    &format!("{name}.key"),
                    &pem("PRIVATE KEY", &pair.signing_key.serialize_der()),
                );
            }
            made
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.dir.path().join(name), text).unwrap();
        }

        fn files(&self, certificate: &str, key: &str) -> TlsFiles {
            TlsFiles {
                certificate: self.dir.path().join(certificate),
                key: self.dir.path().join(key),
            }
        }
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said_and_which_it_is() {
        let made = Made::new();
        let key = std::fs::read_to_string(made.dir.path().join("one.key")).unwrap();
        made.write("empty", "");
        made.write("cut.key", &key[..key.len() / 2]);
        made.write(
            "garbled.crt",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        made.write(
            "locked.key",
            &key.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")
                .replace("END PRIVATE", "END ENCRYPTED PRIVATE"),
        );
        for (certificate, key, says) in [
            (
                "one.crt",
                "two.key",
                ["tls_key", "two.key", "does not match"],
            ),
            (
                "nowhere.crt",
                "one.key",
                ["tls_cert", "nowhere.crt", "No such file"],
            ),
            (
                "one.crt",
                "nowhere.key",
                ["tls_key", "nowhere.key", "No such file"],
            ),
            ("empty", "one.key", ["tls_cert", "empty", "no certificate"]),
            (
                "one.key",
                "one.key",
                ["tls_cert", "one.key", "no certificate"],
            ),
            ("one.crt", "empty", ["tls_key", "empty", "no private key"]),
            (
                "one.crt",
                "one.crt",
                ["tls_key", "one.crt", "no private key"],
            ),
            ("one.crt", "cut.key", ["tls_key", "cut.key", "damaged"]),
            (
                "one.crt",
                "locked.key",
                ["tls_key", "locked.key", "without a password"],
            ),
            (
                "garbled.crt",
                "one.key",
                ["tls_cert", "garbled.crt", "cannot be used"],
            ),
        ] {
            let error = TlsState::load(made.files(certificate, key)).unwrap_err();
            for word in says {
                assert!(error.contains(word), "{certificate} with {key}: {error}");
            }
        }
        TlsState::load(made.files("one.crt", "one.key")).unwrap();
    }

    #[test]
    fn other_files_are_taken_and_wrong_ones_change_nothing() {
        let made = Made::new();
        let tls = TlsState::load(made.files("one.crt", "one.key")).unwrap();
        let config = |tls: &TlsState| tls.0.read().unwrap().config.clone();
        assert_eq!(tls.reload(made.files("one.crt", "one.key")), Ok(false));
        let before = config(&tls);
        assert!(
            tls.reload(made.files("one.crt", "two.key"))
                .unwrap_err()
                .contains("two.key")
        );
        assert!(Arc::ptr_eq(&before, &config(&tls)));
        assert_eq!(tls.reload(made.files("two.crt", "two.key")), Ok(true));
        assert!(!Arc::ptr_eq(&before, &config(&tls)));
    }
}
