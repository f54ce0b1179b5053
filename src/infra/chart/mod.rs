//! Line and area charts over time as SVG, drawn on the server.
//!
//! A [`Chart`] is data; [`Chart::inline`] creates an element of a page, [`Chart::standalone`] an image
//! file. The drawing is fluid: lines are stretched to the available width, text is not, so the same
//! SVG fits a phone and a wide screen. Therefore the `viewBox` is on an inner `<svg>`, and text is
//! placed in percent. The element has the height of the chart; a page must not set `height: auto` on
//! it. All colors come from CSS classes.
//!
//! * `scale`: ticks of the value axis. `time`: ticks of the time axis in local time.
//! * `draw`: draws the lines with plotters. `backend`: converts shapes to paths with classes. `path`:
//!   short path data.
//! * `labels`: all texts. [`theme`]: the CSS. `sparkline`: tiny charts without axes.
//!
//! Units and the formatting of values are in `base`.
//!
//! Must not know: any domain, HTTP, the database.

mod backend;
mod draw;
mod labels;
mod path;
mod scale;
pub mod sparkline;
pub mod theme;
mod time;

#[cfg(test)]
mod tests;

pub use crate::base::quantity::{read_value, typed_value};
pub use crate::base::units::{Unit, format_value};
use jiff::tz::TimeZone;
pub use sparkline::sparkline;
pub use theme::{PAGE_RULES, STYLE};

/// The number of distinguishable lines. More lines repeat the styles.
pub const DISTINCT_LINES: usize = 8;

/// How lines are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// Lines only; the value axis need not start at zero, but always covers at least 1% of the
    /// largest value.
    Line,
    /// Lines with a tinted area down to zero. Areas overlap; they are not stacked.
    Area,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct ChartLine {
    /// The name in the legend, which is shown if there is more than one line.
    pub label: String,
    /// Times (milliseconds since 1970 UTC) and values (in the unit of the chart). Values that are not
    /// finite are omitted.
    pub points: Vec<(i64, f64)>,
}

/// A vertical dashed line that marks an event, with its name above the plot.
#[derive(Clone, Debug)]
pub struct ChartMark {
    /// The time in milliseconds since 1970 UTC. Marks outside the range are omitted.
    pub at: i64,
    /// The name of the event, such as `restart`; on hover with the local time.
    pub label: String,
}

/// The data of a chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The title, for screen readers and on hover.
    pub title: String,
    /// The description for screen readers.
    pub description: String,
    /// The unit of the values.
    pub unit: Unit,
    /// Lines or areas.
    pub kind: ChartKind,
    /// Start of the range, in milliseconds since 1970 UTC.
    pub from: i64,
    /// End of the range, in milliseconds since 1970 UTC.
    pub to: i64,
    /// Expected interval between two points, in milliseconds. More than 1.5 times the interval is a
    /// gap. Zero or negative: no gaps.
    pub step: i64,
    /// The lines. Points need not be in order.
    pub lines: Vec<ChartLine>,
    /// The marks.
    pub marks: Vec<ChartMark>,
    /// The time zone of the time axis.
    pub zone: TimeZone,
    /// Expected display width in CSS pixels; determines the number of labels. At least 160.
    pub width: u32,
    /// Height in CSS pixels. A file is at least 80 high, or more with a legend; on a page, the plot is
    /// at least 160 high.
    pub height: u32,
}

/// The placement of the SVG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SvgPlacement {
    /// In a page that styles it.
    Inline,
    /// In a separate file.
    Standalone,
}

impl Chart {
    /// The chart as an element of a page with [`PAGE_RULES`] in its style sheet. `id` makes element
    /// ids unique in the page; only ASCII letters, digits, `-` and `_` are used.
    pub fn inline(&self, id: &str) -> String {
        draw::svg(self, id, SvgPlacement::Inline)
    }

    /// The chart as an SVG file for `<img>`, including [`STYLE`]. It fills its box in the page.
    pub fn standalone(&self, id: &str) -> String {
        draw::svg(self, id, SvgPlacement::Standalone)
    }
}

/// The valid points: within the range, finite, in order of time.
fn drawable(points: &[(i64, f64)], from: i64, to: i64) -> Vec<(i64, f64)> {
    let inside = points.iter().filter(|(at, _)| (from..=to).contains(at));
    let mut kept: Vec<_> = inside
        .filter_map(|&(at, value)| Some((at, crate::base::units::clean(value)?)))
        .collect();
    if !kept.is_sorted_by_key(|point| point.0) {
        kept.sort_by_key(|point| point.0);
    }
    kept
}

/// Splits ordered points at gaps of more than 1.5 steps.
fn stretches(points: &[(i64, f64)], step: i64) -> impl Iterator<Item = &[(i64, f64)]> {
    points.chunk_by(move |a, b| {
        step <= 0 || i128::from(b.0) * 2 - i128::from(a.0) * 2 <= i128::from(step) * 3
    })
}
