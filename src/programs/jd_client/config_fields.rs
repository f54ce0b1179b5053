//! The fields of the client's configuration: what each is, what it is called on pages, and which
//! versions of the client read it.
//!
//! [`FIELDS`] is the one list of them. Forms, import, the client's file, the history and setup read
//! it and have no list of their own. The column `presence` is the client's configuration schema as
//! data, read from the sources of 0.1.0 to 0.6.0. Must not know the values of a configuration.

use FieldGroup::{
    Core, Declarator, Hidden, Keys, Miners, Payout, Pool, Provider, Rare, Stratum1, Tp, Work,
};
use FieldKind::{Choice, Code, Decimal, Host, List, Secret, Table, Text, Whole};

/// What a version of the client makes of a key in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPresence {
    /// Without it the client does not start.
    Required,
    /// It has a default.
    Optional,
    /// Read by another version, silently passed over by this one.
    Ignored,
    /// Not known; passed over too, since the client ignores unknown keys.
    Absent,
}

/// How many schemas the versions of the client have: their first versions are the columns in
/// `version.rs`.
pub(super) const SCHEMAS: usize = 7;

/// What each schema makes of a key.
type SchemaPresence = [KeyPresence; SCHEMAS];

/// The parts of a form, each a row of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldGroup {
    /// In no form.
    Hidden,
    /// Where work goes.
    Work,
    /// A pool.
    Pool,
    /// The pool's job declarator server.
    Declarator,
    /// Where rewards go.
    Payout,
    /// Which kind of template provider.
    Provider,
    /// A template provider by address.
    Tp,
    /// Bitcoin Core on this machine.
    Core,
    /// Whom the client serves.
    Miners,
    /// The translator, for Stratum V1 miners.
    Stratum1,
    /// The client's own pair of keys.
    Keys,
    /// What is rarely needed.
    Rare,
}

/// How a field is written and typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Words.
    Text,
    /// Text in which every letter counts.
    Code,
    /// A host, with or without a port.
    Host,
    /// A whole number.
    Whole,
    /// A number.
    Decimal,
    /// One of a few values.
    Choice,
    /// Single values, in a form as one text.
    List,
    /// What is never shown.
    Secret,
    /// Holds other fields.
    Table,
}

impl FieldKind {
    /// The class of its field on a page.
    pub fn class(self) -> &'static str {
        if self == Text { "" } else { "mono" }
    }

    /// Which keyboard a page asks for.
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
    /// Its key with the names of its tables; `[]` means each element of an array:
    /// `upstreams[].pool_port`.
    pub key: &'static str,
    /// The part of the form that shows it.
    pub group: FieldGroup,
    /// How it is written.
    pub kind: FieldKind,
    /// One entry per schema.
    pub presence: SchemaPresence,
    /// What it is called on pages; empty: it is in no form.
    pub label: &'static str,
    /// What it is, for the sentence that says it is missing; empty: it may be.
    pub missing: &'static str,
    /// What stands beside it in a form, code between backticks.
    pub help: &'static str,
}

impl ConfigField {
    /// The field of this key.
    pub fn of_key(key: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.key == key)
    }

    /// The field of this name in a form, and the row of its pool if it is a pool's.
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

    /// Its name in a form; `row`: of which pool, if it is a pool's.
    pub fn form_name(&self, row: usize) -> String {
        self.key.replace("[]", &format!(".{row}"))
    }

    /// Whether some client has read it from its file, today or in the past.
    pub fn is_in_files(&self) -> bool {
        self.presence != ABSENT
    }

    /// Whether each pool has one.
    pub fn is_of_pool(&self) -> bool {
        matches!(self.group, Pool | Declarator)
    }
}

/// The one field that is never given out.
pub const SECRET_FIELD: &str = "authority_secret_key";

/// What a form proposes for Bitcoin Core while another kind of template provider is in use.
pub const USUAL_CORE: [(&str, &str); 4] = [
    ("template_provider_type.BitcoinCoreIpc.version", "31"),
    ("template_provider_type.BitcoinCoreIpc.network", "mainnet"),
    ("template_provider_type.BitcoinCoreIpc.fee_threshold", "100"),
    ("template_provider_type.BitcoinCoreIpc.min_interval", "5"),
];

const R: KeyPresence = KeyPresence::Required;
const O: KeyPresence = KeyPresence::Optional;
const I: KeyPresence = KeyPresence::Ignored;
const N: KeyPresence = KeyPresence::Absent;
const REQUIRED: SchemaPresence = [R; SCHEMAS];
const OPTIONAL: SchemaPresence = [O; SCHEMAS];
/// Read by programs before the first version; import still takes it.
const FORMER: SchemaPresence = [I; SCHEMAS];
/// Of forms and programs; no file has it.
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
    // key, group, kind, presence in 0.1.0 0.1.3 0.2 0.3 0.4 0.5 0.6, label, what is missing, help
    field(
        "mode",
        Work,
        Choice,
        OPTIONAL,
        "Mode",
        "FULLTEMPLATE, COINBASEONLY or SOLOMINING",
        "Full templates: your node chooses the transactions and declares them to the pool. Coinbase only: the pool is not told which. Solo: no pool, a block pays you alone.",
    ),
    field(
        "user_identity",
        Work,
        Text,
        [R, R, R, I, I, I, I],
        "Common account at the pools (optional)",
        "",
        "Used for every pool below that names no account of its own. Clients up to 0.2.0 know only this one.",
    ),
    field("upstreams", Work, Table, REQUIRED, "Pools", "", ""),
    field(
        "upstreams[].pool_address",
        Pool,
        Host,
        REQUIRED,
        "Pool address",
        "the host name or IP address of the pool",
        "Host name or IP address, without port.",
    ),
    field(
        "upstreams[].pool_port",
        Pool,
        Whole,
        REQUIRED,
        "Pool port",
        "the port of the pool",
        "The pool's operator publishes both ports.",
    ),
    field(
        "upstreams[].user_identity",
        Pool,
        Text,
        [I, I, I, R, R, R, R],
        "Your account at this pool",
        "your account at the pool; without it the pool cannot pay you",
        "Such as account.worker. Empty: the common account above.",
    ),
    field(
        "upstreams[].jds_address",
        Declarator,
        Host,
        REQUIRED,
        "Job declarator server",
        "the host name or IP address of the pool's job declarator server",
        "Often the same host as the pool.",
    ),
    field(
        "upstreams[].jds_port",
        Declarator,
        Whole,
        REQUIRED,
        "Its port",
        "the port of the job declarator server",
        "Another than that of the pool.",
    ),
    field(
        "upstreams[].authority_pubkey",
        Declarator,
        Code,
        REQUIRED,
        "Public key of the pool",
        "the public key of the pool; its operator publishes it",
        "By which the client makes sure that it talks to this pool.",
    ),
    hidden("upstreams[].jd_address", Host, FORMER, ""),
    hidden("upstreams[].jd_port", Whole, FORMER, ""),
    field(
        "coinbase_reward_script",
        Payout,
        Code,
        REQUIRED,
        "Payout address or descriptor",
        "where rewards go; write addr(<your address>)",
        "Your Bitcoin address, or an output descriptor such as `addr(bc1q…)`. Paid when you mine solo, and as the last resort when every pool is gone.",
    ),
    hidden(
        "coinbase_reward_script.output_script_type",
        Code,
        FORMER,
        "the kind of output, such as P2WPKH",
    ),
    hidden(
        "coinbase_reward_script.output_script_value",
        Code,
        FORMER,
        "the key or hash of the output",
    ),
    field(
        "jdc_signature",
        Payout,
        Text,
        REQUIRED,
        "Coinbase signature",
        "the text to put into blocks; it may be empty",
        "Text put into blocks you find. Up to 52 bytes are safe with every pool; the client stops above 64. May be empty.",
    ),
    hidden(
        "template_provider_type",
        Table,
        REQUIRED,
        "where block templates come from, Sv2Tp or BitcoinCoreIpc",
    ),
    field(
        "template_provider",
        Provider,
        Choice,
        ABSENT,
        "Kind",
        "",
        "Where block templates come from. Only the fields of the chosen kind count.",
    ),
    hidden("template_provider_type.Sv2Tp", Table, OPTIONAL, ""),
    hidden(
        "sv2_tp",
        Table,
        ABSENT,
        "the address of the template provider",
    ),
    field(
        "template_provider_type.Sv2Tp.address",
        Tp,
        Host,
        REQUIRED,
        "Address of the template provider",
        "host and port of the template provider, such as 127.0.0.1:8442",
        "By address: host and port, such as 127.0.0.1:8442.",
    ),
    field(
        "template_provider_type.Sv2Tp.public_key",
        Tp,
        Code,
        OPTIONAL,
        "Its public key (optional)",
        "",
        "By address: without it the client trusts whoever answers. Needed unless the provider is on this machine.",
    ),
    field(
        "template_provider_type.Sv2Tp.network",
        Tp,
        Choice,
        ABSENT,
        "Chain it follows (optional)",
        "",
        "By address: the payout is held against it. The client is not told.",
    ),
    hidden("template_provider_type.BitcoinCoreIpc", Table, OPTIONAL, ""),
    hidden(
        "bitcoin_core_ipc",
        Table,
        ABSENT,
        "how to reach Bitcoin Core",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.version",
        Core,
        Choice,
        [N, N, N, N, R, R, R],
        "Version of Bitcoin Core",
        "the major version of Bitcoin Core, 30 or 31",
        "IPC: the node's major version.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.network",
        Core,
        Choice,
        REQUIRED,
        "Network",
        "the chain the node follows: mainnet, testnet4, signet or regtest",
        "IPC: the chain the node follows.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.data_dir",
        Core,
        Code,
        OPTIONAL,
        "Data directory (optional)",
        "",
        "IPC: of the node, if it is not the usual one.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.fee_threshold",
        Core,
        Whole,
        REQUIRED,
        "Fee threshold, satoshis",
        "by how many satoshis in fees a new template must be better, such as 100",
        "IPC: by how much in fees a new template must be better.",
    ),
    field(
        "template_provider_type.BitcoinCoreIpc.min_interval",
        Core,
        Whole,
        REQUIRED,
        "Seconds between templates",
        "how many seconds at least lie between two templates, such as 5",
        "IPC: at least this long between two templates.",
    ),
    field(
        "listening_address",
        Miners,
        Code,
        REQUIRED,
        "Address miners connect to",
        "the address and port on which miners connect, such as 0.0.0.0:34265",
        "IP address and port. 0.0.0.0 stands for all addresses of this machine.",
    ),
    field(
        "shares_per_minute",
        Miners,
        Decimal,
        REQUIRED,
        "Shares per minute",
        "how many shares a miner should find per minute, such as 6.0",
        "How many each miner should find; sets its difficulty.",
    ),
    hidden("translator", Table, ABSENT, ""),
    field(
        "translator.enabled",
        Stratum1,
        Choice,
        ABSENT,
        "Stratum V1 port",
        "true or false",
        "Most miners speak Stratum V1. jd-manager runs `translator_sv2` beside the client for them.",
    ),
    field(
        "translator.listening_address",
        Stratum1,
        Code,
        ABSENT,
        "Stratum V1 address",
        "the address and port for Stratum V1 miners, such as 0.0.0.0:34255",
        "IP address and port. The port has no password and no encryption: keep it on your local network.",
    ),
    field(
        "translator.min_miner_hashrate",
        Stratum1,
        Text,
        ABSENT,
        "Weakest miner",
        "the hashrate of the weakest miner, such as 500 GH/s",
        "Sets the starting difficulty. `500 GH/s` for Bitaxe-class miners, `100 TH/s` for ASIC miners.",
    ),
    field(
        "translator.shares_per_minute",
        Stratum1,
        Decimal,
        ABSENT,
        "V1 shares per minute",
        "how many shares a Stratum V1 miner should find per minute, such as 6.0",
        "Per miner.",
    ),
    field(
        "translator.aggregate_channels",
        Stratum1,
        Choice,
        ABSENT,
        "Channels",
        "true or false",
        "One channel per miner counts shares for each miner. A shared channel sends fewer messages.",
    ),
    hidden("translator.miner_telemetry", Table, ABSENT, ""),
    field(
        "translator.miner_telemetry.cidrs",
        Stratum1,
        List,
        ABSENT,
        "V1 networks searched (optional)",
        "",
        "Private networks such as 192.168.1.0/24, separated by commas. The translator searches them for miners.",
    ),
    field(
        "authority_public_key",
        Keys,
        Code,
        REQUIRED,
        "Public key",
        "the public key by which miners recognise the client. Make a pair of keys",
        "By which miners recognise this client.",
    ),
    field(
        SECRET_FIELD,
        Keys,
        Secret,
        REQUIRED,
        "Secret key",
        "the secret key that belongs to the public key. Make a pair of keys",
        "",
    ),
    field(
        "cert_validity_sec",
        Rare,
        Whole,
        REQUIRED,
        "Certificate validity, seconds",
        "how many seconds a certificate is valid, such as 3600",
        "How long the certificates shown to miners are valid.",
    ),
    field(
        "share_batch_size",
        Rare,
        Whole,
        REQUIRED,
        "Shares per acknowledgement",
        "after how many shares a miner is sent an acknowledgement, such as 10",
        "After how many shares a miner is sent one acknowledgement.",
    ),
    field(
        "min_supported_version",
        Rare,
        Whole,
        REQUIRED,
        "Lowest protocol version",
        "the lowest protocol version; use 2",
        "There is only version 2.",
    ),
    field(
        "max_supported_version",
        Rare,
        Whole,
        REQUIRED,
        "Highest protocol version",
        "the highest protocol version; use 2",
        "There is only version 2.",
    ),
    field(
        "supported_extensions",
        Rare,
        List,
        OPTIONAL,
        "Supported extensions (optional)",
        "",
        "Numbers with commas. 2 lets a pool know the workers' hashrates.",
    ),
    field(
        "required_extensions",
        Rare,
        List,
        OPTIONAL,
        "Required extensions (optional)",
        "",
        "Pools and miners without these are refused.",
    ),
    field(
        "reserved_downstream_rollable_extranonce_size",
        Rare,
        Whole,
        [N, N, O, O, O, O, O],
        "Extranonce bytes kept for miners (optional)",
        "",
        "0 to 30; 8 if empty. Clients since 0.2.0.",
    ),
    hidden("miner_telemetry", Table, [N, N, N, N, N, O, O], ""),
    field(
        "max_past_jobs",
        Rare,
        Whole,
        [N, N, N, N, N, N, O],
        "Past jobs kept per channel (optional)",
        "",
        "For late shares; 16 if empty. Clients since 0.6.0.",
    ),
    field(
        "monitoring_address",
        Rare,
        Code,
        OPTIONAL,
        "Address of the client's figures (optional)",
        "",
        "The manager reads its metrics there, so without it there are none. Keep it on 127.0.0.1: it is not protected.",
    ),
    field(
        "monitoring_cache_refresh_secs",
        Rare,
        Whole,
        OPTIONAL,
        "Seconds between renewals (optional)",
        "",
        "15 if empty.",
    ),
    field(
        "miner_telemetry.cidrs",
        Rare,
        List,
        [N, N, N, N, N, O, O],
        "Networks searched for miners (optional)",
        "",
        "Private networks such as 192.168.1.0/24, with commas. The client searches them every minute. Clients since 0.5.0.",
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
