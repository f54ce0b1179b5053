//! `jd-manager instances`: list, show, create, change and delete. Starting and stopping is in
//! `lifecycle`.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use strum::VariantNames;

use super::change::change;
use super::confirm::DeletionTarget;
use super::error::CommandError;
use super::instance::{ApiInstance, all, find_in, named, names};
use super::lifecycle::{self, LifecycleAction, LifecycleTargets};
use super::manager::RemoteManager;
use super::naming::NamedResource;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::text::in_line;
use super::time::{age, length, when};
use crate::infra::chart::{Unit, format_value};
use crate::keeper::machine::InstanceState;

/// The subcommands of `jd-manager instances`.
#[derive(Clone, Debug, Subcommand)]
pub enum InstancesCommand {
    /// List the instances. This is the default.
    #[command(visible_alias = "ls")]
    List(InstanceSelection),
    /// Show the details of an instance.
    Show {
        /// Name or id of the instance (the first characters of the id are enough).
        name: String,
    },
    /// Start instances and wait until they are running.
    Start(LifecycleTargets),
    /// Stop instances and wait until their clients have exited.
    Stop(LifecycleTargets),
    /// Restart instances with the newest revision of their configuration, and wait until they are
    /// running.
    Restart(LifecycleTargets),
    /// Create an instance from a saved configuration without starting it.
    Create {
        /// Name of the new instance.
        name: String,
        /// Name or id of the saved configuration (the first characters of the id are enough).
        #[arg(long, value_name = "NAME")]
        config: String,
        /// Start the instance automatically with jd-manager.
        #[arg(long)]
        autostart: bool,
        /// Restart policy: never, on-failure or always.
        #[arg(long, value_name = "POLICY")]
        restart_policy: Option<String>,
        /// Always use this installed client version.
        #[arg(long, value_name = "VERSION")]
        client_version: Option<String>,
    },
    /// Rename an instance.
    Rename {
        /// Name or id of the instance (the first characters of the id are enough).
        name: String,
        /// New name of the instance.
        new_name: String,
    },
    /// Set whether an instance starts automatically with jd-manager.
    Autostart {
        /// Name or id of the instance (the first characters of the id are enough).
        name: String,
        /// On or off.
        value: OnOff,
    },
    /// List the last actions on several instances.
    Jobs,
    /// Stop instances and delete them with their history, logs and files.
    #[command(visible_alias = "rm")]
    Delete(DeletionTarget),
}

/// The filter of the list.
#[derive(Args, Clone, Debug, Default)]
pub struct InstanceSelection {
    /// Show only instances in this state. Can be repeated.
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(InstanceState::VARIANTS))]
    state: Vec<String>,
    /// Show only instances with this text in their name or configuration name. Case is
    /// ignored.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// A switch on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Start automatically.
    On,
    /// Do not start automatically.
    Off,
}

/// Runs a subcommand.
pub(super) async fn run(
    command: Option<InstancesCommand>,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    match command.unwrap_or_else(|| InstancesCommand::List(InstanceSelection::default())) {
        InstancesCommand::List(which) => list(&which, manager, paper).await,
        InstancesCommand::Show { name } => show(&name, manager, paper).await,
        InstancesCommand::Jobs => super::bulk_jobs::run(manager, paper).await,
        InstancesCommand::Start(targets) => {
            lifecycle::run(LifecycleAction::Start, &targets, manager, paper).await
        }
        InstancesCommand::Stop(targets) => {
            lifecycle::run(LifecycleAction::Stop, &targets, manager, paper).await
        }
        InstancesCommand::Restart(targets) => {
            lifecycle::run(LifecycleAction::Restart, &targets, manager, paper).await
        }
        InstancesCommand::Create {
            name,
            config,
            autostart,
            restart_policy,
            client_version,
        } => {
            let config = super::configs::named(manager, &config).await?;
            let mut body = json!({ "name": name, "config_id": config.id, "autostart": autostart });
            for (member, value) in [
                ("restart_policy", restart_policy),
                ("client_version", client_version),
            ] {
                if let Some(value) = value {
                    body[member] = Value::from(value);
                }
            }
            change(manager, paper, Method::POST, "/api/instances", Some(&body)).await
        }
        InstancesCommand::Rename { name, new_name } => {
            let one = named(manager, &name).await?;
            change(
                manager,
                paper,
                Method::PATCH,
                &path(&one),
                Some(&json!({ "name": new_name })),
            )
            .await
        }
        InstancesCommand::Autostart { name, value } => {
            let one = named(manager, &name).await?;
            change(
                manager,
                paper,
                Method::PATCH,
                &path(&one),
                Some(&json!({ "autostart": value == OnOff::On })),
            )
            .await
        }
        InstancesCommand::Delete(DeletionTarget {
            names: wanted,
            consent,
        }) => {
            let all = names(manager).await?;
            let meant: Vec<&NamedResource> = wanted
                .iter()
                .map(|name| find_in(&all, name))
                .collect::<Result<_, _>>()?;
            let shown: Vec<String> = meant.iter().map(|one| in_line(&one.name)).collect();
            consent.to(&format!(
                "Delete {}, including all history, logs and files?",
                shown.join(", ")
            ))?;
            for one in meant {
                change(manager, paper, Method::DELETE, &path(one), None).await?;
            }
            Ok(())
        }
    }
}

fn path(one: &NamedResource) -> String {
    format!("/api/instances/{}", one.id)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiFigures {
    instances: Vec<ApiFigure>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiFigure {
    instance_id: String,
    metrics: HashMap<String, f64>,
}

/// The newest metrics of every instance, by id.
async fn figures(
    manager: &RemoteManager,
) -> Result<HashMap<String, HashMap<String, f64>>, CommandError> {
    let figures: ApiFigures = manager.get("/api/metrics").await?.read()?;
    Ok(figures
        .instances
        .into_iter()
        .map(|one| (one.instance_id, one.metrics))
        .collect())
}

async fn list(
    which: &InstanceSelection,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let all = all(manager).await?;
    let total = all.len();
    let wanted = which.search.as_deref().map(str::to_lowercase);
    let is_wanted = |one: &ApiInstance| {
        let state = which.state.is_empty() || which.state.contains(&one.status);
        let has = |text: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| text.to_lowercase().contains(wanted))
        };
        state && (has(&one.name) || has(&one.config_name))
    };
    let shown: Vec<_> = all.into_iter().filter(|(_, one)| is_wanted(one)).collect();
    if paper.json {
        let raw: Vec<&str> = shown.iter().map(|(raw, _)| raw.get()).collect();
        return paper.answer(&format!("{{\"instances\":[{}]}}", raw.join(",")));
    }
    if shown.is_empty() {
        return paper.line(if total == 0 {
            "There are no instances yet. Set up mining on the web page, or create one from a saved configuration: jd-manager instances create NAME --config NAME"
        } else {
            "No instances match."
        });
    }
    let figures = figures(manager).await?;
    let mut table = OutputTable::new(&[
        TableColumn::new("NAME").wrapped(),
        TableColumn::new("STATE"),
        TableColumn::new("HEALTH").goes(1),
        TableColumn::new("POOL").goes(3),
        TableColumn::new("UPTIME").goes(2).right(),
        TableColumn::new("HASHRATE 10 MIN").goes(4).right(),
        TableColumn::new("MINERS").goes(6).right(),
        TableColumn::new("PORT").goes(5).right(),
        TableColumn::new("CONFIGURATION").goes(7).wrapped(),
    ]);
    for (_, one) in &shown {
        let health = one.health.clone().unwrap_or_default();
        let is_up = one.status == "running" || one.status == "starting";
        // A stopped instance has no metrics, even if some were measured a moment ago.
        let figure = |name: &str| {
            figures
                .get(&one.id)
                .and_then(|all| all.get(name))
                .filter(|_| is_up)
        };
        table.row(vec![
            TableCell::new(&one.name),
            TableCell::state(&one.status),
            if health.status.is_empty() {
                TableCell::new("-")
            } else {
                TableCell::state(&health.status)
            },
            TableCell::or_dash(health.place.filter(|_| is_up)),
            TableCell::or_dash(one.uptime.map(length)),
            TableCell::or_dash(
                one.hashrate
                    .map(|rate| format_value(Unit::HashesPerSecond, rate)),
            ),
            TableCell::or_dash(figure("miners").map(|count| format!("{count:.0}"))),
            TableCell::or_dash(one.port.map(|port| port.to_string())),
            TableCell::new(&one.config_name),
        ]);
    }
    table.write(paper)
}

async fn show(
    name: &str,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let one = named(manager, name).await?;
    let answer = manager.get(&path(&one)).await?;
    if paper.json {
        return paper.answer(&answer.text);
    }
    let one: ApiInstance = answer.read()?;
    let health = one.health.clone().unwrap_or_default();
    let mut table = OutputTable::of_facts();
    table.fact("name", Some(&one.name));
    table.fact("id", Some(&one.id));
    table.row(vec![TableCell::new("state"), TableCell::state(&one.status)]);
    table.fact("since", when(one.since.as_deref()));
    table.fact("warning", one.warning.as_ref());
    table.fact("next retry", when(one.retry_at.as_deref()));
    if let Some(cause) = &one.cause {
        table.fact("cause", Some(&cause.what));
        table.fact("fix", Some(&cause.advice));
    }
    table.fact("last error", one.last_error.as_ref());
    if !health.status.is_empty() {
        table.row(vec![
            TableCell::new("health"),
            TableCell::state(&health.status),
        ]);
        table.fact("score", health.score.map(|score| format!("{score} of 100")));
        table.fact("main problem", health.trouble);
        table.fact(
            "pool",
            health
                .place
                .map(|place| match age(health.place_since.as_deref()) {
                    Some(age) => format!("{place}, for {age}"),
                    None => place,
                }),
        );
    }
    table.fact(
        "hashrate",
        one.hashrate.map(|rate| {
            format!(
                "{} (10-min average)",
                format_value(Unit::HashesPerSecond, rate)
            )
        }),
    );
    let revision = match (one.config_revision, one.running_revision) {
        (Some(newest), Some(running)) if newest != running => {
            format!(
                "{}, running with revision {running}; restart to apply revision {newest}",
                one.config_name
            )
        }
        (Some(newest), _) => format!("{}, revision {newest}", one.config_name),
        _ => one.config_name.clone(),
    };
    table.fact("configuration", Some(revision));
    table.fact("miner port", one.port.map(|port| port.to_string()));
    table.fact("client version", one.running_version.as_ref());
    table.fact("pinned version", one.client_version.as_ref());
    table.fact("pid", one.pid.map(|pid| pid.to_string()));
    table.fact("started", when(one.started_at.as_deref()));
    table.fact("stopped", when(one.stopped_at.as_deref()));
    table.fact("desired state", Some(&one.desired));
    table.fact("autostart", Some(if one.autostart { "on" } else { "off" }));
    let limit = one.restart_limit.map(|limit| {
        format!(
            ", gives up after {} failures within {}",
            limit.failures,
            length(limit.within_s)
        )
    });
    table.fact(
        "restart policy",
        Some(format!(
            "{}{}",
            one.restart_policy,
            limit.unwrap_or_default()
        )),
    );
    table.fact(
        "restarts",
        Some(format!(
            "{} automatic; consecutive failures: {}",
            one.restarts, one.failures
        )),
    );
    table.fact(
        "memory limit",
        one.memory_limit_mib.map(|mib| format!("{mib} MiB")),
    );
    table.fact(
        "open-file limit",
        one.open_files_limit.map(|files| files.to_string()),
    );
    table.fact(
        "nice",
        one.nice
            .filter(|nice| *nice != 0)
            .map(|nice| nice.to_string()),
    );
    table.fact("created", when(one.created_at.as_deref()));
    table.write(paper)
}
