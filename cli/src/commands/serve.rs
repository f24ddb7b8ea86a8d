//! `lakegate serve`: opens the doors for clients.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use lakegate_engine::{AdmissionLimits, Queries, QueriesOptions, Users};
use lakegate_gateway::{Access, Doors, GatewayError, ServeOptions, TlsFiles};
use serde_json::json;
use tracing::warn;

use crate::arguments::duration;
use crate::commands::DONE;
use crate::commands::user::{ROLES_FILE, USERS_FILE};
use crate::context::Context;
use crate::error::CliError;
use crate::settings;

/// Who everyone is when nobody has to say who they are.
const ANONYMOUS: &str = "anonymous";

/// Queries that wait for each that may run.
const WAITING_FOR_EACH: usize = 8;

/// Answer queries of clients: Arrow Flight SQL on one port, health and metrics over HTTP on another
///
/// When both doors are open, one line of JSON on stdout says where they are. On SIGTERM and Ctrl-C, queries that run may
/// finish, and new ones are refused as ones to try again; a second signal ends at once.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where Flight SQL is served; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:32010", value_parser = address)]
    flight: SocketAddr,

    /// Where health, readiness and metrics are served; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    http: SocketAddr,

    /// Who may come in, as `lakegate user` writes it; `users.json` in the project folder when that is there
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// What the roles of users grant; the file need not be there
    #[arg(long, value_name = "FILE", default_value = ROLES_FILE)]
    roles: PathBuf,

    /// The certificate of both doors, in PEM, with those between it and its authority
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Let in only who shows a certificate of these authorities, in PEM; its common name is who they are
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,

    /// Let anyone in, from other machines too, as the principal `anonymous`
    #[arg(long, conflicts_with = "users")]
    insecure: bool,

    /// Queries that run at once; twice the processors when absent
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    max_queries: Option<usize>,

    /// Queries of one user that run at once; as many as of all when absent
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    max_queries_of_user: Option<usize>,

    /// How long a client may take no rows of a query, or send none, before the query is ended
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = stall_limit)]
    stall_limit: Duration,

    /// How long queries that run may go on when the server is asked to stop, for example 30s
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    drain: Duration,
}

impl Serve {
    pub(crate) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let lakegate = context.open().await?;
        let options = ServeOptions {
            flight: self.flight,
            http: self.http,
            access: self.access(context)?,
            tls: self.tls(context),
            is_open: self.insecure,
            drain: self.drain,
        };
        let limits = QueriesOptions {
            places: self.places(),
            stall_limit: self.stall_limit,
            keep_samples: lakegate.options.sample_keep,
        };
        let queries = Queries::start(lakegate.engine.clone(), limits)?;
        let doors = Doors::open(queries, options).map_err(|error| error_of(&error))?;
        let ready = json!({
            "ready": true,
            "http": doors.http.to_string(),
            "flight": doors.flight.to_string(),
        });
        context.output.text(&ready.to_string());
        doors
            .serve(context.stop.clone())
            .await
            .map_err(|error| error_of(&error))?;
        Ok(DONE)
    }

    fn access(&self, context: &Context) -> Result<Access, CliError> {
        if self.insecure {
            if context.path(Path::new(USERS_FILE)).exists() {
                warn!("`{USERS_FILE}` is not looked at: with `--insecure` anyone may come in");
            }
            return Ok(Access::Anyone {
                principal: ANONYMOUS.to_owned(),
            });
        }
        let (users, roles) = (&self.users, context.path(&self.roles));
        let of_project = context.path(Path::new(USERS_FILE));
        let users = match users {
            Some(users) => Some(context.path(users)),
            // A link to nowhere is a file that is missing, and not one that was never meant.
            None => match std::fs::symlink_metadata(&of_project) {
                Ok(_) => Some(of_project),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => {
                    return Err(CliError::failed(
                        format!("cannot read `{USERS_FILE}`"),
                        &error,
                    ));
                }
            },
        };
        Ok(match users {
            Some(users) => Access::Users(Arc::new(Users::open(users, roles)?)),
            None => Access::Anyone {
                principal: settings::user_name().unwrap_or_else(|| "local".to_owned()),
            },
        })
    }

    fn tls(&self, context: &Context) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: context.path(self.tls_cert.as_ref()?),
            key: context.path(self.tls_key.as_ref()?),
            client_authority: self.tls_client_ca.as_ref().map(|file| context.path(file)),
        })
    }

    fn places(&self) -> AdmissionLimits {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let running = self.max_queries.unwrap_or(processors * 2);
        let of_one = self.max_queries_of_user.unwrap_or(running);
        AdmissionLimits {
            running,
            running_of_one: of_one.min(running),
            waiting: running * WAITING_FOR_EACH,
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let first = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    first.ok_or_else(|| "wanted a host and a port, such as `127.0.0.1:32010`".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok();
    let number = number.filter(|number| (1..=MOST_AT_ONCE).contains(number));
    number.ok_or_else(|| format!("wanted a number from 1 to {MOST_AT_ONCE}"))
}

fn stall_limit(text: &str) -> Result<Duration, String> {
    let limit = duration(text)?;
    match limit < SHORTEST_STALL {
        true => Err("wanted at least `1s`: clients pause".to_owned()),
        false => Ok(limit),
    }
}

/// Clients that work pause for less than this.
const SHORTEST_STALL: Duration = Duration::from_secs(1);

/// More queries at once than any machine can run.
const MOST_AT_ONCE: usize = 100_000;

fn error_of(error: &GatewayError) -> CliError {
    let hint = match error {
        GatewayError::Open { .. } => {
            "make users with `lakegate user add`, and bring certificates with `--tls-cert` and `--tls-key`; listen on 127.0.0.1; or let anyone in with `--insecure`".to_owned()
        }
        GatewayError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            "another process listens there: stop it, or choose another port; 0 picks a free one"
                .to_owned()
        }
        _ => String::new(),
    };
    let is_of_the_user = matches!(error, GatewayError::Open { .. } | GatewayError::Tls { .. });
    let error = CliError::failed(error.to_string(), error);
    let error = match hint.is_empty() {
        true => error,
        false => error.with_hint(hint),
    };
    match is_of_the_user {
        true => error.with_exit_code(crate::commands::INVALID),
        false => error,
    }
}
