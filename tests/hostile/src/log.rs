//! What the gateways of this process have logged, line by line, and whether one of their threads panicked.
//!
//! All tests of one binary share it, so a test looks for lines that only it can have caused.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, Once, PoisonError};

use crate::wire::PATIENCE;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static CAME: Condvar = Condvar::new();
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Begins to collect; later calls do nothing.
pub fn collect() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(|| Lines(Vec::new()))
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only subscriber of this process");
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("shard-")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            print(panic);
        }));
    });
}

/// Panics of gateways' threads so far.
#[must_use]
pub fn panics() -> usize {
    PANICS.load(Ordering::SeqCst)
}

/// All that was written so far, an element an event: one that holds a line feed was not one line.
#[must_use]
pub fn lines() -> Vec<String> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Waits for a line that holds all of `parts`, and gives it.
#[must_use]
pub fn await_line(parts: &[&str]) -> String {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let matches = |line: &&String| parts.iter().all(|part| line.contains(part));
        if let Some(line) = lines.iter().find(matches) {
            return line.clone();
        }
        let (guard, waited) = CAME.wait_timeout(lines, PATIENCE).unwrap_or_else(PoisonError::into_inner);
        lines = guard;
        assert!(!waited.timed_out(), "no log line holds {parts:?}");
    }
}

/// One event on its way into the collection.
struct Lines(Vec<u8>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0);
        let line = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        CAME.notify_all();
    }
}
