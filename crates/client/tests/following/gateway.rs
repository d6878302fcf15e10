//! The gateway that is followed: a script that accepts, speaks and closes; and what its follower tells, in a few
//! words.

use tidegate_client::follow::{Event, Follower, Options};
use tidegate_client::{
    AcceptOptions, CloseCode, Connection, Message, Payload, Position, Present, UrlError, connect_stream,
    receive_stream,
};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// What has been opened towards the gateway.
#[derive(Debug)]
pub(crate) struct Gateway(pub(crate) mpsc::Receiver<DuplexStream>);

/// A follower of `/own?x=1`, and whom it follows.
pub(crate) fn follower(options: Options) -> (Follower, Gateway) {
    follower_of("ws://gateway/own?x=1", options).unwrap()
}

pub(crate) fn follower_of(url: &str, options: Options) -> Result<(Follower, Gateway), UrlError> {
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
    pub(crate) async fn accept(&mut self) -> (Session, String) {
        let (session, target, _) = self.accept_with("").await;
        (session, target)
    }

    /// The same, and a field of the request.
    pub(crate) async fn accept_with(&mut self, name: &str) -> (Session, String, Option<String>) {
        let subprotocols = vec!["tidegate.v1".to_owned()];
        let options = AcceptOptions { subprotocols, ..AcceptOptions::default() };
        let asked = receive_stream(self.0.recv().await.unwrap(), options).await.unwrap();
        let target = asked.head().target.to_owned();
        let field = asked.header(name).map(str::to_owned);
        (Session(asked.accept().await.unwrap()), target, field)
    }

    pub(crate) async fn refuse(&mut self, status: u16, headers: &[(&str, &str)]) {
        let asked = receive_stream(self.0.recv().await.unwrap(), AcceptOptions::default()).await.unwrap();
        asked.answer(status, headers, b"no\n").await.unwrap();
    }
}

pub(crate) struct Session(pub(crate) Connection);

impl Session {
    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send_text(text).await.unwrap();
    }

    pub(crate) async fn open(&mut self, channel: &str, position: &str, recovered: bool) {
        let text = format!(
            r#"{{"type":"open","channel":"{channel}","position":"{position}","recovered":{recovered}}}"#
        );
        self.say(&text).await;
    }

    pub(crate) async fn message(&mut self, channel: &str, position: &str) {
        let text = format!(
            r#"{{"type":"message","channel":"{channel}","position":"{position}","text":"{position}"}}"#
        );
        self.say(&text).await;
    }

    pub(crate) async fn refuse(&mut self, id: u64, channel: &str, code: &str) {
        let error = format!(r#"{{"code":"{code}","message":"no"}}"#);
        let text = format!(r#"{{"type":"reply","id":{id},"channel":"{channel}","error":{error}}}"#);
        self.say(&text).await;
    }

    pub(crate) async fn heard(&mut self) -> String {
        match self.0.next().await {
            Some(tidegate_client::Event::Message(Message::Text(text))) => text,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn close(mut self, code: u16) {
        self.0.close(CloseCode::new(code), "").await;
        while self.0.next().await.is_some() {}
    }
}

pub(crate) fn at(text: &str) -> Position {
    text.parse().unwrap()
}

/// An event in a few words.
pub(crate) fn words(event: Option<Event>) -> String {
    match event {
        Some(Event::Open { channel, position, recovered, present }) => {
            let present = present.map(|Present { members, count }| {
                let ids: Vec<_> = members.iter().map(|member| &*member.id).collect();
                format!(" with {} of {count}", ids.join(","))
            });
            format!("open {channel} {position} {recovered}{}", present.unwrap_or_default())
        }
        Some(Event::Join { channel, member, count }) => format!("join {channel} {} {count}", member.id),
        Some(Event::Leave { channel, member, count }) => format!("leave {channel} {} {count}", member.id),
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

pub(crate) async fn expect(follower: &mut Follower, expected: &[&str]) {
    for words_of_event in expected {
        assert_eq!(words(follower.next().await), *words_of_event);
    }
}

/// Ends the follower, and looks that it has said nothing that was not heard.
pub(crate) async fn ends_without_a_word(follower: Follower, mut session: Session) {
    let closing = tokio::spawn(follower.close());
    let event = session.0.next().await;
    assert!(matches!(&event, Some(tidegate_client::Event::Close(_))), "{event:?}");
    closing.await.unwrap();
}
