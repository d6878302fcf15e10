//! What a backend meets behind `serve URL` and `poll` routes: one polite request for everybody of one identity,
//! and what clients meet: changes by value, troubles told where they can be, nobody else's document.

use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_end_to_end::backend::{Asked, Backend, Gate, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::websocket::{Came, Dial, WebSocket};

/// Time in which nothing may come that is not meant for somebody.
const A_WHILE: Duration = Duration::from_millis(250);

/// A backend with one document at every path.
fn serving(document: &Document) -> Backend {
    let document = document.clone();
    Backend::start(move |asked| document.reply(asked))
}

/// A `poll` route that asks often, so that tests need not wait a second for each change.
fn quick(backend: &Backend, more: &str) -> Gateway {
    let url = backend.url();
    Gateway::configured(&format!(
        "[limits]\npoll_linger = \"100ms\"\nupstream_first_byte = \"1s\"\n[[route]]\npath = \"/{{*rest}}\"\n\
         poll = {{ url = \"{url}/{{*rest}}\", interval = \"100ms\"{more} }}\n"
    ))
}

/// A browser's handshake: its own page's Origin, and a cookie.
fn browser(gateway: &Gateway, path: &str, cookie: &str) -> WebSocket {
    let origin = format!("http://{}", gateway.public());
    Dial::new(gateway.public(), path).header("Origin", origin).header("Cookie", cookie).open()
}

#[test]
fn one_request_serves_all_clients_and_conditions_make_it_cheap() {
    let document = Document::new(r#"{"n":1}"#);
    let backend = serving(&document);
    let gateway = Gateway::before(&backend.url(), &[]);
    let begun = Instant::now();
    let mut bare: Vec<_> = (0..20).map(|_| WebSocket::open(gateway.public(), "/x")).collect();
    let mut streams: Vec<_> = (0..5).map(|_| EventStream::open(gateway.public(), "/x")).collect();
    bare.iter_mut().for_each(|socket| assert_eq!(socket.text(), r#"{"n":1}"#));
    for stream in &mut streams {
        stream.named("tidegate-open");
        assert_eq!(stream.message().data, r#"{"n":1}"#);
    }
    let asked = backend.wait("/x", 3);
    assert_eq!(asked[0].header("if-none-match"), None);
    assert!(asked[1..].iter().all(|asked| asked.header("if-none-match") == Some("\"v1\"")));
    document.set(r#"{"n":2}"#);
    bare.iter_mut().for_each(|socket| assert_eq!(socket.text(), r#"{"n":2}"#));
    streams.iter_mut().for_each(|stream| assert_eq!(stream.message().data, r#"{"n":2}"#));
    let most = begun.elapsed().as_secs() as usize + 2;
    assert!(backend.count("/x") <= most, "{} requests in {:?}", backend.count("/x"), begun.elapsed());
    let gaps = backend.asked("/x").windows(2).map(|two| two[1].at - two[0].at).min();
    assert!(gaps >= Some(Duration::from_millis(950)), "two requests were only {gaps:?} apart");
}

#[test]
fn a_shared_request_carries_nothing_of_the_client_that_came_first() {
    let backend = serving(&Document::new("1"));
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut socket = Dial::new(gateway.public(), "/x?a=1&b=%20")
        .header("Origin", format_args!("http://{}", gateway.public()))
        .header("Accept-Language", "tlh")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("User-Agent", "first")
        .open();
    assert_eq!(socket.text(), "1");
    let asked = &backend.wait("/x?a=1&b=%20", 1)[0];
    for absent in ["origin", "accept-language", "x-forwarded-for", "sec-websocket-key", "upgrade"] {
        assert_eq!(asked.header(absent), None, "{absent}");
    }
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("tidegate/")), "{asked:?}");
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert_eq!(asked.header("host"), backend.url().strip_prefix("http://"));
}

#[test]
fn nobody_is_asked_while_nobody_listens() {
    let document = Document::new("1");
    let backend = serving(&document);
    let gateway = quick(&backend, "");
    assert!(!backend.is_asked_within(A_WHILE), "nobody has come yet");
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), "1");
    backend.wait("/x", 3);
    socket.close();
    // The linger, and the second in which a source is found idle.
    backend.wait_quiet(Duration::from_millis(1500));
    document.set("2");
    let count = backend.count("/x");
    let mut again = WebSocket::open(gateway.public(), "/x");
    assert_eq!(again.text(), "2", "what was known before is not taken for new");
    assert!(backend.count("/x") > count);
}

#[test]
fn documents_are_compared_by_value() {
    let document = Document::new(r#"{"a":1,"b":2}"#);
    let backend = serving(&document);
    let gateway = quick(&backend, "");
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), r#"{"a":1,"b":2}"#);
    document.set("{ \"b\": 2,\n  \"a\": 1 }");
    let seen = backend.count("/x");
    backend.wait("/x", seen + 3);
    document.set(r#"{"a":1.0,"b":2}"#);
    assert_eq!(socket.text(), r#"{"a":1.0,"b":2}"#, "numbers count by their text; the order did not count");
    document.set("not JSON ");
    assert_eq!(socket.text(), "not JSON ");
    document.set("not JSON");
    assert_eq!(socket.text(), "not JSON");
}

#[test]
fn troubles_are_told_where_they_can_be_and_clients_stay() {
    let document = Document::new("1");
    let backend = serving(&document);
    let gateway = quick(&backend, "");
    let address = gateway.public();
    let mut bare = WebSocket::open(address, "/x");
    let mut enveloped = WebSocket::enveloped(address, "/x");
    let mut stream = EventStream::open(address, "/x");
    assert_eq!(bare.text(), "1");
    // The document may have been there before the subscription or come after it.
    while enveloped.json()["type"] != "message" {}
    while stream.event().name == "tidegate-open" {}
    document.fail(Reply::status(500));
    let error = enveloped.envelope("error");
    assert_eq!((&error["code"], &error["retry"]), (&json!("upstream"), &json!(true)));
    assert!(error["message"].as_str().unwrap().contains("500"), "{error}");
    assert_eq!(stream.named("tidegate-error")["code"], "upstream");

    let mut late = WebSocket::enveloped(address, "/x");
    late.envelope("open");
    assert_eq!(late.envelope("message")["data"], 1);
    assert_eq!(late.envelope("error")["code"], "upstream", "who comes now is told too");

    document.mend();
    assert_eq!(enveloped.envelope("open")["recovered"], true);
    assert_eq!(late.envelope("open")["recovered"], true);
    assert_eq!(stream.named("tidegate-open")["recovered"], true);
    document.set("2");
    assert_eq!(bare.text(), "2", "a bare client saw nothing of it");
    assert_eq!(enveloped.envelope("message")["data"], 2);
    assert_eq!(stream.message().data, "2");
}

#[test]
fn retry_after_is_honoured() {
    let document = Document::new("1");
    let backend = serving(&document);
    let gateway = quick(&backend, "");
    let mut socket = WebSocket::enveloped(gateway.public(), "/x");
    while socket.json()["type"] != "message" {}
    document.fail(Reply::status(503).header("Retry-After", "2"));
    socket.envelope("error");
    let refused = Instant::now();
    document.mend();
    socket.envelope("open");
    assert!(refused.elapsed() >= Duration::from_millis(1900), "asked again after {:?}", refused.elapsed());
}

#[test]
fn an_identity_that_is_refused_loses_its_clients() {
    for (status, more) in [(401, ""), (403, ""), (302, "http://elsewhere.example/")] {
        let document = Document::new("1");
        let backend = serving(&document);
        let gateway = quick(&backend, "");
        let mut bare = WebSocket::open(gateway.public(), "/x");
        let mut enveloped = WebSocket::enveloped(gateway.public(), "/x");
        assert_eq!(bare.text(), "1");
        while enveloped.json()["type"] != "message" {}
        document.fail(Reply::status(status).header("Location", more));
        assert_eq!(bare.closed().0, 4401, "{status}");
        assert_eq!(enveloped.envelope("error")["code"], "unauthorized");
        assert_eq!(enveloped.envelope("close")["code"], 4401);
        assert_eq!(enveloped.envelope("close")["code"], 4401);
        assert_eq!(enveloped.closed().0, 4401);
    }
}

#[test]
fn a_handshake_is_refused_as_the_backend_refuses() {
    let backend = Backend::start(|asked| match asked.target.as_str() {
        "/401" => Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\"").body("who?"),
        "/404" => Reply::status(404).body("nothing here"),
        _ => Reply::ok("1"),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let refused = Dial::new(gateway.public(), "/401").refused();
    assert_eq!((refused.status, refused.text().as_str()), (401, "who?"));
    assert_eq!(refused.headers.get("www-authenticate"), Some("Basic realm=\"x\""));
    let refused = Dial::new(gateway.public(), "/404").refused();
    assert_eq!((refused.status, refused.text().as_str()), (404, "nothing here"));
    assert_eq!(WebSocket::open(gateway.public(), "/200").text(), "1");
}

#[test]
fn messages_are_posted_and_answered_to_their_sender_alone_and_in_order() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |asked| match asked.method.as_str() {
        "POST" => {
            // The first answer comes late; it must still be the first.
            if asked.text() == "1" {
                held.pass();
            }
            Reply::ok(format!("got {}", asked.text()))
        }
        _ => Reply::ok("document"),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut sender = browser(&gateway, "/x", "sid=ada");
    let mut other = browser(&gateway, "/x", "sid=ada");
    assert_eq!((sender.text(), other.text()), ("document".to_owned(), "document".to_owned()));
    (1..=5).for_each(|number: u8| sender.send(&number.to_string()));
    gate.open();
    for number in 1..=5 {
        assert_eq!(sender.text(), format!("got {number}"));
    }
    other.silent_for(A_WHILE);
    let posts: Vec<_> = backend.asked("/x").into_iter().filter(|asked| asked.method == "POST").collect();
    assert_eq!(posts.iter().map(Asked::text).collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
    assert_eq!(posts[0].header("content-type"), Some("text/plain"));
    assert_eq!(posts[0].header("cookie"), Some("sid=ada"));
    assert_eq!(posts[0].header("origin"), Some(format!("http://{}", gateway.public()).as_str()));
}

#[test]
fn each_kind_of_message_gets_the_answer_of_its_kind() {
    let backend = Backend::start(|asked| match (asked.method.as_str(), asked.text().as_str()) {
        ("POST", "silence") => Reply::status(204),
        ("POST", "fail") => Reply::status(500).body("broken"),
        ("POST", "json") => Reply::ok(r#"{"n":1}"#).header("Content-Type", "application/json"),
        ("POST", _) => {
            let kind = asked.header("content-type").unwrap_or_default().to_owned();
            Reply::ok(asked.body.clone()).header("Content-Type", &kind)
        }
        _ => Reply::ok("document"),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut bare = WebSocket::open(gateway.public(), "/x");
    assert_eq!(bare.text(), "document");
    bare.send_binary(b"\xff\x00");
    assert_eq!(bare.came(), Came::Binary(b"\xff\x00".to_vec()));
    ["silence", "fail", "json"].iter().for_each(|text| bare.send(text));
    assert_eq!(bare.text(), r#"{"n":1}"#, "204 and a failure send nothing to a bare client");

    let mut enveloped = WebSocket::enveloped(gateway.public(), "/x");
    enveloped.envelope("open");
    enveloped.envelope("message");
    enveloped.send(r#"{"type":"message","text":"json","id":1}"#);
    let reply = enveloped.envelope("reply");
    assert_eq!((&reply["id"], &reply["data"]), (&json!(1), &json!({ "n": 1 })));
    enveloped.send(r#"{"type":"message","text":"silence","id":2}"#);
    assert_eq!(enveloped.envelope("reply")["id"], 2);
    enveloped.send(r#"{"type":"message","text":"fail","id":3}"#);
    let reply = enveloped.envelope("reply");
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(3), &json!("upstream")));
    enveloped.send(r#"{"type":"message","text":"fail"}"#);
    assert_eq!(enveloped.envelope("error")["code"], "upstream");
}

#[test]
fn trouble_is_forgotten_with_the_source_that_had_it() {
    let document = Document::new("1");
    let backend = serving(&document);
    let gateway = Gateway::before_configured(&backend.url(), &[], "[limits]\npoll_linger = \"100ms\"\n");
    let mut first = WebSocket::enveloped(gateway.public(), "/x");
    first.envelope("open");
    first.envelope("message");
    document.fail(Reply::status(500));
    assert_eq!(first.envelope("error")["code"], "upstream");
    drop(first);
    gateway.wait_metric("tidegate_sources", 0.0);
    document.mend();
    let mut second = WebSocket::enveloped(gateway.public(), "/x");
    second.envelope("open");
    assert_eq!(second.json()["type"], "message");
    document.set("2");
    assert_eq!(second.json()["type"], "message", "and no error of a source that has ended");
}

#[test]
fn more_urls_than_may_be_polled_are_refused_by_name_of_the_limit() {
    let backend = serving(&Document::new("1"));
    let limits = "[limits]\npoll_max_urls = 2\npoll_linger = \"100ms\"\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let mut first = WebSocket::open(gateway.public(), "/1");
    let mut second = WebSocket::open(gateway.public(), "/2?a");
    let refused = Dial::new(gateway.public(), "/3").refused();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("poll_max_urls"), "{}", refused.text());
    assert!(refused.headers.get("retry-after").is_some());
    assert_eq!(
        WebSocket::open(gateway.public(), "/1").text(),
        "1",
        "what is polled already stays open to all"
    );
    assert_eq!((first.text(), second.text()), ("1".to_owned(), "1".to_owned()));
    first.close();
    // The linger and the look after it make room.
    gateway.wait_metric("tidegate_sources", 1.0);
    assert_eq!(WebSocket::open(gateway.public(), "/3").text(), "1");
}

#[test]
fn more_messages_than_may_wait_slow_their_sender_down_and_lose_nothing() {
    const MESSAGES: usize = 200;
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |asked| match asked.method.as_str() {
        "POST" => {
            held.pass();
            Reply::ok(asked.text())
        }
        _ => Reply::ok("document"),
    });
    let limits = "[limits]\nmessages_max_pending = 2\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), "document");
    (0..MESSAGES).for_each(|number| socket.send(&number.to_string()));
    gate.open();
    for number in 0..MESSAGES {
        assert_eq!(socket.text(), number.to_string());
    }
    let posts = backend.asked("/x").into_iter().filter(|asked| asked.method == "POST");
    assert!(posts.map(|asked| asked.text()).eq((0..MESSAGES).map(|number| number.to_string())));
}
