//! `jd-manager updates`: installed clients, new releases, and switching between clients.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

use super::change::change;
use super::confirm::DeletionConsent;
use super::error::CommandError;
use super::instance::{find_in, names};
use super::jobs::{ApiJob, follow};
use super::manager::RemoteManager;
use super::naming::NamedResource;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::in_line;
use super::time::{age, when};
use crate::infra::chart::{Unit, format_value};

/// The subcommands of `jd-manager updates`.
#[derive(Clone, Debug, Subcommand)]
pub enum UpdatesCommand {
    /// Show the client in use, installed clients and new releases. This is the default.
    List,
    /// Check for new releases now.
    Check,
    /// Install a client. jd-manager switches to it only if --switch is given or no client is in
    /// use.
    Install {
        /// Release tag or client version [default: the latest release that can be installed on the
        /// machine that runs jd-manager].
        version: Option<String>,
        /// Switch the instances to this client afterward.
        #[arg(long)]
        switch: bool,
        /// Build this version from the cargo registry with cargo, as the user that runs
        /// jd-manager.
        #[arg(long, requires = "version")]
        build: bool,
        /// Install this program or release archive; the path is on the machine that runs
        /// jd-manager.
        #[arg(long, value_name = "PATH", conflicts_with_all = ["build", "version"])]
        file: Option<PathBuf>,
        /// Accept a release without a checksum.
        #[arg(long)]
        accept_unverified: bool,
        #[command(flatten)]
        patience: WaitArgs,
    },
    /// Switch instances to an installed client, one at a time. An instance that does not start
    /// correctly is rolled back.
    Switch {
        /// Version of the installed client.
        version: String,
        /// Switch only these instances and pin them to this version [default: all instances that
        /// are not pinned].
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        gate: GateArgs,
        #[command(flatten)]
        patience: WaitArgs,
    },
    /// Switch instances back to the previous client.
    Rollback {
        /// Roll back to this installed client instead.
        version: Option<String>,
        #[command(flatten)]
        gate: GateArgs,
        #[command(flatten)]
        patience: WaitArgs,
    },
    /// Skip a release: do not offer it and do not install it automatically. Newer releases are not
    /// affected.
    Skip {
        /// Release tag or client version.
        version: String,
    },
    /// Offer a skipped release again.
    Unskip {
        /// Release tag or client version.
        version: String,
    },
    /// Cancel the running job. An instance that is being switched is rolled back first.
    Cancel,
    /// Remove an installed client that is no longer needed.
    #[command(visible_alias = "rm")]
    Remove {
        /// Version of the installed client.
        version: String,
        #[command(flatten)]
        consent: DeletionConsent,
    },
}

/// Whether to wait for the end of the job.
#[derive(Args, Clone, Copy, Debug)]
pub struct WaitArgs {
    /// Start the job and do not wait for it to finish.
    #[arg(long)]
    no_wait: bool,
}

/// The conditions for a successful switch.
#[derive(Args, Clone, Copy, Debug)]
pub struct GateArgs {
    /// Time limit for each instance to be running, in seconds [default: 90].
    #[arg(long, value_name = "SECONDS")]
    ready_within: Option<u64>,
    /// How long each instance must then stay healthy, in seconds [default: 20].
    #[arg(long, value_name = "SECONDS")]
    watch: Option<u64>,
}

impl GateArgs {
    fn into(self, body: &mut Value) {
        for (member, seconds) in [
            ("ready_within_s", self.ready_within),
            ("watch_s", self.watch),
        ] {
            if let Some(seconds) = seconds {
                body[member] = seconds.into();
            }
        }
    }
}

/// The response to `GET /updates`. The response to `GET /updates/check` is a part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiUpdates {
    fixed: Option<String>,
    no_client: Option<String>,
    available: bool,
    current: Option<String>,
    latest: Option<String>,
    latest_client: Option<String>,
    pending: Option<ApiPendingRelease>,
    skipped: Vec<ApiReleaseSkip>,
    checked_at: Option<String>,
    problem: Option<String>,
    releases: Vec<ApiRelease>,
    installed: Vec<ApiInstalledClient>,
    previous: Option<String>,
    job: Option<ApiJob>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiPendingRelease {
    tag: String,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiReleaseSkip {
    tag: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiRelease {
    tag: String,
    published_at: Option<String>,
    prerelease: bool,
    asset: ApiReleaseAsset,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiReleaseAsset {
    state: String,
    size: Option<f64>,
    why: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiInstalledClient {
    name: String,
    in_use: bool,
    translator: bool,
    instances: Vec<NamedResource>,
    manifest: Option<ApiClientManifest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiClientManifest {
    origin: String,
    tag: Option<String>,
    installed_at: Option<String>,
}

/// The response when a job has started.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiJobResponse {
    job: String,
    message: String,
}

/// Runs a subcommand.
pub(super) async fn run(
    command: Option<UpdatesCommand>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match command.unwrap_or(UpdatesCommand::List) {
        UpdatesCommand::List => list(manager, paper).await,
        UpdatesCommand::Check => {
            let answer = manager.get("/api/updates/check").await?;
            if paper.json {
                return paper.answer(&answer.text);
            }
            let found: ApiUpdates = answer.read()?;
            paper.line(&headline(&found))?;
            pending(&found, paper)?;
            releases(&found, paper)
        }
        UpdatesCommand::Install {
            version,
            switch,
            build,
            file,
            accept_unverified,
            patience,
        } => {
            let mut body = json!({ "switch": switch, "accept_unverified": accept_unverified });
            if let Some(file) = file {
                let whole = std::path::absolute(&file).map_err(|e| {
                    CommandError::Misused(format!("--file: {}: {e}", file.display()))
                })?;
                let whole = whole.to_str().ok_or_else(|| {
                    CommandError::Misused("--file: the path is not valid UTF-8".into())
                })?;
                body["source"] = "file".into();
                body["path"] = whole.into();
            } else if build {
                body["source"] = "build".into();
            }
            if let Some(version) = version {
                body["version"] = version.into();
            }
            begin("/api/updates/install", &body, patience, manager, paper).await
        }
        UpdatesCommand::Switch {
            version,
            names: wanted,
            gate,
            patience,
        } => {
            let mut body = json!({ "version": version });
            if !wanted.is_empty() {
                let all = names(manager).await?;
                let ids = wanted
                    .iter()
                    .map(|name| Ok(find_in(&all, name)?.id.clone()))
                    .collect::<Result<Vec<_>, CommandError>>()?;
                body["instances"] = json!(ids);
            }
            gate.into(&mut body);
            begin("/api/updates/switch", &body, patience, manager, paper).await
        }
        UpdatesCommand::Rollback {
            version,
            gate,
            patience,
        } => {
            let mut body = json!({});
            if let Some(version) = version {
                body["version"] = version.into();
            }
            gate.into(&mut body);
            begin("/api/updates/rollback", &body, patience, manager, paper).await
        }
        UpdatesCommand::Skip { version } => {
            let body = json!({ "version": version });
            let path = "/api/updates/skip";
            change(manager, paper, Method::POST, path, Some(&body)).await
        }
        UpdatesCommand::Unskip { version } => {
            let body = json!({ "version": version });
            let path = "/api/updates/unskip";
            change(manager, paper, Method::POST, path, Some(&body)).await
        }
        UpdatesCommand::Cancel => {
            let now: ApiUpdates = manager.get("/api/updates").await?.read()?;
            let job = now
                .job
                .ok_or_else(|| CommandError::Failed("no job is running".into()))?;
            change(
                manager,
                paper,
                Method::POST,
                &format!("/api/updates/jobs/{}/cancel", job.id),
                None,
            )
            .await
        }
        UpdatesCommand::Remove { version, consent } => {
            consent.to(&format!(
                "Remove the installed client {}?",
                in_line(&version)
            ))?;
            let mut url = reqwest::Url::parse("http://localhost/api/updates/installed")
                .map_err(|e| CommandError::Failed(e.to_string()))?;
            if let Ok(mut path) = url.path_segments_mut() {
                path.push(&version);
            }
            change(manager, paper, Method::DELETE, url.path(), None).await
        }
    }
}

/// Starts a job and follows it to its end.
async fn begin(
    path: &str,
    body: &Value,
    patience: WaitArgs,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let answer = manager.send(Method::POST, path, Some(body)).await?;
    if patience.no_wait && paper.json {
        return paper.answer(&answer.text);
    }
    let begun: ApiJobResponse = answer.read()?;
    if patience.no_wait {
        return paper.line(&in_line(&begun.message));
    }
    follow(&begun.job, manager, paper).await
}

fn headline(updates: &ApiUpdates) -> String {
    let newest = |latest: &String| match &updates.latest_client {
        Some(client) => format!("{latest} (client {client})"),
        None => latest.clone(),
    };
    let line = match (&updates.current, &updates.latest) {
        (None, None) if !updates.releases.is_empty() => {
            "No client is in use, and no release can currently be installed on the machine that runs jd-manager."
                .into()
        }
        (None, None) => {
            "No client is in use, and no release is known. Check for releases with: jd-manager updates check"
                .into()
        }
        (None, Some(latest)) => {
            format!(
                "No client is in use. The latest release is {}. Install it with: jd-manager updates install",
                newest(latest)
            )
        }
        (Some(current), Some(latest)) if updates.available => {
            format!(
                "Client {current} is in use. Release {} is newer.",
                newest(latest)
            )
        }
        (Some(current), Some(_)) if updates.pending.is_none() && updates.skipped.is_empty() => {
            format!("Client {current} is in use. No newer release is known.")
        }
        (Some(current), latest) if latest.is_some() || !updates.releases.is_empty() => {
            format!("Client {current} is in use.")
        }
        (Some(current), _) => {
            format!(
                "Client {current} is in use. No release is known. Check for releases with: jd-manager updates check"
            )
        }
    };
    in_line(&line)
}

/// Prints the newer release that cannot be installed yet, and skipped releases.
fn pending(updates: &ApiUpdates, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    if let Some(pending) = &updates.pending {
        let line = format!(
            "Release {} is not yet available for the machine that runs jd-manager. {}",
            pending.tag, pending.reason
        );
        paper.line(&in_line(&line))?;
    }
    if !updates.skipped.is_empty() {
        let tags: Vec<&str> = updates
            .skipped
            .iter()
            .map(|skip| skip.tag.as_str())
            .collect();
        paper.line(&in_line(&format!("Skipped: {}", tags.join(", "))))?;
    }
    Ok(())
}

async fn list(manager: &RemoteManager, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    let answer = manager.get("/api/updates").await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let updates: ApiUpdates = answer.read()?;
    paper.line(&headline(&updates))?;
    pending(&updates, paper)?;
    // With an installed client or with --client, this is a separate problem.
    if let Some(why) = updates
        .no_client
        .as_ref()
        .filter(|_| updates.fixed.is_some() || !updates.installed.is_empty())
    {
        paper.line(&in_line(why))?;
    }
    if let Some(fixed) = &updates.fixed {
        paper.line(&format!("Set with --client: {}", in_line(fixed)))?;
    }
    if let Some(at) = when(updates.checked_at.as_deref()) {
        paper.line(&format!("Last check for releases: {at}"))?;
    }
    if let Some(problem) = &updates.problem {
        paper.line(&in_line(problem))?;
    }
    if let Some(job) = &updates.job {
        paper.line(&format!("Running job: {}", in_line(&job.words())))?;
    }
    if !updates.installed.is_empty() {
        paper.line("")?;
        let mut table = OutputTable::new(&[
            TableColumn::new("INSTALLED"),
            TableColumn::new("USE"),
            TableColumn::new("RELEASE").goes(1),
            TableColumn::new("FROM").goes(3),
            TableColumn::new("AGE").goes(2).right(),
            TableColumn::new("TRANSLATOR").goes(5),
            TableColumn::new("USED BY").goes(4).wrapped(),
        ]);
        for one in &updates.installed {
            let manifest = one.manifest.as_ref();
            let users: Vec<&str> = one
                .instances
                .iter()
                .map(|user| user.name.as_str())
                .collect();
            let part = match (one.in_use, updates.previous.as_ref() == Some(&one.name)) {
                (true, _) => "in use",
                (false, true) => "rollback",
                (false, false) => "-",
            };
            table.row(vec![
                TableCell::new(&one.name),
                TableCell::new(part),
                TableCell::or_dash(manifest.and_then(|manifest| manifest.tag.as_deref())),
                TableCell::or_dash(manifest.map(|manifest| manifest.origin.as_str())),
                TableCell::or_dash(
                    manifest.and_then(|manifest| age(manifest.installed_at.as_deref())),
                ),
                TableCell::new(if one.translator { "yes" } else { "no" }),
                TableCell::or_dash(Some(users.join(", ")).filter(|users| !users.is_empty())),
            ]);
        }
        table.write(paper)?;
    }
    releases(&updates, paper)
}

/// The number of releases shown.
const SHOWN: usize = 5;

fn releases(updates: &ApiUpdates, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    if updates.releases.is_empty() {
        return Ok(());
    }
    paper.line("")?;
    let mut table = OutputTable::new(&[
        TableColumn::new("RELEASE"),
        TableColumn::new("AGE").goes(1).right(),
        TableColumn::new("FILE").wrapped(),
    ]);
    for one in updates.releases.iter().take(SHOWN) {
        let file = match (one.asset.state.as_str(), one.asset.size) {
            ("ready", Some(size)) => format_value(Unit::Bytes, size),
            ("ready", None) => "available".into(),
            ("uploading", _) => "still being uploaded".into(),
            _ => one.asset.why.clone().unwrap_or_else(|| "none".into()),
        };
        let tag = if updates.skipped.iter().any(|skip| skip.tag == one.tag) {
            format!("{} (skipped)", one.tag)
        } else if one.prerelease {
            format!("{} (pre-release)", one.tag)
        } else {
            one.tag.clone()
        };
        table.row(vec![
            TableCell::new(tag),
            TableCell::or_dash(age(one.published_at.as_deref())),
            TableCell::new(file),
        ]);
    }
    table.write(paper)?;
    if updates.releases.len() > SHOWN {
        paper.line(&format!(
            "… and {} older releases",
            updates.releases.len() - SHOWN
        ))?;
    }
    Ok(())
}
