//! Automatic updates: checks for releases once a day. If the user turned it on, installs a new
//! release and switches to it within the time window.

use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;
use tokio_util::sync::CancellationToken;

use super::install::{InstallOptions, InstallRequest};
use super::model::{InstalledClient, JobStage, JobTask, UpdateJob};
use super::release_status::{ACTOR, ReleaseStatus};
use super::service::UpdateService;
use super::settings::UpdateSettings;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::infra::schedule::JobSchedule;

/// Every day at a time with few other requests, UTC.
const DAILY: &str = "0 37 4 * * *";
/// Delay after the start, for machines that are off at night.
const AFTER_START: Duration = Duration::from_secs(120);
/// A manager that restarts often does not check again until the last answer is this old.
const RECENT: Duration = Duration::from_secs(12 * 3600);
/// How often it checks whether an installation is due.
const LOOK: Duration = Duration::from_secs(60);
/// Pause after a failed automatic installation: until the next time window.
const RETRY: Duration = Duration::from_secs(20 * 3600);
/// Starts the daily check and, if turned on, automatic updates.
pub async fn begin(
    updates: &UpdateService,
    schedule: &JobSchedule,
    stop: &CancellationToken,
) -> std::result::Result<(), JobSchedulerError> {
    let asked = updates.clone();
    let work = move || {
        let updates = asked.clone();
        async move { check_if_due(&updates).await }
    };
    schedule
        .recurring(DAILY, AFTER_START, "release check", work)
        .await?;
    let (updates, stop) = (updates.clone(), stop.clone());
    tokio::spawn(follow_jobs(updates.clone(), stop.clone()));
    tokio::spawn(async move {
        let work = async {
            tokio::time::sleep(AFTER_START).await;
            loop {
                if let Err(error) = install_what_is_new(&updates, Timestamp::now()).await {
                    tracing::warn!(%error, "cannot install the new release; retrying within the time window");
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

/// Checks for releases if that is turned on and the last answer is not recent.
async fn check_if_due(updates: &UpdateService) {
    let wanted = updates.wanted().await.unwrap_or_default();
    if !wanted.check_daily {
        return;
    }
    if let Some(manager) = updates.manager() {
        manager.check().await;
    }
    // With `--client` there is no client to update.
    if updates.fixed().is_some() {
        return;
    }
    let now = Timestamp::now();
    match updates.checked().await {
        Ok(checked)
            if checked
                .at
                .is_none_or(|at| now.since(at) >= RECENT || at > now) => {}
        _ => return,
    }
    if let Err(error) = updates.check().await {
        tracing::warn!(%error, "the daily release check failed");
    }
}

/// Installs the latest release and switches to it, if that is due.
async fn install_what_is_new(updates: &UpdateService, now: Timestamp) -> Result<Option<UpdateJob>> {
    let wanted = updates.wanted().await?;
    if updates.present().is_some() || updates.fixed().is_some() {
        return Ok(None);
    }
    let (news, history) = (updates.news().await?, updates.history(200).await?);
    let Some(tag) = due(
        &wanted,
        (now, now.minute_of_day()),
        &news,
        &updates.installed().await?,
        &history,
    ) else {
        return Ok(None);
    };
    updates
        .install(
            InstallRequest::Release(Some(tag)),
            InstallOptions {
                unverified: false,
                switch: true,
            },
            ACTOR,
        )
        .await
        .map(Some)
}

/// The release to install automatically now: the latest one that can be installed here and is not
/// skipped, if automatic updates are on, the time window is open, a client is in use (the first one
/// is a decision of the user), the file can be verified, and no automatic attempt was made before.
/// A release that a user installed without a switch is left to the user.
fn due(
    wanted: &UpdateSettings,
    now: (Timestamp, u16),
    news: &ReleaseStatus,
    installed: &[InstalledClient],
    history: &[UpdateJob],
) -> Option<String> {
    let (at, minute) = now;
    if !wanted.automatic || !wanted.is_time(minute) || !news.available || news.current.is_none() {
        return None;
    }
    let release = news.latest_release()?;
    let latest = &release.tag;
    let can_be_checked = release.asset.sha256().is_some() || wanted.signed_by.is_some();
    // A failed download is retried in the next time window.
    let counts =
        |job: &UpdateJob| job.stage != JobStage::Failed || at.since(job.created_at) < RETRY;
    let was_tried = history.iter().any(|job| {
        job.actor == ACTOR && job.task == JobTask::Install && job.version == *latest && counts(job)
    });
    let is_there = installed.iter().any(|one| {
        one.manifest
            .as_ref()
            .is_some_and(|m| m.tag.as_ref() == Some(latest))
    });
    (release.asset.is_ready() && can_be_checked && !was_tried && !is_there).then(|| latest.clone())
}

/// Follows the update jobs until `stop`, and shows their results in the list of instances.
async fn follow_jobs(updates: UpdateService, stop: CancellationToken) {
    let mut jobs = updates.board().follow();
    let mut shown = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = jobs.changed() => if changed.is_err() { return },
        }
        let ended = jobs
            .borrow_and_update()
            .as_ref()
            .filter(|job| job.stage.is_over())
            .map(|job| job.id);
        if ended.is_some() && ended != shown {
            match updates.news().await {
                Ok(news) => updates.tell(&news).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot show the result of the update in the list of instances")
                }
            }
        }
        shown = ended;
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{ClientRelease, InUse, ReleaseAsset, ReleaseSkip};
    use super::super::release_status::tests::news;
    use super::super::tags::client_of_tag;
    use super::*;

    #[test]
    fn a_release_is_installed_by_itself_once_when_it_is_wished_and_can_be_checked() {
        let wanted = UpdateSettings {
            automatic: true,
            ..UpdateSettings::default()
        };
        let at = |wanted: &UpdateSettings, minute, news: &ReleaseStatus, history: &[UpdateJob]| {
            due(wanted, (Timestamp(0), minute), news, &[], history)
        };
        assert_eq!(at(&wanted, 150, &news(), &[]), Some("v0.8.0".into()));
        assert_eq!(
            at(&UpdateSettings::default(), 150, &news(), &[]),
            None,
            "never unless asked for"
        );
        assert_eq!(at(&wanted, 301, &news(), &[]), None, "not at another time");
        assert_eq!(
            at(
                &wanted,
                150,
                &ReleaseStatus {
                    available: false,
                    ..news()
                },
                &[]
            ),
            None
        );
        assert_eq!(
            at(
                &wanted,
                150,
                &ReleaseStatus {
                    current: None,
                    ..news()
                },
                &[]
            ),
            None,
            "not the first one"
        );
        let mut unchecked = news();
        if let ReleaseAsset::Ready { sha256, .. } = &mut unchecked.releases[0].asset {
            *sha256 = None;
        }
        assert_eq!(at(&wanted, 150, &unchecked, &[]), None);
        assert!(
            at(
                &UpdateSettings {
                    signed_by: Some("key".into()),
                    ..wanted.clone()
                },
                150,
                &unchecked,
                &[]
            )
            .is_some()
        );
        let mut uploading = news();
        uploading.releases[0].asset = ReleaseAsset::Uploading { name: "x".into() };
        assert_eq!(at(&wanted, 150, &uploading, &[]), None);
        let mut skipped = news();
        (skipped.latest, skipped.available) = (None, false);
        assert_eq!(at(&wanted, 150, &skipped, &[]), None);
        // A newer release without its file does not prevent the installation of the previous one.
        let mut pending = news();
        let without_file = ClientRelease {
            tag: "v0.9.0".into(),
            asset: ReleaseAsset::Uploading { name: "x".into() },
            ..pending.releases[0].clone()
        };
        pending.releases.insert(0, without_file);
        assert_eq!(at(&wanted, 150, &pending, &[]), Some("v0.8.0".into()));
        let tried = UpdateJob::new(JobTask::Install, "v0.8.0", ACTOR, Timestamp(0));
        assert_eq!(
            at(&wanted, 150, &news(), std::slice::from_ref(&tried)),
            None,
            "each one once"
        );
        let failed = UpdateJob {
            stage: JobStage::Failed,
            ..tried.clone()
        };
        assert_eq!(
            at(&wanted, 150, &news(), std::slice::from_ref(&failed)),
            None,
            "not again in the same window"
        );
        let later = (Timestamp(0).after(RETRY), 150);
        assert!(
            due(&wanted, later, &news(), &[], &[failed]).is_some(),
            "in the next one"
        );
        let by_hand = UpdateJob {
            actor: "page".into(),
            ..tried
        };
        assert!(at(&wanted, 150, &news(), &[by_hand]).is_some());
    }
    #[test]
    fn automatic_updates_install_what_is_offered() {
        let wanted = UpdateSettings {
            automatic: true,
            ..UpdateSettings::default()
        };
        let [ready] = &news().releases[..] else {
            panic!("one release")
        };
        let of = |tag: &str| ClientRelease {
            tag: tag.into(),
            ..ready.clone()
        };
        let uploading = |tag: &str| ClientRelease {
            asset: ReleaseAsset::Uploading { name: "x".into() },
            ..of(tag)
        };
        let missing = |tag: &str| ClientRelease {
            asset: ReleaseAsset::Missing { why: "none".into() },
            ..of(tag)
        };
        let pre_release = |tag: &str| ClientRelease {
            prerelease: true,
            ..of(tag)
        };
        let (old, new) = ("v0.7.0", "v0.8.0");
        for (case, releases, skips, in_use, offered, pending) in [
            (
                "newest without a file",
                vec![missing("v0.9.0"), of(new)],
                vec![],
                old,
                Some(new),
                Some("v0.9.0"),
            ),
            (
                "newest in use but for it",
                vec![missing("v0.9.0"), of(new)],
                vec![],
                new,
                None,
                Some("v0.9.0"),
            ),
            (
                "files being uploaded",
                vec![uploading(new), of(old)],
                vec![],
                old,
                None,
                Some(new),
            ),
            (
                "late patch of an older line",
                vec![of("v0.7.2"), of(new)],
                vec![],
                new,
                None,
                None,
            ),
            (
                "late patch, older line in use",
                vec![of("v0.7.2"), of(new)],
                vec![],
                old,
                Some(new),
                None,
            ),
            (
                "late patch, newer one skipped",
                vec![of("v0.7.2"), of(new)],
                vec![new],
                old,
                Some("v0.7.2"),
                None,
            ),
            (
                "only pre-releases",
                vec![pre_release("v0.9.0"), of("v0.9.0-rc1")],
                vec![],
                old,
                None,
                None,
            ),
            (
                "skipped",
                vec![of(new), of(old)],
                vec![new],
                old,
                None,
                None,
            ),
            (
                "a newer one than the skipped",
                vec![of("v0.9.0"), of(new)],
                vec![new],
                old,
                Some("v0.9.0"),
                None,
            ),
            (
                "skipped before its files are there",
                vec![uploading(new), of(old)],
                vec![new],
                old,
                None,
                None,
            ),
        ] {
            let skips = skips.into_iter().map(|tag| ReleaseSkip {
                tag: tag.into(),
                skipped_at: Timestamp(0),
                skipped_by: "ada (page)".into(),
            });
            let in_use = InUse {
                tag: Some(in_use.into()),
                client: client_of_tag(in_use).unwrap(),
            };
            let status = ReleaseStatus::new(releases, skips.collect(), Some(in_use), None);
            assert_eq!(status.available, offered.is_some(), "{case}");
            assert_eq!(
                due(&wanted, (Timestamp(0), 150), &status, &[], &[]).as_deref(),
                offered,
                "{case}"
            );
            assert_eq!(
                status.pending.map(|pending| pending.tag).as_deref(),
                pending,
                "{case}"
            );
        }
    }
}
