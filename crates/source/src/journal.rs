//! How the requests of one source fare: counted where they are made, read by whoever shows it.
//!
//! It judges nothing, and nothing of what a backend sent is in it.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;

/// See the module's head. Shared by the source and those who look at it, on one thread.
#[derive(Debug, Default)]
pub struct Journal {
    requests: Cell<u64>,
    not_modified: Cell<u64>,
    errors: Cell<u64>,
    last: Cell<Option<Last>>,
    interval: Cell<Option<Duration>>,
    next: Cell<Option<Instant>>,
}

/// The last request that was answered, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// None without an answer.
    pub status: Option<u16>,
    /// Until the head of the answer, or the failure.
    pub took: Duration,
    /// When that was.
    pub at: SystemTime,
}

/// What a journal says just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// Requests that went out.
    pub requests: u64,
    /// Those that were answered with 304.
    pub not_modified: u64,
    /// Those that were answered with an error, or not at all.
    pub errors: u64,
    /// The last of them.
    pub last: Option<Last>,
    /// Of a poll: from one request to the next.
    pub interval: Option<Duration>,
    /// How long until the next request or connection, if one is due.
    pub next_in: Option<Duration>,
}

impl Journal {
    /// A request was answered with `status`, or not at all.
    pub(crate) fn note(&self, status: Option<StatusCode>, took: Duration) {
        self.requests.set(self.requests.get() + 1);
        match status {
            Some(StatusCode::NOT_MODIFIED) => self.not_modified.set(self.not_modified.get() + 1),
            Some(status) if !status.is_client_error() && !status.is_server_error() => {}
            Some(_) | None => self.errors.set(self.errors.get() + 1),
        }
        let status = status.map(|status| status.as_u16());
        self.last.set(Some(Last { status, took, at: SystemTime::now() }));
    }

    /// The next request is due then.
    pub(crate) fn note_next(&self, at: Instant, interval: Option<Duration>) {
        self.next.set(Some(at));
        self.interval.set(interval);
    }

    /// What it says just now.
    #[must_use]
    pub fn entry(&self, now: Instant) -> Entry {
        Entry {
            requests: self.requests.get(),
            not_modified: self.not_modified.get(),
            errors: self.errors.get(),
            last: self.last.get(),
            interval: self.interval.get(),
            next_in: self.next.get().and_then(|next| next.checked_duration_since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_their_absence_are_counted_by_what_they_are() {
        let journal = Journal::default();
        let second = Duration::from_secs(1);
        for status in [Some(200), Some(304), Some(500), Some(301), Some(404), None] {
            journal.note(status.map(|status| StatusCode::from_u16(status).expect("a status")), second);
        }
        let now = Instant::now();
        let entry = journal.entry(now);
        assert_eq!((entry.requests, entry.not_modified, entry.errors), (6, 1, 3));
        assert_eq!(entry.last.map(|last| (last.status, last.took)), Some((None, second)));
        assert_eq!((entry.interval, entry.next_in), (None, None));
        journal.note_next(now + second, Some(second));
        assert_eq!(journal.entry(now).next_in, Some(second));
        assert_eq!(journal.entry(now + second * 2).next_in, None, "it goes out now");
    }
}
