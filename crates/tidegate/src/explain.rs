//! `tidegate explain WHAT`: what is on the wire, in plain words.
//!
//! The words are the inspector's, but for the gateway's own error codes, which are explained here.

use std::io::Write;

use tidegate_inspect::words::known;
use tidegate_inspect::words::{self, Explanation};
use tidegate_protocol::ErrorCode;

use crate::arguments::Explain;
use crate::exit::{Exit, Failure};
use crate::terminal::escape;

pub(crate) fn run(arguments: &Explain) -> Result<Exit, Failure> {
    let what = arguments.what.join(" ");
    let text = match what.trim() {
        "" => listing(),
        name => explanation(name)?.to_string(),
    };
    // A reader that has seen enough is no failure.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    Ok(Exit::Done)
}

fn listing() -> String {
    let codes: Vec<&str> = ErrorCode::ALL.into_iter().map(ErrorCode::as_str).collect();
    format!("{}\n\ncodes of `error`: {}", words::listing(), codes.join(", "))
}

fn explanation(what: &str) -> Result<Explanation, Failure> {
    if let Some(explanation) = own(what) {
        return Ok(explanation);
    }
    words::explain(what).map_err(|mut unknown| {
        let codes = ErrorCode::ALL.into_iter().map(ErrorCode::as_str);
        unknown.near.extend(words::near_among(&what.to_ascii_lowercase(), codes));
        Failure::of(known::NOTHING_KNOWN, format!("{}: {unknown}", escape(what)))
            .mend("tidegate explain alone lists what it knows; ask for such as TG-2101, 1006 or sec-websocket-accept")
    })
}

/// One of the gateway's error codes.
fn own(what: &str) -> Option<Explanation> {
    let code = ErrorCode::ALL.into_iter().find(|code| what.eq_ignore_ascii_case(code.as_str()))?;
    let retry = match code.retry() {
        true => "The same may succeed later; the error says `\"retry\":true`.",
        false => "The same again gives the same error.",
    };
    Some(Explanation {
        title: format!("error code {code}").into(),
        text: vec![meaning(code).into(), retry.into()],
        beware: None,
        section: "Tidegate, docs/protocol.md".into(),
    })
}

fn meaning(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Upstream => {
            "The server behind the gateway does not answer, or answers what cannot be published. Clients stay connected and \
             are told when it is well again. `GET /channels/NAME` on the admin listener has its last error."
        }
        ErrorCode::Unauthorized => "A token is missing, expired or refused. Get a new one.",
        ErrorCode::Forbidden => {
            "The route, or the token, does not allow it: see `subscribe` and `publish` of the route."
        }
        ErrorCode::NotFound => {
            "No route matches the channel's path: `tidegate check FILE` prints the routes."
        }
        ErrorCode::BadRequest => "The command cannot be read; the message says where.",
        ErrorCode::TooLarge => "More bytes than a limit allows; the message names the limit.",
        ErrorCode::RateLimited => "Too many in too short a time: wait, and send less.",
        ErrorCode::Limit => "A limit on numbers is reached; the message names the key to raise.",
        ErrorCode::Unrecoverable => {
            "What was published after the position is no longer there, or never was. The newest document follows where there \
             is one; go on from its position."
        }
        ErrorCode::Internal => "The gateway's own fault; its log says more.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_of_the_gateway_has_words() {
        for code in ErrorCode::ALL {
            let text = own(code.as_str()).expect("an explanation").to_string();
            assert!(text.contains(code.as_str()));
            assert_eq!(text.contains("`\"retry\":true`"), code.retry(), "{text}");
        }
        assert_eq!(own("1006"), None);
    }

    #[test]
    fn every_number_is_explained_with_what_and_why_and_what_next() {
        for known in known::all() {
            let text = explanation(&known.tag.to_ascii_lowercase()).expect("an explanation").to_string();
            for part in [known.tag, known.name, "\n\nWhy: ", "\n\nNext: "] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_a_usage_error_that_names_near_ones() {
        for (what, near) in
            [("upstraem", "upstream"), ("maks", "mask"), ("TG-2100", "TG-2101"), ("keepalives", "keepalive")]
        {
            let failure = explanation(what).expect_err(what);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.what.contains(near), "{}", failure.what);
        }
    }
}
