//! The figures of this machine: samples of `/proc`, the rates between two of them, and the JSON.
//!
//! Knows nothing of HTTP, and asks no clock: the moment is an argument. The text of the files goes through
//! `proc`; the documents go to the server. A sample is taken at most once in [`SAMPLE_INTERVAL`], whoever
//! asks, so that a hundred readers cost what one costs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;

use super::proc::{self, CpuTimes, InterfaceBytes, MemoryKib, ProcessTimes, Ticks};

/// Shortest time between two samples: a little less than the second in which the figures are polled, so
/// that a poll that comes early still finds new ones.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_millis(900);

/// How many processes are shown.
const PROCESSES_SHOWN: usize = 8;

/// How many processes are looked at; a machine with more shows the busiest of these.
const PROCESSES_MAX: usize = 4096;

/// Longest part of one file that is read. `/proc/stat` of a large machine has some 50 kB.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// When something happens: once for measuring, once for showing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// For the time between two samples; never goes back.
    pub(super) instant: Instant,
    /// The wall clock.
    pub(super) time: SystemTime,
}

impl Moment {
    /// The present.
    pub(super) fn now() -> Self {
        Self { instant: Instant::now(), time: SystemTime::now() }
    }
}

/// The newest sample, and the documents made of it and the one before.
///
/// `sample` reads files, so this is used from a thread that may block.
#[derive(Debug)]
pub(super) struct Figures {
    root: PathBuf,
    last: Sample,
    documents: Arc<Documents>,
}

/// The JSON documents, all of the same sample.
#[derive(Debug)]
pub(super) struct Documents {
    /// Everything.
    pub(super) machine: Bytes,
    /// `load` alone.
    pub(super) load: Bytes,
    /// `memory` alone.
    pub(super) memory: Bytes,
    /// `network` alone.
    pub(super) network: Bytes,
    /// `processes` alone.
    pub(super) processes: Bytes,
}

impl Figures {
    /// Takes the first sample. `root` is `/proc`. The first documents hold no rates.
    pub(super) fn new(root: &Path, now: Moment) -> Self {
        let last = Sample::take(root, now);
        let documents = Arc::new(Documents::of(&Machine::of(root, None, &last)));
        Self { root: root.to_owned(), last, documents }
    }

    /// The documents, if they are young enough to be served as they are.
    pub(super) fn fresh(&self, now: Moment) -> Option<Arc<Documents>> {
        let age = now.instant.saturating_duration_since(self.last.at.instant);
        (age < SAMPLE_INTERVAL).then(|| Arc::clone(&self.documents))
    }

    /// The documents of now: those there are while they are young, else those of a new sample.
    pub(super) fn sample(&mut self, now: Moment) -> Arc<Documents> {
        if let Some(documents) = self.fresh(now) {
            return documents;
        }
        let sample = Sample::take(&self.root, now);
        self.documents = Arc::new(Documents::of(&Machine::of(&self.root, Some(&self.last), &sample)));
        self.last = sample;
        Arc::clone(&self.documents)
    }
}

/// The counters at one moment. `None` is what could not be read.
#[derive(Debug)]
struct Sample {
    at: Moment,
    uptime_seconds: Option<f64>,
    load: Option<[f64; 3]>,
    cpu: Option<CpuTimes>,
    memory: Option<MemoryKib>,
    interfaces: Option<Vec<InterfaceBytes>>,
    processes: Option<ProcessTable>,
}

/// All processes of a sample by number, at most [`PROCESSES_MAX`].
#[derive(Debug)]
struct ProcessTable {
    by_number: HashMap<u32, ProcessTimes>,
    /// False when there were more.
    complete: bool,
}

impl Sample {
    fn take(root: &Path, at: Moment) -> Self {
        let text = |name: &str| read_text(&root.join(name));
        Self {
            at,
            uptime_seconds: text("uptime").and_then(|text| proc::uptime_seconds(&text)),
            load: text("loadavg").and_then(|text| proc::load_averages(&text)),
            cpu: text("stat").and_then(|text| proc::cpu_times(&text)),
            memory: text("meminfo").and_then(|text| proc::memory(&text)),
            interfaces: text("net/dev").map(|text| proc::interfaces(&text)),
            processes: ProcessTable::read(root),
        }
    }

    fn is_empty(&self) -> bool {
        self.load.is_none() && self.cpu.is_none() && self.memory.is_none() && self.uptime_seconds.is_none()
    }
}

impl ProcessTable {
    /// A process that ends while it is read is left out. `None` when there is none at all: a `/proc` of
    /// Linux shows at least the one that reads.
    fn read(root: &Path) -> Option<Self> {
        let mut numbers = std::fs::read_dir(root)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let by_number: HashMap<_, _> = numbers
            .by_ref()
            .take(PROCESSES_MAX)
            .filter_map(|number| Some((number, proc::process(&read_text(&file_of(root, number, "stat"))?)?)))
            .collect();
        let complete = numbers.next().is_none();
        (!by_number.is_empty()).then_some(Self { by_number, complete })
    }

    /// Ticks that `process` has used since this table was read; `None` when that cannot be told. One that
    /// is not here began later and has used all of its ticks since, unless it was merely left out.
    fn ticks_since(&self, number: u32, process: &ProcessTimes) -> Option<u64> {
        match self.by_number.get(&number) {
            Some(before) if before.started == process.started => process.ticks.checked_sub(before.ticks),
            Some(_) => Some(process.ticks),
            None => self.complete.then_some(process.ticks),
        }
    }
}

fn file_of(root: &Path, number: u32, name: &str) -> PathBuf {
    root.join(number.to_string()).join(name)
}

/// A file's text; names of processes need not be UTF-8.
fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The document. A part of it is the same with only one field filled.
#[derive(Debug, Clone, Default, Serialize)]
struct Machine {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_s: Option<u64>,
    /// The time that the rates are an average of: longer than a second when nobody asked meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_over_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<[f64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Vec<Interface>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<Vec<Process>>,
}

#[derive(Debug, Clone, Serialize)]
struct Cpu {
    busy_percent: f64,
    /// By the number of the core; null for one that was off in either sample.
    cores: Vec<Option<f64>>,
}

#[derive(Debug, Clone, Serialize)]
struct Memory {
    total_kib: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_kib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_percent: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
struct Interface {
    interface: String,
    received_bytes_per_s: u64,
    sent_bytes_per_s: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Process {
    pid: u32,
    name: String,
    /// Of one core, so that a process with threads may show more than 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_kib: Option<u64>,
}

impl Documents {
    fn of(machine: &Machine) -> Self {
        let part = |part: Machine| json(&Machine { error: machine.error.clone(), ..part });
        Self {
            machine: json(machine),
            load: part(Machine { load: machine.load, ..Machine::default() }),
            memory: part(Machine { memory: machine.memory.clone(), ..Machine::default() }),
            network: part(Machine { network: machine.network.clone(), ..Machine::default() }),
            processes: part(Machine { processes: machine.processes.clone(), ..Machine::default() }),
        }
    }
}

fn json(machine: &Machine) -> Bytes {
    serde_json::to_vec(machine).expect("numbers, strings and lists of them have a JSON form").into()
}

impl Machine {
    /// What `sample` says, with the rates since `before`.
    fn of(root: &Path, before: Option<&Sample>, sample: &Sample) -> Self {
        let elapsed = before.map(|before| sample.at.instant.saturating_duration_since(before.at.instant));
        Self {
            time: rfc3339(sample.at.time),
            error: sample.is_empty().then(|| {
                format!("there is no {} to read on this system: the figures come from Linux", root.display())
            }),
            uptime_s: sample.uptime_seconds.map(|seconds| seconds as u64),
            sampled_over_s: elapsed
                .filter(|_| !sample.is_empty())
                .map(|elapsed| rounded(elapsed.as_secs_f64())),
            load: sample.load,
            cpu: before.and_then(|before| cpu(before.cpu.as_ref()?, sample.cpu.as_ref()?)),
            memory: sample.memory.map(memory),
            network: before.zip(elapsed).and_then(|(before, elapsed)| {
                Some(network(before.interfaces.as_ref()?, sample.interfaces.as_ref()?, elapsed))
            }),
            processes: before.and_then(|before| busiest(root, before, sample)),
        }
    }
}

/// Two digits behind the point: more is noise and makes longer messages.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 * 100.0 / whole as f64))
}

/// Between two readings. `iowait` may go back (proc(5)), so busy time is held within all time.
fn ticks_between(before: Ticks, after: Ticks) -> Ticks {
    let all = after.all.saturating_sub(before.all);
    Ticks { busy: after.busy.saturating_sub(before.busy).min(all), all }
}

/// Cores are numbered below `proc::CORES_MAX`, so the list is bounded.
fn cpu(before: &CpuTimes, after: &CpuTimes) -> Option<Cpu> {
    let busy_percent = |before, after| {
        let ticks = ticks_between(before, after);
        percent(ticks.busy, ticks.all)
    };
    let earlier: HashMap<usize, Ticks> = before.cores.iter().copied().collect();
    let count = after.cores.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    let mut cores = vec![None; count];
    for (number, ticks) in &after.cores {
        cores[*number] = earlier.get(number).and_then(|before| busy_percent(*before, *ticks));
    }
    Some(Cpu { busy_percent: busy_percent(before.total, after.total)?, cores })
}

fn memory(kib: MemoryKib) -> Memory {
    Memory {
        total_kib: kib.total,
        available_kib: kib.available,
        used_percent: kib
            .available
            .and_then(|available| percent(kib.total.saturating_sub(available), kib.total)),
    }
}

/// Interfaces that are in both readings and whose counters did not start anew between them.
fn network(before: &[InterfaceBytes], after: &[InterfaceBytes], elapsed: Duration) -> Vec<Interface> {
    let rate = |before: u64, after: u64| {
        let bytes = after.checked_sub(before)?;
        (!elapsed.is_zero()).then(|| (bytes as f64 / elapsed.as_secs_f64()).round() as u64)
    };
    let earlier: HashMap<&str, &InterfaceBytes> =
        before.iter().map(|interface| (interface.name.as_str(), interface)).collect();
    let entry = |now: &InterfaceBytes| {
        let before = earlier.get(now.name.as_str())?;
        Some(Interface {
            interface: now.name.clone(),
            received_bytes_per_s: rate(before.received, now.received)?,
            sent_bytes_per_s: rate(before.sent, now.sent)?,
        })
    };
    after.iter().filter_map(entry).collect()
}

/// The busiest processes since `before`; among idle ones those that hold more memory.
fn busiest(root: &Path, before: &Sample, sample: &Sample) -> Option<Vec<Process>> {
    let earlier = before.processes.as_ref()?;
    let mut processes: Vec<_> = sample
        .processes
        .as_ref()?
        .by_number
        .iter()
        .filter_map(|(number, process)| Some((earlier.ticks_since(*number, process)?, *number, process)))
        .collect();
    processes.sort_unstable_by_key(|(ticks, number, process)| {
        (Reverse((*ticks, process.resident_pages)), *number)
    });
    processes.truncate(PROCESSES_SHOWN);
    let core_ticks = ticks_of_one_core(before, sample);
    let entry = |(ticks, pid, process): (u64, u32, &ProcessTimes)| Process {
        pid,
        name: process.name.clone(),
        cpu_percent: core_ticks.map(|core_ticks| rounded(ticks as f64 * 100.0 / core_ticks)),
        memory_kib: read_text(&file_of(root, pid, "status")).and_then(|text| proc::resident_kib(&text)),
    };
    Some(processes.into_iter().map(entry).collect())
}

/// How many ticks one core had between the samples: processes count in the same ticks, so nobody has to
/// know how long one is.
fn ticks_of_one_core(before: &Sample, sample: &Sample) -> Option<f64> {
    let after = sample.cpu.as_ref()?;
    let all = ticks_between(before.cpu.as_ref()?.total, after.total).all;
    (all > 0 && !after.cores.is_empty()).then(|| all as f64 / after.cores.len() as f64)
}

/// UTC with milliseconds (RFC 3339); `None` before 1970 and after 9999.
fn rfc3339(time: SystemTime) -> Option<String> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400)?;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"))
}

/// The Gregorian date of a day counted from 1970-01-01.
fn date(mut days: u64) -> Option<(u64, u64, u64)> {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
        if year > 9999 {
            return None;
        }
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, length) in (1..).zip(lengths) {
        if days < length {
            return Some((year, month, days + 1));
        }
        days -= length;
    }
    None
}

#[cfg(test)]
mod tests;
