//! `/saved-configs/{id}/trial`: does the client take it?

use super::{NOBODY, bare, form, send};
use crate::harness::{Manager, SECRET_KEY, free_port, pool_config};
use serde_json::json;

#[tokio::test]
async fn what_the_client_takes_is_said_and_nothing_is_left_of_it() {
    let manager = Manager::with_simulated(&["--lines-per-second", "5"]).await;
    let config = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let path = format!("/saved-configs/{config}/trial");
    let shown = manager
        .ask(&format!("/saved-configs/{config}"), "text/html")
        .await
        .page(200);
    assert_eq!(shown.count(&format!("form[action='{path}'] button")), 1);

    let tried = bare(&manager, "POST", &format!("/api{path}"))
        .await
        .json(200);
    assert_eq!(
        (
            &tried["accepted"],
            &tried["client_version"],
            &tried["revision"]
        ),
        (&json!(true), &json!("0.6.0"), &json!(1)),
        "{tried}"
    );
    let page = form(&manager, &path, &[]).await;
    assert!(page.page(200).one("h1").contains("Accepted by the client"));
    assert!(!page.text.contains(SECRET_KEY));
    assert!(
        !manager.data_dir().join("trials").exists(),
        "the secret key was in there"
    );
    assert_eq!(
        manager.json("/api/instances").await["instances"],
        json!([]),
        "nothing was started"
    );
    assert_eq!(
        bare(
            &manager,
            "POST",
            &format!("/api/saved-configs/{NOBODY}/trial")
        )
        .await
        .problem(404)["status"],
        404
    );
}

#[tokio::test]
async fn what_the_client_does_not_take_comes_with_its_own_words_and_with_ours() {
    let manager = Manager::with_simulated(&["--fail-with", "config"]).await;
    let config = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let path = format!("/saved-configs/{config}/trial");
    let tried = bare(&manager, "POST", &format!("/api{path}"))
        .await
        .json(200);
    assert_eq!(tried["accepted"], false, "{tried}");
    assert!(
        tried["said"].as_str().unwrap().contains("config error"),
        "{tried}"
    );
    assert!(
        tried["message"]
            .as_str()
            .unwrap()
            .contains("rejects this configuration: "),
        "{tried}"
    );
    assert!(tried["advice"].as_str().unwrap().len() > 20, "{tried}");
    let page = form(&manager, &path, &[]).await.page(200);
    assert!(page.one("h1").contains("Not accepted") && page.one("pre").contains("config error"));
    assert!(!manager.data_dir().join("trials").exists());

    // A program that is no client says something else, or nothing.
    let silent = Manager::with_client("/bin/true").await;
    let config = silent
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    assert_eq!(
        bare(
            &silent,
            "POST",
            &format!("/api/saved-configs/{config}/trial")
        )
        .await
        .problem(503)["status"],
        503
    );
}

#[tokio::test]
async fn the_client_is_chosen_among_the_installed_ones() {
    let manager = Manager::with_store("http://127.0.0.1:9", &[]).await;
    let config = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let path = format!("/api/saved-configs/{config}/trial");
    let lacking = bare(&manager, "POST", &path).await.problem(503);
    assert!(
        lacking["detail"]
            .as_str()
            .unwrap()
            .contains("No client is installed"),
        "{lacking}"
    );
    let lacking = send(
        &manager,
        "POST",
        &path,
        &json!({ "client_version": "0.5.0" }),
    )
    .await
    .problem(503);
    assert!(
        lacking["detail"]
            .as_str()
            .unwrap()
            .contains("0.5.0 is not installed"),
        "{lacking}"
    );
    assert_eq!(
        send(&manager, "POST", &path, &json!({ "client_version": 5 }))
            .await
            .pointers(),
        ["/client_version"]
    );
    // A name is no path.
    let odd = send(
        &manager,
        "POST",
        &path,
        &json!({ "client_version": "../../bin" }),
    )
    .await;
    assert_eq!(odd.pointers(), ["/client_version"]);
}

#[tokio::test]
async fn a_program_that_says_nothing_is_ended_with_all_that_it_started() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("client");
    // It starts another, as a wrapper does, and both hang.
    let mark = format!("9{}", std::process::id());
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && exec echo jd_client_sv2 0.6.0\nsleep {mark} & wait\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let manager = Manager::with_client(&program).await;
    let config = manager
        .save_config("home", &pool_config(free_port(), free_port(), 1, 2, 3))
        .await;
    let tried = bare(
        &manager,
        "POST",
        &format!("/api/saved-configs/{config}/trial"),
    )
    .await
    .json(200);
    assert_eq!(tried["accepted"], false, "{tried}");
    assert!(
        tried["message"]
            .as_str()
            .unwrap()
            .contains("logged nothing within 10 s"),
        "{tried}"
    );
    let left = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let left = left
        .filter(|command| command == format!("sleep\0{mark}\0").as_bytes())
        .count();
    assert_eq!(left, 0, "what it started still runs");
}
