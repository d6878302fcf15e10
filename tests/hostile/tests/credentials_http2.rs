//! Every door of every kind of route with every credential that is no good, and with a good one, asked by streams of
//! HTTP/2, where a WebSocket is an extended CONNECT.

use tidegate_hostile::http2::{END_STREAM, Http2, get, websocket};
use tidegate_hostile::log;
use tidegate_hostile::stage::{KINDS, Stage, Wrong, is_socket, ways};

#[test]
fn every_door_of_every_route_refuses_every_credential_that_is_no_good_on_a_stream() {
    let stage = Stage::start("");
    let (doors, wrong) = (stage.doors(), stage.wrong());
    for (kind, _) in KINDS {
        for door in &doors {
            for Wrong { name, token, status } in &wrong {
                for (query, extra) in ways(token, is_socket(door)) {
                    let (found, body) = stage.at_door_http2(door, &format!("/{kind}/one{query}"), &extra);
                    assert_eq!(found, *status, "{kind} at {door} with {name}: {extra}{query}");
                    let said = String::from_utf8_lossy(&body);
                    assert!(!said.is_empty(), "{kind} at {door} with {name}: a reason");
                    assert!(token.len() < 8 || !said.contains(token.as_str()), "{name} is repeated: {said}");
                }
            }
        }
    }
    assert_eq!(stage.gate.admin("GET", "/channels").text().matches("one").count(), 0, "nothing was opened");
    let seen = format!("{}{}", log::lines().concat(), stage.gate.admin("GET", "/metrics").text());
    let long = wrong.iter().filter(|wrong| wrong.token.len() >= 16);
    assert!(
        long.map(|wrong| &wrong.token).all(|token| !seen.contains(token.as_str())),
        "a token was written down"
    );
}

#[test]
fn every_door_of_every_route_lets_a_good_credential_in_on_a_stream() {
    let stage = Stage::start("");
    for (kind, _) in KINDS {
        for door in stage.doors() {
            for (query, extra) in ways(&stage.good(), is_socket(&door)) {
                let (status, _) = stage.at_door_http2(&door, &format!("/{kind}/one{query}"), &extra);
                assert_eq!(status, 200, "{kind} at {door}: {extra}{query}");
            }
        }
    }
}

#[test]
fn what_a_channel_holds_is_for_those_who_may_follow_it_on_a_stream() {
    let stage = Stage::start("");
    assert_eq!(stage.gate.publish("channel/one", "secret").status, 202);
    for Wrong { name, token, status } in stage.wrong() {
        for (query, extra) in ways(&token, false) {
            let (found, body) = stage.at_door_http2("newest", &format!("/channel/one{query}"), &extra);
            assert_eq!(found, status, "{name}: {extra}{query}");
            assert!(!String::from_utf8_lossy(&body).contains("secret"), "{name}");
        }
    }
    for (query, extra) in ways(&stage.good(), false) {
        let (status, body) = stage.at_door_http2("newest", &format!("/channel/one{query}"), &extra);
        assert_eq!((status, body.as_slice()), (200, &b"secret"[..]), "{extra}{query}");
    }
}

#[test]
fn each_stream_of_a_connection_is_judged_by_its_own_credential() {
    let stage = Stage::start("");
    let good = format!("Bearer {}", stage.good());
    let mut client = Http2::connect(stage.gate.public);
    let mut stream = 1;
    let mut ask = |fields: Vec<(&str, &str)>, flags: u8, token: Option<&str>| {
        let token = token.map(|token| ("authorization", token));
        let fields: Vec<_> = fields.into_iter().chain(token).collect();
        client.open(stream, &fields, flags);
        let status = client.status(stream);
        stream += 2;
        status
    };
    let events = [("accept", "text/event-stream")];
    for (token, status) in [(Some(good.as_str()), 200), (None, 401), (Some("Bearer x"), 401)].repeat(3) {
        assert_eq!(ask(get("/channel/one", &events), END_STREAM, token), status, "{token:?}");
        assert_eq!(ask(websocket("/channel/one"), 0, token), status, "{token:?}");
    }
    stage.gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 3);
    stage.gate.await_metric("tidegate_open_connections{door=\"event_stream\"}", 3);
}
