//! Watches of this shard's connections: which of them are tapped, from where on, and what is told first. Bytes are
//! shown to the taps where they are read and written.
//!
//! Nobody is awaited here and nothing is sent: whoever watches comes and takes.

use std::sync::Arc;

use tidegate_hub::{Form, SessionId};
use tidegate_inspect::Timestamp;
use tidegate_inspect::event::{Body, Level, Note, Open};
use tidegate_inspect::secrets::hide_in_target;
use tidegate_protocol::SUBPROTOCOL;

use super::Shard;
use super::connection::{About, Connection, TlsVersion};
use super::ending::Ending;
use super::ring::Who;
use super::row::ROWS_A_TURN;
use super::tapped::Standing;
use super::taps::{Choice, Watch, WatchId};
use crate::route::path_of_name;
use crate::settings::WatchLevel;

/// Channels of one connection that a filter is asked about.
const CHANNELS_MAX: usize = 128;

/// How far a watch has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It has.
    All,
    /// Sessions up to this place have been looked at.
    UpTo(u32),
    /// There is no such connection.
    Nothing,
}

impl Shard {
    /// Begins a watch. Goes on with [`Shard::watch_more`] while that is not all.
    pub(crate) fn watch(&mut self, watch: Watch) -> Begun {
        let (id, choice, level) = (watch.id, watch.choice.clone(), watch.level);
        if let Choice::One(session) = choice
            && self.hub.session(session).is_none()
        {
            return Begun::Nothing;
        }
        self.taps.begin(watch, &self.generation.settings.limits);
        match choice {
            Choice::One(session) => {
                self.tap(session, false);
                Begun::All
            }
            Choice::Matching(_) if level >= WatchLevel::Frames => self.watch_more(id, None),
            Choice::Matching(_) => Begun::All,
        }
    }

    /// Taps the next sessions for a watch of many.
    pub(crate) fn watch_more(&mut self, _: WatchId, after: Option<u32>) -> Begun {
        let ids: Vec<SessionId> = self.hub.sessions_behind(after).take(ROWS_A_TURN).collect();
        ids.iter().for_each(|id| self.tap(*id, false));
        match ids.last() {
            Some(last) if ids.len() == ROWS_A_TURN => Begun::UpTo(last.index()),
            _ => Begun::All,
        }
    }

    /// Ends a watch.
    pub(crate) fn unwatch(&mut self, id: WatchId) {
        let untapped = self.taps.end(id);
        self.untap(&untapped);
    }

    /// Ends the watches that see more than this.
    pub(super) fn watch_up_to(&mut self, most: WatchLevel) {
        self.listening.keep_up_to(most);
        let untapped = self.taps.keep_up_to(most);
        self.untap(&untapped);
    }

    /// A session has begun.
    pub(super) fn tap_opening(&mut self, id: SessionId) {
        if self.taps.is_choosing() {
            self.tap(id, true);
        }
    }

    /// A session is about to be forgotten.
    pub(super) fn tap_end(&mut self, id: SessionId, ending: &Ending) {
        self.taps.ended(id, ending.to_event(), self.wheel.now());
        if self.taps.is_choosing()
            && let Some(who) = self.who(id)
        {
            let close = Body::Close(Box::new(ending.to_event()));
            self.taps.happened(&Arc::new(who), std::time::SystemTime::now().into(), close);
        }
    }

    /// Bytes were written for a session by somebody else.
    pub(crate) fn tap_written(&mut self, id: SessionId, bytes: &[u8]) {
        if self.taps.is_tapped(id) {
            self.taps.went(id, bytes, self.wheel.now());
        }
    }

    fn untap(&mut self, sessions: &[SessionId]) {
        for id in sessions {
            if let Some(session) = self.hub.session_mut(*id) {
                session.attachment.tally.is_tapped = false;
            }
        }
    }

    /// Taps a session for those who want to see it.
    fn tap(&mut self, id: SessionId, is_new: bool) {
        let (Some(mut who), Some(session)) = (self.who(id), self.hub.session(id)) else { return };
        let watches = self.taps.choosing(id, &who);
        let connection = &session.attachment;
        let opened = Timestamp::from_micros(connection.about.opened * 1000);
        let now = Timestamp::from(std::time::SystemTime::now());
        let at = if is_new { now } else { opened };
        let open = open_of(connection, session.form());
        let standing = Standing {
            form: session.form(),
            extensions: connection.about.agreed.extensions(),
            opened: at,
            begun_bytes: session.queue.begun_bytes(),
            is_new,
        };
        let mut first = vec![(at, open.clone())];
        if !is_new {
            first.push((now, begun_late(now.micros_since(opened), connection.about.agreed.holds_contexts())));
        }
        who.is_tapped = true;
        let is_tapped = !watches.is_empty() && self.taps.tap(id, Arc::new(who), &watches, standing, first);
        if is_tapped && let Some(session) = self.hub.session_mut(id) {
            session.attachment.tally.is_tapped = true;
        }
        if is_new && let Some(who) = self.who(id) {
            self.taps.happened(&Arc::new(who), now, open);
        }
    }

    fn who(&self, id: SessionId) -> Option<Who> {
        let session = self.hub.session(id)?;
        let about = &session.attachment.about;
        let own = std::iter::once(about.channel.public_part().to_owned());
        let followed = self.hub.subscriptions(id).filter(|name| **name != about.channel);
        let followed = followed.map(|name| name.public_part().to_owned());
        Some(Who {
            name: self.name_of(id).into(),
            path: path_of_name(about.channel.path_part()),
            user: about
                .credentials
                .authority()
                .and_then(|authority| authority.user.as_deref().map(str::to_owned)),
            channels: own.chain(followed).take(CHANNELS_MAX).collect(),
            is_tapped: session.attachment.tally.is_tapped,
        })
    }
}

/// What was agreed on when a connection opened.
fn open_of(connection: &Connection, form: Form) -> Body {
    let about: &About = &connection.about;
    let is_websocket = matches!(form, Form::Bare | Form::Envelope);
    let target = path_of_name(about.channel.public_part());
    Body::Open(Box::new(Open {
        url: hide_in_target(&target).into_owned(),
        peer: Some(about.remote.to_string()),
        http: if about.http2 { "2" } else { "1.1" }.to_owned(),
        status: if is_websocket && !about.http2 { 101 } else { 200 },
        subprotocol: (form == Form::Envelope).then(|| SUBPROTOCOL.to_owned()),
        extensions: about.agreed.extensions().header_value(),
        tls: about.tls.map(TlsVersion::name).map(str::to_owned),
        ..Open::default()
    }))
}

/// What came before somebody watched is not there.
fn begun_late(micros: u64, holds_contexts: bool) -> Body {
    let seconds = std::time::Duration::from_micros(micros).as_secs();
    let mut text =
        format!("watching began {seconds} s after the connection opened: what came before was not captured");
    if holds_contexts {
        text.push_str(", and compressed messages that refer to it cannot be shown decompressed");
    }
    Body::Note(Box::new(Note::new(Level::Info, text)))
}
