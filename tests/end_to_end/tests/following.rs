//! The Rust client's follower against a real gateway: it resumes after a break, comes back when the gateway
//! drains and when it has been killed, and declares what a new epoch lost.

use std::time::Duration;

use rustix::process::Signal;
use tidegate_client::follow::{Event, Follower, Options};
use tidegate_client::{Payload, Position};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;

const CHANNELS: &str = "[limits]\ndrain_grace = \"100ms\"\ndrain_spread = \"100ms\"\ndrain_deadline = \"5s\"\n\
                        [[route]]\npath = \"/{*rest}\"\nchannel = {}\nhistory = { size = 1000, ttl = \"5m\" }\n";

/// No test takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

fn follower(gateway: &Gateway, after: Option<Position>) -> Follower {
    Follower::new(&gateway.ws("/a"), Options { after, ..Options::default() }).expect("a URL")
}

async fn next(follower: &mut Follower) -> Event {
    tokio::time::timeout(PATIENCE, follower.next()).await.expect("an event in time").expect("an event")
}

/// The channel, position and whether all that was missed will come.
async fn open(follower: &mut Follower) -> (String, Position, bool) {
    match next(follower).await {
        Event::Open { channel, position, recovered, .. } => (channel, position, recovered),
        other => panic!("{other:?}"),
    }
}

async fn message(follower: &mut Follower) -> (String, Position, Payload) {
    match next(follower).await {
        Event::Message { channel, position, content, .. } => (channel, position, content.payload),
        other => panic!("{other:?}"),
    }
}

async fn lost(follower: &mut Follower) -> Duration {
    match next(follower).await {
        Event::Lost { retry_in, .. } => retry_in,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Payload {
    Payload::from(text)
}

#[tokio::test]
async fn what_was_published_meanwhile_is_told_in_order() {
    let gateway = Gateway::configured(CHANNELS);
    let mut first = follower(&gateway, None);
    assert!(first.follow("b", None));
    let mut opened = [open(&mut first).await.0, open(&mut first).await.0];
    opened.sort();
    assert_eq!(opened, ["a", "b"]);
    gateway.publish("a", "one");
    let (channel, position, payload) = message(&mut first).await;
    assert_eq!((channel.as_str(), payload), ("a", text("one")));
    gateway.publish("b", "1");
    let (channel, of_b, _) = message(&mut first).await;
    assert_eq!(channel, "b");
    drop(first);
    for word in ["two", "three"] {
        gateway.publish("a", word);
    }
    gateway.publish("b", "2");
    let mut second = follower(&gateway, Some(position));
    second.follow("b", Some(of_b));
    let mut told = Vec::new();
    while told.len() < 3 {
        match next(&mut second).await {
            Event::Open { recovered, .. } => assert!(recovered),
            Event::Message { channel, content, .. } => told.push((channel, content.payload)),
            other => panic!("{other:?}"),
        }
    }
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected =
        [("a", "two"), ("a", "three"), ("b", "2")].map(|(name, word)| (name.to_owned(), text(word)));
    assert_eq!(told, expected);
}

/// The gateway says when to come back; a new process has a new epoch, so that something may be missing.
#[tokio::test]
async fn a_restart_is_survived_and_its_loss_declared() {
    let gateway = Gateway::configured(CHANNELS);
    let public = gateway.public();
    let mut follower = follower(&gateway, None);
    assert_eq!(open(&mut follower).await.0, "a");
    gateway.publish("a", "before");
    let (_, position, _) = message(&mut follower).await;

    gateway.signal(Signal::TERM);
    let retry_in = lost(&mut follower).await;
    assert!(retry_in <= Duration::from_secs(20), "{retry_in:?}");
    let ended = tokio::task::spawn_blocking(move || gateway.ended()).await.expect("it ended");
    assert_eq!(ended.code, Some(0), "{}", ended.printed);

    let gateway = Gateway::configured_at(public, CHANNELS);
    let (_, again, recovered) = open(&mut follower).await;
    assert!(!recovered && again.epoch != position.epoch);
    gateway.publish("a", "after");
    assert_eq!(message(&mut follower).await.2, text("after"));
}

/// Killed, it says nothing; the follower finds it again by itself.
#[tokio::test]
async fn a_gateway_that_was_killed_is_found_again() {
    let gateway = Gateway::configured(CHANNELS);
    let public = gateway.public();
    let mut follower = follower(&gateway, None);
    open(&mut follower).await;
    drop(gateway);
    lost(&mut follower).await;
    // Nobody listens.
    let mut retry_in = lost(&mut follower).await;
    let gateway = Gateway::configured_at(public, CHANNELS);
    loop {
        match next(&mut follower).await {
            Event::Lost { retry_in: next, .. } => retry_in = retry_in.max(next),
            Event::Open { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(retry_in <= Duration::from_secs(30));
    gateway.publish("a", "there again");
    assert_eq!(message(&mut follower).await.2, text("there again"));
}

/// A lost connection of another client is a leave, and a follower that comes back is told anew who is here.
#[tokio::test]
async fn who_is_here_is_told_and_told_again() {
    let gateway = Gateway::configured("[[route]]\npath = \"/{*rest}\"\nchannel = {}\npresence = true\n");
    let mut first = follower(&gateway, None);
    let Event::Open { present: Some(alone), .. } = next(&mut first).await else { panic!("an open") };
    assert_eq!((alone.members.len(), alone.count), (1, 1));
    let mut second = follower(&gateway, None);
    let Event::Open { present: Some(both), .. } = next(&mut second).await else { panic!("an open") };
    assert_eq!((&both.members[0], both.members.len(), both.count), (&alone.members[0], 2, 2));
    let Event::Join { channel, member, count } = next(&mut first).await else { panic!("a join") };
    assert_eq!((channel.as_str(), &member, count), ("a", &both.members[1], 2));
    drop(second);
    let Event::Leave { member: left, count, .. } = next(&mut first).await else { panic!("a leave") };
    assert_eq!((left, count), (member, 1));
    let closing = format!("/connections/{}?code=4000", alone.members[0].id);
    assert_eq!(gateway.ask_admin(Request::new("DELETE", &closing)).status, 200);
    lost(&mut first).await;
    let Event::Open { present: Some(again), .. } = next(&mut first).await else { panic!("an open") };
    assert_eq!(again.count, 1);
    assert_ne!(again.members[0].id, alone.members[0].id);
}
