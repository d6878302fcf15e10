//! Sections 5 and 7: what becomes of an offer, and which answers a client takes.

use tidegate_websocket::Extensions;
use tidegate_websocket::deflate::{Acceptance, AnswerError, Offer, Parameters};
use tidegate_websocket::handshake::client::{ClientHandshake, ClientRequest, HandshakeError, Progress};
use tidegate_websocket::handshake::server::{HttpVersion, Request, accept, write_response};

const KEEP: Acceptance = Acceptance { takeover: true, max_window_bits: 15 };

/// The value with which the server answers these fields.
fn answer(offers: &[&str], acceptance: Option<&Acceptance>) -> Option<String> {
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("Host", b"server.example.com"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
    ];
    headers.extend(offers.iter().map(|offer| ("Sec-WebSocket-Extensions", offer.as_bytes())));
    let request = Request { method: "GET", version: HttpVersion::Http11, headers: &headers };
    let accepted = accept(&request, &[], acceptance).unwrap();
    let mut output = Vec::new();
    write_response(&accepted, &[], &mut output).unwrap();
    let value = accepted.extensions.header_value();
    let line = value.as_ref().map(|value| format!("\r\nSec-WebSocket-Extensions: {value}\r\n"));
    let output = String::from_utf8(output).unwrap();
    assert!(line.as_ref().is_none_or(|line| output.contains(line)), "{output}");
    assert_eq!(output.contains("Extensions"), line.is_some());
    value
}

fn check(offer: &str, acceptance: &Acceptance, expected: Option<&str>) {
    let value = answer(&[offer], Some(acceptance));
    let expected = expected.map(|parameters| format!("permessage-deflate{parameters}"));
    assert_eq!(value, expected, "{offer}");
}

#[test]
fn each_parameter_is_answered_as_it_was_offered() {
    for (offer, expected) in [
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=15", ""),
        ("permessage-deflate; client_max_window_bits=10", "; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=8", "; client_max_window_bits=8"),
        ("permessage-deflate; client_max_window_bits=\"1\\0\"", "; client_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_no_context_takeover", "; server_no_context_takeover"),
        ("permessage-deflate;client_no_context_takeover", "; client_no_context_takeover"),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=\"12\"; \
             client_no_context_takeover; server_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9",
        ),
    ] {
        check(offer, &KEEP, Some(expected));
    }
}

#[test]
fn the_server_bounds_contexts_and_windows() {
    let both = "; server_no_context_takeover; client_no_context_takeover";
    check("permessage-deflate; client_max_window_bits", &Acceptance::default(), Some(both));
    let small = Acceptance { takeover: true, max_window_bits: 12 };
    check("permessage-deflate", &small, Some("; server_max_window_bits=12"));
    let bits = "; server_max_window_bits=12; client_max_window_bits=12";
    check("permessage-deflate; client_max_window_bits", &small, Some(bits));
    let bits = "; server_max_window_bits=11; client_max_window_bits=9";
    check("permessage-deflate; client_max_window_bits=9; server_max_window_bits=11", &small, Some(bits));
    let wrong = Acceptance { takeover: true, max_window_bits: 3 };
    check("permessage-deflate", &wrong, Some("; server_max_window_bits=9"));
    let wrong = Acceptance { takeover: true, max_window_bits: 200 };
    check("permessage-deflate", &wrong, Some(""));
}

#[test]
fn offers_that_break_a_rule_are_declined() {
    for parameters in [
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "server_max_window_bits=09",
        "server_max_window_bits=+9",
        "server_max_window_bits=9x",
        "server_max_window_bits=-1",
        "server_max_window_bits=99999999999999999999",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=08",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover=1",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover=true",
        "client_no_context_takeover; client_no_context_takeover",
        "window_bits=10",
        "Server_No_Context_Takeover",
    ] {
        check(&format!("permessage-deflate; {parameters}"), &KEEP, None);
    }
    for other in ["x-webkit-deflate-frame", "permessage-bzip2", "Permessage-Deflate", "permessage-deflate2"] {
        check(other, &KEEP, None);
    }
}

#[test]
fn the_first_offer_that_fits_is_taken() {
    for offers in [
        &[
            "x, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ][..],
        &[
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ],
        &["permessage-deflate; unknown", "x; y=z", "permessage-deflate; server_max_window_bits=10"],
    ] {
        let expected = Some("permessage-deflate; server_max_window_bits=10".to_owned());
        assert_eq!(answer(offers, Some(&KEEP)), expected, "{offers:?}");
    }
    assert_eq!(answer(&["permessage-deflate; server_max_window_bits=8, x"], Some(&KEEP)), None);
    assert_eq!(answer(&["permessage-deflate"], None), None);
    assert_eq!(answer(&[], Some(&KEEP)), None);
}

/// The field that a client sends, and what it makes of the answer.
fn judge(offer: Option<Offer>, answer: &str) -> Result<Extensions, HandshakeError> {
    let request = ClientRequest {
        host: "server.example.com",
        target: "/",
        key: *b"the sample nonce",
        subprotocols: &[],
        headers: &[],
        deflate: offer,
    };
    let mut handshake = ClientHandshake::new(&request, &mut Vec::new()).unwrap();
    let wire = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{answer}\r\n"
    );
    match handshake.handle_input(wire.as_bytes())? {
        Progress::Done(response) => Ok(response.extensions),
        Progress::NeedMore => panic!("the answer is whole"),
    }
}

fn judge_deflate(offer: Offer, parameters: &str) -> Result<Parameters, HandshakeError> {
    judge(Some(offer), &format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n"))
        .map(|extensions| extensions.deflate.unwrap())
}

#[test]
fn a_client_offers_what_it_wants() {
    for (takeover, max_window_bits, expected) in [
        (true, 15, "; client_max_window_bits"),
        (true, 12, "; server_max_window_bits=12; client_max_window_bits=12"),
        (true, 0, "; server_max_window_bits=9; client_max_window_bits=9"),
        (false, 15, "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"),
    ] {
        let deflate = Some(Offer { takeover, max_window_bits });
        let base =
            ClientRequest { host: "x", target: "/", key: [0; 16], subprotocols: &[], headers: &[], deflate };
        let mut output = Vec::new();
        ClientHandshake::new(&base, &mut output).unwrap();
        let expected = format!("\r\nSec-WebSocket-Extensions: permessage-deflate{expected}\r\n");
        assert!(String::from_utf8(output).unwrap().contains(&expected));
    }
}

#[test]
fn a_client_takes_what_it_offered() {
    let all = Parameters::default();
    assert_eq!(judge(Some(Offer::default()), ""), Ok(Extensions::default()));
    assert_eq!(judge_deflate(Offer::default(), ""), Ok(all));
    let answer = "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; client_max_window_bits=\"8\"";
    let least = Parameters {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 8,
        client_max_window_bits: 8,
        answers_server_max_window_bits: true,
    };
    assert_eq!(judge_deflate(Offer::default(), answer), Ok(least));
    let stateless = Offer { takeover: false, max_window_bits: 15 };
    let expected = Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..all };
    assert_eq!(judge_deflate(stateless, "; server_no_context_takeover"), Ok(expected));
    let small = Offer { takeover: true, max_window_bits: 10 };
    let expected = Parameters {
        server_max_window_bits: 9,
        client_max_window_bits: 10,
        answers_server_max_window_bits: true,
        ..all
    };
    assert_eq!(judge_deflate(small, "; server_max_window_bits=9"), Ok(expected));
}

#[test]
fn a_client_fails_on_an_answer_that_does_not_fit_its_offer() {
    let small = Offer { takeover: true, max_window_bits: 10 };
    let stateless = Offer { takeover: false, max_window_bits: 15 };
    for (offer, answer, error) in [
        (Offer::default(), "; client_max_window_bits", AnswerError::Parameter),
        (Offer::default(), "; client_max_window_bits=7", AnswerError::Parameter),
        (Offer::default(), "; server_max_window_bits", AnswerError::Parameter),
        (Offer::default(), "; server_max_window_bits=016", AnswerError::Parameter),
        (Offer::default(), "; unknown", AnswerError::Parameter),
        (
            Offer::default(),
            "; server_no_context_takeover; server_no_context_takeover",
            AnswerError::Parameter,
        ),
        (stateless, "; client_no_context_takeover", AnswerError::ServerTakeover),
        (small, "", AnswerError::ServerWindow),
        (small, "; server_max_window_bits=11", AnswerError::ServerWindow),
        (small, "; server_max_window_bits=10; client_max_window_bits=11", AnswerError::ClientWindow),
    ] {
        let outcome = judge_deflate(offer, answer);
        assert_eq!(outcome, Err(HandshakeError::Deflate(error)), "{answer}");
        assert!(outcome.unwrap_err().to_string().contains("permessage-deflate"));
    }
    for field in [
        "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: x\r\n",
        "Sec-WebSocket-Extensions: a b\r\n",
    ] {
        assert_eq!(judge(Some(Offer::default()), field), Err(HandshakeError::Extension), "{field}");
        assert_eq!(judge(None, field), Err(HandshakeError::Extension), "{field}");
    }
    let field = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(judge(None, field), Err(HandshakeError::Extension));
}
