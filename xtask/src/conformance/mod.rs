//! The Autobahn test suite against our server and our client: builds the two examples that echo, lets the
//! suite's fuzzers loose on them, and holds what it says against the committed tables.
//!
//! `plan` reads what is to be run, `peer` is our side, `autobahn` the suite's, `table` the comparison. The
//! suite itself, its installation and its options are in `tests/conformance/autobahn`.

mod peer;
mod plan;
mod table;
mod autobahn;

use std::path::PathBuf;

pub(crate) use crate::conformance::plan::USAGE;

use crate::{
    checkout::Checkout,
    conformance::{
        autobahn::Report,
        peer::{Build, EchoServer},
        plan::{Cases, Plan, Side},
        table::Table,
    },
    setup, suite,
    tally::Tally,
};

/// As the quick ones, but with messages of 1 KiB for compression: a byte takes a write, a read and two
/// changes of process.
const SLICED: &str = "1,2,3,4,5,6,7,10,12.*.4,13.*.4";

/// What every change must pass: the quick cases against a debug build, which the tests have built already.
pub(crate) fn quick(checkout: &Checkout) -> Tally {
    match suite::build(checkout) {
        true => run(checkout, &Plan { cases: Cases::Quick, build: Build::Debug, ..Plan::whole() }),
        false => Tally::check("conformance: the workspace does not build", false),
    }
}

/// All cases, or what the options say, against a release build.
pub(crate) fn chosen(checkout: &Checkout) -> Tally {
    match Plan::read(&checkout.passed_on) {
        Ok(plan) => build_and_run(checkout, &plan),
        Err(unknown) => Tally::check(&format!("conformance: {unknown}\n{USAGE}"), false),
    }
}

/// Cases once more, with every byte written alone in both directions: the same verdicts.
pub(crate) fn sliced(checkout: &Checkout) -> Tally {
    let cases = Cases::Listed(SLICED.to_owned());
    build_and_run(checkout, &Plan { cases, slice: Some(1), ..Plan::whole() })
}

fn build_and_run(checkout: &Checkout, plan: &Plan) -> Tally {
    match peer::build(checkout) {
        true => run(checkout, plan),
        false => Tally::check("conformance: the examples do not build", false),
    }
}

fn run(checkout: &Checkout, plan: &Plan) -> Tally {
    if !setup::autobahn(checkout) {
        return Tally::skipped("conformance: the Autobahn suite is not installed and cannot be");
    }
    let mut total = Tally::default();
    for side in &plan.sides {
        println!("-- {side}");
        match report(checkout, plan, *side) {
            Ok(report) => total.add(judge(checkout, plan, *side, &report)),
            Err(error) => total.fail(format!("conformance {side}: {error}")),
        }
    }
    total
}

fn report(checkout: &Checkout, plan: &Plan, side: Side) -> Result<Report, String> {
    match side {
        Side::Server => {
            let server = EchoServer::start(checkout, plan.build)?;
            autobahn::run(checkout, plan, side, &[format!("ws://{}", server.address)])
        }
        Side::Client => {
            let client = peer::example(checkout, plan.build, "autobahn_client");
            autobahn::run(checkout, plan, side, &[client.display().to_string()])
        }
    }
}

/// One count for each case, and one for a run that the suite did not end.
fn judge(checkout: &Checkout, plan: &Plan, side: Side, report: &Report) -> Tally {
    let file = table_file(checkout, side);
    let mut tally = Tally::default();
    let mut table = Table::read(&file).unwrap_or_default();
    if plan.update {
        match table.write(&file, side, &report.results, matches!(plan.cases, Cases::All)) {
            Ok(()) => println!("written: {}", file.display()),
            Err(error) => tally.fail(format!("conformance {side}: {}: {error}", file.display())),
        }
    }
    for (case, verdict) in &report.results {
        match table.fault(case, verdict) {
            None => tally.passed += 1,
            Some(fault) => tally.fail(format!("conformance {side} {case}: {fault}")),
        }
    }
    if let Some(fault) = report.fault() {
        tally.fail(format!("conformance {side}: {fault}"));
    }
    println!("-- {side}: {tally}");
    tally
}

fn table_file(checkout: &Checkout, side: Side) -> PathBuf {
    checkout.root.join("tests/conformance/results").join(format!("{side}.txt"))
}
