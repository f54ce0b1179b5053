//! The manager's settings: flags override the environment, which overrides `settings.toml`, which overrides
//! the defaults.
//!
//! Everything is checked here, before anything is opened; an unknown key or a bad value is an error
//! that names it. Independent of the use of the settings.

mod access;
mod source;
mod values;

use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::port_range::PortRange;
use crate::server::listener::TlsFiles;

pub use access::InitialPassword;
use access::{advertised_host, host, password, public_url};
pub use source::SettingsInput;
pub use values::{DurationText, LogFormat, NetworkList, OnShutdown, SocketAt};

/// GitHub's API for the repository that publishes the client.
pub const RELEASE_API: &str = "https://api.github.com/repos/stratum-mining/sv2-apps";

/// The current settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The client to use instead of the installed versions.
    pub client: Option<PathBuf>,
    /// The translator to use instead of the one beside the client.
    pub translator: Option<PathBuf>,
    /// Base URL of the release API, without a trailing slash.
    pub release_api: String,
    /// A file with a token for the release API.
    pub release_token_file: Option<PathBuf>,
    /// Base URL of the release API of jd-manager itself, without a trailing slash.
    pub manager_release_api: Option<String>,
    /// What happens to the clients when the manager stops.
    pub on_shutdown: OnShutdown,
    /// Time between health checks.
    pub health_interval: Duration,
    /// Time between metric samples.
    pub sample_interval: Duration,
    /// Warn if a client takes longer than this to start.
    pub slow_start: Duration,
    /// If there is no user, the first one can be created in the browser with a printed
    /// code.
    pub setup: bool,
    /// The password of the user "admin", set at the start.
    pub password: Option<InitialPassword>,
    /// Host names under which the manager is reached.
    pub allow_hosts: Vec<String>,
    /// The host name or IP address to show miners first.
    pub advertised_host: Option<String>,
    /// The ports that miners reach; none: all.
    pub miner_ports: Option<PortRange>,
    /// The URL that users open, without a slash at its end, for links in notifications.
    pub public_url: Option<String>,
    /// `/widget` needs no sign-in.
    pub public_widget: bool,
    /// Days to keep the audit log.
    pub audit_days: u32,
    /// Days to keep raw metrics and health checks.
    pub retention_days: u32,
    /// The log filter.
    pub log: String,
    /// The log format.
    pub log_format: LogFormat,
    /// The certificate and its key, for HTTPS.
    pub tls: Option<TlsFiles>,
    /// The path of the Unix socket.
    pub socket: SocketAt,
    /// Trusted proxies.
    pub trusted_proxies: Vec<IpNet>,
    /// Maximum number of TCP connections.
    pub max_connections: u32,
    /// Sustained requests per second from one address; 0: no limit.
    pub max_requests: u32,
    source: SettingsSource,
}

/// The sources of the settings: flags and environment at the start, and the file, which may have changed
/// since.
#[derive(Clone, Debug, Default)]
struct SettingsSource {
    flags: SettingsInput,
    file: Option<PathBuf>,
}

/// An invalid setting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl Settings {
    /// Combines the sources. `file`: the settings file from the command line; by default,
    /// `$XDG_CONFIG_HOME/jd-manager/settings.toml` is read if it exists.
    ///
    /// # Errors
    /// Names the key and the source of an invalid setting.
    pub fn collect(flags: SettingsInput, file: Option<&Path>) -> Result<Self, SettingsError> {
        let source = SettingsSource {
            flags: flags.clone(),
            file: file.map(Path::to_owned),
        };
        let given = match file {
            Some(path) => read(path)?,
            None => match directory("XDG_CONFIG_HOME", ".config")
                .map(|dir| dir.join("jd-manager/settings.toml"))
            {
                Some(path) if path.exists() => read(&path)?,
                _ => SettingsInput::default(),
            },
        };
        Ok(Self {
            source,
            ..Self::combine(flags, given)?
        })
    }

    /// Reads the same sources again.
    ///
    /// # Errors
    /// Names the key and the source of an invalid setting.
    pub fn read_again(&self) -> Result<Self, SettingsError> {
        Self::collect(self.source.flags.clone(), self.source.file.as_deref())
    }

    /// The keys of settings that differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        // Without `..`: the compiler requires each new setting here.
        let Self {
            listen,
            data_dir,
            client,
            translator,
            release_api,
            release_token_file,
            manager_release_api,
            on_shutdown,
            health_interval,
            sample_interval,
            slow_start,
            retention_days,
            setup,
            password,
            allow_hosts,
            advertised_host,
            miner_ports,
            public_url,
            public_widget,
            audit_days,
            log,
            log_format,
            tls,
            socket,
            trusted_proxies,
            max_connections,
            max_requests,
            source: _,
        } = self;
        let same = [
            ("listen", *listen == other.listen),
            ("data_dir", *data_dir == other.data_dir),
            ("client", *client == other.client),
            ("translator", *translator == other.translator),
            ("release_api", *release_api == other.release_api),
            (
                "release_token_file",
                *release_token_file == other.release_token_file,
            ),
            (
                "manager_release_api",
                *manager_release_api == other.manager_release_api,
            ),
            ("on_shutdown", *on_shutdown == other.on_shutdown),
            ("health_interval", *health_interval == other.health_interval),
            ("sample_interval", *sample_interval == other.sample_interval),
            ("slow_start", *slow_start == other.slow_start),
            ("retention_days", *retention_days == other.retention_days),
            ("setup", *setup == other.setup),
            ("password_file", *password == other.password),
            ("allow_hosts", *allow_hosts == other.allow_hosts),
            ("advertised_host", *advertised_host == other.advertised_host),
            ("miner_ports", *miner_ports == other.miner_ports),
            ("public_url", *public_url == other.public_url),
            ("public_widget", *public_widget == other.public_widget),
            ("audit_days", *audit_days == other.audit_days),
            ("log", *log == other.log),
            ("log_format", *log_format == other.log_format),
            ("tls_cert", *tls == other.tls),
            ("socket", *socket == other.socket),
            ("trusted_proxies", *trusted_proxies == other.trusted_proxies),
            ("max_connections", *max_connections == other.max_connections),
            ("max_requests", *max_requests == other.max_requests),
        ];
        same.into_iter()
            .filter(|(_, is_same)| !is_same)
            .map(|(name, _)| name)
            .collect()
    }

    fn combine(first: SettingsInput, second: SettingsInput) -> Result<Self, SettingsError> {
        let listen = first
            .listen
            .or(second.listen)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 3000)));
        let data_dir = match first.data_dir.or(second.data_dir) {
            Some(dir) => dir,
            None => directory("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("jd-manager")).ok_or_else(|| {
                SettingsError("data_dir: neither XDG_DATA_HOME nor HOME is set; set a directory with --data-dir".into())
            })?,
        };
        let data_dir = std::path::absolute(&data_dir)
            .map_err(|e| SettingsError(format!("data_dir: {}: {e}", data_dir.display())))?;
        let program = |key: &str, path: Option<PathBuf>| match path {
            Some(path) if path.as_os_str().is_empty() => Ok(None),
            Some(path) => std::path::absolute(&path)
                .map(Some)
                .map_err(|e| SettingsError(format!("{key}: {}: {e}", path.display()))),
            None => Ok(None),
        };
        let client = program("client", first.client.or(second.client))?;
        let translator = program("translator", first.translator.or(second.translator))?;
        let release_api = first.release_api.or(second.release_api);
        let release_api = base_url("release_api", release_api)?;
        let manager_release_api = first
            .manager_release_api
            .or(second.manager_release_api)
            .filter(|url| !url.is_empty());
        let log = first
            .log
            .or(second.log)
            .filter(|filter| !filter.is_empty())
            .unwrap_or_else(|| "info".into());
        tracing_subscriber::EnvFilter::try_new(&log)
            .map_err(|e| SettingsError(format!("log: \"{log}\" is not a valid filter: {e}")))?;
        let retention_days = first.retention_days.or(second.retention_days).unwrap_or(7);
        if !(1..=3650).contains(&retention_days) {
            return Err(SettingsError(format!(
                "retention_days: {retention_days} is not between 1 and 3650"
            )));
        }
        let audit_days = first.audit_days.or(second.audit_days).unwrap_or(365);
        if !(1..=3650).contains(&audit_days) {
            return Err(SettingsError(format!(
                "audit_days: {audit_days} is not between 1 and 3650"
            )));
        }
        let allow_hosts = if first.allow_hosts.is_empty() {
            second.allow_hosts
        } else {
            first.allow_hosts
        };
        let mut allow_hosts = allow_hosts
            .iter()
            .map(|name| host(name))
            .collect::<Result<Vec<_>, _>>()?;
        let public_url = first
            .public_url
            .or(second.public_url)
            .filter(|url| !url.trim().is_empty())
            .map(|url| public_url(&url))
            .transpose()?;
        // The link must work.
        let public_url = public_url.map(|(url, host)| {
            if !allow_hosts.contains(&host) {
                allow_hosts.push(host);
            }
            url
        });
        let advertised_host = first
            .advertised_host
            .or(second.advertised_host)
            .filter(|host| !host.trim().is_empty())
            .map(|host| advertised_host(&host))
            .transpose()?;
        let password = password(first.password_file.or(second.password_file).as_deref())?;
        let max_connections = first
            .max_connections
            .or(second.max_connections)
            .unwrap_or(2048);
        if !(16..=65_536).contains(&max_connections) {
            return Err(SettingsError(format!(
                "max_connections: {max_connections} is not between 16 and 65536"
            )));
        }
        let length = |one: Option<DurationText>, other: Option<DurationText>, default| {
            one.or(other).map_or(Duration::from_secs(default), |l| l.0)
        };
        Ok(Self {
            listen,
            data_dir,
            client,
            translator,
            release_api: release_api.unwrap_or_else(|| RELEASE_API.into()),
            manager_release_api: base_url("manager_release_api", manager_release_api)?,
            release_token_file: first.release_token_file.or(second.release_token_file),
            on_shutdown: first
                .on_shutdown
                .or(second.on_shutdown)
                .unwrap_or(OnShutdown::Stop),
            health_interval: length(first.health_interval, second.health_interval, 300),
            sample_interval: length(first.sample_interval, second.sample_interval, 10),
            slow_start: length(first.slow_start, second.slow_start, 60),
            retention_days,
            setup: first.setup.or(second.setup).unwrap_or(false),
            password,
            allow_hosts,
            advertised_host,
            miner_ports: first.miner_ports.or(second.miner_ports),
            public_url,
            public_widget: first
                .public_widget
                .or(second.public_widget)
                .unwrap_or(false),
            audit_days,
            log,
            log_format: first
                .log_format
                .or(second.log_format)
                .unwrap_or(LogFormat::Pretty),
            tls: tls(
                first.tls_cert.or(second.tls_cert),
                first.tls_key.or(second.tls_key),
            )?,
            socket: match first.socket.or(second.socket) {
                None => SocketAt::DataDir,
                Some(path) if path.as_os_str().is_empty() => SocketAt::Nowhere,
                Some(path) => SocketAt::Path(
                    std::path::absolute(&path)
                        .map_err(|e| SettingsError(format!("socket: {}: {e}", path.display())))?,
                ),
            },
            trusted_proxies: first
                .trusted_proxies
                .or(second.trusted_proxies)
                .unwrap_or_default()
                .0,
            max_connections,
            max_requests: first.max_requests.or(second.max_requests).unwrap_or(100),
            source: SettingsSource::default(),
        })
    }

    /// The path of the Unix socket, if enabled.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match &self.socket {
            SocketAt::DataDir => Some(self.data_dir.join("manager.sock")),
            SocketAt::Path(path) => Some(path.clone()),
            SocketAt::Nowhere => None,
        }
    }
}

/// The base URL of an API, without a slash at its end.
fn base_url(key: &str, url: Option<String>) -> Result<Option<String>, SettingsError> {
    let Some(url) = url else { return Ok(None) };
    match reqwest::Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
            Ok(Some(url.trim_end_matches('/').into()))
        }
        _ => Err(SettingsError(format!(
            "{key}: \"{url}\" is not an http or https URL"
        ))),
    }
}

/// Both or none; an empty path means none.
fn tls(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, SettingsError> {
    let named = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    match (named(certificate), named(key)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(SettingsError(
            "tls_key: missing. tls_cert is set and needs its private key".into(),
        )),
        (None, Some(_)) => Err(SettingsError(
            "tls_cert: missing. tls_key is set and needs its certificate".into(),
        )),
    }
}

fn read(path: &Path) -> Result<SettingsInput, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        SettingsError(format!(
            "cannot read the settings file {}: {e}",
            path.display()
        ))
    })?;
    // The toml error shows line and key.
    toml::from_str(&text).map_err(|e| {
        SettingsError(format!(
            "the settings file {} has an error: {e}",
            path.display()
        ))
    })
}

/// A base directory of the XDG specification: the variable if it is set to an absolute path, else
/// below `HOME`.
fn directory(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    set(variable).or_else(|| set("HOME").map(|home| home.join(below_home)))
}

#[cfg(test)]
mod tests;
