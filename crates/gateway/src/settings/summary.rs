//! A configuration as `tidegate check` shows it: resolved routes and limits in columns.
//!
//! Text for people; no secret is in it.

use std::fmt::Write;

use tidegate_hub::{Slow, Updates};

use super::{Inspect, Issuer, IssuerKeys, Settings, fault::shown};
use crate::limits::TABLE;
use crate::limits::quantity::{duration, duration_text, size};
use crate::route::{Forward, Kind, Messages, Publish, Route, Subscribe};

/// Widest column that is padded; a longer cell pushes the rest of its line.
const COLUMN_MAX: usize = 48;

/// The resolved settings: listeners, access, routes, and each limit with its reason.
#[must_use]
pub fn summary(settings: &Settings) -> String {
    let mut text = String::new();
    push_head(&mut text, settings);
    text.push_str("\nroutes\n");
    push_columns(&mut text, settings.routes.iter().map(|route| route_cells(route, settings)).collect());
    text.push_str("\nlimits\n");
    let limits = TABLE.iter().map(|row| {
        let value = settings.limits.text(row.key).unwrap_or_default();
        let default = if value == row.default_text || same_quantity(&value, row.default_text) {
            String::new()
        } else {
            format!("(default {})", row.default_text)
        };
        vec![row.key.to_owned(), value, default, row.reason.to_owned()]
    });
    push_columns(&mut text, limits.collect());
    text
}

fn push_head(text: &mut String, settings: &Settings) {
    let public: Vec<String> = settings.listen.public.iter().map(|one| shown(&one.to_string())).collect();
    let origins: Vec<&str> = settings.access.origins.iter().map(|origin| origin.as_str()).collect();
    let proxies: Vec<String> = settings.access.trusted_proxies.iter().map(ToString::to_string).collect();
    let token = if settings.access.admin_token.is_some() { "configured" } else { "made at start" };
    let origins =
        if origins.is_empty() { "own only".to_owned() } else { format!("own, {}", origins.join(", ")) };
    let or_none = |list: String| if list.is_empty() { "none".to_owned() } else { list };
    let ca = settings.upstream_ca.as_ref().map(|path| shown(&path.to_string_lossy()));
    let tls = settings.listen.tls.as_ref().map(|files| {
        let text = |path: &std::path::Path| shown(&path.to_string_lossy());
        format!("{} with the key {}", text(&files.certificate), text(&files.key))
    });
    let rows = [
        ("public", public.join(", ")),
        ("tls", or_none(tls.unwrap_or_default())),
        ("admin", settings.listen.admin.to_string()),
        ("admin token", token.to_owned()),
        ("origins", origins),
        ("tokens", or_none(settings.access.tokens.iter().map(issuer_text).collect::<Vec<_>>().join("; "))),
        ("host names", or_none(settings.hosts.join(", "))),
        ("trusted proxies", or_none(proxies.join(", "))),
        ("shards", settings.shards.map_or("one a core".to_owned(), |count| count.to_string())),
        ("engine", engine_text(settings)),
        ("inspect", inspect_text(settings)),
        ("upstream ca", ca.map_or("the system's".to_owned(), |file| format!("the system's and {file}"))),
    ];
    push_columns(text, rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect());
}

fn engine_text(settings: &Settings) -> String {
    let engine = &settings.engine;
    match (&engine.path, engine.synced) {
        (None, _) => "embedded, in memory".to_owned(),
        (Some(path), synced) => {
            let path = shown(&path.to_string_lossy());
            format!("embedded, on disk in {path}, sync {}", synced.name())
        }
    }
}

fn inspect_text(settings: &Settings) -> String {
    let Inspect { capture, watch } = settings.inspect;
    format!("capture {}, watch {}", capture.name(), watch.name())
}

fn route_cells(route: &Route, settings: &Settings) -> Vec<String> {
    let subscribe = match route.subscribe {
        Some(Subscribe::Anyone) => "subscribe anyone",
        Some(Subscribe::Token) => "subscribe token",
        None if settings.listen.exposed().is_none() => "subscribe anyone (loopback)",
        None => "subscribe not stated",
    };
    let publish = match route.publish {
        Publish::Nobody => "publish nobody",
        Publish::Anyone => "publish anyone",
        Publish::Token => "publish token",
    };
    let messages = match &route.messages {
        Messages::Post { content_type: None } => "messages post".to_owned(),
        Messages::Post { content_type: Some(kind) } => format!("messages post as {kind}"),
        Messages::Refused => "messages refuse".to_owned(),
    };
    let compression = format!("compression {}", route.compression.name());
    let history = format!("history {}, {}", route.history.size, duration_text(route.history.ttl));
    let cells =
        [shown(route.pattern.as_str()), kind_text(&route.kind), subscribe.to_owned(), publish.to_owned()];
    let slow = match route.slow {
        Slow::Disconnect => None,
        Slow::Latest => Some("slow latest".to_owned()),
    };
    let presence = route.presence.then(|| "presence".to_owned());
    let doors: Vec<&str> = route.doors.names().collect();
    let doors = if doors.is_empty() { String::new() } else { format!("doors {}", doors.join(", ")) };
    cells
        .into_iter()
        .chain([messages, compression, history, doors])
        .chain(updates_text(route))
        .chain(slow)
        .chain(presence)
        .collect()
}

/// The kinds of increments, where they are a matter of the route.
fn updates_text(route: &Route) -> Option<String> {
    let Kind::Channel = route.kind else { return None };
    let kinds = [Updates::JsonPatch, Updates::MergePatch];
    let stated = kinds.into_iter().filter(|kind| route.increments.include(*kind)).filter_map(Updates::name);
    let words: Vec<&str> = stated.collect();
    (!words.is_empty()).then(|| format!("updates {}", words.join(" and ")))
}

fn issuer_text(issuer: &Issuer) -> String {
    let mut text = match &issuer.keys {
        IssuerKeys::Fixed(key) => key.algorithm().name().to_owned(),
        IssuerKeys::Published(url) => format!("keys of {}", shown(&url.to_string())),
    };
    let mut add = |name: &str, values: &[String]| {
        if !values.is_empty() {
            let _infallible = write!(text, ", {name} {}", shown(&values.join(" or ")));
        }
    };
    add("issuer", &issuer.issuers);
    add("audience", &issuer.audiences);
    add("cookie", issuer.cookie.as_slice());
    text
}

fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Auto { base, share } => format!("auto {base}, share {share}"),
        Kind::Poll { template, interval, forward } => {
            let every = interval
                .map_or("as max-age says".to_owned(), |time| format!("every {}", duration_text(time)));
            let forward = match forward {
                Forward { cookie: false, authorization: false } => "",
                Forward { cookie: true, authorization: false } => ", forward cookie",
                Forward { cookie: false, authorization: true } => ", forward authorization",
                Forward { cookie: true, authorization: true } => ", forward cookie and authorization",
            };
            format!("poll {template} {every}{forward}")
        }
        Kind::Stream { template } => format!("stream {template}"),
        Kind::Channel => "channel".to_owned(),
    }
}

/// `300s` and `5m` are one duration.
fn same_quantity(value: &str, default: &str) -> bool {
    let times = duration(value).ok().zip(duration(default).ok()).is_some_and(|(a, b)| a == b);
    times || size(value).ok().zip(size(default).ok()).is_some_and(|(a, b)| a == b)
}

/// Appends rows of cells, each column as wide as its widest cell up to a bound.
fn push_columns(text: &mut String, rows: Vec<Vec<String>>) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMN_MAX)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            let _infallible = write!(line, "  {cell:width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
