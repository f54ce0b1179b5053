//! Receives uploaded files: writes them to the installation directory, limits their size, and
//! deletes incomplete ones.

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use std::path::PathBuf;
use tokio::io::AsyncWriteExt;

use super::install::InstallOptions;
use super::install::pipeline::check_room;
use super::job_tracker::JobGuard;
use super::model::{JobStage, UpdateJob};
use super::service::UpdateService;
use super::source::{LARGEST, SourceError};
use crate::base::error::{Error, FieldError};
use crate::web::ProblemResponse;

/// Maximum size of a checkbox field, bytes.
const TICK: usize = 16;
/// Bytes between two checks of the free disk space.
const ROOM_EVERY: u64 = 8 * 1024 * 1024;

/// Default name of a file.
const NAMELESS: &str = "an uploaded file";

/// Receives the field `file` of a form. A field `switch` counts only before it.
///
/// # Errors
/// There is none, it is incomplete or too large, or another job is in progress.
pub async fn by_form(
    updates: &UpdateService,
    mut form: Multipart,
    actor: &str,
) -> Result<UpdateJob, ProblemResponse> {
    let mut with = InstallOptions::default();
    while let Some(mut field) = form.next_field().await.map_err(refused)? {
        match field.name() {
            Some("switch") => {
                // A checkbox value is a word; a longer one is not read completely.
                let word = field.chunk().await.map_err(refused)?.unwrap_or_default();
                with.switch = word.starts_with(b"on");
                if word.len() > TICK {
                    return Err(broken());
                }
            }
            Some("file") => {
                let name = shown(field.file_name());
                if field.file_name().is_none_or(str::is_empty) {
                    break;
                }
                return take(updates, &name, None, pieces(field), with, actor).await;
            }
            _ => {}
        }
    }
    Err(Error::Invalid(vec![FieldError::new(
        "/file",
        "Choose a file: the client program or a release archive.",
    )])
    .into())
}

/// Receives the body of a request.
///
/// # Errors
/// It is incomplete or too large, or another job is in progress.
pub async fn by_body(
    updates: &UpdateService,
    request: Request,
    actor: &str,
) -> Result<UpdateJob, ProblemResponse> {
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let said = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let with = InstallOptions {
        switch: said("switch").is_some_and(|value| value == "true"),
        ..InstallOptions::default()
    };
    let name = shown(said("name").as_deref());
    let body = request
        .into_body()
        .into_data_stream()
        .map_err(|_| broken())
        .boxed();
    take(updates, &name, length, body, with, actor).await
}

fn pieces(
    field: Field<'_>,
) -> impl Stream<Item = Result<Bytes, ProblemResponse>> + Send + Unpin + '_ {
    field.map_err(refused).boxed()
}

/// A file name for display: its last part, without control characters.
fn shown(name: Option<&str>) -> String {
    let name = name
        .unwrap_or_default()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    if name.is_empty() {
        NAMELESS.into()
    } else {
        name
    }
}

async fn take(
    updates: &UpdateService,
    name: &str,
    length: Option<u64>,
    pieces: impl Stream<Item = Result<Bytes, ProblemResponse>> + Send + Unpin,
    with: InstallOptions,
    actor: &str,
) -> Result<UpdateJob, ProblemResponse> {
    if length.is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    let (ticket, path) = updates.receive(name, actor).await?;
    if let Err(ended) = check_room(&path, length.unwrap_or(0)) {
        return fail(updates, ticket, path, full(ended)).await;
    }
    match write(&ticket, &path, length, pieces).await {
        Ok(0) => {
            fail(
                updates,
                ticket,
                path,
                Error::invalid("", "The file is empty.").into(),
            )
            .await
        }
        Ok(_) => Ok(updates.install_received(ticket, path, name.to_owned(), with)),
        Err(problem) => fail(updates, ticket, path, problem).await,
    }
}

async fn fail(
    updates: &UpdateService,
    ticket: JobGuard,
    path: PathBuf,
    problem: ProblemResponse,
) -> Result<UpdateJob, ProblemResponse> {
    updates.remove_received(&path).await;
    let stage = if ticket.cancel.is_cancelled() {
        JobStage::Cancelled
    } else {
        JobStage::Failed
    };
    ticket
        .end(stage, "The upload was incomplete. Nothing was installed.")
        .await;
    Err(problem)
}

async fn write(
    ticket: &JobGuard,
    path: &std::path::Path,
    length: Option<u64>,
    mut pieces: impl Stream<Item = Result<Bytes, ProblemResponse>> + Unpin,
) -> Result<u64, ProblemResponse> {
    let disk = |e: std::io::Error| {
        let detail = format!(
            "Cannot write the file: {e}. Free up disk space for the data directory and try again."
        );
        ProblemResponse::from(Error::Unavailable {
            detail,
            retry_after: None,
        })
    };
    let mut file = tokio::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await
        .map_err(disk)?;
    let mut size = 0;
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = ticket.cancel.cancelled() => return Err(Error::Conflict("Canceled.".into()).into()),
        };
        let Some(piece) = piece.transpose()? else {
            break;
        };
        size += piece.len() as u64;
        if size > LARGEST {
            return Err(too_large());
        }
        if size / ROOM_EVERY != (size - piece.len() as u64) / ROOM_EVERY {
            check_room(path, 0).map_err(full)?;
        }
        file.write_all(&piece).await.map_err(disk)?;
        ticket.progress(size, length);
    }
    file.sync_all().await.map_err(disk)?;
    Ok(size)
}

fn full(ended: SourceError) -> ProblemResponse {
    let detail = match ended {
        SourceError::Failed { message, .. } => message,
        _ => "There is not enough disk space.".into(),
    };
    Error::Unavailable {
        detail,
        retry_after: None,
    }
    .into()
}

fn too_large() -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "The file is larger than the limit of {} MiB for a client.",
            LARGEST / (1024 * 1024)
        ),
    )
}

fn broken() -> ProblemResponse {
    ProblemResponse::new(StatusCode::BAD_REQUEST, "The upload was incomplete.")
}

fn refused(error: MultipartError) -> ProblemResponse {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        too_large()
    } else {
        broken()
    }
}
