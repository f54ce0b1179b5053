//! Checks of the data directory: owner, permissions, disk space, and the database.

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::report::DoctorCheck;
use crate::base::units::{Unit, format_value};
use crate::domain::access::any_users;
use crate::domain::configs::{SurveyedConfig, survey};
use crate::infra::db::{DatabaseInspection, OpenError, inspect};
use crate::infra::disk::{SPACE_FULL, SPACE_WARNING, free_space};

/// What the database contains, as far as the checks need it.
#[derive(Debug, Default)]
pub struct StoredFacts {
    /// There is at least one user.
    pub has_users: bool,
    /// All saved configurations.
    pub configs: Vec<SurveyedConfig>,
}

/// The directory, or its nearest parent that exists.
fn existing(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .find(|path| path.exists())
        .map(Path::to_owned)
}

/// Whether jd-manager can use its data directory, or create it.
pub fn check_directory(dir: &Path) -> DoctorCheck {
    const ID: &str = "data-directory";
    const TITLE: &str = "Data directory";
    let shown = dir.display();
    let error = |detail: String| DoctorCheck::error(ID, TITLE, detail);
    let meta = match fs::metadata(dir) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let parent = existing(dir).unwrap_or_else(|| "/".into());
            if access(&parent, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
                return DoctorCheck::ok(ID, TITLE, "jd-manager creates it at the first start.");
            }
            return error(format!("{shown} does not exist, and you may not create it in {}.", parent.display()))
                .with_fix("Run jd-manager as a user that can write there, or choose another directory with --data-dir.");
        }
        Err(e) => {
            return error(format!("{shown} cannot be examined: {e}.")).with_fix(
                "Run this command as the user that runs jd-manager, or choose another directory with --data-dir.",
            );
        }
    };
    if !meta.is_dir() {
        return error(format!("{shown} is not a directory."))
            .with_fix("Choose another directory with --data-dir.");
    }
    let user = rustix::process::geteuid().as_raw();
    let written = try_writing(dir);
    // In a container, a volume may belong to another user and be writable.
    if meta.uid() != user && (user == 0 || written.is_err()) {
        return error(format!(
            "{shown} belongs to the user with the id {}, and this command runs as {user}.",
            meta.uid()
        ))
        .with_fix(format!(
            "Run: sudo -u '#{}' jd-manager doctor --data-dir {shown}",
            meta.uid()
        ));
    }
    if let Err(e) = written {
        return error(format!("Cannot write to {shown}: {e}.")).with_fix(
            "Make the directory writable for this user, or choose another one with --data-dir.",
        );
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return DoctorCheck::warning(
            ID,
            TITLE,
            format!("Other users can open {shown} (mode {mode:04o})."),
        )
        .with_fix(format!("Run: chmod 700 {shown}"));
    }
    DoctorCheck::ok(
        ID,
        TITLE,
        format!("Writable and private (mode {mode:04o})."),
    )
}

/// Writes a file and removes it.
fn try_writing(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let written = File::create_new(&path).and_then(|mut file| {
        file.write_all(b"jd-manager doctor\n")?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

/// Free space, and whether programs can run from the directory. `needs_programs`: jd-manager installs
/// clients there.
pub fn check_disk(dir: &Path, needs_programs: bool) -> DoctorCheck {
    const ID: &str = "disk-space";
    const TITLE: &str = "Disk space";
    let Some(place) = existing(dir) else {
        return DoctorCheck::skipped(ID, TITLE, "The file system cannot be examined.");
    };
    if needs_programs
        && let Ok(system) = statvfs(&place)
        && system.f_flag.contains(StatVfsMountFlags::NOEXEC)
    {
        return DoctorCheck::error(
            ID,
            TITLE,
            format!("The file system of {} is mounted with noexec, so installed clients cannot run.", place.display()),
        )
        .with_fix("Mount it without noexec, or choose a data directory on another file system with --data-dir.");
    }
    match free_space(&place) {
        Err(e) => DoctorCheck::skipped(ID, TITLE, format!("The free space is unknown: {e}.")),
        Ok(free) => {
            let detail = format!(
                "{} free at {}.",
                format_value(Unit::Bytes, free as f64),
                place.display()
            );
            let fix = "Free up space: nothing can be recorded on a full disk.";
            if free < SPACE_FULL {
                DoctorCheck::error(ID, TITLE, detail).with_fix(fix)
            } else if free < SPACE_WARNING {
                DoctorCheck::warning(ID, TITLE, detail).with_fix(fix)
            } else {
                DoctorCheck::ok(ID, TITLE, detail)
            }
        }
    }
}

/// Whether this version can open the database, and what is in it.
pub fn check_database(dir: &Path) -> (DoctorCheck, StoredFacts) {
    const ID: &str = "database";
    const TITLE: &str = "Database";
    let read = inspect(dir, |c| {
        Ok(StoredFacts {
            has_users: any_users(c)?,
            configs: survey(c)?,
        })
    });
    match read {
        Ok(None) => (
            DoctorCheck::ok(ID, TITLE, "jd-manager creates it at the first start."),
            StoredFacts::default(),
        ),
        Ok(Some(DatabaseInspection {
            content: Some(facts),
            ..
        })) => (
            DoctorCheck::ok(ID, TITLE, "Has the version of this jd-manager."),
            facts,
        ),
        Ok(Some(DatabaseInspection { pending, .. })) => (
            DoctorCheck::ok(
                ID,
                TITLE,
                format!(
                    "Was written by an older jd-manager. The next start upgrades it ({pending} steps) and keeps a copy in backups/. Until then, configurations are not checked."
                ),
            ),
            StoredFacts::default(),
        ),
        Err(e) => {
            let fix = match e {
                OpenError::Newer { .. } => {
                    "Install the newer jd-manager again, or restore a backup into an empty data directory."
                }
                OpenError::Damaged { .. } => {
                    "Move the file elsewhere and restore a backup with jd-manager restore FILE."
                }
                OpenError::Unusable { .. } => "Run this command as the user that runs jd-manager.",
            };
            let text = e.to_string();
            let detail = text
                .strip_prefix("the")
                .map_or_else(|| text.clone(), |rest| format!("The{rest}"));
            (
                DoctorCheck::error(ID, TITLE, detail).with_fix(fix),
                StoredFacts::default(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::DoctorStatus;
    use super::*;
    use crate::infra::db::Db;

    #[test]
    fn a_directory_that_is_missing_a_file_or_open_to_others_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let status = |path: &Path| check_directory(path).status;
        assert_eq!(status(&dir.path().join("a/b")), DoctorStatus::Ok);
        assert!(!dir.path().join("a").exists());
        let place = dir.path().join("place");
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        let open = check_directory(&place);
        assert_eq!(open.status, DoctorStatus::Warning);
        assert!(open.fix.unwrap().starts_with("Run: chmod 700 "));
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(status(&place), DoctorStatus::Ok);
        assert!(fs::read_dir(&place).unwrap().next().is_none());
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(status(&file), DoctorStatus::Error);
        assert_eq!(status(&file.join("below")), DoctorStatus::Error);
        assert_ne!(
            check_disk(&dir.path().join("a/b"), true).status,
            DoctorStatus::Skipped
        );
    }

    #[test]
    fn a_database_is_missing_usable_newer_or_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let status = || check_database(dir.path()).0.status;
        assert_eq!(status(), DoctorStatus::Ok);
        drop(Db::open(dir.path()).unwrap());
        let (check, facts) = check_database(dir.path());
        assert_eq!(check.status, DoctorStatus::Ok);
        assert!(
            check.detail.contains("the version of this jd-manager"),
            "{check:?}"
        );
        assert!(!facts.has_users && facts.configs.is_empty());
        fs::write(dir.path().join(crate::infra::db::FILE), "x".repeat(5000)).unwrap();
        let damaged = check_database(dir.path()).0;
        assert_eq!(damaged.status, DoctorStatus::Error);
        assert!(damaged.detail.starts_with("The database"), "{damaged:?}");
    }
}
