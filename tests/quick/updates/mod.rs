//! Clients from release to rollback: a real manager, real archives with real programs, a release
//! server on loopback with all the faults of real servers, and kills of the manager at every step.

mod install;
mod kills;
mod manager_release;
mod offers;
mod release_check;
mod switch;
mod translator;
