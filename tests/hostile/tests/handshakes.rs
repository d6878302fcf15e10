//! What the gateway keeps of handshakes: who came in, who did not and what would change that, without a credential of
//! anybody.

use std::time::Instant;

use serde_json::Value;
use tidegate_hostile::certificate::Certificate;
use tidegate_hostile::gate::Gate;
use tidegate_hostile::http2::{Http2, websocket};
use tidegate_hostile::socket::{Socket, TEXT, frame, handshake};
use tidegate_hostile::wire::{Answer, PATIENCE};

const OPEN: &str = "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n";
const GUARDED: &str = "[[route]]\npath = \"/secret/{*rest}\"\nchannel = {}\nsubscribe = \"token\"\n";

fn all(gate: &Gate) -> Vec<Value> {
    let answer = gate.admin("GET", "/handshakes?limit=1000").text();
    let list: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    list["handshakes"].as_array().expect("a list").clone()
}

/// The newest handshake whose request says this, once it has been answered.
fn of(gate: &Gate, part: &str) -> Value {
    let begun = Instant::now();
    loop {
        let all = all(gate);
        if let Some(found) = all.iter().find(|one| one["request"].to_string().contains(part)) {
            return found.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "nothing of {part} in {all:?}");
    }
}

fn refused(gate: &Gate, part: &str, status: u16, setting: &str) -> Value {
    let handshake = of(gate, part);
    assert_eq!(handshake["refused"]["status"], status, "{handshake}");
    assert_eq!(handshake["refused"]["setting"].as_str().unwrap_or_default(), setting, "{handshake}");
    assert!(handshake["refused"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{handshake}");
    assert_eq!(handshake["connection"], Value::Null);
    handshake
}

/// Whether each check whose words hold this is met.
fn is_met(handshake: &Value, what: &str) -> bool {
    let checks = handshake["checks"].as_array().expect("a list").iter();
    let mut found = checks.filter(|check| check["what"].as_str().is_some_and(|words| words.contains(what)));
    let first = found.next().unwrap_or_else(|| panic!("no check of {what}: {handshake}"));
    std::iter::once(first).chain(found).all(|check| check["ok"] == true)
}

#[test]
fn who_comes_in_is_told_with_all_checks_and_its_connection() {
    let gate = Gate::start("", OPEN);
    let secret = "TheSecretOfThisClient";
    let extra = format!(
        "Cookie: sid={secret}\r\nAuthorization: Bearer {secret}\r\nSec-WebSocket-Protocol: tidegate.v1, bearer.{secret}\r\n"
    );
    let _socket = Socket::open_with(gate.public, &format!("/in?token={secret}&x=1"), &extra);
    let begun = Instant::now();
    let handshake = loop {
        // The answer is on its way before the shard has the socket.
        let handshake = of(&gate, "/in?");
        if handshake["connection"].is_string() {
            break handshake;
        }
        assert!(begun.elapsed() < PATIENCE, "{handshake}");
    };
    assert!(!handshake.to_string().contains(secret), "{handshake}");
    assert_eq!(handshake["request"]["line"], "GET /in?token=[hidden]&x=1 HTTP/1.1");
    assert_eq!(handshake["response"]["line"], "HTTP/1.1 101 Switching Protocols");
    assert_eq!((&handshake["refused"], &handshake["as_written"]), (&Value::Null, &true.into()));
    assert!(handshake["checks"].as_array().is_some_and(|checks| checks.len() > 8), "{handshake}");
    assert!(is_met(&handshake, ""), "{handshake}");
    assert!(handshake["timing"]["total_us"].as_u64().is_some_and(|total| total < 20_000_000), "{handshake}");
    assert!(
        handshake["timing"]["head_us"].is_u64() && handshake["timing"]["tls_us"].is_null(),
        "{handshake}"
    );
    let id = handshake["connection"].as_str().expect("an id");
    let row: Value =
        serde_json::from_str(&gate.admin("GET", &format!("/connections/{id}")).text()).expect("JSON");
    assert_eq!(row["path"], "/in", "{row}");
}

#[test]
fn who_is_refused_hears_nothing_more_but_the_operator_does() {
    let issuer = "tokens = { algorithm = \"HS256\", secret = \"a-secret-of-32-bytes-or-more-than\" }\n";
    let text = tidegate_hostile::gate::configuration("http_max_uri = \"300 B\"", &format!("{OPEN}{GUARDED}"))
        .replace("[limits]", &format!("{issuer}[limits]"));
    let gate = Gate::start_with(&text, tidegate_gateway::Options::default());
    let ask = |target: &str, extra: &str| gate.ask(handshake(target, extra)).status;

    assert_eq!(ask("/origin", "Origin: https://evil.example\r\n"), 403);
    let shown = refused(&gate, "/origin", 403, "access.origins");
    assert!(
        shown["refused"]["reason"].as_str().is_some_and(|reason| reason.contains("evil.example")),
        "{shown}"
    );
    assert!(!is_met(&shown, "status 101"), "{shown}");

    assert_eq!(ask("/secret/a", ""), 401);
    refused(&gate, "/secret/a", 401, "access.tokens");
    assert_eq!(ask(&format!("/{}", "long".repeat(100)), ""), 414);
    refused(&gate, "longlong", 414, "limits.http_max_uri");

    let plain = handshake("/version", "").replace("Version: 13", "Version: 8");
    assert_eq!(gate.ask(plain).status, 426);
    let shown = refused(&gate, "/version", 426, "");
    assert!(!is_met(&shown, "Sec-WebSocket-Version 13"), "{shown}");

    // A proxy that passes no Upgrade on.
    let stripped = handshake("/stripped", "").replace("Upgrade: websocket\r\nConnection: Upgrade\r\n", "");
    assert_eq!(gate.ask(stripped).status, 404);
    let shown = refused(&gate, "/stripped", 404, "");
    assert!(
        !is_met(&shown, "Upgrade lists websocket") && shown.to_string().contains("proxy_set_header"),
        "{shown}"
    );

    let foreign = handshake("/host", "").replace("Host: localhost", "Host: rebound.example");
    assert_eq!(gate.ask(foreign).status, 421);
    refused(&gate, "/host", 421, "access.hosts");
    // An event stream is no handshake.
    let _ = gate.get("/event");
    assert!(all(&gate).iter().all(|one| !one["request"].to_string().contains("/event")));
}

/// A handshake as hardly anybody writes it.
fn odd(target: &str, extra: &str) -> String {
    format!(
        "\r\nGET {target} HTTP/1.1\r\nseC-webSOCKET-key: dGhlIHNhbXBsZSBub25jZQ==\r\nCONNECTION:keep-alive,  Upgrade\r\n\
         X-b: 2\r\nx-A:  1 \r\nUPGRADE: WebSocket\r\n{extra}hOsT: localhost\r\nX-B: 3\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// The lines of an odd request but the first, as they are told.
fn odd_fields(extra: &[(&str, &str)]) -> Value {
    let before = [
        ("seC-webSOCKET-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("CONNECTION", "keep-alive,  Upgrade"),
        ("X-b", "2"),
        ("x-A", "1"),
        ("UPGRADE", "WebSocket"),
    ];
    let behind = [("hOsT", "localhost"), ("X-B", "3"), ("Sec-WebSocket-Version", "13")];
    let all = before.iter().chain(extra).chain(&behind);
    all.map(|(name, value)| serde_json::json!([name, value])).collect()
}

/// That an answer is told as it came.
fn is_told_as_it_came(told: &Value, answer: &Answer) {
    let mut lines = answer.head.lines().filter(|line| !line.is_empty());
    assert_eq!(told["response"]["line"].as_str(), lines.next(), "{told}");
    let fields = lines.map(|line| line.split_once(": ").expect("a field"));
    let came: Value = fields.map(|(name, value)| serde_json::json!([name, value])).collect();
    assert_eq!(told["response"]["headers"], came, "{told}");
    assert!(came.to_string().contains("\"date\""), "{came}");
}

#[test]
fn heads_are_told_in_the_order_and_case_of_the_wire() {
    let gate = Gate::start("", OPEN);
    let secret = "TheSecretOfThisClient";
    let cookie = format!("cOOKie: a={secret}; b={secret}\r\naUTHORIZATION: Bearer {secret}\r\n");
    let mut wire = gate.connect();
    wire.send([odd(&format!("/odd?token={secret}"), &cookie).as_bytes(), &frame(TEXT, secret)].concat());
    let answer = wire.answer();
    assert_eq!(answer.status, 101);
    let told = of(&gate, "/odd");
    assert_eq!((&told["as_written"], &told["truncated"]), (&true.into(), &false.into()), "{told}");
    assert!(!told.to_string().contains(secret), "{told}");
    assert_eq!(told["request"]["line"], "GET /odd?token=[hidden] HTTP/1.1");
    let hidden = [("cOOKie", "a=[hidden]; b=[hidden]"), ("aUTHORIZATION", "Bearer [hidden]")];
    assert_eq!(told["request"]["headers"], odd_fields(&hidden));
    assert!(is_met(&told, ""), "{told}");
    is_told_as_it_came(&told, &answer);

    // Refused, and the next one on the same connection, of which the wire is not known.
    let mut wire = gate.connect();
    wire.send(odd("/foreign", "ORIGIN: https://evil.example\r\n"));
    let answer = wire.answer();
    assert_eq!(answer.status, 403);
    let told = refused(&gate, "/foreign", 403, "access.origins");
    assert_eq!(told["as_written"], true, "{told}");
    assert_eq!(told["request"]["headers"], odd_fields(&[("ORIGIN", "https://evil.example")]));
    is_told_as_it_came(&told, &answer);
    wire.send(odd("/second", ""));
    assert_eq!(wire.answer().status, 101);
    let told = of(&gate, "/second");
    assert_eq!(told["as_written"], false, "{told}");
    assert!(told["request"]["headers"].to_string().contains("sec-websocket-key"), "{told}");
}

#[test]
fn heads_under_tls_are_told_as_they_were_written_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = Certificate::valid();
    certificate.write(folder.path());
    let path = folder.path().display();
    let tls = format!("tls = {{ certificate = \"{path}/cert.pem\", key = \"{path}/key.pem\" }}\n[access]");
    let text = tidegate_hostile::gate::configuration("", OPEN).replace("[access]", &tls);
    let gate = Gate::start_with(&text, tidegate_gateway::Options::default());
    let mut wire = gate.connect().secure(&certificate);
    let (first, rest) = ("GET /odd HTTP/1.1\r\nhOs", "T: localhost\r\nUPGRADE: websocket\r\nx-A: 1\r\n\r\n");
    wire.send(first);
    wire.send(rest);
    let answer = wire.answer();
    assert_eq!(answer.status, 400);
    let told = of(&gate, "/odd");
    let fields = serde_json::json!([["hOsT", "localhost"], ["UPGRADE", "websocket"], ["x-A", "1"]]);
    assert_eq!((&told["as_written"], &told["request"]["headers"]), (&true.into(), &fields), "{told}");
    is_told_as_it_came(&told, &answer);
    assert!(told["timing"]["tls_us"].is_u64(), "{told}");
}

#[test]
fn streams_of_http2_are_told_with_their_pseudo_headers() {
    let gate = Gate::start("", OPEN);
    let mut client = Http2::connect(gate.public);
    client.open(1, &websocket("/two"), 0);
    assert_eq!(client.status(1), 200);
    let handshake = of(&gate, "/two");
    assert_eq!((&handshake["http"], &handshake["request"]["line"]), (&"2".into(), &"".into()));
    assert!(handshake["connection"].is_string() && is_met(&handshake, ""), "{handshake}");
    assert_eq!(handshake["as_written"], false);
    let headers = handshake["request"]["headers"].to_string();
    assert!(
        headers.contains("[\":protocol\",\"websocket\"]") && headers.contains("[\":scheme\",\"http\"]"),
        "{headers}"
    );
    let mut fields = websocket("/foreign");
    fields.push(("origin", "https://evil.example"));
    client.open(3, &fields, 0);
    assert_eq!(client.status(3), 403);
    refused(&gate, "/foreign", 403, "access.origins");
}

#[test]
fn so_many_are_kept_or_none() {
    let gate = Gate::start("inspect_handshakes = 4", OPEN);
    for number in 0..30 {
        assert_eq!(
            gate.ask(handshake(&format!("/{number}"), &format!("X-Long: {}\r\n", "x".repeat(9000)))).status,
            101
        );
    }
    let all = all(&gate);
    assert!((4..=8).contains(&all.len()), "{}", all.len());
    assert!(all.iter().all(|one| one["truncated"] == true && one["request"].to_string().len() < 4096));

    let text = tidegate_hostile::gate::configuration("", OPEN)
        .replace("[limits]", "[inspect]\ncapture = \"off\"\n[limits]");
    let none = Gate::start_with(&text, tidegate_gateway::Options::default());
    assert_eq!(none.ask(handshake("/x", "")).status, 101);
    none.await_metric("tidegate_closes_total{code=\"1006\"}", 1);
    assert_eq!(none.admin("GET", "/handshakes").text(), "{\"handshakes\":[]}\n");
    assert!(none.admin("GET", "/connections?state=closed").text().contains("\"connections\":[]"));
}
