//! Limits of silence that stand between clients and servers: a connection that ends so long after its last byte was
//! probably ended by one of them.
//!
//! The figures are the defaults of well-known proxies; who changed one is not recognised by it.

use std::fmt;

/// Seconds of silence after which well-known things between client and server give a connection up.
const SILENCES: [(u64, &str); 8] = [
    (30, "a proxy or load balancer with a limit of half a minute"),
    (55, "the router of Heroku"),
    (60, "nginx (proxy_read_timeout), HAProxy (timeout tunnel) or an AWS load balancer (idle timeout)"),
    (100, "Cloudflare"),
    (240, "Azure's load balancer"),
    (300, "a proxy or firewall with a limit of five minutes"),
    (350, "AWS's network load balancer or NAT gateway"),
    (600, "Google Cloud's or another proxy with a limit of ten minutes"),
];

/// A limit that somebody in between may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceLimit {
    /// How long it is.
    pub seconds: u64,
    /// Who has it.
    pub who: &'static str,
}

/// The limit that a silence of so many microseconds is within a second of.
#[must_use]
pub fn limit_near(silence_us: u64) -> Option<SilenceLimit> {
    let seconds = silence_us.saturating_add(500_000) / 1_000_000;
    let near = SILENCES.into_iter().find(|(limit, _)| limit.abs_diff(seconds) <= 1);
    near.map(|(seconds, who)| SilenceLimit { seconds, who })
}

/// A clause: who gives up then, and what to do.
impl fmt::Display for SilenceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, who } = self;
        write!(f, "{seconds} s is where {who} gives up: send Pings more often, or raise its limit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_near_a_limit_within_a_second() {
        for (milliseconds, limit) in [
            (60_000, Some(60)),
            (58_500, Some(60)),
            (61_400, Some(60)),
            (62_600, None),
            (0, None),
            (100_900, Some(100)),
        ] {
            let found = limit_near(milliseconds * 1000).map(|limit| limit.seconds);
            assert_eq!(found, limit, "{milliseconds} ms");
        }
        assert!(limit_near(60_000_000).is_some_and(|limit| limit.to_string().contains("proxy_read_timeout")));
        assert_eq!(limit_near(u64::MAX), None);
    }
}
