//! Tests the command line: output, usage errors before anything is opened, and exit codes.

use crate::harness::{self, Manager, PROGRAM, Plan};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// A separate home directory: no files of the user are read or written.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("jd-manager-test")
                .tempdir()
                .unwrap(),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The program in this home, with an otherwise empty environment.
    fn program(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdin(Stdio::null());
        command
    }

    /// The same with a data directory and any free port.
    fn serve(&self) -> Command {
        let mut command = self.program();
        command
            .arg("--data-dir")
            .arg(self.data())
            .args(["--listen", "127.0.0.1:0"]);
        command
    }

    /// Whether the home contains only the files of the test.
    fn is_untouched(&self, besides: &[&str]) -> bool {
        fs::read_dir(self.0.path())
            .unwrap()
            .all(|entry| besides.contains(&entry.unwrap().file_name().to_str().unwrap()))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

/// A running program; stopped at the end of the test.
struct Running {
    child: Child,
    line: String,
}

impl Running {
    /// Waits for the ready line.
    fn begin(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            let output = child.wait_with_output().unwrap();
            panic!("it did not come up: {}", text(&output.stderr));
        }
        Self { child, line }
    }

    fn address(&self) -> &str {
        self.line
            .trim()
            .split_once("http://")
            .unwrap()
            .1
            .trim_end_matches('/')
    }

    /// Stops it with SIGTERM and returns its standard error.
    fn end(mut self) -> String {
        harness::signal(self.child.id(), rustix::process::Signal::TERM);
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    (
        status.code().expect("it ended by itself"),
        text(&stdout),
        text(&stderr),
    )
}

#[test]
fn it_says_its_version_and_how_it_is_used() {
    let home = Home::new();
    let (code, said, _) = run(home.program().arg("--version"));
    assert_eq!(
        (code, said.trim()),
        (0, concat!("jd-manager ", env!("CARGO_PKG_VERSION")))
    );
    let (code, said, _) = run(home.program().arg("--help"));
    assert_eq!(code, 0);
    for word in [
        "serve",
        "demo",
        "healthcheck",
        "--listen",
        "--data-dir",
        "--client",
        "--release-api",
        "--on-shutdown",
        "--health-interval",
        "--sample-interval",
        "--retention-days",
        "--log",
        "--log-format",
        "JD_MANAGER_LISTEN",
        "RUST_LOG",
    ] {
        assert!(said.contains(word), "--help says nothing of {word}: {said}");
    }
    // Internal subcommands are hidden.
    for internal in ["  keep", "  exec", "  simulate"] {
        assert!(
            !said.lines().any(|line| line.starts_with(internal)),
            "{said}"
        );
    }
    assert!(home.is_untouched(&[]));
}

#[test]
fn every_bad_setting_is_named_with_its_source_before_anything_is_opened() {
    let home = Home::new();
    for (flag, variable, key, bad) in [
        ("--listen", "JD_MANAGER_LISTEN", "listen", "here"),
        ("--listen", "JD_MANAGER_LISTEN", "listen", "127.0.0.1:70000"),
        ("--listen", "JD_MANAGER_LISTEN", "listen", "everywhere"),
        (
            "--release-api",
            "JD_MANAGER_RELEASE_API",
            "release_api",
            "ftp://example.com",
        ),
        (
            "--on-shutdown",
            "JD_MANAGER_ON_SHUTDOWN",
            "on_shutdown",
            "explode",
        ),
        (
            "--health-interval",
            "JD_MANAGER_HEALTH_INTERVAL",
            "health_interval",
            "5 parsecs",
        ),
        (
            "--health-interval",
            "JD_MANAGER_HEALTH_INTERVAL",
            "health_interval",
            "0s",
        ),
        (
            "--sample-interval",
            "JD_MANAGER_SAMPLE_INTERVAL",
            "sample_interval",
            "often",
        ),
        (
            "--retention-days",
            "JD_MANAGER_RETENTION_DAYS",
            "retention_days",
            "0",
        ),
        (
            "--retention-days",
            "JD_MANAGER_RETENTION_DAYS",
            "retention_days",
            "4000",
        ),
        ("--log", "RUST_LOG", "log", "a=b=c"),
        ("--log-format", "JD_MANAGER_LOG_FORMAT", "log_format", "xml"),
    ] {
        let data = home.data();
        let names =
            |said: &str| said.contains(flag) || said.contains(variable) || said.contains(key);
        let (code, out, said) = run(home
            .program()
            .arg("--data-dir")
            .arg(&data)
            .arg(flag)
            .arg(bad));
        assert_eq!((code, out.as_str()), (2, ""), "{flag} {bad}: {said}");
        assert!(names(&said), "{flag} {bad}: {said}");
        let (code, _, said) = run(home
            .program()
            .env("JD_MANAGER_DATA_DIR", &data)
            .env(variable, bad));
        assert_eq!(code, 2, "{variable}={bad}: {said}");
        assert!(names(&said), "{variable}={bad}: {said}");
        let value = if bad.bytes().all(|b| b.is_ascii_digit()) {
            bad.to_owned()
        } else {
            format!("\"{bad}\"")
        };
        let file = home.write("settings.toml", &format!("{key} = {value}\n"));
        let (code, _, said) = run(home
            .program()
            .arg("--data-dir")
            .arg(&data)
            .arg("--settings")
            .arg(&file));
        assert_eq!(code, 2, "{key} = {value}: {said}");
        assert!(said.contains(key), "{key} = {value}: {said}");
        assert!(
            home.is_untouched(&["settings.toml"]),
            "{flag} {bad} left something behind"
        );
    }
    for unknown in [
        &["--lisen", "x"][..],
        &["explode"],
        &["serve", "--verbose"],
        &["--data-dir"],
    ] {
        let (code, _, said) = run(home.program().args(unknown));
        assert_eq!(code, 2, "{unknown:?}: {said}");
        assert!(
            said.contains(unknown[unknown.len() - 1]) || said.contains(unknown[0]),
            "{unknown:?}: {said}"
        );
    }
    assert!(home.is_untouched(&["settings.toml"]));
}

#[test]
fn a_settings_file_with_a_mistake_is_refused_by_line_and_key() {
    let home = Home::new();
    for (content, says) in [
        ("lisen = \"127.0.0.1:0\"\n", vec!["lisen", "listen"]),
        (
            "on_shutdown = \"leave\"\n\nretention_days = \"many\"\n",
            vec!["line 3", "retention_days"],
        ),
        ("listen = \n", vec!["line 1"]),
        ("[listen]\nport = 1\n", vec!["listen"]),
        ("log = \"info\"\nlog = \"debug\"\n", vec!["log"]),
    ] {
        let file = home.write("settings.toml", content);
        let (code, _, said) = run(home.serve().arg("--settings").arg(&file));
        assert_eq!(code, 2, "{content:?}: {said}");
        for word in says.iter().chain([&"settings.toml"]) {
            assert!(said.contains(word), "{content:?}: {said}");
        }
    }
    let (code, _, said) = run(home
        .serve()
        .args(["--settings"])
        .arg(home.path("nowhere.toml")));
    assert!(code == 2 && said.contains("nowhere.toml"), "{code}: {said}");
    // The default path is read automatically.
    fs::remove_file(home.path("settings.toml")).unwrap();
    home.write(".config/jd-manager/settings.toml", "unheard_of = 1\n");
    let (code, _, said) = run(&mut home.serve());
    assert!(code == 2 && said.contains("unheard_of"), "{code}: {said}");
    home.write("xdg/jd-manager/settings.toml", "unknown_there = 1\n");
    let (code, _, said) = run(home.serve().env("XDG_CONFIG_HOME", home.path("xdg")));
    assert!(
        code == 2 && said.contains("unknown_there"),
        "{code}: {said}"
    );
    assert!(!home.data().exists());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    let dirs = ["by-file", "by-environment", "by-flag"].map(|name| home.path(name));
    let file = home.write(
        "settings.toml",
        &format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n",
            dirs[0].display()
        ),
    );
    let sources = |count: usize| {
        let mut command = home.program();
        command.env("JD_MANAGER_SETTINGS", &file);
        if count > 1 {
            command.env("JD_MANAGER_DATA_DIR", &dirs[1]);
        }
        if count > 2 {
            command.arg("--data-dir").arg(&dirs[2]);
        }
        command
    };
    for count in 1..=3 {
        let running = Running::begin(&mut sources(count));
        for (at, dir) in dirs.iter().enumerate() {
            assert_eq!(dir.exists(), at < count, "with {count} sources: {dir:?}");
        }
        running.end();
        let mode = fs::metadata(&dirs[count - 1]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn an_address_that_others_can_reach_is_refused_with_advice() {
    let home = Home::new();
    for address in [
        "0.0.0.0:3000",
        "[::]:3000",
        "192.0.2.7:80",
        "[2001:db8::1]:3000",
    ] {
        let (code, _, said) = run(home
            .program()
            .arg("--data-dir")
            .arg(home.data())
            .args(["--listen", address]));
        // The passwords are in the database, so it exists by then.
        assert_eq!(code, 1, "{address}: {said}");
        for part in [address, "127.0.0.1", "ssh -L", "set-password", "--setup"] {
            assert!(said.contains(part), "{address}: {said}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_said_with_a_way_out() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, said) = run(home
        .program()
        .arg("--data-dir")
        .arg(home.data())
        .args(["--listen", &address]));
    assert_eq!((code, out.as_str()), (1, ""), "{said}");
    assert!(
        said.contains(&address) && said.contains("--listen"),
        "{said}"
    );
}

#[test]
fn it_says_where_it_listens_once_it_does() {
    let home = Home::new();
    let running = Running::begin(&mut home.serve());
    assert_eq!(
        running.line,
        format!("jd-manager is ready: http://{}/\n", running.address())
    );
    let port: u16 = running
        .address()
        .strip_prefix("127.0.0.1:")
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(port, 0);
    std::net::TcpStream::connect(running.address()).unwrap();

    let asked = |address: &str| run(home.program().args(["healthcheck", "--listen", address]));
    assert_eq!(asked(running.address()), (0, "ok\n".into(), String::new()));
    let address = running.address().to_owned();
    running.end();
    let (code, out, said) = asked(&address);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        said.contains(&address) && said.contains("did not respond"),
        "{said}"
    );

    // Another program that answers there is not a healthy manager.
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.1 503 No\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}",
    ] {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || {
            use std::io::Write;
            let (mut connection, _) = other.accept().unwrap();
            let _ = connection.read(&mut [0; 1024]);
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let (code, _, said) = asked(&address);
        assert!(
            code == 1 && said.contains(&address),
            "{answer}: {code} {said}"
        );
        serving.join().unwrap();
    }
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    let home = Home::new();
    let database = home.write("data/jd-manager.sqlite3", "");
    Running::begin(&mut home.serve()).end();
    let good = fs::read(&database).unwrap();
    let mut torn = good.clone();
    torn[100..3000].fill(0xa5);
    let rubbish =
        b"no database, but somebody's only copy of something else, longer than a header is"
            .repeat(20);
    for damaged in [rubbish, torn, good[..good.len() / 2].to_vec()] {
        fs::write(&database, &damaged).unwrap();
        let (code, out, said) = run(&mut home.serve());
        assert_eq!((code, out.as_str()), (1, ""), "{said}");
        assert!(
            said.contains("damaged")
                && said.contains("jd-manager.sqlite3")
                && said.contains("backups"),
            "{said}"
        );
        assert_eq!(fs::read(&database).unwrap(), damaged, "it was touched");
    }
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, SqliteConnection};
    let home = Home::new();
    Running::begin(&mut home.serve()).end();
    let database = home.data().join("jd-manager.sqlite3");
    let mut connection = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000'); PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;")
        .unwrap();
    drop(connection);
    let before = fs::read(&database).unwrap();
    let (code, out, said) = run(&mut home.serve());
    assert_eq!((code, out.as_str()), (1, ""), "{said}");
    assert!(
        said.contains("newer jd-manager") && said.contains("99991231000000"),
        "{said}"
    );
    // Only the two header bytes for the journal mode may differ.
    let mut after = fs::read(&database).unwrap();
    after[18..20].copy_from_slice(&before[18..20]);
    after[24..28].copy_from_slice(&before[24..28]);
    after[92..100].copy_from_slice(&before[92..100]);
    assert!(before == after, "it was changed");
}

#[test]
fn a_data_directory_that_cannot_be_used_is_said() {
    let home = Home::new();
    let file = home.write("file", "");
    for dir in [
        file.clone(),
        file.join("below"),
        PathBuf::from("/proc/jd-manager"),
    ] {
        let (code, out, said) = run(home
            .program()
            .arg("--data-dir")
            .arg(&dir)
            .args(["--listen", "127.0.0.1:0"]));
        assert_eq!((code, out.as_str()), (1, ""), "{dir:?}: {said}");
        assert!(
            said.contains(dir.to_str().unwrap()) && said.contains("cannot use the data directory"),
            "{dir:?}: {said}"
        );
    }
    let (code, _, said) = run(home
        .program()
        .env_remove("HOME")
        .args(["--listen", "127.0.0.1:0"]));
    assert!(code == 2 && said.contains("--data-dir"), "{code}: {said}");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_said() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o500)).unwrap();
    let is_almighty = fs::write(home.data().join("probe"), "").is_ok();
    if is_almighty {
        // Permissions do not apply to root; only a read-only file system is not writable.
        let (code, _, said) =
            run(home
                .program()
                .args(["--data-dir", "/sys/jd-manager", "--listen", "127.0.0.1:0"]));
        assert!(
            code == 1 && said.contains("/sys/jd-manager"),
            "{code}: {said}"
        );
    } else {
        let (code, _, said) = run(&mut home.serve());
        assert!(
            code == 1 && said.contains("cannot use the data directory"),
            "{code}: {said}"
        );
    }
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_it_makes_is_for_its_user_alone_even_in_a_directory_that_is_open() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).unwrap();
    Running::begin(&mut home.serve()).end();
    let made: Vec<_> = fs::read_dir(home.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        made.contains(&home.data().join("jd-manager.sqlite3")),
        "{made:?}"
    );
    for path in made {
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o077,
            0,
            "{path:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_in_json_is_one_object_a_line() {
    let plan = Plan {
        simulate: Vec::new(),
        client: None,
        flags: vec![
            "--log-format".into(),
            "json".into(),
            "--on-shutdown".into(),
            "stop".into(),
        ],
    };
    let mut manager = Manager::launch(plan).await;
    let id = manager.instance("barn \"with\" quotes").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    assert!(manager.terminate().success());
    let log = manager.log();
    assert!(log.lines().count() > 2, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(
            line["timestamp"].is_string()
                && line["level"].is_string()
                && line["fields"]["message"].is_string(),
            "{line}"
        );
    }
    assert!(
        log.contains("\"serving\"") && log.contains("\"jd-manager stopped\""),
        "{log}"
    );
}

#[test]
fn its_log_for_people_has_no_colours_in_a_file() {
    let home = Home::new();
    let said = Running::begin(home.serve().args(["--log", "debug"])).end();
    assert!(
        said.contains("serving") && !said.contains('\u{1b}'),
        "{said}"
    );
    let silent = Running::begin(home.serve().env("RUST_LOG", "error")).end();
    assert_eq!(silent, "");
}
