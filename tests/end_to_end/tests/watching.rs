//! Watching a running gateway: who may, what is told, and what a watcher does wrong.

use serde_json::{Value, json};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::websocket::{Came, Dial, WebSocket};

/// Says something to the gateway.
fn say(watcher: &mut WebSocket, message: &Value) {
    watcher.send(&message.to_string());
}

/// The next message of this type; others are passed over.
fn next(watcher: &mut WebSocket, kind: &str) -> Value {
    loop {
        let message = watcher.json();
        if message["type"] == kind {
            return message;
        }
    }
}

#[test]
fn figures_come_once_a_second_until_nobody_wants_them() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    let mut watcher = gateway.dial_watch().open();
    assert_eq!(watcher.headers().get("sec-websocket-protocol"), Some("tidegate.watch.v1"));
    say(&mut watcher, &json!({ "type": "watch", "id": 1, "what": "figures" }));
    let first = watcher.json();
    assert_eq!((&first["type"], &first["id"]), (&json!("figures"), &json!(1)), "{first}");
    assert!(first["past"].is_array() && first["at"].as_u64() > Some(1_700_000_000_000), "{first}");
    let mut client = WebSocket::enveloped(gateway.public(), "/quotes");
    client.envelope("open");
    gateway.publish("quotes", "hello");
    let is_counted = |told: &Value| {
        let figures = &told["figures"];
        figures["connections"] == 1
            && figures["by_door"]["tidegate.v1"] == 1
            && figures["channels"] == 1
            && figures["publications"] == 1
            && figures["sent_messages"].as_u64() >= Some(1)
    };
    let mut told = watcher.json();
    while !is_counted(&told) {
        assert!(told["past"].is_null(), "{told}");
        told = watcher.json();
    }
    say(&mut watcher, &json!({ "type": "unwatch", "id": 1 }));
    say(&mut watcher, &json!({ "type": "watch", "id": 2, "what": "nothing" }));
    let error = next(&mut watcher, "error");
    assert_eq!(error["id"], 2);
    assert!(error["message"].as_str().is_some_and(|told| told.contains("figures")), "{error}");
    // No timer is left that would tell figures.
    watcher.silent_for(std::time::Duration::from_millis(1500));
}

#[test]
fn the_token_comes_in_a_field_or_as_a_subprotocol() {
    let gateway = Gateway::alone(&[]);
    let dial = || Dial::new(gateway.admin(), "/watch");
    let of_page =
        |token: &str| dial().subprotocol("tidegate.watch.v1").subprotocol(&format!("bearer.{token}"));
    let socket = of_page(gateway.token()).header("Origin", format_args!("http://{}", gateway.admin())).open();
    assert_eq!(socket.headers().get("sec-websocket-protocol"), Some("tidegate.watch.v1"));
    for (refused, status) in [
        (dial().subprotocol("tidegate.watch.v1"), 401),
        (of_page("wrong"), 401),
        (of_page(gateway.token()).header("Authorization", "Bearer wrong"), 401),
        (of_page(gateway.token()).header("Origin", "http://evil.example"), 403),
        (gateway.dial_watch().header("Sec-Fetch-Site", "cross-site"), 403),
        (dial().header("Authorization", format_args!("Bearer {}", gateway.token())), 400),
        (dial().subprotocol(&format!("bearer.{}", gateway.token())), 400),
    ] {
        let answer = refused.refused();
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let elsewhere =
        Dial::new(gateway.admin(), "/channels").subprotocol(&format!("bearer.{}", gateway.token()));
    assert_eq!(elsewhere.refused().status, 401, "only watching takes it there");
    let plain = gateway.ask_admin(Request::get("/watch"));
    assert_eq!(plain.status, 400, "{}", plain.text());
}

#[test]
fn a_watcher_that_errs_is_told_so_and_goes_on() {
    let gateway = Gateway::alone(&[]);
    let mut watcher = gateway.dial_watch().open();
    for (wrong, id, told) in [
        ("nonsense", None, "not an object of JSON"),
        ("{}", None, "an id that is a number"),
        (r#"{"type":"listen","id":4}"#, Some(4), "watch, unwatch and body"),
        (r#"{"type":"watch","id":5,"what":7}"#, Some(5), "invalid type"),
        (r#"{"type":"watch","id":6}"#, Some(6), "'what' is one of"),
    ] {
        watcher.send(wrong);
        let error = watcher.json();
        assert_eq!(error["type"], "error");
        assert_eq!(error["id"].as_u64(), id, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(told)), "{error}");
    }
    watcher.send_binary(b"{}");
    assert!(watcher.text().contains("messages are text"));
    say(&mut watcher, &json!({ "type": "watch", "id": 1, "what": "figures" }));
    next(&mut watcher, "figures");
    watcher.close();
}

#[test]
fn watchers_and_their_watches_have_a_bound() {
    let gateway = Gateway::configured(
        "[limits]\ninspect_max_watchers = 2\n[[route]]\npath = \"/{*all}\"\nchannel = {}\n",
    );
    let mut first = gateway.dial_watch().open();
    let second = gateway.dial_watch().open();
    let third = gateway.dial_watch().refused();
    assert_eq!(third.status, 503);
    assert!(third.text().contains("inspect_max_watchers"), "{}", third.text());
    let turned_away = gateway.metric("tidegate_turned_away_total{limit=\"inspect_max_watchers\"}");
    assert!((turned_away - 1.0).abs() < f64::EPSILON, "{turned_away}");
    for id in 1..=33 {
        say(&mut first, &json!({ "type": "watch", "id": id, "what": "figures" }));
    }
    let error = next(&mut first, "error");
    assert_eq!(error["id"], 33);
    // The same id takes the place of its watch.
    say(&mut first, &json!({ "type": "watch", "id": 32, "what": "nothing" }));
    assert_eq!(next(&mut first, "error")["id"], 32);
    say(&mut first, &json!({ "type": "watch", "id": 33, "what": "figures" }));
    while next(&mut first, "figures")["id"] != 33 {}
    let long = format!("{{\"type\":\"watch\",\"id\":1,\"what\":\"{}\"}}", "x".repeat(65 * 1024));
    first.send(&long);
    let code = loop {
        match first.came() {
            Came::Text(_) => {}
            Came::Close(code, _) => break code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1009);
    drop((first, second));
    // Their places are free as soon as their ends were seen.
    let deadline = tidegate_end_to_end::deadline::Deadline::of_patience();
    while gateway.dial_watch().try_open().is_ok_and(|opened| opened.is_err()) {
        assert!(deadline.left().is_some(), "the places were not given back");
    }
}
