//! Histories: clients come, go, resume and fall behind on several shards while others publish, in every order
//! that shards and mailboxes allow, and each client's record of each channel is without hole or repetition. One
//! channel is a document, which some clients get as its changes; two tell who is here. Where the channels are kept on
//! disk the process ends now and then, and everything that was acknowledged is there in the next one.
//!
//! The shards are real ones without sockets, turned by hand; a history is a list of steps that proptest draws,
//! and shortens and prints when a record is wrong.

mod step;
pub(super) mod ground;
mod ledger;
mod record;
mod lives;
#[cfg(feature = "durable")]
mod forgetting;
#[cfg(feature = "durable")]
mod unread;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::Value;
use tidegate_hub::{
    ChannelName, Epoch, Form, Increments, Payload, Position, Publication, Retention, SessionId, ShardId,
    Updates,
};
use tidegate_inspect::words::known;
use tidegate_source::{Roots, Trust};
use tokio::sync::oneshot;

use self::ground::{Ground, Shards};
use self::ledger::{Found, Ledger, Unknown};
use self::record::Record;
use self::step::{After, Step, step, step_on_disk};
use super::compare::Comparison;
use super::connection::About;
use super::crossing::{Crossing, Notice, Resume};
use super::{BodyPart, NotPublished, Published, Shard};
use crate::access::Credentials;
use crate::compression::Agreed;
use crate::process::Generation;

const SHARDS: u16 = 3;
const CLIENTS: usize = 4;
const CHANNELS: [&str; 3] = ["a", "b", "c"];

/// Publications that a channel keeps, few enough that clients fall out of it.
const KEPT: u32 = 6;

/// Histories in CI. Each is a millisecond or two, and on a disk ten times that.
const HISTORIES: u32 = 9_000;
const HISTORIES_ON_DISK: u32 = 1_000;

/// Small enough that who does not take what comes is closed. What a channel keeps is also what [`retention`] says.
const CONFIGURATION: &str = r#"
[limits]
ws_out_queue_msgs = 16
ws_out_queue_bytes = "8 KiB"
max_publication = "1 KiB"
publish_max_body = "1 KiB"
upstream_max_response = "1 KiB"
channels_max_per_conn = 8

[[route]]
path = "/{name}"
channel = {}
history = { size = 6, ttl = "1h" }

[[route]]
path = "/b"
channel = {}
history = { size = 6, ttl = "1h" }
presence = true

[[route]]
path = "/c"
channel = {}
history = { size = 6, ttl = "1h" }
presence = true
slow = "latest"
updates = ["json-patch", "merge-patch"]
"#;

/// The channel whose subscribers are passed over when they do not keep up.
const LATEST: usize = 2;

/// The channels that tell who is here.
const TELLING: [usize; 2] = [1, 2];

/// A client with its connection, if it has one, and its records by channel.
#[derive(Default)]
struct Client {
    at: Option<(usize, SessionId)>,
    records: [Record; CHANNELS.len()],
    unread: Vec<u8>,
}

/// The shards, the clients, and what was acknowledged.
struct World {
    ground: Ground,
    shards: Shards,
    clients: [Client; CLIENTS],
    ledger: Ledger,
    published: u64,
    /// Acknowledgements that have not come yet.
    awaited: Vec<(usize, u64, Outcome<Published>)>,
    /// The same of deletions.
    removals: Vec<(usize, Outcome<bool>)>,
    /// Comparisons that a shard has handed out.
    comparisons: Vec<(usize, Comparison)>,
    settings: Arc<Generation>,
}

type Outcome<T> = oneshot::Receiver<Result<T, NotPublished>>;

impl World {
    fn new(mut ground: Ground) -> Self {
        // Homes and epochs are drawn; a history that is run again must be the same.
        fastrand::seed(1);
        let (shards, settings) = ground.start();
        Self {
            ground,
            shards,
            clients: Default::default(),
            ledger: Ledger::default(),
            published: 0,
            awaited: Vec::new(),
            removals: Vec::new(),
            comparisons: Vec::new(),
            settings,
        }
    }

    fn take_step(&mut self, step: &Step) {
        match *step {
            Step::Publish { shard, channel, count } => {
                (0..count).for_each(|_| self.publish(usize::from(shard), channel));
            }
            Step::Connect { client, shard, channel, after } => {
                self.connect(client, usize::from(shard), channel, after);
            }
            Step::Subscribe { client, channel, after } => self.subscribe(client, channel, after),
            Step::Unsubscribe { client, channel } => self.unsubscribe(client, channel),
            Step::Take { client } => self.take(client),
            Step::Drop { client } => self.drop_connection(client),
            Step::Round { shard } => drop(self.round(usize::from(shard))),
            Step::Delete { channel } => self.delete(channel),
            Step::Compare { count } => self.compare(count),
            Step::Write => self.ground.write(),
            Step::Fail => self.ground.fail(),
            Step::Mend => self.ground.mend(),
            Step::Restart => self.restart(),
        }
    }

    /// Hands a publication in on one shard, as the admin listener does.
    fn publish(&mut self, shard: usize, channel: usize) {
        self.published += 1;
        let (number, name) = (self.published, name(channel));
        let payload = Payload::from(record::document(number).as_str());
        let (sender, receiver) = oneshot::channel();
        let home = self.home(channel);
        let publish = move |there: &mut Shard| {
            there.submit_at_home(&name, payload.into(), retention(channel), sender);
        };
        self.shards[shard].0.with(|here| {
            if shard == home {
                publish(here);
            } else {
                here.cross(shard_id(home), Crossing::Call(Box::new(publish)));
            }
        });
        self.awaited.push((channel, number, receiver));
        self.hear_outcomes();
    }

    fn hear_outcomes(&mut self) {
        let Self { ledger, ground, .. } = self;
        // A store refuses what its disk does not take, and what goes to a channel that is being removed.
        let may_refuse =
            |why| ground.is_on_disk() && matches!(why, NotPublished::NotKept(_) | NotPublished::Leaving);
        self.awaited.retain_mut(|(channel, number, outcome)| match outcome.try_recv() {
            Ok(Ok(published)) => {
                ledger.note(CHANNELS[*channel], published.position, *number);
                false
            }
            Ok(Err(why)) => !assert_allowed(may_refuse(why)),
            Err(_) => true,
        });
        self.removals.retain_mut(|(channel, outcome)| match outcome.try_recv() {
            Ok(Ok(_)) => {
                ledger.end_life(CHANNELS[*channel]);
                false
            }
            Ok(Err(why)) => !assert_allowed(may_refuse(why)),
            Err(_) => true,
        });
    }

    fn connect(&mut self, client: usize, shard: usize, channel: usize, after: After) {
        if self.clients[client].at.is_some() {
            return;
        }
        let about = self.about(channel);
        let id = self.shards[shard]
            .0
            .with(|shard| shard.attach_body(Form::Envelope, about, Rc::new(tokio::sync::Notify::new())));
        self.clients[client].at = Some((shard, id));
        self.subscribe(client, channel, after);
    }

    fn about(&self, channel: usize) -> About {
        let path = format!("/{}", CHANNELS[channel]);
        let found = self.settings.settings.routes.find(&path).expect("a route for everything");
        About {
            channel: name(channel),
            route: Arc::clone(found.route),
            remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
            credentials: Credentials::default(),
            opened: 0,
            tls: None,
            http2: false,
            agreed: Agreed::default(),
            seat: None,
        }
    }

    fn subscribe(&mut self, client: usize, channel: usize, after: After) {
        let Client { at: Some((shard, id)), records, .. } = &mut self.clients[client] else { return };
        let record = &mut records[channel];
        if record.follows() {
            return;
        }
        let updates = UPDATES[client];
        let seen = record.seen(updates != Updates::Whole && channel == DOCUMENT);
        let after = match after {
            After::Seen => seen,
            After::Nothing => None,
            After::OtherEpoch => Some(Position { epoch: Epoch(0), offset: 3 }),
            After::Future => seen.map(|seen| Position { offset: seen.offset + 1_000, ..seen }),
        };
        let subscribed = self.shards[*shard].0.with(|shard| {
            shard.subscribe(*id, &name(channel), Resume { after, updates }, retention(channel), false)
        });
        // A session that is gone is found gone when it next takes.
        if subscribed.is_ok() {
            record.ask(after);
        }
    }

    fn unsubscribe(&mut self, client: usize, channel: usize) {
        self.take(client);
        let Client { at: Some((shard, id)), records, .. } = &mut self.clients[client] else { return };
        // While the home is asked a second subscription would be another one to the client, but not to the hub.
        if records[channel].follows() {
            self.shards[*shard].0.with(|shard| shard.unsubscribe(*id, &name(channel)));
            records[channel].end();
        }
    }

    fn take(&mut self, client: usize) {
        let Some((shard, id)) = self.clients[client].at else { return };
        loop {
            match self.shards[shard].0.tidy(|shard| shard.take_body(id, Waker::noop())) {
                BodyPart::Bytes(bytes) => {
                    self.clients[client].unread.extend_from_slice(&bytes);
                    self.read(client);
                }
                BodyPart::Pending => return,
                BodyPart::End => return self.drop_connection(client),
            }
        }
    }

    /// Takes whole frames off what came.
    fn read(&mut self, client: usize) {
        let Client { unread, records, .. } = &mut self.clients[client];
        while let Some((payload, length)) = frame(unread) {
            let envelope: Value = serde_json::from_slice(payload).expect("an envelope");
            let of_channel = envelope["channel"].as_str().unwrap_or_default();
            let channel = CHANNELS.iter().position(|name| *name == of_channel);
            match channel {
                Some(channel) => {
                    let may_skip = channel == LATEST;
                    // Where the newest comes first, an open that declares a gap is the place before it.
                    let begins_whole = channel == DOCUMENT && UPDATES[client] != Updates::Whole;
                    let kept = u64::from(KEPT) - u64::from(begins_whole);
                    records[channel].take(of_channel, &envelope, &self.ledger, kept, may_skip);
                }
                // The close of the whole connection.
                None => assert_eq!(envelope["type"], "close", "{envelope}"),
            }
            unread.drain(..length);
        }
    }

    fn drop_connection(&mut self, client: usize) {
        let Some((shard, id)) = self.clients[client].at.take() else { return };
        self.shards[shard].0.with(|shard| shard.body_dropped(id));
        self.clients[client].unread.clear();
        self.clients[client].records.iter_mut().for_each(Record::end);
    }

    fn round(&mut self, index: usize) -> bool {
        let (shard, mailbox) = &mut self.shards[index];
        let more = shard.round(mailbox, Instant::now()).expect("a round");
        let unsent = shard.look(Shard::has_unsent);
        let handed_out = shard.tidy(Shard::take_comparisons);
        self.comparisons.extend(handed_out.into_iter().map(|comparison| (index, comparison)));
        self.hear_outcomes();
        more || unsent
    }

    fn compare(&mut self, count: usize) {
        for (shard, comparison) in self.comparisons.drain(..count.min(self.comparisons.len())) {
            self.shards[shard].0.with(|shard| shard.end_comparison(comparison.make()));
        }
        self.hear_outcomes();
    }

    fn delete(&mut self, channel: usize) {
        let over = Notice::Over { known: known::DROPPED, reason: "the channel was deleted".into() };
        let home = self.home(channel);
        let (sender, receiver) = oneshot::channel();
        self.shards[home].0.with(|home| home.remove_at_home(&name(channel), over, sender));
        self.removals.push((channel, receiver));
        self.hear_outcomes();
    }

    /// The process ends, and another one begins on what its store has; without one there is nothing to begin on.
    fn restart(&mut self) {
        if !self.ground.is_on_disk() {
            return;
        }
        self.shards.clear();
        self.comparisons.clear();
        self.ground.end();
        for client in &mut self.clients {
            client.at = None;
            client.unread.clear();
            client.records.iter_mut().for_each(Record::end);
        }
        (self.shards, self.settings) = self.ground.start();
        let mut unknown: Vec<Unknown> = CHANNELS.map(|_| Unknown::default()).into();
        for (channel, number, _) in self.awaited.drain(..) {
            unknown[channel].published.insert(number);
        }
        for (channel, _) in self.removals.drain(..) {
            unknown[channel].removed = true;
        }
        for (channel, unknown) in unknown.into_iter().enumerate() {
            let found = self.found(channel);
            for client in &self.clients {
                client.records[channel].check_start(found.as_ref());
            }
            self.ledger.check_start(CHANNELS[channel], u64::from(KEPT), found, unknown);
        }
    }

    /// What a process has of a channel before anything has happened to it.
    fn found(&self, channel: usize) -> Option<Found> {
        let number = |one: &Publication| {
            let document: Value = serde_json::from_slice(one.item.payload.bytes()).expect("a document");
            (one.offset, document["n"].as_u64().expect("a number"))
        };
        self.shards[self.home(channel)].0.look(|home| {
            let log = home.engine.log(&name(channel))?;
            Some(Found { position: log.position(), kept: log.tail(usize::MAX).map(number).collect() })
        })
    }

    /// Turns everything until nothing moves any more, with all clients taking what comes.
    fn settle(&mut self) {
        // Whatever crosses does so within as many rounds as it has steps to make, and each step is a round away.
        for _ in 0..128 {
            for shard in 0..self.shards.len() {
                while self.round(shard) {}
            }
            self.compare(usize::MAX);
            self.ground.mend();
            self.ground.write();
            (0..CLIENTS).for_each(|client| self.take(client));
        }
        assert_eq!(self.awaited.len(), 0, "a publication was neither acknowledged nor refused");
        assert_eq!(self.removals.len(), 0, "a deletion was neither acknowledged nor refused");
    }

    /// Who follows a channel stands at its newest position and knows who else does.
    fn check_ends(&self) {
        for channel in TELLING {
            self.check_presence(channel);
        }
        for client in &self.clients {
            for (channel, record) in client.records.iter().enumerate().filter(|(_, one)| one.follows()) {
                let home = &self.shards[self.home(channel)].0;
                let newest =
                    home.look(|home| home.engine.log(&name(channel)).map(tidegate_hub::Log::position));
                assert_eq!(record.position, newest, "{} is not at its end", CHANNELS[channel]);
            }
        }
    }

    fn check_presence(&self, channel: usize) {
        let following = || self.clients.iter().filter(|client| client.records[channel].follows());
        let name_of = |(shard, id): (usize, SessionId)| self.shards[shard].0.look(|shard| shard.name_of(id));
        let here: BTreeSet<String> = following().filter_map(|client| client.at).map(name_of).collect();
        for client in following() {
            assert_eq!(client.records[channel].here, here, "who is here, as one of them knows it");
        }
        let home = &self.shards[self.home(channel)].0;
        let count = home.look(|home| home.present(&name(channel))).map_or(0, |present| present.count);
        assert_eq!(count, here.len(), "who is at {}, as its home knows it", CHANNELS[channel]);
    }

    fn home(&self, channel: usize) -> usize {
        let home = self.shards[0].0.process.home_of(&name(channel));
        usize::from(home.0)
    }
}

/// The channel whose publications may come as changes.
const DOCUMENT: usize = 2;

/// What each client asks for.
const UPDATES: [Updates; CLIENTS] =
    [Updates::Whole, Updates::JsonPatch, Updates::MergePatch, Updates::JsonPatch];

fn retention(channel: usize) -> Retention {
    let increments = if channel == DOCUMENT { Increments::ALL } else { Increments::NONE };
    let ttl = std::time::Duration::from_secs(3600);
    Retention { size: KEPT, ttl, document: false, increments }
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u16::try_from(index).expect("few shards"))
}

fn name(channel: usize) -> ChannelName {
    ChannelName::from_text(CHANNELS[channel]).expect("a name")
}

/// The payload of the first frame and the frame's length, if it is there whole. A server's frames have no mask.
pub(super) fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (begin, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        short @ 0..126 => (2, usize::from(short)),
        _ => panic!("no frame of a test is that long"),
    };
    Some((bytes.get(begin..begin + length)?, begin + length))
}

/// Checks a history, and where it stands on a disk also what comes after its end.
fn check(ground: Ground, steps: &[Step]) {
    let mut world = World::new(ground);
    steps.iter().for_each(|step| world.take_step(step));
    world.settle();
    world.check_ends();
    if world.ground.is_on_disk() {
        world.restart();
        for channel in 0..CHANNELS.len() {
            (0..CLIENTS).for_each(|client| world.connect(client, 0, channel, After::Seen));
            (0..CLIENTS).for_each(|client| world.subscribe(client, channel, After::Seen));
        }
        world.settle();
        world.check_ends();
    }
}

fn assert_allowed(is_allowed: bool) -> bool {
    assert!(is_allowed, "a publication or a deletion was refused");
    true
}

pub(super) fn trust() -> Trust {
    thread_local! {
        static TRUST: Trust = Trust::load(&Roots::System).expect("certificates");
    }
    TRUST.with(Trust::clone)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, ..ProptestConfig::default() })]

    #[test]
    fn no_record_has_a_hole_or_a_repetition(steps in proptest::collection::vec(step(), 1..60)) {
        check(Ground::in_memory(&trust()), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES_ON_DISK, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_with_its_process(steps in proptest::collection::vec(step_on_disk(), 1..80)) {
        check(Ground::on_disk(&trust()), &steps);
    }
}

/// A client that asks for changes follows the document, six publications of which are kept but not heard of yet:
/// two could be compared on the shard, the others wait.
#[cfg(feature = "durable")]
fn waiting_to_be_compared() -> World {
    let mut world = World::new(Ground::on_disk(&trust()));
    let home = u16::try_from(world.home(DOCUMENT)).expect("few shards");
    let steps = [
        Step::Publish { shard: home, channel: DOCUMENT, count: 1 },
        Step::Write,
        Step::Round { shard: home },
        Step::Connect { client: 1, shard: home, channel: DOCUMENT, after: After::Seen },
        Step::Round { shard: home },
        Step::Publish { shard: home, channel: DOCUMENT, count: 6 },
        Step::Write,
        Step::Round { shard: home },
        Step::Take { client: 1 },
    ];
    steps.iter().for_each(|step| world.take_step(step));
    let record = &world.clients[1].records[DOCUMENT];
    assert_eq!((record.whole, record.changes, world.awaited.len()), (1, 2, 4));
    world
}

#[cfg(feature = "durable")]
#[test]
fn what_is_kept_on_disk_comes_as_changes() {
    let mut world = waiting_to_be_compared();
    let has_under_way = |world: &World| world.shards[world.home(DOCUMENT)].0.look(Shard::has_under_way);
    assert!(has_under_way(&world), "four wait to be compared");
    world.settle();
    assert!(!has_under_way(&world));
    world.publish(world.home(DOCUMENT), DOCUMENT);
    assert!(has_under_way(&world), "one is on its way to the disk");
    world.settle();
    world.check_ends();
    let record = &world.clients[1].records[DOCUMENT];
    assert_eq!((record.whole, record.changes), (1, 7));
}

#[cfg(feature = "durable")]
#[test]
fn what_is_kept_and_waits_to_be_compared_goes_whole_before_its_channel_does() {
    let mut world = waiting_to_be_compared();
    let shard = u16::try_from(world.home(DOCUMENT)).expect("few shards");
    let steps = [Step::Delete { channel: DOCUMENT }, Step::Write, Step::Round { shard }];
    steps.iter().for_each(|step| world.take_step(step));
    assert_eq!((world.awaited.len(), world.removals.len()), (0, 0));
    world.settle();
    let record = &world.clients[1].records[DOCUMENT];
    assert_eq!((record.whole, record.changes), (5, 2));
    assert_eq!(record.position.map(|position| position.offset), Some(7));
    assert!(!record.follows(), "then it was told that the channel is over");
}
