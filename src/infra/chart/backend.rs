//! What plotters drew, as paths with CSS classes.
//!
//! plotters says every shape with colours, widths and opacities of its own. Here the colour is only
//! a sign of what a shape is (an [`ChartInk`]): shapes of one ink become one `<path>` of one class,
//! and the theme says what it looks like.
//!
//! Must not know: values, times, labels.

use crate::infra::chart::path::{PathData, Point};
use plotters::style::RGBColor;

/// What a shape is, written as a colour while plotters draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChartInk {
    /// The lines across and the ticks of the time.
    Grid,
    /// The bottom line.
    Axis,
    /// The mark of this number.
    Mark(u16),
    /// The line of this number.
    Line(u16),
}

/// How a shape of an ink was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShapeForm {
    /// A line.
    Stroke,
    /// A filled area.
    Area,
    /// A lone point.
    Dot,
}

/// All shapes of one ink and form.
#[derive(Debug)]
pub(super) struct InkShape {
    pub ink: ChartInk,
    pub form: ShapeForm,
    /// The `d` of its path.
    pub data: String,
}

impl ChartInk {
    /// The colour that stands for it.
    pub(super) fn colour(self) -> RGBColor {
        let (kind, number) = match self {
            Self::Grid => (0, 0),
            Self::Axis => (1, 0),
            Self::Mark(number) => (2, number),
            Self::Line(number) => (3, number),
        };
        let [high, low] = number.to_be_bytes();
        RGBColor(kind, high, low)
    }

    /// What `#rrggbb` stands for.
    fn of(colour: &str) -> Option<Self> {
        let code = u32::from_str_radix(colour.strip_prefix('#')?, 16).ok()?;
        let number = u16::try_from(code & 0xffff).ok()?;
        match code >> 16 {
            0 => Some(Self::Grid),
            1 => Some(Self::Axis),
            2 => Some(Self::Mark(number)),
            3 => Some(Self::Line(number)),
            _ => None,
        }
    }
}

/// The shapes in an SVG by plotters, in the order in which each kind was first drawn.
pub(super) fn shapes(svg: &str) -> Vec<InkShape> {
    let mut found: Vec<(ChartInk, ShapeForm, PathData)> = Vec::new();
    for element in svg.split('<') {
        let Some((ink, form, points)) = read(element) else {
            continue;
        };
        let known = found
            .iter()
            .rposition(|shape| (shape.0, shape.1) == (ink, form));
        let index = known.unwrap_or_else(|| {
            found.push((ink, form, PathData::default()));
            found.len() - 1
        });
        match form {
            ShapeForm::Area => found[index].2.outline(&points),
            ShapeForm::Stroke | ShapeForm::Dot => found[index].2.line(&points),
        }
    }
    found
        .into_iter()
        .map(|(ink, form, data)| InkShape {
            ink,
            form,
            data: data.into_text(),
        })
        .collect()
}

fn read(element: &str) -> Option<(ChartInk, ShapeForm, Vec<Point>)> {
    let (tag, attributes) = element.split_once(' ')?;
    let ink = |name| ChartInk::of(attribute(attributes, name)?);
    let number = |name| attribute(attributes, name)?.parse().ok();
    match tag {
        "polyline" => Some((ink("stroke")?, ShapeForm::Stroke, points(attributes)?)),
        "polygon" => Some((ink("fill")?, ShapeForm::Area, points(attributes)?)),
        "circle" => Some((
            ink("fill")?,
            ShapeForm::Dot,
            vec![(number("cx")?, number("cy")?)],
        )),
        _ => None,
    }
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    attributes.split("\" ").find_map(|pair| {
        let (key, value) = pair.split_once("=\"")?;
        (key == name).then(|| value.trim_end_matches(['"', '/', '>', '\n']))
    })
}

fn points(attributes: &str) -> Option<Vec<Point>> {
    let pairs = attribute(attributes, "points")?.split_whitespace();
    pairs
        .map(|pair| {
            pair.split_once(',')
                .and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)))
        })
        .collect()
}
