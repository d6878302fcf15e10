//! permessage-deflate as clients of all kinds get it: what is agreed on, that everybody reads the same, and that
//! what clients compress reaches the server behind as they meant it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::deadline::PATIENCE;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::script::Script;
use tidegate_end_to_end::websocket::{Dial, WebSocket};
use tidegate_test_tools::need;
use tidegate_websocket::deflate::{Offer, Parameters};

/// Around the threshold, and to the largest publication.
const SIZES: [usize; 7] = [1, 511, 512, 1024, 65_535, 65_536, 1 << 20];

const TAKEOVER: Offer = Offer { takeover: true, max_window_bits: 15 };
const ALONE: Offer = Offer { takeover: false, max_window_bits: 15 };

/// Records as JSON has them, another text for each seed; one line, and of the wanted length.
fn sample(bytes: usize, seed: usize) -> String {
    let record =
        |number: usize| format!("|{seed}: {{\"symbol\":\"EX{number}\",\"price\":{}}}", number * 37 % 9973);
    let text: String = (0..bytes / 20 + 1).map(record).collect();
    text[..bytes].to_owned()
}

fn channels(compression: &str, limits: &str) -> String {
    format!(
        "[listen]\nshards = 1\n[limits]\n{limits}\n[[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\n\
         compression = \"{compression}\"\n"
    )
}

fn dial(gateway: &Gateway, offer: Offer) -> Dial {
    Dial::new(gateway.public(), "/news").deflate(offer)
}

/// What the admin listener says of the compression of each connection, in the order of their places.
fn told(gateway: &Gateway) -> Vec<(Option<String>, Option<String>)> {
    let all = gateway.ask_admin(Request::get("/connections")).json();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let all = all["connections"].as_array().expect("a list").iter();
    all.map(|one| (text(&one["compression"]), text(&one["compression_parameters"]))).collect()
}

#[test]
fn plain_shared_and_own_subscribers_get_the_same_sequence() {
    let gateway = Gateway::configured(&channels("takeover", ""));
    let offers = [None, Some(ALONE), Some(TAKEOVER)];
    let open = |offer: &Option<Offer>, envelopes: bool| {
        let dial = offer.map_or_else(|| Dial::new(gateway.public(), "/news"), |offer| dial(&gateway, offer));
        if envelopes { dial.subprotocol("tidegate.v1").open() } else { dial.open() }
    };
    let mut bare: Vec<WebSocket> = offers.iter().cycle().take(6).map(|offer| open(offer, false)).collect();
    let mut enveloped: Vec<WebSocket> = offers.iter().map(|offer| open(offer, true)).collect();
    enveloped.iter_mut().for_each(|socket| drop(socket.envelope("open")));
    let mut stream = EventStream::open(gateway.public(), "/news");
    stream.named("tidegate-open");
    gateway.wait_subscribers("news", 10);
    gateway.wait_metric("tidegate_deflate_contexts", 3.0);

    let texts: Vec<String> = (0..3).flat_map(|round| SIZES.map(|size| sample(size, round))).collect();
    for text in &texts {
        gateway.publish("news", text);
        // The largest are half of a queue: everybody takes one before the next comes.
        bare.iter_mut().for_each(|socket| assert_eq!(socket.text(), *text));
        for socket in &mut enveloped {
            assert_eq!(socket.envelope("message")["text"], **text);
        }
        assert_eq!(stream.message().data, *text);
    }
    let bytes: Vec<u64> = bare.iter().map(WebSocket::wire_bytes).collect();
    let whole: u64 = texts.iter().map(|text| text.len() as u64).sum();
    assert!(bytes[0] > whole && bytes[0] == bytes[3], "plain: {bytes:?}");
    assert!(bytes[1] < whole / 2 && bytes[1] == bytes[4], "shared: {bytes:?}");
    assert!(bytes[2] < whole / 2, "own: {bytes:?}");
    drop((bare, enveloped));
    gateway.wait_metric("tidegate_deflate_contexts", 0.0);
    assert!(gateway.metric("tidegate_protocol_errors_total").abs() < f64::EPSILON);
}

#[test]
fn what_is_shared_is_compressed_from_the_threshold_on_and_once() {
    let gateway = Gateway::configured(&channels("shared", "deflate_min_bytes = \"1 KiB\""));
    let mut sockets: Vec<WebSocket> = (0..20).map(|_| dial(&gateway, TAKEOVER).open()).collect();
    gateway.wait_subscribers("news", 20);
    let agreed = sockets[0].deflate().expect("an agreement");
    assert!(agreed.server_no_context_takeover && agreed.client_no_context_takeover, "{agreed:?}");
    let parameters = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (mode, shown) in told(&gateway) {
        assert_eq!(mode.as_deref(), Some("shared"));
        assert!(shown.as_deref().is_some_and(|shown| shown.starts_with(parameters)), "{shown:?}");
    }
    for (size, compressed) in [(1023, 0.0), (1024, 1.0), (5000, 2.0)] {
        let text = sample(size, 0);
        gateway.publish("news", &text);
        sockets.iter_mut().for_each(|socket| assert_eq!(socket.text(), text));
        assert_eq!(gateway.metric("tidegate_deflated_messages_total"), compressed, "{size}");
    }
    assert_eq!(gateway.metric("tidegate_deflated_bytes_total"), 6024.0);
    assert!(gateway.metric("tidegate_deflated_to_bytes_total") < 3000.0);
    assert!(gateway.metric("tidegate_deflate_contexts").abs() < f64::EPSILON);
}

#[test]
fn what_does_not_shrink_goes_as_it_is() {
    let gateway = Gateway::configured(&channels("shared", ""));
    let mut socket = dial(&gateway, TAKEOVER).open();
    gateway.wait_subscribers("news", 1);
    let text: String = std::iter::repeat_with(|| char::from(fastrand::u8(b' '..=b'~'))).take(800).collect();
    let binary: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(800).collect();
    let request = Request::post("/channels/news", binary.clone()).header("Content-Type", "image/png");
    assert_eq!(gateway.ask_admin(request).status, 201);
    assert_eq!(socket.came(), tidegate_end_to_end::websocket::Came::Binary(binary));
    assert_eq!(socket.wire_bytes(), 804, "four bytes of header");
    gateway.publish("news", &text);
    assert_eq!(socket.text(), text);
    assert_eq!(gateway.metric("tidegate_deflated_messages_total"), 2.0);
}

#[test]
fn a_route_that_is_off_declines() {
    let gateway = Gateway::configured(&channels("off", ""));
    let mut socket = dial(&gateway, TAKEOVER).open();
    assert_eq!(socket.deflate(), None);
    assert_eq!(socket.headers().get("sec-websocket-extensions"), None);
    gateway.wait_subscribers("news", 1);
    gateway.publish("news", &sample(5000, 0));
    assert_eq!(socket.text(), sample(5000, 0));
    assert_eq!(told(&gateway), [(None, None)]);
    assert!(gateway.metric("tidegate_deflated_messages_total").abs() < f64::EPSILON);
}

#[test]
fn a_smaller_window_is_agreed_on_and_gets_plain_publications() {
    let gateway = Gateway::configured(&channels("shared", ""));
    let mut socket = dial(&gateway, Offer { takeover: true, max_window_bits: 10 }).open();
    assert_eq!(socket.deflate().map(|agreed| agreed.server_max_window_bits), Some(10));
    gateway.wait_subscribers("news", 1);
    gateway.publish("news", &sample(50_000, 0));
    assert_eq!(socket.text(), sample(50_000, 0));
    assert!(gateway.metric("tidegate_deflated_messages_total").abs() < f64::EPSILON);
}

#[test]
fn beyond_the_budget_of_contexts_nobody_keeps_one() {
    let gateway = Gateway::configured(&channels("takeover", "deflate_max_contexts = 1"));
    let keeps = |agreed: Option<Parameters>| agreed.is_some_and(|agreed| !agreed.server_no_context_takeover);
    let mut first = dial(&gateway, TAKEOVER).open();
    let mut second = dial(&gateway, TAKEOVER).open();
    assert!(keeps(first.deflate()) && !keeps(second.deflate()));
    let agreed = second.deflate().expect("an agreement");
    assert!(agreed.client_no_context_takeover, "an inflater is a context too: {agreed:?}");
    gateway.wait_subscribers("news", 2);
    let modes: Vec<_> = told(&gateway).into_iter().filter_map(|(mode, _)| mode).collect();
    assert_eq!(modes, ["takeover", "shared"]);
    // Short ones that resemble each other: only the context makes them smaller.
    for number in 0..50 {
        let text = sample(200, number);
        gateway.publish("news", &text);
        assert_eq!([first.text(), second.text()], [text.clone(), text]);
    }
    assert!(first.wire_bytes() * 3 < second.wire_bytes(), "{} {}", first.wire_bytes(), second.wire_bytes());
    first.close();
    gateway.wait_metric("tidegate_deflate_contexts", 0.0);
    assert!(keeps(dial(&gateway, TAKEOVER).open().deflate()), "the place is free again");
}

#[test]
fn what_was_missed_is_compressed_too() {
    for (compression, offer) in [("shared", ALONE), ("takeover", TAKEOVER)] {
        let text = channels(compression, "") + "history = { size = 100, ttl = \"5m\" }\n";
        let gateway = Gateway::configured(&text);
        let texts: Vec<String> = (0..20).map(|number| sample(2000, number)).collect();
        let after = gateway.publish("news", "first");
        texts.iter().for_each(|text| drop(gateway.publish("news", text)));
        let target = format!("/news?after={after}");
        let mut socket = Dial::new(gateway.public(), &target).deflate(offer).open();
        texts.iter().for_each(|text| assert_eq!(socket.text(), *text));
        assert!(socket.wire_bytes() < 20_000, "{compression}: {}", socket.wire_bytes());
        gateway.wait_subscribers("news", 1);
        gateway.publish("news", &texts[3]);
        assert_eq!(socket.text(), texts[3]);
    }
}

#[test]
fn a_reload_holds_for_those_who_come_later() {
    let gateway = Gateway::configured(&channels("shared", ""));
    let mut before = dial(&gateway, TAKEOVER).open();
    gateway.wait_subscribers("news", 1);
    let changed = channels("off", "deflate_min_bytes = \"2 KiB\"");
    std::fs::write(gateway.configuration(), changed).expect("the file can be written");
    gateway.signal(rustix::process::Signal::HUP);
    gateway.log().wait("reloaded", |line| line.contains("reloaded").then_some(()));
    let mut after = dial(&gateway, TAKEOVER).open();
    assert_eq!(after.deflate(), None);
    gateway.wait_subscribers("news", 2);
    for (size, compressed) in [(2047, 0.0), (4000, 1.0)] {
        gateway.publish("news", &sample(size, 0));
        assert_eq!([before.text(), after.text()], [sample(size, 0), sample(size, 0)]);
        assert_eq!(gateway.metric("tidegate_deflated_messages_total"), compressed, "{size}");
    }
    assert!(after.wire_bytes() > before.wire_bytes());
}

/// A gateway before a document that changes; what is posted comes out at the other end.
struct Stage {
    document: Document,
    gateway: Gateway,
    posted: Receiver<String>,
    _backend: Backend,
}

impl Stage {
    fn new(compression: &str) -> Self {
        let document = Document::new(&sample(SIZES[0], 0));
        let (sender, posted) = sync_channel(64);
        let (kept, sender) = (document.clone(), Mutex::new(sender));
        let backend = Backend::start(move |asked| match asked.method.as_str() {
            "POST" => {
                let sent = sender.lock().expect("nobody panics here").send(asked.text());
                sent.expect("the test still listens");
                Reply::ok("")
            }
            _ => kept.reply(asked),
        });
        let gateway = Gateway::configured(&format!(
            "[[route]]\npath = \"/x\"\npoll = {{ url = \"{}/x\", interval = \"100ms\" }}\nmessages = \"post\"\n\
             compression = \"{compression}\"\nlimits = {{ ws_max_message = \"2 MiB\" }}\n",
            backend.url()
        ));
        Self { document, gateway, posted, _backend: backend }
    }

    /// Waits for what a client has said back.
    #[track_caller]
    fn said(&self, wanted: &str) {
        let said = self.posted.recv_timeout(PATIENCE).expect("a POST");
        // Not shown whole: it may be a megabyte.
        assert!(said == wanted, "{} bytes were said and {} were wanted", said.len(), wanted.len());
    }
}

/// A client that says everything back, in both modes and for all sizes.
#[track_caller]
fn check_echo(program: &PathBuf, name: &str, compresses: bool) {
    for compression in ["shared", "takeover"] {
        let stage = Stage::new(compression);
        let folder = tidegate_test_tools::folder();
        let mut command = Command::new(program);
        command.arg(folder.join(name)).arg(stage.gateway.ws("/x")).current_dir(folder);
        let mut client = Script::start(&mut command);
        let opened = client.event("open");
        let extensions = opened["extensions"].as_str().expect("a text");
        assert!(extensions.contains("permessage-deflate"), "{opened}");
        stage.said(&sample(SIZES[0], 0));
        for size in &SIZES[1..] {
            stage.document.set(&sample(*size, 1));
            stage.said(&sample(*size, 1));
        }
        stage.document.set("end");
        assert_eq!(client.event("closed")["code"], 1000);
        client.succeeded();
        let metric = |name| stage.gateway.metric(name);
        assert!(metric("tidegate_deflated_messages_total") >= 5.0, "{compression}");
        let (wire, payload) =
            (metric("tidegate_inflated_bytes_total"), metric("tidegate_inflated_to_bytes_total"));
        assert!(payload > 1e6, "{payload}");
        assert!(!compresses || wire < payload / 2.0, "{wire} of {payload}");
        assert!(metric("tidegate_protocol_errors_total").abs() < f64::EPSILON);
    }
}

#[test]
fn python_websockets() {
    check_echo(&need!(python), "python_deflate.py", true);
}

#[test]
fn node_ws() {
    check_echo(&need!(node), "node_ws_deflate.mjs", true);
}

#[test]
fn node_undici() {
    check_echo(&need!(node), "node_undici_deflate.mjs", false);
}

#[test]
fn a_clients_compressed_messages_are_posted_as_they_were_meant() {
    for (compression, offer) in [("shared", TAKEOVER), ("takeover", TAKEOVER), ("takeover", ALONE)] {
        let stage = Stage::new(compression);
        let mut socket = Dial::new(stage.gateway.public(), "/x").deflate(offer).open();
        assert_eq!(socket.text(), sample(SIZES[0], 0));
        for (seed, size) in SIZES.into_iter().enumerate() {
            socket.send(&sample(size, seed));
            stage.said(&sample(size, seed));
        }
        let wire = stage.gateway.metric("tidegate_inflated_bytes_total");
        assert!(wire < 600_000.0, "{compression}: {wire}");
    }
}
