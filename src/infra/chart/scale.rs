//! The value axis: its range and its round ticks.
//!
//! Must not know: pixels, SVG.

use crate::infra::chart::{ChartKind, Unit};

/// An axis covers at least this fraction of the largest value, so that noise does not look large.
const NARROWEST: f64 = 0.01;
/// If the smallest value is above this fraction of the largest, the axis does not start at zero.
const ZERO_LEFT_OUT_ABOVE: f64 = 0.6;
/// Steps for durations from a second to a day, in seconds.
const STEPS_OF_TIME: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    10_800.0, 21_600.0, 43_200.0, 86_400.0,
];

/// The value axis.
pub(super) struct ValueAxis {
    /// The start of the axis; a tick.
    pub low: f64,
    /// The end of the axis; a tick above `low`.
    pub high: f64,
    /// Round values from `low` to `high` with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl ValueAxis {
    /// The axis for values from `low` to `high` with about `wanted` ticks.
    pub(super) fn new(
        unit: Unit,
        kind: ChartKind,
        (mut low, mut high): (f64, f64),
        wanted: usize,
    ) -> Self {
        // Counts have no fractional ticks, and there is nothing below a byte.
        let whole =
            unit == Unit::Bytes || unit == Unit::Count && low.fract() == 0.0 && high.fract() == 0.0;
        let keeps_zero = kind == ChartKind::Area || unit == Unit::Percent;
        if keeps_zero || low > 0.0 && low < ZERO_LEFT_OUT_ABOVE * high {
            low = low.min(0.0);
        }
        if keeps_zero || high < 0.0 && high > ZERO_LEFT_OUT_ABOVE * low {
            high = high.max(0.0);
        }
        let narrowest = NARROWEST * low.abs().max(high.abs());
        if low == 0.0 && high == 0.0 {
            high = 1.0;
        } else if high - low < narrowest {
            let middle = low + (high - low) / 2.0;
            (low, high) = (middle - narrowest / 2.0, middle + narrowest / 2.0);
        }
        let raw = (high - low) / wanted.max(1) as f64;
        let step = round_step(unit, if whole { raw.max(1.0) } else { raw });
        // A tiny rounding error must not add a whole step.
        let first = (low / step + 1e-6).floor();
        let last = (high / step - 1e-6).ceil().max(first + 1.0);
        let ticks: Vec<f64> = (0..=(last - first) as usize)
            .map(|n| (first + n as f64) * step + 0.0)
            .collect();
        let labels = unit.axis(&ticks, step);
        Self {
            low: first * step,
            high: last * step,
            ticks: ticks.into_iter().zip(labels).collect(),
        }
    }
}

/// The smallest round step of at least `raw`.
fn round_step(unit: Unit, raw: f64) -> f64 {
    match unit {
        Unit::Bytes => {
            let scale = 1024f64.powf(raw.log(1024.0).floor().clamp(0.0, 6.0));
            let step = one_two_five(raw / scale);
            // From 500 KiB the next round step is 1 MiB, not 1000 KiB.
            if step == 1000.0 {
                1024.0 * scale
            } else {
                step * scale
            }
        }
        Unit::Seconds if raw > 0.5 => {
            let day = 86_400.0;
            STEPS_OF_TIME
                .into_iter()
                .find(|&step| step >= raw)
                .unwrap_or_else(|| one_two_five(raw / day) * day)
        }
        _ => one_two_five(raw),
    }
}

/// The smallest of 1, 2, 5 × 10ⁿ of at least `raw`.
fn one_two_five(raw: f64) -> f64 {
    let ten = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .find(|step| step * ten >= raw * (1.0 - 1e-9))
        .unwrap_or(10.0)
        * ten
}
