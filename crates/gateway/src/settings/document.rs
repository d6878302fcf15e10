//! The parsed text of a configuration: tables, keys and values with their places.
//!
//! Reads what a key holds and reports a wrong type or an unknown key; what a value means is decided where
//! it is used. Data comes from the `toml` crate's spanned tree.

use tidegate_inspect::words::known;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Collector, shown};
use super::vocabulary::Vocabulary;
use crate::limits::Written;

/// One table of the configuration whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'d> {
    /// Its words.
    pub(super) vocabulary: &'static Vocabulary,
    /// Where it begins.
    pub(super) at: usize,
    table: &'d DeTable<'d>,
}

/// A key with its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'d> {
    /// The key.
    pub(super) key: &'d str,
    /// Where the key stands.
    pub(super) key_at: usize,
    /// Where the value stands.
    pub(super) at: usize,
    /// The value.
    pub(super) value: &'d DeValue<'d>,
}

impl<'d> Section<'d> {
    /// Takes a table and reports each key in it that its vocabulary does not know.
    pub(super) fn of_table(
        table: &'d DeTable<'d>,
        at: usize,
        vocabulary: &'static Vocabulary,
        faults: &mut Collector<'_>,
    ) -> Self {
        let section = Self { vocabulary, at, table };
        for entry in section.entries().filter(|entry| !vocabulary.knows(entry.key)) {
            if faults.is_full() {
                faults.add(known::UNKNOWN_KEY, entry.key_at, "", "");
                continue;
            }
            let (key, name) = (shown(entry.key), vocabulary.name);
            match vocabulary.absent_mend(entry.key) {
                Some(mend) => {
                    faults.add(
                        known::ABSENT_KEY,
                        entry.key_at,
                        format!("'{key}' is not available in this version"),
                        mend,
                    );
                }
                None => {
                    let mend = vocabulary.mend_of_unknown(entry.key);
                    faults.add(
                        known::UNKNOWN_KEY,
                        entry.key_at,
                        format!("unknown key '{key}' in {name}"),
                        mend,
                    );
                }
            }
        }
        section
    }

    /// All keys, known or not, in no particular order.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'d>> {
        self.table.iter().map(|(key, value)| Entry {
            key: key.get_ref(),
            key_at: key.span().start,
            at: value.span().start,
            value: value.get_ref(),
        })
    }

    /// The entry of a key.
    pub(super) fn get(self, key: &str) -> Option<Entry<'d>> {
        debug_assert!(self.vocabulary.knows(key), "{key} is not in the vocabulary");
        self.entries().find(|entry| entry.key == key)
    }

    /// The table under a key, if there is one; a value that is no table is a fault.
    pub(super) fn section(
        self,
        key: &str,
        vocabulary: &'static Vocabulary,
        faults: &mut Collector<'_>,
    ) -> Option<Self> {
        self.get(key)?.section(vocabulary, faults)
    }

    /// The string under a key, if there is one.
    pub(super) fn text(self, key: &str, faults: &mut Collector<'_>) -> Option<(&'d str, usize)> {
        self.get(key)?.text(faults)
    }

    /// Yes or no under a key, with its place.
    pub(super) fn flag(self, key: &str, faults: &mut Collector<'_>) -> Option<(bool, usize)> {
        let entry = self.get(key)?;
        match entry.value {
            DeValue::Boolean(flag) => Some((*flag, entry.at)),
            _ => {
                entry.wrong_type("a boolean", "write true or false".to_owned(), faults);
                None
            }
        }
    }

    /// The strings under a key: one string stands for a list of one.
    pub(super) fn texts(self, key: &str, faults: &mut Collector<'_>) -> Option<Vec<(&'d str, usize)>> {
        let entry = self.get(key)?;
        match entry.value {
            DeValue::Array(list) => {
                Some(list.iter().filter_map(|item| entry.item(item).text(faults)).collect())
            }
            _ => Some(entry.text(faults).into_iter().collect()),
        }
    }
}

impl<'d> Entry<'d> {
    /// The value as a table.
    pub(super) fn section(
        self,
        vocabulary: &'static Vocabulary,
        faults: &mut Collector<'_>,
    ) -> Option<Section<'d>> {
        match self.value {
            DeValue::Table(table) => Some(Section::of_table(table, self.key_at, vocabulary, faults)),
            _ => {
                let example =
                    vocabulary.known.first().map_or("{}".to_owned(), |key| format!("{{ {key} = ... }}"));
                self.wrong_type("a table", format!("write {} = {example}", self.key), faults);
                None
            }
        }
    }

    /// The value as a string, with its place.
    pub(super) fn text(self, faults: &mut Collector<'_>) -> Option<(&'d str, usize)> {
        match self.value {
            DeValue::String(text) => Some((text, self.at)),
            _ => {
                self.wrong_type("a string", "write it in quotes".to_owned(), faults);
                None
            }
        }
    }

    /// The value as a string or an integer: a quantity.
    pub(super) fn written(self, faults: &mut Collector<'_>) -> Option<Written<'d>> {
        match self.value {
            DeValue::String(text) => return Some(Written::Text(text)),
            DeValue::Integer(number) => {
                if let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) {
                    return Some(Written::Number(number));
                }
                faults.add(
                    known::OUT_OF_BOUNDS,
                    self.at,
                    format!("'{}' is too large a number", self.key),
                    "write a smaller one",
                );
            }
            _ => self.wrong_type("a number or a string", "write such as 100 or \"10s\"".to_owned(), faults),
        }
        None
    }

    /// The elements of an array, as entries of the same key; a single table stands for none.
    pub(super) fn items(self) -> Option<impl Iterator<Item = Self>> {
        match self.value {
            DeValue::Array(list) => Some(list.iter().map(move |item| self.item(item))),
            _ => None,
        }
    }

    fn item(self, item: &'d Spanned<DeValue<'d>>) -> Self {
        let at = item.span().start;
        Self { key: self.key, key_at: at, at, value: item.get_ref() }
    }

    fn wrong_type(self, needed: &str, mend: String, faults: &mut Collector<'_>) {
        let article = match self.value {
            DeValue::Integer(_) | DeValue::Array(_) => "an",
            _ => "a",
        };
        let what =
            format!("'{}' is {article} {} where {needed} is needed", shown(self.key), self.value.type_str());
        faults.add(known::WRONG_TYPE, self.at, what, mend);
    }
}
