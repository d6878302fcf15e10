//! Filters read, written and asked; what is wrong is said with its column.

use proptest::prelude::*;

use super::{Facts, Filter, FilterError};
use crate::event::{Body, Close, Direction, Event, Level, Note, samples};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error: FilterError| panic!("{}", error.drawn(text)))
}

fn frame(payload: &str) -> Event {
    let mut frame = samples::hello();
    frame.payload = Payload::whole(payload.as_bytes());
    Event {
        ts: Timestamp::from_micros(1_000_000),
        conn: Some("c7".into()),
        body: Body::Frame(Box::new(frame)),
    }
}

fn asked(text: &str, event: &Event) -> bool {
    let facts = Facts { path: Some("/ws/a"), user: Some("42"), channel: Some("ticker:eur") };
    parse(text).matches(event, facts, Timestamp::from_micros(31_000_000))
}

#[test]
fn what_a_frame_answers() {
    let event = frame(r#"{"type":"trade","note":"buy now"}"#);
    for yes in [
        "",
        "dir:out op:text,close -op:ping",
        "dir:up,down",
        "type:frame,message",
        "op:data -op:control",
        "len:5 len:>4 len:<1k wire:11 msg:12",
        "conn:c7 path:/ws* user:42 ch:ticker:*",
        "fin:1 rsv1:0 mask:1",
        "text:\"buy now\" text:trade",
        "buy",
        "\"buy now\" -sell",
        "re:/b.y\\s/ re:/BUY/i",
        "/tra+de/",
        "json:$.type==\"trade\" json:$.note!=\"buy  now\"",
        "age:<5m age:30s",
        "-has:error -code:1000 -status:404",
    ] {
        assert!(asked(yes, &event), "{yes}");
    }
    for no in [
        "dir:in",
        "op:ping,pong",
        "-op:text",
        "len:>5",
        "path:/ws",
        "conn:c8",
        "user:4",
        "text:Buy",
        "re:/^buy/",
        "json:$.type==\"x\"",
        "age:>5m",
        "fin:0",
        "has:error,compressed,truncated,fragment,rtt",
        "code:1005",
        "op:text op:close",
    ] {
        assert!(!asked(no, &event), "{no}");
    }
}

#[test]
fn what_other_events_answer() {
    let event = |body| Event { body, ..frame("") };
    let close = Close {
        code: 1006,
        name: None,
        reason: "gone".to_owned(),
        clean: false,
        by: Some(Direction::ToClient),
        end: None,
        idle_us: None,
        what: None,
    };
    let close = event(Body::Close(Box::new(close)));
    assert!(asked("code:1000..1015 has:error dir:in text:gone -op:close type:close", &close));
    let note = Note { status: Some(404), ..Note::new(Level::Error, "refused") };
    let note = event(Body::Note(Box::new(note)));
    assert!(asked("has:error status:>=400 refused -op:text", &note));
    assert!(!asked("op:text", &note) && !asked("dir:in", &note));
}

#[test]
fn what_is_wrong_is_said_with_its_column() {
    for (text, column, what) in [
        ("op:texd", 4, "one of text, binary"),
        ("dir:in op:text,", 16, "a value belongs here"),
        ("é dirr:in", 3, "there is no key 'dirr'"),
        ("len:>x", 5, "a number such as"),
        ("fin:2", 5, "0 or 1"),
        ("text:\"buy", 6, "a quotation mark is missing"),
        ("re:/(/", 5, "no regular expression: unclosed group"),
        ("json:$.a=1", 9, "one of == !="),
        ("json:x", 6, "begins with $"),
        ("age:5", 5, "a time such as"),
        ("has:errors", 5, "one of error, compressed"),
        ("\"a\"b", 4, "white space"),
        ("-", 2, "a value belongs here"),
        ("dir:sideways", 5, "in (to the client)"),
        ("type:frames", 6, "one of open, handshake"),
    ] {
        let error = text.parse::<Filter>().expect_err(text);
        assert!(error.what.contains(what) && error.column == column, "{text}: {error}");
    }
    let error = "op:texd".parse::<Filter>().expect_err("a fault");
    assert!(error.drawn("op:texd").starts_with("op:texd\n   ^ one of"), "{}", error.drawn("op:texd"));
    assert!("x".repeat(5000).parse::<Filter>().is_err());
    assert!("re:/a{1000}{1000}/".parse::<Filter>().is_err(), "a regular expression has a bound");
}

/// Terms as somebody may type them.
fn term() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[a-z0-9*/:.]{1,6}",
        "\"[a-z \\\\\\\\é]{0,5}\"".prop_filter("an escape has a character", |text| !text.contains('\\')),
        Just("\"a \\\" \\\\ b\"".to_owned()),
    ];
    prop_oneof![
        ("(conn|path|user|ch|text)", prop::collection::vec(value, 1..3))
            .prop_map(|(key, values)| format!("{key}:{}", values.join(","))),
        ("(len|wire|code|msg|status)", "(<|>|<=|>=|=)?[1-9][0-9]{0,4}k?")
            .prop_map(|(key, value)| format!("{key}:{value}")),
        "op:(text|binary|ping|data)(,close)?",
        "dir:(in|out|c2s,s2c)",
        "(fin|rsv1|mask):[01]",
        "age:[<>][0-9]{1,3}(ms|s|m|h)".prop_filter("nothing is below 0", |text| !text.contains("<0")),
        "re:/[a-z.]{1,4}\\\\/[a-z]*/i?",
        "json:\\$\\.[a-z]{1,3}(==\"[a-z ]{0,4}\"|>[1-9][0-9]{0,2})?",
        "[a-z]{1,5}",
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(terms in prop::collection::vec((any::<bool>(), term()), 0..5)) {
        let text: Vec<String> = terms.iter().map(|(not, term)| format!("{}{term}", if *not { "-" } else { "" })).collect();
        let text = text.join("  ");
        let filter = text.parse::<Filter>();
        prop_assert!(filter.is_ok(), "{text} {filter:?}");
        let filter = filter.unwrap_or_default();
        let written = filter.to_string();
        prop_assert_eq!(written.parse::<Filter>(), Ok(filter), "{} {}", text, written);
    }

    #[test]
    fn any_text_is_a_filter_or_says_where_it_is_none(text in "[a-z:,\\-\"/\\\\ $.=<>0-9é\u{1b}\\[]{0,30}") {
        match text.parse::<Filter>() {
            Ok(filter) => prop_assert!(filter.to_string().parse::<Filter>().is_ok(), "{filter}"),
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}");
                prop_assert!(!error.drawn(&text).chars().any(|it| it == 27 as char), "inert");
            }
        }
    }

    #[test]
    fn a_negated_term_shows_the_others(event in samples::event(), term in term()) {
        let now = Timestamp::from_micros(5_000_000_000_000_000);
        let ask = |text: &str| parse(text).matches(&event, Facts::default(), now);
        prop_assert_ne!(ask(&term), ask(&format!("-{term}")));
        prop_assert_eq!(ask(&format!("{term} {term}")), ask(&term));
    }
}
