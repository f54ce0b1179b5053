//! Notices about jd-manager itself, such as a damaged database or a failed backup. The list
//! of instances shows them until the problem is gone.
//!
//! Independent of the domains. A domain sets a notice under its own id and clears it; the list of
//! instances shows all of them.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

use crate::base::clock::{Timestamp, human_duration};

/// A problem with jd-manager itself.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ManagerNotice {
    /// Names the problem for programs, e.g. `database-damaged`. There is one notice for each id.
    pub id: &'static str,
    /// The problem in a few words, without a full stop.
    pub title: String,
    /// The problem and the fix, in sentences.
    pub detail: String,
    /// When jd-manager first noticed the problem.
    pub since: Timestamp,
    /// The page that helps: its path and the text of the link to it.
    #[serde(skip)]
    pub link: Option<(&'static str, &'static str)>,
}

impl ManagerNotice {
    /// A problem noticed now.
    pub fn new(id: &'static str, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            detail: detail.into(),
            since: Timestamp::now(),
            link: None,
        }
    }

    /// The same with a link to the page at `path`.
    pub fn with_link(mut self, path: &'static str, text: &'static str) -> Self {
        self.link = Some((path, text));
        self
    }

    /// How long ago jd-manager noticed it, for people.
    pub fn age(&self) -> String {
        human_duration(Timestamp::now().since(self.since))
    }
}

/// The notices that apply now; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ManagerNotices(Arc<watch::Sender<BTreeMap<&'static str, ManagerNotice>>>);

impl ManagerNotices {
    /// Adds a notice or replaces the one with its id. An old notice's `since` stays.
    pub fn set(&self, mut notice: ManagerNotice) {
        self.0.send_if_modified(|all| {
            if let Some(old) = all.get(notice.id) {
                notice.since = old.since;
            }
            all.insert(notice.id, notice.clone()) != Some(notice)
        });
    }

    /// Removes the notice with this id, if there is one.
    pub fn clear(&self, id: &str) {
        self.0.send_if_modified(|all| all.remove(id).is_some());
    }

    /// All notices, the oldest first.
    pub fn list(&self) -> Vec<ManagerNotice> {
        let mut all: Vec<_> = self.0.borrow().values().cloned().collect();
        all.sort_by_key(|notice| notice.since);
        all
    }

    /// Wakes when a notice is set, changed or cleared.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<&'static str, ManagerNotice>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_stays_until_it_is_cleared_and_keeps_its_first_time() {
        let notices = ManagerNotices::default();
        let mut changes = notices.subscribe();
        let mut first = ManagerNotice::new(
            "backup-failed",
            "The last backup failed",
            "The disk is full.",
        );
        first.since = Timestamp(1000);
        notices.set(first.clone());
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        notices.set(ManagerNotice {
            since: Timestamp(2000),
            ..first.clone()
        });
        assert!(
            !changes.has_changed().unwrap(),
            "the same notice again is no news"
        );
        assert_eq!(notices.list(), [first.clone()]);
        notices.set(ManagerNotice {
            detail: "Permission denied.".into(),
            since: Timestamp(3000),
            ..first.clone()
        });
        assert!(changes.has_changed().unwrap());
        assert_eq!(
            (notices.list()[0].detail.as_str(), notices.list()[0].since),
            ("Permission denied.", Timestamp(1000))
        );
        notices.set(ManagerNotice {
            id: "database-damaged",
            since: Timestamp(500),
            ..first
        });
        assert_eq!(
            notices.list().iter().map(|n| n.id).collect::<Vec<_>>(),
            ["database-damaged", "backup-failed"]
        );
        notices.clear("backup-failed");
        notices.clear("never-set");
        assert_eq!(notices.list().len(), 1);
    }
}
