//! Times of all libraries and rows: rounds in which every pair runs once, each round in another order, so that
//! what else the machine does falls on all alike. One line for each pair, with the median. The clock is the CPU
//! time of this thread, which stands still while other programs run.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::library::{LIBRARIES, Library};
use crate::row::Row;

/// About what one run takes.
const RUN: Duration = Duration::from_millis(8);

struct Pair<'r> {
    library: &'static Library,
    row: &'r Row,
    messages: u64,
    nanoseconds: Vec<f64>,
}

/// Runs all rounds; prints a line for each pair.
pub fn run(rounds: usize, only: &str) -> Result<(), String> {
    let rows: Vec<Row> = Row::all().into_iter().filter(|row| row.name().contains(only)).collect();
    let all = rows.iter().flat_map(|row| LIBRARIES.iter().map(move |library| (library, row)));
    let mut pairs: Vec<Pair<'_>> = all
        .map(|(library, row)| Pair { library, row, messages: enough(library, row), nanoseconds: Vec::new() })
        .collect();
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    for _ in 0..rounds {
        fastrand::shuffle(&mut order);
        for place in &order {
            let pair = &mut pairs[*place];
            let took = timed(pair.library, pair.row, pair.messages);
            pair.nanoseconds.push(took.as_nanos() as f64 / pair.messages as f64);
        }
    }
    for pair in &mut pairs {
        print_line(pair);
    }
    Ok(())
}

fn timed(library: &Library, row: &Row, messages: u64) -> Duration {
    let begun = cpu_time();
    library.run(row, messages);
    cpu_time().saturating_sub(begun)
}

/// CPU time of this thread.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// How many messages take about as long as a run should.
fn enough(library: &Library, row: &Row) -> u64 {
    let mut messages = 4;
    // The first run makes the bytes of the row, and warms up.
    library.run(row, messages);
    loop {
        let took = timed(library, row, messages);
        if took * 2 > RUN {
            return messages;
        }
        messages *= 2;
    }
}

fn print_line(pair: &mut Pair<'_>) {
    pair.nanoseconds.sort_by(f64::total_cmp);
    let (low, high) = (pair.nanoseconds[0], pair.nanoseconds[pair.nanoseconds.len() - 1]);
    let median = pair.nanoseconds[pair.nanoseconds.len() / 2];
    println!(
        "{{\"library\":\"{}\",\"row\":\"{}\",\"messages\":{},\"ns\":{median:.1},\"ns_low\":{low:.1},\"ns_high\":{high:.1},\"gb_per_s\":{:.3}}}",
        pair.library.name,
        pair.row.name(),
        pair.messages,
        pair.row.size as f64 / median,
    );
}
