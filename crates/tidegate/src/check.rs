//! `tidegate check FILE`: a configuration's faults, or what it resolves to.
//!
//! The reading is the gateway's own, so that what passes here starts there.

use std::io::Write;

use tidegate_gateway::settings::{Faults, Overrides, Settings, summary};
use tidegate_inspect::words::known;

use crate::arguments::Check;
use crate::exit::{Exit, Failure};

pub(crate) fn run(arguments: &Check) -> Result<Exit, Failure> {
    let settings = Settings::from_file_with(&arguments.file, &Overrides::default());
    let settings = settings.map_err(|faults| faulty(&faults))?;
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().lock().write_all(summary(&settings).as_bytes());
    Ok(Exit::Done)
}

/// All faults of a configuration.
pub(crate) fn faulty(faults: &Faults) -> Failure {
    Failure::of(known::FAULTY, format!("the configuration is faulty\n{faults}"))
        .mend("mend these, and look again with tidegate check FILE")
}
