//! The second factor: six digits of an authenticator app (RFC 6238 with the common parameters: SHA-1,
//! 30 s). Pure except for random bytes.

use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, Secret, TOTP};

use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};

/// Length of a step, seconds.
const STEP: i64 = 30;

/// Creates a secret: 160 bits (RFC 4226, 4), in base32.
pub fn fresh() -> Result<String> {
    let mut bytes = vec![0; 20];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(Secret::Raw(bytes).to_encoded().to_string())
}

fn generator(secret: &str) -> Option<TOTP> {
    let bytes = Secret::Encoded(secret.to_owned()).to_bytes().ok()?;
    TOTP::new(Algorithm::SHA1, 6, 1, STEP.unsigned_abs(), bytes).ok()
}

/// Whether a text is a valid secret.
pub fn is_secret(text: &str) -> bool {
    generator(text).is_some()
}

/// The time step of a code: the current step or a neighbor (clocks differ), and later than `last`,
/// because a code works only once. All candidates are compared in constant time.
pub fn step_of(typed: &str, secret: &str, last: i64, now: Timestamp) -> Option<i64> {
    let typed: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let generator = generator(secret)?;
    let here = now.0.div_euclid(1000 * STEP);
    let mut found = None;
    for step in here - 1..=here + 1 {
        let code = generator.generate(u64::try_from(step * STEP).ok()?);
        if bool::from(code.as_bytes().ct_eq(typed.as_bytes())) && step > last {
            found = Some(step);
        }
    }
    found
}

/// The address for an authenticator app, with the secret of the user `name`.
pub fn address(secret: &str, name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes())
        .collect::<String>()
        .replace('+', "%20");
    format!("otpauth://totp/jd-manager:{name}?secret={secret}&issuer=jd-manager")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, in six digits: the secret is "12345678901234567890".
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn codes_are_those_of_the_specification() {
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(
                step_of(code, SECRET, 0, at(second)),
                Some(second / 30),
                "{code}"
            );
        }
    }

    #[test]
    fn a_neighbouring_code_counts_once_and_no_other() {
        assert_eq!(
            step_of("287 082", SECRET, 0, at(59 + 30)),
            Some(1),
            "a slow clock"
        );
        assert_eq!(step_of("287082", SECRET, 0, at(59 + 60)), None);
        assert_eq!(step_of("287082", SECRET, 1, at(59)), None, "used before");
        for wrong in ["", "28708", "2870822", "287083", "２87082"] {
            assert_eq!(step_of(wrong, SECRET, 0, at(59)), None, "{wrong}");
        }
        assert_eq!(step_of("287082", "not base32!", 0, at(59)), None);
    }

    #[test]
    fn a_fresh_secret_works() {
        let secret = fresh().unwrap();
        assert!(is_secret(&secret) && secret.len() == 32, "{secret}");
        assert_ne!(secret, fresh().unwrap());
        let address = address(&secret, "ada & bob");
        assert_eq!(
            address,
            format!("otpauth://totp/jd-manager:ada%20%26%20bob?secret={secret}&issuer=jd-manager")
        );
        assert!(!is_secret("GEZDG"), "too short");
    }
}
