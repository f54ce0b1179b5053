//! The fields of the client's configuration: key, kind, label, help text, and the client versions
//! that read them.
//!
//! [`FIELDS`] is the only list of fields. Forms, import, the client's file, the history and setup
//! all read it. The column `presence` is the client's configuration schema as data, taken from the
//! sources of 0.1.0 to 0.6.0. This module must not depend on the values of a configuration.

use FieldGroup::{
    Core, Declarator, Hidden, Keys, Miners, Payout, Pool, Provider, Rare, Stratum1, Tp, Work,
};
use FieldKind::{Choice, Code, Decimal, Host, List, Secret, Table, Text, Whole};

/// How a client version treats a key in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPresence {
    /// The client does not start without it.
    Required,
    /// It has a default.
    Optional,
    /// Read by another version, silently ignored by this one.
    Ignored,
    /// Unknown, and also ignored, because the client ignores unknown keys.
    Absent,
}

/// The number of configuration schemas. `version.rs` lists the first client version of each.
pub(super) const SCHEMAS: usize = 7;

/// How each schema treats a key.
type SchemaPresence = [KeyPresence; SCHEMAS];

/// The parts of a form. Each part is a row of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldGroup {
    /// Not in any form.
    Hidden,
    /// The mining mode.
    Work,
    /// A pool.
    Pool,
    /// The pool's job declaration server.
    Declarator,
    /// The payout.
    Payout,
    /// The kind of template provider.
    Provider,
    /// A template provider reached by address.
    Tp,
    /// Bitcoin Core on this machine.
    Core,
    /// The miners that connect to the client.
    Miners,
    /// The translator, for Stratum V1 miners.
    Stratum1,
    /// The client's own key pair.
    Keys,
    /// Advanced settings.
    Rare,
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Plain text.
    Text,
    /// Text such as a key or an address, shown in a monospaced font.
    Code,
    /// A host, with or without port.
    Host,
    /// A whole number.
    Whole,
    /// A number.
    Decimal,
    /// One of a few values.
    Choice,
    /// A list of single values; one text field in a form.
    List,
    /// A secret, which is never shown.
    Secret,
    /// A table of other fields.
    Table,
}

impl FieldKind {
    /// The CSS class of the field on a page.
    pub fn class(self) -> &'static str {
        if self == Text { "" } else { "mono" }
    }

    /// The `inputmode` of the field, which selects the on-screen keyboard.
    pub fn input_mode(self) -> &'static str {
        match self {
            Host => "url",
            Whole => "numeric",
            Decimal => "decimal",
            _ => "text",
        }
    }
}

/// A field of the client's configuration.
#[derive(Clone, Copy, Debug)]
pub struct ConfigField {
    /// The key with the names of its tables. `[]` means each element of an array:
    /// `upstreams[].pool_port`.
    pub key: &'static str,
    /// The part of the form that contains the field.
    pub group: FieldGroup,
    /// The type of the field.
    pub kind: FieldKind,
    /// One entry per schema.
    pub presence: SchemaPresence,
    /// The label on pages; empty if the field is not in any form.
    pub label: &'static str,
    /// The instruction shown if the field is missing; empty if the field is optional.
    pub missing: &'static str,
    /// The help text in a form, with code between backticks.
    pub help: &'static str,
}

impl ConfigField {
    /// The field with this key.
    pub fn of_key(key: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.key == key)
    }

    /// The field with this form name, and the row of the pool for fields of a pool.
    pub fn named(name: &str) -> Option<(Option<usize>, &'static Self)> {
        let pool = name
            .strip_prefix("upstreams.")
            .and_then(|rest| rest.split_once('.'));
        let (row, field) = match pool {
            Some((row, field)) => (
                Some(row.parse().ok()?),
                Self::of_key(&format!("upstreams[].{field}"))?,
            ),
            None => (None, Self::of_key(name)?),
        };
        (field.group != Hidden).then_some((row, field))
    }

    /// The name in a form. `row` is the index of the pool for fields of a pool.
    pub fn form_name(&self, row: usize) -> String {
        self.key.replace("[]", &format!(".{row}"))
    }

    /// Whether any client version reads or has read it from its file.
    pub fn is_in_files(&self) -> bool {
        self.presence != ABSENT
    }

    /// Whether it is a field of a pool.
    pub fn is_of_pool(&self) -> bool {
        matches!(self.group, Pool | Declarator)
    }
}

/// The only field that is never given out.
pub const SECRET_FIELD: &str = "authority_secret_key";

/// The values that a form suggests for Bitcoin Core while another template provider is selected.
pub const USUAL_CORE: [(&str, &str); 4] = [
    ("template_provider_type.BitcoinCoreIpc.version", "31"),
    ("template_provider_type.BitcoinCoreIpc.network", "mainnet"),
    ("template_provider_type.BitcoinCoreIpc.fee_threshold", "100"),
    ("template_provider_type.BitcoinCoreIpc.min_interval", "5"),
];

/// The form values of the translator section while a configuration has none.
pub const USUAL_TRANSLATOR: [(&str, &str); 5] = [
    ("translator.enabled", "false"),
    ("translator.listening_address", "0.0.0.0:34255"),
    ("translator.min_miner_hashrate", "500 GH/s"),
    ("translator.shares_per_minute", "6.0"),
    ("translator.aggregate_channels", "false"),
];

const R: KeyPresence = KeyPresence::Required;
const O: KeyPresence = KeyPresence::Optional;
const I: KeyPresence = KeyPresence::Ignored;
const N: KeyPresence = KeyPresence::Absent;
const REQUIRED: SchemaPresence = [R; SCHEMAS];
const OPTIONAL: SchemaPresence = [O; SCHEMAS];
/// Read by programs before the first version; import still accepts it.
const FORMER: SchemaPresence = [I; SCHEMAS];
/// Used by forms and programs only, never in a file.
const ABSENT: SchemaPresence = [N; SCHEMAS];

const fn field(
    key: &'static str,
    group: FieldGroup,
    kind: FieldKind,
    presence: SchemaPresence,
    label: &'static str,
    missing: &'static str,
    help: &'static str,
) -> ConfigField {
    ConfigField {
        key,
        group,
        kind,
        presence,
        label,
        missing,
        help,
    }
}

const fn hidden(
    key: &'static str,
    kind: FieldKind,
    presence: SchemaPresence,
    missing: &'static str,
) -> ConfigField {
    field(key, Hidden, kind, presence, "", missing, "")
}

/// All fields, in the order of the form. (`template_provider_type` is required in every version,
/// with exactly one of its two tables: "required" below them holds once the table is chosen.)
pub const FIELDS: &[ConfigField] = &[
    // key, group, kind, presence in 0.1.0 0.1.3 0.2 0.3 0.4 0.5 0.6, label, message if missing, help
    field(
        "mode",
        Work,
        Choice,
        OPTIONAL,
        "Mining mode",
        "Choose a mode: FULLTEMPLATE, COINBASEONLY or SOLOMINING.",
        "Full templates: your client declares its transactions to the pool. Coinbase only: it does not declare them. Solo: no pool; you keep the full reward of the blocks you mine.",
    ),
    field(
        "user_identity",
        Work,
        Text,
        [R, R, R, I, I, I, I],
        "Default account (optional)",
        "",
        "Used for each pool whose account field is empty. Clients up to 0.2.0 use it for all pools.",
    ),
    field("upstreams", Work, Table, REQUIRED, "Pools", "", ""),
    field(
        "upstreams[].pool_address",
        Pool,
        Host,
        REQUIRED,
        "Pool address",
        "Enter the pool's host name or IP address.",
        "Host name or IP address, from the pool's website.",
    ),
    field(
        "upstreams[].pool_port",
        Pool,
        Whole,
        REQUIRED,
        "Pool port",
        "Enter the pool's port.",
        "The pool's Stratum V2 port, from its website.",
    ),
    field(
        "upstreams[].user_identity",
        Pool,
        Text,
        [I, I, I, R, R, R, R],
        "Pool account",
        "Enter your pool account. The pool needs it to pay you.",
        "For example, account.worker. Leave empty to use the default account.",
    ),
    field(
        "upstreams[].jds_address",
        Declarator,
        Host,
        REQUIRED,
        "JDS address",
        "Enter the host name or IP address of the pool's job declaration server (JDS).",
        "Host of the pool's job declaration server (JDS), often the same as the pool's.",
    ),
    field(
        "upstreams[].jds_port",
        Declarator,
        Whole,
        REQUIRED,
        "JDS port",
        "Enter the port of the job declaration server (JDS).",
        "Different from the pool port.",
    ),
    field(
        "upstreams[].authority_pubkey",
        Declarator,
        Code,
        REQUIRED,
        "Pool public key",
        "Enter the pool's public key, from its website.",
        "From the pool's website. Verifies the pool's identity.",
    ),
    hidden("upstreams[].jd_address", Host, FORMER, ""),
    hidden("upstreams[].jd_port", Whole, FORMER, ""),
    field(
        "coinbase_reward_script",
        Payout,
        Code,
        REQUIRED,
        "Payout address",
        "Enter a payout address.",
        "Your Bitcoin address, or an output descriptor such as `addr(bc1q…)`. Used for solo mining, or if no pool is reachable.",
    ),
    hidden(
        "coinbase_reward_script.output_script_type",
        Code,
        FORMER,
        "Enter the output type, such as P2WPKH.",
    ),
    hidden(
        "coinbase_reward_script.output_script_value",
        Code,
        FORMER,
        "Enter the output's key or hash.",
    ),
    field(
        "jdc_signature",
        Payout,
        Text,
        REQUIRED,
        "Coinbase tag",
        "Enter a coinbase tag, or leave it empty.",
        "Public text in the blocks you mine; can be empty. Every pool accepts up to 52 bytes. The client exits if the tag is longer than 64 bytes.",
    ),
    hidden(
        "template_provider_type",
        Table,
        REQUIRED,
        "Choose a template provider: Sv2Tp or BitcoinCoreIpc.",
    ),
    field(
        "template_provider",
        Provider,
        Choice,
        ABSENT,
        "Template provider",
        "",
        "Where the client gets block templates.",
    ),
    hidden("template_provider_type.Sv2Tp", Table, OPTIONAL, ""),
    hidden(
        "sv2_tp",
        Table,
        ABSENT,
        "Enter the template provider's address.",
    ),
    field(
        "template_provider_type.Sv2Tp.address",
        Tp,
        Host,
        REQUIRED,
        "Provider address",
        "Enter the template provider's host and port, such as 127.0.0.1:8442.",
        "Host and port, such as 127.0.0.1:8442.",
    ),
    field(
        "template_provider_type.Sv2Tp.public_key",
        Tp,
        Code,
        OPTIONAL,
        "Provider public key (optional)",
        "",
        "The template provider prints this key at startup. Required unless the template provider runs on this machine.",
    ),
    field(
        "template_provider_type.Sv2Tp.network",
        Tp,
        Choice,
        ABSENT,
        "Provider network (optional)",
        "",
        "jd-manager checks the payout address against it. Not sent to the client.",
    ),
    hidden("template_provider_type.BitcoinCoreIpc", Table, OPTIONAL, ""),
    hidden(
        "bitcoin_core_ipc",
        Table,
        ABSENT,
        "Enter the settings for Bitcoin Core.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.version",
        Core,
        Choice,
        [N, N, N, N, R, R, R],
        "Bitcoin Core version",
        "Choose the major version of Bitcoin Core: 30 or 31.",
        "`bitcoind --version` shows it.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.network",
        Core,
        Choice,
        REQUIRED,
        "Node network",
        "Choose the node's network: mainnet, testnet4, signet or regtest.",
        "The network that Bitcoin Core uses.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.data_dir",
        Core,
        Code,
        OPTIONAL,
        "Data directory (optional)",
        "",
        "The directory with bitcoin.conf, if it is not the default.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.fee_threshold",
        Core,
        Whole,
        REQUIRED,
        "Fee threshold (sat)",
        "Enter the fee increase in satoshis that triggers a new template, such as 100.",
        "Fee increase that triggers a new template.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.min_interval",
        Core,
        Whole,
        REQUIRED,
        "Template interval (s)",
        "Enter the minimum time between two templates in seconds, such as 5.",
        "Minimum time between two templates.",
    ),
    field(
        "listening_address",
        Miners,
        Code,
        REQUIRED,
        "Listening address",
        "Enter the IP address and port that miners connect to, such as 0.0.0.0:34265.",
        "IP address and port for miners. 0.0.0.0 means all addresses on this machine.",
    ),
    field(
        "shares_per_minute",
        Miners,
        Decimal,
        REQUIRED,
        "Shares per minute",
        "Enter the number of shares per minute per miner, such as 6.0.",
        "Target per miner; sets the difficulty.",
    ),
    hidden("translator", Table, ABSENT, ""),
    field(
        "translator.enabled",
        Stratum1,
        Choice,
        ABSENT,
        "Stratum V1 port",
        "Enter true or false.",
        "Most miners use Stratum V1. To support these miners, jd-manager runs `translator_sv2` alongside the client.",
    ),
    field(
        "translator.listening_address",
        Stratum1,
        Code,
        ABSENT,
        "Stratum V1 address",
        "Enter the IP address and port for Stratum V1 miners, such as 0.0.0.0:34255.",
        "IP address and port. The port has no password and no encryption, so keep it on your local network.",
    ),
    field(
        "translator.min_miner_hashrate",
        Stratum1,
        Text,
        ABSENT,
        "Weakest miner",
        "Enter the hashrate of the weakest miner, such as 500 GH/s.",
        "Its hashrate sets the starting difficulty: `500 GH/s` for Bitaxe-class miners, `100 TH/s` for large ASIC miners.",
    ),
    field(
        "translator.shares_per_minute",
        Stratum1,
        Decimal,
        ABSENT,
        "V1 shares per minute",
        "Enter the number of shares per minute per miner, such as 6.0.",
        "Target per miner.",
    ),
    field(
        "translator.aggregate_channels",
        Stratum1,
        Choice,
        ABSENT,
        "Channels",
        "Enter true or false.",
        "With one channel per miner, shares are counted per miner. A shared channel needs fewer messages.",
    ),
    hidden("translator.miner_telemetry", Table, ABSENT, ""),
    field(
        "translator.miner_telemetry.cidrs",
        Stratum1,
        List,
        ABSENT,
        "Networks to search for V1 miners (optional)",
        "",
        "Private networks such as 192.168.1.0/24, separated by commas. The translator searches them for miners.",
    ),
    field(
        "authority_public_key",
        Keys,
        Code,
        REQUIRED,
        "Public key",
        "Enter the public key that miners use to verify the client, or create a key pair.",
        "Enter it in your miners, so that they can verify this client.",
    ),
    field(
        SECRET_FIELD,
        Keys,
        Secret,
        REQUIRED,
        "Secret key",
        "Enter the secret key that belongs to the public key, or create a key pair.",
        "",
    ),
    field(
        "cert_validity_sec",
        Rare,
        Whole,
        REQUIRED,
        "Certificate validity (s)",
        "Enter the certificate validity in seconds, such as 3600.",
        "How long the certificates that the client sends to miners are valid.",
    ),
    field(
        "share_batch_size",
        Rare,
        Whole,
        REQUIRED,
        "Shares per acknowledgment",
        "Enter the number of shares per acknowledgment, such as 10.",
        "The client acknowledges this many shares at a time.",
    ),
    field(
        "min_supported_version",
        Rare,
        Whole,
        REQUIRED,
        "Minimum protocol version",
        "Enter 2 as the minimum protocol version.",
        "Always 2.",
    ),
    field(
        "max_supported_version",
        Rare,
        Whole,
        REQUIRED,
        "Maximum protocol version",
        "Enter 2 as the maximum protocol version.",
        "Always 2.",
    ),
    field(
        "supported_extensions",
        Rare,
        List,
        OPTIONAL,
        "Supported extensions (optional)",
        "",
        "Numbers separated by commas. Extension 2 reports worker hashrates to the pool.",
    ),
    field(
        "required_extensions",
        Rare,
        List,
        OPTIONAL,
        "Required extensions (optional)",
        "",
        "The client rejects pools and miners that do not support these.",
    ),
    field(
        "reserved_downstream_rollable_extranonce_size",
        Rare,
        Whole,
        [N, N, O, O, O, O, O],
        "Miner extranonce bytes (optional)",
        "",
        "0 to 30. Default: 8. Requires client 0.2.0 or newer.",
    ),
    hidden("miner_telemetry", Table, [N, N, N, N, N, O, O], ""),
    field(
        "max_past_jobs",
        Rare,
        Whole,
        [N, N, N, N, N, N, O],
        "Past jobs (optional)",
        "",
        "Jobs kept per channel for late shares. Default: 16. Requires client 0.6.0 or newer.",
    ),
    field(
        "monitoring_address",
        Rare,
        Code,
        OPTIONAL,
        "Monitoring address (optional)",
        "",
        "jd-manager reads the client's metrics here. Use 127.0.0.1, because access is not protected.",
    ),
    field(
        "monitoring_cache_refresh_secs",
        Rare,
        Whole,
        OPTIONAL,
        "Monitoring refresh (optional)",
        "",
        "Seconds between metric updates. Default: 15.",
    ),
    field(
        "miner_telemetry.cidrs",
        Rare,
        List,
        [N, N, N, N, N, O, O],
        "Miner networks (optional)",
        "",
        "The client searches these private networks for miners every minute. Separate them with commas, for example 192.168.1.0/24, 192.168.2.0/24. Requires client 0.5.0 or newer.",
    ),
    hidden("log_file", Code, OPTIONAL, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_one_row_with_all_that_its_place_in_the_form_needs() {
        for (at, field) in FIELDS.iter().enumerate() {
            let is_only_one = FIELDS[..at].iter().all(|other| other.key != field.key);
            assert!(is_only_one, "{}", field.key);
            assert_eq!(
                field.label.is_empty(),
                field.group == Hidden,
                "{}",
                field.key
            );
            assert_eq!(field.help.matches('`').count() % 2, 0, "{}", field.key);
            let named = ConfigField::named(&field.form_name(3));
            let row = field.is_of_pool().then_some(3);
            let wanted = (field.group != Hidden).then_some((row, field.key));
            assert_eq!(named.map(|(row, named)| (row, named.key)), wanted);
        }
        for name in [
            "upstreams.x.pool_port",
            "upstreams.0.mode",
            "upstreams.0",
            "",
        ] {
            assert!(ConfigField::named(name).is_none(), "{name}");
        }
    }
}
