//! The event stream of a list: for programs each changed instance as JSON, for pages the parts of the
//! page that changed.

use axum::response::Response;
use axum::response::sse::Event as SseEvent;
use futures_util::{Stream, stream};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::list_page::{InstanceListState, list_page};
use super::list_query::ListQuery;
use super::model::Instance;
use super::views::{InstanceFragments, row_id};
use crate::base::ids::InstanceId;
use crate::web::sse;

/// Minimum time between two updates of a page.
const COALESCE: Duration = Duration::from_millis(150);
/// Metrics change without a sign; a page shows them at this interval.
const METRICS: Duration = Duration::from_secs(10);
/// Pause before a failed update is retried.
const AGAIN: Duration = Duration::from_secs(1);

/// The changes of a list as they happen.
pub(super) async fn follow(lists: InstanceListState, query: ListQuery, as_html: bool) -> Response {
    let stop = lists.stop.clone();
    if as_html {
        let events = page_events(lists, query);
        return sse::respond(events, stop, true);
    }
    // Before the list is read: no change in between is lost.
    let changes = lists.instances.changes();
    let members = ListMembership::new(&lists, &query).await;
    sse::respond(json_events(lists, query, changes, members), stop, false)
}

/// The instances of the list that a program follows; none: all, and nothing needs to be remembered.
struct ListMembership(Option<HashSet<InstanceId>>);

impl ListMembership {
    async fn new(lists: &InstanceListState, query: &ListQuery) -> Self {
        if query.filter.is_empty() {
            return Self(None);
        }
        let all = lists.instances.list().await.unwrap_or_default();
        let found = lists.select(query, all, false).await.unwrap_or_default();
        Self(Some(
            found.into_iter().map(|instance| instance.id).collect(),
        ))
    }

    /// The event about a change of an instance; none if it neither is nor was in the list.
    async fn event(
        &mut self,
        lists: &InstanceListState,
        query: &ListQuery,
        id: InstanceId,
    ) -> Option<SseEvent> {
        // Deleted, or no longer in the list: the follower gets the list again.
        let gone = || Some(SseEvent::default().event("list").data("{}"));
        let instance = lists.instances.get(id).await.ok();
        let Some(known) = &mut self.0 else {
            return match instance {
                Some(instance) => instance_event(&instance),
                None => gone(),
            };
        };
        let found = match instance {
            Some(instance) => lists.select(query, vec![instance], false).await.ok()?.pop(),
            None => None,
        };
        match found {
            Some(instance) => {
                known.insert(id);
                instance_event(&instance)
            }
            None if known.remove(&id) => gone(),
            None => None,
        }
    }
}

fn instance_event(instance: &Instance) -> Option<SseEvent> {
    SseEvent::default()
        .event("instance")
        .json_data(instance)
        .ok()
}

fn json_events(
    lists: InstanceListState,
    query: ListQuery,
    changes: broadcast::Receiver<InstanceId>,
    members: ListMembership,
) -> impl Stream<Item = SseEvent> + Send {
    let notices = lists.notices.subscribe();
    stream::unfold(
        (changes, notices, lists, query, members),
        |(mut changes, mut notices, lists, query, mut members)| async move {
            loop {
                let changed = tokio::select! {
                    change = changes.recv() => match change {
                        Ok(id) => Some(id),
                        Err(RecvError::Lagged(_)) => None,
                        Err(RecvError::Closed) => return None,
                    },
                    // Notices are part of the list.
                    Ok(()) = notices.changed() => None,
                };
                let event = match changed {
                    Some(id) => members.event(&lists, &query, id).await,
                    None => Some(SseEvent::default().event("list").data("{}")),
                };
                if let Some(event) = event {
                    return Some((event, (changes, notices, lists, query, members)));
                }
            }
        },
    )
}

/// What a page shows, as hashes without its running times.
#[derive(Default)]
struct DisplayState {
    summary: u64,
    /// The number of instances that match, and whether there are configurations: what the table
    /// shows around its rows.
    frame: (usize, bool),
    order: Vec<InstanceId>,
    rows: HashMap<InstanceId, u64>,
}

impl DisplayState {
    /// The parts of the page that differ from what it shows; none if the page cannot be built now
    /// (the database is busy), empty without a difference.
    async fn update(&mut self, lists: &InstanceListState, query: &ListQuery) -> Option<String> {
        let page = list_page(lists, query).await.ok()?;
        let mut parts = String::new();
        let summary = crate::web::html(&page.as_summary()).ok()?;
        let summary_hash = stable_hash(&summary);
        if summary_hash != self.summary {
            parts.push_str(&partial("summary", &summary));
            self.summary = summary_hash;
        }
        let order: Vec<InstanceId> = page.instances.iter().map(|i| i.id).collect();
        let frame = (page.total, page.notes.has_configs);
        let mut rows = HashMap::with_capacity(order.len());
        let mut changed = String::new();
        for instance in &page.instances {
            let id = instance.id;
            let row = InstanceFragments {
                instance: instance.clone(),
                here: query.address(),
            };
            let row = crate::web::html(&row.as_row()).ok()?;
            let hash = stable_hash(&row);
            if self.rows.get(&id) != Some(&hash) {
                changed.push_str(&partial(&row_id(id), &row));
            }
            rows.insert(id, hash);
        }
        if order != self.order || frame != self.frame {
            let table = crate::web::html(&page.as_table()).ok()?;
            parts.push_str(&partial("table", &table));
        } else {
            parts.push_str(&changed);
        }
        (self.order, self.frame, self.rows) = (order, frame, rows);
        Some(parts)
    }
}

/// A part of a page that htmx swaps.
fn partial(id: &str, html: &str) -> String {
    format!("<hx-partial hx-target=\"#{id}\" hx-swap=\"outerMorph\">{html}</hx-partial>")
}

/// A hash of HTML without the texts of `time` elements, which the page itself counts up.
fn stable_hash(html: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut pieces = html.split("</time>").peekable();
    while let Some(piece) = pieces.next() {
        let end = match pieces.peek() {
            Some(_) => piece.rfind('>').unwrap_or(piece.len()),
            None => piece.len(),
        };
        piece[..end].hash(&mut hasher);
    }
    hasher.finish()
}

fn page_events(lists: InstanceListState, query: ListQuery) -> impl Stream<Item = SseEvent> + Send {
    let changes = lists.instances.changes();
    let notices = lists.notices.subscribe();
    let shown = DisplayState::default();
    stream::unfold(
        (changes, notices, lists, query, shown, true),
        |(mut changes, mut notices, lists, query, mut shown, mut is_first)| async move {
            loop {
                // The first update contains changes since the page was loaded.
                if !is_first {
                    tokio::select! {
                        change = changes.recv() => if matches!(change, Err(RecvError::Closed)) {
                            return None;
                        },
                        Ok(()) = notices.changed() => {}
                        () = tokio::time::sleep(METRICS) => {}
                    }
                    // Several changes at the same time result in one update, with the state after all
                    // of them.
                    tokio::time::sleep(COALESCE).await;
                }
                is_first = false;
                while matches!(changes.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
                // A change that cannot be shown now is shown a moment later.
                let parts = loop {
                    if let Some(parts) = shown.update(&lists, &query).await {
                        break parts;
                    }
                    tokio::time::sleep(AGAIN).await;
                };
                if !parts.is_empty() {
                    let event = SseEvent::default().data(parts);
                    return Some((event, (changes, notices, lists, query, shown, false)));
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_times_are_no_difference() {
        let row = |age: &str, name: &str| {
            stable_hash(&format!(
                "<td>{name}<time data-since=\"5\">{age}</time></td><td><time>{age}</time>x</td>"
            ))
        };
        assert_eq!(row("3 s", "a"), row("1 h", "a"));
        assert_ne!(row("3 s", "a"), row("3 s", "b"));
        assert_ne!(stable_hash("a</time>b"), stable_hash("a</time>c"));
        assert_eq!(stable_hash(""), stable_hash(""));
    }
}
