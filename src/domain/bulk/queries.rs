//! SQL statements for jobs.

use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;

use super::action::BulkActionKind;
use super::model::{BulkItemResult, BulkJob, BulkStage, BulkStepState};
use crate::base::clock::Timestamp;
use crate::base::ids::{InstanceId, JobId};
use crate::infra::db::schema::{bulk_jobs, bulk_steps};
use crate::infra::db::statement::CachedStatement;

/// Saves a new job with its instances.
pub fn insert(db: &mut Db, job: &BulkJob) -> QueryResult<()> {
    diesel::insert_into(bulk_jobs::table)
        .values((
            bulk_jobs::id.eq(job.id),
            bulk_jobs::action.eq(job.action.as_str()),
            bulk_jobs::title.eq(&job.title),
            bulk_jobs::stage.eq(job.stage.as_str()),
            bulk_jobs::message.eq(&job.message),
            bulk_jobs::actor.eq(&job.actor),
            bulk_jobs::created_at.eq(job.created_at),
            bulk_jobs::ended_at.eq(job.ended_at),
        ))
        .execute(db)?;
    for (at, step) in job.results.iter().enumerate() {
        diesel::insert_into(bulk_steps::table)
            .values((
                bulk_steps::job_id.eq(job.id),
                bulk_steps::position.eq(position(at)),
                bulk_steps::instance_id.eq(step.id),
                bulk_steps::name.eq(&step.name),
                bulk_steps::state.eq(step.state.as_str()),
                bulk_steps::status.eq(step.status.map(<&str>::from)),
                bulk_steps::message.eq(&step.message),
            ))
            .execute(db)?;
    }
    Ok(())
}

/// Saves the state of one instance.
pub fn set_step(db: &mut Db, job: JobId, at: usize, step: &BulkItemResult) -> QueryResult<usize> {
    let row = bulk_steps::table.find((job, position(at)));
    diesel::update(row)
        .set((
            bulk_steps::state.eq(step.state.as_str()),
            bulk_steps::status.eq(step.status.map(<&str>::from)),
            bulk_steps::message.eq(&step.message),
        ))
        .execute(db)
}

/// Saves the end of a job and the states of all its instances.
pub fn end(db: &mut Db, job: &BulkJob) -> QueryResult<()> {
    for (at, step) in job.results.iter().enumerate() {
        set_step(db, job.id, at, step)?;
    }
    diesel::update(bulk_jobs::table.find(job.id))
        .set((
            bulk_jobs::stage.eq(job.stage.as_str()),
            bulk_jobs::message.eq(&job.message),
            bulk_jobs::ended_at.eq(job.ended_at),
        ))
        .execute(db)?;
    Ok(())
}

type JobColumns = (
    JobId,
    String,
    String,
    String,
    String,
    String,
    Timestamp,
    Option<Timestamp>,
);

const JOB_COLUMNS: (
    bulk_jobs::id,
    bulk_jobs::action,
    bulk_jobs::title,
    bulk_jobs::stage,
    bulk_jobs::message,
    bulk_jobs::actor,
    bulk_jobs::created_at,
    bulk_jobs::ended_at,
) = (
    bulk_jobs::id,
    bulk_jobs::action,
    bulk_jobs::title,
    bulk_jobs::stage,
    bulk_jobs::message,
    bulk_jobs::actor,
    bulk_jobs::created_at,
    bulk_jobs::ended_at,
);

/// A job without its instances.
fn job_of((id, action, title, stage, message, actor, created_at, ended_at): JobColumns) -> BulkJob {
    BulkJob {
        id,
        // A later version may know more actions and stages.
        action: action.parse().unwrap_or(BulkActionKind::Start),
        title,
        stage: stage.parse().unwrap_or(BulkStage::Interrupted),
        success: true,
        progress: 0,
        message,
        total: 0,
        actor,
        created_at,
        ended_at,
        results: Vec::new(),
    }
}

/// A part of all jobs without their instances, newest first, and the number of all.
pub fn jobs(db: &mut Db, offset: i64, limit: i64) -> QueryResult<(Vec<BulkJob>, i64)> {
    let total = bulk_jobs::table.count().get_result(db)?;
    let rows: Vec<JobColumns> = bulk_jobs::table
        .order((bulk_jobs::created_at.desc(), bulk_jobs::id))
        .select(JOB_COLUMNS)
        .offset(offset)
        .limit(limit)
        .load(db)?;
    let ids: Vec<JobId> = rows.iter().map(|row| row.0).collect();
    let counts: Vec<(JobId, String, i64)> = bulk_steps::table
        .filter(bulk_steps::job_id.eq_any(ids))
        .group_by((bulk_steps::job_id, bulk_steps::state))
        .select((bulk_steps::job_id, bulk_steps::state, count_star()))
        .load(db)?;
    let job = |row: JobColumns| {
        let mut job = job_of(row);
        let states = counts.iter().filter(|(id, ..)| *id == job.id);
        let states: Vec<_> = states
            .map(|(_, state, count)| (step_state(state), usize::try_from(*count).unwrap_or(0)))
            .collect();
        job.set_counts(&states);
        job
    };
    Ok((rows.into_iter().map(job).collect(), total))
}

fn step_state(text: &str) -> BulkStepState {
    text.parse().unwrap_or(BulkStepState::Unknown)
}

/// A job with its instances.
pub fn job(db: &mut Db, id: JobId) -> QueryResult<Option<BulkJob>> {
    let row = bulk_jobs::table.find(id).select(JOB_COLUMNS).first(db);
    let row: Option<JobColumns> = row.optional()?;
    let Some(row) = row else {
        return Ok(None);
    };
    type StepColumns = (InstanceId, Option<String>, String, Option<String>, String);
    let steps: Vec<StepColumns> = bulk_steps::table
        .filter(bulk_steps::job_id.eq(id))
        .order(bulk_steps::position)
        .select((
            bulk_steps::instance_id,
            bulk_steps::name,
            bulk_steps::state,
            bulk_steps::status,
            bulk_steps::message,
        ))
        .load(db)?;
    let result = |(id, name, state, status, message): StepColumns| {
        let status = status.and_then(|status| status.parse().ok());
        BulkItemResult::new(id, name, step_state(&state), status, message)
    };
    let job = BulkJob {
        results: steps.into_iter().map(result).collect(),
        ..job_of(row)
    };
    Ok(Some(job.counted()))
}

/// Deletes all but the newest jobs.
pub fn prune(db: &mut Db, keep: i64) -> QueryResult<usize> {
    let text = "DELETE FROM bulk_jobs WHERE id NOT IN \
                (SELECT id FROM bulk_jobs ORDER BY created_at DESC LIMIT ?)";
    CachedStatement::<()>::new(text).number(keep).execute(db)
}

fn position(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}
