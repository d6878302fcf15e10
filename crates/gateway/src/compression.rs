//! permessage-deflate (RFC 7692) on the public listener: what a route lets a connection agree on, what the
//! connection then is to the hub, and the place of its contexts among those that there may be.
//!
//! Nothing is compressed here: shards do that for all, a connection's own compressor for itself.

use std::sync::Arc;

use tidegate_hub::{Form, Packing};
use tidegate_websocket::deflate::{Acceptance, Effort};
use tidegate_websocket::handshake::server::Accepted;
use tidegate_websocket::{self as websocket, Extensions, Role};

use crate::limits::Limits;
use crate::process::{ContextSeat, Generation, Process};
use crate::route::{Compression, Route};

/// The window of a context that is kept, in bits: with the little memory that its back end takes, a compressor is
/// about 30 kB and not ten times that.
const TAKEOVER_WINDOW_BITS: u8 = 12;

/// From how many bytes on a context compresses: with what it remembers, short messages shrink too.
const TAKEOVER_MIN_BYTES: usize = 32;

/// What a connection agreed on. Dropped with it, for that gives its place back.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    extensions: Extensions,
    seat: Option<ContextSeat>,
}

impl Agreed {
    /// Answers a handshake as `route` says. `answer` judges the request under a policy; it may be asked twice.
    pub(crate) fn by<E>(
        process: &Arc<Process>,
        generation: &Generation,
        route: &Route,
        answer: impl Fn(Option<&Acceptance>) -> Result<Accepted, E>,
    ) -> Result<(Accepted, Self), E> {
        let policy = match route.compression {
            Compression::Off => None,
            Compression::Shared => Some(Acceptance::default()),
            Compression::Takeover => {
                if let Some(seat) = process.take_context(generation.settings.limits.deflate_max_contexts) {
                    let policy = Acceptance { takeover: true, max_window_bits: TAKEOVER_WINDOW_BITS };
                    let accepted = answer(Some(&policy))?;
                    let extensions = accepted.extensions;
                    if extensions.deflate.is_some_and(|agreed| !agreed.server_no_context_takeover) {
                        return Ok((accepted, Self { extensions, seat: Some(seat) }));
                    }
                }
                // All places are taken, or the client wants no context: then what is shared will do.
                Some(Acceptance::default())
            }
        };
        let accepted = answer(policy.as_ref())?;
        let extensions = accepted.extensions;
        Ok((accepted, Self { extensions, seat: None }))
    }

    /// The protocol's state of a connection that is open from now on.
    pub(crate) fn websocket(&self, limits: &Limits, route: &Route) -> websocket::Connection {
        let bounds = websocket::Limits {
            max_message_bytes: route.limits.ws_max_message,
            max_fragments: limits.ws_max_fragments,
        };
        let effort = Effort { min_bytes: TAKEOVER_MIN_BYTES, ..effort(limits) };
        websocket::Connection::with_extensions(Role::Server, bounds, self.extensions, effort)
    }

    /// How its publications are packed.
    pub(crate) fn packing(&self, form: Form) -> Packing {
        match (form, self.extensions.deflate) {
            (Form::EventStream | Form::Lines | Form::LongPoll, _) | (_, None) => Packing::Plain,
            (_, Some(_)) if self.seat.is_some() => Packing::Own,
            (_, Some(agreed)) if agreed.can_read_shared(usize::MAX) => Packing::Deflated,
            // Its window is smaller than that of what is shared. An extension that was agreed on need not be used: a window of its own would be a compressor of its own.
            (_, Some(_)) => Packing::Plain,
        }
    }

    /// True if the client may compress what it sends.
    pub(crate) fn inflates(&self) -> bool {
        self.extensions.deflate.is_some()
    }

    /// True if it holds contexts.
    pub(crate) fn holds_contexts(&self) -> bool {
        self.seat.is_some()
    }

    /// What both sides agreed on.
    pub(crate) fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// The word for it on the admin listener.
    pub(crate) fn name(&self) -> Option<&'static str> {
        let word = if self.seat.is_some() { Compression::Takeover } else { Compression::Shared };
        self.extensions.deflate.map(|_| word.name())
    }
}

/// What may be spent on what is compressed once for all.
pub(crate) fn effort(limits: &Limits) -> Effort {
    // The row ends at 9.
    Effort { level: limits.deflate_level.min(9) as u8, min_bytes: limits.deflate_min_bytes }
}
