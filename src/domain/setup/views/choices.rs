//! What the first page of setup lets a user choose.

use crate::domain::configs::MiningMode;

/// A choice, with its explanation.
pub(super) struct SetupChoice {
    /// The value in the form.
    pub value: &'static str,
    /// The name.
    pub title: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// The mining modes.
pub(super) fn mode_choices() -> [SetupChoice; 3] {
    [
        SetupChoice {
            value: MiningMode::FullTemplate.as_str(),
            title: "Pool, full templates",
            help: "Your node chooses the transactions, and your client declares them to the pool. The pool pays you for shares.",
        },
        SetupChoice {
            value: MiningMode::CoinbaseOnly.as_str(),
            title: "Pool, coinbase only",
            help: "Your node creates the templates, but your client does not send the transactions to the pool. The pool must support this mode.",
        },
        SetupChoice {
            value: MiningMode::SoloMining.as_str(),
            title: "Solo, without a pool",
            help: "You keep the full reward of the blocks you mine and earn nothing otherwise. With a small miner, you may never find a block.",
        },
    ]
}

/// The kinds of miners.
pub(super) fn miner_choices() -> [SetupChoice; 2] {
    [
        SetupChoice {
            value: "v1",
            title: "Stratum V1, or not sure",
            help: "Most miners. Opens a port for Stratum V1 and one for Stratum V2.",
        },
        SetupChoice {
            value: "v2",
            title: "Stratum V2 only",
            help: "Firmware with Stratum V2: Braiins OS, AxeOS 2.14 or newer, NerdQAxe.",
        },
    ]
}
