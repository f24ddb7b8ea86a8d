//! `lakegate user`: who may come in at the doors of `lakegate serve`.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use lakegate_engine::{NewUser, UserFile, Users};
use lakegate_rules::yaml::nearest_hint;
use serde_json::json;

use crate::arguments::duration;
use crate::commands::DONE;
use crate::context::Context;
use crate::error::CliError;
use crate::output::TextTable;

/// The file of users in a project folder.
pub(crate) const USERS_FILE: &str = "users.json";

/// The file of roles in a project folder.
pub(crate) const ROLES_FILE: &str = "roles.yaml";

/// Say who may come in at the doors of `lakegate serve`: users, their passwords, tokens and roles
///
/// Users are kept in `users.json`, passwords and tokens as hashes. What roles grant is in `roles.yaml`; the roles `reader`
/// (reads everything) and `admin` (manages everything) are always there. A server that runs takes changes up at once.
#[derive(Debug, Args)]
pub(crate) struct UserArguments {
    #[command(subcommand)]
    command: UserCommand,

    /// The file of users, in the project folder
    #[arg(long = "users", global = true, value_name = "FILE", default_value = USERS_FILE)]
    users_file: PathBuf,

    /// The file of roles, in the project folder; it need not be there
    #[arg(long = "roles", global = true, value_name = "FILE", default_value = ROLES_FILE)]
    roles_file: PathBuf,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user; the password is asked for
    Add {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,

        /// A role; several are given by several flags
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,

        #[command(flatten)]
        password: PasswordArguments,

        /// No password: the user comes in by token or certificate
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Give a user another password; sessions that began with the old one end
    Password {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,

        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Give a user these roles, and no others
    Roles {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,

        /// The roles
        #[arg(value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
    /// Make a token for a user, and print it: it is shown this once
    Token {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,

        /// What the token is called
        #[arg(long = "name", value_name = "TOKEN", default_value = "default")]
        token: String,

        /// How long it can be used, for example 90d; for good when absent
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// Take a token away; sessions that began with it end
    Revoke {
        /// The user
        #[arg(value_name = "NAME")]
        name: String,

        /// What the token is called
        #[arg(value_name = "TOKEN")]
        token: String,
    },
    /// Take a user away; their sessions end
    Remove {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show the users, with their roles and the names of their tokens
    List,
}

#[derive(Debug, Args)]
struct PasswordArguments {
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    fn read(&self) -> Result<String, CliError> {
        let failed = |error: std::io::Error| CliError::failed("cannot read the password", &error);
        if self.password_stdin {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(failed)?;
            return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
        }
        if !std::io::stdin().is_terminal() {
            return Err(
                CliError::new("there is no terminal to ask for the password").with_hint(
                    "hand it over with `--password-stdin`, or add the user with `--no-password`",
                ),
            );
        }
        let password = rpassword::prompt_password("Password: ").map_err(failed)?;
        let again = rpassword::prompt_password("Again: ").map_err(failed)?;
        match password == again {
            true => Ok(password),
            false => Err(CliError::new("the passwords differ").with_hint("run the command again")),
        }
    }
}

impl UserArguments {
    pub(crate) fn run(self, context: &Context) -> Result<u8, CliError> {
        // Outside of a project, a file would be made where nobody looks for it.
        context.settings()?;
        let path = context.path(&self.users_file);
        let read = UserFile::read(&path)?;
        let mut file = read.clone().unwrap_or_default();
        let expect_roles = |roles: &[String]| expect_roles(roles, &context.path(&self.roles_file));
        let said = match self.command {
            UserCommand::List => return list(context, &file),
            UserCommand::Add {
                name,
                roles,
                password,
                no_password,
            } => {
                expect_roles(&roles)?;
                let password = match no_password {
                    true => None,
                    false => Some(password.read()?),
                };
                let said = format!("added `{name}`");
                file.add(NewUser {
                    name,
                    roles,
                    password,
                })?;
                said
            }
            UserCommand::Password { name, password } => {
                file.set_password(&name, &password.read()?)?;
                format!("`{name}` has another password")
            }
            UserCommand::Roles { name, roles } => {
                expect_roles(&roles)?;
                let said = format!("`{name}` has the roles {}", roles.join(", "));
                file.set_roles(&name, roles)?;
                said
            }
            UserCommand::Token {
                name,
                token,
                expires,
            } => {
                let expires_at = expires.map(|expires| after(context.now(), expires));
                let expires_at = expires_at.transpose()?;
                let secret = file.add_token(&name, &token, expires_at)?;
                file.write(&path, read.as_ref())?;
                context.output.text(&secret);
                return Ok(DONE);
            }
            UserCommand::Revoke { name, token } => {
                file.revoke(&name, &token)?;
                format!("`{name}` has no token `{token}` any more")
            }
            UserCommand::Remove { name } => {
                file.remove(&name)?;
                format!("removed `{name}`")
            }
        };
        file.write(&path, read.as_ref())?;
        context.output.note(&said);
        Ok(DONE)
    }
}

fn after(now: DateTime<Utc>, duration: Duration) -> Result<DateTime<Utc>, CliError> {
    let duration = TimeDelta::from_std(duration).ok();
    let until = duration.and_then(|duration| now.checked_add_signed(duration));
    until.ok_or_else(|| {
        CliError::new("`--expires` is too long")
            .with_hint("leave it out for a token without an end")
    })
}

fn expect_roles(roles: &[String], path: &Path) -> Result<(), CliError> {
    let known = Users::role_names(path)?;
    let Some(unknown) = roles.iter().find(|role| !known.contains(role)) else {
        return Ok(());
    };
    let error = CliError::new(format!("there is no role `{unknown}`"));
    Err(match nearest_hint(unknown, known.iter()) {
        Some(hint) => error.with_hint(hint),
        None => error.with_hint(format!("`{}` says what roles grant", path.display())),
    })
}

fn list(context: &Context, file: &UserFile) -> Result<u8, CliError> {
    let users = file.users().iter();
    if context.output.is_json() {
        let users = users.map(|(name, user)| {
            let tokens = user
                .tokens()
                .map(|(name, expires_at)| json!({ "name": name, "expires_at": expires_at }));
            json!({
                "name": name,
                "roles": user.roles,
                "has_password": user.has_password(),
                "tokens": tokens.collect::<Vec<_>>(),
            })
        });
        context.output.json(&users.collect::<Vec<_>>())?;
        return Ok(DONE);
    }
    let mut table = TextTable::new(["user", "roles", "password", "tokens"]);
    for (name, user) in users {
        let tokens = user.tokens().map(|(token, expires_at)| match expires_at {
            Some(expires_at) => {
                format!("{token} until {}", expires_at.format("%Y-%m-%d %H:%M UTC"))
            }
            None => token.to_owned(),
        });
        let tokens: Vec<String> = tokens.collect();
        let password = match user.has_password() {
            true => "yes",
            false => "no",
        };
        table.row([
            name.clone(),
            user.roles.join(", "),
            password.to_owned(),
            tokens.join(", "),
        ]);
    }
    context.output.text(&table.to_text());
    if file.users().is_empty() {
        context.output.note("there are no users");
    }
    Ok(DONE)
}
