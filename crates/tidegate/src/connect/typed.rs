//! What a person types: messages, and commands that begin with a slash.
//!
//! On a terminal only. From a pipe every line is a message, whatever it begins with.

use std::path::PathBuf;

use tidegate_inspect::header::from_hex;
use tidegate_websocket::CloseCode;

/// What `/help` says.
pub(super) const HELP: &str = "\
  /ping [TEXT]            send a Ping
  /close [CODE [REASON]]  begin the closing handshake, with 1000 unless another code is given
  /bin HEX                send bytes as a binary message, such as /bin de ad be ef
  /file PATH              send a file as one message, a text message if it is UTF-8
  /stats                  what went over this connection so far
  /headers                its handshake
  /filter [FILTER]        show only messages such as 'dir:in json:$.type==\"trade\"', or all again
  /save FILE              save what was seen so far as .jsonl, .har or .pcapng
  //TEXT                  send a message that begins with a slash
  end of input (Ctrl-D) or Ctrl-C ends the connection";

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed<'l> {
    Text(&'l str),
    Ping(&'l str),
    Close(CloseCode, &'l str),
    Binary(Vec<u8>),
    File(PathBuf),
    Stats,
    Headers,
    Filter(&'l str),
    Save(PathBuf),
    Help,
    /// Not a command; the text says why.
    Wrong(String),
}

impl<'l> Typed<'l> {
    pub(super) fn parse(line: &'l str) -> Self {
        let Some(command) = line.strip_prefix('/') else { return Self::Text(line) };
        if command.starts_with('/') {
            return Self::Text(command);
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "ping" => Self::Ping(rest),
            "close" => close(rest),
            "bin" => from_hex(rest).map_or_else(
                || Self::Wrong("/bin takes bytes in hex, such as /bin de ad be ef".to_owned()),
                Self::Binary,
            ),
            "file" if !rest.is_empty() => Self::File(rest.into()),
            "file" => Self::Wrong("/file takes a path".to_owned()),
            "stats" => Self::Stats,
            "headers" => Self::Headers,
            "filter" => Self::Filter(rest),
            "save" if !rest.is_empty() => Self::Save(rest.into()),
            "save" => Self::Wrong("/save takes a path that ends in .jsonl, .har or .pcapng".to_owned()),
            "help" => Self::Help,
            _ => Self::Wrong(format!("there is no command /{name}; /help lists them, // sends a slash")),
        }
    }
}

fn close(rest: &str) -> Typed<'_> {
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    if code.is_empty() {
        return Typed::Close(CloseCode::NORMAL, "");
    }
    match code.parse().map(CloseCode::new) {
        Ok(code) if code.is_allowed_on_wire() => Typed::Close(code, reason.trim_start()),
        _ => Typed::Wrong("a code that may be sent is 1000 to 1003, 1007 to 1014 or 3000 to 4999".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines() {
        for (line, typed) in [
            ("hello", Typed::Text("hello")),
            ("", Typed::Text("")),
            (" /ping", Typed::Text(" /ping")),
            ("//ping", Typed::Text("/ping")),
            ("/ping", Typed::Ping("")),
            ("/ping are you there", Typed::Ping("are you there")),
            ("/close", Typed::Close(CloseCode::NORMAL, "")),
            ("/close 4000 why  not", Typed::Close(CloseCode::new(4000), "why  not")),
            ("/bin DEad be  ef", Typed::Binary(vec![0xde, 0xad, 0xbe, 0xef])),
            ("/bin", Typed::Binary(Vec::new())),
            ("/file a b", Typed::File("a b".into())),
            ("/stats", Typed::Stats),
            ("/headers", Typed::Headers),
            ("/filter dir:in op:text", Typed::Filter("dir:in op:text")),
            ("/filter", Typed::Filter("")),
            ("/save a b.har", Typed::Save("a b.har".into())),
            ("/help", Typed::Help),
        ] {
            assert_eq!(Typed::parse(line), typed, "{line}");
        }
        for wrong in [
            "/",
            "/pong",
            "/close 1005",
            "/close x",
            "/bin abc",
            "/bin xy",
            "/file",
            "/file ",
            "/stat",
            "/save",
            "/Help",
        ] {
            assert!(matches!(Typed::parse(wrong), Typed::Wrong(_)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_read_as_they_are_written(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let written: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
            let line = format!("/bin {written}");
            prop_assert_eq!(Typed::parse(&line), Typed::Binary(bytes));
        }

        #[test]
        fn any_line_is_something(line in "\\PC{0,30}") {
            let typed = Typed::parse(&line);
            prop_assert_eq!(matches!(typed, Typed::Text(_)), !line.starts_with('/') || line.starts_with("//"));
        }

        #[test]
        fn any_text_can_be_sent(text in "[/ a-z\n]{0,12}") {
            let line = if text.starts_with('/') { format!("/{text}") } else { text.clone() };
            prop_assert_eq!(Typed::parse(&line), Typed::Text(&text));
        }

        #[test]
        fn a_code_and_its_reason_are_read_as_they_are_written(code in 3000..5000_u16, reason in "([a-z]+( [a-z]+)*)?") {
            let line = format!("/close {code} {reason}");
            prop_assert_eq!(Typed::parse(&line), Typed::Close(CloseCode::new(code), &reason));
        }
    }
}
