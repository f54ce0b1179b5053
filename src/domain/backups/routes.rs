//! Handlers of `/backups`. All are for admins, because a backup contains all data.

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;

use super::create::BackupRequest;
use super::encryption::BackupPassphrase;
use super::responses::{BackupSettingsResponse, BackupStartResponse};
use super::service::Backups;
use super::views::{BackupsPage, delete_page};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::web::extract::{MaybeInput, MemberReader};
use crate::web::negotiation::Representation;
use crate::web::{Caller, ChangeResponse, MessageResponse, Reply, RequestContext, RequestInput};

const HERE: &str = "/backups";

/// `GET /backups`.
pub async fn show(State(backups): State<Backups>, want: RequestContext) -> Reply {
    want.respond(&page(&backups, Vec::new()).await?)
}

async fn page(backups: &Backups, errors: Vec<FieldError>) -> Result<BackupsPage> {
    Ok(BackupsPage::new(
        backups.everything().await?,
        errors,
        Timestamp::now(),
    ))
}

/// `POST /backups`: starts a backup.
pub async fn create(
    State(backups): State<Backups>,
    want: RequestContext,
    caller: Caller,
    MaybeInput(input): MaybeInput,
) -> Reply {
    let begun = read_order(input).and_then(|order| backups.begin(order));
    let name = match begun {
        Ok(name) => name,
        Err(Error::Invalid(errors)) if want.form == Representation::Html => {
            return want.respond_with(
                StatusCode::UNPROCESSABLE_ENTITY,
                &page(&backups, errors).await?,
            );
        }
        Err(other) => return Err(other.into()),
    };
    tracing::info!(who = caller.title(), backup = name, "backup requested");
    if want.form == Representation::Html {
        // The Backups page shows the running backup.
        return want.redirect(HERE);
    }
    let at = format!("{HERE}/{name}");
    let message = "Backup started. It will be listed at /backups when it is complete.";
    let json = BackupStartResponse { name, message };
    ChangeResponse::new(json, HERE).accepted(at).respond(&want)
}

/// Reads the options of a backup from a body. If `with_key` is missing, a form means no and a program
/// yes.
fn read_order(input: RequestInput) -> Result<BackupRequest> {
    let is_form = input.form.is_some();
    let mut body = MemberReader::of(input.value, [])?;
    let with_key = body.flag("with_key").unwrap_or(!is_form);
    let with_logs = body.flag("with_logs").unwrap_or(false);
    // Unchanged: white space may be part of the passphrase.
    let [given, repeated] = ["passphrase", "repeat"].map(|name| {
        body.take(name)
            .map(|value| value.as_str().unwrap_or_default().to_owned())
    });
    if repeated.is_some_and(|repeated| repeated != given.clone().unwrap_or_default()) {
        body.refuse("repeat", "The passphrases do not match.");
    }
    let passphrase = given
        .filter(|text| !text.is_empty())
        .map(BackupPassphrase::new)
        .transpose()
        .unwrap_or_else(|wrong| {
            body.refuse("passphrase", wrong);
            None
        });
    body.finish(Some(BackupRequest {
        with_key,
        with_logs,
        passphrase,
        secrets: None,
    }))
}

/// `GET /backups/{name}`: the file.
pub async fn download(
    State(backups): State<Backups>,
    Path(name): Path<String>,
    caller: Caller,
) -> Reply {
    let (backup, body) = backups.body(&name).await?;
    tracing::info!(who = caller.title(), backup = name, "backup downloaded");
    let media_type = if backup.named.encrypted {
        "application/octet-stream"
    } else {
        "application/gzip"
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_LENGTH, HeaderValue::from(backup.size)),
        (
            CONTENT_DISPOSITION,
            HeaderValue::try_from(format!("attachment; filename=\"jd-manager-{name}\""))
                .map_err(Error::internal)?,
        ),
    ];
    Ok((headers, body).into_response())
}

/// `GET /backups/{name}/delete`: the confirmation page.
pub async fn ask_delete(
    State(backups): State<Backups>,
    want: RequestContext,
    Path(name): Path<String>,
) -> Reply {
    let (backup, all) = (backups.get(&name).await?, backups.list().await?);
    want.respond(&delete_page(backup, all.len().saturating_sub(1)))
}

/// `DELETE /backups/{name}`, and `POST /backups/{name}/delete` for forms.
pub async fn delete(
    State(backups): State<Backups>,
    want: RequestContext,
    Path(name): Path<String>,
    caller: Caller,
) -> Reply {
    let gone = backups.delete(&name).await?;
    tracing::info!(who = caller.title(), backup = gone.name, "backup deleted");
    let json = MessageResponse::new(format!("Backup {} was deleted.", gone.name));
    ChangeResponse::new(json, HERE).respond(&want)
}

/// `PATCH /backups/settings`, and `POST` for forms: nightly backups.
pub async fn settings(
    State(backups): State<Backups>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    match backups.change(input.value, input.form.is_some()).await {
        Ok(settings) => {
            ChangeResponse::new(BackupSettingsResponse { settings }, HERE).respond(&want)
        }
        Err(Error::Invalid(errors)) if want.form == Representation::Html => want.respond_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &page(&backups, errors).await?,
        ),
        Err(other) => Err(other.into()),
    }
}
