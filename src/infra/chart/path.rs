//! Short SVG path data: whole numbers, relative coordinates, no unnecessary spaces.
//!
//! Must not know: what the paths show.

use std::fmt::Write;

/// A point in the units of the drawing.
pub(super) type Point = (i32, i32);

/// A builder for the `d` of a `<path>`.
#[derive(Debug, Default)]
pub(super) struct PathData {
    text: String,
    at: Point,
}

impl PathData {
    /// Adds a line through the points; horizontal and vertical segments are shortened. A single point
    /// becomes a dot, visible with round line ends.
    pub(super) fn line(&mut self, points: &[Point]) {
        let [first, rest @ ..] = points else { return };
        self.start(*first);
        match rest {
            [] => self.text.push_str("h0"),
            [only] if only.1 == first.1 => self.relative('h', only.0 - first.0),
            [only] if only.0 == first.0 => self.relative('v', only.1 - first.1),
            _ => {
                self.text.push('l');
                for &point in rest {
                    self.number(point.0 - self.at.0);
                    self.number(point.1 - self.at.1);
                    self.at = point;
                }
            }
        }
    }

    /// Adds the outline of an area.
    pub(super) fn outline(&mut self, points: &[Point]) {
        self.line(points);
        self.text.push('z');
    }

    /// The finished data.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn start(&mut self, point: Point) {
        self.text.push('M');
        self.number(point.0);
        self.number(point.1);
        self.at = point;
    }

    fn relative(&mut self, command: char, by: i32) {
        self.text.push(command);
        self.number(by);
    }

    fn number(&mut self, number: i32) {
        if number >= 0 && self.text.ends_with(|last: char| last.is_ascii_digit()) {
            self.text.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{number}");
    }
}
