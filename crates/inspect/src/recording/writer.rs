//! A recording while it is written, whatever its form.
//!
//! Bytes are appended to the caller's output, which he writes to his file as he likes.

use super::har_writer::HarWriter;
use super::pcapng::PcapngWriter;
use crate::event::Event;

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An event a line, as JSON: nothing is lost.
    Jsonl,
    /// HAR 1.2, which browsers' tools open.
    Har,
    /// Packets, which Wireshark opens.
    Pcapng,
}

/// Writes a recording.
pub struct Writer(Form);

enum Form {
    Jsonl,
    Har(HarWriter),
    Pcapng(PcapngWriter),
}

impl Format {
    /// The form that the ending of a file's name says.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "har" => Some(Self::Har),
            "pcapng" => Some(Self::Pcapng),
            _ => None,
        }
    }
}

impl Writer {
    /// A recording of which nothing was written.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self(match format {
            Format::Jsonl => Form::Jsonl,
            Format::Har => Form::Har(HarWriter::default()),
            Format::Pcapng => Form::Pcapng(PcapngWriter::default()),
        })
    }

    /// Takes an event.
    pub fn handle_event(&mut self, event: &Event, output: &mut Vec<u8>) {
        match &mut self.0 {
            Form::Jsonl => {
                event.append_json(output);
                output.push(b'\n');
            }
            Form::Har(har) => har.handle_event(event),
            Form::Pcapng(pcapng) => pcapng.handle_event(event, output),
        }
    }

    /// Says that no more events come. A HAR is written only now.
    pub fn handle_end(self, output: &mut Vec<u8>) {
        match self.0 {
            Form::Jsonl => {}
            Form::Har(har) => har.handle_end(output),
            Form::Pcapng(mut pcapng) => pcapng.handle_end(output),
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Form::Jsonl => "Writer(Jsonl)",
            Form::Har(_) => "Writer(Har)",
            Form::Pcapng(_) => "Writer(Pcapng)",
        })
    }
}
