//! Tokens by libraries that nobody here wrote: what they sign opens channels, with keys from files, secrets and a
//! key set; and a token comes in the way that is left to a browser's page.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::script::Script;
use tidegate_end_to_end::websocket::{Dial, WebSocket};
use tidegate_test_tools::need;

const ALGORITHMS: [&str; 4] = ["EdDSA", "ES256", "RS256", "HS256"];

fn script(program: PathBuf, name: &str, arguments: &[&str]) -> Script {
    let folder = tidegate_test_tools::folder();
    let mut command = Command::new(program);
    Script::start(command.arg(folder.join(name)).args(arguments).current_dir(folder))
}

/// A gateway with one route that asks for tokens, which count as `tokens` says.
fn gateway(tokens: &str) -> Gateway {
    Gateway::configured(&format!(
        "[access]\ntokens = {tokens}\n[[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\nsubscribe = \"token\"\n"
    ))
}

/// The status of a handshake with a token.
fn status(gateway: &Gateway, path: &str, token: &Value) -> u16 {
    let token = token.as_str().expect("a token");
    let dial = Dial::new(gateway.public(), path).header("Authorization", format_args!("Bearer {token}"));
    dial.try_open().expect("an answer").map_or_else(|answer| answer.status, |_| 101)
}

#[track_caller]
fn check(gateway: &Gateway, made: &Value) {
    let (good, expired) = (&made["good"], &made["expired"]);
    assert_eq!(status(gateway, "/chat/7", good), 101, "{made}");
    assert_eq!(status(gateway, "/other", good), 403, "{made}");
    assert_eq!(status(gateway, "/chat/7", expired), 401, "{made}");
}

#[test]
fn node_jose_with_keys_from_files() {
    let mut jose = script(need!(node), "node_jose.mjs", &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = Value::Null;
    for algorithm in ALGORITHMS {
        let made = jose.event(algorithm);
        let key = match made["pem"].as_str() {
            Some(pem) => {
                let file = folder.path().join(format!("{algorithm}.pem"));
                std::fs::write(&file, pem).expect("a file");
                format!("public_key = \"{}\"", file.display())
            }
            None => format!("secret = {}", made["secret"]),
        };
        let gateway = gateway(&format!("{{ algorithm = \"{algorithm}\", {key} }}"));
        check(&gateway, &made);
        if !wrong.is_null() {
            assert_eq!(status(&gateway, "/chat/7", &wrong), 401, "a token for another key");
        }
        wrong = made["good"].clone();
    }
    jose.succeeded();
}

#[test]
fn node_jose_with_a_key_set_and_from_a_page() {
    let node = need!(node);
    let mut jose = script(node.clone(), "node_jose.mjs", &[]);
    let made: Vec<Value> = ALGORITHMS.iter().map(|algorithm| jose.event(algorithm)).collect();
    let keys: Vec<&Value> = made.iter().map(|made| &made["jwk"]).filter(|jwk| jwk.is_object()).collect();
    let set = json!({ "keys": keys }).to_string();
    let backend = Backend::start(move |_| Reply::ok(set.clone()).header("Content-Type", "application/json"));
    let gateway = gateway(&format!("{{ jwks = \"{}/jwks.json\" }}", backend.url()));
    for made in made.iter().filter(|made| made["jwk"].is_object()) {
        check(&gateway, made);
        let token = made["good"].as_str().expect("a token");
        let mut page = script(node.clone(), "node_bearer.mjs", &[&gateway.ws("/chat/7"), token]);
        assert_eq!(page.event("open")["protocol"], "tidegate.v1");
        let message = page.event("message");
        assert!(message["data"].as_str().is_some_and(|data| data.contains("\"open\"")), "{message}");
        assert_eq!(page.event("closed")["code"], 1000);
    }
    assert_eq!(status(&gateway, "/chat/7", &made[3]["good"]), 401, "a secret is in no key set");
    assert_eq!(backend.count("/jwks.json"), 1);
    assert!(!gateway.log().text().contains(made[0]["good"].as_str().expect("a token")));
}

#[test]
fn python_pyjwt() {
    let python = need!(python);
    let secret = "0123456789abcdef0123456789abcdef";
    let good = script(python.clone(), "python_pyjwt.py", &[secret]).event("token");
    let other = script(python, "python_pyjwt.py", &["another-secret-of-more-than-32-bytes"]).event("token");
    let gateway = gateway(&format!("{{ algorithm = \"HS256\", secret = \"{secret}\" }}"));
    assert_eq!(status(&gateway, "/chat/7", &good["good"]), 101);
    assert_eq!(status(&gateway, "/other", &good["good"]), 403);
    assert_eq!(status(&gateway, "/chat/7", &other["good"]), 401);
}

/// A token for everything, signed with a secret, that ends so many milliseconds from now.
fn ending_in(milliseconds: u64, secret: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let end = now + Duration::from_millis(milliseconds);
    let claims = format!(r#"{{"exp":{},"channels":["{{*all}}"]}}"#, end.as_secs_f64());
    let [header, claims] = [r#"{"alg":"HS256"}"#, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_token_that_ends_while_the_gateway_is_stopped_ends_its_connection_at_once_after_it() {
    let secret = "0123456789abcdef0123456789abcdef";
    let gateway = gateway(&format!("{{ algorithm = \"HS256\", secret = \"{secret}\" }}"));
    let mut sockets = [2_000, 8_000, 3_600_000].map(|milliseconds| {
        WebSocket::open(gateway.public(), &format!("/x?token={}", ending_in(milliseconds, secret)))
    });
    gateway.signal(Signal::STOP);
    sockets[1].silent_for(Duration::from_millis(8_500));
    gateway.signal(Signal::CONT);
    let begun = Instant::now();
    for socket in &mut sockets[..2] {
        assert_eq!(socket.closed(), (4401, "the token has expired (TG-3012)".to_owned()));
    }
    // What was due at two seconds must not hold up what was due at eight by the other six.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    gateway.publish("x", "for those who stay");
    assert_eq!(sockets[2].text(), "for those who stay");
}
