//! What went over one connection so far: messages and their bytes, as applications see them.
//!
//! It counts what it is told; Pings, Pongs, headers of frames and what compression saves are not in it.

use std::fmt;
use std::time::Duration;

use tidegate_inspect::event::Direction;

/// Both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    sent: Count,
    received: Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    messages: u64,
    bytes: u64,
}

impl Tally {
    /// A message of this length.
    pub(super) fn handle_message(&mut self, dir: Direction, length: usize) {
        let count = match dir {
            Direction::ToServer => &mut self.sent,
            Direction::ToClient => &mut self.received,
        };
        count.messages += 1;
        count.bytes += length as u64;
    }

    /// Such as `after 5.5 s  ↑ 1 message, 11 B  ↓ 2 messages, 30 B`.
    pub(super) fn words(&self, age: Duration) -> String {
        let (up, down) = (Direction::ToServer.arrow(), Direction::ToClient.arrow());
        format!("after {:.1} s  {up} {}  {down} {}", age.as_secs_f64(), self.sent, self.received)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = if self.messages == 1 { "message" } else { "messages" };
        write!(f, "{} {messages}, {} B", self.messages, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_in_words() {
        let mut tally = Tally::default();
        for (dir, length) in [(Direction::ToServer, 11), (Direction::ToClient, 30), (Direction::ToClient, 0)]
        {
            tally.handle_message(dir, length);
        }
        let words = tally.words(Duration::from_millis(5540));
        assert_eq!(words, "after 5.5 s  ↑ 1 message, 11 B  ↓ 2 messages, 30 B");
    }
}
