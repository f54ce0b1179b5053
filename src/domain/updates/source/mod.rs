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

/// Maximum size of a program. The real one has 50 MB with debug symbols.
pub const LARGEST: u64 = 512 * 1024 * 1024;
/// Limits of an archive. Those of releases contain four files.
pub const LIMITS: ArchiveLimits = ArchiveLimits {
    file: LARGEST,
    all: 2 * LARGEST,
    entries: 1000,
};

/// A program file and its origin.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path, in the given directory.
    pub file: PathBuf,
    /// Kind of the source.
    pub origin: ClientOrigin,
    /// The tag of its release.
    pub tag: Option<String>,
    /// Address, path or command.
    pub from: String,
    /// How it was verified.
    pub proof: FileProof,
    /// Release notes.
    pub notes: String,
}

/// Why there is no file.
#[derive(Debug)]
pub enum SourceError {
    /// It failed.
    Failed {
        /// The problem and its fix.
        message: String,
        /// The last lines of output.
        excerpt: Vec<String>,
    },
    /// A user canceled it.
    Cancelled,
    /// The manager stops.
    Stopped,
}

impl SourceError {
    /// A failure.
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
    /// Maximum disk space needed, including the client itself, bytes.
    fn room(&self) -> u64;

    /// Writes the program file to `dir`, reporting progress.
    fn fetch<'a>(
        &'a self,
        dir: &'a Path,
        ticket: &'a JobGuard,
    ) -> BoxFuture<'a, Result<SourceFile, SourceError>>;
}

/// Unpacks the client from a release archive.
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
