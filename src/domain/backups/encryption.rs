//! Encrypted backups: the format of `age` with its scrypt recipient, so that other programs can
//! decrypt them as well.

use age::secrecy::SecretString;
use age::stream::StreamWriter;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::rc::Rc;

use super::error::BackupError;

/// Minimum length of a passphrase.
const SHORTEST: usize = 8;
/// The work factor as a power of two (128 MiB of memory per guess). The same on all machines, so that
/// a small one can restore the backup of a large one.
const WORK: u8 = 17;
/// The maximum work factor for foreign files: 256 MiB, as with `age -p`.
const MOST_WORK: u8 = 18;
/// Maximum header length in bytes, because it is read into memory and parsed again for each byte. Normal
/// headers have about 200.
const LONGEST_HEADER: u64 = 4096;
/// The first bytes of encrypted backups.
pub const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// The passphrase of a backup. Neither printed nor stored.
#[derive(Clone)]
pub struct BackupPassphrase(SecretString);

impl std::fmt::Debug for BackupPassphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

impl BackupPassphrase {
    /// A passphrase to encrypt with.
    ///
    /// # Errors
    /// The passphrase is too short.
    pub fn new(text: String) -> Result<Self, String> {
        if text.chars().count() < SHORTEST {
            return Err(format!(
                "The passphrase must have at least {SHORTEST} characters. Use several unrelated words."
            ));
        }
        Ok(Self(SecretString::from(text)))
    }

    /// A passphrase to decrypt with, without checks.
    pub fn given(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

/// The target of an archive.
pub enum BackupSink {
    /// Not encrypted.
    Plain(BufWriter<File>),
    /// Encrypted.
    Sealed(Box<StreamWriter<BufWriter<File>>>),
}

impl BackupSink {
    /// Writes to `file`, encrypted if there is a passphrase.
    pub fn new(file: File, passphrase: Option<&BackupPassphrase>) -> io::Result<Self> {
        let out = BufWriter::new(file);
        let Some(passphrase) = passphrase else {
            return Ok(Self::Plain(out));
        };
        let mut recipient = age::scrypt::Recipient::new(passphrase.0.clone());
        recipient.set_work_factor(WORK);
        let encryptor =
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .map_err(io::Error::other)?;
        Ok(Self::Sealed(Box::new(encryptor.wrap_output(out)?)))
    }

    /// Flushes the remaining data; the file is not synced yet.
    pub fn finish(self) -> io::Result<File> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Sealed(out) => out.finish()?,
        };
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for BackupSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Sealed(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Sealed(out) => out.flush(),
        }
    }
}

/// Decrypts a backup.
///
/// # Errors
/// The passphrase is wrong, or the file is damaged.
pub fn opened<R: Read>(
    input: R,
    passphrase: &BackupPassphrase,
) -> Result<impl Read + use<R>, BackupError> {
    let damaged =
        |e: age::DecryptError| BackupError::refused(format!("The backup is damaged: {e}."));
    let left = Rc::new(Cell::new(LONGEST_HEADER));
    let decryptor = age::Decryptor::new(HeaderLimit {
        inner: input,
        left: left.clone(),
    })
    .map_err(damaged)?;
    left.set(u64::MAX);
    let mut identity = age::scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(MOST_WORK);
    decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .map_err(|e| match e {
            age::DecryptError::DecryptionFailed
            | age::DecryptError::KeyDecryptionFailed
            | age::DecryptError::NoMatchingKeys => BackupError::refused("Wrong passphrase."),
            other => damaged(other),
        })
}

/// Reads at most the remaining bytes, and fails beyond them.
struct HeaderLimit<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for HeaderLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let left = self
            .left
            .get()
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other("its header is too long"))?;
        self.left.set(left);
        Ok(n)
    }
}
