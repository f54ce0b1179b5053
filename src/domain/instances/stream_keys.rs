//! The streams that readers share, and what distinguishes two of them.

use bytes::Bytes;

use super::list_query::ListQuery;
use crate::base::ids::InstanceId;
use crate::base::role::Role;
use crate::web::shared_streams::SharedStreams;

/// The shared streams of instances; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct InstanceStreams {
    pub(super) changes: SharedStreams<InstanceStreamKey, Bytes>,
    /// The changes of pages.
    pub(super) pages: SharedStreams<(ListQuery, Role), PageUpdate>,
    pub(super) events: SharedStreams<EventStreamKey, EventBatch>,
}

/// A stream of changes. What it shows is the same for every caller with a role: each role may read all
/// instances, and parts of pages offer what the role may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum InstanceStreamKey {
    /// A list of instances, as JSON.
    List(Box<ListQuery>),
    /// One instance.
    Status {
        /// Its id.
        id: InstanceId,
        /// As a part of its page for this role; none: as JSON.
        page_role: Option<Role>,
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

/// A change of a page with a list, as it is sent.
#[derive(Clone, Debug)]
pub(super) struct PageUpdate {
    /// The parts that differ from the update before; none if they look the same.
    pub(super) parts: Option<Bytes>,
    /// All parts that can change, for readers that have not had the update before.
    pub(super) whole: Bytes,
}
