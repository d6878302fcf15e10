//! The HTTP client against backends that refuse, stall, break off, lie about lengths or talk nonsense.
//! Real sockets, plain and with TLS, and time-outs short enough to be waited for.

mod backend;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use backend::{Backend, Reply, Then, upstream};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use hyper_util::rt::TokioIo;
use tidegate_source::{Awaited, Roots, Upstream, UpstreamBody, UpstreamError, UpstreamLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SHORT: Duration = Duration::from_millis(150);

fn request(method: Method, uri: Uri) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    request
}

async fn fetch(upstream: &Upstream, backend: &Backend) -> Result<(StatusCode, Bytes), UpstreamError> {
    let answer = upstream.fetch(request(Method::GET, backend.uri("/x?y=1"))).await?;
    Ok((answer.status(), answer.into_body()))
}

/// Fetches from a backend that gives this one reply.
async fn fetch_one(reply: Reply) -> Result<(StatusCode, Bytes), UpstreamError> {
    let backend = Backend::start(vec![reply]).await;
    fetch(&upstream(|limits| limits.max_response_bytes = 100), &backend).await
}

#[track_caller]
fn assert_invalid(result: Result<(StatusCode, Bytes), UpstreamError>, part: &str) {
    match result {
        Err(error @ UpstreamError::Invalid { .. }) => {
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
        }
        other => panic!("expected an invalid answer, got {other:?}"),
    }
}

#[tokio::test]
async fn a_refused_connection_asks_whether_the_server_runs() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gone.local_addr().expect("bound");
    drop(gone);
    let uri: Uri = format!("http://{address}/x").parse().expect("a URL");
    let error = upstream(|_| ()).fetch(request(Method::GET, uri)).await.expect_err("nobody listens");
    assert_eq!(
        error.to_string(),
        format!("cannot connect to http://{address}: connection refused; is the server running?")
    );
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_url_without_a_host_is_refused() {
    let error =
        upstream(|_| ()).fetch(request(Method::GET, Uri::from_static("/x"))).await.expect_err("no host");
    assert!(matches!(error, UpstreamError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_connection_serves_again() {
    let backend = Backend::start(vec![Reply::ok("a"), Reply::ok("b")]).await;
    let upstream = upstream(|_| ());
    assert_eq!(fetch(&upstream, &backend).await, Ok((StatusCode::OK, Bytes::from("a"))));
    assert_eq!(fetch(&upstream, &backend).await, Ok((StatusCode::OK, Bytes::from("b"))));
    let seen = backend.seen();
    assert_eq!(seen.iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 0]);
    assert!(seen[0].head.starts_with("GET /x?y=1 HTTP/1.1\r\n"), "{}", seen[0].head);
    assert_eq!(seen[0].header("host"), Some(backend.address.to_string()));
}

#[tokio::test]
async fn a_get_survives_a_kept_connection_that_closes_and_a_post_is_not_sent_twice() {
    let script = || vec![Reply::ok("a"), Reply::raw("", Then::Close), Reply::ok("b")];
    let backend = Backend::start(script()).await;
    let upstream = upstream(|_| ());
    fetch(&upstream, &backend).await.expect("the first answer");
    assert_eq!(fetch(&upstream, &backend).await, Ok((StatusCode::OK, Bytes::from("b"))));
    assert_eq!(backend.seen().len(), 3);

    let backend = Backend::start(script()).await;
    fetch(&upstream, &backend).await.expect("the first answer");
    let error = upstream.fetch(request(Method::POST, backend.uri("/"))).await.expect_err("closed");
    assert!(matches!(error, UpstreamError::Invalid { .. }), "{error}");
    assert_eq!(backend.seen().len(), 2);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_is_not_tried_again() {
    let backend = Backend::start(vec![Reply::raw("", Then::Close)]).await;
    assert_invalid(fetch(&upstream(|_| ()), &backend).await, "closed the connection");
    assert_eq!(backend.seen().len(), 1);
}

#[tokio::test]
async fn answers_that_are_no_answers() {
    assert_invalid(fetch_one(Reply::raw("220 smtp ready\r\n\r\n", Then::Close)).await, "not HTTP/1.1");
    assert_invalid(
        fetch_one(Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", Then::Close)).await,
        "closed the connection in the middle",
    );
    assert_invalid(fetch_one(Reply::stream("text/plain", &["a", "b"], Then::Close)).await, "in the middle");
    assert_invalid(
        fetch_one(Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Then::Hang))
            .await,
        "gave no valid answer",
    );
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    assert_invalid(fetch_one(Reply::raw(upgrade, Then::Hang)).await, "asked for no upgrade");
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(400_000));
    assert_invalid(fetch_one(Reply::raw(head, Then::Hang)).await, "65536 bytes");
}

#[tokio::test]
async fn answers_beyond_the_bound_are_given_up() {
    let too_large = |error| matches!(error, Err(UpstreamError::TooLarge { limit: 100, .. }));
    let announced = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", Then::Hang);
    assert!(too_large(fetch_one(announced).await));
    assert!(too_large(
        fetch_one(Reply::stream("text/plain", &["x".repeat(60).as_str(); 2], Then::Hang)).await
    ));
    assert_eq!(fetch_one(Reply::ok(&"x".repeat(100))).await.map(|(_, body)| body.len()), Ok(100));
}

#[tokio::test]
async fn silence_and_dripping_time_out() {
    let silent = Backend::start(vec![Reply::raw("", Then::Hang)]).await;
    let quick = upstream(|limits| limits.first_byte_timeout = SHORT);
    let error = fetch(&quick, &silent).await.expect_err("no answer");
    assert_eq!(error.to_string(), format!("http://{} did not begin to answer within 150ms", silent.address));
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);

    let dripping = Backend::start(vec![Reply::stream("text/plain", &["a"], Then::Hang)]).await;
    let error = fetch(&upstream(|limits| limits.total_timeout = SHORT), &dripping).await.expect_err("no end");
    assert!(matches!(error, UpstreamError::Timeout { awaited: Awaited::WholeAnswer, .. }), "{error}");
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn requests_in_flight_are_bounded_and_given_back() {
    let backend = Backend::start(vec![Reply::raw("", Then::Hang), Reply::ok("a")]).await;
    let upstream = upstream(|limits| limits.max_in_flight = 1);
    let mut hanging = Box::pin(fetch(&upstream, &backend));
    tokio::select! {
        _ = &mut hanging => panic!("the backend hangs"),
        () = backend.asked(1) => {}
    }
    let error = fetch(&upstream, &backend).await.expect_err("one is in flight");
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(hanging);
    assert_eq!(fetch(&upstream, &backend).await, Ok((StatusCode::OK, Bytes::from("a"))));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let backend = Backend::start(vec![Reply::whole_stream("text/plain", &["one", "two"])]).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let mut request = Request::new(UpstreamBody::new(Parts { receiver }));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = backend.uri("/up");
    request.headers_mut().insert("content-length", 6.into());
    // The upload lasts longer than the time to the first byte, but never stands still for so long.
    let upstream = upstream(|limits| limits.first_byte_timeout = SHORT);
    let upload = async move {
        let mut pace = tokio::time::interval(SHORT * 2 / 3);
        for part in ["ab", "cd", "ef"] {
            pace.tick().await;
            sender.send(Bytes::from(part)).await.expect("the request reads its body");
        }
    };
    let (answer, ()) = tokio::join!(upstream.send(request), upload);
    let body = answer.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(body, "onetwo");
    assert_eq!(backend.seen()[0].body, b"abcdef");
}

#[tokio::test]
async fn an_upgrade_that_was_asked_for_is_handed_on() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello";
    let backend = Backend::start(vec![Reply::raw(switch, Then::Hang)]).await;
    let mut request = Request::new(UpstreamBody::default());
    *request.uri_mut() = backend.uri("/up");
    request.headers_mut().insert("connection", HeaderValue::from_static("upgrade"));
    request.headers_mut().insert("upgrade", HeaderValue::from_static("x"));
    let answer = upstream(|_| ()).send(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut tunnel = TokioIo::new(hyper::upgrade::on(answer).await.expect("an upgrade"));
    let mut bytes = [0; 5];
    tunnel.read_exact(&mut bytes).await.expect("what came after the head");
    assert_eq!(&bytes, b"hello");
}

/// The parts of a request body, as they are sent by the test.
struct Parts {
    receiver: tokio::sync::mpsc::Receiver<Bytes>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.receiver.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

#[tokio::test]
async fn https_believes_the_given_roots_only() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("default versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("a matching key");
    let backend = Backend::start_tls(vec![Reply::ok("secret")], TlsAcceptor::from(Arc::new(config))).await;
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), cert.pem()).expect("written");
    let trusting = Upstream::new(UpstreamLimits::default(), Roots::File(file.path().into())).expect("roots");
    let port = backend.address.port();
    let ask = |upstream: Upstream, host: &str| {
        let uri = format!("https://{host}:{port}/").parse().expect("a URL");
        async move { upstream.fetch(request(Method::GET, uri)).await.map(http::Response::into_body) }
    };
    assert_eq!(ask(trusting.clone(), "localhost").await, Ok(Bytes::from("secret")));
    let other_name = ask(trusting, "127.0.0.1").await;
    assert!(matches!(other_name, Err(UpstreamError::Tls { .. })), "{other_name:?}");
    let other_roots = ask(upstream(|_| ()), "localhost").await;
    assert!(matches!(other_roots, Err(UpstreamError::Tls { .. })), "{other_roots:?}");
}

#[tokio::test]
async fn https_to_a_server_without_tls_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri: Uri = format!("https://{}/", listener.local_addr().expect("bound")).parse().expect("a URL");
    let plain = async {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        socket
    };
    let upstream = upstream(|_| ());
    let (answer, _socket) = tokio::join!(upstream.fetch(request(Method::GET, uri)), plain);
    let error = answer.expect_err("no TLS there");
    assert!(matches!(error, UpstreamError::Tls { .. }), "{error}");
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
}
