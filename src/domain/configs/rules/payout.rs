//! The payout against the chain that is mined and against what stands in examples.

use super::reward::{AddressChain, RewardScript, reward_script};
use super::{ConfigFindings, scalar};
use crate::domain::configs::model::{BitcoinNetwork, TemplateProvider};
use std::sync::LazyLock;

/// Where the payout is.
const AT: &str = "/coinbase_reward_script";

/// Addresses of the client's example files and of the standards' documents: whoever leaves one in
/// mines for somebody else, or for anybody, since the secret of one of them is the number 1.
const EXAMPLES: [&str; 8] = [
    "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
    "addr(bc1q9f9vj7spn8h7qda6pn8d4g4j99f0mn9lhwz55j)",
    "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)",
    "addr(bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3)",
    "addr(bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0)",
    "addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)",
    "addr(3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy)",
    "addr(1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa)",
];

/// Their scripts: what is compared, so that another form of the same address is known, too.
static EXAMPLE_SCRIPTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    EXAMPLES
        .into_iter()
        .filter_map(|text| Some(reward_script(text).ok()?.script_hex()))
        .collect()
});

/// The payout must be for the chain that is mined, as far as both are known.
pub fn payout(
    reward: &RewardScript,
    provider: Option<&TemplateProvider>,
    found: &mut ConfigFindings,
) {
    let script = reward.script_hex();
    if EXAMPLE_SCRIPTS.contains(&script) {
        found.warn(
            AT,
            "This is an address from examples: rewards would go to somebody else. Enter your own.",
        );
    }
    if let Some(loss) = reward.loss() {
        found.warn(AT, loss);
    }
    let node = match provider {
        Some(TemplateProvider::BitcoinCoreIpc { network, .. }) => Some(*network),
        Some(TemplateProvider::Sv2Tp { network, .. }) => *network,
        None => None,
    };
    let kind = match reward.chain() {
        Some(AddressChain::Main) => "a mainnet address",
        Some(AddressChain::Test) => "a testnet address (testnet or signet)",
        Some(AddressChain::TestOrRegtest) => {
            "an address of a test network (testnet, signet or regtest)"
        }
        Some(AddressChain::Regtest) => "a regtest address",
        None => "",
    };
    match node {
        Some(network @ BitcoinNetwork::Mainnet) if !reward.fits(network) => {
            found.error(
                AT,
                format!("This is {kind}, but the node is on mainnet. Enter a mainnet address."),
            );
        }
        Some(network) if !reward.fits(network) => found.warn(
            AT,
            format!(
                "This is {kind}, but the node follows {network}. The client takes it all the same."
            ),
        ),
        _ => {
            let is_right = match (reward.chain(), node) {
                (None, _) => "It names no chain, so it holds for any.".to_owned(),
                (Some(_), Some(network)) => {
                    format!("This is {kind}, and the node follows {network}.")
                }
                (Some(AddressChain::Main), None) => {
                    format!(
                        "This is {kind}: right if the node behind the template provider is on mainnet. Say which chain it follows, and this is known."
                    )
                }
                (Some(_), None) => format!(
                    "This is {kind}: right only if the node behind the template provider follows such a chain. On mainnet it \
                     must be a mainnet address."
                ),
            };
            found.hint(
                AT,
                format!(
                    "{is_right} The output script is {}.",
                    scalar::clipped(&script, 140)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;

    /// Kind and text of what is said about a payout.
    fn judge(text: &str, network: Option<BitcoinNetwork>) -> Vec<(char, String)> {
        let provider = match network {
            None => TemplateProvider::Sv2Tp {
                address: "127.0.0.1:8442".into(),
                public_key: None,
                network: None,
            },
            Some(network) => TemplateProvider::BitcoinCoreIpc {
                version: 31,
                network,
                data_dir: None,
                fee_threshold: 1,
                min_interval: 1,
            },
        };
        let mut found = ConfigFindings::default();
        payout(&reward_script(text).unwrap(), Some(&provider), &mut found);
        // A chain that the user names counts as one that the node is asked for.
        if network.is_some() {
            let named = TemplateProvider::Sv2Tp {
                address: "127.0.0.1:8442".into(),
                public_key: None,
                network,
            };
            let mut same = ConfigFindings::default();
            payout(&reward_script(text).unwrap(), Some(&named), &mut same);
            assert_eq!(same, found);
        }
        let told = |kind: char, list: Vec<crate::base::error::FieldError>| {
            list.into_iter().map(move |one| {
                assert_eq!(one.pointer, AT);
                (kind, one.detail)
            })
        };
        told('e', found.errors)
            .chain(told('w', found.warnings))
            .chain(told('h', found.hints))
            .collect()
    }

    #[test]
    fn every_example_is_known_in_any_of_its_forms() {
        assert_eq!(EXAMPLE_SCRIPTS.len(), EXAMPLES.len());
        for text in EXAMPLES.into_iter().chain([
            "raw(0014751e76e8199196d454941c45d1b3a323f1433bd6)",
            "wpkh(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)",
            "addr(tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx)",
        ]) {
            let told = judge(text, None);
            assert!(
                told[0].0 == 'w' && told[0].1.contains("from examples"),
                "{text}: {told:?}"
            );
        }
        assert!(
            judge(samples::REWARD, None)
                .iter()
                .all(|(kind, _)| *kind == 'h')
        );
    }

    #[test]
    fn payouts_are_for_the_chain_that_is_mined() {
        use BitcoinNetwork::{Mainnet, Regtest, Signet, Testnet4};
        let testnet = "addr(tb1q6lt2k7dv37r77waw3el0mcwyk9axu0950rxj8t)";
        let older = "addr(mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn)";
        let regtest = "addr(bcrt1q6lt2k7dv37r77waw3el0mcwyk9axu095d2llsz)";
        for (text, network, kind, says) in [
            (
                samples::REWARD,
                Some(Mainnet),
                'h',
                "a mainnet address, and the node follows mainnet. The output script is 0014",
            ),
            (
                samples::REWARD,
                None,
                'h',
                "right if the node behind the template provider is on mainnet",
            ),
            (
                samples::REWARD,
                Some(Signet),
                'w',
                "a mainnet address, but the node follows signet",
            ),
            (
                testnet,
                Some(Mainnet),
                'e',
                "a testnet address (testnet or signet), but the node is on mainnet",
            ),
            (
                testnet,
                Some(Testnet4),
                'h',
                "and the node follows testnet4",
            ),
            (
                testnet,
                Some(Regtest),
                'w',
                "a testnet address (testnet or signet), but the node follows regtest",
            ),
            (
                testnet,
                None,
                'h',
                "This is a testnet address (testnet or signet): right only if",
            ),
            (
                older,
                Some(Mainnet),
                'e',
                "an address of a test network (testnet, signet or regtest)",
            ),
            (older, Some(Regtest), 'h', "and the node follows regtest"),
            (
                regtest,
                Some(Signet),
                'w',
                "a regtest address, but the node follows signet",
            ),
            (
                "raw(51)",
                Some(Mainnet),
                'h',
                "It names no chain, so it holds for any. The output script is 51.",
            ),
        ] {
            let told = judge(text, network);
            assert!(
                told.len() == 1 && told[0].0 == kind && told[0].1.contains(says),
                "{text} {network:?}: {told:?}"
            );
        }
        assert!(
            judge("raw()", Some(Regtest))
                .iter()
                .any(|(kind, text)| *kind == 'w' && text.contains("lost"))
        );
        let long = judge(&format!("raw({})", "51".repeat(500)), None);
        assert!(long[0].1.len() < 300 && long[0].1.contains('…'), "{long:?}");
    }
}
