//! Passwords and tokens: what is kept of them, and whether one is right.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::EngineError;

/// Letters of the shortest password.
const SHORTEST: usize = 8;

/// What tokens begin with, so that they are found where they do not belong.
pub(super) const TOKEN_PREFIX: &str = "lakegate_";

/// A password as it is kept: Argon2id with a salt of its own, in the form `$argon2id$v=19$m=...`.
///
/// # Errors
/// [`EngineError::Invalid`] for one that is too short.
pub(super) fn hash(password: &str) -> Result<String, EngineError> {
    if password.chars().count() < SHORTEST {
        return Err(EngineError::invalid(
            "the password is too short",
            None,
            format!("take {SHORTEST} letters at least"),
        ));
    }
    hash_of(password)
}

fn hash_of(password: &str) -> Result<String, EngineError> {
    let bug = |error: argon2::password_hash::Error| EngineError::Bug(error.to_string());
    let salt = SaltString::encode_b64(Uuid::new_v4().as_bytes()).map_err(bug)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(bug)?.to_string())
}

/// The hash of a password that nobody has, to take as long over an unknown user as over a known one.
pub(super) fn hash_of_nobody() -> Result<String, EngineError> {
    hash_of(&Uuid::new_v4().to_string())
}

/// Whether a password is the one that is kept. It takes a while, and the same while for a wrong one.
pub(super) fn is_right(password: &str, kept: &str) -> bool {
    PasswordHash::new(kept).is_ok_and(|kept| {
        let verified = Argon2::default().verify_password(password.as_bytes(), &kept);
        verified.is_ok()
    })
}

/// Whether a hash can be one of a password.
pub(super) fn is_hash(kept: &str) -> bool {
    PasswordHash::new(kept).is_ok()
}

/// A token that nobody can guess.
pub(super) fn token() -> String {
    let parts = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    let bytes: Vec<u8> = parts.iter().flat_map(|part| *part.as_bytes()).collect();
    format!("{TOKEN_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of something that cannot be guessed: its SHA-256, in hexadecimal digits.
pub(super) fn fingerprint(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_is_right_and_its_hash_is_its_own() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        assert!(is_right("correct horse", &kept));
        assert!(!is_right("correct Horse", &kept));
        assert!(!is_right("", &kept));
        assert!(!is_right("correct horse", "correct horse"));
        assert_ne!(hash("correct horse").unwrap(), kept);
        assert!(hash("short").is_err());
    }

    #[test]
    fn tokens_differ_and_their_fingerprints_do_not_tell_them() {
        let (one, other) = (token(), token());
        assert_ne!(one, other);
        assert!(one.starts_with(TOKEN_PREFIX));
        assert_eq!(fingerprint(&one).len(), 64);
        assert_eq!(fingerprint(&one), fingerprint(&one));
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
}
