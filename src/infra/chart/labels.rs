//! The texts of a chart and the space they need. Texts are placed in percent, so their size does not
//! change when the chart is stretched.
//!
//! Must not know: values, times. Labels are passed as text.

use crate::infra::chart::theme::DASHES;
use crate::infra::chart::{Chart, ChartLine, DISTINCT_LINES, SvgPlacement};
use std::fmt::Write;

/// Average width of a character, in pixels at a height of 12 pixels. The font depends on the browser;
/// this value fits a wide font.
const CHARACTER: f64 = 7.2;
/// Space for a label of the time axis with some margin.
const TIME_LABEL: f64 = 58.0;
/// The number of labels of the time axis that fit on a phone after every second one is omitted.
const MOST_TIMES: f64 = 9.0;
/// Minimum distance between two value labels.
const VALUE_LABEL: f64 = 36.0;
const LEGEND_ROW: f64 = 19.0;
/// Space above the plot for the labels of marks and the topmost value, and below it for the times.
const ABOVE: f64 = 18.0;
const BELOW: f64 = 21.0;
/// The minimum height of the plot on a page.
const LOWEST_PLOT: f64 = 160.0;
/// Width of the line sample in the legend, including the space after it.
const SAMPLE: f64 = 28.0;
/// The minimum width of a chart; the legend must fit.
const NARROW: f64 = 290.0;
/// From this width on, every second time label is omitted if the chart is displayed narrow.
const WIDE: f64 = 500.0;

/// The layout, in pixels at the nominal width of the chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlotFrame {
    pub width: f64,
    pub height: f64,
    /// The edges of the plotted area.
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// The width of the longest value label. It stays in a narrow chart, so the label ends in the plot.
    pub label: f64,
}

impl PlotFrame {
    /// The frame of a chart, before its value labels are known.
    pub(super) fn new(chart: &Chart, placement: SvgPlacement) -> Self {
        let width = f64::from(chart.width.clamp(160, 10_000));
        let rows = chart.lines.len().div_ceil(columns(&chart.lines, width));
        let legend = if chart.lines.len() > 1 {
            rows as f64 * LEGEND_ROW
        } else {
            0.0
        };
        // A file has the requested size as far as possible; a page makes room for the plot.
        let lowest = match placement {
            SvgPlacement::Inline => ABOVE + LOWEST_PLOT + BELOW,
            SvgPlacement::Standalone => 80.0,
        };
        let height = f64::from(chart.height.clamp(80, 10_000)).max(legend + lowest);
        Self {
            width,
            height,
            left: 4.0,
            right: width - 4.0,
            top: legend + ABOVE,
            bottom: height - BELOW,
            label: 0.0,
        }
    }

    /// Moves the left edge so that the value labels fit.
    pub(super) fn make_room<'a>(&mut self, labels: impl Iterator<Item = &'a str>) {
        let longest = labels.map(|label| label.chars().count()).max().unwrap_or(0) as f64;
        self.label = longest * CHARACTER + 6.0;
        self.left = self.label.clamp(4.0, self.width / 3.0);
    }

    /// The number of value ticks that fit.
    pub(super) fn value_ticks(&self) -> usize {
        ((self.bottom - self.top) / VALUE_LABEL).clamp(1.0, 8.0) as usize
    }

    /// The number of time ticks that fit.
    pub(super) fn time_ticks(&self) -> usize {
        ((self.right - self.left) / TIME_LABEL).clamp(2.0, MOST_TIMES) as usize
    }

    /// The left and the right edge of the plot in percent of the width, for the pointer.
    pub(super) fn edges(&self) -> (String, String) {
        (self.across(self.left), self.across(self.right))
    }

    fn across(&self, x: f64) -> String {
        percent(x / self.width)
    }

    fn down(&self, y: f64) -> String {
        percent(y / self.height)
    }

    /// The value labels, each on its line; positions from 0 (bottom) to 1 (top).
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

    /// The time labels below their ticks; positions from 0 (left) to 1 (right).
    pub(super) fn write_times(&self, out: &mut String, labels: &[(f64, &str)]) {
        // In narrow charts, the half with more dates stays: a date is more useful than a time of
        // day.
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
            // Half the label must fit on both sides, also in a narrow chart.
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

    /// The labels of marks above the plot, each at its line, from left to right. A label that would
    /// overlap the one before it, or the topmost value, is omitted; its line still has it as a title.
    pub(super) fn write_marks(&self, out: &mut String, marks: &mut [(f64, &str)]) {
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let y = self.down(self.top - 6.0);
        // Where the last label ends in a wide and in a narrow chart.
        let mut ends = [f64::MIN, self.label];
        for (part, label) in marks.iter() {
            let length = label.chars().count() as f64 * CHARACTER;
            let x = self.left + part * (self.right - self.left);
            let is_late = x + length > self.right;
            let start = |shown: f64| {
                let x = x / self.width * shown;
                if is_late { x - length } else { x }
            };
            let starts = [self.width, self.width.min(NARROW)].map(start);
            let fits = [starts[0] > ends[0], starts[1] > ends[1]];
            for n in 0..2 {
                if fits[n] {
                    ends[n] = starts[n] + length + 8.0;
                }
            }
            if !fits[0] {
                continue;
            }
            let class = if fits[1] { "" } else { " class=\"m\"" };
            let anchor = if is_late { " text-anchor=\"end\"" } else { "" };
            let x = self.across(x);
            let _ = write!(out, "<text{class}{anchor} x=\"{x}\" y=\"{y}\">");
            escape(out, label);
            out.push_str("</text>");
        }
    }

    /// The text shown instead of lines.
    pub(super) fn write_no_data(&self, out: &mut String) {
        let y = self.down((self.top + self.bottom) / 2.0);
        let _ = write!(
            out,
            "<text text-anchor=\"middle\" x=\"50%\" y=\"{y}\">No data in this range</text>"
        );
    }

    /// The legend: a sample of each line with its name, if there is more than one.
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
            // A nested SVG clips the name, so that names do not overlap.
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

/// A name of at most `room` characters, or `narrow_room` characters in a narrow chart.
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

/// The number of columns in the legend: as many as fit the longest name in a narrow chart, but at
/// least two.
fn columns(lines: &[ChartLine], width: f64) -> usize {
    let longest = lines
        .iter()
        .map(|line| line.label.chars().count())
        .max()
        .unwrap_or(0) as f64;
    let needed = longest * CHARACTER + SAMPLE;
    ((width.min(NARROW) / needed) as usize).clamp(2, 4)
}

/// A fraction in percent, with at most one decimal.
fn percent(part: f64) -> String {
    let tenths = (part * 1000.0).round() as i64;
    if tenths % 10 == 0 {
        format!("{}%", tenths / 10)
    } else {
        format!("{}.{}%", tenths / 10, (tenths % 10).abs())
    }
}

/// Adds text escaped for XML; characters not allowed in XML become `�`.
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
