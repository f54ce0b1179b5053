//! The handlers of `/setup`. They contain no rules: they parse the request, call the service and
//! choose the page.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::{StreamExt, stream};

use super::responses::SetupAnswers;
use super::responses::SetupDraft;
use super::service::{SetupNext, SetupProgress, SetupService};
use super::step::SetupStep;
use super::views::StepPage;
use super::views::watch::WatchPage;
use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::{InstanceId, SetupId};
use crate::domain::configs::pool_list::KnownPools;
use crate::domain::configs::{ConfigFindings, ConfigValidation};
use crate::domain::instances::Instance;
use crate::domain::instances::streams::changes_of;
use crate::web::extract::{MOST_UNKNOWN, unknown_field};
use crate::web::negotiation::Representation;
use crate::web::sse::SseEvent;
use crate::web::{
    ChangeResponse, MessageResponse, PageOrStream, PathId, ProblemResponse, QueryParams, Reply,
    RequestContext, RequestInput, html, sse,
};

/// The query parameter that shows the errors after a redirect from a rejected form.
const REJECTED: &str = "rejected";

/// `GET /setup`.
pub async fn start(
    State(s): State<SetupService>,
    want: RequestContext,
    params: QueryParams,
) -> Reply {
    let is_rejected = params.text(REJECTED).is_some();
    let found = if is_rejected {
        s.judge(&SetupAnswers::default(), SetupStep::Mode).await?
    } else {
        ConfigFindings::default()
    };
    let no_client = s.client().await.err().map(|error| error.to_string());
    let page = StepPage::start(s.unfinished().await?, no_client, found);
    want.respond(&page.with_translator(s.has_translator().await))
}

/// Redirects a rejected form back to its page, so that *Back* and *Reload* in the browser do not
/// send it again. The answers are stored.
fn reject(page: &str) -> Response {
    Redirect::to(&format!("{page}?{REJECTED}=true")).into_response()
}

/// `POST /setup`: a form starts a setup page by page; JSON is a complete setup.
pub async fn begin(
    State(s): State<SetupService>,
    want: RequestContext,
    actor: Actor,
    input: RequestInput,
) -> Reply {
    let Some(pairs) = input.form else {
        let made = s.create(input.value, &actor).await?;
        let (instance, next) = (
            format!("/instances/{}", made.instance_id),
            watched(made.instance_id),
        );
        return ChangeResponse::new(made, next)
            .created(instance)
            .respond(&want);
    };
    match s.begin(&pairs).await {
        Ok(id) => {
            let next = format!("/setup/{id}/{}", s.get(id).await?.open_step().slug());
            let json = SetupDraft {
                setup_id: id,
                next: next.clone(),
            };
            ChangeResponse::new(json, next)
                .created(format!("/setup/{id}/mode"))
                .respond(&want)
        }
        Err(Error::Invalid(_)) if want.form == Representation::Html => Ok(reject("/setup")),
        Err(other) => Err(other.into()),
    }
}

/// The setup and the step from the URL.
async fn place(
    s: &SetupService,
    id: &str,
    step: &str,
) -> Result<(SetupProgress, SetupStep), ProblemResponse> {
    let id: SetupId = id.parse().map_err(|_| Error::not_found("setup", id))?;
    let step = step
        .parse()
        .map_err(|_| Error::not_found("setup step named", step))?;
    Ok((s.get(id).await?, step))
}

/// `GET /setup/{id}/{step}`.
pub async fn show(
    State(s): State<SetupService>,
    want: RequestContext,
    Path((id, step)): Path<(String, String)>,
    params: QueryParams,
) -> Reply {
    let (mut setup, step) = place(&s, &id, &step).await?;
    if setup.instance_id.is_none() && step == SetupStep::Review {
        s.renew_proposals(&mut setup.answers).await?;
    }
    let is_rejected = params.text(REJECTED).is_some();
    // Only a step with answers shows findings.
    let found = match setup.instance_id {
        None if is_rejected || step == SetupStep::Review || setup.answers.has(step) => {
            s.judge(&setup.answers, step).await?
        }
        _ => ConfigFindings::default(),
    };
    let found = if is_rejected || step == SetupStep::Review {
        found
    } else {
        ConfigFindings {
            errors: Vec::new(),
            ..found
        }
    };
    let is_refused = is_rejected && !found.errors.is_empty();
    want.respond(&page(&s, setup, step, found, is_refused).await?)
}

async fn page(
    s: &SetupService,
    setup: SetupProgress,
    step: SetupStep,
    found: ConfigFindings,
    is_refused: bool,
) -> Result<StepPage> {
    let nodes = if step == SetupStep::Provider {
        s.nodes(&setup.answers).await?
    } else {
        Vec::new()
    };
    let answers = s.prefilled(&setup, step, &nodes).await?;
    let known = if step == SetupStep::Pools {
        s.pools().await?
    } else {
        KnownPools::default()
    };
    let page = StepPage::of(setup.clone(), step, answers)
        .with_translator(s.has_translator().await)
        .saying(found, is_refused)
        .with_nodes(nodes)
        .with_pools(known);
    if step != SetupStep::Review {
        return Ok(page);
    }
    let no_client = s.client().await.err().map(|error| error.to_string());
    Ok(page.with_preview(s.preview(&setup.answers).await?, no_client))
}

/// `POST /setup/{id}/{step}`: saves the answers and continues; the last step creates and starts the
/// instance.
pub async fn answer(
    State(s): State<SetupService>,
    want: RequestContext,
    Path((id, step)): Path<(String, String)>,
    actor: Actor,
    input: RequestInput,
) -> Reply {
    let (setup, step) = place(&s, &id, &step).await?;
    let pairs = texts(input)?;
    match s.answer(setup.id, step, &pairs, &actor).await? {
        SetupNext::To(next) => {
            let next = format!("/setup/{id}/{}", next.slug());
            ChangeResponse::new(
                SetupDraft {
                    setup_id: setup.id,
                    next: next.clone(),
                },
                next,
            )
            .respond(&want)
        }
        SetupNext::Made(made) => {
            let (instance, next) = (
                format!("/instances/{}", made.instance_id),
                watched(made.instance_id),
            );
            ChangeResponse::new(*made, next)
                .created(instance)
                .respond(&want)
        }
        SetupNext::Mend(found) if want.form != Representation::Html => {
            Err(Error::Invalid(found.errors).into())
        }
        SetupNext::Mend(_) => Ok(reject(&format!("/setup/{id}/{}", step.slug()))),
    }
}

/// `POST /setup/{id}/{step}/check`: checks a step while the user fills it in, without saving.
pub async fn check(
    State(s): State<SetupService>,
    want: RequestContext,
    Path((id, step)): Path<(String, String)>,
    input: RequestInput,
) -> Reply {
    let (setup, step) = place(&s, &id, &step).await?;
    let pairs = texts(input)?;
    let (setup, found) = s.check(setup.id, step, &pairs).await?;
    if want.form != Representation::Html {
        return Ok(Json(ConfigValidation {
            valid: found.errors.is_empty(),
            found,
        })
        .into_response());
    }
    if want.is_fragment() {
        let page = StepPage::of(setup.clone(), step, setup.answers).saying(found, false);
        return Ok(Html(html(&page.notes(&pairs)).map_err(Error::internal)?).into_response());
    }
    want.respond(&page(&s, setup, step, found, false).await?)
}

/// `POST /setup/{id}/delete`.
pub async fn discard(
    State(s): State<SetupService>,
    want: RequestContext,
    PathId(id): PathId<SetupId>,
) -> Reply {
    s.discard(id).await?;
    let json = MessageResponse::new("Setup deleted.");
    ChangeResponse::new(json, "/setup").respond(&want)
}

/// `GET /setup/watch/{id}`: a new instance until it is running.
pub async fn watch(
    State(s): State<SetupService>,
    want: RequestContext<PageOrStream>,
    PathId(id): PathId<InstanceId>,
) -> Reply {
    let instance = s.instances().get(id).await?;
    if want.form != Representation::EventStream {
        let miners = s.miners(&instance).await?;
        return want.respond(&WatchPage::new(instance, miners));
    }
    let page_role = want.page_role();
    // Subscribe before reading, so that a change in between is sent twice rather than lost.
    let changes = changes_of(s.instances(), id);
    let now = s.instances().get(id).await?;
    let stop = s.stop();
    let event = move |instance: Instance| {
        let s = s.clone();
        async move {
            // A start may choose other ports.
            let page = WatchPage::new(instance.clone(), s.miners(&instance).await.ok()?);
            if let Some(role) = page_role {
                page.part(role).map(|html| SseEvent::default().data(html))
            } else {
                SseEvent::default().event("instance").json_data(&page).ok()
            }
        }
    };
    Ok(sse::respond(
        stream::iter([now]).chain(changes).filter_map(event),
        stop,
        page_role.is_some(),
    ))
}

/// The fields of a step, as a form or as an object of texts.
///
/// # Errors
/// No step has a field with that name.
fn texts(input: RequestInput) -> Result<Vec<(String, String)>> {
    if let Some(pairs) = input.form {
        return Ok(pairs);
    }
    let text = |value: &serde_json::Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let members = || input.value.as_object().into_iter().flatten();
    let is_unknown = |name: &String| name != "action" && SetupStep::of_field(name).is_none();
    let unknown: Vec<FieldError> = members()
        .filter(|(name, _)| is_unknown(name))
        .take(MOST_UNKNOWN)
        .map(|(name, _)| unknown_field("field", name, &[]))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::Invalid(unknown));
    }
    Ok(members()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect())
}

fn watched(id: InstanceId) -> String {
    format!("/setup/watch/{id}")
}
