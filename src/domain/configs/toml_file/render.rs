//! Writes the file for one client version.

use crate::base::error::FieldError;
use crate::domain::configs::model::{ClientConfig, MASK, MiningMode, TemplateProvider};
use crate::programs::jd_client::config_fields::{ConfigField, FIELDS, KeyPresence, SECRET_FIELD};
use crate::programs::jd_client::version::ClientVersion;
use toml::{Table, Value};

/// The file for client `version`, including the secret; or the reasons by field why that version
/// cannot run the configuration.
pub fn render(config: &ClientConfig, version: &ClientVersion) -> Result<String, Vec<FieldError>> {
    render_with(config, *version, config.authority_secret_key.reveal())
}

/// The same file with [`MASK`] instead of the secret, for display.
pub fn render_masked(
    config: &ClientConfig,
    version: &ClientVersion,
) -> Result<String, Vec<FieldError>> {
    render_with(config, *version, MASK)
}

fn render_with(
    config: &ClientConfig,
    version: ClientVersion,
    secret: &str,
) -> Result<String, Vec<FieldError>> {
    let lacking = lacking(config, &version);
    if !lacking.is_empty() {
        return Err(lacking);
    }
    let table = document(config, Some(version), secret);
    Ok(toml::to_string(&table).expect("the table holds strings, numbers, lists and tables only"))
}

/// All settings, for any version.
pub fn complete(config: &ClientConfig, secret: &str) -> Table {
    document(config, None, secret)
}

/// Features that the configuration needs and client `version` does not have. Such a client would
/// not start, or would behave differently.
pub fn lacking(config: &ClientConfig, version: &ClientVersion) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if config.mode == MiningMode::SoloMining && !version.mines_solo() {
        errors.push(FieldError::new(
            "/mode",
            format!("Client {version} does not support solo mining and would use FULLTEMPLATE. Use client 0.1.3 or newer."),
        ));
    }
    if let TemplateProvider::BitcoinCoreIpc { version: core, .. } = &config.template_provider_type
        && !version.core_ipc_versions().contains(core)
    {
        let known: Vec<String> = version
            .core_ipc_versions()
            .iter()
            .map(u8::to_string)
            .collect();
        errors.push(FieldError::new(
            "/template_provider_type/BitcoinCoreIpc/version",
            format!(
                "Client {version} supports only Bitcoin Core {}, not {core}. Use client 0.4.0 or newer.",
                known.join(" and ")
            ),
        ));
    }
    if config.mode.needs_pool()
        && !version.reads("upstreams[].user_identity")
        && config.common_user_identity().is_none()
    {
        let other = config
            .upstreams
            .iter()
            .position(|pool| pool.user_identity != config.upstreams[0].user_identity)
            .unwrap_or(0);
        errors.push(FieldError::new(
            format!("/upstreams/{other}/user_identity"),
            format!(
                "Client {version} uses one account for all pools, but the accounts differ. Use client 0.3.0 or newer, or set a \
                 default account."
            ),
        ));
    }
    errors
}

/// Settings that have no effect on client `version`, because it does not know the key.
pub fn left_out(config: &ClientConfig, version: &ClientVersion) -> Vec<FieldError> {
    let set = config.masked();
    let is_unknown =
        |key: &&str| set.get(key).is_some() && version.presence(key) == KeyPresence::Absent;
    FIELDS
        .iter()
        // Sections that no client has in its file are not missing there.
        .filter(|field| field.is_in_files())
        .map(|field| field.key)
        .filter(is_unknown)
        .map(|key| {
            FieldError::new(
                format!("/{key}"),
                format!(
                    "Client {version} does not support {key}, so its configuration file does not contain it."
                ),
            )
        })
        .collect()
}

/// The document for a version, or all settings for none. The fields have the order of the file:
/// TOML needs top-level keys before any table, or they become part of the table.
fn document(config: &ClientConfig, version: Option<ClientVersion>, secret: &str) -> Table {
    let mut told = config.clone();
    if version.is_some() {
        // Versions that read it require it, even for solo mining, which does not use it.
        let identity = config.common_user_identity().unwrap_or_default();
        told.user_identity = Some(identity.to_owned());
        // The key is also required for solo mining, and the list must be empty to have the same
        // meaning in every version.
        if !config.mode.needs_pool() {
            told.upstreams.clear();
        }
    }
    // TOML has no larger numbers. The rules reject them, but a database row may contain one.
    if let TemplateProvider::BitcoinCoreIpc { fee_threshold, .. } = &mut told.template_provider_type
    {
        *fee_threshold = (*fee_threshold).min(i64::MAX.unsigned_abs());
    }
    let mut top = Table::try_from(&told)
        .expect("every field has a TOML form: keys are strings and numbers are within its range");
    top.insert(SECRET_FIELD.into(), secret.into());
    keep_known(&mut top, "", version);
    top
}

/// Removes keys that `version` does not read or, for none, keys that no client reads. `path` is the
/// prefix of the table's keys in the list of fields, with the separator.
fn keep_known(table: &mut Table, path: &str, version: Option<ClientVersion>) {
    table.retain(|key, value| {
        let key = format!("{path}{key}");
        match value {
            Value::Table(inner) => keep_known(inner, &format!("{key}."), version),
            Value::Array(list) => list
                .iter_mut()
                .filter_map(Value::as_table_mut)
                .for_each(|inner| keep_known(inner, &format!("{key}[]."), version)),
            _ => {}
        }
        match version {
            Some(version) => version.reads(&key),
            None => ConfigField::of_key(&key).is_some_and(ConfigField::is_in_files),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::toml_file::import;
    use crate::domain::configs::{ConfigUpstream, samples};
    use proptest::prelude::*;
    use strum::IntoEnumIterator;

    #[test]
    fn a_stored_number_that_toml_cannot_hold_is_the_largest_it_can() {
        let mut config = samples::all()
            .into_iter()
            .find(|one| {
                matches!(
                    one.template_provider_type,
                    TemplateProvider::BitcoinCoreIpc { .. }
                )
            })
            .unwrap();
        if let TemplateProvider::BitcoinCoreIpc { fee_threshold, .. } =
            &mut config.template_provider_type
        {
            *fee_threshold = u64::MAX;
        }
        let file = render(&config, &ClientVersion::NEWEST_KNOWN).unwrap();
        assert!(
            file.contains("fee_threshold = 9223372036854775807"),
            "{file}"
        );
    }

    fn v(text: &str) -> ClientVersion {
        text.parse().unwrap()
    }

    fn parsed(config: &ClientConfig, version: &str) -> Table {
        render(config, &v(version)).unwrap().parse().unwrap()
    }

    #[test]
    fn the_file_of_the_newest_client_looks_like_this() {
        let expected = format!(
            r#"listening_address = "0.0.0.0:34265"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "{public}"
authority_secret_key = "********"
cert_validity_sec = 3600
shares_per_minute = 6.0
share_batch_size = 10
mode = "COINBASEONLY"
jdc_signature = "rig in the attic"
coinbase_reward_script = "{reward}"
supported_extensions = [2]
required_extensions = [1, 65535]
monitoring_address = "127.0.0.1:9091"
monitoring_cache_refresh_secs = 15
reserved_downstream_rollable_extranonce_size = 8
max_past_jobs = 3

[[upstreams]]
authority_pubkey = "{pool}"
pool_address = "pool.attic.localhost"
pool_port = 3333
jds_address = "10.20.30.7"
jds_port = 3334
user_identity = "alice.attic"

[[upstreams]]
authority_pubkey = "{pool}"
pool_address = "fd12::7"
pool_port = 1
jds_address = "10.20.30.7"
jds_port = 65535
user_identity = "alice.attic"

[miner_telemetry]
cidrs = ["192.168.1.0/24"]

[template_provider_type.BitcoinCoreIpc]
version = 31
network = "mainnet"
data_dir = "/srv/bitcoin"
fee_threshold = 100
min_interval = 5
"#,
            public = samples::PUBLIC,
            reward = samples::REWARD,
            pool = samples::POOL_KEY,
        );
        assert_eq!(
            render_masked(&samples::with_everything(), &ClientVersion::NEWEST_KNOWN).unwrap(),
            expected
        );
        let real = render(&samples::with_everything(), &ClientVersion::NEWEST_KNOWN).unwrap();
        assert_eq!(real, expected.replace(MASK, samples::SECRET));
    }

    #[test]
    fn solo_mining_has_an_empty_list_of_pools_whatever_is_kept() {
        let kept = ClientConfig {
            upstreams: samples::pool().upstreams,
            ..samples::solo()
        };
        for config in [samples::solo(), kept] {
            let text = render(&config, &v("0.6.0")).unwrap();
            assert!(text.contains("\nupstreams = []\n"), "{text}");
            assert!(!text.contains("[[upstreams]]"));
        }
    }

    #[test]
    fn each_version_gets_the_account_where_it_looks_for_it() {
        let config = samples::pool();
        for (version, top, pool) in [
            ("0.1.0", true, false),
            ("0.2.0", true, false),
            ("0.3.0", false, true),
            ("0.6.0", false, true),
        ] {
            let file = parsed(&config, version);
            assert_eq!(file.get("user_identity").is_some(), top, "{version}");
            assert_eq!(
                file["upstreams"][0].get("user_identity").is_some(),
                pool,
                "{version}"
            );
        }
        assert_eq!(
            parsed(&config, "0.2.0")["user_identity"].as_str(),
            Some("alice.attic")
        );
        assert_eq!(
            parsed(&samples::solo(), "0.2.0")["user_identity"].as_str(),
            Some("")
        );
    }

    #[test]
    fn keys_a_version_does_not_know_are_left_out_and_named() {
        let config = samples::with_everything();
        let file = parsed(&config, "0.4.0");
        assert!(file.get("max_past_jobs").is_none() && file.get("miner_telemetry").is_none());
        assert!(
            file.get("reserved_downstream_rollable_extranonce_size")
                .is_some()
        );
        let left: Vec<String> = left_out(&config, &v("0.4.0"))
            .into_iter()
            .map(|one| one.pointer)
            .collect();
        assert_eq!(left, ["/miner_telemetry", "/max_past_jobs"]);
        assert!(left_out(&config, &v("0.6.0")).is_empty());
        assert!(left_out(&samples::with_translator(), &v("0.6.0")).is_empty());
        assert!(
            parsed(&config, "0.3.0")["template_provider_type"]["BitcoinCoreIpc"]
                .get("version")
                .is_none()
        );
    }

    #[test]
    fn no_field_of_a_configuration_is_missing_in_the_list() {
        for config in samples::all() {
            let all = Table::try_from(&config).unwrap();
            let mut known = all.clone();
            keep_known(&mut known, "", None);
            assert_eq!(known, all);
        }
    }

    #[test]
    fn every_required_key_of_every_version_is_written() {
        for config in samples::all() {
            for version in ClientVersion::KNOWN
                .into_iter()
                .filter(|version| lacking(&config, version).is_empty())
            {
                let file = Value::Table(parsed(&config, &version.to_string()));
                for row in FIELDS
                    .iter()
                    .filter(|row| version.presence(row.key) == KeyPresence::Required)
                {
                    let present = match row.key.rsplit_once("[].") {
                        Some((list, key)) => file[list]
                            .as_array()
                            .unwrap()
                            .iter()
                            .all(|pool| pool.get(key).is_some()),
                        None => match row.key.split('.').collect::<Vec<_>>()[..] {
                            [top] => file.get(top).is_some(),
                            [top, kind, key] => file[top]
                                .get(kind)
                                .is_none_or(|table| table.get(key).is_some()),
                            _ => panic!("{}", row.key),
                        },
                    };
                    assert!(present, "{version} {}", row.key);
                }
            }
        }
    }

    #[test]
    fn what_a_version_cannot_do_is_refused_with_the_field_and_the_way_out() {
        let refused = |config: &ClientConfig, version: &str| -> Vec<String> {
            render(config, &v(version)).map_or_else(
                |errors| errors.into_iter().map(|one| one.pointer).collect(),
                |_| vec![],
            )
        };
        assert_eq!(refused(&samples::solo(), "0.1.2"), ["/mode"]);
        assert_eq!(refused(&samples::solo(), "0.1.3"), [""; 0]);
        let core = "/template_provider_type/BitcoinCoreIpc/version";
        assert_eq!(refused(&samples::with_everything(), "0.1.5"), [core]);
        assert_eq!(refused(&samples::with_everything(), "0.2.0"), [""; 0]);
        let mut two = samples::pool();
        two.upstreams.push(ConfigUpstream {
            user_identity: "bob".into(),
            ..two.upstreams[0].clone()
        });
        assert_eq!(refused(&two, "0.2.0"), ["/upstreams/1/user_identity"]);
        assert_eq!(refused(&two, "0.3.0"), [""; 0]);
        two.user_identity = Some("carol".into());
        assert_eq!(
            parsed(&two, "0.2.0")["user_identity"].as_str(),
            Some("carol")
        );
    }

    /// The configuration as it is after its file for a client of `version` has been read again.
    fn as_told(config: &ClientConfig, version: ClientVersion) -> ClientConfig {
        let mut told = config.clone();
        for key in left_out(config, &version) {
            match key.pointer.as_str() {
                "/miner_telemetry" => told.miner_telemetry = None,
                "/max_past_jobs" => told.max_past_jobs = None,
                "/reserved_downstream_rollable_extranonce_size" => {
                    told.reserved_downstream_rollable_extranonce_size = None
                }
                other => panic!("{other}"),
            }
        }
        told
    }

    #[test]
    fn what_is_written_for_any_version_reads_back_the_same() {
        for config in samples::all() {
            for mode in MiningMode::iter() {
                let mut config = ClientConfig {
                    mode,
                    ..config.clone()
                };
                match mode {
                    MiningMode::SoloMining => config.upstreams.clear(),
                    _ => config.upstreams.extend(samples::pool().upstreams),
                }
                for version in ClientVersion::KNOWN {
                    // Files before 0.4.0 do not say which Bitcoin Core they are for; import then
                    // goes by their other keys.
                    if let TemplateProvider::BitcoinCoreIpc { version: core, .. } =
                        &mut config.template_provider_type
                    {
                        *core = version.core_ipc_versions().last().copied().unwrap();
                    }
                    let Ok(text) = render(&config, &version) else {
                        assert!(mode == MiningMode::SoloMining && !version.mines_solo());
                        continue;
                    };
                    let read = import(&text)
                        .unwrap_or_else(|errors| panic!("{version} {errors:?}\n{text}"));
                    assert_eq!(read.config, as_told(&config, version), "{version}\n{text}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_inside_its_quotes(
            signature in "[^\\p{Cc}]{0,40}|[\"'\\\\\\[\\]#={} ]{0,40}|\\PC{0,40}",
            identity in any::<String>(),
            version in prop::sample::select(ClientVersion::KNOWN.to_vec()),
        ) {
            let mut config = samples::pool();
            config.jdc_signature = signature.clone();
            config.upstreams[0].user_identity = identity.clone();
            let file: Table = render(&config, &version).unwrap().parse().unwrap();
            let harmless: Table = render(&samples::pool(), &version).unwrap().parse().unwrap();
            prop_assert_eq!(file["jdc_signature"].as_str(), Some(signature.as_str()));
            let pool = if version.reads("user_identity") { &file } else { file["upstreams"][0].as_table().unwrap() };
            prop_assert_eq!(pool["user_identity"].as_str(), Some(identity.as_str()));
            prop_assert_eq!(file.keys().collect::<Vec<_>>(), harmless.keys().collect::<Vec<_>>());
        }
    }
}
