//! Whether text is UTF-8, and where it ceases to be, for bytes that come in pieces and are not kept.
//!
//! It goes on counting where `tidegate-websocket` stops reading, because an onlooker says where the fault is.

/// Longest beginning of a character that is not whole.
const CARRIED_MAX: usize = 3;

/// What came of a text so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Utf8Check {
    /// `carried[..length]` is the beginning of a character.
    carried: [u8; CARRIED_MAX],
    length: usize,
    /// Bytes in front of the carried ones.
    valid: u64,
    is_broken: bool,
}

impl Utf8Check {
    /// Takes the next bytes; gives the place of the first bad byte if it is among them.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Option<u64> {
        if self.is_broken {
            return None;
        }
        while self.length > 0 && !bytes.is_empty() {
            let mut character = [0; CARRIED_MAX + 1];
            character[..self.length].copy_from_slice(&self.carried[..self.length]);
            character[self.length] = bytes[0];
            match std::str::from_utf8(&character[..=self.length]) {
                Ok(_) => {
                    self.valid += self.length as u64 + 1;
                    self.length = 0;
                }
                Err(error) if error.error_len().is_none() => {
                    self.carried[self.length] = bytes[0];
                    self.length += 1;
                }
                Err(_) => return self.broken(),
            }
            bytes = &bytes[1..];
        }
        let Err(error) = std::str::from_utf8(bytes) else {
            self.valid += bytes.len() as u64;
            return None;
        };
        let rest = &bytes[error.valid_up_to()..];
        self.valid += error.valid_up_to() as u64;
        if error.error_len().is_some() || rest.len() > CARRIED_MAX {
            return self.broken();
        }
        self.carried[..rest.len()].copy_from_slice(rest);
        self.length = rest.len();
        None
    }

    /// Says that no more bytes come; gives the place of a character without its end.
    pub(super) fn finish(&mut self) -> Option<u64> {
        if self.length > 0 && !self.is_broken { self.broken() } else { None }
    }

    /// The place is that of the character's first byte.
    fn broken(&mut self) -> Option<u64> {
        self.is_broken = true;
        Some(self.valid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first_bad(pieces: &[&[u8]]) -> Option<u64> {
        let mut check = Utf8Check::default();
        let mut found: Vec<u64> = pieces.iter().filter_map(|piece| check.push(piece)).collect();
        found.extend(check.finish());
        assert!(found.len() < 2, "a fault is told once");
        found.first().copied()
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..30),
                ".{0,12}".prop_map(String::into_bytes),
                (".{0,9}", any::<u8>(), ".{0,9}").prop_map(|(a, b, c)| [a.as_bytes(), &[b], c.as_bytes()].concat()),
            ],
            cuts in prop::collection::vec(0usize..30, 2),
        ) {
            let whole = std::str::from_utf8(&bytes).err().map(|error| error.valid_up_to() as u64);
            let (a, b) = (cuts[0].min(cuts[1]).min(bytes.len()), cuts[0].max(cuts[1]).min(bytes.len()));
            prop_assert_eq!(first_bad(&[&bytes[..a], &bytes[a..b], &bytes[b..]]), whole);
            let bytes: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(first_bad(&bytes), whole);
        }
    }
}
