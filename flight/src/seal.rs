//! What clients carry for the server: JSON that they can neither change nor use for another purpose, or too late.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

/// Bytes of a signature: those of SHA-256.
const SIGNATURE_BYTES: usize = 32;

/// What something that clients carry is for. It is signed with it, so that none passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A session: who the client is, and what it has set.
    Session,
    /// A statement that is prepared.
    Statement,
    /// A statement whose rows can be fetched.
    Ticket,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Statement => "prepared statement",
            Self::Ticket => "ticket",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something that a client sent back is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// It is not what this server gave out.
    #[error("the {0} is not one of this server, or was changed")]
    Forged(Purpose),
    /// It was given out too long ago.
    #[error("the {0} has expired")]
    Expired(Purpose),
}

/// What is signed.
#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    /// When it expires, in seconds since 1970.
    until: i64,
    content: T,
}

/// The key that signs.
#[derive(Clone)]
pub(crate) struct Seal {
    key: Hmac<Sha256>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// A key that only this process knows.
    pub(crate) fn random() -> Option<Self> {
        let halves = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
        let bytes: Vec<u8> = halves.iter().flat_map(|half| *half.as_bytes()).collect();
        let key = Hmac::new_from_slice(&bytes).ok()?;
        Some(Self { key })
    }

    /// Signs something until a time: the signature, and behind it the content.
    pub(crate) fn close<T: Serialize>(
        &self,
        purpose: Purpose,
        content: T,
        until: DateTime<Utc>,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let sealed = Sealed {
            until: until.timestamp(),
            content,
        };
        let content = serde_json::to_vec(&sealed)?;
        let mut bytes = self
            .signature(purpose, &content)
            .finalize()
            .into_bytes()
            .to_vec();
        bytes.extend(content);
        Ok(bytes)
    }

    /// What was signed for this purpose, while it has not expired.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        bytes: &[u8],
        now: DateTime<Utc>,
    ) -> Result<T, SealError> {
        let forged = SealError::Forged(purpose);
        let (signature, content) = bytes.split_at_checked(SIGNATURE_BYTES).ok_or(forged)?;
        // The comparison takes as long for any bytes.
        let signed = self.signature(purpose, content).verify_slice(signature);
        signed.map_err(|_| forged)?;
        let sealed: Sealed<T> = serde_json::from_slice(content).map_err(|_| forged)?;
        if sealed.until < now.timestamp() {
            return Err(SealError::Expired(purpose));
        }
        Ok(sealed.content)
    }

    fn signature(&self, purpose: Purpose, content: &[u8]) -> Hmac<Sha256> {
        let mut signature = self.key.clone();
        signature.update(purpose.name().as_bytes());
        signature.update(&[0]);
        signature.update(content);
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn only_what_was_signed_here_for_the_purpose_is_taken() {
        let seal = Seal::random().unwrap();
        let bytes = seal.close(Purpose::Ticket, "SELECT 1", at(100)).unwrap();
        let open = |seal: &Seal, purpose, bytes: &[u8], now| -> Result<String, SealError> {
            seal.open(purpose, bytes, at(now))
        };
        assert_eq!(
            open(&seal, Purpose::Ticket, &bytes, 100).unwrap(),
            "SELECT 1"
        );
        let expired = open(&seal, Purpose::Ticket, &bytes, 101).unwrap_err();
        assert_eq!(expired, SealError::Expired(Purpose::Ticket));
        let forged = Err(SealError::Forged(Purpose::Statement));
        assert_eq!(open(&seal, Purpose::Statement, &bytes, 0), forged);
        let other = Seal::random().unwrap();
        let forged = Err(SealError::Forged(Purpose::Ticket));
        assert_eq!(open(&other, Purpose::Ticket, &bytes, 0), forged);
        assert_eq!(open(&seal, Purpose::Ticket, b"short", 0), forged);
        for changed in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[changed] ^= 1;
            assert_eq!(open(&seal, Purpose::Ticket, &bytes, 0), forged, "{changed}");
        }
    }
}
