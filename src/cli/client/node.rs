//! `jd-manager node check`: whether a client can use Bitcoin Core on the machine that runs
//! jd-manager.

use clap::{Args, Subcommand};
use serde::Deserialize;
use std::path::{Path, PathBuf};

use super::error::{CommandError, UNHEALTHY};
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::table::{OutputTable, coloured, status_color};
use super::text::{in_line, plain};

/// The subcommands of `jd-manager node`.
#[derive(Clone, Debug, Subcommand)]
pub enum NodeCommand {
    /// Check a node's socket, then briefly start the client in use to check the node itself.
    Check(NodeCheckArgs),
}

/// The arguments of `jd-manager node check`.
#[derive(Args, Clone, Debug)]
pub struct NodeCheckArgs {
    /// The node's socket or data directory [default: search the default locations].
    path: Option<PathBuf>,
    /// The node's expected network: mainnet, testnet4, signet or regtest [default: derived from
    /// the path].
    #[arg(long)]
    network: Option<String>,
    /// Bitcoin Core version that the client is configured for: 30 or 31 [default: try both].
    #[arg(long, value_name = "VERSION")]
    core_version: Option<u8>,
}

/// The response to `GET /node/check`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiNodeCheck {
    status: String,
    path: String,
    network: String,
    detail: String,
    advice: String,
    data_dir: Option<String>,
    version: Option<u8>,
}

/// Checks a node. The exit code shows whether a client can use it.
pub(super) async fn run(
    command: NodeCommand,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let NodeCommand::Check(args) = command;
    let answer = manager.get(&address(&args)?).await?;
    let found: ApiNodeCheck = answer.read()?;
    if paper.json {
        paper.answer(&answer.text)?;
    } else {
        write(&found, paper)?;
    }
    if found.status == "connected" {
        Ok(())
    } else {
        Err(CommandError::Reported(UNHEALTHY))
    }
}

fn address(args: &NodeCheckArgs) -> Result<String, CommandError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(path) = &args.path {
        query.append_pair("path", &whole_path(path)?);
    }
    if let Some(network) = &args.network {
        query.append_pair("network", network);
    }
    if let Some(version) = args.core_version {
        query.append_pair("version", &version.to_string());
    }
    let query = query.finish();
    let gap = if query.is_empty() { "" } else { "?" };
    Ok(format!("/api/node/check{gap}{query}"))
}

/// An absolute path, because the manager has another working directory.
fn whole_path(path: &Path) -> Result<String, CommandError> {
    let whole = std::path::absolute(path).map_err(|e| {
        CommandError::Misused(format!("cannot use the path \"{}\": {e}", path.display()))
    })?;
    whole.into_os_string().into_string().map_err(|path| {
        CommandError::Misused(format!(
            "cannot check the path \"{}\": it is not valid UTF-8",
            path.display()
        ))
    })
}

fn write(found: &ApiNodeCheck, paper: &mut TerminalOutput) -> Result<(), CommandError> {
    let status = in_line(&found.status);
    let color = status_color(found.status == "connected");
    paper.line(&format!(
        "{}: {}",
        coloured(&status, Some(color), paper),
        in_line(&found.detail)
    ))?;
    let mut facts = OutputTable::of_facts();
    facts.fact("socket", Some(&found.path));
    facts.fact("network", Some(&found.network));
    facts.fact("version", found.version.map(|version| version.to_string()));
    facts.fact("data directory", found.data_dir.as_ref());
    facts.write(paper)?;
    if !found.advice.is_empty() {
        paper.line("")?;
        for line in plain(&found.advice).lines() {
            paper.line(line)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_what_was_given() {
        let args = NodeCheckArgs {
            path: Some("/a b/node.sock".into()),
            network: Some("signet".into()),
            core_version: Some(31),
        };
        assert_eq!(
            address(&args).unwrap(),
            "/api/node/check?path=%2Fa+b%2Fnode.sock&network=signet&version=31"
        );
        let nothing = NodeCheckArgs {
            path: None,
            network: None,
            core_version: None,
        };
        assert_eq!(address(&nothing).unwrap(), "/api/node/check");
        let relative = NodeCheckArgs {
            path: Some("node.sock".into()),
            ..nothing
        };
        assert!(
            address(&relative)
                .unwrap()
                .starts_with("/api/node/check?path=%2F")
        );
    }
}
