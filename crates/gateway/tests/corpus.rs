//! The corpora of the fuzz targets, replayed: each file is an input that was worth keeping.
//! No new inputs are made here; that is what the fuzz targets are for.

use std::fs;
use std::path::Path;

use tidegate_gateway::fuzzing;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("a readable folder").path();
        println!("{}", path.display());
        body(&fs::read(&path).expect("a readable file"));
        count += 1;
    }
    assert!(count >= 3, "{} holds {count} files", folder.display());
}

#[test]
fn token() {
    replay("token", fuzzing::token);
}

#[test]
fn key_set() {
    replay("key_set", fuzzing::key_set);
}
