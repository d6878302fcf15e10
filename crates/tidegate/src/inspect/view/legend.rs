//! What `?` shows: what every part of the screen is, and what every key does.
//!
//! The limits are those of the modules that hold them.

use super::connection;
use super::feed;
use super::held;
use super::pen::{Line, Tone};

/// A heading; or what stands on the screen, and what it is.
enum Entry {
    Heading(&'static str),
    Is(&'static str, &'static str),
}

use Entry::{Heading, Is};

const ENTRIES: &[Entry] = &[
    Heading("Keys"),
    Is("Tab, Shift-Tab", "the next pane, the one before"),
    Is("j k ↓ ↑", "down, up; PageDown, PageUp; g first, G last and whatever comes after it"),
    Is("Enter", "from a connection to its events, from an event to its detail; Escape goes back"),
    Is("[ ]", "the detail's tab before, the next one; h goes to the handshake"),
    Is("x", "the payload in hex, or as text again"),
    Is("t", "times: of the clock, since the beginning of the connection, since the event before"),
    Is("/", "a filter, such as dir:in op:text -len:<10; an empty one shows everything again"),
    Is("space", "pause: the screen stands still and what comes is counted; space again goes on"),
    Is("e", "export all that is held to a file that ends in .jsonl, .har or .pcapng"),
    Is("q", "quit; Ctrl-C too, with exit code 130; Ctrl-Z stops for a while"),
    Heading("Connections"),
    Is("state", "… opening, ● open, ○ closed, ✗ refused: the server's answer was no"),
    Is("id", "its name, as in the events"),
    Is("path", "what the client asked for"),
    Is("age", "since its first byte; when it has ended, how long it lasted"),
    Is("↑ messages, bytes", "to the server: whole messages, bytes on the wire"),
    Is("↓ messages, bytes", "to the client"),
    Is("close", "the close code, ! if not both sides closed; of a refusal the status"),
    Heading("Events"),
    Is("#", "the number of the event on its connection"),
    Is("time", "when it was seen, in UTC, or since what t says"),
    Is("direction, way", "↑ to the server, ↓ to the client"),
    Is("opcode", "the kind of frame: text, binary, continuation, close, ping, pong; or what else happened"),
    Is("flags", "bits of the frame's header, a dot for each that is not set:"),
    Is("", "F FIN, the last of its message; 1 2 3 the reserved bits, 1 is compressed; M MASK"),
    Is("payload", "bytes as an application sees them"),
    Is("wire", "bytes on the wire, the header's counted"),
    Is(
        "what it holds",
        "the beginning of the payload; in front ✗ what is broken, [marks] of compression, fragments",
    ),
    Is("", "and Pongs. Control characters and the like are shown as \\n or \\u{1b}"),
    Heading("Detail"),
    Is(
        "Handshake",
        "both heads as they were on the wire, and each requirement: ✓ met, ✗ broken, · worth knowing",
    ),
    Is("Header", "the header of the opened frame, bit by bit"),
    Is("Payload", "all of it that is held: text, JSON laid out, or place, bytes and characters"),
    Is("Timing", "how long the steps took, and what went each way"),
    Is("Close", "the code, who closed, what really happened, and what to do"),
    Heading("What is held"),
];

/// All of it.
pub(super) fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in ENTRIES {
        match entry {
            Heading(heading) => {
                if !lines.is_empty() {
                    lines.push(Line::new());
                }
                lines.push(vec![(Tone::Strong, (*heading).to_owned())]);
            }
            Is(name, what) => {
                lines.push(vec![(Tone::Key, format!("  {name:<18} ")), (Tone::Plain, (*what).to_owned())]);
            }
        }
    }
    lines.push(vec![(Tone::Plain, held())]);
    lines
}

fn held() -> String {
    format!(
        "  The newest {} events of a connection, {} MiB; of all {} events, {} MiB and {} connections; {} KiB of a \
         payload. What is let go is counted above. --record FILE keeps everything.",
        connection::EVENTS_MAX,
        connection::BYTES_MAX >> 20,
        held::EVENTS_MAX,
        held::BYTES_MAX >> 20,
        held::CONNECTIONS_MAX,
        feed::PAYLOAD_MAX_BYTES >> 10,
    )
}
