//! The sources of clients. Each source writes one program file to a temporary directory and reports
//! its origin. `install` does the rest.

mod cargo;
mod file;
mod release;

pub use cargo::{FromCargo, find_cargo};
pub use file::FromFile;
pub use release::FromRelease;

use futures_util::future::BoxFuture;
use std::path::{Path, PathBuf};

use super::job_tracker::JobGuard;
use super::model::{ClientOrigin, FileProof};
use crate::base::error::Error;
use crate::infra::archive::ArchiveLimits;

/// A program may have so many bytes. The real one has 50 MB when it is not stripped.
pub const LARGEST: u64 = 512 * 1024 * 1024;
/// What an archive may hold. Those of releases hold four files.
pub const LIMITS: ArchiveLimits = ArchiveLimits {
    file: LARGEST,
    all: 2 * LARGEST,
    entries: 1000,
};

/// A program file and what its source says of it.
#[derive(Debug)]
pub struct SourceFile {
    /// Where it lies, in the directory that was given.
    pub file: PathBuf,
    /// What kind of source it was.
    pub origin: ClientOrigin,
    /// The tag of its release.
    pub tag: Option<String>,
    /// The address, the path or the command.
    pub from: String,
    /// By what it is known to be the right one.
    pub proof: FileProof,
    /// What changed.
    pub notes: String,
}

/// Why there is no file.
#[derive(Debug)]
pub enum SourceError {
    /// It did not work.
    Failed {
        /// What happened and what to do.
        message: String,
        /// What was said at the end of it.
        excerpt: Vec<String>,
    },
    /// Somebody did not want it any more.
    Cancelled,
    /// The manager ends.
    Stopped,
}

impl SourceError {
    /// It did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            excerpt: Vec::new(),
        }
    }
}

impl From<std::io::Error> for SourceError {
    fn from(error: std::io::Error) -> Self {
        let advice = match error.kind() {
            std::io::ErrorKind::StorageFull => {
                " Free up disk space for the data directory and try again."
            }
            std::io::ErrorKind::PermissionDenied => {
                " Check the permissions of the directory clients/ in the data directory."
            }
            _ => "",
        };
        Self::failed(format!("Cannot write the file: {error}.{advice}"))
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        if let Error::Internal(cause) = &error {
            tracing::error!(%cause, "an update job failed");
            return Self::failed("Internal error in jd-manager. See its log for the cause.");
        }
        Self::failed(error.to_string())
    }
}

impl From<tokio::task::JoinError> for SourceError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::from(Error::internal(error))
    }
}

/// A source of one client.
pub trait ClientSource: Send + Sync {
    /// Bytes of disk it needs at most on the way, the client itself included.
    fn room(&self) -> u64;

    /// Brings the program file into `dir`, reporting progress.
    fn fetch<'a>(
        &'a self,
        dir: &'a Path,
        ticket: &'a JobGuard,
    ) -> BoxFuture<'a, Result<SourceFile, SourceError>>;
}

/// Takes the client out of an archive as releases are.
async fn unpack(archive: PathBuf, dir: &Path) -> Result<PathBuf, SourceError> {
    let into = dir.join("client");
    let file = into.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        crate::infra::archive::extract(&archive, super::tags::MEMBER, &into, LIMITS)
    })
    .await?;
    match unpacked {
        Ok(_) => Ok(file),
        Err(crate::infra::archive::ArchiveRefusal::Disk(error)) => Err(error.into()),
        Err(refused) => Err(SourceError::failed(format!(
            "Nothing was installed: {refused}."
        ))),
    }
}
