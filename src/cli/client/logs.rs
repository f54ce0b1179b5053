//! `jd-manager logs`: shows the end of the logs of instances, and follows them.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
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
    /// Name or id of the instance (the first characters of the id are enough). The logs of several
    /// instances are merged by time.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Follow the log until you press Ctrl-C. No lines are lost, even if jd-manager restarts.
    #[arg(long, short)]
    follow: bool,
    /// Number of most recent lines to show first [default: 100, or 10 with --follow].
    #[arg(long, short = 'n', value_name = "COUNT")]
    lines: Option<usize>,
    /// Program whose log to show: the client, the translator for Stratum V1 miners, or both, merged by
    /// time [default: client].
    #[arg(long, value_name = "PROGRAM", value_parser = ["client", "translator", "all"])]
    program: Option<String>,
    /// Show only lines at or above this level.
    #[arg(long, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "error"])]
    level: Option<String>,
    /// Show only lines with this text in the message or module. Case is ignored.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// TEXT is a regular expression.
    #[arg(long, requires = "grep")]
    regex: bool,
    /// Show the lines around this time, such as 2026-11-22T14:02 (in the time zone of jd-manager) or
    /// 2026-11-22T14:02:00Z, instead of the most recent lines.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    at: Option<String>,
}

/// The response to `GET /instances/{id}/logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiLogPage {
    logs: Vec<Box<RawValue>>,
    first: Option<Value>,
    last: Value,
    more: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiLogRecord {
    instance_name: String,
    program: String,
    timestamp: Option<String>,
    level: String,
    target: Option<String>,
    message: String,
    omitted_bytes: u64,
}

/// Records that were skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiSkippedRecords {
    instance_name: String,
    lines: u64,
}

/// The number of records per request.
const PAGE: usize = 1000;
/// The longest wait before reconnecting.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Prints the end of a log and, with `--follow`, new records.
pub(super) async fn run(
    args: &LogsArgs,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let mut instances = Vec::new();
    for name in &args.names {
        instances.push(named(manager, name).await?);
    }
    if let Some(at) = args.at.as_deref() {
        return around(args, &instances, at, manager, paper).await;
    }
    let last = newest(args, &instances, manager, paper).await?;
    if args.follow {
        paper.flush()?;
        follow(args, &instances, last, manager, paper).await?;
    }
    Ok(())
}

fn path(args: &LogsArgs, instances: &[NamedResource], more: &[(&str, String)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if args.regex {
        query.append_pair("regex", "true");
    }
    for (name, value) in [
        ("program", &args.program),
        ("level", &args.level),
        ("q", &args.grep),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            query.append_pair(name, value);
        }
    }
    for (name, value) in more {
        query.append_pair(name, value);
    }
    match instances {
        [one] => format!("/api/instances/{}/logs?{}", one.id, query.finish()),
        several => {
            query.extend_pairs(several.iter().map(|one| ("instance", &one.id)));
            format!("/api/logs?{}", query.finish())
        }
    }
}

/// Prints the records around a time.
async fn around(
    args: &LogsArgs,
    instances: &[NamedResource],
    at: &str,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let count = args.lines.unwrap_or(100).clamp(1, PAGE);
    let more = [("at", at.to_owned()), ("count", count.to_string())];
    let page: ApiLogPage = manager.get(&path(args, instances, &more)).await?.read()?;
    for record in &page.logs {
        write(record.get(), is_mixed(args), paper)?;
    }
    Ok(())
}

/// Prints the newest records and returns the position of the log's end.
async fn newest(
    args: &LogsArgs,
    instances: &[NamedResource],
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<String, CommandError> {
    let wanted = args.lines.unwrap_or(if args.follow { 10 } else { 100 });
    let mut found: VecDeque<Box<RawValue>> = VecDeque::new();
    let mut last = None;
    let mut before = None;
    while last.is_none() || found.len() < wanted {
        let count = (wanted - found.len()).clamp(1, PAGE);
        let mut more = vec![("count", count.to_string())];
        more.extend(before.take().map(|before| ("before", before)));
        let page: ApiLogPage = manager.get(&path(args, instances, &more)).await?.read()?;
        last.get_or_insert_with(|| place(&page.last));
        page.logs
            .into_iter()
            .rev()
            .for_each(|record| found.push_front(record));
        match page.first.filter(|_| page.more) {
            Some(first) => before = Some(place(&first)),
            None => break,
        }
    }
    let unwanted = found.len().saturating_sub(wanted);
    for record in found.iter().skip(unwanted) {
        write(record.get(), is_mixed(args), paper)?;
    }
    Ok(last.unwrap_or_default())
}

/// A place in a log: a number, or a text for both logs.
fn place(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.as_u64().unwrap_or_default().to_string(),
    }
}

/// Lines show which program wrote them.
fn is_mixed(args: &LogsArgs) -> bool {
    args.program.as_deref() == Some("all")
}

/// The name of the instance with the logs of several.
fn named_prefix(name: &str) -> String {
    match in_line(name) {
        name if name.is_empty() => name,
        name => name + " ",
    }
}

fn write(raw: &str, is_mixed: bool, paper: &mut TerminalOutput) -> Result<(), CommandError> {
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
    // Nearly all lines have the same program name.
    let target = ["jd_client_sv2::", "translator_sv2::"]
        .into_iter()
        .find_map(|program| target.strip_prefix(program))
        .unwrap_or(&target);
    let mut source = named_prefix(&record.instance_name);
    if is_mixed {
        source += &format!("{:<10} ", in_line(&record.program));
    }
    let between = if target.is_empty() { "" } else { ": " };
    let message = plain(&record.message);
    let mut lines = message.trim_end().lines();
    let level = coloured(&format!("{level:<5}"), mood, paper);
    let moment = of_log(record.timestamp.as_deref());
    paper.line(&format!(
        "{moment:<23} {level} {source}{target}{between}{}",
        lines.next().unwrap_or_default()
    ))?;
    // Further lines of a record are indented, so none of them can look like a record.
    lines.try_for_each(|line| paper.line(&format!("{:<23}       {line}", "")))?;
    match record.omitted_bytes {
        0 => Ok(()),
        omitted => paper.line(&format!(
            "{:<23}       -- {omitted} more bytes; download the log to see them --",
            ""
        )),
    }
}

/// Prints new records until interrupted. After a lost connection, reconnects and continues after
/// the last record.
async fn follow(
    args: &LogsArgs,
    instances: &[NamedResource],
    mut last: String,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let mut status: Option<String> = None;
    let mut wait = Duration::from_secs(1);
    let mut is_lost = false;
    loop {
        let lost = match manager
            .listen(&path(args, instances, &[]), Some(&last))
            .await
        {
            Ok(mut stream) => {
                if std::mem::take(&mut is_lost) {
                    complain("-- reconnected --");
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
                        Ok(Some(event)) => {
                            let is_mixed = is_mixed(args);
                            told(&event, is_mixed, &mut last, &mut status, paper)?;
                        }
                        Ok(None) => break "jd-manager closed the connection".to_owned(),
                        Err(why) => break why,
                    }
                }
            }
            // The instance is gone, or access was revoked. Waiting does not help.
            Err(trouble @ (CommandError::Refused(_) | CommandError::Misused(_))) => {
                return Err(trouble);
            }
            Err(CommandError::Failed(why)) => why,
            Err(CommandError::Unreached(lines)) => lines.join(" "),
            Err(trouble) => return Err(trouble),
        };
        if !std::mem::replace(&mut is_lost, true) {
            complain(&format!(
                "-- connection lost, reconnecting: {} --",
                in_line(&lost)
            ));
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn told(
    event: &StreamEvent,
    is_mixed: bool,
    last: &mut String,
    status: &mut Option<String>,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match event.name.as_str() {
        "" => {
            if let Some(id) = &event.id {
                id.clone_into(last);
            }
            write(&event.data, is_mixed, paper)
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
                "-- {}{} lines skipped: the log is growing too fast --",
                named_prefix(&skipped.instance_name),
                skipped.lines
            ))
        }
        _ => Ok(()),
    }
}
