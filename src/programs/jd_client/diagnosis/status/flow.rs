//! How regularly lines, templates, blocks and the pool's answers arrive, learned from a client's
//! own log. A gap can only be judged by what is normal for this client. Values only.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Messages within this time belong together, such as a template and its previous block.
const TOGETHER: Duration = Duration::from_millis(500);
/// The minimum number of gaps for a useful average.
const ENOUGH_GAPS: u32 = 4;
/// The length of the moving average, in gaps.
const REMEMBERED_GAPS: u32 = 8;
/// The number of newest blocks that are remembered: two hours of the main chain.
const BLOCKS: usize = 12;

/// How often something arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct LearnedInterval {
    /// When it last arrived.
    pub last: Option<Timestamp>,
    /// The average time between two arrivals, in milliseconds; the newest eight count most.
    pub mean_ms: u64,
    /// The number of gaps in the average.
    pub gaps: u32,
}

impl LearnedInterval {
    /// Records an arrival.
    pub(super) fn note(&mut self, at: Timestamp) {
        let Some(last) = self.last.replace(at) else {
            return;
        };
        let gap = at.since(last);
        if gap < TOGETHER {
            return;
        }
        let gap = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        let known = u64::from(self.gaps.min(REMEMBERED_GAPS - 1));
        self.mean_ms = self.mean_ms.saturating_mul(known).saturating_add(gap) / (known + 1);
        self.gaps = self.gaps.saturating_add(1);
    }

    /// The average time between two arrivals; none if there are not enough gaps yet.
    pub fn mean(&self) -> Option<Duration> {
        (self.gaps >= ENOUGH_GAPS).then(|| Duration::from_millis(self.mean_ms))
    }
}

/// A block that the template provider reported as the newest on its network.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct SeenBlock {
    /// The hash, hexadecimal, as in block explorers.
    pub hash: String,
    /// When it was first reported.
    pub at: Timestamp,
}

/// The newest blocks of the chain that a client works on, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeenBlocks(Vec<SeenBlock>);

impl SeenBlocks {
    /// The template provider reports this block as the newest.
    pub(super) fn note(&mut self, hash: String, at: Timestamp) {
        if self.0.first().is_none_or(|newest| newest.hash != hash) {
            self.0.insert(0, SeenBlock { hash, at });
            self.0.truncate(BLOCKS);
        }
    }

    /// The newest block.
    pub fn newest(&self) -> Option<&SeenBlock> {
        self.0.first()
    }

    /// The block after `hash`; none if `hash` is the newest block or unknown, as on another chain.
    pub fn successor(&self, hash: &str) -> Option<&SeenBlock> {
        let place = self.0.iter().position(|block| block.hash == hash)?;
        self.0.get(place.checked_sub(1)?)
    }
}

/// The miners' shares since the pool last responded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct UnansweredWork {
    /// When the client accepted the first share after the pool's last response.
    pub since: Option<Timestamp>,
    /// The number of shares that the client has accepted from miners since then.
    pub shares: u64,
    /// The number of these shares that the client has sent to the pool.
    pub sent: u64,
}

impl UnansweredWork {
    pub(super) fn add(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
        self.shares = self.shares.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_795_000_000_000 + seconds * 1000)
    }

    #[test]
    fn an_interval_is_learned_from_gaps_and_follows_a_change() {
        let mut learned = LearnedInterval::default();
        for round in 0..4 {
            learned.note(at(round * 30));
            // A block comes with its template.
            learned.note(Timestamp(at(round * 30).0 + 3));
        }
        assert_eq!((learned.gaps, learned.mean()), (3, None));
        learned.note(at(120));
        let mean = learned.mean().unwrap().as_secs_f64();
        assert!((29.9..30.1).contains(&mean), "{mean}");
        for round in 0..40 {
            learned.note(at(120 + round * 5));
        }
        let mean = learned.mean().unwrap().as_secs_f64();
        assert!((5.0..5.5).contains(&mean), "{mean}");
        // A clock that is set back makes no gap.
        learned.note(at(0));
        assert_eq!(learned.last, Some(at(0)));
    }

    #[test]
    fn a_block_is_followed_by_the_next_one_on_the_same_chain() {
        let mut blocks = SeenBlocks::default();
        for (number, hash) in ["aa", "bb", "bb", "cc"].into_iter().enumerate() {
            blocks.note(hash.into(), at(i64::try_from(number).unwrap()));
        }
        assert_eq!(blocks.newest().unwrap().hash, "cc");
        assert_eq!(blocks.successor("aa").unwrap().at, at(1));
        assert_eq!(blocks.successor("cc"), None);
        assert_eq!(blocks.successor("other chain"), None);
        for number in 0..20 {
            blocks.note(format!("{number}"), at(number));
        }
        assert_eq!(blocks.0.len(), BLOCKS);
    }
}
