//! What can go wrong with a backup, in words for whoever asked for it.

use std::io;
use std::path::Path;

use crate::base::error::Error;
use crate::infra::archive::Refused;

/// Why a backup was not made or not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is refused: what is wrong and what to do.
    #[error("{0}")]
    Refused(String),
    /// The disk or the system.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

impl Fault {
    /// The problem and, on a full disk, its fix.
    pub fn text(&self) -> String {
        match self {
            Self::Io { what, cause } if is_full(cause) => {
                format!("{what}: the disk is full. Free some space, or delete older backups.")
            }
            other => other.to_string(),
        }
    }

    /// A refusal in these words.
    pub fn refused(words: impl Into<String>) -> Self {
        Self::Refused(words.into())
    }

    /// For `map_err`: what was being done to which file.
    pub fn at<'p>(what: &'p str, path: &'p Path) -> impl FnOnce(io::Error) -> Self + 'p {
        move |cause| Self::Io { what: format!("{} cannot be {what}", path.display()), cause }
    }
}

/// Whether the disk is full, also according to SQLite.
fn is_full(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::StorageFull || cause.to_string().contains("disk is full")
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Refused(match refused {
            Refused::Disk(cause) => return Self::Io { what: "what is unpacked cannot be written".into(), cause },
            other => format!("This is no backup that can be restored: {other}."),
        })
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Internal(cause) => Self::Io { what: "the database".into(), cause: io::Error::other(cause) },
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(words) => Self::Conflict(words),
            Fault::Io { cause, .. } if is_full(&cause) => Self::Unavailable {
                detail: "The disk is full: no backup was made. Free some space, or delete older backups.".into(),
                retry_after: None,
            },
            other => Self::internal(other),
        }
    }
}
