//! UTF-8 that comes in pieces (RFC 6455, section 8.1): validated as it comes, collected as text.
//!
//! A piece may end inside a character; up to three bytes are carried to the next. What no further byte
//! could mend is refused at once, even in the middle of a frame that has not arrived whole.

/// The bytes are not UTF-8, whatever may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUtf8;

/// Where the last piece ended: nothing carried, or the beginning of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validator {
    /// `carried[..length]` is a proper prefix of one character.
    carried: [u8; 3],
    length: u8,
}

impl Validator {
    /// Takes the next bytes and appends the characters that they complete to `text`.
    ///
    /// After an error `text` holds some of what was valid, and the validator is of no more use.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) -> Result<(), NotUtf8> {
        let bytes = self.complete(bytes, text)?;
        let (whole, tail) = bytes.split_at(bytes.len() - unfinished_tail(bytes));
        // The tail has been cut off, so that any error here is final and the bytes are read only once.
        text.push_str(simdutf8::compat::from_utf8(whole).map_err(|_| NotUtf8)?);
        tail.iter().try_for_each(|byte| self.carry(*byte, text))
    }

    /// Says that no more bytes come.
    pub fn finish(&self) -> Result<(), NotUtf8> {
        if self.length == 0 { Ok(()) } else { Err(NotUtf8) }
    }

    /// Bytes carried: 0 to 3.
    #[must_use]
    pub fn carried(&self) -> usize {
        usize::from(self.length)
    }

    /// The bytes carried.
    pub(crate) fn carried_bytes(&self) -> &[u8] {
        &self.carried[..self.carried()]
    }

    /// Completes the carried character and gives back the bytes that follow it.
    fn complete<'b>(&mut self, mut bytes: &'b [u8], text: &mut String) -> Result<&'b [u8], NotUtf8> {
        while self.length > 0 {
            let Some((first, rest)) = bytes.split_first() else { break };
            self.carry(*first, text)?;
            bytes = rest;
        }
        Ok(bytes)
    }

    /// Adds one byte to the carried ones: they become a character, remain a prefix, or are refused.
    fn carry(&mut self, byte: u8, text: &mut String) -> Result<(), NotUtf8> {
        let length = self.carried();
        let mut sequence = [0; 4];
        sequence[..length].copy_from_slice(&self.carried[..length]);
        sequence[length] = byte;
        match std::str::from_utf8(&sequence[..=length]) {
            Ok(character) => {
                text.push_str(character);
                self.length = 0;
            }
            // No error length: the end came too early, and nothing before it is wrong.
            Err(error) if error.error_len().is_none() => {
                self.carried.copy_from_slice(&sequence[..3]);
                self.length += 1;
            }
            Err(_) => return Err(NotUtf8),
        }
        Ok(())
    }
}

/// How many bytes at the end belong to a character whose lead byte says that more must come: 0 to 3.
fn unfinished_tail(bytes: &[u8]) -> usize {
    for (distance, byte) in (1..=3).zip(bytes.iter().rev()) {
        let needed = match byte {
            0x00..=0x7f => return 0,
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if needed > distance { distance } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the pieces; the text, or the number of the piece that was refused.
    fn check(pieces: &[&[u8]]) -> Result<String, usize> {
        let mut validator = Validator::default();
        let mut text = String::new();
        for (number, piece) in pieces.iter().enumerate() {
            validator.push(piece, &mut text).map_err(|NotUtf8| number)?;
            assert!(validator.carried() <= 3);
        }
        validator.finish().map_err(|NotUtf8| pieces.len())?;
        Ok(text)
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "κόσμε aß水🍉\u{10ffff}\u{fffe}\0";
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            for second in cut..=bytes.len() {
                let pieces = [&bytes[..cut], &bytes[cut..second], &bytes[second..]];
                assert_eq!(check(&pieces).as_deref(), Ok(text), "{cut} {second}");
            }
        }
    }

    #[test]
    fn what_cannot_be_mended_fails_at_its_first_byte() {
        for (valid, bad) in [
            (&b""[..], 0x80),           // a continuation without a lead
            (b"", 0xc0),                // overlong in two bytes
            (b"", 0xc1),                //
            (b"", 0xf5),                // beyond U+10FFFF
            (b"", 0xff),                // never a byte of UTF-8
            (b"\xe0", 0x9f),            // overlong in three
            (b"\xf0", 0x8f),            // overlong in four
            (b"\xed", 0xa0),            // surrogate
            (b"\xf4", 0x90),            // U+110000
            (b"\xce", b'x'),            // a lead, and no continuation
            (b"\xe6\xb0", 0xc0),        //
            (b"\xf0\x9f\x8d", 0x7f),    //
            ("κόσμε".as_bytes(), 0xf8), // five bytes
        ] {
            assert_eq!(check(&[valid, &[bad], b"text"]), Err(1), "{valid:x?} {bad:x}");
            assert_eq!(check(&[&[valid, &[bad]].concat(), b"text"]), Err(0), "{valid:x?} {bad:x}");
        }
    }

    #[test]
    fn a_character_without_its_end_fails_at_the_end() {
        for cut in [&b"\xce"[..], b"a\xe6\xb0", b"\xf0\x9f\x8d"] {
            assert_eq!(check(&[cut]), Err(1), "{cut:x?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_agree_with_the_whole(bytes in prop::collection::vec(any::<u8>(), 0..40), cut in 0usize..40) {
            let cut = cut.min(bytes.len());
            let whole = std::str::from_utf8(&bytes).ok().map(str::to_owned);
            prop_assert_eq!(check(&[&bytes[..cut], &bytes[cut..]]).ok(), whole);
        }

        #[test]
        fn pieces_of_text_are_that_text(text in "\\PC{0,200}", cut in 0usize..200) {
            let cut = cut.min(text.len());
            let (head, tail) = text.as_bytes().split_at(cut);
            prop_assert_eq!(check(&[head, tail]), Ok(text));
        }
    }
}
