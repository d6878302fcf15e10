//! Running a program: its output goes on line by line, to the terminal and to whoever counts. Programs
//! get no input. It keeps nothing of what passes through.

use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Command, Stdio},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

/// Lines that may wait between the program and the reader; beyond it the program waits.
const LINES_IN_FLIGHT: usize = 256;

/// Runs a program to its end, shows what it prints and gives each line to `on_line`. True if it ended
/// with success; a program that cannot be started is said and is false.
pub(crate) fn stream(command: &mut Command, mut on_line: impl FnMut(&str)) -> bool {
    println!("+ {}", shown(command));
    let ended = run(command, |line| {
        println!("{line}");
        on_line(line);
    });
    ended.unwrap_or_else(|error| {
        println!("cannot run {}: {error}", command.get_program().display());
        false
    })
}

/// Runs a program to its end and shows what it prints.
pub(crate) fn show(command: &mut Command) -> bool {
    stream(command, |_| {})
}

/// Whether a program ends with success; what it prints is dropped.
pub(crate) fn quiet(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program to its end and gives each line that it prints to `on_line`; nothing is shown. Whether it
/// ended with success.
pub(crate) fn run(command: &mut Command, mut on_line: impl FnMut(&str)) -> io::Result<bool> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (sender, lines) = sync_channel(LINES_IN_FLIGHT);
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || forward(output, &sender));
    }
    drop(sender);
    lines.iter().for_each(|line| on_line(&line));
    Ok(child.wait()?.success())
}

/// Sends every line on until the pipe ends; bytes that are not UTF-8 are replaced.
pub(crate) fn forward(output: impl Read, lines: &SyncSender<String>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
        if lines.send(text).is_err() {
            return;
        }
        line.clear();
    }
}

fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    [program].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_and_the_status_come_through() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; printf three; exit 3";
        let ended = run(Command::new("sh").args(["-c", script]), |line| lines.push(line.to_owned()));
        lines.sort();
        assert_eq!(lines, ["one", "three", "two"]);
        assert!(!ended.unwrap());
    }

    #[test]
    fn a_missing_program_is_a_failure_and_no_panic() {
        assert!(!show(&mut Command::new("no-such-program-of-tidegate")));
        assert!(!quiet(&mut Command::new("no-such-program-of-tidegate")));
    }
}
