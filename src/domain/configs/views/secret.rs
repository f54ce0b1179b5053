//! The page that shows the secret key of a saved configuration, and its confirmation page.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::ids::ConfigId;
use crate::domain::configs::SavedConfig;

/// `GET /saved-configs/{id}/secret`: the confirmation page.
#[derive(Debug, Template, JsonSchema, Serialize)]
#[template(path = "configs/ask_secret.html", blocks = ["main"])]
#[schemars(rename = "SecretQuestion")]
pub struct AskSecretPage {
    id: ConfigId,
    name: String,
    public_key: String,
}

crate::view!(AskSecretPage { "main" => as_main });

impl AskSecretPage {
    /// The confirmation page for this configuration.
    pub fn new(saved: SavedConfig) -> Self {
        Self {
            id: saved.id,
            name: saved.name,
            public_key: saved.config.authority_public_key,
        }
    }
}

/// `POST /saved-configs/{id}/secret`: the key pair in plain text.
#[derive(Template, JsonSchema, Serialize)]
#[template(path = "configs/secret.html", blocks = ["main"])]
#[schemars(rename = "Secret")]
pub struct SecretPage {
    success: bool,
    config_id: ConfigId,
    name: String,
    keys: KeyPairView,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SecretPair")]
struct KeyPairView {
    public_key: String,
    secret_key: String,
}

crate::view!(SecretPage { "main" => as_main });

impl SecretPage {
    /// Shows the keys of this configuration.
    pub fn new(saved: SavedConfig) -> Self {
        let secret_key = saved.config.authority_secret_key.reveal().to_owned();
        let keys = KeyPairView {
            public_key: saved.config.authority_public_key,
            secret_key,
        };
        Self {
            success: true,
            config_id: saved.id,
            name: saved.name,
            keys,
        }
    }
}
