//! The command line: parses arguments and runs the subcommand.
//!
//! * [`accounts`]: `set-password` and `token`. [`demo`]: `demo`.
//! * [`client`]: commands for a running manager; uses its HTTP API, no domain and no database.
//!
//! `keep`, `exec`, `trial` and `simulate` are internal: small processes without runtime and
//! settings.

pub mod accounts;
pub mod client;
pub mod demo;

use clap::{CommandFactory, Parser, Subcommand};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use self::accounts::{NewPassword, TokenCommand};
use crate::domain::backups::{self, BackupArgs, RestoreArgs};
use crate::domain::configs;
use crate::infra::executable::trial::{self, TrialArgs};
use crate::keeper;
use crate::keeper::spawn::ExecArgs;
use crate::programs::jd_client::simulator::SimulatorArgs;
use crate::programs::translator::simulator::TranslatorSimulatorArgs;
use crate::server::settings::{Settings, SettingsInput};
use crate::server::{api_docs, app, logging, route_table};

/// Threads that may block end after being idle for so long. A start with fifty instances needs many
/// of them at once; the rounds of samples would keep all of those alive by turns, each with its
/// memory.
const IDLE_THREADS: Duration = Duration::from_secs(1);

/// Run, watch and update Stratum V2 Job Declarator Clients.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    given: SettingsInput,
    /// Settings file [default: $XDG_CONFIG_HOME/jd-manager/settings.toml if it is there].
    #[arg(long, env = "JD_MANAGER_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// Which manager's data, for what works on them without it.
#[derive(Debug, clap::Args)]
struct DataDirArgs {
    /// Where database, instances, clients and backups are kept [default:
    /// $XDG_DATA_HOME/jd-manager].
    #[arg(long, env = "JD_MANAGER_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Settings file [default: $XDG_CONFIG_HOME/jd-manager/settings.toml if it is there].
    #[arg(long, env = "JD_MANAGER_SETTINGS", value_name = "FILE", global = true)]
    settings: Option<PathBuf>,
}

impl DataDirArgs {
    fn serve(self) -> ServeArgs {
        ServeArgs {
            given: SettingsInput::in_dir(self.data_dir),
            settings: self.settings,
        }
    }
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve the pages and the API, and look after the instances. This is what happens without a
    /// subcommand.
    Serve(Box<ServeArgs>),
    /// Show the product with simulated clients and a throw-away data directory.
    Demo(Box<ServeArgs>),
    /// Ask a running manager whether it is well; exit code 0 if so.
    Healthcheck(Box<ServeArgs>),
    /// Print the documentation of the API, OpenAPI 3.1 as JSON. Needs no data directory and no
    /// running manager.
    Openapi,
    /// Make a backup of every configuration, instance and figure, whether or not jd-manager runs.
    Backup {
        #[command(flatten)]
        args: BackupArgs,
        #[command(flatten)]
        place: DataDirArgs,
    },
    /// Restore a backup into the data directory. What is there is never deleted.
    Restore {
        #[command(flatten)]
        args: RestoreArgs,
        #[command(flatten)]
        place: DataDirArgs,
    },
    /// Set the password of a user, who is made if need be. Whoever has one logs in from then on.
    SetPassword {
        #[command(flatten)]
        place: DataDirArgs,
        #[command(flatten)]
        wanted: NewPassword,
    },
    /// Make, list and revoke what programs log in with.
    Token {
        #[command(flatten)]
        place: DataDirArgs,
        #[command(subcommand)]
        command: TokenCommand,
    },
    #[command(flatten)]
    Daily(client::ClientCommand),
    /// Print what a shell needs to complete these commands: jd-manager completions bash >
    /// ~/.local/share/bash-completion/completions/jd-manager
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Internal: hold up one instance.
    #[command(hide = true)]
    Keep {
        /// The instance's directory.
        dir: PathBuf,
    },
    /// Internal: become a client.
    #[command(hide = true)]
    Exec(ExecArgs),
    /// Internal: become a program that is asked for its version, shut in.
    #[command(hide = true)]
    Trial(TrialArgs),
    /// Internal: a stand-in for the client, or for another program.
    #[command(
        hide = true,
        disable_version_flag = true,
        args_conflicts_with_subcommands = true
    )]
    Simulate(Box<SimulateArgs>),
}

#[derive(Debug, clap::Args)]
struct SimulateArgs {
    #[command(flatten)]
    client: SimulatorArgs,
    #[command(subcommand)]
    other: Option<OtherSimulator>,
}

#[derive(Debug, Subcommand)]
enum OtherSimulator {
    /// A stand-in for the translator.
    Translator(TranslatorSimulatorArgs),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    match line.command {
        Some(CliCommand::Openapi) => print(&api_docs::text(route_table::operation_groups())),
        // These four are small processes of their own: no runtime, no settings.
        Some(CliCommand::Keep { dir }) => keeper::keep::keep(&dir),
        Some(CliCommand::Exec(args)) => keeper::spawn::exec(&args),
        Some(CliCommand::Trial(args)) => trial::trial(&args),
        Some(CliCommand::Simulate(args)) => match args.other {
            None => crate::programs::jd_client::simulator::run(args.client),
            Some(OtherSimulator::Translator(translator)) => {
                crate::programs::translator::simulator::run(translator)
            }
        },
        Some(CliCommand::Backup { args, place }) => at_data_dir(place.serve(), |dir| {
            backups::backup(args, dir, configs::add_secrets)
        }),
        Some(CliCommand::Restore { args, place }) => {
            at_data_dir(place.serve(), |dir| backups::restore(args, dir))
        }
        Some(CliCommand::Healthcheck(serve)) => with_settings(*serve, client::healthcheck),
        Some(CliCommand::SetPassword { place, wanted }) => {
            with_settings(place.serve(), |settings| {
                accounts::set_password(settings, wanted)
            })
        }
        Some(CliCommand::Token { place, command }) => {
            with_settings(place.serve(), |settings| accounts::token(settings, command))
        }
        Some(CliCommand::Completions { shell }) => print(&completions(shell)),
        Some(CliCommand::Daily(daily)) => client::run(daily),
        Some(CliCommand::Demo(serve)) => with_settings_in_one_arena(*serve, demo::demo),
        Some(CliCommand::Serve(serve)) => with_settings_in_one_arena(*serve, app::serve),
        None => with_settings_in_one_arena(line.serve, app::serve),
    }
}

/// As [`with_settings`], by this program started once more in its own place with the GNU C library
/// told to keep one pool of memory. By default it gives nearly each thread one, of which none gives
/// back what others could use: fifty instances took 32.1 MB and crept upwards, with one pool 27.8
/// MB and no more (docs/PERFORMANCE.md). The library reads that at the start of a process alone.
fn with_settings_in_one_arena<F, T>(serve: ServeArgs, work: F) -> ExitCode
where
    F: FnOnce(Settings) -> T,
    T: Future<Output = Result<(), String>>,
{
    const POOLS: &str = "MALLOC_ARENA_MAX";
    if cfg!(target_env = "gnu") && std::env::var_os(POOLS).is_none() {
        let mut arguments = std::env::args_os();
        let mut again = Command::new("/proc/self/exe");
        again
            .arg0(
                arguments
                    .next()
                    .unwrap_or_else(|| env!("CARGO_PKG_NAME").into()),
            )
            .args(arguments)
            .env(POOLS, "1");
        // Returns only if it could not be done, and then it is done without.
        let _ = again.exec();
    }
    with_settings(serve, work)
}

fn with_settings<F, T>(serve: ServeArgs, work: F) -> ExitCode
where
    F: FnOnce(Settings) -> T,
    T: Future<Output = Result<(), String>>,
{
    let settings = match Settings::collect(serve.given, serve.settings.as_deref()) {
        Ok(settings) => settings,
        Err(e) => return complain(&e.to_string(), 2),
    };
    logging::begin(&settings);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.enable_all().thread_keep_alive(IDLE_THREADS).build() {
        Ok(runtime) => runtime,
        Err(e) => return complain(&format!("no runtime: {e}"), 1),
    };
    let result = runtime.block_on(work(settings));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => complain(&reason, 1),
    }
}

/// What a shell needs to complete the command line. The library offers hidden subcommands, too, so
/// they are left out before.
fn completions(shell: clap_complete::Shell) -> String {
    let whole = CommandLine::command();
    let mut offered = clap::Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(
            whole
                .get_subcommands()
                .filter(|one| !one.is_hide_set())
                .cloned(),
        );
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut offered, env!("CARGO_PKG_NAME"), &mut text);
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

/// To standard output, whose other end may be closed.
fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("standard output: {e}"), 1)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// What needs the data directory alone: no runtime, no log.
fn at_data_dir(serve: ServeArgs, work: impl FnOnce(&Path) -> Result<(), String>) -> ExitCode {
    let settings = match Settings::collect(serve.given, serve.settings.as_deref()) {
        Ok(settings) => settings,
        Err(e) => return complain(&e.to_string(), 2),
    };
    match work(&settings.data_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => complain(&reason, 1),
    }
}

fn complain(reason: &str, code: u8) -> ExitCode {
    // It may name what is in an archive or a database.
    eprintln!("jd-manager: {}", crate::base::visible::on_terminal(reason));
    ExitCode::from(code)
}
