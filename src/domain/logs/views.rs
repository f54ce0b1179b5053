//! The page of a log, which is also its JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::offset::{LogOffset, LogSelection};
use super::service::{LogExcerpt, LogPosition};
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, ProgramName, size_text};
use crate::infra::log_store::ansi::{self, StyleSpan};
use crate::infra::log_store::record::SHOWN_MAX;
use crate::infra::log_store::{LogFilter, LogLevel, LogRecord};
use crate::view;

impl LogRecord {
    /// The local time of day, to the millisecond; empty if the record has no time.
    pub fn time_of_day(&self) -> String {
        self.moment().map(Timestamp::local_time).unwrap_or_default()
    }

    /// The time, if the record has a valid one.
    pub fn moment(&self) -> Option<Timestamp> {
        self.timestamp.as_deref()?.parse().ok()
    }

    /// The module without the name of the program, which is the same on nearly all lines.
    pub fn module(&self) -> &str {
        let target = self.target.as_deref().unwrap_or_default();
        let own = ["jd_client_sv2", "translator_sv2"]
            .into_iter()
            .find_map(|program| target.strip_prefix(program));
        match own {
            Some("") => "",
            Some(rest) => rest.strip_prefix("::").unwrap_or(target),
            None => target,
        }
    }

    /// The message in spans of one color.
    pub fn spans(&self) -> Vec<StyleSpan> {
        ansi::spans(&self.message)
    }

    /// The size of the omitted part of the message, in words.
    fn omitted_text(&self) -> Option<String> {
        (self.omitted > 0).then(|| size_text(self.omitted))
    }

    /// Whether a request for this record alone shows more of it.
    fn has_more(&self) -> bool {
        self.message.len() <= SHOWN_MAX
    }
}

/// A record and the program that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ProgramRecord {
    /// The program.
    pub program: ProgramName,
    /// The record.
    #[serde(flatten)]
    pub record: LogRecord,
}

/// Part of a log, as JSON and on the page.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LogPart {
    /// Oldest first.
    pub logs: Vec<ProgramRecord>,
    /// The value of `before` for the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<LogOffset>,
    /// The value of `after` or `Last-Event-ID` for the next records.
    pub last: LogOffset,
    /// There are more records in the requested direction: older ones, or with `after` newer ones.
    pub more: bool,
    /// There are older records.
    #[serde(skip)]
    has_older: bool,
    /// Requested records were deleted: the oldest files are deleted when the log grows.
    pub lost: bool,
    /// The number of deleted bytes: the oldest files are deleted when the log grows.
    pub dropped_bytes: u64,
    /// There are fewer records than requested, because their messages are long.
    #[serde(skip)]
    is_full: bool,
    #[serde(skip)]
    filter: LogFilter,
    #[serde(skip)]
    selection: LogSelection,
    /// The instance has a log of a translator.
    #[serde(skip)]
    has_translator: bool,
    /// This is the newest part, which continues live.
    #[serde(skip)]
    is_newest: bool,
}

impl LogPart {
    /// A part of the log of `selection` at `place` with `filter`.
    pub fn new(
        page: LogExcerpt,
        selection: LogSelection,
        filter: LogFilter,
        place: LogPosition,
    ) -> Self {
        let is_forward = matches!(place, LogPosition::After(_));
        let is_newest = place == LogPosition::End;
        let has_older = page.more_before || (!is_forward && !page.scanned_all);
        let records = page.records.into_iter();
        Self {
            logs: records
                .map(|(program, record)| ProgramRecord { program, record })
                .collect(),
            first: page.first,
            last: page.last,
            more: if is_forward {
                !page.scanned_all
            } else {
                has_older
            },
            has_older,
            lost: page.lost,
            dropped_bytes: page.dropped_bytes,
            is_full: page.is_full,
            filter,
            selection,
            has_translator: page.has_translator,
            is_newest,
        }
    }

    /// The programs whose logs can be selected, and their labels; empty if there is only one.
    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        if self.has_translator || self.selection != LogSelection::Client {
            &[
                ("client", "client"),
                ("translator", "translator"),
                ("all", "both"),
            ]
        } else {
            &[]
        }
    }

    fn program(&self) -> &'static str {
        self.selection.as_str()
    }

    /// Lines show which program wrote them.
    fn is_mixed(&self) -> bool {
        self.selection == LogSelection::All
    }

    fn level(&self) -> &'static str {
        self.filter.min_level.map_or("", LogLevel::as_str)
    }

    fn q(&self) -> &str {
        self.filter.text.as_deref().unwrap_or_default()
    }

    /// The size of the deleted part, in words.
    fn dropped_text(&self) -> Option<String> {
        (self.dropped_bytes > 0).then(|| size_text(self.dropped_bytes))
    }

    fn is_filtered(&self) -> bool {
        !self.filter.is_everything()
    }

    /// Program and filter as additional query parameters.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if self.selection != LogSelection::Client {
            query.append_pair("program", self.selection.as_str());
        }
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

/// `/instances/{id}/logs`: part of the log of an instance. The JSON contains the log.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "logs/show.html", blocks = ["main"])]
#[schemars(rename = "Log")]
pub struct LogPage {
    #[serde(skip)]
    pub(super) instance: Instance,
    /// The part of the log.
    #[serde(flatten)]
    pub log: LogPart,
}
view!(LogPage { "main" => as_main });

/// Lines to append to a live page.
#[derive(Debug, Template)]
#[template(path = "logs/lines.html")]
pub struct LogLinesFragment<'a> {
    /// The id of the instance.
    pub id: InstanceId,
    /// The program that wrote them.
    pub program: ProgramName,
    /// Whether to name it.
    pub is_mixed: bool,
    /// The records.
    pub records: &'a [&'a LogRecord],
}

/// The notice on a live page about skipped lines.
pub fn skipped_text(lines: u64, exact: bool) -> String {
    let about = if exact { "" } else { "at least " };
    format!(
        "… {about}{lines} lines skipped because they arrived too fast. Download the log to see them …"
    )
}
