//! Pages offer each role what it may do, and nothing else: derived from the route table.

use super::{Visitor, ada, user, with_admin};
use crate::harness::answer::{Dom, EventStream};
use crate::harness::{Manager, free_port, routes, solo_config};
use axum::http::Method;
use jd_manager::domain::access::PermissionTable;
use jd_manager::server::route_table;
use jd_manager::web::Role;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Pages that show what belongs to the visitor.
const OWN: [&str; 3] = ["/account", "/account/second-factor", "/tokens"];

/// A method in lower case and the pattern of a route.
type Control = (&'static str, String);

/// An id for each part of the paths.
struct Things(BTreeMap<&'static str, String>);

impl Things {
    async fn new(manager: &Manager, admin: &Visitor) -> Self {
        let made = async |path: &str, body: Value, id: &str| {
            let answer = admin.send(manager, "POST", path, &body).await;
            let answer: Value = serde_json::from_str(&answer.text).unwrap();
            answer.pointer(id).unwrap().as_str().unwrap().to_owned()
        };
        let config = solo_config(free_port(), free_port(), 1);
        let config = json!({ "name": "home", "config": config });
        let config = made("/api/saved-configs", config, "/config_id").await;
        let instance = json!({ "name": "barn", "config_id": config });
        let instance = made("/api/instances", instance, "/instance_id").await;
        let channel = json!({ "name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/" });
        let channel = made("/api/alerts/channels", channel, "/channel_id").await;
        let mute = json!({ "target": "all", "minutes": 30 });
        made("/api/alerts/mutes", mute, "/mute/id").await;
        Self(BTreeMap::from([
            ("/saved-configs", config),
            ("/instances", instance.clone()),
            ("/metrics", instance.clone()),
            ("/health", instance.clone()),
            ("/setup/watch", instance),
            ("/alerts/channels", channel),
            (
                "/alerts/rules",
                "a1e70000-0000-4000-8000-000000000002".to_owned(),
            ),
        ]))
    }

    /// The pages of the route table, as far as there is something to show.
    fn pages(&self) -> Vec<String> {
        let gets = routes::all().into_iter();
        let gets = gets.filter(|(_, methods)| methods.split(' ').any(|one| one == "get"));
        let path = |pattern: String| {
            let owner = self
                .0
                .iter()
                .rev()
                .find(|(at, _)| pattern.starts_with(**at));
            let path = match owner {
                Some((_, id)) => pattern.replace("{id}", id),
                None => pattern,
            };
            let path = path.replace("{n}", "1").replace("{type}", "cpu_percent");
            (!path.contains('{')).then_some(path)
        };
        gets.filter_map(|(pattern, _)| path(pattern)).collect()
    }
}

/// What a page offers: the route of each form and of each link on this site.
fn controls(page: &Dom, path: &str) -> BTreeSet<Control> {
    let mut found = BTreeSet::new();
    let mut add = |method: &'static str, addresses: Vec<String>| {
        for address in addresses {
            let address = match address.as_str() {
                "" => path,
                address => address,
            };
            let address = address.split(['#', '?']).next().unwrap();
            let address = address.strip_prefix("/api").unwrap_or(address);
            let address = if address.is_empty() { path } else { address };
            if let Some(pattern) = routes::pattern_of(address, method) {
                found.insert((method, pattern));
            } else {
                assert!(
                    !address.starts_with('/') || address.starts_with("/static"),
                    "{address}"
                );
            }
        }
    };
    add("post", page.attrs("form[method=post]", "action"));
    add("post", page.attrs("[formaction]", "formaction"));
    add("post", page.attrs("[hx-post]", "hx-post"));
    add("get", page.attrs("form[method=get]", "action"));
    add("get", page.attrs("a[href^='/']", "href"));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_offers_a_role_what_it_may_do_and_nothing_else() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let things = Things::new(&manager, &admin).await;
    let viewers: [(Role, Visitor); 2] = [
        (Role::Viewer, user(&manager, &admin, "viewer").await),
        (Role::Operator, user(&manager, &admin, "operator").await),
    ];
    let operations: Vec<_> = route_table::operations().collect();
    let permissions = PermissionTable::new(&operations);
    let may = |role: Role, (method, pattern): &Control| {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let permission = permissions.get(&method, Some(pattern));
        permission.role.is_none_or(|needed| role >= needed)
    };
    let (mut shown, mut kept_back, mut wrong) = (0, 0, Vec::new());
    for path in things.pages() {
        let whole = admin.page(&manager, &path).await;
        if whole.status != 200 || whole.media_type() != "text/html" {
            continue;
        }
        let whole = controls(&whole.page(200), &path);
        for (role, visitor) in &viewers {
            let here = ("get", routes::pattern_of(&path, "get").unwrap());
            let answer = visitor.page(&manager, &path).await;
            if !may(*role, &here) {
                assert_eq!(answer.status, 403, "{role} at {path}");
                continue;
            }
            let own = controls(&answer.page(200), &path);
            for control in own.iter().filter(|control| !may(*role, control)) {
                wrong.push(format!("{role} at {path}: {control:?} is offered"));
            }
            let (fit, unfit): (Vec<_>, Vec<_>) = whole.iter().partition(|one| may(*role, one));
            let is_missing = |control: &&&Control| !own.contains(**control);
            if !OWN.contains(&path.as_str()) {
                for control in fit.iter().filter(is_missing) {
                    wrong.push(format!("{role} at {path}: {control:?} is missing"));
                }
            }
            shown += fit.len();
            kept_back += unfit.len();
            assert_eq!(
                answer.page(200).count("[data-role], link[href*=roles]"),
                0,
                "{path}"
            );
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(
        shown > 400 && kept_back > 60,
        "{shown} shown, {kept_back} kept back"
    );
}

/// Parts of pages are rendered once for all readers with a role.
#[tokio::test(flavor = "multi_thread")]
async fn live_updates_offer_a_role_what_it_may_do() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let things = Things::new(&manager, &admin).await;
    let instance = &things.0["/instances"];
    let viewer = user(&manager, &admin, "viewer").await;
    let operator = user(&manager, &admin, "operator").await;
    for path in [
        "/instances".to_owned(),
        format!("/instances/{instance}/events"),
        format!("/instances/{instance}/logs"),
        format!("/health/{instance}"),
        format!("/setup/watch/{instance}"),
    ] {
        for (visitor, may_start) in [(&admin, true), (&viewer, false), (&operator, true)] {
            let request = visitor.request(&manager, "GET", &path);
            let request = request
                .header("accept", "text/event-stream")
                .header("hx-request", "true");
            let mut stream = EventStream::open(request).await;
            let is_part = |data: &str| data.contains("hx-partial") && data.contains("barn");
            let part = stream.until(|heard| is_part(&heard.data)).await;
            let has_start = part
                .data
                .contains(&format!("action=\"/instances/{instance}/start\""));
            assert_eq!(has_start, may_start, "{path}: {}", part.data);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_page_says_who_can_help() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let viewer = user(&manager, &admin, "viewer").await;
    let text = "This requires the admin role; viewer has the viewer role. An admin can change roles. The admin is ada.";
    let page = viewer.page(&manager, "/setup").await.page(403);
    assert!(
        page.one("main .attention").contains(text),
        "{}",
        page.one("main")
    );
    let problem = viewer.get(&manager, "/api/users").await.problem(403);
    assert_eq!(problem["detail"], text);
    // A program learns no names.
    let token = json!({ "name": "screen", "role": "viewer" });
    let made = admin
        .send(&manager, "POST", "/api/tokens", &token)
        .await
        .json(201);
    let program = Visitor::with_token(made["token"].as_str().unwrap());
    let problem = program.get(&manager, "/api/users").await.problem(403);
    assert!(
        !problem["detail"].as_str().unwrap().contains("The admin"),
        "{problem}"
    );
}
