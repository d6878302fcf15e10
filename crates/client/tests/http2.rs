//! WebSockets over HTTP/2 (RFC 8441): against a small server on the `h2` crate, with prior knowledge and
//! over TLS, where ALPN decides.

#![allow(missing_docs, reason = "a test program")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tidegate_client::{
    AcceptOptions, ConnectError, End, Event, Http, Http2Error, Message, Options, Trust, accept_stream,
    connect, connect_stream,
};
use tidegate_websocket::{Connection, Input, Limits, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Echo,
    Refuse,
    ResetAfterOpening,
    EndAfterOpening,
    /// The settings do not enable extended CONNECT.
    Plain,
}

/// Serves HTTP/2 on one byte stream until the client ends it; gives how many requests came.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, manner: Manner) -> usize {
    let mut builder = h2::server::Builder::new();
    if manner != Manner::Plain {
        builder.enable_connect_protocol();
    }
    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let mut requests = 0;
    // An error is the client's way out: it resets its stream and says GOAWAY.
    while let Some(Ok((request, respond))) = connection.accept().await {
        requests += 1;
        tokio::spawn(answer(request, respond, manner));
    }
    requests
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, manner: Manner) {
    assert_eq!(request.method(), "CONNECT");
    assert_eq!(request.extensions().get::<Protocol>().unwrap().as_str(), "websocket");
    assert_eq!(request.uri().path_and_query().unwrap().as_str(), "/x?y=1");
    assert_eq!(request.headers()["sec-websocket-version"], "13");
    assert_eq!(request.headers()["origin"], "http://localhost:3000");
    assert!(!request.headers().contains_key("sec-websocket-key"));
    if manner == Manner::Refuse {
        let head = Response::builder().status(403).header("x-why", "origin").body(()).unwrap();
        let mut send = respond.send_response(head, false).unwrap();
        send.send_data(Bytes::from_static(b"not you"), true).unwrap();
        return;
    }
    let head = Response::builder().header("sec-websocket-protocol", "b").body(()).unwrap();
    let mut send = respond.send_response(head, false).unwrap();
    let mut body = request.into_body();
    match manner {
        Manner::ResetAfterOpening => {
            // An answer that has not left yet would be thrown away by the reset.
            body.data().await.unwrap().unwrap();
            send.send_reset(Reason::CANCEL);
        }
        Manner::EndAfterOpening => send.send_data(Bytes::new(), true).unwrap(),
        _ => echo(body, send).await,
    }
}

/// Echoes messages until the client's Close.
async fn echo(mut receive: RecvStream, mut send: SendStream<Bytes>) {
    let limits = Limits { max_message_bytes: 16 << 20, max_fragments: 10 };
    let mut connection = Connection::new(Role::Server, limits);
    while let Some(chunk) = receive.data().await {
        let Ok(chunk) = chunk else { return };
        receive.flow_control().release_capacity(chunk.len()).unwrap();
        let mut bytes = chunk.to_vec();
        let mut input = Input::new(&mut bytes);
        let mut output = Vec::new();
        while let Some((event, mut answers)) = connection.handle_input_to_answer(&mut input, &mut output) {
            if let tidegate_websocket::Event::Message(message) = event {
                answers.send(message, &mut output).unwrap();
            }
        }
        if write(&mut send, &output).await.is_none() {
            return;
        }
        if connection.is_closed() {
            send.send_data(Bytes::new(), true).unwrap();
            return;
        }
    }
}

/// Writes as the peer's window allows; none if the stream has ended.
async fn write(send: &mut SendStream<Bytes>, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|context| send.poll_capacity(context)).await?.ok()?;
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        send.send_data(Bytes::copy_from_slice(now), false).ok()?;
        bytes = later;
    }
    Some(())
}

/// A server for one connection without TLS.
async fn plain(manner: Manner) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/x?y=1", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, manner).await
    });
    (url, serving)
}

/// A TLS server with these protocols: HTTP/2 if that was chosen, else a WebSocket over HTTP/1.1 that ends.
async fn secured(protocols: &[&str], manner: Manner) -> (SocketAddr, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    configuration.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                tokio::spawn(serve(stream, manner));
            } else if let Ok(mut connection) = accept_stream(stream, AcceptOptions::default()).await {
                tokio::spawn(async move { while connection.next().await.is_some() {} });
            }
        }
    });
    (address, made.cert.pem().into_bytes())
}

fn options(http: Http) -> Options {
    Options {
        http,
        origin: Some("http://localhost:3000".to_owned()),
        subprotocols: vec!["a".to_owned(), "b".to_owned()],
        ..Options::default()
    }
}

#[tokio::test]
async fn an_extended_connect_opens_a_websocket() {
    let (url, serving) = plain(Manner::Echo).await;
    let mut connection = connect(&url, options(Http::V2)).await.unwrap();
    let opened = connection.take_opened().unwrap();
    assert_eq!((opened.http, opened.status, opened.subprotocol.as_deref()), (Http::V2, 200, Some("b")));
    let request = String::from_utf8(opened.request).unwrap();
    assert!(
        request.starts_with(":method: CONNECT\r\n:protocol: websocket\r\n:scheme: http\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\n:path: /x?y=1\r\n"), "{request}");
    connection.send_text("hello").await.unwrap();
    assert_eq!(connection.next().await, Some(Event::Message(Message::Text("hello".to_owned()))));
    // More than any window.
    let large = vec![7; 3 << 20];
    connection.queue(tidegate_websocket::Message::Binary(&large)).unwrap();
    let Some(Event::Message(message)) = connection.next().await else { panic!("a message") };
    assert!(message.as_bytes() == large);
    connection.close(tidegate_client::CloseCode::NORMAL, "").await;
    assert!(matches!(connection.next().await, Some(Event::Close(close)) if close.is_clean()));
    drop(connection);
    assert_eq!(serving.await.unwrap(), 1, "the connection below ends with its stream");
}

#[tokio::test]
async fn a_dropped_connection_ends_what_is_below() {
    let (url, serving) = plain(Manner::Echo).await;
    drop(connect(&url, options(Http::V2)).await.unwrap());
    assert_eq!(serving.await.unwrap(), 1);
}

#[tokio::test]
async fn a_stream_ends_as_tcp_does() {
    for (manner, end) in [
        (Manner::ResetAfterOpening, End::Lost(std::io::ErrorKind::ConnectionReset)),
        (Manner::EndAfterOpening, End::EndOfStream),
    ] {
        let (url, _serving) = plain(manner).await;
        let mut connection = connect(&url, options(Http::V2)).await.unwrap();
        connection.queue_ping(b"").unwrap();
        let Some(Event::Close(close)) = connection.next().await else { panic!("a Close") };
        assert_eq!((close.code.get(), close.end), (1006, end));
    }
}

#[tokio::test]
async fn what_a_server_says_instead() {
    let (url, _serving) = plain(Manner::Refuse).await;
    let Err(ConnectError::Refused(refused)) = connect(&url, options(Http::V2)).await else { panic!() };
    assert_eq!((refused.status, refused.header("x-why")), (403, Some("origin")));
    assert_eq!((refused.body.as_slice(), refused.complete), (&b"not you"[..], true));

    let (url, serving) = plain(Manner::Plain).await;
    let error = connect(&url, options(Http::V2)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Http2(Http2Error::NoConnect)), "{error}");
    assert_eq!(serving.await.unwrap(), 0, "nothing is asked of a server that did not allow it");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        accept_stream(stream, AcceptOptions::default()).await.is_err()
    });
    let error = connect(&url, options(Http::V2)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Http2(Http2Error::Broken(_))), "{error}");
    assert!(serving.await.unwrap());
}

#[tokio::test]
async fn alpn_decides_over_tls() {
    let both = ["h2", "http/1.1"];
    for (protocols, manner, asked, came) in [
        (&both[..], Manner::Echo, Http::V2, Some(Http::V2)),
        (&both[..], Manner::Echo, Http::Auto, Some(Http::V2)),
        (&both[..], Manner::Echo, Http::V1, Some(Http::V1)),
        (&both[1..], Manner::Echo, Http::Auto, Some(Http::V1)),
        (&both[..], Manner::Plain, Http::Auto, Some(Http::V1)),
        (&both[..], Manner::Plain, Http::V2, None),
        (&[], Manner::Echo, Http::V2, None),
    ] {
        let (address, pem) = secured(protocols, manner).await;
        let url = format!("wss://localhost:{}/x?y=1", address.port());
        let options = Options { trust: Trust::Pem(pem), ..options(asked) };
        let result = connect(&url, options).await;
        let opened = result.ok().and_then(|mut connection| connection.take_opened());
        assert_eq!(opened.map(|opened| opened.http), came, "{protocols:?} {manner:?} {asked:?}");
    }
}

/// What is handed to the connection below waits there: it takes a piece at a time and no more.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_bounds_what_lies_below() {
    let (stream, below) = tokio::io::duplex(64 * 1024);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let mut builder = h2::server::Builder::new();
        // The window of HTTP/2 is not to be what bounds it.
        builder
            .enable_connect_protocol()
            .initial_window_size(4 << 20)
            .initial_connection_window_size(4 << 20);
        let mut connection = builder.handshake::<_, Bytes>(below).await.unwrap();
        let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
        let head = Response::builder().header("sec-websocket-protocol", "b").body(()).unwrap();
        let _send = respond.send_response(head, false).unwrap();
        tokio::select! {
            _ = connection.accept() => panic!("one request"),
            _ = stopped => std::future::pending().await,
        }
    });
    let mut connection = connect_stream(stream, "ws://a/x?y=1", options(Http::V2)).await.unwrap();
    stop.send(()).unwrap();
    tokio::task::yield_now().await;
    let message = tidegate_websocket::Message::Binary(&[0; 1000]);
    let mut taken = 0;
    loop {
        connection.queue(message).unwrap();
        if timeout(Duration::from_secs(1), connection.flush()).await.is_err() {
            break;
        }
        taken += 1000;
    }
    // The pipe, a piece in the queue, and one in the writer's own buffer.
    assert!((64_000..=110_000).contains(&taken), "{taken}");
    serving.abort();
}
