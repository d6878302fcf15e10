//! A recording read again, whatever its form: its events go to a function, in their order.
//!
//! A fault ends it where it is, with what came before. Captures are known by their first bytes, other forms by the ending of
//! the file's name. Nothing is shown here.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use tidegate_inspect::Event;
use tidegate_inspect::event::Body;
use tidegate_inspect::head::Secrets;
use tidegate_inspect::recording::{CaptureReader, Format, LineReader, RecordingError, read_har};
use tidegate_inspect::secrets::hide_in_target;
use tidegate_inspect::tap::Settings;
use tidegate_inspect::words::known;

use crate::exit::Failure;
use crate::terminal::escape;

/// Bytes of a line at most: a payload of 16 MiB in base64, escaped, and twice if it was compressed.
const LINE_MAX_BYTES: u64 = 256 << 20;

/// Bytes of a HAR at most, for it is read as a whole.
const HAR_MAX_BYTES: u64 = 1 << 30;

/// Bytes of a capture that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Reads it to its end, or until `take` gives false.
pub(crate) fn read(path: &str, secrets: Secrets, take: &mut dyn FnMut(Event) -> bool) -> Result<(), Failure> {
    let file = || File::open(path).map_err(|error| unreadable(path, &error));
    let take =
        &mut |event: Event| take(if secrets == Secrets::Hide { without_secrets(event) } else { event });
    match Format::of_name(path) {
        Some(Format::Har) => {
            let mut bytes = Vec::new();
            let read = file()?.take(HAR_MAX_BYTES + 1).read_to_end(&mut bytes);
            read.map_err(|error| unreadable(path, &error))?;
            if bytes.len() as u64 > HAR_MAX_BYTES {
                return Err(Failure::of(
                    known::RECORDING_READ,
                    format!("{}: larger than 1 GiB", escape(path)),
                ));
            }
            let events = read_har(&bytes).map_err(|error| broken(path, &error))?;
            // `all` ends with the first that is not wanted.
            let _ = events.into_iter().all(take);
            Ok(())
        }
        Some(Format::Jsonl) => read_lines(path, BufReader::new(file()?), take),
        Some(Format::Pcapng) => read_capture(path, file()?, secrets, take),
        None if is_capture(path) => read_capture(path, file()?, secrets, take),
        None => Err(Failure::of(
            known::NOT_A_TARGET,
            format!("{}: neither a URL nor a recording", escape(path)),
        )
        .mend("write such as ws://localhost:8080/chat, or name a file that ends in .jsonl, .har or .pcapng")),
    }
}

fn read_lines(
    path: &str,
    mut file: impl BufRead,
    take: &mut dyn FnMut(Event) -> bool,
) -> Result<(), Failure> {
    let mut reader = LineReader::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut file).take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            return Ok(());
        }
        let event = reader.handle_line(&line).map_err(|error| broken(path, &error))?;
        if event.is_some_and(|event| !take(event)) {
            return Ok(());
        }
    }
}

/// Whether the file begins as captures do, whatever its name.
fn is_capture(path: &str) -> bool {
    let mut beginning = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && CaptureReader::reads(&beginning)
}

fn read_capture(
    path: &str,
    mut file: File,
    secrets: Secrets,
    take: &mut dyn FnMut(Event) -> bool,
) -> Result<(), Failure> {
    let mut reader = CaptureReader::new(Settings { secrets, ..Settings::for_recording() });
    let mut piece = vec![0; PIECE_BYTES];
    let mut is_wanted = true;
    let mut tell = |event| is_wanted = is_wanted && take(event);
    let result = loop {
        match file.read(&mut piece) {
            Err(error) => return Err(unreadable(path, &error)),
            Ok(0) => break Ok(()),
            Ok(length) => {
                if let Err(error) = reader.handle_input(&piece[..length], &mut tell) {
                    break Err(error);
                }
            }
        }
    };
    let ended = reader.handle_end(&mut tell);
    result.and(ended).map_err(|error| broken(path, &error))
}

/// Recordings of other programs hide nothing.
fn without_secrets(mut event: Event) -> Event {
    match &mut event.body {
        Body::Handshake(head) => head.hide_secrets(),
        Body::Open(open) => open.url = hide_in_target(&open.url).into_owned(),
        _ => {}
    }
    event
}

fn broken(path: &str, error: &RecordingError) -> Failure {
    Failure::of(known::RECORDING_BROKEN, format!("{}: {}", escape(path), escape(&error.to_string())))
        .mend("what came before that place has been shown")
}

fn unreadable(path: &str, error: &std::io::Error) -> Failure {
    Failure::of(known::RECORDING_READ, format!("{}: {error}", escape(path)))
        .mend("is the name right, and may this user read it?")
}
