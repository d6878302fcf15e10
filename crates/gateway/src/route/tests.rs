//! Which route a path reaches.

use proptest::prelude::*;

use super::*;

fn route(path: &str) -> Route {
    Route {
        pattern: Pattern::parse(path).unwrap(),
        kind: Kind::Channel,
        subscribe: None,
        publish: Publish::Nobody,
        history: HistoryPolicy { size: 100, ttl: Duration::from_secs(300) },
        messages: Messages::Refused,
        increments: Increments::NONE,
        compression: Compression::default(),
        slow: Slow::default(),
        presence: false,
        doors: Doors::ALL,
        limits: RouteLimits { ws_max_message: 65_536, ws_max_frames_per_s: 500 },
    }
}

fn routes(paths: &[&str]) -> Result<Routes, Vec<Conflict>> {
    Routes::new(paths.iter().map(|path| route(path)).collect())
}

fn found(routes: &Routes, path: &str) -> Option<String> {
    let found = routes.find(path)?;
    let values: Vec<&str> = found.parameters.iter().collect();
    Some(format!("{} {}", found.route.pattern.as_str(), values.join(" ")).trim_end().to_owned())
}

#[test]
fn the_most_exact_route_wins() {
    let routes =
        routes(&["/{*rest}", "/quotes/{symbol}", "/quotes/all", "/img/{name}.png", "/live/{*rest}"]).unwrap();
    for (path, expected) in [
        ("/", Some("/{*rest}")),
        ("/x/y", Some("/{*rest} x/y")),
        ("/quotes/BTC", Some("/quotes/{symbol} BTC")),
        ("/quotes/all", Some("/quotes/all")),
        ("/quotes/a/b", Some("/{*rest} quotes/a/b")),
        ("/img/a.png", Some("/img/{name}.png a")),
        ("/live/", Some("/live/{*rest}")),
        ("/live/a/b/", Some("/live/{*rest} a/b/")),
        ("/live", Some("/{*rest} live")),
        ("/quotes/a%2fb", Some("/quotes/{symbol} a%2Fb")),
    ] {
        assert_eq!(found(&routes, path).as_deref(), expected, "{path}");
    }
}

#[test]
fn two_spellings_of_one_path_reach_one_route() {
    let routes = routes(&["/{*rest}", "/secret/{x}", "/caf\u{e9}", "/a$b"]).unwrap();
    assert_eq!(found(&routes, "/%73ecret/%78").as_deref(), Some("/secret/{x} x"));
    assert_eq!(found(&routes, "/caf%c3%a9").as_deref(), Some("/caf\u{e9}"));
    assert_eq!(found(&routes, "/a%24b").as_deref(), Some("/a$b"));
    assert_eq!(routes.find_name("caf\u{e9}").unwrap().route.pattern.as_str(), "/caf\u{e9}");
    assert_eq!(routes.find_name("secret/100%").unwrap().parameters.iter().next(), Some("100%25"));
    assert_eq!(routes.find_name("/").unwrap().route.pattern.as_str(), "/{*rest}");
}

#[test]
fn dot_segments_and_bad_escapes_reach_no_route() {
    let routes = routes(&["/{*rest}", "/a/{x}/b"]).unwrap();
    for path in ["/a/../b", "/.", "/%2e%2E/x", "/a/%2e", "/%", "/%zz", "", "x", "*"] {
        assert_eq!(found(&routes, path), None, "{path}");
    }
}

#[test]
fn an_exact_route_keeps_the_empty_rest() {
    let routes = routes(&["/{*rest}", "/"]).unwrap();
    assert_eq!(found(&routes, "/").as_deref(), Some("/"));
}

#[test]
fn routes_that_match_the_same_paths_are_in_conflict() {
    for (paths, count) in [
        (&["/a", "/a"][..], 1),
        (&["/a/{x}", "/a/{y}"], 1),
        (&["/a/{x}", "/a/{*y}"], 1),
        (&["/a%62", "/ab"], 1),
        (&["/a", "/b", "/a", "/b"], 2),
    ] {
        assert_eq!(routes(paths).unwrap_err().len(), count, "{paths:?}");
    }
    let conflict = routes(&["/a/{x}", "/a/{y}"]).unwrap_err().remove(0);
    assert_eq!(
        conflict,
        Conflict { index: 1, pattern: "/a/{y}".into(), with: "/a/{x}".into(), with_index: Some(0) }
    );
}

#[test]
fn sharing_is_read_as_it_is_printed() {
    for text in ["identity", "public", "authorization", "cookie:session"] {
        assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
    }
    for text in ["", "all", "cookie:", "cookie:a b", "cookie:a=b", "Cookie:a"] {
        assert_eq!(text.parse::<Share>(), Err(ShareError), "{text}");
    }
}

#[test]
fn a_pattern_matches_by_itself_what_it_matches_as_a_route() {
    for (pattern, paths, others) in [
        ("/", &["/"][..], &["/a", "//"][..]),
        ("/a/{x}", &["/a/b", "/a/%2F", "/a/{x}"], &["/a", "/a/", "/a/b/", "/a/b/c", "/b/b"]),
        ("/a/{*x}", &["/a/", "/a/b", "/a/b/c/"], &["/a", "/ab", "/"]),
        ("/img-{n}.png", &["/img-1.png", "/img-.png.png"], &["/img-.png", "/img.png", "/img-1.pngx"]),
        ("/caf\u{e9}", &["/caf%C3%A9"], &["/caf"]),
        ("/{*all}", &["/", "/a", "/a/b"], &[]),
    ] {
        let pattern = Pattern::parse(pattern).unwrap();
        for path in paths {
            assert!(pattern.matches(&path::canonical(path).unwrap()), "{} {path}", pattern.as_str());
        }
        for path in others {
            assert!(!pattern.matches(path), "{} {path}", pattern.as_str());
        }
    }
}

proptest! {
    #[test]
    fn a_pattern_alone_and_in_a_table_are_of_one_mind(
        pattern in "(/|/a|/b|/\\{x\\}|/\\{y\\}|/\\{\\*r\\}|/a\\{z\\}|\\{w\\}b|c|%41|é){1,5}",
        path in "(/|/a|/b|c|b|a|%41|%2F|é|\\{x\\}){1,6}",
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern)
            && let Some(canonical) = path::canonical(&path)
            && path.starts_with('/')
        {
            let alone = pattern.matches(&canonical);
            let table = Routes::new(vec![Route { pattern, ..route("/") }]).unwrap();
            prop_assert_eq!(table.find(&path).is_some(), alone);
        }
    }

    #[test]
    fn no_patterns_and_no_path_panic(
        patterns in prop::collection::vec("(/|/a|/b|/\\{x\\}|/\\{y\\}|/\\{\\*r\\}|/a\\{z\\}|\\{w\\}b|c|%41|é){1,5}", 0..8),
        path in "(/|/a|/b|c|\\.|%2e|%41|%2F|\\PC){0,8}",
    ) {
        let list: Vec<Route> = patterns
            .iter()
            .filter_map(|text| Pattern::parse(text).ok())
            .map(|pattern| Route { pattern, ..route("/") })
            .collect();
        if let Ok(routes) = Routes::new(list)
            && let Some(found) = routes.find(&path)
        {
            let parameters = found.route.pattern.parameters();
            prop_assert_eq!(parameters.len(), found.parameters.iter().count());
            for (parameter, value) in parameters.iter().zip(found.parameters.iter()) {
                prop_assert!(value != ".." && value != ".");
                prop_assert!(parameter.rest || (!value.is_empty() && !value.contains('/')));
            }
        }
    }
}
