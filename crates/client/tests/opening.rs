//! Opening a connection against a scripted server: what goes out, and whom each failure blames.
//! The peer is a script that answers in plain bytes.

#![allow(missing_docs, reason = "a test program")]

mod peer;

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use peer::{Peer, frame, listen, read_head, serve};
use tidegate_client::{
    ConnectError, Connection, DialError, Event, HandshakeError, Http, Message, Options, Phase, Trust,
    connect, handshake_section,
};

async fn refused_by(answer: &'static str) -> ConnectError {
    let (address, server) = listen(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let result = connect(&format!("ws://{address}/"), Options::default()).await;
    server.join().unwrap();
    result.expect_err("no connection")
}

fn text(text: &str) -> Option<Event> {
    Some(Event::Message(Message::Text(text.to_owned())))
}

#[tokio::test]
async fn the_request_and_the_first_frames() {
    let (address, server) = listen(|stream| {
        let first = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
        Peer::accept(stream, "Sec-WebSocket-Protocol: b\r\nX-Odd:  Case \r\n", &first)
    });
    let options = Options {
        headers: vec![("Cookie".to_owned(), "a=b".to_owned())],
        subprotocols: vec!["a".to_owned(), "b".to_owned()],
        origin: Some("http://localhost:3000".to_owned()),
        ..Options::default()
    };
    let mut connection: Connection = connect(&format!("http://{address}/x?y=1"), options).await.unwrap();
    assert_eq!(connection.next().await, text("one"));
    assert_eq!(connection.next().await, text("two"));
    let opened = connection.take_opened().unwrap();
    assert_eq!((connection.subprotocol(), connection.opened().is_none()), (Some("b"), true));
    assert_eq!((opened.status, opened.subprotocol.as_deref()), (101, Some("b")));
    assert_eq!((opened.peer, opened.tls, opened.http), (Some(address), None, Http::V1));
    assert!(opened.headers.contains(&("X-Odd".to_owned(), b"Case".to_vec())), "{:?}", opened.headers);
    let request = server.join().unwrap().request;
    assert_eq!(request.as_bytes(), opened.request);
    assert!(request.starts_with("GET /x?y=1 HTTP/1.1\r\n"));
    for line in ["Cookie: a=b", "Origin: http://localhost:3000", "Sec-WebSocket-Protocol: a, b"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    assert!(request.contains(&format!("\r\nHost: {address}\r\n")));
}

#[tokio::test]
async fn a_refusal_comes_with_its_headers_and_body() {
    let answer = "HTTP/1.1 403 Forbidden\r\nX-Why: origin\r\nContent-Length: 7\r\n\r\nnot you";
    let ConnectError::Refused(refused) = refused_by(answer).await else { panic!("refused") };
    assert_eq!((refused.status, refused.header("x-why")), (403, Some("origin")));
    assert_eq!((refused.body.as_slice(), refused.complete), (&b"not you"[..], true));
}

#[tokio::test]
async fn a_wrong_accept_key_is_the_servers_fault() {
    let answer =
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let ConnectError::Handshake(error) = refused_by(answer).await else { panic!("a broken handshake") };
    assert_eq!(error, HandshakeError::AcceptKey);
    assert_eq!(handshake_section(&error), Some("RFC 6455, section 4.1"));
}

#[tokio::test]
async fn what_is_not_http_is_the_servers_fault() {
    let error = refused_by("SSH-2.0-OpenSSH\r\n\r\n").await;
    assert!(matches!(error, ConnectError::Handshake(HandshakeError::Malformed)), "{error}");
}

#[tokio::test]
async fn an_end_without_an_answer() {
    let error = refused_by("HTTP/1.1 101").await;
    assert!(matches!(error, ConnectError::Lost(_)), "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = connect(&format!("ws://{address}/"), Options::default()).await.unwrap_err();
    let ConnectError::Dial(DialError::Connect { address: Some(tried), .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(tried, address);
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let error = connect("ws://nobody.invalid/", Options::default()).await.unwrap_err();
    let resolve =
        matches!(&error, ConnectError::Dial(DialError::Resolve { host, .. }) if host == "nobody.invalid");
    assert!(resolve, "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer() {
    // The system accepts; nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for (scheme, awaited) in [("ws", Phase::Handshake), ("wss", Phase::Tls)] {
        let limit = Duration::from_millis(50);
        let options = Options { connect_timeout: limit, trust: Trust::Anyone, ..Options::default() };
        let error = connect(&format!("{scheme}://{address}/"), options).await.unwrap_err();
        let ConnectError::Timeout { phase, limit: told } = error else { panic!("{error}") };
        assert_eq!((phase, told), (awaited, limit));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let options = Options { headers: vec![("Upgrade".to_owned(), "h2c".to_owned())], ..Options::default() };
    let error = connect("ws://127.0.0.1:1/", options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Request(_)), "{error}");
    let error = connect("ws://127.0.0.1:1/#x", Options::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Url(_)), "{error}");
}

#[tokio::test]
async fn unread_connections_end_with_their_server() {
    let (url, server) = serve(|_| ());
    let mut connection = connect(&url, Options::default()).await.unwrap();
    server.join().unwrap();
    assert!(matches!(connection.next().await, Some(Event::Close(_))));
    assert_eq!(connection.next().await, None);
}

#[tokio::test]
async fn two_connections_have_two_keys() {
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (address, server) = listen(|stream| Peer::accept(stream, "", b""));
        let _connection = connect(&format!("ws://{address}/"), Options::default()).await.unwrap();
        let request = server.join().unwrap().request;
        keys.extend(
            request.lines().filter(|line| line.starts_with("Sec-WebSocket-Key: ")).map(str::to_owned),
        );
    }
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}
