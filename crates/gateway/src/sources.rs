//! The register of the sources that run on one shard: what is known of a path, which of its channels is
//! being opened or runs, and since when nobody listens. Data only; `open` runs them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use tidegate_hub::{ChannelName, Item, Retention};
use tidegate_source::Journal;
use tidegate_source::journal::Entry;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use tidegate_inspect::secrets::hide_in_target;

use crate::refusal::Refusal;

/// A channel that can be subscribed to.
#[derive(Debug, Clone)]
pub(crate) struct OpenChannel {
    pub(crate) name: ChannelName,
    pub(crate) retention: Retention,
    /// A source fills it: without one it must not be followed.
    pub(crate) sourced: bool,
    /// For the one whose request made the backend set them, or the next of the same identity who waits.
    pub(crate) set_cookie: Vec<HeaderValue>,
}

/// How an attempt to open a channel ended.
#[derive(Debug, Clone)]
pub(crate) enum OpenAnswer {
    Open(OpenChannel),
    /// The backend's answers are for one client alone: each must ask for itself.
    Individual,
    Refused(Refusal),
}

/// What the answers of a path have told, whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathFacts {
    /// Everybody may share one answer.
    Public,
    /// Nobody may.
    Individual,
}

/// One source.
#[derive(Debug)]
pub(crate) struct Source {
    state: State,
    task: AbortHandle,
    /// When it was last seen without a follower.
    idle: Option<Instant>,
    /// Its newest document, if there was no place for it.
    owed: Option<Item>,
    about: SourceAbout,
    /// Publications that it brought.
    changes: u64,
}

/// What is told of a source beside its channel.
#[derive(Debug, Clone)]
pub(crate) struct SourceAbout {
    /// What is asked for, without credentials.
    pub(crate) url: Arc<str>,
    pub(crate) journal: Rc<Journal>,
}

/// How a source fares.
#[derive(Debug, Clone)]
pub(crate) struct SourceRow {
    pub(crate) channel: ChannelName,
    /// None while it is being opened.
    pub(crate) kind: Option<&'static str>,
    pub(crate) url: Arc<str>,
    pub(crate) changes: u64,
    pub(crate) entry: Entry,
}

#[derive(Debug)]
enum State {
    Opening(Vec<oneshot::Sender<OpenAnswer>>),
    Running(Retention),
}

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    running: HashMap<ChannelName, Source>,
    paths: HashMap<ChannelName, PathFacts>,
}

/// What is there already for a channel that somebody wants.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// It is being opened; the answer comes through what was given.
    Opening,
    Running(Retention),
}

impl SourceAbout {
    pub(crate) fn of(uri: Option<&http::Uri>) -> Self {
        let url = uri.map(ToString::to_string).unwrap_or_default();
        Self { url: hide_in_target(&url).into(), journal: Rc::default() }
    }
}

impl Sources {
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn facts(&self, path: &ChannelName) -> Option<PathFacts> {
        self.paths.get(path).copied()
    }

    pub(crate) fn learn(&mut self, path: &ChannelName, facts: PathFacts) {
        self.paths.insert(path.clone(), facts);
    }

    /// Looks a channel up; `reply` is kept if its opening must be waited for, and given back otherwise.
    pub(crate) fn find(
        &mut self,
        name: &ChannelName,
        reply: oneshot::Sender<OpenAnswer>,
    ) -> (Found, Option<oneshot::Sender<OpenAnswer>>) {
        match self.running.get_mut(name) {
            None => (Found::Nothing, Some(reply)),
            Some(Source { state: State::Opening(waiting), .. }) => {
                // Those who have gone meanwhile make room.
                waiting.retain(|sender| !sender.is_closed());
                waiting.push(reply);
                (Found::Opening, None)
            }
            Some(Source { state: State::Running(retention), idle, .. }) => {
                *idle = None;
                (Found::Running(*retention), Some(reply))
            }
        }
    }

    pub(crate) fn begin_opening(
        &mut self,
        name: ChannelName,
        task: AbortHandle,
        about: SourceAbout,
        reply: oneshot::Sender<OpenAnswer>,
    ) {
        self.insert(name, State::Opening(vec![reply]), task, about);
    }

    pub(crate) fn begin_running(
        &mut self,
        name: ChannelName,
        task: AbortHandle,
        about: SourceAbout,
        retention: Retention,
    ) {
        self.insert(name, State::Running(retention), task, about);
    }

    fn insert(&mut self, name: ChannelName, state: State, task: AbortHandle, about: SourceAbout) {
        self.running.insert(name, Source { state, task, idle: None, owed: None, about, changes: 0 });
    }

    /// A source has brought a publication.
    pub(crate) fn note_change(&mut self, name: &ChannelName) {
        if let Some(source) = self.running.get_mut(name) {
            source.changes += 1;
        }
    }

    /// How all of them fare.
    pub(crate) fn rows(&self, now: Instant) -> Vec<SourceRow> {
        let describe = |(name, source): (&ChannelName, &Source)| SourceRow {
            channel: name.clone(),
            kind: match source.state {
                State::Opening(_) => None,
                State::Running(Retention { document: true, .. }) => Some("poll"),
                State::Running(_) => Some("stream"),
            },
            url: Arc::clone(&source.about.url),
            changes: source.changes,
            entry: source.about.journal.entry(now),
        };
        self.running.iter().map(describe).collect()
    }

    /// The opening has succeeded, perhaps under another name. Gives those who wait.
    pub(crate) fn opened(
        &mut self,
        asked: &ChannelName,
        name: &ChannelName,
        retention: Retention,
    ) -> Vec<oneshot::Sender<OpenAnswer>> {
        let Some(source) = self.running.remove(asked) else { return Vec::new() };
        let State::Opening(waiting) = source.state else { return Vec::new() };
        self.begin_running(name.clone(), source.task, source.about, retention);
        waiting
    }

    /// A source has ended, or could not be opened. Gives those who wait.
    pub(crate) fn ended(&mut self, name: &ChannelName) -> Vec<oneshot::Sender<OpenAnswer>> {
        let waiting = match self.running.remove(name) {
            Some(Source { state: State::Opening(waiting), .. }) => waiting,
            Some(_) | None => Vec::new(),
        };
        self.forget_facts(name);
        waiting
    }

    /// The opening was of no use under this name, but the path stays known. Gives those who wait.
    pub(crate) fn opened_elsewhere(&mut self, name: &ChannelName) -> Vec<oneshot::Sender<OpenAnswer>> {
        match self.running.remove(name) {
            Some(Source { state: State::Opening(waiting), .. }) => waiting,
            Some(_) | None => Vec::new(),
        }
    }

    /// Lets more clients wait for a source that is being opened; gives them back if it runs.
    pub(crate) fn join(
        &mut self,
        name: &ChannelName,
        more: Vec<oneshot::Sender<OpenAnswer>>,
    ) -> Vec<oneshot::Sender<OpenAnswer>> {
        match self.running.get_mut(name) {
            Some(Source { state: State::Opening(waiting), .. }) => {
                waiting.extend(more);
                Vec::new()
            }
            Some(_) | None => more,
        }
    }

    /// Remembers the document of a running source that could not be published, or that the newest could be: what is
    /// polled comes again only when it changes.
    pub(crate) fn owe(&mut self, name: &ChannelName, document: Option<Item>) {
        if let Some(source) = self.running.get_mut(name) {
            source.owed = document;
        }
    }

    /// The documents that could not be published. Who cannot publish one now gives it back.
    pub(crate) fn take_owed(&mut self) -> Vec<(ChannelName, Retention, Item)> {
        let owed = self.running.iter_mut().filter_map(|(name, source)| {
            let State::Running(retention) = source.state else { return None };
            Some((name.clone(), retention, source.owed.take()?))
        });
        owed.collect()
    }

    /// Ends a source because its channel is dropped.
    pub(crate) fn stop(&mut self, name: &ChannelName) {
        if let Some(source) = self.running.get(name) {
            source.task.abort();
            // Whoever waits for its opening learns that it will not be.
            drop(self.ended(name));
        }
    }

    /// Whether a source of this name runs.
    pub(crate) fn is_running(&self, name: &ChannelName) -> bool {
        self.running.get(name).is_some_and(|source| matches!(source.state, State::Running(_)))
    }

    /// Whether a source of this name runs or is being opened.
    pub(crate) fn contains(&self, name: &ChannelName) -> bool {
        self.running.contains_key(name)
    }

    /// Sources of one path, over all identities.
    pub(crate) fn identities(&self, path: &ChannelName) -> usize {
        self.running.keys().filter(|name| name.public_part() == path.as_ref()).count()
    }

    /// Ends the sources that nobody has followed for `linger`; gives their names.
    pub(crate) fn sweep(
        &mut self,
        now: Instant,
        linger: Duration,
        followers: impl Fn(&ChannelName) -> u32,
    ) -> Vec<ChannelName> {
        let mut over = Vec::new();
        for (name, source) in &mut self.running {
            let followed = matches!(source.state, State::Opening(_)) || followers(name) > 0;
            if followed {
                source.idle = None;
            } else if now.saturating_duration_since(*source.idle.get_or_insert(now)) >= linger {
                source.task.abort();
                over.push(name.clone());
            }
        }
        for name in &over {
            self.running.remove(name);
            self.forget_facts(name);
        }
        self.forget_unused_facts();
        over
    }

    /// What was learnt for clients who left before their own source began is nobody's to forget but here.
    fn forget_unused_facts(&mut self) {
        // Each path that is in use has a source at least.
        if self.paths.len() > self.running.len() {
            let used: HashSet<&str> = self.running.keys().map(ChannelName::public_part).collect();
            self.paths.retain(|path, _| used.contains(path.as_ref()));
        }
    }

    fn forget_facts(&mut self, name: &ChannelName) {
        let path = name.public_part();
        if !self.running.keys().any(|other| other.public_part() == path) {
            self.paths.retain(|known, _| known.as_ref() != path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_that_no_source_followed_are_forgotten() {
        let mut sources = Sources::default();
        for number in 0..3 {
            let path = ChannelName::from_text(&format!("x?n={number}")).unwrap();
            sources.learn(&path, PathFacts::Individual);
        }
        assert!(sources.sweep(Instant::now(), Duration::ZERO, |_| 0).is_empty());
        assert!(sources.paths.is_empty());
    }
}
