//! Random configurations that obey the rules, as JSON: for properties of what is written, read
//! back, and taken by the real client.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Pairs of keys from the tests of the client's own library and from its examples.
const PAIRS: [(&str, &str); 2] = [
    (
        "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan",
        "zmBEmPhqo3A92FkiLVvyCz6htc3e53ph3ZbD4ASqGaLjwnFLi",
    ),
    (
        "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
        "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n",
    ),
];
const KEYS: [&str; 3] = [
    "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc",
    "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan",
    "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
];
/// Payouts of every kind, for any chain but mainnet and for those that name none.
const PAYOUTS: [&str; 7] = [
    "addr(tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t)",
    "addr(mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn)",
    "raw(51)",
    "raw()",
    "wpkh(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)",
    "tr(79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)",
    "pkh(xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8/1/2)",
];

/// Any configuration that may be saved, in the shape of today. Its template provider is on this
/// machine.
pub fn any() -> impl Strategy<Value = Value> {
    let head = (
        listener(1024..30_000),
        0_u16..=2,
        2_u16..=9,
        prop::sample::select(&PAIRS[..]),
        mode(),
        prop::sample::select(&PAYOUTS[..]),
    );
    let numbers = (
        1_u32..,
        prop_oneof![
            1e-30_f64..1e30,
            Just(6.0),
            (1_u32..1000).prop_map(f64::from)
        ],
        1_u32..,
    );
    let texts = (text(64), prop::option::of(name()));
    let lists = (
        prop::collection::vec(upstream(), 1..4),
        provider(),
        extensions(),
        extensions(),
    );
    let options = (
        prop::option::of(listener(30_000..65_535)),
        prop::option::of(1_u32..),
        prop::option::of(any_u8()),
        prop::option::of(prop::collection::vec((0_u8.., 24_u8..=32), 1..4)),
        prop::option::of(0_u32..),
    );
    (head, numbers, texts, lists, options).prop_map(|(head, numbers, texts, lists, options)| {
        let (listening, least, most, (public, secret), mode, payout) = head;
        let (upstreams, provider, supported, required) = lists;
        let mut config = json!({
            "listening_address": listening, "min_supported_version": least, "max_supported_version": most,
            "authority_public_key": public, "authority_secret_key": secret, "mode": mode, "coinbase_reward_script": payout,
            "cert_validity_sec": numbers.0, "shares_per_minute": numbers.1, "share_batch_size": numbers.2,
            "jdc_signature": texts.0, "upstreams": upstreams, "template_provider_type": provider,
            "supported_extensions": supported, "required_extensions": required,
        });
        let telemetry = options.3.map(|networks| -> Value {
            let cidrs: Vec<String> = networks.into_iter().map(|(third, prefix)| format!("192.168.{third}.0/{prefix}")).collect();
            json!({ "cidrs": cidrs })
        });
        for (key, value) in [
            ("user_identity", texts.1.map(Value::from)),
            ("monitoring_address", options.0.map(Value::from)),
            ("monitoring_cache_refresh_secs", options.1.map(Value::from)),
            ("reserved_downstream_rollable_extranonce_size", options.2.map(Value::from)),
            ("miner_telemetry", telemetry),
            ("max_past_jobs", options.4.map(Value::from)),
        ] {
            if let Some(value) = value {
                config[key] = value;
            }
        }
        config
    })
}

fn any_u8() -> impl Strategy<Value = u8> {
    0_u8..
}

fn listener(ports: std::ops::Range<u16>) -> impl Strategy<Value = String> {
    const HOSTS: [&str; 5] = ["0.0.0.0", "127.0.0.1", "[::1]", "[::]", "192.168.1.9"];
    (prop::sample::select(&HOSTS[..]), ports).prop_map(|(host, port)| format!("{host}:{port}"))
}

fn mode() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["FULLTEMPLATE", "COINBASEONLY", "SOLOMINING"][..])
}

/// Text with everything in it that a file's quotes must withstand, at most so many bytes.
fn text(longest: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\p{Cc}]{0,12}",
        "[\"'\\\\\\[\\]#={}$ ]{0,40}",
        "[ -~]{0,64}"
    ]
    .prop_filter("few enough bytes", move |text| text.len() <= longest)
}

/// The name of an account: not empty, without space around it.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9]{1,12}\\.[a-z0-9]{1,8}", text(200)]
        .prop_map(|name| name.trim().to_owned())
        .prop_filter("an account", |name| !name.is_empty())
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KEYS[..])
}

fn upstream() -> impl Strategy<Value = Value> {
    let host = || {
        prop::sample::select(
            &[
                "pool.attic.localhost",
                "localhost",
                "10.20.30.7",
                "fd12::7",
                "[fd12::8]",
                "a_b-c.localhost.",
            ][..],
        )
    };
    (key(), host(), 1_u16.., host(), 1_u16.., name()).prop_map(
        |(key, pool, pool_port, jds, jds_port, name)| {
            json!({
                "authority_pubkey": key, "pool_address": pool, "pool_port": pool_port,
                "jds_address": jds, "jds_port": jds_port, "user_identity": name,
            })
        },
    )
}

fn provider() -> impl Strategy<Value = Value> {
    let by_address = (
        prop::sample::select(&["127.0.0.1:1", "localhost:1", "[::1]:1"][..]),
        prop::option::of(key()),
    )
        .prop_map(|(address, key)| {
            let mut table = json!({ "address": address });
            if let Some(key) = key {
                table["public_key"] = key.into();
            }
            json!({ "Sv2Tp": table })
        });
    let networks = prop::sample::select(&["testnet4", "signet", "regtest"][..]);
    let by_socket = (30_u8..=31, networks, prop::option::of("/nowhere/[a-z]{1,20}"), 0_u64..=2_100_000_000_000_000, any_u8())
        .prop_map(|(version, network, dir, fee, interval)| {
            let mut table = json!({ "version": version, "network": network, "fee_threshold": fee, "min_interval": interval });
            if let Some(dir) = dir {
                table["data_dir"] = dir.into();
            }
            json!({ "BitcoinCoreIpc": table })
        });
    prop_oneof![by_address, by_socket]
}

fn extensions() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0_u16.., 0..4)
}
