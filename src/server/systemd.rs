//! Notifies the service manager (sd_notify): readiness, status, watchdog. Does nothing without a service
//! manager.
//!
//! A tool, independent of the rest of the program.

use sd_notify::NotifyState;
use std::time::Duration;

/// The program is ready.
pub fn ready(status: &str) {
    send_state(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The program is reloading its settings; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send_state(&[NotifyState::Reloading, now]),
        Err(error) => {
            tracing::warn!(%error, "cannot read the monotonic clock; not notifying the service manager of the reload")
        }
    }
}

/// The program is stopping.
pub fn stopping(status: &str) {
    send_state(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The program is alive, with this status.
pub fn alive(status: &str) {
    send_state(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

/// The interval of watchdog notifications, if enabled: a third of the timeout, so that one may be
/// late.
pub fn watchdog_loop() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| (limit / 3).max(Duration::from_millis(50)))
}

fn send_state(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
