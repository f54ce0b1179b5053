//! Starts, restarts and updates of a client, for charts. Pure.

use diesel::Queryable;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::keeper::machine::InstanceState;

/// No marks are shown if there are more than this: they would hide the data.
const MOST_MARKS: usize = 40;
/// The number of events that are read: a restart has up to five.
pub(super) const MOST_EVENTS: i64 = 5 * MOST_MARKS as i64 + 1;
/// A start this long after a stop is a restart.
const RESTART: Duration = Duration::from_secs(60);
/// The starts of the notes before a restart with another client version.
const SWITCH: &str = "switching to client ";
const ROLLBACK: &str = "rolling back to client ";

/// The note before the restart with another client version.
pub fn switch_note(version: &str) -> String {
    format!("{SWITCH}{version}: restarting and checking health")
}

/// The note before the restart with the previous client version, with the reason.
pub fn rollback_note(version: &str, why: &str) -> String {
    format!("{ROLLBACK}{version}. {why}")
}

/// The label of a note; none for other notes.
fn note_label(note: &str) -> Option<String> {
    if let Some(rest) = note.strip_prefix(SWITCH) {
        return Some(format!("update to {}", rest.split_once(':')?.0));
    }
    let rest = note.strip_prefix(ROLLBACK)?;
    Some(format!("rollback to {}", rest.split_once(". ")?.0))
}

/// An event of a client, or a note.
#[derive(Debug, Queryable)]
pub(super) struct ClientEvent {
    at: Timestamp,
    from_state: String,
    to_state: String,
    reason: String,
}

/// A start, a restart or an update of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMark {
    /// When it began.
    pub at: Timestamp,
    /// `start`, `restart`, `update to 0.6.0` or `rollback to 0.5.0`.
    pub label: String,
}

/// The marks of events that are ordered from the newest to the oldest.
pub(super) fn marks(events: Vec<ClientEvent>) -> Vec<ClientMark> {
    let is_cut = i64::try_from(events.len()).is_ok_and(|count| count >= MOST_EVENTS);
    let mut marks: Vec<ClientMark> = Vec::new();
    let mut stopped: Option<Timestamp> = None;
    let mut updated: Option<Timestamp> = None;
    let is_recent = |at: Timestamp, before: Option<Timestamp>| {
        before.is_some_and(|before| at.since(before) <= RESTART)
    };
    for event in events.into_iter().rev() {
        let at = event.at;
        if event.from_state == event.to_state {
            if let Some(label) = note_label(&event.reason) {
                updated = Some(at);
                marks.push(ClientMark { at, label });
            }
            continue;
        }
        if event.to_state != InstanceState::Starting.as_str() {
            stopped = Some(at);
            continue;
        }
        // The restart of an update.
        if is_recent(at, updated.take()) {
            continue;
        }
        let is_again =
            event.from_state == InstanceState::BackingOff.as_str() || is_recent(at, stopped);
        let label = if is_again { "restart" } else { "start" };
        marks.push(ClientMark {
            at,
            label: label.into(),
        });
    }
    if is_cut || marks.len() > MOST_MARKS {
        Vec::new()
    } else {
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: i64, from: &str, to: &str, reason: &str) -> ClientEvent {
        ClientEvent {
            at: Timestamp(second * 1000),
            from_state: from.into(),
            to_state: to.into(),
            reason: reason.into(),
        }
    }

    fn labels(mut events: Vec<ClientEvent>) -> Vec<(i64, String)> {
        events.reverse();
        let marks = marks(events).into_iter();
        marks.map(|mark| (mark.at.0 / 1000, mark.label)).collect()
    }

    #[test]
    fn starts_restarts_and_updates_are_told_apart() {
        let events = vec![
            event(0, "stopped", "starting", "start requested"),
            event(2, "starting", "running", "ready for miners"),
            event(500, "running", "backing-off", "exited unexpectedly"),
            event(900, "backing-off", "starting", "retrying"),
            event(901, "starting", "running", "ready for miners"),
            event(2000, "running", "stopping", "stop requested"),
            event(2001, "stopping", "stopped", "stopped as requested"),
            event(2002, "stopped", "starting", "start requested"),
            event(2003, "starting", "running", "ready for miners"),
            event(3000, "running", "running", &switch_note("0.7.0")),
            event(3001, "running", "stopping", "stop requested"),
            event(3002, "stopping", "stopped", "stopped as requested"),
            event(3003, "stopped", "starting", "start requested"),
            event(
                3500,
                "running",
                "running",
                "client 0.7.0 is healthy: switch complete",
            ),
            event(
                3600,
                "running",
                "running",
                &rollback_note("0.6.0", "It is not healthy."),
            ),
            event(3602, "stopped", "starting", "start requested"),
            event(4000, "running", "stopped", "stopped as requested"),
            event(5000, "stopped", "starting", "start requested"),
        ];
        let expected = [
            (0, "start"),
            (900, "restart"),
            (2002, "restart"),
            (3000, "update to 0.7.0"),
            (3600, "rollback to 0.6.0"),
            (5000, "start"),
        ];
        assert_eq!(
            labels(events),
            expected.map(|(at, label)| (at, label.to_owned()))
        );
    }

    #[test]
    fn too_many_marks_are_none() {
        let restart = |at: i64| event(at, "backing-off", "starting", "retrying");
        assert_eq!(labels((0..40).map(restart).collect()).len(), 40);
        assert_eq!(labels((0..41).map(restart).collect()), []);
        let others = (0..MOST_EVENTS).map(|at| event(at, "starting", "running", "ready"));
        assert_eq!(labels(others.collect()), []);
    }
}
