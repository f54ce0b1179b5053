//! The subcommands for daily work, and how each of them runs: connect, ask, write, end with the exit code that says what came of it.

use clap::Subcommand;
use std::process::ExitCode;

use super::instances::{self, InstancesCommand};
use super::paper::Paper;
use super::trouble::Trouble;
use super::way::Way;

/// Subcommands that speak to a running manager.
#[derive(Debug, Subcommand)]
pub enum Daily {
    /// List, show, start, stop, make and delete instances.
    Instances {
        #[command(subcommand)]
        command: Option<InstancesCommand>,
        #[command(flatten)]
        way: Way,
    },
}

/// Does what a subcommand says.
#[must_use]
pub fn run(daily: Daily) -> ExitCode {
    let way = match &daily {
        Daily::Instances { way, .. } => way.clone(),
    };
    let json = way.json;
    // One conversation needs no threads.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return Trouble::Failed(format!("no runtime: {e}")).say(json),
    };
    let work = async {
        let manager = way.manager()?;
        let mut paper = Paper::new(json);
        let done = match daily {
            Daily::Instances { command, .. } => instances::run(command, &manager, &mut paper).await,
        };
        // What was written before something went wrong is to be seen.
        let flushed = paper.flush();
        done.and(flushed)
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.say(json),
    }
}
