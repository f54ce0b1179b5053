//! The form of a rule: what it is about, then when, of which instance and where it is told.

use askama::Template;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use strum::{IntoEnumIterator, VariantNames};

use super::fields::{AlertFormField, FieldInput, error_of, time};
use crate::base::error::FieldError;
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::alerts::evaluate::typed;
use crate::domain::alerts::model::{AlertRule, RuleCondition};
use crate::domain::alerts::rule_draft::{USUAL, is_watched};
use crate::domain::alerts::service;
use crate::domain::alerts::views::responses::RuleKinds;
use crate::domain::health::model::HealthCheck;
use crate::domain::metrics::model::{CATALOGUE, title};
use crate::view;

/// What a rule can be about: kind, title, and what that means.
const KINDS: [(&str, &str, &str); 6] = [
    (
        "state",
        "An instance is in trouble",
        "It failed, waits to be started again, or is not running though it should be.",
    ),
    ("check", "A health check is bad", "One of them, or any."),
    (
        "metric",
        "A figure is too high or too low",
        "Such as the hashrate, the number of miners or the memory.",
    ),
    ("block-found", "A block is found", "Sent once for each."),
    (
        "best-difficulty",
        "A share is better than all before",
        "Sent once for each.",
    ),
    (
        "update-available",
        "A newer client is there",
        "Than the one that an instance runs. Releases are looked for once a day.",
    ),
];

/// What the form can choose from.
#[derive(Debug, Default)]
pub struct RuleFormOptions {
    /// Ids and names of the instances.
    pub instances: Vec<(InstanceId, String)>,
    /// Ids and names of the channels.
    pub channels: Vec<(ChannelId, String)>,
}

impl From<service::Choices> for RuleFormOptions {
    fn from((instances, channels): service::Choices) -> Self {
        Self {
            instances,
            channels,
        }
    }
}

/// `GET /alerts/rules/new`, `GET /alerts/rules/{id}`, and both again when something is wrong.
#[derive(Debug, Template, Serialize)]
#[template(path = "alerts/rule.html", blocks = ["main"])]
pub struct RulePage {
    /// The one that is changed; none: a new one.
    #[serde(skip)]
    id: Option<RuleId>,
    #[serde(skip)]
    title: String,
    /// What it is about; empty: that has to be chosen first.
    #[serde(skip)]
    kind: &'static str,
    #[serde(skip)]
    values: BTreeMap<String, String>,
    /// The ids of the channels that are ticked.
    #[serde(skip)]
    chosen: Vec<String>,
    #[serde(skip)]
    choices: RuleFormOptions,
    #[serde(skip)]
    errors: Vec<FieldError>,
    /// For programs: the rule, or the kinds there are.
    #[serde(flatten)]
    json: Value,
}
view!(RulePage { "main" => as_main });

/// The name of a kind as it stands in the table.
pub fn known_kind(name: &str) -> Option<&'static str> {
    RuleCondition::VARIANTS
        .iter()
        .copied()
        .find(|known| *known == name)
}

impl RulePage {
    /// A new rule; without a kind the page asks for it.
    pub fn new(kind: Option<&'static str>, choices: RuleFormOptions) -> Self {
        Self::for_instance(kind, None, choices)
    }

    /// A new rule of an instance, if there is one of this id; of all otherwise.
    pub fn for_instance(
        kind: Option<&'static str>,
        instance: Option<InstanceId>,
        choices: RuleFormOptions,
    ) -> Self {
        let instance = instance.filter(|id| choices.instances.iter().any(|(known, _)| known == id));
        let instance = instance.map(|id| id.to_string()).unwrap_or_default();
        let usual = USUAL.to_string();
        let values = [
            ("is", "not-running"),
            ("at_least", "unhealthy"),
            ("side", "below"),
            ("metric", "hashrate_miners"),
        ];
        let values = values.into_iter().chain([
            ("for_s", &*usual),
            ("clear_s", &*usual),
            ("tell_cleared", "on"),
            ("enabled", "on"),
            ("instance_id", &*instance),
        ]);
        let words = KINDS
            .iter()
            .find(|(name, ..)| Some(*name) == kind)
            .map(|(_, words, _)| *words);
        Self {
            id: None,
            title: words.map_or_else(|| "New rule".into(), |words| format!("New rule: {words}")),
            kind: kind.unwrap_or_default(),
            values: values
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            chosen: Vec::new(),
            choices,
            errors: Vec::new(),
            json: serde_json::to_value(RuleKinds {
                kinds: RuleCondition::VARIANTS,
            })
            .unwrap_or_default(),
        }
    }

    /// A saved rule.
    pub fn edit(rule: &AlertRule, choices: RuleFormOptions) -> Self {
        let mut values = BTreeMap::new();
        let mut put = |name: &str, value: String| drop(values.insert(name.to_owned(), value));
        if let Ok(Value::Object(members)) = serde_json::to_value(&rule.condition) {
            for (name, value) in members {
                put(
                    &name,
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                );
            }
        }
        if let RuleCondition::Metric {
            metric, threshold, ..
        } = &rule.condition
        {
            put("threshold", typed(metric, *threshold));
        }
        put("name", rule.name.clone());
        put(
            "instance_id",
            rule.instance_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
        );
        put("for_s", rule.for_s.to_string());
        put("clear_s", rule.clear_s.to_string());
        put(
            "repeat_s",
            rule.repeat_s
                .map(|every| every.to_string())
                .unwrap_or_default(),
        );
        put(
            "quiet_from",
            rule.quiet.map(|quiet| time(quiet.from)).unwrap_or_default(),
        );
        put(
            "quiet_to",
            rule.quiet.map(|quiet| time(quiet.to)).unwrap_or_default(),
        );
        for (name, is_ticked) in [
            ("tell_cleared", rule.tell_cleared),
            ("enabled", rule.enabled),
        ] {
            put(name, if is_ticked { "on" } else { "" }.to_owned());
        }
        Self {
            id: Some(rule.id),
            title: rule.name.clone(),
            values,
            chosen: rule.channels.iter().map(ToString::to_string).collect(),
            json: serde_json::to_value(rule).unwrap_or_default(),
            ..Self::new(Some(rule.condition.kind()), choices)
        }
    }

    /// The form as it was sent, with what is wrong.
    pub fn refused(
        saved: Option<&AlertRule>,
        pairs: &[(String, String)],
        errors: Vec<FieldError>,
        choices: RuleFormOptions,
    ) -> Self {
        let sent = pairs
            .iter()
            .find(|(name, _)| name == "kind")
            .and_then(|(_, name)| known_kind(name));
        let mut page = match saved {
            Some(rule) => Self::edit(rule, choices),
            None => Self::new(sent, choices),
        };
        page.kind = sent.unwrap_or(page.kind);
        page.values = pairs.iter().cloned().collect();
        page.chosen = pairs
            .iter()
            .filter(|(name, _)| name == "channels")
            .map(|(_, id)| id.clone())
            .collect();
        Self { errors, ..page }
    }

    fn action(&self) -> String {
        self.id.map_or_else(
            || "/alerts/rules".into(),
            |id| format!("/alerts/rules/{id}"),
        )
    }

    /// The address of the form for a kind, for the instance that was asked for.
    fn form_of(&self, kind: &str) -> String {
        let instance = self.value("instance_id");
        let instance = if instance.is_empty() {
            instance
        } else {
            format!("&instance={instance}")
        };
        format!("/alerts/rules/new?kind={kind}{instance}")
    }

    /// The instance that was asked for.
    fn whose(&self) -> Option<&str> {
        let id = self.values.get("instance_id")?;
        self.choices
            .instances
            .iter()
            .find(|(known, _)| known.to_string() == *id)
            .map(|(_, name)| name.as_str())
    }

    fn kinds(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &KINDS
    }

    /// What the kind means.
    fn about(&self) -> &'static str {
        KINDS
            .iter()
            .find(|(name, ..)| *name == self.kind)
            .map_or("", |(_, words, _)| words)
    }

    fn lasts(&self) -> bool {
        matches!(self.kind, "state" | "check" | "metric" | "update-available")
    }

    fn value(&self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_default()
    }

    fn is_ticked(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|text| !text.is_empty())
    }

    fn is_chosen(&self, id: &ChannelId) -> bool {
        self.chosen.contains(&id.to_string())
    }

    fn error(&self, name: &str) -> Option<String> {
        error_of(&self.errors, name)
    }

    fn text(&self, name: &'static str, label: &'static str, help: &'static str) -> AlertFormField {
        AlertFormField {
            error: self.error(name),
            ..AlertFormField::text(name, label, help, self.value(name))
        }
    }

    fn choice<V: ToString, W: ToString>(
        &self,
        name: &'static str,
        label: &'static str,
        help: &'static str,
        options: impl IntoIterator<Item = (V, W)>,
    ) -> AlertFormField {
        let options = options
            .into_iter()
            .map(|(value, words)| (value.to_string(), words.to_string()))
            .collect();
        AlertFormField {
            input: FieldInput::Choice,
            options,
            ..self.text(name, label, help)
        }
    }

    /// What it is about, in detail.
    fn condition_fields(&self) -> Vec<AlertFormField> {
        match self.kind {
            "state" => {
                let options = [
                    ("not-running", "is not running though it should be"),
                    ("failed", "failed for good"),
                    ("backing-off", "ended and waits to be started again"),
                ];
                vec![self.choice(
                    "is",
                    "The instance",
                    "Not running holds for the others, too, and for a start that takes too long.",
                    options,
                )]
            }
            "check" => {
                let options = [
                    ("unhealthy", "is unhealthy"),
                    ("warning", "has a warning or worse"),
                ];
                let mut checks: Vec<(String, String)> = vec![(String::new(), "any of them".into())];
                checks.extend(
                    HealthCheck::iter()
                        .map(|check| (check.as_str().to_owned(), check.title().to_owned())),
                );
                let own = self.value("check");
                if !checks.iter().any(|(name, _)| *name == own) {
                    checks.push((own.clone(), own));
                }
                vec![
                    self.choice(
                        "check",
                        "Health check",
                        "As on the health page of an instance.",
                        checks,
                    ),
                    self.choice(
                        "at_least",
                        "How bad",
                        "A warning may pass by itself.",
                        options,
                    ),
                ]
            }
            "metric" => {
                let own = self.value("metric");
                let mut options: Vec<(String, String)> = CATALOGUE
                    .iter()
                    .filter(|metric| is_watched(metric.name))
                    .map(|m| (m.name.to_owned(), m.title.to_owned()))
                    .collect();
                if !own.is_empty() && !options.iter().any(|(name, _)| *name == own) {
                    options.push((own.clone(), title(&own)));
                }
                let sides = [("below", "below"), ("above", "above")];
                vec![
                    self.choice(
                        "metric",
                        "Figure",
                        "As on the page of metrics. While it is not known, nothing is told.",
                        options,
                    ),
                    self.choice("side", "Is", "Just at the threshold is neither.", sides),
                    self.text(
                        "threshold",
                        "Threshold",
                        "With its unit: 1.5 TH/s, 64 MiB, 90 %, 1 h 30 min. Without one: hashes per second, bytes, per cent, seconds.",
                    ),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// Of which instance, and under which name.
    fn common_fields(&self) -> Vec<AlertFormField> {
        let all = std::iter::once((String::new(), "all of them".to_owned()));
        let instances = self
            .choices
            .instances
            .iter()
            .map(|(id, name)| (id.to_string(), name.clone()));
        vec![
            self.choice(
                "instance_id",
                "Of which instance",
                "A new one is among all of them by itself.",
                all.chain(instances),
            ),
            self.text(
                "name",
                "Name of the rule",
                "It stands in each message. Empty: one is made up.",
            ),
        ]
    }

    fn time_fields(&self) -> Vec<AlertFormField> {
        let number = |shown| AlertFormField {
            input: FieldInput::Number,
            ..shown
        };
        vec![
            number(self.text(
                "for_s",
                "Tell after, seconds",
                "It must hold for so long without a break. 0: at once.",
            )),
            number(self.text(
                "clear_s",
                "Over after, seconds",
                "A shorter break does not count.",
            )),
            number(self.text(
                "repeat_s",
                "Tell again every, seconds (optional)",
                "While it lasts; 3600 is an hour. Empty: never.",
            )),
        ]
    }

    fn quiet_fields(&self) -> Vec<AlertFormField> {
        let time = |shown| AlertFormField {
            input: FieldInput::Time,
            ..shown
        };
        let end = if self.lasts() {
            "What still lasts then is told; what came and went is not."
        } else {
            "What happened is told then."
        };
        vec![
            time(self.text(
                "quiet_from",
                "Quiet from (optional)",
                "By the clock of this machine. Nothing is sent then.",
            )),
            time(self.text("quiet_to", "Quiet to (optional)", end)),
        ]
    }

    fn link(&self, error: &FieldError) -> String {
        let name = error.pointer.trim_start_matches('/');
        let has_place = name == "channels"
            || [
                self.condition_fields(),
                self.common_fields(),
                self.time_fields(),
                self.quiet_fields(),
            ]
            .iter()
            .flatten()
            .any(|field| field.name == name);
        if has_place {
            format!("#{name}")
        } else {
            "#form".into()
        }
    }
}
