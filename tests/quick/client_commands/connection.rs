//! Tests connecting to a manager: socket, URL, token, HTTPS, and the error messages.

use super::{at, program, run, run_with};
use crate::harness::{Manager, Plan};
use std::fs;
use std::process::Command;

/// A manager with a user, so connections over the network require credentials.
async fn with_user() -> Manager {
    let manager = Manager::start().await;
    let mut password = at(&manager, &["set-password", "ada"]);
    password.arg("--stdin");
    assert_eq!(run_with(password, "correct horse battery").code, 0);
    manager
}

fn token(manager: &Manager, role: &str) -> String {
    run(at(manager, &["token", "create", role, "--role", role]))
        .well()
        .trim()
        .to_owned()
}

/// The command on an address, with this token in the environment.
fn by_url(manager: &Manager, arguments: &[&str], token: Option<&str>) -> Command {
    let mut command = program(arguments);
    command.arg("--url").arg(manager.url("/"));
    if let Some(token) = token {
        command.env("JD_MANAGER_TOKEN", token);
    }
    command
}

#[tokio::test]
async fn a_token_allows_what_its_role_may_and_is_never_printed() {
    let manager = with_user().await;
    let id = manager_with_instance(&manager);
    let (viewer, operator) = (token(&manager, "viewer"), token(&manager, "operator"));
    let mut everything = String::new();
    // Without a token, access is denied.
    let none = run(by_url(&manager, &["instances"], None));
    let said = none.wrong(1);
    assert!(
        said.contains("JD_MANAGER_TOKEN")
            && said.contains("--token-file")
            && said.contains("token create"),
        "{said}"
    );
    // A viewer can read, but not change anything.
    let seen = run(by_url(&manager, &["instances"], Some(&viewer))).well();
    assert!(seen.contains("barn"), "{seen}");
    let refused = run(by_url(
        &manager,
        &["instances", "start", "barn"],
        Some(&viewer),
    ));
    everything.push_str(&format!("{refused:?}"));
    let said = refused.wrong(1);
    assert!(
        said.contains("operator") && said.contains("the token in JD_MANAGER_TOKEN"),
        "{said}"
    );
    // An operator can start instances, but not delete them.
    let mut start = by_url(&manager, &["instances", "start", "barn"], None);
    let file = manager.scratch().join("token");
    fs::write(&file, format!("{operator}\n")).unwrap();
    start.arg("--token-file").arg(&file);
    assert_eq!(run(start).well(), "barn is running.\n");
    let refused = run(by_url(
        &manager,
        &["instances", "delete", &id, "--yes"],
        Some(&operator),
    ));
    let said = refused.wrong(1);
    assert!(said.contains("--role admin"), "{said}");
    // An unknown token.
    let wrong = "jdm_0123456789012345678901234567890123456789012";
    let refused = run(by_url(&manager, &["instances"], Some(wrong)));
    everything.push_str(&format!("{refused:?}"));
    assert!(
        refused
            .err
            .contains("does not accept the token in JD_MANAGER_TOKEN"),
        "{refused:?}"
    );
    // Programs get the manager's problem details.
    let refused = run(by_url(&manager, &["instances", "--json"], Some(wrong)));
    let problem: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!(
        (
            refused.code,
            refused.out.as_str(),
            problem["status"].as_u64()
        ),
        (1, "", Some(401)),
        "{refused:?}"
    );
    for secret in [&viewer, &operator, wrong] {
        assert!(!everything.contains(secret), "{everything}");
    }
    // A warning is printed if others could read the token, such as with another name of this
    // machine.
    let elsewhere = manager.url("/").replace("127.0.0.1", "0.0.0.0");
    let mut open = program(&["instances", "--url", &elsewhere]);
    open.env("JD_MANAGER_TOKEN", &viewer);
    let said = run(open).err;
    assert!(
        said.contains("without encryption") && !said.contains(&viewer),
        "{said}"
    );
    assert!(
        !run(program(&["instances", "--url", &elsewhere]))
            .err
            .contains("without encryption"),
        "there is no token"
    );
    // A user who can open the socket needs no token, and a token with a lower role in the
    // environment does not matter.
    let mut by_socket = at(&manager, &["instances", "stop", "barn"]);
    let lesser = manager.scratch().join("lesser");
    fs::write(&lesser, &viewer).unwrap();
    by_socket
        .env("JD_MANAGER_TOKEN", &viewer)
        .env("JD_MANAGER_TOKEN_FILE", &lesser);
    assert_eq!(run(by_socket).well(), "barn is stopped.\n");
    // --data-dir has priority over the environment.
    let mut here = at(&manager, &["instances"]);
    here.env("JD_MANAGER_URL", "http://127.0.0.1:9/");
    assert!(run(here).well().contains("barn"));
}

/// Creates an instance through the socket and returns its id.
fn manager_with_instance(manager: &Manager) -> String {
    let config =
        crate::harness::solo_config(crate::harness::free_port(), crate::harness::free_port(), 1);
    let toml = toml::to_string(&config).unwrap();
    run_with(
        at(manager, &["configs", "import", "-", "--name", "Home"]),
        &toml,
    );
    let made = run(at(
        manager,
        &["instances", "create", "barn", "--config", "Home", "--json"],
    ))
    .json();
    made["instance_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nobody_and_nonsense_are_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = |more: &[&str]| {
        let mut command = program(&["instances", "--data-dir"]);
        command.arg(dir.path()).args(more);
        run(command)
    };
    let said = nobody(&[]).wrong(1);
    assert!(
        said.contains("no jd-manager is running with the data directory")
            && said.contains("Start it with jd-manager --data-dir"),
        "{said}"
    );
    let problem: serde_json::Value = serde_json::from_str(&nobody(&["--json"]).wrong(1)).unwrap();
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("no jd-manager is running"),
        "{problem}"
    );
    // Nothing was created there, and no other manager was asked.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let at_url = |url: &str| run(program(&["instances", "--url", url]));
    let said = at_url(&format!("http://127.0.0.1:{}", crate::harness::free_port())).wrong(1);
    assert!(
        said.contains("no program is listening on http://127.0.0.1:"),
        "{said}"
    );
    for wrong in [
        "ftp://localhost/",
        "not an address",
        "http://ada:secret@localhost/",
        "http://localhost/?token=x",
    ] {
        let said = at_url(wrong).wrong(2);
        assert!(said.contains("--url") && !said.contains("secret"), "{said}");
    }
    assert_eq!(run(program(&["instances", "sart", "barn"])).code, 2);
    assert_eq!(run(program(&["instances", "start"])).code, 2);
    assert_eq!(
        run(program(&[
            "instances",
            "--url",
            "http://localhost",
            "--data-dir",
            "x"
        ]))
        .code,
        2
    );
    let said = run(program(&[
        "instances",
        "--url",
        "http://localhost",
        "--token-file",
        "/nowhere/token",
    ]))
    .wrong(2);
    assert!(said.contains("/nowhere/token"), "{said}");
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let pem = |kind: &str, der: &[u8]| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
    };
    // As created by `openssl req -x509`: a certificate authority, which no rule accepts as a server
    // certificate.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    wanted.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let (certificate, secret) = (dir.path().join("its.crt"), dir.path().join("its.key"));
    fs::write(
        &certificate,
        pem("CERTIFICATE", wanted.self_signed(&key).unwrap().der()),
    )
    .unwrap();
    fs::write(&secret, pem("PRIVATE KEY", &key.serialize_der())).unwrap();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let flags = vec![
        "--tls-cert".into(),
        path(&certificate),
        "--tls-key".into(),
        path(&secret),
    ];
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags,
    })
    .await;
    let said = run(by_url(&manager, &["instances"], None)).wrong(1);
    assert!(said.contains("--tls-ca"), "{said}");
    let mut trusting = by_url(&manager, &["instances"], None);
    trusting.arg("--tls-ca").arg(&certificate);
    assert!(run(trusting).well().contains("no instances yet"));
    let mut wrong = by_url(&manager, &["instances"], None);
    wrong.arg("--tls-ca").arg(&secret);
    let said = run(wrong).wrong(2);
    assert!(said.contains("contains no PEM certificate"), "{said}");
}
