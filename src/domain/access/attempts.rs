//! Limits on sign-in attempts: per address, per name, and total. Pure: the current time is a
//! parameter.
//!
//! An attempt is counted before the password is checked, so parallel attempts get no advantage.
//! Rejected attempts during a wait are not counted. The number of remembered addresses and names
//! is limited.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::web::PeerAddress;

/// Per address: attempts without a wait, then a wait that doubles up to the maximum.
const OF_AN_ADDRESS: AttemptLimit = AttemptLimit {
    free: 5,
    longest: Duration::from_secs(900),
};
/// Per name, for all addresses. The maximum wait is short, because anyone could use it to lock out a
/// user.
const AT_A_NAME: AttemptLimit = AttemptLimit {
    free: 20,
    longest: Duration::from_secs(30),
};
/// Per minute, for all unknown addresses together.
const IN_A_MINUTE: usize = 60;
/// An address or name is reset after this time without an attempt.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Maximum number of addresses and names to remember.
const MOST: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct AttemptLimit {
    free: u32,
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct AttemptCount {
    count: u32,
    last: Timestamp,
}

impl AttemptLimit {
    /// The wait before the next attempt.
    fn wait(self, tally: Option<&AttemptCount>, now: Timestamp) -> Duration {
        let Some(tally) =
            tally.filter(|tally| now.since(tally.last) < FORGOTTEN && tally.count >= self.free)
        else {
            return Duration::ZERO;
        };
        let pause =
            Duration::from_secs(1_u64 << (tally.count - self.free).min(20)).min(self.longest);
        pause.saturating_sub(now.since(tally.last))
    }
}

/// Recent attempts.
#[derive(Debug, Default)]
pub struct LoginAttempts {
    addresses: HashMap<IpAddr, AttemptCount>,
    names: HashMap<String, AttemptCount>,
    /// All attempts, oldest first.
    lately: VecDeque<Timestamp>,
    /// Addresses from which a name signed in before. Others cannot lock out the name there.
    known: HashSet<(String, IpAddr)>,
}

fn plain(name: &str) -> String {
    name.chars().take(64).collect::<String>().to_lowercase()
}

impl LoginAttempts {
    /// Registers an attempt. It counts as failed until [`LoginAttempts::succeeded`] is called.
    ///
    /// # Errors
    /// The attempt is not allowed yet; the remaining wait.
    pub fn begin(
        &mut self,
        address: Option<IpAddr>,
        name: &str,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let (address, name) = (address.map(PeerAddress::client_network), plain(name));
        let mut wait = address.map_or(Duration::ZERO, |address| {
            OF_AN_ADDRESS.wait(self.addresses.get(&address), now)
        });
        let is_known = address.is_some_and(|address| self.known.contains(&(name.clone(), address)));
        if !is_known {
            wait = wait.max(AT_A_NAME.wait(self.names.get(&name), now));
            while self
                .lately
                .front()
                .is_some_and(|first| now.since(*first) >= Duration::from_secs(60) || *first > now)
            {
                self.lately.pop_front();
            }
            if let Some(first) = self
                .lately
                .front()
                .filter(|_| self.lately.len() >= IN_A_MINUTE)
            {
                wait = wait.max(Duration::from_secs(60).saturating_sub(now.since(*first)));
            }
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        if let Some(address) = address {
            count(&mut self.addresses, address, now);
        }
        count(&mut self.names, name, now);
        if !is_known {
            self.lately.push_back(now);
        }
        Ok(())
    }

    /// The attempt succeeded: resets the address and the name.
    pub fn succeeded(&mut self, address: Option<IpAddr>, name: &str) {
        let (address, name) = (address.map(PeerAddress::client_network), plain(name));
        self.names.remove(&name);
        self.lately.pop_back();
        if let Some(address) = address {
            self.addresses.remove(&address);
            if self.known.len() < MOST {
                self.known.insert((name, address));
            }
        }
    }
}

fn count<K: std::hash::Hash + Eq>(tallies: &mut HashMap<K, AttemptCount>, key: K, now: Timestamp) {
    if tallies.len() >= MOST && !tallies.contains_key(&key) {
        tallies.retain(|_, tally| now.since(tally.last) < FORGOTTEN);
        // Then only the total limit applies.
        if tallies.len() >= MOST {
            return;
        }
    }
    let tally = tallies.entry(key).or_insert(AttemptCount {
        count: 0,
        last: now,
    });
    tally.count = if now.since(tally.last) >= FORGOTTEN {
        1
    } else {
        tally.count + 1
    };
    tally.last = now;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp(1_700_000_000_000).after(Duration::from_secs_f64(seconds))
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_waits_longer_and_longer_and_a_right_one_starts_anew() {
        let mut attempts = LoginAttempts::default();
        for _ in 0..5 {
            assert_eq!(attempts.begin(ip("192.0.2.1"), "ada", at(0.0)), Ok(()));
        }
        assert_eq!(
            attempts.begin(ip("192.0.2.1"), "eve", at(0.0)),
            Err(Duration::from_secs(1))
        );
        assert_eq!(
            attempts.begin(ip("::ffff:192.0.2.1"), "eve", at(0.0)),
            Err(Duration::from_secs(1)),
            "the same address"
        );
        assert_eq!(
            attempts.begin(ip("192.0.2.2"), "ada", at(0.0)),
            Ok(()),
            "others are not kept out"
        );
        assert_eq!(attempts.begin(ip("192.0.2.1"), "ada", at(1.0)), Ok(()));
        assert_eq!(
            attempts.begin(ip("192.0.2.1"), "ada", at(1.5)),
            Err(Duration::from_millis(1500))
        );
        attempts.succeeded(ip("192.0.2.1"), "ada");
        for _ in 0..5 {
            assert_eq!(attempts.begin(ip("192.0.2.1"), "ada", at(2.0)), Ok(()));
        }
    }

    #[test]
    fn the_wait_ends_at_a_quarter_of_an_hour_and_is_forgotten_after_an_hour() {
        let mut attempts = LoginAttempts::default();
        let mut now = 0.0;
        for _ in 0..40 {
            if let Err(wait) = attempts.begin(ip("192.0.2.1"), "ada", at(now)) {
                assert!(wait <= Duration::from_secs(900));
                now += wait.as_secs_f64();
                assert_eq!(attempts.begin(ip("192.0.2.1"), "ada", at(now)), Ok(()));
            }
        }
        assert_eq!(
            attempts.begin(ip("192.0.2.1"), "ada", at(now)),
            Err(Duration::from_secs(900))
        );
        assert_eq!(
            attempts.begin(ip("192.0.2.1"), "ada", at(now + 3600.0)),
            Ok(())
        );
        assert_eq!(
            attempts.begin(ip("192.0.2.1"), "ada", at(now + 3600.0)),
            Ok(())
        );
    }

    #[test]
    fn many_addresses_at_one_name_are_slowed_but_not_where_it_is_known() {
        let mut attempts = LoginAttempts::default();
        assert_eq!(attempts.begin(ip("192.0.2.250"), "ada", at(0.0)), Ok(()));
        attempts.succeeded(ip("192.0.2.250"), "ada");
        for n in 0..20 {
            assert_eq!(
                attempts.begin(ip(&format!("192.0.2.{n}")), "Ada", at(0.0)),
                Ok(())
            );
        }
        assert!(attempts.begin(ip("192.0.2.99"), "ADA", at(0.0)).is_err());
        assert_eq!(attempts.begin(ip("192.0.2.250"), "ada", at(0.0)), Ok(()));
    }

    #[test]
    fn everybody_together_has_a_limit_a_minute() {
        let mut attempts = LoginAttempts::default();
        let from = |n: usize| {
            Some(IpAddr::from([
                10,
                0,
                u8::try_from(n / 250).unwrap(),
                u8::try_from(n % 250).unwrap(),
            ]))
        };
        for n in 0..IN_A_MINUTE {
            assert_eq!(
                attempts.begin(from(n), &format!("user{n}"), at(0.0)),
                Ok(())
            );
        }
        assert_eq!(
            attempts.begin(from(900), "another", at(10.0)),
            Err(Duration::from_secs(50))
        );
        assert_eq!(attempts.begin(from(900), "another", at(60.0)), Ok(()));
    }

    #[test]
    fn ipv6_neighbours_are_one() {
        let mut attempts = LoginAttempts::default();
        for n in 0..5 {
            assert_eq!(
                attempts.begin(ip(&format!("2001:db8::{n}")), &format!("{n}"), at(0.0)),
                Ok(())
            );
        }
        assert!(attempts.begin(ip("2001:db8::ffff"), "x", at(0.0)).is_err());
        assert_eq!(attempts.begin(ip("2001:db8:0:1::1"), "x", at(0.0)), Ok(()));
    }

    proptest! {
        /// Within an hour, one address gets few attempts, and waiting for the reported time always
        /// helps.
        #[test]
        fn guesses_of_an_address_are_few(pauses in proptest::collection::vec(0.0..30.0_f64, 1..400)) {
            let mut attempts = LoginAttempts::default();
            let (mut now, mut made) = (0.0, 0);
            for pause in pauses {
                now += pause;
                if now > 3600.0 { break; }
                match attempts.begin(ip("192.0.2.1"), "ada", at(now)) {
                    Ok(()) => made += 1,
                    Err(wait) => {
                        now += wait.as_secs_f64() + 0.001;
                        prop_assert!(attempts.begin(ip("192.0.2.1"), "ada", at(now)).is_ok());
                        made += 1;
                    }
                }
            }
            prop_assert!(made <= 20, "{made} guesses");
        }
    }
}
