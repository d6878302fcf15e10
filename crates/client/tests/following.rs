//! A follower against a scripted gateway on pipes, with a clock that the test moves: what is resumed, what is
//! declared missing, how long it waits, and when it gives up.

#![allow(missing_docs, reason = "a test program")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate_client::follow::{Event, Follower, Interruption, Options};
use tidegate_client::{
    AcceptOptions, CloseCode, Connection, Message, Payload, Position, UrlError, connect_stream,
    receive_stream,
};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What has been opened towards the gateway.
#[derive(Debug)]
struct Gateway(mpsc::Receiver<DuplexStream>);

/// A follower of `/own?x=1`, and whom it follows.
fn follower(options: Options) -> (Follower, Gateway) {
    follower_of("ws://gateway/own?x=1", options).unwrap()
}

fn follower_of(url: &str, options: Options) -> Result<(Follower, Gateway), UrlError> {
    let (sender, arrivals) = mpsc::channel(100);
    let follower = Follower::opened_by(url, options, move |url, options| {
        let (mine, other) = duplex(64 * 1024);
        sender.try_send(other).unwrap();
        Box::pin(async move { connect_stream(mine, url.as_str(), options).await })
    })?;
    Ok((follower, Gateway(arrivals)))
}

impl Gateway {
    /// Accepts the next connection; gives what was asked for.
    async fn accept(&mut self) -> (Session, String) {
        let subprotocols = vec!["tidegate.v1".to_owned()];
        let options = AcceptOptions { subprotocols, ..AcceptOptions::default() };
        let asked = receive_stream(self.0.recv().await.unwrap(), options).await.unwrap();
        let target = asked.head().target.to_owned();
        (Session(asked.accept().await.unwrap()), target)
    }

    async fn refuse(&mut self, status: u16, headers: &[(&str, &str)]) {
        let asked = receive_stream(self.0.recv().await.unwrap(), AcceptOptions::default()).await.unwrap();
        asked.answer(status, headers, b"no\n").await.unwrap();
    }
}

struct Session(Connection);

impl Session {
    async fn say(&mut self, text: &str) {
        self.0.send_text(text).await.unwrap();
    }

    async fn open(&mut self, channel: &str, position: &str, recovered: bool) {
        let text = format!(
            r#"{{"type":"open","channel":"{channel}","position":"{position}","recovered":{recovered}}}"#
        );
        self.say(&text).await;
    }

    async fn message(&mut self, channel: &str, position: &str) {
        let text = format!(
            r#"{{"type":"message","channel":"{channel}","position":"{position}","text":"{position}"}}"#
        );
        self.say(&text).await;
    }

    async fn refuse(&mut self, id: u64, channel: &str, code: &str) {
        let error = format!(r#"{{"code":"{code}","message":"no"}}"#);
        let text = format!(r#"{{"type":"reply","id":{id},"channel":"{channel}","error":{error}}}"#);
        self.say(&text).await;
    }

    async fn heard(&mut self) -> String {
        match self.0.next().await {
            Some(tidegate_client::Event::Message(Message::Text(text))) => text,
            other => panic!("{other:?}"),
        }
    }

    async fn close(mut self, code: u16) {
        self.0.close(CloseCode::new(code), "").await;
        while self.0.next().await.is_some() {}
    }
}

fn at(text: &str) -> Position {
    text.parse().unwrap()
}

/// An event in a few words.
fn words(event: Option<Event>) -> String {
    match event {
        Some(Event::Open { channel, position, recovered }) => {
            format!("open {channel} {position} {recovered}")
        }
        Some(Event::Message { channel, position, content, .. }) => {
            assert_eq!(content.payload, Payload::from(position.to_string().as_str()));
            format!("message {channel} {position}")
        }
        Some(Event::Error { channel, code, retry, .. }) => format!("error {channel:?} {code} {retry}"),
        Some(Event::Close { channel, code, .. }) => format!("close {channel} {code}"),
        Some(Event::Lost { .. }) => "lost".to_owned(),
        Some(Event::Ended(why)) => format!("ended: {why}"),
        other => format!("{other:?}"),
    }
}

async fn expect(follower: &mut Follower, expected: &[&str]) {
    for words_of_event in expected {
        assert_eq!(words(follower.next().await), *words_of_event);
    }
}

#[tokio::test(start_paused = true)]
async fn every_channel_is_resumed_after_what_was_read_last() {
    let (mut follower, mut gateway) = follower(Options::default());
    assert!(follower.follow("/other", Some(at("o:7"))));
    let script = tokio::spawn(async move {
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1");
        assert_eq!(session.heard().await, r#"{"type":"subscribe","channel":"other","after":"o:7","id":0}"#);
        session.open("own", "k:0", true).await;
        session.message("own", "k:1").await;
        session.open("other", "o:7", true).await;
        session.say(r#"{"type":"reply","id":0,"channel":"other"}"#).await;
        session.message("other", "o:8").await;
        session.say(r#"{"type":"presence","channel":"own","join":{}}"#).await;
        session.message("own", "k:2").await;
        // No Close frame: the connection breaks.
        drop(session);
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:2");
        assert_eq!(session.heard().await, r#"{"type":"subscribe","channel":"other","after":"o:8","id":1}"#);
        session.open("own", "k:2", true).await;
        session.message("own", "k:2").await;
        session.message("own", "k:3").await;
        session.open("other", "p:40", false).await;
        session.message("other", "p:41").await;
        session
    });
    expect(
        &mut follower,
        &["open own k:0 true", "message own k:1", "open other o:7 true", "message other o:8"],
    )
    .await;
    expect(&mut follower, &["message own k:2", "lost", "open own k:2 true", "message own k:3"]).await;
    expect(&mut follower, &["open other p:40 false", "message other p:41"]).await;
    assert_eq!((follower.position("own"), follower.position("/other")), (Some(at("k:3")), Some(at("p:41"))));
    let mut session = script.await.unwrap();
    let closing = tokio::spawn(follower.close());
    let Some(tidegate_client::Event::Close(close)) = session.0.next().await else { panic!("a Close") };
    assert_eq!(close.code, CloseCode::NORMAL);
    closing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_nobody_declared_is_declared() {
    let (mut follower, mut gateway) = follower(Options { after: Some(at("k:5")), ..Options::default() });
    let script = tokio::spawn(async move {
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:5");
        session.open("own", "k:5", true).await;
        session.message("own", "k:6").await;
        session.message("own", "k:9").await;
        session.message("own", "l:1").await;
        session
    });
    expect(&mut follower, &["open own k:5 true", "message own k:6", "open own k:8 false", "message own k:9"])
        .await;
    expect(&mut follower, &["open own l:0 false", "message own l:1"]).await;
    drop(script.await.unwrap());
}

async fn lost(follower: &mut Follower) -> Duration {
    match follower.next().await {
        Some(Event::Lost { retry_in, .. }) => retry_in,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_when_the_gateway_says() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.say(r#"{"type":"close","code":1012,"reason":"restarting","reconnect_in_ms":3400}"#).await;
        session.close(1012).await;
        let began = Instant::now();
        gateway.refuse(503, &[("Retry-After", "7")]).await;
        let waited = began.elapsed();
        gateway.refuse(429, &[]).await;
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        session.close(1012).await;
        let (session, _) = gateway.accept().await;
        (waited, session)
    });
    assert_eq!(lost(&mut follower).await, Duration::from_millis(3400));
    let after_refusal = lost(&mut follower).await;
    assert!((7000..=8000).contains(&after_refusal.as_millis()), "{after_refusal:?}");
    assert!(lost(&mut follower).await <= Duration::from_secs(2));
    expect(&mut follower, &["open own k:0 true"]).await;
    assert!(lost(&mut follower).await <= Duration::from_secs(20));
    let following = tokio::spawn(async move { words(follower.next().await) });
    let (waited, session) = script.await.unwrap();
    assert!((3400..3500).contains(&waited.as_millis()), "{waited:?}");
    session.close(4404).await;
    assert_eq!(following.await.unwrap(), "ended: closed with 4404");
}

#[tokio::test(start_paused = true)]
async fn the_waits_grow_up_to_a_bound_and_begin_anew_after_a_good_connection() {
    let (mut follower, mut gateway) = follower(Options { attempts_max: Some(40), ..Options::default() });
    let (go, is_told) = tokio::sync::oneshot::channel();
    let script = tokio::spawn(async move {
        for _ in 0..30 {
            drop(gateway.0.recv().await.unwrap());
        }
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        is_told.await.unwrap();
        tokio::time::advance(Duration::from_secs(11)).await;
        drop(session);
        // All that follow are refused by the end of the bytes.
        while let Some(stream) = gateway.0.recv().await {
            drop(stream);
        }
    });
    let mut waits = Vec::new();
    for attempt in 0..30 {
        let wait = lost(&mut follower).await;
        let bound = Duration::from_millis(500) * 2_u32.pow(attempt.min(6));
        assert!(wait <= bound.min(Duration::from_secs(30)), "{attempt} {wait:?}");
        waits.push(wait);
    }
    assert!(waits[10..].iter().max() > Some(&Duration::from_secs(5)), "they hardly grew: {waits:?}");
    assert!(waits[10..].iter().min() < Some(&Duration::from_secs(25)), "there is no jitter: {waits:?}");
    expect(&mut follower, &["open own k:0 true"]).await;
    go.send(()).unwrap();
    assert!(lost(&mut follower).await <= Duration::from_millis(500));
    let mut more = 1;
    loop {
        match follower.next().await {
            Some(Event::Lost { .. }) => more += 1,
            Some(Event::Ended(Interruption::Connect(_))) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(more, 40);
    assert!(follower.next().await.is_none());
    drop(follower);
    script.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_help_is_not_tried_again() {
    let (mut to_refused, mut gateway) = follower(Options::default());
    let refusing = tokio::spawn(async move { gateway.refuse(404, &[]).await });
    let event = to_refused.next().await;
    assert!(matches!(&event, Some(Event::Ended(Interruption::Connect(_)))), "{event:?}");
    assert!(to_refused.next().await.is_none());
    refusing.await.unwrap();

    // A server that agrees to no subprotocol is no gateway.
    let (mut to_other, mut gateway) = follower(Options::default());
    let accepting = tokio::spawn(async move {
        let stream = gateway.0.recv().await.unwrap();
        tidegate_client::accept_stream(stream, AcceptOptions::default()).await.unwrap()
    });
    let event = to_other.next().await;
    assert!(matches!(&event, Some(Event::Ended(Interruption::NotSpoken))), "{event:?}");
    drop(accepting.await.unwrap());

    let (mut to_odd, mut gateway) = follower(Options::default());
    let saying = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.say("hello").await;
        session
    });
    let event = to_odd.next().await;
    assert!(matches!(&event, Some(Event::Ended(Interruption::Unreadable(_)))), "{event:?}");
    drop(saying.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_unrecoverable_is_forgotten() {
    let (mut follower, mut gateway) = follower(Options { after: Some(at("k:5")), ..Options::default() });
    let script = tokio::spawn(async move {
        gateway.accept().await.0.close(4409).await;
        gateway.accept().await.1
    });
    expect(&mut follower, &["lost"]).await;
    let following = tokio::spawn(async move { follower.next().await });
    assert_eq!(script.await.unwrap(), "/own?x=1");
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_are_refused_or_end() {
    let (mut follower, mut gateway) = follower(Options::default());
    for name in ["secret", "busy"] {
        follower.follow(name, None);
    }
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        let (first, second) = (session.heard().await, session.heard().await);
        assert!(first.contains("secret") && second.contains("busy"), "{first} {second}");
        session
            .say(r#"{"type":"reply","id":0,"channel":"secret","error":{"code":"forbidden","message":"no"}}"#)
            .await;
        session
            .say(r#"{"type":"reply","id":1,"channel":"busy","error":{"code":"limit","message":"full"}}"#)
            .await;
        let again = session.heard().await;
        assert_eq!(again, r#"{"type":"subscribe","channel":"busy","id":2}"#);
        session
            .say(r#"{"type":"error","channel":"busy","code":"upstream","message":"down","retry":true}"#)
            .await;
        session.say(r#"{"type":"close","channel":"own","code":4401,"reason":"who?"}"#).await;
        session.say(r#"{"type":"close","channel":"busy","code":1001,"reason":"dropped"}"#).await;
        while session.0.next().await.is_some() {}
    });
    expect(&mut follower, &["open own k:0 true", "error Some(\"secret\") forbidden false"]).await;
    expect(&mut follower, &["error Some(\"busy\") limit true", "error Some(\"busy\") upstream true"]).await;
    expect(&mut follower, &["close own 4401", "close busy 1001", "ended: every channel has ended"]).await;
    assert!(follower.next().await.is_none());
    drop(follower);
    script.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_no_longer_is_not_told() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        assert_eq!(session.heard().await, r#"{"type":"unsubscribe","channel":"own","id":0}"#);
        session.message("own", "k:1").await;
        drop(session);
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:1", true).await;
        // In the order in which the follower comes to it.
        let mut heard = [session.heard().await, session.heard().await];
        heard.sort();
        assert!(
            heard[0].starts_with(r#"{"type":"message","channel":"chat/7","data":{"n":1},"id":"#),
            "{heard:?}"
        );
        assert!(heard[1].starts_with(r#"{"type":"unsubscribe","channel":"own","id":"#), "{heard:?}");
        session.say(r#"{"type":"reply","id":9,"channel":"chat/7","text":"thanks"}"#).await;
        session
    });
    expect(&mut follower, &["open own k:0 true"]).await;
    assert!(follower.unfollow("/own"));
    assert!(!follower.unfollow("/own"));
    expect(&mut follower, &["lost"]).await;
    let payload = Payload::from(r#"{"n":1}"#);
    assert!(follower.queue(Some("chat/7"), &payload).is_err(), "there is no connection");
    // Nothing is told of the new connection, but that messages can be sent is.
    while tokio::time::timeout(Duration::from_millis(100), follower.next()).await.is_err() {
        if follower.queue(Some("chat/7"), &payload).is_ok() {
            break;
        }
    }
    let Some(Event::Answer { content: answer, .. }) = follower.next().await else { panic!("an answer") };
    assert_eq!(answer.payload, Payload::from("thanks"));
    drop(script.await.unwrap());
}

/// Every future of a whole story is dropped after one poll.
#[tokio::test(start_paused = true)]
async fn next_survives_cancellation() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        for round in 0..5 {
            let (mut session, target) = gateway.accept().await;
            let expected =
                if round == 0 { "/own?x=1".to_owned() } else { format!("/own?x=1&after=k:{round}") };
            assert_eq!(target, expected);
            session.open("own", &format!("k:{round}"), true).await;
            session.message("own", &format!("k:{}", round + 1)).await;
            drop(session);
        }
        gateway.accept().await.0.close(1000).await;
    });
    let mut told = Vec::new();
    loop {
        let event = {
            let next = pin!(tokio::task::unconstrained(follower.next()));
            next.poll(&mut Context::from_waker(Waker::noop()))
        };
        match event {
            Poll::Ready(None) => break,
            Poll::Ready(event) => told.push(words(event)),
            Poll::Pending => tokio::time::advance(Duration::from_millis(10)).await,
        }
    }
    for round in 0..5 {
        let told = &told[3 * round..3 * round + 3];
        let expected = [format!("open own k:{round} true"), format!("message own k:{}", round + 1)];
        assert_eq!((&told[..2], told[2].as_str()), (&expected[..], "lost"));
    }
    assert_eq!(told[15..], ["ended: closed with 1000"]);
    script.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_position_in_the_url_is_only_where_it_begins() {
    let url = "ws://gateway/own?after=k%3A5&x=1&after=k:2";
    let (mut follower, mut gateway) = follower_of(url, Options::default()).unwrap();
    let script = tokio::spawn(async move {
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:5");
        session.open("own", "k:5", true).await;
        session.message("own", "k:6").await;
        drop(session);
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:6");
        session.open("own", "k:6", true).await;
        session
    });
    expect(&mut follower, &["open own k:5 true", "message own k:6", "lost", "open own k:6 true"]).await;
    drop(script.await.unwrap());

    let options = Options { after: Some(at("k:7")), ..Options::default() };
    let (mut follower, mut gateway) = follower_of("ws://gateway/own?after=k:5", options).unwrap();
    let script = tokio::spawn(async move { gateway.accept().await });
    let following = tokio::spawn(async move { follower.next().await });
    assert_eq!(script.await.unwrap().1, "/own?after=k:7");
    following.abort();

    let error = follower_of("ws://gateway/own?after=yesterday", Options::default()).unwrap_err();
    assert!(error.to_string().contains("'yesterday'"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_open_is_held_against_what_was_read() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        session.message("own", "k:1").await;
        session.message("own", "k:2").await;
        session.open("own", "k:1", true).await;
        session.message("own", "k:2").await;
        session.message("own", "k:3").await;
        // It may also come before what it is behind; the next one says whether something is missing.
        session.open("own", "k:4", true).await;
        session.message("own", "k:4").await;
        session.open("own", "k:9", true).await;
        session.message("own", "k:10").await;
        session.open("own", "l:3", true).await;
        // What is declared missing may be told again.
        session.open("own", "k:4", false).await;
        session.message("own", "k:5").await;
        session
    });
    expect(&mut follower, &["open own k:0 true", "message own k:1", "message own k:2"]).await;
    expect(&mut follower, &["open own k:2 true", "message own k:3"]).await;
    expect(&mut follower, &["open own k:3 true", "message own k:4", "open own k:4 true"]).await;
    expect(&mut follower, &["open own k:9 false", "message own k:10", "open own l:3 false"]).await;
    expect(&mut follower, &["open own k:4 false", "message own k:5"]).await;
    drop(script.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_subscription_left_behind_is_not_told() {
    let (mut follower, mut gateway) = follower(Options::default());
    follower.follow("other", None);
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        session.heard().await;
        session.open("other", "o:0", true).await;
        session.say(r#"{"type":"reply","id":0,"channel":"other"}"#).await;
        session.message("other", "o:1").await;
        session.message("other", "o:2").await;
        assert_eq!(session.heard().await, r#"{"type":"unsubscribe","channel":"other","id":1}"#);
        let again = r#"{"type":"subscribe","channel":"other","after":"o:0","id":2}"#;
        assert_eq!(session.heard().await, again);
        session.open("other", "o:0", true).await;
        session.message("other", "o:1").await;
        session.message("other", "o:2").await;
        session
    });
    expect(&mut follower, &["open own k:0 true", "open other o:0 true", "message other o:1"]).await;
    assert!(follower.unfollow("other") && follower.follow("other", Some(at("o:0"))));
    expect(&mut follower, &["open other o:0 true", "message other o:1", "message other o:2"]).await;
    drop(script.await.unwrap());
}

/// Ends the follower, and looks that it has said nothing that was not heard.
async fn ends_without_a_word(follower: Follower, mut session: Session) {
    let closing = tokio::spawn(follower.close());
    let event = session.0.next().await;
    assert!(matches!(&event, Some(tidegate_client::Event::Close(_))), "{event:?}");
    closing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_channel_of_the_url_may_be_followed_again() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        assert_eq!(session.heard().await, r#"{"type":"unsubscribe","channel":"own","id":0}"#);
        assert_eq!(session.heard().await, r#"{"type":"subscribe","channel":"own","id":1}"#);
        session.open("own", "k:0", true).await;
        session.say(r#"{"type":"reply","id":1,"channel":"own"}"#).await;
        session.message("own", "k:1").await;
        drop(session);
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:1");
        session.open("own", "k:1", true).await;
        session.message("own", "k:2").await;
        session
    });
    expect(&mut follower, &["open own k:0 true"]).await;
    assert!(follower.unfollow("own") && follower.follow("/own", None));
    expect(&mut follower, &["open own k:0 true", "message own k:1", "lost"]).await;
    expect(&mut follower, &["open own k:1 true", "message own k:2"]).await;
    ends_without_a_word(follower, script.await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn the_channel_of_the_url_may_be_followed_again_without_a_connection() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        session.heard().await;
        drop(session);
        // It is being opened without a position when the channel is followed again after one.
        let _unanswered = gateway.0.recv().await.unwrap();
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:0");
        session.open("own", "k:0", true).await;
        session.message("own", "k:1").await;
        session
    });
    expect(&mut follower, &["open own k:0 true"]).await;
    assert!(follower.unfollow("own"));
    expect(&mut follower, &["lost"]).await;
    assert!(tokio::time::timeout(Duration::from_secs(2), follower.next()).await.is_err());
    assert!(follower.follow("own", Some(at("k:0"))));
    expect(&mut follower, &["open own k:0 true", "message own k:1"]).await;
    ends_without_a_word(follower, script.await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn the_channel_of_the_url_may_be_named_before_the_gateway_does() {
    let (mut follower, mut gateway) = follower(Options::default());
    assert!(follower.follow("own", None));
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        assert_eq!(session.heard().await, r#"{"type":"subscribe","channel":"own","id":0}"#);
        session.open("own", "k:0", true).await;
        session.refuse(0, "own", "bad_request").await;
        session.message("own", "k:1").await;
        drop(session);
        let (mut session, target) = gateway.accept().await;
        assert_eq!(target, "/own?x=1&after=k:1");
        session.open("own", "k:1", true).await;
        session.message("own", "k:2").await;
        session
    });
    expect(&mut follower, &["open own k:0 true", "message own k:1", "lost"]).await;
    expect(&mut follower, &["open own k:1 true", "message own k:2"]).await;
    ends_without_a_word(follower, script.await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_round_of_refusals_counts_once() {
    let (mut follower, mut gateway) = follower(Options::default());
    let names: Vec<_> = (0..20).map(|index| format!("busy/{index}")).collect();
    assert!(names.iter().all(|name| follower.follow(name, None)));
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        let mut rounds = vec![Instant::now()];
        for round in 0..4 {
            for (index, name) in names.iter().enumerate() {
                let heard = session.heard().await;
                assert!(heard.contains(&format!(r#""{name}""#)), "{heard}");
                session.refuse(20 * round + index as u64, name, "rate_limited").await;
            }
            rounds.push(Instant::now());
        }
        rounds
    });
    let following = tokio::spawn(async move { while follower.next().await.is_some() {} });
    let rounds = script.await.unwrap();
    // The waits before them are of 500 ms, 1 s and 2 s at most, all of them drawn.
    assert!(rounds[4] - rounds[0] < Duration::from_secs(4), "{rounds:?}");
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_stays_is_taken_for_an_answer() {
    let (mut follower, mut gateway) = follower(Options::default());
    follower.follow("many", None);
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.open("own", "k:0", true).await;
        for round in 0..8 {
            session.heard().await;
            session.refuse(round, "many", "limit").await;
        }
        session
    });
    expect(&mut follower, &["open own k:0 true"]).await;
    for _ in 0..7 {
        expect(&mut follower, &["error Some(\"many\") limit true"]).await;
    }
    expect(&mut follower, &["error Some(\"many\") limit false"]).await;
    let session = script.await.unwrap();
    // Less than the time after which a silent gateway is asked whether it is there.
    let more = tokio::time::timeout(Duration::from_secs(25), follower.next()).await;
    assert!(more.is_err(), "{more:?}");
    assert_eq!(follower.position("many"), None);
    assert!(!follower.unfollow("many"), "it is followed no longer");
    ends_without_a_word(follower, session).await;
}
