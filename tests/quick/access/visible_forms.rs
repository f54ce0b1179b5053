//! Forms by role: a form that would be rejected is hidden, every other one is shown.

use super::{Visitor, ada, user, with_admin};
use crate::harness::routes;
use axum::http::Method;
use jd_manager::domain::access::PermissionTable;
use jd_manager::server::route_table;
use jd_manager::web::Role;
use serde_json::json;

const SHEET: &str = include_str!("../../../static/roles.css");

/// The forms that the style sheet hides from a role.
fn hidden() -> String {
    let mut rules = String::new();
    for piece in SHEET.split("/*") {
        rules.push_str(piece.split_once("*/").map_or(piece, |(_, rest)| rest));
    }
    let (selectors, rest) = rules.split_once('{').unwrap();
    assert_eq!(
        rest.trim(),
        "display: none }",
        "the sheet is one rule, which this test reads"
    );
    selectors.trim().to_owned()
}

/// The pattern of the route that a form is sent to.
fn pattern(path: &str) -> String {
    routes::pattern_of(path, "post").unwrap_or_else(|| panic!("no route for {path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_shown_to_those_who_may_send_them_and_to_nobody_else() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    let made = async |path: &str, body: serde_json::Value, id: &str| {
        let answer = admin.send(&manager, "POST", path, &body).await;
        answer.json(201)[id].as_str().unwrap().to_owned()
    };
    let config =
        crate::harness::solo_config(crate::harness::free_port(), crate::harness::free_port(), 1);
    let config = made(
        "/api/saved-configs",
        json!({ "name": "home", "config": config }),
        "config_id",
    )
    .await;
    let instance = made(
        "/api/instances",
        json!({ "name": "barn", "config_id": config }),
        "instance_id",
    )
    .await;
    let channel = json!({ "name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/" });
    let channel = made("/api/alerts/channels", channel, "channel_id").await;
    let mute = json!({ "target": format!("instance:{instance}"), "minutes": 30 });
    admin
        .send(&manager, "POST", "/api/alerts/mutes", &mute)
        .await
        .json(200);
    let pages = [
        "/".to_owned(),
        "/instances".into(),
        format!("/instances/{instance}"),
        format!("/instances/{instance}/settings"),
        format!("/instances/{instance}/delete"),
        format!("/health/{instance}"),
        "/saved-configs".into(),
        "/saved-configs/new".into(),
        "/saved-configs/import".into(),
        format!("/saved-configs/{config}"),
        format!("/saved-configs/{config}/edit"),
        format!("/saved-configs/{config}/delete"),
        format!("/saved-configs/{config}/revisions"),
        "/setup".into(),
        "/alerts".into(),
        "/alerts/mutes".into(),
        format!("/alerts/channels/{channel}"),
        format!("/alerts/channels/{channel}/delete"),
        "/alerts/rules/new?kind=metric".into(),
        "/alerts/rules/a1e70000-0000-4000-8000-000000000002".into(),
        "/updates".into(),
        "/account".into(),
        "/tokens".into(),
    ];
    let viewers: [(Role, Visitor); 2] = [
        (Role::Viewer, user(&manager, &admin, "viewer").await),
        (Role::Operator, user(&manager, &admin, "operator").await),
    ];
    let operations: Vec<_> = route_table::operations().collect();
    let permissions = PermissionTable::new(&operations);
    let (mut shown, mut kept_back, mut wrong) = (0, 0, Vec::new());
    for (role, visitor) in &viewers {
        for path in &pages {
            let page = visitor.page(&manager, path).await.page(200);
            assert_eq!(page.attrs("body", "data-role"), [role.name()], "{path}");
            assert_eq!(page.count("link[href*='roles']"), 1, "{path}");
            for (action, is_hidden) in page.posts(&hidden()) {
                let action = if action.is_empty() {
                    path.clone()
                } else {
                    action
                };
                let permission = permissions.get(&Method::POST, Some(&pattern(&action)));
                let may = permission.role.is_none_or(|needed| *role >= needed);
                if may == is_hidden {
                    wrong.push(format!(
                        "{role} at {path}: {action} is {}",
                        if is_hidden { "hidden" } else { "shown" }
                    ));
                }
                shown += usize::from(may);
                kept_back += usize::from(!may);
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert_eq!(wrong, Vec::<String>::new());
    assert!(
        shown > 20 && kept_back > 20,
        "{shown} shown, {kept_back} kept back"
    );
    // An admin's pages do without.
    assert_eq!(
        admin
            .page(&manager, "/")
            .await
            .page(200)
            .count("link[href*='roles'], [data-role]"),
        0
    );
}
