//! The tiny chart beside a row of a table: one line, no axes, in the colour of the text around it.
//!
//! Must not know: units, local time.

use crate::infra::chart::path::PathData;
use crate::infra::chart::{drawable, stretches};

/// Parts of a pixel that are told apart; finer would only be longer.
const FINENESS: f64 = 2.0;
/// Room for half the width of the line.
const RIM: f64 = 1.0;

/// A tiny SVG of class `spark` for points (milliseconds since 1970 UTC, value) between `from` and
/// `to`. Where more than 1.5 `step` (milliseconds) lie between two points is a gap. It is stretched
/// to the size it is given; `width` and `height` are what it is likely to be, in CSS pixels.
/// Programs that read pages aloud pass over it: the value must stand beside it.
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
    // A line that does not move is drawn half-way up.
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
