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
    /// Whether the caller has this role: pages do not offer other actions.
    pub fn may(&self, needed: Role) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.role >= needed)
    }

    /// The caller's role, unless it allows everything.
    pub fn role_that_lacks(&self) -> Option<Role> {
        self.caller
            .as_ref()
            .map(|caller| caller.role)
            .filter(|role| *role < Role::Admin)
    }

    /// Whether the caller has full access.
    pub fn may_decide(&self) -> bool {
        self.may(Role::Admin)
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

/// Templates find the frame as the value `frame`.
impl askama::Values for PageFrame {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn Any> {
        (key == "frame").then_some(self as &dyn Any)
    }
}
