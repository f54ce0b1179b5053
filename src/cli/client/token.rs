//! The API token: from the environment or a file, never from the command line, where every user of
//! the machine can read it.

use std::path::Path;

/// A token. It is never printed.
#[derive(Clone)]
pub(super) struct BearerToken {
    secret: String,
    /// The source of the token, for messages.
    pub(super) whence: String,
}

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token from {}", self.whence)
    }
}

impl BearerToken {
    /// The environment variable with the token.
    const VARIABLE: &str = "JD_MANAGER_TOKEN";

    /// The token in the environment, if there is one.
    pub(super) fn from_environment() -> Result<Option<Self>, String> {
        match std::env::var(Self::VARIABLE) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Self::checked(&text, Self::VARIABLE.into()).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(format!("{} does not contain a token", Self::VARIABLE))
            }
        }
    }

    /// The token in the first line of a file.
    pub(super) fn from_file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("--token-file: cannot read {}: {e}", path.display()))?;
        Self::checked(
            text.lines().next().unwrap_or_default(),
            path.display().to_string(),
        )
    }

    fn checked(text: &str, whence: String) -> Result<Self, String> {
        let secret = text.trim();
        if !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self {
                secret: secret.to_owned(),
                whence,
            })
        } else {
            Err(format!(
                "{whence} does not contain a token. Create one with: jd-manager token create NAME"
            ))
        }
    }

    /// The value of the request header; kept out of logs.
    pub(super) fn header(&self) -> reqwest::header::HeaderValue {
        let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {}", self.secret))
            .unwrap_or_else(|_| reqwest::header::HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }
}
