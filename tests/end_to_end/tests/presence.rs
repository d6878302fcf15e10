//! Who is here: joins, leaves and counts on channels that tell, at all doors and over two shards.

use serde_json::{Value, json};
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::json_lines::JsonLines;
use tidegate_end_to_end::websocket::WebSocket;

const CHANNELS: &str = r#"
[listen]
shards = 2

[limits]
presence_max_told = 5

[[route]]
path = "/room/{name}"
channel = {}
presence = true

[[route]]
path = "/plain/{name}"
channel = {}
"#;

fn enveloped(gateway: &Gateway, target: &str) -> WebSocket {
    WebSocket::enveloped(gateway.public(), target)
}

fn ids(members: &Value) -> Vec<String> {
    let members = members.as_array().expect("a list of members");
    members.iter().map(|member| member["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn who_comes_and_goes_is_told_to_those_who_are_here() {
    let gateway = Gateway::configured(CHANNELS);
    let mut first = enveloped(&gateway, "/room/a");
    let open = first.json();
    assert_eq!((ids(&open["present"]).len(), &open["count"]), (1, &json!(1)), "{open}");
    let own = ids(&open["present"])[0].clone();
    let mut second = enveloped(&gateway, "/room/a");
    let open = second.json();
    assert_eq!(open["count"], 2);
    assert_eq!(ids(&open["present"])[0], own, "who came first stands first");
    let second_id = ids(&open["present"])[1].clone();
    let join = first.json();
    assert_eq!(join["type"], "presence");
    assert_eq!((&join["join"]["id"], &join["count"]), (&json!(second_id), &json!(2)));
    drop(second);
    let leave = first.json();
    assert_eq!((&leave["leave"]["id"], &leave["count"]), (&json!(second_id), &json!(1)));
    // Its own join was not told to it, and publications stand where they belong.
    gateway.publish("room/a", "hello");
    assert_eq!(first.json()["text"], "hello");
    let shown = gateway.channel("room/a");
    assert_eq!((ids(&shown["present"]), &shown["count"]), (vec![own], &json!(1)));
}

#[test]
fn lines_are_told_and_a_poll_is_no_member() {
    let gateway = Gateway::configured(CHANNELS);
    let mut lines = JsonLines::open(gateway.public(), "/room/c");
    let open = lines.envelope("open");
    assert_eq!((ids(&open["present"]).len(), &open["count"]), (1, &json!(1)), "{open}");
    let first = Request::get("/room/c?wait=0").send(gateway.public()).json();
    let after = first["position"].as_str().expect("a position");
    assert_eq!(Request::get(&format!("/room/c?after={after}")).send(gateway.public()).status, 204);
    // Nobody was told of either poll: what comes next is about somebody else.
    let socket = enveloped(&gateway, "/room/c");
    let join = lines.envelope("presence");
    assert_eq!((join["join"]["id"].is_string(), &join["count"]), (true, &json!(2)), "{join}");
    drop(socket);
    assert_eq!(lines.envelope("presence")["count"], 1);
}

#[test]
fn an_event_stream_is_told_too_and_a_bare_client_only_counts() {
    let gateway = Gateway::configured(CHANNELS);
    let mut stream = EventStream::open(gateway.public(), "/room/b");
    assert_eq!(stream.named("tidegate-open")["count"], 1);
    let mut bare = WebSocket::open(gateway.public(), "/room/b");
    assert_eq!(stream.named("tidegate-presence")["count"], 2);
    gateway.publish("room/b", "hello");
    assert_eq!(bare.text(), "hello", "payloads and nothing else");
}

#[test]
fn a_subscription_of_an_open_connection_is_a_member_until_it_ends() {
    let gateway = Gateway::configured(CHANNELS);
    let mut watcher = enveloped(&gateway, "/room/c");
    assert_eq!(watcher.json()["count"], 1);
    let mut other = enveloped(&gateway, "/plain/x");
    let open = other.json();
    assert_eq!(open["present"], Value::Null, "the route does not tell");
    other.send(r#"{"type":"subscribe","channel":"room/c"}"#);
    assert_eq!(watcher.json()["count"], 2);
    other.send(r#"{"type":"unsubscribe","channel":"room/c"}"#);
    let leave = watcher.json();
    assert_eq!((&leave["count"], leave["leave"]["id"].is_string()), (&json!(1), true));
}

#[test]
fn beyond_the_bound_nobody_is_told_but_the_count_is_right() {
    let gateway = Gateway::configured(CHANNELS);
    let mut all: Vec<WebSocket> = Vec::new();
    for count in 1..=8 {
        let mut one = enveloped(&gateway, "/room/d");
        assert_eq!(one.json()["count"], count);
        all.push(one);
    }
    // The first was told of the second to the fifth, and then of nothing.
    for count in 2..=5 {
        assert_eq!(all[0].json()["count"], count);
    }
    gateway.publish("room/d", "next");
    assert_eq!(all[0].json()["text"], "next");
}
