//! docs/errors.md, made of the tables.
//!
//! `cargo run -p tidegate-inspect --example errors_page > docs/errors.md` writes it anew; a test holds the page to it.

use std::fmt::Write;

use super::AREAS;

const HEAD: &str = "\
# Error numbers

Each of Tidegate's own errors has a number. `tidegate explain TG-2101` says what it means, why it mostly happens and
what to do next; this page has the same for all of them. A number never changes its meaning.

| where | how it is carried |
|---|---|
| an HTTP answer that refuses | at the end of its sentence, and in the field `Tidegate-Error`; in a body of JSON as `number` |
| `error` on `tidegate.v1`, event streams, lines of JSON and long polls, and in a `reply` | as `number`, beside `code` |
| the reason of a Close frame or of `close` | at its end, where the 123 bytes have room |
| a line of the log | the field `number` |
| a fault of the configuration | at the end of its line |
| what a command says when it fails | `error[TG-8005]: …`, and a line `next: …` |

An answer of a server behind the gateway is passed on as it is and has no number.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (area, thousand) in AREAS.iter().zip(1..) {
        // Writing to a string does not fail.
        let _ = write!(page, "\n## {thousand}000 to {thousand}999: {}\n\n", area.title);
        page.push_str("| number | what and why | what to do next | comes with |\n|---|---|---|---|\n");
        for known in area.rows {
            let goes = known.goes.in_words();
            let _ = writeln!(
                page,
                "| `{}` {} | {} {} | {} | {goes} |",
                known.tag, known.name, known.what, known.why, known.next
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_made_of_the_tables() {
        let page = include_str!("../../../../../docs/errors.md");
        assert!(
            page == super::page(),
            "cargo run -p tidegate-inspect --example errors_page > docs/errors.md writes it anew"
        );
    }
}
