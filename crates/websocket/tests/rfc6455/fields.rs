//! Fields of the handshake as HTTP has them: their order, strangers among them, and quoted parameters.

use proptest::prelude::*;
use tidegate_websocket::handshake::server::{Accepted, HttpVersion, Refusal, Request, accept};

const GOOD: [(&str, &[u8]); 5] = [
    ("Host", b"server.example.com"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", b"13"),
];

fn judge(headers: &[(&str, &[u8])]) -> Result<Accepted, Refusal> {
    accept(&Request { method: "GET", version: HttpVersion::Http11, headers }, &["chat"], None)
}

fn with_extensions(value: &str) -> Result<Accepted, Refusal> {
    judge(&[&GOOD[..], &[("Sec-WebSocket-Extensions", value.as_bytes())]].concat())
}

#[test]
fn a_quoted_parameter_holds_a_token() {
    for value in [r#"x; a="b""#, r#"x; a="\b""#, r#"x; a = "b" ; c, y"#, "x; a=b, y; c"] {
        assert!(with_extensions(value).is_ok(), "{value}");
    }
    for value in [
        r#"x; a="""#,
        r#"x; a="b c""#,
        r#"x; a="b,c""#,
        r#"x; a="b"#,
        r#"x; a="b" c"#,
        r#"x; "a"=b"#,
        r#""x""#,
    ] {
        assert!(with_extensions(value).is_err(), "{value}");
    }
}

fn stranger() -> impl Strategy<Value = (String, String)> {
    ("X-[a-z]{1,8}|Cookie|Origin|User-Agent|Accept", "[ -~]{0,40}")
}

proptest! {
    #[test]
    fn fields_may_come_in_any_order(
        order in Just(GOOD.to_vec()).prop_shuffle(), strangers in prop::collection::vec((stranger(), 0usize..6), 0..10)
    ) {
        let mut headers = order;
        for ((name, value), place) in &strangers {
            headers.insert((*place).min(headers.len()), (name, value.as_bytes()));
        }
        prop_assert_eq!(judge(&headers), judge(&GOOD));
        prop_assert!(judge(&GOOD).is_ok());
    }

    #[test]
    fn none_of_the_five_may_be_absent(missing in 0usize..5, strangers in prop::collection::vec(stranger(), 0..5)) {
        let mut headers = GOOD.to_vec();
        headers.remove(missing);
        headers.extend(strangers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        prop_assert!(judge(&headers).is_err());
    }
}
