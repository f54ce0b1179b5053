//! The URLs of an instance's page and log.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::Event as SseEvent;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use super::service::{Logs, Place};
use super::views::{InstancePage, Lines, LogPage, LogPart, Miners, Pending, Told, skipped_words};
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::configs::views::notes::Doubts;
use crate::domain::configs::{ClientVersion, Configs};
use crate::domain::instances::{Instance, miner_urls, streams};
use crate::infra::log_store::{Event, Filter, Record};
use crate::web::negotiation::Form;
use crate::web::{Frame, Id, LogForms, PageForms, Params, Reply, Want, sse};

/// Records on a page without being asked for more.
const COUNT: u64 = 100;

/// What the page of an instance needs of the house.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The logs.
    pub logs: Logs,
    /// The configurations, for the address miners connect to.
    pub configs: Configs,
}

impl Pages {
    /// What is saved and does not run yet.
    async fn pending(&self, instance: &Instance, running: i32, saved: i32) -> Option<Pending> {
        let comparison = self.configs.compare(instance.config_id, Some(running), Some(saved)).await.ok()?;
        let pinned = instance.client_version.as_deref().and_then(|version| version.parse().ok());
        let version = match pinned {
            Some(version) => version,
            None => self.logs.instances().client().await.map_or(ClientVersion::NEWEST_KNOWN, |program| program.version),
        };
        Some(Pending::new(comparison, version))
    }
}

/// `GET /instances/{id}`.
pub async fn show(
    State(pages): State<Pages>,
    Extension(frame): Extension<Frame>,
    Id(id): Id<InstanceId>,
    want: Want<PageForms>,
) -> Reply {
    let _turn = pages.logs.turn().await?;
    let (instance, page, dropped) =
        pages.logs.page(id, Place::End, Filter::default(), usize::try_from(COUNT).unwrap_or(100)).await?;
    let told = Told::of(&pages, &instance).await;
    let log = LogPart::new(page, dropped, Filter::default(), Place::End);
    want.respond_blocking(InstancePage { frame, instance, told, log }).await
}

/// `GET /instances/{id}/logs` in its four forms.
pub async fn log(
    State(pages): State<Pages>,
    Extension(frame): Extension<Frame>,
    Id(id): Id<InstanceId>,
    want: Want<LogForms>,
    headers: HeaderMap,
    params: Params,
) -> Reply {
    let asked = Asked::read(params)?;
    match want.form {
        Form::EventStream if matches!(asked.place, Place::Before(_)) => {
            Err(Error::invalid("/before", "A live view goes forward: ask for after instead of before.").into())
        }
        Form::EventStream => Ok(follow(&pages, id, asked, sse::last_event_id(&headers), want.asked.fragment).await?),
        Form::Text => Ok(download(&pages, id, asked.filter).await?),
        _ => {
            let _turn = pages.logs.turn().await?;
            let (instance, page, dropped) = pages.logs.page(id, asked.place, asked.filter.clone(), asked.count).await?;
            let told = if want.form == Form::Html { Told::of(&pages, &instance).await } else { Told::default() };
            let log = LogPart::new(page, dropped, asked.filter, asked.place);
            want.respond_blocking(LogPage { frame, instance, told, log }).await
        }
    }
}

/// `GET /instances/{id}/log.txt`: the download under an address of its own, since a browser's link cannot say `Accept: text/plain`.
pub async fn file(State(pages): State<Pages>, Id(id): Id<InstanceId>, params: Params) -> Reply {
    Ok(download(&pages, id, Asked::read(params)?.filter).await?)
}

/// Which part of the log a request asks for.
struct Asked {
    place: Place,
    filter: Filter,
    count: usize,
    has_count: bool,
}

impl Asked {
    fn read(mut params: Params) -> Result<Self> {
        let has_count = params.text("count").is_some();
        let count = params.number("count", 1..=1000, COUNT);
        let before = params.get::<u64>("before", "a sequence number of this log");
        let after = params.get::<u64>("after", "a sequence number of this log");
        let min_level = params.get("level", "trace, debug, info, warn or error");
        let text = params.text("q").map(str::to_owned);
        params.finish()?;
        let place = match (before, after) {
            (Some(_), Some(_)) => return Err(Error::invalid("/before", "Ask for before or after, not both.")),
            (Some(seq), None) => Place::Before(seq),
            (None, Some(seq)) => Place::After(seq),
            (None, None) => Place::End,
        };
        Ok(Self { place, filter: Filter { min_level, text }, count: usize::try_from(count).unwrap_or(100), has_count })
    }
}

/// Live: records as they come and the instance's changes, in one stream. A browser's page gets HTML to append and swap, a program
/// gets JSON. `Last-Event-ID` wins over `after`; with `count` and neither, it begins with that many of the newest records.
async fn follow(pages: &Pages, id: InstanceId, asked: Asked, resume: Option<u64>, as_html: bool) -> Result<Response> {
    let logs = pages.logs.clone();
    let mut begin = resume;
    let mut first = Vec::new();
    match asked.place {
        _ if resume.is_some() => {}
        Place::After(seq) | Place::Before(seq) => begin = Some(seq),
        Place::End if asked.has_count => {
            let _turn = logs.turn().await?;
            let (_, page, _) = logs.page(id, Place::End, asked.filter.clone(), asked.count).await?;
            begin = Some(page.last);
            first = page.records;
        }
        Place::End => {}
    }
    // Listened to before it is looked at: a change in between is told twice rather than not at all.
    let changes = streams::changes_of(logs.instances(), id);
    let (instance, mut follower) = logs.follow(id, begin).await?;
    let filter = asked.filter;

    // The follower is moved into a task so that both sources can be waited for without losing a place in either. The channel is
    // short: a viewer that does not read holds up its own task and nothing else, and takes little memory.
    let (send, receive) = tokio::sync::mpsc::channel::<SseEvent>(1);
    let records = first.iter().collect::<Vec<_>>();
    let opening: Vec<SseEvent> =
        streams::status_event(instance, as_html).into_iter().chain(record_events(id, &records, as_html)).collect();
    tokio::spawn(async move {
        let mut changes = std::pin::pin!(changes);
        loop {
            let events = tokio::select! {
                heard = follower.next() => match heard {
                    Some(event) => log_events(id, &event, &filter, as_html),
                    None => return,
                },
                changed = changes.next() => match changed {
                    Some(instance) => streams::status_event(instance, as_html).into_iter().collect(),
                    None => return,
                },
                () = send.closed() => return,
            };
            for event in events {
                if send.send(event).await.is_err() {
                    return;
                }
            }
        }
    });
    let events: std::pin::Pin<Box<dyn Stream<Item = SseEvent> + Send>> =
        Box::pin(stream::iter(opening).chain(ReceiverStream::new(receive)));
    Ok(sse::respond(events, logs.stop(), as_html))
}

fn log_events(id: InstanceId, event: &Event, filter: &Filter, as_html: bool) -> Vec<SseEvent> {
    match event {
        Event::Records(records) => {
            let passing: Vec<&Record> = records.iter().map(AsRef::as_ref).filter(|record| filter.matches(record)).collect();
            record_events(id, &passing, as_html)
        }
        Event::Skipped { lines, exact, until } => {
            let event = SseEvent::default().id(until.to_string());
            if as_html {
                vec![event.data(appended(&format!("<div class=\"line skipped\">{}</div>", skipped_words(*lines, *exact))))]
            } else {
                event.event("skipped").json_data(json!({ "lines": lines, "exact": exact, "until": until })).into_iter().collect()
            }
        }
    }
}

fn record_events(id: InstanceId, records: &[&Record], as_html: bool) -> Vec<SseEvent> {
    let Some(last) = records.last() else { return Vec::new() };
    if !as_html {
        return records
            .iter()
            .filter_map(|record| SseEvent::default().id(record.seq.to_string()).json_data(record).ok())
            .collect();
    }
    match crate::web::html(&Lines { id, records }) {
        Ok(html) => vec![SseEvent::default().id(last.seq.to_string()).data(appended(&html))],
        Err(_) => Vec::new(),
    }
}

/// HTML that htmx appends to the log.
fn appended(html: &str) -> String {
    format!("<hx-partial hx-target=\"#log\" hx-swap=\"beforeend\">{html}</hx-partial>")
}

async fn download(pages: &Pages, id: InstanceId, filter: Filter) -> Result<Response> {
    let (instance, text) = pages.logs.text(id, filter).await?;
    let name: String = instance.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let disposition = HeaderValue::try_from(format!("inline; filename=\"{name}.log\"")).map_err(Error::internal)?;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, disposition)], Body::from_stream(text)).into_response())
}

impl Told {
    /// As far as the saved configuration tells it.
    async fn of(pages: &Pages, instance: &Instance) -> Self {
        let Ok(saved) = pages.configs.get(instance.config_id).await else { return Self::default() };
        let urls = miner_urls(&saved.config).await;
        let is_local = saved.config.listening_address.ip().is_loopback();
        let pending = match instance.running_revision.filter(|_| instance.is_outdated()) {
            Some(running) => pages.pending(instance, running, saved.revision).await,
            None => None,
        };
        Self { miners: Some(Miners { urls, is_local }), doubts: Doubts::about(&saved.config), pending }
    }
}
