//! Counters of one shard, and their sum as Prometheus text.
//!
//! A shard counts in plain integers; a scrape asks each shard for a copy and adds them up. Labels come
//! from closed sets only: no channel, no address.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tidegate_hub::{FORMS, Form};

use crate::store::Figures;

/// What one shard has counted since its start, and what it holds now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// Open sessions, by the index of their form.
    pub(crate) open: [u64; FORMS.len()],
    /// Sessions since the start, by the index of their form.
    pub(crate) accepted: [u64; FORMS.len()],
    /// Ends by close code; every code that is not in the registered list counts as 0.
    pub(crate) closes: BTreeMap<u16, u64>,
    /// Refused requests, by HTTP status.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Passed-through requests, by the class of their answer's status.
    pub(crate) forwarded: BTreeMap<u16, u64>,
    /// Requests and commands refused for their credential, by the reason.
    pub(crate) credentials_refused: BTreeMap<&'static str, u64>,
    /// TLS handshakes that came to nothing, by the reason.
    pub(crate) tls_handshake_failed: BTreeMap<&'static str, u64>,
    /// Connections, and sessions on HTTP/2, for which there was no room, by the limit.
    pub(crate) turned_away: BTreeMap<&'static str, u64>,
    /// Messages that were queued and never sent, by the reason.
    pub(crate) dropped_messages: BTreeMap<&'static str, u64>,
    pub(crate) tokens_expired: u64,
    pub(crate) jwks_fetched: u64,
    pub(crate) jwks_failed: u64,
    pub(crate) tls_handshakes: u64,
    pub(crate) tls_reload_failed: u64,
    pub(crate) received_messages: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) writes: u64,
    pub(crate) enqueued_messages: u64,
    pub(crate) written_messages: u64,
    pub(crate) protocol_errors: u64,
    pub(crate) slow_consumers_queue: u64,
    pub(crate) slow_consumers_stall: u64,
    pub(crate) slow_consumers_latest: u64,
    pub(crate) h2_connections: u64,
    pub(crate) h2_streams: u64,
    pub(crate) h2_streams_reset: u64,
    pub(crate) h2_abuses: u64,
    pub(crate) published: u64,
    pub(crate) compared: u64,
    pub(crate) uncompared: u64,
    pub(crate) encoded: u64,
    pub(crate) deflated_messages: u64,
    pub(crate) deflated_bytes: u64,
    pub(crate) deflated_to_bytes: u64,
    pub(crate) inflated_bytes: u64,
    pub(crate) inflated_to_bytes: u64,
    pub(crate) deflate_contexts: u64,
    pub(crate) source_publications: u64,
    pub(crate) source_failures: u64,
    pub(crate) source_refused: u64,
    pub(crate) evicted: u64,
    pub(crate) unrecovered: u64,
    pub(crate) store_commits: u64,
    pub(crate) store_orders: u64,
    pub(crate) store_failures: u64,
    pub(crate) store_refused: u64,
    pub(crate) store_queue_bytes: u64,
    pub(crate) store_disk_bytes: u64,
    pub(crate) store_broken: u64,
    pub(crate) channels: u64,
    pub(crate) history_bytes: u64,
    pub(crate) sources: u64,
}

impl Counters {
    pub(crate) fn opened(&mut self, form: Form) {
        self.open[form as usize] += 1;
        self.accepted[form as usize] += 1;
    }

    pub(crate) fn closed(&mut self, form: Form) {
        self.open[form as usize] -= 1;
    }

    pub(crate) fn closed_with(&mut self, code: u16) {
        // 1000 to 1015 and our own: what else a client sends must not make series.
        let known = matches!(code, 1000..=1015 | 4400 | 4401 | 4403 | 4404 | 4408 | 4409 | 4429);
        *self.closes.entry(if known { code } else { 0 }).or_default() += 1;
    }

    pub(crate) fn refused_with(&mut self, status: u16) {
        *self.refused.entry(status).or_default() += 1;
    }

    pub(crate) fn forwarded_with(&mut self, status: u16) {
        *self.forwarded.entry(status / 100).or_default() += 1;
    }

    /// `reason` is one of a few words, if a credential was the reason.
    pub(crate) fn credential_refused(&mut self, reason: Option<&'static str>) {
        if let Some(reason) = reason {
            *self.credentials_refused.entry(reason).or_default() += 1;
        }
    }

    /// `reason` is one of a few words.
    pub(crate) fn no_handshake(&mut self, reason: &'static str) {
        *self.tls_handshake_failed.entry(reason).or_default() += 1;
    }

    /// `limit` is the key of the limit that left no room.
    pub(crate) fn turned_away_by(&mut self, limit: &'static str) {
        *self.turned_away.entry(limit).or_default() += 1;
    }

    /// `reason` is one of a few words.
    pub(crate) fn dropped(&mut self, reason: &'static str, messages: u32) {
        if messages > 0 {
            *self.dropped_messages.entry(reason).or_default() += u64::from(messages);
        }
    }

    /// Takes over what the store has counted.
    pub(crate) fn count_store(&mut self, figures: &Figures) {
        self.store_commits = figures.commits.load(Ordering::Relaxed);
        self.store_orders = figures.orders.load(Ordering::Relaxed);
        self.store_failures = figures.failures.load(Ordering::Relaxed);
        self.store_queue_bytes = figures.queue_bytes.load(Ordering::Relaxed) as u64;
        self.store_disk_bytes = figures.used_bytes.load(Ordering::Relaxed);
        self.store_broken = u64::from(figures.is_broken.load(Ordering::Relaxed));
    }

    /// Adds what another shard counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for form in 0..FORMS.len() {
            self.open[form] += other.open[form];
            self.accepted[form] += other.accepted[form];
        }
        let maps = [
            (&mut self.closes, &other.closes),
            (&mut self.refused, &other.refused),
            (&mut self.forwarded, &other.forwarded),
        ];
        for (sum, part) in maps {
            for (key, count) in part {
                *sum.entry(*key).or_default() += count;
            }
        }
        let reasons = [
            (&mut self.tls_handshake_failed, &other.tls_handshake_failed),
            (&mut self.credentials_refused, &other.credentials_refused),
            (&mut self.turned_away, &other.turned_away),
            (&mut self.dropped_messages, &other.dropped_messages),
        ];
        for (sum, part) in reasons {
            for (reason, count) in part {
                *sum.entry(*reason).or_default() += count;
            }
        }
        for ((_, _, sum), (_, _, part)) in self.plain_mut().into_iter().zip(other.plain()) {
            *sum += part;
        }
    }
}

macro_rules! plain {
    ($($kind:ident $field:ident $help:literal;)*) => {
        impl Counters {
            fn plain(&self) -> Vec<(Kind, (&'static str, &'static str), u64)> {
                vec![$((Kind::$kind, (stringify!($field), $help), self.$field),)*]
            }

            fn plain_mut(&mut self) -> Vec<(Kind, &'static str, &mut u64)> {
                vec![$((Kind::$kind, stringify!($field), &mut self.$field),)*]
            }
        }
    };
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

plain! {
    Counter tokens_expired "Connections closed because their token ended";
    Counter jwks_fetched "Key sets fetched";
    Counter jwks_failed "Key sets that could not be fetched or read";
    Counter tls_handshakes "TLS handshakes done on the public listeners";
    Counter tls_reload_failed "Times a new certificate was not taken";
    Counter received_messages "Messages from WebSocket clients";
    Counter received_bytes "Bytes from WebSocket clients, frames included";
    Counter sent_bytes "Bytes sent to WebSocket clients and on HTTP streams";
    Counter writes "System calls that wrote to WebSocket clients";
    Counter enqueued_messages "Messages put into send queues";
    Counter written_messages "Messages of send queues that went out whole";
    Counter protocol_errors "Connections closed because the client broke the protocol";
    Counter slow_consumers_queue "Clients closed because their send queue was full";
    Counter slow_consumers_stall "Clients cut because they took nothing";
    Counter slow_consumers_latest "Subscriptions that were passed over until the newest publication";
    Counter h2_connections "Connections of clients that spoke HTTP/2";
    Counter h2_streams "Streams that clients opened on them";
    Counter h2_streams_reset "Streams that ended by a reset, whoever sent it";
    Counter h2_abuses "HTTP/2 connections that the gateway ended because their client broke a rule or flooded it";
    Counter published "Publications appended";
    Counter compared "Publications compared with those before them";
    Counter uncompared "Publications that went whole because comparing them was beyond a limit";
    Counter encoded "Publications brought into a wire form";
    Counter deflated_messages "Messages compressed, once for all who share them or for one client";
    Counter deflated_bytes "Payload bytes of compressed messages, before";
    Counter deflated_to_bytes "Payload bytes of compressed messages, after";
    Counter inflated_bytes "Bytes from clients that may compress, frames included";
    Counter inflated_to_bytes "Payload bytes of the messages in them, inflated";
    Counter source_publications "Publications that polls and streams brought";
    Counter source_failures "Times a source began to fail";
    Counter source_refused "Publications of sources for which there was no place";
    Counter evicted "Publications that left histories because of history_max_total";
    Counter unrecovered "Resumes that were answered with a gap";
    Counter store_commits "Batches written to disk";
    Counter store_orders "Publications and other changes in these batches";
    Counter store_failures "Times that the store could not write and gave up what waited for it";
    Counter store_refused "Publications refused because of the store";
    Gauge store_queue_bytes "Bytes that wait to be written to disk";
    Gauge store_disk_bytes "Bytes that the store takes on the disk";
    Gauge store_broken "1 while the store cannot write";
    Gauge channels "Channels with a log";
    Gauge history_bytes "Payload bytes kept in histories";
    Gauge deflate_contexts "Connections that keep a compressor and an inflater";
    Gauge sources "Polled URLs and streams that run";
}

/// The sum of all shards, as a collector: its values are those of one moment.
#[derive(Debug)]
struct Sum(Counters);

impl Collector for Sum {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (kind, (name, help), value) in self.0.plain() {
            match kind {
                Kind::Counter => {
                    let metric = ConstCounter::new(value);
                    metric.encode(encoder.encode_descriptor(
                        name,
                        help,
                        None::<&Unit>,
                        MetricType::Counter,
                    )?)?;
                }
                Kind::Gauge => {
                    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                    metric.encode(encoder.encode_descriptor(
                        name,
                        help,
                        None::<&Unit>,
                        MetricType::Gauge,
                    )?)?;
                }
            }
        }
        let mut open =
            encoder.encode_descriptor("open_connections", "Open connections", None, MetricType::Gauge)?;
        for (door, value) in DOORS.iter().zip(self.0.open) {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(open.encode_family(&[("door", *door)])?)?;
        }
        let mut accepted =
            encoder.encode_descriptor("connections", "Connections accepted", None, MetricType::Counter)?;
        for (door, value) in DOORS.iter().zip(self.0.accepted) {
            ConstCounter::new(value).encode(accepted.encode_family(&[("door", *door)])?)?;
        }
        let maps = [
            ("closes", "Ends of connections", "code", &self.0.closes),
            ("refused", "Requests that the gateway refused", "status", &self.0.refused),
            ("forwarded", "Requests passed through", "status_class", &self.0.forwarded),
        ];
        let reasons = [
            (
                "tls_handshake_failed",
                "TLS handshakes that came to nothing",
                "reason",
                &self.0.tls_handshake_failed,
            ),
            (
                "credentials_refused",
                "Requests and commands refused for their credential",
                "reason",
                &self.0.credentials_refused,
            ),
            (
                "turned_away",
                "Connections, and sessions on HTTP/2, for which there was no room",
                "limit",
                &self.0.turned_away,
            ),
            (
                "dropped_messages",
                "Messages that were queued and never sent",
                "reason",
                &self.0.dropped_messages,
            ),
        ];
        for (name, help, label, map) in reasons {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (reason, value) in map {
                ConstCounter::new(*value).encode(family.encode_family(&[(label, *reason)])?)?;
            }
        }
        for (name, help, label, map) in maps {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (key, value) in map {
                ConstCounter::new(*value).encode(family.encode_family(&[(label, *key)])?)?;
            }
        }
        Ok(())
    }
}

/// Names of the forms, by index.
const DOORS: [&str; FORMS.len()] = ["websocket", "tidegate.v1", "event_stream", "ndjson", "longpoll"];

/// The name of a form on the admin listener.
pub(crate) fn door_name(form: Form) -> &'static str {
    DOORS[form as usize]
}

/// All of `sum` in the OpenMetrics text format, names prefixed with `tidegate_`.
pub(crate) fn text(sum: Counters) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("tidegate");
    registry.register_collector(Box::new(Sum(sum)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_shards_is_printed_with_bounded_labels() {
        let (mut first, mut second) = (Counters::default(), Counters::default());
        first.opened(Form::Bare);
        second.opened(Form::EventStream);
        second.published = 3;
        first.no_handshake("timeout");
        second.no_handshake("timeout");
        first.closed_with(1000);
        first.closed_with(4242);
        second.closed_with(4999);
        first.add(&second);
        let text = text(first).unwrap();
        for line in [
            "tidegate_published_total 3",
            "tidegate_tls_handshake_failed_total{reason=\"timeout\"} 2",
            "tidegate_open_connections{door=\"websocket\"} 1",
            "tidegate_open_connections{door=\"event_stream\"} 1",
            "tidegate_closes_total{code=\"1000\"} 1",
            "tidegate_closes_total{code=\"0\"} 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
        }
    }
}
