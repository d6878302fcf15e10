//! Why a token does not count. Each reason has a name for metrics and a sentence for people; neither repeats
//! anything of the token.

use tidegate_inspect::words::known::{self, Known};

/// See the module's head. In the order of how far the token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rejected {
    /// Longer than `token_max_bytes`.
    TooLong,
    /// Not three parts of base64url, or a header that is not the JSON of one.
    Malformed,
    /// Something that must be understood, and is not (RFC 7515, section 4.1.11).
    Critical,
    /// None of the algorithms for which there is a key.
    Algorithm,
    /// The key that it names is not known.
    UnknownKey,
    /// No key verifies it.
    Signature,
    /// Signed, but its claims are not those of a token: `exp` is missing, a time is no number, a list no list.
    Claims,
    /// `iss` is another.
    Issuer,
    /// `aud` is another, or is there and none is configured.
    Audience,
    /// `nbf` lies ahead.
    NotYetValid,
    /// `exp` has passed.
    Expired,
}

impl Rejected {
    /// The label of its metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Critical => "critical",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }

    /// Its number, and what is to be done.
    pub(crate) fn known(self) -> &'static Known {
        match self {
            Self::TooLong => known::TOKEN_TOO_LONG,
            Self::Malformed => known::TOKEN_MALFORMED,
            Self::Critical => known::TOKEN_CRITICAL,
            Self::Algorithm => known::TOKEN_ALGORITHM,
            Self::UnknownKey => known::TOKEN_UNKNOWN_KEY,
            Self::Signature => known::TOKEN_SIGNATURE,
            Self::Claims => known::TOKEN_CLAIMS,
            Self::Issuer => known::TOKEN_ISSUER,
            Self::Audience => known::TOKEN_AUDIENCE,
            Self::NotYetValid => known::TOKEN_NOT_YET,
            Self::Expired => known::TOKEN_EXPIRED,
        }
    }

    /// For the client; it stands in a header field, so it has no quotes.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than token_max_bytes",
            Self::Malformed => "the token is not a JSON Web Token in compact form",
            Self::Critical => "the token has a header field that must be understood and is not",
            Self::Algorithm => "the token is signed with an algorithm that is not configured",
            Self::UnknownKey => "the token is signed with a key that is not known",
            Self::Signature => "the signature of the token does not hold",
            Self::Claims => {
                "the claims of the token cannot be used: exp is required, times are numbers, channels are lists of path patterns"
            }
            Self::Issuer => "the token is by another issuer",
            Self::Audience => "the token is for another audience",
            Self::NotYetValid => "the token is not valid yet",
            Self::Expired => "the token has expired",
        }
    }

    /// Whether it may be somebody's guess. Whoever presents a token that was once good guesses nothing.
    pub(crate) fn is_guess(self) -> bool {
        !matches!(self, Self::NotYetValid | Self::Expired)
    }
}
