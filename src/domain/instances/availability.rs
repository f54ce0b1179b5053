//! Free names and ports for new instances.

use std::net::SocketAddr;

use super::ports::{self, PortConflict};
use super::queries;
use super::service::InstanceService;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;
use crate::base::port_range::PortRange;

impl InstanceService {
    /// Whether no instance has this name, ignoring case.
    pub async fn is_free_name(&self, name: String) -> Result<bool> {
        self.db
            .read(move |c| Ok(!queries::name_is_taken(c, &name, None)?))
            .await
    }

    /// Why a new client cannot listen at `address`, as a sentence with a free port; none if the
    /// port is free.
    pub async fn in_the_way(
        &self,
        purpose: &'static str,
        address: SocketAddr,
    ) -> Result<Option<String>> {
        let taken = self
            .preparation
            .taken(InstanceId::random(), vec![(purpose, address)])
            .await?;
        Ok(taken.map(|(PortConflict { address, free, .. }, holder)| {
            let advice = free
                .map(|port| format!(" Port {port} is free."))
                .unwrap_or_default();
            format!(
                "Port {} is already in use by {holder}.{advice}",
                address.port()
            )
        }))
    }

    /// The port of `address`, or the next free one that is not in `not`.
    pub async fn free_port(&self, address: SocketAddr, not: Vec<u16>) -> Result<u16> {
        free_port(address, not, None).await
    }

    /// The same for a port that miners connect to, which must be one that they reach.
    pub async fn free_miner_port(&self, address: SocketAddr, not: Vec<u16>) -> Result<u16> {
        free_port(address, not, self.preparation.configs().miner_ports()).await
    }

    /// Why miners cannot reach this port, as a sentence; none if they can.
    pub fn out_of_reach(&self, address: SocketAddr) -> Option<String> {
        let range = self.preparation.configs().miner_ports()?;
        (!range.contains(address.port())).then(|| {
            format!(
                "Miners cannot reach port {}. Choose a port in the range {range}, which is set with --miner-ports.",
                address.port()
            )
        })
    }
}

async fn free_port(address: SocketAddr, not: Vec<u16>, range: Option<PortRange>) -> Result<u16> {
    let found = tokio::task::spawn_blocking(move || ports::free(address, &not, range))
        .await
        .map_err(Error::internal)?;
    Ok(found.unwrap_or(address.port()))
}
