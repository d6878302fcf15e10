//! A member of a channel, as a client of `tidegate.v1` reads it. The gateway's side of it is in `envelope`. Fields that
//! are not known are passed over.

use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_hub::Member;

/// A member as it stands in an envelope.
#[derive(Deserialize)]
pub(crate) struct WireMember<'a> {
    id: String,
    user: Option<String>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
}

impl From<WireMember<'_>> for Member {
    fn from(wire: WireMember<'_>) -> Self {
        Self {
            id: wire.id.into(),
            user: wire.user.map(Into::into),
            info: wire.info.map(|info| info.get().into()),
        }
    }
}
