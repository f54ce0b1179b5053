//! The caller of a request: name, role and connection, as the rest of the program sees
//! them.
//!
//! Independent of passwords, sessions and tokens: the access check at the router puts a [`Caller`] into
//! each accepted request, and handlers that record the actor or depend on the role
//! read it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
use std::convert::Infallible;
use std::net::IpAddr;

use super::problem::ProblemResponse;
use crate::base::actor::LOCAL_ACCOUNT;
pub use crate::base::role::Role;
use crate::base::ssh_access::SshAccess;

/// The other end of a connection. Put into each request by the listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerAddress {
    /// The address; behind a trusted proxy, the one that the proxy reports. `None` over the Unix socket.
    pub address: Option<IpAddr>,
    /// Whether it uses the Unix socket, which only the manager's system user and root can open.
    pub socket: bool,
    /// Whether the browser uses HTTPS.
    pub secure: bool,
}

impl PeerAddress {
    /// The peer of a request; without a listener, an unknown and untrusted
    /// one.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// The unit for limits per address: an IPv6 network of one customer
    /// (/64), or an IPv4 address in either form.
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

/// The caller. Handlers get one for every accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's name; [`Caller::MACHINE`] for the local account, which is trusted without a user.
    pub name: String,
    /// The name of the user's token; `None` for a person with a session or on the
    /// server.
    pub token: Option<String>,
    /// The connection through SSH that the request came over.
    pub ssh: Option<SshAccess>,
    /// The role.
    pub role: Role,
    /// The address.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The name of the local account in histories.
    pub const MACHINE: &'static str = LOCAL_ACCOUNT;

    /// The local account, trusted without a password.
    pub fn machine(peer: PeerAddress) -> Self {
        Self {
            name: Self::MACHINE.into(),
            token: None,
            ssh: None,
            role: Role::Admin,
            address: peer.address,
        }
    }

    /// The same caller over a connection through SSH, which can only lower the role.
    pub fn over_ssh(self, ssh: &SshAccess) -> Self {
        Self {
            role: self.role.min(ssh.role),
            ssh: Some(ssh.clone()),
            ..self
        }
    }

    /// The name for histories: user, token and SSH key.
    pub fn title(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("token {token}"));
        let key = self.ssh.as_ref().and_then(|ssh| ssh.key.as_ref());
        let key = key.map(|key| format!("SSH key {key}"));
        let with: Vec<String> = token.into_iter().chain(key).collect();
        if with.is_empty() {
            self.name.clone()
        } else {
            format!("{} ({})", self.name, with.join(", "))
        }
    }

    /// # Errors
    /// 403 if the role is lower than `needed`.
    pub fn must_be(&self, needed: Role) -> Result<(), ProblemResponse> {
        if self.role >= needed {
            return Ok(());
        }
        let change = match &self.ssh {
            Some(ssh) if ssh.role < needed => {
                "The line of this SSH key in authorized_keys limits its role (dial-stdio --role)."
            }
            _ => "An admin can change roles.",
        };
        Err(ProblemResponse::new(
            StatusCode::FORBIDDEN,
            format!(
                "This requires the {needed} role; {} has the {} role. {change}",
                self.title(),
                self.role
            ),
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        // Without the access check there is no caller: a route outside of it rejects all requests.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ProblemResponse::new(StatusCode::UNAUTHORIZED, "Sign in first."))
    }
}
