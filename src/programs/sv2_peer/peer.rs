//! The server to probe: its role, its address, and the key to verify its certificate. Pure.

/// The role of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerRole {
    /// A pool: mining protocol.
    Pool,
    /// A pool's job declaration server: job declaration protocol.
    JobDeclarationServer,
    /// Template distribution protocol.
    TemplateProvider,
}

/// A server and the features that the client needs. Equal targets give the same answer, so one
/// probe is enough for both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerTarget {
    role: PeerRole,
    host: String,
    port: u16,
    authority_key: Option<String>,
    is_full_template: bool,
    versions: (u16, u16),
}

/// The protocols have only version 2 (specification, 3.6).
const ONLY_VERSION: (u16, u16) = (2, 2);
/// The flags that `jd_client_sv2` 0.6.0 sends to a pool: work selection and version rolling.
const POOL_FLAGS: u32 = 0b110;
/// The flag for a job declaration server in mode FULLTEMPLATE: the client declares its
/// transactions.
const DECLARE_TX_DATA: u32 = 0b1;

impl PeerTarget {
    /// A server by host name or IP address (an IPv6 address with or without brackets).
    pub fn new(role: PeerRole, host: &str, port: u16) -> Self {
        Self {
            role,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority_key: None,
            is_full_template: false,
            versions: ONLY_VERSION,
        }
    }

    /// The certificate must be signed with this key (base58check). Without a key, every certificate
    /// is accepted, as in the client.
    #[must_use]
    pub fn with_key(self, authority_key: Option<String>) -> Self {
        Self {
            authority_key,
            ..self
        }
    }

    /// The client runs in mode FULLTEMPLATE. Only relevant for a job declaration server.
    #[must_use]
    pub fn with_full_template(self, is_full_template: bool) -> Self {
        let is_full_template = is_full_template && self.role == PeerRole::JobDeclarationServer;
        Self {
            is_full_template,
            ..self
        }
    }

    /// Lowest and highest version that the client offers. Only relevant for a pool; other servers
    /// are offered version 2.
    #[must_use]
    pub fn with_versions(self, lowest: u16, highest: u16) -> Self {
        let versions = match self.role {
            PeerRole::Pool => (lowest, highest),
            PeerRole::JobDeclarationServer | PeerRole::TemplateProvider => ONLY_VERSION,
        };
        Self { versions, ..self }
    }

    /// The role.
    pub fn role(&self) -> PeerRole {
        self.role
    }

    /// Host name or IP address without brackets, and port.
    pub fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The key, as written in the configuration.
    pub(super) fn authority_key(&self) -> Option<&str> {
        self.authority_key.as_deref()
    }

    /// Lowest and highest version to offer.
    pub(super) fn versions(&self) -> (u16, u16) {
        self.versions
    }

    /// The features to request.
    pub(super) fn flags(&self) -> u32 {
        match self.role {
            PeerRole::Pool => POOL_FLAGS,
            PeerRole::JobDeclarationServer if self.is_full_template => DECLARE_TX_DATA,
            PeerRole::JobDeclarationServer | PeerRole::TemplateProvider => 0,
        }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The server's name in a sentence: `the job declaration server of pool 1 (host:port)`. `pool`:
    /// the number of its pool in the configuration, from 1.
    pub fn name(&self, pool: Option<usize>) -> String {
        let pool = pool.map(|number| format!("pool {number}"));
        let who = match (self.role, pool) {
            (PeerRole::Pool, Some(pool)) => pool,
            (PeerRole::Pool, None) => "the pool".into(),
            (PeerRole::JobDeclarationServer, Some(pool)) => {
                format!("the job declaration server of {pool}")
            }
            (PeerRole::JobDeclarationServer, None) => "the job declaration server".into(),
            (PeerRole::TemplateProvider, _) => "the template provider".into(),
        };
        format!("{who} ({})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_role_pool_and_address() {
        let jds = PeerTarget::new(PeerRole::JobDeclarationServer, "[::1]", 34264);
        assert_eq!(
            jds.name(Some(2)),
            "the job declaration server of pool 2 ([::1]:34264)"
        );
        let pool = PeerTarget::new(PeerRole::Pool, "pool.example", 34254);
        assert_eq!(pool.name(Some(1)), "pool 1 (pool.example:34254)");
        assert_eq!(pool.name(None), "the pool (pool.example:34254)");
    }

    #[test]
    fn each_role_is_asked_for_what_the_client_asks_it_for() {
        let of = |role| {
            PeerTarget::new(role, "h", 1)
                .with_full_template(true)
                .with_versions(3, 4)
        };
        let asked = |role| (of(role).flags(), of(role).versions());
        assert_eq!(asked(PeerRole::Pool), (0b110, (3, 4)));
        assert_eq!(asked(PeerRole::JobDeclarationServer), (1, (2, 2)));
        assert_eq!(asked(PeerRole::TemplateProvider), (0, (2, 2)));
        // A setting that is irrelevant for a pool does not cause a second probe.
        assert_eq!(
            PeerTarget::new(PeerRole::Pool, "h", 1).with_full_template(true),
            PeerTarget::new(PeerRole::Pool, "h", 1)
        );
    }
}
