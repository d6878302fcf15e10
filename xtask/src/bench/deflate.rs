//! What compression adds to a delivery: the same publications to subscribers that agreed on it and to others, one
//! round of each after the other, so that what else the machine does falls on both.

use super::{
    gateway::Gateway,
    instructions::of_a_delivery,
    load::Programs,
    record::{Record, grouped, number},
};

/// Rounds of each; the median counts.
const ROUNDS: usize = 7;

/// 1 KiB of JSON.
const PAYLOAD: [&str; 3] = ["-s", "1024", "--json"];

/// One kind of subscribers.
struct Kind {
    name: &'static str,
    arguments: &'static [&'static str],
    /// CPU time of a delivery in each round, in microseconds.
    times: Vec<f64>,
    /// Bytes of a delivery on the wire.
    bytes: f64,
}

/// CPU time and user instructions of a delivery, compressed and not.
pub(super) fn deflate(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let kind = |name, arguments| Kind { name, arguments, times: Vec::new(), bytes: 0.0 };
    let mut kinds = [kind("plain", &[]), kind("compressed", &["--deflate"])];
    for _ in 0..ROUNDS {
        for kind in &mut kinds {
            round(programs, record, kind)?;
        }
    }
    for kind in &mut kinds {
        kind.times.sort_by(f64::total_cmp);
        let (low, high) = (kind.times[0], kind.times[ROUNDS - 1]);
        let value = format!("{:.2} ({low:.2} to {high:.2}) µs", median(kind));
        record.row(format!("CPU time of a delivery, 1 KiB of JSON, {}", kind.name), value);
        record.row(format!("its bytes on the wire, {}", kind.name), grouped(kind.bytes));
    }
    let ratio = median(&kinds[1]) / median(&kinds[0]);
    record.row("compressed to plain, CPU time", format!("{ratio:.2}"));
    let mut sums = Vec::new();
    for kind in &kinds {
        let each = of_a_delivery(programs, record, &[&PAYLOAD, kind.arguments].concat())?;
        let sum: f64 = each.iter().map(|(_, count)| count).sum();
        record.row(format!("user instructions of a delivery, 1 KiB of JSON, {}", kind.name), grouped(sum));
        sums.push(sum);
    }
    record.row("what compression adds to a publication, instructions", grouped((sums[1] - sums[0]) * 1000.0));
    Ok(())
}

/// The middle of times that are sorted.
fn median(kind: &Kind) -> f64 {
    kind.times[ROUNDS / 2]
}

fn round(programs: &Programs, record: &mut Record, kind: &mut Kind) -> Result<(), String> {
    let gateway = Gateway::start(programs.on_first_cpu(&programs.gateway), "1")?;
    let fixed: &[&str] = &["fanout", "--cpu", "1", "-n", "1000", "-d", "3"];
    let line = programs.run("deflate", &gateway, &[fixed, &PAYLOAD, kind.arguments].concat(), record)?;
    gateway.end()?;
    if number(&line, "lost")? + number(&line, "reordered")? > 0.0 {
        return Err(format!("deliveries were lost or reordered: {line}"));
    }
    let compressed = number(&line, "compressed")? > 0.0;
    if compressed == kind.arguments.is_empty() {
        return Err(format!("{} subscribers got something else: {line}", kind.name));
    }
    kind.times.push(number(&line, "cpu_us_per_delivery")?);
    kind.bytes = number(&line, "wire_bytes_per_delivery")?;
    Ok(())
}
