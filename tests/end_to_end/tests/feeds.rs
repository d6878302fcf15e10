//! What somebody who watches a gateway is told of its connections, channels and handshakes: filtered, sorted, within
//! bounds, and only when something is different.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::websocket::{Dial, WebSocket};

fn watch(watcher: &mut WebSocket, message: &Value) {
    watcher.send(&message.to_string());
}

/// The next message with this id that is as it should be; others with it are passed over.
fn until(watcher: &mut WebSocket, id: u64, is_awaited: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = watcher.json();
        assert_ne!(message["type"], "error", "{message}");
        if message["id"] == id && is_awaited(&message) {
            return message;
        }
    }
}

fn error(watcher: &mut WebSocket) -> String {
    loop {
        let message = watcher.json();
        if message["type"] == "error" {
            return message["message"].as_str().expect("a sentence").to_owned();
        }
    }
}

fn open(gateway: &Gateway, path: &str) -> WebSocket {
    let mut socket = WebSocket::enveloped(gateway.public(), path);
    socket.envelope("open");
    socket
}

fn paths(rows: &Value) -> Vec<&str> {
    rows.as_array().expect("rows").iter().map(|row| row["path"].as_str().expect("a path")).collect()
}

#[test]
fn connections_are_listed_as_they_come_speak_and_go() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    let mut watcher = gateway.dial_watch().open();
    let quotes = json!({ "type": "watch", "id": 1, "what": "connections", "filter": "path:/quotes/* -op:ping", "sort": "sent" });
    watch(&mut watcher, &quotes);
    let first = until(&mut watcher, 1, |_| true);
    assert_eq!(
        (&first["total"], &first["rows"], &first["closed"]),
        (&json!(0), &json!([]), &json!([])),
        "{first}"
    );
    let (_one, two, _other) =
        (open(&gateway, "/quotes/a"), open(&gateway, "/quotes/b"), open(&gateway, "/news"));
    gateway.publish("quotes/b", &"x".repeat(1000));
    let sorted = until(&mut watcher, 1, |told| {
        told["total"] == 3 && told["rows"][0]["sent_bytes"].as_u64().is_some_and(|sent| sent > 1000)
    });
    assert_eq!(sorted["matched"], 2, "{sorted}");
    assert_eq!(paths(&sorted["rows"]), ["/quotes/b", "/quotes/a"], "{sorted}");
    assert_eq!(sorted["rows"][0]["door"], "tidegate.v1");
    // Nothing is different but how long they have been idle.
    watcher.silent_for(Duration::from_millis(1500));
    drop(two);
    let gone = until(&mut watcher, 1, |told| told["total"] == 2);
    let gone = if gone["closed"].as_array().is_some_and(Vec::is_empty) {
        until(&mut watcher, 1, |told| told["closed"] != json!([]))
    } else {
        gone
    };
    assert_eq!(
        (paths(&gone["rows"]), paths(&gone["closed"])),
        (vec!["/quotes/a"], vec!["/quotes/b"]),
        "{gone}"
    );
    assert!(gone["closed"][0]["close"]["what_happened"].is_string(), "{gone}");

    watch(
        &mut watcher,
        &json!({ "type": "watch", "id": 2, "what": "connections", "filter": "state:open path:/n*", "limit": 1 }),
    );
    assert_eq!(paths(&until(&mut watcher, 2, |_| true)["rows"]), ["/news"]);
    watch(
        &mut watcher,
        &json!({ "type": "watch", "id": 3, "what": "connections", "filter": "path:/a nokey:1" }),
    );
    let wrong = error(&mut watcher);
    assert!(wrong.contains("column 9") && wrong.contains("no key 'nokey'"), "{wrong}");
    watch(&mut watcher, &json!({ "type": "watch", "id": 3, "what": "connections", "sort": "beauty" }));
    assert!(error(&mut watcher).contains("activity"), "what there is to sort by");
}

#[test]
fn a_list_of_many_connections_is_gathered_in_portions() {
    let gateway = Gateway::alone(&["--shards", "1"]);
    let dial = Dial::new(gateway.public(), "/crowd");
    let sockets: Vec<WebSocket> = (0..600).map(|_| dial.open()).collect();
    let mut watcher = gateway.dial_watch().open();
    watch(&mut watcher, &json!({ "type": "watch", "id": 1, "what": "connections", "limit": 5000 }));
    let all = until(&mut watcher, 1, |told| told["total"] == 600);
    let rows = all["rows"].as_array().expect("rows");
    assert_eq!(all["matched"], 600);
    // As many as a message holds, each once.
    let mut ids: Vec<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(
        rows.len() > 512 && ids.len() == rows.len() && all.to_string().len() <= 1 << 20,
        "{}",
        rows.len()
    );
    drop(sockets);
}

#[test]
fn channels_are_listed_with_their_rates() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    for channel in ["quotes/a", "quotes/b", "news"] {
        gateway.publish(channel, "1");
    }
    let _follower = open(&gateway, "/quotes/b");
    let mut watcher = gateway.dial_watch().open();
    watch(&mut watcher, &json!({ "type": "watch", "id": 1, "what": "channels", "prefix": "quotes/" }));
    let told = until(&mut watcher, 1, |told| told["rows"][1]["subscribers"] == 1);
    let names: Vec<_> =
        told["rows"].as_array().expect("rows").iter().map(|row| row["channel"].clone()).collect();
    assert_eq!((names, &told["total"]), (vec![json!("quotes/a"), json!("quotes/b")], &json!(3)), "{told}");
    assert_eq!((&told["rows"][0]["kind"], &told["rows"][0]["history"]), (&json!("channel"), &json!(1)));
    watch(&mut watcher, &json!({ "type": "unwatch", "id": 1 }));
    watch(&mut watcher, &json!({ "type": "watch", "id": 2, "what": "channels", "sort": "rate", "limit": 1 }));
    until(&mut watcher, 2, |_| true);
    gateway.publish("news", "2");
    let told = until(&mut watcher, 2, |told| told["rows"][0]["rate"].as_f64().is_some_and(|rate| rate > 0.0));
    assert_eq!(
        (&told["rows"][0]["channel"], told["rows"].as_array().map(Vec::len)),
        (&json!("news"), Some(1))
    );
    watch(&mut watcher, &json!({ "type": "watch", "id": 3, "what": "channels", "sort": "subscribers" }));
    let told = until(&mut watcher, 3, |_| true);
    assert_eq!(
        (&told["rows"][0]["channel"], &told["rows"][0]["subscribers"]),
        (&json!("quotes/b"), &json!(1))
    );
}

#[test]
fn handshakes_are_told_once_each_with_what_they_opened() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    let _before = open(&gateway, "/before");
    let mut watcher = gateway.dial_watch().open();
    watch(&mut watcher, &json!({ "type": "watch", "id": 1, "what": "handshakes" }));
    let recent = until(&mut watcher, 1, |told| told["rows"] != json!([]));
    assert_eq!(recent["rows"][0]["request"]["line"], "GET /before HTTP/1.1", "{recent}");
    assert!(recent["rows"][0]["connection"].is_string(), "{recent}");
    let refused = Dial::new(gateway.public(), "/refused").header("Origin", "https://evil.example").refused();
    assert_eq!(refused.status, 403);
    let told = until(&mut watcher, 1, |_| true);
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["rows"][0]["refused"]["setting"], "access.origins", "{told}");
    watcher.silent_for(Duration::from_millis(1200));
    let id = recent["rows"][0]["connection"].clone();
    watch(
        &mut watcher,
        &json!({ "type": "watch", "id": 2, "what": "connection", "connection": id, "level": "frames" }),
    );
    let one = until(&mut watcher, 2, |told| told["type"] == "connection");
    assert_eq!(one["handshake"]["request"], recent["rows"][0]["request"], "{one}");
}

#[test]
fn backends_are_told_with_what_they_cost_and_why_they_fail() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let gateway = Gateway::before(&backend.url(), &["--shards", "2"]);
    let mut watcher = gateway.dial_watch().open();
    watch(&mut watcher, &json!({ "type": "watch", "id": 1, "what": "backends" }));
    assert_eq!(until(&mut watcher, 1, |_| true)["rows"], json!([]));
    let mut client = open(&gateway, "/rates?api_key=hidden-from-all");
    client.envelope("message");
    let told = until(&mut watcher, 1, |told| told["rows"][0]["not_modified"].as_u64() >= Some(1));
    let row = &told["rows"][0];
    assert_eq!(
        (&row["kind"], &row["state"], &row["changes"]),
        (&json!("poll"), &json!("running"), &json!(1)),
        "{row}"
    );
    assert_eq!(
        (&row["last_status"], &row["errors"], &row["interval_ms"]),
        (&json!(304), &json!(0), &json!(1000))
    );
    assert!(row["requests"].as_u64() >= Some(2) && row["last_ms"].is_number(), "{row}");
    assert!(row["url"].as_str().is_some_and(|url| url.ends_with("/rates?api_key=[hidden]")), "{row}");
    document.fail(Reply::status(503));
    let told = until(&mut watcher, 1, |told| told["rows"][0]["state"] == "failing");
    let row = &told["rows"][0];
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("503")), "{row}");
    assert!(row["errors"].as_u64() >= Some(1) && row["last_status"] == 503, "{row}");
    let list = gateway.ask_admin(Request::get("/backends")).json();
    assert_eq!((&list["total"], &list["backends"][0]["state"]), (&json!(1), &json!("failing")), "{list}");
}
