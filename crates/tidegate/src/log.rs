//! Log lines to stderr, for people or as JSON.
//!
//! Lines go through a bounded queue to a thread that writes them: a terminal that stands still or a disk
//! that is full makes lines go missing, which is counted and said, and never stops what the gateway does.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use tidegate_inspect::words::known;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::arguments::LogFormat;
use crate::exit::say;

/// Lines that wait to be written; those beyond are counted and dropped.
const LINES_MAX: usize = 1024;

/// How long the last lines may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What level is written unless TIDEGATE_LOG says otherwise.
const DEFAULT_FILTER: &str = "info";

/// The library that keeps tables tells much of itself; what of it matters is told by the store. Whoever wants it names it
/// in TIDEGATE_LOG.
const SILENT: &str = "fjall=off,lsm_tree=off";

/// The log; ask it to flush before the program ends.
pub(crate) struct Log {
    lines: Lines,
}

/// The queue's entry.
#[derive(Clone)]
struct Lines {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// Answer when all before it is written.
    Flush(SyncSender<()>),
}

/// One line while it is formatted; queued when dropped.
struct Line<'l> {
    lines: &'l Lines,
    bytes: Vec<u8>,
}

/// Sets the program's log up. To be called once.
pub(crate) fn start(format: Option<LogFormat>) -> Log {
    let stderr = io::stderr();
    let colours = AutoStream::choice(&stderr) != ColorChoice::Never;
    let format = format.unwrap_or(LogFormat::Pretty);
    let lines = Lines::start(io::stderr());
    let filter = filter(std::env::var("TIDEGATE_LOG").ok().as_deref());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines.clone())
        .with_ansi(colours && stderr.is_terminal())
        // What it says about failing writes would go to the stream that fails.
        .log_internal_errors(false);
    // Fails only if there is a log already; then that one stays.
    let _ = match format {
        LogFormat::Pretty => builder.compact().with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Log { lines }
}

/// A filter that cannot be read is said and not used: a gateway should not be down for that.
fn filter(text: Option<&str>) -> EnvFilter {
    let with = |text: &str| format!("{SILENT},{text}");
    let Some(text) = text else { return EnvFilter::new(with(DEFAULT_FILTER)) };
    EnvFilter::try_new(with(text)).unwrap_or_else(|error| {
        let number = known::LOG_FILTER;
        say(format_args!("warning[{number}]: TIDEGATE_LOG: {error}; '{DEFAULT_FILTER}' is used instead"));
        EnvFilter::new(with(DEFAULT_FILTER))
    })
}

impl Log {
    /// Waits, for a second at most, until what was logged is written.
    pub(crate) fn flush(&self) {
        let (done, finished) = sync_channel(1);
        // The queue may be full of what cannot be written.
        if self.lines.queue.try_send(Entry::Flush(done)).is_ok() {
            let _ = finished.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

impl Lines {
    fn start(output: impl Write + Send + 'static) -> Self {
        let (queue, entries) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        // Without the thread every line is counted as dropped, and nothing else suffers.
        let _ = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&entries, &counted, output));
        Self { queue, dropped }
    }
}

fn write_all(entries: &Receiver<Entry>, dropped: &AtomicU64, mut output: impl Write) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(
                        output,
                        "{lost} log lines were dropped: they came faster than they are read"
                    );
                }
                // A line that cannot be written is lost; there is nobody to tell.
                let _ = output.write_all(&line);
            }
            Entry::Flush(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        Line { lines: self, bytes: Vec::new() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() && self.lines.queue.try_send(Entry::Line(bytes)).is_err() {
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Writes only what it is allowed to, one write a permit.
    struct Gated {
        permits: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.permits.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_library_of_tables_is_silent_unless_it_is_named() {
        for (text, silent) in [
            (None, true),
            (Some("debug"), true),
            (Some("nonsense=="), true),
            (Some("warn,fjall=debug"), false),
        ] {
            let filter = filter(text).to_string();
            assert_eq!(filter.contains("fjall=off"), silent, "{filter}");
            assert!(filter.contains("lsm_tree=off"), "{filter}");
        }
    }

    #[test]
    fn a_writer_that_stands_still_stops_nobody_and_is_told_of_what_was_lost() {
        let (permit, permits) = sync_channel(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::start(Gated { permits, written: Arc::clone(&written) });
        let beyond = 10;
        for _ in 0..LINES_MAX + 1 + beyond {
            lines.make_writer().write_all(b"line\n").unwrap();
        }
        // The thread may hold one line beside those in the queue.
        let lost = lines.dropped.load(Ordering::Relaxed);
        assert!((beyond as u64..=beyond as u64 + 1).contains(&lost), "{lost}");
        drop(permit);
        Log { lines }.flush_or_panic();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.contains("log lines were dropped"), "{text}");
        assert!(text.matches("line\n").count() >= LINES_MAX);
    }

    impl Log {
        fn flush_or_panic(&self) {
            let (done, finished) = sync_channel(1);
            self.lines.queue.send(Entry::Flush(done)).unwrap();
            finished.recv().unwrap();
        }
    }

    #[test]
    fn a_broken_stream_is_no_failure() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let log = Log { lines: Lines::start(Broken) };
        log.lines.make_writer().write_all(b"line\n").unwrap();
        log.flush_or_panic();
    }
}
