//! The credential of a request: a token is looked for, judged, and becomes what the session may do. Comes from
//! the doors, before anything is opened for them.
//!
//! Keys that issuers publish are fetched here, from where the configuration says and when `key_sets` allows it;
//! what a token says makes no difference to where, and little to when.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, Request, StatusCode, Uri};
use tidegate_protocol::OwnParameters;
use tokio::time::timeout;

use crate::access::{Credentials, Place, Taken, cookies_count};
use crate::http_body::Visit;
use crate::key_sets::{Ages, Fetched, Fetching};
use crate::limits::Limits;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::Route;
use crate::shard::ShardRef;
use crate::tokens::{Authority, Compact, Issuer, IssuerKeys, KeySet, Rejected};
use tidegate_inspect::words::known;

/// How a subprotocol begins that carries a token: browsers let pages choose these and no header.
const SUBPROTOCOL_PREFIX: &str = "bearer.";

/// A token as it came.
#[derive(Debug, PartialEq, Eq)]
struct Presented {
    token: String,
    place: Place,
}

/// What one look at all issuers found.
struct Look<'i> {
    /// Of all rejections that of the issuer with which the token came furthest.
    judged: Result<Authority, Rejected>,
    /// Where its key may be published, and is not known.
    wanted: Vec<&'i Uri>,
    /// There it may be one that could not be fetched, or has not come yet.
    without_keys: bool,
    /// All that was looked through has come since the token did.
    is_new: bool,
}

/// Where a token is judged.
struct Judge<'i> {
    shard: &'i ShardRef,
    issuers: &'i [Issuer],
    limits: &'i Limits,
    /// Who asks.
    client: IpAddr,
    /// When the token came.
    came: Instant,
}

/// Reads the credentials of a request for `route`. A token that does not count is refused where tokens are
/// asked for, and is none elsewhere: there it may be the backend's, and nobody waits for its key.
pub(crate) async fn authenticate(
    visit: &Visit,
    generation: &Arc<Generation>,
    headers: &HeaderMap,
    own: &OwnParameters,
    route: &Route,
    websocket: bool,
) -> Result<Credentials, Refusal> {
    let settings = &generation.settings;
    let issuers = &settings.access.tokens;
    let Some(Presented { token, place }) = find(headers, own, websocket, issuers) else {
        return Ok(Credentials::of_request(headers, websocket, None));
    };
    let (client, _) = visit.client(headers, settings);
    let judge =
        Judge { shard: &visit.shard, issuers, limits: &settings.limits, client, came: Instant::now() };
    let judged = match route.asks_for_tokens() {
        true => judge.demand(&token, &place).await.map(Some)?,
        false => judge.offer(&token, &place),
    };
    let taken = judged.map(|authority| Taken { authority: Arc::new(authority), place });
    Ok(Credentials::of_request(headers, websocket, taken))
}

impl<'i> Judge<'i> {
    /// Judges a token that must be good.
    async fn demand(&self, token: &str, place: &Place) -> Result<Authority, Refusal> {
        let failures = &self.shard.process.failures;
        failures.check(self.client, self.limits)?;
        match Compact::parse(token, self.limits.token_max_bytes) {
            Ok(token) => self.judge(&token, place).await,
            Err(rejected) => Err(self.refuse(rejected)),
        }
    }

    /// Judges a token that need not be one.
    fn offer(&self, token: &str, place: &Place) -> Option<Authority> {
        let token = Compact::parse(token, self.limits.token_max_bytes).ok()?;
        let look = self.look(&token, place);
        if look.judged.is_err() {
            look.wanted.into_iter().for_each(|url| drop(self.ask(url)));
        }
        look.judged.ok()
    }

    /// Looks, waits for keys if they may make a difference, and looks again.
    async fn judge(&self, token: &Compact<'_>, place: &Place) -> Result<Authority, Refusal> {
        let look = self.look(token, place);
        if look.judged.is_ok() || look.wanted.is_empty() {
            return look.judged.map_err(|rejected| self.refuse(rejected));
        }
        let ended: Vec<_> = look.wanted.into_iter().filter_map(|url| self.ask(url).on_its_way()).collect();
        if !ended.is_empty() {
            let process = &self.shard.process;
            let most = self.limits.max_unauthenticated_per_ip;
            let Some(_waiting) = process.failures.wait(self.client, most, Instant::now()) else {
                let sentence =
                    "max_unauthenticated_per_ip: too many credentials of your address are being judged";
                return Err(Refusal::too_many_credentials(known::UNAUTHENTICATED, sentence, 1));
            };
            let all = async {
                for mut ended in ended {
                    // Its sender stays as long as the settings name the URL.
                    let _ = ended.changed().await;
                }
            };
            // What is not there by then counts as not to be had.
            let _ = timeout(self.limits.auth_timeout, all).await;
        }
        let look = self.look(token, place);
        match look.judged {
            // Whose signature holds is judged, whatever keys there may be elsewhere.
            Err(rejected) if look.without_keys && rejected <= Rejected::Signature => {
                let seconds = u32::try_from(self.limits.jwks_pause.as_secs()).unwrap_or(u32::MAX);
                Err(Refusal::without_keys(seconds.max(1)))
            }
            // Its key may have been published since: that is no guess.
            Err(Rejected::UnknownKey) if !look.is_new => Err(Refusal::of_token(Rejected::UnknownKey)),
            judged => judged.map_err(|rejected| self.refuse(rejected)),
        }
    }

    /// Refuses a token, and counts it if it may be somebody's guess.
    fn refuse(&self, rejected: Rejected) -> Refusal {
        if rejected.is_guess() {
            self.shard.process.failures.note(self.client, Instant::now());
        }
        Refusal::of_token(rejected)
    }

    /// The first issuer that a token is by, decides.
    fn look(&self, token: &Compact<'_>, place: &Place) -> Look<'i> {
        let judged = Err(Rejected::Algorithm);
        let mut look = Look { judged, wanted: Vec::new(), without_keys: false, is_new: true };
        for issuer in self.issuers.iter().filter(|issuer| may_come(issuer, place)) {
            let set;
            let key = match &issuer.keys {
                IssuerKeys::Fixed(key) => Ok(key),
                IssuerKeys::Published(_) if !token.is_by_public_key() => Err(Rejected::Algorithm),
                IssuerKeys::Published(url) => {
                    set = self.set(url);
                    let key = set.as_ref().and_then(|set| token.key_in(set)).ok_or(Rejected::UnknownKey);
                    if key.is_err() {
                        let fetched = self.shard.process.key_sets.of(url);
                        look.without_keys |= set.is_none() || fetched.is_lacking();
                        look.is_new &= fetched.has_come_since(self.came);
                        look.wanted.push(url);
                    }
                    key
                }
            };
            let judged = key.and_then(|key| issuer.judge(token, key, SystemTime::now()));
            look.judged = match (judged, look.judged) {
                (Ok(authority), _) => {
                    return Look { judged: Ok(authority), ..look };
                }
                (Err(one), Err(other)) => Err(one.max(other)),
                (Err(_), good) => good,
            };
        }
        look
    }

    /// The key set of a URL, if there is one that counts. One that grows old is fetched anew meanwhile.
    fn set(&self, url: &Uri) -> Option<Arc<KeySet>> {
        let (now, ages) = (Instant::now(), Ages::from(self.limits));
        let fetched = self.shard.process.key_sets.of(url);
        let set = fetched.set(now, ages);
        if set.is_some() && fetched.is_old(now, ages) {
            self.ask(url);
        }
        set
    }

    /// Lets a key set be fetched, if it may be.
    fn ask(&self, url: &Uri) -> Arc<Fetched> {
        let fetched = self.shard.process.key_sets.of(url);
        if let Some(fetching) = fetched.begin(Instant::now(), Ages::from(self.limits)) {
            tokio::task::spawn_local(fetch(self.shard.clone(), url.clone(), fetching));
        }
        fetched
    }
}

/// Fetches a key set, whoever waits for it.
async fn fetch(shard: ShardRef, url: Uri, fetching: Fetching) {
    let (upstream, most) =
        shard.look(|shard| (shard.upstream.clone(), shard.generation.settings.limits.jwks_pause));
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.clone();
    let kinds = HeaderValue::from_static("application/jwk-set+json, application/json");
    request.headers_mut().insert(ACCEPT, kinds);
    // Who answers without end must not keep the next fetch from its time.
    let read = match timeout(most, upstream.fetch(request)).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => {
            KeySet::parse(answer.body()).map_err(str::to_owned)
        }
        Ok(Ok(answer)) => Err(format!("it was answered with {}", answer.status())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("jwks_pause: it was not there in time".to_owned()),
    };
    match read {
        Ok(set) => {
            fetching.done(set, Instant::now());
            shard.tidy(|shard| shard.counters.jwks_fetched += 1);
            tracing::info!(event = "jwks_fetched", %url, "the keys that tokens are checked with are new");
        }
        Err(reason) => {
            shard.tidy(|shard| shard.counters.jwks_failed += 1);
            tracing::warn!(event = "jwks_failed", number = %known::KEYS_NOT_FETCHED, %url, "no key set: {reason}; the last one counts up to jwks_max_stale");
        }
    }
}

/// In a cookie come the tokens of those issuers alone that name it.
fn may_come(issuer: &Issuer, place: &Place) -> bool {
    match place {
        Place::Cookie(name) => issuer.cookie.as_ref() == Some(name),
        Place::Query | Place::Subprotocol | Place::Authorization => true,
    }
}

/// Looks for a token, in what can only be meant for us first.
fn find(headers: &HeaderMap, own: &OwnParameters, websocket: bool, issuers: &[Issuer]) -> Option<Presented> {
    if issuers.is_empty() {
        return None;
    }
    let present = |token: &str, place: Place| Presented { token: token.to_owned(), place };
    if let Some(token) = own.token.as_deref().filter(|token| !token.is_empty()) {
        return Some(present(token, Place::Query));
    }
    if let Some(token) = of_subprotocols(headers).filter(|_| websocket) {
        return Some(present(token, Place::Subprotocol));
    }
    if let Some(token) = bearer(headers) {
        return Some(present(token, Place::Authorization));
    }
    let names = issuers.iter().filter_map(|issuer| issuer.cookie.as_ref());
    let mut names = names.filter(|_| cookies_count(headers, websocket));
    names.find_map(|name| Some(present(cookie(headers, name)?, Place::Cookie(name.clone()))))
}

pub(crate) fn of_subprotocols(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|name| name.trim().strip_prefix(SUBPROTOCOL_PREFIX))
}

/// Two fields say nothing: which of them counts would be a matter of opinion.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use tidegate_protocol::split_query;

    use super::*;
    use crate::tokens::VerifyingKey;

    /// Where a token is found, and which, by an issuer that names a cookie.
    fn found(query: &str, lines: &[(&'static str, &str)], websocket: bool) -> Option<(String, Place)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let keys = IssuerKeys::Fixed(VerifyingKey::of_secret(&[7; 32]).unwrap());
        let cookie = Some("ticket".to_owned());
        let issuer = Issuer { keys, issuers: Vec::new(), audiences: Vec::new(), cookie };
        let (own, _) = split_query(Some(query));
        let found = find(&headers, &own, websocket, &[issuer]);
        assert_eq!(find(&headers, &own, websocket, &[]), None, "without an issuer nothing is ours");
        found.map(|presented| (presented.token, presented.place))
    }

    #[test]
    fn a_token_is_found_where_only_we_look_first() {
        let all = [
            ("sec-websocket-protocol", "tidegate.v1, bearer.S"),
            ("authorization", "Bearer A"),
            ("cookie", "a=1; ticket=C"),
            ("origin", "https://app.example"),
        ];
        let cookie = Place::Cookie("ticket".to_owned());
        for (query, lines, websocket, token, place) in [
            ("token=Q&x", &all[..], true, "Q", Place::Query),
            ("token=", &all, true, "S", Place::Subprotocol),
            ("", &all, false, "A", Place::Authorization),
            ("", &all[1..], true, "A", Place::Authorization),
            ("", &all[2..], true, "C", cookie.clone()),
            ("", &all[2..3], false, "C", cookie.clone()),
            ("", &[("authorization", "bEARER   A ")], true, "A", Place::Authorization),
        ] {
            assert_eq!(found(query, lines, websocket), Some((token.to_owned(), place)), "{query} {lines:?}");
        }
        for lines in [
            &[][..],
            &[("cookie", "ticket=C")],
            &[("cookie", "ticket="), ("origin", "x")],
            &[("authorization", "Basic A")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer A"), ("authorization", "Bearer A")],
            &[("sec-websocket-protocol", "bearer, Bearer.X")],
        ] {
            assert_eq!(found("", lines, true), None, "{lines:?}");
        }
    }
}
