//! Connections of `jd-manager dial-stdio`, as SSH starts it: their role, their name, their end.

use super::{ada, printed, run, with_admin};
use crate::harness::{Manager, PROGRAM, until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

/// `dial-stdio` with these arguments on a manager's data.
fn dial(manager: &Manager, arguments: &[&str]) -> Child {
    Command::new(PROGRAM)
        .arg("dial-stdio")
        .args(arguments)
        .arg("--data-dir")
        .arg(manager.data_dir())
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the other end gets for these bytes until the connection is closed.
fn answer_to(manager: &Manager, arguments: &[&str], bytes: &str) -> String {
    let mut child = dial(manager, arguments);
    // Kept open: only the manager closes the connection.
    let mut input = child.stdin.take().unwrap();
    input.write_all(bytes.as_bytes()).unwrap();
    let mut text = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text
}

fn request(method: &str, path: &str, more: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{more}Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn status(answer: &str) -> u16 {
    let rest = answer.strip_prefix("HTTP/1.1 ");
    let rest = rest.unwrap_or_else(|| panic!("no response: {answer}"));
    rest[..3].parse().unwrap()
}

/// Every operation that is no GET, with the path of something that does not exist, and whether a viewer
/// may do it: it changes nothing, or only the viewer's own account.
async fn changes(manager: &Manager) -> Vec<(String, String, bool)> {
    let document = manager.json("/api/openapi.json").await;
    let id = "00000000-0000-4000-8000-000000000000";
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", id)
            .replace("{n}", "1")
            .replace("{name}", "0.0.1")
            .replace("{type}", "cpu_percent")
            .replace("{step}", "review");
        for (method, operation) in methods.as_object().unwrap() {
            if ["post", "put", "patch", "delete"].contains(&method.as_str()) {
                let is_for_viewers = operation["x-role"] == "viewer";
                found.push((method.to_uppercase(), path.clone(), is_for_viewers));
            }
        }
    }
    assert!(found.len() > 60, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_connection_changes_nothing_on_any_route() {
    let manager = Manager::start().await;
    for (method, path, is_for_viewers) in changes(&manager).await {
        let sent = request(&method, &path, "", "{}");
        let answer = answer_to(&manager, &["--role", "viewer", "--name", "laptop"], &sent);
        let is_by_password = ["/login", "/login/first"].contains(&path.as_str());
        let expected = match path.as_str() {
            // There is no session that could end.
            "/logout" => answer.contains("\"Signed out.\""),
            _ if is_by_password => status(&answer) >= 400,
            // Over SSH, nobody signs in.
            _ if answer.contains("not allowed over SSH") => status(&answer) == 403,
            _ if is_for_viewers => status(&answer) != 403,
            _ => {
                status(&answer) == 403
                    && answer.contains("this machine (SSH key laptop) has the viewer role")
                    && answer.contains("authorized_keys")
            }
        };
        assert!(expected, "{method} {path}: {answer}");
        // The same as the machine's own user is not rejected for its role.
        if !is_by_password && path != "/logout" {
            let answer = answer_to(&manager, &[], &request("GET", &path, "", ""));
            assert!(!answer.contains(" has the "), "{path}: {answer}");
        }
    }
    let answer = answer_to(
        &manager,
        &["--role", "viewer"],
        &request("GET", "/api/instances", "", ""),
    );
    assert!(answer.contains("\"instances\":[]"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_connection_acts_under_the_name_of_its_key() {
    let manager = with_admin().await;
    let id = {
        let admin = ada(&manager).await;
        let config = json!({ "name": "Home", "config": crate::harness::solo_config(
            crate::harness::free_port(), crate::harness::free_port(), 1) });
        let saved = admin
            .send(&manager, "POST", "/api/saved-configs", &config)
            .await
            .json(201);
        let made = json!({ "name": "barn", "config_id": saved["config_id"] });
        let made = admin
            .send(&manager, "POST", "/api/instances", &made)
            .await
            .json(201);
        made["instance_id"].as_str().unwrap().to_owned()
    };
    let operator = ["--role", "operator", "--name", "ada@laptop"];
    let start = request("POST", &format!("/api/instances/{id}/start"), "", "");
    let answer = answer_to(&manager, &operator, &start);
    assert_eq!(status(&answer), 200, "{answer}");
    let delete = request("DELETE", &format!("/api/instances/{id}"), "", "");
    let answer = answer_to(&manager, &operator, &delete);
    assert!(
        status(&answer) == 403 && answer.contains("requires the admin role"),
        "{answer}"
    );
    // A token cannot raise the role, and keeps its name.
    let token = printed(run(
        &manager,
        &["token", "create", "deploy", "--role", "admin"],
        "",
    ));
    let token = format!("Authorization: Bearer {}\r\n", token.trim());
    let delete = request("DELETE", &format!("/api/instances/{id}"), &token, "");
    let answer = answer_to(&manager, &operator, &delete);
    assert!(
        status(&answer) == 403
            && answer.contains("this machine (token deploy, SSH key ada@laptop) has the operator"),
        "{answer}"
    );
    // Rejections are written a little later.
    let log = until("the rejections are in the audit log", || async {
        let log = answer_to(&manager, &[], &request("GET", "/api/audit", "", ""));
        let log: Value = serde_json::from_str(log.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let is_by_key = |entry: &&Value| entry["actor"].as_str().unwrap().contains("SSH key");
        (log["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter(is_by_key)
            .count()
            == 3)
            .then_some(log)
    })
    .await;
    let is_by_key = |entry: &&Value| entry["actor"].as_str().unwrap().contains("SSH key");
    let seen: Vec<&Value> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_by_key)
        .collect();
    let actor = |n: usize| {
        (
            seen[n]["actor"].as_str().unwrap(),
            seen[n]["status"].as_u64(),
        )
    };
    assert_eq!(
        actor(0),
        ("this machine (token deploy, SSH key ada@laptop)", Some(403))
    );
    assert_eq!(actor(1), ("this machine (SSH key ada@laptop)", Some(403)));
    assert_eq!(actor(2), ("this machine (SSH key ada@laptop)", Some(200)));
    assert_eq!(seen[2]["role"], "operator", "{log}");
    let events = answer_to(
        &manager,
        &[],
        &request("GET", &format!("/api/instances/{id}/events"), "", ""),
    );
    assert!(
        events.contains("this machine (SSH key ada@laptop) (api)"),
        "{events}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_end_cannot_choose_its_role() {
    let manager = Manager::start().await;
    let create = request("POST", "/api/keys/generate", "", "{}");
    for line in [
        "dial-stdio 1 admin\n",
        "dial-stdio 1 admin ada\n",
        "\ndial-stdio 1 admin\n",
    ] {
        let answer = answer_to(&manager, &["--role", "viewer"], &format!("{line}{create}"));
        assert!(status(&answer) >= 400, "{line:?}: {answer}");
        // The line means nothing to the port.
        let answer = manager.raw(format!("{line}{create}").as_bytes()).await;
        assert_eq!(status(&answer), 400, "{line:?}: {answer}");
    }
    // Several requests on one connection have the same role.
    let keep = request("GET", "/api/instances", "", "").replace("Connection: close\r\n", "");
    let answer = answer_to(
        &manager,
        &["--role", "viewer"],
        &format!("{keep}{keep}{create}"),
    );
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 403 ").count(), 1, "{answer}");
    // Lines of other versions are rejected with advice.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for line in ["dial-stdio 2 admin\n", "d\n", &"d".repeat(200)] {
        let socket = manager.data_dir().join("manager.sock");
        let mut socket = tokio::net::UnixStream::connect(socket).await.unwrap();
        socket.write_all(line.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer).await;
        assert!(
            status(&answer) == 400 && answer.ends_with("Restart jd-manager."),
            "{line:?}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_manager_and_says_when_there_is_none() {
    let mut manager = Manager::start().await;
    let mut open = dial(&manager, &[]);
    let mut input = open.stdin.take().unwrap();
    let request = request("GET", "/api/health", "", "").replace("Connection: close\r\n", "");
    input.write_all(request.as_bytes()).unwrap();
    let mut output = open.stdout.take().unwrap();
    output.read_exact(&mut [0; 8]).unwrap();
    manager.terminate();
    until("the connection is closed", || async {
        (!crate::harness::is_alive(open.id())).then_some(())
    })
    .await;
    drop(input);
    assert!(open.wait().unwrap().success());
    let output = dial(&manager, &[]).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains("no jd-manager is running with the data directory")
            && said.contains("--data-dir"),
        "{said}"
    );
    for wrong in [
        ["--role", "root"],
        ["--name", "two words"],
        ["--name", "a\"b"],
    ] {
        let output = dial(&manager, &wrong).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
}
