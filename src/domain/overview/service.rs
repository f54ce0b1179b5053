//! Reads what the overview of an instance shows.

use super::config_summary::{ConfigSummaryView, PendingRevision};
use super::views::{ConfigurationPage, OverviewParts};
use super::widget::StatusWidget;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::configs::views::notes::Warnings;
use crate::domain::configs::{
    ClientVersion, ConfigService, SavedConfig, monitoring_near, render_masked, render_translator,
};
use crate::domain::instances::{Instance, InstanceService};
use crate::domain::metrics::{MetricService, hashrate_chart};
use crate::domain::miners::{MinerFilter, MinerService, MinerState};

/// The number of miners and events on the overview.
const MINERS: u64 = 8;
const EVENTS: u64 = 5;
/// The uptime is that of the last month.
const UPTIME_HOURS: u64 = 30 * 24;

/// The overview of instances; cheap to clone.
#[derive(Clone, Debug)]
pub struct OverviewService {
    instances: InstanceService,
    configs: ConfigService,
    metrics: MetricService,
    miners: MinerService,
    has_widget: bool,
}

impl OverviewService {
    /// The overview of `instances`.
    pub fn new(
        instances: InstanceService,
        configs: ConfigService,
        metrics: MetricService,
        miners: MinerService,
    ) -> Self {
        Self {
            instances,
            configs,
            metrics,
            miners,
            has_widget: false,
        }
    }

    /// The same, with the widget for everybody if `has_widget`.
    #[must_use]
    pub fn with_widget(self, has_widget: bool) -> Self {
        Self { has_widget, ..self }
    }

    /// The widget.
    ///
    /// # Errors
    /// It is not enabled.
    pub(super) async fn widget(&self) -> Result<StatusWidget> {
        if !self.has_widget {
            return Err(Error::not_found("page", "/widget"));
        }
        Ok(StatusWidget::of(&self.instances.list().await?))
    }

    /// An instance of another host.
    pub(super) fn remote(&self, id: InstanceId) -> Option<Instance> {
        self.instances.remote().get(id)
    }

    /// An instance, with what its configuration says.
    pub(super) async fn instance(&self, id: InstanceId) -> Result<(Instance, ConfigSummaryView)> {
        let instance = self.instances.get(id).await?;
        let summary = match self.configs.get(instance.config_id).await {
            Ok(saved) => self.summary(&instance, &saved).await,
            // It was deleted in the meantime.
            Err(_) => ConfigSummaryView::default(),
        };
        Ok((instance, summary))
    }

    /// What only the page shows.
    pub(super) async fn parts(&self, id: InstanceId) -> Result<OverviewParts> {
        let now = Timestamp::now();
        let list = |state, limit| {
            let filter = MinerFilter {
                instance: Some(id),
                state,
                ..MinerFilter::default()
            };
            self.miners.part(filter, limit, 0)
        };
        let (_, miners) = list(None, MINERS).await?;
        let mut in_trouble = 0;
        for state in [MinerState::NoChannel, MinerState::ManyRejected] {
            in_trouble += list(Some(state), 1).await?.1.total;
        }
        let events = self.instances.history(Some(id), None, EVENTS).await?;
        Ok(OverviewParts {
            chart: Some(hashrate_chart(&self.metrics, id, now).await?),
            miner_total: miners.total,
            miners: miners.miners,
            in_trouble,
            uptime: Some(self.metrics.uptime(id, UPTIME_HOURS, now).await?),
            events: events.into_iter().map(|(event, _)| event).collect(),
            now,
        })
    }

    /// The page of the configuration of an instance.
    pub(super) async fn configuration(&self, id: InstanceId) -> Result<ConfigurationPage> {
        let instance = self.instances.get(id).await?;
        let saved = self.configs.get(instance.config_id).await?;
        let summary = self.summary(&instance, &saved).await;
        let version = self.version(&instance).await;
        let settings = saved.config.enabled_translator();
        let translator = settings
            .and_then(|settings| render_translator(&saved.config, monitoring_near(settings)));
        Ok(ConfigurationPage {
            file: render_masked(&saved.config, &version).ok(),
            translator_file: translator.and_then(std::result::Result::ok),
            version,
            config_id: saved.id,
            name: saved.name,
            revision: saved.revision,
            running_revision: instance.running_revision,
            summary,
            instance,
        })
    }

    /// The client version of the next start.
    async fn version(&self, instance: &Instance) -> ClientVersion {
        let pinned = instance
            .client_version
            .as_deref()
            .and_then(|version| version.parse().ok());
        match pinned {
            Some(version) => version,
            None => self
                .instances
                .client()
                .await
                .map_or(ClientVersion::NEWEST_KNOWN, |program| program.version),
        }
    }

    async fn summary(&self, instance: &Instance, saved: &SavedConfig) -> ConfigSummaryView {
        let pending = match instance.running_revision.filter(|_| instance.is_outdated()) {
            Some(running) => self.pending(instance, running, saved.revision).await,
            None => None,
        };
        ConfigSummaryView {
            addresses: self
                .instances
                .miner_addresses(instance, &saved.config)
                .await,
            doubts: Warnings::about(&saved.config),
            pending,
        }
    }

    /// Saved changes that are not running yet.
    async fn pending(
        &self,
        instance: &Instance,
        running: i32,
        saved: i32,
    ) -> Option<PendingRevision> {
        let comparison = self
            .configs
            .compare(instance.config_id, Some(running), Some(saved))
            .await
            .ok()?;
        let version = self.version(instance).await;
        Some(PendingRevision::new(comparison, version))
    }
}
