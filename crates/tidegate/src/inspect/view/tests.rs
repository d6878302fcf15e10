//! The view on a terminal of memory: what is seen, and what keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;
use tidegate_inspect::Tap;
use tidegate_inspect::event::{Body, Direction, End, Event, Message};
use tidegate_inspect::payload::Payload;
use tidegate_inspect::tap::Settings;
use tidegate_inspect::timestamp::Timestamp;
use tidegate_websocket::Opcode;
use tidegate_websocket::frame::write_frame;

use super::feed::Gathered;
use super::model::{About, Ask, Model, Pane, Tab};
use super::screen::draw;
use crate::terminal::escape;

/// 14:03:07 on a day of 2026.
pub(super) const BEGIN: u64 = 1_773_756_187_120_000;

pub(super) fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_micros(BEGIN + 1000 * milliseconds)
}

/// The events of a connection that a tap sees.
pub(super) struct Session {
    tap: Tap,
    pub(super) events: Vec<Event>,
}

impl Session {
    pub(super) fn new(conn: &str) -> Self {
        let origin = Some("wss://shop.example".to_owned());
        Self { tap: Tap::new(Some(conn.into()), origin, Settings::default()), events: Vec::new() }
    }

    pub(super) fn bytes(&mut self, dir: Direction, bytes: &[u8], at: Timestamp) {
        self.tap.handle_input(dir, bytes, at, &mut |event| self.events.push(event));
    }

    pub(super) fn open(&mut self, path: &str, answer: &str, from: u64) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Cookie: sid=secret\r\n\r\n"
        );
        self.bytes(Direction::ToServer, request.as_bytes(), at(from));
        self.bytes(Direction::ToClient, answer.as_bytes(), at(from + 3));
    }

    pub(super) fn send(&mut self, dir: Direction, opcode: Opcode, payload: &[u8], from: u64) {
        let mut bytes = Vec::new();
        let key = (dir == Direction::ToServer).then_some([0x37, 0xfa, 0x21, 0x3d]);
        write_frame(true, opcode, key, payload, &mut bytes);
        self.bytes(dir, &bytes, at(from));
    }

    pub(super) fn end(&mut self, how: End, from: u64) {
        for dir in [Direction::ToClient, Direction::ToServer] {
            self.tap.handle_end(dir, how, at(from), &mut |event| self.events.push(event));
        }
    }
}

pub(super) const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Three connections: one that goes on, one that was closed, one that was refused.
pub(super) fn story() -> Vec<Event> {
    use Direction::{ToClient, ToServer};
    let mut first = Session::new("c1");
    first.open("/prices", ACCEPTED, 0);
    first.send(ToServer, Opcode::Text, br#"{"subscribe":["tea","coffee"]}"#, 10);
    first.send(
        ToClient,
        Opcode::Text,
        br#"{"item":"tea","price":4.20,"stock":{"zurich":12,"basel":3},"note":"first flush, hand picked"}"#,
        31,
    );
    first.send(ToClient, Opcode::Ping, b"7", 500);
    first.send(ToServer, Opcode::Pong, b"7", 512);
    first.send(ToClient, Opcode::Binary, &[0x08, 0x96, 0x01, 0xff, b'o', b'k'], 700);
    first.bytes(ToClient, &[0x01, 3, b'h', b'a', b'l', 0x80, 1, b'f'], at(1200));
    first.bytes(ToClient, &[0x83, 0], at(1300));
    let mut second = Session::new("c2");
    second.open("/chat?room=7", ACCEPTED, 900);
    second.send(ToServer, Opcode::Text, "grüezi 水".as_bytes(), 1000);
    second.send(ToClient, Opcode::Close, b"\x03\xe9restarting", 61_000);
    second.end(End::EndOfStream, 61_002);
    let mut third = Session::new("c3");
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\norigin is not listed";
    third.open("/admin", refusal, 1400);
    third.end(End::EndOfStream, 1500);
    let mut events = [first.events, second.events, third.events].concat();
    events.sort_by_key(|event| event.ts);
    events
}

/// A model on a terminal of memory.
pub(super) struct Shown {
    pub(super) model: Model,
    terminal: Terminal<TestBackend>,
}

impl Shown {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let title = "wss://shop.example/prices".to_owned();
        let about = About { title, is_live: true, ..About::default() };
        let terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory");
        Self { model: Model::new(about), terminal }
    }

    pub(super) fn story(columns: u16, rows: u16) -> Self {
        let mut shown = Self::new(columns, rows);
        shown.take(story());
        shown.text();
        shown
    }

    pub(super) fn take(&mut self, events: Vec<Event>) {
        let gathered = Gathered { events: events.into(), ..Gathered::default() };
        self.model.handle_gathered(gathered, at(62_000));
    }

    /// Each is one key, but for words in angle brackets.
    pub(super) fn keys(&mut self, keys: &str) -> Option<Ask> {
        let mut ask = None;
        let mut rest = keys;
        while let Some(first) = rest.chars().next() {
            let named = [
                ("<tab>", KeyCode::Tab),
                ("<enter>", KeyCode::Enter),
                ("<esc>", KeyCode::Esc),
                ("<up>", KeyCode::Up),
                ("<down>", KeyCode::Down),
                ("<pageup>", KeyCode::PageUp),
                ("<back>", KeyCode::Backspace),
            ];
            let found = named.into_iter().find(|(name, _)| rest.starts_with(name));
            let (taken, code) =
                found.map_or((first.len_utf8(), KeyCode::Char(first)), |(name, code)| (name.len(), code));
            rest = &rest[taken..];
            ask = self.model.handle_key(KeyEvent::new(code, KeyModifiers::NONE), at(62_000));
            // What is in sight is known when it has been drawn.
            self.text();
        }
        ask
    }

    pub(super) fn buffer(&mut self, colours: bool) -> Buffer {
        let model = &mut self.model;
        self.terminal.draw(|frame| draw(frame, model, colours, at(62_000))).expect("memory");
        self.terminal.backend().buffer().clone()
    }

    /// The rows, without the spaces at their ends.
    pub(super) fn text(&mut self) -> String {
        let buffer = self.buffer(false);
        let width = usize::from(buffer.area.width);
        let row = |cells: &[Cell]| {
            let (mut text, mut skip) = (String::new(), 0);
            for cell in cells {
                if skip == 0 {
                    text.push_str(cell.symbol());
                    skip = super::steady::width(cell.symbol());
                }
                skip = skip.saturating_sub(1);
            }
            text.trim_end().to_owned()
        };
        buffer.content().chunks(width).map(row).collect::<Vec<_>>().join("\n")
    }
}

fn message(conn: &str, number: u64, payload: &str) -> Event {
    let message = Message::new(Direction::ToClient, "text", Payload::whole(payload.as_bytes()));
    Event { ts: at(number), conn: Some(conn.into()), body: Body::Message(Box::new(message)) }
}

fn check(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The row with this text.
fn row<'t>(text: &'t str, part: &str) -> &'t str {
    text.lines().find(|row| row.contains(part)).unwrap_or_else(|| panic!("{part:?} is not in\n{text}"))
}

#[test]
fn all_panes_with_room() {
    let mut shown = Shown::story(120, 40);
    let text = shown.text();
    check(
        &text,
        &[
            "tidegate inspect wss://shop.example/prices ",
            "3 connections · 23 events",
            "  id   path           age ↑ msg ↓ msg  close│    #   time (UTC) way opcode   flags payload what it holds",
            "● c1   /prices     62.0 s     1     3       │    1 14:03:07.120 ↑   request",
            "○ c2   /chat?roo…  60.1 s     1     0 1001 !│",
            "✗ c3   /admin      100 ms     0     0    403│",
            "4 14:03:07.130 ↑   text     F···M    30 B {\"subscribe\":[",
            "↑   pong     F···M     1 B [12.0 ms after its Ping] 7",
            "continue F····     1 B [fragment 2, the last] f",
            "= whole            4 B [of 2 frames] half",
            "reserved F····     0 B ✗ a frame has the reserved o…",
            "[Handshake]  Header   Payload   Timing   Close",
            "✓ every requirement is met",
            "Cookie: sid=[hidden]",
            "? help  q quit",
        ],
    );
    assert!(!text.contains("secret"));
    let wide = Shown::story(200, 50).text();
    check(
        &wide,
        &[
            "state     id    path            age ↑ messages   bytes ↓ messages   bytes  close│",
            "#   time (UTC) direction   opcode       flags  payload  on wire what it holds",
            "○ closed  c2    /chat?room…  60.1 s          1    17 B          0    14 B 1001 !│",
            "14:03:07.130 ↑ to server text         F···M     30 B     36 B {",
        ],
    );
}

#[test]
fn one_pane_at_a_time_on_80_by_24() {
    let mut shown = Shown::story(80, 24);
    check(
        &shown.text(),
        &[" Connections  [Events of c1]  Detail of c1", "way opcode   flags payload on wire what it holds"],
    );
    shown.keys("<tab><tab>");
    check(
        &shown.text(),
        &[
            "[Connections]",
            "state     id    path",
            "↑ messages   bytes ↓ messages   bytes  close",
            "✗ refused c3 ",
        ],
    );
    shown.keys("<down><enter>");
    check(&shown.text(), &["[Events of c2]", "grüezi 水", "1001 going away \"restart"]);
    shown.keys("<up><up><up><enter>]]");
    let text = shown.text();
    check(
        &text,
        &["[Detail of event 5 of c2]", "[Close]", "1001 going away", "who was first      the server"],
    );
    check(
        &text,
        &["clean              no: not both sides sent a Close frame", "what to do         Come back later"],
    );
    shown.keys("<esc><esc>");
    assert_eq!(shown.model.pane, Pane::Connections);
    assert!(shown.text().lines().all(|row| super::steady::width(row) <= 80));
}

#[test]
fn little_room_and_less() {
    let mut shown = Shown::story(40, 10);
    check(
        &shown.text(),
        &["# way opcode   what it holds", "12 ↓   reserved ✗ a frame has the re…", "? help  q quit"],
    );
    for (columns, rows) in [(40, 10), (20, 5), (8, 3), (3, 2), (1, 1), (100, 24), (99, 24), (100, 9)] {
        let mut shown = Shown::story(columns, rows);
        for keys in ["kkk", "]]]]]", "?jG", "?", "/op:", "<esc>", "e", "<esc>", "<tab>jkG", "<tab>g", "x"] {
            shown.keys(keys);
        }
    }
}

#[test]
fn details_of_an_event() {
    let mut shown = Shown::story(120, 40);
    // The first that is opened shows what it holds.
    shown.keys("kkkkkkkk");
    assert_eq!((shown.model.opened, shown.model.tab), (Some(5), Tab::Payload));
    check(&shown.text(), &["93 B; JSON, laid out", "\n  \"price\": 4.20,", "    \"zurich\": 12,"]);
    shown.keys("x");
    check(
        &shown.text(),
        &["93 B; bytes", "000000  7b 22 69 74 65 6d 22 3a  22 74 65 61 22 2c 22 70  {\"item\":\"tea\",\"p"],
    );
    shown.keys("[");
    check(
        &shown.text(),
        &["1... ....  FIN       1  the last fragment", "on the wire        2 of header + 93 = 95 B"],
    );
    shown.keys("jj");
    assert_eq!(shown.model.opened, Some(7));
    shown.keys("]]");
    check(
        &shown.text(),
        &["Ping to Pong       12.0 ms the last time, of 1 answer", "since its Ping     12.0 ms"],
    );
    shown.keys("G[[");
    check(
        &shown.text(),
        &["✗ a frame has the reserved opcode 0x3 (RFC 6455, section 5.2; answered with 1002)"],
    );
    shown.keys("h");
    assert_eq!(shown.model.tab, Tab::Handshake);
    shown.keys("t");
    check(row(&shown.text(), "[12.0 ms after"), &["512 ms ↑   pong"]);
    shown.keys("t");
    check(row(&shown.text(), "[12.0 ms after"), &["12.0 ms ↑   pong"]);
}

#[test]
fn a_refusal_says_what_is_broken() {
    let mut shown = Shown::story(120, 40);
    shown.keys("<tab><tab>jj");
    check(
        &shown.text(),
        &[
            "✗ 1 requirement broken",
            "Events of c3",
            "✗ 1 broken, see h  HTTP/1.1 …",
            "1006: it was never open",
        ],
    );
    shown.keys("<tab><tab>G");
    check(
        &shown.text(),
        &[
            "✗ status 101 of HTTP/1.1: HTTP/1.1 403 Forbidden",
            "to mend it: the Origin",
            "origin is not listed",
        ],
    );
}

#[test]
fn the_newest_are_followed_and_what_is_opened_stays() {
    let mut shown = Shown::new(80, 24);
    let some = |from: u64, to: u64| (from..to).map(|at| message("a", at, &format!("number {at}."))).collect();
    shown.take(some(0, 100));
    check(&shown.text(), &["number 99."]);
    shown.take(some(100, 200));
    check(&shown.text(), &["number 199."]);
    // Whoever goes up stays there.
    shown.keys("kk");
    assert_eq!(shown.model.opened, Some(199));
    shown.take(some(200, 250));
    check(&shown.text(), &["number 199.", "50 more below (G)"]);
    assert_eq!(shown.model.opened, Some(199));
    // Down to the end follows again, and what is opened does not move by itself.
    shown.keys("G");
    assert_eq!(shown.model.opened, Some(250));
    shown.take(some(250, 300));
    check(&shown.text(), &["number 299."]);
    assert_eq!(shown.model.opened, Some(250));
    // It is out of sight now: up goes to what is seen.
    shown.keys("k");
    assert_eq!(shown.model.opened, Some(300));
    shown.keys("g");
    assert_eq!(shown.model.opened, Some(1));
    check(&shown.text(), &["number 0."]);
    shown.keys("<pageup>j");
    assert_eq!(shown.model.opened, Some(2));
}

#[test]
fn a_recording_is_read_from_its_beginning() {
    let about = About { title: "a.jsonl".to_owned(), ..About::default() };
    let mut shown = Shown::new(80, 24);
    shown.model = Model::new(about);
    shown.take((0..100).map(|at| message("a", at, &format!("number {at}."))).collect());
    check(&shown.text(), &["number 0.", "more below (G)"]);
    shown.keys("j");
    assert_eq!(shown.model.opened, Some(1));
}

#[test]
fn what_is_opened_may_be_let_go() {
    let mut shown = Shown::new(120, 40);
    shown.take((0..50).map(|at| message("a", at, "x")).collect());
    shown.keys("kg");
    shown.take((0..10_020).map(|at| message("a", at, "y")).collect());
    let text = shown.text();
    check(&text, &["70 older let go", "Events of a, 70 older let go", "No event is opened"]);
    shown.keys("j");
    assert!(shown.model.opened.is_some_and(|number| number > 70));
}

#[test]
fn pausing_holds_the_screen_and_counts() {
    let mut shown = Shown::story(120, 40);
    shown.keys(" ");
    let before = shown.text();
    check(&before, &["PAUSED, 0 new"]);
    shown.take((0..137).map(|at| message("c9", at, "later")).collect());
    let text = shown.text();
    check(&text, &["PAUSED, 137 new"]);
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), before.lines().skip(1).collect::<Vec<_>>());
    shown.take((0..25_000).map(|at| message("c9", at, "later")).collect());
    check(&shown.text(), &["PAUSED, 25137 new", "5137 LOST"]);
    shown.keys(" ");
    check(&shown.text(), &["4 connections", "5137 LOST"]);
    assert!(!shown.text().contains("PAUSED"));
}

#[test]
fn a_filter_is_typed_and_its_fault_has_a_column() {
    let mut shown = Shown::story(80, 24);
    shown.keys("/op:tex");
    let text = shown.text();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[22], "filter > op:tex");
    assert!(rows[23].contains("column 4: one of text, binary"), "{text}");
    // What is wrong cannot be entered.
    shown.keys("<enter>");
    assert!(shown.model.typing.is_some());
    shown.keys("t dir:in<enter>");
    let text = shown.text();
    check(
        &text,
        &["Events of c1, 3 of 12 by the filter", "filter op:text dir:s2c  ? help", "[fragment 1] hal"],
    );
    assert!(!text.contains("request"), "{text}");
    shown.keys("/");
    check(&shown.text(), &["filter > op:text dir:s2c"]);
    shown.keys("<esc>");
    // Of connections those are listed that have something to show, and the chosen one.
    shown.keys("/ -path:/prices code:1001<enter><tab><tab>");
    let text = shown.text();
    check(&text, &["c1 ", "Connections"]);
    assert!(!text.contains("c3 "), "{text}");
}

#[test]
fn an_export_asks_for_a_name_with_a_form() {
    let mut shown = Shown::story(80, 24);
    shown.keys("e");
    check(&shown.text(), &["export to > inspected.jsonl", ".jsonl loses nothing"]);
    shown.keys("x");
    check(&shown.text(), &["end the name with .jsonl, .har or .pcapng"]);
    assert_eq!(shown.keys("<enter>"), None);
    shown.keys("<back>");
    assert_eq!(shown.keys("<enter>"), Some(Ask::Export("inspected.jsonl".into())));
    shown.model.say("wrote it".to_owned());
    check(&shown.text(), &["wrote it"]);
    shown.keys("j");
    assert!(!shown.text().contains("wrote it"));
}

#[test]
fn keys_for_the_window() {
    let mut shown = Shown::story(80, 24);
    let control = |letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    shown.keys("/");
    assert_eq!(shown.model.handle_key(control('c'), at(0)), Some(Ask::Interrupt), "whatever is typed");
    assert_eq!(shown.model.handle_key(control('z'), at(0)), Some(Ask::Suspend));
    assert_eq!(shown.keys("q"), None, "it is a letter here");
    shown.keys("<esc>?");
    check(&shown.text(), &["Keys", "Tab, Shift-Tab", "Escape back"]);
    shown.keys("G");
    check(&shown.text(), &["What is held"]);
    assert_eq!(shown.keys("q"), None, "the legend ends first");
    assert_eq!(shown.keys("q"), Some(Ask::Leave));
}

#[test]
fn before_anything_happens_it_says_what_to_do() {
    let mut shown = Shown::new(80, 24);
    check(&shown.text(), &["Nothing has happened yet."]);
    let gathered = Gathered { address: Some("ws://127.0.0.1:4033/x".to_owned()), ..Gathered::default() };
    shown.model.handle_gathered(gathered, at(0));
    check(&shown.text(), &["Nobody has connected yet.", "  tidegate connect ws://127.0.0.1:4033/x"]);
    let gathered = Gathered {
        words: vec!["one".to_owned(), "\u{1b}[2Jtwo".to_owned()],
        ended: Some("that is all.".to_owned()),
        lost: 3,
        ..Gathered::default()
    };
    shown.model.handle_gathered(gathered, at(0));
    check(&shown.text(), &["3 LOST", "\\u{1b}[2Jtwo"]);
}

#[test]
fn colours_have_words_beside_them() {
    let mut shown = Shown::story(120, 40);
    let plain = shown.buffer(false);
    assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let coloured = shown.buffer(true);
    assert!(coloured.content().iter().any(|cell| cell.fg == Color::Red));
    let symbols =
        |buffer: &Buffer| buffer.content().iter().map(|it| it.symbol().to_owned()).collect::<Vec<_>>();
    assert_eq!(symbols(&plain), symbols(&coloured));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_is_sent_is_harmless_and_keeps_its_place(
        text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200),
        keys in "[jkGgx\\[\\]th ]{0,12}", wide: bool
    ) {
        let (columns, rows) = if wide { (120, 40) } else { (60, 16) };
        let mut shown = Shown::new(columns, rows);
        let mut session = Session::new(&text);
        session.open(&text.replace(['\r', '\n'], ""), ACCEPTED, 0);
        session.send(Direction::ToClient, Opcode::Text, text.as_bytes(), 1);
        session.send(Direction::ToClient, Opcode::Binary, &bytes, 2);
        session.bytes(Direction::ToClient, &bytes, at(3));
        session.end(End::Reset, 4);
        shown.model.about.title = text.clone();
        shown.take(session.events);
        shown.keys(&keys);
        let buffer = shown.buffer(true);
        for row in buffer.content().chunks(columns.into()) {
            let mut at = 0;
            while at < row.len() {
                let symbol = row[at].symbol();
                prop_assert_eq!(escape(symbol), symbol);
                at += super::steady::width(symbol).max(1);
            }
            prop_assert_eq!(at, row.len());
        }
    }
}
