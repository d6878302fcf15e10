//! Who may share what behind `serve URL`: the identity of a request is part of what is polled, so that nobody gets
//! what another may see, and what everybody may see is asked for once and as nobody.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tidegate_end_to_end::backend::{Asked, Backend, Reply};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::websocket::{Dial, WebSocket};

/// Time in which nothing may come that is not meant for somebody.
const A_WHILE: Duration = Duration::from_millis(1300);

/// A backend whose document names who asked.
fn whoami(headers: &'static [(&'static str, &'static str)]) -> Backend {
    Backend::start(move |asked| {
        let who = asked.header("cookie").or(asked.header("authorization")).unwrap_or("nobody");
        let reply = Reply::ok(format!("hello {who}"));
        headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    })
}

/// A browser's handshake: its own page's Origin, and a cookie.
fn browser(gateway: &Gateway, path: &str, cookie: &str) -> WebSocket {
    let origin = format!("http://{}", gateway.public());
    Dial::new(gateway.public(), path).header("Origin", origin).header("Cookie", cookie).open()
}

#[test]
fn two_identities_never_see_each_others_document() {
    let backend = whoami(&[]);
    let gateway = Gateway::before(&backend.url(), &[]);
    let ada = &mut [browser(&gateway, "/x", "sid=ada"), browser(&gateway, "/x", "sid=ada")];
    let mut bob = browser(&gateway, "/x", "sid=bob");
    ada.iter_mut().for_each(|socket| assert_eq!(socket.text(), "hello sid=ada"));
    assert_eq!(bob.text(), "hello sid=bob");
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), "hello nobody");
    let stream = Request::get("/x").header("Authorization", "Bearer carol");
    let mut stream = EventStream::ask(gateway.public(), stream);
    stream.named("tidegate-open");
    assert_eq!(stream.message().data, "hello Bearer carol");
    let who = |asked: &Asked| asked.header("cookie").or(asked.header("authorization")).map(str::to_owned);
    let identities: HashSet<_> = backend.asked("/x").iter().map(who).collect();
    let expected = [Some("sid=ada"), Some("sid=bob"), Some("Bearer carol"), None];
    assert_eq!(identities, expected.map(|one| one.map(str::to_owned)).into());
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), "hello nobody", "and it stays like that");
}

#[test]
fn a_cookie_counts_only_where_no_foreign_page_can_have_sent_it() {
    let backend = whoami(&[]);
    let gateway = Gateway::before(&backend.url(), &[]);
    let dial = Dial::new(gateway.public(), "/x").header("Cookie", "sid=ada");
    assert_eq!(dial.open().text(), "hello nobody", "no Origin: whoever made this handshake is unknown");
    assert_eq!(dial.clone().header("Sec-Fetch-Site", "same-origin").open().text(), "hello sid=ada");
    let foreign = dial.clone().header("Origin", "http://evil.example").refused();
    assert_eq!(foreign.status, 403);
    let of_backend = dial.header("Origin", backend.url());
    assert_eq!(of_backend.open().text(), "hello sid=ada", "the backend's own pages may connect");
}

#[test]
fn an_answer_that_says_public_is_shared_by_all() {
    let backend = whoami(&[("Cache-Control", "public")]);
    let gateway = Gateway::before(&backend.url(), &[]);
    let first = browser(&gateway, "/x", "theme=dark").text();
    for cookie in ["theme=light", "theme=none", "x=y"] {
        assert_eq!(browser(&gateway, "/x", cookie).text(), first);
    }
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), first);
}

#[test]
fn public_but_varying_with_the_cookie_is_not_shared() {
    let backend = whoami(&[("Cache-Control", "public"), ("Vary", "Cookie")]);
    let gateway = Gateway::before(&backend.url(), &[]);
    assert_eq!(browser(&gateway, "/x", "sid=ada").text(), "hello sid=ada");
    assert_eq!(browser(&gateway, "/x", "sid=bob").text(), "hello sid=bob");
}

#[test]
fn the_operator_may_name_what_the_identity_is() {
    let backend = whoami(&[]);
    let gateway = Gateway::before(&backend.url(), &["--share", "cookie:sid"]);
    assert_eq!(browser(&gateway, "/x", "theme=dark; sid=ada").text(), "hello sid=ada");
    let before = backend.count("/x");
    assert_eq!(browser(&gateway, "/x", "sid=ada; theme=light").text(), "hello sid=ada");
    assert!(backend.count("/x") <= before + 1, "the other cookies make no poll of their own");
    assert_eq!(browser(&gateway, "/x", "theme=dark; sid=bob").text(), "hello sid=bob");
    assert_eq!(browser(&gateway, "/x", "theme=dark").text(), "hello nobody");

    let gateway = Gateway::before(&backend.url(), &["--share", "public"]);
    let asked_as_nobody = browser(&gateway, "/y", "sid=ada").text();
    assert_eq!(asked_as_nobody, "hello nobody", "no credential goes to the backend");
    assert_eq!(browser(&gateway, "/y", "sid=bob").text(), "hello nobody");
}

#[test]
fn what_varies_with_more_than_the_identity_is_each_clients_own() {
    let backend = Backend::start(|asked| {
        let origin = asked.header("origin").unwrap_or("none").to_owned();
        Reply::ok(origin).header("Vary", "Origin").header("Cache-Control", "public")
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let own = format!("http://{}", gateway.public());
    let from = |origin: &str| Dial::new(gateway.public(), "/x").header("Origin", origin).open().text();
    assert_eq!(from(&own), own);
    assert_eq!(from(&backend.url()), backend.url());
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), "none");
}

#[test]
fn a_cookie_is_set_only_for_the_one_whose_handshake_is_its_own() {
    let number = Arc::new(Mutex::new(0));
    let backend = Backend::start(move |asked| {
        let mut number = number.lock().unwrap();
        *number += 1;
        let reply = Reply::ok("1").header("Set-Cookie", &format!("sid={number}; HttpOnly"));
        match asked.target.as_str() {
            "/own" => reply.header("Vary", "*"),
            "/public" => reply.header("Cache-Control", "public"),
            _ => reply,
        }
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let cookie = |socket: &WebSocket| socket.headers().get("set-cookie").map(str::to_owned);
    let own = [(); 2].map(|()| WebSocket::open(gateway.public(), "/own"));
    let cookies = own.each_ref().map(cookie);
    assert!(cookies.iter().all(Option::is_some), "{cookies:?}");
    assert_ne!(cookies[0], cookies[1], "each has the one that the backend made for it");
    let shared = [(); 2].map(|()| WebSocket::open(gateway.public(), "/public"));
    assert_eq!(shared.each_ref().map(cookie), [None, None]);
    // Without an identity everybody is the same nobody, and shares.
    let nobody = [(); 2].map(|()| WebSocket::open(gateway.public(), "/x"));
    assert_eq!(nobody.each_ref().map(cookie), [None, None]);
}

#[test]
fn what_is_shared_is_asked_for_as_nobody() {
    let backend = whoami(&[("Cache-Control", "public, max-age=1")]);
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut first = browser(&gateway, "/x", "sid=ada");
    first.text();
    let mut second = browser(&gateway, "/x", "sid=bob");
    second.text();
    // The first request had to be made as the client that came first; those for everybody must not be.
    let asked = backend.wait("/x", 4);
    let as_somebody = asked[2..].iter().filter(|asked| asked.header("cookie").is_some()).count();
    assert_eq!(as_somebody, 0, "of {} requests for all", asked.len() - 2);
}

#[test]
fn an_answer_that_ceases_to_be_public_is_not_given_to_others() {
    let private = Arc::new(Mutex::new(false));
    let now_private = Arc::clone(&private);
    let backend = Backend::start(move |asked| match (*now_private.lock().unwrap(), asked.header("cookie")) {
        (true, Some(cookie)) => Reply::ok(format!("secret of {cookie}")).header("Cache-Control", "private"),
        (true, None) => Reply::ok("nobody's").header("Cache-Control", "private"),
        (false, _) => Reply::ok("for all").header("Cache-Control", "public"),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut ada = browser(&gateway, "/x", "sid=ada");
    let mut bob = browser(&gateway, "/x", "sid=bob");
    assert_eq!((ada.text(), bob.text()), ("for all".to_owned(), "for all".to_owned()));
    *private.lock().unwrap() = true;
    let seen = backend.count("/x");
    backend.wait("/x", seen + 2);
    let came = bob.next_by(Deadline::after(Duration::from_millis(500)));
    assert!(!format!("{came:?}").contains("ada"), "bob saw what is ada's: {came:?}");
}

#[test]
fn a_path_that_was_public_for_one_is_not_filled_with_what_another_may_see() {
    let backend = Backend::start(|asked| match asked.header("cookie") {
        Some(cookie) if cookie != "u=stale" => {
            Reply::ok(format!("secret of {cookie}")).header("Cache-Control", "private")
        }
        _ => Reply::ok("for all").header("Cache-Control", "public"),
    });
    let gateway = Gateway::before_configured(&backend.url(), &[], "[limits]\npoll_linger = \"100ms\"\n");
    let mut alice = browser(&gateway, "/x", "u=alice");
    assert_eq!(alice.text(), "secret of u=alice");
    let mut stale = browser(&gateway, "/x", "u=stale");
    assert_eq!(stale.text(), "for all");
    drop(stale);
    gateway.wait_metric("tidegate_sources", 1.0);
    let mut carol = browser(&gateway, "/x", "u=carol");
    assert_eq!(carol.text(), "secret of u=carol");
    assert_eq!(WebSocket::open(gateway.public(), "/x").text(), "for all");
}

#[test]
fn one_identity_that_is_refused_takes_no_other_with_it() {
    let refused = Arc::new(Mutex::new(false));
    let now_refused = Arc::clone(&refused);
    let backend = Backend::start(move |asked| match asked.header("cookie") {
        Some("sid=ada") if *now_refused.lock().unwrap() => Reply::status(401),
        who => Reply::ok(who.unwrap_or("nobody")),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut ada = browser(&gateway, "/x", "sid=ada");
    let mut bob = browser(&gateway, "/x", "sid=bob");
    assert_eq!((ada.text(), bob.text()), ("sid=ada".to_owned(), "sid=bob".to_owned()));
    *refused.lock().unwrap() = true;
    assert_eq!(ada.closed().0, 4401);
    bob.silent_for(A_WHILE);
    bob.close();
}

#[test]
fn a_subscription_by_command_is_judged_by_the_same_identity() {
    let backend = whoami(&[]);
    let gateway = Gateway::before(&backend.url(), &[]);
    let origin = format!("http://{}", gateway.public());
    let enveloped = |cookie: &str| {
        let dial = Dial::new(gateway.public(), "/x").header("Origin", &origin).header("Cookie", cookie);
        let mut socket = dial.subprotocol("tidegate.v1").open();
        socket.envelope("open");
        socket.envelope("message");
        socket
    };
    for cookie in ["sid=ada", "sid=bob"] {
        let mut socket = enveloped(cookie);
        socket.send(r#"{"type":"subscribe","channel":"y"}"#);
        assert_eq!(socket.envelope("open")["channel"], "y", "the name shows no identity");
        assert_eq!(socket.envelope("message")["text"], format!("hello {cookie}"));
    }
    let mut socket = enveloped("sid=eve");
    let list = gateway.ask_admin(Request::get("/channels")).json();
    let names = list["channels"].as_array().expect("a list").iter();
    let private = names.filter_map(|channel| channel["channel"].as_str()).find(|name| name.len() > 2);
    let guessed = private.expect("a channel of an identity").to_owned();
    for name in [guessed.clone(), guessed.replace('#', "\u{1f}"), format!("x\u{1f}{guessed}")] {
        socket.send(&json!({ "type": "subscribe", "channel": name, "id": 1 }).to_string());
        let reply = socket.envelope("reply");
        if reply["error"].is_null() {
            // A path of this name is polled as eve, and shows nothing of the others.
            socket.envelope("open");
            assert_eq!(socket.envelope("message")["text"], "hello sid=eve");
        }
        let published = gateway.ask_admin(Request::post(&format!("/channels/{}", escaped(&name)), "forged"));
        assert!(matches!(published.status, 400 | 409), "{name:?}: {}", published.status);
    }
}

/// For the path of a URL: each byte that is no letter or digit as an escape.
fn escaped(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(byte).collect()
}

#[test]
fn a_cookie_that_means_nothing_is_found_out() {
    let backend = whoami(&[]);
    let gateway = Gateway::before(&backend.url(), &[]);
    let sockets: Vec<_> = (0..10).map(|number| browser(&gateway, "/x", &format!("ga={number}"))).collect();
    gateway.log().wait("the warning", |line| {
        line.contains("10 identities on /x; name the session cookie with --share cookie:NAME").then_some(())
    });
    drop(sockets);
}

#[test]
fn a_poll_route_forwards_what_it_says_and_nothing_else() {
    let backend = Backend::start(|asked| {
        let seen = ["cookie", "authorization"].map(|name| asked.header(name).unwrap_or("none").to_owned());
        Reply::ok(seen.join(" and "))
    });
    let url = backend.url();
    let route = |path: &str, forward: &str| {
        format!(
            "[[route]]\npath = \"{path}\"\npoll = {{ url = \"{url}{path}\", interval = \"100ms\"{forward} }}\n"
        )
    };
    let configuration = [
        route("/none", ""),
        route("/cookie", ", forward = [\"cookie\"]"),
        route("/authorization", ", forward = \"authorization\""),
        route("/both", ", forward = [\"cookie\", \"authorization\"]"),
    ];
    let gateway = Gateway::configured(&configuration.concat());
    let origin = format!("http://{}", gateway.public());
    for who in ["ada", "bob"] {
        let see = |path: &str| {
            let dial = Dial::new(gateway.public(), path).header("Origin", &origin);
            let dial = dial.header("Cookie", format_args!("sid={who}"));
            dial.header("Authorization", format_args!("Bearer {who}")).open().text()
        };
        assert_eq!(see("/none"), "none and none");
        assert_eq!(see("/cookie"), format!("sid={who} and none"));
        assert_eq!(see("/authorization"), format!("none and Bearer {who}"));
        assert_eq!(see("/both"), format!("sid={who} and Bearer {who}"));
    }
}

#[test]
fn with_share_authorization_cookies_mean_nothing() {
    let backend = whoami(&[]);
    let gateway = Gateway::before(&backend.url(), &["--share", "authorization"]);
    let see = |name: &str, value: &str| {
        let origin = format!("http://{}", gateway.public());
        Dial::new(gateway.public(), "/x").header("Origin", origin).header(name, value).open().text()
    };
    assert_eq!(see("Cookie", "sid=ada"), "hello nobody");
    assert_eq!(see("Authorization", "Bearer ada"), "hello Bearer ada");
    assert_eq!(see("Authorization", "Bearer bob"), "hello Bearer bob");
}
