//! What Wireshark's dissectors make of our packets: frame by frame the same as what the tap told.

#![allow(missing_docs, reason = "a test program")]
#![allow(clippy::disallowed_types, reason = "the library runs no process, this test does")]

use std::fs;
use std::process::Command;

use tidegate_inspect::event::{Body, Direction, End, Event, Frame};
use tidegate_inspect::recording::{Format, Writer};
use tidegate_inspect::tap::{Settings, Tap};
use tidegate_inspect::timestamp::Timestamp;
use tidegate_test_tools::need;
use tidegate_websocket::deflate::{Effort, Offer};
use tidegate_websocket::handshake::client::{ClientHandshake, ClientRequest, Progress};
use tidegate_websocket::handshake::{accept_key, server};
use tidegate_websocket::{Connection, Fragment, Limits, MaskKeys, Message, Role};

use Direction::{ToClient, ToServer};

/// What two ends say to each other, compressed or not, as events.
fn conversation(conn: &str, deflate: bool, began: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tap = Tap::new(Some(conn.into()), None, Settings::for_recording());
    let mut clock = (began..).map(|tick| Timestamp::from_micros(1_700_000_000_000_000 + 1000 * tick));
    let mut put = |dir: Direction, bytes: &[u8]| {
        tap.handle_input(dir, bytes, clock.next().expect("time goes on"), &mut |event| events.push(event));
    };
    let asked = ClientRequest {
        host: "example.test",
        target: "/chat",
        key: *b"the sample nonce",
        subprotocols: &[],
        headers: &[],
        deflate: deflate.then(Offer::default),
    };
    let mut request = Vec::new();
    let mut handshake = ClientHandshake::new(&asked, &mut request).expect("it can be asked");
    let head = server::parse(&request).expect("a request").expect("a whole one");
    let key = head.headers.iter().find(|(name, _)| *name == "Sec-WebSocket-Key").map(|(_, key)| *key);
    let key = std::str::from_utf8(key.expect("a key")).expect("text");
    let extensions = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{extensions}\r\n",
        accept_key(key)
    );
    let Ok(Progress::Done(response)) = handshake.handle_input(answer.as_bytes()) else { panic!("{answer}") };
    put(ToServer, &request);
    put(ToClient, answer.as_bytes());
    let end = |role| {
        let effort = Effort { level: 6, min_bytes: 0 };
        Connection::with_extensions(role, Limits::default(), response.extensions, effort)
    };
    let (mut client, mut server) = (end(Role::Client(MaskKeys::from_seed([3; 16]))), end(Role::Server));
    let long = "the same words again and again ".repeat(40);
    for (is_client, message) in [
        (true, Message::Text("hello")),
        (false, Message::Text(&long)),
        (true, Message::Text(&long)),
        (false, Message::Binary(&[0, 0xff, 0x7f])),
        (true, Message::Binary(&[])),
    ] {
        let mut bytes = Vec::new();
        let (dir, from) = if is_client { (ToServer, &mut client) } else { (ToClient, &mut server) };
        match message {
            Message::Text(text) => from.send_text(text, &mut bytes),
            Message::Binary(payload) => from.send_binary(payload, &mut bytes),
        }
        .expect("it is open");
        put(dir, &bytes);
    }
    for (part, fragment) in [("one ", Fragment::More), ("two", Fragment::Last)] {
        let mut bytes = Vec::new();
        server.send_fragment(Message::Text(part), fragment, &mut bytes).expect("it is open");
        server.send_ping(b"p", &mut bytes).expect("it is open");
        put(ToClient, &bytes);
    }
    put(ToServer, &[0x8a, 0x81, 1, 2, 3, 4, b'p' ^ 1]);
    put(ToClient, &[0x88, 0x06, 0x03, 0xe9, b'd', b'o', b'n', b'e']);
    put(ToServer, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);
    let last = Timestamp::from_micros(1_700_000_000_000_000 + 1000 * (began + 90));
    for dir in [ToClient, ToServer] {
        tap.handle_end(dir, End::EndOfStream, last, &mut |event| events.push(event));
    }
    events
}

/// A frame as tshark is asked to show it.
fn row(frame: &Frame) -> String {
    let header = &frame.header;
    let mask = header.mask().map(|key| key.map(|byte| format!("{byte:02x}")).concat()).unwrap_or_default();
    let code = frame.close_code().map(|code| code.to_string()).unwrap_or_default();
    let extended =
        if header.short_length() == 126 { header.payload_length().to_string() } else { String::new() };
    format!(
        "{}\t{}\t{}\t{}\t{}\t{extended}\t{code}",
        u8::from(header.fin()),
        header.opcode_bits(),
        u8::from(header.mask().is_some()),
        mask,
        header.short_length(),
    )
}

#[test]
fn tshark_reads_every_frame() {
    let tshark = need!(tshark);
    let mut events = conversation("c1", false, 0);
    events.extend(conversation("c2", true, 45));
    events.sort_by_key(|event| event.ts);
    let mut writer = Writer::new(Format::Pcapng);
    let mut bytes = Vec::new();
    events.iter().for_each(|event| writer.handle_event(event, &mut bytes));
    writer.handle_end(&mut bytes);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording.pcapng");
    fs::write(&file, &bytes).expect("a file");
    let run = |arguments: &[&str]| {
        let output =
            Command::new(&tshark).arg("-r").arg(&file).args(arguments).output().expect("tshark runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let fields = ["fin", "opcode", "mask", "masking_key", "payload_length", "payload_length_ext_16"]
        .map(|field| format!("websocket.{field}"));
    let mut arguments = vec!["-Y", "websocket", "-T", "fields"];
    fields.iter().for_each(|field| arguments.extend(["-e", field.as_str()]));
    arguments.extend(["-e", "websocket.payload.close.status_code"]);
    let shown = run(&arguments);
    let shown: Vec<String> =
        shown.lines().map(|line| line.replace("True", "1").replace("False", "0")).collect();
    let told: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Frame(frame) => Some(row(frame)),
            _ => None,
        })
        .collect();
    assert!(told.len() > 20);
    assert_eq!(shown, told);
    // What it finds wrong: checksums, sequence numbers, frames that it cannot read.
    let faults = run(&[
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
        "-Y",
        "_ws.malformed || tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0",
    ]);
    assert_eq!(faults, "");
    let text = run(&[
        "-Y",
        "websocket.payload.text || data-text-lines",
        "-T",
        "fields",
        "-e",
        "text",
        "-e",
        "websocket.payload.text",
    ]);
    assert!(text.contains("hello") && text.contains("the same words again and again"), "{text}");
    assert!(
        run(&["-Y", "http.request", "-T", "fields", "-e", "http.request.uri"]).starts_with("/chat\n/chat")
    );
}
