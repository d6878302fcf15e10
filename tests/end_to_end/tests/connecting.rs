//! `tidegate connect` against the gateway: the version of HTTP and the compression that its options ask for,
//! as `-i` shows them, and the way back after a restart.

use rustix::process::Signal;
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::gateway::{Gateway, run};
use tidegate_end_to_end::websocket::WebSocket;

#[test]
fn the_handshake_over_http2_is_shown_with_its_pseudo_headers() {
    let backend = Backend::start(|_| Reply::ok("{\"price\": 100}"));
    let gateway = Gateway::before(&backend.url(), &[]);
    let ended = run(&["connect", &gateway.ws("/quotes.json"), "--http", "2", "-i", "-n", "1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.printed);
    for line in
        ["\n> :method: CONNECT", "\n> :protocol: websocket", "\n> :path: /quotes.json", "\n< :status: 200"]
    {
        assert!(ended.printed.contains(line), "{line}: {}", ended.printed);
    }
}

#[test]
fn what_was_agreed_on_is_shown() {
    let gateway =
        Gateway::configured("[[route]]\npath = \"/{*rest}\"\nchannel = {}\nhistory = { size = 10 }\n");
    let position = gateway.publish("a", &"the same again and again; ".repeat(100));
    let (epoch, _) = position.split_once(':').expect("a position");
    for http in ["1.1", "2"] {
        let url = gateway.ws("/a");
        let after = format!("{epoch}:0");
        let arguments = ["connect", &url, "--http", http, "--compress", "-i", "--after", &after, "-n", "1"];
        let ended = run(&arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.printed);
        assert!(ended.printed.contains("\n* agreed: permessage-deflate"), "{}", ended.printed);
        let plain = run(&["connect", &url, "--http", http, "-i", "--after", &after, "-n", "1"]);
        assert!(!plain.printed.contains("deflate"), "{}", plain.printed);
    }
}

#[test]
fn a_drain_sends_it_away_for_a_while() {
    let gateway = Gateway::configured(
        "[limits]\ndrain_grace = \"1ms\"\ndrain_spread = \"1ms\"\n[[route]]\npath = \"/{*rest}\"\nchannel = {}\n",
    );
    let url = gateway.ws("/a");
    let connecting = std::thread::spawn(move || {
        run(&["connect", &url, "--reconnect", "--subprotocol", "tidegate.v1", "--timeout", "5s"])
    });
    gateway.wait_subscribers("a", 1);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().code, Some(0));
    let ended = connecting.join().expect("it ran");
    assert_eq!(ended.code, Some(10), "{}", ended.printed);
    assert!(ended.printed.contains("= lost: closed with 1012: restarting; again in "), "{}", ended.printed);
}

#[test]
fn who_is_here_is_told_in_words() {
    let gateway = Gateway::configured("[[route]]\npath = \"/{*rest}\"\nchannel = {}\npresence = true\n");
    let mut watcher = WebSocket::enveloped(gateway.public(), "/a");
    watcher.json();
    let ended = run(&["connect", &gateway.ws("/a"), "--subprotocol", "tidegate.v1", "-n", "1"]);
    assert!(ended.printed.contains("\n= a: 2 are here: "), "{}", ended.printed);
}
