//! The filter language: which events to show, in a line that people type.
//!
//! ```text
//! dir:in op:text,close -op:ping len:>1k path:/ws code:1006 has:error text:"buy" re:/err\w+/ json:$.type=="trade"
//! ```
//!
//! White space is *and*, a comma within a key is *or*, a minus in front is *not*. A word without a key is looked for
//! in texts. It is the same on the command line and in pages; `docs/inspect.md` has a table of the keys.

mod quantity;

mod json_path;

mod term;

mod scanner;

mod parse;

mod matching;

mod choice;

mod listed;

#[cfg(test)]
mod tests;

pub use choice::Candidate;
pub use json_path::{JsonPlaces, JsonTest, Key, Wrong};
pub use listed::Listed;
pub use matching::Facts;
pub use parse::{Filter, FilterError};
