//! The channel of the URL, which is followed without asking, and may be left and followed again.

use std::time::Duration;

use tidegate_client::follow::Options;

use crate::gateway::{at, ends_without_a_word, expect, follower};

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
