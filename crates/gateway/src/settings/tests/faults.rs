//! Broken configurations, and exactly what is said about each.

use super::*;

/// A file called `t`, and the faults in it.
const BROKEN: &[(&str, &str)] = &[
    (
        "",
        "t: there is no route, so nothing would be served; add a [[route]] with path and kind (TG-1123)",
    ),
    (
        "# nothing
",
        "t:1:1: there is no route, so nothing would be served; add a [[route]] with path and kind (TG-1123)",
    ),
    (
        "[listen
public = 1",
        "t:1:8: not TOML: unclosed table, expected `]`; see https://toml.io for the syntax (TG-1103)",
    ),
    (
        "a = # nothing
b = ]
",
        "t:1:5: not TOML: string values must be quoted, expected literal string; see https://toml.io for the syntax (TG-1103)
t:2:5: not TOML: missing array opening, expected `[`; see https://toml.io for the syntax (TG-1103)",
    ),
    (
        r#"[listen]
public = "127.0.0.1:1"
public = "127.0.0.1:2""#,
        "t:3:1: not TOML: duplicate key; see https://toml.io for the syntax (TG-1103)",
    ),
    (
        "[listen]
",
        "t:1:1: there is no route, so nothing would be served; add a [[route]] with path and kind (TG-1123)",
    ),
    (
        "listen = 1",
        "t:1:10: 'listen' is an integer where a table is needed; write listen = { public = ... } (TG-1107)",
    ),
    (
        r#"[listen]
pubic = "127.0.0.1:1""#,
        "t:2:1: unknown key 'pubic' in [listen]; did you mean 'public'? (TG-1104)",
    ),
    (
        r#"[listen]
public = ":8080""#,
        r#"t:2:10: ":8080" is not an address and a port; write "127.0.0.1:8080" for this machine alone or "0.0.0.0:8080" for everybody (TG-1112)"#,
    ),
    (
        "[listen]
public = []",
        r#"t:2:10: 'public' is an empty list; write public = "127.0.0.1:8080", or remove the line (TG-1106)"#,
    ),
    (
        r#"[listen]
public = ["127.0.0.1:1", 2]"#,
        "t:2:26: 'public' is an integer where a string is needed; write it in quotes (TG-1107)",
    ),
    (
        r#"[listen]
public = "localhost:8080""#,
        r#"t:2:10: "localhost:8080" is not an address and a port; write the address in numbers, such as "127.0.0.1:8080" or "[::1]:8080" (TG-1112)"#,
    ),
    (
        r#"[listen]
public = "127.0.0.1:8081""#,
        "t:1:2: 127.0.0.1:8081 and 127.0.0.1:8081 cannot both be listened on; give each listener an address or a port of its own (TG-1113)",
    ),
    (
        r#"[listen]
admin = "x""#,
        r#"t:2:9: "x" is not an address and a port; write such as "127.0.0.1:8080" (TG-1112)"#,
    ),
    (
        "[listen]
shards = 0",
        "t:2:10: 0 is no number of shards; write a number from 1 to 1024, or remove the line for one a core (TG-1109)",
    ),
    (
        r#"[listen]
shards = "two""#,
        r#"t:2:10: "two" is a string where a number is needed; write the number without quotes (TG-1109)"#,
    ),
    (
        r#"[listen]
tls = { certificate = "/nonexistent/cert.pem", key = "key.pem" }"#,
        "t:2:23: cannot read /nonexistent/cert.pem: No such file or directory (os error 2); write the path of a PEM file that begins with the server's own certificate (TG-1122)",
    ),
    (
        r#"[listen]
tls = { certificate = "/nonexistent/cert.pem" }"#,
        r#"t:2:1: [listen].tls has no key; write tls = { certificate = "cert.pem", key = "key.pem" } (TG-1106)"#,
    ),
    (
        "[listen]
tls = { certificate = 1, key = true }",
        "t:2:23: 'certificate' is an integer where a string is needed; write it in quotes (TG-1107)",
    ),
    (
        r#"[listen]
tls = "cert.pem""#,
        "t:2:7: 'tls' is a string where a table is needed; write tls = { certificate = ... } (TG-1107)",
    ),
    (
        r#"[tls]
certificate = "cert.pem""#,
        "t:1:2: 'tls' is not available in this version; write it as 'tls' in [listen] (TG-1105)",
    ),
    (
        r#"[access]
admin_token = """#,
        "t:2:15: the secret is empty; write one, such as the output of 'openssl rand -hex 32' (TG-1121)",
    ),
    (
        r#"[access]
admin_token = { env = "UNSET" }"#,
        "t:2:23: the environment variable UNSET is not set; set it before starting: UNSET=... (TG-1121)",
    ),
    (
        r#"[access]
admin_token = { env = "EMPTY" }"#,
        "t:2:23: the secret is empty; write one, such as the output of 'openssl rand -hex 32' (TG-1121)",
    ),
    (
        r#"[access]
admin_token = { env = "SET", file = "x" }"#,
        r#"t:2:15: the secret comes from exactly one of 'env' and 'file'; write admin_token = { env = "TIDEGATE_ADMIN_TOKEN" } or { file = "token" } (TG-1121)"#,
    ),
    (
        "[access]
admin_token = {}",
        r#"t:2:15: the secret comes from exactly one of 'env' and 'file'; write admin_token = { env = "TIDEGATE_ADMIN_TOKEN" } or { file = "token" } (TG-1121)"#,
    ),
    (
        r#"[access]
admin_token = { file = "/nonexistent/token" }"#,
        "t:2:24: cannot read /nonexistent/token: No such file or directory (os error 2); write the path of a readable text file (TG-1121)",
    ),
    (
        "[access]
admin_token = 5",
        "t:2:15: 'admin_token' is an integer where a string is needed; write it in quotes (TG-1107)",
    ),
    (
        r#"[access]
tokens = { algorithm = "EdDSA" }"#,
        r#"t:2:24: EdDSA needs the key 'public_key'; add public_key = "key.pem" (TG-1106)"#,
    ),
    (
        r#"[access]
origins = ["https://ok.example", "https://app.example/", "null", "https://*.example", "app.example"]"#,
        r#"t:2:34: an origin ends with the host and the port; write it as browsers send it, such as "https://app.example" (TG-1125)
t:2:58: 'null' is the origin of any sandboxed page; list the page's own origin (TG-1125)
t:2:66: an origin has no wildcard; list each origin by itself (TG-1125)
t:2:87: "app.example" has no scheme; write it as browsers send it, such as "https://app.example" (TG-1125)"#,
    ),
    (
        r#"[access]
trusted_proxies = ["10.1.0.0/8", "proxy"]"#,
        r#"t:2:20: "10.1.0.0/8" has bits beyond its range; write "10.0.0.0/8" (TG-1125)
t:2:34: "proxy" is not an address; write an address or a range, such as "10.0.0.0/8" (TG-1125)"#,
    ),
    (
        r#"[access]
hosts = ["dev.example:80"]"#,
        r#"t:2:10: "dev.example:80" is not a host name; write the name alone, such as "dev.example" (TG-1125)"#,
    ),
    (
        r#"[upstream]
ca = "/nonexistent/ca.pem""#,
        "t:2:6: there is no file /nonexistent/ca.pem; write the path of a PEM file (TG-1124)",
    ),
    (
        "[engine]
nats = {}",
        "t:2:1: 'nats' is not available in this version; remove it: one gateway keeps its channels itself (TG-1105)",
    ),
    (
        r#"[limits]
ws_max_mesage = "1 KiB""#,
        "t:2:1: unknown key 'ws_max_mesage' in [limits]; did you mean 'ws_max_message'? (TG-1104)",
    ),
    (
        r#"[limits]
ws_max_message = "64 kB""#,
        r#"t:2:18: 'ws_max_message': "64 kB" is not a size; write a number and B, KiB, MiB or GiB, such as "64 KiB" (TG-1109)"#,
    ),
    (
        "[limits]
ws_max_message = true",
        r#"t:2:18: 'ws_max_message' is a boolean where a number or a string is needed; write such as 100 or "10s" (TG-1107)"#,
    ),
    (
        "[limits]
ws_max_message = 1.5",
        r#"t:2:18: 'ws_max_message' is a float where a number or a string is needed; write such as 100 or "10s" (TG-1107)"#,
    ),
    (
        "[limits]
ws_ping_interval = 25",
        r#"t:2:20: 'ws_ping_interval': a duration needs its unit; write "25s" or "25ms" (TG-1109)"#,
    ),
    (
        r#"[limits]
ws_max_fragments = "256""#,
        r#"t:2:20: 'ws_max_fragments': "256" is a string where a number is needed; write the number without quotes (TG-1109)"#,
    ),
    (
        "[limits]
ws_max_fragments = 99999999999999999999",
        "t:2:20: 'ws_max_fragments' is too large a number; write a smaller one (TG-1109)",
    ),
    (
        r#"[limits]
max_publication = "4 MiB""#,
        r#"t:2:19: ws_out_queue_bytes (2 MiB) is less than twice max_publication (4 MiB); write ws_out_queue_bytes = "8 MiB" or more (TG-1110)"#,
    ),
    (
        r#"[limits]
drain_spread = "1m""#,
        r#"t:2:16: drain_grace and drain_spread together (63s) are longer than drain_deadline (29s); write drain_deadline = "63s" or more (TG-1110)"#,
    ),
    (
        r#"[limits]
broker_connect = "1s""#,
        "t:2:1: 'broker_connect' is not available in this version; remove it (TG-1105)",
    ),
    (
        "[limits]
channels_max_name = 300",
        "t:2:21: 'channels_max_name': 300 is out of range; it is fixed at 255; remove the line (TG-1109)",
    ),
    (
        "[limits]
x = 1",
        "t:2:1: unknown key 'x' in [limits]; 'tidegate check' lists all keys (TG-1104)",
    ),
    (
        "[limits]
max_connections = 0",
        "t:2:19: 'max_connections': 0 is out of range; write a value from 1 to 10000000 (TG-1109)",
    ),
    (
        r#"[limits]
max_publication = "64 KiB"
publish_max_body = "1 MiB""#,
        r#"t:3:20: publish_max_body (1 MiB) is more than max_publication (64 KiB); write publish_max_body = "64 KiB" or less, or raise max_publication (TG-1110)"#,
    ),
    (
        r#"[route]
path = "/a""#,
        "t:1:2: routes are a list; write [[route]] with two brackets (TG-1107)",
    ),
    (
        "route = 1",
        "t:1:1: routes are a list; write [[route]] with two brackets (TG-1107)",
    ),
    (
        "route = [1]",
        "t:1:10: 'route' is an integer where a table is needed; write route = { path = ... } (TG-1107)",
    ),
    (
        "[[route]]
",
        r#"t:1:1: the route has no path; add a line such as path = "/quotes/{symbol}" (TG-1106)
t:1:1: the route does not say what stands behind it; add one of auto, poll, stream, channel, such as channel = {} (TG-1115)"#,
    ),
    (
        "[[route]]
channel = {}",
        r#"t:1:1: the route has no path; add a line such as path = "/quotes/{symbol}" (TG-1106)"#,
    ),
    (
        r#"[[route]]
path = "/a""#,
        "t:1:1: the route does not say what stands behind it; add one of auto, poll, stream, channel, such as channel = {} (TG-1115)",
    ),
    (
        "[[route]]
path = 1
channel = {}",
        "t:2:8: 'path' is an integer where a string is needed; write it in quotes (TG-1107)",
    ),
    (
        r#"[[route]]
path = "quotes"
channel = {}"#,
        r#"t:2:8: a path begins with a slash; write "/quotes" (TG-1114)"#,
    ),
    (
        r#"[[route]]
path = "/q/:symbol"
channel = {}"#,
        "t:2:8: ':symbol' is not how a parameter is written here; write {symbol} (TG-1114)",
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
poll = { url = "http://b" }"#,
        "t:4:1: a route is of one kind, and this one says 'poll' and 'channel'; make two routes of it, each with its own path (TG-1115)",
    ),
    (
        r#"[[route]]
path = "/a"
channel = { x = 1 }"#,
        "t:3:13: unknown key 'x' in [[route]].channel; remove it; nothing stands here (TG-1104)",
    ),
    (
        r#"[[route]]
path = "/a"
channel = true"#,
        "t:3:11: 'channel' is a boolean where a table is needed; write channel = {} (TG-1107)",
    ),
    (
        r#"[[route]]
path = "/live/{*rest}"
proxy = { url = "http://127.0.0.1:9000" }"#,
        "t:3:1: 'proxy' is not available in this version; remove the route: WebSockets of a backend cannot be passed on yet (TG-1105)",
    ),
    (
        r#"[[route]]
path = "/vnc"
tcp = { address = "127.0.0.1:5900" }"#,
        "t:3:1: 'tcp' is not available in this version; use one of auto, poll, stream, channel (TG-1105)",
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
subscribe = "callback"
publish = "callback""#,
        r#"t:4:13: subscribe = "callback" is not available in this version; write subscribe = "anyone" or "token", or remove the route (TG-1105)
t:5:11: publish = "callback" is not available in this version; write publish = "token" or "anyone", or "nobody" and publish on the admin listener (TG-1105)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
subscribe = "all"
publish = "all""#,
        r#"t:4:13: subscribe = "all" means nothing; write subscribe = "anyone" or "token" (TG-1108)
t:5:11: publish = "all" means nothing; write publish = "nobody", "anyone" or "token" (TG-1108)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
slow = "x""#,
        r#"t:4:8: slow = "x" means nothing; write slow = "disconnect" or "latest" (TG-1108)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
updates = ["json-patch", "diff"]
[[route]]
path = "/b"
poll = { url = "http://b" }
updates = "json-patch"
[[route]]
path = "/c"
stream = { url = "http://b" }
updates = "merge-patch""#,
        r#"t:4:26: updates = "diff" means nothing; write updates = "json-patch", "merge-patch" or a list of both (TG-1108)
t:8:1: clients that ask get increments of polled documents in any case; remove it (TG-1110)
t:12:1: the publications of a stream are events, not versions of one document; remove it (TG-1110)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
compression = "gzip"
doors = ["ndjson"]
presence = 1"#,
        "t:4:15: compression = \"gzip\" means nothing; write compression = \"shared\", \"takeover\" or \"off\" (TG-1108)
t:5:10: a channel has all doors, whatever 'doors' says; remove the line (TG-1110)
t:6:12: 'presence' is an integer where a boolean is needed; write true or false (TG-1107)",
    ),
    (
        r#"[[route]]
path = "/a"
auto = { url = "http://b" }
doors = ["ndjson", "websocket"]"#,
        "t:4:20: \"websocket\" is no door that can be opened; write \"longpoll\", \"ndjson\" or both; the other doors are always open (TG-1108)",
    ),
    (
        r#"[[route]]
path = "/a"
poll = { url = "http://b", intervall = "1s" }"#,
        "t:3:28: unknown key 'intervall' in [[route]].poll; did you mean 'interval'? (TG-1104)",
    ),
    (
        r#"[[route]]
path = "/a"
interval = "1s"
poll = { url = "http://b" }"#,
        "t:3:1: unknown key 'interval' in [[route]]; it belongs to [[route]].poll (TG-1104)",
    ),
    (
        r#"[[route]]
path = "/a"
poll = { url = "http://b", interval = "10ms" }"#,
        r#"t:3:39: a backend is polled ten times a second at the most; write "100ms" or more (TG-1109)"#,
    ),
    (
        r#"[[route]]
path = "/a"
poll = { url = "http://b", interval = 1 }"#,
        r#"t:3:39: a duration needs its unit; write "1s" or "1ms" (TG-1109)"#,
    ),
    (
        r#"[[route]]
path = "/a"
poll = { url = "http://b", forward = ["x-user"] }"#,
        r#"t:3:39: "x-user" cannot be forwarded; write "cookie", "authorization" or both (TG-1108)"#,
    ),
    (
        r#"[[route]]
path = "/a"
poll = {}"#,
        r#"t:3:1: [[route]].poll has no url; add url = "http://127.0.0.1:9000" or where the backend is (TG-1106)"#,
    ),
    (
        r#"[[route]]
path = "/a"
poll = "http://b""#,
        "t:3:8: 'poll' is a string where a table is needed; write poll = { url = ... } (TG-1107)",
    ),
    (
        r#"[[route]]
path = "/a/{x}"
poll = { url = "http://{x}.internal/" }"#,
        "t:3:16: a {parameter} in the host would let clients choose the server; write the host as it is; parameters stand in the path or the query (TG-1117)",
    ),
    (
        r#"[[route]]
path = "/a/{x}"
poll = { url = "http://b/{y}" }"#,
        "t:3:16: {y} is not in the route's path; the path has {x} (TG-1117)",
    ),
    (
        r#"[[route]]
path = "/a/{*x}"
poll = { url = "http://b/{x}" }"#,
        "t:3:16: {x} holds several segments; write {*x}, as in the path (TG-1117)",
    ),
    (
        r#"[[route]]
path = "/a"
stream = { url = "ws://b/x" }"#,
        "t:3:18: a backend over ws:// is not available in this version; write an http:// or https:// URL (TG-1117)",
    ),
    (
        r#"[[route]]
path = "/a"
stream = { url = "b/x" }"#,
        r#"t:3:18: the URL has no scheme; write "http://b/x" (TG-1117)"#,
    ),
    (
        r#"[[route]]
path = "/a"
auto = { url = "http://b/api" }"#,
        r#"t:3:16: the URL has a path, but each request's own path goes to the backend; write "http://b" (TG-1117)"#,
    ),
    (
        r#"[[route]]
path = "/a"
auto = { url = "http://b", share = "everyone" }"#,
        r#"t:3:36: "everyone" is no way of sharing; write identity, public, authorization or cookie:NAME (TG-1108)"#,
    ),
    (
        r#"[[route]]
path = "/a"
auto = { url = "http://b" }
publish = "anyone""#,
        r#"t:4:11: clients cannot publish where a backend does ('auto'); write messages = "post" to hand their messages to the backend (TG-1110)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
messages = "post""#,
        r#"t:4:12: a channel has no backend to post messages to; write publish = "anyone" if messages are to be published, or remove it (TG-1110)"#,
    ),
    (
        r#"[[route]]
path = "/a"
poll = { url = "http://b" }
messages_type = "application/json""#,
        r#"t:4:17: 'messages_type' says nothing where messages are refused; add messages = "post", or remove it (TG-1110)"#,
    ),
    (
        r#"[[route]]
path = "/a"
auto = { url = "http://b" }
messages_type = "json""#,
        r#"t:4:17: "json" is not a media type; write such as "application/json" (TG-1108)"#,
    ),
    (
        r#"[[route]]
path = "/a"
auto = { url = "http://b" }
messages = "drop""#,
        r#"t:4:12: messages = "drop" means nothing; write messages = "post" or "refuse" (TG-1108)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
history = { size = -1, ttl = 300 }"#,
        r#"t:4:20: 'size': -1 is out of range; write a number from 0 to 4294967295 (TG-1109)
t:4:30: 'ttl': a duration needs its unit; write "300s" or "300ms" (TG-1109)"#,
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
history = { length = 1 }"#,
        "t:4:13: unknown key 'length' in [[route]].history; known keys are size, ttl (TG-1104)",
    ),
    (
        r#"[[route]]
path = "/a"
channel = {}
limits = { ws_max_message = "1 GiB", drain_grace = "1s" }"#,
        "t:4:29: 'ws_max_message': 1 GiB is out of range; write a value from 125 B to 64 MiB (TG-1109)
t:4:38: unknown key 'drain_grace' in [[route]].limits; it belongs to [limits] (TG-1104)",
    ),
    (
        r#"[[route]]
path = "/a/{x}"
channel = {}
[[route]]
path = "/a/{y}"
channel = {}"#,
        "t:5:8: /a/{y} matches the same paths as /a/{x} of line 2; remove one of them, or make one more exact (TG-1116)",
    ),
    (
        r#"[listen]
public = "0.0.0.0:8080"
[[route]]
path = "/a"
channel = {}
[[route]]
path = "/b"
channel = {}
subscribe = "anyone""#,
        r#"t:4:8: the route /a does not say who may subscribe, and 0.0.0.0:8080 is open to other machines; add subscribe = "anyone" or "token" to the route, or listen on 127.0.0.1 (TG-1118)"#,
    ),
    (
        r#"[limits]
"\u001b[31m" = 1"#,
        r#"t:2:1: unknown key '\u{1b}[31m' in [limits]; 'tidegate check' lists all keys (TG-1104)"#,
    ),
    (
        "x = { y =
",
        "t:1:10: not TOML: unclosed inline table, expected `}`; see https://toml.io for the syntax (TG-1103)
t:1:10: not TOML: invalid literal string, expected `'`; see https://toml.io for the syntax (TG-1103)",
    ),
];

fn environment(name: &str) -> Option<String> {
    match name {
        "SET" => Some("secret".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

#[test]
fn every_fault_is_reported_with_its_place_and_the_mend() {
    for (text, expected) in BROKEN {
        let faults = Settings::from_text(text, "t", &environment).expect_err(text);
        assert_eq!(faults.to_string(), *expected, "\n{text}");
    }
}
