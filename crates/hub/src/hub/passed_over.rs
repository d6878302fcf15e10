//! Subscriptions that are passed over: where the newest publication is all that counts, whoever does not keep up
//! gets nothing more of the channel until its queue has run empty, and then the newest. What has just begun waits
//! in the same way, if what it missed has no room yet.

use super::{Channel, Hub};
use crate::name::ChannelName;
use crate::position::Epoch;
use crate::queue::Outgoing;
use crate::session_id::SessionId;
use crate::subscription::{
    Beginning, Behind, Left, PassedOver, Slow, Subscription, SubscriptionState, Ticket,
};

/// Channels whose homes are asked when a queue has run empty. What they give may not have room at once, and asking
/// for all of it each time would cost the square of it.
const CATCH_UP_MAX: usize = 8;

impl<T> Hub<T> {
    /// What becomes of the sessions here that follow `name` and do not keep up.
    pub fn set_slow(&mut self, name: &ChannelName, slow: Slow) {
        let channel = self.by_name.get(name).and_then(|index| self.channels.get_mut(*index as usize));
        if let Some(channel) = channel {
            channel.slow = slow;
        }
    }

    /// Queues for one follower of `name` what it would learn anew when it catches up: whoever is passed over gets
    /// nothing. Where the newest counts, whoever has no room for it is passed over.
    pub fn tell(&mut self, id: SessionId, name: &ChannelName, outgoing: Outgoing) {
        let Some(&index) = self.by_name.get(name) else { return };
        let Some(slow) = self.channels.get(index as usize).map(|channel| channel.slow) else { return };
        let Some(session) = self.session(id).filter(|session| !session.ending) else { return };
        let own = session.subscriptions.iter().find(|one| one.channel == index);
        let Some(Subscription { state, .. }) = own.filter(|_| !outgoing.bytes.is_empty()) else { return };
        let has_room = session.queue.has_room(outgoing.bytes.len(), outgoing.messages, self.queue_limits);
        match state {
            SubscriptionState::PassedOver(_) => {}
            SubscriptionState::Live(..) if slow == Slow::Latest && !has_room => {
                self.pass_over(index, id.index)
            }
            SubscriptionState::Live(..) | SubscriptionState::AwaitHome(..) => self.send(id, outgoing),
        }
    }

    /// How often a subscription was passed over since the start.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The home has answered what was asked with `ticket`, but there is no room yet for what comes before what is
    /// live: the home is asked again when the queue has run empty. False as with [`Hub::begin`].
    pub fn hold(
        &mut self,
        id: SessionId,
        ticket: Ticket,
        name: &ChannelName,
        epoch: Epoch,
        beginning: Beginning,
    ) -> bool {
        let Some(&index) = self.by_name.get(name) else { return false };
        let Some(channel) = self.channels.get_mut(index as usize) else { return false };
        let session =
            self.sessions.get_mut(id.index as usize).filter(|session| session.generation == id.generation);
        let Some(session) = session else { return false };
        let own = session.subscriptions.iter_mut().find(|one| one.channel == index);
        let Some(Subscription { state, .. }) = own else { return false };
        let Some(updates) = state.awaited_by(ticket) else { return false };
        *state = SubscriptionState::PassedOver(updates);
        session.behind = true;
        channel.awaiting -= 1;
        channel.epoch = epoch;
        channel.passed_over.push(PassedOver { at: id.index, beginning });
        true
    }

    /// The queue of `id` has run empty: what it was passed over in is to be asked for anew, of the channels' homes. To
    /// be called again when it has run empty again, or with nothing in it, while the session is behind.
    pub fn catch_up(&mut self, id: SessionId) -> Vec<Behind> {
        let Some(session) = self.sessions.get_mut(id.index as usize) else { return Vec::new() };
        if session.generation != id.generation || !std::mem::take(&mut session.behind) || session.ending {
            return Vec::new();
        }
        let mut behind = Vec::new();
        for Subscription { channel: index, state } in &mut session.subscriptions {
            let SubscriptionState::PassedOver(updates) = *state else { continue };
            if behind.len() == CATCH_UP_MAX {
                session.behind = true;
                break;
            }
            let Some(channel) = self.channels.get_mut(*index as usize) else { continue };
            let Some(place) = channel.passed_over.iter().position(|one| one.at == id.index) else { continue };
            let PassedOver { beginning, .. } = channel.passed_over.swap_remove(place);
            self.tickets = self.tickets.wrapping_add(1);
            let ticket = Ticket(self.tickets);
            *state = SubscriptionState::AwaitHome(updates, ticket);
            channel.awaiting += 1;
            let left = Left { channel: channel.name.clone(), epoch: channel.epoch, updates };
            behind.push(Behind { ticket, left, beginning });
        }
        behind
    }

    /// Takes the session at a place out of what the channel's publications are queued for.
    pub(super) fn pass_over(&mut self, index: u32, at: u32) {
        let Some(session) = self.sessions.get_mut(at as usize) else { return };
        let (form, packing) = (session.form, session.packing);
        let own = session.subscriptions.iter_mut().find(|one| one.channel == index);
        let Some(Subscription { state, .. }) = own else { return };
        let before = *state;
        let SubscriptionState::Live(updates, _) = before else { return };
        *state = SubscriptionState::PassedOver(updates);
        session.behind = true;
        let Some(channel) = self.channels.get_mut(index as usize) else { return };
        // First into the one list and then out of the other, for a channel in none is forgotten.
        channel.passed_over.push(PassedOver { at, beginning: Beginning::Newest });
        self.passed_over += 1;
        self.unlink(at, Subscription { channel: index, state: before }, form, packing);
    }
}

impl Channel {
    /// True if nobody here follows it or has asked for it.
    pub(super) fn is_unused(&self) -> bool {
        self.awaiting == 0 && self.live.is_empty() && self.passed_over.is_empty()
    }
}
