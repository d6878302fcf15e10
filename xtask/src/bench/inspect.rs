//! Frames a second through `tidegate inspect URL --record FILE` on one core: it is on the first CPU, the load generator
//! and an echo server are on the second. What counts is in the recording: every frame, numbered by the load, is looked for.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    echo::Server,
    gateway::interrupt,
    load::Programs,
    record::{Record, grouped, number, typed, word},
};
use crate::process::show;

/// Messages in flight on each of 64 connections: one a read, and many.
const CASES: [&str; 2] = ["1", "16"];

/// The inspector, killed when dropped.
struct Inspector {
    child: Child,
    url: String,
}

/// Takes the rows.
pub(super) fn inspect(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let example = programs.target.join("release/examples/echo_server");
    if !show(&mut programs.build(&["-p", "tidegate-client", "--example", "echo_server"], "")) {
        return Err("the echo server does not build".to_owned());
    }
    let mut command = programs.on_second_cpu(&example);
    command.arg("127.0.0.1:0");
    let server = Server::start(command)?;
    let file = programs.target.join("inspect.jsonl");
    for in_flight in CASES {
        let outcome = take(programs, &server.url, &file, in_flight, record);
        drop(std::fs::remove_file(&file));
        outcome?;
    }
    Ok(())
}

fn take(
    programs: &Programs,
    url: &str,
    file: &Path,
    in_flight: &str,
    record: &mut Record,
) -> Result<(), String> {
    let mut command = programs.on_first_cpu(&programs.gateway);
    command.args(["inspect", url, "--record"]).arg(file);
    let inspector = Inspector::start(command)?;
    let process = inspector.child.id().to_string();
    let mut load = programs.bare_load();
    load.args(["echo", &inspector.url, "--cpu", "1", "--block", "--numbered", "-n", "64", "-s", "64"]);
    load.args(["-d", "5", "-i", in_flight, "--pid", &process]);
    let output = load.stdin(Stdio::null()).output().map_err(|error| format!("wsload: {error}"))?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        return Err(format!("wsload echo: {line}"));
    }
    inspector.end()?;
    record.raw(&format!("inspect, {in_flight} in flight"), &typed(&load), &line);
    let recorded = recorded(BufReader::new(File::open(file).map_err(|error| error.to_string())?))?;
    if (recorded as f64) < number(&line, "all_messages")? {
        return Err(format!("{recorded} answers are in the recording: {line}"));
    }
    let what = format!("inspect --record, 64 B, {in_flight} in flight on 64 connections");
    // There and back.
    record.row(format!("{what}: frames/s"), grouped(2.0 * number(&line, "messages_per_second")?));
    record
        .row(format!("{what}: CPU µs a frame"), format!("{:.2}", number(&line, "cpu_us_per_message")? / 2.0));
    Ok(())
}

/// Answers in the recording, if of each connection every number is there once and in order, both ways.
fn recorded(file: impl BufRead) -> Result<u64, String> {
    let mut next: BTreeMap<(String, bool), u64> = BTreeMap::new();
    for line in file.lines() {
        let line = line.map_err(|error| error.to_string())?;
        if word(&line, "type")? != "frame" {
            continue;
        }
        let stamp = word(&line, "data").ok().and_then(|data| data.strip_prefix("WSL")?.get(16..24));
        let found = stamp.and_then(|number| u64::from_str_radix(number, 16).ok());
        let is_answer = word(&line, "dir")? == "s2c";
        let expected = next.entry((word(&line, "conn")?.to_owned(), is_answer)).or_default();
        if found != Some(*expected) {
            return Err(format!("frame {expected} is not in the recording, but {line}"));
        }
        *expected += 1;
    }
    Ok(next.iter().filter(|((_, is_answer), _)| *is_answer).map(|(_, count)| count).sum())
}

impl Inspector {
    /// Starts it and reads where clients connect, which it says on stderr.
    fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the inspector: {error}"))?;
        let stderr = child.stderr.take().map(BufReader::new);
        let mut inspector = Self { child, url: String::new() };
        for line in stderr.into_iter().flat_map(BufReader::lines) {
            let line = line.map_err(|error| error.to_string())?;
            if let Some(url) = line.trim().strip_prefix("tidegate connect ") {
                inspector.url = url.to_owned();
                return Ok(inspector);
            }
        }
        Err("the inspector does not say where it listens".to_owned())
    }

    /// Lets it write what it has.
    fn end(mut self) -> Result<(), String> {
        interrupt(&self.child.id().to_string());
        self.child.wait().map(drop).map_err(|error| format!("the inspector: {error}"))
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_missing_is_missed() {
        let line = |conn: &str, dir: &str, number: u32| {
            format!(
                "{{\"type\":\"frame\",\"conn\":\"{conn}\",\"dir\":\"{dir}\",\"payload\":{{\"data\":\"WSL0000000000000000{number:08x}xx\"}}}}\n"
            )
        };
        let lines = [
            "{\"type\":\"open\"}\n".to_owned(),
            line("c1", "c2s", 0),
            line("c1", "s2c", 0),
            line("c2", "s2c", 0),
            line("c1", "s2c", 1),
            line("c1", "c2s", 1),
        ];
        assert_eq!(recorded(lines.concat().as_bytes()), Ok(3));
        let missed = [line("c1", "s2c", 0), line("c1", "s2c", 2)].concat();
        assert!(recorded(missed.as_bytes()).is_err_and(|error| error.starts_with("frame 1 is not")));
    }
}
