use super::*;
use crate::configs::model::TemplateProvider;
use crate::configs::samples::{self, POOL_FILE, SOLO_FILE};
use crate::keys::MASK;
use proptest::prelude::*;

fn refused(text: &str) -> Vec<(String, Option<usize>)> {
    import(text).expect_err("it should be refused").into_iter().map(|error| (error.key, error.line)).collect()
}

fn remarks(text: &str) -> Vec<(String, Option<usize>)> {
    let imported = import(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    imported.remarks.into_iter().map(|remark| (remark.key, remark.line)).collect()
}

fn at(key: &str, line: usize) -> (String, Option<usize>) {
    (key.to_owned(), Some(line))
}

/// The file with the line of `key` replaced by `line`; an empty one takes it out.
fn edited(file: &str, key: &str, line: &str) -> String {
    assert!(file.lines().any(|old| old.starts_with(key)), "{key}");
    file.lines().map(|old| if old.starts_with(key) { line } else { old }).collect::<Vec<_>>().join("\n")
}

#[test]
fn files_of_the_client_are_read() {
    let solo = import(SOLO_FILE).unwrap();
    assert_eq!((solo.config.mode, solo.config.upstreams.len()), (Mode::SoloMining, 0));
    assert_eq!(
        solo.config.template_provider_type,
        TemplateProvider::Sv2Tp { address: "127.0.0.1:25442".into(), public_key: None }
    );
    let pool = import(POOL_FILE).unwrap();
    assert_eq!((pool.config.upstreams[0].pool_port, pool.config.upstreams[0].jds_port), (25333, 25334));
    // Both are on the pair and the payout of the examples.
    for file in [SOLO_FILE, POOL_FILE] {
        assert_eq!(remarks(file), [at("authority_public_key", 4), at("coinbase_reward_script", 11)]);
    }
}

/// The cases of which the client 0.6.0 says what is wrong, without saying where (observed).
#[test]
fn what_the_client_refuses_is_refused_with_key_and_line() {
    let ipc = SOLO_FILE.split("[template").next().unwrap().to_owned()
        + "[template_provider_type.BitcoinCoreIpc]\nversion = 31\nnetwork = \"mainnet\"\nfee_threshold = 100\nmin_interval = 5\n";
    let ipc = edited(&ipc, "coinbase_reward_script", "coinbase_reward_script = \"raw(51)\"");
    assert!(import(&ipc).is_ok());
    let missing = |key: &str| (key.to_owned(), None);
    let core = "template_provider_type.BitcoinCoreIpc";
    for (text, expected) in [
        (edited(SOLO_FILE, "listening", ""), missing("listening_address")),
        (edited(SOLO_FILE, "listening", "listening_address = \"nonsense\""), at("listening_address", 1)),
        (edited(SOLO_FILE, "max_", ""), missing("max_supported_version")),
        (edited(SOLO_FILE, "max_", "max_supported_version = \"abc\""), at("max_supported_version", 2)),
        (edited(SOLO_FILE, "max_", "max_supported_version = 70000"), at("max_supported_version", 2)),
        (edited(SOLO_FILE, "cert", "cert_validity_sec = -1"), at("cert_validity_sec", 6)),
        (edited(SOLO_FILE, "authority_public", "authority_public_key = \"0auqWEzQ\""), at("authority_public_key", 4)),
        (
            edited(SOLO_FILE, "authority_secret", &format!("authority_secret_key = \"{}\"", samples::PUBLIC)),
            at("authority_secret_key", 5),
        ),
        (edited(SOLO_FILE, "authority_secret", "authority_secret_key = \"\""), at("authority_secret_key", 5)),
        (edited(SOLO_FILE, "authority_secret", &format!("authority_secret_key = \"{MASK}\"")), at("authority_secret_key", 5)),
        (
            edited(SOLO_FILE, "authority_secret", &format!("authority_secret_key = \"{}\"", samples::SECRET)),
            at("authority_secret_key", 5),
        ),
        (SOLO_FILE.split("[template").next().unwrap().into(), missing("template_provider_type")),
        (edited(SOLO_FILE, "[template", "[template_provider_type.foo]"), at("template_provider_type", 15)),
        (edited(SOLO_FILE, "address", ""), at("template_provider_type.Sv2Tp.address", 15)),
        (edited(&ipc, "version", "version = 29"), at(&format!("{core}.version"), 16)),
        (edited(&ipc, "network", "network = \"testnet3\""), at(&format!("{core}.network"), 17)),
        (edited(&ipc, "min_interval", "min_interval = 300"), at(&format!("{core}.min_interval"), 19)),
        (edited(&ipc, "fee", ""), at(&format!("{core}.fee_threshold"), 15)),
        (edited(POOL_FILE, "[[up", "[[other]]"), missing("upstreams")),
        (edited(SOLO_FILE, "coinbase", ""), missing("coinbase_reward_script")),
        (
            edited(SOLO_FILE, "coinbase", "coinbase_reward_script = \"tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft\""),
            at("coinbase_reward_script", 11),
        ),
        (edited(SOLO_FILE, "jdc", ""), missing("jdc_signature")),
        (edited(SOLO_FILE, "shares_per", ""), missing("shares_per_minute")),
        (edited(SOLO_FILE, "shares_per", "shares_per_minute = nan"), at("shares_per_minute", 7)),
        (edited(SOLO_FILE, "share_batch", ""), missing("share_batch_size")),
        (edited(SOLO_FILE, "mode", "mode = \"FOO\""), at("mode", 9)),
        (edited(SOLO_FILE, "monitoring_address", "monitoring_address = \"x\""), at("monitoring_address", 12)),
        (edited(SOLO_FILE, "monitoring_cache", "supported_extensions = [\n 1,\n \"a\"]"), at("supported_extensions[1]", 15)),
        (
            edited(SOLO_FILE, "monitoring_cache", "reserved_downstream_rollable_extranonce_size = 300"),
            at("reserved_downstream_rollable_extranonce_size", 13),
        ),
        (edited(POOL_FILE, "user_identity", ""), at("upstreams[0].user_identity", 14)),
        (edited(POOL_FILE, "pool_port", "pool_port = 70000"), at("upstreams[0].pool_port", 17)),
        (edited(POOL_FILE, "authority_pubkey", "authority_pubkey = \"x\""), at("upstreams[0].authority_pubkey", 15)),
        (edited(POOL_FILE, "jds_port", "jds_port = 99999999999999999999"), at("upstreams[0].jds_port", 19)),
    ] {
        assert_eq!(refused(&text), [expected], "{text}");
    }
}

#[test]
fn syntax_errors_and_repeated_keys_are_told_with_their_lines() {
    assert_eq!(refused("mode = \"A\"\ninvalid = ["), [at("", 2)]);
    assert_eq!(refused("a = b\nc = 1\nd = e\n"), [at("", 1), at("", 3)]);
    assert_eq!(refused(&format!("{SOLO_FILE}mode = 1\nmode = 2\n")), [at("", 18)]);
    assert_eq!(refused(&SOLO_FILE.replace("min_supported", "MODE = \"x\"\nmin_supported")), [at("mode", 10)]);
    assert!(refused(&"a = [\n".repeat(500)).len() <= MOST_SYNTAX_ERRORS);
}

#[test]
fn case_and_quoted_numbers_do_not_matter() {
    let text = SOLO_FILE
        .replace("max_supported_version = 2", "MAX_SUPPORTED_VERSION = \"2\"")
        .replace("Sv2Tp", "sv2tp")
        .replace("[template_provider_type", "[Template_Provider_Type");
    assert_eq!(import(&text).unwrap().config, import(SOLO_FILE).unwrap().config);
    let text = POOL_FILE.replace("25333", "\"25333\"").replace("pool_port", "Pool_Port").replace("3600", "0xe10");
    assert_eq!(import(&text).unwrap().config, import(POOL_FILE).unwrap().config);
}

#[test]
fn files_from_other_systems_are_read_with_the_same_lines() {
    let text = format!("\u{feff}{}", POOL_FILE.replace('\n', "\r\n"));
    assert_eq!(import(&text).unwrap().config, import(POOL_FILE).unwrap().config);
    assert_eq!(refused(&text.replace("25333", "0")), [at("upstreams[0].pool_port", 17)]);
}

#[test]
fn keys_the_client_passes_over_are_remarked_upon() {
    let text = SOLO_FILE.replace("upstreams = []", "tp_address = 1\nlog_file = \"x\"\nupstreams = []") + "fee = 3\n";
    let imported = import(&text).unwrap();
    let told: Vec<_> = imported.remarks.iter().take(3).map(|r| (r.key.as_str(), r.line.unwrap())).collect();
    assert_eq!(told, [("tp_address", 14), ("log_file", 15), ("template_provider_type.Sv2Tp.fee", 19)]);
    assert!(imported.remarks[0].detail.ends_with("template_provider_type.Sv2Tp.address now."));
    let many: String = (0..1000).map(|i| format!("k{i} = 1\n")).collect();
    assert!(import(&(many + SOLO_FILE)).unwrap().remarks.len() < 60);
}

#[test]
fn a_key_that_slid_below_a_table_is_found_where_it_is() {
    let line = "share_batch_size = 3\n";
    let optional = "max_past_jobs = 3\n";
    let text = SOLO_FILE.replace(line, "") + line + optional;
    let errors = import(&text).unwrap_err();
    assert_eq!((errors.len(), errors[0].key.as_str(), errors[0].line), (1, "share_batch_size", Some(16)));
    assert!(errors[0].detail.contains("below [template_provider_type.Sv2Tp]"), "{errors:?}");
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
    let older = edited(&edited(POOL_FILE, "user_identity", ""), "mode", "user_identity = \"acct.worker\"");
    let imported = import(&older).unwrap();
    assert_eq!((imported.config.user_identity, imported.config.mode), (None, Mode::FullTemplate));
    assert_eq!(imported.config.upstreams[0].user_identity, "acct.worker");
    assert!(imported.remarks.iter().any(|remark| remark.key == "mode"));
    let wrong = older.replace("acct.worker", &"x".repeat(300));
    assert_eq!(refused(&wrong), [at("upstreams[0].user_identity", 9)].map(|(_, line)| ("user_identity".to_owned(), line)));

    let core = "[template_provider_type.BitcoinCoreIpc]\nnetwork = \"testnet4\"\nfee_threshold = 100\nmin_interval = 5\n";
    let version = |file: &str| match import(&(file.split("[template").next().unwrap().to_owned() + core))
        .unwrap()
        .config
        .template_provider_type
    {
        TemplateProvider::BitcoinCoreIpc { version, .. } => version,
        TemplateProvider::Sv2Tp { .. } => 0,
    };
    assert_eq!((version(&older), version(POOL_FILE)), (30, 31));
    assert_eq!(version(&older.replace("cert_", "reserved_downstream_rollable_extranonce_size = 8\ncert_")), 31);
}

#[test]
fn no_error_shows_the_secret() {
    let secret = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
    for text in [
        POOL_FILE.replace(&format!("\"{secret}\""), &format!("\"{secret}x\"")),
        POOL_FILE.replace(&format!("\"{secret}\""), secret),
        POOL_FILE.replace(&format!("\"{secret}\""), &format!("\"{secret}")),
        POOL_FILE.replace("9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72", secret),
    ] {
        assert!(!serde_json::to_string(&import(&text).unwrap_err()).unwrap().contains(secret));
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
