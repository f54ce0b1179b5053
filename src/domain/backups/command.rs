//! The subcommands `backup` and `restore`: arguments and output.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::create::{BackupProgress, BackupRequest, SecretSource, make};
use super::encryption::BackupPassphrase;
use super::restore::{
    self, RestoreOptions, RestoreProgress, RestoreStage, RestoreSummary, is_encrypted,
};
use crate::domain::vault::KEY_FILE;

/// The environment variable for the passphrase.
const VARIABLE: &str = "JD_MANAGER_BACKUP_PASSPHRASE";

/// Arguments of `backup` besides the settings.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// File to create, for example jd-manager.tar.gz, or jd-manager.tar.gz.age if encrypted.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Leave out the encryption key. The secrets in the backup are then unreadable without
    /// secrets.key from the data directory.
    #[arg(long)]
    pub without_key: bool,
    /// Include the clients' logs.
    #[arg(long)]
    pub with_logs: bool,
    /// Encrypt the backup with the passphrase on the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Encrypt the backup and ask for a passphrase. Alternatively, set JD_MANAGER_BACKUP_PASSPHRASE.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub encrypt: bool,
}

/// Arguments of `restore` besides the settings.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Restore even if the data directory is not empty. Existing data is moved aside.
    #[arg(long)]
    pub force: bool,
    /// Read the passphrase from the first line of this file [default: JD_MANAGER_BACKUP_PASSPHRASE or a
    /// prompt].
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Creates a backup of `data_dir`, with or without a running manager. Without the key, the `secrets`
/// are also removed from logs and history.
///
/// # Errors
/// The reason for the failure, for the person at the terminal.
pub fn backup(args: BackupArgs, data_dir: &Path, secrets: SecretSource) -> Result<(), String> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let given = match (given(args.passphrase_file.as_deref())?, args.encrypt) {
        (None, true) => Some(asked_twice()?),
        (given, _) => given,
    };
    let passphrase = given.map(BackupPassphrase::new).transpose()?;
    let order = BackupRequest {
        with_key: !args.without_key,
        with_logs: args.with_logs,
        passphrase,
        secrets: Some(secrets),
    };
    let file =
        std::path::absolute(&args.file).map_err(|e| format!("{}: {e}", args.file.display()))?;
    let interrupted = catch_signals()?;
    let goes_on = |_: BackupProgress| !interrupted.load(Ordering::Relaxed);
    let manifest = make(data_dir, &order, &file, &goes_on).map_err(|e| e.to_string())?;
    println!(
        "{}: {} configurations, {} instances, {} the encryption key{}{}.",
        args.file.display(),
        manifest.configurations,
        manifest.instances,
        if manifest.holds_key {
            "with"
        } else {
            "without"
        },
        if manifest.with_logs {
            ", with logs"
        } else {
            ""
        },
        if order.passphrase.is_some() {
            ", encrypted"
        } else {
            ""
        },
    );
    println!("Installed client programs are not included. Install them again after a restore.");
    if order.passphrase.is_none() && (manifest.holds_key || !manifest.sealed) {
        eprintln!(
            "Note: this backup is not encrypted, so anyone who has the file can read its secrets. Use --encrypt to set a passphrase, or --without-key to leave out the key."
        );
    }
    Ok(())
}

/// Restores a backup into `data_dir`.
///
/// # Errors
/// The reason for the failure, for the person at the terminal. Nothing was changed.
pub fn restore(args: RestoreArgs, data_dir: &Path) -> Result<(), String> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let passphrase = match given(args.passphrase_file.as_deref())? {
        Some(given) => Some(given),
        None if is_encrypted(&args.file).map_err(|e| e.to_string())? => {
            if !std::io::stdin().is_terminal() {
                return Err(format!(
                    "The backup is encrypted. Provide its passphrase with --passphrase-file or in {VARIABLE}."
                ));
            }
            Some(
                rpassword::prompt_password("Passphrase: ")
                    .map_err(|e| format!("cannot read the passphrase: {e}"))?,
            )
        }
        None => None,
    };
    let way = RestoreOptions {
        passphrase: passphrase.map(BackupPassphrase::given),
        force: args.force,
    };
    let interrupted = catch_signals()?;
    let display = ProgressDisplay::new();
    let observer = |progress: RestoreProgress| {
        display.show(&progress);
        !interrupted.load(Ordering::Relaxed)
    };
    let restored = restore::restore(&args.file, data_dir, &way, &observer);
    display.end();
    let RestoreSummary {
        manifest,
        aside,
        ran,
        tokens,
    } = restored.map_err(|e| e.to_string())?;
    println!(
        "Restored into {}: {} configurations, {} instances, as of {}.",
        data_dir.display(),
        manifest.configurations,
        manifest.instances,
        manifest.created_at.local()
    );
    if let Some(aside) = aside {
        println!("The previous data is in {}.", aside.display());
    }
    println!(
        "Backups do not include client programs. Install one on the Updates page, or start with --client."
    );
    println!(
        "Instances that were running: {ran}. Only instances with autostart will start when jd-manager starts. Make sure that none of these instances is also running on another machine."
    );
    if tokens > 0 {
        println!(
            "Users, passwords and tokens were restored from the backup (number of tokens: {tokens}). Tokens that were revoked after the backup are valid again. To review them, run: jd-manager token list"
        );
    }
    if !manifest.holds_key && manifest.sealed {
        println!(
            "The backup does not contain the encryption key. Copy the matching {KEY_FILE} to {} before you start jd-manager.",
            data_dir.display()
        );
    }
    Ok(())
}

/// The passphrase from a file or the environment.
fn given(file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(path) = file else {
        return Ok(std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()));
    };
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("the passphrase file {}: {e}", path.display()))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(format!("the passphrase file {} is empty", path.display())),
    }
}

fn asked_twice() -> Result<String, String> {
    let ask = |words: &str| {
        rpassword::prompt_password(words).map_err(|e| format!("cannot read the passphrase: {e}"))
    };
    let passphrase = ask("Passphrase: ")?;
    match ask("Repeat passphrase: ")? == passphrase {
        true => Ok(passphrase),
        false => Err("the passphrases do not match".into()),
    }
}

/// Set by a signal that would terminate the process: the unfinished files are removed first, because
/// they contain secrets.
fn catch_signals() -> Result<Arc<AtomicBool>, String> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, interrupted.clone())
            .map_err(|e| format!("cannot handle signals: {e}"))?;
    }
    Ok(interrupted)
}

/// Progress of a restore on standard error: one updated line in a terminal, occasional lines
/// elsewhere.
struct ProgressDisplay {
    is_terminal: bool,
    next: Cell<Instant>,
    stage: Cell<Option<RestoreStage>>,
}

impl ProgressDisplay {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        // A short restore outside a terminal prints no progress.
        let next = if is_terminal {
            now
        } else {
            now + Self::LINE_INTERVAL
        };
        Self {
            is_terminal,
            next: Cell::new(next),
            stage: Cell::new(None),
        }
    }

    const LINE_INTERVAL: Duration = Duration::from_secs(5);

    fn show(&self, progress: &RestoreProgress) {
        let now = Instant::now();
        let is_news = self.is_terminal && self.stage.get() != Some(progress.stage);
        if now < self.next.get() && !is_news {
            return;
        }
        let interval = if self.is_terminal {
            Duration::from_millis(200)
        } else {
            Self::LINE_INTERVAL
        };
        self.next.set(now + interval);
        self.stage.set(Some(progress.stage));
        let (begin, end) = if self.is_terminal {
            ("\r\u{1b}[K", "")
        } else {
            ("", "\n")
        };
        let _ = write!(std::io::stderr(), "{begin}{}{end}", progress_text(progress));
    }

    /// Clears the line.
    fn end(&self) {
        if self.is_terminal && self.stage.get().is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn progress_text(progress: &RestoreProgress) -> String {
    let mib = |bytes: u64| bytes >> 20;
    let unpacked = format!("{} files, {} MiB", progress.files, mib(progress.bytes));
    match progress.stage {
        RestoreStage::Unpacking => {
            let (read, size) = (mib(progress.read), mib(progress.size));
            let percent = (progress.read * 100)
                .checked_div(progress.size)
                .unwrap_or(100);
            format!("Unpacking: {unpacked}; {read} of {size} MiB of the backup read ({percent}%)")
        }
        RestoreStage::Checking => format!("Checking: {unpacked}"),
        RestoreStage::Syncing => format!("Writing to disk: {unpacked}"),
    }
}
