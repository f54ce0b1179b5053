//! Skipped releases, which are not offered.

use super::model::{ClientRelease, ReleaseSkip};
use super::queries;
use super::service::UpdateService;
use super::tags::client_of_tag;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};

impl UpdateService {
    /// Skipped releases, last skipped first.
    pub async fn skips(&self) -> Result<Vec<ReleaseSkip>> {
        self.db().read(|c| Ok(queries::skips(c)?)).await
    }

    /// Skips a known release by its tag or client version: it is not offered, not installed
    /// automatically and not reported by health checks. Skipping it again changes nothing.
    ///
    /// # Errors
    /// Unknown release, or `--client` is set.
    pub async fn skip(&self, version: &str, actor: &str) -> Result<ClientRelease> {
        self.check_managed()?;
        let release = self.known_release(Some(version)).await?;
        let skip = ReleaseSkip {
            tag: release.tag.clone(),
            skipped_at: Timestamp::now(),
            skipped_by: actor.to_owned(),
        };
        self.db()
            .write(move |c| Ok(queries::add_skip(c, &skip)?))
            .await?;
        self.tell(&self.news().await?).await;
        Ok(release)
    }

    /// Offers a skipped release again, by its tag or client version as for [`skip`](Self::skip).
    /// Returns its tag.
    ///
    /// # Errors
    /// The release is not skipped, or `--client` is set.
    pub async fn unskip(&self, version: &str) -> Result<String> {
        self.check_managed()?;
        let skips = self.skips().await?;
        let carries =
            |tag: &str| client_of_tag(tag).is_some_and(|client| client.to_string() == version);
        let found = skips
            .iter()
            .find(|skip| skip.tag == version)
            .or_else(|| skips.iter().find(|skip| carries(&skip.tag)));
        let tag = found
            .map(|skip| skip.tag.clone())
            .ok_or_else(|| Error::not_found("skipped release", version))?;
        let removed = tag.clone();
        self.db()
            .write(move |c| Ok(queries::remove_skip(c, &removed)?))
            .await?;
        self.tell(&self.news().await?).await;
        Ok(tag)
    }
}
