//! Unreadable rows, such as those of a newer version. jd-manager ignores them, logs each one once,
//! and lists them on the page, where they can be deleted.

use diesel::SqliteConnection;
use std::sync::PoisonError;

use super::model::{AlertRowId, AlertRowKind, UnreadableAlertRow};
use super::queries;
use super::service::{Alerts, check_unused};
use crate::base::error::{Error, Result};
use crate::domain::vault::Vault;

impl Alerts {
    /// The unreadable row at this place.
    ///
    /// # Errors
    /// The row does not exist, or it is readable.
    pub async fn unreadable(&self, place: AlertRowId) -> Result<UnreadableAlertRow> {
        let vault = self.vault.clone();
        self.db.read(move |c| unreadable(c, &vault, place)).await
    }

    /// Removes the unreadable row at this place.
    ///
    /// # Errors
    /// The row does not exist or is readable; or it is the only channel of a rule.
    pub async fn delete_unreadable(&self, place: AlertRowId) -> Result<UnreadableAlertRow> {
        let _turn = self.latest.lock().await;
        let vault = self.vault.clone();
        self.db
            .write(move |c| {
                let gone = unreadable(c, &vault, place)?;
                if let (AlertRowKind::Channel, Ok(id)) = (place.kind, gone.id.parse()) {
                    check_unused(c, id, &gone.name)?;
                }
                queries::delete_row(c, place)?;
                Ok(gone)
            })
            .await
    }

    /// Logs each unreadable row once.
    pub(super) fn report(&self, unreadable: &[UnreadableAlertRow]) {
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for row in unreadable {
            if complained.insert(row.place) {
                let what = row.place.kind;
                tracing::warn!(
                    id = ?row.id,
                    name = ?row.name,
                    "ignoring an unreadable alert {what}; a newer jd-manager may have written it. Delete it on the Alerts page if you no longer \
                     need it"
                );
            }
        }
    }
}

fn unreadable(
    c: &mut SqliteConnection,
    vault: &Vault,
    place: AlertRowId,
) -> Result<UnreadableAlertRow> {
    let rows = match place.kind {
        AlertRowKind::Rule => queries::rules(c)?.unreadable,
        AlertRowKind::Channel => queries::channels(c, vault)?.unreadable,
    };
    let found = rows.into_iter().find(|row| row.place == place);
    found.ok_or_else(|| Error::not_found("unreadable row", place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerts::samples::{AlertTestBed, TestReceiver, until};
    use crate::domain::alerts::{RuleCondition, RuleDraft};
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    const MOOD: &str = r#"{"kind":"mood","is":"gloomy"}"#;

    /// Rules and channels that no version of this program has written.
    async fn spoilt() -> AlertTestBed {
        let world = AlertTestBed::new().without_rules().await;
        world.channel("pigeon", "http://127.0.0.1:9/").await;
        for text in [
            "UPDATE alert_channels SET target = '{\"kind\":\"pigeon\",\"secret\":\"s3cret\"}'".to_owned(),
            "INSERT INTO alert_channels (id, name, target, created_at) VALUES ('nonsense', 'no id', '{\"kind\":\"webhook\",\"url\":\"http://127.0.0.1:9/\"}', 0)".to_owned(),
            "INSERT INTO alert_deliveries (channel_id, message_id, at, title, text, mood, data, state, queued_at, due_at) SELECT id, 'x', 0, 't', '', 'bad', 'no json', 'waiting', 0, 0 FROM alert_channels".to_owned(),
            format!("INSERT INTO alert_rules (id, name, condition, for_s, clear_s, tell_cleared, enabled, created_at) VALUES ('a1e70000-0000-4000-8000-00000000000a', 'gloomy', '{MOOD}', 0, 0, 1, 1, 0)"),
            "INSERT INTO alert_rules (id, name, condition, for_s, clear_s, tell_cleared, enabled, created_at) VALUES ('odd', 'odd id', '{\"kind\":\"block-found\"}', 0, 0, 1, 1, 0)".to_owned(),
        ] {
            world.sql(&text).await;
        }
        world
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_read_stops_nothing_else() {
        let world = spoilt().await;
        let barn = world.instance("barn").await;
        world
            .sql("INSERT INTO alert_memories (rule_id, instance_id, since, counts, words) SELECT r.id, i.id, 0, 1, '' FROM alert_rules r, instances i")
            .await;
        let receiver = TestReceiver::start(&[]).await;
        world.channel("hook", &receiver.url).await;
        let rule = world
            .rule(json!({ "condition": { "kind": "state", "is": "not-running" }, "for_s": 0 }))
            .await;
        let stop = CancellationToken::new();
        let _ended = world.alerts.clone().run(stop.clone());
        world.alerts.observe(vec![world.down(barn)]).await.unwrap();
        world.pass(10);
        receiver.until(1).await;
        let all = world.alerts.everything().await.unwrap();
        assert_eq!(
            (all.rules.len(), all.channels.len(), all.standing.len()),
            (1, 1, 1)
        );
        let names: Vec<(String, &str)> = all
            .unreadable
            .iter()
            .map(|row| (row.place.to_string(), row.name.as_str()))
            .collect();
        assert_eq!(names.len(), 4);
        for name in ["gloomy", "odd id", "pigeon", "no id"] {
            assert!(names.iter().any(|(_, known)| *known == name), "{names:?}");
        }
        // Each row is logged once, without the contents of the channel.
        for _ in 0..3 {
            world.alerts.tick().await;
        }
        assert_eq!(world.alerts.complained.lock().unwrap().len(), 4);
        assert!(!format!("{:?}", all.unreadable).contains("s3cret"));
        // Notifications for such a channel are not sent elsewhere.
        until("it to be settled", || async {
            world
                .alerts
                .deliveries(None, 10)
                .await
                .unwrap()
                .0
                .iter()
                .any(|one| one.title.starts_with("barn") && one.done_at.is_some())
        })
        .await;
        assert_eq!(receiver.titles(), ["barn: not running"]);
        assert!(matches!(rule.condition, RuleCondition::State { .. }));
        stop.cancel();
    }

    #[tokio::test]
    async fn what_cannot_be_read_can_be_deleted_and_nothing_else_that_way() {
        let world = spoilt().await;
        let hook = world.channel("hook", "http://127.0.0.1:9/").await;
        let pigeon = world.alerts.choices().await.unwrap().1;
        let (pigeon, _) = pigeon
            .iter()
            .find(|(_, name)| name.starts_with("pigeon"))
            .expect("it can still be chosen")
            .clone();
        // A rule may keep such a channel and does not start to send to all others.
        let body = json!({ "name": "Found", "condition": { "kind": "block-found" }, "channels": [pigeon] });
        let rule = world.rule(body).await;
        let all = world.alerts.everything().await.unwrap();
        let place = |name: &str| {
            all.unreadable
                .iter()
                .find(|row| row.name == name)
                .unwrap()
                .place
        };
        let Err(Error::Conflict(words)) = world.alerts.delete_unreadable(place("pigeon")).await
        else {
            panic!("it is gone")
        };
        assert!(
            words.contains("\"Found\"") && words.contains("\"pigeon\""),
            "{words}"
        );
        world
            .alerts
            .update_rule(
                rule.id,
                RuleDraft::from(json!({ "channels": [pigeon, hook.id] })),
            )
            .await
            .unwrap();
        for name in ["pigeon", "no id", "gloomy", "odd id"] {
            assert_eq!(
                world.alerts.unreadable(place(name)).await.unwrap().name,
                name
            );
            world.alerts.delete_unreadable(place(name)).await.unwrap();
            assert!(
                matches!(
                    world.alerts.delete_unreadable(place(name)).await,
                    Err(Error::NotFound { .. })
                ),
                "{name}"
            );
        }
        let all = world.alerts.everything().await.unwrap();
        assert_eq!(
            (all.unreadable.len(), all.channels, all.rules.len()),
            (0, vec![hook], 1)
        );
        for kind in [AlertRowKind::Rule, AlertRowKind::Channel] {
            for number in 0..9 {
                assert!(
                    world
                        .alerts
                        .delete_unreadable(AlertRowId { kind, number })
                        .await
                        .is_err(),
                    "what can be read is not deleted like this"
                );
            }
        }
    }
}
