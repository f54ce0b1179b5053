//! Which instances a list shows, or an action on several instances means. Pure.

use serde_json::Value;
use std::collections::HashMap;
use std::str::FromStr;
use strum::VariantNames;

use super::draft::is_version_name;
use super::list_extras::HEALTH_WORDS;
use super::model::Instance;
use super::tags::check_tag;
use crate::base::error::FieldError;
use crate::base::ids::ConfigId;
use crate::keeper::machine::InstanceState;
use crate::web::extract::{MOST_UNKNOWN, unknown_field};
use crate::web::openapi::{RequestField, any_of, flag, member, text};
use serde_json::json;

/// The longest search text in characters.
pub(super) const LONGEST_SEARCH: usize = 200;
/// Maximum number of values of one parameter.
const MOST_VALUES: usize = 50;
/// The value of `host` for instances on this machine. No host can have this name.
pub(super) const THIS_MACHINE: &str = "-";

/// Selects instances. Several values of one parameter mean any of them; several parameters mean all
/// of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct InstanceFilter {
    /// Words that must all be found in the texts of an instance; without white space around it.
    pub search: String,
    /// States.
    pub states: Vec<InstanceState>,
    /// Health, by its words.
    pub health: Vec<&'static str>,
    /// Whether it needs attention.
    pub attention: Option<bool>,
    /// Tags.
    pub tags: Vec<String>,
    /// Client versions.
    pub versions: Vec<String>,
    /// Saved configurations.
    pub configs: Vec<ConfigId>,
    /// Hosts by name, or `-` for this machine.
    pub hosts: Vec<String>,
}

/// The addresses of the pools of configurations, in lowercase.
pub type PoolTexts = HashMap<ConfigId, String>;

/// The parameters of a filter.
pub fn filter_fields() -> Vec<RequestField> {
    let several = |name, about, items: Value| {
        let schema = json!({ "type": "array", "items": items, "maxItems": MOST_VALUES });
        member(name, about, schema)
    };
    vec![
        text(
            "q",
            "Only instances in which every word is found: in name, id, tags, configuration, pools or miners.",
        )
        .with("maxLength", LONGEST_SEARCH)
        .like("barn"),
        several(
            "state",
            "Only instances in this state. `error` is another name for `failed`. This and other parameters can be repeated: any of the values.",
            json!({ "type": "string", "enum": state_words() }),
        ),
        several(
            "health",
            "Only instances with this health.",
            json!({ "type": "string", "enum": HEALTH_WORDS }),
        ),
        flag(
            "attention",
            "Only instances that need attention: failed, retrying, unhealthy or with a warning. `false`: only the others.",
        ),
        several(
            "tag",
            "Only instances with this tag, ignoring case.",
            json!({ "type": "string" }),
        ),
        several(
            "version",
            "Only instances whose client has this version: the version that it was started with, otherwise the pinned one.",
            json!({ "type": "string" }),
        ),
        several(
            "config",
            "Only instances of this saved configuration.",
            json!({ "type": "string", "format": "uuid" }),
        ),
        several(
            "host",
            "Only instances on this host. `-`: on this machine.",
            json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_SEARCH }),
        ),
    ]
}

/// The states, and the former name of one.
fn state_words() -> Vec<&'static str> {
    let states = InstanceState::VARIANTS.iter().copied();
    states.chain(["error"]).collect()
}

impl InstanceFilter {
    /// Reads the parameters of a filter and ignores others. Empty values count as missing, as in a
    /// form with a blank field. Also returns an error for each invalid value.
    pub fn read(pairs: &[(String, String)]) -> (Self, Vec<FieldError>) {
        let mut filter = Self::default();
        let mut errors = Vec::new();
        for (name, value) in pairs {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            if let Err(detail) = filter.set(name, value)
                && !errors.iter().any(|e: &FieldError| e.detail == detail)
            {
                errors.push(FieldError::new(format!("/{name}"), detail));
            }
        }
        (filter, errors)
    }

    /// The member `filter` of a JSON body: an object of these parameters, each with a value or a list
    /// of values.
    pub fn from_json(value: &Value) -> (Self, Vec<FieldError>) {
        let Value::Object(members) = value else {
            let detail = "filter must be an object of list parameters.";
            return (Self::default(), vec![FieldError::new("", detail)]);
        };
        let (mut pairs, mut errors) = (Vec::new(), Vec::new());
        for (name, value) in members {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                Value::Null => continue,
                one => std::slice::from_ref(one),
            };
            // A script's empty variable must not select more than meant.
            let has_one_value = matches!(name.as_str(), "q" | "attention");
            if values.is_empty() || has_one_value && values.len() > 1 {
                let detail = match has_one_value {
                    true => format!("{name} must be one value."),
                    false => format!("{name} must be text or a list of texts."),
                };
                errors.push(FieldError::new(format!("/{name}"), detail));
                continue;
            }
            for value in values {
                match value {
                    Value::String(text) if text.trim().is_empty() => {
                        let detail = format!("{name} must not be empty.");
                        errors.push(FieldError::new(format!("/{name}"), detail));
                    }
                    Value::String(text) => pairs.push((name.clone(), text.clone())),
                    Value::Bool(flag) => pairs.push((name.clone(), flag.to_string())),
                    _ => errors.push(FieldError::new(
                        format!("/{name}"),
                        format!("{name} must be text or a list of texts."),
                    )),
                }
            }
        }
        errors.truncate(MOST_UNKNOWN);
        let (filter, refused) = Self::read_only(&pairs);
        errors.extend(refused);
        (filter, errors)
    }

    /// Like [`read`](Self::read), but without other parameters.
    pub fn read_only(pairs: &[(String, String)]) -> (Self, Vec<FieldError>) {
        let fields = filter_fields();
        let is_known = |name: &str| fields.iter().any(|field| field.name == name);
        let (filter, mut errors) = Self::read(pairs);
        let unknown = pairs.iter().filter(|(name, _)| !is_known(name));
        errors.extend(
            unknown
                .take(MOST_UNKNOWN)
                .map(|(name, _)| unknown_field("list parameter", name, &fields)),
        );
        (filter, errors)
    }

    /// Adds a value.
    ///
    /// # Errors
    /// The problem as a sentence.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "q" if value.chars().count() > LONGEST_SEARCH => {
                return Err(format!(
                    "q can be at most {LONGEST_SEARCH} characters long."
                ));
            }
            "q" => self.search = value.to_owned(),
            "state" => {
                let value = if value == "error" { "failed" } else { value };
                let expected = || format!("state must be {}.", any_of(InstanceState::VARIANTS));
                let state = InstanceState::from_str(value).map_err(|_| expected())?;
                return add(&mut self.states, state, name);
            }
            "health" => {
                let known = HEALTH_WORDS.into_iter().find(|known| *known == value);
                let expected = || format!("health must be {}.", any_of(&HEALTH_WORDS));
                return add(&mut self.health, known.ok_or_else(expected)?, name);
            }
            "attention" => {
                let flag = value.parse();
                let expected = |_| "attention must be true or false.".to_owned();
                self.attention = Some(flag.map_err(expected)?);
            }
            "tag" => {
                check_tag(value).map_err(|detail| format!("tag is invalid: {detail}"))?;
                return add(&mut self.tags, value.to_owned(), name);
            }
            "version" if !is_version_name(value) => {
                return Err("version must be a client version such as 0.6.0.".into());
            }
            "version" => return add(&mut self.versions, value.to_owned(), name),
            "config" => {
                let expected = |_| "config must be the id of a saved configuration.".to_owned();
                let config = value.parse().map_err(expected)?;
                return add(&mut self.configs, config, name);
            }
            "host" if value.chars().count() > LONGEST_SEARCH => {
                return Err("host must be the name of a host, or - for this machine.".into());
            }
            "host" => return add(&mut self.hosts, value.to_owned(), name),
            _ => {}
        }
        Ok(())
    }

    /// The parameters of this filter, each with one value.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        fn all<T: ToString>(name: &'static str, values: &[T]) -> Vec<(&'static str, String)> {
            let pair = |value: &T| (name, value.to_string());
            values.iter().map(pair).collect()
        }
        let search = Some(self.search.clone()).filter(|text| !text.is_empty());
        [
            all("q", search.as_slice()),
            all("state", &self.states),
            all("health", &self.health),
            all("attention", self.attention.as_slice()),
            all("tag", &self.tags),
            all("version", &self.versions),
            all("config", &self.configs),
            all("host", &self.hosts),
        ]
        .concat()
    }

    /// The same without a value.
    pub fn without(&self, name: &str, value: &str) -> Self {
        let kept = |pair: &(&'static str, String)| pair.0 != name || pair.1 != value;
        let pairs = self.pairs().into_iter().filter(kept);
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.into(), value)).collect();
        Self::read(&pairs).0
    }

    /// The values of a parameter.
    pub fn values(&self, name: &str) -> Vec<String> {
        let pairs = self.pairs().into_iter();
        pairs
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// Whether it selects all instances.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it selects an instance.
    pub fn matches(&self, instance: &Instance, pools: &PoolTexts) -> bool {
        fn any<T>(values: &[T], is_it: impl Fn(&T) -> bool) -> bool {
            values.is_empty() || values.iter().any(is_it)
        }
        any(&self.states, |state| instance.is_in(*state))
            && any(&self.health, |health| *health == instance.health_word())
            && self
                .attention
                .is_none_or(|wanted| wanted == instance.has_problem())
            && any(&self.tags, |tag| instance.tags.has(tag))
            && any(&self.versions, |version| {
                instance.shown_version() == Some(version.as_str())
            })
            && any(&self.configs, |config| *config == instance.config_id)
            && any(&self.hosts, |host| match &instance.host {
                Some(own) => own.eq_ignore_ascii_case(host),
                None => host == THIS_MACHINE,
            })
            && self.finds(instance, pools)
    }

    fn finds(&self, instance: &Instance, pools: &PoolTexts) -> bool {
        if self.search.is_empty() {
            return true;
        }
        let pools = pools.get(&instance.config_id).map_or("", String::as_str);
        let own = format!(
            "{}\n{}\n{}\n{}",
            instance.full_name(),
            instance.id,
            instance.tags.text(),
            instance.config_name
        )
        .to_lowercase();
        let miners = instance.miner_names.as_deref().unwrap_or_default();
        let search = self.search.to_lowercase();
        let mut words = search.split_whitespace();
        words.all(|word| {
            [own.as_str(), pools, miners]
                .iter()
                .any(|text| text.contains(word))
        })
    }
}

/// Adds a value, once.
fn add<T: PartialEq>(values: &mut Vec<T>, value: T, name: &str) -> Result<(), String> {
    if values.contains(&value) {
        return Ok(());
    }
    if values.len() == MOST_VALUES {
        return Err(format!("{name} can have at most {MOST_VALUES} values."));
    }
    values.push(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::list_extras::HealthSummary;
    use super::super::tags::InstanceTags;
    use super::*;

    fn read(query: &str) -> (InstanceFilter, Vec<FieldError>) {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        InstanceFilter::read(&pairs)
    }

    fn filter(query: &str) -> InstanceFilter {
        let (filter, errors) = read(query);
        assert!(errors.is_empty(), "{query}: {errors:?}");
        filter
    }

    fn named(name: &str, status: InstanceState, tags: &str) -> Instance {
        Instance {
            name: name.into(),
            tags: InstanceTags::from_text(tags).unwrap(),
            ..Instance::sample(status)
        }
    }

    fn health(status: &'static str) -> HealthSummary {
        HealthSummary {
            status,
            score: 50,
            place: String::new(),
            place_since: None,
            trouble: None,
            checks: Vec::new(),
        }
    }

    /// Three instances: running and unhealthy, failed, stopped with a pinned version.
    fn farm() -> [Instance; 3] {
        let mut barn = named("barn", InstanceState::Running, "Ärmel, rack 1");
        barn.health = Some(health("unhealthy"));
        barn.running_version = Some("0.6.0".into());
        barn.client_version = Some("0.5.0".into());
        barn.miner_names = Some("bitaxe\ns9-attic".into());
        let mut shed = named("shed", InstanceState::Failed, "rack 1");
        shed.config_name = "Home, solo".into();
        let mut attic = named("attic", InstanceState::Stopped, "");
        attic.client_version = Some("0.5.0".into());
        [barn, shed, attic]
    }

    fn found(query: &str) -> Vec<&'static str> {
        let farm = farm();
        let pools = PoolTexts::from([(farm[2].config_id, "pool.example:3333".into())]);
        let filter = filter(query);
        let names = ["barn", "shed", "attic"];
        let all = farm.iter().zip(names);
        all.filter(|(instance, _)| filter.matches(instance, &pools))
            .map(|(_, name)| name)
            .collect()
    }

    #[test]
    fn each_parameter_selects_and_several_values_mean_any() {
        for (query, wanted) in [
            ("", vec!["barn", "shed", "attic"]),
            ("state=running", vec!["barn"]),
            ("state=running&state=stopped", vec!["barn", "attic"]),
            ("state=error", vec!["shed"]),
            ("health=unhealthy", vec!["barn"]),
            ("health=unknown&health=healthy", vec!["shed", "attic"]),
            ("attention=true", vec!["barn", "shed"]),
            ("attention=false", vec!["attic"]),
            ("tag=%C3%A4rmel", vec!["barn"]),
            ("tag=RACK+1", vec!["barn", "shed"]),
            ("tag=rack+1&state=failed", vec!["shed"]),
            ("version=0.5.0", vec!["attic"]),
            ("version=0.6.0&version=0.5.0", vec!["barn", "attic"]),
            ("q=AR", vec!["barn"]),
            ("q=rack+solo", vec!["shed"]),
            ("q=S9", vec!["barn"]),
            ("q=pool.EXAMPLE", vec!["attic"]),
            ("q=nowhere", vec![]),
            ("q=+&state=&tag=", vec!["barn", "shed", "attic"]),
        ] {
            assert_eq!(found(query), wanted, "{query}");
        }
        let farm = farm();
        let config = farm[1].config_id;
        let of_config = filter(&format!("config={config}"));
        assert!(of_config.matches(&farm[1], &PoolTexts::new()));
        assert!(!of_config.matches(&farm[0], &PoolTexts::new()));
        let by_id = filter(&format!("q={}", farm[0].id));
        assert!(by_id.matches(&farm[0], &PoolTexts::new()));
    }

    #[test]
    fn invalid_values_are_named_with_the_allowed_ones() {
        let (_, errors) =
            read("state=asleep&health=fine&attention=maybe&config=x&tag=a%00&version=%C3%A4");
        let pointers: Vec<&str> = errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/state",
                "/health",
                "/attention",
                "/config",
                "/tag",
                "/version"
            ]
        );
        assert_eq!(
            errors[0].detail,
            "state must be stopped, starting, running, backing-off, stopping or failed."
        );
        assert_eq!(
            errors[1].detail,
            "health must be healthy, warning, unhealthy or unknown."
        );
    }

    #[test]
    fn hostile_input_stays_small() {
        let many: String = (0..5000)
            .map(|n| format!("tag=t{n}&version=v{n}&"))
            .collect();
        let (filter, errors) = read(&many);
        assert_eq!((filter.tags.len(), filter.versions.len()), (50, 50));
        assert_eq!(errors.len(), 2);
        let (filter, errors) = read(&format!("q={}&tag={0}", "x".repeat(100_000)));
        assert!(filter.is_empty());
        assert_eq!(errors.len(), 2);
        let (_, errors) = read(&"state=%FF%FE&".repeat(1000));
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn a_filter_is_read_back_from_its_parameters() {
        let query = "q=a+b&state=failed&state=running&health=warning&attention=false&tag=x%26y&version=0.6.0";
        let whole = filter(query);
        let pairs = whole.pairs().into_iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        assert_eq!(InstanceFilter::read(&pairs), (whole.clone(), Vec::new()));
        let less = whole.without("state", "failed").without("q", "a b");
        assert_eq!(less.values("state"), ["running"]);
        assert_eq!((less.search.as_str(), less.tags.len()), ("", 1));
    }

    #[test]
    fn a_filter_of_a_body_has_no_other_members() {
        let (filter, errors) = InstanceFilter::from_json(
            &json!({ "state": ["failed", "stopped"], "attention": true }),
        );
        assert_eq!((filter.states.len(), filter.attention), (2, Some(true)));
        assert!(errors.is_empty());
        let pointers = |value: Value| -> Vec<String> {
            let (_, errors) = InstanceFilter::from_json(&value);
            errors.into_iter().map(|e| e.pointer).collect()
        };
        assert_eq!(
            pointers(json!({ "sort": "name", "state": 7 })),
            ["/state", "/sort"]
        );
        assert_eq!(pointers(json!("x")), [""]);
        assert_eq!(pointers(json!({ "tag": [["x"]] })), ["/tag"]);
    }
}
