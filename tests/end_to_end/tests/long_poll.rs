//! Long polls: answered at once where there is something to say, held where there is not, and in all else
//! sessions like those of the other doors.

use std::process::Command;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Gate, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Answer, Request};
use tidegate_end_to_end::stream::Stream;
use tidegate_end_to_end::websocket::WebSocket;
use tidegate_test_tools::need;

const CHANNELS: &str = r#"
[listen]
shards = 2

[limits]
drain_grace = "0s"
drain_spread = "100ms"

[[route]]
path = "/feed/{name}"
channel = {}
history = { size = 5, ttl = "5m" }
"#;

const OPEN: &str = "tidegate_open_connections{door=\"longpoll\"}";

fn poll(gateway: &Gateway, target: &str) -> Answer {
    Request::get(target).send(gateway.public())
}

/// A poll on a connection of its own, which is waited for by joining.
fn begin(gateway: &Gateway, target: &str) -> JoinHandle<Answer> {
    let (address, target) = (gateway.public(), target.to_owned());
    spawn(move || Request::get(&target).send(address))
}

fn joined(polling: JoinHandle<Answer>) -> Answer {
    polling.join().expect("the poll is answered")
}

/// The positions and payloads of an answer, which agree with its head and its own position.
#[track_caller]
fn publications(answer: &Answer) -> Vec<(String, Value)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers.get("content-type"), Some("application/json"));
    let body = answer.json();
    assert_eq!(body["position"].as_str(), answer.headers.get("tidegate-position"), "{body}");
    let list = body["publications"].as_array().expect("a list").iter().map(|one| {
        let payload = ["data", "text", "binary"].map(|field| one[field].clone());
        let payload = payload.into_iter().find(|value| !value.is_null()).expect("a payload");
        (one["position"].as_str().expect("a position").to_owned(), payload)
    });
    let list: Vec<_> = list.collect();
    if let Some((last, _)) = list.last() {
        assert_eq!(body["position"], last.as_str(), "{body}");
    }
    list
}

fn position(answer: &Answer) -> String {
    answer.headers.get("tidegate-position").expect("where the client stands").to_owned()
}

#[test]
fn without_a_position_the_newest_comes_at_once() {
    let gateway = Gateway::configured(CHANNELS);
    let nothing = poll(&gateway, "/feed/a?wait=30");
    assert_eq!(publications(&nothing), []);
    assert_eq!(nothing.json()["recovered"], true);
    let start = position(&nothing);
    assert!(start.ends_with(":0"), "{start}");
    gateway.publish("feed/a", "one");
    let second = gateway.publish("feed/a", "two");
    let newest = poll(&gateway, "/feed/a?wait=30");
    assert_eq!(publications(&newest), [(second, json!("two"))]);
    // What was published before anybody asked has its place behind the first answer's.
    let all = poll(&gateway, &format!("/feed/a?after={start}&wait=30"));
    assert_eq!(publications(&all).len(), 2);
    assert_eq!(all.headers.get("cache-control"), Some("no-store"));
    assert_eq!(all.headers.get("x-content-type-options"), Some("nosniff"));
}

#[test]
fn with_a_position_it_waits_for_what_comes_next() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "one");
    let polling = begin(&gateway, &format!("/feed/a?after={first}&wait=30"));
    gateway.wait_subscribers("feed/a", 1);
    assert_eq!(gateway.metric(OPEN), 1.0);
    let second = gateway.publish("feed/a", r#"{"n": 1.50}"#);
    assert_eq!(publications(&joined(polling)), [(second, json!({ "n": 1.50 }))]);
    gateway.wait_subscribers("feed/a", 0);
    gateway.wait_metric(OPEN, 0.0);
    assert_eq!(gateway.metric("tidegate_connections_total{door=\"longpoll\"}"), 1.0);
    assert_eq!(gateway.metric("tidegate_closes_total{code=\"1000\"}"), 1.0);
}

#[test]
fn when_its_time_is_over_the_answer_is_204_and_the_position_stands() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "one");
    for (wait, least) in [("", 0), ("&wait=0", 0), ("&wait=1", 1000)] {
        let begun = Instant::now();
        let answer = poll(&gateway, &format!("/feed/a?after={first}{wait}"));
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{wait}: {}", answer.text());
        assert_eq!(position(&answer), first, "{wait}");
        assert!(begun.elapsed() >= Duration::from_millis(least), "{wait}: {:?}", begun.elapsed());
    }
}

#[test]
fn what_was_missed_comes_together_and_in_order() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "0");
    let rest: Vec<_> = (1..=5).map(|n| (gateway.publish("feed/a", &n.to_string()), json!(n))).collect();
    assert_eq!(publications(&poll(&gateway, &format!("/feed/a?after={first}"))), rest);
    let bytes = Request::post("/channels/feed/b", b"\xff".as_slice());
    gateway.ask_admin(bytes.header("Content-Type", "application/octet-stream"));
    assert_eq!(publications(&poll(&gateway, "/feed/b?wait=0"))[0].1, "/w==");
}

#[test]
fn what_is_too_much_for_one_answer_comes_with_the_next() {
    let limits = "[limits]\nmax_publication = \"64 KiB\"\nws_out_queue_bytes = \"128 KiB\"";
    let gateway = Gateway::configured(&CHANNELS.replace("[limits]", limits));
    let mut after = gateway.publish("feed/a", "first");
    let waiting = begin(&gateway, &format!("/feed/a?after={after}&wait=30"));
    gateway.wait_subscribers("feed/a", 1);
    let published: Vec<_> =
        (0..5).map(|number| gateway.publish("feed/a", &format!("{number}{}", "x".repeat(40_000)))).collect();
    let first = publications(&joined(waiting));
    assert!(!first.is_empty());
    for found in [first, Vec::new()] {
        let mut came: Vec<_> = found.into_iter().map(|(position, _)| position).collect();
        let mut stands = came.last().unwrap_or(&after).clone();
        loop {
            let answer = poll(&gateway, &format!("/feed/a?after={stands}&wait=0"));
            if answer.status == 204 {
                break;
            }
            assert_eq!(answer.json()["recovered"], true, "it is all kept");
            came.extend(publications(&answer).into_iter().map(|(position, _)| position));
            stands = position(&answer);
        }
        assert_eq!(came, published);
    }
    after = published[4].clone();
    assert_eq!(poll(&gateway, &format!("/feed/a?after={after}")).status, 204);
    assert_eq!(gateway.metric("tidegate_slow_consumers_queue_total"), 0.0);
}

#[test]
fn what_cannot_be_resumed_is_said_at_once() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "1");
    (2..=7).for_each(|number| drop(gateway.publish("feed/a", &number.to_string())));
    for after in [first.as_str(), "zz:1"] {
        let answer = poll(&gateway, &format!("/feed/a?after={after}&wait=30"));
        assert_eq!(publications(&answer), [], "never a part of it");
        assert_eq!(answer.json()["recovered"], false);
        let next = gateway.publish("feed/a", "next");
        let answer = poll(&gateway, &format!("/feed/a?after={}&wait=30", position(&answer)));
        assert_eq!(publications(&answer), [(next, json!("next"))], "from there on nothing is missed");
    }
}

#[test]
fn waits_and_positions_that_are_none_are_refused() {
    let gateway = Gateway::configured(&CHANNELS.replace("[limits]", "[limits]\nlongpoll_max_wait = \"30s\""));
    for (query, word) in [
        ("wait=31", "from 0 to 30"),
        ("wait=-1", "'wait'"),
        ("wait=", "'wait'"),
        ("wait=soon&after=k:1", "'wait'"),
        ("wait=1.5", "'wait'"),
        ("wait=1&after=yesterday", "epoch:offset"),
        ("after=1", "epoch:offset"),
        ("wait=1&updates=diff", "json-patch or merge-patch"),
    ] {
        let answer = poll(&gateway, &format!("/feed/a?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(word), "{query}: {}", answer.text());
    }
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "one");
    let mut stream = Stream::connect(gateway.public()).expect("it listens");
    let request = Request::get(&format!("/feed/a?after={first}&wait=60"));
    stream.send(&request.bytes("localhost")).expect("it is taken");
    gateway.wait_subscribers("feed/a", 1);
    stream.cut();
    gateway.wait_subscribers("feed/a", 0);
    gateway.wait_metric(OPEN, 0.0);
    gateway.wait_metric("tidegate_closes_total{code=\"1006\"}", 1.0);
}

#[test]
fn one_connection_carries_one_poll_after_another() {
    let gateway = Gateway::configured(CHANNELS);
    let mut stream = Stream::connect(gateway.public()).expect("it listens");
    let mut after = gateway.publish("feed/a", "0");
    for number in 1..=20 {
        let next = gateway.publish("feed/a", &number.to_string());
        let request = Request::get(&format!("/feed/a?after={after}&wait=30"));
        let (answer, left) =
            request.begin(stream).and_then(|answer| answer.whole_and_stream()).expect("an answer");
        assert_eq!(publications(&answer), [(next.clone(), json!(number))]);
        (stream, after) = (left, next);
    }
    assert_eq!(gateway.metric("tidegate_connections_total{door=\"longpoll\"}"), 20.0);
}

#[test]
fn an_operator_sees_a_poll_and_can_end_it() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "one");
    for (code, status) in [("4401", 401), ("1000", 503)] {
        let polling = begin(&gateway, &format!("/feed/a?after={first}&wait=60"));
        gateway.wait_subscribers("feed/a", 1);
        let connections = gateway.ask_admin(Request::get("/connections")).json();
        let shown = &connections["connections"][0];
        assert_eq!((&shown["door"], &shown["channels"]), (&json!("longpoll"), &json!(["feed/a"])));
        let id = shown["id"].as_str().expect("an id");
        gateway.ask_admin(Request::new("DELETE", &format!("/connections/{id}?code={code}&reason=why")));
        let answer = joined(polling);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains("why"), "{}", answer.text());
        assert_eq!(answer.headers.get("retry-after").is_some(), status == 503);
    }
    let polling = begin(&gateway, &format!("/feed/a?after={first}&wait=60"));
    gateway.wait_subscribers("feed/a", 1);
    gateway.ask_admin(Request::new("DELETE", "/channels/feed/a"));
    let answer = joined(polling);
    assert!(answer.status == 503 && answer.text().contains("dropped"), "{}", answer.text());
}

#[test]
fn a_restart_tells_those_who_wait_when_to_come_back() {
    let gateway = Gateway::configured(CHANNELS);
    let first = gateway.publish("feed/a", "one");
    let polls: Vec<_> = (0..4).map(|_| begin(&gateway, &format!("/feed/a?after={first}&wait=60"))).collect();
    gateway.wait_subscribers("feed/a", 4);
    gateway.signal(Signal::TERM);
    for polling in polls {
        let answer = joined(polling);
        assert_eq!(answer.status, 503, "{}", answer.text());
        let seconds: u64 =
            answer.headers.get("retry-after").and_then(|value| value.parse().ok()).expect("a hint");
        assert!((1..=20).contains(&seconds), "{seconds}");
    }
    assert_eq!(gateway.ended().code, Some(0));
}

/// A route with the door, one without, and what their backend was asked.
fn documents() -> (Document, Backend, Gateway) {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| match asked.target.split('?').next() {
        Some("/page") => Reply::ok(format!("page {}", asked.target)),
        _ => kept.reply(asked),
    });
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[limits]\npoll_linger = \"1s\"\n\
         [[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\", interval = \"100ms\" }}\n\
         doors = [\"longpoll\"]\n\
         [[route]]\npath = \"/y\"\nauto = {{ url = \"{url}\" }}\ndoors = [\"longpoll\"]\n\
         [[route]]\npath = \"/{{*rest}}\"\nauto = {{ url = \"{url}\" }}\n"
    ));
    (document, backend, gateway)
}

#[test]
fn a_document_is_awaited_where_the_route_has_the_door() {
    let (document, backend, gateway) = documents();
    let first = poll(&gateway, "/x?wait=30");
    assert_eq!(publications(&first)[0].1, 1, "a first poll awaits the first answer of the backend");
    let polling = begin(&gateway, &format!("/x?after={}&wait=30", position(&first)));
    gateway.wait_subscribers("x", 1);
    document.set("2");
    let second = joined(polling);
    assert_eq!(publications(&second)[0].1, 2);
    let lost = poll(&gateway, "/x?after=zz:1&wait=30");
    assert_eq!((&lost.json()["recovered"], &publications(&lost)[0].1), (&json!(false), &json!(2)));
    // On auto the channel's name has the query that is the backend's.
    let one = poll(&gateway, "/y?page=2&wait=0");
    assert_eq!(publications(&one)[0].1, 2);
    assert_eq!(backend.count("/y?page=2"), 1, "{one:?}");
}

#[test]
fn after_a_restart_the_document_that_is_on_its_way_is_awaited() {
    let (_document, _backend, gateway) = documents();
    let lost = poll(&gateway, "/x?after=zz:7&wait=30");
    assert_eq!((&lost.json()["recovered"], &publications(&lost)[0].1), (&json!(false), &json!(1)));
}

#[test]
fn a_backend_that_hangs_keeps_nobody_longer_than_he_would_wait() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |_| {
        held.pass();
        Reply::ok("1")
    });
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/{{*rest}}\"\nauto = {{ url = \"{url}\" }}\ndoors = [\"longpoll\"]\n"
    ));
    let waits = poll(&gateway, "/x?after=zz:7&wait=1");
    assert_eq!((waits.status, position(&waits).as_str()), (204, "zz:7"), "{}", waits.text());
    let polling = begin(&gateway, "/x?after=zz:7&wait=30");
    gate.open();
    assert_eq!(publications(&joined(polling))[0].1, 1);
}

#[test]
fn many_who_poll_are_one_poll_of_the_backend() {
    let (document, backend, gateway) = documents();
    let first = position(&poll(&gateway, "/x?wait=30"));
    let polls: Vec<_> = (0..30).map(|_| begin(&gateway, &format!("/x?after={first}&wait=30"))).collect();
    gateway.wait_subscribers("x", 30);
    let (before, begun) = (backend.count("/x"), Instant::now());
    backend.wait("/x", before + 5);
    assert!(begun.elapsed() >= Duration::from_millis(400), "one request an interval");
    document.set("2");
    for polling in polls {
        assert_eq!(publications(&joined(polling))[0].1, 2);
    }
    // Nobody polls any more: the backend has its rest, and what was known is gone with the source.
    gateway.wait_metric("tidegate_sources", 0.0);
    let later = poll(&gateway, &format!("/x?after={first}&wait=30"));
    assert_eq!(later.json()["recovered"], false);
}

#[test]
fn paging_of_a_backend_stays_its_own() {
    let (_document, _backend, gateway) = documents();
    let answer = poll(&gateway, "/page?after=7&wait=90");
    assert_eq!((answer.status, answer.text().as_str()), (200, "page /page?after=7&wait=90"));
    assert_eq!(gateway.metric("tidegate_connections_total{door=\"longpoll\"}"), 0.0);
}

/// Publishes while clients poll in a loop and come late to each round.
#[test]
fn a_loop_of_polls_gets_each_publication_once_and_in_order() {
    const COUNT: usize = 300;
    let gateway = Gateway::configured(&CHANNELS.replace("size = 5", "size = 1000"));
    let start = gateway.publish("feed/a", "start");
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, mut after) = (gateway.public(), start.clone());
            spawn(move || {
                let mut seen = Vec::new();
                while seen.len() < COUNT {
                    let answer = Request::get(&format!("/feed/a?after={after}&wait=10")).send(address);
                    assert_eq!(answer.json()["recovered"], true);
                    seen.extend(publications(&answer));
                    after = position(&answer);
                }
                seen
            })
        })
        .collect();
    let published: Vec<_> =
        (0..COUNT).map(|number| (gateway.publish("feed/a", &number.to_string()), json!(number))).collect();
    for client in clients {
        assert_eq!(client.join().expect("a client"), published);
    }
}

#[test]
fn a_poll_hears_what_a_socket_hears() {
    let gateway = Gateway::configured(CHANNELS);
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    let mut after = socket.envelope("open")["position"].as_str().expect("a position").to_owned();
    for body in ["text", "{\"a\":[1,2]}", "7"] {
        gateway.publish("feed/a", body);
        let mut envelope = socket.envelope("message");
        let answer = poll(&gateway, &format!("/feed/a?after={after}&wait=30"));
        let heard = answer.json()["publications"][0].clone();
        let fields = envelope.as_object_mut().expect("an object");
        fields.retain(|name, _| name != "type" && name != "channel");
        assert_eq!(heard, envelope);
        after = position(&answer);
    }
}

#[test]
fn curl_polls_over_both_versions_of_http() {
    let curl = need!(curl);
    let gateway = Gateway::configured(CHANNELS);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let first = gateway.publish("feed/a", "one");
        let url = gateway.http(&format!("/feed/a?after={first}&wait=30"));
        let child = Command::new(&curl)
            .args(["-s", version, &url])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("curl runs");
        gateway.wait_subscribers("feed/a", 1);
        let second = gateway.publish("feed/a", "two");
        let output = child.wait_with_output().expect("curl ends");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            answer,
            json!({ "position": second, "recovered": true, "publications": [{ "position": second, "text": "two" }] }),
            "{version}"
        );
        gateway.wait_subscribers("feed/a", 0);
        let nothing = Command::new(&curl)
            .args(["-s", version, "-o", "/dev/null", "-w", "%{http_code} %header{tidegate-position}"])
            .arg(gateway.http(&format!("/feed/a?after={second}&wait=0")))
            .output()
            .expect("curl runs");
        assert_eq!(String::from_utf8_lossy(&nothing.stdout), format!("204 {second}"), "{version}");
    }
}

/// Like those of the other doors, who polls is told when a source begins to fail and when it is well again. Between the
/// two a wait lasts as long as was asked for: who asks again at once would otherwise ask without a pause.
#[test]
fn a_source_that_fails_is_told_once_and_after_each_wait() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/x\"\npoll = {{ url = \"{}/x\", interval = \"100ms\" }}\ndoors = [\"longpoll\"]\n",
        backend.url()
    ));
    let first = poll(&gateway, "/x?wait=20").json();
    assert_eq!((&first["publications"][0]["data"], &first["error"]), (&json!(1), &Value::Null), "{first}");
    let after = first["position"].as_str().expect("a position");
    let waiting = begin(&gateway, &format!("/x?after={after}&wait=60"));
    gateway.wait_subscribers("x", 1);
    document.fail(Reply::status(500));
    let told = joined(waiting);
    assert!(publications(&told).is_empty());
    let error = &told.json()["error"];
    assert_eq!((&error["code"], &error["retry"]), (&json!("upstream"), &json!(true)), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("500")), "{error}");

    let begun = Instant::now();
    let again = poll(&gateway, &format!("/x?after={after}&wait=1"));
    assert!(publications(&again).is_empty() && begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(again.json()["error"]["code"], "upstream");

    let waiting = begin(&gateway, &format!("/x?after={after}&wait=60"));
    gateway.wait_subscribers("x", 1);
    document.mend();
    assert_eq!(joined(waiting).status, 204, "it is well again");
    let waiting = begin(&gateway, &format!("/x?after={after}&wait=60"));
    document.set("2");
    let body = joined(waiting).json();
    assert_eq!((&body["publications"][0]["data"], &body["error"]), (&json!(2), &Value::Null), "{body}");
}
