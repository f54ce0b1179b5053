//! `jd-manager alerts`: the active alerts, and what is muted.

use serde::Deserialize;

use super::error::CommandError;
use super::manager::RemoteManager;
use super::mutes::ApiMute;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::time::age;

/// The response to `GET /alerts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiAlerts {
    standing: Vec<ApiActiveAlert>,
    mutes: Vec<ApiMute>,
    channels: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiActiveAlert {
    rule: String,
    instance: String,
    host: String,
    miner: String,
    since: Option<String>,
    told: Option<String>,
}

/// Prints the active alerts.
pub(super) async fn run(
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let answer = manager.get("/api/alerts").await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let alerts: ApiAlerts = answer.read()?;
    if alerts.standing.is_empty() {
        paper.line("No active alerts.")?;
    } else {
        let mut table = OutputTable::new(&[
            TableColumn::new("NAME").wrapped(),
            TableColumn::new("RULE").wrapped(),
            TableColumn::new("FOR").right(),
            TableColumn::new("SENT").goes(1).right(),
        ]);
        for one in &alerts.standing {
            table.row(vec![
                TableCell::new(if one.host.is_empty() {
                    &one.instance
                } else {
                    &one.host
                }),
                TableCell::new(&match one.miner.as_str() {
                    "" => one.rule.clone(),
                    miner => format!("{} ({miner})", one.rule),
                }),
                TableCell::or_dash(age(one.since.as_deref())),
                TableCell::new(
                    age(one.told.as_deref())
                        .map_or_else(|| "not yet".into(), |age| format!("{age} ago")),
                ),
            ]);
        }
        table.write(paper)?;
    }
    for mute in &alerts.mutes {
        paper.line(&mute.text())?;
    }
    if alerts.channels.is_empty() {
        paper.line(
            "There are no channels, so no notifications are sent. Create a channel on the Alerts page.",
        )?;
    }
    Ok(())
}
