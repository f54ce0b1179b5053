//! SQL statements for users, sessions, tokens and the audit log.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Db;
use std::collections::HashMap;

use super::model::{
    ApiToken, AuditEntry, AuditRow, CANCELED, LoginSession, StoredCredentials, UserAccount,
};
use crate::base::clock::Timestamp;
use crate::base::ids::{SessionId, TokenId, UserId};
use crate::base::role::Role;
use crate::infra::db::schema::{audit, sessions, tokens, users};

/// A row of `users`.
type UserRow = (
    UserId,
    String,
    String,
    String,
    Option<String>,
    i64,
    Timestamp,
    Timestamp,
);

/// An unknown role, written by a newer version, gets the lowest permissions.
fn role(text: &str) -> Role {
    text.parse().unwrap_or(Role::Viewer)
}

fn credentials(
    (id, name, role_name, password, second_factor, step, created_at, password_at): UserRow,
) -> StoredCredentials {
    let user = UserAccount {
        id,
        name,
        role: role(&role_name),
        second_factor: second_factor.is_some(),
        created_at,
        password_at,
    };
    StoredCredentials {
        user,
        password,
        second_factor,
        step,
    }
}

/// Whether there is a user.
pub fn has_users(db: &mut Db) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(users::table.select(users::id))).get_result(db)
}

/// All users, by name.
pub fn all_users(db: &mut Db) -> QueryResult<Vec<UserAccount>> {
    Ok(users::table
        .order(users::name)
        .load::<UserRow>(db)?
        .into_iter()
        .map(|row| credentials(row).user)
        .collect())
}

/// A user with password hash and second factor.
pub fn user(db: &mut Db, id: UserId) -> QueryResult<Option<StoredCredentials>> {
    Ok(users::table
        .find(id)
        .first::<UserRow>(db)
        .optional()?
        .map(credentials))
}

/// The same by name, ignoring case.
pub fn user_called(db: &mut Db, name: &str) -> QueryResult<Option<StoredCredentials>> {
    Ok(users::table
        .filter(users::name.eq(name))
        .first::<UserRow>(db)
        .optional()?
        .map(credentials))
}

/// Saves a new user.
pub fn insert_user(db: &mut Db, user: &UserAccount, password: &str) -> QueryResult<usize> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(user.id),
            users::name.eq(&user.name),
            users::role.eq(user.role.name()),
            users::password.eq(password),
            users::created_at.eq(user.created_at),
            users::password_at.eq(user.password_at),
        ))
        .execute(db)
}

/// Renames a user and gives it a role.
pub fn change_user(db: &mut Db, id: UserId, name: &str, role: Role) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set((users::name.eq(name), users::role.eq(role.name())))
        .execute(db)
}

/// Sets a password.
pub fn set_password(db: &mut Db, id: UserId, password: &str, at: Timestamp) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set((users::password.eq(password), users::password_at.eq(at)))
        .execute(db)
}

/// Sets or removes a second factor; `step`: the last used time step.
pub fn set_second_factor(
    db: &mut Db,
    id: UserId,
    secret: Option<&str>,
    step: i64,
) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set((
            users::second_factor.eq(secret),
            users::second_factor_step.eq(step),
        ))
        .execute(db)
}

/// Marks a time step of the second factor as used; 0 rows if that step or a later one was already used.
pub fn use_step(db: &mut Db, id: UserId, step: i64) -> QueryResult<usize> {
    let unused = users::table
        .find(id)
        .filter(users::second_factor_step.lt(step));
    diesel::update(unused)
        .set(users::second_factor_step.eq(step))
        .execute(db)
}

/// Removes a user with its sessions and tokens.
pub fn delete_user(db: &mut Db, id: UserId) -> QueryResult<usize> {
    diesel::delete(users::table.find(id)).execute(db)
}

/// The number of admins.
pub fn admins(db: &mut Db) -> QueryResult<i64> {
    users::table
        .filter(users::role.eq(Role::Admin.name()))
        .count()
        .get_result(db)
}

/// A session, as the check of a request needs it.
#[derive(Debug)]
pub struct SessionLookup {
    /// Its id.
    pub id: SessionId,
    /// The user.
    pub user: UserAccount,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
}

/// All sessions, each with its hash.
pub fn all_sessions(db: &mut Db) -> QueryResult<Vec<(String, SessionLookup)>> {
    let columns = (
        sessions::hash,
        sessions::id,
        sessions::created_at,
        sessions::used_at,
        users::all_columns,
    );
    let rows = sessions::table
        .inner_join(users::table)
        .select(columns)
        .load::<(String, SessionId, Timestamp, Timestamp, UserRow)>(db)?;
    let session = |(hash, id, created_at, used_at, user)| {
        let session = SessionLookup {
            id,
            user: credentials(user).user,
            created_at,
            used_at,
        };
        (hash, session)
    };
    Ok(rows.into_iter().map(session).collect())
}

/// The sessions of a user, last used first; `current`: the current session.
pub fn sessions_of(
    db: &mut Db,
    user: UserId,
    current: Option<SessionId>,
) -> QueryResult<Vec<LoginSession>> {
    let columns = (
        sessions::id,
        sessions::address,
        sessions::program,
        sessions::created_at,
        sessions::used_at,
    );
    let rows = sessions::table
        .filter(sessions::user_id.eq(user))
        .order(sessions::used_at.desc())
        .select(columns);
    let rows = rows.load::<(SessionId, String, String, Timestamp, Timestamp)>(db)?;
    let session = |(id, address, program, created_at, used_at)| LoginSession {
        id,
        address,
        program,
        created_at,
        used_at,
        current: Some(id) == current,
    };
    Ok(rows.into_iter().map(session).collect())
}

/// Saves a new session.
pub fn insert_session(
    db: &mut Db,
    session: &LoginSession,
    hash: &str,
    user: UserId,
) -> QueryResult<usize> {
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session.id),
            sessions::hash.eq(hash),
            sessions::user_id.eq(user),
            sessions::address.eq(&session.address),
            sessions::program.eq(&session.program),
            sessions::created_at.eq(session.created_at),
            sessions::used_at.eq(session.used_at),
        ))
        .execute(db)
}

/// Stores a use of a session.
pub fn touch_session(db: &mut Db, id: SessionId, at: Timestamp) -> QueryResult<usize> {
    diesel::update(sessions::table.find(id))
        .set(sessions::used_at.eq(at))
        .execute(db)
}

/// Ends the session of this hash.
pub fn end_session_of(db: &mut Db, hash: &str) -> QueryResult<usize> {
    diesel::delete(sessions::table.filter(sessions::hash.eq(hash))).execute(db)
}

/// Ends one session of a user.
pub fn end_session(db: &mut Db, user: UserId, id: SessionId) -> QueryResult<usize> {
    diesel::delete(sessions::table.find(id).filter(sessions::user_id.eq(user))).execute(db)
}

/// Ends the least recently used sessions of a user, except for this number.
pub fn end_oldest_sessions(db: &mut Db, user: UserId, but: i64) -> QueryResult<usize> {
    let of_user = sessions::table
        .filter(sessions::user_id.eq(user))
        .order((sessions::used_at.desc(), sessions::id));
    let old = of_user
        .offset(but)
        .limit(i64::MAX)
        .select(sessions::id)
        .load::<SessionId>(db)?;
    diesel::delete(sessions::table.filter(sessions::id.eq_any(old))).execute(db)
}

/// Ends all sessions of a user except one; returns their number.
pub fn end_sessions(db: &mut Db, user: UserId, but: Option<SessionId>) -> QueryResult<usize> {
    let all = sessions::table.filter(sessions::user_id.eq(user));
    match but {
        Some(id) => diesel::delete(all.filter(sessions::id.ne(id))).execute(db),
        None => diesel::delete(all).execute(db),
    }
}

/// Deletes expired sessions: last used before `used`, or started before `begun`.
pub fn prune_sessions(db: &mut Db, used: Timestamp, begun: Timestamp) -> QueryResult<usize> {
    diesel::delete(
        sessions::table.filter(
            sessions::used_at
                .lt(used)
                .or(sessions::created_at.lt(begun)),
        ),
    )
    .execute(db)
}

/// A row of `tokens` with its user's name and role.
type TokenRow = (
    TokenId,
    String,
    String,
    Timestamp,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<String>,
    Option<String>,
);

fn found_token(row: TokenRow, now: Timestamp) -> ApiToken {
    let (id, name, own, created_at, expires_at, used_at, user, of_user) = row;
    // A token never has a higher role than its user has now.
    let role = of_user.map_or(role(&own), |of_user| role(&own).min(role(&of_user)));
    let expired = expires_at.is_some_and(|end| end <= now);
    ApiToken {
        id,
        name,
        user,
        role,
        created_at,
        expires_at,
        used_at,
        expired,
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn tokens_with_users() -> _ {
    tokens::table.left_join(users::table).select((
        tokens::id,
        tokens::name,
        tokens::role,
        tokens::created_at,
        tokens::expires_at,
        tokens::used_at,
        users::name.nullable(),
        users::role.nullable(),
    ))
}

/// All tokens, each with its hash.
pub fn tokens_by_hash(db: &mut Db) -> QueryResult<Vec<(String, ApiToken)>> {
    let hashes = tokens::table
        .select((tokens::id, tokens::hash))
        .load::<(TokenId, String)>(db)?;
    let mut hashes: HashMap<_, _> = hashes.into_iter().collect();
    let all = all_tokens(db, Timestamp::now())?;
    Ok(all
        .into_iter()
        .filter_map(|token| Some((hashes.remove(&token.id)?, token)))
        .collect())
}

/// All tokens, by name.
pub fn all_tokens(db: &mut Db, now: Timestamp) -> QueryResult<Vec<ApiToken>> {
    let rows = tokens_with_users()
        .order(tokens::name)
        .load::<TokenRow>(db)?;
    Ok(rows.into_iter().map(|row| found_token(row, now)).collect())
}

/// Whether a token has this name, ignoring case.
pub fn token_name_is_taken(db: &mut Db, name: &str) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        tokens::table.filter(tokens::name.eq(name)),
    ))
    .get_result(db)
}

/// The number of a user's tokens; `None`: those of the local account.
pub fn tokens_of(db: &mut Db, user: Option<UserId>) -> QueryResult<i64> {
    match user {
        Some(user) => tokens::table
            .filter(tokens::user_id.eq(user))
            .count()
            .get_result(db),
        None => tokens::table
            .filter(tokens::user_id.is_null())
            .count()
            .get_result(db),
    }
}

/// Saves a new token.
pub fn insert_token(
    db: &mut Db,
    token: &ApiToken,
    hash: &str,
    user: Option<UserId>,
) -> QueryResult<usize> {
    diesel::insert_into(tokens::table)
        .values((
            tokens::id.eq(token.id),
            tokens::hash.eq(hash),
            tokens::name.eq(&token.name),
            tokens::user_id.eq(user),
            tokens::role.eq(token.role.name()),
            tokens::created_at.eq(token.created_at),
            tokens::expires_at.eq(token.expires_at),
        ))
        .execute(db)
}

/// Stores a use of a token.
pub fn touch_token(db: &mut Db, id: TokenId, at: Timestamp) -> QueryResult<usize> {
    diesel::update(tokens::table.find(id))
        .set(tokens::used_at.eq(at))
        .execute(db)
}

/// Removes a token.
pub fn delete_token(db: &mut Db, id: TokenId) -> QueryResult<usize> {
    diesel::delete(tokens::table.find(id)).execute(db)
}

/// Entries within this time are combined, ms.
const COUNTED_WITHIN: i64 = 3_600_000;
/// Maximum entries of rejected requests per user within that time. Further ones are combined in one
/// entry for each action.
const MOST_REFUSED: i64 = 100;
/// Maximum entries of changes per user without the admin role within that time.
const MOST_DONE: i64 = 1000;

/// Adds an entry to the audit log. A rejected request identical to an earlier one of the same actor
/// within an hour is combined with it, as is everything beyond a user's maximum number of entries.
pub fn note(db: &mut Db, entry: &AuditEntry, at: Timestamp) -> QueryResult<()> {
    let since = Timestamp(at.0 - COUNTED_WITHIN);
    let older = audit::table
        .filter(audit::at.le(since))
        .order((audit::at.desc(), audit::id.desc()))
        .select(audit::id)
        .first::<i64>(db);
    let after = older.optional()?.unwrap_or(0);
    let is_refused = entry.is_rejected();
    let mut actor = &entry.actor;
    let mut counted = if is_refused {
        equal_entry(db, entry, actor, Some(entry.address.as_str()), after, since)?
    } else {
        None
    };
    if counted.is_none() && (is_refused || entry.role != Role::Admin.name()) {
        let most = if is_refused { MOST_REFUSED } else { MOST_DONE };
        if entries_of_user(db, &entry.user, is_refused, after)? >= most {
            actor = &entry.user;
            counted = equal_entry(db, entry, actor, None, after, since)?;
        }
    }
    let (mut address, mut path, mut times, mut first_at) =
        (entry.address.clone(), entry.path.clone(), 1, at);
    if let Some(entry) = counted {
        diesel::delete(audit::table.find(entry.id)).execute(db)?;
        if entry.address != address {
            address = "several".into();
        }
        path = common_path(&entry.path, &path);
        (times, first_at) = (entry.times.saturating_add(1), entry.first_at);
    }
    // A combined entry is written again, so that the newest entry comes first.
    diesel::insert_into(audit::table)
        .values((
            audit::at.eq(at),
            audit::first_at.eq(first_at),
            audit::actor.eq(actor),
            audit::role.eq(&entry.role),
            audit::address.eq(address),
            audit::action.eq(&entry.action),
            audit::path.eq(path),
            audit::status.eq(i32::from(entry.status)),
            audit::times.eq(i32::try_from(times).unwrap_or(i32::MAX)),
        ))
        .execute(db)
        .map(drop)
}

/// The newest entry with number above `after` that began after `since` and is equal but for its
/// path, and for its address if none is given.
fn equal_entry(
    db: &mut Db,
    entry: &AuditEntry,
    actor: &str,
    address: Option<&str>,
    after: i64,
    since: Timestamp,
) -> QueryResult<Option<AuditRow>> {
    let mut equal = audit::table
        .filter(audit::actor.eq(actor))
        .filter(audit::id.gt(after))
        .filter(audit::first_at.gt(since))
        .filter(audit::action.eq(&entry.action))
        .filter(audit::status.eq(i32::from(entry.status)))
        .order(audit::id.desc())
        .into_boxed();
    if let Some(address) = address {
        equal = equal.filter(audit::address.eq(address.to_owned()));
    }
    Ok(equal.first::<AuditColumns>(db).optional()?.map(audit_row))
}

/// The number of entries above number `after` caused by a user and the user's tokens.
fn entries_of_user(db: &mut Db, user: &str, is_refused: bool, after: i64) -> QueryResult<i64> {
    // The next character after the blank ends the range of the tokens' titles.
    let (first, end) = (format!("{user} (token "), format!("{user} (token!"));
    let of_user = audit::actor
        .eq(user)
        .or(audit::actor.ge(first).and(audit::actor.lt(end)));
    let mut entries = audit::table
        .filter(audit::id.gt(after))
        .filter(of_user)
        .into_boxed();
    let canceled = i32::from(CANCELED);
    entries = if is_refused {
        entries.filter(audit::status.ge(400).and(audit::status.ne(canceled)))
    } else {
        entries.filter(audit::status.lt(400).or(audit::status.eq(canceled)))
    };
    entries.count().get_result(db)
}

/// A path for both: the path if they are equal, otherwise their common leading segments.
fn common_path(one: &str, other: &str) -> String {
    if one == other {
        return one.to_owned();
    }
    let same = one
        .split('/')
        .zip(other.split('/'))
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a);
    same.chain(["…"]).collect::<Vec<_>>().join("/")
}

/// A row of `audit`.
type AuditColumns = (
    i64,
    Timestamp,
    String,
    String,
    String,
    String,
    String,
    i32,
    i32,
    Timestamp,
);

fn audit_row(
    (id, at, actor, role, address, action, path, status, times, first_at): AuditColumns,
) -> AuditRow {
    let (status, times) = (
        u16::try_from(status).unwrap_or_default(),
        u32::try_from(times).unwrap_or(1),
    );
    AuditRow {
        id,
        at,
        first_at,
        actor,
        role,
        address,
        action,
        path,
        status,
        times,
    }
}

/// Audit log entries, newest first: those before the entry `before`, of one actor.
pub fn entries(
    db: &mut Db,
    limit: i64,
    before: Option<i64>,
    actor: Option<&str>,
) -> QueryResult<Vec<AuditRow>> {
    let mut wanted = audit::table
        .order(audit::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(before) = before {
        wanted = wanted.filter(audit::id.lt(before));
    }
    if let Some(actor) = actor {
        wanted = wanted.filter(audit::actor.eq(actor.to_owned()));
    }
    Ok(wanted
        .load::<AuditColumns>(db)?
        .into_iter()
        .map(audit_row)
        .collect())
}

/// All actors in the audit log, by name.
pub fn actors(db: &mut Db) -> QueryResult<Vec<String>> {
    audit::table
        .select(audit::actor)
        .distinct()
        .order(audit::actor)
        .limit(1000)
        .load(db)
}

/// Deletes entries older than a time, at most `limit` of them; returns their number.
pub fn prune_entries(db: &mut Db, before: Timestamp, limit: i64) -> QueryResult<usize> {
    let old = audit::table
        .filter(audit::at.lt(before))
        .order(audit::id)
        .limit(limit)
        .select(audit::id)
        .load::<i64>(db)?;
    diesel::delete(audit::table.filter(audit::id.eq_any(old))).execute(db)
}
