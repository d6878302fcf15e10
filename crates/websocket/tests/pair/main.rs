//! Two ends of a connection, a scripted link between them and a clock that the test moves: what neither end
//! can show alone. Who closes first, what a dead link looks like from both sides, and when each gives up.
//!
//! `endpoint` drives a `Connection` as the crate's head says; `link` is one direction of a TCP connection that
//! can delay, cut, stop, half-close and reset; `pair` joins them; `wire` reads what was sent without the code
//! that is tested. `scripts` lets a property test write the script.

mod endpoint;
mod link;
mod pair;
#[path = "../told/mod.rs"]
mod told;
mod wire;

mod closing;
mod compressed;
mod half_closed;
mod scripts;
mod times;
