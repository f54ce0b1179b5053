//! The API does what its documentation says: schemathesis reads the OpenAPI document of a real
//! manager, makes requests of it, sensible ones and others, and holds every answer against the
//! document.
//!
//! `scripts/test` says where the program is.
//!
//! Nothing leaves this machine. Releases come from the test's own server, there is no cargo to
//! build a client with, and without certificate authorities no channel that is made up reaches
//! anybody by TLS. `POST /alerts/channels/{id}/test` alone would send at once, to wherever the
//! channel was changed to lead before, so it is asked for separately, when channels are not
//! changed.

use crate::harness::answer::Answer;
use crate::harness::{Manager, clients, free_port, releases, solo_config, told, update_jobs};
use diesel::RunQueryDsl;
use jd_manager::infra::db::Db;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// The same requests each time.
const SEED: &str = "20261128";
/// What deletes, and would leave the rest with nothing to ask about.
const DELETES: &str = "/delete$";
/// What is about who asks: as soon as there is a user, everybody has to log in.
const ACCESS: &str = "^/(login|logout|account|users|tokens|audit)";
/// What sends a message at once.
const SENDS: &str = r"/channels/\{id\}/test$";

/// Things to ask about, by the beginnings of paths.
struct Things(Vec<(&'static str, String)>);

impl Things {
    /// A manager with one of everything: a configuration, a running instance, a channel, a rule, a
    /// setup, a piece of work, a message on its way, and a rule that cannot be read.
    async fn of(manager: &mut Manager, name: &str) -> Self {
        let config = manager
            .save_config(name, &solo_config(free_port(), free_port(), 1))
            .await;
        manager
            .act(&format!("/api/saved-configs/{config}/set-active"))
            .await;
        let instance = manager.instance_of(name, &config).await;
        assert_eq!(
            manager
                .act(&format!("/api/instances/{instance}/start"))
                .await
                .0,
            200
        );
        manager.until_state(&instance, "running").await;
        let hook = format!("http://127.0.0.1:{}/", free_port());
        let channel = told_of(
            manager,
            "/api/alerts/channels",
            json!({ "name": name, "kind": "webhook", "url": hook }),
        )
        .await;
        let rule = json!({ "name": name, "condition": { "kind": "state", "is": "failed" } });
        let rule = told_of(manager, "/api/alerts/rules", rule).await;
        let spoiled = told_of(
            manager,
            "/api/alerts/rules",
            json!({ "name": format!("{name}, spoiled"), "condition": { "kind": "block-found" } }),
        )
        .await;
        let mute = json!({ "target": "all", "minutes": 30 });
        let mute = Answer::to(manager.request("POST", "/api/alerts/mutes").json(&mute));
        let mute = mute.await.json(200);
        let setup = Answer::to(
            manager
                .request("POST", "/api/setup")
                .form(&[("mode", "SOLOMINING")]),
        )
        .await
        .json(201);
        // A rule as a newer version may have written it. The client goes on meanwhile.
        manager.kill();
        let db = Db::open(&manager.data_dir()).unwrap();
        let spoil = format!(
            "UPDATE alert_rules SET condition = '{{}}' WHERE id = '{}'",
            spoiled["rule_id"].as_str().unwrap()
        );
        db.write(move |c| Ok(diesel::sql_query(spoil).execute(c)?))
            .await
            .unwrap();
        drop(db);
        manager.begin();
        manager.until_state(&instance, "running").await;
        let alerts = manager.json("/api/alerts").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self(vec![
            ("/instances/", instance.clone()),
            ("/metrics/", instance.clone()),
            ("/health/", instance.clone()),
            ("/setup/watch/", instance),
            ("/alerts/mutes/", text(&mute["mute"]["id"])),
            ("/saved-configs/", config),
            ("/alerts/channels/", text(&channel["channel_id"])),
            ("/alerts/rules/", text(&rule["rule_id"])),
            (
                "/alerts/unreadable/",
                text(&alerts["unreadable"][0]["place"]),
            ),
            ("/setup/\\\\{id\\\\}/", text(&setup["setup_id"])),
        ])
    }

    /// The configuration of schemathesis: what stands for an id in which paths.
    fn configuration(&self) -> String {
        // That it is not possible at the moment is an answer like another, where the document has
        // it.
        let mut text = "[checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"3xx\", \"4xx\", 502, 503]\n\n".to_owned();
        // What an address does with other methods is tested elsewhere.
        text.push_str("[phases.coverage]\nunexpected-methods = []\n");
        for (begin, id) in &self.0 {
            write!(
                text,
                "\n[[operations]]\ninclude-path-regex = \"^{begin}\"\n[operations.parameters]\n\"path.id\" = \"{id}\"\n"
            )
            .unwrap();
        }
        text
    }
}

async fn told_of(manager: &Manager, path: &str, body: Value) -> Value {
    let response = manager.post_json(path, &body).await;
    assert_eq!(response.status(), 201, "{path}");
    response.json().await.unwrap()
}

/// A manager with a client that came from the test's own release server.
async fn manager() -> (Manager, releases::Releases, String) {
    let releases = releases::Releases::serve(vec![releases::Offered::new(
        "v0.8.0",
        &clients::version("0.6.0"),
    )])
    .await;
    let mut manager = Manager::with_store(&releases.base(), &["--sample-interval", "1s"]).await;
    manager.terminate();
    let nowhere = manager.scratch().join("nowhere").display().to_string();
    fs::create_dir(&nowhere).unwrap();
    let file = format!("{nowhere}/none.pem");
    fs::write(&file, "").unwrap();
    // No programs to build with, nobody to trust.
    manager.env = [
        ("PATH", &nowhere),
        ("CARGO_HOME", &nowhere),
        ("SSL_CERT_DIR", &nowhere),
        ("SSL_CERT_FILE", &file),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .to_vec();
    manager.begin();
    let job = update_jobs::install(&manager, "v0.8.0").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    (manager, releases, job)
}

/// The manager's document, with a configuration that can be saved as an example, since none is made
/// up by chance.
async fn document(manager: &Manager) {
    let mut document = manager.json("/api/openapi.json").await;
    let example = json!({ "config": solo_config(free_port(), free_port(), 1) });
    for name in ["ConfigurationToSave", "ClientConfig"] {
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} has another name"
        );
    }
    document["components"]["schemas"]["ClientConfig"]["examples"] = json!([example["config"]]);
    for (at, example) in [
        (
            "/paths/~1saved-configs/post",
            json!({ "name": "made by example", "config": example["config"] }),
        ),
        ("/paths/~1saved-configs~1{id}/put", example.clone()),
        ("/paths/~1saved-configs~1{id}/post", example.clone()),
        (
            "/paths/~1saved-configs~1check/post",
            json!({ "name": "not made", "config": example["config"] }),
        ),
        ("/paths/~1config/post", example.clone()),
        ("/paths/~1config~1validate/post", example.clone()),
    ] {
        let body = document
            .pointer_mut(&format!("{at}/requestBody/content/application~1json"))
            .unwrap_or_else(|| panic!("{at}"));
        body["example"] = example;
    }
    fs::write(manager.scratch().join("openapi.json"), document.to_string()).unwrap();
}

/// Runs schemathesis; panics with what it says if anything is not as the document has it.
async fn run(manager: &Manager, things: &Things, arguments: &[&str]) {
    let configuration = manager.scratch().join("schemathesis.toml");
    fs::write(&configuration, things.configuration()).unwrap();
    let output = tokio::process::Command::new(told("JD_MANAGER_TEST_SCHEMATHESIS"))
        .arg("--config-file")
        .arg(&configuration)
        .arg("run")
        .arg(manager.scratch().join("openapi.json"))
        .args(["--url", &manager.url("/api"), "--seed", SEED, "--no-color", "--warnings", "off", "--request-timeout", "40"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--continue-on-failure"])
        // Tokens that are made up would have everything answered with 401.
        .args(["--generation-with-security-parameters", "false"])
        .args(arguments)
        .current_dir(manager.scratch())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
    // It would be content with a document without operations, too.
    assert!(
        said.contains("No issues found") && !said.contains(" 0 selected"),
        "{said}"
    );
    let log = manager.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// What could be deleted was deleted.
async fn are_gone(manager: &Manager, things: &Things) {
    let left = [
        "/instances/",
        "/saved-configs/",
        "/alerts/channels/",
        "/alerts/rules/",
    ];
    for (begin, id) in things.0.iter().filter(|(begin, _)| left.contains(begin)) {
        manager
            .ask(&format!("/api{begin}{id}"), "application/json")
            .await
            .problem(404);
    }
}

/// The first user, who is an admin, and a second one with a token; what to ask about, and the
/// cookie of the admin.
async fn users(manager: &Manager) -> (Things, String) {
    let of = |name: &str, role: &str| json!({ "name": name, "role": role, "password": "correct horse battery" });
    let send = async |method: &str, path: &str, body: &Value, cookie: &str| {
        let request = manager
            .request(method, path)
            .header("cookie", cookie)
            .json(body);
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        let cookie = response.headers().get("set-cookie").map(|value| {
            value
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned()
        });
        (response.json::<Value>().await.unwrap(), cookie)
    };
    send("POST", "/api/users", &of("ada", "admin"), "").await;
    let login = json!({ "name": "ada", "password": "correct horse battery" });
    let (_, cookie) = send("POST", "/api/login", &login, "").await;
    send("POST", "/api/login", &login, "").await;
    let cookie = cookie.unwrap();
    let (user, _) = send("POST", "/api/users", &of("bob", "viewer"), &cookie).await;
    let (token, _) = send(
        "POST",
        "/api/tokens",
        &json!({ "name": "scraper", "role": "viewer" }),
        &cookie,
    )
    .await;
    let account = Answer::to(
        manager
            .request("GET", "/api/account")
            .header("cookie", &cookie),
    )
    .await
    .json(200);
    let other = account["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["current"] == false)
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let things = Things(vec![
        ("/users/", text(&user["user_id"])),
        ("/tokens/", text(&token["token_info"]["id"])),
        ("/account/sessions/", text(&other["id"])),
    ]);
    (things, cookie)
}

#[test]
fn the_document_is_what_the_standard_says() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("openapi.json");
    fs::write(
        &file,
        jd_manager::server::api_docs::text(jd_manager::server::route_table::operation_groups()),
    )
    .unwrap();
    let judge =
        Path::new(&told("JD_MANAGER_TEST_SCHEMATHESIS")).with_file_name("openapi-spec-validator");
    let output = std::process::Command::new(judge)
        .args(["--schema", "3.1"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.trim_end().ends_with(": OK"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_has_it() {
    let (mut manager, _releases, job) = manager().await;
    let mut things = Things::of(&mut manager, "barn").await;
    things.0.push(("/updates/jobs/", job.clone()));
    document(&manager).await;
    // Nothing is deleted and nothing is sent yet.
    let not_yet = format!("{ACCESS}|{DELETES}|{SENDS}");
    run(
        &manager,
        &things,
        &[
            "--exclude-method",
            "DELETE",
            "--exclude-path-regex",
            &not_yet,
            "--max-examples",
            "6",
        ],
    )
    .await;
    // What is deleted now, others do not need any more. The channel leads to this machine again.
    let mut things = Things::of(&mut manager, "garage").await;
    things.0.push(("/updates/jobs/", job));
    let few = ["--exclude-path-regex", ACCESS, "--max-examples", "4"];
    run(
        &manager,
        &things,
        &[&few[..], &["--include-path-regex", SENDS]].concat(),
    )
    .await;
    run(
        &manager,
        &things,
        &[&few[..], &["--include-path-regex", DELETES]].concat(),
    )
    .await;
    are_gone(&manager, &things).await;
    let things = Things::of(&mut manager, "attic").await;
    run(
        &manager,
        &things,
        &[&few[..], &["--include-method", "DELETE"]].concat(),
    )
    .await;
    are_gone(&manager, &things).await;
    // From the first user on.
    let (things, cookie) = users(&manager).await;
    let cookie = format!("Cookie: {cookie}");
    let access = [
        "--include-path-regex",
        ACCESS,
        "--max-examples",
        "4",
        "--header",
        &cookie,
    ];
    let not_yet = format!("{DELETES}|^/logout$");
    run(
        &manager,
        &things,
        &[
            &access[..],
            &[
                "--exclude-method",
                "DELETE",
                "--exclude-path-regex",
                &not_yet,
            ],
        ]
        .concat(),
    )
    .await;
    // What is included by path or by method is included by either.
    let only_delete = ["GET", "POST", "PUT", "PATCH"].map(|method| ["--exclude-method", method]);
    run(
        &manager,
        &things,
        &[&access[..], only_delete.as_flattened()].concat(),
    )
    .await;
    run(
        &manager,
        &things,
        &[
            "--include-path",
            "/logout",
            "--max-examples",
            "4",
            "--header",
            &cookie,
        ],
    )
    .await;
}
