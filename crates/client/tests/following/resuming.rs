//! Where it goes on: positions, gaps that are declared, and those that the gateway did not declare.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate_client::CloseCode;
use tidegate_client::follow::Options;

use crate::gateway::{at, expect, follower, follower_of, words};

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
        session.say(r#"{"type":"tide","channel":"own","join":{}}"#).await;
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
async fn the_updates_of_the_url_are_those_of_all_channels() {
    let mut made = follower_of("ws://gateway/own?updates=json-patch&x=1", Options::default()).unwrap();
    assert!(made.0.follow("other", None));
    let script = tokio::spawn(async move {
        let (mut session, target) = made.1.accept().await;
        assert_eq!(target, "/own?x=1&updates=json-patch");
        let subscribe = r#"{"type":"subscribe","channel":"other","updates":"json-patch","id":0}"#;
        assert_eq!(session.heard().await, subscribe);
        session.open("own", "k:1", true).await;
        session.say(r#"{"type":"patch","channel":"own","position":"k:2","patch":[]}"#).await;
        assert_eq!(session.heard().await, r#"{"type":"unsubscribe","channel":"own","id":1}"#);
    });
    expect(&mut made.0, &["open own k:1 true", "open own k:2 false"]).await;
    assert!(made.0.next().await.is_some());
    script.await.unwrap();
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
