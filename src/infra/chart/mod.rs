//! Line and area charts over time as SVG, drawn on the server, and how a measured value is said.
//!
//! A [`Chart`] is data; [`Chart::inline`] makes it part of a page, [`Chart::standalone`] makes it
//! an image of its own. The drawing is fluid: lines are stretched to the width there is, text never
//! is, so one SVG serves a phone and a wide screen. That is why the `viewBox` is on an inner
//! `<svg>` and text is placed in percent. The element's height is the chart's; a page must not set
//! `height: auto` on it. All colours come from CSS classes.
//!
//! * `scale`: ticks of the values. `time`: ticks of the local time.
//! * `draw`: plotters draws the lines. `backend`: its shapes to classed paths. `path`: short path
//!   data.
//! * `labels`: every text around the lines. [`theme`]: the CSS. `sparkline`: the tiny one without
//!   axes.
//!
//! Units and the text of values are in `base`.
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

/// How many lines can be told apart. More are drawn, but their looks repeat.
pub const DISTINCT_LINES: usize = 8;

/// How lines are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// Lines only; the value axis may leave zero out, but never shows less than 1 % of the largest
    /// value.
    Line,
    /// Lines with the area down to zero tinted. Areas overlap, they are not stacked.
    Area,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct ChartLine {
    /// Its name in the legend, which is shown when there is more than one line.
    pub label: String,
    /// Moments (milliseconds since 1970 UTC) and values (in the chart's unit). Values that are not
    /// finite are left out.
    pub points: Vec<(i64, f64)>,
}

/// A moment worth a vertical dashed line.
#[derive(Clone, Debug)]
pub struct ChartMark {
    /// When, in milliseconds since 1970 UTC. Marks outside the chart's range are left out.
    pub at: i64,
    /// What happened then, such as `restart`; shown with the local time on hover.
    pub label: String,
}

/// Everything that is needed to draw a chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Its name, for those who do not see it and on hover.
    pub title: String,
    /// What it shows, in a sentence, for those who do not see it.
    pub description: String,
    /// What the values are measured in.
    pub unit: Unit,
    /// Lines or areas.
    pub kind: ChartKind,
    /// First moment shown, in milliseconds since 1970 UTC.
    pub from: i64,
    /// Last moment shown, in milliseconds since 1970 UTC.
    pub to: i64,
    /// Expected distance of two points, in milliseconds. More than 1.5 of it is a gap. Not
    /// positive: there are no gaps.
    pub step: i64,
    /// What is drawn. Points need not be in order.
    pub lines: Vec<ChartLine>,
    /// Moments worth a vertical line.
    pub marks: Vec<ChartMark>,
    /// The zone whose local time the time axis tells.
    pub zone: TimeZone,
    /// Width it is most likely shown at, in CSS pixels; decides how many labels there are. At least
    /// 160.
    pub width: u32,
    /// Height in CSS pixels; at least 80, and more with a legend.
    pub height: u32,
}

impl Chart {
    /// The chart as an element of a page that has [`PAGE_RULES`] in its style sheet. `id` makes ids
    /// unique within that page; only its ASCII letters, digits, `-` and `_` are used.
    pub fn inline(&self, id: &str) -> String {
        draw::svg(self, id, draw::SvgPlacement::Inline)
    }

    /// The chart as an SVG file for `<img>`, with [`STYLE`] in it. It fills the box that the page
    /// gives it.
    pub fn standalone(&self, id: &str) -> String {
        draw::svg(self, id, draw::SvgPlacement::Standalone)
    }
}

/// The points that can be drawn: within the range, finite, in order of time.
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

/// Cuts points in order of time where more than 1.5 steps lie between two.
fn stretches(points: &[(i64, f64)], step: i64) -> impl Iterator<Item = &[(i64, f64)]> {
    points.chunk_by(move |a, b| {
        step <= 0 || i128::from(b.0) * 2 - i128::from(a.0) * 2 <= i128::from(step) * 3
    })
}
