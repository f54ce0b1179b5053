//! The use cases of mutes.

use serde_json::Value;
use std::sync::Arc;

use super::draft::{self, MuteDraft};
use super::model::{Mute, MuteScope, MuteState};
use super::queries;
use crate::base::actor::Actor;
use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{Error, Result};
use crate::base::ids::{InstanceId, MuteId};
use crate::infra::db::{Db, WriteMode};

/// The use cases of mutes; cheap to clone.
#[derive(Clone)]
pub struct MuteService {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for MuteService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MuteService")
    }
}

impl MuteService {
    /// Mutes stored in `db`.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// The mutes that have not ended, those that end first at the top.
    pub async fn lasting(&self) -> Result<Vec<Mute>> {
        let now = self.clock.now();
        let read = self.db.read(move |c| Ok(queries::lasting(c, now)?));
        let mut mutes = read.await?;
        mutes.sort_by_key(|mute| (mute.until, mute.id));
        Ok(mutes)
    }

    /// A part of all mutes, those that end last first, and the number of all.
    pub async fn part(&self, offset: u64, limit: u64) -> Result<(Vec<Mute>, u64)> {
        let [offset, limit] = [offset, limit].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        self.db
            .read(move |c| {
                let total = u64::try_from(queries::count(c)?).unwrap_or_default();
                Ok((queries::part(c, offset, limit)?, total))
            })
            .await
    }

    /// Checks a request to mute something.
    ///
    /// # Errors
    /// Names every invalid field. Whether the instance or the rule exists is not checked.
    pub fn read(&self, value: Value) -> Result<(MuteScope, MuteDraft)> {
        draft::read(value, self.clock.now())
    }

    /// Mutes something.
    ///
    /// # Errors
    /// The instance or the rule does not exist.
    pub async fn create(&self, scope: MuteScope, draft: MuteDraft, actor: &Actor) -> Result<Mute> {
        let mut mutes = self.create_all([scope], &draft, actor).await?;
        mutes.pop().ok_or_else(|| Error::internal("no mute"))
    }

    /// Mutes instances: all of them, or none if one does not exist.
    ///
    /// # Errors
    /// An instance does not exist.
    pub async fn mute_instances(
        &self,
        ids: impl IntoIterator<Item = InstanceId>,
        draft: &MuteDraft,
        actor: &Actor,
    ) -> Result<Vec<Mute>> {
        let scopes = ids.into_iter().map(MuteScope::Instance);
        self.create_all(scopes, draft, actor).await
    }

    async fn create_all(
        &self,
        scopes: impl IntoIterator<Item = MuteScope>,
        draft: &MuteDraft,
        actor: &Actor,
    ) -> Result<Vec<Mute>> {
        let mute = |scope| Mute {
            id: MuteId::random(),
            scope,
            from: draft.from,
            until: draft.until,
            comment: draft.comment.clone(),
            author: actor.to_string(),
        };
        let mutes: Vec<Mute> = scopes.into_iter().map(mute).collect();
        self.db
            .write(move |c| {
                for mute in &mutes {
                    queries::insert(c, mute).map_err(|e| gone(&mute.scope, e))?;
                }
                Ok(mutes)
            })
            .await
    }

    /// Ends a mute now. One that has not started yet is deleted.
    ///
    /// # Errors
    /// It does not exist or has ended.
    pub async fn end(&self, id: MuteId) -> Result<Mute> {
        let now = self.clock.now();
        self.db
            .write(move |c| {
                let mute = queries::get(c, id)?.ok_or_else(|| Error::not_found("mute", id))?;
                match mute.state(now) {
                    MuteState::Active => queries::end(c, id, now)?,
                    MuteState::Scheduled => queries::delete(c, id)?,
                    MuteState::Ended => {
                        return Err(Error::Conflict(format!(
                            "This mute ended at {}.",
                            mute.until.local()
                        )));
                    }
                };
                Ok(mute)
            })
            .await
    }

    /// Deletes mutes that ended before this time.
    pub async fn prune_before(&self, before: Timestamp) -> Result<()> {
        self.db
            .write_as(WriteMode::UNSYNCED, move |c| {
                queries::prune_before(c, before)?;
                Ok(())
            })
            .await
    }
}

/// The error of a mute whose instance or rule does not exist.
fn gone(scope: &MuteScope, error: diesel::result::Error) -> Error {
    use diesel::result::{DatabaseErrorKind, Error as DieselError};
    let what = match (&error, scope) {
        (
            DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _),
            MuteScope::Rule(_),
        ) => "rule",
        (DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _), _) => "instance",
        _ => return error.into(),
    };
    Error::invalid("/target", format!("This {what} does not exist."))
}
