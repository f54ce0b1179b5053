//! `jd-manager simulate`: simulates the real client, `jd_client_sv2` 0.6.0.
//!
//! It has the client's command line, configuration file, log format, signals, exit codes and
//! monitoring API, and a simulated fleet of miners. Flags reproduce faults of the real client.
//! Tests, benchmarks and the demo run it. It does not mine and does not connect to anything.
//!
//! It does not know the manager. It checks a configuration by the client's rules, not by the
//! manager's, so each checks the other. Its behavior is based on the real program's logs, answers
//! and source code.
//!
//! * `client`: the client from its first line to its last. `environment`: miners, chain and pool.
//! * `scripts`, `messages`, `log_lines`: the log.
//! * `channels`, `monitoring`, `services`: the API and the ports.
//! * `config`: the configuration file.
//! * `faults`, `line_counter`: behavior for which the real client has no flag.

mod channels;
mod client;
mod config;
mod environment;
mod faults;
mod line_counter;
pub(in crate::programs) mod log_lines;
mod messages;
mod monitoring;
mod provider_link;
mod scripts;
pub(in crate::programs) mod services;

use client::ExitKind;
use faults::{FaultArgs, StartFailure};
use humantime::parse_duration as duration;
use line_counter::LineRate;
use log_lines::{SimulatedLog, level_of_rust_log};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of the simulator: first the client's own arguments, then those that control the
/// simulation.
#[derive(Clone, Debug, clap::Args)]
#[command(
    about = "Simulated JD client for tests and demos",
    disable_version_flag = true
)]
pub struct SimulatorArgs {
    /// Path to the TOML configuration file
    #[arg(short, long, value_name = "PATH", default_value = "jdc-config.toml")]
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
        help_heading = "Simulation"
    )]
    pretend_version: String,
    /// Time until the template provider answers
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, help_heading = "Simulation")]
    startup_delay: Duration,
    /// Connect to the template provider, and fail like the real client without it
    #[arg(long, help_heading = "Simulation")]
    connect: bool,
    /// Pause between two connection attempts to a template provider; half of it for a pool
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration, help_heading = "Simulation")]
    retry_pause: Duration,
    /// Do not listen on any address
    #[arg(long, help_heading = "Simulation")]
    no_sockets: bool,
    /// Use colors in the log even if standard output is not a terminal
    #[arg(long, help_heading = "Simulation")]
    colour: bool,
    /// Seed for random values [default: a different seed for each run]
    #[arg(long, value_name = "N", help_heading = "Simulation")]
    seed: Option<u64>,

    /// Number of miners
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Fleet")]
    miners: u32,
    /// Total hashrate of all miners, H/s
    #[arg(long, value_name = "H/S", default_value = "5.0e14", value_parser = hashrate, help_heading = "Fleet")]
    hashrate: f64,
    /// Percentage of shares that the pool rejects (without a pool: the client)
    #[arg(long, value_name = "P", default_value = "0.5", value_parser = percent, help_heading = "Fleet")]
    reject_percent: f64,
    /// Find a block with the first share after this time
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Fleet")]
    block_after: Option<Duration>,
    /// Time between two templates
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, help_heading = "Fleet")]
    template_interval: Duration,

    /// Number of additional numbered log lines per second; max writes as fast as possible
    #[arg(long, value_name = "N|max", help_heading = "Numbered lines")]
    lines_per_second: Option<LineRate>,
    /// Length of a numbered line in bytes, without its line feed
    #[arg(
        long,
        value_name = "B",
        default_value_t = 120,
        help_heading = "Numbered lines"
    )]
    line_bytes: usize,
    /// Stop after this many numbered lines
    #[arg(long, value_name = "N", help_heading = "Numbered lines")]
    lines_total: Option<u64>,

    #[command(flatten)]
    misbehaviour: FaultArgs,

    /// Ignore signals and sleep. Used by --fork-grandchild
    #[arg(long, hide = true)]
    sleep_for_ever: bool,
}

fn hashrate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|_| "expected a number of hashes per second".to_owned())?;
    if rate > 0.0 && rate < 1e30 {
        Ok(rate)
    } else {
        Err("expected a number above 0 and below 1e30".to_owned())
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent)
    } else {
        Err("expected a number from 0 to 100".to_owned())
    }
}

/// Runs the simulator until it exits like the real client: with its exit code or by a signal. It
/// creates its own event loop on the calling thread, so do not call it from within an event loop.
pub fn run(mut args: SimulatorArgs) -> ExitCode {
    if args.sleep_for_ever {
        return faults::sleep_for_ever();
    }
    if args.version {
        return match writeln!(io::stdout(), "jd_client_sv2 {}", args.pretend_version) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    args.misbehaviour = match args.misbehaviour.clone().this_time() {
        Ok(misbehaviour) => misbehaviour,
        Err(error) => {
            return fail(
                2,
                format_args!("simulate: cannot create the file of --once: {error}"),
            );
        }
    };
    let loaded = if args.misbehaviour.fail_with == Some(StartFailure::Config) {
        Err("missing field `listening_address`".to_owned())
    } else {
        config::load(
            &args.config,
            std::env::vars_os()
                .filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok())),
        )
    };
    let config = match loaded {
        Ok(config) => config,
        Err(error) => return fail(1, config::complaint(&error)),
    };
    let log_file = match args.log_file.as_ref().or(config.log_file.as_ref()) {
        None => None,
        Some(path) => match OpenOptions::new().create(true).append(true).open(path) {
            Ok(file) => Some(file),
            // The real client panics here.
            Err(error) => {
                let thread = std::process::id();
                let why = format_args!(
                    "\nthread 'main' ({thread}) panicked at stratum-apps-0.8.0/src/config_helpers/logging.rs:33:18:\nFailed to \
                     open log file: {error:?}\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"
                );
                return fail(101, why);
            }
        },
    };
    let level = level_of_rust_log(&std::env::var("RUST_LOG").unwrap_or_default());
    let log = SimulatedLog::new(log_file, args.colour || io::stdout().is_terminal(), level);
    let seed = match args.seed {
        Some(seed) => Ok(seed),
        None => getrandom::u64().map_err(|error| io::Error::other(error.to_string())),
    };
    let ending = seed.and_then(|seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(client::live(config, args, log, seed))
    });
    match ending {
        Ok(ExitKind::Exit(code)) => ExitCode::from(code),
        Ok(ExitKind::Signal(signal)) => {
            match signal_hook::low_level::emulate_default_handler(signal) {
                // Not every signal kills.
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(
                    2,
                    format_args!("simulate: cannot exit by signal {signal}: {error}"),
                ),
            }
        }
        Err(error) => fail(2, format_args!("simulate: {error}")),
    }
}

/// Prints the reason on standard error, which may be closed, and returns the exit code.
fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(code)
}
