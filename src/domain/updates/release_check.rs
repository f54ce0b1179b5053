//! What is new: the release API is asked, at most twice a minute and never before it allows it;
//! what it said last is known without asking.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::github;
use super::model::{ClientRelease, InUse, JobStage, JobTask, UpdateJob, is_newer, newest};
use super::queries;
use super::service::UpdateService;
use super::tags::is_name;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::domain::health::LatestRelease;
use crate::infra::download::{DownloadError, FetchedDocument};
use crate::infra::notices::ManagerNotice;

/// An answer is as good as new for so long.
const FRESH: Duration = Duration::from_secs(30);
/// So many releases are asked for: more than two years of them.
const RELEASES: &str = "/releases?per_page=30";
/// Names the notice about a failed update.
const FAILED_UPDATE: &str = "update-failed";
/// Who acts when nobody asked for an update, for the history.
pub(super) const ACTOR: &str = "automatic";

/// What is remembered between two questions.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseCheckState {
    /// Of which server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// When it answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// By this it tells whether there is anything new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was asked last, with or without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// It does not want to be asked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why the last question had no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The tags it spoke of last.
    pub tags: Vec<String>,
}

/// What the answer comes to, as programs get it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ReleaseStatus {
    /// There is something newer than what is in use, or nothing is in use and there is something.
    pub available: bool,
    /// The version of the client in use, as it tells it.
    pub current: Option<String>,
    /// The release it came with, if it came with one.
    pub current_tag: Option<String>,
    /// The newest release.
    pub latest: Option<String>,
    /// The client it carries, as far as that is known.
    pub latest_client: Option<String>,
    /// When the source answered last.
    pub checked_at: Option<Timestamp>,
    /// All that are known, newest first.
    pub releases: Vec<ClientRelease>,
}

impl UpdateService {
    /// Asks for releases, unless that was done just now.
    ///
    /// # Errors
    /// The source cannot be reached, or does not want to be asked now.
    pub async fn check(&self) -> Result<ReleaseStatus> {
        let _one_at_a_time = self.checking().lock().await;
        let checked = self.checked().await?;
        let now = Timestamp::now();
        let is_same = checked.base == self.base();
        // A clock that was set back must not forbid for ever.
        if let Some(until) = checked.not_before.filter(|until| {
            is_same && *until > now && until.since(now) <= Duration::from_secs(86_400)
        }) {
            return Err(not_now(until, now));
        }
        let is_fresh = is_same
            && checked
                .asked_at
                .is_some_and(|at| at <= now && now.since(at) < FRESH);
        match &checked.problem {
            Some(problem) if is_fresh => {
                return Err(Error::Unavailable {
                    detail: problem.clone(),
                    retry_after: Some(FRESH),
                });
            }
            None if is_fresh => {}
            _ => self.ask(checked, is_same, now).await?,
        }
        let news = self.news().await?;
        self.tell(&news).await;
        Ok(news)
    }

    async fn ask(&self, checked: ReleaseCheckState, is_same: bool, now: Timestamp) -> Result<()> {
        let etag = checked.etag.clone().filter(|_| is_same);
        let token = self.token().await;
        let asked = self
            .fetcher()
            .document(RELEASES, etag.as_deref(), token.as_deref())
            .await;
        let answered_before = checked.at.filter(|_| is_same);
        let mut next = ReleaseCheckState {
            base: self.base().to_owned(),
            at: Some(now),
            asked_at: Some(now),
            not_before: None,
            problem: None,
            ..checked
        };
        let mut learned = Vec::new();
        let problem = match asked {
            Ok(FetchedDocument::Unchanged) => None,
            Ok(FetchedDocument::New { text, etag }) => match github::releases(&text) {
                Ok(releases) => {
                    next.etag = etag;
                    next.tags = releases.iter().map(|release| release.tag.clone()).collect();
                    learned = releases;
                    None
                }
                Err(why) => Some((
                    format!("The source of releases gave an answer that cannot be read: {why}."),
                    None,
                )),
            },
            Err(failed) => {
                let until = if let DownloadError::Limited { until, .. } = &failed {
                    Some(*until)
                } else {
                    None
                };
                Some((
                    format!("Releases could not be looked for: {failed}."),
                    until,
                ))
            }
        };
        if let Some((detail, until)) = problem {
            next.at = answered_before;
            (next.problem, next.not_before) = (Some(detail.clone()), until);
            self.store_answer(next, Vec::new()).await?;
            return Err(Error::Unavailable {
                detail,
                retry_after: until.map(|until| until.since(now)),
            });
        }
        self.store_answer(next, learned).await
    }

    async fn store_answer(
        &self,
        checked: ReleaseCheckState,
        learned: Vec<ClientRelease>,
    ) -> Result<()> {
        let text = serde_json::to_string(&checked).map_err(Error::internal)?;
        let write = self.db().write(move |c| {
            queries::upsert_release(c, &learned, Timestamp::now())?;
            queries::set_checked(c, &text)?;
            Ok(())
        });
        write.await
    }

    /// What is remembered of the last question.
    pub(super) async fn checked(&self) -> Result<ReleaseCheckState> {
        let (checked, _) = self.db().read(|c| Ok(queries::state(c)?)).await?;
        Ok(serde_json::from_str(&checked).unwrap_or_default())
    }

    /// What is known without asking.
    pub async fn news(&self) -> Result<ReleaseStatus> {
        let checked = self.checked().await?;
        let known = self.db().read(|c| Ok(queries::known(c)?)).await?;
        let mut releases: Vec<ClientRelease> =
            known.into_iter().filter_map(|row| row.release).collect();
        releases
            .retain(|release| checked.tags.contains(&release.tag) && checked.base == self.base());
        releases.sort_by_key(|release| checked.tags.iter().position(|tag| *tag == release.tag));
        let in_use = self.in_use().await;
        let latest = newest(&releases).cloned();
        let available = match (&latest, &in_use) {
            (Some(latest), Some(in_use)) => is_newer(latest, in_use),
            (Some(_), None) => true,
            (None, _) => false,
        };
        Ok(ReleaseStatus {
            available,
            current: in_use.as_ref().map(|in_use| in_use.client.to_string()),
            current_tag: in_use.and_then(|in_use: InUse| in_use.tag),
            latest_client: latest
                .as_ref()
                .and_then(|latest| latest.client())
                .map(|client| client.to_string()),
            latest: latest.map(|latest| latest.tag),
            checked_at: checked.at.filter(|_| checked.base == self.base()),
            releases,
        })
    }

    /// The release of a tag or of a client version among those that are known; the newest for none.
    ///
    /// # Errors
    /// There is none; while nothing is known, the source cannot be reached.
    pub(super) async fn known_release(&self, version: Option<&str>) -> Result<ClientRelease> {
        let mut news = self.news().await?;
        if news.releases.is_empty() {
            news = self.check().await?;
        }
        let Some(version) = version else {
            let none = || {
                Error::Conflict(
                    "There is no release to install yet. Name a version, or build one.".into(),
                )
            };
            return newest(&news.releases).cloned().ok_or_else(none);
        };
        let carries = |release: &ClientRelease| {
            release.tag == version
                || release
                    .client()
                    .is_some_and(|client| client.to_string() == version)
        };
        let is_tag = version.starts_with(['v', 'V']);
        let found: Vec<ClientRelease> = news.releases.into_iter().filter(carries).collect();
        if let Some(found) = newest(&found).or(found.first()) {
            return Ok(found.clone());
        }
        Err(Error::not_found(
            if is_tag {
                "known release"
            } else {
                "release with client"
            },
            version,
        ))
    }

    /// The same; a tag that is not known is asked for.
    ///
    /// # Errors
    /// There is none; the source cannot be reached, or does not want to be asked now.
    pub(super) async fn release(&self, version: Option<&str>) -> Result<ClientRelease> {
        let version = match (self.known_release(version).await, version) {
            (Err(Error::NotFound { .. }), Some(version))
                if version.starts_with(['v', 'V']) && is_name(version) =>
            {
                version
            }
            (found, _) => return found,
        };
        let _one_at_a_time = self.checking().lock().await;
        let checked = self.checked().await?;
        let now = Timestamp::now();
        if let Some(until) = checked
            .not_before
            .filter(|until| checked.base == self.base() && *until > now)
        {
            return Err(not_now(until, now));
        }
        let token = self.token().await;
        match self
            .fetcher()
            .document(&format!("/releases/tags/{version}"), None, token.as_deref())
            .await
        {
            Ok(FetchedDocument::New { text, .. }) => {
                github::release(&text).map_err(|why| Error::Unavailable {
                    detail: format!("The release {version} cannot be read: {why}."),
                    retry_after: None,
                })
            }
            Ok(FetchedDocument::Unchanged) | Err(DownloadError::Absent(_)) => {
                Err(Error::not_found("release", version))
            }
            Err(failed) => {
                if let DownloadError::Limited { until, .. } = &failed {
                    self.store_answer(
                        ReleaseCheckState {
                            not_before: Some(*until),
                            ..checked
                        },
                        Vec::new(),
                    )
                    .await?;
                }
                let detail = format!("The release {version} could not be asked for: {failed}.");
                Err(Error::Unavailable {
                    detail,
                    retry_after: None,
                })
            }
        }
    }

    /// Says on the overview what is new, and what did not go well by itself.
    pub(super) async fn tell(&self, news: &ReleaseStatus) {
        let failure = failure(&self.finished().await, news);
        let words = news.available.then(|| {
            let latest = news.latest.as_deref().unwrap_or_default();
            match (&news.current, &news.latest_client) {
                (Some(current), Some(client)) => {
                    format!("Release {latest} with client {client} is there; {current} is in use.")
                }
                (Some(current), None) => {
                    format!("Release {latest} is there; client {current} is in use.")
                }
                (None, _) => format!("Release {latest} can be installed."),
            }
        });
        // The notice speaks of the release, too.
        self.instances()
            .glances()
            .set_news(words.filter(|_| failure.is_none()));
        match failure {
            Some(notice) => self.notices().set(notice),
            None => self.notices().clear(FAILED_UPDATE),
        }
        // A tag this program does not know is newer than everything only while what is in use is
        // older than it.
        let latest = news.latest.as_ref().map(|tag| LatestRelease {
            tag: tag.clone(),
            client: super::client_of_tag(tag),
        });
        self.health()
            .set_latest(latest.filter(|latest| latest.client.is_some() || news.available));
    }
}

fn not_now(until: Timestamp, now: Timestamp) -> Error {
    Error::Unavailable {
        detail: format!(
            "The source of releases does not want to be asked before {}.",
            until.local_minute()
        ),
        retry_after: Some(until.since(now)),
    }
}

/// The message about a failed update: the last one, or else the last one to the newest release.
/// `finished`: newest first.
fn failure(finished: &[UpdateJob], news: &ReleaseStatus) -> Option<ManagerNotice> {
    let has_failed = |job: &&UpdateJob| match job.stage {
        JobStage::Failed | JobStage::RolledBack => true,
        // Nobody is there to know why an automatic update was cancelled.
        JobStage::Cancelled => job.actor == ACTOR,
        _ => false,
    };
    let is_newest = |job: &&UpdateJob| {
        let version = Some(&job.version);
        version == news.latest.as_ref() || version == news.latest_client.as_ref()
    };
    // An installation by hand of something else was somebody's try, and no problem that lasts.
    let is_update = |job: &&UpdateJob| job.task != JobTask::Install || job.actor == ACTOR;
    let last = finished.first().filter(has_failed).filter(is_update);
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
        JobStage::Cancelled => "was cancelled",
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
            checked_at: None,
            releases: vec![release],
        }
    }

    #[test]
    fn a_failed_update_is_shown_until_another_one_to_the_same_release_succeeds() {
        let job = |task, version: &str, stage, actor: &str| UpdateJob {
            stage,
            message: "barn did not come up well.".into(),
            ..UpdateJob::new(task, version, actor, Timestamp(0))
        };
        let text = |finished: &[UpdateJob]| {
            failure(finished, &news()).map(|notice| format!("{}. {}", notice.title, notice.detail))
        };
        let rolled_back = job(JobTask::Switch, "0.6.0", JobStage::RolledBack, "page");
        assert_eq!(
            text(std::slice::from_ref(&rolled_back)).unwrap(),
            "The update to 0.6.0 was rolled back. barn did not come up well. Client 0.5.0 is in use. Fix the cause before you try again."
        );
        let automatic = job(JobTask::Install, "v0.8.0", JobStage::Cancelled, ACTOR);
        assert!(
            text(&[automatic])
                .unwrap()
                .starts_with("The automatic update to v0.8.0 was cancelled.")
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
            "somebody's try"
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
}
