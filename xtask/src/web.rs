//! The browser module in `web/client` and the page in `web/page`: their types, their unit tests under Node, and
//! whether the committed `dist/` is what the sources make and small enough. What each step does is in their
//! `package.json`; browsers are driven by `tests/end_to_end`.

use std::{path::PathBuf, process::Command};

use tidegate_test_tools::{browser_module, find::program, foreign::Installed, page};

use crate::{
    checkout::Checkout,
    process::{show, stream},
    setup,
    tally::Tally,
};

/// For each of the two one count for the types, one for each unit test, one for `dist/`.
pub(crate) fn web(checkout: &Checkout) -> Tally {
    let mut tally = Tally::default();
    tally.add(package(checkout, "web/client", browser_module(), &Installed::browser_module()));
    tally.add(package(checkout, "web/page", page(), &Installed::page()));
    tally
}

fn package(checkout: &Checkout, name: &str, folder: PathBuf, installed: &Installed) -> Tally {
    if program("node").is_none() || !setup::npm(checkout, installed) {
        return Tally::skipped(format!("web: Node or the packages of {name}/package.json are missing"));
    }
    let npm = |script: &str| {
        let mut npm = checkout.command("npm");
        npm.args(["run", "--silent", script]).current_dir(&folder);
        npm
    };
    let mut tally = Tally::check(&format!("{name}: types"), show(&mut npm("check")));
    tally.add(tests(name, &mut npm("test")));
    let what = format!("{name}: dist/ is what src/ makes, and small");
    tally.add(Tally::check(&what, show(&mut npm("verify"))));
    tally
}

fn tests(name: &str, npm: &mut Command) -> Tally {
    let mut tally = Tally::default();
    let succeeded = stream(npm, |line| count(name, &mut tally, line));
    if succeeded && tally.passed == 0 {
        tally.fail(format!("{name}: no count of tests"));
    } else if !succeeded && tally.failed == 0 {
        tally.fail(format!("{name}: the unit tests"));
    }
    tally
}

/// `not ok 3 - NAME`, and the sums behind all (TAP, version 13).
fn count(package: &str, tally: &mut Tally, line: &str) {
    let sum = |label: &str| line.strip_prefix(label).and_then(|number| number.trim().parse::<usize>().ok());
    if let Some((_, name)) = line.strip_prefix("not ok ").and_then(|rest| rest.split_once(" - ")) {
        tally.fail(format!("{package}: {name}"));
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
            count("web/client", &mut tally, line);
        }
        assert_eq!((tally.passed, tally.failed, tally.skipped), (40, 1, 1));
        assert_eq!(tally.notes, ["failed: web/client: a patch"]);
    }
}
