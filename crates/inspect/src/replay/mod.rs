//! A recording as a script: what each client sent and when, what its server answered, and how what comes now differs
//! from that.
//!
//! Nothing is sent here and no clock is read; whoever has the connection asks for the next step and hands in what comes.

mod script;

mod difference;

mod alignment;

pub use alignment::{Alignment, Came, Outcome};
pub use difference::{Difference, Place, difference};
pub use script::{Action, Heard, Script, ScriptError, Scripts, Step};
