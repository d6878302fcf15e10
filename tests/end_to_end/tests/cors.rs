//! What pages of other origins may do: the Origin rule of each HTTP door as browsers hear it.

use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Headers, Incoming, Request};
use tidegate_end_to_end::stream::Stream;

const LISTED: &str = "https://app.example";

/// A channel, a document with doors of its own, and a backend that answers everything else with a word of its
/// own about origins.
fn gateway() -> (Gateway, Backend) {
    let backend = Backend::start(|asked| match asked.target.as_str() {
        "/own" => Reply::ok(asked.method.as_str()).header("Access-Control-Allow-Origin", "*"),
        "/refused" => Reply::status(403).header("Access-Control-Allow-Origin", "*"),
        _ => Reply::ok("1"),
    });
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[access]\norigins = [\"{LISTED}\"]\n\
         [[route]]\npath = \"/feed/{{name}}\"\nchannel = {{}}\n\
         [[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\" }}\ndoors = [\"longpoll\", \"ndjson\"]\n\
         [[route]]\npath = \"/{{*rest}}\"\nauto = {{ url = \"{url}\" }}\n"
    ));
    gateway.publish("feed/a", "1");
    (gateway, backend)
}

fn head(gateway: &Gateway, request: Request) -> (u16, Headers) {
    let answer: Incoming =
        request.begin(Stream::connect(gateway.public()).expect("it listens")).expect("an answer");
    (answer.status, answer.headers)
}

fn vary(headers: &Headers) -> bool {
    headers.all("vary").any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case("origin")))
        && headers.all("vary").any(|value| value.to_ascii_lowercase().contains("accept"))
}

/// A request of each door of ours, with the status of its answer.
fn doors() -> Vec<(u16, Request)> {
    let accept = |kind: &str| Request::get("/feed/a").header("Accept", kind);
    vec![
        (200, accept("text/event-stream")),
        (200, accept("application/x-ndjson")),
        (200, Request::get("/feed/a?wait=0")),
        (200, Request::get("/feed/a")),
        (200, Request::new("HEAD", "/feed/a")),
        (200, Request::get("/x?wait=20")),
        (200, Request::get("/x").header("Accept", "application/x-ndjson")),
        (200, Request::get("/other").header("Accept", "text/event-stream")),
        (204, Request::new("OPTIONS", "/feed/a").header("Access-Control-Request-Method", "GET")),
        (204, Request::new("OPTIONS", "/x?wait=1").header("Access-Control-Request-Method", "GET")),
        (204, Request::new("OPTIONS", "/feed/a")),
        // A page that may read an answer may read a refusal, too.
        (400, Request::get("/feed/a?wait=soon")),
        (404, Request::get("/feed/nothing")),
        (405, Request::post("/feed/a", "1")),
        (403, Request::get("/refused").header("Accept", "text/event-stream")),
    ]
}

#[test]
fn a_page_of_a_listed_origin_may_read_every_answer_of_ours() {
    let (gateway, _backend) = gateway();
    let own = gateway.http("");
    for origin in [LISTED, own.as_str()] {
        for (status, request) in doors() {
            let shown = format!("{origin} {request:?}");
            let (found, headers) = head(&gateway, request.header("Origin", origin));
            assert_eq!(found, status, "{shown}");
            let allowed: Vec<_> = headers.all("access-control-allow-origin").collect();
            assert_eq!(allowed, [origin], "{shown}: the origin itself, and never a wildcard");
            assert_eq!(headers.get("access-control-allow-credentials"), Some("true"), "{shown}");
            let exposed = headers.get("access-control-expose-headers").expect("names of fields");
            assert!(exposed.contains("Tidegate-Position"), "{shown}: {exposed}");
            assert!(vary(&headers), "{shown}");
        }
    }
}

#[test]
fn other_pages_may_read_nothing_and_programs_need_no_word() {
    let (gateway, _backend) = gateway();
    for origin in [
        "null",
        "https://app.example.evil.example",
        "https://evilapp.example",
        "http://app.example",
        "https://app.example:444",
        "https://user@app.example",
        "*",
        "",
    ] {
        for (_, request) in doors() {
            let post = format!("{request:?}").contains("\"POST\"");
            let shown = format!("{origin:?} {request:?}");
            let (found, headers) = head(&gateway, request.header("Origin", origin));
            assert_eq!(found, if post { 405 } else { 403 }, "{shown}");
            assert!(headers.get("access-control-allow-origin").is_none(), "{shown}");
            assert!(headers.get("access-control-allow-credentials").is_none(), "{shown}");
            assert!(vary(&headers), "{shown}");
        }
    }
    for (status, request) in doors() {
        let backend_says = format!("{request:?}").contains("/refused");
        let (found, headers) = head(&gateway, request);
        assert_eq!(found, status);
        assert!(backend_says || headers.get("access-control-allow-origin").is_none());
        assert!(vary(&headers), "a cache must not hand this to a page");
    }
}

#[test]
fn what_is_refused_before_any_door_may_be_read() {
    let gateway = Gateway::configured(&format!(
        "[access]\norigins = [\"{LISTED}\"]\n[limits]\nhttp_max_uri = \"1 KiB\"\n\
         [[route]]\npath = \"/feed/{{name}}\"\nchannel = {{}}\n"
    ));
    let long = format!("/feed/a?{}", "x".repeat(2000));
    for (status, target) in [(404, "/nowhere"), (414, long.as_str())] {
        for (origin, allowed) in [(LISTED, Some(LISTED)), ("https://evil.example", None)] {
            let (found, headers) = head(&gateway, Request::get(target).header("Origin", origin));
            assert_eq!((found, headers.get("access-control-allow-origin")), (status, allowed), "{target}");
            assert!(vary(&headers), "{target}");
        }
    }
}

#[test]
fn a_preflight_says_what_may_be_sent() {
    let (gateway, _backend) = gateway();
    let preflight = Request::new("OPTIONS", "/feed/a")
        .header("Origin", LISTED)
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "authorization,last-event-id");
    let (status, headers) = head(&gateway, preflight);
    assert_eq!(status, 204);
    assert_eq!(headers.get("access-control-allow-methods"), Some("GET, HEAD"));
    let allowed = headers.get("access-control-allow-headers").expect("names of fields").to_ascii_lowercase();
    assert!(["authorization", "last-event-id"].iter().all(|name| allowed.contains(name)), "{allowed}");
    assert!(!allowed.contains('*'));
    assert_eq!(headers.get("access-control-max-age"), Some("600"));
    // Plain OPTIONS ask for the methods alone.
    let (_, headers) = head(&gateway, Request::new("OPTIONS", "/feed/a"));
    assert_eq!(headers.get("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(headers.get("access-control-allow-methods"), None);
}

#[test]
fn what_passes_through_has_the_backends_word() {
    let (gateway, backend) = gateway();
    let preflight = Request::new("OPTIONS", "/own").header("Access-Control-Request-Method", "DELETE");
    for request in [Request::get("/own"), preflight] {
        for origin in [LISTED, "https://evil.example"] {
            let (status, headers) = head(&gateway, request.clone().header("Origin", origin));
            assert_eq!((status, headers.get("access-control-allow-origin")), (200, Some("*")));
            assert_eq!(headers.get("access-control-allow-credentials"), None);
            assert!(!vary(&headers));
        }
    }
    assert_eq!(backend.count("/own"), 4);
    // The same URL of a route with the door is the backend's as long as its query does not say otherwise.
    let (status, headers) = head(&gateway, Request::new("OPTIONS", "/x").header("Origin", LISTED));
    assert_eq!((status, headers.get("access-control-allow-origin")), (200, None));
}

/// A preflight for a GET with these fields.
fn preflight(path: &str, origin: &str, fields: &str) -> Request {
    Request::new("OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", fields)
}

#[test]
fn a_preflight_for_a_door_at_a_backends_url_is_ours_and_others_are_the_backends() {
    let (gateway, backend) = gateway();
    for path in ["/own", "/x", "/x?after=k3f9:1", "/x?query=1"] {
        for fields in ["authorization", "authorization,last-event-id", "Cache-Control, If-None-Match"] {
            let (status, headers) = head(&gateway, preflight(path, LISTED, fields));
            assert_eq!(status, 204, "{path} {fields}");
            assert_eq!(headers.get("access-control-allow-origin"), Some(LISTED), "{path} {fields}");
            assert_eq!(headers.get("access-control-allow-credentials"), Some("true"));
            assert!(vary(&headers) && headers.get("allow").is_none(), "{path} {fields}");
        }
    }
    assert_eq!((backend.count("/own"), backend.count("/x")), (0, 0), "nobody asked the server");
    let twice = preflight("/own", LISTED, "authorization").header("Access-Control-Request-Method", "GET");
    for request in [
        preflight("/own", "https://evil.example", "authorization"),
        preflight("/own", "null", "authorization"),
        preflight("/own", LISTED, "authorization,x-own"),
        preflight("/own", LISTED, "x-own").header("Access-Control-Request-Headers", "authorization"),
        preflight("/own", LISTED, ""),
        Request::new("OPTIONS", "/own").header("Origin", LISTED),
        Request::new("OPTIONS", "/own").header("Access-Control-Request-Method", "GET"),
        Request::new("OPTIONS", "/own")
            .header("Origin", LISTED)
            .header("Access-Control-Request-Method", "PUT")
            .header("Access-Control-Request-Headers", "authorization"),
        twice,
    ] {
        let shown = format!("{request:?}");
        let (status, headers) = head(&gateway, request);
        assert_eq!((status, headers.get("access-control-allow-origin")), (200, Some("*")), "{shown}");
    }
    assert_eq!(backend.count("/own"), 9);
}
