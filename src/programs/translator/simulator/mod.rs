//! `jd-manager simulate translator`: a stand-in for the real translator, `translator_sv2` 0.6.0.
//!
//! It has the translator's command line, configuration file, log format, signals, exit codes and
//! monitoring API, and made-up Stratum V1 miners. It connects to its client by TCP and exits when
//! that connection ends, as the real one does. It mines nothing and speaks neither Stratum V2 nor
//! Stratum V1.
//!
//! It knows nothing of the manager, and reads its file by the translator's rules and not by those
//! of [`super::config`], so that each checks the other. Facts come from the logs in
//! `tests/data/translator` and from the source.
//!
//! * `run`: the translator from its first line to its last.
//! * `file`: its configuration file. `miners`: the made-up miners. `monitoring`: the API.

mod file;
mod miners;
mod monitoring;
mod run;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use humantime::parse_duration as duration;

use crate::programs::jd_client::simulator::log_lines::{SimulatedLog, level_of_rust_log};

/// Arguments of the stand-in: first the translator's own, then those that steer it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    about = "A stand-in for the translator, for tests and demonstrations",
    disable_version_flag = true
)]
pub struct TranslatorSimulatorArgs {
    /// Path to the TOML configuration file
    #[arg(
        short,
        long,
        value_name = "PATH",
        default_value = "translator-config.toml"
    )]
    config: PathBuf,
    /// Path to the log file. If not set, logs will only be written to stdout
    #[arg(short = 'f', long, value_name = "PATH")]
    log_file: Option<PathBuf>,
    /// Print version
    #[arg(short = 'V', long)]
    version: bool,

    /// Version that --version prints
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "0.6.0",
        help_heading = "Steering"
    )]
    pretend_version: String,
    /// Pause before each try to connect
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, help_heading = "Steering")]
    retry_pause: Duration,
    /// Number of Stratum V1 miners
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=10_000), help_heading = "Fleet")]
    miners: u32,
    /// How many of them get no channel
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Fleet")]
    miners_without_channel: u32,
}

/// Runs the stand-in until it exits. Creates an event loop on the calling thread, so it must not be
/// called from within one.
pub fn run(args: TranslatorSimulatorArgs) -> ExitCode {
    if args.version {
        return match writeln!(io::stdout(), "translator_sv2 {}", args.pretend_version) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let config = match file::load(&args.config) {
        Ok(config) => config,
        Err(error) => return fail(1, file::complaint(&error)),
    };
    let path = args.log_file.as_ref().or(config.log_file.as_ref());
    let log_file = match path.map(|path| OpenOptions::new().create(true).append(true).open(path)) {
        None => None,
        Some(Ok(file)) => Some(file),
        // The real translator panics here.
        Some(Err(error)) => {
            return fail(
                101,
                format_args!(
                    "\nthread 'main' ({}) panicked at stratum-apps-0.8.0/src/config_helpers/logging.rs:33:18:\nFailed to open log \
                     file: {error:?}\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
                    std::process::id()
                ),
            );
        }
    };
    let level = level_of_rust_log(&std::env::var("RUST_LOG").unwrap_or_default());
    let log = SimulatedLog::new(log_file, io::stdout().is_terminal(), level);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(run::run(config, args, log))) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(2, format_args!("simulate: {error}")),
    }
}

/// Writes why to standard error, which may be closed, and returns the exit code.
fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(code)
}
