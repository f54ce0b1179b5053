//! The list of instances, which the manager keeps as bytes, is current after every change and for every
//! role.

use super::{Visitor, ada, user, with_admin};
use crate::harness::answer::Answer;
use crate::harness::{Manager, free_port, solo_config, until};
use serde_json::{Value, json};

/// The fields that do not count up.
const COMPARED: [&str; 10] = [
    "id",
    "name",
    "status",
    "running",
    "desired",
    "autostart",
    "pid",
    "port",
    "config_name",
    "health",
];

fn compared(instance: &Value) -> Vec<&Value> {
    COMPARED.iter().map(|field| &instance[*field]).collect()
}

/// A manager with users of all roles, and an instance.
struct Farm {
    manager: Manager,
    admin: Visitor,
    /// Visitors, and whether their pages offer actions.
    everyone: Vec<(Visitor, bool)>,
    path: String,
}

impl Farm {
    async fn new() -> Self {
        let manager = with_admin().await;
        let admin = ada(&manager).await;
        let viewer = user(&manager, &admin, "viewer").await;
        let operator = user(&manager, &admin, "operator").await;
        let config = json!({ "name": "solo", "config": solo_config(free_port(), free_port(), 1) });
        let saved = admin
            .send(&manager, "POST", "/api/saved-configs", &config)
            .await
            .json(201);
        let wishes = json!({ "name": "barn", "config_id": saved["config_id"] });
        let created = admin
            .send(&manager, "POST", "/api/instances", &wishes)
            .await
            .json(201);
        let path = format!(
            "/api/instances/{}",
            created["instance_id"].as_str().unwrap()
        );
        let everyone = vec![(viewer, false), (admin.clone(), true), (operator, true)];
        Self {
            manager,
            admin,
            everyone,
            path,
        }
    }

    async fn instance(&self) -> Value {
        self.admin.get(&self.manager, &self.path).await.json(200)
    }

    /// Everyone's list and page show the instance as it is; returns it.
    async fn check(&self, after: &str) -> Value {
        for (visitor, has_actions) in &self.everyone {
            // The second one may be a kept response.
            for _ in 0..2 {
                let before = self.instance().await;
                let list = visitor.get(&self.manager, "/api/instances").await.json(200);
                let page = visitor.page(&self.manager, "/instances").await.page(200);
                let now = self.instance().await;
                let listed = &list["instances"][0];
                // It may change at any time, but not back.
                assert!(
                    [compared(&before), compared(&now)].contains(&compared(listed)),
                    "after {after}: {listed}, but {before} and {now}"
                );
                let row = page.one("tbody tr");
                assert!(row.contains(now["name"].as_str().unwrap()), "{row}");
                if before["status"] == now["status"] {
                    assert!(row.contains(now["status"].as_str().unwrap()), "{row}");
                }
                let count = page.count("[method=post]:not([action='/logout']), [form=bulk]");
                assert_eq!(count > 0, *has_actions, "{count} actions");
            }
        }
        self.instance().await
    }

    async fn act(&self, verb: &str) {
        let path = format!("{}/{verb}", self.path);
        self.admin
            .send(&self.manager, "POST", &path, &json!({}))
            .await
            .json(200);
    }

    async fn change(&self, wishes: Value) {
        self.admin
            .send(&self.manager, "PATCH", &self.path, &wishes)
            .await
            .json(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_current_after_every_change_and_for_every_role() {
    let farm = Farm::new().await;
    let created = farm.check("its creation").await;
    assert_eq!(
        (&created["name"], &created["status"], &created["autostart"]),
        (&json!("barn"), &json!("stopped"), &json!(false))
    );
    farm.act("start").await;
    let started = farm.check("a start").await;
    assert_eq!(started["desired"], "running");
    until("the client is running", || async {
        (farm.instance().await["status"] == "running").then_some(())
    })
    .await;
    let running = farm.check("the client was ready").await;
    assert!(running["pid"].is_u64(), "{running}");
    farm.change(json!({ "name": "garage" })).await;
    assert_eq!(farm.check("a rename").await["name"], "garage");
    farm.change(json!({ "autostart": true })).await;
    assert_eq!(farm.check("a setting").await["autostart"], true);
    until("its health is known", || async {
        farm.instance().await.get("health").map(|_| ())
    })
    .await;
    assert!(farm.check("a health check").await["health"].is_object());
    farm.act("stop").await;
    let stopped = farm.check("a stop").await;
    assert_eq!(
        (&stopped["status"], stopped.get("pid")),
        (&json!("stopped"), None)
    );
    farm.admin
        .send(&farm.manager, "DELETE", &farm.path, &json!({}))
        .await
        .json(200);
    for (visitor, _) in &farm.everyone {
        let list = visitor.get(&farm.manager, "/api/instances").await.json(200);
        assert_eq!(list, json!({ "instances": [], "total": 0 }));
        let page = visitor.page(&farm.manager, "/instances").await.page(200);
        assert_eq!(page.one("h1"), "No instances yet");
    }
}

/// The same list again, with the tag of the former response.
async fn again(visitor: &Visitor, manager: &Manager, path: &str, former: &Answer) -> Answer {
    let request = visitor.request(manager, "GET", path);
    let tag = former.header("etag").unwrap();
    Answer::to(request.header("if-none-match", tag)).await
}

#[tokio::test]
async fn a_kept_list_is_for_nobody_without_access() {
    let farm = Farm::new().await;
    let token = json!({ "name": "grafana", "role": "viewer" });
    let created = farm
        .admin
        .send(&farm.manager, "POST", "/api/tokens", &token)
        .await
        .json(201);
    let grafana = Visitor::with_token(created["token"].as_str().unwrap());
    let tokens = farm.admin.get(&farm.manager, "/api/tokens").await.json(200);
    let id = tokens["tokens"][0]["id"].as_str().unwrap();
    let (list, page) = ("/api/instances", "/instances");
    // The first check adds the health.
    until("the first check", || async {
        let list = grafana.get(&farm.manager, list).await.json(200);
        list["instances"][0].get("health").map(|_| ())
    })
    .await;
    let data = grafana.get(&farm.manager, list).await;
    let html = grafana.page(&farm.manager, page).await;
    html.page(200);
    // Nothing changes, and nothing counts up.
    for (path, former) in [(list, &data), (page, &html)] {
        let same = again(&grafana, &farm.manager, path, former).await;
        assert_eq!((same.status, same.text.as_str()), (304, ""), "{path}");
    }
    // A page shows its reader, so another one's is not the same.
    let other = again(&farm.admin, &farm.manager, page, &html).await;
    assert_eq!(other.status, 200);
    let path = format!("/api/tokens/{id}");
    farm.admin
        .send(&farm.manager, "DELETE", &path, &json!({}))
        .await
        .json(200);
    for (path, former) in [(list, &data), (page, &html)] {
        let refused = again(&grafana, &farm.manager, path, former).await;
        assert!(matches!(refused.status, 303 | 401), "{refused:?}");
        assert!(!refused.text.contains("barn"), "{refused:?}");
        let nobody = again(&Visitor::stranger(), &farm.manager, path, former).await;
        assert!(matches!(nobody.status, 303 | 401), "{nobody:?}");
    }
}
