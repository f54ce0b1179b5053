//! Installs a client, and its translator if the source has one, into the store: checks disk space,
//! gets the files, checks their types, runs each once, and adds both with one rename. On any failure,
//! the store is unchanged.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::base::clock::Timestamp;
use crate::base::failpoint;
use crate::base::ids::JobId;
use crate::domain::configs::ClientVersion;
use crate::domain::instances::program::{NAME, environment};
use crate::domain::updates::job_tracker::JobGuard;
use crate::domain::updates::model::{ClientManifest, JobStage, TranslatorManifest};
use crate::domain::updates::source::{ClientSource, LARGEST, ProgramFiles, SourceError};
use crate::domain::updates::store::{ClientStore, InstallResult};
use crate::infra::disk::free_space;
use crate::infra::executable::{self, ExecutableError, ExecutableKind, trial};
use crate::infra::verify::sha256;
use crate::programs::translator::version::{
    PROGRAM as TRANSLATOR, SAME_NUMBER_FROM, TranslatorVersion,
};

/// Always left free for the database and the logs of running clients, bytes.
const SPARE: u64 = 64 * 1024 * 1024;
/// Errors about the client need no name of a program.
const CLIENT: &str = "";

/// Gets a client and installs it. Returns its name, its manifest, and why it has no translator, as a
/// sentence or empty.
///
/// # Errors
/// It cannot be obtained, is not a client for this machine, its translator is not usable, or the job
/// was canceled. The store is unchanged.
pub async fn fetch_into_store(
    store: &ClientStore,
    source: &dyn ClientSource,
    ticket: &JobGuard,
) -> Result<(InstallResult, ClientManifest, &'static str), SourceError> {
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
        Ok((files, manifest, no_translator)) => {
            let home = store.clone();
            let taken = tokio::task::spawn_blocking(
                move || -> std::io::Result<(InstallResult, ClientManifest)> {
                    let manifest = with_sums(&files, manifest)?;
                    Ok((home.add(&files, &manifest)?, manifest))
                },
            );
            match taken.await {
                Ok(taken) => taken
                    .map(|(came, manifest)| (came, manifest, no_translator))
                    .map_err(SourceError::from),
                Err(error) => Err(error.into()),
            }
        }
        Err(ended) => Err(ended),
    };
    let home = store.clone();
    let _ = tokio::task::spawn_blocking(move || home.prune_incoming(&dir)).await;
    result
}

/// The manifest with the sizes and checksums of the files.
fn with_sums(files: &ProgramFiles, manifest: ClientManifest) -> std::io::Result<ClientManifest> {
    let translator = match (manifest.translator, &files.translator) {
        (Some(translator), Some(file)) => Some(TranslatorManifest {
            sha256: sha256(file)?,
            size: std::fs::metadata(file)?.len(),
            ..translator
        }),
        _ => None,
    };
    Ok(ClientManifest {
        sha256: sha256(&files.client)?,
        size: std::fs::metadata(&files.client)?.len(),
        translator,
        ..manifest
    })
}

/// The tested programs, their manifest, and why there is no translator.
async fn fetch_and_try(
    dir: &Path,
    source: &dyn ClientSource,
    ticket: &JobGuard,
    job: JobId,
) -> Result<(ProgramFiles, ClientManifest, &'static str), SourceError> {
    check_room(dir, source.room())?;
    failpoint::reach("install.begun");
    let obtained = source.fetch(dir, ticket).await?;
    let files = obtained.files;
    let message = if files.translator.is_some() {
        "Running the client and the translator in a sandbox to get their versions."
    } else {
        "Running the client in a sandbox to get its version."
    };
    ticket.stage(JobStage::Testing, message).await?;
    let client = try_client(&files.client).await?;
    let translator = match &files.translator {
        Some(file) => Some(TranslatorManifest {
            version: try_translator(file, client).await?.to_string(),
            sha256: String::new(),
            size: 0,
        }),
        None => None,
    };
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
        translator,
        translator_checked: true,
    };
    Ok((files, manifest, obtained.no_translator))
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

/// Tests the client. Returns its version.
async fn try_client(file: &Path) -> Result<ClientVersion, SourceError> {
    check_file(file, CLIENT).await?;
    let text = read_version(file, CLIENT).await?;
    if text.split_whitespace().next() == Some(TRANSLATOR) {
        return Err(refused(
            CLIENT,
            &format!(
                "the file for the client is {TRANSLATOR}. Choose {NAME} as the client, and {TRANSLATOR} as the translator"
            ),
        ));
    }
    text.parse::<ClientVersion>()
        .map_err(|e| unknown_version(CLIENT, &text, &e))
}

/// Tests the translator of a client. Returns its version.
async fn try_translator(
    file: &Path,
    client: ClientVersion,
) -> Result<TranslatorVersion, SourceError> {
    check_file(file, TRANSLATOR).await?;
    let text = read_version(file, TRANSLATOR).await?;
    let version = text
        .parse::<TranslatorVersion>()
        .map_err(|e| unknown_version(TRANSLATOR, &text, &e))?;
    if version.fits(client) {
        return Ok(version);
    }
    let rule = if client >= SAME_NUMBER_FROM {
        "Both must have the same version"
    } else {
        "It needs a translator older than 0.3.0"
    };
    Err(refused(
        TRANSLATOR,
        &format!(
            "its version is {version}, but the client is {client}. {rule}. Use the translator of the same release"
        ),
    ))
}

/// Checks that a file is a program for this machine, and makes it executable.
async fn check_file(file: &Path, program: &'static str) -> Result<(), SourceError> {
    let file = file.to_owned();
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
    let why = match looked.await?? {
        Ok(ExecutableKind::Elf) => return Ok(()),
        Ok(ExecutableKind::Script) => "the file is a script, not a program".into(),
        Err(ExecutableError::Foreign(what)) => what,
        Err(other) => format!("the file cannot be read ({other:?})"),
    };
    Err(refused(program, &why))
}

/// What a program prints when it runs with `--version` in the sandbox.
async fn read_version(file: &Path, program: &str) -> Result<String, SourceError> {
    let answer = trial::version(file, &[], environment()).await;
    answer.map_err(|why| refused(program, &format!("the test run failed. The file {why}")))
}

fn unknown_version(program: &str, text: &str, fault: &dyn std::error::Error) -> SourceError {
    let why = format!("the test run failed. The file reported the version \"{text}\": {fault}");
    refused(program, &why)
}

/// `program`: [`CLIENT`], or the name of the program that the sentence is about.
fn refused(program: &str, why: &str) -> SourceError {
    let why = why.trim_end_matches('.');
    let about = if program == CLIENT {
        String::new()
    } else {
        format!("{program}: ")
    };
    SourceError::failed(format!("Nothing was installed: {about}{why}."))
}
