//! A table of the same figure for several candidates, ours and others, and how ours stands to the best of them.
//! The values come from `protocol` and `echo`, which print it.

use std::fmt;

use super::record::grouped;

/// What does the least that must be done, and is no rival.
pub(super) const FLOOR: &str = "floor";

/// Values by row and candidate, in the order in which they came.
#[derive(Default)]
pub(super) struct Comparison {
    candidates: Vec<String>,
    rows: Vec<Row>,
    /// Decimal places that are shown.
    places: usize,
}

struct Row {
    name: String,
    values: Vec<Option<f64>>,
}

impl Comparison {
    /// An empty table whose numbers have so many decimal places.
    pub(super) fn with_places(places: usize) -> Self {
        Self { places, ..Self::default() }
    }

    /// Adds a value.
    pub(super) fn add(&mut self, row: &str, candidate: &str, value: f64) {
        let column = place(&mut self.candidates, |name| name == candidate, || candidate.to_owned());
        let fresh = || Row { name: row.to_owned(), values: Vec::new() };
        let row = place(&mut self.rows, |found| found.name == row, fresh);
        let values = &mut self.rows[row].values;
        values.resize(values.len().max(column + 1), None);
        values[column] = Some(value);
    }

    /// Of every row our value by the least of those that `is_rival` says yes to, and whose that is.
    pub(super) fn ratios(&self, ours: &str, is_rival: impl Fn(&str) -> bool) -> Vec<String> {
        let ratio = |row: &Row| {
            let named = || {
                let values = row.values.iter().copied();
                self.candidates.iter().zip(values).filter_map(|(name, value)| Some((name, value?)))
            };
            let own = named().find(|(name, _)| *name == ours)?.1;
            let rivals = named().filter(|(name, _)| is_rival(name));
            let (rival, best) = rivals.min_by(|a, b| a.1.total_cmp(&b.1))?;
            Some(format!("{}: {:.2} of {rival}", row.name, own / best))
        };
        self.rows.iter().filter_map(ratio).collect()
    }
}

/// Whether a candidate is neither ours nor the floor.
pub(super) fn is_foreign(name: &str) -> bool {
    !name.starts_with("tidegate") && name != FLOOR
}

/// Where the item is in a list, at whose end it is put if it is not there.
fn place<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, fresh: impl FnOnce() -> T) -> usize {
    list.iter().position(is_it).unwrap_or_else(|| {
        list.push(fresh());
        list.len() - 1
    })
}

impl fmt::Display for Comparison {
    /// As Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | {} |", self.candidates.join(" | "))?;
        writeln!(f, "|---|{}", "--:|".repeat(self.candidates.len()))?;
        for row in &self.rows {
            let shown = |value: &Option<f64>| match value {
                None => "–".to_owned(),
                Some(value) if self.places == 0 => grouped(*value),
                Some(value) => format!("{value:.*}", self.places),
            };
            writeln!(
                f,
                "| {} | {} |",
                row.name,
                row.values.iter().map(shown).collect::<Vec<_>>().join(" | ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_compared_with_the_best_of_the_others() {
        let mut comparison = Comparison::default();
        for (row, candidate, value) in
            [("a", "floor", 1.0), ("a", "ours", 3.0), ("a", "x", 6.0), ("a", "y", 4.0), ("b", "x", 12_345.0)]
        {
            comparison.add(row, candidate, value);
        }
        assert_eq!(comparison.ratios("ours", |name| is_foreign(name) && name != "ours"), ["a: 0.75 of y"]);
        let table = "| | floor | ours | x | y |\n|---|--:|--:|--:|--:|\n| a | 1 | 3 | 6 | 4 |\n| b | – | – | 12 345 |\n";
        assert_eq!(comparison.to_string(), table);
    }
}
