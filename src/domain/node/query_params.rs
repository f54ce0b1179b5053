//! The query parameters of a node check.

use std::path::PathBuf;

use crate::base::error::{Error, FieldError, Result};
use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::web::QueryParams;

/// The longest path on Linux, in bytes.
const LONGEST: usize = 4096;

/// The parameters of a check.
#[derive(Clone, Debug, Default)]
pub struct NodeQuery {
    /// A socket or a data directory; none for the default locations.
    pub path: Option<PathBuf>,
    /// The expected network; none to derive it from the path.
    pub network: Option<BitcoinNetwork>,
    /// The version of Bitcoin Core in the configuration; none to try each version.
    pub version: Option<u8>,
}

impl NodeQuery {
    /// Reads the parameters.
    ///
    /// # Errors
    /// Names every invalid parameter.
    pub fn read(mut params: QueryParams) -> Result<Self> {
        let network = params.get("network", "mainnet, testnet4, signet or regtest");
        let version = params.get("version", "30 or 31");
        let path = params.text("path").map(str::trim).map(str::to_owned);
        params.finish()?;
        let path = path.filter(|path| !path.is_empty());
        let wrong = path.as_deref().and_then(path_error);
        let mut errors: Vec<FieldError> = wrong
            .map(|detail| FieldError::new("/path", detail))
            .into_iter()
            .collect();
        if version.is_some_and(|version| !VERSIONS.contains(&version)) {
            errors.push(FieldError::new("/version", "version must be 30 or 31."));
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        Ok(Self {
            path: path.map(PathBuf::from),
            network,
            version,
        })
    }
}

/// The versions of Bitcoin Core that clients support, newest first.
pub const VERSIONS: [u8; 2] = [31, 30];

fn path_error(path: &str) -> Option<String> {
    let detail = if path.contains('\0') {
        "path must not contain a NUL character."
    } else if path.len() > LONGEST {
        "path must be at most 4096 bytes long."
    } else if !path.starts_with('/') {
        "path must be absolute and start with /."
    } else {
        return None;
    };
    Some(detail.into())
}
