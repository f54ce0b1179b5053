//! Values that setup accepts and rejects.

use super::*;
use crate::domain::configs::pool_list::built_in;
use crate::domain::keys::KeyPair;

const PAYOUT: &str = "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc";
const POOL_KEY: &str = "9bwHCYnjhbHm4AS3pWg9MtAH83mzWohoJJJDELYBqZhDNqszDLc";

fn starting() -> ClientConfig {
    ClientConfig::starting(KeyPair::generate().unwrap())
}

fn pool() -> Value {
    json!({ "authority_pubkey": POOL_KEY, "pool_address": "pool.attic.localhost", "pool_port": 3333,
        "jds_address": "pool.attic.localhost", "jds_port": 3334, "user_identity": "alice.attic" })
}

fn body() -> Value {
    json!({ "name": "barn", "mode": "FULLTEMPLATE", "template_provider": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
        "pools": [pool()], "payout": "wpkh(02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9)" })
}

fn pointers(body: Value) -> Vec<String> {
    let judged = CompleteSetup::of_body(body, &starting(), built_in())
        .unwrap()
        .judge();
    assert_eq!(judged.config.is_none(), !judged.found.errors.is_empty());
    let mut found: Vec<String> = seen_from_the_body(judged.found.errors)
        .into_iter()
        .map(|one| one.pointer)
        .collect();
    found.dedup();
    found
}

fn with(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut body = body();
    change(&mut body);
    pointers(body)
}

#[test]
fn a_body_is_a_configuration_with_keys_of_its_own() {
    let judged = CompleteSetup::of_body(body(), &starting(), built_in())
        .unwrap()
        .judge();
    let config = judged
        .config
        .unwrap_or_else(|| panic!("{:?}", judged.found));
    assert_eq!(
        (config.mode, config.upstreams.len()),
        (MiningMode::FullTemplate, 1)
    );
    assert!(crate::domain::keys::pair_matches(
        &config.authority_public_key,
        &config.authority_secret_key
    ));
}

#[test]
fn everything_wrong_is_named_where_the_program_wrote_it() {
    assert_eq!(
        pointers(json!({})),
        ["/mode", "/template_provider", "/payout", "/name"]
    );
    assert_eq!(with(|b| b["payout"] = "hello".into()), ["/payout"]);
    assert_eq!(
        with(|b| b["pools"][0]["pool_port"] = 0.into()),
        ["/pools/0/pool_port"]
    );
    assert_eq!(with(|b| b["pools"] = json!([])), ["/pools"]);
    assert_eq!(
        with(|b| b["pools"] = json!([{ "known": "nobody", "user_identity": "x" }])),
        ["/pools/0/known"]
    );
    assert_eq!(
        with(|b| b["pools"] = json!([{ "known": "braiins", "user_identity": "x" }])),
        ["/pools/0/known"]
    );
    assert_eq!(
        with(|b| b["pools"] = json!([{ "known": "sri" }])),
        ["/pools/0/user_identity"]
    );
    assert_eq!(
        with(|b| b["pools"] = json!([{ "known": "sri", "user_identity": "alice" }])),
        Vec::<String>::new()
    );
    assert_eq!(with(|b| b["network"] = "moon".into()), ["/network"]);
    assert_eq!(with(|b| b["start"] = "yes".into()), ["/start"]);
    assert_eq!(with(|b| b["name"] = 3.into()), ["/name"]);
    assert!(CompleteSetup::of_body(json!([]), &starting(), built_in()).is_err());
}

#[test]
fn what_stands_in_examples_is_refused_though_saving_would_only_warn() {
    let example = "addr(bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j)";
    assert_eq!(with(|b| b["payout"] = example.into()), ["/payout"]);
    assert_eq!(with(|b| b["payout"] = "raw()".into()), ["/payout"]);
    assert_eq!(
        with(|b| b["pools"][0]["user_identity"] = "your_username_here".into()),
        ["/pools/0/user_identity"]
    );
    assert_eq!(
        with(|b| b["pools"][0]["pool_address"] = "pool.example.com".into()),
        ["/pools/0/pool_address"]
    );
    let provider = json!({ "Sv2Tp": { "address": "tp.example.com:8442", "public_key": POOL_KEY } });
    assert_eq!(
        with(|b| b["template_provider"] = provider),
        ["/template_provider/Sv2Tp/address"]
    );
    // The published key is that of real pools, too.
    assert_eq!(
        with(|b| b["pools"][0]["authority_pubkey"] = crate::domain::keys::EXAMPLE_PUBLIC_KEY.into()),
        Vec::<String>::new()
    );
}

#[test]
fn a_pool_without_a_declaration_server_is_refused_unless_the_own_list_has_one() {
    let publicpool = built_in().get("publicpool").unwrap();
    let mut sent = body();
    sent["pools"][0]["pool_address"] = publicpool.pool_address.clone().into();
    sent["pools"][0]["pool_port"] = publicpool.pool_port.into();
    sent["pools"][0]["authority_pubkey"] = publicpool.authority_pubkey.clone().into();
    assert_eq!(pointers(sent.clone()), ["/pools/0/jds_address"]);
    let mut own = built_in().clone();
    for pool in &mut own.pools {
        if pool.id == "publicpool" {
            (pool.jds_address, pool.jds_port) = (Some("jds.barn.lan".into()), Some(3334));
        }
    }
    let whole = CompleteSetup::of_body(sent.clone(), &starting(), &own).unwrap();
    assert!(whole.judge().config.is_some());
    own.pools.clear();
    let whole = CompleteSetup::of_body(sent, &starting(), &own).unwrap();
    assert!(whole.judge().config.is_some(), "a list of its own counts");
}

#[test]
fn addresses_are_read_as_operators_publish_them() {
    let published = format!("stratum2+tcp://pool.barn.localhost:34254/{POOL_KEY}");
    let pairs = [
        ("upstreams.0.pool_address", published.as_str()),
        ("upstreams.0.pool_port", ""),
        ("upstreams.0.authority_pubkey", ""),
        ("upstreams.0.jds_address", "pool.barn.localhost:34264"),
        ("upstreams.0.jds_port", ""),
        ("upstreams.0.user_identity", "alice.barn"),
    ];
    let said = answers(&[
        (SetupStep::Mode, &[("mode", "FULLTEMPLATE")]),
        (
            SetupStep::Provider,
            &[
                ("template_provider", "sv2tp"),
                (
                    "template_provider_type.Sv2Tp.address",
                    " sv2://127.0.0.1:8442/ ",
                ),
            ],
        ),
        (SetupStep::Pools, &pairs),
        (
            SetupStep::Payout,
            &[
                (
                    "coinbase_reward_script",
                    "bitcoin:bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc?label=barn",
                ),
                ("network", "mainnet"),
            ],
        ),
    ]);
    let judged = CompleteSetup::of_answers(&said, SetupStep::Payout, &starting()).judge();
    assert_eq!(
        judged
            .found
            .errors
            .iter()
            .map(|one| one.pointer.as_str())
            .collect::<Vec<_>>(),
        ["/name"]
    );
    let whole = CompleteSetup::of_answers(&said, SetupStep::Payout, &starting());
    let config = read(&whole.config, None).unwrap().config;
    let pool = &config.upstreams[0];
    assert_eq!(
        (pool.pool_address.as_str(), pool.pool_port, pool.jds_port),
        ("pool.barn.localhost", 34254, 34264)
    );
    assert_eq!(pool.authority_pubkey, POOL_KEY);
    assert_eq!(config.coinbase_reward_script, format!("addr({PAYOUT})"));

    let first = said_of("stratum+ssl://pool.barn.localhost:443");
    assert!(first.contains("Stratum V1"), "{first}");
}

/// What is said about an address of a pool.
fn said_of(address: &str) -> String {
    let mut sent = body();
    sent["pools"][0]["pool_address"] = address.into();
    let judged = CompleteSetup::of_body(sent, &starting(), built_in())
        .unwrap()
        .judge();
    judged.found.errors[0].detail.clone()
}

#[test]
fn a_payout_is_held_against_the_chain_that_is_named() {
    let regtest = "bcrt1q6lt2k7dv37r77waw3el0mcwyk9axu095d2llsz";
    let said = |payout: &str, network: &str| {
        with(|b| {
            b["payout"] = payout.into();
            b["network"] = network.into();
        })
    };
    assert_eq!(said(regtest, "regtest"), Vec::<String>::new());
    for network in ["mainnet", "signet", "testnet4"] {
        assert_eq!(said(regtest, network), ["/payout"], "{network}");
    }
    let ipc = |network: &str| json!({ "BitcoinCoreIpc": { "version": 31, "network": network, "fee_threshold": 1, "min_interval": 1 } });
    for (network, errors) in [("regtest", 0), ("signet", 1), ("mainnet", 1)] {
        let found = with(|b| {
            b["payout"] = regtest.into();
            b["template_provider"] = ipc(network);
        });
        assert_eq!(found.len(), errors, "{network}: {found:?}");
    }
}

fn answers(list: &[(SetupStep, &[(&str, &str)])]) -> SetupAnswers {
    let mut answers = SetupAnswers::default();
    for (step, pairs) in list {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        answers.apply_form(*step, &pairs);
    }
    answers
}

#[test]
fn answers_are_judged_up_to_where_they_go() {
    let mode = (SetupStep::Mode, &[("mode", "FULLTEMPLATE")][..]);
    let provider = (
        SetupStep::Provider,
        &[
            ("template_provider", "sv2tp"),
            ("template_provider_type.Sv2Tp.address", "nonsense"),
        ][..],
    );
    let found = |answers: &SetupAnswers, up_to| {
        let judged = CompleteSetup::of_answers(answers, up_to, &starting()).judge();
        let fields = judged.found.errors.iter().map(|one| field_of(&one.pointer));
        fields
            .filter(|field| SetupStep::of_field(field) == Some(up_to))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&SetupAnswers::default(), SetupStep::Mode), ["mode"]);
    assert_eq!(
        found(&answers(&[mode]), SetupStep::Mode),
        Vec::<String>::new()
    );
    assert_eq!(
        found(&answers(&[mode, provider]), SetupStep::Provider),
        ["template_provider_type.Sv2Tp.address"]
    );
    assert_eq!(found(&answers(&[mode]), SetupStep::Pools), ["upstreams"]);
    assert_eq!(
        found(&answers(&[mode]), SetupStep::Payout),
        ["coinbase_reward_script"]
    );
    let name = (
        SetupStep::Name,
        &[("listening_port", "x"), ("monitoring_port", "70000")][..],
    );
    assert_eq!(
        found(&answers(&[mode, name]), SetupStep::Name),
        ["name", "listening_port", "monitoring_port"]
    );
}

#[test]
fn answers_become_the_configuration_they_mean() {
    let said = answers(&[
        (SetupStep::Mode, &[("mode", "SOLOMINING")]),
        (
            SetupStep::Provider,
            &[
                ("template_provider", "sv2tp"),
                ("template_provider_type.Sv2Tp.address", "127.0.0.1:8442"),
            ],
        ),
        // Typed before the mode was changed: kept, and not used.
        (
            SetupStep::Pools,
            &[("upstreams.0.pool_address", "half a pool")],
        ),
        (
            SetupStep::Payout,
            &[
                ("coinbase_reward_script", PAYOUT),
                ("network", "mainnet"),
                ("jdc_signature", ""),
            ],
        ),
        (
            SetupStep::Name,
            &[
                ("name", "barn"),
                ("reach", "local"),
                ("listening_port", "4000"),
                ("monitoring_port", "4001"),
            ],
        ),
    ]);
    let judged = CompleteSetup::of_answers(&said, SetupStep::Review, &starting()).judge();
    let config = judged
        .config
        .unwrap_or_else(|| panic!("{:?}", judged.found));
    assert_eq!(config.coinbase_reward_script, format!("addr({PAYOUT})"));
    assert_eq!(config.listening_address.to_string(), "127.0.0.1:4000");
    assert_eq!(
        config.monitoring_address.unwrap().to_string(),
        "127.0.0.1:4001"
    );
    assert_eq!(
        (
            config.mode,
            config.upstreams.len(),
            config.jdc_signature.as_str()
        ),
        (MiningMode::SoloMining, 0, "")
    );
}
