//! The key file: created once, synced before anything is encrypted with it, readable only by its
//! owner.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::files::open_regular;

/// The file's name in the data directory.
pub const KEY_FILE: &str = "secrets.key";

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Header of the key file, so that people and programs recognize it.
const TITLE: &str = "jd-manager-secrets-key-1 ";
/// Maximum size; a key file is far smaller.
const LARGEST: u64 = 4096;

/// Why the key is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or created.
    #[error("cannot use the encryption key {path}: {cause}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file has other content.
    #[error(
        "{path} is not a jd-manager key: it was damaged or replaced. Restore the correct key from a backup that contains it. Nothing was changed."
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Other users can read the file, and this cannot be changed.
    #[error(
        "{path} can be read by other users, and its mode cannot be changed: {cause}. Set the mode to 0600."
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
}

/// A key in memory.
#[derive(Clone)]
pub struct VaultKey(pub(super) [u8; KEY_BYTES]);

impl VaultKey {
    /// Creates a key.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key in `data_dir`; `None`: there is no file. If other users can read the file, its mode is
    /// corrected.
    ///
    /// # Errors
    /// The file cannot be read, is not a key, or stays readable by others.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, KeyFileError> {
        let path = data_dir.join(KEY_FILE);
        let unusable = |cause| KeyFileError::Unusable {
            path: path.clone(),
            cause,
        };
        let file = match open_regular(&path, File::options().read(true)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unusable(e)),
        };
        let mode = file.metadata().map_err(unusable)?.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))
                .map_err(|cause| KeyFileError::Open {
                    path: path.clone(),
                    cause,
                })?;
            tracing::warn!(
                file = %path.display(),
                mode = format!("{:03o}", mode & 0o777),
                "other users could read the encryption key; its mode is 0600 again. If someone may have read it, replace the secrets in configurations and channels"
            );
        }
        let mut text = String::new();
        file.take(LARGEST)
            .read_to_string(&mut text)
            .map_err(|_| KeyFileError::Damaged { path: path.clone() })?;
        Self::parse(&text)
            .map(Some)
            .ok_or(KeyFileError::Damaged { path })
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD
            .decode(text.trim().strip_prefix(TITLE)?.trim())
            .ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Writes the key to `data_dir`, where there is no key yet. It is synced when this returns.
    pub fn write(&self, data_dir: &Path) -> Result<(), KeyFileError> {
        let path = data_dir.join(KEY_FILE);
        let draft = data_dir.join(format!("{KEY_FILE}.new"));
        let write = || -> io::Result<()> {
            // Left by a manager that was killed.
            match fs::remove_file(&draft) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)?;
            writeln!(file, "{TITLE}{}", STANDARD.encode(self.0))?;
            file.sync_all()?;
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                &draft,
                rustix::fs::CWD,
                &path,
                rustix::fs::RenameFlags::NOREPLACE,
            )?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|cause| KeyFileError::Unusable {
            path: path.clone(),
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(VaultKey::read(dir.path()).unwrap().is_none());
        let key = VaultKey::generate().unwrap();
        fs::write(dir.path().join("secrets.key.new"), "of one that was killed").unwrap();
        key.write(dir.path()).unwrap();
        let file = dir.path().join(KEY_FILE);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(VaultKey::read(dir.path()).unwrap().unwrap().0, key.0);
        assert!(
            VaultKey::generate().unwrap().write(dir.path()).is_err(),
            "the one that is there stays"
        );
        assert_eq!(VaultKey::read(dir.path()).unwrap().unwrap().0, key.0);
        assert_eq!(
            fs::read_dir(dir.path())
                .unwrap()
                .filter(|e| e.as_ref().unwrap().file_name() == KEY_FILE)
                .count(),
            1
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_taken_from_them() {
        let dir = tempfile::tempdir().unwrap();
        VaultKey::generate().unwrap().write(dir.path()).unwrap();
        let file = dir.path().join(KEY_FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(VaultKey::read(dir.path()).unwrap().is_some());
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn what_is_no_key_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(KEY_FILE);
        for text in [
            "",
            "secret",
            "jd-manager-secrets-key-1 c2hvcnQ=",
            "jd-manager-secrets-key-2 AAAA",
            "jd-manager-secrets-key-1 !",
        ] {
            fs::write(&file, text).unwrap();
            let error = VaultKey::read(dir.path()).err().unwrap();
            assert!(matches!(error, KeyFileError::Damaged { .. }), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(matches!(
            VaultKey::read(dir.path()),
            Err(KeyFileError::Damaged { .. })
        ));
    }
}
