//! The sampling on a made-up `/proc` whose files change between two moments, and on the live machine.
//! What it gives is compared with what those files hold.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::*;

/// A `/proc` in a temporary folder, and a clock that is moved.
struct Fixture {
    folder: TempDir,
    now: Moment,
}

impl Fixture {
    fn new() -> Self {
        let time = UNIX_EPOCH + Duration::from_millis(1_767_225_599_042);
        let fixture = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            now: Moment { instant: Instant::now(), time },
        };
        fixture.write("loadavg", "0.50 0.25 0.10 1/100 4242\n");
        fixture.write("uptime", "812.38 1562.62\n");
        fixture.write("meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\n");
        fixture.write("stat", "cpu 100 0 100 800 0\ncpu0 50 0 50 400 0\ncpu1 50 0 50 400 0\n");
        fixture.network(1000, 500);
        fixture.process(10, "steady", 100, 5, 30);
        fixture.process(11, "idle", 900, 6, 40);
        fixture
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("folder");
        fs::write(path, text).expect("file");
    }

    fn network(&self, received: u64, sent: u64) {
        self.write("net/dev", &format!("a|b\neth0: {received} 0 0 0 0 0 0 0 {sent} 0 0 0 0 0 0 0\n"));
    }

    fn process(&self, number: u32, name: &str, ticks: u64, started: u64, kib: u64) {
        let stat =
            format!("{number} ({name}) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {started} 0 {kib}\n");
        self.write(&format!("{number}/stat"), &stat);
        self.write(&format!("{number}/status"), &format!("Name:\t{name}\nVmRSS:\t{kib} kB\n"));
    }

    fn figures(&self) -> Figures {
        Figures::new(self.folder.path(), self.now)
    }

    fn later(&mut self, time: Duration) -> Moment {
        self.now = Moment { instant: self.now.instant + time, time: self.now.time + time };
        self.now
    }
}

fn parsed(document: &Bytes) -> Value {
    serde_json::from_slice(document).expect("JSON")
}

#[test]
fn first_documents_hold_no_rates() {
    let fixture = Fixture::new();
    let documents = fixture.figures().sample(fixture.now);
    let expected = serde_json::json!({
        "time": "2025-12-31T23:59:59.042Z",
        "uptime_s": 812,
        "load": [0.5, 0.25, 0.1],
        "memory": {"total_kib": 1000, "available_kib": 250, "used_percent": 75.0},
    });
    assert_eq!(parsed(&documents.machine), expected);
    assert_eq!(parsed(&documents.network), serde_json::json!({}));
}

#[test]
fn rates_are_those_between_two_samples() {
    let mut fixture = Fixture::new();
    let mut figures = fixture.figures();
    fixture.write("stat", "cpu 160 0 140 1000 0\ncpu0 110 0 90 400 0\ncpu1 50 0 50 600 0\ncpu3 9 0 9 9 0\n");
    fixture.network(5000, 500);
    fixture.process(10, "steady", 130, 5, 30);
    fixture.process(11, "successor", 20, 77, 8);
    fixture.process(12, "new (one)", 3, 78, 9);
    let documents = figures.sample(fixture.later(Duration::from_secs(2)));
    let machine = parsed(&documents.machine);
    assert_eq!(machine["sampled_over_s"], 2.0);
    assert_eq!(machine["cpu"]["busy_percent"], 33.33);
    assert_eq!(machine["cpu"]["cores"], serde_json::json!([100.0, 0.0, null, null]));
    let network = serde_json::json!([
        {"interface": "eth0", "received_bytes_per_s": 2000, "sent_bytes_per_s": 0}
    ]);
    assert_eq!(machine["network"], network);
    assert_eq!(parsed(&documents.network), serde_json::json!({"network": network}));
    let processes = serde_json::json!([
        {"pid": 10, "name": "steady", "cpu_percent": 30.0, "memory_kib": 30},
        {"pid": 11, "name": "successor", "cpu_percent": 20.0, "memory_kib": 8},
        {"pid": 12, "name": "new (one)", "cpu_percent": 3.0, "memory_kib": 9},
    ]);
    assert_eq!(machine["processes"], processes);
}

#[test]
fn no_more_than_the_busiest_are_shown_and_idle_ones_by_memory() {
    let mut fixture = Fixture::new();
    let mut figures = fixture.figures();
    for number in 100..120 {
        fixture.process(number, "many", 0, 90, u64::from(number));
    }
    fixture.process(10, "steady", 101, 5, 30);
    let documents = figures.sample(fixture.later(SAMPLE_INTERVAL));
    let processes = parsed(&documents.processes);
    let shown: Vec<_> =
        processes["processes"].as_array().expect("a list").iter().map(|one| &one["pid"]).collect();
    assert_eq!(shown, [10, 119, 118, 117, 116, 115, 114, 113]);
}

#[test]
fn one_sample_serves_everybody_for_a_while() {
    let mut fixture = Fixture::new();
    let mut figures = fixture.figures();
    let first = figures.sample(fixture.now);
    fixture.write("loadavg", "9.00 0.25 0.10 1/100 4242\n");
    let moment = fixture.later(SAMPLE_INTERVAL - Duration::from_millis(1));
    assert!(Arc::ptr_eq(&figures.sample(moment), &first));
    let moment = fixture.later(Duration::from_millis(1));
    assert!(figures.fresh(moment).is_none());
    assert_eq!(parsed(&figures.sample(moment).load), serde_json::json!({"load": [9.0, 0.25, 0.1]}));
    assert!(figures.fresh(moment).is_some());
}

#[test]
fn what_cannot_be_read_is_absent() {
    let mut fixture = Fixture::new();
    let mut figures = fixture.figures();
    fs::remove_file(fixture.folder.path().join("loadavg")).expect("was there");
    fixture.write("meminfo", "MemTotal: 1000 kB\n");
    fixture.network(0, 0);
    fixture.write("stat", "cpu 100 0 100 800 0\ncpu0 50 0 50 400 0\ncpu7 50 0 50 400 0\n");
    let machine = parsed(&figures.sample(fixture.later(SAMPLE_INTERVAL)).machine);
    assert_eq!(machine.get("load"), None);
    assert_eq!(machine["memory"], serde_json::json!({"total_kib": 1000}));
    assert_eq!(machine["network"], serde_json::json!([]), "counters that went back give no rate");
    assert_eq!(machine.get("cpu"), None, "no tick has passed");
    assert_eq!(machine["processes"][0].get("cpu_percent"), None);
}

#[test]
fn without_proc_every_document_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut now = Moment::now();
    let mut figures = Figures::new(&folder.path().join("absent"), now);
    now.instant += SAMPLE_INTERVAL;
    let documents = figures.sample(now);
    for document in [&documents.machine, &documents.load, &documents.processes] {
        let document = parsed(document);
        assert!(document["error"].as_str().is_some_and(|error| error.contains("Linux")), "{document}");
        assert_eq!(document.get("sampled_over_s"), None);
        assert_eq!(document.get("processes"), None);
    }
}

#[test]
fn dates() {
    assert_eq!(date(0), Some((1970, 1, 1)));
    assert_eq!(date(11_016), Some((2000, 2, 29)));
    assert_eq!(date(11_017), Some((2000, 3, 1)));
    assert_eq!(date(20_453), Some((2025, 12, 31)));
    assert_eq!(date(47_541), Some((2100, 3, 1)));
    assert_eq!(date(u64::MAX), None);
}

#[cfg(target_os = "linux")]
#[test]
fn the_live_machine() {
    let begun = Moment::now();
    let mut figures = Figures::new(Path::new("/proc"), begun);
    let own_number = std::process::id();
    let used =
        |figures: &Figures| figures.last.processes.as_ref().expect("ourselves").by_number[&own_number].ticks;
    let before = used(&figures);
    // Work until the kernel has counted some ticks of ours, so that there is something to see.
    let documents = loop {
        let now = Moment { instant: begun.instant.max(Instant::now()) + SAMPLE_INTERVAL, ..begun };
        let documents = figures.sample(now);
        if used(&figures) > before && parsed(&documents.machine)["cpu"]["cores"][0].is_number() {
            break documents;
        }
        figures.last.at.instant = begun.instant;
    };
    let machine = parsed(&documents.machine);
    let busy = machine["cpu"]["busy_percent"].as_f64().expect("a number");
    assert!((0.0..=100.0).contains(&busy), "{machine}");
    assert!(machine["memory"]["total_kib"].as_u64().expect("a number") > 0);
    assert_eq!(machine["load"].as_array().expect("a list").len(), 3);
    assert!(!machine["processes"].as_array().expect("a list").is_empty());
}
