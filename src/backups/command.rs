//! The subcommands `backup` and `restore`: what they take, and what they say to the person at the terminal.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::encryption::Passphrase;
use super::making::{Order, SecretSource, make};
use super::restoring::{self, Restored, Way, is_encrypted};
use crate::vault::KEY_FILE;

/// The variable that may hold the passphrase.
const VARIABLE: &str = "JD_MANAGER_BACKUP_PASSPHRASE";

/// What `backup` takes besides the settings.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file to be made, e.g. jd-manager.tar.gz; with a passphrase jd-manager.tar.gz.age.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Leave out the key that opens the secrets: the backup then gives none away, and is restored where the key is put beside it.
    #[arg(long)]
    pub without_key: bool,
    /// With the clients' logs.
    #[arg(long)]
    pub with_logs: bool,
    /// Encrypt it with the passphrase on the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Encrypt it with a passphrase that is asked for here. JD_MANAGER_BACKUP_PASSPHRASE may hold it, too.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub encrypt: bool,
}

/// What `restore` takes besides the settings.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Restore although the data directory is not empty: what is there is moved aside.
    #[arg(long)]
    pub force: bool,
    /// The passphrase is on the first line of this file. Without it JD_MANAGER_BACKUP_PASSPHRASE holds it, or it is asked for.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Makes a backup of `data_dir`, whether or not a manager runs on it. Without the key it has none of the `secrets` in logs and history.
///
/// # Errors
/// Why it was not made, for the person at the terminal.
pub fn backup(args: BackupArgs, data_dir: &Path, secrets: SecretSource) -> Result<(), String> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let given = match (given(args.passphrase_file.as_deref())?, args.encrypt) {
        (None, true) => Some(asked_twice()?),
        (given, _) => given,
    };
    let passphrase = given.map(Passphrase::new).transpose()?;
    let order = Order { with_key: !args.without_key, with_logs: args.with_logs, passphrase, secrets: Some(secrets) };
    let file = std::path::absolute(&args.file).map_err(|e| format!("{}: {e}", args.file.display()))?;
    let manifest = make(data_dir, &order, &file, &|_| true).map_err(|e| e.to_string())?;
    println!(
        "{}: {} configurations, {} instances, {} the key of their secrets{}{}.",
        args.file.display(),
        manifest.configurations,
        manifest.instances,
        if manifest.holds_key { "with" } else { "without" },
        if manifest.with_logs { ", with logs" } else { "" },
        if order.passphrase.is_some() { ", encrypted" } else { "" },
    );
    println!("Installed clients are not in it; they can be installed again.");
    if order.passphrase.is_none() && (manifest.holds_key || !manifest.sealed) {
        eprintln!(
            "Note: whoever has this file has every secret in it, since it is not encrypted. --encrypt asks for a passphrase; --without-key leaves the key out."
        );
    }
    Ok(())
}

/// Restores a backup into `data_dir`.
///
/// # Errors
/// Why it was not restored, for the person at the terminal. Nothing was changed.
pub fn restore(args: RestoreArgs, data_dir: &Path) -> Result<(), String> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let passphrase = match given(args.passphrase_file.as_deref())? {
        Some(given) => Some(given),
        None if is_encrypted(&args.file).map_err(|e| e.to_string())? => {
            if !std::io::stdin().is_terminal() {
                return Err(format!("The backup is encrypted. Give its passphrase with --passphrase-file or in {VARIABLE}."));
            }
            Some(rpassword::prompt_password("Passphrase: ").map_err(|e| format!("no passphrase: {e}"))?)
        }
        None => None,
    };
    let way = Way { passphrase: passphrase.map(Passphrase::given), force: args.force };
    let Restored { manifest, aside, ran, tokens } = restoring::restore(&args.file, data_dir, &way).map_err(|e| e.to_string())?;
    println!(
        "Restored into {}: {} configurations, {} instances, as of {}.",
        data_dir.display(),
        manifest.configurations,
        manifest.instances,
        manifest.created_at.local()
    );
    if let Some(aside) = aside {
        println!("What was there before is in {}.", aside.display());
    }
    println!("Installed clients are not in a backup: install one on the page of updates, or start with --client.");
    println!(
        "{ran} of the instances were to run. None is started by itself but those with autostart, when jd-manager starts: make sure that they do not run elsewhere, too."
    );
    if tokens > 0 {
        println!(
            "Users, passwords and tokens are those of then. A token that was revoked since is valid again ({tokens} in all): jd-manager token list."
        );
    }
    if !manifest.holds_key && manifest.sealed {
        println!(
            "The key of the secrets was not in it: put the {KEY_FILE} that belongs to it into {} before you start jd-manager.",
            data_dir.display()
        );
    }
    Ok(())
}

/// The passphrase from a file or the environment.
fn given(file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(path) = file else { return Ok(std::env::var(VARIABLE).ok().filter(|text| !text.is_empty())) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("the passphrase file {}: {e}", path.display()))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Some(line.to_owned())),
        None => Err(format!("the passphrase file {} is empty", path.display())),
    }
}

fn asked_twice() -> Result<String, String> {
    let ask = |words: &str| rpassword::prompt_password(words).map_err(|e| format!("no passphrase: {e}"));
    let passphrase = ask("Passphrase: ")?;
    match ask("Once more: ")? == passphrase {
        true => Ok(passphrase),
        false => Err("the two passphrases differ".into()),
    }
}
