//! Recognizes files of other programs and unfilled templates that users import by mistake, and
//! explains them in one sentence. Looks at text only, and quotes names of keys and variables but
//! never values.

use super::toml_file::FileRemark;
use serde_json::Value;

/// Keys that only the client's file has.
const OWN_KEYS: [&str; 5] = [
    "template_provider_type",
    "jdc_signature",
    "listening_address",
    "jds_address",
    "tp_address",
];
/// The maximum number of variables in a message.
const MOST_VARIABLES: usize = 10;
/// The maximum length of a variable name.
const LONGEST_VARIABLE: usize = 60;

/// A program whose files have characteristic keys.
struct OtherProgram {
    /// The program and its file.
    name: &'static str,
    /// What to do instead.
    advice: &'static str,
    /// Keys that the client's file does not have; `[table]` for a table.
    keys: &'static [&'static str],
}

const ANOTHER_FILE: &str =
    "Import the configuration file for jd_client_sv2, often named jdc-config.toml.";

const TRANSLATOR: &str = "the translator (translator_sv2)";

/// Programs with the most specific keys first.
static PROGRAMS: [OtherProgram; 8] = [
    OtherProgram {
        name: TRANSLATOR,
        advice: "Add its settings to a saved configuration.",
        keys: &[
            "downstream_extranonce2_size",
            "aggregate_channels",
            "verify_payout",
            "[downstream_difficulty_config]",
            "[upstream_difficulty_config]",
            "min_individual_miner_hashrate",
            "upstream_authority_pubkey",
            "upstream_address",
        ],
    },
    OtherProgram {
        name: "a job declaration server",
        advice: ANOTHER_FILE,
        keys: &[
            "listen_jd_address",
            "core_rpc_url",
            "core_rpc_port",
            "full_template_mode_required",
            "mempool_update_interval",
        ],
    },
    OtherProgram {
        name: "a pool (pool_sv2)",
        advice: ANOTHER_FILE,
        keys: &[
            "server_id",
            "listen_address",
            "test_only_listen_adress_plain",
            "[jds]",
        ],
    },
    OtherProgram {
        name: "a template provider (sv2-tp.conf)",
        advice: "Enter its address and port in a configuration as the template provider.",
        keys: &[
            "sv2port",
            "sv2bind",
            "sv2interval",
            "sv2feedelta",
            "templateinterval",
            "ipcconnect",
        ],
    },
    OtherProgram {
        name: "Bitcoin Core (bitcoin.conf)",
        advice: "Enter only its network and data directory in a configuration.",
        keys: &[
            "rpcuser",
            "rpcpassword",
            "rpcauth",
            "rpcbind",
            "rpcallowip",
            "rpcport",
            "txindex",
            "ipcbind",
            "prune",
            "dbcache",
            "addnode",
            "zmqpubrawblock",
            "zmqpubhashblock",
            "blockmaxweight",
            "testnet4",
            "regtest",
            "signet",
            "server",
        ],
    },
    OtherProgram {
        name: "jd-manager's own list of pools (pools.toml)",
        advice: "Put it in the data directory, where setup reads it.",
        keys: &["[pool]"],
    },
    OtherProgram {
        name: "systemd (a unit)",
        advice: "Import the file after -c in ExecStart.",
        keys: &["ExecStart", "[Service]", "[Unit]"],
    },
    OtherProgram {
        name: "Cargo (Cargo.toml)",
        advice: ANOTHER_FILE,
        keys: &["[package]", "[dependencies]"],
    },
];

/// Why a text is not a client's file, if it is recognized as something else.
pub fn refusal(text: &str) -> Option<FileRemark> {
    unfilled(text).or_else(|| recognize(text))
}

/// The same for JSON, which Stratum V1 programs use for their settings.
pub fn json_refusal(body: &Value) -> Option<String> {
    let has_urls = body
        .get("pools")
        .and_then(Value::as_array)
        .is_some_and(|pools| pools.iter().any(|pool| pool.get("url").is_some()));
    let is_first_version =
        has_urls || body.get("btcd").is_some() || body.get("btcaddress").is_some();
    is_first_version.then(|| {
        format!(
            "This is a configuration file for a Stratum V1 miner or pool, not for jd_client_sv2. {ANOTHER_FILE}"
        )
    })
}

/// Whether a text is a configuration file for the translator.
pub fn is_translator_file(text: &str) -> bool {
    let keys = keys_of(text);
    unfilled(text).is_none()
        && !is_own(&keys)
        && compose(text).is_none()
        && program_of(&keys).is_some_and(|(.., program)| program.name == TRANSLATOR)
}

fn recognize(text: &str) -> Option<FileRemark> {
    let keys = keys_of(text);
    if is_own(&keys) {
        return None;
    }
    compose(text).or_else(|| {
        let (line, key, program) = program_of(&keys)?;
        Some(FileRemark {
            key: String::new(),
            line: Some(line),
            detail: format!(
                "{key} shows that this is a configuration file for {}, not for jd_client_sv2. {}",
                program.name, program.advice
            ),
        })
    })
}

/// The keys and tables of a text with their lines.
fn keys_of(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(at, line)| Some((at + 1, key_of(line)?)))
        .collect()
}

/// Whether a text with these keys is a client's file.
fn is_own(keys: &[(usize, String)]) -> bool {
    keys.iter().any(|(_, key)| {
        OWN_KEYS
            .iter()
            .any(|own| own.eq_ignore_ascii_case(key.trim_matches(['[', ']', '"'])))
    })
}

/// The first program with one of these keys, the key and its line.
fn program_of(keys: &[(usize, String)]) -> Option<(usize, &str, &'static OtherProgram)> {
    PROGRAMS.iter().find_map(|program| {
        let (line, key) = keys.iter().find(|(_, key)| {
            program
                .keys
                .iter()
                .any(|known| known.eq_ignore_ascii_case(key))
        })?;
        Some((*line, key.as_str(), program))
    })
}

/// The key that a line sets, or the table that it starts, with brackets.
fn key_of(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    if let Some(header) = line.strip_prefix('[') {
        let name = header.trim_start_matches('[').split(']').next()?;
        return Some(format!("[{}]", name.trim()));
    }
    let (key, _) = line.split_once(['=', ':'])?;
    let key = key.trim();
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.\"".contains(&b));
    is_key.then(|| key.to_owned())
}

/// A Docker Compose file without variables of the client. Files with such variables are imported.
fn compose(text: &str) -> Option<FileRemark> {
    let line = text
        .lines()
        .position(|line| line.trim_end() == "services:")?;
    let has_service = text.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("image:") || line.starts_with("build:") || line.starts_with("environment:")
    });
    let other = [
        ("TPROXY__", "the translator"),
        ("POOL__", "a pool"),
        ("JDS__", "a job declaration server"),
    ]
    .into_iter()
    .find(|(prefix, _)| text.to_ascii_uppercase().contains(prefix));
    let whose = match other {
        Some((prefix, program)) => format!(" with the settings of {program} ({prefix}…)"),
        None => " without client settings (JDC__…)".into(),
    };
    has_service.then(|| FileRemark {
        key: String::new(),
        line: Some(line + 1),
        detail: format!(
            "This is a Docker Compose file{whose}. Import its client's configuration file, often named jdc-config.toml."
        ),
    })
}

/// The delimiters of template variables.
const MARKS: [(&str, &str); 4] = [("${", "}"), ("{{", "}}"), ("{%", "%}"), ("<%", "%>")];

/// A template with variables that were not filled in.
fn unfilled(text: &str) -> Option<FileRemark> {
    let found: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .flat_map(|(at, line)| {
            unfilled_variables(line)
                .into_iter()
                .map(move |name| (at + 1, name))
        })
        .collect();
    let (first, _) = found.first()?;
    let mut listed: Vec<String> = found
        .iter()
        .take(MOST_VARIABLES)
        .map(|(line, name)| format!("{name} on line {line}"))
        .collect();
    if found.len() > MOST_VARIABLES {
        listed.push(format!("{} more", found.len() - MOST_VARIABLES));
    }
    Some(FileRemark {
        key: String::new(),
        line: Some(*first),
        detail: format!(
            "This is a template with empty variables: {}. Fill in the values, then import the file.",
            listed.join(", ")
        ),
    })
}

/// A line of TOML up to its comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '#' => return line.get(..at).unwrap_or_default(),
            None => {}
        }
    }
    line
}

fn unfilled_variables(line: &str) -> Vec<String> {
    let trimmed = without_comment(line.trim_start());
    // The client itself fills variables in paths.
    let is_path = ["log_file", "data_dir"]
        .iter()
        .any(|key| trimmed.starts_with(key));
    let mut found = Vec::new();
    let mut rest = trimmed;
    if is_path {
        return found;
    }
    while let Some((at, open, close)) = MARKS
        .iter()
        .filter_map(|(open, close)| Some((rest.find(open)?, *open, *close)))
        .min_by_key(|(at, ..)| *at)
    {
        let Some(inside) = rest.get(at + open.len()..) else {
            break;
        };
        let Some((name, after)) = inside.split_once(close) else {
            break;
        };
        let is_name = !name.trim().is_empty()
            && name.chars().count() <= LONGEST_VARIABLE
            && !name.chars().any(char::is_control)
            && !name.contains(['=', '{']);
        if is_name {
            found.push(format!("{open}{name}{close}"));
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples::{POOL_FILE, SOLO_FILE};
    use proptest::prelude::*;

    fn said(text: &str) -> (Option<usize>, String) {
        let found = refusal(text).unwrap_or_else(|| panic!("not recognized: {text}"));
        (found.line, found.detail)
    }

    #[test]
    fn files_of_other_programs_are_recognized_in_a_sentence() {
        for (text, line, says) in [
            (
                "# V1 miners\ndownstream_address = \"0.0.0.0\"\nmax_supported_version = 2\naggregate_channels = true\n",
                4,
                "a configuration file for the translator (translator_sv2), not for jd_client_sv2",
            ),
            (
                "[downstream_difficulty_config]\nshares_per_minute = 6.0\n",
                1,
                "the translator",
            ),
            (
                "authority_public_key = \"x\"\nlisten_address = \"0.0.0.0:3333\"\n",
                2,
                "a pool (pool_sv2)",
            ),
            (
                "core_rpc_url = \"http://10.0.0.5\"\n",
                1,
                "a job declaration server",
            ),
            (
                "# barn\nchain=main\nsv2port=8442\nsv2bind=10.0.0.5\n",
                3,
                "sv2-tp.conf",
            ),
            (
                "server=1\nrpcuser=barn\nrpcpassword=hay\n[signet]\n",
                1,
                "Bitcoin Core (bitcoin.conf)",
            ),
            ("ipcbind=unix\n", 1, "bitcoin.conf"),
            (
                "version: '3'\nservices:\n  barn:\n    image: stratumv2/translator_sv2:v0.8.0\n    environment:\n      TPROXY__DOWNSTREAM_PORT: 1\n",
                2,
                "Docker Compose file with the settings of the translator",
            ),
            (
                "services:\n  barn:\n    image: nginx\n",
                1,
                "without client settings",
            ),
            (
                "[Unit]\nDescription=barn\n[Service]\nExecStart=/opt/jd_client_sv2 -c /etc/jdc.toml\n",
                1,
                "systemd",
            ),
        ] {
            let (at, detail) = said(text);
            assert_eq!(at, Some(line), "{detail}");
            assert!(detail.contains(says) && !detail.contains("hay"), "{detail}");
        }
        for own in [SOLO_FILE, POOL_FILE, "", "x = 1", "mode = \"SOLOMINING\"\n"] {
            assert_eq!(refusal(own), None);
            assert!(!is_translator_file(own));
        }
        for (text, is_so) in [
            ("[Downstream_difficulty_config]\n", true),
            ("aggregate_channels = true\n", true),
            ("aggregate_channels = true\nx = \"${Y}\"\n", false),
            ("listen_address = \"0.0.0.0:3333\"\n", false),
            (
                "services:\n  a:\n    image: b\n    aggregate_channels: 1\n",
                false,
            ),
        ] {
            assert_eq!(is_translator_file(text), is_so, "{text}");
        }
    }

    #[test]
    fn json_of_programs_for_the_first_protocol_is_recognized() {
        let miner = serde_json::json!({ "pools": [{ "url": "stratum+tcp://barn.lan:3333", "user": "barn" }] });
        assert!(json_refusal(&miner).unwrap().contains("Stratum V1"));
        let config =
            serde_json::json!({ "pools": [{ "pool_address": "barn.lan" }], "mode": "SOLOMINING" });
        assert_eq!(json_refusal(&config), None);
    }

    #[test]
    fn templates_name_what_is_to_be_filled_in() {
        let file = SOLO_FILE
            .replace("127.0.0.1:25442", "{{ tp_host }}:{{tp_port}}")
            .replace("\"Sv2MinerSignature\"", "\"${BARN_TAG}\"");
        let (line, detail) = said(&file);
        assert_eq!(line, Some(10));
        for place in [
            "${BARN_TAG} on line 10",
            "{{ tp_host }} on line 16",
            "{{tp_port}} on line 16",
        ] {
            assert!(detail.contains(place), "{detail}");
        }
        assert!(
            said("a = 1\n{% if barn %}\n")
                .1
                .contains("{% if barn %} on line 2")
        );
        let many: String = (0..30)
            .map(|at| format!("k{at} = \"${{V{at}}}\"\n"))
            .collect();
        assert!(said(&many).1.contains("20 more"));
        for filled in [
            "# set ${HOME} first\n",
            "log_file = \"${HOME}/jdc.log\"\n",
            "a = { b = { c = 1 }}\n",
            "jdc_signature = \"${}\"\n",
        ] {
            assert_eq!(refusal(filled), None, "{filled}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in "(\\PC{0,10}|[\\[\\]${}%<>=: a-z\n]{0,12}){0,10}") {
            if let Some(found) = refusal(&text) {
                let lines = text.lines().count();
                prop_assert!(found.line.is_some_and(|line| (1..=lines).contains(&line)));
            }
        }
    }

    #[test]
    fn a_variable_in_a_comment_is_no_template() {
        assert_eq!(
            unfilled_variables("user_identity = \"acct#1\" # or ${WORKER}, {{ x }}"),
            Vec::<String>::new()
        );
        assert_eq!(
            unfilled_variables("user_identity = \"#${WORKER}\" # the account"),
            ["${WORKER}"]
        );
    }
}
