//! Tests of silent failures: a pool that no longer responds on an open connection, a template
//! provider that sends nothing, a hung client.

use super::*;

const POOL: &str = "jd_client_sv2::channel_manager::upstream_message_handler";
const TEMPLATES: &str = "jd_client_sv2::channel_manager::template_message_handler";
const MINERS: &str = "jd_client_sv2::channel_manager::downstream_message_handler";

/// A log written line by line, with times in seconds before [`NOW`].
struct ClientLog(ClientStatus);

impl ClientLog {
    /// A client that has just connected to its pool.
    fn of_pool(began: i64) -> Self {
        let mut log = Self(ClientStatus::default());
        log.say(
            began,
            "jd_client_sv2::jdc_runtime",
            "Sv2 Template Provider setup done",
        );
        log.say(
            began,
            "jd_client_sv2::jdc_runtime",
            "Trying upstream 1 of 1: pool=pool.example:3333, jds=pool.example:3334",
        );
        log.say(
            began,
            "jd_client_sv2::job_declarator",
            "Job declarator: SV2 handshake completed successfully.",
        );
        log
    }

    fn say(&mut self, before: i64, target: &str, message: &str) {
        let line = format!("{}  INFO {target}: {message}", ago(before));
        self.0.apply_line(line.as_bytes());
    }

    fn template(&mut self, before: i64, block: u64) {
        self.say(
            before,
            TEMPLATES,
            "Received: NewTemplate(template_id: 1, future_template: true)",
        );
        self.say(
            before,
            TEMPLATES,
            &format!(
                "Received: SetNewPrevHash {{ template_id: 1, prev_hash: U256({block:064x}), header_timestamp: {} }}",
                ago(before).0 / 1000
            ),
        );
    }

    fn job_accepted(&mut self, before: i64) {
        self.say(
            before,
            POOL,
            "Received: SetCustomMiningJobSuccess(channel_id=7, request_id=2, job_id=101) ✅",
        );
    }

    fn share(&mut self, before: i64, is_sent: bool) {
        self.say(
            before,
            MINERS,
            "SubmitSharesExtended on downstream channel: valid share | channel_id: 2, sequence_number: 1, share_hash: 01b318b0 ☑️",
        );
        if is_sent {
            self.say(
                before,
                MINERS,
                "SubmitSharesExtended forwarding it to upstream: valid share | channel_id: 2, sequence_number: 1, share_hash: 01b318b0  ✅",
            );
        }
    }

    fn acknowledged(&mut self, before: i64, count: u64) {
        self.say(
            before,
            POOL,
            &format!(
                "Received: SubmitSharesSuccess(channel_id=7, last_sequence_number=1, new_submits_accepted_count={count}, new_shares_sum=1) ✅"
            ),
        );
    }

    fn scene(self) -> Scene {
        Scene {
            standing: self.0,
            ..Scene::well()
        }
    }
}

/// A pool that responds to a template every 20 s and a share every 5 s, and stops responding `silent`
/// seconds ago.
fn frozen_pool(silent: i64) -> Scene {
    let mut log = ClientLog::of_pool(1800);
    for before in (0..1800).rev() {
        if before % 20 == 0 {
            log.template(before, 1);
            if before >= silent {
                log.job_accepted(before);
            }
        }
        if before % 5 == 0 {
            log.share(before, before + 20 > silent);
            if before >= silent {
                log.acknowledged(before, 1);
            }
        }
    }
    log.scene()
}

#[test]
fn a_pool_that_answers_nothing_over_an_open_connection_is_found_within_three_minutes() {
    assert_eq!(
        frozen_pool(100).find(HealthCheck::Upstream).0,
        HealthGrade::Healthy,
        "a pause"
    );
    let (grade, message) = frozen_pool(150).find(HealthCheck::Upstream);
    assert_eq!(grade, HealthGrade::Unhealthy, "{message}");
    assert!(
        message.contains(&ago(150).local_minute())
            && message.contains("More than 10 shares are unacknowledged"),
        "{message}"
    );
}

/// A single slow miner: one share in five minutes, which the pool acknowledges in tens, and a
/// template every quarter of an hour.
#[test]
fn a_pool_that_has_nothing_to_answer_is_not_silent() {
    for age in (0..=7200).step_by(60) {
        let mut log = ClientLog::of_pool(86_400 + age);
        let mut shares = 0;
        for before in (age..86_400 + age).rev() {
            if before % 900 == 0 {
                log.template(before, 1);
                log.job_accepted(before);
            }
            if before % 300 == 0 {
                log.share(before, true);
                shares += 1;
                if shares % 10 == 0 {
                    log.acknowledged(before, 10);
                }
            }
        }
        let found = log.scene().find(HealthCheck::Upstream);
        assert_eq!(found.0, HealthGrade::Healthy, "{age}: {found:?}");
    }
}

/// The client's node is a block behind: the pool responds to each job, and shares wait for a job that
/// it accepts. A restart would not help.
#[test]
fn a_pool_that_rejects_every_job_as_outdated_is_not_silent() {
    let mut log = ClientLog::of_pool(600);
    for before in (0..600).rev() {
        if before % 20 == 0 {
            log.template(before, 1);
            log.say(
                before,
                POOL,
                "Received: SetCustomMiningJobError(channel_id=7, request_id=2, error_code=stale-chain-tip)",
            );
        }
        if before % 5 == 0 {
            log.share(before, false);
        }
    }
    let found = log.scene().find(HealthCheck::Upstream);
    assert_eq!(found.0, HealthGrade::Healthy, "{found:?}");
}

#[test]
fn shares_that_the_pool_never_acknowledges_are_found_without_a_new_template() {
    let mut log = ClientLog::of_pool(1200);
    log.template(1200, 1);
    log.job_accepted(1200);
    for before in (0..600).rev().step_by(20) {
        log.share(before, true);
    }
    let (grade, message) = log.scene().find(HealthCheck::Upstream);
    assert_eq!(grade, HealthGrade::Unhealthy, "{message}");
}

#[test]
fn a_provider_that_stops_sending_is_suspicious_after_a_few_of_its_usual_intervals() {
    let silent_for = |interval: i64, seconds: i64| {
        let mut log = ClientLog::of_pool(seconds + 20 * interval);
        for round in (0..20).rev() {
            log.template(seconds + round * interval, 1);
        }
        log.scene().find(HealthCheck::Template)
    };
    for (interval, healthy, suspicious) in [(3, 170, 190), (30, 350, 370), (600, 5390, 5410)] {
        let found = silent_for(interval, healthy);
        assert_eq!(found.0, HealthGrade::Healthy, "{interval}: {found:?}");
        let (grade, message) = silent_for(interval, suspicious);
        assert_eq!(grade, HealthGrade::Warning, "{interval}: {message}");
        assert!(
            message.contains("Restart the template provider"),
            "{message}"
        );
    }
    let mut scene = Scene::well();
    scene.missing_block = Some(SeenBlock {
        hash: "000000000000000000017f6d1f8c9b".into(),
        at: ago(61),
    });
    let (grade, message) = scene.find(HealthCheck::Template);
    assert_eq!(grade, HealthGrade::Unhealthy);
    assert!(
        message.contains("block 000000000000000000017f6d1f8c9b"),
        "{message}"
    );
    // The advice is about the node if there is no separate template provider.
    scene.running.uses_node_socket = true;
    let message = scene.find(HealthCheck::Template).1;
    assert!(
        !message.contains("sv2-tp") && message.contains("the node"),
        "{message}"
    );
}

#[test]
fn stale_shares_after_the_last_template_show_that_the_node_is_behind() {
    let with_refusals = |count: usize| {
        let mut log = ClientLog::of_pool(900);
        for before in [600, 300, 90] {
            log.template(before, 1);
        }
        for _ in 0..count {
            log.say(
                30,
                POOL,
                "Received: SubmitSharesError(channel_id=7, sequence_number=5, error_code=stale-share) ❌",
            );
        }
        log
    };
    assert_eq!(
        with_refusals(2).scene().find(HealthCheck::Template).0,
        HealthGrade::Healthy
    );
    let mut log = with_refusals(3);
    let (grade, message) = ClientLog(log.0.clone()).scene().find(HealthCheck::Template);
    assert_eq!(grade, HealthGrade::Unhealthy, "{message}");
    log.template(10, 2);
    assert_eq!(
        log.scene().find(HealthCheck::Template).0,
        HealthGrade::Healthy
    );
}

#[test]
fn a_client_hangs_when_neither_its_log_nor_its_monitoring_says_anything() {
    let scene = |heard: i64, longest_pause: u64, unanswered: i64, has_answered: bool| {
        let mut scene = Scene::well();
        scene.standing.heard = Some(ago(heard));
        scene.standing.longest_pause_ms = longest_pause * 1000;
        scene.measured.as_mut().unwrap().monitoring = Some(MonitoringState::Not {
            since: ago(unanswered).0 / 1000,
            words: "No answer.".into(),
            has_answered,
        });
        scene
    };
    for (heard, longest_pause, unanswered, has_answered, hangs) in [
        (95, 60, 80, true, true),
        (85, 60, 80, true, false),
        // Before, it was stopped for 20 s in every minute.
        (110, 80, 80, true, false),
        (125, 80, 100, true, true),
        (95, 60, 40, true, false),
        // The machine was suspended for a night earlier in this run.
        (610, 30_000, 600, true, true),
        // Its monitoring was never reachable, and it logs warnings only.
        (3600, 60, 3600, false, false),
    ] {
        let scene = scene(heard, longest_pause, unanswered, has_answered);
        let (grade, message) = scene.find(HealthCheck::Process);
        assert_eq!(
            (grade == HealthGrade::Unhealthy, message.contains("is hung")),
            (hangs, hangs),
            "{heard} {longest_pause} {unanswered} {has_answered}: {message}"
        );
    }
    let mut answers = scene(95, 60, 80, true);
    answers.measured.as_mut().unwrap().monitoring = Some(MonitoringState::Still(1));
    assert_eq!(answers.find(HealthCheck::Process).0, HealthGrade::Healthy);
}
