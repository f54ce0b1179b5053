//! The page of one saved configuration, which is also its JSON.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::notes::{FindingNotes, notes};
use super::{mode_text, translator_file, translator_lines, values, versions_text};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::FieldError;
use crate::domain::configs::config_view::{SavedConfig, judged, versions_for};
use crate::domain::configs::model::TemplateProvider;
use crate::domain::configs::service::revisions_text;
use crate::domain::configs::{
    ClientVersion, ConfigFindings, VersionSupport, render_masked, support,
};

/// `GET /saved-configs/{id}` and `GET /saved-configs/active`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/show.html", blocks = ["main"])]
#[schemars(rename = "Configuration")]
pub struct ShowPage {
    #[serde(skip)]
    now: Timestamp,
    #[serde(flatten)]
    saved: SavedConfig,
    /// The remarks of its import, with keys and lines.
    import_remarks: Vec<FieldError>,
    /// The masked configuration as JSON text, for first-generation clients.
    config_json: String,
    /// Errors (if it was saved before a rule existed), warnings and hints, with pointers below
    /// `/config`.
    #[serde(flatten)]
    found: ConfigFindings,
    /// The known client versions that can run it, oldest first.
    client_versions: Vec<ClientVersion>,
    /// How each known version handles it, oldest first.
    support: Vec<VersionSupport>,
    #[serde(skip)]
    runs_on: String,
    #[serde(skip)]
    file: Option<String>,
    #[serde(skip)]
    file_version: ClientVersion,
    #[serde(skip)]
    translator_file: Option<String>,
}

crate::view!(ShowPage { "main" => as_main });

/// Client versions that handle a configuration in the same way.
struct ClientVersionGroup<'s> {
    oldest: ClientVersion,
    newest: ClientVersion,
    /// The result for the newest of these versions.
    of: &'s VersionSupport,
}

impl ClientVersionGroup<'_> {
    /// `0.3.0–0.6.0`.
    fn versions(&self) -> String {
        if self.oldest == self.newest {
            self.newest.to_string()
        } else {
            format!("{}–{}", self.oldest, self.newest)
        }
    }

    /// Whether its file has other keys than the file for the newest version that can run the
    /// configuration.
    fn is_reshaped(&self) -> bool {
        !self.of.keys_added.is_empty() || !self.of.keys_left_out.is_empty()
    }
}

impl ShowPage {
    /// A saved configuration with its file for the newest client that can run it. `lost_hosts` are
    /// warnings about its host names, `import_remarks` the remarks of its import.
    pub fn new(
        saved: SavedConfig,
        lost_hosts: Vec<FieldError>,
        import_remarks: Vec<FieldError>,
        now: Timestamp,
    ) -> Self {
        let mut found = judged(&saved.config);
        found.warnings.extend(lost_hosts);
        let client_versions = versions_for(&saved.config);
        let file_version = client_versions
            .last()
            .copied()
            .unwrap_or(ClientVersion::NEWEST_KNOWN);
        Self {
            now,
            config_json: saved.config.masked().to_string(),
            found,
            import_remarks,
            client_versions,
            support: support(&saved.config),
            runs_on: versions_text(&saved.config),
            file: render_masked(&saved.config, &file_version).ok(),
            file_version,
            translator_file: translator_file(&saved.config).and_then(std::result::Result::ok),
            saved,
        }
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn mode(&self) -> &'static str {
        mode_text(self.saved.config.mode)
    }

    fn revisions(&self) -> String {
        revisions_text(self.saved.revision)
    }

    /// The settings for Stratum V1 miners, if the port is on.
    fn translator(&self) -> Option<Vec<(String, String)>> {
        self.saved.config.enabled_translator().map(translator_lines)
    }

    fn rare(&self) -> Vec<(String, String)> {
        values::rare_values(&self.saved.config)
    }

    /// The results for all versions, newest first, with equal results grouped.
    fn clients(&self) -> Vec<ClientVersionGroup<'_>> {
        let mut clients: Vec<ClientVersionGroup<'_>> = Vec::new();
        for one in self.support.iter().rev() {
            let is_alike = |other: &&mut ClientVersionGroup<'_>| {
                let pointers = |list: &[FieldError]| {
                    list.iter()
                        .map(|one| one.pointer.clone())
                        .collect::<Vec<_>>()
                };
                pointers(&one.errors) == pointers(&other.of.errors)
                    && pointers(&one.without_effect) == pointers(&other.of.without_effect)
                    && (one.runs, &one.keys_added, &one.keys_left_out)
                        == (other.of.runs, &other.of.keys_added, &other.of.keys_left_out)
            };
            match clients.last_mut().filter(is_alike) {
                Some(group) => group.oldest = one.client_version,
                None => clients.push(ClientVersionGroup {
                    oldest: one.client_version,
                    newest: one.client_version,
                    of: one,
                }),
            }
        }
        clients
    }

    /// The findings by kind.
    fn notes(&self) -> Vec<FindingNotes<'_>> {
        notes(&self.found)
    }
}
