//! Infrastructure: the database, files, processes, charts, downloads and messages. Knows no domain and no managed program.

pub mod archive;
pub mod chart;
pub mod db;
pub mod disk;
pub mod download;
pub mod executable;
pub mod http_client;
pub mod log_store;
pub mod notices;
pub mod notify;
pub mod procfs;
pub mod schedule;
pub mod verify;
