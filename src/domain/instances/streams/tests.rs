//! Each change is rendered once for all streams that show it, and readers that reconnect miss nothing.

use super::super::list_query::ListQuery;
use super::super::list_stream::{follow, list_event};
use super::super::service::tests::{World, run};
use super::*;
use crate::infra::db::WriteMode;
use axum::body::BodyDataStream;
use futures_util::future::join_all;
use std::collections::HashSet;

const READERS: usize = 2_000;
/// No change happens within this time.
const QUIET: Duration = Duration::from_millis(400);
/// All readers have read the history within this time, on a busy machine as well.
const CATCH_UP: Duration = Duration::from_secs(5);

/// A manager with two instances.
async fn world() -> (World, InstanceListState, [InstanceId; 2]) {
    let mut world = World::new().await;
    let ids = [InstanceId::random(), InstanceId::random()];
    let insert = |id: &InstanceId| {
        format!(
            "INSERT INTO instances (id, name, config_id, created_at, updated_at) \
             SELECT '{id}', 'rig {id}', id, 0, 0 FROM configurations ORDER BY name LIMIT 1"
        )
    };
    let rows = ids.iter().map(insert).collect();
    run(&world.own, WriteMode::DURABLE, rows).await.unwrap();
    let empty = World::new().await.lists;
    let lists = std::mem::replace(&mut world.lists, empty);
    (world, lists.into(), ids)
}

async fn add_events(db: &crate::infra::db::Db, id: InstanceId, count: usize) {
    let row = format!(
        "INSERT INTO events (instance_id, at, program, from_state, to_state, reason, failures) \
         VALUES ('{id}', 0, 'client', 'stopped', 'starting', 'start requested', 0)"
    );
    run(db, WriteMode::UNSYNCED, vec![row; count])
        .await
        .unwrap();
}

fn body(response: Response) -> BodyDataStream {
    response.into_body().into_data_stream()
}

/// The next item that is not a sign of life.
async fn next(body: &mut BodyDataStream) -> Bytes {
    loop {
        let item = body.next().await.unwrap().unwrap();
        if !item.starts_with(b"event: heartbeat") {
            return item;
        }
    }
}

/// What all readers get next, and the number of different places in memory where it is.
async fn next_of_all(bodies: &mut [BodyDataStream]) -> (Bytes, usize) {
    let all = join_all(bodies.iter_mut().map(next)).await;
    assert!(all.iter().all(|item| *item == all[0]));
    let places: HashSet<*const u8> = all.iter().map(|item| item.as_ptr()).collect();
    (all[0].clone(), places.len())
}

/// The list, or those that do not need attention: all as well.
fn listing(attention: Option<bool>) -> ListQuery {
    let mut query = ListQuery::WHOLE;
    query.filter.attention = attention;
    query
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_rendered_once_per_representation() {
    let (world, lists, [id, other]) = world().await;
    let open = |page_role, attention| {
        let lists = lists.clone();
        let responses =
            (0..READERS).map(move |_| follow(lists.clone(), listing(attention), page_role));
        async move {
            join_all(responses)
                .await
                .into_iter()
                .map(body)
                .collect::<Vec<_>>()
        }
    };
    let mut json = open(None, None).await;
    let mut pages = open(Some(Role::Admin), None).await;
    let mut calm = open(Some(Role::Admin), Some(false)).await;
    let statuses = (0..READERS).map(|_| statuses(&lists.instances, id, None));
    let mut statuses: Vec<_> = join_all(statuses)
        .await
        .into_iter()
        .map(|one| one.unwrap().boxed())
        .collect();
    for bodies in [&mut pages, &mut calm] {
        let (whole, _) = next_of_all(bodies).await;
        let whole = String::from_utf8(whole.to_vec()).unwrap();
        for part in [&format!("rig {id}"), "#summary", "#table"] {
            assert!(whole.contains(part), "{whole}");
        }
    }
    join_all(statuses.iter_mut().map(StreamExt::next)).await;
    for (round, changed) in [id, other, id].into_iter().enumerate() {
        let rename = format!("UPDATE instances SET name = 'rig {round}' WHERE id = '{changed}'");
        run(&world.own, WriteMode::DURABLE, vec![rename])
            .await
            .unwrap();
        lists.instances.supervisor.announce(changed);
        let (event, renderings) = next_of_all(&mut json).await;
        assert!(String::from_utf8_lossy(&event).contains(&changed.to_string()));
        assert_eq!(renderings, 1);
        for bodies in [&mut pages, &mut calm] {
            let (parts, renderings) = next_of_all(bodies).await;
            let parts = String::from_utf8(parts.to_vec()).unwrap();
            assert!(parts.contains(&format!("rig {round}")), "{parts}");
            // The second is one row, because it leaves the order; the last changes the order.
            assert!(round != 1 || !parts.contains("#table"), "{parts}");
            assert!(round != 2 || parts.contains("#table"), "{parts}");
            assert_eq!(renderings, 1);
        }
        if changed == id {
            let all = join_all(statuses.iter_mut().map(StreamExt::next)).await;
            let places = all.iter().map(|item| item.as_ref().unwrap().as_ptr());
            assert_eq!(places.collect::<HashSet<_>>().len(), 1);
        }
    }
    // A change that looks the same is not sent to those who have seen the update before.
    lists.instances.supervisor.announce(id);
    next_of_all(&mut json).await;
    for bodies in [&mut pages, &mut json] {
        let quiet = tokio::time::timeout(QUIET, next(&mut bodies[0])).await;
        assert!(quiet.is_err());
    }
    // A new reader gets the whole page at once, without another rendering.
    let mut late = body(follow(lists.clone(), listing(None), Some(Role::Admin)).await);
    let whole = next(&mut late).await;
    assert!(String::from_utf8_lossy(&whole).contains("#table"));
    // A deleted instance is a change of the list.
    lists.instances.supervisor.announce(InstanceId::random());
    assert_eq!(next_of_all(&mut json).await.0, list_event());
    lists.stop.cancel();
    assert!(json[0].next().await.is_none());
}

/// The ids of events in items of a stream, until there are `count`.
async fn event_ids(body: &mut BodyDataStream, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let item = next(body).await;
        let text = String::from_utf8(item.to_vec()).unwrap();
        let found = text.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.extend(found.map(|id| id.parse::<i64>().unwrap()));
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_rendered_once_and_none_is_lost_or_repeated() {
    let (world, lists, [id, other]) = world().await;
    add_events(&world.own, id, 3).await;
    let open = |of, after| {
        let lists = lists.clone();
        async move { body(follow_events(lists, of, after, None).await.unwrap()) }
    };
    let mut readers = join_all((0..READERS).map(|_| open(None, None))).await;
    // One that reconnects, one of another instance, and one that does not read.
    let mut again = open(None, Some(1)).await;
    let mut of_other = open(Some(other), None).await;
    let mut stuck = open(None, None).await;
    // They read the history for themselves until they have seen all.
    let quiet = readers
        .iter_mut()
        .map(|reader| tokio::time::timeout(CATCH_UP, next(reader)));
    assert!(join_all(quiet).await.iter().all(Result::is_err));
    for round in 0..3 {
        add_events(&world.own, id, 2).await;
        lists.instances.supervisor.announce(id);
        let (events, renderings) = next_of_all(&mut readers).await;
        let text = String::from_utf8(events.to_vec()).unwrap();
        let first = 4 + 2 * round;
        assert!(text.starts_with(&format!("id: {first}\n")), "{text}");
        assert_eq!((text.matches("\n\n").count(), renderings), (2, 1));
    }
    assert_eq!(event_ids(&mut again, 8).await, (2..=9).collect::<Vec<_>>());
    for _ in 0..2 * ROOM {
        add_events(&world.own, id, 1).await;
        lists.instances.supervisor.announce(id);
        event_ids(&mut readers[0], 1).await;
    }
    // More than one read of the history.
    add_events(&world.own, id, 1_200).await;
    add_events(&world.own, other, 1).await;
    lists.instances.supervisor.announce(other);
    let last = i64::try_from(9 + 2 * ROOM + 1_201).unwrap();
    for (reader, first) in [(&mut stuck, 4), (&mut again, 10)] {
        let wanted: Vec<i64> = (first..=last).collect();
        assert_eq!(event_ids(reader, wanted.len()).await, wanted);
    }
    assert_eq!(event_ids(&mut of_other, 1).await, [last]);
}
