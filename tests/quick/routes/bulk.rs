//! Actions on several instances: parameters, confirmation, progress, roles and what a restart of the
//! manager leaves.

use super::{NOBODY, act_on_many, bare, form, form_on_many, send};
use crate::access::{ada, user, with_admin};
use crate::harness::answer::{Answer, EventStream};
use crate::harness::{Manager, free_port, signal, solo_config, until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Instances of one configuration.
async fn farm(manager: &Manager, names: &[&str]) -> (String, Vec<String>) {
    let config = solo_config(free_port(), free_port(), 1);
    let config = manager.save_config("home", &config).await;
    let mut ids = Vec::new();
    for name in names {
        ids.push(manager.instance_of(name, &config).await);
    }
    (config, ids)
}

/// The results as name and state.
fn states(job: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let results = job["results"].as_array().unwrap().iter();
    results
        .map(|one| (text(one, "name"), text(one, "state")))
        .collect()
}

fn of(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, state)| ((*name).to_owned(), (*state).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_many_change_and_what_has_them_already_is_skipped() {
    let manager = Manager::start().await;
    let (home, ids) = farm(&manager, &["barn", "attic"]).await;
    let other = solo_config(free_port(), free_port(), 1);
    let other = manager.save_config("other", &other).await;
    let act = async |body: Value| act_on_many(&manager, &body).await;
    let set = json!({ "tags": ["north"] });
    send(
        &manager,
        "PATCH",
        &format!("/api/instances/{}", ids[0]),
        &set,
    )
    .await
    .json(200);
    let done = act(json!({ "action": "tag", "ids": ids, "add": ["North"], "remove": ["south"] }))
        .await
        .json(200);
    assert_eq!(states(&done), of(&[("barn", "skipped"), ("attic", "done")]));
    assert_eq!(
        (&done["action"], &done["success"], &done["stage"]),
        (&json!("tag"), &json!(true), &json!("done"))
    );
    assert_eq!(done["results"][1]["message"], "attic has the tags North.");
    let many: Vec<String> = (0..9).map(|number| format!("t{number}")).collect();
    let full = json!({ "action": "tag", "ids": [ids[1]], "add": many });
    act(full).await.json(200);
    let too_many = act(json!({ "action": "tag", "all": true, "add": ["one more"] }))
        .await
        .json(200);
    assert_eq!(
        states(&too_many),
        of(&[("barn", "done"), ("attic", "failed")])
    );
    assert_eq!(too_many["success"], false);

    let filter = json!({ "config": home });
    let changed = json!({ "action": "configure", "filter": filter, "config_id": other });
    assert_eq!(
        act(changed.clone()).await.json(200)["results"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(act(changed).await.json(200)["results"], json!([]));
    let one = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(one["config_id"], json!(other));
    let missing = json!({ "action": "configure", "ids": ids, "config_id": NOBODY });
    assert_eq!(act(missing).await.pointers(), ["/config_id"]);

    let on = act(json!({ "action": "autostart", "all": true, "enabled": true }))
        .await
        .json(200);
    assert_eq!(states(&on), of(&[("barn", "done"), ("attic", "done")]));
    let on = act(json!({ "action": "autostart", "all": true, "enabled": true }))
        .await
        .json(200);
    assert_eq!(
        states(&on),
        of(&[("barn", "skipped"), ("attic", "skipped")])
    );
    let pinned = act(json!({ "action": "version", "all": true, "version": "0.6.0", "count": 2 }))
        .await
        .json(200);
    assert_eq!(states(&pinned), of(&[("barn", "done"), ("attic", "done")]));
    let list = manager.json("/api/instances?version=0.6.0").await;
    assert_eq!(list["total"], 2);
    for (body, pointer) in [
        (json!({ "action": "version", "all": true }), "/version"),
        (json!({ "action": "autostart", "all": true }), "/enabled"),
        (json!({ "action": "tag", "all": true, "add": "x" }), "/add"),
        (
            json!({ "action": "start", "all": true, "count": 3 }),
            "/count",
        ),
        (
            json!({ "action": "start", "all": true, "count": "2" }),
            "/count",
        ),
    ] {
        assert_eq!(act(body.clone()).await.pointers(), [pointer], "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_asks_for_what_is_missing_and_keeps_what_was_entered() {
    let manager = Manager::start().await;
    let (_, ids) = farm(&manager, &["barn", "attic"]).await;
    let fields = [
        ("action", "tag"),
        ("ids", &*ids[0]),
        ("next", "/instances?q=a"),
    ];
    let page = form(&manager, "/instances/actions", &fields)
        .await
        .page(200);
    assert_eq!(page.one("h1"), "Change tags of 1 instance");
    assert_eq!(page.texts("#affected + ul li"), ["barn stopped"]);
    assert_eq!(page.attrs("main a.button", "href"), ["/instances?q=a"]);
    let mark = page.attr("input[name=confirm]", "value");
    let entered = [
        ("action", "tag"),
        ("ids", &*ids[0]),
        ("confirm", &*mark),
        ("add", "north, a\u{202e}b"),
        ("remove", "<b>"),
    ];
    let page = form(&manager, "/instances/actions", &entered)
        .await
        .page(422);
    assert!(page.one("p.error").starts_with("A tag cannot contain"));
    assert_eq!(page.attr("#remove", "value"), "<b>");
    let entered = [
        ("action", "tag"),
        ("ids", &*ids[0]),
        ("confirm", &*mark),
        ("add", "north, rack 1"),
        ("remove", ""),
    ];
    let page = form_on_many(&manager, &entered).await.page(200);
    assert_eq!(page.one("h1"), "Add tags: north, rack 1: 1 of 1 done");
    let one = manager.json(&format!("/api/instances/{}", ids[0])).await;
    assert_eq!(one["tags"], json!(["north", "rack 1"]));
    for (action, field) in [
        ("configure", "select[name=config_id]"),
        ("version", "select[name=version]"),
        ("autostart", "select[name=enabled]"),
    ] {
        let fields = [("action", action), ("all", "true")];
        let page = form(&manager, "/instances/actions", &fields)
            .await
            .page(200);
        assert_eq!(page.count(field), 1, "{action}");
        assert_eq!(page.attr("input[name=all]", "value"), "true");
    }
    // Nothing was selected: back to the list.
    let back = form(&manager, "/instances/actions", &[("action", "delete")]).await;
    assert_eq!(
        back.header("location"),
        Some("/instances?notice=nothing-selected")
    );
}

/// The form that deletes what has the tag `old`.
fn deletion<'a>(mark: &'a str, count: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("action", "delete"),
        ("filter", "tag=old"),
        ("confirm", mark),
        ("count", count),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_is_deleted_only_with_its_number() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let post = async |body: Value| {
        admin
            .send(&manager, "POST", "/api/instances/actions", &body)
            .await
    };
    let config = json!({ "name": "home", "config": solo_config(free_port(), free_port(), 1) });
    let config = admin
        .send(&manager, "POST", "/api/saved-configs", &config)
        .await;
    let config = config.json(201)["config_id"].clone();
    let create = async |name: &str| {
        let body = json!({ "name": name, "config_id": config, "tags": ["old"] });
        let answer = admin.send(&manager, "POST", "/api/instances", &body).await;
        answer.json(201)["instance_id"].as_str().unwrap().to_owned()
    };
    let first = create("barn").await;
    create("attic").await;
    let filter = json!({ "tag": "old" });
    for count in [Value::Null, json!(1), json!(3)] {
        let body = json!({ "action": "delete", "filter": filter, "count": count });
        assert_eq!(post(body).await.pointers(), ["/count"], "{count}");
    }
    assert_eq!(
        post(json!({ "action": "delete", "all": true }))
            .await
            .pointers(),
        ["/count"]
    );

    // A page names them and asks for their number; a set that changed is shown again.
    let ask = async |fields: &[(&str, &str)]| {
        let request = admin.request(&manager, "POST", "/instances/actions");
        Answer::to(request.header("accept", "text/html").form(fields)).await
    };
    let start = admin.request(&manager, "POST", &format!("/api/instances/{first}/start"));
    Answer::to(start.header("accept", "application/json"))
        .await
        .json(200);
    let page = ask(&[("action", "delete"), ("filter", "tag=old")])
        .await
        .page(200);
    assert_eq!(page.one("h1"), "Delete 2 instances?");
    assert!(page.texts("main form p")[0].starts_with("1 of them is running"));
    assert_eq!(page.count("#affected + ul li"), 2);
    let mark = page.attr("input[name=confirm]", "value");
    let page = ask(&deletion(&mark, "3")).await.page(422);
    assert_eq!(
        page.one("p.error"),
        "Enter 2, the number of instances below."
    );
    create("garage").await;
    let page = ask(&deletion(&mark, "3")).await.page(422);
    assert!(page.one("main [role=alert]").contains("have changed"));
    assert_eq!(page.one("h1"), "Delete 3 instances?");
    let mark = page.attr("input[name=confirm]", "value");
    let done = ask(&deletion(&mark, "3")).await;
    assert!([200, 303].contains(&done.status), "{done:?}");
    until("all are deleted", || async {
        let list = admin.get(&manager, "/api/instances").await.json(200);
        (list["total"] == 0).then_some(())
    })
    .await;
    let log = admin.get(&manager, "/api/audit").await.json(200);
    let entries = log["entries"].as_array().unwrap().iter();
    let deed = entries
        .filter_map(|entry| entry["deed"].as_str())
        .find(|deed| deed.starts_with("deleted several instances: "));
    let deed = deed.unwrap_or_else(|| panic!("{log}"));
    for name in ["barn", "attic", "garage"] {
        assert!(deed.contains(name), "{deed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_starts_many_and_changes_none() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let operator = user(&manager, &admin, "operator").await;
    let viewer = user(&manager, &admin, "viewer").await;
    let post = async |visitor: &crate::access::Visitor, body: Value| {
        visitor
            .send(&manager, "POST", "/api/instances/actions", &body)
            .await
    };
    let start = json!({ "action": "start", "all": true });
    let job = post(&operator, start.clone()).await.json(200);
    post(&viewer, start).await.problem(403);
    for body in [
        json!({ "action": "delete", "all": true, "count": 0 }),
        json!({ "action": "tag", "all": true, "add": ["x"] }),
        json!({ "action": "autostart", "all": true, "enabled": true }),
        json!({ "action": "version", "all": true, "version": null }),
    ] {
        post(&operator, body.clone()).await.problem(403);
        post(&admin, body).await.json(200);
    }
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(
        viewer.get(&manager, &path).await.json(200)["results"],
        json!([])
    );
    let cancel = format!("{path}/cancel");
    viewer
        .send(&manager, "POST", &cancel, &json!({}))
        .await
        .problem(403);
    operator
        .send(&manager, "POST", &cancel, &json!({}))
        .await
        .problem(409);
    viewer
        .get(&manager, &format!("/api/jobs/{NOBODY}"))
        .await
        .problem(404);
}

/// Ten running instances whose clients do not stop by themselves.
async fn stubborn() -> (Manager, Vec<String>) {
    let manager = Manager::with_simulated(&["--ignore-sigint", "--ignore-sigterm"]).await;
    let names: Vec<String> = (0..10).map(|number| format!("rig{number}")).collect();
    let mut ids = Vec::new();
    for name in &names {
        let config = solo_config(free_port(), free_port(), 1);
        let config = manager.save_config(name, &config).await;
        ids.push(manager.instance_of(name, &config).await);
    }
    let start = act_on_many(&manager, &json!({ "action": "start", "all": true })).await;
    assert_eq!(start.json(200)["success"], true);
    for id in &ids {
        manager.until_state(id, "running").await;
    }
    (manager, ids)
}

fn count(job: &Value, state: &str) -> usize {
    let states = states(job).into_iter();
    states.filter(|(_, known)| known == state).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_action_is_a_job_with_progress_that_can_be_canceled() {
    let (manager, ids) = stubborn().await;
    let body = json!({ "action": "stop", "all": true });
    let answer = send(&manager, "POST", "/api/instances/actions", &body).await;
    let begun = answer.json(202);
    let path = format!("/api/jobs/{}", begun["job"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(&*path));
    assert_eq!(begun["success"], true);
    let job = bare(&manager, "GET", &path).await.json(200);
    assert_eq!(
        (&job["stage"], &job["total"]),
        (&json!("running"), &json!(10))
    );
    assert_eq!((count(&job, "running"), count(&job, "waiting")), (8, 2));

    // The page has the same, with and without JavaScript, and the list mentions it.
    let page_path = path.trim_start_matches("/api");
    let page = manager.ask(page_path, "text/html").await.page(200);
    assert_eq!(page.one("h1"), "Stop: 0 of 10 done");
    assert_eq!(page.count("noscript, progress"), 2);
    assert_eq!(page.count("tbody tr"), 10);
    let list = manager.ask("/instances", "text/html").await.page(200);
    assert_eq!(list.attrs(".notice a", "href"), [page_path]);
    assert_eq!(list.count(".notice form"), 0, "it is in progress");
    let dismiss = format!("{path}/dismiss");
    bare(&manager, "POST", &dismiss).await.problem(409);
    let listed = manager.json("/api/jobs").await["jobs"][0].clone();
    assert_eq!(
        (&listed["stage"], &listed["total"], &listed["results"]),
        (&json!("running"), &json!(10), &json!([]))
    );
    let mut program = EventStream::open(manager.request("GET", &path)).await;
    let mut live = EventStream::open(
        manager
            .request("GET", &format!("{page_path}?after=0"))
            .header("hx-request", "true"),
    )
    .await;
    assert_eq!(program.next().await.unwrap().json()["total"], 10);
    let cancel = bare(&manager, "POST", &format!("{path}/cancel")).await;
    assert_eq!(cancel.json(200)["message"], "Canceling \"Stop\".");
    let heard = live.until(|heard| heard.data.contains("not begun")).await;
    assert!(heard.data.contains("hx-target=\"#job\"") && heard.data.contains("id=\"s-9\""));
    for id in &ids[..8] {
        for pid in manager.clients(id) {
            signal(pid, Signal::KILL);
        }
    }
    let end = program
        .until(|heard| heard.json()["stage"] == "cancelled")
        .await
        .json();
    assert_eq!(
        (count(&end, "done"), count(&end, "cancelled")),
        (8, 2),
        "{end}"
    );
    assert_eq!(program.next().await.map(|heard| heard.data), None);
    for id in &ids[8..] {
        assert_eq!(
            manager.json(&format!("/api/instances/{id}")).await["status"],
            "running"
        );
    }
    bare(&manager, "POST", &format!("{path}/cancel"))
        .await
        .problem(409);
    let page = manager.ask(page_path, "text/html").await.page(200);
    assert_eq!(page.one("h1"), "Stop: 8 of 10 done");
    assert_eq!(page.one(".head .sub"), "Not begun: 2.");
    // Its notice can be dismissed, and it stays in the list of jobs.
    let list = manager
        .ask("/instances?state=running", "text/html")
        .await
        .page(200);
    let action = list.attr(".notice form", "action");
    let next = list.attr(".notice input[name=next]", "value");
    let done = form(&manager, &action, &[("next", &next)]).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, Some("/instances?state=running"))
    );
    assert!(!manager.page("/instances").await.contains(page_path));
    bare(&manager, "POST", &dismiss).await.json(200);
    let jobs = manager.ask("/jobs", "text/html").await.page(200);
    assert_eq!(jobs.attrs("tbody a", "href")[0], page_path);
    assert_eq!(jobs.texts("td .state"), ["canceled", "done"]);
    assert_eq!(
        jobs.texts("tbody tr:first-child td")[1..4],
        ["10", "canceled", "8 done, 2 not begun."]
    );
    let part = manager.json("/api/jobs?limit=1").await;
    assert_eq!((&part["total"], &part["next"]), (&json!(2), &json!(1)));
    let rest = manager.json("/api/jobs?limit=1&offset=1").await;
    assert_eq!(rest["jobs"][0]["action"], "start");
    assert!(rest.get("next").is_none());
    let unknown = format!("/api/jobs/{NOBODY}/dismiss");
    bare(&manager, "POST", &unknown).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_to_choose_from_are_in_natural_order() {
    let manager = Manager::start().await;
    let (_, ids) = farm(&manager, &["barn"]).await;
    for name in ["rig 10", "Rig 2", "attic"] {
        let config = solo_config(free_port(), free_port(), 1);
        manager.save_config(name, &config).await;
    }
    let wanted = ["attic", "home", "Rig 2", "rig 10"];
    let fields = [("action", "configure"), ("ids", &ids[0])];
    let page = form(&manager, "/instances/actions", &fields)
        .await
        .page(200);
    assert_eq!(page.texts("#config_id option")[1..], wanted);
    let page = manager.ask("/instances/new", "text/html").await.page(200);
    assert_eq!(page.texts("#config_id option"), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_manager_leaves_a_job_that_claims_nothing() {
    let (mut manager, _) = stubborn().await;
    let body = json!({ "action": "stop", "all": true });
    let begun = send(&manager, "POST", "/api/instances/actions", &body).await;
    let path = format!("/api/jobs/{}", begun.json(202)["job"].as_str().unwrap());
    manager.kill();
    manager.begin();
    let job = until("the job of the former manager", || async {
        let answer = bare(&manager, "GET", &path).await;
        (answer.status == 200).then(|| answer.json(200))
    })
    .await;
    assert_eq!(
        (&job["stage"], &job["success"]),
        (&json!("interrupted"), &json!(false))
    );
    assert_eq!(
        (count(&job, "unknown"), count(&job, "cancelled")),
        (8, 2),
        "{job}"
    );
    let page = manager
        .ask(path.trim_start_matches("/api"), "text/html")
        .await
        .page(200);
    assert!(
        page.one("main [role=alert]")
            .starts_with("jd-manager stopped")
    );
    assert_eq!(page.one(".head .sub"), "Unknown: 8. Not begun: 2.");
    bare(&manager, "POST", &format!("{path}/cancel"))
        .await
        .problem(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_all_that_match_asks_and_a_few_selected_ones_do_not() {
    let manager = Manager::start().await;
    let names = ["barn", "attic", "garage"];
    let mut ids = Vec::new();
    for name in names {
        let config = solo_config(free_port(), free_port(), 1);
        let config = manager.save_config(name, &config).await;
        ids.push(manager.instance_of(name, &config).await);
    }
    for id in &ids[..2] {
        manager.act(&format!("/api/instances/{id}/start")).await;
        manager.until_state(id, "running").await;
    }
    let fields = [("action", "restart"), ("all", "true")];
    let page = form(&manager, "/instances/actions", &fields)
        .await
        .page(200);
    assert_eq!(page.one("h1"), "Restart 2 instances?");
    assert!(
        page.texts("form p")
            .contains(&"1 other is not running and will be skipped.".to_owned())
    );
    let mark = page.attr("input[name=confirm]", "value");
    let fields = [("action", "restart"), ("all", "true"), ("confirm", &*mark)];
    let page = form_on_many(&manager, &fields).await.page(200);
    assert_eq!(page.one("h1"), "Restart: 2 of 3 done");
    assert_eq!(page.one(".head .sub"), "Skipped: 1.");
    assert!(manager.clients(&ids[2]).is_empty());
    let fields = [
        ("action", "stop"),
        ("ids", &*ids[0]),
        ("ids", &*ids[1]),
        ("ids", &*ids[2]),
    ];
    let page = form_on_many(&manager, &fields).await.page(200);
    assert_eq!(page.one("h1"), "Stop: 2 of 3 done");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_have_sums_and_rows_a_strip() {
    let manager = Manager::start().await;
    let (config, ids) = farm(&manager, &["barn", "attic"]).await;
    for (id, tags) in ids
        .iter()
        .zip([json!(["north", "rack 1"]), json!(["North"])])
    {
        let body = json!({ "tags": tags });
        send(&manager, "PATCH", &format!("/api/instances/{id}"), &body)
            .await
            .json(200);
    }
    manager.instance_of("shed", &config).await;
    manager
        .act(&format!("/api/instances/{}/start", ids[0]))
        .await;
    manager.until_state(&ids[0], "running").await;
    let page = manager
        .ask("/instances?group=tag", "text/html")
        .await
        .page(200);
    assert_eq!(
        page.texts("tr.group th"),
        [
            "north 2 instances, 1 running",
            "rack 1 1 instance, 1 running",
            "No tag 1 instance, 0 running"
        ]
    );
    assert_eq!(
        page.texts("tbody td:first-child a strong"),
        ["attic", "barn", "barn", "shed"]
    );
    assert_eq!(page.count(&format!("#i-{}", ids[0])), 1);
    assert_eq!(page.count(&format!("#i-{}-2", ids[0])), 1);
    let page = manager
        .ask("/instances?group=tag&limit=1&offset=1", "text/html")
        .await
        .page(200);
    assert_eq!(
        page.texts("tr.group th"),
        ["north 2 instances, 1 running, continued"]
    );
    assert!(page.one("nav.pages").starts_with("2–2 of 4"));
    let refused = bare(&manager, "GET", "/api/instances?group=host").await;
    assert_eq!(refused.pointers(), ["/group"]);
    until("the strip of what runs", || async {
        let page = manager.ask("/instances", "text/html").await.page(200);
        // Not 100 %: the start took some time as well.
        let strips = page.texts("svg.strip title");
        let is_running = |text: &String| {
            let percent = text.strip_prefix("Last 24 h: running ")?;
            percent.strip_suffix(" %")?.parse::<u32>().ok()
        };
        let running: Vec<u32> = strips.iter().filter_map(is_running).collect();
        (strips.len() == 1 && running.len() == 1 && running[0] >= 50).then_some(())
    })
    .await;
    // The strip is made again from the stored events.
    let mut manager = manager;
    manager.kill();
    manager.begin();
    until("the strip after a restart", || async {
        let page = manager.page("/instances").await;
        page.contains("<path class=\"g\"").then_some(())
    })
    .await;
}
