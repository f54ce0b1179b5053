//! The pages of a configuration's history.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::fields;
use crate::base::actor::actor_text;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::ids::ConfigId;
use crate::domain::configs::config_view::{ConfigRevision, RevisionComparison, SavedConfig};
use crate::domain::configs::{ClientVersion, FieldDifference, VersionDiffLine};

/// The change of a field, with its label.
#[derive(Clone, Debug)]
pub struct RevisionChange {
    /// The label of the field.
    pub label: String,
    /// The old value.
    pub from: Option<String>,
    /// The new value.
    pub to: Option<String>,
}

impl RevisionChange {
    /// Adds the label of the field.
    pub fn of(difference: &FieldDifference) -> Self {
        Self {
            label: fields::label(&difference.path),
            from: difference.from.clone(),
            to: difference.to.clone(),
        }
    }
}

/// `GET /saved-configs/{id}/revisions`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/revisions.html", blocks = ["main"])]
#[schemars(rename = "Revisions")]
pub struct RevisionsPage {
    #[serde(skip)]
    now: Timestamp,
    /// The configuration.
    config_id: ConfigId,
    /// The name.
    name: String,
    /// The newest revision.
    revision: i32,
    /// The revisions, newest first.
    revisions: Vec<ConfigRevision>,
}

crate::view!(RevisionsPage { "main" => as_main });

impl RevisionsPage {
    /// One page of a configuration's history.
    pub fn new((saved, revisions): (SavedConfig, Vec<ConfigRevision>), now: Timestamp) -> Self {
        Self {
            now,
            config_id: saved.id,
            name: saved.name,
            revision: saved.revision,
            revisions,
        }
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn changes(&self, revision: &ConfigRevision) -> Vec<RevisionChange> {
        revision.changes.iter().map(RevisionChange::of).collect()
    }

    /// The author of a revision as text.
    fn author(&self, revision: &ConfigRevision) -> Option<String> {
        actor_text(&revision.author)
    }

    /// The oldest revision on the page, if there are older ones.
    fn older(&self) -> Option<i32> {
        self.revisions
            .last()
            .map(|oldest| oldest.revision)
            .filter(|oldest| *oldest > 1)
    }
}

/// `GET /saved-configs/{id}/compare`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/compare.html", blocks = ["main"])]
pub struct RevisionComparePage {
    #[serde(flatten)]
    comparison: RevisionComparison,
    /// The client version to write the files for.
    client_version: ClientVersion,
    /// True if a client must be restarted to apply the second revision.
    restart_needed: bool,
    /// The differences between the files, line by line; none if that client cannot run both.
    difference: Option<Vec<VersionDiffLine>>,
}

crate::view!(RevisionComparePage { "main" => as_main });

impl RevisionComparePage {
    /// Two revisions and their files for `client_version`.
    pub fn new(comparison: RevisionComparison, client_version: ClientVersion) -> Self {
        let restart_needed = comparison.needs_restart(client_version);
        Self {
            difference: comparison.files(client_version),
            comparison,
            client_version,
            restart_needed,
        }
    }

    fn changes(&self) -> Vec<RevisionChange> {
        self.comparison
            .changes
            .iter()
            .map(RevisionChange::of)
            .collect()
    }
}
