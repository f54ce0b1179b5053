//! The database statements for deliveries.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection as Db;

use super::{Delivery, DeliveryProgress, DeliveryResult, PendingDelivery};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::ChannelId;
use crate::domain::alerts::model::Notification;
use crate::domain::alerts::queries::target_of;
use crate::domain::vault::Vault;
use crate::infra::db::load_bounded;
use crate::infra::db::schema::{alert_channels, alert_deliveries};
use crate::infra::db::statement::CachedStatement;
use crate::infra::notify::{NotifyMessage, Tone};
use crate::web::respond::LIST_BYTES;

/// Queues a notification for a channel, to be sent from `due_at` on.
pub fn insert_delivery(
    db: &mut Db,
    channel: ChannelId,
    at: Timestamp,
    due_at: Timestamp,
    said: &Notification,
) -> QueryResult<usize> {
    use alert_deliveries as d;
    let values = (
        (
            d::channel_id.eq(channel),
            d::message_id.eq(uuid::Uuid::new_v4().to_string()),
            d::at.eq(at),
        ),
        (
            d::title.eq(&said.title),
            d::text.eq(&said.text),
            d::mood.eq(<&str>::from(said.mood)),
            d::data.eq(said.data.to_string()),
        ),
        (
            d::state.eq(DeliveryProgress::Waiting.as_str()),
            d::queued_at.eq(at),
            d::due_at.eq(due_at),
        ),
    );
    diesel::insert_into(d::table).values(values).execute(db)
}

/// A delivery that is held briefly so that more instances can be added.
#[derive(Debug)]
pub struct HeldDelivery {
    /// The number.
    pub id: i64,
    /// When the problem was noticed.
    pub at: Timestamp,
    /// When it will be sent.
    pub due_at: Timestamp,
    /// Details for programs.
    pub data: serde_json::Value,
}

/// The deliveries held for a channel at `now`, newest first. `latest`: the end of the longest
/// possible hold.
pub fn held(
    db: &mut Db,
    channel: ChannelId,
    now: Timestamp,
    latest: Timestamp,
) -> QueryResult<Vec<HeldDelivery>> {
    use alert_deliveries as d;
    let is_held = d::state
        .eq(DeliveryProgress::Waiting.as_str())
        .and(d::tries.eq(0))
        .and(d::due_at.gt(now))
        .and(d::due_at.le(latest));
    let rows = d::table
        .filter(d::channel_id.eq(channel).and(is_held))
        .order(d::id.desc())
        .select((d::id, d::at, d::due_at, d::data))
        .load::<(i64, Timestamp, Timestamp, String)>(db)?;
    let held = |(id, at, due_at, data): (_, _, _, String)| HeldDelivery {
        id,
        at,
        due_at,
        data: serde_json::from_str(&data).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(held).collect())
}

/// Ends the holds of a channel at `due_at`, if they end later. `latest`: as for [`held`].
pub fn end_holds(
    db: &mut Db,
    channel: ChannelId,
    due_at: Timestamp,
    latest: Timestamp,
) -> QueryResult<usize> {
    use alert_deliveries as d;
    let is_held = d::state
        .eq(DeliveryProgress::Waiting.as_str())
        .and(d::tries.eq(0))
        .and(d::due_at.gt(due_at))
        .and(d::due_at.le(latest));
    diesel::update(d::table.filter(d::channel_id.eq(channel).and(is_held)))
        .set(d::due_at.eq(due_at))
        .execute(db)
}

/// Replaces the text of a held delivery and the time at which it is sent.
pub fn reword(db: &mut Db, id: i64, due_at: Timestamp, said: &Notification) -> QueryResult<usize> {
    use alert_deliveries as d;
    let values = (
        d::due_at.eq(due_at),
        d::title.eq(&said.title),
        d::text.eq(&said.text),
        d::data.eq(said.data.to_string()),
    );
    diesel::update(d::table.filter(d::id.eq(id)))
        .set(values)
        .execute(db)
}

type DeliveryRow = (
    (i64, String, String),
    (Timestamp, String, String, String),
    (String, i32, Timestamp),
    (Option<Timestamp>, Option<String>),
);

/// At most `limit` deliveries, fewer if they are long, newest first, and whether there are more;
/// `before`: only those with a smaller number.
pub fn deliveries(
    db: &mut Db,
    before: Option<i64>,
    limit: usize,
) -> QueryResult<(Vec<Delivery>, bool)> {
    use alert_deliveries as d;
    let rows = d::table
        .inner_join(alert_channels::table)
        .filter(d::id.lt(before.unwrap_or(i64::MAX)))
        .order(d::id.desc())
        .select((
            (d::id, d::channel_id, alert_channels::name),
            (d::at, d::title, d::text, d::data),
            (d::state, d::tries, d::due_at),
            (d::done_at, d::last_error),
        ))
        .load_iter::<DeliveryRow, DefaultLoadingMode>(db)?;
    let size = |((_, _, channel), (_, title, text, data), _, (_, error)): &DeliveryRow| {
        400 + channel.len()
            + title.len()
            + text.len()
            + data.len()
            + error.as_ref().map_or(0, String::len)
    };
    let (rows, has_more) = load_bounded(rows, limit, LIST_BYTES, size)?;
    let delivery = |(
        (id, channel_id, channel),
        (at, title, text, data),
        (state, tries, due_at),
        (done_at, last_error),
    ): DeliveryRow| {
        let state = state.parse().unwrap_or(DeliveryProgress::Waiting);
        let data = serde_json::from_str(&data).unwrap_or_default();
        let next_try_at = (state == DeliveryProgress::Waiting).then_some(due_at);
        let channel_id = channel_id.parse().ok()?;
        Some(Delivery {
            id,
            channel_id,
            channel,
            at,
            title,
            text,
            data,
            state,
            tries,
            next_try_at,
            done_at,
            last_error,
        })
    };
    Ok((rows.into_iter().filter_map(delivery).collect(), has_more))
}

type ParcelRow = (
    (i64, String, String),
    (String, Timestamp, String, String),
    (String, String),
    (i32, Timestamp, Timestamp),
);

/// The oldest waiting delivery of each readable channel. Deliveries of unreadable channels wait.
pub fn parcels(db: &mut Db, vault: &Vault) -> Result<Vec<PendingDelivery>> {
    use alert_deliveries as d;
    let first = "SELECT MIN(id) FROM alert_deliveries WHERE state = 'waiting' GROUP BY channel_id";
    let ids: Vec<i64> = CachedStatement::<BigInt>::new(first).load(db)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = d::table
        .inner_join(alert_channels::table)
        .filter(d::id.eq_any(ids))
        .select((
            (d::id, d::channel_id, alert_channels::target),
            (d::message_id, d::at, d::title, d::text),
            (d::mood, d::data),
            (d::tries, d::queued_at, d::due_at),
        ))
        .load::<ParcelRow>(db)?;
    let parcel = |(
        (id, channel_id, target),
        (message_id, at, title, text),
        (mood, data),
        (tries, queued_at, due_at),
    ): ParcelRow| {
        let data = serde_json::from_str(&data).unwrap_or_default();
        let message = NotifyMessage {
            id: message_id,
            at: at.0,
            title,
            text,
            mood: mood.parse().unwrap_or(Tone::Plain),
            link: None,
            data,
        };
        Some(PendingDelivery {
            id,
            target: target_of(vault, &channel_id, &target)?,
            channel_id: channel_id.parse().ok()?,
            message,
            tries,
            queued_at,
            due_at,
        })
    };
    Ok(rows.into_iter().filter_map(parcel).collect())
}

/// Stores the result of an attempt.
pub fn finish(db: &mut Db, id: i64, settled: &DeliveryResult) -> QueryResult<usize> {
    use alert_deliveries as d;
    let done_at = (settled.state != DeliveryProgress::Waiting).then_some(settled.at);
    diesel::update(d::table.filter(d::id.eq(id)))
        .set((
            d::state.eq(settled.state.as_str()),
            d::tries.eq(settled.tries),
            d::due_at.eq(settled.due_at),
            d::done_at.eq(done_at),
            d::last_error.eq(&settled.last_error),
        ))
        .execute(db)
}

/// The state of a delivery; `None` if the number does not exist.
pub fn progress(db: &mut Db, id: i64) -> QueryResult<Option<String>> {
    alert_deliveries::table
        .filter(alert_deliveries::id.eq(id))
        .select(alert_deliveries::state)
        .first(db)
        .optional()
}

/// Queues a failed delivery again.
pub fn requeue(db: &mut Db, id: i64, now: Timestamp) -> QueryResult<usize> {
    use alert_deliveries as d;
    let state = d::state.eq(DeliveryProgress::Waiting.as_str());
    let values = (
        state,
        d::tries.eq(0),
        d::queued_at.eq(now),
        d::due_at.eq(now),
        d::done_at.eq(None::<Timestamp>),
    );
    diesel::update(d::table.filter(d::id.eq(id)))
        .set(values)
        .execute(db)
}

/// Removes finished deliveries older than this time.
pub fn prune_before(db: &mut Db, before: Timestamp) -> QueryResult<usize> {
    use alert_deliveries as d;
    diesel::delete(
        d::table.filter(
            d::at
                .lt(before)
                .and(d::state.ne(DeliveryProgress::Waiting.as_str())),
        ),
    )
    .execute(db)
}
