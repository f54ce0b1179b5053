//! Rendering, checks and reading of the translator's file.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;

const KEY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

/// The client's default.
const RESERVED: u8 = 8;

fn config() -> TranslatorConfig {
    TranslatorConfig {
        monitoring: Some(SocketAddr::from(([127, 0, 0, 1], 9092))),
        supported_extensions: vec![2],
        ..TranslatorConfig::beside_client("127.0.0.1".into(), 34265, KEY.into(), "acct".into())
    }
}

fn keys(faults: &[TranslatorConfigFault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.key).collect()
}

/// Fields that every version has, as `lib/config.rs` of 0.6.0 declares them.
#[derive(Debug, Deserialize)]
struct Difficulty {
    min_individual_miner_hashrate: f32,
    shares_per_minute: f32,
    enable_vardiff: bool,
    job_keepalive_interval_secs: u16,
}

#[derive(Debug, Deserialize)]
struct Upstream0_6 {
    address: String,
    port: u16,
    authority_pubkey: String,
    user_identity: String,
}

#[derive(Debug, Deserialize)]
struct Telemetry0_6 {
    cidrs: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct File0_6 {
    upstreams: Vec<Upstream0_6>,
    downstream_address: String,
    downstream_port: u16,
    max_supported_version: u16,
    min_supported_version: u16,
    downstream_extranonce2_size: u16,
    downstream_difficulty_config: Difficulty,
    aggregate_channels: bool,
    supported_extensions: Vec<u16>,
    monitoring_address: Option<SocketAddr>,
    monitoring_cache_refresh_secs: Option<u64>,
    miner_telemetry: Telemetry0_6,
}

/// 0.2.0 to 0.2.5 require the identity at the top.
#[derive(Debug, Deserialize)]
struct File0_2 {
    user_identity: String,
}

#[test]
fn the_text_has_what_each_version_requires() {
    let networks = vec!["192.168.7.0/24".to_owned()];
    let config = TranslatorConfig {
        telemetry_networks: networks.clone(),
        ..config()
    };
    let text = config.to_toml(RESERVED).unwrap();
    let newest: File0_6 = toml::from_str(&text).unwrap();
    let oldest: File0_2 = toml::from_str(&text).unwrap();
    assert_eq!(oldest.user_identity, "acct");
    let upstream = &newest.upstreams[0];
    assert_eq!(
        (
            upstream.address.as_str(),
            upstream.port,
            upstream.authority_pubkey.as_str(),
            upstream.user_identity.as_str(),
            newest.upstreams.len()
        ),
        ("127.0.0.1", 34265, KEY, "acct", 1)
    );
    assert_eq!(
        (newest.downstream_address.as_str(), newest.downstream_port),
        ("0.0.0.0", 34255)
    );
    assert_eq!(
        (newest.max_supported_version, newest.min_supported_version),
        (2, 2)
    );
    assert_eq!(
        (
            newest.downstream_extranonce2_size,
            newest.aggregate_channels
        ),
        (4, false)
    );
    assert_eq!(newest.supported_extensions, [2]);
    assert_eq!(newest.monitoring_address, config.monitoring);
    assert_eq!(newest.monitoring_cache_refresh_secs, Some(5));
    assert_eq!(newest.miner_telemetry.cidrs, networks);
    let difficulty = newest.downstream_difficulty_config;
    assert_eq!(
        (
            difficulty.min_individual_miner_hashrate,
            difficulty.shares_per_minute,
            difficulty.enable_vardiff,
            difficulty.job_keepalive_interval_secs
        ),
        (5e11, 6.0, true, 60)
    );
    // Whole numbers are written as fractions.
    assert!(text.contains("shares_per_minute = 6.0\n"), "{text}");
    let identity = text.find("user_identity").unwrap();
    assert!(identity < text.find('[').unwrap(), "{text}");
}

#[test]
fn a_rendered_file_is_read_as_what_it_was() {
    let config = TranslatorConfig {
        aggregate: true,
        extranonce2_size: 6,
        user_identity: "a \"b\" \\ 'c' # [d]".into(),
        listening: "[::1]:34255".parse().unwrap(),
        ..config()
    };
    let import = read(&config.to_toml(RESERVED).unwrap()).unwrap();
    assert_eq!(import.config, config);
    assert_eq!(import.lines.get("downstream_port"), Some(&3));
    assert!(import.lines.contains_key("upstreams[0].port"));
    assert!(!import.lines.contains_key("max_supported_version"));
    let skipped: Vec<&str> = import.notes.iter().map(|note| note.key.as_str()).collect();
    assert_eq!(skipped, ["max_supported_version", "min_supported_version"]);
}

#[test]
fn a_file_of_the_real_program_is_read() {
    let text = include_str!("../../../../tests/data/translator/beside_jdc.toml");
    let import = read(text).unwrap();
    let config = import.config;
    assert_eq!(
        (config.min_hashrate, config.shares_per_minute),
        (50_000.0, 20.0)
    );
    assert_eq!(config.listening, SocketAddr::from(([127, 0, 0, 1], 33723)));
    assert_eq!(
        (config.upstream_port, config.monitoring_refresh_secs),
        (46387, 1)
    );
    assert_eq!(config.faults(RESERVED), []);
}

#[test]
fn values_are_read_as_leniently_as_the_translator_reads_them() {
    let text = config().to_toml(RESERVED).unwrap();
    let lenient = text
        .replace("downstream_port = 34255", "DOWNSTREAM_PORT = \"34255\"")
        .replace("shares_per_minute = 6.0", "shares_per_minute = 6")
        .replace("enable_vardiff = true", "enable_vardiff = \"yes\"")
        .replace("[[upstreams]]", "[[Upstreams]]");
    assert_ne!(text, lenient);
    assert_eq!(read(&lenient).unwrap().config, config());
    // 0.2 has no identity in the upstream.
    let at = text.rfind("user_identity").unwrap();
    assert_eq!(read(&text[..at]).unwrap().config, config());
}

#[test]
fn what_is_wrong_in_a_file_comes_with_its_line() {
    let text = config().to_toml(RESERVED).unwrap();
    let complaints = |text: &str| {
        read(text)
            .unwrap_err()
            .into_iter()
            .map(|note| (note.key, note.line))
            .collect::<Vec<_>>()
    };
    let first = |key: &str, line: usize| vec![(key.to_owned(), Some(line))];
    for (from, to, expected) in [
        (
            "\"0.0.0.0\"",
            "\"localhost\"",
            first("downstream_address", 2),
        ),
        ("= 34255", "= 70000", first("downstream_port", 3)),
        (
            "aggregate_channels = false",
            "aggregate_channels = 2000-01-01",
            first("aggregate_channels", 7),
        ),
        (
            "aggregate_channels = false",
            "",
            vec![("aggregate_channels".to_owned(), None)],
        ),
        (
            "[[upstreams]]",
            "[[pools]]",
            vec![
                ("upstreams".to_owned(), None),
                ("upstreams[0].address".to_owned(), None),
                ("upstreams[0].port".to_owned(), None),
                ("upstreams[0].authority_pubkey".to_owned(), None),
            ],
        ),
        (
            "user_identity",
            "upstream_address = \"x\"\nuser_identity",
            first("upstream_address", 1),
        ),
        (
            "downstream_port",
            "Downstream_Port = 1\ndownstream_port",
            first("downstream_port", 4),
        ),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(complaints(&text.replacen(from, to, 1)), expected, "{to}");
    }
    let broken = complaints("a = 1\nb = \n");
    assert_eq!(broken, [(String::new(), Some(2))]);
    assert_eq!(complaints(&"#".repeat(300_000)), [(String::new(), None)]);
}

#[test]
fn keys_that_are_not_imported_are_named() {
    let text = config().to_toml(RESERVED).unwrap()
        + "[[upstreams]]\naddress = \"b\"\n[miner_telemetry.x]\nlog_file = \"y\"\nmonitoring_address = \"z\"\nfoo = 1\n";
    let text = format!("log_file = \"x\"\nverify_payout = true\nnonsense = []\n{text}");
    let notes = read(&text).unwrap().notes;
    let named = |key: &str| notes.iter().find(|note| note.key == key).unwrap();
    assert_eq!(named("log_file").line, Some(1));
    assert_eq!(named("verify_payout").line, Some(2));
    assert_eq!(
        named("nonsense").detail,
        "The translator does not recognize this key."
    );
    assert!(
        named("upstreams[1]")
            .detail
            .contains("additional upstreams")
    );
    let misplaced = named("miner_telemetry.x.monitoring_address");
    assert!(
        misplaced
            .detail
            .contains("above the first line in square brackets")
    );
    let many: String = (0..1000).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(read(&(many + &text)).unwrap().notes.len(), 100);
}

#[test]
fn every_value_that_would_end_the_translator_is_refused() {
    assert_eq!(config().faults(RESERVED), []);
    type ConfigChange = fn(&mut TranslatorConfig);
    let cases: [(&str, ConfigChange); 20] = [
        ("upstreams.address", |c| c.upstream_address = "a:1".into()),
        ("upstreams.address", |c| c.upstream_address = String::new()),
        ("upstreams.port", |c| c.upstream_port = 0),
        ("downstream_port", |c| c.listening.set_port(0)),
        ("upstreams.authority_pubkey", |c| {
            c.authority_key.truncate(50)
        }),
        ("upstreams.user_identity", |c| {
            c.user_identity = String::new()
        }),
        ("upstreams.user_identity", |c| {
            c.user_identity = "x".repeat(201);
        }),
        ("upstreams.user_identity", |c| c.user_identity.push('\n')),
        ("monitoring_address", |c| {
            c.monitoring = Some(SocketAddr::from(([127, 0, 0, 1], 34255)));
        }),
        ("monitoring_cache_refresh_secs", |c| {
            c.monitoring_refresh_secs = 0;
        }),
        (
            "downstream_difficulty_config.min_individual_miner_hashrate",
            |c| c.min_hashrate = -5.0,
        ),
        (
            "downstream_difficulty_config.min_individual_miner_hashrate",
            |c| c.min_hashrate = 1e39,
        ),
        (
            "downstream_difficulty_config.min_individual_miner_hashrate",
            |c| c.min_hashrate = f64::NAN,
        ),
        ("downstream_difficulty_config.shares_per_minute", |c| {
            c.shares_per_minute = 0.0;
        }),
        ("downstream_difficulty_config.shares_per_minute", |c| {
            c.shares_per_minute = 1e-50;
        }),
        ("downstream_extranonce2_size", |c| c.extranonce2_size = 9),
        ("downstream_extranonce2_size", |c| c.extranonce2_size = 1),
        ("downstream_extranonce2_size", |c| {
            (c.aggregate, c.extranonce2_size) = (true, 7);
        }),
        ("supported_extensions", |c| {
            c.supported_extensions = vec![1; 65];
        }),
        ("miner_telemetry.cidrs", |c| {
            c.telemetry_networks = vec!["10.0.0.0/8".into()];
        }),
    ];
    for (key, change) in cases {
        let mut config = config();
        change(&mut config);
        let faults = config.faults(RESERVED);
        assert_eq!(keys(&faults), [key], "{config:?}");
        assert!(faults[0].detail.ends_with('.'), "{faults:?}");
        assert_eq!(config.to_toml(RESERVED), Err(faults));
    }
}

#[test]
fn the_extranonce_fits_into_what_the_client_reserves() {
    for (aggregate, reserved, largest) in [
        (false, 8, 8),
        (false, 16, 8),
        (false, 5, 5),
        (true, 8, 6),
        (true, 16, 6),
        (true, 5, 3),
        (true, 1, 0),
    ] {
        assert_eq!(
            TranslatorConfig::largest_extranonce2(aggregate, reserved),
            largest,
            "{aggregate} {reserved}"
        );
    }
    let faults = config().faults(1);
    assert!(faults[0].detail.contains("too few"), "{faults:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn any_accepted_numbers_are_what_the_translator_reads(hashrate in any::<f64>(), shares in any::<f64>()) {
        let config = TranslatorConfig { min_hashrate: hashrate, shares_per_minute: shares, ..config() };
        if let Ok(text) = config.to_toml(RESERVED) {
            let file: File0_6 = toml::from_str(&text).unwrap();
            let difficulty = file.downstream_difficulty_config;
            for number in [difficulty.min_individual_miner_hashrate, difficulty.shares_per_minute] {
                prop_assert!(number.is_finite() && number > 0.0);
            }
        }
    }
}
