//! The pages of setup, which are also its JSON. No I/O: callers pass in everything that is shown.

mod choices;
mod labels;
pub mod watch;

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoEnumIterator;

use self::choices::{SetupChoice, mode_choices};
use self::labels::{label, place_of};
use super::responses::SetupAnswers;
use super::service::SetupProgress;
use super::step::SetupStep;
use super::validate::field_of;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::FieldError;
use crate::base::ids::{InstanceId, SetupId};
use crate::base::quantity::typed_value;
use crate::base::units::Unit;
use crate::domain::configs::pool_list::{KnownPool, KnownPools};
use crate::domain::configs::views::form::ConfigFormField;
use crate::domain::configs::views::notes::FieldNotes;
use crate::domain::configs::{
    BitcoinNetwork, ClientConfig, ConfigFindings, MiningMode, PeerProbeResult, TemplateProvider,
};
use crate::programs::bitcoin_core::node_sockets::{NodeSocket, NodeSocketState};

/// A step in the row at the top of each page.
struct StepLink {
    words: &'static str,
    href: Option<String>,
    is_here: bool,
}

/// An error, with a link to the field.
struct SetupError<'p> {
    href: String,
    label: String,
    detail: &'p str,
}

/// A section of the review.
struct ReviewSection {
    step: SetupStep,
    lines: Vec<(String, String)>,
}

/// `GET /setup` and `GET /setup/{id}/{step}`, also with the errors of a rejected form.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "setup/step.html", blocks = ["main"])]
#[schemars(rename = "SetupPage")]
pub struct StepPage {
    /// The setup; none before the first step is saved.
    id: Option<SetupId>,
    /// The step.
    step: SetupStep,
    /// The answers, or suggestions.
    answers: SetupAnswers,
    /// Findings, with pointers into a configuration, besides `/name` and `/network`.
    #[serde(flatten)]
    found: ConfigFindings,
    /// The instance that was created, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<InstanceId>,
    /// Unfinished setups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unfinished: Vec<SetupProgress>,
    /// Known pools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known_pools: Vec<KnownPool>,
    /// The problem with the user's own list of pools, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pools_problem: Option<String>,
    /// The Bitcoin Core sockets that were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeSocket>,
    /// The results of the connection test.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tried: Vec<PeerProbeResult>,
    /// Why no client can be started, if none can.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_client: Option<String>,
    /// The client has a translator for Stratum V1 miners.
    has_translator: bool,
    #[serde(skip)]
    config: Option<ClientConfig>,
    #[serde(skip)]
    is_refused: bool,
}

crate::view!(StepPage { "main" => as_main });

impl StepPage {
    /// The first page, with the unfinished setups.
    pub fn start(
        unfinished: Vec<SetupProgress>,
        no_client: Option<String>,
        found: ConfigFindings,
    ) -> Self {
        let is_refused = !found.errors.is_empty();
        Self {
            unfinished,
            no_client,
            found,
            is_refused,
            ..Self::over(None, SetupStep::Mode, SetupAnswers::default())
        }
    }

    /// A step of a setup; `answers` are the values of its fields.
    pub fn of(setup: SetupProgress, step: SetupStep, answers: SetupAnswers) -> Self {
        Self {
            instance_id: setup.instance_id,
            ..Self::over(Some(setup.id), step, answers)
        }
    }

    fn over(id: Option<SetupId>, step: SetupStep, answers: SetupAnswers) -> Self {
        Self {
            id,
            step,
            answers,
            found: ConfigFindings::default(),
            instance_id: None,
            unfinished: Vec::new(),
            known_pools: Vec::new(),
            pools_problem: None,
            nodes: Vec::new(),
            tried: Vec::new(),
            no_client: None,
            has_translator: false,
            config: None,
            is_refused: false,
        }
    }

    /// Adds whether the client has a translator.
    pub fn with_translator(self, has_translator: bool) -> Self {
        Self {
            has_translator,
            ..self
        }
    }

    /// Adds findings; `is_refused`: a sent form was rejected.
    pub fn saying(self, found: ConfigFindings, is_refused: bool) -> Self {
        Self {
            found,
            is_refused,
            ..self
        }
    }

    /// Adds the Bitcoin Core sockets that were found.
    pub fn with_nodes(self, nodes: Vec<NodeSocket>) -> Self {
        Self { nodes, ..self }
    }

    /// Adds the known pools.
    pub fn with_pools(self, known: KnownPools) -> Self {
        Self {
            known_pools: known.pools,
            pools_problem: known.problem,
            ..self
        }
    }

    /// The notes beside the fields that were sent, while the user fills in the form. A field that
    /// is still empty shows no error.
    pub fn notes(&self, pairs: &[(String, String)]) -> FieldNotes<'_> {
        let mut fields: Vec<ConfigFormField<'_>> = Vec::new();
        for (name, text) in pairs
            .iter()
            .filter(|(name, _)| SetupStep::of_field(name) == Some(self.step))
        {
            if fields.iter().all(|known| known.name != *name) {
                let field = self.field(name);
                // Hidden fields have no place for notes.
                if field.label.is_empty() {
                    continue;
                }
                let errors = if text.trim().is_empty() {
                    Vec::new()
                } else {
                    field.errors
                };
                fields.push(ConfigFormField {
                    value: "",
                    label: "",
                    errors,
                    ..field
                });
            }
        }
        FieldNotes { fields }
    }

    /// Adds the configuration to be saved, the connection test, and why no client can be started,
    /// if none can.
    pub fn with_preview(
        self,
        preview: Option<(ClientConfig, Vec<PeerProbeResult>)>,
        no_client: Option<String>,
    ) -> Self {
        let (config, tried) =
            preview.map_or((None, Vec::new()), |(config, tried)| (Some(config), tried));
        Self {
            config,
            tried,
            no_client,
            ..self
        }
    }

    fn here(&self) -> String {
        self.id.map_or_else(
            || "/setup".into(),
            |id| format!("/setup/{id}/{}", self.step.slug()),
        )
    }

    fn path(&self) -> Vec<SetupStep> {
        SetupStep::path(self.answers.needs_pool())
    }

    /// `step 2 of 6`.
    fn progress(&self) -> String {
        let path = self.path();
        let at = path
            .iter()
            .position(|step| *step == self.step)
            .map_or(1, |at| at + 1);
        format!("step {at} of {}", path.len())
    }

    fn places(&self) -> Vec<StepLink> {
        let place = |step: SetupStep| {
            let is_here = step == self.step;
            let href = self.id.filter(|_| {
                is_here || self.answers.has(step) || step == SetupStep::Review && self.is_answered()
            });
            StepLink {
                words: step.words(),
                href: href.map(|id| format!("/setup/{id}/{}", step.slug())),
                is_here,
            }
        };
        self.path().into_iter().map(place).collect()
    }

    fn is_answered(&self) -> bool {
        self.path()
            .into_iter()
            .all(|step| step == SetupStep::Review || self.answers.has(step))
    }

    /// Stratum V1 is the default if the client has a translator.
    fn is_miners(&self, choice: &SetupChoice) -> bool {
        let chosen = self.answers.get("miners");
        let usual = if self.has_translator { "v1" } else { "v2" };
        chosen == choice.value || chosen.is_empty() && choice.value == usual
    }

    fn miner_classes(&self) -> Vec<(String, String)> {
        pairs([
            ("bitaxe", "Bitaxe class, about 500 GH/s"),
            ("asic", "ASIC, about 100 TH/s"),
        ])
    }

    fn is_mode(&self, choice: &SetupChoice) -> bool {
        let chosen = self.answers.get("mode");
        chosen == choice.value
            || chosen.is_empty() && choice.value == MiningMode::FullTemplate.as_str()
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.answers.rows()
    }

    /// The field with this name. A test finds unknown names in the template.
    fn field(&self, name: &str) -> ConfigFormField<'_> {
        let told = |list: &'_ [FieldError]| -> Vec<usize> {
            list.iter()
                .enumerate()
                .filter(|(_, one)| field_of(&one.pointer) == name)
                .map(|(at, _)| at)
                .collect()
        };
        let texts = |list: &Vec<FieldError>| told(list);
        let [errors, warnings, hints] =
            [&self.found.errors, &self.found.warnings, &self.found.hints].map(|list| {
                texts(list)
                    .into_iter()
                    .map(|at| list[at].detail.as_str())
                    .collect()
            });
        ConfigFormField {
            id: name.replace('.', "-"),
            label: label(name),
            value: self.answers.get(name),
            errors,
            warnings,
            hints,
            has_focus: false,
            name: name.to_owned(),
        }
    }

    fn provider_field(&self, name: &str) -> ConfigFormField<'_> {
        self.field(&format!("template_provider_type.{name}"))
    }

    fn pool_field(&self, row: &usize, name: &str) -> ConfigFormField<'_> {
        self.field(&format!("upstreams.{row}.{name}"))
    }

    fn kinds(&self) -> Vec<(String, String)> {
        pairs([
            ("ipc", "Bitcoin Core 30 or 31 on this machine"),
            ("sv2tp", "sv2-tp or another template provider"),
        ])
    }

    fn networks(&self) -> Vec<(String, String)> {
        BitcoinNetwork::iter()
            .map(|network| (network.to_string(), network.to_string()))
            .collect()
    }

    fn chains(&self) -> Vec<(String, String)> {
        self.networks()
            .into_iter()
            .chain(pairs([("unknown", "Not sure")]))
            .collect()
    }

    fn versions(&self) -> Vec<(String, String)> {
        pairs([("31", "31"), ("30", "30")])
    }

    fn reaches(&self) -> Vec<(String, String)> {
        pairs([("lan", "My network"), ("local", "This machine only")])
    }

    /// Whether the template source is Bitcoin Core, whose network is known.
    fn is_ipc(&self) -> bool {
        self.answers.get("template_provider") == "ipc"
    }

    /// The sockets to show, usable ones first. A missing socket is shown only for the selected
    /// network.
    fn sockets(&self) -> Vec<&NodeSocket> {
        let chosen = self
            .answers
            .get("template_provider_type.BitcoinCoreIpc.network");
        let is_shown = |node: &&NodeSocket| {
            node.standing != NodeSocketState::Missing || node.network.as_str() == chosen
        };
        let mut shown: Vec<&NodeSocket> = self.nodes.iter().filter(is_shown).collect();
        shown.sort_by_key(|node| node.standing != NodeSocketState::Answers);
        shown
    }

    fn is_usable(&self, node: &NodeSocket) -> bool {
        node.standing == NodeSocketState::Answers
    }

    fn complaints(&self) -> Vec<SetupError<'_>> {
        let complaint = |one: &'_ FieldError| -> (String, String) {
            let field = field_of(&one.pointer);
            let step = SetupStep::of_field(&field).unwrap_or(self.step);
            let anchor = format!("#{}", field.replace('.', "-"));
            let href = match self.id.filter(|_| step != self.step) {
                Some(id) => format!("/setup/{id}/{}{anchor}", step.slug()),
                None => anchor,
            };
            let row = field
                .strip_prefix("upstreams.")
                .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            let label = label(&field).trim_end_matches(" (optional)");
            (
                href,
                row.map_or_else(
                    || label.to_owned(),
                    |row| format!("Pool {}: {label}", row.saturating_add(1)),
                ),
            )
        };
        let mut errors: Vec<&FieldError> = self.found.errors.iter().collect();
        errors.sort_by_cached_key(|one| place_of(&field_of(&one.pointer)));
        let all = errors.into_iter().map(|one| {
            let (href, label) = complaint(one);
            SetupError {
                href,
                label,
                detail: &one.detail,
            }
        });
        all.collect()
    }

    /// All warnings and hints, for the review.
    fn remarks(&self) -> Vec<(&'static str, &str)> {
        let of = |class: &'static str, list: &'_ [FieldError]| -> Vec<(&'static str, usize)> {
            (0..list.len()).map(|at| (class, at)).collect()
        };
        let warnings = of("warning", &self.found.warnings)
            .into_iter()
            .map(|(c, at)| (c, self.found.warnings[at].detail.as_str()));
        let hints = of("help hint", &self.found.hints)
            .into_iter()
            .map(|(c, at)| (c, self.found.hints[at].detail.as_str()));
        warnings.chain(hints).collect()
    }

    /// The sections of the review.
    fn parts(&self) -> Vec<ReviewSection> {
        let Some(config) = &self.config else {
            return Vec::new();
        };
        let line = |name: &str, text: String| (name.to_owned(), text);
        let title = mode_choices()
            .into_iter()
            .find(|choice| choice.value == config.mode.as_str())
            .map_or("", |choice| choice.title);
        let mut parts = vec![ReviewSection {
            step: SetupStep::Mode,
            lines: vec![
                line(
                    "Your miners",
                    if config.enabled_translator().is_some() {
                        "Stratum V1 and V2".to_owned()
                    } else {
                        "only Stratum V2".to_owned()
                    },
                ),
                line("Mining mode", title.to_owned()),
            ],
        }];
        let provider = match &config.template_provider_type {
            TemplateProvider::Sv2Tp {
                address,
                public_key,
                ..
            } => {
                let trust = if public_key.is_some() {
                    "verified by its public key"
                } else {
                    "not authenticated"
                };
                vec![line("Template provider", format!("{address}, {trust}"))]
            }
            TemplateProvider::BitcoinCoreIpc {
                version,
                network,
                data_dir,
                ..
            } => {
                let dir = data_dir
                    .as_deref()
                    .map_or("default data directory".to_owned(), |dir| {
                        format!("data directory {dir}")
                    });
                vec![line(
                    "Bitcoin Core",
                    format!("version {version} on {network}, {dir}"),
                )]
            }
        };
        parts.push(ReviewSection {
            step: SetupStep::Provider,
            lines: provider,
        });
        if config.mode.needs_pool() {
            let pools = config.upstreams.iter().enumerate().map(|(at, pool)| {
                let when = if at == 0 { "Pool" } else { "Fallback pool" };
                let jobs = format!(
                    "job declaration server (JDS) {}:{}",
                    pool.jds_address, pool.jds_port
                );
                line(
                    when,
                    format!(
                        "{}:{}, account {}; {jobs}",
                        pool.pool_address, pool.pool_port, pool.user_identity
                    ),
                )
            });
            parts.push(ReviewSection {
                step: SetupStep::Pools,
                lines: pools.collect(),
            });
        }
        let signature = if config.jdc_signature.is_empty() {
            "none".to_owned()
        } else {
            config.jdc_signature.clone()
        };
        let last_resort = if config.mode.needs_pool() {
            "Fallback payout address"
        } else {
            "Payout address"
        };
        let payout = vec![
            line(last_resort, config.coinbase_reward_script.clone()),
            line("Coinbase tag", signature),
        ];
        parts.push(ReviewSection {
            step: SetupStep::Payout,
            lines: payout,
        });
        let who = if config.listening_address.ip().is_unspecified() {
            "your network"
        } else {
            "this machine only"
        };
        let mut name = vec![
            line("Name", self.answers.get("name").to_owned()),
            line(
                "Stratum V2 port",
                format!("{}, reachable from {who}", config.listening_address.port()),
            ),
        ];
        name.extend(config.enabled_translator().map(|translator| {
            let hashrate = typed_value(Unit::HashesPerSecond, translator.min_miner_hashrate);
            line(
                "Stratum V1 port",
                format!(
                    "{}, reachable from {who}; for miners with {hashrate} or more",
                    translator.listening_address.port()
                ),
            )
        }));
        name.extend(config.monitoring_address.map(|address| {
            line(
                "Monitoring port",
                format!("{}, reachable from this machine only", address.port()),
            )
        }));
        name.push(line("Keys", "created when you save".to_owned()));
        parts.push(ReviewSection {
            step: SetupStep::Name,
            lines: name,
        });
        parts
    }

    fn ago(&self, at: &Timestamp) -> String {
        human_duration(Timestamp::now().since(*at))
    }
}

/// Options of a select field: value and label.
fn pairs<const N: usize>(list: [(&str, &str); N]) -> Vec<(String, String)> {
    list.map(|(value, words)| (value.to_owned(), words.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_step_has_a_label() {
        let answers =
            serde_json::json!({ "upstreams.0.pool_address": "x", "template_provider": "sv2tp" });
        for step in SetupStep::iter() {
            let setup = SetupProgress {
                id: SetupId::random(),
                answers: serde_json::from_value(answers.clone()).unwrap(),
                instance_id: None,
                updated_at: Timestamp::now(),
            };
            let page = StepPage::of(setup.clone(), step, setup.answers.clone());
            let html = page
                .render_with_values(&crate::web::PageFrame::default())
                .unwrap();
            assert!(html.contains(step.question()), "{html}");
            assert!(
                !html.contains("\"></label>") && !html.replace('\n', "").contains("\"> </label>"),
                "{html}"
            );
            for part in html.split("<label for=\"").skip(1) {
                let (_, rest) = part.split_once("\">").unwrap();
                assert!(!rest.starts_with("</label>"), "{step:?}: {}", &part[..60]);
            }
        }
    }
}
