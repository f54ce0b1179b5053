//! `/events` and `/instances/{id}/events`.

use super::bare;
use crate::harness::answer::EventStream;
use crate::harness::{Manager, free_port, solo_config};
use serde_json::{Value, json};

/// Two instances with a history; returns their ids.
async fn with_history() -> (Manager, String, String) {
    let manager = Manager::start().await;
    let mut ids = Vec::new();
    for name in ["barn", "garage"] {
        let config = manager
            .save_config(name, &solo_config(free_port(), free_port(), 1))
            .await;
        let id = manager.instance_of(name, &config).await;
        manager.act(&format!("/api/instances/{id}/start")).await;
        manager.until_state(&id, "running").await;
        manager.act(&format!("/api/instances/{id}/stop")).await;
        manager.until_state(&id, "stopped").await;
        ids.push(id);
    }
    (manager, ids.remove(0), ids.remove(0))
}

fn column<'e>(events: &'e Value, name: &str) -> Vec<&'e Value> {
    events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event[name])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_says_when_from_what_to_what_and_why() {
    let (manager, id, _) = with_history().await;
    let history = bare(&manager, "GET", &format!("/api/instances/{id}/events"))
        .await
        .json(200);
    assert_eq!(
        column(&history, "to"),
        ["stopped", "stopping", "running", "starting"],
        "newest first"
    );
    assert_eq!(
        column(&history, "from"),
        ["stopping", "running", "starting", "stopped"]
    );
    assert!(history.get("next").is_none(), "{history}");
    let mut last = jiff::Timestamp::MAX;
    for event in history["events"].as_array().unwrap() {
        assert_eq!(
            (&event["instance_id"], &event["instance_name"]),
            (&json!(id), &json!("barn"))
        );
        assert!(
            event["reason"]
                .as_str()
                .is_some_and(|reason| reason.len() > 10),
            "{event}"
        );
        let at: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(at <= last, "{history}");
        last = at;
    }
    assert_eq!(history["events"][0]["exit_code"], 0);
    assert_eq!(history["events"][1]["actor"], "this machine (api)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_read_in_parts_without_gap_or_repeat() {
    let (manager, id, other) = with_history().await;
    for path in [
        "/api/events".to_owned(),
        format!("/api/instances/{id}/events"),
    ] {
        let whole = bare(&manager, "GET", &path).await.json(200);
        let all: Vec<i64> = column(&whole, "id")
            .into_iter()
            .map(|id| id.as_i64().unwrap())
            .collect();
        assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");
        let mut read = Vec::new();
        let mut query = "limit=3".to_owned();
        loop {
            let part = bare(&manager, "GET", &format!("{path}?{query}"))
                .await
                .json(200);
            let ids = column(&part, "id");
            assert!(ids.len() <= 3);
            read.extend(ids.into_iter().map(|id| id.as_i64().unwrap()));
            match part.get("next") {
                Some(next) => query = format!("limit=3&before={next}"),
                None => break,
            }
        }
        assert_eq!(read, all, "{path}");
    }
    let everything = bare(&manager, "GET", "/api/events").await.json(200);
    let owners: std::collections::BTreeSet<&str> = column(&everything, "instance_id")
        .into_iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!(owners, [id.as_str(), other.as_str()].into());
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let manager = Manager::start().await;
    let id = manager.instance("barn").await;
    for path in [
        "/api/events".to_owned(),
        format!("/api/instances/{id}/events"),
    ] {
        for (query, pointers) in [
            ("limit=0", vec!["/limit"]),
            ("limit=1001", vec!["/limit"]),
            ("limit=-1", vec!["/limit"]),
            ("limit=1e3", vec!["/limit"]),
            ("limit=99999999999999999999999", vec!["/limit"]),
            ("before=yesterday", vec!["/before"]),
            ("limit=x&before=y", vec!["/limit", "/before"]),
        ] {
            assert_eq!(
                bare(&manager, "GET", &format!("{path}?{query}"))
                    .await
                    .pointers(),
                pointers,
                "{path}?{query}"
            );
        }
        for good in [
            "limit=1",
            "limit=1000",
            "before=1",
            "before=9223372036854775807",
            "limit=",
        ] {
            bare(&manager, "GET", &format!("{path}?{good}"))
                .await
                .json(200);
        }
    }
    let page = manager.ask("/events?limit=0", "text/html").await.page(422);
    let sentence = "Limit must be a whole number from 1 to 1000.";
    assert_eq!(page.one("main section.attention p:first-child"), sentence);
    let notice = manager
        .fragment("/events?limit=0", "main#main")
        .await
        .notice(422);
    assert_eq!(notice.one("section.attention p:first-child"), sentence);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_a_timeline_with_a_way_to_what_is_older() {
    let (manager, id, _) = with_history().await;
    assert_eq!(
        manager
            .ask("/events", "text/html")
            .await
            .page(200)
            .count("ol.timeline li"),
        8
    );
    let page = manager.ask("/events?limit=2", "text/html").await.page(200);
    assert_eq!(page.one("h1"), "Events");
    assert_eq!(page.texts("ol.timeline li .state"), ["stopped", "stopping"]);
    assert_eq!(page.texts("ol.timeline li a"), ["garage", "garage"]);
    let older = page.attr("main section a.button", "href");
    assert!(older.starts_with("/events?before="), "{older}");
    // The next part has the same length.
    assert_eq!(
        manager
            .ask(&older, "text/html")
            .await
            .page(200)
            .count("ol.timeline li"),
        2,
        "{older} forgets the limit"
    );

    let own = manager
        .ask(&format!("/instances/{id}/events"), "text/html")
        .await
        .page(200);
    assert_eq!(own.one("#status h1"), "barn");
    assert_eq!(
        (
            own.count("ol.timeline li"),
            own.one("nav.tabs a[aria-current=page]")
        ),
        (4, "Events".to_owned())
    );
    let part = manager
        .fragment(&format!("/instances/{id}/events"), "main#main")
        .await
        .fragment(200);
    assert_eq!(
        (
            part.count("ol.timeline li"),
            part.count("nav[aria-label=Main]")
        ),
        (4, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_each_change_and_goes_on_where_it_was() {
    let (manager, id, _) = with_history().await;
    let path = format!("/api/instances/{id}/events");
    let mut stream = EventStream::open(manager.request("GET", &path)).await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    manager.until_state(&id, "running").await;
    let mut heard = Vec::new();
    for to in ["starting", "running"] {
        let event = stream.next().await.unwrap();
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(
            (
                data["to"].as_str(),
                data["instance_name"].as_str(),
                data["id"].to_string()
            ),
            (Some(to), Some("barn"), event.id.clone())
        );
        heard.push(event.id);
    }
    manager.act(&format!("/api/instances/{id}/stop")).await;
    // Resume after the first event: the second again, then newer ones of this instance only.
    let mut stream = EventStream::open(
        manager
            .request("GET", &path)
            .header("last-event-id", &heard[0]),
    )
    .await;
    for to in ["running", "stopping", "stopped"] {
        let data: Value = serde_json::from_str(&stream.next().await.unwrap().data).unwrap();
        assert_eq!(
            (data["to"].as_str(), data["instance_id"].as_str()),
            (Some(to), Some(id.as_str()))
        );
    }
    let mut page = EventStream::open(
        manager
            .request("GET", "/events?after=0")
            .header("hx-request", "true"),
    )
    .await;
    let html = page.next().await.unwrap().data;
    assert!(
        html.starts_with("<hx-partial hx-target=\"#timeline\"") && html.contains("barn"),
        "{html}"
    );
    bare(&manager, "GET", "/events?after=x").await.json(200);
}
