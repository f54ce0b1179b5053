//! A client from a file: a program or a release archive, or two programs. The origin of the files is
//! not verified.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::job_tracker::JobGuard;
use super::super::model::{ClientOrigin, FileProof, JobStage};
use super::{ClientSource, LARGEST, NOT_IN_ARCHIVE, ProgramFiles, SourceError, SourceFile, unpack};

/// How a file compressed by gzip begins (RFC 1952).
const ARCHIVE: [u8; 2] = [0x1f, 0x8b];
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// A file on this machine.
#[derive(Debug)]
pub struct FromFile {
    /// Its path.
    pub path: PathBuf,
    /// Its name for display.
    pub shown: String,
    /// It was received for this job and may be moved; otherwise it is copied.
    pub is_ours: bool,
    /// The translator that was received with it, in the directory of the job.
    pub translator: Option<PathBuf>,
}

impl ClientSource for FromFile {
    fn room(&self) -> u64 {
        let len = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        // The content of an archive is about three times as large; a received file already uses its
        // space.
        let is_archive = || {
            let mut head = [0; 2];
            File::open(&self.path)
                .and_then(|mut file| file.read_exact(&mut head))
                .is_ok_and(|()| head == ARCHIVE)
        };
        match (self.is_ours, !self.is_ours || is_archive()) {
            (true, false) => 0,
            _ => len.saturating_mul(4).min(LARGEST),
        }
    }

    fn fetch<'a>(
        &'a self,
        dir: &'a Path,
        ticket: &'a JobGuard,
    ) -> BoxFuture<'a, Result<SourceFile, SourceError>> {
        self.copy_file(dir, ticket).boxed()
    }
}

impl FromFile {
    async fn copy_file(&self, dir: &Path, ticket: &JobGuard) -> Result<SourceFile, SourceError> {
        ticket
            .stage(JobStage::Unpacking, format!("Reading {}.", self.shown))
            .await?;
        let (path, copy, is_ours) = (self.path.clone(), dir.join("given"), self.is_ours);
        let into = copy.clone();
        let is_archive = tokio::task::spawn_blocking(move || take(&path, &into, is_ours)).await?;
        let is_archive = is_archive.map_err(|e| match e {
            FileSelection::Source(e) => SourceError::failed(format!(
                "Cannot read {}: {e}. Nothing was installed.",
                self.shown
            )),
            FileSelection::Copy(e) => e.into(),
        })?;
        let (files, no_translator) = match (is_archive, &self.translator) {
            (true, Some(_)) => {
                return Err(SourceError::failed(format!(
                    "Nothing was installed: {} is an archive, which cannot be combined with a separate translator. Choose the archive alone, or the \
                     two programs.",
                    self.shown
                )));
            }
            (true, None) => (unpack(copy, dir).await?, NOT_IN_ARCHIVE),
            (false, translator) => {
                let files = ProgramFiles {
                    client: copy,
                    translator: translator.clone(),
                };
                (files, "")
            }
        };
        let from = self.shown.clone();
        Ok(SourceFile {
            files,
            origin: ClientOrigin::File,
            tag: None,
            from,
            proof: FileProof::None,
            notes: String::new(),
            no_translator,
        })
    }
}

enum FileSelection {
    Source(io::Error),
    Copy(io::Error),
}

/// Copies a file, which may be an endless device, or moves a received one; returns whether it is a
/// compressed archive.
fn take(path: &Path, into: &Path, is_ours: bool) -> Result<bool, FileSelection> {
    // A pipe without a writer must not block.
    let source = File::options()
        .read(true)
        .custom_flags(NONBLOCK)
        .open(path)
        .map_err(FileSelection::Source)?;
    let meta = source.metadata().map_err(FileSelection::Source)?;
    if !meta.is_file() {
        return Err(FileSelection::Source(io::Error::other("not a file")));
    }
    if meta.len() > LARGEST {
        return Err(FileSelection::Source(io::Error::other(format!(
            "the file is too large for a client ({} bytes)",
            meta.len()
        ))));
    }
    let mut source = source.take(LARGEST);
    let mut head = Vec::with_capacity(2);
    source
        .by_ref()
        .take(2)
        .read_to_end(&mut head)
        .map_err(FileSelection::Source)?;
    if is_ours {
        std::fs::rename(path, into).map_err(FileSelection::Copy)?;
        return Ok(head == ARCHIVE);
    }
    let mut copy = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(into)
        .map_err(FileSelection::Copy)?;
    io::copy(&mut head.as_slice().chain(source), &mut copy).map_err(FileSelection::Copy)?;
    Ok(head == ARCHIVE)
}
