//! How long it waits before it tries again, and when it gives up.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidegate_client::AcceptOptions;
use tidegate_client::follow::{Event, Follower, Interruption, Options, TokenProvider};
use tokio::time::Instant;

use crate::gateway::{expect, follower, words};

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
async fn a_token_that_has_ended_is_followed_by_the_next_one() {
    let made = AtomicU32::new(0);
    let token = TokenProvider::new(move || format!("token-{}", made.fetch_add(1, Ordering::Relaxed)));
    let (mut follower, mut gateway) = follower(Options { token: Some(token), ..Options::default() });
    let script = tokio::spawn(async move {
        let (mut session, _, first) = gateway.accept_with("authorization").await;
        session.open("own", "k:0", true).await;
        session.message("own", "k:1").await;
        session.close(4401).await;
        gateway.refuse(401, &[]).await;
        let (mut session, target, last) = gateway.accept_with("authorization").await;
        session.open("own", "k:1", true).await;
        session.close(4403).await;
        (first, last, target)
    });
    expect(&mut follower, &["open own k:0 true", "message own k:1"]).await;
    lost(&mut follower).await;
    lost(&mut follower).await;
    expect(&mut follower, &["open own k:1 true", "ended: closed with 4403"]).await;
    let (first, last, target) = script.await.unwrap();
    assert_eq!((first.as_deref(), last.as_deref()), (Some("Bearer token-0"), Some("Bearer token-2")));
    assert!(target.contains("after=k%3A1") || target.contains("after=k:1"), "{target}");
}
