//! Who asks: the name, the role and the connection behind a request, as the rest of the house sees
//! them.
//!
//! Knows nothing of passwords, sessions or tokens: the gate at the router puts a [`Caller`] into
//! each request it lets through, and handlers that write down who did something, or show more to
//! some than to others, take it out again.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use std::convert::Infallible;
use std::net::IpAddr;

use super::problem::ProblemResponse;
pub use crate::base::role::Role;

/// The other end of a connection. Put into each request by the listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its address; behind a trusted proxy the one the proxy names. `None` over the Unix socket.
    pub address: Option<IpAddr>,
    /// It came over the Unix socket, which only the manager's own user and root can open.
    pub socket: bool,
    /// What the browser sees is HTTPS.
    pub secure: bool,
}

impl PeerAddress {
    /// The one behind a request; one that nothing is known of where no listener has said anything,
    /// which is trusted with nothing.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// Who counts as one where something is counted by address: a network of IPv6 that one customer
    /// has (/64), and an IPv4 address in either form.
    pub fn client_network(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
            four => four,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Who asks. Handlers get one for every request that passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; [`Caller::MACHINE`] for the machine's own user, who is trusted without one.
    pub name: String,
    /// Through which token of that user, by its name; `None` for a person at a page or on the
    /// machine.
    pub token: Option<String>,
    /// What it may do.
    pub role: Role,
    /// From where.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The name of the machine's own user in histories.
    pub const MACHINE: &'static str = "this machine";

    /// The machine's own user, trusted without a password.
    pub fn machine(peer: PeerAddress) -> Self {
        Self {
            name: Self::MACHINE.into(),
            token: None,
            role: Role::Admin,
            address: peer.address,
        }
    }

    /// The name for histories: a token's beside its user's.
    pub fn title(&self) -> String {
        match &self.token {
            Some(token) => format!("{} (token {token})", self.name),
            None => self.name.clone(),
        }
    }

    /// # Errors
    /// 403 when the role is less than `needed`.
    pub fn must_be(&self, needed: Role) -> Result<(), ProblemResponse> {
        if self.role >= needed {
            return Ok(());
        }
        Err(ProblemResponse::new(
            StatusCode::FORBIDDEN,
            format!(
                "This requires the role {needed}; {} has the role {}. An admin can change roles.",
                self.title(),
                self.role
            ),
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        // Without the gate's word nobody is anybody: a route that was put outside it stays shut.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ProblemResponse::new(StatusCode::UNAUTHORIZED, "Sign in first."))
    }
}
