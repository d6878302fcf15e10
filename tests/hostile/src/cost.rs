//! What an attack costs the process: resident memory and descriptors, read from `/proc`.

use std::time::Instant;

use crate::wire::PATIENCE;

/// Resident bytes of this process; attacker and gateway are both in it.
#[must_use]
pub fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("statm");
    pages * PAGE
}

/// The most resident bytes at any time since [`begin_peak`].
#[must_use]
pub fn peak_resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}

/// Forgets the peak until now.
pub fn begin_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a process may forget its own peak");
}

/// Open descriptors of this process.
#[must_use]
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

/// Waits until no more than `most` descriptors are open.
pub fn await_descriptors(most: usize) {
    let begun = Instant::now();
    while descriptors() > most {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} descriptors are open, {most} at most should be",
            descriptors()
        );
        std::thread::yield_now();
    }
}
