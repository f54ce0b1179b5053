//! Which door needs which role, and what is written down of whoever passed it: the whole table in
//! one place.
//!
//! What only looks needs the least role. Every change has its line here; one that has none needs an
//! admin and is written down as what it is, so that a new route is shut until somebody thinks of
//! it. A test compares the table with the router.

use axum::http::Method;

use crate::domain::access::{Permission, RequiredRole};
use crate::web::Role;

const ANYBODY: RequiredRole = RequiredRole::Anybody;
const VIEWER: RequiredRole = RequiredRole::From(Role::Viewer);
const OPERATOR: RequiredRole = RequiredRole::From(Role::Operator);
const ADMIN: RequiredRole = RequiredRole::From(Role::Admin);

/// Nothing is changed, or only for the one who asks.
const NOTHING: &str = "";

/// Doors that are not what their method says: methods, pattern, who, what is written down.
const TABLE: &[(&str, &str, RequiredRole, &str)] = &[
    // Asked by those who are not known yet.
    ("GET", "/health", ANYBODY, NOTHING),
    ("GET", "/static/{name}", ANYBODY, NOTHING),
    ("GET", "/login", ANYBODY, NOTHING),
    ("POST", "/login", ANYBODY, NOTHING),
    ("GET", "/login/first", ANYBODY, NOTHING),
    ("POST", "/login/first", ANYBODY, NOTHING),
    ("POST", "/logout", VIEWER, "logged out"),
    // One's own.
    (
        "POST",
        "/account/password",
        VIEWER,
        "changed the own password",
    ),
    ("GET", "/account/second-factor", VIEWER, NOTHING),
    (
        "POST",
        "/account/second-factor",
        VIEWER,
        "set up a second factor",
    ),
    (
        "POST",
        "/account/second-factor/remove",
        VIEWER,
        "took the own second factor away",
    ),
    (
        "DELETE",
        "/account/sessions/{id}",
        VIEWER,
        "ended an own session",
    ),
    (
        "POST",
        "/account/sessions/{id}/delete",
        VIEWER,
        "ended an own session",
    ),
    (
        "POST",
        "/account/sessions/end",
        VIEWER,
        "ended the own other sessions",
    ),
    ("POST", "/tokens", VIEWER, "made a token"),
    ("DELETE", "/tokens/{id}", VIEWER, "revoked a token"),
    ("POST", "/tokens/{id}/delete", VIEWER, "revoked a token"),
    // Who may do what.
    ("GET", "/users", ADMIN, NOTHING),
    ("POST", "/users", ADMIN, "made a user"),
    ("GET", "/users/{id}", ADMIN, NOTHING),
    ("PATCH POST", "/users/{id}", ADMIN, "changed a user"),
    ("DELETE", "/users/{id}", ADMIN, "deleted a user"),
    ("GET", "/users/{id}/delete", ADMIN, NOTHING),
    ("POST", "/users/{id}/delete", ADMIN, "deleted a user"),
    ("GET", "/audit", ADMIN, NOTHING),
    // Running what is there.
    (
        "POST",
        "/instances/{id}/start",
        OPERATOR,
        "started an instance",
    ),
    (
        "POST",
        "/instances/{id}/stop",
        OPERATOR,
        "stopped an instance",
    ),
    (
        "POST",
        "/instances/{id}/restart",
        OPERATOR,
        "restarted an instance",
    ),
    (
        "POST",
        "/instances/actions",
        OPERATOR,
        "did something with several instances",
    ),
    (
        "POST",
        "/jdc/start",
        OPERATOR,
        "started the default instance",
    ),
    (
        "POST",
        "/jdc/stop",
        OPERATOR,
        "stopped the default instance",
    ),
    (
        "POST",
        "/jdc/restart",
        OPERATOR,
        "restarted the default instance",
    ),
    ("POST", "/health/{id}/check", OPERATOR, NOTHING),
    (
        "POST PATCH",
        "/health/{id}/cures",
        OPERATOR,
        "changed what is done by itself for an instance",
    ),
    ("POST", "/alerts/silences", OPERATOR, "silenced an instance"),
    (
        "DELETE",
        "/alerts/silences/{id}",
        OPERATOR,
        "ended a silence",
    ),
    (
        "POST",
        "/alerts/silences/{id}/delete",
        OPERATOR,
        "ended a silence",
    ),
    (
        "POST",
        "/alerts/channels/{id}/test",
        OPERATOR,
        "sent a test message",
    ),
    (
        "POST",
        "/alerts/deliveries/{id}/again",
        OPERATOR,
        "sent a message again",
    ),
    ("POST", "/updates/check", OPERATOR, "looked for releases"),
    (
        "POST",
        "/updates/install",
        OPERATOR,
        "began to install a client",
    ),
    (
        "POST",
        "/updates/switch",
        OPERATOR,
        "began to switch clients",
    ),
    (
        "POST",
        "/updates/rollback",
        OPERATOR,
        "went back to the client before",
    ),
    (
        "POST",
        "/updates/jobs/{id}/cancel",
        OPERATOR,
        "cancelled a piece of work",
    ),
    // What only judges what is sent along.
    ("POST", "/saved-configs/check", VIEWER, NOTHING),
    ("POST", "/saved-configs/{id}/check", VIEWER, NOTHING),
    ("POST", "/config/validate", VIEWER, NOTHING),
    (
        "POST",
        "/saved-configs/{id}/trial",
        OPERATOR,
        "tried a configuration",
    ),
    // Deciding where the income goes, and by which program.
    ("POST", "/instances", ADMIN, "made an instance"),
    (
        "PATCH POST",
        "/instances/{id}",
        ADMIN,
        "changed an instance",
    ),
    ("DELETE", "/instances/{id}", ADMIN, "deleted an instance"),
    (
        "POST",
        "/instances/{id}/delete",
        ADMIN,
        "deleted an instance",
    ),
    ("POST", "/saved-configs", ADMIN, "saved a configuration"),
    (
        "POST",
        "/saved-configs/import",
        ADMIN,
        "imported a configuration",
    ),
    (
        "PUT POST",
        "/saved-configs/{id}",
        ADMIN,
        "changed a configuration",
    ),
    (
        "DELETE",
        "/saved-configs/{id}",
        ADMIN,
        "deleted a configuration",
    ),
    (
        "POST",
        "/saved-configs/{id}/delete",
        ADMIN,
        "deleted a configuration",
    ),
    ("GET", "/saved-configs/{id}/secret", ADMIN, NOTHING),
    (
        "POST",
        "/saved-configs/{id}/secret",
        ADMIN,
        "looked at the secret key of a configuration",
    ),
    (
        "POST",
        "/saved-configs/{id}/export",
        ADMIN,
        "exported a configuration, with its secret key if that was asked for",
    ),
    (
        "POST",
        "/saved-configs/{id}/duplicate",
        ADMIN,
        "duplicated a configuration",
    ),
    (
        "POST",
        "/saved-configs/{id}/set-active",
        ADMIN,
        "made a configuration the active one",
    ),
    (
        "POST",
        "/saved-configs/{id}/revisions/{n}/restore",
        ADMIN,
        "restored a revision",
    ),
    ("POST", "/setup", ADMIN, "began a setup"),
    ("POST", "/setup/{id}/delete", ADMIN, "gave up a setup"),
    ("POST", "/setup/{id}/{step}/check", ADMIN, NOTHING),
    (
        "POST",
        "/setup/{id}/{step}",
        ADMIN,
        "answered a step of a setup",
    ),
    ("POST", "/config", ADMIN, "saved the active configuration"),
    ("POST", "/keys/generate", ADMIN, "made a pair of keys"),
    ("POST", "/alerts/channels", ADMIN, "made a channel"),
    (
        "PUT POST",
        "/alerts/channels/{id}",
        ADMIN,
        "changed a channel",
    ),
    (
        "DELETE",
        "/alerts/channels/{id}",
        ADMIN,
        "deleted a channel",
    ),
    (
        "POST",
        "/alerts/channels/{id}/delete",
        ADMIN,
        "deleted a channel",
    ),
    ("POST", "/alerts/rules", ADMIN, "made a rule"),
    ("PUT POST", "/alerts/rules/{id}", ADMIN, "changed a rule"),
    ("DELETE", "/alerts/rules/{id}", ADMIN, "deleted a rule"),
    ("POST", "/alerts/rules/{id}/delete", ADMIN, "deleted a rule"),
    (
        "DELETE",
        "/alerts/unreadable/{id}",
        ADMIN,
        "deleted what cannot be read",
    ),
    (
        "POST",
        "/alerts/unreadable/{id}/delete",
        ADMIN,
        "deleted what cannot be read",
    ),
    ("POST", "/updates/upload", ADMIN, "uploaded a client"),
    (
        "DELETE",
        "/updates/installed/{name}",
        ADMIN,
        "removed a client",
    ),
    (
        "POST",
        "/updates/installed/{name}/delete",
        ADMIN,
        "removed a client",
    ),
    (
        "POST PATCH",
        "/updates/settings",
        ADMIN,
        "changed the settings of updates",
    ),
    // A backup is everything there is.
    ("GET", "/backups", ADMIN, NOTHING),
    ("POST", "/backups", ADMIN, "began to make a backup"),
    ("GET", "/backups/{id}", ADMIN, "downloaded a backup"),
    ("DELETE", "/backups/{id}", ADMIN, "deleted a backup"),
    ("GET", "/backups/{id}/delete", ADMIN, NOTHING),
    ("POST", "/backups/{id}/delete", ADMIN, "deleted a backup"),
    (
        "POST PATCH",
        "/backups/settings",
        ADMIN,
        "changed what is backed up every night",
    ),
];

/// The door of a method at a route's pattern, without `/api`; `None`: no route is there.
pub fn permission(method: &Method, pattern: Option<&str>) -> Permission {
    // Whoever asks for the head of a page asks for the page.
    let method = if *method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let found = TABLE.iter().find(|(methods, at, ..)| {
        Some(*at) == pattern && methods.split(' ').any(|one| one == method)
    });
    match found {
        Some((_, _, who, action)) => Permission {
            who: *who,
            audit_action: Some(*action).filter(|action| !action.is_empty()),
        },
        None if method == "GET" => Permission {
            who: VIEWER,
            audit_action: None,
        },
        // Methods that the address does not take, too: nothing happens there.
        None => Permission {
            who: if pattern.is_some() { ADMIN } else { VIEWER },
            audit_action: pattern.map(|_| "changed something"),
        },
    }
}

/// Every line of the table as method and pattern.
pub fn permissions() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE
        .iter()
        .flat_map(|(methods, at, ..)| methods.split(' ').map(move |method| (method, *at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_door_is_there_twice() {
        let mut all: Vec<_> = permissions().collect();
        all.sort_unstable();
        let known = all.len();
        all.dedup();
        assert_eq!(all.len(), known);
    }

    #[test]
    fn what_is_not_in_the_table_is_shut_for_changes() {
        let of = |method: Method, pattern| permission(&method, pattern);
        assert_eq!(
            of(Method::POST, Some("/new")),
            Permission {
                who: ADMIN,
                audit_action: Some("changed something")
            }
        );
        assert_eq!(
            of(Method::GET, Some("/new")),
            Permission {
                who: VIEWER,
                audit_action: None
            }
        );
        assert_eq!(
            of(Method::GET, None),
            Permission {
                who: VIEWER,
                audit_action: None
            }
        );
        assert_eq!(of(Method::HEAD, Some("/users")).who, ADMIN);
        assert_eq!(
            of(Method::POST, Some("/instances/{id}/start")),
            Permission {
                who: OPERATOR,
                audit_action: Some("started an instance")
            }
        );
    }
}
