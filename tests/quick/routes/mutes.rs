//! `/alerts/mutes`.

use super::{NOBODY, bare, form, send};
use crate::harness::{Manager, free_port, solo_config};
use jd_manager::base::clock::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/api/alerts/mutes";
const DOWN: &str = "a1e70000-0000-4000-8000-000000000001";

#[tokio::test]
async fn an_instance_a_tag_a_rule_or_everything_is_muted_by_programs() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    for (body, named) in [
        (json!({}), vec!["/target", "/until"]),
        (json!({ "target": "barn", "minutes": 30 }), vec!["/target"]),
        (
            json!({ "target": format!("instance:{NOBODY}"), "minutes": 30 }),
            vec!["/target"],
        ),
        (
            json!({ "target": format!("rule:{NOBODY}"), "minutes": 30 }),
            vec!["/target"],
        ),
        (
            json!({ "target": "all", "until": "2020-01-01T00:00:00Z" }),
            vec!["/until"],
        ),
        (json!({ "target": "all", "minutes": 0 }), vec!["/minutes"]),
        (
            json!({ "target": "all", "minutes": 5, "comment": "x".repeat(501) }),
            vec!["/comment"],
        ),
        (
            json!({ "target": "all", "minutes": 5, "instance_id": id }),
            vec!["/instance_id"],
        ),
    ] {
        let refused = send(&manager, "POST", PATH, &body).await;
        assert_eq!(refused.pointers(), named, "{body}");
    }
    let until = Timestamp::now()
        .after(Duration::from_secs(3600))
        .to_string();
    let mut made = Vec::new();
    for (target, name) in [
        (format!("instance:{id}"), json!("barn")),
        ("tag:night shift".to_owned(), json!("night shift")),
        (format!("rule:{DOWN}"), json!("Instance is down")),
        ("all".to_owned(), Value::Null),
    ] {
        let body = json!({ "target": target, "until": until, "comment": "<b>moving</b>" });
        let mute = send(&manager, "POST", PATH, &body).await.json(200)["mute"].clone();
        let shown = [
            &mute["target"],
            &mute["name"],
            &mute["until"],
            &mute["state"],
        ];
        assert_eq!(
            shown,
            [&json!(target), &name, &json!(until), &json!("active")]
        );
        assert_eq!(mute["comment"], "<b>moving</b>");
        made.push(mute);
    }
    let all = manager.json(PATH).await;
    assert_eq!(
        (&all["total"], all["mutes"].as_array().unwrap().len()),
        (&json!(4), 4)
    );
    let part = manager.json(&format!("{PATH}?limit=3")).await;
    assert_eq!(
        (part["mutes"].as_array().unwrap().len(), &part["next"]),
        (3, &json!(3))
    );
    let rest = manager.json(&format!("{PATH}?limit=3&offset=3")).await;
    assert_eq!(
        (rest["mutes"].as_array().unwrap().len(), &rest["next"]),
        (1, &Value::Null)
    );
    assert_eq!(
        manager.json("/api/alerts").await["mutes"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    // The instance shows it.
    let instance = manager.json(&format!("/api/instances/{id}")).await;
    assert_eq!(
        instance["mute"],
        json!({ "until": until, "comment": "<b>moving</b>" })
    );
    for path in [format!("/instances/{id}"), format!("/health/{id}")] {
        let page = manager.ask(&path, "text/html").await.page(200);
        assert!(
            page.one("#status .notice").contains("<b>moving</b>"),
            "{path}"
        );
    }
    let list = manager.ask("/instances", "text/html").await.page(200);
    assert!(list.one(&format!("#i-{id}")).contains("muted"));
    let alerts = manager.ask("/alerts", "text/html").await.page(200);
    assert_eq!(alerts.count("form[action^='/alerts/mutes/']"), 4);
    for mute in &made {
        let one = format!("{PATH}/{}", mute["id"].as_str().unwrap());
        assert_eq!(
            bare(&manager, "DELETE", &one).await.json(200)["success"],
            true
        );
        bare(&manager, "DELETE", &one).await.problem(409);
    }
    bare(&manager, "DELETE", &format!("{PATH}/{NOBODY}"))
        .await
        .problem(404);
    let ended = manager.json(PATH).await;
    assert!(
        ended["mutes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|mute| mute["state"] == "ended")
    );
    assert_eq!(manager.json("/api/alerts").await["mutes"], json!([]));
    assert_eq!(
        manager.json(&format!("/api/instances/{id}")).await["mute"],
        Value::Null
    );
}

#[tokio::test]
async fn a_form_mutes_by_tag_and_comes_back_with_its_errors() {
    let manager = Manager::start().await;
    let config = manager
        .save_config("home", &solo_config(free_port(), free_port(), 1))
        .await;
    let body = json!({ "name": "barn", "config_id": config, "tags": ["Night"] });
    let id = manager
        .post_json("/api/instances", &body)
        .await
        .json::<Value>()
        .await
        .unwrap();
    let id = id["instance_id"].as_str().unwrap().to_owned();
    let path = format!("/alerts/mutes?target=instance:{id}");
    let page = manager.ask(&path, "text/html").await.page(200);
    assert_eq!(
        page.attr("#target option[selected]", "value"),
        format!("instance:{id}")
    );
    assert_eq!(page.attr("#minutes option[selected]", "value"), "120");
    // It is the address of a button on the instance's page, and leads back there.
    let instance = format!("/instances/{id}");
    let overview = manager.ask(&instance, "text/html").await.page(200);
    assert_eq!(overview.count(&format!("#status a[href='{path}']")), 1);
    assert_eq!(page.attr("form input[name=next]", "value"), instance);
    assert_eq!(page.count("#target option[value='tag:Night']"), 1);
    assert_eq!(
        page.count(&format!("#target option[value='rule:{DOWN}']")),
        1
    );
    let sent = [
        ("target", "tag:Night"),
        ("minutes", "30"),
        ("from", ""),
        ("until", "soon"),
        ("comment", "<i>"),
    ];
    let refused = form(&manager, "/alerts/mutes", &sent).await.page(422);
    assert_eq!(
        refused.attr("#target option[selected]", "value"),
        "tag:Night"
    );
    assert_eq!(refused.attr("#minutes option[selected]", "value"), "30");
    assert_eq!(refused.attr("#until", "value"), "soon");
    assert_eq!(refused.attr("#comment", "value"), "<i>");
    assert_eq!(refused.attrs("#until", "aria-invalid"), ["true"]);
    assert_eq!(refused.attrs("#es + ul a", "href"), ["#until"]);
    let from = Timestamp::now()
        .after(Duration::from_secs(3600))
        .local_input();
    for (from, state) in [("", "active"), (from.as_str(), "scheduled")] {
        let sent = [
            ("target", "tag:night"),
            ("minutes", "30"),
            ("from", from),
            ("until", ""),
            ("comment", ""),
        ];
        let made = form(&manager, "/alerts/mutes", &sent).await;
        assert_eq!(
            (made.status, made.header("location")),
            (303, Some("/alerts/mutes"))
        );
        let all = manager.json(PATH).await;
        assert!(
            all["mutes"]
                .as_array()
                .unwrap()
                .iter()
                .any(|mute| mute["state"] == state)
        );
    }
    assert!(manager.json(&format!("/api/instances/{id}")).await["mute"].is_object());
    let page = manager.ask("/alerts/mutes", "text/html").await.page(200);
    assert_eq!(page.texts("section h2"), ["Active", "Scheduled"]);
    for action in page.attrs("form[action$='/delete']", "action") {
        let ended = form(&manager, &action, &[("next", "/alerts")]).await;
        assert_eq!(
            (ended.status, ended.header("location")),
            (303, Some("/alerts"))
        );
    }
    // The one that had not started is gone.
    let page = manager.ask("/alerts/mutes", "text/html").await.page(200);
    assert_eq!(page.texts("section h2"), ["Ended"]);
    assert_eq!(manager.json(PATH).await["total"], 1);
}
