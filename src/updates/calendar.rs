//! What happens by itself: releases are looked for once a day, and, only if the user asked for it, a new one is installed and switched to within the
//! part of the day that is meant for it.

use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;
use tokio_util::sync::CancellationToken;

use super::installing::{Order, With};
use super::model::{Job, Task};
use super::service::Updates;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::schedule::Schedule;

/// Every day at an hour at which few others ask, UTC.
const DAILY: &str = "0 37 4 * * *";
/// A machine that is off at night is caught up with so long after its start.
const AFTER_START: Duration = Duration::from_secs(120);
/// A day after the last answer there may be something new.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Whether it is time to install is looked at so often.
const LOOK: Duration = Duration::from_secs(60);
/// Who acts, for the history.
const ACTOR: &str = "automatic";

/// Begins to look for releases daily, and to do by itself what the user asked for.
///
/// # Errors
/// The job cannot be scheduled.
pub async fn begin(
    updates: &Updates,
    schedule: &Schedule,
    stop: &CancellationToken,
) -> std::result::Result<(), JobSchedulerError> {
    let asked = updates.clone();
    schedule
        .at(DAILY, "looking for releases", move || {
            let updates = asked.clone();
            async move { look(&updates).await }
        })
        .await?;
    let (updates, stop) = (updates.clone(), stop.clone());
    tokio::spawn(async move {
        let work = async {
            tokio::time::sleep(AFTER_START).await;
            let is_due = async {
                let checked = updates.checked().await.ok()?.at;
                Some(checked.is_none_or(|at| Timestamp::now().since(at) >= DAY || at > Timestamp::now()))
            };
            if is_due.await.unwrap_or(false) {
                look(&updates).await;
            }
            loop {
                if let Err(error) = install_what_is_new(&updates, Timestamp::now()).await {
                    tracing::warn!(%error, "what is new could not be installed; it is tried again within the window");
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    });
    Ok(())
}

/// Looks for releases if the user wants that.
async fn look(updates: &Updates) {
    let wanted = updates.wanted().await.unwrap_or_default();
    // With a client of the user's own choice there is nothing to bring up to date.
    if !wanted.check_daily || updates.fixed().is_some() {
        return;
    }
    if let Err(error) = updates.check().await {
        tracing::warn!(%error, "the daily look for releases");
    }
}

/// Installs the newest release and switches to it, if the user asked for that, it is time, its checksum is known, and it was not tried by itself before.
async fn install_what_is_new(updates: &Updates, now: Timestamp) -> Result<Option<Job>> {
    let wanted = updates.wanted().await?;
    if !wanted.automatic || !wanted.is_time(now.minute_of_day()) || updates.present().is_some() || updates.fixed().is_some() {
        return Ok(None);
    }
    let news = updates.news().await?;
    // The first client is the user's own decision.
    let (true, Some(_), Some(latest)) = (news.available, &news.current, &news.latest) else { return Ok(None) };
    let Some(release) = news.releases.iter().find(|release| release.tag == *latest) else { return Ok(None) };
    if !release.asset.is_ready() || (release.asset.sha256().is_none() && wanted.signed_by.is_none()) {
        return Ok(None);
    }
    let history = updates.history(200).await?;
    let of_this = |job: &&Job| job.actor == ACTOR && job.task == Task::Install && job.version == *latest;
    if history.iter().any(|job| of_this(&job)) {
        return Ok(None);
    }
    let installed = updates.installed().await?;
    let known = installed.into_iter().find(|one| one.manifest.as_ref().is_some_and(|m| m.tag.as_ref() == Some(latest)));
    match known {
        // Somebody installed it and has not switched to it: that is left to them.
        Some(_) => Ok(None),
        None => {
            updates.install(Order::Release(Some(latest.clone())), With { unverified: false, switch: true }, ACTOR).await.map(Some)
        }
    }
}
