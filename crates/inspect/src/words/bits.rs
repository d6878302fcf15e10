//! The header of a frame, drawn bit by bit.
//!
//! Each byte has its own lines; a dot stands for a bit that another line tells of.

use std::fmt::Write;

use crate::header::{WireHeader, opcode_word};

/// The drawing, a line for each field, without a line end behind the last.
#[must_use]
pub fn draw(header: &WireHeader) -> String {
    let bytes = header.as_bytes();
    let (first, second) = (bytes[0], bytes[1]);
    let mut lines = Vec::new();
    let mut line = |bytes: &[u8], bits: String, name: &str, words: String| {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        lines.push(format!("{hex:<23}  {bits:<9}  {name:<8}  {words}").trim_end().to_owned());
    };
    let fin = if header.fin() { "1  the last fragment of its message" } else { "0  more fragments follow" };
    line(&[first], bits(first, 0x80), "FIN", fin.to_owned());
    line(&[], bits(first, 0x70), "RSV1-3", reserved(header));
    let opcode = header.opcode_bits();
    line(&[], bits(first, 0x0f), "opcode", format!("0x{opcode:X}  {}", opcode_word(opcode)));
    let mask = if header.mask().is_some() {
        "1  masked: a client sent it"
    } else {
        "0  not masked: a server sent it"
    };
    line(&[second], bits(second, 0x80), "MASK", mask.to_owned());
    let short = header.short_length();
    let words = match short {
        126 => "126  the length is in the next 2 bytes".to_owned(),
        127 => "127  the length is in the next 8 bytes".to_owned(),
        length => format!("{length}  {}", plural(u64::from(length))),
    };
    line(&[], bits(second, 0x7f), "length", words);
    let extended = match short {
        126 => &bytes[2..4],
        127 => &bytes[2..10],
        _ => &[],
    };
    if !extended.is_empty() {
        let length = header.payload_length();
        line(extended, String::new(), "length", format!("{length}  {}", plural(length)));
    }
    if let Some(key) = header.mask() {
        line(
            &key,
            String::new(),
            "key",
            "the payload is XORed with these four bytes, over and over".to_owned(),
        );
    }
    lines.join("\n")
}

/// The bits of the byte that belong to a field, the others as dots, in two groups.
fn bits(byte: u8, field: u8) -> String {
    let mut text = String::new();
    for bit in (0..8).rev() {
        let shown = match (field >> bit & 1, byte >> bit & 1) {
            (0, _) => '.',
            (_, 0) => '0',
            _ => '1',
        };
        // Writing to a string does not fail.
        let _ = write!(text, "{shown}{}", if bit == 4 { " " } else { "" });
    }
    text
}

fn reserved(header: &WireHeader) -> String {
    let rsv = header.rsv();
    let digits: String = rsv.iter().map(|set| if *set { '1' } else { '0' }).collect();
    let words = match rsv {
        [false, false, false] => "no extension speaks",
        [true, false, false] => "RSV1: compressed, if permessage-deflate was agreed on",
        _ => "no extension in use owns RSV2 or RSV3",
    };
    format!("{digits}  {words}")
}

fn plural(bytes: u64) -> String {
    if bytes == 1 { "byte of payload".to_owned() } else { "bytes of payload".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_masked_hello_of_section_5_7() {
        let header = WireHeader::from_bytes(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]).expect("a header");
        let drawing = "\
81                       1... ....  FIN       1  the last fragment of its message
                         .000 ....  RSV1-3    000  no extension speaks
                         .... 0001  opcode    0x1  text
85                       1... ....  MASK      1  masked: a client sent it
                         .000 0101  length    5  bytes of payload
37 fa 21 3d                         key       the payload is XORed with these four bytes, over and over";
        assert_eq!(draw(&header), drawing);
    }

    proptest! {
        #[test]
        fn every_byte_of_a_header_is_drawn(bytes in prop::collection::vec(any::<u8>(), 14)) {
            let header = WireHeader::find(&bytes).expect("fourteen bytes are enough");
            let drawing = draw(&header);
            let drawn: Vec<u8> = drawing
                .lines()
                .flat_map(|line| line.chars().take(23).collect::<String>().split(' ').map(str::to_owned).collect::<Vec<_>>())
                .filter_map(|hex| u8::from_str_radix(&hex, 16).ok())
                .collect();
            prop_assert_eq!(drawn.as_slice(), header.as_bytes());
        }
    }
}
