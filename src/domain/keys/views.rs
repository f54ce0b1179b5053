//! The page and JSON that show a new key pair with its secret key.

use askama::Template;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::KeyPair;

/// A new key pair. It is not stored.
#[derive(Template, JsonSchema, Serialize)]
#[template(path = "keys/pair.html", blocks = ["main"])]
#[schemars(rename = "FreshKeys")]
pub struct PairPage {
    success: bool,
    #[serde(serialize_with = "revealed")]
    #[schemars(with = "RevealedKeyPair")]
    keys: KeyPair,
}

crate::view!(PairPage { "main" => as_main });

impl PairPage {
    /// The page for this pair.
    pub fn new(keys: KeyPair) -> Self {
        Self {
            success: true,
            keys,
        }
    }
}

/// A key pair with the secret key in plain text.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RevealedKeys")]
struct RevealedKeyPair<'k> {
    public_key: &'k str,
    secret_key: &'k str,
}

fn revealed<S: Serializer>(keys: &KeyPair, s: S) -> Result<S::Ok, S::Error> {
    RevealedKeyPair {
        public_key: &keys.public_key,
        secret_key: keys.secret_key.reveal(),
    }
    .serialize(s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::{SecretKey, pair_matches};

    #[test]
    fn a_fresh_pair_is_shown_whole_on_the_page_and_in_the_json() {
        let page = PairPage::new(KeyPair::generate().unwrap());
        let json = serde_json::to_value(&page).unwrap();
        let secret = SecretKey::parse(json["keys"]["secret_key"].as_str().unwrap()).unwrap();
        assert!(pair_matches(
            json["keys"]["public_key"].as_str().unwrap(),
            &secret
        ));
        assert_eq!(json["success"], true);
        let html = page
            .render_with_values(&crate::web::PageFrame::default())
            .unwrap();
        assert!(
            html.contains(secret.reveal())
                && html.contains(json["keys"]["public_key"].as_str().unwrap())
        );
    }
}
