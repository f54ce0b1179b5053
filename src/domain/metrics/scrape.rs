//! Collects the data of a scrape: the metrics of all instances, read in one transaction, and those of
//! jd-manager.

use std::collections::{BTreeMap, HashMap};

use super::counters;
use super::exposition::{self, ExpositionFormat, InstanceMetrics, ManagerMetrics};
use super::latest::is_present;
use super::queries::current;
use super::service::MetricService;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::domain::instances::Instance;
use crate::infra::procfs;

/// Counters and readings by name.
type Values = BTreeMap<String, f64>;

impl MetricService {
    /// The number of blocks found by each instance that counts them, since it was created.
    pub async fn blocks_found(&self) -> Result<HashMap<InstanceId, u64>> {
        let found = self
            .db
            .read(|c| Ok(current::counter_totals(c, "blocks_found")?))
            .await?;
        let count = |(id, total): (InstanceId, f64)| (id, total.max(0.0) as u64);
        Ok(found.into_iter().map(count).collect())
    }

    /// Every instance with its counters and the latest readings of its client, if any; in the order
    /// of the list.
    pub async fn clients(&self, now: Timestamp) -> Result<Vec<InstanceMetrics>> {
        let instances = self.instances().list().await?;
        let round =
            Some(*self.rounds().borrow()).filter(|at| is_present(*at, now, self.interval_s()));
        let (stored, readings) = self
            .db
            .read(move |c| {
                let readings =
                    round.map_or_else(|| Ok(Vec::new()), |at| current::readings(c, at))?;
                Ok((current::baselines(c)?, readings))
            })
            .await?;
        let mut totals: HashMap<InstanceId, Values> = stored
            .into_iter()
            .map(|(id, state)| (id, counters::totals(&state)))
            .collect();
        let mut present: HashMap<InstanceId, Values> = HashMap::new();
        for (id, name, value) in readings {
            present.entry(id).or_default().insert(name, value);
        }
        let client = |instance: Instance| {
            let (id, started) = (instance.id, instance.start_time.map(Timestamp));
            // A round before the start belongs to the previous client.
            let is_its_own = started
                .zip(round)
                .is_some_and(|(started, at)| at.saturating_mul(1000) >= started.0);
            let mut readings = present
                .remove(&id)
                .filter(|_| is_its_own)
                .unwrap_or_default();
            // Not part of a round: the score is valid until the next round of checks.
            readings.retain(|name, _| !name.starts_with("health"));
            if let Some(health) = instance.health.filter(|health| health.status != "unknown") {
                readings.insert("health_score".into(), f64::from(health.score));
                readings.extend(
                    health
                        .checks
                        .into_iter()
                        .map(|(check, value)| (format!("health:{check}"), value)),
                );
            }
            InstanceMetrics {
                id,
                name: instance.name,
                state: instance.status,
                restarts: u32::try_from(instance.restarts).unwrap_or(0),
                started,
                uptime: instance.uptime.filter(|_| started.is_some()),
                readings,
                totals: totals.remove(&id).unwrap_or_default(),
                translator: self.translators.of(id),
            }
        };
        Ok(instances.into_iter().map(client).collect())
    }

    /// All metrics for Prometheus, for a manager with this version and start time.
    pub async fn exposition(
        &self,
        version: &'static str,
        started: Timestamp,
        format: ExpositionFormat,
    ) -> Result<String> {
        let clients = self.clients(Timestamp::now()).await?;
        let told = tokio::task::spawn_blocking(move || {
            let process = procfs::process(std::process::id()).ok();
            exposition::text(
                &ManagerMetrics {
                    version,
                    started,
                    process,
                },
                &clients,
                format,
            )
        });
        told.await
            .map_err(Error::internal)?
            .map_err(Error::internal)
    }
}
