//! The handshakes of WebSockets that a shard answered lately, let in or not: what a developer looks for whose client
//! does not connect. Heads come from `handshake` without secrets; whether they are as they should be is judged when
//! they are shown.

use std::net::IpAddr;
use std::time::Instant;

use serde_json::{Value, json};
use tidegate_hub::SessionId;
use tidegate_inspect::check::{Outcome, Requirement, check};
use tidegate_inspect::event::Handshake as Head;

use super::Shard;
use super::recent::Recent;
use crate::settings::Capture;

/// One handshake. Its heads are cut where they are long.
#[derive(Debug, Clone)]
pub(crate) struct Handshake {
    /// In milliseconds since 1970.
    pub(crate) at: u64,
    /// Counted on its shard.
    pub(crate) number: u64,
    /// The session that it opened, once that is there.
    pub(crate) session: Option<SessionId>,
    pub(crate) remote: IpAddr,
    pub(crate) asked: Head,
    pub(crate) answered: Head,
    pub(crate) of_wire: OfWire,
    /// Something of the heads is not here because they are long.
    pub(crate) truncated: bool,
    pub(crate) refused: Option<Refused>,
    pub(crate) timing: Timing,
}

/// Which heads are as they were on the wire: others have names in lower case, in the HTTP library's order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfWire {
    pub(crate) asked: bool,
    pub(crate) answered: bool,
}

/// Why a client was not let in.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// What to change in the configuration if it is meant to come in.
    pub(crate) setting: Option<String>,
}

/// How long the parts of a handshake took, in microseconds, as far as it is known here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    pub(crate) tls: Option<u32>,
    /// From the first moment of the connection, or the end of TLS, to the whole head of its first request.
    pub(crate) head: Option<u32>,
    pub(crate) auth: Option<u32>,
    pub(crate) backend: Option<u32>,
    /// From the whole head to the answer.
    pub(crate) total: Option<u32>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    recent: Recent<Handshake>,
    numbers: u64,
}

impl Handshakes {
    /// The number of the next.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The handshake of this number has opened a session.
    pub(crate) fn opened(&mut self, number: u64, session: SessionId) {
        if let Some(handshake) = self.find(number) {
            handshake.session = Some(session);
        }
    }

    /// The handshake of this number was answered with this on the wire.
    pub(crate) fn answered(&mut self, number: u64, answered: Head, truncated: bool) {
        if let Some(handshake) = self.find(number) {
            handshake.answered = answered;
            handshake.of_wire.answered = true;
            handshake.truncated |= truncated;
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Handshake> {
        self.recent.iter_mut().rev().find(|handshake| handshake.number == number)
    }

    /// From the newest to the oldest.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Handshake> {
        self.recent.newest_first()
    }

    /// The one that opened this session, if it is still here.
    pub(crate) fn of(&self, session: SessionId) -> Option<&Handshake> {
        self.newest_first().find(|handshake| handshake.session == Some(session))
    }
}

impl Shard {
    /// Whether handshakes are kept.
    pub(crate) fn keeps_handshakes(&self) -> bool {
        let settings = &self.generation.settings;
        settings.limits.inspect_handshakes > 0 && settings.inspect.capture == Capture::Meta
    }

    /// Keeps a handshake.
    pub(crate) fn keep_handshake(&mut self, handshake: Handshake) {
        let most = self.generation.settings.limits.inspect_handshakes as usize;
        self.handshakes.recent.push(handshake, most, Instant::now());
    }
}

impl Handshake {
    /// As `docs/admin.md` says it; `shard` is where it happened.
    pub(crate) fn to_json(&self, shard: u16) -> Value {
        let Timing { tls, head, auth, backend, total } = self.timing;
        let checks: Vec<Value> =
            check(Some(&self.asked), Some(&self.answered)).iter().map(requirement).collect();
        let refused = self.refused.as_ref().map(|refused| {
            json!({ "status": refused.status, "reason": refused.reason, "setting": refused.setting })
        });
        json!({
            "at": self.at,
            "connection": self.session.map(|session| format!("{shard}-{session}")),
            "remote": self.remote.to_string(),
            "http": self.asked.http,
            "as_written": self.of_wire.asked && self.of_wire.answered,
            "truncated": self.truncated,
            "hidden": self.asked.hidden.iter().chain(&self.answered.hidden).collect::<Vec<_>>(),
            "request": { "line": self.asked.start, "headers": self.asked.headers },
            "response": { "line": self.answered.start, "headers": self.answered.headers },
            "checks": checks,
            "refused": refused,
            "timing": {
                "tcp_us": null,
                "tls_us": tls,
                "head_us": head,
                "auth_us": auth,
                "backend_us": backend,
                "total_us": total,
            },
        })
    }
}

fn requirement(requirement: &Requirement) -> Value {
    json!({
        "part": requirement.part,
        "ok": requirement.outcome != Outcome::Broken,
        "outcome": requirement.outcome,
        "what": requirement.what,
        "section": requirement.section,
        "found": requirement.found,
        "mend": requirement.mend,
    })
}
