//! What survives what, as docs/operation.md has it in a table: a client that drops, a gateway that is ended or killed,
//! with channels in memory and on disk. And what is said where a store cannot be opened.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Gate, Reply};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::{Ended, Gateway, run};
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::websocket::{Dial, WebSocket};

/// Nothing is waited for at the end of a gateway that nobody uses.
const LIMITS: &str = "[limits]\ndrain_grace = \"0s\"\ndrain_spread = \"0s\"\n";

const CHANNELS: &str = "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n";

fn engine(folder: &Path) -> String {
    format!("[engine]\nembedded = {{ path = {folder:?} }}\n")
}

/// Where channels are kept: the text of `[engine]`.
fn engines(folder: &Path) -> [(&'static str, String); 3] {
    let commit = folder.join("commit");
    [
        ("memory", String::new()),
        ("disk", engine(&folder.join("interval"))),
        ("disk, each commit", format!("[engine]\nembedded = {{ path = {commit:?}, sync = \"commit\" }}\n")),
    ]
}

fn start(engine: &str) -> Gateway {
    Gateway::configured(&format!("{engine}{LIMITS}{CHANNELS}"))
}

/// Ends it and starts another one with the same channels.
fn again(gateway: Gateway, signal: Signal, engine: &str) -> Gateway {
    gateway.signal(signal);
    let ended = gateway.ended();
    assert!(ended.code == Some(0) || ended.signal == Some(9), "{ended:?}");
    start(engine)
}

fn open(gateway: &Gateway, after: &str) -> (WebSocket, Value) {
    let mut socket = WebSocket::enveloped(gateway.public(), &format!("/a?after={after}"));
    let open = socket.envelope("open");
    (socket, open)
}

fn epoch(position: &str) -> &str {
    position.split(':').next().unwrap_or_default()
}

#[test]
fn a_client_that_drops_gets_what_it_missed_wherever_channels_are() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, engine) in engines(folder.path()) {
        let gateway = start(&engine);
        let mut socket = WebSocket::enveloped(gateway.public(), "/a");
        socket.envelope("open");
        let first = gateway.publish("a", "1");
        assert_eq!(socket.envelope("message")["position"], first.as_str(), "{place}");
        socket.cut();
        gateway.publish("a", "2");
        let (mut socket, open) = open(&gateway, &first);
        assert_eq!(
            (&open["recovered"], &open["position"]),
            (&json!(true), &first.as_str().into()),
            "{place}"
        );
        assert_eq!(socket.envelope("message")["data"], 2, "{place}");
    }
}

#[test]
fn the_end_of_the_gateway_ends_channels_in_memory_and_not_those_on_disk() {
    for signal in [Signal::TERM, Signal::KILL] {
        let folder = tempfile::tempdir().expect("a folder");
        for (place, engine) in engines(folder.path()) {
            let on_disk = place != "memory";
            let gateway = start(&engine);
            let first = gateway.publish("a", "1");
            let second = gateway.publish("a", "2");
            let gateway = again(gateway, signal, &engine);
            let (mut socket, open) = open(&gateway, &first);
            assert_eq!(open["recovered"], on_disk, "{place}, {signal:?}: a loss is declared");
            if on_disk {
                assert_eq!(socket.envelope("message")["position"], second.as_str(), "{place}, {signal:?}");
            }
            let third = gateway.publish("a", "3");
            assert_eq!(socket.envelope("message")["position"], third.as_str(), "{place}, {signal:?}");
            assert_eq!(epoch(&third) == epoch(&first), on_disk, "{place}, {signal:?}: {third}");
            assert_eq!(third.ends_with(":3"), on_disk, "{place}, {signal:?}: {third}");
        }
    }
}

#[test]
fn keys_and_preconditions_go_on_where_the_publications_do() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, engine) in engines(folder.path()) {
        let publish = |gateway: &Gateway, name: &str, value: &str| {
            gateway.ask_admin(Request::post("/channels/a", "1").header(name, value))
        };
        let gateway = start(&engine);
        let first = publish(&gateway, "Idempotency-Key", "order-7").json();
        let gateway = again(gateway, Signal::KILL, &engine);
        let on_disk = place != "memory";
        assert_eq!(publish(&gateway, "Idempotency-Key", "order-7").json() == first, on_disk, "{place}");
        let position = first["position"].as_str().expect("a position");
        let status = publish(&gateway, "If-Match", position).status;
        assert_eq!(status, if on_disk { 202 } else { 412 }, "{place}");
    }
}

#[test]
fn a_position_goes_on_when_its_history_has_aged_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let short = CHANNELS.replace("channel", "history = { ttl = \"1s\" }\nchannel");
    let start = || Gateway::configured(&format!("{}{short}", engine(folder.path())));
    let gateway = start();
    gateway.publish("a", "1");
    let second = gateway.publish("a", "2");
    let deadline = Deadline::of_patience();
    while gateway.channel("a")["history"] != 0 {
        assert!(deadline.left().is_some(), "it is kept for longer than its time");
    }
    gateway.signal(Signal::KILL);
    gateway.ended();
    let gateway = start();
    let shown = gateway.channel("a");
    assert_eq!((&shown["position"], &shown["history"]), (&second.as_str().into(), &0.into()));
    assert_eq!(open(&gateway, &second).1["recovered"], true, "nothing was missed");
    assert_eq!(gateway.publish("a", "3"), second.replace(":2", ":3"));
}

#[test]
fn a_kill_takes_nothing_of_the_newest_history_when_there_is_no_room_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = LIMITS.replace("[limits]", "[listen]\nshards = 1\n[limits]\nhistory_max_total = \"1 MiB\"");
    let start = || Gateway::configured(&format!("{}{limits}{CHANNELS}", engine(folder.path())));
    let gateway = start();
    let text = "1".repeat(100_000);
    let positions: Vec<String> = (0..9).map(|_| gateway.publish("a", &text)).collect();
    for _ in 0..5 {
        gateway.publish("b", &text);
    }
    let kept = |gateway: &Gateway| ["a", "b"].map(|channel| gateway.channel(channel)["history"].clone());
    assert_eq!(kept(&gateway), [5, 5], "the oldest of the channel used longest ago made room");
    gateway.signal(Signal::KILL);
    gateway.ended();
    let gateway = start();
    assert_eq!(kept(&gateway), [5, 5]);
    assert_eq!(open(&gateway, &positions[3]).1["recovered"], true);
    assert_eq!(open(&gateway, &positions[2]).1["recovered"], false);
}

/// Puts another configuration in force.
fn reload(gateway: &Gateway, text: &str) {
    let seen = gateway.log().count();
    std::fs::write(gateway.configuration(), text).expect("its configuration");
    gateway.signal(Signal::HUP);
    let reloaded = |line: &str| line.contains("configuration is in force").then_some(());
    gateway.log().wait_after(seen, "the new one", reloaded);
}

#[test]
fn a_channel_whose_route_comes_back_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let gateway = start(&engine);
    let first = gateway.publish("a", "1");
    let second = gateway.publish("a", "2");
    let dropped = gateway.publish("c", "1");
    gateway.signal(Signal::KILL);
    gateway.ended();
    let other = CHANNELS.replace("/{*rest}", "/b");
    let gateway = Gateway::configured(&format!("{engine}{LIMITS}{other}"));
    assert_eq!(gateway.ask_admin(Request::get("/channels/a")).status, 404, "no route wants it");
    reload(&gateway, &format!("{engine}{LIMITS}{CHANNELS}"));
    for request in [
        Request::post("/channels/a", "3"),
        Request::post("/channels/a", "3").header("If-Match", &first),
        Request::get("/channels/a"),
    ] {
        let answer = gateway.ask_admin(request);
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains("a restart of the gateway reads it"), "{}", answer.text());
    }
    let mut socket = WebSocket::enveloped(gateway.public(), &format!("/a?after={first}"));
    assert_eq!(socket.envelope("error")["code"], "limit");
    gateway.log().wait("a line about it", |line| line.contains("on disk and not in memory").then_some(()));
    let deleted = gateway.ask_admin(Request::new("DELETE", "/channels/c"));
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    let anew = gateway.publish("c", "1");
    assert!(epoch(&anew) != epoch(&dropped) && anew.ends_with(":1"), "{dropped} {anew}");
    let gateway = again(gateway, Signal::KILL, &engine);
    assert_eq!(gateway.channel("c")["position"], anew.as_str());
    let (mut socket, open) = open(&gateway, &first);
    assert_eq!(open["recovered"], true);
    assert_eq!(socket.envelope("message")["position"], second.as_str());
}

/// `/a` is what a backend says, and all else a channel.
fn polled(backend: &Backend) -> String {
    let url = backend.url();
    format!("[[route]]\npath = \"/a\"\npoll = {{ url = \"{url}/a\" }}\n{CHANNELS}")
}

#[test]
fn a_channel_that_is_polled_after_a_reload_is_another_one_and_so_it_is_back_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = Document::new("\"document\"");
    let backend = Backend::start(move |asked| document.reply(asked));
    for (place, engine) in engines(folder.path()) {
        let gateway = start(&engine);
        let first = gateway.publish("a", "1");
        let second = gateway.publish("a", "2");
        let mut follower = WebSocket::open(gateway.public(), "/a");
        gateway.wait_subscribers("a", 1);
        reload(&gateway, &format!("{engine}{LIMITS}{}", polled(&backend)));
        let (mut socket, opened) = open(&gateway, &first);
        assert_eq!(opened["recovered"], false, "{place}");
        let message = socket.envelope("message");
        assert_eq!(message["data"], "document", "{place}");
        let position = message["position"].as_str().expect("a position");
        assert!(epoch(position) != epoch(&first) && position.ends_with(":1"), "{place}: {first} {position}");
        assert_eq!(follower.closed().0, 1001, "{place}");
        let mut late = WebSocket::open(gateway.public(), "/a");
        assert_eq!(late.text(), "\"document\"", "{place}");
        reload(&gateway, &format!("{engine}{LIMITS}{CHANNELS}"));
        let answer = gateway.ask_admin(Request::post("/channels/a", "3"));
        if engine.is_empty() {
            let third = answer.json()["position"].as_str().expect("a position").to_owned();
            assert!(epoch(&third) != epoch(position) && third.ends_with(":1"), "{position} {third}");
            assert_eq!(late.closed().0, 1001);
            assert_eq!(socket.envelope("error")["code"], "upstream");
            continue;
        }
        assert_eq!(answer.status, 503, "{place}: {}", answer.text());
        let gateway = again(gateway, Signal::KILL, &engine);
        assert_eq!(gateway.channel("a")["position"], second.as_str(), "{place}");
        let third = gateway.publish("a", "3");
        assert_eq!(third, second.replace(":2", ":3"), "{place}");
        let (mut socket, opened) = open(&gateway, &first);
        assert_eq!(opened["recovered"], true, "{place}");
        assert_eq!(socket.envelope("message")["position"], second.as_str(), "{place}");
    }
}

/// All is a backend's, which says what kind it is.
fn behind(backend: &Backend) -> String {
    format!("[[route]]\npath = \"/{{*rest}}\"\nauto = {{ url = \"{}\" }}\n", backend.url())
}

#[test]
fn what_publishers_fill_since_a_reload_stays_when_a_backend_answers_late() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, engine) in engines(folder.path()) {
        let gate = Gate::default();
        let held = gate.clone();
        let backend = Backend::start(move |_| {
            held.pass();
            Reply::ok("\"document\"")
        });
        let gateway = start(&engine);
        let first = gateway.publish("a", "1");
        reload(&gateway, &format!("{engine}{LIMITS}{}", behind(&backend)));
        let public = gateway.public();
        let late = ["/a", "/b"].map(|path| {
            let late = std::thread::spawn(move || Dial::new(public, path).refused().status);
            backend.wait(path, 1);
            late
        });
        reload(&gateway, &format!("{engine}{LIMITS}{CHANNELS}"));
        gateway.publish("b", "1");
        // Where there was nothing yet, the source ends at once.
        gateway.wait_metric("tidegate_sources", 1.0);
        let (mut socket, _) = open(&gateway, &first);
        gate.open();
        assert_eq!(late.map(|late| late.join().expect("an answer")), [503, 503], "{place}");
        gateway.wait_metric("tidegate_sources", 0.0);
        let second = gateway.publish("a", "2");
        assert_eq!(second, first.replace(":1", ":2"), "{place}");
        assert_eq!(socket.envelope("message")["position"], second.as_str(), "{place}");
    }
}

#[test]
fn what_a_channel_keeps_goes_by_the_configuration_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, engine) in engines(folder.path()) {
        let channels = |size: u32| CHANNELS.replace("{}", &format!("{{}}\nhistory = {{ size = {size} }}"));
        let gateway = Gateway::configured(&format!("{engine}{LIMITS}{}", channels(5)));
        let positions = ["1", "2", "3", "4", "5"].map(|text| gateway.publish("a", text));
        assert_eq!(gateway.channel("a")["history"], 5, "{place}");
        reload(&gateway, &format!("{engine}{LIMITS}{}", channels(2)));
        assert_eq!(open(&gateway, &positions[3]).1["recovered"], true, "{place}");
        assert_eq!(gateway.channel("a")["history"], 2, "{place}");
        gateway.publish("a", "6");
        assert_eq!(gateway.channel("a")["history"], 2, "{place}");
        assert_eq!(open(&gateway, &positions[2]).1["recovered"], false, "{place}");
    }
}

#[test]
fn channels_that_are_too_many_stay_on_disk_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |most: usize| {
        let limits = LIMITS
            .replace("[limits]", &format!("[listen]\nshards = 1\n[limits]\nchannels_max_total = {most}"));
        Gateway::configured(&format!("{}{limits}{CHANNELS}", engine(folder.path())))
    };
    let gateway = start(3);
    let positions = ["a", "b", "c"].map(|channel| gateway.publish(channel, "1"));
    gateway.signal(Signal::KILL);
    gateway.ended();
    let gateway = start(2);
    let status = |channel: &str| gateway.ask_admin(Request::get(&format!("/channels/{channel}"))).status;
    assert_eq!(["a", "b", "c"].map(status), [503, 200, 200], "the one used longest ago has no room");
    assert_eq!(gateway.ask_admin(Request::post("/channels/a", "2")).status, 503);
    gateway.signal(Signal::KILL);
    gateway.ended();
    let gateway = start(3);
    assert_eq!(
        ["a", "b", "c"].map(|channel| gateway.publish(channel, "2")),
        positions.map(|one| one.replace(":1", ":2"))
    );
}

#[test]
fn a_channel_on_disk_that_nobody_needs_makes_place_for_whoever_follows_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = LIMITS.replace("[limits]", "[listen]\nshards = 1\n[limits]\nchannels_max_total = 2");
    let channels = CHANNELS.replace("channel", "history = { size = 0 }\nchannel");
    let gateway = Gateway::configured(&format!("{}{limits}{channels}", engine(folder.path())));
    let status = |channel: &str| gateway.ask_admin(Request::get(&format!("/channels/{channel}"))).status;
    gateway.publish("a", "1");
    gateway.publish("b", "1");
    let mut first = WebSocket::enveloped(gateway.public(), "/c");
    assert_eq!(first.envelope("open")["channel"], "c");
    assert_eq!(["a", "b", "c"].map(status), [404, 200, 200], "the one used longest ago has gone");
    let mut second = WebSocket::open(gateway.public(), "/d");
    gateway.wait_subscribers("d", 1);
    gateway.publish("d", "1");
    assert_eq!(second.text(), "1");
    let mut third = WebSocket::enveloped(gateway.public(), "/e");
    assert_eq!(third.envelope("error")["code"], "limit", "somebody follows each of them");
    assert_eq!(third.envelope("close")["code"], 1013);
    assert_eq!(third.closed().0, 1013);
    first.send(r#"{"type":"subscribe","channel":"e","id":1}"#);
    first.envelope("reply");
    assert_eq!(first.envelope("error")["channel"], "e");
    gateway.publish("c", "it goes on with its own");
    assert_eq!(first.envelope("message")["channel"], "c");
}

#[test]
fn a_dropped_channel_stays_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let gateway = start(&engine);
    let first = gateway.publish("a", "1");
    let mut socket = WebSocket::open(gateway.public(), "/a");
    gateway.wait_subscribers("a", 1);
    let dropped = gateway.ask_admin(Request::new("DELETE", "/channels/a"));
    assert_eq!((dropped.status, &dropped.json()["dropped"]), (200, &json!("a")));
    assert_eq!(socket.closed().0, 1001);
    assert_eq!(gateway.ask_admin(Request::new("DELETE", "/channels/a")).status, 404);
    let gateway = again(gateway, Signal::KILL, &engine);
    assert_eq!(gateway.ask_admin(Request::get("/channels/a")).status, 404);
    let later = gateway.publish("a", "1");
    assert!(epoch(&later) != epoch(&first) && later.ends_with(":1"), "{first} {later}");
    let gateway = again(gateway, Signal::KILL, &engine);
    assert_eq!(gateway.channel("a")["position"], later.as_str());
}

#[test]
fn a_key_that_was_used_before_its_channel_was_dropped_publishes() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, engine) in engines(folder.path()) {
        let gateway = start(&engine);
        let keyed = || {
            let request = Request::post("/channels/a", "1").header("Idempotency-Key", "order-7");
            gateway.ask_admin(request).json()["position"].as_str().expect("a position").to_owned()
        };
        let first = keyed();
        assert_eq!(keyed(), first, "{place}");
        assert_eq!(gateway.ask_admin(Request::new("DELETE", "/channels/a")).status, 200);
        let anew = keyed();
        assert!(epoch(&anew) != epoch(&first) && anew.ends_with(":1"), "{place}: {first} {anew}");
        assert_eq!(gateway.channel("a")["position"], anew.as_str(), "{place}");
        assert_eq!(keyed(), anew, "{place}");
    }
}

#[test]
fn what_a_source_brings_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = Document::new("1");
    let served = document.clone();
    let backend = Backend::start(move |asked| served.reply(asked));
    let route = format!("[[route]]\npath = \"/a\"\npoll = {{ url = \"{}/a\" }}\n", backend.url());
    let start = || Gateway::configured(&format!("{}{route}", engine(folder.path())));
    let position = |gateway: &Gateway| {
        let mut socket = WebSocket::enveloped(gateway.public(), "/a");
        let open = socket.envelope("open");
        let message = socket.envelope("message");
        assert_eq!(message["data"], 1, "{open}");
        message["position"].as_str().expect("a position").to_owned()
    };
    let gateway = start();
    let first = position(&gateway);
    gateway.signal(Signal::KILL);
    gateway.ended();
    assert_ne!(epoch(&position(&start())), epoch(&first), "it comes again from its source");
}

/// A gateway that does not start.
fn refused(text: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegate.toml");
    std::fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("a path");
    run(&["serve", "--config", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
}

#[test]
fn a_store_belongs_to_one_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let gateway = start(&engine);
    let second = refused(&format!("{engine}{CHANNELS}"));
    assert_eq!(second.code, Some(1), "{}", second.printed);
    assert!(second.printed.contains("is in use: another process holds it"), "{}", second.printed);
    gateway.publish("a", "1");
}

#[test]
fn a_path_that_is_no_store_is_a_fault_of_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("thesis.txt"), "years of work").expect("a file");
    let ended = refused(&format!("{}{CHANNELS}", engine(folder.path())));
    assert_eq!(ended.code, Some(3), "{}", ended.printed);
    assert!(ended.printed.contains("holds other files, such as \"thesis.txt\""), "{}", ended.printed);
    let ended = refused(&format!("{}{CHANNELS}", engine(&folder.path().join("thesis.txt/store"))));
    assert_eq!(ended.code, Some(3), "{}", ended.printed);
}

#[test]
fn a_damaged_store_is_said_to_be_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let gateway = start(&engine);
    gateway.publish("a", "1");
    gateway.signal(Signal::KILL);
    gateway.ended();
    std::fs::remove_file(folder.path().join("history/version")).expect("a part of the store");
    let ended = refused(&format!("{engine}{CHANNELS}"));
    assert_eq!(ended.code, Some(1), "{}", ended.printed);
    assert!(ended.printed.contains("is damaged:"), "{}", ended.printed);
    assert!(ended.printed.contains("move the folder away to begin anew"), "{}", ended.printed);
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-r").args([from, to]).status();
    assert!(status.expect("cp").success());
}

#[test]
fn a_copy_that_takes_the_place_of_a_store_is_a_new_epoch() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, saved) = (folder.path().join("store"), folder.path().join("saved"));
    let engine = engine(&store);
    let gateway = start(&engine);
    let first = gateway.publish("a", "1");
    gateway.signal(Signal::TERM);
    gateway.ended();
    copy(&store, &saved);
    let gateway = start(&engine);
    let second = gateway.publish("a", "2");
    gateway.signal(Signal::KILL);
    gateway.ended();
    std::fs::remove_dir_all(&store).expect("a store");
    copy(&saved, &store);
    std::fs::remove_file(store.join("reached")).expect("a file of the store");
    let gateway = start(&engine);
    gateway.log().wait("a line about it", |line| line.contains("every channel is a new epoch").then_some(()));
    let third = gateway.publish("a", "3");
    assert!(epoch(&third) != epoch(&first) && third.ends_with(":2"), "{first} {third}");
    assert_eq!(open(&gateway, &second).1["recovered"], false);
    assert_eq!(gateway.channel("a")["history"], 2, "what the copy has is there");
    let again = again(gateway, Signal::KILL, &engine).publish("a", "4");
    assert_eq!(again, third.replace(":2", ":3"), "it is done once");
}

#[test]
fn the_store_is_seen_in_metrics_and_stays_as_it_is_until_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    let gateway = start(&engine);
    for number in 0..5 {
        gateway.publish("a", &number.to_string());
    }
    assert!((gateway.metric("tidegate_store_orders_total") - 5.0).abs() < f64::EPSILON);
    let commits = gateway.metric("tidegate_store_commits_total");
    assert!((1.0..=5.0).contains(&commits), "{commits}");
    gateway.wait_metric("tidegate_store_queue_bytes", 0.0);
    assert!(gateway.metric("tidegate_store_disk_bytes") > 0.0);
    assert!(gateway.metric("tidegate_store_broken").abs() < f64::EPSILON);
    std::fs::write(gateway.configuration(), format!("{LIMITS}{CHANNELS}")).expect("its configuration");
    gateway.signal(Signal::HUP);
    gateway.log().wait("a word about it", |line| {
        line.contains("[engine] takes effect at the next start").then_some(())
    });
    gateway.publish("a", "5");
}
