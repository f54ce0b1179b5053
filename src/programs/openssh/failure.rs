//! Why a session failed: from ssh's exit code and messages, with the fix.

use std::fmt;

/// Maximum number of lines of ssh's messages that are shown.
const MOST_LINES: usize = 20;

/// A failed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshFailure {
    /// The kind.
    pub kind: SshFailureKind,
    /// The messages of ssh or of the command on the other machine; may be empty.
    pub messages: String,
}

/// The kind of a failed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshFailureKind {
    /// This machine has no `ssh`.
    NotInstalled,
    /// The machine's key differs from the known one.
    HostKeyChanged,
    /// The machine's key is not known yet.
    HostKeyUnknown,
    /// The machine does not accept this user's key.
    LoginRefused,
    /// No SSH server listens there.
    ConnectionRefused,
    /// There was no answer, or the connection was lost.
    Unreachable,
    /// There is no program `jd-manager`.
    NoProgram,
    /// The program there does not know `dial-stdio`.
    OldProgram,
    /// No manager is running there.
    NoManager,
    /// The command there is not `jd-manager dial-stdio`.
    WrongCommand,
}

impl SshFailure {
    /// The failure of a session that ended with this exit code and these messages, before it sent
    /// anything else.
    pub fn of(code: Option<i32>, messages: &str) -> Self {
        let has = |text: &str| messages.contains(text);
        let kind = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            SshFailureKind::HostKeyChanged
        } else if has("Host key verification failed") {
            SshFailureKind::HostKeyUnknown
        } else if has("Permission denied (") || has("Too many authentication failures") {
            SshFailureKind::LoginRefused
        } else if code == Some(255) && has("Connection refused") {
            SshFailureKind::ConnectionRefused
        } else if code == Some(255) || code.is_none() {
            SshFailureKind::Unreachable
        } else if code == Some(4) && has("jd-manager") {
            SshFailureKind::NoManager
        } else if code == Some(127) {
            SshFailureKind::NoProgram
        } else if code == Some(2) && has("dial-stdio") {
            SshFailureKind::OldProgram
        } else {
            SshFailureKind::WrongCommand
        };
        Self {
            kind,
            messages: last_lines(messages),
        }
    }

    /// The problem and the fix. `host`: the destination as the user typed it.
    pub fn advice(&self, host: &str) -> String {
        match self.kind {
            SshFailureKind::NotInstalled => {
                "There is no program ssh on this machine. Install it, for example with: apt install openssh-client".into()
            }
            SshFailureKind::HostKeyChanged => format!(
                "The host key of {host} has changed: the machine was reinstalled, or another machine answers in its place. Compare the key on the machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub). If it is right, remove the old key (ssh-keygen -R HOST) and sign in once with: ssh {host}"
            ),
            SshFailureKind::HostKeyUnknown => {
                format!("The host key of {host} is not known yet. Sign in once and confirm it: ssh {host}")
            }
            SshFailureKind::LoginRefused => format!(
                "{host} does not accept the SSH key of this user. Add the public key to ~/.ssh/authorized_keys there. A key with a passphrase needs ssh-agent."
            ),
            SshFailureKind::ConnectionRefused => format!(
                "No SSH server listens at the address and port of {host}. Check the address, and on that machine: systemctl status ssh"
            ),
            SshFailureKind::Unreachable => {
                format!("{host} cannot be reached. Check its address and the network, or try: ssh {host}")
            }
            SshFailureKind::NoProgram => format!(
                "There is no program jd-manager on {host}. Install the package there, or write the whole path of the program into the command in authorized_keys."
            ),
            SshFailureKind::OldProgram => {
                format!("The jd-manager on {host} is too old for connections over SSH. Update it.")
            }
            SshFailureKind::NoManager => format!(
                "No jd-manager is running on {host}. Start it there (systemctl start jd-manager). If it uses another data directory, add --data-dir DIR to the command in authorized_keys."
            ),
            SshFailureKind::WrongCommand => format!(
                "The command on {host} is not jd-manager dial-stdio. Check the command of this key in authorized_keys there, and that the shell's startup files print nothing."
            ),
        }
    }
}

/// The messages of ssh, in one line.
impl fmt::Display for SshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ssh draws a box of these around its most important warning.
        let is_frame = |c: char| c == '@' || c.is_whitespace();
        let lines = self
            .messages
            .lines()
            .map(|line| line.trim_matches(is_frame));
        let kept: Vec<&str> = lines
            .filter(|line| line.chars().any(char::is_alphanumeric))
            .collect();
        f.write_str(&kept.join(" "))
    }
}

fn last_lines(messages: &str) -> String {
    let lines: Vec<&str> = messages
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(MOST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_ssh_name_the_kind() {
        let changed = "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\nHost key verification failed.\r\n";
        for (code, messages, kind) in [
            (255, changed, SshFailureKind::HostKeyChanged),
            (
                255,
                "No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\r\nHost key verification failed.",
                SshFailureKind::HostKeyUnknown,
            ),
            (
                255,
                "ada@barn: Permission denied (publickey).\r\n",
                SshFailureKind::LoginRefused,
            ),
            (
                255,
                "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
                SshFailureKind::LoginRefused,
            ),
            (
                255,
                "ssh: connect to host barn port 22: Connection refused",
                SshFailureKind::ConnectionRefused,
            ),
            (
                255,
                "ssh: Could not resolve hostname barn: Name or service not known",
                SshFailureKind::Unreachable,
            ),
            (
                255,
                "ssh: connect to host barn port 22: Connection timed out",
                SshFailureKind::Unreachable,
            ),
            (255, "", SshFailureKind::Unreachable),
            (
                127,
                "bash: line 1: jd-manager: command not found",
                SshFailureKind::NoProgram,
            ),
            (
                2,
                "error: unrecognized subcommand 'dial-stdio'",
                SshFailureKind::OldProgram,
            ),
            (
                4,
                "jd-manager: no jd-manager is running with the data directory /x",
                SshFailureKind::NoManager,
            ),
            (0, "", SshFailureKind::WrongCommand),
            (
                1,
                "This account is currently not available.",
                SshFailureKind::WrongCommand,
            ),
        ] {
            let failure = SshFailure::of(Some(code), messages);
            assert_eq!(failure.kind, kind, "{messages}");
            assert!(
                failure
                    .advice("barn")
                    .ends_with(|c: char| c == '.' || c.is_alphanumeric())
            );
        }
        assert_eq!(
            SshFailure::of(Some(255), changed).to_string(),
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY! Host key verification failed."
        );
    }
}
