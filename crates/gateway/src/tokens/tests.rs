//! Tokens judged at a time that the test chooses; and that no text is a token by accident.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Jws, EncodingKey, crypto};
use proptest::prelude::*;
use tidegate_hub::ChannelName;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// When all this happens, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

const MOST: usize = 8192;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(SECRET), Jws::HS256).unwrap();
    format!("{message}.{signature}")
}

fn issuer() -> Issuer {
    Issuer {
        keys: IssuerKeys::Fixed(VerifyingKey::of_secret(SECRET).unwrap()),
        issuers: Vec::new(),
        audiences: Vec::new(),
        cookie: None,
    }
}

fn judge(issuer: &Issuer, token: &str, now: SystemTime) -> Result<Authority, Rejected> {
    let IssuerKeys::Fixed(key) = &issuer.keys else { panic!("a fixed key") };
    issuer.judge(&Compact::parse(token, MOST)?, key, now)
}

/// What comes of these claims, signed.
fn claims(text: &str) -> Result<Authority, Rejected> {
    judge(&issuer(), &token(r#"{"alg":"HS256"}"#, text), at(NOW))
}

fn name(text: &str) -> ChannelName {
    ChannelName::from_text(text).unwrap()
}

#[test]
fn a_token_grants_what_it_says() {
    let authority = claims(
        r#"{"exp":1800000060.5,"sub":"ann","channels":["/both/{x}"],"subscribe":["news/{*rest}"],
           "publish":["/caf\u00e9"],"info":{"name": "Ann"},"scope":"anything"}"#,
    )
    .unwrap();
    assert_eq!(authority.user.as_deref(), Some("ann"));
    assert_eq!(authority.info.as_deref(), Some(r#"{"name": "Ann"}"#));
    assert_eq!(authority.expires, at(NOW) + Duration::from_millis(60_500));
    for (channel, subscribe, publish) in [
        ("both/1", true, true),
        ("both/1?x=2", true, true),
        ("both/1/2", false, false),
        ("both", false, false),
        ("news/a/b", true, false),
        ("news/", true, false),
        ("news", false, false),
        ("caf\u{e9}", false, true),
        ("/", false, false),
    ] {
        let channel = name(channel);
        let found = (authority.subscribe.has(&channel), authority.publish.has(&channel));
        assert_eq!(found, (subscribe, publish), "{channel}");
    }
}

#[test]
fn a_token_that_names_no_channel_grants_none() {
    let authority = claims(r#"{"exp":1800000060}"#).unwrap();
    assert!(!authority.subscribe.has(&name("a")) && !authority.publish.has(&name("a")));
}

#[test]
fn times_count_to_the_second() {
    let token = token(r#"{"alg":"HS256"}"#, r#"{"nbf":1800000000,"exp":1800000060}"#);
    for (now, expected) in [
        (NOW - 6, Err(Rejected::NotYetValid)),
        (NOW - 5, Ok(())),
        (NOW, Ok(())),
        (NOW + 59, Ok(())),
        (NOW + 60, Err(Rejected::Expired)),
        (NOW + 3600, Err(Rejected::Expired)),
    ] {
        assert_eq!(judge(&issuer(), &token, at(now)).map(|_| ()), expected, "{now}");
    }
    let authority = judge(&issuer(), &token, at(NOW)).unwrap();
    assert!(!authority.is_expired(at(NOW + 59)) && authority.is_expired(at(NOW + 60)));
}

#[test]
fn claims_of_the_wrong_type_make_the_token_worthless() {
    for text in [
        "",
        "[]",
        "null",
        "{}",
        r#"{"exp":"1800000060"}"#,
        r#"{"exp":null}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":1e400}"#,
        r#"{"exp":1e12}"#,
        r#"{"exp":true}"#,
        r#"{"exp":1800000060,"exp":1800000060}"#,
        r#"{"exp":1800000060,"nbf":"0"}"#,
        r#"{"exp":1800000060,"nbf":null}"#,
        r#"{"exp":1800000060,"sub":""}"#,
        r#"{"exp":1800000060,"sub":1}"#,
        r#"{"exp":1800000060,"sub":"a\nb"}"#,
        r#"{"exp":1800000060,"channels":"/a"}"#,
        r#"{"exp":1800000060,"channels":[1]}"#,
        r#"{"exp":1800000060,"channels":["/{"]}"#,
        r#"{"exp":1800000060,"subscribe":["*"]}"#,
        r#"{"exp":1800000060,"publish":[""],"subscribe":["/../a"]}"#,
        r#"{"exp":1800000060,"info":"x"}"#,
        r#"{"exp":1800000060,"aud":{}}"#,
    ] {
        assert_eq!(claims(text).map(|_| ()), Err(Rejected::Claims), "{text}");
    }
    let long = |member: &str, value: String| format!(r#"{{"exp":1800000060,"{member}":{value}}}"#);
    for (good, bad) in [
        (long("sub", format!("\"{}\"", "x".repeat(255))), long("sub", format!("\"{}\"", "x".repeat(256)))),
        (
            long("channels", format!("[{}]", vec!["\"a\""; 64].join(","))),
            long("channels", format!("[{}]", vec!["\"a\""; 65].join(","))),
        ),
        (
            long("info", format!("{{\"x\":\"{}\"}}", "x".repeat(2040))),
            long("info", format!("{{\"x\":\"{}\"}}", "x".repeat(2041))),
        ),
    ] {
        assert!(claims(&good).is_ok(), "{good}");
        assert_eq!(claims(&bad).map(|_| ()), Err(Rejected::Claims), "{bad}");
    }
}

#[test]
fn issuer_and_audience_must_be_those_that_are_configured() {
    let strict = Issuer {
        issuers: vec!["a".to_owned(), "b".to_owned()],
        audiences: vec!["gate".to_owned()],
        ..issuer()
    };
    for (members, open, closed) in [
        (r#""iss":"b","aud":"gate""#, Err(Rejected::Audience), Ok(())),
        (r#""iss":"a","aud":["x","gate"]"#, Err(Rejected::Audience), Ok(())),
        (r#""iss":"a""#, Ok(()), Err(Rejected::Audience)),
        (r#""iss":"a","aud":[]"#, Err(Rejected::Audience), Err(Rejected::Audience)),
        (r#""iss":"A","aud":"gate""#, Err(Rejected::Audience), Err(Rejected::Issuer)),
        (r#""aud":"gate""#, Err(Rejected::Audience), Err(Rejected::Issuer)),
        (r#""sub":"x""#, Ok(()), Err(Rejected::Issuer)),
    ] {
        let token = token(r#"{"alg":"HS256"}"#, &format!(r#"{{"exp":1800000060,{members}}}"#));
        assert_eq!(judge(&issuer(), &token, at(NOW)).map(|_| ()), open, "{members}");
        assert_eq!(judge(&strict, &token, at(NOW)).map(|_| ()), closed, "{members}");
    }
}

#[test]
fn a_token_has_three_parts_and_a_header_that_is_understood() {
    let good = token(r#"{"alg":"HS256"}"#, r#"{"exp":1800000060}"#);
    assert_eq!(judge(&issuer(), &good, at(NOW)).map(|_| ()), Ok(()));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    for (text, expected) in [
        (String::new(), Rejected::Malformed),
        (format!("{header}.{payload}"), Rejected::Malformed),
        (format!("{good}."), Rejected::Malformed),
        (format!(".{payload}.{signature}"), Rejected::Malformed),
        (format!("{header}=.{payload}.{signature}"), Rejected::Malformed),
        (format!("{header}.{payload}."), Rejected::Signature),
        (format!("{header}.{payload}.{signature}="), Rejected::Signature),
        (format!("{header}.{payload}.{}", &signature[1..]), Rejected::Signature),
        (format!("{header}..{signature}"), Rejected::Signature),
        (format!("{good}{}", "x".repeat(MOST)), Rejected::TooLong),
        (token(r#"{"alg":"none"}"#, "{}"), Rejected::Algorithm),
        (token(r#"{"alg":"HS384"}"#, "{}"), Rejected::Algorithm),
        (token(r#"{"alg":"ES256"}"#, "{}"), Rejected::Algorithm),
        (token(r#"{"alg":"HS256","crit":[]}"#, "{}"), Rejected::Critical),
        (token(r#"{"alg":"HS256","kid":null}"#, "{}"), Rejected::Malformed),
        (token("{}", "{}"), Rejected::Malformed),
        (token("\u{feff}{}", "{}"), Rejected::Malformed),
    ] {
        assert_eq!(judge(&issuer(), &text, at(NOW)).map(|_| ()), Err(expected), "{text}");
    }
}

#[test]
fn every_rejection_has_its_own_name_and_says_it_in_a_header_field() {
    let all = [
        Rejected::TooLong,
        Rejected::Malformed,
        Rejected::Critical,
        Rejected::Algorithm,
        Rejected::UnknownKey,
        Rejected::Signature,
        Rejected::Claims,
        Rejected::Issuer,
        Rejected::Audience,
        Rejected::NotYetValid,
        Rejected::Expired,
    ];
    let names: std::collections::BTreeSet<_> = all.iter().map(|rejected| rejected.name()).collect();
    assert_eq!(names.len(), all.len());
    assert!(all.iter().all(|rejected| {
        rejected.sentence().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic() && byte != b'"')
    }));
}

#[test]
fn keys_of_a_set_are_for_signatures_and_one_algorithm() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let set = |keys: &str| KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
    let ed25519 = |more: &str| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"{more}}}"#);
    assert!(set(&ed25519("")).is_ok());
    assert!(set(&ed25519(r#","use":"sig","alg":"EdDSA","x5t":"","key_ops":["verify"]"#)).is_ok());
    for none in [
        String::new(),
        "{}".to_owned(),
        "7".to_owned(),
        ed25519(r#","use":"enc""#),
        ed25519(r#","alg":"ES256""#),
        ed25519(r#","kid":5"#),
        ed25519("").replace(x, "AAAA"),
        ed25519("").replace(x, "?"),
        ed25519("").replace("Ed25519", "X25519"),
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
        format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, "_".repeat(4096)),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{}"}}"#, &x[1..]),
        r#"{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}"#.to_owned(),
    ] {
        assert!(set(&none).is_err(), "{none}");
    }
    let both = [ed25519(r#","kid":"a""#), ed25519(r#","kid":"b""#)].join(",");
    let set = set(&both).unwrap();
    assert!(set.find(Algorithm::EdDsa, Some("a")).is_some());
    assert!(set.find(Algorithm::EdDsa, Some("c")).is_none());
    assert!(set.find(Algorithm::EdDsa, None).is_none(), "which of two it would be is a guess");
    assert!(set.find(Algorithm::Es256, Some("a")).is_none());
}

proptest! {
    #[test]
    fn no_text_panics_and_none_is_a_token(text in "\\PC*", header in ".*", payload in ".*") {
        prop_assert!(judge(&issuer(), &text, at(NOW)).is_err());
        let unsigned = format!("{}.{}.{}", part(&header), part(&payload), part(&text));
        prop_assert!(judge(&issuer(), &unsigned, at(NOW)).is_err());
        prop_assert!(KeySet::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn signed_claims_of_any_kind_do_not_panic(text in "\\PC*", number in any::<f64>()) {
        let _ = claims(&text);
        let _ = claims(&format!(r#"{{"exp":{number},"nbf":{number:e}}}"#));
    }

    #[test]
    fn a_changed_bit_is_seen(at_byte in 0usize..60, bit in 0u8..6) {
        let good = token(r#"{"alg":"HS256"}"#, r#"{"exp":1800000060}"#);
        let mut bytes = good.clone().into_bytes();
        let place = at_byte % bytes.len();
        bytes[place] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) && text != good {
            prop_assert!(judge(&issuer(), &text, at(NOW)).is_err());
        }
    }
}
