//! `users.json`: who may come in. `lakegate user` writes it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::password;
use crate::EngineError;

/// The users of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    version: u32,
    users: BTreeMap<String, UserEntry>,
}

/// A user, as they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// The names of their roles.
    pub roles: Vec<String>,
    /// The hash of their password; without one they come in by token or certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<String>,
    /// Their tokens by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tokens: BTreeMap<String, TokenEntry>,
}

/// A token, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenEntry {
    /// Its fingerprint.
    pub(super) sha256: String,
    /// Until when it can be used; for good when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// Somebody who is to become a user.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// The names of the roles.
    pub roles: Vec<String>,
    /// The password; without one they come in by token or certificate.
    pub password: Option<String>,
}

impl UserEntry {
    /// Whether they have a password.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Their tokens by name, with the time at which each expires.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, Option<DateTime<Utc>>)> {
        let tokens = self.tokens.iter();
        tokens.map(|(name, token)| (name.as_str(), token.expires_at))
    }
}

impl Default for UserFile {
    fn default() -> Self {
        Self {
            version: 1,
            users: BTreeMap::new(),
        }
    }
}

impl UserFile {
    /// Reads a file; none when there is no such file.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when it does not hold users, [`EngineError::Failed`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, EngineError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", path, error)),
        };
        let invalid = |what: String| {
            EngineError::invalid(
                format!("`{}` does not hold users: {what}", path.display()),
                None,
                "`lakegate user` writes this file: undo what was changed by hand".to_owned(),
            )
        };
        let file: Self =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        if file.version != 1 {
            return Err(invalid(format!("version {} is not known", file.version)));
        }
        for (name, user) in &file.users {
            let password = user.password.iter();
            if let Some(kept) = password.into_iter().find(|kept| !password::is_hash(kept)) {
                let length = kept.len();
                return Err(invalid(format!(
                    "the password of `{name}` is {length} letters that are no hash"
                )));
            }
        }
        Ok(Some(file))
    }

    /// Writes the file, whole or not at all. Nobody but its owner can read it.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it cannot be written; [`EngineError::Invalid`] when it is no longer as it was read.
    pub fn write(&self, path: &Path, read: Option<&Self>) -> Result<(), EngineError> {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| EngineError::Bug(error.to_string()))?;
        text.push('\n');
        // A temporary file is its owner's alone.
        let mut file =
            NamedTempFile::new_in(folder).map_err(|error| failed("write", path, error))?;
        let written = file.write_all(text.as_bytes());
        written
            .and_then(|()| file.as_file().sync_all())
            .map_err(|error| failed("write", path, error))?;
        if Self::read(path)?.as_ref() != read {
            return Err(EngineError::invalid(
                format!("`{}` was changed meanwhile", path.display()),
                None,
                "run the command again".to_owned(),
            ));
        }
        file.persist(path)
            .map(drop)
            .map_err(|error| failed("write", path, error.error))
    }

    /// The users by name.
    pub fn users(&self) -> &BTreeMap<String, UserEntry> {
        &self.users
    }

    /// Adds a user.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a name that is taken or none, and for a password that is too short.
    pub fn add(&mut self, new: NewUser) -> Result<(), EngineError> {
        let NewUser {
            name,
            roles,
            password,
        } = new;
        let is_name = !name.is_empty()
            && name.len() <= MOST_NAME_BYTES
            && name
                .chars()
                .all(|letter| !letter.is_control() && letter != ':')
            && name.trim() == name;
        if !is_name {
            return Err(EngineError::invalid(
                format!("`{name}` cannot be the name of a user"),
                None,
                "take letters without `:`, and without space at either end".to_owned(),
            ));
        }
        if self.users.contains_key(&name) {
            return Err(EngineError::invalid(
                format!("there is a user `{name}` already"),
                None,
                "`lakegate user password`, `roles` and `token` change one".to_owned(),
            ));
        }
        let password = password.as_deref().map(password::hash).transpose()?;
        let entry = UserEntry {
            roles,
            password,
            tokens: BTreeMap::new(),
        };
        self.users.insert(name, entry);
        Ok(())
    }

    /// Gives a user another password.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when there is no such user, or for a password that is too short.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), EngineError> {
        let hash = password::hash(password)?;
        self.user(name)?.password = Some(hash);
        Ok(())
    }

    /// Gives a user other roles.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when there is no such user.
    pub fn set_roles(&mut self, name: &str, roles: Vec<String>) -> Result<(), EngineError> {
        self.user(name)?.roles = roles;
        Ok(())
    }

    /// Makes a token for a user. What is returned is kept nowhere.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when there is no such user, or the token's name is taken.
    pub fn add_token(
        &mut self,
        name: &str,
        token_name: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<String, EngineError> {
        let user = self.user(name)?;
        if user.tokens.contains_key(token_name) {
            return Err(EngineError::invalid(
                format!("`{name}` has a token `{token_name}` already"),
                None,
                "choose another name, or revoke that one with `lakegate user revoke`".to_owned(),
            ));
        }
        let token = password::token();
        let entry = TokenEntry {
            sha256: password::fingerprint(&token),
            expires_at,
        };
        user.tokens.insert(token_name.to_owned(), entry);
        Ok(token)
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when there is none of that name.
    pub fn revoke(&mut self, name: &str, token_name: &str) -> Result<(), EngineError> {
        match self.user(name)?.tokens.remove(token_name) {
            Some(_) => Ok(()),
            None => Err(EngineError::invalid(
                format!("`{name}` has no token `{token_name}`"),
                None,
                "`lakegate user list` shows tokens".to_owned(),
            )),
        }
    }

    /// Takes a user away.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when there is no such user.
    pub fn remove(&mut self, name: &str) -> Result<(), EngineError> {
        self.user(name)?;
        self.users.remove(name);
        Ok(())
    }

    fn user(&mut self, name: &str) -> Result<&mut UserEntry, EngineError> {
        let user = self.users.get_mut(name);
        user.ok_or_else(|| {
            EngineError::invalid(
                format!("there is no user `{name}`"),
                None,
                "`lakegate user list` shows the users there are".to_owned(),
            )
        })
    }
}

/// Bytes of the longest name of a user.
const MOST_NAME_BYTES: usize = 128;

pub(super) fn failed(doing: &str, path: &Path, error: std::io::Error) -> EngineError {
    EngineError::Failed {
        message: format!("cannot {doing} `{}`", path.display()),
        source: Box::new(error),
        hint: None,
    }
}
