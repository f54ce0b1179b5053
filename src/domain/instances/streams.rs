//! The event streams of events and single instances, as JSON for programs and as parts of pages for
//! htmx. What many streams show is rendered once for all of them.

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::history::InstanceEvent;
use super::list_page::InstanceListState;
use super::model::Instance;
use super::service::InstanceService;
use super::stream_keys::{EventBatch, EventStreamKey, InstanceStreamKey};
use super::views::{EventItem, InstanceFragments, ListedEvent};
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::web::html_with;
use crate::web::shared_streams::items;
use crate::web::sse::{self, SseEvent};

/// Pause before a failed rendering or a failed read is retried.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// The number of changes, or batches of events, that a reader can be behind.
pub(super) const ROOM: usize = 128;

/// Events as they happen. Each has its id, so a follower that reconnects misses none.
///
/// # Errors
/// The history cannot be read.
pub(super) async fn follow_events(
    lists: InstanceListState,
    of: Option<InstanceId>,
    after: Option<i64>,
    page_role: Option<Role>,
) -> Result<Response> {
    let as_html = page_role.is_some();
    let service = &lists.instances;
    let (_, newest) = service.history_after(of, None).await?;
    let reader = |after| EventReader {
        service: service.clone(),
        of,
        as_html,
        after,
    };
    // Subscribed before the reader looks for what it has not seen: nothing is lost in between.
    let shared = service
        .streams()
        .events
        .subscribe(EventStreamKey { of, as_html }, ROOM, || {
            event_batches(reader(newest))
        });
    let reader = reader(after.unwrap_or(newest));
    let state = (reader, shared, true);
    let events = stream::unfold(state, |(mut reader, mut shared, is_behind)| async move {
        let (batch, is_behind) = reader.next(&mut shared, is_behind).await?;
        Some((batch.events, (reader, shared, is_behind)))
    });
    let stop = lists.stop.clone();
    // The page of one instance shows its state as well.
    if let (Some(id), Some(_)) = (of, page_role) {
        let statuses = statuses(service, id, page_role).await?;
        return Ok(sse::respond(
            stream::select(events, statuses),
            stop,
            as_html,
        ));
    }
    Ok(sse::respond(events, stop, as_html))
}

/// All new events, for the readers that have seen all earlier ones.
fn event_batches(reader: EventReader) -> impl Stream<Item = EventBatch> + Send {
    let changes = reader.service.changes();
    stream::unfold((reader, changes), |(mut reader, mut changes)| async move {
        loop {
            // There may be more than one batch.
            if let Some(batch) = reader.read().await {
                return Some((batch, (reader, changes)));
            }
            if matches!(changes.recv().await, Err(RecvError::Closed)) {
                return None;
            }
        }
    })
}

/// A place in the history, and how events after it are shown.
struct EventReader {
    service: InstanceService,
    of: Option<InstanceId>,
    as_html: bool,
    after: i64,
}

impl EventReader {
    /// The next events, from the history if it `is_behind`, otherwise the shared ones, and whether it
    /// is behind after them. None: no more will come.
    async fn next(
        &mut self,
        shared: &mut broadcast::Receiver<EventBatch>,
        mut is_behind: bool,
    ) -> Option<(EventBatch, bool)> {
        loop {
            if is_behind && let Some(batch) = self.read().await {
                // There may be more.
                return Some((batch, true));
            }
            match shared.recv().await {
                Ok(batch) if batch.last <= self.after => is_behind = false,
                // All events between are in it: this reader had seen all when it began to wait.
                Ok(batch) if batch.first > self.after => {
                    self.after = batch.last;
                    return Some((batch, false));
                }
                // It has seen a part of the batch, or missed one.
                Ok(_) | Err(RecvError::Lagged(_)) => is_behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next events from the history, if there are any. Waits until it can be read.
    async fn read(&mut self) -> Option<EventBatch> {
        let (found, last) = loop {
            match self.service.history_after(self.of, Some(self.after)).await {
                Ok(read) => break read,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        let first = found.first()?.0.id;
        let is_named = self.of.is_none();
        let events = found
            .into_iter()
            .filter_map(|found| event_of(found, is_named, self.as_html));
        self.after = last;
        Some(EventBatch {
            first,
            last,
            events: sse::join(events),
        })
    }
}

fn event_of(
    (event, instance_name): (InstanceEvent, String),
    is_named: bool,
    as_html: bool,
) -> Option<Bytes> {
    let sse = SseEvent::default().id(event.id);
    if as_html {
        let html = EventItem {
            event,
            instance_name,
            is_named,
        }
        .render_item()?;
        Some(sse.data(format!(
            "<hx-partial hx-target=\"#timeline\" hx-swap=\"afterbegin\">{html}</hx-partial>"
        )))
    } else {
        sse.json_data(ListedEvent {
            event,
            instance_name,
        })
        .ok()
    }
}

/// The status of one instance now and after each change, as events for a page of this role or for
/// programs; ends when it is deleted.
///
/// # Errors
/// It does not exist.
pub async fn statuses(
    s: &InstanceService,
    id: InstanceId,
    page_role: Option<Role>,
) -> Result<impl Stream<Item = Bytes> + Send + use<>> {
    let render = move |instance| std::future::ready(status_event(instance, page_role));
    let source = || changes_of(s, id).filter_map(render);
    let key = InstanceStreamKey::Status { id, page_role };
    // Subscribed before reading: a change in between is sent twice instead of being lost.
    let changes = s.streams().changes.subscribe(key, ROOM, source);
    let now = status_event(s.get(id).await?, page_role);
    Ok(stream::iter(now).chain(items(changes, || None)))
}

/// The new status block of an instance page, as a role sees it; none if the template fails, which is a bug.
pub fn status_part(instance: Instance, role: Role) -> Option<String> {
    let html = html_with(
        &InstanceFragments {
            instance,
            here: String::new(),
            row_id: String::new(),
        }
        .as_status(),
        &role,
    )
    .ok()?;
    Some(format!(
        "<hx-partial hx-target=\"#status\" hx-swap=\"outerMorph\">{html}</hx-partial>"
    ))
}

/// A change of one instance, for its page or, without a role, for a program.
pub(super) fn status_event(instance: Instance, page_role: Option<Role>) -> Option<Bytes> {
    if let Some(role) = page_role {
        Some(SseEvent::default().data(status_part(instance, role)?))
    } else {
        SseEvent::default()
            .event("instance")
            .json_data(&instance)
            .ok()
    }
}

/// The changes of one instance, from now on.
pub fn changes_of(
    s: &InstanceService,
    id: InstanceId,
) -> impl Stream<Item = Instance> + Send + use<> {
    let (s, changes) = (s.clone(), s.changes());
    stream::unfold((s, changes), move |(s, mut changes)| async move {
        loop {
            match changes.recv().await {
                Ok(changed) if changed != id => {}
                Ok(_) | Err(RecvError::Lagged(_)) => match s.get(id).await {
                    Ok(instance) => return Some((instance, (s, changes))),
                    Err(_) => return None,
                },
                Err(RecvError::Closed) => return None,
            }
        }
    })
    .fuse()
}

#[cfg(test)]
mod tests;
