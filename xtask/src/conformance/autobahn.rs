//! The suite's side of a run: starts the script of `tests/conformance/autobahn`, reads a verdict from each
//! of its lines, shows how far it is and what it says about cases that are not OK.

use std::time::Instant;

use crate::{
    checkout::Checkout,
    conformance::{
        plan::{Cases, Plan, Side},
        table::{Case, Results, Verdict},
    },
    process,
};

/// How often progress is shown: after this share of the cases.
const STEPS: usize = 10;

/// What the suite said.
pub(crate) struct Report {
    pub(crate) results: Results,
    /// Cases that it set out to run.
    expected: usize,
}

impl Report {
    /// What kept the run from being whole.
    pub(crate) fn fault(&self) -> Option<String> {
        let (got, expected) = (self.results.len(), self.expected);
        match expected {
            0 => Some("the suite did not run".to_owned()),
            _ => (got != expected).then(|| format!("{got} of {expected} cases were run")),
        }
    }
}

/// Runs the suite against a side; `peer` is the server's URL or the client's command.
pub(crate) fn run(checkout: &Checkout, plan: &Plan, side: Side, peer: &[String]) -> Result<Report, String> {
    let mut command = checkout.command(format!("tests/conformance/autobahn/{side}"));
    command.args(["--verbose", "--strict"]).arg(format!("--jobs={}", plan.jobs));
    match &plan.cases {
        Cases::All => &mut command,
        Cases::Quick => command.arg("--quick"),
        Cases::Listed(list) => command.arg(format!("--cases={list}")),
    };
    if let Some(bytes) = plan.slice {
        command.arg(format!("--slice={bytes}"));
    }
    let mut reader = Reader::new();
    // Its status says no more than the verdicts and their number do.
    process::run(command.args(peer), |line| reader.read(line)).map_err(|error| error.to_string())?;
    Ok(reader.report)
}

/// Picks verdicts out of the lines of the suite and shows the other lines.
struct Reader {
    report: Report,
    begun: Instant,
}

impl Reader {
    fn new() -> Self {
        Self { report: Report { results: Results::new(), expected: 0 }, begun: Instant::now() }
    }

    fn read(&mut self, line: &str) {
        if let Some((case, verdict)) = verdict(line) {
            self.report.results.insert(case, verdict);
            self.show_progress();
        } else if let Some(number) = number_of_cases(line) {
            self.report.expected = number;
        } else {
            println!("{line}");
        }
    }

    fn show_progress(&self) {
        let (done, all) = (self.report.results.len(), self.report.expected);
        let step = all.div_ceil(STEPS).max(1);
        if done.is_multiple_of(step) || done == all {
            println!("{done:>4} of {all} cases, {:.0} s", self.begun.elapsed().as_secs_f32());
        }
    }
}

/// `12.1.1   OK            close OK                37 ms`
fn verdict(line: &str) -> Option<(Case, Verdict)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [case, behaviour, "close", close, _, "ms"] = words[..] else { return None };
    let verdict = Verdict { behaviour: behaviour.to_owned(), close: close.to_owned() };
    Some((case.parse().ok()?, verdict))
}

/// `autobahn server: 517 cases`
fn number_of_cases(line: &str) -> Option<usize> {
    let (script, number) = line.strip_suffix(" cases")?.split_once(": ")?;
    script.starts_with("autobahn ").then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Report {
        let mut reader = Reader::new();
        lines.iter().for_each(|line| reader.read(line));
        reader.report
    }

    #[test]
    fn verdicts_are_read_and_other_lines_are_not() {
        let report = read(&[
            "autobahn: the suite is installed once, into a folder",
            "autobahn server: 2 cases",
            "1.1.1    OK            close OK                 4 ms",
            "6.4.1    NON-STRICT    close FAILED          2004 ms",
            "FAIL 6.4.1 NON-STRICT: Send invalid UTF-8 => took 2 ms",
            "autobahn server x: 1 passed, 1 failed (1 OK, 1 NON-STRICT) in 2.1 s",
        ]);
        let rows: Vec<String> = report.results.iter().map(|(case, row)| format!("{case} {row}")).collect();
        assert_eq!(rows, ["1.1.1 OK            OK", "6.4.1 NON-STRICT    FAILED"]);
        assert_eq!(report.fault(), None);
    }

    #[test]
    fn a_run_that_is_not_whole_is_a_fault() {
        assert_eq!(read(&["autobahn: cannot run"]).fault().unwrap(), "the suite did not run");
        let report = read(&["autobahn client: 3 cases", "1.1.1 OK close OK 4 ms"]);
        assert_eq!(report.fault().unwrap(), "1 of 3 cases were run");
    }
}
