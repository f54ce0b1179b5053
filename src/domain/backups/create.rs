//! Creates a backup: a database snapshot and further files in one archive. Blocks; call it on a blocking
//! thread. Works with or without a running manager.

use diesel::SqliteConnection;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tar::{Builder, Header};

use super::encryption::{BackupPassphrase, BackupSink};
use super::error::BackupError;
use super::manifest::{BackupManifest, BackupMember, FILE, POOLS, hex};
use super::queries;
use crate::base::clock::Timestamp;
use crate::base::error::Error;
use crate::base::failpoint;
use crate::domain::vault::{KEY_FILE, Vault};
use crate::infra::db;
use crate::infra::log_store::SecretMask;
use crate::infra::log_store::mask::MaskReader;
use crate::keeper::{names, segment};

/// Adds the secrets in a database to a mask.
pub type SecretSource = fn(&mut SqliteConnection, &Vault, &SecretMask) -> Result<(), Error>;

/// Options of a backup.
#[derive(Clone, Debug, Default)]
pub struct BackupRequest {
    /// Include the encryption key.
    pub with_key: bool,
    /// Include the logs of clients and translators.
    pub with_logs: bool,
    /// The passphrase to encrypt with.
    pub passphrase: Option<BackupPassphrase>,
    /// The source of secret keys that clients may have printed. A backup without the encryption key has
    /// asterisks instead.
    pub secrets: Option<SecretSource>,
}

/// Progress of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct BackupProgress {
    /// Bytes archived so far, before compression.
    pub bytes: u64,
    /// Files archived so far.
    pub files: u64,
}

/// Receives the progress and returns whether to continue.
type ProgressCallback<'t> = &'t dyn Fn(BackupProgress) -> bool;

/// Creates a backup of `data_dir` in the new file `to`, mode 0600. The file gets its name only when it is
/// complete and synced. `told` receives each step and returns whether to continue.
///
/// # Errors
/// No database, missing key, `to` exists, disk errors, or canceled.
pub fn make(
    data_dir: &Path,
    order: &BackupRequest,
    to: &Path,
    told: ProgressCallback<'_>,
) -> Result<BackupManifest, BackupError> {
    let name = to
        .file_name()
        .ok_or_else(|| BackupError::refused(format!("{} is not a file name.", to.display())))?;
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::refused(format!(
            "{} already exists. Choose another name, or delete the file first.",
            to.display()
        )));
    }
    let beside = |ending: &str| to.with_file_name(format!(".{}.{ending}", name.to_string_lossy()));
    // Left by a process that was killed.
    let _ = fs::remove_file(beside("part"));
    let draft = BackupDraft(beside("part"));
    let manifest = write(data_dir, order, &draft.0, &beside("db"), told)?;
    failpoint::reach("backup.written");
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(rustix::fs::CWD, &draft.0, rustix::fs::CWD, to, flags)
        .map_err(|e| BackupError::at("written", to)(e.into()))?;
    sync_dir(to)?;
    Ok(manifest)
}

/// Syncs a file's directory.
pub fn sync_dir(of: &Path) -> Result<(), BackupError> {
    let dir = of
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(BackupError::at("written", dir))
}

/// A file that is deleted unless it was renamed.
struct BackupDraft(PathBuf);

impl Drop for BackupDraft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn write(
    data_dir: &Path,
    order: &BackupRequest,
    draft: &Path,
    snapshot: &Path,
    told: ProgressCallback<'_>,
) -> Result<BackupManifest, BackupError> {
    let _ = fs::remove_file(snapshot);
    let snapshot = BackupDraft(snapshot.to_owned());
    // First the snapshot of one moment. The files that are read later are only appended to, so they
    // contain everything that the snapshot refers to.
    db::copy(&data_dir.join(db::FILE), &snapshot.0)?;
    let schema = db::check_copy(&snapshot.0).map_err(BackupError::unavailable)?;
    let (configurations, instances, sealed) = db::read_copy(&snapshot.0, |c| {
        Ok((
            queries::configurations(c)?,
            queries::instances(c)?,
            queries::is_sealed(c)?,
        ))
    })?;
    failpoint::reach("backup.snapshot");
    let key = data_dir.join(KEY_FILE);
    if order.with_key && sealed && !key.exists() {
        return Err(BackupError::refused(format!(
            "{} is missing, so it cannot be included in the backup. Restore the file, or create a backup without the key.",
            key.display()
        )));
    }
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)
        .map_err(BackupError::at("written", draft))?;
    let sink = BackupSink::new(file, order.passphrase.as_ref())
        .map_err(BackupError::at("written", draft))?;
    let tar = Builder::new(GzEncoder::new(sink, Compression::default()));
    let manifest = BackupManifest {
        configurations,
        instances: i64::try_from(instances.len()).unwrap_or(i64::MAX),
        sealed,
        ..BackupManifest::new(Timestamp::now(), schema)
    };
    let manifest = BackupManifest {
        with_logs: order.with_logs,
        ..manifest
    };
    let mask = if order.with_key {
        None
    } else {
        Some(mask_secrets(data_dir, order.secrets, &snapshot.0)?)
    };
    let mut pack = BackupArchive {
        tar,
        manifest,
        mask,
        progress: BackupProgress::default(),
        told,
        draft,
    };
    pack.file(db::FILE, &snapshot.0)?;
    failpoint::reach("backup.database");
    if order.with_key {
        pack.manifest.holds_key = pack.file(KEY_FILE, &key)?;
    }
    pack.file(POOLS, &data_dir.join(POOLS))?;
    for id in instances {
        let (dir, name) = (
            data_dir.join("instances").join(id.to_string()),
            format!("instances/{id}"),
        );
        pack.journal(&format!("{name}/events.jsonl"), &dir.join("events.jsonl"))?;
        for logs in [names::LOGS, names::TRANSLATOR_LOGS] {
            pack.logs(&format!("{name}/{logs}"), &dir.join(logs), order.with_logs)?;
        }
    }
    pack.finish()
}

/// The mask for secrets that clients printed; also removes them from the history in the snapshot.
/// Without the key file, only texts that look like a secret key are masked.
fn mask_secrets(
    data_dir: &Path,
    source: Option<SecretSource>,
    snapshot: &Path,
) -> Result<SecretMask, BackupError> {
    let mask = SecretMask::default();
    let vault = Vault::find(data_dir).map_err(BackupError::unavailable)?;
    if let (Some(learn), Some(vault)) = (source, vault) {
        db::read_copy(snapshot, |c| learn(c, &vault, &mask))?;
        let secrets = mask.all();
        if db::read_copy(snapshot, |c| Ok(queries::has_secrets(c, &secrets)?))? {
            db::change_copy(snapshot, |c| Ok(queries::mask(c, &secrets)?))?;
        }
    }
    Ok(mask)
}

/// An archive that is being written.
struct BackupArchive<'p> {
    tar: Builder<GzEncoder<BackupSink>>,
    manifest: BackupManifest,
    /// Masks secrets in the clients' output.
    mask: Option<SecretMask>,
    progress: BackupProgress,
    told: ProgressCallback<'p>,
    draft: &'p Path,
}

impl BackupArchive<'_> {
    /// Archives a file at its current length; false: it does not exist.
    fn file(&mut self, name: &str, path: &Path) -> Result<bool, BackupError> {
        let file = match File::open(path) {
            Ok(file) => file,
            // The instance or the segment was deleted in the meantime.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(BackupError::at("read", path)(e)),
        };
        let size = file
            .metadata()
            .map_err(BackupError::at("read", path))?
            .len();
        self.append_file(name, size, file)?;
        Ok(true)
    }

    /// Archives a client's output at its current length, without secrets.
    fn segment(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let Some(mask) = self.mask.clone() else {
            return self.file(name, path).map(drop);
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(BackupError::at("read", path)(e)),
        };
        let size = file
            .metadata()
            .map_err(BackupError::at("read", path))?
            .len();
        self.append_file(name, size, MaskReader::new(file.take(size), mask))
    }

    /// Archives a journal up to its last complete line: the next one is still being written.
    fn journal(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(BackupError::at("read", path)(e)),
        };
        let size = whole_lines(&file).map_err(BackupError::at("read", path))?;
        let Some(mask) = self.mask.clone() else {
            return self.append_file(name, size, file);
        };
        let mut bytes = Vec::new();
        file.take(size)
            .read_to_end(&mut bytes)
            .map_err(BackupError::at("read", path))?;
        mask.cover(&mut bytes);
        // The client's last output is cut at a maximum length, perhaps within a key.
        for text in bytes.split_mut(|b| *b == b'"') {
            mask.cover_start(text);
            mask.cover_end(text);
        }
        self.append_file(name, bytes.len() as u64, bytes.as_slice())
    }

    /// Archives the segments of a log, or only an empty segment at its end: offsets in the database
    /// stay valid.
    fn logs(&mut self, name: &str, dir: &Path, with_content: bool) -> Result<(), BackupError> {
        let segments = segment::list(dir).map_err(BackupError::at("read", dir))?;
        if with_content {
            for one in &segments {
                self.segment(
                    &format!("{name}/{}", segment::file_name(one.base)),
                    &one.path,
                )?;
            }
        } else if let Some(last) = segments.last() {
            self.append_file(
                &format!("{name}/{}", segment::file_name(last.end())),
                0,
                io::empty(),
            )?;
        }
        Ok(())
    }

    fn append_file(
        &mut self,
        name: &str,
        size: u64,
        content: impl Read,
    ) -> Result<(), BackupError> {
        let mut watched = ProgressReader {
            inner: content.take(size),
            hash: Sha256::new(),
            progress: &mut self.progress,
            told: self.told,
            has_stopped: false,
        };
        let header = header(size);
        let put = self
            .tar
            .append_data(&mut header.clone(), name, &mut watched);
        if watched.has_stopped {
            return Err(BackupError::unavailable(
                "Backup canceled because jd-manager is stopping.",
            ));
        }
        put.map_err(|e| BackupError::at("written", self.draft)(e))?;
        let left = watched.inner.limit();
        let sha256 = hex(&watched.hash.finalize());
        if left > 0 {
            return Err(BackupError::refused(format!(
                "{name} changed during the backup. Create the backup again."
            )));
        }
        self.progress.files += 1;
        self.manifest.files.push(BackupMember {
            path: name.into(),
            size,
            sha256,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<BackupManifest, BackupError> {
        let failed = BackupError::at("written", self.draft);
        let text =
            serde_json::to_vec_pretty(&self.manifest).expect("a manifest is texts and numbers");
        let finish = || -> io::Result<()> {
            self.tar
                .append_data(&mut header(text.len() as u64), FILE, text.as_slice())?;
            self.tar.into_inner()?.finish()?.finish()?.sync_all()
        };
        finish().map_err(failed)?;
        Ok(self.manifest)
    }
}

/// The number of bytes up to a file's last line break. Reads the file from its end, in pieces,
/// because it may be large.
fn whole_lines(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut piece = vec![0; 64 * 1024];
    while end > 0 {
        let begin = end.saturating_sub(piece.len() as u64);
        let length = usize::try_from(end - begin).map_err(io::Error::other)?;
        file.read_exact_at(&mut piece[..length], begin)?;
        if let Some(last) = memchr::memrchr(b'\n', &piece[..length]) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn header(size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o600);
    header
}

/// Reads, hashes and reports progress.
struct ProgressReader<'w, R> {
    inner: io::Take<R>,
    hash: Sha256,
    progress: &'w mut BackupProgress,
    told: ProgressCallback<'w>,
    has_stopped: bool,
}

impl<R: Read> Read for ProgressReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.progress.bytes += n as u64;
        if !(self.told)(*self.progress) {
            self.has_stopped = true;
            return Err(io::Error::other("canceled"));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_end_with_the_last_line_break_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let long = 200 * 1024;
        for (content, size) in [
            (Vec::new(), 0),
            (b"cut o".to_vec(), 0),
            (b"one\ntwo\n".to_vec(), 8),
            (b"one\ncut o".to_vec(), 4),
            ([b"one\n".to_vec(), vec![b'x'; long]].concat(), 4),
            (vec![b'x'; long], 0),
            ([vec![b'x'; long], b"\n".to_vec()].concat(), long as u64 + 1),
        ] {
            fs::write(&path, &content).unwrap();
            assert_eq!(
                whole_lines(&File::open(&path).unwrap()).unwrap(),
                size,
                "{}",
                content.len()
            );
        }
    }
}
