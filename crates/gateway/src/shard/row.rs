//! One connection as the admin listener shows it, open or ended: a copy that may leave the shard.
//!
//! Gathering one copies a few words and shares the rest; JSON is made by whoever shows it.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_hub::{ChannelName, Form, Session, SessionId, ShardId};
use tidegate_protocol::SUBPROTOCOL;
use tidegate_websocket::Extensions;

use super::Shard;
use super::connection::{About, Connection, End, TlsVersion};
use super::ending::Ending;
use super::tally::Tally;
use super::wheel::{TICK, Tick};
use crate::metrics::door_name;
use crate::route::{Route, path_of_name};
use crate::tokens::Authority;

/// Channels of one connection that are shown.
const CHANNELS_SHOWN: usize = 128;

/// The same of one that has ended, which is kept.
const CHANNELS_KEPT: usize = 8;

/// Sessions that are looked at before somebody else has a turn.
pub(crate) const ROWS_A_TURN: usize = 512;

/// See the module's head.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) shard: ShardId,
    pub(crate) session: SessionId,
    pub(crate) form: Form,
    pub(crate) route: Arc<Route>,
    pub(crate) channels: Vec<ChannelName>,
    /// In milliseconds since 1970.
    pub(crate) opened: u64,
    /// Ticks since the last byte.
    pub(crate) idle: u32,
    pub(crate) tally: Tally,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_messages: u32,
    /// How it ended, if it has.
    pub(crate) ending: Option<Ending>,
    channel: ChannelName,
    pub(crate) remote: IpAddr,
    authority: Option<Arc<Authority>>,
    tls: Option<TlsVersion>,
    http2: bool,
    is_closing: bool,
    compression: Option<&'static str>,
    extensions: Extensions,
}

impl Row {
    /// Its name in logs and on the admin listener.
    pub(crate) fn id(&self) -> String {
        format!("{}-{}", self.shard.0, self.session)
    }

    /// Path of the request, without its query.
    pub(crate) fn path(&self) -> String {
        path_of_name(self.channel.path_part())
    }

    /// Whose token it came with.
    pub(crate) fn user(&self) -> Option<&str> {
        self.authority.as_ref()?.user.as_deref()
    }

    /// Whether it compresses.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// Milliseconds since the last byte either way.
    pub(crate) fn idle_ms(&self) -> u64 {
        u64::from(self.idle) * TICK.as_millis() as u64
    }

    /// `open`, `closing` or `closed`.
    pub(crate) fn state(&self) -> &'static str {
        match (&self.ending, self.is_closing) {
            (Some(_), _) => "closed",
            (None, true) => "closing",
            (None, false) => "open",
        }
    }

    /// The row, with the members that `docs/admin.md` lists.
    pub(crate) fn to_json(&self) -> Value {
        let info = self.authority.as_ref().and_then(|authority| authority.info.as_deref());
        let info: Option<Value> = info.and_then(|info| serde_json::from_str(info).ok());
        let rtt_ms = self.tally.round_trip_us().map(|micros| f64::from(micros) / 1000.0);
        json!({
            "id": self.id(),
            "state": self.state(),
            "door": door_name(self.form),
            "transport": if self.http2 { "h2" } else { "h1" },
            "tls": self.tls.map(TlsVersion::name),
            "remote": self.remote.to_string(),
            "route": self.route.pattern.as_str(),
            "path": self.path(),
            "user": self.user(),
            "info": info,
            "subprotocol": (self.form == Form::Envelope).then_some(SUBPROTOCOL),
            "channels": self.channels.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "opened": self.opened / 1000,
            "opened_ms": self.opened,
            "idle_ms": self.idle_ms(),
            "rtt_ms": rtt_ms,
            "sent_messages": self.tally.sent_messages,
            "sent_bytes": self.tally.sent_bytes,
            "received_messages": self.tally.received_messages,
            "received_bytes": self.tally.received_bytes,
            "queue_bytes": self.queue_bytes,
            "queue_messages": self.queue_messages,
            "queue_max_bytes": (self.tally.queue_max_bytes() as usize).max(self.queue_bytes),
            "compression": self.compression,
            "compression_parameters": self.extensions.header_value(),
            "deflate_ratio": null,
            "closing": self.is_closing,
            "close": self.ending.as_ref().map(Ending::to_json),
        })
    }
}

impl Shard {
    /// The row of an open connection.
    pub(crate) fn row(&self, id: SessionId) -> Option<Row> {
        self.row_with(id, CHANNELS_SHOWN)
    }

    /// The row of a connection that is about to be forgotten.
    pub(super) fn last_row(&self, id: SessionId) -> Option<Row> {
        self.row_with(id, CHANNELS_KEPT)
    }

    /// The rows of open connections behind the place `after`, `most` or [`ROWS_A_TURN`] of them, and the place to go
    /// on from if there may be more.
    pub(crate) fn rows(&self, after: Option<u32>, most: usize) -> (Vec<Row>, Option<u32>) {
        let most = most.min(ROWS_A_TURN);
        let ids: Vec<SessionId> = self.hub.sessions_behind(after).take(most).collect();
        let next = ids.last().filter(|_| ids.len() == most).map(|last| last.index());
        (ids.into_iter().filter_map(|id| self.row(id)).collect(), next)
    }

    fn row_with(&self, id: SessionId, most: usize) -> Option<Row> {
        let session: &Session<Connection> = self.hub.session(id)?;
        let connection = &session.attachment;
        let about: &About = &connection.about;
        Some(Row {
            shard: self.id,
            session: id,
            form: session.form(),
            route: Arc::clone(&about.route),
            channels: self.hub.subscriptions(id).take(most).cloned().collect(),
            opened: about.opened,
            idle: since(connection.tally.touched, self.wheel.now()),
            tally: connection.tally,
            queue_bytes: session.queue.bytes(),
            queue_messages: session.queue.messages(),
            ending: None,
            channel: about.channel.clone(),
            remote: about.remote,
            authority: about.credentials.authority().cloned(),
            tls: about.tls,
            http2: about.http2,
            is_closing: session.is_ending() || connection.end != End::Open,
            compression: about.agreed.name(),
            extensions: about.agreed.extensions(),
        })
    }
}

fn since(then: Tick, now: Tick) -> u32 {
    now.0.saturating_sub(then.0)
}
