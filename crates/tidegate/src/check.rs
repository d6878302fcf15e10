//! `tidegate check FILE`: a configuration's faults, or what it resolves to.
//!
//! The reading is the gateway's own, so that what passes here starts there.

use std::io::Write;

use tidegate_gateway::settings::{COMMAND_LINE, Faults, Overrides, Settings, summary};
use tidegate_inspect::words::known;

use crate::arguments::Check;
use crate::exit::{Exit, Failure};
use crate::terminal::escape;

pub(crate) fn run(arguments: &Check) -> Result<Exit, Failure> {
    let settings = Settings::from_file_with(&arguments.file, &Overrides::default());
    let settings = settings.map_err(|faults| faulty(&faults))?;
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().lock().write_all(summary(&settings).as_bytes());
    Ok(Exit::Done)
}

/// All faults of a configuration. Each says what to write instead; what can be done next is to look again, or, where the
/// command line is to blame, to read more of its first fault.
pub(crate) fn faulty(faults: &Faults) -> Failure {
    let failure = Failure::of(known::FAULTY, format!("the configuration is faulty\n{faults}"));
    match faults.iter().next() {
        Some(fault) if &*fault.file == COMMAND_LINE => {
            failure.mend(format!("tidegate explain {}", fault.known))
        }
        Some(fault) => failure.mend(format!("tidegate check {}", escape(&fault.file))),
        None => failure,
    }
}
