//! Strings written into patches: as JSON, and as segments of pointers (RFC 6901).
//!
//! What is written comes from a document that was read, so that it is UTF-8; quotes are the caller's.

/// Appends what stands between the quotes of a JSON string.
pub(super) fn write_string(output: &mut Vec<u8>, text: &str) {
    text.bytes().for_each(|byte| write_byte(output, byte));
}

/// Appends a slash and one segment of a pointer, as it stands between the quotes of a JSON string.
pub(super) fn write_segment(output: &mut Vec<u8>, segment: &str) {
    output.push(b'/');
    for byte in segment.bytes() {
        match byte {
            b'~' => output.extend_from_slice(b"~0"),
            b'/' => output.extend_from_slice(b"~1"),
            _ => write_byte(output, byte),
        }
    }
}

/// Appends a slash and the place in an array.
pub(super) fn write_index(output: &mut Vec<u8>, index: usize) {
    output.push(b'/');
    output.extend_from_slice(index.to_string().as_bytes());
}

/// One byte of UTF-8 (RFC 8259, section 7).
fn write_byte(output: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => output.extend_from_slice(&[b'\\', byte]),
        0..=0x1f => output.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        _ => output.push(byte),
    }
}
