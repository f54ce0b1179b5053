//! What tests of updates do all the time.

use crate::harness::clients::version;
use crate::harness::releases::{Offered, Releases};
use crate::harness::{Manager, until, until_within};
use reqwest::Response;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// Waits until a piece of work is over; returns it.
pub async fn over(manager: &Manager, id: &str) -> Value {
    let path = format!("/api/updates/jobs/{id}");
    until_within(Duration::from_secs(60), "the work is over", &mut || async {
        let job = manager.json(&path).await;
        (!job["ended_at"].is_null()).then_some(job)
    })
    .await
}

/// Begins something and waits until it is over.
pub async fn done(manager: &Manager, path: &str, body: &Value) -> Value {
    let id = begun(manager, path, body).await;
    over(manager, &id).await
}

/// Begins something; returns the id of the work.
pub async fn begun(manager: &Manager, path: &str, body: &Value) -> String {
    let response = manager.post_json(path, body).await;
    let (status, location) = (
        response.status(),
        response.headers().get("location").cloned(),
    );
    let told: Value = response.json().await.unwrap();
    assert_eq!(status, 202, "{told}");
    let id = told["job"].as_str().unwrap().to_owned();
    assert_eq!(
        location.unwrap().to_str().unwrap(),
        format!("/api/updates/jobs/{id}")
    );
    id
}

/// Uploads a form with these files: field, file name, content.
pub async fn send_files(manager: &Manager, files: &[(&str, &str, &[u8])]) -> Response {
    let mut body = Vec::new();
    for (field, name, content) in files {
        let head = format!(
            "--b0\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--b0--\r\n");
    let request = manager
        .request("POST", "/api/updates/upload")
        .header("content-type", "multipart/form-data; boundary=b0");
    request.body(body).send().await.unwrap()
}

/// The job of such a form, when it has finished.
pub async fn upload(manager: &Manager, files: &[(&str, &str, &[u8])]) -> Value {
    let response = send_files(manager, files).await;
    let status = response.status();
    let said: Value = response.json().await.unwrap();
    assert_eq!(status, 202, "{said}");
    over(manager, said["job"].as_str().unwrap()).await
}

/// Installs a version; returns the work, which went well.
pub async fn install(manager: &Manager, version: &str) -> Value {
    let job = done(
        manager,
        "/api/updates/install",
        &json!({ "version": version }),
    )
    .await;
    assert_eq!(job["stage"], "installed", "{job}");
    job
}

/// A release of 0.5.0, and a newer one with this client.
pub async fn two_releases(newer: &[u8]) -> Releases {
    Releases::serve(vec![
        Offered::new("v0.8.0", newer),
        Offered::new("v0.7.0", &version("0.5.0")),
    ])
    .await
}

/// Installs both of [`two_releases`], with 0.5.0 in use, and starts an instance; returns its id.
pub async fn running_on_the_older(manager: &Manager) -> String {
    install(manager, "v0.7.0").await;
    install(manager, "v0.8.0").await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    id
}

/// Waits until an instance serves miners with the newer client.
pub async fn until_tried(manager: &Manager, id: &str) {
    until("the newer one is tried", || async {
        let instance = manager.json(&format!("/api/instances/{id}")).await;
        (instance["running_version"] == "0.6.0" && instance["status"] == "running").then_some(())
    })
    .await;
}

/// How quickly instances of tests are judged.
pub fn soon(version: &str) -> Value {
    json!({ "version": version, "ready_within_s": 10, "watch_s": 1 })
}

/// What lies in the directory of clients, hidden things included.
pub fn store(manager: &Manager) -> Vec<String> {
    let Ok(entries) = fs::read_dir(manager.data_dir().join("clients")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The version the link leads to.
pub fn current(manager: &Manager) -> Option<String> {
    let target = fs::read_link(manager.data_dir().join("clients/current")).ok()?;
    Some(target.to_str().unwrap().to_owned())
}
