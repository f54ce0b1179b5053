//! `/hosts`, with a program `ssh` that runs a script for each machine instead of a connection. The real
//! one is in tests/heavy/ssh.

use super::alerts::Receiver;
use super::{bare, form, send};
use crate::client_commands::{self, Run};
use crate::harness::{Manager, PROGRAM, Plan, until, until_within};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The machines that `ssh` knows.
pub struct Machines(tempfile::TempDir);

impl Machines {
    pub fn new() -> Self {
        let machines = Self(tempfile::tempdir().unwrap());
        let dir = machines.0.path().display().to_string();
        machines.write(
            "ssh",
            &format!(
                "case \" $* \" in *' -O exit '*) exit 0 ;; esac\n\
                 config=; case \" $* \" in *' -G '*) config=1 ;; esac\n\
                 while [ \"$1\" != -- ]; do shift; done\n\
                 if [ $config ]; then\n\
                 echo user ada; echo \"hostname ${{2##*@}}\"; echo port 22; echo identityfile {dir}/id_ed25519\n\
                 exit 0; fi\n\
                 [ \"$3 $4\" = 'jd-manager dial-stdio' ] || exit 99\n\
                 exec {dir}/at-${{2##*@}}"
            ),
        );
        fs::write(
            machines.0.path().join("id_ed25519.pub"),
            "ssh-ed25519 AAAAC3 jd-manager@hub\n",
        )
        .unwrap();
        machines
    }

    fn write(&self, name: &str, script: &str) {
        let (file, draft) = (self.0.path().join(name), self.0.path().join("draft"));
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(draft, file).unwrap();
    }

    /// Makes a machine run this script.
    fn set(&self, name: &str, script: &str) {
        self.write(&format!("at-{name}"), script);
    }

    /// Makes a machine lead to a manager.
    fn lead(&self, name: &str, manager: &Manager) {
        self.lead_as("viewer", name, manager);
    }

    /// The same with another role.
    pub fn lead_as(&self, role: &str, name: &str, manager: &Manager) {
        let data = manager.data_dir();
        let line = format!(
            "exec {PROGRAM} dial-stdio --role {role} --data-dir {}",
            data.display()
        );
        self.set(name, &line);
    }

    /// Makes ssh fail with this message.
    fn fail(&self, name: &str, message: &str) {
        self.set(name, &format!("echo '{message}' >&2; exit 255"));
    }

    /// A manager that uses this ssh.
    pub async fn hub(&self) -> Manager {
        self.hub_with(&[]).await
    }

    /// A manager with these flags that uses this ssh.
    async fn hub_with(&self, flags: &[&str]) -> Manager {
        let mut hub = Manager::launch(Plan {
            simulate: Vec::new(),
            client: None,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        })
        .await;
        let path = std::env::var("PATH").unwrap();
        hub.env = vec![
            ("PATH".into(), format!("{}:{path}", self.0.path().display())),
            (
                "XDG_RUNTIME_DIR".into(),
                self.0.path().display().to_string(),
            ),
        ];
        hub.terminate();
        hub.begin();
        hub
    }
}

async fn until_host(
    hub: &Manager,
    name: &str,
    what: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    until(what, || async {
        let host = bare(hub, "GET", &format!("/api/hosts/{name}"))
            .await
            .json(200);
        is_so(&host).then_some(host)
    })
    .await
}

pub async fn add(hub: &Manager, address: &str) -> crate::harness::answer::Answer {
    send(hub, "POST", "/api/hosts", &json!({ "address": address })).await
}

fn at(hub: &Manager, arguments: &[&str]) -> Run {
    client_commands::ask(hub, arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_added_watched_and_removed() {
    let machines = Machines::new();
    let (hub, mut barn) = (machines.hub().await, Manager::start().await);
    let page = hub.ask("/hosts", "text/html").await.page(200);
    assert!(page.one("#hosts").contains("There are no hosts yet"));
    machines.lead("barn", &barn);
    let id = barn.instance("alice-1").await;
    let added = add(&hub, "ada@barn").await;
    assert_eq!(added.header("location"), Some("/api/hosts/barn"));
    let added = added.json(201);
    assert_eq!(added["message"], "Host barn was added.");
    let host = &added["host"];
    assert_eq!(
        (&host["name"], &host["address"], &host["status"]),
        (&json!("barn"), &json!("ada@barn"), &json!("ok"))
    );
    assert_eq!(
        (&host["instances"], &host["running"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(host["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(host["clock_offset_ms"], 0, "the clock is the same");
    let line = added["setup"]["authorized_keys"].as_str().unwrap();
    assert!(
        line.starts_with("command=\"jd-manager dial-stdio --role operator")
            && line.ends_with("\",restrict ssh-ed25519 AAAAC3 jd-manager@hub"),
        "{line}"
    );
    barn.act(&format!("/api/instances/{id}/start")).await;
    until_host(&hub, "barn", "its client is counted", |host| {
        host["running"] == 1
    })
    .await;
    let page = hub.ask("/hosts", "text/html").await.page(200);
    assert!(
        page.one("#hosts tbody tr").contains("1 of 1 running")
            && page.one("#hosts .state").contains("reachable"),
        "{}",
        page.one("#hosts")
    );
    // A fragment for the page's own updates.
    let part = hub.fragment("/hosts", "section#hosts").await;
    assert!(
        part.text.contains("id=\"hosts\"") && !part.text.contains("<form"),
        "{part:?}"
    );
    // Its manager stops, and comes back.
    barn.terminate();
    let lost = until_host(&hub, "barn", "no manager", |host| {
        host["status"] == "no-manager"
    })
    .await;
    assert!(
        lost["advice"]
            .as_str()
            .unwrap()
            .starts_with("No jd-manager is running on ada@barn"),
        "{lost}"
    );
    assert_eq!((&lost["running"], lost.get("hashrate")), (&json!(1), None));
    barn.begin();
    until_host(&hub, "barn", "it is back", |host| host["status"] == "ok").await;
    // Removed with a question.
    let page = hub.ask("/hosts/barn/delete", "text/html").await.page(200);
    assert!(page.one("main").contains("authorized_keys"));
    let gone = form(&hub, "/hosts/barn/delete", &[]).await;
    assert_eq!(
        (gone.status, gone.header("location")),
        (303, Some("/hosts"))
    );
    bare(&hub, "GET", "/api/hosts/barn").await.problem(404);
    bare(&hub, "DELETE", "/api/hosts/barn").await.problem(404);
    let log = hub.json("/api/audit").await;
    let entries = log["entries"].as_array().unwrap().iter();
    let deeds: Vec<_> = entries
        .map(|entry| entry["deed"].as_str().unwrap())
        .collect();
    assert_eq!(
        deeds,
        ["removed a host", "removed a host", "added a host"],
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_problem_is_a_state_of_its_own_and_the_last_known_counts_stay() {
    let machines = Machines::new();
    let (mut hub, barn) = (machines.hub().await, Manager::start().await);
    let id = barn.instance("alice-1").await;
    barn.act(&format!("/api/instances/{id}/start")).await;
    barn.until_state(&id, "running").await;
    machines.lead("barn", &barn);
    add(&hub, "barn").await.json(201);
    for (message, status, advice) in [
        (
            "ssh: connect to host barn port 22: Connection timed out",
            "unreachable",
            "cannot be reached",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @",
            "host-key-changed",
            "ssh-keygen -R",
        ),
        (
            "Host key verification failed.",
            "host-key-unknown",
            "Sign in once",
        ),
    ] {
        machines.fail("barn", message);
        let host = until_host(&hub, "barn", message, |host| host["status"] == status).await;
        assert_eq!(
            (&host["instances"], &host["running"]),
            (&json!(1), &json!(1)),
            "{host}"
        );
        assert!(host["advice"].as_str().unwrap().contains(advice), "{host}");
        let shown = host["detail"].as_str().unwrap();
        assert!(message.contains(shown), "{host}");
        let page = hub.ask("/hosts/barn", "text/html").await.page(200);
        let text = page.one("#host");
        assert!(
            text.contains(", last known: 1 running") && text.contains(" since "),
            "{text}"
        );
        machines.lead("barn", &barn);
        until_host(&hub, "barn", "it is back", |host| host["status"] == "ok").await;
    }
    // What was last known survives a restart.
    machines.fail(
        "barn",
        "ssh: connect to host barn port 22: No route to host",
    );
    let lost = until_host(&hub, "barn", "lost", |host| host["status"] == "unreachable").await;
    hub.terminate();
    hub.begin();
    let host = until_host(&hub, "barn", "known", |host| {
        host["status"] == "unreachable"
    })
    .await;
    assert_eq!(
        (&host["running"], &host["since"], &host["last_answer_at"]),
        (&json!(1), &lost["since"], &lost["last_answer_at"])
    );
    // A refused login, and what is no jd-manager.
    machines.fail("attic", "ada@attic: Permission denied (publickey).");
    let added = add(&hub, "attic").await.json(201);
    assert_eq!(
        added["message"],
        "Host attic was added, but it does not work yet: login refused."
    );
    assert_eq!(
        (&added["host"]["status"], &added["host"]["running"]),
        (&json!("refused"), &Value::Null)
    );
    for (name, script) in [
        ("shed", "echo Welcome; cat"),
        ("cellar", "echo jd-manager: not found >&2; exit 127"),
    ] {
        machines.set(name, script);
        let added = add(&hub, name).await.json(201);
        assert_eq!(added["host"]["status"], "no-manager", "{added}");
    }
    // One that never responds.
    machines.set("well", "sleep 60");
    let added = add(&hub, "well").await.json(201);
    assert_eq!(added["host"]["status"], "unreachable", "{added}");
    let listed = at(&hub, &["hosts"]).well();
    for text in [
        "login refused since",
        "no jd-manager since",
        "1 of 1 (last known)",
    ] {
        assert!(listed.contains(text), "{text}: {listed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_and_another_clock_are_shown() {
    let machines = Machines::new();
    let hub = machines.hub().await;
    let time =
        jd_manager::base::clock::Timestamp::now().after(std::time::Duration::from_secs(7200));
    let respond = |body: &str| {
        format!(
            "printf 'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: {}\\r\\n\\r\\n{body}'",
            body.len()
        )
    };
    let about = respond(&format!(
        "{{\"hosts\":[],\"manager\":{{\"id\":\"x\",\"version\":\"0.0.9\",\"time\":\"{time}\"}}}}"
    ));
    // One instance of this version, and one that cannot be read.
    let model = Manager::start().await;
    let id = model.instance("alice-1").await;
    let mut instance = model.json("/api/instances").await["instances"][0].clone();
    instance["status"] = json!("running");
    instance["hashrate"] = json!(2e12);
    instance["later_member"] = json!({ "a": [1, null] });
    let list = json!({ "instances": [instance, { "status": "hibernating" }], "total": 2 });
    let list = respond(&list.to_string().replace('%', "%%"));
    let head = "while IFS= read -r line && [ \"${#line}\" -gt 1 ]; do :; done";
    machines.set("old", &format!("{head}\n{about}\n{head}\n{list}\n{head}"));
    let host = add(&hub, "old").await.json(201)["host"].clone();
    assert_eq!(
        (&host["status"], &host["version"], &host["hashrate"]),
        (&json!("older"), &json!("0.0.9"), &json!(2e12)),
        "{host}"
    );
    assert_eq!(
        (&host["running"], &host["instances"]),
        (&json!(1), &json!(2))
    );
    let listed = hub.json("/api/instances").await;
    assert_eq!(listed["instances"][0]["id"], json!(id), "{listed}");
    let offset = host["clock_offset_ms"].as_i64().unwrap();
    assert!((7_100_000..=7_200_000).contains(&offset), "{offset}");
    let page = hub
        .ask("/hosts/old", "text/html")
        .await
        .page(200)
        .one("#host");
    assert!(
        page.contains("older version")
            && page.contains("Update it")
            && page.contains("1 h 59 min ahead"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_host_is_added_twice_or_to_itself() {
    let machines = Machines::new();
    let (hub, barn) = (machines.hub().await, Manager::start().await);
    machines.lead("barn", &barn);
    machines.lead("alias", &barn);
    machines.lead("self", &hub);
    add(&hub, "barn").await.json(201);
    // The same account of the same machine, however it is written.
    for address in ["barn", "ada@barn"] {
        let body = json!({ "address": address, "name": "other" });
        let problem = send(&hub, "POST", "/api/hosts", &body).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/address", "{problem}");
    }
    let problem = add(&hub, "BARN").await.problem(409);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("already exists"),
        "{problem}"
    );
    let problem = add(&hub, "alias").await.problem(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("is barn"),
        "{problem}"
    );
    let problem = add(&hub, "self").await.problem(409);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("this jd-manager itself"),
        "{problem}"
    );
    assert_eq!(
        hub.json("/api/hosts").await["hosts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Found later, it is a state.
    machines.set("late", "exit 255");
    add(&hub, "late").await.json(201);
    machines.lead("late", &barn);
    let host = until_host(&hub, "late", "a duplicate", |host| {
        host["status"] == "duplicate"
    })
    .await;
    assert!(
        host["advice"].as_str().unwrap().contains("is barn"),
        "{host}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_named_by_field() {
    let machines = Machines::new();
    let hub = machines.hub().await;
    for (body, pointer) in [
        (json!({ "address": "" }), "/address"),
        (json!({ "address": "-oProxyCommand=x" }), "/address"),
        (json!({ "address": "a b" }), "/address"),
        (json!({ "address": "$(x)" }), "/address"),
        (json!({ "name": "barn" }), "/address"),
        (json!({ "address": "barn", "name": "a/b" }), "/name"),
        (json!({ "address": "barn", "name": "../x" }), "/name"),
        (
            json!({ "address": "barn", "name": "x".repeat(65) }),
            "/name",
        ),
        (json!({ "address": 5 }), "/address"),
    ] {
        let problem = send(&hub, "POST", "/api/hosts", &body).await.problem(422);
        assert_eq!(
            problem["errors"][0]["pointer"], pointer,
            "{body}: {problem}"
        );
    }
    let page = form(&hub, "/hosts", &[("address", "a b"), ("name", "<b>")])
        .await
        .page(422);
    assert_eq!(page.attr("#name", "value"), "<b>");
    assert!(page.one("section.attention").contains("without spaces"));
    for path in ["/api/hosts/nobody", "/api/hosts/-x", "/api/hosts/a%2fb"] {
        bare(&hub, "GET", path).await.problem(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_shows_what_is_missing() {
    let machines = Machines::new();
    let (hub, barn) = (machines.hub().await, Manager::start().await);
    machines.fail("barn", "ada@barn: Permission denied (publickey).");
    assert!(at(&hub, &["hosts"]).well().contains("hosts add user@host"));
    let said = at(&hub, &["hosts", "add", "ada@barn"]).well();
    for part in [
        "does not work yet: login refused",
        "Permission denied (publickey).",
        "restrict ssh-ed25519 AAAAC3",
        "--data-dir /var/lib/jd-manager",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        at(&hub, &["hosts", "add", "attic", "--name", "a b"]).code,
        1
    );
    machines.lead("attic", &barn);
    assert_eq!(
        at(&hub, &["hosts", "add", "attic", "--name", "Loft"]).well(),
        "Host Loft was added.\n"
    );
    let listed = at(&hub, &["hosts"]).well();
    let row = client_commands::row(&listed, "Loft");
    assert_eq!(row[1..3], ["reachable", "0 of 0"], "{listed}");
    let shown = at(&hub, &["hosts", "show", "loft"]).well();
    assert!(
        shown.contains("Loft") && shown.contains("authorized_keys"),
        "{shown}"
    );
    let json = at(&hub, &["hosts", "--json"]).json();
    assert_eq!(json["hosts"].as_array().unwrap().len(), 2);
    assert_eq!(at(&hub, &["hosts", "remove", "Loft"]).code, 2);
    assert_eq!(
        at(&hub, &["hosts", "remove", "Loft", "--yes"]).well(),
        "Host Loft was removed.\n"
    );
    assert_eq!(at(&hub, &["hosts", "show", "Loft"]).code, 1);
}

/// A round of observations, a tick and the time for which messages are held, on a slow machine.
const SENT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_host_is_one_alert_and_none_per_client() {
    let machines = Machines::new();
    let flags = ["--public-url", "https://hub.example.org"];
    let (hub, barn) = (machines.hub_with(&flags).await, Manager::start().await);
    let receiver = Receiver::start("200 OK").await;
    let hook = json!({ "name": "hook", "kind": "webhook", "url": receiver.url });
    let hook = send(&hub, "POST", "/api/alerts/channels", &hook).await;
    hook.json(201);
    // The rule that comes with it, without its minute.
    let rule = "/api/alerts/rules/a1e70000-0000-4000-8000-000000000004";
    let soon = json!({ "for_s": 1, "clear_s": 1 });
    let rule = send(&hub, "PUT", rule, &soon).await.json(200)["rule"].clone();
    assert_eq!(
        (&rule["name"], &rule["condition"]),
        (
            &json!("Host unreachable"),
            &json!({ "kind": "host-unreachable" })
        )
    );
    for name in ["alice-1", "alice-2"] {
        let id = barn.instance(name).await;
        barn.act(&format!("/api/instances/{id}/start")).await;
    }
    machines.lead("barn", &barn);
    add(&hub, "ada@barn").await.json(201);
    until_host(&hub, "barn", "its clients run", |host| host["running"] == 2).await;
    let until_titles = async |count: usize| {
        let titles = || async { Some(receiver.titles()).filter(|all| all.len() >= count) };
        until_within(SENT, "messages", &mut || titles()).await
    };
    machines.fail(
        "barn",
        "ssh: connect to host barn port 22: No route to host",
    );
    assert_eq!(until_titles(1).await, ["barn: unreachable"]);
    let body = receiver.bodies.lock().unwrap()[0].clone();
    assert_eq!(body["link"], "https://hub.example.org/hosts/barn");
    assert_eq!(body["host"], json!({ "name": "barn" }));
    assert_eq!(body.get("instances"), None);
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with(
            "Last known on barn: 2 of 2 instances running. ada@barn cannot be reached."
        ) && text.contains("\nSince ")
            && text.ends_with("\nRule: Host unreachable."),
        "{text}"
    );
    let alerts = hub.json("/api/alerts").await;
    let standing = alerts["standing"].as_array().unwrap();
    assert_eq!(standing.len(), 1, "{alerts}");
    assert_eq!(
        (&standing[0]["host"], standing[0].get("instance_id")),
        (&json!("barn"), None)
    );
    let page = hub.ask("/alerts", "text/html").await.page(200);
    assert_eq!(page.attr("#now ~ ul a", "href"), "/hosts/barn");
    assert_eq!(page.one("#now ~ ul strong"), "barn");
    let listed = at(&hub, &["alerts"]).well();
    let row = client_commands::row(&listed, "barn");
    assert_eq!(row[1], "Host unreachable", "{listed}");
    // It is back, and lost again until it is removed.
    machines.lead("barn", &barn);
    assert_eq!(
        until_titles(2).await[1],
        "barn: resolved (was: unreachable)"
    );
    assert_eq!(hub.json("/api/alerts").await["standing"], json!([]));
    machines.fail("barn", "ada@barn: Permission denied (publickey).");
    assert_eq!(until_titles(3).await[2], "barn: login refused");
    bare(&hub, "DELETE", "/api/hosts/barn").await.json(200);
    assert_eq!(hub.json("/api/alerts").await["standing"], json!([]));
}
