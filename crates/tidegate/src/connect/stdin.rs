//! Lines of stdin, read by a thread of their own: a read of stdin cannot be given up.
//!
//! The queue is bounded, so that a fast writer waits until its lines are on their way.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use tokio::sync::mpsc;

/// Longest line in bytes.
const LINE_MAX_BYTES: usize = 16 << 20;

/// Lines that wait to be sent.
const LINES_MAX: usize = 16;

/// What stdin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Terminal,
    /// `/dev/null`: somebody wants to listen only.
    Nothing,
    Other,
}

/// A line that cannot be sent.
#[derive(Debug)]
pub(super) struct LineError(pub(super) String);

/// What comes from stdin; the channel ends with it.
pub(super) type Lines = mpsc::Receiver<Result<String, LineError>>;

pub(super) fn kind() -> Kind {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Kind::Terminal;
    }
    let duplicate = stdin.as_fd().try_clone_to_owned().map(File::from);
    let (Ok(stdin), Ok(null)) = (duplicate.and_then(|file| file.metadata()), fs::metadata("/dev/null"))
    else {
        return Kind::Other;
    };
    let is_null = stdin.file_type().is_char_device() && stdin.rdev() == null.rdev();
    if is_null { Kind::Nothing } else { Kind::Other }
}

/// Begins to read. The thread ends with stdin, with the first line that cannot be sent, or with the program.
pub(super) fn read() -> io::Result<Lines> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut input = BufReader::new(io::stdin());
        let mut number = 0;
        while let Some(line) = next_line(&mut input, LINE_MAX_BYTES) {
            number += 1;
            let line = line.map_err(|why| LineError(format!("line {number} of stdin {why}")));
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    })?;
    Ok(lines)
}

/// The next line without its end; none at the end of the input.
fn next_line(input: &mut impl BufRead, max_bytes: usize) -> Option<Result<String, String>> {
    let mut line = Vec::new();
    match input.take(max_bytes as u64 + 2).read_until(b'\n', &mut line) {
        Err(error) => return Some(Err(format!("cannot be read: {error}"))),
        Ok(0) => return None,
        Ok(_) => {}
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        line.pop_if(|byte| *byte == b'\r');
    }
    if line.len() > max_bytes {
        return Some(Err(format!("is longer than {max_bytes} bytes")));
    }
    Some(String::from_utf8(line).map_err(|_| "is not UTF-8, which a text message must be".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut input: &[u8], lines: &[Result<&str, &str>]) {
        for line in lines {
            let found = next_line(&mut input, 5).expect("a line");
            match (line, found) {
                (Ok(line), Ok(found)) => assert_eq!(*line, found),
                (Err(why), Err(found)) => assert!(found.contains(why), "{found}"),
                (line, found) => panic!("{line:?} {found:?}"),
            }
        }
    }

    #[test]
    fn lines_and_their_ends() {
        check(b"a\nb\r\n\nc", &[Ok("a"), Ok("b"), Ok(""), Ok("c")]);
        check(b"12345\n12345\r\n12345", &[Ok("12345"), Ok("12345"), Ok("12345")]);
        check(b"123456\n", &[Err("longer than 5")]);
        check(b"1234567890", &[Err("longer than 5")]);
        check(b"ok\n\xff\n", &[Ok("ok"), Err("not UTF-8")]);
        assert!(next_line(&mut &b""[..], 5).is_none());
    }
}
