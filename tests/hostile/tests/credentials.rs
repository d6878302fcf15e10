//! Every door of every kind of route, and every call of the admin listener, with every credential that is no
//! good, wherever it may stand; and with a good one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_gateway::{ADMIN_CALLS, Options};
use tidegate_hostile::backend::Backend;
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::log;
use tidegate_hostile::signer::{Signer, claims, part, seconds_from_now};
use tidegate_hostile::socket::{Socket, close_frame};
use tidegate_hostile::stage::{GOOD, KINDS, Stage, Wrong, is_socket, ways};
use tidegate_hostile::wire::{Answer, Wire};

#[test]
fn every_door_of_every_route_refuses_every_credential_that_is_no_good() {
    let stage = Stage::start("");
    let (doors, wrong) = (stage.doors(), stage.wrong());
    for (kind, _) in KINDS {
        for door in &doors {
            for Wrong { name, token, status } in &wrong {
                for (query, extra) in ways(token, is_socket(door)) {
                    let answer = stage.at_door(door, &format!("/{kind}/one{query}"), &extra);
                    assert_eq!(answer.status, *status, "{kind} at {door} with {name}: {extra}{query}");
                    let challenge = answer.header("www-authenticate").unwrap_or_default();
                    assert_eq!(challenge.starts_with("Bearer"), *status == 401, "{name}: {challenge}");
                    let said = format!("{}{}", answer.head, answer.text());
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
fn every_door_of_every_route_lets_a_good_credential_in() {
    let stage = Stage::start("");
    for (kind, _) in KINDS {
        for door in stage.doors() {
            for (query, extra) in ways(&stage.good(), is_socket(&door)) {
                let answer = stage.at_door(&door, &format!("/{kind}/one{query}"), &extra);
                let good = if is_socket(&door) { 101 } else { 200 };
                assert_eq!(answer.status, good, "{kind} at {door}: {extra}{query}: {answer:?}");
                let subprotocol = answer.header("sec-websocket-protocol");
                assert!(subprotocol.is_none_or(|name| name == "tidegate.v1"), "{subprotocol:?}");
            }
        }
    }
}

#[test]
fn what_a_channel_holds_is_for_those_who_may_follow_it() {
    let stage = Stage::start("");
    assert_eq!(stage.gate.publish("channel/one", "secret").status, 202);
    let ask = |method: &str, query: &str, extra: &str| {
        let line = format!("{method} /channel/one{query} HTTP/1.1\r\nHost: localhost\r\n");
        stage.gate.ask(format!("{line}{extra}If-None-Match: \"x\"\r\nConnection: close\r\n\r\n"))
    };
    for Wrong { name, token, status } in stage.wrong() {
        for (query, extra) in ways(&token, false) {
            let answer = ask("GET", &query, &extra);
            assert_eq!(answer.status, status, "{name}: {extra}{query}");
            assert!(
                answer.header("etag").is_none() && answer.header("tidegate-position").is_none(),
                "{name}"
            );
            assert!(!answer.text().contains("secret"), "{name}");
        }
    }
    for (query, extra) in ways(&stage.good(), false) {
        let answer = ask("GET", &query, &extra);
        assert_eq!((answer.status, answer.text().as_str()), (200, "secret"), "{extra}{query}");
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "no cache gives it to others");
    }
    let preflight = "OPTIONS /channel/one HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\n\
         Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n\r\n";
    assert_eq!(stage.gate.ask(preflight).status, 204, "a browser asks without credentials first");
}

#[test]
fn a_poll_that_waits_ends_with_its_token() {
    let stage = Stage::start("");
    assert_eq!(stage.gate.publish("channel/one", "1").status, 202);
    let token = stage.signer.token(&format!(r#"{{"exp":{},{GOOD}}}"#, seconds_from_now(2)));
    let newest = stage.at_door("longpoll", &format!("/channel/one?token={token}"), "");
    let after = newest.header("tidegate-position").expect("a position");
    let begun = Instant::now();
    let answer = stage.gate.ask(format!(
        "GET /channel/one?after={after}&wait=60&token={token} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ));
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.text().contains("the token has expired"), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_cookie_of_a_foreign_page_or_of_nobody_opens_no_socket() {
    let stage = Stage::start("");
    let cookie = format!("Cookie: ticket={}\r\n", stage.good());
    for (extra, status) in [
        (cookie.clone(), 401),
        (format!("{cookie}Sec-Fetch-Site: cross-site\r\n"), 401),
        (format!("{cookie}Sec-Fetch-Site: same-site\r\n"), 401),
        (format!("{cookie}Origin: https://evil.example\r\n"), 403),
        (format!("{cookie}Origin: null\r\n"), 403),
        (format!("{cookie}Sec-Fetch-Site: same-origin\r\n"), 101),
        (format!("{cookie}Origin: http://localhost\r\n"), 101),
    ] {
        assert_eq!(stage.at_door("websocket", "/channel/one", &extra).status, status, "{extra}");
    }
    let streams = stage.at_door("event_stream", "/channel/one", &cookie.replace("ticket", "other"));
    assert_eq!(streams.status, 401, "a cookie that no issuer names");
}

#[test]
fn commands_are_judged_by_their_own_channel() {
    let stage = Stage::start("");
    for Wrong { name, token, status } in stage.wrong() {
        // On a route that asks for tokens when something is published, only what is missing is let in.
        if !token.is_empty() && status == 401 {
            let answer =
                stage.at_door("tidegate.v1", &format!("/open/x?token={}", token.replace(' ', "+")), "");
            assert_eq!(answer.status, 401, "{name}");
        }
        // Where no route asks for it, a credential that is no good is none.
        let query =
            if token.is_empty() { String::new() } else { format!("?token={}", token.replace(' ', "%20")) };
        let mut socket = Socket::open_envelopes(stage.gate.public, &format!("/free/x{query}"));
        assert_eq!(socket.next_json()["type"], "open");
        let code = if status == 401 { "unauthorized" } else { "forbidden" };
        for (kind, _) in KINDS {
            socket.text(&format!(r#"{{"type":"subscribe","channel":"{kind}/one","id":1}}"#));
            let reply = socket.next_json();
            assert_eq!(reply["error"]["code"], code, "subscribe to {kind} with {name}: {reply}");
            socket.text(&format!(r#"{{"type":"message","channel":"{kind}/one","data":1,"id":2}}"#));
            let reply = socket.next_json();
            // Clients publish on channels, and hand messages on where a route posts them.
            let expected = if matches!(*kind, "channel" | "auto") { code } else { "forbidden" };
            assert_eq!(reply["error"]["code"], expected, "message to {kind} with {name}: {reply}");
        }
    }
}

#[test]
fn publishing_and_following_are_granted_apart() {
    let stage = Stage::start("");
    let base = GOOD.replace("\"channels\":[\"/{*all}\"]", "LISTS");
    let token = |lists: &str| stage.of(&base.replace("LISTS", lists));
    let mut reader = Socket::open_envelopes(
        stage.gate.public,
        &format!("/channel/one?token={}", token(r#""subscribe":["channel/{x}"],"publish":["channel/two"]"#)),
    );
    assert_eq!(reader.next_json()["type"], "open");
    reader.text(r#"{"type":"message","data":"hello","id":1}"#);
    assert_eq!(reader.next_json()["error"]["code"], "forbidden");
    reader.text(r#"{"type":"message","channel":"channel/two","data":"hello","id":2}"#);
    let reply = reader.next_json();
    assert!(reply["position"].is_string(), "{reply}");
    let mut writer = Socket::open_with(
        stage.gate.public,
        "/open/x",
        &format!("Authorization: Bearer {}\r\n", token(r#""publish":["/open/x"]"#)),
    );
    writer.text("from a bare client");
    assert_eq!(writer.next_text(), "from a bare client");
    for (query, code) in
        [(String::new(), 4401), (format!("?token={}", token(r#""subscribe":["/open/x"]"#)), 4403)]
    {
        let mut socket = Socket::open(stage.gate.public, &format!("/open/x{query}"));
        socket.text("not from here");
        assert_eq!(socket.await_code(), code, "{query}");
    }
    let answer =
        stage.at_door("websocket", &format!("/channel/one?token={}", token(r#""publish":["{*all}"]"#)), "");
    assert_eq!(answer.status, 403, "who may publish need not read");
}

#[test]
fn who_is_here_is_whom_a_token_names() {
    let stage = Stage::start("");
    let enter = |user: &str| {
        let members = GOOD.replace("\"ann\"", &format!("\"{user}\""));
        let token = stage.of(&format!(r#"{members},"info":{{"name":"the {user}"}}"#));
        let mut socket = Socket::open_envelopes(stage.gate.public, &format!("/room/one?token={token}"));
        let open = socket.next_json();
        assert_eq!(open["type"], "open", "{open}");
        (socket, open)
    };
    let (mut ann, _) = enter("ann");
    let (mut bob, open) = enter("bob");
    let users: Vec<_> = open["present"].as_array().expect("a list").iter().map(|one| &one["user"]).collect();
    assert!(users.contains(&&"ann".into()), "{open}");
    loop {
        let told = ann.next_json();
        if told["join"]["user"] == "bob" {
            assert_eq!(told["join"]["info"]["name"], "the bob");
            break;
        }
    }
    bob.send(close_frame(1000, ""));
    loop {
        let told = ann.next_json();
        if told["leave"]["user"] == "bob" {
            break;
        }
    }
}

#[test]
fn every_admin_call_refuses_the_tokens_of_clients() {
    let stage = Stage::start("");
    let mut tokens: Vec<String> = stage.wrong().into_iter().map(|wrong| wrong.token).collect();
    tokens.retain(|token| token != TOKEN);
    tokens.push(stage.good());
    for call in ADMIN_CALLS {
        let path = call.path.replace("{channel}", "channel/one").replace("{file}", "icon.svg");
        let path = path.replace("{id}", "0-0.0");
        for method in call.methods {
            for token in &tokens {
                let mut wire = Wire::connect(stage.gate.admin);
                wire.send(format!(
                    "{method} {path}?token={} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
                     Authorization: Bearer {token}\r\nCookie: ticket={token}\r\n\r\n",
                    part(token)
                ));
                let status = wire.try_answer().map_or(0, |answer| answer.status);
                let expected = if call.needs_token { 401 } else { 200 };
                assert_eq!(status, expected, "{method} {path} with {token}");
            }
            let status = stage.gate.admin(method, &path).status;
            assert!(!matches!(status, 401 | 403), "{method} {path} with the admin token: {status}");
        }
    }
}

#[test]
fn what_is_there_makes_no_difference_to_a_refusal() {
    let stage = Stage::start("");
    assert_eq!(stage.gate.publish("channel/one", "x").status, 202);
    let elsewhere = stage.of(&GOOD.replace("/{*all}", "/elsewhere"));
    for extra in [String::new(), format!("Authorization: Bearer {elsewhere}\r\n")] {
        for door in stage.doors() {
            let [there, absent] = ["one", "two"].map(|name| {
                let Answer { status, head, body } = stage.at_door(&door, &format!("/channel/{name}"), &extra);
                // The moment of the answer is not about the channel.
                let head: Vec<&str> =
                    head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect();
                (status, head.join("\n"), body)
            });
            assert_eq!(there, absent, "{door} with {extra}");
        }
    }
}

#[test]
fn a_connection_ends_with_its_token() {
    let stage = Stage::start("");
    let begun = Instant::now();
    // Long enough for three connections, and with a fraction, as times in tokens may have.
    let end = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + Duration::from_millis(2500);
    let token = stage.signer.token(&format!(r#"{{"exp":{},{GOOD}}}"#, end.as_secs_f64()));
    let target = format!("/channel/one?token={token}");
    let mut bare = Socket::open(stage.gate.public, &target);
    let mut envelopes = Socket::open_envelopes(stage.gate.public, &target);
    let mut stream = stage.gate.connect();
    stream.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"));
    let mut lasting = Socket::open(stage.gate.public, &format!("/channel/one?token={}", stage.good()));
    assert_eq!(bare.await_close(), Some((Some(4401), "the token has expired (TG-3012)".to_owned())));
    assert_eq!(envelopes.next_json()["type"], "open");
    let close = envelopes.next_json();
    assert_eq!((&close["type"], &close["code"]), (&"close".into(), &4401.into()), "{close}");
    assert_eq!(close["reason"], "the token has expired (TG-3012)");
    assert_eq!(envelopes.await_code(), 4401);
    // The answer ends; its connection is kept for other requests.
    while !stream.unread.ends_with(b"0\r\n\r\n") {
        stream.read().expect("the end of the answer");
    }
    let text = String::from_utf8_lossy(&stream.unread);
    assert!(text.contains("event: tidegate-close") && text.contains("\"code\":4401"), "{text}");
    let passed = begun.elapsed();
    assert!(passed < Duration::from_millis(2500 + 5000), "{passed:?}");
    stage.gate.await_metric("tidegate_tokens_expired_total", 3);
    assert_eq!(stage.gate.publish("channel/one", "for those who stay").status, 201);
    assert_eq!(lasting.next_text(), "for those who stay");
}

#[test]
fn an_address_that_guesses_has_to_wait_and_others_do_not() {
    let stage = Stage::start_with("trusted_proxies = [\"127.0.0.1\"]", "auth_failures_per_minute = 20");
    let ask = |address: &str, token: &str| {
        let extra = format!("X-Forwarded-For: {address}\r\nAuthorization: Bearer {token}\r\n");
        stage.at_door("websocket", "/channel/one", &extra).status
    };
    let forged = Signer::ed25519().token(&claims(GOOD));
    let expired = stage.signer.token(&format!(r#"{{"exp":1,{GOOD}}}"#));
    for _ in 0..30 {
        assert_eq!(ask("203.0.113.9", &expired), 401, "a token that was good once is no guess");
    }
    for _ in 0..20 {
        assert_eq!(ask("203.0.113.9", &forged), 401);
    }
    assert_eq!(ask("203.0.113.9", &forged), 429);
    assert_eq!(ask("203.0.113.9", &stage.good()), 429, "whoever it is");
    // What a client itself writes there comes before what the proxy adds.
    assert_eq!(ask("198.51.100.1, 203.0.113.9", &forged), 429);
    assert_eq!(ask("203.0.113.9, 203.0.113.10", &stage.good()), 101, "another address");
    assert_eq!(ask("203.0.113.10", &stage.good()), 101);
    let free = stage.at_door("websocket", "/free/one", "X-Forwarded-For: 203.0.113.9\r\n").status;
    assert_eq!(free, 101, "who brings no credential is not asked");
    assert_eq!(stage.gate.metric("tidegate_credentials_refused_total{reason=\"too_many\"}"), 3);
}

#[test]
fn the_admin_token_is_not_guessed_either() {
    let stage = Stage::start_with("trusted_proxies = [\"127.0.0.1\"]", "auth_failures_per_minute = 5");
    let ask = |address: &str, token: &str| {
        let mut wire = Wire::connect(stage.gate.admin);
        wire.send(format!(
            "GET /channels HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        ));
        wire.answer().status
    };
    for _ in 0..5 {
        assert_eq!(ask("203.0.113.9", "guess"), 401);
    }
    assert_eq!(ask("203.0.113.9", "guess"), 429);
    assert_eq!(ask("203.0.113.9", TOKEN), 429);
    assert_eq!(ask("203.0.113.10", TOKEN), 200);
}

#[test]
fn a_token_is_not_handed_on() {
    let backend = Backend::answering("{}");
    let (signer, folder) = (Signer::rsa(), tempfile::tempdir().expect("a folder"));
    let key = folder.path().join("key.pem");
    std::fs::write(&key, signer.public_pem()).expect("a file");
    let text = format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[access]\nadmin_token = \"{TOKEN}\"\n\
         origins = [\"https://app.example\"]\n\
         tokens = {{ algorithm = \"RS256\", public_key = \"{}\", cookie = \"ticket\" }}\n\
         [[route]]\npath = \"/{{*rest}}\"\nsubscribe = \"token\"\nauto = {{ url = \"http://{}\" }}\n",
        key.display(),
        backend.address
    );
    let gate = Gate::start_with(&text, Options::default());
    let token = signer.token(&claims(r#""channels":["{*all}"]"#));
    for (number, (query, extra)) in ways(&token, true).into_iter().enumerate() {
        let target = format!("/{number}{query}");
        let extra = extra.replace("a=1", &format!("a={number}"));
        let mut socket = Socket::open_with(gate.public, &target, &extra);
        assert_eq!(socket.next_text(), "{}");
        socket.text("a message");
        let _ = backend.await_nth(&format!("POST /{number}"), 1);
    }
    for asked in backend.asked() {
        assert!(!asked.head.contains(&token), "{}", asked.head);
        assert!(!asked.head.to_ascii_lowercase().contains("ticket"), "{}", asked.head);
    }
    // What is the backend's own stays: the token comes another way.
    let both = format!("/both?token={token}");
    let _socket = Socket::open_with(gate.public, &both, "Authorization: Bearer of-the-backend\r\n");
    let asked = backend.await_nth("GET /both", 1);
    assert!(
        asked.head.to_ascii_lowercase().contains("authorization: bearer of-the-backend"),
        "{}",
        asked.head
    );
}
