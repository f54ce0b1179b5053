//! Tests of channels, rules and mutes on a real database.

use super::*;
use crate::base::actor::Actor;
use crate::base::ids::MuteId;
use crate::domain::alerts::samples::{AlertTestBed, TestReceiver};
use crate::domain::mutes::{MuteDraft, MuteScope};
use serde_json::json;
use std::slice;

fn draft(body: serde_json::Value) -> ChannelDraft {
    ChannelDraft::of(body)
}

#[tokio::test]
async fn a_new_database_has_rules_and_no_channel() {
    let world = AlertTestBed::new();
    let all = world.alerts.everything().await.unwrap();
    let names: Vec<&str> = all.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Instance is down",
            "Instance unhealthy",
            "Block found",
            "Host unreachable"
        ]
    );
    let conditions: Vec<&str> = all.rules.iter().map(|rule| rule.condition.kind()).collect();
    assert_eq!(
        conditions,
        ["state", "check", "block-found", "host-unreachable"]
    );
    assert!(
        all.rules
            .iter()
            .all(|rule| rule.enabled && rule.instance_id.is_none() && rule.channels.is_empty())
    );
    assert!(
        all.channels.is_empty()
            && all.deliveries.is_empty()
            && all.mutes.is_empty()
            && all.standing.is_empty()
    );
}

#[tokio::test]
async fn rules_and_channels_come_back_as_they_were_saved() {
    let world = AlertTestBed::new().without_rules().await;
    let barn = world.instance("barn").await;
    let phone = world.channel("phone", "http://127.0.0.1:9/a").await;
    let body = json!({
        "name": "Weak", "condition": { "kind": "metric", "metric": "hashrate_miners", "side": "below", "threshold": 1.25e12 },
        "instance_id": barn, "for_s": 1, "clear_s": 2, "repeat_s": 3600, "tell_cleared": false, "quiet": { "from": 1320, "to": 420 },
        "channels": [phone.id], "enabled": true,
    });
    let rule = world.rule(body).await;
    let other = world
        .rule(json!({ "condition": { "kind": "best-difficulty" } }))
        .await;
    let world = world.restarted();
    let all = world.alerts.everything().await.unwrap();
    assert_eq!(all.rules, [rule.clone(), other.clone()]);
    assert_eq!(all.channels, [phone]);
    let changed = world
        .alerts
        .update_rule(
            rule.id,
            json!({ "channels": [], "quiet": null, "instance_id": null }).into(),
        )
        .await
        .unwrap();
    assert_eq!(
        changed,
        AlertRule {
            channels: Vec::new(),
            quiet: None,
            instance_id: None,
            ..rule
        }
    );
    assert_eq!(world.alerts.rule(changed.id).await.unwrap(), changed);
    world.alerts.delete_rule(other.id).await.unwrap();
    assert!(matches!(
        world.alerts.delete_rule(other.id).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn two_channels_have_two_names() {
    let world = AlertTestBed::new();
    let phone = world.channel("phone", "http://127.0.0.1:9/a").await;
    let again = world
        .alerts
        .create_channel(draft(
            json!({ "name": "Phone", "kind": "ntfy", "topic": "barn" }),
        ))
        .await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let other = world.channel("desk", "http://127.0.0.1:9/b").await;
    let renamed = world
        .alerts
        .update_channel(other.id, draft(json!({ "name": "PHONE" })))
        .await;
    assert!(matches!(renamed, Err(Error::Conflict(_))), "{renamed:?}");
    let own = world
        .alerts
        .update_channel(phone.id, draft(json!({ "name": "Phone" })))
        .await
        .unwrap();
    assert_eq!((own.name.as_str(), &own.target), ("Phone", &phone.target));
}

#[tokio::test]
async fn the_only_channel_of_a_rule_stays() {
    let world = AlertTestBed::new();
    let (phone, desk) = (
        world.channel("phone", "http://127.0.0.1:9/a").await,
        world.channel("desk", "http://127.0.0.1:9/b").await,
    );
    let rule = world.rule(json!({ "name": "Found", "condition": { "kind": "block-found" }, "channels": [phone.id] })).await;
    let Err(Error::Conflict(words)) = world.alerts.delete_channel(phone.id).await else {
        panic!("it is gone")
    };
    assert!(
        words.contains("\"Found\"") && words.contains("\"phone\""),
        "{words}"
    );
    world
        .alerts
        .update_rule(rule.id, json!({ "channels": [phone.id, desk.id] }).into())
        .await
        .unwrap();
    world.alerts.delete_channel(phone.id).await.unwrap();
    assert_eq!(
        world.alerts.rule(rule.id).await.unwrap().channels,
        [desk.id]
    );
}

#[tokio::test]
async fn a_test_is_sent_at_once_and_its_end_is_told() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[(500, None), (200, None)]).await;
    let channel = world.channel("hook", &receiver.url).await;
    let (_, failed) = world.alerts.test_channel(channel.id).await.unwrap();
    assert!(failed.unwrap_err().words.contains("500"));
    let (_, sent) = world.alerts.test_channel(channel.id).await.unwrap();
    assert!(sent.is_ok());
    assert_eq!(receiver.titles(), ["Test from jd-manager"; 2]);
    assert!(world.titles().await.is_empty(), "a test is no delivery");
}

#[tokio::test]
async fn a_mute_lasts_until_its_end_and_can_be_ended() {
    let world = AlertTestBed::new();
    let barn = world.instance("barn").await;
    let mutes = async || world.alerts.everything().await.unwrap().mutes;
    for scope in [
        MuteScope::Instance(InstanceId::random()),
        MuteScope::Rule(RuleId::random()),
    ] {
        let draft = MuteDraft {
            from: world.clock.now(),
            until: world.clock.now().after(Duration::from_secs(60)),
            comment: String::new(),
        };
        let actor = Actor::manager("test");
        let refused = world.alerts.mutes().create(scope, draft, &actor).await;
        assert!(matches!(refused, Err(Error::Invalid(_))));
    }
    let long = world.mute(MuteScope::Instance(barn), 1440).await;
    let short = world.mute(MuteScope::Instance(barn), 30).await;
    assert_eq!(mutes().await, [short, long.clone()]);
    world.pass(1800);
    assert_eq!(mutes().await, slice::from_ref(&long));
    world.alerts.mutes().end(long.id).await.unwrap();
    assert!(mutes().await.is_empty());
    let again = world.alerts.mutes().end(long.id).await;
    assert!(matches!(again, Err(Error::Conflict(_))));
    let unknown = world.alerts.mutes().end(MuteId::random()).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    // Those that ended are kept for a while.
    let (all, total) = world.alerts.mutes().part(0, 100).await.unwrap();
    assert_eq!((all.len(), total), (2, 2));
    world.pass(31 * 86_400);
    world.alerts.prune().await.unwrap();
    assert_eq!(world.alerts.mutes().part(0, 100).await.unwrap().1, 0);
}
