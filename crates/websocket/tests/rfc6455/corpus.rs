//! The stored corpora of `fuzz/`: replayed through the fuzz targets' bodies, and the seeds that they began
//! with.
//!
//! `WRITE_CORPUS=1 cargo test -p tidegate-websocket corpus` writes the seeds; what a fuzzer found is added
//! beside them by hand.

use std::fs;
use std::path::PathBuf;

use tidegate_websocket::fuzzing;

use crate::peer::{header, masked, unmasked};

type Target = (&'static str, fn(&[u8]), fn() -> Vec<(&'static str, Vec<u8>)>);

const TARGETS: [Target; 6] = [
    ("ws_server", fuzzing::fuzz_ws_server, || session_seeds(0x80, masked)),
    ("ws_client", fuzzing::fuzz_ws_client, || session_seeds(0, unmasked)),
    ("ws_handshake", fuzzing::fuzz_ws_handshake, handshake_seeds),
    ("client_handshake", fuzzing::fuzz_client_handshake, client_seeds),
    ("utf8", fuzzing::fuzz_utf8, utf8_seeds),
    ("mask", fuzzing::fuzz_mask, mask_seeds),
];

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

#[test]
fn every_stored_input_passes() {
    for (target, body, _) in TARGETS {
        let folder = folder(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for entry in entries {
            body(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{} holds {count} inputs", folder.display());
    }
}

#[test]
fn the_seeds_are_stored_as_they_are_written_here() {
    for (target, body, seeds) in TARGETS {
        for (name, bytes) in seeds() {
            body(&bytes);
            let path = folder(target).join(name);
            if std::env::var_os("WRITE_CORPUS").is_some() {
                fs::create_dir_all(folder(target)).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            assert!(fs::read(&path).is_ok_and(|stored| stored == bytes), "{}", path.display());
        }
    }
}

/// What a peer sends that masks with this bit, and so writes its frames.
fn session_seeds(mask: u8, frame: fn(u8, &[u8]) -> Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    // First byte: the limits. Second: the pieces.
    let seed = |limits: u8, frames: &[Vec<u8>]| [vec![limits, 6], frames.concat()].concat();
    let key = if mask == 0 { &b""[..] } else { b"keyk" };
    let claimed = [&header(0x82, mask, (1 << 63) - 1)[..], key, b"payload"].concat();
    vec![
        ("text", seed(0, &[frame(0x81, b"Hello")])),
        ("text_of_many_lengths", seed(0, &[frame(0x81, "κόσμε 🍉".as_bytes()), frame(0x81, "é".as_bytes())])),
        ("fragments", seed(0, &[frame(0x01, b"\xf0\x9f"), frame(0x89, b"p"), frame(0x80, b"\x8d\x89")])),
        ("length_125", seed(0, &[frame(0x82, &[7; 125])])),
        ("length_126", seed(0, &[frame(0x82, &[7; 126])])),
        ("length_16", seed(0, &[frame(0x82, &[7; 300])])),
        ("ping_125", seed(0, &[frame(0x89, &[1; 125]), frame(0x8a, b"")])),
        ("pings", seed(0, &[frame(0x89, b"").repeat(20), frame(0x8a, b"unasked").repeat(3)])),
        ("ping_126", seed(0, &[vec![0x89, mask | 126, 0, 126]])),
        ("ping_fragmented", seed(0, &[frame(0x09, b"")])),
        ("close", seed(0, &[frame(0x88, b"\x03\xe8bye"), frame(0x81, b"late")])),
        ("close_empty", seed(0, &[frame(0x01, b"begun"), frame(0x88, b"")])),
        ("close_half_code", seed(0, &[frame(0x88, b"\x03")])),
        ("close_bad_code", seed(0, &[frame(0x88, b"\x03\xed")])),
        ("close_bad_reason", seed(0, &[frame(0x88, b"\x03\xe8\xff")])),
        ("close_code_5000", seed(0, &[frame(0x88, b"\x13\x88")])),
        ("bad_utf8", seed(0, &[frame(0x81, b"\xce\xba\xe1\xf4\x90")])),
        ("bad_utf8_in_a_fragment", seed(0, &[frame(0x01, b"\xf4"), frame(0x00, b"\x90")])),
        ("cut_character", seed(0, &[frame(0x01, b"ok"), frame(0x80, b"\xe2\x82")])),
        ("reserved_bit", seed(0, &[frame(0xc1, b"")])),
        ("reserved_opcode", seed(0, &[header(0x83, mask, 10_000_000_000)])),
        ("wrong_mask", seed(0, &[header(0x81, mask ^ 0x80, 5), key.to_vec(), b"Hello".to_vec()])),
        ("length_2_63", seed(3, &[vec![0x82, mask | 127, 0x80, 0, 0, 0, 0, 0, 0, 0]])),
        ("length_claimed", seed(3, &[claimed])),
        ("length_sum_over_64_bits", seed(3, &[frame(0x02, b"begun"), header(0x80, mask, (1 << 63) - 1)])),
        ("length_not_minimal", seed(0, &[vec![0x82, mask | 126, 0, 5]])),
        ("length_not_minimal_64", seed(0, &[vec![0x82, mask | 127, 0, 0, 0, 0, 0, 0, 255, 255]])),
        ("too_many_fragments", seed(1, &[frame(0x02, b""), frame(0x00, b"").repeat(3)])),
        ("too_big", seed(1, &[frame(0x02, &[0; 100]), frame(0x80, &[0; 101])])),
        ("as_big_as_may_be", seed(1, &[frame(0x02, &[0; 100]), frame(0x80, &[0; 100])])),
        ("interrupted", seed(0, &[frame(0x01, b"a"), frame(0x81, b"b")])),
        ("nothing_to_continue", seed(0, &[frame(0x80, b"a")])),
        ("nothing_allowed", seed(2, &[frame(0x82, b""), frame(0x02, b""), frame(0x80, b"")])),
    ]
}

fn handshake_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seed = |lines: &str| [&[9][..], lines.replace('\n', "\r\n").as_bytes()].concat();
    let good = "GET /chat HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: keep-alive, Upgrade\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n";
    vec![
        ("good", seed(&format!("{good}\n"))),
        ("subprotocol", seed(&format!("{good}Sec-WebSocket-Protocol: soap, chat\n\nframes"))),
        (
            "deflate",
            seed(&format!("{good}Sec-WebSocket-Extensions: permessage-deflate; a=\"b\\c\"; d, x\n\n")),
        ),
        ("version_8", seed(&format!("{good}\n").replace("13", "8"))),
        ("two_keys", seed(&format!("{good}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"))),
        ("body", seed(&format!("{good}Content-Length: 5\n\nhello"))),
        ("post", seed("POST / HTTP/1.1\n\n")),
        ("http_1_0", seed("GET / HTTP/1.0\n\n")),
        ("http_2", seed("PRI * HTTP/2.0\n\nSM\n\n")),
        ("bare_line_feeds", [&[0][..], good.as_bytes(), b"\n"].concat()),
        ("empty_lines_first", seed(&format!("\n\n{good}\n"))),
        ("partial", seed(good)),
    ]
}

fn client_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seed = |lines: &str| [&[9][..], lines.replace('\n', "\r\n").as_bytes()].concat();
    let good = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n";
    vec![
        ("good", seed(&format!("{good}\nframes"))),
        ("subprotocol", seed(&format!("{good}Sec-WebSocket-Protocol: chat\n\n"))),
        ("extension", seed(&format!("{good}Sec-WebSocket-Extensions: permessage-deflate\n\n"))),
        ("interim", seed(&format!("HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: x\n\n{good}\n"))),
        ("refused", seed("HTTP/1.1 401 Unauthorized\nContent-Length: 4\n\nbody")),
        ("other_key", seed(&format!("{good}\n").replace("s3p", "S3p"))),
        ("not_http", seed("SSH-2.0-OpenSSH_9.6\n\n")),
        ("partial", seed(good)),
    ]
}

fn utf8_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seed = |piece: u8, bytes: &[u8]| [&[piece][..], bytes].concat();
    vec![
        ("greek", seed(1, "κόσμε".as_bytes())),
        ("four_bytes", seed(3, "a🍉\u{10ffff}".as_bytes())),
        ("long", seed(100, "水".repeat(200).as_bytes())),
        ("overlong", seed(1, b"\xc0\xaf")),
        ("surrogate", seed(2, b"ab\xed\xa0\x80")),
        ("beyond", seed(2, b"\xf4\x90\x80\x80")),
        ("cut", seed(7, b"abc\xf0\x9f\x8d")),
        ("lone_continuation", seed(4, b"abcd\x80")),
    ]
}

fn mask_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seed = |cut: u8, payload: &[u8]| [&[0x37, 0xfa, 0x21, 0x3d, cut][..], payload].concat();
    vec![
        ("hello", seed(0, b"Hello")),
        ("empty", seed(0, b"")),
        ("cut_inside_a_word", seed(3, b"0123456789abcdef0123456789")),
        ("cut_at_a_word", seed(8, b"0123456789abcdef")),
        ("long", seed(101, &[0xa5; 1000])),
    ]
}
