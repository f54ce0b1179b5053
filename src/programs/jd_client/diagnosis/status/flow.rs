//! How regularly lines, templates, blocks and the pool's answers come, learned from a client's own
//! log: what is missing can only be judged by what is usual for this client. Values only.

use crate::base::clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Messages that are nearer to each other belong together, as a template and its previous block.
const TOGETHER: Duration = Duration::from_millis(500);
/// From so many gaps on their mean says something.
const ENOUGH_GAPS: u32 = 4;
/// The mean forgets: each gap counts this part of it once there are so many.
const REMEMBERED_GAPS: u32 = 8;
/// So many of the newest blocks are remembered: two hours of the main chain.
const BLOCKS: usize = 12;

/// How often something comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct LearnedInterval {
    /// When it last came.
    pub last: Option<Timestamp>,
    /// The mean time from one to the next, milliseconds; the newest eight count most.
    pub mean_ms: u64,
    /// How many gaps the mean was learned from.
    pub gaps: u32,
}

impl LearnedInterval {
    /// It came at this moment.
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

    /// The mean time from one to the next; none before there are enough of them.
    pub fn mean(&self) -> Option<Duration> {
        (self.gaps >= ENOUGH_GAPS).then(|| Duration::from_millis(self.mean_ms))
    }
}

/// A block that the template provider named as the newest of its chain.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct SeenBlock {
    /// Its hash, hexadecimal, as block explorers write it.
    pub hash: String,
    /// When it was first named.
    pub at: Timestamp,
}

/// The newest blocks of the chain that a client works on, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeenBlocks(Vec<SeenBlock>);

impl SeenBlocks {
    /// The template provider names this block as the newest one.
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

    /// The block that came right after `hash` here; none if `hash` is the newest one here or is
    /// not known here, as on another chain.
    pub fn successor(&self, hash: &str) -> Option<&SeenBlock> {
        let place = self.0.iter().position(|block| block.hash == hash)?;
        self.0.get(place.checked_sub(1)?)
    }
}

/// What miners have done since their pool last answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct UnansweredWork {
    /// When the client accepted the first share after the pool's last answer.
    pub since: Option<Timestamp>,
    /// How many shares it has accepted from miners since.
    pub shares: u64,
    /// How many of them it has sent to the pool.
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
