//! `jd-manager doctor`: checks what a first start needs, and says what to fix. It changes nothing, and
//! works with and without a running manager: it reads the database itself, because a manager that
//! does not start cannot be asked.
//!
//! * `report`: the report as text and JSON. `storage`: data directory and database. `machine`: address,
//!   sign-in, clock, running manager. `mining`: client, template provider, pools, configurations.

mod machine;
mod mining;
mod report;
mod storage;

use std::process::ExitCode;

use super::{complain, print};
use crate::base::visible::on_terminal;
use crate::server::settings::Settings;
use report::{DoctorCheck, DoctorReport, DoctorStatus};

/// Printed below the help.
pub const HELP: &str = "Exit codes: 0 no errors (there may be warnings); 3 there is an error; 1 the command failed; 2 usage error or invalid settings.

Pass the same settings as for jd-manager serve. Examples:
  jd-manager doctor
  jd-manager doctor --listen 0.0.0.0:3000 --setup
  sudo -u jd-manager jd-manager doctor --data-dir /var/lib/jd-manager --json";

/// A check found an error.
const FOUND: u8 = 3;

/// Runs all checks and prints the report.
pub fn run(settings: &Settings, is_json: bool) -> ExitCode {
    // One connection at a time needs no threads.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return complain(&format!("cannot start the async runtime: {e}"), 1),
    };
    let checks = runtime.block_on(check_all(settings));
    let report = DoctorReport::new(settings.data_dir.display().to_string(), checks);
    let text = if is_json {
        match serde_json::to_string_pretty(&report) {
            Ok(json) => json,
            Err(e) => return complain(&format!("cannot write the report: {e}"), 1),
        }
    } else {
        // Names of configurations and texts of servers are not trusted.
        let lines: Vec<_> = report
            .text()
            .lines()
            .map(|line| on_terminal(line).into_owned())
            .collect();
        lines.join("\n")
    };
    let printed = print(&text);
    if report.status == DoctorStatus::Error {
        ExitCode::from(FOUND)
    } else {
        printed
    }
}

async fn check_all(settings: &Settings) -> Vec<DoctorCheck> {
    let dir = &settings.data_dir;
    let is_running = machine::is_running(settings);
    let (database, facts) = storage::check_database(dir);
    let mut checks = vec![
        storage::check_directory(dir),
        storage::check_disk(dir, settings.client.is_none()),
        database,
        machine::check_running_manager(settings, is_running).await,
        machine::check_address(settings.listen, is_running),
        machine::check_sign_in(settings, facts.has_users),
        machine::check_clock().await,
        mining::check_client(settings).await,
    ];
    if facts.configs.is_empty() {
        checks.push(mining::check_usual_providers().await);
    }
    checks.extend(mining::check_configs(&facts.configs).await);
    checks
}
