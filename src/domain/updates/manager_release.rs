//! Whether a newer jd-manager exists: asks the release API that the administrator configured, if any.
//! Nothing is downloaded or installed.
//!
//! The answer stays in memory: a manager that starts asks again. Time and size of an answer are limited
//! like those of the client's release API, and the token of that API is never sent here.

use schemars::JsonSchema;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

use super::github::{self, FRESH, RELEASES};
use super::model::ClientRelease;
use super::tags::order_of_tag;
use crate::base::clock::Timestamp;
use crate::infra::download::{DownloadError, FetchedDocument, Fetcher};

/// The newest release of jd-manager itself.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize)]
pub struct ManagerRelease {
    /// The version of this jd-manager.
    pub current: &'static str,
    /// Tag of the newest final release; absent before the first successful check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// `latest` is newer than this jd-manager.
    pub available: bool,
    /// The page of the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Time of the last successful check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// Why the last check failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl ManagerRelease {
    /// Before the first check.
    fn unknown() -> Self {
        Self {
            current: env!("CARGO_PKG_VERSION"),
            ..Self::default()
        }
    }

    /// The newest final release among `releases`. Dates do not count, only versions.
    fn newest(releases: Vec<ClientRelease>, now: Timestamp) -> Self {
        let newest = releases
            .into_iter()
            .filter(|release| !release.prerelease)
            .filter_map(|release| Some((order_of_tag(&release.tag)?, release)))
            .filter(|(order, _)| order.is_final())
            .max_by(|(one, _), (other, _)| one.cmp(other));
        let unknown = Self::unknown();
        let own = order_of_tag(unknown.current);
        Self {
            checked_at: Some(now),
            available: newest
                .as_ref()
                .is_some_and(|(order, _)| own.as_ref().is_none_or(|own| order > own)),
            page: newest
                .as_ref()
                .map(|(_, release)| release.page.clone())
                .filter(|page| !page.is_empty()),
            published_at: newest
                .as_ref()
                .and_then(|(_, release)| release.published_at),
            latest: newest.map(|(_, release)| release.tag),
            ..unknown
        }
    }
}

/// Checks for releases of jd-manager; cheap to clone.
#[derive(Clone, Debug)]
pub struct ManagerReleaseCheck {
    fetcher: Fetcher,
    state: Arc<Mutex<ManagerReleaseState>>,
    /// One request at a time.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct ManagerReleaseState {
    answer: ManagerRelease,
    etag: Option<String>,
    /// No request before this time.
    not_before: Option<Timestamp>,
}

impl ManagerReleaseCheck {
    /// For the release API at `base`. Sends no request yet.
    ///
    /// # Errors
    /// The address is invalid.
    pub fn new(base: &str) -> Result<Self, String> {
        Ok(Self {
            fetcher: Fetcher::new(base)?,
            state: Arc::new(Mutex::new(ManagerReleaseState {
                answer: ManagerRelease::unknown(),
                etag: None,
                not_before: None,
            })),
            asking: Arc::default(),
        })
    }

    /// The answer of the last check.
    pub fn answer(&self) -> ManagerRelease {
        self.change(|state| state.answer.clone())
    }

    fn change<T>(&self, work: impl FnOnce(&mut ManagerReleaseState) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks, unless that was done just now or the server accepts no requests yet. A failure is part of
    /// the answer.
    pub async fn check(&self) {
        let _one_at_a_time = self.asking.lock().await;
        let now = Timestamp::now();
        let (etag, not_before) = self.change(|state| (state.etag.clone(), state.not_before));
        if not_before.is_some_and(|until| until > now) {
            return;
        }
        let asked = self.fetcher.document(RELEASES, etag.as_deref(), None).await;
        self.change(|state| state.apply(asked, now));
        if let Some(problem) = self.answer().problem {
            tracing::warn!(problem, "cannot check for a newer jd-manager");
        }
    }
}

impl ManagerReleaseState {
    fn apply(&mut self, asked: Result<FetchedDocument, DownloadError>, now: Timestamp) {
        self.not_before = Some(now.after(FRESH));
        let problem = match asked {
            Ok(FetchedDocument::Unchanged) => {
                self.answer.checked_at = Some(now);
                None
            }
            Ok(FetchedDocument::New { text, etag }) => match github::releases(&text) {
                Ok(releases) => {
                    self.answer = ManagerRelease::newest(releases, now);
                    self.etag = etag;
                    None
                }
                Err(why) => Some(format!("Cannot read the response: {why}.")),
            },
            Err(failed) => {
                if let DownloadError::Limited { until, .. } = &failed {
                    self.not_before = Some(*until);
                }
                Some(format!("Cannot check for a newer jd-manager: {failed}."))
            }
        };
        self.answer.problem = problem;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(releases: &serde_json::Value) -> ManagerRelease {
        let releases = github::releases(&releases.to_string()).unwrap();
        ManagerRelease::newest(releases, Timestamp(1000))
    }

    #[test]
    fn the_newest_final_version_counts_and_not_the_order() {
        let found = answer(&serde_json::json!([
            {"tag_name": "v99.1.0-rc1", "html_url": "https://x.example/rc"},
            {"tag_name": "v99.9.0", "prerelease": true},
            {"tag_name": "nightly"},
            {"tag_name": "v99.0.1", "html_url": "https://x.example/1", "published_at": "2027-01-02T03:04:05Z"},
            {"tag_name": "v99.0.10", "html_url": "javascript:alert(1)"},
            {"tag_name": "v99.0.9"},
            {"tag_name": "v99.5.0", "draft": true},
        ]));
        assert_eq!(found.latest.as_deref(), Some("v99.0.10"));
        assert!(found.available && found.page.is_none() && found.problem.is_none());
        let same =
            answer(&serde_json::json!([{"tag_name": concat!("v", env!("CARGO_PKG_VERSION"))}]));
        assert!(!same.available && same.latest.is_some());
        assert_eq!(answer(&serde_json::json!([])).latest, None);
    }
}
