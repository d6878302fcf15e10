//! No descriptor is left: who is inside goes on, who waits gets in as soon as there is one again. Alone in
//! its process, whose limit it lowers.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_hostile::cost::descriptors;
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::log;
use tidegate_hostile::socket::{Socket, handshake};
use tidegate_hostile::wire::Wire;

const WAITING: usize = 60;

fn publish(publisher: &mut Wire, text: &str) -> u16 {
    publisher.send(format!(
        "POST /channels/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    ));
    publisher.answer().status
}

#[test]
fn without_descriptors_those_inside_go_on_and_the_others_wait() {
    let gate = Gate::of_channels("publish_rate = 1000000\npublish_burst = 1000000");
    let mut inside = Socket::open(gate.public, "/x");
    let mut publisher = Wire::connect(gate.admin);
    while publish(&mut publisher, "first") == 202 {}
    assert_eq!(inside.next_text(), "first");
    // Attacker and gateway share the limit, so the attacker has its sockets before it is lowered.
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket"))
        .collect();
    let limit = getrlimit(Resource::Nofile);
    let lowered = Rlimit { current: Some(descriptors() as u64 + 2), maximum: limit.maximum };
    setrlimit(Resource::Nofile, lowered).expect("a limit may be lowered");
    for socket in &waiting {
        socket.connect(&gate.public.into()).expect("the system queues it");
    }
    let _ = log::await_line(&["accept_failed"]);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(publish(&mut publisher, "hello"), 201);
        assert_eq!(inside.next_text(), "hello");
    }
    let told = log::lines().iter().filter(|line| line.contains("accept_failed")).count();
    assert!(told <= 2, "{told} lines where one a shard would do");
    setrlimit(Resource::Nofile, limit).expect("back to what it was");
    let begun = Instant::now();
    let mut waiting: Vec<Wire> = waiting.into_iter().map(Wire::of_socket).collect();
    for wire in &mut waiting {
        wire.send(handshake("/x", ""));
    }
    for wire in &mut waiting {
        assert_eq!(wire.answer().status, 101);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
