//! Running as a service: notifications to the service manager, and settings that SIGHUP changes.

use crate::harness::{Manager, PROGRAM, Plan, signal, until};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use rustix::process::Signal;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The service manager's end of the socket.
struct Told(UnixDatagram);

impl Told {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        Self(socket)
    }

    /// The next message within a time.
    fn next(&self, limit: Duration) -> Option<String> {
        let begun = Instant::now();
        let mut message = [0; 4096];
        while begun.elapsed() < limit {
            if let Ok(length) = self.0.recv(&mut message) {
                return Some(String::from_utf8(message[..length].to_vec()).unwrap());
            }
        }
        None
    }

    /// The first message that has this line; those before it are forgotten.
    fn until(&self, line: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if let Some(message) = self.next(Duration::from_secs(1))
                && message.lines().any(|one| one == line)
            {
                return message;
            }
        }
        panic!("never told: {line}");
    }

    fn forget(&self) {
        while self.next(Duration::from_millis(200)).is_some() {}
    }

    /// How often this line comes within a time.
    fn count(&self, line: &str, within: Duration) -> usize {
        let begun = Instant::now();
        let mut count = 0;
        while let Some(left) = within.checked_sub(begun.elapsed()) {
            count += usize::from(
                self.next(left)
                    .is_some_and(|message| message.lines().any(|one| one == line)),
            );
        }
        count
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_what_is_the_case() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.terminate();
    let path = manager.scratch().join("notify");
    let told = Told::at(&path);
    manager
        .env
        .push(("NOTIFY_SOCKET".into(), path.display().to_string()));
    manager.env.push(("WATCHDOG_USEC".into(), "1500000".into()));
    manager.begin();
    let ready = told.until("READY=1");
    assert!(
        ready.contains(&format!("STATUS=serving {}", manager.url("/"))),
        "{ready}"
    );

    let beats = told.count("WATCHDOG=1", Duration::from_secs(4));
    assert!(
        (4..=9).contains(&beats),
        "{beats} signs of life in 4 s where one is due every half"
    );
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    until("what it is doing", || async {
        told.next(Duration::from_secs(1))?
            .contains("1 of 1 instances running")
            .then_some(())
    })
    .await;
    // Nothing below it takes part in this.
    let keeper = manager.keeper_pid(&id).unwrap();
    for process in manager.clients(&id).into_iter().chain([keeper]) {
        let environment =
            String::from_utf8_lossy(&fs::read(format!("/proc/{process}/environ")).unwrap())
                .into_owned();
        assert!(
            !environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"),
            "{environment}"
        );
    }

    // A database locked by another program is no reason to restart the manager.
    let database = manager.data_dir().join("jd-manager.sqlite3");
    let mut other = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    other
        .batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
        .unwrap();
    until("a sign of life that says so", || async {
        let message = told.next(Duration::from_secs(1))?;
        (message.contains("another program has locked the database")
            && message.contains("WATCHDOG=1"))
        .then_some(())
    })
    .await;
    other.batch_execute("ROLLBACK").unwrap();
    // While the database fails there is no watchdog notification, even if the runtime works.
    other
        .batch_execute("ALTER TABLE instances RENAME TO gone")
        .unwrap();
    told.forget();
    assert_eq!(told.count("WATCHDOG=1", Duration::from_secs(3)), 0);
    assert!(manager.get("/health").await.status().is_success());
    other
        .batch_execute("ALTER TABLE gone RENAME TO instances")
        .unwrap();
    told.until("WATCHDOG=1");

    signal(manager.pid(), Signal::HUP);
    let reloading = told.until("RELOADING=1");
    let since = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
        .unwrap()
        .parse::<u64>()
        .unwrap();
    assert!(since > 0);
    assert!(told.until("READY=1").contains("settings reloaded"));

    let ended = tokio::task::spawn_blocking(move || manager.terminate());
    let stopping = told.until("STOPPING=1");
    assert!(
        stopping.contains("STATUS=stopping the clients"),
        "{stopping}"
    );
    assert!(ended.await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watchdog_only_what_happens_is_told() {
    let mut manager = Manager::start().await;
    manager.terminate();
    let path = manager.scratch().join("notify");
    let told = Told::at(&path);
    manager
        .env
        .push(("NOTIFY_SOCKET".into(), path.display().to_string()));
    manager.begin();
    told.until("READY=1");
    assert_eq!(told.next(Duration::from_secs(2)), None);
    // A missing service manager is not an error.
    drop(told);
    signal(manager.pid(), Signal::HUP);
    until("it is said", || async {
        manager
            .log()
            .contains("cannot notify the service manager")
            .then_some(())
    })
    .await;
    assert!(manager.get("/health").await.status().is_success());
}

/// A settings file and a certificate.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for name in ["one", "two"] {
            let pair = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
            files.write(&format!("{name}.crt"), &pem("CERTIFICATE", pair.cert.der()));
            files.write(
                &format!("{name}.key"),
                &pem("PRIVATE KEY", &pair.signing_key.serialize_der()),
            );
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Makes the certificate that is in use another.
    fn use_certificate(&self, name: &str) {
        for kind in ["crt", "key"] {
            fs::copy(
                self.path(&format!("{name}.{kind}")),
                self.path(&format!("current.{kind}")),
            )
            .unwrap();
        }
    }

    fn settings(&self, text: &str) {
        let (certificate, key) = (self.path("current.crt"), self.path("current.key"));
        self.write(
            "settings.toml",
            &format!("tls_cert = {certificate:?}\ntls_key = {key:?}\n{text}\n"),
        );
    }

    /// Whether the manager shows this certificate.
    async fn is_shown(&self, name: &str, manager: &Manager) -> bool {
        use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
        let certificate = CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).unwrap();
        let tls = std::sync::Arc::new(jd_manager::infra::http_client::tls_to(certificate).unwrap());
        let address = manager.url("").split_once("://").unwrap().1.to_owned();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio_rustls::TlsConnector::from(tls)
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .is_ok()
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_changes_what_can_be_changed_and_says_what_cannot() {
    let files = Files::new();
    files.use_certificate("one");
    files.settings("log = \"info\"");
    let flags = vec![
        "--settings".into(),
        files.path("settings.toml").display().to_string(),
    ];
    let mut manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags,
    })
    .await;
    let reload = async |manager: &Manager, says: &str| {
        let before = manager.log().len();
        signal(manager.pid(), Signal::HUP);
        until(says, || async {
            manager.log()[before..]
                .contains(says)
                .then(|| manager.log()[before..].to_owned())
        })
        .await
    };
    const FAILED: &str = "a TLS handshake failed";
    assert!(files.is_shown("one", &manager).await && !files.is_shown("two", &manager).await);
    assert!(
        !manager.log().contains(FAILED),
        "that is a line for debugging"
    );
    reload(&manager, "settings reloaded; changed: nothing").await;

    files.use_certificate("two");
    files.settings(
        "log = \"info,jd_manager=debug\"\ntrusted_proxies = [\"10.0.0.1\"]\nsample_interval = \"7s\"\nretention_days = 9",
    );
    let said = reload(&manager, "need a restart: sample_interval, retention_days").await;
    assert!(
        said.contains("changed: tls_cert, log, trusted_proxies"),
        "{said}"
    );
    assert!(files.is_shown("two", &manager).await && !files.is_shown("one", &manager).await);
    until("lines for debugging", || async {
        manager.log().contains(FAILED).then_some(())
    })
    .await;

    // After any error, nothing is changed.
    files.use_certificate("one");
    files.settings("log = \"warn\"\nretention_days = 0");
    reload(&manager, "settings not changed: retention_days").await;
    files.settings("lgo = \"warn\"");
    reload(&manager, "settings not changed: the settings file").await;
    files.settings("log = \"warn\"");
    fs::copy(files.path("two.key"), files.path("current.key")).unwrap();
    reload(&manager, "settings not changed: tls_key").await;
    assert!(files.is_shown("two", &manager).await);
    let seen = manager.log().matches(FAILED).count();
    assert!(!files.is_shown("one", &manager).await);
    until("lines for debugging are still written", || async {
        (manager.log().matches(FAILED).count() > seen).then_some(())
    })
    .await;
    // Settings that were not applied are named again.
    files.use_certificate("two");
    files.settings("log = \"info\"\nsample_interval = \"7s\"\non_shutdown = \"leave\"");
    let said = reload(&manager, "need a restart: sample_interval").await;
    assert!(
        said.contains("changed: on_shutdown, log, trusted_proxies"),
        "{said}"
    );
    let status = manager.terminate();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_clients_at_the_end_can_be_changed() {
    let files = Files::new();
    files.write("settings.toml", "log = \"info\"");
    let flags = vec![
        "--settings".into(),
        files.path("settings.toml").display().to_string(),
    ];
    let mut manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags,
    })
    .await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    files.write("settings.toml", "log = \"info\"\non_shutdown = \"leave\"");
    signal(manager.pid(), Signal::HUP);
    until("it is read", || async {
        manager.log().contains("changed: on_shutdown").then_some(())
    })
    .await;
    let clients = manager.clients(&id);
    assert!(manager.terminate().success());
    assert_eq!((clients.len(), manager.clients(&id)), (1, clients));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_window_it_runs_in_is_closed_the_manager_ends_and_mining_goes_on() {
    let mut manager = Manager::start().await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let clients = manager.clients(&id);
    manager.kill();
    // The same data directory, in a terminal of its own.
    let log = manager.scratch().join("terminal.log");
    let line = format!(
        "exec '{PROGRAM}' --listen 127.0.0.1:0 --log info --data-dir '{}' 2>'{}'",
        manager.data_dir().display(),
        log.display()
    );
    let mut terminal = Command::new("script")
        .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script, of util-linux or bsdutils");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    until("it serves", || async {
        said().contains("serving").then_some(())
    })
    .await;
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    until("it has stopped", || async {
        said().contains("jd-manager stopped").then_some(())
    })
    .await;
    assert!(said().contains("cause=\"SIGHUP\""), "{}", said());
    assert_eq!(manager.clients(&id), clients);
    manager.begin();
    manager.until_state(&id, "running").await;
}
