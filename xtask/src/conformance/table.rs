//! The committed result of a whole run: a head line, then a line for each case with the suite's verdict on
//! what the peer did and on how it closed. It is compared with what a run says and rewritten by `--update`;
//! times are not in it, so that two runs of the same code give the same file.

use std::{collections::BTreeMap, fmt, fs, io, path::Path, str::FromStr};

use crate::conformance::plan::Side;

/// The version of the suite, as `requirements.txt` pins it.
const SUITE: &str = "autobahntestsuite 25.10.1";

/// Cases on which RFC 6455 leaves open what is right; the suite says INFORMATIONAL to everybody.
const OPEN_BY_RFC: [&str; 3] = ["7.1.6", "7.13.1", "7.13.2"];

/// The number of a case, as in `12.3.4`; they sort as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case(Vec<u16>);

impl FromStr for Case {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.split('.').map(str::parse).collect::<Result<Vec<u16>, _>>().map_err(drop)?;
        if (2..=3).contains(&numbers.len()) { Ok(Self(numbers)) } else { Err(()) }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u16::to_string).collect();
        f.pad(&numbers.join("."))
    }
}

/// What the suite says about one case, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) behaviour: String,
    pub(crate) close: String,
}

impl Verdict {
    /// Nothing but OK will do, where the RFC says what is right.
    fn is_clean(&self, case: &Case) -> bool {
        let open = OPEN_BY_RFC.contains(&case.to_string().as_str());
        let clean = |word: &str| word == "OK" || (open && word == "INFORMATIONAL");
        clean(&self.behaviour) && clean(&self.close)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13} {}", self.behaviour, self.close)
    }
}

/// The cases of a run or of a file with their verdicts.
pub(crate) type Results = BTreeMap<Case, Verdict>;

/// A committed table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Results,
}

impl Table {
    pub(crate) fn read(file: &Path) -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string(file)?))
    }

    fn parse(text: &str) -> Self {
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            let case = words.next()?.parse().ok()?;
            let verdict = Verdict { behaviour: words.next()?.to_owned(), close: words.next()?.to_owned() };
            Some((case, verdict))
        };
        Self { rows: text.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect() }
    }

    /// Takes over the results of a run, all rows or those of its cases, and writes the file.
    pub(crate) fn write(
        &mut self,
        file: &Path,
        side: Side,
        results: &Results,
        whole: bool,
    ) -> io::Result<()> {
        if whole {
            self.rows.clear();
        }
        self.rows.extend(results.iter().map(|(case, verdict)| (case.clone(), verdict.clone())));
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, self.text(side))
    }

    fn text(&self, side: Side) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut text =
            format!("# {SUITE}, {} cases; tidegate-client {version}, {}\n", self.rows.len(), side.example());
        for (case, verdict) in &self.rows {
            text.push_str(&format!("{case:<8} {verdict}\n"));
        }
        text
    }

    /// What is wrong with the verdict of a run: it is not clean, or not what the table says.
    pub(crate) fn fault(&self, case: &Case, verdict: &Verdict) -> Option<String> {
        let Verdict { behaviour, close } = verdict;
        let said = format!("{behaviour}, close {close}");
        match self.rows.get(case) {
            _ if !verdict.is_clean(case) => Some(said),
            Some(row) if row == verdict => None,
            Some(row) => Some(format!("{said}; the table has {}, close {}", row.behaviour, row.close)),
            None => Some(format!("{said}; the table has no such row (--update writes it)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# head\n1.1.1    OK            OK\n7.1.6    INFORMATIONAL INFORMATIONAL\n12.1.1   OK            OK\n";

    fn verdict(behaviour: &str, close: &str) -> Verdict {
        Verdict { behaviour: behaviour.to_owned(), close: close.to_owned() }
    }

    fn fault(case: &str, behaviour: &str, close: &str) -> Option<String> {
        Table::parse(TEXT).fault(&case.parse().unwrap(), &verdict(behaviour, close))
    }

    #[test]
    fn a_table_is_written_as_it_is_read_and_sorted_by_number() {
        let text = Table::parse(TEXT).text(Side::Server);
        let (head, rows) = text.split_once('\n').unwrap();
        assert!(head.starts_with("# autobahntestsuite 25.10.1, 3 cases; tidegate-client "));
        assert_eq!(rows, TEXT.split_once('\n').unwrap().1);
    }

    #[test]
    fn the_committed_tables_are_whole_and_clean_and_of_the_pinned_suite() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests").join("conformance");
        let pinned = fs::read_to_string(folder.join("autobahn/lib/requirements.txt")).unwrap();
        assert!(pinned.contains(&format!("{} ", SUITE.replace(' ', "=="))));
        for side in [Side::Server, Side::Client] {
            let text = fs::read_to_string(folder.join(format!("results/{side}.txt"))).unwrap();
            let table = Table::parse(&text);
            assert_eq!(table.rows.len(), 517, "{side}");
            assert!(table.rows.iter().all(|(case, verdict)| verdict.is_clean(case)), "{side}");
            assert!(text.starts_with(&format!("# {SUITE}, 517 cases; ")), "{side}");
            assert_eq!(text.lines().count(), 518, "{side}");
        }
    }

    #[test]
    fn only_ok_passes_and_informational_where_the_rfc_is_open() {
        assert_eq!(fault("1.1.1", "OK", "OK"), None);
        assert_eq!(fault("7.1.6", "INFORMATIONAL", "INFORMATIONAL"), None);
        for (behaviour, close) in [
            ("NON-STRICT", "OK"),
            ("FAILED", "OK"),
            ("UNIMPLEMENTED", "OK"),
            ("INFORMATIONAL", "OK"),
            ("OK", "FAILED"),
        ] {
            assert_eq!(fault("1.1.1", behaviour, close), Some(format!("{behaviour}, close {close}")));
        }
    }

    #[test]
    fn a_verdict_that_the_table_does_not_have_is_a_fault() {
        let found = fault("7.1.6", "OK", "OK").unwrap();
        assert_eq!(found, "OK, close OK; the table has INFORMATIONAL, close INFORMATIONAL");
        assert!(fault("1.1.2", "OK", "OK").unwrap().contains("no such row"));
    }

    #[test]
    fn only_numbers_with_dots_are_cases() {
        for text in ["", "1", "autobahn", "1.x", "1.2.3.4", "..", "-1.2"] {
            assert!(text.parse::<Case>().is_err(), "{text}");
        }
        assert_eq!("9.10.11".parse::<Case>().unwrap().to_string(), "9.10.11");
    }
}
