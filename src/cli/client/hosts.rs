//! `jd-manager hosts`: other machines with jd-manager that a manager uses through SSH.

use clap::Subcommand;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::change::change;
use super::confirm::DeletionConsent;
use super::error::CommandError;
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::in_line;
use super::time::{age, length, when};
use crate::base::units::{Unit, format_value};

/// The subcommands of `jd-manager hosts`.
#[derive(Clone, Debug, Subcommand)]
pub enum HostsCommand {
    /// List the hosts with their state (the default).
    List,
    /// Show a host, its problem and the lines that it needs.
    Show {
        /// Name of the host.
        name: String,
    },
    /// Connect to a host over SSH and add it.
    Add {
        /// Address for ssh: a host name, user@host, or an alias from ~/.ssh/config of the user that
        /// runs jd-manager.
        address: String,
        /// Name in the list [default: the host name in the address].
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a host. The host itself is not affected.
    Remove {
        /// Name of the host.
        name: String,
        /// Whether to remove it without confirmation.
        #[command(flatten)]
        consent: DeletionConsent,
    },
}

/// The response to `GET /hosts`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiHosts {
    hosts: Vec<ApiHost>,
}

/// A host as the API describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiHost {
    name: String,
    address: String,
    status: String,
    since: Option<String>,
    version: Option<String>,
    instances: Option<u64>,
    running: Option<u64>,
    hashrate: Option<f64>,
    last_answer_at: Option<String>,
    clock_offset_ms: Option<i64>,
    detail: Option<String>,
    advice: Option<String>,
    setup: Option<ApiHostSetup>,
}

/// The lines that a host needs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiHostSetup {
    public_key: Option<String>,
    authorized_keys: String,
    authorized_keys_package: String,
}

/// The response to a new host.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiHostAddition {
    message: String,
    host: ApiHost,
    setup: ApiHostSetup,
}

impl ApiHost {
    fn responds(&self) -> bool {
        matches!(self.status.as_str(), "ok" | "older")
    }

    fn state_text(&self) -> String {
        let text = match self.status.as_str() {
            "ok" => "reachable".into(),
            "older" => "older version".into(),
            "refused" => "login refused".into(),
            "no-manager" => "no jd-manager".into(),
            other => other.replace('-', " "),
        };
        match when(self.since.as_deref()) {
            Some(since) if !self.responds() => format!("{text} since {since}"),
            _ => text,
        }
    }

    fn counts_text(&self) -> Option<String> {
        let (running, all) = self.running.zip(self.instances)?;
        let known = if self.responds() { "" } else { " (last known)" };
        Some(format!("{running} of {all}{known}"))
    }

    fn hashrate_text(&self) -> Option<String> {
        self.hashrate
            .map(|rate| format_value(Unit::HashesPerSecond, rate))
    }

    fn clock_text(&self) -> Option<String> {
        let offset = self
            .clock_offset_ms
            .filter(|ms| ms.unsigned_abs() >= 2000)?;
        let direction = if offset > 0 { "ahead" } else { "behind" };
        Some(format!(
            "{} {direction}",
            length(offset.unsigned_abs() / 1000)
        ))
    }

    /// The problem, the words of ssh, and the lines that the host needs.
    fn write_problem(&self, paper: &mut TerminalOutput) -> Result<(), CommandError> {
        for text in [&self.advice, &self.detail].into_iter().flatten() {
            paper.line(&in_line(text))?;
        }
        Ok(())
    }
}

impl ApiHostSetup {
    fn write(&self, paper: &mut TerminalOutput) -> Result<(), CommandError> {
        paper.line("")?;
        if self.public_key.is_none() {
            paper.line("There is no SSH key yet. As the user that runs this jd-manager: ssh-keygen -t ed25519")?;
        }
        paper.line(
            "Line for ~/.ssh/authorized_keys of the user that runs jd-manager on the host:",
        )?;
        paper.line(&in_line(&self.authorized_keys))?;
        paper.line("If the host has the Debian package, line for ~/.ssh/authorized_keys of root instead (address root@…):")?;
        paper.line(&in_line(&self.authorized_keys_package))
    }
}

/// Runs a subcommand.
pub(super) async fn run(
    command: Option<HostsCommand>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match command.unwrap_or(HostsCommand::List) {
        HostsCommand::List => list(manager, paper).await,
        HostsCommand::Show { name } => show(&name, manager, paper).await,
        HostsCommand::Add { address, name } => add(&address, name, manager, paper).await,
        HostsCommand::Remove { name, consent } => {
            let path = path_of(&name);
            consent.to(&format!("Remove host {}?", in_line(&name)))?;
            change(manager, paper, Method::DELETE, &path, None).await
        }
    }
}

fn path_of(name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/api/hosts/{}", name.replace('+', "%20"))
}

async fn list(manager: &RemoteManager, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    let answer = manager.get("/api/hosts").await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let hosts: ApiHosts = answer.read()?;
    if hosts.hosts.is_empty() {
        return paper.line("There are no hosts yet. To add one: jd-manager hosts add user@host");
    }
    let mut table = OutputTable::new(&[
        TableColumn::new("NAME").wrapped(),
        TableColumn::new("STATE").wrapped(),
        TableColumn::new("RUNNING"),
        TableColumn::new("HASHRATE").right(),
        TableColumn::new("VERSION").goes(1),
        TableColumn::new("LAST RESPONSE").goes(3).right(),
        TableColumn::new("CLOCK").goes(2),
    ]);
    for host in &hosts.hosts {
        let last = age(host.last_answer_at.as_deref()).map(|age| format!("{age} ago"));
        table.row(vec![
            TableCell::new(&host.name),
            TableCell::new(host.state_text()),
            TableCell::or_dash(host.counts_text()),
            TableCell::or_dash(host.hashrate_text()),
            TableCell::or_dash(host.version.as_ref()),
            TableCell::or_dash(last),
            TableCell::or_dash(host.clock_text()),
        ]);
    }
    table.write(paper)
}

async fn show(
    name: &str,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let answer = manager.get(&path_of(name)).await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let host: ApiHost = answer.read()?;
    let mut table = OutputTable::of_facts();
    table.fact("Name", Some(&host.name));
    table.fact("Address", Some(&host.address));
    table.fact("State", Some(host.state_text()));
    table.fact("Running", host.counts_text());
    table.fact("Hashrate", host.hashrate_text());
    table.fact("Version", host.version.as_ref());
    table.fact("Last response", when(host.last_answer_at.as_deref()));
    table.fact("Clock", host.clock_text());
    table.write(paper)?;
    host.write_problem(paper)?;
    host.setup
        .as_ref()
        .map_or(Ok(()), |setup| setup.write(paper))
}

async fn add(
    address: &str,
    name: Option<String>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let mut body = json!({ "address": address });
    if let Some(name) = name {
        body["name"] = json!(name);
    }
    let answer = manager
        .send(Method::POST, "/api/hosts", Some(&body))
        .await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let added: ApiHostAddition = answer.read()?;
    paper.line(&in_line(&added.message))?;
    if added.host.responds() {
        return Ok(());
    }
    added.host.write_problem(paper)?;
    added.setup.write(paper)
}
