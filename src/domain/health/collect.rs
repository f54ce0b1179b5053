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

/// The free space of a disk is asked for so often.
const DISK_ASKED: Duration = Duration::from_secs(30);
/// The newest sample counts as present for so many intervals, and never for less than so many
/// seconds.
const PRESENT_ROUNDS: i64 = 3;
const PRESENT_SECONDS: i64 = 60;

impl HealthService {
    /// What is known of an instance without asking anybody, for whoever acts on it.
    ///
    /// # Errors
    /// The database cannot be read, the first time.
    pub(super) async fn seen(&self, instance: Instance) -> Result<HealthAssessment> {
        let kept = self.kept(instance.id).await?;
        let running = self.running(&instance, &kept).await;
        let standing = of_this_run(&kept.standing, &instance);
        let measured = self.measured(&instance, Timestamp::now());
        Ok(HealthAssessment {
            running,
            standing,
            measured,
            cures: kept.cures,
            settings: kept.settings,
            probed: kept.probed.of_run(instance.start_time).clone(),
            instance,
        })
    }

    /// The newer client that is available for an instance. The outer `None` means that the version
    /// of its client is unknown.
    pub fn available_update(&self, id: InstanceId) -> Option<Option<String>> {
        self.0
            .kept()
            .get(&id)
            .and_then(|kept| kept.available_update.clone())
    }

    /// What was measured of the present client last, if that is not long ago.
    pub(super) fn measured(&self, instance: &Instance, now: Timestamp) -> Option<LatestFigures> {
        // A sample from before its start was of the client before it, and an old one says nothing
        // of now.
        let fresh_s = (PRESENT_ROUNDS * self.0.metrics.interval_s()).max(PRESENT_SECONDS);
        let is_present = |at: i64| (now.0.div_euclid(1000) - at).abs() <= fresh_s;
        let measured = self.0.metrics.measured(instance.id)?;
        (is_present(measured.at)
            && instance
                .start_time
                .is_some_and(|at| measured.at * 1000 >= at))
        .then_some(measured)
    }

    /// What the running client was told.
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

    /// Which version of the client it is.
    pub(super) async fn version(&self, instance: &Instance) -> Option<ClientVersion> {
        self.0
            .instances
            .client_of(instance)
            .await
            .ok()
            .map(|program| program.version)
    }

    /// Free bytes where everything is kept, asked for now and then.
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
