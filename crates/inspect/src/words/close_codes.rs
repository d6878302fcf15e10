//! Close codes: name, meaning, who may send them and what to do.
//!
//! Names and meanings are those of `tidegate-websocket`; what is here beside them is for who hunts a fault.

use tidegate_websocket::CloseCode;

use super::explanation::Explanation;

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseWords {
    /// The code.
    pub code: u16,
    /// The registered name.
    pub name: Option<&'static str>,
    /// One sentence.
    pub meaning: &'static str,
    /// Who may send it.
    pub sender: &'static str,
    /// What to do about it, where there is something to say.
    pub advice: Option<&'static str>,
}

/// What is known of a code.
#[must_use]
pub fn close_code(code: u16) -> CloseWords {
    let known = CloseCode::new(code);
    CloseWords {
        code,
        name: known.name().or_else(|| own_name(code)),
        meaning: own_meaning(code).unwrap_or_else(|| known.meaning()),
        sender: sender(code),
        advice: advice(code),
    }
}

pub(super) fn explanation(code: u16) -> Explanation {
    let words = close_code(code);
    let name = words.name.map(|name| format!(" {name}")).unwrap_or_default();
    let text = [Some(words.meaning), Some(words.sender), words.advice];
    Explanation {
        title: format!("close code {code}{name}").into(),
        text: text.into_iter().flatten().map(Into::into).collect(),
        beware: beware(code).map(Into::into),
        section: section(code).into(),
    }
}

fn sender(code: u16) -> &'static str {
    match code {
        1000..=1002 | 1007..=1009 | 1003 => "Either side may send it.",
        1005 | 1006 | 1015 => "Nobody may send it: an endpoint says it to its own application.",
        1010 => "Only a client sends it, for a server can refuse the handshake instead.",
        1011 => "A server sends it; by an erratum of the RFC a client may, too.",
        1012..=1014 => "A server sends it.",
        3000..=3999 => "Libraries and frameworks that registered it at IANA send it; pages may, too.",
        4000..=4999 => "Applications send it, pages among them.",
        _ => "Nobody may send it.",
    }
}

fn advice(code: u16) -> Option<&'static str> {
    Some(match code {
        1001 => "Come back later: the server restarts, or the page is gone and nobody is left to come back.",
        1002 => {
            "Look at the last frame of the side that did not send this: the inspector names its broken rule."
        }
        1003 => "Send the other kind of message: text for binary, or the other way round.",
        1005 => "Give close() a code where the connection is closed, and the other side learns why.",
        1006 => {
            "The network, a proxy or a process ended the connection. Look for a FIN or RST, for a time-out after silence \
             (60 s is nginx's proxy_read_timeout), for a crash, and in browsers for a handshake that was refused: pages \
             are told nothing else."
        }
        1007 => "Text messages are UTF-8: send bytes as binary messages.",
        1008 => "The reason says which policy; the server's log says more.",
        1009 => "Send less at once, or raise the other side's limit of message size.",
        1011 => "The server's log says what happened.",
        1012 => "Come back after a random delay, so that not all clients come at once.",
        1013 => "Come back later, and each time after a longer delay.",
        1014 => "Look at the server behind the gateway.",
        1015 => {
            "The certificate is not believed, or the TLS versions do not fit: look at it with openssl s_client."
        }
        4400 => "The reason says what was wrong with the request.",
        4401 => "Get a new token before coming back.",
        4403 => "Coming back the same way does not help.",
        4404 => "Look at the path, and at the routes that `tidegate check` prints.",
        4408 => "Answer Pings, and send what is awaited in time.",
        4409 => "Come back without a position and take the newest document.",
        4429 => "Come back later, and send less.",
        _ => return None,
    })
}

/// Names of the gateway's own codes.
fn own_name(code: u16) -> Option<&'static str> {
    Some(match code {
        4400 => "bad request",
        4401 => "credentials missing, expired or refused",
        4403 => "forbidden",
        4404 => "no such route",
        4408 => "time-out",
        4409 => "position unrecoverable",
        4429 => "rate limit",
        _ => return None,
    })
}

fn own_meaning(code: u16) -> Option<&'static str> {
    own_name(code)?;
    Some(
        "Private to the application; this is what Tidegate means by it, and another server may mean anything else.",
    )
}

fn beware(code: u16) -> Option<&'static str> {
    Some(match code {
        1000 => "1000 is no error. It is what a connection that has done its work ends with.",
        1005 => "the code is not in the Close frame; the frame had none.",
        1006 => "the server did not send 1006. It cannot: the code says that no Close frame came.",
        _ => return None,
    })
}

fn section(code: u16) -> &'static str {
    match code {
        1012..=1014 | 3000..=3999 => "IANA WebSocket Close Code Number Registry (RFC 6455, section 11.7)",
        4000..=4999 => "RFC 6455, section 7.4.2",
        1000..=1015 => "RFC 6455, section 7.4.1",
        _ => "RFC 6455, section 7.4.2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_send_agrees_with_what_may_stand_in_a_frame() {
        for code in 0..=u16::MAX {
            let nobody = close_code(code).sender.starts_with("Nobody");
            assert_eq!(nobody, !CloseCode::new(code).is_allowed_on_wire(), "{code}");
        }
    }

    #[test]
    fn what_articles_get_wrong() {
        assert!(explanation(1000).to_string().contains("1000 is no error"));
        assert!(explanation(1006).to_string().contains("did not send 1006"));
        assert!(explanation(4401).to_string().contains("credentials missing"));
        assert!(explanation(4777).to_string().contains("Private to the application"));
    }
}
