//! The parameters of `/instances`: search, filters, order, parts and columns; tags; actions on all that
//! match.

use super::{act_on_many, bare, form, form_on_many, send, swap};
use crate::harness::answer::EventStream;
use crate::harness::{Manager, free_port, pool_config, solo_config};
use serde_json::{Value, json};

/// Four instances: two of a solo configuration, two of one with a pool. `attic` is running.
struct Farm {
    manager: Manager,
    solo: String,
    ids: Vec<String>,
}

impl Farm {
    async fn new() -> Self {
        let manager = Manager::start().await;
        let ports = [(); 5].map(|()| free_port());
        let solo = solo_config(ports[0], ports[1], 1);
        let solo = manager.save_config("Home, solo", &solo).await;
        let pool = pool_config(free_port(), free_port(), ports[2], ports[3], ports[4]);
        let pool = manager.save_config("with a pool", &pool).await;
        let mut ids = Vec::new();
        for (name, config, tags) in [
            ("rig10", &pool, json!(["Rack 1", "test"])),
            ("rig2", &pool, json!(["rack 1"])),
            ("barn", &solo, json!([])),
            ("attic", &solo, json!(["home"])),
        ] {
            let body = json!({ "name": name, "config_id": config, "tags": tags });
            let created = send(&manager, "POST", "/api/instances", &body).await;
            let id = created.json(201)["instance_id"]
                .as_str()
                .unwrap()
                .to_owned();
            ids.push(id);
        }
        manager
            .act(&format!("/api/instances/{}/start", ids[3]))
            .await;
        manager.until_state(&ids[3], "running").await;
        Self { manager, solo, ids }
    }

    async fn json(&self, query: &str) -> Value {
        let path = format!("/api/instances?{query}");
        bare(&self.manager, "GET", &path).await.json(200)
    }

    /// The names in the JSON and on the page.
    async fn both(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let list = self.json(query).await;
        let names = list["instances"].as_array().unwrap().iter();
        let names: Vec<String> = names
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        let path = format!("/instances?{query}");
        let page = self.manager.ask(&path, "text/html").await.page(200);
        (names, page.texts("tbody td:first-child a strong"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_page_agree_on_what_matches_and_in_which_order() {
    let farm = Farm::new().await;
    for (query, wanted) in [
        ("sort=name", vec!["attic", "barn", "rig2", "rig10"]),
        ("sort=-name", vec!["rig10", "rig2", "barn", "attic"]),
        ("sort=created_at", vec!["rig10", "rig2", "barn", "attic"]),
        ("sort=state&limit=1", vec!["attic"]),
        ("sort=name&limit=2&offset=1", vec!["barn", "rig2"]),
        ("sort=name&limit=2&cursor=3", vec!["rig10"]),
        ("state=running", vec!["attic"]),
        (
            "state=running&state=stopped&sort=name&q=i",
            vec!["attic", "rig2", "rig10"],
        ),
        ("tag=RACK+1&sort=name", vec!["rig2", "rig10"]),
        ("tag=test&tag=home&sort=-name", vec!["rig10", "attic"]),
        ("q=rack+test", vec!["rig10"]),
        ("q=127.0.0.1&sort=name", vec!["rig2", "rig10"]),
        ("q=SOLO&state=stopped", vec!["barn"]),
        ("health=unknown&q=barn", vec!["barn"]),
        ("attention=false&q=barn", vec!["barn"]),
        ("attention=true", vec![]),
        ("version=9.9.9", vec![]),
        ("q=&state=&tag=&sort=name&limit=1", vec!["attic"]),
    ] {
        let (json, page) = farm.both(query).await;
        assert_eq!(json, wanted, "{query}");
        assert_eq!(page, wanted, "{query}");
    }
    let (json, _) = farm.both(&format!("config={}&sort=name", farm.solo)).await;
    assert_eq!(json, ["attic", "barn"]);
    // Without an order: oldest first for programs, by name on pages.
    let (json, page) = farm.both("").await;
    assert_eq!(json, ["rig10", "rig2", "barn", "attic"]);
    assert_eq!(page, ["attic", "barn", "rig2", "rig10"]);
    let same = farm.json("state=error").await;
    assert_eq!(same, json!({ "instances": [], "total": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_have_totals_and_lead_to_each_other() {
    let farm = Farm::new().await;
    let first = farm.json("limit=3").await;
    assert_eq!(
        (&first["total"], &first["next_cursor"]),
        (&json!(4), &json!("3"))
    );
    let last = farm.json("limit=3&cursor=3").await;
    assert_eq!((&last["total"], last.get("next_cursor")), (&json!(4), None));
    assert_eq!(last["instances"][0]["name"], "attic");
    let page = farm
        .manager
        .ask(
            "/instances?limit=1&offset=1&sort=name&tag=rack+1&tag=home",
            "text/html",
        )
        .await
        .page(200);
    assert_eq!(page.one("nav.pages span"), "2–2 of 3");
    let links = page.attrs("nav.pages a", "href");
    let list = "/instances?tag=rack+1&tag=home&sort=name&limit=1";
    assert_eq!(links, [list.to_owned(), format!("{list}&offset=2")]);
    let beyond = farm
        .manager
        .ask("/instances?offset=900", "text/html")
        .await
        .page(200);
    assert_eq!(beyond.one("#table h2"), "No instances on this page");
    assert_eq!(beyond.attr("#table a", "href"), "/instances");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_parameters_are_named_with_what_is_allowed() {
    let farm = Farm::new().await;
    for (query, pointers) in [
        ("state=asleep", vec!["/state"]),
        ("state=running&health=x&sort=size", vec!["/health", "/sort"]),
        ("sort=-", vec!["/sort"]),
        ("attention=yes", vec!["/attention"]),
        ("config=7", vec!["/config"]),
        ("columns=port&columns=mood", vec!["/columns"]),
        ("cursor=x", vec!["/cursor"]),
        ("cursor=1&offset=1", vec!["/cursor"]),
        ("limit=0&state=x", vec!["/limit", "/state"]),
        ("colour=red", vec!["/colour"]),
        ("group=mood", vec!["/group"]),
    ] {
        for prefix in ["/api/instances", "/api", "/instances", "/"] {
            let refused = bare(&farm.manager, "GET", &format!("{prefix}?{query}")).await;
            let named = refused.pointers();
            assert!(
                pointers
                    .iter()
                    .all(|wanted| named.contains(&(*wanted).to_owned())),
                "{prefix}?{query}: {named:?}"
            );
        }
    }
    let refused = bare(&farm.manager, "GET", "/api/instances?sort=size").await;
    assert!(
        refused
            .text
            .contains("name, state, health, hashrate, shares, miners, version, created_at"),
        "{refused:?}"
    );
    let unknown = bare(&farm.manager, "GET", "/api/instances?colour=red").await;
    assert!(
        unknown.text.contains("q, state, health, attention"),
        "{unknown:?}"
    );
    // A long query is no way to a large response, and the page shows a problem instead of a list.
    let many = "tag=x%2C".repeat(1000);
    let refused = bare(&farm.manager, "GET", &format!("/api/instances?{many}")).await;
    assert!(refused.text.len() < 2000, "{} bytes", refused.text.len());
    farm.manager
        .ask("/instances?state=asleep", "text/html")
        .await
        .page(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_forms_and_links_for_everything_without_scripts() {
    let farm = Farm::new().await;
    let query = "q=r&tag=rack+1&sort=-shares&columns=restarts&columns=config";
    let page = farm
        .manager
        .ask(&format!("/instances?{query}"), "text/html")
        .await
        .page(200);
    assert_eq!(page.attr("form#filter", "method"), "get");
    assert_eq!(page.attr("#q", "value"), "r");
    assert_eq!(page.attr("#filter-tag option[selected]", "value"), "Rack 1");
    assert_eq!(page.attr("#filter input[name=sort]", "value"), "-shares");
    assert_eq!(
        page.attrs("#filter input[name=columns][checked]", "value"),
        ["config", "restarts"]
    );
    assert_eq!(
        page.texts("thead th"),
        ["Name", "State", "Configuration", "Restarts", "Actions"]
    );
    assert_eq!(page.count("thead th[aria-sort]"), 0);
    let chips = page.texts("p.tools a");
    assert_eq!(
        chips,
        [
            "Remove filter: “r” ×",
            "Remove filter: tag rack 1 ×",
            "Clear filters"
        ]
    );
    assert_eq!(
        page.attrs("p.tools a", "href")[0],
        "/instances?tag=rack+1&sort=-shares&columns=restarts&columns=config"
    );
    let sorted = page.attrs("thead a", "href");
    assert_eq!(
        sorted[0],
        "/instances?q=r&tag=rack+1&sort=name&columns=restarts&columns=config"
    );
    let page = farm.manager.ask(&sorted[0], "text/html").await.page(200);
    assert_eq!(page.attr("thead th[aria-sort]", "aria-sort"), "ascending");
    assert_eq!(page.count("#bulk input[name=filter]"), 1);
    // Chips of tags lead to the list of the tag.
    assert_eq!(
        page.attrs("tbody a.tag", "href"),
        [
            "/instances?tag=rack+1",
            "/instances?tag=Rack+1",
            "/instances?tag=test"
        ]
    );
    // Every state that occurs has its list, also those that need attention.
    let lists = "nav[aria-label='Instances by state'] a";
    let page = farm.manager.ask("/instances", "text/html").await.page(200);
    assert_eq!(page.texts(lists), ["All 4", "Running 1", "Stopped 3"]);
    assert_eq!(page.texts("#bulk label"), ["All 4"]);
    let empty = farm
        .manager
        .ask("/instances?q=nowhere+at+all", "text/html")
        .await
        .page(200);
    assert_eq!(empty.one("#table h2"), "No instances match");
    assert_eq!(empty.attr("#table a", "href"), "/instances");
    assert_eq!(empty.attr("#q", "value"), "nowhere at all");
    // A row that htmx replaces has the columns of its list.
    let id = &farm.ids[2];
    let next = [("next", "/instances?columns=restarts")];
    let target = format!("tr#i-{id}");
    let row = swap(
        &farm.manager,
        &format!("/instances/{id}/start"),
        &target,
        &next,
    )
    .await;
    let row = row.fragment(200);
    assert_eq!(row.count("td"), 4);
    assert_eq!(
        row.attrs("input[name=next]", "value")[0],
        "/instances?columns=restarts"
    );
}

#[tokio::test]
async fn tags_are_set_changed_and_refused() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    let path = format!("/api/instances/{id}");
    let patch = async |tags: Value| send(&manager, "PATCH", &path, &json!({ "tags": tags })).await;
    assert_eq!(manager.json(&path).await["tags"], json!([]));
    patch(json!([" Solo ", "rack  1", "solo", ""]))
        .await
        .json(200);
    assert_eq!(manager.json(&path).await["tags"], json!(["Solo", "rack 1"]));
    // What is not mentioned stays.
    send(&manager, "PATCH", &path, &json!({ "autostart": true }))
        .await
        .json(200);
    patch(json!(null)).await.json(200);
    assert_eq!(manager.json(&path).await["tags"], json!(["Solo", "rack 1"]));
    let many: Vec<String> = (0..11).map(|number| format!("t{number}")).collect();
    for bad in [
        json!("solo"),
        json!([7]),
        json!(["a,b"]),
        json!(["x".repeat(33)]),
        json!(["a\u{202e}b"]),
        json!(many),
    ] {
        assert_eq!(patch(bad.clone()).await.pointers(), ["/tags"], "{bad}");
    }
    let settings = format!("/instances/{id}/settings");
    let page = manager.ask(&settings, "text/html").await.page(200);
    assert_eq!(page.attr("#tags", "value"), "Solo, rack 1");
    let field = |tags| [("tags", tags), ("restart_policy", "never")];
    let change = format!("/instances/{id}");
    let refused = form(&manager, &change, &field("a\u{200b}")).await.page(422);
    assert_eq!(refused.attr("#tags", "aria-invalid"), "true");
    assert_eq!(refused.attr("section.attention a", "href"), "#tags");
    assert_eq!(
        form(&manager, &change, &field("barn, <b>")).await.status,
        303
    );
    assert_eq!(manager.json(&path).await["tags"], json!(["barn", "<b>"]));
    let page = manager.ask(&change, "text/html").await.page(200);
    assert_eq!(page.texts("h1 a.tag"), ["barn", "<b>"]);
    assert_eq!(form(&manager, &change, &field("")).await.status, 303);
    assert_eq!(manager.json(&path).await["tags"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_takes_all_that_match() {
    let farm = Farm::new().await;
    let act = async |body: Value| act_on_many(&farm.manager, &body).await;
    for (filter, pointer) in [
        (json!({}), "/filter"),
        (json!({ "state": "asleep" }), "/filter/state"),
        (json!({ "sort": "name" }), "/filter/sort"),
        (json!([]), "/filter"),
    ] {
        let body = json!({ "action": "stop", "filter": filter });
        assert_eq!(act(body.clone()).await.pointers(), [pointer], "{body}");
    }
    let names = |answer: &Value| -> Vec<(String, bool)> {
        let results = answer["results"].as_array().unwrap().iter();
        let one = |one: &Value| {
            let name = one["name"].as_str().unwrap().to_owned();
            (name, one.get("skipped") == Some(&json!(true)))
        };
        results.map(one).collect()
    };
    let of = |list: &[(&str, bool)]| -> Vec<(String, bool)> {
        list.iter()
            .map(|(name, skipped)| ((*name).to_owned(), *skipped))
            .collect()
    };
    // Those that are running already are skipped, with success.
    let filter = json!({ "q": "solo" });
    let started = act(json!({ "action": "start", "filter": filter }))
        .await
        .json(200);
    assert_eq!(names(&started), of(&[("barn", false), ("attic", true)]));
    assert_eq!(started["success"], true, "{started}");
    farm.manager.until_state(&farm.ids[2], "running").await;
    let filter = json!({ "state": ["running", "failed"], "tag": "home" });
    let stopped = act(json!({ "action": "stop", "filter": filter }))
        .await
        .json(200);
    assert_eq!(names(&stopped), of(&[("attic", false)]));
    farm.manager.until_state(&farm.ids[3], "stopped").await;
    let none = act(json!({ "action": "stop", "filter": { "tag": "nobody" } })).await;
    assert_eq!(none.json(200)["results"], json!([]));
    // A form: what is selected and all that match.
    let page = form_on_many(
        &farm.manager,
        &[
            ("action", "stop"),
            ("ids", &farm.ids[0]),
            ("filter", "state=running&q=solo"),
        ],
    )
    .await
    .page(200);
    assert_eq!(page.one("h1"), "Stop: 1 of 1 done");
    farm.manager.until_state(&farm.ids[2], "stopped").await;
    let back = form_on_many(
        &farm.manager,
        &[("action", "stop"), ("next", "/instances?tag=home")],
    )
    .await;
    assert_eq!(
        back.header("location"),
        Some("/instances?tag=home&notice=nothing-selected")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_only_what_its_list_shows() {
    let farm = Farm::new().await;
    let manager = &farm.manager;
    let path = "/api/instances?tag=home";
    let mut program = EventStream::open(manager.request("GET", path)).await;
    let mut page = EventStream::open(
        manager
            .request("GET", "/instances?tag=home")
            .header("hx-request", "true"),
    )
    .await;
    let first = page.next().await.unwrap().data;
    assert!(
        first.contains("attic") && !first.contains(&format!("i-{}", farm.ids[2])),
        "{first}"
    );
    // Another instance is no news, its tag makes it one, and without it the list has changed.
    let barn = format!("/api/instances/{}", farm.ids[2]);
    for body in [
        json!({ "autostart": true }),
        json!({ "tags": ["home"] }),
        json!({ "tags": [] }),
    ] {
        send(manager, "PATCH", &barn, &body).await.json(200);
    }
    let heard = program
        .until(|heard| heard.event == "instance" && heard.json()["name"] == "barn")
        .await;
    assert_eq!(heard.json()["tags"], json!(["home"]));
    program.until(|heard| heard.event == "list").await;
    let attic = format!("/api/instances/{}/stop", farm.ids[3]);
    manager.act(&attic).await;
    program
        .until(|heard| heard.event == "instance" && heard.json()["status"] == "stopped")
        .await;
    // A page gets the row that changed, not the table again.
    let row = format!("<hx-partial hx-target=\"#i-{}\"", farm.ids[3]);
    let is_row = |data: &str| data.contains(&row) && data.contains("state stopped");
    let heard = page.until(|heard| is_row(&heard.data)).await;
    assert!(
        !heard.data.contains("hx-target=\"#table\""),
        "{}",
        heard.data
    );
}
