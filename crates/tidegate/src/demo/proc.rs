//! What the files under `/proc` say (proc(5)), as pure functions from their text to numbers.
//!
//! Reads no file and knows no clock. The text comes from the sampling in `figures`, the numbers go back
//! there. What a parser does not find is `None` or left out; nothing is made up in its place.

/// Cores of `/proc/stat` are kept up to this number.
pub(super) const CORES_MAX: usize = 1024;

/// Most interfaces of one `/proc/net/dev` that are kept.
pub(super) const INTERFACES_MAX: usize = 64;

/// Time since boot in clock ticks; `busy <= all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    /// Not idle and not waiting for a disk. What a hypervisor took away counts: the core was wanted.
    pub(super) busy: u64,
    /// Everything.
    pub(super) all: u64,
}

/// `/proc/stat`: the processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CpuTimes {
    /// All cores together.
    pub(super) total: Ticks,
    /// Each core that is online, by its number, in the file's order.
    pub(super) cores: Vec<(usize, Ticks)>,
}

/// `/proc/meminfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryKib {
    /// `MemTotal`.
    pub(super) total: u64,
    /// `MemAvailable`; kernels before 3.14 do not say it.
    pub(super) available: Option<u64>,
}

/// One line of `/proc/net/dev`: bytes since the interface came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InterfaceBytes {
    /// The interface's name.
    pub(super) name: String,
    /// Received.
    pub(super) received: u64,
    /// Sent.
    pub(super) sent: u64,
}

/// `/proc/PID/stat`: one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessTimes {
    /// The command's name as the kernel keeps it, cut at 15 bytes for programs.
    pub(super) name: String,
    /// User and system time of all its threads, in clock ticks.
    pub(super) ticks: u64,
    /// When it started, in clock ticks since boot: tells two processes apart that had one number.
    pub(super) started: u64,
    /// Resident memory in pages. Good for comparing, not for showing: the page size is not known here.
    pub(super) resident_pages: u64,
}

/// `/proc/stat`; `None` without a usable `cpu` line.
pub(super) fn cpu_times(text: &str) -> Option<CpuTimes> {
    let mut total = None;
    let mut cores = Vec::new();
    for line in text.lines() {
        let Some((label, columns)) = line.split_once(' ') else { continue };
        let Some(core) = label.strip_prefix("cpu") else { continue };
        if core.is_empty() {
            total = ticks(columns);
        } else if let (Ok(number), Some(ticks)) = (core.parse(), ticks(columns))
            && number < CORES_MAX
            && cores.len() < CORES_MAX
        {
            cores.push((number, ticks));
        }
    }
    Some(CpuTimes { total: total?, cores })
}

/// The columns of a `cpu` line: user, nice, system, idle, iowait, irq, softirq, steal. The two `guest`
/// columns behind them are contained in user and nice. Old kernels have fewer than eight.
fn ticks(columns: &str) -> Option<Ticks> {
    let values = columns
        .split_ascii_whitespace()
        .take(8)
        .map(|column| column.parse::<u64>().ok())
        .collect::<Option<Vec<_>>>()?;
    let idle = *values.get(3)?;
    let waiting_for_disk = values.get(4).copied().unwrap_or(0);
    let all = values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
    Some(Ticks { busy: all.saturating_sub(idle.saturating_add(waiting_for_disk)), all })
}

/// `/proc/loadavg`: the averages of 1, 5 and 15 minutes.
pub(super) fn load_averages(text: &str) -> Option<[f64; 3]> {
    let mut averages = text.split_ascii_whitespace().map(amount);
    Some([averages.next()??, averages.next()??, averages.next()??])
}

/// `/proc/uptime`: seconds since boot.
pub(super) fn uptime_seconds(text: &str) -> Option<f64> {
    amount(text.split_ascii_whitespace().next()?)
}

/// A number that JSON can carry and that makes sense as an amount.
fn amount(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

/// `/proc/meminfo`; `None` without `MemTotal`.
pub(super) fn memory(text: &str) -> Option<MemoryKib> {
    let total = kibibytes(text, "MemTotal")?;
    Some(MemoryKib { total, available: kibibytes(text, "MemAvailable").filter(|kib| *kib <= total) })
}

/// `/proc/PID/status`: resident memory. Kernel threads have none and no such line.
pub(super) fn resident_kib(text: &str) -> Option<u64> {
    kibibytes(text, "VmRSS")
}

/// The value of a line `Key:   123 kB`, the form that `meminfo` and `status` share.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// `/proc/net/dev`: the interfaces, without the two lines of headings.
pub(super) fn interfaces(text: &str) -> Vec<InterfaceBytes> {
    text.lines().filter_map(interface).take(INTERFACES_MAX).collect()
}

/// `eth0: 1 2 …`: received bytes come first, sent bytes ninth. Large counters leave no space after the
/// colon, and an alias has a colon of its own, hence the last one divides.
fn interface(line: &str) -> Option<InterfaceBytes> {
    let (name, columns) = line.rsplit_once(':')?;
    let mut columns = columns.split_ascii_whitespace();
    let received = columns.next()?.parse().ok()?;
    let sent = columns.nth(7)?.parse().ok()?;
    Some(InterfaceBytes { name: name.trim().to_owned(), received, sent })
}

/// `/proc/PID/stat`. The name stands in brackets and may itself hold brackets and spaces, so the last
/// closing bracket ends it. Behind it come the columns from the third on, counted as proc(5) does.
pub(super) fn process(text: &str) -> Option<ProcessTimes> {
    let (head, columns) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let columns: Vec<&str> = columns.split_ascii_whitespace().take(22).collect();
    let column = |number: usize| columns.get(number - 3)?.parse::<u64>().ok();
    Some(ProcessTimes {
        name: name.to_owned(),
        ticks: column(14)?.saturating_add(column(15)?),
        started: column(22)?,
        resident_pages: column(24)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "cpu  3067 5 2427 156262 286 0 70 15 900 0\n\
        cpu0 1368 0 1109 78478 42 0 13 7 0 0\n\
        cpu3 1698 0 1318 77783 243 0 56 7 0 0\n\
        intr 150582 0 0 0\nctxt 290329\nbtime 1795363511\nprocs_running 6\n";

    const DEVICES: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3194      29    0    0    0     0       0          0
  eth0:210687634    7364    0    0    0     0          0         0   605963    5186    0    0    0     0       0          0
eth0:1:    7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0
";

    #[test]
    fn processors_without_counting_guests_twice() {
        let times = cpu_times(STAT).expect("a captured sample");
        assert_eq!(times.total, Ticks { busy: 3067 + 5 + 2427 + 70 + 15, all: 162_132 });
        assert_eq!(times.cores.len(), 2);
        assert_eq!(times.cores[1], (3, Ticks { busy: 1698 + 1318 + 56 + 7, all: 81_105 }));
    }

    #[test]
    fn processors_of_an_old_kernel_and_of_none() {
        let times = cpu_times("cpu 1 2 3 4\n").expect("four columns are enough");
        assert_eq!(times.total, Ticks { busy: 6, all: 10 });
        assert_eq!(cpu_times("cpu 1 2 3\n"), None);
        assert_eq!(cpu_times("cpu0 1 2 3 4 5\n"), None);
        assert_eq!(cpu_times("cpu 1 2 x 4 5\n"), None);
        assert_eq!(cpu_times("cpu 1 2 3 4\ncpu1024 1 2 3 4\n").map(|times| times.cores), Some(vec![]));
    }

    #[test]
    fn load_and_uptime() {
        assert_eq!(load_averages("0.95 0.21 0.07 5/105 5542\n"), Some([0.95, 0.21, 0.07]));
        assert_eq!(load_averages("0.95 0.21\n"), None);
        assert_eq!(load_averages("nan inf 0.1"), None);
        assert_eq!(uptime_seconds("812.38 1562.62\n"), Some(812.38));
        assert_eq!(uptime_seconds(""), None);
    }

    #[test]
    fn memory_with_and_without_what_is_available() {
        let text = "MemTotal:       24684092 kB\nMemFree:        22591344 kB\nMemAvailable:   24002592 kB\n";
        assert_eq!(memory(text), Some(MemoryKib { total: 24_684_092, available: Some(24_002_592) }));
        assert_eq!(memory("MemTotal: 10 kB\n"), Some(MemoryKib { total: 10, available: None }));
        assert_eq!(memory("MemTotal: 10 kB\nMemAvailable: 11 kB\n").and_then(|kib| kib.available), None);
        assert_eq!(memory("MemFree: 10 kB\n"), None);
        assert_eq!(resident_kib("Name:\tcat\nVmHWM:\t    1600 kB\nVmRSS:\t    1528 kB\n"), Some(1528));
        assert_eq!(resident_kib("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn interfaces_with_and_without_a_space() {
        let found = interfaces(DEVICES);
        let seen: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.received, one.sent)).collect();
        assert_eq!(seen, [("lo", 3193, 3194), ("eth0", 210_687_634, 605_963), ("eth0:1", 7, 8)]);
    }

    #[test]
    fn process_of_a_captured_sample() {
        let text = "5548 (cat) R 5538 5538 2431 0 -1 4194304 98 0 0 0 3 4 0 0 20 0 1 0 81238 3133440 382 \
            18446744073709551615 1 1 0 0 0";
        let expected =
            ProcessTimes { name: "cat".to_owned(), ticks: 7, started: 81_238, resident_pages: 382 };
        assert_eq!(process(text), Some(expected));
        assert_eq!(process("5548 (cat) R 5538"), None);
        assert_eq!(process("5548 cat R"), None);
    }

    proptest! {
        #[test]
        fn any_name_of_a_process_survives(name in "\\PC{0,15}", user in 0..u64::from(u32::MAX), started: u64) {
            let text = format!("7 ({name}) S 1 7 7 0 -1 0 0 0 0 0 {user} 5 0 0 20 0 1 0 {started} 9 11 0\n");
            let expected = ProcessTimes { name, ticks: user + 5, started, resident_pages: 11 };
            prop_assert_eq!(process(&text), Some(expected));
        }

        #[test]
        fn any_interface_survives(name in "[a-z0-9.:@_-]{1,15}", received: u64, sent: u64) {
            let found = interfaces(&format!("  {name}:{received} 0 0 0 0 0 0 0 {sent} 0 0 0 0 0 0 0\n"));
            prop_assert_eq!(found, vec![InterfaceBytes { name, received, sent }]);
        }

        #[test]
        fn no_text_breaks_a_parser(
            text in "((cpu[0-9]?|MemTotal:|MemAvailable:|VmRSS:|a:|\\(|\\)|[0-9]{1,21}|-|kB|\\PC)[ \n]?){0,40}",
        ) {
            if let Some(times) = cpu_times(&text) {
                prop_assert!(times.total.busy <= times.total.all);
            }
            if let Some(kib) = memory(&text) {
                prop_assert!(kib.available.is_none_or(|available| available <= kib.total));
            }
            prop_assert!(load_averages(&text).is_none_or(|averages| averages.iter().all(|one| one.is_finite())));
            prop_assert!(uptime_seconds(&text).is_none_or(f64::is_finite));
            prop_assert!(interfaces(&text).len() <= INTERFACES_MAX);
            let (_, _) = (process(&text), resident_kib(&text));
        }
    }
}
