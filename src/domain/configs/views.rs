//! The pages of saved configurations, which are also their JSON. No I/O; the model masks secrets.

mod fields;
pub mod form;
pub mod import;
pub mod notes;
pub mod revisions;
pub mod secret;
pub mod show;
pub mod values;

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::compatibility::{VersionDiffLine, compared};
use super::config_view::{ConfigSummary, ConfigUser, SavedConfig, versions_for};
use super::model::{ClientConfig, MiningMode, TranslatorSettings};
use super::service::revisions_text;
use super::toml_file::{lacking, left_out, render_masked};
use super::translator_file::{monitoring_near, render_translator};
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::{Error, FieldError};
use crate::base::ids::ConfigId;
use crate::base::quantity::typed_value;
use crate::base::units::Unit;
use crate::programs::jd_client::version::ClientVersion;
use crate::web::{ConfirmPage, ConfirmQuestion};

fn mode_text(mode: MiningMode) -> &'static str {
    match mode {
        MiningMode::FullTemplate => "Pool, full templates",
        MiningMode::CoinbaseOnly => "Pool, coinbase only",
        MiningMode::SoloMining => "Solo",
    }
}

/// The pool in a few words: `pool.example:3333, 1 more`, `Solo`.
fn destination(config: &ClientConfig) -> String {
    match config.upstreams.as_slice() {
        [first, rest @ ..] if config.mode.needs_pool() => {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(", {} more", rest.len())
            };
            format!("{}:{}{more}", first.pool_address, first.pool_port)
        }
        _ => "Solo".into(),
    }
}

/// The settings for Stratum V1 miners: label and value.
fn translator_lines(settings: &TranslatorSettings) -> Vec<(String, String)> {
    let channels = if settings.aggregate_channels {
        "one for all miners"
    } else {
        "one per miner"
    };
    let networks = settings.miner_telemetry.iter();
    let networks = networks.map(|telemetry| ("miner_telemetry.cidrs", telemetry.cidrs.join(", ")));
    [
        ("listening_address", settings.listening_address.to_string()),
        (
            "min_miner_hashrate",
            typed_value(Unit::HashesPerSecond, settings.min_miner_hashrate),
        ),
        ("shares_per_minute", settings.shares_per_minute.to_string()),
        ("aggregate_channels", channels.to_owned()),
    ]
    .into_iter()
    .chain(networks)
    .map(|(name, value)| (fields::label_of(&format!("translator.{name}")), value))
    .collect()
}

/// The known client versions that can run it: `0.3.0–0.6.0`.
fn versions_text(config: &ClientConfig) -> String {
    let able = versions_for(config);
    let mut runs: Vec<Vec<ClientVersion>> = Vec::new();
    for version in ClientVersion::KNOWN {
        match runs.last_mut() {
            Some(run) if able.contains(&version) => run.push(version),
            _ if able.contains(&version) => runs.push(vec![version]),
            Some(run) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    let said = runs.iter().filter_map(|run| match run.as_slice() {
        [] => None,
        [one] => Some(one.to_string()),
        [first, .., last] => Some(format!("{first}–{last}")),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() {
        "none".into()
    } else {
        said.join(" and ")
    }
}

/// `GET /saved-configs`.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/list.html", blocks = ["main"])]
#[schemars(rename = "Configurations")]
pub struct ConfigListPage {
    #[serde(skip)]
    now: Timestamp,
    configurations: Vec<ConfigSummary>,
    /// The total number.
    total: i64,
    #[serde(skip)]
    limit: u64,
    #[serde(skip)]
    offset: u64,
    /// The search text.
    #[serde(skip)]
    q: Option<String>,
}

crate::view!(ConfigListPage { "main" => as_main });

impl ConfigListPage {
    /// One page of `total` configurations, selected by `(limit, offset)`. `q` is the search text.
    pub fn new(
        (configurations, total): (Vec<ConfigSummary>, i64),
        (limit, offset): (u64, u64),
        q: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            now,
            configurations,
            total,
            limit,
            offset,
            q,
        }
    }

    /// The search text for its field.
    fn looked_for(&self) -> &str {
        self.q.as_deref().unwrap_or_default()
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(self.now.since(*at))
    }

    fn destination(&self, config: &ClientConfig) -> String {
        destination(config)
    }

    fn mode(&self, config: &ClientConfig) -> &'static str {
        mode_text(config.mode)
    }

    fn runs_on(&self, config: &ClientConfig) -> String {
        versions_text(config)
    }

    /// The path of the next page, if any.
    fn next(&self) -> Option<String> {
        let shown = self.offset.saturating_add(self.configurations.len() as u64);
        let more = i64::try_from(shown).is_ok_and(|shown| shown < self.total)
            && !self.configurations.is_empty();
        let q = self.q.as_ref().map(|q| {
            form_urlencoded::Serializer::new(String::from("&"))
                .append_pair("q", q)
                .finish()
        });
        more.then(|| {
            format!(
                "/saved-configs?limit={}&offset={shown}{}",
                self.limit,
                q.unwrap_or_default()
            )
        })
    }
}

/// A configuration to be deleted.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ConfigRemoval {
    id: ConfigId,
    name: String,
    is_active: bool,
    /// The number of revisions that are deleted with it.
    revision: i32,
    public_key: String,
    /// The instances that use it and prevent deletion.
    used_by: Vec<ConfigUser>,
}

/// `GET /saved-configs/{id}/delete`: the confirmation page.
pub(super) fn delete_page(saved: SavedConfig) -> ConfirmPage<ConfigRemoval> {
    let SavedConfig { id, name, .. } = saved;
    let public_key = saved.config.authority_public_key;
    let is_free = saved.used_by.is_empty();
    let (title, mut texts) = if is_free {
        let revisions = revisions_text(saved.revision);
        let lost = format!(
            "This deletes the configuration, its {revisions} and its secret key. You cannot undo this. Miners that use the public key {public_key} will need a new key."
        );
        (format!("Delete {name}?"), vec![lost])
    } else {
        let used = "First select another configuration for these instances, or delete them.";
        (format!("{name} cannot be deleted"), vec![used.to_owned()])
    };
    if is_free && saved.is_active {
        texts.push("This is the active configuration. After you delete it, there will be no active configuration.".into());
    }
    let address = format!("/saved-configs/{id}");
    let links = saved.used_by.iter();
    let question = ConfirmQuestion {
        title,
        nav: "configs",
        texts,
        links: links
            .map(|user| (format!("/instances/{}", user.id), user.name.clone()))
            .collect(),
        action: is_free.then(|| (format!("{address}/delete"), format!("Delete {name}"))),
        back: address,
    };
    let removal = ConfigRemoval {
        id,
        name,
        is_active: saved.is_active,
        revision: saved.revision,
        public_key,
        used_by: saved.used_by,
    };
    ConfirmPage::new(removal, question)
}

/// `GET /saved-configs/{id}/toml` as a page or JSON.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/toml.html", blocks = ["main"])]
#[schemars(rename = "ConfigurationFile")]
pub struct TomlPage {
    config_id: ConfigId,
    name: String,
    /// The client version to write the file for.
    client_version: ClientVersion,
    /// The file with the secret masked; none if that client cannot run the configuration.
    toml: Option<String>,
    /// The reasons by field.
    errors: Vec<FieldError>,
    /// Settings that have no effect on that client, by field.
    warnings: Vec<FieldError>,
    /// The client version to compare with.
    against: Option<ClientVersion>,
    /// The differences from that file, line by line; none if there is nothing to compare.
    difference: Option<Vec<VersionDiffLine>>,
}

crate::view!(TomlPage { "main" => as_main });

impl TomlPage {
    /// The file for `client_version`, compared with the file for `against`.
    pub fn new(
        saved: &SavedConfig,
        client_version: ClientVersion,
        against: Option<ClientVersion>,
    ) -> Self {
        let file = |version: &ClientVersion| render_masked(&saved.config, version).ok();
        let toml = file(&client_version);
        let other = against.as_ref().and_then(file);
        let difference = toml
            .as_ref()
            .zip(other)
            .map(|(toml, other)| compared(&other, toml));
        let below_config =
            |list: Vec<FieldError>| list.into_iter().map(|one| one.under("/config")).collect();
        Self {
            config_id: saved.id,
            name: saved.name.clone(),
            client_version,
            toml,
            against,
            difference,
            errors: below_config(lacking(&saved.config, &client_version)),
            warnings: below_config(left_out(&saved.config, &client_version)),
        }
    }

    /// The file itself.
    ///
    /// # Errors
    /// That client cannot run the configuration: one entry per field.
    pub fn into_text(self) -> Result<String, Error> {
        self.toml.ok_or(Error::Invalid(self.errors))
    }

    /// The known versions, newest first, plus the selected ones if they are unknown.
    fn versions(&self) -> Vec<ClientVersion> {
        let chosen = [
            Some(self.client_version),
            self.against
                .filter(|against| *against != self.client_version),
        ];
        let unknown = chosen
            .into_iter()
            .flatten()
            .filter(|version| !version.is_known());
        unknown
            .chain(ClientVersion::KNOWN.into_iter().rev())
            .collect()
    }

    fn is_against(&self, version: &ClientVersion) -> bool {
        self.against.as_ref() == Some(version)
    }

    /// Whether the compared files are the same.
    fn is_same(&self) -> bool {
        self.difference
            .as_ref()
            .is_some_and(|lines| lines.iter().all(|line| line.mark == ' '))
    }
}

/// `GET /saved-configs/{id}/toml?program=translator` as a page or JSON.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/translator_file.html", blocks = ["main"])]
#[schemars(rename = "TranslatorFile")]
pub struct TranslatorFilePage {
    config_id: ConfigId,
    name: String,
    /// Always `translator`.
    program: &'static str,
    /// The file, the same for all versions. It contains no secret.
    toml: String,
}

crate::view!(TranslatorFilePage { "main" => as_main });

impl TranslatorFilePage {
    /// The translator's file of a configuration.
    ///
    /// # Errors
    /// The configuration has no port for Stratum V1 miners, or was saved before a rule existed.
    pub fn new(saved: &SavedConfig) -> Result<Self, Error> {
        let toml = translator_file(&saved.config).ok_or_else(|| {
            Error::Conflict(format!(
                "\"{}\" has no port for Stratum V1 miners, so it has no translator file. Turn on the Stratum V1 port in the configuration.",
                saved.name
            ))
        })?;
        let below_config =
            |list: Vec<FieldError>| list.into_iter().map(|one| one.under("/config")).collect();
        Ok(Self {
            config_id: saved.id,
            name: saved.name.clone(),
            program: "translator",
            toml: toml.map_err(|errors| Error::Invalid(below_config(errors)))?,
        })
    }

    /// The file itself.
    pub fn into_text(self) -> String {
        self.toml
    }
}

/// The translator's file with its default monitoring port; none without a port for Stratum V1
/// miners. At a start, jd-manager uses the next free port.
fn translator_file(config: &ClientConfig) -> Option<Result<String, Vec<FieldError>>> {
    let monitoring = monitoring_near(config.enabled_translator()?);
    render_translator(config, monitoring)
}

#[cfg(test)]
mod tests;
