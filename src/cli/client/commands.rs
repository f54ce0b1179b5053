//! The subcommands for daily work, and how each of them runs: connect, send the request, print the
//! response, and exit with a code that shows the result.

use clap::Subcommand;
use std::process::ExitCode;

use super::configs::ConfigsCommand;
use super::error::CommandError;
use super::health::HealthArgs;
use super::hosts::HostsCommand;
use super::instances::InstancesCommand;
use super::logs::LogsArgs;
use super::miners::MinersArgs;
use super::mutes::AlertsCommand;
use super::node::NodeCommand;
use super::output::TerminalOutput;
use super::target::TargetArgs;
use super::updates::UpdatesCommand;
use super::{alerts, configs, health, hosts, instances, logs, miners, mutes, node, updates};

/// Printed below the help of each subcommand.
const CODES: &str =
    "Exit codes: 0 success; 1 failure (even if only one of several actions failed); 2 usage error.";

/// Subcommands that talk to a running manager.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// List, show, create, start, stop, restart and delete instances.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager instances
  jd-manager instances list --state failed --state backing-off
  jd-manager instances restart barn garage --timeout 120
  jd-manager instances --json | jq -r '.instances[].name'"))]
    Instances {
        /// The subcommand.
        #[command(subcommand)]
        command: Option<InstancesCommand>,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// List, show, check, import, export and delete saved configurations.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager configs check jdc-config.toml && jd-manager configs import jdc-config.toml --name Home
  jd-manager configs export Home > home.toml"))]
    Configs {
        /// The subcommand.
        #[command(subcommand)]
        command: Option<ConfigsCommand>,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Show the health of instances, their problems and how to fix them.
    #[command(
        after_help = "Exit codes: 0 no instance is unhealthy; 3 an instance is unhealthy (with --strict, warnings count as unhealthy; stopped instances are ignored);
1 the command failed; 2 usage error.

Examples:
  jd-manager health || echo 'an instance is unhealthy'
  jd-manager health barn
  jd-manager health check barn --json"
    )]
    Health {
        /// The instance and the options.
        #[command(flatten)]
        args: HealthArgs,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// List the miners of one or all instances, with their hashrate and today's shares.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager miners
  jd-manager miners barn
  jd-manager miners --json | jq -r '.miners[] | select(.state == \"offline\").name'"))]
    Miners {
        /// Of which instance.
        #[command(flatten)]
        args: MinersArgs,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Check whether a client can use Bitcoin Core on the machine that runs jd-manager.
    #[command(
        after_help = "Exit codes: 0 a client can use the node; 3 a client cannot use it (the output shows why); 1 the command failed; 2 usage error.

Examples:
  jd-manager node check
  jd-manager node check /var/lib/bitcoind --network signet
  jd-manager node check /mnt/bitcoind/ipc/bitcoin-core.sock --json"
    )]
    Node {
        /// The subcommand.
        #[command(subcommand)]
        command: NodeCommand,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Show or follow an instance's log.
    #[command(after_help = format!("{CODES}\nWith --json: one JSON object per log line, as returned by the API.\n\nExamples:
  jd-manager logs barn -n 500 --level warn
  jd-manager logs barn -f --grep NewTemplate"))]
    Logs {
        /// The instance and the filters.
        #[command(flatten)]
        args: LogsArgs,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Show installed clients, check for updates, install clients and switch to them.
    #[command(after_help = format!("{CODES}\nCtrl-C does not cancel the job. To cancel it, run jd-manager updates cancel.\n\nExamples:
  jd-manager updates check
  jd-manager updates install v0.8.0 --switch
  jd-manager updates rollback"))]
    Updates {
        /// The subcommand.
        #[command(subcommand)]
        command: Option<UpdatesCommand>,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// List, show, add and remove hosts: other machines with jd-manager, which it uses through SSH.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager hosts
  jd-manager hosts add ada@barn
  jd-manager hosts show barn
  jd-manager hosts remove barn --yes"))]
    Hosts {
        /// The subcommand.
        #[command(subcommand)]
        command: Option<HostsCommand>,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Show active alerts and mutes; mute alerts.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager alerts --json | jq '.standing | length'
  jd-manager alerts mute barn --for 2h
  jd-manager alerts unmute barn"))]
    Alerts {
        /// The subcommand.
        #[command(subcommand)]
        command: Option<AlertsCommand>,
        /// The manager to talk to.
        #[command(flatten)]
        way: TargetArgs,
    },
}

impl ClientCommand {
    const fn way(&self) -> &TargetArgs {
        match self {
            Self::Instances { way, .. }
            | Self::Configs { way, .. }
            | Self::Health { way, .. }
            | Self::Hosts { way, .. }
            | Self::Logs { way, .. }
            | Self::Miners { way, .. }
            | Self::Node { way, .. }
            | Self::Updates { way, .. }
            | Self::Alerts { way, .. } => way,
        }
    }
}

/// Runs a subcommand.
pub fn run(daily: ClientCommand) -> ExitCode {
    let way = daily.way().clone();
    let json = way.json;
    // One connection needs no threads.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            return CommandError::Failed(format!("cannot start the async runtime: {e}"))
                .message(json);
        }
    };
    let work = async {
        let manager = way.manager()?;
        let mut paper = TerminalOutput::new(json);
        let done = match daily {
            ClientCommand::Instances { command, .. } => {
                instances::run(command, &manager, &mut paper).await
            }
            ClientCommand::Configs { command, .. } => {
                configs::run(command, &manager, &mut paper).await
            }
            ClientCommand::Health { args, .. } => health::run(args, &manager, &mut paper).await,
            ClientCommand::Hosts { command, .. } => hosts::run(command, &manager, &mut paper).await,
            ClientCommand::Logs { args, .. } => logs::run(&args, &manager, &mut paper).await,
            ClientCommand::Miners { args, .. } => miners::run(args, &manager, &mut paper).await,
            ClientCommand::Node { command, .. } => node::run(command, &manager, &mut paper).await,
            ClientCommand::Updates { command, .. } => {
                updates::run(command, &manager, &mut paper).await
            }
            ClientCommand::Alerts { command: None, .. } => alerts::run(&manager, &mut paper).await,
            ClientCommand::Alerts {
                command: Some(command),
                ..
            } => mutes::run(command, &manager, &mut paper).await,
        };
        // Show what was written before an error.
        let flushed = paper.flush();
        done.and(flushed)
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.message(json),
    }
}
