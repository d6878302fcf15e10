//! What must not be shown of a head unless somebody asks for it: credentials in fields and in the query.
//!
//! Names are kept, so that one sees that there was a credential, and of which kind; values give way to a word.
//! It is a matter of names: a secret under an innocent name is not found.

use std::borrow::Cow;

/// Stands where a secret stood.
pub const HIDDEN: &str = "[hidden]";

/// Fields whose whole value is a credential.
const CREDENTIAL_FIELDS: [&str; 5] =
    ["x-api-key", "x-auth-token", "x-csrf-token", "x-xsrf-token", "x-amz-security-token"];

/// Parameters of a query are secrets if their names are these.
const SECRET_NAMES: [&str; 9] = ["key", "sig", "sid", "pass", "pwd", "code", "state", "ticket", "nonce"];

/// Or if their names hold one of these.
const SECRET_PARTS: [&str; 9] =
    ["token", "secret", "password", "passwd", "auth", "apikey", "jwt", "session", "signature"];

/// How a subprotocol begins that carries a token: pages can set no other field.
const TOKEN_SUBPROTOCOL: &str = "bearer.";

/// The value of a field without what is secret in it; borrowed if nothing is.
#[must_use]
pub fn hide_in_field<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "authorization" | "proxy-authorization" => hide_behind_scheme(value),
        "cookie" => hide_in_pairs(value, "; ", |_| true),
        "set-cookie" => hide_first_pair(value),
        "sec-websocket-protocol" => hide_in_subprotocols(value),
        ":path" | "referer" | "location" | "content-location" => hide_in_target(value),
        _ if CREDENTIAL_FIELDS.contains(&name.as_str()) => HIDDEN.into(),
        _ => value.into(),
    }
}

/// A path or URL without what is secret in its query; borrowed if nothing is.
#[must_use]
pub fn hide_in_target(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else { return target.into() };
    match hide_in_pairs(query, "&", is_secret_name) {
        Cow::Borrowed(_) => target.into(),
        Cow::Owned(query) => format!("{path}?{query}").into(),
    }
}

/// Whether a parameter of a query is likely to be a credential.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    // What stands in other spellings, `api_key` or `apiKey`, is compared in one.
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    SECRET_NAMES.contains(&plain.as_str()) || SECRET_PARTS.iter().any(|part| plain.contains(part))
}

/// The scheme says what kind of credential there is.
fn hide_behind_scheme(value: &str) -> Cow<'_, str> {
    match value.split_once(' ') {
        Some((scheme, _)) => format!("{scheme} {HIDDEN}").into(),
        None => HIDDEN.into(),
    }
}

/// Of pairs `name=value` the values whose names are secret.
fn hide_in_pairs<'v>(value: &'v str, between: &str, is_secret: impl Fn(&str) -> bool) -> Cow<'v, str> {
    let mark = between.trim_end();
    let mut found = false;
    let hide = |pair: &'v str| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret(name.trim()) => {
            found = true;
            Cow::Owned(format!("{}={HIDDEN}", name.trim()))
        }
        _ => Cow::Borrowed(pair.trim()),
    };
    let pairs: Vec<Cow<'_, str>> = value.split(mark).map(hide).collect();
    if found { pairs.join(between).into() } else { value.into() }
}

/// A cookie that is set has its value first, and attributes that are no secret behind it.
fn hide_first_pair(value: &str) -> Cow<'_, str> {
    let (pair, attributes) = match value.split_once(';') {
        Some((pair, _)) => (pair, &value[pair.len()..]),
        None => (value, ""),
    };
    match hide_in_pairs(pair, "; ", |_| true) {
        Cow::Borrowed(_) => value.into(),
        Cow::Owned(pair) => format!("{pair}{attributes}").into(),
    }
}

fn hide_in_subprotocols(value: &str) -> Cow<'_, str> {
    let is_token = |name: &str| {
        let start = name.trim().get(..TOKEN_SUBPROTOCOL.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(TOKEN_SUBPROTOCOL))
    };
    if !value.split(',').any(is_token) {
        return value.into();
    }
    let hide = |name: &str| match is_token(name) {
        true => format!("{TOKEN_SUBPROTOCOL}{HIDDEN}"),
        false => name.trim().to_owned(),
    };
    value.split(',').map(hide).collect::<Vec<_>>().join(", ").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields() {
        for (name, value, shown) in [
            ("Authorization", "Bearer abc.def", "Bearer [hidden]"),
            ("authorization", "abc", "[hidden]"),
            ("Cookie", "sid=1; theme=dark", "sid=[hidden]; theme=[hidden]"),
            ("Set-Cookie", "sid=1=2; Path=/; HttpOnly", "sid=[hidden]; Path=/; HttpOnly"),
            ("Sec-WebSocket-Protocol", "tidegate.v1,Bearer.abc", "tidegate.v1, bearer.[hidden]"),
            ("Sec-WebSocket-Protocol", "a,b", "a,b"),
            ("X-API-Key", "k", "[hidden]"),
            ("Location", "/login?token=1", "/login?token=[hidden]"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Host", "x", "x"),
        ] {
            assert_eq!(hide_in_field(name, value), shown, "{name}");
        }
    }

    #[test]
    fn parameters_of_a_query() {
        for (target, shown) in [
            ("/a?b=c", "/a?b=c"),
            ("/token=1", "/token=1"),
            ("/a?access_token=1&b=c", "/a?access_token=[hidden]&b=c"),
            ("/a?b&API-Key=1&&c=", "/a?b&API-Key=[hidden]&&c="),
            ("ws://h/a?sessionId=x&monkey=y", "ws://h/a?sessionId=[hidden]&monkey=y"),
        ] {
            assert_eq!(hide_in_target(target), shown);
        }
    }

    proptest! {
        #[test]
        fn no_secret_is_left(
            secret in "[A-Z]{20}", before in "[a-z=;& ]{0,9}", scheme in prop::option::of("[A-Za-z]{1,6}"),
        ) {
            let scheme = scheme.map(|scheme| format!("{scheme} ")).unwrap_or_default();
            for (name, value) in [
                ("authorization", format!("{scheme}{secret}")),
                ("cookie", format!("a={before}; b={secret}")),
                ("set-cookie", format!("b={secret}; Path=/")),
                ("sec-websocket-protocol", format!("x, bearer.{secret}")),
                (":path", format!("/x?a={before}&token={secret}")),
            ] {
                let shown = hide_in_field(name, &value);
                prop_assert!(!shown.contains(&secret), "{name}: {shown}");
            }
        }

        #[test]
        fn any_text_stays_or_is_hidden(name in "[a-z-]{0,20}", value in ".{0,30}") {
            let _ = hide_in_field(&name, &value);
            let _ = hide_in_target(&value);
        }
    }
}
