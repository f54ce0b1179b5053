//! `jd-manager instances jobs`: actions on several instances.

use serde::Deserialize;

use super::error::CommandError;
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::time::age;

/// The response to `GET /jobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiBulkJobs {
    jobs: Vec<ApiBulkJob>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiBulkJob {
    title: String,
    stage: String,
    total: usize,
    message: String,
    created_at: Option<String>,
}

/// Prints the newest jobs.
pub(super) async fn run(
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let answer = manager.get("/api/jobs?limit=20").await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let jobs = answer.read::<ApiBulkJobs>()?.jobs;
    if jobs.is_empty() {
        return paper.line("No jobs yet.");
    }
    let mut table = OutputTable::new(&[
        TableColumn::new("ACTION").wrapped(),
        TableColumn::new("INSTANCES").right(),
        TableColumn::new("STATE"),
        TableColumn::new("RESULT").wrapped(),
        TableColumn::new("STARTED").goes(1).right(),
    ]);
    for job in &jobs {
        table.row(vec![
            TableCell::new(&job.title),
            TableCell::new(job.total.to_string()),
            TableCell::new(&job.stage),
            TableCell::new(&job.message),
            TableCell::or_dash(age(job.created_at.as_deref()).map(|age| format!("{age} ago"))),
        ]);
    }
    table.write(paper)
}
