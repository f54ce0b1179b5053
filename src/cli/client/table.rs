//! Tables for people: without lines, as wide as the terminal. If there is no room, the least
//! important columns are left out first, then long texts are wrapped.

use comfy_table::{
    Cell as Place, CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, TableStyle,
};
use strum::IntoEnumIterator;

use super::error::CommandError;
use super::output::TerminalOutput;
use super::text::in_line;

/// The gap between two columns.
const GAP: u16 = 2;
/// The minimum width of wrapped text.
const NARROWEST: u16 = 24;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableColumn {
    title: &'static str,
    /// If there is no room, columns with the highest number are left out first; 0: never.
    goes: u8,
    is_right: bool,
    is_wrapped: bool,
}

impl TableColumn {
    /// A column that is never left out.
    pub(super) const fn new(title: &'static str) -> Self {
        Self {
            title,
            goes: 0,
            is_right: false,
            is_wrapped: false,
        }
    }

    /// Leave the column out if there is no room, the highest number first.
    pub(super) const fn goes(self, goes: u8) -> Self {
        Self { goes, ..self }
    }

    /// Align the column to the right.
    pub(super) const fn right(self) -> Self {
        Self {
            is_right: true,
            ..self
        }
    }

    /// Wrap the column's text if there is no room.
    pub(super) const fn wrapped(self) -> Self {
        Self {
            is_wrapped: true,
            ..self
        }
    }
}

/// The color of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter)]
pub(super) enum CellColor {
    Good,
    Doubtful,
    Bad,
    Quiet,
}

impl CellColor {
    /// The color of a state or health status of the API.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "running" | "healthy" | "installed" | "switched" | "mining" => Some(Self::Good),
            "starting" | "stopping" | "warning" | "no-channel" => Some(Self::Doubtful),
            "backing-off" | "failed" | "unhealthy" | "many-rejected" => Some(Self::Bad),
            "stopped" | "unknown" | "cancelled" | "offline" => Some(Self::Quiet),
            _ => None,
        }
    }

    /// Marks the start of colored text while columns are measured: a character without width, which
    /// is removed from all other text.
    const fn mark(self) -> char {
        match self {
            Self::Good => '\u{2061}',
            Self::Doubtful => '\u{2062}',
            Self::Bad => '\u{2063}',
            Self::Quiet => '\u{2064}',
        }
    }

    const fn escape(self) -> &'static str {
        match self {
            Self::Good => "\u{1b}[32m",
            Self::Doubtful => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
            Self::Quiet => "\u{1b}[2m",
        }
    }
}

/// Marks the end of colored text.
const END: char = '\u{2060}';

/// The color for good or bad.
pub(super) const fn status_color(is_well: bool) -> CellColor {
    if is_well {
        CellColor::Good
    } else {
        CellColor::Bad
    }
}

/// A word in its color, or unchanged if colors are off.
pub(super) fn coloured(word: &str, mood: Option<CellColor>, paper: &TerminalOutput) -> String {
    match mood {
        Some(mood) if paper.is_coloured => format!("{}{word}\u{1b}[0m", mood.escape()),
        _ => word.to_owned(),
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(super) struct TableCell {
    text: String,
    mood: Option<CellColor>,
}

impl TableCell {
    /// A cell with any text.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: in_line(text.as_ref()),
            mood: None,
        }
    }

    /// A cell with a state or health status of the API, in its color.
    pub(super) fn state(word: &str) -> Self {
        Self {
            mood: CellColor::of(word),
            ..Self::new(word)
        }
    }

    /// A cell with a text, or a dash if there is none.
    pub(super) fn or_dash(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new("-"), Self::new)
    }
}

/// A table that is filled row by row.
#[derive(Debug)]
pub(super) struct OutputTable {
    columns: Vec<TableColumn>,
    rows: Vec<Vec<TableCell>>,
    has_titles: bool,
}

impl OutputTable {
    /// A table with a header.
    pub(super) fn new(columns: &[TableColumn]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            has_titles: true,
        }
    }

    /// A list of facts: a label and a value per line.
    pub(super) fn of_facts() -> Self {
        Self {
            columns: vec![TableColumn::new(""), TableColumn::new("").wrapped()],
            rows: Vec::new(),
            has_titles: false,
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<TableCell>) {
        self.rows.push(cells);
    }

    /// Adds a fact, unless the value is empty.
    pub(super) fn fact(&mut self, word: &str, says: Option<impl AsRef<str>>) {
        if let Some(says) = says.filter(|says| !says.as_ref().is_empty()) {
            self.row(vec![TableCell::new(word), TableCell::new(says)]);
        }
    }

    /// Prints the table.
    pub(super) fn write(&self, paper: &mut TerminalOutput) -> Result<(), CommandError> {
        for line in self.lines(paper.width, paper.is_coloured) {
            paper.line(&line)?;
        }
        Ok(())
    }

    fn lines(&self, width: Option<u16>, is_coloured: bool) -> Vec<String> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        if let Some(width) = width {
            let natural = self.grid(&shown, false).column_max_content_widths();
            let least = |at: usize| {
                if self.columns[at].is_wrapped {
                    natural[at].min(NARROWEST)
                } else {
                    natural[at]
                }
            };
            let total = |shown: &[usize]| {
                shown
                    .iter()
                    .map(|at| least(*at).saturating_add(GAP))
                    .fold(0, u16::saturating_add)
            };
            while total(&shown).saturating_sub(GAP) > width {
                let Some(first) = shown
                    .iter()
                    .copied()
                    .max_by_key(|at| self.columns[*at].goes)
                else {
                    break;
                };
                if self.columns[first].goes == 0 {
                    break;
                }
                shown.retain(|at| *at != first);
            }
        }
        let mut grid = self.grid(&shown, is_coloured);
        if let Some(width) = width {
            // The gap after the last column is trimmed.
            grid.set_width(width.saturating_add(GAP))
                .set_content_arrangement(ContentArrangement::Dynamic);
            for (at, column) in shown.iter().enumerate() {
                if !self.columns[*column].is_wrapped
                    && let Some(column) = grid.column_mut(at)
                {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
        }
        grid.lines().map(|line| painted(line.trim_end())).collect()
    }

    fn grid(&self, shown: &[usize], is_coloured: bool) -> Grid {
        let mut grid = Grid::new();
        grid.load_style(TableStyle::new());
        if self.has_titles {
            grid.set_header(shown.iter().map(|at| self.columns[*at].title));
        }
        for row in &self.rows {
            grid.add_row(shown.iter().map(|at| match row.get(*at) {
                Some(TableCell {
                    text,
                    mood: Some(mood),
                }) if is_coloured => Place::new(format!("{}{text}{END}", mood.mark())),
                Some(cell) => Place::new(&cell.text),
                None => Place::new(""),
            }));
        }
        for (at, column) in shown.iter().enumerate() {
            if let Some(place) = grid.column_mut(at) {
                place.set_padding((0, GAP));
                if self.columns[*column].is_right {
                    place.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        grid
    }
}

/// Replaces the marks with terminal colors.
fn painted(line: &str) -> String {
    let mut line = line.replace(END, "\u{1b}[0m");
    for mood in CellColor::iter() {
        line = line.replace(mood.mark(), mood.escape());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> OutputTable {
        let mut table = OutputTable::new(&[
            TableColumn::new("NAME").wrapped(),
            TableColumn::new("STATE"),
            TableColumn::new("PORT").goes(2).right(),
            TableColumn::new("WHAT").goes(1).wrapped(),
        ]);
        let words =
            "this is a long sentence that has no room in a narrow place and is wrapped there";
        table.row(vec![
            TableCell::new("barn\u{1b}[2J"),
            TableCell::state("running"),
            TableCell::new("34265"),
            TableCell::new(words),
        ]);
        table.row(vec![
            TableCell::new("日本"),
            TableCell::state("failed"),
            TableCell::or_dash(None::<&str>),
            TableCell::new(""),
        ]);
        table
    }

    #[test]
    fn without_a_width_a_row_is_a_line() {
        let lines = table().lines(None, false);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "NAME  STATE     PORT  WHAT");
        assert!(
            lines[1].starts_with("barn  running  34265  this is a long")
                && lines[1].ends_with("wrapped there"),
            "{lines:?}"
        );
        // Wide characters need two columns.
        assert_eq!(lines[2], "日本  failed       -");
    }

    #[test]
    fn where_there_is_no_room_columns_go_and_texts_are_wrapped() {
        let widest =
            |lines: &[String]| lines.iter().map(|line| line.chars().count()).max().unwrap();
        let wrapped = table().lines(Some(60), false);
        assert!(
            wrapped.len() > 3 && widest(&wrapped) <= 60 && wrapped[0].contains("PORT"),
            "{wrapped:#?}"
        );
        let narrow = table().lines(Some(44), false);
        assert!(
            !narrow[0].contains("PORT") && narrow[0].contains("WHAT") && widest(&narrow) <= 44,
            "{narrow:#?}"
        );
        assert_eq!(table().lines(Some(20), false)[0], "NAME  STATE");
        // Narrower than the required columns: still some output, and no panic.
        (1..20).for_each(|width| assert!(!table().lines(Some(width), true).is_empty(), "{width}"));
    }

    #[test]
    fn colours_change_nothing_about_the_columns() {
        for width in [None, Some(30), Some(60), Some(200)] {
            let (with, without) = (table().lines(width, true), table().lines(width, false));
            assert!(
                with[1].contains("\u{1b}[32mrunning\u{1b}[0m")
                    && with.iter().any(|line| line.contains("\u{1b}[31mfailed"))
            );
            let plain: Vec<String> = with
                .iter()
                .map(|line| super::super::text::plain(line).trim_end().to_owned())
                .collect();
            assert_eq!(plain, without);
        }
    }
}
