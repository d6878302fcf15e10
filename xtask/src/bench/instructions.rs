//! User-space instructions of a delivery, by callgrind: two runs that differ only in how many publications they
//! make; what differs in instructions, divided by what differs in deliveries. Handshakes and the start cancel out.
//! A delivery that costs more than what is committed here, and some hundredths, is a failure.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    gateway::Gateway,
    load::Programs,
    record::{Record, grouped},
};
use crate::process::show;

/// Publications of the two runs, to as many subscribers as `SUBSCRIBERS` says.
const PUBLICATIONS: [u32; 2] = [100, 600];
const SUBSCRIBERS: &str = "1000";
/// Instructions of a delivery of 64 bytes, as of the last change that was meant to change them. Another compiler makes
/// others, too: who changes this says in docs/figures.md why.
const BASELINE: f64 = 327.0;
/// What may be added to it. Runs of one build differ by a hundredth, for a publication takes more or fewer rounds.
const TOLERANCE: f64 = 0.03;
/// Functions that are listed.
const LISTED: usize = 15;

/// Characters of a function's name that are shown.
const NAME_MOST: usize = 60;

/// What one run under callgrind gave.
struct Run {
    /// Messages that fan-out put into send queues.
    deliveries: f64,
    /// Instructions by function.
    functions: BTreeMap<String, f64>,
}

/// Takes the figure and lists the functions behind it.
pub(super) fn instructions(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let each = of_a_delivery(programs, record, &["-s", "64"])?;
    let sum: f64 = each.iter().map(|(_, count)| count).sum();
    record.row("user instructions of a delivery, 64 B, 1 000 subscribers", grouped(sum));
    for (name, count) in each.iter().take(LISTED) {
        record.row(format!("  {}", shortened(name)), format!("{count:.1}"));
    }
    record.row("against the baseline", format!("{:+.1} %", (sum / BASELINE - 1.0) * 100.0));
    judge(sum)
}

/// Whether a delivery may cost so many instructions.
fn judge(instructions: f64) -> Result<(), String> {
    let most = BASELINE * (1.0 + TOLERANCE);
    if instructions > most {
        return Err(format!(
            "a delivery costs {instructions:.1} instructions, and {most:.1} is the most that it may: make it cheaper, or \
             raise BASELINE and say in docs/figures.md why"
        ));
    }
    Ok(())
}

/// The functions of a delivery with their instructions, most first. `arguments` are those of the load.
pub(super) fn of_a_delivery(
    programs: &Programs,
    record: &mut Record,
    arguments: &[&str],
) -> Result<Vec<(String, f64)>, String> {
    if !show(&mut programs.build_named_gateway()) {
        return Err("the gateway does not build".to_owned());
    }
    let few = under_callgrind(programs, record, PUBLICATIONS[0], arguments)?;
    let many = under_callgrind(programs, record, PUBLICATIONS[1], arguments)?;
    let deliveries = many.deliveries - few.deliveries;
    let mut each: Vec<(String, f64)> = many
        .functions
        .into_iter()
        .map(|(name, count)| (count - few.functions.get(&name).copied().unwrap_or(0.0), name))
        .map(|(count, name)| (name, count / deliveries))
        .collect();
    each.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(each)
}

fn under_callgrind(
    programs: &Programs,
    record: &mut Record,
    publications: u32,
    arguments: &[&str],
) -> Result<Run, String> {
    let file = programs.target.join(format!("callgrind.{publications}"));
    drop(fs::remove_file(&file));
    let mut command = programs.checkout.command("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(&programs.named_gateway);
    let gateway = Gateway::start(command, "1")?;
    let count = publications.to_string();
    let fixed = ["fanout", "--block", "-n", SUBSCRIBERS, "--publications", &count];
    programs.run("instructions", &gateway, &[&fixed, arguments].concat(), record)?;
    let deliveries = gateway.counter("tidegate_enqueued_messages_total")?;
    gateway.end()?;
    let functions = functions(programs, &file)?;
    let collected: f64 = functions.values().sum();
    let line = format!("{{\"deliveries\":{deliveries},\"instructions\":{collected}}}");
    record.raw("instructions", "valgrind --tool=callgrind tidegate serve --shards 1", &line);
    Ok(Run { deliveries, functions })
}

/// What callgrind_annotate says of each function.
fn functions(programs: &Programs, file: &PathBuf) -> Result<BTreeMap<String, f64>, String> {
    let mut command = programs.checkout.command("callgrind_annotate");
    let output = command.args(["--threshold=100", "--auto=no"]).arg(Path::new(file)).output();
    let output = output.map_err(|error| format!("callgrind_annotate: {error}"))?;
    let mut functions = BTreeMap::new();
    for (name, count) in String::from_utf8_lossy(&output.stdout).lines().filter_map(function) {
        *functions.entry(name).or_insert(0.0) += count;
    }
    if functions.is_empty() {
        return Err("callgrind_annotate lists no function".to_owned());
    }
    Ok(functions)
}

/// `1,234 ( 5.67%)  file.rs:function [object]`: the function and its count. Code that was inlined into it from
/// other files has lines of its own with the same name.
fn function(line: &str) -> Option<(String, f64)> {
    let (count, rest) = line.trim_start().split_once(" (")?;
    let count = count.replace(',', "").parse().ok()?;
    let (_, place) = rest.split_once("%)")?;
    let place = place.trim().rsplit_once(" [").map_or(place.trim(), |(place, _)| place);
    let ends = [".rs:", ".c:", ".h:", ".S:", "???:"];
    let name = ends.iter().find_map(|end| place.split_once(end)).map(|(_, name)| name)?;
    Some((name.to_owned(), count))
}

/// A name that fits on a line, its end rather than its beginning.
fn shortened(name: &str) -> String {
    let name = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name);
    match name.char_indices().rev().nth(NAME_MOST - 1) {
        Some((place, _)) if place > 0 => format!("…{}", &name[place..]),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_callgrind_is_a_function_and_its_count() {
        let line = "  1,234,567 (12.34%)  /a/b.rs:<x::Y as z::W>::f [/a/tidegate]";
        assert_eq!(function(line), Some(("<x::Y as z::W>::f".to_owned(), 1_234_567.0)));
        assert_eq!(function("12 ( 0.1%)  ???:memcpy [/lib/libc.so.6]"), Some(("memcpy".to_owned(), 12.0)));
        assert_eq!(function("4,321 (100.0%)  PROGRAM TOTALS"), None);
        assert_eq!(function("Ir                   file:function"), None);
    }

    #[test]
    fn a_delivery_that_costs_more_is_a_failure() {
        assert_eq!(judge(BASELINE * 1.02), Ok(()));
        assert!(judge(BASELINE * 1.04).is_err());
    }

    #[test]
    fn names_are_shortened_from_the_left() {
        assert_eq!(shortened("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(shortened(&"x".repeat(NAME_MOST)), "x".repeat(NAME_MOST));
        assert_eq!(shortened(&"x".repeat(99)), format!("…{}", "x".repeat(NAME_MOST)));
    }
}
