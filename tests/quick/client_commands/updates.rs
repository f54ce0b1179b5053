//! Tests `jd-manager updates`: install, switch and roll back.

use super::{ask, row};
use crate::harness::Manager;
use crate::harness::clients::version;
use crate::harness::releases::{Manner, Offered, Releases};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_found_installed_switched_to_and_left_again() {
    let newer = Offered::new("v0.8.0", &version("0.6.0"));
    let releases = Releases::serve(vec![newer, Offered::new("v0.7.0", &version("0.5.0"))]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let said = ask(&manager, &["updates"]).well();
    assert!(
        said.starts_with("No client is in use, and no release is known. Check for releases with: jd-manager updates check"),
        "{said}"
    );
    let found = ask(&manager, &["updates", "check"]).well();
    assert!(
        found.contains("v0.8.0 (client 0.6.0)") && found.contains("v0.7.0"),
        "{found}"
    );
    assert_eq!(
        ask(&manager, &["updates", "check", "--json"]).json()["latest"],
        "v0.8.0"
    );
    // Progress is separate from the result.
    let installed = ask(&manager, &["updates", "install", "v0.7.0"]);
    assert_eq!(installed.code, 0, "{installed:?}");
    assert!(
        installed.out.contains("0.5.0") && installed.err.lines().count() >= 1,
        "{installed:?}"
    );
    assert!(!installed.err.contains('\r'), "{installed:?}");
    let table = ask(&manager, &["updates"]).well();
    assert_eq!(
        row(&table, "0.5.0")[1..4],
        ["in use", "v0.7.0", "release"],
        "{table}"
    );
    assert!(
        table.starts_with("Client 0.5.0 is in use. Release v0.8.0 (client 0.6.0) is newer."),
        "{table}"
    );
    let id = manager.instance("barn").await;
    assert_eq!(ask(&manager, &["instances", "start", "barn"]).code, 0);
    let begun = ask(&manager, &["updates", "install", "--no-wait", "--json"]).json();
    let job = begun["job"].as_str().unwrap().to_owned();
    crate::harness::until("it is installed", || async {
        (manager.json(&format!("/api/updates/jobs/{job}")).await["stage"] == "installed")
            .then_some(())
    })
    .await;
    let gate = ["--ready-within", "20", "--watch", "1"];
    let switched = ask(
        &manager,
        &[&["updates", "switch", "0.6.0"][..], &gate].concat(),
    );
    assert_eq!(switched.code, 0, "{switched:?}");
    assert!(switched.err.contains("barn: switched"), "{switched:?}");
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["running_version"],
        "0.6.0"
    );
    let back = ask(
        &manager,
        &[&["updates", "rollback", "--json"][..], &gate].concat(),
    );
    let job: Value = serde_json::from_str(&back.out).unwrap();
    assert_eq!(
        (back.code, job["stage"].as_str()),
        (0, Some("switched")),
        "{back:?}"
    );
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["running_version"],
        "0.5.0"
    );
    // A failure: the newer client does not start, and the instance is rolled back.
    std::fs::write(manager.instance_dir(&id).join("die-0.6.0"), "").unwrap();
    let failed = ask(
        &manager,
        &[&["updates", "switch", "0.6.0", "barn"][..], &gate].concat(),
    );
    assert_eq!((failed.code, failed.out.as_str()), (1, ""), "{failed:?}");
    assert!(
        failed.err.contains("barn: went-back")
            && failed
                .err
                .lines()
                .last()
                .unwrap()
                .starts_with("jd-manager: "),
        "{failed:?}"
    );
    let said = ask(&manager, &["updates", "install", "v0.7.0"]).wrong(1);
    assert!(said.contains("already installed"), "{said}");
    let said = ask(&manager, &["updates", "install", "v9.9.9"]).wrong(1);
    assert!(
        said.starts_with("jd-manager: ") && said.contains("v9.9.9"),
        "{said}"
    );
    let said = ask(&manager, &["updates", "remove", "0.6.0"]).wrong(2);
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(
        ask(&manager, &["updates", "remove", "0.6.0", "--yes"]).code,
        0
    );
    assert_eq!(
        ask(&manager, &["updates", "remove", "0.5.0", "--yes"]).code,
        1
    );
    assert_eq!(
        ask(&manager, &["updates", "cancel"]).wrong(1),
        "jd-manager: no job is running\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_fails_or_is_cancelled_fails_the_command() {
    let mut broken = Offered::new("v0.8.0", &version("0.6.0"));
    broken.digest = Some(format!("sha256:{}", "0".repeat(64)));
    let mut slow = Offered::new("v0.7.0", &version("0.5.0"));
    slow.manner = Manner::Drips(100, std::time::Duration::from_millis(200));
    let releases = Releases::serve(vec![broken, slow]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    let failed = ask(&manager, &["updates", "install", "v0.8.0"]);
    assert_eq!((failed.code, failed.out.as_str()), (1, ""), "{failed:?}");
    assert!(
        failed
            .err
            .lines()
            .last()
            .unwrap()
            .starts_with("jd-manager: "),
        "{failed:?}"
    );
    let waiting = super::at(&manager, &["updates", "install", "v0.7.0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    crate::harness::until("it is under way", || async {
        (ask(&manager, &["updates"])
            .out
            .contains("Running job: install v0.7.0"))
        .then_some(())
    })
    .await;
    assert_eq!(ask(&manager, &["updates", "cancel"]).code, 0);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_skipped_and_offered_again_and_one_without_its_file_is_named() {
    let pending = Offered {
        state: "open",
        ..Offered::new("v0.9.0", &version("0.7.0"))
    };
    let older = Offered::new("v0.7.0", &version("0.5.0"));
    let newer = Offered::new("v0.8.0", &version("0.6.0"));
    let releases = Releases::serve(vec![pending, newer, older]).await;
    let manager = Manager::with_store(&releases.base(), &[]).await;
    assert_eq!(ask(&manager, &["updates", "install", "v0.7.0"]).code, 0);
    let offered = ask(&manager, &["updates", "check"]).well();
    assert!(
        offered.starts_with("Client 0.5.0 is in use. Release v0.8.0 (client 0.6.0) is newer.\n")
            && offered.contains(
                "Release v0.9.0 is not yet available for the machine that runs jd-manager."
            ),
        "{offered}"
    );
    let said = ask(&manager, &["updates", "skip", "v0.8.0"]).well();
    assert!(said.starts_with("Release v0.8.0 was skipped"), "{said}");
    let table = ask(&manager, &["updates"]).well();
    assert!(
        table.starts_with("Client 0.5.0 is in use.\n")
            && table.contains("Skipped: v0.8.0\n")
            && table.contains("v0.8.0 (skipped)"),
        "{table}"
    );
    let said = ask(&manager, &["updates", "install"]).wrong(1);
    assert!(said.contains("already installed"), "{said}");
    let said = ask(&manager, &["updates", "skip", "v9.9.9"]).wrong(1);
    assert!(said.contains("v9.9.9"), "{said}");
    let undone = ask(&manager, &["updates", "unskip", "v0.8.0", "--json"]).json();
    assert_eq!(
        (&undone["success"], &undone["skipped"]),
        (&Value::Bool(true), &serde_json::json!([]))
    );
    let said = ask(&manager, &["updates", "unskip", "v0.8.0"]).wrong(1);
    assert!(said.contains("v0.8.0"), "{said}");
    assert!(ask(&manager, &["updates"]).well().contains("is newer"));
}
