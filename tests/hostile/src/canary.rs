//! A well-behaved client that must not notice an attack on the others: it gets every publication, in order
//! and soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::gate::{Gate, TOKEN};
use crate::socket::Socket;
use crate::wire::Wire;

/// The longest that one of its publications may take, publishing included. Machines that run tests are busy;
/// an attack that works costs more.
const SLOWEST: Duration = Duration::from_secs(5);

/// Between two of its publications, so that it leaves the machine to the attack.
const PAUSE: Duration = Duration::from_millis(2);

/// See the module's head.
#[derive(Debug)]
pub struct Canary {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Canary {
    /// Connects, and from now on publishes and receives, one after another, on the channels `canary/0` to
    /// `canary/3`, of which each shard has some.
    #[must_use]
    pub fn watch(gate: &Gate) -> Self {
        Self::over(gate, |wire| wire)
    }

    /// The same over TLS.
    #[must_use]
    pub fn watch_secure(gate: &Gate, certificate: &Certificate) -> Self {
        Self::over(gate, |wire| wire.secure(certificate))
    }

    fn over(gate: &Gate, ready: impl Fn(Wire) -> Wire) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let open = |number| Socket::over(ready(Wire::connect(gate.public)), &format!("/canary/{number}"), "");
        let mut sockets: Vec<_> = (0..4).map(open).collect();
        let mut publisher = Wire::connect(gate.admin);
        // The subscription is behind the 101: the first to be heard says that it stands.
        for (number, socket) in sockets.iter_mut().enumerate() {
            while publish(&mut publisher, number, "first") == 202 {}
            assert_eq!(socket.next_text(), "first");
        }
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            // Once at least, however soon the attack is over.
            while sent == 0 || !stopped.load(Ordering::SeqCst) {
                let (number, text) = (sent % sockets.len(), sent.to_string());
                let begun = Instant::now();
                assert_eq!(publish(&mut publisher, number, &text), 201, "canary {sent}");
                assert_eq!(sockets[number].next_text(), text, "the canary misses nothing");
                assert!(begun.elapsed() < SLOWEST, "canary {sent} took {:?}", begun.elapsed());
                sent += 1;
                std::thread::park_timeout(PAUSE);
                if sent % 900 == 0 {
                    publisher = Wire::connect(publisher.peer());
                }
            }
            sent
        });
        Self { stop, thread }
    }

    /// Ends the watch; fails if the canary noticed something.
    pub fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        let sent = self.thread.join().expect("the canary noticed nothing");
        assert!(sent > 0, "the canary was heard");
    }
}

fn publish(publisher: &mut Wire, number: usize, text: &str) -> u16 {
    publisher.send(format!(
        "POST /channels/canary/{number} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    ));
    publisher.answer().status
}
