//! Which pages may read what the gateway's own HTTP doors answer, and what they may ask for (the Fetch standard,
//! "CORS protocol"). The Origin rule decides; an origin is named and never a wildcard, because credentials count.
//!
//! Answers of a backend that pass through are not touched: they are that backend's own business.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

use crate::access::check_origin;
use crate::doors::newest::METHODS;
use crate::http_body::{Body, Visit, full};
use crate::process::Generation;
use crate::refusal::Refusal;

/// What a page may read beyond what all pages may.
const EXPOSED: HeaderValue = HeaderValue::from_static("Tidegate-Position, Tidegate-Error, ETag, Retry-After");

/// What it may ask: our doors take nothing else.
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// What it may send beyond what all pages may: what our doors read, and what libraries for server-sent events
/// add.
const ALLOWED_HEADERS: &str = "Authorization, Cache-Control, If-None-Match, Last-Event-ID";

/// Seconds for which a browser need not ask again; after a change of the configuration it asks soon.
const MAX_AGE_SECONDS: u32 = 600;

/// The page that may read an answer, if it is one of another origin or says where it comes from.
#[derive(Debug)]
pub(crate) struct Reader(Option<HeaderValue>);

impl Reader {
    /// Who asks.
    pub(crate) fn of(visit: &Visit, generation: &Generation, headers: &HeaderMap, host: &str) -> Self {
        let allowed = checked(visit, generation, headers, host).is_ok();
        Self(headers.get(ORIGIN).filter(|_| allowed).cloned())
    }

    /// Lets it read the answer with these fields, be it a refusal.
    pub(crate) fn admit(self, fields: &mut HeaderMap) {
        // Which door answers is Accept's to say.
        fields.append(VARY, HeaderValue::from_static("Accept, Origin"));
        let Some(origin) = self.0 else { return };
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Whether an OPTIONS asks what a page may ask.
pub(crate) fn is_preflight(parts: &Parts) -> bool {
    parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a preflight for a URL that a backend has, too, is ours to answer. A page that is let in asks for what a door
/// of ours may be asked; a preflight does not say which media type is wanted, and a backend that knows nothing of pages
/// of others would refuse it. What this lets through to the backend is answered with the backend's own word.
pub(crate) fn is_for_a_door(visit: &Visit, generation: &Generation, headers: &HeaderMap, host: &str) -> bool {
    let mut methods = headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let get = methods.next().is_some_and(|method| method == "GET") && methods.next().is_none();
    let is_ours =
        |name: &str| ALLOWED_HEADERS.split(", ").any(|allowed| allowed.eq_ignore_ascii_case(name.trim()));
    let mut asked = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let ours = |field: &HeaderValue| field.to_str().is_ok_and(|field| field.split(',').all(is_ours));
    let all_ours = asked.all(ours);
    get && all_ours && headers.contains_key(ORIGIN) && checked(visit, generation, headers, host).is_ok()
}

/// The answer to an OPTIONS. Credentials are never asked for here: a browser sends none.
pub(crate) fn options(
    visit: &Visit,
    generation: &Generation,
    parts: &Parts,
    host: &str,
) -> Result<Response<Body>, Refusal> {
    checked(visit, generation, &parts.headers, host)?;
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let fields = response.headers_mut();
    if !is_preflight(parts) {
        fields.insert(ALLOW, METHODS);
    } else {
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
        fields.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_SECONDS));
    }
    Ok(response)
}

fn checked(visit: &Visit, generation: &Generation, headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    let (_, scheme) = visit.client(headers, &generation.settings);
    check_origin(headers, host, scheme, &generation.settings)
}
