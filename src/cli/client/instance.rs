//! Instances as returned by the API: all of them, and one by name or id.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::CommandError;
use super::manager::RemoteManager;
use super::naming::{NamedResource, find};

/// An instance as returned by the API: the fields that are used here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiInstance {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) since: Option<String>,
    pub(super) last_error: Option<String>,
    pub(super) cause: Option<ApiCause>,
    pub(super) health: Option<ApiInstanceStats>,
    pub(super) hashrate: Option<f64>,
    pub(super) uptime: Option<u64>,
    pub(super) port: Option<u16>,
    pub(super) config_name: String,
    pub(super) config_revision: Option<u64>,
    pub(super) running_revision: Option<u64>,
    pub(super) desired: String,
    pub(super) autostart: bool,
    pub(super) restart_policy: String,
    pub(super) restart_limit: Option<ApiRestartLimit>,
    pub(super) memory_limit_mib: Option<u64>,
    pub(super) open_files_limit: Option<u64>,
    pub(super) nice: Option<i64>,
    pub(super) client_version: Option<String>,
    pub(super) running_version: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) started_at: Option<String>,
    pub(super) stopped_at: Option<String>,
    pub(super) pid: Option<u32>,
    pub(super) restarts: u64,
    pub(super) failures: u64,
    pub(super) retry_at: Option<String>,
    pub(super) warning: Option<String>,
}

/// Why a client exited.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiCause {
    pub(super) what: String,
    pub(super) advice: String,
}

/// The health of an instance, in short.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiInstanceStats {
    pub(super) status: String,
    pub(super) score: Option<u64>,
    pub(super) place: Option<String>,
    pub(super) place_since: Option<String>,
    pub(super) trouble: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiRestartLimit {
    pub(super) failures: u64,
    pub(super) within_s: u64,
}

/// The response to `GET /instances`, each instance unchanged.
#[derive(Deserialize)]
struct ApiInstanceList {
    instances: Vec<Box<RawValue>>,
}

/// The number of instances per request.
const PAGE: usize = 1000;

/// All instances: the unchanged JSON and the parsed fields.
pub(super) async fn all(
    manager: &RemoteManager,
) -> Result<Vec<(Box<RawValue>, ApiInstance)>, CommandError> {
    let mut all = Vec::new();
    loop {
        let list: ApiInstanceList = manager
            .get(&format!("/api/instances?limit={PAGE}&offset={}", all.len()))
            .await?
            .read()?;
        let is_last = list.instances.len() < PAGE;
        for raw in list.instances {
            let read = serde_json::from_str(raw.get()).map_err(|e| {
                CommandError::Failed(format!(
                    "the response contains an instance that cannot be read: {e}"
                ))
            })?;
            all.push((raw, read));
        }
        if is_last {
            return Ok(all);
        }
    }
}

/// The names of all instances.
pub(super) async fn names(manager: &RemoteManager) -> Result<Vec<NamedResource>, CommandError> {
    Ok(all(manager)
        .await?
        .into_iter()
        .map(|(_, one)| NamedResource {
            id: one.id,
            name: one.name,
        })
        .collect())
}

/// The instance in `all` with this name or id.
pub(super) fn find_in<'a>(
    all: &'a [NamedResource],
    wanted: &str,
) -> Result<&'a NamedResource, CommandError> {
    find(all, wanted, "instance", "jd-manager instances")
}

/// The instance with this name or id.
pub(super) async fn named(
    manager: &RemoteManager,
    wanted: &str,
) -> Result<NamedResource, CommandError> {
    find_in(&names(manager).await?, wanted).cloned()
}
