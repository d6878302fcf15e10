//! What happens on a connection, as values that own what they hold: the one model that the terminal, recordings
//! and pages stand on.
//!
//! A tap makes them, `schema` writes and reads them as lines of JSON. `docs/inspect.md` has a table of all members.

mod direction;

mod frame;

mod model;

#[cfg(test)]
pub(crate) mod samples;

mod schema;

pub use direction::Direction;
pub use frame::{Frame, Message, Violation};
pub use model::{Body, Close, Counts, Dropped, End, Event, Exit, Handshake, Level, Note, Open, Stats};
pub use schema::{LineError, VERSION, json_line};
