//! SQL statements for updates: known releases, update jobs and settings.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;
use schemars::JsonSchema;
use serde::Serialize;

use super::model::{ClientRelease, ReleaseSkip, UpdateJob};
use crate::base::clock::Timestamp;
use crate::base::ids::JobId;
use crate::infra::db::load_bounded;
use crate::infra::db::schema::{skipped_releases, update_jobs, update_state, updates};
use crate::infra::db::statement::CachedStatement;
use crate::web::respond::{LIST_BYTES, WHOLE_LIST_BYTES};

/// A row of `updates`: a known release or client.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
#[schemars(rename = "KnownUpdate")]
pub struct KnownRelease {
    /// Id.
    pub id: i64,
    /// Tag of a release, or name of another installed client.
    pub version: String,
    /// Address of its file; empty if there is none.
    pub download_url: String,
    /// Release notes.
    pub changelog: String,
    /// Installed.
    pub installed: bool,
    /// Time of the last installation.
    pub installed_at: Option<Timestamp>,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// The release; null for other clients.
    #[serde(skip)]
    pub release: Option<ClientRelease>,
}

/// All rows, newest first.
pub fn known(db: &mut Db) -> QueryResult<Vec<KnownRelease>> {
    let rows: Vec<JobRow> = updates::table.order(updates::id.desc()).load(db)?;
    Ok(rows.into_iter().map(KnownRelease::from).collect())
}

/// At most `limit` rows, fewer if their notes are long, newest first; and whether there are more.
/// `before`: only those with a smaller id.
pub fn known_part(
    db: &mut Db,
    before: Option<i64>,
    limit: usize,
) -> QueryResult<(Vec<KnownRelease>, bool)> {
    let wanted = updates::table
        .filter(updates::id.lt(before.unwrap_or(i64::MAX)))
        .order(updates::id.desc());
    let rows = wanted.load_iter::<JobRow, DefaultLoadingMode>(db)?;
    let size = |row: &JobRow| 300 + row.download_url.len() + row.changelog.len();
    let (rows, has_more) = load_bounded(rows, limit, WHOLE_LIST_BYTES, size)?;
    Ok((rows.into_iter().map(KnownRelease::from).collect(), has_more))
}

#[derive(Queryable)]
struct JobRow {
    id: i64,
    version: String,
    download_url: String,
    changelog: String,
    installed: bool,
    installed_at: Option<Timestamp>,
    created_at: Timestamp,
    release: String,
}

impl From<JobRow> for KnownRelease {
    fn from(row: JobRow) -> Self {
        let JobRow {
            id,
            version,
            download_url,
            changelog,
            installed,
            installed_at,
            created_at,
            release,
        } = row;
        let release = serde_json::from_str(&release).ok();
        Self {
            id,
            version,
            download_url,
            changelog,
            installed,
            installed_at,
            created_at,
            release,
        }
    }
}

/// Adds releases from the release API; keeps installed ones.
pub fn upsert_release(db: &mut Db, releases: &[ClientRelease], now: Timestamp) -> QueryResult<()> {
    // Oldest first, so that ids increase with releases.
    for release in releases.iter().rev() {
        let told = serde_json::to_string(release).unwrap_or_default();
        diesel::insert_into(updates::table)
            .values((
                updates::version.eq(&release.tag),
                updates::download_url.eq(release.asset.url()),
                updates::changelog.eq(&release.notes),
                updates::installed.eq(false),
                updates::created_at.eq(now),
                updates::release.eq(&told),
            ))
            .on_conflict(updates::version)
            .do_update()
            .set((
                updates::download_url.eq(release.asset.url()),
                updates::changelog.eq(&release.notes),
                updates::release.eq(&told),
            ))
            .execute(db)?;
    }
    Ok(())
}

/// Saves which versions are installed, with source and time.
pub fn set_installed(
    db: &mut Db,
    installed: &[(String, String, Option<Timestamp>)],
    now: Timestamp,
) -> QueryResult<()> {
    for (version, from, at) in installed {
        let at = at.unwrap_or(now);
        diesel::insert_into(updates::table)
            .values((
                updates::version.eq(version),
                updates::download_url.eq(from),
                updates::installed.eq(true),
                updates::installed_at.eq(at),
                updates::created_at.eq(at),
            ))
            .on_conflict(updates::version)
            .do_update()
            .set((updates::installed.eq(true), updates::installed_at.eq(at)))
            .execute(db)?;
    }
    let names: Vec<&String> = installed.iter().map(|(version, _, _)| version).collect();
    diesel::update(updates::table.filter(updates::version.ne_all(names)))
        .set(updates::installed.eq(false))
        .execute(db)?;
    Ok(())
}

/// Saves a job. A finished job is final: a delayed write of an earlier stage is ignored.
pub fn upsert_job(db: &mut Db, job: &UpdateJob) -> QueryResult<()> {
    let values = || {
        (
            update_jobs::kind.eq(<&str>::from(job.task)),
            update_jobs::version.eq(&job.version),
            update_jobs::stage.eq(job.stage.as_str()),
            update_jobs::created_at.eq(job.created_at),
            update_jobs::ended_at.eq(job.ended_at),
            update_jobs::state.eq(serde_json::to_string(job).unwrap_or_default()),
        )
    };
    let unfinished = update_jobs::table
        .filter(update_jobs::id.eq(job.id))
        .filter(update_jobs::ended_at.is_null());
    if diesel::update(unfinished).set(values()).execute(db)? == 0 {
        diesel::insert_or_ignore_into(update_jobs::table)
            .values((update_jobs::id.eq(job.id), values()))
            .execute(db)?;
    }
    Ok(())
}

/// A job by id.
pub fn job(db: &mut Db, id: JobId) -> QueryResult<Option<UpdateJob>> {
    let state: Option<String> = update_jobs::table
        .filter(update_jobs::id.eq(id))
        .select(update_jobs::state)
        .first(db)
        .optional()?;
    Ok(state.and_then(|state| serde_json::from_str(&state).ok()))
}

/// Past jobs, newest first.
pub fn jobs(db: &mut Db, limit: i64) -> QueryResult<Vec<UpdateJob>> {
    let order = (update_jobs::created_at.desc(), update_jobs::id);
    let rows: Vec<String> = update_jobs::table
        .order(order)
        .limit(limit)
        .select(update_jobs::state)
        .load(db)?;
    Ok(rows
        .into_iter()
        .filter_map(|state| serde_json::from_str(&state).ok())
        .collect())
}

/// At most `limit` jobs before `before`, fewer if they are long, newest first; and whether there
/// are more. `is_brief`: without the instances of a switch and the log lines.
pub fn jobs_part(
    db: &mut Db,
    before: Option<JobId>,
    limit: usize,
    is_brief: bool,
) -> QueryResult<(Vec<UpdateJob>, bool)> {
    let order = (update_jobs::created_at.desc(), update_jobs::id);
    let mut wanted = update_jobs::table
        .order(order)
        .select(update_jobs::state)
        .into_boxed();
    if let Some(id) = before {
        let at = update_jobs::table
            .filter(update_jobs::id.eq(id))
            .select(update_jobs::created_at)
            .first(db)
            .optional()?;
        // Jobs older than a deleted one are deleted, too.
        let Some(at) = at.map(|at: Timestamp| at) else {
            return Ok((Vec::new(), false));
        };
        let is_as_old = update_jobs::created_at.eq(at).and(update_jobs::id.gt(id));
        wanted = wanted.filter(update_jobs::created_at.lt(at).or(is_as_old));
    }
    let read = |row: QueryResult<String>| match row {
        Ok(text) => serde_json::from_str::<UpdateJob>(&text).ok().map(|job| {
            let brief = |job: UpdateJob| UpdateJob {
                switch: None,
                excerpt: Vec::new(),
                ..job
            };
            let size = if is_brief {
                400 + job.message.len()
            } else {
                text.len()
            };
            Ok((if is_brief { brief(job) } else { job }, size))
        }),
        Err(error) => Some(Err(error)),
    };
    let rows = wanted
        .load_iter::<String, DefaultLoadingMode>(db)?
        .filter_map(read);
    let (jobs, has_more) = load_bounded(rows, limit, LIST_BYTES, |(_, size)| *size)?;
    Ok((jobs.into_iter().map(|(job, _)| job).collect(), has_more))
}

/// Jobs that the previous manager did not finish, oldest first.
pub fn unfinished(db: &mut Db) -> QueryResult<Vec<UpdateJob>> {
    let rows: Vec<String> = update_jobs::table
        .filter(update_jobs::ended_at.is_null())
        .order(update_jobs::created_at)
        .select(update_jobs::state)
        .load(db)?;
    Ok(rows
        .into_iter()
        .filter_map(|state| serde_json::from_str(&state).ok())
        .collect())
}

/// Deletes all but the newest jobs.
pub fn prune_jobs(db: &mut Db, keep: i64) -> QueryResult<usize> {
    let text = "DELETE FROM update_jobs WHERE ended_at IS NOT NULL AND id NOT IN \
                (SELECT id FROM update_jobs ORDER BY created_at DESC LIMIT ?)";
    CachedStatement::<()>::new(text).number(keep).execute(db)
}

/// State of the last release check and the update settings, both as JSON.
pub fn state(db: &mut Db) -> QueryResult<(String, String)> {
    update_state::table
        .select((update_state::checked, update_state::settings))
        .first(db)
}

/// Stores the state of the last release check.
pub fn set_checked(db: &mut Db, checked: &str) -> QueryResult<usize> {
    diesel::update(update_state::table)
        .set(update_state::checked.eq(checked))
        .execute(db)
}

/// Stores the update settings.
pub fn set_settings(db: &mut Db, settings: &str) -> QueryResult<usize> {
    diesel::update(update_state::table)
        .set(update_state::settings.eq(settings))
        .execute(db)
}

/// Skipped releases, last skipped first.
pub fn skips(db: &mut Db) -> QueryResult<Vec<ReleaseSkip>> {
    let rows: Vec<(String, Timestamp, String)> = skipped_releases::table
        .order((
            skipped_releases::skipped_at.desc(),
            skipped_releases::tag.desc(),
        ))
        .load(db)?;
    Ok(rows
        .into_iter()
        .map(|(tag, skipped_at, skipped_by)| ReleaseSkip {
            tag,
            skipped_at,
            skipped_by,
        })
        .collect())
}

/// Skips a release. A release that is already skipped does not change.
pub fn add_skip(db: &mut Db, skip: &ReleaseSkip) -> QueryResult<usize> {
    diesel::insert_or_ignore_into(skipped_releases::table)
        .values((
            skipped_releases::tag.eq(&skip.tag),
            skipped_releases::skipped_at.eq(skip.skipped_at),
            skipped_releases::skipped_by.eq(&skip.skipped_by),
        ))
        .execute(db)
}

/// Offers a skipped release again.
pub fn remove_skip(db: &mut Db, tag: &str) -> QueryResult<usize> {
    diesel::delete(skipped_releases::table.filter(skipped_releases::tag.eq(tag))).execute(db)
}
