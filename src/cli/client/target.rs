//! Which manager a command talks to, and how it connects: through the Unix socket of a data
//! directory, through a URL, or through SSH.

use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::connection::ApiConnection;
use super::error::{CommandError, complain};
use super::manager::RemoteManager;
use super::text::plain;
use super::token::BearerToken;
use crate::programs::openssh::SshDestination;
use crate::server::settings::{Settings, SettingsInput};

/// The manager to talk to, and the output format.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection and output")]
pub struct TargetArgs {
    /// Use jd-manager on another machine through SSH: a host name, user@host, or an alias from
    /// ~/.ssh/config. Can also be before the command.
    #[arg(long, value_name = "HOST", global = true, conflicts_with_all = ["url", "tls_ca", "data_dir", "settings"])]
    host: Option<SshDestination>,
    /// URL of jd-manager, such as http://127.0.0.1:3000/ [env: JD_MANAGER_URL]. Pass a token in
    /// JD_MANAGER_TOKEN or with --token-file.
    #[arg(long, value_name = "URL", global = true, conflicts_with_all = ["data_dir", "settings"])]
    url: Option<String>,
    /// File with the token [env: JD_MANAGER_TOKEN_FILE]. There is no flag for the token itself,
    /// because any user on this machine could read it from the command line.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// PEM file with additional certificates to trust for HTTPS, such as
    /// jd-manager's own certificate.
    #[arg(long, env = "JD_MANAGER_TLS_CA", value_name = "FILE", global = true)]
    tls_ca: Option<PathBuf>,
    /// jd-manager's data directory on this machine [default: $XDG_DATA_HOME/jd-manager] [env:
    /// JD_MANAGER_DATA_DIR].
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// jd-manager's settings file [default: $XDG_CONFIG_HOME/jd-manager/settings.toml if it
    /// exists] [env: JD_MANAGER_SETTINGS].
    #[arg(long, value_name = "FILE", global = true)]
    settings: Option<PathBuf>,
    /// Print JSON as returned by the API. Errors are printed to standard error as problem details.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

impl TargetArgs {
    /// Connects, in the async runtime. Flags have priority over variables: with JD_MANAGER_URL in the environment,
    /// --data-dir still selects that directory.
    pub(super) fn manager(self) -> Result<RemoteManager, CommandError> {
        if let Some(host) = self.host {
            let by_file = self.token_file.as_deref().map(BearerToken::from_file);
            let token = by_file.transpose().map_err(CommandError::Misused)?;
            let connection = ApiConnection::by_host(&host).map_err(CommandError::Failed)?;
            return Ok(RemoteManager::new(connection, token));
        }
        let is_here = self.data_dir.is_some() || self.settings.is_some();
        let url = match self.url {
            Some(url) => Some(url),
            None if is_here => None,
            None => set("JD_MANAGER_URL")
                .map(OsString::into_string)
                .transpose()
                .map_err(|_| CommandError::Misused("JD_MANAGER_URL is not a valid URL".into()))?,
        };
        let by_file = self
            .token_file
            .map(|file| BearerToken::from_file(&file))
            .transpose()
            .map_err(CommandError::Misused)?;
        if let Some(url) = url {
            let connection = ApiConnection::by_url(&url, self.tls_ca.as_deref())
                .map_err(CommandError::Misused)?;
            let token = or_environment(by_file)?;
            if token.is_some() && connection.is_open && !self.json {
                complain(&format!(
                    "jd-manager: warning: the token is sent to {} without encryption, so others on the network can read it. Turn on HTTPS on that jd-manager (--tls-cert).",
                    plain(&connection.shown)
                ));
            }
            return Ok(RemoteManager::new(connection, token));
        }
        let given = SettingsInput::in_dir(
            self.data_dir
                .or_else(|| set("JD_MANAGER_DATA_DIR").map(PathBuf::from)),
        );
        let file = self
            .settings
            .or_else(|| set("JD_MANAGER_SETTINGS").map(PathBuf::from));
        let settings = Settings::collect(given, file.as_deref())
            .map_err(|e| CommandError::Misused(e.to_string()))?;
        match settings.socket_path() {
            Some(path) => match ApiConnection::by_socket(&path).map_err(CommandError::Failed)? {
                // Any user who can open the socket is trusted. A token in the environment is for
                // other managers and may have a lower role.
                Some(connection) => Ok(RemoteManager::new(connection, by_file)),
                None => Err(nobody(&settings, &path.display().to_string())),
            },
            // Only if the socket is disabled: the manager at the port may belong to another data
            // directory, with instances of the same names.
            None => {
                let connection = ApiConnection::by_port(settings.listen, settings.tls.as_ref())
                    .map_err(CommandError::Failed)?;
                Ok(RemoteManager::new(connection, or_environment(by_file)?))
            }
        }
    }
}

fn or_environment(by_file: Option<BearerToken>) -> Result<Option<BearerToken>, CommandError> {
    match by_file {
        Some(token) => Ok(Some(token)),
        None => match set("JD_MANAGER_TOKEN_FILE") {
            Some(file) => BearerToken::from_file(Path::new(&file))
                .map(Some)
                .map_err(CommandError::Misused),
            None => BearerToken::from_environment().map_err(CommandError::Misused),
        },
    }
}

fn nobody(settings: &Settings, socket: &str) -> CommandError {
    CommandError::Failed(format!(
        "no jd-manager is running with the data directory {} (no program is listening on {socket}). Start it with jd-manager --data-dir {} or, if it is a service, with \
         systemctl start jd-manager. To use another jd-manager, pass --data-dir DIR or --url http://127.0.0.1:3000/.",
        settings.data_dir.display(),
        settings.data_dir.display(),
    ))
}
