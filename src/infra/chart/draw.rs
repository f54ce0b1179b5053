//! Draws a chart as SVG: plotters maps the values and draws the lines; the labels are placed around
//! them.
//!
//! The drawing is four times as large as the chart, because plotters uses whole pixels only. A finer
//! one would not look better, and every digit counts: a page may have ten charts.
//!
//! Must not know: colors.

use crate::infra::chart::backend::{ChartInk, InkShape, PathBackend, ShapeForm};
use crate::infra::chart::labels::{self, PlotFrame};
use crate::infra::chart::scale::ValueAxis;
use crate::infra::chart::theme::{DASHES, STYLE};
use crate::infra::chart::{
    Chart, ChartKind, DISTINCT_LINES, SvgPlacement, drawable, stretches, time,
};
use plotters::prelude::*;
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

/// Units of the drawing per pixel.
const SCALE: f64 = 4.0;
/// Length of a tick of the time axis, in units of the drawing.
const TICK: i32 = 20;

/// The data to draw, sorted and scaled.
struct SortedPlot<'a> {
    chart: &'a Chart,
    from: i64,
    to: i64,
    /// The valid points of each line.
    lines: Vec<Vec<(i64, f64)>>,
    /// `None` if there is no data.
    values: Option<ValueAxis>,
    times: Vec<(i64, String)>,
    frame: PlotFrame,
}

/// The whole SVG.
pub(super) fn svg(chart: &Chart, id: &str, form: SvgPlacement) -> String {
    let plot = SortedPlot::new(chart, form);
    let PlotFrame { width, height, .. } = plot.frame;
    let id: String = id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    let mut out = String::with_capacity(8 * 1024);
    out.push_str("<svg class=\"chart\" role=\"img\" width=\"100%\"");
    match form {
        SvgPlacement::Inline => {
            let (left, right) = plot.frame.edges();
            let (from, to) = (plot.from, plot.to);
            // For the pointer: where the plot is, and which time.
            push(
                &mut out,
                format_args!(" height=\"{height}\" data-plot=\"{left} {right} {from} {to}\""),
            )
        }
        SvgPlacement::Standalone => {
            out.push_str(" height=\"100%\" xmlns=\"http://www.w3.org/2000/svg\"")
        }
    }
    push(
        &mut out,
        format_args!(" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">"),
    );
    labels::escape(&mut out, &chart.title);
    push(&mut out, format_args!("</title><desc id=\"{id}-d\">"));
    labels::escape(&mut out, &chart.description);
    out.push_str("</desc>");
    if form == SvgPlacement::Standalone {
        push(&mut out, format_args!("<style>{STYLE}</style>"));
    }
    push(
        &mut out,
        format_args!(
            "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\">",
            width * SCALE,
            height * SCALE
        ),
    );
    let shapes = plot.draw().expect(
        "an in-memory backend accepts every shape, and the frame is large enough to divide",
    );
    for shape in shapes {
        plot.write(&mut out, shape);
    }
    out.push_str("</svg>");
    plot.write_labels(&mut out);
    out.push_str("</svg>");
    out
}

/// Writing to a string cannot fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

impl<'a> SortedPlot<'a> {
    fn new(chart: &'a Chart, placement: SvgPlacement) -> Self {
        let (from, to) = time::shown(chart.from, chart.to);
        let lines: Vec<_> = chart
            .lines
            .iter()
            .map(|line| drawable(&line.points, from, to))
            .collect();
        let values = || lines.iter().flatten().map(|point| point.1);
        let extremes = values().next().map(|first| {
            (
                values().fold(first, f64::min),
                values().fold(first, f64::max),
            )
        });
        let mut frame = PlotFrame::new(chart, placement);
        let values = extremes
            .map(|extremes| ValueAxis::new(chart.unit, chart.kind, extremes, frame.value_ticks()));
        frame.make_room(
            values
                .iter()
                .flat_map(|axis| &axis.ticks)
                .map(|tick| tick.1.as_str()),
        );
        let times = time::ticks(from, to, &chart.zone, frame.time_ticks());
        Self {
            chart,
            from,
            to,
            lines,
            values,
            times,
            frame,
        }
    }

    /// Milliseconds since the start of the range.
    fn since_start(&self, at: i64) -> f64 {
        (at - self.from) as f64
    }

    fn draw(&self) -> DrawResult<Vec<InkShape>, PathBackend> {
        let PlotFrame {
            width,
            height,
            left,
            right,
            top,
            bottom,
            ..
        } = self.frame;
        let pixels = |size: f64| (size * SCALE) as i32;
        let backend = Rc::new(RefCell::new(PathBackend {
            size: ((width * SCALE) as u32, (height * SCALE) as u32),
            ink: ChartInk::Grid,
            shapes: Vec::new(),
        }));
        let root = DrawingArea::from(&backend);
        let (low, high) = self
            .values
            .as_ref()
            .map_or((0.0, 1.0), |axis| (axis.low, axis.high));
        let mut canvas = ChartBuilder::on(&root)
            .margin_left(pixels(left))
            .margin_right(pixels(width - right))
            .margin_top(pixels(top))
            .margin_bottom(pixels(height - bottom))
            .build_cartesian_2d(0.0..self.since_start(self.to), low..high)?;
        for (value, _) in self.values.iter().flat_map(|axis| &axis.ticks) {
            let y = canvas.backend_coord(&(0.0, *value)).1;
            root.draw(&PathElement::new([(0, y), (pixels(width), y)], BLACK))?;
        }
        for (at, _) in &self.times {
            let (x, y) = canvas.backend_coord(&(self.since_start(*at), low));
            root.draw(&PathElement::new([(x, y), (x, y + TICK)], BLACK))?;
        }
        backend.borrow_mut().ink = ChartInk::Axis;
        let y = canvas.backend_coord(&(0.0, low)).1;
        root.draw(&PathElement::new([(0, y), (pixels(width), y)], BLACK))?;
        for (number, mark) in self.chart.marks.iter().enumerate() {
            if (self.from..=self.to).contains(&mark.at) {
                backend.borrow_mut().ink = ChartInk::Mark(number);
                let x = self.since_start(mark.at);
                canvas.draw_series(LineSeries::new([(x, high), (x, low)], BLACK))?;
            }
        }
        for (number, line) in self.lines.iter().enumerate() {
            backend.borrow_mut().ink = ChartInk::Line(number);
            for stretch in stretches(line, self.chart.step) {
                let points = stretch
                    .iter()
                    .map(|&(at, value)| (self.since_start(at), value));
                if self.chart.kind == ChartKind::Area && stretch.len() > 1 {
                    let ground = 0f64.clamp(low, high);
                    canvas
                        .draw_series(AreaSeries::new(points, ground, BLACK).border_style(BLACK))?;
                } else {
                    canvas.draw_series(LineSeries::new(points, BLACK))?;
                }
            }
        }
        Ok(std::mem::take(&mut backend.borrow_mut().shapes))
    }

    fn write(&self, out: &mut String, shape: InkShape) {
        let data = shape.data.into_text();
        match shape.ink {
            ChartInk::Grid => push(out, format_args!("<path class=\"g\" d=\"{data}\"/>")),
            ChartInk::Axis => push(out, format_args!("<path class=\"x\" d=\"{data}\"/>")),
            ChartInk::Mark(number) => {
                let mark = &self.chart.marks[number];
                push(
                    out,
                    format_args!("<path class=\"k\" stroke-dasharray=\"3 3\" d=\"{data}\"><title>"),
                );
                labels::escape(out, &mark.label);
                push(
                    out,
                    format_args!(", {}</title></path>", time::told(mark.at, &self.chart.zone)),
                );
            }
            ChartInk::Line(number) => {
                let look = number % DISTINCT_LINES;
                let class = match shape.form {
                    ShapeForm::Stroke => "",
                    ShapeForm::Area => " a",
                    ShapeForm::Dot => " d",
                };
                push(out, format_args!("<path class=\"s{look}{class}\""));
                if shape.form == ShapeForm::Stroke && look > 0 {
                    push(out, format_args!(" stroke-dasharray=\"{}\"", DASHES[look]));
                }
                push(out, format_args!(" d=\"{data}\"/>"));
            }
        }
    }

    fn write_labels(&self, out: &mut String) {
        match &self.values {
            Some(axis) => {
                let part = |value: f64| (value - axis.low) / (axis.high - axis.low);
                self.frame.write_values(
                    out,
                    axis.ticks
                        .iter()
                        .map(|(value, label)| (part(*value), label.as_str())),
                );
            }
            None => self.frame.write_no_data(out),
        }
        let part = |at: i64| self.since_start(at) / self.since_start(self.to);
        let times: Vec<_> = self
            .times
            .iter()
            .map(|(at, label)| (part(*at), label.as_str()))
            .collect();
        self.frame.write_times(out, &times);
        let mut marks: Vec<_> = self
            .chart
            .marks
            .iter()
            .filter(|mark| (self.from..=self.to).contains(&mark.at))
            .map(|mark| (part(mark.at), mark.label.as_str()))
            .collect();
        self.frame.write_marks(out, &mut marks);
        self.frame.write_legend(out, &self.chart.lines);
    }
}
