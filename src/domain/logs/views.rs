//! The page of one log or of several, which is also its JSON. No I/O.

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::offset::{LogOffset, LogSelection};
use super::query::LogQuery;
use super::scope::{LogInstance, LogScope, LogSource, MOST_INSTANCES};
use super::service::{LogExcerpt, LogJump, LogPosition};
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::domain::instances::{Instance, size_text};
use crate::infra::log_store::ansi::{self, StyleSpan};
use crate::infra::log_store::record::SHOWN_MAX;
use crate::infra::log_store::{LogLevel, LogPattern, LogRecord};
use crate::view;

/// Maximum number of highlighted matches in a message.
const MOST_MARKS: usize = 100;

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

    /// The message in spans of one color, each highlighted as a whole or not.
    fn spans(&self, marks: Option<&LogPattern>) -> Vec<MarkedSpan> {
        marked(ansi::spans(&self.message), marks)
    }

    /// The module in highlighted parts and others.
    fn module_spans(&self, marks: Option<&LogPattern>) -> Vec<MarkedSpan> {
        let module = StyleSpan {
            class: String::new(),
            text: self.module().to_owned(),
        };
        marked(vec![module], marks)
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

/// A part of a text that is highlighted as a whole, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MarkedSpan {
    /// The classes of its color; empty: that of the page.
    class: String,
    text: String,
    is_match: bool,
}

/// Splits spans where a match begins or ends. A match may extend over several spans.
fn marked(spans: Vec<StyleSpan>, marks: Option<&LogPattern>) -> Vec<MarkedSpan> {
    let found = marks.map_or_else(Vec::new, |marks| {
        let text: String = spans.iter().map(|span| span.text.as_str()).collect();
        marks.matches(&text, MOST_MARKS)
    });
    let (mut parts, mut start) = (Vec::new(), 0);
    let mut found = found.into_iter().peekable();
    for StyleSpan { class, text } in spans {
        let end = start + text.len();
        let mut at = start;
        while at < end {
            while found.next_if(|one| one.end <= at).is_some() {}
            let (until, is_match) = match found.peek() {
                Some(one) if one.start <= at => (one.end.min(end), true),
                Some(one) => (one.start.min(end), false),
                None => (end, false),
            };
            parts.push(MarkedSpan {
                class: class.clone(),
                text: text[at - start..until - start].to_owned(),
                is_match,
            });
            at = until;
        }
        start = end;
    }
    parts
}

/// A record and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ProgramRecord {
    /// Instance and program.
    #[serde(flatten)]
    pub source: LogSource,
    /// The record.
    #[serde(flatten)]
    pub record: LogRecord,
}

/// Part of one log or of several, as JSON and on the page.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LogPart {
    /// The instances of a view of several, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<LogInstance>,
    /// Oldest first.
    pub logs: Vec<ProgramRecord>,
    /// The value of `before` for the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<LogOffset>,
    /// The value of `after` or `Last-Event-ID` for the next records.
    pub last: LogOffset,
    /// There are more records in the requested direction: older ones, with `after` newer ones, with `at`
    /// any.
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
    query: LogQuery,
    #[serde(skip)]
    scope: LogScope,
    /// There is a log of a translator.
    #[serde(skip)]
    has_translator: bool,
    /// This is the newest part, which continues live.
    #[serde(skip)]
    is_newest: bool,
    #[serde(skip)]
    jump: Option<LogJump>,
    /// What is highlighted.
    #[serde(skip)]
    marks: Option<LogPattern>,
}

impl LogPart {
    /// The requested part of the logs of `scope`; no excerpt: the query has errors.
    pub fn new(excerpt: Option<LogExcerpt>, scope: LogScope, query: LogQuery) -> Self {
        let has_logs = excerpt.is_some() && !scope.sources.is_empty();
        let is_newest = query.place == LogPosition::End && has_logs;
        let page = excerpt.unwrap_or_else(|| LogExcerpt::empty(&scope));
        let (is_forward, is_jump) = match query.place {
            LogPosition::End | LogPosition::Before(_) => (false, false),
            LogPosition::After(_) => (true, false),
            LogPosition::At(_) | LogPosition::Line(..) => (true, true),
        };
        let has_older = page.more_before || (!is_forward && !page.scanned_all);
        let record = |(log, record): (usize, LogRecord)| ProgramRecord {
            source: scope.sources[log].clone(),
            record,
        };
        Self {
            instances: if scope.is_named {
                scope.instances.clone()
            } else {
                Vec::new()
            },
            logs: page.records.into_iter().map(record).collect(),
            first: page.first,
            last: page.last,
            more: (is_forward && !page.scanned_all) || (has_older && (!is_forward || is_jump)),
            has_older,
            lost: page.lost,
            dropped_bytes: page.dropped_bytes,
            is_full: page.is_full,
            has_translator: page.has_translator,
            is_newest,
            jump: page.jump,
            marks: query.filter.highlight(),
            query,
            scope,
        }
    }

    /// The error at a field of the form.
    fn error(&self, pointer: &str) -> Option<&str> {
        let errors = &mut self.query.errors.iter();
        let error = errors.find(|error| error.pointer == pointer);
        error.map(|error| error.detail.as_str())
    }

    /// The programs whose logs can be selected, and their labels; empty if there is only one.
    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        if self.has_translator || self.query.selection != LogSelection::Client {
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
        self.query.selection.as_str()
    }

    fn level(&self) -> &'static str {
        self.query.filter.min_level.map_or("", LogLevel::as_str)
    }

    /// The value of the field for a time.
    fn at_field(&self) -> String {
        match self.query.place {
            LogPosition::At(time) => time.local_field(),
            _ => String::new(),
        }
    }

    /// Whether a record is the requested one.
    fn is_target(&self, line: &ProgramRecord) -> bool {
        self.query.place == LogPosition::Line(line.source.program, line.record.seq)
    }

    /// The requested time, if its place is before the record with this number.
    fn time_before(&self, number: &usize) -> Option<String> {
        match (&self.query.place, self.jump) {
            (LogPosition::At(time), Some(jump)) if jump.older == *number => Some(time.local()),
            _ => None,
        }
    }

    /// The requested time, if all records are older.
    fn time_at_end(&self) -> Option<String> {
        self.time_before(&self.logs.len())
    }

    /// What a page shows instead of a time or a line that the logs do not have.
    fn jump_text(&self) -> Option<String> {
        let log = if self.scope.instances.len() > 1 {
            "The logs"
        } else {
            "The log"
        };
        let verb = |verb: &str| match self.scope.instances.len() {
            0 | 1 => format!("{verb}s"),
            _ => verb.to_owned(),
        };
        match self.query.place {
            LogPosition::At(time) => {
                let (first, last) = self.jump?.period?;
                if time < first {
                    Some(format!(
                        "{log} {} at {}, after the requested time. These are the oldest lines.",
                        verb("begin"),
                        first.local()
                    ))
                } else if time > last {
                    Some(format!(
                        "{log} {} at {}, before the requested time. These are the newest lines.",
                        verb("end"),
                        last.local()
                    ))
                } else {
                    None
                }
            }
            LogPosition::Line(..)
                if !self.lost && !self.logs.iter().any(|line| self.is_target(line)) =>
            {
                Some("There is no line at this position. These are the lines around it.".into())
            }
            _ => None,
        }
    }

    /// Whether there are logs in which this is a part.
    fn has_place(&self) -> bool {
        self.query.errors.is_empty() && !self.scope.sources.is_empty()
    }

    /// The size of the deleted part, in words.
    fn dropped_text(&self) -> Option<String> {
        (self.dropped_bytes > 0).then(|| size_text(self.dropped_bytes))
    }

    fn is_filtered(&self) -> bool {
        !self.query.filter.is_everything()
    }

    /// The path of the log, or of the view of several.
    fn path(&self) -> String {
        match self
            .scope
            .instances
            .first()
            .filter(|_| !self.scope.is_named)
        {
            Some(one) => format!("/instances/{}/logs", one.id),
            None => "/logs".into(),
        }
    }

    /// The parameters that select the instances.
    fn instance_pairs(&self) -> Vec<(&'static str, String)> {
        let names = self.query.instances.iter();
        let names = names.map(|name| ("instance", name.clone()));
        names.chain(self.query.instance_filter.pairs()).collect()
    }

    /// A query of these parameters and those of the view: instances, program, filter.
    fn query(&self, first: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(first);
        query.extend_pairs(self.instance_pairs());
        if self.query.selection != LogSelection::Client {
            query.append_pair("program", self.program());
        }
        if let Some(level) = self.query.filter.min_level {
            query.append_pair("level", level.as_str());
        }
        if !self.query.search.is_empty() {
            query.append_pair("q", &self.query.search);
            if self.query.is_regex {
                query.append_pair("regex", "true");
            }
        }
        query.finish()
    }

    /// The address of a part of this view as a page.
    fn address(&self, name: &str, place: impl ToString) -> String {
        let place = place.to_string();
        let mut first = vec![(name, place.as_str())];
        if self.query.is_unwrapped {
            first.push(("wrap", "off"));
        }
        format!("{}?{}", self.path(), self.query(&first))
    }

    /// The address of the same part with long lines wrapped, or not.
    fn wrap_address(&self) -> String {
        let place = match &self.query.place {
            LogPosition::End => None,
            LogPosition::Before(place) => Some(("before", place.to_string())),
            LogPosition::After(place) => Some(("after", place.to_string())),
            LogPosition::At(_) | LogPosition::Line(..) => Some(("at", self.query.at.clone())),
        };
        let wrap = if self.query.is_unwrapped { "on" } else { "off" };
        let count = self.query.count.to_string();
        let mut first = vec![("wrap", wrap)];
        if self.query.has_count {
            first.push(("count", &count));
        }
        first.extend(place.as_ref().map(|(name, place)| (*name, place.as_str())));
        format!("{}?{}", self.path(), self.query(&first))
    }

    /// The address of the stream that continues this part.
    fn stream_address(&self) -> String {
        let last = self.last.to_string();
        format!("{}?{}", self.path(), self.query(&[("after", &last)]))
    }

    /// The parameters of the view besides the instances.
    fn filter_pairs(&self) -> Vec<(String, String)> {
        let query = self.query(&[]);
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        let instances = self.instance_pairs();
        let mut pairs: Vec<_> = pairs.skip(instances.len()).collect();
        if self.query.is_unwrapped {
            pairs.push(("wrap".into(), "off".into()));
        }
        pairs
    }

    /// The address of the newest lines without a filter.
    fn whole_address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.instance_pairs());
        if self.query.selection != LogSelection::Client {
            query.append_pair("program", self.program());
        }
        let query = query.finish();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{}{separator}{query}", self.path())
    }

    /// The address of the whole log as text.
    fn text_address(&self) -> String {
        let path = self.path();
        let path = path.trim_end_matches('s');
        format!("{path}.txt?{}", self.query(&[]))
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

/// An instance that a view of several can show.
#[derive(Clone, Debug)]
pub struct LogChoice {
    /// The id.
    pub id: InstanceId,
    /// The name.
    pub name: String,
    /// The view shows it.
    pub is_selected: bool,
}

/// `/instances/{id}/logs` and `/logs`: part of one log or of several. The JSON contains the log.
#[derive(Debug, JsonSchema, Serialize, Template)]
#[template(path = "logs/show.html", blocks = ["main"])]
#[schemars(rename = "Log")]
pub struct LogPage {
    /// None: the view of several.
    #[serde(skip)]
    pub(super) instance: Option<Instance>,
    /// For the view of several: the instances that it can show.
    #[serde(skip)]
    pub(super) choices: Vec<LogChoice>,
    /// The part of the log.
    #[serde(flatten)]
    pub log: LogPart,
}
view!(LogPage { "main" => as_main });

impl LogPage {
    /// The title of the page, and of the window after the instance.
    fn title(&self) -> String {
        let error = if self.log.query.errors.is_empty() {
            ""
        } else {
            "Error: "
        };
        match &self.instance {
            Some(one) => format!("{error}{} · {} · log", one.state_text(), one.name),
            None => format!("{error}Logs"),
        }
    }

    fn is_in_motion(&self) -> bool {
        self.instance.as_ref().is_some_and(Instance::is_in_motion)
    }

    /// The name of the log, for screen readers.
    fn label(&self) -> String {
        match &self.instance {
            Some(one) => format!("Log for {}, newest lines last", one.name),
            None => "Logs of several instances, newest lines last".into(),
        }
    }

    fn most_instances(&self) -> usize {
        MOST_INSTANCES
    }

    /// Whether the instances are still to be selected.
    fn has_few(&self) -> bool {
        self.log.scope.instances.len() < 2 && self.choices.len() > 1
    }
}

/// Lines to append to a live page.
#[derive(Debug, Template)]
#[template(path = "logs/lines.html")]
pub struct LogLinesFragment<'a> {
    /// Who wrote them.
    pub source: &'a LogSource,
    /// What is highlighted.
    pub marks: Option<&'a LogPattern>,
    /// The records.
    pub records: &'a [&'a LogRecord],
}

/// The notice on a live page about skipped lines of a log.
#[derive(Debug, Template)]
#[template(path = "logs/skipped.html")]
pub struct SkippedFragment<'a> {
    /// Whose log.
    pub source: &'a LogSource,
    /// The notice.
    pub text: String,
}

/// The same for programs.
#[derive(Debug, Serialize)]
pub struct SkippedRecords<'a> {
    /// Whose log.
    #[serde(flatten)]
    pub source: &'a LogSource,
    /// The number of lines.
    pub lines: u64,
    /// Whether the number is exact.
    pub exact: bool,
    /// The sequence number from which the log continues.
    pub until: u64,
}

/// The notice about skipped lines.
pub fn skipped_text(lines: u64, exact: bool) -> String {
    let about = if exact { "" } else { "at least " };
    format!(
        "… {about}{lines} lines skipped because they arrived too fast. Download the log to see them …"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(message: &str, pattern: &str) -> Vec<(String, String, bool)> {
        let record = LogRecord {
            seq: 1,
            timestamp: None,
            level: LogLevel::Info,
            target: None,
            message: message.to_owned(),
            omitted: 0,
        };
        let pattern = LogPattern::new(pattern).unwrap();
        let spans = record.spans(Some(&pattern)).into_iter();
        spans
            .map(|one| (one.class, one.text, one.is_match))
            .collect()
    }

    #[test]
    fn matches_are_marked_across_colors_and_nothing_of_the_text_is_lost() {
        let plain = |text: &str, is_match| (String::new(), text.to_owned(), is_match);
        assert_eq!(spans("none", "x"), [plain("none", false)]);
        assert_eq!(
            spans("abcab", "ab"),
            [plain("ab", true), plain("c", false), plain("ab", true)]
        );
        let colored = spans("red: \x1b[31mno\x1b[0m way", "o w");
        let texts: Vec<_> = colored
            .iter()
            .map(|(_, text, is_match)| (text.as_str(), *is_match))
            .collect();
        assert_eq!(
            texts,
            [
                ("red: ", false),
                ("n", false),
                ("o", true),
                (" w", true),
                ("ay", false)
            ]
        );
        assert_eq!(colored[1].0, colored[2].0);
        assert!(!colored[1].0.is_empty() && colored[3].0.is_empty());
        assert_eq!(spans("é", r"(?-u:\xc3)"), [plain("é", false)]);
        assert_eq!(spans("", "x*"), []);
        let many = spans(&"ab".repeat(1_000), "a");
        let marks = many.iter().filter(|(.., is_match)| *is_match).count();
        let text: String = many.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!((marks, text), (MOST_MARKS, "ab".repeat(1_000)));
    }
}
