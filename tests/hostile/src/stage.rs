//! A gateway whose every route asks for tokens, every credential that is no good there, and every way in which it
//! may come. What is asked with them is in the tests; what a door is asked with is here.

use std::fmt::Write as _;

use tidegate_gateway::Options;

use crate::backend::Backend;
use crate::gate::{Gate, TOKEN};
use crate::http2::{self, END_STREAM, Http2};
use crate::signer::{Signer, claims, part, seconds_from_now};
use crate::socket::handshake;
use crate::wire::Answer;

/// What every good token says.
pub const GOOD: &str =
    r#""iss":"https://login.example","aud":["other","gate"],"sub":"ann","channels":["/{*all}"]"#;

/// A route of each kind that clients may follow; all of them ask for tokens.
pub const KINDS: &[(&str, &str)] = &[
    ("auto", "auto = { url = \"BACKEND\" }"),
    ("poll", "poll = { url = \"BACKEND/{x}\", interval = \"1s\" }"),
    ("stream", "stream = { url = \"BACKEND/{x}\" }"),
    ("channel", "channel = {}\npublish = \"token\""),
];

/// A gateway whose routes ask for tokens, and whoever makes good ones.
pub struct Stage {
    /// The gateway.
    pub gate: Gate,
    /// Whose tokens count.
    pub signer: Signer,
    _folder: tempfile::TempDir,
}

/// A credential that is no good, and what it is refused with.
pub struct Wrong {
    /// What is wrong with it.
    pub name: &'static str,
    /// As it comes.
    pub token: String,
    /// Of the answer.
    pub status: u16,
}

impl Stage {
    /// Starts it with these lines of `[limits]`.
    #[must_use]
    pub fn start(limits: &str) -> Self {
        Self::start_with("", limits)
    }

    /// The same with lines of `[access]`.
    #[must_use]
    pub fn start_with(access: &str, limits: &str) -> Self {
        let backend = Backend::answering("{}");
        let (signer, folder) = (Signer::ed25519(), tempfile::tempdir().expect("a folder"));
        let key = folder.path().join("key.pem");
        std::fs::write(&key, signer.public_pem()).expect("a file");
        let mut text = format!(
            "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nshards = 2\n\
             [access]\nadmin_token = \"{TOKEN}\"\norigins = [\"https://app.example\"]\n{access}\n\
             tokens = {{ algorithm = \"EdDSA\", public_key = \"{}\", issuer = \"https://login.example\", \
             audience = \"gate\", cookie = \"ticket\" }}\n[limits]\n{limits}\n",
            key.display()
        );
        for (kind, stands) in KINDS {
            let mut stands = stands.replace("BACKEND", &format!("http://{}", backend.address));
            if *kind != "channel" {
                stands += "\ndoors = [\"longpoll\", \"ndjson\"]";
            }
            let path = if *kind == "auto" { "/auto/{*x}".to_owned() } else { format!("/{kind}/{{x}}") };
            let _infallible = writeln!(text, "[[route]]\npath = \"{path}\"\nsubscribe = \"token\"\n{stands}");
        }
        text +=
            "[[route]]\npath = \"/open/{x}\"\nchannel = {}\npublish = \"token\"\nsubscribe = \"anyone\"\n";
        text += "[[route]]\npath = \"/free/{x}\"\nchannel = {}\n";
        text += "[[route]]\npath = \"/room/{x}\"\nchannel = {}\nsubscribe = \"token\"\npresence = true\n";
        Self { gate: Gate::start_with(&text, Options::default()), signer, _folder: folder }
    }

    /// A token that opens everything.
    #[must_use]
    pub fn good(&self) -> String {
        self.signer.token(&claims(GOOD))
    }

    /// A token with these claims, for an hour.
    #[must_use]
    pub fn of(&self, members: &str) -> String {
        self.signer.token(&claims(members))
    }

    /// Everything that a token may be and must not be. The first is none at all.
    #[must_use]
    pub fn wrong(&self) -> Vec<Wrong> {
        let wrong = |name, token: String| Wrong { name, token, status: 401 };
        let pem = self.signer.public_pem();
        let good = self.good();
        let (unsigned, signature) = good.rsplit_once('.').expect("three parts");
        let with_exp = |exp: &str| self.signer.token(&format!(r#"{{"exp":{exp},{GOOD}}}"#));
        let header = |header: &str| self.signer.token_with(header, &claims(GOOD));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let mut all = vec![
            wrong("nothing", String::new()),
            wrong("no token", "x".into()),
            wrong("two dots", "..".into()),
            wrong("not base64", "a.b.c".into()),
            wrong("the admin token", TOKEN.into()),
            wrong("another's key", Signer::ed25519().token(&claims(GOOD))),
            wrong("the public key as a secret", Signer::secret(pem).token(&claims(GOOD))),
            wrong("another algorithm", Signer::p256().token(&claims(GOOD))),
            wrong("alg none", format!("{}.{}.", part(r#"{"alg":"none"}"#), part(claims(GOOD)))),
            wrong("alg none, signed", header(r#"{"alg":"none"}"#)),
            wrong("alg None", header(r#"{"alg":"None"}"#)),
            wrong("alg in another case", header(r#"{"alg":"eddsa"}"#)),
            wrong("no alg", header(r#"{"typ":"JWT"}"#)),
            wrong("alg twice", header(r#"{"alg":"EdDSA","alg":"EdDSA"}"#)),
            wrong("crit", header(r#"{"alg":"EdDSA","crit":["exp"]}"#)),
            wrong("crit null", header(r#"{"alg":"EdDSA","crit":null}"#)),
            wrong("kid is no text", header(r#"{"alg":"EdDSA","kid":{}}"#)),
            wrong("kid is long", header(&format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(300)))),
            wrong("a deep header", header(&format!(r#"{{"alg":"EdDSA","x":{}}}"#, &deep[..500]))),
            wrong("no signature", format!("{unsigned}.")),
            wrong("a short signature", format!("{unsigned}.{}", &signature[..40])),
            wrong("another's claims", format!("{}.{}.{signature}", part(r#"{"alg":"EdDSA"}"#), part("{}"))),
            wrong("a part more", format!("{good}.x")),
            wrong("a space in it", good.replacen('.', ". ", 1)),
            wrong("expired", with_exp(&seconds_from_now(-1).to_string())),
            wrong("exp as text", with_exp(&format!("\"{}\"", seconds_from_now(3600)))),
            wrong("exp too large", with_exp("1e400")),
            wrong("exp beyond all time", with_exp("1e20")),
            wrong("exp negative", with_exp("-1")),
            wrong("exp null", with_exp("null")),
            wrong("exp twice", with_exp(&format!("1,\"exp\":{}", seconds_from_now(3600)))),
            wrong("no exp", self.signer.token(&format!("{{{GOOD}}}"))),
            wrong("claims that are no object", self.signer.token("[]")),
            wrong("deep claims", self.signer.token(&format!(r#"{{"x":{},{GOOD}}}"#, &deep[..1000]))),
            wrong("not yet valid", self.of(&format!(r#"{GOOD},"nbf":{}"#, seconds_from_now(60)))),
            wrong("nbf as text", self.of(&format!(r#"{GOOD},"nbf":"0""#))),
            wrong("nbf null", self.of(&format!(r#"{GOOD},"nbf":null"#))),
            wrong("another audience", self.of(&GOOD.replace("\"gate\"", "\"door\""))),
            wrong("no audience", self.of(&GOOD.replace("\"aud\"", "\"oud\""))),
            wrong("an audience that is no text", self.of(&GOOD.replace("[\"other\",\"gate\"]", "5"))),
            wrong("another issuer", self.of(&GOOD.replace("login.example", "evil.example"))),
            wrong("no issuer", self.of(&GOOD.replace("\"iss\"", "\"is\""))),
            wrong("channels that are no list", self.of(&GOOD.replace("[\"/{*all}\"]", "\"/{*all}\""))),
            wrong("a pattern that is none", self.of(&GOOD.replace("/{*all}", "/{*all}/x"))),
            wrong("a user that is no text", self.of(&GOOD.replace("\"ann\"", "7"))),
            wrong("an info that is no object", self.of(&format!(r#"{GOOD},"info":[]"#))),
        ];
        for (name, channels) in [
            ("another channel", r#"["/elsewhere/{x}","channel","poll/","/auto"]"#),
            ("a channel of the same beginning", r#"["/channel/on","/poll/on","/stream/on","/auto/on"]"#),
            ("no channel", "[]"),
        ] {
            let token = self.of(&GOOD.replace("[\"/{*all}\"]", channels));
            all.push(Wrong { name, token, status: 403 });
        }
        all
    }

    /// Asks for a path at a door: the status of the answer. The doors are those that the metrics name, so
    /// that a new one fails here until it has its row.
    #[must_use]
    pub fn at_door(&self, door: &str, target: &str, extra: &str) -> Answer {
        let request = match door {
            "websocket" => handshake(target, extra),
            "tidegate.v1" => handshake(target, &format!("Sec-WebSocket-Protocol: tidegate.v1\r\n{extra}")),
            "event_stream" => format!(
                "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{extra}\r\n"
            ),
            "ndjson" => format!(
                "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n{extra}\r\n"
            ),
            "longpoll" => {
                let mark = if target.contains('?') { '&' } else { '?' };
                format!("GET {target}{mark}wait=0 HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n")
            }
            other => panic!("the door {other} has no row here"),
        };
        self.gate.ask(request)
    }

    /// The same on a connection that speaks HTTP/2, where a WebSocket is an extended CONNECT: the status, and the
    /// body of what is no answer without end.
    #[must_use]
    pub fn at_door_http2(&self, door: &str, target: &str, extra: &str) -> (u16, Vec<u8>) {
        let (accept, target) = match door {
            "websocket" => (None, target.to_owned()),
            "tidegate.v1" => (Some(("sec-websocket-protocol", "tidegate.v1")), target.to_owned()),
            "event_stream" => (Some(("accept", "text/event-stream")), target.to_owned()),
            "ndjson" => (Some(("accept", "application/x-ndjson")), target.to_owned()),
            "longpoll" => (None, format!("{target}{}wait=0", if target.contains('?') { '&' } else { '?' })),
            "newest" => (None, target.to_owned()),
            other => panic!("the door {other} has no row here"),
        };
        let lines = extra.lines().filter_map(|line| line.split_once(": "));
        let lines: Vec<_> = lines.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let more: Vec<_> =
            accept.into_iter().chain(lines.iter().map(|(name, value)| (name.as_str(), *value))).collect();
        let mut client = Http2::connect(self.gate.public);
        if is_socket(door) {
            let fields: Vec<_> = http2::websocket(&target).into_iter().chain(more).collect();
            client.open(1, &fields, 0);
        } else {
            client.open(1, &http2::get(&target, &more), END_STREAM);
        }
        let status = client.status(1);
        // What is granted goes on, but for a plain answer.
        let body = if status >= 400 || door == "newest" { client.body(1) } else { Vec::new() };
        (status, body)
    }

    /// The names of all doors.
    #[must_use]
    pub fn doors(&self) -> Vec<String> {
        let text = self.gate.admin("GET", "/metrics").text();
        let doors = text.lines().filter_map(|line| line.strip_prefix("tidegate_open_connections{door=\""));
        let doors: Vec<String> = doors.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
        assert!(doors.len() >= 3, "{doors:?}");
        doors
    }
}

/// Whether what comes by a door is a WebSocket.
#[must_use]
pub fn is_socket(door: &str) -> bool {
    matches!(door, "websocket" | "tidegate.v1")
}

/// The ways in which a token may come: the query, and header lines. A browser's page says where it is from.
#[must_use]
pub fn ways(token: &str, websocket: bool) -> Vec<(String, String)> {
    let origin = "Origin: https://app.example\r\n";
    let mut ways = vec![
        (String::new(), format!("Authorization: Bearer {token}\r\n")),
        (String::new(), format!("{origin}Cookie: a=1; ticket={token}\r\n")),
    ];
    // These have no place for white space, and an empty one is none.
    if !token.contains(' ') && !token.is_empty() {
        ways.push((format!("?token={token}"), String::new()));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if websocket && token.bytes().all(is_token) && !token.is_empty() {
        ways.push((String::new(), format!("Sec-WebSocket-Protocol: bearer.{token}\r\n")));
    }
    ways
}
