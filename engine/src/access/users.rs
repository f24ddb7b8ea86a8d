//! The users of a server, as their files have them: what is changed there holds from the next call on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakegate_rules::yaml::{self, nearest_hint};
use tokio::sync::Semaphore;
use tracing::error;

use super::user_file::failed;
use super::{Grants, UserEntry, UserFile, password, roles};
use crate::{EngineError, Watched};

/// Passwords that are looked at at once: each takes 19 MiB and a processor for a while.
const PASSWORDS_AT_ONCE: usize = 2;

/// Passwords that are looked at or wait for it.
const MOST_PASSWORDS: usize = 1000;

/// Somebody who has shown who they are.
#[derive(Debug, Clone)]
pub struct Login {
    /// Who they are.
    pub principal: String,
    /// What they showed: as long as it is theirs, a session goes on.
    pub credential: String,
    /// What they may do.
    pub grants: Arc<Grants>,
}

/// More log in at once than are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyLogins;

/// The users of a server.
#[derive(Debug)]
pub struct Users {
    known: Watched<Known, EngineError>,
    hash_of_nobody: String,
    passwords: Semaphore,
    waiting: Semaphore,
}

#[derive(Debug)]
struct Known {
    users: BTreeMap<String, KnownUser>,
    /// What is wrong with roles, and the way out. Whoever has such a role has nothing by it.
    problem: Option<Box<(String, Option<String>)>>,
}

#[derive(Debug)]
struct KnownUser {
    entry: UserEntry,
    grants: Arc<Grants>,
}

impl Users {
    /// The credential of who showed a certificate: whoever goes on with it has to show that certificate again.
    pub const CERTIFICATE: &str = "certificate";

    /// The users of a file, with the roles of another one; that one need not be there.
    ///
    /// # Errors
    /// [`EngineError::NotFound`](crate::ErrorKind::NotFound) without the file of users; [`EngineError::Invalid`] for what
    /// is wrong with either.
    pub fn open(users: PathBuf, roles: PathBuf) -> Result<Self, EngineError> {
        let files = vec![users.clone(), roles.clone()];
        Ok(Self {
            known: {
                let known = Watched::open(files, move || Known::read(&users, &roles))?;
                match known.get().problem.as_deref() {
                    Some((message, hint)) => {
                        return Err(EngineError::invalid(message, None, hint.clone()));
                    }
                    None => known,
                }
            },
            hash_of_nobody: password::hash_of_nobody()?,
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            waiting: Semaphore::new(MOST_PASSWORDS),
        })
    }

    /// Who has this name and password.
    ///
    /// # Errors
    /// [`TooManyLogins`] when nothing was looked at.
    pub async fn by_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<Login>, TooManyLogins> {
        let _waiting = self.waiting.try_acquire().map_err(|_| TooManyLogins)?;
        let known = self.known.get();
        let user = known.users.get(name);
        let kept = user.and_then(|user| user.entry.password.clone());
        let is_known = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.hash_of_nobody.clone());
        let credential = password::fingerprint(&kept);
        let password = password.to_owned();
        let _place = self.passwords.acquire().await.map_err(|_| TooManyLogins)?;
        let verifying = tokio::task::spawn_blocking(move || password::is_right(&password, &kept));
        let is_right = verifying.await.unwrap_or(false);
        let user = user.filter(|_| is_right && is_known);
        Ok(user.map(|user| Login {
            principal: name.to_owned(),
            credential,
            grants: Arc::clone(&user.grants),
        }))
    }

    /// Whose token this is.
    pub fn by_token(&self, token: &str, now: DateTime<Utc>) -> Option<Login> {
        if !token.starts_with(password::TOKEN_PREFIX) {
            return None;
        }
        // Nobody who does not know a token can choose its fingerprint: comparing them tells nothing.
        let credential = password::fingerprint(token);
        let known = self.known.get();
        let mut users = known.users.iter();
        let (name, user) = users.find(|(_, user)| user.has_token(&credential, now))?;
        Some(Login {
            principal: name.clone(),
            credential,
            grants: Arc::clone(&user.grants),
        })
    }

    /// The user whom a certificate names that the server's authority has signed.
    pub fn by_certificate(&self, name: &str) -> Option<Login> {
        self.again(name, Self::CERTIFICATE, DateTime::UNIX_EPOCH)
    }

    /// The user of a session that began with a credential, while it is theirs.
    pub fn again(&self, principal: &str, credential: &str, now: DateTime<Utc>) -> Option<Login> {
        let known = self.known.get();
        let user = known.users.get(principal)?;
        let is_password = |kept: &String| password::fingerprint(kept) == credential;
        let is_theirs = credential == Self::CERTIFICATE
            || user.entry.password.as_ref().is_some_and(is_password)
            || user.has_token(credential, now);
        is_theirs.then(|| Login {
            principal: principal.to_owned(),
            credential: credential.to_owned(),
            grants: Arc::clone(&user.grants),
        })
    }

    /// The names of the roles that there are, with those of a file; it need not be there.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn role_names(path: &Path) -> Result<Vec<String>, EngineError> {
        Ok(read_roles(path)?.into_keys().collect())
    }
}

impl KnownUser {
    fn has_token(&self, credential: &str, now: DateTime<Utc>) -> bool {
        let mut tokens = self.entry.tokens.values();
        tokens.any(|token| {
            token.sha256 == credential && token.expires_at.is_none_or(|until| now < until)
        })
    }
}

impl Known {
    fn read(users: &Path, roles: &Path) -> Result<Self, EngineError> {
        let file = UserFile::read(users)?.ok_or_else(|| {
            EngineError::invalid(
                format!("there are no users: `{}` does not exist", users.display()),
                None,
                "`lakegate user add NAME --role ROLE` makes one".to_owned(),
            )
        })?;
        // What is taken away in the file of users is taken away, whatever the file of roles says.
        let mut problem = None;
        let mut note = |error: EngineError| {
            error!(%error, "roles grant less than they should");
            let hint = error.hint().map(str::to_owned);
            problem.get_or_insert_with(|| Box::new((error.to_string(), hint)));
        };
        let roles = read_roles(roles).unwrap_or_else(|error| {
            note(error);
            roles::built_in()
        });
        let mut known = BTreeMap::new();
        for (name, entry) in file.users() {
            let mut granted = Vec::new();
            for role in &entry.roles {
                match roles.get(role) {
                    Some(grants) => granted.extend_from_slice(grants),
                    None => note(unknown_role(role, name, &roles)),
                }
            }
            let user = KnownUser {
                entry: entry.clone(),
                grants: Arc::new(Grants::only(granted)),
            };
            known.insert(name.clone(), user);
        }
        Ok(Self {
            users: known,
            problem,
        })
    }
}

fn unknown_role(role: &str, user: &str, roles: &roles::Roles) -> EngineError {
    EngineError::invalid(
        format!("user `{user}` has the role `{role}`, which there is not"),
        None,
        nearest_hint(role, roles.keys()),
    )
}

fn read_roles(path: &Path) -> Result<roles::Roles, EngineError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(roles::built_in()),
        Err(error) => return Err(failed("read", path, error)),
    };
    let file = path.display().to_string();
    let roles = yaml::decode(&file, &bytes).and_then(|text| roles::read(&file, &text));
    roles.map_err(|problems| {
        let first = problems.iter().next();
        let hint = first.and_then(|problem| problem.hint.clone());
        EngineError::invalid(problems.to_string(), None, hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{NewUser, Right};

    struct Files {
        folder: tempfile::TempDir,
        file: UserFile,
    }

    impl Files {
        fn new() -> Self {
            let files = Self {
                folder: tempfile::tempdir().unwrap(),
                file: UserFile::default(),
            };
            files.write();
            files
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("users.json")
        }

        fn write(&self) {
            let read = UserFile::read(&self.path()).unwrap();
            self.file.write(&self.path(), read.as_ref()).unwrap();
        }

        fn add(&mut self, name: &str, role: &str, password: Option<&str>) {
            let new = NewUser {
                name: name.to_owned(),
                roles: vec![role.to_owned()],
                password: password.map(str::to_owned),
            };
            self.file.add(new).unwrap();
            self.write();
        }

        fn open(&self) -> Result<Users, EngineError> {
            Users::open(self.path(), self.folder.path().join("roles.yaml"))
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    async fn by_password(users: &Users, name: &str, password: &str) -> Option<Login> {
        users.by_password(name, password).await.unwrap()
    }

    #[tokio::test]
    async fn logins_wait_in_a_line_that_has_an_end() {
        let mut files = Files::new();
        files.add("ann", "reader", Some("correct horse"));
        let users = files.open().unwrap();
        let most = u32::try_from(MOST_PASSWORDS).unwrap();
        let others = users.waiting.acquire_many(most).await.unwrap();
        let refused = users.by_password("ann", "correct horse").await;
        assert_eq!(refused.err(), Some(TooManyLogins));
        drop(others);
        assert!(by_password(&users, "ann", "correct horse").await.is_some());
    }

    #[tokio::test]
    async fn who_shows_the_right_thing_comes_in_and_nobody_else() {
        let mut files = Files::new();
        files.add("ann", "reader", Some("correct horse"));
        files.add("bob", "admin", None);
        let expires_at = Some(at(100));
        let token = files.file.add_token("bob", "ci", expires_at).unwrap();
        files.write();
        let users = files.open().unwrap();
        let ann = by_password(&users, "ann", "correct horse").await.unwrap();
        assert_eq!(ann.principal, "ann");
        assert!(by_password(&users, "ann", "correct horses").await.is_none());
        assert!(by_password(&users, "bob", "").await.is_none());
        assert!(by_password(&users, "eve", "correct horse").await.is_none());
        let bob = users.by_token(&token, at(99)).unwrap();
        assert_eq!(bob.principal, "bob");
        assert!(bob.grants.has(Right::Manage, &"a.b".parse().unwrap()));
        assert!(users.by_token(&token, at(100)).is_none());
        assert!(users.by_token("lakegate_", at(0)).is_none());
        assert!(users.by_certificate("ann").is_some());
        assert!(users.by_certificate("eve").is_none());
        assert!(users.again("ann", &ann.credential, at(0)).is_some());
        assert!(users.again("bob", &ann.credential, at(0)).is_none());
        assert!(users.again("bob", &bob.credential, at(99)).is_some());
        assert!(users.again("bob", &bob.credential, at(100)).is_none());
    }

    #[tokio::test]
    async fn what_is_taken_away_in_the_file_is_taken_away_from_sessions() {
        let mut files = Files::new();
        files.add("ann", "reader", Some("correct horse"));
        let users = files.open().unwrap();
        let ann = by_password(&users, "ann", "correct horse").await.unwrap();
        files.file.set_password("ann", "battery staple").unwrap();
        files.write();
        assert!(users.again("ann", &ann.credential, at(0)).is_none());
        assert!(by_password(&users, "ann", "battery staple").await.is_some());
        // Broken roles hold up nothing that is taken away.
        let roles = files.folder.path().join("roles.yaml");
        std::fs::write(&roles, "version: 1\nroles: { reader: x }").unwrap();
        files.add("bob", "gone", Some("correct horse"));
        let bob = by_password(&users, "bob", "correct horse").await.unwrap();
        assert!(!bob.grants.has(Right::Read, &"a.b".parse().unwrap()));
        files.file.remove("bob").unwrap();
        files.write();
        assert!(users.again("bob", &bob.credential, at(0)).is_none());
        std::fs::remove_file(roles).unwrap();
        // A file that cannot be read changes nothing.
        std::fs::write(files.path(), "{").unwrap();
        assert!(by_password(&users, "ann", "battery staple").await.is_some());
    }

    #[test]
    fn mistakes_in_the_files_are_named() {
        let mut files = Files::new();
        files.add("ann", "raeder", None);
        let error = files.open().unwrap_err();
        assert!(error.to_string().contains("role `raeder`"), "{error}");
        assert_eq!(error.hint(), Some("did you mean `reader`?"));
        let roles = files.folder.path().join("roles.yaml");
        std::fs::write(roles, "version: 1\nroles: { raeder: { raed: x } }").unwrap();
        let error = files.open().unwrap_err();
        assert!(error.to_string().contains("roles.yaml:2:"), "{error}");
        std::fs::write(
            files.path(),
            r#"{"version":1,"users":{"a":{"roles":[],"password":"plain"}}}"#,
        )
        .unwrap();
        let error = files.open().unwrap_err().to_string();
        assert!(
            error.contains("no hash") && !error.contains("plain"),
            "{error}"
        );
        std::fs::remove_file(files.path()).unwrap();
        assert!(
            files
                .open()
                .unwrap_err()
                .to_string()
                .contains("there are no users")
        );
    }

    #[test]
    fn file_is_its_owners_alone_and_is_not_written_over_another_change() {
        let mut files = Files::new();
        let before = files.file.clone();
        files.add("ann", "reader", None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(files.path())
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let error = before.write(&files.path(), Some(&before)).unwrap_err();
        assert!(error.to_string().contains("changed meanwhile"), "{error}");
    }
}
