//! Scripts that nobody wrote: whatever two applications, a link and a clock do, what must hold between two
//! ends holds.

use proptest::prelude::*;
use tidegate_websocket::deflate::{Effort, Parameters};
use tidegate_websocket::{Extensions, Fragment, Message};

use crate::endpoint::{LIMITS, PING_INTERVAL, TIMED_PING, TIMEOUTS};
use crate::pair::{CLIENT, Pair, SERVER};
use crate::told::Told;

/// First byte of a Ping that an application sends; a number follows.
const PING: u8 = b'?';
/// First byte of a Pong that nobody asked for.
const UNASKED: u8 = b'!';

/// One line of a script.
#[derive(Debug, Clone)]
enum Act {
    Text(String),
    Binary(Vec<u8>),
    Fragment(String, Fragment),
    Ping,
    Pong,
    Close(u16, String),
    /// This end reads so many bytes.
    Deliver(usize),
    /// The clock moves; all that arrives is read.
    Pass(u32),
    /// The link to this end stops, or goes on.
    Stop(bool),
    Delay(u32),
    /// The link to this end holds so much.
    Room(usize),
    Reads(bool),
    EndSide,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    let fragment = prop_oneof![Just(Fragment::More), Just(Fragment::Last)];
    let code = prop_oneof![Just(1000u16), Just(1001), Just(1005), 1000u16..1016, 3000u16..5000];
    prop_oneof![
        8 => "\\PC{0,30}".prop_map(Act::Text),
        4 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Act::Binary),
        1 => prop::collection::vec(any::<u8>(), 0..LIMITS.max_message_bytes).prop_map(Act::Binary),
        2 => (any::<u8>(), 0..LIMITS.max_message_bytes).prop_map(|(byte, length)| Act::Binary(vec![byte; length])),
        6 => ("\\PC{0,10}", fragment).prop_map(|(text, fragment)| Act::Fragment(text, fragment)),
        3 => Just(Act::Ping),
        1 => Just(Act::Pong),
        1 => (code, "\\PC{0,50}").prop_map(|(code, reason)| Act::Close(code, reason)),
        10 => (1usize..60).prop_map(Act::Deliver),
        6 => (1u32..12).prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Stop),
        2 => (0u32..4).prop_map(Act::Delay),
        1 => (0usize..2000).prop_map(Act::Room),
        1 => any::<bool>().prop_map(Act::Reads),
        1 => prop_oneof![9 => Just(Act::Pass(1)), 1 => Just(Act::EndSide), 1 => Just(Act::Reset)],
    ]
}

/// What one application did, as far as it was allowed to.
#[derive(Default)]
struct Done {
    messages: Vec<Told>,
    pings: u8,
    fragments: u32,
    text: String,
}

struct Script {
    pair: Pair,
    done: [Done; 2],
}

impl Script {
    fn play(&mut self, end: usize, act: &Act) {
        match act {
            Act::Deliver(length) => drop(self.pair.deliver(end, *length)),
            Act::Pass(units) => self.pair.pass(*units),
            Act::Stop(stops) => self.pair.links[end].is_stopped = *stops,
            Act::Delay(units) => self.pair.links[end].delay = *units,
            Act::Room(bytes) => self.pair.links[end].room = *bytes,
            Act::Reads(reads) => self.pair.ends[end].reads = *reads,
            Act::EndSide => self.pair.end_side(end),
            Act::Reset => self.pair.reset(),
            _ => self.send(end, act),
        }
    }

    fn send(&mut self, end: usize, act: &Act) {
        let (pair, done) = (&mut self.pair, &mut self.done[end]);
        match act {
            Act::Text(text) => {
                if pair.act(end, |connection, output| connection.send_text(text, output)).is_ok() {
                    done.messages.push(Told::Text(text.clone()));
                }
            }
            Act::Binary(bytes) => {
                if pair.act(end, |connection, output| connection.send_binary(bytes, output)).is_ok() {
                    done.messages.push(Told::Binary(bytes.clone()));
                }
            }
            Act::Fragment(text, fragment) => {
                // The peer's limit on fragments is kept, so that nobody breaks a rule here.
                let last = done.fragments + 1 == LIMITS.max_fragments;
                let fragment = if last { Fragment::Last } else { *fragment };
                let message = Message::Text(text);
                let sent =
                    pair.act(end, |connection, output| connection.send_fragment(message, fragment, output));
                if sent.is_ok() {
                    done.fragments += 1;
                    done.text.push_str(text);
                    if fragment == Fragment::Last {
                        done.messages.push(Told::Text(std::mem::take(&mut done.text)));
                        done.fragments = 0;
                    }
                }
            }
            Act::Ping => {
                let payload = [PING, done.pings];
                if pair.act(end, |connection, output| connection.send_ping(&payload, output)).is_ok() {
                    done.pings += 1;
                }
            }
            Act::Pong => drop(pair.act(end, |connection, output| connection.send_pong(&[UNASKED], output))),
            Act::Close(code, reason) => pair.close(end, *code, reason),
            other => unreachable!("{other:?} sends nothing"),
        }
    }

    /// Nobody is busy any more and the server closes: whatever the link does, time ends it.
    fn finish(&mut self) {
        self.pair.ends.iter_mut().for_each(|end| end.reads = true);
        self.play(SERVER, &Act::Close(1001, "the end".to_owned()));
        let longest = TIMEOUTS.message + PING_INTERVAL + TIMEOUTS.pong + TIMEOUTS.write + 2 * TIMEOUTS.close;
        self.pair.pass_until_ended(longest + 8);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for end in [CLIENT, SERVER] {
            self.check_told(end)?;
        }
        self.check_agreement()
    }

    /// One end at the last; before it the peer's messages in their order, each once, and all of them if the
    /// peer's Close came.
    fn check_told(&self, end: usize) -> Result<(), TestCaseError> {
        let (last, before) = self.pair.told(end).split_last().expect("the end was told");
        prop_assert!(matches!(last, Told::Close(..) | Told::Lost), "both keep the rules: {:?}", last);
        let messages: Vec<_> =
            before.iter().filter(|told| matches!(told, Told::Text(_) | Told::Binary(_))).collect();
        let sent: Vec<_> = self.done[1 - end].messages.iter().collect();
        prop_assert!(sent.starts_with(&messages), "told {:?} of {:?}", messages, sent);
        if matches!(last, Told::Close(..)) {
            prop_assert_eq!(messages.len(), sent.len(), "the Close came behind all messages");
        }
        // Each Ping is answered once, in order, as long as the peer answers at all.
        let pongs =
            || before.iter().filter_map(|told| if let Told::Pong(pong) = told { Some(pong) } else { None });
        let answers: Vec<_> = pongs().filter(|pong| pong[0] == PING).map(|pong| pong[1]).collect();
        prop_assert!((0..self.done[end].pings).collect::<Vec<_>>().starts_with(&answers), "{:?}", answers);
        let is_known = |pong: &[u8]| pong[0] == PING || pong == [UNASKED] || pong == TIMED_PING;
        prop_assert!(pongs().all(|pong| is_known(pong)));
        Ok(())
    }

    /// Where both Close frames came, both ends know of the same close: who began it, with which code.
    fn check_agreement(&self) -> Result<(), TestCaseError> {
        let heard = [CLIENT, SERVER].map(|end| match self.pair.told(end).last() {
            Some(Told::Close(code, _)) => Some(*code),
            _ => None,
        });
        for end in [CLIENT, SERVER] {
            let sent = self.pair.sent_code(end);
            if let Some(heard) = heard[1 - end] {
                prop_assert_eq!(heard, sent, "what was heard is what was sent");
            }
            if let Some(heard) = heard[end]
                && !self.pair.ends[end].began_closing
            {
                prop_assert_eq!(sent, heard, "an answer has the code of what it answers");
            }
        }
        Ok(())
    }
}

/// What a handshake may have agreed on: nothing as often as anything.
fn extensions() -> impl Strategy<Value = Extensions> {
    let parameters =
        (any::<bool>(), any::<bool>(), 9u8..16, 8u8..16).prop_map(|(server, client, ours, theirs)| {
            Parameters {
                server_no_context_takeover: server,
                client_no_context_takeover: client,
                server_max_window_bits: ours,
                client_max_window_bits: theirs,
                ..Parameters::default()
            }
        });
    prop::option::of(parameters).prop_map(|deflate| Extensions { deflate })
}

fn effort() -> impl Strategy<Value = Effort> {
    (0u8..10, prop_oneof![Just(0usize), 0usize..600])
        .prop_map(|(level, min_bytes)| Effort { level, min_bytes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_script_ends_as_it_must(
        lines in prop::collection::vec((0usize..2, act()), 0..40),
        piece in prop_oneof![Just(usize::MAX), 1usize..20],
        extensions in extensions(),
        effort in effort(),
    ) {
        let mut pair = Pair::with_extensions(extensions, effort);
        pair.piece = piece;
        let mut script = Script { pair, done: Default::default() };
        for (end, act) in &lines {
            script.play(*end, act);
        }
        script.finish();
        script.check()?;
    }
}
