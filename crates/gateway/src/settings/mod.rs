//! The configuration: `tidegate.toml`, or what the command line says instead, as a value that cannot be
//! wrong.
//!
//! Every fault is reported, with its place and the mend. Nothing is bound, connected or started here; the
//! only files read are the configuration, and the secrets and certificates it names.

// Each group uses only what stands above it.
mod vocabulary;

mod fault;

mod document;

mod access;
mod tokens;
mod bounds;
mod engine;
mod inspect;
mod listen;
mod rules;
mod summary;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tidegate_hub::{Increments, Slow};
use tidegate_inspect::words::known;
use toml::de::DeTable;

pub use self::access::{Access, AccessError, Network, Origin, Secret};
pub use self::engine::{Embedded, Synced};
pub use self::fault::{Fault, Faults};
pub use self::inspect::{Capture, Inspect, WatchLevel};
pub use self::listen::{Listen, ListenError, Listener, parse_address};
pub use self::summary::summary;
pub use crate::certificate::TlsFiles;
pub use crate::tokens::{Algorithm, Issuer, IssuerKeys, VerifyingKey};

use self::document::Section;
use self::fault::{Collector, shown};
use self::listen::TlsPlaces;
use self::rules::PlacedRoute;
use crate::limits::Limits;
use crate::route::{
    Backend, Compression, Conflict, Doors, HistoryPolicy, Kind, Messages, Pattern, Publish, Route,
    RouteLimits, Routes, Share, Subscribe,
};

/// Largest configuration file.
const FILE_MAX_BYTES: usize = 1 << 20;

/// What stands for the file where the command line is to blame.
pub const COMMAND_LINE: &str = "command line";

/// A configuration that holds: each value is within its range, and they fit together.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the gateway listens.
    pub listen: Listen,
    /// Who may do what, beside what routes say.
    pub access: Access,
    /// Host names, beside the loopback ones, that a loopback listener answers to. In lower case, without a
    /// port.
    pub hosts: Vec<String>,
    /// Where channels are kept.
    pub engine: Embedded,
    /// What may be seen of connections.
    pub inspect: Inspect,
    /// Which rule a path reaches.
    pub routes: Routes,
    /// All limits.
    pub limits: Limits,
    /// The number of shards; `None`: one a core.
    pub shards: Option<usize>,
    /// A file of certificates that `https` backends may be signed by, instead of those of the system.
    pub upstream_ca: Option<PathBuf>,
}

/// What the command line says beside a configuration; it wins over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Public listeners instead of the file's.
    pub public: Option<Vec<Listener>>,
    /// The admin listener instead of the file's.
    pub admin: Option<SocketAddr>,
    /// The certificate and the key of the public listeners instead of the file's.
    pub tls: Option<TlsFiles>,
    /// The admin token where the file has none.
    pub admin_token: Option<Secret>,
    /// Who may subscribe where a route does not say so.
    pub subscribe: Option<Subscribe>,
    /// What stands behind every path that no route of the file matches.
    pub fallback: Option<Fallback>,
}

/// One route for every path.
#[derive(Debug, Clone)]
pub enum Fallback {
    /// This backend.
    Backend {
        /// The backend.
        base: Backend,
        /// Which clients share one upstream request.
        share: Share,
    },
    /// A channel each.
    Channels,
}

impl Settings {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Self, Faults> {
        Self::from_file_with(path, &Overrides::default())
    }

    /// Reads a configuration file, of which the command line changes something.
    pub fn from_file_with(path: &Path, overrides: &Overrides) -> Result<Self, Faults> {
        let name = path.to_string_lossy();
        let text = read_file(path, &name)?;
        Self::from_text_with(&text, &name, &|name| std::env::var(name).ok(), overrides)
    }

    /// Reads a configuration. Paths in it are relative to the folder of `file_name`.
    pub fn from_text(
        text: &str,
        file_name: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Faults> {
        Self::from_text_with(text, file_name, environment, &Overrides::default())
    }

    /// Reads a configuration, of which the command line changes something.
    pub fn from_text_with(
        text: &str,
        file_name: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
    ) -> Result<Self, Faults> {
        if text.len() > FILE_MAX_BYTES {
            return Err(too_large(file_name));
        }
        let mut faults = Collector::new(file_name, text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            let message: String = error.message().chars().filter(|c| !c.is_control()).collect();
            faults.add(
                known::NOT_TOML,
                at,
                format!("not TOML: {message}"),
                "see https://toml.io for the syntax",
            );
        }
        if !errors.is_empty() {
            return Err(faults.finish().expect("there are errors"));
        }
        let read = Self::read(document.get_ref(), environment, overrides, &mut faults);
        faults.finish().map_or(Ok(read), Err)
    }

    /// What `serve URL` means: one `auto` route for every path, and the backend's own pages may connect.
    pub fn for_backend(url: &str, share: Share, overrides: Overrides) -> Result<Self, Faults> {
        let base = Backend::parse(url)
            .map_err(|error| Faults::without_place(known::BAD_URL, COMMAND_LINE, error.what, error.mend))?;
        Self::of_command_line(Fallback::Backend { base, share }, overrides)
    }

    /// What `serve` alone means: every path is a channel.
    pub fn for_channels(overrides: Overrides) -> Result<Self, Faults> {
        Self::of_command_line(Fallback::Channels, overrides)
    }

    fn of_command_line(fallback: Fallback, overrides: Overrides) -> Result<Self, Faults> {
        let overrides = Overrides { fallback: Some(fallback), ..overrides };
        Self::from_text_with("", COMMAND_LINE, &|_| None, &overrides)
    }

    /// Reads a document; what is returned holds only if no fault was added.
    fn read(
        document: &DeTable<'_>,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
        faults: &mut Collector<'_>,
    ) -> Self {
        let top = Section::of_table(document, 0, &vocabulary::TOP, faults);
        let folder = Path::new(faults.file()).parent().map(Path::to_path_buf).unwrap_or_default();
        let limits = bounds::read(top.section("limits", &vocabulary::LIMITS, faults), faults);
        let (mut listen, shards, tls_places) = top
            .section("listen", &vocabulary::LISTEN, faults)
            .map_or_else(Default::default, |section| listen::read(section, &folder, faults));
        let mut tokens_stated = false;
        let (mut access, hosts) =
            top.section("access", &vocabulary::ACCESS, faults).map_or_else(Default::default, |section| {
                tokens_stated = section.get("tokens").is_some();
                let (mut access, hosts) = access::read(section, environment, &folder, faults);
                access.tokens = tokens::read(section, environment, &folder, faults);
                (access, hosts)
            });
        let upstream_ca = top
            .section("upstream", &vocabulary::UPSTREAM, faults)
            .and_then(|section| read_ca(section, &folder, faults));
        let engine = top
            .section("engine", &vocabulary::ENGINE, faults)
            .map_or_else(Embedded::default, |section| engine::read(section, &folder, faults));
        let inspect = top
            .section("inspect", &vocabulary::INSPECT, faults)
            .map_or_else(Inspect::default, |section| inspect::read(section, faults));
        let mut routes = rules::read(top.get("route"), &limits, faults);
        overrides.apply(&mut listen, &mut access, &mut routes, &limits);
        let listen_at = top.get("listen").map_or(0, |entry| entry.key_at);
        check_listeners(&listen, listen_at, faults);
        // What the command line says has no place in the file.
        let places = if overrides.tls.is_some() { TlsPlaces::default() } else { tls_places };
        listen.check_tls(places, faults);
        check_exposure(&listen, &routes, faults);
        if !tokens_stated {
            check_tokens(&routes, faults);
        }
        if routes.is_empty() && faults.is_empty() {
            faults.add(
                known::NO_ROUTES,
                0,
                "there is no route, so nothing would be served",
                "add a [[route]] with path and kind",
            );
        }
        let routes = build(routes, faults);
        Self { listen, access, hosts, engine, inspect, routes, limits, shards, upstream_ca }
    }
}

impl Overrides {
    /// Puts the words of the command line in the place of the file's.
    fn apply(
        &self,
        listen: &mut Listen,
        access: &mut Access,
        routes: &mut Vec<PlacedRoute>,
        limits: &Limits,
    ) {
        if let Some(public) = self.public.as_ref().filter(|public| !public.is_empty()) {
            listen.public.clone_from(public);
        }
        if let Some(admin) = self.admin {
            listen.admin = admin;
        }
        if let Some(tls) = &self.tls {
            listen.tls = Some(tls.clone());
        }
        if access.admin_token.is_none() {
            access.admin_token.clone_from(&self.admin_token);
        }
        if let Some(fallback) = &self.fallback {
            routes.push(PlacedRoute { route: fallback.route(limits), at: None });
            access.origins.extend(fallback.origin());
        }
        for placed in routes {
            placed.route.subscribe = placed.route.subscribe.or(self.subscribe);
        }
    }
}

impl Fallback {
    fn route(&self, limits: &Limits) -> Route {
        let (kind, messages, increments, doors) = match self {
            Self::Backend { base, share } => (
                Kind::Auto { base: base.clone(), share: share.clone() },
                Messages::Post { content_type: None },
                Increments::ALL,
                Doors::default(),
            ),
            Self::Channels => (Kind::Channel, Messages::Refused, Increments::NONE, Doors::ALL),
        };
        Route {
            pattern: Pattern::parse("/{*rest}").expect("a well-formed pattern"),
            kind,
            subscribe: None,
            publish: Publish::Nobody,
            history: HistoryPolicy { size: limits.history_size, ttl: limits.history_ttl },
            messages,
            increments,
            compression: Compression::default(),
            slow: Slow::default(),
            presence: false,
            doors,
            limits: RouteLimits {
                ws_max_message: limits.ws_max_message,
                ws_max_frames_per_s: limits.ws_max_frames_per_s,
            },
        }
    }

    /// The origin of the backend's own pages.
    fn origin(&self) -> Option<Origin> {
        match self {
            Self::Backend { base, .. } => Origin::parse(&base.to_string()).ok(),
            Self::Channels => None,
        }
    }
}

fn read_file(path: &Path, name: &str) -> Result<String, Faults> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let what = format!("cannot be read: {error}");
        return Err(Faults::without_place(
            known::FILE_UNREADABLE,
            name,
            what,
            "name a file that exists and is readable",
        ));
    }
    if bytes.len() > FILE_MAX_BYTES {
        return Err(too_large(name));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let mut faults = Collector::new(name, &text);
        faults.add(known::FILE_UNREADABLE, valid, "the file is not UTF-8 from here on", "save it as UTF-8");
        faults.finish().expect("one fault was added")
    })
}

fn too_large(name: &str) -> Faults {
    Faults::without_place(
        known::FILE_UNREADABLE,
        name,
        "the file is larger than 1 MiB",
        "join routes with {parameters}",
    )
}

fn read_ca(section: Section<'_>, folder: &Path, faults: &mut Collector<'_>) -> Option<PathBuf> {
    let (text, at) = section.text("ca", faults)?;
    let path = folder.join(text);
    if !path.is_file() {
        let what = format!("there is no file {}", shown(&path.to_string_lossy()));
        faults.add(known::FILE_MISSING, at, what, "write the path of a PEM file");
    }
    Some(path)
}

fn check_listeners(listen: &Listen, at: usize, faults: &mut Collector<'_>) {
    if let Some(what) = listen.collision() {
        faults.add(known::LISTENERS_COLLIDE, at, what, "give each listener an address or a port of its own");
    }
}

/// Beyond loopback, who may subscribe is never left open.
fn check_exposure(listen: &Listen, routes: &[PlacedRoute], faults: &mut Collector<'_>) {
    let Some(listener) = listen.exposed() else { return };
    for placed in routes.iter().filter(|placed| placed.route.subscribe.is_none()) {
        let what = format!(
            "the route {} does not say who may subscribe, and {listener} is open to other machines",
            shown(placed.route.pattern.as_str())
        );
        let mend = match placed.at {
            Some(_) => "add subscribe = \"anyone\" or \"token\" to the route, or listen on 127.0.0.1",
            None => "add --subscribe anyone, or listen on 127.0.0.1",
        };
        faults.add(known::EXPOSED_ROUTE, placed.at.unwrap_or(0), what, mend);
    }
}

/// A route that asks for tokens needs somebody whose tokens count.
fn check_tokens(routes: &[PlacedRoute], faults: &mut Collector<'_>) {
    for placed in routes.iter().filter(|placed| placed.route.asks_for_tokens()) {
        let path = shown(placed.route.pattern.as_str());
        let what = format!("the route {path} asks for tokens, and none would count");
        let mend = match placed.at {
            Some(_) => "add tokens = { algorithm = \"EdDSA\", public_key = \"key.pem\" } to [access]",
            None => {
                "name a --config FILE with tokens = { algorithm = \"EdDSA\", public_key = \"key.pem\" } in [access]"
            }
        };
        faults.add(known::NO_ISSUER, placed.at.unwrap_or(0), what, mend);
    }
}

/// The route table, with a fault for each route that matches the same paths as one before it.
fn build(placed: Vec<PlacedRoute>, faults: &mut Collector<'_>) -> Routes {
    let (routes, places): (Vec<_>, Vec<_>) =
        placed.into_iter().map(|placed| (placed.route, placed.at)).unzip();
    Routes::new(routes).unwrap_or_else(|conflicts| {
        for conflict in conflicts {
            let Conflict { index, pattern, with, with_index } = conflict;
            let line = with_index.and_then(|index| places[index]).map(|at| faults.line(at));
            let line = line.map_or_else(String::new, |line| format!(" of line {line}"));
            let what = format!("{} matches the same paths as {}{line}", shown(&pattern), shown(&with));
            faults.add(
                known::ROUTES_OVERLAP,
                places[index].unwrap_or(0),
                what,
                "remove one of them, or make one more exact",
            );
        }
        Routes::default()
    })
}

#[cfg(test)]
mod tests;
