//! Documents that come as changes: of a polled backend and of a channel, at all doors, over two shards. Whoever
//! applies what came has the document, at every position, however often it was cut off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_client::Updates;
use tidegate_client::follow::{Event, Follower, Options};
use tidegate_end_to_end::backend::Backend;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::json_lines::JsonLines;
use tidegate_end_to_end::websocket::{Dial, WebSocket};

const CHANNELS: &str = r#"
[listen]
shards = 2

[[route]]
path = "/state/{name}"
channel = {}
updates = ["json-patch", "merge-patch"]
history = { size = 1000, ttl = "5m" }

[[route]]
path = "/plain/{name}"
channel = {}
"#;

/// Time in which nothing may come that is not meant for somebody.
const A_WHILE: Duration = Duration::from_millis(200);

fn enveloped(gateway: &Gateway, target: &str) -> WebSocket {
    WebSocket::enveloped(gateway.public(), target)
}

/// A list of named things, of about `size` bytes.
fn list(version: u64, size: usize) -> String {
    let things: Vec<Value> = (0..size as u64 / 100)
        .map(|id| json!({ "id": id, "value": if id % 37 == version % 37 { version } else { id }, "note": "n".repeat(70) }))
        .collect();
    json!({ "version": version, "things": things }).to_string()
}

/// A client's copy of the document.
#[derive(Debug, Default)]
struct Copy {
    document: Value,
    position: String,
    patches: usize,
}

impl Copy {
    fn take(&mut self, envelope: &Value) {
        match envelope["type"].as_str() {
            Some("open") => return,
            // Publications of a long poll have no type.
            None if envelope["patch"].is_null() => self.document = envelope["data"].clone(),
            None => self.apply(envelope["format"] == "merge", &envelope["patch"]),
            Some("message") => self.document = envelope["data"].clone(),
            Some("patch") => self.apply(envelope["format"] == "merge", &envelope["patch"]),
            _ => panic!("{envelope}"),
        }
        self.position = envelope["position"].as_str().expect("a position").to_owned();
    }

    fn apply(&mut self, merge: bool, patch: &Value) {
        self.patches += 1;
        if merge {
            json_patch::merge(&mut self.document, patch);
        } else {
            let patch: json_patch::Patch = serde_json::from_value(patch.clone()).expect("a JSON Patch");
            json_patch::patch(&mut self.document, &patch).expect("it applies to what came before");
        }
    }
}

#[test]
fn a_polled_document_comes_once_and_then_as_its_changes() {
    let document = Document::new(&list(1, 2000));
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[listen]\nshards = 2\n[[route]]\npath = \"/{{*rest}}\"\n\
         poll = {{ url = \"{url}/{{*rest}}\", interval = \"100ms\" }}\n"
    ));
    let mut json = enveloped(&gateway, "/x?updates=json-patch");
    let mut merge = enveloped(&gateway, "/x?updates=merge-patch");
    let mut whole = enveloped(&gateway, "/x");
    for socket in [&mut json, &mut merge, &mut whole] {
        assert_eq!(socket.envelope("open")["recovered"], true);
        assert_eq!(socket.envelope("message")["data"]["version"], 1);
    }
    let mut events = EventStream::open(gateway.public(), "/x?updates=json-patch");
    assert_eq!(events.event().id, "", "nobody can resume from before the document");
    let first = events.message();
    let mut copy: Value = serde_json::from_str(&first.data).expect("JSON");
    assert_eq!(copy["version"], 1);

    document.set(&list(1, 2000).replace("\"version\":1", "\"version\":2"));
    let patch = json.envelope("patch");
    assert_eq!(patch["patch"], json!([{ "op": "replace", "path": "/version", "value": 2 }]));
    assert_eq!((&patch["format"], &patch["channel"]), (&Value::Null, &json!("x")));
    let merged = merge.envelope("patch");
    assert_eq!((&merged["format"], &merged["patch"]), (&json!("merge"), &json!({ "version": 2 })));
    assert_eq!(whole.envelope("message")["data"]["version"], 2);
    let event = events.event();
    assert_eq!(event.name, "tidegate-patch");
    assert_eq!(event.id, patch["position"].as_str().expect("a position"));
    let patch: json_patch::Patch = serde_json::from_str(&event.data).expect("a patch");
    json_patch::patch(&mut copy, &patch).expect("it applies");
    assert_eq!(copy["version"], 2);

    // What is another document altogether comes whole.
    document.set("\"another\"");
    assert_eq!(json.envelope("message")["data"], "another");
    assert_eq!(merge.envelope("message")["data"], "another");
    assert_eq!(backend.asked("/x").iter().filter(|asked| asked.header("if-none-match").is_none()).count(), 1);
}

#[test]
fn a_change_takes_a_twelfth_of_the_bytes_of_a_poll_that_finds_it() {
    let document = Document::new(&list(1, 2000));
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut socket = enveloped(&gateway, "/list.json?updates=json-patch");
    socket.envelope("open");
    socket.envelope("message");
    let before = socket.wire_bytes();
    let changed = list(1, 2000).replace("\"version\":1", "\"version\":2");
    document.set(&changed);
    socket.envelope("patch");
    let patch = socket.wire_bytes() - before;
    // What the same client would have asked and been told without any gateway, with no more headers than it must have.
    let request = Request::get("/list.json").header("If-None-Match", "\"v1\"");
    let asked = request.bytes("127.0.0.1:9000").len();
    let answer = request.send(backend.address());
    assert_eq!(answer.text(), changed);
    let headers: usize = answer.headers.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let poll = asked + "HTTP/1.1 200 OK\r\n\r\n".len() + headers + changed.len();
    assert!(patch * 12 <= poll as u64, "{patch} bytes, and a poll {poll}");
}

#[test]
fn nothing_is_compared_before_somebody_asks() {
    let gateway = Gateway::configured(CHANNELS);
    let mut whole = enveloped(&gateway, "/state/a");
    whole.envelope("open");
    gateway.publish("state/a", &list(1, 1000));
    gateway.publish("state/a", &list(2, 1000));
    whole.envelope("message");
    whole.envelope("message");
    assert!(gateway.metric("tidegate_compared_total") < 0.5);
    let mut json = enveloped(&gateway, "/state/a?updates=json-patch");
    json.envelope("open");
    assert_eq!(
        json.envelope("message")["data"]["version"],
        2,
        "first a document that changes can be applied to"
    );
    whole.silent_for(A_WHILE);
    gateway.publish("state/a", &list(3, 1000));
    json.envelope("patch");
    assert_eq!(whole.envelope("message")["data"]["version"], 3);
    gateway.wait_metric("tidegate_compared_total", 1.0);
}

/// Each of several patches at once, and each alone, as the doors that are plain HTTP have them.
#[test]
fn requests_and_answers_bring_changes_too() {
    let gateway = Gateway::configured(CHANNELS);
    gateway.publish("state/a", &list(1, 3000));
    for (updates, format) in [("json-patch", Value::Null), ("merge-patch", json!("merge"))] {
        let target = |rest: &str| format!("/state/a?updates={updates}{rest}");
        let ask = |rest: &str| Request::get(&target(rest)).send(gateway.public());
        let mut lines = JsonLines::open(gateway.public(), &target(""));
        assert_eq!(lines.envelope("open")["recovered"], true);
        let mut streamed = Copy::default();
        streamed.take(&lines.envelope("message"));
        // The first answer has a whole document, and what came since is told as patches.
        let mut polled = Copy::default();
        let first = ask("&wait=20").json();
        polled.take(&first["publications"][0]);
        assert_eq!((polled.patches, &polled.document), (0, &streamed.document));
        let version = streamed.document["version"].as_u64().expect("a number");
        for next in version + 1..=version + 3 {
            gateway.publish("state/a", &list(next, 3000));
            let patch = lines.envelope("patch");
            assert_eq!(patch["format"], format, "{patch}");
            streamed.take(&patch);
        }
        let answer = ask(&format!("&after={}&wait=20", polled.position)).json();
        let came = answer["publications"].as_array().expect("a list");
        came.iter().for_each(|one| polled.take(one));
        assert_eq!((came.len(), polled.patches), (3, 3), "{answer}");
        assert_eq!(answer["position"], polled.position.as_str());
        assert_eq!(polled.document, streamed.document);
        assert_eq!(polled.document["version"], version + 3);
        let lost = ask("&after=zzz:3&wait=20").json();
        assert_eq!(
            (&lost["recovered"], &lost["publications"][0]["data"]["version"]),
            (&json!(false), &json!(version + 3))
        );
    }
}

#[test]
fn who_comes_back_gets_the_changes_it_missed_or_the_newest_document() {
    let gateway = Gateway::configured(CHANNELS);
    let mut copy = Copy::default();
    let mut socket = enveloped(&gateway, "/state/a?updates=json-patch");
    socket.envelope("open");
    for version in 1..=3 {
        gateway.publish("state/a", &list(version, 3000));
        copy.take(&socket.json());
    }
    assert_eq!(copy.patches, 2);
    socket.cut();
    gateway.wait_subscribers("state/a", 0);
    for version in 4..=9 {
        gateway.publish("state/a", &list(version, 3000));
    }
    let after = copy.position.clone();
    let mut again = enveloped(&gateway, &format!("/state/a?updates=json-patch&after={after}"));
    let open = again.envelope("open");
    assert_eq!((&open["recovered"], &open["position"]), (&json!(true), &json!(after)));
    for version in 4..=9 {
        let envelope = again.envelope("patch");
        copy.take(&envelope);
        assert_eq!(copy.document["version"], version);
    }
    assert_eq!(copy.document, serde_json::from_str::<Value>(&list(9, 3000)).expect("JSON"));
    // Another epoch: a gap, and a document to begin anew with.
    let mut lost = enveloped(&gateway, "/state/a?updates=json-patch&after=zzz:3");
    assert_eq!(lost.envelope("open")["recovered"], false);
    assert_eq!(lost.envelope("message")["data"]["version"], 9);
}

#[test]
fn every_copy_is_the_document_at_every_position() {
    const PUBLICATIONS: u64 = 120;
    let gateway = Gateway::configured(CHANNELS);
    let published: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let targets = ["?updates=json-patch", "?updates=merge-patch", "", "?updates=json-patch"];
    std::thread::scope(|scope| {
        for (number, target) in targets.iter().cycle().take(12).enumerate() {
            let (gateway, published) = (&gateway, &published);
            scope.spawn(move || follow(gateway, target, number, published, PUBLICATIONS));
        }
        gateway.wait_subscribers("state/a", 12);
        for version in 1..=PUBLICATIONS {
            // What is compared on the shard, what is compared elsewhere, and what is not JSON, without a pause.
            let document = match version {
                version if version % 31 == 0 => format!("not JSON {version}"),
                version if version % 7 == 0 => list(version, 60_000),
                version => list(version, 1000),
            };
            let mut published = published.lock().expect("a lock");
            let answer = gateway.ask_admin(Request::post("/channels/state/a", document.clone()));
            let position = answer.json()["position"].as_str().expect("a position").to_owned();
            published.insert(position, document);
        }
    });
    assert!(gateway.metric("tidegate_compared_total") > 50.0);
}

/// Follows to the end; every few messages the connection is cut and taken up again.
fn follow(
    gateway: &Gateway,
    target: &str,
    number: usize,
    published: &Mutex<HashMap<String, String>>,
    last: u64,
) {
    let mut copy = Copy::default();
    let mut socket = enveloped(gateway, &format!("/state/a{target}"));
    let mut expected = 1;
    let mut since_cut = 0;
    while expected <= last {
        let envelope = socket.json();
        if envelope["type"] == "open" {
            assert_eq!(envelope["recovered"], true, "{target}");
            continue;
        }
        if envelope["text"].is_string() {
            copy.position = envelope["position"].as_str().expect("a position").to_owned();
            copy.document = Value::Null;
        } else {
            copy.take(&envelope);
            let published = published.lock().expect("a lock");
            let document = &published[&copy.position];
            assert_eq!(copy.document, serde_json::from_str::<Value>(document).expect("JSON"), "{target}");
        }
        assert!(copy.position.ends_with(&format!(":{expected}")), "{} is not {expected}", copy.position);
        expected += 1;
        since_cut += 1;
        if number > 3 && since_cut == 10 + number {
            since_cut = 0;
            socket.cut();
            let sign = if target.is_empty() { '?' } else { '&' };
            socket = enveloped(gateway, &format!("/state/a{target}{sign}after={}", copy.position));
        }
    }
    if target.contains("json") {
        assert!(copy.patches > 20, "{} patches", copy.patches);
    }
}

#[test]
fn a_burst_of_large_documents_keeps_its_order() {
    let gateway = Gateway::configured(&format!("[limits]\npatch_max_pending = 3\n{CHANNELS}"));
    let mut copy = Copy::default();
    let mut socket = enveloped(&gateway, "/state/a?updates=json-patch");
    socket.envelope("open");
    gateway.publish("state/a", &list(0, 300_000));
    copy.take(&socket.json());
    std::thread::scope(|scope| {
        for version in 1..=16 {
            let gateway = &gateway;
            scope.spawn(move || gateway.publish("state/a", &list(version, 300_000)));
        }
    });
    let mut versions = Vec::new();
    for offset in 2..=17 {
        copy.take(&socket.json());
        assert!(copy.position.ends_with(&format!(":{offset}")), "{}", copy.position);
        versions.push(copy.document["version"].as_u64().expect("a version"));
        let document: Value =
            serde_json::from_str(&list(versions[versions.len() - 1], 300_000)).expect("JSON");
        assert!(copy.document == document, "what stands at {offset} is not what was published");
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=16).collect::<Vec<_>>());
    assert!(gateway.metric("tidegate_uncompared_total") > 0.5, "more than three had to wait");
}

#[test]
fn where_nothing_is_compared_whole_publications_come() {
    let gateway = Gateway::configured(CHANNELS);
    let mut socket = enveloped(&gateway, "/plain/a?updates=json-patch");
    socket.envelope("open");
    for version in 1..=2 {
        gateway.publish("plain/a", &list(version, 1000));
        assert_eq!(socket.envelope("message")["data"]["version"], version);
    }
    // A document beyond the limit goes whole, too.
    let bounded = Gateway::configured(&format!("[limits]\npatch_max_document = \"2 KiB\"\n{CHANNELS}"));
    let mut socket = enveloped(&bounded, "/state/a?updates=json-patch");
    socket.envelope("open");
    for (version, kind) in [(1, "message"), (2, "patch"), (3, "patch")] {
        bounded.publish("state/a", &list(version, 1500));
        socket.envelope(kind);
    }
    bounded.publish("state/a", &list(4, 4000));
    socket.envelope("message");
    assert!((bounded.metric("tidegate_uncompared_total") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_follower_that_comes_back_goes_on_with_changes() {
    let gateway = Gateway::configured(CHANNELS);
    let options = Options { updates: Updates::JsonPatch, ..Options::default() };
    let mut follower = Follower::new(&gateway.ws("/state/a"), options).expect("a URL");
    let Event::Open { position, recovered: true, .. } = next(&mut follower).await else { panic!("an open") };
    assert_eq!(position.offset, 0);
    assert_eq!(follower.position("state/a"), Some(position), "before the first document nothing is missing");
    gateway.publish("state/a", &list(1, 3000));
    let Event::Message { .. } = next(&mut follower).await else { panic!("a document") };
    gateway.publish("state/a", &list(2, 3000));
    let Event::Patch { position, updates: Updates::JsonPatch, .. } = next(&mut follower).await else {
        panic!("a change")
    };
    assert_eq!(follower.position("state/a"), Some(position));
    let id = gateway.ask_admin(Request::get("/connections")).json()["connections"][0]["id"].clone();
    let id = id.as_str().expect("a connection").to_owned();
    assert_eq!(
        gateway.ask_admin(Request::new("DELETE", &format!("/connections/{id}?code=1012"))).status,
        200
    );
    assert!(matches!(next(&mut follower).await, Event::Lost { .. }));
    gateway.publish("state/a", &list(3, 3000));
    assert!(matches!(next(&mut follower).await, Event::Open { recovered: true, .. }));
    let Event::Patch { patch, .. } = next(&mut follower).await else { panic!("a change") };
    assert!(patch.contains(r#""path":"/version","value":3"#), "{patch}");
}

async fn next(follower: &mut Follower) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(60), follower.next());
    event.await.expect("an event in time").expect("an event")
}

#[test]
fn a_subscription_says_for_itself_what_it_wants() {
    let gateway = Gateway::configured(CHANNELS);
    let mut socket = enveloped(&gateway, "/state/a");
    socket.envelope("open");
    socket.send(r#"{"type":"subscribe","channel":"state/b","updates":"merge-patch","id":1}"#);
    assert_eq!(socket.envelope("reply")["error"], Value::Null);
    socket.envelope("open");
    for version in 1..=2 {
        gateway.publish("state/a", &list(version, 1000));
        assert_eq!(socket.envelope("message")["channel"], "state/a");
        gateway.publish("state/b", &list(version, 1000));
        let kind = if version == 1 { "message" } else { "patch" };
        assert_eq!(socket.envelope(kind)["channel"], "state/b");
    }
    socket.send(r#"{"type":"subscribe","channel":"state/c","updates":"diff","id":2}"#);
    let refused = socket.envelope("reply")["error"].clone();
    assert_eq!(refused["code"], "bad_request");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("merge-patch")), "{refused}");
    let stream = Request::get("/state/a?updates=diff").header("Accept", "text/event-stream");
    assert_eq!(stream.send(gateway.public()).status, 400);
    let bare = Dial::new(gateway.public(), "/state/a?updates=json-patch").refused();
    assert_eq!(bare.status, 400);
    assert!(bare.text().contains("tidegate.v1"), "{}", bare.text());
}
