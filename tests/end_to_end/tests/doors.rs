//! The doors of a channel: bare WebSocket, `tidegate.v1`, server-sent events and the admin listener's POST. All
//! of them share one order and one history, and each resumes wholly or says that it cannot.

use std::collections::HashMap;
use std::sync::Barrier;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::websocket::{Came, Dial, WebSocket};

/// Time in which nothing may come that is not meant for somebody.
const A_WHILE: Duration = Duration::from_millis(200);

const CHANNELS: &str = r#"
[listen]
shards = 2

[limits]
channels_max_per_conn = 4

[[route]]
path = "/feed/{name}"
channel = {}
history = { size = 5, ttl = "5m" }

[[route]]
path = "/chat/{room}"
channel = {}
publish = "anyone"
"#;

fn gateway() -> Gateway {
    Gateway::configured(CHANNELS)
}

/// An envelope's payload, whatever field it is in.
fn payload(envelope: &Value) -> Value {
    assert_eq!(envelope["type"], "message", "{envelope}");
    let found = ["data", "text", "binary"].map(|field| envelope[field].clone());
    found.into_iter().find(|value| !value.is_null()).expect("a payload")
}

fn offset(position: &str) -> u64 {
    let (_, offset) = position.split_once(':').expect("a position");
    offset.parse().expect("an offset")
}

#[test]
fn a_bare_websocket_gets_payloads_and_nothing_else() {
    let gateway = gateway();
    let mut socket = WebSocket::open(gateway.public(), "/feed/a");
    gateway.wait_subscribers("feed/a", 1);
    gateway.publish("feed/a", "first");
    gateway.publish("feed/a", r#"{"n":1}"#);
    assert_eq!(socket.text(), "first");
    assert_eq!(socket.text(), r#"{"n":1}"#);
    assert_eq!(socket.headers().get("sec-websocket-protocol"), None);
    socket.close();
    gateway.wait_subscribers("feed/a", 0);
}

#[test]
fn publishing_answers_201_to_an_audience_and_202_to_none() {
    let gateway = gateway();
    let post = |body: &str| gateway.ask_admin(Request::post("/channels/feed/a", body));
    let nobody = post("1");
    assert_eq!((nobody.status, nobody.json()["subscribers"].as_u64()), (202, Some(0)));
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    socket.envelope("open");
    let somebody = post("2");
    assert_eq!((somebody.status, somebody.json()["subscribers"].as_u64()), (201, Some(1)));
    let message = socket.envelope("message");
    assert_eq!(message["position"], somebody.json()["position"]);
    assert_eq!(offset(nobody.json()["position"].as_str().unwrap()), 1);
    assert_eq!(offset(somebody.json()["position"].as_str().unwrap()), 2);
}

#[test]
fn a_publisher_that_asks_again_under_its_key_has_published_once() {
    let gateway = gateway();
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    socket.envelope("open");
    let post = |channel: &str, key: &str, body: &str| {
        let request = Request::post(&format!("/channels/{channel}"), body).header("Idempotency-Key", key);
        gateway.ask_admin(request)
    };
    let first = post("feed/a", "k1", "once");
    let again = post("feed/a", "k1", "once");
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json()["position"], again.json()["position"]);
    let other_channel = post("feed/b", "k1", "elsewhere").json()["position"].clone();
    assert_ne!(other_channel, first.json()["position"]);
    let other_key = post("feed/a", "k2", "twice");
    assert_ne!(other_key.json()["position"], first.json()["position"]);
    assert_eq!(socket.envelope("message")["text"], "once");
    assert_eq!(socket.envelope("message")["text"], "twice");
    assert_eq!(post("feed/a", "", "1").status, 400);
    assert_eq!(post("feed/a", &"x".repeat(10_000), "1").status, 400);
}

#[test]
fn the_least_number_of_keys_is_one() {
    let few = CHANNELS.replace("[limits]", "[limits]\ndedup_max_keys = 1");
    let gateway = Gateway::configured(&few);
    let post = || Request::post("/channels/feed/a", "1").header("Idempotency-Key", "k");
    let first = gateway.ask_admin(post()).json();
    assert_eq!(gateway.ask_admin(post()).json()["position"], first["position"]);
}

#[test]
fn where_nothing_may_be_published_the_answer_says_why() {
    let gateway = gateway();
    let nowhere = gateway.ask_admin(Request::post("/channels/elsewhere", "1"));
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.text().contains("no route for /elsewhere"), "{}", nowhere.text());
    let big = gateway.ask_admin(Request::post("/channels/feed/a", vec![b'x'; (1 << 20) + 1]));
    assert_eq!(big.status, 413);
    assert!(big.text().contains("publish_max_body"), "{}", big.text());
    let broken = Request::post("/channels/feed/a", vec![0xff]).header("Content-Type", "text/plain");
    assert_eq!(gateway.ask_admin(broken).status, 400);
    assert_eq!(gateway.ask_admin(Request::post("/channels/feed/..", "1")).status, 400);
}

#[test]
fn text_json_and_binary_keep_their_kind_at_every_door() {
    let gateway = gateway();
    let address = gateway.public();
    let mut bare = WebSocket::open(address, "/feed/a");
    let mut enveloped = WebSocket::enveloped(address, "/feed/a");
    let mut stream = EventStream::open(address, "/feed/a");
    enveloped.envelope("open");
    stream.named("tidegate-open");
    gateway.wait_subscribers("feed/a", 3);
    let bytes = b"\x00\xff\n";
    for (kind, body) in [
        ("text/plain", b"one\ntwo".as_slice()),
        ("application/json", br#"{"n": 1.0}"#),
        ("application/octet-stream", bytes),
    ] {
        let request = Request::post("/channels/feed/a", body).header("Content-Type", kind);
        assert_eq!(gateway.ask_admin(request).status, 201);
    }
    assert_eq!(bare.text(), "one\ntwo");
    assert_eq!(bare.text(), r#"{"n": 1.0}"#);
    assert_eq!(bare.came(), Came::Binary(bytes.to_vec()));
    assert_eq!(enveloped.envelope("message")["text"], "one\ntwo");
    assert_eq!(enveloped.envelope("message")["data"], json!({ "n": 1.0 }));
    assert_eq!(enveloped.envelope("message")["binary"], BASE64_STANDARD.encode(bytes));
    assert_eq!(stream.message().data, "one\ntwo");
    assert_eq!(stream.message().data, r#"{"n": 1.0}"#);
    assert_eq!(stream.message().data, BASE64_STANDARD.encode(bytes));
}

#[test]
fn an_enveloped_socket_says_where_it_stands() {
    let gateway = gateway();
    let position = gateway.publish("feed/a", "before");
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    assert_eq!(socket.headers().get("sec-websocket-protocol"), Some("tidegate.v1"));
    let open = socket.envelope("open");
    assert_eq!(open["channel"], "feed/a");
    assert_eq!(open["position"], position.as_str());
    assert_eq!(open["recovered"], true);
    let position = gateway.publish("feed/a", "after");
    let message = socket.envelope("message");
    assert_eq!((&message["channel"], &message["text"]), (&json!("feed/a"), &json!("after")));
    assert_eq!(message["position"], position.as_str());
    socket.close();
}

#[test]
fn one_socket_follows_many_channels_and_lets_go_of_them() {
    let gateway = gateway();
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    socket.envelope("open");
    socket.send(r#"{"type":"subscribe","channel":"chat/7","id":1}"#);
    let reply = socket.envelope("reply");
    assert_eq!((&reply["id"], &reply["error"]), (&json!(1), &Value::Null));
    assert_eq!(socket.envelope("open")["channel"], "chat/7");
    gateway.publish("chat/7", "seven");
    assert_eq!(socket.envelope("message")["channel"], "chat/7");
    gateway.publish("feed/a", "a");
    assert_eq!(socket.envelope("message")["channel"], "feed/a");

    socket.send(r#"{"type":"unsubscribe","channel":"chat/7","id":"x"}"#);
    assert_eq!(socket.envelope("reply")["id"], "x");
    gateway.wait_subscribers("chat/7", 0);
    gateway.publish("chat/7", "unheard");
    gateway.publish("feed/a", "heard");
    assert_eq!(socket.envelope("message")["text"], "heard");
    socket.close();
}

#[test]
fn what_an_enveloped_socket_may_not_have_is_an_error_and_not_the_end() {
    let gateway = gateway();
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    socket.envelope("open");
    let mut ask = |command: &str| {
        socket.send(command);
        let answer = socket.json();
        let error = if answer["type"] == "reply" { answer["error"].clone() } else { answer };
        error["code"].as_str().unwrap_or_default().to_owned()
    };
    for (command, code) in [
        (r#"{"type":"dance"}"#, "bad_request"),
        (r#"{"type":"dance","id":1}"#, "bad_request"),
        ("no JSON", "bad_request"),
        (r#"{"type":"subscribe","channel":"elsewhere","id":2}"#, "not_found"),
        (r#"{"type":"subscribe","channel":"feed/a","id":3}"#, "bad_request"),
        (r#"{"type":"subscribe","channel":"../a","id":3}"#, "bad_request"),
        (r#"{"type":"unsubscribe","channel":"feed/b","id":4}"#, "bad_request"),
        (r#"{"type":"message","channel":"feed/a","data":1,"id":5}"#, "forbidden"),
        (r#"{"type":"message","data":1,"text":"2","id":6}"#, "bad_request"),
    ] {
        assert_eq!(ask(command), code, "{command}");
    }
    for channel in 1..=3 {
        socket.send(&json!({ "type": "subscribe", "channel": format!("feed/{channel}") }).to_string());
        socket.envelope("open");
    }
    socket.send(r#"{"type":"subscribe","channel":"feed/4","id":7}"#);
    let reply = socket.envelope("reply");
    assert_eq!(reply["error"]["code"], "limit");
    assert!(reply["error"]["message"].as_str().unwrap().contains("channels_max_per_conn"), "{reply}");
    gateway.publish("feed/a", "still there");
    assert_eq!(socket.envelope("message")["text"], "still there");
}

#[test]
fn clients_publish_where_the_route_lets_them() {
    let gateway = gateway();
    let mut bare = WebSocket::open(gateway.public(), "/chat/7");
    let mut enveloped = WebSocket::enveloped(gateway.public(), "/chat/7");
    enveloped.envelope("open");
    gateway.wait_subscribers("chat/7", 2);
    bare.send("from bare");
    assert_eq!(bare.text(), "from bare");
    assert_eq!(enveloped.envelope("message")["text"], "from bare");
    bare.send_binary(b"\xff");
    assert_eq!(bare.came(), Came::Binary(b"\xff".to_vec()));
    assert_eq!(enveloped.envelope("message")["binary"], "/w==");
    enveloped.send(r#"{"type":"message","data":{"n":1},"id":1}"#);
    assert_eq!(bare.text(), r#"{"n":1}"#);
    // Its own message and the reply: which of them comes first is not promised.
    let both = [enveloped.json(), enveloped.json()];
    let of = |kind: &str| both.iter().find(|one| one["type"] == kind).expect("both kinds").clone();
    assert_eq!(of("reply")["position"], of("message")["position"]);

    let mut silent = WebSocket::open(gateway.public(), "/feed/a");
    silent.send("nobody may");
    assert_eq!(silent.closed().0, 1003);
}

#[test]
fn every_door_resumes_with_all_that_was_missed() {
    let gateway = gateway();
    let address = gateway.public();
    let first = gateway.publish("feed/a", "1");
    let texts = ["2", "3", "4"];
    texts.iter().for_each(|text| drop(gateway.publish("feed/a", text)));
    let after = format!("/feed/a?after={}", first.replace(':', "%3A"));

    let mut bare = WebSocket::open(address, &after);
    let mut enveloped = WebSocket::enveloped(address, &after);
    assert_eq!(enveloped.envelope("open")["recovered"], true);
    let mut by_query = EventStream::open(address, &after);
    let mut by_header = EventStream::resume(address, "/feed/a", &first);
    let mut by_command = WebSocket::enveloped(address, "/chat/7");
    by_command.envelope("open");
    by_command.send(&json!({ "type": "subscribe", "channel": "feed/a", "after": first }).to_string());
    assert_eq!(by_command.envelope("open")["recovered"], true);
    for stream in [&mut by_query, &mut by_header] {
        assert_eq!(stream.named("tidegate-open")["recovered"], true);
    }
    let check = |text: &str,
                 bare: &mut WebSocket,
                 others: [&mut WebSocket; 2],
                 streams: [&mut EventStream; 2]| {
        assert_eq!(bare.text(), text);
        let envelopes = others.map(|socket| socket.envelope("message"));
        let events = streams.map(EventStream::message);
        for (envelope, event) in envelopes.iter().zip(&events) {
            assert_eq!((payload(envelope), event.data.as_str()), (json!(text.parse::<u8>().unwrap()), text));
            assert_eq!(envelope["position"], event.id.as_str());
        }
    };
    for text in texts {
        check(text, &mut bare, [&mut enveloped, &mut by_command], [&mut by_query, &mut by_header]);
    }
    gateway.wait_subscribers("feed/a", 5);
    gateway.publish("feed/a", "5");
    check("5", &mut bare, [&mut enveloped, &mut by_command], [&mut by_query, &mut by_header]);
}

#[test]
fn what_cannot_be_resumed_is_said_at_every_door() {
    let gateway = gateway();
    let address = gateway.public();
    let first = gateway.publish("feed/a", "1");
    // One more than the history holds.
    (2..=7).for_each(|number| drop(gateway.publish("feed/a", &number.to_string())));
    let of_another_life = format!("zz:{}", offset(&first));
    for after in [first.as_str(), &of_another_life] {
        let target = format!("/feed/a?after={after}");
        let mut bare = WebSocket::open(address, &target);
        assert_eq!(bare.closed().0, 4409, "{after}");
        let mut enveloped = WebSocket::enveloped(address, &target);
        assert_eq!(enveloped.envelope("open")["recovered"], false, "{after}");
        enveloped.silent_for(A_WHILE);
        let mut stream = EventStream::resume(address, "/feed/a", after);
        let open = stream.event();
        assert_eq!(open.name, "tidegate-open");
        assert!(open.data.contains(r#""recovered":false"#), "{open:?}");
        let position = gateway.channel("feed/a")["position"].clone();
        assert_eq!(position, open.id.as_str(), "from here on it can be resumed again");
    }
}

#[test]
fn an_unsubscribe_right_behind_a_subscribe_leaves_nothing_followed() {
    let gateway = gateway();
    let mut socket = WebSocket::enveloped(gateway.public(), "/chat/7");
    socket.envelope("open");
    socket.send(r#"{"type":"subscribe","channel":"feed/a","id":1}"#);
    socket.send(r#"{"type":"unsubscribe","channel":"feed/a","id":2}"#);
    let mut answered = Vec::new();
    while answered.len() < 2 {
        let envelope = socket.json();
        // What it followed for a moment may say so in between.
        if envelope["type"] != "open" {
            assert_eq!(envelope["type"], "reply", "{envelope}");
            answered.push(envelope["id"].clone());
        }
    }
    assert!(answered.contains(&json!(1)) && answered.contains(&json!(2)), "{answered:?}");
    gateway.publish("feed/a", "1");
    gateway.wait_subscribers("feed/a", 0);
}

#[test]
fn what_a_client_says_before_it_goes_is_heard() {
    let gateway = gateway();
    let mut hears = WebSocket::open(gateway.public(), "/chat/7");
    gateway.wait_subscribers("chat/7", 1);
    for number in 0..20 {
        let mut socket = WebSocket::open(gateway.public(), "/chat/7");
        socket.send(&format!("last words {number}"));
        drop(socket);
        assert_eq!(hears.text(), format!("last words {number}"));
    }
}

#[test]
fn a_channel_that_is_dropped_tells_its_subscribers() {
    let gateway = gateway();
    let address = gateway.public();
    gateway.publish("feed/a", "1");
    let mut bare = WebSocket::open(address, "/feed/a");
    let mut enveloped = WebSocket::enveloped(address, "/feed/a");
    let mut other = WebSocket::enveloped(address, "/chat/7");
    let mut stream = EventStream::open(address, "/feed/a");
    enveloped.envelope("open");
    stream.named("tidegate-open");
    other.envelope("open");
    other.send(r#"{"type":"subscribe","channel":"feed/a"}"#);
    other.envelope("open");
    gateway.wait_subscribers("feed/a", 4);

    let dropped = gateway.ask_admin(Request::new("DELETE", "/channels/feed/a"));
    assert_eq!((dropped.status, dropped.json()["dropped"].as_str()), (200, Some("feed/a")));
    assert_eq!(bare.closed().0, 1001);
    for socket in [&mut enveloped, &mut other] {
        assert_eq!(socket.envelope("error")["code"], "not_found");
        let close = socket.envelope("close");
        assert_eq!((&close["channel"], &close["code"]), (&json!("feed/a"), &json!(1001)));
    }
    assert_eq!(enveloped.envelope("close")["channel"], Value::Null, "its own channel was the one");
    assert_eq!(enveloped.closed().0, 1001);
    assert_eq!(stream.named("tidegate-close")["code"], 1001);
    stream.ended();
    gateway.publish("chat/7", "the other goes on");
    assert_eq!(other.envelope("message")["text"], "the other goes on");
    assert_eq!(gateway.ask_admin(Request::new("DELETE", "/channels/feed/a")).status, 404);
}

#[test]
fn handshakes_that_cannot_be_are_refused_with_a_sentence() {
    let gateway = gateway();
    let refused = |target: &str| Dial::new(gateway.public(), target).refused();
    for (target, status, word) in [
        ("/elsewhere", 404, "no route"),
        ("/feed/%2e%2e", 404, "no route"),
        ("/feed/a%2Fb", 400, "%2F"),
        ("/feed/a?updates=json-patch", 400, "tidegate.v1"),
        ("/feed/a?updates=diff", 400, "json-patch or merge-patch"),
    ] {
        let answer = refused(target);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!(answer.text().contains(word), "{target}: {}", answer.text());
    }
    let old = Request::get("/feed/a")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "12")
        .send(gateway.public());
    assert_eq!((old.status, old.headers.get("sec-websocket-version")), (426, Some("13")), "{}", old.text());
}

#[test]
fn a_plain_get_is_answered_with_the_newest() {
    let gateway = gateway();
    let ask = |request: Request| request.send(gateway.public());
    let nothing = ask(Request::get("/feed/a"));
    assert_eq!((nothing.status, nothing.headers.get("tidegate-position")), (404, None));
    assert!(nothing.text().starts_with("this is a channel, and nothing is kept of it"), "{}", nothing.text());
    for (kind, body, media_type) in [
        ("text/html", b"<b>one</b>".as_slice(), "text/plain; charset=utf-8"),
        ("application/json", br#"{"n": 1.50}"#, "application/json"),
        ("application/octet-stream", b"\x00\xff", "application/octet-stream"),
    ] {
        let request = Request::post("/channels/feed/a", body).header("Content-Type", kind);
        let position = gateway.ask_admin(request).json()["position"].clone();
        let position = position.as_str().expect("a position");
        let newest = ask(Request::get("/feed/a?anything=1"));
        assert_eq!((newest.status, newest.body.as_slice()), (200, body));
        assert_eq!(newest.headers.get("content-type"), Some(media_type));
        assert_eq!(newest.headers.get("x-content-type-options"), Some("nosniff"));
        assert_eq!(newest.headers.get("cache-control"), Some("no-cache"));
        assert_eq!(newest.headers.get("tidegate-position"), Some(position));
        let tag = newest.headers.get("etag").expect("a tag");
        assert_eq!(tag, format!("\"{position}\""));
        let head = ask(Request::new("HEAD", "/feed/a?wait=30"));
        assert_eq!((head.status, head.headers.get("etag")), (200, Some(tag)), "a HEAD never waits");
        assert_eq!(head.headers.get("content-length"), Some(body.len().to_string().as_str()));
        let known = ask(Request::get("/feed/a").header("If-None-Match", tag));
        assert_eq!((known.status, known.body.len(), known.headers.get("etag")), (304, 0, Some(tag)));
        assert_eq!(known.headers.get("tidegate-position"), Some(position));
        let other = ask(Request::get("/feed/a").header("If-None-Match", "\"k:1\""));
        assert_eq!(other.status, 200);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = ask(Request::new(method, "/feed/a"));
        assert_eq!(
            (answer.status, answer.headers.get("allow")),
            (405, Some("GET, HEAD, OPTIONS")),
            "{method}"
        );
    }
    assert_eq!(ask(Request::get("/feed/a%2Fb")).status, 400);
    assert_eq!(ask(Request::get("/feed/a").header("Origin", "https://evil.example")).status, 403);
    assert_eq!(gateway.channel("feed/a")["subscribers"], 0);
}

#[test]
fn what_is_not_kept_is_not_found_and_its_position_is_told() {
    let nothing_kept = CHANNELS.replace("size = 5", "size = 0");
    let gateway = Gateway::configured(&nothing_kept);
    let position = gateway.publish("feed/a", "gone at once");
    let answer = Request::get("/feed/a").send(gateway.public());
    assert_eq!((answer.status, answer.headers.get("tidegate-position")), (404, Some(position.as_str())));
}

#[test]
fn an_event_stream_is_what_browsers_and_proxies_expect() {
    let gateway = gateway();
    let stream = EventStream::open(gateway.public(), "/feed/a");
    let header = |name: &str| stream.headers.get(name).unwrap_or_default();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("vary"), "Accept, Origin");
}

/// Publishers of their own, subscribers on all shards and at all doors, and one that comes and goes.
#[test]
fn under_concurrency_all_see_one_order_without_gaps_and_duplicates() {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 60;
    const SUBSCRIBERS: usize = 12;
    let wide = CHANNELS.replace("size = 5", "size = 1000");
    let gateway = Gateway::configured(&wide);
    let start = gateway.publish("feed/a", "start");
    let ready = Barrier::new(PUBLISHERS + SUBSCRIBERS + 1);
    let (gateway, ready, start) = (&gateway, &ready, start.as_str());
    let count = PUBLISHERS * EACH;
    let seen: Vec<Vec<(String, String)>> = std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            scope.spawn(move || {
                ready.wait();
                for number in 0..EACH {
                    gateway.publish("feed/a", &format!("{publisher}/{number}"));
                }
            });
        }
        let steady =
            (0..SUBSCRIBERS).map(|number| scope.spawn(move || steady(gateway, number, count, ready)));
        let mut all: Vec<_> = steady.collect();
        all.push(scope.spawn(move || restless(gateway, start, count, ready)));
        all.into_iter().map(|one| one.join().expect("a subscriber")).collect()
    });
    let order = &seen[0];
    assert_eq!(order.len(), count);
    for (index, (position, _)) in order.iter().enumerate() {
        assert_eq!(offset(position), offset(start) + 1 + index as u64, "offsets grow by one");
    }
    for others in &seen {
        assert_eq!(others, order, "all see the same");
    }
    let mut next: HashMap<&str, usize> = HashMap::new();
    for (_, text) in order {
        let (publisher, number) = text.split_once('/').expect("a publisher's number");
        let expected = next.entry(publisher).or_default();
        assert_eq!(number.parse(), Ok(*expected), "of publisher {publisher}");
        *expected += 1;
    }
}

/// Follows from before the first publication, by an enveloped socket or an event stream.
fn steady(gateway: &Gateway, number: usize, count: usize, ready: &Barrier) -> Vec<(String, String)> {
    if number.is_multiple_of(2) {
        let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
        socket.envelope("open");
        ready.wait();
        (0..count).map(|_| position_and_text(&socket.envelope("message"))).collect()
    } else {
        let mut stream = EventStream::open(gateway.public(), "/feed/a");
        stream.named("tidegate-open");
        ready.wait();
        (0..count).map(|_| stream.message()).map(|event| (event.id, event.data)).collect()
    }
}

/// Leaves after every few messages and comes back with the last position.
fn restless(gateway: &Gateway, start: &str, count: usize, ready: &Barrier) -> Vec<(String, String)> {
    let mut seen: Vec<(String, String)> = Vec::new();
    ready.wait();
    while seen.len() < count {
        let last = seen.last().map_or(start, |(position, _)| position);
        let target = format!("/feed/a?after={last}");
        let mut socket = WebSocket::enveloped(gateway.public(), &target);
        assert_eq!(socket.envelope("open")["recovered"], true);
        for _ in 0..17.min(count - seen.len()) {
            seen.push(position_and_text(&socket.envelope("message")));
        }
        socket.cut();
    }
    seen
}

fn position_and_text(envelope: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    (text(&envelope["position"]), text(&envelope["text"]))
}
