//! `jd-manager miners`: which miners work, of one instance or of all.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::CommandError;
use super::instance::named;
use super::manager::RemoteManager;
use super::output::TerminalOutput;
use super::table::{OutputTable, TableCell, TableColumn};
use super::time::age;
use crate::base::units::{Unit, format_value};

/// As many miners come at once.
const PAGE: usize = 1000;

/// The arguments of `jd-manager miners`.
#[derive(Args, Clone, Debug)]
pub struct MinersArgs {
    /// Name or id of the instance (the first characters of the id are enough) [default: all instances].
    instance: Option<String>,
}

/// The answer to `GET /miners`, each miner as it came.
#[derive(Deserialize)]
struct ApiMinerList {
    miners: Vec<Box<RawValue>>,
    total: usize,
    unlisted: u64,
}

/// A miner as the API describes it, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ApiMiner {
    instance_name: Option<String>,
    name: String,
    state: String,
    hashrate: f64,
    settled: bool,
    /// None from a manager without this field, which counts all shares.
    counted: Option<bool>,
    shares_accepted: u64,
    shares_rejected: u64,
    last_share_at: Option<String>,
    address: String,
    connected_since: Option<String>,
}

/// Writes the miners.
pub(super) async fn run(
    args: MinersArgs,
    manager: &RemoteManager,
    paper: &mut TerminalOutput,
) -> Result<(), CommandError> {
    let path = match &args.instance {
        Some(wanted) => format!("/api/instances/{}/miners", named(manager, wanted).await?.id),
        None => "/api/miners".into(),
    };
    let (miners, unlisted) = all(manager, &path).await?;
    if paper.json {
        let raw: Vec<&str> = miners.iter().map(|raw| raw.get()).collect();
        return paper.answer(&format!(
            "{{\"miners\":[{}],\"total\":{},\"unlisted\":{unlisted}}}",
            raw.join(","),
            raw.len()
        ));
    }
    let read = |raw: Box<RawValue>| {
        serde_json::from_str(raw.get()).map_err(|e| {
            CommandError::Failed(format!(
                "the response contains a miner that cannot be read: {e}"
            ))
        })
    };
    let miners: Vec<ApiMiner> = miners.into_iter().map(read).collect::<Result<_, _>>()?;
    if miners.is_empty() {
        return paper.line("No miners have connected yet. The instance page shows the address to enter in your miner.");
    }
    table(&miners, args.instance.is_none()).write(paper)?;
    if unlisted > 0 {
        paper.line(&format!("Connected but not listed: {unlisted}."))?;
    }
    Ok(())
}

/// The whole list, part by part, and how many are not in it.
async fn all(
    manager: &RemoteManager,
    path: &str,
) -> Result<(Vec<Box<RawValue>>, u64), CommandError> {
    let mut all = Vec::new();
    loop {
        let part: ApiMinerList = manager
            .get(&format!("{path}?limit={PAGE}&offset={}", all.len()))
            .await?
            .read()?;
        let is_last = part.miners.is_empty();
        all.extend(part.miners);
        if is_last || all.len() >= part.total {
            return Ok((all, part.unlisted));
        }
    }
}

fn table(miners: &[ApiMiner], has_instances: bool) -> OutputTable {
    let mut columns = vec![
        TableColumn::new("NAME").wrapped(),
        TableColumn::new("STATE"),
        TableColumn::new("HASHRATE").right(),
        TableColumn::new("ACCEPTED").goes(1).right(),
        TableColumn::new("REJECTED").goes(1).right(),
        TableColumn::new("LAST SHARE").goes(2).right(),
        TableColumn::new("ADDRESS").goes(3),
        TableColumn::new("CONNECTED").goes(4).right(),
    ];
    if has_instances {
        columns.push(TableColumn::new("INSTANCE").wrapped());
    }
    let mut table = OutputTable::new(&columns);
    for one in miners {
        let is_known = one.settled || one.hashrate > 0.0;
        let shares = |count: u64| {
            TableCell::or_dash((one.counted != Some(false)).then(|| count.to_string()))
        };
        let hashrate = is_known.then(|| format_value(Unit::HashesPerSecond, one.hashrate));
        let mut cells = vec![
            TableCell::or_dash(Some(&one.name).filter(|name| !name.is_empty())),
            TableCell::state(&one.state),
            TableCell::or_dash(hashrate),
            shares(one.shares_accepted),
            shares(one.shares_rejected),
            TableCell::or_dash(age(one.last_share_at.as_deref())),
            TableCell::or_dash(Some(&one.address).filter(|address| !address.is_empty())),
            TableCell::or_dash(age(one.connected_since.as_deref())),
        ];
        if has_instances {
            cells.push(TableCell::or_dash(one.instance_name.as_ref()));
        }
        table.row(cells);
    }
    table
}
