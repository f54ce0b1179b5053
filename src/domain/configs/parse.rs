//! Converts a JSON value of any origin to a [`ClientConfig`] or a list of all its errors.
//!
//! Reports one error per invalid field, with pointers relative to the configuration object. Accepts
//! the current format and those of older clients:
//! * `pool_address` and `jd_address` as `host:port`, in a pool or, with `authority_pubkey`, at the
//!   top where `upstreams` is absent; `jd_port`;
//! * one `user_identity` at the top for all pools;
//! * `template_provider_type` as a name, its table beside it as `sv2_tp` or `bitcoin_core_ipc`;
//! * `coinbase_reward_script` as the table `{output_script_type, output_script_value}`.
//!
//! Addresses can be published ones, `stratum2+tcp://host:port/key`, which also fill the fields for
//! port and key. Numbers can be text (forms, old files). Optional fields that are absent, null or
//! empty are not set. Unknown keys are warnings. This module must not depend on the origin of the
//! value: a body, a form, a file or the database.

mod evidence;
mod form;
mod pools;
mod table;
mod translator;

pub use form::{form_name, form_to_value};

use super::model::{BitcoinNetwork, ClientConfig, MinerTelemetry, MiningMode, TemplateProvider};
use super::rules::{self, ConfigFindings, MOST_LISTED, address, peer_address, reward, scalar};
use crate::base::error::FieldError;
use crate::domain::keys::{MASK, SecretKey};
use crate::programs::jd_client::version::ClientVersion;
use evidence::{KeyEvidence, key_in_address};
use pools::{CommonAccount, upstreams};
use serde_json::Value;
use table::{ObjectReader, is_blank};

/// A valid configuration with its warnings and hints.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedConfig {
    /// The configuration, with its secret.
    pub config: ClientConfig,
    /// Warnings, with pointers as in errors.
    pub warnings: Vec<FieldError>,
    /// Hints, with pointers as in errors.
    pub hints: Vec<FieldError>,
}

/// Reads a configuration.
///
/// `previous` is the configuration it replaces, if any. A secret key that is absent, empty or
/// [`MASK`] then keeps its value if the public key does not change.
pub fn read(
    value: &Value,
    previous: Option<&ClientConfig>,
) -> Result<ParsedConfig, ConfigFindings> {
    let mut found = ConfigFindings::default();
    let config = read_all(value, previous, &mut found);
    if let Some(config) = config
        && found.errors.is_empty()
    {
        rules::whole(&config, &mut found);
        let ConfigFindings {
            errors,
            warnings,
            hints,
        } = found;
        return if errors.is_empty() {
            Ok(ParsedConfig {
                config,
                warnings,
                hints,
            })
        } else {
            Err(ConfigFindings {
                errors,
                warnings,
                hints,
            })
        };
    }
    Err(found)
}

fn read_all(
    value: &Value,
    previous: Option<&ClientConfig>,
    found: &mut ConfigFindings,
) -> Option<ClientConfig> {
    let mut top = ObjectReader::root(value, found)?;
    let text = |value: &Value| scalar::text(value, scalar::LONGEST_TEXT);
    let word = |value: &Value| scalar::word(value, scalar::LONGEST_TEXT);
    let evidence = KeyEvidence::of(value, previous);

    let listening_address = top.required("listening_address", found, |v| {
        address::listening(&word(v)?)
    });
    let monitoring_address = top.optional("monitoring_address", found, |v| {
        address::listening(&word(v)?)
    });
    rules::listeners(listening_address, monitoring_address, found);

    let min_supported_version =
        top.required("min_supported_version", found, |v| number(v, 0, u16::MAX));
    let max_supported_version =
        top.required("max_supported_version", found, |v| number(v, 0, u16::MAX));
    rules::protocol_versions(min_supported_version, max_supported_version, found);

    let authority_public_key =
        top.required("authority_public_key", found, |v| evidence.public_key(v));
    let authority_secret_key =
        secret_key(&mut top, authority_public_key.as_deref(), previous, found);
    rules::authority_pair(
        authority_public_key.as_deref(),
        authority_secret_key.as_ref(),
        found,
    );

    let cert_validity_sec = top.required("cert_validity_sec", found, |v| number(v, 1, u32::MAX));
    let shares_per_minute = top.required("shares_per_minute", found, scalar::above_zero);
    let share_batch_size = top.required("share_batch_size", found, |v| number(v, 1, u32::MAX));
    let monitoring_cache_refresh_secs = top.optional("monitoring_cache_refresh_secs", found, |v| {
        number(v, 1, u32::MAX)
    });
    let reserved = top.optional("reserved_downstream_rollable_extranonce_size", found, |v| {
        number(v, 0, u8::MAX)
    });
    let max_past_jobs = top.optional("max_past_jobs", found, |v| number(v, 0, u32::MAX));

    let mode = top.required("mode", found, |v| mode(&text(v)?));
    let jdc_signature = top.present("jdc_signature", found, text);
    if let Some(signature) = &jdc_signature {
        rules::signature(signature, found);
    }

    let user_identity = top.optional("user_identity", found, identity);
    if let Some(identity) = &user_identity {
        rules::identity("/user_identity", identity, found);
    }
    let common_wrong = user_identity.is_none()
        && top
            .peek("user_identity")
            .is_some_and(|value| !is_blank(value));
    let upstreams = upstreams(
        &mut top,
        &CommonAccount {
            identity: user_identity.clone(),
            wrong: common_wrong,
        },
        &evidence,
        mode,
        found,
    );
    let template_provider_type = template_provider(&mut top, &evidence, found);
    let coinbase_reward_script = reward_script(&mut top, template_provider_type.as_ref(), found);

    let extension = |v: &Value| number(v, 0, u16::MAX);
    let supported_extensions = top.list("supported_extensions", MOST_LISTED, found, extension);
    let required_extensions = top.list("required_extensions", MOST_LISTED, found, extension);
    let miner_telemetry = miner_telemetry(&mut top, found);
    let translator = translator::translator(&mut top, found);
    rules::translator::check(
        translator.as_ref(),
        [listening_address, monitoring_address],
        found,
    );
    top.warn_of_unknown(found);

    Some(ClientConfig {
        listening_address: listening_address?,
        max_supported_version: max_supported_version?,
        min_supported_version: min_supported_version?,
        authority_public_key: authority_public_key?,
        authority_secret_key: authority_secret_key?,
        cert_validity_sec: cert_validity_sec?,
        shares_per_minute: shares_per_minute?,
        share_batch_size: share_batch_size?,
        mode: mode?,
        jdc_signature: jdc_signature?,
        coinbase_reward_script: coinbase_reward_script?,
        user_identity,
        upstreams,
        template_provider_type: template_provider_type?,
        monitoring_address,
        monitoring_cache_refresh_secs,
        supported_extensions,
        required_extensions,
        reserved_downstream_rollable_extranonce_size: reserved,
        miner_telemetry,
        max_past_jobs,
        translator,
    })
}

/// A whole number of the field's type.
fn number<T: TryFrom<u64> + Into<u64>>(value: &Value, least: T, most: T) -> Result<T, String> {
    let number = scalar::whole(value, least.into(), most.into())?;
    T::try_from(number).map_err(|_| format!("{number} is too large."))
}

fn identity(value: &Value) -> Result<String, String> {
    let name = scalar::text(value, rules::LONGEST_IDENTITY)?
        .trim()
        .to_owned();
    if name.is_empty() {
        Err("Enter your pool account. The pool needs it to pay you.".into())
    } else {
        Ok(name)
    }
}

fn mode(text: &str) -> Result<MiningMode, String> {
    text.trim().to_ascii_uppercase().parse().map_err(|_| {
        format!(
            "{} is not a mode. Use FULLTEMPLATE, COINBASEONLY or SOLOMINING.",
            scalar::shown(text)
        )
    })
}

fn secret_key(
    top: &mut ObjectReader,
    public: Option<&str>,
    previous: Option<&ClientConfig>,
    found: &mut ConfigFindings,
) -> Option<SecretKey> {
    let key = "authority_secret_key";
    let unchanged = top.peek(key).is_none_or(|value| {
        is_blank(value) || value.as_str().is_some_and(|text| text.trim() == MASK)
    });
    if let Some(previous) = previous.filter(|_| unchanged) {
        top.skip(key);
        // An invalid public key has its own error; the matching secret is not known then.
        let public = public?;
        if public == previous.authority_public_key {
            return Some(previous.authority_secret_key.clone());
        }
        found.error(
            top.at(key),
            "The public key has changed. Enter the secret key that belongs to it, or restore the previous public key.",
        );
        return None;
    }
    top.required(key, found, |value| {
        let text = value.as_str().ok_or("This must be text.")?;
        SecretKey::parse(scalar::bare(text)).map_err(|fault| fault.to_string())
    })
}

fn template_provider(
    top: &mut ObjectReader,
    evidence: &KeyEvidence,
    found: &mut ConfigFindings,
) -> Option<TemplateProvider> {
    const KEY: &str = "template_provider_type";
    const WANTED: &str = "Choose a template provider: Sv2Tp (by address) or BitcoinCoreIpc (Bitcoin Core on this machine).";
    let chosen = top.peek(KEY).filter(|value| !is_blank(value));
    if let Some(name) = chosen.and_then(Value::as_str) {
        top.skip(KEY);
        // Older clients also send the table of the other kind, which is ignored.
        top.skip("sv2_tp");
        top.skip("bitcoin_core_ipc");
        return match name.trim().to_ascii_lowercase().as_str() {
            "sv2tp" => top
                .table("sv2_tp", found)
                .and_then(|mut table| sv2_tp(&mut table, evidence, found)),
            "bitcoincoreipc" => top
                .table("bitcoin_core_ipc", found)
                .and_then(|mut table| core_ipc(&mut table, true, found)),
            _ => {
                found.error(
                    top.at(KEY),
                    format!(
                        "{} is not a template provider type. {WANTED}",
                        scalar::shown(name)
                    ),
                );
                None
            }
        };
    }
    let mut choice = top.table(KEY, found)?;
    match (
        choice.peek("Sv2Tp").is_some(),
        choice.peek("BitcoinCoreIpc").is_some(),
    ) {
        (true, false) => {
            let provider = choice
                .table("Sv2Tp", found)
                .and_then(|mut table| sv2_tp(&mut table, evidence, found));
            choice.warn_of_unknown(found);
            provider
        }
        (false, true) => {
            let provider = choice
                .table("BitcoinCoreIpc", found)
                .and_then(|mut table| core_ipc(&mut table, false, found));
            choice.warn_of_unknown(found);
            provider
        }
        (true, true) => {
            found.error(
                top.at(KEY),
                "Two template providers are configured, but the client accepts only one. Remove one.",
            );
            None
        }
        (false, false) => {
            found.error(top.at(KEY), WANTED);
            None
        }
    }
}

fn sv2_tp(
    table: &mut ObjectReader,
    evidence: &KeyEvidence,
    found: &mut ConfigFindings,
) -> Option<TemplateProvider> {
    let key = key_in_address(table.peek("address"));
    let address = table.required("address", found, |value| {
        let text = scalar::word(value, scalar::LONGEST_TEXT)?;
        let (host, port) = match peer_address::StratumAddress::parse(&text) {
            None => address::host_port(&text)?,
            Some(address) => {
                let address = address?;
                let port = address
                    .port
                    .ok_or_else(|| format!("The port is missing. Enter {}:8442.", address.host))?;
                (address.host, port)
            }
        };
        Ok(format!("{host}:{port}"))
    });
    let complaints = found.errors.len();
    let public_key = match key {
        Some(key) if table.peek("public_key").is_none_or(is_blank) => {
            table.skip("public_key");
            match evidence.public_key(&key.into()) {
                Ok(key) => Some(key),
                Err(fault) => {
                    found.error(table.at("address"), fault);
                    None
                }
            }
        }
        _ => table.optional("public_key", found, |v| evidence.public_key(v)),
    };
    let network = table.optional("network", found, chain);
    let wrong = found.errors.len() > complaints;
    table.warn_of_unknown(found);
    if wrong {
        None
    } else {
        Some(TemplateProvider::Sv2Tp {
            address: address?,
            public_key,
            network,
        })
    }
}

/// A network by its name.
fn chain(value: &Value) -> Result<BitcoinNetwork, String> {
    let text = scalar::text(value, scalar::LONGEST_TEXT)?;
    text.trim().to_ascii_lowercase().parse().map_err(|_| {
        format!(
            "{} is not a supported network. Use mainnet, testnet4, signet or regtest.",
            scalar::shown(&text)
        )
    })
}

fn core_ipc(
    table: &mut ObjectReader,
    older: bool,
    found: &mut ConfigFindings,
) -> Option<TemplateProvider> {
    let version = if older && table.peek("version").is_none_or(is_blank) {
        table.skip("version");
        found.warn(
            table.at("version"),
            "This older configuration has no Bitcoin Core version. jd-manager assumes 30; change it if your node is newer.",
        );
        ClientVersion::OLDEST.core_ipc_versions().first().copied()
    } else {
        table.required("version", found, |value| {
            let version = number(value, 0, u8::MAX)?;
            let known = ClientVersion::NEWEST_KNOWN.core_ipc_versions();
            match known.contains(&version) {
                true => Ok(version),
                false => Err(format!(
                    "The client supports Bitcoin Core 30 and 31, not {version}."
                )),
            }
        })
    };
    let network = table.required("network", found, chain);
    let folder = network
        .filter(|network| *network != BitcoinNetwork::Mainnet)
        .map_or("", BitcoinNetwork::as_str);
    let complaints = found.errors.len();
    let data_dir = table.optional("data_dir", found, |v| {
        address::data_dir(&scalar::text(v, scalar::LONGEST_TEXT)?, folder)
    });
    let wrong = found.errors.len() > complaints;
    let fee_threshold = table.required("fee_threshold", found, |v| {
        scalar::whole(v, 0, rules::ALL_SATOSHIS)
    });
    let min_interval = table.required("min_interval", found, |v| number(v, 0, u8::MAX));
    table.warn_of_unknown(found);
    if wrong {
        return None;
    }
    Some(TemplateProvider::BitcoinCoreIpc {
        version: version?,
        network: network?,
        data_dir,
        fee_threshold: fee_threshold?,
        min_interval: min_interval?,
    })
}

fn reward_script(
    top: &mut ObjectReader,
    provider: Option<&TemplateProvider>,
    found: &mut ConfigFindings,
) -> Option<String> {
    const KEY: &str = "coinbase_reward_script";
    let descriptor = if top.peek(KEY).is_some_and(Value::is_object) {
        let mut table = top.table(KEY, found)?;
        let text = |value: &Value| scalar::text(value, scalar::LONGEST_TEXT);
        let kind = table.required("output_script_type", found, text);
        let value = table.required("output_script_value", found, text);
        table.warn_of_unknown(found);
        match reward::legacy_descriptor(kind?.trim(), value?.trim()) {
            Ok(descriptor) => {
                found.warn(
                    top.at(KEY),
                    format!("jd-manager converted the older form to the equivalent descriptor: {descriptor}."),
                );
                Ok(descriptor)
            }
            Err(fault) => Err(fault),
        }
    } else {
        top.required(KEY, found, |value| {
            scalar::word(value, reward::LONGEST_DESCRIPTOR)
        })
        .map(Ok)?
    };
    match descriptor.and_then(|text| reward::reward_script(&text).map(|script| (text, script))) {
        Ok((text, script)) => {
            rules::payout(&script, provider, found);
            Some(text)
        }
        Err(fault) => {
            found.error(top.at(KEY), fault);
            None
        }
    }
}

pub(super) fn miner_telemetry(
    top: &mut ObjectReader,
    found: &mut ConfigFindings,
) -> Option<MinerTelemetry> {
    if top.peek("miner_telemetry").is_none_or(is_blank) {
        top.skip("miner_telemetry");
        return None;
    }
    let mut table = top.table("miner_telemetry", found)?;
    let cidrs = table.list("cidrs", MOST_LISTED, found, |v| {
        address::private_network(&scalar::text(v, scalar::LONGEST_TEXT)?)
    });
    table.warn_of_unknown(found);
    if cidrs.is_empty() {
        None
    } else {
        Some(MinerTelemetry { cidrs })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
