//! The machine against a model of the world: a client that serves, drops its miners and exits in
//! any order, and a translator that exits or hangs.

use super::*;
use proptest::prelude::*;

fn exited(is_client_lost: bool) -> TranslatorInput {
    TranslatorInput::Exited {
        exit: ProcessExit::Code(1),
        last_error: Some("ERROR x: y".into()),
        is_client_lost,
    }
}

fn changes(actions: &[TranslatorAction]) -> Vec<(TranslatorState, ChangeReason)> {
    actions
        .iter()
        .filter_map(|action| match action {
            TranslatorAction::Record(change) => Some((change.to, change.reason.clone())),
            _ => None,
        })
        .collect()
}

/// A machine whose translator has been ready for miners since `now`.
fn serving(now: u64) -> TranslatorMachine {
    let mut m = TranslatorMachine::new(TranslatorRules::default());
    m.take(TranslatorInput::Start, now, 0);
    m.take(TranslatorInput::ClientServes, now, 0);
    m.take(TranslatorInput::ClientListens, now, 0);
    m.take(TranslatorInput::Ready, now, 0);
    assert_eq!(m.state(), TranslatorState::Running);
    m
}

#[test]
fn it_starts_once_the_client_serves_and_its_port_is_open() {
    let mut m = TranslatorMachine::new(TranslatorRules::default());
    assert_eq!(
        changes(&m.take(TranslatorInput::Start, 0, 0)),
        [(TranslatorState::Waiting, ChangeReason::Asked)]
    );
    assert_eq!(
        m.take(TranslatorInput::ClientServes, 10, 0),
        [TranslatorAction::Probe]
    );
    // Said twice, it is tried once.
    assert_eq!(m.take(TranslatorInput::ClientServes, 11, 0), []);
    let start = m.take(TranslatorInput::ClientListens, 20, 0);
    assert_eq!(
        changes(&start),
        [(TranslatorState::Starting, ChangeReason::ClientServes)]
    );
    assert_eq!(start.last(), Some(&TranslatorAction::Spawn));
    assert_eq!(
        changes(&m.take(TranslatorInput::Ready, 1030, 0)),
        [(TranslatorState::Running, ChangeReason::Ready)]
    );
    // A probe that answers late starts nothing.
    assert_eq!(m.take(TranslatorInput::ClientListens, 1040, 0), []);
}

#[test]
fn a_lost_client_costs_no_failure_and_it_is_back_as_soon_as_the_client_is() {
    let mut m = serving(0);
    let lost = m.take(TranslatorInput::ClientLost, 5000, 0);
    assert_eq!(
        changes(&lost),
        [(TranslatorState::Stopping, ChangeReason::ClientLost)]
    );
    assert_eq!(
        lost.last(),
        Some(&TranslatorAction::Signal(StopSignal::Interrupt))
    );
    // The client is back before the translator has gone.
    assert_eq!(m.take(TranslatorInput::ClientServes, 5010, 0), []);
    let end = m.take(exited(true), 5020, 0);
    assert_eq!(
        changes(&end),
        [(TranslatorState::Waiting, ChangeReason::EndedAsAsked)]
    );
    assert_eq!(end.last(), Some(&TranslatorAction::Probe));
    assert_eq!(
        m.take(TranslatorInput::ClientListens, 5021, 0).last(),
        Some(&TranslatorAction::Spawn)
    );
    assert_eq!((m.failures(), m.alarm()), (0, None));
}

#[test]
fn dropped_by_a_client_that_goes_on_it_returns_at_once_three_times_a_minute() {
    let mut m = serving(0);
    let mut now = 0;
    for _ in 0..3 {
        now += 5000;
        let actions = m.take(exited(true), now, 0);
        assert_eq!(
            changes(&actions),
            [(TranslatorState::Waiting, ChangeReason::ClientLost)]
        );
        assert_eq!(actions.last(), Some(&TranslatorAction::Probe));
        assert_eq!(
            m.take(TranslatorInput::ClientListens, now, 0).last(),
            Some(&TranslatorAction::Spawn)
        );
        assert_eq!(m.failures(), 0);
    }
    let fourth = m.take(exited(true), now + 5000, 0);
    assert_eq!(
        changes(&fourth),
        [(TranslatorState::BackingOff, ChangeReason::EndedUnasked)]
    );
    assert_eq!(m.failures(), 1);

    // A minute later it may return at once again.
    let due = m.alarm().unwrap();
    assert_eq!(
        m.take(TranslatorInput::Tick, due, 0),
        [TranslatorAction::Probe]
    );
    assert_eq!(
        changes(&m.take(TranslatorInput::ClientListens, due, 0)),
        [(TranslatorState::Starting, ChangeReason::Retry)]
    );
    m.take(exited(true), due + 60_000, 0);
    assert_eq!(m.state(), TranslatorState::Waiting);
}

/// Its sockets close before a killed client is seen to have gone.
#[test]
fn a_client_that_is_lost_right_after_its_translator_costs_no_return() {
    let mut m = serving(0);
    let mut now = 0;
    for _ in 0..10 {
        now += 5000;
        m.take(exited(true), now, 0);
        assert_eq!(m.state(), TranslatorState::Waiting);
        m.take(TranslatorInput::ClientLost, now + 300, 0);
        m.take(TranslatorInput::ClientServes, now + 2000, 0);
        m.take(TranslatorInput::ClientListens, now + 2000, 0);
    }
    assert_eq!((m.state(), m.failures()), (TranslatorState::Starting, 0));
}

#[test]
fn a_crash_beside_a_healthy_client_backs_off_longer_each_time() {
    let mut m = serving(0);
    let mut now = 0;
    let mut waits = Vec::new();
    for failures in 1..=4 {
        let actions = m.take(exited(false), now, 100);
        assert_eq!(m.failures(), failures);
        let [TranslatorAction::Record(change)] = &actions[..] else {
            panic!("{actions:?}")
        };
        assert_eq!(
            (change.exit, change.last_error.as_deref()),
            (Some(ProcessExit::Code(1)), Some("ERROR x: y"))
        );
        let due = m.alarm().unwrap();
        waits.push((due - now) / 900);
        assert_eq!(m.take(TranslatorInput::Tick, due - 1, 0), []);
        m.take(TranslatorInput::Tick, due, 0);
        m.take(TranslatorInput::ClientListens, due, 0);
        now = due;
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    // It ran well for ten minutes.
    m.take(exited(false), now + 600_000, 0);
    assert_eq!(m.failures(), 1);
    // The client has gone meanwhile: a new beginning, without a wait.
    m.take(TranslatorInput::ClientLost, now + 600_001, 0);
    assert_eq!(
        (m.state(), m.failures(), m.alarm()),
        (TranslatorState::Waiting, 0, None)
    );
}

#[test]
fn a_program_that_cannot_run_is_tried_again_later() {
    let mut m = TranslatorMachine::new(TranslatorRules::default());
    m.take(TranslatorInput::Start, 0, 0);
    m.take(TranslatorInput::ClientServes, 0, 0);
    m.take(TranslatorInput::ClientListens, 0, 0);
    let detail = "cannot run /x: not found".to_owned();
    let actions = m.take(
        TranslatorInput::SpawnFailed {
            detail: detail.clone(),
        },
        0,
        0,
    );
    assert_eq!(
        changes(&actions),
        [(TranslatorState::BackingOff, ChangeReason::CannotRun(detail))]
    );
    assert!(m.alarm().is_some());
}

#[test]
fn one_that_does_not_stop_is_killed_after_its_grace() {
    let mut m = serving(0);
    let stop = m.take(TranslatorInput::Stop, 100, 0);
    assert_eq!(
        stop.last(),
        Some(&TranslatorAction::Signal(StopSignal::Interrupt))
    );
    assert!(m.is_in_grace());
    assert_eq!(m.take(TranslatorInput::Tick, 2099, 0), []);
    let kill = [TranslatorAction::Signal(StopSignal::Kill)];
    assert_eq!(m.take(TranslatorInput::Tick, 2100, 0), kill);
    assert!(!m.is_in_grace());
    assert_eq!(m.take(TranslatorInput::Tick, 5100, 0), kill);
    assert_eq!(
        changes(&m.take(exited(false), 5101, 0)),
        [(TranslatorState::Stopped, ChangeReason::Killed)]
    );
    assert_eq!(m.alarm(), None);
}

#[test]
fn another_program_replaces_it_without_a_wait() {
    let mut m = serving(0);
    let actions = m.take(TranslatorInput::Restart, 10, 0);
    assert_eq!(
        changes(&actions),
        [(TranslatorState::Stopping, ChangeReason::Reloaded)]
    );
    assert_eq!(
        m.take(exited(false), 20, 0).last(),
        Some(&TranslatorAction::Probe)
    );
    // Waiting for the port of the client, it tries the new address.
    assert_eq!(
        m.take(TranslatorInput::Restart, 30, 0),
        [TranslatorAction::Probe]
    );
    m.take(TranslatorInput::ClientListens, 40, 0);
    m.take(exited(false), 50, 0);
    assert_eq!(m.state(), TranslatorState::BackingOff);
    assert_eq!(
        m.take(TranslatorInput::Restart, 60, 0).last(),
        Some(&TranslatorAction::Probe)
    );
    assert_eq!((m.failures(), m.alarm()), (0, None));
}

#[test]
fn a_requested_restart_stops_it_and_starts_it_again_at_once() {
    let mut m = serving(0);
    let actions = m.take(TranslatorInput::RestartRequest, 10, 0);
    assert_eq!(
        changes(&actions),
        [(TranslatorState::Stopping, ChangeReason::Asked)]
    );
    let actions = m.take(exited(false), 20, 0);
    assert_eq!(
        changes(&actions),
        [(TranslatorState::Waiting, ChangeReason::EndedAsAsked)]
    );
    assert_eq!(actions.last(), Some(&TranslatorAction::Probe));
    // During a wait for a retry, the wait ends.
    m.take(TranslatorInput::ClientListens, 40, 0);
    m.take(exited(false), 50, 0);
    assert_eq!(m.state(), TranslatorState::BackingOff);
    let actions = m.take(TranslatorInput::RestartRequest, 60, 0);
    assert_eq!(actions.last(), Some(&TranslatorAction::Probe));
    assert_eq!(
        changes(&m.take(TranslatorInput::ClientListens, 70, 0)),
        [(TranslatorState::Starting, ChangeReason::Asked)]
    );
    // One without a client is not started.
    let mut m = TranslatorMachine::new(TranslatorRules::default());
    assert_eq!(m.take(TranslatorInput::RestartRequest, 0, 0), []);
}

/// What happens in the world besides what the machine does.
#[derive(Clone, Debug)]
enum TranslatorEvent {
    Start,
    Stop,
    Restart,
    ClientServes,
    ClientLost,
    /// The client's port is open.
    Listens,
    Ready,
    Exits(bool),
    Passes(u64),
    CannotRun,
}

fn happening() -> impl Strategy<Value = TranslatorEvent> {
    prop_oneof![
        2 => Just(TranslatorEvent::Start),
        1 => Just(TranslatorEvent::Stop),
        1 => Just(TranslatorEvent::Restart),
        3 => Just(TranslatorEvent::ClientServes),
        1 => Just(TranslatorEvent::ClientLost),
        4 => Just(TranslatorEvent::Listens),
        2 => Just(TranslatorEvent::Ready),
        2 => any::<bool>().prop_map(TranslatorEvent::Exits),
        2 => (0u64..20_000).prop_map(TranslatorEvent::Passes),
        1 => Just(TranslatorEvent::CannotRun),
    ]
}

/// The translator and its client as they are.
struct TranslatorModel {
    machine: TranslatorMachine,
    process: bool,
    serves: bool,
    runnable: bool,
    stubborn: bool,
    starts: Vec<u64>,
    now: u64,
}

impl TranslatorModel {
    fn take(&mut self, input: TranslatorInput) -> Result<(), TestCaseError> {
        let actions = self.machine.take(input, self.now, 0);
        for action in actions {
            match action {
                TranslatorAction::Probe => prop_assert!(self.serves, "a probe of no client"),
                TranslatorAction::Spawn => {
                    prop_assert!(!self.process, "a second translator");
                    prop_assert!(self.serves, "a start without a client that serves");
                    self.process = self.runnable;
                    self.starts.push(self.now);
                    if !self.runnable {
                        self.take(TranslatorInput::SpawnFailed { detail: "x".into() })?;
                    }
                }
                TranslatorAction::Signal(signal) => {
                    prop_assert!(self.process, "a signal to nobody");
                    if !self.stubborn || signal == StopSignal::Kill {
                        self.process = false;
                        self.take(exited(false))?;
                    }
                }
                TranslatorAction::Record(change) => prop_assert!(change.from != change.to),
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let m = &self.machine;
        prop_assert_eq!(self.process, m.state().has_process());
        let has_alarm = match m.state() {
            TranslatorState::Stopping => true,
            TranslatorState::BackingOff => !m.is_probing(),
            _ => false,
        };
        prop_assert_eq!(m.alarm().is_some(), has_alarm);
        prop_assert!(!m.is_probing() || self.serves);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn never_two_never_without_a_client_and_a_stop_always_reaches_rest(
        happenings in prop::collection::vec(happening(), 1..80),
        stubborn: bool,
    ) {
        let machine = TranslatorMachine::new(TranslatorRules::default());
        let mut world = TranslatorModel { machine, process: false, serves: false, runnable: true, stubborn, starts: Vec::new(), now: 0 };
        // The number of starts that a request or a new run of the client explains.
        let mut occasions = 0;
        for happening in happenings {
            let input = match happening {
                TranslatorEvent::Start => TranslatorInput::Start,
                TranslatorEvent::Stop => { world.serves = false; TranslatorInput::Stop }
                TranslatorEvent::Restart => { occasions += 1; TranslatorInput::Restart }
                TranslatorEvent::ClientServes => { occasions += 1; world.serves = true; TranslatorInput::ClientServes }
                TranslatorEvent::ClientLost => { world.serves = false; TranslatorInput::ClientLost }
                TranslatorEvent::Listens => TranslatorInput::ClientListens,
                TranslatorEvent::Ready if world.process => TranslatorInput::Ready,
                TranslatorEvent::Exits(lost) if world.process => { world.process = false; exited(lost) }
                TranslatorEvent::Passes(by) => { world.now += by; TranslatorInput::Tick }
                TranslatorEvent::CannotRun => { world.runnable = !world.runnable; continue }
                _ => continue,
            };
            world.take(input)?;
            world.check()?;
        }
        // Within a second each occasion leads to a start, three returns and no second retry.
        for at in &world.starts {
            let near = world.starts.iter().filter(|other| (*at..*at + 800).contains(other)).count();
            prop_assert!(near <= 5 * (occasions + 1), "{near} starts, {occasions} occasions");
        }

        world.serves = false;
        world.take(TranslatorInput::Stop)?;
        for _ in 0..2 {
            if let Some(at) = world.machine.alarm() {
                world.now = world.now.max(at);
                world.take(TranslatorInput::Tick)?;
            }
        }
        world.check()?;
        prop_assert_eq!(world.machine.state(), TranslatorState::Stopped);

        // Started again beside a client that serves, it comes back.
        world.runnable = true;
        world.serves = true;
        world.take(TranslatorInput::Start)?;
        world.take(TranslatorInput::ClientServes)?;
        world.take(TranslatorInput::ClientListens)?;
        prop_assert_eq!(world.machine.state(), TranslatorState::Starting);
    }
}
