//! Installs a client into the store: checks disk space, gets the file, checks its type, runs it
//! once, and adds it with one rename. On any failure, the store is unchanged.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::base::clock::Timestamp;
use crate::base::failpoint;
use crate::base::ids::JobId;
use crate::domain::configs::ClientVersion;
use crate::domain::instances::program::ask_version;
use crate::domain::updates::job_tracker::JobGuard;
use crate::domain::updates::model::{ClientManifest, JobStage};
use crate::domain::updates::source::{ClientSource, LARGEST, SourceError, SourceFile};
use crate::domain::updates::store::{ClientStore, InstallResult};
use crate::infra::disk::free_space;
use crate::infra::executable::{self, ExecutableError, ExecutableKind};

/// Always left free for the database and the logs of running clients, bytes.
const SPARE: u64 = 64 * 1024 * 1024;

/// Gets a client and installs it. Returns its name.
///
/// # Errors
/// It cannot be obtained, is not a client for this machine, or the job was canceled. The store is
/// unchanged.
pub async fn fetch_into_store(
    store: &ClientStore,
    source: &dyn ClientSource,
    ticket: &JobGuard,
) -> Result<(InstallResult, ClientManifest), SourceError> {
    let job = ticket.job();
    let (home, id) = (store.clone(), job.id);
    let dir = tokio::task::spawn_blocking(move || home.incoming(id)).await??;
    let tried = tokio::select! {
        tried = fetch_and_try(&dir, source, ticket, job.id) => tried,
        () = ticket.cancel.cancelled() => Err(SourceError::Cancelled),
        () = ticket.stop().cancelled() => Err(SourceError::Stopped),
    };
    // From here on the work completes even after a cancel: blocking work cannot be interrupted.
    let result = match tried {
        Ok((file, manifest)) => {
            let home = store.clone();
            let taken = tokio::task::spawn_blocking(
                move || -> std::io::Result<(InstallResult, ClientManifest)> {
                    let sha256 = crate::infra::verify::sha256(&file)?;
                    let manifest = ClientManifest {
                        sha256,
                        size: std::fs::metadata(&file)?.len(),
                        ..manifest
                    };
                    Ok((home.add(&file, &manifest)?, manifest))
                },
            );
            match taken.await {
                Ok(taken) => taken.map_err(SourceError::from),
                Err(error) => Err(error.into()),
            }
        }
        Err(ended) => Err(ended),
    };
    let home = store.clone();
    let _ = tokio::task::spawn_blocking(move || home.prune_incoming(&dir)).await;
    result
}

/// The tested program and its manifest.
async fn fetch_and_try(
    dir: &Path,
    source: &dyn ClientSource,
    ticket: &JobGuard,
    job: JobId,
) -> Result<(PathBuf, ClientManifest), SourceError> {
    check_room(dir, source.room())?;
    failpoint::reach("install.begun");
    let obtained = source.fetch(dir, ticket).await?;
    ticket
        .stage(
            JobStage::Testing,
            "Running the client in a sandbox to get its version.",
        )
        .await?;
    let client = run_trial(&obtained).await?;
    failpoint::reach("install.tried");
    let manifest = ClientManifest {
        origin: obtained.origin,
        tag: obtained.tag,
        client: client.to_string(),
        sha256: String::new(),
        size: 0,
        proof: obtained.proof,
        from: obtained.from,
        installed_at: Timestamp::now(),
        notes: obtained.notes,
        job,
    };
    Ok((obtained.file, manifest))
}

/// Checks for this much free space, in bytes, in addition to the reserve.
///
/// # Errors
/// Not enough free space, as text.
pub fn check_room(dir: &Path, needed: u64) -> Result<(), SourceError> {
    let needed = needed.max(1) + SPARE;
    // A file that does not exist yet is in an existing directory.
    let dir = if dir.is_dir() {
        dir
    } else {
        dir.parent().unwrap_or(dir)
    };
    match free_space(dir) {
        Ok(free) if free < needed => Err(SourceError::failed(format!(
            "Not enough disk space for the data directory: {} free, {} needed. Free up space and try again.",
            mebibytes(free),
            mebibytes(needed)
        ))),
        // If the free space is unknown, writing will show it.
        _ => Ok(()),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

/// Checks the file type and runs it once to get its version.
async fn run_trial(obtained: &SourceFile) -> Result<ClientVersion, SourceError> {
    let file = obtained.file.clone();
    let looked = tokio::task::spawn_blocking(
        move || -> std::io::Result<Result<ExecutableKind, ExecutableError>> {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700))?;
            std::fs::File::open(&file)?.sync_all()?;
            if std::fs::metadata(&file)?.len() > LARGEST {
                return Ok(Err(ExecutableError::Foreign(
                    "the file is too large".into(),
                )));
            }
            Ok(executable::kind(&file))
        },
    );
    match looked.await?? {
        Ok(ExecutableKind::Elf) => {}
        Ok(ExecutableKind::Script) => {
            return Err(refused("the file is a script, not a client program"));
        }
        Err(ExecutableError::Foreign(what)) => return Err(refused(&what)),
        Err(other) => return Err(refused(&format!("the file cannot be read ({other:?})"))),
    }
    let version = ask_version(&obtained.file, &[]).await.map_err(|why| {
        // The path is temporary.
        let why = why.replace(
            &format!("The client program {}", obtained.file.display()),
            "The file",
        );
        refused(&format!(
            "the test run failed. {}",
            why.trim_end_matches(". Is it jd_client_sv2?")
                .trim_end_matches('.')
        ))
    })?;
    Ok(version)
}

fn refused(why: &str) -> SourceError {
    SourceError::failed(format!("Nothing was installed: {why}."))
}
