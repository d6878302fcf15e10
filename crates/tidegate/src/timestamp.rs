//! The clock of the commands, as points in time of the inspector's model.
//!
//! Nothing is written here; how a time is written is the model's.

use std::time::SystemTime;

use tidegate_inspect::Timestamp;

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
