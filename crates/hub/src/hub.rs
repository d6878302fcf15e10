//! The hub of one shard: its sessions, which channels they follow here, and fan-out into send queues.
//!
//! Publications come from the channels' homes, in order; commands come from the sessions' protocols. What
//! goes out: bytes in send queues, the list of dirty sessions to flush, and the names of channels whose homes
//! must learn that a session left. Encoding is the caller's, asked once for each form, kind of updates and round.

mod subscribing;
mod passed_over;
mod portion;

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use slab::Slab;
use smallvec::SmallVec;

use self::portion::Portion;
use crate::audience::{Audiences, Taste};
use crate::encode::{Encode, Form, Packing};
use crate::name::ChannelName;
use crate::position::Epoch;
use crate::publication::Publication;
use crate::queue::{Full, Outgoing, QueueLimits, SendQueue};
use crate::session_id::SessionId;
use crate::subscription::{Left, PassedOver, Slow, Subscription};

/// Publications that are fanned out in one round, of all channels together because one session may follow them all,
/// and about how many of their bytes: the rest waits for the next, so that what was queued is sent before more is.
/// Less where queues are small: see [`Bounds`].
const PORTION_PUBLICATIONS: usize = 1024;
const PORTION_BYTES: usize = 256 * 1024;

/// How much is fanned out before queues are flushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bounds {
    publications: usize,
    bytes: usize,
}

/// What is to be told after what is settled: see [`Hub::settle`]. Nothing by default, and so is what has room of its
/// own in queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Messages for each session that hears it.
    pub messages: usize,
    /// Their bytes, about.
    pub bytes: usize,
}

/// Entries of the dirty list that may have been taken before it is moved together.
const DIRTY_TAKEN_MAX: usize = 4096;

/// A session that must be closed because its queue was full (slow consumer).
pub type Overflow = SessionId;

/// One session. `attachment` is the caller's: its connection.
#[derive(Debug)]
pub struct Session<T> {
    /// What is to be sent.
    pub queue: SendQueue,
    /// What the caller keeps with the session.
    pub attachment: T,
    generation: u32,
    form: Form,
    packing: Packing,
    dirty: bool,
    /// Nothing is queued any more by fan-out: a last word is on its way.
    ending: bool,
    /// A subscription of it was passed over.
    behind: bool,
    /// Most sessions follow one channel.
    subscriptions: SmallVec<[Subscription; 1]>,
}

/// The sessions to flush, oldest first: `sessions[..next]` have been. A session is in the rest at most once.
/// `sessions[..fanned_out]` became dirty before the last fan-out, or with it.
#[derive(Debug, Default)]
struct Dirty {
    sessions: Vec<SessionId>,
    next: usize,
    fanned_out: usize,
}

#[derive(Debug)]
struct Channel {
    name: ChannelName,
    live: Audiences,
    /// Subscriptions that the home has not answered yet.
    awaiting: u32,
    /// What becomes of those whose queues are full.
    slow: Slow,
    /// Subscriptions that get nothing until their queues have run empty.
    passed_over: Vec<PassedOver>,
    /// Came from the home, not yet fanned out.
    fresh: Vec<Publication>,
    /// It stands in the hub's list of channels with something fresh.
    listed: bool,
    epoch: Epoch,
}

/// See the module's head. Nothing here blocks, and no call is slower than the subscriptions it touches.
#[derive(Debug)]
pub struct Hub<T> {
    sessions: Slab<Session<T>>,
    generations: u32,
    tickets: u32,
    channels: Slab<Channel>,
    by_name: HashMap<ChannelName, u32, foldhash::fast::RandomState>,
    /// Those that have something fresh, in the order in which it is their turn.
    fresh_channels: VecDeque<u32>,
    /// Fresh publications of all channels.
    backlog: usize,
    /// What has been settled since the last [`Hub::fan_out`], of all channels.
    settled: Bounds,
    dirty: Dirty,
    overflows: Vec<Overflow>,
    queue_limits: QueueLimits,
    max_channels_per_session: usize,
    enqueued_messages: u64,
    passed_over: u64,
}

impl<T> Hub<T> {
    /// An empty hub.
    #[must_use]
    pub fn new(queue_limits: QueueLimits, max_channels_per_session: usize) -> Self {
        Self {
            sessions: Slab::new(),
            generations: 0,
            tickets: 0,
            channels: Slab::new(),
            by_name: HashMap::default(),
            fresh_channels: VecDeque::new(),
            backlog: 0,
            settled: Bounds::default(),
            dirty: Dirty::default(),
            overflows: Vec::new(),
            queue_limits,
            max_channels_per_session,
            enqueued_messages: 0,
            passed_over: 0,
        }
    }

    /// New bounds, for what is queued and subscribed from now on.
    pub fn set_limits(&mut self, queue_limits: QueueLimits, max_channels_per_session: usize) {
        self.queue_limits = queue_limits;
        self.max_channels_per_session = max_channels_per_session;
    }

    /// A new session. Call [`Hub::detach`] when it ends.
    pub fn attach(&mut self, form: Form, packing: Packing, attachment: T) -> SessionId {
        self.generations = self.generations.wrapping_add(1);
        let generation = self.generations;
        let index = self.sessions.insert(Session {
            queue: SendQueue::default(),
            attachment,
            generation,
            form,
            packing,
            dirty: false,
            ending: false,
            behind: false,
            subscriptions: SmallVec::new(),
        });
        // A slab of 2^32 sessions does not fit a process.
        SessionId { index: u32::try_from(index).unwrap_or(u32::MAX), generation }
    }

    /// The session, while it is there.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&Session<T>> {
        self.sessions.get(id.index as usize).filter(|session| session.generation == id.generation)
    }

    /// The session, while it is there.
    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session<T>> {
        self.sessions.get_mut(id.index as usize).filter(|session| session.generation == id.generation)
    }

    /// The place that the next session will get.
    #[must_use]
    pub fn next_index(&self) -> usize {
        self.sessions.vacant_key()
    }

    /// The session at a place.
    #[must_use]
    pub fn id_at(&self, index: usize) -> Option<SessionId> {
        self.sessions.get(index).map(|session| id_of(index, session))
    }

    /// All sessions.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session<T>)> {
        self.sessions.iter().map(|(index, session)| (id_of(index, session), session))
    }

    /// The sessions behind a place, in the order of their places; all without one. Lists that are made in portions
    /// go on by it.
    pub fn sessions_behind(&self, place: Option<u32>) -> impl Iterator<Item = SessionId> {
        let first = place.map_or(0, |place| place as usize + 1);
        (first..self.sessions.capacity()).filter_map(|index| self.id_at(index))
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True without any session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Messages put into send queues since the start, by fan-out or one by one. Each is taken from its queue,
    /// dropped by [`Hub::send_last`], or still there when its session is detached.
    #[must_use]
    pub fn enqueued_messages(&self) -> u64 {
        self.enqueued_messages
    }

    /// Ends a session. Gives back what was attached and what the homes of its channels must be told
    /// (subscriptions that still await their home are told when the answer comes).
    pub fn detach(&mut self, id: SessionId) -> Option<(T, Vec<Left>)> {
        self.session(id)?;
        let session = self.sessions.remove(id.index as usize);
        let mut left = Vec::new();
        for subscription in session.subscriptions {
            left.extend(self.unlink(id.index, subscription, session.form, session.packing));
        }
        Some((session.attachment, left))
    }

    /// Publications of `name` have come from its home, in order. They are fanned out with
    /// [`Hub::fan_out`], together with what else the round brings.
    pub fn publish(&mut self, name: &ChannelName, epoch: Epoch, publication: Publication) {
        let Some(&index) = self.by_name.get(name) else { return };
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        if !channel.listed {
            channel.listed = true;
            self.fresh_channels.push_back(index);
        }
        self.backlog += 1;
        channel.epoch = epoch;
        channel.fresh.push(publication);
    }

    /// Publications that wait to be fanned out.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// Puts a portion of what came into the send queues, encoded once for each form in use. To be called
    /// again, after what became dirty was flushed, while there is a [`Hub::backlog`].
    pub fn fan_out(&mut self, encoder: &mut dyn Encode<T>) {
        self.settled = Bounds::default();
        let mut left = Bounds::within(self.queue_limits);
        // A channel of which something is left has its next turn behind the others.
        for _ in 0..self.fresh_channels.len() {
            if left.is_used_up() {
                break;
            }
            let Some(index) = self.fresh_channels.pop_front() else { break };
            let Some(channel) = self.channels.get(index as usize) else { continue };
            let count = portion(&channel.fresh, &mut left);
            self.fan_out_channel(index, count, encoder);
            let Some(channel) = self.channels.get_mut(index as usize) else { continue };
            channel.listed = !channel.fresh.is_empty();
            if channel.listed {
                self.fresh_channels.push_back(index);
            }
        }
        self.dirty.fanned_out = self.dirty.sessions.len();
    }

    /// True when what the last [`Hub::fan_out`] has queued was given to be flushed.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.dirty.next >= self.dirty.fanned_out
    }

    /// Fans out all that came of one channel, so that something else can be told after it. False if that, with what
    /// is `told`, is more than may be queued before a flush, with what was settled already: then nothing is done, and
    /// what is to be told waits until [`Hub::fan_out`] has been called and what became dirty was flushed. Whoever takes
    /// what comes would count as slow otherwise, because others come and go.
    pub fn settle(&mut self, name: &ChannelName, told: Told, encoder: &mut dyn Encode<T>) -> bool {
        let Some(&index) = self.by_name.get(name) else { return true };
        let Some(channel) = self.channels.get(index as usize) else { return true };
        if channel.fresh.is_empty() && told == Told::default() {
            return true;
        }
        let bytes: usize = channel.fresh.iter().map(|one| one.item.payload.bytes().len()).sum();
        let settled = Bounds {
            publications: self.settled.publications + channel.fresh.len() + told.messages,
            bytes: self.settled.bytes + bytes + told.bytes,
        };
        let bounds = Bounds::within(self.queue_limits);
        let fits = settled.publications <= bounds.publications && settled.bytes <= bounds.bytes;
        // What is alone is told however large it is.
        let is_alone = channel.fresh.is_empty() && self.settled == Bounds::default();
        if !fits && !is_alone {
            return false;
        }
        self.settled = settled;
        self.fan_out_channel(index, usize::MAX, encoder);
        true
    }

    /// Fans out the first `count` fresh publications as one piece.
    fn fan_out_channel(&mut self, index: u32, count: usize, encoder: &mut dyn Encode<T>) {
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        if channel.fresh.is_empty() {
            return;
        }
        let rest = channel.fresh.split_off(count.min(channel.fresh.len()));
        let publications = std::mem::replace(&mut channel.fresh, rest);
        self.backlog -= publications.len();
        let mut portion = Portion {
            sessions: &mut self.sessions,
            dirty: &mut self.dirty,
            overflows: &mut self.overflows,
            limits: self.queue_limits,
            messages: u32::try_from(publications.len()).unwrap_or(u32::MAX),
            slow: channel.slow,
            passed_over: Vec::new(),
            queued: 0,
        };
        let mut encoded: Option<(Taste, Bytes)> = None;
        for audience in channel.live.iter() {
            let taste = audience.taste;
            let (_, bytes) = match encoded.take() {
                Some((last, bytes)) if last.shares_encoding(taste) => encoded.insert((last, bytes)),
                _ => {
                    let Taste { form, updates, .. } = taste;
                    let bytes = encoder.encode(form, updates, &channel.name, channel.epoch, &publications);
                    encoded.insert((taste, bytes))
                }
            };
            match taste.packing {
                Packing::Plain => portion.queue(&audience.sessions, |_| bytes.clone()),
                Packing::Deflated => {
                    let bytes = encoder.deflate(bytes);
                    portion.queue(&audience.sessions, |_| bytes.clone());
                }
                Packing::Own => {
                    let list = portion.with_room(&audience.sessions, bytes.len());
                    portion.queue(&list, |attachment| encoder.deflate_own(bytes, attachment));
                }
            }
        }
        let Portion { queued, passed_over, .. } = portion;
        self.enqueued_messages += queued;
        passed_over.into_iter().for_each(|at| self.pass_over(index, at));
    }

    /// Queues bytes for one session. A full queue makes it an [`Overflow`].
    pub fn send(&mut self, id: SessionId, outgoing: Outgoing) {
        let limits = self.queue_limits;
        let Some(session) = self.sessions.get_mut(id.index as usize) else { return };
        if session.generation != id.generation || session.ending {
            return;
        }
        let before = session.queue.messages();
        match session.queue.push(outgoing, limits) {
            Ok(()) => {
                self.enqueued_messages += u64::from(session.queue.messages() - before);
                mark_dirty(session, id, &mut self.dirty);
            }
            Err(Full) => {
                session.ending = true;
                self.overflows.push(id);
            }
        }
    }

    /// Whether `id` may be given so many bytes with [`Hub::send_beside`].
    #[must_use]
    pub fn has_room_beside(&self, id: SessionId, bytes: usize) -> bool {
        self.session(id).is_none_or(|session| session.queue.has_room_beside(bytes, self.queue_limits))
    }

    /// Queues what comes before what is live, beside the limits of what is: ask for room first. Compression may
    /// have made it a little larger since.
    pub fn send_beside(&mut self, id: SessionId, outgoing: Outgoing) {
        let Some(session) = self.sessions.get_mut(id.index as usize) else { return };
        if session.generation == id.generation && !session.ending && !outgoing.bytes.is_empty() {
            let before = session.queue.messages();
            session.queue.push_beside(outgoing);
            self.enqueued_messages += u64::from(session.queue.messages() - before);
            mark_dirty(session, id, &mut self.dirty);
        }
    }

    /// Queues the last bytes of a session, whatever its queue holds; nothing is queued after them. With
    /// `drop_unsent` what nobody has seen a byte of gives way. Gives the number of messages dropped.
    pub fn send_last(&mut self, id: SessionId, bytes: Bytes, drop_unsent: bool) -> u32 {
        let Some(session) = self.sessions.get_mut(id.index as usize) else { return 0 };
        if session.generation != id.generation {
            return 0;
        }
        let dropped = if drop_unsent { session.queue.drop_unsent() } else { 0 };
        session.queue.push_last(Outgoing { bytes, messages: 0 });
        session.ending = true;
        mark_dirty(session, id, &mut self.dirty);
        dropped
    }

    /// To be flushed although nothing new was queued (its transport has room again).
    pub fn mark_dirty(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id.index as usize)
            && session.generation == id.generation
        {
            mark_dirty(session, id, &mut self.dirty);
        }
    }

    /// The next session to flush, oldest first. What it gets queued later makes it dirty again.
    pub fn poll_dirty(&mut self) -> Option<SessionId> {
        while let Some(id) = self.dirty.pop() {
            if let Some(session) = self.session_mut(id) {
                session.dirty = false;
                return Some(id);
            }
        }
        None
    }

    /// True while [`Hub::poll_dirty`] has something to give.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The next slow consumer. It gets nothing more; the caller says why and closes it.
    pub fn poll_overflow(&mut self) -> Option<Overflow> {
        self.overflows.pop()
    }
}

impl Dirty {
    fn is_empty(&self) -> bool {
        self.next == self.sessions.len()
    }

    fn pop(&mut self) -> Option<SessionId> {
        let Some(id) = self.sessions.get(self.next) else {
            self.sessions.clear();
            (self.next, self.fanned_out) = (0, 0);
            return None;
        };
        self.next += 1;
        let id = *id;
        // Under a load that never lets the list run dry the taken half must not grow for ever.
        if self.next >= DIRTY_TAKEN_MAX && self.next * 2 >= self.sessions.len() {
            self.sessions.drain(..self.next);
            self.fanned_out = self.fanned_out.saturating_sub(self.next);
            self.next = 0;
        }
        Some(id)
    }
}

impl<T> Session<T> {
    /// The form that its door speaks.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// How what is shared of that form is compressed for it.
    #[must_use]
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// A subscription of it was passed over, or held back: [`Hub::catch_up`] is due when its queue has run empty.
    #[inline]
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// A last word is queued; nothing follows it.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending
    }
}

impl Bounds {
    /// Of queues with these limits: one portion and what was settled before it have room in each. One publication has
    /// at most half of a queue's bytes.
    fn within(limits: QueueLimits) -> Self {
        let publications = PORTION_PUBLICATIONS.min(limits.max_messages as usize / 2);
        let bytes = PORTION_BYTES.min(limits.max_bytes / 8);
        Self { publications: publications.max(1), bytes: bytes.max(1) }
    }

    fn is_used_up(self) -> bool {
        self.publications == 0 || self.bytes == 0
    }
}

/// How many of these publications are within what is left, which must not be used up: at least one. That is taken
/// from it.
fn portion(fresh: &[Publication], left: &mut Bounds) -> usize {
    let mut count = 0;
    for publication in fresh {
        if left.is_used_up() {
            break;
        }
        count += 1;
        left.publications -= 1;
        left.bytes = left.bytes.saturating_sub(publication.item.payload.bytes().len());
    }
    count
}

fn id_of<T>(index: usize, session: &Session<T>) -> SessionId {
    SessionId { index: u32::try_from(index).unwrap_or(u32::MAX), generation: session.generation }
}

fn mark_dirty<T>(session: &mut Session<T>, id: SessionId, dirty: &mut Dirty) {
    if !session.dirty {
        session.dirty = true;
        dirty.sessions.push(id);
    }
}
