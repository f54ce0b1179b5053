//! Errors of backups, with messages for users.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::base::error::Error;
use crate::infra::archive::ArchiveRefusal;

/// Why a backup or restore failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Rejected: the problem and the fix.
    #[error("{0}")]
    Refused(String),
    /// Temporarily unavailable, not because of the request.
    #[error("{detail}")]
    Unavailable {
        /// The problem and the fix.
        detail: String,
        /// When a retry may succeed.
        retry_after: Option<Duration>,
    },
    /// An error of the disk or the system.
    #[error("{what}: {cause}")]
    Io {
        /// The failed operation.
        what: String,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

impl BackupError {
    /// The problem and, on a full disk, its fix.
    pub fn text(&self) -> String {
        match self {
            Self::Io { what, cause } if is_full(cause) => {
                format!("{what}: the disk is full. Free up some space, or delete older backups.")
            }
            other => other.to_string(),
        }
    }

    /// A rejection with this message.
    pub fn refused(words: impl Into<String>) -> Self {
        Self::Refused(words.into())
    }

    /// Temporarily not possible for this reason.
    pub fn unavailable(detail: impl ToString) -> Self {
        Self::Unavailable {
            detail: detail.to_string(),
            retry_after: None,
        }
    }

    /// For `map_err`: the operation and the file.
    pub fn at<'p>(what: &'p str, path: &'p Path) -> impl FnOnce(io::Error) -> Self + 'p {
        move |cause| Self::Io {
            what: format!("{} cannot be {what}", path.display()),
            cause,
        }
    }
}

/// Whether the disk is full, also according to SQLite.
fn is_full(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::StorageFull || cause.to_string().contains("disk is full")
}

impl From<ArchiveRefusal> for BackupError {
    fn from(refused: ArchiveRefusal) -> Self {
        Self::Refused(match refused {
            ArchiveRefusal::Disk(cause) => {
                return Self::Io {
                    what: "the unpacked files cannot be written".into(),
                    cause,
                };
            }
            other => format!("This file is not a valid backup: {other}."),
        })
    }
}

impl From<Error> for BackupError {
    fn from(error: Error) -> Self {
        match error {
            Error::Internal(cause) => Self::Io {
                what: "the database".into(),
                cause: io::Error::other(cause),
            },
            Error::Unavailable {
                detail,
                retry_after,
            } => Self::Unavailable {
                detail,
                retry_after,
            },
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<BackupError> for Error {
    fn from(fault: BackupError) -> Self {
        match fault {
            BackupError::Refused(words) => Self::Conflict(words),
            BackupError::Unavailable { detail, retry_after } => Self::Unavailable { detail, retry_after },
            BackupError::Io { cause, .. } if is_full(&cause) => Self::Unavailable {
                detail: "The disk is full: no backup was created. Free up some space, or delete older backups.".into(),
                retry_after: None,
            },
            other => Self::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(fault: BackupError) -> Option<(String, Option<Duration>)> {
        match Error::from(fault) {
            Error::Unavailable {
                detail,
                retry_after,
            } => Some((detail, retry_after)),
            _ => None,
        }
    }

    #[test]
    fn what_the_machine_refuses_is_unavailable_with_its_reason() {
        let soon = Some(Duration::from_secs(5));
        let database = |text: &str| {
            let kind = diesel::result::DatabaseErrorKind::Unknown;
            BackupError::from(Error::from(diesel::result::Error::DatabaseError(
                kind,
                Box::new(text.to_owned()),
            )))
        };
        let (full, locked) = (
            database("database or disk is full"),
            database("database is locked"),
        );
        assert_eq!(
            full.text(),
            "The disk is full: nothing was saved. Free up some space and try again."
        );
        assert_eq!(
            said(full),
            Some((
                "The disk is full: nothing was saved. Free up some space and try again.".into(),
                soon
            ))
        );
        assert_eq!(
            said(locked),
            Some((
                "Another program has locked the database: nothing was saved. Try again.".into(),
                soon
            ))
        );
        let path = Path::new("/data/backups");
        let on_disk =
            |number| BackupError::at("written", path)(io::Error::from_raw_os_error(number));
        assert_eq!(
            on_disk(28).text(),
            "/data/backups cannot be written: the disk is full. Free up some space, or delete older backups."
        );
        let (detail, _) = said(on_disk(28)).unwrap();
        assert_eq!(
            detail,
            "The disk is full: no backup was created. Free up some space, or delete older backups."
        );
        let (detail, _) = said(on_disk(30)).unwrap();
        assert!(detail.starts_with("The disk is read-only: "), "{detail}");
        // A conflict stays a rejection, and an unexpected error stays an internal
        // error.
        assert!(
            matches!(Error::from(BackupError::from(Error::Conflict("Taken.".into()))), Error::Conflict(words) if words == "Taken.")
        );
        assert!(matches!(
            Error::from(BackupError::from(Error::internal("odd"))),
            Error::Internal(_)
        ));
    }
}
