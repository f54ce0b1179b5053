//! The sources of clients. Each source writes the client, and the translator if it has one, to a
//! temporary directory and reports their origin. `install` does the rest.

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
use super::tags::{MEMBER, TRANSLATOR_MEMBER};
use crate::base::error::Error;
use crate::infra::archive::{ArchiveLimits, MemberTarget};

/// Maximum size of a program. The real one has 50 MB with debug symbols.
pub const LARGEST: u64 = 512 * 1024 * 1024;
/// Limits of an archive. Those of releases contain four files.
pub const LIMITS: ArchiveLimits = ArchiveLimits {
    file: LARGEST,
    all: 2 * LARGEST,
    entries: 1000,
};

/// The program files of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFiles {
    /// Path of the client.
    pub client: PathBuf,
    /// Path of the translator; none: the source has none.
    pub translator: Option<PathBuf>,
}

/// The program files and their origin.
#[derive(Debug)]
pub struct SourceFile {
    /// The files, in the given directory.
    pub files: ProgramFiles,
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
    /// Why there is no translator, as a sentence for the message of the job.
    pub no_translator: &'static str,
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
    /// Maximum disk space needed, including the programs themselves, bytes.
    fn room(&self) -> u64;

    /// Writes the program files to `dir`, reporting progress.
    fn fetch<'a>(
        &'a self,
        dir: &'a Path,
        ticket: &'a JobGuard,
    ) -> BoxFuture<'a, Result<SourceFile, SourceError>>;
}

/// [`SourceFile::no_translator`] of an archive.
const NOT_IN_ARCHIVE: &str = "The archive contains no translator.";

/// Unpacks the client from a release archive, and the translator if it contains one.
async fn unpack(archive: PathBuf, dir: &Path) -> Result<ProgramFiles, SourceError> {
    let (client, translator) = (dir.join("client"), dir.join("translator"));
    let into = (client.clone(), translator.clone());
    let unpacked = tokio::task::spawn_blocking(move || {
        let wanted = [
            MemberTarget {
                path: MEMBER,
                into: &into.0,
                is_required: true,
            },
            MemberTarget {
                path: TRANSLATOR_MEMBER,
                into: &into.1,
                is_required: false,
            },
        ];
        crate::infra::archive::extract(&archive, &wanted, LIMITS)
    })
    .await?;
    match unpacked {
        Ok(sizes) => Ok(ProgramFiles {
            client,
            translator: matches!(sizes[..], [_, Some(_)]).then_some(translator),
        }),
        Err(crate::infra::archive::ArchiveRefusal::Disk(error)) => Err(error.into()),
        Err(refused) => Err(SourceError::failed(format!(
            "Nothing was installed: {refused}."
        ))),
    }
}
