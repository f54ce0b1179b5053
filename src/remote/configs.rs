//! `jd-manager configs`: saved configurations, listed, shown, taken in and out.

use serde::Deserialize;

use super::manager::Manager;
use super::naming::{Named, find};
use super::trouble::Trouble;

/// The answer to `GET /saved-configs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct List {
    configurations: Vec<Named>,
}

/// The saved configuration that is meant.
pub(super) async fn named(manager: &Manager, wanted: &str) -> Result<Named, Trouble> {
    let list: List = manager.get("/api/saved-configs?limit=1000").await?.read()?;
    find(&list.configurations, wanted, "configuration", "jd-manager configs").cloned()
}
