//! From a client's URL to the request upstream: which channel a handshake means, what the backend is asked for it, and
//! that many who want the same thing at once make one request.

use std::time::Duration;

use tidegate_end_to_end::backend::{Backend, Gate, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::websocket::{Dial, WebSocket};

/// A backend whose documents say what was asked for.
fn echo() -> Backend {
    Backend::start(|asked| Reply::ok(format!("this is {}", asked.target)))
}

#[test]
fn the_backend_is_asked_for_the_url_of_the_client() {
    let backend = echo();
    let gateway = Gateway::before(&backend.url(), &[]);
    for (target, asked) in [
        ("/", "/"),
        ("/?q", "/?q"),
        ("/x", "/x"),
        ("/x/", "/x/"),
        ("/x?a=1&b=%20+", "/x?a=1&b=%20+"),
        ("/x?after=k:1&a=1&token=t&b", "/x?a=1&b"),
        ("/x?after=k:1", "/x"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a%25b", "/a%25b"),
        ("/a%23b", "/a%23b"),
        ("/a%22b", "/a%22b"),
        ("/a+b;c=d,e@f:g", "/a+b;c=d,e@f:g"),
        ("/%41", "/A"),
    ] {
        assert_eq!(WebSocket::open(gateway.public(), target).text(), format!("this is {asked}"), "{target}");
        let mut stream = EventStream::open(gateway.public(), target);
        stream.named("tidegate-open");
        assert_eq!(stream.message().data, format!("this is {asked}"), "{target}");
    }
}

/// Whether an escaped question mark is refused or passed on, it must not make one channel of two URLs: whoever opened
/// one of them would decide what all clients of the other see.
#[test]
fn an_escaped_question_mark_makes_no_other_channel_of_a_path() {
    let backend = echo();
    let gateway = Gateway::before(&backend.url(), &[]);
    let escaped = Dial::new(gateway.public(), "/x%3Fq").try_open().expect("an answer");
    let escaped = escaped.map(|mut socket| socket.text()).map_err(|refused| refused.status);
    assert_eq!(WebSocket::open(gateway.public(), "/x?q").text(), "this is /x?q", "{escaped:?}");
    assert!(matches!(escaped.as_deref(), Ok("this is /x%3Fq") | Err(400)), "{escaped:?}");
}

#[test]
fn parameters_of_a_template_cannot_leave_their_place() {
    let backend = echo();
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/quotes/{{symbol}}\"\npoll = {{ url = \"{url}/api/{{symbol}}?of={{symbol}}\" }}\n"
    ));
    for (target, asked) in [
        ("/quotes/BTC", "/api/BTC?of=BTC"),
        ("/quotes/a%20b", "/api/a%20b?of=a%20b"),
        ("/quotes/a%26b%3Dc", "/api/a&b=c?of=a%26b%3Dc"),
        ("/quotes/%23", "/api/%23?of=%23"),
    ] {
        assert_eq!(WebSocket::open(gateway.public(), target).text(), format!("this is {asked}"), "{target}");
    }
    for target in ["/quotes/..", "/quotes/%2e%2e", "/quotes/a%2F..%2Fb", "/quotes/a/b", "/quotes/"] {
        let refused = Dial::new(gateway.public(), target).refused();
        assert!(matches!(refused.status, 400 | 404), "{target}: {}", refused.status);
    }
}

#[test]
fn many_who_come_at_once_make_one_request() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |asked| {
        held.pass();
        if asked.target == "/404" { Reply::status(404).body("no") } else { Reply::ok("1") }
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let dial = |target: &'static str| Dial::new(gateway.public(), target).try_open().expect("an answer");
    std::thread::scope(|scope| {
        let found: Vec<_> = (0..40).map(|_| scope.spawn(|| dial("/x"))).collect();
        let missing: Vec<_> = (0..20).map(|_| scope.spawn(|| dial("/404"))).collect();
        backend.wait("/x", 1);
        backend.wait("/404", 1);
        // All of them have sent their handshakes before anything is answered.
        gateway.wait_metric("tidegate_sources", 2.0);
        gate.open();
        for thread in found {
            let mut socket = thread.join().expect("a client").expect("it is there");
            assert_eq!(socket.text(), "1");
        }
        for thread in missing {
            let refused = thread.join().expect("a client").expect_err("it is not there");
            assert_eq!((refused.status, refused.text().as_str()), (404, "no"));
        }
    });
    let at = backend.asked("/x");
    let at_once = at.iter().filter(|asked| asked.at.duration_since(at[0].at) < Duration::from_millis(900));
    assert_eq!(at_once.count(), 1);
}

#[test]
fn a_client_that_goes_during_its_handshake_leaves_nothing_behind() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::start(move |_| {
        held.pass();
        Reply::ok("1")
    });
    let limits = "[limits]\npoll_linger = \"100ms\"\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let mut stream = tidegate_end_to_end::stream::Stream::connect(gateway.public()).expect("it listens");
    let handshake = Request::get("/x")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", 13)
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    stream.send(&handshake.bytes("localhost")).expect("it is taken");
    backend.wait("/x", 1);
    stream.cut();
    gate.open();
    gateway.wait_metric("tidegate_sources", 0.0);
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), "1", "it can still be opened");
}

#[test]
fn a_document_that_cannot_be_used_refuses_the_handshake_with_a_sentence() {
    let backend = Backend::start(|asked| match asked.target.as_str() {
        "/large" => Reply::ok(vec![b'x'; (1 << 20) + 1]),
        "/gzip" => Reply::ok("\x1f").header("Content-Encoding", "gzip"),
        "/redirect" => Reply::status(302).header("Location", "http://elsewhere.example/"),
        _ => Reply::status(304),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    for (target, status, word) in [
        ("/large", 502, "more than 1048576 bytes"),
        ("/gzip", 502, "gzip"),
        ("/304", 502, "304"),
        ("/redirect", 302, ""),
    ] {
        let refused = Dial::new(gateway.public(), target).refused();
        assert_eq!(refused.status, status, "{target}: {}", refused.text());
        assert!(refused.text().contains(word), "{target}: {}", refused.text());
    }
    assert_eq!(gateway.metric("tidegate_sources"), 0.0);
}

#[test]
fn a_document_that_was_dropped_by_the_operator_comes_again() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), "1");
    assert_eq!(gateway.ask_admin(Request::new("DELETE", "/channels/x")).status, 200);
    assert_eq!(socket.closed().0, 1001);
    let mut again = WebSocket::open(gateway.public(), "/x");
    assert_eq!(again.text(), "1", "it has not changed, but this client has not seen it");
    document.set("2");
    assert_eq!(again.text(), "2");
}

#[test]
fn a_document_is_there_for_who_comes_back_within_the_linger() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\", interval = \"100ms\" }}\n\
         history = {{ size = 10, ttl = \"1s\" }}\n"
    ));
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), "1");
    socket.close();
    // Longer than the history's age, and than the pause between two looks at what is too old.
    let seen = backend.count("/x");
    backend.wait("/x", seen + 30);
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), "1");
}

#[test]
fn a_polled_channel_resumes_at_every_door_and_falls_back_to_the_newest() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\", interval = \"100ms\" }}\n"
    ));
    let mut watching = WebSocket::enveloped(gateway.public(), "/x");
    let mut first = watching.json();
    while first["type"] != "message" {
        first = watching.json();
    }
    let first = first["position"].as_str().expect("a position").to_owned();
    for text in ["2", "3"] {
        document.set(text);
        assert_eq!(watching.envelope("message")["data"].to_string(), text);
    }
    let after = format!("/x?after={first}");
    let mut bare = WebSocket::open(gateway.public(), &after);
    assert_eq!([bare.text(), bare.text()], ["2", "3"]);
    let mut stream = EventStream::resume(gateway.public(), "/x", &first);
    assert_eq!(stream.named("tidegate-open")["recovered"], true);
    assert_eq!([stream.message().data, stream.message().data], ["2", "3"]);

    let mut bare = WebSocket::open(gateway.public(), "/x?after=zz:9");
    assert_eq!(bare.text(), "3", "a document makes up for what was missed");
    let mut enveloped = WebSocket::enveloped(gateway.public(), "/x?after=zz:9");
    assert_eq!(enveloped.envelope("open")["recovered"], false);
    assert_eq!(enveloped.envelope("message")["data"], 3);
}

#[test]
fn an_answer_says_for_how_long_it_need_not_be_asked_again() {
    let document = Document::new("1").header("Cache-Control", "max-age=3");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), "1");
    let asked = backend.wait("/x", 2);
    let gap = asked[1].at.duration_since(asked[0].at);
    assert!((Duration::from_millis(2900)..Duration::from_millis(4500)).contains(&gap), "{gap:?}");
}

#[test]
fn a_source_goes_when_the_last_envelope_lets_go_of_it() {
    let backend = echo();
    let limits = "[limits]\npoll_linger = \"100ms\"\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let mut socket = WebSocket::enveloped(gateway.public(), "/x");
    socket.envelope("open");
    socket.envelope("message");
    socket.send(r#"{"type":"subscribe","channel":"y?q=1"}"#);
    assert_eq!(socket.envelope("open")["channel"], "y?q=1");
    assert_eq!(socket.envelope("message")["text"], "this is /y?q=1");
    gateway.wait_metric("tidegate_sources", 2.0);
    socket.send(r#"{"type":"unsubscribe","channel":"y?q=1","id":1}"#);
    socket.envelope("reply");
    gateway.wait_metric("tidegate_sources", 1.0);
    socket.send(r#"{"type":"subscribe","channel":"y?q=1","id":2}"#);
    socket.envelope("reply");
    socket.envelope("open");
    assert_eq!(socket.envelope("message")["text"], "this is /y?q=1");
}

#[test]
fn a_route_is_polled_from_its_first_client_on_even_if_the_backend_is_down() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    document.fail(Reply::status(500));
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\", interval = \"100ms\" }}\n"
    ));
    let mut bare = WebSocket::open(gateway.public(), "/x");
    let mut enveloped = WebSocket::enveloped(gateway.public(), "/x");
    enveloped.envelope("open");
    assert_eq!(enveloped.envelope("error")["code"], "upstream");
    document.mend();
    assert_eq!(bare.text(), "1");
    // That it is well again is told, and the document comes; both before anything else.
    let both = [enveloped.json(), enveloped.json()];
    assert!(both.iter().any(|one| one["type"] == "open"), "{both:?}");
    assert!(both.iter().any(|one| one["type"] == "message" && one["data"] == 1), "{both:?}");
}

#[test]
fn what_a_reload_takes_away_goes_on_for_those_who_have_it() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let url = backend.url();
    let poll = format!("[[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\", interval = \"100ms\" }}\n");
    let gateway = Gateway::configured(&poll);
    let mut socket = WebSocket::open(gateway.public(), "/x");
    assert_eq!(socket.text(), "1");
    let other = "[[route]]\npath = \"/y\"\nchannel = {}\n";
    std::fs::write(gateway.configuration(), other).expect("the file is written");
    gateway.signal(rustix::process::Signal::HUP);
    gateway.log().wait("the reload", |line| line.contains("the new configuration is in force").then_some(()));
    assert_eq!(Dial::new(gateway.public(), "/x").refused().status, 404);
    document.set("2");
    assert_eq!(socket.text(), "2");
}
