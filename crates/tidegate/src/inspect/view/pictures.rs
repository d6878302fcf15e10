//! Pictures of the view for the documentation: a screen of memory as SVG, text and colours and nothing else.
//!
//! The test compares them with those in `docs/pictures`; with TIDEGATE_PICTURES=write it makes them. What they show is
//! the story that other tests tell, at times that do not change.

use std::fmt::Write;
use std::path::Path;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::steady::width;
use super::tests::Shown;

/// Pixels of a column and a row.
const COLUMN: f64 = 8.4;
const ROW: usize = 18;
const MARGIN: usize = 12;

const PAPER: &str = "#ffffff";
const INK: &str = "#1f2328";

/// The screen on light ground, a `text` for each run of cells that look alike.
fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let (across, down) = (x(columns) + MARGIN as f64, rows * ROW + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {across:.1} {down}\" font-family=\"ui-monospace, \
         'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{PAPER}\" stroke=\"#d0d7de\"/>\n"
    );
    for (row, cells) in buffer.content().chunks(columns).enumerate() {
        let mut begin = 0;
        while begin < columns {
            let alike = |cell: &&Cell| cell.fg == cells[begin].fg && cell.modifier == cells[begin].modifier;
            let end = begin + cells[begin..].iter().take_while(alike).count();
            run(&cells[begin..end], begin, row, &mut svg);
            begin = end;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn run(cells: &[Cell], column: usize, row: usize, svg: &mut String) {
    let text: String = cells.iter().map(Cell::symbol).collect();
    let is_reversed = cells[0].modifier.contains(Modifier::REVERSED);
    let is_underlined = cells[0].modifier.contains(Modifier::UNDERLINED);
    if text.trim().is_empty() && !is_reversed && !is_underlined {
        return;
    }
    let colour = colour(cells[0].fg);
    let (left, top, across) = (x(column), row * ROW + MARGIN, x(column + cells.len()) - x(column));
    let mut attributes = String::new();
    if cells[0].modifier.contains(Modifier::BOLD) {
        attributes.push_str(" font-weight=\"bold\"");
    }
    if cells[0].modifier.contains(Modifier::DIM) && !is_reversed {
        attributes.push_str(" fill-opacity=\"0.62\"");
    }
    if is_underlined {
        attributes.push_str(" text-decoration=\"underline\"");
    }
    if is_reversed {
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{across:.1}\" height=\"{ROW}\" fill=\"{colour}\"/>"
        );
    }
    let fill = if is_reversed { PAPER } else { colour };
    let shown = text.trim_end();
    let length = (x(width(shown)) - x(0)).max(COLUMN);
    let text = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{}\" textLength=\"{length:.1}\" xml:space=\"preserve\" fill=\"{fill}\"{attributes}>{text}</text>",
        top + 13
    );
}

fn x(column: usize) -> f64 {
    MARGIN as f64 + column as f64 * COLUMN
}

/// Colours that can be read on light ground.
fn colour(colour: Color) -> &'static str {
    match colour {
        Color::Cyan => "#0b6e7f",
        Color::Green => "#1a7f37",
        Color::Blue => "#0550ae",
        Color::Yellow => "#7d4e00",
        Color::Red => "#b3261e",
        _ => INK,
    }
}

#[test]
fn pictures_are_those_of_the_documentation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
    for (name, keys, columns, rows) in [
        ("inspect-payload", "kkkkkkkk", 120, 34),
        ("inspect-handshake", "<tab><tab>jj<tab><tab>G", 120, 34),
        ("inspect-close", "<tab><tab>j<enter>kkk]]", 120, 34),
        ("inspect-small", "kkkkkkkk", 80, 24),
        ("inspect-legend", "?", 120, 48),
    ] {
        let mut shown = Shown::story(columns, rows);
        shown.keys(keys);
        let svg = svg(&shown.buffer(true));
        let file = folder.join(format!("{name}.svg"));
        if std::env::var_os("TIDEGATE_PICTURES").is_some_and(|it| it == "write") {
            std::fs::write(&file, &svg).expect("a picture");
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == svg, "{name} is another picture: TIDEGATE_PICTURES=write makes it anew");
    }
}
