//! The handlers of the log of an instance.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::json;

use super::offset::{LogOffset, LogSelection};
use super::service::{LogPosition, LogService};
use super::views::{LogLinesFragment, LogPage, LogPart, ProgramRecord, skipped_text};
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::domain::instances::{ProgramName, streams};
use crate::infra::log_store::{LogEvent, LogFilter, LogRecord, RecordFormat};
use crate::web::negotiation::Representation;
use crate::web::sse::SseEvent;
use crate::web::{LogForms, PathId, QueryParams, Reply, RequestContext, sse};

/// `GET /instances/{id}/logs` in its four forms.
pub async fn log(
    State(logs): State<LogService>,
    PathId(id): PathId<InstanceId>,
    want: RequestContext<LogForms>,
    headers: HeaderMap,
    params: QueryParams,
) -> Reply {
    let asked = LogQuery::read(params)?;
    match want.form {
        Representation::EventStream if matches!(asked.place, LogPosition::Before(_)) => {
            Err(Error::invalid(
                "/before",
                "A live stream cannot use before. Use after instead.",
            )
            .into())
        }
        Representation::EventStream => Ok(follow(
            &logs,
            id,
            asked,
            sse::last_event_id(&headers),
            want.page_role(),
        )
        .await?),
        Representation::Text => Ok(download(&logs, id, asked).await?),
        _ => {
            let _turn = logs.turn().await?;
            let (instance, page) = logs
                .page(
                    id,
                    asked.selection,
                    asked.place,
                    asked.filter.clone(),
                    asked.count,
                )
                .await?;
            let log = LogPart::new(page, asked.selection, asked.filter, asked.place);
            want.respond_blocking(LogPage { instance, log }).await
        }
    }
}

/// `GET /instances/{id}/log.txt`: the download with a separate URL, because a link in a browser
/// cannot send `Accept: text/plain`.
pub async fn file(
    State(logs): State<LogService>,
    PathId(id): PathId<InstanceId>,
    params: QueryParams,
) -> Reply {
    Ok(download(&logs, id, LogQuery::read(params)?).await?)
}

/// The requested part of the log.
struct LogQuery {
    selection: LogSelection,
    place: LogPosition,
    filter: LogFilter,
    count: usize,
    has_count: bool,
}

impl LogQuery {
    fn read(mut params: QueryParams) -> Result<Self> {
        let has_count = params.text("count").is_some();
        let count = params.number("count");
        let selection = selection(&params)?;
        let expected = match selection {
            LogSelection::All => {
                "a position in both logs, CLIENT-TRANSLATOR, from first or last in an earlier response"
            }
            LogSelection::Client | LogSelection::Translator => "a sequence number of this log",
        };
        let before = params.get::<LogOffset>("before", expected);
        let after = params.get::<LogOffset>("after", expected);
        let min_level = params.get("level", "trace, debug, info, warn or error");
        let text = params.text("q").map(str::to_owned);
        params.finish()?;
        for (name, offset) in [("before", before), ("after", after)] {
            if offset.is_some_and(|offset| !selection.has(offset)) {
                let detail = format!("{name} must be {expected}.");
                return Err(Error::invalid(format!("/{name}"), detail));
            }
        }
        let place = match (before, after) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "/before",
                    "Use either before or after, not both.",
                ));
            }
            (Some(seq), None) => LogPosition::Before(seq),
            (None, Some(seq)) => LogPosition::After(seq),
            (None, None) => LogPosition::End,
        };
        Ok(Self {
            selection,
            place,
            filter: LogFilter { min_level, text },
            count: usize::try_from(count).unwrap_or(100),
            has_count,
        })
    }
}

/// The requested program.
fn selection(params: &QueryParams) -> Result<LogSelection> {
    let Some(text) = params.text("program") else {
        return Ok(LogSelection::default());
    };
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(50).collect();
        Error::invalid(
            "/program",
            format!("\"{shown}\" is not a program. program must be client, translator or all."),
        )
    })
}

/// The live stream of new records and changes of the instance. A page gets HTML to append and swap, a
/// program gets JSON. `Last-Event-ID` takes precedence over `after`. With `count` and neither of
/// them, the stream starts with this number of the newest records.
async fn follow(
    logs: &LogService,
    id: InstanceId,
    asked: LogQuery,
    resume: Option<LogOffset>,
    page_role: Option<Role>,
) -> Result<Response> {
    let as_html = page_role.is_some();
    let selection = asked.selection;
    let resume = resume.filter(|offset| selection.has(*offset));
    let logs = logs.clone();
    let mut begin = resume;
    let mut first = Vec::new();
    // That after each of the first records.
    let mut place = LogOffset::One(0);
    match asked.place {
        _ if resume.is_some() => {}
        LogPosition::After(seq) | LogPosition::Before(seq) => begin = Some(seq),
        LogPosition::End if asked.has_count => {
            let _turn = logs.turn().await?;
            let (_, page) = logs
                .page(
                    id,
                    selection,
                    LogPosition::End,
                    asked.filter.clone(),
                    asked.count,
                )
                .await?;
            begin = Some(page.last);
            place = page.first.map_or(page.last, LogOffset::preceding);
            first = page.records;
        }
        LogPosition::End => {}
    }
    let mut statuses = streams::statuses(logs.instances(), id, page_role)
        .await?
        .boxed();
    let status = statuses.next().await;
    let followers = logs.follow(id, selection, begin).await?;
    let view = StreamView {
        id,
        format: RecordFormat {
            as_html,
            filter: asked.filter,
        },
        is_mixed: selection == LogSelection::All,
    };
    let mut opening = Vec::from_iter(status);
    for (program, record) in &first {
        place = place.with(*program, record.seq);
        opening.extend(view.records(*program, &[record], |_| place));
    }
    let lines = stream::unfold((followers, view), |(mut followers, view)| async move {
        loop {
            let (program, event) = followers.next().await?;
            let place = |seq| followers.place(program, seq);
            if let Some(events) = view.events(program, &event, place) {
                return Some((events, (followers, view)));
            }
        }
    });
    // Each of them ends both: the instance was deleted, or the manager stops.
    let or_end = |events: BoxStream<'static, Bytes>| {
        let end = stream::once(std::future::ready(None));
        events.map(Some).chain(end)
    };
    let live = stream::select(or_end(lines.boxed()), or_end(statuses));
    let live = live.take_while(|event| std::future::ready(event.is_some()));
    let live = live.filter_map(std::future::ready);
    let events = stream::iter(opening).chain(live);
    Ok(sse::respond(events, logs.stop(), as_html))
}

/// How a stream shows records.
struct StreamView {
    id: InstanceId,
    format: RecordFormat,
    is_mixed: bool,
}

impl StreamView {
    /// The events for one event of a program's log; none if the filter leaves nothing of it. `place`:
    /// the place after a record.
    fn events(
        &self,
        program: ProgramName,
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
                    self.records(program, &passing, &place)
                };
                // Places in both logs differ between readers, so their events do as well.
                if self.is_mixed {
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
                if self.format.as_html {
                    Some(event.data(appended(&format!(
                        "<div class=\"line skipped\">{}</div>",
                        skipped_text(*lines, *exact)
                    ))))
                } else {
                    let skipped = json!({ "program": program, "lines": lines, "exact": exact, "until": until });
                    event.event("skipped").json_data(skipped).ok()
                }
            }
        }
    }

    fn records(
        &self,
        program: ProgramName,
        records: &[&LogRecord],
        place: impl Fn(u64) -> LogOffset,
    ) -> Option<Bytes> {
        let last = records.last()?;
        if !self.format.as_html {
            let event = |record: &&LogRecord| {
                let data = ProgramRecord {
                    program,
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
            id: self.id,
            program,
            is_mixed: self.is_mixed,
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

async fn download(logs: &LogService, id: InstanceId, asked: LogQuery) -> Result<Response> {
    let (instance, text) = logs.text(id, asked.selection, asked.filter).await?;
    let program = match asked.selection {
        LogSelection::Client => "",
        LogSelection::Translator => "-translator",
        LogSelection::All => "-all",
    };
    let name: String = instance
        .name
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
