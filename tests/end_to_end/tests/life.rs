//! The life of the process: how it starts or says why not, what its signals do, how it reads its configuration
//! anew, and how it ends without losing what it had accepted.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidegate_end_to_end::backend::{Backend, Gate};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::{Gateway, run};
use tidegate_end_to_end::http::{Head, Incoming, Request};
use tidegate_end_to_end::stream::Stream;
use tidegate_end_to_end::websocket::{Came, Dial, WebSocket};

/// A configuration with these times for draining, and any path a channel.
fn draining(grace: &str, spread: &str, deadline: &str) -> String {
    format!(
        "[limits]\ndrain_grace = \"{grace}\"\ndrain_spread = \"{spread}\"\ndrain_deadline = \"{deadline}\"\n\
         [[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\nhistory = {{ size = 1000, ttl = \"5m\" }}\n"
    )
}

fn open(gateway: &Gateway, path: &str) -> WebSocket {
    let mut socket = WebSocket::enveloped(gateway.public(), path);
    socket.envelope("open");
    socket
}

fn wait_logged(gateway: &Gateway, text: &str) -> String {
    gateway.log().wait(text, |line| line.contains(text).then(|| line.to_owned()))
}

/// Reads the end of an enveloped socket: the close envelope, whose hint it checks, and the Close.
fn restarted(socket: &mut WebSocket) {
    let close = socket.envelope("close");
    assert_eq!(close["code"], 1012);
    let hint = close["reconnect_in_ms"].as_u64().expect("a hint");
    assert!((500..=20_000).contains(&hint), "{hint}");
    assert_eq!(socket.closed().0, 1012);
}

#[test]
fn a_drain_tells_everybody_and_takes_no_more() {
    let gateway = Gateway::configured(&draining("1s", "1s", "10s"));
    let mut enveloped: Vec<_> = (0..30).map(|_| open(&gateway, "/a")).collect();
    let mut bare = WebSocket::open(gateway.public(), "/a");
    let mut stream = EventStream::open(gateway.public(), "/a");
    stream.named("tidegate-open");
    gateway.wait_subscribers("a", 32);
    assert_eq!(Request::get("/ready").send(gateway.admin()).status, 200);

    gateway.signal(Signal::TERM);
    wait_logged(&gateway, "SIGTERM: clients are told and closed");
    let ready = Request::get("/ready").send(gateway.admin());
    assert_eq!((ready.status, ready.json()["reason"].as_str()), (503, Some("draining")));
    assert_eq!(Request::get("/live").send(gateway.admin()).status, 200);
    let refused = Dial::new(gateway.public(), "/a").refused();
    assert_eq!(refused.status, 503);
    let seconds: u64 = refused.headers.get("retry-after").expect("a hint").parse().expect("seconds");
    assert!((1..=10).contains(&seconds));
    gateway.publish("a", "to the last");

    let ends: Vec<Instant> = std::thread::scope(|scope| {
        let read = |mut socket: WebSocket| {
            assert_eq!(socket.envelope("message")["text"], "to the last");
            restarted(&mut socket);
            Instant::now()
        };
        let threads: Vec<_> = enveloped.drain(..).map(|socket| scope.spawn(move || read(socket))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let (first, last) = (ends.iter().min().expect("some"), ends.iter().max().expect("some"));
    assert!(last.duration_since(*first) >= Duration::from_millis(400), "all were closed at once");
    assert_eq!(bare.text(), "to the last");
    assert_eq!(bare.closed().0, 1012);
    assert_eq!(stream.message().data, "to the last");
    let close = stream.event();
    assert_eq!(close.name, "tidegate-close");
    assert!(close.retry.is_some_and(|retry| (500..=20_000).contains(&retry)), "{close:?}");
    stream.ended();
    assert_eq!(gateway.ended().code, Some(0));
}

/// Publishes to a client that does not read until something waits in its queue, beyond what the kernel holds.
fn fill_queue(gateway: &Gateway, channel: &str) -> u32 {
    let text = "x".repeat(256 * 1024);
    let before = gateway.metric("tidegate_enqueued_messages_total");
    for count in 1..200 {
        gateway.publish(channel, &text);
        gateway.wait_metric("tidegate_enqueued_messages_total", before + f64::from(count));
        let list = gateway.ask_admin(Request::get("/connections")).json();
        if list["connections"][0]["queue_bytes"].as_u64().expect("a number") > 0 {
            return count;
        }
    }
    panic!("the kernel takes everything");
}

#[test]
fn what_waits_in_queues_still_goes_out_before_the_end() {
    let gateway = Gateway::configured(&draining("0s", "0s", "10s"));
    let mut slow = open(&gateway, "/a");
    let count = fill_queue(&gateway, "a");
    gateway.signal(Signal::TERM);
    wait_logged(&gateway, "SIGTERM: clients are told and closed");
    for offset in 1..=count {
        let message = slow.envelope("message");
        let position = message["position"].as_str().expect("a position").to_owned();
        assert!(position.ends_with(&format!(":{offset}")), "{position} came as number {offset}");
    }
    restarted(&mut slow);
    assert_eq!(gateway.ended().code, Some(0));
}

#[test]
fn while_it_drains_it_says_that_it_was_the_end_of_the_process() {
    let gateway = Gateway::configured(&draining("0s", "0s", "20s"));
    let (mut answers, stays) = (open(&gateway, "/a"), open(&gateway, "/b"));
    gateway.signal(Signal::TERM);
    restarted(&mut answers);
    drop(answers);
    let deadline = Deadline::of_patience();
    let close = loop {
        let list = gateway.ask_admin(Request::get("/connections?state=closed")).json();
        if let Some(row) =
            list["connections"].as_array().expect("a list").iter().find(|row| row["path"] == "/a")
        {
            break row["close"].clone();
        }
        assert!(deadline.left().is_some(), "{list}");
    };
    assert_eq!((close["by"].as_str(), close["code"].as_u64()), (Some("gateway"), Some(1012)), "{close}");
    let what = close["what_happened"].as_str().expect("a sentence");
    assert!(what.contains("shutting down or restarting"), "{what}");
    drop(stays);
    assert_eq!(gateway.ended().code, Some(0));
}

#[test]
fn who_takes_nothing_holds_the_end_up_only_to_the_deadline() {
    let gateway = Gateway::configured(&draining("0s", "0s", "2s"));
    let stuck = open(&gateway, "/a");
    fill_queue(&gateway, "a");
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().code, Some(0));
    let took = begun.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(5)).contains(&took), "{took:?}");
    drop(stuck);
}

#[test]
fn an_empty_gateway_ends_at_once() {
    let gateway = Gateway::configured(&draining("30s", "20s", "1m"));
    assert_eq!(Request::get("/ready").send(gateway.admin()).status, 200);
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// Whoever waits for the start-up lines, as a supervisor does, may send a signal right after them.
#[test]
fn signals_are_heeded_from_the_start_up_lines_on() {
    for round in 0..20 {
        for (first, signal, code) in
            [(None, Signal::TERM, 0), (None, Signal::INT, 130), (Some(Signal::HUP), Signal::TERM, 0)]
        {
            let gateway = Gateway::alone(&[]);
            first.into_iter().for_each(|first| gateway.signal(first));
            gateway.signal(signal);
            let ended = gateway.ended();
            assert_eq!(
                (ended.code, ended.signal),
                (Some(code), None),
                "{first:?} {signal:?} in round {round}"
            );
        }
    }
}

#[test]
fn a_second_sigterm_ends_at_once_and_still_with_close_frames() {
    let gateway = Gateway::configured(&draining("1m", "1m", "5m"));
    let mut sockets: Vec<_> = (0..5).map(|_| open(&gateway, "/a")).collect();
    gateway.signal(Signal::TERM);
    wait_logged(&gateway, "SIGTERM: clients are told and closed");
    gateway.signal(Signal::TERM);
    sockets.iter_mut().for_each(restarted);
    assert_eq!(gateway.ended().code, Some(0));
}

#[test]
fn sigint_ends_at_once_with_130_and_close_frames() {
    let gateway = Gateway::configured(&draining("1m", "1m", "5m"));
    let mut enveloped = open(&gateway, "/a");
    let mut bare = WebSocket::open(gateway.public(), "/a");
    gateway.wait_subscribers("a", 2);
    gateway.signal(Signal::INT);
    restarted(&mut enveloped);
    assert_eq!(bare.closed().0, 1012);
    assert_eq!(gateway.ended().code, Some(130));
}

const ONE_ROUTE: &str = "[[route]]\npath = \"/a\"\nchannel = {}\n";
const ANOTHER_ROUTE: &str = "[[route]]\npath = \"/b\"\nchannel = {}\n";

#[test]
fn sighup_puts_a_new_configuration_in_force_and_touches_no_socket() {
    let gateway = Gateway::configured(ONE_ROUTE);
    let mut enveloped = open(&gateway, "/a");
    let mut stream = EventStream::open(gateway.public(), "/a");
    stream.named("tidegate-open");
    assert_eq!(Dial::new(gateway.public(), "/b").refused().status, 404);

    let both = format!("{ONE_ROUTE}{ANOTHER_ROUTE}");
    std::fs::write(gateway.configuration(), both).expect("the file is written");
    gateway.signal(Signal::HUP);
    wait_logged(&gateway, "the new configuration is in force");
    let mut new = open(&gateway, "/b");
    gateway.publish("b", "b");
    assert_eq!(new.envelope("message")["text"], "b");
    gateway.publish("a", "a");
    assert_eq!(enveloped.envelope("message")["text"], "a");
    assert_eq!(stream.message().data, "a");

    // A route that is gone takes nobody in, and throws nobody out.
    let seen = gateway.log().count();
    std::fs::write(gateway.configuration(), ANOTHER_ROUTE).expect("the file is written");
    gateway.signal(Signal::HUP);
    let reloaded = |line: &str| line.contains("the new configuration is in force").then_some(());
    gateway.log().wait_after(seen, "the second reload", reloaded);
    assert_eq!(Dial::new(gateway.public(), "/a").refused().status, 404);
    enveloped.send(r#"{"type":"subscribe","channel":"b","id":1}"#);
    assert_eq!(enveloped.envelope("reply")["id"], 1);
    enveloped.close();
}

#[test]
fn a_changed_file_is_read_by_itself() {
    let gateway = Gateway::configured(ONE_ROUTE);
    let mut socket = open(&gateway, "/a");
    let new = gateway.configuration().with_extension("new");
    std::fs::write(&new, format!("{ONE_ROUTE}{ANOTHER_ROUTE}")).expect("the file is written");
    std::fs::rename(&new, gateway.configuration()).expect("the file is replaced");
    wait_logged(&gateway, "the new configuration is in force");
    open(&gateway, "/b").close();
    gateway.publish("a", "a");
    assert_eq!(socket.envelope("message")["text"], "a");
}

#[test]
fn a_faulty_file_changes_nothing_and_says_why() {
    let gateway = Gateway::configured(ONE_ROUTE);
    let mut socket = open(&gateway, "/a");
    let faulty = format!("{ANOTHER_ROUTE}histroy = {{ size = 1 }}\n");
    std::fs::write(gateway.configuration(), faulty).expect("the file is written");
    gateway.signal(Signal::HUP);
    wait_logged(&gateway, "the old configuration stays in force");
    let fault = wait_logged(&gateway, "tidegate.toml:4:1");
    assert!(fault.contains("histroy") && fault.contains("did you mean 'history'?"), "{fault}");
    assert_eq!(Dial::new(gateway.public(), "/b").refused().status, 404);
    gateway.publish("a", "a");
    assert_eq!(socket.envelope("message")["text"], "a");
    open(&gateway, "/a").close();
}

#[test]
fn what_cannot_change_while_it_runs_is_said() {
    let with_shards = |count: u8| format!("[listen]\nshards = {count}\n{ONE_ROUTE}");
    let gateway = Gateway::configured(&with_shards(1));
    std::fs::write(gateway.configuration(), with_shards(2)).expect("the file is written");
    gateway.signal(Signal::HUP);
    wait_logged(&gateway, "[listen] shards takes effect at the next start");
}

#[test]
fn sighup_without_a_file_is_no_end() {
    let gateway = Gateway::alone(&[]);
    let mut socket = open(&gateway, "/a");
    gateway.signal(Signal::HUP);
    wait_logged(&gateway, "there is no configuration file to read anew");
    gateway.publish("a", "a");
    assert_eq!(socket.envelope("message")["text"], "a");
}

#[test]
fn a_log_for_programs_is_one_json_object_a_line() {
    let gateway = Gateway::alone(&["--log", "json"]);
    gateway.signal(Signal::HUP);
    let line = wait_logged(&gateway, "there is no configuration file to read anew");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&entry["event"], &entry["level"]), (&"reload_skipped".into(), &"INFO".into()), "{entry}");
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let free = "127.0.0.1:0";
    for (public, admin) in [(address.as_str(), free), (free, &address)] {
        let ended = run(&["serve", "--listen", public, "--admin", admin]);
        assert_eq!(ended.code, Some(1), "{}", ended.printed);
        assert!(ended.printed.contains(&format!("{address} is taken")), "{}", ended.printed);
        assert!(ended.printed.contains("--listen or --admin"), "{}", ended.printed);
    }
    let running = Gateway::alone(&[]);
    let address = running.public().to_string();
    let ended = run(&["serve", "--listen", &address, "--admin", free]);
    assert_eq!(ended.code, Some(1), "two gateways must not share a port unseen: {}", ended.printed);
}

#[test]
fn what_cannot_start_says_why_and_how_to_mend_it() {
    let free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let open = ["serve", "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"];
    let ended = run(&open);
    assert_eq!(ended.code, Some(3), "{}", ended.printed);
    assert!(ended.printed.contains("--subscribe anyone"), "{}", ended.printed);
    for (arguments, code, word) in [
        (vec!["serve", "ftp://127.0.0.1"], 3, "http"),
        (vec!["serve", "--config", "no-such-file.toml"], 3, "no-such-file.toml"),
        (vec!["serve", "--lisen", "127.0.0.1:0"], 2, "--listen"),
        (vec!["serve", "--share", "cookie:sid"], 2, "URL"),
    ] {
        let ended = run(&[&arguments[..], &free[..]].concat());
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.printed);
        assert!(ended.printed.contains(word), "{arguments:?}: {}", ended.printed);
    }
}

/// Whoever opened a connection and says nothing must not keep the process alive, nor be kept waiting.
#[test]
fn idle_http_connections_do_not_hold_the_end_up() {
    let gateway = Gateway::configured(&draining("0s", "0s", "20s"));
    let mut idle = Stream::connect(gateway.public()).expect("it listens");
    let answer = Request::get("/a").begin(Stream::connect(gateway.public()).expect("it listens"));
    let (_, mut kept) = answer.and_then(|answer| answer.whole_and_stream()).expect("an answer");
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let by = Deadline::of_patience();
    assert!(!matches!(idle.fill(by), Ok(1..)) && !matches!(kept.fill(by), Ok(1..)));
}

#[test]
fn a_client_that_vanishes_during_the_drain_is_no_trouble() {
    let gateway = Gateway::configured(&draining("500ms", "500ms", "10s"));
    let mut sockets: Vec<_> = (0..10).map(|_| open(&gateway, "/a")).collect();
    gateway.signal(Signal::TERM);
    wait_logged(&gateway, "SIGTERM: clients are told and closed");
    sockets.drain(..5).for_each(|mut socket| socket.cut());
    for mut socket in sockets {
        restarted(&mut socket);
        assert!(matches!(socket.came(), Came::End));
    }
    assert_eq!(gateway.ended().code, Some(0));
}

/// A restart must not cut what is on its way through: the deadline is the time that it has.
#[test]
fn an_answer_on_its_way_through_is_finished_before_the_end() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::exchanging(move |mut exchange| {
        exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")?;
        held.pass();
        exchange.stream.send(b"rest").map(|()| None)
    });
    let limits = "[limits]\ndrain_grace = \"0s\"\ndrain_spread = \"0s\"\ndrain_deadline = \"10s\"\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let stream = Stream::connect(gateway.public()).expect("it listens");
    let mut answer = Request::get("/x").begin(stream).expect("a head");
    assert_eq!(answer.piece().expect("the first half").as_deref(), Some(b"half".as_slice()));
    gateway.signal(Signal::TERM);
    wait_logged(&gateway, "SIGTERM: clients are told and closed");
    let pause = answer.piece_by(Deadline::after(Duration::from_millis(500)));
    let alive = pause.as_ref().is_err_and(|error| error.kind() == ErrorKind::TimedOut);
    assert!(alive, "it was cut while the deadline was far: {pause:?}");
    gate.open();
    assert_eq!(answer.piece().expect("the second half").as_deref(), Some(b"rest".as_slice()));
    assert_eq!(gateway.ended().code, Some(0));
}

/// Whoever publishes has to know whether it was.
#[test]
fn a_publication_that_was_begun_is_answered_before_the_end_and_no_other_is_begun_without_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    let on_disk = format!("[engine]\nembedded = {{ path = {:?}, sync = \"commit\" }}\n", folder.path());
    for engine in ["", &on_disk] {
        let gateway = Gateway::configured(&format!("{engine}{}", draining("0s", "0s", "10s")));
        let admin = gateway.admin();
        let request = Request::post("/channels/a", "12")
            .header("Authorization", format_args!("Bearer {}", gateway.token()))
            .header("Expect", "100-continue");
        let bytes = request.bytes(&admin.to_string());
        let (head, body) = bytes.split_at(bytes.len() - 2);
        let mut stream = Stream::connect(admin).expect("it listens");
        stream.send(head).expect("it is taken");
        // Then it is being read.
        let interim = Head::read(&mut stream, Deadline::of_patience()).expect("an answer").expect("a head");
        assert_eq!(interim.word(1), "100");
        gateway.signal(Signal::TERM);
        wait_logged(&gateway, "SIGTERM: clients are told and closed");
        let refused = gateway.ask_admin(Request::post("/channels/a", "3"));
        assert_eq!((refused.status, refused.headers.get("retry-after")), (503, Some("1")));
        stream.send(body).expect("it is taken");
        let answer = Incoming::read(stream, false).and_then(Incoming::whole).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(gateway.ended().code, Some(0));
    }
}
