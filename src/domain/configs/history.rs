//! The history of a saved configuration: list, compare and restore revisions.

use super::config_view::{ConfigChangeResult, ConfigRevision, RevisionComparison, SavedConfig};
use super::draft::ConfigDraft;
use super::queries;
use super::service::ConfigService;
use crate::base::error::{Error, Result};
use crate::base::ids::ConfigId;
use crate::web::respond::LIST_BYTES;

impl ConfigService {
    /// Saves the configuration and description of an older revision as a new revision. The name
    /// does not change.
    ///
    /// # Errors
    /// No configuration has this id, no such revision; the current rules reject it.
    pub async fn restore(&self, id: ConfigId, number: i32) -> Result<ConfigChangeResult> {
        let desk = self.desk();
        self.db
            .write(move |c| {
                let saved = desk.load(c, id)?;
                let row = queries::revision(c, id, number)?
                    .ok_or_else(|| Error::not_found("revision", number))?;
                let then = ConfigRevision::from_rows(&desk.vault, row, None)?;
                let checked =
                    ConfigDraft::of_config(then.description, &then.config).check(Some(&saved))?;
                desk.save(c, saved, checked)
            })
            .await
    }

    /// At most `limit` revisions with their changes, newest first, and the configuration; fewer if
    /// they are long. `before`: only revisions with a smaller number.
    ///
    /// # Errors
    /// No configuration has this id.
    pub async fn revisions(
        &self,
        id: ConfigId,
        before: Option<i32>,
        limit: u64,
    ) -> Result<(SavedConfig, Vec<ConfigRevision>)> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let desk = self.desk();
        self.db
            .read(move |c| {
                let saved = desk.load(c, id)?;
                // One more, for the changes of the oldest one.
                let (rows, has_more) =
                    queries::revisions(c, id, before, limit.saturating_add(1), LIST_BYTES)?;
                let told = rows
                    .len()
                    .saturating_sub(usize::from(has_more))
                    .clamp(1, limit.max(1));
                let told = rows.iter().enumerate().take(told).map(|(at, row)| {
                    ConfigRevision::from_rows(&desk.vault, row.clone(), rows.get(at + 1))
                });
                Ok((saved, told.collect::<Result<_>>()?))
            })
            .await
    }

    /// Compares two revisions. `to` defaults to the newest revision, `from` to the one before `to`.
    ///
    /// # Errors
    /// No configuration has this id, or no such revision.
    pub async fn compare(
        &self,
        id: ConfigId,
        from: Option<i32>,
        to: Option<i32>,
    ) -> Result<RevisionComparison> {
        let desk = self.desk();
        self.db
            .read(move |c| {
                let saved = desk.load(c, id)?;
                let to = to.unwrap_or(saved.revision);
                let from = from.unwrap_or((to - 1).max(1));
                let mut revision = |number| {
                    queries::revision(c, id, number)?
                        .ok_or_else(|| Error::not_found("revision", number))
                };
                let (before, after) = (revision(from)?, revision(to)?);
                let ConfigRevision { config: former, .. } =
                    ConfigRevision::from_rows(&desk.vault, before.clone(), None)?;
                let ConfigRevision {
                    config, changes, ..
                } = ConfigRevision::from_rows(&desk.vault, after, Some(&before))?;
                Ok(RevisionComparison {
                    config_id: id,
                    name: saved.name,
                    from,
                    to,
                    changes,
                    former,
                    config,
                })
            })
            .await
    }
}
