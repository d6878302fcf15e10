//! How a connection ended: what decided it, how its bytes ended, and both in words for people.
//!
//! Values only. `close`, `read`, `flush` and `timers` say what they saw; nothing is guessed beyond it. Names,
//! meanings and advice of codes are those of `tidegate-inspect`.

use serde_json::{Value, json};
use tidegate_inspect::event::{Close, Direction, End as BytesEnd};
use tidegate_inspect::silence;
use tidegate_inspect::words::close_code;

use super::wheel::TICK;

/// What decided that a connection ends. One byte, for every connection keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cause {
    /// The gateway, for the reason that it gave.
    #[default]
    Gateway,
    /// The client's Close frame.
    Client,
    /// Nobody closed: the bytes ended.
    Bytes,
    /// An operator, by the admin listener.
    Operator,
    /// The process ends.
    Shutdown,
    /// The backend ended the channel, or refused its client.
    Backend,
    /// A long poll has its answer.
    Answered,
    /// The client broke a rule of the protocol.
    Protocol,
    /// Its token has ended.
    Token,
    /// `ws_out_queue_bytes`
    QueueBytes,
    /// `ws_out_queue_msgs`
    QueueMessages,
    /// `ws_write_timeout`
    Write,
    /// `ws_pong_timeout`
    Pong,
    /// `ws_message_timeout`
    Message,
    /// `ws_max_frames_per_s`
    Frames,
    /// `ws_max_control_frames_per_s`
    ControlFrames,
    /// `ws_max_message`
    MessageBytes,
}

/// An end that is decided: once for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: u16,
    pub(crate) cause: Cause,
}

/// How the bytes of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Gone {
    /// TCP's FIN.
    Fin,
    /// TLS's close_notify.
    CloseNotify,
    /// What came was no TLS.
    BadTls,
    /// TCP's RST.
    Reset,
    /// The kernel gave it up.
    KernelTimeout,
    /// Another failure of the socket.
    Failed,
    /// Writing failed.
    WriteFailed,
    /// The gateway waited for too long: for the answer to a Close, a Pong, or for the client to take something.
    GivenUp,
    /// END_STREAM of HTTP/2.
    StreamEnded,
    /// RST_STREAM of HTTP/2.
    StreamReset,
    /// The HTTP/2 connection under a stream ended.
    Under,
    /// The answer has been given whole.
    Answered,
    /// The answer broke off: HTTP does not tell how.
    #[default]
    Broken,
}

/// What is known of an end when the connection is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) ended: Ended,
    pub(crate) gone: Gone,
    /// Close frames went both ways, or the answer was given whole.
    pub(crate) clean: bool,
    /// It is a WebSocket.
    pub(crate) websocket: bool,
    /// The words of the Close frame, or what the gateway says of it.
    pub(crate) reason: Box<str>,
    /// Ticks since the last byte.
    pub(crate) idle: u32,
    /// In milliseconds since 1970.
    pub(crate) at: u64,
}

impl Cause {
    /// The limit that was passed.
    pub(crate) fn limit(self) -> Option<&'static str> {
        Some(match self {
            Self::QueueBytes => "ws_out_queue_bytes",
            Self::QueueMessages => "ws_out_queue_msgs",
            Self::Write => "ws_write_timeout",
            Self::Pong => "ws_pong_timeout",
            Self::Message => "ws_message_timeout",
            Self::Frames => "ws_max_frames_per_s",
            Self::ControlFrames => "ws_max_control_frames_per_s",
            Self::MessageBytes => "ws_max_message",
            _ => return None,
        })
    }

    /// Why the gateway did it, behind what `reason` says.
    fn words(self) -> &'static str {
        match self {
            Self::Operator => "an operator asked for it",
            Self::Shutdown => "the gateway is shutting down or restarting",
            Self::Backend => "the backend",
            Self::Answered => "the long poll has its answer",
            Self::Protocol => "the client broke a rule of the protocol",
            Self::Token => "the client's token has expired",
            Self::QueueBytes | Self::QueueMessages => {
                "a slow consumer: what it asked for came faster than it took it"
            }
            Self::Write => "a slow consumer: it took nothing of what waited",
            Self::Pong => "nothing came after a Ping",
            Self::Message => "a message was begun and not finished",
            Self::Frames => "more frames a second than it may send",
            Self::ControlFrames => "more control frames a second than it may send",
            Self::MessageBytes => "a message was larger than it may be",
            Self::Gateway | Self::Client | Self::Bytes => "its own decision",
        }
    }
}

impl Gone {
    /// What a socket said when it was read.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => Self::Reset,
            std::io::ErrorKind::TimedOut => Self::KernelTimeout,
            _ => Self::Failed,
        }
    }

    /// The word of the events' schema.
    fn end(self) -> BytesEnd {
        match self {
            Self::Fin | Self::CloseNotify | Self::StreamEnded | Self::Answered => BytesEnd::EndOfStream,
            Self::Reset | Self::StreamReset => BytesEnd::Reset,
            Self::KernelTimeout | Self::GivenUp => BytesEnd::TimeOut,
            Self::BadTls | Self::Failed | Self::WriteFailed | Self::Under | Self::Broken => BytesEnd::Failure,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Fin => "the client's side ended with FIN",
            Self::CloseNotify => "the client's side ended TLS (close_notify)",
            Self::BadTls => "the client's side sent what is no TLS",
            Self::Reset => "the connection was reset (RST)",
            Self::KernelTimeout => "the network gave the connection up: the kernel got no answer (ETIMEDOUT)",
            Self::Failed => "the socket failed",
            Self::WriteFailed => {
                "the socket broke while the gateway wrote: the other side had reset it or was gone"
            }
            Self::GivenUp => "the gateway gave it up after a time-out",
            Self::StreamEnded => "the client ended its HTTP/2 stream (END_STREAM)",
            Self::StreamReset => "the HTTP/2 stream was reset (RST_STREAM)",
            Self::Under => "the HTTP/2 connection under it ended",
            Self::Answered => "the answer was given whole",
            Self::Broken => "the client's side ended the HTTP connection or its stream",
        }
    }

    /// Whether the client's own side ended it, and not what lies between.
    fn is_of_client(self) -> bool {
        matches!(self, Self::Fin | Self::CloseNotify | Self::StreamEnded | Self::StreamReset | Self::Broken)
    }
}

impl Ending {
    /// Who ended it.
    pub(crate) fn by(&self) -> &'static str {
        match self.ended.cause {
            Cause::Client => "client",
            Cause::Backend => "backend",
            Cause::Pong => "network",
            Cause::Bytes if self.gone.is_of_client() => "client",
            Cause::Bytes => "network",
            _ => "gateway",
        }
    }

    /// `close` of a row.
    pub(crate) fn to_json(&self) -> Value {
        let words = close_code(self.ended.code);
        json!({
            "at": self.at,
            "code": self.ended.code,
            "name": words.name,
            "meaning": words.meaning,
            "reason": &*self.reason,
            "by": self.by(),
            "clean": self.clean,
            "end": self.end().to_string(),
            "limit": self.ended.cause.limit(),
            "idle_ms": self.idle_us() / 1000,
            "what_happened": self.what_happened(),
            "hint": self.hint(),
        })
    }

    /// The same as an event.
    pub(super) fn to_event(&self) -> Close {
        Close {
            code: self.ended.code,
            name: close_code(self.ended.code).name.map(str::to_owned),
            reason: self.reason.to_string(),
            clean: self.clean,
            by: match self.by() {
                "client" => Some(Direction::ToServer),
                "network" => None,
                _ => Some(Direction::ToClient),
            },
            end: Some(self.end()),
            idle_us: Some(self.idle_us()),
            what: Some(self.what_happened()),
        }
    }

    fn end(&self) -> BytesEnd {
        if self.clean && self.websocket { BytesEnd::CloseFrame } else { self.gone.end() }
    }

    fn idle_us(&self) -> u64 {
        u64::from(self.idle) * TICK.as_micros() as u64
    }

    fn after_silence(&self) -> String {
        let seconds = self.idle_us() as f64 / 1_000_000.0;
        format!("{}, {seconds:.1} s after the last byte", self.gone.words())
    }

    fn named(&self) -> String {
        match (self.ended.code, close_code(self.ended.code).name) {
            (1005, _) => "no code (1005)".to_owned(),
            (code, Some(name)) => format!("{code} {name}"),
            (code, None) => code.to_string(),
        }
    }

    /// A sentence for people.
    pub(crate) fn what_happened(&self) -> String {
        match self.ended.cause {
            Cause::Client if self.clean => {
                format!("the client closed with {}, and the gateway answered", self.named())
            }
            Cause::Client => {
                let (named, gone) = (self.named(), self.gone.words());
                format!("the client closed with {named}; our answer did not reach it: {gone}")
            }
            Cause::Bytes if self.websocket => {
                format!("no Close frame either way: {}", self.after_silence())
            }
            Cause::Bytes => self.after_silence(),
            Cause::Pong => {
                format!("{} ({}): the client or the network is gone", Cause::Pong.words(), "ws_pong_timeout")
            }
            Cause::Write => format!("{} within ws_write_timeout, so it was cut", Cause::Write.words()),
            Cause::Answered if self.clean => "the long poll was answered".to_owned(),
            Cause::Answered => format!("the answer to the long poll was not taken: {}", self.gone.words()),
            _ => self.closed_by_gateway(),
        }
    }

    fn closed_by_gateway(&self) -> String {
        let cause = self.ended.cause;
        let limit = cause.limit().map(|limit| format!(" ({limit})")).unwrap_or_default();
        let reason = match &*self.reason {
            "" => String::new(),
            reason if cause.limit().is_some_and(|limit| limit == reason) => String::new(),
            reason => format!(": {reason}"),
        };
        let (who, why) = match cause {
            Cause::Backend => ("the backend ended the channel, so the gateway closed with", reason),
            Cause::Gateway => ("the gateway closed with", reason),
            cause => ("the gateway closed with", format!(", for {}{limit}{reason}", cause.words())),
        };
        let answer = match (self.websocket, self.clean) {
            (true, true) => "; the client answered".to_owned(),
            (true, false) => match self.gone {
                Gone::GivenUp => "; the client did not answer within ws_close_timeout".to_owned(),
                gone => format!("; the client did not answer: {}", gone.words()),
            },
            (false, true) => "; all of it was taken".to_owned(),
            (false, false) => format!("; not all of it was taken: {}", self.gone.words()),
        };
        format!("{who} {}{why}{answer}", self.named())
    }

    /// What to look at, or to do.
    fn hint(&self) -> Option<String> {
        Some(match self.ended.cause {
            Cause::Bytes => match silence::limit_near(self.idle_us()) {
                Some(limit) => limit.to_string(),
                None if !self.websocket => return None,
                None => match self.gone {
                    Gone::Fin | Gone::CloseNotify | Gone::StreamEnded => {
                        "a program that ended or dropped its socket without close(), or a proxy that ended: pages that \
                         are left send 1001"
                    }
                    Gone::Reset | Gone::WriteFailed => {
                        "a process that was killed, or something in between that forgot the connection: look whether \
                         many ended in the same moment"
                    }
                    _ => return None,
                }
                .to_owned(),
            },
            Cause::Pong => "a device that sleeps or has lost its network; one that is slow to answer wants a longer \
                            ws_pong_timeout"
                .to_owned(),
            Cause::QueueBytes | Cause::QueueMessages | Cause::Write => {
                "the client reads too slowly: slow = \"latest\" in the route passes over what it cannot take, and \
                 ws_out_queue_bytes is the room that it has"
                    .to_owned()
            }
            cause => match cause.limit() {
                Some(limit) => format!("if it is meant, raise {limit} in [limits]"),
                None => close_code(self.ended.code).advice?.to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(code: u16, cause: Cause, gone: Gone, clean: bool, idle: u32) -> Ending {
        let ended = Ended { code, cause };
        Ending { ended, gone, clean, websocket: true, reason: "".into(), idle, at: 1 }
    }

    #[test]
    fn an_end_that_is_decided_costs_a_connection_four_bytes() {
        assert_eq!(size_of::<Option<Ended>>(), 4);
    }

    #[test]
    fn sentences() {
        for (ending, by, what, hint) in [
            (
                ending(1006, Cause::Bytes, Gone::Fin, false, 600),
                "client",
                "no Close frame either way: the client's side ended with FIN, 60.0 s after the last byte",
                Some("proxy_read_timeout"),
            ),
            (
                ending(1006, Cause::Bytes, Gone::Reset, false, 3),
                "network",
                "no Close frame either way: the connection was reset (RST), 0.3 s after the last byte",
                Some("killed"),
            ),
            (
                ending(1000, Cause::Client, Gone::Fin, true, 0),
                "client",
                "the client closed with 1000 normal closure, and the gateway answered",
                None,
            ),
            (
                ending(1005, Cause::Client, Gone::Reset, false, 0),
                "client",
                "the client closed with no code (1005); our answer did not reach it: the connection was reset (RST)",
                Some("close()"),
            ),
            (
                ending(1006, Cause::Pong, Gone::GivenUp, false, 100),
                "network",
                "nothing came after a Ping (ws_pong_timeout): the client or the network is gone",
                Some("ws_pong_timeout"),
            ),
            (
                ending(1013, Cause::QueueBytes, Gone::GivenUp, false, 100),
                "gateway",
                "the gateway closed with 1013 try again later, for a slow consumer: what it asked for came faster than \
                 it took it (ws_out_queue_bytes); the client did not answer within ws_close_timeout",
                Some("latest"),
            ),
            (
                ending(1012, Cause::Shutdown, Gone::Fin, true, 1),
                "gateway",
                "the gateway closed with 1012 service restart, for the gateway is shutting down or restarting; the \
                 client answered",
                Some("random delay"),
            ),
            (
                Ending {
                    reason: "the source has ended".into(),
                    ..ending(1000, Cause::Backend, Gone::Fin, true, 1)
                },
                "backend",
                "the backend ended the channel, so the gateway closed with 1000 normal closure: the source has ended; \
                 the client answered",
                None,
            ),
        ] {
            assert_eq!(ending.by(), by, "{what}");
            assert_eq!(ending.what_happened(), what);
            let told = ending.hint();
            assert_eq!(told.is_some(), hint.is_some(), "{what}: {told:?}");
            if let (Some(told), Some(part)) = (told, hint) {
                assert!(told.contains(part), "{told}");
            }
        }
    }

    #[test]
    fn an_http_answer_is_no_websocket() {
        let mut ending = ending(1006, Cause::Bytes, Gone::Broken, false, 3);
        ending.websocket = false;
        assert!(ending.what_happened().starts_with("the client's side ended the HTTP connection"));
        assert_eq!(ending.to_json()["end"], "failure");
    }
}
