//! jd-manager on another machine, through a real sshd.

mod commands;
mod hosts;
mod instances;
mod link;
mod sshd;

use crate::harness::{Manager, PROGRAM};

/// The command for `authorized_keys` on a manager's data.
fn forced(manager: &Manager, role: &str) -> String {
    format!(
        "{PROGRAM} dial-stdio --role {role} --name laptop --data-dir {}",
        manager.data_dir().display()
    )
}
