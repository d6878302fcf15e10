//! One direction of a TCP connection: it holds so many bytes, takes its time, and can stop, end or break.

use std::collections::VecDeque;

use tidegate_websocket::timing::Tick;

/// What a read of the link's far end gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Bytes(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// The sender has ended its side, and all it sent was read.
    End,
    /// The connection was reset.
    Reset,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Link {
    /// Bytes and when they arrive, in their order.
    under_way: VecDeque<(Tick, u8)>,
    /// When the sender's end arrives, once it has ended.
    ends: Option<Tick>,
    is_reset: bool,
    /// The far end reads no more: what is written is lost.
    pub(crate) is_deaf: bool,
    /// Nothing arrives, and nobody is told.
    pub(crate) is_stopped: bool,
    /// Units from writing to arriving.
    pub(crate) delay: u32,
    /// Bytes that it holds at most.
    pub(crate) room: usize,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            under_way: VecDeque::new(),
            ends: None,
            is_reset: false,
            is_deaf: false,
            is_stopped: false,
            delay: 0,
            room: 64 * 1024,
        }
    }

    /// Takes what it has room for; says how much.
    pub(crate) fn write(&mut self, bytes: &[u8], now: Tick) -> usize {
        if self.is_deaf || self.is_reset {
            return bytes.len();
        }
        let count = bytes.len().min(self.room.saturating_sub(self.under_way.len()));
        let at = now.plus(self.delay);
        self.under_way.extend(bytes[..count].iter().map(|byte| (at, *byte)));
        count
    }

    /// Takes out what has arrived, `most` bytes at most.
    pub(crate) fn read(&mut self, most: usize, now: Tick) -> Arrival {
        if self.is_stopped {
            return Arrival::Nothing;
        }
        if self.is_reset {
            return Arrival::Reset;
        }
        let count = self.under_way.iter().take(most).take_while(|(at, _)| *at <= now).count();
        match (count, self.ends) {
            (0, Some(at)) if self.under_way.is_empty() && at <= now => Arrival::End,
            (0, _) => Arrival::Nothing,
            _ => Arrival::Bytes(self.under_way.drain(..count).map(|(_, byte)| byte).collect()),
        }
    }

    /// The sender ends its side behind what it wrote.
    pub(crate) fn end(&mut self, now: Tick) {
        self.ends.get_or_insert(now.plus(self.delay));
    }

    /// Breaks, and loses what is under way.
    pub(crate) fn reset(&mut self) {
        self.is_reset = true;
        self.under_way.clear();
    }
}
