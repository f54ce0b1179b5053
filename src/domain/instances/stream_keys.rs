//! The streams that readers share, and what distinguishes two of them.

use bytes::Bytes;

use crate::base::ids::InstanceId;
use crate::web::shared_streams::SharedStreams;

/// The shared streams of instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct InstanceStreams {
    pub(super) changes: SharedStreams<InstanceStreamKey, Bytes>,
    pub(super) events: SharedStreams<EventStreamKey, EventBatch>,
}

/// A stream of changes. What it shows is the same for every caller: each role may read all instances,
/// and parts of pages have no actions that depend on the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum InstanceStreamKey {
    /// All instances, as JSON.
    List,
    /// The table with all instances.
    Table {
        /// That of the overview.
        is_overview: bool,
    },
    /// One instance.
    Status {
        /// Its id.
        id: InstanceId,
        /// As a part of its page, not as JSON.
        as_html: bool,
    },
}

/// A stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EventStreamKey {
    /// The instance; none: all.
    pub(super) of: Option<InstanceId>,
    /// As parts of a page, not as JSON.
    pub(super) as_html: bool,
}

/// Consecutive events, as they are sent.
#[derive(Clone, Debug)]
pub(super) struct EventBatch {
    /// The id of the first one.
    pub(super) first: i64,
    /// The id of the last one.
    pub(super) last: i64,
    pub(super) events: Bytes,
}
