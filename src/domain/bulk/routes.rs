//! The HTTP handlers of actions on several instances.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::stream;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::action::BulkActionKind;
use super::jobs::{BulkJobs, LiveBulkJob};
use super::question::{BulkQuestionPage, check_count};
use super::request::{BulkRequest, BulkSelection};
use super::views::{BulkCancelResponse, BulkJobPage, BulkJobsPage, BulkStartResponse, BulkStepRow};
use crate::base::actor::Actor;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::{InstanceId, JobId};
use crate::domain::instances::Instance;
use crate::domain::instances::list_page::NOTHING_SELECTED;
use crate::domain::instances::natural_order;
use crate::web::extract::EmptyForm;
use crate::web::negotiation::{PageOrStream, Representation};
use crate::web::respond::{MessageResponse, next_page};
use crate::web::sse::SseEvent;
use crate::web::{
    AuditText, Caller, ChangeResponse, PathId, QueryParams, Reply, RequestContext, RequestInput,
    sse,
};

/// An action that takes longer goes on as a job; a page shows its progress earlier.
const PATIENCE: Duration = Duration::from_secs(2);
const PAGE_PATIENCE: Duration = Duration::from_millis(1500);
/// Minimum time between two events about a job.
const COALESCE: Duration = Duration::from_millis(250);
/// In the form of a list: shows the logs of the selected instances. It is no action of the API.
const SHOW_LOGS: &str = "logs";
/// Instances that an entry of the audit log names.
const MOST_NAMED: usize = 20;

/// `POST /instances/actions`: one action on many.
pub async fn act(
    State(jobs): State<BulkJobs>,
    caller: Caller,
    actor: Actor,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let is_page = want.form == Representation::Html;
    let next = input.value.get("next").and_then(Value::as_str);
    let back = next_page(next, "/instances");
    let nothing_selected = || {
        let mark = if back.contains('?') { '&' } else { '?' };
        let back = format!("{back}{mark}notice={NOTHING_SELECTED}");
        Ok(Redirect::to(&back).into_response())
    };
    let is_nothing = |errors: &[FieldError]| errors.iter().all(|e| e.pointer == "/ids");
    if is_page
        && input
            .value
            .get("action")
            .is_some_and(|action| action == SHOW_LOGS)
    {
        let mut errors = Vec::new();
        let selection = BulkSelection::read(&input, &mut errors);
        if !errors.is_empty() {
            return match is_nothing(&errors) {
                true => nothing_selected(),
                false => Err(Error::Invalid(errors).into()),
            };
        }
        let address = logs_address(&jobs, &selection).await?;
        return Ok(Redirect::to(&address).into_response());
    }
    let request = match BulkRequest::read(&input, is_page) {
        Err(Error::Invalid(errors)) if is_page && is_nothing(&errors) => return nothing_selected(),
        read => read?,
    };
    let kind = request.kind;
    caller.must_be(kind.role())?;
    let (instances, unknown) = select(&jobs, &request.selection).await?;
    let values = input.form.unwrap_or_default();
    if let Some(mut page) = BulkQuestionPage::of(&request, &instances, &values, &back) {
        add_choices(&jobs, kind, &mut page).await?;
        let status = match page.is_refused() {
            true => StatusCode::UNPROCESSABLE_ENTITY,
            false => StatusCode::OK,
        };
        return want.respond_with(status, &page);
    }
    if let Some(error) = check_count(&request, instances.len()) {
        return Err(Error::Invalid(vec![error]).into());
    }
    let Some(action) = request.action else {
        return Err(Error::invalid("/action", "The parameters of the action are missing.").into());
    };
    let names: Vec<_> = instances.iter().map(Instance::full_name).collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let audit = AuditText(audit_text(kind, &names));
    let chosen = in_order(&request.selection, &instances, unknown);
    let live = jobs.begin(action, chosen, &actor).await?;
    let patience = if is_page { PAGE_PATIENCE } else { PATIENCE };
    let mut changes = live.changes();
    let is_over = async {
        while !live.job().stage.is_over() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(patience, is_over).await;
    let job = live.job();
    // A page has its own address, so that loading it again does not repeat the action.
    let mut response = if job.stage.is_over() && !is_page {
        want.respond(&BulkJobPage {
            job,
            change: 0,
            back,
        })?
    } else {
        let at = format!("/jobs/{}", job.id);
        let message = format!("{}: {}", job.title, job.message);
        let json = BulkStartResponse {
            job: job.id,
            message,
        };
        ChangeResponse::new(json, at.clone())
            .accepted(at)
            .respond(&want)?
    };
    response.extensions_mut().insert(audit);
    Ok(response)
}

/// The address of the logs of a selection.
async fn logs_address(jobs: &BulkJobs, selection: &BulkSelection) -> Result<String> {
    let pairs = match selection {
        // In a view of logs, `q` is a text in them.
        BulkSelection::Filter(filter) if filter.search.is_empty() => filter.pairs(),
        selection => {
            let (instances, _) = select(jobs, selection).await?;
            // The logs of other hosts are on the pages of their instances.
            let own = instances.iter().filter(|one| one.host.is_none());
            own.map(|one| ("instance", one.id.to_string())).collect()
        }
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    Ok(format!("/logs?{}", query.extend_pairs(pairs).finish()))
}

/// The instances of a selection that exist, and the ids of those that do not.
async fn select(
    jobs: &BulkJobs,
    selection: &BulkSelection,
) -> Result<(Vec<Instance>, Vec<InstanceId>)> {
    let lists = &jobs.services().lists;
    let ids = match selection {
        BulkSelection::Filter(filter) => {
            return Ok((lists.matching(filter.clone()).await?, Vec::new()));
        }
        BulkSelection::Ids(ids) => ids,
    };
    let all = lists.all().await?;
    let mut all: HashMap<InstanceId, Instance> = all.into_iter().map(|one| (one.id, one)).collect();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for id in ids {
        match all.remove(id) {
            Some(instance) => known.push(instance),
            None => unknown.push(*id),
        }
    }
    Ok((known, unknown))
}

/// The instances of a job in the order of the request.
fn in_order(
    selection: &BulkSelection,
    known: &[Instance],
    unknown: Vec<InstanceId>,
) -> Vec<(InstanceId, Option<String>)> {
    let known = known
        .iter()
        .map(|one| (one.id, Some(one.full_name().into_owned())));
    let mut chosen: Vec<_> = known
        .chain(unknown.into_iter().map(|id| (id, None)))
        .collect();
    if let BulkSelection::Ids(ids) = selection {
        let places: HashMap<&InstanceId, usize> =
            ids.iter().enumerate().map(|(at, id)| (id, at)).collect();
        chosen.sort_by_key(|(id, _)| places.get(id).copied());
    }
    chosen
}

/// For the audit log. Who may change settings may also read names there; what was deleted has no other
/// trace.
fn audit_text(kind: BulkActionKind, names: &[&str]) -> String {
    let text = kind.audit_text();
    if kind != BulkActionKind::Delete || names.is_empty() {
        return text.into();
    }
    let (named, rest) = names.split_at(names.len().min(MOST_NAMED));
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{text}: {}{more}", named.join(", "))
}

async fn add_choices(
    jobs: &BulkJobs,
    kind: BulkActionKind,
    page: &mut BulkQuestionPage,
) -> Result<()> {
    let lists = &jobs.services().lists;
    match kind {
        BulkActionKind::Configure => {
            let saved = lists.configs.list().await?.into_iter();
            page.configs = saved.map(|one| (one.id.to_string(), one.name)).collect();
            page.configs.sort_by(|(_, a), (_, b)| natural_order(a, b));
        }
        BulkActionKind::Version => page.versions = lists.instances.versions().await,
        _ => {}
    }
    Ok(())
}

/// `GET /jobs?limit=&offset=`.
pub async fn list(
    State(jobs): State<BulkJobs>,
    want: RequestContext,
    mut params: QueryParams,
) -> Reply {
    let (limit, offset) = (params.number("limit"), params.number("offset"));
    params.finish()?;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let found = jobs.list(number(offset), number(limit)).await?;
    want.respond(&BulkJobsPage::new(found, (offset, limit)))
}

/// `GET /jobs/{id}`: the page, its JSON, or its event stream.
pub async fn job(
    State(jobs): State<BulkJobs>,
    PathId(id): PathId<JobId>,
    want: RequestContext<PageOrStream>,
    mut params: QueryParams,
) -> Reply {
    let after = params.get::<u64>("after", "the number of a change");
    params.finish()?;
    let live = jobs.live(id);
    if want.form == Representation::EventStream {
        let as_html = want.asked.fragment;
        let stop = jobs.services().stop.clone();
        return Ok(match live {
            Some(live) => sse::respond(events(live, after.unwrap_or(0), as_html), stop, as_html),
            None => {
                let page = BulkJobPage {
                    job: jobs.get(id).await?,
                    change: 0,
                    back: "/instances".into(),
                };
                let event = event(&page, &[], as_html);
                sse::respond(stream::iter(event), stop, as_html)
            }
        });
    }
    let (change, job) = match live {
        Some(live) => {
            let (change, job, _) = live.since(u64::MAX);
            (change, job)
        }
        None => (0, jobs.get(id).await?),
    };
    want.respond_blocking(BulkJobPage {
        job,
        change,
        back: "/instances".into(),
    })
    .await
}

/// The job now and after each change, until it has finished. A page gets the rows that changed after
/// change number `after`.
fn events(
    live: Arc<LiveBulkJob>,
    after: u64,
    as_html: bool,
) -> impl futures_util::Stream<Item = bytes::Bytes> + Send {
    let changes = live.changes();
    let state = (live, changes, after, true, false);
    stream::unfold(
        state,
        move |(live, mut changes, seen, is_first, is_over)| async move {
            if is_over {
                return None;
            }
            if !is_first {
                changes.changed().await.ok()?;
                tokio::time::sleep(COALESCE).await;
            }
            changes.mark_unchanged();
            let (change, job, changed) = live.since(seen);
            let is_over = job.stage.is_over();
            let page = BulkJobPage {
                job,
                // The address of the stream stays, so that htmx keeps it.
                change: after,
                back: "/instances".into(),
            };
            let event = event(&page, &changed, as_html)?;
            Some((event, (live, changes, change, false, is_over)))
        },
    )
}

/// An event with the job; for a page with the rows at these places. None: a template fails, which is a
/// bug.
fn event(page: &BulkJobPage, changed: &[usize], as_html: bool) -> Option<bytes::Bytes> {
    if !as_html {
        return SseEvent::default().event("job").json_data(page).ok();
    }
    let mut parts = partial("job", &crate::web::html(&page.as_job()).ok()?);
    for at in changed {
        let step = page.job.results.get(*at)?;
        let row = crate::web::html(&BulkStepRow { at: *at, step }).ok()?;
        parts.push_str(&partial(&format!("s-{at}"), &row));
    }
    Some(SseEvent::default().data(parts))
}

/// A part of a page that htmx swaps.
fn partial(id: &str, html: &str) -> String {
    format!("<hx-partial hx-target=\"#{id}\" hx-swap=\"outerMorph\">{html}</hx-partial>")
}

/// `POST /jobs/{id}/dismiss`.
pub async fn dismiss(
    State(jobs): State<BulkJobs>,
    PathId(id): PathId<JobId>,
    want: RequestContext,
    fields: EmptyForm,
) -> Reply {
    let job = jobs.dismiss(id).await?;
    let message = format!("\"{}\" is no longer shown in lists.", job.title);
    let next = next_page(fields.text("next"), "/instances");
    ChangeResponse::new(MessageResponse::new(message), next).respond(&want)
}

/// `POST /jobs/{id}/cancel`.
pub async fn cancel(
    State(jobs): State<BulkJobs>,
    PathId(id): PathId<JobId>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    let job = jobs.cancel(id).await?;
    let message = format!("Canceling \"{}\".", job.title);
    let json = BulkCancelResponse { job: id, message };
    let response: Response = ChangeResponse::new(json, format!("/jobs/{id}")).respond(&want)?;
    Ok(response)
}
