//! Channels that are subscribed to: what is refused, what ends, and what is no longer wanted.

use std::time::Duration;

use tidegate_client::Payload;
use tidegate_client::follow::{Event, Options};

use crate::gateway::{at, ends_without_a_word, expect, follower};

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
