//! The HTTP handlers of instances. Each one only selects a use case and a page.

use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

use super::draft::{InstanceDraft, is_version_name};
use super::list_cache::ListView;
use super::list_page::{InstanceListState, NOTHING_SELECTED, full_page, list_response};
use super::list_query::{ListQuery, natural_order};
use super::list_stream::follow;
use super::miner_address::{MinerAddress, MinerProtocol};
use super::model::{Instance, STOP_PATIENCE};
use super::programs::ProgramName;
use super::service::{InstanceActionResult, InstanceService};
use super::streams::follow_events;
use super::views::{
    EventsPage, InstanceChangeResponse, InstanceCreatedResponse, InstanceFormPage,
    InstanceFragments, ListedEvent, TrialPage, delete_page, row_id,
};
use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::{ConfigId, InstanceId};
use crate::infra::qr_code::qr_code_svg;
use crate::web::extract::{EmptyForm, MaybeInput, MemberReader};
use crate::web::negotiation::Representation;
use crate::web::respond::{count_fitting, next_page};
use crate::web::{
    ChangeResponse, PageForms, PageOrStream, PathId, ProblemResponse, QueryParams, Reply,
    RequestContext, RequestInput, sse,
};

/// How long a form without JavaScript waits for a stop before it shows the instance as stopping;
/// htmx is updated by its stream.
const PAGE_PATIENCE: Duration = Duration::from_millis(1500);
const FRAGMENT_PATIENCE: Duration = Duration::from_millis(60);

/// `GET /instances` and `GET /`.
pub async fn list(
    State(lists): State<InstanceListState>,
    want: RequestContext<PageOrStream>,
    mut params: QueryParams,
    headers: HeaderMap,
) -> Reply {
    let is_followed_by_page = want.form == Representation::EventStream && want.asked.fragment;
    let is_page = want.form == Representation::Html || is_followed_by_page;
    let query = ListQuery::read(&mut params, is_page);
    let nothing_selected = params.text("notice") == Some(NOTHING_SELECTED);
    params.finish()?;
    if want.form == Representation::EventStream {
        return Ok(follow(lists, query, want.page_role()).await);
    }
    if want.is_fragment() {
        return want.respond(&full_page(&lists, &query, nothing_selected).await?);
    }
    let view = match want.form {
        Representation::Html => ListView::Page {
            nothing_selected,
            frame: want.frame,
        },
        _ => ListView::Json,
    };
    let response = list_response(&lists, query, view).await?;
    Ok(response.respond(&headers))
}

/// `GET /instances/new`.
pub async fn new(
    State(lists): State<InstanceListState>,
    query: Query<HashMap<String, String>>,
    want: RequestContext,
) -> Reply {
    // New instances start automatically by default, also after a reboot.
    let given = json!({ "config_id": query.get("config"), "autostart": true });
    want.respond(&form_page(&lists, None, &given, Vec::new()).await?)
}

/// `POST /instances`.
pub async fn create(
    State(lists): State<InstanceListState>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let made = match InstanceDraft::read(input.value.clone(), true, input.form.is_some()) {
        Ok(wishes) => lists.instances.create(wishes).await,
        Err(e) => Err(e),
    };
    match made {
        Ok(id) => {
            let name = lists.instances.get(id).await?.name;
            let json = InstanceCreatedResponse {
                instance_id: id,
                message: format!("{name} was saved."),
            };
            ChangeResponse::new(json, format!("/instances/{id}"))
                .created(format!("/instances/{id}"))
                .respond(&want)
        }
        Err(e) => refuse(&lists, &want, None, &input.value, e).await,
    }
}

/// `GET /instances/{id}/settings`.
pub async fn settings(
    State(lists): State<InstanceListState>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
) -> Reply {
    let instance = lists.instances.get(id).await?;
    let given = json!({
        "name": instance.name, "config_id": instance.config_id, "restart_policy": instance.restart_policy,
        "autostart": instance.autostart, "client_version": instance.client_version,
        "restart_limit_failures": instance.restart_limit.map(|l| l.failures), "restart_limit_within_s": instance.restart_limit.map(|l| l.within_s),
        "memory_limit_mib": instance.memory_limit_mib, "open_files_limit": instance.open_files_limit,
        "nice": Some(instance.nice).filter(|nice| *nice != 0), "tags": instance.tags.text(),
    });
    want.respond(&form_page(&lists, Some(instance), &given, Vec::new()).await?)
}

/// `PATCH /instances/{id}`, and `POST /instances/{id}` for forms, which do not support PATCH.
pub async fn change(
    State(lists): State<InstanceListState>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let instance = lists.instances.get(id).await?;
    let changed = match InstanceDraft::read(input.value.clone(), false, input.form.is_some()) {
        Ok(wishes) => lists.instances.change(id, wishes).await,
        Err(e) => Err(e),
    };
    match changed {
        Ok(()) => {
            let instance = lists.instances.get(id).await?;
            let message = format!("{} was saved.", instance.name);
            let json = InstanceChangeResponse { message, instance };
            ChangeResponse::new(json, format!("/instances/{id}")).respond(&want)
        }
        Err(e) => refuse(&lists, &want, Some(instance), &input.value, e).await,
    }
}

/// A page shows the form again with its values and errors; a program gets the problem.
async fn refuse(
    lists: &InstanceListState,
    want: &RequestContext,
    instance: Option<Instance>,
    given: &Value,
    error: Error,
) -> Reply {
    if want.form != Representation::Html {
        return Err(error.into());
    }
    let (status, errors) = match error {
        Error::Invalid(errors) => (StatusCode::UNPROCESSABLE_ENTITY, errors),
        Error::Conflict(detail) => (StatusCode::CONFLICT, vec![FieldError::new("/name", detail)]),
        other => return Err(other.into()),
    };
    want.respond_with(status, &form_page(lists, instance, given, errors).await?)
}

async fn form_page(
    lists: &InstanceListState,
    instance: Option<Instance>,
    given: &Value,
    errors: Vec<FieldError>,
) -> Result<InstanceFormPage> {
    let saved = lists.configs.list().await?;
    let mut values = given.as_object().cloned().unwrap_or_default();
    if values
        .get("config_id")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        let active = saved.iter().find(|c| c.is_active).or(saved.first());
        values.insert("config_id".into(), active.map(|c| c.id.to_string()).into());
    }
    let mut configs: Vec<_> = saved
        .into_iter()
        .map(|c| (c.id.to_string(), c.name))
        .collect();
    configs.sort_by(|(_, a), (_, b)| natural_order(a, b));
    let versions = lists.instances.versions().await;
    Ok(InstanceFormPage {
        instance,
        configs,
        versions,
        values,
        errors,
    })
}

/// `GET /instances/{id}/address.svg`: the first address for miners of a protocol as a QR code.
pub async fn address_image(
    State(lists): State<InstanceListState>,
    PathId(id): PathId<InstanceId>,
    mut params: QueryParams,
) -> Reply {
    let protocol = params.get::<MinerProtocol>("protocol", "v1 or v2");
    params.finish()?;
    let protocol = protocol.unwrap_or(MinerProtocol::V2);
    let instance = lists.instances.get(id).await?;
    let config = lists.instances.saved_config(&instance).await?;
    let addresses = lists.instances.miner_addresses(&instance, &config).await;
    let wanted = MinerAddress::of_protocol(&addresses, protocol);
    let what = match protocol {
        MinerProtocol::V1 => "port for Stratum V1 miners of",
        MinerProtocol::V2 => "port for Stratum V2 miners of",
    };
    let first = wanted
        .first()
        .ok_or_else(|| Error::not_found(what, &instance.name))?;
    let image = qr_code_svg(&first.url)?;
    let headers = [(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, image).into_response())
}

/// `POST /instances/{id}/start`.
pub async fn start(
    State(s): State<InstanceService>,
    actor: Actor,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    fields: EmptyForm,
) -> Reply {
    let outcome = s.start(id, &actor).await?;
    acted(&s, id, &want, &fields, outcome).await
}

/// `POST /instances/{id}/stop`.
pub async fn stop(
    State(s): State<InstanceService>,
    actor: Actor,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    fields: EmptyForm,
) -> Reply {
    let outcome = s.stop(id, &actor, patience(&want)).await?;
    acted(&s, id, &want, &fields, outcome).await
}

/// `POST /instances/{id}/restart`: both programs, or the translator alone.
pub async fn restart(
    State(s): State<InstanceService>,
    actor: Actor,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
    mut params: QueryParams,
    fields: EmptyForm,
) -> Reply {
    let program = params.get("program", "client or translator");
    params.finish()?;
    let patience = patience(&want);
    let outcome = match program {
        Some(ProgramName::Translator) => s.restart_translator(id, None, &actor, patience).await?,
        Some(ProgramName::Client) | None => s.restart(id, &actor, patience).await?,
    };
    acted(&s, id, &want, &fields, outcome).await
}

/// `GET /instances/{id}/delete`: the confirmation page.
pub async fn ask_delete(
    State(s): State<InstanceService>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
) -> Reply {
    let instance = s.get(id).await?;
    let log_bytes = s.log_bytes(id).await?;
    want.respond(&delete_page(instance, log_bytes))
}

/// `DELETE /instances/{id}`, and `POST /instances/{id}/delete` for forms.
pub async fn delete(
    State(s): State<InstanceService>,
    actor: Actor,
    PathId(id): PathId<InstanceId>,
    want: RequestContext,
) -> Reply {
    let json = s.delete(id, &actor).await?;
    ChangeResponse::new(json, "/instances").respond(&want)
}

/// `GET /events`.
pub async fn all_events(
    lists: State<InstanceListState>,
    want: RequestContext<PageOrStream>,
    headers: HeaderMap,
    params: QueryParams,
) -> Reply {
    show_events(lists, None, want, &headers, params).await
}

/// `GET /instances/{id}/events`.
pub async fn events(
    lists: State<InstanceListState>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext<PageOrStream>,
    headers: HeaderMap,
    params: QueryParams,
) -> Reply {
    show_events(lists, Some(id), want, &headers, params).await
}

async fn show_events(
    State(lists): State<InstanceListState>,
    id: Option<InstanceId>,
    want: RequestContext<PageOrStream>,
    headers: &HeaderMap,
    mut params: QueryParams,
) -> Reply {
    if want.form == Representation::EventStream {
        let after = params.get::<i64>("after", "the id of an event");
        params.finish()?;
        if let Some(id) = id {
            lists.instances.get(id).await?;
        }
        let resume = sse::last_event_id::<u64>(headers).and_then(|id| i64::try_from(id).ok());
        let after = resume.or(after);
        return Ok(follow_events(lists, id, after, want.page_role()).await?);
    }
    want.respond_blocking(events_page(&lists.instances, id, params).await?)
        .await
}

async fn events_page(
    s: &InstanceService,
    id: Option<InstanceId>,
    mut params: QueryParams,
) -> Result<EventsPage> {
    let limit = params.number("limit");
    let before = params.get::<i64>("before", "the id of an event");
    params.finish()?;
    let instance = match id {
        Some(id) => Some(s.get(id).await?),
        None => None,
    };
    let mut found = s.history(id, before, limit + 1).await?;
    // Stored output of a client may be long.
    let fitting = count_fitting(&found, |(event, _)| event.text_len())
        .min(usize::try_from(limit).unwrap_or(usize::MAX));
    let has_more = found.len() > fitting;
    found.truncate(fitting);
    let next = found.last().map(|(event, _)| event.id).filter(|_| has_more);
    let events = found
        .into_iter()
        .map(|(event, instance_name)| ListedEvent {
            event,
            instance_name,
        })
        .collect();
    Ok(EventsPage {
        instance,
        events,
        next,
        limit,
        is_newest: before.is_none(),
    })
}

/// `POST /saved-configs/{id}/trial`: tests a configuration with the client in use or
/// `client_version`.
pub async fn try_config(
    State(s): State<InstanceService>,
    PathId(id): PathId<ConfigId>,
    want: RequestContext,
    MaybeInput(input): MaybeInput,
) -> Reply {
    let mut body = MemberReader::of(input.value, [])?;
    let version = body.text("client_version");
    if version
        .as_deref()
        .is_some_and(|version| !is_version_name(version))
    {
        body.refuse(
            "client_version",
            "client_version must be the name of an installed client, such as 0.6.0.",
        );
    }
    let version = body.finish(Some(version))?;
    let (saved, tried) = s.try_config(id, version.as_deref()).await?;
    want.respond(&TrialPage {
        name: saved.name,
        tried,
        versions: s.versions().await,
    })
}

fn patience(want: &RequestContext) -> Duration {
    match want.form {
        Representation::Html if want.asked.fragment => FRAGMENT_PATIENCE,
        Representation::Html => PAGE_PATIENCE,
        _ => STOP_PATIENCE,
    }
}

/// After an action: programs get the result, htmx the part of the page, a plain form its page.
async fn acted(
    s: &InstanceService,
    id: InstanceId,
    want: &RequestContext<PageForms>,
    fields: &EmptyForm,
    outcome: InstanceActionResult,
) -> Result<Response, ProblemResponse> {
    if want.is_fragment() {
        let next = fields.text("next").unwrap_or("/instances");
        let here = match want.asked.target.as_deref() == Some(&row_id(id)) {
            true => next_page(Some(next), "/instances"),
            false => String::new(),
        };
        return want.respond(&InstanceFragments {
            instance: s.get(id).await?,
            here,
            row_id: row_id(id),
        });
    }
    let next = next_page(fields.text("next"), &format!("/instances/{id}"));
    Ok(ChangeResponse::new(outcome, next)
        .respond(want)?
        .into_response())
}
