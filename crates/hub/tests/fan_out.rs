//! Fan-out against a model: random subscribes, publications, departures and partial writes. What each
//! session's queue gives out must be exactly the publications of the time in which it was subscribed.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tidegate_hub::{
    Change, ChannelName, Encode, Epoch, Form, Hub, Item, Left, Outgoing, Packing, Payload, Publication,
    QueueLimits, SessionId, Slow, SubscribeError, Ticket, Told, Updates,
};

const EPOCH: Epoch = Epoch(1);

const LIMITS: QueueLimits = QueueLimits { max_bytes: 1 << 20, max_messages: 1 << 16 };

/// One line a publication, so that the test reads back what was encoded; counts its calls. What is deflated for all
/// begins with a tilde, and what is deflated for one session with the number that this has there.
#[derive(Default)]
struct Lines {
    calls: usize,
    deflated: usize,
}

impl Encode<u64> for Lines {
    fn encode(
        &mut self,
        form: Form,
        updates: Updates,
        name: &ChannelName,
        _: Epoch,
        publications: &[Publication],
    ) -> Bytes {
        self.calls += 1;
        let mut text = BytesMut::new();
        for publication in publications {
            let patch =
                publication.patch(updates).map(|patch| String::from_utf8_lossy(patch)).unwrap_or_default();
            text.extend_from_slice(format!("{form:?} {name} {}{patch}\n", publication.offset).as_bytes());
        }
        text.freeze()
    }

    fn deflate(&mut self, encoded: &Bytes) -> Bytes {
        self.deflated += 1;
        marked(encoded, || "~".to_owned())
    }

    fn deflate_own(&mut self, encoded: &Bytes, before: &mut u64) -> Bytes {
        marked(encoded, || {
            *before += 1;
            format!("{before} ")
        })
    }
}

fn marked(encoded: &Bytes, mut mark: impl FnMut() -> String) -> Bytes {
    let lines = std::str::from_utf8(encoded).unwrap().lines();
    lines.map(|line| format!("{}{line}\n", mark())).collect::<String>().into()
}

fn name(number: usize) -> ChannelName {
    ChannelName::from_text(&format!("c{number}")).unwrap()
}

fn publication(offset: u64) -> Publication {
    Publication { offset, item: Item::from(Payload::from("x")), change: None }
}

#[derive(Debug, Clone)]
enum Step {
    Subscribe { session: usize, channel: usize },
    Answer { session: usize, channel: usize },
    Unsubscribe { session: usize, channel: usize },
    Publish { channel: usize },
    FanOut,
    Drain { session: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let (session, channel) = (0..SESSIONS.len(), 0..3usize);
    prop_oneof![
        1 => (session.clone(), channel.clone()).prop_map(|(session, channel)| Step::Subscribe { session, channel }),
        1 => (session.clone(), channel.clone()).prop_map(|(session, channel)| Step::Answer { session, channel }),
        1 => (session.clone(), channel.clone()).prop_map(|(session, channel)| Step::Unsubscribe { session, channel }),
        4 => channel.prop_map(|channel| Step::Publish { channel }),
        2 => Just(Step::FanOut),
        1 => session.prop_map(|session| Step::Drain { session }),
    ]
}

const SESSIONS: [(Form, Packing); 12] = [
    (Form::Bare, Packing::Plain),
    (Form::Envelope, Packing::Own),
    (Form::EventStream, Packing::Plain),
    (Form::Bare, Packing::Deflated),
    (Form::Bare, Packing::Deflated),
    (Form::Bare, Packing::Own),
    (Form::Bare, Packing::Own),
    (Form::Envelope, Packing::Plain),
    (Form::Envelope, Packing::Plain),
    (Form::Envelope, Packing::Plain),
    (Form::Lines, Packing::Plain),
    (Form::LongPoll, Packing::Plain),
];

#[derive(Default, Clone, Copy, PartialEq)]
enum Follows {
    #[default]
    No,
    Awaits(Ticket),
    Live,
}

#[derive(Default)]
struct Model {
    follows: [[Follows; 3]; SESSIONS.len()],
    offsets: [u64; 3],
    expected: [Vec<(usize, u64)>; SESSIONS.len()],
    seen: [String; SESSIONS.len()],
}

fn run(steps: &[Step]) {
    let mut hub: Hub<u64> = Hub::new(LIMITS, 128);
    let sessions = SESSIONS.map(|(form, packing)| hub.attach(form, packing, 0));
    let (mut model, mut lines) = (Model::default(), Lines::default());
    for step in steps {
        apply(step, &mut hub, &sessions, &mut model, &mut lines);
    }
    while hub.backlog() > 0 {
        hub.fan_out(&mut lines);
    }
    for (session, (form, packing)) in SESSIONS.into_iter().enumerate() {
        drain(&mut hub, sessions[session], &mut model.seen[session]);
        let seen = unpacked(&model.seen[session], packing);
        for channel in 0..3 {
            let prefix = format!("{form:?} c{channel} ");
            let got: Vec<u64> = seen
                .iter()
                .filter_map(|line| line.strip_prefix(&prefix))
                .map(|offset| offset.parse().unwrap())
                .collect();
            let expected: Vec<u64> = model.expected[session]
                .iter()
                .filter(|(at, _)| *at == channel)
                .map(|(_, offset)| *offset)
                .collect();
            assert_eq!(got, expected, "session {session}, channel {channel}");
        }
    }
}

/// The lines without their marks, which must be those of the packing.
fn unpacked(seen: &str, packing: Packing) -> Vec<String> {
    let unmarked = |(number, line): (usize, &str)| match packing {
        Packing::Plain => line.to_owned(),
        Packing::Deflated => line.strip_prefix('~').expect("the shared mark").to_owned(),
        // A context that misses a message, or gets two in another order, can be read no further.
        Packing::Own => line.strip_prefix(&format!("{} ", number + 1)).expect("the next mark").to_owned(),
    };
    seen.lines().enumerate().map(unmarked).collect()
}

fn apply(step: &Step, hub: &mut Hub<u64>, sessions: &[SessionId], model: &mut Model, lines: &mut Lines) {
    match *step {
        Step::Subscribe { session, channel } => {
            let result = hub.await_home(sessions[session], &name(channel), updates_of(session));
            match model.follows[session][channel] {
                Follows::No => {
                    model.follows[session][channel] = Follows::Awaits(result.expect("a ticket"));
                }
                Follows::Awaits(_) | Follows::Live => assert_eq!(result, Err(SubscribeError::Twice)),
            }
        }
        Step::Answer { session, channel } => {
            let Follows::Awaits(ticket) = model.follows[session][channel] else { return };
            assert!(hub.begin(sessions[session], ticket, &name(channel), EPOCH, lines));
            assert!(
                !hub.begin(sessions[session], ticket, &name(channel), EPOCH, lines),
                "an answer counts once"
            );
            model.follows[session][channel] = Follows::Live;
        }
        Step::Unsubscribe { session, channel } => {
            // What came before is still owed to the others only: fan out first, as the shard does.
            hub.fan_out(lines);
            let live = model.follows[session][channel] == Follows::Live;
            let left = Left { channel: name(channel), epoch: EPOCH, updates: updates_of(session) };
            assert_eq!(hub.unsubscribe(sessions[session], &name(channel)), live.then_some(left));
            model.follows[session][channel] = Follows::No;
        }
        Step::Publish { channel } => {
            model.offsets[channel] += 1;
            hub.publish(&name(channel), EPOCH, publication(model.offsets[channel]));
            for session in 0..SESSIONS.len() {
                if model.follows[session][channel] == Follows::Live {
                    model.expected[session].push((channel, model.offsets[channel]));
                }
            }
        }
        Step::FanOut => hub.fan_out(lines),
        Step::Drain { session } => drain(hub, sessions[session], &mut model.seen[session]),
    }
}

/// Sessions of one form and packing share an audience or not, as they want updates.
fn updates_of(session: usize) -> Updates {
    match session {
        1 | 5 | 6 => Updates::JsonPatch,
        8 | 9 => Updates::MergePatch,
        _ => Updates::Whole,
    }
}

fn drain(hub: &mut Hub<u64>, id: SessionId, seen: &mut String) {
    let session = hub.session_mut(id).unwrap();
    let bytes = session.queue.take_joined();
    seen.push_str(std::str::from_utf8(&bytes).unwrap());
}

proptest! {
    #[test]
    fn each_session_gets_exactly_what_was_published_while_it_followed(
        steps in proptest::collection::vec(step(), 0..200)
    ) {
        run(&steps);
    }
}

/// Asks and answers.
fn follow(hub: &mut Hub<u64>, id: SessionId, lines: &mut Lines) {
    let ticket = hub.await_home(id, &name(0), Updates::Whole).unwrap();
    assert!(hub.begin(id, ticket, &name(0), EPOCH, lines));
}

#[test]
fn a_round_is_encoded_once_for_each_form_and_joined() {
    let (mut hub, mut lines) = (Hub::new(LIMITS, 128), Lines::default());
    let ids: Vec<_> = (0..100).map(|_| hub.attach(Form::Bare, Packing::Plain, 0)).collect();
    for id in &ids {
        follow(&mut hub, *id, &mut lines);
    }
    for offset in 1..=16 {
        hub.publish(&name(0), EPOCH, publication(offset));
    }
    hub.fan_out(&mut lines);
    assert_eq!(lines.calls, 1);
    for id in &ids {
        assert_eq!(hub.poll_dirty(), Some(*id));
        let queue = &hub.session(*id).unwrap().queue;
        assert_eq!(queue.messages(), 16);
        assert!(queue.single().is_some(), "sixteen publications are one item");
    }
    assert_eq!(hub.poll_dirty(), None);
    assert_eq!(hub.enqueued_messages(), 1600);
}

#[test]
fn who_wants_patches_gets_them_where_there_are_any() {
    let (mut hub, mut lines) = (Hub::new(LIMITS, 128), Lines::default());
    let kinds = [Updates::Whole, Updates::JsonPatch, Updates::MergePatch];
    let ids: Vec<_> = (0..99).map(|_| hub.attach(Form::Envelope, Packing::Plain, 0)).collect();
    for (id, updates) in ids.iter().zip(kinds.iter().cycle()) {
        let ticket = hub.await_home(*id, &name(0), *updates).unwrap();
        assert!(hub.begin(*id, ticket, &name(0), EPOCH, &mut lines));
    }
    let change = Change { json_patch: Some("[j]".into()), merge_patch: None };
    hub.publish(&name(0), EPOCH, publication(1));
    hub.publish(&name(0), EPOCH, Publication { change: Some(change.into()), ..publication(2) });
    hub.fan_out(&mut lines);
    assert_eq!(lines.calls, 3, "once for each kind");
    for (id, updates) in ids.iter().zip(kinds.iter().cycle()) {
        let mut seen = String::new();
        drain(&mut hub, *id, &mut seen);
        let patch = if *updates == Updates::JsonPatch { "[j]" } else { "" };
        assert_eq!(seen, format!("Envelope c0 1\nEnvelope c0 2{patch}\n"));
    }
}

#[test]
fn what_is_shared_is_deflated_once_whoever_gets_it() {
    let (mut hub, mut lines) = (Hub::new(LIMITS, 128), Lines::default());
    let packings = [Packing::Deflated, Packing::Plain, Packing::Own];
    let ids: Vec<_> = packings.iter().cycle().take(99).map(|one| hub.attach(Form::Bare, *one, 0)).collect();
    for id in &ids {
        follow(&mut hub, *id, &mut lines);
    }
    for offset in 1..=16 {
        hub.publish(&name(0), EPOCH, publication(offset));
    }
    hub.fan_out(&mut lines);
    assert_eq!((lines.calls, lines.deflated), (1, 1));
    for (id, packing) in ids.iter().zip(packings.iter().cycle()) {
        let session = hub.session_mut(*id).unwrap();
        assert_eq!(session.packing(), *packing);
        let text = session.queue.take_joined();
        assert_eq!(unpacked(std::str::from_utf8(&text).unwrap(), *packing).len(), 16);
        assert_eq!(session.attachment, if *packing == Packing::Own { 16 } else { 0 });
    }
}

#[test]
fn a_burst_goes_out_in_portions_and_overflows_nobody_who_keeps_up() {
    let limits = QueueLimits { max_messages: 2000, ..LIMITS };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    let id = hub.attach(Form::Bare, Packing::Plain, 0);
    follow(&mut hub, id, &mut lines);
    for offset in 1..=5000 {
        hub.publish(&name(0), EPOCH, publication(offset));
    }
    let mut seen = String::new();
    while hub.backlog() > 0 {
        hub.fan_out(&mut lines);
        drain(&mut hub, id, &mut seen);
    }
    assert_eq!(hub.poll_overflow(), None);
    assert_eq!(seen.lines().count(), 5000);
    assert_eq!(lines.calls, 5);
}

/// Nothing but what came.
const NOTHING: Told = Told { messages: 0, bytes: 0 };

/// A session that follows so many channels.
fn follow_all(hub: &mut Hub<u64>, channels: usize, lines: &mut Lines) -> SessionId {
    let id = hub.attach(Form::Bare, Packing::Plain, 0);
    for number in 0..channels {
        let ticket = hub.await_home(id, &name(number), Updates::Whole).unwrap();
        assert!(hub.begin(id, ticket, &name(number), EPOCH, lines));
    }
    id
}

#[test]
fn a_burst_on_many_channels_overflows_nobody_who_keeps_up() {
    const CHANNELS: usize = 60;
    const COUNT: usize = 20;
    let few = (QueueLimits { max_messages: 400, ..LIMITS }, 1, 200);
    // Until an eighth of its bytes is reached, by at most one publication.
    let small = (QueueLimits { max_bytes: 20_000, ..LIMITS }, 1000, 3);
    for (limits, size, portion) in [few, small] {
        let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
        let id = follow_all(&mut hub, CHANNELS, &mut lines);
        let payload = Payload::from("x".repeat(size).as_str());
        for number in (0..CHANNELS).flat_map(|number| [number].repeat(COUNT)) {
            hub.publish(&name(number), EPOCH, Publication { item: payload.clone().into(), ..publication(1) });
        }
        let mut seen = String::new();
        while hub.backlog() > 0 {
            let before = hub.backlog();
            hub.fan_out(&mut lines);
            assert!(before - hub.backlog() <= portion);
            drain(&mut hub, id, &mut seen);
        }
        assert_eq!((hub.poll_overflow(), seen.lines().count()), (None, CHANNELS * COUNT));
    }
}

#[test]
fn every_channel_has_its_turn_while_one_has_more_than_a_portion() {
    let limits = QueueLimits { max_messages: 20, ..LIMITS };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    let id = follow_all(&mut hub, 3, &mut lines);
    (0..100).for_each(|_| hub.publish(&name(0), EPOCH, publication(1)));
    hub.publish(&name(1), EPOCH, publication(1));
    hub.fan_out(&mut lines);
    hub.publish(&name(2), EPOCH, publication(1));
    drain(&mut hub, id, &mut String::new());
    hub.fan_out(&mut lines);
    let mut seen = String::new();
    drain(&mut hub, id, &mut seen);
    assert!(seen.starts_with("Bare c1 1\nBare c0"), "{seen}");
    hub.fan_out(&mut lines);
    drain(&mut hub, id, &mut seen);
    assert!(seen.contains("Bare c2 1\n"), "{seen}");
}

#[test]
fn it_is_known_whether_what_was_fanned_out_last_was_flushed() {
    let (mut hub, mut lines) = (Hub::new(LIMITS, 128), Lines::default());
    let ids: Vec<_> = (0..20_000).map(|_| hub.attach(Form::Bare, Packing::Plain, 0)).collect();
    ids.iter().for_each(|id| follow(&mut hub, *id, &mut lines));
    assert!(hub.is_flushed(), "nothing was queued");
    for _ in 0..2 {
        hub.publish(&name(0), EPOCH, publication(1));
        hub.fan_out(&mut lines);
        for id in &ids {
            assert!(!hub.is_flushed());
            assert_eq!(hub.poll_dirty(), Some(*id));
            // What becomes dirty later is not waited for.
            hub.mark_dirty(*id);
        }
        assert!(hub.is_flushed() && hub.has_dirty());
        while hub.poll_dirty().is_some() {}
        assert!(hub.is_flushed());
        ids.iter().for_each(|id| drain(&mut hub, *id, &mut String::new()));
    }
}

#[test]
fn what_is_said_after_what_is_settled_counts_with_it() {
    let limits = QueueLimits { max_messages: 8, max_bytes: 8000 };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    follow_all(&mut hub, 2, &mut lines);
    let one = Told { messages: 1, bytes: 1 };
    let mut count = |hub: &mut Hub<u64>, said| {
        (0..).take_while(|number| hub.settle(&name(number % 2), said, &mut lines)).take(100).count()
    };
    assert_eq!(count(&mut hub, one), 4, "half of a queue");
    assert_eq!(count(&mut hub, NOTHING), 100);
    hub.fan_out(&mut Lines::default());
    assert_eq!(count(&mut hub, Told { bytes: 400, ..one }), 2, "an eighth of its bytes");
    hub.fan_out(&mut Lines::default());
    assert_eq!(count(&mut hub, Told { messages: 9, bytes: 9000 }), 1, "what is alone is said");
}

#[test]
fn what_is_settled_before_a_flush_is_bounded() {
    let limits = QueueLimits { max_messages: 8, ..LIMITS };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    let id = hub.attach(Form::Bare, Packing::Plain, 0);
    follow(&mut hub, id, &mut lines);
    let publish = |hub: &mut Hub<u64>, count| {
        (0..count).for_each(|_| hub.publish(&name(0), EPOCH, publication(1)));
    };
    assert!(
        hub.settle(&name(0), NOTHING, &mut lines) && hub.settle(&name(1), NOTHING, &mut lines),
        "there is nothing to settle"
    );
    publish(&mut hub, 3);
    assert!(hub.settle(&name(0), NOTHING, &mut lines));
    publish(&mut hub, 2);
    assert!(!hub.settle(&name(0), NOTHING, &mut lines), "five are more than half of a queue");
    assert_eq!((hub.session(id).unwrap().queue.messages(), hub.backlog()), (3, 2));
    hub.fan_out(&mut lines);
    assert_eq!((hub.session(id).unwrap().queue.messages(), hub.backlog()), (5, 0));
    drain(&mut hub, id, &mut String::new());
    publish(&mut hub, 4);
    assert!(hub.settle(&name(0), NOTHING, &mut lines));
    assert_eq!(hub.poll_overflow(), None);
}

#[test]
fn a_slow_consumer_overflows_alone() {
    let limits = QueueLimits { max_messages: 2, ..LIMITS };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    let ids = [hub.attach(Form::Bare, Packing::Plain, 0), hub.attach(Form::Bare, Packing::Plain, 0)];
    for id in ids {
        follow(&mut hub, id, &mut lines);
    }
    for offset in 1..=3 {
        hub.publish(&name(0), EPOCH, publication(offset));
        hub.fan_out(&mut lines);
        hub.session_mut(ids[1]).unwrap().queue.take_joined();
    }
    assert_eq!(hub.poll_overflow(), Some(ids[0]));
    assert_eq!(hub.poll_overflow(), None);
    let dropped = hub.send_last(ids[0], Bytes::from_static(b"close"), true);
    assert_eq!(dropped, 2);
    assert_eq!(hub.session_mut(ids[0]).unwrap().queue.take_joined(), "close");
}

#[test]
fn where_the_newest_counts_a_slow_session_is_passed_over_until_its_queue_is_empty() {
    let limits = QueueLimits { max_messages: 2, ..LIMITS };
    for packing in [Packing::Plain, Packing::Deflated, Packing::Own] {
        let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
        let id = hub.attach(Form::Envelope, packing, 0);
        follow(&mut hub, id, &mut lines);
        hub.set_slow(&name(0), Slow::Latest);
        for offset in 1..=4 {
            hub.publish(&name(0), EPOCH, publication(offset));
            hub.fan_out(&mut lines);
        }
        assert_eq!((hub.poll_overflow(), hub.passed_over()), (None, 1));
        assert_eq!(hub.followers(&name(0)).len(), 1, "it is told what happens to the channel");
        let session = hub.session_mut(id).unwrap();
        let text = session.queue.take_joined();
        assert_eq!(unpacked(std::str::from_utf8(&text).unwrap(), packing).len(), 2);
        let [behind] = hub.catch_up(id).try_into().expect("one question");
        assert_eq!(hub.catch_up(id), [], "asked once");
        assert!(hub.begin(id, behind.ticket, &name(0), EPOCH, &mut lines));
        hub.publish(&name(0), EPOCH, publication(5));
        hub.fan_out(&mut lines);
        assert_eq!(hub.session(id).unwrap().queue.messages(), 1);
    }
}

#[test]
fn who_is_passed_over_is_not_told_what_it_learns_anew() {
    let limits = QueueLimits { max_messages: 2, ..LIMITS };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    let id = hub.attach(Form::Envelope, Packing::Plain, 0);
    let tell = |hub: &mut Hub<u64>, channel| {
        hub.tell(id, &name(channel), Outgoing { bytes: Bytes::from_static(b"news\n"), messages: 1 });
    };
    follow(&mut hub, id, &mut lines);
    hub.set_slow(&name(0), Slow::Latest);
    tell(&mut hub, 0);
    tell(&mut hub, 1);
    assert_eq!(hub.session(id).unwrap().queue.messages(), 1, "the other channel is none of its own");
    for offset in 1..=2 {
        hub.publish(&name(0), EPOCH, publication(offset));
        hub.fan_out(&mut lines);
    }
    assert_eq!(hub.passed_over(), 1);
    (0..5).for_each(|_| tell(&mut hub, 0));
    assert_eq!((hub.poll_overflow(), hub.session(id).unwrap().queue.messages()), (None, 2));
}

#[test]
fn news_for_which_there_is_no_room_ends_only_who_must_have_all() {
    let limits = QueueLimits { max_messages: 2, ..LIMITS };
    for (slow, passed_over) in [(Slow::Disconnect, 0), (Slow::Latest, 1)] {
        let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
        let id = hub.attach(Form::Envelope, Packing::Plain, 0);
        follow(&mut hub, id, &mut lines);
        hub.set_slow(&name(0), slow);
        for _ in 0..5 {
            hub.tell(id, &name(0), Outgoing { bytes: Bytes::from_static(b"news\n"), messages: 1 });
        }
        assert_eq!((hub.poll_overflow().is_none(), hub.passed_over()), (passed_over == 1, passed_over));
        hub.session_mut(id).unwrap().queue.take_joined();
        assert_eq!(hub.catch_up(id).len() as u64, passed_over);
    }
}

#[test]
fn who_leaves_while_it_is_passed_over_is_forgotten() {
    let limits = QueueLimits { max_messages: 1, ..LIMITS };
    let (mut hub, mut lines) = (Hub::new(limits, 128), Lines::default());
    let ids = [(); 3].map(|()| hub.attach(Form::Envelope, Packing::Plain, 0));
    for id in ids {
        follow(&mut hub, id, &mut lines);
    }
    hub.set_slow(&name(0), Slow::Latest);
    for offset in 1..=2 {
        hub.publish(&name(0), EPOCH, publication(offset));
        hub.fan_out(&mut lines);
    }
    let left = hub.unsubscribe(ids[0], &name(0)).expect("its home knows of it");
    assert_eq!(hub.detach(ids[1]), Some((0, vec![left])));
    hub.session_mut(ids[2]).unwrap().queue.take_joined();
    let [behind] = hub.catch_up(ids[2]).try_into().expect("one question");
    assert_eq!(hub.unsubscribe(ids[2], &name(0)), None, "the answer finds it gone");
    assert!(!hub.begin(ids[2], behind.ticket, &name(0), EPOCH, &mut lines));
    assert!(hub.followers(&name(0)).is_empty());
}

#[test]
fn a_session_follows_a_bounded_number_of_channels() {
    let mut hub = Hub::new(LIMITS, 2);
    let id = hub.attach(Form::Envelope, Packing::Plain, 0);
    assert!(hub.await_home(id, &name(0), Updates::Whole).is_ok());
    assert!(hub.await_home(id, &name(1), Updates::Whole).is_ok());
    assert_eq!(hub.await_home(id, &name(2), Updates::Whole), Err(SubscribeError::TooMany));
    assert_eq!(hub.unsubscribe(id, &name(0)), None, "its home was not told of it yet");
    assert!(hub.await_home(id, &name(2), Updates::Whole).is_ok());
}

#[test]
fn an_answer_to_an_earlier_question_is_not_taken_for_the_new_one() {
    let (mut hub, mut lines) = (Hub::new(LIMITS, 128), Lines::default());
    let id = hub.attach(Form::Envelope, Packing::Plain, 0);
    let first = hub.await_home(id, &name(0), Updates::Whole).unwrap();
    hub.unsubscribe(id, &name(0));
    let second = hub.await_home(id, &name(0), Updates::Whole).unwrap();
    assert!(!hub.begin(id, first, &name(0), EPOCH, &mut lines));
    assert!(!hub.refused(id, first, &name(0)));
    assert!(hub.begin(id, second, &name(0), EPOCH, &mut lines));
    assert_eq!(hub.subscriptions(id).count(), 1);
}

#[test]
fn a_reused_place_is_another_session() {
    let mut hub: Hub<u8> = Hub::new(LIMITS, 2);
    let first = hub.attach(Form::Bare, Packing::Plain, 1);
    assert_eq!(hub.detach(first), Some((1, vec![])));
    let second = hub.attach(Form::Bare, Packing::Plain, 2);
    assert_ne!(first, second);
    assert!(hub.session(first).is_none());
    assert_eq!(hub.detach(first), None);
    assert_eq!(second.to_string().parse(), Ok(second));
    assert!("7".parse::<SessionId>().is_err());
}
