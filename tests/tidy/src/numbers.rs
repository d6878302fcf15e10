//! Errors with a number: each constant of the tables is used somewhere, and each number that a file mentions is in a
//! table. That nothing else can be used is the compiler's to say.

use std::collections::HashSet;

use crate::{
    tokens::{Token, tokens},
    tree::File,
};

/// Where the tables are.
const TABLES: &str = "crates/inspect/src/words/known/";

/// Numbers that stand for one that is not there.
const NONE_SUCH: &[&str] = &[concat!("TG-", "1006"), concat!("TG-", "2100"), concat!("TG-", "8999")];

/// Every constant that nothing uses, and every number that no table has.
pub fn findings(files: &[File]) -> Vec<String> {
    let rows: Vec<(&str, String)> = files
        .iter()
        .filter(|file| file.path.starts_with(TABLES))
        .flat_map(|file| file.text.lines().filter_map(row))
        .collect();
    if rows.is_empty() {
        return vec![format!("{TABLES}: no table of errors")];
    }
    let used: HashSet<&str> =
        files.iter().filter(|file| is_source(file)).flat_map(|file| constants(&file.text)).collect();
    let unused = rows.iter().filter(|(constant, _)| !used.contains(constant));
    let mut found: Vec<String> = unused
        .map(|(constant, number)| format!("{TABLES}: {constant} (TG-{number}) is used nowhere"))
        .collect();
    let known: HashSet<&str> = rows.iter().map(|(_, number)| number.as_str()).collect();
    for file in files.iter().filter(|file| !file.path.ends_with(".lock")) {
        for (at, line) in file.text.lines().enumerate() {
            let absent = numbers(line).filter(|number| !known.contains(number));
            let absent =
                absent.map(|number| format!("TG-{number}")).filter(|tag| !NONE_SUCH.contains(&tag.as_str()));
            found.extend(absent.map(|tag| format!("{}:{}: {tag} is in no table", file.path, at + 1)));
        }
    }
    found
}

fn is_source(file: &File) -> bool {
    file.is_rust() && !file.is_test() && file.path.contains("/src/") && !file.path.starts_with(TABLES)
}

/// `NAME = 1234, …` at the beginning of a row.
fn row(line: &str) -> Option<(&str, String)> {
    let (constant, rest) = line.strip_prefix("    ")?.split_once(" = ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let named = constant.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (named && number.len() == 4 && rest[4..].starts_with(", \"")).then_some((constant, number))
}

/// What stands behind `known::`.
fn constants(text: &str) -> Vec<&str> {
    let tokens = tokens(text);
    let word = |at: usize| match tokens.get(at).map(|placed| placed.token) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    };
    (0..tokens.len()).filter(|at| word(*at) == Some("known")).filter_map(|at| word(at + 3)).collect()
}

/// The four digits behind each `TG-`.
fn numbers(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split("TG-").skip(1);
    behind.filter_map(|rest| rest.get(..4)).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "table! { X:\n    NO_ROUTE = 2101, \"no route\", [status 404],\n";

    fn judge(source: &str, page: &str) -> Vec<String> {
        let table = format!("{TABLES}requests.rs");
        findings(&[
            File::new(&table, TABLE),
            File::new("crates/gateway/src/a.rs", source),
            File::new("docs/a.md", page),
        ])
    }

    #[test]
    fn an_error_that_nothing_uses_is_found() {
        assert_eq!(judge("fn f() { of(known::NO_ROUTE); }", "see TG-2101"), Vec::<String>::new());
        assert_eq!(judge("// known::NO_ROUTE\nfn f() {}", "").len(), 1);
    }

    #[test]
    fn a_number_that_no_table_has_is_found() {
        let absent = format!("see TG-{}", 2102);
        assert_eq!(judge("fn f() { of(known::NO_ROUTE); }", &absent).len(), 1);
        assert_eq!(judge("fn f() { of(known::NO_ROUTE); }", "TG-nnnn and TG-21"), Vec::<String>::new());
    }

    #[test]
    fn without_a_table_nothing_is_held() {
        assert_eq!(findings(&[File::new("docs/a.md", "x")]).len(), 1);
    }
}
