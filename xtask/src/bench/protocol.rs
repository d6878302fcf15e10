//! Our WebSocket library in memory beside others, driven by `bench/protocol`: CPU time of a message in shuffled rounds,
//! instructions of a message by callgrind, and masking against copying.

use std::{fs, path::PathBuf, process::Command};

use super::{
    comparison::{Comparison, is_foreign},
    load::Programs,
    record::{Record, number, typed, word},
};
use crate::process::show;

/// The name of ours among the libraries.
const OURS: &str = "tidegate-websocket";
/// What keeps the C library from copying with `rep movsb`, which callgrind counts as an instruction a byte.
const WITHOUT_REP_MOVSB: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS");

/// Takes both tables and the ratios of masking.
pub(super) fn protocol(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let program = build(programs)?;
    for line in lines(programs, &program, &["mask"], record)? {
        let (size, ratio) = (number(&line, "size")?, number(&line, "mask_ratio")?);
        record.row(format!("masking {size} B in place, by copying as much"), format!("{ratio:.2}"));
    }
    let mut times = Comparison::with_places(1);
    for line in lines(programs, &program, &["time"], record)? {
        times.add(word(&line, "row")?, word(&line, "library")?, number(&line, "ns")?);
    }
    let counts = instructions(programs, &program, record)?;
    for (what, comparison) in [("nanoseconds of CPU time", times), ("instructions", counts)] {
        println!("\n{what} a message\n\n{comparison}");
        for ratio in comparison.ratios(OURS, is_foreign) {
            println!("   {what}, {ratio}");
        }
    }
    Ok(())
}

/// Builds `bench/protocol`.
pub(super) fn build(programs: &Programs) -> Result<PathBuf, String> {
    if !show(&mut programs.build(&["--locked", "--manifest-path", "bench/protocol/Cargo.toml"], "protocol")) {
        return Err("bench/protocol does not build".to_owned());
    }
    Ok(programs.target.join("protocol/release/protocol"))
}

/// Names of this kind in what `protocol list` prints.
pub(super) fn named(programs: &Programs, program: &PathBuf, kind: &str) -> Result<Vec<String>, String> {
    let listed = output(programs.checkout.command(program).arg("list"))?;
    Ok(listed.lines().filter_map(|line| line.strip_prefix(kind)).map(|name| name.trim().to_owned()).collect())
}

fn lines(
    programs: &Programs,
    program: &PathBuf,
    arguments: &[&str],
    record: &mut Record,
) -> Result<Vec<String>, String> {
    let mut command = programs.checkout.command(program);
    let printed = output(command.args(arguments))?;
    printed.lines().for_each(|line| record.raw("protocol", &typed(&command), line));
    Ok(printed.lines().map(str::to_owned).collect())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", typed(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", typed(command), said.lines().last().unwrap_or_default()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Instructions of a message: what two runs differ in, one with twice the messages of the other.
fn instructions(programs: &Programs, program: &PathBuf, record: &mut Record) -> Result<Comparison, String> {
    let (libraries, rows) = (named(programs, program, "library")?, named(programs, program, "row")?);
    let mut comparison = Comparison::default();
    for row in &rows {
        for library in &libraries {
            let messages = messages(row);
            let once = collected(programs, program, [library, row], messages)?;
            let twice = collected(programs, program, [library, row], 2 * messages)?;
            let each = (twice - once) / messages as f64;
            let line = format!(
                "{{\"library\":\"{library}\",\"row\":\"{row}\",\"messages\":{messages},\"instructions\":{each:.1}}}"
            );
            record.raw("protocol", "valgrind --tool=callgrind protocol count", &line);
            comparison.add(row, library, each);
        }
        println!("   counted {row}");
    }
    Ok(comparison)
}

/// Messages of the smaller run, fewer of long ones. There are many, because a library may calibrate its clock, which
/// takes a million instructions more or less.
fn messages(row: &str) -> u64 {
    let size = row.rsplit('-').next().and_then(|size| size.parse().ok()).unwrap_or(1u64);
    (64 * 1024 * 1024 / size).clamp(100, 20_000)
}

fn collected(programs: &Programs, program: &PathBuf, of: [&str; 2], messages: u64) -> Result<f64, String> {
    let file = programs.target.join("callgrind.protocol");
    let mut command = programs.checkout.command("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", file.display()));
    let (name, value) = WITHOUT_REP_MOVSB;
    command.arg(program).arg("count").args(of).arg(messages.to_string()).env(name, value);
    output(&mut command)?;
    let text = fs::read_to_string(&file).map_err(|error| format!("callgrind: {error}"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|count| count.trim().parse().ok()).ok_or_else(|| "callgrind gave no total".to_owned())
}
