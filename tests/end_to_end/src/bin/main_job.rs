//! The main job at a size that is too long for every change: 1,000 WebSocket clients and 100 event streams in
//! front of Python's file server, and the silence 40 s after the last of them has left. It prints the figures and
//! fails where a promise was not kept.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_end_to_end::crowd::Job;
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::file_server::FileServer;
use tidegate_end_to_end::gateway::Gateway;

const JOB: Job = Job { sockets: 1000, streams: 100, paths: 10, states: 20 };

/// How long after the last client the file server may still be asked: 30 s of lingering, and time to notice.
const LINGER: Duration = Duration::from_secs(40);

/// How long it must be silent then.
const SILENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, connecting says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let Some(python) = tidegate_test_tools::find::program("python3") else {
        eprintln!("python3 is not installed: cargo xtask setup");
        return ExitCode::FAILURE;
    };
    let files = FileServer::start(&python);
    let gateway = Gateway::before(files.url(), &[]);
    let figures = JOB.run(&gateway, &files);
    let mut violations = figures.violations();
    let left = Deadline::after(LINGER);
    while left.left().is_some() && files.is_asked_by(left) {}
    let silent = !files.is_asked_by(Deadline::after(SILENCE));
    if !silent {
        violations.push(format!("the file server is still asked {LINGER:?} after the last client has left"));
    }
    print!("{figures}");
    println!("silent after {LINGER:?}          {}", if silent { "yes" } else { "no" });
    violations.iter().for_each(|violation| println!("violated: {violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
