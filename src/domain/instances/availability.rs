//! Free names and ports for new instances.

use std::net::SocketAddr;

use super::ports::{self, PortConflict};
use super::queries;
use super::service::InstanceService;
use crate::base::error::{Error, Result};
use crate::base::ids::InstanceId;

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
        let found = tokio::task::spawn_blocking(move || ports::free(address, &not))
            .await
            .map_err(Error::internal)?;
        Ok(found.unwrap_or(address.port()))
    }
}
