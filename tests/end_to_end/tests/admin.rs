//! The admin listener as strangers and owners meet it: every route with every credential, what pages of others
//! may do, and what it tells those who may ask.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Answer, Request};
use tidegate_end_to_end::websocket::WebSocket;

/// A route: method, target, and the status with the right token where nothing has been published. `{id}` is the
/// id of an open connection.
const ROUTES: &[(&str, &str, u16)] = &[
    ("GET", "/live", 200),
    ("GET", "/ready", 200),
    ("GET", "/metrics", 200),
    ("HEAD", "/metrics", 200),
    ("GET", "/channels", 200),
    ("GET", "/channels?limit=1", 200),
    ("GET", "/channels?limit=0", 400),
    ("GET", "/channels/nothing", 404),
    ("GET", "/channels/", 400),
    ("POST", "/channels/new", 202),
    ("DELETE", "/channels/nothing", 404),
    ("GET", "/connections", 200),
    ("GET", "/connections?state=closed", 200),
    ("GET", "/connections?state=gone", 400),
    ("GET", "/backends", 200),
    ("GET", "/backends?limit=0", 400),
    ("GET", "/handshakes", 200),
    ("GET", "/handshakes?limit=0", 400),
    ("POST", "/handshakes", 405),
    ("GET", "/connections/{id}", 200),
    ("GET", "/connections/9-0.0", 404),
    ("GET", "/connections/nonsense", 400),
    ("DELETE", "/connections/9-0.0", 404),
    ("DELETE", "/connections/{id}?code=1", 400),
    ("DELETE", "/connections/{id}?code=4000&reason=why", 200),
    ("GET", "/watch", 400),
    ("POST", "/watch", 405),
    ("GET", "/", 200),
    ("HEAD", "/page/page.js", 200),
    ("GET", "/page/elsewhere.js", 404),
    ("POST", "/", 405),
    ("GET", "/elsewhere", 404),
    ("PUT", "/channels/new", 405),
    ("POST", "/channels", 405),
    ("POST", "/metrics", 405),
    ("PUT", "/connections/{id}", 405),
    ("DELETE", "/connections", 405),
];

/// Routes that need no token: whoever restarts processes has none, and the page asks for one itself.
const OPEN: &[&str] = &["/live", "/ready", "/", "/page/page.js", "/page/elsewhere.js"];

/// What may stand in `Authorization`, `TOKEN` being the right one, and whether it lets in.
const CREDENTIALS: &[(Option<&str>, bool)] = &[
    (Some("Bearer TOKEN"), true),
    (Some("bearer TOKEN"), true),
    (None, false),
    (Some(""), false),
    (Some("Bearer"), false),
    (Some("Bearer "), false),
    (Some("Bearer wrong"), false),
    (Some("Bearer TOKENx"), false),
    (Some("Bearer  TOKEN"), false),
    (Some("Basic TOKEN"), false),
    (Some("TOKEN"), false),
];

fn request(method: &str, target: &str) -> Request {
    if method == "POST" { Request::post(target, "1") } else { Request::new(method, target) }
}

/// The id of some open connection.
fn connection(gateway: &Gateway) -> String {
    let list = gateway.ask_admin(Request::get("/connections")).json();
    list["connections"][0]["id"].as_str().expect("a connection").to_owned()
}

#[test]
fn every_route_wants_the_token_and_the_right_one() {
    let mut gateway = Gateway::alone(&[]);
    for (method, target, status) in ROUTES {
        for (credential, lets_in) in CREDENTIALS {
            let mut socket = WebSocket::enveloped(gateway.public(), "/follow");
            socket.envelope("open");
            let target = target.replace("{id}", &connection(&gateway));
            let mut request = request(method, &target);
            if let Some(credential) = credential {
                request = request.header("Authorization", credential.replace("TOKEN", gateway.token()));
            }
            let answer = send(method, request, &gateway);
            let open = OPEN.contains(&target.as_str());
            let expected = if *lets_in || open { *status } else { 401 };
            assert_eq!(answer.status, expected, "{method} {target} {credential:?}: {}", answer.text());
            if expected == 401 {
                assert_eq!(answer.headers.get("www-authenticate"), Some("Bearer realm=\"tidegate\""));
                assert!(!answer.text().contains("/follow"), "nothing is told: {}", answer.text());
            }
            if expected == 405 {
                assert!(answer.headers.get("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
            }
            socket.cut();
            gateway = settled(gateway);
        }
    }
}

/// A HEAD has no body, whatever its length says.
fn send(method: &str, request: Request, gateway: &Gateway) -> Answer {
    let stream = tidegate_end_to_end::stream::Stream::connect(gateway.admin()).expect("it listens");
    let incoming = request.begin(stream).unwrap_or_else(|error| panic!("{method}: {error}"));
    incoming.whole().unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// Everything is gone that a request may have left behind.
fn settled(gateway: Gateway) -> Gateway {
    gateway.wait_metric("tidegate_open_connections{door=\"tidegate.v1\"}", 0.0);
    gateway.ask_admin(Request::new("DELETE", "/channels/new"));
    gateway
}

#[test]
fn two_credentials_are_none() {
    let gateway = Gateway::alone(&[]);
    let bearer = format!("Bearer {}", gateway.token());
    let twice = Request::get("/channels").header("Authorization", &bearer).header("Authorization", &bearer);
    assert_eq!(twice.send(gateway.admin()).status, 401);
}

#[test]
fn the_public_listener_has_no_admin_routes() {
    let gateway = Gateway::alone(&[]);
    for (method, target, _) in ROUTES {
        let request = request(method, &target.replace("{id}", "0-0.0"));
        let answer = request.header("Authorization", format_args!("Bearer {}", gateway.token()));
        let answer = send_public(answer, &gateway);
        // Each path is a channel here, of which nothing is kept and to which nothing is posted.
        assert!(matches!(answer.status, 400 | 404 | 405), "{method} {target}: {}", answer.status);
    }
}

fn send_public(request: Request, gateway: &Gateway) -> Answer {
    let stream = tidegate_end_to_end::stream::Stream::connect(gateway.public()).expect("it listens");
    request.begin(stream).and_then(|incoming| incoming.whole()).expect("an answer")
}

#[test]
fn pages_of_others_and_other_host_names_get_nothing() {
    let gateway = Gateway::alone(&[]);
    let own = format!("http://{}", gateway.admin());
    let port = gateway.admin().port();
    let status = |name: &str, value: &str| {
        let request = Request::get("/channels").header(name, value);
        gateway.ask_admin(request).status
    };
    for (name, value, expected) in [
        ("Origin", own.as_str(), 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", &own.replace("http:", "https:"), 403),
        ("Origin", &format!("http://{}", gateway.public()), 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "same-origin", 200),
        ("Host", "evil.example", 421),
        ("Host", "127.0.0.1.evil.example", 421),
        ("Host", "localhost", 200),
        ("Host", &format!("localhost:{port}"), 200),
        ("Host", &format!("[::1]:{port}"), 200),
        ("Host", "user@localhost", 400),
    ] {
        assert_eq!(status(name, value), expected, "{name}: {value}");
    }
    for open in OPEN {
        let rebound = Request::get(open).header("Host", "evil.example").send(gateway.admin());
        assert_eq!(rebound.status, 421, "{open} is for whoever runs the process and not for pages");
    }
}

#[test]
fn the_public_listener_keeps_the_same_rules() {
    let backend = Backend::start(|_| Reply::ok("1"));
    let gateway = Gateway::before(&backend.url(), &[]);
    let host = |host: &str| Request::get("/x").header("Host", host).send(gateway.public()).status;
    assert_eq!(host("localhost"), 200);
    assert_eq!(host("evil.example"), 421);
    let page = |origin: &str| {
        let stream = Request::get("/x").header("Origin", origin);
        EventStream::try_ask(gateway.public(), &stream).is_ok()
    };
    assert!(page(&format!("http://{}", gateway.public())));
    assert!(page(&backend.url()), "a page of the backend may connect");
    assert!(!page("http://evil.example") && !page("null"));
}

#[test]
fn lists_come_in_pages() {
    let gateway = Gateway::alone(&["--shards", "2"]);
    let names: BTreeSet<String> = (0..25).map(|number| format!("page/{number:02}")).collect();
    names.iter().for_each(|name| drop(gateway.publish(name, "1")));
    let mut sockets: Vec<_> =
        names.iter().map(|name| WebSocket::enveloped(gateway.public(), &format!("/{name}"))).collect();
    sockets.iter_mut().for_each(|socket| drop(socket.envelope("open")));
    let name_of = |item: &Value, key: &str| item[key].as_str().expect("a name").to_owned();
    for (list, key) in [("channels", "channel"), ("connections", "id")] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = gateway.ask_admin(Request::get(&format!("/{list}?limit=10{after}"))).json();
            let items = page[list].as_array().expect("a list");
            assert!(items.len() <= 10);
            seen.extend(items.iter().map(|item| name_of(item, key)));
            let Some(next) = page["next"].as_str() else { break };
            assert_eq!(Some(next), seen.last().map(String::as_str));
            after = format!("&after={}", next.replace('/', "%2F"));
        }
        assert_eq!(seen.len(), 25, "{list}: {seen:?}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 25, "none twice");
        if list == "channels" {
            assert!(seen.iter().eq(&names), "in the order of their names");
        }
    }
}

#[test]
fn a_channel_tells_its_state_and_history() {
    let gateway = Gateway::alone(&[]);
    let first = gateway.publish("a", "1");
    let second = gateway.publish("a", "two");
    let shown = gateway.channel("a");
    assert_eq!((&shown["position"], &shown["subscribers"]), (&second.as_str().into(), &0.into()));
    let after = gateway.ask_admin(Request::get(&format!("/channels/a?after={first}"))).json();
    assert_eq!(after["recovered"], true);
    let publications = after["publications"].as_array().expect("a list");
    assert_eq!(publications.len(), 1);
    assert_eq!(
        (&publications[0]["position"], &publications[0]["text"]),
        (&second.as_str().into(), &"two".into())
    );
    let lost = gateway.ask_admin(Request::get("/channels/a?after=zz:9")).json();
    assert_eq!((&lost["recovered"], lost["publications"].as_array().map(Vec::len)), (&false.into(), Some(0)));
}

#[test]
fn a_source_shows_its_health_and_nobody_publishes_to_it() {
    let backend = Backend::start(|_| Reply::ok("1"));
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut socket = WebSocket::open(gateway.public(), "/x?q=1");
    assert_eq!(socket.text(), "1");
    let shown = gateway.channel("x%3Fq=1");
    assert_eq!((&shown["channel"], &shown["source"]["state"]), (&"x?q=1".into(), &"running".into()));
    let refused = gateway.ask_admin(Request::post("/channels/x", "1"));
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("filled by its backend"), "{}", refused.text());
}

#[test]
fn a_connection_is_described_and_closed_as_the_operator_says() {
    let gateway = Gateway::alone(&[]);
    let mut socket = WebSocket::open(gateway.public(), "/a");
    gateway.wait_subscribers("a", 1);
    let id = connection(&gateway);
    let shown = gateway.ask_admin(Request::get(&format!("/connections/{id}"))).json();
    assert_eq!(shown["door"], "websocket");
    assert_eq!(shown["channels"], serde_json::json!(["a"]));
    assert!(shown["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1")), "{shown}");
    let close = format!("/connections/{id}?code=4321&reason=it%20was+you");
    assert_eq!(gateway.ask_admin(Request::new("DELETE", &close)).status, 200);
    assert_eq!(socket.closed(), (4321, "it was you".to_owned()));
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let gateway = Gateway::alone(&[]);
    gateway.publish("a", "1");
    let mut socket = WebSocket::enveloped(gateway.public(), "/a");
    socket.envelope("open");
    let answer = gateway.ask_admin(Request::get("/metrics"));
    let kind = answer.headers.get("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut types = BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(matches!(kind, "counter" | "gauge") && types.insert(name.to_owned()), "{line}");
        } else if !line.starts_with("# ") {
            check_sample(line, &types);
        }
    }
    assert!((gateway.metric("tidegate_published_total") - 1.0).abs() < f64::EPSILON);
    assert!((gateway.metric("tidegate_open_connections{door=\"tidegate.v1\"}") - 1.0).abs() < f64::EPSILON);
}

/// `name{label="value"} number`, of a family that was declared.
fn check_sample(line: &str, types: &BTreeSet<String>) {
    let (series, value) = line.rsplit_once(' ').expect("a series and a value");
    assert!(value.parse::<f64>().is_ok(), "{line}");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(labels.ends_with('}') && name.starts_with("tidegate_"), "{line}");
    let family = name.strip_suffix("_total").unwrap_or(name);
    assert!(types.contains(family), "{family} was not declared");
}

#[test]
fn the_token_that_was_made_lies_in_a_file_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let gateway = Gateway::alone(&[]);
    let file = gateway.runtime_folder().join(format!("tidegate/admin-{}.token", gateway.admin()));
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&file).expect("its text").trim(), gateway.token());
    gateway.signal(rustix::process::Signal::TERM);
    let folder = file.clone();
    assert_eq!(gateway.ended().code, Some(0));
    assert!(!folder.exists(), "it is removed at the end");
}
