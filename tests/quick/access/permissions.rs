//! Every route with every role: one table.

use super::{PASSWORD, Visitor, ada, log_in, printed, run, user, with_admin};
use crate::harness::answer::Answer;
use crate::harness::{Manager, routes};
use std::collections::BTreeSet;

/// Routes that need no sign-in.
const ANYBODY: &[(&str, &str)] = &[
    ("get", "/health"),
    ("get", "/widget"),
    ("get", "/static/{name}"),
    ("get", "/login"),
    ("post", "/login"),
    ("get", "/login/first"),
    ("post", "/login/first"),
];

/// GETs for admins only. All others are for everyone who is signed in.
const SHOWN_TO_ADMINS: &[&str] = &[
    "/users",
    "/users/{id}",
    "/users/{id}/delete",
    "/audit",
    "/backups",
    "/backups/{id}",
    "/backups/{id}/delete",
    "/hosts/{name}/delete",
    "/saved-configs/{id}/secret",
    // Forms that only admins can send.
    "/alerts/channels/new",
    "/alerts/channels/{id}/delete",
    "/alerts/rules/new",
    "/alerts/rules/{id}/delete",
    "/alerts/unreadable/{id}/delete",
    "/instances/new",
    "/instances/{id}/delete",
    "/saved-configs/new",
    "/saved-configs/import",
    "/saved-configs/{id}/edit",
    "/saved-configs/{id}/delete",
    "/setup",
    "/setup/{id}/{step}",
    "/updates/installed/{name}/delete",
];

/// GETs for operators and admins.
const SHOWN_TO_OPERATORS: &[&str] = &["/node/check", "/updates/install", "/updates/switch"];

/// Changes that a viewer may make: to their own account, and requests that change nothing.
const OF_VIEWERS: &[(&str, &str)] = &[
    ("post", "/logout"),
    ("post", "/account/password"),
    ("post", "/account/second-factor"),
    ("post", "/account/second-factor/remove"),
    ("post", "/account/sessions/end"),
    ("delete", "/account/sessions/{id}"),
    ("post", "/account/sessions/{id}/delete"),
    ("post", "/tokens"),
    ("delete", "/tokens/{id}"),
    ("post", "/tokens/{id}/delete"),
    ("post", "/saved-configs/check"),
    ("post", "/saved-configs/{id}/check"),
    ("post", "/config/validate"),
];

/// Further changes that an operator may make. All other changes require an admin.
const OF_OPERATORS: &[(&str, &str)] = &[
    ("post", "/instances/{id}/start"),
    ("post", "/instances/{id}/stop"),
    ("post", "/instances/{id}/restart"),
    ("post", "/instances/actions"),
    ("post", "/hosts/{name}/instances/{id}/start"),
    ("post", "/hosts/{name}/instances/{id}/stop"),
    ("post", "/hosts/{name}/instances/{id}/restart"),
    ("post", "/rollouts"),
    ("post", "/rollouts/{id}/resume"),
    ("post", "/rollouts/{id}/cancel"),
    ("post", "/jobs/{id}/cancel"),
    ("post", "/jobs/{id}/dismiss"),
    ("post", "/jdc/start"),
    ("post", "/jdc/stop"),
    ("post", "/jdc/restart"),
    ("post", "/health/{id}/check"),
    ("post", "/health/{id}/cures"),
    ("patch", "/health/{id}/cures"),
    ("post", "/alerts/mutes"),
    ("delete", "/alerts/mutes/{id}"),
    ("post", "/alerts/mutes/{id}/delete"),
    ("post", "/alerts/channels/{id}/test"),
    ("post", "/alerts/deliveries/{id}/again"),
    ("post", "/updates/check"),
    ("post", "/updates/install"),
    ("post", "/updates/skip"),
    ("post", "/updates/unskip"),
    ("post", "/updates/switch"),
    ("post", "/updates/rollback"),
    ("post", "/updates/jobs/{id}/cancel"),
    ("post", "/saved-configs/{id}/trial"),
];

/// Roles by rank; 0: no sign-in.
fn rank_needed(method: &str, pattern: &str) -> usize {
    let is_in = |list: &[(&str, &str)]| list.contains(&(method, pattern));
    match method {
        _ if is_in(ANYBODY) => 0,
        "get" if SHOWN_TO_ADMINS.contains(&pattern) => 3,
        "get" if SHOWN_TO_OPERATORS.contains(&pattern) => 2,
        "get" => 1,
        _ if is_in(OF_VIEWERS) => 1,
        _ if is_in(OF_OPERATORS) => 2,
        _ => 3,
    }
}

/// Every method of every route.
fn all() -> BTreeSet<(String, String)> {
    routes::all()
        .into_iter()
        .flat_map(|(path, methods)| {
            methods
                .split(' ')
                .map(|m| (m.to_owned(), path.clone()))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn path_of(pattern: &str) -> String {
    let id = "00000000-0000-4000-8000-000000000000";
    pattern
        .replace("{id}", id)
        .replace("{n}", "1")
        .replace("{name}", "0.0.1")
        .replace("{type}", "cpu_percent")
        .replace("{step}", "review")
}

#[test]
fn the_lists_name_routes_that_there_are() {
    let all = all();
    for (method, pattern) in [ANYBODY, OF_VIEWERS, OF_OPERATORS].concat() {
        assert!(
            all.contains(&(method.to_owned(), pattern.to_owned())),
            "{method} {pattern}"
        );
    }
    for pattern in SHOWN_TO_ADMINS.iter().chain(SHOWN_TO_OPERATORS) {
        assert!(
            all.contains(&("get".to_owned(), (*pattern).to_owned())),
            "{pattern}"
        );
    }
}

#[test]
fn every_change_says_who_may_make_it_and_what_the_audit_log_says() {
    // Nothing is changed by these, or only a session that has its own entry.
    let unrecorded = [
        "/login",
        "/login/first",
        "/saved-configs/check",
        "/saved-configs/{id}/check",
        "/config/validate",
        "/setup/{id}/{step}/check",
        "/health/{id}/check",
    ];
    for operation in jd_manager::server::route_table::operations() {
        let changes = operation.method != "get" && !unrecorded.contains(&operation.path);
        let action = operation.audit_action;
        assert_ne!(action, Some("changed something"), "{}", operation.path);
        if changes || operation.path == "/backups/{id}" {
            assert!(action.is_some(), "{} {}", operation.method, operation.path);
        } else {
            assert_eq!(action, None, "{} {}", operation.method, operation.path);
        }
    }
}

/// All callers with their rank; above the highest rank: known, but rejected for
/// another reason.
struct Everybody {
    known: Vec<(&'static str, Visitor, usize)>,
    unknown: Vec<(&'static str, Visitor)>,
}

impl Everybody {
    async fn at(manager: &Manager) -> Self {
        let admin = ada(manager).await;
        let token = |name: &str, role: &str| {
            let out = run(manager, &["token", "create", name, "--role", role], "");
            Visitor::with_token(printed(out).trim())
        };
        let known = vec![
            ("a viewer", user(manager, &admin, "viewer").await, 1),
            ("an operator", user(manager, &admin, "operator").await, 2),
            ("an admin", admin.clone(), 3),
            ("a viewer's token", token("one", "viewer"), 1),
            ("an operator's token", token("two", "operator"), 2),
            ("an admin's token", token("three", "admin"), 3),
        ];
        let revoked = token("four", "admin");
        printed(run(manager, &["token", "revoke", "four"], ""));
        let expired = token("five", "admin");
        expire(manager, "five").await;
        let over = ada(manager).await;
        over.send(manager, "POST", "/logout", &serde_json::json!({}))
            .await
            .json(200);
        let unknown = vec![
            ("nobody", Visitor::stranger()),
            ("a revoked token", revoked),
            ("an expired token", expired),
            ("a session that was ended", over),
            (
                "a made-up token",
                Visitor::with_token("jdm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ),
            (
                "a made-up session",
                Visitor::with_cookie("jd-manager=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ),
            (
                "another scheme",
                Visitor {
                    shows: Some(("authorization", "Basic YWRhOmNvcnJlY3QgaG9yc2U=".into())),
                },
            ),
        ];
        Self { known, unknown }
    }
}

/// Moves the expiry of a token into the past.
async fn expire(manager: &Manager, name: &'static str) {
    use diesel::RunQueryDsl;
    let db = jd_manager::infra::db::Db::open(&manager.data_dir()).unwrap();
    let sql = format!("UPDATE tokens SET expires_at = 1000 WHERE name = '{name}'");
    let changed = db
        .write(move |c| Ok(diesel::sql_query(sql).execute(c)?))
        .await
        .unwrap();
    assert_eq!(changed, 1);
}

/// Requests that would end the current session.
fn ends_sessions(pattern: &str) -> bool {
    ["/logout", "/account/sessions/end"].contains(&pattern)
}

fn is_refused_for_the_role(answer: &Answer) -> bool {
    answer.status == 403
        && answer.text.contains("This requires the ")
        && answer.text.contains(" role; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_those_who_may_and_nobody_else() {
    let manager = with_admin().await;
    let everybody = Everybody::at(&manager).await;
    for (method, pattern) in all() {
        let needed = rank_needed(&method, &pattern);
        let prefixes: &[&str] = if pattern.starts_with("/static") {
            &[""]
        } else {
            &["", "/api"]
        };
        for prefix in prefixes {
            let path = format!("{prefix}{}", path_of(&pattern));
            let ask = |visitor: &Visitor| {
                visitor
                    .request(&manager, &method.to_uppercase(), &path)
                    .header("accept", "application/json")
            };
            for (who, visitor) in &everybody.unknown {
                let answer = Answer::to(ask(visitor)).await;
                if needed == 0 {
                    assert!(
                        answer.status != 403 && (answer.status != 401 || pattern == "/login"),
                        "{who}: {answer:?}"
                    );
                } else {
                    answer.problem(401);
                    assert_eq!(
                        answer.header("www-authenticate"),
                        Some("Bearer realm=\"jd-manager\""),
                        "{who}: {answer:?}"
                    );
                }
            }
            for (who, visitor, rank) in &everybody.known {
                if ends_sessions(&pattern)
                    && visitor
                        .shows
                        .as_ref()
                        .is_some_and(|(name, _)| *name == "cookie")
                {
                    continue;
                }
                let answer = Answer::to(ask(visitor)).await;
                if *rank < needed {
                    assert!(
                        is_refused_for_the_role(&answer),
                        "{who} at {method} {path}: {answer:?}"
                    );
                } else {
                    assert!(
                        !is_refused_for_the_role(&answer),
                        "{who} at {method} {path}: {answer:?}"
                    );
                    // There is nothing at the address that releases are asked of here.
                    let is_well = answer.status < 500
                        || (answer.status == 503 && pattern.starts_with("/updates/"));
                    assert!(
                        is_well && (answer.status != 401 || needed == 0),
                        "{who} at {method} {path}: {answer:?}"
                    );
                }
            }
            let admin = &everybody.known[2].1;
            let from_elsewhere =
                Answer::to(ask(admin).header("sec-fetch-site", "cross-site")).await;
            if method != "get" {
                let said = from_elsewhere.problem(403);
                assert!(
                    said["detail"]
                        .as_str()
                        .unwrap()
                        .starts_with("This change was requested by another website"),
                    "{said}"
                );
            }
            let of_another_name = Answer::to(ask(admin).header("host", "evil.example")).await;
            of_another_name.problem(421);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_and_ending_the_others_is_for_everybody() {
    let manager = with_admin().await;
    let admin = ada(&manager).await;
    user(&manager, &admin, "viewer").await;
    for path in ["/logout", "/api/logout"] {
        let viewer = log_in(&manager, "viewer", PASSWORD).await.unwrap();
        viewer
            .send(&manager, "POST", path, &serde_json::json!({}))
            .await
            .json(200);
        viewer.get(&manager, "/api/instances").await.problem(401);
    }
    let (one, two) = (
        log_in(&manager, "viewer", PASSWORD).await.unwrap(),
        log_in(&manager, "viewer", PASSWORD).await.unwrap(),
    );
    one.send(
        &manager,
        "POST",
        "/account/sessions/end",
        &serde_json::json!({}),
    )
    .await
    .json(200);
    two.get(&manager, "/api/instances").await.problem(401);
    one.get(&manager, "/api/instances").await.json(200);
    admin.get(&manager, "/api/instances").await.json(200);
}

#[tokio::test]
async fn pages_lead_people_to_the_login_and_back() {
    let manager = with_admin().await;
    let stranger = Visitor::stranger();
    let led = stranger.page(&manager, "/instances?x=1&y=ü").await;
    assert_eq!(
        (led.status, led.header("location")),
        (
            303,
            Some("/login?next=%2Finstances%3Fx%3D1%26y%3D%25C3%25BC")
        )
    );
    assert_eq!(
        stranger.page(&manager, "/").await.header("location"),
        Some("/login")
    );
    let posted = Answer::to(
        manager
            .request("POST", "/saved-configs")
            .header("accept", "text/html")
            .form(&[("name", "x")]),
    )
    .await;
    // A form is not lost: the sign-in page carries its input, but no secret.
    let page = posted.page(401);
    assert!(
        page.one("section.attention")
            .starts_with("Your session has ended, so nothing was saved.")
    );
    assert_eq!(page.attr("input[name='kept:name']", "value"), "x");
    let secret = [("name", "x"), ("authority_secret_key", "hush")];
    let posted = Answer::to(
        manager
            .request("POST", "/saved-configs")
            .header("accept", "text/html")
            .form(&secret),
    )
    .await;
    assert!(
        !posted.text.contains("hush") && posted.text.contains("except passwords, keys and files"),
        "{posted:?}"
    );
    let notice = manager
        .request("POST", "/instances/actions")
        .header("accept", "text/html")
        .header("hx-request", "true");
    let notice = Answer::to(notice.form(&[("action", "start")]))
        .await
        .notice(401);
    assert_eq!(
        notice.one("section.attention p:first-child"),
        "Your session has ended. Sign in, then try again."
    );
    assert_eq!(notice.attr("a", "href"), "/login");
    let fragment = manager.fragment("/instances", "div#table").await;
    assert_eq!(
        (
            fragment.status,
            fragment.header("hx-redirect"),
            fragment.text.as_str()
        ),
        (200, Some("/login"), "")
    );
    stranger
        .page(&manager, "/nothing/at/all")
        .await
        .header("location")
        .unwrap();
    let page = stranger
        .page(&manager, "/login?next=%2Finstances")
        .await
        .page(200);
    assert_eq!(page.attr("input[name=next]", "value"), "/instances");
    // Addresses of other sites lead to the overview.
    for bad in [
        "//evil.example",
        "https%3A%2F%2Fevil.example",
        "%2F%5Cevil.example",
    ] {
        let page = stranger
            .page(&manager, &format!("/login?next={bad}"))
            .await
            .page(200);
        assert_eq!(page.attr("input[name=next]", "value"), "/", "{bad}");
    }
    let form = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("next", "/instances"),
    ];
    let welcome = Answer::to(
        manager
            .request("POST", "/login")
            .header("accept", "text/html")
            .form(&form),
    )
    .await;
    assert_eq!(
        (welcome.status, welcome.header("location")),
        (303, Some("/instances"))
    );
    let ada = Visitor::with_cookie(&super::cookie_of(&welcome));
    let page = ada.page(&manager, "/instances").await.page(200);
    assert!(
        page.one("header.bar .end").contains("ada"),
        "{:?}",
        page.one("header.bar .end")
    );
    assert_eq!(
        ada.page(&manager, "/login?next=%2Fevents")
            .await
            .header("location"),
        Some("/events")
    );
    // Kept input is submitted after signing in, never to another site.
    let kept = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("kept_action", "/instances/actions"),
        ("kept:action", "start"),
        ("kept:password", "hush"),
    ];
    let page = Answer::to(
        manager
            .request("POST", "/login")
            .header("accept", "text/html")
            .form(&kept),
    )
    .await;
    assert!(page.header("set-cookie").is_some() && !page.text.contains("hush"));
    let page = page.page(200);
    assert_eq!(
        (
            page.attr("main form", "action"),
            page.attr("main input[name=action]", "value")
        ),
        ("/instances/actions".into(), "start".into())
    );
    let kept = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("kept_action", "//evil.example"),
    ];
    let elsewhere = Answer::to(
        manager
            .request("POST", "/login")
            .header("accept", "text/html")
            .form(&kept),
    )
    .await;
    assert_eq!(
        (elsewhere.status, elsewhere.header("location")),
        (303, Some("/"))
    );
    // Error pages show the signed-in user, too.
    assert!(
        ada.page(&manager, "/nothing")
            .await
            .page(404)
            .one("header.bar .end")
            .contains("ada")
    );
}
