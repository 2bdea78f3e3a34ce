//! Tables for people: columns as wide as what is in them.

use std::fmt::Write;

/// A table with a line of titles.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(titles: [&str; N]) -> Self {
        Self {
            rows: vec![titles.map(str::to_owned)],
        }
    }

    /// A row; what is empty is shown as such.
    pub(super) fn row(&mut self, cells: [String; N]) {
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
        self.rows.push(cells.map(shown));
    }

    /// One line a row, without blanks at its end.
    pub(super) fn text(&self) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                // Writing to a String cannot fail.
                let _ = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["A", "LONG", "LAST"]);
        table.row(["größer".to_owned(), String::new(), "x".to_owned()]);
        table.row(["b".to_owned(), "1".to_owned(), "a longer one".to_owned()]);
        assert_eq!(
            table.text(),
            "A       LONG  LAST\ngrößer  -     x\nb       1     a longer one\n"
        );
    }
}
