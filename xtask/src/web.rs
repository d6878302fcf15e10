//! The browser module in `web/client`: its types, its unit tests under Node, and whether the committed `dist/` is
//! what its sources make and small enough. What each step does is in its `package.json`; browsers are driven by
//! `tests/end_to_end`.

use std::process::Command;

use tidegate_test_tools::{browser_module, find::program, foreign::Installed};

use crate::{
    checkout::Checkout,
    process::{show, stream},
    setup,
    tally::Tally,
};

/// One count for the types, one for each unit test, one for `dist/`.
pub(crate) fn web(checkout: &Checkout) -> Tally {
    if program("node").is_none() || !setup::npm(checkout, &Installed::browser_module()) {
        return Tally::skipped("web: Node or the packages of web/client/package.json are missing");
    }
    let mut tally = Tally::check("web: types", show(&mut npm(checkout, "check")));
    tally.add(tests(checkout));
    tally.add(Tally::check("web: dist/ is what src/ makes, and small", show(&mut npm(checkout, "verify"))));
    tally
}

fn npm(checkout: &Checkout, script: &str) -> Command {
    let mut npm = checkout.command("npm");
    npm.args(["run", "--silent", script]).current_dir(browser_module());
    npm
}

fn tests(checkout: &Checkout) -> Tally {
    let mut tally = Tally::default();
    let succeeded = stream(&mut npm(checkout, "test"), |line| count(&mut tally, line));
    if succeeded && tally.passed == 0 {
        tally.fail("web: no count of tests");
    } else if !succeeded && tally.failed == 0 {
        tally.fail("web: the unit tests");
    }
    tally
}

/// `not ok 3 - NAME`, and the sums behind all (TAP, version 13).
fn count(tally: &mut Tally, line: &str) {
    let sum = |label: &str| line.strip_prefix(label).and_then(|number| number.trim().parse::<usize>().ok());
    if let Some((_, name)) = line.strip_prefix("not ok ").and_then(|rest| rest.split_once(" - ")) {
        tally.fail(format!("web: {name}"));
    } else if let Some(passed) = sum("# pass ") {
        tally.passed += passed;
    } else if let Some(skipped) = sum("# skipped ") {
        tally.skipped += skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_nodes_tests_is_counted() {
        let mut tally = Tally::default();
        for line in
            ["ok 1 - a socket", "not ok 2 - a patch", "# tests 42", "# pass 40", "# fail 1", "# skipped 1"]
        {
            count(&mut tally, line);
        }
        assert_eq!((tally.passed, tally.failed, tally.skipped), (40, 1, 1));
        assert_eq!(tally.notes, ["failed: web: a patch"]);
    }
}
