//! Who calls, and what they have set for their session.
//!
//! A session is a token that the client carries: in the header `authorization` after a handshake, or as a cookie. What a
//! client sets comes back as a new token, in both.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use lakegate_engine::{Caller, Grants, Login, SessionOptions, TimeZone, TooManyLogins, Users};
use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Response, Status};

use crate::seal::{Purpose, Seal};
use crate::status;

/// The name of the door in records of queries.
pub(crate) const DOOR: &str = "flight";

/// The cookie that holds a session.
const COOKIE: &str = "lakegate_session";

/// The zone of a session that has set none.
const UTC: &str = "UTC";

/// Where queries run.
pub(crate) const ROUTE: &str = "local";

/// How long a session lasts after it was last set.
const LASTS: TimeDelta = TimeDelta::days(1);

/// Who may come in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Anyone, as this principal. Names and passwords are not looked at.
    Anyone {
        /// Who everyone is.
        principal: String,
    },
    /// Users, with a name and password, a token or a certificate.
    Users(Arc<Users>),
}

/// What is known of the other end of a connection. Without it in a call's extensions, nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// The common name of the certificate that it showed and that was found to be right.
    pub certificate: Option<String>,
}

/// What a client has set, and who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) principal: String,
    /// The schema of tables that are named without one; the engine's default when absent.
    pub(crate) schema: Option<String>,
    /// The zone of times; UTC when absent.
    #[serde(default)]
    pub(crate) time_zone: Option<TimeZone>,
    /// What the user showed when the session began; empty where anyone may come in.
    #[serde(default)]
    credential: String,
    issued_at: DateTime<Utc>,
    /// Looked up at each call.
    #[serde(skip, default = "nothing")]
    grants: Arc<Grants>,
    #[serde(skip)]
    peer: Option<SocketAddr>,
}

fn nothing() -> Arc<Grants> {
    Arc::new(Grants::only(Vec::new()))
}

/// Somebody who is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The name that they gave.
    pub(crate) name: Option<String>,
    why: &'static str,
    /// Whether the same may be let in later.
    is_busy: bool,
}

impl Refused {
    fn new(name: Option<&str>, why: &'static str) -> Self {
        Self {
            name: name.map(str::to_owned),
            why,
            is_busy: false,
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self.is_busy {
            false => Status::unauthenticated(self.why),
            true => Status::unavailable(self.why),
        }
    }
}

const WRONG: &str = "the name or the password is wrong";
const BUSY: &str =
    "too many log in at once\nhint: try again in a while; tokens are looked at at once";
const NO_CREDENTIALS: &str =
    "who calls is not said\nhint: connect with a name and password, or with a token";
const NO_LONGER: &str = "the token or session is not known, has expired, or was taken away\nhint: connect again; `lakegate user token` makes tokens";
const UNREADABLE: &str = "the header `authorization` holds no name and password";
const NO_USER: &str =
    "the certificate names no user\nhint: its common name has to be that of a user";

impl Session {
    fn of_anyone(principal: &str, now: DateTime<Utc>) -> Self {
        Self {
            principal: principal.to_owned(),
            schema: None,
            time_zone: None,
            credential: String::new(),
            issued_at: now,
            grants: Arc::new(Grants::EVERYTHING),
            peer: None,
        }
    }

    fn of_login(login: Login, now: DateTime<Utc>) -> Self {
        Self {
            principal: login.principal,
            schema: None,
            time_zone: None,
            credential: login.credential,
            issued_at: now,
            grants: login.grants,
            peer: None,
        }
    }

    /// The session as it goes on with these options.
    pub(crate) fn with(
        &self,
        schema: Option<String>,
        time_zone: Option<TimeZone>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            schema,
            time_zone,
            issued_at: now,
            ..self.clone()
        }
    }

    /// The schema of tables that are named without one.
    pub(crate) fn schema(&self) -> &str {
        self.schema
            .as_deref()
            .unwrap_or(lakegate_engine::DEFAULT_SCHEMA)
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller {
            principal: self.principal.clone(),
            door: DOOR,
            peer: self.peer,
            grants: Arc::clone(&self.grants),
        }
    }

    /// What statements need to know of the session.
    pub(crate) fn options(&self) -> SessionOptions {
        SessionOptions {
            schema: self.schema().to_owned(),
            time_zone: self.time_zone.clone(),
        }
    }

    /// The session's options, by their names.
    pub(crate) fn named_options(&self) -> BTreeMap<&'static str, String> {
        let time_zone = self.time_zone.as_ref();
        BTreeMap::from([
            ("catalog", lakegate_engine::CATALOG.to_owned()),
            ("schema", self.schema().to_owned()),
            (
                "time_zone",
                time_zone.map_or_else(|| UTC.to_owned(), TimeZone::to_string),
            ),
            ("route", ROUTE.to_owned()),
        ])
    }
}

impl Access {
    /// The session of a call.
    pub(crate) async fn session(
        &self,
        headers: &MetadataMap,
        peer: &Peer,
        seal: &Seal,
        now: DateTime<Utc>,
    ) -> Result<Session, Refused> {
        let session = match self {
            Self::Anyone { principal } => session_of_anyone(principal, headers, seal, now),
            Self::Users(users) => session_of_user(users, headers, peer, seal, now).await?,
        };
        Ok(Session {
            peer: peer.address,
            ..session
        })
    }

    /// The session of a client that says who it is.
    pub(crate) async fn log_in(
        &self,
        headers: &MetadataMap,
        peer: &Peer,
        seal: &Seal,
        now: DateTime<Utc>,
    ) -> Result<Session, Refused> {
        match self {
            Self::Anyone { principal } => {
                name_and_password(headers)?;
                Ok(Session::of_anyone(principal, now))
            }
            // Who logs in says who they are, whatever they carry.
            Self::Users(users) => {
                let login = credentials(users, headers, peer, now).await?;
                match login {
                    Some(login) => Ok(Session::of_login(login, now)),
                    None => session_of_user(users, headers, peer, seal, now).await,
                }
            }
        }
    }
}

/// A session where anyone may come in. A call without a token is a new session; a token of another server, or one that has
/// expired, is no reason to stay out.
fn session_of_anyone(
    principal: &str,
    headers: &MetadataMap,
    seal: &Seal,
    now: DateTime<Utc>,
) -> Session {
    let known = sessions(headers, seal, now);
    let newest = known.max_by_key(|session| session.issued_at);
    let anyone = Session::of_anyone(principal, now);
    match newest {
        Some(newest) => Session {
            schema: newest.schema,
            time_zone: newest.time_zone,
            issued_at: newest.issued_at,
            ..anyone
        },
        None => anyone,
    }
}

/// The session of a user: what the client carries, as long as it is who it says; otherwise a new one.
async fn session_of_user(
    users: &Users,
    headers: &MetadataMap,
    peer: &Peer,
    seal: &Seal,
    now: DateTime<Utc>,
) -> Result<Session, Refused> {
    let going_on = sessions(headers, seal, now).filter_map(|session| {
        let shows_it = match session.credential.as_str() {
            Users::CERTIFICATE => peer.certificate.as_deref() == Some(&session.principal),
            _ => true,
        };
        let login = users.again(&session.principal, &session.credential, now);
        let login = login.filter(|_| shows_it)?;
        Some(Session {
            grants: login.grants,
            ..session
        })
    });
    // A client may go on sending the token that it got when it logged in, beside the one that it got since.
    let newest = going_on.max_by_key(|session| session.issued_at);
    // A password takes a while to look at, and is shown with each call: the name has to be the session's.
    let named = name_and_password(headers)?;
    let is_of = |session: &Session| {
        let is_named = named
            .as_ref()
            .is_none_or(|(name, _)| *name == session.principal);
        let login = of_token(users, headers, now);
        is_named && login.is_none_or(|login| login.principal == session.principal)
    };
    if let Some(session) = newest.filter(is_of) {
        return Ok(session);
    }
    if let Some(login) = credentials(users, headers, peer, now).await? {
        return Ok(Session::of_login(login, now));
    }
    if schemes(headers, "bearer").next().is_some() {
        return Err(Refused::new(None, NO_LONGER));
    }
    match peer.certificate.as_deref() {
        Some(name) => Err(Refused::new(Some(name), NO_USER)),
        None => Err(Refused::new(None, NO_CREDENTIALS)),
    }
}

/// Whose token a call shows.
fn of_token(users: &Users, headers: &MetadataMap, now: DateTime<Utc>) -> Option<Login> {
    schemes(headers, "bearer").find_map(|token| users.by_token(token, now))
}

/// Who a call shows to be its sender, by token, by name and password, or by the certificate of its connection; none when
/// it shows nothing that is known.
async fn credentials(
    users: &Users,
    headers: &MetadataMap,
    peer: &Peer,
    now: DateTime<Utc>,
) -> Result<Option<Login>, Refused> {
    if let Some(login) = of_token(users, headers, now) {
        return Ok(Some(login));
    }
    if let Some((name, password)) = name_and_password(headers)? {
        return match users.by_password(&name, &password).await {
            Ok(Some(login)) => Ok(Some(login)),
            Ok(None) => Err(Refused::new(Some(&name), WRONG)),
            Err(TooManyLogins) => Err(Refused {
                is_busy: true,
                ..Refused::new(Some(&name), BUSY)
            }),
        };
    }
    if schemes(headers, "bearer").next().is_some() {
        return Ok(None);
    }
    let name = peer.certificate.as_deref();
    Ok(name.and_then(|name| users.by_certificate(name)))
}

/// The sessions that a client carries, as far as they are this server's and have not expired.
fn sessions<'h>(
    headers: &'h MetadataMap,
    seal: &'h Seal,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Session> + 'h {
    let tokens = schemes(headers, "bearer").chain(cookies(headers));
    tokens.filter_map(move |token| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        seal.open::<Session>(Purpose::Session, &bytes, now).ok()
    })
}

/// The name and password that a client gives, if it does.
fn name_and_password(headers: &MetadataMap) -> Result<Option<(String, String)>, Refused> {
    let Some(credentials) = schemes(headers, "basic").next() else {
        return Ok(None);
    };
    // Some clients leave the padding out.
    let text = BASE64_STANDARD_NO_PAD.decode(credentials.trim_end_matches('='));
    let text = text.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let both = text.as_deref().and_then(|text| text.split_once(':'));
    let (name, password) = both.ok_or_else(|| Refused::new(None, UNREADABLE))?;
    Ok(Some((name.to_owned(), password.to_owned())))
}

/// Gives the client its session to carry.
pub(crate) fn carry<T>(
    response: &mut Response<T>,
    session: &Session,
    seal: &Seal,
    now: DateTime<Utc>,
) -> Result<(), Status> {
    let bytes = seal.close(Purpose::Session, session, now + LASTS);
    let bytes = bytes.map_err(|error| status::bug("a session could not be written", error))?;
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let value = |text: String| {
        MetadataValue::<Ascii>::try_from(text)
            .map_err(|error| status::bug("a session is no header", error))
    };
    let bearer = value(format!("Bearer {token}"))?;
    let cookie = value(format!("{COOKIE}={token}; Path=/; HttpOnly"))?;
    let headers = response.metadata_mut();
    headers.insert("authorization", bearer);
    headers.insert("set-cookie", cookie);
    Ok(())
}

/// What stands behind a scheme in the headers `authorization`.
fn schemes<'h>(headers: &'h MetadataMap, wanted: &'static str) -> impl Iterator<Item = &'h str> {
    let headers = headers.get_all("authorization").iter();
    let texts = headers.filter_map(|header| header.to_str().ok());
    texts.filter_map(move |text| {
        let (scheme, rest) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case(wanted).then(|| rest.trim())
    })
}

/// The sessions in cookies.
fn cookies(headers: &MetadataMap) -> impl Iterator<Item = &str> {
    let headers = headers.get_all("cookie").iter();
    let texts = headers.filter_map(|header| header.to_str().ok());
    let cookies = texts.flat_map(|text| text.split(';'));
    cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

#[cfg(test)]
mod tests;
