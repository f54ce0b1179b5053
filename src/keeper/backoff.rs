//! How long to wait before the next retry. Pure: the random number is a parameter.

use std::time::Duration;

/// Exponential backoff: 1 s, doubling, at most 5 minutes. Each wait varies randomly by ±10 %, so
/// fifty clients of one broken template provider do not retry at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait, before the random variation.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The wait after the `failures`-th failure in a row (counted from 1). `chance` is a uniformly
    /// distributed random number.
    pub fn wait(&self, failures: u32, chance: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let plain = self.first.saturating_mul(1 << doublings).min(self.longest);
        let millis = u64::try_from(plain.as_millis()).unwrap_or(u64::MAX);
        let spread = millis / 5;
        Duration::from_millis(
            millis - spread / 2
                + if spread == 0 {
                    0
                } else {
                    chance % (spread + 1)
                },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_from_a_second_to_five_minutes() {
        let centre = |failures| Backoff::default().wait(failures, 100).as_millis();
        assert!((900..=1100).contains(&centre(1)));
        assert!((1800..=2200).contains(&centre(2)));
        assert!((270_000..=330_000).contains(&centre(10)));
        assert!((270_000..=330_000).contains(&centre(u32::MAX)));
    }

    proptest! {
        #[test]
        fn every_wait_is_within_a_tenth_of_its_doubling(failures in 1u32..100, chance: u64) {
            let plain = (1u128 << (failures - 1).min(20)).min(300) * 1000;
            let wait = Backoff::default().wait(failures, chance).as_millis();
            prop_assert!(wait >= plain * 9 / 10 && wait <= plain * 11 / 10, "{failures}: {wait} around {plain}");
        }
    }
}
