//! The process put together: listeners bound, one thread a shard, signals and reloads. What a shard does is
//! not here.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tidegate_hub::ShardId;
use tidegate_inspect::words::known::{self, Known};
use tidegate_source::{Roots, Trust, Upstream, UpstreamLimits};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::drain::drain;
use crate::driver::drive;
use crate::limits::Limits;
use crate::messages::Desk;
use crate::open_store::{OpenedStore, open_store};
use crate::process::Process;
use crate::public::{bind_alone, bind_shared};
use crate::settings::{Faults, Listener, Secret, Settings, TlsFiles};
use crate::shard::crossing::Crossing;
use crate::shard::{Batch, Keeping, Mailboxes, Shard, ShardRef, mailboxes};
use crate::store::{Found, Store, StoreError};
use crate::tls::Tls;
use crate::token::{self, TokenFile};
use crate::watched::Watched;
use crate::{admin, open, public};

/// Most shards; more threads than that do not help anybody.
const SHARDS_MAX: usize = 256;

/// What the gateway is started with beside its settings.
#[derive(Default)]
pub struct Options {
    /// A file whose change makes the settings be read anew.
    pub reload_from: Option<PathBuf>,
    /// Reads the settings anew, on SIGHUP and when the file has changed.
    pub load: Option<Box<dyn Fn() -> Result<Settings, Faults> + Send>>,
}

/// A running gateway. Dropping it leaves its threads running; [`Gateway::wait`] ends them.
pub struct Gateway {
    process: Arc<Process>,
    options: Options,
    tls: Option<Arc<Tls>>,
    public: Vec<SocketAddr>,
    admin: SocketAddr,
    token: Arc<Secret>,
    token_file: Option<TokenFile>,
    mailboxes: Mailboxes,
    stop: watch::Sender<Stop>,
    /// Taken when it is waited for.
    supervisor: Option<Supervisor>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// The thread that writes channels to disk; it ends when all shards have.
    writer: Option<JoinHandle<()>>,
}

/// What every shard's thread is started with alike.
struct Seed {
    stopped: watch::Receiver<Stop>,
    trust: Trust,
    tls: Option<Arc<Tls>>,
    limits: UpstreamLimits,
    ended: mpsc::Sender<()>,
    store: Option<Store>,
}

/// Says so when a shard's thread ends, by a panic too.
struct Ended(mpsc::Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // There is room for a word of each shard.
        let _ = self.0.try_send(());
    }
}

/// Waits for signals on the thread that started the gateway. They are caught from the start, so that none
/// that comes before [`Gateway::wait`] kills the process.
struct Supervisor {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
    /// As it was at the start: what changes before somebody waits is a change.
    configuration: Watched,
}

/// What the supervisor waits for.
struct Signals {
    /// A word from each shard whose thread ends, in whatever way.
    shard_ended: mpsc::Receiver<()>,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By SIGTERM: clients were told and their queues flushed.
    Drained,
    /// By SIGINT.
    Interrupted,
}

/// Why a gateway does not start. The text says what to do.
#[derive(Debug)]
pub enum StartError {
    /// Somebody listens there already.
    AddressTaken(SocketAddr),
    /// An address cannot be bound.
    Bind(SocketAddr, io::Error),
    /// Something that the settings name cannot be used.
    Settings(String),
    /// The store cannot be opened or read.
    Store(StoreError),
    /// The system refuses what every process needs.
    System(io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Not,
    Drain,
    AtOnce,
}

impl Gateway {
    /// Binds the listeners and starts the shards. When it returns, clients can connect.
    pub fn start(settings: Settings, options: Options) -> Result<Self, StartError> {
        let descriptors = raise_descriptor_limit();
        let trust = trust_of(&settings)?;
        let tls = settings.listen.tls.as_ref().map(Tls::start).transpose().map_err(StartError::Settings)?;
        let tls = tls.map(Arc::new);
        let shards = shard_count(&settings);
        let listeners = bind_public(&settings, shards)?;
        let public = listeners.iter().filter_map(|all| all.first()?.local_addr().ok()).collect();
        let admin_listener = bind_alone(settings.listen.admin)
            .map_err(|error| StartError::of(settings.listen.admin, error))?;
        let admin = admin_listener.local_addr().map_err(StartError::System)?;
        let (token, token_file) = match settings.access.admin_token.clone() {
            Some(token) => (token, None),
            None => {
                let token = token::make().map_err(StartError::System)?;
                let file = TokenFile::write(admin, &token).map_err(StartError::System)?;
                (token, Some(file))
            }
        };
        let max_connections = settings.limits.max_connections_within(descriptors);
        let upstream_limits = upstream_limits(&settings.limits);
        let process = Arc::new(Process::new(shards, settings, max_connections));
        let (mailboxes, receivers) = mailboxes(shards);
        let (stop, stopped) = watch::channel(Stop::Not);
        let (ended, shard_ended) = mpsc::channel(SHARDS_MAX);
        let configuration = Watched::new(options.reload_from.clone());
        let supervisor = Supervisor::new(shard_ended, configuration).map_err(StartError::System)?;
        let token = Arc::new(token);
        let mut gateway = Self {
            process,
            options,
            tls: tls.clone(),
            public,
            admin,
            token,
            token_file,
            mailboxes,
            stop,
            supervisor: Some(supervisor),
            threads: Vec::new(),
            writer: None,
        };
        let (store, loaded) = gateway.open_store(&ended)?;
        let seed = Seed { stopped, trust, tls, limits: upstream_limits, ended, store };
        gateway.spawn(listeners, admin_listener, receivers, loaded, &seed)?;
        Ok(gateway)
    }

    /// Opens the store that the settings name, if they do, and starts its thread. Gives the way to it, and for each
    /// shard what is at home there.
    fn open_store(&mut self, ended: &mpsc::Sender<()>) -> Result<(Option<Store>, Vec<Found>), StartError> {
        let opened = open_store(&self.process, &self.mailboxes).map_err(StartError::Store)?;
        let Some(OpenedStore { writer, store, loaded }) = opened else {
            return Ok((None, self.mailboxes.iter().map(|_| Found::default()).collect()));
        };
        let ended = Ended(ended.clone());
        let run = move || {
            let _ended = ended;
            writer.run();
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(run);
        self.writer = Some(thread.map_err(StartError::System)?);
        Ok((Some(store), loaded))
    }

    fn spawn(
        &mut self,
        listeners: Vec<Vec<TcpListener>>,
        admin: TcpListener,
        receivers: Vec<mpsc::Receiver<Batch>>,
        loaded: Vec<Found>,
        seed: &Seed,
    ) -> Result<(), StartError> {
        let mut admin = Some(admin);
        let mut by_shard: Vec<Vec<TcpListener>> = receivers.iter().map(|_| Vec::new()).collect();
        for (shard, listener) in listeners.into_iter().flat_map(|all| all.into_iter().enumerate()) {
            by_shard[shard].push(listener);
        }
        let parts = receivers.into_iter().zip(by_shard).zip(loaded);
        for (number, ((mailbox, listeners), loaded)) in (0u16..).zip(parts) {
            let thread = ShardThread {
                id: ShardId(number),
                process: Arc::clone(&self.process),
                mailboxes: Arc::clone(&self.mailboxes),
                mailbox,
                listeners,
                admin: admin.take().map(|listener| (listener, Arc::clone(&self.token))),
                stopped: seed.stopped.clone(),
                trust: seed.trust.clone(),
                tls: seed.tls.clone(),
                limits: seed.limits.clone(),
                keeping: seed.store.clone().map(Keeping::new),
                loaded,
            };
            let builder = std::thread::Builder::new().name(format!("shard-{number}"));
            let ended = Ended(seed.ended.clone());
            let run = move || {
                let _ended = ended;
                thread.run()
            };
            self.threads.push(builder.spawn(run).map_err(StartError::System)?);
        }
        Ok(())
    }

    /// Where clients connect, in the order of the settings.
    #[must_use]
    pub fn public_addresses(&self) -> &[SocketAddr] {
        &self.public
    }

    /// Where publishers and operators connect.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The admin token, configured or made.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        self.token.expose()
    }

    /// True if nobody configured a token.
    #[must_use]
    pub fn admin_token_was_made(&self) -> bool {
        self.token_file.is_some()
    }

    /// The file, readable by this user alone, that holds a token that was made.
    #[must_use]
    pub fn token_file(&self) -> Option<&Path> {
        self.token_file.as_ref().map(TokenFile::path)
    }

    /// Runs until a signal ends it: SIGTERM drains, SIGINT or a second signal ends at once, SIGHUP reloads.
    pub fn wait(mut self) -> Result<Stopped, StartError> {
        let Supervisor { runtime, mut signals, mut configuration } = self
            .supervisor
            .take()
            .ok_or_else(|| StartError::System(io::Error::other("the gateway has been waited for")))?;
        let stopped = runtime.block_on(self.supervise(&mut signals, &mut configuration));
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(StartError::System(error)),
                Err(_) => return Err(StartError::System(io::Error::other("a shard has panicked"))),
            }
        }
        // All that was handed over is written first.
        if self.writer.is_some_and(|writer| writer.join().is_err()) {
            return Err(StartError::System(io::Error::other("the store's thread has panicked")));
        }
        Ok(stopped)
    }

    async fn supervise(&self, signals: &mut Signals, configuration: &mut Watched) -> Stopped {
        let Signals { shard_ended, terminate, interrupt, hangup } = signals;
        let mut look = tokio::time::interval(std::time::Duration::from_secs(1));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut certificate = self.watch_certificate();
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    self.process.begin_drain();
                    tracing::info!(event = "draining", "SIGTERM: clients are told and closed; a second signal ends at once");
                    let _ = self.stop.send(Stop::Drain);
                    break;
                }
                _ = interrupt.recv() => {
                    self.process.begin_drain();
                    let _ = self.stop.send(Stop::AtOnce);
                    return Stopped::Interrupted;
                }
                _ = hangup.recv() => {
                    self.reload().await;
                    self.renew_certificate().await;
                    certificate = self.watch_certificate();
                }
                _ = look.tick() => {
                    let before = self.tls_files();
                    if configuration.look() {
                        self.reload().await;
                    }
                    let elsewhere = before != self.tls_files();
                    if elsewhere || certificate.look() {
                        self.renew_certificate().await;
                    }
                    if elsewhere {
                        certificate = self.watch_certificate();
                    }
                }
                _ = shard_ended.recv() => {
                    tracing::error!(event = "shard_ended", number = %known::SHARD_ENDED, "a shard has ended by itself: the process ends with it");
                    self.process.begin_drain();
                    let _ = self.stop.send(Stop::AtOnce);
                    return Stopped::Drained;
                }
            }
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.stop.closed() => return Stopped::Drained,
        }
        let _ = self.stop.send(Stop::AtOnce);
        Stopped::Drained
    }

    /// The certificate and the key that the settings in force name.
    fn tls_files(&self) -> Option<TlsFiles> {
        self.process.generation().settings.listen.tls.clone()
    }

    fn watch_certificate(&self) -> Watched {
        Watched::new(self.tls_files().into_iter().flat_map(|files| [files.certificate, files.key]))
    }

    /// Reads the certificate and its key anew. What is no better than the one in force is not taken.
    async fn renew_certificate(&self) {
        let (Some(tls), Some(files)) = (&self.tls, self.tls_files()) else { return };
        match tls.renew(&files) {
            Ok(()) => {
                tracing::info!(event = "certificate_renewed", "new connections get the new certificate")
            }
            Err(reason) => {
                tracing::error!(event = "tls_reload_failed", number = %known::CERTIFICATE_NOT_TAKEN, "the old certificate stays in force: {reason}");
                let Some(first) = self.mailboxes.first() else { return };
                let count = Box::new(|shard: &mut Shard| shard.counters.tls_reload_failed += 1);
                // A shard that has ended counts nothing.
                let _ = first.send(vec![Crossing::Call(count)]).await;
            }
        }
    }

    /// Puts new settings in force, all or nothing.
    async fn reload(&self) {
        let Some(load) = &self.options.load else {
            tracing::info!(event = "reload_skipped", "there is no configuration file to read anew");
            return;
        };
        let settings = match load() {
            Ok(settings) => settings,
            Err(faults) => {
                tracing::error!(event = "reload_failed", number = %known::RELOAD_FAILED, "the old configuration stays in force");
                for fault in faults.iter() {
                    tracing::error!(event = "reload_fault", "{fault}");
                }
                return;
            }
        };
        let old = self.process.generation();
        for key in changed_for_next_start(&old.settings, &settings) {
            tracing::warn!(event = "reload_partial", number = %known::RELOAD_PARTIAL, "{key} takes effect at the next start");
        }
        let max_connections = settings.limits.max_connections_within(raise_descriptor_limit());
        let generation = self.process.reload(settings, max_connections);
        for mailbox in self.mailboxes.iter() {
            let generation = Arc::clone(&generation);
            let call = Box::new(move |shard: &mut Shard| shard.set_generation(generation));
            // A shard that has ended needs no settings.
            let _ = mailbox.send(vec![Crossing::Call(call)]).await;
        }
        tracing::info!(
            event = "reloaded",
            generation = generation.number,
            "the new configuration is in force"
        );
    }
}

impl Supervisor {
    fn new(shard_ended: mpsc::Receiver<()>, configuration: Watched) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let signals = Signals {
            shard_ended,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        drop(entered);
        Ok(Self { runtime, signals, configuration })
    }
}

/// What differs between two settings and is not taken over by a running process.
fn changed_for_next_start(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let token =
        |settings: &Settings| settings.access.admin_token.as_ref().map(|token| token.expose().to_owned());
    let tls = |settings: &Settings| settings.listen.tls.is_some();
    let engine = |settings: &Settings| {
        let Limits { channels_max_total, channels_linger, history_max_total, .. } = &settings.limits;
        (*channels_max_total, *channels_linger, *history_max_total)
    };
    let all = [
        ("[listen] public", old.listen.public != new.listen.public),
        ("[listen] admin", old.listen.admin != new.listen.admin),
        ("[listen] shards", old.shards != new.shards),
        ("[listen] tls, where there was none or will be none,", tls(old) != tls(new)),
        ("[access] admin_token", token(old) != token(new)),
        ("[engine]", old.engine != new.engine),
        ("[upstream] ca", old.upstream_ca != new.upstream_ca),
        ("[limits] upstream_*", upstream_limits(&old.limits) != upstream_limits(&new.limits)),
        ("[limits] channels_max_total, channels_linger, history_max_total", engine(old) != engine(new)),
    ];
    all.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// What one shard's thread is started with.
struct ShardThread {
    id: ShardId,
    process: Arc<Process>,
    mailboxes: Mailboxes,
    mailbox: mpsc::Receiver<Batch>,
    listeners: Vec<TcpListener>,
    admin: Option<(TcpListener, Arc<Secret>)>,
    stopped: watch::Receiver<Stop>,
    trust: Trust,
    tls: Option<Arc<Tls>>,
    limits: UpstreamLimits,
    keeping: Option<Keeping>,
    loaded: Found,
}

impl ShardThread {
    fn run(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        local.block_on(&runtime, self.serve())
    }

    async fn serve(mut self) -> io::Result<()> {
        let upstream = Upstream::with_trust(self.limits, self.trust);
        let shard = Shard::start(self.id, self.process, self.mailboxes, upstream, self.keeping)?;
        shard.tidy(|shard| shard.restore(self.loaded));
        for listener in self.listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::task::spawn_local(public::serve(shard.clone(), listener, self.tls.clone()));
        }
        if let Some((listener, token)) = self.admin {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::task::spawn_local(admin::serve(shard.clone(), listener, token));
        }
        let house = shard.clone();
        tokio::task::spawn_local(async move { open::keep_house(&house).await });
        let desk = Rc::new(Desk::new(shard.clone()));
        tokio::select! {
            driven = drive(&shard, &mut self.mailbox, &desk) => driven,
            () = until_drained(&shard, &mut self.stopped) => Ok(()),
        }
    }
}

/// Waits for the word to stop, then until all clients have gone or must.
async fn until_drained(shard: &ShardRef, stopped: &mut watch::Receiver<Stop>) {
    if stopped.wait_for(|stop| *stop != Stop::Not).await.is_err() {
        return;
    }
    let in_force = shard.look(|shard| shard.generation.settings.limits.clone());
    if *stopped.borrow() == Stop::Drain {
        tokio::select! {
            () = drain(shard, &in_force, false) => return,
            _ = stopped.wait_for(|stop| *stop == Stop::AtOnce) => {}
        }
    }
    drain(shard, &in_force, true).await;
}

fn shard_count(settings: &Settings) -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = settings.shards.unwrap_or(cores).clamp(1, SHARDS_MAX);
    u16::try_from(count).unwrap_or(1)
}

/// One socket a shard for each public listener.
fn bind_public(settings: &Settings, shards: u16) -> Result<Vec<Vec<TcpListener>>, StartError> {
    let mut all = Vec::new();
    for listener in &settings.listen.public {
        let Listener::Tcp(address) = listener;
        let address = *address;
        // A socket that shares its port would silently share it with another gateway too: ask for it alone
        // first.
        let alone = bind_alone(address).map_err(|error| StartError::of(address, error))?;
        let bound = alone.local_addr().map_err(StartError::System)?;
        drop(alone);
        let sockets: Result<Vec<_>, _> = (0..shards).map(|_| bind_shared(bound)).collect();
        all.push(sockets.map_err(|error| StartError::of(bound, error))?);
    }
    Ok(all)
}

fn trust_of(settings: &Settings) -> Result<Trust, StartError> {
    let roots = settings.upstream_ca.clone().map_or(Roots::System, Roots::File);
    Trust::load(&roots).map_err(|error| StartError::Settings(error.to_string()))
}

fn upstream_limits(limits: &Limits) -> UpstreamLimits {
    UpstreamLimits {
        connect_timeout: limits.upstream_connect_timeout,
        first_byte_timeout: limits.upstream_first_byte,
        total_timeout: limits.upstream_total,
        stream_idle_timeout: limits.upstream_stream_idle,
        max_response_bytes: limits.upstream_max_response,
        max_line_bytes: limits.upstream_max_line,
        max_in_flight: limits.upstream_max_inflight as usize,
        pool_idle: limits.upstream_pool_idle,
    }
}

/// Raises the soft limit on descriptors to the hard one; gives what is in force.
fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum {
        // Where it may not be raised the soft limit holds.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

impl StartError {
    fn of(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::AddressTaken(address),
            _ => Self::Bind(address, error),
        }
    }

    /// Which error it is.
    #[must_use]
    pub fn known(&self) -> &'static Known {
        match self {
            Self::AddressTaken(_) => known::ADDRESS_TAKEN,
            Self::Bind(..) => known::CANNOT_BIND,
            Self::Settings(_) => known::SETTINGS_UNUSABLE,
            Self::Store(error) => error.known(),
            Self::System(_) => known::SYSTEM,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressTaken(address) => write!(
                f,
                "{address} is taken: another program listens there. \
                 Stop it, or choose another address with --listen or --admin"
            ),
            Self::Bind(address, error) => write!(
                f,
                "cannot listen on {address}: {error}. Choose an address of this machine and a port above 1023"
            ),
            Self::Settings(reason) => f.write_str(reason),
            Self::Store(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system refuses: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
