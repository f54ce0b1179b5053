//! The frame around every page: version, signed-in user, addresses of static files.

use std::any::Any;

use super::assets;
use super::caller::{Caller, Role};

/// The data of the frame around every page; the same for all pages of one running manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageFrame {
    /// All clients are simulated (`jd-manager demo`); shown on every page.
    pub simulated: bool,
    /// The manager's own version.
    pub version: &'static str,
    /// Who is signed in. `None`: the page needs no sign-in.
    pub caller: Option<Caller>,
    /// The caller has a session, so the page offers to sign out.
    pub has_session: bool,
}

impl PageFrame {
    /// The caller's role, which decides what a page offers; without a sign-in the lowest one.
    pub const fn role(&self) -> Role {
        match &self.caller {
            Some(caller) => caller.role,
            None => Role::Viewer,
        }
    }

    /// The name to show for the caller.
    pub fn who(&self) -> &str {
        match &self.caller {
            Some(caller) if caller.name == Caller::MACHINE => "Account (local)",
            Some(caller) => &caller.name,
            None => "",
        }
    }

    /// The address of a static file, with its content's hash, so that it can be cached forever.
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}

/// Templates find the frame as the value `frame` and the caller's role as `role`.
impl askama::Values for PageFrame {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn Any> {
        match (key, &self.caller) {
            ("frame", _) => Some(self),
            ("role", Some(caller)) => Some(&caller.role),
            ("role", None) => Some(&Role::Viewer),
            _ => None,
        }
    }
}

/// The values of parts of pages that are rendered once for all callers with a role.
impl askama::Values for Role {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn Any> {
        (key == "role").then_some(self as &dyn Any)
    }
}
