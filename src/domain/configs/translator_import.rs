//! A translator's configuration file as the section `translator` of a saved configuration. jd-manager
//! derives everything else in such a file from the client's settings, so each of these values is
//! listed with the reason.
//!
//! `programs/translator` reads the file, which is not trusted.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use super::config_view::ConfigChangeResult;
use super::draft::{ConfigDraft, without_keys};
use super::import_source::at_place;
use super::model::{ClientConfig, MinerTelemetry, TranslatorSettings};
use super::service::ConfigService;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::ConfigId;
use crate::programs::translator::config::{self, TranslatorConfig, TranslatorFileNote};

/// The keys that are imported, and the setting that each becomes.
const IMPORTED: [(&str, &str); 5] = [
    ("downstream_port", "listening_address"),
    (
        "downstream_difficulty_config.min_individual_miner_hashrate",
        "min_miner_hashrate",
    ),
    (
        "downstream_difficulty_config.shares_per_minute",
        "shares_per_minute",
    ),
    ("aggregate_channels", "aggregate_channels"),
    ("miner_telemetry.cidrs", "miner_telemetry"),
];

/// The keys that are not imported, and the reason.
const DERIVED: [(&str, &str); 12] = [
    (
        "user_identity",
        "The translator uses the account of the first pool, or “solo” if there is no pool.",
    ),
    (
        "upstreams[0].address",
        "The translator connects to this configuration's client.",
    ),
    (
        "upstreams[0].port",
        "The translator connects to this configuration's client.",
    ),
    (
        "upstreams[0].authority_pubkey",
        "The translator uses the public key of this configuration.",
    ),
    (
        "upstreams[0].user_identity",
        "The translator uses the account of the first pool, or “solo” if there is no pool.",
    ),
    (
        "downstream_extranonce2_size",
        "jd-manager always uses 4 bytes, which every miner supports.",
    ),
    (
        "supported_extensions",
        "The translator uses the same extensions as the client.",
    ),
    (
        "required_extensions",
        "The translator requires no extensions, because it has only one client.",
    ),
    (
        "monitoring_address",
        "jd-manager chooses a free port on this machine.",
    ),
    (
        "monitoring_cache_refresh_secs",
        "jd-manager always uses 5 seconds.",
    ),
    (
        "downstream_difficulty_config.enable_vardiff",
        "jd-manager always adjusts the difficulty to each miner.",
    ),
    (
        "downstream_difficulty_config.job_keepalive_interval_secs",
        "jd-manager always uses 60 seconds.",
    ),
];

/// A translator's file that can be added to a configuration.
#[derive(Debug)]
pub struct TranslatorFile {
    /// The settings.
    pub settings: TranslatorSettings,
    /// The values that are not imported, with key, line and reason, in the order of the file.
    pub not_imported: Vec<FieldError>,
    /// The lines of the keys.
    lines: BTreeMap<String, usize>,
}

/// The result of adding a translator's file to a saved configuration.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "TranslatorFileAdded")]
pub struct TranslatorImportResult {
    /// The change to the configuration.
    #[serde(flatten)]
    change: ConfigChangeResult,
    /// The values of the file that are not imported, with their lines and the reasons. The pointers
    /// are keys of the file.
    not_imported: Vec<FieldError>,
}

impl TranslatorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// One entry per problem, with key and line.
    pub fn read(text: &str) -> Result<Self, Vec<FieldError>> {
        let remark = |note: TranslatorFileNote| at_key(&note.key, note.line, &note.detail);
        let import = config::read(text)
            .map_err(|notes| without_keys(notes.into_iter().map(remark).collect()))?;
        let (config, lines) = (import.config, import.lines);
        let line = |key: &str| lines.get(key).copied();
        let imported = |key: &str| IMPORTED.iter().any(|(imported, _)| *imported == key);
        // Values that are not imported may be wrong.
        let faults = config.faults(u8::MAX).into_iter();
        let errors: Vec<FieldError> = faults
            .filter(|fault| imported(fault.key))
            .map(|fault| at_key(fault.key, line(fault.key), &fault.detail))
            .collect();
        if !errors.is_empty() {
            return Err(without_keys(errors));
        }
        let derived = DERIVED.iter().filter_map(|(key, reason)| {
            let line = line(key).filter(|_| !is_same(key, &config))?;
            Some((Some(line), at_key(key, Some(line), reason)))
        });
        let ignored = import
            .notes
            .into_iter()
            .map(|note| (note.line, remark(note)));
        let mut not_imported: Vec<(Option<usize>, FieldError)> = derived.chain(ignored).collect();
        not_imported.sort_by_key(|(line, _)| *line);
        let cidrs = config.telemetry_networks;
        Ok(Self {
            settings: TranslatorSettings {
                enabled: true,
                listening_address: config.listening,
                min_miner_hashrate: config.min_hashrate,
                shares_per_minute: config.shares_per_minute,
                aggregate_channels: config.aggregate,
                miner_telemetry: (!cidrs.is_empty()).then_some(MinerTelemetry { cidrs }),
            },
            not_imported: without_keys(not_imported.into_iter().map(|(_, one)| one).collect()),
            lines,
        })
    }

    /// The errors of a configuration with these settings; those of the settings name the key and the
    /// line of the file.
    fn located(&self, error: Error) -> Error {
        let Error::Invalid(errors) = error else {
            return error;
        };
        let located = errors.into_iter().map(|error| {
            let setting = error.pointer.strip_prefix("/config/translator/");
            let key = setting.and_then(|setting| {
                IMPORTED
                    .iter()
                    .find(|(_, name)| setting.split('/').next() == Some(*name))
            });
            match key {
                Some((key, _)) => at_key(key, self.lines.get(*key).copied(), &error.detail),
                None => error,
            }
        });
        Error::Invalid(located.collect())
    }
}

/// Whether jd-manager uses the same value anyway.
fn is_same(key: &str, config: &TranslatorConfig) -> bool {
    let usual = TranslatorConfig::beside_client(String::new(), 0, String::new(), String::new());
    match key {
        "downstream_extranonce2_size" => config.extranonce2_size == usual.extranonce2_size,
        "supported_extensions" => config.supported_extensions == usual.supported_extensions,
        "required_extensions" => config.required_extensions == usual.required_extensions,
        "monitoring_cache_refresh_secs" => {
            config.monitoring_refresh_secs == usual.monitoring_refresh_secs
        }
        "downstream_difficulty_config.enable_vardiff" => config.vardiff == usual.vardiff,
        "downstream_difficulty_config.job_keepalive_interval_secs" => {
            config.job_keepalive_secs == usual.job_keepalive_secs
        }
        _ => false,
    }
}

fn at_key(key: &str, line: Option<usize>, detail: &str) -> FieldError {
    at_place(key, key, line, detail)
}

impl ConfigService {
    /// Adds the settings of a translator's file to a saved configuration, as a new revision. They
    /// replace existing ones.
    ///
    /// # Errors
    /// No configuration has this id; names every problem of the file with key and line, and every
    /// error of the configuration.
    pub async fn add_translator(&self, id: ConfigId, toml: &str) -> Result<TranslatorImportResult> {
        let file = TranslatorFile::read(toml).map_err(Error::Invalid)?;
        let desk = self.desk();
        self.db
            .write(move |c| {
                let saved = desk.load(c, id)?;
                let config = ClientConfig {
                    translator: Some(file.settings.clone()),
                    ..saved.config.clone()
                };
                let draft = ConfigDraft::of_config(saved.description.clone(), &config);
                let checked = draft
                    .check(Some(&saved))
                    .map_err(|error| file.located(error))?;
                Ok(TranslatorImportResult {
                    change: desk.save(c, saved, checked)?,
                    not_imported: file.not_imported,
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;
    use std::net::SocketAddr;

    /// A file as translator 0.6.0 comes with, with other values than jd-manager uses.
    const FILE: &str = include_str!("../../../tests/data/translator/beside_jdc.toml");

    fn rendered() -> String {
        let mut config = samples::with_translator();
        let settings = config.translator.as_mut().unwrap();
        settings.listening_address = SocketAddr::from(([192, 168, 7, 1], 34256));
        settings.miner_telemetry = Some(MinerTelemetry {
            cidrs: vec!["192.168.7.0/24".into()],
        });
        let monitoring = super::super::monitoring_near(settings);
        super::super::render_translator(&config, monitoring)
            .unwrap()
            .unwrap()
    }

    fn details(list: &[FieldError]) -> Vec<&str> {
        list.iter().map(|one| one.detail.as_str()).collect()
    }

    #[test]
    fn a_file_of_our_own_gives_the_same_section() {
        let file = TranslatorFile::read(&rendered()).unwrap();
        assert_eq!(
            file.settings.listening_address.to_string(),
            "192.168.7.1:34256"
        );
        assert!(file.settings.enabled && file.settings.aggregate_channels);
        assert_eq!(
            file.settings.miner_telemetry.unwrap().cidrs,
            ["192.168.7.0/24"]
        );
        let pointers: Vec<&str> = file
            .not_imported
            .iter()
            .map(|one| one.pointer.as_str())
            .collect();
        assert!(pointers.contains(&"/upstreams/0/port"), "{pointers:?}");
        // The values are the same as those that jd-manager uses.
        for same in [
            "/downstream_extranonce2_size",
            "/monitoring_cache_refresh_secs",
            "/required_extensions",
        ] {
            assert!(!pointers.contains(&same), "{pointers:?}");
        }
    }

    #[test]
    fn each_value_that_is_not_imported_has_its_line_and_a_reason() {
        let file = TranslatorFile::read(FILE).unwrap();
        let lines: Vec<usize> = details(&file.not_imported)
            .iter()
            .map(|detail| {
                let line = detail.strip_prefix("Line ").unwrap();
                line.split(',').next().unwrap().parse().unwrap()
            })
            .collect();
        assert!(lines.is_sorted(), "{lines:?}");
        let all = details(&file.not_imported).join("\n");
        for part in [
            "upstreams[0].address: The translator connects to this configuration's client",
            "upstreams[0].authority_pubkey: The translator uses the public key",
            "monitoring_cache_refresh_secs: jd-manager always uses 5 seconds.",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert_eq!(file.settings.min_miner_hashrate, 50_000.0);
    }

    #[test]
    fn values_that_would_crash_the_translator_are_errors_with_their_line() {
        let text = rendered();
        for (from, to, key) in [
            (
                "shares_per_minute = 6.0",
                "shares_per_minute = nan",
                "shares_per_minute",
            ),
            (
                "shares_per_minute = 6.0",
                "shares_per_minute = -inf",
                "shares_per_minute",
            ),
            (
                "min_individual_miner_hashrate = 500000000000.0",
                "min_individual_miner_hashrate = -1",
                "min_individual_miner_hashrate",
            ),
            (
                "downstream_port = 34256",
                "downstream_port = 0",
                "downstream_port",
            ),
            (
                "downstream_port = 34256",
                "downstream_port = \"<b>1</b>\"",
                "downstream_port",
            ),
            ("192.168.7.0/24", "8.0.0.0/8", "miner_telemetry.cidrs"),
        ] {
            assert!(text.contains(from), "{from}: {text}");
            let errors = TranslatorFile::read(&text.replace(from, to)).unwrap_err();
            assert_eq!(errors.len(), 1, "{to}: {errors:?}");
            assert!(
                errors[0].detail.starts_with("Line ") && errors[0].detail.contains(key),
                "{to}: {errors:?}"
            );
        }
        // A wrong value of a key that is not imported does not matter.
        let other = text.replace(
            "downstream_extranonce2_size = 4",
            "downstream_extranonce2_size = 99",
        );
        assert_ne!(other, text);
        assert!(TranslatorFile::read(&other).is_ok());
        let huge = format!("#{}\n{text}", "x".repeat(300 * 1024));
        assert!(
            TranslatorFile::read(&huge).unwrap_err()[0]
                .detail
                .contains("at most 256 KiB")
        );
    }

    #[test]
    fn errors_of_the_section_name_the_key_of_the_file() {
        let file = TranslatorFile::read(&rendered()).unwrap();
        let line = file.lines["downstream_port"];
        let errors = Error::Invalid(vec![
            FieldError::new("/config/translator/listening_address", "Taken."),
            FieldError::new("/config/mode", "Missing."),
        ]);
        let Error::Invalid(located) = file.located(errors) else {
            panic!("another error")
        };
        assert_eq!(
            located,
            [
                FieldError::new(
                    "/downstream_port",
                    format!("Line {line}, downstream_port: Taken.")
                ),
                FieldError::new("/config/mode", "Missing."),
            ]
        );
    }
}
