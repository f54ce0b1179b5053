//! A peer's certificate that the client rejected, and the reason: a wrong clock or a wrong key.
//!
//! A certificate is signed with the peer's key for a time range. Client 0.6.0 checks both and
//! reports only that the certificate is invalid, but it logs the time range. This module must not
//! use the current time: the timestamp of the log line counts.

use super::EndCause;
use crate::base::clock::{Timestamp, human_duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much the clocks of two machines may differ (noise_sv2 2.0.0, `verify_with_now`).
const LEEWAY_S: i64 = 10;

/// The owner of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Peer")]
pub enum CertificateOwner {
    /// The template provider.
    Provider,
    /// A pool.
    Pool,
    /// A pool's job declaration server.
    JobServer,
    /// A miner.
    Miner,
}

/// A rejected certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct RejectedCertificate {
    /// When the client logged it.
    pub at: Timestamp,
    /// The owner.
    pub peer: CertificateOwner,
    /// Start of validity, in seconds since 1970. Peers create a certificate for each connection, so
    /// this is the peer's clock.
    pub valid_from: i64,
    /// End of validity, in seconds since 1970.
    pub not_valid_after: i64,
}

/// Why the certificate was rejected, and the fix. The code is `…-clock` or `…-key`, prefixed with
/// `provider`, `pool`, `job-server` or `miner`.
pub fn certificate_text(certificate: &RejectedCertificate) -> EndCause {
    let (code, who, key) = match certificate.peer {
        CertificateOwner::Provider => (
            "provider",
            "the template provider",
            "Compare its public key in the configuration with the key that it prints at startup",
        ),
        CertificateOwner::Pool => (
            "pool",
            "the pool",
            "Compare its public key in the configuration with the key that the pool publishes",
        ),
        CertificateOwner::JobServer => (
            "job-server",
            "the job declaration server",
            "The pool's public key verifies it. Compare that key in the configuration with the key that the pool publishes",
        ),
        CertificateOwner::Miner => ("miner", "the miner", "Compare the keys on both sides"),
    };
    let at = certificate.at.0.div_euclid(1000);
    let (early, late) = (
        certificate.valid_from.saturating_sub(at),
        at.saturating_sub(certificate.not_valid_after),
    );
    let length = |seconds: i64| human_duration(Duration::from_secs(seconds.unsigned_abs()));
    let wrong = if early > LEEWAY_S {
        Some(format!(
            "this machine's clock is {} behind {who}'s clock",
            length(early)
        ))
    } else if late > LEEWAY_S {
        let ahead = length(at.saturating_sub(certificate.valid_from));
        Some(format!(
            "this machine's clock is {ahead} ahead of {who}'s clock, so the certificate appears to have expired"
        ))
    } else {
        None
    };
    match wrong {
        Some(what) => EndCause {
            code: format!("{code}-clock"),
            what,
            advice: "Synchronize the clocks of both machines with a time server. They may differ by at most 10 seconds.".into(),
        },
        None => EndCause {
            code: format!("{code}-key"),
            what: format!("the key in the configuration is not {who}'s key"),
            advice: format!("{key}."),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(at: i64, peer: CertificateOwner) -> (String, String) {
        let (valid_from, not_valid_after) = (1_795_383_253, 1_795_386_853);
        let cause = certificate_text(&RejectedCertificate {
            at: Timestamp(at * 1000 + 107),
            peer,
            valid_from,
            not_valid_after,
        });
        assert!(
            cause.advice.ends_with('.') && !cause.what.ends_with('.'),
            "{cause:?}"
        );
        (cause.code, cause.what)
    }

    #[test]
    fn within_its_time_it_is_the_key() {
        for at in [1_795_383_243, 1_795_383_253, 1_795_386_863] {
            assert_eq!(
                words(at, CertificateOwner::Provider),
                (
                    "provider-key".into(),
                    "the key in the configuration is not the template provider's key".into()
                )
            );
        }
        assert_eq!(
            words(1_795_383_253, CertificateOwner::JobServer).0,
            "job-server-key"
        );
    }

    #[test]
    fn outside_its_time_it_is_the_clock_by_so_much() {
        assert_eq!(
            words(1_795_383_253 - 11, CertificateOwner::Pool),
            (
                "pool-clock".into(),
                "this machine's clock is 11 s behind the pool's clock".into()
            )
        );
        let (code, what) = words(1_795_386_853 + 3_600, CertificateOwner::JobServer);
        assert_eq!(code, "job-server-clock");
        assert!(
            what.starts_with(
                "this machine's clock is 2 h 0 min ahead of the job declaration server's clock"
            ),
            "{what}"
        );
    }

    #[test]
    fn times_beyond_all_sense_are_spoken_all_the_same() {
        for (at, from, until) in [
            (i64::MIN, i64::MAX, i64::MIN),
            (i64::MAX, i64::MIN, i64::MIN),
            (0, i64::MAX, i64::MAX),
        ] {
            let certificate = RejectedCertificate {
                at: Timestamp(at),
                peer: CertificateOwner::Miner,
                valid_from: from,
                not_valid_after: until,
            };
            assert_eq!(certificate_text(&certificate).code, "miner-clock");
        }
    }
}
