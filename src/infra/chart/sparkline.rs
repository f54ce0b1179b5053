//! Sparklines: tiny charts in table rows with one line and no axes, in the color of the text.
//!
//! Must not know: units, local time.

use crate::infra::chart::path::PathData;
use crate::infra::chart::{drawable, stretches};

/// The resolution in fractions of a pixel; more would only make the path longer.
const FINENESS: f64 = 2.0;
/// The margin for half the line width.
const RIM: f64 = 1.0;

/// A tiny SVG with class `spark` for points (milliseconds since 1970 UTC, value) between `from` and
/// `to`. More than 1.5 `step` (milliseconds) between two points is a gap. It is stretched to its box;
/// `width` and `height` are the expected size in CSS pixels. Screen readers ignore it: the page must
/// show the value next to it.
pub fn sparkline(
    points: &[(i64, f64)],
    from: i64,
    to: i64,
    step: i64,
    width: u32,
    height: u32,
) -> String {
    let points = drawable(points, from, to);
    let [width, height] = [width, height].map(|size| f64::from(size.clamp(8, 2000)) * FINENESS);
    let values = points.iter().map(|point| point.1);
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let span = values.fold(f64::NEG_INFINITY, f64::max) - low;
    let rim = RIM * FINENESS;
    let along = |at: i64| {
        if to == from {
            0.5
        } else {
            (at as f64 - from as f64) / (to as f64 - from as f64)
        }
    };
    // A constant line is drawn in the middle.
    let up = |value: f64| {
        if span > 0.0 {
            (value - low) / span
        } else {
            0.5
        }
    };
    let place = |&(at, value): &(i64, f64)| {
        let x = rim + along(at) * (width - 2.0 * rim);
        let y = height - rim - up(value) * (height - 2.0 * rim);
        (x.round() as i32, y.round() as i32)
    };
    let mut path = PathData::default();
    for stretch in stretches(&points, step) {
        path.line(&stretch.iter().map(place).collect::<Vec<_>>());
    }
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path fill=\"none\" stroke=\"currentColor\" stroke-linecap=\"round\" vector-effect=\"non-scaling-stroke\" d=\"{}\"/></svg>",
        path.into_text()
    )
}
