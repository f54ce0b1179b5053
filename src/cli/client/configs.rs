//! `jd-manager configs`: list, show, check, import, export and delete saved configurations.

use clap::Subcommand;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::change::change;
use super::confirm::DeletionTarget;
use super::error::{CommandError, FAILED};
use super::findings::ApiFindings;
use super::manager::RemoteManager;
use super::naming::{NamedResource, find};
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::{in_line, plain};
use super::time::age;

/// The subcommands of `jd-manager configs`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigsCommand {
    /// List the saved configurations. This is the default.
    #[command(visible_alias = "ls")]
    List {
        /// Show only configurations with this text in their name, description or values. Case is
        /// ignored.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Show the client's configuration file, with the secret key masked. Warnings are printed
    /// to standard error.
    Show {
        /// Name or id of the configuration (the first characters of the id are enough).
        name: String,
        /// Show the file for this client version.
        #[arg(long, value_name = "VERSION")]
        client_version: Option<String>,
        /// Show the file for this program. The translator's file is the same for all versions.
        #[arg(long, value_enum, default_value_t, conflicts_with = "client_version")]
        program: FileProgram,
    },
    /// Export a configuration as TOML, with the comments from the imported file. The secret key is
    /// masked.
    Export {
        /// Name or id of the configuration (the first characters of the id are enough).
        name: String,
        /// Include the secret key. Requires the admin role and is recorded in the audit log.
        #[arg(long)]
        with_secret: bool,
        /// Export the file for this program. The translator's file contains no secrets.
        #[arg(long, value_enum, default_value_t, conflicts_with = "with_secret")]
        program: FileProgram,
        /// Write to a new file that only its owner can read, instead of standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Import a configuration file of any client version, or add a translator's file to a
    /// saved configuration.
    Import {
        /// The file, or - for standard input.
        file: PathBuf,
        /// Name of the configuration [default: a generated name].
        #[arg(long)]
        name: Option<String>,
        /// Replace the keys in the file with a new key pair.
        #[arg(long)]
        fresh_keys: bool,
        /// Import for solo mining, regardless of the mode in the file.
        #[arg(long)]
        solo: bool,
        /// Import a translator's file: add its settings to this saved configuration (name or id).
        #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "fresh_keys", "solo"])]
        into: Option<String>,
    },
    /// Check a client's configuration file for errors and warnings, without saving it.
    Check {
        /// The file (TOML or JSON), or - for standard input.
        file: PathBuf,
    },
    /// Test a saved configuration with the real programs, without mining, and test its connections.
    Try {
        /// Name or id of the configuration (the first characters of the id are enough).
        name: String,
    },
    /// Delete saved configurations and all their revisions.
    #[command(visible_alias = "rm")]
    Delete(DeletionTarget),
}

/// The program that a file is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FileProgram {
    /// The file for jd_client_sv2.
    #[default]
    Client,
    /// The file for translator_sv2.
    Translator,
}

/// The response to `GET /saved-configs`, each configuration unchanged.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiConfigList {
    configurations: Vec<Box<RawValue>>,
    total: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiConfig {
    id: String,
    name: String,
    config_json: String,
    is_active: bool,
    revision: u64,
    updated_at: Option<String>,
    used_by: Vec<NamedResource>,
}

/// The values of a configuration that the list shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiConfigValues {
    mode: Option<String>,
    listening_address: Option<String>,
    authority_public_key: Option<String>,
}

impl ApiConfig {
    fn values(&self) -> ApiConfigValues {
        serde_json::from_str(&self.config_json).unwrap_or_default()
    }
}

/// All configurations, or those that match a text: the unchanged JSON and the parsed fields. Long
/// lists are read in several requests.
async fn list(
    manager: &RemoteManager,
    search: Option<&str>,
) -> Result<Vec<(Box<RawValue>, ApiConfig)>, CommandError> {
    let mut all = Vec::new();
    loop {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("limit", "1000")
            .append_pair("offset", &all.len().to_string());
        if let Some(text) = search {
            query.append_pair("q", text);
        }
        let list: ApiConfigList = manager
            .get(&format!("/api/saved-configs?{}", query.finish()))
            .await?
            .read()?;
        let has_more =
            !list.configurations.is_empty() && all.len() + list.configurations.len() < list.total;
        for raw in list.configurations {
            let read = serde_json::from_str(raw.get()).map_err(|e| {
                CommandError::Failed(format!(
                    "the response contains a configuration that cannot be read: {e}"
                ))
            })?;
            all.push((raw, read));
        }
        if !has_more {
            return Ok(all);
        }
    }
}

async fn names(manager: &RemoteManager) -> Result<Vec<NamedResource>, CommandError> {
    let all = list(manager, None).await?;
    Ok(all
        .into_iter()
        .map(|(_, one)| NamedResource {
            id: one.id,
            name: one.name,
        })
        .collect())
}

fn find_in<'a>(all: &'a [NamedResource], wanted: &str) -> Result<&'a NamedResource, CommandError> {
    find(all, wanted, "configuration", "jd-manager configs")
}

/// The saved configuration with this name or id.
pub(super) async fn named(
    manager: &RemoteManager,
    wanted: &str,
) -> Result<NamedResource, CommandError> {
    find_in(&names(manager).await?, wanted).cloned()
}

/// Runs a subcommand.
pub(super) async fn run(
    command: Option<ConfigsCommand>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match command.unwrap_or(ConfigsCommand::List { search: None }) {
        ConfigsCommand::List { search } => show_list(search.as_deref(), manager, paper).await,
        ConfigsCommand::Show {
            name,
            client_version: None,
            program: FileProgram::Translator,
        } => {
            let one = named(manager, &name).await?;
            let answer = manager
                .get(&format!(
                    "/api/saved-configs/{}/toml?program=translator",
                    one.id
                ))
                .await?;
            if paper.json {
                return paper.answer(&answer.text);
            }
            let file: ApiFindings = answer.read()?;
            paper.text(&plain(&file.toml.unwrap_or_default()))
        }
        ConfigsCommand::Show {
            name,
            client_version,
            ..
        } => show(&name, client_version.as_deref(), manager, paper).await,
        ConfigsCommand::Export {
            name,
            with_secret,
            program,
            output,
        } => {
            let one = named(manager, &name).await?;
            let path = format!("/api/saved-configs/{}/export", one.id);
            let answer = if program == FileProgram::Translator {
                manager.get(&format!("{path}?program=translator")).await?
            } else if with_secret {
                manager
                    .send(Method::POST, &format!("{path}?secret=include"), None)
                    .await?
            } else {
                manager.get(&path).await?
            };
            match output {
                Some(file) => put(&file, &answer.text),
                None => paper.text(&answer.text),
            }
        }
        ConfigsCommand::Import {
            file,
            into: Some(config),
            ..
        } => {
            let one = named(manager, &config).await?;
            let body = json!({ "toml": read(&file)?, "config_id": one.id });
            let answer = manager
                .send(
                    Method::POST,
                    "/api/saved-configs/import/translator",
                    Some(&body),
                )
                .await?;
            if paper.json {
                return paper.answer(&answer.text);
            }
            let remarks: ApiFindings = answer.read()?;
            remarks.complain();
            paper.line(&in_line(&remarks.message))?;
            remarks.not_imported.iter().try_for_each(|remark| {
                paper.line(&format!("not imported: {}", in_line(&remark.detail)))
            })
        }
        ConfigsCommand::Import {
            file,
            name,
            fresh_keys,
            solo,
            into: None,
        } => {
            let mut body = json!({ "toml": read(&file)?, "fresh_keys": fresh_keys, "solo": solo });
            if let Some(name) = name {
                body["name"] = Value::from(name);
            }
            let answer = manager
                .send(Method::POST, "/api/saved-configs/import", Some(&body))
                .await
                .map_err(|error| with_way_for_translator(error, &file))?;
            if paper.json {
                return paper.answer(&answer.text);
            }
            let remarks: ApiFindings = answer.read()?;
            remarks.complain();
            paper.line(&in_line(&remarks.message))
        }
        ConfigsCommand::Check { file } => check(&file, manager, paper).await,
        ConfigsCommand::Try { name } => {
            let one = named(manager, &name).await?;
            let answer = manager
                .send(
                    Method::POST,
                    &format!("/api/saved-configs/{}/trial", one.id),
                    None,
                )
                .await?;
            let remarks: ApiFindings = answer.read()?;
            if paper.json {
                paper.answer(&answer.text)?;
            } else {
                remarks.print_trial(paper)?;
            }
            if remarks.is_accepted() {
                Ok(())
            } else {
                Err(CommandError::Reported(FAILED))
            }
        }
        ConfigsCommand::Delete(DeletionTarget {
            names: wanted,
            consent,
        }) => {
            let all = names(manager).await?;
            let meant: Vec<&NamedResource> = wanted
                .iter()
                .map(|name| find_in(&all, name))
                .collect::<Result<_, _>>()?;
            let shown: Vec<String> = meant
                .iter()
                .map(|one| format!("\"{}\"", in_line(&one.name)))
                .collect();
            consent.to(&format!(
                "Delete {}, including all revisions?",
                shown.join(", ")
            ))?;
            for one in meant {
                change(
                    manager,
                    paper,
                    Method::DELETE,
                    &format!("/api/saved-configs/{}", one.id),
                    None,
                )
                .await?;
            }
            Ok(())
        }
    }
}

/// Adds the command for a translator's file to the error about such a file.
fn with_way_for_translator(error: CommandError, file: &Path) -> CommandError {
    let CommandError::Refused(mut refusal) = error else {
        return error;
    };
    let problem: Value = serde_json::from_str(&refusal.body).unwrap_or_default();
    if problem["code"] == "translator-file" {
        refusal.advice = Some(format!(
            "To add it to a saved configuration, run: jd-manager configs import {} --into NAME",
            file.display()
        ));
    }
    CommandError::Refused(refusal)
}

async fn show_list(
    search: Option<&str>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let all = list(manager, search).await?;
    if paper.json {
        let raw: Vec<&str> = all.iter().map(|(raw, _)| raw.get()).collect();
        return paper.answer(&format!(
            "{{\"configurations\":[{}],\"total\":{}}}",
            raw.join(","),
            raw.len()
        ));
    }
    if all.is_empty() {
        return paper.line(match search {
            Some(_) => "No configurations match.",
            None => {
                "There are no configurations yet. Import a client's file with: jd-manager configs import FILE"
            }
        });
    }
    let mut table = OutputTable::new(&[
        TableColumn::new("NAME").wrapped(),
        TableColumn::new("MODE").goes(1),
        TableColumn::new("LISTENS ON").goes(3),
        TableColumn::new("REVISION").goes(4).right(),
        TableColumn::new("CHANGED").goes(5).right(),
        TableColumn::new("USED BY").goes(2).wrapped(),
    ]);
    for (_, one) in &all {
        let values = one.values();
        let mut users: Vec<&str> = one.used_by.iter().map(|user| user.name.as_str()).collect();
        if one.is_active {
            users.push("(active)");
        }
        table.row(vec![
            TableCell::new(&one.name),
            TableCell::or_dash(values.mode.as_deref()),
            TableCell::or_dash(values.listening_address.as_deref()),
            TableCell::new(one.revision.to_string()),
            TableCell::or_dash(age(one.updated_at.as_deref()).map(|age| format!("{age} ago"))),
            TableCell::or_dash(Some(users.join(", ")).filter(|users| !users.is_empty())),
        ]);
    }
    table.write(paper)
}

async fn show(
    name: &str,
    version: Option<&str>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let one = named(manager, name).await?;
    let mut path = format!("/api/saved-configs/{}/toml", one.id);
    if let Some(version) = version {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_version", version)
            .finish();
        path = format!("{path}?{query}");
    }
    let answer = manager.get(&path).await?;
    let remarks: ApiFindings = answer.read()?;
    if paper.json {
        paper.answer(&answer.text)?;
    } else {
        if let Some(toml) = &remarks.toml {
            paper.text(&plain(toml))?;
            paper.flush()?;
        }
        remarks.complain();
        // Warnings that do not depend on the version.
        let saved: ApiFindings = manager
            .get(&format!("/api/saved-configs/{}", one.id))
            .await?
            .read()?;
        saved.complain();
    }
    // This version cannot run the configuration.
    if remarks.toml.is_some() {
        Ok(())
    } else {
        Err(CommandError::Reported(FAILED))
    }
}

/// The content of a file; `-` is standard input.
fn read(file: &Path) -> Result<String, CommandError> {
    let is_input = file.as_os_str() == "-";
    let read = if is_input {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let shown = if is_input {
        "standard input".into()
    } else {
        file.display().to_string()
    };
    read.map_err(|e| CommandError::Failed(format!("cannot read {shown}: {e}")))
}

/// Writes a new file that only its owner can read, because it may contain a secret key.
fn put(file: &Path, text: &str) -> Result<(), CommandError> {
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    made.and_then(|mut to| to.write_all(text.as_bytes()))
        .map_err(|e| CommandError::Failed(format!("cannot write {}: {e}", file.display())))
}

/// The text that the API shows instead of a secret key.
const MASK: &str = "********";

async fn check(
    file: &Path,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let text = read(file)?;
    let config: Value = match serde_json::from_str(&text) {
        Ok(config) => config,
        Err(_) => toml::from_str(&text).map_err(|e| {
            CommandError::Failed(format!("{} is not valid TOML: {e}", file.display()))
        })?,
    };
    // The key of an exported file is stored in the manager.
    let known = if config["authority_secret_key"] == MASK {
        let mut all = list(manager, None).await?.into_iter().map(|(_, one)| one);
        let key = config["authority_public_key"].as_str().map(str::to_owned);
        all.find(|one| key.is_some() && one.values().authority_public_key == key)
    } else {
        None
    };
    let asked = match known {
        Some(one) => {
            let body = json!({ "name": one.name, "config": config });
            manager
                .send(
                    Method::POST,
                    &format!("/api/saved-configs/{}/check", one.id),
                    Some(&body),
                )
                .await
        }
        None => {
            manager
                .send(Method::POST, "/api/config/validate", Some(&config))
                .await
        }
    };
    let remarks: ApiFindings = match asked {
        Ok(answer) if paper.json => {
            paper.answer(&answer.text)?;
            answer.read()?
        }
        Ok(answer) => answer.read()?,
        // An invalid file is a normal response.
        Err(CommandError::Refused(refusal)) if refusal.status == 422 && !paper.json => {
            serde_json::from_str(&refusal.body).map_err(|_| CommandError::Refused(refusal))?
        }
        Err(trouble) => return Err(trouble),
    };
    let is_valid = remarks.valid == Some(true) && remarks.errors.is_empty();
    if !paper.json {
        for (kind, list) in [
            ("error", &remarks.errors),
            ("warning", &remarks.warnings),
            ("hint", &remarks.hints),
        ] {
            list.iter()
                .try_for_each(|remark| paper.line(&remark.line(kind)))?;
        }
        if is_valid {
            let but = match remarks.warnings.len() {
                0 => String::new(),
                1 => ", with 1 warning".into(),
                many => format!(", with {many} warnings"),
            };
            paper.line(&format!("The configuration is valid{but}."))?;
        }
    }
    if is_valid {
        Ok(())
    } else {
        Err(CommandError::Reported(FAILED))
    }
}
