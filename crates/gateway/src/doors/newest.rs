//! A plain GET of a channel: its newest publication as it was published, for those who want what is and not what
//! comes. Nothing is followed and nothing begins; what is kept is asked for at the channel's home.

use std::sync::Arc;

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use tidegate_hub::{Position, Publication};
use tidegate_inspect::words::known;
use tidegate_protocol::media_type;

use super::long_poll::POSITION;
use super::{Door, Wish, read_wish};
use crate::http_body::{Body, Visit, full};
use crate::process::Generation;
use crate::publish::refusal_of;
use crate::refusal::Refusal;
use crate::route::{Found, Route, Subscribe};
use crate::shard::{NotPublished, Shard};

/// The methods that a channel has without any door.
pub(crate) const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Answers with the newest publication, with 304 to who has it, or with a refusal.
pub(crate) async fn handle(
    visit: &Visit,
    generation: &Arc<Generation>,
    parts: &Parts,
    host: &str,
    found: &Found<'_>,
) -> Result<Response<Body>, Refusal> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let sentence = "this is a channel, which takes GET alone here: publish on the admin listener";
        return Err(Refusal::of(known::METHOD, sentence).with(ALLOW, METHODS));
    }
    let Wish { wanted, .. } = read_wish(visit, generation, parts, host, found, Door::Newest).await?;
    let name = wanted.name;
    let home = visit.shard.process.home_of(&name);
    let looking = move |shard: &mut Shard| match shard.newest(&name) {
        None if shard.is_only_on_disk(&name) => Err(NotPublished::Dormant),
        newest => Ok(newest),
    };
    let newest = visit.shard.ask(home, looking).await.transpose().map_err(refusal_of)?;
    let stopping = || Refusal::of(known::RESTARTING, "the gateway is stopping");
    match newest.ok_or_else(stopping)? {
        Some((position, Some(publication))) => {
            let mut response = response_of(&parts.headers, position, &publication);
            response.headers_mut().insert(CACHE_CONTROL, keeping(found.route));
            Ok(response)
        }
        Some((position, None)) => Err(nothing_kept().with(POSITION, text_of(position))),
        None => Err(nothing_kept()),
    }
}

fn response_of(headers: &HeaderMap, position: Position, publication: &Publication) -> Response<Body> {
    let tag = format!("\"{position}\"");
    let known = is_known(headers, &tag);
    let payload = &publication.item.payload;
    let mut response = Response::new(if known { full("") } else { full(payload.bytes().clone()) });
    let fields = response.headers_mut();
    fields.insert(POSITION, text_of(position));
    // A position is digits, letters and a colon, which stand in a tag as they are.
    fields.insert(ETAG, HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(payload)));
        // Whoever published it has not said that a browser may take it for a page.
        fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

/// It may be kept, and is good for as long as its tag is the newest; by caches for all where all may have it.
fn keeping(route: &Route) -> HeaderValue {
    match route.subscribe {
        None | Some(Subscribe::Anyone) => HeaderValue::from_static("no-cache"),
        Some(Subscribe::Token) => HeaderValue::from_static("private, no-cache"),
    }
}

/// Whether the client has what this tag stands for (RFC 9110, section 13.1.2: weak comparison).
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let fields = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // No comma stands in a tag of ours.
    let mut tags = fields.flat_map(|field| field.split(',')).map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// 404 and not 204: there is no such document now, and a program that expects one must not take nothing for it.
fn nothing_kept() -> Refusal {
    let sentence = "this is a channel, and nothing is kept of it: publish to it, or ask for what comes as a \
                    WebSocket, with 'Accept: text/event-stream' or with ?wait=30";
    Refusal::of(known::NOTHING_KEPT, sentence)
}

fn text_of(position: Position) -> HeaderValue {
    HeaderValue::from_str(&position.to_string()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_in_whatever_list_it_stands() {
        for (fields, known) in [
            (&[][..], false),
            (&["\"k:1\""], true),
            (&["W/\"k:1\""], true),
            (&["\"k:0\" , \"k:1\""], true),
            (&["\"k:0\"", "\"k:1\""], true),
            (&["*"], true),
            (&["k:1"], false),
            (&["\"k:10\""], false),
            (&["\"K:1\""], false),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(IF_NONE_MATCH, HeaderValue::from_static(field));
            }
            assert_eq!(is_known(&headers, "\"k:1\""), known, "{fields:?}");
        }
    }
}
