//! OpenSSH's client `ssh`, found through `PATH` and used with the user's `~/.ssh/config`: sessions
//! that run `jd-manager dial-stdio` on other machines.
//!
//! * [`destination`]: names of machines. [`session`]: a session, its input and output.
//! * [`control_dir`]: the directory for shared connections. [`failure`]: why a session failed, from
//!   ssh's messages, and the fix. [`config`]: what ssh's configuration says about a machine.

pub mod config;
pub mod control_dir;
pub mod destination;
pub mod failure;
pub mod session;

pub use config::SshTarget;
pub use destination::SshDestination;
pub use failure::{SshFailure, SshFailureKind};
pub use session::{OpenSsh, SshProcess, SshSession};
