//! The subcommands for daily work, and how each of them runs: connect, ask, write, end with the
//! exit code that says what came of it.

use clap::Subcommand;
use std::process::ExitCode;

use super::configs::ConfigsCommand;
use super::error::CommandError;
use super::health::HealthArgs;
use super::instances::InstancesCommand;
use super::logs::LogsArgs;
use super::node::NodeCommand;
use super::output::TerminalOutput;
use super::target::TargetArgs;
use super::updates::UpdatesCommand;
use super::{alerts, configs, health, instances, logs, node, updates};

/// Below the help of each.
const CODES: &str =
    "Exit codes: 0 done; 1 not done, or one of several failed; 2 the command line makes no sense.";

/// Subcommands that speak to a running manager.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// List, show, start, stop, make and delete instances.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager instances
  jd-manager instances list --state failed --state backing-off
  jd-manager instances restart barn garage --timeout 120
  jd-manager instances --json | jq -r '.instances[].name'"))]
    Instances {
        /// What to do.
        #[command(subcommand)]
        command: Option<InstancesCommand>,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// List, show, check, import, export and delete saved configurations.
    #[command(after_help = format!("{CODES}\n\nExamples:
  jd-manager configs check jdc-config.toml && jd-manager configs import jdc-config.toml --name Home
  jd-manager configs export Home > home.toml"))]
    Configs {
        /// What to do.
        #[command(subcommand)]
        command: Option<ConfigsCommand>,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Tell how instances are, what is wrong with them and what to do.
    #[command(
        after_help = "Exit codes: 0 nothing is unhealthy (a warning is none, unless --strict; a stopped instance is not judged); 3 something is unhealthy;
1 it could not be found out; 2 the command line makes no sense.

Examples:
  jd-manager health || echo 'look at the miners'
  jd-manager health barn
  jd-manager health check barn --json"
    )]
    Health {
        /// Of whom.
        #[command(flatten)]
        args: HealthArgs,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Check whether a client can use Bitcoin Core on the manager's machine.
    #[command(
        after_help = "Exit codes: 0 connected; 3 a client cannot use the node, the output says why; 1 it could not be checked; 2 the command line makes no sense.

Examples:
  jd-manager node check
  jd-manager node check /var/lib/bitcoind --network signet
  jd-manager node check /mnt/bitcoind/ipc/bitcoin-core.sock --json"
    )]
    Node {
        /// What to do.
        #[command(subcommand)]
        command: NodeCommand,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Show the log of an instance, or follow it.
    #[command(after_help = format!("{CODES}\nWith --json: a record a line, each as the API tells it.\n\nExamples:
  jd-manager logs barn -n 500 --level warn
  jd-manager logs barn -f --grep NewTemplate"))]
    Logs {
        /// What of it.
        #[command(flatten)]
        args: LogsArgs,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Show which clients are installed, look for newer ones, install them and switch to them.
    #[command(after_help = format!("{CODES}\nCtrl-C ends the waiting, not the work: jd-manager updates cancel does that.\n\nExamples:
  jd-manager updates check
  jd-manager updates install v0.8.0 --switch
  jd-manager updates rollback"))]
    Updates {
        /// What to do.
        #[command(subcommand)]
        command: Option<UpdatesCommand>,
        /// Which manager.
        #[command(flatten)]
        way: TargetArgs,
    },
    /// Tell what holds now by the rules of alerts.
    #[command(after_help = format!("{CODES}\n\nExample:
  jd-manager alerts --json | jq '.standing | length'"))]
    Alerts {
        /// Which manager.
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
            | Self::Logs { way, .. }
            | Self::Node { way, .. }
            | Self::Updates { way, .. }
            | Self::Alerts { way } => way,
        }
    }
}

/// Does what a subcommand says.
pub fn run(daily: ClientCommand) -> ExitCode {
    let way = daily.way().clone();
    let json = way.json;
    // One conversation needs no threads.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return CommandError::Failed(format!("no runtime: {e}")).message(json),
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
            ClientCommand::Logs { args, .. } => logs::run(&args, &manager, &mut paper).await,
            ClientCommand::Node { command, .. } => node::run(command, &manager, &mut paper).await,
            ClientCommand::Updates { command, .. } => {
                updates::run(command, &manager, &mut paper).await
            }
            ClientCommand::Alerts { .. } => alerts::run(&manager, &mut paper).await,
        };
        // What was written before something went wrong is to be seen.
        let flushed = paper.flush();
        done.and(flushed)
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.message(json),
    }
}
