//! The page of the admin listener: `GET /` and `GET /page/{file}`, out of the binary.
//!
//! Its files are made from `web/page` and committed; they hold nothing secret and need no token. What the page
//! shows comes to it by the other calls of this listener.

use std::sync::LazyLock;

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Response, StatusCode};
use tidegate_inspect::words::known;

use crate::doors::newest::is_known;
use crate::http_body::{Body, full};
use crate::refusal::Refusal;

/// Scripts and styles of this listener and of nobody else; no request leaves it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// On every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A file as it is in `web/page/dist`.
struct File {
    /// Its name, in front of and behind the dot.
    name: (&'static str, &'static str),
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($stem:literal, $ending:literal, $kind:literal) => {
        File {
            name: ($stem, $ending),
            kind: $kind,
            bytes: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../web/page/dist/",
                $stem,
                ".",
                $ending
            )),
        }
    };
}

/// All of `web/page/dist`; the first is the page.
const FILES: [File; 4] = [
    file!("index", "html", "text/html; charset=utf-8"),
    file!("page", "js", "text/javascript; charset=utf-8"),
    file!("page", "css", "text/css; charset=utf-8"),
    file!("icon", "svg", "image/svg+xml"),
];

/// The hash of each file, in hexadecimal.
static HASHES: LazyLock<[String; FILES.len()]> = LazyLock::new(|| FILES.map(|file| hash(file.bytes)));

/// How long an answer is good.
#[derive(Clone, Copy)]
enum Keeping {
    /// Nothing of it is kept.
    Nothing,
    /// It is asked for again with its tag.
    Asked,
    /// The name has the hash in it: another content has another name.
    Forever,
}

/// `/`, which an empty name stands for, and the files of the page by name: `page.js`, or with the hash in front
/// of the ending.
pub(super) fn answer(method: &Method, name: &str, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let refusal = Refusal::of(known::ADMIN_METHOD, "this takes GET, HEAD");
        return Err(refusal.with(ALLOW, HeaderValue::from_static("GET, HEAD")));
    }
    let Some((at, keeping)) = find(name) else {
        let sentence = "the page has no file of this name: load it anew";
        return Err(Refusal::of(known::NO_PAGE, sentence));
    };
    let tag = format!("\"{}\"", HASHES[at]);
    let known = is_known(headers, &tag);
    let mut response = Response::new(full(if known { &[][..] } else { FILES[at].bytes }));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let fields = response.headers_mut();
    fields.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(FILES[at].kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(keeping.text()));
    // Hexadecimal digits within quotation marks.
    fields.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
    Ok(response)
}

/// Whether somebody follows a link to the page: that may stand anywhere, and who put it there learns nothing.
pub(super) fn is_visit(headers: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|field| field == value);
    says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document") && !headers.contains_key(ORIGIN)
}

fn find(name: &str) -> Option<(usize, Keeping)> {
    if name.is_empty() {
        return Some((0, Keeping::Nothing));
    }
    let named = |at: usize| {
        let (stem, ending) = FILES[at].name;
        let middle = name.strip_prefix(stem)?.strip_suffix(ending)?.strip_prefix('.')?;
        match middle.strip_suffix('.') {
            None if middle.is_empty() => Some((at, Keeping::Asked)),
            Some(hash) if hash == HASHES[at] => Some((at, Keeping::Forever)),
            _ => None,
        }
    };
    (1..FILES.len()).find_map(named)
}

impl Keeping {
    const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "no-store",
            Self::Asked => "no-cache",
            Self::Forever => "public, max-age=31536000, immutable",
        }
    }
}

/// FNV-1a, 64 bits, as the page's build has it: it tells builds apart, and guards against nobody.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::header::IF_NONE_MATCH;

    use super::*;

    fn get(name: &str) -> Response<Body> {
        answer(&Method::GET, name, &HeaderMap::new()).expect("an answer")
    }

    fn field(response: &Response<Body>, name: HeaderName) -> &str {
        response.headers()[name].to_str().expect("visible characters")
    }

    #[test]
    fn every_committed_file_is_in_the_binary() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/page/dist");
        let entries = std::fs::read_dir(folder).expect("the folder of the page");
        let names: BTreeSet<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        let listed = FILES.map(|file| format!("{}.{}", file.name.0, file.name.1));
        assert_eq!(names, BTreeSet::from(listed));
    }

    #[test]
    fn all_that_the_page_loads_is_served_under_the_name_that_it_says() {
        let page = std::str::from_utf8(FILES[0].bytes).expect("UTF-8");
        let loaded: Vec<_> =
            page.split("\"/page/").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert_eq!(loaded.len(), FILES.len() - 1, "{loaded:?}");
        for name in loaded {
            let response = get(name);
            assert!(field(&response, CACHE_CONTROL).ends_with("immutable"), "{name}");
            assert!(field(&response, CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"), "{name}");
        }
    }

    #[test]
    fn a_file_without_its_hash_and_the_page_itself_are_asked_for_again() {
        assert_eq!(field(&get("page.js"), CACHE_CONTROL), "no-cache");
        assert_eq!(field(&get(""), CACHE_CONTROL), "no-store");
        assert_eq!(field(&get(""), CONTENT_TYPE), "text/html; charset=utf-8");
        let tag = get("page.js").headers()[ETAG].clone();
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, tag)]);
        let status = |name| answer(&Method::GET, name, &headers).expect("an answer").status();
        assert_eq!(status("page.js"), StatusCode::NOT_MODIFIED);
        assert_eq!(status("page.css"), StatusCode::OK);
    }

    #[test]
    fn other_names_and_methods_are_refused() {
        for name in [
            "index.html",
            "page",
            "pagejs",
            "page..js",
            "page.0123456789abcdef.js",
            "page.js/",
            "../page.js",
            "/",
            "js",
        ] {
            let refusal = answer(&Method::GET, name, &HeaderMap::new()).err().expect(name);
            assert_eq!(refusal.status, StatusCode::NOT_FOUND, "{name}");
        }
        let refusal = answer(&Method::POST, "", &HeaderMap::new()).err().expect("a refusal");
        assert_eq!(refusal.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
