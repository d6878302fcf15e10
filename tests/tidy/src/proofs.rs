//! Pages that say which test holds which rule: every test that they name is there. A name is a code span
//! with the end of a file's path and a function in it, as in `closing.rs::both_close_at_once`.

use crate::tree::File;

/// The pages that are held to this.
const PAGES: &[&str] = &["docs/rfc.md"];

/// What a row says that names no test; why is in words beside it.
const WITHOUT: &[&str] = &["*not ours*", "*no test*"];

/// Every row that names a test which is not there, or none and no reason, or whose number is not the next.
pub fn findings(files: &[File]) -> Vec<String> {
    files
        .iter()
        .filter(|file| PAGES.contains(&file.path.as_str()))
        .flat_map(|page| judge(page, files))
        .collect()
}

fn judge(page: &File, files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rows = 0;
    for (number, line) in page.text.lines().enumerate() {
        let mut say = |what: String| found.push(format!("{}:{}: {what}", page.path, number + 1));
        if let Some((row, proof)) = row(line) {
            rows += 1;
            if row != rows {
                say(format!("row {row} stands where row {rows} should"));
            }
            if names(proof).next().is_none() && !WITHOUT.iter().any(|reason| proof.contains(reason)) {
                say(format!("row {row} names no test and says not why"));
            }
        }
        names(line).filter_map(|(path, function)| absent(path, function, files)).for_each(say);
    }
    if rows == 0 {
        found.push(format!("{}: no row with a number", page.path));
    }
    found
}

/// The number of a table's row, and its last cell.
fn row(line: &str) -> Option<(usize, &str)> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let (number, rest) = cells.split_once(" | ")?;
    Some((number.parse().ok()?, rest.rsplit(" | ").next()?))
}

/// The tests that stand in code spans: path and function.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|span| span.split_once(".rs::"))
}

fn absent(path: &str, function: &str, files: &[File]) -> Option<String> {
    let file = format!("{path}.rs");
    let is_named = |other: &&File| other.path == file || other.path.ends_with(&format!("/{file}"));
    let mut named = files.iter().filter(is_named);
    match (named.next(), named.next()) {
        (None, _) => Some(format!("`{file}` is no file")),
        (Some(one), Some(other)) => Some(format!("`{file}` may be {} or {}", one.path, other.path)),
        (Some(file), None) if file.text.contains(&format!("fn {function}(")) => None,
        (Some(file), None) => Some(format!("{} has no function `{function}`", file.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(page: &str) -> Vec<String> {
        let tests = File::new("crates/x/tests/a/close.rs", "#[test]\nfn both_close() {}\n");
        let same = [File::new("crates/x/src/one.rs", ""), File::new("crates/y/src/one.rs", "")];
        findings(&[[File::new("docs/rfc.md", page), tests].as_slice(), &same].concat())
    }

    #[test]
    fn what_is_wrong_is_found() {
        for page in [
            "no rows",
            "| 1 | rule | `a/close.rs::gone` |",
            "| 1 | rule | `a/gone.rs::both_close` |",
            "| 1 | rule | `src/one.rs::f` |",
            "| 1 | rule | words alone |",
            "| 2 | rule | `a/close.rs::both_close` |",
        ] {
            assert_eq!(judge(page).len(), 1, "{page}");
        }
    }

    #[test]
    fn what_is_right_passes() {
        let page = "| no. | rule | held by |\n|--:|---|---|\n| 1 | rule | `a/close.rs::both_close`: words |\n\
                    | 2 | rule | *not ours*: theirs |\n";
        assert_eq!(judge(page), [""; 0]);
    }
}
