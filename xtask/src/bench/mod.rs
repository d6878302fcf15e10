//! The figures of this version: builds what is measured, takes one figure after the other, prints a table and
//! keeps the raw lines in `bench/results/DATE.jsonl`, those of comparisons in `protocol-DATE.jsonl`. What a figure
//! is, and how it is taken, is in the modules of their names; the load comes from `bench/wsload`.

mod record;
mod gateway;
mod load;
mod instructions;
mod deflate;
mod difference;
mod figures;
mod comparison;
mod protocol;
mod echo;
mod inspect;

use std::fs;

use crate::{checkout::Checkout, process::show, tally::Tally};

use load::Programs;
use record::Record;

/// What takes a figure: it adds rows to the record, or says why it could not.
type Take = fn(&Programs, &mut Record) -> Result<(), String>;

/// One figure, by the name that chooses it on the command line.
struct Figure {
    name: &'static str,
    take: Take,
    /// Foreign programs without which it is skipped.
    needs: &'static [&'static str],
    /// Taken only when it is named, because it takes minutes.
    only_named: bool,
    /// Of our WebSocket library beside those of others; no gateway is needed.
    compares: bool,
}

const fn figure(name: &'static str, take: Take, needs: &'static [&'static str]) -> Figure {
    Figure { name, take, needs, only_named: false, compares: false }
}

const fn comparison(name: &'static str, take: Take, needs: &'static [&'static str]) -> Figure {
    Figure { name, take, needs, only_named: true, compares: true }
}

const FIGURES: &[Figure] = &[
    figure("size", figures::size, &[]),
    figure("idle", figures::idle, &[]),
    figure("round", figures::round, &["strace"]),
    figure("time", figures::time, &["taskset"]),
    figure("instructions", instructions::instructions, &["valgrind", "callgrind_annotate"]),
    figure("deflate", deflate::deflate, &["taskset", "valgrind", "callgrind_annotate"]),
    figure("difference", difference::difference, &[]),
    figure("resume", figures::resume, &[]),
    figure("inspect", inspect::inspect, &["taskset"]),
    figure("job", figures::job, &["python3"]),
    Figure { name: "cold", take: figures::cold, needs: &[], only_named: true, compares: false },
    comparison("protocol", protocol::protocol, &["valgrind"]),
    comparison("echo", echo::echo, &["taskset"]),
];

/// Takes all figures, or those that were named behind `--`.
pub(crate) fn bench(checkout: &Checkout) -> Tally {
    let names = &checkout.passed_on;
    if let Some(unknown) = names.iter().find(|name| FIGURES.iter().all(|figure| figure.name != **name)) {
        return Tally::check(&format!("bench: there is no figure `{unknown}`"), false);
    }
    let chosen = |figure: &&Figure| match names.is_empty() {
        true => !figure.only_named,
        false => names.iter().any(|name| name == figure.name),
    };
    let programs = Programs::new(checkout);
    let mut tally = Tally::default();
    for (compares, file) in [(false, ""), (true, "protocol-")] {
        let chosen: Vec<&Figure> =
            FIGURES.iter().filter(chosen).filter(|figure| figure.compares == compares).collect();
        if !chosen.is_empty() {
            tally.add(take_all(&chosen, &programs, file));
        }
    }
    tally
}

/// Takes figures whose raw lines go into one file.
fn take_all(figures: &[&Figure], programs: &Programs, file: &str) -> Tally {
    let needs_gateway = figures.iter().any(|figure| !figure.compares);
    if !show(&mut programs.build_load()) || (needs_gateway && !show(&mut programs.build_gateway())) {
        return Tally::check("bench: what is to be measured does not build", false);
    }
    let mut record = Record::new(programs.checkout);
    let mut tally = Tally::default();
    for figure in figures {
        println!("-- {}", figure.name);
        tally.add(take(figure, programs, &mut record));
    }
    print!("\n{record}");
    let kept = keep(programs.checkout, file, &record);
    tally.add(Tally::check("bench: the raw lines cannot be written", kept));
    tally
}

fn take(figure: &Figure, programs: &Programs, record: &mut Record) -> Tally {
    let is_absent = |program: &&&str| tidegate_test_tools::find::program(program).is_none();
    if let Some(program) = figure.needs.iter().find(is_absent) {
        return Tally::skipped(format!("bench {}: {program} is not installed", figure.name));
    }
    match (figure.take)(programs, record) {
        Ok(()) => Tally::check(figure.name, true),
        Err(error) => Tally::check(&format!("bench {}: {error}", figure.name), false),
    }
}

/// Adds the raw lines to those of the same day.
fn keep(checkout: &Checkout, prefix: &str, record: &Record) -> bool {
    let folder = checkout.root.join("bench/results");
    let file = folder.join(format!("{prefix}{}.jsonl", record.date()));
    let before = fs::read_to_string(&file).unwrap_or_default();
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, before + &record.raw_lines()));
    kept.is_ok()
}
