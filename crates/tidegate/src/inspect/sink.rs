//! A thread that writes what is appended, so that a slow disk or a slow reader of stdout is felt only when much waits.
//!
//! What waits is bounded by whoever appends: he asks for room first, and waits for it or passes something over. Nothing is
//! lost here unless writing fails, and then whoever asks is told.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

/// How long little is waited with, so that one write carries more. Nobody sees the difference.
const GATHER_TIME: Duration = Duration::from_millis(5);

/// So much is not little.
const GATHER_BYTES: usize = 64 * 1024;

/// The thread, and what waits for it. Dropped without an end, the thread goes on for as long as the process.
pub(super) struct Sink {
    shared: Arc<Shared>,
}

/// A sink without room.
pub(super) struct Full(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something is to be written, or the end has come.
    work: Condvar,
    /// There is room, or the thread has ended.
    progress: Condvar,
    /// The same, for tasks.
    room: Notify,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Nothing more is appended.
    is_ending: bool,
    has_ended: bool,
    /// Writing failed; what is appended since then is gone.
    has_failed: bool,
    failure: Option<io::Error>,
}

impl Sink {
    /// `bytes_max` may wait, and the last that was appended; as much again is being written.
    pub(super) fn new(bytes_max: usize, mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            progress: Condvar::new(),
            room: Notify::new(),
            bytes_max,
        });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("write".to_owned()).spawn(move || of_thread.write(&mut to))?;
        Ok(Self { shared })
    }

    /// Appends what `append` puts behind its argument.
    pub(super) fn append(&self, append: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.shared.lock();
        let before = state.pending.len();
        append(&mut state.pending);
        if state.has_failed {
            state.pending.clear();
        }
        // To wake a thread is dear; it wakes for the first bytes, and for many.
        let after = state.pending.len();
        if (before == 0 && after > 0) || (before < GATHER_BYTES && after >= GATHER_BYTES) {
            self.shared.work.notify_one();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.shared.has_room(&self.shared.lock())
    }

    /// What to wait for before more is appended, if anything.
    pub(super) fn full(&self) -> Option<Full> {
        if self.has_room() { None } else { Some(Full(Arc::clone(&self.shared))) }
    }

    /// Why writing failed; told once.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.shared.lock().failure.take()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.shared.lock().has_failed
    }

    /// Waits until all has been written, but not for ever: then the failure is a time-out.
    pub(super) fn end(&self, limit: Duration) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.is_ending = true;
        self.shared.work.notify_one();
        let waited = self.shared.progress.wait_timeout_while(state, limit, |state| !state.has_ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.failure.take() {
            Some(error) => Err(error),
            None if !state.has_ended => Err(io::ErrorKind::TimedOut.into()),
            None => Ok(()),
        }
    }
}

impl Full {
    /// Waits for room.
    pub(super) async fn opened(self) {
        loop {
            // Whoever makes room after this line wakes it.
            let room = self.0.room.notified();
            if self.0.has_room(&self.0.lock()) {
                return;
            }
            room.await;
        }
    }

    /// The same, for a thread that has nothing else to do.
    pub(super) fn wait(self) {
        let lacks_room = |state: &mut State| !self.0.has_room(state);
        drop(self.0.progress.wait_while(self.0.lock(), lacks_room));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State) -> bool {
        state.pending.len() < self.bytes_max || state.has_failed
    }

    fn write(&self, to: &mut impl Write) {
        let mut taken = Vec::new();
        let mut is_last = false;
        while !is_last {
            is_last = self.take(&mut taken);
            if let Err(error) = to.write_all(&taken).and_then(|()| to.flush()) {
                let mut state = self.lock();
                state.has_failed = true;
                state.failure = Some(error);
                state.pending = Vec::new();
                is_last = true;
            }
            taken.clear();
            // One large payload is no reason to keep its room.
            taken.shrink_to(2 * self.bytes_max);
        }
        self.lock().has_ended = true;
        self.tell_progress();
    }

    /// Waits for something to write and takes it; true if it is the last.
    fn take(&self, taken: &mut Vec<u8>) -> bool {
        let none = |state: &mut State| state.pending.is_empty() && !state.is_ending;
        let little = |state: &mut State| state.pending.len() < GATHER_BYTES && !state.is_ending;
        let state = self.work.wait_while(self.lock(), none).unwrap_or_else(PoisonError::into_inner);
        let waited = self.work.wait_timeout_while(state, GATHER_TIME, little);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.pending, taken);
        let is_last = state.is_ending;
        drop(state);
        self.tell_progress();
        is_last
    }

    fn tell_progress(&self) {
        self.progress.notify_all();
        self.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Says that a write has come, and takes it when it is told how it ends.
    struct Gate {
        came: SyncSender<Vec<u8>>,
        pass: Receiver<io::Result<()>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.came.send(bytes.to_vec()).expect("the test waits");
            self.pass.recv().unwrap_or(Ok(())).map(|()| bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated(bytes_max: usize) -> (Sink, Receiver<Vec<u8>>, SyncSender<io::Result<()>>) {
        let (came, comes) = sync_channel(100);
        let (let_pass, pass) = sync_channel(100);
        (Sink::new(bytes_max, Gate { came, pass }).expect("a thread"), comes, let_pass)
    }

    fn append(sink: &Sink, bytes: &[u8]) {
        sink.append(|pending| pending.extend_from_slice(bytes));
    }

    #[test]
    fn what_a_slow_writer_does_not_take_waits_up_to_the_bound() {
        let (sink, comes, let_pass) = gated(10);
        append(&sink, b"first");
        assert_eq!(comes.recv_timeout(LIMIT).expect("written"), b"first");
        append(&sink, b"123456789");
        assert!(sink.full().is_none());
        append(&sink, b"0");
        let full = sink.full().expect("ten bytes wait");
        let waits = thread::spawn(move || full.wait());
        let_pass.send(Ok(())).expect("the thread is there");
        waits.join().expect("there is room");
        assert!(sink.has_room());
        assert_eq!(comes.recv_timeout(LIMIT).expect("written"), b"1234567890");
        let_pass.send(Ok(())).expect("the thread is there");
        sink.end(LIMIT).expect("written");
    }

    #[test]
    fn a_task_waits_for_room_too() {
        let (sink, comes, let_pass) = gated(1);
        append(&sink, b"a");
        comes.recv_timeout(LIMIT).expect("written");
        append(&sink, b"b");
        let full = sink.full().expect("one byte waits");
        let_pass.send(Ok(())).expect("the thread is there");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(full.opened());
        assert!(sink.has_room());
    }

    #[test]
    fn after_a_failure_nobody_waits() {
        let (sink, comes, let_pass) = gated(1);
        append(&sink, b"a");
        comes.recv_timeout(LIMIT).expect("written");
        append(&sink, b"b");
        let full = sink.full().expect("one byte waits");
        let_pass.send(Err(io::ErrorKind::StorageFull.into())).expect("the thread is there");
        full.wait();
        append(&sink, b"cc");
        assert!(sink.has_room() && sink.has_failed());
        let failure = sink.end(LIMIT).expect_err("it is told");
        assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn an_end_is_not_waited_for_for_ever() {
        let (sink, comes, _let_pass) = gated(1);
        append(&sink, b"a");
        comes.recv_timeout(LIMIT).expect("written");
        let failure = sink.end(Duration::from_millis(1)).expect_err("it stays with the writer");
        assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
    }
}
