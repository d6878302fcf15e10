//! Who may come in, and do what: Host names, origins, which credentials of a request count, which channels
//! they open, and as whom a backend is asked. Decisions only; whoever asks answers the request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, ORIGIN, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tidegate_hub::ChannelName;
use tidegate_inspect::words::known;

use crate::refusal::Refusal;
use crate::route::{Forward, Kind, Publish, Route, Share, Subscribe};
use crate::settings::Settings;
use crate::tokens::{Authority, Grants, Rejected};

/// What a client says of itself that may go on to a backend, copied so that nothing of the request's buffer
/// is kept, and what its token grants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    fields: Box<[(HeaderName, HeaderValue)]>,
    /// None without a token.
    authority: Option<Arc<Authority>>,
}

/// A token that counts, and where it was: there it does not go on to a backend.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) authority: Arc<Authority>,
    pub(crate) place: Place,
}

/// Where in a request a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `token` of the query.
    Query,
    /// `bearer.TOKEN` among the subprotocols.
    Subprotocol,
    /// `Authorization: Bearer`.
    Authorization,
    /// The cookie of this name.
    Cookie(String),
}

/// Names of what [`Credentials`] keep.
const KEPT: [HeaderName; 5] = [COOKIE, AUTHORIZATION, ORIGIN, ACCEPT_LANGUAGE, USER_AGENT];

/// The Host rule against DNS rebinding: on a loopback address only names that are this machine's. It is off
/// for requests that a trusted proxy hands on, which bring the name that the client used.
pub(crate) fn check_host(
    headers: &HeaderMap,
    uri: &Uri,
    local: IpAddr,
    settings: &Settings,
    behind_proxy: bool,
) -> Result<String, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::of(known::BAD_HOST, "the request must carry exactly one Host header"));
    };
    let bad = || Refusal::of(known::BAD_HOST, "the Host header is not a host name and a port");
    let host = host.to_str().map_err(|_| bad())?;
    let parsed: http::uri::Authority = host.parse().map_err(|_| bad())?;
    // A port that is none would still name this host.
    let port = parsed.as_str().strip_prefix(parsed.host()).unwrap_or_default();
    let has_port = port.is_empty() || port == ":" || parsed.port_u16().is_some();
    if host.contains('@') || !has_port || uri.authority().is_some_and(|authority| authority != host) {
        return Err(bad());
    }
    let name = parsed.host().to_ascii_lowercase();
    let own = matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    let listed = settings.hosts.contains(&name);
    if local.to_canonical().is_loopback() && !own && !listed && !behind_proxy {
        let sentence = format!(
            "this listener is bound to loopback and does not answer to the host name '{}'; \
             list it under [access] hosts if it is meant",
            name.escape_debug()
        );
        return Err(Refusal::of(known::HOST, sentence));
    }
    Ok(host.to_ascii_lowercase())
}

/// The Origin rule: an Origin must be the gateway's own or a listed one, exactly; none at all is a
/// program's.
pub(crate) fn check_origin(
    headers: &HeaderMap,
    host: &str,
    scheme: &str,
    settings: &Settings,
) -> Result<(), Refusal> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let text = origin.to_str().unwrap_or_default();
    let own = format!("{scheme}://{host}");
    // Browsers leave the scheme's own port out.
    let default = if scheme == "https" { ":443" } else { ":80" };
    let same = text.eq_ignore_ascii_case(&own)
        || text.eq_ignore_ascii_case(own.strip_suffix(default).unwrap_or(&own));
    let listed = settings.access.origins.iter().any(|allowed| allowed.is(text));
    if origins.next().is_none() && (same || listed) {
        return Ok(());
    }
    let sentence = format!(
        "pages of the origin {} may not connect here; list it under [access] origins if they are meant to",
        text.escape_debug()
    );
    Err(Refusal::of(known::ORIGIN, sentence))
}

/// Cookies of a request without Origin count only if the browser says that its own page asks, or, for what is
/// no WebSocket, if it says nothing.
pub(crate) fn cookies_count(headers: &HeaderMap, websocket: bool) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    headers.contains_key(ORIGIN) || site == Some(b"same-origin") || (!websocket && site.is_none())
}

/// Whether a client may follow a channel of this route.
pub(crate) fn check_subscribe(
    route: &Route,
    channel: &ChannelName,
    credentials: &Credentials,
) -> Result<(), Refusal> {
    match route.subscribe {
        None | Some(Subscribe::Anyone) => Ok(()),
        Some(Subscribe::Token) => credentials.check(channel, |authority| &authority.subscribe),
    }
}

/// Whether a client may publish to a channel of this route.
pub(crate) fn check_publish(
    route: &Route,
    channel: &ChannelName,
    credentials: &Credentials,
) -> Result<(), Refusal> {
    match route.publish {
        Publish::Nobody => {
            Err(Refusal::of(known::PUBLISHING_CLOSED, "the route takes no messages from clients"))
        }
        Publish::Anyone => check_subscribe(route, channel, credentials),
        Publish::Token => credentials.check(channel, |authority| &authority.publish),
    }
}

impl Credentials {
    /// What counts of a request's headers, but for the token in them.
    pub(crate) fn of_request(headers: &HeaderMap, websocket: bool, taken: Option<Taken>) -> Self {
        let cookies_count = cookies_count(headers, websocket);
        let place = taken.as_ref().map(|taken| &taken.place);
        let counts = |name: &HeaderName| match *name {
            COOKIE => cookies_count,
            AUTHORIZATION => place != Some(&Place::Authorization),
            _ => true,
        };
        let kept = KEPT.iter().filter(|name| counts(name)).flat_map(|name| {
            let copy = move |value: &HeaderValue| match place {
                Some(Place::Cookie(token)) if *name == COOKIE => without_cookie(value, token),
                // A copy: the value as hyper gives it holds the whole read buffer.
                _ => HeaderValue::from_bytes(value.as_bytes()).ok(),
            };
            headers.get_all(name).iter().filter_map(copy).map(|value| (name.clone(), value))
        });
        let fields = kept.collect();
        Self { fields, authority: taken.map(|taken| taken.authority) }
    }

    /// What the client's token grants.
    pub(crate) fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref()
    }

    /// Whether the token grants a channel. What there is at the channel makes no difference to the answer.
    fn check(
        &self,
        channel: &ChannelName,
        grants: impl FnOnce(&Authority) -> &Grants,
    ) -> Result<(), Refusal> {
        let Some(authority) = &self.authority else { return Err(Refusal::without_token()) };
        if authority.is_expired(SystemTime::now()) {
            return Err(Refusal::of_token(Rejected::Expired));
        }
        if grants(authority).has(channel) { Ok(()) } else { Err(Refusal::beyond_token()) }
    }

    /// All of it, for a request that is this client's alone.
    pub(crate) fn own(&self) -> HeaderMap {
        self.fields.iter().cloned().collect()
    }

    /// As whom a route's backend is asked: the headers that make the identity, and nothing else.
    pub(crate) fn identity(&self, route: &Route) -> HeaderMap {
        match &route.kind {
            Kind::Auto { share: Share::Identity, .. } => self.only(&[COOKIE, AUTHORIZATION]),
            Kind::Auto { share: Share::Authorization, .. } => self.only(&[AUTHORIZATION]),
            Kind::Auto { share: Share::Cookie(name), .. } => self.one_cookie(name),
            Kind::Auto { share: Share::Public, .. } | Kind::Stream { .. } | Kind::Channel => HeaderMap::new(),
            Kind::Poll { forward: Forward { cookie, authorization }, .. } => {
                let mut names = Vec::new();
                names.extend(cookie.then_some(COOKIE));
                names.extend(authorization.then_some(AUTHORIZATION));
                self.only(&names)
            }
        }
    }

    fn only(&self, names: &[HeaderName]) -> HeaderMap {
        let mut only = HeaderMap::new();
        for (name, value) in self.fields.iter().filter(|(name, _)| names.contains(name)) {
            only.append(name.clone(), value.clone());
        }
        only
    }

    fn one_cookie(&self, wanted: &str) -> HeaderMap {
        let lines = self
            .fields
            .iter()
            .filter(|(name, _)| *name == COOKIE)
            .filter_map(|(_, value)| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
        let found = pairs.find(|pair| pair.split_once('=').is_some_and(|(name, _)| name == wanted));
        let value = found.and_then(|pair| HeaderValue::from_str(pair).ok());
        value.map(|value| (COOKIE, value)).into_iter().collect()
    }
}

/// A `Cookie` field without one cookie; nothing if nothing else is in it.
fn without_cookie(field: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let text = field.to_str().ok()?;
    let is_it = |pair: &&str| pair.trim().split_once('=').is_some_and(|(other, _)| other == name);
    let others: Vec<&str> = text.split(';').filter(|pair| !is_it(pair)).map(str::trim).collect();
    HeaderValue::from_str(&others.join("; ")).ok().filter(|left| !left.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    fn settings(text: &str) -> Settings {
        let text = format!("{text}\n[[route]]\npath = \"/x\"\nchannel = {{}}\n");
        Settings::from_text(&text, "test.toml", &|_| None).expect("a good configuration")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    fn host_status(host: &[(&'static str, &str)], local: &str, settings: &Settings) -> u16 {
        let result =
            check_host(&headers(host), &Uri::from_static("/x"), local.parse().unwrap(), settings, false);
        result.map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
    }

    #[test]
    fn a_loopback_listener_answers_to_its_own_names() {
        let plain = settings("");
        for (host, status) in [
            ("localhost:8080", 200),
            ("LOCALHOST", 200),
            ("127.0.0.1:1", 200),
            ("[::1]:8080", 200),
            ("evil.example:8080", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("a@localhost", 400),
            ("", 400),
            ("local host", 400),
        ] {
            assert_eq!(host_status(&[("host", host)], "127.0.0.1", &plain), status, "{host}");
        }
        assert_eq!(host_status(&[], "127.0.0.1", &plain), 400);
        assert_eq!(host_status(&[("host", "localhost"), ("host", "localhost")], "127.0.0.1", &plain), 400);
        assert_eq!(host_status(&[("host", "any.example")], "192.0.2.1", &plain), 200);
        let listed = settings("[access]\nhosts = [\"dev.example\"]");
        assert_eq!(host_status(&[("host", "dev.example:8080")], "127.0.0.1", &listed), 200);
    }

    #[test]
    fn an_origin_must_match_exactly() {
        let settings = settings("[access]\norigins = [\"https://app.example\"]");
        for (origin, allowed) in [
            (None, true),
            (Some("http://localhost:8080"), true),
            (Some("https://app.example"), true),
            (Some("https://localhost:8080"), false),
            (Some("http://localhost"), false),
            (Some("http://localhost:8081"), false),
            (Some("http://app.example"), false),
            (Some("https://app.example.evil.example"), false),
            (Some("https://evilapp.example"), false),
            (Some("https://app.example:444"), false),
            (Some("null"), false),
            (Some(""), false),
        ] {
            let pairs: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
            let result = check_origin(&headers(&pairs), "localhost:8080", "http", &settings);
            assert_eq!(result.is_ok(), allowed, "{origin:?}");
        }
        for (scheme, host, origin, allowed) in [
            ("https", "localhost:8080", "https://localhost:8080", true),
            ("https", "localhost:8080", "http://localhost:8080", false),
            ("https", "localhost:443", "https://localhost", true),
            ("https", "localhost:80", "https://localhost", false),
            ("http", "localhost:443", "http://localhost", false),
        ] {
            let result = check_origin(&headers(&[("origin", origin)]), host, scheme, &settings);
            assert_eq!(result.is_ok(), allowed, "{scheme} {host} {origin}");
        }
        let twice = headers(&[("origin", "https://app.example"), ("origin", "https://app.example")]);
        assert!(check_origin(&twice, "localhost:8080", "http", &settings).is_err());
    }

    #[test]
    fn cookies_count_only_where_no_foreign_page_can_have_sent_them() {
        for (pairs, websocket, counts) in [
            (&[("cookie", "a=1"), ("origin", "http://x")][..], true, true),
            (&[("cookie", "a=1")], true, false),
            (&[("cookie", "a=1"), ("sec-fetch-site", "same-origin")], true, true),
            (&[("cookie", "a=1"), ("sec-fetch-site", "cross-site")], false, false),
            (&[("cookie", "a=1")], false, true),
        ] {
            let credentials = Credentials::of_request(&headers(pairs), websocket, None);
            assert_eq!(credentials.own().contains_key(COOKIE), counts, "{pairs:?} {websocket}");
        }
        let program = Credentials::of_request(&headers(&[("authorization", "Bearer x")]), true, None);
        assert!(program.own().contains_key(AUTHORIZATION));
    }

    #[test]
    fn the_identity_is_what_the_share_says() {
        let all = headers(&[
            ("cookie", "sid=1; theme=dark"),
            ("authorization", "Bearer x"),
            ("origin", "http://x"),
            ("user-agent", "test"),
        ]);
        let credentials = Credentials::of_request(&all, true, None);
        for (share, names) in [
            ("identity", vec!["cookie: sid=1; theme=dark", "authorization: Bearer x"]),
            ("public", vec![]),
            ("authorization", vec!["authorization: Bearer x"]),
            ("cookie:sid", vec!["cookie: sid=1"]),
            ("cookie:id", vec![]),
        ] {
            let settings =
                Settings::for_backend("http://127.0.0.1:1", share.parse().unwrap(), Overrides::default())
                    .unwrap();
            let route = settings.routes.find("/x").unwrap();
            let identity = credentials.identity(route.route);
            let found: Vec<_> =
                identity.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            assert_eq!(found, names, "{share}");
        }
        assert_eq!(credentials.own().len(), 4);
    }
}
