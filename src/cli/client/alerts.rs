//! `jd-manager alerts`: what holds now by which rule, and what is silenced.

use serde::Deserialize;

use super::error::Trouble;
use super::manager::Manager;
use super::output::Paper;
use super::table::{Cell, Column, Table};
use super::text::in_line;
use super::time::{age, when};

/// The answer to `GET /alerts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alerts {
    standing: Vec<Standing>,
    silences: Vec<Silence>,
    channels: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Standing {
    rule: String,
    instance: String,
    since: Option<String>,
    told: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Silence {
    instance: String,
    until: Option<String>,
}

/// Writes what holds now.
pub(super) async fn run(manager: &Manager, paper: &mut Paper) -> Result<(), Trouble> {
    let answer = manager.get("/api/alerts").await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let alerts: Alerts = answer.read()?;
    if alerts.standing.is_empty() {
        paper.line("Nothing is to be told of.")?;
    } else {
        let mut table = Table::new(&[
            Column::new("INSTANCE").wrapped(),
            Column::new("RULE").wrapped(),
            Column::new("FOR").right(),
            Column::new("TOLD").goes(1).right(),
        ]);
        for one in &alerts.standing {
            table.row(vec![
                Cell::new(&one.instance),
                Cell::new(&one.rule),
                Cell::or_dash(age(one.since.as_deref())),
                Cell::new(age(one.told.as_deref()).map_or_else(|| "not yet".into(), |age| format!("{age} ago"))),
            ]);
        }
        table.write(paper)?;
    }
    for silence in &alerts.silences {
        let until = when(silence.until.as_deref()).unwrap_or_else(|| "some time".into());
        paper.line(&format!("{} is silent until {until}", in_line(&silence.instance)))?;
    }
    if alerts.channels.is_empty() {
        paper.line("There is no channel, so nothing is sent. The page Alerts makes one.")?;
    }
    Ok(())
}
