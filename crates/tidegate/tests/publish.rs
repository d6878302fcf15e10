//! `tidegate publish` against a scripted admin listener.
//! It runs the built program; the server reads requests and answers in plain bytes.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use harness::{Run, accept, listen, listen_often, read_head, run, tidegate};

/// A request as it came.
struct Request {
    head: String,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn request(stream: &mut TcpStream) -> Request {
    let head = read_head(stream);
    let mut request = Request { head, body: String::new() };
    let length = request.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}

fn answer(stream: &mut TcpStream, status: &str, body: &str) {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
}

/// Publishes once to a listener that answers so; gives the request, too.
fn published(arguments: &[&str], stdin: &str, status: &'static str, body: &'static str) -> (Run, Request) {
    let (address, server) = listen(move |mut stream| {
        let request = request(&mut stream);
        answer(&mut stream, status, body);
        request
    });
    let admin = format!("http://{address}");
    let run = run(&[&["publish", "--admin", &admin], arguments].concat(), stdin);
    (run, server.join().unwrap())
}

const CREATED: &str = "201 Created";
const POSITION: &str = "{\"position\":\"k3f9:42\",\"subscribers\":3}";

#[test]
fn a_text_from_the_arguments() {
    let (run, request) = published(&["quotes/BTC", "hello", "--token", "secret"], "", CREATED, POSITION);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "k3f9:42\t3\n", ""));
    assert!(request.head.starts_with("POST /channels/quotes/BTC HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(request.body, "hello");
}

#[test]
fn a_position_that_the_channel_must_have() {
    let arguments = ["x", "hello", "--if-match", "k3f9:41"];
    let (run, request) = published(&arguments, "", CREATED, POSITION);
    assert_eq!((run.code, request.header("if-match")), (0, Some("k3f9:41")));
    let moved = "{\"position\":\"k3f9:50\"}\n";
    let (run, _) = published(&arguments, "", "412 Precondition Failed", moved);
    assert_eq!(run.code, 11, "{}", run.stderr);
    assert!(run.stderr.contains("412: the channel stands at k3f9:50"), "{}", run.stderr);
    let wrong = run_publish(&["x", "hello", "--if-match", "41"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("k3f9:41"), "it shows how one looks: {}", wrong.stderr);
}

fn run_publish(arguments: &[&str]) -> Run {
    run(&[&["publish"], arguments].concat(), "")
}

#[test]
fn names_and_kinds() {
    for (arguments, stdin, target, kind, body) in [
        (&["/a b?c=d", "{\"e\":1}"][..], "", "/channels/a%20b%3Fc%3Dd", "application/json", "{\"e\":1}"),
        (&["/"], "from stdin\n", "/channels//", "text/plain; charset=utf-8", "from stdin"),
        (&["x", "--binary"], "raw\n", "/channels/x", "application/octet-stream", "raw\n"),
    ] {
        let (run, request) = published(arguments, stdin, "202 Accepted", POSITION);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(request.head.starts_with(&format!("POST {target} HTTP/1.1\r\n")), "{}", request.head);
        assert_eq!((request.header("content-type"), request.body.as_str()), (Some(kind), body));
    }
}

#[test]
fn a_file_and_json_lines() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"from a file\n").unwrap();
    let path = file.path().to_str().unwrap();
    let (run, request) = published(&["x", "--file", path, "--json"], "", CREATED, POSITION);
    assert_eq!(request.body, "from a file\n");
    let line: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&line["v"], &line["type"], &line["channel"]), (&1.into(), &"published".into(), &"x".into()));
    assert_eq!((&line["position"], &line["subscribers"]), (&"k3f9:42".into(), &3.into()));
}

#[test]
fn lines_in_order_over_one_connection() {
    let (address, server) = listen(|mut stream| {
        let mut bodies = Vec::new();
        let mut keys = std::collections::HashSet::new();
        for number in 0..4 {
            let request = request(&mut stream);
            keys.insert(request.header("idempotency-key").unwrap().to_owned());
            bodies.push(request.body);
            answer(&mut stream, CREATED, &format!("{{\"position\":\"e:{number}\",\"subscribers\":0}}"));
        }
        (bodies, keys.len())
    });
    let admin = format!("http://{address}");
    let run = run(&["publish", "x", "--lines", "--admin", &admin], "one\ntwo\r\n\nfour");
    let (bodies, keys) = server.join().unwrap();
    assert_eq!(bodies, ["one", "two", "", "four"]);
    assert_eq!((run.code, run.stdout.as_str(), keys), (0, "e:0\t0\ne:1\t0\ne:2\t0\ne:3\t0\n", 4));
}

#[test]
fn a_kept_connection_that_was_closed_is_made_anew() {
    let (address, server) = listen_often(|listener: &TcpListener| {
        let mut keys = Vec::new();
        for _ in 0..2 {
            let mut stream = accept(listener);
            let first = request(&mut stream);
            keys.push(first.header("idempotency-key").unwrap().to_owned());
            answer(&mut stream, CREATED, POSITION);
        }
        keys
    });
    let admin = format!("http://{address}");
    let run = run(&["publish", "x", "--lines", "--admin", &admin], "one\ntwo\n");
    assert_eq!((run.code, run.stdout.lines().count()), (0, 2), "{}", run.stderr);
    let keys = server.join().unwrap();
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn refused_11_with_the_servers_sentence() {
    for (status, body, text) in [
        ("401 Unauthorized", "{\"error\":\"a token is needed\"}", "401: a token is needed"),
        ("403 Forbidden", "{\"message\":\"not \\u001b[2Jthis\"}", "403: not \\u{1b}[2Jthis"),
        ("404 Not Found", "no such route", "404: no such route"),
        ("413 Content Too Large", "", "with 413"),
        ("429 Too Many Requests", "", "with 429"),
    ] {
        let (run, _) = published(&["x", "y"], "", status, body);
        assert_eq!((run.code, run.stdout.as_str()), (11, ""), "{status}");
        assert!(run.stderr.contains(text), "{}", run.stderr);
    }
    let (run, _) = published(&["x", "y"], "", "503 Service Unavailable", "{\"outcome\":\"unknown\"}");
    assert_eq!(run.code, 1);
}

#[test]
fn what_is_no_admin_listener_1() {
    let (run, _) = published(&["x", "y"], "", "200 OK", "<html>");
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    let (address, server) = listen(|mut stream| drop(request(&mut stream)));
    let lost = harness::run(&["publish", "x", "y", "--admin", &format!("http://{address}")], "");
    server.join().unwrap();
    assert_eq!(lost.code, 1, "{}", lost.stderr);
    assert!(lost.stderr.contains("unknown"));
}

#[test]
fn unreachable_4_and_usage_2() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gone = run(&["publish", "x", "y", "--admin", &admin], "");
    assert_eq!(gone.code, 4);
    assert!(gone.stderr.contains("is the gateway running?"), "{}", gone.stderr);
    for arguments in [
        &["publish", "../x", "y"][..],
        &["publish", "x", "y", "--admin", "https://x"],
        &["publish", "x", "y", "--admin", "http://x", "--token", "a\nb"],
        &["publish", "x", "y", "--lines"],
    ] {
        assert_eq!(run(arguments, "").code, 2, "{arguments:?}");
    }
}

#[test]
fn the_environment() {
    let (address, server) = listen(|mut stream| {
        let request = request(&mut stream);
        answer(&mut stream, CREATED, POSITION);
        request
    });
    let mut command = tidegate(&["publish", "x", "y"]);
    command.env("TIDEGATE_ADMIN_URL", format!("http://{address}/")).env("TIDEGATE_ADMIN_TOKEN", "t");
    let run = harness::finish(command.spawn().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(server.join().unwrap().header("authorization"), Some("Bearer t"));
}
