//! `jd-manager alerts`: the active alerts, and what is muted.

use serde::Deserialize;

use super::error::CommandError;
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::in_line;
use super::time::{age, when};

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
    miner: String,
    since: Option<String>,
    told: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiMute {
    target: String,
    name: String,
    state: String,
    from: Option<String>,
    until: Option<String>,
    comment: String,
}

impl ApiMute {
    /// The mute in a line.
    fn text(&self) -> String {
        let time = |text: &Option<String>| {
            when(text.as_deref()).unwrap_or_else(|| "an unknown time".into())
        };
        let what = match self.target.split_once(':') {
            Some((kind, id)) => {
                let name = if self.name.is_empty() { id } else { &self.name };
                format!("{} {}", in_line(kind), in_line(name))
            }
            None => "All alerts".into(),
        };
        let until = time(&self.until);
        let comment = match self.comment.as_str() {
            "" => String::new(),
            comment => format!(": {}", in_line(comment)),
        };
        match self.state.as_str() {
            "scheduled" => format!(
                "Muted from {} to {until}: {what}{comment}",
                time(&self.from)
            ),
            _ => format!("Muted until {until}: {what}{comment}"),
        }
    }
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
            TableColumn::new("INSTANCE").wrapped(),
            TableColumn::new("RULE").wrapped(),
            TableColumn::new("FOR").right(),
            TableColumn::new("SENT").goes(1).right(),
        ]);
        for one in &alerts.standing {
            table.row(vec![
                TableCell::new(&one.instance),
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
