//! Both back ends against each other, without frames: what one compresses the other reads.

use super::codec::{Deflate, Inflate, Progress, Step, Until};
use super::compressor::{TAIL, append, end, store};
use super::{InflateError, Inflater, Sink, zlib_rs};
use crate::deflate::Direction;

#[cfg(feature = "zlib-c")]
use super::zlib_c;

/// Takes all, up to a limit.
#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    limit: usize,
}

impl Sink for Taken {
    type Error = InflateError;

    fn room(&self) -> usize {
        self.limit - self.bytes.len()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), InflateError> {
        assert!(bytes.len() <= self.room() + 1);
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > self.limit { Err(InflateError::Incomplete) } else { Ok(()) }
    }

    fn recent(&self) -> Vec<u8> {
        self.bytes[self.bytes.len().saturating_sub(32 * 1024)..].to_vec()
    }
}

/// Messages that refer to each other, from none to longer than any window.
fn messages() -> Vec<Vec<u8>> {
    let line = |n: usize| format!("{{\"n\":{n},\"square\":{},\"text\":\"κόσμε {}\"}}\n", n * n, n % 7);
    let mut messages: Vec<Vec<u8>> = (0..60).map(|n| line(n).into_bytes()).collect();
    messages.push(Vec::new());
    messages.push((0..3000).map(line).collect::<String>().into_bytes());
    messages.push((0..70_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    messages.push(vec![0; 300_000]);
    messages.push(line(3).into_bytes());
    messages
}

/// Decompresses one message as `inflater` does it.
fn read(inflate: &mut impl Inflate, payload: &[u8]) -> Vec<u8> {
    let (mut output, mut piece) = (Vec::new(), [0; 1000]);
    let mut input = [payload, &TAIL].concat();
    loop {
        let (Step { taken, given }, progress) = inflate.step(&input, &mut piece, Until::Exhausted);
        assert_eq!(progress, Progress::Going);
        output.extend_from_slice(&piece[..given]);
        input.drain(..taken);
        if input.is_empty() && given < piece.len() {
            return output;
        }
    }
}

fn check_pair(mut deflate: impl Deflate, mut inflate: impl Inflate) {
    for message in messages() {
        let mut compressed = Vec::new();
        assert!(append(&mut deflate, &message, &mut compressed));
        end(&mut compressed);
        assert!(read(&mut inflate, &compressed) == message, "{} bytes", message.len());
    }
}

#[test]
fn the_back_ends_read_each_other_in_every_window_and_at_every_level() {
    for window_bits in 9..=15 {
        for level in [0, 1, 2, 6, 9] {
            let rust = || zlib_rs::Deflater::new(level, window_bits, 4);
            check_pair(rust(), zlib_rs::Inflater::new(window_bits));
            #[cfg(feature = "zlib-c")]
            {
                let c = || zlib_c::Deflater::new(level, window_bits, 4);
                check_pair(rust(), zlib_c::Inflater::new(window_bits));
                check_pair(c(), zlib_rs::Inflater::new(window_bits));
                check_pair(c(), zlib_c::Inflater::new(window_bits));
            }
        }
    }
}

#[test]
fn what_is_reset_refers_to_nothing() {
    fn check(mut deflate: impl Deflate) {
        let compress = |deflate: &mut _, message: &[u8]| {
            let mut compressed = Vec::new();
            assert!(append(deflate, message, &mut compressed));
            end(&mut compressed);
            compressed
        };
        let message = b"once and once more and once more";
        let first = compress(&mut deflate, message);
        assert!(compress(&mut deflate, message).len() < first.len());
        deflate.reset();
        assert_eq!(compress(&mut deflate, message), first);
    }
    check(zlib_rs::Deflater::new(6, 15, 8));
    #[cfg(feature = "zlib-c")]
    check(zlib_c::Deflater::new(6, 12, 4));
}

#[test]
fn stored_blocks_are_deflate() {
    for message in messages() {
        let mut stored = Vec::new();
        store(&message, &mut stored);
        end(&mut stored);
        assert!(read(&mut zlib_rs::Inflater::new(15), &stored) == message);
    }
}

fn directions() -> [Direction; 3] {
    [
        Direction { takeover: false, window_bits: 15 },
        Direction { takeover: true, window_bits: 15 },
        Direction { takeover: true, window_bits: 9 },
    ]
}

/// The whole of a message's payload: how it ended, and what came out.
fn check_message(direction: Direction, payload: &[u8], limit: usize) -> (Result<(), InflateError>, usize) {
    let mut inflater = Inflater::new(direction);
    let mut taken = Taken { bytes: Vec::new(), limit };
    let outcome = inflater.push(payload, &mut taken).and_then(|()| inflater.finish());
    (outcome, taken.bytes.len())
}

#[test]
fn references_reach_back_behind_a_final_block() {
    // "abcabc" as a final block, then as a reference of 6 bytes back by 6, made by a context that has it.
    let mut deflate = zlib_rs::Deflater::new(9, 15, 8);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let message = b"0123456789 abcdefgh ABCDEFGH";
    assert!(append(&mut deflate, message, &mut first));
    assert!(append(&mut deflate, message, &mut second));
    assert!(second.len() < 12);
    end(&mut second);
    for direction in directions() {
        // The empty stored block of the first flush, made final.
        let mut payload = first[..first.len() - TAIL.len()].to_vec();
        payload.extend_from_slice(&TAIL);
        payload.extend_from_slice(&[0x03, 0x00]);
        payload.extend_from_slice(&second);
        let mut inflater = Inflater::new(direction);
        let mut taken = Taken { bytes: Vec::new(), limit: 1000 };
        assert_eq!(inflater.push(&payload, &mut taken), Ok(()));
        assert_eq!(inflater.finish(), Ok(()));
        assert_eq!(taken.bytes, [&message[..], message].concat(), "{direction:?}");
    }
}

#[test]
fn final_blocks_without_output_come_to_an_end() {
    let payload = [[0x03, 0x00].repeat(16), vec![0x00]].concat();
    let flood = [[0x03, 0x00].repeat(17), vec![0x00]].concat();
    for direction in directions() {
        assert_eq!(check_message(direction, &payload, 0), (Ok(()), 0));
        assert_eq!(check_message(direction, &flood, 0), (Err(InflateError::Corrupt), 0));
    }
}

#[test]
fn output_stops_one_byte_behind_the_limit() {
    let mut compressed = Vec::new();
    assert!(append(&mut zlib_rs::Deflater::new(9, 15, 8), &vec![0; 1 << 20], &mut compressed));
    end(&mut compressed);
    for direction in directions() {
        for limit in [0, 1, 1000, 8191, 8192, 8193, (1 << 20) - 1] {
            let (outcome, length) = check_message(direction, &compressed, limit);
            assert_eq!((outcome, length), (Err(InflateError::Incomplete), limit + 1));
        }
        assert_eq!(check_message(direction, &compressed, 1 << 20), (Ok(()), 1 << 20));
    }
}
