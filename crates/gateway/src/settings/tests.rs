//! Whole configurations: good ones, the bounds of the file, what the command line changes.

mod faults;

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::route::{Forward, Parameters};

const GOOD: &str = r#"
[listen]
public = ["127.0.0.1:8080", "[::1]:8080"]
admin = "127.0.0.1:9999"
shards = 2

[access]
admin_token = { env = "SET" }
origins = ["https://App.example:443"]
hosts = ["Dev.example"]
trusted_proxies = ["10.0.0.0/8"]

[limits]
ws_max_message = "128 KiB"
max_connections = 500
history_ttl = "10m"
max_publication = 65_536

[[route]]
path = "/quotes/{symbol}"
poll = { url = "http://127.0.0.1:9000/quotes/{symbol}", interval = "1s", forward = "cookie" }
history = { size = 50 }
slow = "disconnect"

[[route]]
path = "/events"
[route.stream]
url = "https://backend.example/events"

[[route]]
path = "/chat/{room}"
channel = {}
subscribe = "anyone"
publish = "anyone"
limits = { ws_max_message = "4 KiB" }

[[route]]
path = "/{*rest}"
auto = { url = "http://127.0.0.1:3000", share = "cookie:session" }
messages_type = "application/json"
doors = ["ndjson", "longpoll"]
"#;

fn read(text: &str) -> Result<Settings, Faults> {
    Settings::from_text(text, "conf/tidegate.toml", &|name| (name == "SET").then(|| "secret".to_owned()))
}

fn route<'a>(settings: &'a Settings, path: &str) -> (&'a Route, Parameters) {
    let found = settings.routes.find(path).expect(path);
    (found.route, found.parameters)
}

fn public(text: &str) -> Overrides {
    Overrides { public: Some(vec![Listener::parse(text).unwrap()]), ..Overrides::default() }
}

#[test]
fn a_whole_file_becomes_a_value() {
    let settings = read(GOOD).unwrap();
    assert_eq!(settings.listen.public[1], Listener::Tcp("[::1]:8080".parse().unwrap()));
    assert_eq!(settings.listen.admin.to_string(), "127.0.0.1:9999");
    assert_eq!(settings.shards, Some(2));
    assert!(settings.access.admin_token.as_ref().unwrap().is(b"secret"));
    assert_eq!(settings.access.origins[0].as_str(), "https://app.example");
    assert_eq!(settings.access.trusted_proxies[0].to_string(), "10.0.0.0/8");
    assert_eq!(settings.hosts, ["dev.example"]);
    assert_eq!(settings.limits.max_connections, Some(500));
    assert_eq!(settings.limits.publish_max_body, 65_536, "follows max_publication");
    assert_eq!(settings.routes.len(), 4);
    assert!(!format!("{settings:?}").contains("secret\""));
}

#[test]
fn each_kind_of_route_says_what_it_means() {
    let settings = read(GOOD).unwrap();
    let (quotes, parameters) = route(&settings, "/quotes/BTC");
    let Kind::Poll { template, interval, forward } = &quotes.kind else { panic!("{quotes:?}") };
    assert_eq!(template.resolve(&parameters).unwrap(), "http://127.0.0.1:9000/quotes/BTC");
    assert_eq!(*interval, Some(Duration::from_secs(1)));
    assert_eq!(*forward, Forward { cookie: true, authorization: false });
    assert_eq!(quotes.history, HistoryPolicy { size: 50, ttl: Duration::from_secs(600) });
    assert_eq!((&quotes.messages, quotes.publish), (&Messages::Refused, Publish::Nobody));
    assert_eq!((quotes.subscribe, quotes.limits.ws_max_message), (None, 128 << 10));

    assert!(
        matches!(&route(&settings, "/events").0.kind, Kind::Stream { template } if template.backend().is_tls())
    );

    let (chat, _) = route(&settings, "/chat/7");
    assert_eq!((&chat.kind, chat.subscribe), (&Kind::Channel, Some(Subscribe::Anyone)));
    assert_eq!((chat.publish, chat.limits.ws_max_message), (Publish::Anyone, 4 << 10));

    let (auto, _) = route(&settings, "/");
    assert!(matches!(&auto.kind, Kind::Auto { share: Share::Cookie(name), .. } if name == "session"));
    assert_eq!(auto.messages, Messages::Post { content_type: Some("application/json".to_owned()) });
    assert_eq!((auto.doors, quotes.doors, chat.doors), (Doors::ALL, Doors::default(), Doors::ALL));
}

#[test]
fn increments_are_offered_where_documents_are() {
    let text = r#"
[[route]]
path = "/one"
channel = {}
updates = "merge-patch"
[[route]]
path = "/both"
channel = {}
updates = ["json-patch", "merge-patch"]
[[route]]
path = "/none"
channel = {}
[[route]]
path = "/polled"
poll = { url = "http://127.0.0.1:9000" }
[[route]]
path = "/events"
stream = { url = "http://127.0.0.1:9000" }
"#;
    let settings = read(text).unwrap();
    let one = Increments { json_patch: false, merge_patch: true };
    for (path, increments) in [
        ("/one", one),
        ("/both", Increments::ALL),
        ("/none", Increments::NONE),
        ("/polled", Increments::ALL),
        ("/events", Increments::NONE),
    ] {
        assert_eq!(route(&settings, path).0.increments, increments, "{path}");
    }
    assert!(summary(&settings).contains("updates json-patch and merge-patch"));
}

#[test]
fn the_summary_shows_where_channels_are() {
    let shown = |engine: &str| {
        summary(&read(&format!("{engine}[[route]]\npath = \"/a\"\nchannel = {{}}\n")).unwrap())
    };
    assert!(shown("").contains("engine           embedded, in memory\n"));
    let on_disk = "[engine]\nembedded = { path = \"data\", sync = \"commit\" }\n";
    if cfg!(feature = "durable") {
        let text = shown(on_disk);
        assert!(text.contains("engine           embedded, on disk in conf/data, sync commit\n"), "{text}");
    }
}

#[test]
fn the_summary_shows_routes_and_limits_and_no_secret() {
    let text = summary(&read(GOOD).unwrap());
    for part in [
        "admin token      configured\n",
        "poll http://127.0.0.1:9000/quotes/{symbol} every 1s, forward cookie",
        "subscribe anyone (loopback)  publish nobody  messages refuse",
        "compression shared",
        "history 50, 10m\n",
        "history 100, 10m  doors longpoll, ndjson\n",
        "auto http://127.0.0.1:3000, share cookie:session",
        "128 KiB  (default 64 KiB)",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("secret"));
    assert!(!text.contains("(default 300s)"), "5m is no change");
    assert_eq!(text.lines().filter(|line| line.starts_with("  ws_")).count(), 11);
}

#[test]
fn serve_with_a_url_is_one_auto_route() {
    let settings =
        Settings::for_backend("http://localhost:3000", Share::Public, Overrides::default()).unwrap();
    assert_eq!(settings.access.origins[0].as_str(), "http://localhost:3000");
    assert_eq!(settings.listen, Listen::default());
    for path in ["/", "/a/b"] {
        let (route, _) = route(&settings, path);
        assert!(matches!(&route.kind, Kind::Auto { share: Share::Public, .. }), "{path}");
        assert_eq!(route.messages, Messages::Post { content_type: None });
    }
    let faults = Settings::for_backend("localhost:3000", Share::Public, Overrides::default()).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "command line: the URL has no scheme; write \"http://localhost:3000\" (TG-1117)"
    );
}

#[test]
fn serve_alone_makes_every_path_a_channel() {
    let settings = Settings::for_channels(Overrides::default()).unwrap();
    assert_eq!(route(&settings, "/").0.kind, Kind::Channel);
    assert_eq!(route(&settings, "/a/b").0.kind, Kind::Channel);
}

#[test]
fn an_open_listener_needs_a_word_about_subscribing() {
    let faults = Settings::for_channels(public("0.0.0.0:80")).unwrap_err().to_string();
    assert!(faults.ends_with("add --subscribe anyone, or listen on 127.0.0.1 (TG-1118)"), "{faults}");
    let open = Overrides { subscribe: Some(Subscribe::Anyone), ..public("0.0.0.0:80") };
    let settings = Settings::for_channels(open.clone()).unwrap();
    assert_eq!(route(&settings, "/a").0.subscribe, Some(Subscribe::Anyone));

    let text = "[listen]\npublic = \"0.0.0.0:80\"\n[[route]]\npath = \"/a\"\nchannel = {}\n";
    assert_eq!(read(text).unwrap_err().iter().count(), 1);
    assert!(Settings::from_text_with(text, "t", &|_| None, &open).is_ok());
    assert!(Settings::from_text_with(text, "t", &|_| None, &public("127.0.0.1:80")).is_ok());
}

#[test]
fn the_command_line_wins_over_the_file_but_not_over_its_secret() {
    let overrides = Overrides {
        admin: Some("127.0.0.1:1".parse().unwrap()),
        admin_token: Some(Secret::parse("other").unwrap()),
        ..public("127.0.0.1:2")
    };
    let environment = |_: &str| Some("secret".to_owned());
    let settings = Settings::from_text_with(GOOD, "t", &environment, &overrides).unwrap();
    assert_eq!(settings.listen.admin.to_string(), "127.0.0.1:1");
    assert_eq!(settings.listen.public.len(), 1);
    assert!(settings.access.admin_token.unwrap().is(b"secret"));
    let settings = Settings::for_channels(overrides).unwrap();
    assert!(settings.access.admin_token.unwrap().is(b"other"));
}

#[test]
fn a_file_is_read_with_the_secrets_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    std::fs::write(folder.path().join("token"), "from-file\n").unwrap();
    let text = "[access]\nadmin_token = { file = \"token\" }\n[[route]]\npath = \"/a\"\nchannel = {}\n";
    std::fs::write(&path, text).unwrap();
    let settings = Settings::from_file(&path).unwrap();
    assert!(settings.access.admin_token.unwrap().is(b"from-file"));

    std::fs::write(&path, b"# \xc3\xa9\nx = \xff").unwrap();
    let faults = Settings::from_file(&path).unwrap_err().to_string();
    assert!(
        faults.ends_with("tidegate.toml:2:5: the file is not UTF-8 from here on; save it as UTF-8 (TG-1102)"),
        "{faults}"
    );

    std::fs::write(&path, "#".repeat(FILE_MAX_BYTES + 1)).unwrap();
    assert!(Settings::from_file(&path).unwrap_err().to_string().contains("larger than 1 MiB"));

    let faults = Settings::from_file(&folder.path().join("absent.toml")).unwrap_err().to_string();
    assert!(faults.contains("absent.toml: cannot be read: "), "{faults}");
}

#[test]
fn a_file_has_bounds() {
    assert!(read(&"#".repeat(FILE_MAX_BYTES + 1)).is_err());
    assert!(read(&format!("#{}", "[".repeat(1000))).is_err());
    assert!(read(&format!("x = {}", "[".repeat(FILE_MAX_BYTES - 4))).is_err());
    assert!(read(&"a.".repeat(FILE_MAX_BYTES / 2)).is_err());
    let mut text = String::new();
    for index in 0..=crate::route::ROUTES_MAX {
        let _infallible = writeln!(text, "[[route]]\npath = \"/{index}\"\nchannel = {{}}");
    }
    let faults = read(&text).unwrap_err().to_string();
    assert_eq!(
        faults,
        "conf/tidegate.toml:30001:1: more than 10000 routes; join some with {parameters} (TG-1111)"
    );
}

#[test]
fn a_windows_file_with_a_mark_is_read() {
    let text = "\u{feff}[[route]]\r\npath = \"/a\"\r\nchannel = {}\r\nx = 1\r\n";
    let faults = read(text).unwrap_err().to_string();
    assert!(faults.starts_with("conf/tidegate.toml:4:1: unknown key 'x' in [[route]]"), "{faults}");
}

#[test]
fn settings_are_shared_by_all_shards() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Settings>();
}

#[test]
fn a_secret_of_tokens_is_not_shown() {
    let text = r#"
[access]
tokens = { algorithm = "HS256", secret = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", cookie = "ticket" }
[[route]]
path = "/a"
channel = {}
subscribe = "token"
"#;
    let settings = Settings::from_text(text, "t", &|_| None).expect("a good configuration");
    let summary = summary(&settings);
    assert!(summary.contains("HS256, cookie ticket") && summary.contains("subscribe token"), "{summary}");
    assert!(!format!("{settings:?}{summary}").contains("xxxx"));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = read(&text);
    }

    #[test]
    fn no_toml_panics_and_each_fault_has_a_place(
        text in "(\\[\\[route\\]\\]\n|\\[(listen|access|limits|upstream)\\]\n|(path|poll|auto|stream|channel|history|\
                 public|admin|origins|url|interval|subscribe|limits|ws_max_message|max_publication) ?= ?|\
                 \"(/\\{x\\}|/\\{\\*r\\}|http://b/\\{x\\}|anyone|1s|64 KiB|0.0.0.0:1|é|\\PC{0,4})\"\n?|\
                 \\{ |\\}\n?|\\[|\\]\n?|, |-?[0-9]{1,20}\n|true\n|#\\PC{0,3}\n|\n){0,40}",
    ) {
        if let Err(faults) = read(&text) {
            prop_assert!(faults.iter().count() > 0);
            for fault in faults.iter() {
                prop_assert!(text.is_empty() || (fault.line >= 1 && fault.line <= text.split('\n').count()));
                prop_assert!(!fault.what.is_empty() && !fault.mend.is_empty());
                prop_assert!(!fault.to_string().chars().any(char::is_control));
            }
        }
    }
}
