//! CPU time of an echoed message over loopback: an echo server on our library, on others, and on none, each a process
//! on the first CPU; the load generator is on the second. Rounds in which every case runs once, each in another order.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::{
    comparison::{Comparison, FLOOR, is_foreign},
    load::Programs,
    protocol::{build, named},
    record::{Record, number},
};
use crate::process::show;

/// The example of `tidegate-client`, measured beside the servers of `bench/protocol`.
const EXAMPLE: &str = "tidegate-client, example";
const ROUNDS: usize = 5;

/// What the load generator does: bytes of a message, messages in flight on each of 64 connections.
const CASES: &[(&str, &str)] =
    &[("32", "1"), ("1024", "1"), ("16384", "1"), ("32", "16"), ("1024", "16"), ("16384", "16")];

/// A server, killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
}

/// Takes the table.
pub(super) fn echo(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let program = build(programs)?;
    let example = programs.target.join("release/examples/echo_server");
    let has_example = show(&mut programs.build(&["-p", "tidegate-client", "--example", "echo_server"], ""));
    let mut names = named(programs, &program, "server")?;
    names.extend(has_example.then(|| EXAMPLE.to_owned()));
    let command = |name: &str| {
        let mut command = programs.on_first_cpu(if name == EXAMPLE { &example } else { &program });
        command.args(if name == EXAMPLE { vec!["127.0.0.1:0"] } else { vec!["echo", name] });
        command
    };
    let mut times: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (case, server) in shuffled(CASES.len(), names.len(), round as u64 + 1) {
            let (size, in_flight) = CASES[case];
            let running = Server::start(command(&names[server]))?;
            let line =
                programs.echo(&names[server], &running.url, running.child.id(), size, in_flight, record)?;
            times.entry((case, server)).or_default().push(number(&line, "cpu_us_per_message")?);
        }
        println!("   round {} of {ROUNDS}", round + 1);
    }
    let mut comparison = Comparison::with_places(2);
    for ((case, server), mut times) in times {
        times.sort_by(f64::total_cmp);
        let (size, in_flight) = CASES[case];
        comparison.add(&format!("{size} B, {in_flight} in flight"), &names[server], times[times.len() / 2]);
    }
    println!("\nCPU µs of the server a message\n\n{comparison}");
    for ours in [EXAMPLE, "tidegate-websocket", "tidegate-websocket, slab"] {
        for ratio in
            [comparison.ratios(ours, is_foreign), comparison.ratios(ours, |name| name == FLOOR)].concat()
        {
            println!("   {ours}, {ratio}");
        }
    }
    Ok(())
}

impl Server {
    /// Starts it and reads its address, the first thing that it prints.
    pub(super) fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("an echo server: {error}"))?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            drop(BufReader::new(output).read_line(&mut address));
        }
        let server = Self { child, url: format!("ws://{}/", address.trim()) };
        if address.is_empty() {
            Err("an echo server does not say where it listens".to_owned())
        } else {
            Ok(server)
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// All pairs of case and server, in an order that the seed decides.
fn shuffled(cases: usize, servers: usize, seed: u64) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> =
        (0..cases).flat_map(|case| (0..servers).map(move |server| (case, server))).collect();
    let mut state = seed;
    for place in (1..pairs.len()).rev() {
        // Numbers that need not be good, only different each round.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        pairs.swap(place, (state >> 33) as usize % (place + 1));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_there_once_and_the_order_depends_on_the_seed() {
        let mut first = shuffled(6, 11, 1);
        assert_ne!(first, shuffled(6, 11, 2));
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 66);
    }
}
