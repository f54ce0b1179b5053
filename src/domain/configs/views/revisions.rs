//! The pages of a configuration's history.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::fields;
use crate::base::clock::{Timestamp, spoken};
use crate::base::ids::ConfigId;
use crate::domain::configs::config_view::{Comparison, Revision, Saved};
use crate::domain::configs::{ClientVersion, Difference, Line};
use crate::web::Frame;

/// What changed in a field, with the field's label.
#[derive(Clone, Debug)]
pub struct Change {
    /// What the field is called.
    pub label: String,
    /// What stood there.
    pub from: Option<String>,
    /// What stands there now.
    pub to: Option<String>,
}

impl Change {
    /// With the label of its field.
    #[must_use]
    pub fn of(difference: &Difference) -> Self {
        let label = match difference.path.as_str() {
            "/name" => "Name".into(),
            "/description" => "Description".into(),
            path => fields::label(path),
        };
        Self { label, from: difference.from.clone(), to: difference.to.clone() }
    }
}

/// `GET /saved-configs/{id}/revisions`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/revisions.html", blocks = ["main"])]
#[schemars(rename = "Revisions")]
pub struct RevisionsPage {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    now: Timestamp,
    /// Whose history it is.
    config_id: ConfigId,
    /// Its name.
    name: String,
    /// Its newest revision.
    revision: i32,
    /// Newest first.
    revisions: Vec<Revision>,
}

crate::view!(RevisionsPage { "main" => as_main });

impl RevisionsPage {
    /// Part of a configuration's history.
    #[must_use]
    pub fn new(frame: Frame, (saved, revisions): (Saved, Vec<Revision>), now: Timestamp) -> Self {
        Self { frame, now, config_id: saved.id, name: saved.name, revision: saved.revision, revisions }
    }

    fn ago(&self, at: &Timestamp) -> String {
        spoken(self.now.since(*at))
    }

    fn changes(&self, revision: &Revision) -> Vec<Change> {
        revision.changes.iter().map(Change::of).collect()
    }

    /// Who saved it, in words.
    fn author(&self, revision: &Revision) -> Option<String> {
        match revision.author.as_str() {
            "" => None,
            // Of a time when it was not noted who.
            "page" => Some("on a page".into()),
            "api" => Some("by a program".into()),
            "jd-manager" => Some("by jd-manager itself".into()),
            author => Some(match author.strip_suffix(" (page)") {
                Some(who) => format!("by {who} on a page"),
                None => format!("by {}", author.replace(" (api)", " through the API")),
            }),
        }
    }

    /// The oldest revision shown, if there are older ones.
    fn older(&self) -> Option<i32> {
        self.revisions.last().map(|oldest| oldest.revision).filter(|oldest| *oldest > 1)
    }
}

/// `GET /saved-configs/{id}/compare`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/compare.html", blocks = ["main"])]
#[schemars(rename = "RevisionComparison")]
pub struct ComparePage {
    #[serde(skip)]
    frame: Frame,
    #[serde(flatten)]
    comparison: Comparison,
    /// For which client the files are written.
    client_version: ClientVersion,
    /// Its client has to be restarted to do as the other says.
    restart_needed: bool,
    /// What differs in the files, line by line; none: that client cannot run both.
    difference: Option<Vec<Line>>,
}

crate::view!(ComparePage { "main" => as_main });

impl ComparePage {
    /// Two revisions and the files for a client of `client_version`.
    #[must_use]
    pub fn new(frame: Frame, comparison: Comparison, client_version: ClientVersion) -> Self {
        let restart_needed = comparison.needs_restart(client_version);
        Self { frame, difference: comparison.files(client_version), comparison, client_version, restart_needed }
    }

    fn changes(&self) -> Vec<Change> {
        self.comparison.changes.iter().map(Change::of).collect()
    }
}
