//! The required role and audit text of each request, from the route tables.

use axum::http::Method;
use std::collections::HashMap;

use crate::web::Role;
use crate::web::openapi::ApiOperation;

/// The required role and the audit text of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The lowest allowed role. `None`: no sign-in required.
    pub role: Option<Role>,
    /// The text for the audit log, in the past tense. `None`: nothing is changed.
    pub audit_action: Option<&'static str>,
}

/// The permissions of all operations, by the route's pattern without `/api`.
#[derive(Debug)]
pub struct PermissionTable(HashMap<&'static str, Vec<(Method, Permission)>>);

impl PermissionTable {
    /// The permissions of these operations, and of static files, which need no sign-in.
    pub fn new<'a>(operations: impl IntoIterator<Item = &'a ApiOperation>) -> Self {
        let anybody = Permission {
            role: None,
            audit_action: None,
        };
        let mut table: HashMap<_, Vec<_>> =
            [("/static/{name}", vec![(Method::GET, anybody)])].into();
        for operation in operations {
            let permission = Permission {
                role: operation.role,
                audit_action: operation.audit_action,
            };
            let method = operation.http_method();
            let at = table.entry(operation.path).or_default();
            at.push((method, permission));
        }
        Self(table)
    }

    /// The permission of a method at a route's pattern; `None`: there is no route.
    pub fn get(&self, method: &Method, pattern: Option<&str>) -> Permission {
        // HEAD needs the same permission as GET.
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let method = if reads { &Method::GET } else { method };
        let found = pattern
            .and_then(|pattern| self.0.get(pattern))
            .and_then(|all| all.iter().find(|(known, _)| known == method));
        match (found, pattern) {
            (Some((_, permission)), _) => *permission,
            // Methods that the address does not support: nothing happens.
            (None, Some(_)) if !reads => Permission {
                role: Some(Role::Admin),
                audit_action: Some("changed something"),
            },
            _ => Permission {
                role: Some(Role::Viewer),
                audit_action: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::openapi::{get, post};

    #[test]
    fn operations_are_for_the_role_that_their_table_says() {
        let of = |role, audit_action| Permission { role, audit_action };
        let operations = [
            get("/users", "listUsers", "").for_admins(),
            post("/start", "start", "")
                .for_operators()
                .audited("started"),
            post("/new", "new", ""),
            get("/new", "showNew", ""),
            get("/health", "health", "").for_anybody(),
        ];
        let table = PermissionTable::new(&operations);
        for (method, pattern, wanted) in [
            (Method::GET, Some("/users"), of(Some(Role::Admin), None)),
            (Method::HEAD, Some("/users"), of(Some(Role::Admin), None)),
            (
                Method::POST,
                Some("/start"),
                of(Some(Role::Operator), Some("started")),
            ),
            (Method::GET, Some("/new"), of(Some(Role::Viewer), None)),
            (Method::GET, Some("/health"), of(None, None)),
            (Method::GET, Some("/static/{name}"), of(None, None)),
            (Method::GET, None, of(Some(Role::Viewer), None)),
        ] {
            assert_eq!(table.get(&method, pattern), wanted, "{method} {pattern:?}");
        }
        // A change without a role requires an admin, as does a method without a route.
        let shut = of(Some(Role::Admin), Some("changed something"));
        assert_eq!(table.get(&Method::POST, Some("/new")), shut);
        assert_eq!(table.get(&Method::DELETE, Some("/new")), shut);
    }
}
