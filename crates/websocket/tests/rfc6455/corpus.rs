//! The stored corpora of `fuzz/`: replayed through the fuzz targets' bodies, and the seeds that they began
//! with.
//!
//! `WRITE_CORPUS=1 cargo test -p tidegate-websocket corpus` writes the seeds; what a fuzzer found is added
//! beside them by hand.

use std::fs;
use std::path::PathBuf;

use tidegate_websocket::deflate::{Compressor, Effort};
use tidegate_websocket::fuzzing;

use crate::peer::{header, masked, unmasked};

type Target = (&'static str, fn(&[u8]), fn() -> Vec<(&'static str, Vec<u8>)>);

const TARGETS: [Target; 8] = [
    ("ws_server", fuzzing::fuzz_ws_server, || session_seeds(0x80, masked)),
    ("ws_client", fuzzing::fuzz_ws_client, || session_seeds(0, unmasked)),
    ("ws_handshake", fuzzing::fuzz_ws_handshake, handshake_seeds),
    ("client_handshake", fuzzing::fuzz_client_handshake, client_seeds),
    ("utf8", fuzzing::fuzz_utf8, utf8_seeds),
    ("mask", fuzzing::fuzz_mask, mask_seeds),
    ("deflate_read", fuzzing::fuzz_deflate_read, deflate_read_seeds),
    ("deflate_offer", fuzzing::fuzz_deflate_offer, deflate_offer_seeds),
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

fn deflate_read_seeds() -> Vec<(&'static str, Vec<u8>)> {
    // First byte: bit 0 client, bits 1 and 2 takeover of server and client. Second: windows, less 8, and the
    // limit. Third: length of the pieces, less 1.
    let seed =
        |choice: u8, windows: u8, frames: &[Vec<u8>]| [vec![choice, windows, 6], frames.concat()].concat();
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let mut compressor = Compressor::new(Effort { level: 9, min_bytes: 0 });
    let mut deflated = |bytes: &[u8]| {
        let mut output = Vec::new();
        compressor.compress(bytes, &mut output);
        output
    };
    let json: String = (0..40).map(|n| format!("{{\"n\":{n},\"name\":\"κ{}\"}}", n % 7)).collect();
    vec![
        ("hello", seed(0, 0x7f, &[masked(0xc1, &hello)])),
        ("hello_from_server", seed(1, 0x7f, &[unmasked(0xc1, &hello)])),
        ("taken_over", seed(6, 0x7f, &[masked(0xc1, &hello), masked(0x81, b"plain"), masked(0xc1, &again)])),
        ("not_taken_over", seed(0, 0x7f, &[masked(0xc1, &hello), masked(0xc1, &again)])),
        ("window_of_9", seed(7, 0x89, &[unmasked(0xc1, &deflated(json.as_bytes())), unmasked(0xc1, &again)])),
        (
            "fragments",
            seed(0, 0x7f, &[masked(0x41, &hello[..3]), masked(0x89, b"p"), masked(0x80, &hello[3..])]),
        ),
        (
            "final_block",
            seed(0, 0x7f, &[masked(0xc1, &last), masked(0xc2, &[&last[..7], &hello[..]].concat())]),
        ),
        ("final_blocks", seed(4, 0x7f, &[masked(0xc2, &[0x03, 0x00].repeat(20))])),
        ("stored", seed(1, 0x7f, &[unmasked(0xc2, b"\x00\x05\x00\xfa\xffHello\x00")])),
        ("empty", seed(6, 0x7f, &[masked(0xc1, b"\x00"), masked(0xc1, b"")])),
        ("bomb", seed(0, 0xbf, &[masked(0xc2, &deflated(&[0; 200_000]))])),
        ("bomb_of_text", seed(1, 0x40, &[unmasked(0xc1, &deflated(&[b'x'; 101]))])),
        ("cut_off", seed(0, 0x7f, &[masked(0xc1, &hello[..4])])),
        ("corrupt", seed(5, 0x7f, &[unmasked(0xc1, b"\x07\xff\xff")])),
        ("not_utf8", seed(0, 0x7f, &[masked(0xc1, &deflated(b"ab\xf0\x9f"))])),
        ("continued_with_rsv1", seed(0, 0x7f, &[masked(0x41, &hello), masked(0xc0, b"")])),
        ("ping_with_rsv1", seed(0, 0x7f, &[masked(0xc9, b"")])),
    ]
}

fn deflate_offer_seeds() -> Vec<(&'static str, Vec<u8>)> {
    // First byte: bit 0 takeover, bits 1 to 4 the largest window.
    let seed = |choice: u8, lines: &str| [&[choice][..], lines.as_bytes()].concat();
    vec![
        ("plain", seed(31, "permessage-deflate")),
        ("chromium", seed(30, "permessage-deflate; client_max_window_bits")),
        ("small", seed(25, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"9\"")),
        ("window_of_8", seed(31, "permessage-deflate; server_max_window_bits=8, permessage-deflate")),
        ("answer", seed(30, "permessage-deflate; server_no_context_takeover; client_no_context_takeover")),
        ("two_fields", seed(31, "x; y=z\npermessage-deflate; server_no_context_takeover")),
        ("repeated", seed(31, "permessage-deflate; client_max_window_bits; client_max_window_bits")),
        ("leading_zero", seed(31, "permessage-deflate; client_max_window_bits=08")),
        ("quoted", seed(31, r#"permessage-deflate; server_max_window_bits="1\2""#)),
        ("malformed", seed(31, "permessage-deflate; =")),
        ("empty", seed(31, "")),
    ]
}
