//! The command line: parses the arguments and runs the subcommand.
//!
//! * [`accounts`]: `set-password` and `token`. [`demo`]: `demo`. [`doctor`]: `doctor`.
//! * [`client`]: commands for a running manager. They use its HTTP API, not the domains or the
//!   database. `dial-stdio` lets other machines use it through SSH.
//!
//! `keep`, `exec`, `trial` and `simulate` are internal: small processes without an async runtime
//! and without settings.

pub mod accounts;
pub mod client;
pub mod demo;
pub mod doctor;

use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
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

/// How long a blocking thread may stay idle before it exits. Starting fifty instances needs many
/// threads at once; without a short limit the sampling rounds would keep all of them, and their
/// memory, alive.
const IDLE_THREADS: Duration = Duration::from_secs(1);

/// Run, monitor and update Stratum V2 JD clients (jd_client_sv2).
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
    /// Settings file [default: $XDG_CONFIG_HOME/jd-manager/settings.toml if it exists].
    #[arg(long, env = "JD_MANAGER_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// The data directory, for commands that work on it directly, without a running manager.
#[derive(Debug, clap::Args)]
struct DataDirArgs {
    /// Directory for the database, instances, clients and backups [default:
    /// $XDG_DATA_HOME/jd-manager].
    #[arg(long, env = "JD_MANAGER_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Settings file [default: $XDG_CONFIG_HOME/jd-manager/settings.toml if it exists].
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
    /// Serve the web pages and the API, and supervise the instances. This is the default.
    Serve(Box<ServeArgs>),
    /// Try jd-manager with simulated clients and a temporary data directory.
    Demo(Box<ServeArgs>),
    /// Check whether the running jd-manager is healthy; exit with code 0 if it is.
    Healthcheck(Box<ServeArgs>),
    /// Check what jd-manager needs to start and to mine: data directory, disk, database, address,
    /// clock, client, template provider and configurations. jd-manager can keep running.
    #[command(after_help = doctor::HELP)]
    Doctor {
        #[command(flatten)]
        serve: Box<ServeArgs>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the API documentation (OpenAPI 3.1, JSON). Needs neither a data directory nor a
    /// running jd-manager.
    Openapi,
    /// Create a backup of all configurations, instances and metrics. jd-manager can keep running.
    Backup {
        #[command(flatten)]
        args: BackupArgs,
        #[command(flatten)]
        place: DataDirArgs,
    },
    /// Restore a backup into the data directory. Existing data is never deleted.
    Restore {
        #[command(flatten)]
        args: RestoreArgs,
        #[command(flatten)]
        place: DataDirArgs,
    },
    /// Set a user's password, and create the user if necessary.
    SetPassword {
        #[command(flatten)]
        place: DataDirArgs,
        #[command(flatten)]
        wanted: NewPassword,
    },
    /// Create, list and revoke API tokens for programs.
    Token {
        #[command(flatten)]
        place: DataDirArgs,
        #[command(subcommand)]
        command: TokenCommand,
    },
    #[command(flatten)]
    Daily(Box<client::ClientCommand>),
    /// Connect standard input and output to the running jd-manager, for another machine that uses it
    /// through SSH. For a line in authorized_keys: command="jd-manager dial-stdio --role operator
    /// --name laptop",restrict ssh-ed25519 AAAA…
    #[command(
        after_help = "Exit codes: 0 the connection was closed; 1 it failed; 2 usage error; 4 no jd-manager is running."
    )]
    DialStdio {
        /// What the connection may do.
        #[command(flatten)]
        args: client::DialArgs,
        /// The manager to connect to.
        #[command(flatten)]
        place: DataDirArgs,
    },
    /// Print a shell completion script, for example: jd-manager completions bash >
    /// ~/.local/share/bash-completion/completions/jd-manager
    Completions {
        /// Shell to print the script for.
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one per command, to a directory, for example: jd-manager man
    /// ~/.local/share/man/man1
    Man {
        /// Directory to write to. It is created if it does not exist.
        dir: PathBuf,
    },
    /// Internal: run the keeper of one instance.
    #[command(hide = true)]
    Keep {
        /// The instance's directory.
        dir: PathBuf,
    },
    /// Internal: become a client.
    #[command(hide = true)]
    Exec(ExecArgs),
    /// Internal: become a sandboxed program that is asked for its version.
    #[command(hide = true)]
    Trial(TrialArgs),
    /// Internal: a simulated client, or another simulated program.
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
    /// Simulates the translator.
    Translator(TranslatorSimulatorArgs),
}

/// Parses the command line and runs the subcommand.
pub fn run() -> ExitCode {
    let line = CommandLine::parse_from(with_host_last(std::env::args_os().collect()));
    match line.command {
        Some(CliCommand::Openapi) => print(&api_docs::text(route_table::operation_groups())),
        // These four are small separate processes: no runtime, no settings.
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
        Some(CliCommand::Doctor { serve, json }) => {
            match Settings::collect(serve.given, serve.settings.as_deref()) {
                Ok(settings) => doctor::run(&settings, json),
                Err(e) => complain(&e.to_string(), 2),
            }
        }
        Some(CliCommand::SetPassword { place, wanted }) => {
            with_settings(place.serve(), |settings| {
                accounts::set_password(settings, wanted)
            })
        }
        Some(CliCommand::Token { place, command }) => {
            with_settings(place.serve(), |settings| accounts::token(settings, command))
        }
        Some(CliCommand::Completions { shell }) => print(&completions(shell)),
        Some(CliCommand::Man { dir }) => write_manual_pages(&dir),
        Some(CliCommand::Daily(daily)) => client::run(*daily),
        Some(CliCommand::DialStdio { args, place }) => {
            let serve = place.serve();
            match Settings::collect(serve.given, serve.settings.as_deref()) {
                Ok(settings) => client::dial_stdio(&settings, args),
                Err(e) => complain(&e.to_string(), 2),
            }
        }
        Some(CliCommand::Demo(serve)) => with_settings_in_one_arena(*serve, demo::demo),
        Some(CliCommand::Serve(serve)) => with_settings_in_one_arena(*serve, app::serve),
        None => with_settings_in_one_arena(line.serve, app::serve),
    }
}

/// Moves `--host HOST` from before the subcommand to the place after it, where it is an option. Options
/// of `serve` have the place before, and they exclude subcommands.
fn with_host_last(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let count = match arguments.get(1).map(|first| first.as_encoded_bytes()) {
        Some(b"--host") => 2,
        Some(first) if first.starts_with(b"--host=") => 1,
        _ => return arguments,
    };
    if arguments.len() > count + 1 {
        arguments[1..=count + 1].rotate_right(1);
    }
    arguments
}

/// Like [`with_settings`], but first re-executes this program with a single memory pool (arena) in
/// the GNU C library. By default nearly every thread gets its own pool, and free memory in one pool
/// is of no use to the others: fifty instances needed 32.1 MB and slowly more; with one pool they
/// need a constant 27.8 MB (docs/PERFORMANCE.md). The library reads this setting only at process
/// start.
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
        // Returns only on failure. Then the program continues with the default pools.
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
        Err(e) => return complain(&format!("cannot start the async runtime: {e}"), 1),
    };
    let result = runtime.block_on(work(settings));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => complain(&reason, 1),
    }
}

/// The completion script for a shell. The library would also offer hidden subcommands, so they are
/// removed first.
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

/// Writes `jd-manager.1` and a page per offered subcommand, such as `jd-manager-instances-show.1`.
/// Existing pages are replaced.
fn write_manual_pages(dir: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(CommandLine::command(), dir));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => complain(
            &format!("cannot write manual pages to {}: {e}", dir.display()),
            1,
        ),
    }
}

/// Writes to standard output, whose other end may be closed.
fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {e}"), 1)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Runs a command that needs only the data directory: no runtime, no log.
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
    // The text may contain names from an archive or a database.
    eprintln!("jd-manager: {}", crate::base::visible::on_terminal(reason));
    ExitCode::from(code)
}
