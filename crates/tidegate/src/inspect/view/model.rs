//! What the view shows and how keys and events change it. No terminal, file or clock is touched here.
//!
//! Events come in by `handle_gathered`, keys by `handle_key`, whose answer is what only the window can do. Drawing
//! reads it, and leaves behind what fitted on the screen.

use std::collections::VecDeque;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tidegate_inspect::Event;
use tidegate_inspect::filter::Filter;
use tidegate_inspect::timestamp::Timestamp;

use super::connection::{Connection, Row};
use super::feed::{Gathered, cost};
use super::held::Held;
use super::pen::Line;
use super::typing::{Purpose, Typed, Typing};

/// Events that wait while the view is paused.
const WAITING_MAX: usize = 20_000;

/// Bytes of these.
const WAITING_MAX_BYTES: usize = 32 << 20;

/// The name that is offered for an export.
const EXPORT_NAME: &str = "inspected.jsonl";

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(in crate::inspect) struct About {
    /// A URL or the name of a file.
    pub(in crate::inspect) title: String,
    /// It goes on; a recording does not.
    pub(in crate::inspect) is_live: bool,
    /// What is shown to begin with.
    pub(in crate::inspect) filter: Filter,
    /// Begin with the header of frames, bit by bit.
    pub(in crate::inspect) explains: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Connections,
    Events,
    Detail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Handshake,
    Header,
    Payload,
    Timing,
    Close,
}

/// What times are told from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Clock,
    Beginning,
    Before,
}

/// Which part of a list is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// The newest, and what comes.
    Bottom,
    /// From the event with this number.
    From(u64),
}

/// What only the window can do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Leave,
    /// As Ctrl-C ends other commands.
    Interrupt,
    Suspend,
    /// Draw everything, whatever is on the screen.
    Redraw,
    Export(std::path::PathBuf),
}

/// What fitted on the screen when it was last drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fitted {
    /// All panes at once.
    pub(super) is_wide: bool,
    pub(super) connections: usize,
    pub(super) events: usize,
    pub(super) detail: usize,
    /// Lines of the detail.
    pub(super) detail_lines: usize,
    pub(super) legend_lines: usize,
}

/// What the rows of a payload depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) connection: u64,
    pub(super) number: u64,
    pub(super) as_hex: bool,
    pub(super) columns: u16,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) about: About,
    /// Where clients connect.
    pub(super) address: Option<String>,
    pub(super) held: Held,
    pub(super) pane: Pane,
    pub(super) tab: Tab,
    pub(super) times: Times,
    pub(super) as_hex: bool,
    /// The connection whose events are shown.
    pub(super) chosen: Option<u64>,
    /// The event that is opened.
    pub(super) opened: Option<u64>,
    pub(super) sight: Sight,
    /// The first connection in sight, and the first line of the detail and of the legend.
    pub(super) connections_top: usize,
    pub(super) detail_top: usize,
    pub(super) legend_top: Option<usize>,
    pub(super) typing: Option<Typing>,
    pub(super) waiting: Option<Waiting>,
    /// Events that never came here.
    pub(super) lost: u64,
    /// The newest of what is to be said.
    pub(super) words: Option<String>,
    pub(super) ended: Option<String>,
    pub(super) fitted: Fitted,
    /// The payload that was last laid out, for that takes time.
    pub(super) laid_out: Option<(Payload, Vec<Line>)>,
}

/// What came since the pause began.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
    /// All that came, lost ones counted.
    pub(super) count: u64,
}

impl Model {
    pub(super) fn new(about: About) -> Self {
        Self {
            sight: if about.is_live { Sight::Bottom } else { Sight::From(0) },
            tab: if about.explains { Tab::Header } else { Tab::Handshake },
            about,
            address: None,
            held: Held::default(),
            pane: Pane::Events,
            times: Times::Clock,
            as_hex: false,
            chosen: None,
            opened: None,
            connections_top: 0,
            detail_top: 0,
            legend_top: None,
            typing: None,
            waiting: None,
            lost: 0,
            words: None,
            ended: None,
            fitted: Fitted::default(),
            laid_out: None,
        }
    }

    /// Something that is shown changes with time alone.
    pub(super) fn is_ageing(&self) -> bool {
        self.about.is_live && self.held.connections().iter().any(|connection| !connection.is_over)
    }

    /// The connection whose events are shown.
    pub(super) fn connection(&self) -> Option<&Connection> {
        self.chosen.and_then(|key| self.held.get(key))
    }

    /// Its events, as far as the filter shows them.
    pub(super) fn rows(&self) -> Vec<&Row> {
        self.connection().map(|it| it.rows.iter().filter(|row| row.is_shown).collect()).unwrap_or_default()
    }

    /// The event that is opened, whether the filter shows it or not; none if it was let go.
    pub(super) fn opened_row(&self) -> Option<&Row> {
        let (connection, number) = (self.connection()?, self.opened?);
        let at = connection.rows.binary_search_by_key(&number, |row| row.number).ok()?;
        connection.rows.get(at)
    }

    /// Where in `rows` the part begins that is seen.
    pub(super) fn first_in_sight(&self, rows: &[&Row]) -> usize {
        let last = rows.len().saturating_sub(self.fitted.events);
        match self.sight {
            Sight::Bottom => last,
            Sight::From(number) => rows.partition_point(|row| row.number < number).min(last),
        }
    }

    /// Events below what is seen.
    pub(super) fn below(&self, rows: &[&Row]) -> usize {
        rows.len().saturating_sub(self.first_in_sight(rows) + self.fitted.events)
    }

    /// The connections that are listed: with a filter those that have something to show, and the chosen one.
    pub(super) fn listed(&self) -> Vec<&Connection> {
        let is_listed =
            |it: &&Connection| self.about.filter.is_empty() || it.shown > 0 || Some(it.key) == self.chosen;
        self.held.connections().iter().filter(is_listed).collect()
    }

    /// Takes what has come.
    pub(super) fn handle_gathered(&mut self, gathered: Gathered, now: Timestamp) {
        let Gathered { events, lost, words, address, ended, .. } = gathered;
        self.lost += lost;
        self.address = address.or(self.address.take());
        self.words = words.into_iter().next_back().or(self.words.take());
        self.ended = ended.or(self.ended.take());
        match &mut self.waiting {
            Some(waiting) => self.lost += waiting.take(events, lost),
            None => self.take(events, now),
        }
    }

    /// What is to be said of something that the window did.
    pub(super) fn say(&mut self, words: String) {
        self.words = Some(words);
    }

    pub(super) fn handle_paste(&mut self, text: &str) {
        if let Some(typing) = &mut self.typing {
            typing.paste(text);
        }
    }

    pub(super) fn handle_key(&mut self, key: KeyEvent, now: Timestamp) -> Option<Ask> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Ask::Interrupt),
            KeyCode::Char('z') if is_control => return Some(Ask::Suspend),
            KeyCode::Char('l') if is_control => return Some(Ask::Redraw),
            _ => {}
        }
        if self.typing.is_some() {
            return self.type_key(key, now);
        }
        if let Some(top) = self.legend_top {
            self.legend_top = legend_key(key.code, top, self.fitted.legend_lines);
            return None;
        }
        if is_control || key.modifiers.contains(KeyModifiers::ALT) {
            return None;
        }
        self.words = None;
        match key.code {
            KeyCode::Char('q') => return Some(Ask::Leave),
            KeyCode::Char('?') => self.legend_top = Some(0),
            KeyCode::Char('/') => {
                self.typing = Some(Typing::new(Purpose::Filter, &self.about.filter.to_string()));
            }
            KeyCode::Char('e') => self.typing = Some(Typing::new(Purpose::Export, EXPORT_NAME)),
            KeyCode::Char(' ') => self.pause_or_go_on(now),
            KeyCode::Char('t') => self.times = self.times.next(),
            KeyCode::Char('x') => self.toggle_hex(),
            KeyCode::Char('h') => self.show_tab(Tab::Handshake),
            KeyCode::Char('[') => self.show_tab(self.tab.before()),
            KeyCode::Char(']') => self.show_tab(self.tab.next()),
            KeyCode::Tab => self.pane = self.pane.next(),
            KeyCode::BackTab => self.pane = self.pane.next().next(),
            KeyCode::Enter => self.enter(),
            KeyCode::Esc => self.go_back(),
            code => self.go(code),
        }
        None
    }

    fn take(&mut self, events: impl IntoIterator<Item = Event>, now: Timestamp) {
        for event in events {
            self.held.take(event, &self.about.filter, self.chosen, now);
        }
        if self.chosen.is_none() {
            self.chosen = self.held.connections().first().map(|connection| connection.key);
        }
    }

    fn pause_or_go_on(&mut self, now: Timestamp) {
        match self.waiting.take() {
            Some(waiting) => self.take(waiting.events, now),
            None => self.waiting = Some(Waiting::default()),
        }
    }

    fn toggle_hex(&mut self) {
        self.as_hex = self.tab != Tab::Payload || !self.as_hex;
        self.show_tab(Tab::Payload);
    }

    fn show_tab(&mut self, tab: Tab) {
        self.tab = tab;
        self.detail_top = 0;
        if !self.fitted.is_wide {
            self.pane = Pane::Detail;
        }
    }

    fn enter(&mut self) {
        match self.pane {
            Pane::Connections => self.pane = Pane::Events,
            Pane::Events => {
                if self.opened.is_none() {
                    self.go(KeyCode::Up);
                }
                self.pane = Pane::Detail;
            }
            Pane::Detail => {}
        }
    }

    fn go_back(&mut self) {
        self.pane = match self.pane {
            Pane::Detail => Pane::Events,
            Pane::Events | Pane::Connections => Pane::Connections,
        };
    }

    fn go(&mut self, code: KeyCode) {
        let page = match self.pane {
            Pane::Connections => self.fitted.connections,
            Pane::Events => self.fitted.events,
            Pane::Detail => self.fitted.detail,
        };
        let Some(step) = step_of(code, page) else { return };
        match self.pane {
            Pane::Connections => self.choose(step),
            Pane::Events => self.open(step),
            Pane::Detail => {
                let last = self.fitted.detail_lines.saturating_sub(self.fitted.detail);
                self.detail_top = moved(self.detail_top, step, last);
            }
        }
    }

    fn choose(&mut self, step: isize) {
        let listed = self.listed();
        let at = listed.iter().position(|it| Some(it.key) == self.chosen).unwrap_or_default();
        let Some(chosen) = listed.get(moved(at, step, listed.len().saturating_sub(1))) else { return };
        let key = chosen.key;
        if Some(key) != self.chosen {
            self.chosen = Some(key);
            self.opened = None;
            self.detail_top = 0;
            self.sight = if self.about.is_live { Sight::Bottom } else { Sight::From(0) };
        }
    }

    /// Opens another event, and brings it in sight. From one that is out of sight it goes to what is seen.
    fn open(&mut self, step: isize) {
        let rows = self.rows();
        let (Some(end), height) = (rows.len().checked_sub(1), self.fitted.events.max(1)) else { return };
        let first = self.first_in_sight(&rows);
        let last = end.min(first + height - 1);
        let opened = self.opened.map(|number| rows.partition_point(|row| row.number < number));
        let to = match opened.filter(|at| (first..=last).contains(at)) {
            Some(at) => moved(at, step, end),
            None if step.unsigned_abs() > end => moved(0, step, end),
            None if step < 0 || self.sight == Sight::Bottom => last,
            None => first,
        };
        let first = if to < first { to } else { first.max((to + 1).saturating_sub(height)) };
        let (number, top) = (rows[to].number, rows[first].number);
        // Whoever goes up looks at something; whoever goes to the end wants what comes.
        self.sight = if to == end && step > 0 { Sight::Bottom } else { Sight::From(top) };
        // Whoever opens the first event wants to see what it holds.
        if self.opened.is_none() && self.tab == Tab::Handshake {
            self.tab = Tab::Payload;
        }
        self.opened = Some(number);
        self.detail_top = 0;
    }

    fn type_key(&mut self, key: KeyEvent, now: Timestamp) -> Option<Ask> {
        let typed = self.typing.as_mut()?.handle_key(key);
        if !matches!(typed, Typed::More) {
            self.typing = None;
        }
        match typed {
            Typed::More | Typed::Abandoned => None,
            Typed::Filter(filter) => {
                self.about.filter = filter;
                self.held.apply(&self.about.filter, now);
                None
            }
            Typed::Export(path) => Some(Ask::Export(path)),
        }
    }
}

impl Waiting {
    /// Gives how many did not fit.
    fn take(&mut self, events: VecDeque<Event>, lost: u64) -> u64 {
        self.count += events.len() as u64 + lost;
        let mut left_out = 0;
        for event in events {
            let bytes = cost(&event);
            if self.events.len() < WAITING_MAX && self.bytes + bytes <= WAITING_MAX_BYTES {
                self.bytes += bytes;
                self.events.push_back(event);
            } else {
                left_out += 1;
            }
        }
        left_out
    }
}

impl Pane {
    pub(super) const ALL: [Self; 3] = [Self::Connections, Self::Events, Self::Detail];

    const fn next(self) -> Self {
        match self {
            Self::Connections => Self::Events,
            Self::Events => Self::Detail,
            Self::Detail => Self::Connections,
        }
    }
}

impl Tab {
    pub(super) const ALL: [Self; 5] =
        [Self::Handshake, Self::Header, Self::Payload, Self::Timing, Self::Close];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Handshake => "Handshake",
            Self::Header => "Header",
            Self::Payload => "Payload",
            Self::Timing => "Timing",
            Self::Close => "Close",
        }
    }

    fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    fn before(self) -> Self {
        Self::ALL[(self as usize + Self::ALL.len() - 1) % Self::ALL.len()]
    }
}

impl Times {
    const fn next(self) -> Self {
        match self {
            Self::Clock => Self::Beginning,
            Self::Beginning => Self::Before,
            Self::Before => Self::Clock,
        }
    }
}

/// How far a key goes, down or up.
fn step_of(code: KeyCode, page: usize) -> Option<isize> {
    let page = page.saturating_sub(1).max(1).cast_signed();
    Some(match code {
        KeyCode::Char('j') | KeyCode::Down => 1,
        KeyCode::Char('k') | KeyCode::Up => -1,
        KeyCode::PageDown => page,
        KeyCode::PageUp => -page,
        KeyCode::Char('g') | KeyCode::Home => isize::MIN / 2,
        KeyCode::Char('G') | KeyCode::End => isize::MAX / 2,
        _ => return None,
    })
}

fn moved(at: usize, step: isize, last: usize) -> usize {
    at.saturating_add_signed(step).min(last)
}

/// Where the legend begins after this key; none if it ends.
fn legend_key(code: KeyCode, top: usize, lines: usize) -> Option<usize> {
    match code {
        KeyCode::Char('?' | 'q') | KeyCode::Esc | KeyCode::Enter => None,
        code => Some(step_of(code, 10).map_or(top, |step| moved(top, step, lines.saturating_sub(1)))),
    }
}
