//! Information about an instance from its saved configuration. No I/O.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::configs::views::notes::Warnings;
use crate::domain::configs::views::revisions::RevisionChange;
use crate::domain::configs::{ClientVersion, FieldDifference, RevisionComparison};
use crate::domain::instances::MinerAddress;

/// Information from the saved configuration of an instance.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct ConfigSummaryView {
    /// The addresses for miners: Stratum V2 first, the best first within a protocol.
    pub addresses: Vec<MinerAddress>,
    /// Errors and warnings of the configuration.
    #[serde(rename = "config_doubts")]
    pub doubts: Warnings,
    /// Saved changes that are not running yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingRevision>,
}

/// A newer revision of the configuration than the one in use.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct PendingRevision {
    /// The revision in use.
    pub from: i32,
    /// The saved revision.
    pub to: i32,
    /// The differences.
    pub changes: Vec<FieldDifference>,
    /// A restart is needed. Otherwise both revisions give the client the same settings.
    pub restart_needed: bool,
}

impl PendingRevision {
    /// For a client of `version`.
    pub fn new(comparison: RevisionComparison, version: ClientVersion) -> Self {
        let restart_needed = comparison.needs_restart(version);
        Self {
            from: comparison.from,
            to: comparison.to,
            changes: comparison.changes,
            restart_needed,
        }
    }

    pub(super) fn changes(&self) -> Vec<RevisionChange> {
        self.changes.iter().map(RevisionChange::of).collect()
    }
}
