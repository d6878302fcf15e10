//! ChaCha8 as a source of numbers that cannot be foretold, for the masking keys of a client.
//!
//! The rounds are those of RFC 8439, section 2.3, eight of them instead of twenty, which no known attack
//! breaks; the key has 16 bytes, as the cipher's author defined it with the constant "expand 16-byte k". Nothing is
//! encrypted with it: it is one stream of words for each connection, from its seed.

/// Words of one block.
const BLOCK_WORDS: usize = 16;
const DOUBLE_ROUNDS: usize = 4;

type Block = [u32; BLOCK_WORDS];

/// The stream of one seed, word after word.
pub(crate) struct Keystream {
    seed: [u32; 4],
    /// Number of the next block.
    counter: u64,
    block: Block,
    /// Words of `block` that have been used, at most [`BLOCK_WORDS`].
    used: usize,
}

impl Keystream {
    pub(crate) fn new(seed: [u8; 16]) -> Self {
        let words = seed.as_chunks::<4>().0;
        let seed = std::array::from_fn(|place| u32::from_le_bytes(words[place]));
        Self { seed, counter: 0, block: [0; BLOCK_WORDS], used: BLOCK_WORDS }
    }

    #[inline]
    pub(crate) fn next_word(&mut self) -> u32 {
        if self.used >= BLOCK_WORDS {
            self.next_block();
        }
        let word = self.block[self.used];
        self.used += 1;
        word
    }

    #[cold]
    #[inline(never)]
    fn next_block(&mut self) {
        let [a, b, c, d] = self.seed;
        let (low, high) = (self.counter as u32, (self.counter >> 32) as u32);
        let [w, x, y, z] = [*b"expa", *b"nd 1", *b"6-by", *b"te k"].map(u32::from_le_bytes);
        self.block = permuted::<DOUBLE_ROUNDS>([w, x, y, z, a, b, c, d, a, b, c, d, low, high, 0, 0]);
        self.counter = self.counter.wrapping_add(1);
        self.used = 0;
    }
}

/// Four words that are treated alike: one row of the block as a square.
type Lanes = [u32; 4];

/// Rounds over a block, and the block added to what comes out.
///
/// The four columns, then the four diagonals, go through their quarter rounds side by side.
fn permuted<const DOUBLE_ROUNDS: usize>(block: Block) -> Block {
    let row = |number: usize| -> Lanes { std::array::from_fn(|lane| block[4 * number + lane]) };
    let (mut a, mut b, mut c, mut d) = (row(0), row(1), row(2), row(3));
    for _ in 0..DOUBLE_ROUNDS {
        quarter_rounds(&mut a, &mut b, &mut c, &mut d);
        // The diagonals become columns, and columns again.
        (b, c, d) = (turned::<1>(b), turned::<2>(c), turned::<3>(d));
        quarter_rounds(&mut a, &mut b, &mut c, &mut d);
        (b, c, d) = (turned::<3>(b), turned::<2>(c), turned::<1>(d));
    }
    let rows = [a, b, c, d];
    std::array::from_fn(|place| rows[place / 4][place % 4].wrapping_add(block[place]))
}

/// The lanes moved left by so many places, as one shuffle.
#[inline(always)]
fn turned<const PLACES: usize>(lanes: Lanes) -> Lanes {
    std::array::from_fn(|lane| lanes[(lane + PLACES) % 4])
}

#[inline(always)]
fn quarter_rounds(a: &mut Lanes, b: &mut Lanes, c: &mut Lanes, d: &mut Lanes) {
    step(a, b, d, 16);
    step(c, d, b, 12);
    step(a, b, d, 8);
    step(c, d, b, 7);
}

/// `x += y; z = (z ^ x) <<< bits` in each lane.
#[inline(always)]
fn step(x: &mut Lanes, y: &Lanes, z: &mut Lanes, bits: u32) {
    for lane in 0..4 {
        x[lane] = x[lane].wrapping_add(y[lane]);
        z[lane] = (z[lane] ^ x[lane]).rotate_left(bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_of_rfc_8439_section_2_3_2() {
        let mut block: Block = [0; BLOCK_WORDS];
        let head = [*b"expa", *b"nd 3", *b"2-by", *b"te k"].map(u32::from_le_bytes);
        block[..4].copy_from_slice(&head);
        for (place, word) in block[4..12].iter_mut().enumerate() {
            let first = 4 * place as u8;
            *word = u32::from_le_bytes([first, first + 1, first + 2, first + 3]);
        }
        block[12..].copy_from_slice(&[1, 0x0900_0000, 0x4a00_0000, 0]);
        let expected = [
            0xe4e7_f110,
            0x1559_3bd1,
            0x1fdd_0f50,
            0xc471_20a3,
            0xc7f4_d1c7,
            0x0368_c033,
            0x9aaa_2204,
            0x4e6c_d4c3,
            0x4664_82d2,
            0x09aa_9f07,
            0x05d7_c214,
            0xa202_8bd9,
            0xd19c_12b5,
            0xb94e_16de,
            0xe883_d0cb,
            0x4e3c_50a2,
        ];
        assert_eq!(permuted::<10>(block), expected);
    }

    #[test]
    fn blocks_follow_each_other() {
        let mut stream = Keystream::new([3; 16]);
        let words: Vec<u32> = (0..3 * BLOCK_WORDS).map(|_| stream.next_word()).collect();
        assert_eq!(stream.counter, 3);
        assert!(words[..BLOCK_WORDS] != words[BLOCK_WORDS..2 * BLOCK_WORDS]);
    }
}
