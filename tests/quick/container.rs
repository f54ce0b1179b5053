//! The image of the Containerfile: user, paths, variables and commands of its second stage match the
//! program. (A step of `scripts/test` checks that the files of its first stage
//! build.)

use crate::harness::{self, PROGRAM, signal};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The instructions of the second stage, each on one line.
fn instructions() -> Vec<String> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Containerfile")).unwrap();
    let lines: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    let joined = lines.replace("\\\n", " ");
    let all: Vec<String> = joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    let last = all
        .iter()
        .rposition(|line| line.starts_with("FROM "))
        .unwrap();
    all[last + 1..].to_vec()
}

fn value(of: &str) -> String {
    let all = instructions();
    let mut found = all
        .iter()
        .filter_map(|line| line.strip_prefix(of)?.strip_prefix(' '));
    let value = found.next().unwrap_or_else(|| panic!("no {of}")).to_owned();
    assert!(found.next().is_none(), "{of} twice");
    value
}

fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text} is no list: {e}"))
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn user_paths_and_commands_belong_together_and_the_program_takes_them() {
    let run = value("RUN");
    let (variable, data) = value("ENV")
        .split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .unwrap();
    let uid: u32 = value("USER")
        .parse()
        .expect("a number: an orchestrator has to see that it is not root");
    assert!(uid >= 1000);
    assert!(
        run.contains(&format!("useradd --system --uid {uid} ")),
        "{run}"
    );
    assert!(
        run.contains(&format!(
            "install -d -m 1777 -o jd-manager -g jd-manager {data}"
        )),
        "{run}"
    );
    assert!(
        run.contains("ca-certificates") && run.contains("tini"),
        "{run}"
    );
    assert_eq!(
        (value("VOLUME"), value("WORKDIR"), value("STOPSIGNAL")),
        (data.clone(), data, "SIGTERM".into())
    );
    assert!(value("COPY").ends_with("/target/release/jd-manager /usr/local/bin/jd-manager"));

    // The entry point with its command, under the image's environment and user as far as this
    // machine allows.
    let (entry, command) = (list(&value("ENTRYPOINT")), list(&value("CMD")));
    assert_eq!(entry, ["tini", "--", "jd-manager"]);
    let (_, check) = value("HEALTHCHECK")
        .split_once("CMD ")
        .map(|(a, b)| (a.to_owned(), list(b)))
        .unwrap();
    assert_eq!(check[0], "jd-manager");
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("jd-manager");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    let port = harness::free_port();
    let is_root = rustix::process::geteuid().is_root();
    // The program lies where its user may not look: it is copied, as the image does.
    let program = dir.path().join("program");
    fs::copy(PROGRAM, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if is_root {
        std::os::unix::fs::chown(&place, Some(uid), Some(uid)).unwrap();
    }
    let as_in_the_image = |arguments: &[String]| {
        let mut line = if is_root {
            Command::new("setpriv")
        } else {
            Command::new(&program)
        };
        if is_root {
            line.args([
                format!("--reuid={uid}"),
                format!("--regid={uid}"),
                "--clear-groups".into(),
                "--".into(),
            ])
            .arg(&program);
        }
        line.args(arguments)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env(&variable, &place)
            .current_dir(&place)
            .stdin(Stdio::null());
        line
    };
    let mut running = Running(
        as_in_the_image(&command)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("is ready"), "{line:?}");
    let output = as_in_the_image(&check[1..]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for entry in fs::read_dir(&place).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is open to others", entry.path());
    }
    signal(running.0.id(), rustix::process::Signal::TERM);
    assert!(running.0.wait().unwrap().success());
    let output = as_in_the_image(&check[1..]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
