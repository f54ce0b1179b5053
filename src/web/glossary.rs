//! Stratum V2 mining terms, each explained in one sentence.
//!
//! [`TERMS`] is the only list. The page `/glossary`, its JSON and the links of other pages
//! (`/glossary#id`) use it; tests compare the links with the ids.

use schemars::JsonSchema;
use serde::Serialize;

/// A term and its explanation.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct GlossaryTerm {
    /// The term, as pages write it.
    pub term: &'static str,
    /// Its anchor on the page: `/glossary#id`.
    pub id: &'static str,
    /// The explanation, one sentence.
    pub sentence: &'static str,
}

impl GlossaryTerm {
    /// The term with this anchor.
    pub fn with_id(id: &str) -> Option<&'static Self> {
        TERMS.iter().find(|term| term.id == id)
    }
}

const fn term(term: &'static str, id: &'static str, sentence: &'static str) -> GlossaryTerm {
    GlossaryTerm { term, id, sentence }
}

/// All terms, in alphabetical order.
pub const TERMS: &[GlossaryTerm] = &[
    term(
        "Authority key",
        "authority-key",
        "A key pair that proves identity: a server or client signs with the secret key, and the other side verifies it with the public key.",
    ),
    term(
        "Bitcoin node",
        "bitcoin-node",
        "A program, usually Bitcoin Core, that downloads and verifies the blockchain and keeps track of the transactions waiting for a block.",
    ),
    term(
        "Block template",
        "block-template",
        "A draft of the next block with its transactions, created by a Bitcoin node.",
    ),
    term(
        "Channel",
        "channel",
        "A stream of work for one miner within a connection, with its own difficulty and extranonce.",
    ),
    term(
        "Coinbase",
        "coinbase",
        "The first transaction of a block, which pays out the block reward and the fees.",
    ),
    term(
        "Coinbase tag",
        "coinbase-tag",
        "A short text, visible to everyone, that the JD client writes into the coinbase of your blocks.",
    ),
    term(
        "Difficulty",
        "difficulty",
        "How hard it is to find a share or a block: twice the difficulty takes twice as many attempts on average.",
    ),
    term(
        "Extranonce",
        "extranonce",
        "Bytes in the coinbase that differ for each miner, so that no two miners do the same work.",
    ),
    term(
        "Hashrate",
        "hashrate",
        "The number of attempts per second to find a block, for example 100 TH/s (100 trillion hashes per second).",
    ),
    term(
        "Instance",
        "instance",
        "A JD client that jd-manager supervises, together with its name and settings.",
    ),
    term(
        "IPC socket",
        "ipc-socket",
        "A file through which a JD client on the same machine connects directly to Bitcoin Core 30 or newer.",
    ),
    term(
        "JD client",
        "jd-client",
        "The program jd_client_sv2, which gets block templates from your node, gives work to your miners and declares that work to a pool.",
    ),
    term(
        "Job",
        "job",
        "The work that a miner gets: a block template reduced to what the miner needs to calculate hashes.",
    ),
    term(
        "Job declaration",
        "job-declaration",
        "The part of Stratum V2 that lets you, not the pool, choose the transactions in the blocks you mine.",
    ),
    term(
        "Job declaration server (JDS)",
        "jds",
        "The pool's server that receives and accepts the jobs that your JD client declares.",
    ),
    term(
        "Keeper",
        "keeper",
        "A small jd-manager process that supervises one client and restarts it if it fails, even while jd-manager is stopped.",
    ),
    term(
        "Payout address",
        "payout-address",
        "The Bitcoin address that receives the reward for the blocks you find when you mine solo.",
    ),
    term(
        "Pool",
        "pool",
        "A service that combines the work of many miners and pays each of them for their shares.",
    ),
    term(
        "Saved configuration",
        "saved-configuration",
        "The settings of a JD client that jd-manager stores, with all earlier revisions.",
    ),
    term(
        "Share",
        "share",
        "A result that is not good enough for a block but proves to the pool that a miner is working.",
    ),
    term(
        "Solo mining",
        "solo-mining",
        "Mining without a pool: you keep the full reward of the blocks you find, and earn nothing otherwise.",
    ),
    term(
        "Stale share",
        "stale-share",
        "A share for a job that is out of date, usually because a new block was found; it does not count.",
    ),
    term(
        "Stratum V1, Stratum V2",
        "stratum",
        "The old and new protocols between miners and pools; JD clients require Stratum V2.",
    ),
    term(
        "Template provider",
        "template-provider",
        "The source of block templates for a JD client: Bitcoin Core through its IPC socket, or a program such as sv2-tp.",
    ),
    term(
        "Translator",
        "translator",
        "A program that connects Stratum V1 miners to a Stratum V2 JD client or pool.",
    ),
    term(
        "Upstream",
        "upstream",
        "A pool together with its job declaration server, as listed in the JD client's configuration file.",
    ),
    term(
        "Worker",
        "worker",
        "A miner that belongs to a pool account; its name follows a dot, as in account.worker.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_term_has_its_own_anchor_and_one_sentence() {
        let ids: BTreeSet<&str> = TERMS.iter().map(|one| one.id).collect();
        assert_eq!(ids.len(), TERMS.len(), "two terms share an id");
        for one in TERMS {
            assert!(
                !one.id.is_empty() && one.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{one:?}"
            );
            assert!(
                one.sentence.ends_with('.')
                    && !one.sentence.contains(". ")
                    && one.sentence.split(' ').count() <= 25,
                "{one:?}"
            );
        }
    }

    #[test]
    fn the_terms_are_in_the_order_of_the_alphabet() {
        let names: Vec<String> = TERMS.iter().map(|one| one.term.to_lowercase()).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
