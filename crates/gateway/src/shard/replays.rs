//! What a client missed comes to it however much that is, as long as it takes it: who asks for what there is, is not slow.
//! Nor is who follows meanwhile, however many come.
//! Shards without sockets are turned by hand, and what clients get is read as they would read it.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_hub::{ChannelName, Epoch, Form, Increments, Payload, Position, Retention, SessionId, Updates};
use tokio::sync::oneshot;

use super::connection::About;
use super::crossing::{Crossing, Resume};
use super::histories::ground::{Ground, Shards};
use super::histories::trust;
use super::{BodyPart, Shard};
use crate::access::Credentials;
use crate::compression::Agreed;
use crate::process::Generation;

const CONFIGURATION: &str = r#"
[[route]]
path = "/{name}"
channel = {}
history = { size = 10000, ttl = "1h" }
updates = ["json-patch"]
"#;

/// Small queues, and channels that tell who is here.
const TELLING: &str = r#"
[limits]
ws_out_queue_msgs = 512

[[route]]
path = "/{name}"
channel = {}
presence = true
"#;

const RETENTION: Retention = Retention {
    size: 10_000,
    ttl: Duration::from_secs(3600),
    document: false,
    increments: Increments { json_patch: true, merge_patch: false },
};

/// A text of which each byte is six in JSON.
const ESCAPED_BYTES: usize = 450 * 1024;

struct Gateway {
    shards: Shards,
    generation: Arc<Generation>,
}

impl Gateway {
    fn start() -> Self {
        Self::configured(CONFIGURATION)
    }

    fn configured(configuration: &'static str) -> Self {
        let (shards, generation) = Ground::configured(&trust(), configuration).start();
        Self { shards, generation }
    }

    /// Publishes at the channel's home; gives the epoch.
    fn publish(&mut self, channel: &str, payload: &str) -> Epoch {
        let home = self.shards[0].0.process.home_of(&name(channel));
        self.shards[usize::from(home.0)].0.with(|home| publish(home, channel, payload))
    }

    /// A client on the first shard, which reads lines of JSON.
    fn connect(&self) -> SessionId {
        let found = self.generation.settings.routes.find("/c").expect("a route");
        let about = About {
            channel: name("c"),
            route: Arc::clone(found.route),
            remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
            credentials: Credentials::default(),
            opened: 0,
            tls: None,
            http2: false,
            agreed: Agreed::default(),
            seat: None,
        };
        let cut = Rc::new(tokio::sync::Notify::new());
        self.shards[0].0.with(|shard| shard.attach_body(Form::Lines, about, cut))
    }

    fn subscribe(&self, id: SessionId, channel: &str, resume: Resume) {
        let subscribe = |shard: &mut Shard| shard.subscribe(id, &name(channel), resume, RETENTION, false);
        self.shards[0].0.with(subscribe).expect("subscribed");
    }

    /// The same when the first shard, which is the home, has come to it: between subscriptions.
    fn publish_later(&self, channel: &str, payload: &str) {
        let (channel, payload) = (channel.to_owned(), payload.to_owned());
        let publish = move |shard: &mut Shard| {
            publish(shard, &channel, &payload);
        };
        self.shards[0].0.with(|shard| shard.cross(shard.id, Crossing::Call(Box::new(publish))));
    }

    /// Turns all shards until nothing moves any more.
    fn turn(&mut self) {
        for _ in 0..8 {
            for (shard, mailbox) in &mut self.shards {
                while shard.round(mailbox, Instant::now()).expect("a round") {}
            }
        }
    }

    /// Turns all shards, and lets each of these clients take what comes; gives what the first of them took.
    fn turn_taking(&mut self, ids: &[SessionId]) -> Vec<Value> {
        let mut taken = Vec::new();
        for _ in 0..100 {
            for (shard, mailbox) in &mut self.shards {
                shard.round(mailbox, Instant::now()).expect("a round");
            }
            if let [first, others @ ..] = ids {
                taken.extend(self.take(*first));
                others.iter().for_each(|id| drop(self.take_bytes(*id)));
            }
        }
        taken
    }

    fn take_bytes(&self, id: SessionId) -> BodyPart {
        self.shards[0].0.tidy(|shard| shard.take_body(id, Waker::noop()))
    }

    /// What waits for the client, as lines; none are left.
    fn take(&self, id: SessionId) -> Vec<Value> {
        let BodyPart::Bytes(bytes) = self.take_bytes(id) else { return Vec::new() };
        let text = std::str::from_utf8(&bytes).expect("UTF-8");
        text.lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

/// Publishes at home, as the admin listener does; gives the epoch.
fn publish(home: &mut Shard, channel: &str, payload: &str) -> Epoch {
    let (answer, mut published) = oneshot::channel();
    home.submit_at_home(&name(channel), Payload::from(payload).into(), RETENTION, answer);
    published.try_recv().expect("an answer").expect("published").position.epoch
}

fn name(text: &str) -> ChannelName {
    ChannelName::from_text(text).expect("a name")
}

fn after(epoch: Epoch, offset: u64) -> Resume {
    Resume { after: Some(Position { epoch, offset }), updates: Updates::Whole }
}

/// The types of envelopes, and how often each comes in a row.
fn types(envelopes: &[Value]) -> Vec<(&str, usize)> {
    let mut types: Vec<(&str, usize)> = Vec::new();
    for one in envelopes {
        let kind = one["type"].as_str().expect("a type");
        match types.last_mut() {
            Some((last, count)) if *last == kind => *count += 1,
            _ => types.push((kind, 1)),
        }
    }
    types
}

#[test]
fn many_small_publications_come_at_once_and_leave_room_for_what_is_live() {
    let mut gateway = Gateway::start();
    let epochs: Vec<_> = (0..5000).map(|_| gateway.publish("c", "1")).collect();
    let id = gateway.connect();
    gateway.subscribe(id, "c", after(epochs[0], 0));
    gateway.turn();
    for _ in 0..100 {
        gateway.publish("c", "2");
    }
    gateway.turn();
    let envelopes = gateway.take(id);
    assert_eq!(types(&envelopes), [("open", 1), ("message", 5100)]);
    assert_eq!(envelopes[0]["recovered"], true);
}

#[test]
fn one_publication_comes_however_large_its_encoding_is() {
    let mut gateway = Gateway::start();
    let text = "\u{1}".repeat(ESCAPED_BYTES);
    let epoch = gateway.publish("c", &text);
    let first = Resume { after: None, updates: Updates::JsonPatch };
    for resume in [after(epoch, 0), first] {
        let id = gateway.connect();
        gateway.subscribe(id, "c", resume);
        gateway.turn();
        // A sign of life is no reason either to count it as slow.
        gateway.shards[0].0.with(|shard| shard.send(id, "\n".into(), 0));
        gateway.turn();
        let envelopes = gateway.take(id);
        assert_eq!(types(&envelopes), [("open", 1), ("message", 1)]);
        assert_eq!(
            (&envelopes[0]["recovered"], &envelopes[1]["text"]),
            (&true.into(), &text.as_str().into())
        );
    }
}

#[test]
fn whoever_takes_what_comes_is_not_slow_because_others_come() {
    let mut gateway = Gateway::start();
    let home = usize::from(gateway.shards[0].0.process.home_of(&name("c")).0);
    // Where nothing needs to cross, most of it happens in one round.
    gateway.shards.swap(0, home);
    let ids = [(); 4].map(|()| gateway.connect());
    let text = "x".repeat(100 * 1024);
    gateway.subscribe(ids[0], "c", Resume::default());
    gateway.turn();
    gateway.take(ids[0]);
    for id in &ids[1..] {
        (0..15).for_each(|_| gateway.publish_later("c", &text));
        gateway.subscribe(*id, "c", Resume::default());
    }
    let mut taken = Vec::new();
    for _ in 0..100 {
        let (shard, mailbox) = &mut gateway.shards[0];
        shard.round(mailbox, Instant::now()).expect("a round");
        taken.extend(gateway.take(ids[0]));
    }
    assert_eq!(types(&taken), [("message", 45)]);
    assert_eq!(types(&gateway.take(ids[2])), [("open", 1), ("message", 15)]);
}

#[test]
fn whoever_takes_what_comes_is_not_slow_because_many_channels_bring_something_at_once() {
    let mut gateway = Gateway::start();
    let channels: Vec<String> = (0..60).map(|number| format!("c{number}")).collect();
    let id = gateway.connect();
    channels.iter().for_each(|channel| gateway.subscribe(id, channel, Resume::default()));
    gateway.turn();
    gateway.take(id);
    let text = "x".repeat(60 * 1024);
    for channel in &channels {
        gateway.publish(channel, &text);
    }
    assert_eq!(types(&gateway.turn_taking(&[id])), [("message", 60)]);
}

#[test]
fn whoever_takes_what_comes_is_not_slow_because_many_leave_at_once() {
    const ROOMS: usize = 50;
    let mut gateway = Gateway::configured(TELLING);
    let ids: Vec<_> = (0..30).map(|_| gateway.connect()).collect();
    for room in 0..ROOMS {
        ids.iter().for_each(|id| gateway.subscribe(*id, &format!("r{room}"), Resume::default()));
        gateway.turn_taking(&ids);
    }
    for id in &ids[1..] {
        gateway.shards[0].0.with(|shard| shard.body_dropped(*id));
    }
    let taken = gateway.turn_taking(&ids[..1]);
    assert_eq!(types(&taken), [("presence", 29 * ROOMS)]);
}

#[test]
fn one_portion_is_flushed_to_all_before_the_next_is_fanned_out() {
    let mut gateway = Gateway::start();
    let home = usize::from(gateway.shards[0].0.process.home_of(&name("c")).0);
    gateway.shards.swap(0, home);
    for _ in 0..600 {
        let id = gateway.connect();
        gateway.subscribe(id, "c", Resume::default());
    }
    gateway.turn();
    (0..1500).for_each(|_| gateway.publish_later("c", "1"));
    let (shard, mailbox) = &mut gateway.shards[0];
    let mut backlogs = Vec::new();
    for _ in 0..4 {
        shard.round(mailbox, Instant::now()).expect("a round");
        backlogs.push(shard.look(|shard| shard.hub.backlog()));
    }
    assert_eq!(backlogs, [476, 476, 0, 0]);
}

#[test]
fn what_is_too_much_in_wire_form_is_declared_lost() {
    let mut gateway = Gateway::start();
    let epoch = gateway.publish("c", &"\u{1}".repeat(ESCAPED_BYTES));
    gateway.publish("c", &"\u{1}".repeat(ESCAPED_BYTES));
    let id = gateway.connect();
    gateway.subscribe(id, "c", after(epoch, 0));
    gateway.turn();
    gateway.publish("c", "1");
    gateway.turn();
    let envelopes = gateway.take(id);
    assert_eq!(types(&envelopes), [("open", 1), ("message", 1)]);
    let position = Position { epoch, offset: 2 }.to_string();
    assert_eq!((&envelopes[0]["recovered"], &envelopes[0]["position"]), (&false.into(), &position.into()));
}

#[test]
fn what_was_missed_of_many_channels_comes_as_it_is_taken() {
    let mut gateway = Gateway::start();
    let channels: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let text = "x".repeat(200 * 1024);
    let id = gateway.connect();
    for channel in &channels {
        let epoch = gateway.publish(channel, &text);
        gateway.subscribe(id, channel, after(epoch, 0));
    }
    let (mut taken, mut turns) = (Vec::new(), 0);
    while taken.len() < 80 {
        gateway.turn();
        let envelopes = gateway.take(id);
        let bytes: usize = envelopes.iter().map(|one| one.to_string().len()).sum();
        assert!(bytes <= 2 * 1024 * 1024 && !envelopes.is_empty(), "{bytes} wait after {turns} turns");
        taken.extend(envelopes);
        turns += 1;
    }
    assert!(turns <= 40 / 8 + 1, "{turns} turns");
    assert_eq!(types(&taken), [[("open", 1), ("message", 1)]; 40].concat());
    for channel in &channels {
        gateway.publish(channel, "1");
    }
    gateway.turn();
    assert_eq!(types(&gateway.take(id)), [("message", 40)], "what is live follows in each");
}
