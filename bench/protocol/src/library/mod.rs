//! The libraries: for each the way to read and to write messages that its documentation shows, over a [`Link`].
//!
//! All get whole messages and look at the payload in the same way; all may keep what they write in a buffer until
//! it is full, if they have one. Limits are raised where 1 MiB needs it, timers are off where there are any.

mod fastwebsockets;
mod sockudo;
mod tidegate;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::hint::black_box;

pub use sockudo::config as sockudo_config;
pub use tungstenite::small as tungstenite_small;
pub use yawc::options as yawc_options;

use crate::link::Link;
use crate::row::{Direction, Row};

/// A message limit that all rows keep.
const MESSAGE_MOST: usize = 16 * 1024 * 1024;

/// One way to use one library.
pub struct Library {
    pub name: &'static str,
    read: fn(&Row, Link, Taken<'_>),
    write: fn(&Row, Link, u64),
}

/// All of them, ours first.
pub const LIBRARIES: &[Library] = &[
    Library { name: "tidegate-websocket", read: tidegate::read, write: tidegate::write },
    Library { name: "fastwebsockets", read: fastwebsockets::read, write: fastwebsockets::write },
    Library { name: "tokio-tungstenite", read: tungstenite::read, write: tungstenite::write },
    Library {
        name: "tokio-tungstenite, 4 KiB",
        read: tungstenite::read_small,
        write: tungstenite::write_small,
    },
    Library { name: "tokio-websockets", read: tokio_websockets::read, write: tokio_websockets::write },
    Library { name: "sockudo-ws", read: sockudo::read, write: sockudo::write },
    Library { name: "sockudo-ws Protocol", read: sockudo::read_protocol, write: sockudo::write_protocol },
    Library { name: "yawc", read: yawc::read, write: yawc::write },
];

impl Library {
    /// Reads or writes so many messages.
    pub fn run(&self, row: &Row, messages: u64) {
        let wire = if row.direction == Direction::Read { row.wire() } else { &[0] };
        match row.direction {
            Direction::Read => {
                (self.read)(row, Link::new(wire), Taken { expected: row.payload(), rest: messages })
            }
            Direction::Write => (self.write)(row, Link::new(wire), messages),
        }
    }
}

/// Takes messages until there were enough.
struct Taken<'r> {
    expected: &'r [u8],
    rest: u64,
}

impl Taken<'_> {
    /// Takes one; true if more are wanted. The last one is compared, byte by byte.
    fn take(&mut self, payload: &[u8]) -> bool {
        assert_eq!(black_box(payload).len(), self.expected.len(), "a message of another length");
        self.rest -= 1;
        if self.rest == 0 {
            assert!(payload == self.expected, "another message");
        }
        self.rest > 0
    }
}
