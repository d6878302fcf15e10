//! The corpora of the fuzz targets, replayed: each file is an input that was worth keeping.

#![allow(missing_docs, reason = "a test program")]

use std::fs;
use std::path::Path;

use tidegate_inspect::fuzzing;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        body(&fs::read(entry.expect("a readable folder").path()).expect("a readable file"));
        count += 1;
    }
    assert!(count >= 3, "{} holds {count} files", folder.display());
}

#[test]
fn inspect_tap() {
    replay("inspect_tap", fuzzing::fuzz_tap);
}

#[test]
fn inspect_recording() {
    replay("inspect_recording", fuzzing::fuzz_recording);
}
