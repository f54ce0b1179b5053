//! Tests of the translator's check, and of its automatic restart.

use super::*;
use crate::domain::instances::InstanceProgram;
use crate::domain::miners::TranslatorReport;
use crate::keeper::machine::ProcessExit;
use crate::keeper::protocol::TranslatorStatus;
use crate::keeper::translator_machine::TranslatorState;
use crate::programs::translator::diagnosis::TranslatorLogStatus;

/// A healthy instance with a translator in this state, started two hours ago.
fn scene(state: TranslatorState) -> Scene {
    let mut scene = Scene::well();
    scene.instance.since = Some(ago(7000));
    set(&mut scene, |reported| reported.state = state);
    scene.translator = Some(TranslatorHealth {
        report: Some(TranslatorReport {
            run: ago(7200).0,
            miners: 3,
            ..TranslatorReport::default()
        }),
        ..TranslatorHealth::default()
    });
    scene
}

/// Changes what the keeper reports about the translator.
fn set(scene: &mut Scene, change: impl FnOnce(&mut TranslatorStatus)) {
    let mut reported = TranslatorStatus {
        state: TranslatorState::Running,
        pid: Some(7),
        started_at: Some(ago(7200).0),
        can_restart: true,
        ..TranslatorStatus::default()
    };
    change(&mut reported);
    let program = InstanceProgram::translator(&reported, None);
    scene.instance.programs.truncate(1);
    scene.instance.programs.push(program);
}

fn report(scene: &mut Scene) -> &mut TranslatorReport {
    let health = scene.translator.as_mut().unwrap();
    health.report.as_mut().unwrap()
}

fn read(scene: &mut Scene, lines: &[&str]) {
    let mut log = TranslatorLogStatus::default();
    for line in lines {
        log.apply_line(line.as_bytes());
    }
    scene.translator.as_mut().unwrap().log = log;
}

/// A log line some seconds ago.
fn line(seconds: i64, text: &str) -> String {
    format!("{} {text}", ago(seconds))
}

fn judged(scene: &Scene) -> (HealthGrade, String) {
    scene.find(HealthCheck::Translator)
}

#[test]
fn an_instance_without_a_translator_has_ten_checks() {
    let scene = Scene::well();
    let found = scene.findings();
    assert_eq!(found.len(), 10);
    assert!(
        found
            .iter()
            .all(|finding| finding.check != HealthCheck::Translator)
    );
}

#[test]
fn a_translator_that_works_is_healthy_and_leaves_the_other_checks_alone() {
    let scene = scene(TranslatorState::Running);
    for finding in scene.findings() {
        assert_eq!(finding.grade, HealthGrade::Healthy, "{finding:?}");
    }
    assert_eq!(scene.findings().len(), 11);
}

#[test]
fn an_exit_is_reported_with_its_cause() {
    let mut crashed = scene(TranslatorState::Running);
    set(&mut crashed, |reported| {
        reported.state = TranslatorState::BackingOff;
        reported.failures = 3;
        reported.exit = Some(ProcessExit::Code(1));
        reported.exited_at = Some(ago(2).0);
        reported.trouble = vec![line(
            3,
            "ERROR translator_sv2::sv2::upstream: Failed to resolve upstream address jdc.example:1: x",
        )];
    });
    let (grade, words) = judged(&crashed);
    assert_eq!(grade, HealthGrade::Unhealthy);
    assert!(
        words.contains("will retry soon. The client's host name cannot be resolved. Enter"),
        "{words}"
    );
    // While the next attempt runs, the problem stays.
    set(&mut crashed, |reported| {
        reported.state = TranslatorState::Starting;
        reported.started_at = Some(ago(0).0);
        reported.failures = 3;
        reported.exit = Some(ProcessExit::Code(1));
        reported.last_error = Some("Failed to bind".into());
    });
    crashed.instance.status = InstanceState::Starting;
    let (grade, words) = judged(&crashed);
    assert_eq!(grade, HealthGrade::Unhealthy);
    assert!(
        words.contains("is retrying. Last error: Failed to bind"),
        "{words}"
    );
    crashed.instance.status = InstanceState::Running;
    set(&mut crashed, |reported| reported.failures = 3);
    let (grade, words) = judged(&crashed);
    assert_eq!(grade, HealthGrade::Warning);
    assert!(
        words.contains("recently exited unexpectedly at least 3 times"),
        "{words}"
    );
}

#[test]
fn miners_without_a_channel_are_counted_with_their_time_and_the_fix() {
    let mut stuck = scene(TranslatorState::Running);
    report(&mut stuck).without_channel = 2;
    report(&mut stuck).without_channel_since = Some(ago(300));
    let (grade, words) = judged(&stuck);
    assert_eq!(grade, HealthGrade::Warning);
    assert!(
        words.starts_with("2 Stratum V1 miners are connected without a channel"),
        "{words}"
    );
    assert!(
        words.contains(&ago(300).local_minute())
            && words.contains("for example for the Bitaxe, stop responding while connecting"),
        "{words}"
    );
    report(&mut stuck).miners = 2;
    assert_eq!(judged(&stuck).0, HealthGrade::Unhealthy);
}

#[test]
fn rejected_shares_are_reported_with_their_reason() {
    let mut rejected = scene(TranslatorState::Running);
    let lines: Vec<String> = (0..3)
        .map(|_| line(60, "WARN translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesError(channel_id=7, error_code=stale-share)"))
        .chain([line(60, "INFO translator_sv2::sv2::channel_manager::mining_message_handler: Received: SubmitSharesSuccess(channel_id=2, last_sequence_number=9, new_submits_accepted_count=150, new_shares_sum=0)")])
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    read(&mut rejected, &lines);
    let (grade, words) = judged(&rejected);
    assert_eq!(grade, HealthGrade::Warning);
    assert!(
        words.contains("from Stratum V1 miners") && words.contains("stale-share"),
        "{words}"
    );
    // Two of more than a hundred are few, unless one miner has them all.
    read(&mut rejected, &lines[2..]);
    assert_eq!(judged(&rejected).0, HealthGrade::Healthy);
    report(&mut rejected).many_rejected = 1;
    let (grade, words) = judged(&rejected);
    assert_eq!(grade, HealthGrade::Warning);
    assert!(words.contains("from 1 Stratum V1 miner"), "{words}");
}

#[test]
fn a_translator_without_its_client_is_unhealthy_and_restarted_after_two_minutes() {
    let mut lost = scene(TranslatorState::Running);
    let loss = |seconds| {
        [line(
            seconds,
            "WARN translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback error_kind=ChannelErrorReceiver(RecvError)",
        )]
    };
    let disconnected_for = |scene: &Scene| {
        scene.with_snapshot(|look| {
            look.translator_disconnected_for()
                .map(|length| length.as_secs())
        })
    };
    for (seconds, grade) in [
        (10, HealthGrade::Unknown),
        (40, HealthGrade::Unhealthy),
        (130, HealthGrade::Unhealthy),
    ] {
        let lines = loss(seconds);
        read(&mut lost, &[&lines[0]]);
        assert_eq!(judged(&lost).0, grade, "{seconds}");
        assert_eq!(disconnected_for(&lost), Some(seconds.unsigned_abs()));
    }
    let (_, words) = judged(&lost);
    assert!(words.contains("is not connected to the client"), "{words}");
    // One that has been starting since the client became ready.
    set(&mut lost, |reported| {
        reported.state = TranslatorState::Starting;
        reported.started_at = Some(ago(7200).0);
    });
    lost.instance.since = Some(ago(90));
    assert_eq!(disconnected_for(&lost), Some(90));
    assert_eq!(judged(&lost).0, HealthGrade::Unhealthy);
    // Beside a client that is not ready, it waits.
    lost.instance.status = InstanceState::Starting;
    assert_eq!(disconnected_for(&lost), None);
}

#[test]
fn a_restart_that_the_keeper_cannot_do_is_left_to_the_user() {
    let mut lost = scene(TranslatorState::Running);
    let lines = line(
        130,
        "WARN translator_sv2::sv2::upstream: Upstream::handle_upstream_message requested fallback error_kind=ChannelErrorReceiver(RecvError)",
    );
    read(&mut lost, &[&lines]);
    let mut silent = scene(TranslatorState::Running);
    report(&mut silent).unanswered_since = Some(ago(180));
    for mut scene in [lost, silent] {
        let (grade, words) = judged(&scene);
        assert!(words.contains("jd-manager restarts"), "{words}");
        set(&mut scene, |reported| reported.can_restart = false);
        let (same, words) = judged(&scene);
        assert_eq!(same, grade);
        assert!(
            words.contains("Restart the instance.") && !words.contains("jd-manager restarts"),
            "{words}"
        );
    }
}

#[test]
fn monitoring_without_a_response_and_a_missing_program_are_reported() {
    let mut silent = scene(TranslatorState::Running);
    report(&mut silent).unanswered_since = Some(ago(90));
    let (grade, words) = judged(&silent);
    assert_eq!(grade, HealthGrade::Warning);
    assert!(words.contains("has not responded since"), "{words}");

    let mut missing = scene(TranslatorState::Stopped);
    missing.instance.status = InstanceState::Failed;
    missing.translator.as_mut().unwrap().is_missing = true;
    let (grade, words) = judged(&missing);
    assert_eq!(grade, HealthGrade::Unhealthy);
    assert!(words.contains("has no translator"), "{words}");

    let mut waiting = scene(TranslatorState::Waiting);
    assert_eq!(judged(&waiting).0, HealthGrade::Unhealthy);
    waiting.instance.since = Some(ago(5));
    assert_eq!(judged(&waiting).0, HealthGrade::Unknown);
}
