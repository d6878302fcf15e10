//! Who is here, on channels that tell: at the home, who came and went; on the followers' shards, the word of it.
//! Who may follow at all is decided before; what a member is called comes from its connection and its token.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_hub::{ChannelName, Form, Left, Member, Outgoing, PresenceChange, Present, SessionId, ShardId};
use tidegate_protocol::{envelope, event_stream, lines};

use super::Shard;
use super::crossing::Notice;

impl Shard {
    /// What others learn of a session here, where its channel's route tells who is here.
    pub(super) fn member_of(&self, id: SessionId, channel: &ChannelName) -> Option<Member> {
        let found = self.generation.settings.routes.find_name(channel.path_part())?;
        let session = self.hub.session(id)?;
        let about = &session.attachment.about;
        // Who polls comes and goes all the time.
        let tells = found.route.presence && session.form() != Form::LongPoll;
        tells.then(|| {
            let authority = about.credentials.authority();
            let shared = |text: &Option<Box<str>>| text.as_deref().map(Arc::from);
            Member {
                id: self.name_of(id).into(),
                user: authority.and_then(|authority| shared(&authority.user)),
                info: authority.and_then(|authority| shared(&authority.info)),
            }
        })
    }

    /// At the home: somebody has come. The others are told before it hears of itself as one of those present.
    pub(super) fn join_at_home(
        &mut self,
        channel: &ChannelName,
        shard: ShardId,
        session: SessionId,
        member: Member,
    ) -> Present {
        let max_told = self.generation.settings.limits.presence_max_told as usize;
        let presence = self.presences.entry(channel.clone()).or_default();
        let change = presence.join((shard, session), member, max_told);
        let present = presence.present();
        self.tell_presence(channel, change);
        present
    }

    /// At the home: a subscription has ended. Whoever leaves an earlier life of the channel may have come to this one.
    pub(super) fn leave_at_home(&mut self, left: &Left, shard: ShardId, session: SessionId) {
        let channel = &left.channel;
        if self.engine.log(channel).is_some_and(|log| log.position().epoch != left.epoch) {
            return;
        }
        let max_told = self.generation.settings.limits.presence_max_told as usize;
        let Some(presence) = self.presences.get_mut(channel) else { return };
        let change = presence.leave((shard, session), max_told);
        if presence.count() == 0 {
            self.presences.remove(channel);
        }
        self.tell_presence(channel, change);
    }

    /// Who follows a channel that is at home here; `None` where nobody is told.
    pub(crate) fn present(&self, channel: &ChannelName) -> Option<Present> {
        self.presences.get(channel).map(tidegate_hub::Presence::present)
    }

    fn tell_presence(&mut self, channel: &ChannelName, change: Option<PresenceChange>) {
        if let Some(change) = change {
            self.notify_followers(channel, Notice::Presence(Arc::new(change)));
        }
    }

    /// Tells the subscribers here, each form written once.
    pub(super) fn pass_presence(
        &mut self,
        followers: Vec<(SessionId, Form)>,
        channel: &ChannelName,
        change: &PresenceChange,
    ) {
        let mut written: Vec<(Form, Bytes)> = Vec::new();
        for (id, form) in followers {
            let known = written.iter().find(|(other, _)| *other == form).map(|(_, bytes)| bytes.clone());
            let bytes = known.unwrap_or_else(|| {
                let bytes = self.presence_bytes(form, channel, change);
                written.push((form, bytes.clone()));
                bytes
            });
            if !bytes.is_empty() {
                self.hub.tell(id, channel, Outgoing { bytes, messages: 1 });
            }
        }
    }

    /// A bare client hears payloads and nothing else.
    fn presence_bytes(&mut self, form: Form, channel: &ChannelName, change: &PresenceChange) -> Bytes {
        match form {
            Form::Bare | Form::LongPoll => Bytes::new(),
            Form::Lines => {
                let mut line = Vec::new();
                lines::write_presence(&mut line, channel, change);
                line.into()
            }
            Form::Envelope => self.encoder.text_frame(|text| envelope::write_presence(text, channel, change)),
            Form::EventStream => {
                let mut event = Vec::new();
                event_stream::write_presence(&mut event, channel, change);
                event.into()
            }
        }
    }
}
