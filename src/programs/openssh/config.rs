//! What ssh's configuration says about a machine: `ssh -G`, which connects to nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::destination::SshDestination;
use super::session::OpenSsh;

/// Longest time for reading the configuration.
const LIMIT: Duration = Duration::from_secs(5);
/// The longest public key that is read, in bytes.
const LONGEST_KEY: u64 = 16 * 1024;

/// A machine as ssh's configuration resolves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshTarget {
    /// The user there.
    pub user: String,
    /// The host name or address.
    pub host: String,
    /// The port.
    pub port: String,
    /// The files of the keys that ssh tries, in order.
    pub key_files: Vec<PathBuf>,
}

impl SshTarget {
    /// Whether both lead to the same account of the same machine.
    pub fn is_same_account(&self, other: &Self) -> bool {
        (&self.user, &self.host, &self.port) == (&other.user, &other.host, &other.port)
    }

    /// The first public key that ssh would show, as one line.
    pub fn public_key(&self) -> Option<String> {
        self.key_files.iter().find_map(|file| {
            let mut name = file.clone().into_os_string();
            name.push(".pub");
            public_key(Path::new(&name))
        })
    }

    fn parse(text: &str, home: Option<&Path>) -> Self {
        let mut target = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match key {
                "user" => target.user = value.into(),
                "hostname" => target.host = value.into(),
                "port" => target.port = value.into(),
                "identityfile" => target
                    .key_files
                    .push(match (value.strip_prefix("~/"), home) {
                        (Some(below), Some(home)) => home.join(below),
                        _ => value.into(),
                    }),
                _ => {}
            }
        }
        target
    }
}

fn public_key(file: &Path) -> Option<String> {
    let length = std::fs::metadata(file).ok()?.len();
    let text = (length <= LONGEST_KEY).then(|| std::fs::read_to_string(file).ok())??;
    let line = text.lines().next()?.trim();
    let is_key = line.split(' ').count() >= 2
        && ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|kind| line.starts_with(kind))
        && !line.chars().any(char::is_control);
    is_key.then(|| line.to_owned())
}

impl OpenSsh {
    /// What the configuration says about a machine; none if ssh cannot read it.
    pub async fn target(&self, to: &SshDestination) -> Option<SshTarget> {
        let mut command = self.command();
        command.args(["-G", "--", to.as_str()]).stdin(Stdio::null());
        let output = tokio::time::timeout(LIMIT, command.output())
            .await
            .ok()?
            .ok()?;
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let text = String::from_utf8_lossy(&output.stdout);
        output
            .status
            .success()
            .then(|| SshTarget::parse(&text, home.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_from_what_ssh_prints() {
        let dir = tempfile::tempdir().unwrap();
        let text = "user ada\nhostname 10.0.0.7\nport 2222\naddressfamily any\nidentityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n";
        let target = SshTarget::parse(text, Some(dir.path()));
        let ssh = dir.path().join(".ssh");
        assert_eq!(
            target,
            SshTarget {
                user: "ada".into(),
                host: "10.0.0.7".into(),
                port: "2222".into(),
                key_files: vec![ssh.join("id_rsa"), ssh.join("id_ed25519")],
            }
        );
        assert_eq!(target.public_key(), None);
        std::fs::create_dir(&ssh).unwrap();
        std::fs::write(ssh.join("id_rsa.pub"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
        std::fs::write(ssh.join("id_ed25519.pub"), "ssh-ed25519 AAAA ada@hub\n").unwrap();
        assert_eq!(
            target.public_key().as_deref(),
            Some("ssh-ed25519 AAAA ada@hub")
        );
    }
}
