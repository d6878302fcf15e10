//! `[[route]]`: one table a route, exactly one kind in each.
//!
//! Reads each table into a route that cannot be wrong; whether two routes match the same paths is asked
//! of the route table at the end.

use std::time::Duration;

use tidegate_hub::{Increments, Slow, Updates};
use tidegate_inspect::words::known;

use super::bounds;
use super::document::{Entry, Section};
use super::fault::{Collector, shown};
use super::vocabulary;
use crate::limits::{Limits, quantity};
use crate::route::{
    Backend, Compression, Doors, Forward, HistoryPolicy, Kind, Messages, Pattern, Publish, ROUTES_MAX, Route,
    RouteLimits, Share, Subscribe, UrlTemplate,
};

/// The kinds of this version, in the order in which faults name them.
const KINDS: [&str; 4] = ["auto", "poll", "stream", "channel"];

/// Shortest interval of a poll; shorter ones are no poll but a load.
const INTERVAL_LEAST: Duration = Duration::from_millis(100);

/// Longest interval of a poll.
const INTERVAL_MOST: Duration = Duration::from_secs(24 * 3600);

/// Longest `messages_type`.
const TYPE_MAX_BYTES: usize = 255;

/// A route with the place of its path; one of the command line has none.
#[derive(Debug)]
pub(super) struct PlacedRoute {
    pub(super) route: Route,
    pub(super) at: Option<usize>,
}

/// Reads all routes. Those with faults are left out.
pub(super) fn read(
    entry: Option<Entry<'_>>,
    limits: &Limits,
    faults: &mut Collector<'_>,
) -> Vec<PlacedRoute> {
    let Some(entry) = entry else { return Vec::new() };
    let Some(items) = entry.items() else {
        faults.add(known::WRONG_TYPE, entry.key_at, "routes are a list", "write [[route]] with two brackets");
        return Vec::new();
    };
    let mut routes = Vec::new();
    for item in items {
        if routes.len() == ROUTES_MAX {
            faults.add(
                known::TOO_MANY,
                item.at,
                format!("more than {ROUTES_MAX} routes"),
                "join some with {parameters}",
            );
            break;
        }
        let Some(section) = item.section(&vocabulary::ROUTE, faults) else { continue };
        routes.extend(read_route(section, limits, faults));
    }
    routes
}

fn read_route(section: Section<'_>, limits: &Limits, faults: &mut Collector<'_>) -> Option<PlacedRoute> {
    let pattern = read_pattern(section, faults);
    let kind = read_kind(section, pattern.as_ref(), faults);
    let subscribe = read_subscribe(section, faults);
    let publish = read_publish(section, kind.as_ref(), faults);
    let history = read_history(section, limits, faults);
    let messages = read_messages(section, kind.as_ref(), faults);
    let compression = read_compression(section, faults);
    let increments = read_updates(section, kind.as_ref(), faults);
    let slow = read_slow(section, faults);
    let presence = read_presence(section, kind.as_ref(), faults);
    let doors = read_doors(section, kind.as_ref(), faults);
    let limits = read_limits(section, limits, faults);
    let (pattern, kind) = (pattern?, kind?);
    let route = Route {
        pattern,
        kind,
        subscribe,
        publish,
        history,
        messages,
        increments,
        compression,
        slow,
        presence,
        doors,
        limits,
    };
    Some(PlacedRoute { route, at: section.get("path").map(|entry| entry.at) })
}

fn read_pattern(section: Section<'_>, faults: &mut Collector<'_>) -> Option<Pattern> {
    if section.get("path").is_none() {
        faults.add(
            known::MISSING_KEY,
            section.at,
            "the route has no path",
            "add a line such as path = \"/quotes/{symbol}\"",
        );
        return None;
    }
    let (text, at) = section.text("path", faults)?;
    Pattern::parse(text).map_err(|error| faults.add(known::BAD_PATTERN, at, error.what, error.mend)).ok()
}

fn read_kind(section: Section<'_>, pattern: Option<&Pattern>, faults: &mut Collector<'_>) -> Option<Kind> {
    let stated: Vec<Entry<'_>> = KINDS.iter().filter_map(|kind| section.get(kind)).collect();
    let entry = match stated[..] {
        [entry] => entry,
        [] => {
            if !section.entries().any(|entry| ["proxy", "callback", "tcp", "process"].contains(&entry.key)) {
                let mend = "add one of auto, poll, stream, channel, such as channel = {}";
                faults.add(
                    known::ROUTE_KIND,
                    section.at,
                    "the route does not say what stands behind it",
                    mend,
                );
            }
            return None;
        }
        [first, second, ..] => {
            let (first, at) = (first.key, first.key_at.max(second.key_at));
            let what = format!("a route is of one kind, and this one says '{first}' and '{}'", second.key);
            faults.add(known::ROUTE_KIND, at, what, "make two routes of it, each with its own path");
            return None;
        }
    };
    match entry.key {
        "auto" => read_auto(entry.section(&vocabulary::AUTO, faults)?, faults),
        "poll" => read_poll(entry.section(&vocabulary::POLL, faults)?, pattern, faults),
        "stream" => {
            let section = entry.section(&vocabulary::STREAM, faults)?;
            Some(Kind::Stream { template: read_template(section, pattern, faults)? })
        }
        _ => entry.section(&vocabulary::CHANNEL, faults).map(|_| Kind::Channel),
    }
}

fn read_auto(section: Section<'_>, faults: &mut Collector<'_>) -> Option<Kind> {
    let base = read_url(section, faults).and_then(|(url, at)| {
        Backend::parse(url).map_err(|error| faults.add(known::BAD_URL, at, error.what, error.mend)).ok()
    });
    let share = match section.text("share", faults) {
        None => Some(Share::default()),
        Some((text, at)) => text
            .parse()
            .map_err(|_| {
                let what = format!("\"{}\" is no way of sharing", shown(text));
                faults.add(
                    known::WRONG_VALUE,
                    at,
                    what,
                    "write identity, public, authorization or cookie:NAME",
                );
            })
            .ok(),
    };
    Some(Kind::Auto { base: base?, share: share? })
}

fn read_poll(section: Section<'_>, pattern: Option<&Pattern>, faults: &mut Collector<'_>) -> Option<Kind> {
    let template = read_template(section, pattern, faults);
    let interval = section.get("interval").and_then(|entry| read_interval(entry, faults));
    let mut forward = Forward::default();
    for (name, at) in section.texts("forward", faults).unwrap_or_default() {
        match name.to_ascii_lowercase().as_str() {
            "cookie" => forward.cookie = true,
            "authorization" => forward.authorization = true,
            _ => {
                let what = format!("\"{}\" cannot be forwarded", shown(name));
                faults.add(known::WRONG_VALUE, at, what, "write \"cookie\", \"authorization\" or both");
            }
        }
    }
    Some(Kind::Poll { template: template?, interval, forward })
}

fn read_interval(entry: Entry<'_>, faults: &mut Collector<'_>) -> Option<Duration> {
    let interval = match quantity::written_duration(entry.written(faults)?) {
        Ok(interval) => interval,
        Err(error) => {
            faults.add(known::OUT_OF_BOUNDS, entry.at, error.what, error.mend);
            return None;
        }
    };
    if interval < INTERVAL_LEAST {
        faults.add(
            known::OUT_OF_BOUNDS,
            entry.at,
            "a backend is polled ten times a second at the most",
            "write \"100ms\" or more",
        );
    } else if interval > INTERVAL_MOST {
        faults.add(
            known::OUT_OF_BOUNDS,
            entry.at,
            "the interval is longer than a day",
            "write \"24h\" or less",
        );
    }
    Some(interval)
}

fn read_template(
    section: Section<'_>,
    pattern: Option<&Pattern>,
    faults: &mut Collector<'_>,
) -> Option<UrlTemplate> {
    let (url, at) = read_url(section, faults)?;
    UrlTemplate::parse(url, pattern?)
        .map_err(|error| faults.add(known::BAD_URL, at, error.what, error.mend))
        .ok()
}

fn read_url<'d>(section: Section<'d>, faults: &mut Collector<'_>) -> Option<(&'d str, usize)> {
    if section.get("url").is_none() {
        let what = format!("{} has no url", section.vocabulary.name);
        faults.add(
            known::MISSING_KEY,
            section.at,
            what,
            "add url = \"http://127.0.0.1:9000\" or where the backend is",
        );
    }
    section.text("url", faults)
}

fn read_subscribe(section: Section<'_>, faults: &mut Collector<'_>) -> Option<Subscribe> {
    let (text, at) = section.text("subscribe", faults)?;
    match text {
        "anyone" => return Some(Subscribe::Anyone),
        "token" => return Some(Subscribe::Token),
        "callback" => {
            let what = "subscribe = \"callback\" is not available in this version";
            faults.add(
                known::ABSENT_KEY,
                at,
                what,
                "write subscribe = \"anyone\" or \"token\", or remove the route",
            );
        }
        other => wrong_word("subscribe", other, "\"anyone\" or \"token\"", at, faults),
    }
    None
}

fn read_publish(section: Section<'_>, kind: Option<&Kind>, faults: &mut Collector<'_>) -> Publish {
    let Some((text, at)) = section.text("publish", faults) else { return Publish::default() };
    match text {
        "nobody" => {}
        "anyone" | "token" => match kind {
            Some(Kind::Channel) | None => {
                return if text == "token" { Publish::Token } else { Publish::Anyone };
            }
            Some(other) => {
                let what = format!("clients cannot publish where a backend does ('{}')", other.name());
                faults.add(
                    known::CONTRADICTION,
                    at,
                    what,
                    "write messages = \"post\" to hand their messages to the backend",
                );
            }
        },
        "callback" => {
            let what = "publish = \"callback\" is not available in this version";
            let mend =
                "write publish = \"token\" or \"anyone\", or \"nobody\" and publish on the admin listener";
            faults.add(known::ABSENT_KEY, at, what, mend);
        }
        other => wrong_word("publish", other, "\"nobody\", \"anyone\" or \"token\"", at, faults),
    }
    Publish::Nobody
}

fn read_history(section: Section<'_>, limits: &Limits, faults: &mut Collector<'_>) -> HistoryPolicy {
    let mut own = limits.clone();
    if let Some(history) = section.section("history", &vocabulary::HISTORY, faults) {
        for (key, limit) in [("size", "history_size"), ("ttl", "history_ttl")] {
            let Some(entry) = history.get(key) else { continue };
            let Some(written) = entry.written(faults) else { continue };
            if let Err(error) = own.set(limit, written) {
                faults.add(known::OUT_OF_BOUNDS, entry.at, format!("'{key}': {}", error.what), error.mend);
            }
        }
    }
    HistoryPolicy { size: own.history_size, ttl: own.history_ttl }
}

fn read_messages(section: Section<'_>, kind: Option<&Kind>, faults: &mut Collector<'_>) -> Messages {
    let content_type = section.text("messages_type", faults).and_then(|(text, at)| {
        if is_media_type(text) {
            return Some((text.to_owned(), at));
        }
        let what = format!("\"{}\" is not a media type", shown(text));
        faults.add(known::WRONG_VALUE, at, what, "write such as \"application/json\"");
        None
    });
    let post = match section.text("messages", faults) {
        None => matches!(kind, Some(Kind::Auto { .. })),
        Some(("post", at)) => {
            if matches!(kind, Some(Kind::Channel)) {
                let mend = "write publish = \"anyone\" if messages are to be published, or remove it";
                faults.add(known::CONTRADICTION, at, "a channel has no backend to post messages to", mend);
            }
            true
        }
        Some(("refuse", _)) => false,
        Some((other, at)) => {
            wrong_word("messages", other, "\"post\" or \"refuse\"", at, faults);
            true
        }
    };
    match content_type {
        Some((_, at)) if !post => {
            let mend = "add messages = \"post\", or remove it";
            faults.add(
                known::CONTRADICTION,
                at,
                "'messages_type' says nothing where messages are refused",
                mend,
            );
            Messages::Refused
        }
        content_type if post => Messages::Post { content_type: content_type.map(|(text, _)| text) },
        _ => Messages::Refused,
    }
}

fn read_compression(section: Section<'_>, faults: &mut Collector<'_>) -> Compression {
    let Some((text, at)) = section.text("compression", faults) else { return Compression::default() };
    let words = [Compression::Off, Compression::Shared, Compression::Takeover];
    let named = words.into_iter().find(|word| word.name() == text);
    named.unwrap_or_else(|| {
        wrong_word("compression", text, "\"shared\", \"takeover\" or \"off\"", at, faults);
        Compression::default()
    })
}

/// Documents that are polled always come as increments to those who ask; a channel's publications are compared only
/// where the route says so.
fn read_updates(section: Section<'_>, kind: Option<&Kind>, faults: &mut Collector<'_>) -> Increments {
    let mut stated = Increments::NONE;
    let entry = section.get("updates");
    for (text, at) in section.texts("updates", faults).unwrap_or_default() {
        match text.parse() {
            Ok(Updates::JsonPatch) => stated.json_patch = true,
            Ok(Updates::MergePatch) => stated.merge_patch = true,
            Ok(Updates::Whole) | Err(_) => {
                let mend = "\"json-patch\", \"merge-patch\" or a list of both";
                wrong_word("updates", text, mend, at, faults);
            }
        }
    }
    match (kind, entry) {
        (Some(Kind::Auto { .. } | Kind::Poll { .. }), None) => Increments::ALL,
        (Some(Kind::Auto { .. } | Kind::Poll { .. }), Some(entry)) => {
            let what = "clients that ask get increments of polled documents in any case";
            faults.add(known::CONTRADICTION, entry.key_at, what, "remove it");
            stated
        }
        (Some(Kind::Stream { .. }), Some(entry)) => {
            let what = "the publications of a stream are events, not versions of one document";
            faults.add(known::CONTRADICTION, entry.key_at, what, "remove it");
            stated
        }
        (Some(Kind::Channel | Kind::Stream { .. }) | None, _) => stated,
    }
}

fn read_doors(section: Section<'_>, kind: Option<&Kind>, faults: &mut Collector<'_>) -> Doors {
    let channel = matches!(kind, Some(Kind::Channel));
    let Some(names) = section.texts("doors", faults) else {
        return if channel { Doors::ALL } else { Doors::default() };
    };
    if let Some((_, at)) = names.first().filter(|_| channel) {
        faults.add(
            known::CONTRADICTION,
            *at,
            "a channel has all doors, whatever 'doors' says",
            "remove the line",
        );
    }
    let mut doors = Doors::default();
    for (name, at) in names {
        match name {
            "longpoll" => doors.long_poll = true,
            "ndjson" => doors.lines = true,
            _ => {
                let what = format!("\"{}\" is no door that can be opened", shown(name));
                let mend = "write \"longpoll\", \"ndjson\" or both; the other doors are always open";
                faults.add(known::WRONG_VALUE, at, what, mend);
            }
        }
    }
    doors
}

fn read_slow(section: Section<'_>, faults: &mut Collector<'_>) -> Slow {
    match section.text("slow", faults) {
        None | Some(("disconnect", _)) => Slow::Disconnect,
        Some(("latest", _)) => Slow::Latest,
        Some((other, at)) => {
            wrong_word("slow", other, "\"disconnect\" or \"latest\"", at, faults);
            Slow::Disconnect
        }
    }
}

fn read_limits(section: Section<'_>, limits: &Limits, faults: &mut Collector<'_>) -> RouteLimits {
    let mut own = limits.clone();
    if let Some(stated) = section.section("limits", &vocabulary::ROUTE_LIMITS, faults) {
        for entry in stated.entries().filter(|entry| vocabulary::ROUTE_LIMITS.knows(entry.key)) {
            bounds::set(&mut own, entry, faults);
        }
    }
    RouteLimits { ws_max_message: own.ws_max_message, ws_max_frames_per_s: own.ws_max_frames_per_s }
}

/// Only what is published to tells who is here: behind other routes each identity has a channel of its own.
fn read_presence(section: Section<'_>, kind: Option<&Kind>, faults: &mut Collector<'_>) -> bool {
    let Some((presence, at)) = section.flag("presence", faults) else { return false };
    if presence && kind.is_some_and(|kind| *kind != Kind::Channel) {
        faults.add(known::CONTRADICTION, at, "presence is for routes of the kind 'channel'", "remove it");
    }
    presence
}

fn wrong_word(key: &str, word: &str, allowed: &str, at: usize, faults: &mut Collector<'_>) {
    faults.add(
        known::WRONG_VALUE,
        at,
        format!("{key} = \"{}\" means nothing", shown(word)),
        format!("write {key} = {allowed}"),
    );
}

/// `type/subtype` and parameters, as far as a header field may carry them.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let halves = essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    text.len() <= TYPE_MAX_BYTES && visible && halves
}
