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

/// What changed in a field, with the field's label.
#[derive(Clone, Debug)]
pub struct RevisionChange {
    /// What the field is called.
    pub label: String,
    /// What stood there.
    pub from: Option<String>,
    /// What stands there now.
    pub to: Option<String>,
}

impl RevisionChange {
    /// With the label of its field.
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
    /// Whose history it is.
    config_id: ConfigId,
    /// Its name.
    name: String,
    /// Its newest revision.
    revision: i32,
    /// Newest first.
    revisions: Vec<ConfigRevision>,
}

crate::view!(RevisionsPage { "main" => as_main });

impl RevisionsPage {
    /// Part of a configuration's history.
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

    /// Who saved it, in words.
    fn author(&self, revision: &ConfigRevision) -> Option<String> {
        actor_text(&revision.author)
    }

    /// The oldest revision shown, if there are older ones.
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
    /// For which client the files are written.
    client_version: ClientVersion,
    /// Its client has to be restarted to do as the other says.
    restart_needed: bool,
    /// What differs in the files, line by line; none: that client cannot run both.
    difference: Option<Vec<VersionDiffLine>>,
}

crate::view!(RevisionComparePage { "main" => as_main });

impl RevisionComparePage {
    /// Two revisions and the files for a client of `client_version`.
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
