//! The event stream of a list: for programs each changed instance as JSON, for pages the parts of the
//! page that changed. Readers of the same list share what is rendered.

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::displayed_list::DisplayedList;
use super::list_page::{InstanceListState, list_page};
use super::list_query::ListQuery;
use super::stream_keys::{InstanceStreamKey, PageUpdate};
use super::streams::{AGAIN, ROOM, status_event};
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::web::shared_streams::items;
use crate::web::sse::{self, SseEvent};

/// Minimum time between two updates of a page.
const COALESCE: Duration = Duration::from_millis(150);
/// The number of updates that a reader of a page can be behind. Each holds a whole page; a slower reader
/// gets the newest one.
const PAGE_ROOM: usize = 2;
/// Metrics change without a sign; a page shows them at this interval.
const METRICS: Duration = Duration::from_secs(10);

/// The changes of a list as they happen, for a page of this role or, without one, a program.
pub(super) async fn follow(
    lists: InstanceListState,
    query: ListQuery,
    page_role: Option<Role>,
) -> Response {
    let stop = lists.stop.clone();
    if let Some(role) = page_role {
        return sse::respond(page_events(lists, query, role), stop, true);
    }
    // Nothing else of the query makes a difference.
    let query = ListQuery::WHOLE.with_filter(query.filter);
    let key = InstanceStreamKey::List(Box::new(query.clone()));
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
        loop {
            match Self::read(lists, query).await {
                Ok(known) => return Self(Some(known)),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn read(lists: &InstanceListState, query: &ListQuery) -> Result<HashSet<InstanceId>> {
        let all = lists.all().await?;
        let found = lists.select(query, all, false).await?;
        Ok(found.into_iter().map(|instance| instance.id).collect())
    }

    /// The event about a change of an instance; none if it neither is nor was in the list.
    async fn event(
        &mut self,
        lists: &InstanceListState,
        query: &ListQuery,
        id: InstanceId,
    ) -> Option<Bytes> {
        let instance = lists.get(id).await.ok();
        let Some(known) = &mut self.0 else {
            let event = instance.and_then(|instance| status_event(instance, None));
            return event.or_else(|| Some(list_event()));
        };
        let found = match instance {
            Some(instance) => loop {
                match lists.select(query, vec![instance.clone()], false).await {
                    Ok(mut found) => break found.pop(),
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            },
            None => None,
        };
        match found {
            Some(instance) => {
                known.insert(id);
                status_event(instance, None)
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
                if is_list {
                    // Changes may have been missed; the reader reads the list again as well.
                    members = ListMembership::new(&lists, &query).await;
                    events.push(list_event());
                }
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
fn page_events(
    lists: InstanceListState,
    query: ListQuery,
    role: Role,
) -> impl Stream<Item = Bytes> + Send {
    let source = || page_updates(lists.clone(), query.clone(), role);
    let shared = &lists.instances.streams().pages;
    let (latest, updates) = shared.subscribe_from_latest((query.clone(), role), PAGE_ROOM, source);
    let is_behind = latest.is_none();
    let first = stream::iter(latest.map(|update| update.whole));
    let others = stream::unfold(
        (updates, is_behind),
        |(mut updates, is_behind)| async move {
            let event = next_event(&mut updates, is_behind).await?;
            Some((event, (updates, false)))
        },
    );
    first.chain(others)
}

/// The next event of a reader; none: no more will come. `is_behind`: it has not had the update before.
async fn next_event(
    updates: &mut broadcast::Receiver<PageUpdate>,
    mut is_behind: bool,
) -> Option<Bytes> {
    loop {
        match updates.recv().await {
            Ok(update) if is_behind => return Some(update.whole),
            Ok(PageUpdate {
                parts: Some(parts), ..
            }) => return Some(parts),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => is_behind = true,
            Err(RecvError::Closed) => return None,
        }
    }
}

/// A page now, and an update after each change that looks different.
fn page_updates(
    lists: InstanceListState,
    query: ListQuery,
    role: Role,
) -> impl Stream<Item = PageUpdate> + Send {
    let changes = lists.instances.changes();
    let notices = lists.notices.subscribe();
    let state = (changes, notices, lists, query, None::<DisplayedList>);
    stream::unfold(
        state,
        move |(mut changes, mut notices, lists, query, shown)| async move {
            loop {
                if shown.is_some() {
                    wait_for_change(&mut changes, &mut notices).await?;
                }
                let now = loop {
                    // What cannot be shown now (the database is busy) is shown a moment later.
                    match displayed_list(&lists, &query, role).await {
                        Ok(now) => break now,
                        Err(_) => tokio::time::sleep(AGAIN).await,
                    }
                };
                let parts = shown.as_ref().and_then(|shown| now.parts_since(shown));
                if parts.is_some() || shown.is_none() {
                    let whole = now.whole();
                    let update = PageUpdate { parts, whole };
                    return Some((update, (changes, notices, lists, query, Some(now))));
                }
            }
        },
    )
}

/// Waits for a change, or for the time when metrics are shown again; none: no more will come.
async fn wait_for_change<N: Send + Sync>(
    changes: &mut broadcast::Receiver<InstanceId>,
    notices: &mut watch::Receiver<N>,
) -> Option<()> {
    tokio::select! {
        change = changes.recv() => if matches!(change, Err(RecvError::Closed)) {
            return None;
        },
        Ok(()) = notices.changed() => {}
        () = tokio::time::sleep(METRICS) => return Some(()),
    }
    // Several changes at the same time result in one update, with the state after all of them.
    tokio::time::sleep(COALESCE).await;
    while matches!(changes.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
    Some(())
}

async fn displayed_list(
    lists: &InstanceListState,
    query: &ListQuery,
    role: Role,
) -> Result<DisplayedList> {
    let page = list_page(lists, query).await?;
    DisplayedList::of(&page, query.address(), role)
}
