//! What no parameter may do to a backend's URL.

use proptest::prelude::*;

use super::*;

fn template(path: &str, url: &str) -> Result<UrlTemplate, UrlError> {
    UrlTemplate::parse(url, &Pattern::parse(path).unwrap())
}

fn resolve(path: &str, url: &str, values: &[&str]) -> Result<String, ResolveError> {
    let parameters = Parameters::new(values.iter().map(|value| (*value).to_owned()).collect());
    template(path, url).unwrap().resolve(&parameters).map(|uri| uri.to_string())
}

#[test]
fn parameters_stand_in_path_and_query() {
    let url = "http://b:9000/quotes/{symbol}.json?of={symbol}&all=1";
    assert_eq!(
        resolve("/q/{symbol}", url, &["a+b%20c"]).unwrap(),
        "http://b:9000/quotes/a+b%20c.json?of=a%2Bb%20c&all=1"
    );
    assert_eq!(resolve("/q", "http://b", &[]).unwrap(), "http://b/");
    assert_eq!(resolve("/q/{a}", "http://b?x={a}", &["a&b=c#d"]).unwrap(), "http://b/?x=a%26b%3Dc%23d");
    assert_eq!(
        resolve("/q", "http://b/caf\u{e9}?caf\u{e9}?/", &[]).unwrap(),
        "http://b/caf%C3%A9?caf%C3%A9?/"
    );
}

#[test]
fn a_rest_keeps_its_slashes() {
    let of = |rest| resolve("/f/{*rest}", "http://b/x/{*rest}", &[rest]);
    assert_eq!(of("a/b/").unwrap(), "http://b/x/a/b/");
    assert_eq!(of("").unwrap(), "http://b/x/");
    assert_eq!(of("a//b"), Err(ResolveError::EmptySegment));
    assert_eq!(of("/evil.example"), Err(ResolveError::EmptySegment));
    assert_eq!(of("a/../b"), Err(ResolveError::DotSegment));
    assert_eq!(of("a/%2e%2E"), Err(ResolveError::DotSegment));
    assert_eq!(of("a%2Fb"), Err(ResolveError::EncodedSlash));
    assert_eq!(resolve("/f/{*rest}", "http://b/?p={*rest}", &["a/b"]).unwrap(), "http://b/?p=a%2Fb");
}

#[test]
fn what_would_leave_its_segment_is_refused() {
    let long = "x".repeat(70_000);
    let of = |value| resolve("/q/{a}", "http://b/{a}", &[value]);
    assert_eq!(of(".."), Err(ResolveError::DotSegment));
    assert_eq!(of("%2e."), Err(ResolveError::DotSegment));
    assert_eq!(of("."), Err(ResolveError::DotSegment));
    assert_eq!(of("..%2f"), Err(ResolveError::EncodedSlash));
    assert_eq!(of("..%5Cx"), Err(ResolveError::EncodedSlash));
    assert_eq!(of("a%0d%0aHost:%20x"), Err(ResolveError::BadCharacter));
    assert_eq!(of(""), Err(ResolveError::EmptySegment));
    assert_eq!(of(&long), Err(ResolveError::TooLong));
    assert_eq!(resolve("/q/{a}", "http://b/{a}", &[]), Err(ResolveError::ForeignParameters));
    assert_eq!(resolve("/{a}/{b}", "http://b/{a}{b}", &[".", "."]), Err(ResolveError::DotSegment));
    assert_eq!(of("%252e%252e").unwrap(), "http://b/%252e%252e");
}

#[test]
fn a_clients_query_follows_the_templates_own() {
    let parameters = Parameters::default();
    let of = |url, query| template("/q", url).unwrap().resolve_with_query(&parameters, Some(query));
    assert_eq!(of("http://b/x", "a=%20b").unwrap(), "http://b/x?a=%20b");
    assert_eq!(of("http://b/x?k=1", "a=b").unwrap(), "http://b/x?k=1&a=b");
    assert_eq!(of("http://b/x", "a#b"), Err(ResolveError::BadCharacter));
    assert_eq!(of("http://b/x", "a b"), Err(ResolveError::BadCharacter));
}

#[test]
fn what_is_no_template_is_refused() {
    let long = format!("http://b/{}", "x".repeat(8192));
    for (path, url) in [
        ("/q/{a}", "http://{a}/x"),
        ("/q/{a}", "http://b:{a}/x"),
        ("/q/{a}", "{a}://b/x"),
        ("/q/{a}", "http://b/{b}"),
        ("/q", "http://b/{a}"),
        ("/q/{a}", "http://b/{a"),
        ("/q/{a}", "http://b/a}"),
        ("/q/{a}", "http://b/{*a}"),
        ("/q/{*a}", "http://b/{a}"),
        ("/q/{*a}", "http://b/{*a}/c"),
        ("/q/{*a}", "http://b/x{*a}"),
        ("/q", "http://b/../x"),
        ("/q", "http://b/%2e/x"),
        ("/q", "http://b/x#y"),
        ("/q", "http://b/x%zz"),
        ("/q", "http://b/x?%"),
        ("/q", "http://b/a|b"),
        ("/q", "ws://b/x"),
        ("/q", "b/x"),
        ("/q", &long),
    ] {
        assert!(template(path, url).is_err(), "{path} {url}");
    }
}

proptest! {
    #[test]
    fn whatever_the_parameters_the_url_stays_on_its_host(
        single in "(\\.|%2[eEfF]|%5[cC]|%25|%[0-9a-f]{2}|[/:@?#&\\\\]|\\PC){0,8}",
        rest in "(/|\\.|%2[eEfF]|%5[cC]|%[0-9a-f]{2}|[:@?#&\\\\]|\\PC){0,12}",
    ) {
        let pattern = Pattern::parse("/{a}/{*r}").unwrap();
        let parameters = Parameters::new(vec![single, rest]);
        for url in ["http://b.example:81/x/{a}/{*r}", "http://b.example:81/{a}{a}?k={a}&r={*r}", "http://b.example:81/.{a}"] {
            let template = UrlTemplate::parse(url, &pattern).unwrap();
            let Ok(uri) = template.resolve(&parameters) else { continue };
            prop_assert_eq!(uri.scheme_str(), Some("http"));
            prop_assert_eq!(uri.authority().map(|authority| authority.as_str()), Some("b.example:81"));
            let decoded = path::decoded(uri.path()).unwrap();
            let mut segments = decoded.split(|octet| b"/\\".contains(octet));
            prop_assert!(segments.all(|segment| segment != b"." && segment != b".."), "{}", uri);
            prop_assert!(!decoded.iter().any(u8::is_ascii_control));
            let reparsed: Uri = uri.to_string().parse().unwrap();
            prop_assert_eq!(reparsed, uri);
        }
    }

    #[test]
    fn no_template_panics(url in "(http://)?(\\{\\*?[ab]\\}|[/?#%{}.@:]|\\PC){0,12}") {
        let _ = template("/{a}/{*b}", &url);
    }
}
