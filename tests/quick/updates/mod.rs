//! Clients from release to use and back: a real manager, real archives with real programs, a
//! release server on loopback that behaves in all the ways such servers do, and managers that are
//! killed at every step.

mod install;
mod kills;
mod offers;
mod release_check;
mod switch;
