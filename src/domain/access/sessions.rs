//! Use cases of signing in and out, of password and second factor, and of initial
//! setup.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;

use super::model::{AuditEntry, LoginSession, StoredCredentials, UserAccount};
use super::service::{Access, UserChange};
use super::{model, password, queries, second_factor, secret_token};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::ids::{SessionId, UserId};
use crate::base::role::Role;
use crate::infra::db::WriteMode;
use crate::web::PeerAddress;

/// Maximum number of sessions per user. A further sign-in ends the least recently used
/// session.
const MOST_SESSIONS: i64 = 100;

/// The input of the sign-in form.
#[derive(Clone, Default)]
pub struct LoginInput {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// The code of the second factor; empty without one.
    pub code: String,
}

impl std::fmt::Debug for LoginInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginInput")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A new session, with the value of its cookie.
pub struct NewSession {
    /// The user.
    pub user: UserAccount,
    /// The value of the cookie; available only here.
    pub cookie: String,
}

impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSession")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The reason for a failed sign-in.
#[derive(Debug)]
pub enum LoginRefusal {
    /// Wrong credentials, without details.
    Wrong,
    /// Too many attempts; the remaining wait.
    Wait(Duration),
    /// An error in the input for a new user, or an internal error.
    Because(Error),
}

impl From<Error> for LoginRefusal {
    fn from(error: Error) -> Self {
        Self::Because(error)
    }
}

impl Access {
    /// Signs a user in: starts a new session and ends the one that the request sent.
    ///
    /// # Errors
    /// `LoginRefusal`: without details of what was wrong.
    pub async fn log_in(
        &self,
        typed: LoginInput,
        peer: PeerAddress,
        program: String,
        former: Option<String>,
    ) -> Result<NewSession, LoginRefusal> {
        self.begin_attempt(peer.address, &typed.name)?;
        let name = typed.name.clone();
        let known = self
            .db
            .read(move |c| Ok(queries::user_called(c, &name)?))
            .await?;
        let hash = known.as_ref().map(|known| known.password.clone());
        let right = self.is_right(clipped(typed.password), hash).await?;
        let Some(known) = known.filter(|_| right) else {
            return Err(self.refuse_login(&typed.name, peer).await?);
        };
        if let Some(secret) = &known.second_factor {
            let id = known.user.id;
            let secret = self.vault.open(&place(id), secret)?;
            let step = second_factor::step_of(&typed.code, &secret, known.step, self.now());
            // If two sign-ins use the same code at once, the second one fails.
            let used = match step {
                Some(step) => {
                    self.change(move |c| Ok(queries::use_step(c, id, step)?))
                        .await?
                }
                None => 0,
            };
            if used == 0 {
                return Err(self.refuse_login(&typed.name, peer).await?);
            }
        }
        let Some(begun) = self.begin_session(known, peer, program, former).await? else {
            return Err(self.refuse_login(&typed.name, peer).await?);
        };
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .succeeded(peer.address, &typed.name);
        Ok(begun)
    }

    fn begin_attempt(&self, address: Option<IpAddr>, name: &str) -> Result<(), LoginRefusal> {
        let now = self.now();
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .begin(address, name, now)
            .map_err(LoginRefusal::Wait)
    }

    /// Records a failed sign-in. An unknown name may be a password in the wrong field, so it is not
    /// recorded.
    async fn refuse_login(&self, name: &str, peer: PeerAddress) -> Result<LoginRefusal> {
        let name = name.to_owned();
        let known = self
            .db
            .read(move |c| Ok(queries::user_called(c, &name)?))
            .await?;
        let actor = known.map_or_else(|| "unknown name".into(), |known| known.user.name);
        let address = peer.address.map(|a| a.to_string()).unwrap_or_default();
        tracing::warn!(address, "a sign-in was rejected");
        let (action, path) = ("failed to sign in".into(), "/login".into());
        self.record(AuditEntry {
            user: actor.clone(),
            actor,
            role: String::new(),
            address,
            action,
            path,
            status: 401,
        })
        .await;
        Ok(LoginRefusal::Wrong)
    }

    /// Starts a session for a user whose credentials were checked. `None`: the password or the second
    /// factor was changed meanwhile, or the user was deleted.
    pub(super) async fn begin_session(
        &self,
        checked: StoredCredentials,
        peer: PeerAddress,
        program: String,
        former: Option<String>,
    ) -> Result<Option<NewSession>> {
        let user = checked.user.clone();
        let (cookie, now) = (secret_token::fresh("")?, self.now());
        let program: String = program
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        let address = peer.address.map(|a| a.to_string()).unwrap_or_default();
        let entry = AuditEntry {
            user: user.name.clone(),
            actor: user.name.clone(),
            role: user.role.name().into(),
            address: address.clone(),
            action: "signed in".into(),
            path: "/login".into(),
            status: 200,
        };
        let session = LoginSession {
            id: SessionId::random(),
            address,
            program,
            created_at: now,
            used_at: now,
            current: true,
        };
        let (hash, former, id) = (
            secret_token::hash(&cookie),
            former.map(|text| secret_token::hash(&text)),
            user.id,
        );
        let is_begun = self.change(move |c| {
            let is_same = queries::user(c, id)?.is_some_and(|current| {
                current.password == checked.password
                    && current.second_factor == checked.second_factor
            });
            if !is_same {
                return Ok(false);
            }
            if let Some(former) = former {
                queries::end_session_of(c, &former)?;
            }
            queries::end_oldest_sessions(c, id, MOST_SESSIONS - 1)?;
            queries::insert_session(c, &session, &hash, id)?;
            queries::note(c, &entry, now)?;
            Ok(true)
        });
        Ok(is_begun.await?.then_some(NewSession { user, cookie }))
    }

    /// Ends the session that the request sent.
    pub async fn log_out(&self, cookie: String) -> Result<()> {
        let hash = secret_token::hash(&cookie);
        self.change(move |c| Ok(queries::end_session_of(c, &hash)?))
            .await?;
        Ok(())
    }

    /// Whether initial setup is available: a code was printed and there is no user.
    pub async fn awaits_first_visit(&self) -> Result<bool> {
        let has_code = self
            .code
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        Ok(has_code && !self.has_users().await?)
    }

    /// Initial setup: with the code from the terminal, creates the first admin and signs in.
    ///
    /// # Errors
    /// `LoginRefusal`; a weak password and a bad name are reported only if the code is right.
    pub async fn first_visit(
        &self,
        code: &str,
        typed: LoginInput,
        peer: PeerAddress,
        program: String,
    ) -> Result<NewSession, LoginRefusal> {
        self.begin_attempt(peer.address, "")?;
        let known = self
            .code
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if !known.is_some_and(|known| secret_token::is_code(code, &known.0))
            || self.has_users().await?
        {
            return Err(self.refuse_login("", peer).await?);
        }
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .succeeded(peer.address, "");
        let user = self
            .create_user(typed.name, Role::Admin, typed.password)
            .await?;
        self.code
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let known = self.credentials(user.id).await?;
        match self.begin_session(known, peer, program, None).await? {
            Some(begun) => Ok(begun),
            None => Err(self.refuse_login(&user.name, peer).await?),
        }
    }

    /// Changes the caller's password and ends all other sessions.
    ///
    /// # Errors
    /// The old password is wrong; the new one is too weak; too many attempts.
    pub async fn change_password(
        &self,
        user: UserId,
        old: String,
        new: String,
        at: (PeerAddress, Option<SessionId>),
    ) -> Result<(), LoginRefusal> {
        let known = self.proven(user, old, at.0).await?;
        password::check(&new, &known.name).map_err(|detail| Error::invalid("/password", detail))?;
        let (hash, now) = (self.hashed(new).await?, self.now());
        self.change(move |c| {
            queries::set_password(c, user, &hash, now)?;
            Ok(queries::end_sessions(c, user, at.1)?)
        })
        .await?;
        Ok(())
    }

    /// Checks the caller's password before a change that it protects.
    async fn proven(
        &self,
        user: UserId,
        typed: String,
        peer: PeerAddress,
    ) -> Result<UserAccount, LoginRefusal> {
        let known = self.credentials(user).await?;
        self.begin_attempt(peer.address, &known.user.name)?;
        if !self.is_right(clipped(typed), Some(known.password)).await? {
            return Err(LoginRefusal::Because(Error::invalid(
                "/current",
                "Wrong password.",
            )));
        }
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .succeeded(peer.address, &known.user.name);
        Ok(known.user)
    }

    /// Turns on a second factor, after a code confirms that the authenticator app has the secret.
    ///
    /// # Errors
    /// The password or the code is wrong; too many attempts.
    pub async fn set_second_factor(
        &self,
        user: UserId,
        typed: LoginInput,
        secret: String,
        peer: PeerAddress,
    ) -> Result<(), LoginRefusal> {
        self.proven(user, typed.password, peer).await?;
        let step = Some(&secret)
            .filter(|secret| second_factor::is_secret(secret))
            .and_then(|secret| second_factor::step_of(&typed.code, secret, 0, self.now()));
        let wrong =
            "Wrong code. Enter the current code, and check that your phone's clock is correct.";
        let step = step.ok_or_else(|| Error::invalid("/code", wrong))?;
        let sealed = self.vault.seal(&place(user), &secret)?;
        self.change(move |c| Ok(queries::set_second_factor(c, user, Some(&sealed), step)?))
            .await?;
        Ok(())
    }

    /// Removes the caller's second factor.
    ///
    /// # Errors
    /// The password is wrong; too many attempts.
    pub async fn remove_second_factor(
        &self,
        user: UserId,
        typed: String,
        peer: PeerAddress,
    ) -> Result<(), LoginRefusal> {
        self.proven(user, typed, peer).await?;
        self.change(move |c| Ok(queries::set_second_factor(c, user, None, 0)?))
            .await?;
        Ok(())
    }

    /// Sets the password of the user `name`, or creates an admin with that name: from the command line or
    /// the environment, whose user can write the database anyway. Ends the user's sessions, unless the
    /// password is the same. True if something changed.
    ///
    /// # Errors
    /// The name or the password is not valid.
    pub async fn set_password(
        &self,
        name: &str,
        role: Option<Role>,
        typed: String,
    ) -> Result<bool> {
        let wanted = name.to_owned();
        let Some(known) = self
            .db
            .read(move |c| Ok(queries::user_called(c, &wanted)?))
            .await?
        else {
            self.create_user(name.to_owned(), role.unwrap_or(Role::Admin), typed)
                .await?;
            return Ok(true);
        };
        let is_same = self.is_right(typed.clone(), Some(known.password)).await?;
        let role = role.filter(|role| *role != known.user.role);
        if is_same && role.is_none() {
            return Ok(false);
        }
        let password = (!is_same).then_some(typed);
        self.change_user(
            known.user.id,
            UserChange {
                role,
                password,
                ..Default::default()
            },
        )
        .await?;
        Ok(true)
    }

    /// Removes the second factor of the user `name`.
    ///
    /// # Errors
    /// There is no user with this name.
    pub async fn clear_second_factor(&self, name: &str) -> Result<()> {
        let wanted = name.to_owned();
        let known = self
            .db
            .read(move |c| Ok(queries::user_called(c, &wanted)?))
            .await?;
        let id = known.ok_or_else(|| Error::not_found("user", name))?.user.id;
        self.change(move |c| Ok(queries::set_second_factor(c, id, None, 0)?))
            .await
            .map(drop)
    }
}

/// Where the secret of a user's second factor is stored, for the vault.
fn place(user: UserId) -> String {
    format!("users/{user}/second_factor")
}

/// Cut to the maximum length of a password, to limit the work. A longer one is wrong
/// anyway.
fn clipped(mut typed: String) -> String {
    if typed.len() > password::LONGEST {
        typed.clear();
    }
    typed
}

impl Access {
    /// Deletes expired sessions.
    pub(super) async fn prune_sessions(&self) -> Result<usize> {
        let now = self.now().0;
        let before = |length: Duration| {
            Timestamp(now - i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
        };
        let (used, begun) = (before(model::IDLE), before(model::LONGEST));
        self.index
            .change(WriteMode::UNSYNCED, move |c| {
                Ok(queries::prune_sessions(c, used, begun)?)
            })
            .await
    }
}
