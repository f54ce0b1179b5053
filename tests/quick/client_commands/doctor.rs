//! `jd-manager doctor`: before the first start, beside a running manager, and with problems.

use super::{Run, program, run};
use crate::harness::{Manager, PROGRAM, free_port, solo_config};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn doctor(data_dir: &Path, flags: &[&str]) -> Run {
    let mut command = program(&["doctor", "--data-dir", data_dir.to_str().unwrap()]);
    command.args(flags);
    run(command)
}

/// The report as JSON, and the exit code.
fn report(data_dir: &Path, flags: &[&str]) -> (i32, Value) {
    let flags: Vec<&str> = flags.iter().copied().chain(["--json"]).collect();
    let run = doctor(data_dir, &flags);
    assert_eq!(run.err, "", "{run:?}");
    (run.code, serde_json::from_str(&run.out).unwrap())
}

fn check<'r>(report: &'r Value, id: &str) -> &'r Value {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {report}"))
}

#[test]
fn before_the_first_start_nothing_is_created_and_missing_things_are_named() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    let (code, first) = report(&data, &["--listen", &listen]);
    assert_eq!(code, 0, "{first}");
    assert_eq!(check(&first, "data-directory")["status"], "ok");
    assert_eq!(
        check(&first, "web-address")["detail"],
        format!("{listen} is free.")
    );
    let client = check(&first, "client");
    assert_eq!(client["status"], "warning");
    assert!(
        client["fix"].as_str().unwrap().contains("Updates"),
        "{client}"
    );
    assert_eq!(check(&first, "manager")["status"], "skipped");
    assert!(first["platform"].as_str().unwrap().contains("Linux"));
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert!(!data.exists());

    // Other machines could use it without signing in.
    let open = format!("0.0.0.0:{}", free_port());
    let (code, exposed) = report(&data, &["--listen", &open]);
    assert_eq!((code, &exposed["status"]), (3, &"error".into()));
    assert!(
        check(&exposed, "sign-in")["fix"]
            .as_str()
            .unwrap()
            .contains("--setup")
    );
    assert_eq!(report(&data, &["--listen", &open, "--setup"]).0, 0);

    // The port belongs to another program; the text has the same facts.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let run = doctor(&data, &["--listen", &taken]);
    assert_eq!(run.code, 3, "{run:?}");
    let line = format!("error    Address of the web page: {taken} is already in use by ");
    assert!(run.out.contains(&line), "{}", run.out);
    assert!(
        run.out.contains("\n         Fix: Stop that program"),
        "{}",
        run.out
    );
    assert!(run.out.trim_end().ends_with("."), "{}", run.out);

    let invalid = doctor(&data, &["--release-api", "ftp://x"]).wrong(2);
    assert!(invalid.contains("release_api"), "{invalid}");
}

#[test]
fn a_client_that_cannot_run_and_an_open_directory_are_found() {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = home.path().join("client");
    fs::write(&file, "no program").unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let flags = ["--listen", &listen, "--client", file.to_str().unwrap()];
    let (code, found) = report(home.path(), &flags);
    assert_eq!(code, 3);
    assert!(
        check(&found, "client")["detail"]
            .as_str()
            .unwrap()
            .contains("is not executable")
    );
    assert_eq!(check(&found, "data-directory")["status"], "warning");

    fs::write(
        &file,
        format!("#!/bin/sh\nexec '{PROGRAM}' simulate \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, found) = report(home.path(), &flags);
    assert_eq!(code, 0, "{found}");
    assert!(
        check(&found, "client")["detail"]
            .as_str()
            .unwrap()
            .starts_with("Version 0.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_manager_configurations_and_servers_are_checked() {
    let mut manager = Manager::start().await;
    let nobody = free_port();
    let config = solo_config(free_port(), free_port(), nobody);
    let config = manager.save_config("barn", &config).await;
    manager.instance_of("barn", &config).await;
    let data = manager.data_dir();
    let (code, found) = report(&data, &[]);
    assert_eq!(code, 3, "{found}");
    assert_eq!(check(&found, "manager")["status"], "ok");
    assert_eq!(check(&found, "web-address")["status"], "skipped");
    assert_eq!(check(&found, "database")["status"], "ok");
    let values = check(&found, "configuration");
    assert_eq!(values["title"], "Configuration \"barn\"");
    let provider = check(&found, "template-provider");
    assert_eq!(provider["status"], "error");
    assert!(
        provider["detail"]
            .as_str()
            .unwrap()
            .contains(&format!("127.0.0.1:{nobody}"))
    );
    assert!(!found.to_string().contains("authority_secret_key"));

    // The same without the manager, after a crash.
    manager.kill();
    let (code, after) = report(&data, &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 3);
    assert_eq!(check(&after, "manager")["status"], "skipped");
    assert_eq!(
        check(&after, "configuration"),
        check(&found, "configuration")
    );
    manager.begin();
    assert_eq!(
        manager.json("/api/saved-configs").await["configurations"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}
