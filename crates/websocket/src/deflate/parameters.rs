//! The four parameters of permessage-deflate and their negotiation (RFC 7692, sections 7 and 7.1), both roles.
//!
//! The header's grammar has been read by `handshake`: names and values come in, answers go out. A window
//! of 8 bits is not agreed to for our own messages: zlib cannot compress into so small a window.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;

/// The extension's name in Sec-WebSocket-Extensions.
pub(crate) const NAME: &str = "permessage-deflate";

/// The largest window: 32 KiB, as logarithm.
pub(super) const WINDOW_BITS_MAX: u8 = 15;
/// The smallest window that the RFC knows.
const WINDOW_BITS_MIN: u8 = 8;
/// Highest level that zlib knows.
const LEVEL_MAX: u8 = 9;

/// The smallest window that we compress into.
pub(super) const OWN_WINDOW_BITS_MIN: u8 = 9;

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// A parameter's name, and its value without quotes.
pub(crate) type Parameter<'a> = (&'a str, Option<Cow<'a, str>>);

/// What the two sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// The server compresses each message by itself, and the client forgets it after reading.
    pub server_no_context_takeover: bool,
    /// The same for the client's messages.
    pub client_no_context_takeover: bool,
    /// Logarithm of the window of the server's messages: 9 to 15. A server that is not ours may say 8.
    pub server_max_window_bits: u8,
    /// Logarithm of the window of the client's messages: 8 to 15.
    pub client_max_window_bits: u8,
    /// The offer named `server_max_window_bits`, so that the answer must, too (section 7.1.2.1).
    pub answers_server_max_window_bits: bool,
}

/// What a server agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// Whether either side may keep its context between messages: better ratios, and memory for each
    /// connection.
    pub takeover: bool,
    /// The largest window in either direction, as logarithm; values outside 9 to 15 count as the nearest.
    /// A client that cannot be told a limit for its own messages keeps 15.
    pub max_window_bits: u8,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Whether either side may keep its context between messages.
    pub takeover: bool,
    /// The largest window in either direction, as logarithm; values outside 9 to 15 count as the nearest.
    pub max_window_bits: u8,
}

/// What compressing may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// 0 (none) to 9 (most), as zlib counts; more counts as 9.
    pub level: u8,
    /// Messages with fewer bytes go uncompressed. Without context takeover small ones do not shrink; with
    /// takeover a far smaller value pays.
    pub min_bytes: usize,
}

/// The parameters that concern the messages of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Direction {
    /// The context stays between messages.
    pub(crate) takeover: bool,
    /// Logarithm of the window: 8 to 15.
    pub(crate) window_bits: u8,
}

/// An answer to our offer that a server may not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerError {
    /// A parameter that is unknown, stands twice or has a value that it cannot have.
    Parameter,
    /// We asked for no takeover of the server's context, and the answer does not agree.
    ServerTakeover,
    /// The server's window was bounded by our offer, and the answer has no bound or a larger one.
    ServerWindow,
    /// The answer's bound for our window is larger than the one that we offered.
    ClientWindow,
}

/// The parameters as they stand in one offer or answer.
#[derive(Default)]
struct Stated {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may stand without a value: the client honours whatever the answer says.
    client_max_window_bits: Option<Option<u8>>,
}

/// The server's part: what an offer becomes; none if it must be declined (section 7).
pub(crate) fn accept(offer: &[Parameter<'_>], acceptance: &Acceptance) -> Option<Parameters> {
    let stated = Stated::read(offer)?;
    let largest = own_bits(acceptance.max_window_bits);
    let server_bits = stated.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX).min(largest);
    if server_bits < OWN_WINDOW_BITS_MIN {
        return None;
    }
    let client_bits = stated.client_max_window_bits.map(|bits| bits.unwrap_or(WINDOW_BITS_MAX).min(largest));
    Some(Parameters {
        server_no_context_takeover: stated.server_no_context_takeover || !acceptance.takeover,
        client_no_context_takeover: stated.client_no_context_takeover || !acceptance.takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits.unwrap_or(WINDOW_BITS_MAX),
        answers_server_max_window_bits: stated.server_max_window_bits.is_some(),
    })
}

/// The client's part: what the answer to our offer means.
pub(crate) fn confirm(answer: &[Parameter<'_>], offer: &Offer) -> Result<Parameters, AnswerError> {
    let stated = Stated::read(answer).ok_or(AnswerError::Parameter)?;
    let largest = own_bits(offer.max_window_bits);
    if !offer.takeover && !stated.server_no_context_takeover {
        return Err(AnswerError::ServerTakeover);
    }
    let server_bits = stated.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
    if server_bits > largest {
        return Err(AnswerError::ServerWindow);
    }
    let client_bits = match stated.client_max_window_bits {
        Some(None) => return Err(AnswerError::Parameter),
        Some(Some(bits)) if bits > largest => return Err(AnswerError::ClientWindow),
        Some(Some(bits)) => bits,
        None => largest,
    };
    Ok(Parameters {
        server_no_context_takeover: stated.server_no_context_takeover,
        client_no_context_takeover: stated.client_no_context_takeover || !offer.takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
        answers_server_max_window_bits: stated.server_max_window_bits.is_some(),
    })
}

/// What an answer says by itself, for who does not know the offer.
pub(crate) fn state(answer: &[Parameter<'_>]) -> Option<Parameters> {
    let stated = Stated::read(answer)?;
    Some(Parameters {
        server_no_context_takeover: stated.server_no_context_takeover,
        client_no_context_takeover: stated.client_no_context_takeover,
        server_max_window_bits: stated.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX),
        client_max_window_bits: stated.client_max_window_bits.flatten().unwrap_or(WINDOW_BITS_MAX),
        answers_server_max_window_bits: stated.server_max_window_bits.is_some(),
    })
}

impl Stated {
    /// None if a parameter is unknown, stands twice or has a value that it cannot have.
    fn read(parameters: &[Parameter<'_>]) -> Option<Self> {
        let mut stated = Self::default();
        for (name, value) in parameters {
            let value = value.as_deref();
            match *name {
                SERVER_NO_CONTEXT_TAKEOVER => set(&mut stated.server_no_context_takeover, value)?,
                CLIENT_NO_CONTEXT_TAKEOVER => set(&mut stated.client_no_context_takeover, value)?,
                SERVER_MAX_WINDOW_BITS if stated.server_max_window_bits.is_none() => {
                    stated.server_max_window_bits = Some(window_bits(value?)?);
                }
                CLIENT_MAX_WINDOW_BITS if stated.client_max_window_bits.is_none() => {
                    let bits = match value {
                        Some(value) => Some(window_bits(value)?),
                        None => None,
                    };
                    stated.client_max_window_bits = Some(bits);
                }
                _ => return None,
            }
        }
        Some(stated)
    }
}

/// Takes note of a parameter that has no value and stands once.
fn set(flag: &mut bool, value: Option<&str>) -> Option<()> {
    (value.is_none() && !std::mem::replace(flag, true)).then_some(())
}

/// 8 to 15, in decimal and without leading zeros (section 7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    let is_plain = !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    let bits = value.parse().ok().filter(|_| is_plain)?;
    (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&bits).then_some(bits)
}

fn own_bits(bits: u8) -> u8 {
    bits.clamp(OWN_WINDOW_BITS_MIN, WINDOW_BITS_MAX)
}

impl Parameters {
    /// Whether a client may be sent a message of `payload_bytes` that a [`Compressor`](super::Compressor)
    /// compressed for many.
    ///
    /// Not with a context on the server's side: the client would keep the message in its window, and our
    /// context would not know. In a smaller window than the compressor's, a message fits that is no longer
    /// than the window, for it cannot refer further back than to its own beginning.
    #[must_use]
    pub const fn can_read_shared(self, payload_bytes: usize) -> bool {
        self.server_no_context_takeover
            && (self.server_max_window_bits >= WINDOW_BITS_MAX
                || payload_bytes <= 1 << self.server_max_window_bits)
    }

    /// The answer's element of Sec-WebSocket-Extensions.
    pub(crate) fn answer(self) -> String {
        let mut text = NAME.to_owned();
        for (name, stands) in [
            (SERVER_NO_CONTEXT_TAKEOVER, self.server_no_context_takeover),
            (CLIENT_NO_CONTEXT_TAKEOVER, self.client_no_context_takeover),
        ] {
            if stands {
                text.extend(["; ", name]);
            }
        }
        if self.answers_server_max_window_bits || self.server_max_window_bits < WINDOW_BITS_MAX {
            push_bits(&mut text, SERVER_MAX_WINDOW_BITS, self.server_max_window_bits);
        }
        if self.client_max_window_bits < WINDOW_BITS_MAX {
            push_bits(&mut text, CLIENT_MAX_WINDOW_BITS, self.client_max_window_bits);
        }
        text
    }
}

impl Parameters {
    /// What concerns the server's messages.
    pub(crate) const fn of_server(self) -> Direction {
        Direction { takeover: !self.server_no_context_takeover, window_bits: self.server_max_window_bits }
    }

    /// What concerns the client's messages.
    pub(crate) const fn of_client(self) -> Direction {
        Direction { takeover: !self.client_no_context_takeover, window_bits: self.client_max_window_bits }
    }
}

impl Direction {
    /// Whether we can compress into this window; if not, our messages go uncompressed, as they always may.
    pub(crate) const fn can_compress(self) -> bool {
        self.window_bits >= OWN_WINDOW_BITS_MIN && self.window_bits <= WINDOW_BITS_MAX
    }

    /// The window for decompressing. At 8 some compressors use 9 without saying so.
    pub(super) fn inflate_window_bits(self) -> u8 {
        own_bits(self.window_bits)
    }
}

impl Effort {
    /// The level, as zlib takes it.
    pub(crate) fn level(self) -> u8 {
        self.level.min(LEVEL_MAX)
    }
}

impl Offer {
    /// The request's element of Sec-WebSocket-Extensions.
    pub(crate) fn request(self) -> String {
        let mut text = NAME.to_owned();
        if !self.takeover {
            text.extend(["; ", SERVER_NO_CONTEXT_TAKEOVER, "; ", CLIENT_NO_CONTEXT_TAKEOVER]);
        }
        let bits = own_bits(self.max_window_bits);
        if bits < WINDOW_BITS_MAX {
            push_bits(&mut text, SERVER_MAX_WINDOW_BITS, bits);
            push_bits(&mut text, CLIENT_MAX_WINDOW_BITS, bits);
        } else {
            text.extend(["; ", CLIENT_MAX_WINDOW_BITS]);
        }
        text
    }
}

fn push_bits(text: &mut String, name: &str, bits: u8) {
    // Writing to a string does not fail.
    let _ = write!(text, "; {name}={bits}");
}

impl Default for Parameters {
    /// An answer without parameters: contexts are kept, windows are 32 KiB.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WINDOW_BITS_MAX,
            client_max_window_bits: WINDOW_BITS_MAX,
            answers_server_max_window_bits: false,
        }
    }
}

impl Default for Acceptance {
    /// No takeover either way: what is compressed once serves all receivers, and an idle connection keeps
    /// nothing.
    fn default() -> Self {
        Self { takeover: false, max_window_bits: WINDOW_BITS_MAX }
    }
}

impl Default for Offer {
    /// Everything: the server decides, for it bears the cost of many connections.
    fn default() -> Self {
        Self { takeover: true, max_window_bits: WINDOW_BITS_MAX }
    }
}

impl Default for Effort {
    /// Level 1 from 512 bytes up: what pays without takeover.
    fn default() -> Self {
        Self { level: 1, min_bytes: 512 }
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => {
                "a parameter of permessage-deflate is unknown, stands twice or has a value that it cannot have"
            }
            Self::ServerTakeover => "it lacks the server_no_context_takeover that was asked for",
            Self::ServerWindow => "its server_max_window_bits is missing, or above the one that was offered",
            Self::ClientWindow => "its client_max_window_bits is above the one that was offered",
        })
    }
}

impl std::error::Error for AnswerError {}
