use super::*;
use crate::domain::configs::samples;
use crate::domain::keys::{EXAMPLE_PUBLIC_KEY, KeyPair};
use serde_json::json;

/// A pool's configuration as sent, with `key` set to `value`; null takes the key out.
fn with(key: &str, value: Value) -> Value {
    changed(samples::pool().to_stored_value(), &format!("/{key}"), value)
}

fn changed(mut config: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = config.pointer_mut(parent).unwrap();
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(key);
    } else if let Value::Array(list) = parent {
        list[key.parse::<usize>().unwrap()] = value;
    } else {
        parent[key] = value;
    }
    config
}

/// Pointers of all errors, or of all warnings behind a `~` when there are no errors.
fn judged(config: &Value) -> Vec<String> {
    match read(config, None) {
        Ok(accepted) => accepted
            .warnings
            .into_iter()
            .map(|one| format!("~{}", one.pointer))
            .collect(),
        Err(found) => found.errors.into_iter().map(|one| one.pointer).collect(),
    }
}

fn only_error(config: &Value) -> (String, String) {
    let found = read(config, None).expect_err("it should be refused");
    assert_eq!(found.errors.len(), 1, "{:?}", found.errors);
    (
        found.errors[0].pointer.clone(),
        found.errors[0].detail.clone(),
    )
}

#[test]
fn a_configuration_reads_back_from_its_own_json_without_a_word() {
    for config in samples::all() {
        let accepted = read(&config.to_stored_value(), None).unwrap();
        assert_eq!((accepted.config, accepted.warnings), (config, vec![]));
    }
}

#[test]
fn each_missing_field_is_missed_by_its_own_name() {
    let whole = samples::pool().to_stored_value();
    for key in whole.as_object().unwrap().keys() {
        let judgement = judged(&changed(whole.clone(), &format!("/{key}"), Value::Null));
        let optional = key.starts_with("monitoring_");
        assert_eq!(
            judgement,
            if optional {
                vec![]
            } else {
                vec![format!("/{key}")]
            },
            "{key}"
        );
    }
    for key in whole["upstreams"][0].as_object().unwrap().keys() {
        let pointer = format!("/upstreams/0/{key}");
        assert_eq!(
            judged(&changed(whole.clone(), &pointer, Value::Null)),
            [pointer]
        );
    }
    let ipc = samples::with_everything().to_stored_value();
    for key in ["version", "network", "fee_threshold", "min_interval"] {
        let pointer = format!("/template_provider_type/BitcoinCoreIpc/{key}");
        assert_eq!(
            judged(&changed(ipc.clone(), &pointer, Value::Null)),
            [pointer]
        );
    }
    assert_eq!(
        judged(&changed(
            whole,
            "/template_provider_type/Sv2Tp/address",
            "".into()
        )),
        ["/template_provider_type/Sv2Tp/address"]
    );
    let (_, detail) = only_error(&with("listening_address", Value::Null));
    assert_eq!(
        detail,
        "Enter the IP address and port that miners connect to, such as 0.0.0.0:34265."
    );
}

#[test]
fn everything_wrong_is_told_at_once() {
    let mut config = samples::pool().to_stored_value();
    for (pointer, value) in [
        ("/listening_address", json!("localhost:1")),
        ("/cert_validity_sec", json!(0)),
        ("/mode", json!("FOO")),
        ("/upstreams/0/pool_port", json!(70000)),
        ("/upstreams/0/authority_pubkey", json!("x")),
        (
            "/template_provider_type",
            json!({"Sv2Tp": {"address": "tp", "public_key": "y"}}),
        ),
        ("/coinbase_reward_script", json!("")),
        ("/monitoring_cache_refresh_secs", json!(0)),
        ("/supported_extensions", json!([1, "a", 70000])),
    ] {
        config = changed(config, pointer, value);
    }
    let mut judgement = judged(&config);
    judgement.sort();
    assert_eq!(
        judgement,
        [
            "/cert_validity_sec",
            "/coinbase_reward_script",
            "/listening_address",
            "/mode",
            "/monitoring_cache_refresh_secs",
            "/supported_extensions/1",
            "/supported_extensions/2",
            "/template_provider_type/Sv2Tp/address",
            "/template_provider_type/Sv2Tp/public_key",
            "/upstreams/0/authority_pubkey",
            "/upstreams/0/pool_port",
        ]
    );
}

/// What the client itself refuses (observed with 0.6.0), and what it accepts and then fails at.
#[test]
fn wrong_values_are_refused_at_their_field() {
    let ipc = |key: &str, value: Value| {
        changed(
            samples::with_everything().to_stored_value(),
            &format!("/template_provider_type/BitcoinCoreIpc/{key}"),
            value,
        )
    };
    let pool = |key: &str, value: Value| {
        changed(
            samples::pool().to_stored_value(),
            &format!("/upstreams/0/{key}"),
            value,
        )
    };
    for (config, pointer, says) in [
        (
            with("listening_address", json!("nonsense")),
            "/listening_address",
            "not an address with a port",
        ),
        (
            with("max_supported_version", json!("abc")),
            "/max_supported_version",
            "not a whole number",
        ),
        (
            with("max_supported_version", json!(70000)),
            "/max_supported_version",
            "0 to 65535",
        ),
        (
            with("min_supported_version", json!(3)),
            "/min_supported_version",
            "greater than the maximum",
        ),
        (
            with("cert_validity_sec", json!(-1)),
            "/cert_validity_sec",
            "1 to 4294967295",
        ),
        (
            with(
                "authority_public_key",
                json!("9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH73"),
            ),
            "/authority_public_key",
            "checksum",
        ),
        (
            with("authority_public_key", json!("0bDu")),
            "/authority_public_key",
            "position 1",
        ),
        (
            with(
                "authority_public_key",
                json!("2myPhc5vkPzuC5FXNK5tee79WmP7uoLh55SxezoF8iqwF3E3rnPY"),
            ),
            "/authority_public_key",
            "version 12",
        ),
        (
            with(
                "authority_public_key",
                json!("2wmHTKZkLg2QzXyEXGMBXzKP7JXDUt8yy9SA5hoQwERc92qR6c"),
            ),
            "/authority_public_key",
            "33 bytes",
        ),
        (
            with("authority_secret_key", json!(samples::PUBLIC)),
            "/authority_secret_key",
            "public key, not a secret",
        ),
        (
            with("authority_secret_key", json!("")),
            "/authority_secret_key",
            "Enter the secret key that belongs to the public key",
        ),
        (
            with("authority_secret_key", json!(MASK)),
            "/authority_secret_key",
            "mask",
        ),
        (
            with("authority_public_key", json!(samples::POOL_KEY)),
            "/authority_secret_key",
            "does not match the public key",
        ),
        (
            with("template_provider_type", json!({"foo": {}})),
            "/template_provider_type",
            "Sv2Tp",
        ),
        (
            with(
                "template_provider_type",
                json!({"Sv2Tp": {}, "BitcoinCoreIpc": {}}),
            ),
            "/template_provider_type",
            "Two template providers are configured",
        ),
        (
            with("template_provider_type", json!({"Sv2Tp": {}})),
            "/template_provider_type/Sv2Tp/address",
            "Enter the template provider's host and port",
        ),
        (
            with("template_provider_type", json!({"Sv2Tp": 5})),
            "/template_provider_type/Sv2Tp",
            "an object",
        ),
        (
            ipc("version", json!(29)),
            "/template_provider_type/BitcoinCoreIpc/version",
            "30 and 31, not 29",
        ),
        (
            ipc("network", json!("testnet3")),
            "/template_provider_type/BitcoinCoreIpc/network",
            "testnet4",
        ),
        (
            ipc("min_interval", json!(300)),
            "/template_provider_type/BitcoinCoreIpc/min_interval",
            "0 to 255",
        ),
        (
            ipc("fee_threshold", json!(u64::MAX)),
            "/template_provider_type/BitcoinCoreIpc/fee_threshold",
            "out of range",
        ),
        (
            ipc("data_dir", json!("$HOME/.bitcoin")),
            "/template_provider_type/BitcoinCoreIpc/data_dir",
            "variables",
        ),
        (
            with("upstreams", json!([])),
            "/upstreams",
            "at least one pool",
        ),
        (with("upstreams", json!("x")), "/upstreams", "a list"),
        (with("upstreams", json!([7])), "/upstreams/0", "an object"),
        (
            with(
                "coinbase_reward_script",
                json!("tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft"),
            ),
            "/coinbase_reward_script",
            "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
        ),
        (
            with("coinbase_reward_script", json!("addr(tb1qxxx)")),
            "/coinbase_reward_script",
            "not a valid Bitcoin address",
        ),
        (
            with(
                "coinbase_reward_script",
                json!("addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)#wdnlkpe7"),
            ),
            "/coinbase_reward_script",
            "expected wdnlkpe8",
        ),
        (
            with("jdc_signature", json!("x".repeat(65))),
            "/jdc_signature",
            "65 bytes",
        ),
        (
            with("jdc_signature", json!("a\nb = 1")),
            "/jdc_signature",
            "control character",
        ),
        (
            with("shares_per_minute", json!(0)),
            "/shares_per_minute",
            "above 0",
        ),
        (
            with("share_batch_size", json!(0)),
            "/share_batch_size",
            "out of range",
        ),
        (with("mode", json!("FOO")), "/mode", "SOLOMINING"),
        (
            with("monitoring_address", json!("localhost:9091")),
            "/monitoring_address",
            "does not accept host names",
        ),
        (
            with("monitoring_address", json!("127.0.0.1:34265")),
            "/monitoring_address",
            "another port",
        ),
        (
            with("monitoring_cache_refresh_secs", json!(0)),
            "/monitoring_cache_refresh_secs",
            "out of range",
        ),
        (
            with("supported_extensions", json!(["a"])),
            "/supported_extensions/0",
            "not a whole number",
        ),
        (
            with("required_extensions", json!(7)),
            "/required_extensions",
            "a list",
        ),
        (
            with("reserved_downstream_rollable_extranonce_size", json!(300)),
            "/reserved_downstream_rollable_extranonce_size",
            "0 to 255",
        ),
        (
            with("miner_telemetry", json!({"cidrs": ["8.8.8.0/24"]})),
            "/miner_telemetry/cidrs/0",
            "private",
        ),
        (
            pool("user_identity", json!(" ")),
            "/upstreams/0/user_identity",
            "Enter your pool account",
        ),
        (
            pool("user_identity", json!("x".repeat(256))),
            "/upstreams/0/user_identity",
            "at most 255",
        ),
        (
            pool("pool_port", json!(70000)),
            "/upstreams/0/pool_port",
            "1 to 65535",
        ),
        (
            pool("pool_port", json!(0)),
            "/upstreams/0/pool_port",
            "1 to 65535",
        ),
        (
            pool("pool_address", json!("pool.attic.localhost:4444")),
            "/upstreams/0/pool_address",
            "does not match the port field",
        ),
        (
            pool("jds_address", json!("a b")),
            "/upstreams/0/jds_address",
            "neither",
        ),
        (
            pool("authority_pubkey", json!("z")),
            "/upstreams/0/authority_pubkey",
            "1 characters",
        ),
        (json!([]), "", "must be an object"),
    ] {
        let (at, detail) = only_error(&config);
        assert_eq!(at, pointer, "{detail}");
        assert!(detail.contains(says), "{pointer}: {detail}");
    }
}

#[test]
fn doubtful_values_are_taken_with_a_warning() {
    let example_pair = changed(
        with("authority_public_key", json!(EXAMPLE_PUBLIC_KEY)),
        "/authority_secret_key",
        json!("mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n"),
    );
    for (config, warnings) in [
        (example_pair, &["~/authority_public_key"][..]),
        (
            with("jdc_signature", json!("x".repeat(53))),
            &["~/jdc_signature"],
        ),
        (with("jdc_signature", json!("")), &[]),
        (
            with("monitoring_address", json!("0.0.0.0:9091")),
            &["~/monitoring_address"],
        ),
        (
            with("max_supported_version", json!(3)),
            &["~/max_supported_version"],
        ),
        (with("mode", json!("solomining")), &["~/upstreams"]),
        (
            with("user_identity", json!("somebody.else")),
            &["~/user_identity"],
        ),
        (with("poolAddress", json!(1)), &["~/poolAddress"]),
        (
            with(
                "coinbase_reward_script",
                json!("addr(bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j)"),
            ),
            &["~/coinbase_reward_script"],
        ),
    ] {
        assert_eq!(judged(&config), warnings);
    }
}

#[test]
fn unknown_keys_are_named_with_the_field_that_was_probably_meant() {
    let warning = |key: &str| {
        let mut config = samples::pool().to_stored_value();
        config[key] = json!(1);
        read(&config, None).unwrap().warnings.remove(0)
    };
    assert!(
        warning("listeningAddress")
            .detail
            .ends_with("Did you mean listening_address?")
    );
    assert!(warning("MODE").detail.ends_with("Did you mean mode?"));
    assert_eq!(warning("a/b~c").pointer, "/a~1b~0c");
    let mut many = samples::pool().to_stored_value();
    for i in 0..1000 {
        many[format!("{}{i}", "k".repeat(500))] = json!(0);
    }
    let warnings = read(&many, None).unwrap().warnings;
    assert!(warnings.len() <= 20 && warnings.iter().all(|one| one.pointer.len() < 100));
}

#[test]
fn numbers_and_lists_may_be_text() {
    let mut config = samples::with_everything().to_stored_value();
    for (pointer, value) in [
        ("/cert_validity_sec", json!("3600")),
        ("/shares_per_minute", json!("6.0")),
        ("/upstreams/0/pool_port", json!(" 3333 ")),
        (
            "/template_provider_type/BitcoinCoreIpc/version",
            json!("31"),
        ),
        ("/supported_extensions", json!("2")),
        ("/required_extensions", json!("1, 65535")),
        ("/miner_telemetry/cidrs", json!("192.168.1.0/24\n")),
    ] {
        config = changed(config, pointer, value);
    }
    assert_eq!(
        read(&config, None).unwrap().config,
        samples::with_everything()
    );
}

#[test]
fn optional_fields_that_are_null_or_empty_are_not_set() {
    let mut config = samples::pool().to_stored_value();
    for key in [
        "user_identity",
        "monitoring_address",
        "monitoring_cache_refresh_secs",
        "max_past_jobs",
        "miner_telemetry",
    ] {
        config[key] = json!(" ");
    }
    config["reserved_downstream_rollable_extranonce_size"] = Value::Null;
    config["supported_extensions"] = json!("");
    config["required_extensions"] = json!([]);
    config["template_provider_type"]["Sv2Tp"]["public_key"] = json!("");
    let expected = ClientConfig {
        monitoring_address: None,
        monitoring_cache_refresh_secs: None,
        ..samples::pool()
    };
    assert_eq!(read(&config, None).unwrap().config, expected);
}

#[test]
fn the_shape_of_older_clients_is_taken() {
    let mut older = samples::pool().to_stored_value();
    older["upstreams"] = json!([{"authority_pubkey": samples::POOL_KEY, "pool_address": "pool.attic.localhost:3333",
        "jd_address": "10.20.30.7:3334"}]);
    older["user_identity"] = json!("alice.attic");
    older["template_provider_type"] = json!("Sv2Tp");
    older["sv2_tp"] = json!({"address": "127.0.0.1:8442", "public_key": ""});
    older["bitcoin_core_ipc"] = json!({"network": ""});
    let expected = ClientConfig {
        user_identity: Some("alice.attic".into()),
        ..samples::pool()
    };
    let accepted = read(&older, None).unwrap();
    assert_eq!(
        (accepted.config, accepted.warnings),
        (expected.clone(), vec![])
    );

    let mut flat = older.clone();
    flat.as_object_mut().unwrap().remove("upstreams");
    flat["authority_pubkey"] = json!(samples::POOL_KEY);
    flat["pool_address"] = json!("pool.attic.localhost:3333");
    flat["jd_address"] = json!("10.20.30.7:3334");
    let accepted = read(&flat, None).unwrap();
    assert_eq!((accepted.config, accepted.warnings), (expected, vec![]));
    flat["jd_address"] = json!("10.20.30.7");
    assert_eq!(judged(&flat), ["/jds_port"]);
    flat["user_identity"] = json!("");
    assert_eq!(judged(&flat), ["/jds_port", "/user_identity"]);
    older["user_identity"] = json!("x".repeat(256));
    assert_eq!(judged(&older), ["/user_identity"]);
    older["user_identity"] = json!("alice.attic");

    older["template_provider_type"] = json!("BitcoinCoreIpc");
    older["bitcoin_core_ipc"] =
        json!({"network": "testnet4", "fee_threshold": 100, "min_interval": 5});
    let accepted = read(&older, None).unwrap();
    assert_eq!(
        accepted.config.template_provider_type,
        TemplateProvider::BitcoinCoreIpc {
            version: 30,
            network: BitcoinNetwork::Testnet4,
            data_dir: None,
            fee_threshold: 100,
            min_interval: 5
        }
    );
    let warned: Vec<&str> = accepted
        .warnings
        .iter()
        .map(|one| one.pointer.as_str())
        .collect();
    assert_eq!(
        warned,
        ["/bitcoin_core_ipc/version", "/coinbase_reward_script"]
    );

    older["template_provider_type"] = json!("Sv2Tp");
    older["sv2_tp"] = json!({"address": "tp"});
    assert_eq!(judged(&older), ["/sv2_tp/address"]);
    older["template_provider_type"] = json!("Other");
    assert_eq!(judged(&older), ["/template_provider_type"]);

    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let legacy = with(
        "coinbase_reward_script",
        json!({"output_script_type": "P2WPKH", "output_script_value": key}),
    );
    assert_eq!(
        read(&legacy, None).unwrap().config.coinbase_reward_script,
        format!("wpkh({key})")
    );
    let wrong = with(
        "coinbase_reward_script",
        json!({"output_script_type": "P2WPKH", "output_script_value": "zz"}),
    );
    assert_eq!(judged(&wrong), ["/coinbase_reward_script"]);
}

#[test]
fn the_mask_keeps_the_previous_secret_as_long_as_the_public_key_stays() {
    let previous = samples::pool();
    for secret in [json!(MASK), json!(""), Value::Null] {
        let config = with("authority_secret_key", secret.clone());
        assert_eq!(read(&config, Some(&previous)).unwrap().config, previous);
        let other = changed(
            config.clone(),
            "/authority_public_key",
            json!(samples::POOL_KEY),
        );
        let found = read(&other, Some(&previous)).unwrap_err();
        assert_eq!(
            (found.errors.len(), found.errors[0].pointer.as_str()),
            (1, "/authority_secret_key")
        );
        assert!(found.errors[0].detail.contains("public key has changed"));
        let unreadable = changed(config, "/authority_public_key", json!("?"));
        let found = read(&unreadable, Some(&previous)).unwrap_err();
        assert_eq!(
            (found.errors.len(), found.errors[0].pointer.as_str()),
            (1, "/authority_public_key")
        );
    }
    let pair = KeyPair::generate().unwrap();
    let replaced = changed(
        with("authority_secret_key", json!(pair.secret_key.reveal())),
        "/authority_public_key",
        json!(pair.public_key),
    );
    assert_eq!(
        read(&replaced, Some(&previous))
            .unwrap()
            .config
            .authority_secret_key,
        pair.secret_key
    );
}

#[test]
fn solo_mining_needs_no_pool() {
    for upstreams in [json!([]), Value::Null, json!("")] {
        let config = changed(samples::solo().to_stored_value(), "/upstreams", upstreams);
        assert_eq!(judged(&config), [""; 0]);
    }
}

#[test]
fn lists_have_an_end() {
    let pools = |count: u16| -> Value {
        let pool = samples::pool().to_stored_value()["upstreams"][0].clone();
        (0..count)
            .map(|at| changed(pool.clone(), "/pool_port", json!(4000 + at)))
            .collect()
    };
    assert_eq!(judged(&with("upstreams", pools(16))), [""; 0]);
    assert_eq!(judged(&with("upstreams", pools(17))), ["/upstreams"]);
    assert_eq!(
        judged(&with("upstreams", Value::Array(vec![json!({}); 100_000]))).len(),
        1 + 16 * 6
    );
    assert_eq!(
        judged(&with("supported_extensions", json!("1 ".repeat(100_000)))),
        ["/supported_extensions"]
    );
}

#[test]
fn no_complaint_quotes_the_secret() {
    let secret = samples::SECRET;
    for config in [
        with("authority_secret_key", json!(format!("{secret}x"))),
        with("authority_public_key", json!(secret)),
        with("authority_public_key", json!(samples::POOL_KEY)),
        with("coinbase_reward_script", json!(secret)),
        with("coinbase_reward_script", json!(format!("addr({secret})"))),
    ] {
        let found = read(&config, None).unwrap_err();
        assert!(
            !serde_json::to_string(&found).unwrap().contains(secret),
            "{found:?}"
        );
    }
}

#[test]
fn addresses_are_read_as_they_are_published_and_pasted() {
    let key = samples::POOL_KEY;
    let mut config = samples::pool().to_stored_value();
    config["upstreams"][0] = json!({
        "pool_address": format!("stratum2+tcp://barn.localhost:4100/{key}"),
        "jds_address": " barn.localhost:4101\n",
        "user_identity": "alice",
    });
    config["template_provider_type"] =
        json!({ "Sv2Tp": { "address": format!("sv2://tp.localhost:8442/{key}") } });
    config["listening_address"] = json!("\u{feff} 0.0.0.0:34000 ");
    config["monitoring_address"] = json!("http://127.0.0.1:9300/metrics");
    let read = read(&config, None).unwrap().config;
    let pool = &read.upstreams[0];
    assert_eq!(
        (pool.pool_address.as_str(), pool.pool_port),
        ("barn.localhost", 4100)
    );
    assert_eq!(
        (pool.jds_address.as_str(), pool.jds_port),
        ("barn.localhost", 4101)
    );
    assert_eq!(pool.authority_pubkey, key);
    assert_eq!(
        read.template_provider_type,
        TemplateProvider::Sv2Tp {
            address: "tp.localhost:8442".into(),
            public_key: Some(key.into()),
            network: None
        }
    );
    assert_eq!(
        read.monitoring_address.unwrap().to_string(),
        "127.0.0.1:9300"
    );

    let refused = |change: &dyn Fn(&mut Value)| {
        let mut sent = samples::pool().to_stored_value();
        change(&mut sent);
        only_error(&sent)
    };
    let (pointer, detail) = refused(&|sent| {
        sent["upstreams"][0]["pool_address"] = json!("stratum+tcp://barn.localhost:3333");
    });
    assert_eq!(pointer, "/upstreams/0/pool_address");
    assert!(detail.contains("Stratum V1"), "{detail}");
    let (pointer, detail) = refused(&|sent| {
        let other = format!("barn.localhost:3333/{EXAMPLE_PUBLIC_KEY}");
        sent["upstreams"][0]["pool_address"] = json!(other);
    });
    assert_eq!(pointer, "/upstreams/0/authority_pubkey");
    assert!(
        detail.contains("contains a different public key"),
        "{detail}"
    );
    let (pointer, detail) = refused(&|sent| {
        sent["upstreams"][0]["pool_address"] = json!("sv2://barn.localhost:3333/barn");
    });
    assert_eq!(pointer, "/upstreams/0/pool_address");
    assert!(detail.contains("key"), "{detail}");
    let (pointer, detail) = refused(&|sent| {
        sent["template_provider_type"]["Sv2Tp"]["address"] = json!("sv2://tp.localhost");
    });
    assert_eq!(pointer, "/template_provider_type/Sv2Tp/address");
    assert!(detail.contains("Enter tp.localhost:8442"), "{detail}");
}
