//! History on the admin listener as publishers meet it: pages by position, what a channel keeps, publishing under
//! a key, and publishing that depends on a position.

use serde_json::{Value, json};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Answer, Request};
use tidegate_end_to_end::websocket::WebSocket;

fn post(gateway: &Gateway, text: &str, fields: &[(&str, &str)]) -> Answer {
    let mut request = Request::post("/channels/a", text).header("Content-Type", "text/plain");
    for (name, value) in fields {
        request = request.header(name, value);
    }
    gateway.ask_admin(request)
}

fn page(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.ask_admin(Request::get(&format!("/channels/a?{query}")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn position(answer: &Answer) -> String {
    answer.json()["position"].as_str().expect("a position").to_owned()
}

#[test]
fn history_is_read_in_pages_by_position() {
    let gateway = Gateway::alone(&[]);
    let before = position(&post(&gateway, "before", &[]));
    for number in 0..25 {
        gateway.publish("a", &format!("{{\"number\": {number}}}"));
    }
    let mut after = before;
    let mut seen = Vec::new();
    loop {
        let page = page(&gateway, &format!("after={after}&limit=10"));
        assert_eq!(page["recovered"], true);
        let publications = page["publications"].as_array().expect("a list");
        let Some(last) = publications.last() else { break };
        assert!(publications.len() <= 10);
        after = last["position"].as_str().expect("a position").to_owned();
        seen.extend(publications.iter().map(|one| one["data"]["number"].as_u64().expect("a number")));
    }
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
    assert_eq!(page(&gateway, "limit=1")["publications"][0]["data"]["number"], 24);
    for refused in ["limit=0", "limit=1001", "limit=x", "limit=-1", "after=", "after=nonsense"] {
        assert_eq!(
            gateway.ask_admin(Request::get(&format!("/channels/a?{refused}"))).status,
            400,
            "{refused}"
        );
    }
    let page = page(&gateway, "after=zz:1");
    assert_eq!((&page["recovered"], &page["publications"]), (&json!(false), &json!([])));
}

#[test]
fn a_page_is_bounded_in_bytes_and_payloads_are_not_rewritten() {
    let gateway = Gateway::alone(&[]);
    let first = position(&post(&gateway, "[1e400, 1.10, 12345678901234567890123]", &[]));
    let answer = gateway.ask_admin(Request::get("/channels/a?limit=1")).text();
    assert!(answer.contains("\"data\":[1e400, 1.10, 12345678901234567890123]"), "{answer}");
    let large = "x".repeat(600 * 1024);
    (0..3).for_each(|_| drop(gateway.publish("a", &large)));
    let count = |page: &Value| page["publications"].as_array().map(Vec::len);
    assert_eq!(count(&page(&gateway, &format!("after={first}"))), Some(1), "two are more than a page");
    assert_eq!(count(&page(&gateway, "limit=1000")), Some(1));
}

#[test]
fn a_route_says_how_much_is_kept_and_for_how_long() {
    let gateway = Gateway::configured(
        "[[route]]\npath = \"/few\"\nchannel = {}\nhistory = { size = 2 }\n\
         [[route]]\npath = \"/none\"\nchannel = {}\nhistory = { size = 0 }\n\
         [[route]]\npath = \"/short\"\nchannel = {}\nhistory = { ttl = \"1s\" }\n",
    );
    let kept = |channel: &str| gateway.channel(channel)["history"].clone();
    for channel in ["few", "none", "short"] {
        // A channel that keeps nothing exists as long as it is followed.
        let mut socket = WebSocket::enveloped(gateway.public(), &format!("/{channel}"));
        socket.envelope("open");
        let first = gateway.publish(channel, "1");
        (2..=3).for_each(|number| drop(gateway.publish(channel, &number.to_string())));
        let after = |position: &str| {
            let shown =
                gateway.ask_admin(Request::get(&format!("/channels/{channel}?after={position}"))).json();
            (shown["recovered"].as_bool(), shown["publications"].as_array().map(Vec::len))
        };
        match channel {
            "few" => {
                assert_eq!(kept(channel), 2);
                assert_eq!(after(&first), (Some(true), Some(2)));
                assert_eq!(after(&first.replace(":1", ":0")), (Some(false), Some(0)), "the first has gone");
            }
            "none" => {
                assert_eq!(kept(channel), 0);
                assert_eq!(after(&first.replace(":1", ":3")), (Some(true), Some(0)));
                assert_eq!(after(&first.replace(":1", ":2")), (Some(false), Some(0)));
            }
            _ => {
                let deadline = tidegate_end_to_end::deadline::Deadline::of_patience();
                while kept(channel) != 0 {
                    assert!(deadline.left().is_some(), "it is kept for longer than its time");
                }
                assert_eq!(after(&first.replace(":1", ":3")), (Some(true), Some(0)), "offsets go on");
                assert_eq!(gateway.publish(channel, "4"), first.replace(":1", ":4"));
            }
        }
    }
}

#[test]
fn a_key_publishes_once() {
    let gateway = Gateway::alone(&[]);
    let key = [("Idempotency-Key", "order-7")];
    let first = position(&post(&gateway, "1", &key));
    let second = position(&post(&gateway, "2", &[("Idempotency-Key", "order-8")]));
    assert_eq!(position(&post(&gateway, "1", &key)), first, "it has its place already");
    assert_eq!(page(&gateway, "limit=10")["position"], second.as_str());
    for refused in ["", "k\u{e9}y", &"k".repeat(256)] {
        assert_eq!(post(&gateway, "3", &[("Idempotency-Key", refused)]).status, 400, "{refused}");
    }
}

#[test]
fn a_precondition_is_judged_at_the_channels_home() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    let refused = |fields: &[(&str, &str)]| {
        let answer = post(&gateway, "no", fields);
        (answer.status, answer.json()["position"].clone())
    };
    assert_eq!(refused(&[("If-Match", "*")]), (412, Value::Null), "nothing has been published");
    assert_eq!(refused(&[("If-Match", "k3f9:1")]), (412, Value::Null));
    let first = post(&gateway, "1", &[("If-None-Match", "*")]);
    assert_eq!(first.status, 202, "{}", first.text());
    let first = position(&first);
    assert_eq!(refused(&[("If-None-Match", "*")]), (412, first.as_str().into()));
    assert_eq!(refused(&[("If-Match", "k3f9:1")]), (412, first.as_str().into()));
    let second = position(&post(&gateway, "2", &[("If-Match", &first)]));
    let third = position(&post(&gateway, "3", &[("If-Match", &format!("\"{second}\""))]));
    let fourth = position(&post(&gateway, "4", &[("If-Match", "*")]));
    assert_eq!(refused(&[("If-Match", &third)]), (412, fourth.as_str().into()));
    let shown = page(&gateway, "limit=10");
    let texts: Vec<_> =
        shown["publications"].as_array().expect("a list").iter().map(|one| &one["data"]).collect();
    assert_eq!(texts, [1, 2, 3, 4]);
    for (name, value) in [("If-Match", "nonsense"), ("If-Match", "W/\"a:1\""), ("If-None-Match", "a:1")] {
        assert_eq!(post(&gateway, "5", &[(name, value)]).status, 400, "{name}: {value}");
    }
    assert_eq!(post(&gateway, "5", &[("If-Match", "*"), ("If-None-Match", "*")]).status, 400);
    // A publisher that repeats itself under its key is told that it has been done.
    let twice = [("If-Match", fourth.as_str()), ("Idempotency-Key", "k")];
    let fifth = post(&gateway, "5", &twice);
    assert_eq!((fifth.status, position(&post(&gateway, "5", &twice))), (202, position(&fifth)));
}

#[test]
fn of_many_who_depend_on_one_position_one_publishes() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    let first = gateway.publish("a", "0");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8)
            .map(|number| {
                let (gateway, first) = (&gateway, &first);
                scope.spawn(move || post(gateway, &number.to_string(), &[("If-Match", first)]).status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
    assert_eq!(page(&gateway, "limit=10")["publications"].as_array().map(Vec::len), Some(2));
}
