//! `jd-manager logs`: the log of an instance, its end or as it grows.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::time::Duration;

use super::error::{CommandError, complain};
use super::instance::{ApiInstance, named};
use super::manager::RemoteManager;
use super::naming::NamedResource;
use super::output::TerminalOutput;
use super::stream::StreamEvent;
use super::table::{CellColor, coloured};
use super::text::{in_line, plain};
use super::time::of_log;

/// The arguments of `jd-manager logs`.
#[derive(Args, Clone, Debug)]
pub struct LogsArgs {
    /// Whose log: its name, its id, or the beginning of its id.
    name: String,
    /// Go on with what comes, until Ctrl-C; whatever happens to the manager meanwhile, no line is
    /// missed.
    #[arg(long, short)]
    follow: bool,
    /// Begin with so many of the newest records [default: 100, and 10 with --follow].
    #[arg(long, short = 'n', value_name = "COUNT")]
    lines: Option<usize>,
    /// Only records of this level and above.
    #[arg(long, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "error"])]
    level: Option<String>,
    /// Only records with this text in their message or module, whatever the case.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

/// The answer to `GET /instances/{id}/logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiLogPage {
    logs: Vec<Box<RawValue>>,
    first: Option<u64>,
    last: u64,
    more: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiLogRecord {
    timestamp: Option<String>,
    level: String,
    target: Option<String>,
    message: String,
    omitted_bytes: u64,
}

/// Records that were not told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiSkippedRecords {
    lines: u64,
}

/// As many records come at once.
const PAGE: usize = 1000;
/// The longest wait before a lost connection is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Writes the end of a log, and with `--follow` what comes.
pub(super) async fn run(
    args: &LogsArgs,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let one = named(manager, &args.name).await?;
    let last = newest(args, &one, manager, paper).await?;
    if args.follow {
        paper.flush()?;
        follow(args, &one, last, manager, paper).await?;
    }
    Ok(())
}

fn path(args: &LogsArgs, one: &NamedResource, more: &[(&str, String)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("level", &args.level), ("q", &args.grep)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            query.append_pair(name, value);
        }
    }
    for (name, value) in more {
        query.append_pair(name, value);
    }
    format!("/api/instances/{}/logs?{}", one.id, query.finish())
}

/// Writes the newest records; returns where the log ends.
async fn newest(
    args: &LogsArgs,
    one: &NamedResource,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<u64, CommandError> {
    let wanted = args.lines.unwrap_or(if args.follow { 10 } else { 100 });
    let mut found: VecDeque<Box<RawValue>> = VecDeque::new();
    let mut last = None;
    let mut before = None;
    while last.is_none() || found.len() < wanted {
        let count = (wanted - found.len()).clamp(1, PAGE);
        let mut more = vec![("count", count.to_string())];
        more.extend(before.map(|before: u64| ("before", before.to_string())));
        let page: ApiLogPage = manager.get(&path(args, one, &more)).await?.read()?;
        last.get_or_insert(page.last);
        page.logs
            .into_iter()
            .rev()
            .for_each(|record| found.push_front(record));
        match page.first.filter(|_| page.more) {
            Some(first) => before = Some(first),
            None => break,
        }
    }
    let unwanted = found.len().saturating_sub(wanted);
    for record in found.iter().skip(unwanted) {
        write(record.get(), paper)?;
    }
    Ok(last.unwrap_or_default())
}

fn write(raw: &str, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    if paper.json {
        return paper.answer(raw);
    }
    let record: ApiLogRecord = serde_json::from_str(raw).unwrap_or_else(|_| ApiLogRecord {
        message: raw.to_owned(),
        ..ApiLogRecord::default()
    });
    let level = in_line(&record.level);
    let mood = match level.as_str() {
        "ERROR" => Some(CellColor::Bad),
        "WARN" => Some(CellColor::Doubtful),
        "DEBUG" | "TRACE" => Some(CellColor::Quiet),
        _ => None,
    };
    let target = record.target.as_deref().map(in_line).unwrap_or_default();
    // The program's name is the same on nearly all lines.
    let target = target.strip_prefix("jd_client_sv2::").unwrap_or(&target);
    let between = if target.is_empty() { "" } else { ": " };
    let message = plain(&record.message);
    let mut lines = message.trim_end().lines();
    let level = coloured(&format!("{level:<5}"), mood, paper);
    let moment = of_log(record.timestamp.as_deref());
    paper.line(&format!(
        "{moment:<23} {level} {target}{between}{}",
        lines.next().unwrap_or_default()
    ))?;
    // Further lines of a record are set in, so that none of them can pose as a record.
    lines.try_for_each(|line| paper.line(&format!("{:<23}       {line}", "")))?;
    match record.omitted_bytes {
        0 => Ok(()),
        omitted => paper.line(&format!(
            "{:<23}       -- {omitted} more bytes; the download has them --",
            ""
        )),
    }
}

/// Writes what comes, for ever. A connection that is lost is made again, and goes on behind the
/// last record that was heard.
async fn follow(
    args: &LogsArgs,
    one: &NamedResource,
    last: u64,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let mut last = last.to_string();
    let mut status: Option<String> = None;
    let mut wait = Duration::from_secs(1);
    let mut is_lost = false;
    loop {
        let lost = match manager.listen(&path(args, one, &[]), Some(&last)).await {
            Ok(mut stream) => {
                if std::mem::take(&mut is_lost) {
                    complain("-- the connection is back --");
                }
                wait = Duration::from_secs(1);
                loop {
                    let event = match stream.ready() {
                        Some(event) => Ok(Some(event)),
                        None => {
                            paper.flush()?;
                            stream.next().await
                        }
                    };
                    match event {
                        Ok(Some(event)) => told(&event, &mut last, &mut status, paper)?,
                        Ok(None) => break "the manager has ended".to_owned(),
                        Err(why) => break why,
                    }
                }
            }
            // It is gone, or is not to be seen any more: no wait changes that.
            Err(trouble @ (CommandError::Refused(_) | CommandError::Misused(_))) => {
                return Err(trouble);
            }
            Err(CommandError::Failed(why)) => why,
            Err(trouble) => return Err(trouble),
        };
        if !std::mem::replace(&mut is_lost, true) {
            complain(&format!(
                "-- the connection is lost and is tried again: {} --",
                in_line(&lost)
            ));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn told(
    event: &StreamEvent,
    last: &mut String,
    status: &mut Option<String>,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match event.name.as_str() {
        "" => {
            if let Some(id) = &event.id {
                id.clone_into(last);
            }
            write(&event.data, paper)
        }
        _ if paper.json => Ok(()),
        "instance" => {
            let now: ApiInstance = serde_json::from_str(&event.data).unwrap_or_default();
            let is_news = status.as_ref().is_some_and(|before| *before != now.status);
            *status = Some(now.status.clone());
            if is_news {
                paper.line(&format!(
                    "-- {} is {} --",
                    in_line(&now.name),
                    in_line(&now.status)
                ))
            } else {
                Ok(())
            }
        }
        "skipped" => {
            let skipped: ApiSkippedRecords = serde_json::from_str(&event.data).unwrap_or_default();
            paper.line(&format!(
                "-- {} lines came too fast and are left out --",
                skipped.lines
            ))
        }
        _ => Ok(()),
    }
}
