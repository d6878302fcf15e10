//! The form of HAR 1.2 as far as WebSockets are in it, with `_webSocketMessages` as Chrome has them since version 76.
//!
//! Unknown members are passed over; what other tools leave out has a default.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize, Deserialize)]
pub(super) struct Har {
    pub(super) log: Log,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Log {
    pub(super) version: String,
    pub(super) creator: Creator,
    #[serde(default)]
    pub(super) entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct Creator {
    pub(super) name: String,
    pub(super) version: String,
}

/// One connection.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) started_date_time: String,
    /// Milliseconds; of a WebSocket as long as it was open.
    #[serde(default)]
    pub(super) time: f64,
    #[serde(default)]
    pub(super) request: Request,
    #[serde(default)]
    pub(super) response: Response,
    #[serde(default)]
    pub(super) cache: Cache,
    #[serde(default)]
    pub(super) timings: Timings,
    #[serde(rename = "_resourceType", default)]
    pub(super) resource_type: String,
    #[serde(rename = "_webSocketMessages", default, skip_serializing_if = "Option::is_none")]
    pub(super) messages: Option<Vec<Message>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connection: Option<String>,
    /// What HAR has no place for: control frames, broken rules, the end, as events of our schema.
    #[serde(rename = "_tidegate", default, skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<Beside>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Beside {
    pub(super) events: Vec<Box<RawValue>>,
    /// Events that were beyond the bound of the recording.
    #[serde(default)]
    pub(super) dropped: u64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) http_version: String,
    pub(super) headers: Vec<Field>,
    pub(super) query_string: Vec<Field>,
    pub(super) cookies: Vec<Field>,
    pub(super) headers_size: i64,
    pub(super) body_size: i64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) status_text: String,
    pub(super) http_version: String,
    pub(super) headers: Vec<Field>,
    pub(super) cookies: Vec<Field>,
    pub(super) content: Content,
    #[serde(rename = "redirectURL")]
    pub(super) redirect_url: String,
    pub(super) headers_size: i64,
    pub(super) body_size: i64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Content {
    pub(super) size: i64,
    pub(super) mime_type: String,
}

#[derive(Serialize, Deserialize, Default)]
pub(super) struct Cache {}

#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Timings {
    pub(super) send: f64,
    pub(super) wait: f64,
    pub(super) receive: f64,
}

impl Default for Timings {
    /// -1 says that it is not known.
    fn default() -> Self {
        Self { send: 0.0, wait: -1.0, receive: 0.0 }
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: String,
}

/// A message. Of opcode 1 the data is text, of others base64.
#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    /// `send` goes to the server, `receive` comes from it.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Seconds since 1970.
    pub(super) time: f64,
    pub(super) opcode: u8,
    pub(super) data: String,
    /// More of it was not kept.
    #[serde(rename = "_truncated", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) truncated: bool,
}
