//! `tidegate serve`: the gateway, from a URL, a configuration or nothing, until a signal ends it.
//!
//! What it prints at its start are lines to copy; they go to stderr as everything else does here.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_gateway::route::{Backend, Kind, Route};
use tidegate_gateway::settings::{Fallback, Faults, Overrides, Secret, Settings, TlsFiles};
use tidegate_gateway::{Gateway, Options, StartError, Stopped};
use tidegate_inspect::words::known;

use crate::arguments::Serve;
use crate::check::faulty;
use crate::exit::{Exit, Failure, say};
use crate::log::{self, Log};

/// Names the admin token.
pub(crate) const TOKEN_VARIABLE: &str = "TIDEGATE_ADMIN_TOKEN";

pub(crate) fn run(arguments: &Serve) -> Result<Exit, Failure> {
    let log = log::start(arguments.log);
    let overrides = overrides(arguments)?;
    let settings = load(arguments, overrides.clone()).map_err(|faults| faulty(&faults))?;
    let gateway = Gateway::start(settings.clone(), reloading(arguments, overrides))
        .map_err(|error| not_started(&error))?;
    say(greeting(&settings, &gateway));
    until_stopped(gateway, &log)
}

/// Waits for the signal that ends the gateway.
pub(crate) fn until_stopped(gateway: Gateway, log: &Log) -> Result<Exit, Failure> {
    let stopped = gateway.wait().map_err(|error| not_started(&error));
    log.flush();
    Ok(match stopped? {
        Stopped::Drained => Exit::Done,
        Stopped::Interrupted => Exit::Interrupted,
    })
}

/// The admin token of the environment, if there is one.
pub(crate) fn token_of_environment() -> Result<Option<Secret>, Failure> {
    let Some(text) = std::env::var_os(TOKEN_VARIABLE) else { return Ok(None) };
    let secret = Secret::parse(&text.to_string_lossy());
    secret.map(Some).map_err(|error| {
        Failure::of(known::BAD_SECRET, format!("{TOKEN_VARIABLE}: {}", error.what)).mend(error.mend)
    })
}

pub(crate) fn not_started(error: &StartError) -> Failure {
    Failure::of(error.known(), error)
}

fn overrides(arguments: &Serve) -> Result<Overrides, Failure> {
    let listen = &arguments.listen;
    Ok(Overrides {
        public: if listen.is_empty() { None } else { Some(listen.clone()) },
        admin: arguments.admin,
        tls: arguments
            .tls_certificate
            .clone()
            .zip(arguments.tls_key.clone())
            .map(|(certificate, key)| TlsFiles { certificate, key }),
        admin_token: token_of_environment()?,
        subscribe: arguments.subscribe.map(Into::into),
        fallback: None,
    })
}

fn load(arguments: &Serve, overrides: Overrides) -> Result<Settings, Faults> {
    let share = arguments.share.clone().unwrap_or_default();
    let mut settings = match (&arguments.config, &arguments.url) {
        (None, None) => Settings::for_channels(overrides),
        (None, Some(url)) => Settings::for_backend(url, share, overrides),
        (Some(file), None) => Settings::from_file_with(file, &overrides),
        (Some(file), Some(url)) => {
            // The URL is judged as it is without a file.
            Settings::for_backend(url, share.clone(), overrides.clone())?;
            let base = Backend::parse(url).ok();
            let fallback = base.map(|base| Fallback::Backend { base, share });
            Settings::from_file_with(file, &Overrides { fallback, ..overrides })
        }
    }?;
    settings.shards = arguments.shards.map(usize::from).or(settings.shards);
    Ok(settings)
}

fn reloading(arguments: &Serve, overrides: Overrides) -> Options {
    let Some(file) = arguments.config.clone() else { return Options::default() };
    let arguments = arguments.clone();
    Options { reload_from: Some(file), load: Some(Box::new(move || load(&arguments, overrides.clone()))) }
}

/// The lines that are printed at the start.
fn greeting(settings: &Settings, gateway: &Gateway) -> String {
    let public: Vec<SocketAddr> = gateway.public_addresses().iter().copied().map(reachable).collect();
    let mut text = String::from("tidegate listens on ");
    let scheme = if settings.listen.tls.is_some() { "https" } else { "http" };
    let listed: Vec<String> = public.iter().map(|address| format!("{scheme}://{address}")).collect();
    text.push_str(&listed.join(", "));
    let backends = settings.routes.iter().filter_map(|route| match &route.kind {
        Kind::Auto { base, .. } => Some(base.to_string()),
        _ => None,
    });
    for backend in backends {
        let _infallible = write!(text, ", before {backend}");
    }
    text.push('\n');
    for origin in &settings.access.origins {
        let _infallible = writeln!(text, "pages of {} may connect, too", origin.as_str());
    }
    if let Some(address) = public.first() {
        push_examples(&mut text, settings, gateway, *address);
    }
    let admin = reachable(gateway.admin_address());
    let token = if gateway.admin_token_was_made() {
        format!("'Authorization: Bearer {}'", gateway.admin_token())
    } else {
        let token =
            if std::env::var_os(TOKEN_VARIABLE).is_some() { "$TIDEGATE_ADMIN_TOKEN" } else { "YOUR-TOKEN" };
        format!("\"Authorization: Bearer {token}\"")
    };
    let _infallible = write!(text, "\n  admin     curl -H {token} http://{admin}/channels");
    let _infallible = write!(text, "\n  inspect   {}", page(gateway));
    text
}

/// The URL of the page that shows the gateway at work. A token that was made at the start stands behind the
/// `#`, which a browser keeps to itself.
pub(crate) fn page(gateway: &Gateway) -> String {
    let admin = reachable(gateway.admin_address());
    if gateway.admin_token_was_made() {
        format!("http://{admin}/#token={}", gateway.admin_token())
    } else {
        format!("http://{admin}/")
    }
}

/// How to connect and how to publish, by the first routes that allow it.
fn push_examples(text: &mut String, settings: &Settings, gateway: &Gateway, address: SocketAddr) {
    if let Some(route) = settings.routes.iter().next() {
        let path = example(route);
        // wss and https where TLS is spoken.
        let secure = if settings.listen.tls.is_some() { "s" } else { "" };
        let url = quoted(&format!("ws{secure}://{address}{path}"));
        let _infallible = write!(text, "\n  connect   tidegate connect {url}");
        let url = quoted(&format!("http{secure}://{address}{path}"));
        let _infallible = write!(text, "\n  stream    curl -N -H 'Accept: text/event-stream' {url}");
    }
    if let Some(route) = settings.routes.iter().find(|route| matches!(route.kind, Kind::Channel)) {
        let path = example(route);
        let name = quoted(path.strip_prefix('/').filter(|name| !name.is_empty()).unwrap_or("/"));
        let admin = reachable(gateway.admin_address());
        let is_default = admin == SocketAddr::from((Ipv4Addr::LOCALHOST, 8081));
        let admin = if is_default { String::new() } else { format!(" --admin http://{admin}") };
        let _infallible = write!(text, "\n  publish   tidegate publish {name} 'first message'{admin}");
    }
}

/// A path that the route matches: each parameter stands for itself.
fn example(route: &Route) -> String {
    let pattern = route.pattern.as_str();
    if pattern == "/{*rest}" {
        return if matches!(route.kind, Kind::Channel) { "/hello".to_owned() } else { "/".to_owned() };
    }
    pattern.replace("{*", "").replace(['{', '}'], "")
}

/// Where this machine reaches a listener that is bound to every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// For a shell: as it is if nothing in it means anything there.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:.-_~%+@,".contains(&byte);
    if text.bytes().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example_of(pattern: &str, channel: &str) -> String {
        let text = format!("[[route]]\npath = \"{pattern}\"\n{channel}\n");
        let settings = Settings::from_text(&text, "test", &|_| None).expect("a configuration");
        settings.routes.iter().map(|route| example(route)).collect()
    }

    #[test]
    fn examples_are_paths_of_the_route() {
        assert_eq!(example_of("/chat/{room}/x", "channel = {}"), "/chat/room/x");
        assert_eq!(example_of("/{*rest}", "channel = {}"), "/hello");
        assert_eq!(example_of("/a/{*rest}", "channel = {}"), "/a/rest");
        assert_eq!(example_of("/{*rest}", "auto = { url = \"http://127.0.0.1:1\" }"), "/");
    }

    #[test]
    fn lines_to_copy_are_safe_in_a_shell() {
        assert_eq!(quoted("ws://127.0.0.1:8080/a-b"), "ws://127.0.0.1:8080/a-b");
        assert_eq!(quoted("a b;$x"), "'a b;$x'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn every_address_is_reached_by_loopback() {
        let at = |text: &str| reachable(text.parse().expect("an address")).to_string();
        assert_eq!(at("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(at("[::]:80"), "[::1]:80");
        assert_eq!(at("10.0.0.1:80"), "10.0.0.1:80");
    }
}
