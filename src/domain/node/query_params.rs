//! Which node is to be checked.

use std::path::PathBuf;

use crate::base::error::{Error, FieldError, Result};
use crate::programs::bitcoin_core::BitcoinNetwork;
use crate::web::QueryParams;

/// The longest path that Linux takes, bytes.
const LONGEST: usize = 4096;

/// The parameters of a check.
#[derive(Clone, Debug, Default)]
pub struct NodeQuery {
    /// A socket or a data directory; none: the usual places.
    pub path: Option<PathBuf>,
    /// The expected chain; none: the one that the path tells.
    pub network: Option<BitcoinNetwork>,
    /// The version of Bitcoin Core in the configuration; none: each is tried.
    pub version: Option<u8>,
}

impl NodeQuery {
    /// Reads them.
    ///
    /// # Errors
    /// Names every parameter that cannot be read.
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

/// The versions that clients know, the newest first.
pub const VERSIONS: [u8; 2] = [31, 30];

fn path_error(path: &str) -> Option<String> {
    let detail = if path.contains('\0') {
        "path must not contain a NUL character."
    } else if path.len() > LONGEST {
        "path must have 4096 bytes or fewer."
    } else if !path.starts_with('/') {
        "path must be absolute: begin it with /."
    } else {
        return None;
    };
    Some(detail.into())
}
