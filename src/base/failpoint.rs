//! Places where a test can kill the program, as `kill -9` or a power failure would. They do nothing
//! in a release build.
//!
//! Vocabulary: defines no places itself; code that must survive being killed at some point calls [`reach`]
//! there.

/// The environment variable with the place at which this process kills itself.
#[cfg(debug_assertions)]
const VARIABLE: &str = "JD_MANAGER_FAIL_POINT";

/// Kills the process with SIGKILL if the environment names this place. Does nothing in a release
/// build.
#[inline]
pub fn reach(place: &str) {
    #[cfg(debug_assertions)]
    if std::env::var(VARIABLE).is_ok_and(|named| named == place) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal may take a moment; nothing may happen until then.
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    #[cfg(not(debug_assertions))]
    let _ = place;
}
