//! A configuration that changes while clients are connected: nobody notices, and what is wrong changes
//! nothing. One gateway for all of it, since a signal reaches every gateway of the process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::{Gate, TOKEN, configuration, settings};
use tidegate_hostile::log;
use tidegate_hostile::socket::{Socket, handshake};

const CANARY: &str = "[[route]]\npath = \"/canary/{*rest}\"\nchannel = {}\n";
const OLD: &str = "[[route]]\npath = \"/old/{*rest}\"\nchannel = {}\npublish = \"anyone\"\n";
const NEW: &str = "[[route]]\npath = \"/new/{*rest}\"\nchannel = {}\npublish = \"anyone\"\n";

fn hang_up() {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::HUP).expect("a signal to ourselves");
}

/// Replaces the file as editors do, by renaming.
fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    std::fs::write(&aside, text).expect("a temporary folder");
    std::fs::rename(&aside, file).expect("a temporary folder");
}

fn count(event: &str) -> usize {
    log::lines().iter().filter(|line| line.contains(&format!("event=\"{event}\""))).count()
}

/// Makes the gateway read its file and waits until it said what became of it.
fn reload(event: &str) {
    let before = count(event);
    hang_up();
    await_event(event, before + 1);
}

fn await_event(event: &str, wanted: usize) {
    let begun = Instant::now();
    while count(event) < wanted {
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{event} is not logged: {:?}",
            log::lines().last()
        );
        std::thread::yield_now();
    }
}

/// Whether the routes `/old` and `/new` are there.
fn routes(gate: &Gate) -> (bool, bool) {
    let open = |target| match gate.ask(handshake(target, "")).status {
        101 => true,
        404 => false,
        other => panic!("{other}"),
    };
    (open("/old/x"), open("/new/x"))
}

#[test]
fn a_reload_is_all_or_nothing_and_touches_no_socket() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file: PathBuf = folder.path().join("tidegate.toml");
    let (old, new) =
        (configuration("", &format!("{CANARY}{OLD}")), configuration("", &format!("{CANARY}{NEW}")));
    std::fs::write(&file, &old).expect("a temporary folder");
    let (gate, _supervised) = Gate::reloading(&configuration("", OLD), file.clone());
    let canary = Canary::watch(&gate);
    let mut stays = Socket::open_envelopes(gate.public, "/old/stays");
    assert_eq!(stays.next_json()["type"], "open");
    // The first signal must find somebody who listens for it.
    await_event("reloaded", {
        replace(&file, &format!("{old}\n# touched\n"));
        1
    });
    assert_eq!(routes(&gate), (true, false));

    replace(&file, &new);
    reload("reloaded");
    assert_eq!(routes(&gate), (false, true));
    stays.text("{\"type\":\"message\",\"channel\":\"new/x\",\"data\":1,\"id\":1}");
    assert_eq!(stays.next_json()["type"], "reply", "what it does next is judged by the new rules");

    for broken in broken_variants(&new) {
        assert!(settings(&broken).is_err(), "this was to be broken:\n{broken}");
        std::fs::write(&file, &broken).expect("a temporary folder");
        reload("reload_failed");
        assert_eq!(routes(&gate), (false, true), "{broken}");
    }
    std::fs::write(&file, [b"[listen]\n".as_slice(), &[0xFF, 0xFE, 0]].concat()).expect("a temporary folder");
    reload("reload_failed");
    std::fs::write(&file, vec![b'#'; 2 << 20]).expect("a temporary folder");
    reload("reload_failed");
    std::fs::remove_file(&file).expect("it was there");
    reload("reload_failed");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &file).expect("a temporary folder");
    reload("reload_failed");
    assert_eq!(routes(&gate), (false, true));

    for turn in 0..100 {
        replace(&file, if turn % 2 == 0 { &old } else { &new });
        reload("reloaded");
        assert_eq!(routes(&gate), (turn % 2 == 0, turn % 2 == 1), "{turn}");
    }
    stays.text("{\"type\":\"message\",\"channel\":\"new/x\",\"data\":2,\"id\":2}");
    assert_eq!(stays.next_json()["id"], 2, "the socket was open all the time");
    canary.finish();
}

/// Faulty configurations: cut anywhere, unknown words, wrong kinds of value, limits that cannot hold.
fn broken_variants(good: &str) -> Vec<String> {
    let mut broken: Vec<String> =
        (1..good.len()).step_by(41).map(|at| format!("{}\n[", &good[..at])).collect();
    broken.extend(
        [
            ("[listen]", "[listn]"),
            ("publish = \"anyone\"", "publsh = \"anyone\""),
            ("publish = \"anyone\"", "publish = \"everybody\""),
            ("publish = \"anyone\"", "publish = 7"),
            ("channel = {}", "channel = {}\npoll = { url = \"http://127.0.0.1:1/\" }"),
            ("channel = {}", ""),
            ("channel = {}", "poll = { url = \"http://{host}/\" }"),
            ("channel = {}", "poll = { url = \"file:///etc/passwd\" }"),
            ("channel = {}", "limits = { ws_max_message = \"1 EiB\" }\nchannel = {}"),
            ("[limits]", "[limits]\nws_max_fragments = 0"),
            ("[limits]", "[limits]\nws_max_fragments = -1"),
            ("[limits]", "[limits]\nws_max_message = \"99999999999999999999 GiB\""),
            ("[limits]", "[limits]\nnot_a_limit = 1"),
            ("[limits]", "[limits]\nws_ping_interval = \"1s\"\nws_pong_timeout = \"10s\""),
            ("/new/{*rest}", "/new/{*rest}/{x}"),
            ("/new/{*rest}", "new"),
            ("/new/{*rest}", "/new/../{x}"),
            ("/new/{*rest}", "/canary/{*other}"),
            ("127.0.0.1:0", "0.0.0.0:0"),
            (TOKEN, ""),
        ]
        .map(|(part, wrong)| good.replacen(part, wrong, 1)),
    );
    broken
}

#[test]
fn a_configuration_beyond_its_bounds_is_refused_soon() {
    let begun = Instant::now();
    let route = |number: usize| format!("[[route]]\npath = \"/r/{number}\"\nchannel = {{}}\n");
    let many: String = (0..25_000).map(route).collect();
    assert!(many.len() < 1 << 20, "below the bound of the file");
    let faults = settings(&many).expect_err("more routes than may be").to_string();
    assert!(faults.contains("10000") || faults.contains("10,000"), "{:.300}", faults);
    let faults = settings(&"#".repeat((1 << 20) + 1)).expect_err("a large file").to_string();
    assert!(faults.contains("1 MiB"), "{faults}");
    let deep = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(settings(&deep).is_err());
    let dotted = format!("{} = 1", vec!["a"; 100_000].join("."));
    assert!(settings(&dotted).is_err());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
