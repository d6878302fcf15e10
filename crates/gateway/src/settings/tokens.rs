//! `[access] tokens`: whose tokens count, one table or a list of them.
//!
//! Keys are read here, so that a configuration with a key that is none does not start.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use http::Uri;
use tidegate_inspect::words::known;

use super::access::read_secret;
use super::document::{Entry, Section};
use super::fault::{Collector, shown};
use super::vocabulary;
use crate::route::is_token;
use crate::tokens::{Algorithm, Issuer, IssuerKeys, VerifyingKey};

/// Most issuers: a token without a named key is held against the key of each.
const ISSUERS_MAX: usize = 8;

/// Most values of `issuer` and `audience`.
const VALUES_MAX: usize = 64;

/// Longest value of `issuer` and `audience`.
const VALUE_MAX_BYTES: usize = 1024;

/// Largest file with a public key.
const FILE_MAX_BYTES: u64 = 64 * 1024;

const URL_MEND: &str = "write an https URL such as \"https://login.example/.well-known/jwks.json\"";

const EXAMPLE: &str = "write tokens = { algorithm = \"EdDSA\", public_key = \"key.pem\" }";

/// Reads the key `tokens` of `[access]`. Entries with faults are left out.
pub(super) fn read(
    access: Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    faults: &mut Collector<'_>,
) -> Vec<Issuer> {
    let Some(entry) = access.get("tokens") else { return Vec::new() };
    let entries: Vec<Entry<'_>> = match entry.items() {
        Some(items) => items.collect(),
        None => vec![entry],
    };
    if entries.is_empty() {
        faults.add(known::MISSING_KEY, entry.at, "'tokens' is an empty list", EXAMPLE);
    }
    if entries.len() > ISSUERS_MAX {
        faults.add(
            known::TOO_MANY,
            entry.at,
            format!("'tokens' has more than {ISSUERS_MAX} entries"),
            "shorten the list",
        );
        return Vec::new();
    }
    let sections = entries.into_iter().filter_map(|entry| entry.section(&vocabulary::TOKENS, faults));
    let sections: Vec<_> = sections.collect();
    sections.into_iter().filter_map(|section| read_issuer(section, environment, folder, faults)).collect()
}

fn read_issuer(
    section: Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    faults: &mut Collector<'_>,
) -> Option<Issuer> {
    let issuers = read_values(section, "issuer", faults);
    let audiences = read_values(section, "audience", faults);
    let cookie = section.text("cookie", faults).and_then(|(name, at)| {
        if is_token(name) {
            return Some(name.to_owned());
        }
        faults.add(
            known::BAD_ACCESS,
            at,
            format!("\"{}\" is not the name of a cookie", shown(name)),
            "write a name such as \"token\"",
        );
        None
    });
    let keys = read_keys(section, environment, folder, faults)?;
    Some(Issuer { keys, issuers, audiences, cookie })
}

fn read_keys(
    section: Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    faults: &mut Collector<'_>,
) -> Option<IssuerKeys> {
    if let Some((url, at)) = section.text("jwks", faults) {
        let others = ["algorithm", "public_key", "secret"].into_iter().filter_map(|key| section.get(key));
        for other in others {
            let what = format!("'{}' says nothing beside 'jwks', whose keys say it", other.key);
            faults.add(known::CONTRADICTION, other.key_at, what, "remove it");
        }
        return read_url(url)
            .map(IssuerKeys::Published)
            .map_err(|what| faults.add(known::BAD_ACCESS, at, what, URL_MEND))
            .ok();
    }
    if section.get("jwks").is_some() {
        return None;
    }
    if section.get("algorithm").is_none() {
        faults.add(
            known::MISSING_KEY,
            section.at,
            "[access].tokens does not say which tokens count",
            EXAMPLE,
        );
        return None;
    }
    let (name, at) = section.text("algorithm", faults)?;
    let Some(algorithm) = Algorithm::of_name(name) else {
        let what = format!("\"{}\" is no algorithm that tokens may be signed with", shown(name));
        faults.add(known::WRONG_VALUE, at, what, "write \"EdDSA\", \"ES256\", \"RS256\" or \"HS256\"");
        return None;
    };
    let (needed, other) =
        if algorithm == Algorithm::Hs256 { ("secret", "public_key") } else { ("public_key", "secret") };
    if let Some(other) = section.get(other) {
        let what = format!("'{}' says nothing about {name}", other.key);
        faults.add(known::CONTRADICTION, other.key_at, what, format!("remove it, and write {needed} = ..."));
        return None;
    }
    let Some(entry) = section.get(needed) else {
        let example =
            if algorithm == Algorithm::Hs256 { "{ env = \"TIDEGATE_TOKEN_SECRET\" }" } else { "\"key.pem\"" };
        faults.add(
            known::MISSING_KEY,
            at,
            format!("{name} needs the key '{needed}'"),
            format!("add {needed} = {example}"),
        );
        return None;
    };
    let read = if algorithm == Algorithm::Hs256 {
        let secret = read_secret(entry, environment, folder, faults)?;
        VerifyingKey::of_secret(secret.expose().as_bytes())
    } else {
        let (file, at) = entry.text(faults)?;
        let pem = read_file(&folder.join(file), at, faults)?;
        VerifyingKey::of_pem(algorithm, &pem)
    };
    read.map(IssuerKeys::Fixed)
        .map_err(|error| faults.add(known::BAD_KEY, entry.at, error.what, error.mend))
        .ok()
}

/// An https URL, or an http one on this machine: whoever can change the keys on their way can make tokens.
fn read_url(text: &str) -> Result<Uri, String> {
    let wrong = || format!("\"{}\" is not the URL of a key set", shown(text));
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let authority = url.authority().ok_or_else(wrong)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match url.scheme_str() {
        _ if authority.as_str().contains('@') || text.contains('#') => Err(wrong()),
        Some("https") => Ok(url),
        Some("http") if loopback => Ok(url),
        Some("http") => Err("a key set that comes by http is anybody's on the way".to_owned()),
        _ => Err(wrong()),
    }
}

fn read_file(path: &Path, at: usize, faults: &mut Collector<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes)) {
        Ok(_) => Some(bytes),
        Err(error) => {
            let path = shown(&path.to_string_lossy());
            faults.add(
                known::FILE_MISSING,
                at,
                format!("cannot read {path}: {error}"),
                "write the path of a PEM file with a public key",
            );
            None
        }
    }
}

fn read_values(section: Section<'_>, key: &str, faults: &mut Collector<'_>) -> Vec<String> {
    let values = section.texts(key, faults).unwrap_or_default();
    if let Some((_, at)) = values.iter().find(|(value, _)| value.is_empty() || value.len() > VALUE_MAX_BYTES)
    {
        faults.add(
            known::BAD_ACCESS,
            *at,
            format!("'{key}' is empty, or longer than 1024 bytes"),
            "write it as it stands in tokens",
        );
    }
    if let Some((_, at)) = values.get(VALUES_MAX) {
        faults.add(
            known::TOO_MANY,
            *at,
            format!("'{key}' has more than {VALUES_MAX} values"),
            "shorten the list",
        );
    }
    values.into_iter().map(|(value, _)| value.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;
    use crate::tokens::IssuerKeys;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
                       MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                       -----END PUBLIC KEY-----\n";

    /// Reads `tokens` with a route that asks for them; the folder has `key.pem`.
    fn read(tokens: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key.pem"), KEY).expect("a file");
        std::fs::write(folder.path().join("private.pem"), KEY.replace("PUBLIC", "PRIVATE")).expect("a file");
        std::fs::write(folder.path().join("no.pem"), "no key").expect("a file");
        let file = folder.path().join("t");
        let text =
            format!("[access]\n{tokens}\n[[route]]\npath = \"/x\"\nchannel = {{}}\nsubscribe = \"token\"\n");
        let environment = |name: &str| match name {
            "LONG" => Some("x".repeat(32)),
            "SHORT" => Some("x".repeat(31)),
            _ => None,
        };
        let folder = format!("{}/", folder.path().display());
        Settings::from_text(&text, &file.to_string_lossy(), &environment)
            .map_err(|faults| faults.to_string().replace(&folder, ""))
    }

    #[test]
    fn one_issuer_or_several() {
        let settings =
            read(r#"tokens = { algorithm = "EdDSA", public_key = "key.pem", issuer = "a", cookie = "c" }"#);
        let issuer = settings.expect("a good configuration").access.tokens.remove(0);
        assert_eq!(
            (issuer.issuers, issuer.audiences, issuer.cookie),
            (vec!["a".to_owned()], vec![], Some("c".to_owned()))
        );
        let settings = read(
            "tokens = [{ algorithm = \"HS256\", secret = { env = \"LONG\" } }, \
             { jwks = \"https://a.example/keys\", audience = [\"x\", \"y\"] }, \
             { jwks = \"http://[::1]:9/keys\" }, { jwks = \"http://127.0.0.1:9/keys\" }]",
        );
        let issuers = settings.expect("a good configuration").access.tokens;
        assert!(matches!(&issuers[..], [first, ..] if matches!(first.keys, IssuerKeys::Fixed(_))));
        assert_eq!(issuers[1].url().map(ToString::to_string).as_deref(), Some("https://a.example/keys"));
        assert_eq!(issuers[1].audiences, ["x", "y"]);
    }

    #[test]
    fn what_makes_no_issuer_is_a_fault() {
        let one_of =
            |algorithm: &str, rest: &str| format!("tokens = {{ algorithm = \"{algorithm}\"{rest} }}");
        for (text, fault) in [
            (String::new(), "t:4:8: the route /x asks for tokens, and none would count"),
            ("tokens = []".to_owned(), "t:2:10: 'tokens' is an empty list"),
            ("tokens = 5".to_owned(), "t:2:10: 'tokens' is an integer where a table is needed"),
            ("tokens = {}".to_owned(), "t:2:1: [access].tokens does not say which tokens count"),
            (one_of("none", ""), "\"none\" is no algorithm that tokens may be signed with"),
            (one_of("HS512", ""), "\"HS512\" is no algorithm"),
            (one_of("EdDSA", ", secret = \"x\""), "'secret' says nothing about EdDSA"),
            (one_of("HS256", ", public_key = \"key.pem\""), "'public_key' says nothing about HS256"),
            (one_of("HS256", ", secret = { env = \"SHORT\" }"), "the secret is shorter than 32 bytes"),
            (one_of("HS256", ", secret = \"\""), "the secret is empty"),
            (one_of("HS256", ", secret = { env = \"UNSET\" }"), "the environment variable UNSET is not set"),
            (one_of("HS256", ", secret = {}"), "write secret = { env = \"TIDEGATE_TOKEN_SECRET\" }"),
            (one_of("EdDSA", ", public_key = \"absent.pem\""), "cannot read absent.pem"),
            (one_of("EdDSA", ", public_key = \"private.pem\""), "the file holds a private key"),
            (one_of("EdDSA", ", public_key = \"no.pem\""), "the file holds no Ed25519 public key in PEM"),
            (one_of("RS256", ", public_key = \"key.pem\""), "the file holds no RSA public key"),
            (
                one_of("ES256", ", public_key = \"key.pem\""),
                "the file holds no public key on the curve P-256",
            ),
            (one_of("EdDSA", ", public_key = \"key.pem\", cookie = \"a b\""), "is not the name of a cookie"),
            (one_of("EdDSA", ", public_key = \"key.pem\", issuer = \"\""), "'issuer' is empty"),
            (one_of("EdDSA", ", public_key = \"key.pem\", kid = \"x\""), "unknown key 'kid'"),
            ("tokens = { jwks = \"http://keys.example/\" }".to_owned(), "comes by http is anybody's"),
            (
                "tokens = { jwks = \"http://127.0.0.1.evil.example/\" }".to_owned(),
                "comes by http is anybody's",
            ),
            ("tokens = { jwks = \"https://a@keys.example/\" }".to_owned(), "is not the URL of a key set"),
            ("tokens = { jwks = \"file:///etc/passwd\" }".to_owned(), "is not the URL of a key set"),
            ("tokens = { jwks = \"/keys\" }".to_owned(), "is not the URL of a key set"),
            (
                "tokens = { jwks = \"https://a/\", algorithm = \"EdDSA\" }".to_owned(),
                "'algorithm' says nothing beside 'jwks'",
            ),
        ] {
            let faults = read(&text).map(|_| ()).expect_err(&text);
            assert!(faults.contains(fault), "{text}: {faults}");
        }
        let nine = format!("tokens = [{}]", ["{ jwks = \"https://a/\" }"; 9].join(", "));
        assert!(read(&nine).expect_err("nine").contains("more than 8 entries"));
    }
}
