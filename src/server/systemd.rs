//! What the service manager is told (sd_notify): that the program serves, what it is doing, that it
//! still does. Without one that asks, nothing.
//!
//! A tool: knows nobody whose life it tells.

use sd_notify::NotifyState;
use std::time::Duration;

/// The program serves.
pub fn ready(status: &str) {
    send_state(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Settings are being read again; [`ready`] says when that is over.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send_state(&[NotifyState::Reloading, now]),
        Err(error) => {
            tracing::warn!(%error, "cannot read the monotonic clock; not notifying the service manager of the reload")
        }
    }
}

/// It is ending.
pub fn stopping(status: &str) {
    send_state(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// It is alive, and does this.
pub fn alive(status: &str) {
    send_state(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

/// Time between two signs of life, if any are waited for: a third of what the watchdog bears, so
/// that one may be late.
pub fn watchdog_loop() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| (limit / 3).max(Duration::from_millis(50)))
}

fn send_state(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
