//! The tests and the doc tests. They run under nextest where it is installed and under `cargo test` where
//! it is not; what either prints is read for the counts, and the file of skips for tests that ran
//! without being able to test. A run that fails without saying what failed counts as one failure.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tidegate_test_tools::{find::program, skip::SKIPS_VARIABLE};

use crate::{
    checkout::Checkout,
    process::{show, stream},
    tally::Tally,
};

/// Unit and integration tests of the workspace. nextest gives each test a process and a time limit, so it
/// is preferred, but building it takes minutes: set-up does not. `TIDEGATE_NEXTEST=no` does without.
pub(crate) fn test(checkout: &Checkout) -> Tally {
    // One build with one set of features serves the tests, the doc tests and the commands.
    if !checkout.names_packages() && !build(checkout) {
        return Tally::check("test: the workspace does not build", false);
    }
    let unwanted = std::env::var("TIDEGATE_NEXTEST").is_ok_and(|value| value == "no");
    if program("cargo-nextest").is_some() && !unwanted {
        let subcommand = ["nextest", "run", "--no-fail-fast", "--no-tests=pass", "--status-level=fail"];
        counted(checkout, &subcommand, Runner::Nextest)
    } else {
        let subcommand = ["test", "--no-fail-fast", "--tests"];
        counted(checkout, &subcommand, Runner::Libtest)
    }
}

/// The examples in documentation comments.
pub(crate) fn doctest(checkout: &Checkout) -> Tally {
    counted(checkout, &["test", "--doc", "--no-fail-fast"], Runner::Libtest)
}

/// Builds every target of the workspace, the programs too.
pub(crate) fn build(checkout: &Checkout) -> bool {
    let whole = Checkout {
        passed_on: Vec::new(),
        programs: PathBuf::new(),
        root: checkout.root.clone(),
        ..*checkout
    };
    show(&mut whole.cargo(&["build", "--all-targets"]))
}

/// Who prints the lines that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Nextest,
    Libtest,
}

fn counted(checkout: &Checkout, subcommand: &[&str], runner: Runner) -> Tally {
    let skips = checkout.programs.join(format!("tidegate-skips-{}", std::process::id()));
    drop(fs::remove_file(&skips));
    let mut reader = Reader::new(runner);
    let mut command = checkout.cargo(subcommand);
    let succeeded = stream(command.env(SKIPS_VARIABLE, &skips), |line| reader.read(line));
    let recorded = fs::read_to_string(&skips).unwrap_or_default();
    drop(fs::remove_file(&skips));
    reader.finish(succeeded, &recorded, &format!("cargo {}", subcommand.join(" ")))
}

/// Reads the output of `cargo test` under miri and the like, which libtest prints too.
pub(crate) fn libtest(command: &mut std::process::Command, name: &str) -> Tally {
    let mut reader = Reader::new(Runner::Libtest);
    let succeeded = stream(command, |line| reader.read(line));
    reader.finish(succeeded, "", name)
}

/// Picks counts and names out of the lines of a runner.
struct Reader {
    runner: Runner,
    tally: Tally,
    /// nextest repeats the names of what failed after its summary.
    after_summary: bool,
    /// Packages were handed through and none has a library, so there are no doc tests.
    without_library: bool,
}

impl Reader {
    fn new(runner: Runner) -> Self {
        Self { runner, tally: Tally::default(), after_summary: false, without_library: false }
    }

    fn read(&mut self, line: &str) {
        match self.runner {
            Runner::Nextest => self.read_nextest(line),
            Runner::Libtest => self.read_libtest(line),
        }
    }

    /// `Summary [ 0.7s] 35 tests run: 31 passed (1 slow), 2 failed, 1 timed out, 1 skipped`, then the
    /// names. An interrupted run says `20/35 tests run`; what it left out counts as failed.
    fn read_nextest(&mut self, line: &str) {
        let line = line.trim();
        if self.after_summary {
            let is_name = line.contains("] ") && !line.starts_with("error");
            self.tally.notes.extend(is_name.then(|| format!("failed: {line}")));
            return;
        }
        let Some((begin, counts)) = line.split_once(" run: ").filter(|_| line.starts_with("Summary ["))
        else {
            return;
        };
        self.after_summary = true;
        for (number, label) in numbers(&without_parentheses(counts), ", ") {
            match label.as_str() {
                "passed" => self.tally.passed += number,
                "skipped" => self.tally.skipped += number,
                _ => self.tally.failed += number,
            }
        }
        let share = begin.split_whitespace().find_map(|word| word.split_once('/'));
        let share =
            share.and_then(|(run, all)| Some((run.parse::<usize>().ok()?, all.parse::<usize>().ok()?)));
        let (run, all) = share.unwrap_or_default();
        self.tally.failed += all.saturating_sub(run);
    }

    /// `test result: FAILED. 3 passed; 1 failed; 0 ignored; …` of each test program, and before it
    /// `test name ... FAILED`.
    fn read_libtest(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.tally.notes.push(format!("failed: {name}"));
        }
        self.without_library |= line.starts_with("error: no library targets found");
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        let counts = counts.split_once(". ").map_or("", |(_, counts)| counts);
        for (number, label) in numbers(counts, "; ") {
            match label.as_str() {
                "passed" => self.tally.passed += number,
                "failed" => self.tally.failed += number,
                "ignored" => self.tally.skipped += number,
                _ => {}
            }
        }
    }

    /// Adds what the exit status and the file of skips say. Each line there is a test and its reason, a
    /// test that was counted as passed.
    fn finish(mut self, succeeded: bool, recorded: &str, name: &str) -> Tally {
        let skips: BTreeMap<&str, &str> = recorded.lines().filter_map(|line| line.split_once('\t')).collect();
        for (test, why) in skips {
            self.tally.passed = self.tally.passed.saturating_sub(1);
            self.tally.skip(format!("{test}: {why}"));
        }
        if !succeeded && self.tally.failed == 0 && !self.without_library {
            self.tally.fail(name);
        }
        if succeeded && self.runner == Runner::Nextest && !self.after_summary {
            self.tally.fail(format!("{name}: no summary to count from"));
        }
        self.tally
    }
}

fn numbers(counts: &str, separator: &str) -> Vec<(usize, String)> {
    let pair = |part: &str| {
        let (number, label) = part.trim().split_once(' ')?;
        Some((number.parse().ok()?, label.trim().to_owned()))
    };
    counts.split(separator).filter_map(pair).collect()
}

fn without_parentheses(text: &str) -> String {
    let pieces = text.split('(').enumerate();
    pieces
        .map(
            |(index, piece)| {
                if index == 0 { piece } else { piece.split_once(')').map_or("", |(_, rest)| rest) }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(runner: Runner, lines: &[&str], succeeded: bool, skips: &str) -> Tally {
        let mut reader = Reader::new(runner);
        lines.iter().for_each(|line| reader.read(line));
        reader.finish(succeeded, skips, "cargo test")
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        let lines = [
            "    Starting 35 tests across 2 binaries",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out",
            "     Summary [   0.698s] 35 tests run: 31 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 1 skipped",
            "        FAIL [   0.154s] (27/35) tidy direction::tests::order",
            "error: test run failed",
        ];
        let tally = read(Runner::Nextest, &lines, false, "");
        assert_eq!((tally.passed, tally.failed, tally.skipped), (31, 3, 1));
        assert_eq!(tally.notes, ["failed: FAIL [   0.154s] (27/35) tidy direction::tests::order"]);
    }

    #[test]
    fn tests_that_an_interrupted_run_left_out_have_failed() {
        let lines = ["     Summary [   0.1s] 20/35 tests run: 20 passed, 0 skipped"];
        assert_eq!(read(Runner::Nextest, &lines, false, "").failed, 15);
    }

    #[test]
    fn every_result_of_libtest_is_added() {
        let lines = [
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 4 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.00s",
        ];
        let tally = read(Runner::Libtest, &lines, false, "");
        assert_eq!((tally.passed, tally.failed, tally.skipped), (5, 1, 2));
        assert_eq!(tally.notes, ["failed: a::c"]);
    }

    #[test]
    fn a_run_that_fails_without_a_name_is_one_failure() {
        let tally = read(Runner::Libtest, &["error: could not compile"], false, "");
        assert_eq!((tally.failed, tally.notes), (1, vec!["failed: cargo test".to_owned()]));
        assert_eq!(read(Runner::Nextest, &["nothing to count"], true, "").failed, 1);
    }

    #[test]
    fn a_recorded_skip_is_never_counted_as_passed_and_only_once() {
        let lines = ["     Summary [   0.1s] 3 tests run: 3 passed, 0 skipped"];
        let tally = read(Runner::Nextest, &lines, true, "web::opens\tno chromium\nweb::opens\tagain\n");
        assert_eq!((tally.passed, tally.failed, tally.skipped), (2, 0, 1));
        assert_eq!(tally.notes, ["skipped: web::opens: again"]);
    }
}
