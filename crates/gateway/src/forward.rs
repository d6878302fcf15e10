//! Pass-through: an ordinary HTTP request goes to the server behind the gateway and its answer comes back,
//! bodies streamed both ways, hop-by-hop fields handled (RFC 9110, section 7.6.1).

use std::net::IpAddr;

use http::header::{
    CONNECTION, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    VIA,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::client_body::{ClientBody, RequestBody};
use crate::http_body::{Body, Visit};
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::{Backend, Found, Kind};
use tidegate_inspect::words::known;

/// Fields that concern one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How the gateway calls itself in `Via`, behind the version of HTTP that a request came by.
const PSEUDONYM: &str = "tidegate";

/// Times that a request may have come through a gateway like this one before it counts as a loop.
const LOOP_AFTER: usize = 10;

/// Passes one request through.
pub(crate) async fn handle(
    visit: &Visit,
    generation: &Generation,
    request: Request<RequestBody>,
    host: &str,
    found: &Found<'_>,
) -> Result<Response<Body>, Refusal> {
    let Some(backend) = found.route.backend() else { return Err(no_backend()) };
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        let sentence = format!("{} is not passed through", request.method());
        return Err(Refusal::of(known::METHOD, sentence));
    }
    let uri = upstream_uri(&request, found)?;
    let client = visit.client(request.headers(), &generation.settings);
    let trusted = visit.is_proxy(&generation.settings);
    let (mut parts, body) = request.into_parts();
    refuse_loop(&parts.headers)?;
    refuse_codings(&parts.headers)?;
    strip_hop_by_hop(&mut parts.headers);
    parts.headers.remove(EXPECT);
    drop_ambiguous(&mut parts.headers);
    let received = if parts.version == Version::HTTP_2 { "2.0" } else { "1.1" };
    add_forwarded(&mut parts.headers, client, received, host, visit.remote.ip(), trusted);
    parts.headers.insert(HOST, host_for(backend, host));
    parts.uri = uri;
    parts.version = Version::HTTP_11;
    let (body, blame) = ClientBody::new(body, generation.settings.limits.http_body_timeout);
    let upstream = visit.shard.look(|shard| shard.upstream.clone());
    match upstream.send(Request::from_parts(parts, body.boxed_unsync())).await {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let sentence = format!("{backend} answered 101 to a request that asked for no upgrade");
            Err(Refusal::of(known::UPSTREAM_INVALID, sentence))
        }
        Ok(answer) => Ok(pass_back(answer)),
        Err(error) => match blame.get() {
            Some(refusal) => Err(refusal.clone()),
            None => {
                let refusal = Refusal::of_upstream(&error);
                tracing::info!(event = "upstream_error", number = %refusal.known, %backend, "{error}");
                Err(refusal)
            }
        },
    }
}

fn no_backend() -> Refusal {
    Refusal::of(known::NO_BACKEND, "this is a channel, which has no server behind it")
}

fn upstream_uri(request: &Request<RequestBody>, found: &Found<'_>) -> Result<Uri, Refusal> {
    let bad = |error: String| Refusal::of(known::BAD_NAME, error);
    match &found.route.kind {
        Kind::Auto { base, .. } => {
            let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
            Ok(base.uri(path))
        }
        Kind::Poll { template, .. } | Kind::Stream { template } => template
            .resolve_with_query(&found.parameters, request.uri().query())
            .map_err(|error| bad(error.to_string())),
        Kind::Channel => Err(no_backend()),
    }
}

/// A plain backend hears the name that the client used, as it would without the gateway; one behind TLS is
/// found by its own name.
fn host_for(backend: &Backend, host: &str) -> HeaderValue {
    let own = backend.authority().as_str();
    HeaderValue::from_str(if backend.is_tls() { own } else { host }).unwrap_or(HeaderValue::from_static(""))
}

fn refuse_loop(headers: &HeaderMap) -> Result<(), Refusal> {
    let lines = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let passes = lines.flat_map(|line| line.split(',')).filter(|one| is_own(one)).count();
    if passes < LOOP_AFTER {
        return Ok(());
    }
    let sentence = "the request has come through this gateway ten times: its backend leads back to it";
    Err(Refusal::of(known::LOOP, sentence))
}

/// Whether an element of `Via` is a gateway's like this one, whatever version it received.
fn is_own(element: &str) -> bool {
    element.trim().split_once(' ').is_some_and(|(_, name)| name == PSEUDONYM)
}

/// A coding other than the one that hyper takes off would be lost on the way (RFC 9112, section 6.1).
fn refuse_codings(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_none_or(chunked) && codings.next().is_none() {
        return Ok(());
    }
    let sentence = "the only Transfer-Encoding that is taken is 'chunked', once";
    // Where its body ends is a matter of opinion, so nothing behind it is read.
    Err(Refusal::of(known::TRANSFER_CODING, sentence).with(CONNECTION, HeaderValue::from_static("close")))
}

/// Removes what concerns this connection alone, and what `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// `X_Forwarded_For` reads like `X-Forwarded-For` to many servers: names with underscores do not pass.
fn drop_ambiguous(headers: &mut HeaderMap) {
    let ambiguous: Vec<_> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in ambiguous {
        headers.remove(&name);
    }
}

/// Says who asked, for what host and how. What a client itself wrote there counts only from trusted
/// proxies; otherwise it is replaced.
fn add_forwarded(
    headers: &mut HeaderMap,
    (client, scheme): (IpAddr, &'static str),
    received: &str,
    host: &str,
    remote: IpAddr,
    trusted: bool,
) {
    let remote = remote.to_canonical();
    let before = |headers: &HeaderMap, name: &HeaderName| -> String {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        if trusted { lines.map(|line| format!("{line}, ")).collect() } else { String::new() }
    };
    let node = if remote.is_ipv6() { format!("\"[{remote}]\"") } else { remote.to_string() };
    let chain = format!("{}{remote}", before(headers, &FORWARDED_FOR));
    let element = format!("{}for={node};host=\"{host}\";proto={scheme}", before(headers, &FORWARDED));
    let via = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let via: String = via.map(|line| format!("{line}, ")).collect::<String>() + received + " " + PSEUDONYM;
    debug_assert!(trusted || client == remote, "only a trusted proxy speaks for another");
    let keep_host = trusted && headers.contains_key(&FORWARDED_HOST);
    let fields =
        [(FORWARDED_FOR, chain), (FORWARDED, element), (FORWARDED_PROTO, scheme.to_owned()), (VIA, via)];
    let host_field = (!keep_host).then(|| (FORWARDED_HOST, host.to_owned()));
    for (name, value) in fields.into_iter().chain(host_field) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

fn pass_back(answer: Response<Incoming>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Box::pin(body.map_err(Into::into)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn fields_of_one_connection_do_not_pass() {
        let mut map = headers(&[
            ("connection", "keep-alive, X-Own"),
            ("connection", "upgrade"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut map);
        assert_eq!(names(&map), ["accept"]);
    }

    #[test]
    fn what_a_client_says_of_itself_is_replaced() {
        let mut map = headers(&[("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1")]);
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        add_forwarded(&mut map, (client, "http"), "2.0", "localhost:8080", client, false);
        assert_eq!(map["x-forwarded-for"], "192.0.2.7");
        assert_eq!(map["forwarded"], "for=192.0.2.7;host=\"localhost:8080\";proto=http");
        assert_eq!(map["x-forwarded-host"], "localhost:8080");
        assert_eq!(map["via"], "2.0 tidegate");
    }

    #[test]
    fn what_a_trusted_proxy_says_goes_on() {
        let mut map = headers(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-host", "app.example")]);
        let (client, proxy) = ("192.0.2.7".parse().unwrap(), "::1".parse().unwrap());
        add_forwarded(&mut map, (client, "https"), "1.1", "localhost", proxy, true);
        assert_eq!(map["x-forwarded-for"], "192.0.2.7, ::1");
        assert_eq!(map["forwarded"], "for=\"[::1]\";host=\"localhost\";proto=https");
        assert_eq!(map["x-forwarded-host"], "app.example");
    }

    #[test]
    fn a_loop_is_cut_at_the_tenth_pass() {
        let nine = headers(&[("via", "1.1 tidegate, 1.1 tidegate, 1.1 tidegate"); 3]);
        assert!(refuse_loop(&nine).is_ok());
        let mut ten = nine.clone();
        ten.append(VIA, HeaderValue::from_static("1.0 other, 1.1 tidegate"));
        assert_eq!(refuse_loop(&ten).unwrap_err().status, StatusCode::LOOP_DETECTED);
    }

    #[test]
    fn names_with_underscores_do_not_pass() {
        let mut map = headers(&[("x_forwarded_for", "1"), ("x-ok", "1")]);
        drop_ambiguous(&mut map);
        assert_eq!(names(&map), ["x-ok"]);
    }
}
