//! Who is let in, and as whom.

use lakegate_engine::{NewUser, UserFile};
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

async fn session(
    access: &Access,
    headers: &MetadataMap,
    seal: &Seal,
    now: DateTime<Utc>,
) -> Session {
    let peer = Peer::default();
    access.session(headers, &peer, seal, now).await.unwrap()
}

#[tokio::test]
async fn newest_token_counts_wherever_it_stands() {
    let seal = Seal::random().unwrap();
    let logged_in = Session::of_anyone("ann", at(1));
    let set = logged_in.with(Some("silver".to_owned()), None, at(2));
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
    assert_eq!(session(&anyone(), &headers, &seal, at(3)).await, set);
    let mut headers = MetadataMap::new();
    headers.append("authorization", token(0));
    let cookie = carried[1].get("set-cookie").unwrap().to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    headers.append("cookie", format!("other=1; {cookie}").parse().unwrap());
    assert_eq!(session(&anyone(), &headers, &seal, at(3)).await, set);
    let late = at(3) + LASTS;
    assert_eq!(
        session(&anyone(), &headers, &seal, late).await,
        Session::of_anyone("ann", late)
    );
}

#[tokio::test]
async fn name_and_password_are_read_with_padding_and_without() {
    for (header, is_read) in [
        ("Basic YW5uOng=", true),
        ("basic YW5uOng", true),
        ("Basic YW5u", false),
        ("Basic ===", false),
        ("Bearer abc", true),
    ] {
        let mut headers = MetadataMap::new();
        headers.append("authorization", header.parse().unwrap());
        let seal = Seal::random().unwrap();
        let access = anyone();
        let peer = Peer::default();
        let logged_in = access.log_in(&headers, &peer, &seal, at(0)).await;
        assert_eq!(logged_in.is_ok(), is_read, "{header}");
    }
}

/// Users in a file, each with a password of their own.
fn users(names: &[&str]) -> (tempfile::TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.json");
    let mut file = UserFile::default();
    for name in names {
        let new = NewUser {
            name: (*name).to_owned(),
            roles: vec!["reader".to_owned()],
            password: Some(format!("password of {name}")),
        };
        file.add(new).unwrap();
    }
    file.write(&path, None).unwrap();
    let users = Users::open(path, folder.path().join("roles.yaml")).unwrap();
    (folder, Access::Users(Arc::new(users)))
}

fn basic(text: &str) -> MetadataValue<Ascii> {
    let credentials = BASE64_STANDARD_NO_PAD.encode(text);
    format!("Basic {credentials}").parse().unwrap()
}

fn cookie_of(session: &Session, seal: &Seal) -> MetadataValue<Ascii> {
    let mut response = Response::new(());
    carry(&mut response, session, seal, at(1)).unwrap();
    let cookie = response.metadata().get("set-cookie").unwrap();
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
    cookie.parse().unwrap()
}

#[tokio::test]
async fn who_says_who_they_are_is_that_whatever_session_they_carry() {
    let (_folder, access) = users(&["ann", "adam"]);
    let (seal, nobody) = (Seal::random().unwrap(), Peer::default());
    let mut headers = MetadataMap::new();
    headers.insert("authorization", basic("adam:password of adam"));
    let adam = access
        .log_in(&headers, &nobody, &seal, at(1))
        .await
        .unwrap();
    assert_eq!(adam.principal, "adam");
    headers.insert("cookie", cookie_of(&adam, &seal));
    for (shown, who) in [
        ("ann:password of ann", Some("ann")),
        ("ann:password of adam", None),
        ("adam:password of adam", Some("adam")),
    ] {
        headers.insert("authorization", basic(shown));
        let logged_in = access.log_in(&headers, &nobody, &seal, at(2)).await;
        let logged_in = logged_in.ok().map(|session| session.principal);
        assert_eq!(logged_in.as_deref(), who, "{shown}");
        let called = access.session(&headers, &nobody, &seal, at(2)).await;
        let called = called.ok().map(|session| session.principal);
        assert_eq!(called.as_deref(), who, "{shown}");
    }
    headers.insert("authorization", basic("adam:wrong password"));
    let logged_in = access.log_in(&headers, &nobody, &seal, at(2)).await;
    assert!(logged_in.is_err());
}

#[tokio::test]
async fn session_of_a_certificate_goes_on_with_that_certificate_alone() {
    let (_folder, access) = users(&["ann", "adam"]);
    let seal = Seal::random().unwrap();
    let showing = |name: &str| Peer {
        address: None,
        certificate: Some(name.to_owned()),
    };
    let (ann, adam) = (showing("ann"), showing("adam"));
    let mut headers = MetadataMap::new();
    let session = access.session(&headers, &adam, &seal, at(1)).await.unwrap();
    headers.insert("cookie", cookie_of(&session, &seal));
    let again = access.session(&headers, &adam, &seal, at(2)).await.unwrap();
    assert_eq!(again.principal, "adam");
    // It is somebody else's connection, and theirs alone.
    let other = access.session(&headers, &ann, &seal, at(2)).await.unwrap();
    assert_eq!(other.principal, "ann");
    let nobody = access
        .session(&headers, &Peer::default(), &seal, at(2))
        .await;
    assert!(nobody.is_err());
}
