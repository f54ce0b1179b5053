//! The parameters of a request for logs.

use super::offset::{LogOffset, LogSelection};
use super::service::LogPosition;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::domain::instances::{InstanceFilter, ProgramName};
use crate::infra::log_store::{LogFilter, LogPattern};
use crate::web::QueryParams;

/// The requested part of logs, and how a page shows it.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Which program's log.
    pub selection: LogSelection,
    /// Names or ids of instances; empty: all.
    pub instances: Vec<String>,
    /// Which of these instances.
    pub instance_filter: InstanceFilter,
    /// The part.
    pub place: LogPosition,
    /// Which records.
    pub filter: LogFilter,
    /// Maximum number of records.
    pub count: usize,
    /// `count` was given.
    pub has_count: bool,
    /// The text to search for as it was entered.
    pub search: String,
    /// It is a regular expression.
    pub is_regex: bool,
    /// The time or line as it was entered.
    pub at: String,
    /// Pages do not wrap long lines.
    pub is_unwrapped: bool,
    /// Errors that a page shows at its fields.
    pub errors: Vec<FieldError>,
}

impl LogQuery {
    /// Reads the parameters of the log of one instance, or of `several`.
    ///
    /// # Errors
    /// Lists all errors if a page has no field for one of them.
    pub fn read(mut params: QueryParams, several: bool) -> Result<Self> {
        let (mut errors, mut fields) = (Vec::new(), Vec::new());
        let text = |name| params.text(name).unwrap_or_default().to_owned();
        let (search, at, wrap) = (text("q"), text("at"), text("wrap"));
        let has_count = !text("count").is_empty();
        let jump = read_jump(&at, several, &mut fields);
        let selection = read_selection(&text("program"), jump.as_ref());
        let selection = selection.unwrap_or_else(|error| {
            errors.push(error);
            LogSelection::default()
        });
        let count = params.number("count");
        let expected = selection.expected_place(several);
        let before = params.get::<LogOffset>("before", expected);
        let after = params.get::<LogOffset>("after", expected);
        let min_level = params.get("level", "trace, debug, info, warn or error");
        let is_regex = params.get("regex", "true or false").unwrap_or(false);
        let (instances, instance_filter) = match several {
            true => read_instances(&mut params),
            false => (Vec::new(), InstanceFilter::default()),
        };
        if let Err(Error::Invalid(wrong)) = params.finish() {
            errors.extend(wrong);
        }
        if !matches!(wrap.as_str(), "" | "on" | "off") {
            errors.push(FieldError::new("/wrap", "wrap must be on or off."));
        }
        for (name, offset) in [("before", &before), ("after", &after)] {
            if offset
                .as_ref()
                .is_some_and(|offset| !selection.has(offset, several))
            {
                let detail = format!("{name} must be {expected}.");
                errors.push(FieldError::new(format!("/{name}"), detail));
            }
        }
        let place = one_place(before, after, jump).unwrap_or_else(|error| {
            errors.push(error);
            LogPosition::End
        });
        let mut filter = LogFilter {
            min_level,
            ..LogFilter::default()
        };
        if is_regex && !search.is_empty() {
            match LogPattern::new(&search) {
                Ok(pattern) => filter.pattern = Some(pattern),
                Err(detail) => fields.push(FieldError::new("/q", detail)),
            }
        } else {
            filter.text = Some(search.clone()).filter(|text| !text.is_empty());
        }
        if !errors.is_empty() {
            errors.extend(fields);
            return Err(Error::Invalid(errors));
        }
        Ok(Self {
            selection,
            instances,
            instance_filter,
            place,
            filter,
            count: usize::try_from(count).unwrap_or(100),
            has_count,
            search,
            is_regex,
            at,
            is_unwrapped: wrap == "off",
            errors: fields,
        })
    }
}

impl LogQuery {
    /// Whether it selects all instances.
    pub fn selects_all(&self) -> bool {
        self.instances.is_empty() && self.instance_filter.is_empty()
    }
}

/// The requested program. A line is in the log of its program.
fn read_selection(text: &str, jump: Option<&LogPosition>) -> Result<LogSelection, FieldError> {
    let program = match jump {
        Some(LogPosition::Line(program, _)) => Some(*program),
        _ => None,
    };
    if text.is_empty() {
        return Ok(program.map_or(LogSelection::default(), LogSelection::of));
    }
    let selection: LogSelection = text.parse().map_err(|_| {
        let shown: String = text.chars().take(50).collect();
        let detail =
            format!("\"{shown}\" is not a program. program must be client, translator or all.");
        FieldError::new("/program", detail)
    })?;
    match program.filter(|program| !selection.programs().contains(program)) {
        Some(program) => {
            let detail = format!("This line is in the log of the {}.", program.as_str());
            Err(FieldError::new("/program", detail))
        }
        None => Ok(selection),
    }
}

/// The instances of a view of several.
fn read_instances(params: &mut QueryParams) -> (Vec<String>, InstanceFilter) {
    // Here, `q` is a text in the log.
    let pairs = params.pairs().iter().filter(|(name, _)| name != "q");
    let pairs: Vec<_> = pairs.cloned().collect();
    let (filter, refused) = InstanceFilter::read(&pairs);
    params.refuse_all(refused);
    let names = pairs.into_iter().filter(|(name, _)| name == "instance");
    let names = names.map(|(_, value)| value.trim().to_owned());
    (names.filter(|name| !name.is_empty()).collect(), filter)
}

/// The place of `at`: a time, or a line of one instance's log, `PROGRAM-SEQ`.
fn read_jump(at: &str, several: bool, errors: &mut Vec<FieldError>) -> Option<LogPosition> {
    if at.is_empty() {
        return None;
    }
    let line = || {
        let (program, seq) = at.split_once('-')?;
        let program: ProgramName = program.parse().ok()?;
        Some(LogPosition::Line(program, seq.parse().ok()?))
    };
    let place = Timestamp::parse_local(at).map(LogPosition::At);
    let place = place.or_else(|| line().filter(|_| !several));
    if place.is_none() {
        let detail = "at must be a time such as 2026-11-22T14:02 or 2026-11-22T14:02:00Z.";
        errors.push(FieldError::new("/at", detail));
    }
    place
}

/// At most one place can be requested.
fn one_place(
    before: Option<LogOffset>,
    after: Option<LogOffset>,
    jump: Option<LogPosition>,
) -> Result<LogPosition, FieldError> {
    let before = before.map(LogPosition::Before);
    let after = after.map(LogPosition::After);
    match (before, after, jump) {
        (Some(_), Some(_), _) => Err(FieldError::new(
            "/before",
            "Use either before or after, not both.",
        )),
        (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => Err(FieldError::new(
            "/at",
            "Use only one of at, before and after.",
        )),
        (before, after, jump) => Ok(before.or(after).or(jump).unwrap_or(LogPosition::End)),
    }
}
