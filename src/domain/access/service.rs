//! Use cases of users and of the audit log, and the state shared by all of access.

use diesel::sqlite::SqliteConnection;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

use super::activity::LastUses;
use super::attempts::LoginAttempts;
use super::audit_queue::AuditQueue;
use super::index::AccessIndex;
use super::model::{
    AuditEntry, AuditRow, LoginSession, StoredCredentials, UserAccount, check_user_name,
};
use super::{password, queries, second_factor, secret_token};
use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{Error, Result};
use crate::base::ids::{SessionId, UserId};
use crate::base::role::Role;
use crate::domain::vault::Vault;
use crate::infra::db::{Db, WriteMode};
use crate::web::Caller;

/// The number of names in a text about who can help.
const MOST_NAMES: usize = 5;
/// Maximum number of parallel password checks: each uses 19 MiB and a core for tens of
/// milliseconds.
const LOOKED_AT: usize = 2;

/// The code for initial setup. It proves that the person can see the manager's terminal.
#[derive(Clone, Debug)]
pub struct FirstCode(pub(super) String);

impl FirstCode {
    /// Creates a code.
    pub fn fresh() -> Result<Self> {
        secret_token::code().map(Self)
    }

    /// The text to print in the terminal only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The access service; cheap to clone.
#[derive(Clone)]
pub struct Access {
    pub(super) db: Db,
    pub(super) index: Arc<AccessIndex>,
    pub(super) vault: Vault,
    pub(super) clock: Arc<dyn Clock>,
    /// Recent attempts; in memory, because an attacker cannot restart the manager.
    pub(super) attempts: Arc<Mutex<LoginAttempts>>,
    pub(super) login_checks: Arc<Semaphore>,
    /// The code for initial setup, until it is used.
    pub(super) code: Arc<Mutex<Option<FirstCode>>>,
    audit: Arc<AuditQueue>,
    pub(super) last_uses: Arc<LastUses>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

/// Whether a manager may listen at this address. `is_protected`: others have to sign in, or cannot do
/// anything before the first user is created.
///
/// # Errors
/// Others could use it without signing in. The error describes the fix.
pub fn check_exposure(at: SocketAddr, is_protected: bool, data_dir: &Path) -> Result<(), String> {
    if is_protected || at.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "listen: {at} can be reached from other machines and has no users yet, so anyone who opens the page could redirect the mining \
         income. Do one of the following:\n  \
         * set a password: jd-manager set-password --data-dir {data}\n  \
         * start with --setup and create the first user in the browser, with a code that is printed here\n  \
         * provide a password with the environment variable JD_MANAGER_PASSWORD or with --password-file FILE\n  \
         * listen on 127.0.0.1 and connect through an SSH tunnel: ssh -L 3000:127.0.0.1:3000 user@machine",
        data = data_dir.display(),
    ))
}

/// Whether a database has users.
///
/// # Errors
/// It cannot be read.
pub fn any_users(c: &mut SqliteConnection) -> Result<bool> {
    Ok(queries::has_users(c)?)
}

impl Access {
    /// `code`: the code for initial setup, if enabled.
    pub fn new(db: Db, vault: Vault, clock: impl Clock, code: Option<FirstCode>) -> Self {
        let index = Arc::new(AccessIndex::new(db.clone()));
        Self {
            audit: Arc::new(AuditQueue::new(db.clone())),
            last_uses: Arc::new(LastUses::new(db.clone(), Arc::clone(&index))),
            index,
            db,
            vault,
            clock: Arc::new(clock),
            attempts: Arc::default(),
            login_checks: Arc::new(Semaphore::new(LOOKED_AT)),
            code: Arc::new(Mutex::new(code)),
        }
    }

    /// Changes users, sessions or tokens.
    pub(super) async fn change<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T> + Send + 'static,
    {
        self.index.change(WriteMode::DURABLE, work).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes an entry to the audit log, now or as soon as the database can be written.
    pub(super) async fn record(&self, entry: AuditEntry) {
        self.audit.record(entry, self.now()).await;
    }

    /// Whether there is a user. Until then the local account is trusted.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(self.index.snapshot().await?.has_users)
    }

    /// Whether the manager may listen at these addresses.
    ///
    /// # Errors
    /// Others could reach it without signing in. The error describes the fix.
    pub async fn may_listen(&self, at: SocketAddr, data_dir: &Path) -> Result<(), String> {
        let can_be_set_up = self
            .code
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        let is_protected = can_be_set_up || self.has_users().await.map_err(|e| e.to_string())?;
        check_exposure(at, is_protected, data_dir)
    }

    /// Checks a password on a blocking thread, with limited parallelism.
    pub(super) async fn is_right(&self, typed: String, hash: Option<String>) -> Result<bool> {
        let _turn = self.login_checks.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || password::matches(&typed, hash.as_deref()))
            .await
            .map_err(Error::internal)
    }

    pub(super) async fn hashed(&self, typed: String) -> Result<String> {
        let _turn = self.login_checks.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || password::hash(&typed))
            .await
            .map_err(Error::internal)?
    }

    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<UserAccount>> {
        self.db.read(|c| Ok(queries::all_users(c)?)).await
    }

    /// The names of admins, sorted; at most [`MOST_NAMES`].
    pub(super) async fn admin_names(&self) -> Result<Vec<String>> {
        let users = self.users().await?.into_iter();
        let admins = users.filter(|user| user.role == Role::Admin);
        let mut names: Vec<String> = admins.map(|user| user.name).collect();
        names.sort();
        names.truncate(MOST_NAMES);
        Ok(names)
    }

    pub(super) async fn credentials(&self, id: UserId) -> Result<StoredCredentials> {
        self.db
            .read(move |c| queries::user(c, id)?.ok_or_else(|| Error::not_found("user", id)))
            .await
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> Result<UserAccount> {
        Ok(self.credentials(id).await?.user)
    }

    /// The user of the caller.
    ///
    /// # Errors
    /// The caller is the local account, which is not a user.
    pub async fn me(&self, caller: &Caller) -> Result<UserAccount> {
        let none = || {
            Error::Conflict(
                "The local account has no password or sessions. Create a user first.".into(),
            )
        };
        let name = Some(caller.name.clone())
            .filter(|name| name != Caller::MACHINE)
            .ok_or_else(none)?;
        self.db
            .read(move |c| Ok(queries::user_called(c, &name)?.ok_or_else(none)?.user))
            .await
    }

    /// Creates a user. The first one must be an admin.
    ///
    /// # Errors
    /// The name is invalid or already in use, or the password is too weak.
    pub async fn create_user(
        &self,
        name: String,
        role: Role,
        typed: String,
    ) -> Result<UserAccount> {
        let mut errors: Vec<_> = check_user_name(&name).err().into_iter().collect();
        errors.extend(
            password::check(&typed, &name)
                .err()
                .map(|detail| crate::base::error::FieldError::new("/password", detail)),
        );
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let hash = self.hashed(typed).await?;
        let at = self.now();
        let user = UserAccount {
            id: UserId::random(),
            name,
            role,
            second_factor: false,
            created_at: at,
            password_at: at,
        };
        self.change(move |c| {
            if role != Role::Admin && !queries::has_users(c)? {
                let detail =
                    "The first user must be an admin. Otherwise, no one could manage users.";
                return Err(Error::invalid("/role", detail));
            }
            if queries::user_called(c, &user.name)?.is_some() {
                return Err(taken(&user.name));
            }
            queries::insert_user(c, &user, &hash)?;
            Ok(user)
        })
        .await
    }

    /// Changes name, role or password of a user, or removes the second factor: only the given fields are
    /// changed. A new password ends the user's sessions.
    ///
    /// # Errors
    /// Unknown id; the name is already in use; it is the last admin; the password is too weak.
    pub async fn change_user(&self, id: UserId, change: UserChange) -> Result<UserAccount> {
        let former = self.user(id).await?;
        let name = change.name.clone().unwrap_or_else(|| former.name.clone());
        // Names from before these rules stay valid.
        let new_name = Some(&name).filter(|name| **name != former.name);
        let mut errors: Vec<_> = new_name
            .and_then(|name| check_user_name(name).err())
            .into_iter()
            .collect();
        if let Some(typed) = &change.password {
            errors.extend(
                password::check(typed, &name)
                    .err()
                    .map(|detail| crate::base::error::FieldError::new("/password", detail)),
            );
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let hash = match change.password {
            Some(typed) => Some(self.hashed(typed).await?),
            None => None,
        };
        let at = self.now();
        self.change(move |c| {
            let former = queries::user(c, id)?
                .ok_or_else(|| Error::not_found("user", id))?
                .user;
            let role = change.role.unwrap_or(former.role);
            if former.role == Role::Admin && role != Role::Admin && queries::admins(c)? < 2 {
                return Err(last_admin(&former.name));
            }
            if queries::user_called(c, &name)?.is_some_and(|other| other.user.id != id) {
                return Err(taken(&name));
            }
            queries::change_user(c, id, &name, role)?;
            if let Some(hash) = hash {
                queries::set_password(c, id, &hash, at)?;
                queries::end_sessions(c, id, None)?;
            }
            if change.without_second_factor {
                queries::set_second_factor(c, id, None, 0)?;
            }
            Ok(queries::user(c, id)?
                .ok_or_else(|| Error::not_found("user", id))?
                .user)
        })
        .await
    }

    /// Removes a user with its sessions and tokens.
    ///
    /// # Errors
    /// Unknown id; it is the last admin.
    pub async fn delete_user(&self, id: UserId) -> Result<UserAccount> {
        self.change(move |c| {
            let user = queries::user(c, id)?
                .ok_or_else(|| Error::not_found("user", id))?
                .user;
            if user.role == Role::Admin && queries::admins(c)? < 2 {
                return Err(last_admin(&user.name));
            }
            queries::delete_user(c, id)?;
            Ok(user)
        })
        .await
    }

    /// The valid sessions of a user, last used first.
    pub async fn sessions(
        &self,
        user: UserId,
        current: Option<SessionId>,
    ) -> Result<Vec<LoginSession>> {
        let now = self.now();
        let all = self
            .db
            .read(move |c| Ok(queries::sessions_of(c, user, current)?))
            .await?;
        Ok(all
            .into_iter()
            .filter(|s| !LoginSession::is_over(s.created_at, s.used_at, now))
            .collect())
    }

    /// Ends one session of a user.
    pub async fn end_session(&self, user: UserId, id: SessionId) -> Result<()> {
        let ended = self
            .change(move |c| Ok(queries::end_session(c, user, id)?))
            .await?;
        if ended == 0 {
            Err(Error::not_found("session", id))
        } else {
            Ok(())
        }
    }

    /// Ends all sessions of a user except the current one; returns their number.
    pub async fn end_other_sessions(
        &self,
        user: UserId,
        current: Option<SessionId>,
    ) -> Result<usize> {
        self.change(move |c| Ok(queries::end_sessions(c, user, current)?))
            .await
    }

    /// Writes an audit entry.
    pub async fn note(&self, entry: AuditEntry) -> Result<()> {
        let at = self.now();
        self.db
            .write(move |c| Ok(queries::note(c, &entry, at)?))
            .await
    }

    /// Audit log entries, newest first, and all actors.
    pub async fn entries(
        &self,
        limit: i64,
        before: Option<i64>,
        actor: Option<String>,
    ) -> Result<(Vec<AuditRow>, Vec<String>)> {
        self.db
            .read(move |c| {
                Ok((
                    queries::entries(c, limit, before, actor.as_deref())?,
                    queries::actors(c)?,
                ))
            })
            .await
    }

    /// Creates a secret for a second factor that is not active yet.
    pub fn fresh_second_factor(&self) -> Result<String> {
        second_factor::fresh()
    }
}

/// Changes of a user; absent fields stay as they are.
#[derive(Default)]
pub struct UserChange {
    /// New name.
    pub name: Option<String>,
    /// New role.
    pub role: Option<Role>,
    /// New password.
    pub password: Option<String>,
    /// Remove the second factor, because the authenticator was lost.
    pub without_second_factor: bool,
}

impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserChange")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

pub(super) fn taken(name: &str) -> Error {
    Error::Conflict(format!(
        "A user named \"{name}\" already exists. Choose another name."
    ))
}

fn last_admin(name: &str) -> Error {
    Error::Conflict(format!(
        "\"{name}\" is the only admin. Make another user an admin first."
    ))
}
