//! One watcher: its socket, its watches, and their feeds in turn. All that it sends goes through one buffer that
//! is written before anything else is asked of a shard, so that a client that does not read costs its own feeds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_inspect::words::known;
use tidegate_websocket::{CloseCode, Connection, Event, Input, Limits, Message, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::connection;
use super::feed::{Bell, Feed, Pace};
use super::feeds;
use super::wish::{Misunderstood, Said, Wish};
use crate::shard::ShardRef;

/// Watches of one watcher.
const WATCHES_MAX: usize = 32;

/// A message of a watcher, which may come in a few fragments.
const LIMITS: Limits = Limits { max_message_bytes: 64 * 1024, max_fragments: 64 };

/// A message of a feed; a feed that has more tells it in several.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// A buffer that has become larger is not kept.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;

/// How long the end of a client is awaited after the last word.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module's head.
pub(super) struct Watcher<S> {
    shard: ShardRef,
    stream: S,
    socket: Connection,
    watches: Vec<Watch>,
    bell: Bell,
    /// Written at the end of each step.
    output: Vec<u8>,
    /// When something came from the client.
    heard: Instant,
    pinged: bool,
}

struct Watch {
    id: u64,
    feed: Box<dyn Feed>,
    /// When it may be looked at next.
    free: Instant,
    /// When it is.
    due: Instant,
}

/// What a watcher has waited for.
enum Step {
    Bytes(usize),
    Rung,
    Due,
    Drain,
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watcher<S> {
    pub(super) fn new(shard: ShardRef, stream: S) -> Self {
        Self {
            shard,
            stream,
            socket: Connection::new(Role::Server, LIMITS),
            watches: Vec::new(),
            bell: Bell::default(),
            output: Vec::new(),
            heard: Instant::now(),
            pinged: false,
        }
    }

    /// Serves it until its connection ends, or the gateway does.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match self.wait(&mut buffer).await {
                Step::Bytes(count) => self.hear(&mut buffer[..count]).await,
                Step::Rung => self.watches.iter_mut().for_each(Watch::ring),
                Step::Due => {}
                Step::Drain => self.close(CloseCode::GOING_AWAY, "the gateway is stopping"),
                Step::Gone => return,
            }
            if !self.keep_alive() || self.write().await.is_err() {
                return;
            }
            if !self.socket.is_open() {
                return self.end(&mut buffer).await;
            }
            if self.look().await.is_err() {
                return;
            }
        }
    }

    async fn wait(&mut self, buffer: &mut [u8]) -> Step {
        let due = self.watches.iter().map(|watch| watch.due).min();
        let next = due.into_iter().chain([self.next_ping()]).min().unwrap_or_else(Instant::now);
        let process = Arc::clone(&self.shard.process);
        tokio::select! {
            read = self.stream.read(buffer) => match read {
                Ok(count @ 1..) => Step::Bytes(count),
                Ok(0) | Err(_) => Step::Gone,
            },
            () = self.bell.notified() => Step::Rung,
            () = sleep_until(next) => Step::Due,
            () = process.drain_begun() => Step::Drain,
        }
    }

    /// Takes what came, and does what it says.
    async fn hear(&mut self, bytes: &mut [u8]) {
        self.heard = Instant::now();
        self.pinged = false;
        let mut input = Input::new(bytes);
        let mut said = Vec::new();
        while let Some(event) = self.socket.handle_input(&mut input, &mut self.output) {
            match event {
                Event::Message(Message::Text(text)) => said.push(Said::parse(text)),
                Event::Message(Message::Binary(_)) => {
                    let sentence = "messages are text".to_owned();
                    said.push(Err(Misunderstood { id: None, sentence }));
                }
                Event::Ping(_) | Event::Pong(_) | Event::Close(_) | Event::Error(_) => {}
            }
        }
        for said in said {
            match said {
                Ok(Said::Watch(wish)) => self.watch(&wish),
                Ok(Said::Unwatch(id)) => self.watches.retain(|watch| watch.id != id),
                Ok(Said::Body(wish)) => match connection::body(&wish, &self.shard).await {
                    // As long as the payload is.
                    Ok(answer) => self.say(&answer),
                    Err(sentence) => self.tell_error(Some(wish.id), &sentence),
                },
                Err(Misunderstood { id, sentence }) => self.tell_error(id, &sentence),
            }
        }
    }

    /// Begins a watch; one of the same id gives way to it.
    fn watch(&mut self, wish: &Wish) {
        self.watches.retain(|watch| watch.id != wish.id);
        if self.watches.len() >= WATCHES_MAX {
            return self.tell_error(Some(wish.id), &format!("a watcher has {WATCHES_MAX} watches at most"));
        }
        match feeds::begin(wish, &self.shard, &self.bell) {
            Ok(feed) => {
                let now = Instant::now();
                self.watches.push(Watch { id: wish.id, feed, free: now, due: now });
            }
            Err(sentence) => self.tell_error(Some(wish.id), &sentence),
        }
    }

    /// Looks at the feeds that are due, one after the other, and writes what each has to say.
    async fn look(&mut self) -> std::io::Result<()> {
        let mut place = 0;
        while let Some(watch) = self.watches.get_mut(place) {
            place += 1;
            if watch.due > Instant::now() {
                continue;
            }
            let looked = watch.feed.look(&self.shard).await;
            let (soonest, latest) = watch.feed.pace().bounds();
            (watch.free, watch.due) = (Instant::now() + soonest, Instant::now() + latest);
            match looked {
                Ok(messages) => {
                    for message in messages {
                        self.tell(&message);
                        self.write().await?;
                    }
                }
                Err(sentence) => {
                    place -= 1;
                    let watch = self.watches.remove(place);
                    self.tell_error(Some(watch.id), &sentence);
                    self.write().await?;
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, message: &str) {
        debug_assert!(message.len() <= MESSAGE_MAX_BYTES, "a feed tells a lot in several messages");
        self.say(message);
    }

    fn say(&mut self, message: &str) {
        // What cannot be sent any more is of no use.
        let _ = self.socket.send_text(message, &mut self.output);
    }

    fn tell_error(&mut self, id: Option<u64>, sentence: &str) {
        let number = known::WATCH_REFUSED.tag;
        self.tell(&json!({ "type": "error", "id": id, "number": number, "message": sentence }).to_string());
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        self.socket.close(code, reason, &mut self.output);
    }

    async fn write(&mut self) -> std::io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await?;
            self.output.clear();
            self.output.shrink_to(BUFFER_KEPT_BYTES);
        }
        Ok(())
    }

    /// When a client that says nothing is pinged, or given up.
    fn next_ping(&self) -> Instant {
        let (interval, patience) = self.shard.look(|shard| {
            let limits = &shard.generation.settings.limits;
            (limits.ws_ping_interval, limits.ws_pong_timeout)
        });
        self.heard + interval + if self.pinged { patience } else { Duration::ZERO }
    }

    /// Pings a client that has said nothing for long. False if it did not answer.
    fn keep_alive(&mut self) -> bool {
        if Instant::now() < self.next_ping() {
            return true;
        }
        let _ = self.socket.send_ping(&[], &mut self.output);
        !std::mem::replace(&mut self.pinged, true)
    }

    /// The last word is written: awaits the client's end for a moment, because unread bytes would make ours a
    /// reset.
    async fn end(mut self, buffer: &mut [u8]) {
        let ending = async {
            self.stream.shutdown().await?;
            while self.stream.read(buffer).await? > 0 {}
            std::io::Result::Ok(())
        };
        // Who says nothing of its end has it all the same.
        let _ = timeout(END_TIMEOUT, ending).await;
    }
}

impl Watch {
    fn ring(&mut self) {
        if matches!(self.feed.pace(), Pace::Rung { .. }) {
            self.due = self.due.min(self.free);
        }
    }
}
