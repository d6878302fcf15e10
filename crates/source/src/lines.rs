//! Newline-delimited documents as bytes (NDJSON, JSON Lines): chunks in, lines out.
//!
//! What stands in a line is not looked at. It keeps only the unfinished line, which is bounded.

use std::fmt;

use bytes::Bytes;

/// A line is longer than this many bytes; the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong(pub usize);

/// The reading side of one stream of lines. `held` is the line whose end has not come.
#[derive(Debug)]
pub struct Lines {
    max_line_bytes: usize,
    held: Vec<u8>,
}

impl Lines {
    /// A stream from its beginning.
    #[must_use]
    pub fn new(max_line_bytes: usize) -> Self {
        Self { max_line_bytes, held: Vec::new() }
    }

    /// Reads from `input` up to the end of the next line that is not blank and advances it; nothing means
    /// that the input is used up. Call again until then. Lines end with LF or CRLF.
    pub fn next_line(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, LineTooLong> {
        while let Some(end) = memchr::memchr(b'\n', input) {
            let (part, rest) = (&input[..end], &input[end + 1..]);
            *input = rest;
            let line = if self.held.is_empty() { self.line(part)? } else { self.held_line(part)? };
            if line.is_some() {
                return Ok(line);
            }
        }
        self.hold(std::mem::take(input))?;
        Ok(None)
    }

    /// The stream ended as it should: what is left is a line too.
    pub fn finish(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        self.held_line(b"")
    }

    fn held_line(&mut self, part: &[u8]) -> Result<Option<Bytes>, LineTooLong> {
        self.hold(part)?;
        let held = std::mem::take(&mut self.held);
        self.line(&held)
    }

    fn line(&self, line: &[u8]) -> Result<Option<Bytes>, LineTooLong> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_line_bytes {
            return Err(LineTooLong(self.max_line_bytes));
        }
        Ok((!line.trim_ascii().is_empty()).then(|| Bytes::copy_from_slice(line)))
    }

    /// One byte more than a line may have is held, for it may be the CR of its end.
    fn hold(&mut self, part: &[u8]) -> Result<(), LineTooLong> {
        if self.held.len() + part.len() > self.max_line_bytes + 1 {
            return Err(LineTooLong(self.max_line_bytes));
        }
        self.held.extend_from_slice(part);
        Ok(())
    }
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream has a line of more than {} bytes", self.0)
    }
}

impl std::error::Error for LineTooLong {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 8;

    fn read_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Bytes>, LineTooLong> {
        let mut lines = Lines::new(MAX);
        let mut read = Vec::new();
        for mut chunk in chunks {
            while let Some(line) = lines.next_line(&mut chunk)? {
                read.push(line);
            }
            assert!(chunk.is_empty() && lines.held.len() <= MAX + 1);
        }
        read.extend(lines.finish()?);
        Ok(read)
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_blank_ones_are_passed_over() {
        let read = read_chunks([b"{}\n\n \t\r\n[1]\r\n\"\xff\"\na\rb\nlast".as_slice()]);
        let expected: [&[u8]; 5] = [b"{}", b"[1]", b"\"\xff\"", b"a\rb", b"last"];
        assert_eq!(read, Ok(expected.map(Bytes::from_static).to_vec()));
    }

    #[test]
    fn a_line_of_just_the_bound_is_read_and_a_byte_more_is_not() {
        for end in ["", "\n", "\r\n"] {
            let line = "x".repeat(MAX);
            let text = format!("{line}{end}");
            assert_eq!(
                read_chunks(text.as_bytes().chunks(3)),
                Ok(vec![Bytes::from(line.clone())]),
                "{end:?}"
            );
            assert_eq!(
                read_chunks(format!("x{text}").as_bytes().chunks(3)),
                Err(LineTooLong(MAX)),
                "{end:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(lines in prop::collection::vec("[a-z{} é]{0,2}[a-z]", 0..6), end in "\r?\n", size in 1usize..9) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), &end]).collect();
            let expected: Vec<Bytes> = lines.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(read_chunks(text.as_bytes().chunks(size)), Ok(expected));
        }

        /// However a stream is cut, it is read the same.
        #[test]
        fn chunks_do_not_matter(bytes in "([a-c ]{0,9}[\r\n]{0,2}){0,6}", size in 1usize..5) {
            prop_assert_eq!(read_chunks([bytes.as_bytes()]), read_chunks(bytes.as_bytes().chunks(size)));
        }
    }
}
