//! Reads public keys in the context of the other keys of a configuration. A secret key in a public
//! key field looks like a key of the 2019 protocol, unless its public key is also in the
//! configuration.

use super::table::is_blank;
use crate::domain::configs::model::ClientConfig;
use crate::domain::configs::rules::peer_address::StratumAddress;
use crate::domain::configs::rules::scalar;
use crate::domain::keys::{self, KeyFormatError, SecretKey};
use serde_json::Value;

/// The keys in a configuration.
#[derive(Default)]
pub struct KeyEvidence {
    texts: Vec<String>,
    secret: Option<SecretKey>,
}

impl KeyEvidence {
    /// The keys in `value`, and the secret key of the configuration that it replaces.
    pub fn of(value: &Value, previous: Option<&ClientConfig>) -> Self {
        let provider = value.pointer("/template_provider_type/Sv2Tp/public_key");
        let pools = value.get("upstreams").and_then(Value::as_array);
        let pool_keys = pools
            .into_iter()
            .flatten()
            .filter_map(|pool| pool.get("authority_pubkey"));
        let own = ["authority_public_key", "authority_secret_key"]
            .into_iter()
            .filter_map(|key| value.get(key));
        let texts = own
            .chain(provider)
            .chain(pool_keys)
            .filter_map(Value::as_str)
            .map(|text| scalar::bare(text).to_owned())
            .collect();
        let secret = previous.map(|config| config.authority_secret_key.clone());
        Self { texts, secret }
    }

    /// A public key. An address with a key after a slash means that key.
    pub fn public_key(&self, value: &Value) -> Result<String, String> {
        let text = scalar::word(value, scalar::LONGEST_TEXT)?;
        let inside = StratumAddress::parse(&text)
            .and_then(Result::ok)
            .and_then(|address| address.key);
        let text = inside.unwrap_or(text);
        keys::parse_public_key(&text).map_err(|fault| match self.is_secret(&text) {
            true => KeyFormatError::IsSecret.to_string(),
            false => fault.to_string(),
        })
    }

    /// Whether a text is certainly a secret key: the configuration also contains its public key, or
    /// has the same text as its secret key.
    fn is_secret(&self, text: &str) -> bool {
        let Ok(secret) = SecretKey::parse(text) else {
            return false;
        };
        let public = secret.public_key();
        let places = self.texts.iter().filter(|known| known.as_str() == text);
        self.texts.contains(&public)
            || places.count() > 1
            || self.secret.as_ref().is_some_and(|own| *own == secret)
    }
}

/// The key after the slash in the address of a pool or a template provider.
pub fn key_in_address(value: Option<&Value>) -> Option<String> {
    let text = value.filter(|value| !is_blank(value))?.as_str()?;
    StratumAddress::parse(scalar::bare(text))?.ok()?.key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::configs::samples;
    use serde_json::json;

    /// A new pair, so not one from a published example.
    fn pair() -> (String, String) {
        let pair = keys::KeyPair::generate().unwrap();
        (pair.public_key, pair.secret_key.reveal().to_owned())
    }

    #[test]
    fn a_secret_key_is_named_as_one_only_when_that_is_certain() {
        let (public, secret) = pair();
        let said = |value: Value, previous: Option<&ClientConfig>| {
            let message = KeyEvidence::of(&value, previous)
                .public_key(&json!(secret))
                .unwrap_err();
            assert!(!message.contains(&secret));
            message
        };
        let certain = "This is a secret key, not a public key.";
        for value in [
            json!({ "authority_public_key": secret, "authority_secret_key": public }),
            json!({ "authority_public_key": secret, "authority_secret_key": secret }),
            json!({ "authority_public_key": public, "upstreams": [{ "authority_pubkey": secret }] }),
        ] {
            assert!(said(value.clone(), None).starts_with(certain), "{value}");
        }
        let elsewhere = json!({ "upstreams": [{ "authority_pubkey": secret }] });
        assert!(said(elsewhere.clone(), None).contains("2019"));
        let mut previous = samples::pool();
        previous.authority_secret_key = SecretKey::parse(&secret).unwrap();
        assert!(said(elsewhere, Some(&previous)).starts_with(certain));
    }

    #[test]
    fn a_key_is_found_behind_an_address() {
        let address = format!("stratum2+tcp://pool.barn.lan:34254/{}", samples::POOL_KEY);
        let evidence = KeyEvidence::default();
        for text in [address.clone(), format!(" {}\u{200b}", samples::POOL_KEY)] {
            assert_eq!(
                evidence.public_key(&json!(text)).as_deref(),
                Ok(samples::POOL_KEY)
            );
        }
        assert_eq!(
            key_in_address(Some(&json!(address))).as_deref(),
            Some(samples::POOL_KEY)
        );
        assert_eq!(key_in_address(Some(&json!("pool.barn.lan:1"))), None);
    }
}
