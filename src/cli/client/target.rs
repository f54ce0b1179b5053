//! Which manager a command speaks to, and how it gets there: by the Unix socket of a data
//! directory, or by an address.

use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::connection::ApiConnection;
use super::error::{CommandError, complain};
use super::manager::RemoteManager;
use super::text::plain;
use super::token::BearerToken;
use crate::server::settings::{Settings, SettingsInput};

/// Which manager is asked, and who reads the answer.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which manager, and who reads the answer")]
pub struct TargetArgs {
    /// Ask the manager at this address, as http://127.0.0.1:3000/ [env: JD_MANAGER_URL]. Its token
    /// is in JD_MANAGER_TOKEN or --token-file.
    #[arg(long, value_name = "URL", global = true, conflicts_with_all = ["data_dir", "settings"])]
    url: Option<String>,
    /// A file with the token to show [env: JD_MANAGER_TOKEN_FILE]; a token on the command line
    /// would be seen by everybody on this machine.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Certificates in PEM that are trusted over HTTPS besides the machine's authorities, as the
    /// manager's own.
    #[arg(long, env = "JD_MANAGER_TLS_CA", value_name = "FILE", global = true)]
    tls_ca: Option<PathBuf>,
    /// Ask the manager that runs on this data directory [default: $XDG_DATA_HOME/jd-manager] [env:
    /// JD_MANAGER_DATA_DIR].
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Its settings file [default: $XDG_CONFIG_HOME/jd-manager/settings.toml if it is there] [env:
    /// JD_MANAGER_SETTINGS].
    #[arg(long, value_name = "FILE", global = true)]
    settings: Option<PathBuf>,
    /// Print the API's JSON as it comes, for programs; what goes wrong stands on standard error as
    /// problem details.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

impl TargetArgs {
    /// Connects. A flag says more than any variable: with JD_MANAGER_URL in the environment,
    /// --data-dir still means that directory.
    pub(super) fn manager(self) -> Result<RemoteManager, CommandError> {
        let is_here = self.data_dir.is_some() || self.settings.is_some();
        let url = match self.url {
            Some(url) => Some(url),
            None if is_here => None,
            None => set("JD_MANAGER_URL")
                .map(OsString::into_string)
                .transpose()
                .map_err(|_| CommandError::Misused("JD_MANAGER_URL is no address".into()))?,
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
                    "jd-manager: the token goes to {} without encryption, and whoever is on the way can use it, too. Have that manager speak HTTPS (--tls-cert).",
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
                // Whoever may open the socket is trusted. A token in the environment is for other
                // managers and may be a lesser one.
                Some(connection) => Ok(RemoteManager::new(connection, by_file)),
                None => Err(nobody(&settings, &path.display().to_string())),
            },
            // Only where there is to be no socket: behind the port may be the manager of another
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
        "no jd-manager runs on {} (nobody listens at {socket}). Start it there with: jd-manager --data-dir {}; or, if it is a service: systemctl start \
         jd-manager. One that runs elsewhere is asked with --data-dir DIR or --url http://127.0.0.1:3000/.",
        settings.data_dir.display(),
        settings.data_dir.display(),
    ))
}
