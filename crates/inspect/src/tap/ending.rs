//! How a connection ended, in an event and a sentence: who, with what code, and what really happened where no Close
//! frame says so.
//!
//! It knows what both directions said and how their bytes ended; nothing is guessed that was not seen.

use tidegate_websocket::CloseCode;

use super::half::Half;
use crate::event::{Close, Direction, End};
use crate::silence;

/// How the bytes of a direction ended, and when it was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) dir: Direction,
    pub(super) how: End,
    /// Microseconds since the last byte of either direction.
    pub(super) idle_us: u64,
}

/// The event. `first_close` is who sent a Close frame first, `first_end` whose bytes ended first.
pub(super) fn close(
    to_server: &Half,
    to_client: &Half,
    first_close: Option<Direction>,
    first_end: Ended,
) -> Close {
    let half = |dir| match dir {
        Direction::ToServer => to_server,
        Direction::ToClient => to_client,
    };
    let closed = first_close.and_then(|dir| half(dir).closed.as_ref());
    let clean = to_server.closed.is_some() && to_client.closed.is_some();
    let code = match closed {
        Some((code, _)) => code.map_or(CloseCode::NO_STATUS, CloseCode::new),
        None => CloseCode::ABNORMAL,
    };
    let what = match first_close {
        Some(dir) if clean => format!(
            "the {} closed with {}, and the {} answered",
            dir.sender(),
            named(code),
            dir.opposite().sender()
        ),
        Some(dir) => format!(
            "the {} closed with {}, and the {} did not answer it: {}",
            dir.sender(),
            named(code),
            dir.opposite().sender(),
            end_words(first_end)
        ),
        None => without_close(first_end),
    };
    Close {
        code: code.get(),
        name: code.name().map(str::to_owned),
        reason: closed.map(|(_, reason)| reason.clone()).unwrap_or_default(),
        clean,
        by: Some(first_close.unwrap_or(first_end.dir)),
        end: Some(if clean { End::CloseFrame } else { first_end.how }),
        idle_us: Some(first_end.idle_us),
        what: Some(what),
    }
}

fn named(code: CloseCode) -> String {
    match code {
        CloseCode::NO_STATUS => "no code (1005)".to_owned(),
        _ => code.name().map_or_else(|| code.to_string(), |name| format!("{code} {name}")),
    }
}

fn without_close(ended: Ended) -> String {
    let mut text = format!("no Close frame either way (1006): {}", end_words(ended));
    if let Some(limit) = silence::limit_near(ended.idle_us) {
        text.push_str(&format!("; {limit}"));
    }
    text
}

fn end_words(Ended { dir, how, idle_us }: Ended) -> String {
    let seconds = std::time::Duration::from_micros(idle_us).as_secs_f64();
    let sender = dir.sender();
    let what = match how {
        End::CloseFrame | End::EndOfStream => format!("the {sender} ended its stream (FIN)"),
        End::Reset => format!("the {sender}'s connection was reset (RST)"),
        End::TimeOut => format!("nothing came from the {sender} for too long"),
        End::Failure => format!("the {sender}'s connection failed"),
    };
    format!("{what}, {seconds:.1} s after the last byte")
}
