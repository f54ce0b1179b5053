//! The handlers of logs: of one instance, and of several in one view.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::sync::Arc;

use super::offset::{LogOffset, LogSelection};
use super::query::LogQuery;
use super::scope::LogScope;
use super::service::{LogPosition, LogService};
use super::views::{
    LogChoice, LogLinesFragment, LogPage, LogPart, ProgramRecord, SkippedFragment, SkippedRecords,
    skipped_text,
};
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::domain::instances::{Instance, streams};
use crate::infra::log_store::{LogEvent, LogPattern, LogRecord, RecordFormat};
use crate::web::negotiation::Representation;
use crate::web::sse::SseEvent;
use crate::web::{LogForms, PathId, QueryParams, Reply, RequestContext, sse};

/// Maximum number of instances that a page offers besides those that it shows.
const MOST_CHOICES: usize = 200;

/// `GET /instances/{id}/logs` in its four forms.
pub async fn log(
    State(logs): State<LogService>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext<LogForms>,
    headers: HeaderMap,
    params: QueryParams,
) -> Reply {
    let asked = LogQuery::read(params, false)?;
    let scope = LogScope::of(id, asked.selection);
    if want.form != Representation::Html {
        check(&asked, want.form)?;
    }
    match want.form {
        Representation::EventStream => {
            let role = want.page_role();
            let statuses = streams::statuses(logs.instances(), id, role).await?;
            let statuses = statuses.boxed();
            Ok(follow(
                &logs,
                scope,
                asked,
                Resume::of(&headers, role),
                Some(statuses),
            )
            .await?)
        }
        Representation::Text => Ok(download_one(&logs, id, asked).await?),
        _ => {
            let instance = logs.instances().get(id).await?;
            show(&logs, want, scope, asked, Some(instance), Vec::new()).await
        }
    }
}

/// `GET /logs`: the logs of several instances in one, in its four forms.
pub async fn all(
    State(logs): State<LogService>,
    want: RequestContext<LogForms>,
    headers: HeaderMap,
    params: QueryParams,
) -> Reply {
    let mut asked = LogQuery::read(params, true)?;
    let instances = logs.instances().list().await?;
    let scope = select(&instances, &mut asked);
    if want.form == Representation::Html {
        if asked.selects_all() {
            // A person selects some of too many.
            asked.errors.retain(|error| error.pointer != "/instance");
        }
        let choices = choices(&instances, &scope);
        return show(&logs, want, scope, asked, None, choices).await;
    }
    check(&asked, want.form)?;
    match want.form {
        Representation::EventStream => {
            let resume = Resume::of(&headers, want.page_role());
            Ok(follow(&logs, scope, asked, resume, None).await?)
        }
        Representation::Text => Ok(download(&logs, &scope, asked, "logs").await?),
        _ => show(&logs, want, scope, asked, None, Vec::new()).await,
    }
}

/// `GET /instances/{id}/log.txt`: the download with a separate URL, because a link in a browser
/// cannot send `Accept: text/plain`.
pub async fn file(
    State(logs): State<LogService>,
    PathId(id): PathId<InstanceId>,
    params: QueryParams,
) -> Reply {
    let asked = LogQuery::read(params, false)?;
    check(&asked, Representation::Text)?;
    Ok(download_one(&logs, id, asked).await?)
}

/// `GET /log.txt`: the same for several instances.
pub async fn all_file(State(logs): State<LogService>, params: QueryParams) -> Reply {
    let mut asked = LogQuery::read(params, true)?;
    let instances = logs.instances().list().await?;
    let scope = select(&instances, &mut asked);
    check(&asked, Representation::Text)?;
    Ok(download(&logs, &scope, asked, "logs").await?)
}

/// The requested instances; none if the selection has an error, which is added to the others.
fn select(instances: &[Instance], asked: &mut LogQuery) -> LogScope {
    let selected = LogScope::select(
        instances,
        &asked.instances,
        &asked.instance_filter,
        asked.selection,
    );
    selected.unwrap_or_else(|error| {
        asked.errors.push(error);
        LogScope::none(asked.selection)
    })
}

/// The instances that a page offers: those that it shows, and others.
fn choices(instances: &[Instance], scope: &LogScope) -> Vec<LogChoice> {
    let choice = |one: &Instance| LogChoice {
        id: one.id,
        name: one.name.clone(),
        is_selected: scope.instances.iter().any(|shown| shown.id == one.id),
    };
    let mut choices: Vec<_> = instances.iter().map(choice).collect();
    choices.sort_by(|a, b| (!a.is_selected, &a.name).cmp(&(!b.is_selected, &b.name)));
    choices.truncate(MOST_CHOICES.max(scope.instances.len()));
    choices
}

/// # Errors
/// Those of the query, and a place that the representation does not have.
fn check(asked: &LogQuery, form: Representation) -> Result<()> {
    if !asked.errors.is_empty() {
        return Err(Error::Invalid(asked.errors.clone()));
    }
    let name = match asked.place {
        LogPosition::Before(_) => "before",
        LogPosition::At(_) | LogPosition::Line(..) => "at",
        LogPosition::End | LogPosition::After(_) => return Ok(()),
    };
    if form == Representation::EventStream {
        let detail = format!("A live stream cannot use {name}. Use after instead.");
        return Err(Error::invalid(format!("/{name}"), detail));
    }
    Ok(())
}

/// A page or its JSON.
async fn show(
    logs: &LogService,
    want: RequestContext<LogForms>,
    scope: LogScope,
    asked: LogQuery,
    instance: Option<Instance>,
    choices: Vec<LogChoice>,
) -> Reply {
    let _turn = logs.turn().await?;
    let has_errors = !asked.errors.is_empty();
    let excerpt = match has_errors {
        true => None,
        false => {
            let (place, filter) = (asked.place.clone(), asked.filter.clone());
            Some(logs.page(&scope, place, filter, asked.count).await?)
        }
    };
    let log = LogPart::new(excerpt, scope, asked);
    let page = LogPage {
        instance,
        choices,
        log,
    };
    match has_errors {
        true => want.respond_with(StatusCode::UNPROCESSABLE_ENTITY, &page),
        false => want.respond_blocking(page).await,
    }
}

/// Where a stream continues, and for whom.
struct Resume {
    /// `Last-Event-ID`, which takes precedence over `after`.
    last: Option<LogOffset>,
    /// The role of the caller if a page follows.
    page_role: Option<Role>,
}

impl Resume {
    fn of(headers: &HeaderMap, page_role: Option<Role>) -> Self {
        Self {
            last: sse::last_event_id(headers),
            page_role,
        }
    }
}

/// The live stream of new records and, for one instance, of its changes. A page gets HTML to append and
/// swap, a program gets JSON. With `count` and no place, the stream starts with this number of the newest
/// records.
async fn follow(
    logs: &LogService,
    scope: LogScope,
    asked: LogQuery,
    resume: Resume,
    statuses: Option<BoxStream<'static, Bytes>>,
) -> Result<Response> {
    let as_html = resume.page_role.is_some();
    let mut begin = resume.last;
    begin = begin.filter(|offset| scope.selection.has(offset, scope.is_named));
    let mut first = Vec::new();
    // That after each of the first records.
    let mut places = Vec::new();
    match &asked.place {
        _ if begin.is_some() => {}
        LogPosition::After(offset) => begin = Some(offset.clone()),
        _ if asked.has_count => {
            let _turn = logs.turn().await?;
            let filter = asked.filter.clone();
            let page = logs
                .page(&scope, LogPosition::End, filter, asked.count)
                .await?;
            // A record ends at its place, so the one before the first is smaller.
            let before = page.first.as_ref().map_or_else(
                || scope.places(&page.last),
                |first| {
                    scope
                        .places(first)
                        .iter()
                        .map(|place| place.saturating_sub(1))
                        .collect()
                },
            );
            begin = Some(page.last);
            (first, places) = (page.records, before);
        }
        _ => {}
    }
    let mut statuses = statuses;
    let status = match &mut statuses {
        Some(statuses) => statuses.next().await,
        None => None,
    };
    let followers = logs.follow(&scope, begin.as_ref()).await?;
    let view = StreamView {
        marks: asked.filter.highlight(),
        format: RecordFormat {
            as_html,
            filter: asked.filter,
        },
        scope,
    };
    let mut opening = Vec::from_iter(status);
    for (log, record) in &first {
        places[*log] = record.seq;
        let place = view.scope.offset(&places);
        opening.extend(view.records(*log, &[record], |_| place.clone()));
    }
    let lines = stream::unfold(
        (followers, Arc::new(view)),
        |(mut followers, view)| async move {
            loop {
                let (log, event) = followers.next().await?;
                let places = followers.places(log, 0);
                let shared = Arc::clone(&view);
                let render = move || {
                    let place = |seq| {
                        let mut places = places.clone();
                        places[log] = seq;
                        shared.scope.offset(&places)
                    };
                    shared.events(log, &event, place)
                };
                // A regular expression may be slow, but must not delay others.
                let events = match view.format.filter.pattern {
                    Some(_) => tokio::task::spawn_blocking(render).await.ok()?,
                    None => render(),
                };
                if let Some(events) = events {
                    return Some((events, (followers, view)));
                }
            }
        },
    );
    // Each of them ends both: the instance was deleted, or the manager stops.
    let or_end = |events: BoxStream<'static, Bytes>| {
        let end = stream::once(std::future::ready(None));
        events.map(Some).chain(end)
    };
    let statuses = statuses.unwrap_or_else(|| stream::pending().boxed());
    let live = stream::select(or_end(lines.boxed()), or_end(statuses));
    let live = live.take_while(|event| std::future::ready(event.is_some()));
    let live = live.filter_map(std::future::ready);
    let events = stream::iter(opening).chain(live);
    Ok(sse::respond(events, logs.stop(), as_html))
}

/// How a stream shows records.
struct StreamView {
    scope: LogScope,
    format: RecordFormat,
    /// What pages highlight.
    marks: Option<LogPattern>,
}

impl StreamView {
    /// The events for one event of a log; none if the filter leaves nothing of it. `place`: the place
    /// after a record.
    fn events(
        &self,
        log: usize,
        event: &LogEvent,
        place: impl Fn(u64) -> LogOffset,
    ) -> Option<Bytes> {
        match event {
            LogEvent::Records(batch) => {
                let render = || {
                    let filter = &self.format.filter;
                    let records = batch.iter().map(AsRef::as_ref);
                    let passing: Vec<&LogRecord> =
                        records.filter(|record| filter.matches(record)).collect();
                    self.records(log, &passing, &place)
                };
                // Places in several logs differ between readers, so their events do as well.
                if self.scope.is_named || self.scope.sources.len() > 1 {
                    render()
                } else {
                    batch.rendering(&self.format, render)
                }
            }
            LogEvent::Skipped {
                lines,
                exact,
                until,
            } => {
                let event = SseEvent::default().id(place(*until));
                let source = &self.scope.sources[log];
                if self.format.as_html {
                    let text = skipped_text(*lines, *exact);
                    let html = crate::web::html(&SkippedFragment { source, text }).ok()?;
                    Some(event.data(appended(&html)))
                } else {
                    let skipped = SkippedRecords {
                        source,
                        lines: *lines,
                        exact: *exact,
                        until: *until,
                    };
                    event.event("skipped").json_data(skipped).ok()
                }
            }
        }
    }

    fn records(
        &self,
        log: usize,
        records: &[&LogRecord],
        place: impl Fn(u64) -> LogOffset,
    ) -> Option<Bytes> {
        let last = records.last()?;
        let source = &self.scope.sources[log];
        if !self.format.as_html {
            let event = |record: &&LogRecord| {
                let data = ProgramRecord {
                    source: source.clone(),
                    record: (*record).clone(),
                };
                SseEvent::default()
                    .id(place(record.seq))
                    .json_data(data)
                    .ok()
            };
            return Some(sse::join(records.iter().filter_map(event)));
        }
        let fragment = LogLinesFragment {
            source,
            marks: self.marks.as_ref(),
            records,
        };
        let html = crate::web::html(&fragment).ok()?;
        Some(
            SseEvent::default()
                .id(place(last.seq))
                .data(appended(&html)),
        )
    }
}

/// HTML that htmx appends to the log.
fn appended(html: &str) -> String {
    format!("<hx-partial hx-target=\"#log\" hx-swap=\"beforeend\">{html}</hx-partial>")
}

/// The log of one instance as text, with its name.
async fn download_one(logs: &LogService, id: InstanceId, asked: LogQuery) -> Result<Response> {
    let instance = logs.instances().get(id).await?;
    let scope = LogScope::of(id, asked.selection);
    download(logs, &scope, asked, &instance.name).await
}

async fn download(
    logs: &LogService,
    scope: &LogScope,
    asked: LogQuery,
    name: &str,
) -> Result<Response> {
    let text = logs.text(scope, asked.filter).await?;
    let program = match asked.selection {
        LogSelection::Client => "",
        LogSelection::Translator => "-translator",
        LogSelection::All => "-all",
    };
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let disposition = HeaderValue::try_from(format!("inline; filename=\"{name}{program}.log\""))
        .map_err(Error::internal)?;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok((
        [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition)],
        Body::from_stream(text),
    )
        .into_response())
}
