//! The client's configuration file, as far as the simulator needs it, and the client's error
//! messages for a bad file.
//!
//! This module must not use the manager's model of a configuration: the simulator judges a file
//! like the client, so it must not share code with the writer of the file. Keys, secrets and the
//! payout script must be present but are not checked. Error texts are from `jd_client_sv2` 0.6.0,
//! including its names of keys (`upstreams[0]pool_port`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// What the client does with templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "UPPERCASE")]
pub(super) enum SimulatedMode {
    FullTemplate,
    CoinbaseOnly,
    SoloMining,
}

/// One pool with its job declarator server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SimulatedUpstream {
    /// `host:port`.
    pub(super) pool: String,
    /// `host:port`.
    pub(super) jds: String,
    pub(super) user_identity: String,
}

/// Where templates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SimulatedTemplateProvider {
    Sv2 { address: String },
    Core { version: u64, socket: PathBuf },
}

/// The settings that the simulator uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SimulatorConfig {
    pub(super) listening: SocketAddr,
    pub(super) monitoring: Option<SocketAddr>,
    /// The client accepts zero by mistake; its metrics then never change.
    pub(super) refresh: Duration,
    pub(super) mode: SimulatedMode,
    pub(super) upstreams: Vec<SimulatedUpstream>,
    pub(super) template_provider: SimulatedTemplateProvider,
    pub(super) shares_per_minute: f32,
    pub(super) share_batch_size: usize,
    pub(super) log_file: Option<PathBuf>,
    pub(super) telemetry: bool,
}

/// The client's prefix of configuration errors.
pub(super) fn complaint(error: &str) -> String {
    format!("Job Declarator Client config error: Bad `config` TOML deserialize: `{error}`")
}

/// Reads the file, applies the `JDC__*` variables of `env` (scalars only, not the `JDC__UPSTREAM_*`
/// form), and checks the result.
///
/// # Errors
///
/// The client's error message, without the prefix of [`complaint`].
pub(super) fn load(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
) -> Result<SimulatorConfig, String> {
    let overrides: Vec<(String, String)> = env
        .filter_map(|(name, value)| {
            Some((
                name.to_ascii_lowercase().strip_prefix("jdc__")?.to_owned(),
                value,
            ))
        })
        .collect();
    let mut table = if path.exists() {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let table = text
            .parse::<Table>()
            .map_err(|error| format!("{error} in {}", path.display()))?;
        with_lower_case_keys(table)
    } else if overrides.is_empty() {
        return Err(format!(
            "no configuration found: `{}` does not exist and no `JDC__*` environment variables are set. Supply a TOML file \
             (-c/--config) or set `JDC__*` environment variables",
            path.display()
        ));
    } else {
        Table::new()
    };
    for (name, value) in overrides {
        set(&mut table, &name.split("__").collect::<Vec<_>>(), value);
    }
    config(&table)
}

/// The client's keys are case-insensitive.
fn with_lower_case_keys(table: Table) -> Table {
    fn lower(value: Value) -> Value {
        match value {
            Value::Table(table) => Value::Table(with_lower_case_keys(table)),
            Value::Array(items) => Value::Array(items.into_iter().map(lower).collect()),
            other => other,
        }
    }
    table
        .into_iter()
        .map(|(key, value)| (key.to_ascii_lowercase(), lower(value)))
        .collect()
}

fn set(table: &mut Table, path: &[&str], value: String) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), Value::String(value));
        }
        [key, rest @ ..] => {
            let inner = table
                .entry((*key).to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

fn config(table: &Table) -> Result<SimulatorConfig, String> {
    let listening = address(table, "listening_address")?;
    integer(table, "", "max_supported_version", 16)?;
    integer(table, "", "min_supported_version", 16)?;
    text(table, "authority_public_key")?;
    text(table, "authority_secret_key")?;
    integer(table, "", "cert_validity_sec", 64)?;
    let template_provider = template_provider(present(table, "template_provider_type")?)?;
    let upstreams = upstreams(present(table, "upstreams")?)?;
    present(table, "coinbase_reward_script")?;
    text(table, "jdc_signature")?;
    let shares_per_minute = float(table, "shares_per_minute")?;
    let share_batch_size = integer(table, "", "share_batch_size", 64)?;
    let mode = match table.get("mode").map(plain) {
        None => SimulatedMode::FullTemplate,
        Some(name) => name.to_ascii_uppercase().parse().map_err(|_| {
            format!("unknown JDC mode `{name}`, expected FullTemplate, CoinbaseOnly, SoloMining")
        })?,
    };
    let monitoring = table
        .contains_key("monitoring_address")
        .then(|| address(table, "monitoring_address"))
        .transpose()?;
    let refresh = match table.get("monitoring_cache_refresh_secs") {
        None => 15,
        Some(_) => integer(table, "", "monitoring_cache_refresh_secs", 64)?,
    };
    let cidrs = table
        .get("miner_telemetry")
        .and_then(|telemetry| telemetry.get("cidrs")?.as_array());
    Ok(SimulatorConfig {
        listening,
        monitoring,
        refresh: Duration::from_secs(refresh),
        mode,
        upstreams,
        template_provider,
        shares_per_minute: shares_per_minute as f32,
        share_batch_size: usize::try_from(share_batch_size).unwrap_or(usize::MAX),
        log_file: table.get("log_file").map(|path| PathBuf::from(plain(path))),
        telemetry: cidrs.is_some_and(|cidrs| !cidrs.is_empty()),
    })
}

fn template_provider(value: &Value) -> Result<SimulatedTemplateProvider, String> {
    let variant =
        |name: &str| format!("enum TemplateProviderType does not have variant constructor {name}");
    let Some((name, inner)) = value.as_table().and_then(|table| table.iter().next()) else {
        return Err(variant(&plain(value)));
    };
    let empty = Table::new();
    let inner = inner.as_table().unwrap_or(&empty);
    match name.as_str() {
        "sv2tp" => Ok(SimulatedTemplateProvider::Sv2 {
            address: text(inner, "address")?,
        }),
        "bitcoincoreipc" => {
            const WHERE: &str = "template_provider_type.";
            let version = integer(inner, WHERE, "version", 8)?;
            if !matches!(version, 30 | 31) {
                return Err(format!(
                    "unsupported Bitcoin Core IPC version: {version}. expected 30 or 31"
                ));
            }
            let network = text(inner, "network")?;
            integer(inner, WHERE, "fee_threshold", 64)?;
            integer(inner, WHERE, "min_interval", 8)?;
            let below = network.to_ascii_lowercase();
            let data_dir = inner.get("data_dir").map_or_else(
                || home().join(".bitcoin"),
                |path| PathBuf::from(plain(path)),
            );
            let directory = match below.as_str() {
                "mainnet" => data_dir,
                "testnet4" | "signet" | "regtest" => data_dir.join(below),
                _ => {
                    return Err(format!(
                        "enum BitcoinNetwork does not have variant constructor {network}"
                    ));
                }
            };
            Ok(SimulatedTemplateProvider::Core {
                version,
                socket: directory.join("node.sock"),
            })
        }
        other => Err(variant(other)),
    }
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_default()
}

fn upstreams(value: &Value) -> Result<Vec<SimulatedUpstream>, String> {
    let Value::Array(list) = value else {
        return Err(format!(
            "invalid type: string \"{}\", expected an array for key `upstreams`",
            plain(value)
        ));
    };
    list.iter()
        .enumerate()
        .map(|(i, upstream)| {
            let empty = Table::new();
            let upstream = upstream.as_table().unwrap_or(&empty);
            let at = format!("upstreams[{i}]");
            text(upstream, "authority_pubkey")?;
            let pool = text(upstream, "pool_address")?;
            let pool_port = integer(upstream, &at, "pool_port", 16)?;
            let jds = text(upstream, "jds_address")?;
            let jds_port = integer(upstream, &at, "jds_port", 16)?;
            let user_identity = text(upstream, "user_identity")?;
            Ok(SimulatedUpstream {
                pool: format!("{pool}:{pool_port}"),
                jds: format!("{jds}:{jds_port}"),
                user_identity,
            })
        })
        .collect()
}

fn present<'a>(table: &'a Table, key: &str) -> Result<&'a Value, String> {
    table
        .get(key)
        .ok_or_else(|| format!("missing field `{key}`"))
}

/// A scalar as text, however it was written.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn text(table: &Table, key: &str) -> Result<String, String> {
    present(table, key).map(plain)
}

fn address(table: &Table, key: &str) -> Result<SocketAddr, String> {
    text(table, key)?
        .parse()
        .map_err(|_| "invalid socket address syntax".to_owned())
}

fn float(table: &Table, key: &str) -> Result<f64, String> {
    let value = present(table, key)?;
    let number = value
        .as_float()
        .or_else(|| value.as_integer().map(|n| n as f64))
        .or_else(|| plain(value).parse().ok());
    number.ok_or_else(|| {
        format!(
            "invalid type: string \"{}\", expected a floating point for key `{key}`",
            plain(value)
        )
    })
}

/// An unsigned integer of at most `bits` bits. Quoted numbers, booleans and fractions are handled
/// like in the client.
fn integer(table: &Table, at: &str, key: &str, bits: u32) -> Result<u64, String> {
    let value = present(table, key)?;
    let number = match value {
        Value::Integer(n) => Some(*n),
        Value::Float(n) => Some(n.round() as i64),
        Value::Boolean(yes) => Some(i64::from(*yes)),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" => Some(1),
            "false" | "off" | "no" => Some(0),
            digits => digits.parse().ok(),
        },
        _ => None,
    };
    let Some(number) = number else {
        return Err(format!(
            "invalid type: string \"{}\", expected an integer for key `{at}{key}`",
            plain(value)
        ));
    };
    match u64::try_from(number) {
        Ok(number) if bits == 64 || number < 1 << bits => Ok(number),
        Ok(number) => Err(format!(
            "invalid type: 64-bit unsigned integer `{number}`, expected an unsigned {bits} bit integer for key `{at}{key}`"
        )),
        Err(_) => {
            let size = if bits == 64 {
                "64 bit or less".to_owned()
            } else {
                format!("{bits} bit")
            };
            Err(format!(
                "invalid type: 64-bit integer `{number}`, expected an unsigned {size} integer for key `{at}{key}`"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = r#"
listening_address = "127.0.0.1:25265"
max_supported_version = 2
min_supported_version = 2
authority_public_key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
authority_secret_key = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"
cert_validity_sec = 3600
shares_per_minute = 6.0
share_batch_size = 3
jdc_signature = "Sv2MinerSignature"
coinbase_reward_script = "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)"
monitoring_address = "127.0.0.1:25091"
monitoring_cache_refresh_secs = 1
[[upstreams]]
authority_pubkey = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72"
pool_address = "pool.example"
pool_port = "25333"
jds_address = "127.0.0.1"
jds_port = 25334
user_identity = "acct.worker"
[template_provider_type.Sv2Tp]
address = "127.0.0.1:25442"
"#;

    fn read(text: &str) -> Result<SimulatorConfig, String> {
        config(&with_lower_case_keys(text.parse().unwrap()))
    }

    #[test]
    fn a_file_the_client_takes_is_taken() {
        let config = read(POOL).unwrap();
        assert_eq!(config.listening, "127.0.0.1:25265".parse().unwrap());
        assert_eq!(config.monitoring, Some("127.0.0.1:25091".parse().unwrap()));
        assert_eq!(
            (config.refresh, config.mode),
            (Duration::from_secs(1), SimulatedMode::FullTemplate)
        );
        assert_eq!(
            config.upstreams,
            [SimulatedUpstream {
                pool: "pool.example:25333".into(),
                jds: "127.0.0.1:25334".into(),
                user_identity: "acct.worker".into()
            }]
        );
        assert_eq!(
            config.template_provider,
            SimulatedTemplateProvider::Sv2 {
                address: "127.0.0.1:25442".into()
            }
        );
        assert_eq!(
            read(&POOL.replace("max_supported_version", "MAX_SUPPORTED_VERSION")),
            Ok(config)
        );
    }

    #[test]
    fn every_key_the_client_cannot_do_without_is_missed_by_its_name() {
        let keys = POOL
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, _)| key);
        let optional = ["monitoring_address", "monitoring_cache_refresh_secs"];
        let mut missed = 0;
        for key in keys.filter(|key| !optional.contains(key)) {
            let without: String = POOL
                .lines()
                .filter(|line| !line.starts_with(key))
                .map(|line| format!("{line}\n"))
                .collect();
            assert_eq!(read(&without), Err(format!("missing field `{key}`")));
            missed += 1;
        }
        assert_eq!(missed, 17);
        let cut = POOL.find("[template").unwrap();
        assert_eq!(
            read(&POOL[..cut]),
            Err("missing field `template_provider_type`".into())
        );
    }

    #[test]
    fn bad_values_are_complained_of_as_the_client_does() {
        for (from, to, error) in [
            (
                "127.0.0.1:25265",
                "localhost:1",
                "invalid socket address syntax",
            ),
            (
                "127.0.0.1:25091",
                "localhost:1",
                "invalid socket address syntax",
            ),
            (
                "max_supported_version = 2",
                "max_supported_version = \"abc\"",
                "invalid type: string \"abc\", expected an integer for key `max_supported_version`",
            ),
            (
                "max_supported_version = 2",
                "max_supported_version = 70000",
                "invalid type: 64-bit unsigned integer `70000`, expected an unsigned 16 bit integer for key `max_supported_version`",
            ),
            (
                "cert_validity_sec = 3600",
                "cert_validity_sec = -1",
                "invalid type: 64-bit integer `-1`, expected an unsigned 64 bit or less integer for key `cert_validity_sec`",
            ),
            (
                "\"25333\"",
                "70000",
                "invalid type: 64-bit unsigned integer `70000`, expected an unsigned 16 bit integer for key `upstreams[0]pool_port`",
            ),
            (
                "share_batch_size = 3",
                "share_batch_size = 3\nmode = \"FOO\"",
                "unknown JDC mode `FOO`, expected FullTemplate, CoinbaseOnly, SoloMining",
            ),
            (
                "Sv2Tp",
                "Foo",
                "enum TemplateProviderType does not have variant constructor foo",
            ),
        ] {
            assert_eq!(read(&POOL.replace(from, to)), Err(error.to_owned()), "{to}");
        }
    }

    #[test]
    fn bitcoin_core_is_found_by_its_network() {
        let cut = POOL.find("[template").unwrap();
        let core = format!(
            "{}[template_provider_type.BitcoinCoreIpc]\nversion = 31\nnetwork = \"regtest\"\ndata_dir = \"/data\"\nfee_threshold = \
             100\nmin_interval = 30\n",
            &POOL[..cut]
        );
        let socket = SimulatedTemplateProvider::Core {
            version: 31,
            socket: "/data/regtest/node.sock".into(),
        };
        assert_eq!(read(&core).unwrap().template_provider, socket);
        assert_eq!(
            read(&core.replace("= 31", "= 29")),
            Err("unsupported Bitcoin Core IPC version: 29. expected 30 or 31".into())
        );
        assert_eq!(
            read(&core.replace("regtest", "testnet3")),
            Err("enum BitcoinNetwork does not have variant constructor testnet3".into())
        );
        let error = read(&core.replace("min_interval = 30", "min_interval = 300")).unwrap_err();
        assert!(
            error.ends_with(
                "expected an unsigned 8 bit integer for key `template_provider_type.min_interval`"
            ),
            "{error}"
        );
    }

    #[test]
    fn the_environment_overrides_the_file_and_may_stand_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jdc.toml");
        let error = load(&path, std::iter::empty()).unwrap_err();
        assert!(
            error.starts_with("no configuration found: `")
                && error.contains("jdc.toml` does not exist"),
            "{error}"
        );
        let env = |name: &str, value: &str| std::iter::once((name.to_owned(), value.to_owned()));
        assert_eq!(
            load(&path, env("JDC__MODE", "SOLOMINING")),
            Err("missing field `listening_address`".into())
        );
        std::fs::write(&path, POOL).unwrap();
        let config = load(
            &path,
            env("JDC__TEMPLATE_PROVIDER_TYPE__SV2TP__ADDRESS", "127.0.0.1:1"),
        )
        .unwrap();
        assert_eq!(
            config.template_provider,
            SimulatedTemplateProvider::Sv2 {
                address: "127.0.0.1:1".into()
            }
        );
        std::fs::write(&path, "invalid = [\n").unwrap();
        let error = load(&path, std::iter::empty()).unwrap_err();
        assert!(
            error.starts_with("TOML parse error at line 1, column ")
                && error.ends_with(&format!(" in {}", path.display()))
        );
    }
}
