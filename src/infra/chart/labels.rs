//! Every text of a chart, and the room it needs. Texts are placed in percent, so they stay as large
//! as they are when the chart is stretched.
//!
//! Must not know: values, times; it is given finished labels.

use crate::infra::chart::theme::DASHES;
use crate::infra::chart::{Chart, ChartLine, DISTINCT_LINES};
use std::fmt::Write;

/// Width of a character in the mean, in pixels at 12 pixels of height. No font is asked: which one
/// it is, is the reader's. This is for a wide one.
const CHARACTER: f64 = 7.2;
/// Room for a label of the time with some space beside it.
const TIME_LABEL: f64 = 58.0;
/// As many labels of the time as there is room for on a phone after every other is left out.
const MOST_TIMES: f64 = 9.0;
/// Least distance of two labels of values.
const VALUE_LABEL: f64 = 36.0;
const LEGEND_ROW: f64 = 19.0;
/// Width of the piece of line in the legend, with the space after it.
const SAMPLE: f64 = 28.0;
/// A chart may be shown as narrow as this; the legend has to fit.
const NARROW: f64 = 290.0;
/// From this width on every other time is left out where the chart is shown narrow.
const WIDE: f64 = 500.0;

/// Where things are, in pixels at the width that the chart is made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlotFrame {
    pub width: f64,
    pub height: f64,
    /// The edges of the plotted area.
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl PlotFrame {
    /// The frame for a chart, before the labels of its values are known.
    pub(super) fn new(chart: &Chart) -> Self {
        let width = f64::from(chart.width.clamp(160, 10_000));
        let rows = chart.lines.len().div_ceil(columns(&chart.lines, width));
        let legend = if chart.lines.len() > 1 {
            rows as f64 * LEGEND_ROW
        } else {
            0.0
        };
        let height = f64::from(chart.height.clamp(80, 10_000)).max(legend + 80.0);
        Self {
            width,
            height,
            left: 4.0,
            right: width - 4.0,
            top: legend + 18.0,
            bottom: height - 21.0,
        }
    }

    /// Moves the left edge so that the labels of the values fit beside it.
    pub(super) fn make_room<'a>(&mut self, labels: impl Iterator<Item = &'a str>) {
        let longest = labels.map(|label| label.chars().count()).max().unwrap_or(0) as f64;
        self.left = (longest * CHARACTER + 6.0).clamp(4.0, self.width / 3.0);
    }

    /// How many ticks of values there is room for.
    pub(super) fn value_ticks(&self) -> usize {
        ((self.bottom - self.top) / VALUE_LABEL).clamp(1.0, 8.0) as usize
    }

    /// How many ticks of the time there is room for.
    pub(super) fn time_ticks(&self) -> usize {
        ((self.right - self.left) / TIME_LABEL).clamp(2.0, MOST_TIMES) as usize
    }

    fn across(&self, x: f64) -> String {
        percent(x / self.width)
    }

    fn down(&self, y: f64) -> String {
        percent(y / self.height)
    }

    /// The labels of the values, each upon its line; given how far up (0 to 1) they are.
    pub(super) fn write_values<'a>(
        &self,
        out: &mut String,
        labels: impl Iterator<Item = (f64, &'a str)>,
    ) {
        for (part, label) in labels {
            let y = self.bottom - part * (self.bottom - self.top) - 4.0;
            let _ = write!(out, "<text y=\"{}\">{label}</text>", self.down(y));
        }
    }

    /// The labels of the times below their ticks; given how far right (0 to 1) they are.
    pub(super) fn write_times(&self, out: &mut String, labels: &[(f64, &str)]) {
        // Of the two halves the one with more dates stays where it is narrow: a date says more than
        // a time of day.
        let dates = |odd: usize| {
            labels
                .iter()
                .skip(odd)
                .step_by(2)
                .filter(|label| !label.1.contains(':'))
                .count()
        };
        let left_out = if dates(1) > dates(0) { 0 } else { 1 };
        let _ = write!(out, "<g text-anchor=\"middle\">");
        let y = self.down(self.height - 5.0);
        for (index, &(part, label)) in labels.iter().enumerate() {
            let x = self.left + part * (self.right - self.left);
            // Half the label must fit on both sides, also when the chart is shown narrow.
            let half = label.chars().count() as f64 * CHARACTER / 2.0;
            let shown = self.width.min(NARROW);
            let anchor = match x / self.width * shown {
                room if room < half => " text-anchor=\"start\"",
                room if shown - room < half => " text-anchor=\"end\"",
                _ => "",
            };
            let class = if index % 2 == left_out && self.width > WIDE {
                " class=\"m\""
            } else {
                ""
            };
            let _ = write!(
                out,
                "<text{class}{anchor} x=\"{}\" y=\"{y}\">{label}</text>",
                self.across(x)
            );
        }
        out.push_str("</g>");
    }

    /// What is said in place of lines.
    pub(super) fn write_no_data(&self, out: &mut String) {
        let y = self.down((self.top + self.bottom) / 2.0);
        let _ = write!(
            out,
            "<text text-anchor=\"middle\" x=\"50%\" y=\"{y}\">No data in this range</text>"
        );
    }

    /// A piece of each line with its name, if there is more than one.
    pub(super) fn write_legend(&self, out: &mut String, lines: &[ChartLine]) {
        if lines.len() < 2 {
            return;
        }
        let columns = columns(lines, self.width);
        let characters = |width: f64| ((width / columns as f64 - SAMPLE) / CHARACTER) as usize;
        let (room, narrow_room) = (characters(self.width), characters(self.width.min(NARROW)));
        for (index, line) in lines.iter().enumerate() {
            let look = index % DISTINCT_LINES;
            let dashes = if look > 0 {
                format!(" stroke-dasharray=\"{}\"", DASHES[look])
            } else {
                String::new()
            };
            let x = percent((index % columns) as f64 / columns as f64);
            let y = self.down((index / columns) as f64 * LEGEND_ROW);
            let size = (percent(1.0 / columns as f64), self.down(LEGEND_ROW));
            // An SVG of its own, because it is clipped: names may not run into one another.
            let _ = write!(
                out,
                "<svg x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\"><title>",
                size.0, size.1
            );
            escape(out, &line.label);
            let _ = write!(
                out,
                "</title><path class=\"s{look}\"{dashes} d=\"M0 8h22\"/><text x=\"{SAMPLE}\" y=\"12\">"
            );
            write_name(out, &line.label, room, narrow_room);
            out.push_str("</text></svg>");
        }
    }
}

/// A name of at most `room` characters, of which `narrow_room` are shown where the chart is narrow.
fn write_name(out: &mut String, name: &str, room: usize, narrow_room: usize) {
    let length = name.chars().count();
    let kept = if length > room {
        room.saturating_sub(1)
    } else {
        length
    };
    let kept_narrow = if length > narrow_room {
        narrow_room.saturating_sub(1)
    } else {
        length
    };
    let part = |from: usize, to: usize| name.chars().take(to).skip(from).collect::<String>();
    escape(out, &part(0, kept_narrow));
    if kept_narrow < kept {
        out.push_str("<tspan class=\"m\">");
        escape(out, &part(kept_narrow, kept));
        out.push_str("</tspan>");
    }
    match (kept < length, kept_narrow < length) {
        (true, _) => out.push('…'),
        (false, true) => out.push_str("<tspan class=\"n\">…</tspan>"),
        (false, false) => {}
    }
}

/// How many columns the legend has: as many as leave room for its longest name where the chart is
/// narrow, but at least two.
fn columns(lines: &[ChartLine], width: f64) -> usize {
    let longest = lines
        .iter()
        .map(|line| line.label.chars().count())
        .max()
        .unwrap_or(0) as f64;
    let needed = longest * CHARACTER + SAMPLE;
    ((width.min(NARROW) / needed) as usize).clamp(2, 4)
}

/// A part of one in percent, with at most one decimal.
fn percent(part: f64) -> String {
    let tenths = (part * 1000.0).round() as i64;
    if tenths % 10 == 0 {
        format!("{}%", tenths / 10)
    } else {
        format!("{}.{}%", tenths / 10, (tenths % 10).abs())
    }
}

/// Adds text so that XML reads it as it is; characters that XML has no way to say become `�`.
pub(super) fn escape(out: &mut String, text: &str) {
    for character in crate::base::visible::in_log(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\u{fffe}' | '\u{ffff}' => out.push('�'),
            _ if character.is_control() && !matches!(character, '\t' | '\n') => out.push('�'),
            _ => out.push(character),
        }
    }
}
