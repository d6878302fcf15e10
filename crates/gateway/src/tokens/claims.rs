//! The claims of a token whose signature holds (RFC 7519, section 4), judged at a time that is given.
//!
//! Strict: a member of the wrong type makes the whole token worthless, since whoever wrote it meant something
//! else than what would be read.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::{RawValue, Value};

use super::Rejected;
use super::authority::{Authority, Grants};
use super::compact::{present, read_part};
use crate::route::Pattern;

/// Patterns in one list.
const PATTERNS_MAX: usize = 64;

/// Bytes of `sub`.
const USER_MAX_BYTES: usize = 255;

/// Bytes of `info`.
const INFO_MAX_BYTES: usize = 2048;

/// By how much the clock of whoever makes tokens may be ahead of ours. A token ends when it says.
const AHEAD: Duration = Duration::from_secs(5);

/// The end of the year 9999: a later time is a mistake in units.
const LATEST: f64 = 253_402_300_800.0;

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
    /// For both of the following.
    #[serde(default, deserialize_with = "present")]
    channels: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    subscribe: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    publish: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    info: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What the payload of a signed token grants at `now`.
pub(super) fn judge(
    payload: &str,
    issuers: &[String],
    audiences: &[String],
    now: SystemTime,
) -> Result<Authority, Rejected> {
    let claims: Claims = read_part(payload).ok_or(Rejected::Claims)?;
    let expires = moment(claims.exp)?;
    let begins = claims.nbf.map(moment).transpose()?;
    let channels = claims.channels.unwrap_or_default();
    let authority = Authority {
        subscribe: grants(&channels, &claims.subscribe.unwrap_or_default())?,
        publish: grants(&channels, &claims.publish.unwrap_or_default())?,
        user: claims.sub.map(user).transpose()?,
        expires,
        info: claims.info.map(info).transpose()?,
    };
    let issuer_fits = issuers.is_empty() || claims.iss.is_some_and(|iss| issuers.contains(&iss));
    if !issuer_fits {
        return Err(Rejected::Issuer);
    }
    if !audience_fits(claims.aud, audiences) {
        return Err(Rejected::Audience);
    }
    if begins.is_some_and(|begins| begins > now + AHEAD) {
        return Err(Rejected::NotYetValid);
    }
    if authority.is_expired(now) {
        return Err(Rejected::Expired);
    }
    Ok(authority)
}

/// A token with an audience is for that audience alone, and for nobody who does not know to be it (RFC 7519,
/// section 4.1.3).
fn audience_fits(stated: Option<Audience>, own: &[String]) -> bool {
    match stated {
        None => own.is_empty(),
        Some(Audience::One(audience)) => own.contains(&audience),
        Some(Audience::Several(audiences)) => audiences.iter().any(|audience| own.contains(audience)),
    }
}

/// Seconds since 1970, with a fraction or without.
fn moment(seconds: f64) -> Result<SystemTime, Rejected> {
    if !(0.0..=LATEST).contains(&seconds) {
        return Err(Rejected::Claims);
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds)).ok_or(Rejected::Claims)
}

fn user(sub: String) -> Result<Box<str>, Rejected> {
    let good = sub.len() <= USER_MAX_BYTES && !sub.is_empty() && !sub.chars().any(char::is_control);
    good.then(|| sub.into_boxed_str()).ok_or(Rejected::Claims)
}

fn info(raw: Box<RawValue>) -> Result<Box<str>, Rejected> {
    let text: Box<str> = raw.into();
    let object = text.len() <= INFO_MAX_BYTES && matches!(serde_json::from_str(&text), Ok(Value::Object(_)));
    object.then_some(text).ok_or(Rejected::Claims)
}

/// Patterns as in a route's path; the leading slash may be left out, as in a channel's name.
fn grants(both: &[String], own: &[String]) -> Result<Grants, Rejected> {
    if both.len() > PATTERNS_MAX || own.len() > PATTERNS_MAX {
        return Err(Rejected::Claims);
    }
    let pattern = |text: &String| {
        let slash = if text.starts_with('/') { "" } else { "/" };
        Pattern::parse(&format!("{slash}{text}")).map_err(|_| Rejected::Claims)
    };
    both.iter().chain(own).map(pattern).collect::<Result<Vec<_>, _>>().map(Grants::new)
}
