//! Attacks on the TLS of the public listener, clients that are slow or end without a word under it, and a
//! certificate that is exchanged while clients are connected.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate_gateway::Options;
use tidegate_hostile::backend::{Backend, write};
use tidegate_hostile::bomb::{DEFLATED_TEXT, OFFER, deflated};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::certificate::{Certificate, replace};
use tidegate_hostile::cost::{await_descriptors, descriptors};
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::socket::{BINARY, CLOSE, Received, Socket, close_frame, frame, handshake};
use tidegate_hostile::wire::{End, PATIENCE, Wire};

const ROUTES: &str = "[[route]]\npath = \"/{*rest}\"\nchannel = {}\npublish = \"anyone\"\n";

/// A gateway that speaks TLS, and what a client needs to know.
struct Stage {
    gate: Gate,
    certificate: Certificate,
    folder: TempDir,
}

fn configuration(folder: &TempDir, limits: &str) -> String {
    let folder = folder.path().display();
    format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nshards = 2\n\
         tls = {{ certificate = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }}\n\
         [access]\nadmin_token = \"{TOKEN}\"\n[limits]\n{limits}\n{ROUTES}"
    )
}

impl Stage {
    fn start(limits: &str) -> Self {
        Self::start_with("", limits)
    }

    /// The same with lines of `[access]`.
    fn start_with(access: &str, limits: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certificate = Certificate::valid();
        certificate.write(folder.path());
        let text = configuration(&folder, limits).replace("[limits]", &format!("{access}\n[limits]"));
        let gate = Gate::start_with(&text, Options::default());
        Self { gate, certificate, folder }
    }

    fn wire(&self) -> Wire {
        self.gate.connect().secure(&self.certificate)
    }

    fn open(&self, target: &str) -> Socket {
        Socket::over(self.wire(), target, "")
    }

    fn failed(&self, reason: &str) -> u64 {
        self.gate.metric(&format!("tidegate_tls_handshake_failed_total{{reason=\"{reason}\"}}"))
    }

    fn await_failed(&self, reason: &str, count: u64) {
        let sample = format!("tidegate_tls_handshake_failed_total{{reason=\"{reason}\"}}");
        self.gate.await_metric(&sample, count);
    }
}

/// The bytes with which a client begins.
fn hello(tls: &mut rustls::ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).expect("a first flight");
    bytes
}

#[test]
fn who_says_nothing_or_half_a_hello_is_closed_in_time() {
    let stage = Stage::start("tls_handshake_timeout = \"300ms\"");
    let before = descriptors();
    let mut silent = stage.gate.connect();
    let mut half = stage.gate.connect();
    let bytes = hello(&mut stage.certificate.client());
    half.send(&bytes[..bytes.len() / 2]);
    assert!(silent.await_end() >= Duration::from_millis(100), "it had its time");
    half.await_end();
    stage.await_failed("timeout", 2);
    drop((silent, half));
    await_descriptors(before);
}

#[test]
fn a_slow_hello_that_never_ends_is_closed_in_time() {
    let stage = Stage::start("tls_handshake_timeout = \"500ms\"");
    let bytes = hello(&mut stage.certificate.client());
    let mut slow = stage.gate.connect();
    let begun = Instant::now();
    // A byte now and then: each of them is progress, and none of them buys time.
    for byte in bytes.iter().cycle() {
        if !slow.send([*byte]) || !slow.is_silent_for(Duration::from_millis(20)) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
    }
    stage.gate.await_metric("tidegate_tls_handshakes_total", 0);
    assert_eq!(stage.failed("timeout") + stage.failed("ended") + stage.failed("broken"), 1);
}

#[test]
fn garbage_is_answered_with_an_alert_or_nothing() {
    let stage = Stage::start("");
    let mut number = 1_u32;
    let mut noise = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (number >> 24) as u8
    };
    let garbage: Vec<u8> = (0..64 * 1024).map(|_| noise()).collect();
    // A record of TLS by its type, of none, and one that says it is larger than any.
    for head in [&[22, 3, 1][..], &[0, 0, 0], &[22, 3, 3, 255, 255], &[128, 46, 1, 0, 2]] {
        let mut wire = stage.gate.connect();
        wire.send(head);
        wire.send(&garbage);
        wire.finish();
        let (answer, _) = wire.rest();
        assert!(answer.is_empty() || answer[0] == 21, "an alert: {answer:?}");
    }
    assert_eq!(stage.failed("broken") + stage.failed("ended"), 4);
    stage.open("/x").text("still there");
}

#[test]
fn http_without_tls_is_told_what_is_spoken() {
    let stage = Stage::start("");
    let answer = stage.gate.get("/x");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (400, "this port speaks TLS: use https:// (TG-2115)\n")
    );
    stage.await_failed("plain_http", 1);
    let plain = Gate::of_channels("");
    let bytes = hello(&mut stage.certificate.client());
    let mut wire = plain.connect();
    wire.send(bytes);
    wire.finish();
    let (answer, _) = wire.rest();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
}

#[test]
fn a_hello_in_records_of_one_byte_panics_nobody() {
    let stage = Stage::start("");
    let mut tls = stage.certificate.client();
    let bytes = hello(&mut tls);
    let (head, body) = bytes.split_at(5);
    assert_eq!(head[0], 22, "a record of the handshake");
    let records: Vec<u8> = body.iter().flat_map(|byte| [22, head[1], head[2], 0, 1, *byte]).collect();
    let mut wire = stage.gate.connect();
    wire.send(records);
    match wire.go_on(tls) {
        Ok(wire) => drop(Socket::over(wire, "/x", "")),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "an alert: {error}"),
    }
    // A hello that says it has 64 KiB, and has them.
    let mut large = stage.gate.connect();
    for part in 0..4 {
        let mut record = vec![22, 3, 1, 0x40, 0];
        record.resize(5 + 0x4000, part);
        record[5..9].copy_from_slice(&[1, 0, 255, 255]);
        large.send(record);
    }
    large.finish();
    let _ = large.rest();
    stage.open("/x").text("still there");
}

#[test]
fn a_flood_of_handshakes_costs_the_others_little() {
    const FLOOD: usize = 300;
    let stage = Stage::start("");
    let before = descriptors();
    let mut other = stage.open("/feed");
    stage.gate.await_subscribers("feed", 1);
    let flood: Vec<_> = (0..4)
        .map(|_| {
            let (address, certificate) = (stage.gate.public, stage.certificate.clone());
            std::thread::spawn(move || {
                for _ in 0..FLOOD / 4 {
                    drop(Wire::connect(address).secure(&certificate));
                }
            })
        })
        .collect();
    let mut number = 0;
    while flood.iter().any(|thread| !thread.is_finished()) || number == 0 {
        let begun = Instant::now();
        assert_eq!(stage.gate.publish("feed", number.to_string()).status, 201);
        assert_eq!(other.next_text(), number.to_string());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        number += 1;
    }
    flood.into_iter().for_each(|thread| thread.join().expect("every handshake is done"));
    stage.gate.await_metric("tidegate_tls_handshakes_total", FLOOD as u64 + 1);
    await_descriptors(before + 2);
}

#[test]
fn an_end_without_a_word_is_an_end() {
    let stage = Stage::start("");
    let canary = Canary::watch_secure(&stage.gate, &stage.certificate);
    let open = |count| stage.gate.await_subscribers("feed", count);
    // A FIN without close_notify.
    let mut cut = stage.open("/feed");
    open(1);
    cut.wire.finish();
    open(0);
    // A reset within a record.
    let mut torn = stage.open("/feed");
    open(1);
    let _ = torn.wire.strip();
    torn.send([23, 3, 3, 0x20, 0, 1, 2, 3]);
    torn.wire.reset();
    open(0);
    // A record that nobody sealed: an alert comes back, and the end.
    let mut forged = stage.open("/feed");
    open(1);
    let _ = forged.wire.strip();
    forged.send([23, 3, 3, 0, 32]);
    forged.send([7; 32]);
    let (rest, _) = forged.wire.rest();
    assert!(!rest.is_empty(), "the alert");
    open(0);
    assert_eq!(stage.gate.metric("tidegate_closes_total{code=\"1006\"}"), 3);
    canary.finish();
}

#[test]
fn the_end_of_a_closing_handshake_is_said_by_tls_too() {
    let stage = Stage::start("");
    let mut socket = stage.open("/x");
    socket.send(close_frame(1000, ""));
    assert_eq!(socket.receive(), Received::Close(Some(1000), String::new()));
    assert_eq!(socket.receive(), Received::End(End::Closed));
    drop(socket);
    stage.gate.await_empty();
    assert_eq!(stage.gate.metric("tidegate_closes_total{code=\"1000\"}"), 1);
}

#[test]
fn large_messages_pass_whole_in_both_directions() {
    let stage = Stage::start(
        "ws_max_message = \"4 MiB\"\nmax_publication = \"4 MiB\"\npublish_max_body = \"4 MiB\"\nws_out_queue_bytes = \"16 MiB\"",
    );
    let mut socket = stage.open("/echo");
    stage.gate.await_subscribers("echo", 1);
    for length in [1, 125, 16_384, 16_385, 65_536, 70_000, 3 << 20] {
        let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        socket.send(frame(BINARY, &payload));
        assert!(socket.receive() == Received::Binary(payload), "{length} bytes");
    }
    // Byte by byte, each a record: several frames in many records, and many frames in one.
    socket.wire.trickle([frame(BINARY, [1; 300]), frame(BINARY, [2])].concat());
    assert_eq!(socket.receive(), Received::Binary(vec![1; 300]));
    assert_eq!(socket.receive(), Received::Binary(vec![2]));
    let many: Vec<u8> = (0..200_u8).flat_map(|number| frame(BINARY, [number])).collect();
    socket.send(many);
    for number in 0..200 {
        assert_eq!(socket.receive(), Received::Binary(vec![number]));
    }
    socket.send(frame(CLOSE, []));
    assert_eq!(socket.await_close(), Some((None, String::new())));
}

#[test]
fn a_burst_of_compressed_messages_is_taken_whole() {
    let stage = Stage::start("ws_out_queue_bytes = \"16 MiB\"");
    let mut socket = Socket::over(stage.wire(), "/echo", OFFER);
    let large = frame(DEFLATED_TEXT, deflated(&[b'x'; 65_000]));
    socket.send([large.repeat(40), frame(CLOSE, [])].concat());
    while !matches!(socket.receive_any(), (0x88, _)) {}
    stage.gate.await_metric("tidegate_published_total", 40);
}

#[test]
fn a_message_in_the_same_packet_as_the_request_is_not_lost() {
    let stage = Stage::start("");
    let mut wire = stage.wire();
    let mut bytes = handshake("/echo", "").into_bytes();
    bytes.extend(frame(CLOSE, 1001_u16.to_be_bytes()));
    wire.send(&bytes);
    assert_eq!(wire.answer().status, 101);
    assert_eq!(wire.take(4), Ok([&[0x88, 2][..], &1001_u16.to_be_bytes()].concat()));
    assert_eq!(wire.rest(), (Vec::new(), End::Closed));
}

#[test]
fn a_slow_client_is_closed_with_1013_and_the_others_get_everything() {
    let stage = Stage::start(
        "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"256 KiB\"\nws_close_timeout = \"10s\"",
    );
    let slow = Wire::connect_narrow(stage.gate.public).secure(&stage.certificate);
    let mut slow = Socket::over(slow, "/feed", "");
    let mut good = stage.open("/feed");
    stage.gate.await_subscribers("feed", 2);
    let text = |number: usize| format!("{number:09}{}", "x".repeat(20_000));
    const COUNT: usize = 400;
    for number in 0..COUNT {
        let _ = stage.gate.publish("feed", text(number));
        assert_eq!(good.next_text(), text(number), "the other subscriber gets everything");
    }
    stage.gate.await_metric("tidegate_slow_consumers_queue_total", 1);
    let mut next = 0;
    let (code, reason) = loop {
        match slow.receive() {
            Received::Text(came) => {
                assert_eq!(came, text(next), "whole and in order");
                next += 1;
            }
            Received::Close(code, reason) => break (code, reason),
            Received::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((code, reason.as_str()), (Some(1013), "slow_consumer (TG-4020)"));
    assert!(next < COUNT, "it cannot have got everything");
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let stage = Stage::start("ws_write_timeout = \"300ms\"\nws_out_queue_bytes = \"64 MiB\"");
    let slow = Wire::connect_narrow(stage.gate.public).secure(&stage.certificate);
    let slow = Socket::over(slow, "/feed", "");
    stage.gate.await_subscribers("feed", 1);
    for _ in 0..40 {
        // Where the machine is busy it is cut before the last.
        let status = stage.gate.publish("feed", "x".repeat(200_000)).status;
        assert!(matches!(status, 201 | 202), "{status}");
    }
    stage.gate.await_metric("tidegate_slow_consumers_stall_total", 1);
    stage.gate.await_empty();
    drop(slow);
}

#[test]
fn a_client_that_takes_nothing_of_the_end_of_its_answer_gives_its_place_back() {
    /// More than a socket takes that nobody reads, and less; between two of them less than TLS takes.
    const LENGTHS: [usize; 2] = [2 << 20, (3 << 20) + (1 << 19)];
    const STEP: usize = 40 << 10;
    let backend = Backend::start(|asked, stream| {
        let length = asked.head.split(['/', ' ']).nth(3).and_then(|length| length.parse().ok());
        let body = vec![b'x'; length.expect("a length in the path")];
        write(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        write(stream, body)
    });
    let lengths: Vec<_> = (LENGTHS[0]..LENGTHS[1]).step_by(STEP).collect();
    for connection in ["keep-alive", "close"] {
        let limits = format!("max_connections = {}\nhttp_keepalive_idle = \"1s\"", lengths.len());
        let auto = format!(
            "[[route]]\npath = \"/download/{{length}}\"\nauto = {{ url = \"http://{}\" }}",
            backend.address
        );
        let stage = Stage::start(&format!("{limits}\n{auto}"));
        let stalled = lengths.iter().map(|length| {
            let mut wire = Wire::connect_narrow(stage.gate.public).secure(&stage.certificate);
            let head = format!(
                "GET /download/{length} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n"
            );
            wire.send(head);
            assert!(wire.read().is_ok());
            wire
        });
        let stalled: Vec<_> = stalled.collect();
        // All places are free for others while those who had them hold on.
        let begun = Instant::now();
        let mut others = Vec::new();
        while others.len() < lengths.len() {
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "{connection}: {} of {} places", others.len(), lengths.len());
            if let Ok(mut wire) = stage.gate.connect().try_secure(&stage.certificate) {
                wire.send(handshake("/feed/x", ""));
                others.extend(wire.try_answer().is_ok_and(|answer| answer.status == 101).then_some(wire));
            }
        }
        drop(stalled);
    }
}

#[test]
fn who_is_turned_away_hears_an_alert() {
    let stage = Stage::start("max_connections = 1");
    let _first = stage.open("/x");
    let mut second = stage.gate.connect();
    let (answer, _) = second.rest();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 80]);
}

#[test]
fn who_comes_too_fast_hears_an_alert_before_any_handshake() {
    let limits = "accept_rate = 1\naccept_rate_from = 0\ntls_handshake_timeout = \"100ms\"";
    let stage = Stage::start_with("trusted_proxies = [\"127.0.0.1\"]", limits);
    let begun = Instant::now();
    let answers: Vec<_> = (0..20).map(|_| stage.gate.connect().rest().0).collect();
    // Who is let in says nothing and is let go.
    let let_in = answers.iter().filter(|answer| answer.is_empty()).count();
    assert!((1..=3 + begun.elapsed().as_secs() as usize).contains(&let_in), "{answers:?}");
    assert!(
        answers.iter().all(|answer| answer.is_empty() || *answer == [21, 3, 3, 0, 2, 2, 80]),
        "{answers:?}"
    );
    assert_eq!(stage.gate.metric("tidegate_tls_handshakes_total"), 0);
}

#[test]
fn a_certificate_is_exchanged_while_clients_are_connected() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Certificate::valid();
    first.write(folder.path());
    let file = folder.path().join("tidegate.toml");
    let text = configuration(&folder, "");
    std::fs::write(&file, &text).expect("a file");
    let (gate, running) = Gate::reloading(&text, file);
    let stage = Stage { gate, certificate: first.clone(), folder };
    let mut old = stage.open("/feed");
    stage.gate.await_subscribers("feed", 1);
    let knows = |certificate: &Certificate| stage.gate.connect().try_secure(certificate).is_ok();
    let becomes = |certificate: &Certificate| {
        let begun = Instant::now();
        while !knows(certificate) {
            assert!(begun.elapsed() < PATIENCE, "the new certificate is not used");
        }
    };
    // Valid: it is used.
    let second = Certificate::valid();
    second.write(stage.folder.path());
    becomes(&second);
    assert!(!knows(&first));
    // Cut off, of another key, over: what is in force stays, and it is counted.
    let (other, over) = (Certificate::valid(), Certificate::expired());
    let mut failures = stage.gate.metric("tidegate_tls_reload_failed_total");
    let half = &other.pem[..other.pem.len() / 2];
    let (certificate, key) = (stage.folder.path().join("cert.pem"), stage.folder.path().join("key.pem"));
    for (text, said) in
        [(half, "is cut off"), (&*other.pem, "is not the key of"), ("", "holds no certificate")]
    {
        replace(&certificate, text);
        failures += 1;
        stage.gate.await_metric("tidegate_tls_reload_failed_total", failures);
        let _ = tidegate_hostile::log::await_line(&["tls_reload_failed", said]);
        assert!(knows(&second), "{said}");
    }
    over.write(stage.folder.path());
    let _ = tidegate_hostile::log::await_line(&["tls_reload_failed", "expired"]);
    assert!(knows(&second) && !knows(&over));
    // And whole again.
    replace(&key, &other.key);
    replace(&certificate, &other.pem);
    becomes(&other);
    // Who was connected has noticed nothing.
    assert_eq!(stage.gate.publish("feed", "for the old").status, 201);
    assert_eq!(old.next_text(), "for the old");
    drop(old);
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::HUP).expect("a signal to ourselves");
    let renewed = ["certificate_renewed"];
    let _ = tidegate_hostile::log::await_line(&renewed);
    assert!(!running.is_finished());
}

#[test]
fn an_expired_certificate_is_used_and_said_so_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    Certificate::expired().write(folder.path());
    let gate = Gate::start_with(&configuration(&folder, ""), Options::default());
    let _ = tidegate_hostile::log::await_line(&["certificate_not_valid", "expired"]);
    assert_eq!(gate.get("/x").status, 400);
}
