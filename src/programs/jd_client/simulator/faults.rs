//! Deliberate faults of the simulator.
//!
//! This module has the flags, and the faults that are independent of the client's lifecycle. Exits,
//! fallbacks and failed starts are in [`super::client`], with the rest of the lifecycle.

use clap::{Args, ValueEnum, value_parser};
use humantime::parse_duration as duration;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A start that fails, with the real client's lines and exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StartFailure {
    /// The template provider refuses three connections: exit code 1 (with Bitcoin Core over IPC:
    /// 0).
    TemplateProvider,
    /// A key is missing in the configuration: exit code 1.
    Config,
    /// Another program uses the miner port: exit code 1.
    ListenPort,
    /// Another program uses the monitoring port: exit code 0.
    MonitoringPort,
    /// No pool answers: the client keeps running and mines solo.
    Pool,
    /// A panic as soon as the client is ready for miners: exit code 101.
    Panic,
}

/// What the monitoring address answers instead of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MonitoringGarbage {
    /// Status 200 and half a JSON document.
    Json,
    /// Bytes that are not HTTP.
    Bytes,
    /// Status 200 and an endless body.
    Endless,
}

/// The flags. All of them together depend on `--once`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Faults")]
pub(super) struct FaultArgs {
    /// Fail like the real client in this situation
    #[arg(long, value_name = "SITUATION")]
    pub(super) fail_with: Option<StartFailure>,
    /// Exit without any output this long after the start
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) die_after: Option<Duration>,
    /// Exit code of --die-after
    #[arg(long, value_name = "N", default_value_t = 1, requires = "die_after")]
    pub(super) exit_code: u8,
    /// Number of the signal that --die-after uses to exit
    #[arg(long, value_name = "N", value_parser = value_parser!(i32).range(1..=31), requires = "die_after")]
    #[arg(conflicts_with = "exit_code")]
    pub(super) die_by_signal: Option<i32>,
    /// Ignore SIGINT
    #[arg(long)]
    pub(super) ignore_sigint: bool,
    /// Ignore SIGTERM
    #[arg(long)]
    pub(super) ignore_sigterm: bool,
    /// Start a child process that ignores SIGINT and SIGTERM, keeps standard output open and sleeps
    /// for an hour
    #[arg(long)]
    pub(super) fork_grandchild: bool,
    /// Accept monitoring connections but never answer
    #[arg(long, conflicts_with = "monitoring_garbage")]
    pub(super) refuse_monitoring: bool,
    /// Answer monitoring requests with garbage
    #[arg(long, value_name = "KIND", num_args = 0..=1, require_equals = true, default_missing_value = "json")]
    pub(super) monitoring_garbage: Option<MonitoringGarbage>,
    /// Stop updating the monitoring metrics this long after monitoring started
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) freeze_monitoring_after: Option<Duration>,
    /// Lose the pool this long after becoming ready, then use the next pool, if there is one
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) fall_back_after: Option<Duration>,
    /// Lose the template provider this long after becoming ready, then exit with code 0
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) lose_template_provider_after: Option<Duration>,
    /// Allocate this much memory within two seconds after becoming ready
    #[arg(long, value_name = "MIB")]
    pub(super) grow_memory: Option<usize>,
    /// Apply the fault flags only if this file does not exist yet, and create it
    #[arg(long, value_name = "FILE")]
    pub(super) once: Option<PathBuf>,
}

impl FaultArgs {
    /// The flags that apply to this run: all flags, or none if an earlier run with `--once` used
    /// them.
    ///
    /// # Errors
    ///
    /// The file of `--once` neither exists nor can be created.
    pub(super) fn this_time(self) -> io::Result<Self> {
        let Some(file) = &self.once else {
            return Ok(self);
        };
        match OpenOptions::new().write(true).create_new(true).open(file) {
            Ok(_) => Ok(self),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

/// Starts the grandchild: this program again, in the same process group and with the same standard
/// output. Returns its process id when it ignores signals.
///
/// # Errors
///
/// This program cannot be found or started again, or the grandchild cannot ignore signals.
pub(super) fn start_grandchild() -> io::Result<u32> {
    let program = std::env::current_exe()?;
    let args = ["simulate", "--sleep-for-ever"];
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        BufReader::new(stderr).read_line(&mut said)?;
    }
    if said == DEAF {
        Ok(child.id())
    } else {
        Err(io::Error::other(said))
    }
}

/// The message of the grandchild on standard error, for its parent.
const DEAF: &str = "deaf\n";

/// The grandchild's work. An hour is long enough for any test and limits a forgotten process.
pub(super) fn sleep_for_ever() -> ExitCode {
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, ignored.clone()) {
            // If the parent is not listening, the exit code must be enough.
            let _ = writeln!(io::stderr(), "cannot ignore signal {signal}: {error}");
            return ExitCode::FAILURE;
        }
    }
    let _ = io::stderr().write_all(DEAF.as_bytes());
    std::thread::sleep(Duration::from_secs(3600));
    ExitCode::SUCCESS
}

/// Accepts connections and keeps them open without an answer.
pub(super) async fn never_answer(listener: TcpListener) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        held.push(stream);
    }
}

/// Answers every request with garbage.
pub(super) async fn answer_with(listener: TcpListener, kind: MonitoringGarbage) {
    while let Ok((stream, _)) = listener.accept().await {
        // The other side gives up on garbage; errors do not matter here.
        tokio::spawn(async move { garbage(stream, kind).await.ok() });
    }
}

async fn garbage(mut stream: TcpStream, kind: MonitoringGarbage) -> io::Result<()> {
    const HALF_A_DOCUMENT: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 44\r\nconnection: close\r\n\r\n\
        {\"status\":\"ok\",\"total_hashrate\":[[[\"\xff\xfe, \"ser";
    const NO_HTTP: &[u8] = b"\x00\x01\x02SSH-2.0-not http at all\r\n\xff\xff\xff\xff";
    const WITHOUT_END: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"status\":\"";
    // Read the whole request: closing with unread bytes would reset the connection and lose the
    // answer.
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < 16 << 10 {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    match kind {
        MonitoringGarbage::Json => stream.write_all(HALF_A_DOCUMENT).await?,
        MonitoringGarbage::Bytes => stream.write_all(NO_HTTP).await?,
        MonitoringGarbage::Endless => {
            stream.write_all(WITHOUT_END).await?;
            let piece = vec![b'x'; 64 << 10];
            loop {
                stream.write_all(&piece).await?;
            }
        }
    }
    stream.shutdown().await
}

/// Memory that is allocated in twenty steps, a tenth of a second apart.
pub(super) struct MemoryBallast {
    step_bytes: usize,
    steps: Vec<Vec<u8>>,
    began: Instant,
}

impl MemoryBallast {
    const STEPS: usize = 20;
    const APART: Duration = Duration::from_millis(100);

    /// Starts with nothing; `mib` MiB two seconds from now.
    pub(super) fn new(mib: usize) -> Self {
        Self {
            step_bytes: (mib << 20) / Self::STEPS,
            steps: Vec::new(),
            began: Instant::now(),
        }
    }

    /// When the next step is due, unless all steps are done.
    pub(super) fn due(&self) -> Option<Instant> {
        let next = u32::try_from(self.steps.len() + 1).unwrap_or(u32::MAX);
        (self.steps.len() < Self::STEPS).then(|| self.began + Self::APART * next)
    }

    /// Allocates the steps that are due. The bytes are not zero, so the system must provide the
    /// memory.
    pub(super) fn grow(&mut self, now: Instant) {
        while self.due().is_some_and(|due| due <= now) {
            self.steps.push(vec![0x5a; self.step_bytes]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_misbehaves_the_first_time_only() {
        let dir = tempfile::tempdir().unwrap();
        let flags = FaultArgs {
            ignore_sigint: true,
            once: Some(dir.path().join("seen")),
            ..FaultArgs::default()
        };
        assert!(flags.clone().this_time().unwrap().ignore_sigint);
        assert!(!flags.this_time().unwrap().ignore_sigint);
        let nowhere = FaultArgs {
            once: Some(dir.path().join("no/such/dir")),
            ..FaultArgs::default()
        };
        assert_eq!(nowhere.this_time().unwrap_err().kind(), ErrorKind::NotFound);
        assert!(
            FaultArgs {
                ignore_sigint: true,
                ..FaultArgs::default()
            }
            .this_time()
            .unwrap()
            .ignore_sigint
        );
    }

    #[test]
    fn memory_is_taken_in_steps_up_to_what_was_asked() {
        let mut ballast = MemoryBallast::new(2);
        let held = |ballast: &MemoryBallast| ballast.steps.iter().map(Vec::len).sum::<usize>();
        ballast.grow(ballast.began + Duration::from_millis(1000));
        assert_eq!(held(&ballast), 10 * ((2 << 20) / 20));
        ballast.grow(ballast.began + Duration::from_secs(9));
        assert_eq!(held(&ballast), 20 * ((2 << 20) / 20));
        assert_eq!(ballast.due(), None);
    }
}
