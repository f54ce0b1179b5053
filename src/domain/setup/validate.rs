//! A complete setup, from the answers of the pages or from a request body, and its errors.
//!
//! Stricter than saving a configuration: a user of setup never wants an address from an example.
//! Pure.

use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::responses::SetupAnswers;
use super::step::SetupStep;
use crate::base::error::{Error, FieldError, Result};
use crate::domain::configs::pool_list::{KnownPool, KnownPools, built_in};
use crate::domain::configs::{
    BitcoinNetwork, ClientConfig, ConfigFindings, MiningMode, ParsedConfig, TranslatorSettings,
    check_name, form_name, form_to_value, payout_descriptor, read,
};
use crate::domain::keys::without_secret_keys;

/// Members of the request body and the corresponding keys of a configuration.
const MEMBERS: [(&str, &str); 8] = [
    ("mode", "mode"),
    ("template_provider", "template_provider_type"),
    ("pools", "upstreams"),
    ("payout", "coinbase_reward_script"),
    ("jdc_signature", "jdc_signature"),
    ("listening_address", "listening_address"),
    ("monitoring_address", "monitoring_address"),
    ("translator", "translator"),
];

/// A setup that can be checked and saved.
#[derive(Clone)]
pub struct CompleteSetup {
    /// The name of the configuration and the instance.
    pub name: String,
    /// The configuration with a new key pair, not checked yet.
    pub config: Value,
    /// The network of the node behind a template provider reached by address, if given.
    pub network: Option<BitcoinNetwork>,
    /// Whether to start the instance.
    pub start: bool,
    /// The known pools, including the user's own.
    pools: KnownPools,
    /// Errors found so far.
    errors: Vec<FieldError>,
}

/// The result of the check.
pub struct SetupValidation {
    /// The configuration, if there are no errors.
    pub config: Option<ClientConfig>,
    /// Findings, with pointers into the configuration, besides `/name` and `/network`.
    pub found: ConfigFindings,
}

impl CompleteSetup {
    /// From the answers up to a step, based on `starting`. The fields of later steps get valid
    /// values.
    pub fn of_answers(answers: &SetupAnswers, up_to: SetupStep, starting: &ClientConfig) -> Self {
        let mut config = starting.to_stored_value();
        let simple = ["name", "network", "reach", "miners", "miner_class"];
        let is_simple = |name: &str| {
            simple.contains(&name)
                || name.ends_with("listening_port")
                || name.ends_with("monitoring_port")
                || name.ends_with("stratum_v1_port")
        };
        let pairs = answers.up_to(up_to).filter(|(name, _)| !is_simple(name));
        let mut sent = form_to_value(pairs.map(|(name, text)| (name.clone(), text.clone())));
        if up_to < SetupStep::Pools || !answers.needs_pool() {
            sent["upstreams"] = json!([]);
        }
        config["mode"] = answers.get("mode").into();
        if let (Value::Object(config), Value::Object(sent)) = (&mut config, sent) {
            config.extend(sent);
        }
        if up_to < SetupStep::Pools && answers.get("mode").parse::<MiningMode>().is_ok() {
            config["mode"] = MiningMode::SoloMining.as_str().into();
        }
        let mut whole = Self {
            name: String::new(),
            config,
            network: None,
            start: true,
            pools: built_in().clone(),
            errors: Vec::new(),
        };
        if up_to >= SetupStep::Pools && answers.needs_pool() && answers.rows() == 0 {
            whole.errors.push(FieldError::new(
                "/upstreams",
                "Enter a pool, or go back and choose solo mining.",
            ));
        }
        if up_to < SetupStep::Payout {
            whole.config["coinbase_reward_script"] = "raw(51)".into();
        } else {
            let payout = answers.get("coinbase_reward_script");
            whole.config["coinbase_reward_script"] = payout_descriptor(payout).into();
            whole.network = whole.chain(answers.get("network"));
        }
        if up_to >= SetupStep::Name {
            whole.name = answers.get("name").to_owned();
            for (field, host) in listeners(answers) {
                let text = answers.get(&format!("{field}_port"));
                let at = address_pointer(field);
                match text.parse::<u16>() {
                    Ok(port) if port > 0 => {
                        let address = SocketAddr::new(IpAddr::V4(host), port).to_string();
                        if field == STRATUM_V1 {
                            whole.config["translator"] = json!({
                                "enabled": true,
                                "listening_address": address,
                                "min_miner_hashrate": miner_hashrate(answers.get("miner_class")),
                            });
                        } else {
                            whole.config[at.trim_start_matches('/')] = address.into();
                        }
                    }
                    _ => whole
                        .errors
                        .push(FieldError::new(at, "Enter a port from 1 to 65535.")),
                }
            }
        }
        whole
    }

    /// Sets the known pools, including the user's own.
    pub fn with_pools(self, pools: KnownPools) -> Self {
        Self { pools, ..self }
    }

    /// From a request body, based on `starting`.
    ///
    /// # Errors
    /// The body is not a JSON object. [`judge`](Self::judge) reports other errors.
    pub fn of_body(body: Value, starting: &ClientConfig, pools: &KnownPools) -> Result<Self> {
        let Value::Object(mut body) = body else {
            return Err(Error::invalid("", "The body must be a JSON object."));
        };
        let mut whole = Self {
            name: String::new(),
            config: starting.to_stored_value(),
            network: None,
            start: true,
            pools: pools.clone(),
            errors: Vec::new(),
        };
        for required in ["mode", "template_provider_type"] {
            whole.config[required] = Value::Null;
        }
        body.retain(|_, value| !value.is_null());
        match body.remove("name") {
            Some(Value::String(name)) => whole.name = name.trim().to_owned(),
            None => {}
            Some(_) => whole
                .errors
                .push(FieldError::new("/name", "name must be text.")),
        }
        match body.remove("network") {
            Some(Value::String(name)) => whole.network = whole.chain(&name),
            None => {}
            Some(_) => drop(whole.chain("?")),
        }
        match body.remove("start") {
            Some(Value::Bool(start)) => whole.start = start,
            None => {}
            Some(_) => whole
                .errors
                .push(FieldError::new("/start", "start must be true or false.")),
        }
        for (member, key) in MEMBERS {
            let Some(value) = body.remove(member) else {
                continue;
            };
            whole.config[key] = match value {
                Value::String(payout) if member == "payout" => payout_descriptor(&payout).into(),
                Value::Array(list) if member == "pools" => list
                    .into_iter()
                    .enumerate()
                    .map(|(at, pool)| whole.named(at, pool, pools))
                    .collect(),
                other => other,
            };
        }
        Ok(whole)
    }

    /// A known pool by its id, or a pool with its own fields.
    fn named(&mut self, at: usize, pool: Value, pools: &KnownPools) -> Value {
        let Value::Object(mut pool) = pool else {
            return pool;
        };
        let Some(name) = pool.remove("known") else {
            return Value::Object(pool);
        };
        match name.as_str().and_then(|id| pools.get(id)) {
            Some(known) if known.declares() => {
                let fields = known
                    .fields()
                    .map(|(field, text)| (field.to_owned(), Value::from(text)));
                Value::Object(fields.into_iter().chain(pool).collect())
            }
            Some(known) => {
                let detail = format!("{}: {}", known.name, known.note);
                self.errors
                    .push(FieldError::new(format!("/upstreams/{at}/known"), detail));
                Value::Object(pool)
            }
            None => {
                let names: Vec<&str> = pools
                    .pools
                    .iter()
                    .filter(|p| p.declares())
                    .map(|p| p.id.as_str())
                    .collect();
                let detail = format!(
                    "This is not the id of a known pool. Known pools: {}.",
                    names.join(", ")
                );
                self.errors
                    .push(FieldError::new(format!("/upstreams/{at}/known"), detail));
                Value::Object(pool)
            }
        }
    }

    /// The network that the user selected; `unknown` and empty mean not set.
    fn chain(&mut self, text: &str) -> Option<BitcoinNetwork> {
        if ["", "unknown"].contains(&text) {
            return None;
        }
        let known = text.parse().ok();
        if known.is_none() {
            self.errors.push(FieldError::new(
                "/network",
                "network must be mainnet, testnet4, signet or regtest.",
            ));
        }
        known
    }

    /// The rules use the built-in list of pools; here the user's own list applies as well.
    fn hold_against_own_list(&self, config: &ClientConfig, found: &mut ConfigFindings) {
        for (at, upstream) in config.upstreams.iter().enumerate() {
            let [ours, own] = [built_in(), &self.pools].map(|list| {
                list.of_upstream(upstream)
                    .and_then(KnownPool::missing_declaration)
            });
            if ours == own {
                continue;
            }
            let pointer = format!("/upstreams/{at}/jds_address");
            found
                .warnings
                .retain(|one| one.pointer != pointer || Some(&one.detail) != ours.as_ref());
            if let Some(own) = own {
                found.warn(pointer, own);
            }
        }
    }

    /// Checks everything.
    pub fn judge(&self) -> SetupValidation {
        let mut sent = self.config.clone();
        // The configuration keeps the network of the template provider, so that later checks
        // compare the payout with it.
        if let Some(provider) = sent["template_provider_type"]
            .get_mut("Sv2Tp")
            .and_then(Value::as_object_mut)
            && let Some(network) = self.network
        {
            provider.entry("network").or_insert(network.as_str().into());
        }
        let (config, mut found) = match read(&sent, None) {
            Ok(ParsedConfig {
                config,
                warnings,
                hints,
            }) => (
                Some(config),
                ConfigFindings {
                    errors: Vec::new(),
                    warnings,
                    hints,
                },
            ),
            Err(found) => (None, found),
        };
        if let Some(config) = &config {
            self.hold_against_own_list(config, &mut found);
        }
        if let Err(detail) = check_name(&self.name) {
            found.error("/name", detail);
        }
        // An unknown pool id is one error, not one error per missing field.
        let unnamed = |error: &FieldError| {
            let row = error.pointer.rsplit_once('/').map_or("", |(row, _)| row);
            !self
                .errors
                .iter()
                .any(|own| own.pointer == format!("{row}/known") || own.pointer == error.pointer)
        };
        found.errors.retain(unnamed);
        found.errors.extend(self.errors.iter().cloned());
        let (doubted, warnings) = found
            .warnings
            .into_iter()
            .partition(|one| is_never_meant(&one.pointer));
        found.warnings = warnings;
        found.errors.extend::<Vec<FieldError>>(doubted);
        // A message quotes the value, which may be a secret key in the wrong field.
        for one in found
            .errors
            .iter_mut()
            .chain(&mut found.warnings)
            .chain(&mut found.hints)
        {
            one.pointer = without_secret_keys(&one.pointer);
            one.detail = without_secret_keys(&one.detail);
        }
        SetupValidation {
            config: config.filter(|_| found.errors.is_empty()),
            found,
        }
    }
}

/// Warnings that are errors in setup: example values, unusable pools and payouts for another
/// network.
fn is_never_meant(pointer: &str) -> bool {
    pointer.starts_with("/upstreams/")
        || [
            "/coinbase_reward_script",
            "/template_provider_type/Sv2Tp/address",
        ]
        .contains(&pointer)
}

/// The prefix of the fields of the port for Stratum V1 miners.
pub const STRATUM_V1: &str = "stratum_v1";

/// The listeners: prefix of the port field, and IP address.
pub fn listeners(answers: &SetupAnswers) -> Vec<(&'static str, Ipv4Addr)> {
    let reach = if answers.get("reach") == "local" {
        Ipv4Addr::LOCALHOST
    } else {
        Ipv4Addr::UNSPECIFIED
    };
    let mut listeners = vec![("listening", reach), ("monitoring", Ipv4Addr::LOCALHOST)];
    if answers.has_v1_miners() {
        listeners.push((STRATUM_V1, reach));
    }
    listeners
}

/// The pointer of a listener in the configuration. `field`: the prefix of its port field.
fn address_pointer(field: &str) -> String {
    if field == STRATUM_V1 {
        "/translator/listening_address".into()
    } else {
        format!("/{field}_address")
    }
}

/// The hashrate of the weakest miner of a class, H/s. Bitaxe if none was selected: a lower hashrate
/// only sets a lower difficulty at the start.
fn miner_hashrate(class: &str) -> f64 {
    match class {
        "asic" => TranslatorSettings::ASIC_HASHRATE,
        _ => TranslatorSettings::BITAXE_HASHRATE,
    }
}

/// The findings with pointers into the request body.
pub fn seen_from_the_body(found: Vec<FieldError>) -> Vec<FieldError> {
    let outer = |one: FieldError| {
        let path = one.pointer.trim_start_matches('/');
        let (key, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        let member = MEMBERS
            .iter()
            .find(|(_, known)| *known == key)
            .map_or(key, |(member, _)| member);
        FieldError::new(
            if path.is_empty() {
                String::new()
            } else {
                format!("/{member}{rest}")
            },
            one.detail,
        )
    };
    found.into_iter().map(outer).collect()
}

/// The setup field that a pointer into the configuration belongs to.
pub fn field_of(pointer: &str) -> String {
    match pointer {
        "/listening_address" => "listening_port".into(),
        "/monitoring_address" => "monitoring_port".into(),
        "/translator/listening_address" => "stratum_v1_port".into(),
        _ => form_name(pointer),
    }
}

#[cfg(test)]
mod tests;
