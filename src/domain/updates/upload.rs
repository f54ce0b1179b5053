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
use super::source::{LARGEST, ProgramFiles, SourceError};
use crate::base::error::{Error, FieldError};
use crate::web::ProblemResponse;

/// Maximum size of a checkbox field, bytes.
const TICK: usize = 16;
/// Bytes between two checks of the free disk space.
const ROOM_EVERY: u64 = 8 * 1024 * 1024;

/// Default name of a file.
const NAMELESS: &str = "an uploaded file";

/// Receives a form: the client or a release archive in the field `file`, and optionally a translator
/// in the field `translator`, in any order. `switch` is a checkbox.
///
/// # Errors
/// There is no client, a file is incomplete, empty or too large, or another job is in progress.
pub async fn by_form(
    updates: &UpdateService,
    mut form: Multipart,
    actor: &str,
) -> Result<UpdateJob, ProblemResponse> {
    let mut with = InstallOptions::default();
    let mut upload = None;
    let read = read_form(updates, &mut form, actor, &mut with, &mut upload).await;
    match (read, upload) {
        (Ok(()), Some(upload)) if upload.client.is_some() => Ok(upload.install(with)),
        (Ok(()), Some(upload)) => Err(upload.fail(no_client(TRANSLATOR_ALONE)).await),
        (Ok(()), None) => Err(no_client(
            "Choose a file: the client program or a release archive.",
        )),
        (Err(problem), Some(upload)) => Err(upload.fail(problem).await),
        (Err(problem), None) => Err(problem),
    }
}

/// Reads the fields. `upload` is set with the first file.
async fn read_form<'a>(
    updates: &'a UpdateService,
    form: &mut Multipart,
    actor: &str,
    with: &mut InstallOptions,
    upload: &mut Option<FileUpload<'a>>,
) -> Result<(), ProblemResponse> {
    while let Some(mut field) = form.next_field().await.map_err(refused)? {
        let is_translator = match field.name() {
            Some("switch") => {
                // A checkbox value is a word; a longer one is not read completely.
                let word = field.chunk().await.map_err(refused)?.unwrap_or_default();
                with.switch = word.starts_with(b"on");
                if word.len() > TICK {
                    return Err(broken());
                }
                continue;
            }
            Some("file") => false,
            Some("translator") => true,
            _ => continue,
        };
        // A browser sends a file that was not chosen as an empty one without a name.
        if field.file_name().is_none_or(str::is_empty) {
            continue;
        }
        let name = shown(field.file_name());
        let received = match &mut *upload {
            Some(received) => received,
            None => upload.insert(FileUpload::begin(updates, &name, actor).await?),
        };
        if is_translator {
            received.receive_translator(pieces(field)).await?;
        } else {
            received.receive_client(name, None, pieces(field)).await?;
        }
    }
    Ok(())
}

const TRANSLATOR_ALONE: &str =
    "A translator is installed together with its client. Choose the client as well.";

fn no_client(detail: &str) -> ProblemResponse {
    Error::Invalid(vec![FieldError::new("/file", detail)]).into()
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
    if length.is_some_and(|length| length > LARGEST) {
        return Err(too_large());
    }
    let mut upload = FileUpload::begin(updates, &name, actor).await?;
    match upload.receive_client(name, length, body).await {
        Ok(()) => Ok(upload.install(with)),
        Err(problem) => Err(upload.fail(problem).await),
    }
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

/// Files being received for an installation.
struct FileUpload<'a> {
    updates: &'a UpdateService,
    ticket: JobGuard,
    /// Where the client is written.
    path: PathBuf,
    /// Name of the client for display; none: not received yet.
    client: Option<String>,
    /// Where the translator was written.
    translator: Option<PathBuf>,
}

impl<'a> FileUpload<'a> {
    async fn begin(
        updates: &'a UpdateService,
        name: &str,
        actor: &str,
    ) -> Result<Self, ProblemResponse> {
        let (ticket, path) = updates.receive(name, actor).await?;
        Ok(Self {
            updates,
            ticket,
            path,
            client: None,
            translator: None,
        })
    }

    async fn receive_client(
        &mut self,
        name: String,
        length: Option<u64>,
        pieces: impl Stream<Item = Result<Bytes, ProblemResponse>> + Send + Unpin,
    ) -> Result<(), ProblemResponse> {
        if self.client.is_some() {
            return Err(no_client("Send one client, not several."));
        }
        check_room(&self.path, length.unwrap_or(0)).map_err(full)?;
        // The translator may come first, and the job is named after the client.
        self.ticket.show(|job| job.version.clone_from(&name));
        if write(&self.ticket, &self.path, length, pieces).await? == 0 {
            return Err(Error::invalid("", "The file is empty.").into());
        }
        self.client = Some(name);
        Ok(())
    }

    async fn receive_translator(
        &mut self,
        pieces: impl Stream<Item = Result<Bytes, ProblemResponse>> + Send + Unpin,
    ) -> Result<(), ProblemResponse> {
        if self.translator.is_some() {
            return Err(Error::invalid("/translator", "Send one translator, not several.").into());
        }
        let path = self.path.with_file_name("received-translator");
        check_room(&path, 0).map_err(full)?;
        if write(&self.ticket, &path, None, pieces).await? == 0 {
            return Err(Error::invalid("/translator", "The translator file is empty.").into());
        }
        self.translator = Some(path);
        Ok(())
    }

    fn install(self, with: InstallOptions) -> UpdateJob {
        let files = ProgramFiles {
            client: self.path,
            translator: self.translator,
        };
        let name = self.client.unwrap_or_else(|| NAMELESS.into());
        self.updates
            .install_received(self.ticket, files, name, with)
    }

    /// Ends the job because of a problem, which is returned.
    async fn fail(self, problem: ProblemResponse) -> ProblemResponse {
        self.updates.remove_received(&self.path).await;
        let stage = if self.ticket.cancel.is_cancelled() {
            JobStage::Cancelled
        } else {
            JobStage::Failed
        };
        self.ticket
            .end(stage, "The upload was incomplete. Nothing was installed.")
            .await;
        problem
    }
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
