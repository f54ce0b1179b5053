//! The average hashrate of the last ten minutes and of the last hour. One round of samples covers ten
//! seconds, in which a miner may find no share.

use std::collections::VecDeque;

/// The duration of the average, in seconds.
pub const WINDOW: i64 = 600;
/// The duration of the longer average, in seconds.
pub const HOUR: i64 = 3600;
/// Without shares the hashrate is unknown until samples cover this number of seconds.
const SETTLED: i64 = 60;

/// The hashrate of an instance or a miner in the latest rounds, oldest first.
#[derive(Clone, Debug, Default)]
pub struct RecentHashrate(VecDeque<(i64, f64)>);

impl RecentHashrate {
    /// Adds the hashrate between the previous round and this second. Keeps an hour.
    pub fn push(&mut self, at: i64, rate: f64) {
        self.push_within(HOUR, at, rate);
    }

    /// The same, and keeps `length` seconds.
    pub fn push_within(&mut self, length: i64, at: i64, rate: f64) {
        self.0.push_back((at, rate));
        while self
            .0
            .front()
            .is_some_and(|(first, _)| *first <= at - length)
        {
            self.0.pop_front();
        }
    }

    /// How many seconds the rounds cover that are kept.
    pub fn length(&self, now: i64, interval_s: i64) -> i64 {
        self.0
            .front()
            .map_or(0, |(first, _)| now - first + interval_s)
    }

    /// The average of the last `window` seconds in H/s. `None` if the newest round is older than
    /// `fresh_s` seconds.
    pub fn average(&self, window: i64, now: i64, interval_s: i64, fresh_s: i64) -> Option<f64> {
        let newest = self.0.back().map(|(at, _)| *at)?;
        if (now - newest).abs() > fresh_s {
            return None;
        }
        let rates: Vec<f64> = self
            .0
            .iter()
            .filter(|(at, _)| *at > now - window)
            .map(|(_, rate)| *rate)
            .collect();
        let count = u32::try_from(rates.len()).ok().filter(|count| *count > 0)?;
        let mean = rates.iter().sum::<f64>() / f64::from(count);
        let is_settled = mean > 0.0 || i64::from(count) * interval_s >= SETTLED;
        is_settled.then_some(mean)
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
