//! Passwords and tokens from the command line: `jd-manager set-password` and `jd-manager token`.
//!
//! Anyone who can write to the database owns it, so these commands ask for nothing but the new
//! password. They work whether or not the manager is running; a running manager sees the change
//! with the next request.

use clap::{Args, Subcommand};
use std::io::{BufRead, IsTerminal};

use crate::base::clock::SystemClock;
use crate::base::ids::TokenId;
use crate::base::visible::on_terminal;
use crate::domain::access::{Access, AuditEntry, TokenRequest};
use crate::infra::db::Db;
use crate::server::app;
use crate::server::settings::Settings;
use crate::web::{Caller, PeerAddress, Role};

/// The arguments of `jd-manager set-password`.
#[derive(Args, Clone, Debug)]
pub struct NewPassword {
    /// Name of the user.
    #[arg(default_value = "admin")]
    name: String,
    /// Role of the user: viewer, operator or admin [default: admin for a new user, unchanged for an
    /// existing user].
    #[arg(long)]
    role: Option<Role>,
    /// Read the password from the first line of standard input instead of asking for it.
    #[arg(long)]
    stdin: bool,
    /// Remove the user's second factor and keep the password, for example if the authenticator is lost.
    #[arg(long, conflicts_with_all = ["role", "stdin"])]
    without_second_factor: bool,
}

/// The subcommands of `jd-manager token`.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and print it. It is shown only once.
    Create {
        /// Name of the token, shown in the audit log.
        name: String,
        /// Role of the token: viewer, operator or admin.
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// Number of days until the token expires [default: never].
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=3650))]
        days: Option<i64>,
    },
    /// List the tokens.
    List,
    /// Revoke a token.
    Revoke {
        /// Name or id of the token.
        name: String,
    },
}

async fn open(settings: &Settings) -> Result<Access, String> {
    app::make_data_dir(&settings.data_dir)?;
    let db = Db::open(&settings.data_dir).map_err(|e| e.to_string())?;
    let vault = app::open_vault(&settings.data_dir, &db)
        .await
        .map_err(|e| e.to_string())?;
    Ok(Access::new(db, vault, SystemClock, None))
}

/// Adds an entry to the audit log.
async fn note(access: &Access, action: &str) -> Result<(), String> {
    let entry = AuditEntry {
        user: Caller::MACHINE.into(),
        actor: Caller::MACHINE.into(),
        role: Role::Admin.name().into(),
        address: String::new(),
        action: format!("{action} on the command line"),
        path: String::new(),
        status: 200,
    };
    access.note(entry).await.map_err(|e| e.to_string())
}

/// The subcommand `set-password`.
///
/// # Errors
/// The reason why the password cannot be set, for the person at the terminal.
pub async fn set_password(settings: Settings, wanted: NewPassword) -> Result<(), String> {
    let access = open(&settings).await?;
    let name = wanted.name.trim();
    if wanted.without_second_factor {
        access
            .clear_second_factor(name)
            .await
            .map_err(|e| e.to_string())?;
        note(&access, &format!("removed the second factor of {name}")).await?;
        println!(
            "The second factor of {} was removed. Signing in now requires only the password.",
            on_terminal(name)
        );
        return Ok(());
    }
    let password = if wanted.stdin {
        from_stdin()?
    } else {
        asked(name)?
    };
    let changed = access
        .set_password(name, wanted.role, password)
        .await
        .map_err(|e| e.to_string())?;
    let shown = on_terminal(name);
    if changed {
        note(&access, &format!("set the password for {name}")).await?;
        println!("Set the password for {shown} and signed out all their sessions.");
    } else {
        println!("{shown} already has this password and role. Nothing was changed.");
    }
    Ok(())
}

fn from_stdin() -> Result<String, String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|e| format!("cannot read standard input: {e}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn asked(name: &str) -> Result<String, String> {
    if !std::io::stdin().is_terminal() {
        return Err("cannot ask for the password because there is no terminal. Pass it on standard input with --stdin.".into());
    }
    let ask = |what: &str| {
        rpassword::prompt_password(what).map_err(|e| format!("cannot read the password: {e}"))
    };
    let first = ask(&format!("New password for {name}: "))?;
    if first != ask("Repeat password: ")? {
        return Err("the passwords do not match. Nothing was changed.".into());
    }
    Ok(first)
}

/// The subcommand `token`.
///
/// # Errors
/// The reason why the command failed, for the person at the terminal.
pub async fn token(settings: Settings, command: TokenCommand) -> Result<(), String> {
    let access = open(&settings).await?;
    let machine = Caller::machine(PeerAddress::default());
    let told = |e: crate::base::error::Error| e.to_string();
    match command {
        TokenCommand::Create { name, role, days } => {
            let made = access
                .create_token(
                    &machine,
                    TokenRequest {
                        name: name.trim().into(),
                        role,
                        days,
                    },
                )
                .await
                .map_err(told)?;
            note(&access, &format!("created the token {}", made.token.name)).await?;
            println!("{}", made.secret);
        }
        TokenCommand::List => {
            for token in access.tokens(&machine).await.map_err(told)? {
                let end = match token.expires_at {
                    Some(end) if token.expired => format!("expired {}", end.local()),
                    Some(end) => format!("expires {}", end.local()),
                    None => "never expires".into(),
                };
                println!(
                    "{}  {}  {}  {end}",
                    token.id,
                    token.role,
                    on_terminal(&token.name)
                );
            }
        }
        TokenCommand::Revoke { name } => {
            let all = access.tokens(&machine).await.map_err(told)?;
            let is_it = |id: TokenId, known: &str| known == name || id.to_string() == name;
            let token = all.into_iter().find(|token| is_it(token.id, &token.name));
            let token = token.ok_or_else(|| {
                format!("there is no token \"{name}\". List the tokens with: jd-manager token list")
            })?;
            access
                .revoke_token(&machine, token.id)
                .await
                .map_err(told)?;
            note(&access, &format!("revoked the token {}", token.name)).await?;
            println!("Token {} was revoked.", on_terminal(&token.name));
        }
    }
    Ok(())
}
