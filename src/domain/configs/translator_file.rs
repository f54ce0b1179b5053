//! The configuration file of the translator that runs next to a client. All shared settings come
//! from the client's configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::model::{ClientConfig, TranslatorSettings};
use crate::base::error::FieldError;
use crate::programs::translator::config::{TranslatorConfig, TranslatorConfigFault};

/// Extranonce bytes that a client reserves for miners by default.
const USUAL_RESERVED_EXTRANONCE: u8 = 8;
/// The extension that reports worker names to the pool.
const WORKER_NAMES: u16 = 2;
/// The name of the translator's channels in solo mining, which has no account.
const SOLO_IDENTITY: &str = "solo";
/// The difference between the port for Stratum V1 miners and the proposed monitoring port.
const MONITORING_DISTANCE: u16 = 20_000;

/// The program that a configuration file is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum ConfigFileProgram {
    /// `jd_client_sv2`.
    #[default]
    Client,
    /// `translator_sv2`.
    Translator,
}

/// The translator's file for all versions since 0.2.0; none if the configuration has no port for
/// Stratum V1 miners. `monitoring`: the translator's monitoring address.
///
/// # Errors
/// The problems that prevent the translator from running, by configuration field. A saved
/// configuration has none, unless an older version of jd-manager saved it.
pub fn render_translator(
    config: &ClientConfig,
    monitoring: SocketAddr,
) -> Option<Result<String, Vec<FieldError>>> {
    let settings = config.enabled_translator()?;
    let file = translator_config(config, settings, monitoring);
    let rendered = file.to_toml(reserved_extranonce(config));
    Some(rendered.map_err(|faults| faults.into_iter().map(field_error).collect()))
}

/// The problems of the translator's file that the configuration causes, other than invalid single
/// values.
pub(super) fn translator_faults(config: &ClientConfig) -> Vec<FieldError> {
    let Some(settings) = config.enabled_translator() else {
        return Vec::new();
    };
    let file = translator_config(config, settings, monitoring_near(settings));
    let faults = file.faults(reserved_extranonce(config));
    faults.into_iter().map(field_error).collect()
}

/// The default monitoring address of the translator with these settings. Translators have different
/// ports for miners, so this port differs, too.
pub fn monitoring_near(settings: &TranslatorSettings) -> SocketAddr {
    let port = settings.listening_address.port();
    let near = match port.checked_sub(MONITORING_DISTANCE) {
        Some(lower) if lower >= 1024 => lower,
        _ => port.saturating_add(MONITORING_DISTANCE),
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, near))
}

/// The address that a program on this machine uses to reach the client.
pub fn client_address(config: &ClientConfig) -> SocketAddr {
    let mut address = config.listening_address;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn translator_config(
    config: &ClientConfig,
    settings: &TranslatorSettings,
    monitoring: SocketAddr,
) -> TranslatorConfig {
    let client = client_address(config);
    let account = config
        .upstreams
        .first()
        .filter(|_| config.mode.needs_pool())
        .map(|pool| pool.user_identity.as_str());
    let telemetry = settings.miner_telemetry.as_ref();
    TranslatorConfig {
        listening: settings.listening_address,
        monitoring: Some(monitoring),
        min_hashrate: settings.min_miner_hashrate,
        shares_per_minute: settings.shares_per_minute,
        aggregate: settings.aggregate_channels,
        // The client rejects extensions that it does not support.
        supported_extensions: config
            .supported_extensions
            .iter()
            .copied()
            .filter(|extension| *extension == WORKER_NAMES)
            .collect(),
        telemetry_networks: telemetry
            .map(|telemetry| telemetry.cidrs.clone())
            .unwrap_or_default(),
        ..TranslatorConfig::beside_client(
            client.ip().to_string(),
            client.port(),
            config.authority_public_key.clone(),
            account.unwrap_or(SOLO_IDENTITY).to_owned(),
        )
    }
}

fn reserved_extranonce(config: &ClientConfig) -> u8 {
    config
        .reserved_downstream_rollable_extranonce_size
        .unwrap_or(USUAL_RESERVED_EXTRANONCE)
}

/// The configuration field that causes a problem in the file.
fn field_error(fault: TranslatorConfigFault) -> FieldError {
    let pointer = match fault.key {
        "downstream_extranonce2_size" => "/reserved_downstream_rollable_extranonce_size",
        "downstream_difficulty_config.min_individual_miner_hashrate" => {
            "/translator/min_miner_hashrate"
        }
        "downstream_difficulty_config.shares_per_minute" => "/translator/shares_per_minute",
        "miner_telemetry.cidrs" => "/translator/miner_telemetry/cidrs",
        "upstreams.user_identity" => "/upstreams/0/user_identity",
        "upstreams.port" | "upstreams.address" => "/listening_address",
        "upstreams.authority_pubkey" => "/authority_public_key",
        _ => "/translator/listening_address",
    };
    FieldError::new(pointer, fault.detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    fn file(config: &ClientConfig) -> toml::Table {
        let monitoring = monitoring_near(config.translator.as_ref().unwrap());
        render_translator(config, monitoring)
            .unwrap()
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn what_the_translator_shares_with_the_client_comes_from_its_configuration() {
        let mut config = samples::with_translator();
        config.supported_extensions = vec![1, 2];
        let text = file(&config);
        let upstream = &text["upstreams"][0];
        assert_eq!(upstream["address"].as_str(), Some("127.0.0.1"));
        assert_eq!(
            upstream["port"].as_integer(),
            Some(i64::from(config.listening_address.port()))
        );
        assert_eq!(upstream["authority_pubkey"].as_str(), Some(samples::PUBLIC));
        assert_eq!(upstream["user_identity"].as_str(), Some("alice.attic"));
        assert_eq!(text["supported_extensions"].as_array().unwrap().len(), 1);
        assert_eq!(text["downstream_address"].as_str(), Some("0.0.0.0"));
        assert_eq!(text["downstream_port"].as_integer(), Some(34255));
        assert_eq!(text["monitoring_address"].as_str(), Some("127.0.0.1:14255"));
        assert_eq!(
            text["miner_telemetry"]["cidrs"].as_array().unwrap().len(),
            0
        );
        assert!(!text.to_string().contains(samples::SECRET));
    }

    #[test]
    fn there_is_a_file_only_for_an_enabled_port() {
        let near = SocketAddr::from((Ipv4Addr::LOCALHOST, 14255));
        assert!(render_translator(&samples::pool(), near).is_none());
        let mut config = samples::with_translator();
        config.translator.as_mut().unwrap().enabled = false;
        assert!(render_translator(&config, near).is_none());
    }

    #[test]
    fn solo_mining_needs_no_account() {
        let config = ClientConfig {
            translator: Some(TranslatorSettings::starting()),
            ..samples::solo()
        };
        assert_eq!(
            file(&config)["upstreams"][0]["user_identity"].as_str(),
            Some("solo")
        );
    }

    #[test]
    fn the_monitoring_port_lies_beside_the_port_for_miners() {
        for (port, near) in [
            (34255, 14255),
            (20_500, 40_500),
            (1024, 21_024),
            (65_535, 45_535),
        ] {
            let settings = TranslatorSettings {
                listening_address: SocketAddr::from(([0, 0, 0, 0], port)),
                ..TranslatorSettings::starting()
            };
            assert_eq!(monitoring_near(&settings).port(), near);
        }
    }
}
