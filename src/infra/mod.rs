//! Infrastructure. Knows no domain, no page and no managed program.
//!
//! * [`db`]: SQLite. [`log_store`]: reads and follows log files.
//! * [`notify`]: sends messages to ntfy, Telegram, e-mail and webhooks. [`chart`]: SVG charts.
//! * [`download`], [`archive`], [`verify`]: fetch files, unpack and check them.
//! * [`http_client`]: outgoing HTTP and TLS. [`executable`]: checks a program, runs it in a
//!   sandbox.
//! * [`free_ports`]: ports for a moment.
//! * [`procfs`]: CPU, memory and open files of a process. [`disk`]: free space. [`qr_code`]: QR
//!   codes.
//! * [`schedule`]: jobs at a time of day. [`notices`]: problems with jd-manager itself.

pub mod archive;
pub mod chart;
pub mod db;
pub mod disk;
pub mod download;
pub mod executable;
pub mod free_ports;
pub mod http_client;
pub mod log_store;
pub mod notices;
pub mod notify;
pub mod procfs;
pub mod qr_code;
pub mod schedule;
pub mod verify;
