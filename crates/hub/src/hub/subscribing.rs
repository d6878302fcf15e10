//! Subscriptions, from the question to the channel's home to the word that one has ended. Home and hub agree on
//! who follows by what these calls give: who is counted there is followed here, or on its way to be told of.

use super::{Channel, Hub, id_of};
use crate::audience::{Audiences, Taste};
use crate::encode::{Encode, Form, Packing};
use crate::name::ChannelName;
use crate::position::Epoch;
use crate::session_id::SessionId;
use crate::subscription::{Left, Slow, SubscribeError, Subscription, SubscriptionState, Ticket};
use crate::updates::Updates;

impl<T> Hub<T> {
    /// Notes that `id` wants to follow `name`: from now until [`Hub::begin`] the home's answer is awaited.
    pub fn await_home(
        &mut self,
        id: SessionId,
        name: &ChannelName,
        updates: Updates,
    ) -> Result<Ticket, SubscribeError> {
        let channel = self.channel_index(name);
        let max = self.max_channels_per_session;
        self.tickets = self.tickets.wrapping_add(1);
        let ticket = Ticket(self.tickets);
        let refused = match self.session_mut(id) {
            None => Some(SubscribeError::Gone),
            Some(session) if session.subscriptions.iter().any(|one| one.channel == channel) => {
                Some(SubscribeError::Twice)
            }
            Some(session) if session.subscriptions.len() >= max => Some(SubscribeError::TooMany),
            Some(session) => {
                let state = SubscriptionState::AwaitHome(updates, ticket);
                session.subscriptions.push(Subscription { channel, state });
                None
            }
        };
        if let Some(error) = refused {
            self.free_if_unused(channel);
            return Err(error);
        }
        if let Some(channel) = self.channels.get_mut(channel as usize) {
            channel.awaiting += 1;
        }
        Ok(ticket)
    }

    /// The home has answered what was asked with `ticket`: `id` follows this life of `name` from here. What
    /// other sessions have still to get of this round is fanned out first, for which [`Hub::settle`] is there: it
    /// says when that is too much at once. False if the session has gone or
    /// left meanwhile: then the home must be told.
    pub fn begin(
        &mut self,
        id: SessionId,
        ticket: Ticket,
        name: &ChannelName,
        epoch: Epoch,
        encoder: &mut dyn Encode<T>,
    ) -> bool {
        let Some(&index) = self.by_name.get(name) else { return false };
        self.fan_out_channel(index, usize::MAX, encoder);
        let Some(channel) = self.channels.get_mut(index as usize) else { return false };
        let session =
            self.sessions.get_mut(id.index as usize).filter(|session| session.generation == id.generation);
        let Some(session) = session else { return false };
        let own = session.subscriptions.iter_mut().find(|one| one.channel == index);
        let Some(Subscription { state, .. }) = own else { return false };
        let Some(updates) = state.awaited_by(ticket) else { return false };
        let taste = Taste { form: session.form, updates, packing: session.packing };
        *state = SubscriptionState::Live(updates, channel.live.push(taste, id.index));
        channel.awaiting -= 1;
        // Whoever followed an earlier life here has been told that it is over, before this answer.
        channel.epoch = epoch;
        true
    }

    /// `id` follows `name` no longer. Gives what its home must be told.
    pub fn unsubscribe(&mut self, id: SessionId, name: &ChannelName) -> Option<Left> {
        let index = *self.by_name.get(name)?;
        let session = self.session_mut(id)?;
        let (form, packing) = (session.form, session.packing);
        let place = session.subscriptions.iter().position(|one| one.channel == index)?;
        let subscription = session.subscriptions.swap_remove(place);
        self.unlink(id.index, subscription, form, packing)
    }

    /// The home refuses what was asked with `ticket`. True if that is what `id` still waits for.
    pub fn refused(&mut self, id: SessionId, ticket: Ticket, name: &ChannelName) -> bool {
        let Some(&index) = self.by_name.get(name) else { return false };
        let waits = |one: &Subscription| one.channel == index && one.state.awaited_by(ticket).is_some();
        let waiting = self.session(id).is_some_and(|session| session.subscriptions.iter().any(waits));
        // Nobody has counted it.
        waiting && self.unsubscribe(id, name).is_none()
    }

    /// The channels that `id` follows.
    pub fn subscriptions(&self, id: SessionId) -> impl Iterator<Item = &ChannelName> {
        let subscriptions =
            self.session(id).map(|session| session.subscriptions.as_slice()).unwrap_or_default();
        subscriptions.iter().filter_map(|one| self.channels.get(one.channel as usize)).map(|one| &one.name)
    }

    /// The name of a channel that somebody here follows, to be shared by all who know it.
    #[must_use]
    pub fn known_name(&self, name: &ChannelName) -> Option<&ChannelName> {
        self.by_name.get_key_value(name).map(|(name, _)| name)
    }

    /// The sessions that follow `name`, with their forms.
    pub fn followers(&self, name: &ChannelName) -> Vec<(SessionId, Form)> {
        let channel = self.by_name.get(name).and_then(|index| self.channels.get(*index as usize));
        let audiences = channel.into_iter().flat_map(|channel| channel.live.iter());
        let passed_over =
            channel.into_iter().flat_map(|channel| channel.passed_over.iter().map(|one| &one.at));
        audiences
            .flat_map(|audience| &audience.sessions)
            .chain(passed_over)
            .filter_map(|at| {
                let session = self.sessions.get(*at as usize)?;
                Some((id_of(*at as usize, session), session.form))
            })
            .collect()
    }

    fn channel_index(&mut self, name: &ChannelName) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.channels.insert(Channel {
            name: name.clone(),
            live: Audiences::default(),
            awaiting: 0,
            slow: Slow::default(),
            passed_over: Vec::new(),
            fresh: Vec::new(),
            listed: false,
            epoch: Epoch(0),
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.by_name.insert(name.clone(), index);
        index
    }

    /// Takes the subscription of the session at a place out of its channel. Gives what its home must be told, if it knows of it.
    pub(super) fn unlink(
        &mut self,
        at: u32,
        subscription: Subscription,
        form: Form,
        packing: Packing,
    ) -> Option<Left> {
        let channel = self.channels.get_mut(subscription.channel as usize)?;
        let told = match subscription.state {
            SubscriptionState::AwaitHome(..) => {
                channel.awaiting -= 1;
                None
            }
            SubscriptionState::Live(updates, place) => {
                let moved = channel.live.remove(Taste { form, updates, packing }, place);
                if let Some(moved) = moved.and_then(|at| self.sessions.get_mut(at as usize)) {
                    let same = |one: &&mut Subscription| one.channel == subscription.channel;
                    if let Some(other) = moved.subscriptions.iter_mut().find(same) {
                        other.state = SubscriptionState::Live(updates, place);
                    }
                }
                Some(Left { channel: channel.name.clone(), epoch: channel.epoch, updates })
            }
            SubscriptionState::PassedOver(updates) => {
                channel.passed_over.retain(|one| one.at != at);
                Some(Left { channel: channel.name.clone(), epoch: channel.epoch, updates })
            }
        };
        self.free_if_unused(subscription.channel);
        told
    }

    fn free_if_unused(&mut self, index: u32) {
        let unused = self.channels.get(index as usize).is_some_and(Channel::is_unused);
        if unused {
            let channel = self.channels.remove(index as usize);
            self.by_name.remove(&channel.name);
            self.backlog -= channel.fresh.len();
            if channel.listed {
                self.fresh_channels.retain(|fresh| *fresh != index);
            }
        }
    }
}
