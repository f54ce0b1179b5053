//! Everything that is specific to a managed program, one folder per program: the one place to change when a program has a new release.

pub mod jd_client;
