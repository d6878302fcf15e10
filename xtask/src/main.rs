//! `cargo xtask <part>`: everything that CI checks, each part runnable alone.
//!
//! This file reads the command line, runs parts one after another and prints the counts; what a part
//! does is in its own module. The last line of output is `N passed, N failed, N skipped`.
#![forbid(unsafe_code)]

mod tally;
mod process;
mod checkout;
mod setup;
mod checks;
mod suite;
mod web;
mod fence;
mod session;
mod commands;
mod bench;
mod conformance;
mod nightly;
mod part;

use std::{env, process::ExitCode, time::Instant};

use crate::{checkout::Checkout, part::Part, tally::Tally};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (names, passed_on) = part::split(&arguments);
    if names.is_empty() || names.iter().any(|name| matches!(name.as_str(), "help" | "--help" | "-h")) {
        print!("{}", part::help());
        return ExitCode::SUCCESS;
    }
    match part::named(names) {
        Ok(parts) => run(&parts, &Checkout::new(passed_on.to_vec())),
        Err(unknown) => {
            eprint!("There is no part `{unknown}`.\n\n{}", part::help());
            ExitCode::from(2)
        }
    }
}

/// Runs all parts, whatever becomes of the ones before, and prints what came of them.
fn run(parts: &[&Part], checkout: &Checkout) -> ExitCode {
    let mut total = Tally::default();
    let mut table = Vec::new();
    for part in parts {
        println!("== {}: {}", part.name, part.summary);
        let begun = Instant::now();
        let tally = (part.run)(checkout);
        let row = format!(
            "{:<17} {:>7.1} s  {:<7} {tally}",
            part.name,
            begun.elapsed().as_secs_f32(),
            tally.word()
        );
        println!("== {row}\n");
        table.push(row);
        total.add(tally);
    }
    for row in table {
        println!("{row}");
    }
    for note in &total.notes {
        println!("{note}");
    }
    println!("\n{total}");
    let failed = total.failed > 0 || (checkout.under_ci && total.skipped > 0);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
