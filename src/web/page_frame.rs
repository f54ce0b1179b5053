//! The frame around every page: version, signed-in user, addresses of static files.

use std::any::Any;

use super::assets;
use super::caller::{Caller, Role};

/// What the frame around every page needs to know; the same for all pages of one running manager.
#[derive(Clone, Debug, Default)]
pub struct PageFrame {
    /// Everything shown is simulated (`jd-manager demo`): said on every page.
    pub simulated: bool,
    /// The manager's own version.
    pub version: &'static str,
    /// Who is signed in. `None`: the page needs no login.
    pub caller: Option<Caller>,
    /// The caller has a session, so the page offers to log out.
    pub has_session: bool,
}

impl PageFrame {
    /// Whether the one who looks may do what needs this role: what they may not is not offered.
    pub fn may(&self, needed: Role) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.role >= needed)
    }

    /// Their role if there is something that it does not allow.
    pub fn role_that_lacks(&self) -> Option<Role> {
        self.caller
            .as_ref()
            .map(|caller| caller.role)
            .filter(|role| *role < Role::Admin)
    }

    /// Whether they may decide everything.
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

    /// Where a static file is, with its content's hash so that it can be cached for good.
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
