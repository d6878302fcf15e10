//! What `/proc` says of the processes that are measured and of the whole machine. Nothing is kept; a value
//! that cannot be read counts as 0.

use std::fs;
use std::path::PathBuf;

use crate::linux;

/// Nanoseconds of a clock tick, in which the kernel counts the CPU time of processes.
const TICK: u64 = 10_000_000;

/// CPU nanoseconds used so far by every thread of the processes.
pub fn cpu(processes: &[u32]) -> u64 {
    let of_thread = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    processes.iter().flat_map(|process| threads(*process)).map(of_thread).sum()
}

/// Whether every thread of the process is stopped, by a signal or by a tracer.
pub fn is_stopped(process: u32) -> bool {
    let stopped = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
    };
    threads(process).into_iter().all(stopped)
}

fn threads(process: u32) -> Vec<PathBuf> {
    let folder = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    folder.map(|entry| entry.path()).collect()
}

/// Anonymous resident memory of the processes, in bytes: what they allocated, without files.
pub fn anonymous_memory(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    };
    processes.iter().map(of).sum()
}

/// CPU time of the measured processes, the generator and the machine at one moment, in nanoseconds.
pub struct Usage {
    at: u64,
    measured: u64,
    own: u64,
    busy: u64,
    stolen: u64,
}

/// What was used between two moments.
pub struct Used {
    /// Seconds between them.
    pub seconds: f64,
    /// CPU seconds of the measured processes.
    pub measured: f64,
    /// CPUs that the generator kept busy.
    pub own: f64,
    /// CPUs that everything else kept busy: a run with much of it is a bad run.
    pub foreign: f64,
    /// CPUs that the hypervisor took.
    pub stolen: f64,
}

impl Usage {
    /// The present moment.
    pub fn now(processes: &[u32]) -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let words = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let ticks: Vec<u64> = words.map(|word| word.parse().unwrap_or(0)).collect();
        let of = |place: usize| ticks.get(place).copied().unwrap_or(0) * TICK;
        let busy = [0, 1, 2, 5, 6].into_iter().map(of).sum();
        Self { measured: cpu(processes), own: linux::own_cpu(), busy, stolen: of(7), at: linux::now() }
    }

    /// What was used since.
    pub fn since(&self, before: &Self) -> Used {
        let seconds = |late: u64, early: u64| late.saturating_sub(early) as f64 / 1e9;
        let passed = seconds(self.at, before.at).max(1e-9);
        let (measured, own) = (seconds(self.measured, before.measured), seconds(self.own, before.own));
        let foreign = (seconds(self.busy, before.busy) - own - measured).max(0.0);
        Used {
            seconds: passed,
            measured,
            own: own / passed,
            foreign: foreign / passed,
            stolen: seconds(self.stolen, before.stolen) / passed,
        }
    }
}
