//! Collects the shapes of plotters as paths with CSS classes.
//!
//! Colors, widths and opacities from plotters are ignored: all shapes of one [`ChartInk`] become one
//! `<path>` with one class, which the theme styles.
//!
//! Must not know: values, times, labels.

use crate::infra::chart::path::{PathData, Point};
use plotters_backend::{BackendColor, BackendStyle, DrawingBackend, DrawingErrorKind};
use std::convert::Infallible;

/// The meaning of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChartInk {
    /// The grid lines and the ticks of the time axis.
    Grid,
    /// The bottom line.
    Axis,
    /// The mark with this number.
    Mark(usize),
    /// The line with this number.
    Line(usize),
}

/// The form of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShapeForm {
    /// A line.
    Stroke,
    /// A filled area.
    Area,
    /// A single point.
    Dot,
}

/// All shapes of one ink and form.
#[derive(Debug)]
pub(super) struct InkShape {
    pub ink: ChartInk,
    pub form: ShapeForm,
    pub data: PathData,
}

/// Receives the shapes from plotters.
#[derive(Debug)]
pub(super) struct PathBackend {
    /// Width and height.
    pub size: (u32, u32),
    /// The ink of the next shapes.
    pub ink: ChartInk,
    /// The shapes, in the order in which each kind was first drawn.
    pub shapes: Vec<InkShape>,
}

type ShapeResult = Result<(), DrawingErrorKind<Infallible>>;

impl PathBackend {
    /// The path data for a form of the ink.
    fn data(&mut self, form: ShapeForm) -> &mut PathData {
        let ink = self.ink;
        let known = self
            .shapes
            .iter()
            .rposition(|shape| (shape.ink, shape.form) == (ink, form));
        let index = known.unwrap_or_else(|| {
            let data = PathData::default();
            self.shapes.push(InkShape { ink, form, data });
            self.shapes.len() - 1
        });
        &mut self.shapes[index].data
    }
}

impl DrawingBackend for PathBackend {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> ShapeResult {
        Ok(())
    }

    fn present(&mut self) -> ShapeResult {
        Ok(())
    }

    /// Charts do not use single pixels.
    fn draw_pixel(&mut self, _: Point, _: BackendColor) -> ShapeResult {
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = Point>>(
        &mut self,
        path: I,
        _: &S,
    ) -> ShapeResult {
        let points: Vec<_> = path.into_iter().collect();
        let form = match points[..] {
            [_] => ShapeForm::Dot,
            _ => ShapeForm::Stroke,
        };
        self.data(form).line(&points);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = Point>>(
        &mut self,
        corners: I,
        _: &S,
    ) -> ShapeResult {
        let corners: Vec<_> = corners.into_iter().collect();
        self.data(ShapeForm::Area).outline(&corners);
        Ok(())
    }
}
