//! Tables in the manner of NX-OS: a heading, a rule of dashes, columns two blanks apart.

/// Which side of its column a value stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table that is being filled.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    last_width_max: usize,
}

impl Table {
    /// An empty table with these columns.
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), last_width_max: usize::MAX }
    }

    /// The last column is broken at its commas when it gets wider than this.
    pub(super) const fn wrap_last(mut self, width_max: usize) -> Self {
        self.last_width_max = width_max;
        self
    }

    /// Adds a row; an empty value shows as `--`, NX-OS's sign for nothing.
    pub(super) fn row(&mut self, values: impl IntoIterator<Item = String>) {
        let shown = |value: String| if value.is_empty() { "--".to_owned() } else { value };
        let mut values: Vec<String> = values.into_iter().map(shown).collect();
        let last = values.pop().unwrap_or_default();
        let mut pieces = wrap(&last, self.last_width_max).into_iter();
        values.extend(pieces.next());
        let blanks = vec![String::new(); self.columns.len().saturating_sub(1)];
        self.rows.push(values);
        self.rows.extend(pieces.map(|piece| {
            let mut row = blanks.clone();
            row.push(piece);
            row
        }));
    }

    /// The table as text, with a line end after each row; no blanks at the end of a line.
    pub(super) fn render(&self) -> String {
        let width = |i: usize, title: &str| {
            let values = self.rows.iter().filter_map(|row| row.get(i));
            values.map(|v| v.chars().count()).chain([title.len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(i, (title, _))| width(i, title)).collect();
        let titles = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut out = String::new();
        for row in [&titles, &rule].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((value, width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                match align {
                    Align::Left => line.push_str(&format!("{value:<width$}  ")),
                    Align::Right => line.push_str(&format!("{value:>width$}  ")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A list broken at its commas into pieces of at most `width_max`, or single items.
fn wrap(text: &str, width_max: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for item in text.split(", ") {
        match pieces.last_mut() {
            Some(piece) if piece.chars().count() + 2 + item.chars().count() <= width_max => {
                piece.push_str(", ");
                piece.push_str(item);
            }
            Some(piece) => {
                piece.push(',');
                pieces.push(item.to_owned());
            }
            None => pieces.push(item.to_owned()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        let mut table = Table::new(&[("Name", Align::Left), ("N", Align::Right)]);
        table.row(["a".to_owned(), "1".to_owned()]);
        table.row([String::new(), "1000".to_owned()]);
        assert_eq!(table.render(), "Name     N\n----  ----\na        1\n--    1000\n");
    }

    #[test]
    fn a_long_list_goes_on_below() {
        let mut table = Table::new(&[("V", Align::Left), ("Ports", Align::Left)]).wrap_last(10);
        table.row(["1".to_owned(), "Eth3/1, Eth3/2, Veth1".to_owned()]);
        assert_eq!(table.render(), "V  Ports\n-  -------\n1  Eth3/1,\n   Eth3/2,\n   Veth1\n");
    }
}
