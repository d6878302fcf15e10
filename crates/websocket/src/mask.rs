//! Masking (RFC 6455, section 5.3): the XOR of a client's payload with a key of four bytes, in place or while
//! copying, and the keys that a client draws for its frames.
//!
//! Masking hides nothing; it keeps a script from choosing the bytes that a proxy sees on the wire. For that the
//! keys must be unpredictable, so they come out of a seed that the caller draws.
//!
//! Of its three `unsafe` blocks (tests aside) two enter code that was compiled for AVX2 and one counts bytes into
//! a vector that were written behind its end. The loops are safe code, out of which the compiler makes vectors.

use std::fmt;
use std::mem::MaybeUninit;

use crate::keystream::Keystream;

/// Bytes that the inner loop treats at once: enough that counting costs little beside it.
const BLOCK_BYTES: usize = 512;
/// Bytes that are treated at once where there are fewer.
const VECTOR_BYTES: usize = 32;
/// From here on vectors are laid along cache lines.
const ALIGNED_BYTES: usize = 2048;
/// From here on the wider vectors are worth asking for.
const LONG_BYTES: usize = 128;

/// Masks `payload`, or unmasks it: the operation is its own inverse.
///
/// `offset` is the place of `payload[0]` within the frame's payload, so that a frame may be treated in
/// pieces of any length. Only `offset % 4` matters. The slice may lie at any address.
#[inline]
pub fn apply(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let word = word_at(key, offset);
    if payload.len() < LONG_BYTES {
        apply_short(payload, word);
    } else {
        apply_long(payload, word);
    }
}

/// Appends `payload` to `output`, masked or unmasked on the way: bytes that have to be copied anyway are
/// touched only once. `offset` is as for [`apply`].
#[inline(always)]
pub fn append(payload: &[u8], key: [u8; 4], offset: usize, output: &mut Vec<u8>) {
    output.reserve(payload.len());
    let length = output.len() + payload.len();
    let room = &mut output.spare_capacity_mut()[..payload.len()];
    let word = word_at(key, offset);
    if payload.len() < LONG_BYTES {
        copy_short(payload, word, room);
    } else {
        copy_long(payload, word, room);
    }
    // SAFETY: `room` is what follows the old length up to the new one, and all of it has just been written.
    unsafe { output.set_len(length) };
}

/// The key twice, as it stands for a piece that begins at `offset`, the first byte lowest.
#[inline(always)]
fn word_at(key: [u8; 4], offset: usize) -> u64 {
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    u64::from(key) << 32 | u64::from(key)
}

/// Masks with the widest vectors that this CPU has.
fn apply_long(payload: &mut [u8], word: u64) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, and nothing else is asked of it.
        return unsafe { apply_with_avx2(payload, word) };
    }
    apply_blocks(payload, word);
}

/// The same loop as without, in vectors of 32 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_with_avx2(payload: &mut [u8], word: u64) {
    apply_blocks(payload, word);
}

#[inline(always)]
fn apply_blocks(payload: &mut [u8], word: u64) {
    let before = bytes_to_boundary(payload.as_ptr(), payload.len());
    let (head, payload) = payload.split_at_mut(before);
    apply_short(head, word);
    let word = moved(word, before);
    let (blocks, rest) = payload.as_chunks_mut::<BLOCK_BYTES>();
    for block in blocks {
        apply_words(block, word);
    }
    apply_short(rest, word);
}

/// Bytes in front of the first vector that lies within one cache line, if the payload is so long that this pays:
/// of vectors that lie anywhere every second one touches two lines.
#[inline(always)]
fn bytes_to_boundary<T>(start: *const T, length: usize) -> usize {
    if length < ALIGNED_BYTES { 0 } else { start.align_offset(VECTOR_BYTES).min(length) }
}

/// The key as it stands so many bytes further on.
#[inline(always)]
fn moved(word: u64, bytes: usize) -> u64 {
    word.rotate_right(8 * (bytes % 4) as u32)
}

#[inline(always)]
fn apply_short(payload: &mut [u8], word: u64) {
    let (blocks, rest) = payload.as_chunks_mut::<VECTOR_BYTES>();
    for block in blocks {
        apply_words(block, word);
    }
    apply_words(rest, word);
}

#[inline(always)]
fn apply_words(payload: &mut [u8], word: u64) {
    // The compiler makes vectors of this loop; unaligned words cost nothing on what runs servers.
    let (words, tail) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
    }
    for (byte, key_byte) in tail.iter_mut().zip(word.to_le_bytes()) {
        *byte ^= key_byte;
    }
}

/// As [`apply_long`], into `room`, which is as long as `payload`.
fn copy_long(payload: &[u8], word: u64, room: &mut [MaybeUninit<u8>]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, and nothing else is asked of it.
        return unsafe { copy_with_avx2(payload, word, room) };
    }
    copy_blocks(payload, word, room);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn copy_with_avx2(payload: &[u8], word: u64, room: &mut [MaybeUninit<u8>]) {
    copy_blocks(payload, word, room);
}

#[inline(always)]
fn copy_blocks(payload: &[u8], word: u64, room: &mut [MaybeUninit<u8>]) {
    let before = bytes_to_boundary(room.as_ptr(), room.len().min(payload.len()));
    let (head, payload) = payload.split_at(before);
    let (head_room, room) = room.split_at_mut(before);
    copy_short(head, word, head_room);
    let word = moved(word, before);
    let (from, rest) = payload.as_chunks::<BLOCK_BYTES>();
    let (to, room) = room.as_chunks_mut::<BLOCK_BYTES>();
    for (from, to) in from.iter().zip(to) {
        copy_words(from, word, to);
    }
    copy_short(rest, word, room);
}

#[inline(always)]
fn copy_short(payload: &[u8], word: u64, room: &mut [MaybeUninit<u8>]) {
    let (from, rest) = payload.as_chunks::<VECTOR_BYTES>();
    let (to, room) = room.as_chunks_mut::<VECTOR_BYTES>();
    for (from, to) in from.iter().zip(to) {
        copy_words(from, word, to);
    }
    copy_words(rest, word, room);
}

#[inline(always)]
fn copy_words(payload: &[u8], word: u64, room: &mut [MaybeUninit<u8>]) {
    let (from, from_tail) = payload.as_chunks::<8>();
    let (to, to_tail) = room.as_chunks_mut::<8>();
    for (from, to) in from.iter().zip(to) {
        *to = (u64::from_le_bytes(*from) ^ word).to_le_bytes().map(MaybeUninit::new);
    }
    for ((from, to), key_byte) in from_tail.iter().zip(to_tail).zip(word.to_le_bytes()) {
        to.write(from ^ key_byte);
    }
}

/// The masking keys of one client connection, drawn from a seed.
///
/// Key after key is cut from the key stream of ChaCha8: who saw all keys so far cannot tell the next one
/// without the seed (section 10.3 asks for that). Sixteen frames share the cost of one block. The type is not
/// `Clone`, because two connections must not use one sequence.
pub struct MaskKeys(Box<Keystream>);

impl MaskKeys {
    /// The sequence of this seed: 16 bytes from a cryptographically strong source, drawn anew for each
    /// connection.
    #[must_use]
    pub fn from_seed(seed: [u8; 16]) -> Self {
        Self(Box::new(Keystream::new(seed)))
    }

    /// The next key; each is for one frame.
    #[inline]
    pub fn next_key(&mut self) -> [u8; 4] {
        self.0.next_word().to_le_bytes()
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

    type Copying = fn(&[u8], u64, &mut [MaybeUninit<u8>]);

    /// Masks `bytes[start..][..length]` in every way that this CPU has, and compares with the formula.
    fn check(bytes: &[u8], start: usize, length: usize, key: [u8; 4], offset: usize) {
        let payload = &bytes[start..start + length];
        let expected = by_the_formula(payload, key, offset);
        let in_place: [fn(&mut [u8], u64); 4] = [apply_words, apply_short, apply_blocks, apply_long];
        for apply in in_place {
            let mut copy = bytes.to_vec();
            apply(&mut copy[start..start + length], word_at(key, offset));
            assert_eq!(copy[start..start + length], expected);
            assert_eq!(copy[..start], bytes[..start]);
            assert_eq!(copy[start + length..], bytes[start + length..]);
        }
        let mut copy = bytes.to_vec();
        apply(&mut copy[start..start + length], key, offset);
        assert_eq!(copy[start..start + length], expected);
        let copying: [Copying; 4] = [copy_words, copy_short, copy_blocks, copy_long];
        for copy in copying {
            let mut room = vec![MaybeUninit::new(0xee); length];
            copy(payload, word_at(key, offset), &mut room);
            // SAFETY: every byte was written when the vector was made.
            assert!(room.iter().zip(&expected).all(|(byte, same)| unsafe { byte.assume_init() } == *same));
        }
        let mut output = bytes[..start].to_vec();
        append(payload, key, offset, &mut output);
        assert_eq!(output[..start], bytes[..start]);
        assert_eq!(output[start..], expected);
    }

    #[test]
    fn every_alignment_length_and_offset_follows_the_formula() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(340).collect();
        let key = [0x01, 0x20, 0x80, 0xff];
        // Miri runs a thousand times slower, and finds what is not sound with fewer alignments too.
        let (starts, step) = if cfg!(miri) { (0..2, 37) } else { (0..33, 1) };
        for start in starts {
            for length in (0..300).step_by(step) {
                for offset in 0..4 {
                    check(&bytes, start, length, key, offset);
                }
            }
        }
    }

    #[test]
    fn whole_blocks_and_what_follows_them_follow_the_formula() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(ALIGNED_BYTES + 3 * BLOCK_BYTES).collect();
        for length in [
            ALIGNED_BYTES,
            ALIGNED_BYTES + 67,
            BLOCK_BYTES,
            2 * BLOCK_BYTES + 31,
            2 * BLOCK_BYTES + 32,
            3 * BLOCK_BYTES + 47,
        ] {
            check(&bytes, 1, length, [9, 8, 7, 6], 3);
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
