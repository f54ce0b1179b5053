//! The event streams of events and single instances, as JSON for programs and as parts of pages for
//! htmx.

use axum::response::Response;
use axum::response::sse::Event as SseEvent;
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;

use super::history::InstanceEvent;
use super::list_page::InstanceListState;
use super::model::Instance;
use super::service::InstanceService;
use super::views::{EventItem, InstanceFragments, ListedEvent};
use crate::base::ids::InstanceId;
use crate::web::sse;

/// Events as they happen. Each has its id, so a follower that reconnects misses none.
pub(super) fn follow_events(
    lists: InstanceListState,
    of: Option<InstanceId>,
    after: Option<i64>,
    as_html: bool,
) -> Response {
    let stop = lists.stop.clone();
    let changes = lists.instances.changes();
    let batches = stream::unfold(
        (lists.instances.clone(), changes, after, true),
        move |(s, mut changes, after, is_first)| async move {
            if !is_first && matches!(changes.recv().await, Err(RecvError::Closed)) {
                return None;
            }
            let (found, last) = s
                .history_after(of, after)
                .await
                .unwrap_or((Vec::new(), after.unwrap_or(0)));
            let mut events: Vec<SseEvent> = found
                .into_iter()
                .filter_map(|found| event_of(found, of.is_none(), as_html))
                .collect();
            // The page of one instance shows its state as well.
            if let (Some(id), true) = (of, as_html)
                && let Ok(instance) = s.get(id).await
            {
                events.extend(status_event(instance, true));
            }
            Some((stream::iter(events), (s, changes, Some(last), false)))
        },
    );
    sse::respond(batches.flatten(), stop, as_html)
}

fn event_of(
    (event, instance_name): (InstanceEvent, String),
    is_named: bool,
    as_html: bool,
) -> Option<SseEvent> {
    let sse = SseEvent::default().id(event.id.to_string());
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

/// The new status block of an instance page; none if the template fails, which is a bug.
pub fn status_part(instance: Instance) -> Option<String> {
    let html = crate::web::html(
        &InstanceFragments {
            instance,
            here: String::new(),
        }
        .as_status(),
    )
    .ok()?;
    Some(format!(
        "<hx-partial hx-target=\"#status\" hx-swap=\"outerMorph\">{html}</hx-partial>"
    ))
}

/// A change of one instance for its page.
pub fn status_event(instance: Instance, as_html: bool) -> Option<SseEvent> {
    if as_html {
        Some(SseEvent::default().data(status_part(instance)?))
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
) -> impl futures_util::Stream<Item = Instance> + Send + use<> {
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
