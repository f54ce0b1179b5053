//! The form of an alert rule: condition, instances or hosts, timing and channels.

use askama::Template;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use strum::{IntoEnumIterator, VariantNames};

use super::fields::{AlertFormField, FieldInput, error_of, error_text, time};
use crate::base::error::FieldError;
use crate::base::ids::{ChannelId, InstanceId, RuleId};
use crate::domain::alerts::evaluate::typed;
use crate::domain::alerts::model::{AlertRule, RuleCondition};
use crate::domain::alerts::rule_draft::{USUAL, USUAL_OF_MINER, is_watched};
use crate::domain::alerts::service;
use crate::domain::alerts::views::responses::RuleKinds;
use crate::domain::health::model::HealthCheck;
use crate::domain::metrics::model::{CATALOGUE, title};
use crate::view;

/// The kinds of conditions: name, title, explanation.
const KINDS: [(&str, &str, &str); 8] = [
    (
        "state",
        "Instance state",
        "An instance failed, is retrying, or is not running but should be.",
    ),
    (
        "check",
        "Health check",
        "A health check has a warning or is unhealthy.",
    ),
    (
        "metric",
        "Metric threshold",
        "A metric, such as hashrate, miners or memory, is too high or too low.",
    ),
    ("block-found", "Block found", "One notification per block."),
    (
        "best-difficulty",
        "New best difficulty",
        "One notification per record.",
    ),
    (
        "update-available",
        "Update available",
        "A newer client is available for an instance. jd-manager checks once a day.",
    ),
    (
        "miner-offline",
        "Miner offline",
        "A miner is not connected, even though its instance is running.",
    ),
    (
        "host-unreachable",
        "Host unreachable",
        "A host does not respond, refuses the login, has a changed or unknown host key, or has no jd-manager. One alert per host.",
    ),
];

/// The choices of the form.
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

/// `GET /alerts/rules/new`, `GET /alerts/rules/{id}`, and both with errors after an invalid form.
#[derive(Debug, Template, Serialize)]
#[template(path = "alerts/rule.html", blocks = ["main"])]
pub struct RulePage {
    /// The rule being edited; `None` for a new rule.
    #[serde(skip)]
    id: Option<RuleId>,
    #[serde(skip)]
    title: String,
    /// The kind of condition; empty if the user has not chosen one.
    #[serde(skip)]
    kind: &'static str,
    #[serde(skip)]
    values: BTreeMap<String, String>,
    /// The ids of the selected channels.
    #[serde(skip)]
    chosen: Vec<String>,
    #[serde(skip)]
    choices: RuleFormOptions,
    #[serde(skip)]
    errors: Vec<FieldError>,
    /// JSON: the rule, or the available kinds.
    #[serde(flatten)]
    json: Value,
}
view!(RulePage { "main" => as_main });

/// The kind with this name.
pub fn known_kind(name: &str) -> Option<&'static str> {
    RuleCondition::VARIANTS
        .iter()
        .copied()
        .find(|known| *known == name)
}

impl RulePage {
    /// A new rule; without a kind the page lets the user choose one.
    pub fn new(kind: Option<&'static str>, choices: RuleFormOptions) -> Self {
        Self::for_instance(kind, None, choices)
    }

    /// A new rule for the instance with this id, or for all instances if there is none.
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
        let usual_for = match kind {
            Some("miner-offline") => USUAL_OF_MINER.to_string(),
            _ => usual.clone(),
        };
        let values = values.into_iter().chain([
            ("for_s", &*usual_for),
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

    /// The form of a saved rule.
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

    /// The submitted form with its errors.
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

    /// The URL of the form for a kind, for the requested instance.
    fn form_of(&self, kind: &str) -> String {
        let instance = self.value("instance_id");
        let instance = if instance.is_empty() {
            instance
        } else {
            format!("&instance={instance}")
        };
        format!("/alerts/rules/new?kind={kind}{instance}")
    }

    /// The name of the requested instance.
    fn whose(&self) -> Option<&str> {
        let id = self.values.get("instance_id")?;
        self.choices
            .instances
            .iter()
            .find(|(known, _)| known.to_string() == *id)
            .map(|(_, name)| name.as_str())
    }

    /// The kinds to choose from: for an instance, those about instances.
    fn kinds(&self) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
        let is_for_instance = self.whose().is_some();
        let of_hosts = RuleCondition::HostUnreachable.kind();
        let is_offered =
            move |(name, ..): &&(&str, &str, &str)| !is_for_instance || *name != of_hosts;
        KINDS.iter().filter(is_offered)
    }

    /// The title of the kind.
    fn about(&self) -> &'static str {
        KINDS
            .iter()
            .find(|(name, ..)| *name == self.kind)
            .map_or("", |(_, words, _)| words)
    }

    fn lasts(&self) -> bool {
        matches!(
            self.kind,
            "state"
                | "check"
                | "metric"
                | "update-available"
                | "miner-offline"
                | "host-unreachable"
        )
    }

    /// Whether the condition is about hosts.
    fn is_about_hosts(&self) -> bool {
        self.kind == RuleCondition::HostUnreachable.kind()
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

    fn error(&self, name: &str, label: &str) -> Option<String> {
        error_of(&self.errors, name, label)
    }

    /// All fields of the form, except the channels.
    fn fields(&self) -> Vec<AlertFormField> {
        [
            self.condition_fields(),
            self.common_fields(),
            self.time_fields(),
            self.quiet_fields(),
        ]
        .concat()
    }

    fn error_text(&self, error: &FieldError) -> String {
        error_text(error, &self.fields())
    }

    fn text(&self, name: &'static str, label: &'static str, help: &'static str) -> AlertFormField {
        AlertFormField {
            error: self.error(name, label),
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

    /// The fields of the condition.
    fn condition_fields(&self) -> Vec<AlertFormField> {
        match self.kind {
            "state" => {
                let options = [
                    ("not-running", "is not running but should be"),
                    ("failed", "failed"),
                    ("backing-off", "exited and is retrying"),
                ];
                vec![self.choice(
                    "is",
                    "Condition",
                    "“is not running but should be” also covers instances that failed, are retrying, or are slow to start.",
                    options,
                )]
            }
            "check" => {
                let options = [
                    ("unhealthy", "unhealthy"),
                    ("warning", "warning or unhealthy"),
                ];
                let mut checks: Vec<(String, String)> = vec![(String::new(), "any check".into())];
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
                        "The checks on the Health page.",
                        checks,
                    ),
                    self.choice(
                        "at_least",
                        "Severity",
                        "Warnings may resolve on their own.",
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
                        "Metric",
                        "The same metrics as on the Metrics page. No notifications are sent while the value is unknown.",
                        options,
                    ),
                    self.choice("side", "Is", "A value equal to the threshold does not count.", sides),
                    self.text(
                        "threshold",
                        "Threshold",
                        "For example, 1.5 TH/s, 64 MiB, 90% or 1 h 30 min. Numbers without a unit are in H/s, bytes, percent or seconds.",
                    ),
                ]
            }
            "miner-offline" => vec![self.text(
                "miner",
                "Miner (optional)",
                "The miner's name as listed, or name@address if several miners have the same name. Leave empty for all miners. Each miner has its own alert.",
            )],
            _ => Vec::new(),
        }
    }

    /// The instance, if the rule is about instances, and the name of the rule.
    fn common_fields(&self) -> Vec<AlertFormField> {
        let name = self.text(
            "name",
            "Rule name",
            "Shown in each notification. If empty, the name is based on the condition.",
        );
        if self.is_about_hosts() {
            return vec![name];
        }
        let all = std::iter::once((String::new(), "all instances".to_owned()));
        let instances = self
            .choices
            .instances
            .iter()
            .map(|(id, name)| (id.to_string(), name.clone()));
        vec![
            self.choice(
                "instance_id",
                "Instances",
                "“all instances” includes instances that you create later.",
                all.chain(instances),
            ),
            name,
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
                "Notify after (seconds)",
                "How long the condition must last before you are notified. 0: notify immediately.",
            )),
            number(self.text(
                "clear_s",
                "Resolve after (seconds)",
                "How long the problem must be gone before the alert is resolved.",
            )),
            number(self.text(
                "repeat_s",
                "Repeat every (seconds, optional)",
                "How often to notify again while the problem lasts. 3600 is one hour. Empty: never.",
            )),
        ]
    }

    fn quiet_fields(&self) -> Vec<AlertFormField> {
        let time = |shown| AlertFormField {
            input: FieldInput::Time,
            ..shown
        };
        let end = if self.lasts() {
            "Problems that persist are reported afterward."
        } else {
            "Events are reported afterward."
        };
        vec![
            time(self.text(
                "quiet_from",
                "Quiet from (optional)",
                "In this machine's local time. No notifications are sent during quiet time.",
            )),
            time(self.text("quiet_to", "Quiet until (optional)", end)),
        ]
    }

    fn link(&self, error: &FieldError) -> String {
        let name = error.pointer.trim_start_matches('/');
        let has_place = name == "channels" || self.fields().iter().any(|field| field.name == name);
        if has_place {
            format!("#{name}")
        } else {
            "#form".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_labels_of_the_fields() {
        let page = RulePage {
            errors: vec![FieldError::new("/for_s", "for_s must be 1.")],
            ..RulePage::new(Some("metric"), RuleFormOptions::default())
        };
        let text = "Notify after (seconds) must be 1.";
        assert_eq!(page.error_text(&page.errors[0]), text);
        let field = page
            .fields()
            .into_iter()
            .find(|field| field.name == "for_s");
        assert_eq!(field.unwrap().error.as_deref(), Some(text));
    }
}
