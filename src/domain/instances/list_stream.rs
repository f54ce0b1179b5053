//! The event stream of a list: for programs each changed instance as JSON, for pages the parts of the
//! page that changed. Readers of the same list share what is rendered.

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::displayed_list::DisplayedList;
use super::list_cache::ListView;
use super::list_page::{InstanceListState, list_page, list_response};
use super::list_query::ListQuery;
use super::stream_keys::{InstanceStreamKey, PageUpdate};
use super::streams::{AGAIN, ROOM, status_event};
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::web::shared_streams::items;
use crate::web::sse::{self, SseEvent};

/// Minimum time between two updates of a page.
const COALESCE: Duration = Duration::from_millis(150);
/// Metrics change without a sign; a page shows them at this interval.
const METRICS: Duration = Duration::from_secs(10);

/// The changes of a list as they happen.
pub(super) async fn follow(lists: InstanceListState, query: ListQuery, as_html: bool) -> Response {
    let stop = lists.stop.clone();
    if as_html {
        return sse::respond(page_events(lists, query), stop, true);
    }
    let key = InstanceStreamKey::List(query.clone());
    let shared = &lists.instances.streams().changes;
    let source = || changed_instances(lists.clone(), query);
    let changes = shared.subscribe(key, ROOM, source);
    sse::respond(items(changes, || Some(list_event())), stop, false)
}

/// The reader reloads the list: an instance was deleted or is no longer in the list, or the reader
/// missed changes.
pub(super) fn list_event() -> Bytes {
    SseEvent::default().event("list").data("{}")
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
    ) -> Option<Bytes> {
        let instance = lists.instances.get(id).await.ok();
        let Some(known) = &mut self.0 else {
            let event = instance.and_then(|instance| status_event(instance, false));
            return event.or_else(|| Some(list_event()));
        };
        let found = match instance {
            Some(instance) => lists.select(query, vec![instance], false).await.ok()?.pop(),
            None => None,
        };
        match found {
            Some(instance) => {
                known.insert(id);
                status_event(instance, false)
            }
            None => known.remove(&id).then(list_event),
        }
    }
}

/// Each change as JSON. Changes at the same time are one item.
fn changed_instances(
    lists: InstanceListState,
    query: ListQuery,
) -> impl Stream<Item = Bytes> + Send {
    // Before the list is read: no change in between is lost.
    let changes = lists.instances.changes();
    let notices = lists.notices.subscribe();
    let state = (changes, notices, lists, query, None);
    stream::unfold(
        state,
        |(mut changes, mut notices, lists, query, members)| async move {
            let mut members = match members {
                Some(members) => members,
                None => ListMembership::new(&lists, &query).await,
            };
            loop {
                let mut changed = Vec::new();
                let mut is_list = tokio::select! {
                    change = changes.recv() => match change {
                        Ok(id) => {
                            changed.push(id);
                            false
                        }
                        Err(RecvError::Lagged(_)) => true,
                        Err(RecvError::Closed) => return None,
                    },
                    // Notices are part of the list.
                    Ok(()) = notices.changed() => true,
                };
                loop {
                    match changes.try_recv() {
                        Ok(id) if changed.contains(&id) => {}
                        Ok(id) => changed.push(id),
                        Err(TryRecvError::Lagged(_)) => is_list = true,
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    }
                }
                let mut events = Vec::new();
                for id in changed {
                    events.extend(members.event(&lists, &query, id).await);
                }
                events.extend(is_list.then(list_event));
                if !events.is_empty() {
                    let state = (changes, notices, lists, query, Some(members));
                    return Some((sse::join(events), state));
                }
            }
        },
    )
}

/// The changes of a page for one reader: first all parts, because they may have changed since the page
/// was loaded, then the parts that change.
fn page_events(lists: InstanceListState, query: ListQuery) -> impl Stream<Item = Bytes> + Send {
    let source = || page_updates(lists.clone(), query.clone());
    let shared = &lists.instances.streams().pages;
    // Subscribed before reading: a change in between is sent twice instead of being lost.
    let updates = shared.subscribe(query.clone(), ROOM, source);
    stream::unfold(
        (updates, lists, query, PageProgress::New),
        |(mut updates, lists, query, progress)| async move {
            if progress == PageProgress::New {
                let whole = whole_page(&lists, &query).await;
                return Some((whole, (updates, lists, query, PageProgress::Behind)));
            }
            let event = next_event(&mut updates, progress).await?;
            Some((event, (updates, lists, query, PageProgress::UpToDate)))
        },
    )
}

/// What a reader of a page has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PageProgress {
    /// Nothing.
    New,
    /// The page at some time, but not the last update.
    Behind,
    /// All updates.
    UpToDate,
}

/// The next event of a reader; none: no more will come.
async fn next_event(
    updates: &mut broadcast::Receiver<PageUpdate>,
    mut progress: PageProgress,
) -> Option<Bytes> {
    loop {
        match updates.recv().await {
            Ok(update) if progress == PageProgress::Behind => return Some(update.whole),
            Ok(PageUpdate {
                parts: Some(parts), ..
            }) => return Some(parts),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => progress = PageProgress::Behind,
            Err(RecvError::Closed) => return None,
        }
    }
}

/// All parts of a page now.
async fn whole_page(lists: &InstanceListState, query: &ListQuery) -> Bytes {
    loop {
        // What cannot be shown now (the database is busy) is shown a moment later.
        match list_response(lists, query.clone(), ListView::Parts).await {
            Ok(response) => return response.into_body(),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// An update of a page after each change, also if nothing looks different: a reader that has read the
/// page before it may have seen something else.
fn page_updates(
    lists: InstanceListState,
    query: ListQuery,
) -> impl Stream<Item = PageUpdate> + Send {
    let changes = lists.instances.changes();
    let notices = lists.notices.subscribe();
    let state = (changes, notices, lists, query, None::<DisplayedList>);
    stream::unfold(
        state,
        |(mut changes, mut notices, lists, query, shown)| async move {
            let has_changed = tokio::select! {
                change = changes.recv() => match change {
                    Err(RecvError::Closed) => return None,
                    _ => true,
                },
                Ok(()) = notices.changed() => true,
                () = tokio::time::sleep(METRICS) => false,
            };
            if has_changed {
                // Several changes at the same time result in one update, with the state after all of
                // them.
                tokio::time::sleep(COALESCE).await;
                while matches!(changes.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            }
            let now = loop {
                match displayed_list(&lists, &query).await {
                    Ok(now) => break now,
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            };
            let whole = now.whole();
            let parts = match &shown {
                Some(shown) => now.parts_since(shown),
                None => Some(whole.clone()),
            };
            let update = PageUpdate { parts, whole };
            Some((update, (changes, notices, lists, query, Some(now))))
        },
    )
}

async fn displayed_list(lists: &InstanceListState, query: &ListQuery) -> Result<DisplayedList> {
    let page = list_page(lists, query).await?;
    DisplayedList::of(&page, query.address())
}
