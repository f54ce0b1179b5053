//! The average hashrate of the last ten minutes and of the last hour. One round of samples covers ten
//! seconds, in which a miner may find no share.

use std::collections::VecDeque;

/// The duration of the average, in seconds.
pub const WINDOW: i64 = 600;
/// The duration of the longer average, in seconds.
pub const HOUR: i64 = 3600;
/// Without shares the hashrate is unknown until samples cover this number of seconds.
const SETTLED: i64 = 60;

/// Rounds within this number of seconds are kept as one sum, so that short intervals need no more
/// memory than the default one: there may be thousands of miners.
const PART: i64 = 10;

/// The hashrate of an instance or a miner in the latest rounds.
#[derive(Clone, Debug, Default)]
pub struct RecentHashrate {
    /// Oldest first.
    parts: VecDeque<HashratePart>,
    /// The second of the newest round.
    newest: i64,
}

/// The rounds of a few seconds.
#[derive(Clone, Copy, Debug)]
struct HashratePart {
    /// The second of the first round, since 1970.
    begin: u32,
    rounds: u32,
    /// The mean of the rounds, H/s.
    mean: f64,
}

impl RecentHashrate {
    /// Adds the hashrate between the previous round and this second. Keeps an hour.
    pub fn push(&mut self, at: i64, rate: f64) {
        self.push_within(HOUR, at, rate);
    }

    /// The same, and keeps `length` seconds.
    pub fn push_within(&mut self, length: i64, at: i64, rate: f64) {
        self.newest = at;
        match self.parts.back_mut() {
            Some(part) if (0..PART).contains(&(at - part.begin())) => part.add(rate),
            _ => self.parts.push_back(HashratePart {
                begin: u32::try_from(at).unwrap_or_default(),
                rounds: 1,
                mean: rate,
            }),
        }
        while self
            .parts
            .front()
            .is_some_and(|first| first.begin() <= at - length)
        {
            self.parts.pop_front();
        }
    }

    /// How many seconds the rounds cover that are kept.
    pub fn length(&self, now: i64, interval_s: i64) -> i64 {
        self.parts
            .front()
            .map_or(0, |first| now - first.begin() + interval_s)
    }

    /// The average of the last `window` seconds in H/s. `None` if the newest round is older than
    /// `fresh_s` seconds.
    pub fn average(&self, window: i64, now: i64, interval_s: i64, fresh_s: i64) -> Option<f64> {
        if self.parts.is_empty() || (now - self.newest).abs() > fresh_s {
            return None;
        }
        let within = self.parts.iter().filter(|part| part.begin() > now - window);
        let (rounds, sum) = within.fold((0_u32, 0.0), |(rounds, sum), part| {
            (rounds.saturating_add(part.rounds), sum + part.sum())
        });
        if rounds == 0 {
            return None;
        }
        let mean = sum / f64::from(rounds);
        let is_settled = mean > 0.0 || i64::from(rounds) * interval_s >= SETTLED;
        is_settled.then_some(mean)
    }
}

impl HashratePart {
    fn begin(self) -> i64 {
        i64::from(self.begin)
    }

    fn sum(self) -> f64 {
        self.mean * f64::from(self.rounds)
    }

    fn add(&mut self, rate: f64) {
        let sum = self.sum() + rate;
        self.rounds = self.rounds.saturating_add(1);
        self.mean = sum / f64::from(self.rounds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_shares_average_out_and_old_samples_do_not_count() {
        let mut recent = RecentHashrate::default();
        assert_eq!(recent.average(WINDOW, 0, 10, 30), None);
        // A share every 30 s: two of three samples contain none.
        for round in 0..90 {
            recent.push(round * 10, if round % 3 == 0 { 1500.0 } else { 0.0 });
        }
        assert_eq!(recent.average(WINDOW, 890, 10, 30), Some(500.0));
        assert_eq!(
            recent.average(WINDOW, 920, 10, 30),
            Some(500.0),
            "what is older than the window does not count"
        );
        assert_eq!(
            recent.average(WINDOW, 921, 10, 30),
            None,
            "the newest sample is too old"
        );
    }

    #[test]
    fn frequent_rounds_have_the_same_average_and_need_no_more_memory() {
        let mut recent = RecentHashrate::default();
        for round in 0..3000 {
            recent.push_within(WINDOW, round, f64::from(u8::from(round % 3 == 0)) * 1500.0);
        }
        assert!(recent.parts.len() <= 60, "{} parts", recent.parts.len());
        let mean = recent.average(WINDOW, 2999, 1, 3).unwrap();
        assert!((499.0..=501.0).contains(&mean), "{mean}");
        assert!((590..=600).contains(&recent.length(2999, 1)));
        assert_eq!(recent.average(WINDOW, 3003, 1, 3), None);
    }

    #[test]
    fn no_share_in_the_first_minute_is_not_a_hashrate_of_zero() {
        let mut recent = RecentHashrate::default();
        for at in [10, 20, 30, 40, 50] {
            recent.push(at, 0.0);
        }
        assert_eq!(recent.average(WINDOW, 50, 10, 30), None);
        recent.push(60, 0.0);
        assert_eq!(recent.average(WINDOW, 60, 10, 30), Some(0.0));
    }
}
