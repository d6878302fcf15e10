//! Masking (RFC 6455, section 5.3): the XOR of a client's payload with a key of four bytes, and the keys
//! that a client draws for its frames.
//!
//! Masking hides nothing; it keeps a script from choosing the bytes that a proxy sees on the wire. For
//! that the keys must be unpredictable, so they come out of a seed that the caller draws.

use std::fmt;

use sha1::{Digest, Sha1};

/// Bytes of one SHA-1 block of keys.
const BLOCK_BYTES: usize = 20;

/// Masks `payload`, or unmasks it: the operation is its own inverse.
///
/// `offset` is the place of `payload[0]` within the frame's payload, so that a frame may be treated in
/// pieces of any length. Only `offset % 4` matters. The slice may lie at any address.
pub fn apply(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let key = key_at(key, offset);
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // The compiler makes vectors of this loop; unaligned words cost nothing on what runs servers.
    let (words, tail) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key_byte) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key_byte;
    }
}

/// The key as it stands for a piece that begins at `offset`.
fn key_at(mut key: [u8; 4], offset: usize) -> [u8; 4] {
    key.rotate_left(offset % 4);
    key
}

/// The masking keys of one client connection, drawn from a seed.
///
/// Key after key is cut from SHA-1(seed, counter): who saw all keys so far cannot tell the next one
/// without the seed (section 10.3 asks for that). Five frames share the cost of one hash. The type is
/// not `Clone`, because two connections must not use one sequence.
pub struct MaskKeys(Box<Sequence>);

struct Sequence {
    seed: [u8; 16],
    counter: u64,
    block: [u8; BLOCK_BYTES],
    /// Bytes of `block` that have been used: a multiple of 4, at most [`BLOCK_BYTES`].
    used: usize,
}

impl MaskKeys {
    /// The sequence of this seed: 16 bytes from a cryptographically strong source, drawn anew for each
    /// connection.
    #[must_use]
    pub fn from_seed(seed: [u8; 16]) -> Self {
        Self(Box::new(Sequence { seed, counter: 0, block: [0; BLOCK_BYTES], used: BLOCK_BYTES }))
    }

    /// The next key; each is for one frame.
    pub fn next_key(&mut self) -> [u8; 4] {
        let sequence = &mut *self.0;
        if sequence.used == BLOCK_BYTES {
            let digest = Sha1::new()
                .chain_update(sequence.seed)
                .chain_update(sequence.counter.to_be_bytes())
                .finalize();
            sequence.block.copy_from_slice(&digest);
            sequence.counter = sequence.counter.wrapping_add(1);
            sequence.used = 0;
        }
        let start = sequence.used;
        sequence.used += 4;
        let block = &sequence.block;
        [block[start], block[start + 1], block[start + 2], block[start + 3]]
    }
}

impl fmt::Debug for MaskKeys {
    /// Without the seed, which would tell all keys to come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKeys")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The RFC's own formula: octet i is XORed with key octet i mod 4.
    fn by_the_formula(payload: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[(i + offset) % 4]).collect()
    }

    #[test]
    fn the_masked_hello_of_section_5_7() {
        let mut payload = *b"Hello";
        apply(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn every_alignment_length_and_offset_follows_the_formula() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let key = [0x01, 0x20, 0x80, 0xff];
        for alignment in 0..17 {
            for length in 0..70 {
                for offset in 0..5 {
                    let mut copy = bytes.clone();
                    apply(&mut copy[alignment..alignment + length], key, offset);
                    let masked = by_the_formula(&bytes[alignment..alignment + length], key, offset);
                    assert_eq!(copy[alignment..alignment + length], masked);
                    assert_eq!(copy[..alignment], bytes[..alignment]);
                    assert_eq!(copy[alignment + length..], bytes[alignment + length..]);
                }
            }
        }
    }

    #[test]
    fn the_keys_of_a_seed_are_its_own_and_do_not_repeat() {
        let mut keys = MaskKeys::from_seed([7; 16]);
        let mut same = MaskKeys::from_seed([7; 16]);
        let mut other = MaskKeys::from_seed([8; 16]);
        let drawn: Vec<_> = (0..1000).map(|_| keys.next_key()).collect();
        assert!(drawn.iter().all(|key| *key == same.next_key()));
        assert!(drawn.iter().any(|key| *key != other.next_key()));
        assert!(drawn.iter().collect::<BTreeSet<_>>().len() > 990);
        assert_eq!(format!("{keys:?}"), "MaskKeys");
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(
            payload in prop::collection::vec(any::<u8>(), 0..200), key: [u8; 4], cut in 0usize..200
        ) {
            let cut = cut.min(payload.len());
            let mut pieces = payload.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            apply(head, key, 0);
            apply(tail, key, cut);
            prop_assert_eq!(&pieces, &by_the_formula(&payload, key, 0));
            apply(&mut pieces, key, 0);
            prop_assert_eq!(pieces, payload);
        }
    }
}
