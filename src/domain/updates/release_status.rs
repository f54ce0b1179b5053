//! The status of known releases, for the API, the list of instances, the health checks and the notice about
//! a failed update.

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{ClientRelease, InUse, JobStage, JobTask, ReleaseSkip, UpdateJob, is_newer};
use super::offer::{PendingRelease, choose};
use super::service::UpdateService;
use super::tags::{client_of_tag, order_of_tag};
use crate::base::clock::Timestamp;
use crate::domain::configs::ClientVersion;
use crate::domain::health::LatestRelease;
use crate::infra::notices::ManagerNotice;

/// Id of the notice about a failed update.
const FAILED_UPDATE: &str = "update-failed";
/// The actor of automatic updates in the history.
pub(super) const ACTOR: &str = "automatic";

/// Status of client releases.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ReleaseStatus {
    /// `latest` is newer than the version in use, or no client is in use and there is a `latest`.
    pub available: bool,
    /// Version of the client in use.
    pub current: Option<String>,
    /// Tag of the release that it came with.
    pub current_tag: Option<String>,
    /// Latest release that can be installed on this machine. Pre-releases and skipped releases do
    /// not count.
    pub latest: Option<String>,
    /// Client version of `latest`, if known.
    pub latest_client: Option<String>,
    /// A release newer than `latest` and the version in use that cannot be installed on this
    /// machine yet.
    pub pending: Option<PendingRelease>,
    /// Skipped releases, last skipped first.
    pub skipped: Vec<ReleaseSkip>,
    /// Time of the last successful check.
    pub checked_at: Option<Timestamp>,
    /// All known releases by version, newest first; then those whose tag is not a version.
    pub releases: Vec<ClientRelease>,
}

impl ReleaseStatus {
    /// Computes the status. `releases`: in the order of their source.
    pub(super) fn new(
        mut releases: Vec<ClientRelease>,
        skipped: Vec<ReleaseSkip>,
        in_use: Option<InUse>,
        checked_at: Option<Timestamp>,
    ) -> Self {
        // Tags that are not versions keep their order.
        releases.sort_by_key(|release| std::cmp::Reverse(order_of_tag(&release.tag)));
        let is_wanted = |release: &ClientRelease| {
            in_use
                .as_ref()
                .is_none_or(|in_use| is_newer(release, in_use))
        };
        let offer = choose(&releases, &skipped);
        let latest = offer.release;
        let pending = offer.pending.filter(|pending| is_wanted(pending));
        Self {
            available: latest.is_some_and(is_wanted),
            latest: latest.map(|latest| latest.tag.clone()),
            latest_client: latest
                .and_then(ClientRelease::client)
                .map(|client| client.to_string()),
            pending: pending.map(PendingRelease::of),
            current: in_use.as_ref().map(|in_use| in_use.client.to_string()),
            current_tag: in_use.and_then(|in_use| in_use.tag),
            skipped,
            checked_at,
            releases,
        }
    }

    /// The latest release that can be installed on this machine.
    pub(super) fn latest_release(&self) -> Option<&ClientRelease> {
        let latest = self.latest.as_ref()?;
        self.releases.iter().find(|release| release.tag == *latest)
    }

    /// Whether a release is skipped, by tag or client version.
    pub(super) fn is_skipped(&self, version: &str) -> bool {
        self.skipped.iter().any(|skip| {
            skip.tag == version
                || client_of_tag(&skip.tag).is_some_and(|client| client.to_string() == version)
        })
    }

    /// Why there is no release to install.
    pub(super) fn obstacle(&self) -> String {
        match &self.pending {
            Some(pending) => pending.text(),
            None if !self.skipped.is_empty() => {
                "All releases that can be installed are skipped. Offer one again, or choose a version.".into()
            }
            None => "There are no releases to install yet. Choose a version or build a client.".into(),
        }
    }
}

impl UpdateService {
    /// Shows new releases and failed updates in the list of instances.
    pub(super) async fn tell(&self, news: &ReleaseStatus) {
        let failure = failure(&self.finished().await, news);
        let words = news.available.then(|| {
            let latest = news.latest.as_deref().unwrap_or_default();
            match (&news.current, &news.latest_client) {
                (Some(current), Some(client)) => {
                    format!("Release {latest} with client {client} is available. Version in use: {current}.")
                }
                (Some(current), None) => {
                    format!("Release {latest} is available. Client in use: {current}.")
                }
                (None, _) => format!("Release {latest} is available."),
            }
        });
        // The notice mentions the release, too.
        self.instances()
            .glances()
            .set_news(words.filter(|_| failure.is_none()));
        match failure {
            Some(notice) => self.notices().set(notice),
            None => self.notices().clear(FAILED_UPDATE),
        }
        self.health().set_latest(latest_for_health(news));
    }
}

/// The release that health checks compare clients with; `None` before the first release check. If
/// nothing newer can be installed, the client in use.
fn latest_for_health(news: &ReleaseStatus) -> Option<LatestRelease> {
    if news.releases.is_empty() {
        return None;
    }
    // An unknown tag is newer than everything, unless it is older than the version in use.
    let latest = news.latest.as_ref().map(|tag| LatestRelease {
        tag: tag.clone(),
        client: client_of_tag(tag),
    });
    let in_use = || {
        let client = news.current.as_ref().and_then(|text| text.parse().ok());
        LatestRelease {
            tag: news
                .current_tag
                .clone()
                .or_else(|| news.current.clone())
                .unwrap_or_default(),
            // No instance runs a client older than the oldest supported one.
            client: Some(client.unwrap_or(ClientVersion::OLDEST)),
        }
    };
    Some(
        latest
            .filter(|latest| latest.client.is_some() || news.available)
            .unwrap_or_else(in_use),
    )
}

/// The notice about a failed update: the last one, or the last one to the latest release.
/// `finished`: newest first.
fn failure(finished: &[UpdateJob], news: &ReleaseStatus) -> Option<ManagerNotice> {
    let has_failed = |job: &&UpdateJob| match job.stage {
        JobStage::Failed | JobStage::RolledBack => true,
        // The user may not know that an automatic update was canceled.
        JobStage::Cancelled => job.actor == ACTOR,
        _ => false,
    };
    let is_newest = |job: &&UpdateJob| {
        let version = Some(&job.version);
        version == news.latest.as_ref() || version == news.latest_client.as_ref()
    };
    // A failed manual installation of another release needs no notice.
    let is_update = |job: &&UpdateJob| job.task != JobTask::Install || job.actor == ACTOR;
    // A user who skips a release knows that it failed.
    let is_wanted =
        |job: &&UpdateJob| job.task == JobTask::Rollback || !news.is_skipped(&job.version);
    let last = finished
        .first()
        .filter(has_failed)
        .filter(is_update)
        .filter(is_wanted);
    let job = last.or_else(|| {
        finished
            .iter()
            .find(is_newest)
            .filter(has_failed)
            .filter(|_| news.available)
    })?;
    let what = match (job.task, job.actor == ACTOR) {
        (_, true) => format!("The automatic update to {}", job.version),
        (JobTask::Install, false) => format!("The installation of {}", job.version),
        (JobTask::Switch, false) => format!("The update to {}", job.version),
        (JobTask::Rollback, false) => format!("The rollback to {}", job.version),
    };
    let how = match job.stage {
        JobStage::RolledBack => "was rolled back",
        JobStage::Cancelled => "was canceled",
        _ => "failed",
    };
    let current = news
        .current
        .as_ref()
        .map(|current| format!(" Client {current} is in use."))
        .unwrap_or_default();
    let detail = format!(
        "{}{current} Fix the cause before you try again.",
        job.message
    );
    let notice = ManagerNotice::new(FAILED_UPDATE, format!("{what} {how}"), detail)
        .with_link("/updates/history", "History");
    Some(ManagerNotice {
        since: job.ended_at.unwrap_or(notice.since),
        ..notice
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::model::ReleaseAsset;
    use super::*;

    pub(in super::super) fn news() -> ReleaseStatus {
        let asset = ReleaseAsset::Ready {
            name: "x".into(),
            url: "https://x".into(),
            size: 1,
            sha256: Some("00".into()),
            signature: None,
        };
        let release = ClientRelease {
            tag: "v0.8.0".into(),
            notes: String::new(),
            published_at: None,
            prerelease: false,
            page: String::new(),
            asset,
        };
        ReleaseStatus {
            available: true,
            current: Some("0.5.0".into()),
            current_tag: None,
            latest: Some("v0.8.0".into()),
            latest_client: Some("0.6.0".into()),
            pending: None,
            skipped: Vec::new(),
            checked_at: None,
            releases: vec![release],
        }
    }

    #[test]
    fn a_failed_update_is_shown_until_another_one_to_the_same_release_succeeds() {
        let job = |task, version: &str, stage, actor: &str| UpdateJob {
            stage,
            message: "barn is not healthy.".into(),
            ..UpdateJob::new(task, version, actor, Timestamp(0))
        };
        let text = |finished: &[UpdateJob]| {
            failure(finished, &news()).map(|notice| format!("{}. {}", notice.title, notice.detail))
        };
        let rolled_back = job(JobTask::Switch, "0.6.0", JobStage::RolledBack, "page");
        assert_eq!(
            text(std::slice::from_ref(&rolled_back)).unwrap(),
            "The update to 0.6.0 was rolled back. barn is not healthy. Client 0.5.0 is in use. Fix the cause before you try again."
        );
        let automatic = job(JobTask::Install, "v0.8.0", JobStage::Cancelled, ACTOR);
        assert!(
            text(&[automatic])
                .unwrap()
                .starts_with("The automatic update to v0.8.0 was canceled.")
        );
        assert_eq!(
            text(&[job(JobTask::Install, "v0.8.0", JobStage::Cancelled, "page")]),
            None,
            "cancelled on purpose"
        );
        assert!(
            text(&[job(JobTask::Install, "v0.8.0", JobStage::Failed, "page")])
                .unwrap()
                .starts_with("The installation of v0.8.0 failed.")
        );
        assert_eq!(
            text(&[job(
                JobTask::Install,
                "own-client",
                JobStage::Failed,
                "page"
            )]),
            None,
            "a manual attempt"
        );
        let other = job(JobTask::Install, "0.5.0", JobStage::Installed, "page");
        assert!(
            text(&[other.clone(), rolled_back.clone()]).is_some(),
            "the release is still advertised"
        );
        let nothing_new = ReleaseStatus {
            available: false,
            ..news()
        };
        assert_eq!(failure(&[other, rolled_back.clone()], &nothing_new), None);
        let retried = job(JobTask::Switch, "0.6.0", JobStage::Switched, "page");
        assert_eq!(text(&[retried, rolled_back]), None);
        assert_eq!(text(&[]), None);
    }
    #[test]
    fn the_failure_of_a_skipped_release_is_not_shown() {
        let job = |task, version: &str| UpdateJob {
            stage: JobStage::RolledBack,
            ..UpdateJob::new(task, version, "page", Timestamp(0))
        };
        let skip = ReleaseSkip {
            tag: "v0.8.0".into(),
            skipped_at: Timestamp(0),
            skipped_by: "ada (page)".into(),
        };
        let skipped = ReleaseStatus {
            available: false,
            latest: None,
            latest_client: None,
            skipped: vec![skip],
            ..news()
        };
        assert!(failure(&[job(JobTask::Switch, "0.6.0")], &news()).is_some());
        assert_eq!(failure(&[job(JobTask::Switch, "0.6.0")], &skipped), None);
        assert!(failure(&[job(JobTask::Switch, "0.5.0")], &skipped).is_some());
        assert!(failure(&[job(JobTask::Rollback, "0.6.0")], &skipped).is_some());
    }

    #[test]
    fn health_checks_get_only_what_can_be_installed() {
        let latest = |news: &ReleaseStatus| {
            latest_for_health(news).map(|latest| (latest.tag, latest.client))
        };
        let unknown = ReleaseStatus {
            releases: Vec::new(),
            latest: None,
            ..news()
        };
        assert_eq!(latest(&unknown), None, "not checked yet");
        assert_eq!(
            latest(&news()),
            Some(("v0.8.0".into(), Some(ClientVersion::NEWEST_KNOWN)))
        );
        let nothing = ReleaseStatus {
            available: false,
            latest: None,
            ..news()
        };
        assert_eq!(
            latest(&nothing),
            Some(("0.5.0".into(), Some(ClientVersion::new(0, 5, 0)))),
            "the release has no file here, or is skipped"
        );
        let no_client = ReleaseStatus {
            current: None,
            ..nothing
        };
        assert_eq!(
            latest(&no_client),
            Some((String::new(), Some(ClientVersion::OLDEST)))
        );
        let new_tag = ReleaseStatus {
            latest: Some("v1.0.0".into()),
            ..news()
        };
        assert_eq!(latest(&new_tag), Some(("v1.0.0".into(), None)));
        let in_use = ReleaseStatus {
            available: false,
            current: Some("0.9.0".into()),
            current_tag: Some("v1.0.0".into()),
            ..new_tag
        };
        assert_eq!(
            latest(&in_use),
            Some(("v1.0.0".into(), Some(ClientVersion::new(0, 9, 0))))
        );
    }
}
