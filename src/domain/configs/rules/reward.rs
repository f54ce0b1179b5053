//! The output descriptor of the payout, with the same rules as the client.
//!
//! The client (stratum-apps 0.8.0 with miniscript 13) accepts `addr(…)`, `raw(hex)` and every
//! descriptor with definite keys: no wildcard, hardened step, alternatives or private key. The
//! resulting script has no network, and the client never compares networks. jd-manager compares
//! them with [`RewardScript::fits`].

use super::other_payouts;
use super::scalar::shown;
use crate::domain::configs::model::BitcoinNetwork;
use miniscript::bitcoin::address::NetworkUnchecked;
use miniscript::bitcoin::{
    Address, Network, PrivateKey, PublicKey, ScriptBuf, ScriptHash, WScriptHash, XOnlyPublicKey,
};
use miniscript::{DefiniteDescriptorKey, Descriptor};

/// The longest descriptor in bytes: wallets with many keys need more than other texts.
pub const LONGEST_DESCRIPTOR: usize = 4096;

/// A reward script that the client accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardScript {
    script: ScriptBuf,
    address: Option<Address<NetworkUnchecked>>,
}

impl RewardScript {
    fn of_address(address: Address<NetworkUnchecked>) -> Self {
        Self {
            script: address.assume_checked_ref().script_pubkey(),
            address: Some(address),
        }
    }

    /// Whether the output is Taproot.
    pub fn is_taproot(&self) -> bool {
        self.script.is_p2tr()
    }

    /// A note about a bare address, as a sentence with a leading space.
    fn remark(&self) -> &'static str {
        match self.chain() {
            Some(AddressChain::Main) if self.is_taproot() => {
                " It is a Taproot address, which the client supports."
            }
            Some(AddressChain::Main) | None => "",
            Some(_) => " It is for a test network and cannot receive mainnet rewards.",
        }
    }

    /// The output script, in hexadecimal.
    pub fn script_hex(&self) -> String {
        self.script.to_hex_string()
    }

    /// Whether the payout is valid on `network`. A descriptor without an address is valid on all
    /// networks.
    pub fn fits(&self, network: BitcoinNetwork) -> bool {
        let network = match network {
            BitcoinNetwork::Mainnet => Network::Bitcoin,
            // Test networks share one address format, and miniscript's bitcoin does not distinguish
            // them.
            BitcoinNetwork::Testnet4 | BitcoinNetwork::Signet => Network::Testnet,
            BitcoinNetwork::Regtest => Network::Regtest,
        };
        self.address
            .as_ref()
            .is_none_or(|address| address.is_valid_for_network(network))
    }

    /// The network of the address; none for a descriptor without an address.
    pub fn chain(&self) -> Option<AddressChain> {
        let address = self.address.as_ref()?;
        Some(
            match [Network::Bitcoin, Network::Testnet, Network::Regtest]
                .map(|network| address.is_valid_for_network(network))
            {
                [true, ..] => AddressChain::Main,
                [_, true, true] => AddressChain::TestOrRegtest,
                [_, true, _] => AddressChain::Test,
                _ => AddressChain::Regtest,
            },
        )
    }

    /// Why a reward to this script would be lost, if it would.
    pub fn loss(&self) -> Option<&'static str> {
        if self.script.is_empty() {
            return Some("Anyone can spend an empty script, so you would lose the reward.");
        }
        self.script.is_op_return().then_some(
            "No one can spend a script that starts with OP_RETURN, so you would lose the reward.",
        )
    }
}

/// The possible networks of an address, from its format. Testnet and signet share one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChain {
    /// Mainnet.
    Main,
    /// Testnet or signet.
    Test,
    /// The older format, which testnet, signet and regtest share.
    TestOrRegtest,
    /// Regtest.
    Regtest,
}

/// Reads a descriptor. The error names the problem and, for a bare address, the correct descriptor.
pub fn reward_script(text: &str) -> Result<RewardScript, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("The payout is missing. Enter addr(…) with your own address.".into());
    }
    if let Ok(address) = text.parse::<Address<NetworkUnchecked>>() {
        return Err(format!(
            "This is a bare address, but the client needs a descriptor. Enter addr({text}).{}",
            RewardScript::of_address(address).remark()
        ));
    }
    if has_private_key(text) {
        return Err(
            "This contains a private key. The client neither needs nor accepts one. Use an address or public keys.".into()
        );
    }
    if let Some(other) = other_payouts::identify(text) {
        return Err(other);
    }
    let body = miniscript::descriptor::checksum::verify_checksum(text)
        .map_err(|fault| sentence(&fault))?;
    if let Some(address) = inside(body, "addr") {
        let address: Address<NetworkUnchecked> = address.parse().map_err(
            |_| "The text in addr(…) is not a valid Bitcoin address: a character is wrong, missing or extra. Copy the address again.",
        )?;
        return Ok(RewardScript::of_address(address));
    }
    if let Some(hex) = inside(body, "raw") {
        let script = ScriptBuf::from_hex(hex).map_err(|_| {
            "raw(…) needs an output script in hexadecimal, two digits per byte.".to_owned()
        })?;
        return Ok(RewardScript {
            script,
            address: None,
        });
    }
    let descriptor: Descriptor<DefiniteDescriptorKey> =
        text.parse().map_err(|fault| refusal(text, &fault))?;
    Ok(RewardScript {
        script: descriptor.script_pubkey(),
        address: None,
    })
}

/// Whether a word in `text` is a private key, single (WIF) or extended. Messages never quote such a
/// text.
fn has_private_key(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            word.get(1..4) == Some("prv") && word.len() > 100 || PrivateKey::from_wif(word).is_ok()
        })
}

/// The text in the brackets, if `body` is exactly `name(…)`.
fn inside<'t>(body: &'t str, name: &str) -> Option<&'t str> {
    body.strip_prefix(name)?
        .strip_prefix('(')?
        .strip_suffix(')')
}

fn refusal(text: &str, fault: &miniscript::Error) -> String {
    let name = text.split('(').next().unwrap_or(text);
    if !text.contains('(') {
        return format!(
            "This is not a valid Bitcoin address or a descriptor such as addr(<your address>). If this is meant to be an address, a character is wrong, missing or extra.{}",
            other_payouts::beginning(text)
        );
    }
    match name {
        "combo" | "musig" => format!("The client does not support {name}(…). Use a single output type, such as addr(<your address>)."),
        _ if text.contains('*') => {
            "The client needs a single script. Replace * with a number, or use addr(<one of the wallet's addresses>).".into()
        }
        _ => sentence(fault),
    }
}

/// The error message for a library error.
fn sentence(fault: &impl std::fmt::Display) -> String {
    let fault: String = fault
        .to_string()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    format!(
        "The client does not accept this descriptor: {}. The simplest descriptor is addr(<your address>).",
        fault.trim_end_matches('.')
    )
}

/// The descriptor for the older table `{output_script_type, output_script_value}`, with the same
/// output script that the client derives from the table.
pub fn legacy_descriptor(kind: &str, value: &str) -> Result<String, String> {
    let key = || {
        value.parse::<PublicKey>().map_err(|_| {
            format!(
                "{} is not a public key in hexadecimal, which {kind} needs.",
                shown(value)
            )
        })
    };
    let hash = || {
        format!(
            "{} is not a script hash in hexadecimal, which {kind} needs.",
            shown(value)
        )
    };
    Ok(match kind {
        "P2PK" => format!("pk({})", key()?),
        "P2PKH" | "TEST" => format!("pkh({})", key()?),
        "P2WPKH" if key()?.compressed => format!("wpkh({})", key()?),
        "P2WPKH" => return Err("P2WPKH needs a compressed public key (33 bytes).".into()),
        "P2SH" => format!(
            "raw({})",
            ScriptBuf::new_p2sh(&value.parse::<ScriptHash>().map_err(|_| hash())?).to_hex_string()
        ),
        "P2WSH" => format!(
            "raw({})",
            ScriptBuf::new_p2wsh(&value.parse::<WScriptHash>().map_err(|_| hash())?)
                .to_hex_string()
        ),
        "P2TR" => {
            let key: XOnlyPublicKey = value.parse().map_err(|_| {
                format!(
                    "{} is not an x-only public key in hexadecimal, which P2TR needs.",
                    shown(value)
                )
            })?;
            format!("tr({key})")
        }
        _ => {
            return Err(format!(
                "{} is not an output type. Use P2PK, P2PKH, P2SH, P2WPKH, P2WSH or P2TR.",
                shown(kind)
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const XPUB: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";

    fn hex(text: &str) -> String {
        reward_script(text)
            .unwrap_or_else(|fault| panic!("{text}: {fault}"))
            .script_hex()
    }

    /// Texts and scripts from the tests of the client's own library (stratum-apps 0.8.0).
    #[test]
    fn what_the_client_takes_means_the_same_script() {
        for (text, script) in [
            (
                "addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)#wdnlkpe8",
                "76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac",
            ),
            (
                "addr(3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy)#rsjl0crt",
                "a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87",
            ),
            (
                "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)#uyjndxcw",
                "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ),
            (
                " addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2) ",
                "76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac",
            ),
            ("raw(DEADbeef)", "deadbeef"),
            ("raw()", ""),
            (
                &format!("tr({KEY})"),
                "5120da4710964f7852695de2da025290e24af6d8c281de5a0b902b7135fd9fd74d21",
            ),
            (
                &format!("pkh({XPUB})"),
                "76a9143442193e1bb70916e914552172cd4e2dbc9df81188ac",
            ),
            (
                &format!("pkh({XPUB}/1/2/3)"),
                "76a914f2d2e1401c88353c2298d1a928d4ed827ff46ff688ac",
            ),
            (
                "sh(wsh(multi(2,0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798,\
                 03fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556)))#qpcmf2lu",
                "a9141cb55de50b72c67709ab16307d69557e6bb1a98787",
            ),
        ] {
            assert_eq!(hex(text), script, "{text}");
        }
    }

    #[test]
    fn what_the_client_refuses_is_refused_with_a_way_out() {
        let multi = format!("musig({KEY},{KEY})");
        for (text, says) in [
            ("", "payout is missing"),
            (
                "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft",
                "Enter addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
            ),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "Enter addr(1Bv"),
            (
                "tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphfu",
                "not a valid Bitcoin address",
            ),
            (
                "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t3)",
                "not a valid Bitcoin address",
            ),
            ("addr()", "not a valid Bitcoin address"),
            (
                "addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2,)",
                "not a valid Bitcoin address",
            ),
            (
                "addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)#wdnlkpe7",
                "expected wdnlkpe8",
            ),
            ("addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)#", "checksum"),
            ("addr(🙃)", "invalid character"),
            ("raw(0)", "hexadecimal"),
            ("raw(0,1)", "hexadecimal"),
            (&format!("combo({KEY})"), "does not support combo"),
            (&multi, "does not support musig"),
            (&format!("pkh({XPUB}/*)"), "Replace * with a number"),
            (&format!("pkh({XPUB}/1'/2)"), "hardened"),
            (&format!("pkh({XPUB}/<0;1>)"), "multipath"),
            ("pkh(022)", "does not accept this descriptor"),
            ("hello", "not a valid Bitcoin address or a descriptor"),
            ("wpkh(", "does not accept this descriptor"),
        ] {
            let message = reward_script(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn a_private_key_is_never_quoted() {
        const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
        const WIF: &str = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1";
        for text in [
            WIF.to_owned(),
            XPRV.to_owned(),
            format!("pkh({WIF})"),
            format!("addr({WIF})"),
            format!("pkh({XPRV}/1)"),
        ] {
            let message = reward_script(&text).unwrap_err();
            assert!(
                message.contains("private key")
                    && !message.contains("L4rK")
                    && !message.contains("xprv9"),
                "{text}: {message}"
            );
        }
    }

    #[test]
    fn addresses_fit_their_network_and_descriptors_fit_all() {
        use BitcoinNetwork::{Mainnet, Regtest, Signet, Testnet4};
        for (text, fits) in [
            (
                "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)",
                [true, false, false, false],
            ),
            (
                "addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)",
                [true, false, false, false],
            ),
            (
                "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
                [false, true, true, false],
            ),
            (
                "addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)",
                [false, false, false, true],
            ),
            (
                "addr(mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn)",
                [false, true, true, true],
            ),
            ("raw(51)", [true; 4]),
            (&format!("wpkh({KEY})"), [true; 4]),
        ] {
            let script = reward_script(text).unwrap();
            assert_eq!(
                [Mainnet, Testnet4, Signet, Regtest].map(|network| script.fits(network)),
                fits,
                "{text}"
            );
        }
    }

    #[test]
    fn scripts_that_lose_the_reward_are_known() {
        assert!(reward_script("raw()").unwrap().loss().is_some());
        assert!(reward_script("raw(6a0100)").unwrap().loss().is_some());
        assert!(
            reward_script(&format!("wpkh({KEY})"))
                .unwrap()
                .loss()
                .is_none()
        );
    }

    #[test]
    fn the_older_table_becomes_the_descriptor_of_the_same_script() {
        let hash = "00".repeat(20);
        let long_hash = "11".repeat(32);
        let x_only = &KEY[2..];
        for (kind, value, script) in [
            ("P2PK", KEY, format!("21{KEY}ac")),
            (
                "P2PKH",
                KEY,
                "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac".into(),
            ),
            (
                "TEST",
                KEY,
                "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac".into(),
            ),
            (
                "P2WPKH",
                KEY,
                "0014751e76e8199196d454941c45d1b3a323f1433bd6".into(),
            ),
            ("P2SH", hash.as_str(), format!("a914{hash}87")),
            ("P2WSH", long_hash.as_str(), format!("0020{long_hash}")),
            (
                "P2TR",
                x_only,
                "5120da4710964f7852695de2da025290e24af6d8c281de5a0b902b7135fd9fd74d21".into(),
            ),
        ] {
            let descriptor = legacy_descriptor(kind, value).unwrap();
            assert_eq!(hex(&descriptor), script, "{kind}: {descriptor}");
        }
        let uncompressed = "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6\
                            49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f";
        assert!(
            legacy_descriptor("P2WPKH", uncompressed)
                .unwrap_err()
                .contains("compressed")
        );
        assert!(
            legacy_descriptor("P2PKH", "zz")
                .unwrap_err()
                .contains("not a public key")
        );
        assert!(
            legacy_descriptor("P2XX", KEY)
                .unwrap_err()
                .contains("not an output type")
        );
    }

    /// As much as fits into a text of the longest length, nested as deeply as it goes.
    #[test]
    fn nesting_is_no_way_to_exhaust_the_stack() {
        for (open, middle, close) in [
            ("sh(", KEY, ")"),
            ("and_v(v:pk(02),", "1", ")"),
            ("{", KEY, "}"),
            ("n:", "pk(02)", ""),
            ("(", "", ")"),
        ] {
            let levels = (LONGEST_DESCRIPTOR - KEY.len() - 80) / (open.len() + close.len());
            for head in ["wsh(", &format!("tr({KEY},")] {
                let text = format!(
                    "{head}{}{middle}{})",
                    open.repeat(levels),
                    close.repeat(levels)
                );
                assert!(text.len() <= LONGEST_DESCRIPTOR && reward_script(&text).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(
            text in "\\PC{0,80}",
            body in "[(){}<>,;#*/'a-z0-9]{0,60}",
            name in "(addr|raw|tr|wsh|pk|multi|thresh)",
        ) {
            let _ = reward_script(&text);
            let _ = reward_script(&format!("{name}({body})"));
            let _ = legacy_descriptor(&name, &body);
        }
    }
}
