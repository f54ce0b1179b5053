//! Pages of an instance on a host, from the JSON of the jd-manager there. The overview, the miners and
//! the events have the same pages as those of this machine. No I/O.

use askama::Template;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::clock::{Timestamp, human_duration};
use crate::domain::health::model::CheckResult;
use crate::domain::instances::Instance;
use crate::domain::metrics::ChartOptions;
use crate::domain::metrics::views::ChartGroup;
use crate::view;

/// A tab of an instance on a host.
#[derive(Debug, Serialize, Template)]
#[template(path = "hosts/instance.html", blocks = ["main", "content"])]
pub struct RemoteInstancePage {
    #[serde(skip)]
    pub(super) instance: Instance,
    #[serde(skip)]
    pub(super) tab: RemoteTab,
    #[serde(skip)]
    pub(super) now: Timestamp,
}
view!(RemoteInstancePage { "main" => as_main, "remote" => as_content });

/// What a tab shows.
#[derive(Debug)]
pub enum RemoteTab {
    /// The newest lines of the log.
    Log(RemoteLog),
    /// Charts.
    Metrics {
        /// The time range.
        choice: Box<ChartOptions>,
        /// Those with data.
        charts: Vec<ChartGroup>,
    },
    /// The results of the health checks.
    Health(Vec<CheckResult>),
    /// The configuration.
    Configuration(RemoteConfiguration),
}

/// Lines of a log: `GET /instances/{id}/logs`.
#[derive(Debug, Deserialize)]
pub struct RemoteLog {
    /// Oldest first.
    pub(super) logs: Vec<RemoteRecord>,
    /// The place before the first one, if there are older ones.
    pub(super) first: Option<Value>,
    /// There are older ones.
    pub(super) more: bool,
    /// The words that are searched for.
    #[serde(skip)]
    pub(super) search: String,
    /// The newest lines.
    #[serde(skip)]
    pub(super) is_newest: bool,
}

/// A line of a log.
#[derive(Debug, Deserialize)]
pub struct RemoteRecord {
    /// When it was written, if known.
    pub(super) timestamp: Option<String>,
    /// Its level.
    pub(super) level: String,
    /// The module that wrote it.
    pub(super) target: Option<String>,
    /// Its text.
    pub(super) message: String,
}

impl RemoteLog {
    /// The place before the first line, if there are older ones: a number or a text.
    fn older(&self) -> Option<String> {
        let place = self.first.as_ref().filter(|_| self.more)?;
        Some(match place {
            Value::String(text) => text.clone(),
            number => number.to_string(),
        })
    }
}

impl RemoteRecord {
    fn moment(&self) -> Option<Timestamp> {
        self.timestamp.as_deref()?.parse().ok()
    }
}

/// A configuration: `GET /instances/{id}/configuration`.
#[derive(Debug, Deserialize)]
pub struct RemoteConfiguration {
    /// Its name.
    pub(super) name: String,
    /// Its revision.
    pub(super) revision: i32,
    /// The file of the client, without secrets.
    pub(super) file: Option<String>,
    /// The file of the translator, without secrets.
    pub(super) translator_file: Option<String>,
}

impl RemoteInstancePage {
    fn title(&self) -> &'static str {
        match self.tab {
            RemoteTab::Log(_) => "Log",
            RemoteTab::Metrics { .. } => "Metrics",
            RemoteTab::Health(_) => "Health",
            RemoteTab::Configuration(_) => "Configuration",
        }
    }

    /// The name of the tab.
    fn here(&self) -> &'static str {
        match self.tab {
            RemoteTab::Log(_) => "log",
            RemoteTab::Metrics { .. } => "metrics",
            RemoteTab::Health(_) => "health",
            RemoteTab::Configuration(_) => "configuration",
        }
    }

    fn since_text(&self, since: &Timestamp) -> String {
        human_duration(self.now.since(*since))
    }
}
