//! `jd-manager health`: the health of instances, their problems and how to fix them.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::error::{CommandError, UNHEALTHY};
use super::instance::{all, find_in, named, names};
use super::manager::RemoteManager;
use super::naming::NamedResource;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::in_line;
use super::time::age;

/// The arguments of `jd-manager health`.
#[derive(Args, Clone, Debug)]
#[command(subcommand_negates_reqs = true)]
pub struct HealthArgs {
    /// Show all health checks for this instance (name or id; the first characters of the id are
    /// enough).
    name: Option<String>,
    /// Treat warnings as unhealthy.
    #[arg(long, global = true)]
    strict: bool,
    #[command(subcommand)]
    command: Option<HealthCommand>,
}

/// The subcommands of `jd-manager health`.
#[derive(Clone, Debug, Subcommand)]
pub enum HealthCommand {
    /// Run the health checks now and show the results.
    Check {
        /// Names or ids of instances (the first characters of an id are enough).
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// The response to `GET /health/{id}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiHealthReport {
    status: String,
    score: u64,
    place: Option<String>,
    results: Vec<ApiCheckResult>,
}

/// The result of a health check.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiCheckResult {
    check_type: String,
    status: String,
    message: String,
    since: Option<String>,
}

/// Prints the health of instances. The exit code shows whether they are healthy.
pub(super) async fn run(
    args: HealthArgs,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let found = match (args.command, args.name) {
        (Some(HealthCommand::Check { names: wanted }), _) => {
            let all = names(manager).await?;
            let meant: Vec<&NamedResource> = wanted
                .iter()
                .map(|name| find_in(&all, name))
                .collect::<Result<_, _>>()?;
            let mut found = Vec::new();
            for one in meant {
                manager
                    .send(Method::POST, &format!("/api/health/{}/check", one.id), None)
                    .await?;
                if !found.is_empty() && !paper.json {
                    paper.line("")?;
                }
                found.push(checks(one, manager, paper).await?);
            }
            found
        }
        (None, Some(name)) => vec![checks(&named(manager, &name).await?, manager, paper).await?],
        (None, None) => overview(manager, paper).await?,
    };
    let is_bad = |status: &String| status == "unhealthy" || (args.strict && status == "warning");
    if found.iter().any(is_bad) {
        Err(CommandError::Reported(UNHEALTHY))
    } else {
        Ok(())
    }
}

/// Prints all health checks of an instance and returns its status.
async fn checks(
    one: &NamedResource,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<String, CommandError> {
    let answer = manager.get(&format!("/api/health/{}", one.id)).await?;
    let report: ApiHealthReport = answer.read()?;
    if paper.json {
        paper.answer(&answer.text)?;
        return Ok(report.status);
    }
    let place = report
        .place
        .as_deref()
        .map(|place| format!(", {}", in_line(place)))
        .unwrap_or_default();
    let score = if report.status == "unknown" {
        String::new()
    } else {
        format!(" ({} of 100)", report.score)
    };
    paper.line(&format!(
        "{} is {}{score}{place}",
        in_line(&one.name),
        words(&report.status)
    ))?;
    let mut table = OutputTable::new(&[
        TableColumn::new("CHECK"),
        TableColumn::new("STATUS"),
        TableColumn::new("FOR").goes(1).right(),
        TableColumn::new("RESULT").wrapped(),
    ]);
    for check in &report.results {
        table.row(vec![
            TableCell::new(&check.check_type),
            TableCell::state(&check.status),
            TableCell::or_dash(age(check.since.as_deref())),
            TableCell::new(&check.message),
        ]);
    }
    table.write(paper)?;
    Ok(report.status)
}

/// A stopped instance is neither healthy nor unhealthy.
fn words(status: &str) -> String {
    if status == "unknown" {
        "not checked".into()
    } else {
        in_line(status)
    }
}

/// Prints the health and the problems of all instances and returns the status of each.
async fn overview(
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<Vec<String>, CommandError> {
    let mut statuses = Vec::new();
    let mut raw = Vec::new();
    let mut table = OutputTable::new(&[
        TableColumn::new("NAME").wrapped(),
        TableColumn::new("STATE").goes(2),
        TableColumn::new("HEALTH"),
        TableColumn::new("SCORE").goes(1).right(),
        TableColumn::new("POOL").goes(3),
    ]);
    let mut findings = OutputTable::new(&[
        TableColumn::new("NAME").wrapped(),
        TableColumn::new("HEALTH"),
        TableColumn::new("CHECK").goes(1),
        TableColumn::new("FOR").goes(2).right(),
        TableColumn::new("PROBLEM AND FIX").wrapped(),
    ]);
    let mut has_findings = false;
    for (_, one) in all(manager).await? {
        let answer = match manager.get(&format!("/api/health/{}", one.id)).await {
            Ok(answer) => answer,
            // Deleted since the list was read.
            Err(CommandError::Refused(refusal)) if refusal.status == 404 => continue,
            Err(trouble) => return Err(trouble),
        };
        let report: ApiHealthReport = answer.read()?;
        if paper.json {
            let (id, name, status) = (json!(one.id), json!(one.name), json!(one.status));
            raw.push(format!(
                "{{\"id\":{id},\"name\":{name},\"status\":{status},\"health\":{}}}",
                answer.text.trim()
            ));
        }
        let is_judged = report.status != "unknown";
        table.row(vec![
            TableCell::new(&one.name),
            TableCell::state(&one.status),
            TableCell::state(&report.status),
            TableCell::or_dash(is_judged.then(|| report.score.to_string())),
            TableCell::or_dash(report.place.filter(|_| is_judged)),
        ]);
        for check in report
            .results
            .iter()
            .filter(|check| ["warning", "unhealthy"].contains(&check.status.as_str()))
        {
            has_findings = true;
            findings.row(vec![
                TableCell::new(&one.name),
                TableCell::state(&check.status),
                TableCell::new(&check.check_type),
                TableCell::or_dash(age(check.since.as_deref())),
                TableCell::new(&check.message),
            ]);
        }
        statuses.push(report.status);
    }
    if paper.json {
        paper.answer(&format!("[{}]", raw.join(",")))?;
        return Ok(statuses);
    }
    if statuses.is_empty() {
        paper.line("There are no instances yet.")?;
        return Ok(statuses);
    }
    table.write(paper)?;
    if has_findings {
        paper.line("")?;
        findings.write(paper)?;
    }
    Ok(statuses)
}
