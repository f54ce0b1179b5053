//! The page of an instance with its log, and the log as JSON. No I/O here.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::service::LogPosition;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::configs::views::notes::Warnings;
use crate::domain::configs::views::revisions::RevisionChange;
use crate::domain::configs::{ClientVersion, FieldDifference, RevisionComparison};
use crate::domain::instances::{Instance, MinerAddress, MinerProtocol, size_text};
use crate::infra::log_store::ansi::{self, StyleSpan};
use crate::infra::log_store::record::SHOWN_MAX;
use crate::infra::log_store::{LogFilter, LogLevel, LogRecord, RecordPage};
use crate::view;

impl LogRecord {
    /// The time of day in the machine's own zone, to the millisecond; empty if the record has no
    /// time.
    pub fn time_of_day(&self) -> String {
        self.moment().map(Timestamp::local_time).unwrap_or_default()
    }

    /// The moment, if the record has a readable one.
    pub fn moment(&self) -> Option<Timestamp> {
        self.timestamp.as_deref()?.parse().ok()
    }

    /// The module without the program's name, which is the same on nearly all lines.
    pub fn module(&self) -> &str {
        let target = self.target.as_deref().unwrap_or_default();
        match target.strip_prefix("jd_client_sv2::") {
            Some(module) => module,
            None if target == "jd_client_sv2" => "",
            None => target,
        }
    }

    /// The message in runs of one colour.
    pub fn spans(&self) -> Vec<StyleSpan> {
        ansi::spans(&self.message)
    }

    /// How much of the message is missing, for people.
    fn omitted_text(&self) -> Option<String> {
        (self.omitted > 0).then(|| size_text(self.omitted))
    }

    /// Whether asking for this record alone shows more of it.
    fn has_more(&self) -> bool {
        self.message.len() <= SHOWN_MAX
    }
}

/// Part of a log, as JSON and on the page.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LogPart {
    /// Oldest first.
    pub logs: Vec<LogRecord>,
    /// For `before`: the page before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// For `after` or `BackupOutcomes-Event-ID`: what comes next.
    pub last: u64,
    /// There is more in the direction that was asked for: older records, with `after` newer ones.
    pub more: bool,
    /// Older records are kept.
    #[serde(skip)]
    has_older: bool,
    /// Records that were asked for are gone: the oldest files are dropped when the log grows.
    pub lost: bool,
    /// How much older log is gone, since the oldest files are dropped when the log grows; bytes.
    pub dropped_bytes: u64,
    /// There are fewer records than were asked for, since their messages are long.
    #[serde(skip)]
    is_full: bool,
    #[serde(skip)]
    filter: LogFilter,
    /// This is the newest part, and goes on live.
    #[serde(skip)]
    is_newest: bool,
}

impl LogPart {
    /// A page of a log as read at `place` through `filter`; `dropped_bytes` of older log are gone.
    pub fn new(
        page: RecordPage,
        dropped_bytes: u64,
        filter: LogFilter,
        place: LogPosition,
    ) -> Self {
        let is_forward = matches!(place, LogPosition::After(_));
        let is_newest = place == LogPosition::End;
        let has_older = page.more_before || (!is_forward && !page.scanned_all);
        Self {
            logs: page.records,
            first: page.first,
            last: page.last,
            more: if is_forward {
                !page.scanned_all
            } else {
                has_older
            },
            has_older,
            lost: page.lost,
            dropped_bytes,
            is_full: page.is_full,
            filter,
            is_newest,
        }
    }

    fn level(&self) -> &'static str {
        self.filter.min_level.map_or("", LogLevel::as_str)
    }

    fn q(&self) -> &str {
        self.filter.text.as_deref().unwrap_or_default()
    }

    /// How much is gone, for people.
    fn dropped_text(&self) -> Option<String> {
        (self.dropped_bytes > 0).then(|| size_text(self.dropped_bytes))
    }

    fn is_filtered(&self) -> bool {
        !self.filter.is_everything()
    }

    /// The filter as query parameters after others.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(level) = self.filter.min_level {
            query.append_pair("level", level.as_str());
        }
        if let Some(text) = &self.filter.text {
            query.append_pair("q", text);
        }
        let query = query.finish();
        if query.is_empty() {
            query
        } else {
            format!("&{query}")
        }
    }

    fn levels(&self) -> [(&'static str, &'static str); 5] {
        [
            ("", "all"),
            ("DEBUG", "debug and above"),
            ("INFO", "info and above"),
            ("WARN", "warnings and errors"),
            ("ERROR", "errors"),
        ]
    }
}

/// `/instances/{id}`: the instance and the newest part of its log. Its JSON is the instance.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "logs/show.html", blocks = ["main"])]
#[schemars(rename = "InstanceInFull")]
pub struct InstancePage {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    #[serde(flatten)]
    pub(super) told: ConfigSummaryView,
    #[serde(skip)]
    pub(super) log: LogPart,
}
view!(InstancePage { "main" => as_main });

/// `/instances/{id}/logs`: the same page about any part of the log. Its JSON is the log.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "logs/show.html", blocks = ["main"])]
#[schemars(rename = "Log")]
pub struct LogPage {
    #[serde(skip)]
    pub(super) instance: Instance,
    #[serde(skip)]
    pub(super) told: ConfigSummaryView,
    /// The part of the log.
    #[serde(flatten)]
    pub log: LogPart,
}
view!(LogPage { "main" => as_main });

/// What the saved configuration tells of an instance.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct ConfigSummaryView {
    /// What to enter in a miner: for Stratum V2 first, best first within a protocol.
    pub addresses: Vec<MinerAddress>,
    /// What is wrong with it or doubtful about it.
    #[serde(rename = "config_doubts")]
    pub doubts: Warnings,
    /// What is saved and does not run yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingRevision>,
}

impl ConfigSummaryView {
    /// The addresses for miners of one protocol.
    fn addresses_of(&self, protocol: &MinerProtocol) -> Vec<&MinerAddress> {
        let is_wanted = |address: &&MinerAddress| address.protocol == *protocol;
        self.addresses.iter().filter(is_wanted).collect()
    }
}

/// A newer revision of the configuration than the one the client runs with.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct PendingRevision {
    /// The revision the client runs with.
    pub from: i32,
    /// The one that is saved.
    pub to: i32,
    /// What differs.
    pub changes: Vec<FieldDifference>,
    /// The client has to be restarted to take it up; otherwise it would be told the same.
    pub restart_needed: bool,
}

impl PendingRevision {
    /// For a client of `version`.
    pub fn new(comparison: RevisionComparison, version: ClientVersion) -> Self {
        let restart_needed = comparison.needs_restart(version);
        Self {
            from: comparison.from,
            to: comparison.to,
            changes: comparison.changes,
            restart_needed,
        }
    }

    fn changes(&self) -> Vec<RevisionChange> {
        self.changes.iter().map(RevisionChange::of).collect()
    }
}

/// Lines as they are appended to a live page.
#[derive(Debug, Template)]
#[template(path = "logs/lines.html")]
pub struct LogLinesFragment<'a> {
    /// Whose log it is.
    pub id: InstanceId,
    /// The records.
    pub records: &'a [&'a LogRecord],
}

/// What a live page says about lines it will not see.
pub fn skipped_text(lines: u64, exact: bool) -> String {
    let about = if exact { "" } else { "at least " };
    format!(
        "… {about}{lines} lines came too fast to show and were skipped here; the download has them …"
    )
}
