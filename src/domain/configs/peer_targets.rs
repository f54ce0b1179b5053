//! The servers of a configuration as targets for a probe. Pure.

use super::model::{ClientConfig, ConfigUpstream, MiningMode, TemplateProvider};
use crate::programs::sv2_peer::{PeerRole, PeerTarget};

impl ClientConfig {
    /// A pool of this configuration.
    pub fn pool_target(&self, upstream: &ConfigUpstream) -> PeerTarget {
        PeerTarget::new(PeerRole::Pool, &upstream.pool_address, upstream.pool_port)
            .with_key(Some(upstream.authority_pubkey.clone()))
            .with_versions(self.min_supported_version, self.max_supported_version)
    }

    /// The job declaration server of a pool of this configuration, with the pool's key.
    pub fn jds_target(&self, upstream: &ConfigUpstream) -> PeerTarget {
        PeerTarget::new(
            PeerRole::JobDeclarationServer,
            &upstream.jds_address,
            upstream.jds_port,
        )
        .with_key(Some(upstream.authority_pubkey.clone()))
        .with_full_template(self.mode == MiningMode::FullTemplate)
    }

    /// The template provider; none for Bitcoin Core's socket and for an address without port.
    pub fn provider_target(&self) -> Option<PeerTarget> {
        let TemplateProvider::Sv2Tp {
            address,
            public_key,
            ..
        } = &self.template_provider_type
        else {
            return None;
        };
        let (host, port) = address.rsplit_once(':')?;
        let target = PeerTarget::new(PeerRole::TemplateProvider, host, port.parse().ok()?);
        Some(target.with_key(public_key.clone()))
    }
}
