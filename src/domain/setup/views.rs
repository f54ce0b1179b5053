//! The pages of setup, which are also its JSON. No I/O: everything shown was handed in.

mod labels;
pub mod watch;

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoEnumIterator;

use self::labels::{label, place_of};
use super::node::{NodeSocket, NodeSocketState};
use super::probe::ProbeResult;
use super::responses::SetupAnswers;
use super::service::SetupProgress;
use super::step::SetupStep;
use super::validate::field_of;
use crate::base::clock::{Timestamp, human_duration};
use crate::base::error::FieldError;
use crate::base::ids::{InstanceId, SetupId};
use crate::domain::configs::pool_list::{KnownPool, KnownPools};
use crate::domain::configs::views::form::ConfigFormField;
use crate::domain::configs::views::notes::FieldNotes;
use crate::domain::configs::{
    BitcoinNetwork, ClientConfig, ConfigFindings, MiningMode, TemplateProvider,
};

/// A step in the row at the top of each page.
struct StepLink {
    words: &'static str,
    href: Option<String>,
    is_here: bool,
}

/// What is wrong, with a link to where it is mended.
struct SetupError<'p> {
    href: String,
    label: String,
    detail: &'p str,
}

/// A way to mine.
struct ModeChoice {
    value: &'static str,
    title: &'static str,
    help: &'static str,
}

/// A part of the review.
struct ReviewSection {
    step: SetupStep,
    lines: Vec<(String, String)>,
}

/// `GET /setup`, `GET /setup/{id}/{step}`, and both again when something is to be mended.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "setup/step.html", blocks = ["main"])]
#[schemars(rename = "SetupPage")]
pub struct StepPage {
    /// The setup; none: it is not begun yet.
    id: Option<SetupId>,
    /// Where this is.
    step: SetupStep,
    /// What was typed, or is proposed.
    answers: SetupAnswers,
    /// What there is to say; pointers into a configuration, besides `/name` and `/network`.
    #[serde(flatten)]
    found: ConfigFindings,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<InstanceId>,
    /// Setups that were begun and led to nothing yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unfinished: Vec<SetupProgress>,
    /// Pools of the list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known_pools: Vec<KnownPool>,
    /// What is wrong with the user's own list of pools, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pools_problem: Option<String>,
    /// What was found of Bitcoin Core.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeSocket>,
    /// Who of those the client will speak to listens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tried: Vec<ProbeResult>,
    /// Why no client can be started, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_client: Option<String>,
    #[serde(skip)]
    config: Option<ClientConfig>,
    #[serde(skip)]
    is_refused: bool,
}

crate::view!(StepPage { "main" => as_main });

impl StepPage {
    /// The first page, with the setups that can be gone on with.
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

    /// A step of a setup; `answers` as they are to stand in the fields.
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
            config: None,
            is_refused: false,
        }
    }

    /// With what there is to say; `is_refused`: the form was sent and is not right.
    pub fn saying(self, found: ConfigFindings, is_refused: bool) -> Self {
        Self {
            found,
            is_refused,
            ..self
        }
    }

    /// With what was found of Bitcoin Core.
    pub fn with_nodes(self, nodes: Vec<NodeSocket>) -> Self {
        Self { nodes, ..self }
    }

    /// With the pools that are known.
    pub fn with_pools(self, known: KnownPools) -> Self {
        Self {
            known_pools: known.pools,
            pools_problem: known.problem,
            ..self
        }
    }

    /// What stands beside the fields that were sent, while they are being filled in. That one is
    /// still empty is not yet worth a word.
    pub fn notes(&self, pairs: &[(String, String)]) -> FieldNotes<'_> {
        let mut fields: Vec<ConfigFormField<'_>> = Vec::new();
        for (name, text) in pairs
            .iter()
            .filter(|(name, _)| SetupStep::of_field(name) == Some(self.step))
        {
            if fields.iter().all(|known| known.name != *name) {
                let field = self.field(name);
                // What is sent along unseen has no place for notes.
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

    /// With what is to be saved, who of those it speaks to listens, and why it cannot be started,
    /// if so.
    pub fn with_preview(
        self,
        preview: Option<(ClientConfig, Vec<ProbeResult>)>,
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

    fn choices(&self) -> [ModeChoice; 3] {
        [
            ModeChoice {
                value: MiningMode::FullTemplate.as_str(),
                title: "With a pool, and my node chooses the transactions",
                help: "Your client declares its own block templates to the pool. The pool pays you for shares; what goes into a block is up to you.",
            },
            ModeChoice {
                value: MiningMode::CoinbaseOnly.as_str(),
                title: "With a pool that is told only the coinbase",
                help: "Your node still makes the templates, but the transactions stay with you. The pool must support it.",
            },
            ModeChoice {
                value: MiningMode::SoloMining.as_str(),
                title: "Alone, without a pool",
                help: "A block you find pays you all of it, and nothing else pays you anything. With little hashrate that may take longer than a life.",
            },
        ]
    }

    fn is_mode(&self, choice: &ModeChoice) -> bool {
        let chosen = self.answers.get("mode");
        chosen == choice.value
            || chosen.is_empty() && choice.value == MiningMode::FullTemplate.as_str()
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.answers.rows()
    }

    /// The field of this name; unknown names are a mistake in the template that a test notices.
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
            ("sv2tp", "A template provider such as sv2-tp, by address"),
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
            .chain(pairs([("unknown", "I do not know")]))
            .collect()
    }

    fn versions(&self) -> Vec<(String, String)> {
        pairs([("31", "31"), ("30", "30")])
    }

    fn reaches(&self) -> Vec<(String, String)> {
        pairs([
            ("lan", "Miners in my network"),
            ("local", "Only programs on this machine"),
        ])
    }

    /// The chain is known from the node.
    fn is_ipc(&self) -> bool {
        self.answers.get("template_provider") == "ipc"
    }

    /// What was found, the chains with a socket first; of the others the one that is chosen.
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

    /// Warnings and hints of the whole, for the review.
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

    /// Everything in words.
    fn parts(&self) -> Vec<ReviewSection> {
        let Some(config) = &self.config else {
            return Vec::new();
        };
        let line = |name: &str, text: String| (name.to_owned(), text);
        let title = self
            .choices()
            .into_iter()
            .find(|choice| choice.value == config.mode.as_str())
            .map_or("", |choice| choice.title);
        let mut parts = vec![ReviewSection {
            step: SetupStep::Mode,
            lines: vec![line("Mining", title.to_owned())],
        }];
        let provider = match &config.template_provider_type {
            TemplateProvider::Sv2Tp {
                address,
                public_key,
                ..
            } => {
                let trust = if public_key.is_some() {
                    "recognised by its key"
                } else {
                    "whoever answers there is trusted"
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
                    .map_or("the usual data directory".to_owned(), |dir| {
                        format!("the data directory {dir}")
                    });
                vec![line(
                    "Bitcoin Core",
                    format!("version {version} on {network}, in {dir}"),
                )]
            }
        };
        parts.push(ReviewSection {
            step: SetupStep::Provider,
            lines: provider,
        });
        if config.mode.needs_pool() {
            let pools = config.upstreams.iter().enumerate().map(|(at, pool)| {
                let when = if at == 0 { "Pool" } else { "When those fail" };
                let jobs = format!(
                    "jobs are declared to {}:{}",
                    pool.jds_address, pool.jds_port
                );
                line(
                    when,
                    format!(
                        "{}:{} as {}; {jobs}",
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
            "Paid when no pool can be reached"
        } else {
            "Blocks pay to"
        };
        let payout = vec![
            line(last_resort, config.coinbase_reward_script.clone()),
            line("Text in blocks", signature),
        ];
        parts.push(ReviewSection {
            step: SetupStep::Payout,
            lines: payout,
        });
        let who = if config.listening_address.ip().is_unspecified() {
            "miners of your network"
        } else {
            "programs on this machine"
        };
        let mut name = vec![
            line("Name", self.answers.get("name").to_owned()),
            line(
                "Port for miners",
                format!("{}, for {who}", config.listening_address.port()),
            ),
        ];
        name.extend(config.monitoring_address.map(|address| {
            line(
                "Port for figures",
                format!("{}, on this machine only", address.port()),
            )
        }));
        name.push(line(
            "Keys",
            "a new pair is made; the secret key is never shown".to_owned(),
        ));
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

/// Values to choose from, with what they are called.
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
