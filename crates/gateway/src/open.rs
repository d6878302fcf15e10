//! Opening channels: what a client wants is looked up at the channel's home, and if no source of it runs
//! there, one is started. One request upstream serves all who want the same at the same time.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;
use tidegate_hub::{ChannelName, Compared, Increments, Item, Retention};
use tidegate_inspect::words::known;
use tidegate_source::{Event, OpenError, Opened, PollPolicy, Shared, StreamPolicy, Target, Upstream};
use tokio::sync::oneshot;

use crate::access::Credentials;
use crate::process::Process;
use crate::refusal::Refusal;
use crate::route::{Found as FoundRoute, Kind, Parameters, ResolveError, Route, Share, path_of_name};
use crate::shard::crossing::{Crossing, Notice};
use crate::shard::{Shard, ShardRef};
use crate::sources::{Found, OpenAnswer, OpenChannel, PathFacts, SourceAbout};

/// What a client wants to follow, resolved against the routes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The name that clients know.
    pub(crate) name: ChannelName,
    pub(crate) route: Arc<Route>,
    /// The backend's URL; `None` for what is filled by publishing.
    uri: Option<http::Uri>,
    /// Headers of the identity.
    identity: HeaderMap,
    /// The client's own headers, for answers that are for it alone.
    own: HeaderMap,
}

impl Wanted {
    /// The channel that `name` stands for on its route, wanted by a client with these credentials.
    pub(crate) fn new(
        name: ChannelName,
        found: &FoundRoute<'_>,
        query: Option<&str>,
        credentials: &Credentials,
    ) -> Result<Self, Refusal> {
        let route = Arc::clone(found.route);
        let uri = upstream_uri(&name, &route, &found.parameters, query)?;
        let identity = credentials.identity(&route);
        Ok(Self { name, route, uri, identity, own: credentials.own() })
    }

    /// Where a client's messages are posted.
    pub(crate) fn uri(&self) -> Option<&http::Uri> {
        self.uri.as_ref()
    }

    /// What the channel's log keeps. Polls hold whole documents; what `auto` finds is learnt later.
    fn retention(&self) -> Retention {
        let document = matches!(self.route.kind, Kind::Poll { .. } | Kind::Auto { .. });
        let increments = self.route.increments;
        Retention { size: self.route.history.size, ttl: self.route.history.ttl, document, increments }
    }
}

/// The URL behind a channel. Clients' queries go to the backend as they stand.
fn upstream_uri(
    name: &ChannelName,
    route: &Route,
    parameters: &Parameters,
    query: Option<&str>,
) -> Result<Option<http::Uri>, Refusal> {
    let bad = |error: &dyn std::fmt::Display| Refusal::of(known::BAD_NAME, error.to_string());
    match &route.kind {
        Kind::Channel => check_no_query(name).map(|()| None),
        Kind::Auto { base, .. } => {
            let mut text = path_of_name(name.path_part());
            if let Some(query) = query {
                text.push('?');
                text.push_str(query);
            }
            let path = http::uri::PathAndQuery::try_from(text).map_err(|error| bad(&error))?;
            Ok(Some(base.uri(path)))
        }
        Kind::Poll { template, .. } | Kind::Stream { template } => {
            let resolved: Result<_, ResolveError> = template.resolve_with_query(parameters, query);
            resolved.map(Some).map_err(|error| bad(&error))
        }
    }
}

/// Where no backend stands behind a route, a query names no channel: whoever may use one could have any number of
/// them.
pub(crate) fn check_no_query(name: &ChannelName) -> Result<(), Refusal> {
    if name.query().is_none() {
        return Ok(());
    }
    let sentence = format!("channels of this route have no query: the name is {}", name.path_part());
    Err(Refusal::of(known::NAME_WITH_QUERY, sentence))
}

/// Makes sure that the channel is there to be subscribed to, and gives the name that it has for this client.
pub(crate) async fn open(shard: &ShardRef, wanted: Wanted) -> Result<OpenChannel, Refusal> {
    if wanted.uri.is_none() {
        return Ok(OpenChannel {
            retention: wanted.retention(),
            name: wanted.name,
            sourced: false,
            set_cookie: Vec::new(),
        });
    }
    let home = shard.process.home_of(&wanted.name);
    // The second turn is that of a client whose answers turned out to be for it alone.
    for individual in [false, true] {
        let (reply, answer) = oneshot::channel();
        let wanted = wanted.clone();
        shard.with(|shard| {
            let begin = move |there: &mut Shard| begin_open(there, wanted, individual, reply);
            shard.cross(home, Crossing::Call(Box::new(begin)));
        });
        match answer.await {
            Ok(OpenAnswer::Open(channel)) => return Ok(channel),
            Ok(OpenAnswer::Refused(refusal)) => return Err(refusal),
            Ok(OpenAnswer::Individual) => {}
            Err(_) => break,
        }
    }
    let refusal = if shard.process.is_draining() {
        Refusal::of(known::RESTARTING, "the gateway is stopping")
    } else {
        let sentence = "the channel's source has just ended: ask again";
        Refusal::at(http::StatusCode::SERVICE_UNAVAILABLE, known::SOURCE_GONE, sentence)
    };
    Err(refusal.retry_after(5))
}

/// At the home: answers at once, or when the source that is started here knows more.
fn begin_open(shard: &mut Shard, wanted: Wanted, individual: bool, reply: oneshot::Sender<OpenAnswer>) {
    let public = share_of(&wanted.route) == Some(&Share::Public);
    let key = match shard.sources.facts(&wanted.name) {
        // Only while somebody is asked as nobody: a request with credentials never fills a shared channel.
        Some(PathFacts::Public) if shard.sources.is_running(&wanted.name) => wanted.name.clone(),
        Some(PathFacts::Individual) if !individual && !public => {
            let _ = reply.send(OpenAnswer::Individual);
            return;
        }
        _ if individual => wanted.name.private(&format!("{:x}", shard.process.unique())),
        _ => key_of(&wanted, &shard.process),
    };
    let (found, reply) = shard.sources.find(&key, reply);
    let Some(reply) = reply else { return };
    match found {
        Found::Running(retention) => {
            let _ = reply.send(OpenAnswer::Open(OpenChannel {
                name: key,
                retention,
                sourced: true,
                set_cookie: Vec::new(),
            }));
        }
        Found::Nothing | Found::Opening => start(shard, wanted, key, individual, reply),
    }
}

fn share_of(route: &Route) -> Option<&Share> {
    match &route.kind {
        Kind::Auto { share, .. } => Some(share),
        Kind::Poll { .. } | Kind::Stream { .. } | Kind::Channel => None,
    }
}

fn key_of(wanted: &Wanted, process: &Process) -> ChannelName {
    if wanted.identity.is_empty() {
        return wanted.name.clone();
    }
    let values: Vec<_> =
        wanted.identity.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    wanted.name.private(&process.opaque(&values))
}

/// Starts a source, unless there are too many.
fn start(
    shard: &mut Shard,
    wanted: Wanted,
    key: ChannelName,
    individual: bool,
    reply: oneshot::Sender<OpenAnswer>,
) {
    let limit = shard.generation.settings.limits.poll_max_urls;
    let Some(local) = shard.reference() else { return };
    let Some(seat) = shard.process.take_source(limit) else {
        let sentence = format!("poll_max_urls: {limit} distinct URLs are followed already");
        let refusal = Refusal::of(known::SOURCES, sentence).retry_after(30);
        let _ = reply.send(OpenAnswer::Refused(refusal));
        return;
    };
    tell_identities(shard, &wanted);
    let retention = wanted.retention();
    let task_key = key.clone();
    let about = SourceAbout::of(wanted.uri.as_ref());
    let upstream = shard.upstream.noting(Rc::clone(&about.journal));
    if matches!(wanted.route.kind, Kind::Auto { .. }) {
        let task = tokio::task::spawn_local(async move {
            run_auto(&local, wanted, task_key, individual, upstream).await;
            drop(seat);
        });
        shard.sources.begin_opening(key, task.abort_handle(), about, reply);
    } else {
        let task = tokio::task::spawn_local(async move {
            run_declared(&local, wanted, &task_key, upstream).await;
            drop(seat);
        });
        shard.sources.begin_running(key.clone(), task.abort_handle(), about, retention);
        let _ = reply.send(OpenAnswer::Open(OpenChannel {
            name: key,
            retention,
            sourced: true,
            set_cookie: Vec::new(),
        }));
    }
}

/// Says when a path is polled for many identities: then a cookie that means nothing is among them.
fn tell_identities(shard: &Shard, wanted: &Wanted) {
    let identities = shard.sources.identities(&wanted.name) + 1;
    if matches!(identities, 10 | 100 | 1000) && !wanted.identity.is_empty() {
        tracing::warn!(
            event = "many_identities",
            number = %known::IDENTITIES,
            channel = %wanted.name,
            identities,
            "{identities} identities on /{}; name the session cookie with --share cookie:NAME",
            wanted.name.path_part()
        );
    }
}

/// A source whose kind the configuration states: subscribers come in at once, whatever the backend does.
async fn run_declared(shard: &ShardRef, wanted: Wanted, key: &ChannelName, upstream: Upstream) {
    let Some(uri) = wanted.uri.clone() else { return };
    let retention = wanted.retention();
    let target = Target { uri, headers: wanted.identity };
    let emit = |event| handle_event(shard, key, retention, event);
    match &wanted.route.kind {
        Kind::Poll { interval, .. } => {
            paced(shard, tidegate_source::poll(upstream, target, PollPolicy { interval: *interval }, emit))
                .await;
        }
        Kind::Stream { .. } => {
            paced(shard, tidegate_source::stream(upstream, target, StreamPolicy::default(), emit)).await;
        }
        Kind::Auto { .. } | Kind::Channel => {}
    }
    shard.with(|shard| shard.sources.ended(key));
}

/// A source whose first answer decides what it is.
async fn run_auto(shard: &ShardRef, wanted: Wanted, key: ChannelName, individual: bool, upstream: Upstream) {
    let Some(uri) = wanted.uri.clone() else { return };
    let headers = if individual { wanted.own.clone() } else { wanted.identity.clone() };
    let policy = PollPolicy { interval: None };
    let opened = match tidegate_source::open(&upstream, Target { uri, headers }, &policy).await {
        Ok(opened) => opened,
        Err(error) => {
            let refusal = refusal_of(&wanted, error);
            tracing::info!(event = "upstream_refused", channel = %wanted.name, "{}", refusal.sentence);
            reply_all(shard.with(|shard| shard.sources.ended(&key)), &OpenAnswer::Refused(refusal));
            return;
        }
    };
    let shared = if individual { Shared::Identity } else { shared_by(&wanted, opened.facts.shared.clone()) };
    if let Shared::Private(reason) = shared {
        tracing::info!(event = "not_shared", channel = %wanted.name, "each client gets a poll of its own: {reason}");
        let waiting = shard.with(|shard| {
            shard.sources.learn(&wanted.name, PathFacts::Individual);
            shard.sources.opened_elsewhere(&key)
        });
        reply_all(waiting, &OpenAnswer::Individual);
        return;
    }
    let (shared, opened) = match shared {
        Shared::Public if !wanted.identity.is_empty() => as_nobody(&upstream, &wanted, opened).await,
        shared => (shared, opened),
    };
    let name = if shared == Shared::Public { wanted.name.clone() } else { key.clone() };
    let document = opened.facts.kind == tidegate_source::Kind::Poll;
    let increments = if document { wanted.route.increments } else { Increments::NONE };
    let retention = Retention { document, increments, ..wanted.retention() };
    let cookies = if name.is_private() { opened.facts.set_cookie.clone() } else { Vec::new() };
    if !begin_running(shard, &key, &name, retention, opened.first.clone(), cookies) {
        return;
    }
    paced(shard, opened.run(|event| handle_event(shard, &name, retention, event))).await;
    shard.with(|shard| shard.sources.ended(&name));
}

/// What all may share is asked for as nobody: from here on nothing of the client that came first is sent.
/// Where nobody gets another answer than a public one, the answer is for the identity after all.
async fn as_nobody(upstream: &Upstream, wanted: &Wanted, opened: Opened) -> (Shared, Opened) {
    let Some(uri) = wanted.uri.clone() else { return (Shared::Identity, opened) };
    let target = Target { uri, headers: HeaderMap::new() };
    match tidegate_source::open(upstream, target, &PollPolicy { interval: None }).await {
        Ok(public) if public.facts.shared == Shared::Public => (Shared::Public, public),
        Ok(_) | Err(_) => (Shared::Identity, opened),
    }
}

/// Runs a source, but for the times when its publications are not taken as fast as it brings them.
async fn paced(shard: &ShardRef, run: impl Future<Output = ()>) {
    let mut run = pin!(run);
    std::future::poll_fn(|context| {
        if shard.tidy(|shard| shard.must_wait(context.waker())) {
            Poll::Pending
        } else {
            run.as_mut().poll(context)
        }
    })
    .await;
}

fn shared_by(wanted: &Wanted, answer: Shared) -> Shared {
    match share_of(&wanted.route) {
        Some(Share::Public) => Shared::Public,
        // Where the operator named the identity, an answer may widen it but not narrow it.
        Some(Share::Cookie(_) | Share::Authorization) if answer != Shared::Public => Shared::Identity,
        _ => answer,
    }
}

/// Enters an opened source under its final name. False if another one of that name runs already: then this
/// one has served its purpose.
fn begin_running(
    shard: &ShardRef,
    key: &ChannelName,
    name: &ChannelName,
    retention: Retention,
    first: Option<Item>,
    mut set_cookie: Vec<http::HeaderValue>,
) -> bool {
    shard.with(|shard| {
        if !name.is_private() && key.is_private() {
            shard.sources.learn(name, PathFacts::Public);
        }
        let runs_already = key != name && shard.sources.contains(name);
        let waiting = if runs_already {
            let waiting = shard.sources.opened_elsewhere(key);
            shard.sources.join(name, waiting)
        } else {
            let waiting = shard.sources.opened(key, name, retention);
            if !shard.end_other_kind(name, true) {
                // Those who wait are told that there is no source.
                return false;
            }
            if let Some(first) = first {
                shard.sources.note_change(name);
                shard.publish_of_source(name, first, None, retention);
            }
            waiting
        };
        for sender in waiting {
            let channel = OpenChannel {
                name: name.clone(),
                retention,
                sourced: true,
                set_cookie: std::mem::take(&mut set_cookie),
            };
            let _ = sender.send(OpenAnswer::Open(channel));
        }
        !runs_already
    })
}

fn refusal_of(wanted: &Wanted, error: OpenError) -> Refusal {
    match error {
        OpenError::Refused(answer) => {
            let status = answer.status();
            let mut refusal = Refusal::of_backend(answer);
            if status.is_redirection() || status.is_informational() {
                // A handshake cannot be redirected: RFC 6455 clients take anything but 101 as a failure.
                refusal.sentence = format!("{} for /{}", refusal.sentence, wanted.name);
            }
            refusal
        }
        OpenError::Upstream(error) => Refusal::of_upstream(&error),
    }
}

fn reply_all(waiting: Vec<oneshot::Sender<OpenAnswer>>, answer: &OpenAnswer) {
    for sender in waiting {
        // Whoever waited may have gone.
        let _ = sender.send(answer.clone());
    }
}

/// What a running source says, done at the channel's home.
fn handle_event(shard: &ShardRef, channel: &ChannelName, retention: Retention, event: Event) {
    shard.with(|shard| {
        // What it says is not about a channel that publishers fill.
        if shard.end_other_kind(channel, true) {
            shard.take_event(channel, retention, event);
        }
    });
}

impl Shard {
    fn take_event(&mut self, channel: &ChannelName, retention: Retention, event: Event) {
        match event {
            Event::Publication(item) => {
                self.counters.source_publications += 1;
                self.sources.note_change(channel);
                let (home, payload) = (channel.clone(), item.payload.clone());
                self.compared(channel, &payload, move |there, compared| {
                    there.publish_of_source(&home, item, compared, retention);
                });
            }
            Event::Failing { reason } => {
                self.counters.source_failures += 1;
                tracing::warn!(event = "upstream_failing", number = %known::SOURCE_FAILING, %channel, "{reason}; clients stay and are told");
                self.notify_followers(channel, Notice::Failing(reason.into()));
            }
            Event::Recovered => {
                tracing::info!(event = "upstream_recovered", %channel, "well again");
                self.tell_recovered(channel);
            }
            Event::Unauthorized { reason } => {
                tracing::info!(event = "upstream_unauthorized", number = %known::SOURCE_UNAUTHORIZED, %channel, "{reason}; its clients are closed");
                let notice = Notice::Over { known: known::SOURCE_UNAUTHORIZED, reason: reason.into() };
                self.drop_channel(channel, notice);
            }
            Event::Ended { reason } => {
                tracing::info!(event = "upstream_ended", number = %known::SOURCE_ENDED, %channel, "{reason}");
                let notice = Notice::Over { known: known::SOURCE_ENDED, reason: reason.into() };
                self.drop_channel(channel, notice);
            }
        }
    }

    /// Appends what a source has brought. Where there is no place a document is kept until there is, or until a newer
    /// one comes; what is no state but an event is lost.
    fn publish_of_source(
        &mut self,
        channel: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        retention: Retention,
    ) {
        let copy = retention.document.then(|| item.clone());
        let Err(busy) = self.publish_at_home(channel, item, compared, retention) else {
            return self.sources.owe(channel, None);
        };
        self.counters.source_refused += 1;
        let what = if retention.document { "it is tried again" } else { "it is lost" };
        tracing::warn!(event = "publish_refused", number = %known::SOURCE_REFUSED, %channel, ?busy, "no place for a publication of a source: {what}");
        self.sources.owe(channel, copy);
    }

    /// Publishes the documents for which there was no place, as far as there is now; whether there was any.
    fn publish_owed(&mut self) -> bool {
        let mut published = false;
        for (channel, retention, item) in self.sources.take_owed() {
            if !self.end_other_kind(&channel, true) {
                continue;
            }
            match self.publish_at_home(&channel, item.clone(), None, retention) {
                Ok(_) => published = true,
                Err(_) => self.sources.owe(&channel, Some(item)),
            }
        }
        published
    }
}

/// Ends sources that nobody follows and forgets what is too old, once a second on each shard.
pub(crate) async fn keep_house(shard: &ShardRef) {
    const PAUSE: Duration = Duration::from_secs(1);
    let mut interval = tokio::time::interval(PAUSE);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let published = shard.tidy(|shard| {
            let now = std::time::Instant::now();
            let linger = shard.generation.settings.limits.poll_linger;
            let engine = &shard.engine;
            let over = shard.sources.sweep(now, linger, |name| engine.followers(name));
            for channel in over {
                tracing::debug!(event = "source_stopped", %channel, "nobody listens any more");
                shard.forget_channel(&channel);
            }
            shard.sweep_history(now, linger);
            shard.endings.sweep(now);
            shard.encoder.let_go();
            shard.publish_owed()
        });
        if published {
            // Only a round hands it over.
            shard.with(|_| ());
        }
        let linger = shard.look(|shard| shard.generation.settings.limits.poll_linger);
        let free = |shard: &mut Shard| shard.engine.free_empty(std::time::Instant::now(), linger);
        while shard.tidy(free) {
            tokio::task::yield_now().await;
        }
    }
}
