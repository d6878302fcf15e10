//! Coming back: each door that takes a position against each kind of position, on a channel and on a document.
//! The rule is one: all that was missed and in order, or a clear no and the newest document where there is
//! one, or a refusal of what is no position.

use std::cell::RefCell;

use serde_json::{Value, json};
use tidegate_end_to_end::backend::Backend;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::json_lines::{JsonLines, MEDIA_TYPE};
use tidegate_end_to_end::websocket::{Came, Dial, WebSocket};

/// Publications that are kept.
const KEPT: u64 = 5;

/// What came of coming back.
#[derive(Debug, PartialEq, Eq)]
enum Back {
    /// Whether it was recovered, where that is said, and the numbers that came then.
    Open(Option<bool>, Vec<u64>),
    /// Refused for what was sent.
    Refused,
    /// Closed with this code: a bare socket has no other way to say it.
    Closed(u16),
}

/// A door, and how a position is handed in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Bare,
    Enveloped,
    Command,
    EventStream,
    LastEventId,
    Lines,
    LongPoll,
}

const WAYS: [Way; 7] =
    [Way::Bare, Way::Enveloped, Way::Command, Way::EventStream, Way::LastEventId, Way::Lines, Way::LongPoll];

/// The kinds of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Malformed,
    OtherEpoch,
    Future,
    TooOld,
    Inside,
    Newest,
}

const KINDS: [Kind; 6] =
    [Kind::Malformed, Kind::OtherEpoch, Kind::Future, Kind::TooOld, Kind::Inside, Kind::Newest];

/// A channel of numbers from 1, each of which stands at its own offset.
struct Place<'a> {
    gateway: &'a Gateway,
    path: &'a str,
    document: bool,
    epoch: String,
    newest: RefCell<u64>,
    /// Publishes the next number.
    publish: &'a dyn Fn(u64),
}

impl Place<'_> {
    fn next(&self) {
        let number = *self.newest.borrow() + 1;
        (self.publish)(number);
        *self.newest.borrow_mut() = number;
    }

    fn position(&self, kind: Kind) -> String {
        let (epoch, newest) = (&self.epoch, *self.newest.borrow());
        match kind {
            Kind::Malformed => "yesterday".to_owned(),
            Kind::OtherEpoch => format!("zz:{newest}"),
            Kind::Future => format!("{epoch}:{}", newest + 1),
            Kind::TooOld => format!("{epoch}:{}", newest - KEPT - 1),
            Kind::Inside => format!("{epoch}:{}", newest - KEPT),
            Kind::Newest => format!("{epoch}:{newest}"),
        }
    }

    /// What the rule promises: to a position of this kind, up to one publication that follows.
    fn promised(&self, way: Way, kind: Kind) -> Back {
        let newest = *self.newest.borrow();
        let missed = match kind {
            Kind::Malformed if way != Way::LastEventId => return Back::Refused,
            Kind::Malformed | Kind::OtherEpoch | Kind::Future | Kind::TooOld => None,
            Kind::Inside => Some(newest - KEPT + 1..=newest + 1),
            Kind::Newest => Some(newest + 1..=newest + 1),
        };
        let recovered = (way != Way::Bare).then_some(missed.is_some());
        match missed {
            Some(missed) => Back::Open(recovered, missed.collect()),
            None if self.document => Back::Open(recovered, vec![newest, newest + 1]),
            None if way == Way::Bare => Back::Closed(4409),
            None => Back::Open(recovered, vec![newest + 1]),
        }
    }

    /// Comes back with a position, and hears as much as is promised.
    fn come_back(&self, way: Way, after: &str, promised: &Back) -> Back {
        let count = match promised {
            Back::Open(_, numbers) => numbers.len(),
            Back::Refused | Back::Closed(_) => 1,
        };
        let address = self.gateway.public();
        let target = format!("{}?after={after}", self.path);
        match way {
            Way::Bare => self.bare(&target, count, promised),
            Way::Enveloped => {
                let dial = Dial::new(address, &target).subprotocol("tidegate.v1");
                let Ok(mut socket) = dial.try_open().expect("an answer") else { return Back::Refused };
                let open = socket.envelope("open");
                self.hear(&open, count, || socket.envelope("message"))
            }
            Way::Command => self.command(after, count),
            Way::EventStream => self.events(&Request::get(&target), count),
            Way::LastEventId => self.events(&Request::get(self.path).header("Last-Event-ID", after), count),
            Way::Lines => {
                let stream = JsonLines::try_ask(address, &Request::get(&target), MEDIA_TYPE);
                let Ok(mut stream) = stream else { return Back::Refused };
                let open = stream.envelope("open");
                self.hear(&open, count, || stream.envelope("message"))
            }
            Way::LongPoll => self.poll(after, count),
        }
    }

    fn bare(&self, target: &str, count: usize, promised: &Back) -> Back {
        let opened = Dial::new(self.gateway.public(), target).try_open().expect("an answer");
        let Ok(mut socket) = opened else { return Back::Refused };
        let mut numbers = Vec::new();
        while numbers.len() < count {
            // It is not said when a bare subscription stands: what is published before that would make a position
            // of the future one of the present.
            if numbers.len() + 1 == count && matches!(promised, Back::Open(..)) {
                self.next();
            }
            match socket.came() {
                Came::Text(text) => numbers.push(text.parse().expect("a number")),
                Came::Close(code, _) => return Back::Closed(code),
                other => panic!("{other:?}"),
            }
        }
        Back::Open(None, numbers)
    }

    /// Polls until all has come; what is published last comes with a poll of its own.
    fn poll(&self, after: &str, count: usize) -> Back {
        let (mut after, mut recovered, mut numbers) = (after.to_owned(), None, Vec::new());
        while numbers.len() < count {
            if numbers.len() + 1 == count && recovered.is_some() {
                self.next();
            }
            let wait = if recovered.is_some() { 20 } else { 0 };
            let answer =
                Request::get(&format!("{}?after={after}&wait={wait}", self.path)).send(self.gateway.public());
            match answer.status {
                400 => return Back::Refused,
                204 => recovered = recovered.or(Some(true)),
                _ => {
                    let body = answer.json();
                    recovered = recovered.or(body["recovered"].as_bool());
                    for one in body["publications"].as_array().expect("a list") {
                        assert_eq!(one["data"], offset(one), "{body}");
                        numbers.push(offset(one));
                    }
                }
            }
            after = answer.headers.get("tidegate-position").expect("a position").to_owned();
        }
        Back::Open(recovered, numbers)
    }

    fn command(&self, after: &str, count: usize) -> Back {
        let mut socket = WebSocket::enveloped(self.gateway.public(), "/other/way");
        socket.envelope("open");
        let channel = self.path.trim_start_matches('/');
        socket.send(&json!({ "type": "subscribe", "channel": channel, "after": after, "id": 1 }).to_string());
        if socket.envelope("reply")["error"]["code"] == "bad_request" {
            return Back::Refused;
        }
        let open = socket.envelope("open");
        self.hear(&open, count, || socket.envelope("message"))
    }

    fn events(&self, request: &Request, count: usize) -> Back {
        let Ok(mut stream) = EventStream::try_ask(self.gateway.public(), request) else {
            return Back::Refused;
        };
        let open = stream.named("tidegate-open");
        self.hear(&open, count, || {
            let event = stream.message();
            json!({ "position": event.id, "data": event.data.parse::<u64>().expect("a number") })
        })
    }

    /// Hears so many messages, the last of which is published now. Each has its own place, and `open` is the
    /// place before the first.
    fn hear(&self, open: &Value, count: usize, mut message: impl FnMut() -> Value) -> Back {
        let mut place = offset(open);
        let mut numbers = Vec::new();
        while numbers.len() < count {
            if numbers.len() + 1 == count {
                self.next();
            }
            let message = message();
            place += 1;
            assert_eq!((offset(&message), &message["data"]), (place, &json!(place)), "{message}");
            numbers.push(place);
        }
        Back::Open(open["recovered"].as_bool(), numbers)
    }

    fn check(&self) {
        for kind in KINDS {
            for way in WAYS {
                let (after, promised) = (self.position(kind), self.promised(way, kind));
                assert_eq!(self.come_back(way, &after, &promised), promised, "{way:?} {kind:?} {after}");
            }
        }
    }
}

fn offset(envelope: &Value) -> u64 {
    let position = envelope["position"].as_str().unwrap_or_else(|| panic!("{envelope} has no position"));
    position.split_once(':').and_then(|(_, offset)| offset.parse().ok()).expect("epoch and offset")
}

fn epoch(position: &str) -> String {
    position.split_once(':').expect("epoch and offset").0.to_owned()
}

#[test]
fn a_channel_is_come_back_to_by_one_rule_at_every_door() {
    let gateway = Gateway::configured(&format!(
        "[listen]\nshards = 2\n\
         [[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\nhistory = {{ size = {KEPT}, ttl = \"5m\" }}\n"
    ));
    let publish = |number: u64| drop(gateway.publish("feed/a", &number.to_string()));
    (1..=KEPT + 1).for_each(publish);
    let position = gateway.publish("feed/a", &(KEPT + 2).to_string());
    let place = Place {
        gateway: &gateway,
        path: "/feed/a",
        document: false,
        epoch: epoch(&position),
        newest: RefCell::new(KEPT + 2),
        publish: &publish,
    };
    place.check();
}

#[test]
fn a_document_is_come_back_to_by_one_rule_at_every_door() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| kept.reply(asked));
    let gateway = Gateway::configured(&format!(
        "[listen]\nshards = 2\n\
         [[route]]\npath = \"/x\"\npoll = {{ url = \"{}/x\", interval = \"100ms\" }}\n\
         history = {{ size = {KEPT} }}\ndoors = [\"ndjson\", \"longpoll\"]\n\
         [[route]]\npath = \"/other/way\"\nchannel = {{}}\n",
        backend.url()
    ));
    let watching = RefCell::new(WebSocket::enveloped(gateway.public(), "/x"));
    let open = watching.borrow_mut().envelope("open");
    assert_eq!(watching.borrow_mut().envelope("message")["data"], 1);
    let publish = |number: u64| {
        document.set(&number.to_string());
        assert_eq!(watching.borrow_mut().envelope("message")["data"], number);
    };
    (2..=KEPT + 2).for_each(publish);
    let place = Place {
        gateway: &gateway,
        path: "/x",
        document: true,
        epoch: epoch(open["position"].as_str().expect("a position")),
        newest: RefCell::new(KEPT + 2),
        publish: &publish,
    };
    place.check();
}

#[test]
fn what_a_browser_remembers_wins_over_the_url_and_nothing_is_no_position() {
    let gateway = Gateway::alone(&[]);
    let first = gateway.publish("a", "1");
    gateway.publish("a", "2");
    let both = Request::get("/a?after=yesterday").header("Last-Event-ID", &first);
    let mut stream = EventStream::try_ask(gateway.public(), &both).expect("a stream");
    assert_eq!(stream.named("tidegate-open")["recovered"], true);
    assert_eq!(stream.message().data, "2");
    for target in ["/a?after=", "/a?after"] {
        let mut stream = JsonLines::open(gateway.public(), target);
        assert_eq!(stream.envelope("open")["recovered"], true, "{target}: as if it were not there");
        WebSocket::open(gateway.public(), target).close();
    }
    let mut socket = WebSocket::enveloped(gateway.public(), "/b");
    socket.envelope("open");
    socket.send(r#"{"type":"subscribe","channel":"a","after":""}"#);
    assert_eq!(socket.envelope("open")["recovered"], true);
}
