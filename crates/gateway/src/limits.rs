//! Every limit of the gateway in one table: its key under `[limits]`, its default, what it may be set to
//! and why it exists.
//!
//! Nothing is enforced here: each limit is enforced where the thing it bounds lives. Values come from the
//! configuration; the table itself is shown by `tidegate check` and in the documentation.

pub mod quantity;

use std::fmt;
use std::time::Duration;

pub use self::quantity::{QuantityError, Unit, Written};

/// One row of [`TABLE`].
#[derive(Debug, Clone, Copy)]
pub struct LimitRow {
    /// The key under `[limits]`, which is also the field's name in [`Limits`].
    pub key: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The default, as it would be written.
    pub default_text: &'static str,
    /// The least it may be set to, as it would be written.
    pub least_text: &'static str,
    /// The most it may be set to, as it would be written.
    pub most_text: &'static str,
    /// Why it exists, in one sentence.
    pub reason: &'static str,
}

/// Two limits that cannot both hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The keys that take part, the one to change first.
    pub keys: [&'static str; 2],
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

/// Makes the struct, its defaults, the table and the access by key out of one list, so that none of them
/// can lack a row.
macro_rules! limits {
    ($($key:ident: $type:ty = $default:literal in $least:literal to $most:literal, $reason:literal;)*) => {
        /// All limits, each within the range of its row in [`TABLE`].
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $(
                #[doc = concat!($reason, " Default: ", $default, ".")]
                pub $key: $type,
            )*
        }

        /// Every limit, in the order of the bytes: HTTP, WebSocket, channels, backends, process.
        pub const TABLE: &[LimitRow] = &[
            $(LimitRow {
                key: stringify!($key),
                unit: <$type as Bounded>::UNIT,
                default_text: $default,
                least_text: $least,
                most_text: $most,
                reason: $reason,
            },)*
        ];

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: <$type as Bounded>::of_table($default),)* }
            }
        }

        impl Limits {
            /// Sets one limit, if the value is within its range. An unknown key is an error too.
            pub fn set(&mut self, key: &str, value: Written<'_>) -> Result<(), QuantityError> {
                match key {
                    $(stringify!($key) => self.$key = within::<$type>(value, $least, $most)?,)*
                    _ => return Err(unknown(key)),
                }
                Ok(())
            }

            /// The value of a limit as it would be written; `None` for an unknown key.
            #[must_use]
            pub fn text(&self, key: &str) -> Option<String> {
                match key {
                    $(stringify!($key) => Some(self.$key.text()),)*
                    _ => None,
                }
            }
        }
    };
}

limits! {
    // TLS and HTTP, before anything is known about a client.
    tls_handshake_timeout: Duration = "5s" in "100ms" to "1m", "Time for the TLS handshake, from the first moment of the connection; then it is closed.";
    http_max_header_bytes: usize = "16 KiB" in "8 KiB" to "1 MiB", "A request's head, its first line included; beyond it 431.";
    http_max_headers: u32 = "64" in "8" to "1024", "Header fields of a request; beyond it 431.";
    http_max_uri: usize = "4 KiB" in "256 B" to "32 KiB", "A request's target; beyond it 414.";
    http_header_timeout: Duration = "10s" in "100ms" to "5m", "Time for a whole request head, counted from its first byte; then 408.";
    http_body_timeout: Duration = "10s" in "100ms" to "5m", "Longest pause within a request body; then 408.";
    http_request_timeout: Duration = "30s" in "100ms" to "1h", "Time for a whole request that the gateway answers itself; then 408.";
    http_keepalive_idle: Duration = "60s" in "1s" to "1h", "An idle HTTP connection is closed after it.";
    http_max_requests_per_conn: u32 = "1000" in "1" to "1000000000", "Requests on one HTTP connection, so that load is spread anew now and then.";
    h2_max_concurrent_streams: u32 = "100" in "1" to "10000", "Streams that are open at the same time on one HTTP/2 connection; what is beyond is refused and may be tried again.";
    h2_stream_window: usize = "64 KiB" in "16 KiB" to "16 MiB", "Bytes of a client on one HTTP/2 stream that wait to be taken.";
    h2_conn_window: usize = "1 MiB" in "64 KiB" to "64 MiB", "The same for all streams of one HTTP/2 connection together, and what its small frames may cost.";
    h2_max_header_list: usize = "16 KiB" in "4 KiB" to "1 MiB", "The head of an HTTP/2 request, as its peer counts it; beyond it 431.";
    h2_max_send_buffer: usize = "64 KiB" in "16 KiB" to "16 MiB", "Bytes for one HTTP/2 stream that have left its send queue and wait for the socket.";
    h2_max_control_frames_per_s: u32 = "200" in "10" to "1000000", "Frames a second of one HTTP/2 connection that carry nothing (resets, pings, settings, priorities, empty data and unknown ones), twice that in a burst; beyond it the connection ends.";
    h2_max_error_resets: u32 = "100" in "1" to "1000000", "Streams of one HTTP/2 connection that may be reset because they broke a rule, before the connection ends.";
    max_connections: Option<u32> = "computed" in "1" to "10000000", "Open client connections, beyond which 503; computed as min(50,000, (file descriptors - 256) * 0.9).";
    max_connections_per_ip: u32 = "1000" in "1" to "10000000", "Open connections of one address, of IPv6 a /64, beyond which 429; not counted on loopback nor for trusted proxies.";
    accept_rate: u32 = "2000" in "1" to "10000000", "New connections a second, twice that in a burst, while a shard is as busy as accept_rate_from says; beyond it 503. Not counted on loopback but for trusted proxies.";
    accept_rate_from: u32 = "80" in "0" to "100", "How busy a shard must be, in percent of the last second, for accept_rate to hold; at 0 it always does.";
    accept_error_backoff: Duration = "1s" in "10ms" to "1m", "Longest pause after accepting failed; it starts at 10 ms and doubles.";

    // Credentials.
    token_max_bytes: usize = "8 KiB" in "512 B" to "64 KiB", "A client's token; a longer one is refused unread.";
    auth_timeout: Duration = "10s" in "100ms" to "1m", "Time for judging a credential where a key must be fetched for it; then 503.";
    auth_failures_per_minute: u32 = "20" in "1" to "1000000", "Credentials of one address a minute that are no good; beyond it 429 for all that bring one. Not counted on loopback.";
    max_unauthenticated_per_ip: u32 = "64" in "1" to "1000000", "Requests of one address that wait at the same time for their credential to be judged, beyond which 429. Not counted on loopback.";
    jwks_pause: Duration = "10s" in "1s" to "1h", "Least time from one fetch of a key set to the next, whatever asks for it, and most time for one.";
    jwks_refresh: Duration = "5m" in "1s" to "24h", "Age from which a key set is fetched anew, while the old one still counts.";
    jwks_max_stale: Duration = "1h" in "1s" to "168h", "Age up to which a key set counts where no newer one can be fetched; then 503.";

    // WebSocket.
    ws_max_message: usize = "64 KiB" in "125 B" to "64 MiB", "A client's message, after reassembly; beyond it close 1009.";
    ws_max_fragments: u32 = "256" in "1" to "65536", "Fragments of a client's message; beyond it close 1008.";
    ws_message_timeout: Duration = "30s" in "100ms" to "1h", "Time from a message's first fragment to its last; then close 1008.";
    ws_max_frames_per_s: u32 = "500" in "1" to "1000000", "Frames a second of one client, twice that in a burst; beyond it close 1008.";
    ws_max_control_frames_per_s: u32 = "100" in "10" to "1000000", "Control frames a second of one client, twice that in a burst; beyond it close 1008.";
    ws_ping_interval: Duration = "25s" in "100ms" to "1h", "An idle connection is pinged so often (10 % jitter), below the 60 s of common address translators.";
    ws_pong_timeout: Duration = "10s" in "100ms" to "10m", "Time for the answer to a ping; then the connection counts as dead.";
    ws_close_timeout: Duration = "5s" in "100ms" to "1m", "Time for the answer to a close frame; then the connection is cut.";
    ws_write_timeout: Duration = "10s" in "100ms" to "10m", "Time in which a client must take at least one byte; then close 1013.";
    ws_out_queue_bytes: usize = "2 MiB" in "8 KiB" to "1 GiB", "Bytes waiting for one slow client, at least twice max_publication; beyond it close 1013.";
    ws_out_queue_msgs: u32 = "4096" in "16" to "1000000", "Messages waiting for one slow client; beyond it close 1013.";
    longpoll_max_wait: Duration = "60s" in "1s" to "60s", "Longest wait that a long poll may ask for; beyond it 400.";
    deflate_min_bytes: usize = "512 B" in "64 B" to "64 MiB", "A publication that is compressed once for all; a shorter one goes as it is.";
    deflate_level: u32 = "1" in "1" to "9", "Effort of compression, from fastest to smallest.";
    deflate_max_contexts: u32 = "1000" in "0" to "1000000", "Connections of routes with compression = 'takeover' that keep a compressor and an inflater each; beyond it they share like others.";

    // Channels, publishing and history.
    channels_max_per_conn: u32 = "128" in "1" to "100000", "Channels that one connection follows.";
    channels_max_name: u32 = "255" in "255" to "255", "Bytes of a channel's name; fixed.";
    channels_max_total: u32 = "1000000" in "1" to "100000000", "Channels that exist at the same time; beyond it those that nobody follows and that never held anything go first, then whoever asks for another is refused.";
    channels_linger: Duration = "1h" in "0s" to "720h", "How long a channel on disk goes on with its positions when it keeps nothing and nobody follows it.";
    subscribe_rate: u32 = "50" in "1" to "1000000", "Subscriptions a second of one connection.";
    subscribe_burst: u32 = "200" in "1" to "1000000", "Subscriptions of one connection at once, before subscribe_rate counts.";
    max_publication: usize = "1 MiB" in "1 KiB" to "256 MiB", "One publication, wherever it comes from.";
    publish_rate: u32 = "5000" in "1" to "10000000", "Publishing requests a second of one credential; beyond it 429, before anything is accepted.";
    publish_burst: u32 = "10000" in "1" to "10000000", "Publishing requests of one credential at once, before publish_rate counts.";
    publish_max_body: usize = "1 MiB" in "1 KiB" to "256 MiB", "The body of a publishing request, never more than max_publication; beyond it 413.";
    presence_max_told: u32 = "1000" in "0" to "100000", "Members of a channel up to whom each join and leave is told to all; beyond it only who comes hears the count.";
    history_size: u32 = "100" in "0" to "100000", "Publications that a channel keeps where its route says nothing.";
    history_ttl: Duration = "5m" in "1s" to "24h", "How long they are kept where the route says nothing.";
    history_max_total: usize = "256 MiB" in "1 MiB" to "64 GiB", "The history of all channels together; beyond it the oldest go first.";
    store_queue_bytes: usize = "16 MiB" in "64 KiB" to "1 GiB", "Publications that wait to be written to disk; beyond it publishing gets 503.";
    dedup_window: Duration = "300s" in "1s" to "1h", "How long an Idempotency-Key is remembered.";
    dedup_max_keys: u32 = "100000" in "1" to "10000000", "Idempotency-Keys remembered at the same time; beyond it the oldest go first.";

    // Backends.
    upstream_connect_timeout: Duration = "1s" in "10ms" to "1m", "Time to connect to a backend.";
    upstream_first_byte: Duration = "10s" in "10ms" to "10m", "Time until a backend's answer begins.";
    upstream_total: Duration = "30s" in "10ms" to "1h", "Time for a whole answer of a poll or to a message; streams and passed-through bodies have none.";
    upstream_stream_idle: Duration = "60s" in "1s" to "1h", "Silence on a stream after which it is connected anew.";
    upstream_max_response: usize = "1 MiB" in "1 KiB" to "256 MiB", "The body of a poll or of an answer to a message, never more than max_publication.";
    upstream_max_line: usize = "64 KiB" in "256 B" to "64 MiB", "One line of a stream.";
    upstream_max_inflight: u32 = "256" in "1" to "100000", "Requests to one backend at the same time, for passed-through requests and the gateway's own apart.";
    upstream_pool_idle: Duration = "55s" in "100ms" to "1h", "An idle connection to a backend is closed after it, before the backend's usual 60 s.";
    poll_max_urls: u32 = "1000" in "1" to "1000000", "Distinct polled URLs and streams; beyond it a handshake gets 503.";
    poll_linger: Duration = "30s" in "100ms" to "1h", "How long a URL is still polled, a stream kept, and the position of a channel without history, when nobody listens any more.";
    patch_max_document: usize = "1 MiB" in "1 KiB" to "16 MiB", "A document that is compared with the one before it; a larger one goes whole.";
    patch_max_pending: u32 = "64" in "1" to "10000", "Publications of one channel that wait to be compared; beyond it they go whole.";
    messages_max_pending: u32 = "16" in "1" to "10000", "Messages of one client that wait to be posted to the backend.";

    // Watching.
    inspect_max_watchers: u32 = "16" in "0" to "1000", "Watchers of the admin listener at the same time, each with 32 watches; beyond it 503.";
    inspect_handshakes: u32 = "128" in "0" to "65536", "Handshakes of WebSockets, accepted or refused, that each shard keeps without their credentials, 4 KiB each at most.";
    inspect_ring: u32 = "256" in "0" to "65536", "Connections that have ended, on each shard, whose rows and closes are told for 15 minutes.";
    inspect_max_taps: u32 = "256" in "1" to "10000", "Connections of one shard whose frames are captured at the same time; who watches more is told so.";
    inspect_ring_events: u32 = "1000" in "16" to "100000", "Events that are kept of one connection that is watched; beyond it the oldest go first, and the watcher is told how many.";
    inspect_ring_bytes: usize = "4 MiB" in "64 KiB" to "256 MiB", "Bytes of payload that are kept of one connection that is watched, and sixteen times as many of all on a shard.";

    // The process.
    drain_grace: Duration = "3s" in "0s" to "5m", "Time between the signal and the first close, for load balancers to notice.";
    drain_spread: Duration = "20s" in "0s" to "1h", "Time over which clients are closed, so that they do not come back all at once.";
    drain_deadline: Duration = "29s" in "1s" to "1h", "The process has ended by then, within the 30 s of common orchestrators.";
}

/// A type of limit: how it is read, printed and compared.
trait Bounded: Sized + PartialOrd {
    const UNIT: Unit;
    fn read(value: Written<'_>) -> Result<Self, QuantityError>;
    fn text(&self) -> String;

    /// Reads a default or a bound of the table, where counts are written as text too.
    fn of_table(text: &'static str) -> Self {
        let written = text.parse().map_or(Written::Text(text), Written::Number);
        Self::read(written).expect("a test reads every text of the table")
    }
}

impl Bounded for usize {
    const UNIT: Unit = Unit::Bytes;

    fn read(value: Written<'_>) -> Result<Self, QuantityError> {
        quantity::written_size(value)
    }

    fn text(&self) -> String {
        quantity::size_text(*self)
    }
}

impl Bounded for u32 {
    const UNIT: Unit = Unit::Count;

    fn read(value: Written<'_>) -> Result<Self, QuantityError> {
        quantity::written_count(value)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Bounded for Duration {
    const UNIT: Unit = Unit::Time;

    fn read(value: Written<'_>) -> Result<Self, QuantityError> {
        quantity::written_duration(value)
    }

    fn text(&self) -> String {
        quantity::duration_text(*self)
    }
}

/// A count that is computed when it is not stated.
impl Bounded for Option<u32> {
    const UNIT: Unit = Unit::Count;

    fn read(value: Written<'_>) -> Result<Self, QuantityError> {
        match value {
            Written::Text("computed") => Ok(None),
            value => quantity::written_count(value).map(Some),
        }
    }

    fn text(&self) -> String {
        self.map_or_else(|| "computed".to_owned(), |count| count.to_string())
    }
}

/// Reads a value and holds it against the bounds of its row. A value that is to be computed has none.
fn within<T: Bounded>(
    value: Written<'_>,
    least: &'static str,
    most: &'static str,
) -> Result<T, QuantityError> {
    let read = T::read(value)?;
    let inside = T::of_table(least) <= read && read <= T::of_table(most);
    if inside || matches!(value, Written::Text("computed")) {
        return Ok(read);
    }
    let mend = if least == most {
        format!("it is fixed at {least}; remove the line")
    } else {
        format!("write a value from {least} to {most}")
    };
    Err(QuantityError { what: format!("{} is out of range", read.text()), mend })
}

fn unknown(key: &str) -> QuantityError {
    QuantityError {
        what: format!("unknown limit {key:?}"),
        mend: "'tidegate check' lists all limits".to_owned(),
    }
}

impl Limits {
    /// The row of a key.
    #[must_use]
    pub fn row(key: &str) -> Option<&'static LimitRow> {
        TABLE.iter().find(|row| row.key == key)
    }

    /// The bound on open connections: as stated, else computed from the number of file descriptors that
    /// the process may have, 256 of them kept for backends, files and listeners. At least 1.
    #[must_use]
    pub fn max_connections_within(&self, file_descriptors: u64) -> u32 {
        let computed = file_descriptors.saturating_sub(256).saturating_mul(9) / 10;
        let computed = u32::try_from(computed.clamp(1, 50_000)).unwrap_or(50_000);
        self.max_connections.unwrap_or(computed)
    }

    /// Every pair of limits that cannot both hold. Empty for the defaults.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut found = Vec::new();
        let twice = self.max_publication.saturating_mul(2);
        if self.ws_out_queue_bytes < twice {
            found.push(Contradiction {
                keys: ["ws_out_queue_bytes", "max_publication"],
                what: format!(
                    "ws_out_queue_bytes ({}) is less than twice max_publication ({})",
                    quantity::size_text(self.ws_out_queue_bytes),
                    quantity::size_text(self.max_publication)
                ),
                mend: format!("write ws_out_queue_bytes = \"{}\" or more", quantity::size_text(twice)),
            });
        }
        let sum = self.drain_grace.saturating_add(self.drain_spread);
        if sum > self.drain_deadline {
            found.push(Contradiction {
                keys: ["drain_deadline", "drain_spread"],
                what: format!(
                    "drain_grace and drain_spread together ({}) are longer than drain_deadline ({})",
                    quantity::duration_text(sum),
                    quantity::duration_text(self.drain_deadline)
                ),
                mend: format!("write drain_deadline = \"{}\" or more", quantity::duration_text(sum)),
            });
        }
        for [smaller, larger] in ORDERED {
            found.extend(self.out_of_order(smaller, larger));
        }
        found
    }

    /// The contradiction in which `smaller` is above `larger`, if it is.
    fn out_of_order(&self, smaller: &'static str, larger: &'static str) -> Option<Contradiction> {
        if self.amount(smaller)? <= self.amount(larger)? {
            return None;
        }
        let (small, large) = (self.text(smaller)?, self.text(larger)?);
        let mark = if Self::row(smaller)?.unit == Unit::Count { "" } else { "\"" };
        Some(Contradiction {
            keys: [smaller, larger],
            what: format!("{smaller} ({small}) is more than {larger} ({large})"),
            mend: format!("write {smaller} = {mark}{large}{mark} or less, or raise {larger}"),
        })
    }

    /// The number behind a key, in bytes, milliseconds or as counted; for comparing limits of one unit.
    fn amount(&self, key: &'static str) -> Option<u128> {
        let text = self.text(key)?;
        match Self::row(key)?.unit {
            Unit::Bytes => quantity::size(&text).ok().map(|bytes| bytes as u128),
            Unit::Time => quantity::duration(&text).ok().map(|time| time.as_millis()),
            Unit::Count => text.parse().ok(),
        }
    }
}

/// Pairs of one unit of which the first must not be above the second.
const ORDERED: [[&str; 2]; 12] = [
    ["http_max_uri", "http_max_header_bytes"],
    ["h2_stream_window", "h2_conn_window"],
    ["http_header_timeout", "http_request_timeout"],
    ["http_body_timeout", "http_request_timeout"],
    ["ws_max_control_frames_per_s", "ws_max_frames_per_s"],
    ["ws_pong_timeout", "ws_ping_interval"],
    ["subscribe_rate", "subscribe_burst"],
    ["publish_rate", "publish_burst"],
    ["publish_max_body", "max_publication"],
    ["upstream_max_response", "max_publication"],
    ["upstream_connect_timeout", "upstream_total"],
    ["upstream_first_byte", "upstream_total"],
];

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_this_one() {
        let page = include_str!("../../../docs/configuration.md");
        let (_, section) = page.split_once("\n## Limits\n").expect("the page has the section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let documented: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        let rows: Vec<String> = TABLE
            .iter()
            .map(|row| {
                let LimitRow { key, default_text, least_text, most_text, reason, .. } = row;
                format!("| `{key}` | {default_text} | {least_text} to {most_text} | {reason} |")
            })
            .collect();
        assert_eq!(documented, rows);
    }

    #[test]
    fn every_text_of_the_table_is_readable_and_the_default_is_in_range() {
        let defaults = Limits::default();
        for row in TABLE {
            let mut limits = Limits::default();
            for text in [row.least_text, row.most_text, row.default_text] {
                let written = text.parse().map_or(Written::Text(text), Written::Number);
                limits.set(row.key, written).unwrap_or_else(|error| panic!("{}: {error}", row.key));
            }
            assert_eq!(limits, defaults, "{}", row.key);
            assert!(row.reason.ends_with('.'), "{}", row.key);
        }
        assert_eq!(defaults.ws_max_message, 65_536);
        assert_eq!(defaults.drain_grace, Duration::from_secs(3));
    }

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(Limits::default().contradictions(), []);
    }

    #[test]
    fn each_ordered_pair_is_of_one_unit_and_is_checked() {
        for [smaller, larger] in ORDERED {
            let row = Limits::row(larger).unwrap();
            assert_eq!(Limits::row(smaller).unwrap().unit, row.unit, "{smaller} {larger}");
            let mut limits = Limits::default();
            let bounds = [(smaller, Limits::row(smaller).unwrap().most_text), (larger, row.least_text)];
            for (key, text) in bounds {
                limits.set(key, text.parse().map_or(Written::Text(text), Written::Number)).unwrap();
            }
            let found = limits.contradictions();
            assert!(found.iter().any(|found| found.keys == [smaller, larger]), "{smaller} {larger}");
        }
    }

    #[test]
    fn a_send_queue_holds_two_publications() {
        let limits = Limits { max_publication: 4 << 20, ..Limits::default() };
        let found = limits.contradictions();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].mend, "write ws_out_queue_bytes = \"8 MiB\" or more");
    }

    #[test]
    fn draining_ends_before_its_deadline() {
        let limits = Limits { drain_deadline: Duration::from_secs(22), ..Limits::default() };
        assert_eq!(limits.contradictions()[0].mend, "write drain_deadline = \"23s\" or more");
    }

    #[test]
    fn connections_are_computed_from_file_descriptors_unless_stated() {
        let limits = Limits::default();
        assert_eq!(limits.max_connections_within(20_000), 17_769);
        assert_eq!(limits.max_connections_within(1_000_000), 50_000);
        assert_eq!(limits.max_connections_within(u64::MAX), 50_000);
        assert_eq!(limits.max_connections_within(10), 1);
        let stated = Limits { max_connections: Some(7), ..limits };
        assert_eq!(stated.max_connections_within(20_000), 7);
    }

    #[test]
    fn a_value_out_of_range_names_the_range() {
        let mut limits = Limits::default();
        let error = limits.set("ws_max_message", Written::Text("1 GiB")).unwrap_err();
        assert_eq!(error.mend, "write a value from 125 B to 64 MiB");
        let error = limits.set("channels_max_name", Written::Number(100)).unwrap_err();
        assert_eq!(error.mend, "it is fixed at 255; remove the line");
        assert!(limits.set("no_such_key", Written::Number(1)).is_err());
        assert_eq!(limits, Limits::default());
    }
}
