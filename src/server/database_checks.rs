//! Notices about jd-manager's own database in the list of instances: damage, lost changes, and instance
//! directories that are not in the database.

use std::time::Duration;
use tokio_cron_scheduler::JobSchedulerError;
use tokio_util::sync::CancellationToken;

use crate::domain::instances::InstanceService;
use crate::infra::db::Db;
use crate::infra::notices::{ManagerNotice, ManagerNotices};
use crate::infra::schedule::JobSchedule;

/// 02:40 UTC, before old data is pruned.
const NIGHTLY: &str = "0 40 2 * * *";
/// Delay after the start, when other work has priority. Machines that are off at night run the check
/// then.
const AFTER_START: Duration = Duration::from_secs(3600);

/// Maximum number of directory names in a notice; more are counted.
const NAMED: usize = 5;

/// Watches the database until `stop`.
///
/// # Errors
/// The nightly check cannot be scheduled.
pub async fn begin(
    db: Db,
    instances: InstanceService,
    notices: ManagerNotices,
    schedule: &JobSchedule,
    stop: &CancellationToken,
) -> Result<(), JobSchedulerError> {
    report_lost_changes(&db, &notices);
    report_unknown_directories(&instances, &notices).await;
    tokio::spawn(report_damage(db.clone(), notices.clone(), stop.clone()));
    // If changes were lost, more may be wrong.
    let first = if db.lost_changes().is_some() {
        Duration::ZERO
    } else {
        AFTER_START
    };
    let work = move || {
        let (db, instances, notices) = (db.clone(), instances.clone(), notices.clone());
        async move { check(&db, &instances, &notices).await }
    };
    schedule
        .recurring(NIGHTLY, first, "checking the database", work)
        .await
}

async fn check(db: &Db, instances: &InstanceService, notices: &ManagerNotices) {
    if let Err(error) = db.check_integrity().await {
        tracing::warn!(%error, "cannot check the database; will retry tomorrow night");
    }
    report_unknown_directories(instances, notices).await;
}

/// Shows damage as soon as the check or a failed read detects it.
async fn report_damage(db: Db, notices: ManagerNotices, stop: CancellationToken) {
    const ID: &str = "database-damaged";
    let mut damage = db.damage();
    let watch = async {
        loop {
            match &*damage.borrow_and_update() {
                Some(cause) => {
                    tracing::error!(cause, "the database is damaged");
                    let detail = format!(
                        "SQLite reports: {cause}. Mining continues, but parts of jd-manager will fail. Restore a backup: stop jd-manager, then run jd-manager restore FILE."
                    );
                    notices.set(
                        ManagerNotice::new(ID, "The database is damaged", detail)
                            .with_link("/backups", "Backups"),
                    );
                }
                None => notices.clear(ID),
            }
            if damage.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(watch).await;
}

fn report_lost_changes(db: &Db, notices: &ManagerNotices) {
    let Some(lost) = db.lost_changes() else {
        return;
    };
    tracing::error!(
        count = lost.count,
        "saved changes are missing from the database"
    );
    let detail = "Recently saved changes are missing: the database or its log file was damaged, removed or replaced with an older copy while \
                  jd-manager was not running. Check your users, tokens, configurations and instances, or restore a backup. This notice will disappear after 7 days.";
    let notice = ManagerNotice::new("database-changes-lost", "The database lost changes", detail)
        .with_link("/backups", "Backups");
    notices.set(ManagerNotice {
        since: lost.noticed_at,
        ..notice
    });
}

async fn report_unknown_directories(instances: &InstanceService, notices: &ManagerNotices) {
    const ID: &str = "instance-directories-unknown";
    let unknown = match instances.unknown_directories().await {
        Ok(unknown) => unknown,
        Err(error) => {
            return tracing::warn!(%error, "cannot compare the instance directories with the database");
        }
    };
    if unknown.is_empty() {
        return notices.clear(ID);
    }
    let count = unknown.len();
    let mut names: Vec<String> = unknown
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if count > NAMED {
        names.push(format!("{} more", count - NAMED));
    }
    let title = match count {
        1 => "1 instance directory is not in the database".into(),
        _ => format!("{count} instance directories are not in the database"),
    };
    tracing::error!(
        directories = names.join(", "),
        "these instance directories are not in the database"
    );
    let detail = format!(
        "The instances are missing from the database, and their clients may still be running: {}. Restore a backup to manage them again, or delete their \
         directories in instances/ in the data directory.",
        names.join(", ")
    );
    notices.set(ManagerNotice::new(ID, title, detail).with_link("/backups", "Backups"));
}
