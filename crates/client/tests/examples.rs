//! The examples, run as their heads say: each as a program of its own, with our client or server at the other
//! end. They are built together with the tests.

#![allow(missing_docs, reason = "a test program")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tidegate_client::deflate::Offer;
use tidegate_client::{
    AcceptOptions, ConnectError, Connection, Event, Message, Options, accept, connect, receive,
};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// No test takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running example, killed when dropped.
struct Example {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The next line of its stdout.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The build puts examples beside the folder of its tests.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.is_file(), "{} has not been built: cargo test -p tidegate-client", program.display());
    program
}

async fn next(connection: &mut Connection) -> Option<Event> {
    timeout(PATIENCE, connection.next()).await.expect("an event in time")
}

fn text(text: &str) -> Option<Event> {
    Some(Event::Message(Message::Text(text.to_owned())))
}

#[tokio::test]
async fn the_echo_server_echoes_with_and_without_compression() {
    for arguments in [&["127.0.0.1:0"][..], &["127.0.0.1:0", "--cores"]] {
        let mut server = Example::start("echo_server", arguments);
        let url = format!("ws://{}/", server.line());
        for deflate in [None, Some(Offer::default())] {
            let mut connection = connect(&url, Options { deflate, ..Options::default() }).await.unwrap();
            assert_eq!(connection.opened().unwrap().extensions.deflate.is_some(), deflate.is_some());
            let long = "again and again ".repeat(1000);
            for word in ["hello", &long, ""] {
                connection.send_text(word).await.unwrap();
                assert_eq!(next(&mut connection).await, text(word));
            }
            let large = vec![7; 5 << 20];
            connection.queue(tidegate_websocket::Message::Binary(&large)).unwrap();
            assert_eq!(next(&mut connection).await, Some(Event::Message(Message::Binary(large.into()))));
        }
    }
}

/// The fuzzing server's side of the talk: how many cases, each of them, the report.
#[tokio::test]
async fn the_autobahn_client_runs_every_case() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut client = Example::start("autobahn_client", &[&url]);
    let expected = [
        "/getCaseCount",
        "/runCase?case=1&agent=tidegate",
        "/runCase?case=2&agent=tidegate",
        "/updateReports?agent=tidegate",
    ];
    for target in expected {
        let (stream, _) = listener.accept().await.unwrap();
        let asked = receive(stream, AcceptOptions::default()).await.unwrap();
        assert_eq!(asked.head().target, target);
        assert!(asked.header("sec-websocket-extensions").unwrap().contains("client_max_window_bits"));
        let mut connection = asked.accept().await.unwrap();
        if target == "/getCaseCount" {
            connection.send_text("2").await.unwrap();
        } else if target.starts_with("/runCase") {
            connection.send_text("echo this").await.unwrap();
            assert_eq!(next(&mut connection).await, text("echo this"));
        }
        connection.close(tidegate_client::CloseCode::NORMAL, "").await;
        assert!(matches!(next(&mut connection).await, Some(Event::Close(close)) if close.is_clean()));
    }
    assert_eq!(client.line(), "2 cases");
    assert!(client.child.wait().unwrap().success());
}

#[tokio::test]
async fn what_one_says_in_the_chat_all_hear() {
    let mut server = Example::start("chat", &["127.0.0.1:0"]);
    let page = server.line();
    let url = format!("{page}chat");
    let mut one = connect(&url, Options::default()).await.unwrap();
    assert!(
        matches!(next(&mut one).await, Some(Event::Message(Message::Text(text))) if text.ends_with("is here"))
    );
    let mut other = connect(&url, Options::default()).await.unwrap();
    for connection in [&mut one, &mut other] {
        let event = next(connection).await;
        assert!(matches!(event, Some(Event::Message(Message::Text(text))) if text.ends_with("is here")));
    }
    other.send_text("hello").await.unwrap();
    for connection in [&mut one, &mut other] {
        let event = next(connection).await;
        assert!(matches!(event, Some(Event::Message(Message::Text(text))) if text.ends_with(": hello")));
    }
    drop(other);
    assert!(
        matches!(next(&mut one).await, Some(Event::Message(Message::Text(text))) if text.ends_with("has gone"))
    );

    // What is not for WebSockets, and pages of others.
    let status = async |url: &str, origin: Option<String>| match connect(
        url,
        Options { origin, ..Options::default() },
    )
    .await
    {
        Err(ConnectError::Refused(refused)) => refused.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(&url, Some("http://evil.example".to_owned())).await, 403);
    assert_eq!(status(&format!("{page}other"), None).await, 404);
    connect(&url, Options { origin: Some(page.trim_end_matches('/').to_owned()), ..Options::default() })
        .await
        .unwrap();
}

#[tokio::test]
async fn the_feed_prints_what_is_published_and_resumes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/a", listener.local_addr().unwrap());
    let options =
        || AcceptOptions { subprotocols: vec!["tidegate.v1".to_owned()], ..AcceptOptions::default() };
    let mut feed = Example::start("feed", &[&url, "b", "--after", "k:0"]);
    let (stream, _) = listener.accept().await.unwrap();
    let mut session = accept(stream, options()).await.unwrap();
    assert_eq!(next(&mut session).await, text(r#"{"type":"subscribe","channel":"b","id":0}"#));
    for envelope in [
        r#"{"type":"open","channel":"a","position":"k:0","recovered":true}"#,
        r#"{"type":"message","channel":"a","position":"k:1","data":{"n":1}}"#,
        r#"{"type":"open","channel":"b","position":"z:4","recovered":true}"#,
        r#"{"type":"message","channel":"b","position":"z:5","text":"hello"}"#,
    ] {
        session.send_text(envelope).await.unwrap();
    }
    assert_eq!((feed.line().as_str(), feed.line().as_str()), (r#"a k:1 {"n":1}"#, "b z:5 hello"));
    drop(session);
    let (stream, _) = listener.accept().await.unwrap();
    let asked = receive(stream, options()).await.unwrap();
    assert_eq!(asked.head().target, "/a?after=k:1");
    let mut session = asked.accept().await.unwrap();
    assert_eq!(next(&mut session).await, text(r#"{"type":"subscribe","channel":"b","after":"z:5","id":1}"#));
    session.close(tidegate_client::CloseCode::new(4404), "gone").await;
    assert!(!feed.child.wait().unwrap().success());
}
