//! Deletes an instance completely, even if interrupted: renames its directory first, and the next
//! start of the manager finishes the deletion.

use std::collections::HashSet;
use std::path::PathBuf;

use super::queries;
use super::service::{InstanceActionResult, InstanceService, to_the_end};
use crate::base::actor::Actor;
use crate::base::error::{Error, FileError, Result};
use crate::base::ids::InstanceId;
use crate::keeper::machine::InstanceState;

/// Prefix of the directories of deleted instances.
const GONE: &str = ".gone-";

impl InstanceService {
    /// Stops an instance and deletes it with its history and files.
    ///
    /// # Errors
    /// Unknown id, or its client cannot be stopped.
    pub async fn delete(&self, id: InstanceId, actor: &Actor) -> Result<InstanceActionResult> {
        let (this, actor) = (self.clone(), actor.clone());
        to_the_end(async move { this.delete_whole(id, &actor).await }).await
    }

    async fn delete_whole(&self, id: InstanceId, actor: &Actor) -> Result<InstanceActionResult> {
        let instance = self.get(id).await?;
        self.supervisor.retire(id, actor).await?;
        if let Err(e) = self.remove(id).await {
            // It still exists, so a task must supervise it.
            if let Ok(Some((row, _, _))) = self.db.read(move |c| Ok(queries::get(c, id)?)).await {
                self.supervisor
                    .add(id, u64::try_from(row.journal_offset).unwrap_or(0));
            }
            return Err(e);
        }
        self.supervisor.announce(id);
        Ok(InstanceActionResult {
            pid: None,
            status: InstanceState::Stopped,
            message: format!("Deleted {} and all its files.", instance.name),
        })
    }

    async fn remove(&self, id: InstanceId) -> Result<()> {
        let (from, to) = (
            self.root.join(id.to_string()),
            self.root.join(format!("{GONE}{id}")),
        );
        // Renamed first: after an interruption, the next start finishes the deletion.
        match tokio::fs::rename(&from, &to).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::at(&from)(e).into());
            }
            _ => {}
        }
        if let Err(e) = self.db.write(move |c| Ok(queries::delete(c, id)?)).await {
            let _ = tokio::fs::rename(&to, &from).await;
            return Err(e);
        }
        remove_tree(to).await
    }

    /// Finishes interrupted deletions in the background; undoes those whose row still exists.
    pub(super) async fn finish_deletions(&self) -> Result<()> {
        let mut entries = match tokio::fs::read_dir(&self.root).await {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            let Some(id) = name
                .to_str()
                .and_then(|n| n.strip_prefix(GONE))
                .and_then(|id| id.parse::<InstanceId>().ok())
            else {
                continue;
            };
            let is_known = self
                .db
                .read(move |c| Ok(queries::get(c, id)?.is_some()))
                .await?;
            let (path, back) = (entry.path(), self.root.join(id.to_string()));
            let finish = async move {
                let done = if is_known {
                    tokio::fs::rename(&path, back)
                        .await
                        .map_err(|e| FileError::at(&path)(e).into())
                } else {
                    remove_tree(path).await
                };
                if let Err(e) = done {
                    tracing::warn!(error = %e, "cannot finish an interrupted deletion");
                }
            };
            if is_known {
                finish.await;
            } else {
                tokio::spawn(finish);
            }
        }
        Ok(())
    }

    /// Directories of instances that are not in the database.
    pub async fn unknown_directories(&self) -> Result<Vec<InstanceId>> {
        let root = self.root.clone();
        let there = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<InstanceId>> {
            let names = std::fs::read_dir(root)?.map(|entry| Ok(entry?.file_name()));
            let names: Vec<_> = names.collect::<std::io::Result<_>>()?;
            Ok(names
                .iter()
                .filter_map(|name| name.to_str()?.parse().ok())
                .collect())
        });
        let there = match there.await.map_err(Error::internal)? {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            there => there?,
        };
        // In this order: a directory is created after its row and renamed before its row is
        // deleted.
        let known: HashSet<InstanceId> = self
            .db
            .read(|c| Ok(queries::ids(c)?))
            .await?
            .into_iter()
            .collect();
        let is_unknown =
            |id: &InstanceId| !known.contains(id) && self.root.join(id.to_string()).exists();
        Ok(there.into_iter().filter(is_unknown).collect())
    }
}

async fn remove_tree(path: PathBuf) -> Result<()> {
    match tokio::fs::remove_dir_all(&path).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(FileError::at(&path)(e).into()),
        _ => Ok(()),
    }
}
