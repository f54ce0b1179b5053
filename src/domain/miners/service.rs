//! Reading the list of miners.

use super::counting::MINERS;
use super::model::{ListedMiner, Miner, MinerFilter};
use super::queries;
use super::tracker::UnlistedMiners;
use crate::base::clock::Timestamp;
use crate::base::error::Result;
use crate::domain::instances::{Instance, InstanceService};
use crate::infra::db::Db;
use crate::web::respond::{WHOLE_LIST_BYTES, count_fitting_in};

/// Bytes of an entry without its texts.
const ENTRY_BYTES: usize = 400;

/// Everything that can be done with miners; cheap to clone.
#[derive(Clone, Debug)]
pub struct MinerService {
    db: Db,
    instances: InstanceService,
    unlisted: UnlistedMiners,
}

/// Part of a list of miners.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerPart {
    /// The miners.
    pub miners: Vec<Miner>,
    /// How many pass the filter.
    pub total: u64,
    /// How many more are connected that are not kept.
    pub unlisted: u64,
}

impl MinerService {
    /// So many miners are kept for each instance.
    pub const MOST: usize = MINERS;

    /// `unlisted`: what the tracker says of miners that are not kept.
    pub fn new(db: Db, instances: InstanceService, unlisted: UnlistedMiners) -> Self {
        Self {
            db,
            instances,
            unlisted,
        }
    }

    /// Part of the miners that pass the filter, and the instance if it selects one.
    ///
    /// # Errors
    /// There is no such instance, or the database cannot be read.
    pub async fn part(
        &self,
        filter: MinerFilter,
        limit: u64,
        offset: u64,
    ) -> Result<(Option<Instance>, MinerPart)> {
        let instance = match filter.instance {
            Some(id) => Some(self.instances.get(id).await?),
            None => None,
        };
        Ok((instance, self.read_part(filter, limit, offset).await?))
    }

    /// The listed miners of all instances that have a name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn listed(&self) -> Result<Vec<ListedMiner>> {
        self.db.read(|c| Ok(queries::listed(c)?)).await
    }

    async fn read_part(&self, filter: MinerFilter, limit: u64, offset: u64) -> Result<MinerPart> {
        let [limit, offset] = [limit, offset].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let now = Timestamp::now();
        let (mut miners, total) = self
            .db
            .read(move |c| {
                let miners = queries::page(c, filter, limit, offset, now)?;
                Ok((miners, queries::count(c, filter)?))
            })
            .await?;
        let size = |miner: &Miner| {
            let instance = miner.instance_name.as_ref().map_or(0, String::len);
            ENTRY_BYTES + miner.name.len() + miner.address.len() + instance
        };
        miners.truncate(count_fitting_in(WHOLE_LIST_BYTES, &miners, size));
        Ok(MinerPart {
            miners,
            total: u64::try_from(total).unwrap_or_default(),
            unlisted: self.unlisted.count(filter.instance),
        })
    }
}
