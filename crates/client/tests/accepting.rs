//! Accepting a connection: what is answered to which request, and the bounds around it.
//! The peer is our own client where a handshake is right, and a script of bytes where it is wrong.

#![allow(missing_docs, reason = "a test program")]

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_client::deflate::{Acceptance, Offer};
use tidegate_client::{
    AcceptError, AcceptOptions, CloseCode, Connection, Event, Incoming, Message, Options, Replies, accept,
    accept_stream, connect, receive_stream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
async fn pair(options: Options, accepting: AcceptOptions) -> (Connection, Connection) {
    let (listener, address) = listener().await;
    let url = format!("ws://{address}/room?x=1");
    let (client, server) = tokio::join!(connect(&url, options), async {
        let (stream, _) = listener.accept().await.unwrap();
        accept(stream, accepting).await
    });
    (client.unwrap(), server.unwrap())
}

const REQUEST: &str = "GET /chat?x=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What a client that writes these bytes is told, and what the server learns.
async fn told(request: &[u8]) -> (String, Result<Connection, AcceptError>) {
    let (mut peer, stream) = duplex(64 * 1024);
    let (answer, result) = tokio::join!(
        async {
            peer.write_all(request).await.unwrap();
            let mut answer = vec![0; 4096];
            let length = peer.read(&mut answer).await.unwrap();
            drop(peer);
            String::from_utf8(answer[..length].to_vec()).unwrap()
        },
        accept_stream(stream, AcceptOptions::default())
    );
    (answer, result)
}

#[tokio::test]
async fn both_ends_talk() {
    let subprotocols = vec!["b".to_owned(), "a".to_owned()];
    let asked = Options { subprotocols: vec!["x".to_owned(), "a".to_owned()], ..Options::default() };
    let (mut client, mut server) =
        pair(asked, AcceptOptions { subprotocols, ..AcceptOptions::default() }).await;
    assert_eq!((client.subprotocol(), server.subprotocol()), (Some("a"), Some("a")));
    client.send_text("hello").await.unwrap();
    assert_eq!(server.next().await, Some(Event::Message(Message::Text("hello".to_owned()))));
    server.send_binary(b"\0").await.unwrap();
    assert_eq!(client.next().await, Some(Event::Message(Message::Binary(b"\0"[..].into()))));
    server.close(CloseCode::new(4000), "enough").await;
    let (at_client, at_server) = tokio::join!(client.next(), server.next());
    for event in [at_client, at_server] {
        let Some(Event::Close(close)) = event else { panic!("{event:?}") };
        assert!(close.is_clean() && close.code.get() == 4000, "{close:?}");
    }
    assert_eq!((client.next().await, server.next().await), (None, None));
}

#[tokio::test]
async fn frames_that_follow_the_request_at_once_are_not_lost() {
    let (mut peer, stream) = duplex(4096);
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x82\0\0\0\0hi\x81\x83\0\0\0\0you");
    for byte in bytes {
        peer.write_all(&[byte]).await.unwrap();
    }
    let mut server = accept_stream(stream, AcceptOptions::default()).await.unwrap();
    for text in ["hi", "you"] {
        assert_eq!(server.next().await, Some(Event::Message(Message::Text(text.to_owned()))));
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_told_why() {
    let (answer, result) = told(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("no WebSocket handshake"), "{answer}");
    assert!(matches!(result, Err(AcceptError::Refused(refusal)) if refusal.status == 400));
    let (answer, _) = told(REQUEST.replace(": 13", ": 8").as_bytes()).await;
    assert!(answer.contains("426") && answer.contains("Sec-WebSocket-Version: 13"), "{answer}");
    let (answer, _) = told(b"\x16\x03\x01\x02\0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let (answer, _) = told(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(17_000)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_goes_away() {
    let (mut peer, stream) = duplex(4096);
    peer.write_all(b"GET / HT").await.unwrap();
    drop(peer);
    let result = accept_stream(stream, AcceptOptions::default()).await;
    assert!(matches!(result, Err(AcceptError::Lost(_))), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_time() {
    let (mut peer, stream) = duplex(4096);
    let began = tokio::time::Instant::now();
    let accepting = tokio::spawn(accept_stream(stream, AcceptOptions::default()));
    // A byte a second, for ever.
    let dripping = async {
        for byte in REQUEST.bytes() {
            peer.write_all(&[byte]).await?;
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
        Ok::<(), std::io::Error>(())
    };
    assert!(dripping.await.is_err(), "the server has gone");
    assert!(matches!(accepting.await.unwrap(), Err(AcceptError::Timeout)));
    assert!(began.elapsed() < Duration::from_secs(15));
}

async fn incoming(request: &str) -> (DuplexStream, Incoming) {
    let (mut peer, stream) = duplex(4096);
    peer.write_all(request.as_bytes()).await.unwrap();
    (peer, receive_stream(stream, AcceptOptions::default()).await.unwrap())
}

async fn read(mut peer: DuplexStream) -> String {
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_application_looks_at_the_request_first() {
    let (peer, asked) = incoming(REQUEST).await;
    assert!(asked.is_upgrade());
    assert_eq!((asked.path(), asked.head().target), ("/chat", "/chat?x=1"));
    assert_eq!((asked.header("HOST"), asked.header("Origin")), (Some("a"), None));
    let answered = asked.answer(403, &[("X-Why", "origin")], b"not you\n");
    let (result, answer) = tokio::join!(answered, read(peer));
    result.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\nX-Why: origin\r\n"), "{answer}");
    assert!(answer.ends_with("Connection: close\r\n\r\nnot you\n"), "{answer}");

    let (mut peer, asked) = incoming(REQUEST).await;
    let _server = asked.accept_with(&[("Set-Cookie", "a=b")]).await.unwrap();
    let mut answer = [0; 1024];
    let length = peer.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("\r\nSet-Cookie: a=b\r\n"), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
}

#[tokio::test]
async fn fields_that_would_forge_others_are_not_sent() {
    let (_peer, asked) = incoming(REQUEST).await;
    let result = asked.accept_with(&[("X", "a\r\nSet-Cookie: b")]).await;
    assert!(matches!(result, Err(AcceptError::Header(_))));
    let (_peer, asked) = incoming(REQUEST).await;
    assert!(asked.answer(200, &[("X", "a\r\nSet-Cookie: b")], b"").await.is_err());
}

/// Replies are made of what lies in the buffer, and those of one read leave together.
#[tokio::test]
async fn the_replies_of_one_read_leave_in_one_write() {
    let (mut peer, stream) = duplex(4096);
    peer.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut server = accept_stream(stream, AcceptOptions::default()).await.unwrap();
    let mut answer = [0; 4096];
    assert!(peer.read(&mut answer).await.unwrap() > 0);
    peer.write_all(&b"\x81\x82\0\0\0\0hi".repeat(16)).await.unwrap();
    let echo = |event: tidegate_websocket::Event<'_>, replies: &mut Replies<'_>| match event {
        tidegate_websocket::Event::Message(message) => replies.send(message),
        other => panic!("{other:?}"),
    };
    let echoing = tokio::spawn(async move {
        while let Some(result) = server.next_with(echo).await {
            result.unwrap();
        }
    });
    let length = peer.read(&mut answer).await.unwrap();
    assert_eq!(answer[..length], b"\x81\x02hi".repeat(16));
    echoing.abort();
}

/// A peer that takes no replies is read no further than there is room for them.
#[tokio::test(start_paused = true)]
async fn an_echo_without_a_reader_is_bounded() {
    let (mut peer, stream) = duplex(64 * 1024);
    peer.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut server = accept_stream(stream, AcceptOptions::default()).await.unwrap();
    let serving = tokio::spawn(async move {
        let mut taken = 0;
        let echo = |event: tidegate_websocket::Event<'_>, replies: &mut Replies<'_>| match event {
            tidegate_websocket::Event::Message(message) => replies.send(message).map(|()| 1),
            _ => Ok(0),
        };
        while let Some(replied) = server.next_with(echo).await {
            taken += replied.expect("room for the first reply");
        }
        taken
    });
    let mut frame = b"\x82\xfe\x27\x10\0\0\0\0".to_vec();
    frame.resize(8 + 10_000, 0);
    let mut sent = 0;
    // The time goes on when nobody has anything to do: the server waits for room.
    while tokio::time::timeout(Duration::from_secs(5), peer.write_all(&frame)).await.is_ok() {
        sent += 1;
        assert!(sent < 100, "the server takes what it cannot answer");
    }
    drop(peer);
    let taken = serving.await.unwrap();
    assert!((26..=sent).contains(&taken), "{taken} of {sent}");
}

#[tokio::test]
async fn compression_is_agreed_on_if_both_want_it() {
    let offer = Options { deflate: Some(Offer::default()), ..Options::default() };
    let acceptance = AcceptOptions { deflate: Some(Acceptance::default()), ..AcceptOptions::default() };
    let text = "the same again and again; ".repeat(100);
    for (options, accepting, compressed) in [
        (offer.clone(), acceptance.clone(), true),
        (offer, AcceptOptions::default(), false),
        (Options::default(), acceptance, false),
    ] {
        let (mut client, mut server) = pair(options, accepting).await;
        assert_eq!(client.opened().unwrap().extensions.deflate.is_some(), compressed);
        client.send_text(&text).await.unwrap();
        assert_eq!(server.next().await, Some(Event::Message(Message::Text(text.clone()))));
        server.send_text(&text).await.unwrap();
        assert_eq!(client.next().await, Some(Event::Message(Message::Text(text.clone()))));
    }
}
