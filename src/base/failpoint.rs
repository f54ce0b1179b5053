//! Places at which a test lets the program die, as `kill -9` or a power cut would. There are none
//! in a release build.
//!
//! Vocabulary: knows no place by name; whoever must survive being killed somewhere calls [`reach`]
//! there.

/// The variable that names the place at which this process kills itself.
#[cfg(debug_assertions)]
const VARIABLE: &str = "JD_MANAGER_FAIL_POINT";

/// Ends the process by SIGKILL if the environment names this place. In a release build this is
/// nothing.
#[inline]
pub fn reach(place: &str) {
    #[cfg(debug_assertions)]
    if std::env::var(VARIABLE).is_ok_and(|named| named == place) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal may take a moment; nothing may happen in it.
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    #[cfg(not(debug_assertions))]
    let _ = place;
}
