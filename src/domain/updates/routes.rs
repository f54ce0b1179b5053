//! The HTTP handlers of updates. Each one only selects a use case and a page.

use axum::Json;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::install::{InstallRequest, check_version};
use super::manager_release::ManagerReleaseCheck;
use super::model::{HealthGate, JobTask, UpdateJob};
use super::release_status::ReleaseStatus;
use super::requests::{chosen, gate_fields, read_gate, read_order, read_release};
use super::responses::{
    JobCancelResponse, JobStartResponse, ReleaseList, ReleaseSkipResponse, UpdateSettingsResponse,
};
use super::service::{ClientInUse, UpdateService};
use super::source::find_cargo;
use super::upload;
use super::views::{
    HistoryPage, InstallPage, JobPage, ReleasePage, SwitchPage, UpdatesPage, remove_page,
};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::JobId;
use crate::base::role::Role;
use crate::web::extract::{EmptyForm, MaybeInput, MemberReader, PathId};
use crate::web::negotiation::{Offers, PageOrStream, Representation};
use crate::web::sse::SseEvent;
use crate::web::{
    ChangeResponse, MessageResponse, ProblemResponse, QueryParams, Reply, RequestContext,
    RequestInput, html_with, sse,
};

const HERE: &str = "/updates";

/// `GET /updates`.
pub async fn show(State(updates): State<UpdateService>, want: RequestContext) -> Reply {
    want.respond(&show_page(&updates, Vec::new(), want.form == Representation::Html).await?)
}

async fn page(updates: &UpdateService, errors: Vec<FieldError>) -> Result<UpdatesPage> {
    show_page(updates, errors, true).await
}

async fn show_page(
    updates: &UpdateService,
    errors: Vec<FieldError>,
    is_html: bool,
) -> Result<UpdatesPage> {
    Ok(UpdatesPage {
        now: Timestamp::now(),
        fixed: updates.fixed().map(|path| path.display().to_string()),
        no_client: updates
            .instances()
            .client()
            .await
            .err()
            .map(|e| e.to_string()),
        news: updates.news().await?,
        problem: updates.checked().await?.problem,
        manager: updates.manager().map(ManagerReleaseCheck::answer),
        installed: updates.installed().await?,
        previous: updates.previous().await?,
        job: updates.present(),
        history: updates.history_part(None, 10, is_html).await?.0,
        settings: updates.wanted().await?,
        has_cargo: find_cargo().is_some(),
        errors,
    })
}

/// `GET /updates/check`: checks for releases and returns the result.
pub async fn check(
    State(updates): State<UpdateService>,
) -> Result<Json<ReleaseStatus>, ProblemResponse> {
    Ok(Json(updates.check().await?))
}

/// `POST /updates/check`: the same for forms.
pub async fn look(
    State(updates): State<UpdateService>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    match updates.check().await {
        // The page shows the problem.
        Ok(_) | Err(Error::Unavailable { .. }) if want.form == Representation::Html => {
            want.redirect(HERE)
        }
        Ok(status) => Ok(Json(status).into_response()),
        Err(error) => Err(error.into()),
    }
}

/// `GET /updates/all?limit=&before=`.
pub async fn all(
    State(updates): State<UpdateService>,
    mut params: QueryParams,
) -> Result<Json<ReleaseList>, ProblemResponse> {
    let limit = params.number("limit");
    let before = params.get::<i64>("before", "the number of an update");
    params.finish()?;
    let (found, has_more) = updates
        .all(before, usize::try_from(limit).unwrap_or(1000))
        .await?;
    let next = found.last().map(|last| last.id).filter(|_| has_more);
    Ok(Json(ReleaseList {
        updates: found,
        next,
    }))
}

/// `GET /updates/version`.
pub async fn version(
    State(updates): State<UpdateService>,
) -> Result<Json<ClientInUse>, ProblemResponse> {
    Ok(Json(updates.version().await?))
}

/// `GET /updates/history?limit=&before=`.
pub async fn history(
    State(updates): State<UpdateService>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let limit = params.number("limit");
    let before = params.get::<JobId>("before", "the id of an update job");
    params.finish()?;
    let is_brief = want.form == Representation::Html;
    let (history, has_more) = updates
        .history_part(before, usize::try_from(limit).unwrap_or(1000), is_brief)
        .await?;
    let next = history.last().map(|last| last.id).filter(|_| has_more);
    want.respond_blocking(HistoryPage {
        now: Timestamp::now(),
        history,
        next,
        limit,
    })
    .await
}

/// `GET /updates/jobs/{id}`: the page, its JSON, or its event stream.
pub async fn job(
    State(updates): State<UpdateService>,
    PathId(id): PathId<JobId>,
    want: RequestContext<PageOrStream>,
) -> Reply {
    let job = updates.job(id).await?;
    if want.form == Representation::EventStream {
        return Ok(follow(&updates, job, want.page_role()));
    }
    want.respond(&JobPage { job })
}

/// The job now and after each change, until it has finished.
fn follow(updates: &UpdateService, job: UpdateJob, page_role: Option<Role>) -> Response {
    let (id, told) = (job.id, updates.follow());
    let event = move |job: UpdateJob| {
        if let Some(role) = page_role {
            let html = html_with(&JobPage { job }.as_job(), &role).ok()?;
            return Some(SseEvent::default().data(format!(
                "<hx-partial hx-target=\"#job\" hx-swap=\"outerMorph\">{html}</hx-partial>"
            )));
        }
        SseEvent::default().event("job").json_data(&job).ok()
    };
    let is_over = job.stage.is_over();
    let changes = stream::unfold((told, is_over), move |(mut told, is_over)| async move {
        if is_over {
            return None;
        }
        told.changed().await.ok()?;
        let job = told
            .borrow_and_update()
            .clone()
            .filter(|job| job.id == id)?;
        let is_over = job.stage.is_over();
        Some((job, (told, is_over)))
    });
    let events = stream::iter([job])
        .chain(changes)
        .filter_map(move |job| std::future::ready(event(job)));
    sse::respond(events, updates.stop().clone(), page_role.is_some())
}

/// `POST /updates/jobs/{id}/cancel`.
pub async fn cancel(
    State(updates): State<UpdateService>,
    PathId(id): PathId<JobId>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    let job = updates.cancel(id).await?;
    let message = format!("Canceling \"{}\".", job.title());
    let json = JobCancelResponse { job: id, message };
    ChangeResponse::new(json, format!("{HERE}/jobs/{id}")).respond(&want)
}

/// `GET /updates/releases/{name}`: a release with its notes.
pub async fn release(
    State(updates): State<UpdateService>,
    Path(name): Path<String>,
    want: RequestContext,
) -> Reply {
    let none = || Error::not_found("release", &name);
    if check_version(&name).is_err() {
        return Err(none().into());
    }
    // This page makes no request to the release API.
    let release = updates.known_release(Some(&name)).await?;
    let mut skips = updates.skips().await?;
    skips.retain(|skip| skip.tag == release.tag);
    want.respond(&ReleasePage {
        now: Timestamp::now(),
        is_managed: updates.fixed().is_none(),
        installed: updates.installed_as(&release).await?,
        obstacle: release.asset.obstacle(),
        skip: skips.pop(),
        release,
    })
}

/// `POST /updates/skip`.
pub async fn skip(
    State(updates): State<UpdateService>,
    actor: Actor,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let version = read_release(input.value)?;
    let tag = updates.skip(&version, &actor.to_string()).await?.tag;
    let message = format!(
        "Release {tag} was skipped. jd-manager neither offers it nor installs it automatically. Newer releases are not affected."
    );
    skip_response(&updates, &want, tag, message).await
}

/// `POST /updates/unskip`.
pub async fn unskip(
    State(updates): State<UpdateService>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let version = read_release(input.value)?;
    let tag = updates.unskip(&version).await?;
    let message = format!("Release {tag} is offered again.");
    skip_response(&updates, &want, tag, message).await
}

async fn skip_response(
    updates: &UpdateService,
    want: &RequestContext,
    version: String,
    message: String,
) -> Reply {
    let json = ReleaseSkipResponse {
        version,
        message,
        skipped: updates.skips().await?,
    };
    ChangeResponse::new(json, format!("{HERE}#releases")).respond(want)
}

/// `GET /updates/install?version=`: the confirmation page.
pub async fn ask_install(
    State(updates): State<UpdateService>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let version = params.text("version").map(str::to_owned);
    if let Some(version) = &version {
        check_version(version)?;
    }
    want.respond(&install_page(&updates, version.as_deref(), Vec::new()).await?)
}

async fn install_page(
    updates: &UpdateService,
    version: Option<&str>,
    errors: Vec<FieldError>,
) -> Result<InstallPage> {
    // A GET makes no request to the release API: any page of another site can make a browser send
    // it.
    let release = updates.known_release(version).await?;
    Ok(InstallPage {
        obstacle: release.asset.obstacle(),
        signed_by: updates.wanted().await?.signed_by,
        has_client: updates.instances().client().await.is_ok(),
        release,
        errors,
    })
}

/// `POST /updates/install`.
pub async fn install(
    State(updates): State<UpdateService>,
    actor: Actor,
    want: RequestContext,
    MaybeInput(input): MaybeInput,
) -> Reply {
    let (order, with) = read_order(input.value.clone())?;
    match updates
        .install(order.clone(), with, &actor.to_string())
        .await
    {
        Ok(job) => begun(&want, &job),
        Err(Error::Conflict(detail)) if want.form == Representation::Html => {
            let errors = vec![FieldError::new("", detail)];
            match order {
                InstallRequest::Release(version) => {
                    match install_page(&updates, version.as_deref(), errors.clone()).await {
                        Ok(page) => want.respond_with(StatusCode::CONFLICT, &page),
                        // A release that was only requested has no page of its own.
                        Err(_) => Err(Error::Conflict(
                            errors.into_iter().map(|e| e.detail).collect(),
                        )
                        .into()),
                    }
                }
                _ => want.respond_with(StatusCode::CONFLICT, &page(&updates, errors).await?),
            }
        }
        Err(Error::Invalid(errors)) if want.form == Representation::Html => want.respond_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &page(&updates, errors).await?,
        ),
        Err(error) => Err(error.into()),
    }
}

/// `POST /updates/upload`: a client as a form field (`file`), with or without a translator
/// (`translator`), or as the body.
pub async fn upload(
    State(updates): State<UpdateService>,
    actor: Actor,
    want: RequestContext,
    request: Request,
) -> Reply {
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let job = if media_type.starts_with("multipart/form-data") {
        let form = Multipart::from_request(request, &())
            .await
            .map_err(|e| ProblemResponse::new(StatusCode::BAD_REQUEST, e.body_text()))?;
        upload::by_form(&updates, form, &actor.to_string()).await?
    } else if media_type.starts_with("application/octet-stream")
        || media_type.starts_with("application/gzip")
    {
        upload::by_body(&updates, request, &actor.to_string()).await?
    } else {
        return Err(ProblemResponse::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the program or a release archive as application/octet-stream, or as \"file\" in multipart/form-data.",
        ));
    };
    begun(&want, &job)
}

/// `GET /updates/switch?version=`: the confirmation page.
pub async fn ask_switch(
    State(updates): State<UpdateService>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let version = match params.text("version") {
        Some(version) => version.to_owned(),
        // The newest one except the version in use.
        None => {
            let installed = updates.installed().await?;
            let other = installed
                .iter()
                .find(|one| !one.in_use)
                .or(installed.first());
            let none = || Error::Conflict("No client is installed yet. Install one first.".into());
            other.ok_or_else(none)?.name.clone()
        }
    };
    check_version(&version)?;
    want.respond(&switch_page(&updates, version, Vec::new()).await?)
}

async fn switch_page(
    updates: &UpdateService,
    version: String,
    errors: Vec<FieldError>,
) -> Result<SwitchPage> {
    let obstacle = match updates.plan(&version, None).await {
        Ok(_) => None,
        Err(error @ (Error::Conflict(_) | Error::Unavailable { .. })) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    let mut instances = updates.instances().list().await?;
    instances.sort_by_key(|instance| {
        (
            instance.client_version.is_some(),
            !instance.status.has_client(),
        )
    });
    let from = updates.instances().source().current();
    let held = updates.held(&instances).await?;
    let is_rollback = updates.previous().await?.as_ref() == Some(&version);
    Ok(SwitchPage {
        version,
        from,
        instances,
        held,
        is_rollback,
        obstacle,
        gate: HealthGate::default(),
        errors,
    })
}

/// `POST /updates/switch`.
pub async fn switch(
    State(updates): State<UpdateService>,
    actor: Actor,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let ids = chosen(&input);
    let mut body = MemberReader::of(input.value, gate_fields())?;
    let version = body.text("version");
    let gate = read_gate(&mut body);
    let chosen = match ids {
        Ok(ids) => ids,
        Err(error) => {
            body.refuse_all([error]);
            None
        }
    };
    match &version {
        None => body.refuse("version", "Enter an installed version, for example 0.6.0."),
        Some(version) if check_version(version).is_err() => body.refuse(
            "version",
            "version must be the name of an installed client.",
        ),
        Some(_) => {}
    }
    let task = match body.text("task").as_deref() {
        Some("rollback") => JobTask::Rollback,
        _ => JobTask::Switch,
    };
    let version = match body.finish(version.clone()) {
        Ok(version) => version,
        // A page shows only the problem with the selection.
        Err(Error::Invalid(errors))
            if want.form == Representation::Html
                && errors.iter().all(|e| e.pointer == "/instances") =>
        {
            let page = switch_page(&updates, version.unwrap_or_default(), errors).await?;
            return want.respond_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
        Err(error) => return Err(error.into()),
    };
    match updates
        .switch(&version, chosen, gate, task, &actor.to_string())
        .await
    {
        Ok(job) => begun(&want, &job),
        Err(Error::Conflict(detail)) if want.form == Representation::Html => {
            let page = switch_page(&updates, version, vec![FieldError::new("", detail)]).await?;
            want.respond_with(StatusCode::CONFLICT, &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /updates/rollback`.
pub async fn rollback(
    State(updates): State<UpdateService>,
    actor: Actor,
    want: RequestContext,
    MaybeInput(input): MaybeInput,
) -> Reply {
    let mut body = MemberReader::of(input.value, gate_fields())?;
    let version = body.text("version");
    let gate = read_gate(&mut body);
    if let Some(version) = &version
        && check_version(version).is_err()
    {
        body.refuse(
            "version",
            "version must be the name of an installed client.",
        );
    }
    let version = body.finish(Some(version))?;
    let job = updates
        .plan_rollback(version, gate, &actor.to_string())
        .await?;
    begun(&want, &job)
}

/// `GET /updates/installed/{name}/delete`: the confirmation page.
pub async fn ask_remove(
    State(updates): State<UpdateService>,
    Path(name): Path<String>,
    want: RequestContext,
) -> Reply {
    let client = updates
        .installed()
        .await?
        .into_iter()
        .find(|one| one.name == name);
    let client = client.ok_or_else(|| Error::not_found("installed client", name))?;
    let obstacle = client.obstacle();
    want.respond(&remove_page(client, obstacle))
}

/// `DELETE /updates/installed/{name}`, and `POST /updates/installed/{name}/delete` for forms.
pub async fn remove(
    State(updates): State<UpdateService>,
    Path(name): Path<String>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    updates.remove(&name).await?;
    let json = MessageResponse::new(format!("Removed client {name}."));
    ChangeResponse::new(json, HERE).respond(&want)
}

/// `PATCH /updates/settings`, and `POST` for forms.
pub async fn settings(
    State(updates): State<UpdateService>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let changed = updates
        .wanted()
        .await?
        .changed(input.value, input.form.is_some());
    match changed {
        Ok(wanted) => {
            updates.set_wanted(&wanted).await?;
            let json = UpdateSettingsResponse {
                message: "Saved.".into(),
                settings: wanted,
            };
            ChangeResponse::new(json, format!("{HERE}#settings")).respond(&want)
        }
        Err(Error::Invalid(errors)) if want.form == Representation::Html => want.respond_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &page(&updates, errors).await?,
        ),
        Err(error) => Err(error.into()),
    }
}

/// A job was started: programs get its id, browsers its page.
fn begun<O: Offers>(want: &RequestContext<O>, job: &UpdateJob) -> Reply {
    let at = format!("{HERE}/jobs/{}", job.id);
    let json = JobStartResponse {
        job: job.id,
        version: job.version.clone(),
        message: format!("Started: {}.", job.title()),
    };
    ChangeResponse::new(json, at.clone())
        .accepted(at)
        .respond(want)
}
