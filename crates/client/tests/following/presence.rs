//! Who is here: what a follower tells of it, over one connection and the next.

use tidegate_client::Member;
use tidegate_client::follow::{Event, Options};

use crate::gateway::{expect, follower};

/// An `open` of `own` at a position, with these members.
fn open(position: &str, members: &[&str], count: usize) -> String {
    let members: Vec<_> = members.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    format!(
        r#"{{"type":"open","channel":"own","position":"{position}","recovered":true,"present":[{}],"count":{count}}}"#,
        members.join(",")
    )
}

/// A `presence` of one kind.
fn change(channel: &str, kind: &str, id: &str, count: usize) -> String {
    format!(r#"{{"type":"presence","channel":"{channel}","{kind}":{{"id":"{id}"}},"count":{count}}}"#)
}

#[tokio::test(start_paused = true)]
async fn who_is_here_comes_and_goes() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        // Of a channel that does not stand it means nothing.
        session.say(&change("own", "join", "0", 7)).await;
        session.say(&open("k:0", &["a", "b"], 120)).await;
        session.say(&change("own", "join", "c", 121)).await;
        session.message("own", "k:1").await;
        session.say(&change("own", "leave", "a", 120)).await;
        session.say(&change("other", "leave", "a", 3)).await;
        session.say(r#"{"type":"presence","channel":"own","away":{"id":"b"},"count":120}"#).await;
        session.close(1006).await;
        let (mut session, _) = gateway.accept().await;
        session.say(&open("k:1", &["b"], 1)).await;
        let (user, info) = (r#""user":"Ann""#, r#""info":{"role": "host"}"#);
        session
            .say(&format!(
                r#"{{"type":"presence","channel":"own","join":{{"id":"d",{user},{info}}},"count":2}}"#
            ))
            .await;
        session
    });
    expect(&mut follower, &["open own k:0 true with a,b of 120", "join own c 121", "message own k:1"]).await;
    expect(&mut follower, &["leave own a 120", "lost", "open own k:1 true with b of 1"]).await;
    let Some(Event::Join { member, .. }) = follower.next().await else { panic!("a join") };
    let ann = Member { id: "d".into(), user: Some("Ann".into()), info: Some(r#"{"role": "host"}"#.into()) };
    assert_eq!(member, ann);
    drop(script.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn of_what_is_followed_no_longer_nobody_is_told() {
    let (mut follower, mut gateway) = follower(Options::default());
    follower.follow("other", None);
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.say(&open("k:0", &["a"], 1)).await;
        session.heard().await;
        let unsubscribed = session.heard().await;
        assert_eq!(unsubscribed, r#"{"type":"unsubscribe","channel":"own","id":1}"#);
        session.say(&change("own", "join", "b", 2)).await;
        session.open("other", "o:0", true).await;
        session
    });
    expect(&mut follower, &["open own k:0 true with a of 1"]).await;
    assert!(follower.unfollow("own"));
    expect(&mut follower, &["open other o:0 true"]).await;
    drop(script.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_member_without_a_name_is_no_member() {
    let (mut follower, mut gateway) = follower(Options::default());
    let script = tokio::spawn(async move {
        let (mut session, _) = gateway.accept().await;
        session.say(r#"{"type":"presence","channel":"own","join":{"user":"Ann"},"count":2}"#).await;
        session
    });
    let Some(Event::Ended(why)) = follower.next().await else { panic!("the end") };
    assert!(why.to_string().contains("missing field `id`"), "{why}");
    drop(script.await.unwrap());
}
