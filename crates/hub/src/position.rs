//! `epoch:offset`, the place of a publication in its channel.
//!
//! Offsets of one epoch grow by exactly 1; a new epoch means that earlier offsets mean nothing any more.

use std::fmt;
use std::str::FromStr;

/// Longest text of a position that is read: seven digits, a colon, twenty digits.
const POSITION_MAX_BYTES: usize = 28;

/// One life of a channel's log. Drawn at random when the log is created; written in base 36.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u32);

/// The offset of the newest publication that somebody has seen, within an epoch. Offset 0 is the place
/// before the first publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The life of the log that the offset belongs to.
    pub epoch: Epoch,
    /// Counts publications of that epoch from 1.
    pub offset: u64,
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionError;

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut text = [b'0'; 7];
        let mut value = self.0 as usize;
        let mut start = text.len();
        loop {
            start -= 1;
            text[start] = DIGITS[value % 36];
            value /= 36;
            if value == 0 {
                break;
            }
        }
        text[start..].iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Reads exactly what [`Position`] prints: one text for one position.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text.len() > POSITION_MAX_BYTES {
            return Err(PositionError);
        }
        let (epoch, offset) = text.split_once(':').ok_or(PositionError)?;
        let epoch = u32::from_str_radix(epoch, 36).map_err(|_| PositionError)?;
        let offset = offset.parse().map_err(|_| PositionError)?;
        let position = Self { epoch: Epoch(epoch), offset };
        if position.to_string() == text { Ok(position) } else { Err(PositionError) }
    }
}

impl fmt::Display for PositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position is written epoch:offset, such as k3f9:41")
    }
}

impl std::error::Error for PositionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_prints_and_reads_as_one_text() {
        for (epoch, offset) in [(0, 0), (35, 1), (36, 2), (u32::MAX, u64::MAX)] {
            let position = Position { epoch: Epoch(epoch), offset };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert_eq!(Position { epoch: Epoch(u32::MAX), offset: 41 }.to_string(), "1z141z3:41");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            ":",
            "a:",
            ":1",
            "a:-1",
            "a:+1",
            "+a:1",
            "A:1",
            "a:01",
            "0a:1",
            "a:1:2",
            "a:18446744073709551616",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }
}
