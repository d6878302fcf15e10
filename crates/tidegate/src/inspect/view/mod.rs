//! The terminal view: connections, their events, and one event opened.
//!
//! Whoever has events opens a [`View`], hands each of them to its feed and ends it; where they come from the view does
//! not know. `Output` does this for all commands that have one, and is what they should use.

mod amounts;

mod steady;

mod feed;

mod connection;

mod held;

mod typing;

mod pen;

mod model;

mod columns;

mod detail;

mod legend;

mod lists;

mod screen;

mod export;

mod terminal;

mod window;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod pictures;

pub(super) use feed::{Feed, PAYLOAD_MAX_BYTES};
pub(super) use model::About;
pub(super) use terminal::is_possible;

use std::io;
use std::thread::JoinHandle;

use tidegate_inspect::words::known;

use crate::exit::{Exit, Failure};

/// A view that has the terminal, on a thread of its own. Dropped it gives the terminal back; with [`View::end`] not before
/// somebody leaves it.
#[derive(Debug)]
pub(super) struct View {
    feed: Feed,
    thread: Option<JoinHandle<io::Result<Exit>>>,
}

impl View {
    pub(super) fn open(about: About) -> io::Result<Self> {
        let (feed, outlet) = feed::feed(!about.is_live);
        let thread = std::thread::Builder::new().name("view".to_owned());
        let thread = thread.spawn(move || window::run(about, &outlet))?;
        Ok(Self { feed, thread: Some(thread) })
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Says how the source ended, waits until somebody leaves, and says how the command ends: a failure of the
    /// source stays one.
    pub(super) fn end(mut self, source: Result<Exit, Failure>) -> Result<Exit, Failure> {
        self.feed.end(&source);
        let left = self.thread.take().map_or(Ok(Ok(Exit::Done)), JoinHandle::join);
        let left = left.map_err(|_| Failure::of(known::VIEW, "the view failed, see above"))?;
        let exit = left.map_err(|error| {
            Failure::of(known::VIEW, format!("the terminal: {error}")).mend("--plain writes lines instead")
        })?;
        source.map(|source| if source == Exit::Done { exit } else { source })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.feed.close();
        // If it failed, that has been told.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
