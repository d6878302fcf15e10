//! A request of HTTP/2 as the doors know requests: as if it had come by HTTP/1.1, which is also how it may go
//! on to a backend. What cannot be said there without a doubt is refused (RFC 9113, section 8, and 10.3).

use h2::RecvStream;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri};

use crate::client_body::{RequestBody, StreamBody};
use crate::handshake::SchemeOfClient;
use crate::limits::Limits;
use crate::refusal::Refusal;
use tidegate_inspect::words::known;

/// The same request with a Host, one Cookie field and its path alone as its target.
pub(super) fn translate(
    request: Request<RecvStream>,
    limits: &Limits,
) -> Result<Request<RequestBody>, Refusal> {
    let (mut parts, stream) = request.into_parts();
    set_target(&mut parts)?;
    join_cookies(&mut parts.headers)?;
    if parts.headers.len() > limits.http_max_headers as usize {
        let sentence =
            format!("http_max_headers: the request has more than {} fields", limits.http_max_headers);
        return Err(Refusal::of(known::HEADER_COUNT, sentence));
    }
    if parts.headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(bad("the request says its length more than once"));
    }
    let body = RequestBody::Http2(StreamBody::new(stream, &parts.headers));
    Ok(Request::from_parts(parts, body))
}

fn bad(sentence: &'static str) -> Refusal {
    Refusal::of(known::BAD_HEAD, sentence)
}

/// Makes `:authority` the Host and leaves the path as the target. h2 has refused what is no authority and no
/// path.
fn set_target(parts: &mut Parts) -> Result<(), Refusal> {
    let is_tunnel = parts.extensions.get::<h2::ext::Protocol>().is_some();
    if parts.method == Method::CONNECT && !is_tunnel {
        return Err(Refusal::of(known::METHOD, "CONNECT is not served"));
    }
    let target = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let everything = target.as_str() == "*" && parts.method == Method::OPTIONS;
    if !target.as_str().starts_with('/') && !everything {
        return Err(bad("the request's path does not begin with a slash"));
    }
    if let Some(authority) = parts.uri.authority() {
        let authority = authority.as_str();
        match parts.headers.get(HOST) {
            Some(host) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
                return Err(bad("the request names one host in :authority and another in Host"));
            }
            Some(_) => {}
            None => {
                let host =
                    HeaderValue::from_str(authority).map_err(|_| bad("the host is not a host name"))?;
                parts.headers.insert(HOST, host);
            }
        }
    }
    if let Some(scheme) = parts.uri.scheme().cloned() {
        parts.extensions.insert(SchemeOfClient(scheme));
    }
    parts.uri = Uri::from(target);
    Ok(())
}

/// One field again of what a client may split so that it compresses better (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return Ok(()) };
    let mut joined = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    let joined =
        HeaderValue::from_bytes(&joined).map_err(|_| bad("the request's cookies are not a field"))?;
    headers.insert(COOKIE, joined);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn target(method: &str, uri: &str, headers: &[(&'static str, &'static str)]) -> Result<String, u16> {
        let mut parts = parts(method, uri, headers);
        set_target(&mut parts).map_err(|refusal| refusal.status.as_u16())?;
        let host = parts.headers.get(HOST).map_or("none", |host| host.to_str().expect("text"));
        Ok(format!("{host} {}", parts.uri))
    }

    #[test]
    fn the_authority_becomes_the_host() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(target("GET", "http://a.example:1/x?y", &[]), ok("a.example:1 /x?y"));
        assert_eq!(target("GET", "http://a.example/", &[("host", "A.example")]), ok("A.example /"));
        assert_eq!(target("GET", "/x", &[("host", "a.example")]), ok("a.example /x"));
        assert_eq!(target("GET", "/x", &[]), ok("none /x"));
        assert_eq!(target("GET", "http://a.example/", &[("host", "b.example")]), Err(400));
        assert_eq!(target("GET", "http://a.example/", &[("host", "a.example:80")]), Err(400));
        assert_eq!(target("OPTIONS", "*", &[("host", "a")]), ok("a *"));
        assert_eq!(target("GET", "*", &[("host", "a")]), Err(400));
        assert_eq!(target("CONNECT", "a.example:80", &[]), Err(405));
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let cookies = |crumbs: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for crumb in crumbs {
                headers.append(COOKIE, HeaderValue::from_static(crumb));
            }
            join_cookies(&mut headers).expect("fields");
            headers
                .get_all(COOKIE)
                .iter()
                .map(|one| one.to_str().expect("text").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(cookies(&[]), Vec::<String>::new());
        assert_eq!(cookies(&["a=1; b=2"]), ["a=1; b=2"]);
        assert_eq!(cookies(&["a=1", "b=2", "c=3"]), ["a=1; b=2; c=3"]);
    }
}
