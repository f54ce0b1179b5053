//! Checks for releases. Asks the release API at most twice a minute and never before it allows the
//! next request; remembers the last answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::github::{self, FRESH, RELEASES};
use super::model::ClientRelease;
use super::offer::choose_requested;
use super::queries;
use super::release_status::ReleaseStatus;
use super::service::UpdateService;
use super::tags::is_name;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::infra::download::{DownloadError, FetchedDocument};

/// What is stored between two checks.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseCheckState {
    /// Address of the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// Time of its last response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The ETag of its last response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Time of the last request, answered or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// Earliest time for the next request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why the last request failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Tags in its last response.
    pub tags: Vec<String>,
}

impl UpdateService {
    /// Checks for releases, unless that was done just now.
    ///
    /// # Errors
    /// The server cannot be reached, or accepts no requests now.
    pub async fn check(&self) -> Result<ReleaseStatus> {
        if let Some(manager) = self.manager() {
            manager.check().await;
        }
        let _one_at_a_time = self.checking().lock().await;
        let checked = self.checked().await?;
        let now = Timestamp::now();
        let is_same = checked.base == self.base();
        // A clock that was set back must not block requests forever.
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
                    format!("Cannot read the release server's response: {why}."),
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
                    format!(
                        "Cannot check for releases: {failed}. If this machine has no internet access, build a client or upload a release file."
                    ),
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

    /// What is stored of the last check.
    pub(super) async fn checked(&self) -> Result<ReleaseCheckState> {
        let (checked, _) = self.db().read(|c| Ok(queries::state(c)?)).await?;
        Ok(serde_json::from_str(&checked).unwrap_or_default())
    }

    /// The current status, without a request.
    pub async fn news(&self) -> Result<ReleaseStatus> {
        let checked = self.checked().await?;
        let (known, skipped) = self
            .db()
            .read(|c| Ok((queries::known(c)?, queries::skips(c)?)))
            .await?;
        let mut releases: Vec<ClientRelease> =
            known.into_iter().filter_map(|row| row.release).collect();
        releases
            .retain(|release| checked.tags.contains(&release.tag) && checked.base == self.base());
        releases.sort_by_key(|release| checked.tags.iter().position(|tag| *tag == release.tag));
        let checked_at = checked.at.filter(|_| checked.base == self.base());
        let in_use = self.in_use().await;
        Ok(ReleaseStatus::new(releases, skipped, in_use, checked_at))
    }

    /// A known release by tag or client version; by default the latest that can be installed on
    /// this machine.
    ///
    /// # Errors
    /// There is none, or no releases are known and the server cannot be reached.
    pub(super) async fn known_release(&self, version: Option<&str>) -> Result<ClientRelease> {
        let mut news = self.news().await?;
        if news.releases.is_empty() {
            news = self.check().await?;
        }
        let Some(version) = version else {
            let latest = news.latest_release().cloned();
            return latest.ok_or_else(|| Error::Conflict(news.obstacle()));
        };
        let carries = |release: &ClientRelease| {
            release.tag == version
                || release
                    .client()
                    .is_some_and(|client| client.to_string() == version)
        };
        let is_tag = version.starts_with(['v', 'V']);
        let found: Vec<ClientRelease> = news.releases.into_iter().filter(carries).collect();
        if let Some(found) = choose_requested(&found) {
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

    /// The same, but requests an unknown tag.
    ///
    /// # Errors
    /// There is none, or the server cannot be reached or accepts no requests now.
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
                    detail: format!("Cannot read release {version}: {why}."),
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
                let detail = format!("Cannot get release {version}: {failed}.");
                Err(Error::Unavailable {
                    detail,
                    retry_after: None,
                })
            }
        }
    }
}

fn not_now(until: Timestamp, now: Timestamp) -> Error {
    Error::Unavailable {
        detail: format!(
            "The release server will not accept requests until {}.",
            until.local_minute()
        ),
        retry_after: Some(until.since(now)),
    }
}
