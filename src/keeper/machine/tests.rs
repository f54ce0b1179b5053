//! Tests the machine against a model of the world: regardless of the order of events, there is
//! never a second client, and the last request is fulfilled or a reason is recorded.

use super::*;
use proptest::prelude::*;

fn machine(policy: RestartPolicy) -> LifecycleMachine {
    LifecycleMachine::new(MachineRules {
        policy,
        ..MachineRules::default()
    })
}

fn states(actions: &[MachineAction]) -> Vec<InstanceState> {
    actions
        .iter()
        .filter_map(|a| {
            if let MachineAction::Record(c) = a {
                Some(c.to)
            } else {
                None
            }
        })
        .collect()
}

fn exited(code: i32) -> MachineInput {
    MachineInput::Exited {
        exit: ProcessExit::Code(code),
        last_error: Some("ERROR x: y".into()),
    }
}

#[test]
fn a_life_without_trouble() {
    let mut m = machine(RestartPolicy::OnFailure);
    assert!(
        m.take(MachineInput::Start, 0, 0)
            .contains(&MachineAction::Spawn)
    );
    m.take(MachineInput::Spawned { pid: 7 }, 1, 0);
    assert_eq!(
        states(&m.take(MachineInput::Ready, 1000, 0)),
        [InstanceState::Running]
    );
    let stop = m.take(MachineInput::Stop, 2000, 0);
    assert!(stop.contains(&MachineAction::Signal(StopSignal::Interrupt)));
    let end = m.take(exited(0), 2010, 0);
    assert_eq!(states(&end), [InstanceState::Stopped]);
    assert!(
        matches!(&end[0], MachineAction::Record(c) if c.reason == ChangeReason::EndedAsAsked && c.exit == Some(ProcessExit::Code(0)))
    );
    assert_eq!(end.last(), Some(&MachineAction::Quit));
}

#[test]
fn an_exit_nobody_asked_for_is_a_failure_even_with_code_0() {
    let mut m = machine(RestartPolicy::OnFailure);
    m.take(MachineInput::Start, 0, 0);
    m.take(MachineInput::Ready, 10, 0);
    let actions = m.take(exited(0), 5000, 0);
    assert_eq!(states(&actions), [InstanceState::BackingOff]);
    let MachineAction::Record(change) = &actions[0] else {
        panic!("not recorded")
    };
    assert_eq!(
        (change.exit, change.last_error.as_deref()),
        (Some(ProcessExit::Code(0)), Some("ERROR x: y"))
    );
    assert!(change.wait.is_some_and(|w| w >= Duration::from_millis(900)));
    // Not before its time.
    assert!(
        m.take(MachineInput::Tick, m.alarm().unwrap() - 1, 0)
            .is_empty()
    );
    assert!(
        m.take(MachineInput::Tick, m.alarm().unwrap(), 0)
            .contains(&MachineAction::Spawn)
    );
}

#[test]
fn waits_grow_until_it_ran_well_for_a_while() {
    let mut m = machine(RestartPolicy::OnFailure);
    let mut now = 0;
    m.take(MachineInput::Start, now, 0);
    for failures in 1..=5 {
        now += 4000;
        m.take(exited(1), now, 0);
        assert_eq!(m.failures(), failures);
        now = m.alarm().unwrap();
        m.take(MachineInput::Tick, now, 0);
    }
    now += 600_000;
    m.take(exited(1), now, 0);
    assert_eq!(m.failures(), 1);
}

#[test]
fn policies_differ_in_what_is_final() {
    let cannot = || MachineInput::SpawnFailed {
        detail: "no such file".into(),
    };
    for (policy, after_exit, after_cannot_run) in [
        (
            RestartPolicy::Never,
            InstanceState::Failed,
            InstanceState::Failed,
        ),
        (
            RestartPolicy::OnFailure,
            InstanceState::BackingOff,
            InstanceState::Failed,
        ),
        (
            RestartPolicy::Always,
            InstanceState::BackingOff,
            InstanceState::BackingOff,
        ),
    ] {
        let mut m = machine(policy);
        m.take(MachineInput::Start, 0, 0);
        m.take(exited(1), 5, 0);
        assert_eq!(m.state(), after_exit, "{policy:?}");
        let mut m = machine(policy);
        m.take(MachineInput::Start, 0, 0);
        m.take(cannot(), 5, 0);
        assert_eq!(m.state(), after_cannot_run, "{policy:?}");
    }
}

#[test]
fn a_stubborn_client_is_ended_step_by_step() {
    let mut m = machine(RestartPolicy::OnFailure);
    m.take(MachineInput::Start, 0, 0);
    assert!(
        m.take(MachineInput::Stop, 100, 0)
            .contains(&MachineAction::Signal(StopSignal::Interrupt))
    );
    assert!(m.take(MachineInput::Tick, 15_099, 0).is_empty());
    assert_eq!(
        m.take(MachineInput::Tick, 15_100, 0),
        [MachineAction::Signal(StopSignal::Terminate)]
    );
    assert_eq!(
        m.take(MachineInput::Tick, 18_100, 0),
        [MachineAction::Signal(StopSignal::Kill)]
    );
    let end = m.take(
        MachineInput::Exited {
            exit: ProcessExit::Signal(9),
            last_error: None,
        },
        18_110,
        0,
    );
    assert!(matches!(&end[0], MachineAction::Record(c) if c.reason == ChangeReason::Killed));
}

#[test]
fn a_restart_waits_for_the_end_of_the_old_client() {
    let mut m = machine(RestartPolicy::Never);
    m.take(MachineInput::Start, 0, 0);
    assert!(
        !m.take(MachineInput::Restart, 1, 0)
            .contains(&MachineAction::Spawn)
    );
    let actions = m.take(exited(0), 20, 0);
    assert_eq!(
        states(&actions),
        [InstanceState::Stopped, InstanceState::Starting]
    );
    assert_eq!(actions.last(), Some(&MachineAction::Spawn));
    // A stop that comes while it is being restarted wins.
    m.take(MachineInput::Restart, 30, 0);
    m.take(MachineInput::Stop, 31, 0);
    assert_eq!(m.take(exited(0), 40, 0).last(), Some(&MachineAction::Quit));
}

#[test]
fn a_manual_start_while_backing_off_tries_now_and_forgets_the_failures() {
    let mut m = machine(RestartPolicy::OnFailure);
    m.take(MachineInput::Start, 0, 0);
    m.take(exited(1), 5, 0);
    assert!(
        m.take(MachineInput::Start, 6, 0)
            .contains(&MachineAction::Spawn)
    );
    assert_eq!(m.failures(), 0);
}

#[test]
fn too_many_failures_in_too_short_a_time_are_given_up_on_until_somebody_starts_it_again() {
    let limit = Some(RestartLimit {
        failures: 3,
        within_s: 60,
    });
    let mut m = LifecycleMachine::new(MachineRules {
        policy: RestartPolicy::Always,
        limit,
        ..MachineRules::default()
    });
    let mut now = 0;
    m.take(MachineInput::Start, now, 0);
    let mut fail = |m: &mut LifecycleMachine, after: u64| {
        now += after;
        let actions = m.take(exited(1), now, 0);
        if m.state() == InstanceState::BackingOff {
            now = m.alarm().unwrap();
            m.take(MachineInput::Tick, now, 0);
        }
        actions
    };
    // Spread over a longer time, they do not exceed the limit.
    for _ in 0..5 {
        fail(&mut m, 40_000);
        assert_eq!(m.state(), InstanceState::Starting);
    }
    fail(&mut m, 1000);
    let last = fail(&mut m, 1000);
    assert_eq!(m.state(), InstanceState::Failed);
    assert!(
        matches!(&last[0], MachineAction::Record(c) if c.reason == ChangeReason::GaveUp { failures: 3, within_s: 60 } && c.exit.is_some()),
        "{last:?}"
    );
    assert_eq!(last.last(), Some(&MachineAction::Quit));
    // A manual start forgets them.
    m.take(MachineInput::Start, 1_000_000, 0);
    m.take(exited(1), 1_000_001, 0);
    assert_eq!(m.state(), InstanceState::BackingOff);
}

/// Events of the world, in addition to the machine's actions.
#[derive(Clone, Debug)]
enum Happening {
    Start,
    Stop,
    Restart,
    Ready,
    Dies(i32),
    Passes(u64),
    CannotRun,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Start),
        Just(Happening::Stop),
        Just(Happening::Restart),
        Just(Happening::Ready),
        (0..3i32).prop_map(Happening::Dies),
        (0u64..700_000).prop_map(Happening::Passes),
        Just(Happening::CannotRun),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn never_two_clients_and_what_is_wanted_is_reached(
        happenings in prop::collection::vec(happening(), 1..60),
        policy in prop_oneof![Just(RestartPolicy::Never), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Always)],
        stubborn: bool,
    ) {
        let mut m = machine(policy);
        let mut client = false;
        let mut runnable = true;
        let mut now = 0u64;
        let mut wanted = false;

        // The world runs the machine's actions; a stubborn client reacts only to SIGKILL.
        fn carry_out(m: &mut LifecycleMachine, actions: Vec<MachineAction>, client: &mut bool, runnable: bool, stubborn: bool, now: u64) -> Result<(), TestCaseError> {
            for action in actions {
                match action {
                    MachineAction::Spawn => {
                        prop_assert!(!*client, "a second client");
                        *client = runnable;
                        let input = if runnable { MachineInput::Spawned { pid: 1 } } else { MachineInput::SpawnFailed { detail: "x".into() } };
                        let more = m.take(input, now, 0);
                        carry_out(m, more, client, runnable, stubborn, now)?;
                    }
                    MachineAction::Signal(signal) => {
                        prop_assert!(*client, "a signal to nobody");
                        if !stubborn || signal == StopSignal::Kill {
                            *client = false;
                            let more = m.take(MachineInput::Exited { exit: ProcessExit::Signal(9), last_error: None }, now, 0);
                            carry_out(m, more, client, runnable, stubborn, now)?;
                        }
                    }
                    MachineAction::Record(change) => prop_assert!(change.from != change.to),
                    MachineAction::Quit => {
                        prop_assert!(!*client, "the keeper leaves its client alone");
                        prop_assert!(m.state().is_at_rest());
                    }
                }
            }
            Ok(())
        }

        for happening in happenings {
            let input = match happening {
                Happening::Start => { wanted = true; MachineInput::Start }
                Happening::Restart => { wanted = true; MachineInput::Restart }
                Happening::Stop => { wanted = false; MachineInput::Stop }
                Happening::Ready if client => MachineInput::Ready,
                Happening::Dies(code) if client => { client = false; exited(code) }
                Happening::Passes(by) => { now += by; MachineInput::Tick }
                Happening::CannotRun => { runnable = !runnable; continue }
                _ => continue,
            };
            let actions = m.take(input, now, 0);
            carry_out(&mut m, actions, &mut client, runnable, stubborn, now)?;
            prop_assert_eq!(client, m.state().has_client());
            prop_assert!(m.alarm().is_some() == matches!(m.state(), InstanceState::BackingOff | InstanceState::Stopping));
        }

        // Without further events and with a client that can run, the machine reaches the last
        // requested state.
        runnable = true;
        for _ in 0..8 {
            if let Some(at) = m.alarm() {
                now = now.max(at);
                let actions = m.take(MachineInput::Tick, now, 0);
                carry_out(&mut m, actions, &mut client, runnable, stubborn, now)?;
            }
        }
        match (wanted, m.state()) {
            (true, InstanceState::Starting | InstanceState::Running | InstanceState::Failed) | (false, InstanceState::Stopped | InstanceState::Failed) => {}
            other => prop_assert!(false, "wanted {} ended {:?}", other.0, other.1),
        }
    }
}

/// A long outage: the wait has grown, and ends soon after the dependency is back, for each instance
/// at a different moment.
#[test]
fn what_a_client_needs_is_back_and_the_wait_ends() {
    let failed = |chance: u64| {
        let mut m = LifecycleMachine::new(MachineRules::default());
        m.take(MachineInput::Start, 0, chance);
        let mut now = 0;
        for _ in 0..9 {
            m.take(exited(0), now, chance);
            now = m.alarm().unwrap();
            m.take(MachineInput::Tick, now, chance);
        }
        m.take(exited(0), now, chance);
        (m, now)
    };
    let mut starts = Vec::new();
    for chance in [0, 700, 1999] {
        let (mut m, now) = failed(chance);
        let back = now + 60_000;
        assert!(m.alarm().unwrap() > back + 100_000);
        assert_eq!(m.take(MachineInput::DependencyBack, back, chance), []);
        let start = m.alarm().unwrap();
        starts.push(start - back);
        assert_eq!(m.take(MachineInput::Tick, start - 1, 0), []);
        assert_eq!(
            m.take(MachineInput::Tick, start, 0).last(),
            Some(&MachineAction::Spawn)
        );
    }
    assert_eq!(starts, [0, 700, 1999]);
    // A flapping dependency does not start the client more often than every five seconds.
    let (mut m, now) = failed(0);
    m.take(MachineInput::DependencyBack, now + 1000, 0);
    assert_eq!(m.alarm().unwrap(), now + 5000);
    // A wait that ends earlier still ends earlier.
    let mut m = LifecycleMachine::new(MachineRules::default());
    m.take(MachineInput::Start, 0, 0);
    m.take(exited(0), 0, 0);
    let alarm = m.alarm();
    m.take(MachineInput::DependencyBack, 10, 0);
    assert_eq!(m.alarm(), alarm);
    m.take(MachineInput::Stop, 20, 0);
    assert_eq!(m.take(MachineInput::DependencyBack, 30, 0), []);
    assert_eq!(m.alarm(), None);
}
