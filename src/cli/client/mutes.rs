//! `jd-manager alerts mutes`, `mute` and `unmute`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

use super::change::change;
use super::error::CommandError;
use super::instance::named;
use super::manager::RemoteManager;
use super::naming::{NamedResource, find};
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::in_line;
use super::time::when;

/// The subcommands of `jd-manager alerts`.
#[derive(Clone, Debug, Subcommand)]
pub enum AlertsCommand {
    /// List current and scheduled mutes.
    Mutes,
    /// Mute an instance, a tag, a rule or all alerts for a while.
    #[command(after_help = "Example:
  jd-manager alerts mute barn --for 2h --comment 'moving the rack'")]
    Mute {
        /// What to mute.
        #[command(flatten)]
        target: MuteTarget,
        /// For how long, such as 30m, 2h or 3d.
        #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration, required_unless_present = "until", conflicts_with = "until")]
        length: Option<Duration>,
        /// Until when: RFC 3339, or local time such as 2026-11-22T14:02.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// From when, in the same formats [default: now].
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// The reason, for everyone who sees the mute.
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        comment: String,
    },
    /// End the mutes of an instance, a tag or a rule, or the mute of all alerts.
    Unmute {
        /// What is muted.
        #[command(flatten)]
        target: MuteTarget,
    },
}

/// What a mute applies to.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct MuteTarget {
    /// Name or id of the instance (the first characters of the id are enough).
    instance: Option<String>,
    /// Instances with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The alert rule with this name or id.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// All alerts.
    #[arg(long)]
    all: bool,
}

/// The part of the response to `GET /alerts` about mutes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiMutedAlerts {
    rules: Vec<NamedResource>,
    mutes: Vec<ApiMute>,
}

/// A mute as the API describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiMute {
    id: String,
    target: String,
    name: String,
    state: String,
    from: Option<String>,
    until: Option<String>,
    comment: String,
}

/// A time of a mute.
fn time(text: Option<&str>) -> String {
    when(text).unwrap_or_else(|| "an unknown time".into())
}

impl ApiMute {
    /// What is muted.
    fn what(&self) -> String {
        match self.target.split_once(':') {
            Some((kind, id)) => {
                let name = if self.name.is_empty() { id } else { &self.name };
                format!("{} {}", in_line(kind), in_line(name))
            }
            None => "All alerts".into(),
        }
    }

    /// The mute in a line.
    pub(super) fn text(&self) -> String {
        let (what, until) = (self.what(), time(self.until.as_deref()));
        let comment = match self.comment.as_str() {
            "" => String::new(),
            comment => format!(": {}", in_line(comment)),
        };
        match self.state.as_str() {
            "scheduled" => format!(
                "Muted from {} to {until}: {what}{comment}",
                time(self.from.as_deref())
            ),
            _ => format!("Muted until {until}: {what}{comment}"),
        }
    }
}

/// Runs a subcommand.
pub(super) async fn run(
    command: AlertsCommand,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match command {
        AlertsCommand::Mutes => list(manager, paper).await,
        AlertsCommand::Mute {
            target,
            length,
            until,
            from,
            comment,
        } => {
            let mut body =
                json!({ "target": resolve(&target, manager).await?, "comment": comment });
            for (member, value) in [("until", until), ("from", from)] {
                if let Some(value) = value {
                    body[member] = value.into();
                }
            }
            if let Some(length) = length {
                // A part of a minute counts as a whole one.
                body["minutes"] = length.as_secs().div_ceil(60).max(1).into();
            }
            change(
                manager,
                paper,
                Method::POST,
                "/api/alerts/mutes",
                Some(&body),
            )
            .await
        }
        AlertsCommand::Unmute { target } => {
            let wanted = resolve(&target, manager).await?;
            let known = read(manager).await?.mutes;
            let is_it = |mute: &&ApiMute| mute.target.to_lowercase() == wanted.to_lowercase();
            let found: Vec<&ApiMute> = known.iter().filter(is_it).collect();
            if found.is_empty() {
                return Err(CommandError::Failed(
                    "this is not muted. List the mutes with: jd-manager alerts mutes".into(),
                ));
            }
            for mute in found {
                let path = format!("/api/alerts/mutes/{}", mute.id);
                change(manager, paper, Method::DELETE, &path, None).await?;
            }
            Ok(())
        }
    }
}

async fn read(manager: &RemoteManager) -> Result<ApiMutedAlerts, CommandError> {
    manager.get("/api/alerts").await?.read()
}

/// The target as the API takes it.
async fn resolve(target: &MuteTarget, manager: &RemoteManager) -> Result<String, CommandError> {
    Ok(match target {
        MuteTarget {
            instance: Some(wanted),
            ..
        } => format!("instance:{}", named(manager, wanted).await?.id),
        MuteTarget { tag: Some(tag), .. } => format!("tag:{tag}"),
        MuteTarget {
            rule: Some(wanted), ..
        } => {
            let rules = read(manager).await?.rules;
            let rule = find(&rules, wanted, "alert rule", "jd-manager alerts --json")?;
            format!("rule:{}", rule.id)
        }
        _ => "all".into(),
    })
}

async fn list(manager: &RemoteManager, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    if paper.json {
        let answer = manager.get("/api/alerts/mutes").await?;
        return paper.answer(&answer.text);
    }
    let mutes = read(manager).await?.mutes;
    if mutes.is_empty() {
        return paper.line("Nothing is muted.");
    }
    let mut table = OutputTable::new(&[
        TableColumn::new("MUTED").wrapped(),
        TableColumn::new("STATE"),
        TableColumn::new("FROM").goes(1),
        TableColumn::new("UNTIL"),
        TableColumn::new("COMMENT").goes(2).wrapped(),
    ]);
    for mute in &mutes {
        table.row(vec![
            TableCell::new(mute.what()),
            TableCell::new(&mute.state),
            TableCell::new(time(mute.from.as_deref())),
            TableCell::new(time(mute.until.as_deref())),
            TableCell::new(&mute.comment),
        ]);
    }
    table.write(paper)
}
