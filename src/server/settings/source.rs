//! One source of settings: the command line with the environment, or the file.

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::values::{DurationText, LogFormat, NetworkList, OnShutdown};
use crate::base::port_range::PortRange;

/// For clap: a path, which may be empty.
fn path_or_none() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The settings of one source: flags and environment, or the file. All are optional.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsInput {
    /// Address and port to listen on; port 0 selects a free port. To listen on a non-loopback
    /// address, set a password first.
    #[arg(long, env = "JD_MANAGER_LISTEN", value_name = "ADDR:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// Directory for the database, instances, clients and backups [default:
    /// $XDG_DATA_HOME/jd-manager].
    #[arg(long, env = "JD_MANAGER_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Use this jd_client_sv2 program instead of the installed versions.
    #[arg(long, env = "JD_MANAGER_CLIENT", value_name = "PROGRAM")]
    pub(super) client: Option<PathBuf>,
    /// Use this translator_sv2 program instead of the one in the client's directory.
    #[arg(long, env = "JD_MANAGER_TRANSLATOR", value_name = "PROGRAM")]
    pub(super) translator: Option<PathBuf>,
    /// Base URL of the API that lists client releases.
    #[arg(long, env = "JD_MANAGER_RELEASE_API", value_name = "URL")]
    pub(super) release_api: Option<String>,
    /// File with a token for the release API. The token raises the API's hourly request limit.
    #[arg(long, env = "JD_MANAGER_RELEASE_TOKEN_FILE", value_name = "FILE")]
    pub(super) release_token_file: Option<PathBuf>,
    /// Base URL of the API that lists releases of jd-manager itself; Updates then shows newer
    /// versions [default: none].
    #[arg(long, env = "JD_MANAGER_MANAGER_RELEASE_API", value_name = "URL")]
    pub(super) manager_release_api: Option<String>,
    /// What to do with running clients when jd-manager stops.
    #[arg(long, env = "JD_MANAGER_ON_SHUTDOWN", value_enum)]
    pub(super) on_shutdown: Option<OnShutdown>,
    /// Time between health checks [default: 5m].
    #[arg(long, env = "JD_MANAGER_HEALTH_INTERVAL", value_name = "TIME")]
    pub(super) health_interval: Option<DurationText>,
    /// Time between metric samples [default: 10s].
    #[arg(long, env = "JD_MANAGER_SAMPLE_INTERVAL", value_name = "TIME")]
    pub(super) sample_interval: Option<DurationText>,
    /// Warn if a client takes longer than this to start [default: 1m].
    #[arg(long, env = "JD_MANAGER_SLOW_START", value_name = "TIME")]
    pub(super) slow_start: Option<DurationText>,
    /// Days to keep raw metrics and health check results [default: 7].
    #[arg(long, env = "JD_MANAGER_RETENTION_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(super) retention_days: Option<u32>,
    /// If there are no users yet, print a code for creating the first user in the browser.
    #[arg(long, env = "JD_MANAGER_SETUP", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(super) setup: Option<bool>,
    /// File with the password for the user "admin". jd-manager creates or updates this user at startup.
    /// Alternatively, set JD_MANAGER_PASSWORD to the password.
    #[arg(long, env = "JD_MANAGER_PASSWORD_FILE", value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Host name to accept in requests, in addition to this machine's IP addresses and host name.
    /// Can be repeated.
    #[arg(
        long = "allow-host",
        env = "JD_MANAGER_ALLOW_HOSTS",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    #[serde(default)]
    pub(super) allow_hosts: Vec<String>,
    /// Host name or IP address that miners use to reach this machine. The web pages list it first.
    #[arg(long, env = "JD_MANAGER_ADVERTISED_HOST", value_name = "HOST")]
    pub(super) advertised_host: Option<String>,
    /// Ports for miners: new configurations and starting instances use only these. Set it if only
    /// these ports are forwarded to this machine or container [default: any].
    #[arg(long, env = "JD_MANAGER_MINER_PORTS", value_name = "FIRST-LAST")]
    pub(super) miner_ports: Option<PortRange>,
    /// URL under which users reach jd-manager: scheme, host and port. Notifications link to its pages.
    #[arg(long, env = "JD_MANAGER_PUBLIC_URL", value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// Serve /widget to everybody without sign-in: hashrate, miners and health of all instances
    /// together [default: false].
    #[arg(long, env = "JD_MANAGER_PUBLIC_WIDGET", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(super) public_widget: Option<bool>,
    /// Days to keep the audit log [default: 365].
    #[arg(long, env = "JD_MANAGER_AUDIT_DAYS", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(super) audit_days: Option<u32>,
    /// Log filter, for example info or jd_manager=debug [default: info].
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Log format.
    #[arg(long, env = "JD_MANAGER_LOG_FORMAT", value_enum)]
    pub(super) log_format: Option<LogFormat>,
    /// Certificate chain in PEM format. Turns on HTTPS.
    /// Requires --tls-key.
    #[arg(long, env = "JD_MANAGER_TLS_CERT", value_name = "FILE", value_parser = path_or_none())]
    pub(super) tls_cert: Option<PathBuf>,
    /// Private key for --tls-cert, in PEM format, without a passphrase.
    #[arg(long, env = "JD_MANAGER_TLS_KEY", value_name = "FILE", value_parser = path_or_none())]
    pub(super) tls_key: Option<PathBuf>,
    /// Unix socket for local commands; an empty value disables it [default: manager.sock in the
    /// data directory].
    #[arg(long, env = "JD_MANAGER_SOCKET", value_name = "FILE", value_parser = path_or_none())]
    pub(super) socket: Option<PathBuf>,
    /// Proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded headers are trusted:
    /// addresses or networks, separated by commas [default: none].
    #[arg(long, env = "JD_MANAGER_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub(super) trusted_proxies: Option<NetworkList>,
    /// Maximum number of TCP connections [default: 2048].
    #[arg(long, env = "JD_MANAGER_MAX_CONNECTIONS", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(16..=65_536))]
    pub(super) max_connections: Option<u32>,
    /// Maximum requests per second from one address; 0 for no limit. Requests from this machine
    /// are not limited [default: 100].
    #[arg(long, env = "JD_MANAGER_MAX_REQUESTS", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(super) max_requests: Option<u32>,
}

impl SettingsInput {
    /// Only the data directory.
    pub fn in_dir(data_dir: Option<PathBuf>) -> Self {
        Self {
            data_dir,
            ..Self::default()
        }
    }
}
