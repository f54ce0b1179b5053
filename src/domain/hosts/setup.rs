//! The lines that a host needs: for `authorized_keys` and, if there is no key yet, for this machine.

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::ssh_access::SshKeyName;
use crate::programs::openssh::{OpenSsh, SshDestination};

/// What to do on a host, and before it on this machine.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct HostSetup {
    /// The public SSH key of this jd-manager's system user. Absent: there is none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The line for `~/.ssh/authorized_keys` of the user that runs jd-manager on the host.
    pub authorized_keys: String,
    /// The same for `~/.ssh/authorized_keys` of root, if the host has the Debian package.
    pub authorized_keys_package: String,
}

impl HostSetup {
    /// The lines for a host.
    pub async fn of(ssh: &OpenSsh, to: &SshDestination) -> Self {
        let target = ssh.target(to).await;
        let public_key = target.and_then(|target| target.public_key());
        let name = rustix::system::uname();
        Self::new(public_key, &name.nodename().to_string_lossy())
    }

    fn new(public_key: Option<String>, machine: &str) -> Self {
        let name = machine.parse::<SshKeyName>().ok();
        let name = name
            .map(|name| format!(" --name {name}"))
            .unwrap_or_default();
        let key = public_key.as_deref().unwrap_or("PUBLIC_KEY");
        let line = |more: &str| {
            format!("command=\"jd-manager dial-stdio --role operator{name}{more}\",restrict {key}")
        };
        Self {
            authorized_keys: line(""),
            authorized_keys_package: line(" --data-dir /var/lib/jd-manager"),
            public_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_limits_the_key() {
        let setup = HostSetup::new(Some("ssh-ed25519 AAAA ada@hub".into()), "hub.example.org");
        assert_eq!(
            setup.authorized_keys,
            "command=\"jd-manager dial-stdio --role operator --name hub.example.org\",restrict ssh-ed25519 AAAA ada@hub"
        );
        assert!(
            setup
                .authorized_keys_package
                .contains("--data-dir /var/lib/jd-manager\",restrict")
        );
        let without = HostSetup::new(None, "bad name");
        assert_eq!(
            without.authorized_keys,
            "command=\"jd-manager dial-stdio --role operator\",restrict PUBLIC_KEY"
        );
    }
}
