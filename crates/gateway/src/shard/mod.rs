//! One shard: its sessions and their sockets, the channels that are at home here, and the round.
//!
//! ```text
//!  sockets ── read ──▶ inbox (what clients said)        mailbox ── receive ──▶ home, hub
//!                                                          │
//!  sockets ◀── flush ── send queues ◀── fan-out ◀──────────┘        outboxes ──▶ other shards' mailboxes
//! ```
//!
//! A shard is one thread's; nothing in it is locked or sent. What clients said is left in the inbox for
//! the layer above; tasks of that layer borrow the shard for moments through a [`ShardRef`].

pub(crate) mod wheel;
mod expiries;
pub(crate) mod crossing;
pub(crate) mod ending;
pub(crate) mod tally;
mod recent;
pub(crate) mod ring;
mod tapped;
pub(crate) mod taps;
pub(crate) mod connection;
pub(crate) mod listening;
pub(crate) mod row;
mod endings;
pub(crate) mod handshakes;
mod packer;
mod answers;
pub(crate) mod encoder;
mod compare;
mod presence;
mod home;
mod following;
mod keeping;
mod records;
mod inbox;
mod watching;
mod read;
mod flush;
mod stream;
mod close;
mod long_poll;
mod timers;
mod handle;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod replays;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Instant, SystemTime};

use tidegate_hub::{
    ChannelName, Engine, EngineLimits, Form, Hub, Left, Outgoing, Presence, QueueLimits, Repeats, Retention,
    SessionId, ShardId, Told,
};
use tidegate_source::Upstream;
use tokio::sync::{Notify, mpsc};

use self::compare::Comparisons;
use self::connection::{About, Bucket, Connection, Transport};
use self::crossing::{Crossing, Follow, MAILBOX_BATCHES, Resume};
use self::encoder::Encoder;
use self::endings::Endings;
use self::expiries::Expiries;
use self::handshakes::Handshakes;
use self::inbox::Inbox;
use self::listening::Listening;
use self::packer::Packed;
use self::taps::Taps;
use self::wheel::Wheel;
use crate::compression::effort;
use crate::metrics::Counters;
use crate::process::{Generation, Process};
use crate::sources::Sources;

pub(crate) use self::close::Closing;
pub(crate) use self::ending::{Cause, Gone};
pub(crate) use self::flush::BodyPart;
pub(crate) use self::home::{NotPublished, Published, Submission};
pub(crate) use self::inbox::Said;
pub(crate) use self::keeping::Keeping;
pub(crate) use self::long_poll::{Answered, PollPart};
pub(crate) use self::stream::StreamPart;
pub(crate) use self::watching::Begun;

/// A round's crossings for one shard, in order.
pub(crate) type Batch = Vec<Crossing<Shard>>;

/// The ends of all mailboxes that senders hold, by shard.
pub(crate) type Mailboxes = Arc<[mpsc::Sender<Batch>]>;

/// Bytes read at once; the whole shard has this one buffer.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Sockets flushed before the poller is asked again.
const FLUSH_PORTION: usize = 512;

/// Publications that may wait to be fanned out before the mailbox is left alone.
const MAILBOX_PAUSES_AT: usize = 16_384;

/// Events taken from the poller at once.
const POLL_EVENTS: usize = 1024;

/// See the module's head.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) process: Arc<Process>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) hub: Hub<Connection>,
    pub(crate) engine: Engine,
    pub(crate) sources: Sources,
    pub(crate) upstream: Upstream,
    pub(crate) counters: Counters,
    pub(crate) encoder: Encoder,
    comparisons: Comparisons,
    /// What clients said in this round, for the layer above.
    inbox: Inbox,
    /// What publishers may still send to the admin listener, which is on one shard.
    publishes: Bucket,
    /// The way to the disk, if channels are kept there.
    keeping: Option<Keeping>,
    /// What publishers have said under a key, to channels at home here.
    repeats: Repeats,
    /// Who is here, on channels at home here that tell.
    presences: HashMap<ChannelName, Presence>,
    /// Sources at home here that fail just now.
    troubles: HashMap<ChannelName, Arc<str>>,
    /// Sources that wait until there is room again.
    paused_sources: Vec<Waker>,
    mailboxes: Mailboxes,
    outboxes: Vec<Batch>,
    /// What is left of a batch: its first crossing is said when the channel that it is about has been fanned out, which
    /// is too much for one round. No other batch is taken before.
    rest: Option<std::vec::IntoIter<Crossing<Shard>>>,
    poll: mio::Poll,
    events: mio::Events,
    scratch: Box<[u8]>,
    replies: Vec<u8>,
    /// Sessions whose clients have gone: they are forgotten in the next round.
    leaving: Vec<(SessionId, Gone)>,
    /// The same for streams, whose tasks run between two rounds: these are forgotten in the round after it.
    departed: Vec<(SessionId, Gone)>,
    /// Sessions that had more to say than their share of a round, each once.
    unread: VecDeque<SessionId>,
    wheel: Wheel,
    expiries: Expiries,
    /// How connections ended lately.
    pub(crate) endings: Endings,
    pub(crate) handshakes: Handshakes,
    /// Round trips are measured from here.
    started: Instant,
    /// Who watches, and what for.
    pub(crate) taps: Taps,
    pub(crate) listening: Listening,
    me: Weak<RefCell<Shard>>,
    wake: Rc<Notify>,
}

/// A handle to a shard on its own thread. Borrow it for a moment, never across an await.
#[derive(Clone)]
pub(crate) struct ShardRef {
    shard: Rc<RefCell<Shard>>,
    wake: Rc<Notify>,
    pub(crate) process: Arc<Process>,
}

/// The receiving and the sending ends of the mailboxes of `shards` shards.
pub(crate) fn mailboxes(shards: u16) -> (Mailboxes, Vec<mpsc::Receiver<Batch>>) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::channel(MAILBOX_BATCHES)).unzip();
    (senders.into(), receivers)
}

impl Shard {
    /// A shard without any session. `process` tells how many shards there are.
    pub(crate) fn start(
        id: ShardId,
        process: Arc<Process>,
        mailboxes: Mailboxes,
        upstream: Upstream,
        keeping: Option<Keeping>,
    ) -> io::Result<ShardRef> {
        let generation = process.generation();
        let limits = &generation.settings.limits;
        let shards = process.shards;
        let part = |total: usize| (total / usize::from(shards)).max(1);
        let engine = Engine::new(
            shards,
            EngineLimits {
                max_channels: part(limits.channels_max_total as usize),
                max_history_bytes: part(limits.history_max_total),
                max_recovery_bytes: limits.ws_out_queue_bytes / 2,
                linger: limits.channels_linger,
            },
        );
        let encoder = Encoder::new(effort(limits));
        let hub = Hub::new(queue_limits(&generation), limits.channels_max_per_conn as usize);
        let poll = mio::Poll::new()?;
        let wake = Rc::new(Notify::new());
        let shard = Rc::new_cyclic(|me| {
            RefCell::new(Self {
                id,
                process: Arc::clone(&process),
                generation,
                hub,
                engine,
                sources: Sources::default(),
                upstream,
                counters: Counters::default(),
                encoder,
                comparisons: Comparisons::default(),
                inbox: Inbox::default(),
                publishes: Bucket::default(),
                keeping,
                repeats: Repeats::default(),
                presences: HashMap::new(),
                troubles: HashMap::new(),
                paused_sources: Vec::new(),
                mailboxes,
                outboxes: (0..shards).map(|_| Vec::new()).collect(),
                rest: None,
                poll,
                events: mio::Events::with_capacity(POLL_EVENTS),
                scratch: vec![0; SCRATCH_BYTES].into(),
                replies: Vec::new(),
                leaving: Vec::new(),
                departed: Vec::new(),
                unread: VecDeque::new(),
                wheel: Wheel::new(Instant::now()),
                expiries: Expiries::new(Instant::now(), SystemTime::now()),
                endings: Endings::default(),
                handshakes: Handshakes::default(),
                started: Instant::now(),
                taps: Taps::default(),
                listening: Listening::default(),
                me: Weak::clone(me),
                wake: Rc::clone(&wake),
            })
        });
        Ok(ShardRef { shard, wake, process })
    }

    /// A descriptor that is readable when a socket of this shard is ready.
    pub(crate) fn poller(&self) -> io::Result<OwnedFd> {
        self.poll.registry().as_fd().try_clone_to_owned()
    }

    /// One round: read what is ready, take what came from other shards, fan out, hand over, flush. True if
    /// there is more to do at once.
    pub(crate) fn round(&mut self, mailbox: &mut mpsc::Receiver<Batch>, now: Instant) -> io::Result<bool> {
        self.turn_wheel(now);
        self.encoder.packer.begin_round();
        self.comparisons.begin_round();
        // What they said last has been taken from the inbox since.
        for (id, gone) in std::mem::take(&mut self.leaving) {
            self.forget(id, gone);
        }
        self.leaving.append(&mut self.departed);
        let more_events = self.read_ready()?;
        if let Some(rest) = self.rest.take() {
            self.receive_rest(rest);
        }
        for _ in 0..MAILBOX_BATCHES {
            // What waits in the mailbox holds back those who send.
            if self.hub.backlog() >= MAILBOX_PAUSES_AT || self.rest.is_some() {
                break;
            }
            let Ok(batch) = mailbox.try_recv() else { break };
            self.receive(batch);
        }
        self.hand_over();
        // Who takes what comes has taken one portion before it gets the next, however many take it.
        if self.hub.is_flushed() {
            self.hub.fan_out(&mut self.encoder);
        }
        self.close_slow_consumers();
        for _ in 0..FLUSH_PORTION {
            let Some(id) = self.hub.poll_dirty() else { break };
            self.flush(id);
        }
        self.wake_sources();
        Ok(more_events
            || !self.leaving.is_empty()
            || self.hub.backlog() > 0
            || self.rest.is_some()
            || self.hub.has_dirty()
            || !self.unread.is_empty())
    }

    /// Takes a batch that came from another shard. None must be left of the one before it.
    pub(crate) fn receive(&mut self, batch: Batch) {
        debug_assert!(self.rest.is_none(), "batches are taken in order");
        self.receive_rest(batch.into_iter());
    }

    /// Takes crossings one by one, up to one that has to wait for the next round.
    fn receive_rest(&mut self, mut rest: std::vec::IntoIter<Crossing<Self>>) {
        while let Some(next) = rest.as_slice().first() {
            let is_settled = match next {
                // What begins has room of its own.
                Crossing::Followed(followed) => {
                    self.hub.settle(&followed.channel, Told::default(), &mut self.encoder)
                }
                Crossing::Notice { channel, notice } => {
                    self.hub.settle(channel, notice.told(), &mut self.encoder)
                }
                _ => true,
            };
            if !is_settled {
                self.rest = Some(rest);
                return;
            }
            if let Some(crossing) = rest.next() {
                self.receive_one(crossing);
            }
        }
    }

    fn receive_one(&mut self, crossing: Crossing<Self>) {
        match crossing {
            Crossing::Follow(follow) => self.follow_at_home(follow),
            Crossing::GoOn { session, shard, behind, member } => {
                self.go_on_at_home(session, shard, behind, member);
            }
            Crossing::Followed(followed) => self.begin_subscription(followed),
            Crossing::Leave { left, session, shard } => {
                self.engine.leave(&left, shard);
                self.leave_at_home(&left, shard, session);
            }
            Crossing::Publication { channel, epoch, publication } => {
                self.hub.publish(&channel, epoch, publication);
            }
            Crossing::Notice { channel, notice } => self.pass_notice(&channel, &notice),
            Crossing::Call(call) => call(self),
        }
    }

    /// Gives each other shard what this one has for it, as one batch; what is for this shard itself is
    /// taken at once. A full mailbox keeps its batch here, in order, for the next round.
    fn hand_over(&mut self) {
        let own = usize::from(self.id.0);
        while self.rest.is_none() {
            let batch = std::mem::take(&mut self.outboxes[own]);
            if batch.is_empty() {
                break;
            }
            self.receive(batch);
        }
        for (target, sender) in self.mailboxes.iter().enumerate() {
            if self.outboxes[target].is_empty() {
                continue;
            }
            let batch = std::mem::take(&mut self.outboxes[target]);
            match sender.try_send(batch) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(batch)) => self.outboxes[target] = batch,
                // The other shard has ended: the process is about to.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
    }

    /// True while a batch waits for another shard's full mailbox.
    pub(crate) fn has_unsent(&self) -> bool {
        self.outboxes.iter().any(|outbox| !outbox.is_empty())
    }

    pub(crate) fn cross(&mut self, to: ShardId, crossing: Crossing<Self>) {
        if let Some(outbox) = self.outboxes.get_mut(usize::from(to.0)) {
            outbox.push(crossing);
        }
    }

    /// When the shard wants to be woken if nothing happens.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        [self.wheel.next_due(), self.expiries.next_due()].into_iter().flatten().min()
    }

    /// Another configuration is in force, for what begins from now on.
    pub(crate) fn set_generation(&mut self, generation: Arc<Generation>) {
        self.hub
            .set_limits(queue_limits(&generation), generation.settings.limits.channels_max_per_conn as usize);
        self.encoder.packer.set_effort(effort(&generation.settings.limits));
        self.watch_up_to(generation.settings.inspect.watch);
        self.generation = generation;
    }

    /// Takes a WebSocket whose handshake is done, with the TLS under it if there is any; `early` is what the
    /// client sent behind its request.
    pub(crate) fn adopt(
        &mut self,
        stream: std::net::TcpStream,
        tls: Option<Box<rustls::ServerConnection>>,
        websocket: tidegate_websocket::Connection,
        form: Form,
        about: About,
        early: &mut [u8],
    ) -> io::Result<SessionId> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let vacant = mio::Token(self.hub.next_index());
        let interests = mio::Interest::READABLE | mio::Interest::WRITABLE;
        self.poll.registry().register(&mut stream, vacant, interests)?;
        let under_tls = tls.is_some();
        let transport = match tls {
            Some(mut tls) => {
                tls.set_buffer_limit(Some(records::SEALED_MAX));
                Transport::Tls { stream, tls, websocket }
            }
            None => Transport::Socket { stream, websocket },
        };
        let id = self.attach(form, transport, about);
        debug_assert_eq!(vacant.0, id.index() as usize, "the poller's token is the session's place");
        if !early.is_empty() {
            self.hear(id, early);
        }
        if under_tls {
            // TLS may have opened records, or made some, for which the poller has no event.
            self.read_later(id);
            self.hub.mark_dirty(id);
        }
        Ok(id)
    }

    /// A session whose bytes an HTTP body takes.
    pub(crate) fn attach_body(&mut self, form: Form, about: About, cut: Rc<Notify>) -> SessionId {
        self.attach(form, Transport::Body { waker: None, cut }, about)
    }

    /// A WebSocket whose bytes a task brings and takes.
    pub(crate) fn attach_stream(
        &mut self,
        form: Form,
        websocket: tidegate_websocket::Connection,
        about: About,
    ) -> SessionId {
        self.attach(form, Transport::Stream { waker: None, websocket: Box::new(websocket) }, about)
    }

    fn attach(&mut self, form: Form, transport: Transport, mut about: About) -> SessionId {
        if let Some(shared) = self.hub.known_name(&about.channel) {
            about.channel = shared.clone();
        }
        let packing = about.agreed.packing(form);
        self.counters.deflate_contexts += u64::from(about.agreed.holds_contexts());
        let id = self.hub.attach(form, packing, Connection::new(transport, about));
        self.counters.opened(form);
        self.begin_timers(id);
        if self.taps.is_watching() {
            self.tap_opening(id);
        }
        id
    }

    /// Asks the home of `channel` to let `id` follow it.
    pub(crate) fn subscribe(
        &mut self,
        id: SessionId,
        channel: &ChannelName,
        resume: Resume,
        retention: Retention,
        sourced: bool,
    ) -> Result<(), tidegate_hub::SubscribeError> {
        let ticket = self.hub.await_home(id, channel, resume.updates)?;
        if let Some(found) = self.generation.settings.routes.find_name(channel.path_part()) {
            self.hub.set_slow(channel, found.route.slow);
        }
        let home = self.process.home_of(channel);
        let form = self.hub.session(id).map(tidegate_hub::Session::form);
        let follow = Follow {
            session: id,
            ticket,
            shard: self.id,
            channel: channel.clone(),
            resume,
            answered_once: form == Some(Form::LongPoll),
            retention,
            sourced,
            member: self.member_of(id, channel),
        };
        self.cross(home, Crossing::Follow(follow));
        Ok(())
    }

    /// The queue of `id` has run empty: asks for what it got nothing of meanwhile.
    pub(crate) fn catch_up(&mut self, id: SessionId) {
        for behind in self.hub.catch_up(id) {
            let home = self.process.home_of(&behind.left.channel);
            let member = self.member_of(id, &behind.left.channel);
            self.cross(home, Crossing::GoOn { session: id, shard: self.id, behind, member });
            // Nothing else may be due, and only a round hands it over.
            self.wake.notify_one();
        }
    }

    /// Ends one subscription of `id`.
    pub(crate) fn unsubscribe(&mut self, id: SessionId, channel: &ChannelName) {
        if let Some(left) = self.hub.unsubscribe(id, channel) {
            self.leave(id, left);
        }
    }

    fn leave(&mut self, session: SessionId, left: Left) {
        let home = self.process.home_of(&left.channel);
        self.cross(home, Crossing::Leave { left, session, shard: self.id });
    }

    /// Takes one from the publishers' allowance.
    pub(crate) fn may_publish(&mut self) -> bool {
        let limits = &self.generation.settings.limits;
        self.publishes.take(limits.publish_rate, limits.publish_burst, self.wheel.now())
    }

    /// A copy of what was counted, with what is held now.
    pub(crate) fn count(&mut self) -> Counters {
        let mut counters = self.counters.clone();
        counters.enqueued_messages = self.hub.enqueued_messages();
        counters.slow_consumers_latest = self.hub.passed_over();
        counters.evicted = self.engine.evicted();
        counters.encoded = self.encoder.encoded();
        let Packed { messages, before, after } = self.encoder.packer.counted();
        (counters.deflated_messages, counters.deflated_bytes, counters.deflated_to_bytes) =
            (messages, before, after);
        counters.channels = self.engine.len() as u64;
        counters.history_bytes = self.engine.kept_bytes() as u64;
        counters.sources = self.sources.len() as u64;
        if let Some(keeping) = self.keeping.as_ref().filter(|_| self.id == ShardId(0)) {
            // The store is one for all shards.
            counters.count_store(&keeping.store().figures);
        }
        counters
    }

    /// Queues bytes in wire form for one session.
    pub(crate) fn send(&mut self, id: SessionId, bytes: bytes::Bytes, messages: u32) {
        self.hub.send(id, Outgoing { bytes, messages });
    }

    /// A handle for tasks on this shard's thread; `None` while the thread ends.
    pub(crate) fn reference(&self) -> Option<ShardRef> {
        let shard = self.me.upgrade()?;
        Some(ShardRef { shard, wake: Rc::clone(&self.wake), process: Arc::clone(&self.process) })
    }
}

fn queue_limits(generation: &Generation) -> QueueLimits {
    let limits = &generation.settings.limits;
    QueueLimits { max_bytes: limits.ws_out_queue_bytes, max_messages: limits.ws_out_queue_msgs }
}
