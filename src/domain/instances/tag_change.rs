//! Adds and removes tags of an instance without replacing the others.

use super::draft::InstanceDraft;
use super::model::unknown;
use super::queries;
use super::service::InstanceService;
use super::tags::InstanceTags;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;

impl InstanceService {
    /// Adds and removes tags, and returns the resulting ones. In one transaction: changes at the same
    /// time are not lost.
    ///
    /// # Errors
    /// Unknown id, or too many tags.
    pub async fn change_tags(
        &self,
        id: InstanceId,
        add: InstanceTags,
        remove: InstanceTags,
    ) -> Result<InstanceTags> {
        let tags = self
            .db
            .write(move |c| {
                let (row, _, _) = queries::get(c, id)?.ok_or_else(|| unknown(id))?;
                let tags = row.tags.changed(&add, &remove).map_err(Error::Conflict)?;
                let draft = InstanceDraft {
                    tags: Some(tags.clone()),
                    ..InstanceDraft::default()
                };
                queries::update(c, id, &draft, Timestamp::now())?;
                Ok(tags)
            })
            .await?;
        self.supervisor.announce(id);
        Ok(tags)
    }
}
