//! Who sent a request: read from its headers and its connection, looked up among sessions and
//! tokens.

use axum::http::header::{AUTHORIZATION, COOKIE, FORWARDED, VIA};
use axum::http::{HeaderMap, HeaderName};
use std::time::Duration;

use super::index::AccessSnapshot;
use super::model::{LoginMethod, LoginSession};
use super::secret_token;
use super::service::Access;
use crate::base::error::Result;
use crate::base::ssh_access::SshAccess;
use crate::web::{Caller, PeerAddress};

/// Headers that only proxies send.
static OF_PROXIES: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// The credentials that a request contains.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The token in `Authorization: Bearer …`.
    pub token: Option<String>,
    /// The session in the cookie.
    pub session: Option<String>,
    /// It came through an untrusted proxy, so its origin is unknown.
    pub is_forwarded: bool,
    /// The connection through SSH that it came over.
    pub ssh: Option<SshAccess>,
}

/// The name of the session cookie: over HTTPS with the prefix that prevents other hosts from setting
/// it (RFC 6265bis, 4.1.3.2).
pub fn cookie_name(secure: bool) -> &'static str {
    if secure {
        "__Host-jd-manager"
    } else {
        "jd-manager"
    }
}

impl Credentials {
    /// Reads the headers of a request.
    pub fn of(headers: &HeaderMap, peer: PeerAddress) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|v: &axum::http::HeaderValue| v.to_str().ok())
        };
        let token = text(AUTHORIZATION).map(|value| match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                token.trim().to_owned()
            }
            // Another scheme is a failed sign-in, not a missing one.
            _ => String::new(),
        });
        let wanted = cookie_name(peer.secure);
        let pairs = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'));
        let session = pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned());
        let is_forwarded = OF_PROXIES.iter().any(|name| headers.contains_key(name));
        Self {
            token,
            session,
            is_forwarded,
            ssh: None,
        }
    }
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// A known caller.
    As(Caller, LoginMethod),
    /// An unknown caller.
    Nobody {
        /// There are users.
        can_log_in: bool,
    },
    /// It would be the local user, but came through a proxy.
    Forwarded,
}

/// Precision of the time of last use.
const TO_THE: Duration = Duration::from_secs(60);

impl Access {
    /// Who sent a request.
    ///
    /// # Errors
    /// The rows have changed, and the database cannot be read.
    pub async fn recognise(
        &self,
        shown: &Credentials,
        peer: PeerAddress,
    ) -> Result<Authentication> {
        let known = self.recognise_directly(shown, peer).await?;
        let (Some(ssh), Authentication::As(caller, proof)) = (&shown.ssh, &known) else {
            return Ok(known);
        };
        let proof = match proof {
            LoginMethod::Connection => LoginMethod::Ssh,
            other => other.clone(),
        };
        Ok(Authentication::As(caller.clone().over_ssh(ssh), proof))
    }

    /// The same without the limits of a connection through SSH.
    async fn recognise_directly(
        &self,
        shown: &Credentials,
        peer: PeerAddress,
    ) -> Result<Authentication> {
        let machine = || Authentication::As(Caller::machine(peer), LoginMethod::Connection);
        // Also while the database cannot be read.
        if peer.socket && shown.token.is_none() && shown.session.is_none() {
            return Ok(machine());
        }
        let index = self.index.snapshot().await?;
        if let Some(token) = &shown.token {
            return Ok(self
                .by_token(&index, token, peer)
                .unwrap_or(Authentication::Nobody { can_log_in: true }));
        }
        if let Some(session) = &shown.session
            && let Some(known) = self.by_session(&index, session, peer)
        {
            return Ok(known);
        }
        if peer.socket {
            return Ok(machine());
        }
        if index.has_users {
            return Ok(Authentication::Nobody { can_log_in: true });
        }
        Ok(match peer.address {
            Some(address) if address.to_canonical().is_loopback() && shown.is_forwarded => {
                Authentication::Forwarded
            }
            Some(address) if address.to_canonical().is_loopback() => machine(),
            _ => Authentication::Nobody { can_log_in: false },
        })
    }

    fn by_token(
        &self,
        index: &AccessSnapshot,
        token: &str,
        peer: PeerAddress,
    ) -> Option<Authentication> {
        let now = self.now();
        let token = index.tokens.get(&secret_token::hash(token))?;
        if token.expires_at.is_some_and(|end| end <= now) {
            return None;
        }
        let proof = LoginMethod::Token(token.id);
        if self
            .last_uses
            .latest(&proof, token.used_at)
            .is_none_or(|used| now.since(used) >= TO_THE)
        {
            self.last_uses.set(proof.clone(), now);
        }
        let caller = Caller {
            name: token.user.clone().unwrap_or_else(|| Caller::MACHINE.into()),
            token: Some(token.name.clone()),
            ssh: None,
            role: token.role,
            address: peer.address,
        };
        Some(Authentication::As(caller, proof))
    }

    fn by_session(
        &self,
        index: &AccessSnapshot,
        cookie: &str,
        peer: PeerAddress,
    ) -> Option<Authentication> {
        let now = self.now();
        let found = index.sessions.get(&secret_token::hash(cookie))?;
        let proof = LoginMethod::Session(found.id);
        let used_at = self
            .last_uses
            .latest(&proof, Some(found.used_at))
            .unwrap_or(found.used_at);
        if LoginSession::is_over(found.created_at, used_at, now) {
            return None;
        }
        if now.since(used_at) >= TO_THE {
            self.last_uses.set(proof.clone(), now);
        }
        let caller = Caller {
            name: found.user.name.clone(),
            token: None,
            ssh: None,
            role: found.user.role,
            address: peer.address,
        };
        Some(Authentication::As(caller, proof))
    }
}
