//! The admin listener against those who have no token, the wrong one, or a page of another origin.

use tidegate_gateway::ADMIN_CALLS;
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::socket::{Socket, handshake};
use tidegate_hostile::wire::Wire;

/// Calls of the admin listener as somebody may write them; the last says whether it needs the token.
const CALLS: &[(&str, &str, bool)] = &[
    ("GET", "/live", false),
    ("GET", "/ready", false),
    ("GET", "/metrics", true),
    ("GET", "/channels", true),
    ("GET", "/channels/x", true),
    ("POST", "/channels/x", true),
    ("DELETE", "/channels/x", true),
    ("GET", "/connections", true),
    ("GET", "/connections/0-0.0", true),
    ("DELETE", "/connections/0-0.0", true),
    ("GET", "/backends", true),
    ("GET", "/handshakes", true),
    ("GET", "/watch", true),
    ("GET", "/", false),
    ("GET", "/page/icon.svg", false),
    ("GET", "/nothing", true),
    ("POST", "/publish/", true),
    ("POST", "/api/publish", true),
    ("GET", "//metrics", true),
    ("GET", "/live/", true),
    ("GET", "/live/../metrics", true),
    ("GET", "/%6detrics", true),
    ("GET", "/ready?x=/metrics", false),
];

fn ask(gate: &Gate, method: &str, target: &str, extra: &str) -> (u16, String) {
    let mut wire = Wire::connect(gate.admin);
    wire.send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{extra}\r\n"));
    let answer = wire.answer();
    (answer.status, answer.head)
}

#[test]
fn every_call_of_the_listener_has_its_row() {
    for call in ADMIN_CALLS {
        let path = call.path.replace("{channel}", "x").replace("{file}", "icon.svg").replace("{id}", "0-0.0");
        for method in call.methods.iter().filter(|method| **method != "HEAD") {
            assert!(CALLS.contains(&(*method, path.as_str(), call.needs_token)), "{method} {path}");
        }
    }
}

#[test]
fn every_call_needs_the_token() {
    let gate = Gate::of_channels("");
    let longer = format!("Authorization: Bearer {TOKEN}x\r\n");
    let shorter = format!("Authorization: Bearer {}\r\n", &TOKEN[1..]);
    let twice = format!("Authorization: Bearer {TOKEN}\r\n").repeat(2);
    let upper = format!("Authorization: Bearer {}\r\n", TOKEN.to_uppercase());
    let spaced = format!("Authorization: Bearer  {TOKEN}\r\n");
    let listed = format!("Authorization: Bearer x, Bearer {TOKEN}\r\n");
    let basic = format!("Authorization: Basic {TOKEN}\r\n");
    let cookie = format!("Cookie: token={TOKEN}\r\nX-API-Key: {TOKEN}\r\n");
    let credentials = [
        "",
        "Authorization: Bearer \r\n",
        "Authorization: \r\n",
        &longer,
        &shorter,
        &twice,
        &upper,
        &spaced,
        &listed,
        &basic,
        &cookie,
    ];
    for (method, target, needs) in CALLS {
        for wrong in credentials {
            let (status, head) = ask(&gate, method, target, wrong);
            if *needs {
                assert_eq!(status, 401, "{method} {target} with {wrong:?}");
                assert!(head.to_ascii_lowercase().contains("www-authenticate: bearer"), "{head}");
            } else {
                assert_eq!(status, 200, "{method} {target}");
            }
        }
        let by_query = format!(
            "{target}{}token={TOKEN}&access_token={TOKEN}",
            if target.contains('?') { '&' } else { '?' }
        );
        let (status, _) = ask(&gate, method, &by_query, "");
        assert_eq!(status, if *needs { 401 } else { 200 }, "a token in a query counts for nothing: {target}");
    }
    assert_eq!(gate.admin("GET", "/channels").text().matches("\"x\"").count(), 0, "nothing was published");
}

#[test]
fn pages_of_other_origins_get_nothing_even_with_the_token() {
    let gate = Gate::of_channels("");
    for extra in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: https://app.example\r\n",
        "Origin: https://localhost\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        let extra = format!("{extra}Authorization: Bearer {TOKEN}\r\n");
        for (method, target, _) in CALLS {
            assert_eq!(ask(&gate, method, target, &extra).0, 403, "{method} {target} with {extra}");
        }
    }
    let own = format!("Origin: http://localhost\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&gate, "GET", "/metrics", &own).0, 200);
    // Who follows a link from elsewhere gets the page, and a form there or a frame gets nothing.
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: ";
    assert_eq!(ask(&gate, "GET", "/", &format!("{link}document\r\n")).0, 200);
    assert_eq!(ask(&gate, "GET", "/", &format!("{link}iframe\r\n")).0, 403);
    assert_eq!(ask(&gate, "GET", "/", &format!("{link}document\r\nOrigin: https://evil.example\r\n")).0, 403);
    let metrics = format!("{link}document\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&gate, "GET", "/metrics", &metrics).0, 403);
}

#[test]
fn methods_and_parameters_are_checked() {
    let gate = Gate::of_channels("");
    for (method, target, status) in [
        ("PUT", "/metrics", 405),
        ("POST", "/channels", 405),
        ("PATCH", "/channels/x", 405),
        ("POST", "/connections", 405),
        ("GET", "/channels?limit=0", 400),
        ("GET", "/channels?limit=1001", 400),
        ("GET", "/channels?limit=-1", 400),
        ("GET", "/channels?limit=99999999999999999999", 400),
        ("GET", "/connections?after=x", 400),
        ("GET", "/connections/x", 400),
        ("GET", "/connections/99999-0.0", 400),
        ("GET", "/connections/7-0.0", 404),
        ("DELETE", "/connections/0-ffffffff.ffffffff", 404),
        ("DELETE", "/connections/0-0.0?code=1005", 400),
        ("DELETE", "/connections/0-0.0?code=70000", 400),
        ("DELETE", "/connections/0-0.0?code=abc", 400),
        ("POST", "/channels/", 400),
        ("POST", "/channels/a%00b", 400),
        ("POST", "/channels/a%0d%0ab", 400),
        ("POST", "/channels/a%1fb", 400),
        ("POST", "/channels/a//b", 400),
        ("POST", "/channels/..", 400),
        ("POST", "/channels/%2e%2e/x", 400),
        ("POST", "/channels/%ff", 400),
        ("POST", "/channels/%zz", 400),
        ("GET", "/channels/absent", 404),
    ] {
        let answer = gate.admin(method, target);
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
    }
    let long = "x".repeat(256);
    assert_eq!(gate.publish(&long, "x").status, 400);
    assert_eq!(gate.publish(&long[1..], "x").status, 202);
}

#[test]
fn a_close_from_the_admin_listener_is_cut_to_what_a_frame_holds() {
    let gate = Gate::of_channels("");
    let mut socket = Socket::open_envelopes(gate.public, "/x");
    assert_eq!(socket.next_json()["type"], "open");
    let list: serde_json::Value =
        serde_json::from_str(&gate.admin("GET", "/connections").text()).expect("JSON");
    let id = list["connections"][0]["id"].as_str().expect("an id").to_owned();
    let reason = "%C3%A9".repeat(200);
    let answer = gate.admin("DELETE", &format!("/connections/{id}?code=4321&reason={reason}%0A%1B"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let envelope = socket.next_json();
    assert_eq!((&envelope["type"], &envelope["code"]), (&"close".into(), &4321.into()));
    let (code, reason) = socket.await_close().expect("a Close");
    assert_eq!((code, reason), (Some(4321), "\u{e9}".repeat(61)));
}

#[test]
fn the_public_listener_knows_nothing_of_the_admin_one() {
    let gate = Gate::start("", "");
    let authorization = format!("Authorization: Bearer {TOKEN}\r\n");
    for (method, target, _) in CALLS {
        let answer = gate.ask(format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{authorization}\r\n"
        ));
        assert_eq!(answer.status, 404, "{method} {target}");
    }
    assert_eq!(gate.ask(handshake("/connections", "")).status, 404);
}
