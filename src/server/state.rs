//! The state of handlers: each domain's service and nothing else.

use axum::Json;
use axum::extract::{FromRef, State};
use schemars::JsonSchema;
use serde::Serialize;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use crate::base::clock::Timestamp;
use crate::domain::access::Access;
use crate::domain::alerts::Alerts;
use crate::domain::backups::Backups;
use crate::domain::bulk::BulkJobs;
use crate::domain::configs::ConfigService;
use crate::domain::health::routes::HealthRoutesState;
use crate::domain::hosts::HostService;
use crate::domain::instances::InstanceService;
use crate::domain::instances::list_page::InstanceListState;
use crate::domain::legacy_api::FirstGeneration;
use crate::domain::logs::LogService;
use crate::domain::metrics::routes::MetricsRoutesState;
use crate::domain::miners::MinerService;
use crate::domain::node::NodeService;
use crate::domain::overview::OverviewService;
use crate::domain::rollouts::RolloutService;
use crate::domain::setup::SetupService;
use crate::domain::updates::UpdateService;
use crate::infra::notices::ManagerNotices;
use crate::server::api_docs::OperationSource;

/// The services of one running manager; cheap to clone, because the router clones it for each
/// request several times.
#[derive(Clone, Debug)]
pub struct AppState(Arc<AppServices>);

impl From<AppServices> for AppState {
    fn from(services: AppServices) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for AppState {
    type Target = AppServices;

    fn deref(&self) -> &AppServices {
        &self.0
    }
}

/// The services of one running manager.
#[derive(Debug)]
pub struct AppServices {
    /// Users, sessions and tokens.
    pub access: Access,
    /// Saved configurations.
    pub configs: ConfigService,
    /// Instances.
    pub instances: InstanceService,
    /// Lists of instances.
    pub instance_lists: InstanceListState,
    /// Actions on several instances.
    pub bulk: BulkJobs,
    /// Checks of nodes.
    pub nodes: NodeService,
    /// Unfinished setups.
    pub setups: SetupService,
    /// Logs of instances.
    pub logs: LogService,
    /// The overviews of instances.
    pub overview: OverviewService,
    /// Metrics of instances.
    pub metrics: MetricsRoutesState,
    /// Miners of instances.
    pub miners: MinerService,
    /// Health of instances.
    pub health: HealthRoutesState,
    /// Installed clients and the version in use.
    pub updates: UpdateService,
    /// Alerts.
    pub alerts: Alerts,
    /// Backups.
    pub backups: Backups,
    /// Other machines.
    pub hosts: HostService,
    /// Rollouts to hosts.
    pub rollouts: RolloutService,
    /// Problems of the manager itself.
    pub notices: ManagerNotices,
    /// The original API for a single client.
    pub legacy: FirstGeneration,
    /// The API documentation.
    pub api: OperationSource,
    /// Start time of the manager.
    pub started: Instant,
}

/// The health of the manager.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ManagerHealth {
    /// Always `ok`: an unhealthy manager does not respond.
    status: &'static str,
    /// The current time of this machine.
    timestamp: Timestamp,
    /// Uptime in whole seconds.
    uptime: u64,
    /// The ids of the notices that the list of instances shows.
    notices: Vec<&'static str>,
}

impl AppServices {
    /// The response for a healthy manager.
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

/// `GET /health`: health of the manager, for containers and load balancers.
pub(super) async fn manager_health(State(state): State<AppState>) -> Json<ManagerHealth> {
    Json(state.manager_health())
}

/// Lets handlers use these members with `State`.
macro_rules! services {
    ($($field:ident: $service:ty),+ $(,)?) => {$(
        impl FromRef<AppState> for $service {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        }
    )+};
}
services! {
    access: Access,
    configs: ConfigService,
    instances: InstanceService,
    instance_lists: InstanceListState,
    bulk: BulkJobs,
    nodes: NodeService,
    setups: SetupService,
    logs: LogService,
    overview: OverviewService,
    metrics: MetricsRoutesState,
    miners: MinerService,
    health: HealthRoutesState,
    updates: UpdateService,
    alerts: Alerts,
    backups: Backups,
    hosts: HostService,
    rollouts: RolloutService,
    legacy: FirstGeneration,
    api: OperationSource,
}
