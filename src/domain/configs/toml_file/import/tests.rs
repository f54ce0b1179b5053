use super::*;
use crate::domain::configs::model::TemplateProvider;
use crate::domain::configs::samples::{self, POOL_FILE, SOLO_FILE};
use crate::domain::keys::MASK;
use proptest::prelude::*;

fn refused(text: &str) -> Vec<(String, Option<usize>)> {
    import(text)
        .expect_err("it should be refused")
        .into_iter()
        .map(|error| (error.key, error.line))
        .collect()
}

fn remarks(text: &str) -> Vec<(String, Option<usize>)> {
    let imported = import(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    imported
        .remarks
        .into_iter()
        .map(|remark| (remark.key, remark.line))
        .collect()
}

fn at(key: &str, line: usize) -> (String, Option<usize>) {
    (key.to_owned(), Some(line))
}

/// The file with the line of `key` replaced by `line`; an empty one takes it out.
fn edited(file: &str, key: &str, line: &str) -> String {
    assert!(file.lines().any(|old| old.starts_with(key)), "{key}");
    file.lines()
        .map(|old| if old.starts_with(key) { line } else { old })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn files_of_the_client_are_read() {
    let solo = import(SOLO_FILE).unwrap();
    assert_eq!(
        (solo.config.mode, solo.config.upstreams.len()),
        (MiningMode::SoloMining, 0)
    );
    assert_eq!(
        solo.config.template_provider_type,
        TemplateProvider::Sv2Tp {
            address: "127.0.0.1:25442".into(),
            public_key: None,
            network: None
        }
    );
    let pool = import(POOL_FILE).unwrap();
    assert_eq!(
        (
            pool.config.upstreams[0].pool_port,
            pool.config.upstreams[0].jds_port
        ),
        (25333, 25334)
    );
    // Both are on the pair and the payout of the examples.
    for file in [SOLO_FILE, POOL_FILE] {
        assert_eq!(
            remarks(file),
            [
                at("authority_public_key", 4),
                at("coinbase_reward_script", 11)
            ]
        );
    }
}

/// The cases of which the client 0.6.0 says what is wrong, without saying where (observed).
#[test]
fn what_the_client_refuses_is_refused_with_key_and_line() {
    let ipc = SOLO_FILE.split("[template").next().unwrap().to_owned()
        + "[template_provider_type.BitcoinCoreIpc]\nversion = 31\nnetwork = \"mainnet\"\nfee_threshold = 100\nmin_interval = 5\n";
    let ipc = edited(
        &ipc,
        "coinbase_reward_script",
        "coinbase_reward_script = \"raw(51)\"",
    );
    assert!(import(&ipc).is_ok());
    let missing = |key: &str| (key.to_owned(), None);
    let core = "template_provider_type.BitcoinCoreIpc";
    for (text, expected) in [
        (
            edited(SOLO_FILE, "listening", ""),
            missing("listening_address"),
        ),
        (
            edited(SOLO_FILE, "listening", "listening_address = \"nonsense\""),
            at("listening_address", 1),
        ),
        (
            edited(SOLO_FILE, "max_", ""),
            missing("max_supported_version"),
        ),
        (
            edited(SOLO_FILE, "max_", "max_supported_version = \"abc\""),
            at("max_supported_version", 2),
        ),
        (
            edited(SOLO_FILE, "max_", "max_supported_version = 70000"),
            at("max_supported_version", 2),
        ),
        (
            edited(SOLO_FILE, "cert", "cert_validity_sec = -1"),
            at("cert_validity_sec", 6),
        ),
        (
            edited(
                SOLO_FILE,
                "authority_public",
                "authority_public_key = \"0auqWEzQ\"",
            ),
            at("authority_public_key", 4),
        ),
        (
            edited(
                SOLO_FILE,
                "authority_secret",
                &format!("authority_secret_key = \"{}\"", samples::PUBLIC),
            ),
            at("authority_secret_key", 5),
        ),
        (
            edited(SOLO_FILE, "authority_secret", "authority_secret_key = \"\""),
            at("authority_secret_key", 5),
        ),
        (
            edited(
                SOLO_FILE,
                "authority_secret",
                &format!("authority_secret_key = \"{MASK}\""),
            ),
            at("authority_secret_key", 5),
        ),
        (
            edited(
                SOLO_FILE,
                "authority_secret",
                &format!("authority_secret_key = \"{}\"", samples::SECRET),
            ),
            at("authority_secret_key", 5),
        ),
        (
            SOLO_FILE.split("[template").next().unwrap().into(),
            missing("template_provider_type"),
        ),
        (
            edited(SOLO_FILE, "[template", "[template_provider_type.foo]"),
            at("template_provider_type", 15),
        ),
        (
            edited(SOLO_FILE, "address", ""),
            at("template_provider_type.Sv2Tp.address", 15),
        ),
        (
            edited(&ipc, "version", "version = 29"),
            at(&format!("{core}.version"), 16),
        ),
        (
            edited(&ipc, "network", "network = \"testnet3\""),
            at(&format!("{core}.network"), 17),
        ),
        (
            edited(&ipc, "min_interval", "min_interval = 300"),
            at(&format!("{core}.min_interval"), 19),
        ),
        (
            edited(&ipc, "fee", ""),
            at(&format!("{core}.fee_threshold"), 15),
        ),
        (edited(POOL_FILE, "[[up", "[[other]]"), missing("upstreams")),
        (
            edited(SOLO_FILE, "coinbase", ""),
            missing("coinbase_reward_script"),
        ),
        (
            edited(
                SOLO_FILE,
                "coinbase",
                "coinbase_reward_script = \"tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft\"",
            ),
            at("coinbase_reward_script", 11),
        ),
        (edited(SOLO_FILE, "jdc", ""), missing("jdc_signature")),
        (
            edited(SOLO_FILE, "shares_per", ""),
            missing("shares_per_minute"),
        ),
        (
            edited(SOLO_FILE, "shares_per", "shares_per_minute = nan"),
            at("shares_per_minute", 7),
        ),
        (
            edited(SOLO_FILE, "share_batch", ""),
            missing("share_batch_size"),
        ),
        (edited(SOLO_FILE, "mode", "mode = \"FOO\""), at("mode", 9)),
        (
            edited(
                SOLO_FILE,
                "monitoring_address",
                "monitoring_address = \"x\"",
            ),
            at("monitoring_address", 12),
        ),
        (
            edited(
                SOLO_FILE,
                "monitoring_cache",
                "supported_extensions = [\n 1,\n \"a\"]",
            ),
            at("supported_extensions[1]", 15),
        ),
        (
            edited(
                SOLO_FILE,
                "monitoring_cache",
                "reserved_downstream_rollable_extranonce_size = 300",
            ),
            at("reserved_downstream_rollable_extranonce_size", 13),
        ),
        (
            edited(POOL_FILE, "user_identity", ""),
            at("upstreams[0].user_identity", 14),
        ),
        (
            edited(POOL_FILE, "pool_port", "pool_port = 70000"),
            at("upstreams[0].pool_port", 17),
        ),
        (
            edited(POOL_FILE, "authority_pubkey", "authority_pubkey = \"x\""),
            at("upstreams[0].authority_pubkey", 15),
        ),
        (
            edited(POOL_FILE, "jds_port", "jds_port = 99999999999999999999"),
            at("upstreams[0].jds_port", 19),
        ),
    ] {
        assert_eq!(refused(&text), [expected], "{text}");
    }
}

#[test]
fn syntax_errors_and_repeated_keys_are_told_with_their_lines() {
    assert_eq!(refused("mode = \"A\"\ninvalid = ["), [at("", 2)]);
    assert_eq!(refused("a = b\nc = 1\nd = e\n"), [at("", 1), at("", 3)]);
    assert_eq!(
        refused(&format!("{SOLO_FILE}mode = 1\nmode = 2\n")),
        [at("", 18)]
    );
    assert_eq!(
        refused(&SOLO_FILE.replace("min_supported", "MODE = \"x\"\nmin_supported")),
        [at("mode", 10)]
    );
    assert!(refused(&"a = [\n".repeat(500)).len() <= MOST_SYNTAX_ERRORS);
}

#[test]
fn case_and_quoted_numbers_do_not_matter() {
    let text = SOLO_FILE
        .replace("max_supported_version = 2", "MAX_SUPPORTED_VERSION = \"2\"")
        .replace("Sv2Tp", "sv2tp")
        .replace("[template_provider_type", "[Template_Provider_Type");
    assert_eq!(
        import(&text).unwrap().config,
        import(SOLO_FILE).unwrap().config
    );
    let text = POOL_FILE
        .replace("25333", "\"25333\"")
        .replace("pool_port", "Pool_Port")
        .replace("3600", "0xe10");
    assert_eq!(
        import(&text).unwrap().config,
        import(POOL_FILE).unwrap().config
    );
}

#[test]
fn files_from_other_systems_are_read_with_the_same_lines() {
    let text = format!("\u{feff}{}", POOL_FILE.replace('\n', "\r\n"));
    assert_eq!(
        import(&text).unwrap().config,
        import(POOL_FILE).unwrap().config
    );
    assert_eq!(
        refused(&text.replace("25333", "0")),
        [at("upstreams[0].pool_port", 17)]
    );
}

#[test]
fn keys_the_client_passes_over_are_remarked_upon() {
    let text = SOLO_FILE.replace(
        "upstreams = []",
        "tp_address = 1\nlog_file = \"x\"\nupstreams = []",
    ) + "fee = 3\n";
    let imported = import(&text).unwrap();
    let told: Vec<_> = imported
        .remarks
        .iter()
        .take(3)
        .map(|r| (r.key.as_str(), r.line.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("tp_address", 14),
            ("log_file", 15),
            ("template_provider_type.Sv2Tp.fee", 19)
        ]
    );
    assert!(
        imported.remarks[0]
            .detail
            .ends_with("below [template_provider_type.Sv2Tp].")
    );
    let many: String = (0..1000).map(|i| format!("k{i} = 1\n")).collect();
    assert!(import(&(many + SOLO_FILE)).unwrap().remarks.len() < 60);
}

#[test]
fn a_key_that_slid_below_a_table_is_found_where_it_is() {
    let line = "share_batch_size = 3\n";
    let optional = "max_past_jobs = 3\n";
    let text = SOLO_FILE.replace(line, "") + line + optional;
    let errors = import(&text).unwrap_err();
    assert_eq!(
        (errors.len(), errors[0].key.as_str(), errors[0].line),
        (1, "share_batch_size", Some(16))
    );
    assert!(
        errors[0]
            .detail
            .contains("below [template_provider_type.Sv2Tp]"),
        "{errors:?}"
    );
    let text = SOLO_FILE.to_owned() + optional;
    let imported = import(&text).unwrap();
    assert_eq!(imported.config.max_past_jobs, None);
    assert_eq!(
        (imported.remarks[0].key.as_str(), imported.remarks[0].line),
        ("template_provider_type.Sv2Tp.max_past_jobs", Some(17))
    );
}

#[test]
fn files_of_older_clients_are_filled_in() {
    let older = edited(
        &edited(POOL_FILE, "user_identity", ""),
        "mode",
        "user_identity = \"acct.worker\"",
    );
    let imported = import(&older).unwrap();
    assert_eq!(
        (imported.config.user_identity, imported.config.mode),
        (None, MiningMode::FullTemplate)
    );
    assert_eq!(imported.config.upstreams[0].user_identity, "acct.worker");
    assert!(imported.remarks.iter().any(|remark| remark.key == "mode"));
    let wrong = older.replace("acct.worker", &"x".repeat(300));
    assert_eq!(
        refused(&wrong),
        [at("upstreams[0].user_identity", 9)].map(|(_, line)| ("user_identity".to_owned(), line))
    );

    let core = "[template_provider_type.BitcoinCoreIpc]\nnetwork = \"testnet4\"\nfee_threshold = 100\nmin_interval = 5\n";
    let version =
        |file: &str| match import(&(file.split("[template").next().unwrap().to_owned() + core))
            .unwrap()
            .config
            .template_provider_type
        {
            TemplateProvider::BitcoinCoreIpc { version, .. } => version,
            TemplateProvider::Sv2Tp { .. } => 0,
        };
    assert_eq!((version(&older), version(POOL_FILE)), (30, 31));
    assert_eq!(
        version(&older.replace(
            "cert_",
            "reserved_downstream_rollable_extranonce_size = 8\ncert_"
        )),
        31
    );
}

#[test]
fn no_error_shows_the_secret() {
    let secret = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
    for text in [
        POOL_FILE.replace(&format!("\"{secret}\""), &format!("\"{secret}x\"")),
        POOL_FILE.replace(&format!("\"{secret}\""), secret),
        POOL_FILE.replace(&format!("\"{secret}\""), &format!("\"{secret}")),
        POOL_FILE.replace(
            "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
            secret,
        ),
    ] {
        assert!(
            !serde_json::to_string(&import(&text).unwrap_err())
                .unwrap()
                .contains(secret)
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}|[\\[\\]{}a-z.=\"'#\n 0-9,_]{0,200}") {
        if let Err(errors) = import(&text) {
            prop_assert!(!errors.is_empty());
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused_with_lines_it_has(at in 0..POOL_FILE.len(), length in 0_usize..40, put in "\\PC{0,8}") {
        let end = (at + length).min(POOL_FILE.len());
        let text = format!("{}{put}{}", &POOL_FILE[..at], &POOL_FILE[end..]);
        let told = match import(&text) {
            Ok(imported) => imported.remarks,
            Err(errors) => errors,
        };
        let lines = text.matches('\n').count() + 1;
        prop_assert!(told.iter().all(|one| one.line.is_none_or(|line| (1..=lines).contains(&line))), "{:?}", told);
    }
}

/// Every case of which it was observed what the client 0.6.0 makes of it: here each is refused
/// first, with the key it is about, or never reaches a client.
#[test]
fn every_observed_refusal_of_the_client_comes_first_from_us() {
    let observed: Vec<&str> = include_str!("../../../../../tests/data/jd-client/config_errors.txt")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let ipc = SOLO_FILE.split("[template").next().unwrap().to_owned()
        + "[template_provider_type.BitcoinCoreIpc]\nversion = 31\nnetwork = \"testnet4\"\nfee_threshold = 100\nmin_interval = 5\n";
    let solo = |key: &str, line: &str| edited(SOLO_FILE, key, line);
    let pool = |key: &str, line: &str| edited(POOL_FILE, key, line);
    let core = |key: &str, line: &str| edited(&ipc, key, line);
    let top = |line: &str| format!("{line}\n{SOLO_FILE}");
    let public = |text: &str| {
        solo(
            "authority_public",
            &format!("authority_public_key = \"{text}\""),
        )
    };
    let payout = |text: &str| solo("coinbase", &format!("coinbase_reward_script = \"{text}\""));
    let ipc_key = |key: &str| format!("template_provider_type.BitcoinCoreIpc.{key}");
    // What the case is called, the file, the key that is named.
    let refused_first: Vec<(&str, String, String)> = [
        ("TOML syntax", "invalid = [\n".to_owned(), ""),
        (
            "missing listening_address",
            solo("listening", ""),
            "listening_address",
        ),
        (
            "bad listening_address",
            solo("listening", "listening_address = \"nonsense\""),
            "listening_address",
        ),
        (
            "missing max_supported_version",
            solo("max_", ""),
            "max_supported_version",
        ),
        (
            "max version string",
            solo("max_", "max_supported_version = \"abc\""),
            "max_supported_version",
        ),
        (
            "max version too big",
            solo("max_", "max_supported_version = 70000"),
            "max_supported_version",
        ),
        (
            "negative cert",
            solo("cert", "cert_validity_sec = -1"),
            "cert_validity_sec",
        ),
        (
            "bad pubkey checksum",
            public("9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH73"),
            "authority_public_key",
        ),
        (
            "pubkey illegal char",
            public("0auqWEzQDVyd2oe1JVGF"),
            "authority_public_key",
        ),
        (
            "pubkey version",
            public("2myPhc5vkPzuC5FXNK5tee79WmP7uoLh55SxezoF8iqwF3E3rnPY"),
            "authority_public_key",
        ),
        (
            "pubkey short",
            public("2wmHTKZkLg2QzXyEXGMBXzKP7JXDUt8yy9SA5hoQwERc92qR6c"),
            "authority_public_key",
        ),
        (
            "secret is a pubkey",
            solo(
                "authority_secret",
                &format!("authority_secret_key = \"{}\"", samples::PUBLIC),
            ),
            "authority_secret_key",
        ),
        (
            "empty secret",
            solo("authority_secret", "authority_secret_key = \"\""),
            "authority_secret_key",
        ),
        (
            "missing TP",
            SOLO_FILE.split("[template").next().unwrap().to_owned(),
            "template_provider_type",
        ),
        (
            "bad TP variant",
            solo("[template", "[template_provider_type.foo]"),
            "template_provider_type",
        ),
        (
            "TP missing address",
            solo("address", ""),
            "template_provider_type.Sv2Tp.address",
        ),
        (
            "IPC version 29",
            core("version", "version = 29"),
            &ipc_key("version"),
        ),
        (
            "IPC bad network",
            core("network", "network = \"testnet3\""),
            &ipc_key("network"),
        ),
        (
            "IPC min_interval 300",
            core("min_interval", "min_interval = 300"),
            &ipc_key("min_interval"),
        ),
        (
            "IPC missing fee_threshold",
            core("fee", ""),
            &ipc_key("fee_threshold"),
        ),
        ("missing upstreams", pool("[[up", "[[other]]"), "upstreams"),
        (
            "missing coinbase",
            solo("coinbase", ""),
            "coinbase_reward_script",
        ),
        (
            "bare address coinbase",
            payout("tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft"),
            "coinbase_reward_script",
        ),
        (
            "bad addr coinbase",
            payout("addr(tb1qxxx)"),
            "coinbase_reward_script",
        ),
        (
            "bad checksum coinbase",
            payout("addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)#wdnlkpe7"),
            "coinbase_reward_script",
        ),
        ("missing jdc_signature", solo("jdc_", ""), "jdc_signature"),
        (
            "missing shares_per_minute",
            solo("shares", ""),
            "shares_per_minute",
        ),
        (
            "missing share_batch_size",
            solo("share_batch", ""),
            "share_batch_size",
        ),
        ("bad mode", solo("mode", "mode = \"FOO\""), "mode"),
        (
            "bad monitoring addr",
            solo(
                "monitoring_address",
                "monitoring_address = \"localhost:9091\"",
            ),
            "monitoring_address",
        ),
        (
            "bad ext",
            top("supported_extensions = [\"a\"]"),
            "supported_extensions[0]",
        ),
        (
            "reserved rollable 300",
            top("reserved_downstream_rollable_extranonce_size = 300"),
            "reserved_downstream_rollable_extranonce_size",
        ),
        (
            "upstream missing user_identity",
            pool("user_identity", ""),
            "upstreams[0].user_identity",
        ),
        (
            "pool_port 70000",
            pool("pool_port", "pool_port = 70000"),
            "upstreams[0].pool_port",
        ),
        (
            "upstream bad key",
            pool("authority_pubkey", "authority_pubkey = \"x\""),
            "upstreams[0].authority_pubkey",
        ),
    ]
    .into_iter()
    .map(|(case, file, key)| (case, file, key.to_owned()))
    .collect();
    for (case, file, key) in &refused_first {
        let errors = import(file).expect_err(case);
        assert!(
            errors.iter().all(|error| error.key == *key),
            "{case}: {errors:?}"
        );
        // A sentence for people, not the client's words.
        assert!(
            errors[0].detail.ends_with(['.', '?', ')']) && errors[0].detail.contains(' '),
            "{case}: {errors:?}"
        );
    }

    // What the manager settles itself, so that no client is ever told of it.
    let settled = [
        (
            "IPC without version",
            core("version", ""),
            ipc_key("version"),
            "version = ",
        ),
        (
            "log_file bad var",
            top("log_file = \"$NOPE_X/jdc.log\""),
            "log_file".to_owned(),
            "",
        ),
        (
            "log_file unwritable",
            top("log_file = \"/nowhere/jdc.log\""),
            "log_file".to_owned(),
            "",
        ),
    ];
    for (case, file, key, written) in &settled {
        let imported = import(file).unwrap_or_else(|errors| panic!("{case}: {errors:?}"));
        assert!(
            imported.remarks.iter().any(|remark| remark.key == *key),
            "{case}: {:?}",
            imported.remarks
        );
        let file = crate::domain::configs::toml_file::render(
            &imported.config,
            &crate::domain::configs::ClientVersion::NEWEST_KNOWN,
        )
        .unwrap();
        assert!(
            file.contains(written) && !file.contains("log_file"),
            "{case}: {file}"
        );
    }
    // A client is never started without a file.
    let no_file = ["missing file, no env"];

    let mut known: Vec<&str> = refused_first
        .iter()
        .map(|(case, ..)| *case)
        .chain(settled.iter().map(|(case, ..)| *case))
        .collect();
    known.extend(no_file);
    known.sort_unstable();
    let mut observed = observed;
    observed.sort_unstable();
    assert_eq!(known, observed);
}
