//! The screen: what is looked at on top, panes in between, keys or what is typed below.
//!
//! With room all panes are seen at once, else the one where the keys go.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use tidegate_inspect::timestamp::Timestamp;

use super::amounts::counted;
use super::detail;
use super::legend;
use super::lists;
use super::model::{Model, Pane, Payload, Tab};
use super::pen::{Line, Pen, Tone, wrapped};
use super::typing::{Purpose, Typing};

/// From this size on all panes are seen at once.
const WIDE_MIN: (u16, u16) = (100, 24);

/// Columns of the connections beside their events.
const CONNECTIONS_COLUMNS: u16 = 44;

/// Rows of what there is to say.
const WORDS_MAX_ROWS: usize = 3;

/// Draws everything; leaves behind what fitted.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, colours: bool, now: Timestamp) {
    let area = frame.area();
    model.fitted.is_wide = area.width >= WIDE_MIN.0 && area.height >= WIDE_MIN.1;
    let mut pen = Pen::new(frame.buffer_mut(), colours);
    if area.height < 3 + WORDS_MAX_ROWS as u16 || area.width < 12 {
        pen.text(area.x, area.y, area.right(), "too small", Tone::Plain);
        return;
    }
    title(&mut pen, Rect { height: 1, ..area }, model);
    let words = words(model, area.width);
    let below = if model.typing.is_some() { 2 } else { 1 + words.len() as u16 };
    let inner = Rect { y: area.y + 1, height: area.height - 1 - below, ..area };
    if model.legend_top.is_some() {
        legend(&mut pen, inner, model);
    } else if model.held.connections().is_empty() {
        nothing_yet(&mut pen, inner, model);
    } else if model.fitted.is_wide {
        all_panes(&mut pen, inner, model, now);
    } else {
        one_pane(&mut pen, inner, model, now);
    }
    let last = Rect { y: area.bottom() - below, height: below, ..area };
    let cursor = match &model.typing {
        Some(typing) => Some(typed(&mut pen, last, typing)),
        None => {
            keys(&mut pen, last, model, &words);
            None
        }
    };
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// What is looked at, where clients connect, and how much there is.
fn title(pen: &mut Pen<'_>, row: Rect, model: &Model) {
    let mut facts = vec![counted(model.held.connections().len() as u64, "connection")];
    facts.push(counted(model.held.events as u64, "event"));
    if model.held.let_go + model.held.connections_let_go > 0 {
        facts.push(format!("{} older let go", model.held.let_go));
    }
    if model.lost > 0 {
        facts.push(format!("{} LOST", model.lost));
    }
    if let Some(waiting) = &model.waiting {
        facts.push(format!("PAUSED, {} new", waiting.count));
    }
    let facts = facts.join(" · ");
    let taken = u16::try_from(facts.chars().count()).unwrap_or(u16::MAX);
    let end = row.right().saturating_sub(taken.saturating_add(2)).max(row.x);
    let x = pen.text(row.x, row.y, end, "tidegate inspect ", Tone::Strong);
    let x = pen.text(x, row.y, end, &model.about.title, Tone::Plain);
    if let Some(address) = &model.address {
        pen.text(x, row.y, end, &format!("  for clients at {address}"), Tone::Dim);
    }
    pen.right(row.x, row.y, row.right(), &facts, Tone::Plain);
}

fn nothing_yet(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let mut lines = vec![Line::new()];
    match (&model.address, &model.ended) {
        (_, Some(_)) => lines.push(vec![(Tone::Plain, "Nothing happened.".to_owned())]),
        (Some(address), None) => {
            let text = "Nobody has connected yet. Connect to this instead of the server:".to_owned();
            lines.push(vec![(Tone::Plain, text)]);
            lines.push(Line::new());
            lines.push(vec![(Tone::Strong, format!("  tidegate connect {address}"))]);
        }
        (None, None) => lines.push(vec![(Tone::Plain, "Nothing has happened yet.".to_owned())]),
    }
    text(pen, Rect { x: area.x + 1, width: area.width - 1, ..area }, &lines, 0);
}

fn one_pane(pen: &mut Pen<'_>, area: Rect, model: &mut Model, now: Timestamp) {
    let mut x = area.x;
    for pane in Pane::ALL {
        let name = match pane {
            Pane::Connections => "Connections".to_owned(),
            pane => pane_title(model, pane),
        };
        x = tab(pen, x, area, &name, pane == model.pane);
    }
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    match model.pane {
        Pane::Connections => lists::connections(pen, inner, model, now),
        Pane::Events => lists::events(pen, inner, model),
        Pane::Detail => detail(pen, inner, model, now),
    }
}

fn all_panes(pen: &mut Pen<'_>, area: Rect, model: &mut Model, now: Timestamp) {
    let detail_rows = (area.height * 2 / 5).max(8);
    let upper = Rect { height: area.height - detail_rows, ..area };
    let columns = if area.width >= 180 { 80 } else { CONNECTIONS_COLUMNS };
    let left = Rect { width: columns, ..upper };
    let right = Rect { x: upper.x + columns + 1, width: upper.width - columns - 1, ..upper };
    let lower = Rect { y: upper.bottom(), height: detail_rows, ..area };
    let inner = |area: Rect| Rect { y: area.y + 1, height: area.height - 1, ..area };
    bar(pen, left, model, Pane::Connections);
    lists::connections(pen, inner(left), model, now);
    for y in right.y..right.bottom() {
        pen.text(right.x - 1, y, right.x, "│", Tone::Dim);
    }
    bar(pen, right, model, Pane::Events);
    lists::events(pen, inner(right), model);
    bar(pen, lower, model, Pane::Detail);
    detail(pen, inner(lower), model, now);
}

/// The line above a pane; the one where the keys go has a mark.
fn bar(pen: &mut Pen<'_>, area: Rect, model: &Model, pane: Pane) {
    let rule: String = "─".repeat(area.width.into());
    pen.text(area.x, area.y, area.right(), &rule, Tone::Dim);
    let title = pane_title(model, pane);
    let has_keys = model.pane == pane;
    let title = if has_keys { format!(" ▶ {title} ") } else { format!(" {title} ") };
    let end = pen.text(area.x + 1, area.y, area.right(), &title, Tone::Strong);
    if has_keys {
        pen.mark(Rect { x: area.x + 1, width: end - area.x - 1, height: 1, ..area }, true);
    }
}

fn pane_title(model: &Model, pane: Pane) -> String {
    let name = model.connection().map_or("-", |connection| connection.name());
    match pane {
        Pane::Connections => match (model.about.filter.is_empty(), model.listed().len()) {
            (true, _) => "Connections".to_owned(),
            (false, listed) => format!("Connections, {listed} with what the filter shows"),
        },
        Pane::Events => {
            let (rows, all) = (model.rows(), model.connection().map_or(0, |it| it.rows.len()));
            let let_go = model.connection().map_or(0, |it| it.let_go);
            let mut title = format!("Events of {name}");
            if !model.about.filter.is_empty() {
                title.push_str(&format!(", {} of {all} by the filter", rows.len()));
            }
            if let_go > 0 {
                title.push_str(&format!(", {let_go} older let go"));
            }
            let below = model.below(&rows);
            if below > 0 {
                title.push_str(&format!(", {below} more below (G)"));
            }
            title
        }
        Pane::Detail => match model.opened {
            Some(number) => format!("Detail of event {number} of {name}"),
            None => format!("Detail of {name}"),
        },
    }
}

fn tab(pen: &mut Pen<'_>, x: u16, row: Rect, name: &str, is_current: bool) -> u16 {
    let text = if is_current { format!("[{name}]") } else { format!(" {name} ") };
    let end = pen.text(x, row.y, row.right(), &text, if is_current { Tone::Strong } else { Tone::Dim });
    end + 1
}

/// The tabs, and what the current one says.
fn detail(pen: &mut Pen<'_>, area: Rect, model: &mut Model, now: Timestamp) {
    let mut x = area.x;
    for it in Tab::ALL {
        x = tab(pen, x, area, it.word(), it == model.tab);
    }
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let rows = said(model, inner.width, now);
    let top = model.detail_top.min(rows.len().saturating_sub(inner.height.into()));
    model.fitted.detail = inner.height.into();
    model.fitted.detail_lines = rows.len();
    model.detail_top = top;
    let behind = rows.len().saturating_sub(top + usize::from(inner.height));
    if top > 0 || behind > 0 {
        let text = format!("{top} lines above, {behind} below");
        pen.right(x, area.y, area.right(), &text, Tone::Dim);
    }
    show(pen, inner, &rows, top);
    if let (Tab::Payload, Some(key)) = (model.tab, payload_key(model, inner.width)) {
        model.laid_out = Some((key, rows));
    }
}

/// What the tab says, broken to fit.
fn said(model: &mut Model, width: u16, now: Timestamp) -> Vec<Line> {
    let key = payload_key(model, width);
    if let Some((_, rows)) = model.laid_out.take_if(|it| Some(it.0) == key && model.tab == Tab::Payload) {
        return rows;
    }
    let Some(connection) = model.connection() else { return Vec::new() };
    let row = model.opened_row();
    let lines = match model.tab {
        Tab::Handshake => detail::handshake(connection),
        Tab::Header => detail::header(row),
        Tab::Payload => detail::payload(row, model.as_hex),
        Tab::Timing => detail::timing(connection, row, lists::age(connection, now)),
        Tab::Close => detail::close(connection),
    };
    rows(&lines, width)
}

/// None if no event is opened or it was let go.
fn payload_key(model: &Model, columns: u16) -> Option<Payload> {
    let (connection, number) = (model.chosen?, model.opened_row()?.number);
    Some(Payload { connection, number, as_hex: model.as_hex, columns })
}

fn legend(pen: &mut Pen<'_>, area: Rect, model: &mut Model) {
    let rows = rows(&legend::lines(), area.width);
    let top = model.legend_top.unwrap_or_default().min(rows.len().saturating_sub(area.height.into()));
    model.legend_top = Some(top);
    model.fitted.legend_lines = rows.len();
    show(pen, area, &rows, top);
}

fn rows(lines: &[Line], width: u16) -> Vec<Line> {
    let mut rows = Vec::new();
    lines.iter().for_each(|line| wrapped(line, width.into(), &mut rows));
    rows
}

fn text(pen: &mut Pen<'_>, area: Rect, lines: &[Line], top: usize) {
    show(pen, area, &rows(lines, area.width), top);
}

fn show(pen: &mut Pen<'_>, area: Rect, rows: &[Line], top: usize) {
    for (y, row) in (area.y..area.bottom()).zip(rows.iter().skip(top)) {
        pen.line(area.x, y, area.right(), row);
    }
}

/// What there is to say, in few rows.
fn words(model: &Model, width: u16) -> Vec<Line> {
    let Some(words) = model.words.as_ref().or(model.ended.as_ref()) else { return Vec::new() };
    let mut rows = rows(&[vec![(Tone::Strong, words.clone())]], width);
    rows.truncate(WORDS_MAX_ROWS);
    rows
}

/// What there is to say, and what can be done.
fn keys(pen: &mut Pen<'_>, area: Rect, model: &Model, words: &[Line]) {
    show(pen, area, words, 0);
    let row = Rect { y: area.bottom() - 1, ..area };
    let mut x = row.x;
    if !model.about.filter.is_empty() && model.legend_top.is_none() {
        x = pen.text(x, row.y, row.right() / 2, &format!("filter {}", model.about.filter), Tone::Key) + 2;
    }
    let keys: &[&str] = match (model.legend_top, model.pane) {
        (Some(_), _) => &["Escape back", "↓ ↑ more"],
        (None, Pane::Connections) => &[
            "? help",
            "q quit",
            "↓ ↑ choose",
            "Enter events",
            "Tab pane",
            "/ filter",
            "space pause",
            "e export",
        ],
        (None, Pane::Events) => &[
            "? help",
            "q quit",
            "↓ ↑ open",
            "Enter detail",
            "Tab pane",
            "/ filter",
            "space pause",
            "[ ] tab",
            "x hex",
            "t times",
            "e export",
        ],
        (None, Pane::Detail) => &[
            "? help",
            "q quit",
            "[ ] tab",
            "↓ ↑ scroll",
            "x hex",
            "Escape back",
            "Tab pane",
            "/ filter",
            "space pause",
        ],
    };
    for key in keys {
        let end = x + u16::try_from(key.chars().count()).unwrap_or(u16::MAX);
        if end > row.right() {
            return;
        }
        x = pen.text(x, row.y, end, key, Tone::Dim) + 2;
    }
}

/// What is typed, below it what is wrong; gives the cursor's place.
fn typed(pen: &mut Pen<'_>, area: Rect, typing: &Typing) -> Position {
    let name = match typing.purpose {
        Purpose::Filter => "filter ",
        Purpose::Export => "export to ",
    };
    let x = pen.text(area.x, area.y, area.right(), name, Tone::Strong);
    let view = typing.view(area.right().saturating_sub(x).into());
    pen.text(x, area.y, area.right(), &view.text, Tone::Plain);
    let cursor = x + u16::try_from(view.cursor).unwrap_or(u16::MAX);
    match &typing.wrong {
        Some((what, before)) => {
            // Behind the prompt of two columns.
            let column = u16::try_from(before + 2).unwrap_or(u16::MAX).saturating_add(x);
            let room = area.right().saturating_sub(column);
            match usize::from(room) > what.chars().count() + 2 {
                true => pen.text(column, area.y + 1, area.right(), &format!("^ {what}"), Tone::Error),
                false => pen.text(area.x, area.y + 1, area.right(), what, Tone::Error),
            };
        }
        None => {
            let hint = match typing.purpose {
                Purpose::Filter => {
                    "Enter applies it, Escape does not: dir:in op:text,close -op:ping len:>1k path:/x* has:error \"word\""
                }
                Purpose::Export => {
                    "Enter writes it, Escape does not; .jsonl loses nothing, .har and .pcapng are for others"
                }
            };
            pen.text(area.x, area.y + 1, area.right(), hint, Tone::Dim);
        }
    }
    Position { x: cursor.min(area.right() - 1), y: area.y }
}
