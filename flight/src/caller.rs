//! Who calls, and what they have set for their session.
//!
//! A session is a token that the client carries: in the header `authorization` after a handshake, or as a cookie. What a
//! client sets comes back as a new token, in both.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use lakegate_engine::Caller;
use serde::{Deserialize, Serialize};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Response, Status};

use crate::seal::{Purpose, Seal};
use crate::status;

/// The name of the door in records of queries.
const DOOR: &str = "flight";

/// The cookie that holds a session.
const COOKIE: &str = "lakegate_session";

/// How long a session lasts after it was last set.
const LASTS: TimeDelta = TimeDelta::days(1);

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Anyone, as this principal. Names and passwords are not looked at.
    Anyone {
        /// Who everyone is.
        principal: String,
    },
}

/// What a client has set, and who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) principal: String,
    /// The schema of tables that are named without one; the engine's default when absent.
    pub(crate) schema: Option<String>,
    issued_at: DateTime<Utc>,
}

impl Session {
    fn new(principal: &str, now: DateTime<Utc>) -> Self {
        Self {
            principal: principal.to_owned(),
            schema: None,
            issued_at: now,
        }
    }

    /// The session as it goes on with this schema.
    pub(crate) fn with_schema(&self, schema: Option<String>, now: DateTime<Utc>) -> Self {
        Self {
            principal: self.principal.clone(),
            schema,
            issued_at: now,
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
        }
    }

    /// The session's options that are set, by their names.
    pub(crate) fn options(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("catalog", lakegate_engine::CATALOG.to_owned()),
            ("schema", self.schema().to_owned()),
        ])
    }
}

impl Access {
    /// The session of a call. One without a token is a new session.
    pub(crate) fn session(
        &self,
        headers: &MetadataMap,
        seal: &Seal,
        now: DateTime<Utc>,
    ) -> Session {
        let Self::Anyone { principal } = self;
        let tokens = schemes(headers, "bearer").chain(cookies(headers));
        let known = tokens.filter_map(|token| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
            // Anyone may come in: a token of another server, or one that has expired, is no reason to stay out.
            seal.open::<Session>(Purpose::Session, &bytes, now).ok()
        });
        // A client may go on sending the token that it got when it logged in, beside the one that it got since.
        let newest = known.max_by_key(|session| session.issued_at);
        newest.unwrap_or_else(|| Session::new(principal, now))
    }

    /// The session of a client that says who it is.
    pub(crate) fn log_in(
        &self,
        headers: &MetadataMap,
        now: DateTime<Utc>,
    ) -> Result<Session, Status> {
        let Self::Anyone { principal } = self;
        if let Some(credentials) = schemes(headers, "basic").next() {
            // Some clients leave the padding out.
            let text = BASE64_STANDARD_NO_PAD.decode(credentials.trim_end_matches('='));
            let text = text.ok();
            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
            if !text.is_some_and(|text| text.contains(':')) {
                return Err(Status::unauthenticated(
                    "the header `authorization` holds no name and password",
                ));
            }
        }
        Ok(Session::new(principal, now))
    }
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
fn schemes<'h>(headers: &'h MetadataMap, wanted: &'h str) -> impl Iterator<Item = &'h str> {
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
mod tests {
    use tonic::metadata::MetadataMap;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn anyone() -> Access {
        Access::Anyone {
            principal: "ann".to_owned(),
        }
    }

    #[test]
    fn newest_token_counts_wherever_it_stands() {
        let seal = Seal::random().unwrap();
        let logged_in = Session::new("ann", at(1));
        let set = logged_in.with_schema(Some("silver".to_owned()), at(2));
        let mut carried = Vec::new();
        for (session, now) in [(&logged_in, at(1)), (&set, at(2))] {
            let mut response = Response::new(());
            carry(&mut response, session, &seal, now).unwrap();
            carried.push(response.metadata().clone());
        }
        let token = |of: usize| carried[of].get("authorization").unwrap().clone();
        let mut headers = MetadataMap::new();
        headers.append("authorization", token(0));
        headers.append("authorization", token(1));
        assert_eq!(anyone().session(&headers, &seal, at(3)), set);
        let mut headers = MetadataMap::new();
        headers.append("authorization", token(0));
        let cookie = carried[1].get("set-cookie").unwrap().to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap();
        headers.append("cookie", format!("other=1; {cookie}").parse().unwrap());
        assert_eq!(anyone().session(&headers, &seal, at(3)), set);
        let late = at(3) + LASTS;
        assert_eq!(
            anyone().session(&headers, &seal, late),
            Session::new("ann", late)
        );
    }

    #[test]
    fn name_and_password_are_read_with_padding_and_without() {
        for (header, is_read) in [
            ("Basic YW5uOng=", true),
            ("basic YW5uOng", true),
            ("Basic YW5u", false),
            ("Basic ===", false),
            ("Bearer abc", true),
        ] {
            let mut headers = MetadataMap::new();
            headers.append("authorization", header.parse().unwrap());
            assert_eq!(
                anyone().log_in(&headers, at(0)).is_ok(),
                is_read,
                "{header}"
            );
        }
    }
}
