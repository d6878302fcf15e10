//! The keys of the configuration: those that exist, and those that are known but not available in this
//! version.
//!
//! Words only: what a key's value may be is decided where it is read.

use crate::limits::TABLE;

/// Longest key for which a near one is looked for.
const NEAR_MAX_BYTES: usize = 64;

/// Longest list of known keys that a fault shows.
const LISTED_MAX: usize = 16;

/// The keys of one table of the configuration.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// The table as it is called in faults.
    pub(super) name: &'static str,
    /// The keys that may stand in it.
    pub(super) known: &'static [&'static str],
    /// Keys that are not available in this version, with what to do instead.
    pub(super) absent: &'static [(&'static str, &'static str)],
}

const REMOVE: &str = "remove it";

pub(super) static TOP: Vocabulary = Vocabulary {
    name: "the file",
    known: &["listen", "access", "engine", "inspect", "upstream", "limits", "route"],
    absent: &[
        ("centrifuge", REMOVE),
        ("presence", "write it in the routes that are to have it"),
        ("tls", "write it as 'tls' in [listen]"),
    ],
};

pub(super) static LISTEN: Vocabulary =
    Vocabulary { name: "[listen]", known: &["public", "admin", "shards", "tls"], absent: &[] };

pub(super) static TLS: Vocabulary =
    Vocabulary { name: "[listen].tls", known: &["certificate", "key"], absent: &[] };

pub(super) static ACCESS: Vocabulary = Vocabulary {
    name: "[access]",
    known: &["admin_token", "tokens", "origins", "hosts", "trusted_proxies"],
    absent: &[],
};

pub(super) static TOKENS: Vocabulary = Vocabulary {
    name: "[access].tokens",
    known: &["algorithm", "public_key", "secret", "jwks", "issuer", "audience", "cookie"],
    absent: &[],
};

pub(super) static SECRET: Vocabulary =
    Vocabulary { name: "a secret of [access]", known: &["env", "file"], absent: &[] };

pub(super) static ENGINE: Vocabulary = Vocabulary {
    name: "[engine]",
    known: &["embedded"],
    absent: &[
        ("nats", "remove it: one gateway keeps its channels itself"),
        ("redis", "remove it: one gateway keeps its channels itself"),
    ],
};

pub(super) static EMBEDDED: Vocabulary =
    Vocabulary { name: "[engine].embedded", known: &["path", "sync"], absent: &[] };

pub(super) static INSPECT: Vocabulary =
    Vocabulary { name: "[inspect]", known: &["capture", "watch"], absent: &[] };

pub(super) static UPSTREAM: Vocabulary = Vocabulary { name: "[upstream]", known: &["ca"], absent: &[] };

pub(super) static ROUTE: Vocabulary = Vocabulary {
    name: "[[route]]",
    known: &[
        "path",
        "auto",
        "poll",
        "stream",
        "channel",
        "subscribe",
        "publish",
        "history",
        "messages",
        "messages_type",
        "updates",
        "compression",
        "doors",
        "slow",
        "presence",
        "limits",
    ],
    absent: &[
        ("proxy", "remove the route: WebSockets of a backend cannot be passed on yet"),
        ("callback", "use one of auto, poll, stream, channel"),
        ("tcp", "use one of auto, poll, stream, channel"),
        ("process", "use 'stream' with a server that writes SSE or NDJSON"),
        ("authorize", REMOVE),
        ("centrifuge", REMOVE),
        ("on_backend_loss", REMOVE),
    ],
};

pub(super) static AUTO: Vocabulary =
    Vocabulary { name: "[[route]].auto", known: &["url", "share"], absent: &[] };

pub(super) static POLL: Vocabulary =
    Vocabulary { name: "[[route]].poll", known: &["url", "interval", "forward"], absent: &[] };

pub(super) static STREAM: Vocabulary =
    Vocabulary { name: "[[route]].stream", known: &["url"], absent: &[("forward", REMOVE)] };

pub(super) static CHANNEL: Vocabulary = Vocabulary {
    name: "[[route]].channel",
    known: &[],
    absent: &[
        ("presence", "write it beside 'channel', in the route"),
        ("durability", "remove it: [engine] says where channels are kept"),
    ],
};

pub(super) static HISTORY: Vocabulary =
    Vocabulary { name: "[[route]].history", known: &["size", "ttl"], absent: &[] };

/// The limits that a route may set for itself.
pub(super) static ROUTE_LIMITS: Vocabulary =
    Vocabulary { name: "[[route]].limits", known: &["ws_max_message", "ws_max_frames_per_s"], absent: &[] };

/// The keys of the limits' own table.
const LIMIT_KEYS: [&str; TABLE.len()] = {
    let mut keys = [""; TABLE.len()];
    let mut index = 0;
    while index < keys.len() {
        keys[index] = TABLE[index].key;
        index += 1;
    }
    keys
};

pub(super) static LIMITS: Vocabulary = Vocabulary {
    name: "[limits]",
    known: &LIMIT_KEYS,
    absent: &[
        ("breaker", REMOVE),
        ("broker_command", REMOVE),
        ("broker_connect", REMOVE),
        ("broker_max_inflight", REMOVE),
        ("broker_reconnect", REMOVE),
        ("callback_queue", REMOVE),
        ("conn_max_age", REMOVE),
        ("deflate_enabled", "remove it, and write compression = \"off\" in routes that shall not compress"),
        ("log_queue", REMOVE),
        ("memory_limit", REMOVE),
        ("position_check", REMOVE),
        ("publish_json_depth", REMOVE),
        ("publish_max_items", REMOVE),
        ("reserved_fds", REMOVE),
        ("tls_min", "remove it: TLS 1.2 and 1.3 are spoken, nothing older"),
        ("upstream_redirects", "remove it: one redirect is followed, within the same origin"),
        ("ws_notsent_lowat", REMOVE),
        ("ws_so_sndbuf", REMOVE),
    ],
};

/// Where a misplaced key may belong, the likeliest table first.
static ALL: [&Vocabulary; 15] = [
    &LISTEN, &TLS, &ACCESS, &TOKENS, &ENGINE, &EMBEDDED, &INSPECT, &UPSTREAM, &ROUTE, &AUTO, &POLL, &STREAM,
    &HISTORY, &LIMITS, &TOP,
];

impl Vocabulary {
    /// True if the key may stand in this table.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.known.contains(&key)
    }

    /// What to do about a key that is known but not available in this version.
    pub(super) fn absent_mend(&self, key: &str) -> Option<&'static str> {
        self.absent.iter().find(|(absent, _)| *absent == key).map(|(_, mend)| *mend)
    }

    /// What to do about a key that nobody knows: the nearest known one, or the table where it belongs.
    pub(super) fn mend_of_unknown(&self, key: &str) -> String {
        if let Some(nearest) = self.nearest(key) {
            return format!("did you mean '{nearest}'?");
        }
        if let Some(other) = ALL.iter().find(|other| other.known.contains(&key)) {
            return format!("it belongs to {}", other.name);
        }
        match self.known {
            [] => "remove it; nothing stands here".to_owned(),
            many if many.len() > LISTED_MAX => "'tidegate check' lists all keys".to_owned(),
            known => format!("known keys are {}", known.join(", ")),
        }
    }

    /// The known key that was probably meant: at most one slip for three letters.
    fn nearest(&self, key: &str) -> Option<&'static str> {
        if key.len() > NEAR_MAX_BYTES {
            return None;
        }
        let slips = |known: &&'static str| strsim::damerau_levenshtein(known, &key.to_ascii_lowercase());
        let nearest = self.known.iter().copied().min_by_key(slips)?;
        (slips(&nearest) <= (nearest.len() / 3).max(1)).then_some(nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_known_and_absent_at_once() {
        for vocabulary in ALL.iter().copied().chain([&ROUTE_LIMITS, &CHANNEL, &SECRET]) {
            for (absent, _) in vocabulary.absent {
                assert!(!vocabulary.knows(absent), "{absent} in {}", vocabulary.name);
            }
        }
    }

    #[test]
    fn a_routes_limits_are_limits() {
        assert!(ROUTE_LIMITS.known.iter().all(|key| LIMITS.knows(key)));
    }

    #[test]
    fn the_mend_of_an_unknown_key_is_the_nearest_or_its_place() {
        assert_eq!(POLL.mend_of_unknown("intervall"), "did you mean 'interval'?");
        assert_eq!(LISTEN.mend_of_unknown("Public"), "did you mean 'public'?");
        assert_eq!(LIMITS.mend_of_unknown("ws_max_mesage"), "did you mean 'ws_max_message'?");
        assert_eq!(ROUTE.mend_of_unknown("interval"), "it belongs to [[route]].poll");
        assert_eq!(TOP.mend_of_unknown("drain_grace"), "it belongs to [limits]");
        assert_eq!(POLL.mend_of_unknown("zzz"), "known keys are url, interval, forward");
        assert_eq!(CHANNEL.mend_of_unknown("zzz"), "remove it; nothing stands here");
        assert_eq!(POLL.mend_of_unknown(&"interval".repeat(9)), "known keys are url, interval, forward");
    }
}
