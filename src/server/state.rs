//! What handlers may reach: each domain's service and nothing else.

use axum::extract::FromRef;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::clock::Timestamp;
use crate::domain::access::Access;
use crate::domain::alerts::Alerts;
use crate::domain::backups::Backups;
use crate::domain::configs::ConfigService;
use crate::domain::health::HealthService;
use crate::domain::health::routes::HealthRoutesState;
use crate::domain::instances::InstanceService;
use crate::domain::instances::list_page::InstanceListState;
use crate::domain::legacy_api::FirstGeneration;
use crate::domain::logs::LogService;
use crate::domain::logs::routes::LogPagesState;
use crate::domain::metrics::MetricService;
use crate::domain::metrics::routes::MetricsRoutesState;
use crate::domain::setup::SetupService;
use crate::domain::updates::UpdateService;
use crate::infra::notices::ManagerNotices;

/// The services of one running manager; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// Who may do what.
    pub access: Access,
    /// Saved configurations.
    pub configs: ConfigService,
    /// Instances.
    pub instances: InstanceService,
    /// Setups that were begun.
    pub setups: SetupService,
    /// Their logs.
    pub logs: LogService,
    /// Their metrics.
    pub metrics: MetricService,
    /// Their health.
    pub health: HealthService,
    /// Clients: which there are and which is in use.
    pub updates: UpdateService,
    /// Alerts.
    pub alerts: Alerts,
    /// Backups.
    pub backups: Backups,
    /// Problems of the manager itself.
    pub notices: ManagerNotices,
    /// Cancelled when the manager ends.
    pub stop: CancellationToken,
    /// When the manager was started.
    pub started: Instant,
    /// The same by the clock.
    pub started_at: Timestamp,
}

/// How the manager itself is.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ManagerHealth")]
pub struct ManagerHealth {
    /// Always `ok`: one that is not well does not answer.
    status: &'static str,
    /// The machine's time.
    timestamp: Timestamp,
    /// For how long it has run, whole seconds.
    uptime: u64,
    /// The ids of the notices that the overview shows.
    notices: Vec<&'static str>,
}

impl AppState {
    /// That the manager is well.
    pub fn manager_health(&self) -> ManagerHealth {
        let notices = self.notices.list().iter().map(|notice| notice.id).collect();
        ManagerHealth {
            status: "ok",
            timestamp: Timestamp::now(),
            uptime: self.started.elapsed().as_secs(),
            notices,
        }
    }
}

impl FromRef<AppState> for Access {
    fn from_ref(state: &AppState) -> Self {
        state.access.clone()
    }
}

impl FromRef<AppState> for ConfigService {
    fn from_ref(state: &AppState) -> Self {
        state.configs.clone()
    }
}

impl FromRef<AppState> for InstanceService {
    fn from_ref(state: &AppState) -> Self {
        state.instances.clone()
    }
}

impl FromRef<AppState> for SetupService {
    fn from_ref(state: &AppState) -> Self {
        state.setups.clone()
    }
}

impl FromRef<AppState> for UpdateService {
    fn from_ref(state: &AppState) -> Self {
        state.updates.clone()
    }
}

impl FromRef<AppState> for Alerts {
    fn from_ref(state: &AppState) -> Self {
        state.alerts.clone()
    }
}

impl FromRef<AppState> for Backups {
    fn from_ref(state: &AppState) -> Self {
        state.backups.clone()
    }
}

impl FromRef<AppState> for InstanceListState {
    fn from_ref(state: &AppState) -> Self {
        Self {
            instances: state.instances.clone(),
            configs: state.configs.clone(),
            notices: state.notices.clone(),
            stop: state.stop.clone(),
        }
    }
}

impl FromRef<AppState> for MetricsRoutesState {
    fn from_ref(state: &AppState) -> Self {
        Self {
            metrics: state.metrics.clone(),
            stop: state.stop.clone(),
            started: state.started_at,
        }
    }
}

impl FromRef<AppState> for HealthRoutesState {
    fn from_ref(state: &AppState) -> Self {
        Self {
            health: state.health.clone(),
            stop: state.stop.clone(),
        }
    }
}

impl FromRef<AppState> for FirstGeneration {
    fn from_ref(state: &AppState) -> Self {
        Self::new(state.configs.clone(), state.instances.clone())
    }
}

impl FromRef<AppState> for LogPagesState {
    fn from_ref(state: &AppState) -> Self {
        Self {
            logs: state.logs.clone(),
            configs: state.configs.clone(),
        }
    }
}
