//! Subscribers and publishers whose deliveries are counted: the gateway is a process, it is stopped and continued by
//! signals, and its own counter of writes is the measure. Nothing here looks at a clock.
//!
//! The gateway has one shard, unless a test wants more, and pings nobody within a test, so that every write is a delivery.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use serde_json::Value;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Incoming, Request};
use tidegate_end_to_end::stream::Stream;
use tidegate_end_to_end::websocket::{Dial, WebSocket};
use tidegate_websocket::deflate::Offer;

/// Everything that is published here is compressed for those who agreed on it.
fn configuration(shards: usize) -> String {
    format!(
        "[listen]\nshards = {shards}\n\
         [limits]\nws_ping_interval = \"1h\"\ndeflate_min_bytes = \"64 B\"\n\
         [[route]]\npath = \"/counted\"\nchannel = {{}}\n"
    )
}

/// A gateway with subscribers of its one channel.
pub struct Audience {
    gateway: Gateway,
    subscribers: Vec<WebSocket>,
}

impl Audience {
    /// So many subscribers, all of whom have their subscription.
    #[must_use]
    pub fn of(count: usize) -> Self {
        Self::with(1, count, None)
    }

    /// The same with permessage-deflate, on so many shards.
    #[must_use]
    pub fn deflated(shards: usize, count: usize) -> Self {
        Self::with(shards, count, Some(Offer::default()))
    }

    fn with(shards: usize, count: usize, offer: Option<Offer>) -> Self {
        let gateway = Gateway::configured(&configuration(shards));
        let dial = Dial::new(gateway.public(), "/counted");
        let dial = offer.into_iter().fold(dial, Dial::deflate);
        let open = |_| dial.open();
        let subscribers: Vec<WebSocket> = (0..count).map(open).collect();
        gateway.wait_subscribers("counted", count as u64);
        Self { gateway, subscribers }
    }

    /// System calls that wrote to clients so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.gateway.metric("tidegate_writes_total") as u64
    }

    /// Messages that were compressed so far.
    #[must_use]
    pub fn compressed(&self) -> u64 {
        self.gateway.metric("tidegate_deflated_messages_total") as u64
    }

    /// How many shards have subscribers.
    ///
    /// # Panics
    ///
    /// If the admin listener does not say.
    #[must_use]
    pub fn shards(&self) -> u64 {
        let all = self.gateway.ask_admin(Request::get("/connections?limit=1000")).json();
        let all = all["connections"].as_array().expect("a list").iter();
        let shard = |one: &Value| one["id"].as_str().and_then(|id| id.split('-').next().map(str::to_owned));
        all.filter_map(shard).collect::<BTreeSet<_>>().len() as u64
    }

    /// Publishes one text and waits until everybody has it.
    ///
    /// # Panics
    ///
    /// If somebody gets something else.
    pub fn publish(&mut self, text: &str) {
        self.gateway.publish("counted", text);
        self.everybody_gets(text);
    }

    fn everybody_gets(&mut self, text: &str) {
        self.subscribers.iter_mut().for_each(|subscriber| assert_eq!(subscriber.text(), text));
    }

    /// Connections for publishing, each used once, so that the gateway has nothing left to set up.
    ///
    /// # Panics
    ///
    /// If one of them cannot publish.
    #[must_use]
    pub fn publishers<const N: usize>(&mut self) -> [Stream; N] {
        std::array::from_fn(|number| {
            let stream = Stream::connect(self.gateway.admin()).expect("the admin listener takes connections");
            let mut publisher = [stream];
            self.send(&mut publisher, number);
            let [stream] = confirmed(publisher);
            self.everybody_gets(&text(number));
            stream
        })
    }

    /// Publishes on each connection while the gateway is stopped, so that all of it is there in its next round,
    /// and waits until everybody has everything. Gives the connections back.
    ///
    /// # Panics
    ///
    /// If somebody does not get everything once.
    #[must_use]
    pub fn publish_in_one_round<const N: usize>(&mut self, mut publishers: [Stream; N]) -> [Stream; N] {
        self.gateway.signal(Signal::STOP);
        // The gateway is a child of this process: this returns when all of its threads have stopped.
        waitid(WaitId::All, WaitIdOptions::STOPPED).expect("a child that stops");
        self.send(&mut publishers, 0);
        self.gateway.signal(Signal::CONT);
        let publishers = confirmed(publishers);
        let expected: Vec<String> = (0..N).map(text).collect();
        for subscriber in &mut self.subscribers {
            // Which publisher comes first is the gateway's choice.
            let mut came: Vec<String> = (0..N).map(|_| subscriber.text()).collect();
            came.sort();
            assert_eq!(came, expected);
        }
        publishers
    }

    /// One publication on each connection, without waiting for answers; the first is `first`.
    fn send(&self, publishers: &mut [Stream], first: usize) {
        let host = self.gateway.admin().to_string();
        for (number, publisher) in (first..).zip(publishers) {
            let request = Request::post("/channels/counted", text(number))
                .header("Content-Type", "text/plain")
                .header("Authorization", format_args!("Bearer {}", self.gateway.token()));
            publisher.send(&request.bytes(&host)).expect("a connection that takes a request");
        }
    }
}

/// Two digits, so that text sorts as numbers do, and enough behind them for compression to pay.
#[must_use]
pub fn text(number: usize) -> String {
    format!("publication {number:02}{}", " of many".repeat(20))
}

/// Waits for the answer on each connection.
fn confirmed<const N: usize>(publishers: [Stream; N]) -> [Stream; N] {
    publishers.map(|publisher| {
        let answer = Incoming::read(publisher, false).and_then(Incoming::whole_and_stream);
        let (answer, stream) = answer.expect("an answer to a publication");
        assert_eq!(answer.status, 201, "{}", answer.text());
        stream
    })
}
