//! [`Table`]: rows of text in columns of equal width.

use super::print;
use console::measure_text_width;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows below a header.
#[derive(Debug)]
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table with a header and without rows.
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let (header, aligns) = columns.into_iter().map(|(name, align)| (name.to_owned(), align)).unzip();
        Self { aligns, rows: vec![header] }
    }

    /// Adds a row with a text for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints the header and the rows.
    pub(crate) fn print(&self) {
        self.lines().iter().for_each(|line| print(line));
    }

    fn lines(&self) -> Vec<String> {
        let cell = |row: &[String], column: usize| row.get(column).map_or(0, |text| measure_text_width(text));
        let width = |column| self.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for ((text, width), align) in row.iter().zip(&widths).zip(&self.aligns) {
                let padding = " ".repeat(width - measure_text_width(text));
                line += &match align {
                    Align::Left => format!("{text}{padding}  "),
                    Align::Right => format!("{padding}{text}  "),
                };
            }
            line.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_text() {
        let mut table = Table::new([("name", Align::Left), ("top1", Align::Right), ("note", Align::Left)]);
        table.row(["a".into(), "0.5".into(), String::new()]);
        table.row(["größer".into(), "0.1234".into(), "x".into()]);
        assert_eq!(table.lines(), ["name      top1  note", "a          0.5", "größer  0.1234  x"]);
    }
}
