//! Key sets that issuers publish: when they are fetched, what becomes of those that cannot be had, and that
//! nothing in a token chooses where they come from.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_gateway::Options;
use tidegate_hostile::backend::{Backend, ok, write};
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::signer::{Signer, claims};
use tidegate_hostile::socket::{Socket, handshake};
use tidegate_hostile::wire::Wire;

const GRANT: &str = r#""channels":["{*all}"]"#;

/// What an issuer answers; a test may change it.
type Page = Arc<Mutex<String>>;

/// An issuer that publishes its keys, and the answer that it gives.
fn issuer(keys: &[String]) -> (Backend, Page) {
    let page: Page = Arc::new(Mutex::new(published(keys)));
    let shown = Arc::clone(&page);
    let backend = Backend::start(move |_, stream| {
        let answer = shown.lock().expect("nobody panics with it").clone();
        write(stream, answer)
    });
    (backend, page)
}

fn published(keys: &[String]) -> String {
    ok(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
}

fn gate(entries: &[String], access: &str, limits: &str) -> Gate {
    let text = format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nshards = 2\n\
         [access]\nadmin_token = \"{TOKEN}\"\ntokens = [{}]\n{access}\n[limits]\n{limits}\n\
         [[route]]\npath = \"/open/{{x}}\"\nchannel = {{}}\n\
         [[route]]\npath = \"/{{x}}\"\nchannel = {{}}\nsubscribe = \"token\"\n",
        entries.join(", ")
    );
    Gate::start_with(&text, Options::default())
}

fn entry(backend: &Backend, more: &str) -> String {
    format!("{{ jwks = \"http://{}/keys\"{more} }}", backend.address)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn status(gate: &Gate, token: &str) -> u16 {
    gate.ask(handshake("/x", &bearer(token))).status
}

#[test]
fn keys_of_each_kind_are_found_by_their_names() {
    let (rsa, p256, ed25519) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
    let (backend, _) = issuer(&[
        r#"{"kty":"oct","kid":"shared","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}"#.to_owned(),
        r#"{"kty":"new","kid":"x"}"#.to_owned(),
        rsa.jwk("r"),
        p256.jwk("p"),
        ed25519.jwk("e"),
        ed25519.jwk("enc").replace("\"kty\"", "\"use\":\"enc\",\"kty\""),
    ]);
    let gate = gate(&[entry(&backend, "")], "", "");
    let good = claims(GRANT);
    for (signer, kid) in [(&rsa, "r"), (&p256, "p"), (&ed25519, "e")] {
        assert_eq!(status(&gate, &signer.token_of(kid, &good)), 101, "{kid}");
        assert_eq!(status(&gate, &signer.token(&good)), 101, "the only key of its algorithm");
        assert_eq!(status(&gate, &signer.token_of("s", &good)), 401, "another name");
    }
    assert_eq!(status(&gate, &ed25519.token_of("enc", &good)), 401, "a key for something else");
    let shared = Signer::secret("secretsecretsecretsecretsecret");
    assert_eq!(status(&gate, &shared.token_of("shared", &good)), 401, "what everybody reads is no secret");
    assert_eq!(status(&gate, &Signer::ed25519().token_of("e", &good)), 401, "another's key");
    assert_eq!(backend.count("GET /keys"), 1, "whatever was asked for");
}

#[test]
fn a_crowd_with_an_unknown_key_makes_one_fetch() {
    let signer = Signer::ed25519();
    let (backend, page) = issuer(&[signer.jwk("old")]);
    let gate = gate(&[entry(&backend, "")], "", "jwks_pause = \"1h\"");
    assert_eq!(status(&gate, &signer.token_of("old", &claims(GRANT))), 101);
    *page.lock().expect("nobody panics with it") = published(&[signer.jwk("new")]);
    for number in 0..200 {
        let token = signer.token_of(&format!("../{number}'--"), &claims(GRANT));
        assert_eq!(status(&gate, &token), 401);
    }
    assert_eq!(backend.count("GET "), 1, "the pause is not over");
    assert_eq!(gate.metric("tidegate_credentials_refused_total{reason=\"unknown_key\"}"), 200);
}

#[test]
fn a_key_that_is_new_is_fetched_when_it_is_first_used() {
    let signer = Signer::p256();
    let (backend, page) = issuer(&[signer.jwk("old")]);
    let gate = gate(&[entry(&backend, "")], "", "jwks_pause = \"1s\"");
    assert_eq!(status(&gate, &signer.token_of("old", &claims(GRANT))), 101);
    *page.lock().expect("nobody panics with it") = published(&[signer.jwk("new")]);
    let token = signer.token_of("new", &claims(GRANT));
    let begun = std::time::Instant::now();
    // Within the pause it is unknown; each question is an answer of the gateway.
    while status(&gate, &token) != 101 {
        assert!(begun.elapsed() < tidegate_hostile::wire::PATIENCE, "the new key is never fetched");
    }
    assert_eq!(backend.count("GET /keys"), 2);
    assert_eq!(
        status(&gate, &signer.token_of("old", &claims(GRANT))),
        401,
        "what is not there any more does not count"
    );
}

#[test]
fn those_who_come_while_keys_are_on_their_way_wait_for_one_fetch() {
    let signer = Signer::ed25519();
    let (asked, answer) = (Arc::new(AtomicUsize::new(0)), published(&[signer.jwk("k")]));
    let (count, (go, gone)) = (Arc::clone(&asked), std::sync::mpsc::sync_channel::<()>(1));
    let gone = Mutex::new(gone);
    let backend = Backend::start(move |_, stream| {
        count.fetch_add(1, Ordering::SeqCst);
        // Until the crowd is there.
        let _ = gone.lock().expect("nobody panics with it").recv();
        write(stream, &answer)
    });
    let gate = gate(&[entry(&backend, "")], "", "");
    let token = signer.token_of("k", &claims(GRANT));
    let mut wires: Vec<Wire> = (0..50).map(|_| gate.connect()).collect();
    for wire in &mut wires {
        wire.send(handshake("/x", &bearer(&token)));
    }
    let _ = backend.await_nth("GET /keys", 1);
    go.send(()).expect("the issuer waits");
    assert!(wires.iter_mut().all(|wire| wire.answer().status == 101));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn keys_that_cannot_be_had_refuse_with_503_and_open_routes_stay_open() {
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(200_000));
    let many = format!("{{\"keys\":[{}]}}", vec!["{}"; 101].join(","));
    for (name, page) in [
        ("500", "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_owned()),
        (
            "a redirect",
            "HTTP/1.1 302 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        ("nothing", ok("")),
        ("no keys", published(&[])),
        ("no JSON", ok("<html>")),
        ("another JSON", ok("[]")),
        ("a large one", ok(&large)),
        ("many keys", ok(&many)),
        ("deep", ok(&format!("{{\"keys\":{}}}", "[".repeat(50_000)))),
        ("100 MB", "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{".to_owned()),
        ("no HTTP", "\u{0}\r\n\r\n".to_owned()),
    ] {
        let (backend, shown) = issuer(&[]);
        *shown.lock().expect("nobody panics with it") = page;
        let gate = gate(&[entry(&backend, "")], "", "jwks_pause = \"1h\"");
        let token = Signer::ed25519().token_of("k", &claims(GRANT));
        for _ in 0..3 {
            let answer = gate.ask(handshake("/x", &bearer(&token)));
            assert_eq!(answer.status, 503, "{name}: {answer:?}");
            assert_eq!(answer.header("retry-after"), Some("3600"), "{name}");
        }
        assert_eq!(gate.ask(handshake("/x", "")).status, 401, "{name}");
        let extra = format!("Sec-WebSocket-Protocol: tidegate.v1\r\n{}", bearer(&token));
        let mut open = Socket::open_with(gate.public, "/open/x", &extra);
        assert_eq!(open.next_json()["type"], "open", "{name}");
        assert_eq!(backend.asked().len(), 1, "{name}");
        assert_eq!(gate.metric("tidegate_jwks_failed_total"), 1, "{name}");
    }
}

#[test]
fn the_last_keys_count_while_new_ones_cannot_be_had() {
    let signer = Signer::ed25519();
    let (backend, page) = issuer(&[signer.jwk("k")]);
    let gate = gate(
        &[entry(&backend, "")],
        "",
        "jwks_pause = \"1s\"\njwks_refresh = \"1s\"\njwks_max_stale = \"3s\"",
    );
    let token = signer.token_of("k", &claims(GRANT));
    assert_eq!(status(&gate, &token), 101);
    *page.lock().expect("nobody panics with it") = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_owned();
    let begun = std::time::Instant::now();
    loop {
        match status(&gate, &token) {
            101 => assert!(begun.elapsed() < tidegate_hostile::wire::PATIENCE, "they count for ever"),
            other => {
                assert_eq!(other, 503);
                break;
            }
        }
    }
    assert!(gate.metric("tidegate_jwks_failed_total") >= 1, "it was tried before they were too old");
    *page.lock().expect("nobody panics with it") = published(&[signer.jwk("k")]);
    while status(&gate, &token) != 101 {
        assert!(begun.elapsed() < tidegate_hostile::wire::PATIENCE, "the keys are back");
    }
}

#[test]
fn a_silent_issuer_holds_nobody_longer_than_the_limit() {
    let backend = Backend::start(|_, stream| {
        tidegate_hostile::backend::await_gone(stream);
        false
    });
    let (signer, access) = (Signer::ed25519(), "trusted_proxies = [\"127.0.0.1\"]");
    let gate = gate(
        &[entry(&backend, "")],
        access,
        "auth_timeout = \"300ms\"\nmax_unauthenticated_per_ip = 3\nupstream_first_byte = \"20s\"",
    );
    let token = signer.token_of("k", &claims(GRANT));
    let from = |address: &str| handshake("/x", &format!("X-Forwarded-For: {address}\r\n{}", bearer(&token)));
    let mut wires: Vec<Wire> = (0..4).map(|_| gate.connect()).collect();
    for wire in &mut wires {
        wire.send(from("203.0.113.9"));
    }
    let mut statuses: Vec<u16> = wires.iter_mut().map(|wire| wire.answer().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [429, 503, 503, 503]);
    assert_eq!(backend.asked().len(), 1);
}

/// A gateway that hears of its clients' addresses, and how it answers a token from one of them.
fn gate_of_addresses(backend: &Backend, limits: &str) -> (Gate, impl Fn(&Gate, &str) -> u16 + use<>) {
    let gate = gate(&[entry(backend, "")], "trusted_proxies = [\"127.0.0.1\"]", limits);
    let from = "X-Forwarded-For: 203.0.113.9\r\n";
    (gate, move |gate, token| gate.ask(handshake("/x", &format!("{from}{}", bearer(token)))).status)
}

#[test]
fn a_new_key_while_the_key_server_fails_is_no_guess() {
    let signer = Signer::ed25519();
    let (backend, page) = issuer(&[signer.jwk("old")]);
    let (gate, status) = gate_of_addresses(&backend, "jwks_pause = \"1s\"\nauth_failures_per_minute = 3");
    let (old, new) = (signer.token_of("old", &claims(GRANT)), signer.token_of("new", &claims(GRANT)));
    assert_eq!(status(&gate, &old), 101);
    *page.lock().expect("nobody panics with it") = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_owned();
    for _ in 0..10 {
        // Within the pause it is unknown, which the set that is known cannot be held against it.
        assert!(matches!(status(&gate, &new), 401 | 503));
    }
    let begun = std::time::Instant::now();
    while status(&gate, &new) != 503 {
        assert!(begun.elapsed() < tidegate_hostile::wire::PATIENCE, "it is not asked for");
    }
    assert_eq!(status(&gate, &old), 101, "the address is not locked out");
    // A signature that does not hold is a guess, whatever the key server does.
    let forged = Signer::ed25519().token_of("old", &claims(GRANT));
    assert_eq!([(); 4].map(|()| status(&gate, &forged)), [401, 401, 401, 429]);
}

#[test]
fn a_key_that_a_new_set_lacks_is_a_guess() {
    let signer = Signer::ed25519();
    let (backend, _) = issuer(&[signer.jwk("k")]);
    let (gate, status) = gate_of_addresses(&backend, "jwks_pause = \"1s\"\nauth_failures_per_minute = 2");
    let unknown = signer.token_of("unknown", &claims(GRANT));
    let begun = std::time::Instant::now();
    while status(&gate, &unknown) != 429 {
        assert!(begun.elapsed() < tidegate_hostile::wire::PATIENCE, "it is never counted");
    }
    assert_eq!(backend.count("GET /keys"), 2, "each fetch settles one of them");
}

#[test]
fn a_key_server_that_falls_silent_is_waited_for_within_the_limits() {
    let signer = Signer::ed25519();
    let (asked, old) = (AtomicUsize::new(0), published(&[signer.jwk("old")]));
    let new = published(&[signer.jwk("new")]);
    let backend = Backend::start(move |_, stream| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => write(stream, &old),
        1 => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
            tidegate_hostile::backend::await_gone(stream);
            false
        }
        _ => write(stream, &new),
    });
    let limits = "jwks_pause = \"1s\"\nauth_timeout = \"100ms\"\nupstream_total = \"1h\"";
    let gate = gate(&[entry(&backend, "")], "", limits);
    assert_eq!(status(&gate, &signer.token_of("old", &claims(GRANT))), 101);
    let token = signer.token_of("new", &claims(GRANT));
    let (begun, mut statuses) = (std::time::Instant::now(), Vec::new());
    while statuses.last() != Some(&101) {
        assert!(begun.elapsed() < tidegate_hostile::wire::PATIENCE, "it is waited for without end");
        statuses.push(status(&gate, &token));
    }
    // Unknown within the pause, then waited for, and there with the fetch after that.
    statuses.retain(|status| *status != 401);
    statuses.dedup();
    assert_eq!(statuses, [503, 101]);
}

#[test]
fn nothing_in_a_token_chooses_where_keys_come_from() {
    let canary = Backend::answering("{}");
    let (one, two) = (Signer::ed25519(), Signer::ed25519());
    let (first, _) = issuer(&[one.jwk("k")]);
    let (second, _) = issuer(&[two.jwk("k")]);
    let entries = [
        entry(&first, ", issuer = \"https://one.example\""),
        entry(&second, ", issuer = \"https://two.example\""),
    ];
    let gate = gate(&entries, "", "");
    let elsewhere = format!("http://{}/keys", canary.address);
    let header = |signer: &Signer, member: &str| {
        let header = format!(r#"{{"alg":"EdDSA","kid":"k",{member}}}"#);
        signer.token_with(&header, &claims(&format!(r#""iss":"{elsewhere}",{GRANT}"#)))
    };
    for member in [
        format!(r#""jku":"{elsewhere}""#),
        format!(r#""x5u":"{elsewhere}""#),
        format!(r#""jwk":{}"#, Signer::ed25519().jwk("k")),
        format!(r#""iss":"{elsewhere}""#),
    ] {
        assert_eq!(status(&gate, &header(&one, &member)), 401, "{member}");
        assert_eq!(status(&gate, &header(&Signer::ed25519(), &member)), 401, "{member}");
    }
    assert!(canary.asked().is_empty(), "{:?}", canary.asked());
    // Two issuers with a key of the same name: each signs for itself alone.
    let by = |signer: &Signer, issuer: &str| {
        signer.token_of("k", &claims(&format!(r#""iss":"https://{issuer}.example",{GRANT}"#)))
    };
    for (signer, issuer, expected) in
        [(&one, "one", 101), (&two, "two", 101), (&one, "two", 401), (&two, "one", 401)]
    {
        assert_eq!(status(&gate, &by(signer, issuer)), expected, "{issuer}");
    }
}
