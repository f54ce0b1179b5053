//! Errors in the product's own terms, for every domain.
//!
//! Vocabulary: independent of HTTP and pages. `web::problem` maps errors to what API clients
//! and people see.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time until a retry after an error of the system.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error in one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct FieldError {
    /// RFC 6901 JSON pointer into the body that was sent, e.g. `/config/upstreams/0/pool_port`; for
    /// a query parameter its name behind a slash. Empty: the body as a whole.
    pub pointer: String,
    /// The problem and the fix, for people.
    pub detail: String,
}

impl FieldError {
    /// An error of the field at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }

    /// The same error with `prefix` (including its leading slash) before
    /// the pointer.
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }

    /// The detail for a page: an API name at its start is written as words, and API
    /// values as shown on pages.
    pub fn page_text(&self) -> Cow<'_, str> {
        self.page_text_as(None)
    }

    /// Like [`Self::page_text`], for a field with this label. Without a label, the text uses the
    /// words of the API name.
    pub fn page_text_as(&self, label: Option<&str>) -> Cow<'_, str> {
        let name = self
            .pointer
            .rsplit('/')
            .find(|part| part.parse::<usize>().is_err())
            .unwrap_or_default();
        match self.detail.strip_prefix(name) {
            Some(rest) if !name.is_empty() && rest.starts_with([' ', ':']) => Cow::Owned(format!(
                "{}{}",
                label.map_or_else(|| field_name_text(name), label_text),
                rest.replace("true or false", "on or off")
            )),
            _ => Cow::Borrowed(&self.detail),
        }
    }
}

/// `Token (optional)` as `Token`, and `Repeat every (seconds, optional)` as `Repeat every (seconds)`.
fn label_text(label: &str) -> String {
    label
        .trim_end_matches(" (optional)")
        .replace(", optional)", ")")
}

/// `memory_limit_mib` as `Memory limit (MiB)`.
fn field_name_text(name: &str) -> String {
    let units = [
        ("_mib", "MiB"),
        ("_ms", "ms"),
        ("_s", "seconds"),
        ("_id", ""),
    ];
    let found = units
        .iter()
        .find_map(|(end, unit)| name.strip_suffix(end).map(|rest| (rest, *unit)));
    let (stem, unit) = found.unwrap_or((name, ""));
    let mut letters = stem.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase()).into_iter();
    let words: String = first
        .chain(letters)
        .map(|c| if c == '_' { ' ' } else { c })
        .collect();
    if unit.is_empty() {
        words
    } else {
        format!("{words} ({unit})")
    }
}

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The kind of object: `instance`, `saved configuration`, …
        what: &'static str,
        /// The requested id or name.
        id: String,
    },
    /// The request conflicts with the current state: already running, name already in use, still in use.
    #[error("{0}")]
    Conflict(String),
    /// The request is not valid; one entry per field.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// Temporarily unavailable, not because of the request.
    #[error("{detail}")]
    Unavailable {
        /// The problem and the fix.
        detail: String,
        /// When a retry may succeed.
        retry_after: Option<Duration>,
    },
    /// An internal error. The cause is for the log, never for the page.
    #[error("internal error: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn summary(errors: &[FieldError]) -> String {
    match errors {
        [] => "The request is not valid.".into(),
        [one] => one.detail.clone(),
        [first, rest @ ..] => format!("{} Other errors: {}.", first.detail, rest.len()),
    }
}

impl Error {
    /// Wraps a cause. A temporary problem of the system (full disk, too many open files, locked
    /// database) becomes [`Error::Unavailable`] with the reason and the fix; anything else is
    /// an internal error.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let cause = cause.into();
        match machine_fault(&*cause) {
            Some(detail) => {
                tracing::warn!(%cause, "the system reported an error");
                Self::Unavailable {
                    detail,
                    retry_after: Some(RETRY_AFTER),
                }
            }
            None => Self::Internal(cause),
        }
    }

    /// Whether another process holds the database's lock.
    pub fn is_database_lock(&self) -> bool {
        self.is_of(DATABASE_LOCKED)
    }

    /// Whether SQLite reports that the database file is damaged.
    pub fn is_database_damage(&self) -> bool {
        self.is_of(DATABASE_DAMAGED)
    }

    fn is_of(&self, fault: MachineFault) -> bool {
        matches!(self, Self::Unavailable { detail, .. } if detail.starts_with(fault.0))
    }

    /// An error of one field.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }

    /// There is no `what` named `id`.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(cause: diesel::result::Error) -> Self {
        Self::internal(cause)
    }
}

impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self::internal(cause)
    }
}

/// An I/O error and the file it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct FileError {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl FileError {
    /// For `map_err`: adds the file.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self {
            path: path.into(),
            cause,
        }
    }
}

impl From<FileError> for Error {
    fn from(cause: FileError) -> Self {
        Self::internal(cause)
    }
}

/// An error of the system, and its fix.
type MachineFault = (&'static str, &'static str);

const DISK_FULL: MachineFault = (
    "The disk is full",
    "nothing was saved. Free up some space and try again.",
);
const DATABASE_LOCKED: MachineFault = (
    "Another program has locked the database",
    "nothing was saved. Try again.",
);
const DATABASE_DAMAGED: MachineFault = (
    "The database file is damaged",
    "nothing was saved. Stop jd-manager and restore a backup. Mining continues.",
);
const DISK_ERROR: MachineFault = (
    "The disk reported an error",
    "the action did not complete. Check the disk and the kernel log.",
);

/// The message if the system, not the program, caused the error; none: not a known system
/// error.
fn machine_fault(cause: &(dyn StdError + 'static)) -> Option<String> {
    let mut file = String::new();
    let mut next = Some(cause);
    while let Some(cause) = next {
        next = cause.source();
        if let Some(about) = cause.downcast_ref::<FileError>() {
            file = format!(" ({})", about.path.display());
        }
        let fault = if let Some(cause) = cause.downcast_ref::<io::Error>() {
            io_fault(cause)
        } else if cause.is::<diesel::result::Error>() || cause.is::<diesel::ConnectionError>() {
            database_fault(&cause.to_string())
        } else {
            None
        };
        if let Some((what, advice)) = fault {
            return Some(format!("{what}{file}: {advice}"));
        }
    }
    None
}

fn io_fault(cause: &io::Error) -> Option<MachineFault> {
    // Linux error numbers, the same on every architecture.
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match (cause.kind(), cause.raw_os_error()) {
        (ErrorKind::StorageFull, _) => Some(DISK_FULL),
        (ErrorKind::QuotaExceeded, _) => Some((
            "The disk quota is used up",
            "nothing was saved. Free up some space or raise the quota, and try again.",
        )),
        (ErrorKind::ReadOnlyFilesystem, _) => Some((
            "The disk is read-only",
            "nothing was saved. Mount it read-write. The kernel log may show the reason.",
        )),
        (ErrorKind::PermissionDenied, _) => Some((
            "Permission denied",
            "the action failed. Check the owner and mode of the data directory.",
        )),
        (_, Some(EMFILE)) => Some((
            "jd-manager has too many open files",
            "the action failed. Raise the limit (LimitNOFILE= in the service unit, or ulimit -n) and restart jd-manager.",
        )),
        (_, Some(ENFILE)) => Some((
            "The system has too many open files",
            "the action failed. Raise fs.file-max.",
        )),
        (_, Some(EIO)) => Some(DISK_ERROR),
        _ => None,
    }
}

/// Detected by SQLite's texts, because diesel does not expose its codes.
fn database_fault(text: &str) -> Option<MachineFault> {
    let faults: [(&[&str], MachineFault); 6] = [
        (&["database or disk is full"], DISK_FULL),
        (&["disk I/O error"], DISK_ERROR),
        (&["is locked"], DATABASE_LOCKED),
        (&["malformed", "not a database"], DATABASE_DAMAGED),
        (
            &["readonly database"],
            (
                "The database cannot be written (read-only disk or file)",
                "nothing was saved.",
            ),
        ),
        (
            &["unable to open database file"],
            (
                "The database file cannot be opened",
                "the action failed. Either jd-manager has too many open files, or it does not have permission to open the file.",
            ),
        ),
    ];
    faults
        .into_iter()
        .find(|(signs, _)| signs.iter().any(|sign| text.contains(sign)))
        .map(|(_, fault)| fault)
}

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(error: Error) -> Option<String> {
        match error {
            Error::Unavailable { detail, .. } => Some(detail),
            _ => None,
        }
    }

    #[test]
    fn a_fault_of_the_machine_is_said_with_the_file_and_what_to_do() {
        let full = || io::Error::from_raw_os_error(28);
        let plain = "The disk is full: nothing was saved. Free up some space and try again.";
        assert_eq!(detail(full().into()).as_deref(), Some(plain));
        // Also if it is wrapped.
        assert_eq!(
            detail(io::Error::new(full().kind(), "config.toml").into()).as_deref(),
            Some(plain)
        );
        let at = FileError::at(Path::new("/data/config.toml"));
        let told = "The disk is full (/data/config.toml): nothing was saved. Free up some space and try again.";
        assert_eq!(detail(at(full()).into()).as_deref(), Some(told));
        for (number, says) in [
            (122, "disk quota is used up"),
            (30, "disk is read-only"),
            (24, "jd-manager has too many open files"),
            (23, "The system has too many open files"),
            (5, "disk reported an error"),
            (13, "Permission denied"),
        ] {
            let told = detail(io::Error::from_raw_os_error(number).into()).unwrap_or_default();
            assert!(told.contains(says), "{number}: {told}");
        }
        assert!(matches!(
            Error::from(io::Error::from_raw_os_error(2)),
            Error::Internal(_)
        ));
    }

    #[test]
    fn a_fault_of_the_database_is_told_apart_from_one_of_ours() {
        let fault = |text: &str| {
            let kind = diesel::result::DatabaseErrorKind::Unknown;
            detail(diesel::result::Error::DatabaseError(kind, Box::new(text.to_owned())).into())
        };
        for (text, says) in [
            ("database or disk is full", "disk is full"),
            ("disk I/O error", "disk reported an error"),
            (
                "database is locked",
                "Another program has locked the database",
            ),
            ("database disk image is malformed", "damaged"),
            ("attempt to write a readonly database", "read-only"),
            ("unable to open database file", "cannot be opened"),
        ] {
            assert!(
                fault(text).is_some_and(|told| told.contains(says)),
                "{text}: {:?}",
                fault(text)
            );
        }
        assert_eq!(fault("UNIQUE constraint failed: instances.name"), None);
        // The same words from elsewhere mean nothing.
        assert_eq!(detail(Error::internal("database or disk is full")), None);
    }

    #[test]
    fn an_error_has_the_label_of_its_field() {
        let error = FieldError::new("/repeat_s", "repeat_s must be 1.");
        assert_eq!(
            error.page_text_as(Some("Repeat every (seconds, optional)")),
            "Repeat every (seconds) must be 1."
        );
        let error = FieldError::new("/host", "host: unknown.");
        assert_eq!(
            error.page_text_as(Some("Mail server (optional)")),
            "Mail server: unknown."
        );
        let error = FieldError::new("/host", "Enter the mail server.");
        assert_eq!(error.page_text_as(Some("Server")), "Enter the mail server.");
    }

    #[test]
    fn a_page_shows_no_api_name() {
        for (pointer, detail, text) in [
            (
                "/memory_limit_mib",
                "memory_limit_mib must be 16.",
                "Memory limit (MiB) must be 16.",
            ),
            (
                "/restart_limit_within_s",
                "restart_limit_within_s must be 1.",
                "Restart limit within (seconds) must be 1.",
            ),
            (
                "/config_id",
                "config_id must be text.",
                "Config must be text.",
            ),
            (
                "/signed_by",
                "signed_by: not a key.",
                "Signed by: not a key.",
            ),
            (
                "/condition/after_s",
                "after_s must be 1.",
                "After (seconds) must be 1.",
            ),
            ("/ids/0", "ids must be a list.", "Ids must be a list."),
            (
                "/nightly",
                "nightly must be true or false.",
                "Nightly must be on or off.",
            ),
            ("/name", "Give it a name.", "Give it a name."),
            ("/name", "names are long.", "names are long."),
            ("", "All of it is wrong.", "All of it is wrong."),
        ] {
            assert_eq!(FieldError::new(pointer, detail).page_text(), text);
        }
    }
}
