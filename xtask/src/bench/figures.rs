//! The figures that need no look inside the gateway: its size, the memory of idle connections, the writes of one
//! round, CPU time, the main job. Each function takes one and adds its rows.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::{
    gateway::{Gateway, interrupt},
    load::Programs,
    record::{Record, grouped, number, typed},
};
use crate::process::{show, stream};

/// Idle connections of the memory figure, as far as descriptors allow.
const CONNECTIONS: u64 = 10_000;
/// Connections before these where only what further ones cost is wanted.
const FIRST: u64 = 5000;
/// Idle event streams.
const STREAMS: u64 = 2000;
/// Subscribers in the figure of one round.
const ROUND_SUBSCRIBERS: f64 = 100.0;
/// Rounds of a gateway with two shards.
const ROUNDS_OF_TWO_SHARDS: usize = 5;
/// Repetitions of what varies; the median counts.
const REPETITIONS: usize = 3;

/// The stripped binary.
pub(super) fn size(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let bytes = fs::metadata(&programs.gateway).map_err(|error| error.to_string())?.len() as f64;
    record.raw("size", "cargo build --release", &format!("{{\"bytes\":{bytes}}}"));
    record.row("size of the stripped binary", format!("{:.1} MB", bytes / 1e6));
    Ok(())
}

/// Anonymous resident memory before and after connections that subscribe and then do nothing. The median of
/// some runs counts: what handshakes that were open at the same time leave behind is different each time.
pub(super) fn idle(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let connections = CONNECTIONS.min((descriptors().saturating_sub(1000) * 9 / 10).saturating_sub(FIRST));
    if connections < CONNECTIONS {
        println!("   the limit on file descriptors allows {connections} connections and not {CONNECTIONS}");
    }
    let (sockets, streams) = (connections.to_string(), STREAMS.to_string());
    let first = FIRST.to_string();
    let all = hold(programs, record, &["-n", &sockets])?;
    record.row("memory without connections", format!("{:.1} MB", all.base / 1e6));
    record.row(format!("idle WebSocket, each of {connections}"), format!("{} B", grouped(all.each)));
    let bytes = grouped(hold(programs, record, &["-n", &sockets, "--beyond", &first])?.each);
    record.row(format!("idle WebSocket, each of {connections} beyond {FIRST} others"), format!("{bytes} B"));
    let bytes = grouped(hold(programs, record, &["-n", &streams, "--event-stream"])?.each);
    record.row(format!("idle event stream, each of {STREAMS}"), format!("{bytes} B"));
    Ok(())
}

/// Memory in bytes.
struct Held {
    base: f64,
    each: f64,
}

fn hold(programs: &Programs, record: &mut Record, arguments: &[&str]) -> Result<Held, String> {
    let mut runs = Vec::new();
    for _ in 0..REPETITIONS {
        let gateway = Gateway::start(programs.checkout.command(&programs.gateway), "1")?;
        let line = programs.run("idle", &gateway, &[&["idle"], arguments].concat(), record)?;
        gateway.end()?;
        let (base, each) = (number(&line, "memory_before")?, number(&line, "memory_per_connection")?);
        runs.push(Held { base, each });
    }
    runs.sort_by(|a, b| a.each.total_cmp(&b.each));
    Ok(runs.swap_remove(REPETITIONS / 2))
}

/// The most descriptors that a process may have.
fn descriptors() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(CONNECTIONS * 2)
}

/// Sixteen publications that arrive in one round: writes by the gateway's counter and by strace. With one shard
/// the number is exact; with two, publications cross between them and a round may fall into several.
pub(super) fn round(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let (writes, calls) = one_round(programs, record, "1")?;
    record.row("16 publications in one round: writes a connection", writes / ROUND_SUBSCRIBERS);
    for name in ["sendto", "sendmsg", "write", "writev"] {
        let row = calls.lines().find(|line| line.split_whitespace().last() == Some(name));
        let count = row.and_then(|row| row.split_whitespace().nth(3)).unwrap_or("0");
        record.row(format!("the same, strace counts {name} for 100 connections and 16 answers"), count);
    }
    let mut counts = Vec::new();
    for _ in 0..ROUNDS_OF_TWO_SHARDS {
        counts.push(one_round(programs, record, "2")?.0 / ROUND_SUBSCRIBERS);
    }
    counts.sort_by(f64::total_cmp);
    let (least, most) = (counts[0], counts[ROUNDS_OF_TWO_SHARDS - 1]);
    record.row("16 publications at once with two shards: writes a connection", format!("{least} to {most}"));
    Ok(())
}

/// One round of a gateway: its writes and the report of strace.
fn one_round(programs: &Programs, record: &mut Record, shards: &str) -> Result<(f64, String), String> {
    let gateway = Gateway::start(programs.checkout.command(&programs.gateway), shards)?;
    let subscribers = ROUND_SUBSCRIBERS.to_string();
    let mut command = programs.load("round", &gateway, &["-n", &subscribers, "--publishers", "16", "--wait"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut load = command.spawn().map_err(|error| format!("wsload: {error}"))?;
    let (input, output) = (load.stdin.take(), load.stdout.take());
    let (Some(mut input), Some(output)) = (input, output) else { return Err("wsload: no pipes".to_owned()) };
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    if first != "ready" {
        return Err(format!("wsload round: {first}"));
    }
    let before = gateway.counter("tidegate_writes_total")?;
    let calls = traced(&gateway, &programs.target.join("round.strace"), || {
        drop(input.write_all(b"\n"));
        lines.next().unwrap_or_default()
    });
    let ended = load.wait().is_ok_and(|status| status.success());
    let (line, calls) = calls?;
    if !ended {
        return Err(format!("wsload round: {line}"));
    }
    let writes = gateway.counter("tidegate_writes_total")? - before;
    gateway.end()?;
    let figure = format!("round, --shards {shards}");
    record.raw(&figure, &typed(&command), &line);
    let counted = format!("{{\"tidegate_writes_total\":{writes},\"publications\":16}}");
    record.raw(&figure, "GET /metrics, difference", &counted);
    record.raw_text(&figure, "strace -f -c -e trace=sendto,sendmsg,write,writev -p PID", &calls);
    Ok((writes, calls))
}

/// Runs `action` while strace counts the gateway's writes; gives its result and the report.
fn traced(
    gateway: &Gateway,
    report: &Path,
    action: impl FnOnce() -> String,
) -> Result<(String, String), String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-e", "trace=sendto,sendmsg,write,writev", "-p", &gateway.process()]);
    strace.arg("-o").arg(report).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = strace.spawn().map_err(|error| format!("strace: {error}"))?;
    let mut said = BufReader::new(child.stderr.take().ok_or("strace: no pipe")?);
    let mut first = String::new();
    // `Process 123 attached with 3 threads`, or why not.
    drop(said.read_line(&mut first));
    let result = first.contains("attached").then(action);
    interrupt(&child.id().to_string());
    drop(child.wait());
    let result = result.ok_or_else(|| format!("strace: {}", first.trim()))?;
    let report = fs::read_to_string(report).map_err(|error| format!("strace: {error}"))?;
    Ok((result, report))
}

/// CPU time of a delivery, gateway and load generator on a CPU each.
pub(super) fn time(programs: &Programs, record: &mut Record) -> Result<(), String> {
    for (size, shown) in [("64", "64 B"), ("1024", "1 KiB")] {
        let mut times = Vec::new();
        for _ in 0..REPETITIONS {
            let gateway = Gateway::start(programs.on_first_cpu(&programs.gateway), "1")?;
            let arguments = ["fanout", "--cpu", "1", "-n", "1000", "-s", size];
            let line = programs.run("time", &gateway, &arguments, record)?;
            gateway.end()?;
            let (lost, reordered) = (number(&line, "lost")?, number(&line, "reordered")?);
            if lost + reordered > 0.0 {
                return Err(format!("deliveries were lost or reordered: {line}"));
            }
            times.push(number(&line, "cpu_us_per_delivery")?);
        }
        times.sort_by(f64::total_cmp);
        let (low, median, high) = (times[0], times[REPETITIONS / 2], times[REPETITIONS - 1]);
        let value = format!("{median:.2} ({low:.2} to {high:.2}) µs");
        record.row(format!("CPU time of a delivery, {shown}, 1 000 subscribers"), value);
    }
    Ok(())
}

/// Clients that come back all at once with positions, on a gateway with two shards.
pub(super) fn resume(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let configuration = programs.target.join("resume.toml");
    let text = "[[route]]\npath = \"/{*name}\"\nchannel = {}\nhistory = { size = 100000 }\n";
    fs::write(&configuration, text).map_err(|error| error.to_string())?;
    let configuration = configuration.to_string_lossy();
    let mut times = Vec::new();
    for _ in 0..REPETITIONS {
        let command = programs.checkout.command(&programs.gateway);
        let gateway = Gateway::start_with(command, "2", &["--config", &configuration])?;
        let line = programs.run("resume", &gateway, &["resume", "-n", "5000", "--behind", "100"], record)?;
        gateway.end()?;
        let wrong = number(&line, "lost")? + number(&line, "reordered")? + number(&line, "other")?;
        if wrong > 0.0 {
            return Err(format!("deliveries were lost, repeated or foreign: {line}"));
        }
        times.push(number(&line, "live_after_ms")? / 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let (low, median, high) = (times[0], times[REPETITIONS / 2], times[REPETITIONS - 1]);
    let value = format!("{median:.1} ({low:.1} to {high:.1}) s");
    record.row("5 000 clients come back, 1 to 100 behind: all live, each publication once", value);
    Ok(())
}

/// The main job at size: a crowd before an unmodified file server.
pub(super) fn job(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let package = ["-p", "tidegate-end-to-end", "--bin", "main_job"];
    if !show(&mut programs.build(&package, "")) {
        return Err("main_job does not build".to_owned());
    }
    let mut command = programs.checkout.command(programs.target.join("release/main_job"));
    let mut text = String::new();
    let succeeded = stream(&mut command, |line| text.extend([line, "\n"]));
    record.raw_text("job", "cargo run --release -p tidegate-end-to-end --bin main_job", &text);
    record
        .row("main job, 1 000 WebSockets and 100 event streams", if succeeded { "kept" } else { "violated" });
    if succeeded { Ok(()) } else { Err("a promise was not kept".to_owned()) }
}

/// A build from nothing but downloaded sources.
pub(super) fn cold(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let folder = programs.target.join("cold");
    drop(fs::remove_dir_all(&folder));
    let begun = Instant::now();
    let built = show(&mut programs.build(&[], "cold"));
    let seconds = begun.elapsed().as_secs_f64();
    drop(fs::remove_dir_all(&folder));
    if !built {
        return Err("it does not build".to_owned());
    }
    record.raw("cold", "cargo build --release", &format!("{{\"seconds\":{seconds:.1}}}"));
    record.row("cargo build --release from nothing", format!("{seconds:.0} s"));
    Ok(())
}
