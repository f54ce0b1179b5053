//! Reads the query parameters of metrics: time range, interval and limit. Reports every invalid
//! parameter.

use super::chart_options::{ChartOptions, INTERVALS, RANGES, RejectedRange};
use super::chart_time::ChartTime;
use super::queries::Resolution;
use super::range::MOST_POINTS;
use super::service::SeriesQuery;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::web::QueryParams;

/// The format of a time.
pub const MOMENT: &str = "a time such as 2026-11-22T14:00:00Z";
/// The format of the start or the end of a chart.
const CHART_TIME: &str = "a time such as 2026-11-22T14:00:00Z or 2026-11-22 14:00";

/// A time range, for pages and for the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricQuery {
    /// For pages.
    pub choice: ChartOptions,
    /// For the service.
    pub stretch: SeriesQuery,
    /// The maximum number of points, newest first; `None` for all.
    pub limit: Option<usize>,
    /// Neither start and end nor a range were given: the newest data.
    pub is_open: bool,
}

impl MetricQuery {
    /// Like [`read`](Self::read), for a page with a form: start and end that are not a time range stay
    /// in the form, and the page shows the default range.
    ///
    /// # Errors
    /// Lists every invalid parameter if it is not only start and end.
    pub fn read_form(params: QueryParams, now: Timestamp, otherwise: &str) -> Result<Self> {
        // A field for date and time shows only its own format.
        let text = |name: &str, time: fn(ChartTime) -> Timestamp| {
            let text = params.text(name).unwrap_or_default();
            let found = text.parse().map(|found| time(found).local_field());
            found.unwrap_or_else(|_| text.to_owned())
        };
        let texts = [text("from", ChartTime::start), text("to", ChartTime::end)];
        let rest = params.clone().without(&["from", "to"]);
        let is_of_range = |error: &FieldError| matches!(error.pointer.as_str(), "/from" | "/to");
        match Self::read(params, now, otherwise) {
            Err(Error::Invalid(errors)) if errors.iter().all(is_of_range) => {
                let mut asked = Self::read(rest, now, otherwise)?;
                asked.choice.rejected = Some(RejectedRange { texts, errors });
                Ok(asked)
            }
            asked => asked,
        }
    }

    /// Reads `range` or `from` and `to`, `interval` and `limit`. The default range is `otherwise`,
    /// one of `RANGES`.
    ///
    /// # Errors
    /// Lists every invalid parameter.
    pub fn read(mut params: QueryParams, now: Timestamp, otherwise: &str) -> Result<Self> {
        let from = params.get("from", CHART_TIME).map(ChartTime::start);
        let to = params.get("to", CHART_TIME).map(ChartTime::end);
        let limit = params
            .text("limit")
            .is_some()
            .then(|| params.number("limit"));
        let range = params.text("range").map(str::to_owned);
        let interval = params.text("interval").map(str::to_owned);
        let mut wrong = match params.finish() {
            Err(Error::Invalid(wrong)) => wrong,
            _ => Vec::new(),
        };
        let is_open = from.is_none() && to.is_none() && range.is_none();
        let wanted = range.as_deref().unwrap_or(otherwise);
        let named = RANGES.iter().find(|(name, ..)| *name == wanted);
        if named.is_none() {
            let names: Vec<&str> = RANGES.iter().map(|(name, ..)| *name).collect();
            wrong.push(FieldError::new(
                "/range",
                format!("range must be one of {}.", names.join(", ")),
            ));
        }
        let interval = interval.as_deref().unwrap_or_default();
        let named_interval = INTERVALS.iter().find(|(name, _)| *name == interval);
        if named_interval.is_none() {
            wrong.push(FieldError::new(
                "/interval",
                "interval must be minute, hour or day.",
            ));
        }
        let (_, _, length) = named.unwrap_or(&RANGES[0]);
        let end = to.unwrap_or(now);
        let begin = from.unwrap_or(Timestamp(end.0.saturating_sub(length * 1000)));
        if begin > end {
            wrong.push(FieldError::new(
                "/from",
                "from must not be later than the end.",
            ));
        }
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let level = match interval {
            "minute" => Some(Resolution::Minute),
            "hour" => Some(Resolution::Hour),
            "day" => Some(Resolution::Day),
            _ => None,
        };
        let is_named = from.is_none() && to.is_none();
        let choice = ChartOptions {
            range: if is_named {
                named.map_or("", |(name, ..)| *name)
            } else {
                ""
            },
            interval: named_interval.map_or("", |(name, _)| *name),
            from: begin,
            to: end,
            born: Timestamp::default(),
            rejected: None,
        };
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Self {
            choice,
            stretch: SeriesQuery {
                from: begin,
                to: end,
                level,
                most_points: MOST_POINTS,
            },
            limit,
            is_open,
        })
    }
}
