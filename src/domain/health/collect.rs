//! Collects the parts of a snapshot that are not in the log or the history: configuration file,
//! version, latest samples, free disk space.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::running_config::RunningConfig;
use super::service::{CachedHealth, HealthAssessment, HealthService, of_this_run};
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::base::ids::InstanceId;
use crate::domain::configs::ClientVersion;
use crate::domain::instances::Instance;
use crate::domain::metrics::LatestFigures;
use crate::infra::disk::free_space;

/// Interval of the free space check.
const DISK_ASKED: Duration = Duration::from_secs(30);
/// The latest sample counts as current for this many intervals, and at least this many seconds.
const PRESENT_ROUNDS: i64 = 3;
const PRESENT_SECONDS: i64 = 60;

impl HealthService {
    /// The known state of an instance, without new measurements.
    ///
    /// # Errors
    /// The database cannot be read, the first time.
    pub(super) async fn seen(&self, instance: Instance) -> Result<HealthAssessment> {
        let kept = self.kept(instance.id).await?;
        let running = self.running(&instance, &kept).await;
        let standing = of_this_run(&kept.standing, &instance);
        let measured = self.measured(&instance, Timestamp::now());
        let translator = self.translator_health(&instance, &kept, false).await;
        Ok(HealthAssessment {
            translator,
            running,
            standing,
            measured,
            cures: kept.cures,
            settings: kept.settings,
            probed: kept.probed.of_run(instance.start_time).clone(),
            instance,
        })
    }

    /// The newer client that is available for an instance. The outer `None` means that its client
    /// version is unknown.
    pub fn available_update(&self, id: InstanceId) -> Option<Option<String>> {
        self.0
            .kept()
            .get(&id)
            .and_then(|kept| kept.available_update.clone())
    }

    /// The latest samples of the current client, if they are recent.
    pub(super) fn measured(&self, instance: &Instance, now: Timestamp) -> Option<LatestFigures> {
        // A sample from before the start belongs to the previous client, and an old one is not
        // current.
        let fresh_s = (PRESENT_ROUNDS * self.0.metrics.interval_s()).max(PRESENT_SECONDS);
        let is_present = |at: i64| (now.0.div_euclid(1000) - at).abs() <= fresh_s;
        let measured = self.0.metrics.measured(instance.id)?;
        (is_present(measured.at)
            && instance
                .start_time
                .is_some_and(|at| measured.at * 1000 >= at))
        .then_some(measured)
    }

    /// The configuration of the running client.
    pub(super) async fn running(&self, instance: &Instance, kept: &CachedHealth) -> RunningConfig {
        match &kept.running {
            Some((of, running)) if *of == instance.start_time && of.is_some() => running.clone(),
            _ => self
                .0
                .instances
                .running_file(instance.id)
                .await
                .map(|file| RunningConfig::read(&file))
                .unwrap_or_default(),
        }
    }

    /// The client version.
    pub(super) async fn version(&self, instance: &Instance) -> Option<ClientVersion> {
        self.0
            .instances
            .client_of(instance)
            .await
            .ok()
            .map(|program| program.version)
    }

    /// Free disk space of the data directory, checked periodically.
    pub(super) async fn free(&self) -> Option<u64> {
        let known = *self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, free)) = known
            && asked.elapsed() < DISK_ASKED
        {
            return free;
        }
        let dir = self.0.data_dir.clone();
        let free = tokio::task::spawn_blocking(move || free_space(&dir).ok())
            .await
            .ok()
            .flatten();
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), free));
        free
    }
}
