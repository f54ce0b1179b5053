//! Tests of the delivery worker with a receiver on loopback.

use super::*;
use crate::domain::alerts::model::Notification;
use crate::domain::alerts::samples::{AlertTestBed, TestReceiver, until};
use crate::infra::notify::Tone;
use serde_json::json;
use tokio_util::sync::CancellationToken;

async fn post(world: &AlertTestBed, channel: ChannelId, titles: &[&str]) {
    let at = crate::base::clock::Clock::now(&world.clock);
    let titles: Vec<String> = titles.iter().map(ToString::to_string).collect();
    let write = move |c: &mut diesel::SqliteConnection| {
        for title in titles {
            let said = Notification {
                title,
                text: "Text.".into(),
                mood: Tone::Bad,
                data: json!({ "event": "raised" }),
            };
            queries::insert_delivery(c, channel, at, at, &said)?;
        }
        Ok(())
    };
    world.db.write(write).await.unwrap();
    world.alerts.wake.notify_one();
}

async fn progress(world: &AlertTestBed) -> Vec<(DeliveryProgress, i32)> {
    let mut all: Vec<_> = world
        .alerts
        .deliveries(None, 100)
        .await
        .unwrap()
        .0
        .into_iter()
        .map(|one| (one.state, one.tries))
        .collect();
    all.reverse();
    all
}

async fn until_progress(world: &AlertTestBed, expected: &[(DeliveryProgress, i32)]) {
    until(&format!("{expected:?}"), || async {
        progress(world).await == expected
    })
    .await;
}

#[test]
fn waits_double_from_ten_seconds_to_an_hour() {
    let waits: Vec<u64> = (1..=11).map(|tries| wait(tries, None).as_secs()).collect();
    assert_eq!(
        waits,
        [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    );
    assert_eq!(wait(i32::MAX, None), LONGEST_WAIT);
    let asked = |seconds| wait(3, Some(Duration::from_secs(seconds))).as_secs();
    assert_eq!(
        [asked(0), asked(25), asked(7200), asked(u64::MAX)],
        [10, 25, 7200, 86_400]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_gets_its_deliveries_one_by_one_and_in_order() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[]).await;
    *receiver.pause.lock().unwrap() = Duration::from_millis(50);
    let channel = world.channel("hook", &receiver.url).await;
    let stop = CancellationToken::new();
    let ended = world.alerts.clone().run(stop.clone());
    post(&world, channel.id, &["one", "two", "three"]).await;
    post(&world, channel.id, &["four"]).await;
    receiver.until(4).await;
    until_progress(&world, &[(DeliveryProgress::Sent, 1); 4]).await;
    assert_eq!(receiver.titles(), ["one", "two", "three", "four"]);
    let ids: std::collections::BTreeSet<String> = receiver
        .got()
        .iter()
        .map(|body| body["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
    assert_eq!(receiver.got()[0]["event"], "raised");
    stop.cancel();
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_taken_is_tried_again_later_and_those_behind_it_wait() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[(500, None), (500, None), (429, Some(120))]).await;
    let channel = world.channel("hook", &receiver.url).await;
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    post(&world, channel.id, &["raised", "cleared"]).await;
    let waiting = |tries| {
        [
            (DeliveryProgress::Waiting, tries),
            (DeliveryProgress::Waiting, 0),
        ]
    };
    until_progress(&world, &waiting(1)).await;
    world.pass(9);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(receiver.got().len(), 1, "ten seconds are not over");
    world.pass(1);
    until_progress(&world, &waiting(2)).await;
    world.pass(20);
    until_progress(&world, &waiting(3)).await;
    world.pass(119);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        receiver.got().len(),
        3,
        "the receiver asked for two minutes"
    );
    let error = world.alerts.deliveries(None, 10).await.unwrap().0[1]
        .last_error
        .clone()
        .unwrap();
    assert!(error.contains("429"), "{error}");
    world.pass(1);
    until_progress(
        &world,
        &[(DeliveryProgress::Sent, 4), (DeliveryProgress::Sent, 1)],
    )
    .await;
    assert_eq!(
        receiver.titles(),
        ["raised", "raised", "raised", "raised", "cleared"]
    );
    assert_eq!(
        receiver.got()[0]["id"],
        receiver.got()[3]["id"],
        "so that the receiver knows it again"
    );
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_failure_is_given_up_at_once_and_can_be_sent_again() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[(404, None)]).await;
    let channel = world.channel("hook", &receiver.url).await;
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    post(&world, channel.id, &["one", "two"]).await;
    until_progress(
        &world,
        &[(DeliveryProgress::Failed, 1), (DeliveryProgress::Sent, 1)],
    )
    .await;
    let [second, first] = &world.alerts.deliveries(None, 10).await.unwrap().0[..] else {
        panic!("there are two")
    };
    assert!(
        first.last_error.as_ref().unwrap().contains("404")
            && first.next_try_at.is_none()
            && first.done_at.is_some()
    );
    assert!(
        world.alerts.send_again(second.id).await.is_err(),
        "it was sent"
    );
    world.alerts.send_again(first.id).await.unwrap();
    until_progress(
        &world,
        &[(DeliveryProgress::Sent, 1), (DeliveryProgress::Sent, 1)],
    )
    .await;
    assert_eq!(receiver.titles(), ["one", "two", "one"]);
    assert!(world.alerts.send_again(99).await.is_err());
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_given_up_after_a_day_but_never_untried() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[(500, None), (500, None)]).await;
    let channel = world.channel("hook", &receiver.url).await;
    post(&world, channel.id, &["one", "two"]).await;
    world.pass(24 * 3600);
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    until_progress(
        &world,
        &[(DeliveryProgress::Failed, 1), (DeliveryProgress::Failed, 1)],
    )
    .await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_does_not_answer_holds_up_no_other() {
    let world = AlertTestBed::new();
    let (slow, quick) = (
        TestReceiver::start(&[]).await,
        TestReceiver::start(&[]).await,
    );
    *slow.pause.lock().unwrap() = Duration::from_millis(1500);
    let (first, second) = (
        world.channel("slow", &slow.url).await,
        world.channel("quick", &quick.url).await,
    );
    let stop = CancellationToken::new();
    let ended = world.alerts.clone().run(stop.clone());
    post(&world, first.id, &["one"]).await;
    slow.until(1).await;
    post(&world, second.id, &["two", "three"]).await;
    until_progress(
        &world,
        &[
            (DeliveryProgress::Waiting, 0),
            (DeliveryProgress::Sent, 1),
            (DeliveryProgress::Sent, 1),
        ],
    )
    .await;
    // Stopping waits for attempts in progress, so that nothing is sent again after a restart.
    stop.cancel();
    ended.await.unwrap();
    assert_eq!(progress(&world).await, [(DeliveryProgress::Sent, 1); 3]);
    assert_eq!(slow.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_the_end_is_sent_after_a_restart() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[]).await;
    let channel = world.channel("hook", &receiver.url).await;
    post(&world, channel.id, &["one"]).await;
    let world = world.restarted();
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    receiver.until(1).await;
    until_progress(&world, &[(DeliveryProgress::Sent, 1)]).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_while_the_disk_was_full_is_not_sent_again() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[]).await;
    let channel = world.channel("hook", &receiver.url).await;
    world
        .sql("CREATE TRIGGER full BEFORE UPDATE ON alert_deliveries BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END")
        .await;
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    post(&world, channel.id, &["one"]).await;
    receiver.until(1).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.pass(3600);
    }
    world.sql("DROP TRIGGER full").await;
    until_progress(&world, &[(DeliveryProgress::Sent, 1)]).await;
    assert_eq!(receiver.got().len(), 1);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_wrong_for_a_while_holds_nothing_up() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[]).await;
    let channel = world.channel("hook", &receiver.url).await;
    world.pass(400 * 86_400);
    post(&world, channel.id, &["one"]).await;
    world.pass(-400 * 86_400);
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    until_progress(&world, &[(DeliveryProgress::Sent, 1)]).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_held_is_sent_when_it_is_due() {
    let world = AlertTestBed::new();
    let receiver = TestReceiver::start(&[]).await;
    let channel = world.channel("hook", &receiver.url).await;
    let at = crate::base::clock::Clock::now(&world.clock);
    let write = move |c: &mut diesel::SqliteConnection| {
        let said = Notification {
            title: "held".into(),
            text: String::new(),
            mood: Tone::Bad,
            data: json!({}),
        };
        Ok(queries::insert_delivery(
            c,
            channel.id,
            at,
            at.after(HOLD),
            &said,
        )?)
    };
    world.db.write(write).await.unwrap();
    let stop = CancellationToken::new();
    let _ended = world.alerts.clone().run(stop.clone());
    world.pass(7);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(receiver.got().is_empty());
    world.pass(1);
    receiver.until(1).await;
    until_progress(&world, &[(DeliveryProgress::Sent, 1)]).await;
    stop.cancel();
}
