//! A real sshd on loopback with its own configuration and keys, run by this user, and a `ssh` that
//! knows it as `barn`.

use crate::harness::{PROGRAM, free_port, signal, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The server. Its processes and shared connections end with it.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    /// The port that ssh connects to, if it is not that of the server.
    link: Option<u16>,
    child: Option<Child>,
}

impl Sshd {
    /// A server whose only key runs `command`; `more`: further lines of its configuration.
    pub async fn start(command: &str, more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("jd-ssh").tempdir().unwrap();
        let mut sshd = Self {
            dir,
            port: free_port(),
            link: None,
            child: None,
        };
        fs::create_dir_all(sshd.path("bin")).unwrap();
        fs::create_dir(sshd.path("run")).unwrap();
        sshd.make_key("host");
        sshd.make_key("laptop");
        sshd.force(command);
        sshd.trust_host_key();
        fs::write(sshd.path("config"), sshd.client_config("barn attic")).unwrap();
        write_ssh(&sshd.path("bin/ssh"), &sshd.path("config"));
        sshd.configure(more);
        sshd.begin().await;
        sshd
    }

    fn client_port(&self) -> u16 {
        self.link.unwrap_or(self.port)
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes ssh connect to another port, which leads to the server.
    pub fn connect_through(&mut self, port: u16) {
        self.link = Some(port);
        fs::write(self.path("config"), self.client_config("barn attic")).unwrap();
        self.trust_host_key();
    }

    /// The configuration with which ssh knows this server by these names.
    pub fn client_config(&self, names: &str) -> String {
        format!(
            "Host {names}\n HostName 127.0.0.1\n Port {}\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n \
             GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n",
            self.client_port(),
            self.path("laptop").display(),
            self.path("known_hosts").display()
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make_key(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
        let _ = fs::remove_file(self.path(&format!("{name}.pub")));
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ada@laptop", "-f"])
            .arg(self.path(name))
            .status();
        assert!(made.unwrap().success());
    }

    fn configure(&self, more: &str) {
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n{more}\n",
            self.port,
            self.path("host").display(),
            self.path("authorized_keys").display()
        );
        fs::write(self.path("sshd_config"), config).unwrap();
    }

    /// Makes this the command of the key.
    pub fn force(&self, command: &str) {
        let key = fs::read_to_string(self.path("laptop.pub")).unwrap();
        let line = format!("command=\"{command}\",restrict {key}");
        fs::write(self.path("authorized_keys"), line).unwrap();
    }

    /// Accepts no key any more.
    pub fn refuse_all(&self) {
        fs::write(self.path("authorized_keys"), "").unwrap();
    }

    /// Replaces the key of the machine; it is not known yet.
    pub fn change_host_key(&self) {
        self.make_key("host");
    }

    /// Writes the key of the machine into the known ones.
    pub fn trust_host_key(&self) {
        let key = fs::read_to_string(self.path("host.pub")).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.client_port());
        fs::write(self.path("known_hosts"), line).unwrap();
    }

    /// Forgets the key of the machine.
    pub fn forget_host_key(&self) {
        fs::write(self.path("known_hosts"), "").unwrap();
    }

    /// Starts the server.
    pub async fn begin(&mut self) {
        if rustix::process::geteuid().is_root() {
            // sshd needs it, and the package creates it only for the service.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("sshd.log"));
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];
        let sshd = sshd.iter().find(|place| Path::new(place).exists());
        let child = Command::new(sshd.expect("scripts/test installs openssh-server"))
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn();
        self.child = Some(child.unwrap());
        let port = self.port;
        until("sshd listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
        })
        .await;
    }

    /// Ends the server and all its connections.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            for pid in descendants(child.id()) {
                signal(pid, rustix::process::Signal::KILL);
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Closes the shared connection of the client.
    pub fn disconnect(&self) {
        let control = self.path("run/jd-manager/%C");
        let option = format!("ControlPath={}", control.display());
        let _ = Command::new(self.path("bin/ssh"))
            .args(["-o", &option, "-O", "exit", "barn"])
            .output();
    }

    /// The number of connections that the server has accepted.
    pub fn connections(&self) -> usize {
        let log = fs::read_to_string(self.path("sshd.log")).unwrap_or_default();
        log.matches("Accepted publickey").count()
    }

    /// The public key of the client.
    pub fn public_key(&self) -> String {
        fs::read_to_string(self.path("laptop.pub"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The environment in which `ssh` knows this server.
    pub fn env(&self) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("PATH".into(), format!("{}:{path}", text(self.path("bin")))),
            ("XDG_RUNTIME_DIR".into(), text(self.path("run"))),
            ("HOME".into(), text(self.path("run"))),
        ]
    }

    /// The program with that environment only.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().envs(self.env());
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("sshd.log")).unwrap_or_default();
            eprintln!("--- sshd's log ---\n{log}");
        }
        self.disconnect();
        self.end();
    }
}

/// Writes a program `ssh` with this configuration: ssh reads the one in the home directory of the account,
/// whatever HOME is.
pub fn write_ssh(program: &Path, config: &Path) {
    let real = which("ssh");
    let script = format!("#!/bin/sh\nexec {real} -F {} \"$@\"\n", config.display());
    fs::write(program, script).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn which(name: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let found = path.split(':').map(|dir| format!("{dir}/{name}"));
    found
        .into_iter()
        .find(|file| Path::new(file).exists())
        .expect("ssh is installed")
}

/// All processes below this one.
fn descendants(pid: u32) -> Vec<u32> {
    let tasks = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(tasks).unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    children
        .flat_map(|child| std::iter::once(child).chain(descendants(child)))
        .collect()
}
