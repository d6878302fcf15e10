//! In which words and in which packing a session gets its publications, and who makes bytes of them.
//!
//! Names only: the encoder is the caller's, and the hub asks it in fan-out.

use bytes::Bytes;

use crate::name::ChannelName;
use crate::position::Epoch;
use crate::publication::Publication;
use crate::updates::Updates;

/// The wire form that a session's door speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// WebSocket frames with the bare payload.
    Bare,
    /// WebSocket text frames with a `tidegate.v1` envelope.
    Envelope,
    /// Server-sent events.
    EventStream,
    /// The envelopes of `tidegate.v1`, one a line.
    Lines,
    /// Elements of the answer to a long poll, which takes what has come when it is answered.
    LongPoll,
}

/// All forms, in the order of their index.
pub const FORMS: [Form; 5] = [Form::Bare, Form::Envelope, Form::EventStream, Form::Lines, Form::LongPoll];

/// How the bytes of a form are compressed for a session. A session is of one packing from its beginning to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    #[default]
    Plain,
    /// Without a context: the compressed bytes are shared by all sessions of the form.
    Deflated,
    /// By the session's own compressor, whose state goes on from one message to the next.
    Own,
}

/// Turns publications into bytes. `T` is what the caller attaches to a session.
///
/// In a round each channel's publications are encoded once for each form and kind of updates that somebody needs, and what comes of
/// that is deflated once if somebody needs it so. Only sessions with a compressor of their own are asked about one
/// by one, in the order of their queues.
pub trait Encode<T> {
    /// All of `publications` of one channel, joined in wire form: as patches where there are any of that kind.
    fn encode(
        &mut self,
        form: Form,
        updates: Updates,
        channel: &ChannelName,
        epoch: Epoch,
        publications: &[Publication],
    ) -> Bytes;

    /// What [`Encode::encode`] gave, compressed for all who share it.
    fn deflate(&mut self, encoded: &Bytes) -> Bytes;

    /// What [`Encode::encode`] gave, compressed for one session. It is queued next or the session ends.
    fn deflate_own(&mut self, encoded: &Bytes, attachment: &mut T) -> Bytes;
}
