//! What clients say, handled: bare messages and `tidegate.v1` commands become subscriptions, publications
//! and requests to the server behind the channel. Comes from the shards' inboxes.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode};
use tidegate_hub::{
    ChannelName, Form, Payload, PayloadKind, Position, PositionError, Session, SessionId, SubscribeError,
};
use tidegate_inspect::words::known;
use tidegate_protocol::envelope::{self, Reply};
use tidegate_protocol::{Command, CommandError, Content, ErrorCode, Failing, RequestId};

use crate::access::{Credentials, check_publish, check_subscribe};
use crate::open::{Wanted, open};
use crate::publish::publish;
use crate::refusal::{Refusal, failing};
use crate::route::{Messages, Publish};
use crate::shard::connection::About;
use crate::shard::crossing::Resume;
use crate::shard::encoder::{frame_of, opcode_of};
use crate::shard::{Closing, Said, Shard, ShardRef};
use crate::sources::OpenChannel;

/// A client's message on its way to the server behind its channel.
struct Letter {
    wanted: Wanted,
    payload: Payload,
    /// As the client named it; none for bare messages.
    channel: Option<String>,
    id: Option<RequestId>,
    /// Of its client, whose place is not free before the last letter has gone: else whoever comes back again and
    /// again could leave any number of letters.
    about: Rc<About>,
}

/// Handles what the clients of one shard say. Messages of one client go to its server one after another.
pub(crate) struct Desk {
    shard: ShardRef,
    /// Letters that wait, by client; a client is in here while one of its letters is on its way.
    waiting: RefCell<HashMap<SessionId, VecDeque<Letter>>>,
    /// Channels that are being opened for a client: an unsubscribe that comes meanwhile takes its one out.
    opening: RefCell<HashSet<(SessionId, String)>>,
}

/// What there is to know about the session that spoke.
struct Speaker {
    form: Form,
    about: Rc<About>,
}

impl Desk {
    pub(crate) fn new(shard: ShardRef) -> Self {
        Self { shard, waiting: RefCell::default(), opening: RefCell::default() }
    }

    /// Takes all that the last round has left in the inbox.
    pub(crate) fn take_inbox(self: &Rc<Self>) {
        let inbox = self.shard.tidy(|shard| shard.take_inbox());
        for (id, Said::Message(payload)) in inbox {
            let Some(speaker) = self.shard.look(|shard| Speaker::of(shard, id)) else { continue };
            match speaker.form {
                Form::Bare => self.handle_bare(id, speaker, payload),
                Form::Envelope => self.handle_envelope(id, speaker, &payload),
                // What comes on a body that is being answered is no message.
                Form::EventStream | Form::Lines | Form::LongPoll => {}
            }
        }
    }

    fn handle_bare(self: &Rc<Self>, id: SessionId, speaker: Speaker, payload: Payload) {
        let about = speaker.about;
        if about.route.publish != Publish::Nobody {
            match check_publish(&about.route, &about.channel, &about.credentials) {
                Ok(()) => self.publish(id, about.channel.clone(), None, payload, None),
                Err(refusal) => self.close_for(id, &refusal),
            }
            return;
        }
        let Messages::Post { .. } = about.route.messages else {
            let closing = Closing::of(known::PUBLISHING_CLOSED, "this route takes no messages");
            self.shard.with(|shard| shard.close(id, closing));
            return;
        };
        match self.wanted(about.channel.public_part(), &about.credentials) {
            Ok(wanted) => self.post(id, Letter { wanted, payload, channel: None, id: None, about }),
            Err(refusal) => self.close_for(id, &refusal),
        }
    }

    fn handle_envelope(self: &Rc<Self>, id: SessionId, speaker: Speaker, payload: &Payload) {
        let command = match payload.as_text().map(Command::parse) {
            Some(Ok(command)) => command,
            Some(Err(CommandError { message, id: request })) => {
                self.fail(id, request.as_ref(), None, failing(known::BAD_COMMAND, &message));
                return;
            }
            None => {
                self.fail(id, None, None, failing(known::BAD_COMMAND, "a command is a text message"));
                return;
            }
        };
        match command {
            Command::Subscribe { channel, after, updates, id: request } => {
                let after = after.as_deref().filter(|text| !text.is_empty()).map(position_of).transpose();
                let resume = after.map(|after| Resume { after, updates });
                self.subscribe(id, speaker, channel, resume, request);
            }
            Command::Unsubscribe { channel, id: request } => {
                self.unsubscribe(id, &channel, request.as_ref());
            }
            Command::Message { channel, content, id: request } => {
                self.message(id, speaker, channel, content, request);
            }
        }
    }

    fn subscribe(
        self: &Rc<Self>,
        id: SessionId,
        speaker: Speaker,
        channel: String,
        resume: Result<Resume, Refusal>,
        request: Option<RequestId>,
    ) {
        let may = self.shard.with(|shard| shard.may_subscribe(id));
        if !may {
            let reason = "subscribe_rate: too many subscriptions in too short a time";
            self.fail(id, request.as_ref(), Some(&channel), failing(known::SUBSCRIBE_RATE, reason));
            return;
        }
        let allowed = self.wanted(&channel, &speaker.about.credentials).and_then(|wanted| {
            check_subscribe(&wanted.route, &wanted.name, &speaker.about.credentials)?;
            Ok((resume?, wanted))
        });
        let (resume, wanted) = match allowed {
            Ok(both) => both,
            Err(refusal) => {
                self.refuse(id, request.as_ref(), &channel, &refusal);
                return;
            }
        };
        let place = (id, wanted.name.to_string());
        if !self.opening.borrow_mut().insert(place.clone()) {
            let reason = "the channel is being subscribed to already";
            self.fail(id, request.as_ref(), Some(&channel), failing(known::FOLLOWED_ALREADY, reason));
            return;
        }
        let desk = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let opened = open(&desk.shard, wanted).await;
            if !desk.opening.borrow_mut().remove(&place) {
                let reason = "unsubscribed before it was there";
                desk.fail(id, request.as_ref(), Some(&channel), failing(known::NOT_FOLLOWED, reason));
                return;
            }
            match opened {
                Ok(open) => desk.begin(id, &open, resume, &channel, request.as_ref()),
                Err(refusal) => desk.refuse(id, request.as_ref(), &channel, &refusal),
            }
        });
    }

    fn begin(
        &self,
        id: SessionId,
        open: &OpenChannel,
        resume: Resume,
        channel: &str,
        request: Option<&RequestId>,
    ) {
        let result = self.shard.with(|shard| {
            let result = shard.subscribe(id, &open.name, resume, open.retention, open.sourced);
            if result.is_ok() && request.is_some() {
                shard.reply(id, request, Some(channel), Reply::Done);
            }
            result
        });
        match result {
            Ok(()) | Err(SubscribeError::Gone) => {}
            Err(SubscribeError::Twice) => {
                let reason = "the channel is followed already";
                self.fail(id, request, Some(channel), failing(known::FOLLOWED_ALREADY, reason));
            }
            Err(SubscribeError::TooMany) => {
                let reason = "channels_max_per_conn: as many channels are followed as may be";
                self.fail(id, request, Some(channel), failing(known::CHANNELS_OF_CONNECTION, reason));
            }
        }
    }

    fn unsubscribe(&self, id: SessionId, channel: &str, request: Option<&RequestId>) {
        let named = ChannelName::from_text(channel).map(|name| name.to_string()).unwrap_or_default();
        if self.opening.borrow_mut().remove(&(id, named)) {
            if request.is_some() {
                self.shard.with(|shard| shard.reply(id, request, Some(channel), Reply::Done));
            }
            return;
        }
        let followed = self.shard.look(|shard| {
            let named = ChannelName::from_text(channel).ok()?;
            let same = |name: &&ChannelName| name.public_part() == named.public_part();
            shard.hub.subscriptions(id).find(same).cloned()
        });
        let Some(name) = followed else {
            let reason = "the channel is not followed";
            self.fail(id, request, Some(channel), failing(known::NOT_FOLLOWED, reason));
            return;
        };
        self.shard.with(|shard| {
            shard.unsubscribe(id, &name);
            if request.is_some() {
                shard.reply(id, request, Some(channel), Reply::Done);
            }
        });
    }

    fn message(
        self: &Rc<Self>,
        id: SessionId,
        speaker: Speaker,
        channel: Option<String>,
        content: Content,
        request: Option<RequestId>,
    ) {
        let name = channel.clone().unwrap_or_else(|| speaker.about.channel.public_part().to_owned());
        let allowed = self.wanted(&name, &speaker.about.credentials).and_then(|wanted| {
            let check = if wanted.route.posts() { check_subscribe } else { check_publish };
            check(&wanted.route, &wanted.name, &speaker.about.credentials)?;
            Ok(wanted)
        });
        match allowed {
            Err(refusal) => self.refuse(id, request.as_ref(), &name, &refusal),
            Ok(wanted) if wanted.route.posts() => {
                let (payload, about) = (content.payload, speaker.about);
                self.post(id, Letter { wanted, payload, channel: Some(name), id: request, about });
            }
            Ok(wanted) => self.publish(id, wanted.name, Some(name), content.payload, request),
        }
    }

    /// Publishes for a client. The home takes publications of one client in the order in which they came.
    fn publish(
        self: &Rc<Self>,
        id: SessionId,
        name: ChannelName,
        channel: Option<String>,
        payload: Payload,
        request: Option<RequestId>,
    ) {
        let publishing = publish(&self.shard, &name, payload.into());
        let desk = Rc::clone(self);
        tokio::task::spawn_local(async move {
            match publishing.await {
                Err(refusal) if channel.is_none() => {
                    tracing::info!(event = "publish_refused", channel = %name, "{}", refusal.sentence);
                    // A bare client hears payloads and nothing else: the close says what is lost.
                    desk.close_for(id, &refusal);
                }
                Ok(published) if request.is_some() => desk.shard.with(|shard| {
                    let reply = Reply::Published(published.position);
                    shard.reply(id, request.as_ref(), channel.as_deref(), reply);
                }),
                Ok(_) => {}
                Err(refusal) => {
                    desk.refuse(id, request.as_ref(), channel.as_deref().unwrap_or_default(), &refusal)
                }
            }
        });
    }

    /// Puts a letter behind those of the same client. Reading pauses while as many wait as may, and no turn of a
    /// session brings more than that.
    fn post(self: &Rc<Self>, id: SessionId, letter: Letter) {
        let mut waiting = self.waiting.borrow_mut();
        let idle = !waiting.contains_key(&id);
        let letters = waiting.entry(id).or_default();
        letters.push_back(letter);
        self.shard.tidy(|shard| shard.note_letters(id, letters.len()));
        if idle {
            let desk = Rc::clone(self);
            tokio::task::spawn_local(async move { desk.send_letters(id).await });
        }
    }

    async fn send_letters(self: Rc<Self>, id: SessionId) {
        loop {
            let (next, left) = {
                let mut waiting = self.waiting.borrow_mut();
                let letter = waiting.get_mut(&id).and_then(VecDeque::pop_front);
                if letter.is_none() {
                    waiting.remove(&id);
                }
                (letter, waiting.get(&id).map_or(0, VecDeque::len))
            };
            self.shard.with(|shard| shard.note_letters(id, left));
            // What a client said before it went is still said; only the answer finds nobody.
            let Some(letter) = next else { return };
            self.send_letter(id, letter).await;
        }
    }

    async fn send_letter(&self, id: SessionId, letter: Letter) {
        let upstream = self.shard.look(|shard| shard.upstream.clone());
        let Letter { wanted, payload, channel, id: request, about } = letter;
        let Some(post) = post_request(&wanted, &payload, &about.credentials) else { return };
        let answer = upstream.fetch(post).await;
        match answer {
            Ok(answer) if answer.status().is_success() => {
                let payload = answer_payload(answer);
                self.shard.with(|shard| shard.pass_answer(id, request.as_ref(), channel.as_deref(), payload));
            }
            Ok(answer) => {
                let refusal = Refusal::of_backend(answer);
                tracing::debug!(event = "message_refused", channel = %wanted.name, "{}", refusal.sentence);
                self.tell_failure(id, request.as_ref(), channel.as_deref(), &refusal);
            }
            Err(error) => {
                let refusal = Refusal::of_upstream(&error);
                tracing::info!(event = "message_failed", number = %refusal.known, channel = %wanted.name, "{error}");
                self.tell_failure(id, request.as_ref(), channel.as_deref(), &refusal);
            }
        }
    }

    /// Bare clients see no upstream errors.
    fn tell_failure(
        &self,
        id: SessionId,
        request: Option<&RequestId>,
        channel: Option<&str>,
        refusal: &Refusal,
    ) {
        if let Some(channel) = channel {
            let code = match refusal.status {
                StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
                StatusCode::FORBIDDEN => ErrorCode::Forbidden,
                _ => ErrorCode::Upstream,
            };
            self.fail(id, request, Some(channel), Failing { code, ..refusal.failing() });
        }
    }

    fn wanted(&self, channel: &str, credentials: &Credentials) -> Result<Wanted, Refusal> {
        let generation = self.shard.look(|shard| Arc::clone(&shard.generation));
        let bad = |error: tidegate_hub::NameError| Refusal::of(known::BAD_NAME, error.to_string());
        let name = ChannelName::from_text(channel).map_err(bad)?;
        let query = name.query().map(str::to_owned);
        let Some(found) = generation.settings.routes.find_name(name.path_part()) else {
            return Err(Refusal::of(known::NO_ROUTE, format!("no route for /{}", name.path_part())));
        };
        Wanted::new(name, &found, query.as_deref(), credentials)
    }

    fn refuse(&self, id: SessionId, request: Option<&RequestId>, channel: &str, refusal: &Refusal) {
        self.shard.tidy(|shard| shard.counters.credential_refused(refusal.credential));
        self.fail(id, request, Some(channel), refusal.failing());
    }

    /// An `error` envelope, or a reply that says the same where the command carried an id.
    fn fail(&self, id: SessionId, request: Option<&RequestId>, channel: Option<&str>, failing: Failing<'_>) {
        self.shard.with(|shard| match request {
            Some(_) => shard.reply(id, request, channel, Reply::Failed(failing)),
            None => shard.send_error(id, channel, failing),
        });
    }

    fn close_for(&self, id: SessionId, refusal: &Refusal) {
        self.shard.with(|shard| {
            shard.counters.credential_refused(refusal.credential);
            let (reason, known) = (&refusal.sentence, Some(refusal.known));
            let closing = Closing { code: refusal.close_code(), reason, known, ..Closing::default() };
            shard.close(id, closing);
        });
    }
}

impl Speaker {
    fn of(shard: &Shard, id: SessionId) -> Option<Self> {
        let session = shard.hub.session(id)?;
        Some(Self { form: Session::form(session), about: Rc::clone(&session.attachment.about) })
    }
}

impl Shard {
    fn reply(&mut self, id: SessionId, request: Option<&RequestId>, channel: Option<&str>, reply: Reply<'_>) {
        let frame = self.encoder.text_frame(|text| envelope::write_reply(text, request, channel, reply));
        self.send(id, frame, 1);
    }

    /// What the server answered goes back to the client whose message it was.
    fn pass_answer(
        &mut self,
        id: SessionId,
        request: Option<&RequestId>,
        channel: Option<&str>,
        payload: Option<Payload>,
    ) {
        match (channel, payload) {
            (None, Some(payload)) => self.send(id, frame_of(opcode_of(payload.kind()), payload.bytes()), 1),
            (None, None) => {}
            (Some(_), Some(payload)) => self.reply(id, request, channel, Reply::Answer(&payload)),
            (Some(_), None) if request.is_some() => self.reply(id, request, channel, Reply::Done),
            (Some(_), None) => {}
        }
    }
}

/// The position in a client's `after`.
pub(crate) fn position_of(text: &str) -> Result<Position, Refusal> {
    let refused = |error: PositionError| Refusal::of(known::BAD_AFTER, format!("'after': {error}"));
    text.parse().map_err(refused)
}

fn post_request(wanted: &Wanted, payload: &Payload, credentials: &Credentials) -> Option<Request<Bytes>> {
    let mut request = Request::new(payload.bytes().clone());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = wanted.uri()?.clone();
    *request.headers_mut() = credentials.own();
    let stated = match &wanted.route.messages {
        Messages::Post { content_type: Some(stated) } => HeaderValue::from_str(stated).ok(),
        Messages::Post { content_type: None } | Messages::Refused => None,
    };
    let plain = match payload.kind() {
        PayloadKind::Text => HeaderValue::from_static("text/plain"),
        PayloadKind::Binary => HeaderValue::from_static("application/octet-stream"),
    };
    request.headers_mut().insert(CONTENT_TYPE, stated.unwrap_or(plain));
    Some(request)
}

/// Text where the answer is text, else binary; nothing where there is no body.
fn answer_payload(answer: http::Response<Bytes>) -> Option<Payload> {
    let binary = answer.headers().get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.to_str().unwrap_or_default();
        value.starts_with("application/octet-stream") || value.starts_with("image/")
    });
    let body = answer.into_body();
    match body.is_empty() {
        true => None,
        false if binary => Some(Payload::binary(body)),
        false => Some(Payload::guess(body)),
    }
}
