//! The head of an HTTP message as it was on the wire, as an event: order and case of letters are kept, broken lines
//! too, for it is them that one looks for.
//!
//! It judges nothing; that is `check`'s. How long a head may be is bounded by who collects it.

use crate::event::{Direction, Handshake};
use crate::payload::Payload;
use crate::secrets::{hide_in_field, hide_in_target};

/// Whether credentials are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secrets {
    /// A word stands in their place.
    #[default]
    Hide,
    /// They are shown.
    Show,
}

/// The head of HTTP/1.1 in these bytes, its empty line included or not.
#[must_use]
pub fn of_http1(dir: Direction, bytes: &[u8], secrets: Secrets) -> Handshake {
    let mut lines = lines(bytes);
    let start = lines.next().unwrap_or_default();
    let headers = lines.map(|line| field(&line, 0)).collect();
    let mut head = Handshake { start, headers, ..empty(dir, "1.1") };
    head.status = status(&head.start).filter(|_| dir == Direction::ToClient);
    if http1_bytes(&head) != bytes {
        head.raw = Some(Payload::whole(bytes));
    }
    hidden(head, secrets)
}

/// The fields of HTTP/2, a line each and pseudo-headers first; so they stand for people, for on the wire they are
/// compressed.
#[must_use]
pub fn of_http2(dir: Direction, lines_of_fields: &[u8], secrets: Secrets) -> Handshake {
    // The colon that begins a pseudo-header does not end its name.
    let headers = lines(lines_of_fields).map(|line| field(&line, 1)).collect();
    let mut head = Handshake { headers, ..empty(dir, "2") };
    head.status = head.header(":status").and_then(|status| status.parse().ok());
    hidden(head, secrets)
}

/// The same from fields that somebody parsed.
#[must_use]
pub fn of_fields(
    dir: Direction,
    http: &str,
    start: &str,
    fields: &[(String, Vec<u8>)],
    secrets: Secrets,
) -> Handshake {
    let text =
        |(name, value): &(String, Vec<u8>)| (name.clone(), String::from_utf8_lossy(value).into_owned());
    let mut head =
        Handshake { start: start.to_owned(), headers: fields.iter().map(text).collect(), ..empty(dir, http) };
    let status = status(start).or_else(|| head.header(":status").and_then(|status| status.parse().ok()));
    head.status = status.filter(|_| dir == Direction::ToClient);
    hidden(head, secrets)
}

/// The head's bytes as they were on the wire or, if something is hidden, as they would be with that in its place.
#[must_use]
pub fn http1_bytes(head: &Handshake) -> Vec<u8> {
    if let Some(raw) = &head.raw {
        return raw.bytes.clone();
    }
    let mut bytes = format!("{}\r\n", head.start);
    for (name, value) in &head.headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    bytes.into_bytes()
}

impl Handshake {
    /// The value of the first field with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = |(other, _): &&(String, String)| other.trim_end().eq_ignore_ascii_case(name);
        self.headers.iter().find(found).map(|(_, value)| value.as_str())
    }

    /// The values of all fields with this name.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        let found = move |(other, value): &'h (String, String)| {
            other.trim_end().eq_ignore_ascii_case(name).then_some(value.as_str())
        };
        self.headers.iter().filter_map(found)
    }

    /// Method and target of a request.
    #[must_use]
    pub fn request(&self) -> Option<(&str, &str)> {
        if self.http == "2" {
            return Some((self.header(":method")?, self.header(":path")?));
        }
        let mut words = self.start.split(' ');
        Some((words.next()?, words.next()?))
    }
}

impl Handshake {
    /// Puts a word where its secrets are, and lists where they were.
    pub fn hide_secrets(&mut self) {
        let shown = self.start.split(' ').map(hide_in_target).collect::<Vec<_>>().join(" ");
        if shown != self.start {
            self.start = shown;
            self.note_hidden("query".to_owned());
        }
        let mut names = Vec::new();
        for (name, value) in &mut self.headers {
            let shown = hide_in_field(name, value).into_owned();
            if shown != *value {
                *value = shown;
                names.push(name.clone());
            }
        }
        names.into_iter().for_each(|name| self.note_hidden(name));
        if !self.hidden.is_empty() {
            self.raw = None;
        }
    }

    fn note_hidden(&mut self, name: String) {
        if !self.hidden.contains(&name) {
            self.hidden.push(name);
        }
    }
}

fn empty(dir: Direction, http: &str) -> Handshake {
    Handshake {
        dir,
        http: http.to_owned(),
        start: String::new(),
        status: None,
        headers: Vec::new(),
        hidden: Vec::new(),
        raw: None,
        body: None,
    }
}

/// The lines up to the empty one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take_while(|line| !line.is_empty()).map(|line| String::from_utf8_lossy(line).into_owned())
}

/// Name and value; a line without a colon, or one that continues the line before, is a value without a name.
fn field(line: &str, name_min: usize) -> (String, String) {
    let is_white = |character| matches!(character, ' ' | '\t');
    let colon = line.bytes().skip(name_min).position(|byte| byte == b':').map(|at| at + name_min);
    match colon {
        Some(colon) if !line.starts_with(is_white) => {
            (line[..colon].to_owned(), line[colon + 1..].trim_matches(is_white).to_owned())
        }
        _ => (String::new(), line.to_owned()),
    }
}

/// The status in a status line.
fn status(start: &str) -> Option<u16> {
    let mut words = start.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

/// The same head, with its secrets or without.
fn hidden(mut head: Handshake, secrets: Secrets) -> Handshake {
    if secrets == Secrets::Hide {
        head.hide_secrets();
    }
    head
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] =
        b"GET /x?token=1&a=b HTTP/1.1\r\nhOST: h\r\nCookie: a=1\r\nX:  y \r\n folded\r\nnone\r\n\r\n";

    #[test]
    fn order_case_and_broken_lines_are_kept() {
        let head = of_http1(Direction::ToServer, REQUEST, Secrets::Show);
        let names: Vec<_> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(names, [("hOST", "h"), ("Cookie", "a=1"), ("X", "y"), ("", " folded"), ("", "none")]);
        assert_eq!((head.header("host"), head.request()), (Some("h"), Some(("GET", "/x?token=1&a=b"))));
        assert_eq!((http1_bytes(&head).as_slice(), head.raw.is_some()), (REQUEST, true));
    }

    #[test]
    fn secrets_are_hidden_and_named() {
        let head = of_http1(Direction::ToServer, REQUEST, Secrets::Hide);
        assert_eq!(head.start, "GET /x?token=[hidden]&a=b HTTP/1.1");
        assert_eq!((head.header("cookie"), &head.raw), (Some("a=[hidden]"), &None));
        assert_eq!(head.hidden, ["query", "Cookie"]);
    }

    #[test]
    fn an_answer_has_a_status() {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let head = of_http1(Direction::ToClient, answer, Secrets::Hide);
        assert_eq!((head.status, &head.raw), (Some(101), &None));
        assert_eq!(http1_bytes(&head), answer);
        assert_eq!(of_http1(Direction::ToClient, b"SSH-2.0-x\r\n", Secrets::Hide).status, None);
    }

    #[test]
    fn fields_of_http2() {
        let request =
            b":method: CONNECT\r\n:protocol: websocket\r\n:path: /x?key=1\r\nsec-websocket-version: 13\r\n";
        let head = of_http2(Direction::ToServer, request, Secrets::Hide);
        assert_eq!(head.request(), Some(("CONNECT", "/x?key=[hidden]")));
        assert_eq!(head.header(":protocol"), Some("websocket"));
        let answer = [(":status".to_owned(), b"200".to_vec())];
        assert_eq!(of_fields(Direction::ToClient, "2", "", &answer, Secrets::Hide).status, Some(200));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_as_they_were(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let head = of_http1(Direction::ToServer, &bytes, Secrets::Show);
            prop_assert_eq!(http1_bytes(&head), bytes.clone());
            let _ = of_http1(Direction::ToServer, &bytes, Secrets::Hide);
            let _ = of_http2(Direction::ToClient, &bytes, Secrets::Hide);
        }

        #[test]
        fn a_plain_head_needs_no_copy_of_its_bytes(
            fields in prop::collection::vec(("[A-Za-z-]{1,9}", "[!-~]{1,9}"), 0..5)
        ) {
            let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let bytes = format!("GET / HTTP/1.1\r\n{lines}\r\n");
            let head = of_http1(Direction::ToServer, bytes.as_bytes(), Secrets::Show);
            prop_assert_eq!(&head.raw, &None);
            prop_assert_eq!(http1_bytes(&head), bytes.into_bytes());
        }
    }
}
