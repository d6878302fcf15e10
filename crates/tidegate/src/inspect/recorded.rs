//! A recording read again, as it is or into another form.
//!
//! Its events are shown in their order; a fault ends it where it is, with what came before.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use tidegate_inspect::recording::{Format, LineReader, RecordingError, read_har};

use super::output::Output;
use crate::exit::{Exit, Failure};
use crate::terminal::escape;

/// Bytes of a line at most: a payload of 16 MiB in base64, escaped, and twice if it was compressed.
const LINE_MAX_BYTES: u64 = 256 << 20;

/// Bytes of a HAR at most, for it is read as a whole.
const HAR_MAX_BYTES: u64 = 1 << 30;

pub(super) fn read(path: &str, output: &mut Output) -> Result<(), Failure> {
    let file = || File::open(path).map_err(|error| unreadable(path, &error));
    match Format::of_name(path) {
        Some(Format::Jsonl) => read_lines(path, BufReader::new(file()?), output),
        Some(Format::Har) => {
            let mut bytes = Vec::new();
            let read = file()?.take(HAR_MAX_BYTES + 1).read_to_end(&mut bytes);
            read.map_err(|error| unreadable(path, &error))?;
            if bytes.len() as u64 > HAR_MAX_BYTES {
                return Err(Failure::new(Exit::Other, format!("{}: larger than 1 GiB", escape(path))));
            }
            let events = read_har(&bytes).map_err(|error| broken(path, &error))?;
            events.iter().for_each(|event| output.take(event));
            Ok(())
        }
        Some(Format::Pcapng) => {
            Err(Failure::new(Exit::Usage, format!("{}: packets are written, not read", escape(path)))
                .mend("open it in Wireshark, or record as .jsonl beside it"))
        }
        None => Err(Failure::new(Exit::Usage, format!("{}: neither a URL nor a recording", escape(path)))
            .mend("write such as ws://localhost:8080/chat, or name a file that ends in .jsonl or .har")),
    }
}

fn read_lines(path: &str, mut file: impl BufRead, output: &mut Output) -> Result<(), Failure> {
    let mut reader = LineReader::default();
    let mut line = Vec::new();
    while !output.is_idle() {
        line.clear();
        let read = (&mut file).take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            break;
        }
        if let Some(event) = reader.handle_line(&line).map_err(|error| broken(path, &error))? {
            output.take(&event);
        }
    }
    Ok(())
}

fn broken(path: &str, error: &RecordingError) -> Failure {
    Failure::new(Exit::Other, format!("{}: {}", escape(path), escape(&error.to_string())))
        .mend("what came before that place has been shown")
}

fn unreadable(path: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Other, format!("{}: {error}", escape(path)))
}
