//! What a watcher sees of connections: frames as they are on the wire, of every door and transport, from where it
//! began on, and no more than the configuration allows.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_client::Http;
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::json_lines::JsonLines;
use tidegate_end_to_end::websocket::{Dial, WebSocket};
use tidegate_websocket::deflate::Offer;

/// Channels of which one kind keeps contexts of compression.
const ROUTES: &str = "[[route]]\npath = \"/packed/{*rest}\"\nchannel = {}\ncompression = \"takeover\"\n\
    [[route]]\npath = \"/{*rest}\"\nchannel = {}\n";

/// A watcher and what it was told.
struct Watcher {
    socket: WebSocket,
    events: Vec<Value>,
    lost: u64,
}

impl Watcher {
    fn of(gateway: &Gateway, wish: &Value) -> Self {
        let mut watcher = Self { socket: gateway.dial_watch().open(), events: Vec::new(), lost: 0 };
        watcher.say(wish);
        watcher
    }

    fn say(&mut self, message: &Value) {
        self.socket.send(&message.to_string());
    }

    /// Reads on until there is an event like this.
    fn wait(&mut self, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        self.until(|events| events.iter().any(&found));
        self.events.iter().find(|event| found(event)).unwrap_or_else(|| panic!("{what} was found")).clone()
    }

    /// Reads on until the events are enough.
    fn until(&mut self, is_enough: impl Fn(&[Value]) -> bool) {
        while !is_enough(&self.events) {
            let message = self.socket.json();
            match message["type"].as_str() {
                Some("events") => {
                    self.events.extend(message["events"].as_array().expect("a list").iter().cloned());
                    self.lost += message["lost"].as_u64().expect("a number");
                }
                Some("error") => panic!("events were awaited, and this came: {message}"),
                _ => {}
            }
        }
    }

    /// The next message of this type.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let message = self.socket.json();
            if message["type"] == kind {
                return message;
            }
        }
    }
}

/// The id of the connection on this route, once it is there.
fn id_of(gateway: &Gateway, door: &str) -> String {
    let list = gateway.ask_admin(Request::get("/connections")).json();
    let all = list["connections"].as_array().expect("a list").clone();
    let found = all.iter().find(|one| one["door"] == door).expect("a connection of this door");
    found["id"].as_str().expect("an id").to_owned()
}

fn text(event: &Value) -> &str {
    let shown = if event["plain"].is_null() { &event["payload"] } else { &event["plain"] };
    shown["data"].as_str().unwrap_or_default()
}

#[test]
fn a_connection_is_seen_from_then_on_and_its_payloads_are_had_whole() {
    let gateway = Gateway::configured(ROUTES);
    let mut client = WebSocket::enveloped(gateway.public(), "/news");
    client.envelope("open");
    let id = id_of(&gateway, "tidegate.v1");
    let wish = json!({ "type": "watch", "id": 3, "what": "connection", "connection": id });
    let mut watcher = Watcher::of(&gateway, &wish);
    let row = watcher.next("connection");
    assert_eq!((&row["row"]["id"], &row["level"]), (&json!(id), &json!("payload")), "{row}");
    let note = watcher.wait("a note", |event| event["type"] == "note");
    assert!(note["message"].as_str().is_some_and(|text| text.contains("not captured")), "{note}");
    let open = watcher.wait("an open", |event| event["type"] == "open");
    assert_eq!(
        (&open["url"], &open["subprotocol"], &open["conn"]),
        (&json!("/news"), &json!("tidegate.v1"), &json!(id))
    );
    let long = "水".repeat(3000);
    gateway.publish("news", &long);
    client.json();
    let frame = watcher.wait("what was sent", |event| event["dir"] == "s2c" && event["op"] == "text");
    assert!(text(&frame).contains("水水") && frame["payload"]["truncated"] == true, "{frame}");
    assert!(frame["payload"]["data"].as_str().is_some_and(|text| text.len() <= 4096), "{frame}");
    client.send(r#"{"type":"subscribe","channel":"other","id":"7"}"#);
    let said = watcher.wait("what was said", |event| event["dir"] == "c2s" && event["op"] == "text");
    assert_eq!((&said["masked"], text(&said).contains("subscribe")), (&json!(true), true), "{said}");
    let numbers: Vec<u64> =
        watcher.events.iter().map(|event| event["n"].as_u64().expect("a number")).collect();
    assert!(numbers.is_sorted() && numbers[0] == 1 && watcher.lost == 0, "{numbers:?}");

    watcher.say(&json!({ "type": "body", "id": 9, "connection": id, "event": frame["n"] }));
    let body = watcher.next("body");
    assert_eq!(
        (&body["encoding"], &body["truncated"], &body["id"]),
        (&json!("utf8"), &json!(false), &json!(9))
    );
    assert!(body["data"].as_str().is_some_and(|data| data.contains(&long)), "the whole payload");
    watcher.say(&json!({ "type": "body", "id": 10, "connection": id, "event": 4000 }));
    assert_eq!(watcher.next("error")["id"], 10);

    client.close();
    let close = watcher.wait("the end", |event| event["type"] == "close");
    assert_eq!((&close["code"], &close["clean"], &close["by"]), (&json!(1000), &json!(true), &json!("c2s")));
    // It can be looked at afterwards, by who watched it.
    watcher.say(&json!({ "type": "body", "id": 11, "connection": id, "event": said["n"] }));
    assert_eq!(watcher.next("body")["data"], text(&said));
    watcher.say(&json!({ "type": "watch", "id": 4, "what": "connection", "connection": id }));
    let error = watcher.next("error");
    assert_eq!(
        (&error["id"], error["message"].as_str().map(|told| told.contains("ended"))),
        (&json!(4), Some(true))
    );
}

#[test]
fn what_was_agreed_on_decides_what_can_be_shown() {
    let gateway = Gateway::configured(ROUTES);
    let long = |number: usize| format!("{number} {}", "as before, and as before that, ".repeat(40));
    let is_packed = |event: &Value| event["dir"] == "s2c" && event["rsv"][0] == 1;
    // Each message stands for itself: it can be read whenever one begins to watch.
    let mut shared = Dial::new(gateway.public(), "/shared").deflate(Offer::default()).open();
    gateway.wait_subscribers("shared", 1);
    gateway.publish("shared", &long(1));
    assert_eq!(shared.text(), long(1));
    let wish = |id: String| json!({ "type": "watch", "id": 1, "what": "connection", "connection": id });
    let mut watcher = Watcher::of(&gateway, &wish(id_of(&gateway, "websocket")));
    watcher.wait("a note", |event| event["type"] == "note");
    gateway.publish("shared", &long(2));
    let frame = watcher.wait("a compressed frame", is_packed);
    assert_eq!(
        (frame["plain"]["data"].as_str(), frame["inflated"].as_u64()),
        (Some(long(2).as_str()), Some(long(2).len() as u64))
    );
    assert!(frame["wire"].as_u64() < Some(300), "{frame}");
    drop(shared);
    gateway.wait_metric("tidegate_open_connections{door=\"websocket\"}", 0.0);

    // Here a message refers to those before it.
    let mut packed = Dial::new(gateway.public(), "/packed/one").deflate(Offer::default()).open();
    gateway.wait_subscribers("packed/one", 1);
    gateway.publish("packed/one", &long(1));
    assert_eq!(packed.text(), long(1));
    let mut late = Watcher::of(&gateway, &wish(id_of(&gateway, "websocket")));
    late.wait("a note", |event| {
        event["message"].as_str().is_some_and(|text| text.contains("cannot be shown decompressed"))
    });
    gateway.publish("packed/one", &long(2));
    let frame = late.wait("a compressed frame", is_packed);
    assert!(frame["plain"].is_null() && frame["violations"].is_null(), "{frame}");
    late.wait("that it was lost", |event| {
        event["message"].as_str().is_some_and(|text| text.contains("refers to one"))
    });
    // Who watched from the first byte on has its context.
    let wish = json!({ "type": "watch", "id": 1, "what": "events", "filter": "path:/packed/two" });
    let mut early = Watcher::of(&gateway, &wish);
    early.say(&json!({ "type": "watch", "id": 2, "what": "figures" }));
    early.next("figures");
    let mut packed = Dial::new(gateway.public(), "/packed/two").deflate(Offer::default()).open();
    gateway.wait_subscribers("packed/two", 1);
    for number in [1, 2] {
        gateway.publish("packed/two", &long(number));
        assert_eq!(packed.text(), long(number));
        early.wait("the text", |event| text(event) == long(number));
    }
}

#[test]
fn events_of_all_doors_and_transports() {
    let gateway = Gateway::configured(&format!("[listen]\nshards = 2\n{ROUTES}"));
    let wish = json!({ "type": "watch", "id": 8, "what": "events", "filter": "path:/seen* -op:ping,pong" });
    let mut watcher = Watcher::of(&gateway, &wish);
    // The answer comes behind the watch.
    watcher.say(&json!({ "type": "watch", "id": 1, "what": "figures" }));
    watcher.next("figures");
    watcher.say(&json!({ "type": "unwatch", "id": 1 }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = tidegate_client::Options { http: Http::V2, ..tidegate_client::Options::default() };
    let mut h2 = runtime.block_on(tidegate_client::connect(&gateway.ws("/seen"), options)).expect("it opens");
    let mut h1 = WebSocket::open(gateway.public(), "/seen");
    let mut unseen = WebSocket::open(gateway.public(), "/unwatched");
    let mut stream = EventStream::open(gateway.public(), "/seen");
    let mut lines = JsonLines::open(gateway.public(), "/seen");
    gateway.wait_subscribers("seen", 4);
    gateway.wait_subscribers("unwatched", 1);
    gateway.publish("unwatched", "hidden");
    gateway.publish("seen", "hello everybody");
    assert_eq!((h1.text().as_str(), unseen.text().as_str()), ("hello everybody", "hidden"));
    runtime.block_on(async {
        h2.send_text("not expected here").await.expect("it is open");
        h2.close(tidegate_client::CloseCode::NORMAL, "").await;
        while h2.next().await.is_some() {}
    });
    watcher.wait("what was said", |event| event["dir"] == "c2s" && text(event) == "not expected here");
    stream.named("tidegate-open");
    assert_eq!(stream.message().data, "hello everybody");
    lines.envelope("open");
    lines.next_by(Deadline::of_patience()).expect("a line");
    let polled = Request::get("/seen?wait=0").send(gateway.public());
    assert!(polled.text().contains("hello everybody"), "{}", polled.text());
    drop((stream, lines));
    h1.close();
    // Each has opened, was told, and has ended; the poll's only event is its answer.
    watcher.until(|events| events.iter().filter(|event| event["type"] == "close").count() == 5);
    let mut by_connection: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for event in &watcher.events {
        by_connection.entry(event["conn"].as_str().expect("a name").to_owned()).or_default().push(event);
    }
    assert_eq!(by_connection.len(), 5, "{by_connection:?}");
    let mut kinds = Vec::new();
    for events in by_connection.values() {
        let words: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!((words[0], words[words.len() - 1]), ("open", "close"), "{words:?}");
        assert!(events.iter().any(|event| text(event).contains("hello everybody")), "{events:?}");
        assert!(events.iter().all(|event| !text(event).contains("hidden")));
        let is_message = words.contains(&"message");
        kinds.push((
            events[0]["http"].as_str().unwrap_or_default(),
            events[0]["status"].as_u64(),
            is_message,
        ));
    }
    kinds.sort_unstable();
    let stream = ("1.1", Some(200), true);
    assert_eq!(kinds, [("1.1", Some(101), false), stream, stream, stream, ("2", Some(200), false)]);
    assert_eq!(watcher.lost, 0);
}

#[test]
fn the_levels_and_what_the_configuration_allows() {
    let allow = |level: &str| format!("[inspect]\nwatch = \"{level}\"\n{ROUTES}");
    let wish = |level: &str| json!({ "type": "watch", "id": 1, "what": "events", "level": level });
    let gateway = Gateway::configured(&allow("frames"));
    let mut client = WebSocket::enveloped(gateway.public(), "/news");
    client.envelope("open");
    let connection = id_of(&gateway, "tidegate.v1");
    let mut watcher = Watcher::of(&gateway, &wish("payload"));
    let error = watcher.next("error");
    assert!(
        error["message"].as_str().is_some_and(|told| told.contains("[inspect] watch = \"frames\"")),
        "{error}"
    );
    watcher.say(&json!({ "type": "body", "id": 2, "connection": connection, "event": 1 }));
    assert!(watcher.next("error")["message"].as_str().is_some_and(|told| told.contains("no payloads")));
    watcher.say(&wish("frames"));
    watcher.wait("a note", |event| event["type"] == "note");
    gateway.publish("news", "a secret");
    let frame = watcher.wait("a frame", |event| event["op"] == "text");
    assert_eq!(
        (&frame["payload"]["data"], &frame["payload"]["truncated"]),
        (&json!(""), &json!(true)),
        "{frame}"
    );
    assert!(frame["len"].as_u64() > Some(8), "{frame}");

    // Openings and ends, and nothing between.
    let mut meta = Watcher::of(&gateway, &wish("meta"));
    meta.say(&json!({ "type": "watch", "id": 2, "what": "figures" }));
    meta.next("figures");
    let other = WebSocket::open(gateway.public(), "/other?access_token=abc");
    gateway.publish("news", "another secret");
    other.close();
    meta.wait("an end", |event| event["type"] == "close");
    let words: Vec<&str> = meta.events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(words, ["open", "close"]);
    assert!(!meta.events.iter().any(|event| event.to_string().contains("abc")), "{:?}", meta.events);

    // A reload takes effect on those who watch.
    std::fs::write(gateway.configuration(), allow("meta")).expect("a file");
    gateway.signal(rustix::process::Signal::HUP);
    let over = watcher.next("error");
    assert!(over["message"].as_str().is_some_and(|told| told.contains("\"meta\"")), "{over}");
    for what in ["connection", "events"] {
        watcher.say(
            &json!({ "type": "watch", "id": 5, "what": what, "connection": connection, "level": "frames" }),
        );
        assert_eq!(watcher.next("error")["id"], 5);
    }
    let off = Gateway::configured(&allow("off"));
    let mut nobody = Watcher::of(&off, &json!({ "type": "watch", "id": 1, "what": "events" }));
    assert_eq!(nobody.next("error")["id"], 1);
}

#[test]
fn wishes_that_cannot_be() {
    let gateway = Gateway::configured(ROUTES);
    let mut watcher = Watcher::of(
        &gateway,
        &json!({ "type": "watch", "id": 1, "what": "events", "filter": "op:ping colour:red" }),
    );
    let error = watcher.next("error");
    assert!(
        error["message"].as_str().is_some_and(|told| told.contains("column 9") && told.contains("colour")),
        "{error}"
    );
    for (wish, told) in [
        (json!({ "what": "events", "level": "all" }), "meta, frames or payload"),
        (json!({ "what": "connection" }), "such as 0-1a.3"),
        (json!({ "what": "connection", "connection": "x" }), "such as 0-1a.3"),
        (json!({ "what": "connection", "connection": "0-9.9" }), "no such connection"),
        (json!({ "what": "connection", "connection": "99-9.9" }), "no such connection"),
        (json!({ "what": "connection", "connection": "0-9.9", "level": "meta" }), "frames or payload"),
    ] {
        let mut wish = wish;
        (wish["type"], wish["id"]) = (json!("watch"), json!(2));
        watcher.say(&wish);
        let error = watcher.next("error");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(told)), "{wish}: {error}");
    }
}

#[test]
fn binary_payloads_and_what_the_client_breaks() {
    let gateway = Gateway::configured(ROUTES);
    let wish = json!({ "type": "watch", "id": 1, "what": "events", "filter": "-op:ping,pong" });
    let mut watcher = Watcher::of(&gateway, &wish);
    watcher.say(&json!({ "type": "watch", "id": 2, "what": "figures" }));
    watcher.next("figures");
    let mut client = WebSocket::enveloped(gateway.public(), "/news");
    client.envelope("open");
    client.send_binary(b"\xff\x00\xfe");
    let frame = watcher.wait("binary", |event| event["dir"] == "c2s" && event["op"] == "binary");
    assert_eq!(
        (&frame["payload"]["enc"], &frame["payload"]["data"]),
        (&json!("base64"), &json!(STANDARD.encode(b"\xff\x00\xfe")))
    );
}

#[test]
fn publications_of_a_channel_as_they_come() {
    let gateway = Gateway::configured(&format!("[listen]\nshards = 2\n{ROUTES}"));
    let wish = json!({ "type": "watch", "id": 5, "what": "channel", "channel": "prices/tea" });
    let mut watcher = Watcher::of(&gateway, &wish);
    let first = watcher.next("channel");
    assert_eq!((&first["row"], &first["publications"]), (&Value::Null, &json!([])), "{first}");
    gateway.publish("prices/coffee", "unseen");
    let long = format!("[\"{}\"]", "x".repeat(5000));
    let positions = ["plain", r#"{"price":1}"#, &long].map(|text| gateway.publish("prices/tea", text));
    let mut publications = Vec::new();
    while publications.len() < 3 {
        let message = watcher.next("channel");
        assert_eq!(
            (&message["row"]["channel"], &message["lost"]),
            (&json!("prices/tea"), &json!(0)),
            "{message}"
        );
        publications.extend(message["publications"].as_array().expect("a list").iter().cloned());
    }
    let told: Vec<_> = publications.iter().map(|one| one["position"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, positions.each_ref().map(String::as_str));
    let kinds: Vec<_> = publications.iter().map(|one| one["payload"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["text", "json", "json"]);
    assert_eq!(
        (&publications[1]["preview"], &publications[2]["bytes"]),
        (&json!(r#"{"price":1}"#), &json!(5004))
    );
    assert_eq!(publications[2]["preview"].as_str().map(str::len), Some(4096));
    watcher.say(&json!({ "type": "watch", "id": 6, "what": "channel" }));
    assert_eq!(watcher.next("error")["id"], 6);
}
