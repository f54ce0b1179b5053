//! Wrong payouts that users enter: wallet keys, Lightning addresses, addresses of other chains and
//! example texts. Each has its own message that says what to enter instead.

use super::scalar::bare;
use crate::domain::keys::parse_public_key;
use miniscript::bitcoin::address::NetworkUnchecked;
use miniscript::bitcoin::{Address, PublicKey};

/// The minimum length of an extended wallet key.
const SHORTEST_EXTENDED: usize = 100;

/// Prefixes of Lightning invoices, offers and address codes.
const LIGHTNING: [&str; 7] = [
    "lnbc",
    "lntb",
    "lnbcrt",
    "lno1",
    "lnurl1",
    "lightning:",
    "lnurlp:",
];

/// Address prefixes of other chains.
const OTHER_CHAINS: [(&str, &str); 5] = [
    ("ltc1", "Litecoin"),
    ("bitcoincash:", "Bitcoin Cash"),
    ("ex1", "Liquid"),
    ("lq1", "Liquid"),
    ("bchtest:", "Bitcoin Cash"),
];

/// The address in a `bitcoin:` URI, as wallets and their QR codes show it; none if the text is not
/// such a URI.
pub fn uri_address(text: &str) -> Option<&str> {
    let rest = strip_scheme(text)?;
    rest.trim_start_matches('/').split(['?', '&']).next()
}

fn strip_scheme(text: &str) -> Option<&str> {
    const SCHEME: &str = "bitcoin:";
    let start = text.get(..SCHEME.len())?;
    start
        .eq_ignore_ascii_case(SCHEME)
        .then(|| text.get(SCHEME.len()..))
        .flatten()
}

/// Converts an address or a `bitcoin:` URI to the descriptor that the client needs. Other texts are
/// unchanged.
pub fn payout_descriptor(text: &str) -> String {
    let text = bare(text);
    let address = uri_address(text).unwrap_or(text);
    match address.parse::<Address<NetworkUnchecked>>() {
        Ok(_) => format!("addr({})", small_letters(address)),
        Err(_) => text.to_owned(),
    }
}

/// QR codes contain bech32 addresses in capital letters, which are equivalent.
fn small_letters(address: &str) -> String {
    let is_capital = address.bytes().all(|b| !b.is_ascii_lowercase());
    let is_bech32 = ["BC1", "TB1", "BCRT1"]
        .iter()
        .any(|start| address.starts_with(start));
    match is_capital && is_bech32 {
        true => address.to_ascii_lowercase(),
        false => address.to_owned(),
    }
}

/// The error for a text that is not a descriptor, if its kind is known.
pub(super) fn identify(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if let Some(inside) = uri_address(text) {
        return Some(match inside.parse::<Address<NetworkUnchecked>>() {
            Ok(_) => format!(
                "This is a bitcoin: URI, but the client needs a descriptor. Enter addr({}).",
                small_letters(inside)
            ),
            Err(_) => {
                "The text after bitcoin: is not a Bitcoin address. Copy the address again.".into()
            }
        });
    }
    if LIGHTNING.iter().any(|start| lower.starts_with(start)) || is_lightning_address(&lower) {
        return Some(
            "This is for Lightning, but block rewards are paid on-chain. Enter a Bitcoin address from your wallet, such as one \
             that starts with bc1."
                .into(),
        );
    }
    if lower.starts_with("sp1") || lower.starts_with("tsp1") {
        return Some(
            "This is a silent payment address, which cannot receive a block reward. Enter a normal Bitcoin address from your \
             wallet."
                .into(),
        );
    }
    if is_extended(&lower) {
        return Some(
            "This is a wallet's extended public key, but the client pays to a single script. Enter one of the wallet's receiving addresses, or a descriptor for one key such as wpkh(xpub…/0/0)."
                .into(),
        );
    }
    if let Some((_, chain)) = OTHER_CHAINS
        .iter()
        .find(|(start, _)| lower.starts_with(start))
    {
        return Some(format!(
            "This is a {chain} address, not a Bitcoin address. Enter a Bitcoin address."
        ));
    }
    let digits = lower.strip_prefix("0x").unwrap_or_default();
    if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(
            "This is an Ethereum address, not a Bitcoin address. Enter a Bitcoin address.".into(),
        );
    }
    if text.len() <= 130 && text.parse::<PublicKey>().is_ok() {
        return Some(format!(
            "This is a public key, but the client needs a descriptor. Enter wpkh({text}) if your wallet has this key."
        ));
    }
    if parse_public_key(text).is_ok() {
        return Some(
            "This is a Stratum V2 public key, not an address. Enter a Bitcoin address from your wallet.".into(),
        );
    }
    example_text(text)
}

/// `name@host`, without characters of a descriptor.
fn is_lightning_address(lower: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    };
    lower
        .split_once('@')
        .is_some_and(|(name, host)| is_part(name) && is_part(host) && host.contains('.'))
}

fn is_extended(lower: &str) -> bool {
    lower.len() > SHORTEST_EXTENDED
        && lower.bytes().all(|b| b.is_ascii_alphanumeric())
        && lower.starts_with(['x', 'y', 'z', 't', 'u', 'v'])
        && lower.get(1..4) == Some("pub")
}

/// `addr(<your address>)`. Alternatives such as `<0;1>` have a different error.
fn example_text(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('<')?;
    let (name, _) = rest.split_once('>')?;
    let is_words = name.contains(|c: char| c.is_alphabetic()) && !name.contains(';');
    is_words.then(|| {
        "This is an example. Replace <…> with your own address, without the angle brackets.".into()
    })
}

/// The kind of an invalid address, from its prefix.
pub(super) fn beginning(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("bc1p") {
        " It starts like a Taproot address."
    } else if ["tb1", "bcrt1"]
        .iter()
        .any(|start| lower.starts_with(start))
    {
        " It starts like a test network address."
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::reward_script;

    #[test]
    fn addresses_and_uris_become_descriptors() {
        const BARN: &str = "bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc";
        for copy in [
            BARN.to_owned(),
            format!(" {BARN}\n"),
            format!("bitcoin:{BARN}"),
            format!("bitcoin:{BARN}?amount=0.1&label=barn"),
            format!("BITCOIN:{}", BARN.to_ascii_uppercase()),
            format!("bitcoin://{BARN}"),
            format!("\"{BARN}\""),
        ] {
            assert_eq!(payout_descriptor(&copy), format!("addr({BARN})"), "{copy}");
        }
        for other in ["raw(51)", "barn", "bitcoin:barn", "addr(bc1qbarn)"] {
            assert_eq!(payout_descriptor(other), other);
        }
    }

    #[test]
    fn what_is_no_payout_is_named() {
        let xpub = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
        for (text, says) in [
            (xpub.to_owned(), "extended public key"),
            (xpub.replacen('x', "z", 1), "extended public key"),
            ("lnbc20u1pvjluezpp5qqqsyqcyq5rqwzqf".into(), "for Lightning"),
            ("barn@wallet.lan".into(), "for Lightning"),
            ("LNURL1DP68GURN8GHJ7".into(), "for Lightning"),
            (
                "sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdg".into(),
                "silent payment",
            ),
            ("bitcoin:bc1qbarn".into(), "after bitcoin:"),
            (
                "bitcoin:bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc?amount=1".into(),
                "Enter addr(bc1q6lt2k7dv37r77waw3el0mcwyk9axu09599apuc)",
            ),
            (
                "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9".into(),
                "Litecoin",
            ),
            (
                "0x52908400098527886E0F7030069857D2E4169EE7".into(),
                "Ethereum",
            ),
            (
                "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9".into(),
                "Enter wpkh(02f9",
            ),
            (
                "9bDuixKmZqAJnrmP746n8zU1wyAQRrus7th9dxnkPg6RzQvCnan".into(),
                "Stratum V2 public key",
            ),
            (
                "addr(<your address>)".into(),
                "This is an example. Replace <…>",
            ),
            ("tb1qbarn".into(), "starts like a test network address"),
            ("bc1pbarn".into(), "starts like a Taproot address"),
            (
                "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr".into(),
                "It is a Taproot address",
            ),
            (
                "tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t".into(),
                "It is for a test network",
            ),
        ] {
            let message = reward_script(&text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}
