//! Recordings: events as lines of JSON, as HAR 1.2 the way Chrome writes it, or as pcapng; written and read again.
//!
//! Lines lose nothing. HAR has messages, and what else there was under a key of ours; pcapng has the bytes, plain, in
//! TCP that was never on a network, and captures of such as was are read, too. Files are the caller's; here are bytes.

mod fault;

mod jsonl;

mod har_form;

mod har_writer;

mod har_reader;

mod synthetic_head;

mod packet;

mod pcapng;

mod writer;

mod capture;

#[cfg(test)]
mod tests;

pub use capture::CaptureReader;
pub use fault::RecordingError;
pub use har_reader::read_har;
pub use jsonl::LineReader;
pub use writer::{Format, Writer};
