//! Checks of the machine: a running manager, the address of the web page, sign-in, and the clock.

use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::report::DoctorCheck;
use crate::base::clock::Timestamp;
use crate::base::ids::InstanceId;
use crate::cli::client::check_manager;
use crate::domain::access::check_exposure;
use crate::domain::instances::first_taken;
use crate::server::settings::Settings;

/// Time for `timedatectl`, which asks another service.
const TIMEDATECTL: Duration = Duration::from_secs(3);
/// The clock of a machine without a battery starts far in the past. This program is younger.
const EARLIEST: &str = "2025-06-01T00:00:00Z";

/// Whether a manager uses the data directory. It holds a lock while it runs.
pub fn is_running(settings: &Settings) -> bool {
    File::options()
        .read(true)
        .open(settings.data_dir.join("manager.lock"))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether the running manager responds.
pub async fn check_running_manager(settings: &Settings, is_running: bool) -> DoctorCheck {
    const ID: &str = "manager";
    const TITLE: &str = "jd-manager";
    if !is_running {
        return DoctorCheck::skipped(ID, TITLE, "Is not running with this data directory.");
    }
    match check_manager(settings).await {
        Ok(()) => DoctorCheck::ok(ID, TITLE, "Is running and responds."),
        Err(why) => DoctorCheck::error(ID, TITLE, format!("Is running, but {why}.")).with_fix(
            "Pass the same settings as the running jd-manager. If they are the same, restart it; the clients can keep running (--on-shutdown leave).",
        ),
    }
}

/// Whether a manager that is not running yet can listen at its address.
pub fn check_address(listen: SocketAddr, is_running: bool) -> DoctorCheck {
    const ID: &str = "web-address";
    const TITLE: &str = "Address of the web page";
    if is_running || listen.port() == 0 {
        return DoctorCheck::skipped(
            ID,
            TITLE,
            format!("{listen} was not tested: jd-manager is running, or it chooses a free port."),
        );
    }
    let error = |detail: String| DoctorCheck::error(ID, TITLE, detail);
    match TcpListener::bind(listen) {
        Ok(_) => DoctorCheck::ok(ID, TITLE, format!("{listen} is free.")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            let taken = first_taken(&[("the web page", listen)], InstanceId::random());
            let holder = taken.as_ref().map_or_else(
                || "another program".to_owned(),
                |taken| taken.holder.to_string(),
            );
            let port = taken.and_then(|taken| taken.free);
            let address = SocketAddr::new(listen.ip(), port.unwrap_or(listen.port()));
            error(format!("{listen} is already in use by {holder}.")).with_fix(match port {
                Some(_) => {
                    format!("Stop that program, or start jd-manager with --listen {address}.")
                }
                None => "Stop that program, or choose another port with --listen.".into(),
            })
        }
        Err(e) if e.kind() == std::io::ErrorKind::AddrNotAvailable => {
            error(format!("{listen} is not an address of this machine.")).with_fix(format!(
                "Use 127.0.0.1:{0} for this machine only, or 0.0.0.0:{0} for all its addresses.",
                listen.port()
            ))
        }
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => error(format!(
            "This user may not listen on port {}.",
            listen.port()
        ))
        .with_fix("Choose a port from 1024 on with --listen."),
        Err(e) => error(format!("Cannot listen on {listen}: {e}."))
            .with_fix("Choose another address with --listen."),
    }
}

/// Whether people have to sign in, if other machines can reach the page.
pub fn check_sign_in(settings: &Settings, has_users: bool) -> DoctorCheck {
    const ID: &str = "sign-in";
    const TITLE: &str = "Sign-in";
    let is_protected = has_users || settings.setup || settings.password.is_some();
    let detail = match (settings.listen.ip().is_loopback(), has_users) {
        (_, true) => "There are users.",
        (true, false) => {
            "There are no users, and only this machine can open the page. To open it from other machines, start jd-manager with --setup --listen 0.0.0.0:3000."
        }
        (false, false) => {
            "The first user is created with the printed code or the password from the settings."
        }
    };
    match check_exposure(settings.listen, is_protected, &settings.data_dir) {
        Ok(()) => DoctorCheck::ok(ID, TITLE, detail),
        Err(_) => DoctorCheck::error(
            ID,
            TITLE,
            format!("Other machines can reach {}, and there are no users. jd-manager does not start like this.", settings.listen),
        )
        .with_fix(format!(
            "Add --setup and create the first user in the browser with the code that jd-manager prints, or run: jd-manager set-password --data-dir {}",
            settings.data_dir.display()
        )),
    }
}

/// Whether the clock is plausible and synchronized. Certificates of pools and job deadlines depend on
/// it.
pub async fn check_clock() -> DoctorCheck {
    const ID: &str = "clock";
    const TITLE: &str = "Clock";
    const FIX: &str = "Turn on time synchronization, for example: sudo apt install systemd-timesyncd && sudo timedatectl set-ntp true. Pools and template providers reject clients whose clock is wrong by more than 10 s.";
    let now = Timestamp::now();
    if EARLIEST
        .parse()
        .is_ok_and(|earliest: Timestamp| now < earliest)
    {
        return DoctorCheck::error(
            ID,
            TITLE,
            format!("The clock says {now}, which is in the past."),
        )
        .with_fix(FIX);
    }
    match is_synchronized().await {
        Some(true) => DoctorCheck::ok(ID, TITLE, "Synchronized."),
        Some(false) => DoctorCheck::warning(
            ID,
            TITLE,
            format!("The clock is not synchronized. It says {now}."),
        )
        .with_fix(FIX),
        None => DoctorCheck::skipped(
            ID,
            TITLE,
            format!(
                "The clock says {now}. Whether it is synchronized is unknown: there is no timedatectl."
            ),
        ),
    }
}

/// What systemd says about the synchronization of the clock; none: there is no systemd.
async fn is_synchronized() -> Option<bool> {
    let asked = tokio::process::Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEDATECTL, asked).await.ok()?.ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::DoctorStatus;
    use super::*;
    use crate::server::settings::SettingsInput;

    #[test]
    fn an_address_is_free_taken_or_not_of_this_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap();
        let check = check_address(taken, false);
        assert_eq!(check.status, DoctorStatus::Error);
        assert!(
            check
                .detail
                .contains(&format!("(pid {})", std::process::id())),
            "{check:?}"
        );
        assert!(check.fix.unwrap().contains("--listen 127.0.0.1:"));
        assert_eq!(check_address(taken, true).status, DoctorStatus::Skipped);
        drop(listener);
        assert_eq!(check_address(taken, false).status, DoctorStatus::Ok);
        let foreign = check_address("203.0.113.1:3000".parse().unwrap(), false);
        assert_eq!(foreign.status, DoctorStatus::Error);
        assert!(foreign.fix.unwrap().contains("0.0.0.0:3000"));
    }

    #[test]
    fn an_open_address_without_users_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings =
            Settings::collect(SettingsInput::in_dir(Some(dir.path().into())), None).unwrap();
        assert_eq!(check_sign_in(&settings, false).status, DoctorStatus::Ok);
        settings.listen = "0.0.0.0:3000".parse().unwrap();
        let open = check_sign_in(&settings, false);
        assert_eq!(open.status, DoctorStatus::Error);
        assert!(open.fix.unwrap().contains("--setup"));
        assert_eq!(check_sign_in(&settings, true).status, DoctorStatus::Ok);
        settings.setup = true;
        assert_eq!(check_sign_in(&settings, false).status, DoctorStatus::Ok);
        assert!(!is_running(&settings));
    }
}
