//! Writing the file for one version of the client.

use crate::base::error::FieldError;
use crate::domain::configs::model::{
    ClientConfig, ConfigUpstream, MASK, MiningMode, TemplateProvider,
};
use crate::programs::jd_client::version::ClientVersion;
use toml::{Table, Value};

/// The file for a client of `version`, with the secret in it; or why that version cannot run this
/// configuration, by field.
pub fn render(config: &ClientConfig, version: &ClientVersion) -> Result<String, Vec<FieldError>> {
    render_with(config, *version, config.authority_secret_key.reveal())
}

/// The same file with [`MASK`] in the place of the secret, for display.
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

/// Everything that is set, whatever version reads it.
pub fn complete(config: &ClientConfig, secret: &str) -> Table {
    document(config, None, secret)
}

/// What the configuration needs and a client of `version` does not have. Such a client would start
/// and do something else, or not start.
pub fn lacking(config: &ClientConfig, version: &ClientVersion) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if config.mode == MiningMode::SoloMining && !version.mines_solo() {
        errors.push(FieldError::new(
            "/mode",
            format!("Client {version} has no solo mining and would mine in FULLTEMPLATE instead. Use client 0.1.3 or newer."),
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
                "Client {version} speaks with Bitcoin Core {} only, not {core}. Use client 0.4.0 or newer.",
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
                "Client {version} knows one account for all pools, and these differ. Use client 0.3.0 or newer, or set \
                 user_identity for all of them."
            ),
        ));
    }
    errors
}

/// What is set in the configuration and has no effect on a client of `version`, because it does not
/// know the key.
pub fn left_out(config: &ClientConfig, version: &ClientVersion) -> Vec<FieldError> {
    let set = [
        (
            "reserved_downstream_rollable_extranonce_size",
            config
                .reserved_downstream_rollable_extranonce_size
                .is_some(),
        ),
        ("miner_telemetry", config.miner_telemetry.is_some()),
        ("max_past_jobs", config.max_past_jobs.is_some()),
    ];
    set.into_iter()
        .filter(|(key, set)| *set && !version.reads(key))
        .map(|(key, _)| {
            FieldError::new(
                format!("/{key}"),
                format!("Client {version} does not know {key}; it is left out of its file."),
            )
        })
        .collect()
}

/// The document for a version, or all there is for none. TOML wants the keys of the top before any
/// table, or they end up inside it; so the tables come last.
fn document(config: &ClientConfig, version: Option<ClientVersion>, secret: &str) -> Table {
    let mut top = TomlSection {
        version,
        path: String::new(),
        table: Table::new(),
    };
    top.set_entry("listening_address", config.listening_address.to_string());
    top.set_entry(
        "max_supported_version",
        i64::from(config.max_supported_version),
    );
    top.set_entry(
        "min_supported_version",
        i64::from(config.min_supported_version),
    );
    top.set_entry("authority_public_key", config.authority_public_key.as_str());
    top.set_entry("authority_secret_key", secret);
    top.set_entry("cert_validity_sec", i64::from(config.cert_validity_sec));
    top.set_entry("shares_per_minute", config.shares_per_minute);
    top.set_entry("share_batch_size", i64::from(config.share_batch_size));
    top.set_entry("mode", config.mode.as_str());
    top.set_entry("jdc_signature", config.jdc_signature.as_str());
    top.set_entry(
        "coinbase_reward_script",
        config.coinbase_reward_script.as_str(),
    );
    match version {
        // Versions that read it require it, also in solo mining, where it is not used.
        Some(_) => top.set_entry(
            "user_identity",
            config.common_user_identity().unwrap_or_default(),
        ),
        None => top.set_optional("user_identity", config.user_identity.clone()),
    }
    if !config.supported_extensions.is_empty() {
        top.set_entry(
            "supported_extensions",
            numbers(&config.supported_extensions),
        );
    }
    if !config.required_extensions.is_empty() {
        top.set_entry("required_extensions", numbers(&config.required_extensions));
    }
    top.set_optional(
        "monitoring_address",
        config.monitoring_address.map(|address| address.to_string()),
    );
    top.set_optional(
        "monitoring_cache_refresh_secs",
        config.monitoring_cache_refresh_secs.map(i64::from),
    );
    top.set_optional(
        "reserved_downstream_rollable_extranonce_size",
        config
            .reserved_downstream_rollable_extranonce_size
            .map(i64::from),
    );
    top.set_optional("max_past_jobs", config.max_past_jobs.map(i64::from));

    // The key is required in solo mining too, where the list must be empty to have the same meaning
    // in every version.
    let used: &[ConfigUpstream] = if config.mode.needs_pool() || version.is_none() {
        &config.upstreams
    } else {
        &[]
    };
    top.set_entry(
        "upstreams",
        used.iter()
            .map(|pool| upstream(pool, version))
            .collect::<Vec<_>>(),
    );
    if let Some(telemetry) = &config.miner_telemetry {
        let mut table = top.below("miner_telemetry");
        table.set_entry("cidrs", telemetry.cidrs.clone());
        top.set_entry("miner_telemetry", table.table);
    }
    let provider = provider(&config.template_provider_type, &top);
    top.set_entry("template_provider_type", provider);
    top.table
}

fn upstream(pool: &ConfigUpstream, version: Option<ClientVersion>) -> Value {
    let mut table = TomlSection {
        version,
        path: "upstreams[].".into(),
        table: Table::new(),
    };
    table.set_entry("authority_pubkey", pool.authority_pubkey.as_str());
    table.set_entry("pool_address", pool.pool_address.as_str());
    table.set_entry("pool_port", i64::from(pool.pool_port));
    table.set_entry("jds_address", pool.jds_address.as_str());
    table.set_entry("jds_port", i64::from(pool.jds_port));
    table.set_entry("user_identity", pool.user_identity.as_str());
    Value::Table(table.table)
}

fn provider(provider: &TemplateProvider, top: &TomlSection) -> Table {
    let mut choice = top.below("template_provider_type");
    match provider {
        // The chain behind it is ours to know; no client reads it.
        TemplateProvider::Sv2Tp {
            address,
            public_key,
            network: _,
        } => {
            let mut table = choice.below("Sv2Tp");
            table.set_entry("address", address.as_str());
            table.set_optional("public_key", public_key.clone());
            choice.set_entry("Sv2Tp", table.table);
        }
        TemplateProvider::BitcoinCoreIpc {
            version,
            network,
            data_dir,
            fee_threshold,
            min_interval,
        } => {
            let mut table = choice.below("BitcoinCoreIpc");
            table.set_entry("version", i64::from(*version));
            table.set_entry("network", network.as_str());
            table.set_optional("data_dir", data_dir.clone());
            table.set_entry(
                "fee_threshold",
                i64::try_from(*fee_threshold).unwrap_or(i64::MAX),
            );
            table.set_entry("min_interval", i64::from(*min_interval));
            choice.set_entry("BitcoinCoreIpc", table.table);
        }
    }
    choice.table
}

fn numbers(list: &[u16]) -> Vec<i64> {
    list.iter().copied().map(i64::from).collect()
}

/// A table of the file that takes only what the version reads.
struct TomlSection {
    /// None: everything is taken.
    version: Option<ClientVersion>,
    /// What stands before its keys in the version table, with the separator.
    path: String,
    table: Table,
}

impl TomlSection {
    fn below(&self, key: &str) -> Self {
        Self {
            version: self.version,
            path: format!("{}{key}.", self.path),
            table: Table::new(),
        }
    }

    fn set_entry(&mut self, key: &str, value: impl Into<Value>) {
        if self
            .version
            .is_none_or(|version| version.reads(&format!("{}{key}", self.path)))
        {
            self.table.insert(key.into(), value.into());
        }
    }

    fn set_optional(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set_entry(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;
    use crate::domain::configs::toml_file::import;
    use proptest::prelude::*;
    use strum::IntoEnumIterator;

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
        assert!(
            parsed(&config, "0.3.0")["template_provider_type"]["BitcoinCoreIpc"]
                .get("version")
                .is_none()
        );
    }

    #[test]
    fn every_required_key_of_every_version_is_written() {
        for config in samples::all() {
            for version in ClientVersion::KNOWN
                .into_iter()
                .filter(|version| lacking(&config, version).is_empty())
            {
                let file = Value::Table(parsed(&config, &version.to_string()));
                for row in crate::programs::jd_client::version::MATRIX
                    .iter()
                    .filter(|row| {
                        version.presence(row.key) == crate::domain::configs::KeyPresence::Required
                    })
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

    /// What is left of a configuration once a client of `version` has been told of it and its file
    /// is read back.
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
